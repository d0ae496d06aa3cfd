internal import MartletColumns
package import MartletCore
package import MartletState

/// A function of OVER, evaluated over whole partitions in order.
package enum OverKind: Sendable, Equatable {
    case rowNumber, rank, denseRank, percentRank, cumeDist
    case ntile(Int64)
    /// An earlier (negative) or later row's value.
    case shifted(by: Int, defaultValue: Value)
    /// The n-th value of the frame, from 1; nil: the last.
    case nthValue(Int?)
    case aggregate(AggregateSpec)
    /// The session that a row belongs to: rows no further apart than the gap (µs).
    case sessionStart(gap: Int64)
    case sessionEnd(gap: Int64)
}

/// Which rows of a partition a function takes in, as seen from a row.
package struct OverFrame: Sendable, Equatable {
    /// `session`: the rows no further apart than the gap, which both bounds carry (µs).
    package enum Unit: Sendable { case rows, range, groups, session }
    package enum Bound: Sendable, Equatable {
        case unboundedPreceding, currentRow, unboundedFollowing
        /// Rows, groups of peers, or (RANGE) units of the one sort key.
        case preceding(Int64), following(Int64)
    }

    /// Which rows of the frame are left out: none, the row itself, it and its peers, or its peers alone.
    package enum Exclusion: Sendable { case noOthers, currentRow, group, ties }

    package var unit: Unit
    package var start: Bound
    package var end: Bound
    package var exclusion: Exclusion

    package init(unit: Unit, start: Bound, end: Bound, exclusion: Exclusion = .noOthers) {
        self.unit = unit
        self.start = start
        self.end = end
        self.exclusion = exclusion
    }

    package static let standard = OverFrame(unit: .range, start: .unboundedPreceding, end: .currentRow)
}

package struct OverFunctionCall: Sendable {
    package var kind: OverKind
    /// Columns of the rows.
    package var argument: Int?
    package var filter: Int?
    package var type: DataType
    package var frame: OverFrame
    /// Rows whose argument is NULL are passed over.
    package var ignoresNulls: Bool

    package init(kind: OverKind, argument: Int?, filter: Int? = nil, type: DataType, frame: OverFrame, ignoresNulls: Bool = false) {
        self.ignoresNulls = ignoresNulls
        self.kind = kind
        self.argument = argument
        self.filter = filter
        self.type = type
        self.frame = frame
    }
}

extension SortedRelease.Order {
    /// Which of two values comes first: negative, 0 or positive.
    func compare(_ left: Column, _ row: Int, _ right: Column, _ other: Int) -> Int {
        switch (left.isNull(row), right.isNull(other)) {
        case (true, true): return 0
        case (true, false): return nullsFirst ? -1 : 1
        case (false, true): return nullsFirst ? 1 : -1
        case (false, false):
            let ascending = left.compare(row, right, other)
            return descending ? -ascending : ascending
        }
    }
}

/// Rows in order: partition by partition, each in the order of the sort keys. What is the same in all sort keys is
/// ordered by content, so that results depend on nothing but the rows.
struct OrderedPartitions {
    let columns: [Column]
    let count: Int
    /// Where each partition starts, and the end of the last.
    let starts: [Int]
    /// Where the peers of each row start and end.
    private(set) var peerStart: [Int]
    private(set) var peerEnd: [Int]
    let order: [SortedRelease.Order]
    /// Nobody wants the results any more: what is left may be NULL.
    private let isStopped: () -> Bool

