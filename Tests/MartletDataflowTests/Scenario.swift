import MartletCore
import MartletDataflow
import MartletTestKit
import Testing

let second: Int64 = 1_000_000

/// Rows of one partition at the given seconds, ids counted from `first`.
func rows(_ seconds: [Int64], first: Int64 = 0, key: Int64 = 0) -> [ScriptedRow] {
    seconds.enumerated().map { ScriptedRow(id: first + Int64($0), time: $1 * second, key: key, value: 1) }
}

func steps(_ rows: [ScriptedRow]) -> [ScriptStep] { rows.map { .row($0) } }

/// Runs a case and expects what the model says, and no broken law.
@discardableResult
func check(
    _ item: DataflowCase, _ settings: DataflowSettings = DataflowSettings(), _ comment: String = "",
    sourceLocation: SourceLocation = #_sourceLocation
) throws -> DataflowRun {
    let run = try DataflowRun(item, settings)
    run.run()
    let found = run.violations + run.outcome.differences(from: DataflowSimulation.expected(item, run))
    #expect(found.isEmpty, "\(comment) \(settings)\n\(found.joined(separator: "\n"))", sourceLocation: sourceLocation)
    return run
}

extension DataflowOutcome.View {
    /// count(*) by window start in seconds, where the view aggregates by window and one key.
    var counts: [Int64: Int64] {
        var counts: [Int64: Int64] = [:]
        for (row, weight) in rows {
            if case .timestamptz(let start) = row[0], case .bigint(let count) = row[3] {
                counts[start / second, default: 0] += count * weight
            }
        }
        return counts
    }
}
