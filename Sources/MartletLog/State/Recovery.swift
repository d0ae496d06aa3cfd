internal import MartletCore

/// The steps of `Log.open` that rebuild the state: the newest metadata snapshot that is whole, then every commit that the
/// journal has after it. Each step is logged.
struct Recovery {
    let directory: String
    let surroundings: LogSurroundings
    let options: LogOptions
    let files: TopicFiles

    var snapshot: Snapshot?
    /// Snapshot files that exist, oldest first, damaged ones before all others.
    var snapshotFiles: [String] = []
    var state = LogState()
    /// What the snapshot says of the partitions' files, until they are opened.
    private var checkpoints: [TopicPartition: StoreCheckpoint] = [:]
    /// Partitions whose segments are not what the snapshot says. Either their topic was deleted after the snapshot's moment,
    /// which the journal will say, or this is damage.
    private var unstored: [TopicPartition: LogError] = [:]
    private var isDiskFull = false

    init(_ directory: String, _ surroundings: LogSurroundings, _ options: LogOptions) {
        self.directory = directory
        self.surroundings = surroundings
        self.options = options
        files = TopicFiles(directory: directory, disk: surroundings.disk, clock: surroundings.clock)
    }

    private var logger: StructuredLog { surroundings.logger }

    // MARK: Snapshot

    /// Finds the newest snapshot that is whole. None at all is a new log, unless the journal knows better.
    mutating func readSnapshot() throws(LogError) {
        let disk = surroundings.disk
        do throws(IOError) {
            for folder in ["metadata", "topics", "journal"] { try disk.makeDirectory(directory + "/" + folder) }
            try disk.syncDirectory(directory)
        } catch {
            throw LogError(error)
        }
        let names = try SnapshotFiles.list(directory: directory, disk: disk)
        var damaged: [String] = []
        var lastDamage: LogError?
        for name in names.reversed() where snapshot == nil {
            do throws(LogError) {
                snapshot = try SnapshotFiles.read(name, directory: directory, disk: disk)
            } catch {
                guard case .corrupt(let damage) = error else { throw error }
                logger.warn("a metadata snapshot is damaged; an older one is taken if there is one", ["damage": "\(damage)"])
                damaged.append(name)
                lastDamage = error
            }
        }
        if snapshot == nil, let lastDamage { throw lastDamage }
        snapshotFiles = damaged + names.filter { !damaged.contains($0) }
        guard let snapshot else {
            logger.info("recovery: no metadata snapshot")
            return
        }
        logger.info(
            "recovery: metadata snapshot read",
            [
                "sequence": LogValue(snapshot.sequence), "topics": LogValue(snapshot.topics.count),
                "damaged": LogValue(damaged.count),
            ])
        try load(snapshot)
    }

    private mutating func load(_ snapshot: Snapshot) throws(LogError) {
        state.reservedProducerID = snapshot.nextProducerID
        state.fences = snapshot.fences
        state.entries = snapshot.entries
        for part in snapshot.topics {
            var described = part.topic
            described.configuration = try TopicConfiguration(
                overrides: described.configuration.overrides, serverDefaults: options.topicDefaults)
            let topic = TopicState(described, isVisible: true)
            state.topics[described.id] = topic
            state.names[described.name] = topic
            if part.partitions.contains(where: { $0.store != nil }) { files.noteDurable(described.id) }
            for (partition, saved) in zip(topic.partitions, part.partitions) {
                partition.load(saved)
                if partition.writtenOffset < partition.nextOffset {
                    unstored[partition.id] = damage(
                        partition, partition.writtenOffset..<partition.nextOffset, "the snapshot has them in no segment")
                }
                checkpoints[partition.id] = saved.store
            }
        }
    }

    // MARK: Journal

