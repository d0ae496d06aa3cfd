internal import MartletCore
internal import MartletPlatform

/// Whose pages may ask.
///
/// A page of another site that a user of this machine looks at may send a POST here, and, where its name is made to mean
/// this machine, read answers as well. Its browser says where it comes from (`Origin`) and what it asked for (`Host`).
struct HTTPOrigins: Sendable {
    enum Verdict: Equatable {
        /// No browser's page, or one of this server.
        case own
        /// A page of a site that is allowed to ask, and whose browser is to be told so.
        case guest(String)
        case foreign
    }

    /// As browsers write them: `http://localhost:3000`.
    let allowed: Set<String>
    /// On loopback only numbers and localhost are this machine's names.
    let isLocal: Bool

    func verdict(_ request: HTTPRequest) -> Verdict {
        let origin = request.header("Origin")
        guard let host = request.header("Host") else { return origin == nil ? .own : .foreign }
        if isLocal, !host.hasPrefix("localhost"), !host.hasPrefix("["), host.utf8.first.map({ $0 &- 0x30 < 10 }) != true { return .foreign }
        guard let origin else { return .own }
        if origin == "http://\(host)" || origin == "https://\(host)" { return .own }
        return allowed.contains(origin) ? .guest(origin) : .foreign
    }

    /// What tells a guest's browser that the answer is for its page (Fetch, "CORS protocol").
    static func headers(for origin: String) -> [(name: String, value: String)] {
        [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
    }

    /// The answer to a guest's browser that asks what its page may ask; nil: it does not.
    static func preflight(_ request: HTTPRequest) -> HTTPResponse? {
        guard request.method == "OPTIONS", request.header("Access-Control-Request-Method") != nil else { return nil }
        return HTTPResponse(
            status: 204,
            headers: [
                ("Access-Control-Allow-Methods", "GET, HEAD, POST"),
                ("Access-Control-Allow-Headers", "Content-Type, Idempotency-Key, Last-Event-ID, traceparent, tracestate"),
                ("Access-Control-Max-Age", "600"),
            ])
    }

    static let refusal = HTTPQuestion.response(
        SQLError(
            .insufficientPrivilege, "requests are not taken from pages of other sites",
            hint: "martlet serve --http-origin names sites whose pages may ask."))
}
