package import MartletCore

/// SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL speaks it: without channel binding, the name in the first message
/// ignored in favour of the one from start-up.
///
/// Passwords are taken as their UTF-8. RFC 4013's normal form, which PostgreSQL makes first, is the same text for ASCII and
/// for whatever is composed already.
package struct SCRAMVerifier: Hashable, Sendable {
    package let iterations: Int
    package let salt: [UInt8]
    package let storedKey: [UInt8]
    package let serverKey: [UInt8]

    package static let iterationsDefault = 4096

    /// For a password that becomes known. `iterations` × 2 hashes.
    package init(password: String, salt: [UInt8], iterations: Int = iterationsDefault) {
        let salted = Digests.pbkdf2(Array(password.utf8), salt: salt, iterations: iterations)
        self.iterations = iterations
        self.salt = salt
        storedKey = Digests.sha256(Digests.hmac(salted, Array("Client Key".utf8)))
        serverKey = Digests.hmac(salted, Array("Server Key".utf8))
    }

    /// As PostgreSQL keeps it: `SCRAM-SHA-256$4096:salt$storedKey:serverKey`, base64.
    package var text: String {
        func base64(_ bytes: [UInt8]) -> String { Strings.base64(bytes, lineLength: 0) }
        return "SCRAM-SHA-256$\(iterations):\(base64(salt))$\(base64(storedKey)):\(base64(serverKey))"
    }

    package init?(text: String) {
        let parts = text.split(separator: "$", omittingEmptySubsequences: false).map { $0.split(separator: ":", omittingEmptySubsequences: false) }
        guard parts.count == 3, parts[0] == ["SCRAM-SHA-256"], parts[1].count == 2, parts[2].count == 2,
            let iterations = Int(parts[1][0]), iterations > 0,
            let salt = try? Strings.base64(decoding: Array(parts[1][1].utf8)),
            let storedKey = try? Strings.base64(decoding: Array(parts[2][0].utf8)), storedKey.count == 32,
            let serverKey = try? Strings.base64(decoding: Array(parts[2][1].utf8)), serverKey.count == 32
        else { return nil }
        self.iterations = iterations
        self.salt = salt
        self.storedKey = storedKey
        self.serverKey = serverKey
    }
}

