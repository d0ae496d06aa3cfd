internal import MartletCore

/// Messages of a session that is ready, and the simple protocol.
extension Conversation {
    func handle(_ message: FrontendMessage) -> Progress {
        if copyIn != nil { return handleInCopy(message) }
        switch message {
        case .terminate:
            close()
            return .closed
        case .sync:
            sync()
            return .idle
        // After COPY failed, its data is still on the way.
        case .copyData, .copyDone, .copyFail: return .idle
        case .response: return fatal(WireError.fatal("a password was not asked for"))
        case .query, .functionCall, .parse, .bind, .describe, .execute, .close, .flush: break
        }
        if isSkipping { return .idle }
        switch message {
        case .query(let text): return query(text)
        case .functionCall:
            failSimple(SQLError(.featureNotSupported, "function calls of the protocol are not supported", hint: "Use SELECT."))
            return .idle
        default: return handleExtended(message)
        }
    }

    private func query(_ text: String) -> Progress {
        guard let session else { return .closed }
        session.keep(nil, named: "")
        if let unnamed = portals.removeValue(forKey: "") { close(unnamed) }
        do throws(SQLError) {
            let parts = try session.split(text)
            simple = SimpleQuery(text: text, parts: parts)
            if parts.isEmpty { writer.message("I") }
            return advance()
        } catch {
            failSimple(error)
            return .idle
        }
    }

    /// Goes on until there is nothing to do, the output is full, or rows are awaited.
    func advance() -> Progress {
        while true {
            if delivery != nil {
                if !deliver() { return .waiting }
            } else if copyIn != nil {
                return .idle
            } else if simple != nil {
                nextStatement()
            } else {
                return .idle
            }
            if output.count >= limits.outputBytes, delivery != nil || simple != nil { return .full }
        }
    }

    /// Begins the next statement of the text, or ends it.
    private func nextStatement() {
        guard let session, let query = simple else { return }
        guard query.next < query.parts.count else {
            do throws(SQLError) {
                if !query.isEnded { try session.endImplicit(failed: false) }
                simple = nil
                endTransactionsPortals()
                ready()
            } catch {
                failSimple(error)
            }
            return
        }
        simple?.next += 1
        let part = query.parts[query.next]
        do throws(SQLError) {
            let statement = try session.prepare(part.text, parameterTypes: [])
            if statement.isEmpty { return writer.message("I") }
            guard statement.parameterTypes.isEmpty else { throw SQLError(.undefinedParameter, "there is no parameter $1") }
            begin(try session.execute(statement, parameters: []), portal: nil, rowsMax: 0)
        } catch {
            var error = error
            if let position = error.position {
                error.position = position + query.text.utf8.prefix(part.offset).count { $0 & 0xC0 != 0x80 }
            }
            failSimple(error)
        }
    }

    /// Begins to answer with what an execution gave.
    func begin(_ outcome: WireOutcome, portal: Portal?, rowsMax: Int) {
        switch outcome {
        case .done(let tag): complete(tag, portal)
        case .rows(let rows):
            if portal == nil { writer.rowDescription(rows.columns, formats: .text) }
            delivery = Delivery(rows: rows, form: .data(portal?.formats ?? .text), rowsMax: rowsMax, portal: portal)
        case .copyOut(let format, let rows):
            writer.copyResponse("H", isBinary: format.kind == .binary, columns: rows.columns.count)
            let copy = CopyWriter(format)
            // Binary's header goes out with the first row.
            if format.hasHeader, format.kind != .binary { writer.message("d") { copy.writeHeader(rows.columns.map(\.name), to: output) } }
            delivery = Delivery(rows: rows, form: .copy(format), rowsMax: 0, portal: portal)
        case .copyIn(let format, let receiver):
            portal?.state = .done
            reportNotices()
            writer.copyResponse("G", isBinary: format.kind == .binary, columns: receiver.columnCount)
            copyIn = CopyIn(reader: CopyReader(format, rowBytesMax: limits.copyRowBytesMax), receiver: receiver)
        }
    }

