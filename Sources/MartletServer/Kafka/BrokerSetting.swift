package import MartletLog

/// The server's own settings, as data: what DescribeConfigs shows, `--set` and the environment may set, and AlterConfigs
/// may change while the server runs. Names, defaults and meanings are Kafka's where Kafka has them.
package struct BrokerSetting: Sendable {
    /// The settings that the server's code asks for.
    package enum Name: String, CaseIterable, Sendable {
        case autoCreateTopics = "auto.create.topics.enable"
        case connectionsIdleMillis = "connections.max.idle.ms"
        case connections = "max.connections"
        case deleteTopics = "delete.topic.enable"
        case fetchMaxBytes = "fetch.max.bytes"
        case frameBytes = "socket.request.max.bytes"
        case groupConsumerHeartbeatMillis = "group.consumer.heartbeat.interval.ms"
        case groupConsumerSessionMillis = "group.consumer.session.timeout.ms"
        case groupConsumerHeartbeatMillisMax = "group.consumer.max.heartbeat.interval.ms"
        case groupConsumerHeartbeatMillisMin = "group.consumer.min.heartbeat.interval.ms"
        case groupConsumerSessionMillisMax = "group.consumer.max.session.timeout.ms"
        case groupConsumerSessionMillisMin = "group.consumer.min.session.timeout.ms"
        case groupInitialDelayMillis = "group.initial.rebalance.delay.ms"
        case groupSessionMillisMax = "group.max.session.timeout.ms"
        case groupSessionMillisMin = "group.min.session.timeout.ms"
        case groupSizeMax = "group.max.size"
        case journalBytesMax = "journal.bytes.max"
        case journalBytesMin = "journal.bytes.min"
        case journalFileBytes = "journal.file.bytes"
        case offsetMetadataBytesMax = "offset.metadata.max.bytes"
        case offsetsRetentionCheckMillis = "offsets.retention.check.interval.ms"
        case offsetsRetentionMinutes = "offsets.retention.minutes"
        case partitions = "num.partitions"
        case producerExpirationMillis = "producer.id.expiration.ms"
        case quotaSamples = "quota.window.num"
        case quotaSampleSeconds = "quota.window.size.seconds"
        case recordBytesMax = "max.record.bytes"
        case tailBytesMax = "tail.bytes.max"
        case transactionExpirationMillis = "transactional.id.expiration.ms"
        case transactionTimeoutMillisMax = "transaction.max.timeout.ms"
        case unwrittenBytesMax = "unwritten.bytes.max"
    }

    package var name: String
    package var kind: TopicSetting.Kind
    package var defaultValue: String
    package var documentation: String
    /// It may be changed while the server runs.
    package var isDynamic: Bool
    /// What it must be, beyond its kind.
    private var range: ClosedRange<Int64>?
    /// The topic setting whose default this is.
    package var topicSetting: TopicSetting?

    private init(
        _ name: Name, _ kind: TopicSetting.Kind, _ defaultValue: String, _ range: ClosedRange<Int64>?, isDynamic: Bool = false,
        _ documentation: String
    ) {
        self.name = name.rawValue
        self.kind = kind
        self.defaultValue = defaultValue
        self.range = range
        self.isDynamic = isDynamic
        self.documentation = documentation
    }

    /// The default of a topic's setting; what topics do not set for themselves.
    private init(defaultOf setting: TopicSetting) {
        name = setting.brokerName
        kind = setting.kind
        defaultValue = setting.defaultValue
        documentation = "For topics that do not set \(setting.name): " + setting.documentation
        isDynamic = false
        topicSetting = setting
    }

    /// nil if the text is a value for this setting, else what it must be.
    package func objection(to text: String) -> String? {
        if let topicSetting { return topicSetting.objection(to: text) }
        switch kind {
        case .boolean: return text == "true" || text == "false" ? nil : "must be true or false"
        case .int, .long:
            let range = range ?? 0...Int64.max
            guard let number = Int64(text), range.contains(number) else {
                return "must be an integer from \(range.lowerBound) to \(range.upperBound)"
            }
            return nil
        case .string, .double, .list: return nil
        }
    }

    package static func named(_ name: String) -> BrokerSetting? { all.first { $0.name == name } }

    private static let natural: ClosedRange<Int64> = 0...Int64(Int32.max)
    private static let positive: ClosedRange<Int64> = 1...Int64(Int32.max)

    /// Every setting, by name.
    package static let all: [BrokerSetting] =
        (own + TopicSetting.all.map { BrokerSetting(defaultOf: $0) }).sorted { $0.name < $1.name }

    private static let own: [BrokerSetting] = [
        BrokerSetting(
            .autoCreateTopics, .boolean, "true", nil, isDynamic: true, "Clients that ask for a topic that is not there get it created."),
        BrokerSetting(
            .connectionsIdleMillis, .long, "600000", 1_000...Int64(Int32.max),
            "A connection on which nothing happens for so long is closed."),
        BrokerSetting(.connections, .int, "10000", positive, "Connections at one time; those beyond are closed at once."),
        BrokerSetting(.deleteTopics, .boolean, "true", nil, "Whether clients may delete topics."),
        BrokerSetting(
            .fetchMaxBytes, .int, "57671680", 1_024...Int64(Int32.max), isDynamic: true,
            "The most that one fetch request is answered with, whatever it asks for; a single larger batch is still given."),
        BrokerSetting(
            .frameBytes, .int, "104857600", 1_024...Int64(1 << 30), "The largest request; larger ones close their connection unread."),
        BrokerSetting(
            .groupConsumerHeartbeatMillis, .int, "5000", positive, "How often members of consumer groups (KIP-848) are to be heard of."),
        BrokerSetting(
            .groupConsumerSessionMillis, .int, "45000", positive,
            "A member of a consumer group (KIP-848) that is not heard of for so long is given up."),
        BrokerSetting(
            .groupConsumerHeartbeatMillisMax, .int, "15000", positive, "The most that group.consumer.heartbeat.interval.ms may be."),
        BrokerSetting(
            .groupConsumerHeartbeatMillisMin, .int, "5000", positive, "The least that group.consumer.heartbeat.interval.ms may be."),
        BrokerSetting(
            .groupConsumerSessionMillisMax, .int, "60000", positive, "The most that group.consumer.session.timeout.ms may be."),
        BrokerSetting(
            .groupConsumerSessionMillisMin, .int, "45000", positive, "The least that group.consumer.session.timeout.ms may be."),
        BrokerSetting(
            .groupInitialDelayMillis, .int, "3000", natural, "How long a new group waits for more members before its first rebalance."),
        BrokerSetting(.groupSessionMillisMax, .int, "1800000", positive, "The longest session timeout that a member may ask for."),
        BrokerSetting(.groupSessionMillisMin, .int, "6000", positive, "The shortest session timeout that a member may ask for."),
        BrokerSetting(.groupSizeMax, .int, "2147483647", positive, "Members of a group, at most."),
        BrokerSetting(
            .journalBytesMax, .long, "4294967296", 4_194_304...Int64.max,
            "The ring of journal files never takes more; producers wait when it is full."),
        BrokerSetting(.journalBytesMin, .long, "134217728", 4_194_304...Int64.max, "Journal files made at the start."),
        BrokerSetting(.journalFileBytes, .long, "33554432", 1_048_576...Int64(1 << 32), "One file of the journal's ring."),
        BrokerSetting(.offsetMetadataBytesMax, .int, "4096", natural, "The longest text that may be committed with an offset."),
        BrokerSetting(
            .offsetsRetentionCheckMillis, .long, "600000", 1...Int64.max, "Between two looks for committed offsets that are too old."),
        BrokerSetting(
            .offsetsRetentionMinutes, .int, "10080", positive, "Offsets of a group without members are kept for so long."),
        BrokerSetting(.partitions, .int, "4", 1...100_000, isDynamic: true, "Partitions of a topic for which none are asked for."),
        BrokerSetting(
            .producerExpirationMillis, .int, "86400000", positive,
            "A producer that does not write to a partition for so long is forgotten there."),
        BrokerSetting(.quotaSamples, .int, "11", 2...1_000, "Samples over which a client's rate is taken."),
        BrokerSetting(.quotaSampleSeconds, .int, "1", 1...3_600, "The length of one sample."),
        BrokerSetting(
            .recordBytesMax, .int, "16777216", 1...Int64(1 << 30), "The largest record, uncompressed."),
        BrokerSetting(
            .tailBytesMax, .long, "134217728", 1_048_576...Int64.max, "Memory for the newest batches of all partitions."),
        BrokerSetting(
            .transactionExpirationMillis, .int, "604800000", positive, "A transactional id that is not used for so long is forgotten."),
        BrokerSetting(
            .transactionTimeoutMillisMax, .int, "900000", positive, "The longest transaction timeout that a producer may ask for."),
        BrokerSetting(
            .unwrittenBytesMax, .long, "268435456", 1_048_576...Int64.max,
            "What may wait in memory for its segment; producers wait when it is full."),
    ]
}
