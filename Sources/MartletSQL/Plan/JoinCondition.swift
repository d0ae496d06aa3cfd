package import MartletCore

/// A join's condition taken apart: what is equal on both sides, how far apart event times may be, and the rest.
package struct JoinCondition: Sendable {
    /// Equal pairs: over the left side's columns, and over the right side's own.
    package private(set) var keys: [(left: Expression, right: Expression)] = []
    /// What else must hold, over both sides' columns.
    package private(set) var rest: [Expression] = []
    private let leftWidth: Int
    /// By pair of columns: the right one minus the left one lies between these (microseconds).
    private var distances: [Pair: (low: Int64, high: Int64)] = [:]
    private var order: [Pair] = []

    private struct Pair: Hashable {
        var left: Int
        var right: Int
    }

    package init(_ condition: Expression, leftWidth: Int) {
        self.leftWidth = leftWidth
        for conjunct in Optimiser.conjuncts(condition) {
            if case .literal(.boolean(true), _) = conjunct { continue }
            note(conjunct)
            if let key = key(conjunct) { keys.append(key) } else { rest.append(conjunct) }
        }
    }

    private func key(_ conjunct: Expression) -> (left: Expression, right: Expression)? {
        guard case .call(.equal, let operands, _) = conjunct, operands.count == 2,
            operands[0].type.withoutModifiers == operands[1].type.withoutModifiers
        else { return nil }
        let width = leftWidth
        func isLeft(_ expression: Expression) -> Bool { expression.columns.allSatisfy { $0 < width } && !expression.columns.isEmpty }
        func isRight(_ expression: Expression) -> Bool { expression.columns.allSatisfy { $0 >= width } && !expression.columns.isEmpty }
        if isLeft(operands[0]), isRight(operands[1]) { return (operands[0], operands[1].renumbered { $0 - width }) }
        if isLeft(operands[1]), isRight(operands[0]) { return (operands[1], operands[0].renumbered { $0 - width }) }
        return nil
    }

    // MARK: Time

    /// A column moved by a constant distance.
    private struct Moved {
        var column: Int
        var low: Int64
        var high: Int64
    }

    private static let far = Int64.max / 4

    /// `column`, `column + interval`, `column - interval`. Days of a TIMESTAMPTZ may be an hour or two shorter or longer.
    private static func moved(_ expression: Expression) -> Moved? {
        switch expression {
        case .column(let ordinal, let type) where type == .timestamp || type == .timestamptz: return Moved(column: ordinal, low: 0, high: 0)
        case .call(let function, let operands, let type) where (function == .add || function == .subtract) && operands.count == 2:
            var (operand, distance) = (operands[0], operands[1])
            if function == .add, operand.type == .interval { swap(&operand, &distance) }
            guard case .literal(.interval(let interval), _) = distance, let micros = interval.fixedMicros, let inner = moved(operand),
                micros.magnitude < UInt64(far / 4)
            else { return nil }
            let spare = type == .timestamptz ? Int64(interval.days.magnitude) * 7_200_000_000 : 0
            let signed = function == .add ? micros : -micros
            return Moved(column: inner.column, low: inner.low + signed - spare, high: inner.high + signed + spare)
        default: return nil
        }
    }

    private mutating func note(_ conjunct: Expression) {
        guard case .call(let function, let operands, _) = conjunct, operands.count == 2,
            operands[0].type.withoutModifiers == operands[1].type.withoutModifiers,
            let first = Self.moved(operands[0]), let second = Self.moved(operands[1])
        else { return }
        let isSwapped = first.column >= leftWidth
        guard (second.column >= leftWidth) != isSwapped else { return }
        let (left, right) = isSwapped ? (second, first) : (first, second)
        // left + l ≤ right + r  ⇔  right − left ≥ l − r.
        let low = left.low - right.high
        let high = left.high - right.low
        let isLess = [ScalarFunction.less, .lessOrEqual].contains(function)
        let isGreater = [ScalarFunction.greater, .greaterOrEqual].contains(function)
        let pair = Pair(left: left.column, right: right.column - leftWidth)
        if distances[pair] == nil { order.append(pair) }
        var distance = distances[pair] ?? (-Self.far, Self.far)
        if function == .equal || (isSwapped ? isGreater : isLess) { distance.low = max(distance.low, low) }
        if function == .equal || (isSwapped ? isLess : isGreater) { distance.high = min(distance.high, high) }
        distances[pair] = distance
    }

    /// How far the event times of matching rows may be apart, where the condition says so for a pair of columns that carry
    /// event time: then rows can be forgotten, and what has no match is known to have none.
    package struct TimeBound: Sendable {
        package var left: Int
        package var right: Int
        /// Right minus left, microseconds.
        package var low: Int64
        package var high: Int64
    }

    /// The bounds among the given columns of each side, the narrowest first.
    package func bounds(_ lefts: Set<Int>, _ rights: Set<Int>) -> [TimeBound] {
        var found: [TimeBound] = []
        for pair in order where lefts.contains(pair.left) && rights.contains(pair.right) {
            guard let (low, high) = distances[pair], low > -Self.far, high < Self.far else { continue }
            let place = found.firstIndex { $0.high - $0.low > high - low } ?? found.count
            found.insert(TimeBound(left: pair.left, right: pair.right, low: low, high: high), at: place)
        }
        return found
    }

    /// The narrowest bound.
    package func bound(_ lefts: Set<Int>, _ rights: Set<Int>) -> TimeBound? { bounds(lefts, rights).first }
}
