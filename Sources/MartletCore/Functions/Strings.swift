/// Functions of text and bytea. Positions and lengths of text count Unicode code points, as PostgreSQL does in UTF-8.
package enum Strings {
    /// The longest text or bytea a function makes (PostgreSQL: 1 GiB); beyond it 54000.
    static let bytesMax = 256 << 20
    static let tooLong = SQLError(.programLimitExceeded, "requested length too large")

    static func evaluate(
        _ function: ScalarFunction, _ arguments: [Value], _ context: EvaluationContext
    ) throws(SQLError) -> Value {
        switch function {
        case .concat: return .text(joined(arguments[...], separator: "", context))
        case .concatWithSeparator:
            guard case .text(let separator) = arguments.first else { return .null }
            return .text(joined(arguments.dropFirst(), separator: separator, context))
        case .concatenate: return try concatenate(arguments, context)
        default: break
        }
        switch arguments.first {
        case .bytea(let bytes): return try bytesFunction(function, bytes, arguments)
        case .integer(let number): return try numberFunction(function, Int64(number), arguments)
        case .bigint(let number):
            return .text(String(UInt64(bitPattern: number), radix: 16))
        case .text(let text): return try textFunction(function, text, arguments)
        default: throw Evaluation.wrongArguments(function, arguments)
        }
    }

    // MARK: - Joining

    /// NULLs are left out; values appear as they are printed.
    private static func joined(_ values: ArraySlice<Value>, separator: String, _ context: EvaluationContext) -> String {
        values.filter { !$0.isNull }.map { $0.text(in: context.zone) }.joined(separator: separator)
    }

    /// `||`; operands other than text are cast to text.
    private static func concatenate(_ arguments: [Value], _ context: EvaluationContext) throws(SQLError) -> Value {
        guard arguments.count == 2 else { throw Evaluation.wrongArguments(.concatenate, arguments) }
        if case .bytea(let left) = arguments[0], case .bytea(let right) = arguments[1] { return .bytea(left + right) }
        guard case .text(let left) = try arguments[0].cast(to: .text, context: context),
            case .text(let right) = try arguments[1].cast(to: .text, context: context)
        else { throw Evaluation.wrongArguments(.concatenate, arguments) }
        guard left.utf8.count + right.utf8.count <= bytesMax else { throw tooLong }
        return .text(left + right)
    }

    // MARK: - Families by the first argument

    private static func numberFunction(
        _ function: ScalarFunction, _ number: Int64, _ arguments: [Value]
    ) throws(SQLError) -> Value {
        switch function {
        case .toHex: return .text(String(UInt32(truncatingIfNeeded: number), radix: 16))
        case .chr:
            if number == 0 { throw SQLError(.programLimitExceeded, "null character not permitted") }
            if number < 0 { throw SQLError(.invalidParameterValue, "character number must be positive") }
            guard number <= 0x10FFFF else {
                throw SQLError(.programLimitExceeded, "requested character too large for encoding: \(number)")
            }
            guard let scalar = Unicode.Scalar(UInt32(number)) else {
                throw SQLError(.programLimitExceeded, "requested character not valid for encoding: \(number)")
            }
            return .text(String(Character(scalar)))
        default: throw Evaluation.wrongArguments(function, arguments)
        }
    }

    private static func textFunction(
        _ function: ScalarFunction, _ text: String, _ arguments: [Value]
    ) throws(SQLError) -> Value {
        func wrong() -> SQLError { Evaluation.wrongArguments(function, arguments) }
        func textArgument(_ index: Int) throws(SQLError) -> String {
            guard index < arguments.count, case .text(let value) = arguments[index] else { throw wrong() }
            return value
        }
        func integerArgument(_ index: Int) throws(SQLError) -> Int {
            guard index < arguments.count, case .integer(let value) = arguments[index] else { throw wrong() }
            return Int(value)
        }
        switch function {
        case .length: return .integer(Int32(clamping: text.unicodeScalars.count))
        case .octetLength: return .integer(Int32(clamping: text.utf8.count))
        case .bitLength: return .integer(Int32(clamping: text.utf8.count * 8))
        case .lower: return .text(lowered(text))
        case .upper: return .text(mapped(text) { $0.uppercaseMapping })
        case .initcap: return .text(capitalised(text))
        case .substring:
            let length = arguments.count > 2 ? try integerArgument(2) : nil
            let scalars = Array(text.unicodeScalars)
            return .text(string(scalars[try range(try integerArgument(1), length, count: scalars.count)]))
        case .trim, .trimLeft, .trimRight:
            let set = arguments.count > 1 ? Set(try textArgument(1).unicodeScalars) : [" "]
            return .text(trimmed(text, set, left: function != .trimRight, right: function != .trimLeft))
        case .replace: return .text(try replaced(text, try textArgument(1), by: try textArgument(2)))
        case .position: return .integer(position(of: try textArgument(1), in: text))
        case .left: return .text(try left(text, try integerArgument(1)))
        case .right: return .text(try right(text, try integerArgument(1)))
        case .padLeft, .padRight:
            let fill = arguments.count > 2 ? try textArgument(2) : " "
            return .text(try padded(text, try integerArgument(1), fill, isLeft: function == .padLeft))
        case .splitPart: return .text(try part(text, try textArgument(1), try integerArgument(2)))
        case .startsWith: return .boolean(text.utf8.starts(with: try textArgument(1).utf8))
        case .reverse: return .text(string(Array(text.unicodeScalars.reversed())[...]))
        case .repeat:
            let count = max(0, try integerArgument(1))
            guard text.utf8.count * count <= bytesMax else { throw tooLong }
            return .text(String(repeating: text, count: count))
        case .md5: return .text(Hexadecimal.text(Digests.md5(Array(text.utf8))))
        case .ascii: return .integer(Int32(text.unicodeScalars.first?.value ?? 0))
        case .translate: return .text(translated(text, try textArgument(1), try textArgument(2)))
        case .overlay:
            let replacement = try textArgument(1)
            let start = try integerArgument(2)
            let scalars = Array(text.unicodeScalars)
            let length = arguments.count > 3 ? try integerArgument(3) : replacement.unicodeScalars.count
            let (head, tail) = try overlayRanges(start, length, count: scalars.count)
            return .text(string(scalars[head]) + replacement + string(scalars[tail]))
        case .quoteIdent: return .text(quotedIdentifier(text))
        case .parseIdent:
            let isStrict = arguments.count < 2 || arguments[1] == .boolean(true)
            return .array(ArrayValue(.text, try identifiers(text, isStrict: isStrict).map { .text($0) }))
        case .quoteLiteral: return .text(quotedLiteral(text))
        case .decode: return .bytea(try decoded(text, try textArgument(1)))
        case .convertTo: return .bytea(try encoded(text, charset: try textArgument(1)))
        case .like, .notLike, .ilike, .notIlike:
            var pattern = try textArgument(1)
            if arguments.count > 2 { pattern = try Pattern.rewritten(pattern, escape: try textArgument(2)) }
            let ignoresCase = function == .ilike || function == .notIlike
            let matches = try Pattern.matches(ignoresCase ? lowered(text) : text, ignoresCase ? lowered(pattern) : pattern)
            return .boolean(matches == (function == .like || function == .ilike))
        default: throw wrong()
        }
    }

    private static func bytesFunction(
        _ function: ScalarFunction, _ bytes: [UInt8], _ arguments: [Value]
    ) throws(SQLError) -> Value {
        func wrong() -> SQLError { Evaluation.wrongArguments(function, arguments) }
        func integerArgument(_ index: Int) throws(SQLError) -> Int {
            guard index < arguments.count, case .integer(let value) = arguments[index] else { throw wrong() }
            return Int(value)
        }
        func bytesArgument(_ index: Int) throws(SQLError) -> [UInt8] {
            guard index < arguments.count, case .bytea(let value) = arguments[index] else { throw wrong() }
            return value
        }
        switch function {
        case .octetLength, .length: return .integer(Int32(clamping: bytes.count))
        case .bitLength: return .integer(Int32(clamping: bytes.count * 8))
        case .substring:
            let length = arguments.count > 2 ? try integerArgument(2) : nil
            return .bytea(Array(bytes[try range(try integerArgument(1), length, count: bytes.count)]))
        case .trim, .trimLeft, .trimRight:
            let set = Set(try bytesArgument(1))
            var rest = bytes[...]
            if function != .trimRight { rest = rest.drop { set.contains($0) } }
            if function != .trimLeft { while let last = rest.last, set.contains(last) { rest.removeLast() } }
            return .bytea(Array(rest))
        case .position: return .integer(Int32(clamping: (firstIndex(of: try bytesArgument(1), in: bytes, from: 0) ?? -1) + 1))
        case .overlay:
            let replacement = try bytesArgument(1)
            let length = arguments.count > 3 ? try integerArgument(3) : replacement.count
            let (head, tail) = try overlayRanges(try integerArgument(2), length, count: bytes.count)
            return .bytea(bytes[head] + replacement + bytes[tail])
        case .md5: return .text(Hexadecimal.text(Digests.md5(bytes)))
        case .sha256: return .bytea(Digests.sha256(bytes))
        case .getByte:
            let index = try integerArgument(1)
            guard index >= 0, index < bytes.count else {
                throw SQLError(
                    .arraySubscriptError, "index \(index) out of valid range, 0..\(bytes.count - 1)")
            }
            return .integer(Int32(bytes[index]))
        case .encode:
            guard arguments.count > 1, case .text(let format) = arguments[1] else { throw wrong() }
            return .text(try encoded(bytes, format))
        case .convertFrom:
            guard arguments.count > 1, case .text(let charset) = arguments[1] else { throw wrong() }
            return .text(try decoded(bytes, charset: charset))
        default: throw wrong()
        }
    }

    // MARK: - Pieces

    static func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }

    static func lowered(_ text: String) -> String { mapped(text) { $0.lowercaseMapping } }

    /// Code point by code point, as towlower and towupper: mappings to several code points are left alone (but for the
    /// dotted capital I, which becomes a plain i).
    private static func mapped(_ text: String, _ mapping: (Unicode.Scalar.Properties) -> String) -> String {
        var view = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let image = mapping(scalar.properties).unicodeScalars
            if let single = image.first, image.count == 1 || scalar == "\u{130}" { view.append(single) } else { view.append(scalar) }
        }
        return String(view)
    }

    private static func capitalised(_ text: String) -> String {
        var result = ""
        var isInWord = false
        for scalar in text.unicodeScalars {
            let letter = String(Character(scalar))
            result += isInWord ? lowered(letter) : mapped(letter) { $0.uppercaseMapping }
            isInWord = scalar.properties.isAlphabetic || scalar.properties.numericType != nil
        }
        return result
    }

    /// The positions that `substring(… from start for length)` takes, 0-based.
    private static func range(_ start: Int, _ length: Int?, count: Int) throws(SQLError) -> Range<Int> {
        if let length, length < 0 { throw SQLError(.substringError, "negative substring length not allowed") }
        let end = length.map { min(start - 1 + $0, count) } ?? count
        let first = min(max(start - 1, 0), count)
        return first..<max(first, end)
    }

    private static func overlayRanges(
        _ start: Int, _ length: Int, count: Int
    ) throws(SQLError) -> (head: Range<Int>, tail: Range<Int>) {
        if start <= 0 { throw SQLError(.substringError, "negative substring length not allowed") }
        let head = 0..<min(start - 1, count)
        let tail = min(max(start - 1 + length, 0), count)..<count
        return (head, tail)
    }

    private static func trimmed(_ text: String, _ set: Set<Unicode.Scalar>, left: Bool, right: Bool) -> String {
        var rest = text.unicodeScalars[...]
        if left { rest = rest.drop { set.contains($0) } }
        if right { while let last = rest.last, set.contains(last) { rest.removeLast() } }
        return String(rest)
    }

    /// The first place of `needle` at or behind `start`; O(n·m).
    static func firstIndex(of needle: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
        if needle.isEmpty { return start }
        guard bytes.count >= needle.count else { return nil }
        var index = start
        while index <= bytes.count - needle.count {
            if bytes[index] == needle[0], bytes[index..<(index + needle.count)].elementsEqual(needle) { return index }
            index += 1
        }
        return nil
    }

    private static func position(of needle: String, in text: String) -> Int32 {
        let bytes = Array(text.utf8)
        guard let index = firstIndex(of: Array(needle.utf8), in: bytes, from: 0) else { return 0 }
        // Code points before it: all bytes but the continuation ones.
        return Int32(clamping: bytes[..<index].count { $0 & 0xC0 != 0x80 } + 1)
    }

    private static func replaced(_ text: String, _ from: String, by to: String) throws(SQLError) -> String {
        let (bytes, needle, replacement) = (Array(text.utf8), Array(from.utf8), Array(to.utf8))
        if needle.isEmpty { return text }
        var output: [UInt8] = []
        var start = 0
        while let found = firstIndex(of: needle, in: bytes, from: start) {
            output += bytes[start..<found]
            output += replacement
            start = found + needle.count
            guard output.count <= bytesMax else { throw tooLong }
        }
        output += bytes[start...]
        return String(decoding: output, as: UTF8.self)
    }

    private static func left(_ text: String, _ count: Int) throws(SQLError) -> String {
        let scalars = text.unicodeScalars
        return String(count >= 0 ? scalars.prefix(count) : scalars.dropLast(-count))
    }

    private static func right(_ text: String, _ count: Int) throws(SQLError) -> String {
        let scalars = text.unicodeScalars
        return String(count >= 0 ? scalars.suffix(count) : scalars.dropFirst(-count))
    }

    private static func padded(_ text: String, _ length: Int, _ fill: String, isLeft: Bool) throws(SQLError) -> String {
        let length = max(length, 0)
        guard length <= bytesMax / 4 else { throw tooLong }
        let scalars = Array(text.unicodeScalars)
        let filling = Array(fill.unicodeScalars)
        if scalars.count >= length || filling.isEmpty { return string(scalars.prefix(length)) }
        let padding = (0..<(length - scalars.count)).map { filling[$0 % filling.count] }
        return string((isLeft ? padding + scalars : scalars + padding)[...])
    }

    private static func part(_ text: String, _ separator: String, _ number: Int) throws(SQLError) -> String {
        if number == 0 { throw SQLError(.invalidParameterValue, "field position must not be zero") }
        let (bytes, needle) = (Array(text.utf8), Array(separator.utf8))
        if bytes.isEmpty { return "" }
        if needle.isEmpty { return number == 1 || number == -1 ? text : "" }
        var parts: [Range<Int>] = []
        var start = 0
        while let found = firstIndex(of: needle, in: bytes, from: start) {
            parts.append(start..<found)
            start = found + needle.count
        }
        parts.append(start..<bytes.count)
        let index = number > 0 ? number - 1 : parts.count + number
        guard index >= 0, index < parts.count else { return "" }
        return String(decoding: bytes[parts[index]], as: UTF8.self)
    }

    private static func translated(_ text: String, _ from: String, _ to: String) -> String {
        let images = Array(to.unicodeScalars)
        var table: [Unicode.Scalar: Unicode.Scalar?] = [:]
        for (index, scalar) in from.unicodeScalars.enumerated() where table[scalar] == nil {
            table[scalar] = .some(index < images.count ? images[index] : nil)
        }
        var view = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if let image = table[scalar] { if let image { view.append(image) } } else { view.append(scalar) }
        }
        return String(view)
    }

    static func quotedIdentifier(_ text: String) -> String {
        let bytes = Array(text.utf8)
        let isSafe =
            !bytes.isEmpty && !(bytes[0] &- 0x30 < 10)
            && bytes.allSatisfy { ($0 >= 0x61 && $0 <= 0x7A) || $0 &- 0x30 < 10 || $0 == UInt8(ascii: "_") }
        if isSafe { return text }
        return "\"" + doubled(text, "\"") + "\""
    }

    /// The parts of a qualified name, quotes taken off and the rest in lower case. `isStrict`: nothing may follow.
    private static func identifiers(_ text: String, isStrict: Bool) throws(SQLError) -> [String] {
        let wrong = SQLError(.invalidParameterValue, "string is not a valid identifier: \"\(text)\"")
        var rest = Array(text.utf8)[...]
        var parts: [String] = []
        while true {
            rest = rest.drop { $0 <= 0x20 }
            var part: [UInt8] = []
            if rest.first == UInt8(ascii: "\"") {
                rest.removeFirst()
                while true {
                    guard let byte = rest.popFirst() else { throw wrong }
                    if byte == UInt8(ascii: "\"") {
                        guard rest.first == byte else { break }
                        rest.removeFirst()
                    }
                    part.append(byte)
                }
            } else {
                let length = rest.prefix { $0 >= 0x80 || ($0 | 0x20) &- 0x61 < 26 || $0 &- 0x30 < 10 || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "$") }.count
                guard let first = rest.first, first &- 0x30 >= 10, first != UInt8(ascii: "$") else { throw wrong }
                part = rest.prefix(length).map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 }
                rest = rest.dropFirst(length)
            }
            guard !part.isEmpty else { throw wrong }
            parts.append(String(decoding: part, as: UTF8.self))
            rest = rest.drop { $0 <= 0x20 }
            guard let next = rest.first else { return parts }
            guard next == UInt8(ascii: ".") else {
                if isStrict { throw wrong }
                return parts
            }
            rest.removeFirst()
        }
    }

    static func quotedLiteral(_ text: String) -> String {
        let quoted = doubled(text, "'")
        return text.utf8.contains(UInt8(ascii: "\\")) ? "E'" + doubled(quoted, "\\") + "'" : "'" + quoted + "'"
    }

    /// Every occurrence of a character twice.
    private static func doubled(_ text: String, _ character: Unicode.Scalar) -> String {
        var view = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if scalar == character { view.append(scalar) }
            view.append(scalar)
        }
        return String(view)
    }
}

