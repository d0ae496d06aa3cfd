/// What a batch says about its producer and its place; what the log judges it by.
struct BatchFacts {
    var recordCount: Int32
    var producerID: Int64
    var producerEpoch: Int16
    var baseSequence: Int32
    var isTransactional: Bool
    var maxTimestamp: Int64

    init(_ header: RecordBatchHeader) {
        recordCount = header.lastOffsetDelta &+ 1
        producerID = header.producerID
        producerEpoch = header.producerEpoch
        baseSequence = header.baseSequence
        isTransactional = header.isTransactional
        maxTimestamp = header.maxTimestamp
    }

    /// What makes the header of a data batch impossible for the log, whoever checked it before; nil if nothing does.
    static func objection(to header: RecordBatchHeader, bytes: Int) -> String? {
        if header.byteCount != bytes { return "the batch says it has \(header.byteCount) bytes, and \(bytes) came" }
        if header.lastOffsetDelta < 0 || header.lastOffsetDelta == .max {
            return "a last offset delta of \(header.lastOffsetDelta)"
        }
        if header.isControl { return "a control batch" }
        if header.hasProducer && (header.producerEpoch < 0 || header.baseSequence < 0) {
            return "a producer without epoch or sequence"
        }
        if header.isTransactional && !header.hasProducer { return "a transaction without a producer" }
        return nil
    }

    /// A batch of an idempotent or transactional producer.
    var hasProducer: Bool { producerID >= 0 }
    /// The sequence of its last record.
    var lastSequence: Int32 { ProducerState.advance(baseSequence, by: recordCount - 1) }
}

/// What one partition remembers of one producer.
struct ProducerState: Equatable {
    /// One of the last batches; or, with a base sequence after its last, none: where a transaction ended.
    struct Span: Equatable {
        var baseSequence: Int32
        var lastSequence: Int32
        var baseOffset: Int64
        /// The journal's sequence of the commit it came with; 0 once recovered, when it is durable.
        var commit: UInt64
    }

    /// Kafka's clients have at most five requests in flight, so that a repeat is one of the last five.
    static let spansMax = 5

    var epoch: Int16
    /// The last batches of this epoch since its last marker, oldest first, and before them what the marker left.
    var spans: [Span] = []
    var lastMillis: Int64
    /// Of the last marker; −1 if there was none.
    var coordinatorEpoch: Int32 = -1
    /// The first offset of its open transaction; −1 without one.
    var transactionStart: Int64 = -1

    init(epoch: Int16, lastMillis: Int64) {
        self.epoch = epoch
        self.lastMillis = lastMillis
    }

    enum Judgement: Equatable {
        case accept
        case duplicate(Span)
        case refuse(AppendRefusal)
    }

    /// Sequences go from 0 to 2³¹ − 1 and begin again at 0. `count` is not negative.
    static func advance(_ sequence: Int32, by count: Int32) -> Int32 {
        Int32((Int64(sequence) + Int64(count)) % (Int64(Int32.max) + 1))
    }

    /// What becomes of a batch, given what the partition knows of its producer.
    ///
    /// - Nothing known: any sequence is accepted, since what was known may have been forgotten.
    /// - A lower epoch is a zombie's.
    /// - A new epoch starts at 0, and so does the first batch after a marker that raised the epoch.
    /// - Otherwise the batch follows the last one, or repeats one of the last five exactly.
    /// - A batch of a transaction that has ended is not repeated: its producer has had all its answers, or given it up.
    ///   (librdkafka gives sequences out again that it had sent before an abort, and that were taken. Called a repetition,
    ///   a record of the next transaction would be acknowledged, and lost. It is refused as out of order.)
    static func judge(_ batch: BatchFacts, known state: ProducerState?) -> Judgement {
        guard let state else { return .accept }
        if batch.producerEpoch == state.epoch {
            let last = batch.lastSequence
            if let span = state.spans.first(where: { $0.baseSequence == batch.baseSequence && $0.lastSequence == last }) {
                return .duplicate(span)
            }
        }
        if batch.producerEpoch < state.epoch { return .refuse(.invalidProducerEpoch(current: state.epoch)) }
        var expected: Int32 = 0
        if batch.producerEpoch == state.epoch, let span = state.spans.last { expected = advance(span.lastSequence, by: 1) }
        if batch.baseSequence != expected {
            return .refuse(.outOfOrderSequence(expected: expected, found: batch.baseSequence))
        }
        if state.transactionStart >= 0 && !batch.isTransactional { return .refuse(.invalidTransactionState) }
        return .accept
    }

    /// Takes an accepted batch in.
    mutating func record(_ batch: BatchFacts, baseOffset: Int64, millis: Int64, commit: UInt64) {
        if batch.producerEpoch != epoch {
            epoch = batch.producerEpoch
            spans = []
        }
        if spans.count == ProducerState.spansMax { spans.removeFirst() }
        spans.append(
            Span(baseSequence: batch.baseSequence, lastSequence: batch.lastSequence, baseOffset: baseOffset, commit: commit))
        lastMillis = millis
        if batch.isTransactional && transactionStart < 0 { transactionStart = baseOffset }
    }

    /// Takes a marker in.
    mutating func recordMarker(epoch marker: Int16, coordinatorEpoch: Int32, millis: Int64) {
        if marker != epoch {
            epoch = marker
            spans = []
        } else if var last = spans.popLast() {
            last.baseSequence = ProducerState.advance(last.lastSequence, by: 1)
            spans = [last]
        }
        self.coordinatorEpoch = coordinatorEpoch
        lastMillis = millis
        transactionStart = -1
    }
}
