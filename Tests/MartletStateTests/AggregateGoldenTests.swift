import Foundation
import MartletColumns
import MartletCore
import MartletState
import Testing

/// Aggregates against PostgreSQL's answers, in every way in which rows may reach a group. The format of the cases is
/// described in tools/postgres-aggregates.py.
@Suite("Aggregates as PostgreSQL has them")
struct AggregateGoldenTests {
    static let cases: [AggregateCase] = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden/aggregates.cases")
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { AggregateCase(line: String($0)) }
    }()

    enum Way: String, CaseIterable { case atOnce, rowByRow, mergedBackwards, withWithdrawals, asChanges }

    @Test("kept answers", arguments: Way.allCases)
    func kept(way: Way) throws {
        #expect(Self.cases.count > 2000)
        var wrong = 0
        for one in Self.cases {
            let ours = try one.answer(way)
            guard !one.accepts(ours) else { continue }
            wrong += 1
            if wrong <= 12 { Issue.record("\(one.line)\n   Martlet: \(ours)") }
        }
        #expect(wrong == 0, "\(wrong) of \(Self.cases.count) differ")
    }
}

struct AggregateCase {
    let line: String
    let function: String
    let options: [String]
    let expected: String
    let types: [DataType]
    let rows: [[Value]]

    init?(line: String) {
        self.line = line
        let parts = line.components(separatedBy: "\t")
        guard parts.count >= 4 else { return nil }
        function = parts[0]
        options = parts[1].isEmpty ? [] : AggregateCase.words(parts[1])
        expected = parts[2]
        types = parts[3].components(separatedBy: " | ").compactMap { DataType(sqlName: $0) }
        let types = types
        rows = parts.dropFirst(4).map { row in
            zip(row.components(separatedBy: "|"), types).map { text, type in
                text == "\\N" ? .null : (try? Value.text(AggregateCase.unescaped(text)).cast(to: type)) ?? .null
            }
        }
    }

    /// Options hold blanks of their own: `within:DESC`, `constant:double precision:0.5`.
    private static func words(_ text: String) -> [String] {
        var words: [String] = []
        for word in text.components(separatedBy: " ") {
            let isNew = ["distinct", "order:", "within:", "constant:"].contains { word.hasPrefix($0) }
            if isNew || words.isEmpty { words.append(word) } else { words[words.count - 1] += " " + word }
        }
        return words
    }

