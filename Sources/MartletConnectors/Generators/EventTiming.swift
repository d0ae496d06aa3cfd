internal import MartletCore

/// What befalls an event on its way, besides being made.
package struct EventFate: Sendable, Equatable {
    /// How the line is damaged; a damaged line is neither late nor repeated.
    package var damage: Damage?
    package var isLate = false
    package var isRepeated = false
}

/// Event times and fates by event number.
///
/// Events come in the order of their numbers. Event `n` belongs at `base + n / rate`, and its time is that minus a jitter
/// of at most `disorder`; so no event is further behind the latest one before it than `disorder`, except the late ones,
/// which are a further `lateBy` back: long enough to miss the windows of the examples.
struct EventTiming: Sendable {
    /// 2026-01-01 00:00 UTC.
    static let baseMilliseconds: Int64 = 1_767_225_600_000

    let seed: UInt64
    let rate: UInt64
    let disorderMilliseconds: UInt64
    let lateByMilliseconds: ClosedRange<Int64>
    /// Shares, scaled to the range of a random number.
    let badBelow: UInt64
    let lateBelow: UInt64
    let repeatedBelow: UInt64

    init(_ options: GeneratorOptions) {
        seed = SplitMix64.mix(options.seed ^ 0x6D61_7274_6C65_7431)
        rate = options.rate ?? options.kind.defaultRate
        disorderMilliseconds = UInt64(options.disorder / 1000)
        let minute: Int64 = 60_000
        lateByMilliseconds = options.kind == .cart ? 30 * minute...90 * minute : 2 * minute...10 * minute
        badBelow = EventTiming.threshold(options.bad)
        lateBelow = EventTiming.threshold(options.late)
        repeatedBelow = EventTiming.threshold(options.duplicates)
    }

    /// Milliseconds since 1970 without jitter or lateness; never decreases from one event to the next.
    func nominal(_ event: UInt64) -> Int64 {
        // Wraps only for event numbers that `validate` refuses, or after 200 days of an endless run at 10⁹ per second.
        EventTiming.baseMilliseconds &+ Int64(truncatingIfNeeded: event &* 1000 / rate)
    }

    /// The event's fate and time (milliseconds). `isPlanted` events are spared, so that what was planted can be found.
    @inline(__always) func draw(_ event: UInt64, isPlanted: Bool) -> (fate: EventFate, milliseconds: Int64) {
        var random = SplitMix64.stream(seed, event)
        var milliseconds = nominal(event)
        if disorderMilliseconds > 0 { milliseconds &-= Int64(bitPattern: random.below(disorderMilliseconds &+ 1)) }
        var fate = EventFate()
        if (badBelow | lateBelow | repeatedBelow) == 0 || isPlanted { return (fate, milliseconds) }
        if random.next() < badBelow {
            fate.damage = Damage.allCases[random.below(Damage.allCases.count)]
            return (fate, milliseconds)
        }
        if random.next() < lateBelow {
            fate.isLate = true
            milliseconds &-= Int64(bitPattern: disorderMilliseconds) &+ random.within(lateByMilliseconds)
        }
        fate.isRepeated = random.next() < repeatedBelow
        return (fate, milliseconds)
    }

    private static func threshold(_ share: Double) -> UInt64 {
        share >= 1 ? .max : UInt64(share * 0x1p64)
    }
}
