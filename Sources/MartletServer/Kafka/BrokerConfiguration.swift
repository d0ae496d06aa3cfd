package import MartletLog

/// A setting that cannot be taken, in words for a user.
package struct BrokerConfigurationError: Error, Sendable, CustomStringConvertible {
    package let message: String
    package var description: String { message }
}

/// The server's settings in force: defaults, what it was started with, and what was changed since.
///
/// A value; the broker holds the one that counts.
package struct BrokerConfiguration: Sendable {
    /// By name, as it was started.
    package private(set) var given: [String: String] = [:]
    /// Changed while running and kept in the log, for this server (`broker`) and for all servers (`cluster`); the former
    /// wins. Names that are no setting are kept and shown and have no effect, as in Kafka.
    package private(set) var changedForBroker: [String: String] = [:]
    package private(set) var changedForCluster: [String: String] = [:]
    /// What the code asks for, parsed.
    private var numbers: [BrokerSetting.Name: Int] = [:]
    private var flags: [BrokerSetting.Name: Bool] = [:]

    package init() { refresh() }

    /// Throws for an unknown name and for a value that its setting does not allow.
    package init(_ values: [(name: String, value: String)]) throws(BrokerConfigurationError) {
        for (name, value) in values {
            guard let setting = BrokerSetting.named(name) else {
                throw BrokerConfigurationError(message: "there is no setting \"\(name)\"")
            }
            if let objection = setting.objection(to: value) {
                throw BrokerConfigurationError(message: "\(name): \"\(value)\" \(objection)")
            }
            given[name] = value
        }
        refresh()
        try check(.groupSessionMillisMin, isAtMost: .groupSessionMillisMax)
        try check(.groupConsumerSessionMillisMin, isAtMost: .groupConsumerSessionMillis)
        try check(.groupConsumerSessionMillis, isAtMost: .groupConsumerSessionMillisMax)
        try check(.groupConsumerHeartbeatMillisMin, isAtMost: .groupConsumerHeartbeatMillis)
        try check(.groupConsumerHeartbeatMillis, isAtMost: .groupConsumerHeartbeatMillisMax)
    }

    private func check(
        _ smaller: BrokerSetting.Name, isAtMost larger: BrokerSetting.Name
    ) throws(BrokerConfigurationError) {
        guard int(smaller) > int(larger) else { return }
        throw BrokerConfigurationError(
            message: "\(smaller.rawValue) is \(int(smaller)), more than \(larger.rawValue), which is \(int(larger))")
    }

    package func int(_ name: BrokerSetting.Name) -> Int { numbers[name] ?? 0 }
    package func bool(_ name: BrokerSetting.Name) -> Bool { flags[name] ?? false }

    /// Replaces what was changed while running. Values of dynamic settings have been checked.
    package mutating func change(broker: [String: String], cluster: [String: String]) {
        changedForBroker = broker
        changedForCluster = cluster
        refresh()
    }

    /// The value in force, and where it comes from (Kafka's ConfigSource).
    package func value(of setting: BrokerSetting) -> (value: String, source: Int8) {
        // What is changed counts only where it may be: a name may have been dynamic in another version.
        if setting.isDynamic {
            if let value = changedForBroker[setting.name] { return (value, 2) }
            if let value = changedForCluster[setting.name] { return (value, 3) }
        }
        if let value = given[setting.name] { return (value, 4) }
        return (setting.defaultValue, 5)
    }

    private mutating func refresh() {
        for name in BrokerSetting.Name.allCases {
            guard let setting = BrokerSetting.named(name.rawValue) else { continue }
            let text = value(of: setting).value
            numbers[name] = Int(text)
            flags[name] = text == "true"
        }
    }

    /// What the log is opened with.
    package func logOptions() -> LogOptions {
        var options = LogOptions()
        // Whole blocks of 4 KiB; a group fits a file.
        options.journalFileBytes = (int(.journalFileBytes) + 4_095) & ~4_095
        options.journalGroupBytesMax = min(options.journalGroupBytesMax, options.journalFileBytes)
        options.journalBytesMin = max(int(.journalBytesMin), 2 * options.journalFileBytes)
        options.journalBytesMax = max(int(.journalBytesMax), options.journalBytesMin)
        options.checkpointBytes = min(options.checkpointBytes, options.journalBytesMax / 4)
        options.tailBytesMax = int(.tailBytesMax)
        options.unwrittenBytesMax = max(int(.unwrittenBytesMax), int(.tailBytesMax))
        options.producerExpirationMillis = Int64(int(.producerExpirationMillis))
        for setting in BrokerSetting.all {
            if let topicSetting = setting.topicSetting, let value = given[setting.name] {
                options.topicDefaults[topicSetting.name] = value
            }
        }
        return options
    }
}
