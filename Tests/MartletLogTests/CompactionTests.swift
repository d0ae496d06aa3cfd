internal import MartletCore
internal import MartletTestKit
internal import Testing

@testable internal import MartletLog

/// A compacted partition.
private func compactedRig(seed: UInt64 = 1, _ change: (inout StoreOptions) -> Void = { _ in }) throws -> SegmentRig {
    var options = StoreOptions()
    options.segmentBytes = 1_500
    options.compacts = true
    options.deletes = false
    options.minCleanableDirtyRatio = 0
    options.deleteRetentionMillis = 1_000
    change(&options)
    return try SegmentRig(seed: seed, options: options)
}

private func request(_ rig: SegmentRig, now: Int64 = 0, stableEnd: Int64? = nil, aborted: [AbortedRange] = []) -> CleanRequest {
    CleanRequest(nowMillis: now, stableEnd: stableEnd ?? rig.nextOffset, aborted: aborted, secret: (1, 2))
}

extension SegmentRig {
    /// Ends the active segment, so that all before may be compacted.
    fileprivate func seal() throws {
        try store.roll(nowMillis: nowMillis)
        checkpoint = store.checkpoint
    }

    fileprivate func marker(producer: Int64, epoch: Int16 = 0, commits: Bool) throws {
        let sink = ByteSink()
        ControlMarker(commits: commits, coordinatorEpoch: 1).appendBatch(
            producerID: producer, producerEpoch: epoch, timestamp: 50, to: sink)
        let chunk = ByteChunk(copying: sink.bytes)
        RecordBatch.assign(chunk.bytesBeforeSharing, baseOffset: nextOffset, leaderEpoch: 0)
        nextOffset += 1
        try store.append([ByteSlice(chunk)], nowMillis: nowMillis)
    }

    /// What is stored, without control records.
    fileprivate func data() throws -> [Record] { try readAll(from: 0).filter { $0.key?.count != 4 || $0.key?[0] != 0 } }
    fileprivate func controlCount() throws -> Int { try readAll(from: 0).count - data().count }
}

/// By the definition: the records that are their key's last, in order.
private func lastOfEachKey(_ records: [Record], tombstones: Bool = true) -> [Record] {
    var last: [[UInt8]: Int64] = [:]
    for record in records { if let key = record.key { last[key] = record.offset } }
    return records.filter { $0.key != nil && last[$0.key!] == $0.offset && (tombstones || $0.value != nil) }
}