    /// - Parameters:
    ///   - permutation: of the rows, in order.
    ///   - partitions: by row before the permutation.
    init(
        _ columns: [Column], permutation: [Int], partitions: [UInt32], order: [SortedRelease.Order],
        isStopped: @escaping () -> Bool = { false }
    ) {
        self.isStopped = isStopped
        let selection = Selection(permutation)
        let sorted = columns.map { $0.gather(selection) }
        self.columns = sorted
        self.order = order
        let count = permutation.count
        self.count = count
        var starts: [Int] = []
        peerStart = Array(repeating: 0, count: count)
        peerEnd = Array(repeating: 0, count: count)
        var group = 0
        for row in 0..<count {
            let isFirst = row == 0 || partitions[permutation[row]] != partitions[permutation[row - 1]]
            if isFirst { starts.append(row) }
            if row > 0, isFirst || !order.allSatisfy({ sorted[$0.column].equals(row, sorted[$0.column], row - 1) }) {
                for peer in group..<row { peerEnd[peer] = row }
                group = row
            }
            peerStart[row] = group
        }
        for peer in group..<count { peerEnd[peer] = count }
        self.starts = starts + [count]
    }

    /// The order of rows of one partition: by the sort keys, then by content.
    static func precedes(_ columns: [Column], _ order: [SortedRelease.Order], _ left: Int, _ right: Int) -> Bool {
        for key in order {
            let column = columns[key.column]
            let place = key.compare(column, left, column, right)
            if place != 0 { return place < 0 }
        }
        for column in columns {
            let place = column.compare(left, column, right)
            if place != 0 { return place < 0 }
        }
        return false
    }

    // MARK: - Frames

    /// The rows `start ..< end` of the frame of each row of the partition `range`.
    func frames(_ frame: OverFrame, _ range: Range<Int>) -> [Range<Int>] {
        if frame.unit == .session, case .preceding(let gap) = frame.start { return sessionFrames(gap, range) }
        return range.map { row in
            let start = bound(frame, frame.start, row, range, isEnd: false)
            let end = bound(frame, frame.end, row, range, isEnd: true)
            return min(start, end)..<max(start, end)
        }.map { $0.lowerBound < $0.upperBound ? $0 : $0.lowerBound..<$0.lowerBound }
    }

    /// Whether `row`, which lies in the frame of `current`, belongs to it.
    private func includes(_ row: Int, of current: Int, _ exclusion: OverFrame.Exclusion) -> Bool {
        switch exclusion {
        case .noOthers: true
        case .currentRow: row != current
        case .group: row < peerStart[current] || row >= peerEnd[current]
        case .ties: row == current || row < peerStart[current] || row >= peerEnd[current]
        }
    }

    private func bound(_ frame: OverFrame, _ bound: OverFrame.Bound, _ row: Int, _ range: Range<Int>, isEnd: Bool) -> Int {
        func clamped(_ place: Int) -> Int { max(range.lowerBound, min(range.upperBound, place)) }
        switch bound {
        case .unboundedPreceding: return range.lowerBound
        case .unboundedFollowing: return range.upperBound
        case .currentRow:
            if frame.unit == .rows { return isEnd ? row + 1 : row }
            return isEnd ? peerEnd[row] : peerStart[row]
        case .preceding(let distance), .following(let distance):
            let isForward = if case .following = bound { true } else { false }
            switch frame.unit {
            case .rows:
                let steps = Int(clamping: isForward ? distance : -distance)
                let (place, overflow) = row.addingReportingOverflow(isEnd ? steps.addingReportingOverflow(1).partialValue : steps)
                return overflow ? (isForward ? range.upperBound : range.lowerBound) : clamped(place)
            case .groups: return group(row, isForward ? distance : -distance, range, isEnd: isEnd)
            case .range, .session: return distant(row, isForward ? distance : -distance, range, isEnd: isEnd)
            }
        }
    }

    /// Rows without a time are a session of their own.
    private func sessionFrames(_ gap: Int64, _ range: Range<Int>) -> [Range<Int>] {
        let column = columns[order[0].column]
        var frames: [Range<Int>] = []
        frames.reserveCapacity(range.count)
        var first = range.lowerBound
        for row in range {
            var isLast = row + 1 == range.upperBound || column.isNull(row) != column.isNull(row + 1)
            if !isLast, !column.isNull(row) {
                let (apart, overflow) = column.int64s[row + 1].subtractingReportingOverflow(column.int64s[row])
                isLast = overflow || apart > gap
            }
            guard isLast else { continue }
            for _ in first...row { frames.append(first..<row + 1) }
            first = row + 1
        }
        return frames
    }

