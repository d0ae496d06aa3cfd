internal import Synchronization

package enum LogLevel: UInt8, Sendable, Comparable, CaseIterable {
    case debug, info, warn, error

    /// From a configuration's word; nil for anything else.
    package init?(name: String) {
        guard let level = LogLevel.allCases.first(where: { $0.name == name }) else { return nil }
        self = level
    }

    package var name: String {
        switch self {
        case .debug: "debug"
        case .info: "info"
        case .warn: "warn"
        case .error: "error"
        }
    }

    package static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }
}

/// What a log field may hold.
package enum LogValue: Sendable, Equatable {
    case string(String)
    case int(Int64)
    case double(Double)
    case bool(Bool)
}

extension LogValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringInterpolation
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .int(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(floatLiteral value: Double) { self = .double(value) }
    package init(_ value: some BinaryInteger) { self = .int(Int64(clamping: value)) }
}

/// Where finished lines go.
package protocol LogSink: Sendable {
    /// One line with its line feed. Called from any thread; lines must not mix. A line that cannot be written is lost: a
    /// log never stops its program.
    func write(line: UnsafeRawBufferPointer)
}

/// The log: one JSON object per line, `{"ts":"2026-01-01T00:00:00.123456Z","level":"info","message":"…", fields…}`,
/// fields in the order given. A line is made without a lock and handed to the sink in one piece.
package final class StructuredLog: Sendable {
    private let clock: any Clock
    private let sink: any LogSink
    private let threshold: Atomic<UInt8>

    package init(clock: any Clock, sink: any LogSink, level: LogLevel = .info) {
        self.clock = clock
        self.sink = sink
        threshold = Atomic(level.rawValue)
    }

    /// Lines below it are dropped; may be changed while running.
    package var level: LogLevel {
        get { LogLevel(rawValue: threshold.load(ordering: .relaxed)) ?? .info }
        set { threshold.store(newValue.rawValue, ordering: .relaxed) }
    }

    package func isEnabled(_ level: LogLevel) -> Bool { level.rawValue >= threshold.load(ordering: .relaxed) }

    /// Arguments of a line that is dropped are not evaluated.
    package func log(
        _ level: LogLevel, _ message: @autoclosure () -> String,
        _ fields: @autoclosure () -> KeyValuePairs<String, LogValue> = [:]
    ) {
        guard isEnabled(level) else { return }
        let line = ByteSink(capacity: 256)
        line.append("{\"ts\":\"")
        line.append(utcTimestamp: clock.wallMicros())
        line.append("\",\"level\":\"")
        line.append(text: level.name)
        line.append("\",\"message\":")
        line.append(jsonString: message())
        for (name, value) in fields() {
            line.append(UInt8(ascii: ","))
            line.append(jsonString: name)
            line.append(UInt8(ascii: ":"))
            append(value, to: line)
        }
        line.append("}\n")
        sink.write(line: line.bytes)
    }

    package func debug(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> KeyValuePairs<String, LogValue> = [:]) {
        log(.debug, message(), fields())
    }

    package func info(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> KeyValuePairs<String, LogValue> = [:]) {
        log(.info, message(), fields())
    }

    package func warn(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> KeyValuePairs<String, LogValue> = [:]) {
        log(.warn, message(), fields())
    }

    package func error(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> KeyValuePairs<String, LogValue> = [:]) {
        log(.error, message(), fields())
    }

    private func append(_ value: LogValue, to line: ByteSink) {
        switch value {
        case .string(let text): line.append(jsonString: text)
        case .int(let number): line.append(decimal: number)
        case .double(let number): line.append(text: number.isFinite ? "\(number)" : "null")
        case .bool(let flag): line.append(text: flag ? "true" : "false")
        }
    }
}

extension ByteSink {
    /// A JSON string with its quotes: quote, backslash and control characters escaped, the rest as it is.
    package func append(jsonString text: String) {
        var copy = text
        append(UInt8(ascii: "\""))
        copy.withUTF8 { characters in
            let bytes = UnsafeRawBufferPointer(characters)
            var plain = 0
            for (index, byte) in bytes.enumerated() where byte < 0x20 || byte == 0x22 || byte == 0x5C {
                append(UnsafeRawBufferPointer(rebasing: bytes[plain..<index]))
                appendEscape(byte)
                plain = index + 1
            }
            append(UnsafeRawBufferPointer(rebasing: bytes[plain...]))
        }
        append(UInt8(ascii: "\""))
    }

    private func appendEscape(_ byte: UInt8) {
        switch byte {
        case 0x22: append("\\\"")
        case 0x5C: append("\\\\")
        case 0x0A: append("\\n")
        case 0x0D: append("\\r")
        case 0x09: append("\\t")
        default:
            append("\\u00")
            append(byte &>> 4 &+ 48)
            append((byte & 15) < 10 ? (byte & 15) &+ 48 : (byte & 15) &+ 87)
        }
    }

    /// RFC 3339 in UTC with six decimals. Any moment an `Int64` of microseconds can name; years outside 0000 … 9999 get as
    /// many digits as they need and a sign.
    package func append(utcTimestamp micros: Int64) {
        let (days, rest) = Calendar.floorDivide(micros, Calendar.microsPerDay)
        let date = Calendar.day(Int(days))
        if date.year < 0 { append(UInt8(ascii: "-")) }
        append(decimal: UInt64(date.year.magnitude), width: 4)
        append(UInt8(ascii: "-"))
        append(decimal: UInt64(date.month), width: 2)
        append(UInt8(ascii: "-"))
        append(decimal: UInt64(date.day), width: 2)
        append(UInt8(ascii: "T"))
        append(decimal: UInt64(rest / 3_600_000_000), width: 2)
        append(UInt8(ascii: ":"))
        append(decimal: UInt64(rest / 60_000_000 % 60), width: 2)
        append(UInt8(ascii: ":"))
        append(decimal: UInt64(rest / 1_000_000 % 60), width: 2)
        append(UInt8(ascii: "."))
        append(decimal: UInt64(rest % 1_000_000), width: 6)
        append(UInt8(ascii: "Z"))
    }
}