@Suite("Compaction")
struct CompactionTests {
    @Test("of each key the last record stays, at its offset, byte for byte", arguments: Compression.allCases)
    func lastRecords(compression: Compression) throws {
        let rig = try compactedRig()
        var random = SplitMix64(seed: 8)
        for round in 0..<120 {
            try rig.append(
                (0..<1 + random.below(4)).map { index in
                    Record(
                        timestamp: Int64(round * 10 + index), key: Array("k\(random.below(30))".utf8),
                        value: Array("value \(round) \(index)".utf8),
                        headers: [RecordHeader(key: [104], value: index == 0 ? nil : [1])])
                }, compression, producer: (5, 1, Int32(round)))
        }
        let activeBase = rig.store.checkpoint.activeBaseOffset
        let bytes = rig.store.byteCount
        let result = try #require(try rig.store.clean(request(rig)))
        #expect(result.cleanedOffset == rig.store.cleanedOffset && rig.store.byteCount < bytes && result.removedRecords > 0)
        let sealed = rig.appended.filter { $0.offset < rig.store.cleanedOffset }
        let rest = rig.appended.filter { $0.offset >= rig.store.cleanedOffset }
        #expect(result.cleanedOffset >= activeBase)
        // Later records of the active segment do not count: its keys were not looked at.
        #expect(try rig.readAll(from: 0) == lastOfEachKey(sealed) + rest)
        for offset in 0...rig.nextOffset {
            #expect(try rig.readAll(from: offset) == (lastOfEachKey(sealed) + rest).filter { $0.offset >= offset })
        }
        #expect(try rig.store.clean(request(rig)) == nil)
        try rig.sync()
        try rig.crashAndOpen()
        #expect(try rig.readAll(from: 0) == lastOfEachKey(sealed) + rest)
        #expect(
            try rig.store.firstRecord(since: 500)?.offset == (lastOfEachKey(sealed) + rest).first { $0.timestamp >= 500 }?.offset)
    }

    @Test("a batch that loses records keeps its producer, sequence and offsets")
    func headers() throws {
        let rig = try compactedRig()
        try rig.append([record("a", "1", at: 5), record("b", "2", at: 9), record("a", "3", at: 7)], .zstd, producer: (77, 3, 40))
        try rig.append([record("b", "4", at: 8)])
        try rig.seal()
        _ = try rig.store.clean(request(rig))
        let read = try rig.store.read(from: 0, maxBytes: 1)
        let header = try RecordBatchHeader(reading: read.slices[0].bytes)
        #expect(header.baseOffset == 0 && header.lastOffsetDelta == 2 && header.count == 1)
        #expect(header.producerID == 77 && header.producerEpoch == 3 && header.baseSequence == 40 && header.lastSequence == 42)
        #expect(header.compression == .zstd && header.maxTimestamp == 7)
        #expect(try records(in: read.slices[0]) == [record("a", "3", at: 7, offset: 2)])
    }

    @Test("a tombstone stays until the delete horizon that its first compaction gives it")
    func tombstones() throws {
        let rig = try compactedRig()
        try rig.append([record("a", "1", at: 5), record("b", "2", at: 6)])
        try rig.append([record("a", nil, at: 7)])
        try rig.seal()
        _ = try rig.store.clean(request(rig, now: 10_000))
        #expect(try rig.readAll(from: 0) == [record("b", "2", at: 6, offset: 1), record("a", nil, at: 7, offset: 2)])
        let header = try RecordBatchHeader(reading: rig.store.read(from: 2, maxBytes: 1).slices[0].bytes)
        #expect(header.hasDeleteHorizon && header.baseTimestamp == 11_000 && header.maxTimestamp == 7)
        // A later run before the horizon leaves both as they are, one after it removes the tombstone.
        for (now, count) in [(10_500, 3), (10_999, 4), (11_000, 4)] as [(Int64, Int)] {
            try rig.append([record("key \(now)", "v")])
            try rig.seal()
            _ = try rig.store.clean(request(rig, now: now))
            #expect(try rig.readAll(from: 0).count == count, "at \(now)")
        }
        #expect(try !rig.readAll(from: 0).contains { $0.value == nil })
    }

    @Test("records without a key go, as do segments of which nothing is left")
    func nothingLeft() throws {
        let rig = try compactedRig { $0.segmentBytes = 300 }
        for _ in 0..<30 { try rig.append([record("only", "v"), record(nil, "w")]) }
        let count = rig.store.segmentCount
        _ = try rig.store.clean(request(rig))
        #expect(rig.store.segmentCount <= 3 && count > 10)
        #expect(try rig.files(".log").count == rig.store.segmentCount)
        for offset in 0..<rig.nextOffset { _ = try rig.readAll(from: offset) }
        #expect(try rig.readAll(from: 0).last?.offset == rig.nextOffset - 1)
    }

    @Test("what is not stable, too young, or active is not touched")
    func bounds() throws {
        let rig = try compactedRig { $0.minCompactionLagMillis = 100 }
        try rig.append([record("a", "1", at: 1_000)])
        try rig.append([record("a", "2", at: 1_001)])
        #expect(try rig.store.clean(request(rig, now: 9_000)) == nil)
        try rig.seal()
        #expect(try rig.store.clean(request(rig, now: 1_100)) == nil)
        #expect(try rig.store.clean(request(rig, now: 9_000, stableEnd: 1)) == nil)
        #expect(try rig.store.clean(request(rig, now: 1_101))?.removedRecords == 1)
        #expect(rig.store.cleanedOffset == 2)
    }

    @Test("a run is due by the share of what is new, or by its age")
    func due() throws {
        let rig = try compactedRig { $0.minCleanableDirtyRatio = 0.5 }
        for index in 0..<30 { try rig.append([record("key \(index)", "v", at: 1_000)]) }
        try rig.seal()
        _ = try rig.store.clean(request(rig))
        for _ in 0..<3 { try rig.append([record("key 0", "v", at: 2_000)]) }
        try rig.seal()
        #expect(try !rig.store.isCleaningDue(nowMillis: 9_000, stableEnd: rig.nextOffset))
        var options = rig.options
        options.maxCompactionLagMillis = 7_000
        rig.store.configure(options)
        #expect(try !rig.store.isCleaningDue(nowMillis: 9_000, stableEnd: rig.nextOffset))
        #expect(try rig.store.isCleaningDue(nowMillis: 9_001, stableEnd: rig.nextOffset))
        options.maxCompactionLagMillis = .max
        options.minCleanableDirtyRatio = 0.01
        rig.store.configure(options)
        #expect(try rig.store.isCleaningDue(nowMillis: 9_000, stableEnd: rig.nextOffset))
        options.compacts = false
        rig.store.configure(options)
        #expect(try !rig.store.isCleaningDue(nowMillis: 9_000, stableEnd: rig.nextOffset))
    }

    @Test("keys that do not fit into memory are left for the next runs")
    func smallMap() throws {
        let rig = try compactedRig { $0.segmentBytes = 20_000 }
        // A map of the smallest size holds 768 keys.
        for round in 0..<2 {
            for index in 0..<300 { try rig.append((0..<5).map { record("key \(index * 5 + $0)", "round \(round)", at: 1) }) }
        }
        try rig.seal()
        var limited = request(rig)
        limited.mapBytesMax = 0
        var runs = 0
        while try rig.store.clean(limited) != nil { runs += 1 }
        #expect(runs > 2)
        // A run sees the keys of its own stretch: each removes what that supersedes, in all stretches before.
        #expect(try rig.readAll(from: 0) == lastOfEachKey(rig.appended))
    }

    @Test("cancelled, it leaves everything as it was")
    func cancelled() throws {
        let rig = try compactedRig { $0.segmentBytes = 4 << 20 }
        for index in 0..<40 {
            try rig.append([Record(timestamp: 1, key: [1], value: [UInt8](repeating: UInt8(index), count: 100_000))])
        }
        try rig.seal()
        var cancelled = request(rig)
        cancelled.isCancelled = { true }
        #expect(try rig.store.clean(cancelled) == nil)
        #expect(try rig.readAll(from: 0).count == 40)
        #expect(try rig.store.clean(request(rig)) != nil)
        #expect(try rig.readAll(from: 0).count == 1)
        #expect(try rig.files(".log").count == rig.store.segmentCount - 1)
    }

    @Test("where retention removes segments meanwhile, the run is given up")
    func overtaken() throws {
        let rig = try compactedRig {
            $0.segmentBytes = 3 << 20
            $0.deletes = true
            $0.retentionMillis = nil
            $0.retentionBytes = 500_000
        }
        for index in 0..<40 {
            try rig.append([Record(timestamp: 1, key: [1], value: [UInt8](repeating: UInt8(index), count: 100_000))])
        }
        try rig.seal()
        let store = rig.store!
        var overtaken = request(rig)
        // Asked after the first MiB was looked at, and again while it is written anew.
        overtaken.isCancelled = {
            _ = try? store.retain(nowMillis: 0)
            return false
        }
        #expect(rig.store.segmentCount == 3)
        #expect(try rig.store.clean(overtaken) == nil)
        #expect(rig.store.startOffset > 0)
        #expect(try rig.readAll(from: rig.store.startOffset) == rig.appended.filter { $0.offset >= rig.store.startOffset })
        #expect(try rig.files(".log").count == rig.store.segmentCount - 1)
    }

    @Test("a damaged batch stops it, named, and nothing is removed")
    func damage() throws {
        let rig = try compactedRig()
        for index in 0..<40 { try rig.append([record("k", "value \(index)")]) }
        try rig.seal()
        let path = try rig.files(".log")[1]
        var bytes = try rig.contents(path)
        bytes[bytes.count - 1] ^= 1
        try rig.write(path, bytes)
        try rig.open()
        let files = try rig.files(".log")
        let result = Result { () throws(LogError) in try rig.store.clean(request(rig)) }
        guard case .failure(.corrupt(let damage)) = result else {
            Issue.record("compaction of a damaged segment gave \(result)")
            return
        }
        #expect(damage.partition == SegmentRig.partition && damage.offsets?.count == 1)
        #expect(try rig.files(".log") == files)
    }
}

