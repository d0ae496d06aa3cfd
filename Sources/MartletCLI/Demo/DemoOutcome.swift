import MartletConnectors
import MartletCore
import MartletDataflow
import MartletEngine
import MartletPlatform

/// What a run of the demo's pipeline left behind, read from its files and counters.
final class DemoOutcome {
    struct Alert {
        var subject: String
    }

    /// Dead letters for one reason.
    struct Reason {
        var text: String
        /// The first one: where it stood (file, line and column; empty if not known), and its bytes.
        var place: String
        var payload: String
        var count: UInt64
    }

    let story: DemoStory
    let directory: String
    var alertPath: String { "\(directory)/alerts.ndjson" }
    var latePath: String { "\(directory)/\(story.source)_late.ndjson" }
    var deadLetterPath: String { "\(directory)/\(story.source)_dlq.ndjson" }

    /// Rows that the source gave to the pipeline, and lines it refused.
    private(set) var accepted: UInt64 = 0
    private(set) var deadLetters: UInt64 = 0
    var read: UInt64 { accepted + deadLetters }
    /// By alert's name.
    private(set) var alerts: [String: [Alert]] = [:]
    /// Alerts in words, one of each name first.
    private(set) var samples: [String] = []
    /// Rows of the late table by view.
    private(set) var late: [String: UInt64] = [:]
    private(set) var lateSample: String?
    var lateRows: UInt64 { late.values.reduce(0, +) }
    /// Most frequent first.
    private(set) var reasons: [Reason] = []

    init(story: DemoStory, directory: String, name: String) {
        self.story = story
        self.directory = "\(directory)/\(name)"
    }

    /// Lines that the run's source has dealt with so far.
    static func taken(_ run: PipelineRun) -> UInt64 {
        let intake = run.pipeline.circuit.intake(of: 0)
        return intake.rows + intake.rejected + intake.skipped
    }

    func collect(from run: PipelineRun) throws(IOError) {
        let intake = run.pipeline.circuit.intake(of: 0)
        accepted = intake.rows
        deadLetters = intake.rejected
        try readAlerts()
        try NDJSONTail(latePath).read { line in
            late[line.value("late_for") ?? "?", default: 0] += 1
            if lateSample == nil, let by = line.value("late_by"), let subject = line.value(story.subject), let ts = line.value("ts") {
                lateSample = "such as \(subject) at \(ts), \(by) behind the watermark"
            }
        }
        try readDeadLetters()
    }

    private func readAlerts() throws(IOError) {
        var first: [String] = []
        var others: [String] = []
        try NDJSONTail(alertPath).read { line in
            let name = line.value("alert") ?? "?"
            if alerts[name] == nil {
                first.append(DemoOutcome.describe(line, story))
            } else if others.count < 4 {
                others.append(DemoOutcome.describe(line, story))
            }
            alerts[name, default: []].append(Alert(subject: line.value(story.subject) ?? "?"))
        }
        samples = first + others
    }

    private func readDeadLetters() throws(IOError) {
        var found: [String: Reason] = [:]
        try NDJSONTail(deadLetterPath).read { line in
            let (place, text) = DemoOutcome.parted(line.value("reason") ?? "?")
            let field = line.value("field").map { "\($0): " } ?? ""
            // Messages quote what they found; letters that differ only in that have one reason.
            let key = field + text.prefix { $0 != "\"" }
            found[
                key,
                default: Reason(
                    text: field + text, place: place, payload: DemoOutcome.payload(line.value("payload") ?? ""), count: 0)
            ].count += 1
        }
        reasons = found.values.sorted { ($1.count, $0.text) < ($0.count, $1.text) }
    }

    /// "file:line:column: message" as its two parts.
    private static func parted(_ reason: String) -> (place: String, text: String) {
        guard let match = reason.firstMatch(of: #/^(.*?:[0-9]+:[0-9]+): /#) else { return ("", reason) }
        return (String(match.1), String(reason[match.range.upperBound...]))
    }

    /// An alert in words.
    static func describe(_ line: JSONLine, _ story: DemoStory) -> String {
        let time = (line.value("ts") ?? "").dropFirst(11).prefix(8)
        return "\(time)  \(line.value("alert") ?? "?"): \(line.value(story.subject) ?? "?"), \(line.value("detail") ?? "")"
    }

    /// The original bytes, which JSON shows in base64.
    static func payload(_ base64: String) -> String {
        var bits: UInt32 = 0
        var count = 0
        var bytes: [UInt8] = []
        for character in base64.utf8 {
            let six: UInt8
            switch character {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): six = character - 65
            case UInt8(ascii: "a")...UInt8(ascii: "z"): six = character - 71
            case UInt8(ascii: "0")...UInt8(ascii: "9"): six = character + 4
            case UInt8(ascii: "+"): six = 62
            case UInt8(ascii: "/"): six = 63
            default: continue
            }
            bits = bits << 6 | UInt32(six)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension DemoStory {
    static func others(than kind: GeneratorKind) -> [String] {
        [GeneratorKind.fraud, .cart, .iot].filter { $0 != kind }.map(\.rawValue)
    }
}
