package import MartletCore

/// psql's variables: `:name` as it is, `:'name'` as a string literal, `:"name"` as a quoted identifier. Runs over the text before
/// it is parsed and leaves strings, quoted identifiers, comments, casts (`::`) and `:=` alone.
package enum Substitution {
    /// `text` with the variables put in. Throws 42P02 naming a variable that has no value, with its position.
    package static func applied(to text: String, variables: [String: String]) throws(SQLError) -> String {
        // Without a colon there is nothing to do.
        guard text.utf8.contains(UInt8(ascii: ":")) else { return text }
        return try Array(text.utf8).withUnsafeBufferPointer { (bytes) throws(SQLError) in
            var scanner = Scanner(bytes: bytes, variables: variables)
            return try scanner.run()
        }
    }

    private struct Scanner {
        let bytes: UnsafeBufferPointer<UInt8>
        let variables: [String: String]
        var index = 0
        /// Start of what is not yet copied.
        var copied = 0
        var output: [UInt8] = []

        init(bytes: UnsafeBufferPointer<UInt8>, variables: [String: String]) {
            self.bytes = bytes
            self.variables = variables
        }

        private func byte(_ offset: Int) -> UInt8 { offset < bytes.count ? bytes[offset] : 0 }

        mutating func run() throws(SQLError) -> String {
            while index < bytes.count {
                switch bytes[index] {
                case UInt8(ascii: "'"): skipQuoted(UInt8(ascii: "'"), hasEscapes: isEscapeString)
                case UInt8(ascii: "\""): skipQuoted(UInt8(ascii: "\""), hasEscapes: false)
                case UInt8(ascii: "-") where byte(index + 1) == UInt8(ascii: "-"):
                    while index < bytes.count, bytes[index] != 10 { index += 1 }
                case UInt8(ascii: "/") where byte(index + 1) == UInt8(ascii: "*"): skipComment()
                case UInt8(ascii: "$"): skipDollarQuoted()
                case UInt8(ascii: ":"): try colon()
                default: index += 1
                }
            }
            flush(to: bytes.count)
            return String(decoding: output, as: UTF8.self)
        }

        private mutating func flush(to end: Int) {
            output.append(contentsOf: bytes[copied..<end])
            copied = end
        }

        /// True at the quote of E'…'.
        private var isEscapeString: Bool {
            index > 0 && lowered(bytes[index - 1]) == UInt8(ascii: "e") && (index < 2 || !isIdentifierPart(bytes[index - 2]))
        }

        private mutating func skipQuoted(_ quote: UInt8, hasEscapes: Bool) {
            index += 1
            while index < bytes.count, bytes[index] != quote { index += hasEscapes && bytes[index] == UInt8(ascii: "\\") ? 2 : 1 }
            index = min(index + 1, bytes.count)
        }

        private mutating func skipComment() {
            var depth = 0
            while index < bytes.count {
                if bytes[index] == UInt8(ascii: "/"), byte(index + 1) == UInt8(ascii: "*") {
                    depth += 1
                    index += 2
                } else if bytes[index] == UInt8(ascii: "*"), byte(index + 1) == UInt8(ascii: "/") {
                    depth -= 1
                    index += 2
                    if depth == 0 { return }
                } else {
                    index += 1
                }
            }
            index = min(index, bytes.count)
        }

        /// `$tag$ … $tag$`; a dollar sign inside an identifier or before a digit is no quote.
        private mutating func skipDollarQuoted() {
            let start = index
            index += 1
            if start > 0, isIdentifierPart(bytes[start - 1]) { return }
            var end = start + 1
            if isIdentifierStart(byte(end)) { while isIdentifierPart(byte(end)), byte(end) != UInt8(ascii: "$") { end += 1 } }
            guard byte(end) == UInt8(ascii: "$") else { return }
            let length = end + 1 - start
            index = end + 1
            while index + length <= bytes.count {
                if bytes[index] == UInt8(ascii: "$"), (0..<length).allSatisfy({ bytes[start + $0] == bytes[index + $0] }) {
                    index += length
                    return
                }
                index += 1
            }
            index = bytes.count
        }

        private mutating func colon() throws(SQLError) {
            let start = index
            index += 1
            let next = byte(index)
            if next == UInt8(ascii: ":") || next == UInt8(ascii: "=") {
                index += 1
                return
            }
            if next == UInt8(ascii: "'") || next == UInt8(ascii: "\"") {
                var end = index + 1
                while isNamePart(byte(end)) { end += 1 }
                guard end > index + 1, byte(end) == next else { return }
                let value = try value(index + 1, end, at: start)
                flush(to: start)
                output += next == UInt8(ascii: "'") ? Self.literal(value) : Self.quotedIdentifier(value)
                index = end + 1
                copied = index
                return
            }
            // `a[1:2]`: a number is no variable.
            guard isIdentifierStart(next) else { return }
            var end = index
            while isNamePart(byte(end)) { end += 1 }
            let value = try value(index, end, at: start)
            flush(to: start)
            output.append(contentsOf: value.utf8)
            index = end
            copied = end
        }

        private func isNamePart(_ byte: UInt8) -> Bool { isIdentifierStart(byte) || isDigit(byte) }

        private func value(_ start: Int, _ end: Int, at position: Int) throws(SQLError) -> String {
            let name = String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<end]), as: UTF8.self)
            if let value = variables[name] { return value }
            let near = Suggestion.nearest(to: name, among: variables.keys.sorted())
            let characters = bytes[..<position].count { $0 & 0xC0 != 0x80 } + 1
            throw SQLError(
                .undefinedParameter, "variable \"\(name)\" has no value",
                hint: near.map { "Perhaps you meant \"\($0)\"." } ?? "Give it one with -v \(name)=value.", position: characters)
        }

        private static func literal(_ value: String) -> [UInt8] {
            // As psql: a backslash makes it an escape string.
            let hasBackslash = value.utf8.contains(UInt8(ascii: "\\"))
            var result = Array((hasBackslash ? " E'" : "'").utf8)
            for byte in value.utf8 {
                if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\\") { result.append(byte) }
                result.append(byte)
            }
            result.append(UInt8(ascii: "'"))
            return result
        }

        private static func quotedIdentifier(_ value: String) -> [UInt8] {
            var result: [UInt8] = [UInt8(ascii: "\"")]
            for byte in value.utf8 {
                if byte == UInt8(ascii: "\"") { result.append(byte) }
                result.append(byte)
            }
            result.append(UInt8(ascii: "\""))
            return result
        }
    }
}
