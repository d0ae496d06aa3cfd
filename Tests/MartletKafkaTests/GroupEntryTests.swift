import MartletCore
import MartletLog
import Testing

@testable import MartletKafka

@Suite("Coordinators: what they keep")
struct GroupEntryTests {
    /// One of everything.
    private func full() -> CoordinatorBench {
        let bench = CoordinatorBench()
        let members = bench.stableGroup(2) { index, member in if index == 1 { member.instance = "i" } }
        _ = bench.commit(members[0].claim, [(orders0, 5)], metadata: "note")
        var consumer = CoordinatorBench.Consumer(id: "a", instance: "s", pattern: "pay.*", assignor: "range")
        bench.beat(&consumer)
        var producer = Producer(bench: bench)
        producer.start()
        producer.add([first, second])
        producer.commitOffset(orders1, 6, members[0].claim)
        return bench
    }

    private func load(_ entry: Entry, _ space: EntrySpace, among bench: CoordinatorBench) throws {
        let outbox = CoordinatorOutbox()
        let groups = GroupCoordinator(options: GroupOptions(), outbox: outbox, entropy: CountingEntropy())
        let transactions = TransactionCoordinator(options: TransactionOptions(), outbox: outbox, groups: groups) { nil }
        let entries = { (wanted: EntrySpace) in
            wanted == space ? bench.entries(wanted).filter { $0.key < entry.key } + [entry] : bench.entries(wanted)
        }
        try groups.load(groups: entries(.group), offsets: entries(.offset), now: bench.time)
        try transactions.load(transactions: entries(.transaction), now: bench.time)
    }

    @Test("an entry cut short is refused, wherever it is cut; a later version by its number")
    func damaged() {
        let bench = full()
        var count = 0
        for space in [EntrySpace.group, .offset, .transaction] {
            for entry in bench.entries(space) {
                for length in 0..<entry.value.count {
                    count += 1
                    let cut = Entry(key: entry.key, value: Array(entry.value.prefix(length)))
                    #expect(throws: CoordinatorLoadError.self) { try load(cut, space, among: bench) }
                }
                let later = Entry(key: entry.key, value: [2] + entry.value.dropFirst())
                do {
                    try load(later, space, among: bench)
                    Issue.record("a later version was read")
                } catch CoordinatorLoadError.unknownVersion(_, _, let version) {
                    #expect(version == 2)
                } catch {
                    Issue.record("\(error)")
                }
            }
        }
        #expect(count > 300)
    }

    @Test("no garbled byte makes loading trap")
    func garbled() {
        let bench = full()
        for space in [EntrySpace.group, .offset, .transaction] {
            for entry in bench.entries(space) {
                for at in entry.value.indices {
                    for byte in [0, 0x7F, 0x80, 0xFF] as [UInt8] {
                        var garbled = entry
                        garbled.value[at] = byte
                        try? load(garbled, space, among: bench)
                    }
                }
                for at in entry.key.indices where space != .transaction {
                    var garbled = entry
                    garbled.key[at] = 0xFF
                    try? load(garbled, space, among: bench)
                }
            }
        }
    }

    @Test("the formats are as documented: a change of bytes is a change of version")
    func golden() {
        let bench = CoordinatorBench()
        _ = bench.commit(MemberClaim(groupID: "g"), [(orders0, 5)], metadata: "n")
        let offset = bench.entries(.offset)[0]
        #expect(offset.key == [0, 1] + Array("g".utf8) + [6] + Array("orders".utf8) + [0, 0, 0, 0])
        let time = withUnsafeBytes(of: bench.time.wallMillis.bigEndian) { Array($0) }
        let none: [UInt8] = Array(repeating: 0xFF, count: 8)
        #expect(offset.value == [1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 7, 1, 0x6E] + time + none + [0, 0, 0, 0, 0, 0, 0, 1])
    }

    @Test("deadlines come up in order, each time it is due")
    func deadlines() {
        var random = SplitMix64(seed: 3)
        var queue = DeadlineQueue()
        var expected: [(Int64, String)] = []
        for index in 0..<500 {
            let millis = random.within(0...200)
            queue.push("n\(index)", at: millis)
            expected.append((millis, "n\(index)"))
        }
        #expect(queue.earliest == expected.map(\.0).min())
        #expect(queue.pop(dueAt: -1) == nil)
        for (millis, name) in expected.sorted(by: { $0 < $1 }) {
            let due = queue.pop(dueAt: 200)
            #expect(due?.millis == millis && due?.name == name)
        }
        #expect(queue.pop(dueAt: .max) == nil)
    }
}

private func < (left: [UInt8], right: [UInt8]) -> Bool { left.lexicographicallyPrecedes(right) }
