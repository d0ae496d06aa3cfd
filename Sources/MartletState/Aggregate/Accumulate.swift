internal import Glibc
internal import MartletColumns
internal import MartletCore

/// The rows of one block that one accumulator takes, after filter and NULLs.
struct AccumulatorInput {
    /// Their groups.
    let targets: UnsafePointer<UnsafeMutableRawPointer>
    let count: Int
    /// First row of the block in the columns.
    let start: Int
    /// Which rows of the block they are; nil: all.
    let live: UnsafePointer<Int32>?
    /// A weight per taken row; nil: all 1.
    let weights: UnsafePointer<Int64>?

    /// The place of taken row `at` in the columns.
    @inline(__always)
    func row(_ at: Int) -> Int {
        guard let live else { return start &+ at }
        return start &+ Int(live[at])
    }
}

extension Accumulator {
    /// Adds the rows to their groups: one loop for each kind, no branches on types inside.
    func add(_ input: AccumulatorInput, _ column: Column?, _ scratch: BlockScratch) {
        switch kind {
        case .count: addCounts(input)
        case .integerSum:
            guard let column else { return }
            addIntegers(input, Accumulator.integers(column, input, scratch))
        case .doubleSum:
            guard let column else { return }
            addDoubles(input, column)
        case .decimalSum:
            guard let column else { return }
            for at in 0..<input.count {
                DecimalSum.add(column.decimal(input.row(at)), input.weights?[at] ?? 1, words(input.targets[at]))
            }
        case .extreme(let extreme, let isMax):
            guard let column else { return }
            if input.weights != nil {
                add(extreme, isMax: isMax, withdrawing(input, extreme, isMax: isMax, column, scratch), column, scratch)
                return
            }
            add(extreme, isMax: isMax, input, column, scratch)
        case .truths, .bits, .intervalSum, .integerMoments, .doubleMoments, .regression:
            guard let column else { return }
            addComputed(input, column, scratch)
        // The table's, which owns the objects.
        case .gathered: break
        }
        withExtendedLifetime(column) {}
    }

    @inline(__always)
    func words(_ row: UnsafeMutableRawPointer) -> UnsafeMutablePointer<UInt64> {
        (row + offset).assumingMemoryBound(to: UInt64.self)
    }

    // MARK: - Counts and sums

    private func addCounts(_ input: AccumulatorInput) {
        let offset = offset
        if let weights = input.weights {
            for at in 0..<input.count {
                (input.targets[at] + offset).assumingMemoryBound(to: Int64.self).pointee &+= weights[at]
            }
        } else {
            for at in 0..<input.count {
                (input.targets[at] + offset).assumingMemoryBound(to: Int64.self).pointee &+= 1
            }
        }
    }

    private func addIntegers(_ input: AccumulatorInput, _ values: UnsafePointer<Int64>) {
        if let weights = input.weights {
            for at in 0..<input.count {
                let words = words(input.targets[at])
                Words.store(Words.int128(words) &+ Int128(values[at]) &* Int128(weights[at]), words)
                words[2] &+= UInt64(bitPattern: weights[at])
            }
            return
        }
        for at in 0..<input.count {
            let words = words(input.targets[at])
            let value = values[at]
            let (low, isCarry) = words[0].addingReportingOverflow(UInt64(bitPattern: value))
            words[0] = low
            words[1] = words[1] &+ UInt64(bitPattern: value &>> 63) &+ (isCarry ? 1 : 0)
            words[2] &+= 1
        }
    }

    private func addDoubles(_ input: AccumulatorInput, _ column: Column) {
        if let weights = input.weights {
            for at in 0..<input.count {
                let row = input.row(at)
                let value = column.physical == .double ? column.doubles[row] : Double(column.floats[row])
                DoubleSum.add(value, weights[at], words(input.targets[at]))
            }
        } else if column.physical == .double {
            let values = column.doubles
            for at in 0..<input.count { DoubleSum.add(values[input.row(at)], words(input.targets[at])) }
        } else {
            let values = column.floats
            for at in 0..<input.count { DoubleSum.add(Double(values[input.row(at)]), words(input.targets[at])) }
        }
    }

