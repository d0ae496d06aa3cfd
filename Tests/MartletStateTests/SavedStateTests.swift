import MartletColumns
import MartletCore
@testable import MartletState
import Testing

@Suite("Saved states")
struct SavedStateTests {
    private func saved(_ body: (StateWriter) -> Void) throws -> [UInt8] {
        var bytes: [UInt8] = []
        let writer = StateWriter { bytes += $0 }
        body(writer)
        try writer.finish()
        return bytes
    }

    @Test("what was written is read again, across pieces, whatever portions it comes in")
    func roundTrip() throws {
        let large = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 3) }
        let bytes = try saved { writer in
            writer.begin("a")
            writer.write(large)
            for number in Int64(0)..<200_000 { writer.write(number) }
            writer.write("text")
            writer.write(true)
            writer.write([UInt32](0..<5))
        }
        var at = 0
        var portion = 1
        let reader = StateReader { buffer in
            portion = portion % 70_001 + 13
            let count = min(buffer.count, bytes.count - at, portion)
            bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[at..<at + count])) }
            at += count
            return count
        }
        try reader.expect("a")
        #expect(try reader.readBytes() == large)
        for number in Int64(0)..<200_000 where try reader.read() != number { Issue.record("\(number) is another") }
        #expect(try reader.readText() == "text")
        #expect(try reader.readFlag())
        #expect(try reader.readNumbers() == [UInt32](0..<5))
        try reader.finish()
    }

    @Test("pieces that are lost, repeated, out of place or too many are damage")
    func pieces() throws {
        let bytes = try saved { writer in for number in UInt64(0)..<400_000 { writer.write(number) } }
        let piece = 8 + (1 << 20)
        let header = Array(bytes[..<16])
        let pieces = [Array(bytes[16..<16 + piece]), Array(bytes[16 + piece..<16 + 2 * piece]), Array(bytes[(16 + 2 * piece)...])]
        func isRead(_ bytes: [UInt8]) -> Bool {
            let reader = StateReader(bytes)
            do throws(StateError) {
                for _ in 0..<400_000 { _ = try reader.read(UInt64.self) }
                try reader.finish()
                return true
            } catch {
                return false
            }
        }
        #expect(isRead(header + pieces.joined()))
        #expect(!isRead(header + pieces[1] + pieces[0] + pieces[2]))
        #expect(!isRead(header + pieces[0] + pieces[0] + pieces[2]))
        #expect(!isRead(header + pieces[0] + pieces[2]))
        #expect(!isRead(header + pieces[0] + pieces[1] + pieces[2].dropLast(8)))
        #expect(throws: StateError.self) { try StateReader(try saved { $0.write(1) }).finish() }
    }

    @Test("values, columns and batches of every type come back as they were")
    func values() throws {
        let structure = DataType.structure([StructureField(name: "a", type: .bigint), StructureField(name: "b", type: .array(.text))])
        let inner = Value.structure(
            StructureValue(
                [StructureField(name: "a", type: .bigint), StructureField(name: "b", type: .array(.text))],
                [.bigint(4), .array(ArrayValue(.text, [.init(lower: 1, count: 2)], [.text("x"), .null]))]))
        let values: [(DataType, Value)] = [
            (.boolean, .boolean(true)), (.smallint, .smallint(-3)), (.integer, .integer(7)), (.bigint, .bigint(.min)), (.real, .real(1.5)),
            (.double, .double(-0.25)), (.plainNumeric, .numeric(Decimal(coefficient: -12_345, scale: 3))),
            (.numeric(precision: 9, scale: 2), .numeric(.nan)), (.text, .text("a text that is longer than a view")), (.text, .text("")),
            (.bytea, .bytea([0, 1, 255])), (.date, .date(-1)), (.time, .time(5)), (.timestamp, .timestamp(9)), (.timestamptz, .timestamptz(-9)),
            (.interval, .interval(Interval(months: 1, days: -2, micros: 3))), (.jsonb, .jsonb("{\"a\": [1, 2]}")),
            (.uuid, .uuid(UUIDValue(high: 1, low: 2))), (structure, inner),
        ]
        let columns = values.map { type, value in Column(type, (0..<9_000).map { $0 % 3 == 1 ? .null : value }) }
        let batch = Batch(count: 9_000, columns: columns, weights: Column(.bigint, (0..<9_000).map { .bigint($0) }))
        let bytes = try saved { writer in
            for (_, value) in values { writer.write(value) }
            writer.write(batch)
            writer.write(nil as Value?)
        }
        let reader = StateReader(bytes)
        for (_, value) in values { #expect(try reader.readValue() == value) }
        let read = try reader.readBatch()
        #expect(try reader.readOptionalValue() == nil)
        try reader.finish()
        #expect(read.columns.map(\.type) == columns.map(\.type))
        for row in [0, 1, 4095, 4096, 8_998, 8_999] {
            #expect(read.row(row) == batch.row(row))
            #expect(read.weights?.int64s[row] == Int64(row))
        }
    }

    @Test("a table keeps numbers, the order of reuse and long keys, and finds all its rows")
    func keyedRows() throws {
        func column(_ range: Range<Int>) -> Column { Column(.text, range.map { .text($0 % 2 == 0 ? "k\($0)" : "a key that is longer than a view \($0)") }) }
        let rows = KeyedRows(KeyLayout([.text]), template: [1, 2, 3, 4])
        let numbers = rows.numbers([column(0..<40_000)], count: 40_000)
        for id in stride(from: 5, to: 40_000, by: 3) { rows.remove(rows[Int(numbers[id])]) }
        let bytes = try saved { rows.save(into: $0) }
        let back = KeyedRows(KeyLayout([.text]), template: [1, 2, 3, 4])
        let reader = StateReader(bytes)
        _ = try back.restore(from: reader)
        try reader.finish()
        #expect(back.count == rows.count && back.liveCount == rows.liveCount && back.free == rows.free)
        #expect(try saved { back.save(into: $0) } == bytes)
        #expect(back.numbers([column(0..<50_000)], count: 50_000) == rows.numbers([column(0..<50_000)], count: 50_000))
    }
}
