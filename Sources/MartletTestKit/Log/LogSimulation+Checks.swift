internal import MartletCore
internal import MartletLog

/// What the log shows, against what the model says it should.
extension LogSimulation {
    func readSomething(_ log: Log) {
        model.publish(log.publishedSequence)
        let ids = model.visible.partitionIDs
        guard !ids.isEmpty else { return }
        let id = ids[random.below(ids.count)]
        let partition = model.visible.partition(id)!
        let from = random.within(max(partition.start - 1, 0)...(partition.end + 1))
        check(log, id, partition, from: from, maxBytes: 1 + random.below(1_000), committed: random.chance(0.5))
    }

    /// After a restart: all that can be asked.
    func checkEverything() {
        guard let log else { return }
        let expected = model.visible
        let topics = log.topics()
        let names = expected.topics.values.map(\.name).sorted()
        if topics.map(\.name) != names { return fail("topics \(topics.map(\.name)) are there, \(names) should be") }
        for topic in topics {
            guard let known = expected.topics[topic.id] else { return fail("topic \(topic.name) has another id") }
            if known.name != topic.name || known.partitions.count != Int(topic.partitions)
                || known.overrides != topic.configuration.overrides
            {
                return fail("topic \(topic.name) came back as \(topic.partitions) partitions, \(topic.configuration.overrides)")
            }
        }
        for space in EntrySpace.allCases {
            let entries = Dictionary(uniqueKeysWithValues: log.entries(space).map { ($0.key, $0.value) })
            if entries != expected.entries[space] ?? [:] {
                return fail("drawer \(space) holds \(entries), and should hold \(expected.entries[space] ?? [:])")
            }
        }
        for id in expected.partitionIDs { checkPartition(log, id, expected.partition(id)!) }
    }

    private func checkPartition(_ log: Log, _ id: TopicPartition, _ partition: LogModel.Partition) {
        guard let status = log.status(id) else { return fail("\(id) is gone") }
        if status.highWatermark != partition.end || status.lastStableOffset != partition.lastStable
            || status.logStartOffset != partition.start
        {
            return fail(
                "\(id) stands at \(status); end \(partition.end), stable \(partition.lastStable), start \(partition.start) expected"
            )
        }
        for committed in [false, true] {
            var at = partition.start
            let end = committed ? partition.lastStable : partition.end
            while at < end, result.failures.isEmpty {
                let next = check(log, id, partition, from: at, maxBytes: 300, committed: committed)
                if next <= at { return fail("a reader of \(id) does not get past \(at)") }
                at = next
            }
        }
        checkProducers(log, id, partition)
    }

    private func checkProducers(_ log: Log, _ id: TopicPartition, _ partition: LogModel.Partition) {
        do throws(LogError) {
            let found = try log.producers(of: id)
            let known = partition.producers.sorted { $0.key < $1.key }
            guard found.map(\.producerID) == known.map(\.key) else { return fail("\(id) has other producers: \(found)") }
            for (facts, (_, producer)) in zip(found, known)
            where facts.producerEpoch != producer.epoch || facts.lastSequence != producer.batches.last?.lastSequence ?? -1
                || facts.transactionStartOffset != producer.openSince ?? -1
            {
                fail("a producer of \(id) came back as \(facts), and was \(producer)")
            }
        } catch {
            fail("producers of \(id): \(error)")
        }
    }

    /// One read, compared. Returns where the next one goes on.
    @discardableResult
    func check(
        _ log: Log, _ id: TopicPartition, _ partition: LogModel.Partition, from: Int64, maxBytes: Int, committed: Bool
    ) -> Int64 {
        result.reads += 1
        let isolation: Isolation = committed ? .readCommitted : .readUncommitted
        do throws(LogError) {
            let data: FetchedData
            switch try log.readTail(id, from: from, maxBytes: maxBytes, isolation: isolation) {
            case .found(let found), .atEnd(let found): data = found
            case .needsDisk: data = try log.readFromDisk(id, from: from, maxBytes: maxBytes, isolation: isolation)
            }
            let limit = committed ? partition.lastStable : partition.end
            if data.nextOffset > max(limit, from) { fail("\(id) was read up to \(data.nextOffset), \(limit) is to be seen") }
            if data.slices.isEmpty && from < limit { fail("\(id) gives nothing at \(from), up to \(limit) should be there") }
            let found = try LogSimulation.consume(data, from: from, committed: committed)
            let expected = partition.values(from: from, to: data.nextOffset, committed: committed)
            if !found.elementsEqual(expected, by: ==) {
                fail(
                    "\(id) from \(from) to \(data.nextOffset)\(committed ? ", committed" : ""): read \(found), expected \(expected)"
                )
            }
            return data.nextOffset
        } catch {
            switch error {
            case .offsetOutOfRange where from < partition.start || from > partition.end: break
            case .io, .outOfSpace, .fatal, .closed: result.failedCalls += 1
            default: fail("reading \(id) at \(from): \(error)")
            }
            return from
        }
    }

    /// What a consumer makes of the data: offsets and values.
    private static func consume(
        _ data: FetchedData, from: Int64, committed: Bool
    ) throws(LogError) -> [(offset: Int64, value: Int)] {
        var found: [(offset: Int64, value: Int)] = []
        var pending = data.abortedTransactions
        var aborted: Set<Int64> = []
        do throws(BatchError) {
            for slice in data.slices {
                for part in try RecordBatch.split(slice.bytes) {
                    let bytes = UnsafeRawBufferPointer(rebasing: slice.bytes[part])
                    var reader = try RecordBatchReader(bytes)
                    let header = reader.header
                    while committed, let first = pending.first, first.firstOffset <= header.lastOffset {
                        aborted.insert(first.producerID)
                        pending.removeFirst()
                    }
                    if header.isControl {
                        aborted.remove(header.producerID)
                        continue
                    }
                    if committed && header.isTransactional && aborted.contains(header.producerID) { continue }
                    while let record = try reader.next() {
                        let text = String(decoding: record.value ?? UnsafeRawBufferPointer(start: nil, count: 0), as: UTF8.self)
                        if record.offset >= from { found.append((record.offset, Int(text) ?? -1)) }
                    }
                }
            }
        } catch {
            throw .corrupt(LogDamage(place: "what was read", detail: "\(error)"))
        }
        return found
    }
}
