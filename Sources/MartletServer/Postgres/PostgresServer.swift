package import MartletCore
package import MartletEngine
package import MartletPlatform
internal import MartletPostgres
internal import Synchronization

/// PostgreSQL's protocol on one address, over an `SQLService`.
///
/// One thread (`EventLoop`) reads and writes for all connections; statements run on the threads of a pool, one at a time for
/// each session. A client that does not take its rows, or waits for a subscription's, holds no thread.
package final class PostgresServer: Sendable {
    /// The address with the port that is really listened on.
    package var address: ListenAddress { listener.address }
    /// Answers that clients have not taken yet.
    package var outputBytes: Int64 { listener.statistics.outputBytes.load(ordering: .relaxed) }
    private let loop: EventLoop
    private let listener: TCPListener
    private let core: Core
    private let isStopped = Atomic<Bool>(false)

    /// What the connections share.
    final class Core: Sendable {
        let service: any SQLService
        let pool: BlockingPool
        let loop: EventLoop
        let entropy: any Entropy
        let limits = ConversationLimits()
        private let runners = Mutex<[Int32: ConversationRunner]>([:])
        private let lastProcessID = Atomic<Int32>(0)

        init(_ service: any SQLService, _ pool: BlockingPool, _ loop: EventLoop, _ entropy: any Entropy) {
            self.service = service
            self.pool = pool
            self.loop = loop
            self.entropy = entropy
        }

        /// Positive, and no other connection's.
        func nextProcessID() -> Int32 {
            while true {
                let candidate = lastProcessID.wrappingAdd(1, ordering: .relaxed).newValue & .max
                if candidate > 0, runners.withLock({ $0[candidate] == nil }) { return candidate }
            }
        }

        func add(_ runner: ConversationRunner) { runners.withLock { $0[runner.processID] = runner } }
        func remove(_ runner: ConversationRunner) { runners.withLock { $0[runner.processID] = nil } }
        var all: [ConversationRunner] { runners.withLock { $0.sorted { $0.key < $1.key }.map(\.value) } }
        var isQuiet: Bool { runners.withLock { $0.isEmpty } }

        /// The key must be all of what the session was told, or, with protocol 3.0, its first four bytes.
        func cancel(processID: Int32, key: [UInt8]) {
            guard let runner = runners.withLock({ $0[processID] }) else { return }
            let isRight = key.count == 4 || key.count == runner.cancelKey.count
            if isRight, key.elementsEqual(runner.cancelKey.prefix(key.count)) { runner.cancel() }
        }
    }

    /// Serves on return. `pool` runs the statements of all wires: its threads have room for deep statements
    /// (`StatementThreads.make`), and it is stopped after this server.
    package init(
        _ address: ListenAddress, service: any SQLService, pool: BlockingPool, entropy: any Entropy, metrics: MetricsRegistry
    ) throws {
        loop = try EventLoop(name: "postgres", isPrompt: true)
        let core = Core(service, pool, loop, entropy)
        self.core = core
        var limits = TCPLimits()
        // Sessions stand open for days.
        limits.idleNanosMax = .max
        do {
            let framing = TCPFraming(headerBytes: FrontendMessage.headerBytes, length: FrontendMessage.frameLength)
            listener = try TCPListener(address, loop: loop, framing: framing, limits: limits) { PostgresConnection(core, $0) }
        } catch {
            loop.stop()
            throw error
        }
        PostgresServer.register(listener.statistics, in: metrics)
    }

    /// Takes no more connections, cancels what is being executed, tells the clients and closes. The service must still
    /// answer. Not from a thread of the loop or the pool.
    package func stop(graceNanos: Int64 = 5_000_000_000) {
        guard isStopped.compareExchange(expected: false, desired: true, ordering: .sequentiallyConsistent).exchanged else { return }
        listener.stopAccepting()
        for runner in core.all { runner.stop() }
        let clock = SystemClock()
        let deadline = clock.monotonicNanos() + graceNanos
        while !core.isQuiet, clock.monotonicNanos() < deadline { clock.sleep(nanos: 2_000_000) }
        // Answers that were posted leave before the sockets are closed.
        loop.run {}
        listener.stop()
        loop.stop()
    }

    private static func register(_ statistics: TCPStatistics, in metrics: MetricsRegistry) {
        metrics.gauge("martlet_postgres_connections", help: "Connections that are open.") {
            Double(statistics.connections.load(ordering: .relaxed))
        }
        metrics.counter("martlet_postgres_connections_total", help: "Connections that were accepted.") {
            Double(statistics.accepted.load(ordering: .relaxed))
        }
        metrics.counter("martlet_postgres_refused_connections_total", help: "Connections that were closed at once, for want of room.") {
            Double(statistics.refused.load(ordering: .relaxed))
        }
        metrics.counter("martlet_postgres_stalled_connections_total", help: "Connections that were closed since their client stood still.") {
            Double(statistics.closedStalled.load(ordering: .relaxed))
        }
        metrics.counter("martlet_postgres_received_bytes_total", help: "Bytes received from clients.") {
            Double(statistics.bytesReceived.load(ordering: .relaxed))
        }
        metrics.counter("martlet_postgres_sent_bytes_total", help: "Bytes sent to clients.") {
            Double(statistics.bytesSent.load(ordering: .relaxed))
        }
        metrics.gauge("martlet_postgres_waiting_output_bytes", help: "Bytes of answers that clients have not taken yet.") {
            Double(statistics.outputBytes.load(ordering: .relaxed))
        }
    }
}

/// The threads that statements run on, for all wires.
package enum StatementThreads {
    /// More than cores, since statements wait for the disk and for ticks; the stack is what parser and binder count on
    /// (`StackGuard`).
    package static func make(_ count: Int = 16) throws(ThreadError) -> BlockingPool {
        try BlockingPool(name: "sql", threads: count, stackBytes: 64 << 20)
    }
}
