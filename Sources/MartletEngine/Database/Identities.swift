internal import MartletCore
internal import MartletSQL
internal import Synchronization

/// The counters behind columns that number their rows, by table. Sessions draw from them; a number drawn is never drawn again,
/// whatever becomes of its row. A tick with writes records how far they are, so that no number of a durable row comes again
/// after a restart. Any thread.
final class Identities: Sendable {
    private struct State {
        /// The number drawn last.
        var last: [RelationID: Int64] = [:]
        /// Drawn from since the last record.
        var moved: Set<RelationID> = []
        /// How far numbers may be drawn that no write records: that many are gone after a crash.
        var reserved: [RelationID: Reserved] = [:]
    }

    private struct Reserved {
        var last: Int64
        var isUpwards: Bool

        func covers(_ number: Int64) -> Bool { isUpwards ? number <= last : number >= last }
    }

    /// As many as PostgreSQL records ahead.
    private static let reservedCount: Int64 = 32

    private let state = Mutex(State())

    /// The next number. 2200H where there is none. `name`: what it is called in errors.
    func draw(_ table: RelationID, _ identity: TableColumn.Identity, _ name: String) throws(SQLError) -> Int64 {
        let drawn: Int64? = state.withLock { state in
            let (next, overflow) = state.last[table].map { $0.addingReportingOverflow(identity.increment) } ?? (identity.start, false)
            if overflow || !identity.bounds.contains(next) { return nil }
            state.last[table] = next
            state.moved.insert(table)
            return next
        }
        guard let drawn else {
            let isUpwards = identity.increment > 0
            let end = isUpwards ? identity.bounds.upperBound : identity.bounds.lowerBound
            throw SQLError(SQLState("2200H"), "nextval: reached \(isUpwards ? "maximum" : "minimum") value of sequence \"\(name)\" (\(end))")
        }
        return drawn
    }

    /// After a number was drawn for itself, not for a row: true where it must be recorded before anybody sees it
    /// (`Database.keepNumbers`), and some more with it.
    func reserve(_ table: RelationID, _ identity: TableColumn.Identity) -> Bool {
        state.withLock { state in
            guard let last = state.last[table] else { return false }
            if let reserved = state.reserved[table], reserved.covers(last) { return false }
            let isUpwards = identity.increment > 0
            let (more, isFar) = identity.increment.multipliedReportingOverflow(by: Identities.reservedCount - 1)
            let (end, isFarther) = last.addingReportingOverflow(more)
            let bound = isUpwards ? identity.bounds.upperBound : identity.bounds.lowerBound
            let isBeyond = isFar || isFarther || !identity.bounds.contains(end)
            state.reserved[table] = Reserved(last: isBeyond ? bound : end, isUpwards: isUpwards)
            state.moved.insert(table)
            return true
        }
    }

    /// `next` is what is drawn next.
    func set(_ table: RelationID, next: Int64, _ identity: TableColumn.Identity) {
        state.withLock { state in
            state.last[table] = next.subtractingReportingOverflow(identity.increment).partialValue
            state.reserved[table] = nil
            state.moved.insert(table)
        }
    }

    /// What was drawn last; nil: nothing.
    func last(_ table: RelationID) -> Int64? { state.withLock { $0.last[table] } }

    /// As recorded or saved.
    func set(_ table: RelationID, last: Int64) { state.withLock { $0.last[table] = last } }

    /// What was drawn from since it was asked last, for the record.
    func takeMoved() -> [(table: RelationID, last: Int64)] {
        state.withLock { state in
            defer { state.moved = [] }
            return state.moved.sorted().compactMap { table in
                guard let last = state.last[table] else { return nil }
                return (table, state.reserved[table].map { $0.covers(last) ? $0.last : last } ?? last)
            }
        }
    }

    /// All of them, by table, for a saved state. Records before it will not be looked at: nothing is reserved any more.
    func takeAll() -> [(table: RelationID, last: Int64)] {
        state.withLock { state in
            state.reserved = [:]
            return state.last.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        }
    }
}

extension Database {
    /// Returns once how far counters are is durable: a row may never come. For a session's thread.
    func keepNumbers(_ limits: StatementLimits) throws(SQLError) {
        let ticket = Ticket(surroundings.makeSignal())
        queue.put(.keepNumbers, ticket)
        surroundings.wake()
        while true {
            try limits.check()
            guard let verdict = ticket.wait(timeoutNanos: 20_000_000, while: { limits.reason == nil }) else { continue }
            if case .refused(let error) = verdict { throw error }
            return
        }
    }
}

/// The numbers that a session has drawn: what `currval` and `lastval` answer. Any thread.
final class DrawnNumbers: Sendable {
    private let state = Mutex<(byTable: [RelationID: Int64], last: RelationID?)>(([:], nil))

    func note(_ table: RelationID, _ number: Int64, isDrawn: Bool = true) {
        state.withLock { state in
            state.byTable[table] = number
            if isDrawn { state.last = table }
        }
    }

    subscript(table: RelationID) -> Int64? { state.withLock { $0.byTable[table] } }
    var last: Int64? { state.withLock { state in state.last.flatMap { state.byTable[$0] } } }
    func forget() { state.withLock { $0 = ([:], nil) } }
}
