package import MartletColumns
package import MartletCore

/// Lists taken apart: one row for each element, the row's own columns beside it. Several lists go side by side, the shorter
/// ones followed by NULLs. What the lists are made of stands behind the row's own columns, and is not passed on. Keeps no
/// state.
package final class Unnest: StatelessOperator {
    /// Where a list's elements come from.
    package enum List: Sendable {
        /// One column: an array.
        case array
        /// Columns, as many as given: the arguments of `generate_series`, which is never there as a whole.
        case series(arguments: Int)
    }

    /// Rows of one batch on their way out: a long list leaves in pieces.
    private static let rowsMax = 4096

    private let width: Int
    private let lists: [List]
    private let elements: [DataType]
    private let isOuter: Bool
    private let hasOrdinality: Bool
    private let view: Int
    private let context: ShardContext

    /// - Parameters:
    ///   - width: the row's own columns, which come first.
    ///   - elements: the types of the lists' elements.
    ///   - isOuter: a row whose lists are all empty stays, with NULLs.
    ///   - hasOrdinality: the element's number, from 1, comes last.
    package init(
        width: Int, lists: [List], elements: [DataType], isOuter: Bool, hasOrdinality: Bool, view: Int, context: ShardContext
    ) {
        self.width = width
        self.lists = lists
        self.elements = elements
        self.isOuter = isOuter
        self.hasOrdinality = hasOrdinality
        self.view = view
        self.context = context
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        var own = batch
        own.columns = Array(batch.columns.prefix(width))
        var pending = Pending(elements, hasOrdinality)
        let errors = RowErrors()
        for row in 0..<batch.count {
            do throws(SQLError) {
                var left = try open(batch, row)
                var at = 0
                while let values = try ElementList.next(&left) ?? (at == 0 && isOuter ? elements.map { _ in Value.null } : nil) {
                    let isLonely = at == 0 && left.allSatisfy(\.isAtStart)
                    pending.append(row, isLonely ? nil : at, values)
                    at += 1
                    if pending.rows.count == Unnest.rowsMax {
                        pending.leave(own, output)
                        if context.isStopped { return }
                    }
                    if isLonely { break }
                }
            } catch {
                errors.add(row, error)
            }
        }
        if !pending.rows.isEmpty { pending.leave(own, output) }
        if !errors.isEmpty { context.reject(errors, of: batch, view: view, countsSourceRows: false) }
    }

    private func open(_ batch: Batch, _ row: Int) throws(SQLError) -> [ElementList] {
        var opened: [ElementList] = []
        var column = width
        for list in lists {
            switch list {
            case .array:
                opened.append(.array(ArrayFunctions.unnest(batch.columns[column].value(at: row)), at: 0))
                column += 1
            case .series(let count):
                let arguments = (column..<column + count).map { batch.columns[$0].value(at: row) }
                opened.append(.series(try ValueSeries(arguments, context.evaluation), hasBegun: false))
                column += count
            }
        }
        return opened
    }

    /// Rows being gathered.
    private struct Pending {
        var rows: [Int] = []
        private let elements: [DataType]
        private let hasOrdinality: Bool
        private var columns: [Column] = []

        init(_ elements: [DataType], _ hasOrdinality: Bool) {
            self.elements = elements
            self.hasOrdinality = hasOrdinality
            start()
        }

        private mutating func start() {
            rows.removeAll(keepingCapacity: true)
            columns = (elements + (hasOrdinality ? [.bigint] : [])).map { Column($0, capacity: 64) }
        }

        /// `at`: the element's number from 0; nil: there is none.
        mutating func append(_ row: Int, _ at: Int?, _ values: [Value]) {
            rows.append(row)
            for (column, value) in zip(columns, values) { column.append(value) }
            if hasOrdinality { columns[elements.count].append(at.map { .bigint(Int64($0) + 1) } ?? .null) }
        }

        mutating func leave(_ own: Batch, _ output: any Output) {
            var batch = own.gather(Selection(rows))
            batch.columns += columns
            output.emit(batch)
            start()
        }
    }
}

/// A list being read, element by element.
private enum ElementList {
    case array([Value], at: Int)
    case series(ValueSeries, hasBegun: Bool)

    var isAtStart: Bool {
        switch self {
        case .array(_, let at): at == 0
        case .series(_, let hasBegun): !hasBegun
        }
    }

    /// The next elements, side by side, NULL for lists that are at their end; nil: all are.
    static func next(_ lists: inout [ElementList]) throws(SQLError) -> [Value]? {
        var values: [Value] = []
        var isAny = false
        for at in lists.indices {
            let value = try lists[at].next()
            isAny = isAny || value != nil
            values.append(value ?? .null)
        }
        return isAny ? values : nil
    }

    private mutating func next() throws(SQLError) -> Value? {
        switch self {
        case .array(let values, let at):
            guard at < values.count else { return nil }
            self = .array(values, at: at + 1)
            return values[at]
        case .series(var series, _):
            guard let value = try series.next() else { return nil }
            self = .series(series, hasBegun: true)
            return value
        }
    }
}
