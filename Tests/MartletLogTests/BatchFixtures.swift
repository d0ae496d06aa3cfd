internal import MartletCore
internal import MartletLog

/// Three records as kafka-python 3.0.12 builds them (`kafka.record.default_records.DefaultRecordBatchBuilder`): producer 77,
/// epoch 3, sequence 5, at 1700000000000 ms, with a null key, a null value, a repeated header and a header of null.
enum KafkaPythonBatches {
    static let hexadecimal: [(Compression, String)] = [
        (
            .none,
            "0000000000000000000000b300000000021a03ef560000000000020000018bcfe568000000018bcfe569f400000000000000"
                + "4d00030000000500000003b8010000000a616c706861a0016f6e65206f6e65206f6e65206f6e65206f6e65206f6e65206f6e"
                + "65206f6e65206f6e65206f6e65206f6e65206f6e65206f6e65206f6e65206f6e65206f6e65206f6e65206f6e65206f6e6520"
                + "6f6e6520002e00e80702010674776f0604683102780468320104683100160013040a67616d6d610100"
        ),
        (
            .gzip,
            "00000000000000000000007c00000000029b535dc00001000000020000018bcfe568000000018bcfe569f400000000000000"
                + "4d000300000005000000031f8b08006163076b02ffdbc1c8c0c0c09598539091b880313f2f55819a98418fe1053b13235b49"
                + "793e1b4b862153054b86112390c120c620ccc2959e989b9bc8c8000082f9e7bc82000000"
        ),
        (
            .snappy,
            "000000000000000000000085000000000271d424700002000000020000018bcfe568000000018bcfe569f400000000000000"
                + "4d0003000000050000000382534e4150505900000000010000000100000040820140b8010000000a616c706861a0016f6e65"
                + "20fe04002e040090002e00e80702010674776f0604683102780468320104683100160013040a67616d6d610100"
        ),
        (
            .lz4,
            "00000000000000000000008500000000023f051a4c0003000000020000018bcfe568000000018bcfe569f400000000000000"
                + "4d0003000000050000000304224d1868408200000000000000f13d000000ff02b8010000000a616c706861a0016f6e652004"
                + "0039f016002e00e80702010674776f0604683102780468320104683100160013040a67616d6d61010000000000"
        ),
        (
            .zstd,
            "0000000000000000000000780000000002fe2aca720004000000020000018bcfe568000000018bcfe569f400000000000000"
                + "4d0003000000050000000328b52ffd2082f501006403b8010000000a616c706861a0016f6e6520002e00e80702010674776f"
                + "0604683102780468320104683100160013040a67616d6d610100010073d42d01"
        ),
    ]

    static let records = [
        Record(
            offset: 0, timestamp: 1_700_000_000_000, key: Array("alpha".utf8),
            value: Array(String(repeating: "one ", count: 20).utf8)),
        Record(
            offset: 1, timestamp: 1_700_000_000_500, key: nil, value: Array("two".utf8),
            headers: [
                RecordHeader(key: Array("h1".utf8), value: Array("x".utf8)), RecordHeader(key: Array("h2".utf8), value: nil),
                RecordHeader(key: Array("h1".utf8), value: []),
            ]),
        Record(offset: 2, timestamp: 1_699_999_999_990, key: Array("gamma".utf8), value: nil),
    ]
}

func bytes(hexadecimal text: String) -> [UInt8] {
    let digits = text.utf8.map { $0 <= 57 ? $0 - 48 : $0 - 87 }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

/// A batch of these records.
func batch(
    _ records: [Record], _ compression: Compression = .none, producer: (id: Int64, epoch: Int16, sequence: Int32)? = nil,
    isTransactional: Bool = false, baseOffset: Int64 = 0
) -> [UInt8] {
    let builder = RecordBatchBuilder(compression: compression)
    builder.header.baseOffset = baseOffset
    builder.header.partitionLeaderEpoch = 0
    if let producer {
        builder.setProducer(
            id: producer.id, epoch: producer.epoch, baseSequence: producer.sequence, isTransactional: isTransactional)
    }
    for record in records { builder.append(record) }
    do throws(BatchError) {
        return try builder.finish()
    } catch {
        fatalError("a test's batch: \(error)")
    }
}

/// A record of text.
func record(_ key: String?, _ value: String?, at timestamp: Int64 = 0, offset: Int64 = 0) -> Record {
    Record(offset: offset, timestamp: timestamp, key: key.map { Array($0.utf8) }, value: value.map { Array($0.utf8) })
}

/// Changes a batch in place and makes its checksum right again.
func altered(_ batch: [UInt8], _ change: (inout [UInt8]) -> Void) -> [UInt8] {
    var copy = batch
    change(&copy)
    let checksum = copy.withUnsafeBytes { crc32c(UnsafeRawBufferPointer(rebasing: $0[RecordBatchHeader.checkedFrom...])) }
    for (index, shift) in [24, 16, 8, 0].enumerated() { copy[17 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(shift)) }
    return copy
}

/// The error of a validation; nil if the batch is accepted.
func refusal(_ batch: [UInt8], limits: BatchLimits = BatchLimits(), rules: TopicRules = TopicRules()) -> BatchError? {
    batch.withUnsafeBytes { bytes in
        do throws(BatchError) {
            _ = try RecordBatch.validate(bytes, limits: limits, rules: rules)
            return nil
        } catch {
            return error
        }
    }
}

func validated(
    _ batch: [UInt8], limits: BatchLimits = BatchLimits(), rules: TopicRules = TopicRules()
) throws -> ValidatedBatch {
    try batch.withUnsafeBytes { try RecordBatch.validate($0, limits: limits, rules: rules) }
}

func records(in batch: [UInt8]) throws -> [Record] {
    try batch.withUnsafeBytes { try RecordBatchReader.records($0) }
}
