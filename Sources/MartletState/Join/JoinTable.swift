package import MartletColumns
package import MartletCore

/// The state of a join on one shard: the rows of both sides by key, and for a side that asks for it how many rows of the
/// other side match each row. The protocol of a tick, for changes ΔL and ΔR that are net of the tick:
///
/// 1. `apply(ΔR)`; 2. `probe` ΔL against the right; 3. `probe` ΔR against the left; 4. `apply(ΔL)`; 5. `settle`.
///
/// So that each pair is seen once: ΔL ⋈ (R + ΔR) and L ⋈ ΔR. Rows whose weight came to 0 stay in their chains until
/// `settle`. One thread.
package final class JoinTable {
    package struct Side: Sendable {
        package var types: [DataType]
        /// Rows may be taken back.
        package var isChanging: Bool
        /// Matches per row are counted.
        package var counts: Bool
        /// The column of event time by which rows are forgotten (microseconds), if they are.
        package var time: Int?
        /// Rows of close times are forgotten together: the length of such a span, microseconds.
        package var timeStep: Int64
        /// Where the key lies, if rows may wait without an index (`WaitingRows`): they are forgotten by time, never taken back,
        /// and their matches are not counted. Else empty.
        package var waitingKeys: [Int]

        package init(types: [DataType], isChanging: Bool, counts: Bool, time: Int?, timeStep: Int64, keys: [Int] = []) {
            waitingKeys = time != nil && !isChanging && !counts ? keys : []
            self.types = types
            self.isChanging = isChanging
            self.counts = counts
            self.time = time
            self.timeStep = timeStep
        }
    }

    /// A row's presence before and after a tick, for the rows that a tick touched.
    package struct Touched {
        package var slots: [UInt32] = []
        package var weightsBefore: [Int64] = []
        package var matchesBefore: [Int64] = []
        package var weights: [Int64] = []
        package var matches: [Int64] = []
    }

    let keys: KeyedRows
    let sides: [Side]
    private(set) var groups: [RowGroups] = []
    private var touched: [Touched] = [Touched(), Touched()]
    private var emptied: [[UInt32]] = [[], []]
    /// By side: the slots of each span of time.
    var spans: [[Int64: [UInt32]]] = [[:], [:]]
    var ends: [SpanStarts] = [SpanStarts(), SpanStarts()]
    /// By side: rows without an index, where they may be.
    let waiting: [WaitingRows?]
    /// By side: rows so far, and whether rows that waited were looked at so often that new ones do not wait.
    var arrived = [0, 0]
    var hasIndexed = [false, false]

    /// Words of a row: chain (2), then matches and the place in `touched` plus 1, where matches are counted.
    private static let matchesWord = RowGroups.metaWords
    static let touchedWord = RowGroups.metaWords + 1

    /// Whether no change is half taken in: between ticks.
    var isSettled: Bool { touched.allSatisfy(\.slots.isEmpty) && emptied.allSatisfy(\.isEmpty) }

    package init(keys types: [DataType], left: Side, right: Side) {
        keys = KeyedRows(KeyLayout(types), template: Array(repeating: 0, count: RowGroups.headBytes))
        sides = [left, right]
        waiting = sides.map { side in
            guard let time = side.time, !side.waitingKeys.isEmpty else { return nil }
            return WaitingRows(types: side.types, keys: side.waitingKeys, time: time)
        }
        for (chain, side) in sides.enumerated() {
            let rows = RowHeap(
                side.types, metaWords: RowGroups.metaWords + (side.counts ? 2 : 0), isIndexed: side.isChanging)
            groups.append(RowGroups(keys: keys, rows: rows, chain: chain))
        }
    }

    /// Rows kept of a side.
    package func rowCount(_ side: Int) -> Int { groups[side].rows.count + (waiting[side]?.rowCount ?? 0) }

    package var memoryBytes: Int {
        keys.memoryBytes + groups[0].rows.memoryBytes + groups[1].rows.memoryBytes + waiting.reduce(0) { $0 + ($1?.memoryBytes ?? 0) }
    }

    /// The numbers of the keys of rows `0 ..< count`, none of which is NULL. Valid until `settle`.
    package func keyNumbers(_ columns: [Column], count: Int) -> [UInt32] { keys.numbers(columns, count: count) }

    // MARK: - Changes

    /// The rows of a batch in the table.
    package struct Applied {
        package var slots: [UInt32]
        package var isNew: [Bool]
    }

    package func apply(_ side: Int, _ columns: [Column], keys numbers: [UInt32], weights: Column?) -> Applied {
        let groups = groups[side]
        let counts = sides[side].counts
        let applied = groups.rows.apply(columns, count: numbers.count, weights: weights)
        let times = sides[side].time.map { columns[$0] }
        for row in numbers.indices {
            let slot = applied.slots[row]
            if applied.isNew[row] {
                groups.link(slot, key: numbers[row])
                if let times { note(side, slot, at: times.isNull(row) ? .max : times.int64s[row]) }
            }
            if counts { touch(side, slot, weightBefore: applied.before[row]) }
            if groups.rows.weight(slot).pointee == 0 { emptied[side].append(slot) }
        }
        return Applied(slots: applied.slots, isNew: applied.isNew)
    }

    private func touch(_ side: Int, _ slot: UInt32, weightBefore: Int64) {
        let meta = groups[side].rows.meta(slot)
        guard meta[JoinTable.touchedWord] == 0 else { return }
        touched[side].slots.append(slot)
        touched[side].weightsBefore.append(weightBefore)
        touched[side].matchesBefore.append(Int64(bitPattern: meta[JoinTable.matchesWord]))
        meta[JoinTable.touchedWord] = UInt64(touched[side].slots.count)
    }

    /// Adds matches to rows of a side that counts them.
    package func addMatches(_ side: Int, _ slots: [UInt32], _ matches: [Int64]) {
        guard sides[side].counts else { return }
        let rows = groups[side].rows
        for (slot, added) in zip(slots, matches) where added != 0 {
            touch(side, slot, weightBefore: rows.weight(slot).pointee)
            let meta = rows.meta(slot)
            meta[JoinTable.matchesWord] = UInt64(bitPattern: Int64(bitPattern: meta[JoinTable.matchesWord]) + added)
        }
    }

    // MARK: - Probing

    /// Pairs of a batch's rows and slots of the other side.
    package struct Pairs {
        package var rows: [Int32] = []
        package var slots: [UInt32] = []
        /// Of the slots.
        package var weights: [Int64] = []

        package init() {}

        /// With rows that are in no slot, each once.
        package init(waiting rows: [Int32]) {
            self.rows = rows
            slots = [UInt32](repeating: 0, count: rows.count)
            weights = [Int64](repeating: 1, count: rows.count)
        }

        /// The pairs at the given places.
        package func picked(_ places: [Int]) -> Pairs {
            var picked = Pairs()
            picked.rows = places.map { rows[$0] }
            picked.slots = places.map { slots[$0] }
            picked.weights = places.map { weights[$0] }
            return picked
        }
    }

    /// Finds the rows of `side` that have the keys numbered `numbers`, and hands them over in pieces of about
    /// `piece` pairs, in the batch's order, for as long as `body` answers that it wants more.
    package func probe(_ side: Int, keys numbers: [UInt32], piece: Int = 4096, _ body: (Pairs) -> Bool) {
        let groups = groups[side]
        var pairs = Pairs()
        for row in numbers.indices where numbers[row] != JoinTable.noKey {
            var slot = groups.head(keys[Int(numbers[row])])
            while slot != 0 {
                let weight = groups.rows.weight(slot - 1).pointee
                if weight != 0 {
                    pairs.rows.append(Int32(truncatingIfNeeded: row))
                    pairs.slots.append(slot - 1)
                    pairs.weights.append(weight)
                    if pairs.rows.count == piece {
                        guard body(pairs) else { return }
                        pairs = Pairs()
                    }
                }
                slot = groups.next(slot - 1)
            }
        }
        if !pairs.rows.isEmpty { _ = body(pairs) }
    }

    /// The rows in `slots` of `side`, column by column.
    package func gather(_ side: Int, _ slots: [UInt32]) -> [Column] {
        groups[side].rows.gather(0..<sides[side].types.count, slots)
    }

    // MARK: - The end of a tick

    /// The rows of `side` that the tick touched, with what they were and are; to be read before `settle`.
    package func takeTouched(_ side: Int) -> Touched {
        var taken = touched[side]
        touched[side] = Touched()
        let rows = groups[side].rows
        for slot in taken.slots {
            let meta = rows.meta(slot)
            taken.weights.append(rows.weight(slot).pointee)
            taken.matches.append(Int64(bitPattern: meta[JoinTable.matchesWord]))
            meta[JoinTable.touchedWord] = 0
        }
        return taken
    }

    /// Frees the rows that are gone, and `keys` searched for that got none.
    package func settle(searched: [[UInt32]]) {
        for side in 0...1 where !emptied[side].isEmpty {
            let gone = Set(emptied[side]).filter { groups[side].rows.weight($0).pointee == 0 }
            forgetTimes(side, gone)
            for slot in gone.sorted() { groups[side].remove(slot) }
            emptied[side] = []
        }
        for number in searched.joined() { groups[0].removeIfUnused(number) }
    }

    /// Takes rows that were taken back out of their spans of time.
    private func forgetTimes(_ side: Int, _ gone: Set<UInt32>) {
        guard let time = sides[side].time else { return }
        let slots = gone.sorted()
        let times = groups[side].rows.gather(time..<(time + 1), slots)[0]
        var starts: Set<Int64> = []
        for row in slots.indices {
            starts.insert(SpanStarts.start(of: times.isNull(row) ? .max : times.int64s[row], step: sides[side].timeStep))
        }
        for start in starts { spans[side][start]?.removeAll { gone.contains($0) } }
    }

    // MARK: - Forgetting

    private func note(_ side: Int, _ slot: UInt32, at time: Int64) {
        let span = SpanStarts.start(of: time, step: sides[side].timeStep)
        spans[side][span, default: []].append(slot)
        ends[side].insert(span)
    }

    /// Takes out the rows of `side` whose time is below `limit`, and hands over those without a match (of a side that
    /// counts) in pieces: their columns and weights. O(rows that go), and the rows of one span.
    package func forget(_ side: Int, before limit: Int64, _ unmatched: ([Column], [Int64]) -> Void) {
        guard let time = sides[side].time else { return }
        waiting[side]?.forget(before: limit)
        let rows = groups[side].rows
        let step = sides[side].timeStep
        while let span = ends[side].first, span < limit {
            guard let slots = spans[side].removeValue(forKey: span) else { break }
            ends[side].removeFirst()
            let isWhole = limit == .max || span.addingReportingOverflow(step).partialValue <= limit && span <= .max - step
            var leaving = slots
            if !isWhole {
                let times = rows.gather(time..<(time + 1), slots)[0]
                leaving = slots.indices.filter { times.int64s[$0] < limit && !times.isNull($0) }.map { slots[$0] }
                let staying = slots.indices.filter { times.int64s[$0] >= limit || times.isNull($0) }.map { slots[$0] }
                if !staying.isEmpty { spans[side][span] = staying }
            }
            release(side, leaving, unmatched)
            if spans[side][span] != nil {
                ends[side].insert(span)
                return
            }
        }
    }

    private func release(_ side: Int, _ slots: [UInt32], _ unmatched: ([Column], [Int64]) -> Void) {
        let rows = groups[side].rows
        if sides[side].counts {
            let alone = slots.filter { rows.meta($0)[JoinTable.matchesWord] == 0 && rows.weight($0).pointee != 0 }
            var from = 0
            while from < alone.count {
                let piece = Array(alone[from..<min(from + 4096, alone.count)])
                unmatched(gather(side, piece), piece.map { rows.weight($0).pointee })
                from += piece.count
            }
        }
        for slot in slots { groups[side].remove(slot) }
    }
}
