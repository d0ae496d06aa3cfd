internal import MartletCore

extension Expression {
    /// The expression as SQL over columns called `names`, for people to read. Long lists are shortened.
    package func sql(_ names: [String]) -> String {
        var text = ""
        write(names, into: &text, parent: 0)
        return text
    }

    private static let shownMax = 20

    /// How tightly it binds, for parentheses: 0 is nothing around it.
    private var strength: Int {
        switch self {
        case .or: 1
        case .and: 2
        case .not(.isNull), .isNull: 4
        case .not: 3
        case .inList: 6
        case .call(let function, let arguments, _): Self.operators[function].map { arguments.count == $0.operands ? $0.strength : 20 } ?? 20
        case .cast: 14
        case .literal(let value, _): Self.isNegative(value) ? 13 : 20
        case .column, .conditional, .coalesce: 20
        }
    }

    private static func isNegative(_ value: Value) -> Bool {
        switch value {
        case .smallint, .integer, .bigint, .numeric, .real, .double: value.text.hasPrefix("-")
        default: false
        }
    }

    private static let operators: [ScalarFunction: (symbol: String, strength: Int, operands: Int)] = [
        .equal: ("=", 5, 2), .notEqual: ("<>", 5, 2), .less: ("<", 5, 2), .lessOrEqual: ("<=", 5, 2), .greater: (">", 5, 2),
        .greaterOrEqual: (">=", 5, 2), .isDistinctFrom: ("IS DISTINCT FROM", 4, 2), .isNotDistinctFrom: ("IS NOT DISTINCT FROM", 4, 2),
        .like: ("LIKE", 6, 2), .notLike: ("NOT LIKE", 6, 2), .ilike: ("ILIKE", 6, 2), .notIlike: ("NOT ILIKE", 6, 2),
        .add: ("+", 8, 2), .subtract: ("-", 8, 2), .multiply: ("*", 9, 2), .divide: ("/", 9, 2), .modulo: ("%", 9, 2),
        .concatenate: ("||", 7, 2), .jsonConcatenate: ("||", 7, 2), .bitAnd: ("&", 7, 2), .bitOr: ("|", 7, 2), .bitXor: ("#", 7, 2),
        .shiftLeft: ("<<", 7, 2), .shiftRight: (">>", 7, 2), .jsonField: ("->", 7, 2), .jsonFieldText: ("->>", 7, 2),
        .jsonPath: ("#>", 7, 2), .jsonPathText: ("#>>", 7, 2), .jsonContains: ("@>", 7, 2), .jsonContainedIn: ("<@", 7, 2),
        .jsonExists: ("?", 7, 2), .jsonDelete: ("-", 8, 2), .isTrue: ("IS TRUE", 4, 1), .isNotTrue: ("IS NOT TRUE", 4, 1),
        .isFalse: ("IS FALSE", 4, 1), .isNotFalse: ("IS NOT FALSE", 4, 1), .negate: ("-", 13, 1), .bitNot: ("~", 13, 1),
    ]

    private func write(_ names: [String], into text: inout String, parent: Int) {
        let isWrapped = strength < parent
        if isWrapped { text += "(" }
        defer { if isWrapped { text += ")" } }
        switch self {
        case .column(TableColumn.now, _): text += "now()"
        case .column(let ordinal, _): text += ordinal < names.count ? quoted(names[ordinal]) : "$\(ordinal)"
        case .literal(let value, let type): text += Self.literal(value, type)
        case .call(let function, let arguments, _): Self.writeCall(function, arguments, names, into: &text)
        case .cast(let operand, let type, _):
            operand.write(names, into: &text, parent: 14)
            text += "::" + type.sqlName
        case .and(let operands): Self.write(operands, " AND ", names, into: &text, parent: 3)
        case .or(let operands): Self.write(operands, " OR ", names, into: &text, parent: 2)
        case .not(.isNull(let operand)):
            operand.write(names, into: &text, parent: 5)
            text += " IS NOT NULL"
        case .not(let operand):
            text += "NOT "
            operand.write(names, into: &text, parent: 3)
        case .isNull(let operand):
            operand.write(names, into: &text, parent: 5)
            text += " IS NULL"
        case .conditional(let branches, let otherwise, _):
            text += "CASE"
            for branch in branches.prefix(Self.shownMax) {
                text += " WHEN "
                branch.condition.write(names, into: &text, parent: 0)
                text += " THEN "
                branch.result.write(names, into: &text, parent: 0)
            }
            if branches.count > Self.shownMax { text += " …" }
            text += " ELSE "
            otherwise.write(names, into: &text, parent: 0)
            text += " END"
        case .coalesce(let operands, _):
            text += "coalesce("
            Self.write(operands, ", ", names, into: &text, parent: 0)
            text += ")"
        case .inList(let operand, let values):
            operand.write(names, into: &text, parent: 7)
            text += " IN (" + values.prefix(Self.shownMax).map { Self.literal($0, $0.type) }.joined(separator: ", ")
            text += values.count > Self.shownMax ? ", …)" : ")"
        }
    }

