internal import MartletCore

/// Values that came in PostgreSQL's text format, as JSON.
package enum JSONText {
    /// NULL as null; numbers, booleans and documents as themselves, as far as JSON has them; the rest as strings.
    package static func value(_ cell: String?, type: UInt32) -> String {
        guard let cell else { return "null" }
        switch type {
        case 16: return cell == "t" ? "true" : "false"
        // NaN and infinities are no JSON numbers.
        case 20, 21, 23, 26, 700, 701, 1700: return cell.utf8.last.map { $0 &- 0x30 < 10 } == true ? cell : quoted(cell)
        case 114, 3802: return cell
        default: return quoted(cell)
        }
    }

    package static func quoted(_ text: String) -> String {
        var output: [UInt8] = [UInt8(ascii: "\"")]
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): output += [UInt8(ascii: "\\"), byte]
            case 0x0A: output += "\\n".utf8
            case 0x0D: output += "\\r".utf8
            case 0x09: output += "\\t".utf8
            case 0..<0x20: output += ("\\u00" + Hexadecimal.pair(byte)).utf8
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
        return String(decoding: output, as: UTF8.self)
    }
}
