internal import MartletCore

/// The options of a WITH list, taken one by one; what remains must be the connector's own.
struct Options {
    private(set) var remaining: [String: OptionValue] = [:]
    private var known: [String]
    private let what: String

    /// `known`: the option names of the object itself; the connector's are added by `finish`.
    init(_ syntax: [OptionSyntax], known: [String], of what: String) throws(SQLError) {
        self.known = known
        self.what = what
        for option in syntax {
            let name = option.name.text.lowercasedASCII
            guard remaining[name] == nil else {
                throw SQLError(.syntaxError, "option \"\(name)\" is given twice", at: option.name.position)
            }
            remaining[name] = OptionValue(text: option.value, position: option.valuePosition, namePosition: option.name.position)
        }
    }

    mutating func take(_ name: String) -> OptionValue? { remaining.removeValue(forKey: name) }

    /// Checks what is left against `own`; nil: anything goes.
    func finish(_ own: [String]?, prefixes: [String] = []) throws(SQLError) {
        guard let own else { return }
        let names = own + known
        for (name, value) in remaining.sorted(by: { $0.value.namePosition < $1.value.namePosition })
        where !own.contains(name) && !prefixes.contains(where: { name.hasPrefix($0) }) {
            let near = Suggestion.nearest(to: name, among: names)
            throw SQLError(
                .invalidParameterValue, "unknown option \"\(name)\" of \(what)", at: value.namePosition,
                hint: near.map { "Perhaps you meant the option \"\($0)\"." } ?? "Known options are \(names.sorted().joined(separator: ", ")).")
        }
    }

    // MARK: Typed values

    /// A length of time such as '5 seconds', in microseconds; not negative.
    mutating func duration(_ name: String) throws(SQLError) -> Int64? {
        guard let option = take(name) else { return nil }
        let interval: Interval
        do { interval = try Interval(text: option.text) } catch {
            throw SQLError(
                .invalidParameterValue, "option \"\(name)\" must be a length of time, not \"\(option.text)\"", at: option.position,
                hint: "For example '5 seconds' or '1 minute'.")
        }
        guard let micros = interval.fixedMicros, micros >= 0 else {
            throw SQLError(
                .invalidParameterValue, "option \"\(name)\" must be a fixed, positive length of time", at: option.position,
                hint: "For example '5 seconds' or '1 minute'.")
        }
        return micros
    }

    mutating func flag(_ name: String) throws(SQLError) -> Bool? {
        guard let option = take(name) else { return nil }
        switch option.text.lowercasedASCII {
        case "true", "on", "yes", "t", "1": return true
        case "false", "off", "no", "f", "0": return false
        default:
            throw SQLError(.invalidParameterValue, "option \"\(name)\" must be true or false, not \"\(option.text)\"", at: option.position)
        }
    }

    mutating func choice<Choice: RawRepresentable & CaseIterable>(_ name: String, _: Choice.Type) throws(SQLError) -> Choice?
    where Choice.RawValue == String {
        guard let option = take(name) else { return nil }
        guard let choice = Choice(rawValue: option.text.lowercasedASCII) else {
            let values = Choice.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
            throw SQLError(
                .invalidParameterValue, "option \"\(name)\" cannot be \"\(option.text)\"", at: option.position, hint: "It is one of \(values).")
        }
        return choice
    }
}

/// The connectors and the names of their options. What the values mean is the connectors' business.
enum ConnectorOptions {
    struct Known {
        var source: [String]?
        var sink: [String]?
        var prefixes: [String] = []
    }

    static let all: [String: Known] = [
        "file": Known(
            source: ["path", "follow", "poll_interval", "max_record_bytes"],
            sink: ["path", "roll_bytes", "roll_interval"]),
        "generator": Known(
            source: ["kind", "stream", "events", "seed", "rate", "disorder", "late", "bad", "duplicates", "start", "partitions"]),
        "datagen": Known(source: ["datagen.rows.per.second", "datagen.split.num"], prefixes: ["fields."]),
        "blackhole": Known(sink: []),
        "stdout": Known(sink: []),
        "postgres": Known(
            sink: ["host", "port", "user", "password", "database", "schema", "table", "ssl.mode", "connect.timeout.seconds"]),
        "kafka": Known(
            source: ["topic", "group.id.prefix", "scan.startup.mode", "scan.startup.timestamp.millis", "scan.bounded.mode", "isolation.level", "max_record_bytes", "max_lag"],
            sink: ["topic", "transactional", "message.max.bytes"], prefixes: ["properties."]),
    ]

    static func names(forSource: Bool) -> [String] {
        all.filter { (forSource ? $0.value.source : $0.value.sink) != nil }.keys.sorted()
    }
}
