internal import MartletCore

/// CREATE SOURCE: columns, INCLUDE, watermark, options, FORMAT … ENCODE.
extension Binder {
    /// `ofTable`: the connector's side of a table.
    mutating func source(_ create: CreateSourceSyntax, text: String, ofTable: Bool = false) throws(SQLError) -> SourceDefinition {
        isContinuous = true
        let name = try objectName(create.name)
        let columns = try self.columns(create)
        var options = try Options(
            create.options,
            known: [
                "connector", "late_table", "allowed_lateness", "idle_timeout", "max_future_skew", "on_error", "backpressure", "latency_target",
            ], of: "a source")
        let connector = try connector(&options, forSource: true, at: create.position)
        var source = SourceDefinition(name: name, columns: columns, watermark: nil, connector: connector)
        source.watermark = try create.watermark.map { (watermark) throws(SQLError) in
            try self.watermark(watermark, columns.map { ($0.name, $0.type) })
        }
        if let late = options.take("late_table") {
            guard source.watermark != nil else {
                throw SQLError(
                    .invalidParameterValue, "late_table needs a watermark, without which no row is late", at: late.namePosition,
                    hint: "Declare one: WATERMARK FOR column AS column - INTERVAL '5 seconds'.")
            }
            guard !late.text.isEmpty, late.text != name, late.text != source.deadLetterTable, catalog.relation(named: late.text) == nil else {
                throw SQLError(.duplicateTable, "relation \"\(late.text)\" already exists", at: late.position)
            }
            source.lateTable = late.text
            source.lateColumns = source.fields
            for (index, field) in source.lateFields.enumerated() where index >= columns.count && columns.contains(where: { $0.name == field.name }) {
                throw SQLError(
                    .duplicateColumn, "the late table has a column \"\(field.name)\" of its own", at: late.namePosition,
                    hint: "Give the source's column another name, for example with AS after INCLUDE.")
            }
        }
        source.allowedLateness = try options.duration("allowed_lateness") ?? 0
        source.idleTimeout = try options.duration("idle_timeout")
        source.maxFutureSkew = try options.duration("max_future_skew")
        source.latencyTarget = try options.duration("latency_target")
        source.onError = try options.choice("on_error", ErrorPolicy.self) ?? .deadLetter
        source.backpressure = try options.choice("backpressure", Backpressure.self) ?? .block
        guard catalog.relation(named: source.deadLetterTable) == nil else {
            throw SQLError(
                .duplicateTable, "relation \"\(source.deadLetterTable)\", which holds the dead letters, already exists", at: create.name.position)
        }
        (source.format, source.encode) = try format(create.format, forSource: true)
        if source.format != .plain, !ofTable, let format = create.format {
            throw .notSupported(
                "FORMAT \(source.format.rawValue.uppercasedASCII) of a source", at: format.format.position,
                hint: "Use CREATE TABLE with a primary key, which takes changes.")
        }
        if source.encode.encoding == .bytes {
            let fields = columns.filter { $0.role == .field }
            guard fields.count == 1, fields[0].type == .bytea else {
                throw SQLError(
                    .invalidTableDefinition, "ENCODE BYTES needs exactly one column, of type BYTEA", at: create.format?.encode.position ?? create.position)
            }
        }
        let known = ConnectorOptions.all[connector]
        try options.finish(known?.source, prefixes: known?.prefixes ?? [])
        source.options = options.remaining
        source.computed = try computed(create, source)
        source.pipeline = create.pipeline?.text
        source.ifNotExists = create.ifNotExists
        source.text = text
        return source
    }

    private mutating func columns(_ create: CreateSourceSyntax) throws(SQLError) -> [SourceColumn] {
        var columns: [SourceColumn] = []
        var positions: [Int] = []
        for column in create.columns where column.generated == nil {
            let type = try columnType(column.type, of: column.name.text)
            let path = try column.path.map { (path) throws(SQLError) in try jsonPath(path) }
            columns.append(SourceColumn(name: column.name.text, type: type, isNotNull: column.isNotNull, jsonPath: path))
            positions.append(column.name.position)
        }
        for include in create.includes {
            columns.append(try self.include(include))
            positions.append((include.alias ?? include.what).position)
        }
        var seen: Set<String> = []
        for (column, position) in zip(columns, positions) where !seen.insert(column.name).inserted {
            throw SQLError(.duplicateColumn, "column \"\(column.name)\" specified more than once", at: position)
        }
        guard columns.contains(where: { $0.role == .field }) else {
            throw SQLError(
                .invalidTableDefinition, "a source needs columns", at: create.name.position, hint: "For example (id BIGINT, ts TIMESTAMPTZ).")
        }
        guard columns.count <= SQLLimits.columnsMax else {
            throw SQLError(.tooManyColumns, "sources can have at most \(SQLLimits.columnsMax) columns", at: create.name.position)
        }
        return columns
    }

