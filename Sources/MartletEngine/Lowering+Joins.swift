internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletSQL
internal import MartletState

// MARK: Joins, and rows that are valid for a time

extension Lowering {
    /// Ends the life of rows as a source's own: they are counted, and with a time column, late ones refused. `keepsTimeless`: rows
    /// without a time count as well.
    mutating func admit(_ lowered: inout Lowered, time: Int?, keepsTimeless: Bool = false, view: Int) {
        guard lowered.isSourceRows else { return }
        lowered.isSourceRows = false
        guard let time, let watermark = lowered.watermarks[time] else {
            lowered.node = graph.addOperator("count", inputs: [lowered.node]) { ViewExit(view: view, context: $0) }
            lowered.watermarks = [:]
            return
        }
        let lateness = Lowering.sum(lowered.lateness, watermark.delay)
        keepUpdatesWhole(&lowered, LateUpdates.Judge(time: time, allowedLateness: lateness, shape: nil), view: view)
        lowered.node = graph.addOperator("refuse late rows", inputs: [lowered.node]) {
            AdmitInTime(time: time, allowedLateness: lateness, keepsTimeless: keepsTimeless, view: view, context: $0)
        }
        // A row may be admitted by a time that runs behind others of its times.
        let (own, slack) = (lowered.lateness, max(lateness, lowered.lateness))
        lowered.watermarks = Dictionary(uniqueKeysWithValues: lowered.watermarks.map { ($0.key, $0.value.later(by: $0.key == time ? own : slack)) })
        lowered.lateness = 0
    }

    /// In front of what refuses rows one by one: changes of a table are late as a whole, by its key.
    mutating func keepUpdatesWhole(_ lowered: inout Lowered, _ judge: LateUpdates.Judge, view: Int) {
        guard lowered.isKeyed else { return }
        lowered.isKeyed = false
        lowered.node = graph.addOperator("keep updates whole", inputs: [lowered.node]) { LateUpdates(judge, view: view, context: $0) }
    }

    mutating func lowerJoin(
        _ left: Plan, _ right: Plan, _ type: JoinType, _ condition: Expression, _ fields: [Field], view: Int, onClose: Bool
    ) throws(SQLError) -> Lowered {
        var lefts = try lower(left, view: view, onClose: onClose)
        if right.isConstant, lefts.isAppendOnly, type == .inner || type == .left {
            return try lowerConstantJoin(lefts, right, type, condition, fields, view: view, onClose: onClose)
        }
        var rights = try lower(right, view: view, onClose: onClose)
        let parts = JoinCondition(condition, leftWidth: lefts.fields.count)
        let bounds = parts.bounds(Set(lefts.watermarks.keys), Set(rights.watermarks.keys))
        // Rows without a time match nothing, and come out where those without a match do.
        let kind = JoinKind(type)
        admit(&lefts, time: bounds.first?.left, keepsTimeless: kind.emitsLonelyLeft, view: view)
        admit(&rights, time: bounds.first?.right, keepsTimeless: kind.emitsLonelyRight, view: view)

        let width = lefts.fields.count
        let sides = keyedSides(lefts, rights, condition, view: view)
        let (leftInput, leftKeys, rightInput, rightKeys) = (sides.left, sides.leftKeys, sides.right, sides.rightKeys)
        let isAppendOnly = lefts.isAppendOnly && rights.isAppendOnly
        let waits = isAppendOnly && !bounds.isEmpty
        let layout = JoinLayout(
            kind: kind,
            left: JoinLayout.Side(
                types: leftInput.fields.map(\.type), keys: leftKeys, isChanging: !lefts.isAppendOnly,
                time: bounds.first.map { Lowering.bound($0.left, reach: $0.high, rights.watermarks[$0.right]) }),
            right: JoinLayout.Side(
                types: rightInput.fields.map(\.type), keys: rightKeys, isChanging: !rights.isAppendOnly,
                time: bounds.first.map { Lowering.bound($0.right, reach: -$0.low, lefts.watermarks[$0.left]) }),
            condition: sides.residual, waitsForTime: waits)
        let node = graph.addOperator(
            "join", inputs: [
                graph.addExchange(leftInput.node, keys: leftKeys), graph.addExchange(rightInput.node, keys: rightKeys),
            ]
        ) { (context) throws(SQLError) in try Join(layout, view: view, context: context) }

        var joined = Lowered(
            node: node, fields: leftInput.fields + rightInput.fields, watermarks: [:], isSourceRows: false,
            isAppendOnly: isAppendOnly && (type == .inner || type == .semi || waits), lateness: 0)
        for bound in bounds {
            guard let first = lefts.watermarks[bound.left], let second = rights.watermarks[bound.right] else { continue }
            var times = (left: first.later(than: second, by: bound.high), right: second.later(than: first, by: -bound.low))
            if type == .right || type == .full { times.left.isOptional = true }
            if type == .left || type == .full { times.right.isOptional = true }
            joined.watermarks[bound.left] = times.left
            joined.watermarks[leftInput.fields.count + bound.right] = times.right
        }
        let isLeftOnly = type == .semi || type == .anti
        if isLeftOnly {
            joined.fields = leftInput.fields
            joined.watermarks = joined.watermarks.filter { $0.key < width }
        }
        return sides.withoutKeys(joined, fields, isLeftOnly: isLeftOnly, view: view, in: &self)
    }

