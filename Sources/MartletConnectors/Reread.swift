internal import MartletColumns
internal import MartletCore
internal import MartletSQL

/// Records that made rows before, again: as rows with all of their source's columns.
enum Reread {
    /// One row for each record. What does not fit a column that nobody wanted when the record was read was no reason to refuse
    /// it then; NULL stands for what was not looked at.
    ///
    /// - Parameters:
    ///   - wanted: the columns by which the records were read.
    ///   - read: reads records, by their places in `0..<count`, with all columns or with the wanted ones.
    static func rows(
        _ count: Int, _ definition: SourceDefinition, wanted: [Int], _ read: (_ places: [Int], _ isWhole: Bool) throws(SQLError) -> Batch
    ) throws(SQLError) -> Batch {
        let all = Array(0..<count)
        let batch = try read(all, true)
        if batch.count == count { return batch }
        let columns = definition.columns.map { Column($0.type, capacity: count) }
        for place in all {
            let whole = try read([place], true)
            let known = whole.count == 1 ? whole : try read([place], false)
            for (ordinal, column) in columns.enumerated() {
                let at = whole.count == 1 ? ordinal : wanted.firstIndex(of: ordinal)
                if let at, known.count == 1 {
                    column.append(rowsOf: known.columns[at], from: 0, count: 1)
                } else {
                    column.append(.null)
                }
            }
        }
        return Batch(count: count, columns: columns)
    }
}
