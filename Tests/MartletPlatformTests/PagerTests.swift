import CMartletPager
import Glibc
import MartletCore
import Synchronization
import Testing

@testable import MartletPlatform

// One at a time with the tests of copies: a process has one pager, and a fork waits for it.
extension ForkedCopyTests {
    /// Memory of which most lies in a file. State of other tests stays where it is.
    @Suite("Memory in a file", .serialized)
    struct PagerTests {
        private static let unit = 16 << 10
        private static let budget = 2 << 20
        /// Words of eight times the budget.
        private static let words = 8 * budget / 8

        private static let started: Int32 = {
            let path = "/tmp/martlet-pager-test-\(getpid())"
            guard let file = try? SystemDisk().openFile(path, .replace) else { return -EIO }
            unlink(path)
            let code = martlet_pager_start(dup(file.number), unit, 1 << 30)
            martlet_pager_set_budget(UInt64(budget))
            return code
        }()

        init() throws { try #require(PagerTests.started == 0) }

        private func allocate() throws -> UnsafeMutablePointer<Int> {
            let memory = try #require(martlet_pager_allocate(PagerTests.words * 8))
            return memory.bindMemory(to: Int.self, capacity: PagerTests.words)
        }

        private func release(_ memory: UnsafeMutablePointer<Int>) { martlet_pager_release(memory, PagerTests.words * 8) }

        private func fill(_ memory: UnsafeMutablePointer<Int>, _ factor: Int) {
            for at in 0..<PagerTests.words { memory[at] = at &* factor }
        }

        private static func holds(_ memory: UnsafeMutablePointer<Int>, _ factor: Int) -> Bool {
            for at in 0..<words where memory[at] != at &* factor { return false }
            return true
        }

        @Test("keeps to its budget and to every byte, while several threads read and write")
        func threads() throws {
            let memory = try allocate()
            defer { release(memory) }
            fill(memory, 31)
            let full = martlet_pager_look()
            #expect(full.resident_bytes <= UInt64(PagerTests.budget * 9 / 8))
            #expect(full.out_bytes >= UInt64(PagerTests.words * 8 - PagerTests.budget * 9 / 8))
            let wrong = Mutex(0)
            let base = UInt(bitPattern: memory)
            let threads = try (0..<4).map { number in
                try WorkerThread(name: "reader") {
                    guard let memory = UnsafeMutablePointer<Int>(bitPattern: base) else { return }
                    var random = SplitMix64(seed: UInt64(number))
                    var found = 0
                    for _ in 0..<20_000 {
                        let at = Int(random.next() % UInt64(PagerTests.words))
                        let value = memory[at]
                        if value != at &* 31, value != at &* 31 &+ 1 { found += 1 }
                        // Each word is written by one thread.
                        if at % 4 == number { memory[at] = at &* 31 &+ 1 }
                        if at % 4 == number, memory[at] != at &* 31 &+ 1 { found += 1 }
                    }
                    wrong.withLock { $0 += found }
                }
            }
            for thread in threads { thread.join() }
            #expect(wrong.withLock { $0 } == 0)
            let after = martlet_pager_look()
            #expect(after.page_ins > full.page_ins)
            // What was only read need not be written again.
            #expect(after.writes < after.page_outs)
        }

        @Test("what is about to be allocated elsewhere is given room at once, but not all there is")
        func gives() throws {
            let memory = try allocate()
            defer {
                release(memory)
                martlet_pager_set_budget(UInt64(PagerTests.budget))
            }
            fill(memory, 7)
            martlet_pager_give(UInt64(PagerTests.budget / 4))
            #expect(martlet_pager_look().resident_bytes <= UInt64(PagerTests.budget * 3 / 4))
            martlet_pager_give(UInt64(PagerTests.budget))
            #expect(martlet_pager_look().resident_bytes >= UInt64(32 * PagerTests.unit))
            #expect(PagerTests.holds(memory, 7))
        }

        @Test("a copy of the process reads all of it as it was, in little memory, while everything is written over")
        func copies() throws {
            let memory = try allocate()
            defer { release(memory) }
            fill(memory, 7)
            let copy = try ForkedCopy(keeping: try SystemDisk().openFile("/dev/null", .update)) { channel in
                // Until the parent has written over what there was.
                SystemClock().sleep(nanos: 300_000_000)
                let before = ProcessFacts.residentBytes
                let isRight = PagerTests.holds(memory, 7)
                let grown = ProcessFacts.residentBytes - before
                // What the copy writes is its own, and stays.
                for at in stride(from: 0, to: PagerTests.words, by: 4096) { memory[at] = -at }
                let keeps = PagerTests.holds(memory, 7) == false && stride(from: 0, to: PagerTests.words, by: 4096).allSatisfy { memory[$0] == -$0 }
                return [isRight ? 1 : 0, grown < 4 << 20 ? 1 : 0, keeps ? 1 : 0]
            }
            fill(memory, 11)
            fill(memory, 13)
            #expect(copy.wait(patienceMillis: 20_000) == [1, 1, 1])
            #expect(PagerTests.holds(memory, 13))
        }

        @Test("what is released leaves memory and file; what is allocated again is nobody else's")
        func releases() throws {
            let before = martlet_pager_look()
            let memories = try (0..<3).map { _ in try allocate() }
            for (at, memory) in memories.enumerated() { fill(memory, at + 2) }
            // Two allocations in one unit: the other one's bytes stay.
            let small = try #require(martlet_pager_allocate(4096)).assumingMemoryBound(to: UInt8.self)
            let neighbour = try #require(martlet_pager_allocate(4096)).assumingMemoryBound(to: UInt8.self)
            memset(neighbour, 9, 4096)
            martlet_pager_release(small, 4096)
            release(memories[1])
            #expect(PagerTests.holds(memories[0], 2))
            #expect(PagerTests.holds(memories[2], 4))
            #expect((0..<4096).allSatisfy { neighbour[$0] == 9 })
            release(memories[0])
            release(memories[2])
            martlet_pager_release(neighbour, 4096)
            let after = martlet_pager_look()
            #expect(after.out_bytes == before.out_bytes)
            #expect(after.resident_bytes == before.resident_bytes)
        }

        @Test("a touch of what nobody allocated ends the process, as it did before")
        func foreign() throws {
            let memory = try allocate()
            let beyond = UnsafeMutableRawPointer(memory) + (512 << 20)
            release(memory)
            for address in [beyond, UnsafeMutableRawPointer(bitPattern: 64)] {
                let copy = try ForkedCopy(keeping: try SystemDisk().openFile("/dev/null", .update)) { _ in
                    [address?.load(as: UInt8.self) ?? 0]
                }
                #expect(copy.wait(patienceMillis: 10_000) == nil)
            }
        }
    }
}
