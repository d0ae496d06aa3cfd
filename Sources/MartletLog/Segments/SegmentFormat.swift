internal import MartletCore

/// The bytes of a segment's data file (docs/formats/segment.md), little-endian where they are Martlet's own:
///
///     header, 80 bytes · { frame, 12 bytes · batch, verbatim } …
///
/// A batch's own checksum leaves out its offset, length and leader epoch. The frame's covers them, together with the rest of
/// the batch's header, and is seeded with the segment's identity: a frame of another file, or of another generation of the
/// same one, is not taken for one of this.
enum SegmentFormat {
    static let version: UInt16 = 1
    static let headerBytes = 80
    static let frameBytes = 12
    /// "MFB1".
    static let frameMarker: UInt32 = 0x3142_464D
    /// What must be there to check a frame: itself and the batch's header.
    static let probeBytes = frameBytes + RecordBatchHeader.size
    /// An index entry for about every so many bytes of data: the price of a random read is to pass over half of them.
    static let indexIntervalBytes = 32 << 10
    private static let magic: UInt64 = 0x3147_4553_5452_414D  // "MARTSEG1"

    /// What a segment is, known from outside the file; its checksum seeds those of its frames and indexes.
    struct Identity: Sendable, Equatable {
        var partition: TopicPartition
        var baseOffset: Int64
        /// Compaction writes a segment anew under the next generation.
        var generation: UInt64

        var seed: UInt32 {
            withUnsafeTemporaryAllocation(byteCount: 48, alignment: 8) { memory in
                write(to: memory)
                return crc32c(UnsafeRawBufferPointer(memory))
            }
        }

        fileprivate func write(to memory: UnsafeMutableRawBufferPointer) {
            memory.storeBytes(of: magic.littleEndian, toByteOffset: 0, as: UInt64.self)
            memory.storeBytes(of: UInt32(version).littleEndian, toByteOffset: 8, as: UInt32.self)
            memory.storeBytes(of: partition.partition.littleEndian, toByteOffset: 12, as: Int32.self)
            memory.storeBytes(of: partition.topic.high.littleEndian, toByteOffset: 16, as: UInt64.self)
            memory.storeBytes(of: partition.topic.low.littleEndian, toByteOffset: 24, as: UInt64.self)
            memory.storeBytes(of: baseOffset.littleEndian, toByteOffset: 32, as: Int64.self)
            memory.storeBytes(of: generation.littleEndian, toByteOffset: 40, as: UInt64.self)
        }
    }

    /// When the segment began. Of use for rolling by time; nothing that is served depends on it.
    struct Birth: Sendable, Equatable {
        /// Milliseconds since 1970, by the server's clock.
        var createdMillis: Int64
        /// The largest timestamp of its first batch; −1: none.
        var firstTimestamp: Int64
    }

    /// Appends the 80 bytes of a header.
    static func appendHeader(_ identity: Identity, _ birth: Birth, to sink: ByteSink) {
        let memory = UnsafeMutableRawBufferPointer(start: sink.reserve(headerBytes), count: headerBytes)
        for at in 48..<headerBytes { memory[at] = 0 }
        identity.write(to: memory)
        memory.storeBytes(of: birth.createdMillis.littleEndian, toByteOffset: 48, as: Int64.self)
        memory.storeBytes(of: birth.firstTimestamp.littleEndian, toByteOffset: 56, as: Int64.self)
        let checksum = crc32c(UnsafeRawBufferPointer(rebasing: memory[..<76]))
        memory.storeBytes(of: checksum.littleEndian, toByteOffset: 76, as: UInt32.self)
        sink.commit(headerBytes)
    }

    /// nil if the bytes are no intact header.
    static func readBirth(_ bytes: UnsafeRawBufferPointer) -> Birth? {
        guard bytes.count >= headerBytes,
            crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<76]))
                == UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 76, as: UInt32.self))
        else { return nil }
        return Birth(
            createdMillis: Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 48, as: Int64.self)),
            firstTimestamp: Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 56, as: Int64.self)))
    }

    /// Appends a frame and its batch.
    static func appendFrame(_ batch: UnsafeRawBufferPointer, seed: UInt32, to sink: ByteSink) {
        let frame = UnsafeMutableRawBufferPointer(start: sink.reserve(frameBytes + batch.count), count: frameBytes)
        frame.storeBytes(of: frameMarker.littleEndian, toByteOffset: 0, as: UInt32.self)
        frame.storeBytes(of: UInt32(batch.count).littleEndian, toByteOffset: 4, as: UInt32.self)
        frame.storeBytes(
            of: checksum(length: UnsafeRawBufferPointer(rebasing: frame[4..<8]), batch, seed).littleEndian, toByteOffset: 8,
            as: UInt32.self)
        sink.commit(frameBytes)
        sink.append(batch)
    }

    private static func checksum(length: UnsafeRawBufferPointer, _ batch: UnsafeRawBufferPointer, _ seed: UInt32) -> UInt32 {
        crc32c(UnsafeRawBufferPointer(rebasing: batch[..<RecordBatchHeader.size]), seed: crc32c(length, seed: seed))
    }

    /// What stands at the start of `bytes`, which begin where a frame should.
    enum Probe {
        /// A frame whose own checksum is right; the batch's records are not looked at and may not be there yet.
        case frame(RecordBatchHeader)
        /// Fewer than `probeBytes` bytes.
        case incomplete
        case damaged(String)
    }

    static func probe(_ bytes: UnsafeRawBufferPointer, seed: UInt32) -> Probe {
        guard bytes.count >= probeBytes else { return .incomplete }
        guard UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self)) == frameMarker else {
            return .damaged("no frame where one should start")
        }
        let batch = UnsafeRawBufferPointer(rebasing: bytes[frameBytes...])
        let stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        guard stored == checksum(length: UnsafeRawBufferPointer(rebasing: bytes[4..<8]), batch, seed) else {
            return .damaged("a frame's checksum does not match")
        }
        let header = RecordBatchHeader(unchecked: batch)
        let length = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
        guard length == header.byteCount, length >= RecordBatchHeader.size, batch[16] == 2 else {
            return .damaged("a frame's length is not its batch's")
        }
        return .frame(header)
    }
}
