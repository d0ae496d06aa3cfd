/// Sum, least and greatest of the same integers: fed in one loop over the rows, since all lie in a line or two of memory.
struct IntegerBundle: Sendable {
    /// Numbers of the accumulators, ascending.
    private(set) var members: [Int] = []
    /// The call whose argument and filter feed all of them.
    private(set) var call = 0
    private var sum: Int?
    private var least: Int?
    private var greatest: Int?
    /// The extremes' "seen" bits in the header's flags.
    private var seen: UInt16 = 0

    mutating func add(_ accumulator: Accumulator, number: Int) {
        switch accumulator.kind {
        case .integerSum: sum = accumulator.offset
        case .extreme(.integer, isMax: false): least = accumulator.offset
        case .extreme(.integer, isMax: true): greatest = accumulator.offset
        case .count, .decimalSum, .doubleSum, .extreme, .truths, .bits, .intervalSum, .integerMoments, .doubleMoments, .regression,
            .gathered:
            return
        }
        call = accumulator.call
        members = (members + [number]).sorted()
        seen |= UInt16(accumulator.seen) << UInt16((accumulator.flagOffset == KeyLayout.flags ? 0 : 8) % 16)
    }

    /// Adds a value to each row, without weights, and `weight` to the rows' own.
    func add(_ rows: UnsafePointer<UnsafeMutableRawPointer>, _ values: UnsafePointer<Int64>, count: Int, weight: Int64) {
        switch (sum, least, greatest) {
        case (let sum?, let least?, let greatest?):
            each(rows, values, count, weight) { row, value in
                IntegerBundle.addSum(row + sum, value)
                IntegerBundle.addLeast(row + least, value)
                IntegerBundle.addGreatest(row + greatest, value)
            }
        case (let sum?, nil, let greatest?):
            each(rows, values, count, weight) { row, value in
                IntegerBundle.addSum(row + sum, value)
                IntegerBundle.addGreatest(row + greatest, value)
            }
        case (let sum?, let least?, nil):
            each(rows, values, count, weight) { row, value in
                IntegerBundle.addSum(row + sum, value)
                IntegerBundle.addLeast(row + least, value)
            }
        case (nil, let least?, let greatest?):
            each(rows, values, count, weight) { row, value in
                IntegerBundle.addLeast(row + least, value)
                IntegerBundle.addGreatest(row + greatest, value)
            }
        case (_, nil, nil), (nil, _, nil), (nil, nil, _): preconditionFailure("a bundle of one")
        }
    }

    @inline(__always)
    private func each(
        _ rows: UnsafePointer<UnsafeMutableRawPointer>, _ values: UnsafePointer<Int64>, _ count: Int, _ weight: Int64,
        _ body: (UnsafeMutableRawPointer, Int64) -> Void
    ) {
        let seen = seen
        for at in 0..<count {
            let row = rows[at]
            row.assumingMemoryBound(to: Int64.self).pointee &+= weight
            body(row, values[at])
            let flags = (row + KeyLayout.flags).assumingMemoryBound(to: UInt16.self)
            if flags.pointee & seen != seen { flags.pointee |= seen }
        }
    }

    @inline(__always)
    private static func addSum(_ place: UnsafeMutableRawPointer, _ value: Int64) {
        let words = place.assumingMemoryBound(to: UInt64.self)
        let (low, isCarry) = words[0].addingReportingOverflow(UInt64(bitPattern: value))
        words[0] = low
        words[1] = words[1] &+ UInt64(bitPattern: value &>> 63) &+ (isCarry ? 1 : 0)
        words[2] &+= 1
    }

    /// A better value is rare: the branch costs less than a store for each row.
    @inline(__always)
    private static func addLeast(_ place: UnsafeMutableRawPointer, _ value: Int64) {
        let least = place.assumingMemoryBound(to: Int64.self)
        if value < least.pointee { least.pointee = value }
    }

    @inline(__always)
    private static func addGreatest(_ place: UnsafeMutableRawPointer, _ value: Int64) {
        let greatest = place.assumingMemoryBound(to: Int64.self)
        if value > greatest.pointee { greatest.pointee = value }
    }
}
