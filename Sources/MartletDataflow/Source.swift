package import MartletColumns
package import MartletCore
package import MartletState

/// How a source's event time becomes a watermark. All durations in microseconds.
package struct EventTimePolicy: Sendable {
    /// The watermark column among the columns that the readers deliver; nil: the source has no watermark.
    package var column: Int?
    package var delay: Int64
    package var idleTimeout: Int64?
    package var maxFutureSkew: Int64?

    /// Event times beyond ±2^62 µs (146,000 years from 1970) are refused, so that a window's bounds are timestamps too.
    package static let magnitudeMax: Int64 = 1 << 62

    package init(column: Int?, delay: Int64 = 0, idleTimeout: Int64? = nil, maxFutureSkew: Int64? = nil) {
        self.column = column
        self.delay = delay
        self.idleTimeout = idleTimeout
        self.maxFutureSkew = maxFutureSkew
    }
}

/// What happens to a record that cannot be read.
package enum BadRecordPolicy: Sendable { case deadLetter, skip, fail }

package enum PollOutcome: Sendable {
    /// Records were delivered; there may be more.
    case progressed
    /// Nothing there now.
    case idle
    /// Nothing there, nor will there be.
    case finished
}

/// What one partition of a source delivers to.
package protocol RecordReceiver: AnyObject {
    /// The wall clock of the tick (microseconds since 1970): what a reader notes as the time of its reading. A reader's own
    /// clock would say something else when the tick is carried out again.
    var wallMicros: Int64 { get }
    /// Rows with origins, in the partition's order. Columns as the source declared them to the graph.
    func receive(_ batch: Batch)
    /// A record that could not be read.
    func reject(_ letter: DeadLetter)
}

/// One partition of a source: a file, a topic partition, a generator's share. Used by one shard's thread.
///
/// What lies between two positions is always the same records and dead letters, however they are cut into batches; that is
/// what a tick is carried out again from. A reader is brought back by `restore` of what `save` wrote, and goes on from there.
package protocol PartitionReader: AnyObject {
    /// Delivers at most about `bytes` of input, in batches of at most `rows` rows; never waits for more.
    func poll(bytes: Int, rows: Int, into receiver: any RecordReceiver) throws(SQLError) -> PollOutcome
    /// Delivers everything up to `position`, where a reader of this partition once stood, and stands there then. Where that
    /// can no longer be read it throws, and never delivers less.
    func poll(upTo position: Int64, rows: Int, into receiver: any RecordReceiver) throws(SQLError)
    /// Delivers like the first `poll`, and nothing beyond `limit`, where another reader of this partition stands.
    func poll(before limit: Int64, bytes: Int, rows: Int, into receiver: any RecordReceiver) throws(SQLError)
    /// Whether another reader of this partition, which stands at `position`, has read what this one has not.
    func isBehind(_ position: Int64) -> Bool
    /// Where the next poll starts; means something to this kind of reader only. Never goes back, and has moved on whenever
    /// something was delivered.
    var position: Int64 { get }
    /// Its place, and whatever else the next poll needs to know.
    func save(into writer: StateWriter)
    /// Into a reader that was not polled yet. What is gone by now is the next poll's error.
    func restore(from reader: StateReader) throws(StateError)
    /// Bytes read so far, and in all where that is known: for progress.
    var progress: (done: Int64, total: Int64?) { get }
}

extension PartitionReader {
    package func poll(before limit: Int64, bytes: Int, rows: Int, into receiver: any RecordReceiver) throws(SQLError) {
        if isBehind(limit) { try poll(upTo: limit, rows: rows, into: receiver) }
    }

    package func isBehind(_ position: Int64) -> Bool { self.position < position }
}

