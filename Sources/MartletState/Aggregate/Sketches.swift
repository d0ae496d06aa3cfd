internal import Glibc
internal import MartletColumns
internal import MartletCore

/// HyperLogLog (Flajolet et al. 2007) of 4096 registers: the number of distinct values within about 1.6 % (one standard
/// error); exact up to `exactMax`. Estimated by Ertl's improved estimator (2017), which needs no correction tables.
/// The same whatever the order of values and the grouping of partial sketches. Values cannot be withdrawn.
final class DistinctSketch: Gathered {
    private static let bits = 12
    private static let registers = 1 << bits
    private static let exactMax = 256

    private var exact: Set<UInt64> = []
    private var ranks: [UInt8] = []
    private var isWithdrawn = false

    override func add(_ column: Column, _ row: Int, weight: Int64) {
        guard weight > 0 else {
            isWithdrawn = true
            return
        }
        let one = column.slice(row, 1)
        add(hash: Hash.rows([one], count: 1)[0])
    }

    private func add(hash: UInt64) {
        if ranks.isEmpty {
            exact.insert(hash)
            if exact.count <= Self.exactMax {
                bytes = 64 + exact.count * 16
                return
            }
            ranks = [UInt8](repeating: 0, count: Self.registers)
            bytes = 64 + Self.registers
            for hash in exact { rank(hash) }
            exact = []
        } else {
            rank(hash)
        }
    }

    private func rank(_ hash: UInt64) {
        let register = Int(truncatingIfNeeded: hash >> UInt64(64 - Self.bits))
        let rest = hash << UInt64(Self.bits)
        let rank = UInt8(min(rest.leadingZeroBitCount, 64 - Self.bits) + 1)
        if rank > ranks[register] { ranks[register] = rank }
    }

    override func merge(_ other: Gathered) {
        guard let other = other as? DistinctSketch else { return }
        if other.isWithdrawn { isWithdrawn = true }
        for hash in other.exact { add(hash: hash) }
        guard !other.ranks.isEmpty else { return }
        if ranks.isEmpty {
            let mine = exact
            exact = []
            ranks = other.ranks
            bytes = 64 + Self.registers
            for hash in mine { rank(hash) }
        } else {
            for at in 0..<Self.registers { ranks[at] = max(ranks[at], other.ranks[at]) }
        }
    }

    override func result(_ shape: GatherShape) throws(SQLError) -> Value {
        if isWithdrawn { throw AggregateTable.withdrawal(.approxCountDistinct) }
        if ranks.isEmpty { return .bigint(Int64(exact.count)) }
        let top = 64 - Self.bits
        var histogram = [Double](repeating: 0, count: top + 2)
        for rank in ranks { histogram[Int(rank)] += 1 }
        let m = Double(Self.registers)
        var z = m * Self.tau(1 - histogram[top + 1] / m)
        for rank in stride(from: top, through: 1, by: -1) { z = 0.5 * (z + histogram[rank]) }
        z += m * Self.sigma(histogram[0] / m)
        let alpha = 0.5 / log(2.0)
        return .bigint(Int64((alpha * m * m / z).rounded()))
    }

    override func save(into writer: StateWriter) {
        writer.write(isWithdrawn)
        writer.write(exact.sorted())
        writer.write(ranks)
    }

    override func restore(from reader: StateReader) throws(StateError) {
        isWithdrawn = try reader.readFlag()
        let hashes = try reader.readNumbers(UInt64.self, max: Self.exactMax)
        let saved = try reader.readBytes(max: Self.registers)
        guard saved.isEmpty || (saved.count == Self.registers && hashes.isEmpty), saved.allSatisfy({ $0 <= 64 - Self.bits + 1 })
        else { throw reader.error("a sketch that cannot be") }
        for hash in hashes { add(hash: hash) }
        ranks = saved
        if !ranks.isEmpty { bytes = 64 + Self.registers }
    }

    private static func sigma(_ start: Double) -> Double {
        if start == 1 { return .infinity }
        var (x, y, z) = (start, 1.0, start)
        while true {
            x *= x
            let previous = z
            z += x * y
            y += y
            if z == previous { return z }
        }
    }

    private static func tau(_ start: Double) -> Double {
        if start == 0 || start == 1 { return 0 }
        var (x, y, z) = (start, 1.0, 1 - start)
        while true {
            x = sqrt(x)
            let previous = z
            y *= 0.5
            z -= (1 - x) * (1 - x) * y
            if z == previous { return z / 3 }
        }
    }
}

