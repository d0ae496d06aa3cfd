package import MartletColumns
internal import MartletCore

/// Rows of one side of a join that are looked at only when the other side asks: columns as they came, without an index.
///
/// Where one side has few rows for many of the other's (the maximum of each window for all bids), nearly every row of the many
/// is put in, found by nobody and forgotten when its time is over. Kept like this that costs a copy; a question costs a look at
/// each row's hash. One thread.
final class WaitingRows {
    private struct Piece {
        var columns: [Column]
        var hashes: [UInt64] = []
        /// The latest time of its rows, µs. A row without one meets nothing, and goes with the others.
        var latest = Int64.min
        /// How often it was looked through.
        var scans = 0

        var count: Int { hashes.count }

        mutating func noteTimes(of times: Column, _ rows: Range<Int>) {
            for row in rows where !times.isNull(row) { latest = max(latest, times.int64s[row]) }
        }
    }

    private static let pieceRows = 4096
    /// Looks at a row that together cost about as much as having it in an index.
    private static let scansMax = 8

    private let types: [DataType]
    private let keys: [Int]
    private let time: Int
    private var pieces: [Piece] = []
    private(set) var rowCount = 0
    private let rowBytes: Int

    /// - Parameters:
    ///   - keys: where the key lies.
    ///   - time: the column by which rows are forgotten.
    init(types: [DataType], keys: [Int], time: Int) {
        self.types = types
        self.keys = keys
        self.time = time
        rowBytes = types.reduce(8) { $0 + PhysicalType($1).stride }
    }

    var isEmpty: Bool { rowCount == 0 }
    /// About what they take, long texts left out.
    var memoryBytes: Int { rowCount * rowBytes }
    /// Some rows have been looked at so often that they had better be found by an index.
    var isOverused: Bool { pieces.contains { $0.scans >= WaitingRows.scansMax } }

    /// - Parameter hashes: of the rows' keys, none of which is NULL.
    func add(_ columns: [Column], hashes: [UInt64]) {
        var start = 0
        while start < hashes.count {
            if pieces.last.map({ $0.count == WaitingRows.pieceRows }) ?? true {
                if let full = pieces.indices.last { pieces[full].columns = Column.kept(pieces[full].columns) }
                pieces.append(Piece(columns: types.map { Column($0, capacity: min(hashes.count, WaitingRows.pieceRows)) }))
            }
            let last = pieces.count - 1
            let count = min(hashes.count - start, WaitingRows.pieceRows - pieces[last].count)
            for (own, given) in zip(pieces[last].columns, columns) { own.append(rowsOf: given, from: start, count: count, detached: true) }
            pieces[last].hashes += hashes[start..<start + count]
            pieces[last].noteTimes(of: columns[time], start..<start + count)
            start += count
        }
        rowCount += hashes.count
    }

    /// Hands over, piece by piece, the rows that may have one of the keys whose hashes are given, as (key columns, whole rows),
    /// for as long as `body` answers that it wants more. Other keys may be among them.
    func scan(_ wanted: [UInt64], _ body: (_ keys: [Column], _ hashes: [UInt64], _ columns: [Column]) -> Bool) {
        // One bit for each of the upper halves' last bits: few rows pass that should not.
        var bits = 4096
        while bits < wanted.count * 16, bits < 1 << 20 { bits *= 2 }
        let mask = UInt64(bits - 1)
        var filter = [UInt64](repeating: 0, count: bits / 64)
        for hash in wanted { filter[Int((hash &>> 32 & mask) / 64)] |= 1 &<< (hash &>> 32 & 63) }
        for at in pieces.indices {
            pieces[at].scans += 1
            let piece = pieces[at]
            var found: [Int32] = []
            piece.hashes.withUnsafeBufferPointer { hashes in
                filter.withUnsafeBufferPointer { filter in
                    for row in hashes.indices {
                        let place = hashes[row] &>> 32
                        if filter[Int(truncatingIfNeeded: (place & mask) &>> 6)] &>> (place & 63) & 1 == 1 {
                            found.append(Int32(truncatingIfNeeded: row))
                        }
                    }
                }
            }
            if found.isEmpty { continue }
            let columns = found.withUnsafeBufferPointer { rows in
                piece.columns.map { $0.gather(rows.baseAddress.unsafelyUnwrapped, count: rows.count) }
            }
            if !body(keys.map { columns[$0] }, found.map { piece.hashes[Int($0)] }, columns) { return }
        }
    }

    /// Forgets pieces of which all rows are before `limit`; others wait a little longer, and nothing can meet them.
    func forget(before limit: Int64) {
        guard let first = pieces.first, first.latest < limit else { return }
        pieces.removeAll { $0.latest < limit }
        rowCount = pieces.reduce(0) { $0 + $1.count }
    }

