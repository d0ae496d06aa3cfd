internal import MartletColumns
internal import MartletCore
internal import MartletState
internal import Testing

/// Strings that are too long for their rows lie in memory of the table's, of which what is dead goes now and then.
@Suite("Kept texts") struct KeptTextTests {
    private static let batchRows = 1_000
    private static let batches = 60

    private func text(_ number: Int) -> String { "\(number) " + String(repeating: Character(Unicode.Scalar(UInt8(97 + number % 26))), count: 100) }

    private func texts(_ numbers: [Int]) -> Column {
        let column = Column(.text, capacity: numbers.count)
        for number in numbers { column.append(.text(text(number))) }
        return column
    }

    private func integers(_ numbers: [Int]) -> Column {
        let column = Column(.bigint, capacity: numbers.count)
        for number in numbers { column.append(.bigint(Int64(number))) }
        return column
    }

    private func saved(_ table: PartitionTable) throws -> StateReader {
        var bytes: [UInt8] = []
        let writer = StateWriter { bytes += $0 }
        table.save(into: writer)
        try writer.finish()
        return StateReader(bytes)
    }

    @Test("rows keep theirs, and their keys, while most rows go", arguments: [false, true])
    func rowsGo(isChanging: Bool) throws {
        func made() -> PartitionTable { PartitionTable(partition: [.text], rows: [.bigint, .text, .text], isChanging: isChanging) }
        var table = made()
        var left: [(number: Int, slot: UInt32, partition: UInt32)] = []
        for batch in 0..<KeptTextTests.batches {
            let numbers = Array(batch * KeptTextTests.batchRows..<(batch + 1) * KeptTextTests.batchRows)
            let partitions = table.numbers([texts(numbers)], count: numbers.count)
            let slots = table.apply([integers(numbers), texts(numbers), texts(numbers)], partitions: partitions, weights: nil)
            // Some go at once, most of the others when there are more.
            table.remove(numbers.indices.filter { $0 % 3 != 0 }.map { slots[$0] })
            left += numbers.indices.filter { $0 % 3 == 0 }.map { (numbers[$0], slots[$0], partitions[$0]) }
            if batch == KeptTextTests.batches / 2 {
                let reader = try saved(table)
                table = made()
                try table.restore(from: reader)
                try reader.finish()
            }
            if batch % 7 == 6 {
                table.remove(left.filter { $0.number % 5 != 0 }.map(\.slot))
                left.removeAll { $0.number % 5 != 0 }
            }
        }
        let numbers = left.map(\.number)
        #expect(table.rowCount == numbers.count)
        for column in 1...2 {
            let kept = table.column(column, left.map(\.slot))
            #expect(numbers.indices.allSatisfy { kept.value(at: $0) == .text(text(numbers[$0])) })
        }
        #expect(table.numbers([texts(numbers)], count: numbers.count) == left.map(\.partition))
        // What went does not stay: no block is more than half of what is gone, but the one that is filled.
        let kept = numbers.count * 3 * 107
        #expect(table.memoryBytes < numbers.count * 300 + 2 * kept + 4 << 20)
    }
}
