internal import MartletCore
internal import MartletKafka
internal import MartletLog
internal import MartletPlatform
internal import Synchronization

/// What the broker is told about its surroundings.
struct KafkaBrokerOptions: Sendable {
    /// As shown by DescribeLogDirs.
    var directory: String
    /// Bytes of the file system that the directory is on; may block.
    var space: @Sendable () -> (total: Int64, usable: Int64)?
    var recordBytesMax: Int
    /// What the records of one batch may decompress to.
    var decompressedBytesMax: Int
    /// Answers that are waiting to be taken, over all connections, before reads of the disk wait.
    var outputBytesMax = 256 << 20
}

/// One Kafka server's mind: every request of every connection passes through here. Loop thread only, which orders all of it:
/// no locks, and whatever one call does is done before the next begins.
///
/// It never blocks: what needs the disk goes to the pool or waits for the journal, and comes back as a post.
final class KafkaBroker {
    let log: Log
    let loop: EventLoop
    let pool: BlockingPool
    let clock: any Clock
    let logger: StructuredLog
    let metrics: KafkaMetrics
    let options: KafkaBrokerOptions
    let coordinators: Coordinators
    let clusterID: String
    /// nil: each client is told the address it came to.
    let advertisedAddress: ListenAddress?
    var configuration: BrokerConfiguration
    var quotas: ClientQuotas
    /// Set once the listener is there.
    var statistics: TCPStatistics?

    /// Produce requests that wait for the disk.
    var produceTasks: [ProduceTask] = []
    /// Polls by the partitions they wait for.
    var fetchWaits: [TopicPartition: [FetchWait]] = [:]
    /// What reads of the disk that are under way may bring.
    var diskReadBytes = 0
    var historyPace = HistoryPace()
    private var sweep: LoopTimer?
    private var lagRound: LoopTimer?
    private(set) var isStopping = false
    private var connections: [ObjectIdentifier: KafkaConnection] = [:]

    init(
        log: Log, loop: EventLoop, pool: BlockingPool, clock: any Clock, entropy: any Entropy, logger: StructuredLog,
        registry: MetricsRegistry, options: KafkaBrokerOptions, configuration: BrokerConfiguration, clusterID: String,
        advertised: ListenAddress?
    ) {
        self.log = log
        self.loop = loop
        self.pool = pool
        self.clock = clock
        self.logger = logger
        self.options = options
        self.configuration = configuration
        self.clusterID = clusterID
        advertisedAddress = advertised
        metrics = KafkaMetrics(registry)
        quotas = ClientQuotas(samples: configuration.int(.quotaSamples), sampleSeconds: configuration.int(.quotaSampleSeconds))
        coordinators = Coordinators(
            log: log, loop: loop, clock: clock, entropy: entropy, logger: logger, groupOptions: configuration.groupOptions(),
            transactionOptions: configuration.transactionOptions())
    }

    /// Restores what the log holds. Once, first.
    func load() throws(CoordinatorLoadError) {
        loadConfiguration()
        loadQuotas()
        try coordinators.load()
        scheduleSweep()
        scheduleLags()
    }

    func connected(_ connection: KafkaConnection) { connections[ObjectIdentifier(connection)] = connection }

    func closed(_ connection: KafkaConnection) {
        connections[ObjectIdentifier(connection)] = nil
        if let task = connection.waitingFetch { stopWaiting(task) }
    }

    /// From now on nothing new is begun, and polls are answered with what there is, so that nobody waits for a server that
    /// ends.
    func beginStop() {
        isStopping = true
        sweep?.cancel()
        lagRound?.cancel()
        for (_, connection) in connections {
            connection.stream.hold()
            if let task = connection.waitingFetch { finishEarly(task) }
        }
    }

    /// Nobody waits any more for an answer that the disk will bring, and every answer has left.
    var isQuiet: Bool {
        coordinators.isSettled && produceTasks.allSatisfy { $0.request.isAnswered }
            && (statistics?.outputBytes.load(ordering: .relaxed) ?? 0) == 0
    }

    /// Memory for answers allows another read of the disk.
    var outputHasRoom: Bool {
        let waiting = Int(statistics?.outputBytes.load(ordering: .relaxed) ?? 0)
        return diskReadBytes == 0 || waiting + diskReadBytes < options.outputBytesMax
    }

    // MARK: Requests

