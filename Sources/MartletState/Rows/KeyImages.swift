internal import MartletColumns
internal import MartletCore

/// The keys of some input rows in the form in which rows hold them: `words` 8-byte words each.
struct KeyImages {
    let words: UnsafePointer<UInt64>
    /// NULL bits per row, as in a row's header; nil: none is NULL (or the bits are among the words).
    let nulls: UnsafePointer<UInt16>?
}

/// Memory for the rows of one block on their way into a table.
final class BlockScratch {
    /// Rows taken at a time: what they need stays in the cache.
    static let rows = 256

    let words: UnsafeMutablePointer<UInt64>
    let nulls: UnsafeMutablePointer<UInt16>
    let hashes: UnsafeMutablePointer<UInt64>
    let targets: UnsafeMutablePointer<UnsafeMutableRawPointer>
    let sources: UnsafeMutablePointer<UnsafeMutableRawPointer>
    /// For rows left over after filters and NULLs.
    let liveTargets: UnsafeMutablePointer<UnsafeMutableRawPointer>
    let live: UnsafeMutablePointer<Int32>
    let liveWeights: UnsafeMutablePointer<Int64>
    let values: UnsafeMutablePointer<Int64>
    /// Rows that are put in, where others are withdrawn.
    let positive: UnsafeMutablePointer<Int32>

    init(keyWords: Int, rows: Int) {
        let rows = max(min(rows, BlockScratch.rows), 1)
        words = .allocate(capacity: max(keyWords, 1) * rows)
        nulls = .allocate(capacity: rows)
        hashes = .allocate(capacity: rows)
        targets = .allocate(capacity: rows)
        sources = .allocate(capacity: rows)
        liveTargets = .allocate(capacity: rows)
        live = .allocate(capacity: rows)
        liveWeights = .allocate(capacity: rows)
        values = .allocate(capacity: rows)
        positive = .allocate(capacity: rows)
    }

    deinit {
        words.deallocate()
        nulls.deallocate()
        hashes.deallocate()
        targets.deallocate()
        sources.deallocate()
        liveTargets.deallocate()
        live.deallocate()
        liveWeights.deallocate()
        values.deallocate()
        positive.deallocate()
    }
}

extension KeyLayout {
    /// The keys of rows `start ..< start + count` of `columns`; without copying where one column lies as rows hold it.
    func images(_ columns: [Column], _ start: Int, _ count: Int, _ scratch: BlockScratch) -> KeyImages {
        let nulls = nullBits(columns, start, count, scratch)
        if columns.count == 1 {
            let column = columns[0]
            switch column.physical {
            case .int64, .view, .uuid:
                let words = column.values(UInt64.self) + start &* fields[0].words
                return KeyImages(words: words, nulls: nulls)
            case .bool, .int16, .int32, .float, .double, .decimal, .interval: break
            }
        }
        for (column, field) in zip(columns, fields) { fill(column, field, start, count, scratch.words + field.word) }
        if let nullWord { fillNullWords(columns, start, count, scratch.words + nullWord) }
        return KeyImages(words: scratch.words, nulls: nulls)
    }

    private func nullBits(
        _ columns: [Column], _ start: Int, _ count: Int, _ scratch: BlockScratch
    ) -> UnsafePointer<UInt16>? {
        guard nullWord == nil, columns.contains(where: { $0.validity != nil }) else { return nil }
        scratch.nulls.update(repeating: 0, count: count)
        for (key, column) in columns.enumerated() {
            guard let validity = column.validity else { continue }
            for row in 0..<count { scratch.nulls[row] |= UInt16(validity[start &+ row] ^ 1) &<< UInt16(key) }
        }
        return UnsafePointer(scratch.nulls)
    }

    private func fillNullWords(
        _ columns: [Column], _ start: Int, _ count: Int, _ target: UnsafeMutablePointer<UInt64>
    ) {
        for row in 0..<count {
            for word in 0..<((columns.count + 63) / 64) { target[row * words + word] = 0 }
            for (key, column) in columns.enumerated() where column.isNull(start + row) {
                target[row * words + key / 64] |= 1 << UInt64(key % 64)
            }
        }
    }

    private func fill(
        _ column: Column, _ field: KeyField, _ start: Int, _ count: Int, _ target: UnsafeMutablePointer<UInt64>
    ) {
        let step = words
        @inline(__always)
        func each<Element: BitwiseCopyable>(_ values: UnsafePointer<Element>, _ word: (Element) -> UInt64) {
            for row in 0..<count { target[row &* step] = word(values[start &+ row]) }
        }
        switch field.physical {
        case .bool: each(column.bools) { UInt64($0) }
        case .int16: each(column.int16s) { UInt64(bitPattern: Int64($0)) }
        case .int32: each(column.int32s) { UInt64(bitPattern: Int64($0)) }
        case .int64: each(column.int64s) { UInt64(bitPattern: $0) }
        case .float: each(column.floats) { Words.bits(Double($0)) }
        case .double: each(column.doubles) { Words.bits($0) }
        case .view, .uuid, .interval, .decimal:
            let pairs = column.values(SIMD2<UInt64>.self)
            for row in 0..<count {
                target[row &* step] = pairs[start &+ row][0]
                target[row &* step &+ 1] = pairs[start &+ row][1]
            }
            if let scales = column.scales {
                for row in 0..<count { target[row &* step &+ 2] = UInt64(scales[start &+ row]) }
            }
        }
    }
}