@Suite("Compaction and transactions")
struct CompactionTransactionTests {
    @Test("aborted records go, committed ones stay, and each marker as long as it is needed")
    func transactions() throws {
        let rig = try compactedRig()
        try rig.append([record("a", "committed")], producer: (1, 0, 0), isTransactional: true)
        try rig.append([record("a", "aborted"), record("b", "aborted")], producer: (2, 0, 0), isTransactional: true)
        try rig.marker(producer: 1, commits: true)
        try rig.marker(producer: 2, commits: false)
        try rig.append([record("b", "later, same producer")], producer: (2, 0, 2), isTransactional: true)
        try rig.marker(producer: 2, commits: true)
        try rig.seal()
        let aborted = [AbortedRange(producerID: 2, firstOffset: 1, lastOffset: 4)]
        _ = try rig.store.clean(request(rig, now: 100, aborted: aborted))
        // The aborted value superseded nothing.
        #expect(try rig.data() == [record("a", "committed"), record("b", "later, same producer", offset: 5)])
        #expect(try rig.controlCount() == 3)
        // Nothing of the aborted transaction is left: its marker gets a horizon, and goes after it.
        try rig.append([record("c", "v")])
        try rig.seal()
        _ = try rig.store.clean(request(rig, now: 200, aborted: aborted))
        #expect(try rig.controlCount() == 3)
        let header = try RecordBatchHeader(reading: rig.store.read(from: 4, maxBytes: 1).slices[0].bytes)
        #expect(header.isControl && header.hasDeleteHorizon && header.baseTimestamp == 1_200)
        #expect(try ControlMarker(reading: rig.store.read(from: 4, maxBytes: 1).slices[0].bytes)?.commits == false)
        try rig.append([record("d", "v")])
        try rig.seal()
        _ = try rig.store.clean(request(rig, now: 1_200, aborted: aborted))
        #expect(try rig.controlCount() == 2)
        // Superseded, the committed records go too, and their markers follow.
        try rig.append([record("a", "new"), record("b", "new")])
        try rig.seal()
        for now in [2_000, 3_000, 4_001, 6_000] as [Int64] {
            try rig.append([record("z", "v")])
            try rig.seal()
            _ = try rig.store.clean(request(rig, now: now, aborted: aborted))
        }
        #expect(try rig.controlCount() == 0)
        #expect(try rig.data().map { String(decoding: $0.key ?? [], as: UTF8.self) }.sorted() == ["a", "b", "c", "d", "z"])
    }

