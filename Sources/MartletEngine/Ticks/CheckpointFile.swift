package import MartletCore
package import MartletState

/// What a checkpoint's file says before its state.
package struct CheckpointHeader: Sendable, Equatable {
    /// The state is the one after this tick.
    package var tick: UInt64
    /// Where the ticks topic goes on: the offset of the first record after the tick.
    package var position: Int64
    /// The ticks topic's identity, 32 hexadecimal digits.
    package var topic: String
    /// Microseconds since 1970.
    package var takenAt: Int64
    /// On how many shards the machine ran.
    package var shards: UInt32
    /// The statements that the state belongs to; nil where the state itself has them.
    package var definition: String?

    package init(tick: UInt64, position: Int64, topic: String, takenAt: Int64, shards: UInt32, definition: String?) {
        self.tick = tick
        self.position = position
        self.topic = topic
        self.takenAt = takenAt
        self.shards = shards
        self.definition = definition
    }
}

/// A checkpoint's file, all of it but the state looked at (docs/formats/checkpoint-file.md has the bytes):
///
///     head    magic, version, length, header, checksum
///     state   as `StateWriter` frames it
///     trail   marks of targets outside the log, length and checksum of head and state
///     foot    length of the trail, its checksum, magic
package struct CheckpointFile: Sendable {
    package let path: String
    package let bytes: Int64
    package let header: CheckpointHeader
    package let marks: [(name: String, mark: SinkMark)]
    let state: Range<Int64>
    /// CRC32C of everything before the trail.
    let checksum: UInt32

    static let magic = Array("MRTCKPT1".utf8)
    static let endMagic = Array("MRTCKEND".utf8)
    static let version: UInt32 = 1
    static let headBytes = 16
    static let footBytes = 16
    /// A header holds SQL texts; a trail marks. More is damage.
    static let partBytesMax = 64 << 20

    /// Reads head and trail; `verify` looks at the state.
    init(_ disk: any Disk, path: String) throws(StateError) {
        self.path = path
        let file = try CheckpointFile.open(disk, path)
        let size: Int64
        do throws(IOError) { size = try file.facts().size } catch { throw StateError("\(path): \(error)") }
        bytes = size
        let head = try CheckpointFile.part(of: file, path, at: 0, CheckpointFile.headBytes)
        let foot = try CheckpointFile.part(of: file, path, at: size - Int64(CheckpointFile.footBytes), CheckpointFile.footBytes)
        let headerCount = try CheckpointFile.headerCount(head, path)
        let (trailCount, trailChecksum) = try CheckpointFile.trailCount(foot, path)
        let stateStart = Int64(CheckpointFile.headBytes + headerCount)
        let trailStart = size - Int64(CheckpointFile.footBytes + trailCount)
        guard stateStart <= trailStart else { throw StateError("\(path): it is shorter than its parts") }
        state = stateStart..<trailStart
        let header = try CheckpointFile.part(of: file, path, at: Int64(CheckpointFile.headBytes), headerCount)
        let trail = try CheckpointFile.part(of: file, path, at: trailStart, trailCount)
        guard crc32c(trail.bytes) == trailChecksum else { throw StateError("\(path): its end is damaged") }
        do throws(ByteError) {
            self.header = try CheckpointFile.decodeHeader(header.bytes)
            var reader = ByteReader(trail.bytes)
            checksum = try reader.readLittle(UInt32.self)
            marks = try TickRecord.decodeMarks(from: &reader)
        } catch {
            throw StateError("\(path): it is damaged: \(error)")
        }
    }

    private static func open(_ disk: any Disk, _ path: String) throws(StateError) -> any DiskFile {
        do throws(IOError) { return try disk.open(path, .read) } catch { throw StateError("\(path): \(error)") }
    }

    /// All of the bytes asked for.
    private static func part(
        of file: any DiskFile, _ path: String, at offset: Int64, _ count: Int
    ) throws(StateError) -> ByteSink {
        let part = ByteSink(capacity: max(count, 1))
        try read(file, path, at: offset, count, into: part)
        return part
    }

    /// The same, in the place of what is in `part`.
    private static func read(
        _ file: any DiskFile, _ path: String, at offset: Int64, _ count: Int, into part: ByteSink
    ) throws(StateError) {
        guard offset >= 0 else { throw StateError("\(path): it is shorter than its parts") }
        part.clear()
        do throws(IOError) {
            let got = try file.read(into: UnsafeMutableRawBufferPointer(start: part.reserve(count), count: count), at: offset)
            part.commit(got)
        } catch {
            throw StateError("\(path): \(error)")
        }
        guard part.count == count else { throw StateError("\(path): it is shorter than its parts") }
    }

    private static func headerCount(_ head: ByteSink, _ path: String) throws(StateError) -> Int {
        guard head.bytes.starts(with: magic) else { throw StateError("\(path): not a checkpoint") }
        let found = UInt32(littleEndian: head.bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        let count = UInt32(littleEndian: head.bytes.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
        guard found == version else {
            throw StateError("\(path): a checkpoint of version \(found); this program reads version \(version)")
        }
        guard count <= partBytesMax else { throw StateError("\(path): its header is damaged") }
        return Int(count)
    }

    private static func trailCount(_ foot: ByteSink, _ path: String) throws(StateError) -> (Int, UInt32) {
        guard foot.bytes.suffix(endMagic.count).elementsEqual(endMagic) else { throw StateError("\(path): it has no end") }
        let count = UInt32(littleEndian: foot.bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
        guard count <= partBytesMax else { throw StateError("\(path): its end is damaged") }
        return (Int(count), UInt32(littleEndian: foot.bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
    }

    private static func decodeHeader(_ bytes: UnsafeRawBufferPointer) throws(ByteError) -> CheckpointHeader {
        var reader = ByteReader(bytes)
        let tick = try reader.readLittle(UInt64.self)
        let position = try reader.readLittle(Int64.self)
        let takenAt = try reader.readLittle(Int64.self)
        let shards = try reader.readLittle(UInt32.self)
        let topic = String(decoding: try reader.readRun(limit: reader.remaining), as: UTF8.self)
        let hasDefinition = try reader.readUInt8() != 0
        let definition = String(decoding: try reader.readRun(limit: reader.remaining), as: UTF8.self)
        return CheckpointHeader(
            tick: tick, position: position, topic: topic, takenAt: takenAt, shards: shards,
            definition: hasDefinition ? definition : nil)
    }

    // MARK: The state

    /// Reads all of the file and throws where it is damaged.
    package func verify(_ disk: any Disk) throws(StateError) {
        let file = try CheckpointFile.open(disk, path)
        var found: UInt32 = 0
        var position: Int64 = 0
        let part = ByteSink(capacity: 1 << 20)
        while position < state.upperBound {
            let wanted = Int(min(1 << 20, state.upperBound - position))
            try CheckpointFile.read(file, path, at: position, wanted, into: part)
            found = crc32c(part.bytes, seed: found)
            position += Int64(wanted)
        }
        guard found == checksum else { throw StateError("\(path): the checksum does not fit; it is damaged") }
    }

    /// Gives the state, front to back.
    func reader(_ disk: any Disk) throws(StateError) -> StateReader {
        let file = try CheckpointFile.open(disk, path)
        var position = state.lowerBound
        let end = state.upperBound
        return StateReader { (buffer: UnsafeMutableRawBufferPointer) throws(SQLError) in
            let wanted = min(Int64(buffer.count), end - position)
            guard wanted > 0 else { return 0 }
            do throws(IOError) {
                let got = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(wanted)]), at: position)
                position += Int64(got)
                return got
            } catch {
                throw SQLError(.ioError, "\(error)")
            }
        }
    }
}