    private static func write(_ operands: [Expression], _ separator: String, _ names: [String], into text: inout String, parent: Int) {
        for (index, operand) in operands.prefix(shownMax).enumerated() {
            if index > 0 { text += separator }
            operand.write(names, into: &text, parent: parent)
        }
        if operands.count > shownMax { text += "\(separator)… \(operands.count - shownMax) more" }
    }

    private static func writeCall(_ function: ScalarFunction, _ arguments: [Expression], _ names: [String], into text: inout String) {
        if function == .catalog || function == .volatile, case .literal(.text(let name), _)? = arguments.first {
            text += name + "("
            write(Array(arguments.dropFirst()), ", ", names, into: &text, parent: 0)
            text += ")"
            return
        }
        guard let symbol = operators[function], symbol.operands == arguments.count else {
            text += functionName(function) + "("
            write(arguments, ", ", names, into: &text, parent: 0)
            text += ")"
            return
        }
        if symbol.operands == 2 {
            let isComparison = symbol.strength == 5 || symbol.strength == 6
            arguments[0].write(names, into: &text, parent: isComparison ? symbol.strength + 1 : symbol.strength)
            text += " \(symbol.symbol) "
            arguments[1].write(names, into: &text, parent: symbol.strength + 1)
        } else if symbol.strength == 13 {
            text += symbol.symbol
            arguments[0].write(names, into: &text, parent: 14)
        } else {
            arguments[0].write(names, into: &text, parent: symbol.strength + 1)
            text += " " + symbol.symbol
        }
    }

    /// The shortest SQL name of a function.
    private static func functionName(_ function: ScalarFunction) -> String { functionNames[function] ?? function.rawValue }

    private static let functionNames: [ScalarFunction: String] = {
        var names: [ScalarFunction: String] = [:]
        for name in ScalarFunction.names where name.utf8.allSatisfy(isIdentifierPart) {
            for signature in ScalarFunction.overloads(named: name) where names[signature.function].map({ $0.utf8.count <= name.utf8.count }) != true {
                names[signature.function] = name
            }
        }
        return names
    }()

    private static func literal(_ value: Value, _ type: DataType) -> String {
        switch value {
        case .null: return "NULL"
        case .boolean(let flag): return flag ? "TRUE" : "FALSE"
        case .smallint, .integer, .bigint, .numeric: return value.text
        case .text(let text): return quotedText(text)
        case .real(let number) where number.isFinite: return value.text
        case .double(let number) where number.isFinite: return value.text
        case .real, .double: return "\(quotedText(value.text))::\(type.sqlName)"
        case .bytea, .date, .time, .timestamp, .timestamptz, .interval, .jsonb, .uuid:
            return "\(type.sqlName.uppercasedASCII) \(quotedText(value.text))"
        case .array, .structure: return "\(quotedText(value.text))::\(type.sqlName)"
        }
    }

    /// As a string literal, cut where it is very long.
    static func quotedText(_ text: String) -> String {
        var bytes: [UInt8] = [UInt8(ascii: "'")]
        for byte in text.utf8.prefix(200) {
            if byte == UInt8(ascii: "'") { bytes.append(byte) }
            bytes.append(byte)
        }
        return String(decoding: bytes, as: UTF8.self) + (text.utf8.count > 200 ? "…'" : "'")
    }
}
