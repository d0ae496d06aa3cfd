internal import MartletCore

/// The extended protocol: Parse, Bind, Describe, Execute, Close, Sync.
extension Conversation {
    func handleExtended(_ message: FrontendMessage) -> Progress {
        guard let session else { return .closed }
        do throws(SQLError) {
            switch message {
            case .parse(let name, let text, let types): try parse(name, text, types, session)
            case .bind(let bind): try self.bind(bind, session)
            case .describe(.statement, let name):
                let statement = try self.statement(name, session)
                writer.parameterDescription(statement.parameterTypes, declared: declaredTypes[name] ?? [])
                describe(statement.columns, .text)
            case .describe(.portal, let name):
                let portal = try self.portal(name)
                describe(portal.statement.columns, portal.formats)
            case .execute(let name, let rowsMax): try execute(name, rowsMax: max(Int(rowsMax), 0), session)
            case .close(.statement, let name):
                session.keep(nil, named: name)
                declaredTypes[name] = nil
                writer.message("3")
            case .close(.portal, let name):
                if let portal = portals.removeValue(forKey: name) { close(portal) }
                writer.message("3")
            case .flush: break
            case .query, .sync, .terminate, .copyData, .copyDone, .copyFail, .response, .functionCall:
                preconditionFailure("dealt with before")
            }
        } catch {
            failExtended(error)
        }
        return advance()
    }

    /// Whether `frames`, whole ones end to end, do nothing but carry out a few statements that are quick. Whoever sees them
    /// come may then answer them at once, on the thread that has to go on with others' frames.
    package func isQuick(_ frames: UnsafeRawBufferPointer) -> Bool {
        guard let session, isReady, !isSkipping, delivery == nil, copyIn == nil, simple == nil, session.transaction == .idle else {
            return false
        }
        var rest = frames
        var bound: [UnsafeRawBufferPointer] = []
        while let length = FrontendMessage.frameLength(rest), length <= rest.count {
            let body = UnsafeRawBufferPointer(rebasing: rest[FrontendMessage.headerBytes..<length])
            switch rest[0] {
            case UInt8(ascii: "B"):
                var reader = MessageReader(body)
                guard let portal = try? reader.stringBytes(), let name = try? reader.string(), session.statement(named: name)?.isQuick == true
                else { return false }
                bound.append(portal)
            case UInt8(ascii: "E"):
                // Another portal's statement may be of any kind.
                var reader = MessageReader(body)
                guard let portal = try? reader.stringBytes(), bound.contains(where: { $0.elementsEqual(portal) }) else { return false }
            case UInt8(ascii: "D"), UInt8(ascii: "H"), UInt8(ascii: "S"): break
            default: return false
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[length...])
        }
        return rest.isEmpty && !bound.isEmpty && bound.count <= limits.quickMax
    }

    /// Answers what leads in `frames`, whole ones end to end, as long as that is reads of single rows: Bind, maybe Describe, and
    /// Execute, with another Bind or a Sync behind them, so that nobody can name the portal any more and none is made. Gives
    /// how many bytes that were.
    package func answerQuickly(_ frames: UnsafeRawBufferPointer) -> Int {
        guard let session, isReady, !isSkipping, !hasFailed, delivery == nil, copyIn == nil, simple == nil, portals.isEmpty,
            session.transaction == .idle
        else { return 0 }
        var at = 0
        var reads = 0
        while at < frames.count, reads < limits.quickMax, output.count < limits.outputBytes {
            let rest = UnsafeRawBufferPointer(rebasing: frames[at...])
            if reads > 0, rest[0] == UInt8(ascii: "S"), FrontendMessage.frameLength(rest) == FrontendMessage.headerBytes {
                sync()
                at += FrontendMessage.headerBytes
                continue
            }
            guard let count = answerRead(rest, session) else { break }
            at += count
            reads += 1
        }
        return at
    }

    /// One read, and how many bytes asked for it; nil: it is something else, and nothing was written.
    private func answerRead(_ frames: UnsafeRawBufferPointer, _ session: any WireSession) -> Int? {
        guard let read = QuickRead(frames), let name = try? MessageReader.text(read.bind.statement),
            let statement = session.statement(named: name), statement.isQuick, let columns = statement.columns,
            let formats = try? RowFormats(read.bind.resultFormats, columns: columns.count)
        else { return nil }
        let start = output.count
        writer.message("2")
        if read.isDescribed { writer.rowDescription(columns, formats: formats) }
        guard let rows = session.writeQuickly(statement, read.bind, formats, to: writer) else {
            output.truncate(to: start)
            return nil
        }
        writer.commandComplete(rows == 0 ? "SELECT 0" : "SELECT 1")
        return read.bytes
    }