    private static func unescaped(_ text: String) -> String {
        var result = ""
        var isEscaped = false
        for character in text {
            if isEscaped {
                result.append(character == "t" ? "\t" : character == "n" ? "\n" : character == "p" ? "|" : character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else {
                result.append(character)
            }
        }
        return result
    }

    /// To the letter, but for doubles whose last digits hang on the order of rounding there.
    func accepts(_ ours: String) -> Bool {
        AggregateCase.areClose(expected, ours)
    }

    static func areSameNumber(_ left: String, _ right: String) -> Bool {
        guard left.hasPrefix("numeric|"), right.hasPrefix("numeric|"), let a = Double(left.dropFirst(8)), let b = Double(right.dropFirst(8))
        else { return false }
        return (a - b).magnitude <= 1e-14 * a.magnitude || (a.isNaN && b.isNaN)
    }

    static func areClose(_ expected: String, _ ours: String) -> Bool {
        if ours == expected { return true }
        guard expected.hasPrefix("double precision|"), ours.hasPrefix("double precision|"),
            let theirs = Double(expected.dropFirst(17)), let mine = Double(ours.dropFirst(17))
        else { return false }
        return (theirs - mine).magnitude <= 1e-12 * max(theirs.magnitude, 1e-4)
    }

    // MARK: - Ours

    private func spec(takesWithdrawals: Bool) throws -> AggregateSpec {
        var call = AggregateOptions()
        var own = types
        for option in options {
            if option == "distinct" { call.isDistinct = true }
            if option.hasPrefix("order:") || option.hasPrefix("within:") {
                let isDescending = option.contains("DESC")
                call.order = [AggregateOrder(isDescending: isDescending, nullsFirst: isDescending && !option.contains("NULLS LAST"))]
                if option.hasPrefix("order:2") { own.removeLast() }
            }
            if option.hasPrefix("constant:") {
                let parts = option.dropFirst(9).split(separator: ":", maxSplits: 1)
                let type = try #require(DataType(sqlName: String(parts[0])))
                call.constants.append(try Value.text(String(parts[1])).cast(to: type))
            }
        }
        let resolved = try #require(AggregateFunction.resolve(function, own), "\(function)(\(own))")
        if resolved.function.ignoresDistinct { call.isDistinct = false }
        let isPacked = types.count > 1
        if isPacked { call.packed = own.count }
        let isList = call.constants.first?.type.element != nil
        let argument = isPacked ? DataType.record(types) : resolved.arguments[0]
        return AggregateSpec(
            function: resolved.function, argumentType: argument, resultType: isList ? .array(resolved.result) : resolved.result,
            options: call, takesWithdrawals: takesWithdrawals)
    }

    func answer(_ way: AggregateGoldenTests.Way) throws -> String {
        let withdraws = way == .withWithdrawals || way == .asChanges
        let spec = try spec(takesWithdrawals: withdraws)
        let argument = try #require(spec.argumentType)
        let values: [Value] = try rows.map { row in
            if case .structure(let fields) = argument { return .structure(StructureValue(fields, row)) }
            return try row[0].cast(to: argument)
        }
        func table(_ values: [Value], weights: [Int64]? = nil, tracksChanges: Bool = false, batch: Int = .max) -> AggregateTable {
            let table = AggregateTable(keys: [], calls: [spec], tracksChanges: tracksChanges)
            table.ensureGlobalGroup()
            feed(table, values, weights, batch)
            return table
        }
        func feed(_ table: AggregateTable, _ values: [Value], _ weights: [Int64]?, _ batch: Int) {
            var start = 0
            while start < values.count {
                let end = batch == .max ? values.count : min(start + batch, values.count)
                table.update(
                    keys: [], count: end - start, arguments: [Column(argument, Array(values[start..<end]))], filters: [nil],
                    weights: weights.map { Column(.bigint, $0[start..<end].map { .bigint($0) }) })
                start = end
            }
        }
        let made: AggregateTable
        switch way {
        case .atOnce: made = table(values)
        case .rowByRow: made = table(values, batch: 1)
        case .mergedBackwards:
            let reversed = Array(values.reversed())
            made = table(Array(reversed.prefix(values.count / 3)))
            made.merge(from: table(Array(reversed.dropFirst(values.count / 3))))
        case .withWithdrawals:
            // Every value comes once too often, and the first one twice; then the surplus goes.
            let surplus = values + values.prefix(1)
            made = table(surplus + values + surplus, weights: surplus.map { _ in 1 } + values.map { _ in 1 } + surplus.map { _ in -1 })
        case .asChanges: return changes(spec, table(values, weights: values.map { _ in 1 }, tracksChanges: true), values, feed)
        }
        let errors = RowErrors()
        let column = made.emit(0..<1, errors: errors)[0]
        return shown(column.value(at: 0), errors.error(at: 0), spec.resultType)
    }

    /// What a reader of the changes has, after a tick for all rows, one that changes nothing, one that takes a row away and
    /// one that puts it back. In between it must have what a table without that row says.
    private func changes(
        _ spec: AggregateSpec, _ table: AggregateTable, _ values: [Value],
        _ feed: (AggregateTable, [Value], [Int64]?, Int) -> Void
    ) -> String {
        var held: [String: Int64] = [:]
        func tick() -> Int {
            let (batch, errors) = table.takeChanges()
            // A row that is an error was never given out, and is not taken back.
            for key in held.keys where key.hasPrefix("!") { held[key] = nil }
            for row in 0..<batch.count {
                guard case .bigint(let weight)? = batch.weights?.value(at: row) else { continue }
                held[shown(batch.columns[0].value(at: row), errors.error(at: row), spec.resultType), default: 0] += weight
            }
            held = held.filter { $0.value != 0 }
            return batch.count
        }
        func answer() -> String { held.count == 1 && held.values.first == 1 ? held.keys.first ?? "" : "not one row: \(held)" }
        _ = tick()
        guard let value = values.first else { return answer() }
        feed(table, [value, value], [-1, 1], 2)
        if tick() > 0, !answer().hasPrefix("!") { return "an idle change" }
        feed(table, [value], [-1], 1)
        _ = tick()
        let rest = AggregateTable(keys: [], calls: [spec])
        rest.ensureGlobalGroup()
        feed(rest, Array(values.dropFirst()), nil, .max)
        let errors = RowErrors()
        let wanted = shown(rest.emit(0..<1, errors: errors)[0].value(at: 0), errors.error(at: 0), spec.resultType)
        // What is left of a sum may differ in its last digit, and keeps the scale of what was withdrawn.
        let isClose = AggregateCase.areClose(wanted, answer()) || AggregateCase.areSameNumber(wanted, answer())
        if !isClose { return "without the first row \(answer()) instead of \(wanted)" }
        feed(table, [value], [1], 1)
        _ = tick()
        return answer()
    }

    private func shown(_ value: Value, _ error: SQLError?, _ type: DataType) -> String {
        if let error { return "!\(error.state.code) \(error.message)" }
        let text = value.isNull ? "\\N" : value.text.replacing("\\", with: "\\\\").replacing("\t", with: "\\t").replacing("\n", with: "\\n")
        return "\(type.sqlName)|\(text)"
    }
}
