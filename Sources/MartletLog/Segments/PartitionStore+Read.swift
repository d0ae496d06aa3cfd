internal import MartletCore
internal import Synchronization

/// What a read found.
package struct StoreRead: Sendable {
    /// Whole batches one behind the other, without Martlet's frames; each was verified. A slice may hold many.
    package var slices: [ByteSlice] = []
    package var byteCount = 0
    /// Where to go on: behind the last batch, or (where compaction left nothing in between) behind what was looked through.
    package var nextOffset: Int64
}

extension PartitionStore {
    private static let chunkBytesMax = 1 << 20
    private static let chunkBytesMin = 64 << 10
    /// Batches below this are moved together within a chunk, so that a read of many small batches is one slice.
    private static let movedBytesMax = 16 << 10

    /// The batches from the one that holds `offset` up to `end`, as many as `maxBytes` allow; the first is given even if it is
    /// larger. Reads forward by up to 1 MiB at once. Nothing at `endOffset`.
    ///
    /// Throws `.corrupt` if the batch at `offset` is damaged; damage further on ends the read before it.
    package func read(from offset: Int64, upTo end: Int64 = .max, maxBytes: Int) throws(LogError) -> StoreRead {
        var retries = 0
        while true {
            let (start, stored, segments) = state.withLock { ($0.manifest.startOffset, $0.active.endOffset, $0.manifest.segments) }
            guard offset >= start && offset <= max(stored, start) else {
                throw .offsetOutOfRange(requested: offset, start: start, end: max(stored, start))
            }
            var reading = Reading(end: min(end, stored), maxBytes: maxBytes, result: StoreRead(nextOffset: offset))
            do throws(LogError) {
                try read(&reading, segments)
                return reading.result
            } catch {
                // Damage behind something good is the next read's to report.
                if !reading.result.slices.isEmpty { return reading.result }
                // The segment was replaced by compaction, or removed, since its name was looked up.
                let now = state.withLock { $0.manifest.segments }
                guard now != segments && retries < 8 else { throw error }
                retries += 1
            }
        }
    }

    private struct Reading {
        let end: Int64
        let maxBytes: Int
        var result: StoreRead
        var isFull = false
    }

    private func read(_ reading: inout Reading, _ segments: [SegmentFacts]) throws(LogError) {
        // The last segment that begins at or before the offset, or the first.
        var index = max((segments.firstIndex { $0.baseOffset > reading.result.nextOffset } ?? segments.count) - 1, 0)
        while index < segments.count, !reading.isFull, reading.result.nextOffset < reading.end {
            let segment = segments[index]
            if segment.hasData && segment.endOffset > reading.result.nextOffset { try read(&reading, segment) }
            // Nothing more in this one, whatever compaction has left of it.
            if !reading.isFull { reading.result.nextOffset = max(reading.result.nextOffset, min(segment.endOffset, reading.end)) }
            index += 1
        }
    }

    private func read(_ reading: inout Reading, _ segment: SegmentFacts) throws(LogError) {
        let offset = reading.result.nextOffset
        var (position, isFromIndex) = try locateOrReport(offset, segment)
        let seed = identity(segment).seed
        while position < segment.bytes && !reading.isFull {
            let step: ChunkStep
            do throws(IOError) {
                step = try readChunk(&reading, segment, position, seed)
            } catch .missing {
                throw damage(segment.fileName, segment.baseOffset..<segment.endOffset, "the file is missing")
            } catch {
                throw LogError(error)
            }
            if let detail = step.damage {
                // An index that lies is no damage to data.
                if isFromIndex && reading.result.slices.isEmpty && step.position == position && step.damagedBatch == nil {
                    isFromIndex = false
                    try rebuildIndex(segment)
                    position = try locateOrReport(offset, segment).position
                    if position != step.position { continue }
                }
                // Where only the records are damaged the frame still says which; else all up to the next place the index knows.
                let from = reading.result.nextOffset
                let behind = step.damagedBatch?.nextOffset ?? firstOffset(after: step.position, in: segment)
                throw damage(segment.fileName, from..<max(behind, from + 1), detail)
            }
            isFromIndex = false
            position = step.position
        }
        let place = ReadPositions.Place(offset: reading.result.nextOffset, token: segment.token, position: position)
        if position < segment.bytes { state.withLock { $0.positions.note(place) } }
    }

