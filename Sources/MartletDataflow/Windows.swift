/// Windows of one size, starting every `hop`, aligned to 1970-01-01 plus `offset`; all in microseconds.
/// A row at `t` belongs to each window with start ≤ t < start + size.
///
/// Windows share *slices*: runs of `gcd(size, hop)` in which every instant belongs to the same windows. A slice is
/// aggregated once, and a window is the merge of its slices.
package struct WindowShape: Sendable, Equatable {
    package let size: Int64
    package let hop: Int64
    package let offset: Int64
    package let slice: Int64
    /// CUMULATE: windows start every `size` and end every `hop`, up to `size` behind their start.
    package let isCumulative: Bool

    /// Sizes, hops and offsets stay below this, so that bounds of windows around usable event times do not overflow.
    package static let lengthMax: Int64 = 1 << 61

    package init(size: Int64, hop: Int64, offset: Int64, isCumulative: Bool = false) {
        precondition(!isCumulative || size % hop == 0, "the planner refuses steps that do not fill the window")
        precondition(size > 0 && hop > 0, "the planner refuses empty windows")
        precondition(
            max(size, hop, offset) <= WindowShape.lengthMax && offset >= -WindowShape.lengthMax, "the planner refuses endless windows")
        self.size = size
        self.hop = hop
        self.offset = offset
        self.isCumulative = isCumulative
        var (a, b) = (size, hop)
        while b != 0 { (a, b) = (b, a % b) }
        slice = a
    }

    /// The start of the slice that holds `time`.
    @inline(__always)
    package func sliceStart(_ time: Int64) -> Int64 {
        WindowShape.floor(time, step: slice, offset: offset)
    }

    /// The start of the last window that holds `time` (there may be none, where the hop is longer than the size).
    @inline(__always)
    package func lastWindowStart(_ time: Int64) -> Int64 {
        WindowShape.floor(time, step: hop, offset: offset)
    }

    /// The end of the last window that holds `time`.
    @inline(__always)
    package func lastWindowEnd(_ time: Int64) -> Int64 {
        lastWindowStart(time) &+ size
    }

    /// Calls `body` with the bounds of each window that holds `time`, in the order of their ends.
    @inline(__always)
    package func forEachWindow(of time: Int64, _ body: (_ start: Int64, _ end: Int64) -> Void) {
        if isCumulative {
            let start = WindowShape.floor(time, step: size, offset: offset)
            var end = WindowShape.floor(time &- start, step: hop, offset: 0) &+ start &+ hop
            while end <= start &+ size {
                body(start, end)
                end &+= hop
            }
            return
        }
        var start = firstWindowEnd(time) &- size
        let last = lastWindowStart(time)
        while start <= last {
            body(start, start &+ size)
            start &+= hop
        }
    }

    /// The end of the last window that holds `time`, of any kind.
    package func lastEnd(_ time: Int64) -> Int64 {
        isCumulative ? WindowShape.floor(time, step: size, offset: offset) &+ size : lastWindowEnd(time)
    }

    /// Whether any window holds `time`: where the hop is longer than the size there are gaps. Windows so near the ends
    /// of time that their bounds could not be written do not exist.
    @inline(__always)
    package func isCovered(_ time: Int64) -> Bool {
        time.magnitude <= UInt64(EventTimePolicy.magnitudeMax) && (isCumulative || hop <= size || time &- lastWindowStart(time) < size)
    }

    /// The end of the first window that holds `time`.
    package func firstWindowEnd(_ time: Int64) -> Int64 {
        // Starts lie in (time − size, time]; the first is the smallest multiple of hop above time − size.
        WindowShape.floor(time &- size, step: hop, offset: offset) &+ hop &+ size
    }

    /// The smallest multiple of `step` (plus `offset`) that is not above `time`; saturates instead of wrapping.
    @inline(__always)
    static func floor(_ time: Int64, step: Int64, offset: Int64) -> Int64 {
        let (shifted, overflow) = time.subtractingReportingOverflow(offset)
        if overflow { return time }
        var remainder = shifted % step
        if remainder < 0 { remainder &+= step }
        return time &- remainder
    }
}

/// The expiry index: ends of open windows, each once, smallest first. Insert and take out in O(log n).
struct WindowEnds {
    private var known: Set<Int64> = []
    /// A binary heap: each element is at most its children, at 2i + 1 and 2i + 2.
    private var heap: [Int64] = []

    var first: Int64? { heap.first }

    /// Ascending.
    var all: [Int64] { heap.sorted() }

    mutating func insert(_ end: Int64) {
        guard known.insert(end).inserted else { return }
        heap.append(end)
        var at = heap.count - 1
        while at > 0, heap[at] < heap[(at - 1) / 2] {
            heap.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    /// Takes out the smallest end, if it is not above `limit`.
    mutating func popFirst(upTo limit: Int64) -> Int64? {
        guard let first = heap.first, first <= limit else { return nil }
        known.remove(first)
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var at = 0
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < heap.count && heap[child] < heap[least] { least = child }
            if least == at { return first }
            heap.swapAt(at, least)
            at = least
        }
    }
}
