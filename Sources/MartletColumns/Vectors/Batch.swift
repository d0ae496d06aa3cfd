/// Where a block of records came from, and their original bytes: what dead letters and late rows quote.
package final class OriginBlock: @unchecked Sendable {
    // Sendable: filled by the source that made it, read-only once in a batch.
    package let source: Int
    package let partition: Int32
    /// Offset of record `row` of the block.
    package let offsets: UnsafeMutablePointer<Int64>
    /// Where record `row` starts in `heap`, and its length in bytes.
    package let starts: UnsafeMutablePointer<UInt32>
    package let lengths: UnsafeMutablePointer<UInt32>
    package let heap: ByteHeap
    package let capacity: Int
    package var count: Int
    /// Microseconds since 1970, wall clock of the read.
    package var ingestedAt: Int64
    /// Monotonic nanoseconds of the read, from which latencies count.
    package var readAtNanos: Int64 = 0

    package init(source: Int, partition: Int32, heap: ByteHeap, capacity: Int, ingestedAt: Int64) {
        self.source = source
        self.partition = partition
        self.heap = heap
        self.capacity = capacity
        self.ingestedAt = ingestedAt
        count = 0
        offsets = .allocate(capacity: max(capacity, 1))
        starts = .allocate(capacity: max(capacity, 1))
        lengths = .allocate(capacity: max(capacity, 1))
    }

    deinit {
        offsets.deallocate()
        starts.deallocate()
        lengths.deallocate()
    }

    package func payload(_ row: Int) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: UnsafePointer(heap.base) + Int(starts[row]), count: Int(lengths[row]))
    }
}

/// The origins of a batch's rows: one block, and the row of the block for each row of the batch (nil: the same).
package struct RowOrigins: Sendable {
    package var block: OriginBlock
    package var rows: Selection?

    package init(block: OriginBlock, rows: Selection?) {
        self.block = block
        self.rows = rows
    }

    @inline(__always)
    package func blockRow(_ row: Int) -> Int {
        guard let rows else { return row }
        return Int(rows.indexes[row])
    }
}

/// Row numbers, in the order in which they are wanted.
package final class Selection: @unchecked Sendable {
    // Sendable: filled by one owner, then read-only.
    package let indexes: UnsafeMutablePointer<Int32>
    package var count: Int

    package init(capacity: Int) {
        indexes = .allocate(capacity: max(capacity, 1))
        count = 0
    }

    deinit { indexes.deallocate() }
}

/// Rows of a keyed table, as many as the batch has beside which they stand.
package struct TableRows: Sendable {
    /// Which of the relations that are fed it is.
    package let relation: Int
    /// The key's columns, or all of the table's.
    package var columns: [Column]
    /// Which of them are the key.
    package let key: [Int]
    /// The columns are all of the table's, so that late rows can be kept.
    package let isWhole: Bool

    package init(relation: Int, columns: [Column], key: [Int], isWhole: Bool) {
        self.relation = relation
        self.columns = columns
        self.key = key
        self.isWhole = isWhole
    }
}

/// Rows, column by column.
package struct Batch: Sendable {
    package var count: Int
    package var columns: [Column]
    /// +1 insert, −1 delete, as a BIGINT column; nil: all +1.
    package var weights: Column?
    /// The watermark of the row's own source partition before the row (µs since 1970), by which lateness is judged;
    /// nil where nothing can be late.
    package var watermarks: Column?
    package var origins: RowOrigins?
    /// Of changes of a keyed table, until they are judged: the rows as the table has them, however they were projected.
    package var tableRows: TableRows?

    package init(count: Int, columns: [Column], weights: Column? = nil, watermarks: Column? = nil, origins: RowOrigins? = nil) {
        self.count = count
        self.columns = columns
        self.weights = weights
        self.watermarks = watermarks
        self.origins = origins
    }
}
