/// PostgreSQL's advanced regular expressions (manual, section 9.7.3) in RE2's syntax.
struct RegexTranslator {
    private(set) var options: RegexOptions
    /// Whether a quantifier asks for the shortest match.
    private(set) var hasShortest = false
    private var input: [Unicode.Scalar]
    private var at = 0
    /// Whether a quantifier may come: something is there to repeat.
    private var isRepeatable = false
    private var output = String.UnicodeScalarView()

    init(_ pattern: String, _ options: RegexOptions) {
        input = Array(pattern.unicodeScalars)
        self.options = options
    }

    private var current: Unicode.Scalar? { at < input.count ? input[at] : nil }

    private func ahead(_ distance: Int) -> Unicode.Scalar? { at + distance < input.count ? input[at + distance] : nil }

    private mutating func put(_ text: String) { output.append(contentsOf: text.unicodeScalars) }

    mutating func translate() throws(SQLError) -> String {
        if starts(with: "***") {
            switch ahead(3) {
            case "=":
                options.isLiteral = true
                at = 4
            case ":": at = 4
            default: throw Regex.invalid("quantifier operand invalid")
            }
        }
        if !options.isLiteral { try embeddedOptions() }
        if options.isMultiline { put("(?m)") }
        if options.isLiteral {
            while let scalar = current {
                literal(scalar)
                at += 1
            }
            return String(output)
        }
        while let scalar = current { try piece(scalar) }
        return String(output)
    }

    private func starts(with text: String) -> Bool { input.count - at >= 3 && text.unicodeScalars.elementsEqual(input[at..<at + 3]) }

    /// `(?i)` and the like, at the beginning only.
    private mutating func embeddedOptions() throws(SQLError) {
        guard current == "(", ahead(1) == "?", let first = ahead(2), first.isASCII, first.properties.isAlphabetic else { return }
        at += 2
        while let letter = current, letter != ")" {
            guard letter != "g", try options.apply(letter) else { throw Regex.invalid("invalid embedded option") }
            at += 1
        }
        guard current == ")" else { throw Regex.invalid("invalid embedded option") }
        at += 1
    }

    private mutating func literal(_ scalar: Unicode.Scalar) {
        if scalar.isASCII, !scalar.properties.isAlphabetic, !("0"..."9").contains(scalar), scalar != "_" {
            if scalar.value < 0x20 || scalar.value == 0x7F {
                put("\\x{" + String(scalar.value, radix: 16) + "}")
                return
            }
            output.append("\\")
        }
        output.append(scalar)
    }

    private mutating func piece(_ scalar: Unicode.Scalar) throws(SQLError) {
        at += 1
        let wasRepeatable = isRepeatable
        isRepeatable = true
        switch scalar {
        case "\\": try escape(inBracket: false)
        case "[": try bracket()
        case "(":
            try open()
            isRepeatable = false
        case ".": put(options.isNewlineExcluded ? "[^\\n]" : ".")
        case "*", "+", "?":
            guard wasRepeatable else { throw Regex.invalid("quantifier operand invalid") }
            output.append(scalar)
            try shortest()
        case "{":
            // A brace that no digit follows is an ordinary character.
            guard let digit = current, ("0"..."9").contains(digit) else {
                put("\\{")
                return
            }
            guard wasRepeatable else { throw Regex.invalid("quantifier operand invalid") }
            try bound()
        case "^", "$", "|":
            output.append(scalar)
            isRepeatable = false
        case ")": output.append(scalar)
        default:
            if options.isExpanded {
                isRepeatable = wasRepeatable
                if scalar.properties.isWhitespace { return }
                if scalar == "#" {
                    while let next = current, next != "\n" { at += 1; _ = next }
                    return
                }
                isRepeatable = true
            }
            literal(scalar)
        }
    }

    private mutating func shortest() throws(SQLError) {
        if current == "?" {
            hasShortest = true
            output.append("?")
            at += 1
        }
        if let next = current, next == "*" || next == "+" || next == "?" {
            throw Regex.invalid("quantifier operand invalid")
        }
    }

