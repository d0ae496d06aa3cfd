internal import MartletCore
internal import MartletLog

/// An offset as it is kept.
struct CommittedOffset: Equatable {
    var offset: Int64
    var leaderEpoch: Int32
    var metadata: String
    /// Wall clock.
    var commitMillis: Int64
    /// Wall clock; only where a client asked for its own retention (OffsetCommit 2 to 4).
    var expiryMillis: Int64?
    /// Which commit of the group this was. A transaction's offsets do not replace what was committed after them.
    var order: UInt64
}

/// The offsets of one group: committed ones, and those that become committed with a transaction's end.
struct GroupOffsets {
    private(set) var committed: [NamedPartition: CommittedOffset] = [:]
    /// By producer.
    private(set) var pending: [Int64: [NamedPartition: CommittedOffset]] = [:]
    private var nextOrder: UInt64 = 1

    var isEmpty: Bool { committed.isEmpty && pending.isEmpty }

    func isPending(_ partition: NamedPartition) -> Bool { pending.values.contains { $0[partition] != nil } }

    mutating func takeOrder() -> UInt64 {
        defer { nextOrder &+= 1 }
        return nextOrder
    }

    mutating func commit(_ partition: NamedPartition, _ offset: CommittedOffset) {
        committed[partition] = offset
        nextOrder = max(nextOrder, offset.order &+ 1)
    }

    mutating func stage(_ partition: NamedPartition, _ offset: CommittedOffset, producerID: Int64) {
        pending[producerID, default: [:]][partition] = offset
        nextOrder = max(nextOrder, offset.order &+ 1)
    }

    mutating func forget(_ partition: NamedPartition) { committed[partition] = nil }

    mutating func unstage(_ partition: NamedPartition, producerID: Int64) {
        pending[producerID]?[partition] = nil
        if pending[producerID]?.isEmpty == true { pending[producerID] = nil }
    }

    /// Takes out what the producer's transaction staged, in ascending order.
    mutating func takePending(_ producerID: Int64) -> [(partition: NamedPartition, offset: CommittedOffset)] {
        let staged = pending.removeValue(forKey: producerID) ?? [:]
        return staged.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    // MARK: entries

    static let valueVersion: UInt8 = 1

    static func key(_ group: String, _ partition: NamedPartition) -> [UInt8] {
        var writer = EntryWriter()
        writer.byte(0)
        writer.text(group)
        writer.text(partition.topic)
        writer.number(partition.partition)
        return writer.bytes
    }

    static func pendingKey(_ group: String, _ partition: NamedPartition, producerID: Int64) -> [UInt8] {
        var writer = EntryWriter()
        writer.byte(1)
        writer.text(group)
        writer.text(partition.topic)
        writer.number(partition.partition)
        writer.number(producerID)
        return writer.bytes
    }

    static func value(_ offset: CommittedOffset) -> [UInt8] {
        var writer = EntryWriter()
        writer.byte(valueVersion)
        writer.number(offset.offset)
        writer.number(offset.leaderEpoch)
        writer.text(offset.metadata)
        writer.number(offset.commitMillis)
        writer.number(offset.expiryMillis ?? -1)
        writer.number(offset.order)
        return writer.bytes
    }
}

extension GroupCoordinator {
    func loadOffsetEntry(key: [UInt8], value: [UInt8]) throws(CoordinatorLoadError) {
        let (groupID, partition, producerID) = try readKey(.offset, key) { reader throws(ByteError) in
            let isPending = try reader.byte() == 1
            let group = try reader.text()
            let topic = try reader.text()
            let partition = NamedPartition(topic, try reader.number())
            return (group, partition, isPending ? try reader.number(Int64.self) : nil)
        }
        let offset = try readEntry(.offset, key: key, value: value, version: GroupOffsets.valueVersion) { reader throws(ByteError) in
            let offset: Int64 = try reader.number()
            let leaderEpoch: Int32 = try reader.number()
            let metadata = try reader.text()
            let commitMillis: Int64 = try reader.number()
            let expiryMillis: Int64 = try reader.number()
            return CommittedOffset(
                offset: offset, leaderEpoch: leaderEpoch, metadata: metadata, commitMillis: commitMillis,
                expiryMillis: expiryMillis < 0 ? nil : expiryMillis, order: try reader.number())
        }
        let group: Group
        if let known = groups[groupID] {
            group = known
        } else {
            group = Group(id: groupID, kind: .classic(ClassicGroup()))
            groups[groupID] = group
        }
        if let producerID {
            group.offsets.stage(partition, offset, producerID: producerID)
        } else {
            group.offsets.commit(partition, offset)
        }
    }
}
