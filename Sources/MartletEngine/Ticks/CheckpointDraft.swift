internal import MartletCore
internal import MartletState

/// A checkpoint being written: under a name that counts for nothing until `complete`.
///
/// The state is written by the driver at its tick; completing waits, on whatever thread, for what the checkpoint rests on:
/// its tick's commit is durable, and targets outside the log have its rows.
final class CheckpointDraft: @unchecked Sendable {
    // Sendable: the driver fills it and hands it over; one thread at a time has it.
    let header: CheckpointHeader
    private let disk: any Disk
    private let directory: String
    private let name: String
    private let file: any DiskFile
    private(set) var bytes: Int64 = 0
    private var checksum: UInt32 = 0

    private static let suffix = ".unfinished"

    init(_ disk: any Disk, directory: String, _ header: CheckpointHeader) throws(SQLError) {
        self.disk = disk
        self.directory = directory
        self.header = header
        name = CheckpointStore.name(of: header.tick)
        do throws(IOError) {
            file = try disk.open("\(directory)/\(name)\(CheckpointDraft.suffix)", .replace)
        } catch {
            throw SQLError(error.isOutOfSpace ? .diskFull : .ioError, "a checkpoint cannot be written: \(error)")
        }
        let body = ByteSink()
        body.append(little: header.tick)
        body.append(little: header.position)
        body.append(little: header.takenAt)
        body.append(little: header.shards)
        body.append(run: Array(header.topic.utf8))
        body.append(header.definition == nil ? 0 as UInt8 : 1)
        body.append(run: Array((header.definition ?? "").utf8))
        let head = ByteSink()
        CheckpointFile.magic.withUnsafeBytes { head.append($0) }
        head.append(little: CheckpointFile.version)
        head.append(little: UInt32(body.count))
        head.append(body.bytes)
        try put(head.bytes)
    }

    /// Bytes of the state, in order.
    func put(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        do throws(IOError) {
            try file.write(bytes, at: self.bytes)
        } catch {
            throw SQLError(error.isOutOfSpace ? .diskFull : .ioError, "a checkpoint cannot be written: \(error)")
        }
        checksum = crc32c(bytes, seed: checksum)
        self.bytes += Int64(bytes.count)
    }

    /// Makes it count: durable under its own name.
    func complete(_ marks: [(name: String, mark: SinkMark)]) throws(SQLError) {
        let trail = ByteSink()
        trail.append(little: checksum)
        TickRecord.encode(marks, into: trail)
        let foot = ByteSink()
        foot.append(little: UInt32(trail.count))
        foot.append(little: crc32c(trail.bytes))
        CheckpointFile.endMagic.withUnsafeBytes { foot.append($0) }
        do throws(IOError) {
            try file.write(trail.bytes, at: bytes)
            try file.write(foot.bytes, at: bytes + Int64(trail.count))
            try file.sync()
            try disk.rename("\(directory)/\(name)\(CheckpointDraft.suffix)", to: "\(directory)/\(name)")
            try disk.syncDirectory(directory)
        } catch {
            throw SQLError(error.isOutOfSpace ? .diskFull : .ioError, "a checkpoint cannot be written: \(error)")
        }
    }
}