    /// Throws for what closes the connection: an API or version that is not spoken, or a body that makes no sense.
    func dispatch(_ request: KafkaRequest) throws(KafkaError) {
        guard request.key.advertised.contains(request.version) || request.key == .apiVersions else {
            throw .unsupportedVersion(key: request.key.rawValue, version: request.version)
        }
        switch request.key {
        case .produce: try produce(request)
        case .fetch: try fetch(request)
        case .listOffsets: try listOffsets(request)
        case .metadata: try metadata(request)
        case .offsetCommit: try offsetCommit(request)
        case .offsetFetch: try offsetFetch(request)
        case .findCoordinator: try findCoordinator(request)
        case .joinGroup: try joinGroup(request)
        case .heartbeat: try heartbeat(request)
        case .leaveGroup: try leaveGroup(request)
        case .syncGroup: try syncGroup(request)
        case .describeGroups: try describeGroups(request)
        case .listGroups: try listGroups(request)
        case .saslHandshake: try saslHandshake(request)
        case .apiVersions: try apiVersions(request)
        case .createTopics: try createTopics(request)
        case .deleteTopics: try deleteTopics(request)
        case .deleteRecords: try deleteRecords(request)
        case .initProducerId: try initProducerId(request)
        case .offsetForLeaderEpoch: try offsetForLeaderEpoch(request)
        case .addPartitionsToTxn: try addPartitionsToTxn(request)
        case .addOffsetsToTxn: try addOffsetsToTxn(request)
        case .endTxn: try endTxn(request)
        case .txnOffsetCommit: try txnOffsetCommit(request)
        case .describeAcls: try describeAcls(request)
        case .createAcls: try createAcls(request)
        case .deleteAcls: try deleteAcls(request)
        case .describeConfigs: try describeConfigs(request)
        case .alterConfigs: try alterConfigs(request)
        case .describeLogDirs: try describeLogDirs(request)
        case .saslAuthenticate: try saslAuthenticate(request)
        case .createPartitions: try createPartitions(request)
        case .deleteGroups: try deleteGroups(request)
        case .incrementalAlterConfigs: try incrementalAlterConfigs(request)
        case .offsetDelete: try offsetDelete(request)
        case .describeClientQuotas: try describeClientQuotas(request)
        case .alterClientQuotas: try alterClientQuotas(request)
        case .describeCluster: try describeCluster(request)
        case .describeProducers: try describeProducers(request)
        case .describeTransactions: try describeTransactions(request)
        case .listTransactions: try listTransactions(request)
        case .consumerGroupHeartbeat: try consumerGroupHeartbeat(request)
        case .consumerGroupDescribe: try consumerGroupDescribe(request)
        }
    }

    /// Answers when `sequence` is durable; 0: at once.
    func answer<Body: KafkaAnswer>(_ request: KafkaRequest, _ body: Body, whenDurable sequence: UInt64) {
        guard sequence > log.publishedSequence else { return request.answer(body) }
        nonisolated(unsafe) let request = request
        log.whenDurable(sequence) { [loop] in
            loop.post { request.answer(body) }
        }
    }

    /// Tells the coordinators of a change of the catalog, when it is true.
    func topicsMayHaveChanged(at sequence: UInt64) {
        log.whenDurable(sequence) { [self] in
            loop.post { [self] in coordinators.topicsChanged() }
        }
    }

    /// The answer leaves.
    func finish(_ request: KafkaRequest) {
        metrics.finished(
            request.key, nanos: clock.monotonicNanos() &- request.receivedNanos, throttleMillis: request.throttleMillis)
    }

    // MARK: Now and then

    private func scheduleSweep() {
        sweep = loop.schedule(afterNanos: 100_000_000) { [weak self] in
            guard let self else { return }
            expireProduceTasks(clock.monotonicNanos())
            scheduleSweep()
        }
    }

    private func scheduleLags() {
        lagRound = loop.schedule(afterNanos: 5_000_000_000) { [weak self] in
            guard let self else { return }
            measureLags()
            scheduleLags()
        }
    }
}

// Sound: everything but `init` happens on the loop's thread; closures carry references past other threads, which only hand
// them back.
extension KafkaBroker: @unchecked Sendable {}

extension BrokerConfiguration {
    func groupOptions() -> GroupOptions {
        var options = GroupOptions()
        options.initialRebalanceDelayMillis = Int64(int(.groupInitialDelayMillis))
        options.sessionTimeoutMillisMin = Int32(clamping: int(.groupSessionMillisMin))
        options.sessionTimeoutMillisMax = Int32(clamping: int(.groupSessionMillisMax))
        options.groupMembersMax = int(.groupSizeMax)
        options.consumerGroupMembersMax = int(.groupSizeMax)
        options.offsetMetadataBytesMax = int(.offsetMetadataBytesMax)
        options.offsetsRetentionMillis = Int64(int(.offsetsRetentionMinutes)) * 60_000
        options.offsetsRetentionCheckMillis = Int64(int(.offsetsRetentionCheckMillis))
        options.consumerSessionTimeoutMillis = Int64(int(.groupConsumerSessionMillis))
        options.consumerHeartbeatIntervalMillis = Int32(clamping: int(.groupConsumerHeartbeatMillis))
        return options
    }

    func transactionOptions() -> TransactionOptions {
        var options = TransactionOptions()
        options.timeoutMillisMax = Int32(clamping: int(.transactionTimeoutMillisMax))
        options.expirationMillis = Int64(int(.transactionExpirationMillis))
        return options
    }
}
