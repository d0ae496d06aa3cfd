internal import MartletColumns
internal import MartletCore
internal import Testing

/// Laziness, three-valued logic and which errors count.
@Suite struct ExpressionLogicTests {
    private let a = Expression.column(0, .integer)
    private let zero = Expression.literal(.integer(0), .integer)

    private func integer(_ value: Int32) -> Expression { .literal(.integer(value), .integer) }
    private func call(_ function: ScalarFunction, _ left: Expression, _ right: Expression, _ type: DataType = .boolean) -> Expression {
        .call(function, [left, right], type)
    }
    /// 10 / a: an error where a is 0, NULL where a is.
    private var quotient: Expression { call(.divide, integer(10), a, .integer) }

    private func run(_ expression: Expression, _ values: [Int32?]) throws -> [String] {
        let batch = Batch(count: values.count, columns: [Column(.integer, values.map { $0.map { .integer($0) } ?? .null })])
        let errors = RowErrors()
        let column = try ExpressionEvaluator(expression).evaluate(batch, errors: errors)
        return values.indices.map { errors.error(at: $0)?.state.code ?? column.value(at: $0).text(orNull: "NULL") }
    }

    @Test func caseBranchesAreLazy() throws {
        let guarded = Expression.conditional(
            branches: [ConditionalBranch(condition: call(.equal, a, zero), result: integer(-1))], otherwise: quotient,
            .integer)
        #expect(try run(guarded, [0, 5, nil, 2]) == ["-1", "2", "NULL", "5"])
        let nested = Expression.conditional(
            branches: [
                ConditionalBranch(condition: call(.greater, a, integer(3)), result: guarded),
                ConditionalBranch(condition: call(.less, a, integer(-3)), result: quotient),
            ], otherwise: a, .integer)
        #expect(try run(nested, [0, 5, nil, 2, -5, 10]) == ["0", "2", "NULL", "2", "-2", "1"])
        let broken = Expression.conditional(
            branches: [ConditionalBranch(condition: call(.greater, quotient, zero), result: integer(1))],
            otherwise: integer(0), .integer)
        #expect(try run(broken, [0, 5, nil, -2]) == ["22012", "1", "0", "0"])
    }

    @Test func coalesceIsLazy() throws {
        #expect(try run(.coalesce([a, .cast(.literal(.text("x"), .text), .integer, explicit: true)], .integer), [1, 2]) == ["1", "2"])
        #expect(try run(.coalesce([a, integer(7)], .integer), [1, nil]) == ["1", "7"])
        #expect(try run(.coalesce([quotient, integer(7)], .integer), [0, nil, 5]) == ["22012", "7", "2"])
        #expect(try run(.coalesce([a, .literal(.null, .integer)], .integer), [nil]) == ["NULL"])
    }

    @Test func errorsCountOnlyWhereOthersDoNotDecide() throws {
        let positive = call(.greater, quotient, zero)
        for operands in [[positive, call(.notEqual, a, zero)], [call(.notEqual, a, zero), positive]] {
            #expect(try run(.and(operands), [0, 5, -5, nil]) == ["f", "t", "f", "NULL"])
        }
        for operands in [[positive, call(.equal, a, zero)], [call(.equal, a, zero), positive]] {
            #expect(try run(.or(operands), [0, 5, -5, nil]) == ["t", "t", "f", "NULL"])
        }
        #expect(try run(.and([positive, call(.equal, a, zero)]), [0, 5]) == ["22012", "f"])
        // What is made of the failed operand's NULL decides nothing.
        #expect(try run(.or([.isNull(quotient), call(.less, a, integer(-9))]), [0, 5, nil]) == ["22012", "f", "t"])
        #expect(try run(.and([.not(.isNull(quotient)), call(.less, a, integer(-9))]), [0]) == ["f"])
        #expect(try run(.not(.or([positive, positive])), [0, 1]) == ["22012", "f"])
    }

    @Test func junctionsMatchTruthTables() throws {
        var values = RandomValues(seed: 21)
        let columns = (0..<3).map { _ in values.column(.boolean, 400, nulls: 3) }
        let batch = Batch(count: 400, columns: columns)
        let operands = (0..<3).map { Expression.column($0, .boolean) } + [.call(.like, [.literal(.text("a"), .text), .literal(.text("a"), .text)], .boolean)]
        for isAnd in [true, false] {
            let column = try ExpressionEvaluator(isAnd ? .and(Array(operands[..<3])) : .or(Array(operands[..<3]))).evaluate(batch, errors: RowErrors())
            for row in 0..<400 {
                let inputs = columns.map { $0.value(at: row) }
                let decided: Value = .boolean(!isAnd)
                let wanted: Value = inputs.contains(decided) ? decided : (inputs.contains(.null) ? .null : .boolean(isAnd))
                #expect(column.value(at: row) == wanted)
            }
        }
    }

    @Test func costlyOperandsSeeOpenRowsOnly() throws {
        // The left side leaves one row in three open; concat of NULL is '', which is no number.
        let small = call(.less, a, integer(1))
        let costly = call(.equal, .cast(.call(.concat, [.cast(a, .text, explicit: true)], .text), .integer, explicit: true), zero)
        #expect(try run(.and([small, costly]), [0, 5, 6, 7, 8, nil]) == ["t", "f", "f", "f", "f", "22P02"])
    }

    @Test func selectKeepsTrueRows() throws {
        let batch = Batch(count: 4, columns: [Column(.integer, [.integer(0), .integer(5), .null, .integer(-5)])])
        let errors = RowErrors()
        let evaluator = try ExpressionEvaluator(call(.greater, quotient, zero))
        #expect(evaluator.select(batch, errors: errors).rows == [1])
        #expect(errors.entries.map(\.row) == [0])
        let all = try ExpressionEvaluator(.literal(.boolean(true), .boolean))
        #expect(all.select(batch, errors: RowErrors()).rows == [0, 1, 2, 3])
        let none = try ExpressionEvaluator(.literal(.null, .boolean))
        #expect(none.select(batch, errors: RowErrors()).rows == [])
    }

    @Test func depthIsBounded() throws {
        var deep = a
        for _ in 0..<1_500 { deep = call(.add, deep, integer(1), .integer) }
        #expect(try run(deep, [1]) == ["1501"])
        for _ in 0..<1_500 { deep = call(.add, deep, integer(1), .integer) }
        #expect(throws: SQLError.self) { try ExpressionEvaluator(deep) }
    }

    @Test func wideJunctions() throws {
        let operands = (0..<100_000).map { call(.notEqual, a, integer(Int32($0))) }
        #expect(try run(.and(operands), [-1, 5, nil]) == ["t", "f", "NULL"])
    }
}

extension Value {
    func text(orNull null: String) -> String { isNull ? null : text }
}
