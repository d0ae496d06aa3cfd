internal import MartletColumns
internal import MartletCore
@testable import MartletState
internal import Testing

@Suite struct AggregateTests {
    private static let numbers: [DataType] = [.smallint, .integer, .bigint, .real, .double, .plainNumeric]
    private static let ordered: [DataType] = [
        .smallint, .integer, .bigint, .real, .double, .plainNumeric, .text, .bytea, .date, .time, .timestamp,
        .timestamptz, .interval, .uuid,
    ]

    /// All functions over one type of argument; with shared inputs and without.
    private static func specs(_ type: DataType, shared: Bool, retractable: Bool = false) -> [AggregateSpec] {
        // The plain model adds no intervals; their sums and averages are held against PostgreSQL's in the golden cases.
        var functions: [AggregateFunction] = type == .interval ? [.count] : [.count, .sum, .avg]
        if !retractable { functions += [.min, .max] }
        let calls = functions.compactMap { function in
            AggregateSpec.resultType(function, of: type).map {
                AggregateSpec(function: function, argumentType: type, resultType: $0, input: shared ? 1 : nil)
            }
        }
        return [AggregateSpec(function: .countAll, argumentType: nil, resultType: .bigint, isFiltered: false)] + calls
            + [AggregateSpec(function: .countAll, argumentType: nil, resultType: .bigint)]
    }

    /// Feeds random rows to a table in batches, and to the plain one. Call i's filter is column i of booleans if odd.
    private func run(
        keys: [DataType], specs: [AggregateSpec], argument: DataType, rows: Int, kinds: Int, batch: Int, seed: UInt64,
        nulls: Int = 10, filtered: Bool = false
    ) -> (AggregateTable, PlainAggregates) {
        var random = RandomRows(seed: seed)
        let table = AggregateTable(keys: keys, calls: specs)
        var plain = PlainAggregates(keys: keys, specs: specs)
        var start = 0
        while start < rows {
            let count = min(batch, rows - start)
            // Row by row, so that the rows do not depend on the batches.
            var keyRows: [[Value]] = [], arguments: [Value] = [], passes: [Value] = []
            for row in 0..<count {
                keyRows.append(keys.map { random.value($0, kinds: kinds, nulls: nulls) })
                arguments.append(random.value(argument, kinds: 90, nulls: nulls))
                passes.append(random.value(.boolean, kinds: 2))
                plain.add(
                    keyRows[row],
                    specs.map { spec in
                        if filtered, spec.isFiltered, passes[row] != .boolean(true) { return nil }
                        return spec.function == .countAll ? .bigint(1) : arguments[row]
                    })
            }
            let argumentColumn = Column(argument, arguments)
            let filter = Column(.boolean, passes)
            table.update(
                keys: keys.indices.map { key in Column(keys[key], keyRows.map { $0[key] }) }, count: count,
                arguments: specs.map { $0.function == .countAll ? nil : argumentColumn },
                filters: specs.map { filtered && $0.isFiltered ? filter : nil })
            start += count
        }
        return (table, plain)
    }

    private func expectSame(_ table: AggregateTable, _ plain: PlainAggregates) {
        let (rows, errors) = table.allRows()
        #expect(errors.isEmpty)
        let wanted = plain.rows()
        #expect(rows.count == wanted.count)
        for (got, wanted) in zip(rows, wanted) where got != wanted {
            Issue.record("\(got.map(shown)), not \(wanted.map(shown))")
            return
        }
    }

    @Test(arguments: DataType.all)
    func everyKeyType(_ key: DataType) {
        for batch in [1, 100, 3000] {
            let (table, plain) = run(
                keys: [key], specs: AggregateTests.specs(.bigint, shared: true), argument: .bigint, rows: 3000,
                kinds: 120, batch: batch, seed: 1)
            expectSame(table, plain)
        }
    }

    @Test(arguments: ordered)
    func everyArgumentType(_ type: DataType) {
        for shared in [false, true] {
            for filtered in [false, true] {
                let (table, plain) = run(
                    keys: [.integer], specs: AggregateTests.specs(type, shared: shared), argument: type, rows: 2000,
                    kinds: 20, batch: 700, seed: 2, filtered: filtered)
                expectSame(table, plain)
            }
        }
    }

    @Test func severalKeys() {
        let specs = AggregateTests.specs(.integer, shared: false)
        for keys: [DataType] in [[.text, .timestamp], [.plainNumeric, .boolean, .interval], [.uuid, .jsonb, .double, .text]] {
            let (table, plain) = run(keys: keys, specs: specs, argument: .integer, rows: 3000, kinds: 6, batch: 500, seed: 3)
            expectSame(table, plain)
        }
        let many = Array(repeating: [DataType.bigint, .text, .boolean], count: 8).flatMap { $0 }
        let (table, plain) = run(keys: many, specs: specs, argument: .integer, rows: 500, kinds: 2, batch: 100, seed: 4, nulls: 40)
        expectSame(table, plain)
    }

