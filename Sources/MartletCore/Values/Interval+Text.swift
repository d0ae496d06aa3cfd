extension Interval {
    /// Reads PostgreSQL's interval input: '1 day 02:03:04', '1-2 3 4:05:06', '5 seconds', '1.5 h', '1 mon ago',
    /// 'P1Y2M3DT4H5M6S', 'PT0.5S'. A number without a unit counts seconds.
    package init(text: String) throws(SQLError) {
        do {
            self = try Interval.parse(Array(text.utf8))
        } catch {
            switch error {
            case .format: throw DateTimeText.invalid(text, "interval")
            case .range:
                throw SQLError(.intervalFieldOverflow, "interval field value out of range: \"\(text)\"")
            case .months: throw Interval.overflow
            }
        }
    }

    /// `months`: each field fits, their sum does not.
    private enum Failure: Error { case format, range, months }

    enum Unit: Int {
        case microsecond, millisecond, second, minute, hour, day, week, month, quarter, year, decade, century,
            millennium
    }

    /// Sums the fields with overflow checks; PostgreSQL's DecodeInterval and its Adjust functions.
    private struct Sum {
        var months: Int64 = 0
        var days: Int64 = 0
        var micros: Int64 = 0
        /// The units given so far, one bit each: none may appear twice.
        private var seen = 0

        mutating func mark(_ units: Unit...) throws(Failure) {
            for unit in units {
                guard seen & (1 << unit.rawValue) == 0 else { throw .format }
                seen |= 1 << unit.rawValue
            }
        }

        /// `value` whole units and `fraction` (|fraction| < 1, same sign) of one more.
        mutating func add(_ value: Int64, _ fraction: Double, _ unit: Unit) throws(Failure) {
            switch unit {
            case .microsecond: try add(micros: value, fraction, scale: 1)
            case .millisecond: try add(micros: value, fraction, scale: 1000)
            case .second: try add(micros: value, fraction, scale: 1_000_000)
            case .minute: try add(micros: value, fraction, scale: 60_000_000)
            case .hour: try add(micros: value, fraction, scale: 3_600_000_000)
            case .day: try add(days: value, scale: 1, fraction: fraction)
            case .week: try add(days: value, scale: 7, fraction: fraction)
            case .month:
                try add(months: value, scale: 1, fraction: 0)
                try add(days: 0, scale: 30, fraction: fraction)
            case .quarter: throw .format
            case .year: try add(months: value, scale: 12, fraction: fraction)
            case .decade: try add(months: value, scale: 120, fraction: fraction)
            case .century: try add(months: value, scale: 1200, fraction: fraction)
            case .millennium: try add(months: value, scale: 12_000, fraction: fraction)
            }
        }

        private mutating func add(months value: Int64, scale: Int64, fraction: Double) throws(Failure) {
            let (product, overflows) = value.multipliedReportingOverflow(by: scale)
            let (sum, overflowsToo) = months.addingReportingOverflow(
                product &+ Int64((fraction * Double(scale)).rounded(.toNearestOrEven)))
            guard !overflows, !overflowsToo else { throw .range }
            months = sum
        }

        private mutating func add(days value: Int64, scale: Int64, fraction: Double) throws(Failure) {
            let (product, overflows) = value.multipliedReportingOverflow(by: scale)
            let scaled = fraction * Double(scale)
            let whole = scaled.rounded(.towardZero)
            let (sum, overflowsToo) = days.addingReportingOverflow(product &+ Int64(whole))
            guard !overflows, !overflowsToo else { throw .range }
            days = sum
            try add(micros: 0, scaled - whole, scale: Calendar.microsPerDay)
        }

        private mutating func add(micros value: Int64, _ fraction: Double, scale: Int64) throws(Failure) {
            let (product, overflows) = value.multipliedReportingOverflow(by: scale)
            let scaled = fraction * Double(scale)
            var extra = Int64(scaled)
            let rest = scaled - Double(extra)
            if rest > 0.5 { extra += 1 } else if rest < -0.5 { extra -= 1 }
            let (withExtra, overflowsToo) = product.addingReportingOverflow(extra)
            let (sum, overflowsThree) = micros.addingReportingOverflow(withExtra)
            guard !overflows, !overflowsToo, !overflowsThree else { throw .range }
            micros = sum
        }

        func interval(isNegated: Bool) throws(Failure) -> Interval {
            guard let months = Int32(exactly: isNegated ? 0 &- months : months) else { throw .months }
            guard let days = Int32(exactly: isNegated ? 0 &- days : days), !(isNegated && micros == .min)
            else { throw .range }
            return Interval(months: months, days: days, micros: isNegated ? -micros : micros)
        }
    }

    /// One field of the text, from left to right.
    private enum Field {
        case number(Int64, Double)
        /// Years and months joined by a hyphen, in months.
        case yearMonth(Int64)
        case clock(Int64)
        case unit(Unit)
        case ago
    }

    private static func parse(_ bytes: [UInt8]) throws(Failure) -> Interval {
        guard bytes.count <= 256 else { throw .format }
        var index = 0
        skipBlanks(bytes, &index)
        if index < bytes.count, bytes[index] == UInt8(ascii: "P") {
            return try parseISO(bytes, index + 1)
        }
        if index + 1 < bytes.count, bytes[index] == UInt8(ascii: "-"), bytes[index + 1] == UInt8(ascii: "P") {
            throw .format
        }
        var fields: [Field] = []
        while index < bytes.count {
            try fields.append(contentsOf: readField(bytes, &index))
            skipBlanks(bytes, &index)
        }
        guard !fields.isEmpty else { throw .format }

        // From right to left, so that a number finds its unit behind it.
        var sum = Sum()
        var unit: Unit?
        var isNegated = false
        var sawValue = false
        for (position, field) in fields.enumerated().reversed() {
            switch field {
            case .ago:
                guard position == fields.count - 1 else { throw .format }
                isNegated = true
            case .unit(let read): unit = read
            case .clock(let micros):
                try sum.mark(.hour, .minute, .second)
                try sum.add(micros, 0, .microsecond)
                unit = .day
                sawValue = true
            case .yearMonth(let months):
                try sum.mark(.year, .month)
                try sum.add(months, 0, .month)
                unit = nil
                sawValue = true
            case .number(let value, let fraction):
                unit = unit ?? .second
                try sum.mark(unit ?? .second)
                try sum.add(value, fraction, unit ?? .second)
                sawValue = true
            }
        }
        guard sawValue else { throw .format }
        return try sum.interval(isNegated: isNegated)
    }

    private static func readField(_ bytes: [UInt8], _ index: inout Int) throws(Failure) -> [Field] {
        let start = index
        let first = bytes[index]
        if first == UInt8(ascii: "@") {
            index += 1
            return []
        }
        if isLetter(first) {
            var word: [UInt8] = []
            while index < bytes.count, isLetter(bytes[index]) {
                word.append(bytes[index] | 0x20)
                index += 1
            }
            let text = String(decoding: word, as: UTF8.self)
            if text == "ago" { return [.ago] }
            guard let unit = units[text] else { throw .format }
            return [.unit(unit)]
        }
        var isNegative = false
        if first == UInt8(ascii: "-") || first == UInt8(ascii: "+") {
            isNegative = first == UInt8(ascii: "-")
            index += 1
            skipBlanks(bytes, &index)
        }
        let (value, digits) = try readDigits(bytes, &index)
        let next = index < bytes.count ? bytes[index] : 0
        if next == UInt8(ascii: ":"), digits > 0 {
            return [.clock(try readClock(value, isNegative: isNegative, bytes, &index))]
        }
        if next == UInt8(ascii: "-"), digits > 0 {
            index += 1
            let (months, monthDigits) = try readDigits(bytes, &index)
            // "2024-02-30" is a date, no interval.
            guard monthDigits > 0, index == bytes.count || bytes[index] != UInt8(ascii: "-") else { throw .format }
            guard months < 12 else { throw .range }
            let (years, overflows) = value.multipliedReportingOverflow(by: 12)
            guard !overflows else { throw .range }
            return [.yearMonth(isNegative ? -(years + months) : years + months)]
        }
        var fraction = 0.0
        var hasFraction = false
        if next == UInt8(ascii: ".") {
            hasFraction = true
            fraction = readFraction(bytes, &index)
        }
        guard digits > 0 || (hasFraction && index - start > (isNegative ? 2 : 1)) else { throw .format }
        if index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "e") { throw .format }
        return [.number(isNegative ? -value : value, isNegative ? -fraction : fraction)]
    }

    /// `:MM[:SS[.f]]`; two fields with a fraction are minutes and seconds.
    private static func readClock(
        _ first: Int64, isNegative: Bool, _ bytes: [UInt8], _ index: inout Int
    ) throws(Failure) -> Int64 {
        index += 1
        var (second, digits) = try readDigits(bytes, &index)
        guard digits > 0 else { throw .format }
        var hours = first
        var third: Int64 = 0
        var micros: Int64 = 0
        if index < bytes.count, bytes[index] == UInt8(ascii: ":") {
            index += 1
            (third, digits) = try readDigits(bytes, &index)
            guard digits > 0 else { throw .format }
            micros = DateTimeText.fraction(bytes, &index)
        } else if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
            micros = DateTimeText.fraction(bytes, &index)
            (hours, second, third) = (0, first, second)
        }
        guard second < 60, third <= 60 else { throw .range }
        let rest = second * 60_000_000 + third * 1_000_000 + micros
        let total = Int128(hours) * Int128(Calendar.microsPerHour) + Int128(rest)
        guard let signed = Int64(exactly: isNegative ? -total : total) else { throw .range }
        return signed
    }

    /// Behind `P`: ISO 8601 with designators, each number signed and with a fraction if it likes; also
    /// `P0001-02-03T04:05:06` and `P1W`.
    private static func parseISO(_ bytes: [UInt8], _ start: Int) throws(Failure) -> Interval {
        var index = start
        var end = bytes.count
        while end > index, bytes[end - 1] <= 0x20 { end -= 1 }
        let bytes = Array(bytes[..<end])
        guard index < end else { throw .format }
        var sum = Sum()
        var isTime = false
        while index < end {
            if bytes[index] == UInt8(ascii: "T") {
                guard !isTime else { throw .format }
                isTime = true
                index += 1
                continue
            }
            var isNegative = false
            if bytes[index] == UInt8(ascii: "-") || bytes[index] == UInt8(ascii: "+") {
                isNegative = bytes[index] == UInt8(ascii: "-")
                index += 1
            }
            let (value, digits) = try readDigits(bytes, &index)
            var fraction = 0.0
            if index < end, bytes[index] == UInt8(ascii: ".") { fraction = readFraction(bytes, &index) }
            guard digits > 0 || fraction != 0 else { throw .format }
            let signed = isNegative ? -value : value
            if index < end, bytes[index] == UInt8(ascii: "-"), !isTime {
                return try alternativeISO(signed, bytes, &index)
            }
            if index < end, bytes[index] == UInt8(ascii: ":"), isTime {
                try sum.add(readClock(value, isNegative: isNegative, bytes, &index), 0, .microsecond)
                guard index == end else { throw .format }
                break
            }
            if index == end, !isTime, index - digits == start {
                // "P1": the alternative form, which begins with the years.
                try sum.add(signed, 0, .year)
                break
            }
            guard index < end else { throw .format }
            let unit: Unit
            switch (bytes[index], isTime) {
            case (UInt8(ascii: "Y"), false): unit = .year
            case (UInt8(ascii: "M"), false): unit = .month
            case (UInt8(ascii: "W"), false): unit = .week
            case (UInt8(ascii: "D"), false): unit = .day
            case (UInt8(ascii: "H"), true): unit = .hour
            case (UInt8(ascii: "M"), true): unit = .minute
            case (UInt8(ascii: "S"), true): unit = .second
            default: throw .format
            }
            try sum.add(signed, isNegative ? -fraction : fraction, unit)
            index += 1
        }
        return try sum.interval(isNegated: false)
    }

    private static func alternativeISO(_ years: Int64, _ bytes: [UInt8], _ index: inout Int) throws(Failure) -> Interval {
        var sum = Sum()
        try sum.add(years, 0, .year)
        for unit in [Unit.month, .day] {
            guard index < bytes.count, bytes[index] == UInt8(ascii: "-") else { break }
            index += 1
            let (value, digits) = try readDigits(bytes, &index)
            guard digits > 0 else { throw .format }
            try sum.add(value, 0, unit)
        }
        if index < bytes.count {
            guard bytes[index] == UInt8(ascii: "T") else { throw .format }
            index += 1
            let (hours, digits) = try readDigits(bytes, &index)
            guard digits > 0, index < bytes.count, bytes[index] == UInt8(ascii: ":") else { throw .format }
            try sum.add(readClock(hours, isNegative: false, bytes, &index), 0, .microsecond)
        }
        guard index == bytes.count else { throw .format }
        return try sum.interval(isNegated: false)
    }

    // MARK: - Pieces

    private static func isLetter(_ byte: UInt8) -> Bool { byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A }

    private static func skipBlanks(_ bytes: [UInt8], _ index: inout Int) {
        while index < bytes.count, bytes[index] == 0x20 || (bytes[index] >= 0x09 && bytes[index] <= 0x0D) || bytes[index] == UInt8(ascii: ",") {
            index += 1
        }
    }

    private static func readDigits(_ bytes: [UInt8], _ index: inout Int) throws(Failure) -> (value: Int64, digits: Int) {
        var value: Int64 = 0
        let start = index
        while index < bytes.count, bytes[index] &- 0x30 < 10 {
            let (product, overflows) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflowsToo) = product.addingReportingOverflow(Int64(bytes[index] &- 0x30))
            guard !overflows, !overflowsToo else { throw .range }
            value = sum
            index += 1
        }
        return (value, index - start)
    }

    private static func readFraction(_ bytes: [UInt8], _ index: inout Int) -> Double {
        let start = index
        index += 1
        while index < bytes.count, bytes[index] &- 0x30 < 10 { index += 1 }
        return Double("0" + String(decoding: bytes[start..<index], as: UTF8.self) + "0") ?? 0
    }

    /// The words for units, as PostgreSQL abbreviates them.
    static let units: [String: Unit] = {
        var table: [String: Unit] = [:]
        let words: [(Unit, [String])] = [
            (.microsecond, ["microsecond", "microseconds", "us", "usec", "usecs", "usecond", "useconds", "microsecon"]),
            (.millisecond, ["millisecond", "milliseconds", "ms", "msec", "msecs", "msecond", "mseconds", "millisecon"]),
            (.second, ["second", "seconds", "s", "sec", "secs"]),
            (.minute, ["minute", "minutes", "m", "min", "mins"]),
            (.hour, ["hour", "hours", "h", "hr", "hrs"]),
            (.day, ["day", "days", "d"]),
            (.week, ["week", "weeks", "w"]),
            (.month, ["month", "months", "mon", "mons"]),
            (.year, ["year", "years", "y", "yr", "yrs"]),
            (.decade, ["decade", "decades", "dec", "decs"]),
            (.century, ["century", "centuries", "c", "cent"]),
            (.millennium, ["millennium", "millennia", "mil", "mils"]),
        ]
        for (unit, names) in words { for name in names { table[name] = unit } }
        return table
    }()

    // MARK: - Writing

    /// PostgreSQL's output with IntervalStyle postgres: "1 year 2 mons -3 days +04:05:06.7".
    package var text: String {
        var result = ""
        // A positive part behind a negative one shows its sign.
        var followsNegative = false
        func append(_ value: Int64, _ unit: String) {
            guard value != 0 else { return }
            if !result.isEmpty { result += " " }
            if followsNegative && value > 0 { result += "+" }
            result += "\(value) \(unit)\(value == 1 ? "" : "s")"
            followsNegative = value < 0
        }
        append(Int64(months / 12), "year")
        append(Int64(months % 12), "mon")
        append(Int64(days), "day")
        guard micros != 0 || result.isEmpty else { return result }
        if !result.isEmpty { result += " " }
        if micros < 0 { result += "-" } else if followsNegative { result += "+" }
        let magnitude = micros.magnitude
        let hours = magnitude / 3_600_000_000
        func padded(_ value: UInt64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        result += "\(padded(hours)):\(padded(magnitude / 60_000_000 % 60)):\(padded(magnitude / 1_000_000 % 60))"
        let fraction = Int64(magnitude % 1_000_000)
        return result + Timestamps.text { Timestamps.writeFraction(fraction, into: $0) }
    }
}