    /// As they lie, so that equal rows that were looked at as often have equal bytes, whenever they are saved.
    func save(into writer: StateWriter) {
        writer.write(UInt64(pieces.count))
        for piece in pieces {
            writer.write(UInt32(clamping: piece.scans))
            for column in piece.columns { writer.write(column) }
        }
    }

    /// Into an object without rows. Hashes are made again: they cost less than their bytes.
    func restore(from reader: StateReader) throws(StateError) {
        for _ in 0..<(try reader.readCount(max: Int(UInt32.max))) {
            let scans: UInt32 = try reader.read()
            var piece = Piece(columns: [], scans: Int(scans))
            for type in types { piece.columns.append(try reader.readColumn(type)) }
            let count = piece.columns[time].count
            guard (1...WaitingRows.pieceRows).contains(count), piece.columns.allSatisfy({ $0.count == count }) else {
                throw reader.error("a piece of \(count) rows that wait")
            }
            let keyColumns = keys.map { piece.columns[$0] }
            guard (0..<count).allSatisfy({ row in !keyColumns.contains { $0.isNull(row) } }) else {
                throw reader.error("a row that waits without a key")
            }
            piece.hashes = Hash.rows(keyColumns, count: count)
            piece.noteTimes(of: piece.columns[time], 0..<count)
            pieces.append(piece)
            rowCount += count
        }
    }

    /// Gives up all rows, in the order in which they came.
    func takeAll() -> [(columns: [Column], hashes: [UInt64])] {
        defer {
            pieces = []
            rowCount = 0
        }
        return pieces.map { ($0.columns, $0.hashes) }
    }
}

extension JoinTable {
    /// No number of a key.
    package static let noKey = UInt32.max

    // MARK: - Rows that wait

    /// Whether new rows of `side` are to wait: its rows may, and come in far greater numbers than the other side's.
    package func waits(_ side: Int) -> Bool {
        guard waiting[side] != nil, !hasIndexed[side] else { return false }
        return arrived[side] >= 8 * arrived[1 - side]
    }

    /// Rows of `side` are about to be taken in.
    package func noteArrival(_ side: Int, _ count: Int) { arrived[side] &+= count }

    package func hasWaiting(_ side: Int) -> Bool { waiting[side]?.isEmpty == false }

    package func wait(_ side: Int, _ columns: [Column], hashes: [UInt64]) { waiting[side]?.add(columns, hashes: hashes) }

    /// Before `questions` rows of the other side ask: rows that wait are put into the index where that is cheaper.
    package func prepare(_ side: Int, questions: Int) {
        guard let waiting = waiting[side], !waiting.isEmpty, questions > 0 else { return }
        if waiting.isOverused { hasIndexed[side] = true }
        if hasIndexed[side] || questions * 8 > waiting.rowCount { indexWaiting(side) }
    }

    /// Puts the rows that wait into the index.
    package func indexWaiting(_ side: Int) {
        for (columns, hashes) in waiting[side]?.takeAll() ?? [] {
            let keyColumns = sides[side].waitingKeys.map { columns[$0] }
            _ = apply(side, columns, keys: keyNumbers(keyColumns, count: hashes.count), weights: nil)
        }
    }

    /// The numbers of keys that have some, and `noKey` for others, which no row in the index has.
    package func knownNumbers(_ columns: [Column], hashes: [UInt64]) -> [UInt32] { keys.known(columns, hashes) }

    /// Meets rows of the other side, by their keys' numbers and hashes, with the waiting rows of `side`: hands over pairs of
    /// the others' places and this side's columns, for as long as `body` answers that it wants more.
    package func probeWaiting(_ side: Int, numbers: [UInt32], hashes: [UInt64], _ body: ([Int32], [Column]) -> Bool) {
        guard let waiting = waiting[side], !waiting.isEmpty, !numbers.isEmpty else { return }
        var places: [UInt32: [Int32]] = [:]
        for (place, number) in numbers.enumerated() { places[number, default: []].append(Int32(truncatingIfNeeded: place)) }
        waiting.scan(hashes) { keyColumns, hashes, columns in
            let known = keys.known(keyColumns, hashes)
            var theirs: [Int32] = []
            var own: [Int32] = []
            for (row, number) in known.enumerated() where number != JoinTable.noKey {
                for place in places[number] ?? [] {
                    theirs.append(place)
                    own.append(Int32(truncatingIfNeeded: row))
                }
            }
            if own.isEmpty { return true }
            let pairs = own.withUnsafeBufferPointer { rows in
                columns.map { $0.gather(rows.baseAddress.unsafelyUnwrapped, count: rows.count) }
            }
            return body(theirs, pairs)
        }
    }
}
