internal import MartletCore
internal import MartletEngine
internal import MartletLog
internal import MartletPlatform
internal import MartletSQL

/// `connector = 'kafka'` without `properties.bootstrap.server`: the deployment's own log, in process.
extension LocalConnectors {
    func openTopic(
        _ definition: SourceDefinition, ordinal: Int, columns: [Int]
    ) throws(SQLError) -> [any SourcePartition] {
        let subject = "source \"\(definition.name)\""
        let options = ConnectorOptions(definition.options, of: subject, connector: "kafka")
        try options.allow([
            "topic", "scan.startup.mode", "scan.startup.timestamp.millis", "scan.bounded.mode", "max_lag",
        ])
        let log = try ownLog(subject)
        let topic = try topic(try options.required("topic"), of: log, subject)
        interest.add(topic.id)
        let start = try startup(options, subject)
        let isBounded = try options.choice("scan.bounded.mode", ["unbounded", "latest-offset"]) == "latest-offset" || readsToNow
        let backpressure = readsToNow ? .block : try backpressure(definition, options, subject)
        var partitions: [any SourcePartition] = []
        for number in 0..<topic.partitions {
            let partition = TopicPartition(topic: topic.id, partition: number)
            let (first, end): (Int64, Int64)
            do throws(LogError) {
                first = try log.offset(start, in: partition, isolation: .readCommitted).offset
                end = try log.offset(.latest, in: partition, isolation: .readCommitted).offset
            } catch {
                throw SQLError(.ioError, "\(subject): topic \(topic.name): \(error)")
            }
            partitions.append(
                try TopicPartitionReader(
                    log, partition, topic: topic.name, definition: definition, ordinal: ordinal, columns: columns,
                    // A time after the last record is answered with −1: from the end on, then.
                    start: first < 0 ? end : first, end: isBounded ? end : nil, backpressure: backpressure, clock: clock))
        }
        return partitions
    }

    /// A topic's new partitions are read from their beginning: their first records came after the source's.
    func openMoreOfTopic(
        _ definition: SourceDefinition, ordinal: Int, columns: [Int], known: Int
    ) throws(SQLError) -> [any SourcePartition] {
        let subject = "source \"\(definition.name)\""
        let options = ConnectorOptions(definition.options, of: subject, connector: "kafka")
        guard let log, let name = options.text("topic"), let topic = log.topic(named: name), topic.partitions > known,
            options.text("scan.bounded.mode") != "latest-offset"
        else { return [] }
        let backpressure = try backpressure(definition, options, subject)
        var partitions: [any SourcePartition] = []
        for number in Int32(known)..<topic.partitions {
            partitions.append(
                try TopicPartitionReader(
                    log, TopicPartition(topic: topic.id, partition: number), topic: topic.name, definition: definition, ordinal: ordinal,
                    columns: columns, start: 0, end: nil, backpressure: backpressure, clock: clock))
        }
        return partitions
    }

    /// `buffer` is `block`: the log is the buffer, up to the topic's retention.
    private func backpressure(
        _ definition: SourceDefinition, _ options: ConnectorOptions, _ subject: String
    ) throws(SQLError) -> TopicPartitionReader.Backpressure {
        let kind = definition.backpressure
        let lagMax = try options.integer("max_lag", in: 1...Int(Int32.max))
        switch (kind, lagMax) {
        case (.dropOldest, let lagMax?): return .dropOldest(lagMax: Int64(lagMax))
        case (.dropNewest, let lagMax?): return .dropNewest(lagMax: Int64(lagMax))
        case (.block, nil), (.buffer, nil): return .block
        case (.block, _), (.buffer, _):
            throw SQLError(
                .invalidParameterValue, "\(subject): max_lag says when records are dropped, and backpressure = '\(kind.rawValue)' drops none",
                position: options.position("max_lag"))
        case (.dropOldest, nil), (.dropNewest, nil):
            throw SQLError(
                .invalidParameterValue, "\(subject): backpressure = '\(kind.rawValue)' needs max_lag",
                hint: "max_lag = '100000' lets each partition fall behind by so many records.")
        }
    }