    /// Takes in one commit of the journal.
    mutating func replay(_ sequence: UInt64, _ payload: UnsafeRawBufferPointer) throws(LogError) {
        var reader = try CommitReader(payload, place: "\(directory)/journal, record \(sequence)")
        while let item = try reader.next() { try apply(item, sequence, reader.millis) }
        state.journalBytes += payload.count
        // A journal may hold more than memory should.
        while state.unwrittenCost > options.tailBytesMax / 2, !isDiskFull, !state.line.isEmpty {
            let partition = state.line.removeFirst()
            partition.isInLine = false
            do throws(LogError) {
                try writeHome(partition)
            } catch {
                guard case .outOfSpace = error else { throw error }
                // Reads can be served all the same: the rest stays in memory until the flusher finds space.
                isDiskFull = true
                state.putInLine(partition)
                logger.warn("recovery: no space to write to segments", ["error": "\(error)"])
            }
            _ = state.evict(downTo: options.tailBytesMax / 2)
        }
    }

    private mutating func apply(_ item: CommitItem, _ sequence: UInt64, _ millis: Int64) throws(LogError) {
        switch item {
        case .append(let id, let bytes): try apply(bytes, to: try partition(id, sequence), sequence, millis)
        case .entry(let change): state.apply([change])
        case .fence(let fence): state.apply([fence])
        case .topicCreated(let described):
            var described = described
            described.configuration = try TopicConfiguration(
                overrides: described.configuration.overrides, serverDefaults: options.topicDefaults)
            let topic = TopicState(described, isVisible: true)
            state.topics[described.id] = topic
            state.names[described.name] = topic
        case .topicDeleted(let id):
            if let topic = state.topics[id] { state.remove(topic) }
        case .partitionsAdded(let id, let total):
            let topic = try topic(id, sequence)
            topic.addPartitions(total: total)
            topic.topic.partitions = max(topic.topic.partitions, total)
        case .topicAltered(let id, let overrides):
            let topic = try topic(id, sequence)
            topic.configuration = try TopicConfiguration(overrides: overrides, serverDefaults: options.topicDefaults)
            topic.topic.configuration = topic.configuration
        case .recordsDeleted(let id, let offset): try partition(id, sequence).moveVisibleStart(to: offset)
        case .producerIDsReserved(let below): state.reservedProducerID = max(state.reservedProducerID, below)
        }
    }

    private mutating func apply(
        _ bytes: UnsafeRawBufferPointer, to partition: PartitionState, _ sequence: UInt64, _ millis: Int64
    ) throws(LogError) {
        let header: RecordBatchHeader
        let marker: ControlMarker?
        do throws(BatchError) {
            header = try RecordBatchHeader(reading: bytes)
            marker = header.isControl ? try ControlMarker(reading: bytes) : nil
        } catch {
            throw damage(partition, nil, "journal record \(sequence): \(error)")
        }
        let offset = partition.nextOffset
        guard header.baseOffset == offset else {
            throw damage(
                partition, min(offset, header.baseOffset)..<max(offset, header.baseOffset),
                "journal record \(sequence) continues at \(header.baseOffset), the partition ends at \(offset)")
        }
        if let marker {
            guard header.producerID >= 0, header.producerEpoch >= 0, header.byteCount == bytes.count, header.lastOffsetDelta == 0
            else {
                throw damage(partition, nil, "journal record \(sequence): an impossible marker")
            }
            partition.assignMarker(
                producerID: header.producerID, epoch: header.producerEpoch, isCommit: marker.commits,
                coordinatorEpoch: marker.coordinatorEpoch, millis: millis)
        } else {
            if let objection = BatchFacts.objection(to: header, bytes: bytes.count) {
                throw damage(partition, nil, "journal record \(sequence): \(objection)")
            }
            _ = partition.assign(BatchFacts(header), millis: millis, commit: 0)
        }
        // Segments that were synced after the snapshot's moment hold some of what the journal repeats.
        if partition.nextOffset <= partition.writtenOffset || unstored[partition.id] != nil {
            // A tail has no gaps: what it holds is before this, and in segments too.
            partition.tail = Queue()
        } else {
            state.keep(
                TailBatch(
                    baseOffset: offset, nextOffset: partition.nextOffset, commit: 0, maxTimestamp: header.maxTimestamp,
                    slice: ByteSlice(copying: bytes)),
                of: partition)
        }
        _ = partition.publish(upTo: partition.nextOffset)
    }

    // MARK: Segments

