internal import MartletCore
package import MartletLog
internal import MartletState

/// The topic that holds a machine's tick records, one partition, one record a tick, each committed together with what
/// the tick writes to other topics. Internal: clients see it marked so.
package struct TickLog: Sendable {
    package static let topicPrefix = "__martlet_ticks_"
    /// Nothing but `delete(before:)` removes records, in pieces of a segment.
    package static let settings = ["retention.ms": "-1", "retention.bytes": "-1", "segment.bytes": "67108864"]

    let log: Log
    let topic: Topic
    private var partition: TopicPartition { TopicPartition(topic: topic.id, partition: 0) }

    package init(_ log: Log, topic: Topic) {
        self.log = log
        self.topic = topic
    }

    /// The offsets that the topic has.
    func range() throws(SQLError) -> Range<Int64> {
        guard let status = log.status(partition) else { throw SQLError(.ioError, "topic \(topic.name) is gone") }
        return status.logStartOffset..<status.highWatermark
    }

    /// One commit of the log: the record, and what goes to other topics. Nil: the log has no room now; try again with the
    /// same batches.
    func commit(_ record: Append, _ appends: [Append]) throws(SQLError) -> Committed? {
        do throws(LogError) {
            return try log.commit(Commit(appends: [record] + appends))
        } catch {
            if error.isRetriable { return nil }
            throw SQLError(.ioError, "a tick cannot be committed: \(error)")
        }
    }

    /// The record as a batch for `commit`.
    func append(_ record: TickRecord, millis: Int64) throws(SQLError) -> Append {
        let bytes = ByteSink(capacity: record.machine.count + 64)
        record.encode(into: bytes)
        let builder = RecordBatchBuilder()
        builder.append(timestamp: millis, key: nil, value: bytes.bytes)
        do throws(BatchError) {
            let batch = try builder.finish()
            return Append(partition, batch.withUnsafeBytes { ByteSlice(copying: $0) })
        } catch {
            throw SQLError(.programLimitExceeded, "a tick cannot be committed: \(error)")
        }
    }

    /// Every record from `offset` on, in order. Blocks on the disk.
    func forEach(from offset: Int64, _ body: (TickRecord) throws(SQLError) -> Void) throws(SQLError) {
        let end = try range().upperBound
        var next = offset
        while next < end {
            let data: FetchedData
            do throws(LogError) {
                data = try log.readFromDisk(partition, from: next, maxBytes: TickLog.readBytes, isolation: .readCommitted)
            } catch {
                throw SQLError(.ioError, "topic \(topic.name): \(error)")
            }
            guard data.nextOffset > next else { return }
            for slice in data.slices {
                for record in try records(in: slice, from: next) { try body(record) }
            }
            next = data.nextOffset
        }
    }

    private static let readBytes = 4 << 20

    private func records(in slice: ByteSlice, from offset: Int64) throws(SQLError) -> [TickRecord] {
        var records: [TickRecord] = []
        do throws(BatchError) {
            for range in try RecordBatch.split(slice.bytes) {
                var reader = try RecordBatchReader(UnsafeRawBufferPointer(rebasing: slice.bytes[range]))
                while let record = try reader.next() {
                    guard record.offset >= offset else { continue }
                    do throws(StateError) {
                        records.append(try TickRecord(decoding: record.value ?? UnsafeRawBufferPointer(start: nil, count: 0)))
                    } catch {
                        throw BatchError.invalid("offset \(record.offset): \(error)")
                    }
                }
            }
            return records
        } catch {
            throw SQLError(.dataCorrupted, "topic \(topic.name): \(error)")
        }
    }

    /// Lets go of records that no checkpoint needs any more.
    func delete(before offset: Int64) throws(SQLError) {
        do throws(LogError) {
            _ = try log.deleteRecords(partition, before: offset)
        } catch {
            if error.isRetriable { return }
            throw SQLError(.ioError, "topic \(topic.name): \(error)")
        }
    }
}
