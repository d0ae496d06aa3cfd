internal import MartletCore

/// The fuzzer's way in: whatever the bytes are, substitution, parsing, binding, optimising and EXPLAIN end with a result or an
/// `SQLError` whose position lies in the text. Returns the number of statements bound, so that nothing is optimised away.
@discardableResult
package func fuzzSQL(_ bytes: UnsafeRawBufferPointer) -> Int {
    let text = String(decoding: bytes, as: UTF8.self)
    var catalog = fuzzCatalog
    do {
        let substituted = (try? Substitution.applied(to: text, variables: ["name": "va'l\\ue", "n": "5"])) ?? text
        let statements = try Script.bind(substituted, into: &catalog)
        for statement in statements {
            switch statement {
            case .select(let query): _ = query.explain()
            case .createView(let view), .createMaterializedView(let view):
                _ = view.plan.explain()
                precondition(view.plan.fields == view.fields, "a view's plan has the view's fields")
            case .createSink(let sink): _ = sink.plan.explain()
            case .createSource, .explain, .set, .show, .session, .skipped: break
            }
        }
        return statements.count
    } catch {
        let length = text.unicodeScalars.count
        if let position = error.position {
            // Substitution changes the length; where it does nothing the position must fit.
            precondition(position >= 1 && (position <= length + 1 || text.utf8.contains(UInt8(ascii: ":"))), "position outside of the text")
        }
        _ = error.render(source: "fuzz.sql", text: text)
        return 0
    }
}

/// A source with a watermark, one without, a view and a materialized view.
private let fuzzCatalog: SQLCatalog = {
    var catalog = SQLCatalog()
    let text = """
        CREATE SOURCE payments (
          card TEXT, amount NUMERIC, n INT, big BIGINT, d DOUBLE PRECISION, ok BOOLEAN, doc JSONB, day DATE, ts TIMESTAMPTZ,
          WATERMARK FOR ts AS ts - INTERVAL '5 seconds'
        ) WITH (connector = 'generator', late_table = 'payments_late');
        CREATE SOURCE plain (a INT, b TEXT) WITH (connector = 'file', path = 'x');
        CREATE TABLE accounts (id INT PRIMARY KEY, owner TEXT NOT NULL, balance NUMERIC DEFAULT 0, twice NUMERIC AS (balance * 2));
        CREATE VIEW v AS SELECT card, amount * 2 AS twice, ts FROM payments WHERE n > 0;
        CREATE MATERIALIZED VIEW velocity AS
          SELECT card, window_start, count(*) AS n, sum(amount) AS spent
          FROM TUMBLE(payments, ts, INTERVAL '1 minute') GROUP BY card, window_start EMIT ON WINDOW CLOSE;
        """
    // The text is fixed; a failure shows in the tests, which bind the same.
    _ = try? Script.bind(text, into: &catalog)
    return catalog
}()
