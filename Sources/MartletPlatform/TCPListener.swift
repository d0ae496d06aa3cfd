internal import CMartletEvent
package import Synchronization

/// What a listener's clients may use, so that none of them decides how much memory or how many descriptors there are.
package struct TCPLimits: Sendable {
    /// Beyond: accepted and closed at once, so that the client learns of it.
    package var connectionsMax = 10_000
    /// A frame longer than this closes its connection before anything is allocated for it.
    package var frameBytesMax = 100 << 20
    /// All frames too large for the shared buffer that are being received at one time. A connection whose frame does not
    /// fit waits, unread, until others are done.
    package var largeFrameBytesMax = 256 << 20
    /// A connection with more than this to send is not read from.
    package var outputBytesMax = 4 << 20
    /// A connection on which nothing came or went for so long is closed, unless it waits for an answer of ours.
    package var idleNanosMax: Int64 = 600_000_000_000
    /// A connection that takes nothing of what is to be sent for so long is closed.
    package var stallNanosMax: Int64 = 60_000_000_000
    /// A large frame must be complete within this, plus a second for each MiB.
    package var frameNanosMax: Int64 = 30_000_000_000

    package init() {}
}

/// How a byte stream falls into frames.
package struct TCPFraming: Sendable {
    /// What the length of a frame can be told from.
    package let headerBytes: Int
    /// The whole frame's length with its header, from a header's bytes; nil or less than the header: the stream is broken.
    package let length: @Sendable (UnsafeRawBufferPointer) -> Int?

    package init(headerBytes: Int, length: @escaping @Sendable (UnsafeRawBufferPointer) -> Int?) {
        self.headerBytes = headerBytes
        self.length = length
    }

    /// A big-endian Int32 that counts the bytes after itself.
    package static let int32 = TCPFraming(headerBytes: 4) { bytes in
        let count = Int32(bigEndian: bytes.loadUnaligned(as: Int32.self))
        return count < 0 ? nil : Int(count) + 4
    }
}

/// What becomes of a frame.
package enum FrameVerdict: Sendable {
    /// It is dealt with; the next one may come.
    case taken
    /// Not now: show it again after `resumeFrames`.
    case later
    /// The stream makes no sense: close the connection, after what was sent before.
    case close
}

/// Where a large frame is received into: `bytes` stay where they are as long as `owner` lives.
package struct FrameMemory {
    package let bytes: UnsafeMutableRawBufferPointer
    package let owner: AnyObject

    package init(_ bytes: UnsafeMutableRawBufferPointer, owner: AnyObject) {
        self.bytes = bytes
        self.owner = owner
    }
}

/// Who understands a listener's frames. One object per connection; loop thread.
package protocol TCPHandler: AnyObject {
    /// A whole frame with its header. Where `memory` is nil the bytes are the connection's: copy what is to be kept.
    /// Otherwise they are what `memory(forFrame:)` gave, which nobody else will touch any more.
    func frame(_ bytes: UnsafeRawBufferPointer, memory: AnyObject?, on connection: TCPConnection) -> FrameVerdict
    /// No more frames for now: what came at once was shown.
    func framesEnded(on connection: TCPConnection)
    /// Memory for a frame of `count` bytes, too large for the shared buffer. Need not be written to.
    func memory(forFrame count: Int) -> FrameMemory
    /// Frame being refused before it is received: its length is not allowed. The connection closes.
    func refused(frameBytes: Int?, on connection: TCPConnection)
    /// The connection is gone, once, whoever closed it. Nothing may be sent any more.
    func closed(_ connection: TCPConnection)
}

extension TCPHandler {
    package func framesEnded(on connection: TCPConnection) {}
}

/// What a listener has counted.
package final class TCPStatistics: Sendable {
    package let accepted = Atomic<UInt64>(0)
    package let refused = Atomic<UInt64>(0)
    package let closedIdle = Atomic<UInt64>(0)
    package let closedStalled = Atomic<UInt64>(0)
    package let bytesReceived = Atomic<UInt64>(0)
    package let bytesSent = Atomic<UInt64>(0)
    package let connections = Atomic<Int64>(0)
    /// What the connections hold for sending, in all.
    package let outputBytes = Atomic<Int64>(0)

    package init() {}
}

