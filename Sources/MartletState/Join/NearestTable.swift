package import MartletColumns
package import MartletCore

/// The state of an ASOF join on one shard: the rows of both sides by key and, within a key, in the order of the value by which
/// they are near. A left row meets the right row that is nearest on its side of it: the last up to it, or the first from it on.
///
/// A tick applies both sides' changes, finds what they alter, and settles. Rows whose weight came to 0 stay until `settle`, so
/// that the match before the tick can still be told. A change costs O(log n) for n rows of the key, a move of 4-byte numbers
/// behind its place (none where rows come in order), and the left rows whose match it alters. One thread.
package final class NearestTable {
    package struct Side: Sendable {
        package var types: [DataType]
        /// The column of the value; the same type on both sides.
        package var by: Int
        /// Rows may be taken back.
        package var isChanging: Bool

        package init(types: [DataType], by: Int, isChanging: Bool) {
            self.types = types
            self.by = by
            self.isChanging = isChanging
        }
    }

    /// Left rows with their matches (slot + 1, 0: none) and weights, as a tick changes them.
    package struct Changes {
        package var lefts: [UInt32] = []
        package var rights: [UInt32] = []
        package var weights: [Int64] = []

        mutating func add(_ left: UInt32, _ right: UInt32, _ weight: Int64) {
            if weight == 0 { return }
            lefts.append(left)
            rights.append(right)
            weights.append(weight)
        }
    }

    private let keys: KeyedRows
    private let groups: [RowGroups]
    private let sides: [Side]
    /// The last match up to the row; else the first from it on.
    private let isBackward: Bool
    /// The very same value does not match.
    private let isStrict: Bool
    /// By side and key's number: slots in order.
    private var orders: [[UInt32: [UInt32]]] = [[:], [:]]
    /// By side: weights before the tick of the slots that it touched, and in which order that happened.
    private var before: [[UInt32: Int64]] = [[:], [:]]
    private var touched: [[UInt32]] = [[], []]

    package init(keys types: [DataType], left: Side, right: Side, isBackward: Bool, isStrict: Bool) {
        keys = KeyedRows(KeyLayout(types), template: Array(repeating: 0, count: RowGroups.headBytes))
        sides = [left, right]
        self.isBackward = isBackward
        self.isStrict = isStrict
        var groups: [RowGroups] = []
        for (chain, side) in sides.enumerated() {
            let rows = RowHeap(side.types, metaWords: RowGroups.metaWords, isIndexed: side.isChanging)
            groups.append(RowGroups(keys: keys, rows: rows, chain: chain))
        }
        self.groups = groups
    }

    /// Rows kept of both sides.
    package var rowCount: Int { groups.reduce(0) { $0 + $1.rows.count } }

    package var memoryBytes: Int {
        keys.memoryBytes + groups.reduce(0) { $0 + $1.rows.memoryBytes } + groups.reduce(0) { $0 + $1.rows.count * 4 }
    }

    // MARK: - Order

    /// Before, the same, or behind: by the value alone.
    private func compare(_ side: Int, _ slot: UInt32, _ other: Int, _ otherSlot: UInt32) -> Int {
        let (left, right) = (sides[side].by, sides[other].by)
        switch groups[side].rows.layout.fields[left].physical {
        case .bool, .int16, .int32, .int64:
            let a = integer(side, slot, left)
            let b = integer(other, otherSlot, right)
            return a < b ? -1 : a > b ? 1 : 0
        case .float, .double, .decimal, .view, .interval, .uuid:
            return column(side, slot, left).compare(0, column(other, otherSlot, right), 0)
        }
    }

    @inline(__always)
    private func integer(_ side: Int, _ slot: UInt32, _ column: Int) -> Int64 {
        let rows = groups[side].rows
        return (rows[slot] + KeyLayout.keys).load(fromByteOffset: rows.layout.fields[column].word * 8, as: Int64.self)
    }

    private func column(_ side: Int, _ slot: UInt32, _ column: Int) -> Column { groups[side].rows.gather(column..<(column + 1), [slot])[0] }

    /// The order of a side's rows: by the value; right rows of one value so that the first by content is met first, from either
    /// direction; then by slot.
    private func precedes(_ side: Int, _ slot: UInt32, _ other: UInt32) -> Bool {
        let place = compare(side, slot, side, other)
        if place != 0 { return place < 0 }
        if side == 1 {
            for column in sides[1].types.indices {
                let place = self.column(1, slot, column).compare(0, self.column(1, other, column), 0)
                if place != 0 { return (place < 0) != isBackward }
            }
        }
        return slot < other
    }

    /// The first place in `order` whose slot `isBehind`; slots in order turn from false to true once.
    private func firstPlace(_ order: [UInt32], _ isBehind: (UInt32) -> Bool) -> Int {
        var (low, high) = (0, order.count)
        while low < high {
            let middle = (low + high) / 2
            if isBehind(order[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    // MARK: - Changes

    /// Takes one side's changes in, net of the tick: rows whose key and value are not NULL.
    package func apply(_ side: Int, _ columns: [Column], keys keyColumns: [Column], count: Int, weights: Column?) {
        let numbers = keys.numbers(keyColumns, count: count)
        let applied = groups[side].rows.apply(columns, count: count, weights: weights)
        for row in 0..<count {
            let slot = applied.slots[row]
            if before[side].updateValue(before[side][slot] ?? applied.before[row], forKey: slot) == nil { touched[side].append(slot) }
            guard applied.isNew[row] else { continue }
            groups[side].link(slot, key: numbers[row])
            insert(side, slot, key: numbers[row])
        }
    }

    private func insert(_ side: Int, _ slot: UInt32, key: UInt32) {
        // Taken out of the dictionary meanwhile, so that it is not copied.
        var order = orders[side].removeValue(forKey: key) ?? []
        if let last = order.last, precedes(side, slot, last) {
            order.insert(slot, at: firstPlace(order) { precedes(side, slot, $0) })
        } else {
            order.append(slot)
        }
        orders[side][key] = order
    }

    private func weight(_ side: Int, _ slot: UInt32, isOld: Bool) -> Int64 {
        if isOld, let weight = before[side][slot] { return weight }
        return groups[side].rows.weight(slot).pointee
    }

    /// The match of a left row now, or before the tick: slot + 1; 0: none.
    private func match(_ left: UInt32, in order: [UInt32], isOld: Bool) -> UInt32 {
        func isThere(_ slot: UInt32) -> Bool { weight(1, slot, isOld: isOld) > 0 }
        if isBackward {
            var at = firstPlace(order) { slot in
                let place = compare(1, slot, 0, left)
                return isStrict ? place >= 0 : place > 0
            }
            while at > 0 {
                at -= 1
                if isThere(order[at]) { return order[at] + 1 }
            }
        } else {
            var at = firstPlace(order) { slot in
                let place = compare(1, slot, 0, left)
                return isStrict ? place > 0 : place >= 0
            }
            while at < order.count {
                if isThere(order[at]) { return order[at] + 1 }
                at += 1
            }
        }
        return 0
    }

    /// What the tick's changes alter.
    package func changes() -> Changes {
        var changes = Changes()
        // Left rows that were there before, near a right row that came or went.
        var seen: Set<UInt32> = []
        for right in touched[1] where (before[1][right] ?? 0 > 0) != (weight(1, right, isOld: false) > 0) {
            let key = UInt32(truncatingIfNeeded: groups[1].key(of: right))
            let (lefts, rights) = (orders[0][key] ?? [], orders[1][key] ?? [])
            for left in lefts[range(of: right, lefts, rights)] {
                let weight = weight(0, left, isOld: true)
                guard weight != 0, seen.insert(left).inserted else { continue }
                let (old, new) = (match(left, in: rights, isOld: true), match(left, in: rights, isOld: false))
                if old == new { continue }
                changes.add(left, old, -weight)
                changes.add(left, new, weight)
            }
        }
        for left in touched[0] {
            let key = UInt32(truncatingIfNeeded: groups[0].key(of: left))
            let added = weight(0, left, isOld: false) - (before[0][left] ?? 0)
            if added != 0 { changes.add(left, match(left, in: orders[1][key] ?? [], isOld: false), added) }
        }
        return changes
    }

    /// Places of the left rows that a right row may be the nearest to: from its value to the next other one. A row beyond that
    /// one meets it instead, or is near a change of that one.
    private func range(of right: UInt32, _ lefts: [UInt32], _ rights: [UInt32]) -> Range<Int> {
        if isBackward {
            let start = firstPlace(lefts) { left in
                let place = compare(0, left, 1, right)
                return isStrict ? place > 0 : place >= 0
            }
            let next = firstPlace(rights) { compare(1, $0, 1, right) > 0 }
            guard next < rights.count else { return start..<lefts.count }
            let bound = rights[next]
            return start..<max(start, firstPlace(lefts) { left in
                let place = compare(0, left, 1, bound)
                return isStrict ? place > 0 : place >= 0
            })
        }
        let end = firstPlace(lefts) { left in
            let place = compare(0, left, 1, right)
            return isStrict ? place >= 0 : place > 0
        }
        let next = firstPlace(rights) { compare(1, $0, 1, right) >= 0 } - 1
        guard next >= 0 else { return 0..<end }
        let bound = rights[next]
        return min(end, firstPlace(lefts) { left in
            let place = compare(0, left, 1, bound)
            return isStrict ? place >= 0 : place > 0
        })..<end
    }

    /// The rows in `slots` of a side, column by column. Before `settle`.
    package func gather(_ side: Int, _ slots: [UInt32]) -> [Column] { groups[side].rows.gather(0..<sides[side].types.count, slots) }

    /// The end of a tick: lets go of the rows that are gone.
    package func settle() {
        for side in 0...1 {
            for slot in touched[side] where groups[side].rows.weight(slot).pointee == 0 {
                let key = UInt32(truncatingIfNeeded: groups[side].key(of: slot))
                var order = orders[side].removeValue(forKey: key) ?? []
                let at = firstPlace(order) { !precedes(side, $0, slot) }
                precondition(at < order.count && order[at] == slot, "a row that is not in its key's order")
                order.remove(at: at)
                if !order.isEmpty { orders[side][key] = order }
                groups[side].remove(slot)
            }
            touched[side] = []
            before[side] = [:]
        }
    }

    // MARK: - Saving

    /// Between ticks.
    package func save(into writer: StateWriter) {
        precondition(touched.allSatisfy(\.isEmpty), "a join is saved between ticks")
        keys.save(into: writer)
        for group in groups { group.rows.save(into: writer) }
    }

    /// Into a table without rows.
    package func restore(from reader: StateReader) throws(StateError) {
        _ = try keys.restore(from: reader)
        for (side, group) in groups.enumerated() {
            let isLive = try group.rows.restore(from: reader)
            try group.check(isLive: isLive, reader)
            arrange(side, isLive.indices.filter { isLive[$0] }.map { UInt32(truncatingIfNeeded: $0) })
        }
    }

    /// Takes over the keys that are `share`'s of another one, just restored.
    package func adopt(_ other: NearestTable, _ share: KeyShare) {
        let numbers = RowGroups.adoptKeys(keys, other.keys, share)
        for side in 0...1 { arrange(side, groups[side].adopt(other.groups[side], keys: numbers).filter { $0 != KeyShare.none }) }
    }

    /// Brings rows into the order of their keys, all of whose rows they are.
    private func arrange(_ side: Int, _ slots: [UInt32]) {
        var arranged: [UInt32: [UInt32]] = [:]
        for slot in slots { arranged[UInt32(truncatingIfNeeded: groups[side].key(of: slot)), default: []].append(slot) }
        for (key, order) in arranged { orders[side][key] = order.sorted { precedes(side, $0, $1) } }
    }
}
