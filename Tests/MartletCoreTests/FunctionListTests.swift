import Foundation
import Testing

import MartletCore

/// docs/functions.md says what there is: it is written from the tables that calls are resolved with.
@Suite("The list of functions")
struct FunctionListTests {
    static let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "docs/functions.md")

    @Test("docs/functions.md lists what there is")
    func isCurrent() throws {
        let text = Self.text
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" { try Data(text.utf8).write(to: Self.path) }
        let written = try String(contentsOf: Self.path, encoding: .utf8)
        #expect(written == text, "UPDATE_GOLDEN=1 writes it anew")
    }

    // MARK: - The page

    private static var text: String {
        var lines = [
            "# Types, operators and functions", "",
            "Written by a test (Tests/MartletCoreTests/FunctionListTests.swift) from the tables that calls are resolved with. Names,",
            "results, errors and text forms are PostgreSQL 15's, held by its own answers in Tests/*/Golden; what differs is below.", "",
            "## Types", "",
        ]
        lines += DataType.all.map { "- `\($0.sqlName)`" }
        lines += ["- `T[]`: an array of up to \(ArrayValue.dimensionsMax) dimensions", "- `STRUCT<a T, b T, …>`: a composite value; `ROW(…)` makes one, `(x).a` reads a field", ""]
        lines += ["## Operators and constructs", "", "| written | operands → result |", "|---|---|"]
        lines += rows(ScalarFunction.names.filter { !isName($0) })
        lines += ["", "`operand operator ANY (array)` and `ALL (array)` take " + ArrayFunctions.quantifiable.keys.sorted().map { "`\($0)`" }.joined(separator: " ") + ".", ""]
        lines += ["## Functions", "", "| name | arguments → result |", "|---|---|"]
        lines += rows(ScalarFunction.names.filter(isName))
        lines += ["", "## Aggregates", "", "| name | arguments → result |", "|---|---|", "| `count` | `(*)` → bigint |"]
        lines += AggregateFunction.names.keys.sorted().map { "| `\($0)` | \(aggregate($0)) |" }
        lines += ["", "All take FILTER (WHERE …), and DISTINCT where it changes anything. `string_agg`, `array_agg`, `jsonb_agg`, `jsonb_object_agg`,",
                  "`first_value` and `last_value` take ORDER BY; ties, and everything where no order is asked for, come in ascending order of the",
                  "values, since rows have no order of their own over shards. `approx_percentile(fraction [, error])` is within 1 % of the value unless",
                  "told otherwise, `approx_count_distinct` within about 1.6 %.", ""]
        lines += differences
        return lines.joined(separator: "\n") + "\n"
    }

    private static func isName(_ name: String) -> Bool {
        name.unicodeScalars.allSatisfy { $0.properties.isAlphabetic || $0 == "_" || ("0"..."9").contains($0) }
    }

    private static func rows(_ names: [String]) -> [String] {
        names.map { name in
            let ways = ScalarFunction.overloads(named: name).map(way)
            return "| `\(name.replacing("|", with: "\\|"))` | \(ways.joined(separator: "<br>")) |"
        }
    }

    private static func way(_ signature: Signature) -> String {
        var parts = signature.parameters.map { parameter in
            switch parameter {
            case .exact(let type): type.sqlName
            case .any: "any"
            case .common: "T"
            case .commonArray: "T[]"
            case .nonArray: "any but an array"
            case .record: "any composite"
            }
        }
        if signature.isVariadic { parts.append("…") }
        let result =
            switch signature.result {
            case .exact(let type): type.sqlName
            case .common: "T"
            case .commonArray: "T[]"
            }
        return "(\(parts.joined(separator: ", "))) → \(result)"
    }

    private static func aggregate(_ name: String) -> String {
        var ways: [String] = []
        let isOrderedSet = AggregateFunction.names[name]?.isOrderedSet == true
        for type in DataType.all + [.array(.integer)] {
            for arguments in [[type], [type, type]] {
                guard let resolved = AggregateFunction.resolve(name, arguments), resolved.arguments == arguments else { continue }
                let shown = arguments.map(\.sqlName).joined(separator: ", ")
                ways.append((isOrderedSet ? "WITHIN GROUP (ORDER BY \(shown))" : "(\(shown))") + " → \(resolved.result.sqlName)")
            }
        }
        return ways.joined(separator: "<br>")
    }

    private static let differences = [
        "## What differs from PostgreSQL", "",
        "Each with cases in Tests/MartletCoreTests/Golden/differences.txt or Tests/MartletSQLTests/Golden/statements.differences.", "",
        "- NUMERIC has at most 38 digits. Timestamps end in January 294247.",
        "- Regular expressions are matched by RE2 in time linear in the text, in bounded memory: look-around and back references are",
        "  refused (0A000); `\\m`, `\\M` and `\\y` are all any boundary of an ASCII word; character classes are Unicode's, not the locale's;",
        "  a pattern has at most 64 KiB. Where no quantifier asks for the shortest match, the longest is taken, as POSIX has it.",
        "- jsonpath has no `datetime()`; a path of `jsonb_path_exists` is followed to its end, errors included.",
        "- `json` is `jsonb`: `to_json`, `array_to_json` and their kin give the text of jsonb.",
        "- Values of arrays of differing types compare by their common type (`ARRAY[1] = ARRAY[1.0]`).",
        "- `min` and `max` take bytea, uuid and arrays too. `random()`, `gen_random_uuid()` and `clock_timestamp()` are refused in views:",
        "  the same input must give the same result.",
    ]
}
