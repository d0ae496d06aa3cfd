internal import Foundation
internal import Testing

/// Whatever comes in: a clear error or a dead letter that names the place; nothing else is disturbed; memory stays bounded.
@Suite("Bad input")
struct BadInputTests {
    private func letters(_ input: Data, encode: String = "JSON") throws -> (output: String, letters: [[String: Any]]) {
        let pipeline = try Pipeline("SELECT a FROM s", path: "-", encode: encode)
        let outcome = try pipeline.run(input: input)
        #expect(outcome.status == 0, "\(outcome.errors)")
        return (outcome.output, try pipeline.deadLetters())
    }

    private func expectOne(
        _ bad: Data, place: String, reason: String? = nil, encode: String = "JSON",
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let (output, dead) = try letters(Data("{\"a\":1}\n".utf8) + bad + Data("\n{\"a\":2}\n".utf8))
        #expect(output == "{\"a\":1}\n{\"a\":2}\n", "the records around it count", sourceLocation: sourceLocation)
        #expect(dead.count == 1, sourceLocation: sourceLocation)
        let letter = try #require(dead.first, sourceLocation: sourceLocation)
        #expect(letter["offset"] as? Int == 1, sourceLocation: sourceLocation)
        let text = try #require(letter["reason"] as? String, sourceLocation: sourceLocation)
        #expect(text.hasPrefix("standard input:2:\(place)"), "\(text)", sourceLocation: sourceLocation)
        if let reason {
            #expect(letter["reason_code"] as? String == reason, sourceLocation: sourceLocation)
        }
    }

    @Test func aTruncatedLastLine() throws {
        let (output, dead) = try letters(Data("{\"a\":1}\n{\"a\":2,\"t\":\"x".utf8))
        #expect(output == "{\"a\":1}\n")
        #expect(dead.count == 1)
        #expect((dead.first?["reason"] as? String)?.hasPrefix("standard input:2:") == true)
        #expect(dead.first?["payload"] as? String == Data("{\"a\":2,\"t\":\"x".utf8).base64EncodedString())
    }

    @Test func invalidUTF8() throws {
        try expectOne(Data("{\"a\":3,\"t\":\"".utf8) + Data([0xFF, 0xFE]) + Data("\"}".utf8), place: "", reason: "invalid_utf8")
        try expectOne(Data("{\"a\":3,\"unknown\":\"".utf8) + Data([0xC3]) + Data("\"}".utf8), place: "", reason: "invalid_utf8")
    }

    @Test func nulBytes() throws {
        try expectOne(Data("{\"a\":3,\"t\":\"".utf8) + Data([0]) + Data("\"}".utf8), place: "13", reason: "invalid_json")
        try expectOne(Data([0, 0, 0]), place: "1", reason: "invalid_json")
    }

    @Test func wrongTypesAndRanges() throws {
        try expectOne(Data("{\"a\":\"three\"}".utf8), place: "")
        try expectOne(Data("{\"a\":9223372036854775808}".utf8), place: "", reason: "out_of_range")
        try expectOne(Data("{\"a\":1e400}".utf8), place: "")
        try expectOne(Data("{\"a\":1.5}".utf8), place: "")
        try expectOne(Data("{\"a\":01}".utf8), place: "", reason: "invalid_json")
        try expectOne(Data("{\"a\":1} trailing".utf8), place: "", reason: "invalid_json")
        try expectOne(Data("[1,2]".utf8), place: "1")
    }

    @Test func nestingAMillionDeep() throws {
        let deep = String(repeating: "[", count: 1_000_000)
        try expectOne(Data("{\"a\":3,\"x\":\(deep)".utf8), place: "", reason: "too_deep")
    }

