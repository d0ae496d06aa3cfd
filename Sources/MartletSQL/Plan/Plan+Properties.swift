internal import MartletCore

/// What follows from a plan's shape, found by walking it.
extension Plan {
    /// Some expression names a column that its input does not have: a plan that must not be carried out. What binding leaves unplaced
    /// (`Block.aggregateBase` and the like) is such a column.
    package var readsUnknownColumns: Bool {
        var open = [self]
        while let plan = open.popLast() {
            let inputs = plan.inputs
            let width = inputs.reduce(0) { $0 + $1.fields.count }
            if plan.ownExpressions.contains(where: { $0.readsColumns(from: width) }) { return true }
            open += inputs
            if case .recursive(let recursion, _) = plan { open += [recursion.base, recursion.step] }
        }
        return false
    }

    /// The node's own expressions, over its inputs' columns, one input behind the other.
    private var ownExpressions: [Expression] {
        switch self {
        case .filter(_, let condition): [condition]
        case .project(_, let expressions, _): expressions
        case .aggregate(_, let keys, let calls, _, _): keys + calls.flatMap(\.operands)
        case .over(_, let partition, let order, let calls, _, _): partition + order.map(\.expression) + calls.flatMap(\.operands)
        case .join(_, _, _, let condition, _): [condition]
        case .temporal(_, let from, let until): [from, until].compactMap(\.self)
        case .repeated(_, let times): [times]
        case .unnested(_, let lists, _, _, _): lists
        case .lookup(_, _, _, let condition, _): [condition]
        case .values(let rows, _): rows.flatMap(\.self)
        case .source, .relation, .recursive, .view, .window, .session, .changelog, .stamped, .unionAll, .emitOnWindowClose: []
        }
    }

    /// Nodes in the tree.
    package var nodeCount: Int {
        var count = 0
        var open = [self]
        while let plan = open.popLast() {
            count += 1
            open += plan.inputs
        }
        return count
    }

    /// Ordinals of the output columns that are the bounds of the nearest window node below, seen through filters, projections and OVER.
    package var windowBounds: (start: Int?, end: Int?) {
        switch self {
        case .window(_, _, _, let fields), .session(_, _, _, let fields): return (fields.count - 2, fields.count - 1)
        case .filter(let input, _), .over(let input, _, _, _, _, _), .temporal(let input, _, _), .repeated(let input, _),
            .unnested(let input, _, _, _, _), .stamped(let input, _), .lookup(let input, _, _, _, _), .emitOnWindowClose(let input):
            return input.windowBounds
        case .project(let input, let expressions, _):
            let below = input.windowBounds
            func find(_ ordinal: Int?) -> Int? {
                guard let ordinal else { return nil }
                return expressions.firstIndex { $0.columnOrdinal == ordinal }
            }
            return (find(below.start), find(below.end))
        case .source, .relation, .view, .recursive, .aggregate, .join, .unionAll, .values, .changelog: return (nil, nil)
        }
    }

    /// True where a window's end follows from its start, in the nearest window node below.
    var hasFixedWindows: Bool {
        switch self {
        case .window(_, _, let window, _): return !window.isCumulative
        case .filter(let input, _), .over(let input, _, _, _, _, _), .temporal(let input, _, _), .repeated(let input, _),
            .unnested(let input, _, _, _, _), .stamped(let input, _), .lookup(let input, _, _, _, _), .emitOnWindowClose(let input),
            .project(let input, _, _):
            return input.hasFixedWindows
        case .source, .relation, .view, .recursive, .aggregate, .join, .session, .unionAll, .values, .changelog: return false
        }
    }

