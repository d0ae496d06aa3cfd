internal import MartletColumns
internal import MartletCore
internal import MartletSQL

/// Rows that are there already.
final class BatchCursor: RowCursor {
    let fields: [Field]
    private var batches: [Batch]
    private var at = 0
    private var row = 0
    private let makeTag: (UInt64) -> String

    init(_ fields: [Field], _ batches: [Batch], tag: @escaping (UInt64) -> String = { "SELECT \($0)" }) {
        self.fields = fields
        self.batches = batches
        makeTag = tag
    }

    /// Rows given value by value.
    convenience init(_ fields: [Field], rows: [[Value]], tag: @escaping (UInt64) -> String = { "SELECT \($0)" }) {
        self.init(fields, [Batch(fields, rows)], tag: tag)
    }

    func next(rowsMax: Int) throws(SQLError) -> Batch? {
        while at < batches.count {
            let left = batches[at].count - row
            if left <= 0 {
                at += 1
                row = 0
                continue
            }
            let count = min(left, max(rowsMax, 1))
            defer { row += count }
            return batches[at].slice(row, count)
        }
        return nil
    }

    func whenReady(_ wake: @escaping @Sendable () -> Void) { wake() }
    func tag(rows: UInt64) -> String { makeTag(rows) }
    func close() { batches = [] }
}

/// Pages of one relation, filtered and projected as they are asked for.
final class ScanCursor: RowCursor {
    let fields: [Field]
    private let snapshot: StoreSnapshot
    private let evaluator: ScanEvaluator
    private let limits: StatementLimits
    private let yield: @Sendable () -> Void
    private var skip: Int64
    private var left: Int64
    private var page = 0
    private var current: Batch?
    private var row = 0

    /// To make and send more pages than these takes longer than somebody else's tick may wait.
    private static let quickPages = 4

    /// - Parameter yield: leaves the processor to others, until the thread has something else to do.
    init(
        _ query: BoundQuery, _ evaluator: ScanEvaluator, _ snapshot: StoreSnapshot, limits: StatementLimits,
        yield: @escaping @Sendable () -> Void
    ) {
        fields = query.fields
        self.snapshot = snapshot
        self.evaluator = evaluator
        self.limits = limits
        self.yield = yield
        skip = query.offset
        left = query.limit ?? .max
    }

    func next(rowsMax: Int) throws(SQLError) -> Batch? {
        while left > 0 {
            if let batch = current {
                let start = row + Int(min(skip, Int64(batch.count - row)))
                skip -= Int64(start - row)
                let count = min(batch.count - start, rowsMax, Int(clamping: left))
                row = start + count
                if row >= batch.count { current = nil }
                guard count > 0 else { continue }
                left -= Int64(count)
                return batch.slice(start, count)
            }
            guard page < snapshot.pageCount else { return nil }
            try limits.check()
            // Each time: the pages of one cursor are made in several goes.
            if page >= ScanCursor.quickPages { yield() }
            current = try evaluator.evaluate(snapshot.batch(page)).prefix(columns: fields.count)
            row = 0
            page += 1
        }
        return nil
    }

    func whenReady(_ wake: @escaping @Sendable () -> Void) { wake() }
    func tag(rows: UInt64) -> String { "SELECT \(rows)" }
    func close() { page = snapshot.pageCount }
}

extension Batch {
    /// Rows given value by value, each of its field's type or NULL.
    init(_ fields: [Field], _ rows: [[Value]]) {
        let columns = fields.map { Column($0.type, capacity: rows.count) }
        for row in rows {
            for (column, value) in zip(columns, row) { column.append(value) }
        }
        self.init(count: rows.count, columns: columns)
    }
}
