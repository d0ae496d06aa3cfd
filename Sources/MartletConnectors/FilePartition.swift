internal import Glibc
internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletEngine
internal import MartletSQL
internal import MartletState
internal import MartletPlatform

/// One file of a source: a partition with its own watermark.
final class FilePartition: SourcePartition {
    private let input: FileInput
    private let intake: RecordIntake
    private let source: String
    /// Another reader of the same file, for other columns.
    private let reopen: (_ columns: [Int]) throws(SQLError) -> FilePartition
    private var hasEnded = false

    init(
        _ path: String, definition: SourceDefinition, ordinal: Int, partition: Int, columns: [Int], follows: Bool,
        clock: any Clock
    ) throws(SQLError) {
        source = definition.name
        reopen = { (columns) throws(SQLError) in
            try FilePartition(
                path, definition: definition, ordinal: ordinal, partition: partition, columns: columns, follows: follows, clock: clock)
        }
        do throws(IOError) {
            input = try FileInput(path, follows: follows)
        } catch {
            if case .missing = error { throw SQLError(.undefinedFile, "source \"\(definition.name)\": \(error)") }
            throw SQLError(.ioError, "source \"\(definition.name)\": \(error)")
        }
        intake = try RecordIntake(
            definition, ordinal: ordinal, partition: partition, columns: columns, place: input.path, clock: clock)
    }

    var progress: (done: Int64, total: Int64?) { (input.bytesRead, input.totalBytes) }

    func reread(_ block: OriginBlock, rows: [Int]) throws(SQLError) -> Batch { try intake.reread(block, rows: rows) }

    /// What a file of the same name had before this one cannot be read again.
    func reopened(columns: [Int], at start: Int64?) throws(SQLError) -> (any SourcePartition)? {
        guard input.isRepeatable, start == nil || input.earlierBytes == 0 else { return nil }
        return try reopen(columns)
    }

    /// Bytes of whole records, of all files of the name.
    var position: Int64 { input.earlierBytes + intake.consumed }

    func save(into writer: StateWriter) {
        writer.write(input.earlierBytes)
        writer.write(hasEnded)
        intake.save(into: writer)
    }

    func restore(from reader: StateReader) throws(StateError) {
        let earlier: Int64 = try reader.read()
        hasEnded = try reader.readFlag()
        try intake.restore(from: reader)
        input.seek(to: intake.consumed, earlier: earlier)
    }

    func poll(upTo position: Int64, rows: Int, into receiver: any RecordReceiver) throws(SQLError) {
        while self.position < position {
            let left = position - input.earlierBytes - input.offset
            if left <= 0 {
                // What is not a whole record was the last one then.
                try intake.end(rows: rows, into: receiver)
                guard self.position == position else { throw changed(position) }
                return
            }
            let space = intake.space()
            let buffer = UnsafeMutableRawBufferPointer(rebasing: space.prefix(Int(clamping: left)))
            guard input.isRepeatable, case .bytes(let count) = try read(into: buffer) else { throw changed(position) }
            try intake.take(count, rows: rows, into: receiver)
        }
    }

    func poll(before limit: Int64, bytes: Int, rows: Int, into receiver: any RecordReceiver) throws(SQLError) {
        guard isBehind(limit) else { return }
        let left = limit - input.earlierBytes - input.offset
        // What is not a whole record was the last one.
        if left <= 0 { return try intake.end(rows: rows, into: receiver) }
        let space = intake.space()
        if case .bytes(let count) = try read(into: UnsafeMutableRawBufferPointer(rebasing: space.prefix(min(bytes, Int(clamping: left))))) {
            try intake.take(count, rows: rows, into: receiver)
        }
    }

    private func changed(_ position: Int64) -> SQLError {
        SQLError(
            .dataCorrupted, "source \"\(source)\": \(input.path) was read up to byte \(position) before, and that can no longer be read",
            hint: "A source's files must stay as they are, apart from growing, while a pipeline with a data directory reads them.")
    }

    func poll(bytes: Int, rows: Int, into receiver: any RecordReceiver) throws(SQLError) -> PollOutcome {
        if hasEnded { return .finished }
        var left = bytes
        while true {
            let space = UnsafeMutableRawBufferPointer(rebasing: intake.space().prefix(left))
            switch try read(into: space) {
            case .bytes(let count):
                try intake.take(count, rows: rows, into: receiver)
                left -= count
                if left <= 0 || count < space.count { return .progressed }
            case .idle:
                return left < bytes ? .progressed : .idle
            case .restarted:
                try intake.end(rows: rows, into: receiver)
                try intake.restart()
                return .progressed
            case .ended:
                hasEnded = true
                try intake.end(rows: rows, into: receiver)
                return .finished
            }
        }
    }

    private func read(into buffer: UnsafeMutableRawBufferPointer) throws(SQLError) -> FileInput.Outcome {
        do throws(IOError) {
            return try input.read(into: buffer)
        } catch {
            throw SQLError(.ioError, "source \"\(source)\": \(error)")
        }
    }
}

