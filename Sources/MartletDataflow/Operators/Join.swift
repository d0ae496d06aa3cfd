package import MartletColumns
package import MartletCore
package import MartletState

/// Which rows of a join come out.
package enum JoinKind: Sendable, Equatable {
    case inner, left, right, full
    /// Left rows with, or without, a match; each once.
    case semi, anti

    var emitsPairs: Bool { self != .semi && self != .anti }
    /// Left rows without a match come out: with NULLs, or (anti) as they are.
    package var emitsLonelyLeft: Bool { self == .left || self == .full || self == .anti }
    package var emitsLonelyRight: Bool { self == .right || self == .full }
}

/// What a join does, made once and shared by the shards.
package struct JoinLayout: Sendable {
    package struct Side: Sendable {
        package var types: [DataType]
        /// Where the key lies; the same types on both sides.
        package var keys: [Int]
        package var isChanging: Bool
        package var time: TimeBound?

        package init(types: [DataType], keys: [Int], isChanging: Bool, time: TimeBound?) {
            self.types = types
            self.keys = keys
            self.isChanging = isChanging
            self.time = time
        }
    }

    /// When a row of this side can meet no further row of the other: once the watermark, held back by `delay`, is beyond
    /// the row's time plus `reach`.
    package struct TimeBound: Sendable {
        package var column: Int
        /// How much later than the row's time a row of the other side may be, at most (may be negative).
        package var reach: Int64
        /// What the other side's times may lie behind its watermark.
        package var delay: Int64
        /// The other side's times lie strictly above its watermark minus the delay.
        package var isExclusive: Bool

        package init(column: Int, reach: Int64, delay: Int64, isExclusive: Bool) {
            self.column = column
            self.reach = reach
            self.delay = delay
            self.isExclusive = isExclusive
        }

        /// Rows with times below this are done.
        func limit(_ watermark: Watermark) -> Int64 {
            if watermark == .end || watermark == .start { return watermark }
            let (sum, overflow) = delay.addingReportingOverflow(reach)
            if overflow { return sum < 0 ? .max : .start }
            let (limit, wrapped) = watermark.subtractingReportingOverflow(sum)
            if wrapped { return sum > 0 ? .start : .max }
            return isExclusive && limit < .max ? limit + 1 : limit
        }
    }

    package var kind: JoinKind
    package var left: Side
    package var right: Side
    /// Over the left side's columns, then the right side's; nil: equal keys are enough.
    package var condition: Expression?
    /// Rows without a match come out only once no match can come any more, so that nothing is taken back.
    package var waitsForTime: Bool
    /// Left rows meet the right ones that are there when they come, and are not kept; `kind` is inner or left.
    package var isLookup: Bool
    /// Each shard has all right rows.
    package var isReplicated: Bool

    package init(
        kind: JoinKind, left: Side, right: Side, condition: Expression?, waitsForTime: Bool, isLookup: Bool = false, isReplicated: Bool = false
    ) {
        self.isLookup = isLookup
        self.isReplicated = isReplicated
        self.kind = kind
        self.left = left
        self.right = right
        self.condition = condition
        self.waitsForTime = waitsForTime
    }
}