    @Test("the marker may lie beyond what is compacted")
    func markerBeyond() throws {
        let rig = try compactedRig()
        try rig.append([record("a", "before")])
        try rig.append([record("a", "aborted")], producer: (2, 0, 0), isTransactional: true)
        try rig.seal()
        try rig.marker(producer: 2, commits: false)
        _ = try rig.store.clean(request(rig, aborted: [AbortedRange(producerID: 2, firstOffset: 1, lastOffset: 2)]))
        #expect(try rig.data() == [record("a", "before")])
        #expect(try rig.controlCount() == 1)
    }
}

@Suite("Compaction on a failing disk")
struct CompactionFaultTests {
    private func rig(_ seed: UInt64) throws -> SegmentRig {
        let rig = try compactedRig(seed: seed) { $0.segmentBytes = 400 }
        for index in 0..<24 { try rig.append([record("k\(index % 5)", "value \(index)", at: Int64(index))]) }
        try rig.seal()
        return rig
    }

    @Test(
        "each call failing in turn, then a crash: the latest of each key is there",
        arguments: [DiskFault.broken, .outOfSpace, .short])
    func everyCall(fault: DiskFault) throws {
        var call = 1
        while true {
            let rig = try rig(UInt64(call))
            let expected = lastOfEachKey(rig.appended)
            let first = rig.disk.callCount
            rig.disk.fail(call: first + call, with: fault)
            do {
                _ = try rig.store.clean(request(rig))
                if rig.disk.callCount < first + call { break }
            } catch {}
            try rig.crashAndOpen()
            let left = try rig.readAll(from: 0)
            #expect(lastOfEachKey(left) == expected, "call \(call)")
            #expect(left.allSatisfy { rig.appended[Int($0.offset)] == $0 }, "call \(call)")
            _ = try rig.store.clean(request(rig))
            #expect(try rig.readAll(from: 0) == expected, "call \(call)")
            // Whatever was left behind is gone after the first look at the partition.
            _ = try rig.store.retain(nowMillis: 0)
            #expect(try rig.files(".log").count == rig.store.segmentCount - 1, "call \(call)")
            call += 1
        }
        #expect(call > 20)
    }

