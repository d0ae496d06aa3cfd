/// Where to listen, as written in arguments: `ADDR:PORT`, with a name or a number; IPv6 in brackets; no ADDR means every
/// address of the machine; port 0 lets the system choose.
package struct ListenAddress: Sendable, Equatable, CustomStringConvertible {
    package let host: String
    package let port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    package init(parsing text: String) throws(ListenError) {
        func refuse(_ reason: String) -> ListenError {
            ListenError(message: "\"\(text)\" is not an address to listen on: \(reason)", hint: "Write ADDR:PORT, as in 127.0.0.1:9464 or [::1]:9464.")
        }
        guard let colon = text.lastIndex(of: ":") else { throw refuse("the port is missing") }
        var host = String(text[..<colon])
        let digits = text[text.index(after: colon)...]
        if host.hasPrefix("[") {
            guard host.hasSuffix("]"), host.count > 2 else { throw refuse("the bracket is not closed before the port") }
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            throw refuse("an IPv6 address needs brackets")
        }
        guard !digits.isEmpty else { throw refuse("the port is missing") }
        guard digits.utf8.allSatisfy({ (48...57).contains($0) }), let port = UInt16(digits) else {
            throw refuse("the port is a number from 0 to 65535")
        }
        guard host.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { throw refuse("the address holds a blank or a control character") }
        self.host = host
        self.port = port
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// An address that cannot be listened on, in words for a user.
package struct ListenError: Error, Sendable, CustomStringConvertible {
    package let message: String
    package let hint: String?

    package init(message: String, hint: String? = nil) {
        self.message = message
        self.hint = hint
    }

    package var description: String { hint.map { "\(message)\nHint: \($0)" } ?? message }
}
