internal import MartletCore

/// The file `segments` of a partition's directory: which segments there are. A change of the set (a roll, retention,
/// compaction) is true from the moment this file is replaced by its successor, at one stroke; a data file that is not in it
/// does not count and is removed some time.
///
///     magic u64 · version u32 · partition i32 · topic u64 u64 · sequence u64 · startOffset i64 · cleanedOffset i64 ·
///     nextGeneration u64 · count u32 · { baseOffset i64 · generation u64 · bytes i64 · endOffset i64 · maxTimestamp i64 ·
///     sealedMillis i64 } … · crc u32, all of it twice
///
/// The second copy serves where the first is damaged. The last segment is the active one; how much of it counts is not said
/// here (bytes 0) but by the checkpoint that the store is opened with.
struct StoreManifest: Sendable, Equatable {
    static let fileName = "segments"
    static let newFileName = "segments.new"
    private static let magic: UInt64 = 0x314F_5453_5452_414D  // "MARTSTO1"
    private static let version: UInt32 = 1
    private static let headBytes = 76
    private static let entryBytes = 48

    /// Grows with each file that replaces another.
    var sequence: UInt64 = 0
    var startOffset: Int64 = 0
    /// Compaction has seen all keys below.
    var cleanedOffset: Int64 = 0
    var nextGeneration: UInt64 = 1
    var segments: [SegmentFacts] = []

    func append(to sink: ByteSink, partition: TopicPartition) {
        for _ in 0..<2 {
            let start = sink.count
            sink.append(little: StoreManifest.magic)
            sink.append(little: StoreManifest.version)
            sink.append(little: partition.partition)
            sink.append(little: partition.topic.high)
            sink.append(little: partition.topic.low)
            sink.append(little: sequence)
            sink.append(little: startOffset)
            sink.append(little: cleanedOffset)
            sink.append(little: nextGeneration)
            sink.append(little: UInt32(segments.count))
            sink.append(little: UInt64(0))
            for segment in segments {
                sink.append(little: segment.baseOffset)
                sink.append(little: segment.generation)
                sink.append(little: segment.bytes)
                sink.append(little: segment.endOffset)
                sink.append(little: segment.maxTimestamp)
                sink.append(little: segment.sealedMillis)
            }
            sink.append(little: crc32c(UnsafeRawBufferPointer(rebasing: sink.bytes[start...])))
        }
    }

    /// From a file's bytes; nil if neither copy is whole. `nextToken` names the segments.
    init?(reading bytes: UnsafeRawBufferPointer, partition: TopicPartition, nextToken: () -> Int) {
        let half = bytes.count / 2
        let copies = [bytes[..<half], bytes[(bytes.count - half)...]]
        for copy in copies {
            if let manifest = StoreManifest(copy: UnsafeRawBufferPointer(rebasing: copy), partition, nextToken) {
                self = manifest
                return
            }
        }
        return nil
    }

    init() {}

    private init?(copy: UnsafeRawBufferPointer, _ partition: TopicPartition, _ nextToken: () -> Int) {
        guard copy.count >= StoreManifest.headBytes + 4 else { return nil }
        let checked = UnsafeRawBufferPointer(rebasing: copy[..<(copy.count - 4)])
        guard crc32c(checked) == UInt32(littleEndian: copy.loadUnaligned(fromByteOffset: checked.count, as: UInt32.self)) else {
            return nil
        }
        var reader = ByteReader(checked)
        do throws(ByteError) {
            guard try reader.readLittle(UInt64.self) == StoreManifest.magic,
                try reader.readLittle(UInt32.self) == StoreManifest.version,
                try reader.readLittle(Int32.self) == partition.partition,
                try reader.readLittle(UInt64.self) == partition.topic.high,
                try reader.readLittle(UInt64.self) == partition.topic.low
            else { return nil }
            sequence = try reader.readLittle()
            startOffset = try reader.readLittle()
            cleanedOffset = try reader.readLittle()
            nextGeneration = try reader.readLittle()
            let count = Int(try reader.readLittle(UInt32.self))
            _ = try reader.readLittle(UInt64.self)
            guard count > 0, reader.remaining == count * StoreManifest.entryBytes else { return nil }
            for _ in 0..<count {
                segments.append(
                    SegmentFacts(
                        baseOffset: try reader.readLittle(), generation: try reader.readLittle(), bytes: try reader.readLittle(),
                        endOffset: try reader.readLittle(), maxTimestamp: try reader.readLittle(),
                        sealedMillis: try reader.readLittle(), token: nextToken()))
            }
        } catch {
            return nil
        }
    }
}
