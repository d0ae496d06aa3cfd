package import MartletCore
internal import MartletState

/// Who can have a checkpoint's state written by a copy of the process, while this one goes on. Optional to a driver: without
/// one, or where a copy cannot be made, the machine stands still instead.
package protocol CheckpointCopies: AnyObject, Sendable {
    /// Whether a copy could be made now, in little time. False: that is being seen to, and whoever drives is woken.
    func isReady() -> Bool
    /// Runs `write` in a copy of the process in which `file` is open, and returns at once; it calls `progress` every now and
    /// then. `ended` is called in this process, on any thread. False: there is no copy, and `ended` is not called.
    func copy(
        keeping file: any DiskFile, _ write: (_ progress: @escaping () -> Void) -> CopyOutcome, ended: @escaping @Sendable (CopyOutcome) -> Void
    ) -> Bool
}

/// What became of a state that a copy of the process was to write.
package enum CopyOutcome: Sendable {
    /// All of it, and it is durable. `bytes` of the file, and the checksum over them.
    case written(bytes: Int64, checksum: UInt32)
    /// The disk did not take it.
    case failed(SQLError)
    /// The copy ended without a word.
    case died
    /// It was ended because nobody wants it any more.
    case canceled

    /// For the way from the copy to its parent: a kind, then numbers or texts.
    package var encoded: [UInt8] {
        let sink = ByteSink()
        switch self {
        case .written(let bytes, let checksum):
            sink.append(1 as UInt8)
            sink.append(little: bytes)
            sink.append(little: checksum)
        case .failed(let error):
            sink.append(2 as UInt8)
            sink.append(run: Array(error.state.code.utf8))
            sink.append(run: Array(error.message.utf8.prefix(2000)))
        case .died, .canceled: break
        }
        return Array(sink.bytes)
    }

    /// What is no outcome is that of a copy that died.
    package init(decoding bytes: [UInt8]) {
        do throws(ByteError) {
            self = try ByteReader.over(bytes) { (reader) throws(ByteError) in
                switch try reader.readUInt8() {
                case 1: .written(bytes: try reader.readLittle(), checksum: try reader.readLittle())
                case 2:
                    .failed(
                        SQLError(
                            SQLState(String(decoding: try reader.readRun(limit: reader.remaining), as: UTF8.self)),
                            String(decoding: try reader.readRun(limit: reader.remaining), as: UTF8.self)))
                default: .died
                }
            }
        } catch {
            self = .died
        }
    }
}

/// What became of a checkpoint. Unless it was taken, the one before still counts, and the records after it are kept.
package enum CheckpointNews: Sendable {
    /// `writeNanos`: how long the state took to be written.
    case taken(writeNanos: Int64, bytes: Int64)
    case failed(SQLError)
    /// The copy of the process that was to write it ended without a word, or was ended as it said nothing for too long.
    case copyDied
}
