internal import Glibc
internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletEngine
internal import MartletSQL
internal import MartletPlatform

/// One file of a source: a partition with its own watermark.
final class FilePartition: SourcePartition {
    private let input: FileInput
    private let intake: RecordIntake
    private let source: String
    private var hasEnded = false

    init(
        _ path: String, definition: SourceDefinition, ordinal: Int, partition: Int, columns: [Int], follows: Bool,
        clock: any Clock
    ) throws(SQLError) {
        source = definition.name
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

    func poll(bytes: Int, rows: Int, into receiver: any RecordReceiver) throws(SQLError) -> PollOutcome {
        if hasEnded { return .finished }
        let space = intake.space()
        let outcome: FileInput.Outcome
        do throws(IOError) {
            outcome = try input.read(into: UnsafeMutableRawBufferPointer(rebasing: space.prefix(bytes)))
        } catch {
            throw SQLError(.ioError, "source \"\(source)\": \(error)")
        }
        switch outcome {
        case .bytes(let count):
            try intake.take(count, rows: rows, into: receiver)
            return .progressed
        case .idle:
            return .idle
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

/// One share of a generator's stream: its events run through the same parser as everybody's records.
final class GeneratorPartition: SourcePartition {
    private let generator: any EventGenerator
    private let stream: Int
    private let step: UInt64
    private let ordinals: UInt64?
    private var next: UInt64
    private let intake: RecordIntake
    private let lines = ByteSink(capacity: 1 << 16)
    private var bytesDone: Int64 = 0

    init(
        _ generator: any EventGenerator, stream: Int, partition: Int, of count: Int, definition: SourceDefinition,
        ordinal: Int, columns: [Int], clock: any Clock
    ) throws(SQLError) {
        self.generator = generator
        self.stream = stream
        step = UInt64(count)
        ordinals = generator.count(of: stream)
        next = UInt64(partition)
        intake = try RecordIntake(
            definition, ordinal: ordinal, partition: partition, columns: columns,
            place: "\(generator.options.kind.rawValue) generator", clock: clock)
    }

    var progress: (done: Int64, total: Int64?) { (bytesDone, nil) }

    func reread(_ block: OriginBlock, rows: [Int]) throws(SQLError) -> Batch { try intake.reread(block, rows: rows) }

    func poll(bytes: Int, rows: Int, into receiver: any RecordReceiver) throws(SQLError) -> PollOutcome {
        var count = max(bytes / 200, 1)
        if let ordinals {
            guard next < ordinals else { return .finished }
            count = min(count, Int((ordinals - next + step - 1) / step))
        }
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
        return .progressed
    }
}
