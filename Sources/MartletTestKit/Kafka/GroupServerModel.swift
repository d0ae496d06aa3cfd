internal import MartletCore
internal import MartletKafka
internal import MartletLog

/// What simulated clients ask. Frames carry the number of a message; the messages themselves are in `GroupWorld`.
enum GroupRequest {
    case join(JoinCall)
    case sync(SyncCall)
    case heartbeat(MemberClaim)
    case leave(LeaveCall)
    case commit(OffsetCommitCall)
    case fetch(OffsetFetchCall)
    case consumerHeartbeat(ConsumerHeartbeatCall)
    case initProducer(InitProducerCall)
    case addPartitions(ProducerClaim, [TopicPartition], Int16)
    case addOffsets(ProducerClaim, String, Int16)
    case commitInTransaction(TxnOffsetCommitCall)
    case endTransaction(ProducerClaim, Bool, Int16)
    case produce(GroupProduce)
}

/// One transactional batch: the results of some input records, to one output partition.
struct GroupProduce {
    var claim: ProducerClaim
    var version: Int16
    var partition: TopicPartition
    /// Counts a producer's batches, so that a repeated one is known.
    var number: Int
    var input: Int32
    var offsets: Range<Int64>
}

enum GroupResponse {
    case answer(CoordinatorAnswer)
    case produced(ErrorCode)
}

/// For the trace: short, since there are very many.
extension GroupRequest {
    var words: String {
        switch self {
        case .join(let call): "join \(call.groupID) \(call.memberID) v\(call.version)"
        case .sync(let call): "sync \(call.claim.memberID) \(call.claim.generation) \(call.assignments.count)"
        case .heartbeat(let claim): "heartbeat \(claim.memberID) \(claim.generation)"
        case .leave(let call): "leave \(call.groupID) \(call.members.count)"
        case .commit(let call): "commit \(call.claim.memberID) \(call.claim.generation) \(call.partitions.map(\.offset))"
        case .fetch(let call): "fetch \(call.groups.first?.groupID ?? "")"
        case .consumerHeartbeat(let call):
            "beat \(call.memberID) \(call.memberEpoch) \(call.ownedPartitions?.map(\.partition) ?? [-1])"
        case .initProducer(let call): "init \(call.transactionalID ?? "")"
        case .addPartitions(let claim, _, _): "add partitions \(claim.producerID) \(claim.epoch)"
        case .addOffsets(let claim, _, _): "add offsets \(claim.producerID) \(claim.epoch)"
        case .commitInTransaction(let call):
            "commit in transaction \(call.producerID) \(call.producerEpoch) \(call.partitions.map(\.offset)) \(call.claim.generation)"
        case .endTransaction(let claim, let commits, _): "end \(claim.producerID) \(claim.epoch) \(commits)"
        case .produce(let batch): "produce \(batch.claim.producerID) \(batch.claim.epoch) \(batch.input)/\(batch.offsets)"
        }
    }
}

extension GroupResponse {
    var words: String {
        switch self {
        case .produced(let error): "produced \(error.rawValue)"
        case .answer(.join(let answer)): "join \(answer.error.rawValue) \(answer.memberID) \(answer.generation) \(answer.members.count)"
        case .answer(.sync(let answer)): "sync \(answer.error.rawValue) \(answer.assignment)"
        case .answer(.heartbeat(let error)): "heartbeat \(error.rawValue)"
        case .answer(.commitOffsets(let outcomes)): "commit \(outcomes.partitions.map(\.error.rawValue))"
        case .answer(.fetchOffsets(let groups)): "fetch \(groups.first?.partitions.map(\.offset) ?? [])"
        case .answer(.consumerHeartbeat(let answer)):
            "beat \(answer.error.rawValue) \(answer.memberEpoch) \(answer.assignment?.map(\.partition) ?? [-1])"
        case .answer(.initProducer(let answer)): "init \(answer.error.rawValue) \(answer.producerID) \(answer.producerEpoch)"
        case .answer(.addPartitions(let outcomes)): "add partitions \(outcomes.map(\.error.rawValue))"
        case .answer(.addOffsets(let error)): "add offsets \(error.rawValue)"
        case .answer(.endTransaction(let answer)): "end \(answer.error.rawValue) \(answer.producerEpoch)"
        case .answer: "something else"
        }
    }
}

