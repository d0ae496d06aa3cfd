internal import CMartletPager
internal import Glibc

/// Memory of state tables, outside of Swift's reference counting. Running out of it ends the process: the limit on
/// state is kept above, by counting `memoryBytes`.
enum StateMemory {
    /// From this size on, memory is mapped by itself in huge pages: a random access then misses the cache only, not
    /// also the address translation.
    private static let mappedMin = 4 << 20
    static let hugePage = 2 << 20
    /// Smaller pieces of an index do not wait until rows have made room for them.
    private static let givenMin = 64 << 10

    /// Starts at a cache line.
    static func allocate(_ bytes: Int, zeroed: Bool) -> UnsafeMutableRawPointer {
        if bytes < mappedMin {
            guard let memory = aligned_alloc(64, (bytes + 63) & ~63) else { exhausted(bytes) }
            if zeroed { memset(memory, 0, bytes) }
            return memory
        }
        let length = mappedLength(bytes)
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let mapped = mmap(nil, length + hugePage, PROT_READ | PROT_WRITE, flags, -1, 0), mapped != MAP_FAILED else {
            exhausted(bytes)
        }
        // Whole huge pages: what lies before the first and behind the last is given back.
        let start = UInt(bitPattern: mapped)
        let aligned = (start + UInt(hugePage) - 1) & ~UInt(hugePage - 1)
        let before = Int(aligned - start)
        if before > 0 { munmap(mapped, before) }
        let memory = mapped + before
        if hugePage > before { munmap(memory + length, hugePage - before) }
        madvise(memory, length, MADV_HUGEPAGE)
        return memory
    }

    /// For rows, which lie long untouched: where there is a limit to memory they may lie in a file meanwhile. They must not be
    /// handed to a system call. Their bytes are undefined.
    static func allocateRows(_ bytes: Int) -> UnsafeMutableRawPointer {
        martlet_pager_allocate_state(bytes) ?? martlet_arena_allocate(MARTLET_ARENA_ROWS, bytes) ?? allocate(bytes, zeroed: false)
    }

    /// Zeroes, for what is made again from rows: a copy of the process does not have it, and must neither read nor write it.
    static func allocateIndex(_ bytes: Int) -> UnsafeMutableRawPointer {
        if bytes >= givenMin { martlet_pager_give(UInt64(bytes)) }
        guard let memory = martlet_arena_allocate(MARTLET_ARENA_INDEX, bytes) else { return allocate(bytes, zeroed: true) }
        memset(memory, 0, bytes)
        return memory
    }

    /// `bytes` as it was allocated.
    static func release(_ memory: UnsafeMutableRawPointer, _ bytes: Int) {
        if martlet_pager_owns(memory) != 0 {
            martlet_pager_release(memory, bytes)
        } else if martlet_arena_owns(memory) != 0 {
            martlet_arena_release(memory, bytes)
        } else if bytes < mappedMin { free(memory) } else { munmap(memory, mappedLength(bytes)) }
    }

    private static func mappedLength(_ bytes: Int) -> Int { (bytes + hugePage - 1) & ~(hugePage - 1) }

    private static func exhausted(_ bytes: Int) -> Never {
        preconditionFailure("out of memory: \(bytes) bytes for state")
    }
}