    func openTopicSink(
        _ definition: SinkDefinition, _ format: RowFormat, isAppendOnly: Bool
    ) throws(SQLError) -> any SinkTarget {
        let subject = "sink \"\(definition.name)\""
        let options = ConnectorOptions(definition.options, of: subject, connector: "kafka")
        try options.allow(["topic"])
        let log = try ownLog(subject)
        let topic = try topic(try options.required("topic"), of: log, subject)
        let kind: TopicFormat.Kind =
            definition.format == .debezium ? .debezium : definition.format == .upsert || definition.type == .upsert ? .upsert : .rows
        var row = format
        row.showsOperation = !isAppendOnly && kind == .rows && !definition.ignoresDeletes
        row.hasHeader = false
        if topic.isInternal {
            throw SQLError(.insufficientPrivilege, "\(subject): topic \"\(topic.name)\" is Martlet's own", position: options.position("topic"))
        }
        return TopicTarget(
            definition.name, topic: topic,
            format: TopicFormat(
                row: row, key: definition.primaryKey, kind: kind, ignoresDeletes: definition.ignoresDeletes),
            clock: clock)
    }

    func openRelationTopic(_ relation: SideRelation, _ format: RowFormat, of log: Log) throws(SQLError) -> any SinkTarget {
        let topic = try topic(relation.name, of: log, "\"\(relation.name)\"")
        switch relation.kind {
        case .late:
            return TopicTarget(
                relation.name, topic: topic, format: TopicFormat(row: format, key: [], kind: .rows, ignoresDeletes: false),
                clock: clock)
        case .deadLetters:
            return DeadLetterTarget(
                relation.name, topic: topic, fields: relation.fields,
                origin: relation.source.options["topic"]?.text ?? relation.source.name, clock: clock)
        }
    }

    private func ownLog(_ subject: String) throws(SQLError) -> Log {
        guard let log else {
            throw SQLError(
                .invalidParameterValue, "\(subject): connector \"kafka\" needs a log, and this run has none",
                hint: "Give a data directory (--data-dir DIR) for the log of this process.")
        }
        return log
    }

    private func topic(_ name: String, of log: Log, _ subject: String) throws(SQLError) -> Topic {
        do throws(LogError) {
            return try log.ensureTopic(name, partitions: topicPartitions)
        } catch {
            throw SQLError(.ioError, "\(subject): topic \"\(name)\" cannot be created: \(error)")
        }
    }

    private func startup(_ options: ConnectorOptions, _ subject: String) throws(SQLError) -> OffsetQuestion {
        let millis = try options.integer("scan.startup.timestamp.millis", in: 0...Int.max)
        switch try options.choice("scan.startup.mode", ["earliest", "latest", "timestamp"]) {
        case "latest": return .latest
        case "timestamp":
            guard let millis else {
                throw SQLError(
                    .invalidParameterValue, "\(subject): scan.startup.mode 'timestamp' needs scan.startup.timestamp.millis",
                    position: options.position("scan.startup.mode"))
            }
            return .atOrAfter(Int64(millis))
        default: return millis.map { .atOrAfter(Int64($0)) } ?? .earliest
        }
    }
}

extension Log {
    /// The topic, created if it is not there; waits until there is room for that in the journal, and until it is durable.
    func ensureTopic(
        _ name: String, partitions: Int32, overrides: [String: String] = [:], isInternal: Bool = false
    ) throws(LogError) -> Topic {
        if let topic = topic(named: name) { return topic }
        let (topic, sequence) = try whenThereIsRoom(for: "topic \(name)") { () throws(LogError) in
            try createTopic(name, partitions: partitions, overrides: overrides, isInternal: isInternal)
        }
        try waitUntilDurable(sequence)
        return topic
    }

    /// Returns when a commit is durable. Not for the journal's thread.
    func waitUntilDurable(_ sequence: UInt64) throws(LogError) {
        let done = WakeSignal()
        let ticket = done.ticket
        whenDurable(sequence) { done.notify() }
        // A log that failed answers nobody: look from time to time.
        while !done.wait(after: ticket, timeoutNanos: 1_000_000_000) {
            if let failure { throw failure }
        }
    }
}
