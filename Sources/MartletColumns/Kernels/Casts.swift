internal import MartletCore

/// A cast: kernels between numbers and between times, everything else value by value.
final class CastNode: Node {
    private let operand: Node
    private let from: DataType
    private let to: DataType
    private let explicit: Bool
    private let kernel: ((CastNode, Column, Frame) -> Column)?

    init(_ operand: Node, from: DataType, to: DataType, explicit: Bool) {
        self.operand = operand
        self.from = from
        self.to = to
        self.explicit = explicit
        kernel = CastNode.kernel(from, to)
    }

    override var cost: Int { operand.cost + (kernel == nil ? 50 : 1) }

    override func evaluate(_ frame: Frame) -> Vector {
        let vector = operand.evaluate(frame)
        if from == to || (to == .plainNumeric && from.withoutModifiers == to) { return vector }
        if vector.isConstant { return once(vector, frame) }
        if let kernel { return Vector(kernel(self, vector.column, frame)) }
        return Vector(rows(vector.column, frame))
    }

    private func once(_ vector: Vector, _ frame: Frame) -> Vector {
        let result = Column(to, capacity: 1)
        do throws(SQLError) {
            result.append(try vector.column.value(at: 0).cast(to: to, explicit: explicit, context: frame.context))
        } catch {
            for row in 0..<frame.count { frame.fail(row, error) }
            result.append(.null)
        }
        return Vector(constant: result)
    }

    private func rows(_ column: Column, _ frame: Frame) -> Column {
        let result = Column(to, capacity: frame.count)
        result.count = frame.count
        for row in 0..<frame.count {
            if column.isNull(row) { result.setNull(row) } else { settle(row, column, frame, into: result) }
        }
        return result
    }

    private func settle(_ row: Int, _ column: Column, _ frame: Frame, into result: Column) {
        do throws(SQLError) {
            result.set(row, try column.value(at: row).cast(to: to, explicit: explicit, context: frame.context))
        } catch {
            frame.fail(row, error)
            result.setNull(row)
        }
    }

    // MARK: - Kernels

    private typealias Conversion = (CastNode, Column, Frame) -> Column

    private static func kernel(_ from: DataType, _ to: DataType) -> Conversion? {
        switch (from, to) {
        case (.smallint, .integer): return widen(Int16.self, Int32.self)
        case (.smallint, .bigint): return widen(Int16.self, Int64.self)
        case (.integer, .bigint): return widen(Int32.self, Int64.self)
        case (.integer, .smallint): return narrow(Int32.self, Int16.self)
        case (.bigint, .smallint): return narrow(Int64.self, Int16.self)
        case (.bigint, .integer): return narrow(Int64.self, Int32.self)
        case (.smallint, .double): return convert(Int16.self, Double.self) { Double($0) }
        case (.integer, .double): return convert(Int32.self, Double.self) { Double($0) }
        case (.bigint, .double): return convert(Int64.self, Double.self) { Double($0) }
        case (.smallint, .real): return convert(Int16.self, Float.self) { Float($0) }
        case (.integer, .real): return convert(Int32.self, Float.self) { Float($0) }
        case (.bigint, .real): return convert(Int64.self, Float.self) { Float($0) }
        case (.real, .double): return convert(Float.self, Double.self) { Double($0) }
        case (.double, .smallint): return round(Double.self, Int16.self)
        case (.double, .integer): return round(Double.self, Int32.self)
        case (.double, .bigint): return round(Double.self, Int64.self)
        case (.real, .smallint): return round(Float.self, Int16.self)
        case (.real, .integer): return round(Float.self, Int32.self)
        case (.real, .bigint): return round(Float.self, Int64.self)
        case (.smallint, .numeric(precision: nil, scale: nil)): return decimal(Int16.self)
        case (.integer, .numeric(precision: nil, scale: nil)): return decimal(Int32.self)
        case (.bigint, .numeric(precision: nil, scale: nil)): return decimal(Int64.self)
        case (.numeric, .double): return doubles
        case (.smallint, .text): return texts(Int16.self)
        case (.integer, .text): return texts(Int32.self)
        case (.bigint, .text): return texts(Int64.self)
        case (.timestamp, .timestamptz), (.timestamptz, .timestamp):
            return { node, column, frame in
                frame.context.zone.isUTC ? column.relabelled(node.to) : node.rows(column, frame)
            }
        case (.date, .timestamp): return timestamps
        default: return nil
        }
    }

    /// `operation` for every row; rows for which `isSuspect` holds again by the scalar definition.
    @inline(__always)
    private static func checked<Source: BitwiseCopyable, Target: BitwiseCopyable>(
        _ node: CastNode, _ column: Column, _ frame: Frame, _: Source.Type, _: Target.Type,
        _ operation: (Source) -> Target, isSuspect: (Source) -> Bool
    ) -> Column {
        let count = frame.count
        let result = Column(node.to, capacity: count)
        result.count = count
        let values = column.values(Source.self)
        let answers = result.values(Target.self)
        var suspects: UInt8 = 0
        for row in 0..<count {
            suspects |= isSuspect(values[row]) ? 1 : 0
            answers[row] = operation(values[row])
        }
        result.finishStrict([Vector(column)])
        if suspects != 0 {
            for row in 0..<count where !result.isNull(row) && isSuspect(values[row]) {
                node.settle(row, column, frame, into: result)
            }
        }
        return result
    }

