internal import MartletCore

/// Errors of parsing and binding. Inside this target `SQLError.position` is a UTF-8 byte offset into the text plus one;
/// `Script` turns it into PostgreSQL's character offset before anybody else sees the error.
extension SQLError {
    init(_ state: SQLState, _ message: String, at offset: Int, detail: String? = nil, hint: String? = nil) {
        self.init(state, message, detail: detail, hint: hint, position: offset + 1)
    }

    static func syntaxError(_ message: String, at offset: Int, hint: String? = nil) -> SQLError {
        SQLError(.syntaxError, message, at: offset, hint: hint)
    }

    static func notSupported(_ feature: String, at offset: Int, hint: String? = nil) -> SQLError {
        SQLError(.featureNotSupported, "\(feature) is not supported yet", at: offset, hint: hint)
    }

    static func programLimit(_ message: String, at offset: Int) -> SQLError {
        SQLError(.programLimitExceeded, message, at: offset)
    }

    static func tooDeep(at offset: Int) -> SQLError {
        SQLError(
            .statementTooComplex, "statement is nested too deeply", at: offset,
            detail: "At most \(SQLLimits.nestingMax) levels of parentheses and \(SQLLimits.expressionDepthMax) levels of operators are allowed.")
    }

    /// The same error at a byte offset, unless it has a position.
    func located(_ offset: Int) -> SQLError { at(offset + 1) }
}

/// Runs `body`; an error that has no position yet gets `offset`.
@inline(__always)
func locating<T>(_ offset: Int, _ body: () throws(SQLError) -> T) throws(SQLError) -> T {
    do { return try body() } catch { throw error.located(offset) }
}

extension SQLState {
    static let tooManyArguments = SQLState("54023")
    static let invalidFrameOffset = SQLState("22013")
    static let invalidNtileArgument = SQLState("22014")
    static let invalidNthValueArgument = SQLState("22016")
}
