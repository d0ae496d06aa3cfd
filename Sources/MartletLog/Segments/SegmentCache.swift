internal import MartletCore
internal import Synchronization

/// Open files and loaded indexes of all partitions, within fixed bounds: what was not used for longest goes first. A thousand
/// idle partitions hold neither.
///
/// Any thread. A file that is evicted while somebody reads from it stays open until that read ends.
package final class SegmentCache: Sendable {
    private struct Slot<Value: Sendable>: Sendable {
        var value: Value
        var lastUse: UInt64
    }

    private struct State: Sendable {
        var files: [Int: Slot<any DiskFile>] = [:]
        var indexes: [Int: Slot<SegmentIndex>] = [:]
        var indexBytes = 0
        var uses: UInt64 = 0
        var tokens = 0
    }

    private let openFilesMax: Int
    private let indexBytesMax: Int
    private let state = Mutex(State())
    /// Where a run of batches is put together for one write; kept from write to write.
    private let buffer = Mutex<KeptBuffer>(KeptBuffer())

    /// Sound: the sink is in use by one thread at a time, the one that took it out of the lock.
    private struct KeptBuffer: @unchecked Sendable { var sink: ByteSink? }

    /// `openFilesMax` descriptors for reading; segments written since their last sync are open besides.
    package init(openFilesMax: Int = 256, indexBytesMax: Int = 32 << 20) {
        self.openFilesMax = max(openFilesMax, 1)
        self.indexBytesMax = indexBytesMax
    }

    /// For tests and metrics: how many files are held open, and the bytes of indexes held.
    package var held: (files: Int, indexBytes: Int) { state.withLock { ($0.files.count, $0.indexBytes) } }

    func nextToken() -> Int {
        state.withLock {
            $0.tokens += 1
            return $0.tokens
        }
    }

    /// The file of segment `token`, opened by `open` unless it is held.
    func file(_ token: Int, open: () throws(IOError) -> any DiskFile) throws(IOError) -> any DiskFile {
        let held: (any DiskFile)? = state.withLock { state in
            state.uses += 1
            state.files[token]?.lastUse = state.uses
            return state.files[token]?.value
        }
        if let held { return held }
        let file = try open()
        let limit = openFilesMax
        state.withLock { state in
            state.files[token] = Slot(value: file, lastUse: state.uses)
            // A quarter at a time, so that the sort is paid once for many openings.
            if state.files.count > limit {
                let oldest = state.files.sorted { $0.value.lastUse < $1.value.lastUse }.prefix(
                    max(limit / 4, state.files.count - limit))
                for (token, _) in oldest { state.files[token] = nil }
            }
        }
        return file
    }

    func index(_ token: Int) -> SegmentIndex? {
        state.withLock { state in
            state.uses += 1
            state.indexes[token]?.lastUse = state.uses
            return state.indexes[token]?.value
        }
    }

    func keep(_ index: SegmentIndex, _ token: Int) {
        let limit = indexBytesMax
        state.withLock { state in
            state.indexBytes -= state.indexes[token]?.value.memoryBytes ?? 0
            state.indexes[token] = Slot(value: index, lastUse: state.uses)
            state.indexBytes += index.memoryBytes
            while state.indexBytes > limit, state.indexes.count > 1,
                let oldest = state.indexes.min(by: { $0.value.lastUse < $1.value.lastUse })
            {
                state.indexBytes -= oldest.value.value.memoryBytes
                state.indexes[oldest.key] = nil
            }
        }
    }

    /// The segment is gone.
    func forget(_ token: Int) {
        state.withLock { state in
            state.files[token] = nil
            state.indexBytes -= state.indexes.removeValue(forKey: token)?.value.memoryBytes ?? 0
        }
    }

    func takeBuffer() -> ByteSink {
        let kept = buffer.withLock { kept in
            defer { kept.sink = nil }
            return kept
        }
        return kept.sink ?? ByteSink(capacity: 1 << 20)
    }

    func giveBuffer(_ sink: ByteSink) {
        sink.clear()
        let kept = KeptBuffer(sink: sink)
        buffer.withLock { $0 = kept }
    }
}