/// One share of a generator's stream: its events run through the same parser as everybody's records.
final class GeneratorPartition: SourcePartition {
    private let generator: any NumberedLines
    /// Records a second by the clock, of all shares together; nil: as fast as they are taken.
    private let rate: UInt64?
    private let clock: any Clock
    /// When this reader was first asked, and for which record.
    private var began: (nanos: Int64, record: UInt64)?
    private let stream: Int
    private let step: UInt64
    /// Another reader of the same share, for other columns.
    private let reopen: (_ columns: [Int]) throws(SQLError) -> GeneratorPartition
    private let ordinals: UInt64?
    private let first: UInt64
    private var next: UInt64
    private let intake: RecordIntake
    private let lines = ByteSink(capacity: 1 << 16)
    private var bytesDone: Int64 = 0

    init(
        _ generator: any NumberedLines, stream: Int, partition: Int, of count: Int, definition: SourceDefinition,
        ordinal: Int, columns: [Int], clock: any Clock, place: String, rate: UInt64? = nil
    ) throws(SQLError) {
        self.generator = generator
        self.rate = rate
        self.clock = clock
        self.stream = stream
        step = UInt64(count)
        reopen = { (columns) throws(SQLError) in
            try GeneratorPartition(
                generator, stream: stream, partition: partition, of: count, definition: definition, ordinal: ordinal, columns: columns,
                clock: clock, place: place, rate: rate)
        }
        ordinals = generator.count(of: stream)
        first = UInt64(partition)
        next = first
        intake = try RecordIntake(
            definition, ordinal: ordinal, partition: partition, columns: columns,
            place: place, clock: clock)
    }

    var progress: (done: Int64, total: Int64?) { (bytesDone, nil) }

    func reread(_ block: OriginBlock, rows: [Int]) throws(SQLError) -> Batch { try intake.reread(block, rows: rows) }

    func reopened(columns: [Int], at start: Int64?) throws(SQLError) -> (any SourcePartition)? { try reopen(columns) }

    /// The ordinal of the next event.
    var position: Int64 { Int64(clamping: next) }

    func save(into writer: StateWriter) {
        writer.write(next)
        writer.write(bytesDone)
        intake.save(into: writer)
    }

    func restore(from reader: StateReader) throws(StateError) {
        next = try reader.read()
        bytesDone = try reader.read()
        guard next % step == first % step, next <= ordinals ?? .max else { throw reader.error("an event that is another partition's") }
        try intake.restore(from: reader)
    }

    func poll(upTo position: Int64, rows: Int, into receiver: any RecordReceiver) throws(SQLError) {
        while self.position < position {
            let left = (UInt64(position) - next) / step
            guard left > 0 else { return }
            try deliver(Int(min(left, GeneratorPartition.replayEvents)), rows: rows, into: receiver)
        }
    }

    private static let replayEvents: UInt64 = 4096

    func poll(before limit: Int64, bytes: Int, rows: Int, into receiver: any RecordReceiver) throws(SQLError) {
        guard isBehind(limit) else { return }
        try deliver(min(max(bytes / 200, 1), Int((UInt64(limit) - next) / step)), rows: rows, into: receiver)
    }

    func poll(bytes: Int, rows: Int, into receiver: any RecordReceiver) throws(SQLError) -> PollOutcome {
        var count = max(bytes / 200, 1)
        if let ordinals {
            guard next < ordinals else { return .finished }
            count = min(count, Int((ordinals - next + step - 1) / step))
        }
        if let due = recordsDue() {
            guard next < due else { return .idle }
            count = min(count, Int(clamping: (due - next + step - 1) / step))
        }
        try deliver(count, rows: rows, into: receiver)
        return .progressed
    }

    /// The number of the first record whose time has not come; nil: there is no pace.
    private func recordsDue() -> UInt64? {
        guard let rate else { return nil }
        let now = clock.monotonicNanos()
        let start = began ?? (now, next)
        began = start
        let (records, overflow) = (UInt64(max(now - start.nanos, 0)) / 1000).multipliedReportingOverflow(by: rate)
        return overflow ? nil : start.record &+ records / 1_000_000
    }

    private func deliver(_ count: Int, rows: Int, into receiver: any RecordReceiver) throws(SQLError) {
        lines.clear()
        generator.write(stream, from: next, by: step, count: count, into: lines)
        next += UInt64(count) * step
        bytesDone += Int64(lines.count)
        var rest = lines.bytes[...]
        while !rest.isEmpty {
            let space = intake.space()
            let part = rest.prefix(space.count)
            space.copyMemory(from: UnsafeRawBufferPointer(rebasing: part))
            try intake.take(part.count, rows: rows, into: receiver)
            rest = rest.dropFirst(part.count)
        }
    }
}