/// Joins two inputs by key, at the shard that owns the key. Insertions and deletions may come on both sides; what leaves
/// in a tick is what all of the tick's changes come to, so that no row is seen without its match while both arrive
/// together.
package final class Join: Operator {
    private let layout: JoinLayout
    private let table: JoinTable
    private let condition: ExpressionEvaluator?
    private let view: Int
    private let context: ShardContext
    private var pending: [[Batch]] = [[], []]
    private var watermark: Watermark = .start
    /// What this tick has found, until it is net of the tick.
    private var found: [Batch] = []
    /// About what that takes, long texts left out.
    private var foundBytes = 0
    private let needsNet: Bool

    package init(_ layout: JoinLayout, view: Int, context: ShardContext) throws(SQLError) {
        self.layout = layout
        self.view = view
        self.context = context
        condition = try layout.condition.map { (expression) throws(SQLError) in
            try ExpressionEvaluator(expression, context: context.evaluation)
        }
        let kind = layout.kind
        table = JoinTable(
            keys: layout.left.keys.map { layout.left.types[$0] },
            left: Join.side(layout.left, counts: kind.emitsLonelyLeft || kind == .semi, mayWait: !layout.isLookup),
            right: Join.side(layout.right, counts: kind.emitsLonelyRight, mayWait: !layout.isLookup))
        needsNet = !layout.isLookup && (layout.left.isChanging || layout.right.isChanging || (!layout.waitsForTime && kind != .inner && kind != .semi))
    }

    private static func side(_ side: JoinLayout.Side, counts: Bool, mayWait: Bool) -> JoinTable.Side {
        JoinTable.Side(
            types: side.types, isChanging: side.isChanging, counts: counts, time: side.time?.column,
            timeStep: max(1, (side.time?.reach.magnitude).map { Int64(clamping: $0 / 64) } ?? 1), keys: mayWait ? side.keys : [])
    }

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        pending[input].append(batch)
    }

    package func advance(to watermark: Watermark, into output: any Output) {
        meet(into: output)
        self.watermark = watermark
        forget(into: output)
    }

    package func flush(into output: any Output) {
        guard !pending[0].isEmpty || !pending[1].isEmpty else { return }
        meet(into: output)
        forget(into: output)
    }

    package func save(into writer: StateWriter) {
        table.save(into: writer)
        writer.write(watermark)
    }

    package var stateSize: StateSize { StateSize(rows: table.rowCount(0) + table.rowCount(1), bytes: table.memoryBytes + foundBytes) }

    package func restore(from reader: StateReader) throws(StateError) {
        try table.restore(from: reader)
        watermark = try reader.read()
    }

    package func adopt(_ other: any Operator, _ move: ShardMove) {
        guard let other = other as? Join else { preconditionFailure("another operator") }
        watermark = max(watermark, other.watermark)
        if !layout.isReplicated {
            table.adopt(other.table, move.share)
        } else if move.isFirst {
            table.adopt(other.table, KeyShare(shard: 0, of: 1))
        }
    }

    // MARK: - Changes

    /// One side's changes of the tick, those without a key, or without the time that the condition asks for, apart: they match
    /// nothing.
    private struct Delta {
        var batch: Batch
        var keys: [UInt32]
        /// Of the keys; empty where nobody asks.
        var hashes: [UInt64] = []
        /// The rows are to wait without an index.
        var waits = false

        var weights: Column? { batch.weights }

        /// To rows of the other side that wait.
        mutating func ask(_ table: JoinTable, _ columns: [Int]) {
            let keys = columns.map { batch.columns[$0] }
            if hashes.isEmpty { hashes = Hash.rows(keys, count: batch.count) }
            guard waits else { return }
            waits = false
            self.keys = table.keyNumbers(keys, count: batch.count)
        }

        /// Numbers for rows that wait, where they have none yet: those of keys that somebody has.
        mutating func find(in table: JoinTable, _ columns: [Int]) {
            if keys.isEmpty { keys = table.knownNumbers(columns.map { batch.columns[$0] }, hashes: hashes) }
        }
    }

    private func take(_ side: Int) -> Delta? {
        let batches = pending[side]
        pending[side] = []
        guard let batch = Consolidation.net(batches) else { return nil }
        let keys = side == 0 ? layout.left.keys : layout.right.keys
        let columns = keys.map { batch.columns[$0] }
        table.noteArrival(side, batch.count)
        let needed = columns + ((side == 0 ? layout.left.time : layout.right.time).map { [batch.columns[$0.column]] } ?? [])
        guard needed.contains(where: { $0.validity != nil }) else { return delta(side, batch, columns) }
        let isKeyed = (0..<batch.count).map { row in !needed.contains { $0.isNull(row) } }
        let keyless = batch.gather(Selection((0..<batch.count).filter { !isKeyed[$0] }))
        if side == 0 ? layout.kind.emitsLonelyLeft : layout.kind.emitsLonelyRight {
            lonely(side, keyless.columns, keyless.weights, count: keyless.count)
        }
        let keyed = batch.gather(Selection((0..<batch.count).filter { isKeyed[$0] }))
        return delta(side, keyed, keys.map { keyed.columns[$0] })
    }

    /// Rows with keys. Those that are to wait get no numbers for keys that nobody has, unless others wait for them.
    private func delta(_ side: Int, _ batch: Batch, _ columns: [Column]) -> Delta {
        let waits = table.waits(side) && batch.weights == nil
        let isAsking = table.hasWaiting(1 - side)
        let hashes = waits || isAsking ? Hash.rows(columns, count: batch.count) : []
        let numbers = waits && !isAsking ? [] : table.keyNumbers(columns, count: batch.count)
        return Delta(batch: batch, keys: numbers, hashes: hashes, waits: waits)
    }

    /// Joins what came since the last time.
    private func meet(into output: any Output) {
        guard !pending[0].isEmpty || !pending[1].isEmpty else { return }
        var left = take(0)
        var right = take(1)
        // Of rows that come together one side must have numbers for its keys, or neither finds the other; and rows that wait, as
        // the right ones do from now on, are found by hashes.
        if right?.waits == true { left?.ask(table, layout.left.keys) }
        // The keys of both sides have their numbers by now.
        if left?.waits == true { left?.find(in: table, layout.left.keys) }
        if right?.waits == true { right?.find(in: table, layout.right.keys) }
        if let left { table.prepare(1, questions: left.hashes.count) }
        if let right { table.prepare(0, questions: right.hashes.count) }
        let newRight = right.flatMap { enter($0, 1) }
        if layout.isLookup {
            if let left { lookUp(left, into: output) }
            table.settle(searched: [left?.keys ?? [], right?.keys ?? []])
            return emit(into: output)
        }
        let leftMatches = left.map { probe($0, from: 0, into: output) } ?? []
        if let right {
            let matches = probe(right, from: 1, into: output)
            if let newRight { addMatches(1, newRight, matches) }
        }
        if let left, let applied = enter(left, 0) { addMatches(0, applied, leftMatches) }
        settleTouched(0)
        settleTouched(1)
        table.settle(searched: [left, right].map { delta in delta.map { $0.waits ? $0.keys.filter { $0 != JoinTable.noKey } : $0.keys } ?? [] })
        emit(into: output)
    }

    /// Takes rows in; nil: they wait.
    private func enter(_ delta: Delta, _ side: Int) -> JoinTable.Applied? {
        guard delta.waits else { return table.apply(side, delta.batch.columns, keys: delta.keys, weights: delta.weights) }
        table.wait(side, delta.batch.columns, hashes: delta.hashes)
        return nil
    }

    /// Pairs as rows that stay, and the left rows that have none.
    private func lookUp(_ left: Delta, into output: any Output) {
        let matches = probe(left, from: 0, into: output)
        found = found.map { batch in
            var rows = Consolidation.repeated(batch)
            rows.weights = nil
            return rows
        }
        guard layout.kind == .left else { return }
        let alone = left.batch.gather(Selection(matches.indices.filter { matches[$0] == 0 }))
        lonely(0, alone.columns, nil, count: alone.count)
    }

    /// Rows that were there before have their matches from the other side's probe.
    private func addMatches(_ side: Int, _ applied: JoinTable.Applied, _ matches: [Int64]) {
        guard !matches.isEmpty else { return }
        let fresh = applied.slots.indices.filter { applied.isNew[$0] }
        table.addMatches(side, fresh.map { applied.slots[$0] }, fresh.map { matches[$0] })
    }

    /// Meets one side's changes with the rows kept of the other: pairs leave, or go to `found` where they may come to nothing;
    /// the others' matches are counted. The answer: matches of each changed row, where the side counts them.
    private func probe(_ delta: Delta, from side: Int, into output: any Output) -> [Int64] {
        let other = 1 - side
        let needsColumns = layout.kind.emitsPairs || condition != nil
        let weights = delta.weights?.int64s
        var matches = [Int64](repeating: 0, count: countsMatches(side) ? delta.batch.count : 0)
        func take(_ given: JoinTable.Pairs, _ theirs: @autoclosure () -> [Column]) -> Bool {
            guard !context.isStopped else { return false }
            var pairs = given
            var columns: [Column] = []
            if needsColumns {
                let mine = pairs.rows.withUnsafeBufferPointer { rows in
                    delta.batch.columns.map { $0.gather(rows.baseAddress.unsafelyUnwrapped, count: rows.count) }
                }
                columns = side == 0 ? mine + theirs() : theirs() + mine
                if let condition { restrict(&pairs, &columns, by: condition) }
            }
            guard !pairs.rows.isEmpty else { return true }
            if !matches.isEmpty {
                for at in pairs.rows.indices { matches[Int(pairs.rows[at])] += pairs.weights[at] }
            }
            if countsMatches(other) {
                table.addMatches(other, pairs.slots, pairs.rows.map { weights?[Int($0)] ?? 1 })
            }
            guard layout.kind.emitsPairs else { return true }
            var batch = Batch(count: pairs.rows.count, columns: columns)
            if weights != nil || isChanging(other) {
                let products = Column(.bigint, capacity: batch.count)
                products.count = batch.count
                for at in 0..<batch.count { products.int64s[at] = pairs.weights[at] &* (weights?[Int(pairs.rows[at])] ?? 1) }
                batch.weights = products
            }
            if needsNet || layout.isLookup { find(batch) } else { output.emit(batch) }
            return true
        }
        table.probe(other, keys: delta.keys) { take($0, table.gather(other, $0.slots)) }
        table.probeWaiting(other, numbers: delta.keys, hashes: delta.hashes) { rows, columns in take(JoinTable.Pairs(waiting: rows), columns) }
        withExtendedLifetime(delta.weights) {}
        return matches
    }

    private func countsMatches(_ side: Int) -> Bool {
        side == 0 ? layout.kind.emitsLonelyLeft || layout.kind == .semi : layout.kind.emitsLonelyRight
    }

    private func isChanging(_ side: Int) -> Bool { side == 0 ? layout.left.isChanging : layout.right.isChanging }

    /// Leaves the pairs that meet the condition.
    private func restrict(_ pairs: inout JoinTable.Pairs, _ columns: inout [Column], by condition: ExpressionEvaluator) {
        let errors = RowErrors()
        let batch = Batch(count: pairs.rows.count, columns: columns)
        let kept = condition.select(batch, errors: errors)
        if !errors.isEmpty { context.reject(errors, of: batch, view: view, countsSourceRows: false) }
        guard kept.count < batch.count else { return }
        columns = columns.map { $0.gather(kept) }
        pairs = pairs.picked(kept.rows)
    }

    // MARK: - Rows by themselves

    /// Rows of one side as they come out without a match: with NULLs for the other side's columns, unless they are the
    /// whole result.
    private func lonely(_ side: Int, _ columns: [Column], _ weights: Column?, count: Int) {
        guard count > 0 else { return }
        var all = columns
        if layout.kind.emitsPairs {
            let others = (side == 0 ? layout.right.types : layout.left.types).map { Column.nulls($0, count: count) }
            all = side == 0 ? columns + others : others + columns
        }
        find(Batch(count: count, columns: all, weights: weights))
    }

    private func find(_ batch: Batch) {
        found.append(batch)
        foundBytes += batch.columns.reduce(0) { $0 + $1.count * $1.physical.stride }
    }

    /// Rows whose being there depends on whether they have a match: what the tick changed about that.
    private func settleTouched(_ side: Int) {
        guard countsMatches(side) else { return }
        let touched = table.takeTouched(side)
        let isSemi = layout.kind == .semi
        if layout.waitsForTime && !isSemi { return }
        var slots: [UInt32] = []
        let weights = Column(.bigint, capacity: touched.slots.count)
        for at in touched.slots.indices {
            let before = (touched.matchesBefore[at] == 0) != isSemi ? touched.weightsBefore[at] : 0
            let after = (touched.matches[at] == 0) != isSemi ? touched.weights[at] : 0
            if before == after { continue }
            slots.append(touched.slots[at])
            weights.append(.bigint(after - before))
        }
        guard !slots.isEmpty else { return }
        lonely(side, table.gather(side, slots), needsNet ? weights : nil, count: slots.count)
    }

    /// Lets go of the rows that can meet no further row.
    private func forget(into output: any Output) {
        guard watermark != .start else { return }
        for side in 0...1 {
            guard let bound = side == 0 ? layout.left.time : layout.right.time else { continue }
            table.forget(side, before: bound.limit(watermark)) { columns, weights in
                guard layout.waitsForTime, layout.kind != .semi else { return }
                lonely(side, columns, nil, count: weights.count)
            }
        }
        emit(into: output)
    }

    private func emit(into output: any Output) {
        let batches = found
        found = []
        foundBytes = 0
        if needsNet, batches.count > 1 || batches.first?.weights != nil {
            if let net = Consolidation.net(batches) { output.emit(net) }
        } else {
            for batch in batches { output.emit(batch) }
        }
    }
}
