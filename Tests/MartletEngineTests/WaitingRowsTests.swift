import MartletColumns
import MartletCore
import MartletState
import Testing

/// Joins by time in which one side has far more rows than the other: the many wait without an index.
@Suite("Rows of a join that wait")
struct WaitingRowsTests {
    private struct Row {
        var id: Int
        var key: Int?
        var seconds: Int
    }

    private static let definitions = """
        CREATE TABLE a (id INT, k NUMERIC, t TEXT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '2 seconds') APPEND ONLY;
        CREATE TABLE b (id INT, k NUMERIC, t TEXT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '2 seconds') APPEND ONLY;
        CREATE MATERIALIZED VIEW v AS SELECT a.id, b.id AS other FROM a JOIN b
          ON a.k = b.k AND a.t = b.t AND a.ts BETWEEN b.ts - INTERVAL '20 seconds' AND b.ts
        """

    /// `scale`: digits behind the point, in which equal keys may differ.
    private func insert(_ rows: [Row], into table: String, scale: Int, _ database: DatabaseHarness) {
        guard !rows.isEmpty else { return }
        let values = rows.map { row in
            let key = row.key.map { "\($0)." + String(repeating: "0", count: scale) } ?? "NULL"
            return "(\(row.id), \(key), 'a text that is not stored inline', TIMESTAMP '2026-01-01' + INTERVAL '\(row.seconds) seconds')"
        }
        #expect(database.run("INSERT INTO \(table) VALUES \(values.joined(separator: ", "))") == "INSERT 0 \(rows.count)")
    }

    private func pairs(_ left: [Row], _ right: [Row]) -> [String] {
        left.flatMap { a in
            right.compactMap { b in
                a.key != nil && a.key == b.key && (b.seconds - 20...b.seconds).contains(a.seconds) ? "\(a.id) \(b.id)" : nil
            }
        }.sorted()
    }

    /// Rows of a tick: many of one side, and one of the other every `pause` ticks.
    private func rows(_ tick: Int, count: Int, keys: UInt64 = 30, seed: inout SplitMix64) -> [Row] {
        (0..<count).map { at in
            let number = Int(seed.next() % keys)
            return Row(id: tick * 1000 + at, key: number == 0 ? nil : number, seconds: max(tick * 2 - Int(seed.next() % 2), 0))
        }
    }

    @Test("a join gives the same whichever side waits, asked seldom or often", arguments: ["a", "b"], [1, 3, 12])
    func answers(many: String, pause: Int) throws {
        let database = try DatabaseHarness(shards: pause == 3 ? 2 : 1)
        database.run(Self.definitions)
        var seed = SplitMix64(seed: 7)
        var left: [Row] = []
        var right: [Row] = []
        for tick in 0..<40 {
            let more = rows(tick, count: 40, seed: &seed)
            let few = tick % pause == 0 ? rows(tick, count: 1, seed: &seed) : []
            let (a, b) = many == "a" ? (more, few) : (few, more)
            insert(a, into: "a", scale: 1, database)
            insert(b, into: "b", scale: 2, database)
            left += a
            right += b
            let expected = pairs(left, right)
            let found = database.sorted("SELECT * FROM v").split(separator: "\n").map(String.init).sorted()
            #expect(found == expected, "tick \(tick)")
            guard found == expected else { return }
        }
        #expect(pairs(left, right).count > 5)
    }

    /// How many rows of each side come in one tick: now the one side has far more, now the other, from the first tick on or later.
    @Test("rows of both sides that come in one tick meet, whichever of them wait", arguments: [[(1, 10), (1, 40)], [(10, 1), (40, 1)],
        [(1, 1), (1, 20), (1, 30)], [(1, 1), (20, 1), (30, 1)], [(2, 0), (1, 40), (3, 100)], [(0, 2), (40, 1), (100, 3)], [(3, 3), (1, 50), (90, 1)]])
    func together(ticks: [(Int, Int)]) throws {
        let database = try DatabaseHarness()
        database.run(Self.definitions)
        var seed = SplitMix64(seed: 3)
        var (left, right): ([Row], [Row]) = ([], [])
        for (tick, counts) in ticks.enumerated() {
            let (a, b) = (rows(tick, count: counts.0, keys: 4, seed: &seed), rows(tick, count: counts.1, keys: 4, seed: &seed))
            database.run("BEGIN")
            insert(a, into: "a", scale: 1, database)
            insert(b, into: "b", scale: 2, database)
            #expect(database.run("COMMIT") == "COMMIT")
            left += a
            right += b
            #expect(database.sorted("SELECT * FROM v").split(separator: "\n").map(String.init).sorted() == pairs(left, right), "tick \(tick)")
        }
        #expect(!pairs(left, right).isEmpty)
    }

