import CMartletPager
import Glibc
import MartletCore
import Testing

@testable import MartletPlatform

// One at a time with the tests of copies: other forks would come between.
extension ForkedCopyTests {
    /// Memory by what a copy of the process has to do with it.
    @Suite("Memory in arenas", .serialized)
    struct ArenaTests {
        private struct Piece {
            let memory: UnsafeMutablePointer<UInt64>
            let words: Int
            let mark: UInt64

            /// Its first, last and some words between are as they were written.
            var isWhole: Bool { stride(from: 0, to: words, by: 509).allSatisfy { memory[$0] == mark &+ UInt64($0) } && memory[words - 1] == mark &+ UInt64(words - 1) }
        }

        private static func piece(_ kind: martlet_arena, bytes: Int, mark: UInt64) throws -> Piece {
            let memory = try #require(martlet_arena_allocate(kind, bytes)).bindMemory(to: UInt64.self, capacity: bytes / 8)
            for at in 0..<bytes / 8 { memory[at] = mark &+ UInt64(at) }
            return Piece(memory: memory, words: bytes / 8, mark: mark)
        }

        private static func release(_ piece: Piece) { martlet_arena_release(piece.memory, piece.words * 8) }

        @Test("pieces that come and go in any order keep their bytes, and what is free is used again")
        func pieces() throws {
            var random = SplitMix64(seed: 11)
            var held: [Piece] = []
            let before = ProcessFacts.residentBytes
            for round in 0..<4_000 {
                if held.count > 30 || (!held.isEmpty && random.next() % 3 == 0) {
                    let piece = held.remove(at: Int(random.next() % UInt64(held.count)))
                    #expect(piece.isWhole)
                    Self.release(piece)
                } else {
                    let bytes = Int(random.next() % 8 == 0 ? 5 << 20 : 32 << 10 + random.next() % (512 << 10)) & ~7
                    held.append(try Self.piece(MARTLET_ARENA_KEPT, bytes: bytes, mark: UInt64(round) << 32))
                }
            }
            #expect(held.allSatisfy { $0.isWhole })
            for piece in held { Self.release(piece) }
            // Thousands of pieces were made, some gigabytes in all.
            #expect(ProcessFacts.residentBytes - before < 256 << 20)
        }

        @Test("a large piece that is released leaves memory at once, and its neighbours stay")
        func large() throws {
            // Now and then all that is free is given back together: of three, two are not.
            for _ in 0..<3 {
                let small = try Self.piece(MARTLET_ARENA_KEPT, bytes: 32 << 10, mark: 1)
                let large = try Self.piece(MARTLET_ARENA_KEPT, bytes: 24 << 20, mark: 2)
                let next = try Self.piece(MARTLET_ARENA_KEPT, bytes: 32 << 10, mark: 3)
                let full = ProcessFacts.residentBytes
                Self.release(large)
                #expect(full - ProcessFacts.residentBytes > 18 << 20)
                #expect(small.isWhole && next.isWhole)
                Self.release(small)
                Self.release(next)
            }
        }

        @Test("small pieces, and pieces of a copy, are for others to give")
        func others() throws {
            #expect(martlet_arena_allocate(MARTLET_ARENA_ROWS, 4096) == nil)
            var outside = 0
            #expect(martlet_arena_owns(&outside) == 0)
            let copy = try ForkedCopy(keeping: try SystemDisk().openFile("/dev/null", .update)) { _ in
                [martlet_arena_allocate(MARTLET_ARENA_ROWS, 1 << 20) == nil ? 1 : 0]
            }
            #expect(copy.wait(patienceMillis: 10_000) == [1])
        }

        @Test("a copy has rows as they were, and has no index")
        func copies() throws {
            let bytes = 8 << 20
            let rows = try Self.piece(MARTLET_ARENA_ROWS, bytes: bytes, mark: 5)
            let kept = try Self.piece(MARTLET_ARENA_KEPT, bytes: bytes, mark: 6)
            let index = try Self.piece(MARTLET_ARENA_INDEX, bytes: bytes, mark: 7)
            defer { for piece in [rows, kept, index] { Self.release(piece) } }
            let copy = try ForkedCopy(keeping: try SystemDisk().openFile("/dev/null", .update)) { _ in
                SystemClock().sleep(nanos: 100_000_000)
                var present = [UInt8](repeating: 0, count: bytes / 4096)
                func isMapped(_ piece: Piece) -> Bool {
                    let start = UnsafeMutableRawPointer(bitPattern: UInt(bitPattern: piece.memory) & ~4095)
                    return mincore(start, 4096, &present) == 0
                }
                return [rows.isWhole ? 1 : 0, kept.isWhole ? 1 : 0, isMapped(rows) ? 1 : 0, isMapped(index) ? 1 : 0]
            }
            for at in 0..<rows.words { rows.memory[at] = 0 }
            #expect(copy.wait(patienceMillis: 10_000) == [1, 1, 1, 0])
            for at in 0..<rows.words { rows.memory[at] = rows.mark &+ UInt64(at) }
            #expect(index.isWhole)
        }
    }
}