/// LIKE patterns: `%` any run, `_` any one code point, backslash takes the next literally.
package enum Pattern {
    /// The same pattern with backslash as escape character. An empty `escape` means there is none.
    package static func rewritten(_ pattern: String, escape: String) throws(SQLError) -> String {
        let scalars = Array(escape.unicodeScalars)
        guard scalars.count <= 1 else {
            throw SQLError(
                .invalidEscapeSequence, "invalid escape string", hint: "Escape string must be empty or one character.")
        }
        if scalars.first == "\\" { return pattern }
        var view = String.UnicodeScalarView()
        var isEscaped = false
        for scalar in pattern.unicodeScalars {
            if let mark = scalars.first, scalar == mark, !isEscaped {
                view.append("\\")
                isEscaped = true
            } else {
                // A backslash is an ordinary character here.
                if scalar == "\\", !isEscaped { view.append("\\") }
                view.append(scalar)
                isEscaped = false
            }
        }
        return String(view)
    }

    /// O(text · pattern), no recursion: only the last `%` is ever tried again.
    package static func matches(_ text: String, _ pattern: String) throws(SQLError) -> Bool {
        let (text, pattern) = (Array(text.utf8), Array(pattern.utf8))
        var (t, p) = (0, 0)
        var retry: (text: Int, pattern: Int)?
        while true {
            if p < pattern.count, pattern[p] == UInt8(ascii: "%") {
                p += 1
                if p == pattern.count { return true }
                retry = (t, p)
                continue
            }
            if t == text.count {
                if p == pattern.count { return true }
                return false
            }
            var isMatch = false
            var (nextText, nextPattern) = (t, p)
            if p < pattern.count {
                if pattern[p] == UInt8(ascii: "_") {
                    nextText = t + 1
                    while nextText < text.count, text[nextText] & 0xC0 == 0x80 { nextText += 1 }
                    nextPattern = p + 1
                    isMatch = true
                } else {
                    if pattern[p] == UInt8(ascii: "\\") {
                        guard p + 1 < pattern.count else {
                            throw SQLError(.invalidEscapeSequence, "LIKE pattern must not end with escape character")
                        }
                        nextPattern = p + 1
                    }
                    isMatch = text[t] == pattern[nextPattern]
                    (nextText, nextPattern) = (t + 1, nextPattern + 1)
                }
            }
            if isMatch {
                (t, p) = (nextText, nextPattern)
            } else if let last = retry {
                // The run of the last `%` takes one code point more.
                var longer = last.text + 1
                while longer < text.count, text[longer] & 0xC0 == 0x80 { longer += 1 }
                retry = (longer, last.pattern)
                (t, p) = (longer, last.pattern)
            } else {
                return false
            }
        }
    }
}
