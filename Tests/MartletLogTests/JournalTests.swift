import MartletCore
import MartletLog
import MartletTestKit
import Testing

@Suite("The journal")
struct JournalTests {
    typealias Fixture = JournalFixture

    @Test("records get dense sequences, are durable only after their group, and come back in order")
    func basics() throws {
        let disk = SimulatedDisk(seed: 1)
        let opened = try Fixture.open(disk)
        #expect(opened.recovery.isNew && opened.recovery.lastSequence == 0)
        let journal = opened.journal
        #expect(try journal.writeGroup() == nil)
        #expect(journal.add([1]) == 1)
        #expect(journal.add([]) == 2)
        let bytes: [UInt8] = [2, 3, 4]
        let third = bytes.withUnsafeBytes { all in
            journal.append([
                UnsafeRawBufferPointer(rebasing: all[..<2]), UnsafeRawBufferPointer(start: nil, count: 0),
                UnsafeRawBufferPointer(rebasing: all[2...]),
            ])
        }
        #expect(third == 3)
        #expect(journal.durableSequence == 0 && journal.appendedSequence == 3 && journal.queuedBytes > 0)
        #expect(try journal.writeGroup() == 3)
        #expect(journal.durableSequence == 3 && journal.queuedBytes == 0)
        try journal.close()
        #expect(journal.add([9]) == nil)

        let again = try Fixture.open(disk)
        #expect(again.records == [1: [1], 2: [], 3: [2, 3, 4]])
        #expect(again.recovery.lastSequence == 3 && again.recovery.replayedRecords == 3 && !again.recovery.isNew)
        #expect(again.journal.add([5]) == 4)
    }

    @Test("what is checkpointed is not handed over again")
    func after() throws {
        let disk = SimulatedDisk(seed: 1)
        let journal = try Fixture.open(disk).journal
        for number in 1...5 { _ = journal.add(Fixture.payload(number, count: 10)) }
        try journal.writeAll()
        let again = try Fixture.open(disk, after: 3)
        #expect(again.records.keys.sorted() == [4, 5])
        #expect(again.journal.durableSequence == 5)
    }

    @Test("a group takes everything queued, with one write and one sync")
    func groups() throws {
        let disk = SimulatedDisk(seed: 1)
        let journal = try Fixture.open(disk, Fixture.medium).journal
        for number in 1...20 { _ = journal.add(Fixture.payload(number, count: 50)) }
        let before = disk.callCount
        #expect(try journal.writeGroup() == 20)
        #expect(disk.callCount == before + 2)
        // More than a group holds: cut where a record ends, each group synced before the next is written.
        for number in 1...5 { _ = journal.add(Fixture.payload(number, count: 3000)) }
        #expect(try journal.writeGroup() == 22)
        #expect(try journal.writeGroup() == 24)
        #expect(try journal.writeGroup() == 25)
        #expect(try journal.writeGroup() == nil)
        #expect(disk.callCount == before + 8)
    }

    @Test("silence is sealed once, after 10 ms, and only silence")
    func seals() throws {
        let clock = SimulatedClock()
        let disk = SimulatedDisk(seed: 1)
        let journal = try Fixture.open(disk, clock: clock).journal
        clock.advance(nanos: 20_000_000)
        #expect(try !journal.sealIfIdle(), "an opening is sealed")
        _ = journal.add([1])
        #expect(try !journal.sealIfIdle(), "something is queued")
        try journal.writeAll()
        clock.advance(nanos: 9_000_000)
        #expect(try !journal.sealIfIdle())
        clock.advance(nanos: 1_000_000)
        #expect(try journal.sealIfIdle())
        clock.advance(nanos: 20_000_000)
        #expect(try !journal.sealIfIdle())
    }

