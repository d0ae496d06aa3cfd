internal import MartletCore
internal import MartletLog
internal import Testing

@Suite("Record batches")
struct BatchTests {
    @Test("batches built by kafka-python are accepted and read, in every codec", arguments: KafkaPythonBatches.hexadecimal.map(\.0))
    func readsOthers(compression: Compression) throws {
        let text = try #require(KafkaPythonBatches.hexadecimal.first { $0.0 == compression }).1
        let original = bytes(hexadecimal: text)
        let accepted = try validated(original)
        #expect(accepted.timestamps == .none)
        #expect(accepted.header.compression == compression)
        #expect(accepted.header.producerID == 77 && accepted.header.producerEpoch == 3)
        #expect(accepted.header.baseSequence == 5 && accepted.header.lastSequence == 7)
        #expect(accepted.header.maxTimestamp == 1_700_000_000_500)
        #expect(try records(in: original) == KafkaPythonBatches.records)
    }

    @Test("the same records give the bytes that kafka-python writes")
    func writesAlike() {
        let ours = batch(KafkaPythonBatches.records, producer: (77, 3, 5))
        #expect(ours == bytes(hexadecimal: KafkaPythonBatches.hexadecimal[0].1))
    }

    @Test("what is built is accepted and read back, in every codec", arguments: Compression.allCases)
    func roundTrip(compression: Compression) throws {
        var random = SplitMix64(seed: 11)
        for round in 0..<60 {
            let count = 1 + random.below(round < 50 ? 20 : 3_000)
            let records = (0..<count).map { index in
                Record(
                    offset: Int64(index), timestamp: random.within(-1...(1 << 50)), key: text(&random, nullable: true),
                    value: text(&random, nullable: true),
                    headers: (0..<random.below(3)).map { _ in
                        RecordHeader(key: text(&random, nullable: false)!, value: text(&random, nullable: true))
                    })
            }
            let built = batch(records, compression)
            #expect(try validated(built, limits: BatchLimits(batchBytesMax: .max)).timestamps == .none)
            #expect(try MartletLogTests.records(in: built) == records)
        }
    }

    private func text(_ random: inout SplitMix64, nullable: Bool) -> [UInt8]? {
        if nullable && random.chance(0.2) { return nil }
        let words = ["", "a", "stream", String(repeating: "0123456789", count: 30)]
        return Array(words[random.below(words.count)].utf8)
    }

