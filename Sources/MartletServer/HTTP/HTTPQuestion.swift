internal import MartletCore
internal import MartletPlatform

/// Pieces of requests, and errors as answers.
enum HTTPQuestion {
    /// The parameters of a query string in order, decoded; `+` is a blank.
    static func parameters(_ query: String?) throws(SQLError) -> [(name: String, value: String)] {
        var found: [(name: String, value: String)] = []
        for part in (query ?? "").split(separator: "&") {
            let equals = part.firstIndex(of: "=") ?? part.endIndex
            let value = equals == part.endIndex ? "" : part[part.index(after: equals)...]
            found.append((try decoded(part[..<equals]), try decoded(value)))
        }
        return found
    }

    private static func decoded(_ text: Substring) throws(SQLError) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "+") {
                bytes.append(UInt8(ascii: " "))
            } else if byte == UInt8(ascii: "%") {
                guard let high = rest.popFirst().flatMap(Hexadecimal.value), let low = rest.popFirst().flatMap(Hexadecimal.value) else {
                    throw SQLError(.invalidParameterValue, "\"%\" in an address is followed by two hexadecimal digits")
                }
                bytes.append(high << 4 | low)
            } else {
                bytes.append(byte)
            }
        }
        guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw SQLError(.characterNotInRepertoire, "a parameter of the address is not UTF-8")
        }
        return text
    }

    /// A name as SQL writes it, whatever it holds.
    static func quoted(_ name: String) -> String {
        "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    /// `schema.name` or `name`, as SQL writes it.
    static func place(_ name: String) -> String {
        name.split(separator: ".", omittingEmptySubsequences: false).map { quoted(String($0)) }.joined(separator: ".")
    }

    /// An instant, microseconds since 1970: milliseconds as a number, or a date and a time, in UTC unless it says otherwise.
    static func instant(_ name: String, _ text: String) throws(SQLError) -> Int64 {
        if let millis = Int64(text), millis >= 0 {
            let (micros, overflow) = millis.multipliedReportingOverflow(by: 1000)
            if !overflow { return micros }
        }
        guard case .timestamptz(let micros)? = try? Value.text(text).cast(to: .timestamptz, context: EvaluationContext()) else {
            throw SQLError(
                .invalidParameterValue, "\(name) is an instant, not \"\(text)\"",
                hint: "Such as 2026-01-31T12:00:00Z, or milliseconds since 1970.")
        }
        return micros
    }

    static func json(_ sink: ByteSink, status: Int = 200) -> HTTPResponse {
        HTTPResponse(status: status, headers: [("Content-Type", "application/json")], body: [UInt8](sink.bytes))
    }

    /// `{"error":{"sqlstate","message",…}}`, with the status that fits the SQLSTATE unless another is given.
    static func response(_ error: SQLError, status given: Int? = nil) -> HTTPResponse {
        let sink = ByteSink()
        sink.append("{\"error\":")
        append(error, to: sink)
        sink.append("}\n")
        return json(sink, status: given ?? status(error.state))
    }

    static func append(_ error: SQLError, to sink: ByteSink) {
        sink.append("{\"sqlstate\":")
        sink.append(jsonString: error.state.code)
        sink.append(",\"message\":")
        sink.append(jsonString: error.message)
        if let detail = error.detail {
            sink.append(",\"detail\":")
            sink.append(jsonString: detail)
        }
        if let hint = error.hint {
            sink.append(",\"hint\":")
            sink.append(jsonString: hint)
        }
        if let position = error.position {
            sink.append(",\"position\":")
            sink.append(decimal: Int64(position))
        }
        sink.append("}")
    }

    private static func status(_ state: SQLState) -> Int {
        switch state {
        case .undefinedTable, .undefinedObject: return 404
        case .insufficientPrivilege: return 403
        case .invalidAuthorization, .invalidPassword: return 401
        case .uniqueViolation, .serializationFailure, .duplicateTable, .duplicateObject: return 409
        case .queryCanceled, .diskFull, .outOfMemory, .configurationLimitExceeded: return 503
        case .programLimitExceeded: return 413
        case .internalError, .dataCorrupted, .ioError: return 500
        default: return 400
        }
    }
}
