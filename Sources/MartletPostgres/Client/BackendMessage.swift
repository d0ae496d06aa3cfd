package import MartletCore

/// What a server tells, read by our own shell and by tests.
package enum BackendMessage: Sendable {
    /// 0 ok, 10 to 12 SASL; what follows the code.
    case authentication(Int32, [UInt8])
    case parameterStatus(name: String, value: String)
    case backendKey(processID: Int32, key: [UInt8])
    case ready(TransactionStatus)
    case rowDescription([ReceivedColumn])
    /// nil: NULL.
    case dataRow([[UInt8]?])
    case commandComplete(String)
    case emptyQuery
    case error(SQLNotice)
    case notice(SQLNotice)
    case parseComplete, bindComplete, closeComplete, noData, portalSuspended
    case parameterDescription([UInt32])
    case copyIn(isBinary: Bool, columns: Int)
    case copyOut(isBinary: Bool, columns: Int)
    case copyData([UInt8])
    case copyDone
    case negotiate(minor: Int, unknownOptions: [String])

    /// How long a whole message is, from its first five bytes; nil where they make no sense.
    package static func length(_ header: UnsafeRawBufferPointer) -> Int? {
        guard header.count >= 5 else { return nil }
        let length = Int32(bigEndian: header.loadUnaligned(fromByteOffset: 1, as: Int32.self))
        return length >= 4 ? Int(length) + 1 : nil
    }

    /// One whole message.
    package init(_ message: UnsafeRawBufferPointer) throws(SQLError) {
        var reader = MessageReader(message)
        let type = try reader.uint8()
        try reader.skip(4)
        switch type {
        case UInt8(ascii: "R"): self = .authentication(Int32(bitPattern: try reader.uint32()), [UInt8](reader.rest()))
        case UInt8(ascii: "S"):
            let name = try reader.string()
            self = .parameterStatus(name: name, value: try reader.string())
        case UInt8(ascii: "K"):
            let processID = Int32(bitPattern: try reader.uint32())
            self = .backendKey(processID: processID, key: [UInt8](reader.rest()))
        case UInt8(ascii: "Z"):
            switch try reader.uint8() {
            case UInt8(ascii: "I"): self = .ready(.idle)
            case UInt8(ascii: "T"): self = .ready(.open)
            default: self = .ready(.failed)
            }
        case UInt8(ascii: "T"): self = .rowDescription(try reader.list(ReceivedColumn.init))
        case UInt8(ascii: "D"):
            self = .dataRow(
                try reader.list { reader throws(SQLError) -> [UInt8]? in
                    let length = Int32(bitPattern: try reader.uint32())
                    return length == -1 ? nil : [UInt8](try reader.bytes(Int(length)))
                })
        case UInt8(ascii: "C"): self = .commandComplete(try reader.string())
        case UInt8(ascii: "I"): self = .emptyQuery
        case UInt8(ascii: "E"): self = .error(try BackendMessage.notice(&reader))
        case UInt8(ascii: "N"): self = .notice(try BackendMessage.notice(&reader))
        case UInt8(ascii: "1"): self = .parseComplete
        case UInt8(ascii: "2"): self = .bindComplete
        case UInt8(ascii: "3"): self = .closeComplete
        case UInt8(ascii: "n"): self = .noData
        case UInt8(ascii: "s"): self = .portalSuspended
        case UInt8(ascii: "t"): self = .parameterDescription(try reader.list { reader throws(SQLError) in try reader.uint32() })
        case UInt8(ascii: "G"):
            let isBinary = try reader.uint8() != 0
            self = .copyIn(isBinary: isBinary, columns: Int(try reader.uint16()))
        case UInt8(ascii: "H"):
            let isBinary = try reader.uint8() != 0
            self = .copyOut(isBinary: isBinary, columns: Int(try reader.uint16()))
        case UInt8(ascii: "d"): self = .copyData([UInt8](reader.rest()))
        case UInt8(ascii: "c"): self = .copyDone
        case UInt8(ascii: "v"):
            let version = try reader.uint32()
            var options: [String] = []
            for _ in 0..<min(try reader.uint32(), 1_000) { options.append(try reader.string()) }
            self = .negotiate(minor: Int(version & 0xFFFF), unknownOptions: options)
        default: throw WireError.malformed("unknown message type \(type) from the server")
        }
    }

    private static func notice(_ reader: inout MessageReader) throws(SQLError) -> SQLNotice {
        var error = SQLError(.internalError, "")
        var severity = "ERROR"
        while true {
            let field = try reader.uint8()
            if field == 0 { break }
            let value = try reader.string()
            switch field {
            case UInt8(ascii: "V"): severity = value
            case UInt8(ascii: "C"): error.state = SQLState(value)
            case UInt8(ascii: "M"): error.message = value
            case UInt8(ascii: "D"): error.detail = value
            case UInt8(ascii: "H"): error.hint = value
            case UInt8(ascii: "P"): error.position = Int(value)
            default: break
            }
        }
        return SQLNotice(severity: severity, error)
    }
}

/// A column as RowDescription tells it.
package struct ReceivedColumn: Sendable, Equatable {
    package var name: String
    package var type: UInt32
    package var modifier: Int32
    package var isBinary: Bool

    fileprivate init(_ reader: inout MessageReader) throws(SQLError) {
        name = try reader.string()
        _ = try reader.uint32()
        _ = try reader.uint16()
        type = try reader.uint32()
        _ = try reader.uint16()
        modifier = Int32(bitPattern: try reader.uint32())
        isBinary = try reader.uint16() == 1
    }
}
