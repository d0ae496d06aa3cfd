package import MartletCore

extension Batch {
    /// The rows named by `selection`, with their weights, watermarks, origins and table's rows.
    package func gather(_ selection: Selection) -> Batch {
        var result = self
        result.count = selection.count
        result.columns = columns.map { $0.gather(selection) }
        result.weights = weights?.gather(selection)
        result.watermarks = watermarks?.gather(selection)
        result.origins = origins?.gather(selection)
        result.tableRows?.columns = tableRows?.columns.map { $0.gather(selection) } ?? []
        return result
    }

    /// The rows where `condition` is true; the batch itself where that is all of them.
    package func filter(_ condition: Column) -> Batch {
        let selection = Selection.where(condition)
        return selection.count == count ? self : gather(selection)
    }

    /// Rows `start ..< start + count`.
    package func slice(_ start: Int, _ count: Int) -> Batch {
        if start == 0 && count == self.count { return self }
        let selection = Selection(capacity: count)
        for at in 0..<count { selection.indexes[at] = Int32(truncatingIfNeeded: start &+ at) }
        selection.count = count
        var result = self
        result.count = count
        result.columns = columns.map { $0.slice(start, count) }
        result.weights = weights?.slice(start, count)
        result.watermarks = watermarks?.slice(start, count)
        result.tableRows?.columns = tableRows?.columns.map { $0.slice(start, count) } ?? []
        result.origins = origins?.gather(selection)
        return result
    }

    /// The values of one row.
    package func row(_ row: Int) -> [Value] { columns.map { $0.value(at: row) } }
}

extension RowOrigins {
    package func gather(_ selection: Selection) -> RowOrigins {
        guard let rows else { return RowOrigins(block: block, rows: selection) }
        let composed = Selection(capacity: selection.count)
        for at in 0..<selection.count { composed.indexes[at] = rows.indexes[Int(selection.indexes[at])] }
        composed.count = selection.count
        return RowOrigins(block: block, rows: composed)
    }
}