    @Test("the ring wraps many times over a few files, and recovery reads what is not checkpointed")
    func wraps() throws {
        let disk = SimulatedDisk(seed: 1)
        var journal = try Fixture.open(disk, Fixture.medium).journal
        var sequence: UInt64 = 0
        for lap in 1...80 {
            for _ in 0..<12 {
                sequence += 1
                #expect(journal.add(Fixture.payload(Int(sequence), count: 1700)) == sequence)
                if sequence % 3 == 0 { try journal.writeAll() }
                if sequence % 5 == 0 { try journal.recycle(through: min(journal.durableSequence, sequence - 2)) }
            }
            guard lap % 10 == 0 else { continue }
            try journal.writeAll()
            let again = try Fixture.open(disk, Fixture.medium, after: sequence - 3)
            for kept in sequence - 2...sequence { #expect(again.records[kept] == Fixture.payload(Int(kept), count: 1700)) }
            #expect(again.records.count == 3)
            journal = again.journal
        }
        #expect(try disk.list("journal").count == 6)
    }

    @Test("a full ring refuses, keeps what it has, and accepts again after recycling")
    func full() throws {
        let disk = SimulatedDisk(seed: 1)
        let journal = try Fixture.open(disk).journal
        var accepted: UInt64 = 0
        while let sequence = journal.add(Fixture.payload(Int(accepted) + 1, count: 3000)) {
            accepted = sequence
            try journal.writeAll()
            try #require(accepted < 100)
        }
        #expect(accepted > 3 && journal.failure == nil && journal.usedBytes <= journal.ringBytes)
        #expect(try Fixture.open(disk).records.count == Int(accepted))
        let reopened = try Fixture.open(disk).journal
        #expect(reopened.add([1]) == nil, "an opening makes no room")
        try reopened.recycle(through: accepted)
        #expect(reopened.add([1]) == accepted + 1)
    }

    @Test("openings in a row of a full ring use up nothing")
    func openings() throws {
        let disk = SimulatedDisk(seed: 1)
        let journal = try Fixture.open(disk, Fixture.medium).journal
        while journal.add(Fixture.payload(1, count: 3000)) != nil { try journal.writeAll() }
        let count = journal.durableSequence
        for _ in 0..<5 { #expect(try Fixture.open(disk, Fixture.medium).records.count == Int(count)) }
        #expect(try disk.list("journal").count == 6)
    }

    @Test("the ring grows by files ahead of need, up to its limit; files are all zeros behind their header")
    func grows() throws {
        var options = Fixture.small
        options.bytesMin = 32 << 10
        options.bytesMax = 80 << 10
        let disk = SimulatedDisk(seed: 1)
        let journal = try Fixture.open(disk, options).journal
        #expect(journal.ringBytes == 32 << 10 && journal.wantsFile)
        #expect(try journal.prepareFile())
        #expect(try !journal.prepareFile(), "two are free")
        var accepted = 0
        while journal.add(Fixture.payload(accepted + 1, count: 3000)) != nil {
            accepted += 1
            try journal.writeAll()
            _ = try journal.prepareFile()
        }
        #expect(journal.ringBytes == 80 << 10)
        #expect(try Fixture.open(disk, options).records.count == accepted)
        let made = try Fixture.image(SimulatedDisk.fresh(options))
        for (path, bytes) in made where path.hasSuffix("2") {
            #expect(bytes[4096...].allSatisfy { $0 == 0 } && bytes.count == 16 << 10)
        }
    }

    @Test("without space the ring stays as it is and tries again later")
    func growsLater() throws {
        var options = Fixture.small
        options.bytesMin = 32 << 10
        let disk = SimulatedDisk(seed: 1)
        let clock = SimulatedClock()
        let journal = try Fixture.open(disk, options, clock: clock).journal
        disk.capacityBytes = 40 << 10
        #expect(try !journal.prepareFile())
        #expect(journal.add([1]) == 1)
        #expect(try journal.writeGroup() == 1)
        disk.capacityBytes = nil
        #expect(try !journal.prepareFile(), "not before its time")
        clock.advance(nanos: options.growthRetryNanos)
        #expect(try journal.prepareFile())
        #expect(journal.failure == nil)
        #expect(try disk.list("journal").allSatisfy { !$0.hasSuffix(".new") })
    }

    @Test("ENOSPC while writing leaves the group queued; it is durable once there is space")
    func outOfSpace() throws {
        for fault in [DiskFault.outOfSpace, .short] {
            let disk = SimulatedDisk(seed: 1)
            let journal = try Fixture.open(disk).journal
            _ = journal.add([1, 2, 3])
            disk.fail(call: disk.callCount + 1, with: fault)
            #expect(throws: LogError.self) { try journal.writeGroup() }
            #expect(journal.durableSequence == 0 && journal.failure == nil)
            #expect(journal.add([4]) == 2)
            #expect(try journal.writeGroup() == 1)
            #expect(try journal.writeGroup() == 2)
            #expect(try Fixture.open(disk).records == [1: [1, 2, 3], 2: [4]])
        }
    }

    @Test("a failed sync is the end: nothing is accepted, written or acknowledged after it")
    func syncFails() throws {
        let disk = SimulatedDisk(seed: 1)
        let journal = try Fixture.open(disk).journal
        _ = journal.add([1])
        disk.fail(call: disk.callCount + 2, with: .broken)
        #expect(throws: LogError.self) { try journal.writeGroup() }
        let calls = disk.callCount
        #expect(throws: LogError.self) { try journal.writeGroup() }
        #expect(throws: LogError.self) { try journal.sealIfIdle() }
        #expect(throws: LogError.self) { try journal.recycle(through: 0) }
        #expect(throws: LogError.self) { try journal.prepareFile() }
        #expect(throws: LogError.self) { try journal.close() }
        #expect(journal.add([2]) == nil && journal.beginChain() == nil)
        #expect(journal.durableSequence == 0 && disk.callCount == calls)
        if case .fatal = journal.failure {} else { Issue.record("\(String(describing: journal.failure))") }
    }

    @Test("too much waiting is refused until it is written")
    func queued() throws {
        var options = Fixture.small
        options.queuedBytesMax = 2000
        let journal = try Fixture.open(SimulatedDisk(seed: 1), options).journal
        #expect(journal.add(Fixture.payload(1, count: 3000)) == 1)
        #expect(journal.add([1]) == nil)
        try journal.writeAll()
        #expect(journal.add([1]) == 2)
    }

    @Test("a file of another journal or of a newer format is refused")
    func foreign() throws {
        let disk = SimulatedDisk(seed: 1)
        try Fixture.open(disk).journal.close()
        var image = try Fixture.image(disk)
        let (other, _) = try Journal.open(
            directory: "journal", disk: SimulatedDisk(seed: 2), clock: SimulatedClock(), entropy: SeededEntropy(seed: 8),
            options: Fixture.small, after: 0, replay: { _, _ in })
        #expect(other.identity != (try Fixture.open(disk).journal.identity))
        let strange = SimulatedDisk(seed: 3)
        _ = try Journal.open(
            directory: "journal", disk: strange, clock: SimulatedClock(), entropy: SeededEntropy(seed: 8), options: Fixture.small,
            after: 0, replay: { _, _ in })
        image["journal/ring-00000009"] = try Fixture.image(strange)["journal/ring-00000001"]
        #expect(throws: LogError.self) { try Fixture.open(MemoryDisk(image)) }
        image["journal/ring-00000009"] = nil
        // The version is the 16-bit number at byte 8; the header's checksum at byte 124.
        image["journal/ring-00000002"]?[8] = 2
        image["journal/ring-00000002"]?.withUnsafeMutableBytes { bytes in
            let check = crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<124]))
            bytes.storeBytes(of: check.littleEndian, toByteOffset: 124, as: UInt32.self)
        }
        do throws(LogError) {
            _ = try Fixture.open(MemoryDisk(image))
            Issue.record("a newer format was opened")
        } catch {
            if case .unsupported = error {} else { Issue.record("\(error)") }
        }
    }

    @Test("a journal that is gone is not taken for a new one")
    func gone() throws {
        #expect(throws: LogError.self) { try Fixture.open(SimulatedDisk(seed: 1), after: 5) }
    }
}

