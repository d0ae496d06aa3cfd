import MartletLog
import Testing

@Suite("Topic settings")
struct LogConfigurationTests {
    @Test("every setting has a default that it allows itself, a text, and a place in alphabetical order")
    func defaults() throws {
        #expect(TopicSetting.all.map(\.name) == TopicSetting.all.map(\.name).sorted())
        for setting in TopicSetting.all {
            #expect(setting.objection(to: setting.defaultValue) == nil || setting.defaultValue.isEmpty, "\(setting.name)")
            #expect(setting.documentation.hasSuffix("."), "\(setting.name)")
        }
        let values = try TopicConfiguration().values()
        #expect(values.count == TopicSetting.all.count && values.allSatisfy { $0.source == .standard })
    }

    @Test("defaults are those of Apache Kafka 4")
    func kafkaDefaults() throws {
        let configuration = try TopicConfiguration()
        #expect(configuration.dropsOldSegments && !configuration.isCompacted)
        #expect(configuration.messageBytesMax == 1_048_588)
        #expect(configuration.segmentBytes == 1 << 30 && configuration.segmentMillis == 7 * 86_400_000)
        #expect(configuration.retentionMillis == 7 * 86_400_000 && configuration.retentionBytes == nil)
        #expect(configuration.deleteRetentionMillis == 86_400_000 && configuration.minCleanableDirtyRatio == 0.5)
        #expect(configuration.timestampType == .createTime && configuration.timestampAfterMaxMillis == 3_600_000)
        #expect(configuration.compressionType == "producer")
    }

    @Test("what was set for the topic comes before what the server says, and that before the standard")
    func layers() throws {
        let configuration = try TopicConfiguration(
            overrides: ["retention.ms": "-1", "cleanup.policy": "compact, delete"],
            serverDefaults: ["retention.ms": "5", "segment.bytes": "1000"])
        #expect(configuration.retentionMillis == nil && configuration.segmentBytes == 1_000)
        #expect(configuration.isCompacted && configuration.dropsOldSegments)
        let sources = Dictionary(uniqueKeysWithValues: configuration.values().map { ($0.setting.name, $0.source) })
        #expect(sources["retention.ms"] == .topic && sources["segment.bytes"] == .server && sources["segment.ms"] == .standard)
    }

    @Test(
        "values that a setting does not allow are refused by name",
        arguments: [
            ("cleanup.policy", "burn"), ("cleanup.policy", ""), ("max.message.bytes", "-1"), ("max.message.bytes", "1e3"),
            ("max.message.bytes", "2147483648"), ("min.cleanable.dirty.ratio", "1.5"), ("min.cleanable.dirty.ratio", "nan"),
            ("message.timestamp.type", "createtime"), ("preallocate", "yes"), ("retention.ms", "-2"), ("segment.bytes", "0"),
            ("compression.type", "brotli"), ("no.such.thing", "1"),
        ])
    func refusals(name: String, value: String) {
        do throws(LogError) {
            _ = try TopicConfiguration(overrides: [name: value])
            Issue.record("\(name) = \(value) is accepted")
        } catch {
            guard case .invalidConfiguration(name, _) = error else {
                Issue.record("\(error)")
                return
            }
        }
    }

    @Test("lags of compaction must be in order")
    func lags() {
        #expect(throws: LogError.self) {
            try TopicConfiguration(overrides: ["min.compaction.lag.ms": "10", "max.compaction.lag.ms": "9"])
        }
    }
}
