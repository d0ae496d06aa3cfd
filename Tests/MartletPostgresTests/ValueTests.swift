import MartletCore
import MartletPlatform
import MartletPostgres
import Testing

/// Golden/binary.cases: what PostgreSQL's own send functions give.
@Suite("Values on the wire")
struct ValueTests {
    struct Case: Sendable, CustomStringConvertible {
        var type: DataType
        var text: String
        var identifier: UInt32
        var hexadecimal: String
        var description: String { "\(type) \(text)" }
    }

    static let cases: [Case] = {
        let path = #filePath.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/Golden/binary.cases"
        guard let file = try? SystemDisk().open(path, .read), let size = try? file.facts().size else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(size))
        _ = try? bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            let parts = line.split(separator: " | ", omittingEmptySubsequences: false).map(String.init)
            // An empty last cell loses its blank.
            let bytes = parts.count > 3 ? parts[3] : ""
            let identifier = UInt32(parts[2].split(separator: " ").first ?? "") ?? 0
            return Case(type: DataType(sqlName: parts[0])!, text: parts[1], identifier: identifier, hexadecimal: bytes)
        }
    }()

    @Test("there are cases")
    func caseCount() { #expect(Self.cases.count > 60) }

    @Test("binary values are PostgreSQL's, both ways", arguments: cases)
    func binary(sample: Case) throws {
        let value = try Value.text(sample.text).cast(to: sample.type)
        let sink = ByteSink()
        BinaryValue.write(value, to: sink)
        #expect(Hexadecimal.text([UInt8](sink.bytes)) == sample.hexadecimal)
        #expect(TypeIdentifier.of(sample.type) == sample.identifier)
        #expect(TypeIdentifier.type(sample.identifier) == sample.type)
        let read = try BinaryValue.read(sink.bytes, as: sample.type)
        #expect(read == value && read.text == value.text)
    }

    @Test("a value cut short or with a byte too many is refused", arguments: cases)
    func damaged(sample: Case) throws {
        let sink = ByteSink()
        BinaryValue.write(try Value.text(sample.text).cast(to: sample.type), to: sink)
        switch sample.type {
        case .text, .bytea, .jsonb: return
        default: break
        }
        for count in 0..<sink.count {
            #expect(throws: SQLError.self) {
                try BinaryValue.read(UnsafeRawBufferPointer(rebasing: sink.bytes[..<count]), as: sample.type)
            }
        }
        sink.append(0)
        #expect(throws: SQLError.self) { try BinaryValue.read(sink.bytes, as: sample.type) }
    }

    @Test("an array that claims more than was sent is refused before anything is allocated")
    func hugeArray() {
        let sink = ByteSink()
        for number in [2, 0, 23, 30_000, 1, 30_000, 1] as [Int32] { sink.append(big: number) }
        #expect(throws: SQLError(.protocolViolation, "insufficient data left in message")) {
            try BinaryValue.read(sink.bytes, as: .array(.integer))
        }
    }

    @Test("NUMERIC's modifier is packed as PostgreSQL packs it")
    func modifiers() {
        #expect(TypeIdentifier.modifier(of: .numeric(precision: 10, scale: 2)) == 655_366)
        #expect(TypeIdentifier.modifier(of: .plainNumeric) == -1)
    }
}
