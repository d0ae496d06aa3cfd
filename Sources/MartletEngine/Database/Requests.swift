internal import MartletColumns
internal import MartletCore
internal import Synchronization

/// Names a table or view for as long as it lives, whatever it is called.
struct RelationID: Hashable, Comparable, Sendable {
    let raw: UInt32

    init(_ raw: UInt32) { self.raw = raw }
    static func < (left: RelationID, right: RelationID) -> Bool { left.raw < right.raw }
}

/// How a thread waits for another: `MartletPlatform`'s `WakeSignal`, or in a program of one thread, whatever makes the
/// other's work happen.
package protocol WaitSignal: AnyObject, Sendable {
    var ticket: UInt32 { get }
    func notify()
    /// Returns once there was a notify after `ticket` was taken, or after the time (negative: never).
    @discardableResult
    func wait(after ticket: UInt32, timeoutNanos: Int64) -> Bool
}

/// What is asked of the next tick.
enum Request: Sendable {
    /// All of them or none.
    case write([TableWrite])
    /// Statements that define; those of one text that run are compiled together.
    case define(DefinitionText)
    /// Nothing but to be answered: all that was asked before is then visible.
    case flush
    /// What is being filled is not to come.
    case abandon(Abandoned)
    /// How far the counters are that number rows, which else goes with the next rows.
    case keepNumbers
}

enum Abandoned: Sendable {
    /// What was defined with this ticket.
    case creation(Ticket)
    /// Units, by number.
    case jobs([Int64])
}

/// Definitions as text, with what their meaning depends on besides the catalog.
struct DefinitionText: Sendable {
    var text: String
    /// Where unqualified names are looked for and new objects go.
    var searchPath: [String]
    /// Skips what exists already (files given at every start).
    var isRepeatable = false
    /// Who defines does not wait until it is filled. Not kept: it changes nothing.
    var isBackground = false
}

/// What became of a request.
struct Answer: Sendable {
    var tag = ""
    var notices: [String] = []
    /// The tick at which it entered.
    var tick: UInt64 = 0
}

enum Verdict: Sendable {
    case done(Answer)
    case refused(SQLError)
    /// Computed from rows that changed by the given tick.
    case conflict(tick: UInt64)
}

/// A request's answer, waited for by one thread. Any thread may give it, once.
final class Ticket: Sendable {
    private let verdict = Mutex<Verdict?>(nil)
    private let signal: any WaitSignal

    init(_ signal: any WaitSignal) { self.signal = signal }

    func answer(_ given: Verdict) {
        verdict.withLock { $0 = given }
        signal.notify()
    }

    /// nil: not within the time.
    func wait(timeoutNanos: Int64 = -1, while isWanted: () -> Bool = { true }) -> Verdict? {
        while true {
            let ticket = signal.ticket
            if let verdict = verdict.withLock({ $0 }) { return verdict }
            if !isWanted() { return nil }
            if !signal.wait(after: ticket, timeoutNanos: timeoutNanos), timeoutNanos >= 0 { return verdict.withLock { $0 } }
        }
    }
}

/// Requests on their way to the driver, in order. Any thread puts, the driver takes.
final class RequestQueue: Sendable {
    /// Writes of more rows than this wait for a later tick, unless they are the first.
    static let rowsPerTickMax = 1 << 20

    private struct State {
        var waiting: [(Request, Ticket)] = []
        var closed: SQLError?
    }

    private let state = Mutex(State())

    func put(_ request: Request, _ ticket: Ticket) {
        let refusal: SQLError? = state.withLock { state in
            if state.closed == nil { state.waiting.append((request, ticket)) }
            return state.closed
        }
        if let refusal { ticket.answer(.refused(refusal)) }
    }

    var isEmpty: Bool { state.withLock { $0.waiting.isEmpty } }
    var hasDefinition: Bool {
        state.withLock { $0.waiting.contains { if case .define = $0.0 { true } else { false } } }
    }

    /// As many as fit a tick. A definition comes alone, so that others see a settled catalog.
    func take() -> [(Request, Ticket)] {
        state.withLock { state in
            var rows = 0
            var count = 0
            taking: for (request, _) in state.waiting {
                switch request {
                case .write(let writes):
                    rows += writes.reduce(0) { $0 + $1.rowCount }
                    if count > 0, rows > RequestQueue.rowsPerTickMax { break taking }
                case .define, .abandon:
                    if count > 0 { break taking }
                    count = 1
                    break taking
                case .flush, .keepNumbers: break
                }
                count += 1
            }
            let taken = Array(state.waiting.prefix(count))
            state.waiting.removeFirst(count)
            return taken
        }
    }

    /// Nothing more will be carried out.
    func close(_ error: SQLError) {
        let left = state.withLock { state in
            state.closed = error
            defer { state.waiting = [] }
            return state.waiting
        }
        for (_, ticket) in left { ticket.answer(.refused(error)) }
    }
}

extension TableWrite {
    var rowCount: Int { removed.reduce(0) { $0 + $1.count } + inserted.reduce(0) { $0 + $1.count } }
}
