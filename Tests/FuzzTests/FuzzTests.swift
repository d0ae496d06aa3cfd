import Foundation
internal import MartletCore
internal import MartletFuzz
import Testing

/// A short, fixed run of each fuzz target: the files in Seeds/TARGET, and inputs made from them by seeded mutations. What
/// `./dev fuzz` finds joins the seeds, and so is never found again.
@Suite("Parsers bear any bytes")
struct FuzzTests {
    static let mutationsPerTarget = 1000
    static let inputBytesMax = 4096

    @Test("seeds and their mutations", arguments: FuzzTarget.allCases)
    func mutations(target: FuzzTarget) throws {
        let seeds = try Self.seeds(target)
        try #require(!seeds.isEmpty)
        for seed in seeds { try run(target, seed) }
        try run(target, [])
        var random = Xoshiro256(seed: 2026)
        for _ in 0..<Self.mutationsPerTarget { try run(target, mutated(seeds, &random)) }
        try FileManager.default.removeItem(at: Self.current(target))
    }

    /// A trap ends the test process, so each input is on disk before it is tried: `./dev fuzz TARGET FILE` tries it again.
    private func run(_ target: FuzzTarget, _ input: [UInt8]) throws {
        try Data(input).write(to: Self.current(target))
        input.withUnsafeBytes(target.run)
    }

    private static func current(_ target: FuzzTarget) -> URL {
        let process = ProcessInfo.processInfo.processIdentifier
        return FileManager.default.temporaryDirectory.appending(path: "martlet-fuzz-\(target.rawValue)-\(process)")
    }

    private static func seeds(_ target: FuzzTarget) throws -> [[UInt8]] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Seeds/\(target.rawValue)")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return try files.sorted { $0.path < $1.path }.map { Array(try Data(contentsOf: $0)) }
    }

    /// A seed after one to eight changes.
    private func mutated(_ seeds: [[UInt8]], _ random: inout Xoshiro256) -> [UInt8] {
        var bytes = seeds[random.below(seeds.count)]
        for _ in 0...random.below(8) {
            let at = random.below(bytes.count + 1)
            let end = min(bytes.count, at + random.below(24))
            switch random.below(6) {
            case 0 where at < bytes.count: bytes[at] ^= 1 << UInt8(random.below(8))
            case 1 where at < bytes.count: bytes[at] = UInt8(random.below(256))
            case 2: bytes.removeSubrange(at..<end)
            case 3: bytes.insert(contentsOf: bytes[at..<end], at: random.below(bytes.count + 1))
            case 4: bytes.insert(contentsOf: interesting[random.below(interesting.count)].utf8, at: at)
            default: bytes.removeSubrange(at...)
            }
            if bytes.count > Self.inputBytesMax { bytes.removeSubrange(Self.inputBytesMax...) }
        }
        return bytes
    }

    /// Pieces at which parsers have stumbled.
    private let interesting = [
        "\0", "\n", "\r\n", "\"", "\\", "\\u", "\\ud800", "{", "}", "[", "]", "((((((((", "'", "''", "$$", "--", "/*", "-", "1e999",
        "-9223372036854775809", "99999999999999999999999999999999999999999", "0.", ".", "null", "true", "é", "\u{FEFF}", "😀",
        "CASE", "INTERVAL '", "::", "BETWEEN", "NOT ", "E'\\", "U&'\\", " AND ", "2026-02-30T25:61:61Z",
    ]
}