    @Test("power lost after every call: a group is as it was, or compacted")
    func everyCrash() throws {
        for seed in 0..<150 as Range<UInt64> {
            let rig = try rig(seed)
            // Nothing goes well any more from some call on: what a dead machine looks like.
            let stop = rig.disk.callCount + Int(seed)
            for call in stop..<stop + 200 { rig.disk.fail(call: call, with: .broken) }
            _ = try? rig.store.clean(request(rig))
            while rig.disk.callCount < stop + 200 { _ = try? rig.disk.stat(".") }
            try rig.crashAndOpen()
            let left = try rig.readAll(from: 0)
            #expect(lastOfEachKey(left) == lastOfEachKey(rig.appended), "seed \(seed)")
        }
    }
}

@Suite("Keys for compaction")
struct CompactionKeyTests {
    @Test("SipHash-2-4 with 128 bits, as its authors' test vectors say")
    func vectors() {
        let key: (UInt64, UInt64) = (0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908)
        // vectors.h of the reference implementation, `vectors_sip128`, inputs of length 0 and 1.
        let expected: [(Int, String)] = [
            (0, "a3817f04ba25a8e66df67214c7550293"), (1, "da87c1d86b99af44347659119b22fc45"),
        ]
        for (count, text) in expected {
            let input = (0..<count).map { UInt8($0) }
            let hash = input.withUnsafeBytes { sipHash128($0, key) }
            let output = [hash.0, hash.1].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) } }
            #expect(output == bytes(hexadecimal: text))
        }
    }

    @Test("inputs of every length hash apart")
    func lengths() {
        var seen: Set<UInt64> = []
        for count in 0..<200 {
            let zeros = [UInt8](repeating: 0, count: count)
            #expect(seen.insert(zeros.withUnsafeBytes { sipHash128($0, (5, 6)).0 }).inserted)
        }
    }

    @Test("the map keeps the latest offset of each key while it grows")
    func map() {
        let map = KeyMap(bytesMax: 1 << 20, secret: (3, 4))
        for round in 0..<2 as Range<Int64> {
            for index in 0..<20_000 as Range<Int64> {
                withUnsafeBytes(of: index) { map.set($0, round * 100_000 + index) }
            }
        }
        #expect(map.count == 20_000 && !map.isFull)
        for index in 0..<20_000 as Range<Int64> { #expect(withUnsafeBytes(of: index) { map.latest($0) } == 100_000 + index) }
        #expect(withUnsafeBytes(of: Int64(20_000)) { map.latest($0) } == nil)
        for index in 20_000..<25_000 as Range<Int64> { withUnsafeBytes(of: index) { map.set($0, index) } }
        #expect(map.isFull)
    }
}
