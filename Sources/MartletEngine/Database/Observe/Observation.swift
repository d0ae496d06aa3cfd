package import MartletCore
internal import MartletDataflow
internal import MartletSQL
internal import Synchronization

/// What the driver knows of a database's work, between two ticks. A value: the driver takes it when somebody asks, anybody
/// reads it.
struct Observation: Sendable {
    struct Partition: Sendable {
        var standing: PartitionStanding
        /// What it has yet to read, where that is known.
        var backlog: SourceBacklog?
        /// Passed over, since the pipeline could not keep up.
        var dropped: UInt64
    }

    struct Source: Sendable {
        var name: String
        var watermark: Watermark
        var partitions: [Partition]
        var failure: SQLError?

        var rows: UInt64 { partitions.reduce(0) { $0 + $1.standing.rows } }
        var rejected: UInt64 { partitions.reduce(0) { $0 + $1.standing.rejected } }
        var skipped: UInt64 { partitions.reduce(0) { $0 + $1.standing.skipped } }
        var dropped: UInt64 { partitions.reduce(0) { $0 + $1.dropped } }
        var isFinished: Bool { !partitions.isEmpty && partitions.allSatisfy(\.standing.isFinished) }
    }

    struct Operator: Sendable {
        /// In its unit's graph; inputs lie before.
        var node: Int
        var view: String?
        var name: String
        var detail: String
        var stage: Int
        var inputs: [Int]
        var figures: NodeFigures
        /// How far event time is here, and how far it must come before something that is kept leaves.
        var watermark: Watermark
        var awaited: Watermark?
    }

    struct View: Sendable {
        var name: String
        var counters: ViewCounters
        /// Of the rows that leave it.
        var watermark: Watermark?
    }

    struct Unit: Sendable {
        var id: UInt32
        var objects: [RelationID]
        var views: [View]
        var operators: [Operator]
        var failure: SQLError?
        var isPaused: Bool
        /// What was there before it (`Database.filling`): taken in, and in all; nil: it has joined.
        var filling: (done: Int, total: Int)?
        /// Since when that is done, in this process, and how much was done by then.
        var fillingSince: (ageNanos: Int64, done: Int)?
        /// Some of that lies in sources.
        var isReadingHistory: Bool
        /// It was there before, and catches up with what came while it was paused.
        var isResuming: Bool
        /// Since it began, in this process.
        var ageNanos: Int64
        /// Of that, how long ticks had to wait for the log or for sinks.
        var blockedNanos: Int64
        var shards: Int

        /// What an operator's time went into: shares that sum to one.
        func shares(of figures: NodeFigures) -> (busy: Double, idle: Double, backpressured: Double) {
            let whole = Double(max(ageNanos, 1)) * Double(shards)
            let busy = min(Double(figures.busyNanos) / whole, 1)
            let blocked = min(Double(blockedNanos) / Double(max(ageNanos, 1)), 1 - busy)
            return (busy, 1 - busy - blocked, blocked)
        }
    }

    var wallMicros: Int64
    /// The last tick carried out; it may not be durable yet.
    var tick: UInt64
    var units: [Unit]
    var sources: [Source]

    /// What is being filled, with its share done and the seconds left, where that can be told.
    var jobs: [(unit: Unit, done: Int, total: Int, seconds: Double, secondsLeft: Double?)] {
        units.compactMap { unit in
            guard let (done, total) = unit.filling, unit.failure == nil, !(unit.isPaused && unit.isResuming) else { return nil }
            guard let (age, before) = unit.fillingSince else { return (unit, done, total, 0, nil) }
            let seconds = Double(age) / 1e9
            return (unit, done, total, seconds, done > before ? seconds * Double(total - done) / Double(done - before) : nil)
        }
    }

    func unit(of object: RelationID) -> Unit? { units.first { $0.objects.contains(object) } }
}

/// What a partition of a source has yet to read.
package struct SourceBacklog: Sendable {
    /// Where the next record lies, and how many there are from there on.
    package var position: Int64
    package var records: Int64
    /// When the first of them was written, milliseconds since 1970, where that is at hand.
    package var oldestMillis: Int64?

    package init(position: Int64, records: Int64, oldestMillis: Int64?) {
        self.position = position
        self.records = records
        self.oldestMillis = oldestMillis
    }
}