/// A server around the real coordinators with a log of the simplest kind: a list of records, of which a prefix is
/// durable. Answers leave when what they wait for is durable; a crash forgets the rest of the list.
final class GroupServerModel {
    private enum Record {
        case entries([EntryChange])
        case produced(GroupProduce)
        case end(TransactionEnd)
        case producerID(Int64)
    }

    /// What the records come to. Everything visible is judged here, at every record.
    private struct Truth {
        var store: [EntrySpace: [[UInt8]: [UInt8]]] = [:]
        var open: [Int64: [GroupProduce]] = [:]
        var seen: Set<String> = []
        /// Input records whose results are committed, by input partition.
        var results: [Int32: Set<Int64>] = [:]
        var lastProducerID: Int64 = 0
    }

    private let options: GroupOptions
    private let seed: UInt64
    private var records: [Record] = []
    private var durableCount = 0
    private var truth = Truth()
    private var waiting: [(count: Int, connection: GroupConnection, response: GroupResponse)] = []
    private var tickets: [Ticket: GroupConnection] = [:]
    private var nextTicket: UInt64 = 0
    private var life: UInt64 = 0
    private var outbox = CoordinatorOutbox()
    private var groups: GroupCoordinator
    private var transactions: TransactionCoordinator
    /// Ends may be refused for a while, as by a log without room; everything behind them waits.
    private var backlog: [CoordinatorAction] = []
    var isFull = false
    private(set) var isUp = true
    private(set) var failures: [String] = []
    /// Highest offset seen of each group and partition in this life; never goes back within it.
    private var offsets: [String: Int64] = [:]
    /// Highest offset that a client has been told is committed; never goes back at all.
    private var toldOffsets: [String: Int64] = [:]
    private(set) var endCount = 0
    private var judgedCount = -1
    private var hasEnded = false
    let topics: [TopicFacts]
    /// The group whose members work exactly once, and where their results go.
    private let workers: String
    private let output: TopicID

    init(seed: UInt64, topics: [TopicFacts], workers: String, output: TopicID) {
        self.seed = seed
        self.topics = topics
        self.workers = workers
        self.output = output
        var options = GroupOptions()
        options.initialRebalanceDelayMillis = seed % 2 == 0 ? 0 : 500
        self.options = options
        groups = GroupCoordinator(options: options, outbox: outbox, entropy: SeededEntropy(seed: seed))
        transactions = TransactionCoordinator(options: TransactionOptions(), outbox: outbox, groups: groups) { nil }
    }

    // MARK: life

    func crash() {
        isUp = false
        records.removeLast(records.count - durableCount)
        waiting = []
        tickets = [:]
        backlog = []
    }

    func start(_ now: CoordinatorTime) {
        isUp = true
        life += 1
        judgedCount = -1
        truth = Truth()
        offsets = [:]
        for record in records { apply(record) }
        outbox = CoordinatorOutbox()
        groups = GroupCoordinator(options: options, outbox: outbox, entropy: SeededEntropy(seed: seed &+ life))
        transactions = TransactionCoordinator(options: TransactionOptions(), outbox: outbox, groups: groups) { [unowned self] in
            truth.lastProducerID += 1
            records.append(.producerID(truth.lastProducerID))
            return truth.lastProducerID
        }
        groups.topicsChanged(topics, now: now)
        do {
            try groups.load(groups: entries(.group), offsets: entries(.offset), now: now)
            try transactions.load(transactions: entries(.transaction), now: now)
        } catch {
            failures.append("a restart does not read what was committed: \(error)")
        }
        perform()
        judgeOffsets()
        judgeResults()
        for (name, told) in toldOffsets.sorted(by: { $0.key < $1.key }) where offsets[name, default: -1] < told {
            failures.append("\(name): \(told) was acknowledged and \(offsets[name, default: -1]) is there after a restart")
        }
    }