    /// Opens the partitions' files as the snapshot has them. A topic that the journal deleted needs none.
    mutating func openStores() throws(LogError) {
        for topic in state.topicsByID {
            for partition in topic.partitions {
                if let damage = unstored[partition.id] { throw damage }
                try openStore(partition)
                guard partition.writtenOffset <= partition.nextOffset else {
                    throw damage(
                        partition, partition.nextOffset..<partition.writtenOffset,
                        "segments hold them, and the journal does not know them")
                }
                if let store = partition.store { partition.moveVisibleStart(to: min(store.startOffset, partition.nextOffset)) }
            }
        }
        logger.info(
            "recovery: segments opened", ["partitions": LogValue(state.topics.values.reduce(0) { $0 + $1.partitions.count })])
    }

    private mutating func openStore(_ partition: PartitionState) throws(LogError) {
        guard let checkpoint = checkpoints.removeValue(forKey: partition.id), let topic = state.topics[partition.id.topic] else {
            return
        }
        let store = try files.openStore(partition.id, topic.configuration, checkpoint: checkpoint)
        partition.store = store
        state.markWritten(partition, upTo: store.endOffset)
    }

    private mutating func writeHome(_ partition: PartitionState) throws(LogError) {
        do throws(LogError) {
            try openStore(partition)
        } catch {
            guard case .corrupt = error else { throw error }
            unstored[partition.id] = error
            // Not true, and of no effect: unless the topic is deleted, opening ends with the error.
            state.markWritten(partition, upTo: partition.nextOffset)
        }
        guard let topic = state.topics[partition.id.topic] else { return }
        let batches = partition.unwrittenBatches(before: .max, bytesMax: .max)
        guard let last = batches.last else { return }
        let store: PartitionStore
        if let found = partition.store {
            store = found
        } else {
            store = try files.openStore(partition.id, topic.configuration, checkpoint: nil)
        }
        partition.store = store
        try store.append(batches.map(\.slice), nowMillis: surroundings.clock.wallMicros() / 1_000)
        partition.unsyncedBytes += batches.reduce(0) { $0 + $1.slice.count }
        state.markWritten(partition, upTo: last.nextOffset)
    }

    /// Directories of topics that are no more: a crash came between a deletion and its end.
    mutating func findOrphans() throws(LogError) {
        for id in try files.topics() where state.topics[id] == nil && !state.doomed.contains(id) {
            state.doomed.append(id)
            logger.info("recovery: a deleted topic's files are still there", ["topic": "\(id)"])
        }
    }

    // MARK: Errors

    private func topic(_ id: TopicID, _ sequence: UInt64) throws(LogError) -> TopicState {
        guard let topic = state.topics[id] else {
            throw .corrupt(
                LogDamage(place: "\(directory)/journal", detail: "record \(sequence) is about topic \(id), which does not exist"))
        }
        return topic
    }

    private func partition(_ id: TopicPartition, _ sequence: UInt64) throws(LogError) -> PartitionState {
        guard let partition = state.partition(id) else {
            throw .corrupt(
                LogDamage(
                    place: "\(directory)/journal", partition: id,
                    detail: "record \(sequence) is about a partition that does not exist"))
        }
        return partition
    }

    private func damage(_ partition: PartitionState, _ offsets: Range<Int64>?, _ detail: String) -> LogError {
        .corrupt(LogDamage(place: files.directory(of: partition.id), partition: partition.id, offsets: offsets, detail: detail))
    }
}

extension PartitionState {
    fileprivate func load(_ saved: Snapshot.Partition) {
        nextOffset = saved.nextOffset
        highWatermark = saved.nextOffset
        startOffset = saved.startOffset
        visibleStart = saved.startOffset
        producers = saved.producers
        aborted = saved.aborted
        writtenOffset = saved.store?.endOffset ?? 0
        syncedOffset = writtenOffset
        transactions = saved.producers.filter { $0.value.transactionStart >= 0 }
            .map { OpenTransaction(producerID: $0.key, firstOffset: $0.value.transactionStart) }
            .sorted { $0.firstOffset < $1.firstOffset }
    }
}
