/// A topic's settings: what was set for it, and what that comes to over the server's defaults.
package struct TopicConfiguration: Sendable, Equatable {
    package enum TimestampType: Sendable, Equatable { case createTime, logAppendTime }

    /// Where a value comes from, by Kafka's number on the wire.
    package enum Source: UInt8, Sendable {
        case topic = 1
        case server = 4
        case standard = 5
    }

    /// One setting with the value in force.
    package struct Value: Sendable {
        package var setting: TopicSetting
        package var value: String
        package var source: Source
    }

    /// What was set for the topic itself.
    package let overrides: [String: String]
    /// What the server's own configuration says for all topics, by the topic's names.
    package let serverDefaults: [String: String]

    /// Old segments go by time and size.
    package let dropsOldSegments: Bool
    package let isCompacted: Bool
    /// `producer` or Kafka's name of a codec; `uncompressed` for none.
    package let compressionType: String
    /// For `compressionType`, as `Compression` takes it: 0 is the codec's default.
    package let compressionLevel: Int
    package let deleteRetentionMillis: Int64
    package let maxCompactionLagMillis: Int64
    package let messageBytesMax: Int
    package let timestampAfterMaxMillis: Int64
    package let timestampBeforeMaxMillis: Int64
    package let timestampType: TimestampType
    package let minCleanableDirtyRatio: Double
    package let minCompactionLagMillis: Int64
    /// nil: no limit.
    package let retentionBytes: Int64?
    /// nil: for ever.
    package let retentionMillis: Int64?
    package let segmentBytes: Int
    package let segmentJitterMillis: Int64
    package let segmentMillis: Int64

    /// Throws `invalidConfiguration` for an unknown name or a value that its setting does not allow.
    package init(overrides: [String: String] = [:], serverDefaults: [String: String] = [:]) throws(LogError) {
        for (name, value) in (overrides.sorted { $0.key < $1.key }) + (serverDefaults.sorted { $0.key < $1.key }) {
            guard let setting = TopicSetting.named(name) else {
                throw .invalidConfiguration(name: name, detail: "there is no such topic setting")
            }
            if let objection = setting.objection(to: value) {
                throw .invalidConfiguration(name: name, detail: "\"\(value)\" \(objection)")
            }
        }
        self.overrides = overrides
        self.serverDefaults = serverDefaults
        let text = { (name: String) in
            overrides[name] ?? serverDefaults[name] ?? TopicSetting.named(name)!.defaultValue
        }
        // Every value was checked against its setting's rule, which is narrower than the type.
        let long = { (name: String) in Int64(text(name))! }
        let policies = TopicSetting.list(text("cleanup.policy"))
        dropsOldSegments = policies.contains("delete")
        isCompacted = policies.contains("compact")
        compressionType = text("compression.type")
        let level = TopicSetting.named("compression.\(compressionType).level")
        compressionLevel = level.map { text($0.name) == $0.defaultValue ? 0 : Int(long($0.name)) } ?? 0
        deleteRetentionMillis = long("delete.retention.ms")
        maxCompactionLagMillis = long("max.compaction.lag.ms")
        messageBytesMax = Int(long("max.message.bytes"))
        timestampAfterMaxMillis = long("message.timestamp.after.max.ms")
        timestampBeforeMaxMillis = long("message.timestamp.before.max.ms")
        timestampType = text("message.timestamp.type") == "LogAppendTime" ? .logAppendTime : .createTime
        minCleanableDirtyRatio = Double(text("min.cleanable.dirty.ratio"))!
        minCompactionLagMillis = long("min.compaction.lag.ms")
        retentionBytes = long("retention.bytes") < 0 ? nil : long("retention.bytes")
        retentionMillis = long("retention.ms") < 0 ? nil : long("retention.ms")
        segmentBytes = Int(long("segment.bytes"))
        segmentJitterMillis = long("segment.jitter.ms")
        segmentMillis = long("segment.ms")
        if minCompactionLagMillis > maxCompactionLagMillis {
            throw .invalidConfiguration(name: "max.compaction.lag.ms", detail: "must not be less than min.compaction.lag.ms")
        }
    }

    /// Every setting with its value, by name.
    package func values() -> [Value] {
        TopicSetting.all.map { setting in
            if let value = overrides[setting.name] { return Value(setting: setting, value: value, source: .topic) }
            if let value = serverDefaults[setting.name] { return Value(setting: setting, value: value, source: .server) }
            return Value(setting: setting, value: setting.defaultValue, source: .standard)
        }
    }
}
