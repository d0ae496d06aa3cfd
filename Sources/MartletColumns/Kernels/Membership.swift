internal import MartletCore

/// `operand IN (constants)`.
///
/// Few constants are compared one after the other over the whole column, many by a hash set of their rows.
final class InListNode: Node {
    private let operand: Node
    private let members: Column
    private let hasNull: Bool
    /// Open addressing: row of `members` + 1, or 0; nil for few members.
    private let slots: [Int32]
    private let mask: Int

    init(_ operand: Node, type: DataType, _ values: [Value]) {
        self.operand = operand
        hasNull = values.contains(where: \.isNull)
        var seen: Set<Value> = []
        members = Column(type, values.filter { !$0.isNull && seen.insert($0).inserted })
        var size = 8
        while size < members.count * 2 { size *= 2 }
        mask = size - 1
        var slots = [Int32](repeating: 0, count: size)
        for (row, hash) in Hash.rows([members], count: members.count).enumerated() {
            var at = Int(truncatingIfNeeded: hash) & (size - 1)
            while slots[at] != 0 { at = (at + 1) & (size - 1) }
            slots[at] = Int32(row + 1)
        }
        self.slots = slots
    }

    override var cost: Int { operand.cost + 2 }

    override func evaluate(_ frame: Frame) -> Vector {
        let vector = operand.evaluate(frame)
        let column = vector.column
        let count = column.count
        let result = Column(.boolean, capacity: count)
        result.count = count
        switch column.physical {
        case .int16 where members.count <= 8: linear(column.int16s, members.int16s, result.bools, count)
        case .int32 where members.count <= 8: linear(column.int32s, members.int32s, result.bools, count)
        case .int64 where members.count <= 8: linear(column.int64s, members.int64s, result.bools, count)
        default: probe(column, result)
        }
        if hasNull {
            // Not found among the others is unknown.
            let validity = result.mutableValidity()
            for row in 0..<count { validity[row] = result.bools[row] }
        }
        result.takeValidity(of: column)
        result.zeroNulls()
        return vector.isConstant ? Vector(constant: result) : Vector(result)
    }

    private func linear<Integer: FixedWidthInteger & BitwiseCopyable>(
        _ values: UnsafePointer<Integer>, _ members: UnsafePointer<Integer>, _ answers: UnsafeMutablePointer<UInt8>,
        _ count: Int
    ) {
        answers.update(repeating: 0, count: count)
        for at in 0..<self.members.count {
            let member = members[at]
            for row in 0..<count { answers[row] |= values[row] == member ? 1 : 0 }
        }
    }

    private func probe(_ column: Column, _ result: Column) {
        let hashes = Hash.rows([column], count: column.count)
        for row in 0..<column.count {
            result.bools[row] = 0
            if column.isNull(row) { continue }
            var at = Int(truncatingIfNeeded: hashes[row]) & mask
            while slots[at] != 0 {
                if members.equals(Int(slots[at] - 1), column, row) {
                    result.bools[row] = 1
                    break
                }
                at = (at + 1) & mask
            }
        }
    }
}
