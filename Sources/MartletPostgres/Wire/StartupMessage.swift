package import MartletCore

/// The packet before all messages: it has a length and no type.
package enum StartupMessage: Sendable {
    /// Encryption, which is declined with one byte.
    case encryptionRequest
    /// On a connection of its own: what the named session is executing is to end.
    case cancel(processID: Int32, key: [UInt8])
    case start(StartupRequest)

    /// A length and a code.
    package static let bytesMin = 8
    /// As PostgreSQL has it.
    package static let bytesMax = 10_000

    /// The whole packet. Every error ends the connection.
    package init(packet: UnsafeRawBufferPointer) throws(SQLError) {
        var reader = MessageReader(packet)
        try reader.skip(4)
        let code = try reader.uint32()
        switch code {
        case 80_877_103, 80_877_104: self = .encryptionRequest
        case 80_877_102:
            let processID = Int32(bitPattern: try reader.uint32())
            self = .cancel(processID: processID, key: [UInt8](reader.rest()))
        default: self = .start(try StartupRequest(code, &reader))
        }
    }
}

/// A client that wants a session.
package struct StartupRequest: Sendable {
    /// The newest minor version of protocol 3 that is spoken; 1 was never used.
    package static let minorMax = 2

    package var user = ""
    package var database = ""
    /// By lower-case name, without user and database; what `options` sets with -c is among them.
    package var parameters: [String: String] = [:]
    /// 0 or 2.
    package var minor = 0
    /// What is to be told with NegotiateProtocolVersion: the client asked for more than there is.
    package var unknownOptions: [String] = []
    package var needsNegotiation = false

    fileprivate init(_ code: UInt32, _ reader: inout MessageReader) throws(SQLError) {
        let major = code >> 16
        let asked = Int(code & 0xFFFF)
        guard major == 3 else {
            throw SQLError(
                .featureNotSupported, "unsupported frontend protocol \(major).\(asked): server supports 3.0 to 3.\(Self.minorMax)")
        }
        minor = asked >= Self.minorMax ? Self.minorMax : 0
        needsNegotiation = minor != asked
        while true {
            let name = try reader.string()
            if name.isEmpty { break }
            take(name, try reader.string())
        }
        guard reader.isAtEnd else { throw WireError.malformed("invalid startup packet layout: expected terminator as last byte") }
        if user.isEmpty { throw SQLError(.invalidAuthorization, "no PostgreSQL user name specified in startup packet") }
        if database.isEmpty { database = user }
    }

    private mutating func take(_ name: String, _ value: String) {
        switch name {
        case "user": user = value
        case "database": database = value
        case "options":
            for (name, value) in StartupRequest.settings(value) { parameters[name] = value }
        case _ where name.hasPrefix("_pq_."):
            unknownOptions.append(name)
            needsNegotiation = true
        default: parameters[name.lowercased()] = value
        }
    }

    /// The `-c name=value` and `--name=value` of a server's command line; blanks divide, a backslash takes the next byte as
    /// it is.
    static func settings(_ text: String) -> [(name: String, value: String)] {
        var words: [String] = []
        var word: String?
        var isEscaped = false
        for character in text.unicodeScalars {
            if isEscaped {
                word = (word ?? "") + String(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character.properties.isWhitespace {
                if let done = word { words.append(done) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        if let done = word { words.append(done) }
        var found: [(name: String, value: String)] = []
        var rest = words[...]
        while let next = rest.popFirst() {
            var setting = Substring(next)
            if next == "-c" {
                setting = Substring(rest.popFirst() ?? "")
            } else if next.hasPrefix("-c") || next.hasPrefix("--") {
                setting = next.dropFirst(2)
            } else {
                continue
            }
            guard let equals = setting.firstIndex(of: "=") else { continue }
            let name = setting[..<equals].map { $0 == "-" ? "_" : String($0) }.joined().lowercased()
            found.append((name, String(setting[setting.index(after: equals)...])))
        }
        return found
    }
}
