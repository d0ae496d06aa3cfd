package import MartletCore
package import MartletDataflow
package import MartletState

/// Something that advances in ticks, each of which can become true as one commit, and that can be brought back to where a
/// commit left it: a pipeline, or a database of several.
///
/// What a tick does is a function of the state before it and of its *record*: what each partition gave, the clock, rows of
/// statements. So a record is all that a commit needs besides the outputs; state is saved from time to time (`save`), and
/// bringing it back is `restore` of the newest saved state, then `step(replaying:)` of every record after it.
///
/// Driven by one thread, except where a method says otherwise.
package protocol TickMachine: AnyObject {
    /// The last tick carried out, replayed ones included; 0 before the first.
    var tick: UInt64 { get }
    /// Where outputs go, by the ordinals that `TickOutput` uses. Changes only within `step`.
    var targets: [any SinkTarget] { get }
    /// One tick. Live (`record` nil) it takes what its inputs have now; otherwise what the record says, and the result equals
    /// what was committed with it.
    func step(replaying record: [UInt8]?) throws(SQLError) -> TickStep
    /// Everything up to `tick` is durable: it may be shown, and answered. Called on any thread, in order.
    func committed(through tick: UInt64)
    /// It should do a tick though targets lag behind: somebody may be about to drop the one that does.
    var mustStep: Bool { get }
    /// Begins to save the whole state after the last tick. What other threads may be changing is taken now, under its locks;
    /// what is returned writes the state and takes none, so that a forked copy of the process may call it.
    func beginSave() -> StateSave
    /// Into a machine made from the same definitions, before its first tick.
    func restore(from reader: StateReader) throws(SQLError)
}

/// Writes a state. Called before the machine's next tick, or in a copy of the process made before it.
package typealias StateSave = (StateWriter) throws(SQLError) -> Void

extension TickMachine {
    /// The whole state after the last tick.
    package func save(into writer: StateWriter) throws(SQLError) { try beginSave()(writer) }

    package var mustStep: Bool { false }
}

/// What one tick did.
package struct TickStep {
    package var report: TickReport
    /// What a replay must be given; nil: the tick took nothing and changed nothing, and needs no commit.
    package var record: [UInt8]?
    package var output: TickOutput

    package init(report: TickReport, record: [UInt8]?, output: TickOutput) {
        self.report = report
        self.record = record
        self.output = output
    }
}
