/// The settings a topic may have, as data: what DescribeConfigs shows and AlterConfigs checks. Names, defaults and
/// meanings are Kafka's.
package struct TopicSetting: Sendable {
    /// Kafka's ConfigType, by its number on the wire.
    package enum Kind: UInt8, Sendable {
        case boolean = 1
        case string = 2
        case int = 3
        case long = 5
        case double = 6
        case list = 7
    }

    package var name: String
    package var kind: Kind
    /// Kafka's own default, in text.
    package var defaultValue: String
    package var documentation: String
    /// The broker-level name whose value is the default of topics.
    package var brokerName: String
    var rule: Rule

    /// What a value must be.
    enum Rule: Sendable {
        case boolean
        case integer(ClosedRange<Int64>)
        case fraction
        /// One of these words.
        case word([String])
        /// Any of these words, separated by commas, at least one.
        case words([String])
        case anything
    }

    /// nil if the text is a value for this setting, else what it must be.
    package func objection(to text: String) -> String? {
        switch rule {
        case .boolean: return text == "true" || text == "false" ? nil : "must be true or false"
        case .integer(let range):
            guard let number = Int64(text), range.contains(number) else {
                return "must be an integer from \(range.lowerBound) to \(range.upperBound)"
            }
            return nil
        case .fraction:
            guard let number = Double(text), number >= 0 && number <= 1 else { return "must be a number from 0 to 1" }
            return nil
        case .word(let words): return words.contains(text) ? nil : "must be one of \(words.joined(separator: ", "))"
        case .words(let words):
            let parts = TopicSetting.list(text)
            guard !parts.isEmpty && parts.allSatisfy({ words.contains($0) }) else {
                return "must be a list of \(words.joined(separator: ", "))"
            }
            return nil
        case .anything: return nil
        }
    }

    /// The parts of a list's text, without blanks around them.
    package static func list(_ text: String) -> [String] {
        text.split(separator: ",").map { part in
            var trimmed = part
            while trimmed.first == " " { trimmed.removeFirst() }
            while trimmed.last == " " { trimmed.removeLast() }
            return String(trimmed)
        }.filter { !$0.isEmpty }
    }

    /// The setting of that name; nil if there is none.
    package static func named(_ name: String) -> TopicSetting? { all.first { $0.name == name } }

    private init(
        _ name: String, _ kind: Kind, _ defaultValue: String, _ rule: Rule, broker: String? = nil, _ documentation: String
    ) {
        self.name = name
        self.kind = kind
        self.defaultValue = defaultValue
        self.rule = rule
        self.documentation = documentation
        brokerName = broker ?? "log." + name
    }

    private static let forever = Int64.max
    private static let natural: Rule = .integer(0...forever)

    /// Every setting, by name.
    package static let all: [TopicSetting] = [
        TopicSetting(
            "cleanup.policy", .list, "delete", .words(["delete", "compact"]),
            "delete: old segments go by retention.ms and retention.bytes. compact: the last record of each key is kept. Both may be given."
        ),
        TopicSetting(
            "compression.gzip.level", .int, "-1", .integer(-1...9), broker: "compression.gzip.level",
            "The level where compression.type is gzip; -1 is the codec's default."),
        TopicSetting(
            "compression.lz4.level", .int, "9", .integer(1...17), broker: "compression.lz4.level",
            "The level where compression.type is lz4; the default stands for the fast compressor, as in Kafka."),
        TopicSetting(
            "compression.type", .string, "producer", .word(["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"]),
            broker: "compression.type", "The codec batches are kept in; producer keeps what the producer chose."),
        TopicSetting(
            "compression.zstd.level", .int, "3", .integer(-131_072...22), broker: "compression.zstd.level",
            "The level where compression.type is zstd."),
        TopicSetting(
            "delete.retention.ms", .long, "86400000", natural, broker: "log.cleaner.delete.retention.ms",
            "How long a tombstone of a compacted topic stays, so that readers can see that the key is gone."),
        TopicSetting(
            "file.delete.delay.ms", .long, "60000", natural, broker: "log.segment.delete.delay.ms",
            "Kafka's delay between unlinking a segment and removing it. Here readers hold what they read: removal is at once."),
        TopicSetting(
            "flush.messages", .long, "9223372036854775807", .integer(1...forever), broker: "log.flush.interval.messages",
            "Kafka's number of records between two syncs. Here every record is synced before it is acknowledged, whatever it says."),
        TopicSetting(
            "flush.ms", .long, "9223372036854775807", natural, broker: "log.flush.interval.ms",
            "Kafka's time between two syncs. Here every record is synced before it is acknowledged, whatever it says."),
        TopicSetting(
            "follower.replication.throttled.replicas", .list, "", .anything, broker: "follower.replication.throttled.replicas",
            "Without effect: there is one server."),
        TopicSetting(
            "index.interval.bytes", .int, "4096", .integer(0...Int64(Int32.max)),
            "Kafka's distance between two entries of an index. Here it is 32 KiB, whatever it says."),
        TopicSetting(
            "leader.replication.throttled.replicas", .list, "", .anything, broker: "leader.replication.throttled.replicas",
            "Without effect: there is one server."),
        TopicSetting(
            "max.compaction.lag.ms", .long, "9223372036854775807", .integer(1...forever),
            broker: "log.cleaner.max.compaction.lag.ms", "After this time a record is compacted even if little else is to be."),
        TopicSetting(
            "max.message.bytes", .int, "1048588", .integer(0...Int64(Int32.max)), broker: "message.max.bytes",
            "The largest record batch, as it comes (compressed where it is)."),
        TopicSetting(
            "message.timestamp.after.max.ms", .long, "3600000", natural,
            "How far a record's timestamp may be ahead of the server's clock, where the producer sets it."),
        TopicSetting(
            "message.timestamp.before.max.ms", .long, "9223372036854775807", natural,
            "How far a record's timestamp may be behind the server's clock, where the producer sets it."),
        TopicSetting(
            "message.timestamp.type", .string, "CreateTime", .word(["CreateTime", "LogAppendTime"]),
            "Whether a record has the time its producer gave it or that at which it was appended."),
        TopicSetting(
            "min.cleanable.dirty.ratio", .double, "0.5", .fraction, broker: "log.cleaner.min.cleanable.ratio",
            "Compaction starts when this share of the log has not been compacted."),
        TopicSetting(
            "min.compaction.lag.ms", .long, "0", natural, broker: "log.cleaner.min.compaction.lag.ms",
            "For at least this time a record is not compacted away."),
        TopicSetting(
            "min.insync.replicas", .int, "1", .integer(1...Int64(Int32.max)), broker: "min.insync.replicas",
            "Without effect: there is one server, and it acknowledges what is durable."),
        TopicSetting(
            "preallocate", .boolean, "false", .boolean,
            "Without effect: the journal, which is preallocated, takes the writes that somebody waits for."),
        TopicSetting(
            "retention.bytes", .long, "-1", .integer(-1...forever),
            "Old segments go while a partition is larger than this; -1: no limit."),
        TopicSetting(
            "retention.ms", .long, "604800000", .integer(-1...forever),
            "Segments whose last record is older go; -1: never."),
        TopicSetting(
            "segment.bytes", .int, "1073741824", .integer(14...Int64(Int32.max)), "A segment is closed when it has this size."),
        TopicSetting(
            "segment.index.bytes", .int, "10485760", .integer(4...Int64(Int32.max)), broker: "log.index.size.max.bytes",
            "Kafka's size of an index file. Here indexes grow as they need."),
        TopicSetting(
            "segment.jitter.ms", .long, "0", natural, broker: "log.roll.jitter.ms",
            "Up to how much earlier than segment.ms a segment is closed, so that not all close together."),
        TopicSetting(
            "segment.ms", .long, "604800000", .integer(1...forever), broker: "log.roll.ms",
            "A segment is closed after this time even if it is small, so that retention and compaction can reach it."),
        TopicSetting(
            "unclean.leader.election.enable", .boolean, "false", .boolean, broker: "unclean.leader.election.enable",
            "Without effect: there is one server."),
    ]
}
