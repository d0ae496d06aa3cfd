internal import MartletColumns
internal import MartletCore
internal import MartletSQL

/// A cursor: the rows of its query as they were when it was declared, and a place among them (0: before the first).
struct HeldCursor {
    var fields: [Field]
    var rows: Batch
    var place = 0
    var isHeld: Bool
    /// The statement that declared it, and when.
    var text: String
    var madeMicros: Int64
}

extension DatabaseSession {
    func declare(_ name: String, _ options: CursorOptions, _ query: BoundQuery, text: String) throws(SQLError) -> SQLOutcome {
        guard current.isExplicit || options.isHeld else {
            throw SQLError(SQLState("25P01"), "DECLARE CURSOR can only be used in transaction blocks")
        }
        if cursors[name] != nil { throw SQLError(SQLState("42P03"), "cursor \"\(name)\" already exists") }
        let rows = try run(try inputs(of: query.plan)).rows(query)
        let whole = Batch.joined(rows) ?? Batch(query.fields, [])
        cursors[name] = HeldCursor(
            fields: query.fields, rows: whole, isHeld: options.isHeld, text: text, madeMicros: database.surroundings.clock.wallMicros())
        return .done(tag: "DECLARE CURSOR")
    }

    func fetch(_ fetch: FetchStatement) throws(SQLError) -> SQLOutcome {
        if places[fetch.cursor] != nil { return try fetchChanges(fetch) }
        guard var cursor = cursors[fetch.cursor] else {
            throw SQLError(SQLState("34000"), "cursor \"\(fetch.cursor)\" does not exist")
        }
        let (rows, place) = DatabaseSession.places(fetch.direction, cursor.place, count: cursor.rows.count)
        cursor.place = place
        cursors[fetch.cursor] = cursor
        if fetch.isMove { return .done(tag: "MOVE \(rows.count)") }
        return .rows(BatchCursor(cursor.fields, [cursor.rows.rows(rows)]) { "FETCH \($0)" })
    }

    /// The rows that a direction gives from a place (1-based; 0 and count + 1 lie outside), and the place after it.
    static func places(_ direction: FetchStatement.Direction, _ place: Int, count: Int) -> (rows: [Int], place: Int) {
        func single(_ wanted: Int) -> ([Int], Int) {
            let at = min(max(wanted, 0), count + 1)
            return (at >= 1 && at <= count ? [at - 1] : [], at)
        }
        func run(_ distance: Int) -> ([Int], Int) {
            if distance == 0 { return single(place) }
            if distance > 0 {
                let last = min(place + distance, count)
                let rows = place < last ? Array(place..<last) : []
                return (rows, rows.count < distance ? count + 1 : last)
            }
            let first = max(place + distance, 1)
            let rows = first < place ? Array((first - 1)..<(place - 1)).reversed() : []
            return (Array(rows), rows.count < -distance ? 0 : first)
        }
        func bounded(_ number: Int64?) -> Int { Int(clamping: min(number ?? .max, Int64(count + 1))) }
        switch direction {
        case .forward(let number): return (number ?? 1) < 0 ? run(max(Int(clamping: number ?? 0), -(count + 1))) : run(bounded(number))
        case .backward(let number): return run(-bounded(number))
        case .absolute(let number): return single(number < 0 ? count + 1 + max(Int(clamping: number), -(count + 1)) : bounded(number))
        case .relative(let number): return single(place + max(bounded(number), -(count + 1)))
        case .first: return single(1)
        case .last: return single(count)
        }
    }

    func closeCursor(_ name: String?) throws(SQLError) -> SQLOutcome {
        guard let name else {
            cursors = [:]
            for place in places.values { unfollow(place.place.relation) }
            places = [:]
            return .done(tag: "CLOSE CURSOR ALL")
        }
        if let place = places.removeValue(forKey: name) {
            unfollow(place.place.relation)
            return .done(tag: "CLOSE CURSOR")
        }
        guard cursors.removeValue(forKey: name) != nil else { throw SQLError(SQLState("34000"), "cursor \"\(name)\" does not exist") }
        return .done(tag: "CLOSE CURSOR")
    }
}