    /// A join with rows that never change: each shard has them all, so that the left rows stay where they are, and none is kept.
    private mutating func lowerConstantJoin(
        _ left: Lowered, _ right: Plan, _ type: JoinType, _ condition: Expression, _ fields: [Field], view: Int, onClose: Bool
    ) throws(SQLError) -> Lowered {
        var lefts = left
        settle(&lefts, view: view, onClose: onClose)
        repeatsConstants = true
        defer { repeatsConstants = false }
        let rights = try lower(right, view: view, onClose: onClose)
        let sides = keyedSides(lefts, rights, condition, view: view)
        let layout = JoinLayout(
            kind: JoinKind(type),
            left: JoinLayout.Side(types: sides.left.fields.map(\.type), keys: sides.leftKeys, isChanging: false, time: nil),
            right: JoinLayout.Side(types: sides.right.fields.map(\.type), keys: sides.rightKeys, isChanging: false, time: nil),
            condition: sides.residual, waitsForTime: false, isLookup: true, isReplicated: true)
        let node = graph.addOperator("join constants", inputs: [sides.left.node, sides.right.node]) { (context) throws(SQLError) in
            try Join(layout, view: view, context: context)
        }
        let joined = Lowered(
            node: node, fields: sides.left.fields + sides.right.fields, watermarks: lefts.watermarks, isSourceRows: false,
            isAppendOnly: true, lateness: 0)
        return sides.withoutKeys(joined, fields, view: view, in: &self)
    }

    /// Both inputs of a join with their keys as columns.
    struct KeyedSides {
        var left: Lowered
        var leftKeys: [Int]
        var right: Lowered
        var rightKeys: [Int]
        /// What is left of the condition, over both sides' columns.
        var residual: Expression?
        var width: Int
        var rightWidth: Int

        /// The join's result without the columns that were added for the keys.
        func withoutKeys(
            _ given: Lowered, _ fields: [Field], isLeftOnly: Bool = false, view: Int, in lowering: inout Lowering
        ) -> Lowered {
            var joined = given
            let kept = Array(0..<width) + (isLeftOnly ? [] : Array(left.fields.count..<left.fields.count + rightWidth))
            if kept.count < joined.fields.count {
                joined = lowering.project(joined, kept.map { .column($0, joined.fields[$0].type) }, fields, view: view)
            }
            joined.fields = fields
            return joined
        }
    }

