import MartletCore
import Synchronization
import Testing

@Suite("Structured log")
struct StructuredLogTests {
    struct FixedClock: MartletCore.Clock {
        var micros: Int64
        func monotonicNanos() -> Int64 { 0 }
        func wallMicros() -> Int64 { micros }
        func sleep(nanos: Int64) {}
    }

    final class Lines: LogSink {
        let kept = Mutex<[String]>([])
        func write(line: UnsafeRawBufferPointer) { kept.withLock { $0.append(String(decoding: line, as: UTF8.self)) } }
    }

    @Test("one JSON object per line, escaped, in the order given")
    func lines() {
        let sink = Lines()
        let log = StructuredLog(clock: FixedClock(micros: 1_767_225_600_123_456), sink: sink)
        log.info("read \"a\"\n", ["path": "é\u{1}\t\\", "rows": 12, "share": 0.5, "done": true, "nothing": .double(.nan)])
        log.debug(neverMade())
        log.level = .error
        log.warn("dropped")
        log.error("kept")
        #expect(
            sink.kept.withLock { $0 } == [
                #"{"ts":"2026-01-01T00:00:00.123456Z","level":"info","message":"read \"a\"\n","path":"é\u0001\t\\","rows":12,"share":0.5,"done":true,"nothing":null}"# + "\n",
                #"{"ts":"2026-01-01T00:00:00.123456Z","level":"error","message":"kept"}"# + "\n",
            ])
        #expect(LogLevel(name: "warn") == .warn)
        #expect(LogLevel(name: "loud") == nil)
    }

    private func neverMade() -> String {
        Issue.record("the message of a dropped line was made")
        return ""
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000000Z"), (-1, "1969-12-31T23:59:59.999999Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"), (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        (-62_135_596_800_000_000, "0001-01-01T00:00:00.000000Z"), (.max, "294247-01-10T04:00:54.775807Z"),
        (.min, "-290308-12-21T19:59:05.224192Z"),
    ] as [(Int64, String)])
    func timestamps(micros: Int64, text: String) {
        let sink = ByteSink()
        sink.append(utcTimestamp: micros)
        #expect(sink.text == text)
    }
}
