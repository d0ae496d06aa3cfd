package import MartletCore

/// Builds one batch: what Martlet itself produces, and what compaction leaves of others'.
///
/// For one thread. Records are encoded as they come; `finish` compresses and checksums. Reusable: `finish` empties it and
/// keeps its memory.
package final class RecordBatchBuilder {
    /// Offset, producer, attributes (with the codec) of the batch to come. `count`, `batchLength`, `crc`, `maxTimestamp` and,
    /// unless fixed, `baseTimestamp` and `lastOffsetDelta` are filled in by `finish`.
    package var header: RecordBatchHeader
    /// The codec's level; 0: its default.
    package var level: Int
    private let records = ByteSink()
    private let record = ByteSink(capacity: 64)
    private var lastDelta: Int32 = -1
    private var hasFixedTime = false
    private var fixedLastOffsetDelta: Int32?

    package init(compression: Compression = .none, level: Int = 0) {
        header = RecordBatchHeader()
        header.attributes = Int16(compression.rawValue)
        self.level = level
    }

    /// A batch to replace another: offsets, producer and attributes stay, records may be fewer. `baseTimestamp` is the
    /// original's, or a delete horizon that the caller sets together with its attribute.
    package init(replacing original: RecordBatchHeader) {
        header = original
        level = 0
        hasFixedTime = true
        fixedLastOffsetDelta = original.lastOffsetDelta
        header.count = 0
        // Under log append time the maximum is every record's time, and stays.
        if !original.isLogAppendTime { header.maxTimestamp = -1 }
    }

    /// Who wrote the batch; `baseSequence` is its first record's.
    package func setProducer(id: Int64, epoch: Int16, baseSequence: Int32, isTransactional: Bool = false) {
        header.producerID = id
        header.producerEpoch = epoch
        header.baseSequence = baseSequence
        if isTransactional { header.attributes |= BatchAttributes.transactional }
    }

    package var count: Int { Int(header.count) }
    package var isEmpty: Bool { header.count == 0 }
    /// About what the batch takes, uncompressed.
    package var byteCount: Int { RecordBatchHeader.size + records.count }

    /// Adds a record at the next offset. `timestamp` in milliseconds, −1 for none.
    package func append(
        timestamp: Int64, key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?, headers: [RecordHeader] = []
    ) {
        record.clear()
        for header in headers {
            header.key.withUnsafeBytes { appendRun($0, to: record) }
            if let value = header.value { value.withUnsafeBytes { appendRun($0, to: record) } } else { appendRun(nil, to: record) }
        }
        append(
            offsetDelta: lastDelta &+ 1, timestamp: timestamp, key: key, value: value, headerCount: headers.count,
            encodedHeaders: record.bytes)
    }

    /// As above, with the offset and the headers of a record that is carried over.
    package func append(_ view: RecordView) {
        append(
            offsetDelta: Int32(truncatingIfNeeded: view.offset &- header.baseOffset), timestamp: view.timestamp, key: view.key,
            value: view.value, headerCount: view.headers.count, encodedHeaders: view.headers.bytes)
    }

    package func append(_ record: Record) {
        withBytes(record.key) { key in
            withBytes(record.value) { value in
                append(timestamp: record.timestamp, key: key, value: value, headers: record.headers)
            }
        }
    }

    /// Appends the finished batch to `target` and starts over with an empty one, whose header keeps producer and attributes.
    /// The batch must have a record, unless it replaces another.
    package func finish(into target: ByteSink) throws(BatchError) {
        var finished = header
        finished.lastOffsetDelta = fixedLastOffsetDelta ?? lastDelta
        let start = target.count
        _ = target.reserve(RecordBatchHeader.size)
        target.commit(RecordBatchHeader.size)
        if header.count > 0, let compression = header.compression {
            try Compression.compress(records.bytes, compression, level: level) { target.append($0) }
        }
        let size = target.count - start
        guard size <= Int(Int32.max) else { throw .tooLarge(bytes: size, limit: Int(Int32.max)) }
        finished.batchLength = Int32(size - RecordBatchHeader.lengthFrom)
        let base = UnsafeMutableRawBufferPointer(mutating: UnsafeRawBufferPointer(rebasing: target.bytes[start...]))
        finished.write(to: base)
        finished.crc = crc32c(UnsafeRawBufferPointer(rebasing: base[RecordBatchHeader.checkedFrom...]))
        finished.write(to: base)
        records.clear()
        header.count = 0
        lastDelta = -1
        if !hasFixedTime { header.baseTimestamp = -1 }
        if !header.isLogAppendTime { header.maxTimestamp = -1 }
    }

    /// The finished batch in an array of its own.
    package func finish() throws(BatchError) -> [UInt8] {
        let sink = ByteSink(capacity: byteCount)
        try finish(into: sink)
        return [UInt8](sink.bytes)
    }

    private func append(
        offsetDelta: Int32, timestamp: Int64, key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?, headerCount: Int,
        encodedHeaders: UnsafeRawBufferPointer
    ) {
        if header.count == 0 && !hasFixedTime { header.baseTimestamp = timestamp }
        if !header.isLogAppendTime { header.maxTimestamp = max(header.maxTimestamp, timestamp) }
        let timestampDelta = timestamp &- header.baseTimestamp
        let body =
            1 + varintSize(timestampDelta) + varintSize(Int64(offsetDelta)) + runSize(key) + runSize(value)
            + varintSize(Int64(headerCount)) + encodedHeaders.count
        appendVarint(Int64(body), to: records)
        records.append(0)
        appendVarint(timestampDelta, to: records)
        appendVarint(Int64(offsetDelta), to: records)
        appendRun(key, to: records)
        appendRun(value, to: records)
        appendVarint(Int64(headerCount), to: records)
        records.append(encodedHeaders)
        header.count += 1
        lastDelta = offsetDelta
    }
}

private func varintSize(_ value: Int64) -> Int {
    let raw = UInt64(bitPattern: (value &<< 1) ^ (value &>> 63))
    return max((64 - raw.leadingZeroBitCount + 6) / 7, 1)
}

private func runSize(_ run: UnsafeRawBufferPointer?) -> Int {
    guard let run else { return 1 }
    return varintSize(Int64(run.count)) + run.count
}

/// Zigzag, seven bits a byte, least significant first.
private func appendVarint(_ value: Int64, to sink: ByteSink) {
    var rest = UInt64(bitPattern: (value &<< 1) ^ (value &>> 63))
    while rest >= 0x80 {
        sink.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest &>>= 7
    }
    sink.append(UInt8(truncatingIfNeeded: rest))
}

private func appendRun(_ run: UnsafeRawBufferPointer?, to sink: ByteSink) {
    guard let run else { return appendVarint(-1, to: sink) }
    appendVarint(Int64(run.count), to: sink)
    sink.append(run)
}

private func withBytes(_ bytes: [UInt8]?, _ body: (UnsafeRawBufferPointer?) -> Void) {
    if let bytes { bytes.withUnsafeBytes { body($0) } } else { body(nil) }
}
