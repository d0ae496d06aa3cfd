internal import MartletColumns
internal import MartletCore
internal import MartletEngine
internal import MartletLog
internal import MartletPlatform

/// Records of a topic as a `read_committed` consumer sees them. On threads that may block.
struct TopicReading: Sendable {
    let log: Log
    let topic: Topic

    /// Topics with more are asked for a partition at a time: a place in all of them is part of every event.
    static let partitionsMax: Int32 = 128

    init(_ log: Log, _ name: String) throws(SQLError) {
        guard let topic = log.topic(named: name) else { throw TopicReading.unknown(name) }
        self.log = log
        self.topic = topic
    }

    static func unknown(_ name: String) -> SQLError {
        SQLError(
            .undefinedTable, "topic \"\(name)\" does not exist",
            hint: "martlet topic create makes one; so does a view over a source with connector = 'kafka'.")
    }

    private func id(_ partition: Int32) -> TopicPartition { TopicPartition(topic: topic.id, partition: partition) }

    /// The partitions that `partition=N` names, or all.
    func partitions(_ text: String?) throws(SQLError) -> [Int32] {
        if let text { return [try TopicReading.partition(text, of: topic)] }
        guard topic.partitions <= TopicReading.partitionsMax else {
            throw SQLError(.invalidParameterValue, "topic \"\(topic.name)\" has \(topic.partitions) partitions: ask for one at a time (partition=N)")
        }
        return Array(0..<topic.partitions)
    }

    static func partition(_ text: String, of topic: Topic) throws(SQLError) -> Int32 {
        guard let number = Int32(text), number >= 0, number < topic.partitions else {
            throw SQLError(.invalidParameterValue, "topic \"\(topic.name)\" has partitions 0 to \(topic.partitions - 1), not \"\(text)\"")
        }
        return number
    }

    /// The offsets that there are.
    func range(_ partition: Int32) throws(SQLError) -> Range<Int64> {
        let first = try offset(.earliest, partition)
        return first..<max(first, try offset(.latest, partition))
    }

    func offset(_ question: OffsetQuestion, _ partition: Int32) throws(SQLError) -> Int64 {
        do throws(LogError) {
            return try log.offset(question, in: id(partition), isolation: .readCommitted).offset
        } catch {
            throw failed(error)
        }
    }

    /// The first record at or behind an instant, microseconds since 1970; without one the end.
    func offset(since micros: Int64, _ partition: Int32) throws(SQLError) -> Int64 {
        let found = try offset(.atOrAfter(micros / 1000), partition)
        return found < 0 ? try offset(.latest, partition) : found
    }

    /// Calls `body` with at most `recordsMax` records from `offset` on, of at most about `bytesMax`; returns where to go on.
    /// Offsets that are not there any more are passed over.
    func read(
        _ partition: Int32, from offset: Int64, recordsMax: Int, bytesMax: Int, _ body: (RecordView) -> Void
    ) throws(SQLError) -> Int64 {
        var (next, records, bytes) = (offset, 0, 0)
        while records < recordsMax, bytes < bytesMax {
            let data = try data(partition, from: next, bytesMax: bytesMax - bytes)
            next = max(next, data.logStartOffset)
            guard !data.slices.isEmpty || data.nextOffset > next else { break }
            var visible = CommittedBatches(aborted: data.abortedTransactions)
            var isFull = false
            do throws(BatchError) {
                for slice in data.slices where !isFull {
                    for range in try RecordBatch.split(slice.bytes) where !isFull {
                        let batch = UnsafeRawBufferPointer(rebasing: slice.bytes[range])
                        guard try visible.admits(batch) else { continue }
                        var reader = try RecordBatchReader(batch)
                        while let record = try reader.next() {
                            if record.offset < next { continue }
                            if records == recordsMax {
                                isFull = true
                                break
                            }
                            body(record)
                            records += 1
                            bytes += (record.key?.count ?? 0) + (record.value?.count ?? 0)
                            next = record.offset + 1
                        }
                    }
                }
            } catch {
                throw SQLError(.dataCorrupted, "topic \"\(topic.name)\": \(error)")
            }
            if !isFull { next = max(next, data.nextOffset) }
        }
        return next
    }

