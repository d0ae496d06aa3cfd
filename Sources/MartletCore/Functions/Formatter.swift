/// `format(pattern, …)`: `%[position$][-][width]type` with the types s (as it is), I (as an identifier) and L (as a literal).
struct Formatter {
    private let input: [UInt8]
    /// The pattern itself is number 0.
    private let arguments: [Value]
    private let context: EvaluationContext
    private var output: [UInt8] = []
    private var at = 0
    /// The argument used last.
    private var last = 0

    init(_ pattern: String, _ arguments: [Value], _ context: EvaluationContext) {
        input = Array(pattern.utf8)
        self.arguments = arguments
        self.context = context
    }

    private static let unterminated = SQLError(
        .invalidParameterValue, "unterminated format() type specifier", hint: "For a single \"%\" use \"%%\".")
    private static let zeroth = SQLError(
        .invalidParameterValue, "format specifies argument 0, but arguments are numbered from 1")

    mutating func run() throws(SQLError) -> String {
        while at < input.count {
            guard input[at] == UInt8(ascii: "%") else {
                output.append(input[at])
                at += 1
                continue
            }
            at += 1
            guard at < input.count else { throw Self.unterminated }
            if input[at] == UInt8(ascii: "%") {
                output.append(input[at])
                at += 1
            } else {
                try specifier()
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// Behind the per cent sign.
    private mutating func specifier() throws(SQLError) {
        var position: Int?
        var width = 0
        if let first = try number() {
            if input[at] == UInt8(ascii: "$") {
                if first == 0 { throw Self.zeroth }
                position = first
                at += 1
            } else {
                width = first
            }
        }
        var isLeft = false
        if width == 0 {
            while at < input.count, input[at] == UInt8(ascii: "-") {
                isLeft = true
                at += 1
            }
            guard at < input.count else { throw Self.unterminated }
            if input[at] == UInt8(ascii: "*") {
                width = try argumentWidth()
            } else if let given = try number() {
                width = given
            }
        }
        if width < 0 { (isLeft, width) = (true, -width) }
        guard at < input.count else { throw Self.unterminated }
        let shown = try shown(at: position)
        let missing = width - shown.unicodeScalars.count
        guard output.count + max(missing, 0) + shown.utf8.count <= Strings.bytesMax else { throw Strings.tooLong }
        if missing > 0, !isLeft { output += Array(repeating: 0x20, count: missing) }
        output += shown.utf8
        if missing > 0, isLeft { output += Array(repeating: 0x20, count: missing) }
    }

    /// The type letter, and the argument as it says.
    private mutating func shown(at position: Int?) throws(SQLError) -> String {
        let kind = input[at]
        at += 1
        guard kind == UInt8(ascii: "s") || kind == UInt8(ascii: "I") || kind == UInt8(ascii: "L") else {
            let letter = String(decoding: input[(at - 1)...], as: UTF8.self).unicodeScalars.first.map(String.init) ?? ""
            throw SQLError(
                .invalidParameterValue, "unrecognized format() type specifier \"\(letter)\"",
                hint: "For a single \"%\" use \"%%\".")
        }
        last = position ?? last + 1
        let value = try argument(last)
        if value.isNull {
            if kind == UInt8(ascii: "I") {
                throw SQLError(.nullValueNotAllowed, "null values cannot be formatted as an SQL identifier")
            }
            return kind == UInt8(ascii: "L") ? "NULL" : ""
        }
        let text = value.text(in: context.zone)
        if kind == UInt8(ascii: "s") { return text }
        return kind == UInt8(ascii: "I") ? Strings.quotedIdentifier(text) : Strings.quotedLiteral(text)
    }

    private mutating func number() throws(SQLError) -> Int? {
        let start = at
        var value = 0
        while at < input.count, input[at] &- 0x30 < 10 {
            value = value * 10 + Int(input[at] &- 0x30)
            if value > Int(Int32.max) { throw SQLError(.numericValueOutOfRange, "number is out of range") }
            at += 1
        }
        if at == input.count, at > start { throw Self.unterminated }
        return at > start ? value : nil
    }

    private func argument(_ number: Int) throws(SQLError) -> Value {
        guard number < arguments.count else { throw SQLError(.invalidParameterValue, "too few arguments for format()") }
        return arguments[number]
    }

    /// `*` or `*n$`: the width is an argument, negative for the left.
    private mutating func argumentWidth() throws(SQLError) -> Int {
        at += 1
        var place = last + 1
        if let given = try number() {
            guard input[at] == UInt8(ascii: "$") else {
                throw SQLError(.invalidParameterValue, "width argument position must be ended by \"$\"")
            }
            if given == 0 { throw Self.zeroth }
            place = given
            at += 1
        }
        last = place
        switch try argument(place) {
        case .integer(let given): return Int(given)
        case .smallint(let given): return Int(given)
        case .null: return 0
        case let other:
            guard case .integer(let given) = try Value.text(other.text(in: context.zone)).cast(to: .integer) else { return 0 }
            return Int(given)
        }
    }
}
