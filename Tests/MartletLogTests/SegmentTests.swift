internal import Foundation
internal import MartletCore
internal import MartletLog
internal import MartletTestKit
internal import Synchronization
internal import Testing

@Suite("Segments")
struct SegmentTests {
    private func small(_ bytes: Int64 = 4_000) -> StoreOptions {
        var options = StoreOptions()
        options.segmentBytes = bytes
        return options
    }

    @Test("what was appended is read from any offset, across segments", arguments: Compression.allCases)
    func readBack(compression: Compression) throws {
        let rig = try SegmentRig(options: small())
        try rig.fill(batches: 60, compression)
        #expect(compression != .none || rig.store.segmentCount > 3)
        #expect(rig.store.endOffset == rig.nextOffset)
        for offset in 0..<rig.nextOffset {
            #expect(try rig.readAll(from: offset) == rig.appended.filter { $0.offset >= offset })
        }
        #expect(try rig.store.read(from: rig.nextOffset, maxBytes: 100).slices.isEmpty)
        #expect(throws: LogError.offsetOutOfRange(requested: rig.nextOffset + 1, start: 0, end: rig.nextOffset)) {
            try rig.store.read(from: rig.nextOffset + 1, maxBytes: 100)
        }
    }

    @Test("a batch comes whole, the first even if it is too large, the rest within the limit")
    func limits() throws {
        let rig = try SegmentRig()
        let sizes = try (0..<4).map { try rig.append([record("k\($0)", "v"), record("k\($0)", "w")]).count }
        let one = try rig.store.read(from: 1, maxBytes: 1)
        #expect(one.byteCount == sizes[0] && one.nextOffset == 2)
        let two = try rig.store.read(from: 0, maxBytes: sizes[0] + sizes[1])
        #expect(two.byteCount == sizes[0] + sizes[1] && two.nextOffset == 4 && two.slices.count == 1)
        #expect(try rig.store.read(from: 0, maxBytes: sizes[0] + sizes[1] + sizes[2] - 1).nextOffset == 4)
        #expect(try rig.store.read(from: 0, upTo: 6, maxBytes: 100_000).nextOffset == 6)
    }

    @Test("batches larger than a chunk, and larger than a segment, are read whole")
    func largeBatches() throws {
        let rig = try SegmentRig(options: small(100_000))
        try rig.fill(batches: 3)
        try rig.append([Record(key: nil, value: [UInt8](repeating: 3, count: 3_000_000))])
        try rig.fill(batches: 3)
        #expect(try rig.readAll(from: 0, maxBytes: 1) == rig.appended)
        #expect(try rig.readAll(from: 0, maxBytes: 10 << 20) == rig.appended)
    }

    @Test("what was synced is there after a crash, what a checkpoint does not know is not")
    func crash() throws {
        for seed in 0..<40 as Range<UInt64> {
            let rig = try SegmentRig(seed: seed, options: small(seed % 2 == 0 ? 3_000 : 1 << 30))
            try rig.fill(batches: 25)
            try rig.sync()
            let durable = rig.nextOffset
            try rig.fill(batches: 10)
            try rig.crashAndOpen()
            #expect(rig.store.endOffset >= durable)
            #expect(try rig.readAll(from: 0) == rig.appended.filter { $0.offset < rig.store.endOffset })
            // What the journal still has comes again, some of it for the second time.
            let again = rig.appended
            rig.appended = again.filter { $0.offset < durable }
            rig.nextOffset = durable
            try rig.fill(batches: 30)
            try rig.sync()
            try rig.crashAndOpen()
            #expect(rig.store.endOffset == rig.nextOffset)
            #expect(try rig.readAll(from: 0) == rig.appended)
        }
    }

    @Test("a gap between batches is refused, what is there already passed over")
    func gaps() throws {
        let rig = try SegmentRig()
        try rig.fill(batches: 2)
        let end = rig.nextOffset
        let same = batch([record("k", "v")], baseOffset: end - 1).withUnsafeBytes { ByteSlice(copying: $0) }
        try rig.store.append([same], nowMillis: 0)
        #expect(rig.store.endOffset == end)
        let gap = batch([record("k", "v")], baseOffset: end + 1).withUnsafeBytes { ByteSlice(copying: $0) }
        #expect(throws: LogError.self) { try rig.store.append([gap], nowMillis: 0) }
        #expect(rig.store.endOffset == end)
    }

    @Test("the first record at or after a time is found", arguments: [1 << 30, 5_000] as [Int64])
    func times(segmentBytes: Int64) throws {
        let rig = try SegmentRig(options: small(segmentBytes))
        var random = SplitMix64(seed: 4)
        for _ in 0..<200 {
            try rig.append((0..<1 + random.below(3)).map { _ in record("k", "some value", at: random.within(0...1_000)) })
        }
        for reopened in [false, true] {
            for timestamp in 0...1_001 as ClosedRange<Int64> {
                let expected = rig.appended.first { $0.timestamp >= timestamp }
                let found = try rig.store.firstRecord(since: timestamp)
                #expect(found?.offset == expected?.offset && found?.timestamp == expected?.timestamp, "\(timestamp), \(reopened)")
            }
            #expect(rig.store.maxTimestamp == rig.appended.map(\.timestamp).max())
            try rig.sync()
            try rig.open()
        }
    }

    @Test("offsets and times are found through indexes of many entries, loaded, made again or kept while writing")
    func largeIndexes() throws {
        let rig = try SegmentRig(options: small(1_500_000))
        try rig.fill(batches: 300, valueBytes: 2_000)
        try rig.sync()
        try rig.store.close()
        #expect(rig.store.segmentCount == 1)
        var random = SplitMix64(seed: 6)
        func lookUp(_ what: String) throws {
            for _ in 0..<150 {
                let offset = Int64(random.below(Int(rig.nextOffset)))
                let read = try rig.store.read(from: offset, maxBytes: 1)
                #expect(try records(in: read.slices[0]).contains(rig.appended[Int(offset)]), "\(what): \(offset)")
                let time = rig.appended[Int(offset)].timestamp - Int64(random.below(10))
                #expect(try rig.store.firstRecord(since: time)?.offset == offset, "\(what): time \(time)")
            }
        }
        try lookUp("kept")
        try rig.open()
        let calls = rig.disk.callCount
        _ = try rig.store.read(from: rig.nextOffset - 1, maxBytes: 1)
        // Two small files, and one chunk of data: no search through it.
        #expect(rig.disk.callCount - calls <= 10)
        try lookUp("loaded")
        for path in try rig.files("index") { try rig.disk.remove(path) }
        try rig.open()
        try lookUp("made again")
        // The active segment goes on; its index is the loaded one and what is written now.
        try rig.fill(batches: 40, valueBytes: 2_000)
        try lookUp("continued")
        try rig.sync()
        try rig.store.close()
        try rig.open()
        try lookUp("continued and loaded")
        try rig.fill(batches: 300, valueBytes: 2_000)
        #expect(rig.store.segmentCount == 2)
        try rig.sync()
        try rig.open()
        try lookUp("behind the end of the index files")
    }

    @Test("a reader who goes on where the last read ended needs no index")
    func sequentialReads() throws {
        let rig = try SegmentRig()
        try rig.fill(batches: 200, valueBytes: 1_000)
        try rig.sync()
        try rig.open()
        var next = try rig.store.read(from: 0, maxBytes: 20_000).nextOffset
        while next < rig.nextOffset {
            let calls = rig.disk.callCount
            next = try rig.store.read(from: next, maxBytes: 20_000).nextOffset
            #expect(rig.disk.callCount - calls == 1)
        }
    }

    @Test("reads go on while the store is written, rolled, compacted and cut")
    func concurrentReads() throws {
        var options = small(3_000)
        options.compacts = true
        options.minCleanableDirtyRatio = 0
        options.retentionMillis = nil
        options.retentionBytes = 8_000
        let rig = try SegmentRig(options: options)
        try rig.fill(batches: 1)
        let readers = ReaderThreads(2, of: rig.store!)
        for _ in 0..<60 {
            try rig.fill(batches: 5)
            try rig.store.sync()
            _ = try rig.store.clean(CleanRequest(nowMillis: 0, stableEnd: rig.nextOffset, aborted: [], secret: (1, 2)))
            _ = try rig.store.retain(nowMillis: 0)
            sched_yield()
        }
        #expect(readers.stop() == ["", ""])
    }

    /// Read from the start again and again, on threads of their own: tasks that spin would keep the tests' threads from all others.
    private final class ReaderThreads: Sendable {
        private let isOver = Atomic<Bool>(false)
        private let outcomes = Mutex<[String]>([])
        private let ended = DispatchSemaphore(value: 0)
        private let count: Int

        init(_ count: Int, of store: PartitionStore) {
            self.count = count
            for _ in 0..<count {
                Thread.detachNewThread { [self] in
                    let outcome = read(store)
                    outcomes.withLock { $0.append(outcome) }
                    ended.signal()
                }
            }
        }

        private func read(_ store: PartitionStore) -> String {
            var reads = 0
            // Each reads at least once, however late it came to run.
            while !isOver.load(ordering: .relaxed) || reads == 0 {
                let start = store.startOffset
                do throws(LogError) {
                    let read = try store.read(from: start, maxBytes: 2_000)
                    for slice in read.slices { _ = try? records(in: slice) }
                    reads += read.nextOffset >= start ? 1 : 0
                } catch {
                    // Retention may have been faster than the read; damage there is none.
                    guard case .offsetOutOfRange = error else { return "\(error)" }
                }
                sched_yield()
            }
            return ""
        }

        /// What each had to complain of.
        func stop() -> [String] {
            isOver.store(true, ordering: .relaxed)
            for _ in 0..<count { ended.wait() }
            return outcomes.withLock { $0 }
        }
    }

    @Test("a segment ends by the time of its records")
    func rollByTime() throws {
        var options = StoreOptions()
        options.segmentMillis = 1_000
        let rig = try SegmentRig(options: options)
        for timestamp in [10_000, 10_500, 11_000, 11_001, 11_500, 13_000] as [Int64] {
            try rig.append([record("k", "v", at: timestamp)])
        }
        #expect(rig.store.segmentCount == 3)
        try rig.sync()
        try rig.open()
        try rig.append([record("k", "v", at: 13_900)])
        #expect(rig.store.segmentCount == 3)
        try rig.append([record("k", "v", at: 14_001)])
        #expect(rig.store.segmentCount == 4)
    }

    @Test("opening reads no data, and holds no file")
    func coldStart() throws {
        let rig = try SegmentRig(options: small(2_000))
        try rig.fill(batches: 100)
        try rig.sync()
        try rig.store.close()
        let before = rig.disk.callCount
        let cache = SegmentCache()
        rig.store = try PartitionStore.open(
            SegmentRig.partition, directory: rig.directory, disk: rig.disk, clock: rig.clock, cache: cache, options: rig.options,
            checkpoint: rig.checkpoint)
        #expect(rig.disk.callCount - before <= 5)
        #expect(cache.held.files == 0)
        #expect(try rig.readAll(from: 5) == rig.appended.filter { $0.offset >= 5 })
    }

    @Test("open files and indexes stay within their bounds")
    func bounds() throws {
        let rig = try SegmentRig(options: small(1_000))
        try rig.fill(batches: 200)
        try rig.sync()
        let cache = SegmentCache(openFilesMax: 5, indexBytesMax: 500)
        rig.store = try PartitionStore.open(
            SegmentRig.partition, directory: rig.directory, disk: rig.disk, clock: rig.clock, cache: cache, options: rig.options,
            checkpoint: rig.checkpoint)
        for offset in 0..<rig.nextOffset { _ = try rig.store.read(from: offset, maxBytes: 10) }
        #expect(rig.store.segmentCount > 20)
        #expect(cache.held.files <= 5 && cache.held.indexBytes <= 500)
    }
}