    private func entries(_ space: EntrySpace) -> [Entry] {
        (truth.store[space] ?? [:]).sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { Entry(key: $0.key, value: $0.value) }
    }

    var nextDeadlineMillis: Int64? {
        guard isUp else { return nil }
        let next = min(groups.nextDeadline ?? .max, transactions.nextDeadline ?? .max)
        return next == .max ? nil : next
    }

    func advance(_ now: CoordinatorTime) {
        guard isUp else { return }
        groups.advance(now: now)
        transactions.advance(now: now)
        perform()
    }

    /// Makes some of what is recorded durable, at least one record: the journal takes what is there when its turn comes,
    /// be it between two records of one call. Returns the answers that may leave.
    func sync(_ random: inout SplitMix64) -> [(connection: GroupConnection, response: GroupResponse)] {
        guard isUp else { return [] }
        let open = records.count - durableCount
        if open > 0 { durableCount += random.chance(0.3) ? 1 + random.below(open) : open }
        defer { waiting.removeAll { $0.count <= durableCount } }
        return waiting.filter { $0.count <= durableCount }.map { ($0.connection, $0.response) }
    }

    /// Records wait that came with durable ones: a crash now falls between them.
    var isTorn: Bool { isUp && durableCount < records.count }

    var hasUnsynced: Bool { isUp && (!waiting.isEmpty || durableCount < records.count) }

    /// The log has room again.
    func makeRoom() {
        isFull = false
        guard isUp else { return }
        perform()
    }

    // MARK: requests

    func receive(_ request: GroupRequest, from connection: GroupConnection, _ now: CoordinatorTime) {
        guard isUp else { return }
        nextTicket += 1
        let ticket = Ticket(nextTicket)
        tickets[ticket] = connection
        switch request {
        case .join(let call): groups.join(call, ticket: ticket, now: now)
        case .sync(let call): groups.sync(call, ticket: ticket, now: now)
        case .heartbeat(let claim): groups.heartbeat(claim, ticket: ticket, now: now)
        case .leave(let call): groups.leave(call, ticket: ticket, now: now)
        case .commit(let call): groups.commitOffsets(call, ticket: ticket, now: now)
        case .fetch(let call): groups.fetchOffsets(call, ticket: ticket, now: now)
        case .consumerHeartbeat(let call): groups.consumerHeartbeat(call, ticket: ticket, now: now)
        case .initProducer(let call): transactions.initProducer(call, ticket: ticket, now: now)
        case .addPartitions(let claim, let partitions, let version):
            transactions.addPartitions(claim, partitions, version: version, ticket: ticket, now: now)
        case .addOffsets(let claim, let group, let version):
            transactions.addOffsets(claim, groupID: group, version: version, ticket: ticket, now: now)
        case .commitInTransaction(let call): transactions.commitOffsets(call, ticket: ticket, now: now)
        case .endTransaction(let claim, let commits, let version):
            transactions.endTransaction(claim, commits: commits, version: version, ticket: ticket, now: now)
        case .produce(let batch):
            tickets[ticket] = nil
            // As the server: no batch overtakes the coordinators' records. (It tries again; here the client does, unanswered.)
            guard backlog.isEmpty else { break }
            let verdict = transactions.admitProduce(batch.claim, [batch.partition], version: batch.version, now: now)
            perform()
            guard backlog.isEmpty else { break }
            let error = verdict.first?.error ?? .noError
            if error == .noError {
                let record = Record.produced(batch)
                records.append(record)
                apply(record)
            }
            waiting.append((records.count, connection, .produced(error)))
        }
        perform()
        judgeOffsets()
    }