    private mutating func computed(_ create: CreateSourceSyntax, _ source: SourceDefinition) throws(SQLError) -> [ComputedColumn] {
        var computed: [ComputedColumn] = []
        clockIsColumn = true
        defer { clockIsColumn = false }
        for (place, column) in create.columns.enumerated() {
            guard let generated = column.generated else { continue }
            guard !source.shownFields.contains(where: { $0.name == column.name.text }), !computed.contains(where: { $0.name == column.name.text }) else {
                throw SQLError(.duplicateColumn, "column \"\(column.name.text)\" specified more than once", at: column.name.position)
            }
            let block = Block(scope: Scope(relation: create.name.last.text, fields: source.fields))
            block.clause = .generated
            let own = TableColumn(name: column.name.text, type: try dataType(column.type))
            let value = try assigned(try bind(generated, block), to: own, at: generated.position)
            guard block.subqueries.isEmpty else {
                throw SQLError(.featureNotSupported, "cannot use subquery in column generation expression", at: generated.position)
            }
            computed.append(ComputedColumn(name: own.name, type: own.type, expression: value, place: place))
        }
        return computed
    }

    func include(_ include: IncludeSyntax) throws(SQLError) -> SourceColumn {
        let what = include.what.text == "headers" ? "header" : include.what.text
        guard let kind = SourceColumn.Include(rawValue: what) else {
            if what == "payload" { throw .notSupported("INCLUDE payload", at: include.what.position) }
            let near = Suggestion.nearest(to: what, among: ["key", "offset", "partition", "timestamp", "header"])
            throw SQLError(
                .invalidParameterValue, "INCLUDE \(include.what.text) is not known", at: include.what.position,
                hint: near.map { "Perhaps you meant INCLUDE \($0)." } ?? "It is one of key, offset, partition, timestamp, header.")
        }
        let type: DataType =
            switch kind {
            case .key: .bytea
            case .offset: .bigint
            case .partition: .integer
            case .timestamp: .timestamptz
            case .header: include.key == nil ? .jsonb : .bytea
            }
        return SourceColumn(name: include.alias?.text ?? what, type: type, role: .include(kind), headerName: include.key)
    }

