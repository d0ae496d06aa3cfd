/// Lines in, whole statements out: a statement ends with a semicolon that is not within quotes, a comment or parentheses.
struct StatementSplitter {
    private enum State: Equatable {
        case plain
        /// `'` or `"`.
        case quoted(UInt8)
        case lineComment
        case blockComment(depth: Int)
        /// Between `$tag$` and the same again.
        case dollars([UInt8])
    }

    private var text: [UInt8] = []
    private var state = State.plain
    private var depth = 0
    /// How much of `text` was looked at.
    private var at = 0

    /// Nothing but blanks is waiting for more.
    var isEmpty: Bool { state == .plain && !text.contains { $0 > 0x20 } }

    /// What waits for more.
    var pending: String { String(decoding: text, as: UTF8.self) }

    /// What a prompt shows of the state, as psql does.
    var mark: String {
        switch state {
        case .plain: isEmpty ? "=" : depth > 0 ? "(" : "-"
        case .quoted(let quote): String(UnicodeScalar(quote))
        case .lineComment: "-"
        case .blockComment: "*"
        case .dollars: "$"
        }
    }

    /// The statements that end within what came so far, each with its semicolon.
    mutating func add(_ piece: String) -> [String] {
        text += piece.utf8
        var found: [String] = []
        while at < text.count {
            if step() {
                found.append(String(decoding: text[..<at], as: UTF8.self))
                text.removeFirst(at)
                at = 0
            }
        }
        return found
    }

    /// The rest, at the end of the input; nil where there is nothing.
    mutating func finish() -> String? {
        defer { self = StatementSplitter() }
        return text.contains { $0 > 0x20 } ? String(decoding: text, as: UTF8.self) : nil
    }

    private func follows(_ word: StaticString) -> Bool {
        word.withUTF8Buffer { word in text[at...].prefix(word.count).elementsEqual(word) }
    }

    /// Moves on by one element. True: a statement ends there.
    private mutating func step() -> Bool {
        let byte = text[at]
        switch state {
        case .plain:
            switch byte {
            case UInt8(ascii: ";") where depth == 0:
                at += 1
                return true
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"): depth = max(0, depth - 1)
            case UInt8(ascii: "'"), UInt8(ascii: "\""): state = .quoted(byte)
            case UInt8(ascii: "$"):
                if let tag = dollarTag() {
                    state = .dollars(tag)
                    at += tag.count - 1
                }
            default:
                if follows("--") { state = .lineComment }
                if follows("/*") {
                    state = .blockComment(depth: 1)
                    at += 1
                }
            }
        case .quoted(let quote): if byte == quote { state = .plain }
        case .lineComment: if byte == UInt8(ascii: "\n") { state = .plain }
        case .blockComment(let depth):
            if follows("*/") {
                state = depth == 1 ? .plain : .blockComment(depth: depth - 1)
                at += 1
            } else if follows("/*") {
                state = .blockComment(depth: depth + 1)
                at += 1
            }
        case .dollars(let tag):
            if text[at...].prefix(tag.count).elementsEqual(tag) {
                state = .plain
                at += tag.count - 1
            }
        }
        at += 1
        return false
    }

    /// `$tag$` at `at`; nil where the dollar is something else.
    private func dollarTag() -> [UInt8]? {
        if at > 0, text[at - 1] >= 0x30, text[at - 1] != UInt8(ascii: ";"), text[at - 1] != UInt8(ascii: "=") { return nil }
        var end = at + 1
        while end < text.count, text[end] != UInt8(ascii: "$") {
            let byte = text[end]
            let isLetter = byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A || byte == UInt8(ascii: "_") || byte >= 0x80
            guard isLetter || (end > at + 1 && byte &- 0x30 < 10) else { return nil }
            end += 1
        }
        return end < text.count ? Array(text[at...end]) : nil
    }
}