    @Test("rows that wait come back from a saved state", arguments: [1, 2], [1, 2])
    func comesBack(shards: Int, later: Int) throws {
        let database = try DatabaseHarness(shards: shards)
        database.run(Self.definitions)
        let left = (0..<200).map { Row(id: $0, key: $0 % 20 + 1, seconds: $0 % 10) }
        insert(left, into: "a", scale: 0, database)
        let again = try DatabaseHarness.broughtBack(try database.saved(), [], shards: later)
        let right = [Row(id: 1, key: 5, seconds: 12), Row(id: 2, key: 6, seconds: 12)]
        insert(right, into: "b", scale: 3, again)
        #expect(again.run("SELECT * FROM v").split(separator: "\n").map(String.init).sorted() == pairs(left, right))
        #expect(!pairs(left, right).isEmpty)
    }

    @Test("rows wait while the other side has few, and are forgotten by their time")
    func life() {
        func side(_ times: ClosedRange<Int64>) -> [Column] {
            [Column(.bigint, times.map { .bigint($0 % 7) }), Column(.timestamp, times.map { .timestamp($0) })]
        }
        let shape = JoinTable.Side(types: [.bigint, .timestamp], isChanging: false, counts: false, time: 1, timeStep: 1, keys: [0])
        let table = JoinTable(keys: [.bigint], left: shape, right: shape)
        for piece in Int64(0)..<5 {
            let columns = side(piece * 4096...piece * 4096 + 4095)
            table.noteArrival(0, 4096)
            #expect(table.waits(0))
            table.wait(0, columns, hashes: Hash.rows([columns[0]], count: 4096))
        }
        #expect(table.rowCount(0) == 5 * 4096)
        table.forget(0, before: 2 * 4096) { _, _ in }
        #expect(table.rowCount(0) == 3 * 4096)
        // A piece goes when its last row does.
        table.forget(0, before: 3 * 4096 - 1) { _, _ in }
        #expect(table.rowCount(0) == 3 * 4096)
        table.indexWaiting(0)
        #expect(table.rowCount(0) == 3 * 4096)
        table.forget(0, before: 5 * 4096 - 10) { _, _ in }
        #expect(table.rowCount(0) == 10)
        // As many of the other side: they had better be found.
        table.noteArrival(1, 4096)
        #expect(!table.waits(0))
    }

    private func saved(_ table: JoinTable) throws -> [UInt8] {
        var bytes: [UInt8] = []
        let writer = StateWriter { bytes += $0 }
        table.save(into: writer)
        try writer.finish()
        return bytes
    }

    @Test("a save leaves rows waiting, and a restored table is saved again to the same bytes")
    func saves() throws {
        let shape = JoinTable.Side(types: [.bigint, .timestamp], isChanging: false, counts: false, time: 1, timeStep: 1, keys: [0])
        let table = JoinTable(keys: [.bigint], left: shape, right: shape)
        let columns = [Column(.bigint, (0..<5000).map { .bigint($0 % 7) }), Column(.timestamp, (0..<5000).map { $0 == 9 ? .null : .timestamp($0) })]
        table.noteArrival(0, 5000)
        table.wait(0, columns, hashes: Hash.rows([columns[0]], count: 5000))
        let bytes = try saved(table)
        #expect(table.hasWaiting(0), "a save puts nothing into the index")
        let again = JoinTable(keys: [.bigint], left: shape, right: shape)
        let reader = StateReader(bytes)
        try again.restore(from: reader)
        try reader.finish()
        #expect(again.hasWaiting(0) && again.waits(0) && again.rowCount(0) == 5000)
        #expect(try saved(again) == bytes)
        again.forget(0, before: 4096) { _, _ in }
        #expect(again.rowCount(0) == 904, "the first piece is over")
    }

    @Test("of a state of version 2, in which no row waited, all rows are found")
    func earlierVersion() throws {
        let shape = JoinTable.Side(types: [.bigint, .timestamp], isChanging: false, counts: false, time: 1, timeStep: 1, keys: [])
        let old = JoinTable(keys: [.bigint], left: shape, right: shape)
        let columns = [Column(.bigint, (0..<10).map { .bigint($0 % 3) }), Column(.timestamp, (0..<10).map { .timestamp($0) })]
        _ = old.apply(0, columns, keys: old.keyNumbers([columns[0]], count: 10), weights: nil)
        // Tables whose rows do not wait are as all were then.
        var bytes = try saved(old)
        bytes[8] = 2
        withUnsafeBytes(of: bytes[..<12].withUnsafeBytes { crc32c($0) }.littleEndian) { bytes.replaceSubrange(12..<16, with: $0) }
        var waiting = shape
        waiting.waitingKeys = [0]
        let table = JoinTable(keys: [.bigint], left: waiting, right: waiting)
        let reader = StateReader(bytes)
        try table.restore(from: reader)
        try reader.finish()
        #expect(table.rowCount(0) == 10 && !table.hasWaiting(0))
        let later = StateReader(try saved(table))
        try JoinTable(keys: [.bigint], left: waiting, right: waiting).restore(from: later)
        try later.finish()
    }
}
