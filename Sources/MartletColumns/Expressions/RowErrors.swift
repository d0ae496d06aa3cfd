package import MartletCore

/// Which rows of a batch could not be computed, and why: the first error of each row.
package final class RowErrors {
    package struct Entry {
        package let row: Int
        package let error: SQLError
    }

    /// In the order in which they were found.
    package private(set) var entries: [Entry] = []
    private var failed: [Bool] = []

    package init() {}

    package var isEmpty: Bool { entries.isEmpty }

    @inline(__always)
    package func contains(_ row: Int) -> Bool { row < failed.count && failed[row] }

    /// Notes the error of a row unless it has one.
    package func add(_ row: Int, _ error: SQLError) {
        if contains(row) { return }
        while failed.count <= row { failed.append(false) }
        failed[row] = true
        entries.append(Entry(row: row, error: error))
    }

    package func error(at row: Int) -> SQLError? {
        contains(row) ? entries.first { $0.row == row }?.error : nil
    }

    package func clear() {
        entries.removeAll(keepingCapacity: true)
        failed.removeAll(keepingCapacity: true)
    }

    /// By row.
    package var sorted: [Entry] { entries.sorted { $0.row < $1.row } }

    /// The rows of a batch of `count` rows without an error; nil where that is all of them.
    package func survivors(of count: Int) -> Selection? {
        if isEmpty { return nil }
        let selection = Selection(capacity: count)
        for row in 0..<count where !contains(row) {
            selection.indexes[selection.count] = Int32(truncatingIfNeeded: row)
            selection.count += 1
        }
        return selection
    }
}
