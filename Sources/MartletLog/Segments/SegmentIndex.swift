internal import MartletCore

/// Where to start looking in a segment: a batch's start about every 32 KiB.
struct IndexEntry: Sendable, Equatable {
    /// Of the frame, from the file's start.
    var position: UInt32
    /// The batch's base offset less the segment's.
    var relativeOffset: UInt32
    /// The largest timestamp of all batches before; −1: none. Never falls from entry to entry.
    var maxTimestampBefore: Int64
}

/// A segment's offset index and time index, in memory: entries in order of position. 16 bytes each.
struct SegmentIndex: Sendable, Equatable {
    private(set) var entries: [IndexEntry] = []
    /// Of everything before `coveredBytes`.
    private(set) var maxTimestamp: Int64
    /// The data from `startBytes` up to here is indexed.
    private(set) var coveredBytes: Int64
    /// A damaged frame stopped the making of this index: what lies behind cannot be found.
    var isCut = false
    /// Later than the header for the part of an active segment that this process wrote.
    let startBytes: Int64

    init(startBytes: Int64 = Int64(SegmentFormat.headerBytes), maxTimestamp: Int64 = -1) {
        self.startBytes = startBytes
        self.maxTimestamp = maxTimestamp
        coveredBytes = startBytes
    }

    /// This, and what starts where this ends.
    func followed(by rest: SegmentIndex) -> SegmentIndex {
        precondition(rest.startBytes == coveredBytes, "parts of an index meet")
        var joined = self
        joined.entries += rest.entries
        joined.maxTimestamp = max(maxTimestamp, rest.maxTimestamp)
        joined.coveredBytes = rest.coveredBytes
        return joined
    }

    /// Notes the batch whose frame starts at `coveredBytes`.
    mutating func note(_ header: RecordBatchHeader, segmentBase: Int64) {
        let isDue = entries.last.map { coveredBytes - Int64($0.position) >= Int64(SegmentFormat.indexIntervalBytes) } ?? true
        if isDue {
            entries.append(
                IndexEntry(
                    position: UInt32(truncatingIfNeeded: coveredBytes),
                    relativeOffset: UInt32(truncatingIfNeeded: header.baseOffset &- segmentBase), maxTimestampBefore: maxTimestamp))
        }
        maxTimestamp = max(maxTimestamp, header.maxTimestamp)
        coveredBytes += Int64(SegmentFormat.frameBytes + header.byteCount)
    }

    /// The last place at or before the batch that holds, or is the first after, `relativeOffset`. O(log n).
    func floor(relativeOffset: Int64) -> IndexEntry? {
        entry(before: { Int64($0.relativeOffset) > relativeOffset })
    }

    /// The last place such that no record before it is as late as `timestamp`. O(log n).
    func floor(timestamp: Int64) -> IndexEntry? {
        entry(before: { $0.maxTimestampBefore >= timestamp })
    }

    /// The first place behind `position`: where data can be found again after a damaged batch.
    func next(after position: Int64) -> IndexEntry? {
        let index = firstIndex { Int64($0.position) > position }
        return index < entries.count ? entries[index] : nil
    }

    private func entry(before isBeyond: (IndexEntry) -> Bool) -> IndexEntry? {
        let index = firstIndex(where: isBeyond)
        return index > 0 ? entries[index - 1] : nil
    }

