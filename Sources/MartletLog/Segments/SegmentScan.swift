internal import MartletCore

/// Walks a segment's frames from some position on, by large reads. For one thread; the segment's file must not shrink.
struct SegmentScan {
    let file: any DiskFile
    let seed: UInt32
    /// Where the data that counts ends.
    let end: Int64
    /// Of the next frame.
    private(set) var position: Int64
    private var chunk: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    private var chunkPosition: Int64 = 0
    private let memory: ScanMemory

    init(_ file: any DiskFile, seed: UInt32, from position: Int64, end: Int64, chunkBytes: Int = 1 << 20) {
        self.file = file
        self.seed = seed
        self.position = position
        self.end = end
        memory = ScanMemory(chunkBytes)
    }

    /// What is found at `position`.
    enum Step {
        /// The frame's own checksum is right. Valid until the next step.
        case batch(RecordBatchHeader, UnsafeRawBufferPointer)
        case end
        /// `position` stays where the damage is.
        case damaged(String)
    }

    /// The next frame. With `verifying`, the batch's checksum too was right; without, its records are not vouched for.
    mutating func next(verifying: Bool) throws(IOError) -> Step {
        guard position < end else { return .end }
        var bytes = try load(SegmentFormat.probeBytes)
        let header: RecordBatchHeader
        switch SegmentFormat.probe(bytes, seed: seed) {
        case .incomplete: return .damaged("the data ends within a frame")
        case .damaged(let detail): return .damaged(detail)
        case .frame(let found): header = found
        }
        let size = SegmentFormat.frameBytes + header.byteCount
        guard Int64(size) <= end - position else { return .damaged("the data ends within a batch") }
        if verifying {
            bytes = try load(size)
            guard bytes.count >= size else { return .damaged("the data ends within a batch") }
            let batch = UnsafeRawBufferPointer(rebasing: bytes[SegmentFormat.frameBytes..<size])
            guard RecordBatch.isIntact(batch) else { return .damaged("a batch's checksum does not match") }
            position += Int64(size)
            return .batch(header, batch)
        }
        position += Int64(size)
        return .batch(header, UnsafeRawBufferPointer(rebasing: bytes[SegmentFormat.frameBytes..<SegmentFormat.probeBytes]))
    }

    /// At least `count` bytes at `position`, fewer only at the end of the file or of what counts.
    private mutating func load(_ count: Int) throws(IOError) -> UnsafeRawBufferPointer {
        let skipped = position - chunkPosition
        if skipped >= 0, skipped + Int64(count) <= Int64(chunk.count) {
            return UnsafeRawBufferPointer(rebasing: chunk[Int(skipped)...])
        }
        let wanted = Int(min(end - position, Int64(max(count, memory.chunkBytes))))
        let target = memory.reserve(wanted)
        let done = try file.readFully(into: target, at: position)
        chunk = UnsafeRawBufferPointer(rebasing: target[..<done])
        chunkPosition = position
        return chunk
    }
}

/// A scan's buffer, freed with it.
private final class ScanMemory {
    let chunkBytes: Int
    private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)

    init(_ chunkBytes: Int) { self.chunkBytes = chunkBytes }

    deinit { memory.deallocate() }

    func reserve(_ count: Int) -> UnsafeMutableRawBufferPointer {
        if memory.count < count {
            memory.deallocate()
            memory = .allocate(byteCount: count, alignment: 16)
        }
        return UnsafeMutableRawBufferPointer(rebasing: memory[..<count])
    }
}