/// The server's side of one exchange: first message in, first out; final in, final out.
package struct SCRAMExchange {
    private let verifier: SCRAMVerifier
    /// There is no such user, or it has no password: the exchange goes its way and fails at its end, like a wrong password.
    private let isHopeless: Bool
    private let serverNonce: String
    private var clientFirstBare = ""
    private var gs2Header = ""
    private var nonce = ""
    private var serverFirst = ""

    package static let mechanism = "SCRAM-SHA-256"

    /// `nonce`: at least 18 random bytes. `verifier` nil: nobody gets in.
    package init(_ verifier: SCRAMVerifier?, nonce: [UInt8]) {
        isHopeless = verifier == nil
        self.verifier = verifier ?? SCRAMVerifier(password: "", salt: Array(nonce.prefix(16)), iterations: 1)
        serverNonce = Strings.base64(nonce, lineLength: 0)
    }

    /// `n,,n=,r=nonce` → `r=…,s=…,i=…`.
    package mutating func first(_ message: String) throws(SQLError) -> String {
        let parts = message.split(separator: ",", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw SCRAMExchange.malformed }
        // `y`: the client can bind to a channel and thinks that we cannot, which is so.
        guard parts[0] == "n" || parts[0] == "y" else {
            throw SQLError(.protocolViolation, "SCRAM channel binding is not supported by this server")
        }
        guard parts[1].isEmpty else {
            throw SQLError(.featureNotSupported, "client uses authorization identity, but it is not supported")
        }
        gs2Header = "\(parts[0]),,"
        clientFirstBare = String(parts[2])
        let attributes = SCRAMExchange.attributes(clientFirstBare)
        guard attributes.count >= 2, attributes[0].name == "n", attributes[1].name == "r", !attributes[1].value.isEmpty,
            attributes[1].value.utf8.count <= 1024, attributes[1].value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { throw SCRAMExchange.malformed }
        nonce = attributes[1].value + serverNonce
        let iterations = isHopeless ? SCRAMVerifier.iterationsDefault : verifier.iterations
        serverFirst = "r=\(nonce),s=\(Strings.base64(verifier.salt, lineLength: 0)),i=\(iterations)"
        return serverFirst
    }

    /// `c=…,r=…,p=proof` → `v=signature`; 28P01 where the proof does not show the password.
    package func final(_ message: String, user: String) throws(SQLError) -> String {
        let attributes = SCRAMExchange.attributes(message)
        guard attributes.count >= 3, attributes[0].name == "c", attributes[1].name == "r", let last = attributes.last, last.name == "p",
            let proof = try? Strings.base64(decoding: Array(last.value.utf8)), proof.count == 32
        else { throw SCRAMExchange.malformed }
        guard attributes[0].value == Strings.base64(Array(gs2Header.utf8), lineLength: 0), attributes[1].value == nonce else {
            throw SQLError(.protocolViolation, "invalid SCRAM response", detail: "Nonce or channel binding does not match.")
        }
        let withoutProof = message[..<message.index(message.endIndex, offsetBy: -(last.value.count + 3))]
        let authentication = Array("\(clientFirstBare),\(serverFirst),\(withoutProof)".utf8)
        let clientKey = zip(proof, Digests.hmac(verifier.storedKey, authentication)).map { $0 ^ $1 }
        guard SCRAMExchange.areEqual(Digests.sha256(clientKey), verifier.storedKey), !isHopeless else {
            throw SQLError(.invalidPassword, "password authentication failed for user \"\(user)\"")
        }
        return "v=" + Strings.base64(Digests.hmac(verifier.serverKey, authentication), lineLength: 0)
    }

    private static let malformed = SQLError(.protocolViolation, "malformed SCRAM message")

    private static func attributes(_ message: String) -> [(name: String, value: String)] {
        message.split(separator: ",", omittingEmptySubsequences: false).map { part in
            guard let equals = part.firstIndex(of: "=") else { return (String(part), "") }
            return (String(part[..<equals]), String(part[part.index(after: equals)...]))
        }
    }

    /// In the same time whatever differs.
    private static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

/// The client's side, for our own shell and for tests.
package struct SCRAMClient {
    private let password: String
    private let clientFirstBare: String
    private let clientNonce: String
    private var expectedSignature = ""

    package init(password: String, nonce: [UInt8]) {
        self.password = password
        clientNonce = Strings.base64(nonce, lineLength: 0)
        clientFirstBare = "n=,r=" + clientNonce
    }

    package var first: String { "n,," + clientFirstBare }

    /// The answer to the server's first message; nil where it makes no sense.
    package mutating func final(_ serverFirst: String) -> String? {
        let attributes = serverFirst.split(separator: ",").map { $0.split(separator: "=", maxSplits: 1) }
        guard attributes.count >= 3, attributes.allSatisfy({ $0.count == 2 }), attributes[0][1].hasPrefix(clientNonce),
            let salt = try? Strings.base64(decoding: Array(attributes[1][1].utf8)),
            let iterations = Int(attributes[2][1]), (1...1_000_000).contains(iterations)
        else { return nil }
        let salted = Digests.pbkdf2(Array(password.utf8), salt: salt, iterations: iterations)
        let clientKey = Digests.hmac(salted, Array("Client Key".utf8))
        let withoutProof = "c=biws,r=\(attributes[0][1])"
        let authentication = Array("\(clientFirstBare),\(serverFirst),\(withoutProof)".utf8)
        let signature = Digests.hmac(Digests.sha256(clientKey), authentication)
        expectedSignature = Strings.base64(Digests.hmac(Digests.hmac(salted, Array("Server Key".utf8)), authentication), lineLength: 0)
        return withoutProof + ",p=" + Strings.base64(zip(clientKey, signature).map { $0 ^ $1 }, lineLength: 0)
    }

    /// Whether the server knows the password too.
    package func accepts(_ serverFinal: String) -> Bool { serverFinal == "v=" + expectedSignature }
}

extension Digests {
    /// RFC 2104 with SHA-256.
    static func hmac(_ key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        var block = key.count > 64 ? sha256(key) : key
        block += [UInt8](repeating: 0, count: 64 - block.count)
        return sha256(block.map { $0 ^ 0x5C } + sha256(block.map { $0 ^ 0x36 } + message))
    }

    /// RFC 8018 with HMAC-SHA-256, one block of output.
    static func pbkdf2(_ password: [UInt8], salt: [UInt8], iterations: Int) -> [UInt8] {
        var round = hmac(password, salt + [0, 0, 0, 1])
        var result = round
        for _ in 1..<max(iterations, 2) where iterations > 1 {
            round = hmac(password, round)
            for index in result.indices { result[index] ^= round[index] }
        }
        return result
    }
}
