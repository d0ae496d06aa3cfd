import MartletTestKit
import Testing

/// FOR SYSTEM_TIME AS OF PROCTIME(): what is joined is what is there when the left row comes, and stays so.
@Suite("Lookups by the clock")
struct LookupTests {
    @Test("a left row meets the right rows read by its tick, and nothing later", arguments: [1, 2, 3], ["JOIN", "LEFT JOIN"])
    func meetsWhatIsThere(shards: Int, join: String) throws {
        let scripts = [
            "a": [PrefixOracleTests.rows(40, first: 0, seed: 11), PrefixOracleTests.rows(20, first: 1_000, seed: 12)],
            "b": [PrefixOracleTests.rows(30, first: 2_000, seed: 13)],
        ]
        let run = try PrefixRun(
            "SELECT a.id, b.id AS other FROM a \(join) b FOR SYSTEM_TIME AS OF PROCTIME() ON a.key = b.key AND b.value > 1", scripts,
            shards: shards, rowsMax: 4, seed: UInt64(shards))
        #expect(run.problems.isEmpty)
        var held: [String] = []
        var before = [[0, 0], [0]]
        for tick in run.ticks {
            let there = scripts["b"]![0][..<tick.read[1][0]]
            for (part, rows) in scripts["a"]!.enumerated() {
                for row in rows[before[0][part]..<tick.read[0][part]] {
                    let matches = there.filter { $0.key != nil && $0.key == row.key && ($0.value ?? 0) > 1 }
                    held += matches.map { "\(row.id)\t\($0.id)" }
                    if matches.isEmpty, join == "LEFT JOIN" { held.append("\(row.id)\tNULL") }
                }
            }
            before = tick.read
            #expect(tick.rows == held.sorted())
        }
        #expect(held.count > 30)
    }
}
