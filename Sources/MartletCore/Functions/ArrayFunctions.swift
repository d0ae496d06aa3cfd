/// Functions and operators of arrays and composite values.
package enum ArrayFunctions {
    static let tooLarge = SQLError(
        .programLimitExceeded, "array size exceeds the maximum allowed (\(ArrayValue.elementsMax))")

    static func tooManyDimensions(_ count: Int) -> SQLError {
        SQLError(
            .programLimitExceeded,
            "number of array dimensions (\(count)) exceeds the maximum allowed (\(ArrayValue.dimensionsMax))")
    }

    static func evaluate(
        _ function: ScalarFunction, _ arguments: [Value], _ result: DataType, _ context: EvaluationContext
    ) throws(SQLError) -> Value {
        switch function {
        case .makeRow:
            guard case .structure(let fields) = result else { throw Evaluation.wrongArguments(function, arguments) }
            return .structure(StructureValue(fields, arguments))
        case .field:
            guard case .structure(let value) = arguments[0], case .integer(let place) = arguments[1],
                value.values.indices.contains(Int(place))
            else { throw Evaluation.wrongArguments(function, arguments) }
            return value.values[Int(place)]
        case .makeArray: return try make(arguments, result)
        case .arrayConcatenate, .arrayAppend, .arrayPrepend: return try join(function, arguments, result)
        case .arrayRemove, .arrayReplace, .arrayPosition, .arrayPositions: return try search(function, arguments)
        case .arrayToString: return try toString(arguments, context)
        case .stringToArray: return try fromString(arguments)
        case .arrayFill: return try fill(arguments, result)
        case .quantifiedAny, .quantifiedAll: return try quantified(arguments, isAll: function == .quantifiedAll, context)
        default: break
        }
        guard case .array(let array) = arguments.first else { throw Evaluation.wrongArguments(function, arguments) }
        let second = arguments.count > 1 ? arguments[1] : .null
        switch function {
        case .arrayGet: return get(array, arguments.dropFirst())
        case .arraySlice: return slice(array, arguments.dropFirst())
        case .cardinality: return .integer(Int32(clamping: array.values.count))
        case .arrayDimensionCount: return array.dimensions.isEmpty ? .null : .integer(Int32(array.dimensions.count))
        case .arrayDimensions:
            return array.dimensions.isEmpty ? .null : .text(array.dimensions.map { "[\($0.lower):\($0.upper)]" }.joined())
        case .arrayLength: return dimension(array, second).map { .integer($0.count) } ?? .null
        case .arrayLower: return dimension(array, second).map { .integer($0.lower) } ?? .null
        case .arrayUpper: return dimension(array, second).map { .integer($0.upper) } ?? .null
        case .trimArray:
            guard case .integer(let count) = second else { throw Evaluation.wrongArguments(function, arguments) }
            let held = array.dimensions.first?.count ?? 0
            guard count >= 0, count <= held else {
                throw SQLError(.arrayElementError, "number of elements to trim must be between 0 and \(held)")
            }
            if held == count { return .array(ArrayValue(array.element, [])) }
            return slice(array, [.null, .integer((array.dimensions.first?.upper ?? 0) - count)])
        default: break
        }
        guard case .array(let other) = second else { throw Evaluation.wrongArguments(function, arguments) }
        switch function {
        case .arrayContains: return .boolean(contains(array, other))
        case .arrayContainedIn: return .boolean(contains(other, array))
        case .arrayOverlaps: return .boolean(overlaps(array, other))
        default: throw Evaluation.wrongArguments(function, arguments)
        }
    }

    /// What unnest makes of an array: its elements in row-major order; none of NULL.
    package static func unnest(_ value: Value) -> [Value] {
        if case .array(let array) = value { array.values } else { [] }
    }

    // MARK: - Making

    /// ARRAY[…]: of elements, or of arrays of one shape.
    private static func make(_ values: [Value], _ result: DataType) throws(SQLError) -> Value {
        guard case .array(let element) = result else { throw Evaluation.wrongArguments(.makeArray, values) }
        var parts: [ArrayValue] = []
        var isNested = false
        for value in values { if case .array(let part) = value { parts.append(part); isNested = true } }
        guard isNested else { return .array(ArrayValue(element.withoutModifiers, values)) }
        let mismatch = SQLError(
            .arraySubscriptError, "multidimensional arrays must have array expressions with matching dimensions")
        let full = parts.filter { !$0.dimensions.isEmpty }
        guard let first = full.first else { return .array(ArrayValue(element.withoutModifiers, [])) }
        guard full.count == values.count, full.allSatisfy({ $0.dimensions == first.dimensions }) else { throw mismatch }
        guard first.dimensions.count < ArrayValue.dimensionsMax else { throw tooManyDimensions(first.dimensions.count + 1) }
        return .array(
            ArrayValue(
                element.withoutModifiers, [.init(count: Int32(clamping: values.count))] + first.dimensions, full.flatMap(\.values)))
    }

    private static func join(_ function: ScalarFunction, _ arguments: [Value], _ result: DataType) throws(SQLError) -> Value {
        let (left, right) = (arguments[0], arguments[1])
        let element = (result.element ?? .text).withoutModifiers
        switch function {
        case .arrayAppend:
            var base = ArrayValue(element, [])
            if case .array(let given) = left { base = given }
            guard base.dimensions.count <= 1 else { throw SQLError(.dataException, "argument must be empty or one-dimensional array") }
            let lower = base.dimensions.first?.lower ?? 1
            return .array(try made(element, lower, base.values + [right]))
        case .arrayPrepend:
            var base = ArrayValue(element, [])
            if case .array(let given) = right { base = given }
            guard base.dimensions.count <= 1 else { throw SQLError(.dataException, "argument must be empty or one-dimensional array") }
            return .array(try made(element, base.dimensions.first?.lower ?? 1, [left] + base.values))
        default: break
        }
        guard case .array(let a) = left else { return right }
        guard case .array(let b) = right else { return left }
        if a.dimensions.isEmpty { return right }
        if b.dimensions.isEmpty { return left }
        let incompatible = SQLError(.arraySubscriptError, "cannot concatenate incompatible arrays")
        guard a.values.count + b.values.count <= ArrayValue.elementsMax else { throw tooLarge }
        var dimensions: [ArrayValue.Dimension]
        if a.dimensions.count == b.dimensions.count {
            guard a.dimensions.dropFirst().map(\.count) == b.dimensions.dropFirst().map(\.count) else { throw incompatible }
            dimensions = a.dimensions
            dimensions[0].count += b.dimensions[0].count
        } else if a.dimensions.count == b.dimensions.count + 1 {
            guard a.dimensions.dropFirst().map(\.count) == b.dimensions.map(\.count) else { throw incompatible }
            dimensions = a.dimensions
            dimensions[0].count += 1
        } else if b.dimensions.count == a.dimensions.count + 1 {
            guard b.dimensions.dropFirst().map(\.count) == a.dimensions.map(\.count) else { throw incompatible }
            dimensions = b.dimensions
            dimensions[0].count += 1
        } else {
            throw incompatible
        }
        return .array(ArrayValue(element, dimensions, a.values + b.values))
    }

    private static func made(_ element: DataType, _ lower: Int32, _ values: [Value]) throws(SQLError) -> ArrayValue {
        guard values.count <= ArrayValue.elementsMax else { throw tooLarge }
        return ArrayValue(element, [.init(lower: lower, count: Int32(values.count))], values)
    }

    private static func fill(_ arguments: [Value], _ result: DataType) throws(SQLError) -> Value {
        let element = (result.element ?? .text).withoutModifiers
        guard case .array(let lengths) = arguments[1] else {
            throw SQLError(.nullValueNotAllowed, "dimension array or low bound array cannot be null")
        }
        var lowers: [Value] = []
        if arguments.count > 2 {
            guard case .array(let given) = arguments[2] else {
                throw SQLError(.nullValueNotAllowed, "dimension array or low bound array cannot be null")
            }
            lowers = given.values
        }
        guard lengths.values.count <= ArrayValue.dimensionsMax else { throw tooManyDimensions(lengths.values.count) }
        if !lowers.isEmpty, lowers.count != lengths.values.count {
            throw SQLError(.arraySubscriptError, "wrong number of array subscripts")
        }
        var dimensions: [ArrayValue.Dimension] = []
        var total = lengths.values.isEmpty ? 0 : 1
        for (at, length) in lengths.values.enumerated() {
            guard case .integer(let count) = length else {
                throw SQLError(.nullValueNotAllowed, "dimension values cannot be null")
            }
            guard count >= 0, Int(count) <= ArrayValue.elementsMax else { throw tooLarge }
            var lower: Int32 = 1
            if !lowers.isEmpty { if case .integer(let given) = lowers[at] { lower = given } }
            total *= Int(count)
            // A filled array is made in memory at once.
            guard total <= fillMax else { throw tooLarge }
            dimensions.append(.init(lower: lower, count: count))
        }
        return .array(ArrayValue(element, dimensions, Array(repeating: arguments[0], count: total)))
    }

    /// Elements that array_fill makes at most.
    private static let fillMax = 1 << 20

    // MARK: - Looking

    private static func dimension(_ array: ArrayValue, _ number: Value) -> ArrayValue.Dimension? {
        guard case .integer(let at) = number, at >= 1, Int(at) <= array.dimensions.count else { return nil }
        return array.dimensions[Int(at) - 1]
    }

    /// An element by one subscript per dimension; NULL outside of the bounds or with another number of subscripts.
    private static func get(_ array: ArrayValue, _ subscripts: ArraySlice<Value>) -> Value {
        guard subscripts.count == array.dimensions.count else { return .null }
        var index = 0
        for (dimension, value) in zip(array.dimensions, subscripts) {
            guard case .integer(let at) = value, at >= dimension.lower, at <= dimension.upper else { return .null }
            index = index * Int(dimension.count) + Int(at) - Int(dimension.lower)
        }
        return array.values[index]
    }

    /// `[l:u]` per dimension, NULL standing for an omitted bound; dimensions not named are taken whole, bounds begin at 1.
    private static func slice(_ array: ArrayValue, _ bounds: ArraySlice<Value>) -> Value {
        let empty = Value.array(ArrayValue(array.element, []))
        let named = bounds.count / 2
        guard !array.dimensions.isEmpty, named <= array.dimensions.count else { return empty }
        var ranges: [Range<Int>] = []
        for (at, dimension) in array.dimensions.enumerated() {
            var (lower, upper) = (Int64(dimension.lower), Int64(dimension.upper))
            if at < named {
                if case .integer(let given) = bounds[bounds.startIndex + at * 2] { lower = max(lower, Int64(given)) }
                if case .integer(let given) = bounds[bounds.startIndex + at * 2 + 1] { upper = min(upper, Int64(given)) }
            }
            if upper < lower { return empty }
            ranges.append(Int(lower) - Int(dimension.lower)..<Int(upper) - Int(dimension.lower) + 1)
        }
        var values: [Value] = []
        func take(_ depth: Int, _ base: Int) {
            for at in ranges[depth] {
                let index = base * Int(array.dimensions[depth].count) + at
                if depth == ranges.count - 1 { values.append(array.values[index]) } else { take(depth + 1, index) }
            }
        }
        take(0, 0)
        return .array(ArrayValue(array.element, ranges.map { .init(count: Int32($0.count)) }, values))
    }

    /// Whether every element of `other` is in `array`; NULL is in nothing. O(n + m) by hash.
    private static func contains(_ array: ArrayValue, _ other: ArrayValue) -> Bool {
        if other.values.contains(where: \.isNull) { return false }
        if array.values.count * other.values.count <= 64 {
            return other.values.allSatisfy { array.values.contains($0) }
        }
        let held = Set(array.values)
        return other.values.allSatisfy { held.contains($0) }
    }

    private static func overlaps(_ array: ArrayValue, _ other: ArrayValue) -> Bool {
        let held = Set(other.values)
        return array.values.contains { !$0.isNull && held.contains($0) }
    }

    private static func search(_ function: ScalarFunction, _ arguments: [Value]) throws(SQLError) -> Value {
        guard case .array(let array) = arguments[0] else { return .null }
        let wanted = arguments[1]
        switch function {
        case .arrayRemove:
            guard array.dimensions.count <= 1 else {
                throw SQLError(.featureNotSupported, "removing elements from multidimensional arrays is not supported")
            }
            let kept = array.values.filter { $0 != wanted }
            if kept.count == array.values.count { return arguments[0] }
            return .array(ArrayValue(array.element, [.init(lower: array.dimensions[0].lower, count: Int32(kept.count))], kept))
        case .arrayReplace:
            return .array(ArrayValue(array.element, array.dimensions, array.values.map { $0 == wanted ? arguments[2] : $0 }))
        default:
            guard array.dimensions.count <= 1 else {
                throw SQLError(.featureNotSupported, "searching for elements in multidimensional arrays is not supported")
            }
        }
        let lower = array.dimensions.first?.lower ?? 1
        if function == .arrayPositions {
            let found = array.values.indices.filter { array.values[$0] == wanted }.map { Value.integer(Int32($0) + lower) }
            return .array(ArrayValue(.integer, found))
        }
        var first = Int64(lower)
        if arguments.count > 2 {
            guard case .integer(let start) = arguments[2] else {
                throw SQLError(.nullValueNotAllowed, "initial position must not be null")
            }
            first = Int64(start)
        }
        for index in array.values.indices where Int64(index) + Int64(lower) >= first && array.values[index] == wanted {
            return .integer(Int32(index) + lower)
        }
        return .null
    }

    // MARK: - Text

    /// NULL elements are left out, or written as the third argument.
    private static func toString(_ arguments: [Value], _ context: EvaluationContext) throws(SQLError) -> Value {
        guard case .array(let array) = arguments[0], case .text(let separator) = arguments[1] else { return .null }
        var replacement: String?
        if arguments.count > 2, case .text(let given) = arguments[2] { replacement = given }
        let parts = array.values.compactMap { $0.isNull ? replacement : $0.text(in: context.zone) }
        let bytes = parts.reduce(separator.utf8.count * max(parts.count - 1, 0)) { $0 + $1.utf8.count }
        guard bytes <= Strings.bytesMax else { throw Strings.tooLong }
        return .text(parts.joined(separator: separator))
    }

    private static func fromString(_ arguments: [Value]) throws(SQLError) -> Value {
        guard case .text(let text) = arguments[0] else { return .null }
        var null: String?
        if arguments.count > 2, case .text(let given) = arguments[2] { null = given }
        func element(_ part: String) -> Value {
            if let null, null.utf8.elementsEqual(part.utf8) { .null } else { .text(part) }
        }
        if text.isEmpty { return .array(ArrayValue(.text, [])) }
        guard case .text(let separator) = arguments[1] else {
            return .array(ArrayValue(.text, text.unicodeScalars.map { element(String($0)) }))
        }
        if separator.isEmpty { return .array(ArrayValue(.text, [element(text)])) }
        let (bytes, needle) = (Array(text.utf8), Array(separator.utf8))
        var parts: [Value] = []
        var start = 0
        while let found = Strings.firstIndex(of: needle, in: bytes, from: start) {
            parts.append(element(String(decoding: bytes[start..<found], as: UTF8.self)))
            start = found + needle.count
        }
        parts.append(element(String(decoding: bytes[start...], as: UTF8.self)))
        return .array(ArrayValue(.text, parts))
    }

    // MARK: - ANY and ALL

    /// The operators that may stand before ANY and ALL.
    package static let quantifiable: [String: ScalarFunction] = [
        "=": .equal, "<>": .notEqual, "!=": .notEqual, "<": .less, "<=": .lessOrEqual, ">": .greater, ">=": .greaterOrEqual,
        "~~": .like, "!~~": .notLike, "~~*": .ilike, "!~~*": .notIlike,
        "~": .matches, "~*": .matchesAnyCase, "!~": .notMatches, "!~*": .notMatchesAnyCase,
    ]

    /// Arguments: the operator's spelling, the operand, the array. Three-valued as a chain of OR or AND.
    private static func quantified(
        _ arguments: [Value], isAll: Bool, _ context: EvaluationContext
    ) throws(SQLError) -> Value {
        guard case .text(let name) = arguments[0], let test = quantifiable[name] else {
            throw Evaluation.wrongArguments(.quantifiedAny, arguments)
        }
        guard case .array(let array) = arguments[2] else { return .null }
        var sawNull = false
        for element in array.values {
            switch try test.evaluate([arguments[1], element], result: .boolean, context: context) {
            case .boolean(let answer): if answer != isAll { return .boolean(answer) }
            default: sawNull = true
            }
        }
        return sawNull ? .null : .boolean(isAll)
    }
}
