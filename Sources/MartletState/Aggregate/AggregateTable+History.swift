package import MartletColumns
internal import MartletCore

extension AggregateSpec {
    /// A withdrawn value cannot be taken out of the result: it is found again among the values that are left.
    package var needsHistory: Bool {
        (function == .min || function == .max) && !takesWithdrawals && argumentType?.isNested != true
    }
}

/// Least and greatest values under withdrawals: the table says which groups lost theirs, and is given all values that the
/// group still has.
extension AggregateTable {
    /// The keys of the groups whose least or greatest value may have been withdrawn since the last call; those values are
    /// unknown until `restore`. Only of a table that keeps changes. O(changed groups).
    package func takeWithdrawn() -> (keys: [Column], count: Int) {
        let extremes = layout.accumulators.filter {
            if case .extreme = $0.kind { true } else { false }
        }
        // A group without rows is about to go; the one row of a table without keys stays.
        let isGlobal = layout.keys.fields.isEmpty
        let lost = changed.filter { row in
            (isGlobal || row.load(as: Int64.self) != 0) && extremes.contains { $0.flags(row).pointee & $0.withdrawn != 0 }
        }
        for row in lost {
            for extreme in extremes {
                if case .extreme(.text, _) = extreme.kind { extreme.releaseText(row, keptBy: image(of: row)) }
                let words = extreme.words(row)
                for (at, word) in extreme.initial.enumerated() { words[at] = word }
                extreme.flags(row).pointee &= ~(extreme.seen | extreme.withdrawn)
            }
        }
        let columns = lost.withUnsafeBufferPointer { rows in
            layout.keys.fields.indices.map { key in
                guard let base = rows.baseAddress else { return Column(layout.keys.fields[key].type, capacity: 0) }
                return self.rows.keyColumn(key, of: base, count: rows.count)
            }
        }
        return (columns, lost.count)
    }

    /// Gives groups that `takeWithdrawn` named the values that they have. Counts and sums stay as they are.
    package func restore(keys: [Column], count: Int, arguments: [Column?], filters: [Column?]) {
        guard count > 0 else { return }
        let scratch = BlockScratch(keyWords: layout.keys.words, rows: count)
        let hashes = Hash.rows(keys, count: count)
        hashes.withUnsafeBufferPointer { hashes in
            guard let hashes = hashes.baseAddress else { return }
            var start = 0
            while start < count {
                let block = min(BlockScratch.rows, count - start)
                let images = layout.keys.images(keys, start, block, scratch)
                rows.find(images, hashes + start, count: block, into: scratch.targets)
                addExtremes(scratch, start, block, arguments, filters)
                start += block
            }
        }
        withExtendedLifetime((keys, arguments, filters)) {}
    }
}