    private func locateOrReport(_ offset: Int64, _ segment: SegmentFacts) throws(LogError) -> (position: Int64, fromIndex: Bool) {
        do throws(LogError) {
            return try locate(.offset(offset), in: segment)
        } catch .io(.missing) {
            throw damage(segment.fileName, segment.baseOffset..<segment.endOffset, "the file is missing")
        } catch {
            throw error
        }
    }

    private struct ChunkStep {
        /// Where the next frame starts, or the damage is.
        var position: Int64
        var damage: String?
        /// The batch that is damaged, where its frame is not.
        var damagedBatch: RecordBatchHeader?
        /// Bytes that a chunk must have to hold the frame at `position`; 0: not known to be too small.
        var needed = 0
    }

    /// Reads one chunk from a frame's start and takes the batches that are wanted.
    private func readChunk(
        _ reading: inout Reading, _ segment: SegmentFacts, _ position: Int64, _ seed: UInt32
    ) throws(IOError) -> ChunkStep {
        let file = try self.file(segment)
        var size = min(max(reading.maxBytes - reading.result.byteCount, PartitionStore.chunkBytesMin), PartitionStore.chunkBytesMax)
        while true {
            let wanted = Int(min(Int64(size), segment.bytes - position))
            let chunk = try ByteChunk(capacity: wanted) { (buffer) throws(IOError) in try file.readFully(into: buffer, at: position)
            }
            guard chunk.count == wanted else {
                return ChunkStep(
                    position: position, damage: "the file ends at \(position + Int64(chunk.count)) of \(segment.bytes) bytes")
            }
            let step = take(&reading, chunk, segment, position, seed)
            // One batch that is larger than the chunk: once more, with room for it.
            guard step.needed > wanted, step.position == position else { return step }
            guard Int64(step.needed) <= segment.bytes - position else {
                return ChunkStep(position: position, damage: "the data ends within a batch")
            }
            size = step.needed
        }
    }

    /// Verifies the chunk's frames and adds the batches between the reading's offsets to its result.
    private func take(
        _ reading: inout Reading, _ chunk: ByteChunk, _ segment: SegmentFacts, _ start: Int64, _ seed: UInt32
    ) -> ChunkStep {
        let bytes = chunk.bytesBeforeSharing
        let isLast = start + Int64(bytes.count) >= segment.bytes
        var at = 0
        // The batches taken so far that lie one behind the other.
        var run = 0..<0
        var step = ChunkStep(position: start)
        walking: while at < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[at...])
            switch SegmentFormat.probe(rest, seed: seed) {
            case .incomplete:
                if isLast { step.damage = "the data ends within a frame" }
                step.needed = SegmentFormat.probeBytes
                break walking
            case .damaged(let detail):
                step.damage = detail
                break walking
            case .frame(let header):
                let size = SegmentFormat.frameBytes + header.byteCount
                if header.nextOffset <= reading.result.nextOffset && Int64(size) <= segment.bytes - step.position {
                    // Before what is wanted.
                    at += size
                    step.position += Int64(size)
                    continue
                }
                let isFirst = reading.result.byteCount == 0
                if header.nextOffset > reading.end || !isFirst && reading.result.byteCount + header.byteCount > reading.maxBytes {
                    reading.isFull = true
                    break walking
                }
                guard size <= rest.count else {
                    step.needed = size
                    if isLast { step.damage = "the data ends within a batch" }
                    break walking
                }
                let batch = at + SegmentFormat.frameBytes..<at + size
                guard RecordBatch.isIntact(UnsafeRawBufferPointer(rebasing: bytes[batch])) else {
                    step.damage = "a batch's checksum does not match"
                    step.damagedBatch = header
                    break walking
                }
                if !run.isEmpty && header.byteCount <= PartitionStore.movedBytesMax {
                    let target = UnsafeMutableRawBufferPointer(rebasing: bytes[run.upperBound..<run.upperBound + batch.count])
                    target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[batch]))
                    run = run.lowerBound..<run.upperBound + batch.count
                } else {
                    if !run.isEmpty { reading.result.slices.append(ByteSlice(chunk, run)) }
                    run = batch
                }
                reading.result.byteCount += header.byteCount
                reading.result.nextOffset = header.nextOffset
                at += size
                step.position += Int64(size)
            }
        }
        if !run.isEmpty { reading.result.slices.append(ByteSlice(chunk, run)) }
        if reading.result.byteCount >= reading.maxBytes { reading.isFull = true }
        return step
    }
}
