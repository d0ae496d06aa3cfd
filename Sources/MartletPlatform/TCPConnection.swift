internal import CMartletEvent
internal import Glibc
internal import Synchronization

/// Bytes on their way out, and who keeps them alive until they are sent.
package struct OutputPiece {
    let bytes: UnsafeRawBufferPointer
    let owner: AnyObject?

    /// `bytes` stay where they are, unchanged, as long as `owner` lives.
    package init(_ bytes: UnsafeRawBufferPointer, owner: AnyObject) {
        self.bytes = bytes
        self.owner = owner
    }

    /// The place of a piece that is gone.
    fileprivate init() {
        bytes = UnsafeRawBufferPointer(start: nil, count: 0)
        owner = nil
    }

    package var count: Int { bytes.count }
}

/// One client of a `TCPListener`. Loop thread only.
///
/// It is *paused*, and then neither read from nor its frames shown, while its handler said `.later`, while somebody holds
/// it (`hold`/`release`, counted), and while more than `outputBytesMax` wait to be sent. TCP tells the client.
package final class TCPConnection {
    package let number: UInt64
    package let localAddress: ListenAddress
    package let peerAddress: ListenAddress
    package private(set) var isOpen = true
    /// Bytes that wait to be sent.
    package private(set) var outputBytes = 0
    /// The owner sets it while it owes an answer, so that silence is not idleness.
    package var isAwaited = false

    private let descriptor: Int32
    private let acceptor: Acceptor
    private var handler: (any TCPHandler)?
    private var watch: OpaquePointer?
    private let clock = SystemClock()

    // Input: at most one of the two holds the beginning of what is not dealt with.
    private var kept = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var keptCount = 0
    private var large: LargeFrame?
    /// What is kept may begin with a whole frame, or with one that waits for memory.
    private var keepsFrames = false
    private var holds = 0
    private var saidLater = false
    private var waitsForMemory = false
    private var isShowing = false
    private var isEnded = false

    private var output: [OutputPiece] = []
    private var outputHead = 0
    /// How much of the first piece is gone.
    private var outputOffset = 0
    private var closesWhenSent = false
    private var waitsForSocket = false
    private var isSettling = false
    private var onDrained: (bytes: Int, body: () -> Void)?

    private var activeNanos: Int64
    /// When the socket last took something, or there was nothing to take.
    private var sentNanos: Int64

    private struct LargeFrame {
        var memory: FrameMemory
        var filled: Int
        var deadlineNanos: Int64
    }

    init(_ descriptor: Int32, number: UInt64, _ acceptor: Acceptor) {
        self.descriptor = descriptor
        self.number = number
        self.acceptor = acceptor
        localAddress = TCPConnection.address(descriptor, isPeer: false)
        peerAddress = TCPConnection.address(descriptor, isPeer: true)
        activeNanos = clock.monotonicNanos()
        sentNanos = activeNanos
    }

    deinit {
        kept.deallocate()
        if isOpen { martlet_tcp_close(descriptor) }
    }

    private static func address(_ descriptor: Int32, isPeer: Bool) -> ListenAddress {
        var host = [CChar](repeating: 0, count: 64)
        var port: UInt16 = 0
        _ = martlet_tcp_address(descriptor, isPeer ? 1 : 0, &host, host.count, &port)
        return ListenAddress(host: String(decoding: host.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self), port: port)
    }

    func start(_ makeHandler: (TCPConnection) -> any TCPHandler) -> Bool {
        watch = acceptor.loop.watch(descriptor, connectionReady, Unmanaged.passUnretained(self).toOpaque())
        guard let watch, martlet_watch_set(watch, 1, 0) == 0 else {
            if let watch { martlet_watch_free(watch) }
            watch = nil
            return false
        }
        handler = makeHandler(self)
        return true
    }

    // MARK: Input

    /// Shows no frames until as many `release` have come.
    package func hold() {
        holds += 1
    }

    package func release() {
        precondition(holds > 0, "a connection is released as often as it was held")
        holds -= 1
        if holds == 0 { settleLater() }
    }

    /// After `.later`: shows the frame again.
    package func resumeFrames() {
        guard saidLater else { return }
        saidLater = false
        settleLater()
    }

    func memoryIsFree() {
        guard waitsForMemory else { return }
        waitsForMemory = false
        settleLater()
    }

    private var isPaused: Bool {
        saidLater || holds > 0 || waitsForMemory || outputBytes > acceptor.limits.outputBytesMax || closesWhenSent || !isOpen
    }

    fileprivate func ready(isReadable: Bool, isWritable: Bool) {
        if isWritable {
            waitsForSocket = false
            flush()
        }
        if isReadable, isOpen {
            showKept()
            receive()
        }
        settle()
    }

    /// Reads for as long as there is something and it is not another connection's turn.
    private func receive() {
        var budget = 1 << 20
        while budget > 0, !isPaused, !isEnded {
            let count = large == nil ? receiveIntoScratch() : receiveIntoLargeFrame()
            guard count > 0 else { return }
            budget -= count
        }
    }

    private func receiveIntoScratch() -> Int {
        let scratch = acceptor.loop.scratch
        // What is kept is less than a frame that fits the scratch; it moves to the front to be whole with what follows.
        let before = keptCount
        if before > 0 {
            scratch.baseAddress!.copyMemory(from: kept.baseAddress!, byteCount: before)
        }
        let room = scratch.count - before
        let count = martlet_tcp_receive(descriptor, scratch.baseAddress! + before, room, nil, 0)
        guard received(count) else { return 0 }
        keptCount = 0
        show(UnsafeRawBufferPointer(rebasing: scratch[..<(before + Int(count))]))
        // Less than there was room for: the socket is empty, and asking again would be a call for nothing.
        return isOpen ? (Int(count) < room ? 0 : Int(count)) : 0
    }

    private func receiveIntoLargeFrame() -> Int {
        guard let frame = large else { return 0 }
        let room = frame.memory.bytes.count - frame.filled
        let count = martlet_tcp_receive(descriptor, frame.memory.bytes.baseAddress! + frame.filled, room, nil, 0)
        guard received(count) else { return 0 }
        large!.filled += Int(count)
        if Int(count) == room { showLargeFrame() }
        return Int(count)
    }

    /// Takes note of a receive's result; false if nothing came.
    private func received(_ count: Int64) -> Bool {
        guard count <= 0 else {
            activeNanos = clock.monotonicNanos()
            acceptor.statistics.bytesReceived.wrappingAdd(UInt64(count), ordering: .relaxed)
            return true
        }
        if count == 0 {
            // The client is gone, or sends no more; what was made for it already is still offered.
            isEnded = true
            closeWhenSent()
        } else if -count != Int64(EAGAIN) {
            close()
        }
        return false
    }

    /// Shows the frames in `bytes`, in order, and keeps what is left. `bytes` may lie in the shared scratch.
    private func show(_ bytes: UnsafeRawBufferPointer) {
        isShowing = true
        defer {
            isShowing = false
            handler?.framesEnded(on: self)
        }
        var offset = 0
        let framing = acceptor.framing
        while isOpen, !isPaused, bytes.count - offset >= framing.headerBytes {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            guard let length = framing.length(rest), length >= framing.headerBytes, length <= acceptor.limits.frameBytesMax else {
                handler?.refused(frameBytes: framing.length(rest), on: self)
                closeWhenSent()
                return
            }
            if rest.count < length {
                if length > acceptor.loop.scratch.count { beginLargeFrame(rest, length) }
                if large != nil { return }
                break
            }
            switch handler?.frame(UnsafeRawBufferPointer(rebasing: rest[..<length]), memory: nil, on: self) {
            case .taken: offset += length
            case .later: saidLater = true
            case .close, nil:
                closeWhenSent()
                return
            }
        }
        keepsFrames = isPaused
        if isOpen { keep(UnsafeRawBufferPointer(rebasing: bytes[offset...])) }
    }

    /// Goes on with frames that a pause left lying. What is kept as the mere beginning of a frame is not looked at again.
    private func showKept() {
        guard keepsFrames, !isPaused, !isShowing, large == nil else { return }
        let memory = kept
        let count = keptCount
        kept = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        keptCount = 0
        show(UnsafeRawBufferPointer(rebasing: memory[..<count]))
        memory.deallocate()
    }

    private func beginLargeFrame(_ start: UnsafeRawBufferPointer, _ length: Int) {
        guard acceptor.claim(length, for: self) else {
            waitsForMemory = true
            return
        }
        guard let memory = handler?.memory(forFrame: length), memory.bytes.count == length else {
            acceptor.release(length)
            return closeWhenSent()
        }
        // The kernel gives pages as they are written: a length that is claimed and not sent costs address space only.
        memory.bytes.copyMemory(from: start)
        let allowance = acceptor.limits.frameNanosMax &+ Int64(length >> 20) * 1_000_000_000
        large = LargeFrame(memory: memory, filled: start.count, deadlineNanos: clock.monotonicNanos() &+ allowance)
    }

    private func showLargeFrame() {
        guard let frame = large, !isShowing else { return }
        isShowing = true
        defer {
            isShowing = false
            handler?.framesEnded(on: self)
        }
        switch handler?.frame(UnsafeRawBufferPointer(frame.memory.bytes), memory: frame.memory.owner, on: self) {
        case .taken: dropLargeFrame()
        case .later: saidLater = true
        case .close, nil: closeWhenSent()
        }
    }

    private func dropLargeFrame() {
        guard let frame = large else { return }
        large = nil
        acceptor.release(frame.memory.bytes.count)
    }

    private func keep(_ rest: UnsafeRawBufferPointer) {
        guard rest.count > 0 else {
            if kept.count > 0 { kept.deallocate() }
            kept = UnsafeMutableRawBufferPointer(start: nil, count: 0)
            keptCount = 0
            return
        }
        if kept.count < rest.count || kept.count > 4 * rest.count + 4096 {
            // `rest` may lie in `kept`, so the new one is filled before the old one goes.
            let grown = UnsafeMutableRawBufferPointer.allocate(byteCount: rest.count, alignment: 16)
            grown.copyMemory(from: rest)
            kept.deallocate()
            kept = grown
        } else {
            kept.baseAddress!.copyMemory(from: rest.baseAddress!, byteCount: rest.count)
        }
        keptCount = rest.count
    }

    // MARK: Output

    /// Queues `pieces`; they leave at the end of the turn, or as fast as the client takes them.
    package func send(_ pieces: [OutputPiece]) {
        guard isOpen else { return }
        if outputBytes == 0 { sentNanos = clock.monotonicNanos() }
        var added = 0
        for piece in pieces where piece.count > 0 {
            output.append(piece)
            added += piece.count
        }
        outputBytes += added
        acceptor.statistics.outputBytes.wrappingAdd(Int64(added), ordering: .relaxed)
        settleLater()
    }

    /// Runs `body` once no more than `bytes` wait to be sent: at the end of the turn, if that is so already. One at a time;
    /// not at all if the connection closes before.
    package func whenDrained(toBytes bytes: Int, _ body: @escaping () -> Void) {
        onDrained = (bytes, body)
        settleLater()
    }

    private func noticeDrained() {
        guard let (bytes, body) = onDrained, outputBytes <= bytes else { return }
        onDrained = nil
        body()
    }

    /// Sends what is queued, then closes. Takes no more frames.
    package func closeWhenSent() {
        guard isOpen else { return }
        closesWhenSent = true
        settleLater()
    }

    /// A bounded amount a turn, so that one fast reader does not hold up the others.
    private func flush() {
        var budget = 4 << 20
        while isOpen, outputBytes > 0, !waitsForSocket, budget > 0 {
            let sent = sendSome()
            if sent > 0 {
                budget -= sent
            } else if -sent == Int(EAGAIN) {
                waitsForSocket = true
            } else {
                close()
            }
        }
        // More next turn: the socket is writable, and the loop says so at once.
        if outputBytes > 0 { waitsForSocket = true }
        if outputBytes == 0, closesWhenSent { close() }
    }

    private func sendSome() -> Int {
        var sent = 0
        withUnsafeTemporaryAllocation(of: martlet_piece.self, capacity: 64) { vector in
            var used = 0
            while used < vector.count, outputHead + used < output.count {
                let bytes = output[outputHead + used].bytes
                let skipped = used == 0 ? outputOffset : 0
                vector[used] = martlet_piece(bytes: bytes.baseAddress! + skipped, count: bytes.count - skipped)
                used += 1
            }
            sent = Int(martlet_tcp_send(descriptor, vector.baseAddress, Int32(used)))
        }
        if sent > 0 { takeFromOutput(sent) }
        return sent
    }

    private func takeFromOutput(_ count: Int) {
        activeNanos = clock.monotonicNanos()
        sentNanos = activeNanos
        outputBytes -= count
        acceptor.statistics.bytesSent.wrappingAdd(UInt64(count), ordering: .relaxed)
        acceptor.statistics.outputBytes.wrappingSubtract(Int64(count), ordering: .relaxed)
        outputOffset += count
        while outputHead < output.count, outputOffset >= output[outputHead].count {
            outputOffset -= output[outputHead].count
            // Lets go of the owner; the slot is dropped below.
            output[outputHead] = OutputPiece()
            outputHead += 1
        }
        if outputHead == output.count {
            output.removeAll(keepingCapacity: output.capacity <= 64)
            outputHead = 0
        } else if outputHead > 256, outputHead * 2 > output.count {
            output.removeFirst(outputHead)
            outputHead = 0
        }
    }

    // MARK: Turns and the end

    private func settleLater() {
        guard !isSettling, isOpen else { return }
        isSettling = true
        acceptor.loop.atEndOfTurn { [self] in
            isSettling = false
            settle()
        }
    }

    /// Shows what was kept if it may be, sends what can be sent, and asks the loop for what is still wanted.
    private func settle() {
        guard isOpen else { return }
        if !isPaused, !isShowing {
            if let frame = large, frame.filled == frame.memory.bytes.count { showLargeFrame() }
            showKept()
        }
        if !waitsForSocket { flush() }
        guard isOpen else { return }
        noticeDrained()
        guard isOpen, let watch else { return }
        if martlet_watch_set(watch, isPaused || isEnded ? 0 : 1, waitsForSocket ? 1 : 0) != 0 { close() }
    }

    func closeIfExpired(_ now: Int64) {
        guard isOpen else { return }
        if outputBytes > 0, now &- sentNanos > acceptor.limits.stallNanosMax {
            acceptor.statistics.closedStalled.wrappingAdd(1, ordering: .relaxed)
            close()
        } else if let large, large.filled < large.memory.bytes.count, now > large.deadlineNanos {
            acceptor.statistics.closedStalled.wrappingAdd(1, ordering: .relaxed)
            close()
        } else if outputBytes == 0, !isAwaited, holds == 0, now &- activeNanos > acceptor.limits.idleNanosMax {
            acceptor.statistics.closedIdle.wrappingAdd(1, ordering: .relaxed)
            close()
        }
    }

    /// Closes at once; what was not sent is lost.
    package func close() {
        guard isOpen else { return }
        isOpen = false
        if let watch { martlet_watch_free(watch) }
        watch = nil
        martlet_tcp_close(descriptor)
        acceptor.statistics.outputBytes.wrappingSubtract(Int64(outputBytes), ordering: .relaxed)
        outputBytes = 0
        output = []
        outputHead = 0
        onDrained = nil
        acceptor.forget(self)
        dropLargeFrame()
        let handler = handler
        self.handler = nil
        handler?.closed(self)
    }
}

private func connectionReady(_ context: UnsafeMutableRawPointer?, _ isReadable: Int32, _ isWritable: Int32) {
    guard let context else { return }
    // Kept alive for the call: closing lets go of the last reference.
    let connection = Unmanaged<TCPConnection>.fromOpaque(context).takeUnretainedValue()
    connection.ready(isReadable: isReadable != 0, isWritable: isWritable != 0)
}
