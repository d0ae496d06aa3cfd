internal import MartletCore

/// AND or OR of any number of operands, three-valued.
///
/// An operand's error counts only where the others do not decide: each operand collects its errors apart, and those of
/// rows that some other operand decided are dropped. Costly operands are evaluated only where still undecided.
final class JunctionNode: Node {
    private let operands: [Node]
    private let isAnd: Bool

    init(_ operands: [Node], isAnd: Bool) {
        self.operands = operands
        self.isAnd = isAnd
    }

    override var cost: Int { operands.reduce(operands.count) { $0 + $1.cost } }

    override func evaluate(_ frame: Frame) -> Vector {
        let count = frame.count
        // `isTrue` and `isFalse` are bytes; neither: unknown.
        let result = Column(.boolean, capacity: count)
        result.count = count
        let isTrue = result.bools
        let falses = Column(.boolean, capacity: count)
        falses.count = count
        let isFalse = falses.bools
        isTrue.update(repeating: isAnd ? 1 : 0, count: count)
        isFalse.update(repeating: isAnd ? 0 : 1, count: count)
        let outer = frame.errors
        var collected: [RowErrors] = []
        var scope = RowErrors()
        for operand in operands {
            frame.errors = scope
            let (vector, rows) = evaluate(operand, frame, decided: isAnd ? isFalse : isTrue)
            merge(vector, rows, count: count, isTrue, isFalse)
            if !scope.isEmpty {
                collected.append(scope)
                scope = RowErrors()
            }
        }
        frame.errors = outer
        for errors in collected {
            for entry in errors.entries {
                let row = frame.frameRow(entry.row)
                if (isAnd ? isFalse : isTrue)[row] == 0 {
                    outer.add(entry.row, entry.error)
                    isTrue[row] = 0
                    isFalse[row] = 0
                }
            }
        }
        var unknown: UInt8 = 0
        for row in 0..<count { unknown |= (isTrue[row] | isFalse[row]) ^ 1 }
        if unknown != 0 {
            let validity = result.mutableValidity()
            for row in 0..<count { validity[row] = isTrue[row] | isFalse[row] }
        }
        return withExtendedLifetime(falses) { Vector(result) }
    }

    /// The operand's value, and the rows it was evaluated for (nil: all).
    private func evaluate(
        _ operand: Node, _ frame: Frame, decided: UnsafeMutablePointer<UInt8>
    ) -> (Vector, Selection?) {
        var rows: Selection?
        var target = frame
        if operand.cost > 4 {
            var open = 0
            for row in 0..<frame.count { open &+= Int(decided[row] ^ 1) }
            if open * 2 < frame.count {
                let selection = Selection.matching(decided, count: frame.count, byte: 0)
                rows = selection
                target = frame.narrowed(to: selection)
            }
        }
        let vector = operand.evaluate(target)
        if frame.errors.isEmpty { return (vector, rows) }
        // An expression may have made something of the NULL that stands for the error: the operand is unknown there.
        let column = Column(.boolean, capacity: target.count)
        column.append(rowsOf: vector.expanded(target.count), from: 0, count: target.count)
        for entry in frame.errors.entries { column.setNull(target.frameRow(entry.row)) }
        return (Vector(column), rows)
    }

    private func merge(
        _ vector: Vector, _ rows: Selection?, count: Int, _ isTrue: UnsafeMutablePointer<UInt8>,
        _ isFalse: UnsafeMutablePointer<UInt8>
    ) {
        let isAnd = isAnd
        if let rows {
            let column = vector.expanded(rows.count)
            for at in 0..<rows.count {
                let row = Int(rows.indexes[at])
                let truth = column.bools[at]
                let falsehood = column.isNull(at) ? 0 : truth ^ 1
                isTrue[row] = isAnd ? isTrue[row] & truth : isTrue[row] | truth
                isFalse[row] = isAnd ? isFalse[row] | falsehood : isFalse[row] & falsehood
            }
            return
        }
        if vector.isConstant {
            let truth = vector.column.bools[0]
            let falsehood = vector.isNull(0) ? 0 : truth ^ 1
            for row in 0..<count {
                isTrue[row] = isAnd ? isTrue[row] & truth : isTrue[row] | truth
                isFalse[row] = isAnd ? isFalse[row] | falsehood : isFalse[row] & falsehood
            }
            return
        }
        let truths = vector.column.bools
        if let validity = vector.column.validity {
            if isAnd {
                for row in 0..<count { isTrue[row] &= truths[row] }
                for row in 0..<count { isFalse[row] |= validity[row] & (truths[row] ^ 1) }
            } else {
                for row in 0..<count { isTrue[row] |= truths[row] }
                for row in 0..<count { isFalse[row] &= validity[row] & (truths[row] ^ 1) }
            }
        } else if isAnd {
            for row in 0..<count { isTrue[row] &= truths[row] }
            for row in 0..<count { isFalse[row] |= truths[row] ^ 1 }
        } else {
            for row in 0..<count { isTrue[row] |= truths[row] }
            for row in 0..<count { isFalse[row] &= truths[row] ^ 1 }
        }
        withExtendedLifetime(vector.column) {}
    }
}

final class NotNode: Node {
    private let operand: Node

    init(_ operand: Node) { self.operand = operand }

    override var cost: Int { operand.cost + 1 }

    override func evaluate(_ frame: Frame) -> Vector {
        let vector = operand.evaluate(frame)
        let column = vector.column
        let result = Column(.boolean, capacity: column.count)
        result.count = column.count
        let bools = column.bools
        let answers = result.bools
        for row in 0..<column.count { answers[row] = bools[row] ^ 1 }
        result.takeValidity(of: column)
        result.zeroNulls()
        return vector.isConstant ? Vector(constant: result) : Vector(result)
    }
}

/// IS NULL and IS NOT NULL.
final class NullTestNode: Node {
    private let operand: Node
    private let isNull: Bool

    init(_ operand: Node, isNull: Bool) {
        self.operand = operand
        self.isNull = isNull
    }

    override var cost: Int { operand.cost + 1 }

    override func evaluate(_ frame: Frame) -> Vector {
        let vector = operand.evaluate(frame)
        let column = vector.column
        let result = Column(.boolean, capacity: column.count)
        result.count = column.count
        let answers = result.bools
        if let validity = column.validity {
            let flip: UInt8 = isNull ? 1 : 0
            for row in 0..<column.count { answers[row] = validity[row] ^ flip }
        } else {
            answers.update(repeating: isNull ? 0 : 1, count: column.count)
        }
        return withExtendedLifetime(column) { vector.isConstant ? Vector(constant: result) : Vector(result) }
    }
}