    private func data(_ partition: Int32, from offset: Int64, bytesMax: Int) throws(SQLError) -> FetchedData {
        do throws(LogError) {
            switch try log.readTail(id(partition), from: offset, maxBytes: bytesMax, isolation: .readCommitted) {
            case .found(let data), .atEnd(let data): return data
            case .needsDisk: return try log.readFromDisk(id(partition), from: offset, maxBytes: bytesMax, isolation: .readCommitted)
            }
        } catch .offsetOutOfRange(_, let start, let end) {
            guard offset < start else {
                throw SQLError(.invalidParameterValue, "partition \(partition) of topic \"\(topic.name)\" has no offset \(offset) yet: its end is \(end)")
            }
            return try data(partition, from: start, bytesMax: bytesMax)
        } catch {
            throw failed(error)
        }
    }

    /// Whether records have come since, without touching the disk.
    func hasMore(_ partition: Int32, behind offset: Int64) -> Bool {
        guard let status = log.status(id(partition)) else { return true }
        return status.lastStableOffset > offset
    }

    private func failed(_ error: LogError) -> SQLError {
        switch error {
        case .unknownTopic, .unknownPartition: SQLError(.undefinedTable, "topic \"\(topic.name)\" is gone")
        default: SQLError(.ioError, "topic \"\(topic.name)\": \(error)")
        }
    }
}

/// Where a reader stands in each of a topic's partitions, as text: `0:15,1:7`, the next offset of each.
struct TopicPlace: Equatable {
    var offsets: [(partition: Int32, next: Int64)]

    static func == (left: TopicPlace, right: TopicPlace) -> Bool {
        left.offsets.elementsEqual(right.offsets) { $0.partition == $1.partition && $0.next == $1.next }
    }

    init(_ offsets: [(partition: Int32, next: Int64)]) { self.offsets = offsets }

    init?(_ text: String) {
        offsets = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let pair = part.split(separator: ":", omittingEmptySubsequences: false)
            guard pair.count == 2, let partition = Int32(pair[0]), let next = Int64(pair[1]), partition >= 0, next >= 0,
                !offsets.contains(where: { $0.partition == partition })
            else { return nil }
            offsets.append((partition, next))
        }
    }

    subscript(partition: Int32) -> Int64? { offsets.first { $0.partition == partition }?.next }

    func append(to sink: ByteSink) {
        for (index, place) in offsets.enumerated() {
            if index > 0 { sink.append(",") }
            sink.append(decimal: Int64(place.partition))
            sink.append(":")
            sink.append(decimal: place.next)
        }
    }
}

/// Records as JSON: `{"partition":0,"offset":7,"timestamp":"…Z","key":"k","value":{…},"headers":[{"key":"a","value":"1"}]}`.
///
/// A value that is JSON is shown as such, one that is other text as a string; a key is always a string. Bytes that are no
/// text are shown in base64, the member's name ending in `_base64`.
enum RecordJSON {
    static func append(_ record: RecordView, partition: Int32, to sink: ByteSink) {
        sink.append("{\"partition\":")
        sink.append(decimal: Int64(partition))
        sink.append(",\"offset\":")
        sink.append(decimal: record.offset)
        sink.append(",\"timestamp\":")
        timestamp(record.timestamp, to: sink)
        member("key", record.key, isDocument: false, to: sink)
        member("value", record.value, isDocument: true, to: sink)
        sink.append(",\"headers\":[")
        for (index, header) in record.headers.enumerated() {
            sink.append(index == 0 ? "{\"key\":" : ",{\"key\":")
            sink.append(jsonString: String(decoding: header.key, as: UTF8.self))
            member("value", header.value, isDocument: false, to: sink)
            sink.append("}")
        }
        sink.append("]}")
    }

    private static func timestamp(_ millis: Int64, to sink: ByteSink) {
        let (micros, overflow) = millis.multipliedReportingOverflow(by: 1000)
        guard millis >= 0, !overflow else { return sink.append("null") }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Timestamps.textBytesMax + 1) { text in
            guard let start = text.baseAddress else { return }
            sink.append("\"")
            sink.append(UnsafePointer(start), Timestamps.writeUTC(micros, into: start))
            sink.append("\"")
        }
    }

    private static func member(_ name: StaticString, _ bytes: UnsafeRawBufferPointer?, isDocument: Bool, to sink: ByteSink) {
        sink.append(",\"")
        sink.append(name)
        guard let bytes else { return sink.append("\":null") }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            sink.append("_base64\":")
            bytes.withMemoryRebound(to: UInt8.self) { sink.append(base64: $0) }
            return
        }
        sink.append("\":")
        guard isDocument, (try? JSONNode(text: text)) != nil else { return sink.append(jsonString: text) }
        // Between members a line's end may stand; within strings there is none.
        for byte in bytes { sink.append(byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") ? UInt8(ascii: " ") : byte) }
    }
}
