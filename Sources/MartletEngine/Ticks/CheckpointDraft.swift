internal import MartletCore
internal import MartletState

/// A checkpoint being written: under a name that counts for nothing until `complete`.
///
/// The state is written by the driver at its tick, or by a copy of the process made there; completing waits, on whatever
/// thread, for what the checkpoint rests on: its tick's commit is durable, and targets outside the log have its rows.
final class CheckpointDraft: @unchecked Sendable {
    // Sendable: the driver fills it and hands it over; one thread at a time has it.
    let header: CheckpointHeader
    private let disk: any Disk
    private let directory: String
    private let name: String
    /// Where it is written.
    private let path: String
    let file: any DiskFile
    /// The file may be longer than what is written to it.
    private let isReused: Bool
    private(set) var bytes: Int64 = 0
    private var checksum: UInt32 = 0
    /// How long the state took to be written.
    var writeNanos: Int64 = 0

    private static let suffix = ".unfinished"

    /// - Parameter spare: a file to write over.
    init(_ disk: any Disk, directory: String, _ header: CheckpointHeader, spare: String?) throws(SQLError) {
        self.disk = disk
        self.directory = directory
        self.header = header
        name = CheckpointStore.name(of: header.tick)
        isReused = spare != nil
        path = spare ?? "\(directory)/\(name)\(CheckpointDraft.suffix)"
        do throws(IOError) {
            file = try disk.open(path, spare == nil ? .replace : .update)
        } catch {
            throw CheckpointDraft.failure(error)
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
            throw CheckpointDraft.failure(error)
        }
        checksum = crc32c(bytes, seed: checksum)
        self.bytes += Int64(bytes.count)
    }

    /// Writes a whole state.
    func fill(_ save: StateSave) throws(SQLError) {
        let writer = StateWriter { (bytes: UnsafeRawBufferPointer) throws(SQLError) in try self.put(bytes) }
        try save(writer)
        try writer.finish()
    }

    /// As `fill`, for a copy of the process: what is written goes to the device in small pieces as it comes, so that the
    /// journal's syncs do not queue behind a large one, and is durable when this returns. `progress` is told of each piece.
    func fillPaced(_ save: StateSave, _ progress: @escaping () -> Void) -> CopyOutcome {
        var paced = bytes
        do throws(SQLError) {
            let writer = StateWriter { (bytes: UnsafeRawBufferPointer) throws(SQLError) in
                try self.put(bytes)
                guard self.bytes - paced >= CheckpointDraft.pieceBytes else { return }
                self.file.writeBack(from: paced, count: Int(self.bytes - paced))
                paced = self.bytes
                progress()
            }
            try save(writer)
            try writer.finish()
            do throws(IOError) { try file.sync() } catch { throw CheckpointDraft.failure(error) }
            return .written(bytes: bytes, checksum: checksum)
        } catch {
            return .failed(error)
        }
    }

    /// A sync of the journal waits for one piece at most.
    private static let pieceBytes: Int64 = 1 << 20

    /// What a copy of the process wrote.
    func wasFilled(bytes: Int64, checksum: UInt32) {
        self.bytes = bytes
        self.checksum = checksum
    }

    /// Gives it up: its bytes are wanted by others.
    func discard() { try? disk.remove(path) }

    private static func failure(_ error: IOError) -> SQLError {
        SQLError(error.isOutOfSpace ? .diskFull : .ioError, "a checkpoint cannot be written: \(error)")
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
            if isReused { try file.truncate(to: bytes + Int64(trail.count + foot.count)) }
            try file.sync()
            try disk.rename(path, to: "\(directory)/\(name)")
            try disk.syncDirectory(directory)
        } catch {
            throw CheckpointDraft.failure(error)
        }
    }
}
