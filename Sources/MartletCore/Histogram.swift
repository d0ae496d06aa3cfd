internal import Synchronization

/// How integers (nanoseconds, bytes, rows) are distributed, within 3.2 % at any size, in constant memory.
///
/// Log-linear as in HdrHistogram: each power of two is cut into 32 equal buckets, and a bucket holds
/// `(lower, upper]`, so that the powers of two, which are Prometheus' bounds here, count exactly.
/// 32 + 58 · 32 buckets of 8 bytes: 15 KiB. Negative values count as 0, and 0 with 1.
///
/// Recording is wait-free and may come from any thread; a snapshot taken meanwhile may lack what is just being recorded.
package final class Histogram: Sendable {
    /// log₂ of the buckets per power of two.
    static let precisionBits = 5
    static let bucketCount = (64 - precisionBits) << precisionBits

    // Sound: set once in init, freed in deinit, and each element is atomic.
    nonisolated(unsafe) private let buckets: UnsafeMutablePointer<Atomic<UInt64>>
    private let sum = Atomic<Int64>(0)
    private let largest = Atomic<Int64>(0)

    package init() {
        buckets = .allocate(capacity: Histogram.bucketCount)
        for index in 0..<Histogram.bucketCount { (buckets + index).initialize(to: Atomic(0)) }
    }

    deinit {
        buckets.deinitialize(count: Histogram.bucketCount)
        buckets.deallocate()
    }

    /// Adds `value`, `count` times.
    package func record(_ value: Int64, count: UInt64 = 1) {
        let kept = max(value, 0)
        buckets[Histogram.index(of: kept)].wrappingAdd(count, ordering: .relaxed)
        sum.wrappingAdd(kept &* Int64(truncatingIfNeeded: count), ordering: .relaxed)
        if kept > largest.load(ordering: .relaxed) { largest.max(kept, ordering: .relaxed) }
    }

    /// The bucket of a value ≥ 0. With r = value − 1: below 32 its own; above, the position of the highest bit and the 5
    /// bits that follow it.
    static func index(of value: Int64) -> Int {
        let rest = UInt64(bitPattern: max(value, 1) &- 1)
        if rest < 1 << UInt64(precisionBits) { return Int(rest) }
        let shift = 63 &- precisionBits &- rest.leadingZeroBitCount
        return (shift &+ 1) &<< precisionBits &+ Int(truncatingIfNeeded: (rest &>> UInt64(shift)) & 31)
    }

    /// The largest value of a bucket.
    static func upperBound(of index: Int) -> Int64 {
        if index < 1 << precisionBits { return Int64(index) &+ 1 }
        let shift = UInt64(index &>> precisionBits) &- 1
        let next = (UInt64(index & 31) &+ 33) &<< shift
        return next > UInt64(Int64.max) ? .max : Int64(next)
    }

    package func snapshot() -> Snapshot {
        var counts = [UInt64](repeating: 0, count: Histogram.bucketCount)
        var total: UInt64 = 0
        for index in counts.indices {
            counts[index] = buckets[index].load(ordering: .relaxed)
            total &+= counts[index]
        }
        return Snapshot(
            counts: counts, count: total, sum: sum.load(ordering: .relaxed), largest: largest.load(ordering: .relaxed))
    }

    /// A histogram at one moment.
    package struct Snapshot: Sendable {
        let counts: [UInt64]
        package let count: UInt64
        package let sum: Int64
        package let largest: Int64

        /// The smallest bucket bound that at least the share `quantile` (0 … 1) of the values do not exceed; never above
        /// the largest value seen. 0 if there are none.
        package func value(atQuantile quantile: Double) -> Int64 {
            guard count > 0 else { return 0 }
            let rank = UInt64(max(1, (min(max(quantile, 0), 1) * Double(count)).rounded(.up)))
            var seen: UInt64 = 0
            for (index, bucket) in counts.enumerated() {
                seen &+= bucket
                if seen >= rank { return min(Histogram.upperBound(of: index), largest) }
            }
            return largest
        }

        package var p50: Int64 { value(atQuantile: 0.5) }
        package var p90: Int64 { value(atQuantile: 0.9) }
        package var p99: Int64 { value(atQuantile: 0.99) }
        package var p999: Int64 { value(atQuantile: 0.999) }
        package var mean: Double { count == 0 ? 0 : Double(sum) / Double(count) }

        /// How many values are at most `bound`, a power of two (exact there; elsewhere the bucket of `bound` counts whole).
        func count(upTo bound: Int64) -> UInt64 {
            var total: UInt64 = 0
            for index in 0...Histogram.index(of: bound) { total &+= counts[index] }
            return total
        }
    }
}
