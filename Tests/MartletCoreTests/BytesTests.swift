import MartletCore
import Testing

@Suite("Bytes: checksum, reader, writer, sink")
struct BytesTests {
    /// RFC 3720, appendix B.4.
    @Test("CRC32C of iSCSI's examples")
    func checksum() {
        func crc(_ bytes: [UInt8], seed: UInt32 = 0) -> UInt32 { bytes.withUnsafeBytes { crc32c($0, seed: seed) } }
        #expect(crc([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(crc([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(crc((0..<32).map { $0 }) == 0x46DD_794E)
        #expect(crc((0..<32).reversed().map { $0 }) == 0x113F_DB5C)
        #expect(crc(Array("123456789".utf8)) == 0xE306_9283)
        #expect(crc(Array("6789".utf8), seed: crc(Array("12345".utf8))) == 0xE306_9283)
        #expect(crc([]) == 0)
    }

    @Test("numbers come back in both byte orders")
    func numbers() throws {
        var memory = [UInt8](repeating: 0, count: 64)
        try memory.withUnsafeMutableBytes { bytes throws in
            var writer = ByteWriter(bytes)
            try writer.writeUInt8(7)
            try writer.writeLittle(UInt32(0x0102_0304))
            try writer.writeBig(Int64(-2))
            try writer.writeBig(UInt16(0xABCD))
            #expect(writer.written.map { $0 } == [7, 4, 3, 2, 1, 255, 255, 255, 255, 255, 255, 255, 254, 0xAB, 0xCD])
            var reader = ByteReader(writer.written)
            #expect(try reader.readUInt8() == 7)
            #expect(try reader.readLittle(UInt32.self) == 0x0102_0304)
            #expect(try reader.readBig(Int64.self) == -2)
            #expect(try reader.readBig(UInt16.self) == 0xABCD)
            #expect(reader.isAtEnd)
            #expect(throws: ByteError.outOfBounds(offset: 15, needed: 1, available: 0)) { try reader.readUInt8() }
        }
    }

    /// Protocol Buffers' documentation and the corners of each type.
    @Test(arguments: [
        (0, [0]), (1, [1]), (127, [0x7F]), (128, [0x80, 1]), (150, [0x96, 1]), (16383, [0xFF, 0x7F]), (16384, [0x80, 0x80, 1]),
        (UInt64(UInt32.max), [0xFF, 0xFF, 0xFF, 0xFF, 0x0F]),
        (UInt64.max, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]),
    ] as [(UInt64, [UInt8])])
    func unsignedVarint(value: UInt64, bytes: [UInt8]) throws {
        #expect(try written { try $0.writeVarUInt64(value) } == bytes)
        try bytes.withUnsafeBytes { (raw) throws -> Void in
            var reader = ByteReader(raw)
            #expect(try reader.readVarUInt64() == value)
            #expect(reader.isAtEnd)
            var short = ByteReader(raw)
            if value <= UInt32.max {
                #expect(try short.readVarUInt32() == UInt32(value))
            } else {
                #expect(throws: ByteError.badVarint(offset: 0)) { try short.readVarUInt32() }
            }
        }
    }

    @Test(arguments: [(0, [0]), (-1, [1]), (1, [2]), (-2, [3]), (-64, [127]), (64, [0x80, 1]), (.max, [254] + .init(repeating: 255, count: 8) + [1]), (.min, [UInt8](repeating: 255, count: 9) + [1])] as [(Int64, [UInt8])])
    func zigzagVarint(value: Int64, bytes: [UInt8]) throws {
        #expect(try written { try $0.writeVarInt64(value) } == bytes)
        try bytes.withUnsafeBytes { (raw) throws -> Void in
            var reader = ByteReader(raw)
            #expect(try reader.readVarInt64() == value)
        }
        if let small = Int32(exactly: value) {
            #expect(try written { try $0.writeVarInt32(small) } == bytes)
            try bytes.withUnsafeBytes { (raw) throws -> Void in
                var reader = ByteReader(raw)
                #expect(try reader.readVarInt32() == small)
            }
        }
    }

    @Test("a varint without end, or with a bit too many, is refused")
    func badVarints() {
        for bytes in [[UInt8](repeating: 0x80, count: 11), [UInt8](repeating: 0xFF, count: 9) + [2]] {
            bytes.withUnsafeBytes { raw in
                var reader = ByteReader(raw)
                #expect(throws: ByteError.badVarint(offset: 0)) { try reader.readVarUInt64() }
            }
        }
        let cut: [UInt8] = [0x80, 0x80]
        cut.withUnsafeBytes { raw in
            var reader = ByteReader(raw)
            #expect(throws: ByteError.outOfBounds(offset: 2, needed: 1, available: 0)) { try reader.readVarUInt64() }
        }
    }

    @Test("lengths off the wire are checked before they are used")
    func lengths() {
        let bytes: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 1]
        bytes.withUnsafeBytes { raw in
            var reader = ByteReader(raw)
            #expect(throws: ByteError.badLength(offset: 0, length: .max)) { try reader.readRun(limit: 100) }
            var other = ByteReader(raw)
            #expect(throws: ByteError.outOfBounds(offset: 0, needed: -1, available: 11)) { try other.read(-1) }
            #expect(throws: ByteError.outOfBounds(offset: 0, needed: .max, available: 11)) { try other.skip(.max) }
            #expect(throws: ByteError.outOfBounds(offset: 12, needed: 0, available: 11)) { try other.seek(to: 12) }
            #expect(other.offset == 0)
        }
    }

    @Test("decimal digits at every power of ten")
    func decimals() {
        var values: [UInt64] = [0, 9, 99, .max, .max - 1, UInt64(Int64.max), UInt64(Int64.max) + 1]
        var power: UInt64 = 1
        for _ in 0..<19 {
            power *= 10
            values += [power - 1, power, power + 1, power / 3]
        }
        var generator = SplitMix64(seed: 1)
        for _ in 0..<2000 { values.append(generator.next() >> generator.below(64)) }
        for value in values {
            let sink = ByteSink()
            sink.append(decimal: value)
            #expect(sink.text == "\(value)")
            #expect(decimalDigitCount(value) == sink.count)
            let signed = Int64(bitPattern: value)
            sink.clear()
            sink.append(decimal: signed)
            #expect(sink.text == "\(signed)")
        }
        let sink = ByteSink()
        sink.append(decimal: 7, width: 3)
        sink.append(decimal: 12345, width: 2)
        sink.append(decimal: Int64.min)
        #expect(sink.text == "00712345-9223372036854775808")
    }

    @Test("a sink grows past any capacity and keeps what was written")
    func growth() {
        let sink = ByteSink(capacity: 1)
        var expected = ""
        for number in 0..<5000 {
            sink.append(decimal: Int64(number))
            sink.append(", ")
            sink.append(text: "é")
            sink.append(UInt8(ascii: "\n"))
            expected += "\(number), é\n"
        }
        #expect(sink.text == expected)
        sink.truncate(to: 6)
        #expect(sink.text == "0, é\n")
        let target = sink.reserve(100_000)
        target[99_999] = 1
        sink.commit(100_000)
        #expect(sink.count == 100_006)
        sink.append(UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(sink.count == 100_006)
    }

    private func written(_ body: (inout ByteWriter) throws -> Void) throws -> [UInt8] {
        var memory = [UInt8](repeating: 0, count: 16)
        return try memory.withUnsafeMutableBytes { bytes throws in
            var writer = ByteWriter(bytes)
            try body(&writer)
            return Array(writer.written)
        }
    }
}
