/// bytea as text and back: hex, base64, escape; character sets.
extension Strings {
    static func encoded(_ bytes: [UInt8], _ format: String) throws(SQLError) -> String {
        switch lowered(format) {
        case "hex": return Hexadecimal.text(bytes)
        case "base64": return base64(bytes, lineLength: 76)
        case "escape":
            var output: [UInt8] = []
            for byte in bytes {
                if byte == 0 || byte >= 0x80 {
                    output += [UInt8(ascii: "\\"), 0x30 + byte >> 6, 0x30 + byte >> 3 & 7, 0x30 + byte & 7]
                } else {
                    if byte == UInt8(ascii: "\\") { output.append(byte) }
                    output.append(byte)
                }
            }
            return String(decoding: output, as: UTF8.self)
        default: throw SQLError(.invalidParameterValue, "unrecognized encoding: \"\(format)\"")
        }
    }

    static func decoded(_ text: String, _ format: String) throws(SQLError) -> [UInt8] {
        switch lowered(format) {
        case "hex": return try Cast.readHexadecimal(Array(text.utf8)[...])
        case "base64": return try base64(decoding: Array(text.utf8))
        case "escape": return try Cast.readEscaped(Array(text.utf8))
        default: throw SQLError(.invalidParameterValue, "unrecognized encoding: \"\(format)\"")
        }
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    private static let base64Values: [UInt8] = {
        var table = [UInt8](repeating: 255, count: 256)
        for (index, byte) in alphabet.enumerated() { table[Int(byte)] = UInt8(index) }
        return table
    }()

    /// RFC 4648 with padding; a line feed after every `lineLength` characters, none where it is 0.
    package static func base64(_ bytes: [UInt8], lineLength: Int) -> String {
        var output: [UInt8] = []
        output.reserveCapacity((bytes.count + 2) / 3 * 4)
        var column = 0
        for start in stride(from: 0, to: bytes.count, by: 3) {
            if lineLength > 0, column == lineLength {
                output.append(0x0A)
                column = 0
            }
            let count = min(3, bytes.count - start)
            var word = UInt32(bytes[start]) << 16
            if count > 1 { word |= UInt32(bytes[start + 1]) << 8 }
            if count > 2 { word |= UInt32(bytes[start + 2]) }
            output.append(alphabet[Int(word >> 18)])
            output.append(alphabet[Int(word >> 12 & 63)])
            output.append(count > 1 ? alphabet[Int(word >> 6 & 63)] : UInt8(ascii: "="))
            output.append(count > 2 ? alphabet[Int(word & 63)] : UInt8(ascii: "="))
            column += 4
        }
        return String(decoding: output, as: UTF8.self)
    }

    package static func base64(decoding input: [UInt8]) throws(SQLError) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(input.count / 4 * 3)
        var word: UInt32 = 0
        var count = 0
        var padding = 0
        for byte in input {
            if byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) { continue }
            if byte == UInt8(ascii: "=") {
                guard count >= 2 else { throw SQLError(.invalidParameterValue, "unexpected \"=\" while decoding base64 sequence") }
                padding += 1
                word <<= 6
            } else {
                let value = base64Values[Int(byte)]
                guard value < 64, padding == 0 else {
                    throw SQLError(
                        .invalidParameterValue,
                        "invalid symbol \"\(String(decoding: [byte], as: UTF8.self))\" found while decoding base64 sequence")
                }
                word = word << 6 | UInt32(value)
            }
            count += 1
            guard count == 4 else { continue }
            output.append(UInt8(truncatingIfNeeded: word >> 16))
            if padding < 2 { output.append(UInt8(truncatingIfNeeded: word >> 8)) }
            if padding < 1 { output.append(UInt8(truncatingIfNeeded: word)) }
            (word, count, padding) = (0, 0, 0)
        }
        guard count == 0 else {
            throw SQLError(
                .invalidParameterValue, "invalid base64 end sequence",
                hint: "Input data is missing padding, is truncated, or is otherwise corrupted.")
        }
        return output
    }

    // MARK: - Character sets

    private enum Charset { case utf8, latin1 }

    private static func charset(_ name: String) throws(SQLError) -> Charset {
        switch lowered(name).filter({ $0 != "-" && $0 != "_" }) {
        case "utf8", "unicode": return .utf8
        case "latin1", "iso88591": return .latin1
        default: throw SQLError(.invalidParameterValue, "invalid source encoding name \"\(name)\"")
        }
    }

    static func decoded(_ bytes: [UInt8], charset name: String) throws(SQLError) -> String {
        switch try charset(name) {
        case .latin1:
            guard !bytes.contains(0) else {
                throw SQLError(.characterNotInRepertoire, "invalid byte sequence for encoding \"LATIN1\": 0x00")
            }
            var view = String.UnicodeScalarView()
            for byte in bytes { view.append(Unicode.Scalar(byte)) }
            return String(view)
        case .utf8:
            guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
                throw SQLError(.characterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": \(invalidSequence(bytes))")
            }
            return text
        }
    }

    static func encoded(_ text: String, charset name: String) throws(SQLError) -> [UInt8] {
        switch try charset(name) {
        case .utf8: return Array(text.utf8)
        case .latin1:
            var output: [UInt8] = []
            for scalar in text.unicodeScalars {
                guard scalar.value < 256 else {
                    let sequence = String(Character(scalar)).utf8.map { "0x" + Hexadecimal.pair($0) }.joined(separator: " ")
                    throw SQLError(
                        .untranslatableCharacter,
                        "character with byte sequence \(sequence) in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"")
                }
                output.append(UInt8(scalar.value))
            }
            return output
        }
    }

    /// "0xc3 0x28": the first bytes that are no character, as many as their lead byte announces.
    private static func invalidSequence(_ bytes: [UInt8]) -> String {
        var index = 0
        while index < bytes.count {
            let lead = bytes[index]
            let length = lead < 0x80 ? 1 : lead & 0xE0 == 0xC0 ? 2 : lead & 0xF0 == 0xE0 ? 3 : lead & 0xF8 == 0xF0 ? 4 : 1
            let end = min(index + length, bytes.count)
            if lead == 0 || end - index < length || String(validating: bytes[index..<end], as: UTF8.self) == nil {
                return bytes[index..<end].map { "0x" + Hexadecimal.pair($0) }.joined(separator: " ")
            }
            index = end
        }
        return ""
    }
}