    private func perform() {
        backlog += outbox.take()
        while let action = backlog.first {
            switch action {
            case .commit(let entries, _): record(.entries(entries))
            case .endTransaction(let ending):
                if isFull { return }
                record(.end(ending.end))
                transactions.ended(ending)
                endCount += 1
                hasEnded = true
            case .answer(let ticket, let answer):
                if let connection = tickets.removeValue(forKey: ticket) {
                    waiting.append((records.count, connection, .answer(answer)))
                } else {
                    failures.append("\(ticket) is answered twice")
                }
            }
            backlog.removeFirst()
        }
        // The coordinators' memory is ahead of the records while some of them wait.
        if hasEnded { judgeResults() }
        hasEnded = false
    }

    private func record(_ record: Record) {
        records.append(record)
        apply(record)
    }

    private func apply(_ record: Record) {
        switch record {
        case .entries(let changes): apply(changes)
        case .producerID(let id): truth.lastProducerID = max(truth.lastProducerID, id)
        case .produced(let batch):
            // The log answers a repeated batch without appending it.
            let name = "\(batch.claim.producerID) \(batch.claim.epoch) \(batch.number)"
            if truth.seen.insert(name).inserted { truth.open[batch.claim.producerID, default: []].append(batch) }
        case .end(let end):
            apply(end.entries)
            let batches = truth.open.removeValue(forKey: end.producerID) ?? []
            for batch in batches {
                if !end.partitions.contains(batch.partition) {
                    failures.append("producer \(end.producerID) wrote to \(batch.partition), which gets no marker")
                }
                guard end.isCommit else { continue }
                for offset in batch.offsets where !truth.results[batch.input, default: []].insert(offset).inserted {
                    failures.append("input \(batch.input)/\(offset) has two committed results")
                }
            }
        }
    }

    private func apply(_ changes: [EntryChange]) {
        for change in changes { truth.store[change.space, default: [:]][change.key] = change.value }
    }

    // MARK: what must hold

    private func name(_ group: String, _ partition: NamedPartition) -> String { "\(group) \(partition.topic)/\(partition.partition)" }

    /// A client was answered that its commit stands.
    func told(_ group: String, _ partition: NamedPartition, _ offset: Int64) {
        let name = name(group, partition)
        toldOffsets[name] = max(toldOffsets[name] ?? -1, offset)
    }

    /// What a reader that asks now must at least get.
    func toldOffset(_ group: String, _ partition: NamedPartition) -> Int64 { toldOffsets[name(group, partition)] ?? -1 }

    private func judgeOffsets() {
        guard backlog.isEmpty, records.count != judgedCount else { return }
        judgedCount = records.count
        for committed in groups.committedOffsets() {
            let name = name(committed.groupID, committed.partition)
            if committed.offset < offsets[name] ?? -1 {
                failures.append("\(name): the committed offset went back from \(offsets[name] ?? -1) to \(committed.offset)")
            }
            offsets[name] = max(offsets[name] ?? -1, committed.offset)
        }
    }

    /// Offsets and results of the workers are true together: each input below the offset has one result, none above has.
    private func judgeResults() {
        for committed in groups.committedOffsets() where committed.groupID == workers {
            let results = truth.results[committed.partition.partition] ?? []
            if Int64(results.count) != committed.offset || results.contains(where: { $0 >= committed.offset }) {
                failures.append("input \(committed.partition.partition) stands at \(committed.offset) with \(results.count) results")
            }
        }
    }

    /// The end of a run, when all is calm: how far each group got, and what is still open.
    func finalOffset(_ group: String, _ partition: NamedPartition) -> Int64 {
        groups.committedOffsets().first { $0.groupID == group && $0.partition == partition }?.offset ?? -1
    }

    var openTransactions: Int { truth.open.values.reduce(0) { $0 + $1.count } }
    func resultCount(_ input: Int32) -> Int { truth.results[input]?.count ?? 0 }
}

/// Where an answer goes: an incarnation of a client, and which of its requests.
struct GroupConnection: Equatable {
    var client: Endpoint
    var request: Int
}
