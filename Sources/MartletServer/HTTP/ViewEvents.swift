internal import MartletColumns
internal import MartletCore
internal import MartletEngine
internal import MartletPlatform
internal import MartletSQL

/// `GET /v1/views/NAME/changes`: a view's changes as events, each with its tick, weight and operation.
///
/// An event's `id` is the tick and the change's number within it, `42.3`, or a tick alone where everything up to its end was
/// told. So whoever comes back with the last one (`Last-Event-ID`) misses nothing and gets nothing twice.
final class ViewEvents: EventSource {
    private let session: any SQLSession
    private let cursor: any RowCursor
    private let writer: JSONRowWriter
    private let columns: Int
    private let showsProgress: Bool
    private let lines = ByteSink()

    /// What the client missed for good, to be told first.
    private var gap: SQLError?
    private var isLive = false
    private var hasSnapshotBegun = false
    /// The client has an id to come back with.
    private var hasToldPlace = false
    private var tick: UInt64 = 0
    /// Changes of `tick` so far.
    private var number = 0
    /// Of the tick that the client had seen in part, how many changes it had.
    private let seen: Place?
    /// The last tick of which everything was told, and whether the client knows.
    private var completed: UInt64 = 0
    private var isCompletedTold = true

    /// A place among changes, as ids have it.
    struct Place: Equatable {
        var tick: UInt64
        /// Changes of the tick that were seen; nil: all of them.
        var changes: Int?

        init?(_ text: String) {
            let parts = text.split(separator: ".", omittingEmptySubsequences: false)
            guard let tick = parts.first.flatMap({ UInt64($0) }), parts.count <= 2 else { return nil }
            self.tick = tick
            guard parts.count == 2 else { return }
            guard let changes = Int(parts[1]), changes >= 0 else { return nil }
            self.changes = changes
        }

        /// The last tick that need not be told again at all.
        var since: UInt64 { changes == nil ? tick : tick &- min(tick, 1) }
    }

    /// Options: `snapshot=false` begins with the next change, `since=PLACE` behind a place, `progress=true` tells of every tick.
    init(_ service: any SQLService, _ name: String, _ request: HTTPRequest) throws(SQLError) {
        var hasSnapshot = true
        var shows = false
        var since: Place?
        for (option, value) in try HTTPQuestion.parameters(request.query) {
            switch option {
            case "snapshot": hasSnapshot = try ViewEvents.flag(option, value)
            case "progress": shows = try ViewEvents.flag(option, value)
            case "since":
                guard let place = Place(value) else {
                    throw SQLError(.invalidParameterValue, "since is a tick, or the id of an event, not \"\(value)\"")
                }
                since = place
            default: throw SQLError(.invalidParameterValue, "changes take snapshot, since and progress, not \"\(option)\"")
            }
        }
        // What a browser says when it comes back is newer than the address it was given.
        let resumed = request.header("Last-Event-ID").flatMap { Place($0) }
        let session = try service.open(HTTPSQL.client)
        var opened: (any RowCursor)?
        var missed: SQLError?
        do throws(SQLError) {
            do throws(SQLError) {
                opened = try ViewEvents.subscribe(session, name, resumed ?? since, hasSnapshot)
            } catch {
                // They are gone, or are of other columns.
                guard resumed != nil, error.state == .configurationLimitExceeded || error.state == .featureNotSupported else { throw error }
                missed = error
                opened = try ViewEvents.subscribe(session, name, nil, true)
            }
        } catch {
            session.close()
            throw error
        }
        guard let opened else { throw SQLError(.internalError, "a subscription without rows") }
        self.session = session
        cursor = opened
        gap = missed
        seen = missed == nil ? resumed ?? since : nil
        showsProgress = shows
        // Before them: the tick and the weight.
        let fields = opened.fields.dropFirst(2)
        columns = fields.count
        writer = JSONRowWriter(names: fields.map(\.name), types: fields.map(\.type))
        isLive = missed == nil && (seen != nil || !hasSnapshot)
    }

    private static func flag(_ option: String, _ value: String) throws(SQLError) -> Bool {
        switch value {
        case "", "true", "1": return true
        case "false", "0": return false
        default: throw SQLError(.invalidParameterValue, "\(option) is true or false, not \"\(value)\"")
        }
    }

