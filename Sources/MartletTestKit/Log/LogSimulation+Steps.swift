internal import MartletCore
internal import MartletLog

/// The workload: each step is one call or a few.
extension LogSimulation {
    func step() {
        guard let log else { return }
        switch random.below(100) {
        case 0..<6: createTopic(log)
        case 6..<7: deleteTopic(log)
        case 7..<9: addPartitions(log)
        case 9..<11: alterTopic(log)
        case 11..<13: deleteRecords(log)
        case 13..<16: allocate(log)
        case 16..<50: produce(log)
        case 50..<56: endTransaction(log)
        case 56..<62: commit(log)
        case 62..<76: drive { () throws(LogError) in try log.writeGroup() }
        case 76..<88:
            for _ in 0..<(1 + random.below(8)) {
                drive { () throws(LogError) in try log.flush(budget: 1 + self.random.below(4_000)) }
            }
        case 88..<90: drive { () throws(LogError) in try self.random.chance(0.5) ? log.clean() : log.compact() }
        case 90..<92: drive { () throws(LogError) in try log.sealIfIdle() }
        case 92..<94: clock.advance(nanos: [1_000_000, 20_000_000, 61_000_000_000][random.below(3)])
        case 94..<95: disk.capacityBytes = random.chance(0.5) ? nil : 100_000 + random.below(200_000)
        default: readSomething(log)
        }
        // Something is always lost in thought of space: it comes back.
        if random.chance(0.05) { disk.capacityBytes = nil }
        acknowledge(log)
    }

    /// One of the threads' calls, which may fail.
    private func drive(_ body: () throws(LogError) -> Bool) {
        do throws(LogError) {
            _ = try body()
        } catch {
            result.failedCalls += 1
            if case .corrupt = error { fail("damage is reported where there is none: \(error)") }
        }
    }

    /// What the log shows is what it has acknowledged.
    private func acknowledge(_ log: Log) {
        let published = log.publishedSequence
        model.publish(published)
        if acknowledged.highest > published { fail("commit \(acknowledged.highest) was acknowledged before it was to be seen") }
        acknowledged.note(published)
        confirmProducers()
    }

    /// Notes a commit that the log took, and waits for it.
    private func took(_ sequence: UInt64, _ effects: [LogModel.Effect], _ log: Log) {
        if sequence <= model.commits.last?.sequence ?? 0 { return fail("sequence \(sequence) was given out before") }
        model.append(sequence, effects)
        result.commits += 1
        log.whenDurable(sequence) { [acknowledged] in acknowledged.note(sequence) }
    }

    /// A refusal that anything may get at any time.
    private func isExcused(_ error: LogError) -> Bool {
        switch error {
        case .throttled, .outOfSpace, .fatal, .closed, .refused(_, .throttled), .refused(_, .outOfSpace), .refused(_, .unavailable):
            result.throttled += 1
            return true
        default: return false
        }
    }

    // MARK: Catalog

    private func createTopic(_ log: Log) {
        nextName += 1
        // Sometimes a name that was used before.
        let name = "t\(random.chance(0.3) ? random.below(nextName) : nextName)"
        let partitions = 1 + random.below(3)
        let overrides = random.chance(0.5) ? [:] : ["segment.bytes": "\(300 + random.below(3_000))", "retention.ms": "-1"]
        do throws(LogError) {
            let made = try log.createTopic(name, partitions: Int32(partitions), overrides: overrides)
            if model.appended.topics.values.contains(where: { $0.name == name }) { fail("topic \(name) was created twice") }
            let topic = LogModel.TopicModel(
                name: name, overrides: overrides, partitions: .init(repeating: .init(), count: partitions))
            took(made.sequence, [.created(made.topic.id, topic)], log)
        } catch {
            if case .topicExists = error {
                // The name of a topic that is about to go is taken until it is gone.
                let isTaken = [model.appended, model.visible].contains { $0.topics.values.contains { $0.name == name } }
                if !isTaken { fail("\(error), which it does not") }
            } else if !isExcused(error) {
                fail("creating a topic: \(error)")
            }
        }
    }

    /// A topic that is visible and not about to go.
    private func someTopic() -> TopicID? {
        let ids = model.visible.topics.keys.filter { model.appended.topics[$0] != nil }.sorted()
        return ids.isEmpty ? nil : ids[random.below(ids.count)]
    }

    private func change(_ log: Log, _ effects: [LogModel.Effect], _ body: () throws(LogError) -> UInt64) {
        do throws(LogError) {
            took(try body(), effects, log)
        } catch {
            if !isExcused(error) { fail("changing a topic: \(error)") }
        }
    }

    private func deleteTopic(_ log: Log) {
        guard let id = someTopic() else { return }
        change(log, [.deleted(id)]) { () throws(LogError) in try log.deleteTopic(id) }
    }

