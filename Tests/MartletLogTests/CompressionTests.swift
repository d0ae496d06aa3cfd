internal import MartletCore
internal import MartletLog
internal import Testing

@Suite("Compression")
struct CompressionTests {
    static let codecs = Compression.allCases.filter { $0 != .none }

    private func compressed(_ bytes: [UInt8], _ codec: Compression) throws -> [UInt8] {
        var output: [UInt8] = []
        try bytes.withUnsafeBytes { try Compression.compress($0, codec) { output += $0 } }
        return output
    }

    private func decompressed(_ bytes: [UInt8], _ codec: Compression, limit: Int) throws -> [UInt8] {
        try bytes.withUnsafeBytes { source in
            let result = try Compression.decompress(source, codec, limit: limit)
            return withExtendedLifetime(result) { [UInt8](result.bytes) }
        }
    }

    private func outcome(_ bytes: [UInt8], _ codec: Compression, limit: Int) -> BatchError? {
        bytes.withUnsafeBytes { source in
            do throws(BatchError) {
                _ = try Compression.decompress(source, codec, limit: limit)
                return nil
            } catch { return error }
        }
    }

    @Test("bytes come back", arguments: codecs)
    func roundTrip(codec: Compression) throws {
        var random = SplitMix64(seed: 3)
        for size in [1, 2, 100, 16_383, 16_384, 16_385, 32_768, 32_769, 65_536, 300_000, 3_000_000] {
            // Half noise, half repetition.
            let bytes = (0..<size).map { at in at / 64 % 2 == 0 ? UInt8(truncatingIfNeeded: random.next()) : 7 }
            #expect(try decompressed(compressed(bytes, codec), codec, limit: size) == bytes, "\(size) bytes")
        }
    }

    @Test("a bomb is refused at the limit, to the byte", arguments: codecs)
    func limits(codec: Compression) throws {
        for size in [1_000, 50_000, 1_000_000, 20_000_000] {
            let bomb = try compressed([UInt8](repeating: 0, count: size), codec)
            #expect(outcome(bomb, codec, limit: size) == nil)
            guard case .tooLarge(_, limit: size - 1)? = outcome(bomb, codec, limit: size - 1) else {
                Issue.record("\(size) bytes passed a limit of one less")
                continue
            }
            guard case .tooLarge? = outcome(bomb, codec, limit: 10) else {
                Issue.record("\(size) bytes passed a limit of 10")
                continue
            }
        }
    }

    @Test("a batch whose records are a bomb is refused as too large", arguments: codecs)
    func bombBatch(codec: Compression) {
        let bomb = batch([Record(key: nil, value: [UInt8](repeating: 0, count: 12_000_000))], codec)
        guard case .tooLarge? = refusal(bomb, limits: BatchLimits(batchBytesMax: 100 << 20, decompressedBytesMax: 1 << 20)) else {
            Issue.record("the bomb was taken")
            return
        }
        #expect(refusal(bomb, limits: BatchLimits(batchBytesMax: 100 << 20)) == nil)
    }

    @Test("bytes cut off, or followed by others, are refused", arguments: codecs)
    func truncated(codec: Compression) throws {
        var random = SplitMix64(seed: 5)
        let bytes = (0..<2_000).map { _ in UInt8(random.below(20)) }
        let whole = try compressed(bytes, codec)
        for count in 0..<whole.count {
            // Snappy's framing has no end of its own: cut between two blocks it is shorter, and the record count tells.
            if codec == .snappy && count == 16 { continue }
            #expect(outcome(Array(whole[..<count]), codec, limit: 1 << 20) != nil, "\(count) of \(whole.count) bytes")
        }
        #expect(outcome(whole + [1, 2, 3], codec, limit: 1 << 20) != nil)
    }

    @Test("garbage is refused or decompressed within the limit", arguments: codecs)
    func garbage(codec: Compression) throws {
        var random = SplitMix64(seed: 17)
        let whole = try compressed((0..<500).map { UInt8($0 % 7) }, codec)
        for _ in 0..<3_000 {
            var bytes = whole
            for _ in 0...random.below(3) { bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next()) }
            if let result = try? decompressed(bytes, codec, limit: 4_096) { #expect(result.count <= 4_096) }
        }
    }

    @Test("snappy is read with Java's framing and without it")
    func snappyFramings() throws {
        // python-snappy: snappy.compress(b"martlet " * 8)
        let raw = bytes(hexadecimal: "401c6d6172746c657420de0800")
        let text = [UInt8](String(repeating: "martlet ", count: 8).utf8)
        #expect(try decompressed(raw, .snappy, limit: 100) == text)
        let framed: [UInt8] = [0x82] + Array("SNAPPY".utf8) + [0, 0, 0, 0, 1, 0, 0, 0, 1]
        let block: [UInt8] = [0, 0, 0, UInt8(raw.count)] + raw
        #expect(try decompressed(framed + block, .snappy, limit: 100) == text)
        #expect(try decompressed(framed + block + block, .snappy, limit: 200) == text + text)
        #expect(outcome(framed + block + block, .snappy, limit: 127) == .tooLarge(bytes: 128, limit: 127))
        #expect(outcome(framed + [0x7F, 0xFF, 0xFF, 0xFF] + raw, .snappy, limit: 100) != nil)
        #expect(try compressed(text, .snappy).starts(with: framed))
    }

    @Test("a declared size that the input cannot have is not believed")
    func declaredSizes() {
        // Snappy: 2³¹−1 bytes from five; zstd: a frame that says it has 2⁶⁰ bytes, and one that lies within the limit.
        #expect(outcome([0xFF, 0xFF, 0xFF, 0xFF, 0x07], .snappy, limit: 1 << 30) == .corrupt("the records are not valid snappy"))
        let zstdHuge: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0xE0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1, 0, 0]
        #expect(outcome(zstdHuge, .zstd, limit: 1 << 20) == .tooLarge(bytes: 1 << 20 + 1, limit: 1 << 20))
        let zstdLie: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x20, 200, 9, 0, 0, 65]
        #expect(outcome(zstdLie, .zstd, limit: 1 << 20) == .corrupt("the records are not valid zstd"))
    }

    @Test("several gzip members are one stream, as gzip says")
    func gzipMembers() throws {
        let one = try compressed([1, 2, 3], .gzip)
        #expect(try decompressed(one + one, .gzip, limit: 6) == [1, 2, 3, 1, 2, 3])
        #expect(outcome(one + one, .gzip, limit: 5) == .tooLarge(bytes: 6, limit: 5))
    }
}