    /// Ordinals of output columns that carry event time: they advance with the watermark of what is read, so that a value below the
    /// watermark will not come again.
    package func eventTimeColumns(in catalog: any CatalogReader) -> Set<Int> {
        switch self {
        case .source(let name, let columns, _):
            guard case .source(let source)? = catalog.relation(named: name)?.kind, let watermark = source.watermark else { return [] }
            return Set(columns.indices.filter { columns[$0] == watermark.column })
        case .view(let name, _):
            guard case .materializedView(let view)? = catalog.relation(named: name)?.kind else { return [] }
            return Set(view.eventTimeColumns)
        case .relation(let name, _):
            guard case .table(let table)? = catalog.relation(named: name)?.kind, let watermark = table.watermark else { return [] }
            return [watermark.column]
        case .values, .recursive, .temporal, .changelog: return []
        // A right row that comes later changes rows that have left long ago.
        case .lookup(_, _, let lookup, _, _) where lookup.nearest != nil: return []
        case .filter(let input, _), .repeated(let input, _), .emitOnWindowClose(let input), .unnested(let input, _, _, _, _),
            .lookup(let input, _, _, _, _), .stamped(let input, _):
            return input.eventTimeColumns(in: catalog)
        case .over(let input, _, _, _, _, _): return input.eventTimeColumns(in: catalog)
        case .project(let input, let expressions, _): return Self.carried(expressions, input.eventTimeColumns(in: catalog))
        case .aggregate(let input, let keys, _, _, _): return Self.carried(keys, input.eventTimeColumns(in: catalog))
        case .window(let input, let time, _, let fields), .session(let input, let time, _, let fields):
            var columns = input.eventTimeColumns(in: catalog)
            if columns.contains(time) { columns.formUnion([fields.count - 2, fields.count - 1]) }
            return columns
        case .join(let left, let right, let type, let condition, _):
            let width = left.fields.count
            let (lefts, rights) = (left.eventTimeColumns(in: catalog), right.eventTimeColumns(in: catalog))
            let bounds = JoinCondition(condition, leftWidth: width).bounds(lefts, rights)
            let isLeftOnly = type == .semi || type == .anti
            return Set(bounds.flatMap { isLeftOnly ? [$0.left] : [$0.left, $0.right + width] })
        case .unionAll(let arms, _):
            guard let first = arms.first else { return [] }
            return arms.dropFirst().reduce(first.eventTimeColumns(in: catalog)) { $0.intersection($1.eventTimeColumns(in: catalog)) }
        }
    }

    private static func carried(_ expressions: [Expression], _ columns: Set<Int>) -> Set<Int> {
        var result: Set<Int> = []
        for (index, expression) in expressions.enumerated() {
            if let ordinal = expression.followedTime?.column, columns.contains(ordinal) { result.insert(index) }
        }
        return result
    }

    /// True where the plan's output only grows: no row is ever taken back. `onClose`: it stands under EMIT ON WINDOW CLOSE.
    package func isAppendOnly(in catalog: any CatalogReader, onClose: Bool = false) -> Bool {
        switch self {
        case .source(let name, _, _):
            if case .source(let source)? = catalog.relation(named: name)?.kind { return source.format == .plain }
            return true
        case .view(let name, _):
            if case .materializedView(let view)? = catalog.relation(named: name)?.kind { return view.isAppendOnly }
            return false
        case .relation(let name, _):
            if case .table(let table)? = catalog.relation(named: name)?.kind { return table.isAppendOnly }
            return true
        case .values, .recursive, .emitOnWindowClose, .changelog: return true
        case .lookup(_, _, let lookup, _, _) where lookup.nearest != nil: return false
        case .filter(let input, _), .project(let input, _, _), .window(let input, _, _, _), .repeated(let input, _),
            .unnested(let input, _, _, _, _), .lookup(let input, _, _, _, _), .stamped(let input, _):
            return input.isAppendOnly(in: catalog, onClose: onClose)
        case .aggregate, .over, .session: return onClose
        case .temporal(let input, _, let until): return until == nil && input.isAppendOnly(in: catalog, onClose: onClose)
        case .join(let left, let right, let type, let condition, _):
            guard left.isAppendOnly(in: catalog, onClose: onClose), right.isAppendOnly(in: catalog, onClose: onClose) else { return false }
            if type == .inner || type == .semi { return true }
            // Rows without a match can wait until none can come any more.
            return JoinCondition(condition, leftWidth: left.fields.count)
                .bound(left.eventTimeColumns(in: catalog), right.eventTimeColumns(in: catalog)) != nil
        case .unionAll(let arms, _): return arms.allSatisfy { $0.isAppendOnly(in: catalog, onClose: onClose) }
        }
    }

    /// Names of the relations it reads, each once, in order.
    package var relationNames: [String] {
        var names: [String] = []
        var open = [self]
        while let plan = open.popLast() {
            switch plan {
            case .source(let name, _, _), .relation(let name, _), .view(let name, _):
                if !names.contains(name) { names.append(name) }
            default: open += plan.inputs.reversed()
            }
        }
        return names
    }
}