    @Test func noKeys() {
        let specs = AggregateTests.specs(.double, shared: true)
        let (table, plain) = run(keys: [], specs: specs, argument: .double, rows: 3000, kinds: 1, batch: 700, seed: 5)
        expectSame(table, plain)
        let empty = AggregateTable(keys: [], calls: specs)
        empty.ensureGlobalGroup()
        #expect(empty.allRows().rows.map { $0.map(shown) } == [["0", "0", "NULL", "NULL", "NULL", "NULL", "0"]])
    }

    @Test("words are counted as a dictionary would, whatever comes and goes", arguments: [true, false])
    func wordCounts(isCounting: Bool) {
        var random = Xoshiro256(seed: 3)
        var counts = WordCounts(isCounting: isCounting)
        var other = WordCounts(isCounting: isCounting)
        defer { counts.deallocate() }
        defer { other.deallocate() }
        var expected: [Int64: Int64] = [:]
        func note(_ word: Int64, _ weight: Int64) {
            let sum = isCounting ? (expected[word] ?? 0) + weight : 1
            expected[word] = sum == 0 ? nil : sum
        }
        for step in 0..<40_000 {
            // Few words at first, so that most of them go again.
            let word = Int64(random.next() % UInt64(step < 20_000 ? 64 : 8_192)) - 8
            let weight: Int64 = isCounting && random.next() % 2 == 0 ? -1 : 1
            if step % 3 == 0 { other.add(word, weight) } else { counts.add(word, weight) }
            note(word, weight)
        }
        counts.merge(other)
        #expect(counts.count == expected.count)
        #expect(counts.positive == expected.values.count { $0 > 0 })
        #expect(counts.sorted.map(\.word) == expected.keys.sorted())
        #expect(counts.sorted.map(\.count) == expected.sorted { $0.key < $1.key }.map(\.value))
    }

    @Test func manyExtremes() {
        // More than eight need flags behind the header.
        let specs = (0..<40).map { AggregateSpec(function: $0 % 2 == 0 ? .min : .max, argumentType: .text, resultType: .text) }
        let (table, plain) = run(keys: [.integer], specs: specs, argument: .text, rows: 500, kinds: 10, batch: 90, seed: 6)
        expectSame(table, plain)
    }

    /// Growth: one segment, its split, and the segments' own growth.
    @Test func manyGroups() {
        let specs = [AggregateSpec(function: .sum, argumentType: .bigint, resultType: .plainNumeric)]
        let table = AggregateTable(keys: [.bigint], calls: specs)
        let texts = AggregateTable(keys: [.text], calls: specs)
        let total = 400_000
        for _ in 0..<2 {
            var start = 0
            while start < total {
                let count = 8000
                let keys = Column(.bigint, capacity: count)
                let names = Column(.text, capacity: count)
                for at in 0..<count {
                    // Every key once per round, far from its neighbours.
                    let key = (start + at) * 7919 % total
                    keys.int64s[at] = Int64(key)
                    names.append(.text("key number \(key)"))
                }
                keys.count = count
                for (table, column) in [(table, keys), (texts, names)] {
                    table.update(keys: [column], count: count, arguments: [keys], filters: [nil])
                }
                start += count
            }
        }
        #expect(table.groupCount == total)
        #expect(texts.groupCount == total)
        let errors = RowErrors()
        let columns = table.emit(0..<total, errors: errors)
        let named = texts.emit(0..<total, errors: errors)
        for at in 0..<total {
            let key = Int64(at * 7919 % total)
            guard columns[0].int64s[at] == key, columns[1].coefficients[at] == Int128(2 * key),
                named[0].views[at].string == "key number \(key)", named[1].coefficients[at] == Int128(2 * key)
            else {
                Issue.record("group \(at)")
                return
            }
        }
        table.clear()
        #expect(table.groupCount == 0)
        #expect(table.memoryBytes < 1 << 20)
    }

