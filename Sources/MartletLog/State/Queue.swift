/// First in, first out, with access by position. Constant time at both ends, amortised; memory shrinks with the content.
struct Queue<Element> {
    private var slots: ContiguousArray<Element?> = []
    private var head = 0

    var count: Int { slots.count - head }
    var isEmpty: Bool { head == slots.count }
    var first: Element? { isEmpty ? nil : slots[head] }
    var last: Element? { isEmpty ? nil : slots[slots.count - 1] }

    subscript(position: Int) -> Element { slots[head + position]! }

    mutating func append(_ element: Element) { slots.append(element) }

    mutating func removeFirst() -> Element {
        let element = slots[head]!
        slots[head] = nil
        head += 1
        // Amortised: as many elements are moved as were removed since the last time.
        if head >= 32 && head * 2 >= slots.count {
            slots.removeFirst(head)
            head = 0
        }
        if head == slots.count && head > 0 {
            slots = []
            head = 0
        }
        return element
    }

    /// Where the first element is for which `isBelow` is false; it is true for all before and false for all after.
    func partitioningIndex(where isBelow: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if isBelow(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
