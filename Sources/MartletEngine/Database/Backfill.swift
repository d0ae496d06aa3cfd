internal import MartletColumns
internal import MartletCore
internal import MartletState

/// What a new unit has yet to take in of the relations that it reads, before it joins the others: their rows as they were when
/// it was made, and behind them what changed since. A piece a tick, so that the stream goes on meanwhile; how large a piece is
/// hangs on nothing but what waits, so that a replayed tick takes the same one.
struct Backfill {
    /// Of all inputs together: a few milliseconds of most plans' work.
    static let rowsPerTick = 16_384

    private struct Waiting {
        var batches: [Batch] = []
        var head = 0
        /// Rows of the first batch that were taken.
        var taken = 0
    }

    private var inputs: [Waiting]
    private(set) var rowsDone = 0
    private(set) var rowsTotal = 0

    init(inputs count: Int) { inputs = Array(repeating: Waiting(), count: count) }

    var isDone: Bool { rowsDone == rowsTotal }

    mutating func add(_ batch: Batch, to input: Int) {
        guard batch.count > 0 else { return }
        inputs[input].batches.append(batch)
        rowsTotal += batch.count
    }

    /// The next piece: of the first input until that is empty, then of the next.
    mutating func take() -> [(input: Int, batch: Batch)] {
        var left = Backfill.rowsPerTick
        var piece: [(input: Int, batch: Batch)] = []
        for input in inputs.indices {
            while left > 0, inputs[input].head < inputs[input].batches.count {
                let batch = inputs[input].batches[inputs[input].head]
                let start = inputs[input].taken
                // What a statement did to a table's rows is judged as one.
                let count = batch.weights == nil ? min(left, batch.count - start) : batch.count
                piece.append((input, start == 0 && count == batch.count ? batch : batch.slice(start, count)))
                left -= count
                inputs[input].taken += count
                if inputs[input].taken == batch.count {
                    inputs[input].batches[inputs[input].head] = batch.slice(0, 0)
                    inputs[input].head += 1
                    inputs[input].taken = 0
                }
            }
        }
        rowsDone += Backfill.rowsPerTick - left
        return piece
    }

    func save(into writer: StateWriter) {
        writer.write(UInt64(rowsDone))
        for input in inputs {
            let rest = input.batches[input.head...].enumerated().map { at, batch in
                at == 0 && input.taken > 0 ? batch.slice(input.taken, batch.count - input.taken) : batch
            }
            writer.write(UInt64(rest.count))
            for batch in rest { writer.write(batch) }
        }
    }

    init(inputs count: Int, from reader: StateReader) throws(StateError) {
        self.init(inputs: count)
        rowsDone = try reader.readCount(max: .max)
        rowsTotal = rowsDone
        for input in 0..<count {
            for _ in 0..<(try reader.readCount(max: 1 << 40)) { add(try reader.readBatch(), to: input) }
        }
    }
}
