internal import MartletColumns
internal import MartletCore
internal import MartletDataflow
internal import MartletSQL
internal import MartletState

// MARK: Rows made of rows: elements of arrays, changes, the clock, lookups

extension Lowering {
    /// Source rows in front of what multiplies or drops them: they are counted once, here. With EMIT ON WINDOW CLOSE late ones are
    /// refused, so that what is known about their times stays true.
    mutating func settle(_ lowered: inout Lowered, view: Int, onClose: Bool) {
        let time = onClose ? lowered.watermarks.min { ($0.value.delay, $0.key) < ($1.value.delay, $1.key) }?.key : nil
        admit(&lowered, time: time, view: view)
    }

    mutating func lowerUnnested(
        _ input: Plan, _ lists: [Expression], isOuter: Bool, hasOrdinality: Bool, _ fields: [Field], view: Int, onClose: Bool
    ) throws(SQLError) -> Lowered {
        var below = try lower(input, view: view, onClose: onClose)
        settle(&below, view: view, onClose: onClose)
        let width = below.fields.count
        let own = below.fields.enumerated().map { Expression.column($0.offset, $0.element.type) }
        var kinds: [Unnest.List] = []
        var parts: [Expression] = []
        for list in lists {
            if case .call(.generateSeries, let arguments, _) = list {
                kinds.append(.series(arguments: arguments.count))
                parts += arguments
            } else {
                kinds.append(.array)
                parts.append(list)
            }
        }
        let named = below.fields + parts.map { Field(name: "", type: $0.type) }
        var unnested = project(below, own + parts, named, view: view)
        let elements = lists.map { $0.type.element ?? .text }
        let made = kinds
        unnested.node = graph.addOperator("unnest", inputs: [unnested.node]) {
            Unnest(
                width: width, lists: made, elements: elements, isOuter: isOuter, hasOrdinality: hasOrdinality, view: view, context: $0)
        }
        unnested.watermarks = below.watermarks
        unnested.fields = fields
        return unnested
    }

    mutating func lowerLookup(
        _ left: Plan, _ right: Plan, isOuter: Bool, _ condition: Expression, _ fields: [Field], view: Int, onClose: Bool
    ) throws(SQLError) -> Lowered {
        var lefts = try lower(left, view: view, onClose: onClose)
        var rights = try lower(right, view: view, onClose: onClose)
        settle(&lefts, view: view, onClose: onClose)
        admit(&rights, time: nil, view: view)
        let sides = keyedSides(lefts, rights, condition, view: view)
        let layout = JoinLayout(
            kind: isOuter ? .left : .inner,
            left: JoinLayout.Side(types: sides.left.fields.map(\.type), keys: sides.leftKeys, isChanging: false, time: nil),
            right: JoinLayout.Side(types: sides.right.fields.map(\.type), keys: sides.rightKeys, isChanging: true, time: nil),
            condition: sides.residual, waitsForTime: false, isLookup: true)
        let node = graph.addOperator(
            "look up", inputs: [
                graph.addExchange(sides.left.node, keys: sides.leftKeys), graph.addExchange(sides.right.node, keys: sides.rightKeys),
            ]
        ) { (context) throws(SQLError) in try Join(layout, view: view, context: context) }
        let joined = Lowered(
            node: node, fields: sides.left.fields + sides.right.fields, watermarks: lefts.watermarks, isSourceRows: false,
            isAppendOnly: true, lateness: 0)
        return sides.withoutKeys(joined, fields, view: view, in: &self)
    }

    mutating func lowerNearest(
        _ left: Plan, _ right: Plan, _ nearest: Nearest, isOuter: Bool, _ condition: Expression, _ fields: [Field], view: Int, onClose: Bool
    ) throws(SQLError) -> Lowered {
        var lefts = try lower(left, view: view, onClose: onClose)
        var rights = try lower(right, view: view, onClose: onClose)
        admit(&lefts, time: nil, view: view)
        admit(&rights, time: nil, view: view)
        let width = lefts.fields.count
        let sides = keyedSides(lefts, rights, condition, also: (nearest.left, nearest.right.renumbered { $0 - width }), view: view)
        func side(_ input: Lowered, _ places: [Int], _ isChanging: Bool) -> NearestJoin.Layout.Side {
            NearestJoin.Layout.Side(
                types: input.fields.map(\.type), keys: Array(places.dropLast()), by: places.last ?? 0, isChanging: isChanging)
        }
        let layout = NearestJoin.Layout(
            left: side(sides.left, sides.leftKeys, !lefts.isAppendOnly), right: side(sides.right, sides.rightKeys, !rights.isAppendOnly),
            isBackward: nearest.isBackward, isStrict: nearest.isStrict, isOuter: isOuter)
        let node = graph.addOperator(
            "join the nearest", inputs: [
                graph.addExchange(sides.left.node, keys: layout.left.keys), graph.addExchange(sides.right.node, keys: layout.right.keys),
            ]
        ) { _ in NearestJoin(layout) }
        let joined = Lowered(
            node: node, fields: sides.left.fields + sides.right.fields, watermarks: [:], isSourceRows: false, isAppendOnly: false, lateness: 0)
        return sides.withoutKeys(joined, fields, view: view, in: &self)
    }

    mutating func lowerChangelog(
        _ input: Plan, _ key: [Int], _ fields: [Field], view: Int, onClose: Bool
    ) throws(SQLError) -> Lowered {
        var below = try lower(input, view: view, onClose: onClose)
        admit(&below, time: nil, view: view)
        let meeting = key.isEmpty ? Array(below.fields.indices) : key
        let exchanged = graph.addExchange(below.node, keys: meeting)
        let node = graph.addOperator("changelog", inputs: [exchanged]) { Changelog(key: key, context: $0) }
        return Lowered(node: node, fields: fields, watermarks: [:], isSourceRows: false, isAppendOnly: true, lateness: 0)
    }

    mutating func lowerStamped(_ input: Plan, _ fields: [Field], view: Int, onClose: Bool) throws(SQLError) -> Lowered {
        var below = try lower(input, view: view, onClose: onClose)
        settle(&below, view: view, onClose: onClose)
        let clock = graph.clock
        below.node = graph.addOperator("stamp", inputs: [below.node]) { _ in Stamp(clock: clock) }
        below.fields = fields
        return below
    }
}
