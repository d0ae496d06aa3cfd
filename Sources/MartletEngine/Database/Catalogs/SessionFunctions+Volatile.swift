internal import MartletCore
internal import MartletSQL

/// Functions that answer anew for each row (`CatalogFunctionTable.volatile`).
extension SessionFunctions {
    /// nil: the function is another.
    func anew(_ name: String, _ arguments: [Value]) throws(SQLError) -> Value? {
        switch name {
        case "gen_random_uuid", "uuid_generate_v4":
            // RFC 9562, version 4.
            let high = try random() & ~0xF000 | 0x4000
            let low = try random() & ~(0b11 << 62) | 0b10 << 62
            return .uuid(UUIDValue(high: high, low: low))
        case "random":
            if arguments.isEmpty { return .double(Double(try random() >> 11) * 0x1p-53) }
            return try number(arguments)
        case "pg_sleep":
            if case .double(let seconds)? = arguments.first { try sleep(seconds) }
            return .text("")
        case CatalogFunctionTable.nextIdentity:
            guard case .text(let table)? = arguments.first else { return .null }
            return try next(facts.catalog[table], isForRow: true)
        case "nextval":
            guard let sequence = arguments.first else { return .null }
            return try next(numbered(by: sequence), isForRow: false)
        case "currval":
            guard let sequence = arguments.first else { return .null }
            let object = try numbered(by: sequence)
            if let number = drawn[object.id] { return .bigint(number) }
            throw SQLError(SQLState("55000"), "currval of sequence \"\(object.identitySequence ?? "")\" is not yet defined in this session")
        case "lastval":
            if let number = drawn.last { return .bigint(number) }
            throw SQLError(SQLState("55000"), "lastval is not yet defined in this session")
        case "setval": return try set(arguments)
        default: return nil
        }
    }

    private func random() throws(SQLError) -> UInt64 {
        guard let entropy = facts.database.surroundings.entropy else {
            throw SQLError(.featureNotSupported, "there is no source of random numbers here")
        }
        return entropy.next()
    }

    /// A whole number from the first argument up to the second.
    private func number(_ arguments: [Value]) throws(SQLError) -> Value {
        func drawn(_ low: Int64, _ high: Int64) throws(SQLError) -> Int64 {
            guard low <= high else { throw SQLError(.invalidParameterValue, "lower bound must be less than or equal to upper bound") }
            let width = UInt64(bitPattern: high &- low)
            if width == .max { return Int64(bitPattern: try random()) }
            // Numbers beyond the last whole multiple are drawn again, so that all are equally likely.
            let count = width + 1
            let limit = UInt64.max - UInt64.max % count
            var found = try random()
            while found >= limit { found = try random() }
            return low &+ Int64(bitPattern: found % count)
        }
        switch (arguments[0], arguments[1]) {
        case (.integer(let low), .integer(let high)): return .integer(Int32(truncatingIfNeeded: try drawn(Int64(low), Int64(high))))
        case (.bigint(let low), .bigint(let high)): return .bigint(try drawn(low, high))
        default: return .null
        }
    }

    /// In pieces, so that a cancel or a timeout is heard.
    private func sleep(_ seconds: Double) throws(SQLError) {
        let clock = facts.database.surroundings.clock
        let start = clock.monotonicNanos()
        let wanted = Int64(min(max(seconds.isNaN ? 0 : seconds, 0), 1e9) * 1e9)
        while true {
            try limits.check()
            let left = wanted - (clock.monotonicNanos() - start)
            if left <= 0 { return }
            clock.sleep(nanos: min(left, 20_000_000))
        }
    }

    // MARK: Columns that number rows

    /// - Parameter isForRow: a row's write records it.
    private func next(_ object: CatalogObject?, isForRow: Bool) throws(SQLError) -> Value {
        guard let object, let identity = object.table?.columns.lazy.compactMap(\.identity).first else {
            throw SQLError(.undefinedTable, "the table whose rows are to be numbered is not there")
        }
        let number = try facts.database.identities.draw(object.id, identity, object.identitySequence ?? "")
        drawn.note(object.id, number)
        if !isForRow, facts.database.identities.reserve(object.id, identity) { try facts.database.keepNumbers(limits) }
        return .bigint(number)
    }

    /// `setval(sequence, number [, is_called])`: the number was drawn last, or is drawn next.
    private func set(_ arguments: [Value]) throws(SQLError) -> Value {
        guard let given = arguments.first, case .bigint(let number) = arguments[1] else { return .null }
        let object = try numbered(by: given)
        let sequence = object.identitySequence ?? ""
        guard let identity = object.table?.columns.lazy.compactMap(\.identity).first else { return .null }
        guard identity.bounds.contains(number) else {
            throw SQLError(
                SQLState("22003"),
                "setval: value \(number) is out of bounds for sequence \"\(sequence)\" (\(identity.bounds.lowerBound)..\(identity.bounds.upperBound))")
        }
        var isCalled = true
        if arguments.count > 2, case .boolean(let called) = arguments[2] { isCalled = called }
        let (next, isBeyond) = isCalled ? number.addingReportingOverflow(identity.increment) : (number, false)
        guard !isBeyond else { throw SQLError(SQLState("22003"), "setval: value \(number) is out of bounds for sequence \"\(sequence)\"") }
        facts.database.identities.set(object.id, next: next, identity)
        if isCalled { drawn.note(object.id, number, isDrawn: false) }
        try facts.database.keepNumbers(limits)
        return .bigint(number)
    }

    /// `nextval('orders_id_seq')`: a sequence, or the name that PostgreSQL gives to what numbers a table's rows. Letters without
    /// quotes around them are small ones.
    private func numbered(by given: Value) throws(SQLError) -> CatalogObject {
        // 'orders_id_seq'::regclass
        if case .bigint(let oid) = given {
            if let object = facts.catalog.all.first(where: { Int64($0.oid) == oid }), object.identitySequence != nil { return object }
            throw SQLError(.undefinedTable, "relation with OID \(oid) is no sequence")
        }
        let sequence = given.text
        let written = sequence.contains("\"") ? sequence.filter { $0 != "\"" } : sequence.lowercased()
        let isQualified = written.contains(".")
        let (schema, bare) = CatalogNames.parts(written)
        let schemas = isQualified ? [schema] : facts.parameters.searchPath
        let owner = facts.catalog.all.first { object in
            guard let sequence = object.identitySequence else { return false }
            return sequence == bare && schemas.contains(CatalogNames.parts(object.name).schema)
        }
        guard let owner else {
            throw SQLError(
                .undefinedTable, "relation \"\(sequence)\" does not exist",
                hint: "CREATE SEQUENCE makes one; that of a SERIAL or identity column is called table_column_seq.")
        }
        return owner
    }
}

extension CatalogObject {
    /// A sequence's own name, or what PostgreSQL calls that of a column that numbers the rows; nil: there is none.
    var identitySequence: String? {
        if let table, table.isSequence { return CatalogNames.parts(name).name }
        guard let table, let column = table.columns.first(where: { $0.identity != nil }) else { return nil }
        return "\(CatalogNames.parts(name).name)_\(column.name)_seq"
    }
}