    @Test("a batch with any bit flipped behind its leader epoch is refused", arguments: KafkaPythonBatches.hexadecimal.map(\.0))
    func everyBit(compression: Compression) throws {
        let original = bytes(hexadecimal: try #require(KafkaPythonBatches.hexadecimal.first { $0.0 == compression }).1)
        for at in 16..<original.count {
            for bit in 0..<8 {
                var flipped = original
                flipped[at] ^= 1 << bit
                #expect(refusal(flipped) != nil, "byte \(at), bit \(bit)")
            }
        }
    }

    @Test("a batch cut or lengthened anywhere is refused")
    func everyLength() {
        let original = bytes(hexadecimal: KafkaPythonBatches.hexadecimal[0].1)
        for count in 0..<original.count { #expect(refusal(Array(original[..<count])) != nil) }
        #expect(refusal(original + [0]) != nil)
    }

    @Test(
        "any byte changed under a right checksum is refused or read, without a trap",
        arguments: KafkaPythonBatches.hexadecimal.map(\.0))
    func everyByteWithChecksum(compression: Compression) throws {
        let original = bytes(hexadecimal: try #require(KafkaPythonBatches.hexadecimal.first { $0.0 == compression }).1)
        for at in RecordBatchHeader.checkedFrom..<original.count {
            for value in [0, 1, 0x7F, 0x80, 0xFE, 0xFF, original[at] &+ 1] as [UInt8] {
                let changed = altered(original) { $0[at] = value }
                if refusal(changed) == nil {
                    _ = try records(in: changed)
                }
            }
        }
    }
}

@Suite("What a batch from a client may not be")
struct BatchRefusalTests {
    let good = batch([record("k", "v", at: 1_000), record("l", nil, at: 1_001)], producer: (9, 0, 0))

    @Test("the checksum covers what it must")
    func checksum() {
        var bad = good
        bad[bad.count - 1] ^= 1
        #expect(refusal(bad) == .corrupt("the checksum of the batch does not match its bytes"))
    }

    @Test("older magics are told apart")
    func magic() {
        for magic: UInt8 in [0, 1, 3, 0xFF] {
            var bad = good
            bad[16] = magic
            #expect(refusal(bad) == .unsupportedMagic(Int8(bitPattern: magic)))
        }
    }

    @Test("control records, delete horizons, arrival times and transactions without a producer", arguments: [5, 6, 3])
    func attributes(bit: Int) {
        #expect(refusal(altered(good) { $0[22] |= 1 << bit }) != nil)
        let anonymous = batch([record("k", "v")])
        #expect(refusal(anonymous) == nil)
        #expect(refusal(altered(anonymous) { $0[22] |= 1 << 4 }) == .invalid("a transactional batch without a producer id"))
    }

    @Test("codecs that do not exist", arguments: [5, 6, 7] as [UInt8])
    func codec(number: UInt8) {
        #expect(refusal(altered(good) { $0[22] |= number }) == .unsupportedCodec(number))
    }

    @Test("counts and last offset deltas that do not match the records")
    func counts() {
        for count: UInt8 in [0, 1, 3] {
            #expect(refusal(altered(good) { $0[60] = count }) != nil, "count \(count)")
            if count != 1 { #expect(refusal(altered(good) { $0[26] = count }) != nil, "last offset delta \(count)") }
            let both = altered(good) {
                $0[60] = count
                $0[26] = count &- 1
                if count == 0 { for at in 23..<27 { $0[at] = 0xFF } }
            }
            #expect(refusal(both) != nil, "both \(count)")
        }
        #expect(refusal(altered(good) { $0.replaceSubrange(57..<61, with: [0x7F, 0xFF, 0xFF, 0xFF]) }) != nil)
        #expect(refusal(altered(good) { $0.replaceSubrange(57..<61, with: [0x80, 0, 0, 0]) }) != nil)
    }

    @Test("offset deltas must count 0, 1, 2 …")
    func offsetDeltas() {
        // The first record is length, attributes, timestamp delta, offset delta.
        let delta = RecordBatchHeader.size + 3
        for value: UInt8 in [1, 2, 4] {
            guard case .invalid(_, records: [0])? = refusal(altered(good) { $0[delta] = value }) else {
                Issue.record("offset delta \(value) was taken")
                continue
            }
        }
    }

    @Test("records without a key, where the topic is compacted")
    func nullKeys() {
        let mixed = batch([record("k", "v"), record(nil, "v")])
        #expect(refusal(mixed) == nil)
        #expect(
            refusal(mixed, rules: TopicRules(requiresKeys: true))
                == .invalid("a compacted topic takes no record without a key", records: [1]))
        #expect(refusal(batch([record("", "v")]), rules: TopicRules(requiresKeys: true)) == nil)
        let many = batch((0..<25_000).map { record($0 % 2 == 0 ? "k" : nil, "v") })
        guard case .invalid(_, let records)? = refusal(many, rules: TopicRules(requiresKeys: true)) else {
            Issue.record("records without a key were taken")
            return
        }
        // All of them up to a bound.
        #expect(records == (0..<10_000).map { $0 * 2 + 1 })
    }

    @Test("sizes of batch and record")
    func sizes() {
        let large = batch([record("k", String(repeating: "x", count: 1_000))])
        #expect(refusal(large, limits: BatchLimits(batchBytesMax: large.count)) == nil)
        #expect(
            refusal(large, limits: BatchLimits(batchBytesMax: large.count - 1))
                == .tooLarge(bytes: large.count, limit: large.count - 1))
        let recordBytes = large.count - RecordBatchHeader.size
        #expect(refusal(large, limits: BatchLimits(recordBytesMax: recordBytes)) == nil)
        #expect(
            refusal(large, limits: BatchLimits(recordBytesMax: recordBytes - 1))
                == .tooLarge(bytes: recordBytes, limit: recordBytes - 1))
    }

    @Test("timestamps outside the topic's window; none at all is fine")
    func timestamps() {
        let rules = TopicRules(timestampBeforeMaxMillis: 100, timestampAfterMaxMillis: 10, nowMillis: 1_000)
        for (timestamp, isTaken) in [(900, true), (899, false), (1_010, true), (1_011, false), (-1, true), (-2, false)]
            as [(Int64, Bool)]
        {
            #expect((refusal(batch([record("k", "v", at: timestamp)]), rules: rules) == nil) == isTaken, "\(timestamp)")
        }
        #expect(refusal(batch([record("k", "v", at: -5)]), rules: TopicRules(nowMillis: 1_000)) == nil)
        var byArrival = rules
        byArrival.usesLogAppendTime = true
        #expect(refusal(batch([record("k", "v", at: 5)]), rules: byArrival) == nil)
    }

    @Test("a timestamp that overflows 64 bits")
    func timestampOverflow() {
        let bad = altered(batch([record("k", "v", at: 0), record("k", "v", at: 5)])) {
            $0.replaceSubrange(27..<35, with: [0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])
        }
        guard case .invalidTimestamp? = refusal(bad) else {
            Issue.record("an overflowing timestamp was taken: \(String(describing: refusal(bad)))")
            return
        }
    }

    @Test("a producer's sequence and epoch must be there")
    func producers() {
        #expect(refusal(altered(good) { for at in 53..<57 { $0[at] = 0xFF } }) != nil)
        #expect(refusal(altered(good) { for at in 51..<53 { $0[at] = 0xFF } }) != nil)
    }

    @Test("lengths that lie, in records and headers: varint bombs")
    func lengths() {
        let plain = batch([Record(key: [1], value: [2], headers: [RecordHeader(key: [3], value: [4])])])
        // Up to the last byte, which is a header's value and may be anything.
        for at in RecordBatchHeader.size..<plain.count - 1 {
            for bomb in [[0xFF, 0xFF, 0xFF, 0xFF, 0x0F], [0xFE, 0xFF, 0xFF, 0xFF, 0x0F], [UInt8](repeating: 0xFF, count: 12)] {
                let changed = altered(plain) { bytes in
                    for (index, byte) in bomb.enumerated() where at + index < bytes.count { bytes[at + index] = byte }
                }
                #expect(refusal(changed) != nil, "at \(at)")
            }
        }
    }
}

@Suite("Changing a batch in place")
struct BatchAssignTests {
    @Test("offset and leader epoch lie outside the checksum")
    func offsets() throws {
        var bytes = batch([record("k", "v", at: 7), record("k", "w", at: 8)])
        let base: Int64 = 1 << 40
        bytes.withUnsafeMutableBytes { RecordBatch.assign($0, baseOffset: base, leaderEpoch: 6) }
        let header = try validated(bytes).header
        #expect(header.baseOffset == base && header.partitionLeaderEpoch == 6 && header.lastOffset == base + 1)
        #expect(try records(in: bytes).map(\.offset) == [base, base + 1])
    }

