package import MartletCore

/// Durable bytes that are not what was written there.
package struct LogDamage: Sendable, Equatable, CustomStringConvertible {
    /// The file, or what else names the place for a person.
    package var place: String
    /// Whose data it is, where that can be told.
    package var partition: TopicPartition?
    /// The offsets that cannot be served, where that can be told.
    package var offsets: Range<Int64>?
    /// What is wrong, in words.
    package var detail: String

    package init(place: String, partition: TopicPartition? = nil, offsets: Range<Int64>? = nil, detail: String) {
        self.place = place
        self.partition = partition
        self.offsets = offsets
        self.detail = detail
    }

    package var description: String {
        var text = "\(place): \(detail)"
        if let partition { text += "; partition \(partition)" }
        if let offsets { text += "; offsets \(offsets.lowerBound) to \(offsets.upperBound - 1)" }
        return text
    }
}

/// Why an append, or a commit that holds it, was not accepted. Nothing of it happened.
package enum AppendRefusal: Error, Sendable, Equatable {
    /// There is no such partition (any more).
    case unknownPartition
    /// The batch does not follow the producer's last one.
    case outOfOrderSequence(expected: Int32, found: Int32)
    /// The producer has a newer epoch: a newer instance of it exists.
    case invalidProducerEpoch(current: Int16)
    /// A batch outside any transaction while the producer has one open in this partition.
    case invalidTransactionState
    /// The bytes are no acceptable record batch.
    case invalidRecord(String)
    /// Larger than the topic's `max.message.bytes`, or than a commit may be.
    case tooLarge(bytes: Int, bytesMax: Int)
    /// The journal's ring or the memory for unwritten data is full: repeat when the flusher has caught up.
    case throttled
    /// The disk is full: repeat when there is space.
    case outOfSpace
    /// The log has failed or is closed; nothing will be accepted any more.
    case unavailable(String)

    /// The same call may succeed later without anybody changing it.
    package var isRetriable: Bool {
        switch self {
        case .throttled, .outOfSpace: true
        case .unknownPartition, .outOfOrderSequence, .invalidProducerEpoch, .invalidTransactionState, .invalidRecord, .tooLarge,
            .unavailable:
            false
        }
    }
}

/// What can go wrong with the log, by what the caller must do.
package enum LogError: Error, Sendable, Equatable {
    /// Acknowledged data is damaged: report it. What is not named by it can be served.
    case corrupt(LogDamage)
    /// The data directory was written by a newer Martlet, or is no data directory.
    case unsupported(place: String, detail: String)
    /// A call to the operating system failed, and it does not stop the log.
    case io(IOError)
    /// There is no space: nothing was acknowledged; reads go on, and writes will when there is space again.
    case outOfSpace(IOError)
    /// A write that must not be repeated failed (a sync, say): the process must end, a restart recovers.
    case fatal(String)
    /// `close()` was called.
    case closed
    /// The ring is full: repeat later.
    case throttled
    case unknownTopic
    case unknownPartition
    /// What was asked for is not among the offsets `start ..< end` that exist.
    case offsetOutOfRange(requested: Int64, start: Int64, end: Int64)
    case topicExists(String)
    case invalidTopicName(String)
    case invalidPartitionCount(Int32)
    /// A topic's setting; `detail` says what it may be.
    case invalidConfiguration(name: String, detail: String)
    /// A commit is all or nothing; `index` is that of the first append that was not accepted.
    case refused(index: Int, AppendRefusal)

    /// Repeating the same call may succeed without anybody changing it.
    package var isRetriable: Bool {
        switch self {
        case .throttled, .outOfSpace: true
        case .io(let error): error.isRetriable
        case .refused(_, let refusal): refusal.isRetriable
        case .corrupt, .unsupported, .fatal, .closed, .unknownTopic, .unknownPartition, .offsetOutOfRange, .topicExists,
            .invalidTopicName, .invalidPartitionCount, .invalidConfiguration:
            false
        }
    }

    /// Sorted by what the caller can do.
    package init(_ error: IOError) { self = error.isOutOfSpace ? .outOfSpace(error) : .io(error) }
}

extension LogError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .corrupt(let damage): "damaged: \(damage)"
        case .unsupported(let place, let detail): "\(place): \(detail)"
        case .io(let error), .outOfSpace(let error): "\(error)"
        case .fatal(let text): text
        case .closed: "the log is closed"
        case .throttled: "the journal is full until the flusher has caught up"
        case .unknownTopic: "there is no such topic"
        case .unknownPartition: "there is no such partition"
        case .offsetOutOfRange(let requested, let start, let end):
            "offset \(requested) is out of range: the partition has \(start) up to, not including, \(end)"
        case .topicExists(let name): "topic \(name) exists already"
        case .invalidTopicName(let name): "\"\(name)\" is not a topic name: 1 to 249 of a-z A-Z 0-9 . _ -, not . or .."
        case .invalidPartitionCount(let count): "\(count) is not a number of partitions"
        case .invalidConfiguration(let name, let detail): "\(name): \(detail)"
        case .refused(let index, let refusal): "append \(index) of the commit was refused: \(refusal)"
        }
    }
}
