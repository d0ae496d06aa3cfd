internal import Glibc
internal import MartletColumns
internal import MartletCore

/// Groups with their numbers, running values, and objects. What changed since changes were last taken is part of it only as
/// to which groups: between ticks a table that tells changes has none, and one that is read once, at its close, looks at
/// which groups changed and never at what they were.
extension AggregateTable {
    package func save(into writer: StateWriter) {
        writer.write(layout.signature)
        writer.write(isGlobalShown)
        rows.save(layout.rest, into: writer)
        if layout.mark != nil { writer.write(markedRows.map { UInt32(truncatingIfNeeded: $0) }) }
        guard layout.ownsObjects else { return }
        let gathered = layout.gathered
        for id in 0..<rows.count where rows.isLive(id) {
            for (accumulator, _) in gathered {
                guard let object = Gathered.at(accumulator.words(rows[id])) else { continue }
                writer.write(object.isShown)
                object.save(into: writer)
            }
        }
    }

    /// The numbers of the rows of `changed`, in its order.
    var markedRows: [Int] {
        guard let mark = layout.mark, !changed.isEmpty else { return [] }
        var numbers = [Int](repeating: 0, count: changed.count)
        for id in 0..<rows.count {
            let number = rows[id].load(fromByteOffset: mark, as: UInt64.self)
            if number > 0 { numbers[Int(number) - 1] = id }
        }
        return numbers
    }

    /// Replaces what the table has. When it throws, the table is good for nothing but to be let go.
    package func restore(from reader: StateReader) throws(StateError) {
        clear()
        guard try reader.readBytes(max: 1 << 20) == layout.signature else { throw reader.error("other aggregates than these") }
        isGlobalShown = try reader.readFlag()
        let references = try rows.restore(layout.rest, from: reader)
        guard !layout.keys.fields.isEmpty || rows.count <= 1 else { throw reader.error("groups of a table without keys") }
        if layout.mark != nil { try restoreChanged(reader) }
        let gathered = layout.gathered
        for (row, reference) in references {
            guard rows.isLive(row) else { throw reader.error("an object of a group that is not there") }
            let (accumulator, shape) = gathered[reference]
            let isShown = try reader.readFlag()
            let object = self.gathered(shape, accumulator.words(rows[row]))
            let made = object.bytes
            try object.restore(from: reader)
            objectBytes += object.bytes - made
            if isShown { object.show(shape) }
        }
    }

    private func restoreChanged(_ reader: StateReader) throws(StateError) {
        let numbers = try reader.readNumbers(UInt32.self, max: rows.count)
        guard Set(numbers).count == numbers.count, numbers.allSatisfy({ rows.isLive(Int($0)) }) else {
            throw reader.error("a changed group that is not there")
        }
        let pointers = numbers.map { rows[Int($0)] }
        pointers.withUnsafeBufferPointer { if let base = $0.baseAddress { keepImages(base, $0.count) } }
    }
}

extension AggregateLayout {
    /// The calls that keep objects, in the order of their words.
    fileprivate var gathered: [(accumulator: Accumulator, shape: GatherShape)] {
        accumulators.compactMap { accumulator in
            guard case .gathered(let shape) = accumulator.kind else { return nil }
            return (accumulator, shape)
        }
    }

    /// What is no plain number behind a row's key.
    fileprivate var rest: RowShape {
        var shape = RowShape()
        for accumulator in accumulators {
            switch accumulator.kind {
            case .extreme(.text, _): shape.ownedViews.append(accumulator.offset)
            case .gathered: shape.references.append(accumulator.offset)
            default: break
            }
        }
        if let mark { shape.passing.append(mark) }
        return shape
    }

    /// Tells tables of other calls apart: functions, types and where their values lie.
    fileprivate var signature: [UInt8] {
        let calls = calls.map { call in
            "\(call.function.rawValue) \(call.argumentType?.sqlName ?? "") \(call.options.isDistinct) \(call.takesWithdrawals)"
        }
        let places = accumulators.map { "\($0.offset)" }
        return Array((calls + places).joined(separator: ",").utf8)
    }
}

extension StateReader {
    /// A count that is not 0.
    fileprivate func readMultiplicity() throws(StateError) -> Int64 {
        let count: Int64 = try read()
        guard count != 0 else { throw error("a value that stands 0 times") }
        return count
    }

    /// A multiset: its elements ascending, each once.
    func readMultiset<Element: Hashable>(
        _ isBefore: (Element, Element) -> Bool, _ read: () throws(StateError) -> Element
    ) throws(StateError) -> [Element: Int64] {
        var counts: [Element: Int64] = [:]
        var last: Element?
        for _ in 0..<(try readCount(max: 1 << 40)) {
            let element = try read()
            guard last.map({ isBefore($0, element) }) ?? true else { throw error("values out of order") }
            last = element
            counts[element] = try readMultiplicity()
        }
        return counts
    }
}

extension StateReader {
    func readItems() throws(StateError) -> [[UInt8]: Int64] {
        try readMultiset({ (left: [UInt8], right: [UInt8]) in left.lexicographicallyPrecedes(right) }) { () throws(StateError) in
            try readBytes()
        }
    }

    func readWords() throws(StateError) -> [Int64: Int64] {
        try readMultiset(<) { () throws(StateError) in try read(Int64.self) }
    }
}

extension StateWriter {
    func write(multiset counts: [Int64: Int64]) {
        write(UInt64(counts.count))
        for (word, count) in counts.sorted(by: { $0.key < $1.key }) {
            write(word)
            write(count)
        }
    }

    /// By bytes.
    func write(multiset counts: [[UInt8]: Int64]) {
        write(UInt64(counts.count))
        for (item, count) in counts.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            write(item)
            write(count)
        }
    }
}