    @Test func aLineOfAHundredMegabytes() throws {
        let pipeline = try Pipeline("SELECT a FROM s", path: "unused")
        let path = pipeline.scratch.path("long.ndjson")
        let url = URL(fileURLWithPath: path)
        try Data("{\"a\":1}\n{\"a\":2,\"t\":\"".utf8).write(to: url)
        let handle = try FileHandle(forWritingTo: url)
        try handle.seekToEnd()
        let megabyte = Data(repeating: UInt8(ascii: "x"), count: 1 << 20)
        for _ in 0..<100 { try handle.write(contentsOf: megabyte) }
        try handle.write(contentsOf: Data("\"}\n{\"a\":3}\n".utf8))
        try handle.close()
        let program = """
            import resource, subprocess, sys
            status = subprocess.call(sys.argv[1:])
            print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
            sys.exit(status)
            """
        let outcome = try Binary.run(
            executable: URL(fileURLWithPath: "/usr/bin/env"),
            [
                "python3", "-c", program, Binary.path.path, "run", pipeline.file, "-v", "path=\(path)", "--out-dir",
                pipeline.scratch.path("side"),
            ])
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.lines.prefix(2) == ["{\"a\":1}", "{\"a\":3}"])
        let kibibytes = try #require(outcome.lines.last.flatMap { Int($0) })
        #expect(kibibytes < 90 * 1024, "a long record is dropped as it comes in")
        let dead = try pipeline.deadLetters()
        #expect(dead.count == 1)
        #expect(dead.first?["reason_code"] as? String == "too_long")
        #expect((dead.first?["reason"] as? String)?.hasPrefix("\(path):2:1:") == true)
    }

    @Test func aRecordOfCSVWithTooManyFields() throws {
        let pipeline = try Pipeline("SELECT a FROM s", path: "-", encode: "CSV")
        let outcome = try pipeline.run(
            input: Data("a,t,ts\n1,x,2026-01-01 00:00:00\n2,y,2026-01-01 00:00:00,more\n3,,\n4,\"b\"\"c\",\n".utf8))
        #expect(outcome.output == "{\"a\":1}\n{\"a\":3}\n{\"a\":4}\n")
        let dead = try pipeline.deadLetters()
        #expect(dead.count == 1)
        #expect(dead.first?["reason_code"] as? String == "field_count")
        #expect((dead.first?["reason"] as? String)?.hasPrefix("standard input:3:") == true)
    }

    @Test func aCSVHeaderWithoutAColumn() throws {
        let outcome = try Pipeline("SELECT a FROM s", path: "-", encode: "CSV").run(input: Data("b,t\n1,x\n".utf8))
        #expect(outcome.status == 1)
        #expect(outcome.errors.contains("\"a\""))
    }

    @Test func aFullDiskAtTheSink() throws {
        guard FileManager.default.fileExists(atPath: "/dev/full") else { return }
        let scratch = try Scratch()
        let file = scratch.path("full.sql")
        try Data(
            """
            CREATE SOURCE s (a BIGINT) WITH (connector = 'file', path = '-') FORMAT PLAIN ENCODE JSON;
            CREATE SINK k FROM s WITH (connector = 'file', path = '/dev/full') FORMAT PLAIN ENCODE JSON;
            """.utf8
        ).write(to: URL(fileURLWithPath: file))
        let outcome = try Binary.run("run", file, input: Data("{\"a\":1}\n".utf8))
        #expect(outcome.status == 1)
        #expect(outcome.errors.contains("/dev/full"))
        #expect(outcome.errors.lowercased().contains("space"))
    }

    @Test func anUnreadableFile() throws {
        let outcome = try Pipeline("SELECT a FROM s", path: "/").run()
        #expect(outcome.status == 1)
        #expect(outcome.errors.contains("\"s\""))
    }

    @Test func sqlOfTenMegabytesAndAHundredThousandAnds() throws {
        let scratch = try Scratch()
        let file = scratch.path("long.sql")
        let ands = (0..<100_000).map { "a <> \($0)" }.joined(separator: " AND ")
        let padding = String(repeating: "-- a comment that says nothing at all, many times over\n", count: 170_000)
        try Data(
            """
            CREATE SOURCE s (a BIGINT) WITH (connector = 'file', path = '-') FORMAT PLAIN ENCODE JSON;
            \(padding)
            CREATE SINK k AS SELECT a FROM s WHERE \(ands) WITH (connector = 'stdout') FORMAT PLAIN ENCODE JSON;
            """.utf8
        ).write(to: URL(fileURLWithPath: file))
        let outcome = try Binary.run("run", file, input: Data("{\"a\":5}\n{\"a\":100000}\n".utf8))
        #expect(outcome.status == 0, "\(outcome.errors.prefix(400))")
        #expect(outcome.output == "{\"a\":100000}\n")
    }

    @Test func sqlBeyondItsLimits() throws {
        let scratch = try Scratch()
        let deep = scratch.path("deep.sql")
        let open = String(repeating: "(", count: 100_000)
        try Data("CREATE SINK k AS SELECT \(open)1 WITH (connector = 'stdout');".utf8).write(to: URL(fileURLWithPath: deep))
        let outcome = try Binary.run("validate", deep)
        #expect(outcome.status == 78)
        let long = scratch.path("huge.sql")
        try Data(repeating: UInt8(ascii: " "), count: (16 << 20) + 1).write(to: URL(fileURLWithPath: long))
        #expect(try Binary.run("validate", long).status != 0)
        let garbage = scratch.path("garbage.sql")
        try Data([0xFF, 0x00, 0x80]).write(to: URL(fileURLWithPath: garbage))
        #expect(try Binary.run("validate", garbage).status != 0)
    }
}
