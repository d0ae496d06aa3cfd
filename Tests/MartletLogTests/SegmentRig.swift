internal import MartletCore
internal import MartletLog
internal import MartletTestKit
internal import Testing

/// A partition's store on a simulated disk, and the batches that were given to it.
final class SegmentRig {
    static let partition = TopicPartition(topic: TopicID(high: 7, low: 9), partition: 3)

    let disk: SimulatedDisk
    let clock = SimulatedClock()
    var options: StoreOptions
    var store: PartitionStore!
    /// What was last kept as durable.
    var checkpoint: StoreCheckpoint?
    /// Everything appended, by offset.
    var appended: [Record] = []
    var nextOffset: Int64 = 0
    let directory = "data/topics/x/3"
    var nowMillis: Int64 { clock.wallMicros() / 1_000 }

    init(seed: UInt64 = 1, options: StoreOptions = StoreOptions()) throws {
        disk = SimulatedDisk(seed: seed)
        self.options = options
        try disk.makeDirectory("data")
        try disk.syncDirectory(".")
        try open()
    }

    func open() throws {
        store = try PartitionStore.open(
            SegmentRig.partition, directory: directory, disk: disk, clock: clock, cache: SegmentCache(), options: options,
            checkpoint: checkpoint)
    }

    func crashAndOpen() throws {
        disk.crash()
        try open()
    }

    /// Appends one batch; offsets are given out one by one.
    @discardableResult
    func append(
        _ records: [Record], _ compression: Compression = .none, producer: (id: Int64, epoch: Int16, sequence: Int32)? = nil,
        isTransactional: Bool = false
    ) throws -> ByteSlice {
        let bytes = batch(records, compression, producer: producer, isTransactional: isTransactional, baseOffset: nextOffset)
        let slice = bytes.withUnsafeBytes { ByteSlice(copying: $0) }
        for (index, record) in records.enumerated() {
            var copy = record
            copy.offset = nextOffset + Int64(index)
            appended.append(copy)
        }
        nextOffset += Int64(records.count)
        try store.append([slice], nowMillis: nowMillis)
        return slice
    }

    /// Appends `count` batches of one to three records with these sizes of values, timestamps rising by 10 ms.
    func fill(batches: Int, valueBytes: Int = 100, _ compression: Compression = .none) throws {
        for _ in 0..<batches {
            let count = 1 + Int(nextOffset % 3)
            try append(
                (0..<count).map { index in
                    let offset = nextOffset + Int64(index)
                    return Record(
                        timestamp: 1_000_000 + offset * 10, key: Array("key-\(offset)".utf8),
                        value: [UInt8](repeating: UInt8(truncatingIfNeeded: offset), count: valueBytes))
                }, compression)
        }
    }

    func sync() throws {
        try store.sync()
        checkpoint = store.checkpoint
    }

    /// Reads everything from `offset` on, going on where each read says.
    func readAll(from offset: Int64, maxBytes: Int = 10_000) throws -> [Record] {
        var records: [Record] = []
        var next = offset
        while next < store.endOffset {
            let read = try store.read(from: next, maxBytes: maxBytes)
            for slice in read.slices { records += try MartletLogTests.records(in: slice) }
            guard read.nextOffset > next else {
                Issue.record("a read at \(next) of \(store.endOffset) did not go on")
                break
            }
            next = read.nextOffset
        }
        return records.filter { $0.offset >= offset }
    }

    func files(_ suffix: String) throws -> [String] {
        try disk.list(directory).filter { $0.hasSuffix(suffix) }.map { directory + "/" + $0 }
    }

    func contents(_ path: String) throws -> [UInt8] {
        let file = try disk.open(path, .update)
        var bytes = [UInt8](repeating: 0, count: Int(try file.facts().size))
        let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
        return Array(bytes[..<count])
    }

    func write(_ path: String, _ bytes: [UInt8]) throws {
        let file = try disk.open(path, .replace)
        try bytes.withUnsafeBytes { try file.write($0, at: 0) }
        try file.sync()
    }
}

/// All records of the batches in a slice.
func records(in slice: ByteSlice) throws -> [Record] {
    try withExtendedLifetime(slice) {
        try RecordBatch.split(slice.bytes).flatMap { range in
            try RecordBatchReader.records(UnsafeRawBufferPointer(rebasing: slice.bytes[range]))
        }
    }
}
