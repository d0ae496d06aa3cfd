internal import Synchronization

/// Topics: what there is, and how it changes. Each change is a commit.
extension Log {
    /// The topic of that name, as soon as its creation is durable and until its deletion is.
    package func topic(named name: String) -> Topic? {
        state.withLock { state in state.names[name].flatMap { $0.isVisible ? $0.topic : nil } }
    }

    package func topic(id: TopicID) -> Topic? {
        state.withLock { state in state.topics[id].flatMap { $0.isVisible ? $0.topic : nil } }
    }

    /// Every topic, by name.
    package func topics() -> [Topic] {
        state.withLock { $0.topics.values.filter(\.isVisible).map(\.topic) }.sorted { $0.name < $1.name }
    }

    /// The most partitions a topic may have.
    package static let partitionsMax: Int32 = 100_000

    /// Makes a topic. Answer the client when the sequence is durable; until then the topic is not to be seen, though its
    /// name is taken.
    package func createTopic(
        _ name: String, partitions: Int32, overrides: [String: String] = [:], id: TopicID? = nil, isInternal: Bool = false
    ) throws(LogError) -> (topic: Topic, sequence: UInt64) {
        var topic = try validateTopic(name, partitions: partitions, overrides: overrides)
        topic.id = id ?? TopicID.random(surroundings.entropy)
        topic.isInternal = isInternal
        let made = topic
        let sequence = try append { (state, encoder, sequence) throws(LogError) in
            guard state.names[name] == nil, state.topics[made.id] == nil else { throw .topicExists(name) }
            encoder.appendCreated(made)
            return { state in
                let topic = TopicState(made, isVisible: false)
                state.topics[made.id] = topic
                state.names[name] = topic
                state.effects.append((sequence, .created(topic)))
            }
        }
        return (topic, sequence)
    }

    /// What `createTopic` would make; throws what it would throw. For validate_only requests.
    package func validateTopic(
        _ name: String, partitions: Int32, overrides: [String: String] = [:]
    ) throws(LogError) -> Topic {
        guard Log.isTopicName(name) else { throw .invalidTopicName(name) }
        guard partitions > 0 && partitions <= Log.partitionsMax else { throw .invalidPartitionCount(partitions) }
        let configuration = try TopicConfiguration(overrides: overrides, serverDefaults: options.topicDefaults)
        if state.withLock({ $0.names[name] != nil }) { throw .topicExists(name) }
        return Topic(
            id: .zero, name: name, partitions: partitions, configuration: configuration, createdMillis: nowMillis,
            isInternal: false)
    }

    /// Kafka's rule: 1 to 249 characters of a–z, A–Z, 0–9, `.`, `_` and `-`; not `.` or `..`.
    package static func isTopicName(_ name: String) -> Bool {
        guard (1...249).contains(name.utf8.count), name != ".", name != ".." else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }

    /// Appends are refused at once; the topic disappears, and its directory after it, when the sequence is durable.
    package func deleteTopic(_ id: TopicID) throws(LogError) -> UInt64 {
        try append { (state, encoder, sequence) throws(LogError) in
            let topic = try state.changeable(id)
            encoder.appendDeleted(id)
            return { state in
                topic.isDeleted = true
                for partition in topic.partitions { partition.isClosed = true }
                state.effects.append((sequence, .deleted(topic)))
            }
        }
    }

    /// `total` partitions from now on, more than before.
    package func addPartitions(_ id: TopicID, total: Int32) throws(LogError) -> UInt64 {
        try append { (state, encoder, sequence) throws(LogError) in
            let topic = try state.changeable(id)
            guard total > topic.partitions.count, total <= Log.partitionsMax else { throw .invalidPartitionCount(total) }
            encoder.appendPartitions(id, total: total)
            return { state in
                topic.addPartitions(total: total)
                state.effects.append((sequence, .partitions(topic, total)))
            }
        }
    }

    /// Replaces all settings of a topic. In force when the sequence is durable.
    package func alterTopic(_ id: TopicID, overrides: [String: String]) throws(LogError) -> UInt64 {
        let configuration = try TopicConfiguration(overrides: overrides, serverDefaults: options.topicDefaults)
        return try append { (state, encoder, sequence) throws(LogError) in
            let topic = try state.changeable(id)
            encoder.appendAltered(id, overrides: overrides)
            return { state in
                topic.configuration = configuration
                state.effects.append((sequence, .altered(topic, configuration)))
            }
        }
    }

    /// Moves the log's start; what is before it can no longer be read and is removed with its segments. Up to the high
    /// watermark; an earlier offset than the present start changes nothing. Returns the start it will have.
    package func deleteRecords(
        _ id: TopicPartition, before offset: Int64
    ) throws(LogError) -> (logStartOffset: Int64, sequence: UInt64) {
        var start: Int64 = 0
        let sequence = try append { (state, encoder, sequence) throws(LogError) in
            guard let partition = state.visiblePartition(id), !partition.isClosed else { throw .unknownPartition }
            guard offset >= 0 && offset <= partition.highWatermark else {
                throw .offsetOutOfRange(requested: offset, start: partition.visibleStart, end: partition.highWatermark)
            }
            start = max(offset, partition.startOffset)
            let moved = start
            encoder.appendDeletion(id, before: moved)
            return { state in
                partition.startOffset = moved
                state.effects.append((sequence, .start(partition, moved)))
            }
        }
        return (start, sequence)
    }

    /// One change of the catalog as a record: `body` checks and encodes it, and returns what to do once the journal has it.
    private func append(
        _ body: (LogState, CommitEncoder, UInt64) throws(LogError) -> (inout LogState) -> Void
    ) throws(LogError) -> UInt64 {
        let millis = nowMillis
        let sequence = try state.withLock { (state) throws(LogError) in
            if let failure = state.failure { throw failure }
            let sequence = nextSequence
            let encoder = CommitEncoder(into: state.sink, millis: millis)
            let apply = try body(state, encoder, sequence)
            guard enqueue(encoder, &state, expecting: sequence) else { throw .throttled }
            apply(&state)
            return sequence
        }
        wakeJournal()
        return sequence
    }
}

extension LogState {
    /// A topic that is there for good: created durably, and not about to go.
    fileprivate func changeable(_ id: TopicID) throws(LogError) -> TopicState {
        guard let topic = topics[id], topic.isVisible, !topic.isDeleted else { throw .unknownTopic }
        return topic
    }
}
