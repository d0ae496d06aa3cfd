internal import MartletCore

/// The order of inner joins: small inputs first, and no pairs of everything with everything where conditions connect the inputs in
/// another order.
///
/// How large a relation is, is known for queries (`CatalogReader.rowCount`), and not when a plan is made that lives on; how much a
/// filter, an aggregation or a list of constants makes smaller is guessed. A guess alone moves nothing where conditions other than equalities stand between inputs: those may be
/// what lets rows of event time be forgotten, which depends on who is joined with whom.
struct JoinOrder {
    /// Of tables and views, by name; nil: unknown.
    let rowCount: (String) -> Int?

    func ordered(_ plan: Plan) -> Plan {
        guard case .join(_, _, .inner, _, let fields) = plan else { return plan.mapInputs(ordered) }
        var joins = Joins(size: size)
        joins.take(plan)
        joins.inputs = joins.inputs.map(ordered)
        let given = Array(joins.inputs.indices)
        var order = joins.inputs.count > 2 ? joins.better() ?? given : given
        // On the right, constants let the left rows pass without being kept.
        if joins.inputs[order[0]].isConstant, !joins.inputs[order[1]].isConstant { order.swapAt(0, 1) }
        return order == given ? plan.mapInputs(ordered) : joins.plan(order, fields)
    }

    /// A tree of inner joins taken apart.
    private struct Joins {
        let size: (Plan) -> Double
        var inputs: [Plan] = []
        /// Over the columns of all inputs, one behind the other.
        private var conditions: [Expression] = []
        /// The first column of each input.
        private var starts: [Int] = []
        private var width = 0
        /// Some join has no equality.
        private var hasProduct = false

        init(size: @escaping (Plan) -> Double) { self.size = size }

        mutating func take(_ plan: Plan) {
            guard case .join(let left, let right, .inner, let condition, _) = plan else {
                inputs.append(plan)
                starts.append(width)
                width += plan.fields.count
                return
            }
            let start = width
            take(left)
            take(right)
            if JoinCondition(condition, leftWidth: left.fields.count).keys.isEmpty { hasProduct = true }
            conditions += Optimiser.conjuncts(condition).filter { $0 != .literal(.boolean(true), .boolean) }.map { conjunct in
                conjunct.renumbered { $0 + start }
            }
        }

        private func input(of column: Int) -> Int { (starts.lastIndex { $0 <= column }) ?? 0 }

        private func inputs(of condition: Expression) -> Set<Int> { Set(condition.columns.map { input(of: $0) }) }

        /// Whether an equality has one side over `known` inputs and the other over `next` alone.
        private func isConnected(_ next: Int, to known: Set<Int>) -> Bool {
            conditions.contains { condition in
                guard case .call(.equal, let operands, _) = condition, operands.count == 2 else { return false }
                let (first, second) = (inputs(of: operands[0]), inputs(of: operands[1]))
                return first == [next] && !second.isEmpty && second.isSubset(of: known)
                    || second == [next] && !first.isEmpty && first.isSubset(of: known)
            }
        }

        /// An order that is better than the one given; nil: there is none.
        func better() -> [Int]? {
            let sizes = inputs.map(size)
            let areEqualities = conditions.allSatisfy { condition in
                if case .call(.equal, _, _) = condition { return true }
                return inputs(of: condition).count < 2
            }
            guard hasProduct || areEqualities else { return nil }
            let all = Array(inputs.indices)
            // As far as guesses may decide, the smallest comes first.
            let first = areEqualities ? all.min { sizes[$0] < sizes[$1] } ?? 0 : 0
            var order = [first]
            var known: Set<Int> = [first]
            while order.count < all.count {
                let left = all.filter { !known.contains($0) }
                let connected = left.filter { isConnected($0, to: known) }
                let choice = connected.isEmpty ? left : connected
                guard let next = areEqualities ? choice.min(by: { sizes[$0] < sizes[$1] }) : choice.first else { break }
                order.append(next)
                known.insert(next)
            }
            if order == all { return nil }
            // Without a product to avoid there must be something to gain.
            let isGuessed = sizes[order[0]] * 10 <= sizes[0] || sizes[order[1]] * 10 <= sizes[1]
            return hasProduct && products(order) < products(all) || areEqualities && isGuessed && products(order) <= products(all) ? order : nil
        }

        /// How many joins of an order have no equality.
        private func products(_ order: [Int]) -> Int {
            order.indices.dropFirst().count { !isConnected(order[$0], to: Set(order[..<$0])) }
        }

        /// The joins in an order, one input after the other, with the columns as they were.
        func plan(_ order: [Int], _ fields: [Field]) -> Plan {
            var places: [Int: Int] = [:]
            var open = conditions
            var result = inputs[order[0]]
            func place(_ input: Int, at start: Int) {
                for column in 0..<inputs[input].fields.count { places[starts[input] + column] = start + column }
            }
            place(order[0], at: 0)
            for next in order.dropFirst() {
                place(next, at: result.fields.count)
                let ready = open.filter { $0.columns.allSatisfy { places[$0] != nil } }
                open.removeAll { $0.columns.allSatisfy { places[$0] != nil } }
                let moved = ready.map { $0.renumbered { places[$0] ?? 0 } }
                result = .join(result, inputs[next], .inner, condition: Simplifier.and(moved), fields: result.fields + inputs[next].fields)
            }
            return .project(result, fields.indices.map { .column(places[$0] ?? 0, fields[$0].type) }, fields)
        }
    }

    /// A guess at the number of rows.
    private func size(_ plan: Plan) -> Double {
        switch plan {
        case .values(let rows, _): return Double(rows.count)
        case .relation(let name, _), .view(let name, _):
            // As many as there are now is the best guess of how many there were.
            return rowCount(PastRelation(name: name)?.relation ?? name).map(Double.init) ?? 1_000_000
        case .source, .recursive: return 1_000_000
        case .filter(let input, let condition):
            return Optimiser.conjuncts(condition).reduce(size(input)) { size, conjunct in
                if case .call(.equal, _, _) = conjunct { return size / 20 }
                return size / 3
            }
        case .aggregate(let input, let keys, _, _, _): return keys.isEmpty ? 1 : size(input) / 10
        case .over(let input, _, _, _, let limit, _): return limit == nil ? size(input) : size(input) / 10
        case .join(let left, let right, let type, _, _):
            return type == .semi || type == .anti ? size(left) / 2 : max(size(left), size(right))
        case .unionAll(let inputs, _): return inputs.reduce(0) { $0 + size($1) }
        case .project(let input, _, _), .window(let input, _, _, _), .session(let input, _, _, _), .temporal(let input, _, _),
            .repeated(let input, _), .unnested(let input, _, _, _, _), .lookup(let input, _, _, _, _), .changelog(let input, _, _),
            .stamped(let input, _), .emitOnWindowClose(let input):
            return size(input)
        }
    }
}
