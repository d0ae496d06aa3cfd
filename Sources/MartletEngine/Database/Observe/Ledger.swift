internal import MartletCore
internal import MartletDataflow
internal import Synchronization

/// What happened lately, for those who ask: commits, reasons why rows were refused, sessions. Any thread; bounded.
final class Ledger: Sendable {
    struct Commit: Sendable {
        var tick: UInt64
        /// When its changes became visible, microseconds since 1970.
        var micros: Int64
        /// Of tables and views.
        var rows: Int
        var relations: Int
    }

    /// Rows refused for one reason.
    struct Refusal: Sendable {
        var object: String
        var code: String
        /// The last one's.
        var message: String
        var count: UInt64
        var firstMicros: Int64
        var lastMicros: Int64
    }

    struct Session: Sendable {
        var number: Int
        var client: SessionClient
        var openedMicros: Int64
        var state: String
        var statement = ""
        /// When it entered that state.
        var sinceMicros: Int64
        var statements: UInt64 = 0
    }

    private struct State {
        /// Of open sessions, what ends what they are carrying out.
        var cancels: [Int: @Sendable () -> Void] = [:]
        var commits: [Commit] = []
        var refusals: [String: Refusal] = [:]
        var sessions: [Int: Session] = [:]
        var nextSession = 1
    }

    private let state = Mutex(State())

    private static let commitsMax = 256
    private static let refusalsMax = 1000
    /// Of a statement's text, for a listing.
    private static let statementMax = 1024

    // MARK: Commits

    func committed(_ tick: UInt64, _ micros: Int64, rows: Int, relations: Int) {
        state.withLock { state in
            if state.commits.count == 2 * Ledger.commitsMax { state.commits.removeFirst(Ledger.commitsMax) }
            state.commits.append(Commit(tick: tick, micros: micros, rows: rows, relations: relations))
        }
    }

    /// The last ones, newest first.
    var commits: [Commit] { state.withLock { $0.commits.suffix(Ledger.commitsMax).reversed() } }

    // MARK: Refusals

    func refused(_ letters: [(object: String, code: String, message: String)], at micros: Int64) {
        guard !letters.isEmpty else { return }
        state.withLock { state in
            for letter in letters {
                let key = letter.object + "\n" + letter.code
                if var known = state.refusals[key] {
                    known.count += 1
                    known.message = letter.message
                    known.lastMicros = micros
                    state.refusals[key] = known
                } else if state.refusals.count < Ledger.refusalsMax {
                    state.refusals[key] = Refusal(
                        object: letter.object, code: letter.code, message: letter.message, count: 1, firstMicros: micros, lastMicros: micros)
                }
            }
        }
    }

    var refusals: [Refusal] {
        state.withLock { $0.refusals.values.sorted { ($0.lastMicros, $0.object, $0.code) > ($1.lastMicros, $1.object, $1.code) } }
    }

    // MARK: Sessions

    /// The session's number among those open. `cancel` ends what it is carrying out; any thread may call it.
    func opened(_ client: SessionClient, at micros: Int64, cancel: @escaping @Sendable () -> Void) -> Int {
        state.withLock { state in
            defer { state.nextSession += 1 }
            state.cancels[state.nextSession] = cancel
            state.sessions[state.nextSession] = Session(
                number: state.nextSession, client: client, openedMicros: micros, state: "idle", sinceMicros: micros)
            return state.nextSession
        }
    }

    /// `statement` nil: the last one stays what it was.
    func entered(_ session: Int, _ now: String, statement: String? = nil, at micros: Int64) {
        state.withLock { state in
            guard var known = state.sessions[session] else { return }
            if let statement {
                known.statement = String(statement.prefix(Ledger.statementMax))
                known.statements += 1
            }
            known.state = now
            known.sinceMicros = micros
            state.sessions[session] = known
        }
    }

    func closed(_ session: Int) {
        state.withLock { state in
            state.sessions[session] = nil
            state.cancels[session] = nil
        }
    }

    /// Ends what the session of a process id is carrying out; false: there is none.
    func cancel(_ processID: Int32) -> Bool {
        let cancel = state.withLock { state in
            state.sessions.values.first { $0.client.processID == processID }.flatMap { state.cancels[$0.number] }
        }
        cancel?()
        return cancel != nil
    }

    /// Ends the connection of a process id; false: there is none.
    func terminate(_ processID: Int32) -> Bool {
        let client = state.withLock { state in state.sessions.values.first { $0.client.processID == processID }?.client }
        client?.terminate?()
        return client?.terminate != nil
    }

    /// In the order of their opening.
    var sessions: [Session] { state.withLock { $0.sessions.values.sorted { $0.number < $1.number } } }
}
