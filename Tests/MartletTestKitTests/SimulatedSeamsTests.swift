import MartletCore
import MartletTestKit
import Testing

@Suite("Simulated time, chance and network")
struct SimulatedSeamsTests {
    @Test("time stands still until it is moved")
    func clock() {
        let clock = SimulatedClock(wallMicros: 1_000)
        #expect(clock.monotonicNanos() == 0 && clock.wallMicros() == 1_000)
        clock.sleep(nanos: 5_000)
        clock.advance(nanos: -1)
        #expect(clock.monotonicNanos() == 5_000 && clock.wallMicros() == 1_005)
        clock.stepWall(micros: -100)
        #expect(clock.monotonicNanos() == 5_000 && clock.wallMicros() == 905)
        let one = SeededEntropy(seed: 4)
        let other = SeededEntropy(seed: 4)
        #expect((0..<5).map { _ in one.next() } == (0..<5).map { _ in other.next() })
    }

    private let a = Endpoint("a")
    private let b = Endpoint("b")

    /// Sends 0 … 99 from a to b and gives what arrives, in the order it does.
    private func journey(seed: UInt64, _ weather: NetworkWeather, trace: Trace = Trace()) throws -> [UInt8] {
        let clock = SimulatedClock()
        let network = SimulatedNetwork(seed: seed, clock: clock, weather: weather, trace: trace)
        for number in 0..<100 as Range<UInt8> { try network.send(Frame(from: a, to: b, bytes: [number])) }
        #expect(try network.receive(at: a) == nil)
        var arrived: [UInt8] = []
        while let next = network.nextArrivalNanos {
            clock.advance(nanos: next - clock.monotonicNanos())
            while let frame = try network.receive(at: b) { arrived += frame.bytes }
        }
        return arrived
    }

    @Test("a fair network delivers all in order; a bad one drops, doubles and reorders; a seed repeats")
    func weather() throws {
        #expect(try journey(seed: 1, NetworkWeather()) == Array(0..<100))
        let delayed = try journey(seed: 1, NetworkWeather(delayNanos: 0...1000))
        #expect(delayed != Array(0..<100) && delayed.sorted() == Array(0..<100))
        let dropped = try journey(seed: 1, NetworkWeather(dropShare: 0.5))
        #expect((30...70).contains(dropped.count) && dropped == dropped.sorted())
        let doubled = try journey(seed: 1, NetworkWeather(duplicateShare: 1))
        #expect(doubled.count == 200)
        let all = NetworkWeather(dropShare: 0.2, duplicateShare: 0.2, delayNanos: 0...1_000_000)
        let traces = [Trace(), Trace(), Trace()]
        let first = try journey(seed: 9, all, trace: traces[0])
        #expect(try journey(seed: 9, all, trace: traces[1]) == first)
        #expect(try journey(seed: 10, all, trace: traces[2]) != first)
        #expect(traces[0].hash == traces[1].hash && traces[0].hash != traces[2].hash)
    }

    @Test("a cut loses what is sent over it until it heals")
    func cut() throws {
        let network = SimulatedNetwork(seed: 1, clock: SimulatedClock())
        network.cut(a, b)
        try network.send(Frame(from: a, to: b, bytes: [1]))
        #expect(try network.receive(at: b) == nil)
        network.heal()
        try network.send(Frame(from: a, to: b, bytes: [2]))
        #expect(try network.receive(at: b)?.bytes == [2])
        #expect(try network.receive(at: b) == nil)
    }
}
