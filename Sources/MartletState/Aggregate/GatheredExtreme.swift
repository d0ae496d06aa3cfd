internal import MartletColumns
internal import MartletCore

/// The least or greatest value of a multiset from which values are withdrawn: counts, and a heap of the values that were
/// there since it was made, of which the gone ones are dropped when they come to the top. O(log n) a new value, O(1) a
/// withdrawal, both amortised.
final class GatheredExtreme: Gathered {
    private let type: DataType
    private let isMax: Bool
    private let isWord: Bool
    private var words = LazyHeap<Int64>()
    private var items = LazyHeap<Item>()
    private var buffer: [UInt8] = []

    /// A value that is the same as another only if its digits are too.
    private struct Item: Hashable {
        let bytes: [UInt8]
        let value: Value

        static func == (left: Item, right: Item) -> Bool { left.bytes == right.bytes }
        func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
    }

    init(_ type: DataType, isMax: Bool) {
        self.type = type
        self.isMax = isMax
        isWord = WordImage.exists(for: type)
    }

    override func add(_ column: Column, _ row: Int, weight: Int64) {
        if isWord {
            add(WordImage.word(column, row), weight)
        } else {
            buffer.removeAll(keepingCapacity: true)
            column.encode(row, into: &buffer)
            add(Item(bytes: buffer, value: column.value(at: row)), weight)
        }
    }

    private func add(_ word: Int64, _ weight: Int64) {
        let isMax = isMax
        words.add(word, weight) { isMax ? $0 > $1 : $0 < $1 }
        bytes = 64 + words.count * 48
    }

    private func add(_ item: Item, _ weight: Int64) {
        items.add(item, weight, isBefore)
        bytes = 64 + items.count * (96 + item.bytes.count)
    }

    /// Of equal values (1.0, 1.00) the one with the lesser bytes: fewer digits.
    private func isBefore(_ left: Item, _ right: Item) -> Bool {
        let order = Value.compare(left.value, right.value)
        if order == 0 { return left.bytes.lexicographicallyPrecedes(right.bytes) }
        return isMax ? order > 0 : order < 0
    }

    override func merge(_ other: Gathered) {
        guard let other = other as? GatheredExtreme else { return }
        for (word, count) in other.words.counts { add(word, count) }
        for (item, count) in other.items.counts { add(item, count) }
    }

    override func result(_ shape: GatherShape) throws(SQLError) -> Value {
        if isWord {
            let isMax = isMax
            return words.first { isMax ? $0 > $1 : $0 < $1 }.map { WordImage.value($0, type) } ?? .null
        }
        return items.first(isBefore)?.value ?? .null
    }

    override func save(into writer: StateWriter) {
        if isWord {
            writer.write(multiset: words.counts)
        } else {
            writer.write(multiset: Dictionary(uniqueKeysWithValues: items.counts.map { ($0.key.bytes, $0.value) }))
        }
    }

    override func restore(from reader: StateReader) throws(StateError) {
        if isWord {
            for (word, count) in try reader.readWords() { add(word, count) }
            return
        }
        for (bytes, count) in try reader.readItems() {
            let value = bytes.withUnsafeBufferPointer { item in
                item.first == 1 ? ValueCodec.decode(UnsafeBufferPointer(rebasing: item.dropFirst()), as: type) : nil
            }
            guard let value else { throw reader.error("a value of another type") }
            add(Item(bytes: bytes, value: value), count)
        }
    }
}

/// A multiset with its first element at hand.
struct LazyHeap<Element: Hashable> {
    private(set) var counts: [Element: Int64] = [:]
    private var heap: [Element] = []

    var count: Int { counts.count }

    mutating func add(_ element: Element, _ weight: Int64, _ isBefore: (Element, Element) -> Bool) {
        let old = counts[element] ?? 0
        let new = old &+ weight
        counts[element] = new == 0 ? nil : new
        if old <= 0, new > 0 { push(element, isBefore) }
        if heap.count > 2 * counts.count + 64 { rebuild(isBefore) }
    }

    /// The first element that is there.
    mutating func first(_ isBefore: (Element, Element) -> Bool) -> Element? {
        while let top = heap.first {
            if counts[top] ?? 0 > 0 { return top }
            let last = heap.removeLast()
            if !heap.isEmpty {
                heap[0] = last
                sink(0, isBefore)
            }
        }
        return nil
    }

    private mutating func push(_ element: Element, _ isBefore: (Element, Element) -> Bool) {
        heap.append(element)
        var at = heap.count - 1
        while at > 0, isBefore(heap[at], heap[(at - 1) / 2]) {
            heap.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    private mutating func sink(_ start: Int, _ isBefore: (Element, Element) -> Bool) {
        var at = start
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < heap.count && isBefore(heap[child], heap[least]) { least = child }
            if least == at { return }
            heap.swapAt(at, least)
            at = least
        }
    }

    private mutating func rebuild(_ isBefore: (Element, Element) -> Bool) {
        heap = counts.filter { $0.value > 0 }.map(\.key)
        for at in stride(from: heap.count / 2, through: 0, by: -1) { sink(at, isBefore) }
    }
}
