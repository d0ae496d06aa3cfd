internal import Foundation
internal import MartletConnectors
internal import MartletCore
internal import MartletPlatform
internal import Testing

/// The lines of all events of a stream, without newlines.
func lines(_ options: GeneratorOptions, stream: Int = 0) throws -> [[UInt8]] {
    let generator = try Generators.make(options)
    let sink = ByteSink()
    generator.write(stream, from: 0, by: 1, count: Int(try #require(generator.count(of: stream))), into: sink)
    return sink.bytes.split(separator: UInt8(ascii: "\n")).map { Array($0) }
}

func object(_ line: [UInt8]) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
}

/// Microseconds since 1970 of a timestamp as the generators write it, by way of Foundation's calendar.
func micros(_ text: Any?) throws -> Int64 {
    let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
    let date = try style.parse(try #require(text as? String))
    return Int64((date.timeIntervalSince1970 * 1000).rounded()) * 1000
}

func spoilt(_ kind: GeneratorKind, events: UInt64) -> GeneratorOptions {
    var options = GeneratorOptions(kind: kind)
    options.seed = 42
    options.events = events
    options.disorder = 2_000_000
    options.late = 0.02
    options.bad = 0.03
    options.duplicates = 0.04
    return options
}

@Suite struct GeneratorTests {
    @Test(arguments: GeneratorKind.allCases)
    func anEventIsTheSameInWhateverOrderItIsAskedFor(kind: GeneratorKind) throws {
        let generator = try Generators.make(spoilt(kind, events: 6000))
        for stream in generator.streams.indices {
            let count = Int(try #require(generator.count(of: stream)))
            let inOrder = ByteSink()
            let inOrderLines = generator.write(stream, from: 0, by: 1, count: count, into: inOrder)

            var single = [[UInt8]](repeating: [], count: count)
            var singleLines = 0
            for ordinal in single.indices.reversed() {
                let sink = ByteSink()
                singleLines += generator.write(stream, from: UInt64(ordinal), by: 1, count: 1, into: sink)
                single[ordinal] = Array(sink.bytes)
            }
            #expect(Array(inOrder.bytes) == single.flatMap { $0 })
            #expect(inOrderLines == singleLines)

            let third = ByteSink()
            generator.write(stream, from: 1, by: 3, count: (count + 1) / 3, into: third)
            #expect(Array(third.bytes) == stride(from: 1, to: count, by: 3).flatMap { single[$0] })
        }
    }

    /// The bytes are part of what a seed promises: benchmarks and bug reports name it. A change here is a change of format.
    @Test(arguments: GeneratorKind.allCases)
    func aSeedMeansTheSameBytesInEveryVersion(kind: GeneratorKind) throws {
        let generator = try Generators.make(spoilt(kind, events: 5000))
        let sink = ByteSink()
        for stream in generator.streams.indices {
            generator.write(stream, from: 0, by: 1, count: Int(generator.count(of: stream) ?? 0), into: sink)
        }
        let digest = crc32c(sink.bytes)
        let known: [GeneratorKind: UInt32] = [.nexmark: 507_296_884, .fraud: 3_371_207_892, .cart: 3_344_122_473, .iot: 3_824_901_549]
        #expect(digest == known[kind])
    }

    @Test(arguments: GeneratorKind.allCases)
    func aLineIsValidUnlessTheEventIsDamaged(kind: GeneratorKind) throws {
        let options = spoilt(kind, events: 20_000)
        let generator = try Generators.make(options)
        var seen: Set<Damage> = []
        for stream in generator.streams.indices {
            for ordinal in 0..<(generator.count(of: stream) ?? 0) {
                let sink = ByteSink()
                let count = generator.write(stream, from: ordinal, by: 1, count: 1, into: sink)
                let made = sink.bytes.split(separator: UInt8(ascii: "\n")).map { Array($0) }
                #expect(made.count == count && sink.count < 1024 * count)
                let (fate, time) = generator.fate(of: generator.event(ordinal, of: stream))
                #expect(count == (fate.isRepeated ? 2 : 1))
                let line = try #require(made.first)
                if fate.isRepeated { #expect(made[1] == line) }
                let isText = String(validating: line, as: UTF8.self) != nil
                let fields = (try? JSONSerialization.jsonObject(with: Data(line))) as? [String: Any]
                guard let damage = fate.damage else {
                    let shown = try #require(fields)
                    #expect(try micros(shown["ts"] ?? shown["date_time"]) == time)
                    continue
                }
                seen.insert(damage)
                switch damage {
                case .truncated, .notJSON: #expect(fields == nil)
                case .invalidUTF8: #expect(!isText)
                case .wrongType: #expect(fields?.values.contains { $0 as? String == "n/a" } == true)
                case .badTimestamp: #expect(fields?.values.contains { $0 as? String == "yesterday" } == true)
                case .outOfRange: #expect(String(decoding: line, as: UTF8.self).contains(":1e999,"))
                case .missingTime: #expect((fields?["ts"] ?? fields?["date_time"]) is NSNull)
                }
            }
        }
        #expect(seen == Set(Damage.allCases))
    }

    @Test(arguments: GeneratorKind.allCases)
    func onlyLateEventsAreFurtherBehindThanTheDisorder(kind: GeneratorKind) throws {
        let options = spoilt(kind, events: 50_000)
        let generator = try Generators.make(options)
        var latest = Int64.min
        var behind: Int64 = 0
        var late = 0
        var bad = 0
        var repeated = 0
        for event in 0..<50_000 as Range<UInt64> {
            let (fate, time) = generator.fate(of: event)
            if fate.damage != nil { bad += 1 }
            if fate.isRepeated { repeated += 1 }
            if fate.isLate {
                late += 1
                // Late by at least two minutes beyond what is expected of the earlier ones, were they not late.
                if latest > .min { #expect(latest - time >= 118_000_000) }
            } else {
                if latest > .min { behind = max(behind, latest - time) }
                latest = max(latest, time)
            }
        }
        #expect(behind <= options.disorder && behind > options.disorder * 9 / 10)
        // Planted events are spared, which for carts is a third of all.
        let share: ClosedRange<Double> = kind == .cart ? 0.5...0.9 : 0.9...1.1
        #expect(share.contains(Double(late) / (0.02 * 50_000)))
        #expect(share.contains(Double(bad) / (0.03 * 50_000)))
        #expect(share.contains(Double(repeated) / (0.04 * 50_000)))
    }

    @Test(arguments: GeneratorKind.allCases)
    func aLineHasTheDeclaredColumnsInOrder(kind: GeneratorKind) throws {
        var options = GeneratorOptions(kind: kind)
        options.events = 100
        for (stream, name) in try Generators.make(options).streams.enumerated() {
            let columns = try #require(Generators.columns(of: kind, stream: name))
            for line in try lines(options, stream: stream) {
                let text = String(decoding: line, as: UTF8.self)
                let positions = try columns.map { try #require(text.firstRange(of: "\"\($0.name)\":")).lowerBound }
                #expect(positions == positions.sorted())
                #expect(try object(line).keys.sorted() == columns.map(\.name).sorted())
            }
        }
        #expect(Generators.columns(of: kind, stream: "other") == nil)
    }

    @Test func optionsSaySoWhenTheyCannotBeHad() throws {
        var options = try GeneratorOptions(kind: "nexmark")
        try options.set("events", to: "10_000")
        try options.set("disorder", to: "1.5 seconds")
        try options.set("late", to: "2%")
        #expect(options.events == 10_000 && options.disorder == 1_500_000 && options.late == 0.02)
        func message(_ name: String, _ value: String) -> String {
            var copy = options
            do { try copy.set(name, to: value) } catch { return error.description }
            return ""
        }
        #expect(message("evens", "1") == "a generator has no option 'evens'; it has events, seed, rate, disorder, late, bad, duplicates")
        #expect(message("seed", "-1") == "seed is a whole number from 0, not '-1'")
        #expect(message("bad", "1.5") == "bad is a share between 0 and 1, not '1.5'")
        #expect(message("bad", "nan") == "bad is a share such as 0.01 or 1%, not 'nan'")
        #expect(message("disorder", "5") == "disorder is a duration up to 24 hours such as '5s', '200ms' or '2 minutes', not '5'")
        #expect(throws: GeneratorError.self) { try GeneratorOptions(kind: "frauds") }
        options.rate = 0
        #expect(throws: GeneratorError("rate is between 1 and 1000000000 events per second")) { try Generators.make(options) }
        options.rate = 1
        options.events = 1_000_000_000_000_000
        #expect(throws: GeneratorError.self) { try Generators.make(options) }
    }
}

@Suite struct GenerateCommandTests {
    @Test func filesShareAStreamEvenlyAndInOrder() throws {
        let directory = NSTemporaryDirectory() + "martlet-generate-\(UInt64.random(in: 0 ... .max))/in/depth"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let options = spoilt(.nexmark, events: 10_007)
        let command = GenerateCommand(options: options, directory: directory, files: 2)
        let written = try command.run(on: SystemDisk(), threads: 2)
        #expect(written.map(\.path) == ["person", "auction", "bid"].flatMap { ["\(directory)/\($0)-0.ndjson", "\(directory)/\($0)-1.ndjson"] })
        #expect(written.map(\.events) == [101, 100, 302, 301, 4602, 4601])
        let generator = try Generators.make(options)
        for (number, file) in written.enumerated() {
            let sink = ByteSink()
            let count = generator.write(number / 2, from: UInt64(number % 2), by: 2, count: Int(file.events), into: sink)
            #expect(file.lines == UInt64(count) && file.bytes == Int64(sink.count))
            #expect(try Data(contentsOf: URL(fileURLWithPath: file.path)) == Data(sink.bytes))
        }
    }

    @Test func itSaysWhyItCannotWrite() throws {
        var options = GeneratorOptions(kind: .iot)
        #expect(throws: GenerateCommand.Failure.self) { try GenerateCommand(options: options, directory: "x").run(on: SystemDisk()) }
        options.events = 1
        #expect(throws: GenerateCommand.Failure.self) {
            try GenerateCommand(options: options, directory: "/dev/null/x").run(on: SystemDisk())
        }
    }
}
