internal import MartletCore
internal import MartletEngine
internal import MartletPlatform
internal import MartletPostgres
internal import Synchronization

/// A client's connection, the loop's side: frames go to the conversation's inbox, answers to the socket. Loop thread only.
final class PostgresConnection: TCPHandler {
    /// Frames beyond this wait in the socket.
    static let inboxBytesMax = 1 << 20

    private let server: PostgresServer.Core
    private let runner: ConversationRunner

    init(_ server: PostgresServer.Core, _ stream: TCPConnection) {
        self.server = server
        runner = ConversationRunner(server, stream)
        stream.isAwaited = true
        // As PostgreSQL's authentication_timeout: a socket alone is not a session.
        server.loop.schedule(afterNanos: 60_000_000_000) { [weak runner, weak stream] in
            if let runner, !runner.isOpen { stream?.close() }
        }
    }

    func frame(_ bytes: UnsafeRawBufferPointer, memory: AnyObject?, on connection: TCPConnection) -> FrameVerdict {
        // Its sender closes at once, so it must not wait for a thread.
        if bytes[0] == 0, case .cancel(let processID, let key) = try? StartupMessage(packet: bytes) {
            server.cancel(processID: processID, key: key)
            return .close
        }
        return runner.take(bytes) ? .taken : .later
    }

    func framesEnded(on connection: TCPConnection) { runner.begin() }

    func memory(forFrame count: Int) -> FrameMemory {
        let memory = FrameBytes(count)
        return FrameMemory(memory.bytes, owner: memory)
    }

    func refused(frameBytes: Int?, on connection: TCPConnection) {
        let sink = ByteSink(capacity: 256)
        let words = frameBytes.map { "a message of \($0) bytes is longer than this server takes" } ?? "invalid message length"
        MessageWriter(sink).error(SQLError(.protocolViolation, words), severity: "FATAL")
        connection.send([OutputPiece(sink.bytes, owner: sink)])
    }

    func closed(_ connection: TCPConnection) {
        runner.disconnect()
    }
}

/// Where a large frame is received into.
private final class FrameBytes {
    let bytes: UnsafeMutableRawBufferPointer
    init(_ count: Int) { bytes = .allocate(byteCount: count, alignment: 16) }
    deinit { bytes.deallocate() }
}

/// Drives a conversation on the pool's threads, one at a time and none while it waits: for messages, for its client to take
/// output, for rows of a subscription.
///
/// Reads of single rows by key are answered on the loop's thread: to wake another one costs more than they do.
///
///     idle ─▶ running ─▶ idle            frames came; all are answered
///                     ─▶ parked ─▶ running   output to be taken, or rows to come
///
/// Sound to share: the conversation, `work` and the session are touched by whoever set `isRunning` only; everything else is
/// behind the lock or the loop's.
final class ConversationRunner: WireHost, @unchecked Sendable {
    /// Sound: behind the lock; the inbox changes hands whole.
    private struct Shared: @unchecked Sendable {
        /// Whole frames, end to end.
        var inbox = ByteSink(capacity: 512)
        var isRunning = false
        var isParked = false
        /// A `.later` was said, and frames are to be shown again.
        var holdsFrames = false
        var isGone = false
        var isStopping = false
        var session: (any SQLSession)?
    }

    let processID: Int32
    let cancelKey: [UInt8]
    private let server: PostgresServer.Core
    private let stream: TCPConnection
    private let shared = Mutex(Shared())

    private var conversation: Conversation!
    private var progress = Conversation.Progress.idle
    /// The frames being worked on, and how far.
    private var work = ByteSink(capacity: 512)
    private var workOffset = 0
    /// Frames came to a conversation that was idle; loop thread only.
    private var isBeginning = false

