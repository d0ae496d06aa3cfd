extension ScalarFunction {
    /// PostgreSQL's overload resolution (manual, sections 10.2 and 10.3) for the function or operator spelt `name`.
    ///
    /// `arguments` are the types of the argument expressions, `unknown` for untyped literals. The caller brings each
    /// argument to the answer's `arguments` by an implicit cast and evaluates. Throws 42883 where nothing fits and
    /// 42725 where several fit equally.
    package static func resolve(
        named name: String, arguments: [DataType], isOperator: Bool = false
    ) throws(SQLError) -> ResolvedCall {
        let candidates = overloads(named: name).compactMap { Candidate($0, count: arguments.count) }
        let given = arguments.map(\.withoutModifiers)
        if let exact = candidates.first(where: { $0.types == given.map { .exact($0) } }) {
            return try exact.call(given)
        }
        if isOperator, given.count == 2, given.contains(.unknown), given != [.unknown, .unknown] {
            // An untyped literal is first assumed to have the other operand's type.
            let type = given[0] == .unknown ? given[1] : given[0]
            let same: [Signature.Parameter] = type.element == nil ? [.exact(type), .exact(type)] : [.commonArray, .commonArray]
            if let exact = candidates.first(where: { $0.types == same }) { return try exact.call([type, type]) }
        }
        var fitting = candidates.filter { $0.accepts(given) }
        if fitting.count > 1 { fitting = select(fitting, given) }
        guard let chosen = fitting.first else { throw notFound(name, arguments, isOperator) }
        if fitting.count > 1 { throw ambiguous(name, arguments, isOperator) }
        return try chosen.call(given)
    }

    /// A signature with as many parameters as the call has arguments.
    private struct Candidate {
        let signature: Signature
        let types: [Signature.Parameter]

        init?(_ signature: Signature, count: Int) {
            var types = signature.parameters
            if signature.isVariadic {
                guard count >= types.count, let last = types.last else { return nil }
                types += Array(repeating: last, count: count - types.count)
            }
            guard types.count == count else { return nil }
            self.signature = signature
            self.types = types
        }

        func accepts(_ given: [DataType]) -> Bool {
            for (parameter, type) in zip(types, given) {
                switch parameter {
                case .exact(let wanted):
                    if type != .unknown, !Cast.isAllowed(from: type, to: wanted, context: .implicit) { return false }
                case .commonArray: if type != .unknown, type.element == nil { return false }
                case .nonArray: if type.element != nil { return false }
                case .record: guard case .structure = type else { return false }
                case .any, .common: break
                }
            }
            let common = commonTypes(given)
            return common.isEmpty || DataType.common(common) != nil
        }

        /// What the polymorphic parameters must agree on: the arguments of `common`, the elements of `commonArray`.
        private func commonTypes(_ given: [DataType]) -> [DataType] {
            zip(types, given).compactMap { parameter, type in
                switch parameter {
                case .common: type
                case .commonArray: type.element ?? .unknown
                case .exact, .any, .nonArray, .record: nil
                }
            }
        }

        /// Settles polymorphic parameters and brings mixed floats (real, double precision) to one type.
        func call(_ given: [DataType]) throws(SQLError) -> ResolvedCall {
            let common = DataType.common(commonTypes(given)) ?? .text
            var arguments: [DataType] = []
            for (parameter, type) in zip(types, given) {
                switch parameter {
                case .exact(let wanted): arguments.append(wanted)
                case .any, .nonArray: arguments.append(type == .unknown ? .text : type)
                case .record: arguments.append(type)
                case .common: arguments.append(common)
                case .commonArray: arguments.append(.array(common))
                }
            }
            if arguments == [.real, .double] || arguments == [.double, .real] { arguments = [.double, .double] }
            let result: DataType =
                switch signature.result {
                case .exact(let type): type
                case .common: common
                case .commonArray: .array(common)
                }
            return ResolvedCall(
                function: signature.function, signature: signature, arguments: arguments, result: result)
        }
    }

    /// PostgreSQL's `func_select_candidate`: narrows to the best by exact matches, preferred types, then categories.
    private static func select(_ candidates: [Candidate], _ given: [DataType]) -> [Candidate] {
        var remaining = best(candidates) { candidate in
            zip(candidate.types, given).count { $1 != .unknown && $0 == .exact($1) }
        }
        if remaining.count == 1 { return remaining }
        remaining = best(remaining) { candidate in
            zip(candidate.types, given).count { parameter, type in
                guard type != .unknown, case .exact(let wanted) = parameter else { return false }
                return wanted == type || (wanted.isPreferred && wanted.category == type.category)
            }
        }
        if remaining.count == 1 || !given.contains(.unknown) { return remaining }

        // Untyped literals: prefer the string category, else the category all candidates agree on.
        var narrowed = remaining
        var isResolved = true
        for (index, type) in given.enumerated() where type == .unknown {
            let slots = remaining.map { category(of: $0.types[index]) }
            let chosen: DataType.Category
            if slots.contains(.string) {
                chosen = .string
            } else if let first = slots.first, slots.allSatisfy({ $0 == first }) {
                chosen = first
            } else {
                isResolved = false
                break
            }
            let hasPreferred = remaining.contains {
                category(of: $0.types[index]) == chosen && isPreferred($0.types[index])
            }
            narrowed = narrowed.filter {
                category(of: $0.types[index]) == chosen && (!hasPreferred || isPreferred($0.types[index]))
            }
        }
        if isResolved, !narrowed.isEmpty { remaining = narrowed }
        if remaining.count == 1 { return remaining }

        // All known arguments of one type: assume the untyped ones have it too.
        let known = Set(given.filter { $0 != .unknown })
        if known.count == 1, let type = known.first {
            let assumed = remaining.filter { $0.accepts(given.map { _ in type }) }
            if assumed.count == 1 { return assumed }
        }
        return remaining
    }

    private static func best(_ candidates: [Candidate], by score: (Candidate) -> Int) -> [Candidate] {
        let scores = candidates.map(score)
        let top = scores.max() ?? 0
        return zip(candidates, scores).filter { $0.1 == top }.map(\.0)
    }

    private static func category(of parameter: Signature.Parameter) -> DataType.Category {
        switch parameter {
        case .exact(let type): type.category
        case .commonArray: .array
        case .record: .composite
        case .any, .common, .nonArray: .user
        }
    }

    private static func isPreferred(_ parameter: Signature.Parameter) -> Bool {
        if case .exact(let type) = parameter { type.isPreferred } else { false }
    }

    private static func notFound(_ name: String, _ arguments: [DataType], _ isOperator: Bool) -> SQLError {
        SQLError(
            .undefinedFunction,
            isOperator
                ? "operator does not exist: \(spelt(name, arguments, isOperator))"
                : "function \(spelt(name, arguments, isOperator)) does not exist",
            hint: "No \(isOperator ? "operator" : "function") matches the given name and argument types. "
                + "You might need to add explicit type casts.")
    }

    private static func ambiguous(_ name: String, _ arguments: [DataType], _ isOperator: Bool) -> SQLError {
        SQLError(
            .ambiguousFunction,
            isOperator
                ? "operator is not unique: \(spelt(name, arguments, isOperator))"
                : "function \(spelt(name, arguments, isOperator)) is not unique",
            hint: "Could not choose a best candidate \(isOperator ? "operator" : "function"). "
                + "You might need to add explicit type casts.")
    }

    private static func spelt(_ name: String, _ arguments: [DataType], _ isOperator: Bool) -> String {
        let names = arguments.map(\.withoutModifiers.sqlName)
        if isOperator, names.count == 2 { return "\(names[0]) \(name) \(names[1])" }
        if isOperator, names.count == 1 { return "\(name) \(names[0])" }
        return "\(name)(\(names.joined(separator: ", ")))"
    }
}
