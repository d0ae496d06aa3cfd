internal import MartletCore

/// NUMERIC: coefficients that fit into 64 bits are added and multiplied as integers, everything else by `Decimal`.
extension Kernels {
    static func decimals(_ function: ScalarFunction) -> Kernel? {
        switch function {
        case .add, .subtract: return sums(isDifference: function == .subtract)
        case .multiply: return products
        case .divide, .modulo: return { call, arguments, frame in decimalRows(call, arguments, frame) }
        default: return nil
        }
    }

    @inline(__always)
    private static func fits(_ coefficient: Int128) -> Bool {
        coefficient == Int128(Int64(truncatingIfNeeded: coefficient))
    }

    private static func sums(isDifference: Bool) -> Kernel {
        { call, arguments, frame in
            plain(call, arguments, frame) { a, aScale, b, bScale in
                // Two 64-bit numbers of one scale: no overflow, no rounding.
                guard aScale == bScale, aScale <= Decimal.scaleMax, fits(a), fits(b) else { return nil }
                return (isDifference ? a &- b : a &+ b, aScale)
            }
        }
    }

    private static var products: Kernel {
        { call, arguments, frame in
            plain(call, arguments, frame) { a, aScale, b, bScale in
                // |product| ≤ 2^126 < 10^38.
                guard aScale <= Decimal.scaleMax, bScale <= Decimal.scaleMax, aScale &+ bScale <= Decimal.scaleMax,
                    fits(a), fits(b)
                else { return nil }
                return (a &* b, aScale &+ bScale)
            }
        }
    }

    /// `operation` for each row, or by `Decimal` where it answers nil.
    @inline(__always)
    private static func plain(
        _ call: Call, _ arguments: [Vector], _ frame: Frame,
        _ operation: (Int128, UInt8, Int128, UInt8) -> (Int128, UInt8)?
    ) -> Column {
        let count = frame.count
        let result = Column(call.result, capacity: count)
        result.count = count
        let (first, second) = (arguments[0], arguments[1])
        guard let leftScales = first.column.scales, let rightScales = second.column.scales, let scales = result.scales
        else { return result }
        let left = first.column.coefficients
        let right = second.column.coefficients
        let answers = result.coefficients
        let leftStep = first.isConstant ? 0 : 1
        let rightStep = second.isConstant ? 0 : 1
        for row in 0..<count {
            let (l, r) = (row &* leftStep, row &* rightStep)
            if let (coefficient, scale) = operation(left[l], leftScales[l], right[r], rightScales[r]) {
                answers[row] = coefficient
                scales[row] = scale
            } else if first.isNull(row) || second.isNull(row) {
                answers[row] = 0
                scales[row] = 0
            } else {
                settle(row, call, first.column.decimal(l), second.column.decimal(r), frame, result)
            }
        }
        // Errors have made NULLs, which stay.
        result.finishStrict(arguments)
        return result
    }

    private static func decimalRows(_ call: Call, _ arguments: [Vector], _ frame: Frame) -> Column {
        plain(call, arguments, frame) { _, _, _, _ in nil }
    }

    private static func settle(
        _ row: Int, _ call: Call, _ left: Decimal, _ right: Decimal, _ frame: Frame, _ result: Column
    ) {
        do throws(SQLError) {
            let answer =
                switch call.function {
                case .add: try left.adding(right)
                case .subtract: try left.subtracting(right)
                case .multiply: try left.multiplied(by: right)
                case .divide: try left.divided(by: right)
                default: try left.remainder(dividingBy: right)
                }
            result.setDecimal(row, answer)
        } catch {
            frame.fail(row, error)
            result.setNull(row)
        }
    }
}
