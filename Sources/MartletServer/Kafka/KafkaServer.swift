internal import MartletCore
package import MartletLog
package import MartletPlatform
internal import Synchronization

/// A server that could not be started, in words for a user.
package struct KafkaServerError: Error, Sendable, CustomStringConvertible {
    package let message: String
    package var description: String { message }
}

/// Kafka's protocol on one address, over a log: every API and version of `ApiKey.advertised`, as broker 1 of a cluster of
/// one.
///
/// One thread (`EventLoop`) reads, decides and answers for all connections; a small pool reads the disk; the journal's
/// thread (`LogDriver`) says what has become durable. See `KafkaBroker` for what happens to a request.
package final class KafkaServer: Sendable {
    /// The address with the port that is really listened on.
    package var address: ListenAddress { listener.address }
    package let clusterID: String
    private let loop: EventLoop
    private let pool: BlockingPool
    private let listener: TCPListener
    private let broker: KafkaBroker
    private let isStopped = Atomic<Bool>(false)

    /// Serves on return. Takes the log's publish listener; the log is being driven already, since this may wait for a
    /// commit of its own. `directory` is what clients are shown.
    package init(
        _ address: ListenAddress, log: Log, directory: String, configuration: BrokerConfiguration, surroundings: LogSurroundings,
        advertised: ListenAddress? = nil
    ) throws {
        loop = try EventLoop(name: "kafka")
        pool = try BlockingPool(name: "kafka-disk", threads: 2, yields: true)
        clusterID = try KafkaServer.clusterID(log, surroundings.entropy)
        let recordBytesMax = configuration.int(.recordBytesMax)
        let options = KafkaBrokerOptions(
            directory: directory, space: { fileSystemSpace(at: directory) }, recordBytesMax: recordBytesMax,
            decompressedBytesMax: 4 * recordBytesMax)
        let broker = KafkaBroker(
            log: log, loop: loop, pool: pool, clock: surroundings.clock, entropy: surroundings.entropy, logger: surroundings.logger,
            registry: surroundings.metrics, options: options, configuration: configuration, clusterID: clusterID,
            advertised: advertised)
        self.broker = broker
        let moved = Moved()
        let loop = loop
        _ = log.addPublishListener { partitions in
            guard moved.add(partitions) else { return }
            loop.post { broker.published(moved.take()) }
        }
        let failure = Mutex<(any Error)?>(nil)
        loop.run {
            do {
                try broker.load()
            } catch {
                failure.withLock { $0 = error }
            }
        }
        do {
            if let error = failure.withLock({ $0 }) { throw error }
            listener = try TCPListener(
                address, loop: loop, framing: .int32, limits: KafkaServer.limits(configuration)
            ) { KafkaConnection(broker, $0) }
        } catch {
            loop.run { broker.beginStop() }
            loop.stop()
            pool.stop()
            throw error
        }
        let statistics = listener.statistics
        loop.run { broker.statistics = statistics }
        KafkaServer.register(statistics, in: surroundings.metrics)
    }

    /// Takes no more connections, answers what is being waited for, and closes. The log must still be driven; it is left as
    /// it is. Not from one of its own threads.
    package func stop(graceNanos: Int64 = 5_000_000_000) {
        guard isStopped.compareExchange(expected: false, desired: true, ordering: .sequentiallyConsistent).exchanged else { return }
        listener.stopAccepting()
        let broker = broker
        loop.run { broker.beginStop() }
        let clock = SystemClock()
        let deadline = clock.monotonicNanos() + graceNanos
        let isQuiet = Atomic(false)
        while !isQuiet.load(ordering: .relaxed), clock.monotonicNanos() < deadline {
            loop.run { isQuiet.store(broker.isQuiet, ordering: .relaxed) }
            if !isQuiet.load(ordering: .relaxed) { clock.sleep(nanos: 2_000_000) }
        }
        listener.stop()
        pool.stop()
        loop.stop()
    }

    private static func limits(_ configuration: BrokerConfiguration) -> TCPLimits {
        var limits = TCPLimits()
        limits.connectionsMax = configuration.int(.connections)
        // Kafka counts without the four bytes of the length.
        limits.frameBytesMax = configuration.int(.frameBytes) + 4
        limits.largeFrameBytesMax = max(256 << 20, limits.frameBytesMax)
        limits.idleNanosMax = Int64(configuration.int(.connectionsIdleMillis)) * 1_000_000
        return limits
    }

    private static func register(_ statistics: TCPStatistics, in metrics: MetricsRegistry) {
        metrics.gauge("martlet_kafka_connections", help: "Connections that are open.") {
            Double(statistics.connections.load(ordering: .relaxed))
        }
        metrics.counter("martlet_kafka_connections_total", help: "Connections that were accepted.") {
            Double(statistics.accepted.load(ordering: .relaxed))
        }
        metrics.counter("martlet_kafka_refused_connections_total", help: "Connections that were closed at once, for want of room.") {
            Double(statistics.refused.load(ordering: .relaxed))
        }
        metrics.counter("martlet_kafka_idle_connections_total", help: "Connections that were closed since nothing happened on them.") {
            Double(statistics.closedIdle.load(ordering: .relaxed))
        }
        metrics.counter("martlet_kafka_stalled_connections_total", help: "Connections that were closed since their client stood still.") {
            Double(statistics.closedStalled.load(ordering: .relaxed))
        }
        metrics.counter("martlet_kafka_received_bytes_total", help: "Bytes received from clients.") {
            Double(statistics.bytesReceived.load(ordering: .relaxed))
        }
        metrics.counter("martlet_kafka_sent_bytes_total", help: "Bytes sent to clients.") {
            Double(statistics.bytesSent.load(ordering: .relaxed))
        }
        metrics.gauge("martlet_kafka_waiting_output_bytes", help: "Bytes of answers that clients have not taken yet.") {
            Double(statistics.outputBytes.load(ordering: .relaxed))
        }
    }

    /// The cluster's name, made once for each data directory: 16 random bytes as Kafka writes them, base64 without padding.
    private static func clusterID(_ log: Log, _ entropy: any Entropy) throws(LogError) -> String {
        let key = Array("cluster.id".utf8)
        if let known = log.entry(.meta, key: key) { return String(decoding: known, as: UTF8.self) }
        let id = TopicID.random(entropy).base64
        let committed = try log.whenThereIsRoom(for: "the cluster's name") { () throws(LogError) in
            try log.commit(Commit(entries: [EntryChange(.meta, key: key, value: Array(id.utf8))]))
        }
        let done = WakeSignal()
        let ticket = done.ticket
        log.whenDurable(committed.sequence) { done.notify() }
        guard done.wait(after: ticket, timeoutNanos: 30_000_000_000) else { throw .fatal("the journal does not write") }
        return id
    }
}

/// Partitions that moved and that the loop has not looked at yet.
private final class Moved: Sendable {
    private let partitions = Mutex<[TopicPartition]>([])

    /// True for the first since the last `take`.
    func add(_ more: [TopicPartition]) -> Bool {
        partitions.withLock { partitions in
            defer { partitions += more }
            return partitions.isEmpty && !more.isEmpty
        }
    }

    func take() -> [TopicPartition] {
        partitions.withLock { partitions in
            defer { partitions = [] }
            return partitions
        }
    }
}

extension TopicID {
    /// As Kafka shows identifiers: base64 in the alphabet for addresses, without padding; 22 characters.
    package var base64: String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        var bytes: [UInt8] = []
        for word in [high, low] {
            for shift in stride(from: 56, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift))) }
        }
        var text = ""
        for start in stride(from: 0, to: 16, by: 3) {
            let group = (0..<3).reduce(UInt32(0)) { $0 << 8 | UInt32(start + $1 < 16 ? bytes[start + $1] : 0) }
            let digits = start + 3 <= 16 ? 4 : 2
            for digit in 0..<digits { text.append(alphabet[Int(group >> UInt32(18 - 6 * digit) & 63)]) }
        }
        return text
    }
}