    /// The taken rows' values, widened; the column itself where that is what they are.
    static func integers(
        _ column: Column, _ input: AccumulatorInput, _ scratch: BlockScratch
    ) -> UnsafePointer<Int64> {
        let values = scratch.values
        switch column.physical {
        case .int64:
            guard input.live != nil else { return UnsafePointer(column.int64s) + input.start }
            for at in 0..<input.count { values[at] = column.int64s[input.row(at)] }
        case .int32: for at in 0..<input.count { values[at] = Int64(column.int32s[input.row(at)]) }
        case .int16: for at in 0..<input.count { values[at] = Int64(column.int16s[input.row(at)]) }
        default: for at in 0..<input.count { values[at] = Int64(column.bools[input.row(at)]) }
        }
        return UnsafePointer(values)
    }

    // MARK: - Least and greatest

    /// Marks groups whose least or greatest value is withdrawn: it is unknown from then on. A value behind the one that the
    /// group has was not it. The answer: the rows that are put in.
    private func withdrawing(
        _ input: AccumulatorInput, _ extreme: Extreme, isMax: Bool, _ column: Column, _ scratch: BlockScratch
    ) -> AccumulatorInput {
        guard let weights = input.weights, (0..<input.count).contains(where: { weights[$0] <= 0 }) else { return input }
        let isInteger = extreme == .integer
        let values = isInteger ? Accumulator.integers(column, input, scratch) : nil
        var targets: [UnsafeMutableRawPointer] = []
        var rows: [Int32] = []
        for at in 0..<input.count {
            let target = input.targets[at]
            if weights[at] > 0 {
                targets.append(target)
                rows.append(Int32(truncatingIfNeeded: input.row(at) &- input.start))
            } else if weights[at] < 0 {
                if let values {
                    let known = (target + offset).assumingMemoryBound(to: Int64.self).pointee
                    if isMax ? values[at] < known : values[at] > known { continue }
                }
                flags(target).pointee |= withdrawn
            }
        }
        for (at, target) in targets.enumerated() {
            scratch.sources[at] = target
            scratch.positive[at] = rows[at]
        }
        return AccumulatorInput(
            targets: scratch.sources, count: targets.count, start: input.start, live: UnsafePointer(scratch.positive), weights: nil)
    }

    @inline(__always)
    func flags(_ row: UnsafeMutableRawPointer) -> UnsafeMutablePointer<UInt8> {
        (row + flagOffset).assumingMemoryBound(to: UInt8.self)
    }

    private func add(
        _ extreme: Extreme, isMax: Bool, _ input: AccumulatorInput, _ column: Column, _ scratch: BlockScratch
    ) {
        switch extreme {
        case .integer:
            let values = Accumulator.integers(column, input, scratch)
            if isMax { addIntegers(input, values) { $0 > $1 } } else { addIntegers(input, values) { $0 < $1 } }
        case .double:
            for at in 0..<input.count {
                let row = input.row(at)
                let value = column.physical == .double ? column.doubles[row] : Double(column.floats[row])
                addDouble(value, isMax: isMax, input.targets[at])
            }
        case .decimal:
            for at in 0..<input.count {
                let value = column.decimal(input.row(at))
                addDecimal(value, isMax: isMax, input.targets[at])
            }
        case .text:
            for at in 0..<input.count { addText(column.views[input.row(at)], isMax: isMax, input.targets[at], nil) }
        case .interval:
            for at in 0..<input.count {
                addInterval(column.intervals[input.row(at)], isMax: isMax, input.targets[at])
            }
        case .uuid:
            for at in 0..<input.count { addUUID(column.uuids[input.row(at)], isMax: isMax, input.targets[at]) }
        }
    }

