/// The 61 bytes before the records of a version 2 batch (KIP-98, "Message Format"), big-endian:
///
///     0 baseOffset i64 · 8 batchLength i32 · 12 partitionLeaderEpoch i32 · 16 magic i8 · 17 crc u32 · 21 attributes i16 ·
///     23 lastOffsetDelta i32 · 27 baseTimestamp i64 · 35 maxTimestamp i64 · 43 producerId i64 · 51 producerEpoch i16 ·
///     53 baseSequence i32 · 57 count i32 · 61 records
///
/// The CRC32C covers everything from the attributes on; offset, length and leader epoch are the broker's to set.
package struct RecordBatchHeader: Sendable, Equatable {
    /// Bytes of the header.
    package static let size = 61
    /// Where the checksum's cover starts.
    package static let checkedFrom = 21
    /// Bytes before what `batchLength` counts.
    package static let lengthFrom = 12

    package var baseOffset: Int64
    /// Bytes after this field: the batch's size less 12.
    package var batchLength: Int32
    package var partitionLeaderEpoch: Int32
    package var crc: UInt32
    package var attributes: Int16
    package var lastOffsetDelta: Int32
    /// Milliseconds; the records' timestamps are relative to it. The delete horizon where `hasDeleteHorizon`.
    package var baseTimestamp: Int64
    /// Milliseconds; −1 where no record has a timestamp.
    package var maxTimestamp: Int64
    package var producerID: Int64
    package var producerEpoch: Int16
    package var baseSequence: Int32
    package var count: Int32

    /// All of the batch in bytes.
    package var byteCount: Int { Int(batchLength) + RecordBatchHeader.lengthFrom }
    /// The offset of the last record that was in the batch when it was written; it may have been compacted away.
    package var lastOffset: Int64 { baseOffset &+ Int64(lastOffsetDelta) }
    package var nextOffset: Int64 { lastOffset &+ 1 }
    /// Wraps from 2³¹−1 to 0.
    package var lastSequence: Int32 { baseSequence < 0 ? baseSequence : (baseSequence &+ lastOffsetDelta) & Int32.max }
    package var codecNumber: UInt8 { UInt8(truncatingIfNeeded: attributes & 7) }
    /// nil: there is no such codec.
    package var compression: Compression? { Compression(rawValue: codecNumber) }
    /// The records' time is that of their arrival, `maxTimestamp`, for all of them.
    package var isLogAppendTime: Bool { attributes & BatchAttributes.logAppendTime != 0 }
    package var isTransactional: Bool { attributes & BatchAttributes.transactional != 0 }
    package var isControl: Bool { attributes & BatchAttributes.control != 0 }
    package var hasDeleteHorizon: Bool { attributes & BatchAttributes.deleteHorizon != 0 }
    package var hasProducer: Bool { producerID >= 0 }

    /// Reads the fields without judging them, apart from what makes them readable: there are 61 bytes, the magic is 2, and
    /// the length is possible. Whether the batch is all there is not asked.
    package init(reading bytes: UnsafeRawBufferPointer) throws(BatchError) {
        guard bytes.count > 16 else { throw .corrupt("\(bytes.count) bytes are no record batch") }
        let magic = Int8(bitPattern: bytes[16])
        guard magic == 2 else { throw .unsupportedMagic(magic) }
        guard bytes.count >= RecordBatchHeader.size else { throw .corrupt("\(bytes.count) bytes are no record batch") }
        self.init(unchecked: bytes)
        guard batchLength >= Int32(RecordBatchHeader.size - RecordBatchHeader.lengthFrom) else {
            throw .corrupt("a batch length of \(batchLength) is impossible")
        }
    }

    /// The fields of 61 bytes that are known to be a header.
    package init(unchecked bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count >= RecordBatchHeader.size, "a batch header has 61 bytes")
        baseOffset = Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: Int64.self))
        batchLength = Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: Int32.self))
        partitionLeaderEpoch = Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: 12, as: Int32.self))
        crc = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 17, as: UInt32.self))
        attributes = Int16(bigEndian: bytes.loadUnaligned(fromByteOffset: 21, as: Int16.self))
        lastOffsetDelta = Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: 23, as: Int32.self))
        baseTimestamp = Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: 27, as: Int64.self))
        maxTimestamp = Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: 35, as: Int64.self))
        producerID = Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: 43, as: Int64.self))
        producerEpoch = Int16(bigEndian: bytes.loadUnaligned(fromByteOffset: 51, as: Int16.self))
        baseSequence = Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: 53, as: Int32.self))
        count = Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: 57, as: Int32.self))
    }

    /// A header to be filled in.
    package init() {
        baseOffset = 0
        batchLength = 0
        partitionLeaderEpoch = -1
        crc = 0
        attributes = 0
        lastOffsetDelta = 0
        baseTimestamp = -1
        maxTimestamp = -1
        producerID = -1
        producerEpoch = -1
        baseSequence = -1
        count = 0
    }

    /// Writes the 61 bytes, with the checksum as it stands in `crc`.
    package func write(to target: UnsafeMutableRawBufferPointer) {
        precondition(target.count >= RecordBatchHeader.size, "a batch header has 61 bytes")
        target.storeBytes(of: baseOffset.bigEndian, toByteOffset: 0, as: Int64.self)
        target.storeBytes(of: batchLength.bigEndian, toByteOffset: 8, as: Int32.self)
        target.storeBytes(of: partitionLeaderEpoch.bigEndian, toByteOffset: 12, as: Int32.self)
        target.storeBytes(of: 2, toByteOffset: 16, as: Int8.self)
        target.storeBytes(of: crc.bigEndian, toByteOffset: 17, as: UInt32.self)
        target.storeBytes(of: attributes.bigEndian, toByteOffset: 21, as: Int16.self)
        target.storeBytes(of: lastOffsetDelta.bigEndian, toByteOffset: 23, as: Int32.self)
        target.storeBytes(of: baseTimestamp.bigEndian, toByteOffset: 27, as: Int64.self)
        target.storeBytes(of: maxTimestamp.bigEndian, toByteOffset: 35, as: Int64.self)
        target.storeBytes(of: producerID.bigEndian, toByteOffset: 43, as: Int64.self)
        target.storeBytes(of: producerEpoch.bigEndian, toByteOffset: 51, as: Int16.self)
        target.storeBytes(of: baseSequence.bigEndian, toByteOffset: 53, as: Int32.self)
        target.storeBytes(of: count.bigEndian, toByteOffset: 57, as: Int32.self)
    }
}

/// The bits of a batch's attributes above the codec's three.
package enum BatchAttributes {
    package static let codecMask: Int16 = 7
    package static let logAppendTime: Int16 = 1 << 3
    package static let transactional: Int16 = 1 << 4
    package static let control: Int16 = 1 << 5
    /// KIP-534: `baseTimestamp` is the time from which tombstones and markers in the batch may go.
    package static let deleteHorizon: Int16 = 1 << 6
}
