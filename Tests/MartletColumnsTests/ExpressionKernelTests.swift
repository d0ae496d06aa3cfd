internal import MartletColumns
internal import MartletCore
internal import Testing

/// Kernels against the scalar definition: random columns through every overload of every function.
@Suite struct ExpressionKernelTests {
    static let rows = 300

    @Test(arguments: ScalarFunction.names)
    func agreesWithScalar(_ name: String) throws {
        var values = RandomValues(seed: UInt64(name.utf8.reduce(7) { $0 &* 31 &+ Int($1) }.magnitude))
        for signature in ScalarFunction.overloads(named: name) where !signature.function.isLazy {
            // Random counts would make them as long as they like.
            if [.repeat, .padLeft, .padRight, .factorial, .power, .arrayFill, .generateSeries].contains(signature.function) { continue }
            var types: [DataType] = []
            for parameter in signature.parameters {
                switch parameter {
                case .exact(let type): types.append(type)
                case .any, .common, .nonArray: types.append(.integer)
                case .commonArray: types.append(.array(.integer))
                case .record: types.append(.record([.integer, .text]))
                }
            }
            let result: DataType =
                switch signature.result {
                case .exact(let type): type
                case .common: .integer
                case .commonArray: .array(.integer)
                }
            guard !types.isEmpty else { continue }
            // Bit i: argument i is a constant.
            for constants in 0..<min(1 << types.count, 8) {
                for nulls in [0, 8] {
                    try check(signature.function, types, result, constants, nulls, &values)
                }
            }
        }
    }

    private func check(
        _ function: ScalarFunction, _ types: [DataType], _ result: DataType, _ constants: Int, _ nulls: Int,
        _ values: inout RandomValues
    ) throws {
        let count = ExpressionKernelTests.rows
        let batch = Batch(count: count, columns: types.map { values.column($0, count, nulls: nulls) })
        var arguments: [Expression] = []
        var fixed: [Value?] = []
        for (at, type) in types.enumerated() {
            if constants >> at & 1 == 1 {
                let value = values.value(type, nulls: nulls == 0 ? 0 : 20)
                fixed.append(value)
                arguments.append(.literal(value, type))
            } else {
                fixed.append(nil)
                arguments.append(.column(at, type))
            }
        }
        let evaluator = try ExpressionEvaluator(.call(function, arguments, result))
        let errors = RowErrors()
        let column = evaluator.evaluate(batch, errors: errors)
        #expect(column.count == count)
        #expect(nullsAreZero(column))
        for row in 0..<count {
            let row0 = types.indices.map { fixed[$0] ?? batch.columns[$0].value(at: row) }
            let wanted: String
            let got: String
            do throws(SQLError) {
                wanted = shown(try function.evaluate(row0, result: result, context: .utc))
            } catch {
                wanted = error.description
            }
            got = errors.error(at: row)?.description ?? shown(column.value(at: row))
            if got != wanted {
                Issue.record("\(function)\(types) constants \(constants) of \(row0): \(got), not \(wanted)")
                return
            }
        }
    }

    @Test func castsAgreeWithScalar() throws {
        var values = RandomValues(seed: 11)
        for from in DataType.all {
            for to in DataType.all where Cast.isAllowed(from: from, to: to, context: .explicit) {
                for nulls in [0, 5] {
                    let batch = Batch(count: 300, columns: [values.column(from, 300, nulls: nulls)])
                    let evaluator = try ExpressionEvaluator(.cast(.column(0, from), to, explicit: true))
                    let errors = RowErrors()
                    let column = evaluator.evaluate(batch, errors: errors)
                    #expect(nullsAreZero(column))
                    for row in 0..<300 {
                        let value = batch.columns[0].value(at: row)
                        let wanted: String
                        do throws(SQLError) {
                            wanted = shown(try value.cast(to: to, explicit: true, context: .utc))
                        } catch {
                            wanted = error.description
                        }
                        let got = errors.error(at: row)?.description ?? shown(column.value(at: row))
                        #expect(got == wanted, "\(from) \(value.text) to \(to)")
                    }
                }
            }
        }
    }

    @Test func divisionByConstants() {
        var values = RandomValues(seed: 12)
        for _ in 0..<20_000 {
            let divisor: Int64 = values.below(3) == 0
                ? values.pick([2, -2, 3, -3, 7, 10, 123, .max, .min, .min + 1, 86_400_000_000])
                : Int64(bitPattern: values.random.next()) >> Int64(values.below(63))
            let value: Int64 = values.below(3) == 0
                ? values.pick([0, 1, -1, .max, .min, .min + 1, divisor, 0 &- divisor])
                : Int64(bitPattern: values.random.next()) >> Int64(values.below(63))
            if divisor == 0 || divisor == -1 { continue }
            let batch = Batch(count: 1, columns: [Column(.bigint, [.bigint(value)])])
            for (function, wanted) in [(ScalarFunction.divide, value / divisor), (.modulo, value % divisor)] {
                let expression = Expression.call(function, [.column(0, .bigint), .literal(.bigint(divisor), .bigint)], .bigint)
                let got = try? ExpressionEvaluator(expression).evaluate(batch, errors: RowErrors()).value(at: 0)
                #expect(got == .bigint(wanted), "\(value) \(function) \(divisor)")
            }
        }
    }

    @Test func likePatterns() throws {
        var values = RandomValues(seed: 13)
        let letters = ["a", "b", "%", "_", "\\%", "\\_", "ä", "ab"]
        for _ in 0..<3000 {
            let pattern = (0..<values.below(6)).map { _ in values.pick(letters) }.joined()
            let text = (0..<values.below(8)).map { _ in values.pick(["a", "b", "ä", "%", "_"]) }.joined()
            let batch = Batch(count: 1, columns: [Column(.text, [.text(text)])])
            let call = Expression.call(.like, [.column(0, .text), .literal(.text(pattern), .text)], .boolean)
            let got = try ExpressionEvaluator(call).evaluate(batch, errors: RowErrors()).value(at: 0)
            let wanted = try ScalarFunction.like.evaluate([.text(text), .text(pattern)], result: .boolean, context: .utc)
            #expect(got == wanted, "\(text) LIKE \(pattern)")
        }
    }

    @Test(arguments: DataType.all)
    func inLists(_ type: DataType) throws {
        var values = RandomValues(seed: 14)
        for size in [1, 3, 8, 9, 60] {
            for hasNull in [false, true] {
                var list = (0..<size).map { _ in values.value(type, nulls: 0) }
                if hasNull { list.append(.null) }
                let batch = Batch(count: 200, columns: [values.column(type, 200)])
                let column = try ExpressionEvaluator(.inList(.column(0, type), list)).evaluate(batch, errors: RowErrors())
                for row in 0..<200 {
                    let value = batch.columns[0].value(at: row)
                    let wanted: Value =
                        value.isNull ? .null : (list.contains(value) ? .boolean(true) : (hasNull ? .null : .boolean(false)))
                    #expect(column.value(at: row) == wanted)
                }
            }
        }
    }
}
