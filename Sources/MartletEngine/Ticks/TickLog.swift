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

    /// The record, and what goes to other topics, as one.
    func commit(_ record: TickRecord, _ appends: [Append], millis: Int64) throws(SQLError) -> TickCommit {
        let bytes = ByteSink(capacity: record.machine.count + 64)
        record.encode(into: bytes)
        var batches: [Append] = []
        do throws(BatchError) {
            for piece in TickRecord.pieces(bytes, of: record.tick, bytesMax: bytesMax / 2) {
                let builder = RecordBatchBuilder()
                piece.withUnsafeBytes { builder.append(timestamp: millis, key: nil, value: $0) }
                let batch = try builder.finish()
                batches.append(Append(partition, batch.withUnsafeBytes { ByteSlice(copying: $0) }))
            }
        } catch {
            throw SQLError(.programLimitExceeded, "a tick cannot be committed: \(error)")
        }
        return TickCommit(partition, record: batches, appends, bytesMax: bytesMax)
    }

    /// What goes to other topics, without a record (`DurableOptions.isWithoutCommits`). There is something.
    func outputs(_ appends: [Append]) -> TickCommit { TickCommit(partition, record: [], appends, bytesMax: bytesMax) }

    /// Goes on with a commit; nil: the log has no room now.
    func advance(_ commit: inout TickCommit) throws(SQLError) -> (sequence: UInt64, position: Int64)? {
        do throws(LogError) {
            return try commit.advance(log)
        } catch {
            throw SQLError(.ioError, "a tick cannot be committed: \(error)")
        }
    }

    /// What goes to the log at a time: its limit leaves room for the batches' own frames.
    private var bytesMax: Int { log.options.commitBytesMax / 2 }

    /// Before anything is read or written: what a crash left half written is taken back. False: the log has no room for that
    /// now.
    func abandonOpen() throws(SQLError) -> Bool {
        do throws(LogError) {
            return try TickCommit.abandonOpen(partition, log)
        } catch {
            throw SQLError(.ioError, "topic \(topic.name): \(error)")
        }
    }

    /// Every record from `offset` on, in order. Blocks on the disk.
    func forEach(from offset: Int64, _ body: (TickRecord) throws(SQLError) -> Void) throws(SQLError) {
        let end = try range().upperBound
        var next = offset
        var pieces = TickRecord.Pieces()
        while next < end {
            let data: FetchedData
            do throws(LogError) {
                data = try log.readFromDisk(partition, from: next, maxBytes: TickLog.readBytes, isolation: .readCommitted)
            } catch {
                throw SQLError(.ioError, "topic \(topic.name): \(error)")
            }
            guard data.nextOffset > next else { return }
            var visible = CommittedBatches(aborted: data.abortedTransactions)
            for slice in data.slices {
                for bytes in try records(in: slice, from: next, &visible) {
                    if let record = try pieces.add(bytes) { try body(record) }
                }
            }
            next = data.nextOffset
        }
    }

    private static let readBytes = 4 << 20

    private func records(
        in slice: ByteSlice, from offset: Int64, _ visible: inout CommittedBatches
    ) throws(SQLError) -> [[UInt8]] {
        var records: [[UInt8]] = []
        do throws(BatchError) {
            for range in try RecordBatch.split(slice.bytes) {
                let batch = UnsafeRawBufferPointer(rebasing: slice.bytes[range])
                guard try visible.admits(batch) else { continue }
                var reader = try RecordBatchReader(batch)
                while let record = try reader.next() {
                    if record.offset >= offset { records.append(record.value.map { Array($0) } ?? []) }
                }
            }
            return records
        } catch {
            throw SQLError(.dataCorrupted, "topic \(topic.name): \(error)")
        }
    }

    /// Lets go of all records. Waits for room in the log: records without a checkpoint would be a past that is damaged.
    func deleteAll() throws(SQLError) {
        let end = try range().upperBound
        do throws(LogError) {
            _ = try log.whenThereIsRoom(for: "the end of \(topic.name)'s records") { () throws(LogError) in
                try log.deleteRecords(partition, before: end)
            }
        } catch {
            throw SQLError(.ioError, "topic \(topic.name): \(error)")
        }
    }

    /// Lets go of records that no checkpoint needs any more. Without room in the log, a later call does it.
    func delete(before offset: Int64) throws(SQLError) {
        do throws(LogError) {
            _ = try log.deleteRecords(partition, before: offset)
        } catch {
            if error.isRetriable { return }
            throw SQLError(.ioError, "topic \(topic.name): \(error)")
        }
    }
}