    /// Ends the implicit transaction, and what was skipped after an error.
    func sync() {
        isSkipping = false
        if !hasFailed {
            do throws(SQLError) {
                try session?.endImplicit(failed: false)
            } catch {
                reportNotices()
                writer.error(error)
            }
        }
        hasFailed = false
        endTransactionsPortals()
        ready()
    }

    private func parse(_ name: String, _ text: String, _ types: [UInt32], _ session: any WireSession) throws(SQLError) {
        if name.isEmpty {
            session.keep(nil, named: "")
        } else {
            guard session.statement(named: name) == nil else {
                throw SQLError(SQLState("42P05"), "prepared statement \"\(name)\" already exists")
            }
            guard session.statementCount() < limits.statementsMax else {
                throw SQLError(.programLimitExceeded, "a session has at most \(limits.statementsMax) prepared statements")
            }
        }
        let statement = try session.prepare(text, parameterTypes: types.map(TypeIdentifier.type))
        session.keep(statement, named: name)
        declaredTypes[name] = types.contains { $0 != 0 } ? types : nil
        reportNotices()
        writer.message("1")
    }

    private func bind(_ bind: BindMessage, _ session: any WireSession) throws(SQLError) {
        let statement = try self.statement(bind.statement, session)
        let types = statement.parameterTypes
        let count = bind.parameters.count
        guard bind.parameterFormats.count <= 1 || bind.parameterFormats.count == count else {
            throw WireError.malformed("bind message has \(bind.parameterFormats.count) parameter formats but \(count) parameters")
        }
        guard count == types.count else {
            throw WireError.malformed(
                "bind message supplies \(count) parameters, but prepared statement \"\(bind.statement)\" requires \(types.count)")
        }
        if bind.portal.isEmpty {
            if let old = portals.removeValue(forKey: "") { close(old) }
        } else if portals[bind.portal] != nil {
            throw SQLError(SQLState("42P03"), "cursor \"\(bind.portal)\" already exists")
        } else if portals.count >= limits.portalsMax {
            throw SQLError(.programLimitExceeded, "a session has at most \(limits.portalsMax) portals")
        }
        var values: [Value] = []
        values.reserveCapacity(count)
        if count > 0 {
            let context = session.evaluation
            for (index, bytes) in bind.parameters.enumerated() {
                let format = bind.parameterFormats.isEmpty ? 0 : bind.parameterFormats[bind.parameterFormats.count == 1 ? 0 : index]
                values.append(try Conversation.parameter(bytes, format, types[index], context))
            }
        }
        let formats = try RowFormats(bind.resultFormats, columns: statement.columns?.count ?? 0)
        portals[bind.portal] = Portal(statement, values, formats)
        writer.message("2")
    }

    private static func parameter(
        _ bytes: UnsafeRawBufferPointer?, _ format: Int16, _ type: DataType, _ context: EvaluationContext
    ) throws(SQLError) -> Value {
        guard let bytes else { return .null }
        switch format {
        case 0:
            let text = try MessageReader.text(bytes)
            return type == .text ? .text(text) : try Value.text(text).cast(to: type, context: context)
        case 1: return try BinaryValue.read(bytes, as: type)
        default: throw RowFormats.unsupported(format)
        }
    }

    private func execute(_ name: String, rowsMax: Int, _ session: any WireSession) throws(SQLError) {
        let portal = try self.portal(name)
        switch portal.state {
        case .ready:
            if portal.statement.isEmpty {
                portal.state = .done
                return writer.message("I")
            }
            let before = session.transaction
            let outcome = try session.execute(portal.statement, parameters: portal.parameters)
            begin(outcome, portal: portal, rowsMax: rowsMax)
            // COMMIT or ROLLBACK: the others' transaction is over.
            if before != .idle, session.transaction == .idle, delivery == nil { closePortals() }
        case .suspended(let rows, let form):
            portal.state = .ready
            delivery = Delivery(rows: rows, form: form, rowsMax: rowsMax, portal: portal)
        case .done: throw SQLError(SQLState("55000"), "portal \"\(name)\" cannot be run")
        }
    }

    private func describe(_ columns: [WireColumn]?, _ formats: RowFormats) {
        if let columns { writer.rowDescription(columns, formats: formats) } else { writer.message("n") }
    }

    private func statement(_ name: String, _ session: any WireSession) throws(SQLError) -> any WireStatement {
        if let statement = session.statement(named: name) { return statement }
        throw SQLError(
            SQLState("26000"), name.isEmpty ? "unnamed prepared statement does not exist" : "prepared statement \"\(name)\" does not exist")
    }

    private func portal(_ name: String) throws(SQLError) -> Portal {
        if let portal = portals[name] { return portal }
        throw SQLError(SQLState("34000"), "portal \"\(name)\" does not exist")
    }
}