/// A partition's place in event time. Watermarks never regress.
package struct PartitionTime: Sendable {
    /// Greatest event time seen, or nil.
    package private(set) var maximum: Int64?
    /// Rows of a partition that returned from idleness are judged by the source's watermark at its return, if that is later.
    package private(set) var floor: Watermark = .start
    package var isFinished = false
    package var isIdle = false
    /// When its last rows came, by the monotonic clock.
    package private(set) var activeAtNanos: Int64

    package init(nowNanos: Int64) { activeAtNanos = nowNanos }

    /// The source has advanced without the partition: its rows are judged by how far.
    package mutating func join(sourceWatermark: Watermark) { floor = Swift.max(floor, sourceWatermark) }

    /// The watermark for the next row of the partition.
    package func watermark(delay: Int64) -> Watermark {
        Swift.max(floor, (maximum ?? .start).delayed(by: delay))
    }

    package mutating func rowsArrived(maximum newest: Int64, nowNanos: Int64) {
        maximum = Swift.max(maximum ?? .min, newest)
        activeAtNanos = nowNanos
    }

    /// Called before the partition's first rows after idleness are judged.
    package mutating func returned(sourceWatermark: Watermark) {
        guard isIdle else { return }
        isIdle = false
        join(sourceWatermark: sourceWatermark)
    }

    mutating func countSilenceAfresh(nowNanos: Int64) { activeAtNanos = nowNanos }

    func save(into writer: StateWriter) {
        writer.write(maximum != nil)
        writer.write(maximum ?? 0)
        writer.write(floor)
        writer.write(isFinished)
        writer.write(isIdle)
    }

    /// Silence is counted afresh: the clock it was measured by is not this one.
    mutating func restore(from reader: StateReader) throws(StateError) {
        let hasMaximum = try reader.readFlag()
        let saved: Int64 = try reader.read()
        maximum = hasMaximum ? saved : nil
        floor = try reader.read()
        isFinished = try reader.readFlag()
        isIdle = try reader.readFlag()
    }

    /// `timeoutNanos` without rows make a partition idle: it no longer holds the source's watermark.
    package mutating func checkIdle(nowNanos: Int64, timeoutNanos: Int64) {
        if !isFinished, !isIdle, nowNanos - activeAtNanos >= timeoutNanos {
            isIdle = true
        }
    }
}

/// A source of which every partition is silent: event time goes on with the clock from where it was, so that what is open
/// closes though no row comes any more. In steps, each an eighth of the silence or more: a day of it is some hundred ticks.
struct SourceSilence {
    private let from: Watermark
    private let sinceNanos: Int64
    private var steppedNanos: Int64 = 0

    init(from: Watermark, sinceNanos: Int64) {
        self.from = from
        self.sinceNanos = sinceNanos
    }

    /// How far event time is now; nil: not a step further. Before any row there is no event time.
    mutating func advance(nowNanos: Int64) -> Watermark? {
        let silence = nowNanos - sinceNanos
        guard from > .start, silence > steppedNanos, silence - steppedNanos >= steppedNanos / 8 else { return nil }
        steppedNanos = silence
        let (moved, overflow) = from.addingReportingOverflow(silence / 1_000)
        // Only the end of all partitions is the end.
        return overflow ? .end - 1 : min(moved, .end - 1)
    }
}

/// Receives what the partitions of one source on one shard deliver: judges event time, stamps each row with the
/// watermark before it, counts, and passes on.
final class SourceIntake: RecordReceiver {
    let source: Int
    /// Its ordinal in the source.
    let partition: Int
    let policy: EventTimePolicy
    private let errors: BadRecordPolicy
    private let context: ShardContext
    private let output: any Output

    var time: PartitionTime
    /// The source's watermark after the last tick.
    var sourceWatermark: Watermark = .start
    var wallMicros: Int64 = 0
    var nowNanos: Int64 = 0
    var rows: UInt64 = 0
    var rejected: UInt64 = 0
    var skipped: UInt64 = 0
    /// Whether it is one of those that have taken part in a tick.
    var takesPart = false
    /// As the last tick left it.
    var known: TickInputs.Partition

    init(
        source: Int, partition: Int, position: Int64, policy: EventTimePolicy, errors: BadRecordPolicy, context: ShardContext,
        output: any Output, time: PartitionTime
    ) {
        self.source = source
        self.partition = partition
        self.policy = policy
        known = TickInputs.Partition(source: source, partition: partition, position: position, isFinished: false, isIdle: false)
        self.errors = errors
        self.context = context
        self.output = output
        self.time = time
    }

