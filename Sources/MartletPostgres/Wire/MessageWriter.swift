package import MartletCore

/// What the server tells, as bytes at the end of a sink.
package struct MessageWriter {
    package let sink: ByteSink

    package init(_ sink: ByteSink) { self.sink = sink }

    /// A message of `type` whose body `body` writes; its length is filled in afterwards.
    @inline(__always)
    package func message(_ type: Unicode.Scalar, _ body: () -> Void = {}) {
        let start = begin(type)
        body()
        end(start)
    }

    /// For bodies that may fail: `end(begin(…))` around them.
    @inline(__always)
    package func begin(_ type: Unicode.Scalar) -> Int {
        sink.append(UInt8(truncatingIfNeeded: type.value))
        sink.append(big: Int32(0))
        return sink.count &- 4
    }

    @inline(__always)
    package func end(_ start: Int) { sink.overwrite(big: Int32(clamping: sink.count &- start), at: start) }

    package func string(_ text: String) {
        // A zero byte would end it early; no name or message of ours holds one.
        sink.append(text: text)
        sink.append(0)
    }

    // MARK: Start-up

    package func authenticationOk() { message("R") { sink.append(big: Int32(0)) } }

    package func authenticationSASL(_ mechanisms: [String]) {
        message("R") {
            sink.append(big: Int32(10))
            for mechanism in mechanisms { string(mechanism) }
            sink.append(0)
        }
    }

    /// `step`: 11 goes on, 12 ends.
    package func authenticationSASL(step: Int32, _ data: String) {
        message("R") {
            sink.append(big: step)
            sink.append(text: data)
        }
    }

    package func negotiateProtocol(minor: Int, unknownOptions: [String]) {
        message("v") {
            sink.append(big: Int32(3 << 16 | minor))
            sink.append(big: Int32(clamping: unknownOptions.count))
            for option in unknownOptions { string(option) }
        }
    }

    package func parameterStatus(_ name: String, _ value: String) {
        message("S") {
            string(name)
            string(value)
        }
    }

    package func backendKey(processID: Int32, key: some Sequence<UInt8>) {
        message("K") {
            sink.append(big: processID)
            for byte in key { sink.append(byte) }
        }
    }

    package func readyForQuery(_ status: TransactionStatus) {
        message("Z") {
            switch status {
            case .idle: sink.append(UInt8(ascii: "I"))
            case .open: sink.append(UInt8(ascii: "T"))
            case .failed: sink.append(UInt8(ascii: "E"))
            }
        }
    }

    // MARK: Results

    package func rowDescription(_ columns: [WireColumn], formats: RowFormats) {
        message("T") {
            sink.append(big: Int16(clamping: columns.count))
            for (index, column) in columns.enumerated() {
                string(column.name)
                sink.append(big: column.table)
                sink.append(big: column.attribute)
                sink.append(big: TypeIdentifier.of(column.type))
                sink.append(big: TypeIdentifier.length(of: column.type))
                sink.append(big: TypeIdentifier.modifier(of: column.type))
                sink.append(big: Int16(formats.isBinary(index) ? 1 : 0))
            }
        }
    }

    /// - Parameter declared: what the client said its parameters are (0: nothing). Where that is a name for the same type
    ///   (`varchar` for TEXT), it is told its own word: JDBC insists.
    package func parameterDescription(_ types: [DataType], declared: [UInt32] = []) {
        message("t") {
            sink.append(big: Int16(clamping: types.count))
            for (index, type) in types.enumerated() {
                let own = index < declared.count ? declared[index] : 0
                sink.append(big: own != 0 && TypeIdentifier.type(own) == type ? own : TypeIdentifier.of(type))
            }
        }
    }

    package func commandComplete(_ tag: String) { message("C") { string(tag) } }

    /// CopyInResponse `G` or CopyOutResponse `H`.
    package func copyResponse(_ type: Unicode.Scalar, isBinary: Bool, columns: Int) {
        message(type) {
            sink.append(isBinary ? 1 : 0)
            sink.append(big: Int16(clamping: columns))
            for _ in 0..<Int16(clamping: columns) { sink.append(big: Int16(isBinary ? 1 : 0)) }
        }
    }

    // MARK: Errors

    /// ErrorResponse with the fields S V C M D H P.
    package func error(_ error: SQLError, severity: String = "ERROR") { fields("E", severity, error) }

    /// NoticeResponse.
    package func notice(_ notice: SQLNotice) { fields("N", notice.severity, notice.error) }

    private func fields(_ type: Unicode.Scalar, _ severity: String, _ error: SQLError) {
        message(type) {
            func field(_ name: Unicode.Scalar, _ value: String?) {
                guard let value else { return }
                sink.append(UInt8(truncatingIfNeeded: name.value))
                // Quoted input may hold a zero byte, which would end the field.
                string(value.utf8.contains(0) ? value.split(separator: "\0").joined() : value)
            }
            field("S", severity)
            field("V", severity)
            field("C", error.state.code)
            field("M", error.message)
            field("D", error.detail)
            field("H", error.hint)
            field("P", error.position.map(String.init))
            sink.append(0)
        }
    }
}

/// A column of a result, as RowDescription tells it.
package struct WireColumn: Hashable, Sendable {
    package var name: String
    package var type: DataType
    /// The table it comes from, and its number there; 0 where that is not known.
    package var table: UInt32
    package var attribute: Int16

    package init(name: String, type: DataType, table: UInt32 = 0, attribute: Int16 = 0) {
        self.name = name
        self.type = type
        self.table = table
        self.attribute = attribute
    }
}

/// Which columns of a result are binary: as a client asks in Bind, none (all text), one for all, or one each.
package struct RowFormats: Hashable, Sendable {
    private let codes: [Int16]

    package static let text = RowFormats(checked: [])

    private init(checked codes: [Int16]) { self.codes = codes }

    /// 08P01 where there are neither 0 nor 1 nor `columns`, or a code is neither 0 nor 1.
    package init(_ codes: [Int16], columns: Int) throws(SQLError) {
        guard codes.count <= 1 || codes.count == columns else {
            throw WireError.malformed("bind message has \(codes.count) result formats but query has \(columns) columns")
        }
        for code in codes where code != 0 && code != 1 { throw RowFormats.unsupported(code) }
        self.codes = codes
    }

    package static func unsupported(_ code: Int16) -> SQLError {
        SQLError(.invalidParameterValue, "unsupported format code: \(code)")
    }

    @inline(__always)
    package func isBinary(_ column: Int) -> Bool {
        codes.count == 1 ? codes[0] == 1 : column < codes.count && codes[column] == 1
    }
}
