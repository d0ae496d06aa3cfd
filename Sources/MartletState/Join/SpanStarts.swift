/// Starts of spans of time, each once, in order. Insert at the end in O(1): time moves on.
struct SpanStarts {
    private var known: Set<Int64> = []
    private var sorted: [Int64] = []
    private var from = 0

    static func start(of time: Int64, step: Int64) -> Int64 {
        if time == .max || step <= 1 { return time }
        var remainder = time % step
        if remainder < 0 { remainder += step }
        let (start, overflow) = time.subtractingReportingOverflow(remainder)
        return overflow ? .min : start
    }

    /// Each start, in order.
    var all: ArraySlice<Int64> { sorted[from...] }

    var first: Int64? { from < sorted.count ? sorted[from] : nil }

    mutating func insert(_ start: Int64) {
        guard known.insert(start).inserted else { return }
        var at = sorted.count
        while at > from, sorted[at - 1] > start { at -= 1 }
        sorted.insert(start, at: at)
    }

    mutating func removeFirst() {
        known.remove(sorted[from])
        from += 1
        if from > 1024, from * 2 > sorted.count {
            sorted.removeFirst(from)
            from = 0
        }
    }
}
