internal import MartletCore
internal import MartletLog
internal import MartletTestKit
internal import Testing

@Suite("Damaged segments")
struct SegmentDamageTests {
    /// Two sealed segments and an active one, all with indexes on disk; small enough to flip every bit.
    private func rig() throws -> SegmentRig {
        var options = StoreOptions()
        options.segmentBytes = 500
        let rig = try SegmentRig(options: options)
        try rig.fill(batches: 9, valueBytes: 5)
        try rig.sync()
        try rig.store.close()
        #expect(rig.store.segmentCount == 3)
        return rig
    }

    /// What reading at each offset gives: the offsets at which damage was reported. Everything served must be right.
    private func damaged(_ rig: SegmentRig, _ place: @autoclosure () -> String) throws -> Set<Int64> {
        try rig.open()
        var found: Set<Int64> = []
        for offset in 0..<rig.nextOffset {
            switch reading(rig, at: offset) {
            case .success(let read):
                let served = try? read.slices.flatMap { try records(in: $0) }
                let expected = rig.appended.filter { $0.offset >= served?.first?.offset ?? 0 && $0.offset < read.nextOffset }
                #expect(served == expected && expected.contains { $0.offset == offset }, "wrong bytes at \(offset), \(place())")
            case .failure(.corrupt(let damage)):
                #expect(damage.partition == SegmentRig.partition, "\(place())")
                #expect(damage.offsets?.contains(offset) == true, "\(offset) is not among \(damage), \(place())")
                found.insert(offset)
            case .failure(let error): Issue.record("\(error) at \(offset), \(place())")
            }
        }
        return found
    }

    private func reading(_ rig: SegmentRig, at offset: Int64) -> Result<StoreRead, LogError> {
        Result { () throws(LogError) in try rig.store.read(from: offset, maxBytes: 1) }
    }

    @Test("every bit of every data file flipped: no wrong byte is served, the damage is named")
    func dataBits() throws {
        let rig = try rig()
        // A sealed segment, and the active one.
        let paths = try rig.files(".log")
        for path in [paths[0], paths[2]] {
            let original = try rig.contents(path)
            for at in original.indices {
                for bit in 0..<8 {
                    var flipped = original
                    flipped[at] ^= 1 << bit
                    try rig.write(path, flipped)
                    let found = try damaged(rig, "\(path) byte \(at) bit \(bit)")
                    #expect(found.isEmpty == (at < 80), "\(path) byte \(at) bit \(bit): \(found.count) offsets reported")
                }
            }
            try rig.write(path, original)
        }
        #expect(try damaged(rig, "as it was").isEmpty)
    }

    @Test("every bit of every index flipped: everything is served, and the index made again", arguments: [".index", ".timeindex"])
    func indexBits(suffix: String) throws {
        let rig = try rig()
        let paths = try rig.files(suffix)
        #expect(paths.count == 3)
        for path in paths {
            let original = try rig.contents(path)
            for at in original.indices {
                for bit in 0..<8 {
                    var flipped = original
                    flipped[at] ^= 1 << bit
                    try rig.write(path, flipped)
                    try rig.open()
                    let last = try #require(rig.appended.last)
                    #expect(try rig.store.firstRecord(since: last.timestamp)?.offset == last.offset)
                    for offset in [1, 4, 7, 9, rig.nextOffset - 1] { _ = try rig.store.read(from: offset, maxBytes: 1) }
                    #expect(try rig.contents(path) == original, "\(path) byte \(at) bit \(bit)")
                }
            }
            #expect(try damaged(rig, path).isEmpty)
        }
    }

    @Test("indexes that are missing, or those of another time, are made again")
    func missingIndexes() throws {
        let rig = try rig()
        for path in try rig.files("index") { try rig.disk.remove(path) }
        try rig.open()
        // From the end, so that no read goes on where another ended: each needs an index.
        for offset in (0..<rig.nextOffset).reversed() {
            let read = try rig.store.read(from: offset, maxBytes: 1)
            #expect(try records(in: read.slices[0]).contains(rig.appended[Int(offset)]))
        }
        // A segment of one batch needs none.
        #expect(try rig.files("index").count >= 4)
        #expect(try damaged(rig, "indexes made again").isEmpty)
    }

    @Test("every bit of the list of segments flipped: the other copy serves")
    func manifestBits() throws {
        let rig = try rig()
        let path = rig.directory + "/segments"
        let original = try rig.contents(path)
        for at in original.indices {
            var flipped = original
            flipped[at] ^= 1 << (at % 8)
            try rig.write(path, flipped)
            try rig.open()
            #expect(try rig.readAll(from: 0) == rig.appended, "byte \(at)")
        }
        for at in 0..<original.count / 2 {
            var flipped = original
            flipped[at] ^= 1
            flipped[original.count / 2 + at] ^= 1
            try rig.write(path, flipped)
            #expect(throws: LogError.self, "byte \(at) of both copies") { try rig.open() }
        }
        for count in 0..<original.count {
            try rig.write(path, Array(original[..<count]))
            let result = Result { () throws(LogError) in
                try PartitionStore.open(
                    SegmentRig.partition, directory: rig.directory, disk: rig.disk, clock: rig.clock, cache: SegmentCache(),
                    options: rig.options, checkpoint: rig.checkpoint)
            }
            guard case .failure(.corrupt(let damage)) = result else {
                Issue.record("\(count) bytes of the list were taken for all of it")
                continue
            }
            #expect(damage.partition == SegmentRig.partition && damage.offsets == 0..<rig.nextOffset)
        }
    }