    /// The first entry of which `isBeyond` is true, as it is of all that follow it.
    private func firstIndex(where isBeyond: (IndexEntry) -> Bool) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if isBeyond(entries[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    var memoryBytes: Int { entries.count * MemoryLayout<IndexEntry>.stride + 64 }
}

/// The two index files. Each is one block with one checksum, which also covers the segment's identity: damaged in any bit, torn
/// or left over from another segment, it is not used, and made again from the data.
///
///     magic u64 · version u32 · count u32 · coveredBytes i64 · maxTimestamp i64 · entries · crc u32
///
/// An entry of the offset index is `relativeOffset u32 · position u32`, of the time index `maxTimestampBefore i64 ·
/// relativeOffset u32`.
extension SegmentIndex {
    private static let offsetMagic: UInt64 = 0x3158_4449_5452_414D  // "MARTIDX1"
    private static let timeMagic: UInt64 = 0x3158_5449_5452_414D  // "MARTITX1"
    private static let version: UInt32 = 1
    private static let headBytes = 32

    func appendOffsetFile(seed: UInt32, to sink: ByteSink) {
        appendFile(SegmentIndex.offsetMagic, seed, sink) { entry in
            sink.append(little: entry.relativeOffset)
            sink.append(little: entry.position)
        }
    }

    func appendTimeFile(seed: UInt32, to sink: ByteSink) {
        appendFile(SegmentIndex.timeMagic, seed, sink) { entry in
            sink.append(little: entry.maxTimestampBefore)
            sink.append(little: entry.relativeOffset)
        }
    }

    private func appendFile(_ magic: UInt64, _ seed: UInt32, _ sink: ByteSink, _ appendEntry: (IndexEntry) -> Void) {
        let start = sink.count
        sink.append(little: magic)
        sink.append(little: SegmentIndex.version)
        sink.append(little: UInt32(entries.count))
        sink.append(little: coveredBytes)
        sink.append(little: maxTimestamp)
        for entry in entries { appendEntry(entry) }
        sink.append(little: crc32c(UnsafeRawBufferPointer(rebasing: sink.bytes[start...]), seed: seed))
    }

    /// From the two files' bytes; nil unless both are whole, belong together and fit a segment of `segmentBytes` bytes.
    init?(offsetFile: UnsafeRawBufferPointer, timeFile: UnsafeRawBufferPointer, seed: UInt32, segmentBytes: Int64) {
        let count = (offsetFile.count - SegmentIndex.headBytes - 4) / 8
        guard count >= 0, offsetFile.count == SegmentIndex.headBytes + count * 8 + 4,
            timeFile.count == SegmentIndex.headBytes + count * 12 + 4,
            SegmentIndex.isIntact(offsetFile, SegmentIndex.offsetMagic, seed, count),
            SegmentIndex.isIntact(timeFile, SegmentIndex.timeMagic, seed, count)
        else { return nil }
        startBytes = Int64(SegmentFormat.headerBytes)
        coveredBytes = Int64(littleEndian: offsetFile.loadUnaligned(fromByteOffset: 16, as: Int64.self))
        maxTimestamp = Int64(littleEndian: offsetFile.loadUnaligned(fromByteOffset: 24, as: Int64.self))
        guard coveredBytes >= Int64(SegmentFormat.headerBytes), coveredBytes <= segmentBytes,
            coveredBytes == Int64(littleEndian: timeFile.loadUnaligned(fromByteOffset: 16, as: Int64.self))
        else { return nil }
        entries.reserveCapacity(count)
        for index in 0..<count {
            let offset = SegmentIndex.headBytes + index * 8
            let time = SegmentIndex.headBytes + index * 12
            entries.append(
                IndexEntry(
                    position: UInt32(littleEndian: offsetFile.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)),
                    relativeOffset: UInt32(littleEndian: offsetFile.loadUnaligned(fromByteOffset: offset, as: UInt32.self)),
                    maxTimestampBefore: Int64(littleEndian: timeFile.loadUnaligned(fromByteOffset: time, as: Int64.self))))
        }
    }

    private static func isIntact(_ bytes: UnsafeRawBufferPointer, _ magic: UInt64, _ seed: UInt32, _ count: Int) -> Bool {
        let checksum = crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 4)]), seed: seed)
        return UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: bytes.count - 4, as: UInt32.self)) == checksum
            && UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)) == magic
            && UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self)) == version
            && UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 12, as: UInt32.self)) == UInt32(truncatingIfNeeded: count)
    }
}

extension ByteSink {
    func append<Number: FixedWidthInteger & BitwiseCopyable>(little value: Number) {
        let size = MemoryLayout<Number>.size
        UnsafeMutableRawPointer(reserve(size)).storeBytes(of: value.littleEndian, as: Number.self)
        commit(size)
    }
}
