package import MartletCore

/// One statement, parsed once and bound as often as it is carried out: names may have changed in between, and parameters have
/// values only then.
package struct PreparedText: Sendable {
    /// nil: an empty text.
    private let syntax: StatementSyntax?
    private let bytes: [UInt8]
    /// By ordinal, `$1` first.
    package let parameterTypes: [DataType]
    /// Bound with NULL for each parameter: right in its shape and columns, not in its constants. nil: an empty text.
    package let shape: BoundStatement?
    package let notices: [String]
    /// What whoever creates it is warned of.
    package let warnings: [String]
    /// How often a parameter stands in the text.
    package let parameterPlaces: Int

    /// Parses and binds `text`, which holds at most one statement. `parameterTypes`: what is declared; nil and missing ones are
    /// inferred from where the parameter stands (42P18 where that says nothing is not raised: such a parameter is text).
    package init(
        _ text: String, catalog: any CatalogReader, context: EvaluationContext = .utc, parameterTypes given: [DataType?] = []
    ) throws(SQLError) {
        bytes = Array(text.utf8)
        do throws(SQLError) {
            var parser = try Parser(text)
            parameterPlaces = parser.tokens.count { $0.kind == .parameter }
            syntax = try parser.nextStatement()
            if syntax != nil, try parser.nextStatement() != nil {
                throw SQLError(.syntaxError, "cannot insert multiple commands into a prepared statement")
            }
            guard let syntax else {
                parameterTypes = []
                shape = nil
                notices = []
                warnings = []
                return
            }
            let parameters = Parameters(types: given)
            var binder = Binder(catalog: catalog, context: context)
            binder.parameters = parameters
            shape = try binder.statement(syntax, text: bytes)
            notices = binder.notices + (shape?.advice(in: catalog) ?? [])
            warnings = shape?.warnings(in: catalog) ?? []
            parameterTypes = parameters.types.map { $0 ?? .text }
        } catch {
            throw error.inCharacters(of: text)
        }
    }

    /// The statement with `values` (of `parameterTypes`, or NULL) for its parameters, against the catalog as it is now.
    package func bound(
        _ values: [Value], catalog: any CatalogReader, context: EvaluationContext = .utc
    ) throws(SQLError) -> BoundStatement? {
        guard let syntax else { return nil }
        guard values.count == parameterTypes.count else {
            throw SQLError(
                .protocolViolation, "bind message supplies \(values.count) parameters, but prepared statement requires \(parameterTypes.count)")
        }
        var binder = Binder(catalog: catalog, context: context)
        binder.parameters = Parameters(types: parameterTypes, values: values)
        do throws(SQLError) {
            return try binder.statement(syntax, text: bytes)
        } catch {
            throw error.inCharacters(of: String(decoding: bytes, as: UTF8.self))
        }
    }

    /// The statements of a text, by their byte offsets, without semicolons; empty ones are left out.
    package static func split(_ text: String) throws(SQLError) -> [(offset: Int, text: String)] {
        do throws(SQLError) {
            return try Parser(text).pieces()
        } catch {
            throw error.inCharacters(of: text)
        }
    }
}

extension Parser {
    /// The text between semicolons outside of parentheses.
    fileprivate func pieces() -> [(offset: Int, text: String)] {
        var pieces: [(offset: Int, text: String)] = []
        var first: Token?
        var last: Token?
        for token in tokens {
            if token.kind == .endOfInput || (token.kind == .symbol && token.symbol == .semicolon) {
                if let first, let last {
                    pieces.append((Int(first.start), String(decoding: bytes[Int(first.start)..<Int(last.end)], as: UTF8.self)))
                }
                first = nil
                continue
            }
            if first == nil { first = token }
            last = token
        }
        return pieces
    }
}

extension BoundStatement {
    /// The columns of the rows that it gives; nil: none, or those that its executor makes up (SHOW, EXPLAIN, FETCH).
    package var resultFields: [Field]? {
        switch self {
        case .select(let query): query.fields
        case .session(.insert(let insert)): insert.returning?.fields
        case .session(.update(let update)): update.returning?.fields
        case .session(.delete(let delete)): delete.returning?.fields
        case .explain, .session(.explainAnalyze), .session(.analyze): [Field(name: "QUERY PLAN", type: .text)]
        case .show(let name): [Field(name: name, type: .text)]
        case .createSource, .createView, .createMaterializedView, .createSink, .set, .session, .skipped: nil
        }
    }
}

extension BoundStatement {
    /// What it keeps running; nil: nothing.
    private var runningPlan: Plan? {
        switch self {
        case .createMaterializedView(let view): view.plan
        case .createSink(let sink): sink.plan
        case .createSource, .createView, .select, .explain, .set, .show, .session, .skipped: nil
        }
    }

    /// What whoever creates it is warned of.
    package func warnings(in catalog: any CatalogReader) -> [String] {
        runningPlan?.unboundedState(in: catalog).map { "state without bound: \($0)" } ?? []
    }

    /// What whoever creates it may do better.
    package func advice(in catalog: any CatalogReader) -> [String] { runningPlan?.knownViews(in: catalog) ?? [] }
}
