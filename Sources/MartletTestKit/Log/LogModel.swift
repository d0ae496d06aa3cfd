internal import MartletLog

/// What the log should be, in the simplest terms: a list of commits with what each does, applied one after the other.
///
/// The model knows two moments: `appended` (every commit there is) and `visible` (those up to the published sequence). At a
/// crash a prefix of the commits survives; which one, the log says by its sequence, and everything else follows.
struct LogModel {
    struct Batch: Equatable {
        var offset: Int64
        /// One per record; every value of a run is different.
        var values: [Int]
        var producer: Int64 = -1
        var epoch: Int16 = -1
        var sequence: Int32 = -1
        var isTransactional = false

        var end: Int64 { offset + Int64(values.count) }
        var lastSequence: Int32 { LogModel.sequence(sequence, plus: values.count - 1) }
    }

    struct Marker: Equatable {
        var offset: Int64
        var producer: Int64
        var epoch: Int16
        var isCommit: Bool
    }

    enum Item: Equatable {
        case batch(Batch)
        case marker(Marker)

        var end: Int64 {
            switch self {
            case .batch(let batch): batch.end
            case .marker(let marker): marker.offset + 1
            }
        }
    }

    struct Producer: Equatable {
        var epoch: Int16
        /// Batches of this epoch, all of them.
        var batches: [Batch] = []
        /// So many of them came before the last marker, and are nothing that could be repeated.
        var ended = 0
        /// First offset of the open transaction.
        var openSince: Int64?
    }

    struct Partition: Equatable {
        var items: [Item] = []
        var start: Int64 = 0
        var producers: [Int64: Producer] = [:]

        var end: Int64 { items.last?.end ?? 0 }
        var lastStable: Int64 { producers.values.compactMap(\.openSince).min() ?? end }

        mutating func apply(_ batch: Batch) {
            items.append(.batch(batch))
            guard batch.producer >= 0 else { return }
            var producer = producers[batch.producer] ?? Producer(epoch: batch.epoch)
            if producer.epoch != batch.epoch {
                producer.epoch = batch.epoch
                producer.batches = []
                producer.ended = 0
            }
            producer.batches.append(batch)
            if batch.isTransactional && producer.openSince == nil { producer.openSince = batch.offset }
            producers[batch.producer] = producer
        }

        mutating func apply(_ marker: Marker) {
            items.append(.marker(marker))
            var producer = producers[marker.producer] ?? Producer(epoch: marker.epoch)
            if producer.epoch != marker.epoch {
                producer.epoch = marker.epoch
                producer.batches = []
                producer.ended = 0
            }
            producer.ended = producer.batches.count
            producer.openSince = nil
            producers[marker.producer] = producer
        }

        /// Values with their offsets that a reader sees in a range, which for `committed` lies below the last stable offset.
        func values(from: Int64, to: Int64, committed: Bool) -> [(offset: Int64, value: Int)] {
            var found: [(offset: Int64, value: Int)] = []
            if from >= to { return found }
            for (index, item) in items.enumerated() {
                guard case .batch(let batch) = item, batch.end > from, batch.offset < to else { continue }
                if committed && batch.isTransactional && !isCommitted(batch, at: index) { continue }
                for (delta, value) in batch.values.enumerated() where batch.offset + Int64(delta) >= from {
                    found.append((batch.offset + Int64(delta), value))
                }
            }
            return found
        }

        private func isCommitted(_ batch: Batch, at index: Int) -> Bool {
            for item in items[index...] {
                if case .marker(let marker) = item, marker.producer == batch.producer { return marker.isCommit }
            }
            return false
        }
    }

    struct TopicModel: Equatable {
        var name: String
        var overrides: [String: String]
        var partitions: [Partition]
    }

    enum Effect {
        case created(TopicID, TopicModel)
        case deleted(TopicID)
        case partitions(TopicID, Int)
        case altered(TopicID, [String: String])
        case batch(TopicPartition, Batch)
        case marker(TopicPartition, Marker)
        case start(TopicPartition, Int64)
        case entry(EntryChange)
        case fence(ProducerFence)
    }

