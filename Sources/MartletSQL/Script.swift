package import MartletCore

/// SQL texts bound in order, each statement's objects entering the catalog for the next.
package enum Script {
    /// A text with the name errors call it by (a file, or "query").
    package struct Input: Sendable {
        package var name: String
        package var text: String
        package init(name: String, text: String) {
            self.name = name
            self.text = text
        }
    }

    /// An error with the text it points into.
    package struct Failure: Error, Sendable, CustomStringConvertible {
        package var error: SQLError
        package var source: String
        package var text: String

        /// As `SQLError.render`.
        package var description: String { error.render(source: source, text: text) }
    }

    /// Parses and binds all of `inputs`. `catalog` gains their objects, or stays as it was where an error is thrown.
    package static func bind(
        _ inputs: [Input], into catalog: inout SQLCatalog, context: EvaluationContext = .utc
    ) throws(Failure) -> [BoundStatement] {
        var copy = catalog
        var result: [BoundStatement] = []
        for input in inputs {
            do {
                result += try bind(input.text, into: &copy, context: context)
            } catch {
                throw Failure(error: error, source: input.name, text: input.text)
            }
        }
        catalog = copy
        return result
    }

    /// The binder's copy of the catalog ends with the call, so that defining the result need not copy it.
    private static func bound(
        _ syntax: StatementSyntax, _ bytes: [UInt8], _ catalog: SQLCatalog, _ context: EvaluationContext
    ) throws(SQLError) -> BoundStatement {
        var binder = Binder(catalog: catalog, context: context)
        return try binder.statement(syntax, text: bytes)
    }

    /// One text. Positions in errors and definitions are 1-based character offsets into it, as PostgreSQL counts.
    package static func bind(
        _ text: String, into catalog: inout SQLCatalog, context: EvaluationContext = .utc
    ) throws(SQLError) -> [BoundStatement] {
        var copy = catalog
        var result: [BoundStatement] = []
        do {
            var parser = try Parser(text)
            while let syntax = try parser.nextStatement() {
                let statement = try bound(syntax, parser.bytes, copy, context)
                try locating(syntax.start) { () throws(SQLError) in try copy.define(statement) }
                result.append(statement)
            }
        } catch {
            throw error.inCharacters(of: text)
        }
        if result.contains(where: \.hasOptions) {
            let characters = CharacterOffsets(text)
            result = result.map { $0.mapOptions(characters.position) }
        }
        catalog = copy
        return result
    }
}

/// Character positions for byte offsets; builds nothing for ASCII texts.
private struct CharacterOffsets {
    private static let stride = 512
    private let bytes: [UInt8]
    /// Characters before each multiple of `stride` bytes; empty for ASCII.
    private var counts: [Int] = []

    init(_ text: String) {
        bytes = Array(text.utf8)
        guard bytes.contains(where: { $0 >= 0x80 }) else { return }
        var count = 0
        for (offset, byte) in bytes.enumerated() {
            if offset % Self.stride == 0 { counts.append(count) }
            if byte & 0xC0 != 0x80 { count += 1 }
        }
    }

    /// 1-based.
    func position(_ byteOffset: Int) -> Int {
        let offset = min(byteOffset, bytes.count)
        guard !counts.isEmpty else { return offset + 1 }
        let block = min(offset / Self.stride, counts.count - 1)
        return counts[block] + bytes[block * Self.stride..<offset].count { $0 & 0xC0 != 0x80 } + 1
    }
}

extension SQLError {
    /// From this target's byte offsets to characters.
    func inCharacters(of text: String) -> SQLError {
        var copy = self
        copy.position = position.map { CharacterOffsets(text).position(max(0, $0 - 1)) }
        return copy
    }
}

extension BoundStatement {
    fileprivate var hasOptions: Bool {
        switch self {
        case .createSource, .createSink, .session(.createTable): true
        case .createView, .createMaterializedView, .select, .explain, .set, .show, .session, .skipped: false
        }
    }

    /// Options with their byte offsets replaced.
    fileprivate func mapOptions(_ position: (Int) -> Int) -> BoundStatement {
        func mapped(_ options: [String: OptionValue]) -> [String: OptionValue] {
            options.mapValues { OptionValue(text: $0.text, position: position($0.position), namePosition: position($0.namePosition)) }
        }
        switch self {
        case .createSource(var source):
            source.options = mapped(source.options)
            source.encode.options = mapped(source.encode.options)
            return .createSource(source)
        case .createSink(var sink):
            sink.options = mapped(sink.options)
            sink.encode.options = mapped(sink.encode.options)
            return .createSink(sink)
        case .session(.createTable(var table, let rows)):
            if let source = table.source, case .createSource(let moved) = BoundStatement.createSource(source).mapOptions(position) {
                table.source = moved
            }
            return .session(.createTable(table, rows: rows))
        case .createView, .createMaterializedView, .select, .explain, .set, .show, .session, .skipped: return self
        }
    }
}
