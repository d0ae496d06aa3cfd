package import MartletCore

/// The control record that ends a transaction in a partition (KIP-98): key `version i16 · type i16` (0 abort, 1 commit),
/// value `version i16 · coordinatorEpoch i32`.
package struct ControlMarker: Sendable, Equatable {
    package var commits: Bool
    package var coordinatorEpoch: Int32

    package init(commits: Bool, coordinatorEpoch: Int32) {
        self.commits = commits
        self.coordinatorEpoch = coordinatorEpoch
    }

    /// Appends a batch with this marker alone, at offset 0, to `target`. `timestamp` in milliseconds.
    package func appendBatch(producerID: Int64, producerEpoch: Int16, timestamp: Int64, to target: ByteSink) {
        let builder = RecordBatchBuilder()
        builder.setProducer(id: producerID, epoch: producerEpoch, baseSequence: -1, isTransactional: true)
        builder.header.attributes |= BatchAttributes.control
        let epoch = UInt32(bitPattern: coordinatorEpoch)
        let value = [0, 0] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: epoch &>> $0) }
        builder.append(Record(timestamp: timestamp, key: [0, 0, 0, commits ? 1 : 0], value: value))
        do throws(BatchError) {
            try builder.finish(into: target)
        } catch {
            preconditionFailure("a marker of a few bytes is a batch: \(error)")
        }
    }

    /// The marker in a control batch; nil if it holds another kind of control record, or nothing any more.
    package init?(reading batch: UnsafeRawBufferPointer) throws(BatchError) {
        var reader = try RecordBatchReader(batch)
        guard reader.header.isControl, let record = try reader.next(), let key = record.key else { return nil }
        var keyReader = ByteReader(key)
        var valueReader = ByteReader(record.value ?? UnsafeRawBufferPointer(start: nil, count: 0))
        do throws(ByteError) {
            _ = try keyReader.readBig(Int16.self)
            let type = try keyReader.readBig(Int16.self)
            guard type == 0 || type == 1 else { return nil }
            _ = try valueReader.readBig(Int16.self)
            self.init(commits: type == 1, coordinatorEpoch: try valueReader.readBig())
        } catch {
            throw .corrupt("a control record that cannot be read: \(error)")
        }
    }
}