    init(_ server: PostgresServer.Core, _ stream: TCPConnection) {
        self.server = server
        self.stream = stream
        processID = server.nextProcessID()
        cancelKey = (0..<4).flatMap { _ in withUnsafeBytes(of: server.entropy.next()) { Array($0) } }
        conversation = Conversation(self, output: ByteSink(capacity: 1024), limits: server.limits)
        server.add(self)
    }

    // MARK: Loop thread

    /// False: there is no room, and `resumeFrames` will be called.
    func take(_ frame: UnsafeRawBufferPointer) -> Bool {
        let (isTaken, starts) = shared.withLock { shared -> (Bool, Bool) in
            if shared.isGone { return (true, false) }
            guard shared.inbox.count == 0 || shared.inbox.count + frame.count <= PostgresConnection.inboxBytesMax else {
                shared.holdsFrames = true
                return (false, false)
            }
            shared.inbox.append(frame)
            let starts = !shared.isRunning && !shared.isParked
            if starts { shared.isRunning = true }
            return (true, starts)
        }
        if starts { isBeginning = true }
        return isTaken
    }

    /// What came at once is in the inbox.
    func begin() {
        guard isBeginning else { return }
        isBeginning = false
        // Whoever set `isRunning` has the conversation, and nobody else adds to the inbox meanwhile.
        guard progress == .idle, takeInbox() else { return schedule() }
        workOffset = conversation.answerQuickly(work.bytes)
        let rest = UnsafeRawBufferPointer(rebasing: work.bytes[workOffset...])
        if rest.isEmpty || conversation.isQuick(rest) { run(onLoop: true) } else { schedule() }
    }

    /// What came is what is worked on next. False: nobody wants to know any more.
    private func takeInbox() -> Bool {
        let holdsFrames: Bool? = shared.withLock { shared in
            if shared.isGone || shared.isStopping { return nil }
            swap(&shared.inbox, &work)
            defer { shared.holdsFrames = false }
            return shared.holdsFrames
        }
        if holdsFrames == true { stream.resumeFrames() }
        return holdsFrames != nil
    }

    /// The client is gone: what it had begun is cancelled and rolled back.
    func disconnect() {
        end(isGone: true)
        // Frames were taken, and what came behind them closed the connection.
        begin()
    }

    /// The server stops, or somebody ends this connection: the client is told as soon as what it executes has ended. Any thread.
    func stop() {
        end(isGone: false)
    }

    private func end(isGone: Bool) {
        let (session, starts) = shared.withLock { shared -> (SessionBox?, Bool) in
            if isGone { shared.isGone = true } else { shared.isStopping = true }
            let starts = !shared.isRunning
            shared.isRunning = true
            shared.isParked = false
            return (shared.session.map { SessionBox(session: $0) }, starts)
        }
        session?.session.cancel()
        if starts { schedule() }
    }

    /// A session was opened.
    var isOpen: Bool { shared.withLock { $0.session != nil } }

    // MARK: Any thread

    func cancel() {
        let session = shared.withLock { $0.session.map { SessionBox(session: $0) } }
        session?.session.cancel()
    }

    /// Goes on with what was parked.
    private func wake() {
        let starts = shared.withLock { shared in
            guard shared.isParked else { return false }
            shared.isParked = false
            shared.isRunning = true
            return true
        }
        if starts { schedule() }
    }

    private func schedule() {
        if !server.pool.run({ self.run() }) { server.loop.post { self.stream.close() } }
    }

    // MARK: A thread of the pool, or the loop's

    private func run(onLoop: Bool = false) {
        while true {
            let (isGone, isStopping) = shared.withLock { ($0.isGone, $0.isStopping) }
            if isGone { return finish() }
            if isStopping, progress != .closed {
                progress = conversation.fatal(SQLError(SQLState("57P01"), "terminating connection due to administrator command"))
            }
            switch progress {
            case .idle:
                guard let frame = nextFrame(onLoop: onLoop) else { return }
                progress = conversation.receive(frame)
            case .full:
                // The next piece is made while this one is sent, as long as the client takes them.
                progress = .waiting
                return park { self.ship(thenWake: true) }
            case .waiting:
                progress = conversation.resume()
                guard progress == .waiting, let rows = conversation.waitingRows else { continue }
                ship()
                return park { rows.whenReady { self.wake() } }
            case .closed:
                ship()
                let stream = stream
                nonisolated(unsafe) let shared = stream
                server.loop.post { shared.closeWhenSent() }
                return finish()
            }
        }
    }