    func save(into writer: StateWriter) {
        time.save(into: writer)
        for count in [rows, rejected, skipped] { writer.write(count) }
    }

    func restore(from reader: StateReader) throws(StateError) {
        try time.restore(from: reader)
        rows = try reader.read()
        rejected = try reader.read()
        skipped = try reader.read()
    }

    func reject(_ letter: DeadLetter) {
        switch errors {
        case .deadLetter:
            rejected += 1
            context.deadLetters.append(letter)
        case .skip:
            skipped += 1
        case .fail:
            rejected += 1
            context.failure = context.failure ?? SQLError(.dataException, letter.reason)
        }
    }

    func receive(_ batch: Batch) {
        guard let column = policy.column else {
            rows += UInt64(batch.count)
            output.emit(batch)
            return
        }
        time.returned(sourceWatermark: sourceWatermark)
        let limit = policy.maxFutureSkew.map { skew in
            let (sum, overflow) = wallMicros.addingReportingOverflow(skew)
            return overflow ? Int64.max : sum
        } ?? Int64.max
        var admitted = batch
        if let refused = unusable(batch, column: column, limit: limit) {
            admitted = refused
        }
        guard admitted.count > 0 else { return }
        rows += UInt64(admitted.count)
        admitted.watermarks = stamp(admitted.columns[column], count: admitted.count)
        output.emit(admitted)
    }

    /// The rows that have a usable event time no later than `limit`, where some have not; the others become dead letters.
    private func unusable(_ batch: Batch, column: Int, limit: Int64) -> Batch? {
        let times = batch.columns[column]
        let values = times.int64s
        var bad = 0
        for row in 0..<batch.count {
            bad &+= (values[row] > limit || values[row].magnitude > UInt64(EventTimePolicy.magnitudeMax)) ? 1 : 0
        }
        if let validity = times.validity {
            for row in 0..<batch.count where validity[row] == 0 { bad &+= 1 }
        }
        guard bad > 0 else { return nil }
        let kept = Selection(capacity: batch.count)
        for row in 0..<batch.count {
            if times.isNull(row) {
                rejectTime(batch, row, code: "null_event_time", "event time is NULL")
            } else if values[row] == .max || values[row] == .min {
                rejectTime(batch, row, code: "infinite_event_time", "event time is infinite")
            } else if values[row].magnitude > UInt64(EventTimePolicy.magnitudeMax) {
                rejectTime(batch, row, code: "event_time_out_of_range", "event time is too far from 1970 to lie in a window")
            } else if values[row] > limit {
                let ahead = (values[row] &- wallMicros) / 1_000_000
                rejectTime(
                    batch, row, code: "future_event_time",
                    "event time is \(ahead) s ahead of the clock, more than max_future_skew allows")
            } else {
                kept.indexes[kept.count] = Int32(truncatingIfNeeded: row)
                kept.count &+= 1
            }
        }
        return batch.gather(kept)
    }

    private func rejectTime(_ batch: Batch, _ row: Int, code: String, _ reason: String) {
        guard let origins = batch.origins else { return }
        let block = origins.block
        let at = origins.blockRow(row)
        reject(
            DeadLetter(
                source: source, partition: block.partition, offset: block.offsets[at], ingestedAt: block.ingestedAt,
                reasonCode: code, reason: reason, field: nil, payload: Array(block.payload(at))))
    }

    /// The watermark before each row: the partition's maximum of the earlier rows minus the delay.
    private func stamp(_ times: Column, count: Int) -> Column {
        let stamps = Column(.bigint, capacity: count)
        stamps.count = count
        let out = stamps.int64s
        let values = times.int64s
        let delay = policy.delay
        var current = time.watermark(delay: delay)
        var newest = time.maximum ?? .min
        for row in 0..<count {
            out[row] = current
            let value = values[row]
            if value > newest {
                newest = value
                current = Swift.max(current, value.delayed(by: delay))
            }
        }
        time.rowsArrived(maximum: newest, nowNanos: nowNanos)
        return stamps
    }
}
