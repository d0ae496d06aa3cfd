/// What a session is in, as the wire tells its client.
package enum TransactionStatus: Sendable { case idle, open, failed }

/// A message beside results: NOTICE, WARNING, INFO.
package struct SQLNotice: Sendable {
    package var severity: String
    package var error: SQLError

    package init(severity: String, _ error: SQLError) {
        self.severity = severity
        self.error = error
    }
}

/// How COPY writes rows. Defaults as in PostgreSQL's text format.
package struct CopyFormat: Sendable {
    package enum Kind: Sendable { case text, csv, binary }
    package var kind = Kind.text
    package var delimiter = UInt8(ascii: "\t")
    package var null = "\\N"
    package var quote = UInt8(ascii: "\"")
    package var escape = UInt8(ascii: "\"")
    package var hasHeader = false

    package init() {}
}
