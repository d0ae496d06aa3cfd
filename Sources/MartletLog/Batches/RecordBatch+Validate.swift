/// What a batch from a client may be at most.
package struct BatchLimits: Sendable, Equatable {
    /// The topic's `max.message.bytes`: the whole batch as it came.
    package var batchBytesMax: Int
    /// What the records may decompress to; never more is allocated for them.
    package var decompressedBytesMax: Int
    /// One record, uncompressed.
    package var recordBytesMax: Int

    /// Kafka's default for the batch, Martlet's for the record (16 MiB), and four such records decompressed.
    package init(batchBytesMax: Int = 1_048_588, decompressedBytesMax: Int = 64 << 20, recordBytesMax: Int = 16 << 20) {
        self.batchBytesMax = batchBytesMax
        self.decompressedBytesMax = decompressedBytesMax
        self.recordBytesMax = recordBytesMax
    }
}

/// What a topic asks of records.
package struct TopicRules: Sendable, Equatable {
    /// Compacted topics refuse records without a key.
    package var requiresKeys: Bool
    /// Records get the time of their arrival, and theirs is not judged.
    package var usesLogAppendTime: Bool
    /// Milliseconds; how far a record's time may lie before or after `nowMillis`.
    package var timestampBeforeMaxMillis: Int64
    package var timestampAfterMaxMillis: Int64
    /// Milliseconds since 1970, as the server sees it.
    package var nowMillis: Int64

    /// No limits on time.
    package init(
        requiresKeys: Bool = false, usesLogAppendTime: Bool = false, timestampBeforeMaxMillis: Int64 = .max,
        timestampAfterMaxMillis: Int64 = .max, nowMillis: Int64 = 0
    ) {
        self.requiresKeys = requiresKeys
        self.usesLogAppendTime = usesLogAppendTime
        self.timestampBeforeMaxMillis = timestampBeforeMaxMillis
        self.timestampAfterMaxMillis = timestampAfterMaxMillis
        self.nowMillis = nowMillis
    }
}

/// A batch that may be appended.
package struct ValidatedBatch: Sendable, Equatable {
    package var header: RecordBatchHeader
    /// What `RecordBatch.assign` has to change in it.
    package var timestamps: RecordBatch.TimestampChange
    /// Bytes of the records, uncompressed.
    package var recordBytes: Int
}

extension RecordBatch {
    /// Judges one batch from a client as Kafka's broker does: format, lengths, checksum, codec; offset deltas that count
    /// 0, 1, 2 …; no control records; keys where the topic needs them; sizes; times. Compressed records are decompressed
    /// within `limits`. A wrong `maxTimestamp` is no reason to refuse; `timestamps` of the result says to correct it.
    ///
    /// Any thread. Allocates nothing for an uncompressed batch. O(bytes).
    package static func validate(
        _ batch: UnsafeRawBufferPointer, limits: BatchLimits = BatchLimits(), rules: TopicRules = TopicRules()
    ) throws(BatchError) -> ValidatedBatch {
        let header = try RecordBatchHeader(reading: batch)
        guard header.byteCount == batch.count else {
            throw .corrupt("the batch says it has \(header.byteCount) bytes, and \(batch.count) came")
        }
        guard batch.count <= limits.batchBytesMax else { throw .tooLarge(bytes: batch.count, limit: limits.batchBytesMax) }
        guard isIntact(batch) else { throw .corrupt("the checksum of the batch does not match its bytes") }
        try validate(header)
        guard let compression = header.compression else { throw .unsupportedCodec(header.codecNumber) }
        let stored = UnsafeRawBufferPointer(rebasing: batch[RecordBatchHeader.size...])
        let maxTimestamp: Int64
        var recordBytes = stored.count
        if compression == .none {
            maxTimestamp = try validateRecords(stored, header, limits, rules)
        } else {
            let decompressed = try Compression.decompress(stored, compression, limit: limits.decompressedBytesMax)
            recordBytes = decompressed.bytes.count
            // The records are read through a pointer, which keeps nothing alive.
            maxTimestamp = try withExtendedLifetime(decompressed) { () throws(BatchError) in
                try validateRecords(decompressed.bytes, header, limits, rules)
            }
        }
        let change: TimestampChange =
            if rules.usesLogAppendTime {
                .logAppendTime(rules.nowMillis)
            } else if maxTimestamp != header.maxTimestamp {
                .maxTimestamp(maxTimestamp)
            } else {
                .none
            }
        return ValidatedBatch(header: header, timestamps: change, recordBytes: recordBytes)
    }

