internal import Foundation
internal import Testing

/// `martlet demo` as a person sees it, only shorter.
@Suite struct DemoTests {
    @Test(arguments: [("fraud", "payments"), ("cart", "activity"), ("iot", "readings")])
    func itShowsWhatBecameOfEveryLine(kind: String, source: String) throws {
        let scratch = try Scratch()
        let outcome = try Binary.run(
            "demo", kind, "--events", "60000", "--live", "1", "--dir", scratch.path("demo"))
        #expect(outcome.status == 0, "\(outcome.errors)")
        for heading in ["Made", "Ran", "Alerts", "Late", "Dead letters", "Live", "What to try next"] {
            #expect(outcome.lines.contains(Substring(heading)), "\(heading) is missing:\n\(outcome.output)")
        }
        #expect(outcome.output.contains(/p50 [0-9.]+ (ns|µs|ms|s), p99 [0-9.]+ (ns|µs|ms|s)/))
        // Not a terminal: no colours.
        #expect(!outcome.output.contains("\u{1B}"))

        let balance = try #require(outcome.output.firstMatch(of: /([0-9,]+) lines written = ([0-9,]+) taken \+ ([0-9,]+) dead letters/))
        func number(_ text: Substring) -> Int { Int(text.filter { $0 != "," }) ?? -1 }
        #expect(number(balance.1) == number(balance.2) + number(balance.3) && number(balance.3) > 0)
        #expect(try objects(at: scratch.path("demo/out/\(source)_dlq.ndjson")).count == number(balance.3))
        #expect(try objects(at: scratch.path("demo/out/alerts.ndjson")).count > 0)

        let pipeline = { (path: String) in String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self) }
        let example = try pipeline(Binary.root.appendingPathComponent("examples/\(kind).sql").path)
        #expect(
            try pipeline(scratch.path("demo/\(kind).sql"))
                == example.replacing("connector = 'stdout'", with: "connector = 'file', path = :'alerts'"))
    }

    @Test func itFindsWhatWasPlanted() throws {
        let scratch = try Scratch()
        let outcome = try Binary.run("demo", "--events", "100000", "--live", "0", "--dir", scratch.path("demo"))
        for match in outcome.output.matches(of: /([a-z ]+): ([0-9,]+) were planted, ([0-9,]+) found/) {
            #expect(match.2 == match.3, "\(match.1)")
        }
        #expect(outcome.output.matches(of: /were planted/).count == 3)
    }

    @Test func itSaysWhichDemosThereAre() throws {
        let outcome = try Binary.run("demo", "fruad")
        #expect(outcome.status == 2 && outcome.errors.contains("there are the demos fraud, cart and iot"))
    }
}