    private static func convert<Source: BitwiseCopyable, Target: BitwiseCopyable>(
        _: Source.Type, _: Target.Type, _ operation: @escaping (Source) -> Target
    ) -> Conversion {
        { node, column, frame in
            checked(node, column, frame, Source.self, Target.self, operation) { _ in false }
        }
    }

    private static func widen<Source: FixedWidthInteger & BitwiseCopyable, Target: FixedWidthInteger & BitwiseCopyable>(
        _: Source.Type, _: Target.Type
    ) -> Conversion {
        { node, column, frame in
            checked(node, column, frame, Source.self, Target.self) {
                Target(truncatingIfNeeded: $0)
            } isSuspect: { _ in
                false
            }
        }
    }

    private static func narrow<Source: FixedWidthInteger & BitwiseCopyable, Target: FixedWidthInteger & BitwiseCopyable>(
        _: Source.Type, _: Target.Type
    ) -> Conversion {
        { node, column, frame in
            checked(node, column, frame, Source.self, Target.self) {
                Target(truncatingIfNeeded: $0)
            } isSuspect: {
                Source(truncatingIfNeeded: Target(truncatingIfNeeded: $0)) != $0
            }
        }
    }

    /// Half to even, as PostgreSQL's rint.
    private static func round<Source: BinaryFloatingPoint & BitwiseCopyable, Target: FixedWidthInteger & BitwiseCopyable>(
        _: Source.Type, _: Target.Type
    ) -> Conversion {
        // Both bounds are powers of two, hence exact.
        let low = Source(sign: .minus, exponent: Source.Exponent(Target.bitWidth - 1), significand: 1)
        let high = -low
        return { node, column, frame in
            checked(node, column, frame, Source.self, Target.self) {
                let rounded = $0.rounded(.toNearestOrEven)
                return rounded >= low && rounded < high ? Target(rounded) : 0
            } isSuspect: {
                let rounded = $0.rounded(.toNearestOrEven)
                return !(rounded >= low && rounded < high)
            }
        }
    }

    private static func decimal<Source: FixedWidthInteger & BitwiseCopyable>(_: Source.Type) -> Conversion {
        { node, column, frame in
            let result = checked(node, column, frame, Source.self, Int128.self) {
                Int128($0)
            } isSuspect: { _ in
                false
            }
            result.scales?.update(repeating: 0, count: frame.count)
            return result
        }
    }

    private static var doubles: Conversion {
        { node, column, frame in
            let count = frame.count
            let result = Column(node.to, capacity: count)
            result.count = count
            for row in 0..<count {
                let value = column.decimal(row)
                let isSmall = !value.isSpecial && value.coefficient.magnitude < 1 << 53 && value.scale <= 22
                if isSmall {
                    // Both exact in binary: one correctly rounded division.
                    result.doubles[row] = Double(Int64(truncatingIfNeeded: value.coefficient)) / powers[Int(value.scale)]
                } else if column.isNull(row) {
                    result.doubles[row] = 0
                } else {
                    node.settle(row, column, frame, into: result)
                }
            }
            result.finishStrict([Vector(column)])
            return result
        }
    }

    /// 10^0 … 10^22, the powers of ten that a Double holds exactly.
    private static let powers: [Double] = (0...22).map { exponent in
        (0..<exponent).reduce(1.0) { power, _ in power * 10 }
    }

    private static func texts<Source: FixedWidthInteger & BitwiseCopyable>(_: Source.Type) -> Conversion {
        { node, column, frame in
            let count = frame.count
            let result = Column(node.to, capacity: count)
            result.count = count
            let values = column.values(Source.self)
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 24) { buffer in
                guard let start = buffer.baseAddress else { return }
                for row in 0..<count {
                    var at = 24
                    var rest = UInt64(values[row].magnitude)
                    repeat {
                        at &-= 1
                        let (tens, digit) = rest.quotientAndRemainder(dividingBy: 10)
                        start[at] = 0x30 &+ UInt8(truncatingIfNeeded: digit)
                        rest = tens
                    } while rest != 0
                    if values[row] < 0 {
                        at &-= 1
                        start[at] = UInt8(ascii: "-")
                    }
                    result.views[row] = result.store(UnsafeBufferPointer(start: start + at, count: 24 &- at))
                }
            }
            result.finishStrict([Vector(column)])
            return result
        }
    }

    /// Midnight of the day; infinities and days outside of a timestamp's range by the scalar definition.
    private static var timestamps: Conversion {
        { node, column, frame in
            let last = Int32(Int64.max / Calendar.microsPerDay - 1)
            return checked(node, column, frame, Int32.self, Int64.self) {
                Int64($0) &* Calendar.microsPerDay
            } isSuspect: {
                $0 < Calendar.dateMin || $0 > last
            }
        }
    }
}

extension Column {
    /// The same values under another type of the same physical type.
    func relabelled(_ type: DataType) -> Column {
        let result = Column(type, capacity: count)
        result.append(rowsOf: self, from: 0, count: count)
        return result
    }
}
