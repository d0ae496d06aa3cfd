import Foundation
import MartletColumns
import MartletCore
import MartletEngine
import MartletTestKit
import Testing

/// The scripts of Tests/SQL against a database on one thread; over the wire they run with the real binary.
@Suite("SQL acceptance")
struct SQLAcceptanceTests {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "SQL")
    static let scripts = ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).filter { $0.hasSuffix(".slt") }.sorted()

    private final class Connection: LogicConnection {
        let session: any SQLSession

        init(_ session: any SQLSession) { self.session = session }

        func carryOut(_ sql: String) throws(SQLError) -> LogicAnswer {
            var answer = LogicAnswer(rows: [], count: 0)
            do throws(SQLError) {
                for (_, statement) in try session.split(sql) {
                    let prepared = try session.prepare(statement, parameterTypes: [])
                    answer = try Connection.answer(try session.execute(prepared, parameters: []), session.evaluation.zone)
                }
                try session.endImplicit(failed: false)
            } catch {
                try? session.endImplicit(failed: true)
                throw error
            }
            return answer
        }

        private static func answer(_ outcome: SQLOutcome, _ zone: MartletCore.TimeZone) throws(SQLError) -> LogicAnswer {
            switch outcome {
            case .done(let tag): return LogicAnswer(rows: [], count: UInt64(tag.split(separator: " ").last ?? "") ?? 0)
            case .copyIn: return LogicAnswer(rows: [], count: 0)
            case .rows(let cursor), .copyOut(_, let cursor):
                var rows: [[String?]] = []
                while let batch = try cursor.next(rowsMax: 1000) {
                    for row in 0..<batch.count { rows.append(batch.row(row).map { $0.isNull ? nil : $0.text(in: zone) }) }
                }
                return LogicAnswer(rows: rows, count: UInt64(cursor.tag(rows: UInt64(rows.count)).split(separator: " ").last ?? "") ?? 0)
            }
        }
    }

    @Test("a script gives what it says", arguments: scripts)
    func script(name: String) throws {
        let harness = try DatabaseHarness(shards: 2)
        let run = LogicRun(
            connect: { (_) throws(SQLError) in Connection(try harness.session()) }, sleep: { _ in },
            include: { path in try String(contentsOf: Self.folder.appending(path: path), encoding: .utf8) })
        let text = try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
        try run.run(LogicScript(parsing: text, path: name, engine: "martlet-in-process"))
        #expect(run.recordsRun > 0)
        #expect(run.differences.isEmpty, "\(run.differences.joined(separator: "\n"))")
    }
}