    private func addPartitions(_ log: Log) {
        guard let id = someTopic(), let topic = model.appended.topics[id], topic.partitions.count < 5 else { return }
        let total = topic.partitions.count + 1
        change(log, [.partitions(id, total)]) { () throws(LogError) in try log.addPartitions(id, total: Int32(total)) }
    }

    private func alterTopic(_ log: Log) {
        guard let id = someTopic() else { return }
        let overrides = ["segment.bytes": "\(200 + random.below(5_000))", "retention.ms": "-1"]
        change(log, [.altered(id, overrides)]) { () throws(LogError) in try log.alterTopic(id, overrides: overrides) }
    }

    private func deleteRecords(_ log: Log) {
        guard let id = someTopic(), let visible = model.visible.topics[id] else { return }
        let at = random.below(visible.partitions.count)
        let partition = TopicPartition(topic: id, partition: Int32(at))
        let offset = random.within(0...visible.partitions[at].end)
        do throws(LogError) {
            let (start, sequence) = try log.deleteRecords(partition, before: offset)
            let expected = max(offset, model.appended.partition(partition)!.start)
            if start != expected { fail("records before \(offset) deleted: the start is \(start), not \(expected)") }
            took(sequence, [.start(partition, start)], log)
        } catch {
            if !isExcused(error) { fail("deleting records: \(error)") }
        }
    }

    // MARK: Appends

    private func allocate(_ log: Log) {
        do throws(LogError) {
            let (id, sequence) = try log.allocateProducerID()
            if usedProducers.contains(id) { fail("producer id \(id) was given out twice") }
            if sequence > model.commits.last?.sequence ?? 0 { took(sequence, [], log) }
            unconfirmedProducers.append((id, sequence))
        } catch {
            if !isExcused(error) { fail("a producer id: \(error)") }
        }
    }

    private func somePartition() -> TopicPartition? {
        let all = model.appended.partitionIDs
        if all.isEmpty || random.chance(0.01) { return TopicPartition(topic: TopicID(high: 1, low: random.next()), partition: 0) }
        return all[random.below(all.count)]
    }

    private func values(_ count: Int) -> [Int] {
        nextValue += count
        return Array((nextValue - count)..<nextValue)
    }

    /// A batch as a client may send it: mostly right, now and then repeated, from an old epoch, or out of order.
    private func makeBatch(for id: TopicPartition) -> LogModel.Batch {
        var batch = LogModel.Batch(offset: model.appended.partition(id)?.end ?? 0, values: values(1 + random.below(5)))
        guard !producers.isEmpty, random.chance(0.7) else { return batch }
        let chosen = random.below(producers.count)
        let known = model.appended.partition(id)?.producers[producers[chosen].id]
        batch.producer = producers[chosen].id
        batch.epoch = max(producers[chosen].epoch, known?.epoch ?? 0)
        batch.isTransactional = known?.openSince != nil || random.chance(0.4)
        if let known {
            batch.sequence =
                known.epoch == batch.epoch ? known.batches.last.map { LogModel.sequence($0.lastSequence, plus: 1) } ?? 0 : 0
        } else {
            // Nothing is known of it here: any sequence will do, also one about to wrap.
            batch.sequence = [0, 7, Int32.max - 2, Int32.max][random.below(4)]
        }
        switch random.below(20) {
        case 0..<5:
            // Again what was sent already.
            if let known, !known.batches.isEmpty {
                let again = known.batches[max(0, known.batches.count - 1 - random.below(7))]
                batch = again
                batch.offset = model.appended.partition(id)?.end ?? 0
            }
        case 5: batch.sequence = LogModel.sequence(batch.sequence, plus: 1 + random.below(3))
        case 6: if batch.epoch > 0 { batch.epoch -= 1 }
        case 7:
            batch.epoch += 1
            producers[chosen].epoch = batch.epoch
            batch.sequence = random.chance(0.8) ? 0 : 1
        case 8: batch.isTransactional.toggle()
        default: break
        }
        return batch
    }

    private func produce(_ log: Log) {
        var appends: [Append] = []
        var batches: [(id: TopicPartition, batch: LogModel.Batch, expected: LogModel.Judgement)] = []
        for _ in 0..<(random.chance(0.7) ? 1 : 1 + random.below(4)) {
            // Each partition once in a request, as clients do.
            guard let id = somePartition(), !batches.contains(where: { $0.id == id }) else { continue }
            let batch = makeBatch(for: id)
            batches.append((id, batch, model.judge(batch, in: id)))
            appends.append(Append(id, LogSimulation.encode(batch)))
        }
        guard !appends.isEmpty else { return }
        let (outcomes, sequence) = log.produce(appends)
        var effects: [LogModel.Effect] = []
        for (outcome, sent) in zip(outcomes, batches) {
            switch (outcome, sent.expected) {
            case (.refused(.throttled), _), (.refused(.outOfSpace), _), (.refused(.unavailable), _): result.throttled += 1
            case (.appended(let offset, _, _), .append):
                if offset != sent.batch.offset { fail("\(sent.id) ends at \(sent.batch.offset), a batch went to \(offset)") }
                effects.append(.batch(sent.id, sent.batch))
            case (.duplicate(let offset, _), .duplicate(let original)):
                result.duplicates += 1
                if offset != original { fail("the repeat of the batch at \(original) was said to be at \(offset)") }
                checkRepeat(of: original, in: sent.id, sequence, log)
            case (.refused(.unknownPartition), .unknownPartition), (.refused(.invalidProducerEpoch), .staleEpoch),
                (.refused(.outOfOrderSequence), .outOfOrder), (.refused(.invalidTransactionState), .notInTransaction):
                break
            default: fail("a batch for \(sent.id), \(sent.batch), should be \(sent.expected), and was \(outcome)")
            }
        }
        if !effects.isEmpty { took(sequence, effects, log) }
    }