@Suite("Retention of segments")
struct SegmentRetentionTests {
    private func rig(_ change: (inout StoreOptions) -> Void) throws -> SegmentRig {
        var options = StoreOptions()
        options.segmentBytes = 1_000
        options.retentionMillis = nil
        change(&options)
        return try SegmentRig(options: options)
    }

    @Test("by size: as many old segments go as the size allowed does not need")
    func bySize() throws {
        let rig = try rig { $0.retentionBytes = 3_000 }
        try rig.fill(batches: 40)
        let before = rig.store.byteCount
        let start = try #require(try rig.store.retain(nowMillis: 0))
        #expect(rig.store.byteCount >= 3_000 && rig.store.byteCount < before && rig.store.byteCount < 4_100)
        #expect(rig.store.startOffset == start)
        #expect(try rig.readAll(from: start) == rig.appended.filter { $0.offset >= start })
        #expect(throws: LogError.self) { try rig.store.read(from: start - 1, maxBytes: 10) }
        #expect(try rig.store.retain(nowMillis: 0) == nil)
        #expect(try rig.files(".log").count == rig.store.segmentCount)
        try rig.sync()
        try rig.crashAndOpen()
        #expect(rig.store.startOffset == start)
    }

    @Test("by time: a segment goes when its newest record is too old, the active one too")
    func byTime() throws {
        let rig = try rig { $0.retentionMillis = 500 }
        try rig.fill(batches: 40)
        let newest = try #require(rig.appended.last).timestamp
        _ = try rig.store.retain(nowMillis: newest)
        let start = rig.store.startOffset
        #expect(start > 0)
        #expect(rig.appended.allSatisfy { $0.offset >= start || $0.timestamp < newest - 500 })
        _ = try rig.store.retain(nowMillis: newest + 501)
        #expect(rig.store.startOffset == rig.nextOffset && rig.store.segmentCount == 1)
        try rig.fill(batches: 2)
        #expect(
            try rig.readAll(from: rig.store.startOffset).count == rig.appended.filter { $0.offset >= rig.store.startOffset }.count)
    }

    @Test("without cleanup.policy delete nothing goes")
    func onlyDeleting() throws {
        let rig = try rig {
            $0.retentionMillis = 0
            $0.retentionBytes = 0
            $0.deletes = false
        }
        try rig.fill(batches: 40)
        #expect(try rig.store.retain(nowMillis: .max) == nil)
    }

    @Test("records deleted by offset are gone at once, their segments with the next retention")
    func deleteRecords() throws {
        let rig = try rig { _ in }
        try rig.fill(batches: 40)
        try rig.sync()
        try rig.store.deleteRecords(before: 30)
        #expect(rig.store.startOffset == 30)
        #expect(throws: LogError.self) { try rig.store.read(from: 29, maxBytes: 10) }
        #expect(try rig.store.firstRecord(since: 0)?.offset == 30)
        let count = rig.store.segmentCount
        _ = try rig.store.retain(nowMillis: 0)
        #expect(rig.store.segmentCount < count)
        try rig.crashAndOpen()
        #expect(rig.store.startOffset == 30)
        #expect(try rig.readAll(from: 30) == rig.appended.filter { $0.offset >= 30 })
        try rig.store.deleteRecords(before: rig.nextOffset)
        _ = try rig.store.retain(nowMillis: 0)
        #expect(rig.store.segmentCount == 1 && rig.store.startOffset == rig.nextOffset)
        // What is deleted may still be on its way here.
        try rig.store.deleteRecords(before: rig.nextOffset + 2)
        try rig.fill(batches: 4)
        #expect(try rig.readAll(from: rig.store.startOffset) == rig.appended.filter { $0.offset >= rig.store.startOffset })
    }
}