    private func group(_ row: Int, _ steps: Int64, _ range: Range<Int>, isEnd: Bool) -> Int {
        var at = row
        var left = steps
        while left < 0 {
            if peerStart[at] == range.lowerBound { return range.lowerBound }
            at = peerStart[at] - 1
            left += 1
        }
        while left > 0 {
            if peerEnd[at] == range.upperBound { return range.upperBound }
            at = peerEnd[at]
            left -= 1
        }
        return isEnd ? peerEnd[at] : peerStart[at]
    }

    /// Of RANGE with a distance: the first row not before (or, as an end, behind) the sort key moved by `distance`.
    private func distant(_ row: Int, _ distance: Int64, _ range: Range<Int>, isEnd: Bool) -> Int {
        guard let key = order.first else { return isEnd ? range.upperBound : range.lowerBound }
        let column = columns[key.column]
        if column.isNull(row) { return isEnd ? peerEnd[row] : peerStart[row] }
        let signed = key.descending ? -distance : distance
        let (limit, overflow) = OrderedPartitions.integer(column, row).addingReportingOverflow(signed)
        let target = overflow ? (signed < 0 ? Int64.min : .max) : limit
        // Binary search among the rows that have a key; NULLs lie at one end.
        var low = range.lowerBound
        var high = range.upperBound
        while low < high, column.isNull(low) { low += 1 }
        while low < high, column.isNull(high - 1) { high -= 1 }
        while low < high {
            let middle = (low + high) / 2
            let value = OrderedPartitions.integer(column, middle)
            let isBefore = key.descending
                ? (isEnd ? value >= target : value > target) : (isEnd ? value <= target : value < target)
            if isBefore { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private static func integer(_ column: Column, _ row: Int) -> Int64 {
        switch column.physical {
        case .int64: column.int64s[row]
        case .int32: Int64(column.int32s[row])
        case .int16: Int64(column.int16s[row])
        default: 0
        }
    }

    // MARK: - Functions

    /// A function's value at each row.
    func evaluate(_ call: OverFunctionCall, errors: RowErrors) -> Column {
        switch call.kind {
        case .rowNumber: return integers { row, range in Int64(row - range.lowerBound + 1) }
        case .rank: return integers { row, range in Int64(peerStart[row] - range.lowerBound + 1) }
        case .denseRank: return denseRanks()
        case .percentRank:
            return doubles { row, range in
                range.count == 1 ? 0 : Double(peerStart[row] - range.lowerBound) / Double(range.count - 1)
            }
        case .cumeDist: return doubles { row, range in Double(peerEnd[row] - range.lowerBound) / Double(range.count) }
        case .ntile(let parts): return ntiles(parts, call.type)
        case .shifted(let steps, let defaultValue): return shifted(call, steps, defaultValue)
        case .nthValue(let number): return nthValues(call, number)
        case .aggregate(let spec): return aggregates(call, spec, errors)
        case .sessionStart(let gap): return sessions(call.type, gap).starts
        case .sessionEnd(let gap): return sessions(call.type, gap).ends
        }
    }

    private func eachPartition(_ body: (Range<Int>) -> Void) {
        for at in 0..<(starts.count - 1) { body(starts[at]..<starts[at + 1]) }
    }

    private func integers(_ value: (Int, Range<Int>) -> Int64) -> Column {
        let column = Column(.bigint, capacity: count)
        column.count = count
        eachPartition { range in for row in range { column.int64s[row] = value(row, range) } }
        return column
    }

    private func doubles(_ value: (Int, Range<Int>) -> Double) -> Column {
        let column = Column(.double, capacity: count)
        column.count = count
        eachPartition { range in for row in range { column.doubles[row] = value(row, range) } }
        return column
    }

    private func denseRanks() -> Column {
        let column = Column(.bigint, capacity: count)
        column.count = count
        eachPartition { range in
            var rank: Int64 = 0
            for row in range {
                if peerStart[row] == row { rank += 1 }
                column.int64s[row] = rank
            }
        }
        return column
    }

    /// The first (rows modulo parts) parts have a row more.
    private func ntiles(_ parts: Int64, _ type: DataType) -> Column {
        let column = Column(type, capacity: count)
        eachPartition { range in
            let rows = Int64(range.count)
            let (size, longer) = (rows / parts, rows % parts)
            for row in range {
                let place = Int64(row - range.lowerBound)
                let inLonger = longer * (size + 1)
                let part = place < inLonger ? place / (size + 1) : longer + (place - inLonger) / max(size, 1)
                column.append(.integer(Int32(clamping: part + 1)))
            }
        }
        return column
    }

    private func shifted(_ call: OverFunctionCall, _ steps: Int, _ defaultValue: Value) -> Column {
        let column = Column(call.type, capacity: count)
        let argument = columns[call.argument ?? 0]
        eachPartition { range in
            for row in range {
                let from = call.ignoresNulls ? counted(argument, row, steps, range) : row + steps
                column.append(range.contains(from) ? argument.value(at: from) : defaultValue)
            }
        }
        return column
    }

    /// The row that is `steps` values that are not NULL behind (negative: before) `row`, within `range`; else one outside of it.
    private func counted(_ column: Column, _ row: Int, _ steps: Int, _ range: Range<Int>) -> Int {
        if steps == 0 { return row }
        let direction = steps < 0 ? -1 : 1
        var left = steps.magnitude
        var at = row + direction
        while range.contains(at) {
            if !column.isNull(at) {
                left -= 1
                if left == 0 { return at }
            }
            at += direction
        }
        return range.upperBound
    }

    private func nthValues(_ call: OverFunctionCall, _ number: Int?) -> Column {
        let column = Column(call.type, capacity: count)
        let argument = columns[call.argument ?? 0]
        eachPartition { range in
            for (row, frame) in zip(range, frames(call.frame, range)) {
                if call.frame.exclusion != .noOthers {
                    let place = self.place(number, frame, row, call)
                    column.append(place.map { argument.value(at: $0) } ?? .null)
                    continue
                }
                var place = number.map { frame.lowerBound + $0 - 1 } ?? frame.upperBound - 1
                if call.ignoresNulls {
                    place =
                        number.map { counted(argument, frame.lowerBound - 1, $0, frame) } ?? counted(argument, frame.upperBound, -1, frame)
                }
                column.append(frame.contains(place) ? argument.value(at: place) : .null)
            }
        }
        return column
    }

    /// The row of the `number`-th value (nil: the last) of a frame from which rows are left out.
    private func place(_ number: Int?, _ frame: Range<Int>, _ current: Int, _ call: OverFunctionCall) -> Int? {
        let argument = columns[call.argument ?? 0]
        func counts(_ row: Int) -> Bool {
            includes(row, of: current, call.frame.exclusion) && !(call.ignoresNulls && argument.isNull(row))
        }
        guard let number else { return frame.last(where: counts) }
        var left = number
        for row in frame where counts(row) {
            left -= 1
            if left == 0 { return row }
        }
        return nil
    }

    // MARK: - Aggregates

    private func aggregates(_ call: OverFunctionCall, _ spec: AggregateSpec, _ errors: RowErrors) -> Column {
        let result = Column(call.type, capacity: count)
        eachPartition { range in
            guard !isStopped() else { return result.append(rowsOf: .nulls(call.type, count: range.count), from: 0, count: range.count) }
            let frames = frames(call.frame, range)
            let isWhole = call.frame.exclusion == .noOthers
            if isWhole, frames.allSatisfy({ $0 == range }) {
                let whole = total(call, spec, [range], errors, first: range.lowerBound)
                for _ in range { result.append(whole.value(at: 0)) }
            } else if isWhole, frames.allSatisfy({ $0.lowerBound == range.lowerBound }),
                zip(frames, frames.dropFirst()).allSatisfy({ $0.upperBound <= $1.upperBound })
            {
                running(call, spec, frames, errors, into: result)
            } else {
                var from = 0
                while from < frames.count {
                    let to = min(from + 256, frames.count)
                    guard !isStopped() else {
                        result.append(rowsOf: .nulls(call.type, count: frames.count - from), from: 0, count: frames.count - from)
                        break
                    }
                    let part = total(call, spec, Array(frames[from..<to]), errors, first: range.lowerBound + from)
                    result.append(rowsOf: part, from: 0, count: part.count)
                    from = to
                }
            }
        }
        return result
    }

    /// The aggregate of each of some frames; the first is that of row `first`.
    private func total(
        _ call: OverFunctionCall, _ spec: AggregateSpec, _ frames: [Range<Int>], _ errors: RowErrors, first: Int
    ) -> Column {
        let table = AggregateTable(keys: [.bigint], calls: [spec])
        // Each frame's group is made by a row that counts nothing, so that empty frames have one too.
        let keys = Column(.bigint, capacity: frames.count)
        var rows: [Int] = []
        var weights: [Value] = []
        for (number, frame) in frames.enumerated() {
            keys.append(.bigint(Int64(number)))
            rows.append(frame.isEmpty ? 0 : frame.lowerBound)
            weights.append(.bigint(0))
        }
        for (number, frame) in frames.enumerated() {
            for row in frame where includes(row, of: first + number, call.frame.exclusion) {
                keys.append(.bigint(Int64(number)))
                rows.append(row)
                weights.append(.bigint(1))
            }
        }
        let isWeighted = call.frame.exclusion != .noOthers || frames.contains(where: \.isEmpty)
        let from = isWeighted ? 0 : frames.count
        let selection = Selection(Array(rows[from...]))
        table.update(
            keys: [isWeighted ? keys : keys.slice(from, keys.count - from)], count: selection.count,
            arguments: [call.argument.map { columns[$0].gather(selection) }],
            filters: [call.filter.map { columns[$0].gather(selection) }],
            weights: isWeighted ? Column(.bigint, weights) : nil)
        let own = RowErrors()
        let results = table.emit(0..<frames.count, errors: own)
        for entry in own.sorted { errors.add(first + entry.row, entry.error) }
        return results[1]
    }

    /// Frames that begin with the partition and only grow.
    private func running(
        _ call: OverFunctionCall, _ spec: AggregateSpec, _ frames: [Range<Int>], _ errors: RowErrors, into result: Column
    ) {
        let table = AggregateTable(keys: [], calls: [spec])
        table.ensureGlobalGroup()
        var taken = frames.first?.lowerBound ?? 0
        let first = taken
        var at = 0
        while at < frames.count {
            if at & 1023 == 0, isStopped() {
                return result.append(rowsOf: .nulls(call.type, count: frames.count - at), from: 0, count: frames.count - at)
            }
            let end = frames[at].upperBound
            if end > taken {
                table.update(
                    keys: [], count: end - taken,
                    arguments: [call.argument.map { columns[$0].slice(taken, end - taken) }],
                    filters: [call.filter.map { columns[$0].slice(taken, end - taken) }])
                taken = end
            }
            let own = RowErrors()
            let value = table.emit(0..<1, errors: own)[0].value(at: 0)
            while at < frames.count, frames[at].upperBound == end {
                result.append(value)
                if let error = own.error(at: 0) { errors.add(first + at, error) }
                at += 1
            }
        }
    }

    // MARK: - Sessions

    private func sessions(_ type: DataType, _ gap: Int64) -> (starts: Column, ends: Column) {
        let times = columns[order[0].column].int64s
        let starts = Column(type, capacity: count)
        let ends = Column(type, capacity: count)
        starts.count = count
        ends.count = count
        eachPartition { range in
            var first = range.lowerBound
            for row in range {
                let isLast = row + 1 == range.upperBound || times[row + 1] &- times[row] > gap
                guard isLast else { continue }
                for member in first...row {
                    starts.int64s[member] = times[first]
                    ends.int64s[member] = times[row] &+ gap
                }
                first = row + 1
            }
        }
        return (starts, ends)
    }
}
