import MartletCore
import MartletPlatform
import MartletTestKit
import Testing

@Suite("Golden files")
struct GoldenTests {
    static let golden = Golden(disk: SystemDisk(), update: environment("UPDATE_GOLDEN"))

    @Test("blocks are run and compared", arguments: try golden.files(".script"))
    func script(path: String) throws {
        try Self.golden.check(path, evaluate: evaluate)
    }

    @Test("a difference is shown where it is; an update accepts it and keeps the rest")
    func updates() throws {
        let disk = SimulatedDisk(seed: 1)
        let before = "# head\n\nkeep a\n---\na\n\n# note\nlines b c\n---\nb\nX\n\nblank\n---\nold\n\n# end\n"
        try write(disk, before)
        let mismatch = #expect(throws: GoldenMismatch.self) {
            try Golden(disk: disk, update: nil).check("g", evaluate: evaluate)
        }
        #expect(mismatch?.description == """
            g:8:
            lines b c
            ---
              b
            - X
            + c

            g:13:
            blank
            ---
            - old
            + above
            + \("")
            + below
            (UPDATE_GOLDEN=1 accepts what came.)
            """)
        #expect(try read(disk) == before)
        try Golden(disk: disk, update: "1").check("g", evaluate: evaluate)
        let after = "# head\n\nkeep a\n---\na\n\n# note\nlines b c\n---\nb\nc\n\nblank\n---\n> above\n>\n> below\n\n# end\n"
        #expect(try read(disk) == after)
        try Golden(disk: disk, update: nil).check("g", evaluate: evaluate)
        try write(disk, "no output")
        #expect(throws: GoldenMismatch.self) { try Golden(disk: disk, update: nil).check("g", evaluate: evaluate) }
    }

    private func evaluate(_ input: String) -> String {
        let words = input.split(whereSeparator: \.isWhitespace)
        switch words.first {
        case "keep": return words.dropFirst().joined(separator: " ")
        case "lines": return words.dropFirst().joined(separator: "\n") + "\n"
        case "blank": return "above\n\nbelow"
        default: return ""
        }
    }

    private func write(_ disk: SimulatedDisk, _ text: String) throws {
        let file = try disk.open("g", .replace)
        try Array(text.utf8).withUnsafeBytes { try file.append($0) }
    }

    private func read(_ disk: SimulatedDisk) throws -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = try disk.open("g", .read).read(into: &buffer)
        return String(decoding: buffer[..<count], as: UTF8.self)
    }
}

extension DiskFile {
    fileprivate func read(into buffer: inout [UInt8]) throws -> Int {
        try buffer.withUnsafeMutableBytes { try read(into: $0, at: 0) }
    }
}
