import MartletCore
import MartletPlatform
import MartletSQL
import MartletTestKit
import Testing

/// Golden/*.script: SQL in, definitions, plans or the error with its caret out, against the objects of `prelude`.
@Suite("SQL scripts")
struct GoldenTests {
    static let golden = Golden(disk: SystemDisk(), update: environment("UPDATE_GOLDEN"))

    static let prelude = """
        CREATE SOURCE payments (
          card TEXT, amount NUMERIC(12, 2), country TEXT, n INT, big BIGINT, d DOUBLE PRECISION, ok BOOLEAN, doc JSONB, ts TIMESTAMPTZ,
          WATERMARK FOR ts AS ts - INTERVAL '5 seconds'
        ) WITH (connector = 'generator', kind = 'fraud', late_table = 'payments_late');
        CREATE SOURCE clicks (id BIGINT, url TEXT, at TIMESTAMP) WITH (connector = 'generator', kind = 'cart');
        CREATE VIEW large AS SELECT card, amount * 2 AS twice, ts FROM payments WHERE amount > 100;
        CREATE MATERIALIZED VIEW velocity AS
          SELECT card, window_start, count(*) AS n FROM TUMBLE(payments, ts, INTERVAL '1 minute') GROUP BY card, window_start
          EMIT ON WINDOW CLOSE;
        CREATE MATERIALIZED VIEW totals AS SELECT card, sum(amount) AS spent FROM payments GROUP BY card;
        CREATE TABLE accounts (id INT PRIMARY KEY, owner TEXT NOT NULL DEFAULT 'nobody', balance NUMERIC DEFAULT 0, twice NUMERIC AS (balance * 2));
        """

    @Test("blocks give what the files say", arguments: try golden.files(".script"))
    func script(path: String) throws {
        var catalog = SQLCatalog()
        _ = try Script.bind([Script.Input(name: "prelude", text: Self.prelude)], into: &catalog)
        try Self.golden.check(path) { input in Self.outcome(input, catalog) }
    }

    private static func outcome(_ text: String, _ catalog: SQLCatalog) -> String {
        var catalog = catalog
        do throws(Script.Failure) {
            let statements = try Script.bind([Script.Input(name: "test.sql", text: text)], into: &catalog)
            return statements.map(describe).joined(separator: "\n")
        } catch {
            return error.description
        }
    }

    private static func describe(_ statement: BoundStatement) -> String {
        switch statement {
        case .createSource(let source): return describe(source)
        case .createView(let view): return "view \(view.name) (\(list(view.fields)))\n" + view.plan.explain()
        case .createMaterializedView(let view):
            let kind = view.isAppendOnly ? "append-only" : "changing"
            let times = view.eventTimeColumns.map { view.fields[$0].name }.joined(separator: ", ")
            return "\(kind) view \(view.name) (\(list(view.fields))) event time [\(times)]\n" + view.plan.explain()
        case .createSink(let sink):
            let key = sink.primaryKey.map { sink.fields[$0].name }.joined(separator: ", ")
            return "\(sink.isAppendOnly ? "append-only" : "changing") sink \(sink.name) to \(sink.connector) \(options(sink.options))"
                + " type \(sink.type?.rawValue ?? "-") key [\(key)] \(sink.format)/\(sink.encode.encoding)\n" + sink.plan.explain()
        case .select(let query): return "(\(list(query.fields)))\n" + query.explain()
        case .explain(let text): return text
        case .set(let set): return "set \(set.name) = \(set.value ?? "default")" + (set.notice.map { "\nNOTICE:  \($0)" } ?? "")
        case .session(let session): return SessionText.describe(session)
        case .show(let name): return "show \(name)"
        case .skipped(let notice): return "NOTICE:  \(notice)"
        }
    }

    private static func describe(_ source: SourceDefinition) -> String {
        var text = "source \(source.name) from \(source.connector) \(options(source.options)) \(source.format)/\(source.encode.encoding)"
        if source.encode.encoding == .csv { text += " delimiter \(source.encode.delimiter) header \(source.encode.hasHeader)" }
        for column in source.columns {
            text += "\n  \(column.name) \(column.type)\(column.isNotNull ? " not null" : "")"
            if case .include(let what) = column.role { text += " include \(what)" }
            if let path = column.jsonPath { text += " path \(path)" }
        }
        if let watermark = source.watermark { text += "\n  watermark \(source.columns[watermark.column].name) - \(watermark.delay) µs" }
        text += "\n  late table \(source.lateTable ?? "-"), lateness \(source.allowedLateness) µs, idle \(source.idleTimeout.map(String.init) ?? "-")"
        text += ", skew \(source.maxFutureSkew.map(String.init) ?? "-"), on error \(source.onError.rawValue), \(source.backpressure.rawValue)"
        return text
    }

    private static func options(_ options: [String: OptionValue]) -> String {
        "[" + options.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.text)@\($0.value.position)" }.joined(separator: ", ") + "]"
    }

    private static func list(_ fields: [Field]) -> String { fields.map { "\($0.name) \($0.type)" }.joined(separator: ", ") }
}
