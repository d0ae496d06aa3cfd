package import MartletCore

/// What a client says after start-up. Runs of bytes lie in the frame that was read, and live as long as it does.
package enum FrontendMessage {
    case query(String)
    case parse(name: String, text: String, types: [UInt32])
    case bind(BindMessage)
    case describe(WireObject, name: String)
    case execute(portal: String, rowsMax: Int32)
    case close(WireObject, name: String)
    case flush
    case sync
    case terminate
    case copyData(UnsafeRawBufferPointer)
    case copyDone
    case copyFail(String)
    /// A password or a step of SASL, as the phase has it.
    case response(UnsafeRawBufferPointer)
    case functionCall
}

/// What Describe and Close speak of.
package enum WireObject: Sendable { case statement, portal }

package struct BindMessage {
    package var portal: String
    package var statement: String
    /// None: all text; one: for all; or one each. 0 text, 1 binary.
    package var parameterFormats: [Int16]
    /// nil: NULL.
    package var parameters: [UnsafeRawBufferPointer?]
    package var resultFormats: [Int16]
}

extension FrontendMessage {
    /// How many bytes a frame has, its header included, from its first five bytes. A frame that begins with a zero byte is
    /// a start-up packet: its length comes first, and no start-up packet is long enough to fill the first byte. nil: the
    /// stream makes no sense.
    package static func frameLength(_ header: UnsafeRawBufferPointer) -> Int? {
        guard header.count >= headerBytes else { return nil }
        if header[0] == 0 {
            let length = Int(UInt32(bigEndian: header.loadUnaligned(as: UInt32.self)))
            return length >= StartupMessage.bytesMin && length <= StartupMessage.bytesMax ? length : nil
        }
        let length = Int32(bigEndian: header.loadUnaligned(fromByteOffset: 1, as: Int32.self))
        return length >= 4 ? Int(length) + 1 : nil
    }

    package static let headerBytes = 5

    /// One whole frame, its type and length included. 08P01 where the body is not what its type asks for.
    package init(frame: UnsafeRawBufferPointer) throws(SQLError) {
        var reader = MessageReader(frame)
        let type = try reader.uint8()
        try reader.skip(4)
        switch type {
        case UInt8(ascii: "Q"): self = .query(try reader.string())
        case UInt8(ascii: "P"):
            let name = try reader.string()
            let text = try reader.string()
            self = .parse(name: name, text: text, types: try reader.list { reader throws(SQLError) in try reader.uint32() })
        case UInt8(ascii: "B"): self = .bind(try BindMessage(&reader))
        case UInt8(ascii: "D"):
            let object = try WireObject(&reader)
            self = .describe(object, name: try reader.string())
        case UInt8(ascii: "E"):
            let portal = try reader.string()
            self = .execute(portal: portal, rowsMax: Int32(bitPattern: try reader.uint32()))
        case UInt8(ascii: "C"):
            let object = try WireObject(&reader)
            self = .close(object, name: try reader.string())
        case UInt8(ascii: "H"): self = .flush
        case UInt8(ascii: "S"): self = .sync
        case UInt8(ascii: "X"): self = .terminate
        case UInt8(ascii: "d"): self = .copyData(reader.rest())
        case UInt8(ascii: "c"): self = .copyDone
        case UInt8(ascii: "f"): self = .copyFail(try reader.string())
        case UInt8(ascii: "p"): self = .response(reader.rest())
        case UInt8(ascii: "F"):
            _ = reader.rest()
            self = .functionCall
        default: throw WireError.fatal("invalid frontend message type \(type)")
        }
        guard reader.isAtEnd else { throw WireError.malformed("invalid message format") }
    }
}

extension WireObject {
    fileprivate init(_ reader: inout MessageReader) throws(SQLError) {
        switch try reader.uint8() {
        case UInt8(ascii: "S"): self = .statement
        case UInt8(ascii: "P"): self = .portal
        case let kind: throw WireError.malformed("invalid message subtype \(kind)")
        }
    }
}

extension BindMessage {
    fileprivate init(_ reader: inout MessageReader) throws(SQLError) {
        portal = try reader.string()
        statement = try reader.string()
        parameterFormats = try reader.list { reader throws(SQLError) in Int16(bitPattern: try reader.uint16()) }
        parameters = try reader.list { reader throws(SQLError) -> UnsafeRawBufferPointer? in
            let length = Int32(bitPattern: try reader.uint32())
            return length == -1 ? nil : try reader.bytes(Int(length))
        }
        resultFormats = try reader.list { reader throws(SQLError) in Int16(bitPattern: try reader.uint16()) }
    }
}

/// Errors of the wire itself.
package enum WireError {
    /// The message is refused, the next one can be read.
    package static func malformed(_ message: String) -> SQLError { SQLError(.protocolViolation, message) }

    /// The stream cannot be trusted any more. Told from others by its SQLSTATE and `isFatal`.
    static func fatal(_ message: String) -> SQLError { SQLError(.protocolViolation, message, detail: fatalDetail) }

    static func isFatal(_ error: SQLError) -> Bool { error.detail == fatalDetail }

    private static let fatalDetail = "The connection is closed, since what follows cannot be told."

    /// PostgreSQL's words for bytes that are not UTF-8: the first offending ones.
    static func invalidEncoding(_ bytes: UnsafeRawBufferPointer) -> SQLError {
        let start = validPrefix(bytes)
        let shown = bytes[min(start, bytes.count)...].prefix(start < bytes.count && bytes[start] == 0 ? 1 : 4)
        let words = shown.map { "0x" + Hexadecimal.pair($0) }.joined(separator: " ")
        return SQLError(.characterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": \(words)")
    }

    /// How many bytes are sound UTF-8 without NUL. Cold: it tries prefix by prefix of the offending run.
    private static func validPrefix(_ bytes: UnsafeRawBufferPointer) -> Int {
        var decoder = Unicode.UTF8.ForwardParser()
        var iterator = bytes.makeIterator()
        var at = 0
        while true {
            switch decoder.parseScalar(from: &iterator) {
            case .valid(let scalar):
                if scalar.first == 0 { return at }
                at += scalar.count
            case .error, .emptyInput: return at
            }
        }
    }
}