    /// `also`: a further expression of each side, whose place follows those of the keys.
    mutating func keyedSides(
        _ lefts: Lowered, _ rights: Lowered, _ condition: Expression, also: (left: Expression, right: Expression)? = nil, view: Int
    ) -> KeyedSides {
        let (width, rightWidth) = (lefts.fields.count, rights.fields.count)
        let parts = JoinCondition(condition, leftWidth: width)
        let (left, leftKeys) = keyed(lefts, parts.keys.map(\.left) + (also.map { [$0.left] } ?? []), view: view)
        let (right, rightKeys) = keyed(rights, parts.keys.map(\.right) + (also.map { [$0.right] } ?? []), view: view)
        let shift = left.fields.count - width
        let rest = parts.rest.map { $0.renumbered { $0 < width ? $0 : $0 + shift } }
        return KeyedSides(
            left: left, leftKeys: leftKeys, right: right, rightKeys: rightKeys,
            residual: rest.isEmpty ? nil : rest.count == 1 ? rest[0] : .and(rest), width: width, rightWidth: rightWidth)
    }

    /// The input with its key expressions as columns, and where they lie.
    private mutating func keyed(_ input: Lowered, _ keys: [Expression], view: Int) -> (Lowered, [Int]) {
        var expressions = input.fields.enumerated().map { Expression.column($0.offset, $0.element.type) }
        var places: [Int] = []
        for key in keys {
            let known = key.column ?? expressions.firstIndex(of: key)
            places.append(known ?? expressions.count)
            if known == nil { expressions.append(key) }
        }
        if expressions.count == input.fields.count { return (input, places) }
        let names = input.fields + expressions.dropFirst(input.fields.count).map { Field(name: "", type: $0.type) }
        return (project(input, expressions, names, view: view), places)
    }

    private static func bound(_ column: Int, reach: Int64, _ other: ColumnWatermark?) -> JoinLayout.TimeBound {
        JoinLayout.TimeBound(column: column, reach: reach, delay: other?.delay ?? .max, isExclusive: other?.isExclusive ?? false)
    }

    // MARK: The clock, and repetition

    mutating func lowerTemporal(
        _ input: Plan, from: Expression?, until: Expression?, view: Int, onClose: Bool
    ) throws(SQLError) -> Lowered {
        var below = try lower(input, view: view, onClose: onClose)
        admit(&below, time: nil, view: view)
        let fields = below.fields
        let own = fields.enumerated().map { Expression.column($0.offset, $0.element.type) }
        let span = [
            from ?? .literal(.timestamptz(.min), .timestamptz), until ?? .literal(.timestamptz(.max), .timestamptz),
        ]
        let names = fields + [Field(name: "", type: .timestamptz), Field(name: "", type: .timestamptz)]
        let projected = project(below, own + span, names, view: view)
        let types = names.map(\.type)
        // Where identical rows meet, so that a deletion finds its row.
        let exchanged = graph.addExchange(projected.node, keys: Array(fields.indices))
        let clock = graph.clock
        let node = graph.addOperator("valid", inputs: [exchanged]) { _ in TemporalFilter(types: types, clock: clock) }
        return Lowered(
            node: node, fields: fields, watermarks: [:], isSourceRows: false, isAppendOnly: below.isAppendOnly && until == nil,
            lateness: 0)
    }

    mutating func lowerRepeated(_ input: Plan, _ times: Expression, view: Int, onClose: Bool) throws(SQLError) -> Lowered {
        let below = try lower(input, view: view, onClose: onClose)
        let fields = below.fields
        let own = fields.enumerated().map { Expression.column($0.offset, $0.element.type) }
        var repeated = project(below, own + [times], fields + [Field(name: "", type: .bigint)], view: view)
        let place = fields.count
        repeated.node = graph.addOperator("repeat", inputs: [repeated.node]) { _ in Repeat(times: place) }
        return project(repeated, own, fields, view: view)
    }
}

extension JoinKind {
    init(_ type: JoinType) {
        self =
            switch type {
            case .inner: .inner
            case .left: .left
            case .right: .right
            case .full: .full
            case .semi: .semi
            case .anti: .anti
            }
    }
}

extension ColumnWatermark {
    /// The column behind a join, whose rows wait for ones of the other side that may be later by `reach`.
    func later(than other: ColumnWatermark, by reach: Int64) -> ColumnWatermark {
        let (sum, overflow) = other.delay.addingReportingOverflow(reach)
        return ColumnWatermark(
            delay: max(delay, overflow ? .max : sum), isExclusive: isExclusive && other.isExclusive && reach == 0, isOptional: isOptional)
    }
}
