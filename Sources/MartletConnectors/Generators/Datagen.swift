internal import MartletCore
internal import MartletSQL

/// Made-up records for columns of any plain types: `connector = 'datagen'`. A column counts up or is drawn, as
/// `fields.<column>.kind` says; what record `n` holds follows from `n` and the options alone.
struct Datagen: NumberedLines {
    /// How a column's value is made from the record's number.
    private enum Rule {
        /// Counts from `first`.
        case sequence(first: Int64)
        case integers(least: Int64, most: Int64)
        case numbers(least: Double, most: Double, digits: Int)
        case letters(Int)
        case booleans
        /// Microseconds since 1970 of record 0, between two records, and by how much at most a record lies before its place.
        case times(first: Int64, step: Int64, disorder: UInt64)
    }

    private struct Column {
        /// The member's name as JSON, with what stands before and behind it.
        var start: String
        var rule: Rule
        var seed: UInt64
        var type: DataType
    }

    /// Records a second, by the clock.
    let rate: Int64
    private var columns: [Column] = []
    /// Records until the shortest sequence ends; nil: no end.
    private var end: UInt64?

    static let rateDefault: Int64 = 10
    static let lettersMax: Int64 = 10_000
    /// 2026-01-01 00:00 UTC, where times begin that the options do not give: a record says the same whenever it is made again.
    private static let firstTime: Int64 = 1_767_225_600_000_000

    init(_ definition: SourceDefinition) throws(SQLError) {
        var options = DatagenOptions(definition)
        rate = try options.integer("datagen.rows.per.second", in: 1...1_000_000) ?? Datagen.rateDefault
        guard definition.encode.encoding == .json, definition.format == .plain else {
            throw SQLError(.featureNotSupported, "source \"\(definition.name)\": datagen makes FORMAT PLAIN ENCODE JSON")
        }
        for (ordinal, column) in definition.columns.enumerated() where column.role == .field && !column.isDropped {
            let name = "fields.\(column.name.lowercased())"
            let rule = try Datagen.rule(column, name, &options, rate)
            if case .sequence(let first) = rule, let last = try options.integer(name + ".end", in: .min ... .max) {
                guard last >= first else { throw options.error(name + ".end", "is to be its start at least") }
                let (width, overflow) = last.subtractingReportingOverflow(first)
                if !overflow, width < .max { end = min(end ?? .max, UInt64(width) + 1) }
            }
            let seed = try options.integer(name + ".seed", in: 0 ... .max) ?? Int64(ordinal)
            columns.append(
                Column(
                    start: (columns.isEmpty ? "{" : ",") + JSONNode.string(column.jsonPath?.last ?? column.name).text + ":", rule: rule,
                    seed: SplitMix64.mix(UInt64(bitPattern: seed) ^ 0x6461_7461), type: column.type))
        }
        try options.finish()
    }

    private static func rule(
        _ column: SourceColumn, _ name: String, _ options: inout DatagenOptions, _ rate: Int64
    ) throws(SQLError) -> Rule {
        let isSequence = try options.choice(name + ".kind", ["sequence", "random"]) == "sequence"
        switch column.type {
        case .smallint, .integer, .bigint:
            let most: Int64 = column.type == .smallint ? Int64(Int16.max) : column.type == .integer ? Int64(Int32.max) : .max
            if isSequence { return .sequence(first: try options.integer(name + ".start", in: -most...most) ?? 0) }
            return .integers(
                least: try options.integer(name + ".min", in: -most...most) ?? 0, most: try options.integer(name + ".max", in: -most...most) ?? min(most, 1000))
        case .real, .double, .numeric:
            if isSequence { return .sequence(first: try options.integer(name + ".start", in: -1_000_000_000...1_000_000_000) ?? 0) }
            var digits = 2
            if case .numeric(_, let scale?) = column.type { digits = max(0, min(scale, 6)) }
            return .numbers(least: try options.number(name + ".min") ?? 0, most: try options.number(name + ".max") ?? 1000, digits: digits)
        case .text where !isSequence:
            return .letters(Int(try options.integer(name + ".length", in: 0...lettersMax) ?? 10))
        case .boolean where !isSequence: return .booleans
        case .timestamp, .timestamptz:
            return .times(
                first: try options.time(name + ".start") ?? firstTime, step: try options.micros(name + ".interval") ?? max(1_000_000 / rate, 1),
                disorder: UInt64(max(try options.micros(name + ".max_past") ?? 0, 0)))
        default:
            throw SQLError(
                .featureNotSupported,
                "source \"\(options.source)\": datagen cannot make \(isSequence ? "a sequence of" : "up values of") column \"\(column.name)\", whose type is \(column.type.sqlName)",
                hint: "It makes numbers, text, booleans, TIMESTAMP and TIMESTAMPTZ.")
        }
    }

    func count(of stream: Int) -> UInt64? { end }