    @Test("the time of arrival is every record's time")
    func logAppendTime() throws {
        var bytes = batch([record("k", "v", at: 7), record("k", "w", at: 8)], .lz4)
        let rules = TopicRules(usesLogAppendTime: true, nowMillis: 5_000)
        let accepted = try validated(bytes, rules: rules)
        #expect(accepted.timestamps == .logAppendTime(5_000))
        bytes.withUnsafeMutableBytes { RecordBatch.assign($0, baseOffset: 0, leaderEpoch: 0, timestamps: accepted.timestamps) }
        #expect(bytes.withUnsafeBytes { RecordBatch.isIntact($0) })
        #expect(try records(in: bytes).map(\.timestamp) == [5_000, 5_000])
    }

    @Test("a wrong maximum timestamp is corrected")
    func maxTimestamp() throws {
        var bytes = altered(batch([record("k", "v", at: 7), record("k", "w", at: 8)])) { $0[42] = 99 }
        let accepted = try validated(bytes)
        #expect(accepted.timestamps == .maxTimestamp(8))
        bytes.withUnsafeMutableBytes { RecordBatch.assign($0, baseOffset: 0, leaderEpoch: 0, timestamps: accepted.timestamps) }
        #expect(try validated(bytes).timestamps == .none)
    }

    @Test("a set of batches is cut by their lengths")
    func split() throws {
        let one = batch([record("k", "v")])
        let two = batch([record("k", "v"), record("k", "w")])
        let parts = try (one + two).withUnsafeBytes { try RecordBatch.split($0) }
        #expect(parts == [0..<one.count, one.count..<one.count + two.count])
        #expect(throws: BatchError.self) { try (one + two.dropLast()).withUnsafeBytes { try RecordBatch.split($0) } }
        #expect(try [UInt8]().withUnsafeBytes { try RecordBatch.split($0) }.isEmpty)
    }

    @Test("control markers say how a transaction ended", arguments: [true, false])
    func markers(commits: Bool) throws {
        let sink = ByteSink()
        ControlMarker(commits: commits, coordinatorEpoch: 70_000).appendBatch(
            producerID: 4, producerEpoch: 2, timestamp: 9, to: sink)
        let header = try RecordBatchHeader(reading: sink.bytes)
        #expect(
            header.isControl && header.isTransactional && header.producerID == 4 && header.count == 1 && header.lastOffsetDelta == 0
        )
        #expect(RecordBatch.isIntact(sink.bytes))
        #expect(try ControlMarker(reading: sink.bytes) == ControlMarker(commits: commits, coordinatorEpoch: 70_000))
        #expect(try batch([record("k", "v")]).withUnsafeBytes { try ControlMarker(reading: $0) } == nil)
    }

    @Test("sequences wrap from 2³¹−1 to 0")
    func sequenceWrap() {
        var header = RecordBatchHeader()
        header.baseSequence = Int32.max - 1
        header.lastOffsetDelta = 3
        #expect(header.lastSequence == 1)
    }
}
