/// A PostgreSQL error code: five characters, of which the first two name the class.
package struct SQLState: Hashable, Sendable, CustomStringConvertible {
    package let code: String
    package init(_ code: String) { self.code = code }
    package var description: String { code }

    package static let successfulCompletion = SQLState("00000")
    package static let warning = SQLState("01000")
    package static let connectionException = SQLState("08000")
    package static let protocolViolation = SQLState("08P01")
    package static let featureNotSupported = SQLState("0A000")
    package static let dataException = SQLState("22000")
    package static let stringDataRightTruncation = SQLState("22001")
    package static let numericValueOutOfRange = SQLState("22003")
    package static let nullValueNotAllowed = SQLState("22004")
    package static let invalidDatetimeFormat = SQLState("22007")
    package static let datetimeFieldOverflow = SQLState("22008")
    package static let invalidTimeZoneDisplacementValue = SQLState("22009")
    package static let substringError = SQLState("22011")
    package static let divisionByZero = SQLState("22012")
    package static let intervalFieldOverflow = SQLState("22015")
    package static let invalidEscapeSequence = SQLState("22025")
    package static let invalidEscapeCharacter = SQLState("22019")
    package static let invalidArgumentForLogarithm = SQLState("2201E")
    package static let invalidArgumentForPowerFunction = SQLState("2201F")
    package static let invalidArgumentForWidthBucket = SQLState("2201G")
    package static let characterNotInRepertoire = SQLState("22021")
    package static let arraySubscriptError = SQLState("2202E")
    package static let arrayElementError = SQLState("2202E")
    package static let invalidRegularExpression = SQLState("2201B")
    package static let singletonSQLJSONItemRequired = SQLState("22038")
    package static let sqlJSONMemberNotFound = SQLState("2203A")
    package static let sqlJSONNumberNotFound = SQLState("2203B")
    package static let sqlJSONArrayNotFound = SQLState("22039")
    package static let sqlJSONObjectNotFound = SQLState("2203C")
    package static let sqlJSONScalarRequired = SQLState("2203F")
    package static let invalidSQLJSONSubscript = SQLState("22033")
    package static let moreThanOneSQLJSONItem = SQLState("22034")
    package static let sqlJSONItemCannotBeCast = SQLState("2203G")
    package static let invalidParameterValue = SQLState("22023")
    package static let invalidTextRepresentation = SQLState("22P02")
    package static let invalidBinaryRepresentation = SQLState("22P03")
    package static let untranslatableCharacter = SQLState("22P05")
    package static let nonNumericSQLJSONItem = SQLState("22036")
    package static let integrityConstraintViolation = SQLState("23000")
    package static let notNullViolation = SQLState("23502")
    package static let checkViolation = SQLState("23514")
    package static let uniqueViolation = SQLState("23505")
    package static let invalidCursorState = SQLState("24000")
    package static let invalidTransactionState = SQLState("25000")
    package static let invalidAuthorization = SQLState("28000")
    package static let invalidPassword = SQLState("28P01")
    package static let invalidCatalogName = SQLState("3D000")
    package static let invalidSchemaName = SQLState("3F000")
    package static let serializationFailure = SQLState("40001")
    package static let syntaxError = SQLState("42601")
    package static let invalidName = SQLState("42602")
    package static let invalidColumnDefinition = SQLState("42611")
    package static let nameTooLong = SQLState("42622")
    package static let duplicateColumn = SQLState("42701")
    package static let ambiguousColumn = SQLState("42702")
    package static let undefinedColumn = SQLState("42703")
    package static let undefinedObject = SQLState("42704")
    package static let duplicateObject = SQLState("42710")
    package static let duplicateAlias = SQLState("42712")
    package static let ambiguousFunction = SQLState("42725")
    package static let groupingError = SQLState("42803")
    package static let datatypeMismatch = SQLState("42804")
    package static let wrongObjectType = SQLState("42809")
    package static let cannotCoerce = SQLState("42846")
    package static let undefinedFunction = SQLState("42883")
    package static let undefinedTable = SQLState("42P01")
    package static let undefinedParameter = SQLState("42P02")
    package static let duplicateTable = SQLState("42P07")
    package static let ambiguousParameter = SQLState("42P08")
    package static let ambiguousAlias = SQLState("42P09")
    package static let invalidColumnReference = SQLState("42P10")
    package static let invalidTableDefinition = SQLState("42P16")
    package static let windowingError = SQLState("42P20")
    package static let indeterminateDatatype = SQLState("42P18")
    package static let insufficientPrivilege = SQLState("42501")
    package static let diskFull = SQLState("53100")
    package static let outOfMemory = SQLState("53200")
    package static let configurationLimitExceeded = SQLState("53400")
    package static let programLimitExceeded = SQLState("54000")
    package static let statementTooComplex = SQLState("54001")
    package static let tooManyColumns = SQLState("54011")
    package static let tooManyArguments = SQLState("54023")
    package static let objectInUse = SQLState("55006")
    package static let queryCanceled = SQLState("57014")
    package static let ioError = SQLState("58030")
    package static let undefinedFile = SQLState("58P01")
    package static let internalError = SQLState("XX000")
    package static let dataCorrupted = SQLState("XX001")
}

/// What a user is told when a statement or a row cannot be processed, in PostgreSQL's parts.
package struct SQLError: Error, Hashable, Sendable, CustomStringConvertible {
    package var state: SQLState
    /// One sentence without a full stop, in PostgreSQL's words where PostgreSQL has them.
    package var message: String
    package var detail: String?
    package var hint: String?
    /// 1-based offset of the offending character (not byte) in the statement; draws psql's caret.
    package var position: Int?

    package init(
        _ state: SQLState, _ message: String, detail: String? = nil, hint: String? = nil, position: Int? = nil
    ) {
        self.state = state
        self.message = message
        self.detail = detail
        self.hint = hint
        self.position = position
    }

    /// The same error, pointing into the statement unless it already does.
    package func at(_ position: Int?) -> SQLError {
        var copy = self
        if copy.position == nil { copy.position = position }
        return copy
    }

    package var description: String { "\(state.code): \(message)" }
}

extension SQLError {
    package static let divisionByZero = SQLError(.divisionByZero, "division by zero")

    package static func outOfRange(_ type: DataType) -> SQLError {
        SQLError(.numericValueOutOfRange, "\(type.withoutModifiers.sqlName) out of range")
    }

    package static func invalidText(_ text: String, for type: DataType) -> SQLError {
        SQLError(.invalidTextRepresentation, "invalid input syntax for type \(type.withoutModifiers.sqlName): \"\(text)\"")
    }

    package static func textOutOfRange(_ text: String, for type: DataType) -> SQLError {
        SQLError(
            .numericValueOutOfRange, "value \"\(text)\" is out of range for type \(type.withoutModifiers.sqlName)")
    }
}
