internal import MartletColumns
internal import MartletCore
internal import Testing

@Suite struct KernelBasicsTests {
    @Test(arguments: DataType.all)
    func valuesComeBack(_ type: DataType) {
        var values = RandomValues(seed: 1)
        let wanted = (0..<200).map { _ in values.value(type) }
        let column = Column(type, wanted)
        #expect(column.allValues.map(shown) == wanted.map(shown))
        #expect(nullsAreZero(column))
    }

    @Test(arguments: DataType.all)
    func gatherAndAppend(_ type: DataType) {
        var values = RandomValues(seed: 2)
        let wanted = (0..<100).map { _ in values.value(type) }
        let rows = (0..<150).map { _ in values.below(100) }
        let result = Column(type, capacity: 0)
        do {
            let column = Column(type, wanted)
            let picked = column.gather(Selection(rows))
            #expect(picked.allValues.map(shown) == rows.map { shown(wanted[$0]) })
            result.append(rowsOf: column, Selection(rows), detached: true)
            result.append(rowsOf: column, from: 10, count: 20)
            result.append(rowsOf: column, from: 30, count: 5, detached: true)
            #expect(column.slice(40, 7).allValues.map(shown) == wanted[40..<47].map(shown))
        }
        #expect(result.allValues.map(shown) == (rows.map { wanted[$0] } + wanted[10..<35]).map(shown))
        #expect(nullsAreZero(result))
        // Without NULLs among the rows there is no validity to look at.
        let none = Column(type, (0..<10).map { $0 == 0 ? .null : values.value(type, nulls: 0) })
        #expect(none.gather(Selection([1, 2, 9])).validity == nil)
    }

    @Test(arguments: [0, 1, 31, 32, 33, 64, 1000])
    func whereTrue(_ count: Int) {
        var values = RandomValues(seed: 3)
        for density in [1, 2, 100] {
            let column = Column(.boolean, (0..<count).map { _ in
                values.below(density) == 0 ? .boolean(true) : values.pick([.boolean(false), .null])
            })
            let wanted = (0..<count).filter { column.value(at: $0) == .boolean(true) }
            #expect(Selection.where(column).rows == wanted)
        }
    }

    @Test func batchesKeepWeightsAndOrigins() {
        let block = OriginBlock(source: 0, partition: 3, heap: ByteHeap(capacity: 0), capacity: 4, ingestedAt: 0)
        let batch = Batch(
            count: 4, columns: [Column(.bigint, [.bigint(1), .bigint(2), .null, .bigint(4)])],
            weights: Column(.bigint, [.bigint(1), .bigint(-1), .bigint(1), .bigint(-1)]),
            origins: RowOrigins(block: block, rows: Selection([3, 2, 1, 0])))
        let part = batch.gather(Selection([3, 1])).slice(1, 1)
        #expect(part.row(0) == [.bigint(2)])
        #expect(part.weights?.value(at: 0) == .bigint(-1))
        #expect(part.origins?.blockRow(0) == 2)
        let passed = batch.filter(Column(.boolean, [.boolean(false), .boolean(true), .null, .boolean(true)]))
        #expect(passed.columns[0].allValues == [.bigint(2), .bigint(4)])
    }
}

@Suite struct KernelHashTests {
    /// Keys that SQL takes for equal hash alike and are equal rows; others differ.
    @Test(arguments: DataType.all + [.array(.plainNumeric), .array(.integer), .record([.double, .jsonb]), .array(.record([.interval]))])
    func hashFollowsEquality(_ type: DataType) {
        var values = RandomValues(seed: 4)
        let column = values.column(type, 150)
        let hashes = Hash.rows([column], count: 150)
        for left in 0..<150 {
            for right in 0..<150 {
                let isSame = column.value(at: left) == column.value(at: right)
                #expect(column.equals(left, column, right) == isSame)
                #expect((hashes[left] == hashes[right]) == isSame, "\(column.value(at: left)) \(column.value(at: right))")
            }
        }
    }

    @Test func sameKeysOfDifferentLooks() {
        func hash(_ type: DataType, _ value: Value) -> UInt64 { Hash.rows([Column(type, [value])], count: 1)[0] }
        #expect(hash(.double, .double(0.0)) == hash(.double, .double(-0.0)))
        #expect(hash(.smallint, .smallint(-5)) == hash(.bigint, .bigint(-5)))
        for (a, b) in [("1.0", "1.00"), ("-12.5", "-12.5000"), ("0", "0.000"), ("1e20", "100000000000000000000.0")] {
            #expect(hash(.plainNumeric, .numeric(Decimal(text: a)!)) == hash(.plainNumeric, .numeric(Decimal(text: b)!)))
        }
        #expect(hash(.jsonb, .jsonb("{\"a\": [1.50, 2.0, \"3.0\"]}")) == hash(.jsonb, .jsonb("{\"a\": [1.5, 2, \"3.0\"]}")))
        #expect(hash(.jsonb, .jsonb("\"1.0\"")) != hash(.jsonb, .jsonb("\"1.00\"")))
        let month = Value.interval(Interval(months: 1)), days = Value.interval(Interval(days: 30))
        #expect(hash(.interval, month) == hash(.interval, days))
    }

    /// Shards and later partitions on disk are chosen by hashes: they may never change.
    @Test func hashesAreForEver() {
        let columns = [
            Column(.bigint, [.bigint(42), .null]), Column(.text, [.text("card-1"), .text("a merchant with a long name")]),
            Column(.plainNumeric, [.numeric(Decimal(coefficient: 1050, scale: 2)), .null]),
        ]
        #expect(Hash.rows(columns, count: 2) == KernelHashTests.recorded)
    }

    private static let recorded: [UInt64] = [3_405_684_320_310_581_584, 17_825_640_388_268_178_673]

    @Test func sequentialKeysSpread() {
        let column = Column(.bigint, capacity: 65536)
        for row in 0..<65536 { column.int64s[row] = Int64(row) * 1000 }
        column.count = 65536
        var groups = [Int](repeating: 0, count: 256)
        for hash in Hash.rows([column], count: 65536) { groups[Hash.keyGroup(hash)] += 1 }
        // 256 expected in each, standard deviation 16.
        #expect(groups.allSatisfy { $0 > 160 && $0 < 352 })
    }
}
