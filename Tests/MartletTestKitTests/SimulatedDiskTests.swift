import MartletCore
import MartletTestKit
import Testing

/// The laws of the simulated disk: what must hold for every seed, and what must happen for some.
@Suite("The simulated disk")
struct SimulatedDiskTests {
    static let seeds = 0..<300 as Range<UInt64>

    @Test("what was synced survives every crash")
    func synced() throws {
        for seed in Self.seeds {
            let disk = SimulatedDisk(seed: seed)
            try disk.makeDirectory("d")
            try disk.syncDirectory(".")
            let file = try disk.open("d/a", .createNew)
            try append(file, "one")
            try file.sync()
            try disk.syncDirectory("d")
            try append(file, "two")
            disk.crash()
            let text = try read(disk, "d/a")
            // A length without its bytes shows zeros, as ext4 does.
            #expect(text.hasPrefix("one"), "seed \(seed): \(text)")
            #expect(["one", "onetwo", "one\0\0\0"].contains(text), "seed \(seed): \(text)")
        }
    }

    @Test("what was not synced is sometimes kept, sometimes lost, sometimes torn, later sectors before earlier ones")
    func unsynced() throws {
        var seen: Set<String> = []
        for seed in Self.seeds {
            let disk = SimulatedDisk(seed: seed)
            let file = try disk.open("a", .createNew)
            try append(file, String(repeating: "-", count: 1024))
            try file.sync()
            try disk.syncDirectory(".")
            try write(file, String(repeating: "1", count: 1024), at: 0)
            try write(file, String(repeating: "2", count: 1024), at: 0)
            disk.crash()
            let text = try read(disk, "a")
            #expect(text.utf8.count == 1024)
            let sectors = [text.prefix(512), text.suffix(512)]
            for sector in sectors { #expect(Set(sector).count == 1, "a sector is never torn itself") }
            seen.insert(sectors.map { String($0.first!) }.joined())
        }
        #expect(seen == ["--", "-1", "-2", "1-", "11", "12", "2-", "21", "22"])
    }

    @Test("a name without its directory's sync is kept or lost; a rename is whole")
    func names() throws {
        var created: Set<[String]> = []
        var renamed: Set<[String]> = []
        for seed in Self.seeds {
            let disk = SimulatedDisk(seed: seed)
            let file = try disk.open("old", .createNew)
            try append(file, "x")
            try file.sync()
            let other = SimulatedDisk(seed: seed)
            _ = try other.open("new", .createNew)
            other.crash()
            created.insert(try other.list("."))

            try disk.syncDirectory(".")
            try disk.rename("old", to: "new")
            disk.crash()
            renamed.insert(try disk.list("."))
            #expect(try read(disk, disk.list(".")[0]) == "x")
        }
        #expect(created == [[], ["new"]])
        #expect(renamed == [["new"], ["old"]])
    }

    @Test("a removed file comes back with its content, unless its directory was synced")
    func removal() throws {
        var seen: Set<[String]> = []
        for seed in Self.seeds {
            let disk = SimulatedDisk(seed: seed)
            try append(try disk.open("a", .createNew), "x")
            try disk.open("a", .update).sync()
            try append(try disk.open("b", .createNew), "y")
            try disk.syncDirectory(".")
            try disk.remove("b")
            try disk.syncDirectory(".")
            try disk.remove("a")
            disk.crash()
            seen.insert(try disk.list("."))
            if try disk.stat("a") != nil { #expect(try read(disk, "a") == "x") }
        }
        #expect(seen == [[], ["a"]])
    }

    @Test("after a failed sync a successful one does not bring the data back")
    func failedSync() throws {
        var seen: Set<String> = []
        for seed in Self.seeds {
            let disk = SimulatedDisk(seed: seed)
            let file = try disk.open("a", .createNew)
            try disk.syncDirectory(".")
            try append(file, "data")
            disk.fail(call: disk.callCount + 1, with: .broken)
            #expect(throws: IOError("sync", path: "a", errno: 5)) { try file.sync() }
            #expect(try read(disk, "a") == "data")
            try file.sync()
            disk.crash()
            seen.insert(try read(disk, "a"))
        }
        #expect(seen == ["", "\0\0\0\0", "data"])
    }

    @Test("any call can fail, and says so as the real disk does")
    func faults() throws {
        let disk = SimulatedDisk(seed: 1)
        let file = try disk.open("a", .createNew)
        disk.fail(call: 2, with: .outOfSpace)
        disk.fail(call: 3, with: .short)
        disk.fail(call: 5, with: .short)
        let full = #expect(throws: IOError.self) { try append(file, "abcd") }
        #expect(full?.isOutOfSpace == true)
        #expect(throws: IOError.self) { try append(file, "abcd") }
        #expect(try read(file) == "ab")
        #expect(try read(file, count: 2) == "a")
        disk.capacityBytes = 3
        #expect(throws: IOError.self) { try append(file, "cd") }
        #expect(try read(file) == "abc")
        try write(file, "xyz", at: 0)
        #expect(disk.callCount == 8)
        #expect(throws: IOError.self) { try disk.open("none", .read) }
        #expect(throws: IOError.self) { try disk.open("none/a", .createNew) }
        #expect(throws: IOError.self) { try disk.open("a", .createNew) }
        #expect(throws: IOError.self) { try disk.open("a", .directory) }
        disk.crash()
        #expect(throws: IOError.self, "a file from before a crash is dead") { try append(file, "x") }
    }

    @Test("the same seed and the same calls are the same run; another seed is another")
    func replay() throws {
        func trace(_ seed: UInt64) throws -> UInt64 {
            let disk = SimulatedDisk(seed: seed)
            disk.faultShare = 0.2
            var generator = SplitMix64(seed: seed)
            for step in 0..<200 {
                do {
                    let file = try disk.open("f\(generator.below(5))", .createOrUpdate)
                    try write(file, "step \(step)", at: Int64(generator.below(2000)))
                    if generator.chance(0.3) { try file.sync() }
                    if generator.chance(0.1) { try disk.syncDirectory(".") }
                } catch is IOError {}
                if generator.chance(0.05) { disk.crash() }
                for name in (try? disk.list(".")) ?? [] { disk.trace.note((try? read(disk, name)) ?? "unreadable") }
            }
            return disk.trace.hash
        }
        #expect(try trace(1) == trace(1))
        #expect(try trace(1) != trace(2))
    }

    private func append(_ file: any DiskFile, _ text: String) throws {
        try Array(text.utf8).withUnsafeBytes { try file.append($0) }
    }

    private func write(_ file: any DiskFile, _ text: String, at offset: Int64) throws {
        try Array(text.utf8).withUnsafeBytes { try file.write($0, at: offset) }
    }

    private func read(_ disk: SimulatedDisk, _ path: String) throws -> String { try read(try disk.open(path, .read)) }

    private func read(_ file: any DiskFile, count: Int = 4096) throws -> String {
        var buffer = [UInt8](repeating: 0, count: count)
        let got = try buffer.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
        return String(decoding: buffer[..<got], as: UTF8.self)
    }
}
