internal import MartletCore
internal import Synchronization

extension PartitionStore {
    /// The first record, at or behind the start offset and before `end`, whose timestamp is `timestamp` or later; nil if there
    /// is none. Finds the segment by what is known of it, the place by the time index, then reads on from there.
    package func firstRecord(since timestamp: Int64, upTo end: Int64 = .max) throws(LogError) -> (offset: Int64, timestamp: Int64)?
    {
        var retries = 0
        while true {
            let (start, segments) = state.withLock { ($0.manifest.startOffset, $0.manifest.segments) }
            do throws(LogError) {
                for segment in segments where segment.hasData && segment.endOffset > start && segment.maxTimestamp >= timestamp {
                    if segment.baseOffset >= end { break }
                    if let found = try firstRecord(since: timestamp, in: segment, from: start, upTo: end) { return found }
                }
                return nil
            } catch {
                // As in a read: the segment may have been replaced or removed since it was looked up.
                guard state.withLock({ $0.manifest.segments }) != segments && retries < 8 else {
                    if case .io(.missing(let failure)) = error { throw missing(failure) }
                    throw error
                }
                retries += 1
            }
        }
    }

    private func firstRecord(
        since timestamp: Int64, in segment: SegmentFacts, from start: Int64, upTo end: Int64
    ) throws(LogError) -> (offset: Int64, timestamp: Int64)? {
        var (position, isFromIndex) = try locate(.timestamp(timestamp), in: segment)
        let seed = identity(segment).seed
        while true {
            var scan = SegmentScan(
                try io { () throws(IOError) in try file(segment) }, seed: seed, from: position, end: segment.bytes,
                chunkBytes: 256 << 10)
            var passed = segment.baseOffset
            scanning: while true {
                switch try io({ () throws(IOError) in try scan.next(verifying: true) }) {
                case .end: return nil
                case .damaged(let detail):
                    if isFromIndex && scan.position == position {
                        isFromIndex = false
                        try rebuildIndex(segment)
                        position = try locate(.timestamp(timestamp), in: segment).position
                        break scanning
                    }
                    let behind = max(firstOffset(after: scan.position, in: segment), passed + 1)
                    throw damage(segment.fileName, passed..<behind, detail)
                case .batch(let header, let batch):
                    passed = header.nextOffset
                    if header.baseOffset >= end { return nil }
                    if header.nextOffset <= start || header.maxTimestamp < timestamp { continue }
                    if let found = try firstRecord(since: timestamp, in: batch, segment, from: start, upTo: end) { return found }
                }
            }
        }
    }

    private func firstRecord(
        since timestamp: Int64, in batch: UnsafeRawBufferPointer, _ segment: SegmentFacts, from start: Int64, upTo end: Int64
    ) throws(LogError) -> (offset: Int64, timestamp: Int64)? {
        do throws(BatchError) {
            var reader = try RecordBatchReader(batch)
            while let record = try reader.next() {
                if record.timestamp >= timestamp && record.offset >= start && record.offset < end {
                    return (record.offset, record.timestamp)
                }
            }
            return nil
        } catch {
            let header = RecordBatchHeader(unchecked: batch)
            throw damage(segment.fileName, header.baseOffset..<header.nextOffset, "\(error)")
        }
    }
}