    /// `$.user.name` → ["user", "name"]. Keys without dots only; `$."a.b"` quotes one.
    private func jsonPath(_ syntax: JSONPathSyntax) throws(SQLError) -> [String] {
        let invalid = SQLError(
            .invalidParameterValue, "invalid path \"\(syntax.text)\"", at: syntax.position, hint: "For example PATH '$.user.name'.")
        let bytes = Array(syntax.text.utf8)
        guard bytes.first == UInt8(ascii: "$"), bytes.count > 1 else { throw invalid }
        var keys: [String] = []
        var index = 1
        while index < bytes.count {
            guard bytes[index] == UInt8(ascii: "."), index + 1 < bytes.count else { throw invalid }
            index += 1
            var key: [UInt8] = []
            if bytes[index] == UInt8(ascii: "\"") {
                index += 1
                while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
                    key.append(bytes[index])
                    index += 1
                }
                guard index < bytes.count else { throw invalid }
                index += 1
            } else {
                while index < bytes.count, bytes[index] != UInt8(ascii: ".") {
                    guard bytes[index] != UInt8(ascii: "["), bytes[index] != UInt8(ascii: "*") else { throw invalid }
                    key.append(bytes[index])
                    index += 1
                }
            }
            guard !key.isEmpty, keys.count < 64 else { throw invalid }
            keys.append(String(decoding: key, as: UTF8.self))
        }
        return keys
    }

    // MARK: Watermark

    /// `column` or `column - constant interval`.
    mutating func watermark(_ syntax: WatermarkSyntax, _ columns: [(name: String, type: DataType)]) throws(SQLError) -> WatermarkDefinition {
        guard let ordinal = columns.firstIndex(where: { $0.name == syntax.column.text }) else {
            let near = Suggestion.nearest(to: syntax.column.text, among: columns.map(\.name))
            throw SQLError(
                .undefinedColumn, "column \"\(syntax.column.text)\" does not exist", at: syntax.column.position,
                hint: near.map { "Perhaps you meant the column \"\($0)\"." })
        }
        let type = columns[ordinal].type
        guard type == .timestamp || type == .timestamptz else {
            throw SQLError(
                .datatypeMismatch, "the watermark needs a timestamp, but \"\(syntax.column.text)\" is of type \(type.sqlName)",
                at: syntax.column.position)
        }
        var base = syntax.expression
        var delay: Int64 = 0
        if case .binary("-", let left, let right) = base.kind {
            base = left
            delay = try micros(right, "the delay of the watermark")
            guard delay >= 0 else {
                throw SQLError(.invalidParameterValue, "the delay of the watermark must not be negative", at: right.position)
            }
        }
        guard case .name(let parts) = base.kind, parts.last?.text == syntax.column.text else {
            throw .notSupported(
                "this form of watermark", at: syntax.expression.position,
                hint: "Write WATERMARK FOR \(syntax.column.text) AS \(syntax.column.text) - INTERVAL '5 seconds'.")
        }
        return WatermarkDefinition(column: ordinal, delay: delay)
    }

    // MARK: FORMAT … ENCODE …

    /// Without a clause: FORMAT PLAIN ENCODE JSON.
    func format(_ syntax: FormatSyntax?, forSource: Bool) throws(SQLError) -> (RecordFormat, EncodeDefinition) {
        guard let syntax else { return (.plain, EncodeDefinition(encoding: .json)) }
        guard let format = RecordFormat(rawValue: syntax.format.text) else {
            throw unknown("FORMAT", syntax.format, RecordFormat.allCases.map(\.rawValue))
        }
        guard let encoding = RecordEncoding(rawValue: syntax.encode.text) else {
            throw unknown("ENCODE", syntax.encode, RecordEncoding.allCases.map(\.rawValue))
        }
        if format == .debezium, encoding != .json { throw .notSupported("FORMAT DEBEZIUM of anything but JSON", at: syntax.encode.position) }
        if encoding == .avro || encoding == .protobuf { throw .notSupported("ENCODE \(encoding.rawValue.uppercasedASCII)", at: syntax.encode.position) }
        var encode = EncodeDefinition(encoding: encoding)
        let known: [String]
        switch encoding {
        case .csv: known = ["delimiter", "header", "without_header", "timestamp.handling"]
        case .json: known = ["timestamp.handling"]
        case .bytes, .avro, .protobuf: known = []
        }
        var options = try Options(syntax.options, known: known, of: "ENCODE \(encoding.rawValue.uppercasedASCII)")
        encode.options = options.remaining
        if encoding == .csv {
            encode.hasHeader = true
            if let delimiter = options.take("delimiter") {
                let text = delimiter.text == "\\t" || delimiter.text == "tab" ? "\t" : delimiter.text
                guard text.utf8.count == 1, let byte = text.utf8.first, byte < 128, byte != 10, byte != 13, byte != UInt8(ascii: "\"") else {
                    throw SQLError(.invalidParameterValue, "the delimiter must be one ASCII character", at: delimiter.position)
                }
                encode.delimiter = byte
            }
            if let header = try options.flag("header") { encode.hasHeader = header }
            if let without = try options.flag("without_header") { encode.hasHeader = !without }
        }
        if encoding == .csv || encoding == .json, let handling = try options.choice("timestamp.handling", EncodeDefinition.TimestampHandling.self) {
            encode.timestampHandling = handling
        }
        try options.finish([])
        return (format, encode)
    }

    private func unknown(_ clause: String, _ name: Identifier, _ known: [String]) -> SQLError {
        let words = known.map(\.uppercasedASCII)
        let near = Suggestion.nearest(to: name.text, among: known).map(\.uppercasedASCII)
        return SQLError(
            .invalidParameterValue, "\(clause) \(name.text.uppercasedASCII) is not known", at: name.position,
            hint: near.map { "Perhaps you meant \(clause) \($0)." } ?? "It is one of \(words.joined(separator: ", ")).")
    }
}
