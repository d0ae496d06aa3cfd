import MartletColumns
import MartletCore
import MartletDataflow
import MartletEngine
import MartletSQL
import MartletState
import MartletTestKit
import Synchronization

/// A database on one thread: whoever waits makes the ticks happen.
final class DatabaseHarness: @unchecked Sendable {
    // Sendable: one thread has it.
    let connectors = ScriptedConnectors()
    let clock = SimulatedClock()
    private(set) var database: Database!
    private var main: (any SQLSession)!
    /// Records of all ticks so far, in order.
    private(set) var records: [[UInt8]] = []
    /// Called once, with the next tick carried out and not durable yet.
    var beforeSettling: (() -> Void)?
    private var settled: UInt64 = 0

    private final class Signal: WaitSignal {
        private let count = Atomic<UInt32>(0)
        private let drive: @Sendable () -> Void

        init(_ drive: @escaping @Sendable () -> Void) { self.drive = drive }

        var ticket: UInt32 { count.load(ordering: .relaxed) }
        func notify() { count.wrappingAdd(1, ordering: .relaxed) }

        func wait(after ticket: UInt32, timeoutNanos: Int64) -> Bool {
            drive()
            return true
        }
    }

    private struct Carried: @unchecked Sendable { let connectors: ScriptedConnectors }

    private final class Yields: Sendable { let count = Atomic<Int>(0) }

    /// How often a statement has left the processor to others.
    var yieldCount: Int { yields.count.load(ordering: .relaxed) }
    private let yields = Yields()

    init(shards: Int = 1) throws {
        let carried = Carried(connectors: connectors)
        var surroundings = DatabaseSurroundings(
            clock: clock, connectors: connectors, executor: SequentialExecutor(shards: shards),
            makeSignal: { [unowned self] in Signal { self.tick() } }, wake: {}, makeReaders: { carried.connectors })
        surroundings.yield = { [yields] in _ = yields.count.wrappingAdd(1, ordering: .relaxed) }
        surroundings.entropy = SeededEntropy(seed: 1)
        database = Database(PipelineOptions(shards: shards), surroundings)
        main = try session()
    }

    func session(_ database: String = "dev") throws(SQLError) -> any SQLSession {
        try self.database.open(SessionClient(user: "tester", database: database, parameters: [:], processID: 1))
    }

    func tick() {
        do {
            let step = try database.step(replaying: nil)
            if let record = step.record { records.append(record) }
            try write(step)
            if let hook = beforeSettling, step.record != nil {
                beforeSettling = nil
                hook()
            }
            // Ticks that are durable are not told of again.
            if settled < database.tick { settle() }
        } catch {
            preconditionFailure("a tick failed: \(error)")
        }
    }

    /// The saved state, as bytes.
    func saved() throws -> [UInt8] {
        var bytes: [UInt8] = []
        let writer = StateWriter { bytes += $0 }
        try database.save(into: writer)
        try writer.finish()
        return bytes
    }

    /// A database that has come back from a saved state and the records of the ticks after it.
    static func broughtBack(
        _ state: [UInt8], _ records: some Sequence<[UInt8]>, shards: Int = 1, scripts: [String: [[ScriptedRow]]] = [:], rowsPerPoll: Int = 1
    ) throws -> DatabaseHarness {
        let harness = try DatabaseHarness(shards: shards)
        harness.connectors.scripts = scripts
        harness.connectors.rowsPerPoll = rowsPerPoll
        try harness.restore(state)
        for record in records {
            try harness.write(try harness.database.step(replaying: record))
            harness.database.committed(through: harness.database.tick)
        }
        harness.settled = harness.database.tick
        return harness
    }

    func restore(_ state: [UInt8]) throws {
        let reader = StateReader(state)
        try database.restore(from: reader)
        try reader.finish()
    }

    /// What a tick says goes to its targets.
    private func write(_ step: TickStep) throws {
        for (target, part) in step.output.parts { try database.targets[target].write(part.bytes.bytes) }
    }

    private func settle() {
        settled = database.tick
        database.committed(through: settled)
    }

    /// Carries out a text: what each statement gives, a line a row, or its tag; an error as its SQLSTATE and message.
    @discardableResult
    func run(_ text: String, in session: (any SQLSession)? = nil) -> String {
        let session = session ?? main!
        var lines: [String] = []
        do throws(SQLError) {
            for (_, statement) in try session.split(text) {
                let prepared = try session.prepare(statement, parameterTypes: [])
                lines += try Self.lines(try session.execute(prepared, parameters: []))
            }
            try session.endImplicit(failed: false)
        } catch {
            try? session.endImplicit(failed: true)
            lines.append("\(error.state.code) \(error.message)")
        }
        return lines.joined(separator: "\n")
    }

    /// The same, rows sorted.
    func sorted(_ text: String) -> String { run(text).split(separator: "\n").sorted().joined(separator: "\n") }

    static func lines(_ outcome: SQLOutcome) throws(SQLError) -> [String] {
        switch outcome {
        case .done(let tag): return [tag]
        case .copyIn: return ["COPY IN"]
        case .rows(let cursor), .copyOut(_, let cursor):
            var lines: [String] = []
            while let batch = try cursor.next(rowsMax: 3) {
                for row in 0..<batch.count {
                    lines.append(batch.row(row).map { $0.isNull ? "NULL" : $0.text(in: .utc) }.joined(separator: " "))
                }
            }
            return lines
        }
    }
}