/// DDSketch (Masson, Rim and Lee, VLDB 2019): counts by logarithmic bucket, so that every percentile is within a relative
/// error (1 % unless the call says otherwise). Counts add and subtract: merging and withdrawing are exact.
final class QuantileSketch: Gathered {
    private let gamma: Double
    private let logGamma: Double
    private var positive: [Int32: Int64] = [:]
    private var negative: [Int32: Int64] = [:]
    private var zeros: Int64 = 0
    private var nans: Int64 = 0
    private var infinities: (below: Int64, above: Int64) = (0, 0)

    /// The relative error: between 0.0001 and 0.5.
    init(_ error: Value) {
        var accuracy = 0.01
        if case .double(let given) = error, given > 0 { accuracy = min(max(given, 0.0001), 0.5) }
        gamma = (1 + accuracy) / (1 - accuracy)
        logGamma = log(gamma)
    }

    override func add(_ column: Column, _ row: Int, weight: Int64) {
        let value = column.doubles[row]
        if value.isNaN {
            nans += weight
        } else if value == 0 {
            zeros += weight
        } else if value.isInfinite {
            if value < 0 { infinities.below += weight } else { infinities.above += weight }
        } else {
            let bucket = Int32((log(value.magnitude) / logGamma).rounded(.up))
            if value > 0 { change(&positive, bucket, weight) } else { change(&negative, bucket, weight) }
            countBytes()
        }
    }

    private func change(_ counts: inout [Int32: Int64], _ bucket: Int32, _ weight: Int64) {
        let count = counts[bucket, default: 0] + weight
        counts[bucket] = count == 0 ? nil : count
    }

    private func countBytes() { bytes = 128 + (positive.count + negative.count) * 24 }

    override func merge(_ other: Gathered) {
        guard let other = other as? QuantileSketch else { return }
        for (bucket, count) in other.positive { change(&positive, bucket, count) }
        for (bucket, count) in other.negative { change(&negative, bucket, count) }
        countBytes()
        zeros += other.zeros
        nans += other.nans
        infinities.below += other.infinities.below
        infinities.above += other.infinities.above
    }

    override func result(_ shape: GatherShape) throws(SQLError) -> Value {
        guard case .double(var fraction)? = shape.options.constants.first else { return .null }
        guard fraction >= 0, fraction <= 1 else {
            throw SQLError(.numericValueOutOfRange, "percentile value \(FloatText.text(fraction)) is not between 0 and 1")
        }
        if shape.options.order.first?.isDescending == true { fraction = 1 - fraction }
        var steps: [(value: Double, count: Int64)] = [(-.infinity, infinities.below)]
        for (bucket, count) in negative.sorted(by: { $0.key > $1.key }) { steps.append((-middle(bucket), count)) }
        steps.append((0, zeros))
        for (bucket, count) in positive.sorted(by: { $0.key < $1.key }) { steps.append((middle(bucket), count)) }
        steps += [(.infinity, infinities.above), (.nan, nans)]
        let total = steps.reduce(0) { $0 + $1.count }
        guard total > 0 else { return .null }
        let place = Int64((fraction * Double(total - 1)).rounded(.down))
        var seen: Int64 = 0
        for step in steps {
            seen += step.count
            if seen > place { return .double(step.value) }
        }
        return .null
    }

    override func save(into writer: StateWriter) {
        for counts in [positive, negative] {
            writer.write(UInt64(counts.count))
            for (bucket, count) in counts.sorted(by: { $0.key < $1.key }) {
                writer.write(bucket)
                writer.write(count)
            }
        }
        for count in [zeros, nans, infinities.below, infinities.above] { writer.write(count) }
    }

    override func restore(from reader: StateReader) throws(StateError) {
        positive = try reader.readMultiset(<) { () throws(StateError) in try reader.read(Int32.self) }
        negative = try reader.readMultiset(<) { () throws(StateError) in try reader.read(Int32.self) }
        countBytes()
        zeros = try reader.read()
        nans = try reader.read()
        infinities.below = try reader.read()
        infinities.above = try reader.read()
    }

    /// The value of a bucket that is off by the same ratio from both of its ends.
    private func middle(_ bucket: Int32) -> Double { 2 * exp(Double(bucket) * logGamma) / (gamma + 1) }
}