    /// `{m}`, `{m,}`, `{m,n}`, behind the brace.
    private mutating func bound() throws(SQLError) {
        func number() -> Int? {
            var value: Int?
            while let digit = current, ("0"..."9").contains(digit) {
                value = min((value ?? 0) * 10 + Int(digit.value - 0x30), 1000)
                at += 1
            }
            return value
        }
        let least = number() ?? 0
        var text = "{\(least)"
        var most: Int?
        if current == "," {
            at += 1
            text += ","
            most = number()
            if let most { text += String(most) }
        }
        guard current != nil else { throw Regex.invalid("braces {} not balanced") }
        guard current == "}", least <= 255, most ?? 0 <= 255, most.map({ $0 >= least }) ?? true else {
            throw Regex.invalid("invalid repetition count(s)")
        }
        at += 1
        put(text + "}")
        try shortest()
    }

    private mutating func open() throws(SQLError) {
        guard current == "?" else {
            output.append("(")
            return
        }
        switch ahead(1) {
        case ":":
            at += 2
            put("(?:")
        case "#":
            while let next = current, next != ")" { at += 1; _ = next }
            at += 1
        case "=", "!", "<":
            throw SQLError(
                .featureNotSupported, "look-around in a regular expression is not supported",
                detail: "Expressions are matched in linear time, which look-around would not allow.")
        default: throw Regex.invalid("quantifier operand invalid")
        }
    }

    /// Behind a backslash.
    private mutating func escape(inBracket: Bool) throws(SQLError) {
        guard let letter = current else { throw Regex.invalid("invalid escape \\ sequence") }
        at += 1
        switch letter {
        case "d": put(inBracket ? "0-9" : "[0-9]")
        case "D": put(inBracket ? "\\D" : "[^0-9]")
        case "s": put(inBracket ? "\\t-\\r " : "[\\t-\\r ]")
        case "S":
            if inBracket { throw Regex.invalid("invalid escape \\ sequence") }
            put("[^\\t-\\r ]")
        case "w": put(inBracket ? "\\pL\\p{Nd}_" : "[\\pL\\p{Nd}_]")
        case "W":
            if inBracket { throw Regex.invalid("invalid escape \\ sequence") }
            put("[^\\pL\\p{Nd}_]")
        case "m", "M", "y":
            if inBracket { throw Regex.invalid("invalid escape \\ sequence") }
            put("\\b")
        case "Y":
            if inBracket { throw Regex.invalid("invalid escape \\ sequence") }
            put("\\B")
        case "A": put("\\A")
        case "Z": put("\\z")
        case "a": put("\\x07")
        case "b": put("\\x08")
        case "B": put("\\\\")
        case "e": put("\\x1b")
        case "f": put("\\f")
        case "n": put("\\n")
        case "r": put("\\r")
        case "t": put("\\t")
        case "v": put("\\x0b")
        case "c":
            guard let control = current else { throw Regex.invalid("invalid escape \\ sequence") }
            at += 1
            put("\\x{" + String(control.value & 0x1F, radix: 16) + "}")
        case "u": try codePoint(digits: 4)
        case "U": try codePoint(digits: 8)
        case "x": try codePoint(digits: nil)
        case "0"..."9":
            if letter == "0" {
                put("\\x00")
            } else {
                throw SQLError(
                    .featureNotSupported, "back references in a regular expression are not supported",
                    detail: "Expressions are matched in linear time, which back references would not allow.")
            }
        default:
            if letter.isASCII, letter.properties.isAlphabetic { throw Regex.invalid("invalid escape \\ sequence") }
            literal(letter)
        }
    }

    private mutating func codePoint(digits wanted: Int?) throws(SQLError) {
        var value: UInt32 = 0
        var count = 0
        while count < wanted ?? 6, let digit = current, let nibble = digit.value < 128 ? Hexadecimal.value(of: UInt8(digit.value)) : nil {
            value = value << 4 | UInt32(nibble)
            count += 1
            at += 1
        }
        guard count > 0, wanted.map({ $0 == count }) ?? true, Unicode.Scalar(value) != nil else {
            throw Regex.invalid("invalid escape \\ sequence")
        }
        put("\\x{" + String(value, radix: 16) + "}")
    }

    // MARK: - Brackets

