internal import MartletCore

/// An intermediate result: a column, or one row that stands for all rows.
struct Vector {
    let column: Column
    let isConstant: Bool

    init(_ column: Column) {
        self.column = column
        isConstant = false
    }

    init(constant: Column) {
        column = constant
        isConstant = true
    }

    @inline(__always)
    func row(_ row: Int) -> Int { isConstant ? 0 : row }

    @inline(__always)
    func isNull(_ row: Int) -> Bool { column.isNull(isConstant ? 0 : row) }

    /// The vector as a column of `count` rows.
    func expanded(_ count: Int) -> Column {
        guard isConstant else { return column }
        let result = Column(column.type, capacity: count)
        guard count > 0 else { return result }
        result.append(rowsOf: column, from: 0, count: 1)
        result.repeatFirst(count)
        return result
    }
}

/// The rows under evaluation: a batch, or some of its rows where a lazy branch is evaluated for those that reach it.
/// Columns are gathered for the chosen rows when an expression first asks for them.
final class Frame {
    let batch: Batch
    /// The batch row of each row of the frame, ascending; nil: the same.
    let rows: Selection?
    let count: Int
    /// In rows of the batch.
    var errors: RowErrors
    let context: EvaluationContext
    private var gathered: [Column?] = []

    init(_ batch: Batch, _ rows: Selection? = nil, errors: RowErrors, context: EvaluationContext) {
        self.batch = batch
        self.rows = rows
        self.errors = errors
        self.context = context
        count = rows?.count ?? batch.count
    }

    func column(_ index: Int) -> Column {
        guard let rows else { return batch.columns[index] }
        if gathered.isEmpty { gathered = Array(repeating: nil, count: batch.columns.count) }
        if let column = gathered[index] { return column }
        let column = batch.columns[index].gather(rows)
        gathered[index] = column
        return column
    }

    @inline(__always)
    func batchRow(_ row: Int) -> Int {
        guard let rows else { return row }
        return Int(rows.indexes[row])
    }

    func fail(_ row: Int, _ error: SQLError) { errors.add(batchRow(row), error) }

    func hasFailed(_ row: Int) -> Bool { errors.contains(batchRow(row)) }

    /// The frame of the given rows of this one.
    func narrowed(to selection: Selection) -> Frame {
        var rows = selection
        if let mine = self.rows {
            rows = Selection(capacity: selection.count)
            for at in 0..<selection.count { rows.indexes[at] = mine.indexes[Int(selection.indexes[at])] }
            rows.count = selection.count
        }
        return Frame(batch, rows, errors: errors, context: context)
    }

    /// The row of this frame that is `batchRow` of the batch, which must be one of its rows.
    func frameRow(_ batchRow: Int) -> Int {
        guard let rows else { return batchRow }
        var low = 0
        var high = rows.count
        while low < high {
            let middle = (low + high) / 2
            if Int(rows.indexes[middle]) < batchRow { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
