internal import MartletCore
internal import MartletLog

/// A transactional id and its transaction, in memory.
final class Transaction {
    enum State: UInt8 {
        /// A producer has introduced itself; nothing since.
        case empty = 0
        case ongoing = 1
        case committed = 2
        case aborted = 3
    }

    let id: String
    var producerID: Int64
    /// The one epoch that may act.
    var epoch: Int16
    /// The epoch (and producer id) that the producer at `epoch` had before, if the change was its own wish: a repeated
    /// request under it is answered like the first. −1: whoever has another epoch is a stranger.
    var formerProducerID: Int64 = -1
    var formerEpoch: Int16 = -1
    var timeoutMillis: Int32
    var state = State.empty
    /// Wall clock; −1 unless ongoing.
    var startMillis: Int64 = -1
    /// Wall clock, of the last change.
    var updateMillis: Int64
    var partitions: Set<TopicPartition> = []
    var groupIDs: Set<String> = []

    /// Monotonic; while ongoing.
    var deadline: Int64 = .max
    /// The deadline this id is queued for.
    var armedAt: Int64 = .max
    /// The end that the log has not yet taken. Until then nobody may act for this id.
    var ending: TransactionEnding?

    init(id: String, producerID: Int64, epoch: Int16, timeoutMillis: Int32, updateMillis: Int64) {
        self.id = id
        self.producerID = producerID
        self.epoch = epoch
        self.timeoutMillis = timeoutMillis
        self.updateMillis = updateMillis
    }

    var stateName: String {
        if let ending { return ending.end.isCommit ? "PrepareCommit" : "PrepareAbort" }
        switch state {
        case .empty: return "Empty"
        case .ongoing: return "Ongoing"
        case .committed: return "CompleteCommit"
        case .aborted: return "CompleteAbort"
        }
    }

    static let stateNames = ["Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort"]

    /// 2¹⁵ − 1 is the last epoch; the one before is the last that a producer gets, so that a fence always has one left.
    static let epochMax: Int16 = .max - 1

    // MARK: entries

    static let valueVersion: UInt8 = 1

    var saved: EntryChange { EntryChange(.transaction, key: Array(id.utf8), value: encoded()) }

    private func encoded() -> [UInt8] {
        var writer = EntryWriter()
        writer.byte(Transaction.valueVersion)
        writer.number(producerID)
        writer.number(epoch)
        writer.number(formerProducerID)
        writer.number(formerEpoch)
        writer.number(timeoutMillis)
        writer.byte(state.rawValue)
        writer.number(startMillis)
        writer.number(updateMillis)
        writer.list(partitions.sorted()) { $0.partition($1) }
        writer.list(groupIDs.sorted()) { $0.text($1) }
        return writer.bytes
    }

    static func load(key: [UInt8], value: [UInt8]) throws(CoordinatorLoadError) -> Transaction {
        try readEntry(.transaction, key: key, value: value, version: valueVersion) { reader throws(ByteError) in
            let producerID: Int64 = try reader.number()
            let epoch: Int16 = try reader.number()
            let formerProducerID: Int64 = try reader.number()
            let formerEpoch: Int16 = try reader.number()
            let timeoutMillis: Int32 = try reader.number()
            let state = try reader.byte()
            let startMillis: Int64 = try reader.number()
            let transaction = Transaction(
                id: String(decoding: key, as: UTF8.self), producerID: producerID, epoch: epoch, timeoutMillis: timeoutMillis,
                updateMillis: try reader.number())
            transaction.formerProducerID = formerProducerID
            transaction.formerEpoch = formerEpoch
            transaction.state = State(rawValue: state) ?? .empty
            transaction.startMillis = startMillis
            transaction.partitions = Set(try reader.list { reader throws(ByteError) in try reader.partition() })
            transaction.groupIDs = Set(try reader.list { reader throws(ByteError) in try reader.text() })
            return transaction
        }
    }
}