/// A TCP address whose connections a loop serves, cut into frames.
///
/// Input is read into the loop's shared buffer, and small frames are handed over where they lie; only what is incomplete
/// is kept per connection, so an idle connection holds no buffer. A frame beyond the shared buffer gets memory of its own,
/// counted against a limit over all connections.
package final class TCPListener: Sendable {
    /// The address with the port that is really listened on.
    package let address: ListenAddress
    package let statistics = TCPStatistics()
    package let loop: EventLoop
    /// Sound: loop thread only.
    private nonisolated(unsafe) let acceptor: Acceptor

    /// Listens and serves at once; `makeHandler` is called on the loop's thread for each connection.
    package init(
        _ address: ListenAddress, loop: EventLoop, framing: TCPFraming, limits: TCPLimits = TCPLimits(),
        makeHandler: @escaping @Sendable (TCPConnection) -> any TCPHandler
    ) throws(ListenError) {
        _ = martlet_raise_descriptor_limit(UInt64(limits.connectionsMax) + 20_000)
        var reason = [CChar](repeating: 0, count: 256)
        let descriptor = martlet_tcp_listen(address.host, address.port, 4096, &reason, reason.count)
        guard descriptor >= 0 else {
            let words = String(decoding: reason.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            throw ListenError(message: "cannot listen on \(address): \(words)")
        }
        self.loop = loop
        self.address = ListenAddress(host: address.host, port: martlet_tcp_port(descriptor))
        let acceptor = Acceptor(descriptor, loop, framing, limits, statistics, makeHandler)
        self.acceptor = acceptor
        nonisolated(unsafe) let shared = acceptor
        loop.post { shared.start() }
    }

    /// Takes no more connections; those that are there stay. Any thread but the loop's; returns when it is so.
    package func stopAccepting() {
        nonisolated(unsafe) let acceptor = acceptor
        loop.run { acceptor.stopAccepting() }
    }

    /// Takes no more connections and closes all. Any thread but the loop's; returns when it is so.
    package func stop() {
        nonisolated(unsafe) let acceptor = acceptor
        loop.run { acceptor.stop() }
    }

    /// Loop thread: the connections that are open, in no particular order.
    package var connections: [TCPConnection] { Array(acceptor.connections.values) }
}

/// The loop thread's side of a listener.
final class Acceptor {
    let loop: EventLoop
    let framing: TCPFraming
    let limits: TCPLimits
    let statistics: TCPStatistics
    private let makeHandler: @Sendable (TCPConnection) -> any TCPHandler
    private var descriptor: Int32
    private var spare: Int32
    private var watch: OpaquePointer?
    private(set) var connections: [UInt64: TCPConnection] = [:]
    private var connectionNumber: UInt64 = 0
    private var largeFrameBytes = 0
    /// Connections whose next frame waits for memory, in the order they came.
    private var waitingForMemory: [TCPConnection] = []
    private var sweep: LoopTimer?
    private let clock = SystemClock()

    init(
        _ descriptor: Int32, _ loop: EventLoop, _ framing: TCPFraming, _ limits: TCPLimits, _ statistics: TCPStatistics,
        _ makeHandler: @escaping @Sendable (TCPConnection) -> any TCPHandler
    ) {
        self.descriptor = descriptor
        self.loop = loop
        self.framing = framing
        self.limits = limits
        self.statistics = statistics
        self.makeHandler = makeHandler
        spare = martlet_spare_descriptor()
    }

    func start() {
        guard descriptor >= 0 else { return }
        watch = loop.watch(descriptor, acceptReady, Unmanaged.passUnretained(self).toOpaque())
        setAccepting(true)
        scheduleSweep()
    }

    func stopAccepting() {
        if let watch { martlet_watch_free(watch) }
        watch = nil
        if descriptor >= 0 { martlet_tcp_close(descriptor) }
        if spare >= 0 { martlet_tcp_close(spare) }
        descriptor = -1
        spare = -1
    }

    func stop() {
        stopAccepting()
        sweep?.cancel()
        sweep = nil
        for connection in connections.sorted(by: { $0.key < $1.key }) { connection.value.close() }
    }

    private func setAccepting(_ isAccepting: Bool) {
        if let watch { _ = martlet_watch_set(watch, isAccepting ? 1 : 0, 0) }
    }

    /// A bounded number a turn, so that a burst of connects does not starve those who are connected.
    func acceptSome() {
        for _ in 0..<64 {
            let accepted = martlet_tcp_accept(descriptor)
            if accepted >= 0 {
                admit(accepted)
                continue
            }
            switch -accepted {
            case 11 /* EAGAIN */: return
            case 24 /* EMFILE */, 23 /* ENFILE */:
                if !turnAwayOne() { return }
            case 103 /* ECONNABORTED */: continue
            default: return pauseAccepting()
            }
        }
    }

    /// Out of descriptors: the pending connection stays readable and would spin the loop. The spare one makes room to
    /// accept it and to close it. False if even that failed.
    private func turnAwayOne() -> Bool {
        statistics.refused.wrappingAdd(1, ordering: .relaxed)
        if spare >= 0 {
            martlet_tcp_close(spare)
            let accepted = martlet_tcp_accept(descriptor)
            if accepted >= 0 { martlet_tcp_close(accepted) }
            spare = martlet_spare_descriptor()
            if spare >= 0 { return accepted >= 0 }
        }
        pauseAccepting()
        return false
    }

    private func pauseAccepting() {
        setAccepting(false)
        loop.schedule(afterNanos: 100_000_000) { [weak self] in
            guard let self else { return }
            if spare < 0 { spare = martlet_spare_descriptor() }
            setAccepting(true)
        }
    }

    private func admit(_ accepted: Int32) {
        guard connections.count < limits.connectionsMax else {
            statistics.refused.wrappingAdd(1, ordering: .relaxed)
            martlet_tcp_close(accepted)
            return
        }
        connectionNumber += 1
        let connection = TCPConnection(accepted, number: connectionNumber, self)
        guard connection.start(makeHandler) else {
            statistics.refused.wrappingAdd(1, ordering: .relaxed)
            return
        }
        connections[connectionNumber] = connection
        statistics.accepted.wrappingAdd(1, ordering: .relaxed)
        statistics.connections.wrappingAdd(1, ordering: .relaxed)
    }

    func forget(_ connection: TCPConnection) {
        guard connections.removeValue(forKey: connection.number) != nil else { return }
        statistics.connections.wrappingSubtract(1, ordering: .relaxed)
        waitingForMemory.removeAll { $0 === connection }
    }

    // MARK: Memory of large frames

    /// Whether `connection` may allocate; if not it is called again (`memoryIsFree`) when it may. One frame always fits.
    func claim(_ count: Int, for connection: TCPConnection) -> Bool {
        let isTurn = waitingForMemory.isEmpty || waitingForMemory[0] === connection
        if isTurn, largeFrameBytes == 0 || largeFrameBytes + count <= limits.largeFrameBytesMax {
            if !waitingForMemory.isEmpty { waitingForMemory.removeFirst() }
            largeFrameBytes += count
            return true
        }
        if !waitingForMemory.contains(where: { $0 === connection }) { waitingForMemory.append(connection) }
        return false
    }

    func release(_ count: Int) {
        largeFrameBytes -= count
        if let first = waitingForMemory.first { first.memoryIsFree() }
    }

    // MARK: Time

    private func scheduleSweep() {
        let shortest = min(limits.idleNanosMax, limits.stallNanosMax, limits.frameNanosMax)
        let period = min(max(shortest / 4, 10_000_000), 1_000_000_000)
        sweep = loop.schedule(afterNanos: period) { [weak self] in
            guard let self else { return }
            let now = clock.monotonicNanos()
            for connection in connections.values { connection.closeIfExpired(now) }
            // A claimant may be gone, and the memory with it.
            if let first = waitingForMemory.first { first.memoryIsFree() }
            scheduleSweep()
        }
    }
}

private func acceptReady(_ context: UnsafeMutableRawPointer?, _ isReadable: Int32, _ isWritable: Int32) {
    guard let context else { return }
    Unmanaged<Acceptor>.fromOpaque(context).takeUnretainedValue().acceptSome()
}

/// Whether every address behind `host` is this machine's own; "" means all interfaces and is not.
package func isLoopback(_ host: String) -> Bool { martlet_is_loopback(host) != 0 }