    /// The same result whatever the batches, the number of partial tables and of shards.
    @Test func mergedInAnyOrder() {
        for type in AggregateTests.ordered {
            let specs = AggregateTests.specs(type, shared: true)
            let (whole, plain) = run(keys: [.text], specs: specs, argument: type, rows: 2000, kinds: 50, batch: 2000, seed: 7)
            let parts = [1, 7, 300].map { batch in
                run(keys: [.text], specs: specs, argument: type, rows: 2000, kinds: 50, batch: batch, seed: 7).0
            }
            for part in parts { #expect(part.allRows().rows.count == whole.groupCount) }
            // Three times the same rows, merged over three shards in different orders.
            var merged: [[Value]] = []
            var again: [[Value]] = []
            for shard in 0..<3 {
                let one = AggregateTable(keys: [.text], calls: specs)
                let other = AggregateTable(keys: [.text], calls: specs)
                for part in parts { one.merge(from: part, shard: shard, of: 3) }
                for part in parts.reversed() { other.merge(from: part, shard: shard, of: 3) }
                merged += one.allRows().rows
                again += other.allRows().rows
            }
            func sorted(_ rows: [[Value]]) -> [[String]] {
                rows.map { $0.map(shown) }.sorted { $0.joined(separator: "|") < $1.joined(separator: "|") }
            }
            #expect(sorted(merged) == sorted(again))
            #expect(merged.count == plain.order.count)
            for row in merged {
                let single = plain.rows().first { $0[0] == row[0] }!
                guard case .bigint(let count) = row[1], case .bigint(let wanted) = single[1] else { continue }
                #expect(count == 3 * wanted)
                #expect(Array(row.suffix(3).prefix(2)).map { $0 == .null } == Array(single.suffix(3).prefix(2)).map { $0 == .null })
            }
        }
    }

    /// Doubles that plain addition sums differently in each order.
    @Test func doubleSumsDoNotDependOnOrder() {
        var random = RandomRows(seed: 8)
        var values = (0..<5000).map { _ in
            Value.double(Double(random.below(1 << 30)) * [1e-12, 1e-3, 1, 1e9][random.below(4)] * (random.below(2) == 0 ? 1 : -1))
        }
        let specs = [AggregateSpec(function: .sum, argumentType: .double, resultType: .double)]
        var sums: Set<String> = []
        for batch in [5000, 7, 64] {
            values.shuffle(using: &random.random)
            let whole = AggregateTable(keys: [], calls: specs)
            var start = 0
            while start < values.count {
                let part = AggregateTable(keys: [], calls: specs)
                let slice = Array(values[start..<min(start + batch, values.count)])
                part.update(keys: [], count: slice.count, arguments: [Column(.double, slice)], filters: [nil])
                whole.merge(from: part)
                start += batch
            }
            sums.insert(whole.allRows().rows[0][0].text)
        }
        #expect(sums.count == 1, "\(sums)")
    }

    @Test func specialNumbers() {
        func sum(_ type: DataType, _ values: [Value]) -> String {
            let specs = [AggregateSpec(function: .sum, argumentType: type, resultType: AggregateSpec.resultType(.sum, of: type)!)]
            let table = AggregateTable(keys: [], calls: specs)
            table.update(keys: [], count: values.count, arguments: [Column(type, values)], filters: [nil])
            let (rows, errors) = table.allRows()
            return errors.error(at: 0)?.state.code ?? shown(rows[0][0])
        }
        #expect(sum(.double, [.double(.infinity), .double(1)]) == "Infinity")
        #expect(sum(.double, [.double(-.infinity), .double(.infinity)]) == "NaN")
        #expect(sum(.double, [.double(1e308), .double(1e308)]) == "22003")
        #expect(sum(.real, [.real(3e38), .real(3e38)]) == "22003")
        #expect(sum(.double, [.double(1e308), .double(0.5), .double(-1e308)]) == "0.5")
        #expect(sum(.plainNumeric, [.numeric(.infinity), .numeric(.one)]) == "Infinity")
        #expect(sum(.plainNumeric, [.numeric(.nan), .null]) == "NaN")
        let big = Value.numeric(Decimal(text: "99999999999999999999999999999999999999")!)
        #expect(sum(.plainNumeric, [big]) == "99999999999999999999999999999999999999")
        #expect(sum(.plainNumeric, [big, .numeric(.one)]) == "22003")
        #expect(sum(.plainNumeric, [big, .numeric(Decimal(text: "0.1")!)]) == "22003")
        #expect(sum(.plainNumeric, [.numeric(Decimal(text: "1.5")!), .numeric(Decimal(text: "2.25")!)]) == "3.75")
        #expect(sum(.bigint, [.bigint(.max), .bigint(.max)]) == "18446744073709551614")
        #expect(sum(.integer, [.integer(.min), .integer(.min)]) == "-4294967296")
        let odd = AggregateTable(keys: [], calls: [AggregateSpec(function: .sum, argumentType: .text, resultType: .text)])
        odd.update(keys: [], count: 1, arguments: [Column(.text, [.text("x")])], filters: [nil])
        #expect(odd.allRows().errors.error(at: 0)?.state == .undefinedFunction)
    }

    @Test func selectionsAndHashes() {
        let specs = AggregateTests.specs(.integer, shared: true)
        var random = RandomRows(seed: 9)
        let keys = Column(.text, (0..<1000).map { _ in random.value(.text, kinds: 30) })
        let values = Column(.integer, (0..<1000).map { _ in random.value(.integer, kinds: 50) })
        let arguments = specs.map { $0.function == .countAll ? nil : values }
        let filters = [Column?](repeating: nil, count: specs.count)
        let chosen = Selection((0..<1000).filter { $0 % 3 == 1 })
        let picked = AggregateTable(keys: [.text], calls: specs)
        picked.update(
            keys: [keys.gather(chosen)], count: chosen.count, arguments: arguments.map { $0?.gather(chosen) }, filters: filters)
        let hashes = Hash.rows([keys], count: 1000)
        for given in [true, false] {
            let table = AggregateTable(keys: [.text], calls: specs)
            hashes.withUnsafeBufferPointer {
                table.update(
                    keys: [keys], hashes: given ? $0.baseAddress : nil, rows: chosen, count: 1000, arguments: arguments,
                    filters: filters)
            }
            #expect(table.allRows().rows == picked.allRows().rows)
        }
    }
}