    /// A better value is rare: the branch costs less than a store for each row.
    @inline(__always)
    private func addIntegers(
        _ input: AccumulatorInput, _ values: UnsafePointer<Int64>, _ isBetter: (Int64, Int64) -> Bool
    ) {
        let (offset, flagOffset, seen) = (offset, flagOffset, seen)
        for at in 0..<input.count {
            let row = input.targets[at]
            let place = (row + offset).assumingMemoryBound(to: Int64.self)
            let flags = (row + flagOffset).assumingMemoryBound(to: UInt8.self)
            if isBetter(values[at], place.pointee) { place.pointee = values[at] }
            if flags.pointee & seen == 0 { flags.pointee |= seen }
        }
    }

    func addInteger(_ value: Int64, isMax: Bool, _ row: UnsafeMutableRawPointer) {
        let place = (row + offset).assumingMemoryBound(to: Int64.self)
        place.pointee = isMax ? max(place.pointee, value) : min(place.pointee, value)
        flags(row).pointee |= seen
    }

    @inline(__always)
    func addDouble(_ value: Double, isMax: Bool, _ row: UnsafeMutableRawPointer) {
        let place = words(row)
        let current = Double(bitPattern: place[0])
        let isBetter = isMax ? value > current || value.isNaN : value < current || current.isNaN
        // One zero, one NaN: which of two equal values came first does not show.
        if isBetter { place[0] = Words.bits(value) }
        flags(row).pointee |= seen
    }

    /// Of equal numbers the one with the smaller scale, whichever came first.
    func addDecimal(_ value: Decimal, isMax: Bool, _ row: UnsafeMutableRawPointer) {
        let place = words(row)
        if flags(row).pointee & seen != 0 {
            let current = Words.decimal(place)
            if value == current {
                if value.scale >= current.scale { return }
            } else if (value < current) == isMax {
                return
            }
        }
        Words.store(value.coefficient, place)
        place[2] = UInt64(value.scale)
        flags(row).pointee |= seen
    }

    /// Of equal intervals ('1 month', '30 days') the one with fewer months, then days.
    func addInterval(_ value: Interval, isMax: Bool, _ row: UnsafeMutableRawPointer) {
        let place = words(row)
        if flags(row).pointee & seen != 0 {
            let current = Words.interval(place)
            if value == current {
                if (value.months, value.days) >= (current.months, current.days) { return }
            } else if (value < current) == isMax {
                return
            }
        }
        let months = UInt64(UInt32(bitPattern: value.months))
        place[0] = months | UInt64(UInt32(bitPattern: value.days)) << 32
        place[1] = UInt64(bitPattern: value.micros)
        flags(row).pointee |= seen
    }

    func addUUID(_ value: UUIDValue, isMax: Bool, _ row: UnsafeMutableRawPointer) {
        let place = words(row)
        if flags(row).pointee & seen != 0 {
            let current = UUIDValue(high: place[0], low: place[1])
            if value == current || (value < current) == isMax { return }
        }
        place[0] = value.high
        place[1] = value.low
        flags(row).pointee |= seen
    }

    /// Keeps a copy of long strings. `old`: the row's image before this tick, which still refers to the old copy.
    func addText(_ value: StringView, isMax: Bool, _ row: UnsafeMutableRawPointer, _ old: UnsafeRawPointer?) {
        let place = words(row)
        if flags(row).pointee & seen != 0 {
            let order = StringView.compare(value, StringView(head: place[0], tail: place[1]))
            if order == 0 || (order < 0) == isMax { return }
        }
        releaseText(row, keptBy: old)
        place[0] = value.head
        place[1] = value.tail
        if !value.isInline, let copy = malloc(value.count) {
            memcpy(copy, value.pointer, value.count)
            place[1] = UInt64(UInt(bitPattern: copy))
        }
        flags(row).pointee |= seen
    }

    /// Frees the row's copy of a long string unless `old` refers to it too.
    func releaseText(_ row: UnsafeMutableRawPointer, keptBy old: UnsafeRawPointer?) {
        let place = words(row)
        guard place[0] & 0xFFFF_FFFF > UInt64(StringView.inlineCapacity) else { return }
        if let old, old.load(fromByteOffset: offset + 8, as: UInt64.self) == place[1] { return }
        free(UnsafeMutableRawPointer(bitPattern: UInt(place[1])))
    }
}