    private static func subscribe(
        _ session: any SQLSession, _ name: String, _ since: Place?, _ hasSnapshot: Bool
    ) throws(SQLError) -> any RowCursor {
        var options = ["progress = true"]
        if let since {
            options.append("since = \(since.since)")
        } else {
            options.append("snapshot = \(hasSnapshot)")
        }
        let text = "SUBSCRIBE TO \(HTTPQuestion.place(name)) WITH (\(options.joined(separator: ", ")))"
        do throws(SQLError) {
            guard case .copyOut(_, let cursor) = try session.execute(try session.prepare(text, parameterTypes: []), parameters: []) else {
                throw SQLError(.internalError, "a subscription without rows")
            }
            return cursor
        } catch {
            var plain = error
            plain.position = nil
            throw plain
        }
    }

    // MARK: EventSource

    func next(into events: ByteSink) throws(SQLError) -> Bool {
        if let error = gap {
            ServerSentEvent.append("gap", error, to: events)
            gap = nil
        }
        guard let batch = try cursor.next(rowsMax: 512) else { throw SQLError(.undefinedTable, "the subscription has ended") }
        guard batch.count > 0 else { return false }
        let rows = Batch(count: batch.count, columns: Array(batch.columns.dropFirst(2)))
        lines.clear()
        writer.write(rows, into: lines)
        let text = lines.bytes
        var start = 0
        for row in 0..<batch.count {
            // A line feed is in a row's text only as an escape, so each one ends a row.
            let end = text[start...].firstIndex(of: UInt8(ascii: "\n")) ?? text.count
            let of = UInt64(clamping: batch.columns[0].int64s[row])
            if batch.columns[1].isNull(row) {
                progress(of, into: events)
            } else {
                change(of, batch.columns[1].int64s[row], UnsafeRawBufferPointer(rebasing: text[start..<end]), into: events)
            }
            start = end + 1
        }
        return true
    }

    /// Everything up to the tick was told.
    private func progress(_ tick: UInt64, into events: ByteSink) {
        if let seen, tick < seen.tick { return }
        completed = tick
        isCompletedTold = false
        if !isLive {
            if !hasSnapshotBegun { beginSnapshot(tick, into: events) }
            isLive = true
            events.append("event: live\n")
            tell(tick, into: events)
        } else if showsProgress {
            events.append("event: progress\n")
            tell(tick, into: events)
        } else if !hasToldPlace {
            tell(nil, into: events)
        }
        hasToldPlace = true
    }

    private func beginSnapshot(_ tick: UInt64, into events: ByteSink) {
        hasSnapshotBegun = true
        events.append("event: snapshot\ndata: {\"tick\":")
        events.append(decimal: Int64(clamping: tick))
        events.append("}\n\n")
    }

    /// The id of `completed`, and, with a tick, an event's data.
    private func tell(_ tick: UInt64?, into events: ByteSink) {
        events.append("id: ")
        events.append(decimal: Int64(clamping: completed))
        if let tick {
            events.append("\ndata: {\"tick\":")
            events.append(decimal: Int64(clamping: tick))
            events.append("}")
        }
        events.append("\n\n")
        isCompletedTold = true
    }

    private func change(_ tick: UInt64, _ weight: Int64, _ row: UnsafeRawBufferPointer, into events: ByteSink) {
        if tick != self.tick {
            self.tick = tick
            number = 0
        }
        number += 1
        if let seen, seen.tick == tick, number <= seen.changes ?? .max { return }
        if isLive {
            events.append("id: ")
            events.append(decimal: Int64(clamping: tick))
            events.append(".")
            events.append(decimal: Int64(number))
            events.append("\n")
        } else if !hasSnapshotBegun {
            beginSnapshot(tick, into: events)
        }
        events.append("data: {\"tick\":")
        events.append(decimal: Int64(clamping: tick))
        events.append(",\"weight\":")
        events.append(decimal: weight)
        events.append(weight < 0 ? ",\"op\":\"delete\",\"row\":" : ",\"op\":\"insert\",\"row\":")
        events.append(row)
        events.append("}\n\n")
    }

    func whenReady(_ wake: @escaping @Sendable () -> Void) { cursor.whenReady(wake) }

    func beat(into events: ByteSink) {
        // An id alone is no event, and moves the place from which the client would go on.
        if isCompletedTold { events.append(": alive\n\n") } else { tell(nil, into: events) }
    }

    func close() {
        cursor.close()
        session.close()
    }
}
