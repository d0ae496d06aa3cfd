/// Rows of one size, in order of insertion, in chunks that never move: 16 rows, 16, 32, 64 and so on. A small table
/// costs one small allocation, and growing copies nothing.
struct RowStore {
    let rowBytes: Int
    private(set) var count = 0
    /// Start of each chunk minus the place of its first row, so that row `id` lies at `bases[chunk] + id * rowBytes`.
    private let bases: UnsafeMutablePointer<UInt>
    private var chunks = 0

    private static let firstRows = 16
    /// 16 · 2^28 rows fill the 32 bits of a row's number.
    static let chunksMax = 29

    init(rowBytes: Int) {
        self.rowBytes = rowBytes
        bases = .allocate(capacity: RowStore.chunksMax)
    }

    /// The owner calls this once, at its end.
    func deallocate() {
        for chunk in 0..<chunks { StateMemory.release(start(of: chunk), RowStore.rows(in: chunk) * rowBytes) }
        bases.deallocate()
    }

    private static func first(of chunk: Int) -> Int { chunk == 0 ? 0 : firstRows << (chunk - 1) }
    private static func rows(in chunk: Int) -> Int { chunk == 0 ? firstRows : firstRows << (chunk - 1) }

    private func start(of chunk: Int) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(bitPattern: bases[chunk] &+ UInt(RowStore.first(of: chunk) &* rowBytes)).unsafelyUnwrapped
    }

    @inline(__always)
    private static func chunk(of id: Int) -> Int { 64 &- (id &>> 4).leadingZeroBitCount }

    @inline(__always)
    subscript(id: Int) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(bitPattern: bases[RowStore.chunk(of: id)] &+ UInt(bitPattern: id &* rowBytes))
            .unsafelyUnwrapped
    }

    /// Room for one more row, whose bytes are undefined.
    mutating func append() -> UnsafeMutableRawPointer {
        let row = next()
        count += 1
        return row
    }

    /// Where the next row goes; it is not counted yet.
    mutating func next() -> UnsafeMutableRawPointer {
        let chunk = RowStore.chunk(of: count)
        if chunk == chunks {
            precondition(chunk < RowStore.chunksMax, "more than 2^32 rows in one table")
            let memory = StateMemory.allocateRows(RowStore.rows(in: chunk) * rowBytes)
            bases[chunk] = UInt(bitPattern: memory) &- UInt(RowStore.first(of: chunk) * rowBytes)
            chunks += 1
        }
        return self[count]
    }

    /// Counts `rows` rows that were put where `next` said, and behind it in the same chunk.
    mutating func take(_ rows: Int) { count += rows }

    /// The first number behind the chunk of row `id`.
    static func end(_ id: Int) -> Int { first(of: chunk(of: id) + 1) }

    /// Forgets all rows; keeps the first chunks, up to `keptBytes`.
    mutating func clear(keptBytes: Int) {
        count = 0
        while chunks > 1, RowStore.first(of: chunks) * rowBytes > keptBytes {
            chunks -= 1
            StateMemory.release(start(of: chunks), RowStore.rows(in: chunks) * rowBytes)
        }
    }

    /// What is resident: of a large chunk, as far as it is filled.
    var memoryBytes: Int {
        guard chunks > 0 else { return 0 }
        let allocated = RowStore.first(of: chunks) * rowBytes
        return allocated - (allocated - count * rowBytes) / StateMemory.hugePage * StateMemory.hugePage
    }
}