    /// Behind `[`, up to and with its `]`.
    private mutating func bracket() throws(SQLError) {
        if starts(with: "[:<"), ahead(3) == ":" || ahead(3) == nil { return try wordEdge() }
        if starts(with: "[:>") { return try wordEdge() }
        output.append("[")
        if current == "^" {
            output.append("^")
            at += 1
            if options.isNewlineExcluded { put("\\n") }
        }
        var isFirst = true
        while true {
            guard let scalar = current else { throw Regex.invalid("brackets [] not balanced") }
            at += 1
            if scalar == "]", !isFirst { break }
            isFirst = false
            switch scalar {
            case "[": try bracketItem()
            case "\\": try escape(inBracket: true)
            case "-": put(current == "]" || output.last == "[" || output.last == "^" ? "\\-" : "-")
            case "]", "^", "&", "~": put("\\\(scalar)")
            default:
                if scalar.value < 0x20 { literal(scalar) } else { output.append(scalar) }
            }
        }
        output.append("]")
    }

    /// `[:class:]`, `[.x.]`, `[=x=]` or a plain `[`.
    private mutating func bracketItem() throws(SQLError) {
        guard let kind = current, kind == ":" || kind == "." || kind == "=" else {
            put("\\[")
            return
        }
        at += 1
        var name = ""
        while let scalar = current, scalar != kind || ahead(1) != "]" {
            name.unicodeScalars.append(scalar)
            at += 1
        }
        guard current != nil else { throw Regex.invalid("brackets [] not balanced") }
        at += 2
        guard kind == ":" else {
            guard name.unicodeScalars.count == 1, let only = name.unicodeScalars.first else {
                throw Regex.invalid("invalid collating element")
            }
            literal(only)
            return
        }
        switch name {
        case "alpha": put("\\pL")
        case "alnum": put("\\pL\\p{Nd}")
        case "word": put("\\pL\\p{Nd}_")
        case "upper": put(options.ignoresCase ? "\\pL" : "\\p{Lu}")
        case "lower": put(options.ignoresCase ? "\\pL" : "\\p{Ll}")
        case "digit": put("0-9")
        case "space": put("\\t-\\r ")
        case "blank": put("\\t ")
        case "punct", "cntrl", "graph", "print", "xdigit", "ascii": put("[:\(name):]")
        default: throw Regex.invalid("invalid character class")
        }
    }

    /// `[[:<:]]` and `[[:>:]]`, behind the first bracket.
    private mutating func wordEdge() throws(SQLError) {
        let rest = String(String.UnicodeScalarView(input[at..<min(at + 6, input.count)]))
        guard rest == "[:<:]]" || rest == "[:>:]]" else { throw Regex.invalid("invalid character class") }
        at += 6
        put("\\b")
    }
}

// MARK: - SIMILAR TO

extension RegexTranslator {
    /// The regular expression of a SIMILAR TO pattern, as PostgreSQL's similar_to_escape makes it. An empty `escape` means
    /// there is none.
    static func similar(_ pattern: String, escape: String) throws(SQLError) -> String {
        guard escape.unicodeScalars.count <= 1 else {
            throw SQLError(
                .invalidEscapeSequence, "invalid escape string", hint: "Escape string must be empty or one character.")
        }
        let mark = escape.unicodeScalars.first
        var result = String.UnicodeScalarView()
        func put(_ text: String) { result.append(contentsOf: text.unicodeScalars) }
        put("^(?:")
        var isEscaped = false
        var isBracket = false
        for scalar in pattern.unicodeScalars {
            if isEscaped {
                if scalar == "\"" {
                    throw SQLError(.featureNotSupported, "SQL regular expression may not contain escape-double-quote separators here")
                }
                put("\\")
                result.append(scalar)
                isEscaped = false
            } else if scalar == mark {
                isEscaped = true
            } else if isBracket {
                if scalar == "\\" { put("\\") }
                result.append(scalar)
                if scalar == "]" { isBracket = false }
            } else {
                switch scalar {
                case "[":
                    put("[")
                    isBracket = true
                case "%": put(".*")
                case "_": put(".")
                case "(": put("(?:")
                case "\\", ".", "^", "$":
                    put("\\")
                    result.append(scalar)
                default: result.append(scalar)
                }
            }
        }
        put(")$")
        return String(result)
    }
}
