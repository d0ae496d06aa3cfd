/// The kinds of made-up input.
package enum GeneratorKind: String, Sendable, CaseIterable {
    case nexmark, fraud, cart, iot

    /// Events per second of event time where `rate` is not given.
    package var defaultRate: UInt64 {
        switch self {
        case .nexmark: 10_000
        case .fraud: 1_000
        case .cart: 20
        case .iot: 100
        }
    }
}

/// What the user asked of a generator that cannot be had. The text is for the user.
package struct GeneratorError: Error, Sendable, Equatable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

/// Everything that an event depends on besides its number. Two equal values make equal bytes, on every machine.
package struct GeneratorOptions: Sendable, Hashable {
    package var kind: GeneratorKind
    package var seed: UInt64 = 0
    /// How many events there are in all streams together; `nil`: no end. A duplicate is not an event of its own.
    package var events: UInt64?
    /// Events per second of event time, all streams together; `nil`: the kind's own.
    package var rate: UInt64?
    /// By how many microseconds at most an event, unless it is late, stands behind an earlier one with a later time.
    package var disorder: Int64 = 0
    /// Share of events that come minutes later than `disorder` allows (see `EventTiming`).
    package var late: Double = 0
    /// Share of lines that cannot be read (see `Damage`).
    package var bad: Double = 0
    /// Share of lines that are written twice in a row, as after a sender's retry.
    package var duplicates: Double = 0

    package init(kind: GeneratorKind) { self.kind = kind }

    package init(kind name: String) throws(GeneratorError) {
        guard let kind = GeneratorKind(rawValue: name) else {
            let known = GeneratorKind.allCases.map(\.rawValue).joined(separator: ", ")
            throw GeneratorError("there is no generator '\(name)'; there are \(known)")
        }
        self.init(kind: kind)
    }

    /// The options of `martlet generate` and of `connector = 'generator'` share their names and spellings.
    package static let names = ["events", "seed", "rate", "disorder", "late", "bad", "duplicates"]

    /// Sets one option of `names` from its text.
    package mutating func set(_ name: String, to text: String) throws(GeneratorError) {
        switch name {
        case "events": events = try GeneratorOptions.integer(name, text)
        case "seed": seed = try GeneratorOptions.integer(name, text)
        case "rate": rate = try GeneratorOptions.integer(name, text)
        case "disorder": disorder = try GeneratorOptions.duration(name, text)
        case "late": late = try GeneratorOptions.share(name, text)
        case "bad": bad = try GeneratorOptions.share(name, text)
        case "duplicates": duplicates = try GeneratorOptions.share(name, text)
        default:
            let known = GeneratorOptions.names.joined(separator: ", ")
            throw GeneratorError("a generator has no option '\(name)'; it has \(known)")
        }
    }

    /// Refuses what would leave the years that a timestamp can show, or arithmetic on event numbers.
    package func validate() throws(GeneratorError) {
        let rate = rate ?? kind.defaultRate
        guard rate >= 1 && rate <= 1_000_000_000 else { throw GeneratorError("rate is between 1 and 1000000000 events per second") }
        if let events {
            guard events <= GeneratorOptions.eventsMax else { throw GeneratorError("events is at most \(GeneratorOptions.eventsMax)") }
            // 7,900 years after 2026 the year has five digits.
            guard events / rate <= 240_000_000_000 else { throw GeneratorError("\(events) events at a rate of \(rate) run past the year 9999") }
        }
        guard disorder >= 0 && disorder <= 86_400_000_000 else { throw GeneratorError("disorder is between 0 and 1 day") }
        for (name, value) in [("late", late), ("bad", bad), ("duplicates", duplicates)] where !(value >= 0 && value <= 1) {
            throw GeneratorError("\(name) is a share between 0 and 1")
        }
    }

    package static let eventsMax: UInt64 = 1_000_000_000_000_000

    /// Digits, with `_` between them if one likes.
    private static func integer(_ name: String, _ text: String) throws(GeneratorError) -> UInt64 {
        guard let value = UInt64(text.filter { $0 != "_" }) else {
            throw GeneratorError("\(name) is a whole number from 0, not '\(text)'")
        }
        return value
    }

    private static func share(_ name: String, _ text: String) throws(GeneratorError) -> Double {
        let isPercentage = text.hasSuffix("%")
        guard let value = Double(isPercentage ? String(text.dropLast()) : text), value.isFinite else {
            throw GeneratorError("\(name) is a share such as 0.01 or 1%, not '\(text)'")
        }
        let share = isPercentage ? value / 100 : value
        guard share >= 0 && share <= 1 else { throw GeneratorError("\(name) is a share between 0 and 1, not '\(text)'") }
        return share
    }

    /// `5s`, `200ms`, `1.5 minutes`, `2 hours`: a number and a unit; microseconds.
    private static func duration(_ name: String, _ text: String) throws(GeneratorError) -> Int64 {
        let digits = text.prefix { "0123456789.".contains($0) }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
        let scale: Double? =
            switch unit {
            case "us", "microsecond", "microseconds": 1
            case "ms", "millisecond", "milliseconds": 1e3
            case "s", "sec", "second", "seconds": 1e6
            case "m", "min", "minute", "minutes": 6e7
            case "h", "hour", "hours": 3.6e9
            default: nil
            }
        guard let scale, let number = Double(digits), number * scale <= 8.64e10 else {
            throw GeneratorError("\(name) is a duration up to 24 hours such as '5s', '200ms' or '2 minutes', not '\(text)'")
        }
        return Int64((number * scale).rounded())
    }
}
