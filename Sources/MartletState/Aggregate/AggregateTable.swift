internal import Glibc
package import MartletColumns
package import MartletCore

/// Aggregates by key.
///
/// Groups are numbered, and come out, in the order in which their keys first came. Sums are exact, or (for floating
/// point) the same in whatever order rows and partial tables came, so that results depend neither on the size of
/// batches nor on the number of shards. A column of weights makes rows withdrawals (negative) or repetitions; least and
/// greatest values cannot be withdrawn (an error of the group).
///
/// One thread writes; while nobody writes, any number of threads may `merge` from the table. No allocation, reference
/// count or call through a protocol per row; per batch a few small ones.
package final class AggregateTable {
    package let layout: AggregateLayout
    let rows: KeyedRows
    /// Images, before this tick, of the rows that changed in it.
    var before: RowStore?
    /// The number of each image's row.
    var changed: [UnsafeMutableRawPointer] = []
    /// A table without keys has its one row from the beginning; whether a result of it was ever given out.
    var isGlobalShown = false
    /// Bytes that the groups' objects hold, roughly.
    var objectBytes = 0

    /// `tracksChanges`: `takeChanges` will be called after each tick; otherwise it must not be.
    package convenience init(keys: [DataType], calls: [AggregateSpec], tracksChanges: Bool = false) {
        self.init(AggregateLayout(keys: keys, calls: calls, tracksChanges: tracksChanges))
    }

    package init(_ layout: AggregateLayout) {
        self.layout = layout
        rows = KeyedRows(layout.keys, template: layout.template)
        if layout.mark != nil { before = RowStore(rowBytes: rows.store.rowBytes) }
    }

    deinit {
        releaseTexts()
        releaseObjects()
        before?.deallocate()
    }

    package var groupCount: Int { rows.count }

    /// Numbers of the groups that have rows, in order.
    package var liveGroups: [Int] { (0..<rows.count).filter { rows[$0].load(as: Int64.self) > 0 } }

    /// Bytes that are resident, about.
    package var memoryBytes: Int { rows.memoryBytes + (before?.memoryBytes ?? 0) + objectBytes }

    /// Forgets all groups; small allocations are kept for reuse.
    package func clear() {
        releaseTexts()
        releaseObjects()
        rows.clear()
        before?.clear(keptBytes: 1 << 16)
        changed = []
        isGlobalShown = false
    }

    // MARK: - Update

    /// Adds the rows named by `rows` (nil: rows `0 ..< count`) of the columns: for each call its argument (nil for
    /// count(*)) and, where it has one, the boolean column of its filter. `hashes` as of `Hash.rows(keys)`, by row.
    package func update(
        keys: [Column], hashes: UnsafePointer<UInt64>? = nil, rows selection: Selection? = nil, count: Int,
        arguments: [Column?], filters: [Column?], weights: Column? = nil
    ) {
        precondition(
            keys.count == layout.keys.fields.count && arguments.count == layout.calls.count
                && filters.count == layout.calls.count, "columns do not fit the aggregates")
        guard let selection else {
            add(keys, hashes, count, arguments, filters, weights)
            return
        }
        var picker = Picker(selection)
        let keys = keys.map { picker.pick($0) }
        let arguments = arguments.map { $0.map { picker.pick($0) } }
        let filters = filters.map { $0.map { picker.pick($0) } }
        let weights = weights.map { picker.pick($0) }
        let picked = hashes.map { hashes in (0..<selection.count).map { hashes[Int(selection.indexes[$0])] } }
        if let picked {
            picked.withUnsafeBufferPointer {
                add(keys, $0.baseAddress, selection.count, arguments, filters, weights)
            }
        } else {
            add(keys, nil, selection.count, arguments, filters, weights)
        }
    }

    /// Gathers the chosen rows of columns, each column once: sharing goes by the column's identity.
    private struct Picker {
        private let selection: Selection
        private var picked: [(from: Column, to: Column)] = []

        init(_ selection: Selection) { self.selection = selection }

        mutating func pick(_ column: Column) -> Column {
            if let known = picked.first(where: { $0.from === column }) { return known.to }
            let rows = column.gather(selection)
            picked.append((column, rows))
            return rows
        }
    }

    private func add(
        _ keys: [Column], _ hashes: UnsafePointer<UInt64>?, _ count: Int, _ arguments: [Column?], _ filters: [Column?],
        _ weights: Column?
    ) {
        guard count > 0 else { return }
        let scratch = BlockScratch(keyWords: layout.keys.words, rows: count)
        let own = hashes == nil ? Hash.rows(keys, count: count) : []
        own.withUnsafeBufferPointer { own in
            guard let hashes = hashes ?? own.baseAddress else { return }
            var start = 0
            while start < count {
                let block = min(BlockScratch.rows, count - start)
                add(keys, hashes, start, block, arguments, filters, weights, scratch)
                start += block
            }
        }
        withExtendedLifetime((keys, arguments, filters, weights)) {}
    }

    private func add(
        _ keys: [Column], _ hashes: UnsafePointer<UInt64>, _ start: Int, _ count: Int, _ arguments: [Column?],
        _ filters: [Column?], _ weights: Column?, _ scratch: BlockScratch
    ) {
        let images = layout.keys.images(keys, start, count, scratch)
        let targets = scratch.targets
        rows.find(images, hashes + start, count: count, into: targets)
        if layout.mark != nil { keepImages(targets, count) }
        let weights = weights.map { UnsafePointer($0.int64s) + start }
        let whole = AccumulatorInput(targets: targets, count: count, start: start, live: nil, weights: weights)
        var feeder = Feeder(whole: whole, arguments: arguments, filters: filters, scratch: scratch)
        // With weights each accumulator goes by itself.
        let bundles = weights == nil ? layout.bundles : []
        var isWeighed = false
        for bundle in bundles {
            let input = feeder.input(bundle.call)
            guard let argument = arguments[bundle.call] else { continue }
            // A bundle that takes every row counts them as it goes.
            let weighs = !isWeighed && input.live == nil
            bundle.add(input.targets, Accumulator.integers(argument, input, scratch), count: input.count, weight: weighs ? 1 : 0)
            isWeighed = isWeighed || weighs
        }
        if !isWeighed { weigh(targets, count, weights) }
        for (number, accumulator) in layout.accumulators.enumerated() {
            if bundles.contains(where: { $0.members.contains(number) }) { continue }
            apply(accumulator, feeder.input(accumulator.call, takesNulls: accumulator.takesNulls), arguments[accumulator.call], scratch)
        }
    }

    /// Adds the rows' weights, or 1 for each, to those of their groups.
    private func weigh(_ targets: UnsafePointer<UnsafeMutableRawPointer>, _ count: Int, _ weights: UnsafePointer<Int64>?) {
        if let weights {
            for at in 0..<count { targets[at].assumingMemoryBound(to: Int64.self).pointee &+= weights[at] }
        } else {
            for at in 0..<count { targets[at].assumingMemoryBound(to: Int64.self).pointee &+= 1 }
        }
    }

    /// Feeds the least and greatest values alone, for rows whose groups are `scratch.targets`.
    func addExtremes(_ scratch: BlockScratch, _ start: Int, _ count: Int, _ arguments: [Column?], _ filters: [Column?]) {
        let whole = AccumulatorInput(targets: scratch.targets, count: count, start: start, live: nil, weights: nil)
        var feeder = Feeder(whole: whole, arguments: arguments, filters: filters, scratch: scratch)
        for accumulator in layout.accumulators {
            guard case .extreme = accumulator.kind else { continue }
            apply(accumulator, feeder.input(accumulator.call), arguments[accumulator.call], scratch)
        }
    }

    /// The rows that each call takes of a block: the same for calls of one argument and filter.
    private struct Feeder {
        let whole: AccumulatorInput
        let arguments: [Column?]
        let filters: [Column?]
        let scratch: BlockScratch
        private var narrowed: AccumulatorInput?
        private var narrowedBy: (Column?, Column?) = (nil, nil)

        init(whole: AccumulatorInput, arguments: [Column?], filters: [Column?], scratch: BlockScratch) {
            self.whole = whole
            self.arguments = arguments
            self.filters = filters
            self.scratch = scratch
        }

        /// Valid until the next call.
        mutating func input(_ call: Int, takesNulls: Bool = false) -> AccumulatorInput {
            let filter = filters[call]
            let nullable = takesNulls || arguments[call]?.validity == nil ? nil : arguments[call]
            if filter == nil, nullable == nil { return whole }
            if let narrowed, narrowedBy.0 === nullable, narrowedBy.1 === filter { return narrowed }
            let input = AggregateTable.narrow(whole, nullable, filter, scratch)
            narrowed = input
            narrowedBy = (nullable, filter)
            return input
        }
    }

    /// The rows for which the filter is true and the argument not NULL.
    private static func narrow(
        _ whole: AccumulatorInput, _ argument: Column?, _ filter: Column?, _ scratch: BlockScratch
    ) -> AccumulatorInput {
        let (targets, live, weights) = (scratch.liveTargets, scratch.live, scratch.liveWeights)
        let validity = argument?.validity
        let passes = filter?.bools
        var kept = 0
        for at in 0..<whole.count {
            let row = whole.start &+ at
            live[kept] = Int32(truncatingIfNeeded: at)
            targets[kept] = whole.targets[at]
            if let all = whole.weights { weights[kept] = all[at] }
            kept &+= Int((validity?[row] ?? 1) & (passes?[row] ?? 1))
        }
        return AccumulatorInput(
            targets: targets, count: kept, start: whole.start, live: live,
            weights: whole.weights == nil ? nil : UnsafePointer(weights))
    }

    private func apply(
        _ accumulator: Accumulator, _ input: AccumulatorInput, _ argument: Column?, _ scratch: BlockScratch
    ) {
        if case .gathered(let shape) = accumulator.kind {
            if let argument { gather(shape, accumulator, input, argument) }
            return
        }
        guard layout.mark != nil, case .extreme(.text, let isMax) = accumulator.kind, let argument else {
            accumulator.add(input, argument, scratch)
            return
        }
        // The images of this tick's changes refer to the strings as they were.
        for at in 0..<input.count {
            let row = input.targets[at]
            if let weights = input.weights, weights[at] <= 0 {
                if weights[at] < 0 { accumulator.flags(row).pointee |= accumulator.withdrawn }
            } else {
                accumulator.addText(argument.views[input.row(at)], isMax: isMax, row, image(of: row))
            }
        }
    }

    func releaseTexts(of row: UnsafeMutableRawPointer) {
        for accumulator in layout.accumulators {
            if case .extreme(.text, _) = accumulator.kind { accumulator.releaseText(row, keptBy: nil) }
        }
    }

    /// Frees all copies of long strings.
    private func releaseTexts() {
        guard layout.ownsText else { return }
        for accumulator in layout.accumulators {
            guard case .extreme(.text, _) = accumulator.kind else { continue }
            for row in changed {
                if let image = image(of: row) { accumulator.releaseText(UnsafeMutableRawPointer(mutating: image), keptBy: row) }
            }
            for id in 0..<rows.count { accumulator.releaseText(rows[id], keptBy: nil) }
        }
    }
}
