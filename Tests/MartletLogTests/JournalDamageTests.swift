import MartletCore
import MartletLog
import MartletTestKit
import Synchronization
import Testing

/// Damage at every byte and every bit. On `MemoryDisk`, since each case is an opening of its own.
@Suite("Damage to the journal")
struct JournalDamageTests {
    typealias Fixture = JournalFixture

    /// Files of five blocks: the journal of these tests ends in its second file.
    private static let options = JournalOptions(
        fileBytes: 20 << 10, bytesMin: 80 << 10, bytesMax: 80 << 10, groupBytesMax: 8 << 10, zeroPieceBytes: 20 << 10)

    private enum Outcome: Equatable {
        case corrupt
        case records([UInt64: [UInt8]])
    }

    private static func reopen(_ image: [String: [UInt8]], after: UInt64 = 0) -> Outcome {
        do throws(LogError) {
            return .records(try Fixture.open(MemoryDisk(image), options, after: after).records)
        } catch {
            if case .corrupt = error { return .corrupt }
            Issue.record("\(error)")
            return .corrupt
        }
    }

    /// A group as it lies in an image.
    private struct Group {
        var path: String
        var offset: Int
        /// Header and body.
        var bytes: Int
        var number: UInt64
    }

    /// Every group, found by its magic number. The length of the body is the 32-bit number at byte 12, the group's number
    /// is at byte 40, its kind at byte 10.
    private static func groups(_ image: [String: [UInt8]]) -> [Group] {
        var found: [Group] = []
        for (path, bytes) in image {
            for offset in stride(from: 0, to: bytes.count, by: 4096) where bytes[offset..<offset + 8].elementsEqual("MARTLETJ".utf8) {
                func number(_ at: Int, _ count: Int) -> UInt64 {
                    bytes[offset + at..<offset + at + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
                }
                if bytes[offset + 10] == 0 { continue }
                found.append(Group(path: path, offset: offset, bytes: 128 + Int(number(12, 4)), number: number(40, 8)))
            }
        }
        return found.sorted { $0.number < $1.number }
    }

    /// Three groups of acknowledged records and a fourth, not sealed, whose sync may or may not have returned.
    private static func journal(sealed: Bool) throws -> (image: [String: [UInt8]], records: [UInt64: [UInt8]], last: Set<UInt64>) {
        let disk = SimulatedDisk(seed: 1)
        let clock = SimulatedClock()
        let journal = try Fixture.open(disk, options, clock: clock).journal
        var records: [UInt64: [UInt8]] = [:]
        var last: Set<UInt64> = []
        for group in 0..<4 {
            last = []
            for number in 0..<2 {
                let payload = Fixture.payload(group * 2 + number, count: 20 + 13 * number)
                let sequence = try #require(journal.add(payload))
                records[sequence] = payload
                last.insert(sequence)
            }
            try journal.writeAll()
        }
        clock.advance(nanos: 20_000_000)
        if sealed { #expect(try journal.sealIfIdle()) }
        return (try Fixture.image(disk), records, last)
    }

    @Test("what an earlier use left in a file that an opening set free proves nothing")
    func leftovers() throws {
        // Files of four blocks: four, and room for more.
        let options = JournalOptions(
            fileBytes: 16 << 10, bytesMin: 64 << 10, bytesMax: 96 << 10, groupBytesMax: 8 << 10, zeroPieceBytes: 16 << 10)
        let disk = SimulatedDisk(seed: 1)
        var records: [UInt64: [UInt8]] = [:]
        func add(to journal: Journal, count: Int) throws {
            let payload = Fixture.payload(records.count, count: count)
            records[try #require(journal.add(payload))] = payload
            try journal.writeAll()
        }
        // An acknowledged group starts the second file; the one behind it, whose sync never returned, is torn.
        let first = try Fixture.open(disk, options).journal
        try add(to: first, count: 5_000)
        try add(to: first, count: 100)
        try add(to: first, count: 5_000)
        records[3] = nil
        let torn = try #require(Self.groups(try Fixture.image(disk)).last)
        #expect(torn.offset == 4_096)
        let file = try disk.open(torn.path, .update)
        try [UInt8](repeating: 0, count: 4_096).withUnsafeBytes { try file.write($0, at: Int64(torn.offset) + 4_096) }
        // The next opening repeats that acknowledged group in the third file, and the second is filled from its start.
        let second = try Fixture.open(disk, options).journal
        #expect(second.durableSequence == 2)
        for _ in 0..<3 { try add(to: second, count: 5_000) }
        #expect(try second.prepareFile())
        try add(to: second, count: 100)
        let newest = try #require(Self.groups(try Fixture.image(disk)).last)
        #expect(newest.path == torn.path && newest.offset == 0)
        #expect(try Fixture.open(disk, options).records == records)
    }

    @Test("cut short or garbled at every byte, the last group is dropped, and the log goes on from the acknowledged prefix")
    func everyByteOfTheLast() throws {
        let (image, records, last) = try Self.journal(sealed: false)
        let prefix = records.filter { !last.contains($0.key) }
        let group = try #require(Self.groups(image).last)
        for byte in group.offset..<group.offset + 4096 {
            let isContent = byte < group.offset + group.bytes
            // Of the padding, which has no meaning, some.
            if !isContent && byte % 61 != 0 { continue }
            var cut = image
            cut[group.path]?.removeSubrange(byte...)
            expect(cut, isContent ? [prefix] : [prefix, records], "cut at \(byte)")
            // The rest of the group as an earlier use of the file may have left it.
            for filler in [UInt8(0), 0xFF, 0x5A] {
                var garbled = image
                garbled[group.path]?.replaceSubrange(
                    byte..<group.offset + 4096, with: repeatElement(filler, count: group.offset + 4096 - byte))
                expect(garbled, isContent ? [prefix, records] : [records], "garbled from \(byte) with \(filler)")
            }
            var one = image
            one[group.path]?[byte] ^= 0xFF
            expect(one, isContent ? [prefix] : [records], "byte \(byte) inverted")
        }
    }

    /// Opens, sees one of `allowed`, appends, opens again and sees that and the new record.
    private func expect(_ image: [String: [UInt8]], _ allowed: [[UInt64: [UInt8]]], _ what: String) {
        let disk = MemoryDisk(image)
        do throws(LogError) {
            let opened = try Fixture.open(disk, Self.options)
            guard allowed.contains(opened.records) else {
                Issue.record("\(what): \(opened.records.keys.sorted())")
                return
            }
            guard let sequence = opened.journal.add([1, 2, 3]), sequence == UInt64(opened.records.count) + 1 else {
                Issue.record("\(what): no record can be appended")
                return
            }
            try opened.journal.writeAll()
            var wanted = opened.records
            wanted[sequence] = [1, 2, 3]
            let again = try Fixture.open(disk, Self.options)
            if again.records != wanted { Issue.record("\(what): then \(again.records.keys.sorted())") }
        } catch {
            Issue.record("\(what): \(error)")
        }
    }

    @Test("any bit flipped: damage is reported, or only the last unsealed group is dropped; never a wrong record", arguments: [false, true])
    func everyBit(sealed: Bool) throws {
        let (image, records, last) = try Self.journal(sealed: sealed)
        let prefix = records.filter { !last.contains($0.key) }
        let groups = Self.groups(image)
        let unsealed = try #require(groups.last)
        var corrupt = 0
        for (path, bytes) in image.sorted(by: { $0.key < $1.key }) {
            let mine = groups.filter { $0.path == path }
            for at in bytes.indices {
                let group = mine.first { $0.offset <= at && at < $0.offset + $0.bytes }
                // Padding and places not yet written have no meaning: a bit of some bytes, heads of groups to be among them.
                if group == nil && at % 4096 > 128 && at % 61 != 0 { continue }
                for bit in 0..<8 where group != nil || bit == at % 8 {
                    var flipped = image
                    flipped[path]?[at] ^= 1 << UInt8(bit)
                    let outcome = Self.reopen(flipped)
                    if outcome == .corrupt { corrupt += 1 }
                    guard let group else {
                        if outcome != .records(records) { Issue.record("\(path) \(at).\(bit): \(outcome)") }
                        continue
                    }
                    // A group without records before the first is no loss; the last one cannot be told from a torn write.
                    let isLast = group.number == unsealed.number
                    let hasNoRecords = group.bytes == 128
                    let isRight = isLast && !sealed ? outcome == .records(prefix)
                        : isLast || hasNoRecords ? outcome == .records(records) || outcome == .corrupt && !isLast : outcome == .corrupt
                    if !isRight { Issue.record("\(path) \(at).\(bit), group \(group.number): \(outcome)") }
                }
            }
        }
        #expect(corrupt > 1000)
    }

    @Test("a whole block or file that is gone is reported where it held acknowledged records")
    func larger() throws {
        let (image, records, _) = try Self.journal(sealed: true)
        let groups = Self.groups(image)
        for group in groups.dropLast() where group.bytes > 128 {
            var wiped = image
            for at in group.offset..<group.offset + 4096 { wiped[group.path]?[at] = 0 }
            #expect(Self.reopen(wiped) == .corrupt, "group \(group.number)")
        }
        // A file that is gone with everything behind it leaves no trace; any other does.
        for path in Set(groups.map(\.path)) where path != groups.last?.path {
            var gone = image
            gone[path] = nil
            #expect(Self.reopen(gone) == .corrupt, "\(path)")
        }
        #expect(Self.reopen(image, after: 3) == .records(records.filter { $0.key > 3 }))
    }

    @Test("where the checkpoint is further than what is left, the log goes on behind the checkpoint")
    func checkpointFurther() throws {
        let (image, records, last) = try Self.journal(sealed: false)
        let group = try #require(Self.groups(image).last)
        var damaged = image
        damaged[group.path]?[group.offset + 130] ^= 1
        let checkpoint = try #require(last.max())
        let disk = MemoryDisk(damaged)
        let opened = try Fixture.open(disk, Self.options, after: checkpoint)
        #expect(opened.records.isEmpty && opened.recovery.lastSequence == checkpoint)
        #expect(opened.journal.add([1]) == checkpoint + 1)
        try opened.journal.writeAll()
        #expect(try Fixture.open(disk, Self.options, after: checkpoint).records == [checkpoint + 1: [1]])
        // With an older checkpoint the gap is damage.
        #expect(Self.reopen(disk.files.withLock { $0 }, after: checkpoint - 2) == .corrupt)
        #expect(records.count == Int(checkpoint))
    }

    @Test("damage names the place and the records")
    func names() throws {
        let (image, _, _) = try Self.journal(sealed: true)
        let group = try #require(Self.groups(image).first { $0.bytes > 128 })
        var damaged = image
        damaged[group.path]?[group.offset + 130] ^= 1
        do throws(LogError) {
            _ = try Fixture.open(MemoryDisk(damaged), Self.options)
            Issue.record("not noticed")
        } catch {
            guard case .corrupt(let damage) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(damage.place == "\(group.path) at byte \(group.offset)")
            #expect(damage.detail.contains("records 1 to 2 "))
        }
    }

    @Test("headers and bodies of any content, with right checksums, end in an error or an opening, never in a trap")
    func forged() throws {
        let (image, _, _) = try Self.journal(sealed: true)
        let groups = Self.groups(image)
        var random = SplitMix64(seed: 3)
        var refused = 0
        for _ in 0..<3000 {
            let group = groups[random.below(groups.count)]
            var bytes = try #require(image[group.path])
            for _ in 0...random.below(3) {
                let choices: [UInt64] = [0, 1, UInt64.max, 1 << 62, random.next(), random.next() & 0xFF]
                let value = choices[random.below(choices.count)]
                let field = random.chance(0.3) ? 128 + random.below(max(group.bytes - 128, 1)) : 8 + random.below(88)
                for byte in 0..<(1 << random.below(4)) {
                    bytes[group.offset + field + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte))
                }
            }
            bytes.withUnsafeMutableBytes { all in
                let block = UnsafeMutableRawBufferPointer(rebasing: all[group.offset...])
                let length = Int(block.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
                if length <= block.count - 128 {
                    let seed = crc32c(UnsafeRawBufferPointer(rebasing: block[..<60]))
                    let check = crc32c(UnsafeRawBufferPointer(rebasing: block[128..<128 + length]), seed: seed)
                    block.storeBytes(of: check.littleEndian, toByteOffset: 60, as: UInt32.self)
                }
                let check = crc32c(UnsafeRawBufferPointer(rebasing: block[..<124]))
                block.storeBytes(of: check.littleEndian, toByteOffset: 124, as: UInt32.self)
            }
            var forged = image
            forged[group.path] = bytes
            do throws(LogError) {
                _ = try Fixture.open(MemoryDisk(forged), Self.options, after: random.chance(0.5) ? 0 : UInt64(random.below(9)))
            } catch {
                refused += 1
            }
        }
        #expect(refused > 300)
    }
}
