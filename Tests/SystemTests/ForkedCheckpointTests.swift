internal import Foundation
internal import Testing

/// Checkpoints that a copy of the process writes while it goes on, and what becomes of them when either is killed.
@Suite("Checkpoints by a copy of the process", .serialized)
final class ForkedCheckpointTests {
    private let scratch: Scratch
    private let input: FileHandle
    private var rows = 0
    private var process: Process?

    init() throws {
        scratch = try Scratch()
        let sql = """
            CREATE SOURCE s (k BIGINT, v BIGINT) WITH (connector = 'file', path = '\(scratch.path("in.ndjson"))', follow = 'true')
            FORMAT PLAIN ENCODE JSON;
            CREATE SINK totals AS SELECT count(*) AS n, sum(v) AS total FROM (SELECT k, sum(v) AS v FROM s GROUP BY k) AS by_key
            WITH (connector = 'file', path = '\(scratch.path("out.ndjson"))') FORMAT PLAIN ENCODE JSON;
            """
        try Data(sql.utf8).write(to: URL(fileURLWithPath: scratch.path("p.sql")))
        for name in ["in.ndjson", "log"] { try Data().write(to: URL(fileURLWithPath: scratch.path(name))) }
        input = try #require(FileHandle(forWritingAtPath: scratch.path("in.ndjson")))
    }

    deinit { if let process, process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    @Test("a killed copy is told of and made good; a killed parent takes its copy along and loses nothing")
    func killed() throws {
        try append(100_000)
        try start()
        try waitForTotals()

        kill(try waitForCopy(), SIGKILL)
        try wait("the failure is told") { try self.log().contains("a checkpoint failed and is tried again") }
        let before = try newestCheckpoint()
        try wait("the next one is taken") { try self.append(1); return try self.newestCheckpoint() > before }

        let copy = try waitForCopy()
        kill(copy, SIGSTOP)
        let parent = try #require(process)
        kill(parent.processIdentifier, SIGKILL)
        parent.waitUntilExit()
        try wait("the copy is gone") { !self.isRunning(copy) }
        let verified = try Binary.run("checkpoint", "verify", scratch.path("data"))
        #expect(verified.status == 0, "\(verified.output)\(verified.errors)")

        try append(1_000)
        try start()
        try waitForTotals()
        let last = try #require(process)
        kill(last.processIdentifier, SIGTERM)
        last.waitUntilExit()
        #expect(last.terminationStatus == 0)
    }

    @Test("a full disk leaves the checkpoint before, and the pipeline goes on; the next one is taken when there is room", .enabled(if: getuid() == 0))
    func full() throws {
        let place = scratch.path("data/checkpoints")
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        let mounted = try Binary.run(executable: URL(fileURLWithPath: "/bin/mount"), ["-t", "tmpfs", "-o", "size=64m", "none", place])
        // A container's root may not mount anything.
        if mounted.status != 0 { return }
        defer { _ = try? Binary.run(executable: URL(fileURLWithPath: "/bin/umount"), ["-l", place]) }
        try append(100_000)
        try start()
        try waitForTotals()
        var before = try newestCheckpoint()
        try wait("a checkpoint with all of it is taken") { try self.append(1); return try self.newestCheckpoint() > before }

        let filler = "\(place)/filler"
        let free = try #require(try FileManager.default.attributesOfFileSystem(forPath: place)[.systemFreeSize] as? Int)
        try Data(count: free - (1 << 20)).write(to: URL(fileURLWithPath: filler))
        try wait("the failure is told") { try self.append(1); return try self.log().contains("a checkpoint failed and is tried again") }
        #expect(try log().contains("No space left on device"))
        try append(1_000)
        try waitForTotals()
        let verified = try Binary.run("checkpoint", "verify", scratch.path("data"))
        #expect(verified.status == 0, "\(verified.output)\(verified.errors)")

        before = try newestCheckpoint()
        try FileManager.default.removeItem(atPath: filler)
        try wait("the next one is taken") { try self.append(1); return try self.newestCheckpoint() > before }
        let parent = try #require(process)
        kill(parent.processIdentifier, SIGKILL)
        parent.waitUntilExit()
        try append(1_000)
        try start()
        try waitForTotals()
    }

    // MARK: The run

    private func start() throws {
        let process = Process()
        process.executableURL = Binary.path
        process.arguments = ["run", scratch.path("p.sql"), "--data-dir", scratch.path("data"), "--name", "p", "--checkpoint-seconds", "1"]
        let log = try #require(FileHandle(forWritingAtPath: scratch.path("log")))
        log.seekToEndOfFile()
        process.standardError = log
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        self.process = process
    }

    private func append(_ count: Int) throws {
        input.write(Data((rows..<rows + count).map { "{\"k\":\($0),\"v\":\($0 % 10)}\n" }.joined().utf8))
        rows += count
    }

    private func log() throws -> String { String(decoding: try Data(contentsOf: URL(fileURLWithPath: scratch.path("log"))), as: UTF8.self) }

    /// All rows of the sink taken together are one row, and it is the right one.
    private func waitForTotals() throws {
        let expected = "\(rows) \((0..<rows).reduce(0) { $0 + $1 % 10 })"
        try wait("the totals are \(expected)") {
            var counts: [String: Int] = [:]
            for row in (try? objects(at: self.scratch.path("out.ndjson"))) ?? [] {
                counts["\(row["n"] ?? "") \(row["total"] ?? "")", default: 0] += row["op"] as? String == "insert" ? 1 : -1
            }
            return counts.filter { $0.value != 0 } == [expected: 1]
        }
    }

    private func newestCheckpoint() throws -> String {
        let names = try FileManager.default.contentsOfDirectory(atPath: scratch.path("data/checkpoints/p"))
        return names.filter { $0.hasSuffix(".checkpoint") }.max() ?? ""
    }

    /// Gives the pipeline something to do until a copy of it is at work, and answers its process id. At work: it has given
    /// itself its name, and is no mere fork that could be stopped before it knows whom to die with.
    private func waitForCopy() throws -> Int32 {
        let parent = try #require(process).processIdentifier
        var found: Int32?
        try wait("a copy is at work") {
            try self.append(1)
            let until = Date().addingTimeInterval(0.05)
            while found == nil, Date() < until { found = self.children(of: parent).first(where: self.isCopy) }
            return found != nil
        }
        return try #require(found)
    }

    private func children(of parent: Int32) -> [Int32] {
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(parent)/task")) ?? []
        return tasks.flatMap { task in
            let text = (try? String(contentsOfFile: "/proc/\(parent)/task/\(task)/children", encoding: .utf8)) ?? ""
            return text.split(separator: " ").compactMap { Int32($0) }
        }
    }

    private func isCopy(_ process: Int32) -> Bool {
        (try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8)) == "checkpoint\n"
    }

    private func isRunning(_ process: Int32) -> Bool {
        guard let status = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8) else { return false }
        return !status.contains(") Z")
    }

    private func wait(_ what: String, _ isSo: () throws -> Bool) throws {
        let until = Date().addingTimeInterval(60)
        while Date() < until {
            if try isSo() { return }
            if let process, !process.isRunning, process.terminationReason == .exit { break }
            usleep(10_000)
        }
        Issue.record("it never came that \(what): \(try log().suffix(2000))")
        throw CancellationError()
    }
}
