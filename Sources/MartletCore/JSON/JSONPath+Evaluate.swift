extension JSONPath {
    /// The items that the path finds in `document`, in order. Without `variables` each of them is null. Errors as PostgreSQL reports them; lax paths have few.
    package func query(_ document: JSONNode, variables: JSONNode? = .object([])) throws(SQLError) -> [JSONNode] {
        try JSONPathEvaluator(root: document, variables: variables, isStrict: isStrict).items(expression, at: Place(document))
    }

    /// Where an expression is evaluated: what `@` is, and the last subscript of the array whose subscripts are.
    fileprivate struct Place {
        let current: JSONNode
        var last: Int?

        init(_ current: JSONNode) { self.current = current }
    }
}

private struct JSONPathEvaluator {
    let root: JSONNode
    let variables: JSONNode?
    let isStrict: Bool

    /// Items that a path finds at most.
    private static let itemsMax = 1 << 20

    func items(_ node: JSONPath.Node, at place: JSONPath.Place) throws(SQLError) -> [JSONNode] {
        switch node {
        case .root: return [root]
        case .current: return [place.current]
        case .literal(let value): return [value]
        case .last:
            guard let last = place.last else {
                throw SQLError(.syntaxError, "LAST is allowed only in array subscripts")
            }
            return [.number(String(last))]
        case .variable(let name):
            guard let variables else { return [.null] }
            guard let value = variables[key: name] else {
                throw SQLError(.undefinedObject, "could not find jsonpath variable \"\(name)\"")
            }
            return [value]
        case .steps(let base, let steps):
            var found = try items(base, at: place)
            for step in steps {
                var next: [JSONNode] = []
                for item in found { try apply(step, item, place, isUnwrapped: false, into: &next) }
                guard next.count <= Self.itemsMax else { throw SQLError(.programLimitExceeded, "too many items of a jsonpath") }
                found = next
            }
            return found
        case .arithmetic(let name, let left, let right):
            let a = try operand(left, name, "left", place)
            let b = try operand(right, name, "right", place)
            return [.number(try Self.calculate(name, a, b).text)]
        case .sign(let isMinus, let inner):
            var answers: [JSONNode] = []
            for item in try unwrapped(items(inner, at: place)) {
                guard case .number(let digits) = item, let value = Decimal(text: digits) else {
                    throw SQLError(.sqlJSONNumberNotFound, "operand of unary jsonpath operator \(isMinus ? "-" : "+") is not a numeric value")
                }
                answers.append(.number(isMinus ? value.negated.text : value.text))
            }
            return answers
        case .predicate(let predicate): return [try truth(predicate, place).map { .boolean($0) } ?? .null]
        }
    }

    /// In lax mode arrays stand for their elements where a step or an operator takes single items.
    private func unwrapped(_ items: [JSONNode]) -> [JSONNode] {
        if isStrict { return items }
        return items.flatMap { item in if case .array(let elements) = item { elements } else { [item] } }
    }

    private func operand(_ node: JSONPath.Node, _ name: String, _ side: String, _ place: JSONPath.Place) throws(SQLError) -> Decimal {
        let found = unwrapped(try items(node, at: place))
        guard found.count == 1, case .number(let digits) = found[0], let value = Decimal(text: digits) else {
            throw SQLError(
                .singletonSQLJSONItemRequired, "\(side) operand of jsonpath operator \(name) is not a single numeric value")
        }
        return value
    }

    private static func calculate(_ name: String, _ a: Decimal, _ b: Decimal) throws(SQLError) -> Decimal {
        let function: ScalarFunction
        switch name {
        case "+": function = .add
        case "-": function = .subtract
        case "*": function = .multiply
        case "/": function = .divide
        default: function = .modulo
        }
        guard case .numeric(let answer) = try function.evaluate([.numeric(a), .numeric(b)], result: .plainNumeric, context: .utc) else {
            throw SQLError.divisionByZero
        }
        return answer
    }

    // MARK: - Steps

