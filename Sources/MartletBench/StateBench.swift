internal import MartletColumns
internal import MartletCore
internal import MartletState

/// Random Int64 keys below `groups`, or strings of 8 to 15 bytes made of them, in batches of 4,096 rows.
struct KeyBatches {
    static let rowsPerBatch = 4096
    let keys: [Column]
    let prices: [Column]

    init(groups: Int, rows: Int, isText: Bool) {
        var random = Xoshiro256(seed: 7)
        var keys: [Column] = []
        var prices: [Column] = []
        for _ in 0..<(rows / KeyBatches.rowsPerBatch) {
            let key = Column(isText ? .text : .bigint, capacity: KeyBatches.rowsPerBatch)
            let price = Column(.bigint, capacity: KeyBatches.rowsPerBatch)
            for row in 0..<KeyBatches.rowsPerBatch {
                let number = Int(random.next() % UInt64(groups))
                if isText {
                    let text = "user-" + String(number &* 7 &+ 100)
                    key.append(.text(text + String(repeating: "x", count: number % 5)))
                } else {
                    key.int64s[row] = Int64(truncatingIfNeeded: number &* 7919)
                }
                price.int64s[row] = Int64(random.next() % 10_000_000)
            }
            key.count = KeyBatches.rowsPerBatch
            price.count = KeyBatches.rowsPerBatch
            keys.append(key)
            prices.append(price)
        }
        self.keys = keys
        self.prices = prices
    }
}

func benchState(_ report: Report) {
    for (name, isText) in [("int64", false), ("text", true)] {
        for (size, groups) in [("10k", 10_000), ("1m", 1_000_000), ("10m", 10_000_000)] {
            let figure = "aggregate_\(name)_\(size)"
            guard report.wants(figure) else { continue }
            let rows = groups == 10_000 ? 2 << 20 : (groups == 1_000_000 ? 4 << 20 : 20 << 20)
            let batches = KeyBatches(groups: groups, rows: rows, isText: isText)
            func specs(_ functions: [AggregateFunction]) -> [AggregateSpec] {
                functions.map {
                    let argument: DataType? = $0 == .countAll ? nil : .bigint
                    return AggregateSpec(
                        function: $0, argumentType: argument, resultType: $0 == .sum ? .plainNumeric : .bigint, input: 1,
                        isFiltered: false)
                }
            }
            let calls = specs([.countAll, .sum, .min, .max])
            let table = AggregateTable(keys: [isText ? .text : .bigint], calls: calls)
            func run() {
                for (keys, prices) in zip(batches.keys, batches.prices) {
                    table.update(
                        keys: [keys], count: keys.count, arguments: [nil, prices, prices, prices],
                        filters: [nil, nil, nil, nil])
                }
            }
            // The first round fills the table and is reported apart.
            let filling = report.seconds(run)
            report.print(figure + "_fill", seconds: filling, rows: rows, value: filling * 1e9 / Double(rows), unit: "ns/row")
            let seconds = report.medians([run])[0]
            report.print(figure, seconds: seconds, rows: rows, value: seconds * 1e9 / Double(rows), unit: "ns/row")
            benchSaving(report, table, "state_\(name)_\(size)") { AggregateTable(keys: [isText ? .text : .bigint], calls: calls) }
        }
    }
    benchExpressions(report)
}

/// A table into memory that is forgotten, and back from bytes at hand: what a save costs apart from the disk.
private func benchSaving(_ report: Report, _ table: AggregateTable, _ figure: String, _ make: @escaping () -> AggregateTable) {
    var bytes: [UInt8] = []
    let keeper = StateWriter { bytes += $0 }
    table.save(into: keeper)
    guard (try? keeper.finish()) != nil else { return }
    let saving = report.medians([
        {
            var count = 0
            let writer = StateWriter { count += $0.count }
            table.save(into: writer)
            try? writer.finish()
            precondition(count == bytes.count, "a state of another size")
        }
    ])[0]
    report.print(figure + "_save", seconds: saving, rows: table.groupCount, value: Double(bytes.count) / saving / 1e9, unit: "GB/s")
    let restoring = report.medians([
        {
            let fresh = make()
            try? fresh.restore(from: StateReader(bytes))
            precondition(fresh.groupCount == table.groupCount, "a state that came back in part")
        }
    ])[0]
    report.print(figure + "_restore", seconds: restoring, rows: table.groupCount, value: Double(bytes.count) / restoring / 1e9, unit: "GB/s")
}

private func benchExpressions(_ report: Report) {
    let batches = KeyBatches(groups: 1_000_000, rows: 1 << 20, isText: false)
    let texts = KeyBatches(groups: 1_000_000, rows: 1 << 20, isText: true)
    let rows = 1 << 20
    let key = Expression.column(0, .bigint)
    let price = Expression.column(1, .bigint)
    func constant(_ value: Int64) -> Expression { .literal(.bigint(value), .bigint) }
    func measure(_ figure: String, _ expression: Expression, _ batches: KeyBatches, selects: Bool = false) {
        guard report.wants(figure), let evaluator = try? ExpressionEvaluator(expression) else { return }
        let seconds = report.medians([
            {
                for (keys, prices) in zip(batches.keys, batches.prices) {
                    let batch = Batch(count: keys.count, columns: [keys, prices])
                    let errors = RowErrors()
                    if selects {
                        _ = batch.gather(evaluator.select(batch, errors: errors))
                    } else {
                        _ = evaluator.evaluate(batch, errors: errors)
                    }
                }
            }
        ])[0]
        report.print(figure, seconds: seconds, rows: rows, value: seconds * 1e9 / Double(rows), unit: "ns/row")
    }
    measure("expression_add", .call(.add, [key, price], .bigint), batches)
    measure("expression_multiply", .call(.multiply, [key, price], .bigint), batches)
    measure("expression_divide", .call(.divide, [key, price], .bigint), batches)
    let modulo = Expression.call(.equal, [.call(.modulo, [key, constant(123)], .bigint), constant(0)], .boolean)
    measure("filter_modulo", modulo, batches, selects: true)
    measure("filter_half", .call(.less, [price, constant(5_000_000)], .boolean), batches, selects: true)
    measure("filter_text_equal", .call(.equal, [.column(0, .text), .literal(.text("user-100"), .text)], .boolean), texts)
    measure("filter_like_prefix", .call(.like, [.column(0, .text), .literal(.text("user-1%"), .text)], .boolean), texts)
    for (figure, batches) in [("hash_int64", batches), ("hash_text", texts)] where report.wants(figure) {
        var hashes = [UInt64](repeating: 0, count: KeyBatches.rowsPerBatch)
        let seconds = report.medians([
            {
                hashes.withUnsafeMutableBufferPointer { buffer in
                    for keys in batches.keys { Hash.rows([keys], count: keys.count, into: buffer.baseAddress!) }
                }
            }
        ])[0]
        report.print(figure, seconds: seconds, rows: rows, value: seconds * 1e9 / Double(rows), unit: "ns/row")
    }
}
