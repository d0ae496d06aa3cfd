internal import MartletCore

/// One resolved scalar call: what kernels need to know, and the row-by-row way that defines their results.
final class Call {
    let function: ScalarFunction
    let types: [DataType]
    let result: DataType

    init(_ function: ScalarFunction, _ types: [DataType], _ result: DataType) {
        self.function = function
        self.types = types
        self.result = result
    }

    /// Computes one row by the scalar definition; an error makes the row NULL and is noted.
    func settle(_ row: Int, _ arguments: [Vector], _ frame: Frame, into column: Column) {
        let values = arguments.map { $0.column.value(at: $0.row(row)) }
        store(values, row, frame, into: column)
    }

    private func store(_ values: [Value], _ row: Int, _ frame: Frame, into column: Column) {
        do throws(SQLError) {
            column.set(row, try function.evaluate(values, result: result, context: frame.context))
        } catch {
            frame.fail(row, error)
            column.setNull(row)
        }
    }

    /// All rows by the scalar definition.
    func evaluateRows(_ arguments: [Vector], _ frame: Frame) -> Column {
        let column = Column(result, capacity: frame.count)
        column.count = frame.count
        var values = arguments.map { $0.isConstant ? $0.column.value(at: 0) : Value.null }
        let isStrict = function.isStrict
        rows: for row in 0..<frame.count {
            if frame.hasFailed(row) {
                column.setNull(row)
                continue
            }
            for (at, argument) in arguments.enumerated() {
                if isStrict, argument.isNull(row) {
                    column.setNull(row)
                    continue rows
                }
                if !argument.isConstant { values[at] = argument.column.value(at: row) }
            }
            store(values, row, frame, into: column)
        }
        return column
    }

    /// The result where all arguments are constants. An error is every row's.
    func evaluateOnce(_ arguments: [Vector], _ frame: Frame) -> Vector {
        let column = Column(result, capacity: 1)
        do throws(SQLError) {
            let values = arguments.map { $0.column.value(at: 0) }
            column.append(try function.evaluate(values, result: result, context: frame.context))
        } catch {
            for row in 0..<frame.count { frame.fail(row, error) }
            column.append(.null)
        }
        return Vector(constant: column)
    }
}

/// Computes a call for all rows of a frame. At least one argument is a column; for strict functions no constant is
/// NULL. The result has a row per row of the frame, with NULL rows zeroed.
typealias Kernel = (_ call: Call, _ arguments: [Vector], _ frame: Frame) -> Column

final class CallNode: Node {
    private let call: Call
    private let arguments: [Node]
    private let kernel: Kernel?

    init(_ call: Call, _ arguments: [Node]) {
        self.call = call
        self.arguments = arguments
        kernel = Kernels.kernel(for: call, constants: arguments.map(\.constant))
    }

    override var cost: Int { arguments.reduce(kernel == nil ? 50 : 1) { $0 + $1.cost } }

    override func evaluate(_ frame: Frame) -> Vector {
        let vectors = arguments.map { $0.evaluate(frame) }
        if call.function.isStrict {
            for vector in vectors where vector.isConstant && vector.isNull(0) {
                return Vector(constant: .constant(.null, type: call.result, count: 1))
            }
        }
        if frame.count == 0 { return Vector(Column(call.result, capacity: 0)) }
        if vectors.allSatisfy(\.isConstant), call.function != .volatile { return call.evaluateOnce(vectors, frame) }
        guard let kernel else { return Vector(call.evaluateRows(vectors, frame)) }
        return Vector(kernel(call, vectors, frame))
    }
}

/// The tables of kernels, asked in turn.
enum Kernels {
    /// `constants[i]`: the one-row column of argument i where it is a literal.
    static func kernel(for call: Call, constants: [Column?]) -> Kernel? {
        arithmetic(call, constants) ?? comparison(call) ?? text(call, constants) ?? time(call, constants) ?? timeText(call, constants)
            ?? regex(call, constants) ?? nested(call)
    }
}

/// Calls `operation` for every row, with a constant operand held in a register. Not for two constants.
@inline(__always)
func combine<Left: BitwiseCopyable, Right: BitwiseCopyable, Answer: BitwiseCopyable>(
    _ left: UnsafePointer<Left>, isConstant isLeftConstant: Bool,
    _ right: UnsafePointer<Right>, isConstant isRightConstant: Bool,
    _ count: Int, into answers: UnsafeMutablePointer<Answer>, _ operation: (Left, Right) -> Answer
) {
    if isRightConstant {
        let constant = right[0]
        for row in 0..<count { answers[row] = operation(left[row], constant) }
    } else if isLeftConstant {
        let constant = left[0]
        for row in 0..<count { answers[row] = operation(constant, right[row]) }
    } else {
        for row in 0..<count { answers[row] = operation(left[row], right[row]) }
    }
}

extension Column {
    /// The result of a strict kernel gets its NULLs: those of the arguments.
    func finishStrict(_ arguments: [Vector]) {
        for argument in arguments where !argument.isConstant { takeValidity(of: argument.column) }
        zeroNulls()
    }
}
