internal import CMartletPager
internal import Glibc

/// Bytes that string views point into: input buffers, and copies made by operators. Append-only; never moves, so that
/// addresses stay valid while anyone holds the heap. One thread appends; any thread may read what was appended before
/// the heap was handed over.
package final class ByteHeap: @unchecked Sendable {
    // Sendable: bytes below `used` never change, and a heap is appended to by its owner only.
    package let base: UnsafeMutablePointer<UInt8>
    package let capacity: Int
    package var used: Int = 0

    /// Bytes past the capacity that may be read (their content is undefined): parsers load whole blocks.
    package static let padding = 64

    package convenience init(capacity: Int) {
        self.init(capacity, UnsafeMutablePointer<UInt8>.allocate(capacity: capacity + ByteHeap.padding))
    }

    /// Of bytes that are kept for long: they lie in huge pages, or, where there is a limit to memory, in a file while nobody
    /// looks at them. They must not be handed to a system call.
    package convenience init(kept capacity: Int) {
        let bytes = capacity + ByteHeap.padding
        guard let memory = martlet_pager_allocate_state(bytes) ?? martlet_arena_allocate(MARTLET_ARENA_KEPT, bytes) else {
            self.init(capacity: capacity)
            return
        }
        self.init(capacity, memory.assumingMemoryBound(to: UInt8.self))
    }

    private init(_ capacity: Int, _ base: UnsafeMutablePointer<UInt8>) {
        self.capacity = capacity
        self.base = base
        memset(base + capacity, 0, ByteHeap.padding)
    }

    deinit {
        if martlet_pager_owns(base) != 0 {
            martlet_pager_release(base, capacity + ByteHeap.padding)
        } else if martlet_arena_owns(base) != 0 {
            martlet_arena_release(base, capacity + ByteHeap.padding)
        } else {
            base.deallocate()
        }
    }

    package var free: Int { capacity - used }

    /// Copies `count` bytes in and answers their address; nil where the heap is full.
    @inline(__always)
    package func append(_ bytes: UnsafePointer<UInt8>, count: Int) -> UnsafeMutablePointer<UInt8>? {
        guard count <= capacity &- used else { return nil }
        let at = base + used
        memcpy(at, bytes, count)
        used &+= count
        return at
    }
}