    private func apply(
        _ step: JSONPath.Step, _ item: JSONNode, _ place: JSONPath.Place, isUnwrapped: Bool, into found: inout [JSONNode]
    ) throws(SQLError) {
        /// The step on each element of an array, once.
        func unwrap() throws(SQLError) -> Bool {
            guard !isStrict, !isUnwrapped, case .array(let elements) = item else { return false }
            for element in elements { try apply(step, element, place, isUnwrapped: true, into: &found) }
            return true
        }
        switch step {
        case .member(let name):
            if case .object = item {
                if let value = item[key: name] {
                    found.append(value)
                } else if isStrict {
                    throw SQLError(.sqlJSONMemberNotFound, "JSON object does not contain key \"\(name)\"")
                }
                return
            }
            if try unwrap() { return }
            if isStrict { throw SQLError(.sqlJSONMemberNotFound, "jsonpath member accessor can only be applied to an object") }
        case .anyMember:
            if case .object(let members) = item {
                found += members.map(\.value)
                return
            }
            if try unwrap() { return }
            if isStrict { throw SQLError(.sqlJSONObjectNotFound, "jsonpath wildcard member accessor can only be applied to an object") }
        case .descend(let from, let to): descend(item, 0, from, to, &found)
        case .anyElement:
            if case .array(let elements) = item {
                found += elements
            } else if isStrict {
                throw SQLError(.sqlJSONArrayNotFound, "jsonpath wildcard array accessor can only be applied to an array")
            } else {
                found.append(item)
            }
        case .elements(let subscripts): try elements(item, subscripts, place, &found)
        case .filter(let predicate):
            if try unwrap() { return }
            if try truth(predicate, JSONPath.Place(item)) == true { found.append(item) }
        case .method(let name): try method(name, item, isUnwrapped: isUnwrapped, place, &found)
        }
    }

    /// The item and what is inside of it, level by level; `from` without bound (`last`) takes the leaves alone.
    private func descend(_ item: JSONNode, _ depth: Int, _ from: Int, _ to: Int?, _ found: inout [JSONNode]) {
        if from == Int.max ? depth > 0 && !item.isContainer : depth >= from { found.append(item) }
        if let to, depth >= to { return }
        switch item {
        case .array(let elements): for element in elements { descend(element, depth + 1, from, to, &found) }
        case .object(let members): for member in members { descend(member.value, depth + 1, from, to, &found) }
        case .null, .boolean, .number, .string: break
        }
    }

    private func elements(
        _ item: JSONNode, _ subscripts: [JSONPath.Subscript], _ place: JSONPath.Place, _ found: inout [JSONNode]
    ) throws(SQLError) {
        let elements: [JSONNode]
        if case .array(let held) = item {
            elements = held
        } else if isStrict {
            throw SQLError(.sqlJSONArrayNotFound, "jsonpath array accessor can only be applied to an array")
        } else {
            elements = [item]
        }
        var inside = place
        inside.last = elements.count - 1
        for one in subscripts {
            let from = try index(one.from, inside)
            let to = try one.to.map { (node) throws(SQLError) in try index(node, inside) } ?? from
            if isStrict, from < 0 || from > to || to >= elements.count {
                throw SQLError(.invalidSQLJSONSubscript, "jsonpath array subscript is out of bounds")
            }
            let lower = max(from, 0)
            let upper = min(to, elements.count - 1)
            if lower <= upper { found += elements[lower...upper] }
        }
    }

    private func index(_ node: JSONPath.Node, _ place: JSONPath.Place) throws(SQLError) -> Int {
        let found = try items(node, at: place)
        guard found.count == 1, case .number(let digits) = found[0], let value = Decimal(text: digits) else {
            throw SQLError(.invalidSQLJSONSubscript, "jsonpath array subscript is not a single numeric value")
        }
        guard let whole = value.truncated(to: 0).int64, let index = Int32(exactly: whole) else {
            throw SQLError(.invalidSQLJSONSubscript, "jsonpath array subscript is out of integer range")
        }
        return Int(index)
    }

