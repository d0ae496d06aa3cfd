internal import Glibc
package import MartletColumns
internal import MartletCore

extension AggregateTable {
    /// Keeps the rows as they were before this tick, once each.
    func keepImages(_ targets: UnsafePointer<UnsafeMutableRawPointer>, _ count: Int) {
        guard let mark = layout.mark, before != nil else { return }
        let bytes = rows.store.rowBytes
        for at in 0..<count {
            let row = targets[at]
            if row.load(fromByteOffset: mark, as: UInt64.self) != 0 { continue }
            guard let image = before?.append() else { return }
            memcpy(image, row, bytes)
            changed.append(row)
            row.storeBytes(of: UInt64(changed.count), toByteOffset: mark, as: UInt64.self)
        }
    }

    /// The row as it was before this tick; nil: it has not changed, or changes are not kept.
    func image(of row: UnsafeRawPointer) -> UnsafeRawPointer? {
        guard let mark = layout.mark, let before else { return nil }
        let number = row.load(fromByteOffset: mark, as: UInt64.self)
        return number == 0 ? nil : UnsafeRawPointer(before[Int(number) - 1])
    }

    /// What changed since the last call: for each group whose result differs, its old row with weight −1 (unless it is
    /// new) and its new row with +1 (unless its last row is gone), group by group in the order of their first change.
    /// `errors`: rows of the batch, all of them new rows, whose results cannot be given. O(changed groups).
    package func takeChanges() -> (batch: Batch, errors: RowErrors) {
        precondition(layout.mark != nil, "a table that does not keep changes")
        let isGlobal = layout.keys.fields.isEmpty
        let old = Side(
            self, changed.compactMap { row in image(of: row).map { UnsafeMutableRawPointer(mutating: $0) } }, isOld: true
        ) {
            isGlobal ? isGlobalShown : $0.load(as: Int64.self) > 0
        }
        let new = Side(self, changed, isOld: false) { isGlobal || $0.load(as: Int64.self) > 0 }
        if isGlobal, !changed.isEmpty { isGlobalShown = true }

        // Rows of old and new one behind the other, then picked in the order of the groups.
        let order = Selection(capacity: old.count + new.count)
        var weights: [Int64] = []
        let errors = RowErrors()
        func take(_ row: Int, _ weight: Int64) {
            order.indexes[order.count] = Int32(truncatingIfNeeded: row)
            order.count += 1
            weights.append(weight)
        }
        for group in changed.indices {
            let before = old.place(group).flatMap { old.errors.contains($0) ? nil : $0 }
            let after = new.place(group)
            if let before, let after, !new.errors.contains(after), isSame(old, before, new, after) { continue }
            if let before { take(before, -1) }
            if let after {
                if let error = new.errors.error(at: after) { errors.add(order.count, error) }
                take(old.count + after, 1)
            }
        }
        let columns = zip(old.columns, new.columns).map { old, new in
            old.append(rowsOf: new, from: 0, count: new.count)
            return old.gather(order)
        }
        forgetImages()
        let weightColumn = Column(.bigint, capacity: weights.count)
        for weight in weights { weightColumn.append(.bigint(weight)) }
        return (Batch(count: order.count, columns: columns, weights: weightColumn), errors)
    }

    /// The old or the new rows of the changed groups that exist on that side.
    private struct Side {
        let columns: [Column]
        let count: Int
        let errors = RowErrors()
        /// Row of `columns` by changed group, or -1.
        private var places: [Int] = []

        init(
            _ table: AggregateTable, _ rows: [UnsafeMutableRawPointer], isOld: Bool, exists: (UnsafeMutableRawPointer) -> Bool
        ) {
            var existing: [UnsafeMutableRawPointer] = []
            for row in rows {
                let isThere = exists(row)
                places.append(isThere ? existing.count : -1)
                if isThere { existing.append(row) }
            }
            count = existing.count
            columns = table.columns(of: existing, isOld: isOld, errors: errors)
        }

        func place(_ group: Int) -> Int? { places[group] < 0 ? nil : places[group] }
    }

    /// Whether the results look the same, digits included.
    private func isSame(_ old: Side, _ before: Int, _ new: Side, _ after: Int) -> Bool {
        for at in layout.keys.fields.count..<old.columns.count {
            let (left, right) = (old.columns[at], new.columns[at])
            if !left.equals(before, right, after) { return false }
            if let scales = left.scales, let others = right.scales, scales[before] != others[after] { return false }
        }
        return true
    }

    private func forgetImages() {
        guard let mark = layout.mark else { return }
        let isGlobal = layout.keys.fields.isEmpty
        for row in changed {
            for accumulator in layout.accumulators where layout.ownsText {
                guard case .extreme(.text, _) = accumulator.kind, let image = image(of: row) else { continue }
                accumulator.releaseText(UnsafeMutableRawPointer(mutating: image), keptBy: row)
            }
            row.storeBytes(of: 0, toByteOffset: mark, as: UInt64.self)
            // A group without rows is gone, and starts afresh when one comes: what is left in a sum of doubles must not live on.
            if !isGlobal, row.load(as: Int64.self) == 0 {
                releaseTexts(of: row)
                releaseObjects(of: row)
                rows.reset(row)
                rows.remove(row)
            }
        }
        changed.removeAll(keepingCapacity: changed.count < 4096)
        before?.clear(keptBytes: 1 << 16)
    }
}
