internal import MartletCore

/// CASE: each branch is evaluated for the rows that reach it only.
final class ConditionalNode: Node {
    struct Branch {
        let condition: Node
        let result: Node
    }

    private let branches: [Branch]
    private let otherwise: Node
    private let type: DataType

    init(_ branches: [Branch], otherwise: Node, type: DataType) {
        self.branches = branches
        self.otherwise = otherwise
        self.type = type
    }

    override var cost: Int { branches.reduce(otherwise.cost + 4) { $0 + $1.condition.cost + $1.result.cost } }

    override func evaluate(_ frame: Frame) -> Vector {
        var assembly = Assembly(type, frame)
        for branch in branches {
            if assembly.isDone { break }
            let condition = branch.condition.evaluate(assembly.open)
            if condition.isConstant {
                if condition.column.bools[0] == 1 { assembly.fill(from: branch.result) }
                continue
            }
            assembly.fill(where: condition.column, from: branch.result)
        }
        if !assembly.isDone { assembly.fill(from: otherwise) }
        return assembly.result
    }
}

/// COALESCE: later operands are evaluated for the rows where all earlier ones were NULL.
final class CoalesceNode: Node {
    private let operands: [Node]
    private let type: DataType

    init(_ operands: [Node], type: DataType) {
        self.operands = operands
        self.type = type
    }

    override var cost: Int { operands.reduce(2) { $0 + $1.cost } }

    override func evaluate(_ frame: Frame) -> Vector {
        var assembly = Assembly(type, frame)
        for (at, operand) in operands.enumerated() {
            if assembly.isDone { break }
            if at == operands.count - 1 {
                assembly.fill(from: operand)
            } else {
                assembly.fillWhereNotNull(operand.evaluate(assembly.open))
            }
        }
        if !assembly.isDone { assembly.fill(from: ConstantNode(.constant(.null, type: type, count: 1))) }
        return assembly.result
    }
}

/// A result put together from parts: which rows of the frame are still open, and what the others have.
private struct Assembly {
    private let type: DataType
    private let frame: Frame
    /// The open rows, as a frame and as rows of `frame` (nil: all).
    private(set) var open: Frame
    private var openRows: Selection?
    private var whole: Vector?
    private var column: Column?

    init(_ type: DataType, _ frame: Frame) {
        self.type = type
        self.frame = frame
        open = frame
    }

    var isDone: Bool { whole != nil || open.count == 0 }

    var result: Vector {
        if let whole { return whole }
        return Vector(column ?? Column(type, capacity: 0))
    }

    /// All open rows get the node's value.
    mutating func fill(from node: Node) {
        let value = node.evaluate(open)
        guard let rows = openRows else {
            whole = value
            return
        }
        target().scatter(value.expanded(rows.count), to: rows.indexes)
        close([])
    }

    /// The open rows where `condition` is true get the node's value.
    mutating func fill(where condition: Column, from node: Node) {
        let taken = Selection.where(condition)
        if taken.count == 0 { return }
        if taken.count == open.count {
            fill(from: node)
            return
        }
        let value = node.evaluate(open.narrowed(to: taken)).expanded(taken.count)
        place(value, at: taken)
        // NULL conditions have the byte 0 too.
        close(Selection.matching(condition.bools, count: condition.count, byte: 0))
        withExtendedLifetime(condition) {}
    }

    /// The open rows where `value` is not NULL get it; rows that failed on the way are done too.
    mutating func fillWhereNotNull(_ value: Vector) {
        if value.isConstant {
            if value.isNull(0), open.errors.isEmpty { return }
            if !value.isNull(0) { fill(from: ConstantNode(value.column)) }
            return
        }
        guard let validity = value.column.validity else {
            fill(from: ReadyNode(value))
            return
        }
        let missing = Selection.matching(validity, count: value.column.count, byte: 0)
        if missing.count == 0 {
            fill(from: ReadyNode(value))
            return
        }
        let present = Selection.matching(validity, count: value.column.count, byte: 1)
        if present.count > 0 { place(value.column.gather(present), at: present) }
        withExtendedLifetime(value.column) {}
        var kept = 0
        for at in 0..<missing.count {
            let row = missing.indexes[at]
            if open.hasFailed(Int(row)) {
                target().setNull(frameRow(Int(row)))
            } else {
                missing.indexes[kept] = row
                kept += 1
            }
        }
        missing.count = kept
        close(missing)
    }

    private func frameRow(_ openRow: Int) -> Int {
        guard let openRows else { return openRow }
        return Int(openRows.indexes[openRow])
    }

    private mutating func place(_ value: Column, at taken: Selection) {
        let rows = Selection(capacity: taken.count)
        for at in 0..<taken.count { rows.indexes[at] = Int32(frameRow(Int(taken.indexes[at]))) }
        rows.count = taken.count
        target().scatter(value, to: rows.indexes)
        withExtendedLifetime(rows) {}
    }

    /// `left`: the open rows that stay open, as rows of `open`.
    private mutating func close(_ left: Selection) {
        let rows = Selection(capacity: left.count)
        for at in 0..<left.count { rows.indexes[at] = Int32(frameRow(Int(left.indexes[at]))) }
        rows.count = left.count
        open = open.narrowed(to: left)
        openRows = rows
    }

    private mutating func close(_ none: [Int]) { close(Selection(none)) }

    private mutating func target() -> Column {
        if let column { return column }
        let made = Column(type, capacity: frame.count)
        made.count = frame.count
        column = made
        return made
    }
}

/// A value that is there already.
private final class ReadyNode: Node {
    private let value: Vector
    init(_ value: Vector) { self.value = value }
    override func evaluate(_ frame: Frame) -> Vector { value }
}