    /// Whoever wakes may run at once, so nothing of ours is touched after `arrange`.
    private func park(_ arrange: () -> Void) {
        let isLeaving = shared.withLock { shared in
            if shared.isGone || shared.isStopping { return true }
            shared.isRunning = false
            shared.isParked = true
            return false
        }
        // `end` saw that we were running and left the rest to us.
        if isLeaving { return schedule() }
        arrange()
    }

    /// The next frame, in memory that stays until the next call. Without one the answers leave, and the run is over.
    private func nextFrame(onLoop: Bool) -> UnsafeRawBufferPointer? {
        if workOffset == work.count {
            work.clear()
            workOffset = 0
            if work.isEmpty, conversation.output.count > 0, shared.withLock({ $0.inbox.isEmpty }) { ship(onLoop: onLoop) }
            let (isEmpty, holdsFrames) = shared.withLock { shared -> (Bool, Bool) in
                if shared.isGone || shared.isStopping { return (false, false) }
                if shared.inbox.isEmpty {
                    shared.isRunning = false
                    return (true, false)
                }
                swap(&shared.inbox, &work)
                defer { shared.holdsFrames = false }
                return (false, shared.holdsFrames)
            }
            if isEmpty { return nil }
            if holdsFrames {
                nonisolated(unsafe) let stream = stream
                server.loop.post { stream.resumeFrames() }
            }
            if work.isEmpty {
                // Gone or stopping: `run` looks at that first.
                schedule()
                return nil
            }
        }
        let rest = UnsafeRawBufferPointer(rebasing: work.bytes[workOffset...])
        // The loop cut them by the same rule.
        let length = FrontendMessage.frameLength(rest) ?? rest.count
        workOffset += length
        return UnsafeRawBufferPointer(rebasing: rest[..<length])
    }

    /// Hands what was written to the loop. `thenWake`: goes on when the client has taken enough of it.
    private func ship(thenWake: Bool = false, onLoop: Bool = false) {
        let output = conversation.output
        guard output.count > 0 || thenWake else { return }
        nonisolated(unsafe) let stream = stream
        if output.count > 0 {
            let piece = ByteSink(capacity: output.count)
            piece.append(output.bytes)
            output.clear()
            if onLoop { return stream.send([OutputPiece(piece.bytes, owner: piece)]) }
            nonisolated(unsafe) let shared = piece
            server.loop.post { stream.send([OutputPiece(shared.bytes, owner: shared)]) }
        }
        if thenWake {
            let bytes = 2 * server.limits.outputBytes
            server.loop.post { stream.whenDrained(toBytes: bytes) { self.wake() } }
        }
    }

    private func finish() {
        conversation.close()
        shared.withLock { $0.session = nil }
        server.remove(self)
    }

    // MARK: WireHost, on the pool's thread

    func authentication(of request: StartupRequest) -> WireAuthentication { .trust }

    func open(_ request: StartupRequest) throws(SQLError) -> any WireSession {
        let client = SessionClient(
            user: request.user, database: request.database, parameters: request.parameters, processID: processID
        ) { [weak self] in self?.stop() }
        let session = try server.service.open(client)
        let box = SessionBox(session: session)
        shared.withLock { $0.session = box.session }
        return EngineSession(session)
    }
}

/// Sound: only `cancel`, which may come from any thread, is called through it.
private struct SessionBox: @unchecked Sendable { let session: any SQLSession }