    /// Some rows, or what comes after them. False: none are there yet.
    private func deliver() -> Bool {
        guard var current = delivery else { return true }
        var wanted = limits.rowsAtOnce
        if current.rowsMax > 0 { wanted = min(wanted, current.rowsMax - current.sent) }
        do throws(SQLError) {
            switch try current.rows.write(rowsMax: wanted, as: current.form, to: writer) {
            case .waiting: return false
            case .rows(let count):
                current.sent += count
                delivery = current
                if current.rowsMax > 0, current.sent >= current.rowsMax { suspend(current) }
            case .end:
                delivery = nil
                if case .copy(let format) = current.form {
                    if format.kind == .binary { writer.message("d") { CopyWriter(format).writeTrailer(rows: current.sent, to: output) } }
                    writer.message("c")
                }
                let tag = current.rows.tag(rows: UInt64(current.sent))
                current.rows.close()
                complete(tag, current.portal)
            }
        } catch {
            delivery = nil
            current.rows.close()
            current.portal?.state = .done
            fail(error)
        }
        return true
    }

    private func suspend(_ current: Delivery) {
        delivery = nil
        current.portal?.state = .suspended(current.rows, current.form)
        reportNotices()
        writer.message("s")
    }

    /// A statement is carried out. The last one of a simple query is said to be only after its transaction has ended, since
    /// that may fail.
    func complete(_ tag: String, _ portal: Portal?) {
        portal?.state = .done
        if let query = simple, query.next == query.parts.count {
            do throws(SQLError) {
                try session?.endImplicit(failed: false)
                simple?.isEnded = true
            } catch {
                return failSimple(error)
            }
        }
        reportNotices()
        writer.commandComplete(tag)
    }

    // MARK: Errors

    /// By the protocol at hand.
    func fail(_ error: SQLError) {
        if simple != nil { failSimple(error) } else { failExtended(error) }
    }

    /// Ends a simple query.
    func failSimple(_ error: SQLError) {
        simple = nil
        report(error)
        endTransactionsPortals()
        ready()
    }

    /// Skips until Sync.
    func failExtended(_ error: SQLError) {
        isSkipping = true
        hasFailed = true
        report(error)
    }

    private func report(_ error: SQLError) {
        reportNotices()
        // What was begun is given up at once, so that nothing is held until a Sync that may never come.
        try? session?.endImplicit(failed: true)
        writer.error(error)
    }

    /// Portals end with their transaction.
    func endTransactionsPortals() {
        if session?.transaction == .idle { closePortals() }
    }

    // MARK: COPY … FROM STDIN

    private func handleInCopy(_ message: FrontendMessage) -> Progress {
        guard let copy = copyIn else { return .idle }
        do throws(SQLError) {
            switch message {
            case .copyData(let bytes):
                try copy.reader.feed(bytes, to: copy.receiver)
                return .idle
            case .copyDone:
                try copy.reader.finish(to: copy.receiver)
                let tag = try copy.receiver.finish()
                copyIn = nil
                complete(tag, nil)
            case .copyFail(let reason): throw SQLError(.queryCanceled, "COPY from stdin failed: \(reason)")
            // Sent together with Execute, before it was known that this would be COPY.
            case .flush, .sync: return .idle
            case .terminate:
                close()
                return .closed
            case .query, .parse, .bind, .describe, .execute, .close, .response, .functionCall:
                return fatal(WireError.fatal("unexpected message during COPY from stdin"))
            }
        } catch {
            copyIn = nil
            copy.receiver.fail(error.message)
            var located = error
            if case .copyData = message {
                located.detail = "COPY, line \(copy.reader.rows)" + (error.detail.map { ", " + $0 } ?? "")
            }
            fail(located)
        }
        return advance()
    }
}
