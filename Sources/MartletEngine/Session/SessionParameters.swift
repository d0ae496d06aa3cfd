internal import MartletCore
internal import MartletSQL

/// A session's parameters (SET, SHOW), by lower-case name.
struct SessionParameters {
    /// Those that the protocol reports when they change, under the names that drivers look for.
    static let reported = [
        "application_name": "application_name", "client_encoding": "client_encoding", "datestyle": "DateStyle",
        "default_transaction_read_only": "default_transaction_read_only", "in_hot_standby": "in_hot_standby",
        "integer_datetimes": "integer_datetimes", "intervalstyle": "IntervalStyle", "is_superuser": "is_superuser",
        "scram_iterations": "scram_iterations", "search_path": "search_path", "server_encoding": "server_encoding",
        "server_version": "server_version", "session_authorization": "session_authorization",
        "standard_conforming_strings": "standard_conforming_strings", "timezone": "TimeZone",
    ]

    static let defaults = [
        "application_name": "", "background_ddl": "false", "bytea_output": "hex", "client_encoding": "UTF8", "client_min_messages": "notice",
        "datestyle": "ISO, MDY", "default_transaction_isolation": "repeatable read", "default_transaction_read_only": "off",
        "extra_float_digits": "1", "idle_in_transaction_session_timeout": "0", "in_hot_standby": "off", "integer_datetimes": "on",
        "intervalstyle": "postgres", "is_superuser": "on", "lock_timeout": "0", "max_function_args": "100", "max_identifier_length": "63",
        "max_index_keys": "32",
        "rw_implicit_flush": "true", "scram_iterations": "4096", "search_path": "public", "server_encoding": "UTF8",
        "server_version": "16.0 (Martlet)", "server_version_num": "160000", "session_authorization": "martlet",
        "standard_conforming_strings": "on", "statement_memory_limit": "1GB",
        "statement_timeout": "0", "timezone": "UTC", "transaction_isolation": "repeatable read",
        "transaction_read_only": "off",
    ]

    /// Cannot be set.
    static let fixed: Set<String> = [
        "in_hot_standby", "integer_datetimes", "is_superuser", "max_function_args", "max_identifier_length", "max_index_keys", "server_encoding", "server_version",
        "server_version_num", "session_authorization",
    ]

    private var values: [String: String] = [:]
    /// What the session began with: RESET's values.
    private var initial: [String: String] = [:]
    private var unreported: Set<String> = Set(SessionParameters.reported.keys)

    /// Grows with every change.
    private(set) var generation = 0

    init(user: String) { initial["session_authorization"] = user }

    subscript(name: String) -> String? { values[name] ?? initial[name] ?? SessionParameters.defaults[name] }

    var all: [(name: String, value: String)] {
        Set(SessionParameters.defaults.keys).union(values.keys).union(initial.keys).sorted().map { ($0, self[$0] ?? "") }
    }

    /// From the start-up message.
    mutating func begin(_ name: String, _ value: String) {
        initial[name] = value
        generation += 1
    }

    /// nil: back to the beginning's.
    mutating func set(_ name: String, _ value: String?) {
        let before = self[name]
        values[name] = value
        generation += 1
        if self[name] != before, SessionParameters.reported[name] != nil { unreported.insert(name) }
    }

    mutating func resetAll() {
        for name in values.keys.sorted() { set(name, nil) }
    }

    mutating func takeReports() -> [(name: String, value: String)] {
        if unreported.isEmpty { return [] }
        defer { unreported = [] }
        return unreported.sorted().compactMap { name in SessionParameters.reported[name].map { ($0, self[name] ?? "") } }
    }

    /// Schemas, in order, without quotes.
    var searchPath: [String] {
        let names = (self["search_path"] ?? "").split(separator: ",").map { part in
            String(part.filter { $0 != " " && $0 != "\"" && $0 != "'" })
        }
        let known = names.filter { !$0.isEmpty && $0 != "$user" }
        return known.isEmpty ? [CatalogNames.defaultSchema] : known
    }

    /// Kibibytes, or a number with a unit, in bytes; nil where it is no size.
    static func bytes(_ text: String) -> Int? {
        let digits = text.prefix { $0.isNumber }
        guard let number = Int(digits) else { return nil }
        let shift: Int? =
            switch text.dropFirst(digits.count).filter({ $0 != " " }) {
            case "B": 0
            case "", "kB": 10
            case "MB": 20
            case "GB": 30
            case "TB": 40
            default: nil
            }
        guard let shift else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        return overflow ? nil : bytes
    }

    /// Milliseconds, or a number with a unit, in microseconds; nil where it is no duration.
    static func micros(_ text: String) -> Int64? {
        let digits = text.prefix { $0.isNumber }
        guard let number = Int64(digits) else { return nil }
        let unit = text.dropFirst(digits.count).filter { $0 != " " }
        let factor: Int64? =
            switch unit {
            case "", "ms": 1000
            case "us": 1
            case "s": 1_000_000
            case "min": 60_000_000
            case "h": 3_600_000_000
            case "d": 86_400_000_000
            default: nil
            }
        guard let factor else { return nil }
        let (micros, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : micros
    }
}