extension SimulatedDisk {
    /// A disk with a journal that was just created.
    static func fresh(_ options: JournalOptions) throws -> SimulatedDisk {
        let disk = SimulatedDisk(seed: 1)
        _ = try JournalFixture.open(disk, options)
        return disk
    }
}

@Suite("Chains of the journal")
struct JournalChainTests {
    typealias Fixture = JournalFixture

    @Test("parts become one record with the last, whatever lies between them")
    func whole() throws {
        let disk = SimulatedDisk(seed: 1)
        let journal = try Fixture.open(disk).journal
        let one = try #require(journal.beginChain())
        let two = try #require(journal.beginChain())
        #expect(journal.add([1], to: one))
        #expect(journal.add([9]) == 1)
        #expect(journal.add([2], to: two))
        try journal.writeAll()
        #expect(journal.durableSequence == 1)
        #expect(journal.add([3], to: one))
        #expect(journal.end(two, [4]) == 2)
        #expect(journal.end(one, []) == 3)
        #expect(!journal.add([5], to: one) && journal.end(one, []) == nil, "an ended chain is ended")
        try journal.writeAll()
        #expect(try Fixture.open(disk).records == [1: [9], 2: [2, 4], 3: [1, 3]])
    }

    @Test("without its end a chain never was, also for the opening after next")
    func unfinished() throws {
        let disk = SimulatedDisk(seed: 1)
        let journal = try Fixture.open(disk).journal
        let chain = try #require(journal.beginChain())
        #expect(journal.add([1], to: chain))
        _ = journal.add([9])
        try journal.writeAll()
        let again = try Fixture.open(disk)
        #expect(again.records == [1: [9]] && again.recovery.unfinishedChains == 1)
        // A new chain may have the same number; its end must not complete the old one.
        let other = try #require(again.journal.beginChain())
        #expect(again.journal.add([2], to: other))
        #expect(again.journal.end(other, [3]) == 2)
        try again.journal.writeAll()
        let last = try Fixture.open(disk)
        #expect(last.records == [1: [9], 2: [2, 3]])
    }

