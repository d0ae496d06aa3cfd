internal import MartletCore

/// Readings of machines, one per machine and second (at the default rate), with two kinds of trouble: machines that
/// overheat for some minutes, and machines that fall silent for some minutes and come back.
///
/// A cycle is one reading of every machine. Time is cut into slots of `slot` cycles; in each, by lot, a machine has at most
/// one episode of each kind. While a machine is silent its turn goes to a neighbour, which then reports twice as often.
struct IotGenerator: LineGenerator {
    static let slot: UInt64 = 1200
    static let ramp: UInt64 = 60

    let options: GeneratorOptions
    let timing: EventTiming
    let streams = ["readings"]
    private let seed: UInt64
    private let machines: UInt64

    init(_ options: GeneratorOptions) {
        self.options = options
        timing = EventTiming(options)
        seed = options.seed
        machines = min(timing.rate, 100_000)
    }

    /// A stretch of a slot: cycles `from ..< to` within it.
    struct Episode: Equatable {
        var from: UInt64
        var to: UInt64
    }

    private func overheating(_ machine: UInt64, _ slot: UInt64) -> Episode? {
        var random = SplitMix64.stream(seed ^ 0x68, slot &* machines &+ machine)
        guard random.below(16 as UInt64) == 0 else { return nil }
        let from = random.below(600 as UInt64)
        return Episode(from: from, to: from &+ 2 &* Self.ramp &+ 120 &+ random.below(240 as UInt64))
    }

    /// Never in a slot in which the machine overheats, which nobody would see.
    private func silence(_ machine: UInt64, _ slot: UInt64) -> Episode? {
        var random = SplitMix64.stream(seed ^ 0x73, slot &* machines &+ machine)
        guard random.below(64 as UInt64) == 0 && machines > 1 && overheating(machine, slot) == nil else { return nil }
        let from = random.below(500 as UInt64)
        return Episode(from: from, to: from &+ 240 &+ random.below(360 as UInt64))
    }

    private func isSilent(_ machine: UInt64, _ slot: UInt64, _ within: UInt64) -> Bool {
        guard let episode = silence(machine, slot) else { return false }
        return within >= episode.from && within < episode.to
    }

    func isPlanted(_ event: UInt64) -> Bool { false }
    func count(of stream: Int) -> UInt64? { options.events }
    @inline(__always) func event(_ ordinal: UInt64, of stream: Int) -> UInt64 { ordinal }

    func write(_ stream: Int, from first: UInt64, by step: UInt64, count: Int, into sink: ByteSink) -> Int {
        writeLines(stream, from: first, by: step, count: count, into: sink)
    }

    func line(_ event: UInt64, of stream: Int, at milliseconds: Int64, into line: inout LineWriter) {
        let cycle = event / machines
        let (slot, within) = cycle.quotientAndRemainder(dividingBy: Self.slot)
        var machine = event % machines
        // Several neighbours silent at once are rare; where even eight are, the silent one speaks.
        for _ in 0..<8 where isSilent(machine, slot, within) { machine = (machine &+ 1) % machines }
        var random = SplitMix64.stream(seed, event)

        // Hundredths of a degree: each machine has its own normal, and drifts around it by 2 degrees in 20 minutes.
        let normal = 5500 &+ SplitMix64.at(seed ^ 0x6E, machine) % 1000
        let drift = within < Self.slot / 2 ? within : Self.slot &- within
        var temperature = normal &+ drift / 3 &+ random.below(150 as UInt64)
        var heat: UInt64 = 0
        if let episode = overheating(machine, slot), within >= episode.from, within < episode.to {
            heat = min(within &- episode.from, episode.to &- 1 &- within, Self.ramp)
            temperature &+= 3800 &* heat / Self.ramp
        }
        line.literal("{\"machine_id\":\"press-")
        line.decimal(machine, width: max(decimalDigitCount(machine), 3))
        line.markText()
        line.literal("\",\"temperature\":")
        let from = line.count
        line.hundredths(temperature)
        line.markNumber(from: from)
        line.literal(",\"vibration\":")
        line.hundredths(120 &+ random.below(80 as UInt64) &+ 3 &* heat)
        line.literal(",\"pressure\":")
        line.hundredths(590 &+ random.below(25 as UInt64))
        line.literal(",\"ts\":")
        line.eventTime(milliseconds)
        line.byte(UInt8(ascii: "}"))
    }
}

/// An episode of a machine that the examples are to find.
package struct MachineTrouble: Sendable, Equatable {
    package enum Kind: String, Sendable { case overheating, silence }
    package var kind: Kind
    package var machine: String
    /// Microseconds since 1970, without disorder.
    package var from: Int64
    package var to: Int64
}

extension Generators {
    /// The episodes of `kind = 'iot'` that begin and end within the first `options.events` events, by slot and machine.
    package static func machineTroubles(_ options: GeneratorOptions) -> [MachineTrouble] {
        IotGenerator(options).troubles(within: options.events ?? 0)
    }
}

extension IotGenerator {
    func troubles(within events: UInt64) -> [MachineTrouble] {
        var found: [MachineTrouble] = []
        for slot in 0..<(events / machines / Self.slot + 1) {
            for machine in 0..<machines {
                let digits = String(machine)
                let name = "press-" + String(repeating: "0", count: max(3 - digits.count, 0)) + digits
                for (kind, episode) in [(MachineTrouble.Kind.overheating, overheating(machine, slot)), (.silence, silence(machine, slot))] {
                    guard let episode else { continue }
                    let from = (slot * Self.slot + episode.from) * machines + machine
                    let to = (slot * Self.slot + episode.to) * machines + machine
                    guard to < events else { continue }
                    found.append(MachineTrouble(kind: kind, machine: name, from: timing.nominal(from) * 1000, to: timing.nominal(to) * 1000))
                }
            }
        }
        return found
    }
}
