/// One record in place. Its pointers are valid as long as the reader that gave it, and the batch under it, live.
package struct RecordView {
    package var offset: Int64
    /// Milliseconds; −1: none. The batch's where the topic counts the time of arrival.
    package var timestamp: Int64
    /// nil: null.
    package var key: UnsafeRawBufferPointer?
    /// nil: null; in a compacted topic, a tombstone.
    package var value: UnsafeRawBufferPointer?
    package var headers: RecordHeaders

    /// A copy that outlives the batch.
    package var copy: Record {
        Record(
            offset: offset, timestamp: timestamp, key: key.map { [UInt8]($0) }, value: value.map { [UInt8]($0) },
            headers: headers.map { RecordHeader(key: [UInt8]($0.key), value: $0.value.map { [UInt8]($0) }) })
    }
}

/// A record's headers in place, in their order; keys may repeat.
package struct RecordHeaders: Sequence {
    /// How many there are.
    package let count: Int
    /// Encoded: for each a varint length and key, a varint length (−1: null) and value.
    package let bytes: UnsafeRawBufferPointer

    package static var empty: RecordHeaders { RecordHeaders(count: 0, bytes: UnsafeRawBufferPointer(start: nil, count: 0)) }

    package struct Iterator: IteratorProtocol {
        fileprivate var cursor: RecordCursor
        fileprivate var rest: Int

        package mutating func next() -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer?)? {
            guard rest > 0 else { return nil }
            rest -= 1
            return cursor.nextHeader()
        }
    }

    package func makeIterator() -> Iterator { Iterator(cursor: RecordCursor(bytes), rest: count) }
}

/// A record that owns its bytes: for coordinators and tests, not for the data path.
package struct Record: Sendable, Equatable {
    package var offset: Int64
    package var timestamp: Int64
    package var key: [UInt8]?
    package var value: [UInt8]?
    package var headers: [RecordHeader]

    package init(offset: Int64 = 0, timestamp: Int64 = -1, key: [UInt8]?, value: [UInt8]?, headers: [RecordHeader] = []) {
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers = headers
    }
}

package struct RecordHeader: Sendable, Equatable {
    package var key: [UInt8]
    package var value: [UInt8]?

    package init(key: [UInt8], value: [UInt8]?) {
        self.key = key
        self.value = value
    }
}

/// The records of one batch, in order, whatever its codec.
///
///     var reader = try RecordBatchReader(batch, decompressedBytesMax: limit)
///     while let record = try reader.next() { … }
///
/// For one thread. Allocates only to decompress. The batch must outlive the reader; what is read outlives neither.
/// The checksum is not looked at: whoever took the bytes from outside has checked it.
package struct RecordBatchReader {
    package let header: RecordBatchHeader
    /// Holds the memory that the cursor walks over, where it is not the batch's.
    private let decompressed: Decompressed?
    private var cursor: RecordCursor
    private var rest: Int32

    /// What a stored batch may decompress to; `RecordBatch.validate` let in less.
    package static let decompressedBytesMax = 1 << 30

    package init(_ batch: UnsafeRawBufferPointer, decompressedBytesMax: Int = RecordBatchReader.decompressedBytesMax)
        throws(BatchError)
    {
        header = try RecordBatchHeader(reading: batch)
        guard header.byteCount <= batch.count else {
            throw .corrupt("the batch says it has \(header.byteCount) bytes, and \(batch.count) are there")
        }
        guard let compression = header.compression else { throw .unsupportedCodec(header.codecNumber) }
        let stored = UnsafeRawBufferPointer(rebasing: batch[RecordBatchHeader.size..<header.byteCount])
        // An emptied batch (compaction may leave one) has no bytes to decompress.
        if compression == .none || header.count == 0 {
            decompressed = nil
            cursor = RecordCursor(stored)
        } else {
            let output = try Compression.decompress(stored, compression, limit: decompressedBytesMax)
            cursor = RecordCursor(output.bytes)
            decompressed = output
        }
        rest = max(header.count, 0)
    }

    /// The next record; nil after the last.
    package mutating func next() throws(BatchError) -> RecordView? {
        defer { withExtendedLifetime(decompressed) {} }
        guard rest > 0 else { return nil }
        rest &-= 1
        guard let parts = cursor.next() else { throw .corrupt("record \(header.count - rest - 1) of the batch is malformed") }
        return RecordView(
            offset: header.baseOffset &+ Int64(parts.offsetDelta),
            timestamp: header.isLogAppendTime ? header.maxTimestamp : header.baseTimestamp &+ parts.timestampDelta,
            key: parts.key.map { UnsafeRawBufferPointer(start: $0, count: parts.keyCount) },
            value: parts.value.map { UnsafeRawBufferPointer(start: $0, count: parts.valueCount) },
            headers: RecordHeaders(
                count: Int(parts.headerCount),
                bytes: UnsafeRawBufferPointer(start: parts.headers, count: parts.end - parts.headers)))
    }

    /// All records of a batch, copied.
    package static func records(_ batch: UnsafeRawBufferPointer) throws(BatchError) -> [Record] {
        var reader = try RecordBatchReader(batch)
        var records: [Record] = []
        while let record = try reader.next() { records.append(record.copy) }
        return records
    }
}
