package import MartletCore
internal import MartletEngine
package import MartletSQL

/// `connector = 'postgres'`: a table of a PostgreSQL server, by RisingWave's names of options.
extension LocalConnectors {
    private static let optionNames = [
        "host", "port", "user", "password", "database", "schema", "table", "ssl.mode", "connect.timeout.seconds",
    ]

    func openPostgresSink(_ definition: SinkDefinition, isAppendOnly: Bool) throws(SQLError) -> PostgresTarget {
        let subject = "sink \"\(definition.name)\""
        let options = ConnectorOptions(definition.options, of: subject, connector: "postgres")
        try options.allow(LocalConnectors.optionNames)
        guard log != nil else {
            throw SQLError(
                .invalidParameterValue, "\(subject): connector \"postgres\" needs a log, and this run has none",
                hint: "Give a data directory (--data-dir DIR): what PostgreSQL has is kept in step with it.")
        }
        let takesRowsBack = !isAppendOnly && !definition.ignoresDeletes
        if takesRowsBack, definition.primaryKey.isEmpty {
            throw SQLError(
                .invalidParameterValue, "\(subject): its rows change, and nothing says which row of the table a change is about",
                hint: "Give primary_key = 'column, …' and type = 'upsert'; the table needs a unique index on these columns.")
        }
        var connection: [(String, String)] = [
            ("host", options.text("host") ?? "localhost"), ("port", "\(try options.integer("port", in: 1...65_535) ?? 5432)"),
            ("user", options.text("user") ?? "postgres"), ("dbname", options.text("database") ?? "postgres"),
            ("connect_timeout", "\(try options.integer("connect.timeout.seconds", in: 1...3600) ?? 10)"),
            // Of a server that is gone without a word one learns only by asking.
            ("keepalives_idle", "10"), ("keepalives_interval", "5"), ("keepalives_count", "3"), ("tcp_user_timeout", "30000"),
            ("application_name", "martlet"), ("client_encoding", "UTF8"),
        ]
        if let password = options.text("password") { connection.append(("password", password)) }
        if let mode = try options.choice("ssl.mode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]) {
            connection.append(("sslmode", mode))
        }
        return PostgresTarget(
            definition.name,
            PostgresSettings(
                connection: connection, schema: options.text("schema") ?? "public", table: try options.required("table"),
                columns: definition.fields.map(\.name), key: definition.type == .appendOnly ? [] : definition.primaryKey,
                ignoresDeletes: definition.ignoresDeletes), isPatient: isPatient,
            refused: log.map { RefusedRows(definition.name, log: $0, partitions: topicPartitions, clock: clock) })
    }

    package func check(_ definition: SinkDefinition) throws(SQLError) {
        guard definition.connector == "postgres", log != nil else { return }
        try openPostgresSink(definition, isAppendOnly: definition.isAppendOnly).check(timeoutSeconds: LocalConnectors.checkSeconds)
    }

    /// Ticks stand still as long.
    private static let checkSeconds = 2
}