    @Test("a record longer than a group is a chain by itself, over files too")
    func large() throws {
        let disk = SimulatedDisk(seed: 1)
        let journal = try Fixture.open(disk, Fixture.medium).journal
        for count in [8000, 8100, 8192, 9000, 16_000, 20_000] {
            let bytes = Fixture.payload(count, count: count)
            let sequence = try #require(journal.add(bytes), "\(count) bytes")
            try journal.writeAll()
            #expect(try Fixture.open(disk, Fixture.medium, after: sequence - 1).records == [sequence: bytes])
            try journal.recycle(through: sequence)
        }
        #expect(journal.add(Fixture.payload(0, count: 65 << 10)) == nil, "longer than a record may be")
    }

    @Test("an open chain keeps its files; once abandoned it does not")
    func pins() throws {
        let journal = try Fixture.open(SimulatedDisk(seed: 1), Fixture.medium).journal
        let chain = try #require(journal.beginChain())
        #expect(journal.add([1], to: chain))
        var refusals = 0
        for number in 1...160 {
            if journal.add(Fixture.payload(number, count: 3000)) == nil { refusals += 1 }
            try journal.writeAll()
            try journal.recycle(through: journal.durableSequence)
        }
        #expect(refusals > 20, "the ring is full of what the chain keeps")
        journal.abandonChain(chain)
        try journal.recycle(through: journal.durableSequence)
        #expect(journal.add([1]) != nil)
    }

    @Test("the parts of a chain stay until its record is behind the checkpoint, also over an opening")
    func keepsParts() throws {
        let disk = SimulatedDisk(seed: 1)
        var journal = try Fixture.open(disk, Fixture.medium).journal
        let chain = try #require(journal.beginChain())
        #expect(journal.add([1], to: chain))
        for number in 1...4 { _ = journal.add(Fixture.payload(number, count: 3000)) }
        let end = try #require(journal.end(chain, [2]))
        try journal.writeAll()
        try journal.recycle(through: end - 1)
        for _ in 0..<3 {
            let again = try Fixture.open(disk, Fixture.medium, after: end - 1)
            #expect(again.records[end] == [1, 2])
            journal = again.journal
            try journal.recycle(through: end - 1)
            while journal.add(Fixture.payload(1, count: 3000)) != nil { try journal.writeAll() }
            #expect(try Fixture.open(disk, Fixture.medium, after: end - 1).records[end] == [1, 2])
        }
    }

    @Test("all open chains together are bounded")
    func bounded() throws {
        var options = Fixture.small
        options.recordBytesMax = 1000
        let journal = try Fixture.open(SimulatedDisk(seed: 1), options).journal
        let one = try #require(journal.beginChain())
        let two = try #require(journal.beginChain())
        #expect(journal.add(Fixture.payload(1, count: 600), to: one))
        #expect(!journal.add(Fixture.payload(1, count: 600), to: two))
        journal.abandonChain(one)
        #expect(journal.add(Fixture.payload(1, count: 600), to: two))
    }
}
