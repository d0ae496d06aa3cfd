internal import MartletColumns
internal import MartletCore
internal import Testing

/// Kernels that remember or look at what lies elsewhere, on the kind of rows for which they do.
@Suite struct TextKernelTests {
    private func check(_ function: ScalarFunction, _ column: Column, _ constants: [Value], _ types: [DataType]) throws {
        let arguments = [Expression.column(0, column.type)] + zip(constants, types).map { .literal($0, $1) }
        let evaluator = try ExpressionEvaluator(.call(function, arguments, .text))
        for _ in 0..<2 {
            let errors = RowErrors()
            let result = evaluator.evaluate(Batch(count: column.count, columns: [column]), errors: errors)
            #expect(errors.isEmpty)
            for row in 0..<column.count {
                let wanted = try function.evaluate([column.value(at: row)] + constants, result: .text, context: .utc)
                if result.value(at: row) != wanted { Issue.record("\(column.value(at: row)): \(result.value(at: row)), not \(wanted)") }
            }
        }
    }

    @Test(
        "times in disorder around the edges of what looks the same",
        arguments: ["YYYY-MM-DD", "HH24:MI", "HH12 AM, Day", "MI:SS", "SSSS", "SS.MS", "FMMonth FMDDth", "IYYY-IW", "\"at\" HH"])
    func timeTexts(_ format: String) throws {
        var random = Xoshiro256(seed: 9)
        for type in [DataType.timestamp, .timestamptz] {
            for edge in [0, -1, 1_774_915_200_000_000, 1_774_918_799_999_999] as [Int64] {
                let values: [Value] = (0..<400).map { row in
                    if row % 50 == 7 { return .null }
                    let reach: Int64 = row % 2 == 0 ? 4_000_000 : 200_000_000_000
                    let time = edge + Int64(random.next() % UInt64(reach)) - reach / 2
                    return type == .timestamp ? .timestamp(time) : .timestamptz(time)
                }
                try check(.toChar, Column(type, values), [.text(format)], [.text])
            }
        }
    }

    @Test("parts of addresses, short and long, and parts that are not there", arguments: [1, 2, 4, 6, 9] as [Int32])
    func parts(_ number: Int32) throws {
        let texts = [
            "https://www.nexmark.com/channel/a/item.htm?query=1", "/", "", "//", "none", "a/b", "a//c/", "ä/ö/ü und noch viel mehr davon/ß",
            "x/a part that is longer than a view/y",
        ]
        let column = Column(.text, texts.map { .text($0) } + [.null])
        for separator in ["/", "//", "www.", "a"] { try check(.splitPart, column, [.text(separator), .integer(number)], [.text, .integer]) }
    }

    @Test("groups of a match", arguments: ["(&|^)channel_id=([^&]*)", "[a-z]+", "(a)|(b)", "(", "x*"])
    func regexGroups(_ pattern: String) throws {
        let texts = ["channel_id=17", "https://a.b/c?q=1&channel_id=a channel that is long&x=2", "", "b", "ab", "none of them", "xxäxx"]
        let column = Column(.text, texts.map { .text($0) } + [.null])
        for group in [-1, 0, 1, 2, 3] as [Int32] {
            let match = Expression.call(.regexpMatch, [.column(0, .text), .literal(.text(pattern), .text)], .array(.text))
            let evaluator = try ExpressionEvaluator(.call(.arrayGet, [match, .literal(.integer(group), .integer)], .text))
            let errors = RowErrors()
            let result = evaluator.evaluate(Batch(count: column.count, columns: [column]), errors: errors)
            for row in 0..<column.count {
                let value = column.value(at: row)
                do throws(SQLError) {
                    var wanted = Value.null
                    if !value.isNull {
                        let found = try ScalarFunction.regexpMatch.evaluate([value, .text(pattern)], result: .array(.text), context: .utc)
                        if !found.isNull {
                            wanted = try ScalarFunction.arrayGet.evaluate([found, .integer(group)], result: .text, context: .utc)
                        }
                    }
                    #expect(errors.error(at: row) == nil)
                    #expect(result.value(at: row) == wanted, "\(value) group \(group)")
                } catch {
                    #expect(errors.error(at: row)?.description == error.description)
                }
            }
        }
    }
}
