/// The functions and operators of regular expressions.
enum RegexFunctions {
    static func evaluate(_ function: ScalarFunction, _ arguments: [Value], _ context: EvaluationContext) throws(SQLError) -> Value {
        var texts: [String] = []
        for argument in arguments { if case .text(let text) = argument { texts.append(text) } }
        guard texts.count >= 2 else { throw Evaluation.wrongArguments(function, arguments) }
        let text = texts[0]
        switch function {
        case .matches: return .boolean(try Regex.cached(texts[1], RegexOptions()).matches(text))
        case .notMatches: return .boolean(try !Regex.cached(texts[1], RegexOptions()).matches(text))
        case .matchesAnyCase: return .boolean(try Regex.cached(texts[1], RegexOptions(ignoresCase: true)).matches(text))
        case .notMatchesAnyCase: return .boolean(try !Regex.cached(texts[1], RegexOptions(ignoresCase: true)).matches(text))
        case .similar, .notSimilar:
            let pattern = try RegexTranslator.similar(texts[1], escape: texts.count > 2 ? texts[2] : "\\")
            return .boolean(try Regex.cached(pattern, RegexOptions()).matches(text) == (function == .similar))
        case .substringPattern: return try firstPart(text, try Regex.cached(texts[1], RegexOptions()))
        case .regexpReplace: return try replace(arguments, texts)
        case .regexpLike:
            return .boolean(try Regex.cached(texts[1], try options(texts, 2, "regexp_like")).matches(text))
        case .regexpMatch: return try match(text, texts)
        case .regexpSplitToArray: return try split(text, texts)
        case .regexpMatches:
            // A composite value for each, since an array of arrays would have to be rectangular.
            let groups = StructureField(name: "regexp_matches", type: .array(.text))
            let rows = try allMatches(text, texts[1], flags: texts.count > 2 ? texts[2] : "")
            return .array(ArrayValue(.structure([groups]), rows.map { .structure(StructureValue([groups], [$0])) }))
        case .regexpCount, .regexpInstr, .regexpSubstring: return try counted(function, arguments, texts)
        default: throw Evaluation.wrongArguments(function, arguments)
        }
    }

    /// The flags among the text arguments, at `place`; `g` is refused where it has no meaning.
    private static func options(_ texts: [String], _ place: Int, _ name: String) throws(SQLError) -> RegexOptions {
        guard texts.count > place else { return RegexOptions() }
        let options = try RegexOptions(letters: texts[place])
        if options.isGlobal {
            throw SQLError(
                .invalidParameterValue, "\(name)() does not support the \"global\" option",
                hint: name == "regexp_match" ? "Use the regexp_matches function instead." : nil)
        }
        return options.compiled
    }

    private static func bytes<Answer>(
        _ text: String, _ body: (UnsafeBufferPointer<UInt8>) throws(SQLError) -> Answer
    ) throws(SQLError) -> Answer {
        var text = text
        let result: Result<Answer, SQLError> = text.withUTF8 { bytes in Result { () throws(SQLError) in try body(bytes) } }
        return try result.get()
    }

    private static func part(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>?) -> Value {
        range.map { .text(String(decoding: bytes[$0], as: UTF8.self)) } ?? .null
    }

    /// The first group where there is one, else the whole match.
    private static func firstPart(_ text: String, _ regex: Regex) throws(SQLError) -> Value {
        try bytes(text) { bytes throws(SQLError) in
            guard let found = regex.search(bytes, from: 0) else { return .null }
            return part(bytes, found.count > 1 ? found[1] : found[0])
        }
    }

    private static func groups(_ bytes: UnsafeBufferPointer<UInt8>, _ found: [Range<Int>?]) -> Value {
        let parts = found.count > 1 ? found[1...].map { part(bytes, $0) } : [part(bytes, found[0])]
        return .array(ArrayValue(.text, parts))
    }