    struct State {
        var topics: [TopicID: TopicModel] = [:]
        var entries: [EntrySpace: [[UInt8]: [UInt8]]] = [:]
        var fences: [Int64: Int16] = [:]

        mutating func apply(_ effect: Effect) {
            switch effect {
            case .created(let id, let topic): topics[id] = topic
            case .deleted(let id): topics[id] = nil
            case .partitions(let id, let total):
                while let topic = topics[id], topic.partitions.count < total { topics[id]!.partitions.append(Partition()) }
            case .altered(let id, let overrides): topics[id]?.overrides = overrides
            case .batch(let id, let batch): topics[id.topic]?.partitions[Int(id.partition)].apply(batch)
            case .marker(let id, let marker): topics[id.topic]?.partitions[Int(id.partition)].apply(marker)
            case .start(let id, let offset): topics[id.topic]?.partitions[Int(id.partition)].start = offset
            case .entry(let change): entries[change.space, default: [:]][change.key] = change.value
            case .fence(let fence): fences[fence.producerID] = fence.epoch
            }
        }

        func partition(_ id: TopicPartition) -> Partition? {
            guard let topic = topics[id.topic], topic.partitions.indices.contains(Int(id.partition)) else { return nil }
            return topic.partitions[Int(id.partition)]
        }

        /// Every partition, in a fixed order.
        var partitionIDs: [TopicPartition] {
            topics.keys.sorted().flatMap { id in
                topics[id]!.partitions.indices.map { TopicPartition(topic: id, partition: Int32($0)) }
            }
        }
    }

    /// Every commit that may still be there, by sequence.
    private(set) var commits: [(sequence: UInt64, effects: [Effect])] = []
    private(set) var appended = State()
    private(set) var visible = State()
    private var visibleCommits = 0

    static func sequence(_ sequence: Int32, plus count: Int) -> Int32 {
        let sum = Int64(sequence) + Int64(count)
        return Int32(sum > Int64(Int32.max) ? sum - Int64(Int32.max) - 1 : sum)
    }

    mutating func append(_ sequence: UInt64, _ effects: [Effect]) {
        commits.append((sequence, effects))
        for effect in effects { appended.apply(effect) }
    }

    /// The log shows everything up to `sequence`.
    mutating func publish(_ sequence: UInt64) {
        while visibleCommits < commits.count, commits[visibleCommits].sequence <= sequence {
            for effect in commits[visibleCommits].effects { visible.apply(effect) }
            visibleCommits += 1
        }
    }

    /// A restart found everything up to `sequence`; what came after never was.
    mutating func restart(at sequence: UInt64) {
        publish(sequence)
        commits.removeLast(commits.count - visibleCommits)
        appended = visible
    }

    /// What the log should say to a batch, by the rules of Kafka's producers.
    func judge(_ batch: Batch, in id: TopicPartition) -> Judgement {
        guard let partition = appended.partition(id) else { return .unknownPartition }
        guard batch.producer >= 0 else { return .append }
        if let fence = appended.fences[batch.producer], batch.epoch < fence { return .staleEpoch }
        guard let producer = partition.producers[batch.producer] else { return .append }
        if batch.epoch == producer.epoch {
            for known in producer.batches.dropFirst(producer.ended).suffix(5)
            where known.sequence == batch.sequence && known.lastSequence == batch.lastSequence {
                return .duplicate(known.offset)
            }
        }
        if batch.epoch < producer.epoch { return .staleEpoch }
        let next = batch.epoch > producer.epoch ? 0 : producer.batches.last.map { LogModel.sequence($0.lastSequence, plus: 1) } ?? 0
        if batch.sequence != next { return .outOfOrder }
        if producer.openSince != nil && !batch.isTransactional { return .notInTransaction }
        return .append
    }

    enum Judgement: Equatable {
        case append
        case duplicate(Int64)
        case unknownPartition
        case staleEpoch
        case outOfOrder
        case notInTransaction
    }
}
