internal import MartletColumns
internal import MartletCore
internal import MartletState
internal import Testing

@Suite struct AggregateChangeTests {
    /// Without trailing zeros: a sum keeps the largest scale it has seen, also when that number is withdrawn.
    private func plainly(_ value: Value) -> String {
        guard case .numeric(let number) = value, !number.isSpecial else { return shown(value) }
        let trimmed = try? ScalarFunction.trimScale.evaluate([value], result: .plainNumeric, context: .utc)
        return trimmed.map(shown) ?? number.text
    }

    /// Applying every tick's changes to what was there gives what the table holds, and no change is idle.
    @Test(arguments: [DataType.bigint, .double, .plainNumeric, .text])
    func changesAddUp(_ type: DataType) {
        for retracts in [false, true] where !(retracts && type == .text) {
            var random = RandomRows(seed: 31)
            var functions: [AggregateFunction] = retracts ? [.count, .sum, .avg] : [.count, .min, .max]
            if type == .text { functions = [.count, .min, .max] }
            let specs = functions.compactMap { function in
                AggregateSpec.resultType(function, of: type).map {
                    AggregateSpec(function: function, argumentType: type, resultType: $0)
                }
            }
            let table = AggregateTable(keys: [.text], calls: specs, tracksChanges: true)
            var plain = PlainAggregates(keys: [.text], specs: specs)
            var shownRows: [[String]: Int64] = [:]
            var present: [(key: Value, value: Value)] = []
            for _ in 0..<60 {
                var keys: [Value] = [], values: [Value] = [], weights: [Value] = []
                for _ in 0..<random.below(40) {
                    var weight: Int64 = 1
                    var row = (key: random.value(.text, kinds: 12), value: random.value(type, kinds: 40))
                    if retracts, !present.isEmpty, random.below(5) < 3 {
                        weight = -1
                        row = present.remove(at: random.below(present.count))
                    } else {
                        present.append(row)
                    }
                    keys.append(row.key)
                    values.append(row.value)
                    weights.append(.bigint(weight))
                    plain.add([row.key], specs.map { _ in row.value }, weight: weight)
                }
                let argument = Column(type, values)
                table.update(
                    keys: [Column(.text, keys)], count: keys.count, arguments: specs.map { _ in argument },
                    filters: specs.map { _ in nil }, weights: retracts ? Column(.bigint, weights) : nil)
                let (batch, errors) = table.takeChanges()
                #expect(errors.isEmpty)
                var seen: Set<[String]> = []
                for row in 0..<batch.count {
                    let values = batch.row(row).map(plainly)
                    guard case .bigint(let weight)? = batch.weights?.value(at: row) else { continue }
                    shownRows[values, default: 0] += weight
                    #expect(seen.insert(values).inserted, "an idle change")
                }
                #expect(shownRows.values.allSatisfy { $0 == 0 || $0 == 1 })
            }
            let alive = Set(present.map(\.key))
            let wanted = plain.rows().filter { alive.contains($0[0]) }.map { $0.map(plainly) }
            #expect(Set(shownRows.filter { $0.value == 1 }.keys) == Set(wanted))
            #expect(table.takeChanges().batch.count == 0)
        }
    }

    @Test func oldThenNew() {
        let specs = [AggregateSpec(function: .max, argumentType: .integer, resultType: .integer)]
        let table = AggregateTable(keys: [.text], calls: specs, tracksChanges: true)
        func tick(_ rows: [(String, Int32)]) -> [String] {
            table.update(
                keys: [Column(.text, rows.map { .text($0.0) })], count: rows.count,
                arguments: [Column(.integer, rows.map { .integer($0.1) })], filters: [nil])
            let batch = table.takeChanges().batch
            return (0..<batch.count).map { row in
                batch.row(row).map(shown).joined(separator: " ") + " " + shown(batch.weights!.value(at: row))
            }
        }
        #expect(tick([("b", 1), ("a", 5), ("b", 3)]) == ["b 3 1", "a 5 1"])
        #expect(tick([("a", 7), ("b", 2), ("c", 0)]) == ["a 5 -1", "a 7 1", "c 0 1"])
        #expect(tick([("a", 7)]) == [])
    }

    @Test func globalGroup() {
        let specs = [AggregateSpec(function: .countAll, argumentType: nil, resultType: .bigint, isFiltered: false)]
        let table = AggregateTable(keys: [], calls: specs, tracksChanges: true)
        table.ensureGlobalGroup()
        func changes() -> [[Value]] {
            let batch = table.takeChanges().batch
            return (0..<batch.count).map { batch.row($0) + [batch.weights!.value(at: $0)] }
        }
        #expect(changes() == [[.bigint(0), .bigint(1)]])
        for weight in [Int64(1), -1] {
            table.update(keys: [], count: 1, arguments: [nil], filters: [nil], weights: Column(.bigint, [.bigint(weight)]))
            let old: Int64 = weight == 1 ? 0 : 1
            #expect(changes() == [[.bigint(old), .bigint(-1)], [.bigint(1 - old), .bigint(1)]])
        }
    }

    @Test func errorsAreNotWithdrawn() {
        let specs = [AggregateSpec(function: .sum, argumentType: .integer, resultType: .bigint),
            AggregateSpec(function: .max, argumentType: .integer, resultType: .integer)]
        let table = AggregateTable(keys: [.integer], calls: specs, tracksChanges: true)
        func tick(_ value: Int32, _ weight: Int64) -> (weights: [Value], errors: [Int]) {
            let column = Column(.integer, [.integer(value)])
            table.update(
                keys: [Column(.integer, [.integer(1)])], count: 1, arguments: [column, column], filters: [nil, nil],
                weights: Column(.bigint, [.bigint(weight)]))
            let (batch, errors) = table.takeChanges()
            return (batch.weights!.allValues, errors.entries.map(\.row))
        }
        #expect(tick(5, 1) == ([.bigint(1)], []))
        #expect(tick(6, 1) == ([.bigint(-1), .bigint(1)], []))
        // The greatest cannot be taken back: the old row leaves, the new one is an error, and later no old row leaves.
        #expect(tick(6, -1) == ([.bigint(-1), .bigint(1)], [1]))
        #expect(tick(7, 1) == ([.bigint(1)], [0]))
    }
}

@Suite struct KeyIndexTests {
    @Test func numbersInOrderOfArrival() {
        var random = RandomRows(seed: 41)
        for types: [DataType] in [[.bigint], [.text], [.text, .plainNumeric], []] {
            let index = KeyIndex(keys: types)
            var known: [[Value]: UInt32] = [:]
            var order: [[Value]] = []
            for count in [1, 7, 3000] {
                let rows = (0..<count).map { _ in types.map { random.value($0, kinds: 200) } }
                let columns = types.indices.map { key in Column(types[key], rows.map { $0[key] }) }
                var ids = [UInt32](repeating: 0, count: count)
                ids.withUnsafeMutableBufferPointer { index.find(columns, count: count, into: $0.baseAddress!) }
                for (row, id) in zip(rows, ids) {
                    if known[row] == nil {
                        known[row] = UInt32(known.count)
                        order.append(row)
                    }
                    #expect(known[row] == id)
                }
            }
            #expect(index.count == order.count)
            let columns = index.keys(0..<index.count)
            #expect(order.indices.allSatisfy { row in columns.map { $0.value(at: row) } == order[row] })
        }
    }
}