    private static func match(_ text: String, _ texts: [String]) throws(SQLError) -> Value {
        let regex = try Regex.cached(texts[1], try options(texts, 2, "regexp_match"))
        return try bytes(text) { bytes throws(SQLError) in regex.search(bytes, from: 0).map { groups(bytes, $0) } ?? .null }
    }

    /// regexp_matches: the groups of the first match, or with `g` of all.
    static func allMatches(_ text: String, _ pattern: String, flags: String) throws(SQLError) -> [Value] {
        let options = try RegexOptions(letters: flags)
        let regex = try Regex.cached(pattern, options.compiled)
        return try bytes(text) { bytes throws(SQLError) in
            var rows: [Value] = []
            try regex.each(bytes) { found throws(SQLError) in
                rows.append(groups(bytes, found))
                return options.isGlobal
            }
            return rows
        }
    }

    /// Empty matches at the ends, and right behind another match, do not split.
    private static func split(_ text: String, _ texts: [String]) throws(SQLError) -> Value {
        let regex = try Regex.cached(texts[1], try options(texts, 2, "regexp_split_to_array"))
        return try bytes(text) { bytes throws(SQLError) in
            var parts: [Value] = []
            var start = 0
            try regex.each(bytes) { found throws(SQLError) in
                guard let whole = found[0] else { return false }
                if whole.isEmpty, whole.lowerBound == start || whole.lowerBound == bytes.count { return true }
                parts.append(part(bytes, start..<whole.lowerBound))
                start = whole.upperBound
                return true
            }
            parts.append(part(bytes, start..<bytes.count))
            return .array(ArrayValue(.text, parts))
        }
    }

    // MARK: - From a position, the n-th match

    /// The byte offset of a 1-based position in code points; past the end it is nil.
    private static func offset(_ position: Int32, _ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        var left = Int(position) - 1
        var at = 0
        while left > 0 {
            guard at < bytes.count else { return nil }
            at += 1
            while at < bytes.count, bytes[at] & 0xC0 == 0x80 { at += 1 }
            left -= 1
        }
        return at
    }

    private static func check(_ value: Int32, _ name: String, atLeast least: Int32) throws(SQLError) {
        guard value >= least else {
            throw SQLError(.invalidParameterValue, "invalid value for parameter \"\(name)\": \(value)")
        }
    }

    private static func counted(
        _ function: ScalarFunction, _ arguments: [Value], _ texts: [String]
    ) throws(SQLError) -> Value {
        var numbers: [Int32] = []
        for argument in arguments { if case .integer(let number) = argument { numbers.append(number) } }
        let start = numbers.first ?? 1
        try check(start, "start", atLeast: 1)
        var wanted: Int32 = 1
        var endOption: Int32 = 0
        var subexpression: Int32 = 0
        let name: String
        switch function {
        case .regexpCount: name = "regexp_count"
        case .regexpInstr:
            name = "regexp_instr"
            if numbers.count > 1 { wanted = numbers[1] }
            if numbers.count > 2 { endOption = numbers[2] }
            if numbers.count > 3 { subexpression = numbers[3] }
            try check(wanted, "n", atLeast: 1)
            guard endOption == 0 || endOption == 1 else {
                throw SQLError(.invalidParameterValue, "invalid value for parameter \"endoption\": \(endOption)")
            }
        default:
            name = "regexp_substr"
            if numbers.count > 1 { wanted = numbers[1] }
            if numbers.count > 2 { subexpression = numbers[2] }
            try check(wanted, "n", atLeast: 1)
        }
        try check(subexpression, "subexpr", atLeast: 0)
        let regex = try Regex.cached(texts[1], try options(texts, 2, name))
        return try bytes(texts[0]) { bytes throws(SQLError) in
            var count: Int32 = 0
            var chosen: Range<Int>?
            if let first = offset(start, bytes) {
                try regex.each(bytes, from: first) { found throws(SQLError) in
                    count += 1
                    if function == .regexpCount { return true }
                    guard count == wanted else { return true }
                    if Int(subexpression) < found.count { chosen = found[Int(subexpression)] }
                    return false
                }
            }
            if function == .regexpCount { return .integer(count) }
            guard let chosen else { return function == .regexpInstr ? .integer(0) : .null }
            if function == .regexpSubstring { return part(bytes, chosen) }
            let place = endOption == 0 ? chosen.lowerBound : chosen.upperBound
            return .integer(Int32(clamping: bytes[..<place].count { $0 & 0xC0 != 0x80 } + 1))
        }
    }

