package import MartletCore

/// What a run of a case, or the model of it, came to: everything that may not depend on batches, shards or ticks.
package struct DataflowOutcome: Equatable, Sendable {
    package struct View: Equatable, Sendable {
        /// The view's rows with their weights; none with weight 0.
        package var rows: [[Value]: Int64] = [:]
        package var rowsIn = 0
        package var counted = 0
        package var filtered = 0
        /// Ids of rows late for all of their windows, ascending, and of rows whose expressions failed.
        package var late: [Int64] = []
        package var dead: [Int64] = []

        package init() {}

        package mutating func add(_ row: [Value], _ weight: Int64 = 1) {
            let sum = rows[row, default: 0] + weight
            rows[row] = sum == 0 ? nil : sum
        }
    }

    package struct Source: Equatable, Sendable {
        package var accepted = 0
        package var unreadable = 0
        /// Ids of rows whose event time cannot be used, ascending.
        package var refused: [Int64] = []

        package init() {}
    }

    package var sources: [Source]
    package var views: [View]

    package init(sources: Int, views: Int) {
        self.sources = Array(repeating: Source(), count: sources)
        self.views = Array(repeating: View(), count: views)
    }

    /// Where the two differ, in words; empty where they do not.
    package func differences(from expected: DataflowOutcome) -> [String] {
        var found: [String] = []
        for (at, (ours, theirs)) in zip(sources, expected.sources).enumerated() where ours != theirs {
            found.append("source \(at): expected \(theirs), found \(ours)")
        }
        for (at, (ours, theirs)) in zip(views, expected.views).enumerated() where ours != theirs {
            found += ours.differences(from: theirs).map { "view \(at): \($0)" }
        }
        return found
    }
}

extension DataflowOutcome.View {
    fileprivate func differences(from expected: Self) -> [String] {
        var found: [String] = []
        if (rowsIn, counted, filtered) != (expected.rowsIn, expected.counted, expected.filtered) {
            found.append(
                "expected \(expected.rowsIn) in, \(expected.counted) counted, \(expected.filtered) filtered; "
                    + "found \(rowsIn), \(counted), \(filtered)")
        }
        if late != expected.late { found.append("late: expected \(expected.late), found \(late)") }
        if dead != expected.dead { found.append("dead: expected \(expected.dead), found \(dead)") }
        let all = Set(rows.keys).union(expected.rows.keys)
        let wrong = all.filter { rows[$0, default: 0] != expected.rows[$0, default: 0] }
            .map { "\(DataflowOutcome.text($0)): expected ×\(expected.rows[$0, default: 0]), found ×\(rows[$0, default: 0])" }
        if wrong.count > 0 { found.append("\(wrong.count) rows differ\n  " + wrong.sorted().prefix(12).joined(separator: "\n  ")) }
        return found
    }
}

extension DataflowOutcome {
    /// A row for people and for traces.
    package static func text(_ row: [Value]) -> String {
        row.map { value in
            switch value {
            case .null: "NULL"
            case .timestamptz(let micros): "@\(micros)"
            case .bigint(let number): "\(number)"
            case .numeric(let number): "\(number.coefficient)"
            case .text(let text): "'\(text)'"
            default: "\(value)"
            }
        }.joined(separator: ", ")
    }
}