    /// A repeat may be answered when its original is durable, not before.
    private func checkRepeat(of offset: Int64, in id: TopicPartition, _ sequence: UInt64, _ log: Log) {
        let isVisible = (model.visible.partition(id)?.end ?? 0) > offset
        if !isVisible && sequence <= log.publishedSequence {
            fail("a repeat at \(offset) is answered before its original is durable")
        }
    }

    private func commit(_ log: Log) {
        var commit = Commit(entries: someEntries())
        var effects = commit.entries.map { LogModel.Effect.entry($0) }
        if let id = somePartition(), model.appended.partition(id) != nil, random.chance(0.5) {
            var end = model.appended.partition(id)!.end
            for _ in 0..<(1 + random.below(3)) {
                let batch = LogModel.Batch(offset: end, values: values(1 + random.below(3)))
                end = batch.end
                commit.appends.append(Append(id, LogSimulation.encode(batch)))
                effects.append(.batch(id, batch))
            }
        }
        if !producers.isEmpty, random.chance(0.2) {
            let chosen = random.below(producers.count)
            producers[chosen].epoch += 1
            commit.fences = [ProducerFence(producerID: producers[chosen].id, epoch: producers[chosen].epoch)]
            effects.append(.fence(commit.fences[0]))
        }
        do throws(LogError) {
            let done = try log.commit(commit)
            took(done.sequence, effects, log)
        } catch {
            if !isExcused(error) { fail("a commit: \(error)") }
        }
    }

    private func someEntries() -> [EntryChange] {
        (0..<random.below(4)).map { _ in
            let value = random.chance(0.2) ? nil : Array("\(values(1)[0])".utf8)
            return EntryChange([.offset, .group, .transaction][random.below(3)], key: [UInt8(random.below(6))], value: value)
        }
    }

    private func endTransaction(_ log: Log) {
        let open = model.appended.partitionIDs.flatMap { id in
            model.appended.partition(id)!.producers.filter { $0.value.openSince != nil }.map {
                (producer: $0.key, epoch: $0.value.epoch, id: id)
            }
        }.sorted { ($0.producer, $0.id) < ($1.producer, $1.id) }
        guard !open.isEmpty else { return }
        let chosen = open[random.below(open.count)]
        let partitions = open.filter { $0.producer == chosen.producer }
        var end = TransactionEnd(
            producerID: chosen.producer, producerEpoch: partitions.map(\.epoch).max()! + (random.chance(0.5) ? 1 : 0),
            isCommit: random.chance(0.5), partitions: partitions.map(\.id), entries: someEntries())
        // A partition that the transaction never wrote to, now and then.
        if random.chance(0.2), let other = somePartition() { end.partitions.append(other) }
        for index in producers.indices where producers[index].id == end.producerID {
            producers[index].epoch = max(producers[index].epoch, end.producerEpoch)
        }
        var effects = Set(end.partitions).sorted().compactMap { id in
            model.appended.partition(id).map {
                LogModel.Effect.marker(
                    id, LogModel.Marker(offset: $0.end, producer: end.producerID, epoch: end.producerEpoch, isCommit: end.isCommit))
            }
        }
        effects += end.entries.map { .entry($0) }
        do throws(LogError) {
            took(try log.endTransaction(end), effects, log)
            result.transactions += 1
        } catch {
            if !isExcused(error) { fail("the end of a transaction: \(error)") }
        }
    }

    /// The bytes a client sends for a batch.
    static func encode(_ batch: LogModel.Batch) -> ByteSlice {
        let builder = RecordBatchBuilder()
        builder.setProducer(
            id: batch.producer, epoch: batch.epoch, baseSequence: batch.sequence, isTransactional: batch.isTransactional)
        for value in batch.values {
            builder.append(Record(timestamp: 1_767_225_600_000 + Int64(value), key: nil, value: Array("\(value)".utf8)))
        }
        let sink = ByteSink(capacity: 256)
        do throws(BatchError) {
            try builder.finish(into: sink)
        } catch {
            preconditionFailure("a batch of the simulation cannot be built: \(error)")
        }
        return ByteSlice(copying: sink.bytes)
    }
}