    // MARK: - Replacing

    /// (text, pattern, replacement [, start [, n]] [, flags]).
    private static func replace(_ arguments: [Value], _ texts: [String]) throws(SQLError) -> Value {
        var numbers: [Int32] = []
        for argument in arguments { if case .integer(let number) = argument { numbers.append(number) } }
        guard texts.count >= 3 else { throw Evaluation.wrongArguments(.regexpReplace, arguments) }
        var options = RegexOptions()
        if texts.count > 3 {
            if let first = texts[3].unicodeScalars.first, ("0"..."9").contains(first), numbers.isEmpty {
                throw SQLError(
                    .invalidParameterValue, "invalid regular expression option: \"\(first)\"",
                    hint: "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.")
            }
            options = try RegexOptions(letters: texts[3])
        }
        let start = numbers.first ?? 1
        try check(start, "start", atLeast: 1)
        // 0: all of them.
        var wanted: Int32 = options.isGlobal ? 0 : 1
        if numbers.count > 1 {
            wanted = numbers[1]
            try check(wanted, "n", atLeast: 0)
        }
        let regex = try Regex.cached(texts[1], options.compiled)
        let replacement = Replacement(texts[2])
        return try bytes(texts[0]) { bytes throws(SQLError) in
            guard let first = offset(start, bytes) else { return .text(texts[0]) }
            var output: [UInt8] = []
            var copied = 0
            var count: Int32 = 0
            try regex.each(bytes, from: first) { found throws(SQLError) in
                guard let whole = found[0] else { return false }
                count += 1
                if wanted > 0, count < wanted { return true }
                output += bytes[copied..<whole.lowerBound]
                replacement.append(found, bytes, to: &output)
                guard output.count <= Strings.bytesMax else { throw Strings.tooLong }
                copied = whole.upperBound
                return wanted == 0
            }
            output += bytes[copied...]
            return .text(String(decoding: output, as: UTF8.self))
        }
    }

    /// `\1` … `\9` are groups, `\&` the match, `\\` a backslash; all else stands for itself.
    private struct Replacement {
        private enum Part {
            case bytes([UInt8])
            case group(Int)
        }
        private var parts: [Part] = []

        init(_ text: String) {
            var plain: [UInt8] = []
            let bytes = Array(text.utf8)
            var at = 0
            while at < bytes.count {
                guard bytes[at] == UInt8(ascii: "\\"), at + 1 < bytes.count else {
                    plain.append(bytes[at])
                    at += 1
                    continue
                }
                switch bytes[at + 1] {
                case UInt8(ascii: "1")...UInt8(ascii: "9"), UInt8(ascii: "&"):
                    parts.append(.bytes(plain))
                    plain = []
                    parts.append(.group(bytes[at + 1] == UInt8(ascii: "&") ? 0 : Int(bytes[at + 1] &- 0x30)))
                    at += 2
                case UInt8(ascii: "\\"):
                    plain.append(bytes[at])
                    at += 2
                default:
                    plain.append(bytes[at])
                    at += 1
                }
            }
            parts.append(.bytes(plain))
        }

        func append(_ found: [Range<Int>?], _ text: UnsafeBufferPointer<UInt8>, to output: inout [UInt8]) {
            for part in parts {
                switch part {
                case .bytes(let bytes): output += bytes
                case .group(let number): if number < found.count, let range = found[number] { output += text[range] }
                }
            }
        }
    }
}