    @Test("a data file that is missing or too short is damage, not the end")
    func shortFiles() throws {
        let rig = try rig()
        for (number, path) in try rig.files(".log").enumerated() {
            let original = try rig.contents(path)
            for count in stride(from: 0, to: original.count, by: 7) {
                try rig.write(path, Array(original[..<count]))
                if number == 2 {
                    // The active segment: its synced length is known, and not there.
                    #expect(throws: LogError.self) { try rig.open() }
                } else {
                    #expect(try !damaged(rig, "\(path) cut to \(count)").isEmpty)
                }
            }
            try rig.disk.remove(path)
            if number == 2 {
                #expect(throws: LogError.self) { try rig.open() }
            } else {
                #expect(try !damaged(rig, "\(path) removed").isEmpty)
            }
            try rig.write(path, original)
        }
    }

    @Test("a file of another partition with the same offsets is not taken for one of this")
    func foreignFrames() throws {
        let rig = try rig()
        let foreign = try PartitionStore.open(
            TopicPartition(topic: SegmentRig.partition.topic, partition: 4), directory: "data/topics/x/4", disk: rig.disk,
            clock: rig.clock, cache: SegmentCache(), options: rig.options, checkpoint: nil)
        for record in rig.appended {
            let other = batch([MartletLogTests.record("foreign", "value", at: record.timestamp)], baseOffset: record.offset)
            try foreign.append([other.withUnsafeBytes { ByteSlice(copying: $0) }], nowMillis: 0)
        }
        let path = try rig.files(".log")[0]
        let size = try rig.contents(path).count
        let name = try #require(path.split(separator: "/").last)
        var other = try rig.contents("data/topics/x/4/\(name)")
        other += [UInt8](repeating: 0, count: max(size - other.count, 0))
        try rig.write(path, other)
        #expect(try damaged(rig, "a foreign file in place of the first").contains(0))
    }
}

@Suite("Segments on a failing disk")
struct SegmentFaultTests {
    /// Appends, syncs, rolls, retains and deletes until done or until a call fails.
    private func work(_ rig: SegmentRig) throws {
        for round in 0..<4 {
            try rig.fill(batches: 4, valueBytes: 30)
            try rig.sync()
            if round == 2 { try rig.store.deleteRecords(before: 3) }
            if let start = try rig.store.retain(nowMillis: 0) { #expect(start > 0) }
        }
        try rig.store.close()
    }

    private func options() -> StoreOptions {
        var options = StoreOptions()
        options.segmentBytes = 600
        options.retentionBytes = 1_500
        options.retentionMillis = nil
        return options
    }

    @Test("each call failing in turn, then a crash: what was synced is there", arguments: [DiskFault.broken, .outOfSpace, .short])
    func everyCall(fault: DiskFault) throws {
        var call = 1
        while true {
            let rig = try SegmentRig(seed: UInt64(call), options: options())
            let first = rig.disk.callCount
            rig.disk.fail(call: first + call, with: fault)
            do {
                try work(rig)
                // The disk was not called that often: all were tried.
                if rig.disk.callCount < first + call { break }
            } catch is LogError {}
            let synced = rig.checkpoint
            try rig.crashAndOpen()
            let end = rig.store.endOffset
            #expect(end >= synced?.endOffset ?? 0, "call \(call)")
            let start = rig.store.startOffset
            #expect(try rig.readAll(from: start) == rig.appended.filter { $0.offset >= start && $0.offset < end }, "call \(call)")
            // And it goes on: what the journal has comes again.
            rig.appended.removeAll { $0.offset >= end }
            rig.nextOffset = end
            try work(rig)
            try rig.crashAndOpen()
            #expect(
                try rig.readAll(from: rig.store.startOffset) == rig.appended.filter { $0.offset >= rig.store.startOffset },
                "call \(call)")
            #expect(try rig.files(".log").count >= rig.store.segmentCount - 1)
            call += 1
        }
        #expect(call > 40)
    }

    @Test("without space nothing is lost, and with space it goes on")
    func outOfSpace() throws {
        let rig = try SegmentRig(options: options())
        try rig.fill(batches: 4)
        try rig.sync()
        rig.disk.capacityBytes = 700
        let before = rig.appended
        #expect(throws: LogError.self) { for _ in 0..<10 { try rig.fill(batches: 1) } }
        #expect(try rig.readAll(from: 0) == rig.appended.filter { $0.offset < rig.store.endOffset })
        rig.disk.capacityBytes = nil
        // The same batches again, as the flusher would.
        rig.appended.removeAll { $0.offset >= rig.store.endOffset }
        #expect(rig.appended.starts(with: before))
        rig.nextOffset = rig.store.endOffset
        try rig.fill(batches: 10)
        try rig.sync()
        try rig.crashAndOpen()
        #expect(try rig.readAll(from: 0) == rig.appended)
    }

    @Test("a failed sync is final")
    func failedSync() throws {
        let rig = try SegmentRig(options: options())
        try rig.fill(batches: 1)
        try rig.sync()
        try rig.fill(batches: 1)
        rig.disk.fail(call: rig.disk.callCount + 1, with: .broken)
        let result = Result { () throws(LogError) in try rig.store.sync() }
        guard case .failure(.fatal) = result else {
            Issue.record("a failed sync gave \(result)")
            return
        }
        #expect(throws: LogError.self) { try rig.store.sync() }
        #expect(throws: LogError.self) { try rig.store.append([], nowMillis: 0) }
    }
}
