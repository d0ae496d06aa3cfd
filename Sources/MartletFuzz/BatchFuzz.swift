internal import MartletCore
internal import MartletLog

/// Invariants: a batch is refused or read; one that is accepted has as many records as it says, at contiguous offsets; it
/// stays intact when offsets and times are assigned; and built anew from its records it is accepted and has the same ones.
///
/// The input is tried as it is, and again with its length and checksum made right, since no mutation gets past them.
func fuzzBatch(_ input: UnsafeRawBufferPointer) {
    checkBatch([UInt8](input))
    guard input.count >= RecordBatchHeader.size else { return }
    var mended = [UInt8](input)
    mended.withUnsafeMutableBytes { batch in
        let length = Int32(batch.count - RecordBatchHeader.lengthFrom)
        batch.storeBytes(of: length.bigEndian, toByteOffset: 8, as: Int32.self)
        let checksum = crc32c(UnsafeRawBufferPointer(rebasing: batch[RecordBatchHeader.checkedFrom...]))
        batch.storeBytes(of: checksum.bigEndian, toByteOffset: 17, as: UInt32.self)
    }
    checkBatch(mended)
}

private let limits = BatchLimits(batchBytesMax: 1 << 20, decompressedBytesMax: 1 << 20, recordBytesMax: 1 << 20)

private func checkBatch(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { batch in
        let parts = try? RecordBatch.split(batch)
        precondition(parts.map { $0.reduce(0) { $0 + $1.count } == batch.count } ?? true, "the parts are the whole")
        let records = try? records(batch)
        guard let validated = try? RecordBatch.validate(batch, limits: limits) else { return }
        guard let records else { preconditionFailure("an accepted batch can be read") }
        precondition(parts == [0..<batch.count], "an accepted batch is one batch")
        precondition(records.count == Int(validated.header.count), "an accepted batch has the records it says")
        for (index, record) in records.enumerated() {
            precondition(record.offset == validated.header.baseOffset &+ Int64(index), "offsets are contiguous")
        }
        checkAssigned(bytes, validated)
        checkRebuilt(batch, validated, records)
    }
}

private func records(_ batch: UnsafeRawBufferPointer) throws(BatchError) -> [Record] {
    var reader = try RecordBatchReader(batch, decompressedBytesMax: limits.decompressedBytesMax)
    var records: [Record] = []
    while let record = try reader.next() { records.append(record.copy) }
    return records
}

private func checkAssigned(_ bytes: [UInt8], _ validated: ValidatedBatch) {
    var assigned = bytes
    for change in [validated.timestamps, .logAppendTime(1_700_000_000_000)] {
        let header = assigned.withUnsafeMutableBytes { batch in
            RecordBatch.assign(batch, baseOffset: 1 << 40, leaderEpoch: 3, timestamps: change)
            precondition(RecordBatch.isIntact(UnsafeRawBufferPointer(batch)), "an assigned batch is intact")
            return RecordBatchHeader(unchecked: UnsafeRawBufferPointer(batch))
        }
        precondition(header.baseOffset == 1 << 40 && header.count == validated.header.count, "only what was assigned changes")
    }
}

private func checkRebuilt(_ batch: UnsafeRawBufferPointer, _ validated: ValidatedBatch, _ expected: [Record]) {
    let builder = RecordBatchBuilder(replacing: validated.header)
    guard var reader = try? RecordBatchReader(batch, decompressedBytesMax: limits.decompressedBytesMax) else {
        preconditionFailure("what was read can be read")
    }
    while let record = (try? reader.next()) ?? nil { builder.append(record) }
    guard let rebuilt = try? builder.finish() else { preconditionFailure("a batch can be built from its records") }
    rebuilt.withUnsafeBytes { bytes in
        // Incompressible records may grow a little.
        var generous = limits
        generous.batchBytesMax *= 2
        guard let again = try? RecordBatch.validate(bytes, limits: generous), let found = try? records(bytes) else {
            preconditionFailure("a batch built from accepted records is accepted")
        }
        precondition(again.timestamps == .none, "a built batch has the right maximum of its times")
        precondition(found == expected, "a built batch has the records it was built from")
    }
}
