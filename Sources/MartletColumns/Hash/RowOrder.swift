internal import CMartletVector
internal import MartletCore

/// Equality and order of single rows, as keys and ORDER BY need them. For whole columns there are the comparison kernels.
extension Column {
    /// "Not distinct": NULL equals NULL, NaN equals NaN, -0.0 equals 0.0, 1.0 equals 1.00.
    package func equals(_ row: Int, _ other: Column, _ otherRow: Int) -> Bool {
        let isNull = isNull(row)
        if isNull || other.isNull(otherRow) { return isNull == other.isNull(otherRow) }
        switch physical {
        case .bool: return bools[row] == other.bools[otherRow]
        case .int16: return int16s[row] == other.int16s[otherRow]
        case .int32: return int32s[row] == other.int32s[otherRow]
        case .int64: return int64s[row] == other.int64s[otherRow]
        case .float: return Float.areSame(floats[row], other.floats[otherRow])
        case .double: return Double.areSame(doubles[row], other.doubles[otherRow])
        case .decimal: return decimal(row) == other.decimal(otherRow)
        case .view:
            return StringView.areEqual(views[row], other.views[otherRow], as: type)
        case .interval: return intervals[row] == other.intervals[otherRow]
        case .uuid: return uuids[row] == other.uuids[otherRow]
        }
    }

    /// Brings a row's value into the cache.
    @inline(__always)
    package func prefetch(_ row: Int) { martlet_prefetch(data + row &* physical.stride) }

    /// Ascending order, NULL last: negative, 0, positive. Documents go through Core's order of jsonb.
    package func compare(_ row: Int, _ other: Column, _ otherRow: Int) -> Int {
        let isNull = isNull(row)
        if isNull || other.isNull(otherRow) { return (isNull ? 1 : 0) - (other.isNull(otherRow) ? 1 : 0) }
        switch physical {
        case .bool: return Int(bools[row]) - Int(other.bools[otherRow])
        case .int16: return order(int16s[row], other.int16s[otherRow])
        case .int32: return order(int32s[row], other.int32s[otherRow])
        case .int64: return order(int64s[row], other.int64s[otherRow])
        case .float: return Double.order(Double(floats[row]), Double(other.floats[otherRow]))
        case .double: return Double.order(doubles[row], other.doubles[otherRow])
        case .decimal: return order(decimal(row), other.decimal(otherRow))
        case .view:
            return type == .jsonb || type.isNested
                ? Value.compare(value(at: row), other.value(at: otherRow))
                : Int(StringView.compare(views[row], other.views[otherRow]))
        case .interval: return order(intervals[row], other.intervals[otherRow])
        case .uuid: return order(uuids[row], other.uuids[otherRow])
        }
    }
}

@inline(__always)
private func order<Element: Comparable>(_ left: Element, _ right: Element) -> Int {
    left < right ? -1 : (left == right ? 0 : 1)
}

extension BinaryFloatingPoint {
    /// Equal as SQL has it: NaN equals NaN.
    @inline(__always)
    static func areSame(_ left: Self, _ right: Self) -> Bool {
        left == right || (left.isNaN && right.isNaN)
    }
}

extension Double {
    /// SQL's order: NaN above everything and equal to itself.
    static func order(_ left: Double, _ right: Double) -> Int {
        if left < right { return -1 }
        if left > right { return 1 }
        return (left.isNaN ? 1 : 0) - (right.isNaN ? 1 : 0)
    }
}