/// What becomes of ticks once they are carried out, and what the driver's time goes into.
package struct DriverStanding: Sendable {
    package var busyNanos: Int64 = 0
    package var idleNanos: Int64 = 0
    /// Ticks had to wait for the log or for sinks.
    package var blockedNanos: Int64 = 0
    /// Ticks that are not durable yet.
    package var ticksInFlight = 0
    /// What sinks outside the log have yet to get, by target.
    package var waiting: [(target: String, ticks: Int, bytes: Int)] = []
    /// More than this, and ticks wait.
    package var waitingBytesMax = 0
    /// The sink that cannot be written to for the moment.
    package var away: SinkAway?

    package init() {}

    var waitingBytes: Int { waiting.reduce(0) { $0 + $1.bytes } }
}

package struct SinkAway: Sendable {
    package var target: String
    package var error: SQLError
    /// Monotonic.
    package var sinceNanos: Int64
}

/// Where sessions ask for an observation and the driver gives it.
final class Observer: Sendable {
    private struct State {
        var latest: Observation?
        var count: UInt64 = 0
        var waiting: [any WaitSignal] = []
    }

    private let state = Mutex(State())
    private let isWanted = Atomic<Bool>(false)

    /// A tick may take long; then what was known before has to do.
    private static let patienceNanos: Int64 = 20_000_000
    private static let attemptsMax = 25

    /// The newest that the driver knows; nil: it has not begun yet. Any thread but the driver's.
    func ask(_ signal: any WaitSignal, wake: () -> Void) -> Observation? {
        let before = state.withLock { state in
            state.waiting.append(signal)
            return state.count
        }
        isWanted.store(true, ordering: .sequentiallyConsistent)
        wake()
        for _ in 0..<Observer.attemptsMax {
            let ticket = signal.ticket
            if state.withLock({ $0.count > before }) { break }
            signal.wait(after: ticket, timeoutNanos: Observer.patienceNanos)
        }
        return state.withLock { $0.latest }
    }

    /// The driver's, between ticks.
    func giveIfWanted(_ take: () -> Observation) {
        guard isWanted.exchange(false, ordering: .sequentiallyConsistent) else { return }
        let taken = take()
        let waiting = state.withLock { state in
            state.latest = taken
            state.count += 1
            defer { state.waiting = [] }
            return state.waiting
        }
        for signal in waiting { signal.notify() }
    }
}

extension Database {
    /// Tells those who ask how things stand. Driver's thread, between ticks.
    package func giveObservation() { observer.giveIfWanted { observation() } }

    private func observation() -> Observation {
        Observation(
            wallMicros: surroundings.clock.wallMicros(), tick: tick, units: units.map { observe($0) }, sources: observedSources())
    }

    private func observedSources() -> [Observation.Source] {
        sources.values.sorted { $0.id < $1.id }.map { shared in
            let partitions = shared.circuit.standings(of: 0).map { standing in
                let reader = shared.partitions[standing.partition]
                return Observation.Partition(standing: standing, backlog: reader.backlog, dropped: reader.dropped)
            }
            return Observation.Source(name: shared.name, watermark: shared.watermark, partitions: partitions, failure: shared.failure)
        }
    }

    private func observe(_ unit: RunningUnit) -> Observation.Unit {
        let circuit = unit.pipeline.circuit
        let graph = circuit.graph
        let figures = circuit.figures
        let marks = circuit.marks
        let names = unit.viewNames(catalog)
        let operators = graph.nodes.enumerated().map { at, node in
            Observation.Operator(
                node: at, view: node.view.map { names[$0] }, name: node.name, detail: node.detail, stage: node.stage,
                inputs: node.inputs.map(\.index), figures: figures[at], watermark: marks[at].watermark, awaited: marks[at].awaited)
        }
        let views = graph.views.enumerated().map { at, name in
            Observation.View(
                name: names[at], counters: circuit.counters(of: at), watermark: unit.pipeline.taps[name].map { unit.pipeline.watermark(of: $0) })
        }
        let standing = surroundings.driverStanding()
        return Observation.Unit(
            id: unit.id, objects: unit.objects, views: views, operators: operators, failure: unit.failure, isPaused: unit.isPaused,
            filling: filling(of: unit),
            fillingSince: unit.fillingBegan.map { (surroundings.clock.monotonicNanos() - $0.nanos, $0.done) },
            isReadingHistory: unit.isCatchingUp, isResuming: unit.isCatchingUp && !unit.isNewcomer,
            ageNanos: surroundings.clock.monotonicNanos() - unit.began.nanos, blockedNanos: standing.blockedNanos - unit.began.blockedNanos,
            shards: circuit.shardCount)
    }
}
