package import MartletCore
internal import Synchronization

/// How badly a network behaves. Shares are probabilities per frame.
package struct NetworkWeather: Sendable {
    package var dropShare: Double
    package var duplicateShare: Double
    /// Each frame takes a time from this range, so that later ones overtake earlier ones.
    package var delayNanos: ClosedRange<Int64>

    package init(dropShare: Double = 0, duplicateShare: Double = 0, delayNanos: ClosedRange<Int64> = 0...0) {
        self.dropShare = dropShare
        self.duplicateShare = duplicateShare
        self.delayNanos = delayNanos
    }
}

/// A network in virtual time that drops, delays, reorders and duplicates frames as its seed says, and can be cut.
package final class SimulatedNetwork: Network {
    private struct Flight {
        var arrivalNanos: Int64
        var sequence: Int
        var frame: Frame
    }

    private struct Cut: Hashable {
        var from: Endpoint
        var to: Endpoint
    }

    private struct State {
        var generator: SplitMix64
        var weather: NetworkWeather
        var flights: [Flight] = []
        var sent = 0
        var cuts: Set<Cut> = []
    }

    private let clock: SimulatedClock
    private let trace: Trace
    private let state: Mutex<State>

    package init(seed: UInt64, clock: SimulatedClock, weather: NetworkWeather = NetworkWeather(), trace: Trace = Trace()) {
        self.clock = clock
        self.trace = trace
        state = Mutex(State(generator: SplitMix64(seed: seed), weather: weather))
    }

    /// For frames sent from now on.
    package var weather: NetworkWeather {
        get { state.withLock { $0.weather } }
        set { state.withLock { $0.weather = newValue } }
    }

    /// Loses everything between the two, both ways, also what is under way, until `heal`.
    package func cut(_ one: Endpoint, _ other: Endpoint) {
        trace.note("cut \(one) \(other)")
        state.withLock { state in
            _ = state.cuts.insert(Cut(from: one, to: other))
            _ = state.cuts.insert(Cut(from: other, to: one))
        }
    }

    package func heal() {
        trace.note("heal")
        state.withLock { $0.cuts = [] }
    }

    package func send(_ frame: Frame) throws(IOError) {
        let now = clock.monotonicNanos()
        let copies = state.withLock { state in
            state.sent += 1
            // Drawn in a fixed order whatever they decide, so that a change of weather does not shift later draws.
            let isDropped = state.generator.chance(state.weather.dropShare)
            let isDoubled = state.generator.chance(state.weather.duplicateShare)
            let copies = isDropped ? 0 : isDoubled ? 2 : 1
            for copy in 0..<copies {
                let delay = state.generator.within(state.weather.delayNanos)
                state.flights.append(Flight(arrivalNanos: now + delay, sequence: state.sent * 2 + copy, frame: frame))
            }
            return copies
        }
        trace.note("send \(frame.from) \(frame.to) \(frame.bytes.count) x\(copies)")
    }

    package func receive(at endpoint: Endpoint) throws(IOError) -> Frame? {
        let now = clock.monotonicNanos()
        let arrived: Frame? = state.withLock { state in
            state.flights.removeAll { state.cuts.contains(Cut(from: $0.frame.from, to: $0.frame.to)) && $0.arrivalNanos <= now }
            let due = state.flights.indices.filter { state.flights[$0].arrivalNanos <= now && state.flights[$0].frame.to == endpoint }
            let first = due.min {
                (state.flights[$0].arrivalNanos, state.flights[$0].sequence) < (state.flights[$1].arrivalNanos, state.flights[$1].sequence)
            }
            return first.map { state.flights.remove(at: $0).frame }
        }
        if let arrived { trace.note("receive \(arrived.from) \(endpoint) \(arrived.bytes.count)") }
        return arrived
    }

    /// When the next frame arrives anywhere; nil if none is under way. What a simulation moves its clock to.
    package var nextArrivalNanos: Int64? { state.withLock { $0.flights.map(\.arrivalNanos).min() } }
}