    func write(_ stream: Int, from first: UInt64, by step: UInt64, count: Int, into sink: ByteSink) -> Int {
        var record = first
        for _ in 0..<count {
            if columns.isEmpty { sink.append(UInt8(ascii: "{")) }
            for column in columns {
                sink.append(text: column.start)
                write(column, record, into: sink)
            }
            sink.append(text: "}\n")
            record &+= step
        }
        return count
    }

    private func write(_ column: Column, _ record: UInt64, into sink: ByteSink) {
        var random = SplitMix64.stream(column.seed, record)
        switch column.rule {
        case .sequence(let first): sink.append(decimal: first &+ Int64(truncatingIfNeeded: record))
        case .integers(let least, let most):
            let width = UInt64(bitPattern: most &- least)
            let drawn = width == .max ? random.next() : random.below(width + 1)
            sink.append(decimal: least &+ Int64(bitPattern: drawn))
        case .numbers(let least, let most, let digits):
            let value = least + (most - least) * Double(random.next() >> 11) * 0x1p-53
            sink.append(text: Datagen.decimal(value, digits))
        case .letters(let count):
            sink.append(UInt8(ascii: "\""))
            for _ in 0..<count { sink.append(UInt8(ascii: "a") + UInt8(random.below(26 as UInt64))) }
            sink.append(UInt8(ascii: "\""))
        case .booleans: sink.append(text: random.next() & 1 == 0 ? "false" : "true")
        case .times(let first, let step, let disorder):
            let place = first &+ Int64(truncatingIfNeeded: record) &* step
            let time = disorder == 0 ? place : place &- Int64(bitPattern: random.below(disorder + 1))
            let value: Value = column.type == .timestamp ? .timestamp(time) : .timestamptz(time)
            sink.append(text: "\"\(value.text)\"")
        }
    }

    /// Rounded to `digits` behind the point.
    private static func decimal(_ value: Double, _ digits: Int) -> String {
        let scale = (0..<digits).reduce(1.0) { product, _ in product * 10 }
        guard value.magnitude * scale < 0x1p62 else { return "\(value)" }
        let whole = Int64((value * scale).rounded())
        let magnitude = String(whole.magnitude)
        if digits == 0 { return "\(whole)" }
        let padded = String(repeating: "0", count: max(0, digits + 1 - magnitude.count)) + magnitude
        return (whole < 0 ? "-" : "") + padded.dropLast(digits) + "." + padded.suffix(digits)
    }
}

/// The options of made-up columns, and which there are: what nobody asked for is refused.
private struct DatagenOptions {
    let source: String
    private let given: [String: OptionValue]
    private let options: ConnectorOptions
    private var known = ["datagen.split.num"]

    init(_ definition: SourceDefinition) {
        source = definition.name
        given = definition.options
        options = ConnectorOptions(definition.options, of: "source \"\(definition.name)\"", connector: "datagen")
    }

    func finish() throws(SQLError) { try options.allow(known) }

    func error(_ name: String, _ what: String) -> SQLError {
        SQLError(
            .invalidParameterValue, "source \"\(source)\": option \"\(name)\" \(what), and is \"\(given[name]?.text ?? "")\"", position: given[name]?.position)
    }

    mutating func choice(_ name: String, _ choices: [String]) throws(SQLError) -> String? {
        known.append(name)
        return try options.choice(name, choices)
    }

    mutating func integer(_ name: String, in range: ClosedRange<Int64>) throws(SQLError) -> Int64? {
        known.append(name)
        return try options.integer(name, in: Int(range.lowerBound)...Int(range.upperBound)).map(Int64.init)
    }

    mutating func number(_ name: String) throws(SQLError) -> Double? {
        known.append(name)
        guard let text = options.text(name) else { return nil }
        guard let number = Double(text), number.magnitude < 1e15 else { throw error(name, "is to be a number") }
        return number
    }

    mutating func time(_ name: String) throws(SQLError) -> Int64? {
        known.append(name)
        guard let text = options.text(name) else { return nil }
        guard case .timestamptz(let micros)? = try? Value.text(text).cast(to: .timestamptz, explicit: true, zone: .utc) else {
            throw error(name, "is to be a time such as 2026-01-01 00:00:00")
        }
        return micros
    }

    mutating func micros(_ name: String) throws(SQLError) -> Int64? {
        known.append(name)
        guard let text = options.text(name) else { return nil }
        guard let interval = try? Interval(text: text), interval.months == 0, interval.days.magnitude < 100_000 else {
            throw error(name, "is to be an interval such as 5 seconds")
        }
        let (days, overflow) = Int64(interval.days).multipliedReportingOverflow(by: 86_400_000_000)
        let (sum, isBeyond) = days.addingReportingOverflow(interval.micros)
        guard !overflow, !isBeyond, sum >= 0 else { throw error(name, "is to be an interval such as 5 seconds") }
        return sum
    }
}