    private func method(
        _ name: String, _ item: JSONNode, isUnwrapped: Bool, _ place: JSONPath.Place, _ found: inout [JSONNode]
    ) throws(SQLError) {
        switch name {
        case "type":
            found.append(.string(item.typeName))
            return
        case "size":
            if case .array(let elements) = item {
                found.append(.number(String(elements.count)))
            } else if isStrict {
                throw SQLError(.sqlJSONArrayNotFound, "jsonpath item method .size() can only be applied to an array")
            } else {
                found.append(.number("1"))
            }
            return
        default: break
        }
        if !isStrict, !isUnwrapped, case .array(let elements) = item {
            for element in elements { try method(name, element, isUnwrapped: true, place, &found) }
            return
        }
        if name == "keyvalue" {
            guard case .object(let members) = item else {
                throw SQLError(.sqlJSONObjectNotFound, "jsonpath item method .keyvalue() can only be applied to an object")
            }
            for member in members {
                found.append(
                    JSONNode.object(of: [
                        JSONNode.Member(key: "key", value: .string(member.key)), JSONNode.Member(key: "value", value: member.value),
                        JSONNode.Member(key: "id", value: .number("0")),
                    ]))
            }
            return
        }
        if name == "double" {
            var text: String?
            switch item {
            case .number(let digits): text = digits
            case .string(let value): text = value
            case .null, .boolean, .array, .object: break
            }
            guard let text else {
                throw SQLError(.nonNumericSQLJSONItem, "jsonpath item method .double() can only be applied to a string or numeric value")
            }
            guard let value = Double(text), value.isFinite, let node = try? JSONNode(text: FloatText.text(value)) else {
                throw SQLError(.nonNumericSQLJSONItem, "string argument of jsonpath item method .double() is not a valid representation of a double precision number")
            }
            found.append(node)
            return
        }
        guard case .number(let digits) = item, let value = Decimal(text: digits) else {
            throw SQLError(.nonNumericSQLJSONItem, "jsonpath item method .\(name)() can only be applied to a numeric value")
        }
        let function: ScalarFunction = name == "abs" ? .abs : name == "floor" ? .floor : .ceil
        found.append(.number(try function.evaluate([.numeric(value)], result: .plainNumeric, context: .utc).text))
    }

    // MARK: - Conditions

    /// nil: unknown.
    private func truth(_ predicate: JSONPath.Predicate, _ place: JSONPath.Place) throws(SQLError) -> Bool? {
        switch predicate {
        case .and(let left, let right):
            let a = try truth(left, place)
            if a == false { return false }
            let b = try truth(right, place)
            return b == false ? false : a == nil || b == nil ? nil : true
        case .or(let left, let right):
            let a = try truth(left, place)
            if a == true { return true }
            let b = try truth(right, place)
            return b == true ? true : a == nil || b == nil ? nil : false
        case .not(let inner): return try truth(inner, place).map { !$0 }
        case .isUnknown(let inner): return try truth(inner, place) == nil
        case .exists(let node):
            guard let found = try? items(node, at: place) else { return nil }
            return !found.isEmpty
        case .compare(let name, let left, let right):
            return pairs(left, right, place) { Self.compare(name, $0, $1) }
        case .startsWith(let left, let right):
            return pairs(left, right, place) { whole, start in
                guard case .string(let text) = whole, case .string(let head) = start else { return nil }
                return text.utf8.starts(with: head.utf8)
            }
        case .likeRegex(let node, let regex):
            return pairs(node, .literal(.null), place) { item, _ in
                guard case .string(let text) = item else { return nil }
                return regex.matches(text)
            }
        case .value(let node):
            let found = try items(node, at: place)
            if found.count == 1, case .boolean(let answer) = found[0] { return answer }
            return nil
        }
    }

    /// True where one pair is (in strict mode only if none is unknown), unknown where one is.
    private func pairs(
        _ left: JSONPath.Node, _ right: JSONPath.Node, _ place: JSONPath.Place, _ test: (JSONNode, JSONNode) -> Bool?
    ) -> Bool? {
        guard let a = try? items(left, at: place), let b = try? items(right, at: place) else { return nil }
        var sawUnknown = false
        var sawTrue = false
        for first in unwrapped(a) {
            for second in unwrapped(b) {
                switch test(first, second) {
                case true?:
                    if !isStrict { return true }
                    sawTrue = true
                case nil:
                    if isStrict { return nil }
                    sawUnknown = true
                case false?: break
                }
            }
        }
        return sawTrue ? true : sawUnknown ? nil : false
    }

    private static func compare(_ name: String, _ left: JSONNode, _ right: JSONNode) -> Bool? {
        let order: Int
        switch (left, right) {
        case (.null, .null): order = 0
        case (.boolean(let a), .boolean(let b)): order = (a ? 1 : 0) - (b ? 1 : 0)
        case (.number, .number): order = JSONNode.compare(left, right)
        case (.string(let a), .string(let b)):
            order = a.utf8.elementsEqual(b.utf8) ? 0 : a.utf8.lexicographicallyPrecedes(b.utf8) ? -1 : 1
        case (.null, .boolean), (.null, .number), (.null, .string), (.boolean, .null), (.number, .null), (.string, .null):
            // NULL differs from every scalar, and is not less or greater.
            return name == "!=" ? true : false
        case (.null, .array), (.null, .object), (.array, .null), (.object, .null): return name == "!=" ? true : false
        default: return nil
        }
        switch name {
        case "==": return order == 0
        case "!=": return order != 0
        case "<": return order < 0
        case "<=": return order <= 0
        case ">": return order > 0
        default: return order >= 0
        }
    }
}
