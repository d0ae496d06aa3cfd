import Foundation
import Glibc
import MartletCore
import MartletPlatform
import Testing

/// A folder of its own for a test, removed with what is in it.
final class Scratch {
    let path: String

    init() {
        var template = Array("/tmp/martlet-test-XXXXXX\0".utf8CString)
        path = String(cString: mkdtemp(&template)!)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    subscript(name: String) -> String { "\(path)/\(name)" }
}

func bytes(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> Void) rethrows {
    try Array(text.utf8).withUnsafeBytes { try body($0) }
}

func contents(_ file: any DiskFile, from offset: Int64 = 0, count: Int = 100) throws -> String {
    var buffer = [UInt8](repeating: 0, count: count)
    let got = try buffer.withUnsafeMutableBytes { try file.read(into: $0, at: offset) }
    return String(decoding: buffer[..<got], as: UTF8.self)
}

@Suite("The system's disk")
struct SystemDiskTests {
    let scratch = Scratch()
    let disk = SystemDisk()

    @Test("write, append, read, truncate, sync, facts")
    func content() throws {
        let file = try disk.open(scratch["a"], .createOrUpdate)
        try bytes("hello") { try file.append($0) }
        try bytes(" world") { try file.append($0) }
        try bytes("J") { try file.write($0, at: 0) }
        try bytes("!") { try file.write($0, at: 12) }
        try bytes("?") { try file.append($0) }
        try file.sync()
        #expect(try contents(file) == "Jello world\0!?")
        #expect(try contents(file, from: 6, count: 5) == "world")
        #expect(try contents(file, from: 100) == "")
        try file.truncate(to: 5)
        try bytes("!") { try file.append($0) }
        #expect(try contents(file) == "Jello!")
        #expect(try file.facts().size == 6)
        #expect(try disk.stat(scratch["a"]) == file.facts())
        let again = try disk.open(scratch["a"], .createOrUpdate)
        try bytes("x") { try again.append($0) }
        #expect(try contents(again) == "Jello!x")
        let replaced = try disk.open(scratch["a"], .replace)
        #expect(try replaced.facts().size == 0)
    }

    @Test("names: list, rename, remove, directories")
    func names() throws {
        try disk.makeDirectories(scratch["d/e/f"])
        try disk.makeDirectories(scratch["d/e/f"])
        for name in ["b", "a", "C", "é"] { _ = try disk.open(scratch["d/" + name], .createNew) }
        #expect(try disk.list(scratch["d"]) == ["C", "a", "b", "e", "é"])
        try disk.rename(scratch["d/a"], to: scratch["d/b"])
        try disk.remove(scratch["d/C"])
        try disk.remove(scratch["d/e/f"])
        try disk.syncDirectory(scratch["d"])
        #expect(try disk.list(scratch["d"]) == ["b", "e", "é"])
        #expect(try disk.stat(scratch["d"])?.kind == .directory)
        #expect(try disk.stat(scratch["none"]) == nil)
        #expect(try disk.stat(scratch["d/b/none"]) == nil)
    }

    @Test("errors name the path, the reason and what can be done")
    func errors() throws {
        func failure(_ body: () throws -> Void) -> IOError? {
            do { try body() } catch { return error as? IOError }
            return nil
        }
        let missing = failure { _ = try disk.open(scratch["none"], .read) }
        #expect(missing?.description == "cannot open \(scratch["none"]): No such file or directory")
        #expect(missing.map { if case .missing = $0 { true } else { false } } == true)
        #expect(failure { _ = try disk.open(scratch.path, .read) }?.description.hasSuffix("Is a directory") == true)
        _ = try disk.open(scratch["a"], .createNew)
        #expect(failure { _ = try disk.open(scratch["a"], .createNew) }?.description.hasSuffix("File exists") == true)
        #expect(failure { try disk.makeDirectory(scratch["a"]) }?.description.hasSuffix("File exists") == true)
        let full = failure {
            let device = try disk.open("/dev/full", .update)
            try bytes("x") { try device.append($0) }
        }
        #expect(full?.isOutOfSpace == true)
        #expect(full?.description == "cannot write to /dev/full: No space left on device")
        #expect(full?.isRetriable == false)
        #expect(IOError("read", path: "p", errno: EINTR).isRetriable)
    }

    @Test("a pipe is read and written in sequence")
    func pipes() throws {
        #expect(mkfifo(scratch["pipe"], 0o600) == 0)
        let path = scratch["pipe"]
        let total = 300_000
        let writer = try WorkerThread(name: "writer") {
            // Larger than any pipe's buffer, so that it is written in parts.
            guard let file = try? SystemDisk().open(path, .update) else { return }
            [UInt8](repeating: 7, count: total).withUnsafeBytes { try? file.append($0) }
            _ = try? file.sync()
        }
        let file = try disk.openFile(path, .read)
        #expect(throws: IOError.self) { try contents(file, from: 10) }
        var got = 0
        while got < total {
            #expect(file.waitUntilReadable(timeoutMillis: 10_000))
            got += try contents(file, from: Int64(got), count: 100_000).utf8.count
        }
        writer.join()
        #expect(got == total)
        #expect(try contents(file, from: Int64(total)) == "")
    }

    @Test("clock and entropy")
    func clock() {
        let clock = SystemClock()
        let before = clock.monotonicNanos()
        clock.sleep(nanos: 2_000_000)
        #expect(clock.monotonicNanos() - before >= 2_000_000)
        #expect(clock.wallMicros() > 1_767_225_600_000_000)
        #expect(SystemEntropy().next() != SystemEntropy().next())
    }
}
