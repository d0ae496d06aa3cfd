internal import MartletColumns
internal import MartletCore
internal import MartletEngine
internal import MartletPlatform
internal import MartletSQL
internal import Synchronization

/// Views that were asked by their key. What services ask thousands of times a second is understood the first time, in a
/// session; from then on the row is looked up and written on the listener's own thread, as long as the catalog stays what
/// it was. What goes wrong, or is more than a key, is answered in a session like everything else.
final class KeyedViews: Sendable {
    private struct View {
        let relation: RelationFacts
        let read: KeyedRead
        let types: [DataType]
        let zone: TimeZone
        let writer: JSONRowWriter
        /// What comes before the row.
        let head: [UInt8]
    }

    /// Sound: writers are used under the lock.
    private struct Known: @unchecked Sendable { var views: [String: View] = [:] }

    /// Names of views that are no more are forgotten with all the others.
    private static let viewsMax = 1_000

    private let known = Mutex(Known())

    /// Of a view that was asked by its key. In a session that has no transaction open.
    func learn(_ relation: RelationFacts, _ session: any SQLSession) {
        guard KeyedRead.takes(relation.key.map { relation.fields[$0].type }),
            let statement = try? session.prepare(ViewQuestion.keyedText(relation), parameterTypes: []),
            let read = session.keyedRead(statement), let fields = statement.fields
        else { return }
        let head = ByteSink()
        HTTPSQL.beginRows(fields, to: head)
        let view = View(
            relation: relation, read: read, types: statement.parameterTypes, zone: session.evaluation.zone,
            writer: JSONRowWriter(names: fields.map(\.name), types: fields.map(\.type)), head: [UInt8](head.bytes))
        let box = Box(view: view)
        known.withLock { known in
            if known.views.count >= KeyedViews.viewsMax { known.views = [:] }
            known.views[relation.name] = box.view
        }
    }

    /// Sound: it is handed over.
    private struct Box: @unchecked Sendable { let view: View }

    /// The answer to a request whose path is `/v1/views/NAME`; nil: it is to be answered in a session. Waits for nothing.
    func answer(_ name: String, _ request: HTTPRequest) -> HTTPResponse? {
        guard request.method == "GET" || request.method == "HEAD" else { return nil }
        return known.withLock { known in
            guard let view = known.views[name] else { return nil }
            guard view.read.isCurrent else {
                known.views[name] = nil
                return nil
            }
            guard let given = try? HTTPQuestion.parameters(request.query),
                let texts = try? ViewQuestion(name, given, view.relation).keyValues
            else { return nil }
            var values: [Value] = []
            let context = EvaluationContext(zone: view.zone)
            for (text, type) in zip(texts, view.types) {
                guard let value = try? Value.text(text).cast(to: type, context: context) else { return nil }
                values.append(value)
            }
            let sink = ByteSink(capacity: 512)
            view.head.withUnsafeBytes { sink.append($0) }
            switch view.read.find(values) {
            case .stale: return nil
            case .nothing: sink.append("],\"tag\":\"SELECT 0\"}\n")
            case .row(let row):
                view.writer.write(row, into: sink)
                // The line feed behind the row.
                sink.truncate(to: sink.count - 1)
                sink.append("],\"tag\":\"SELECT 1\"}\n")
            }
            return HTTPQuestion.json(sink)
        }
    }
}
