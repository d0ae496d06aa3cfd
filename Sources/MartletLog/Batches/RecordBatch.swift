internal import MartletCore

/// Operations on the bytes of version 2 record batches, in place and without an object per batch.
package enum RecordBatch {
    /// What a partition does to an accepted batch before it stores it. Offset and leader epoch lie outside the checksum;
    /// only a change of time asks for a new one.
    package static func assign(
        _ batch: UnsafeMutableRawBufferPointer, baseOffset: Int64, leaderEpoch: Int32, timestamps: TimestampChange = .none
    ) {
        batch.storeBytes(of: baseOffset.bigEndian, toByteOffset: 0, as: Int64.self)
        batch.storeBytes(of: leaderEpoch.bigEndian, toByteOffset: 12, as: Int32.self)
        switch timestamps {
        case .none: return
        case .maxTimestamp(let millis):
            batch.storeBytes(of: millis.bigEndian, toByteOffset: 35, as: Int64.self)
        case .logAppendTime(let millis):
            let attributes =
                Int16(bigEndian: batch.loadUnaligned(fromByteOffset: 21, as: Int16.self)) | BatchAttributes.logAppendTime
            batch.storeBytes(of: attributes.bigEndian, toByteOffset: 21, as: Int16.self)
            batch.storeBytes(of: millis.bigEndian, toByteOffset: 35, as: Int64.self)
        }
        let checksum = crc32c(UnsafeRawBufferPointer(rebasing: batch[RecordBatchHeader.checkedFrom...]))
        batch.storeBytes(of: checksum.bigEndian, toByteOffset: 17, as: UInt32.self)
    }

    /// Makes a finished batch one of a producer's transaction.
    package static func enlist(_ batch: UnsafeMutableRawBufferPointer, producerID: Int64, epoch: Int16, baseSequence: Int32) {
        var header = RecordBatchHeader(unchecked: UnsafeRawBufferPointer(batch))
        header.attributes |= BatchAttributes.transactional
        (header.producerID, header.producerEpoch, header.baseSequence) = (producerID, epoch, baseSequence)
        header.write(to: batch)
        let checksum = crc32c(UnsafeRawBufferPointer(rebasing: batch[RecordBatchHeader.checkedFrom...]))
        batch.storeBytes(of: checksum.bigEndian, toByteOffset: 17, as: UInt32.self)
    }

    /// How `assign` changes the batch's times.
    package enum TimestampChange: Sendable, Equatable {
        case none
        /// The header's maximum was not that of its records.
        case maxTimestamp(Int64)
        /// The topic counts the time of arrival: all records have this time, in milliseconds.
        case logAppendTime(Int64)
    }

    /// Cuts what a produce request brought into batches by their lengths. Kafka takes exactly one per partition; the caller
    /// refuses more. Throws if the bytes do not end with a batch.
    package static func split(_ bytes: UnsafeRawBufferPointer) throws(BatchError) -> [Range<Int>] {
        var parts: [Range<Int>] = []
        var start = 0
        while start < bytes.count {
            let header = try RecordBatchHeader(reading: UnsafeRawBufferPointer(rebasing: bytes[start...]))
            guard header.byteCount <= bytes.count - start else {
                throw .corrupt("a batch of \(header.byteCount) bytes, of which \(bytes.count - start) are there")
            }
            parts.append(start..<start + header.byteCount)
            start += header.byteCount
        }
        return parts
    }

    /// Whether the checksum of a batch that is all there is right.
    package static func isIntact(_ batch: UnsafeRawBufferPointer) -> Bool {
        batch.count >= RecordBatchHeader.size
            && UInt32(bigEndian: batch.loadUnaligned(fromByteOffset: 17, as: UInt32.self))
                == crc32c(UnsafeRawBufferPointer(rebasing: batch[RecordBatchHeader.checkedFrom...]))
    }
}