    private static func validate(_ header: RecordBatchHeader) throws(BatchError) {
        guard header.count > 0 else { throw .invalid("a batch of \(header.count) records") }
        guard header.lastOffsetDelta == header.count &- 1 else {
            throw .invalid("the last offset delta is \(header.lastOffsetDelta) in a batch of \(header.count) records")
        }
        guard !header.isControl else { throw .invalid("clients may not write control records") }
        guard !header.hasDeleteHorizon else { throw .invalid("clients may not set a delete horizon") }
        guard !header.isLogAppendTime else { throw .invalidTimestamp("clients may not set the time of arrival") }
        if header.hasProducer {
            guard header.producerEpoch >= 0 else { throw .invalid("a producer epoch of \(header.producerEpoch)") }
            guard header.baseSequence >= 0 else { throw .invalid("a producer's sequence of \(header.baseSequence)") }
        } else if header.isTransactional {
            throw .invalid("a transactional batch without a producer id")
        }
    }

    /// The records' maximum timestamp; −1 if none has one. Runs once per record produced: see `RecordCursor`.
    private static func validateRecords(
        _ bytes: UnsafeRawBufferPointer, _ header: RecordBatchHeader, _ limits: BatchLimits, _ rules: TopicRules
    ) throws(BatchError) -> Int64 {
        let (earliest, latest) = window(rules)
        var cursor = RecordCursor(bytes)
        var maxTimestamp: Int64 = -1
        var index: Int32 = 0
        while index < header.count {
            guard let record = cursor.next() else { throw badRecord(cursor, index, header.count) }
            let (timestamp, overflows) = header.baseTimestamp.addingReportingOverflow(record.timestampDelta)
            let isExpected =
                record.offsetDelta == index && !overflows && record.byteCount <= limits.recordBytesMax
                && (record.key != nil || !rules.requiresKeys)
                && (timestamp >= earliest && timestamp <= latest || timestamp == -1)
            guard isExpected else { throw refuse(record, Int(index), followedBy: cursor, header, limits, rules) }
            maxTimestamp = max(maxTimestamp, timestamp)
            index &+= 1
        }
        guard cursor.isAtEnd else { throw .corrupt("bytes follow the last of the batch's \(header.count) records") }
        return maxTimestamp
    }

    /// The times that are taken. All of them where the topic sets its own.
    private static func window(_ rules: TopicRules) -> (earliest: Int64, latest: Int64) {
        if rules.usesLogAppendTime { return (.min, .max) }
        let earliest = rules.nowMillis.subtractingReportingOverflow(rules.timestampBeforeMaxMillis)
        let latest = rules.nowMillis.addingReportingOverflow(rules.timestampAfterMaxMillis)
        let isUnbounded = rules.timestampBeforeMaxMillis == .max || earliest.overflow
        return (isUnbounded ? .min : earliest.partialValue, latest.overflow ? .max : latest.partialValue)
    }

    private static func badRecord(_ cursor: RecordCursor, _ index: Int32, _ count: Int32) -> BatchError {
        if cursor.isAtEnd { return .invalid("the batch says it has \(count) records, and has \(index)") }
        return .corrupt("record \(index) of the batch is malformed")
    }

    /// What is wrong with this record, and which of those behind it have such a fault too: a client gives up the records at
    /// fault, and may send the others again.
    private static func refuse(
        _ record: RecordParts, _ index: Int, followedBy rest: RecordCursor, _ header: RecordBatchHeader, _ limits: BatchLimits,
        _ rules: TopicRules
    ) -> BatchError {
        if record.offsetDelta != Int32(index) {
            return .invalid("an offset delta of \(record.offsetDelta) where \(index) is due", records: [index])
        }
        if record.byteCount > limits.recordBytesMax { return .tooLarge(bytes: record.byteCount, limit: limits.recordBytesMax) }
        let window = window(rules)
        var records = [index]
        var rest = rest
        var next = index + 1
        while next < Int(header.count), records.count < BatchError.recordsMax, let record = rest.next() {
            if breaks(rules, window, record, header) { records.append(next) }
            next += 1
        }
        if record.key == nil && rules.requiresKeys {
            return .invalid("a compacted topic takes no record without a key", records: records)
        }
        let (timestamp, overflows) = header.baseTimestamp.addingReportingOverflow(record.timestampDelta)
        if overflows { return .invalidTimestamp("a timestamp beyond what 64 bits hold", records: records) }
        return .invalidTimestamp(
            "timestamp \(timestamp) is outside what the topic takes at \(rules.nowMillis): \(rules.timestampBeforeMaxMillis) ms "
                + "before to \(rules.timestampAfterMaxMillis) ms after", records: records)
    }

    private static func breaks(
        _ rules: TopicRules, _ window: (earliest: Int64, latest: Int64), _ record: RecordParts, _ header: RecordBatchHeader
    ) -> Bool {
        let (timestamp, overflows) = header.baseTimestamp.addingReportingOverflow(record.timestampDelta)
        let isInTime = timestamp >= window.earliest && timestamp <= window.latest || timestamp == -1
        return overflows || !isInTime || record.key == nil && rules.requiresKeys
    }
}
