import Glibc
import MartletCore
import MartletPlatform
import Synchronization
import Testing

/// Answers each frame with itself, unless told otherwise.
private final class Echo: TCPHandler {
    enum Mode: Sendable { case echo, later(times: Int), hold, close, swallow }
    var mode: Mode
    let log: EchoLog

    init(_ mode: Mode, _ log: EchoLog) {
        self.mode = mode
        self.log = log
    }

    func frame(_ bytes: UnsafeRawBufferPointer, memory: AnyObject?, on connection: TCPConnection) -> FrameVerdict {
        switch mode {
        case .later(let times) where times > 0:
            mode = .later(times: times - 1)
            log.note { $0.deferred += 1 }
            log.loop?.schedule(afterNanos: 1_000_000) { connection.resumeFrames() }
            return .later
        case .close: return .close
        case .swallow:
            log.note { $0.frames += 1 }
            return .taken
        case .hold:
            connection.hold()
            log.loop?.schedule(afterNanos: 2_000_000) { connection.release() }
        case .echo, .later: break
        }
        log.note {
            $0.frames += 1
            $0.largeFrames += memory == nil ? 0 : 1
        }
        let copy = Owned(bytes)
        connection.send([OutputPiece(copy.bytes, owner: copy)])
        return .taken
    }

    func memory(forFrame count: Int) -> FrameMemory {
        let owner = Owned(count: count)
        return FrameMemory(owner.memory, owner: owner)
    }

    func refused(frameBytes: Int?, on connection: TCPConnection) { log.note { $0.refused += 1 } }
    func closed(_ connection: TCPConnection) { log.note { $0.closed += 1 } }
}

private final class EchoLog: Sendable {
    struct Counts { var frames = 0, largeFrames = 0, deferred = 0, refused = 0, closed = 0 }
    private let counts = Mutex(Counts())
    nonisolated(unsafe) var loop: EventLoop?

    func note(_ change: (inout Counts) -> Void) { counts.withLock { change(&$0) } }
    var seen: Counts { counts.withLock { $0 } }
}

private final class Owned {
    let memory: UnsafeMutableRawBufferPointer
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }

    init(count: Int) { memory = .allocate(byteCount: count, alignment: 16) }

    convenience init(_ source: UnsafeRawBufferPointer) {
        self.init(count: source.count)
        memory.copyMemory(from: source)
    }

    deinit { memory.deallocate() }
}

/// An echoing listener on its own loop.
private final class EchoServer {
    let loop: EventLoop
    let listener: TCPListener
    let log = EchoLog()

    init(_ mode: Echo.Mode = .echo, limits: TCPLimits = TCPLimits()) throws {
        loop = try EventLoop(name: "test-loop")
        log.loop = loop
        let log = log
        listener = try TCPListener(ListenAddress(host: "127.0.0.1", port: 0), loop: loop, framing: .int32, limits: limits) { _ in
            Echo(mode, log)
        }
    }

    deinit {
        listener.stop()
        loop.stop()
    }

    func client(seconds: Int64 = 20) throws -> TCPClient {
        try TCPClient(listener.address, timeoutNanos: seconds * 1_000_000_000)
    }
}

private func frame(_ count: Int, seed: UInt8 = 1) -> [UInt8] {
    var bytes = withUnsafeBytes(of: Int32(count).bigEndian) { Array($0) }
    bytes.reserveCapacity(count + 4)
    for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: index &* 31) &+ seed) }
    return bytes
}

extension TCPClient {
    func send(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { (bytes) throws in try send(bytes) } }

    /// `count` bytes, or fewer if the stream ends.
    func receive(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let got = try bytes.withUnsafeMutableBytes { buffer throws in
                try receive(into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
            }
            if got == 0 { break }
            filled += got
        }
        return Array(bytes[..<filled])
    }

    /// Whether the other end closed: the stream ends or breaks.
    func isClosed() -> Bool {
        do {
            return try receive(1).isEmpty
        } catch {
            // The end may come as a reset; that nothing came in time is no end.
            return !"\(error)".hasPrefix("no answer")
        }
    }
}

private func eventually(_ condition: () -> Bool) -> Bool {
    let clock = SystemClock()
    for _ in 0..<2000 {
        if condition() { return true }
        clock.sleep(nanos: 5_000_000)
    }
    return condition()
}

@Suite("A TCP listener cuts streams into frames", .serialized)
struct TCPListenerTests {
    @Test("frames come whole and in order, however the bytes are cut", arguments: [1, 3, 7, 1000, 1 << 20])
    func cuts(chunk: Int) throws {
        let server = try EchoServer()
        let client = try server.client()
        var sent: [UInt8] = []
        for (index, size) in [0, 1, 5, 300, 0, 17].enumerated() { sent += frame(size, seed: UInt8(index)) }
        var start = 0
        while start < sent.count {
            try client.send(Array(sent[start..<min(start + chunk, sent.count)]))
            start += chunk
        }
        #expect(try client.receive(sent.count) == sent)
    }

    @Test("frames larger than the shared buffer arrive in memory of the handler's, mixed with small ones")
    func largeFrames() throws {
        let server = try EchoServer()
        let client = try server.client()
        let frames = [frame(10), frame(3 << 20), frame(20), frame((256 << 10) - 4), frame((256 << 10) - 3), frame(1 << 20), frame(0)]
        for each in frames {
            try client.send(each)
            #expect(try client.receive(each.count) == each)
        }
        #expect(server.log.seen.largeFrames == 3)
    }

    @Test("a frame that is put off is shown again, and those behind it wait their turn", arguments: [10, 1 << 20])
    func later(size: Int) throws {
        let server = try EchoServer(.later(times: 3))
        let client = try server.client()
        let sent = frame(size, seed: 1) + frame(20, seed: 2) + frame(size, seed: 3)
        try client.send(sent)
        #expect(try client.receive(sent.count) == sent)
        #expect(server.log.seen.deferred == 3)
    }

    @Test("a held connection goes on where it stopped")
    func holds() throws {
        let server = try EchoServer(.hold)
        let client = try server.client()
        var sent: [UInt8] = []
        for index in 0..<20 { sent += frame(100, seed: UInt8(index)) }
        try client.send(sent)
        #expect(try client.receive(sent.count) == sent)
    }

    @Test("a length that is negative or beyond the limit closes the connection, and nobody else's")
    func badLengths() throws {
        var limits = TCPLimits()
        limits.frameBytesMax = 1 << 20
        let server = try EchoServer(limits: limits)
        let other = try server.client()
        for header: [UInt8] in [[0x7F, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0xFF], [0x80, 0, 0, 0], [0, 0x10, 0, 0]] {
            let client = try server.client()
            try client.send(header + [1, 2, 3])
            #expect(client.isClosed())
        }
        #expect(eventually { server.log.seen.refused == 4 && server.log.seen.closed == 4 })
        try other.send(frame(5))
        #expect(try other.receive(9) == frame(5))
    }

    @Test("large frames beyond the common limit wait for each other, and all arrive")
    func commonMemory() throws {
        var limits = TCPLimits()
        limits.largeFrameBytesMax = 3 << 20
        let server = try EchoServer(limits: limits)
        let address = server.listener.address
        let failures = Atomic(0)
        let threads = try (0..<6).map { index in
            try WorkerThread(name: "client") {
                do {
                    let client = try TCPClient(address, timeoutNanos: 60_000_000_000)
                    let sent = frame(2 << 20, seed: UInt8(index))
                    for _ in 0..<5 {
                        try client.send(sent)
                        if try client.receive(sent.count) != sent { failures.wrappingAdd(1, ordering: .relaxed) }
                    }
                } catch { failures.wrappingAdd(100, ordering: .relaxed) }
            }
        }
        for thread in threads { thread.join() }
        #expect(failures.load(ordering: .relaxed) == 0)
        #expect(server.log.seen.frames == 30)
    }

    @Test("a client that does not read is not read from, and others are served meanwhile")
    func slowReader() throws {
        var limits = TCPLimits()
        limits.outputBytesMax = 1 << 20
        let server = try EchoServer(limits: limits)
        let slow = try TCPClient(server.listener.address, timeoutNanos: 300_000_000)
        let big = frame(200_000)
        var sent = 0
        // Its own send blocks once the server stopped reading: both socket buffers and 1 MiB of answers are full.
        while sent < 1000, (try? slow.send(big)) != nil { sent += 1 }
        #expect(sent < 1000)
        #expect(server.listener.statistics.outputBytes.load(ordering: .relaxed) <= (1 << 20) + 2 * big.count)
        let other = try server.client()
        try other.send(frame(5))
        #expect(try other.receive(9) == frame(5))
    }

    @Test("who takes nothing, sends half a frame, or is silent for too long is closed")
    func timeouts() throws {
        var limits = TCPLimits()
        limits.stallNanosMax = 300_000_000
        limits.frameNanosMax = 300_000_000
        limits.idleNanosMax = 400_000_000
        let server = try EchoServer(limits: limits)
        let idle = try server.client()
        #expect(idle.isClosed())
        #expect(server.listener.statistics.closedIdle.load(ordering: .relaxed) == 1)
        let stalled = try TCPClient(server.listener.address, timeoutNanos: 100_000_000)
        while (try? stalled.send(frame(200_000))) != nil {}
        #expect(eventually { server.log.seen.closed == 2 })
        let half = try server.client()
        try half.send(Array(frame(1 << 20).prefix(600_000)))
        for _ in 0..<40 where server.log.seen.closed < 3 {
            try? half.send([1])
            SystemClock().sleep(nanos: 50_000_000)
        }
        #expect(server.log.seen.closed == 3)
        #expect(server.listener.statistics.closedStalled.load(ordering: .relaxed) == 2)
    }

    @Test("connections beyond the limit are closed at once; places come free again")
    func connectionLimit() throws {
        var limits = TCPLimits()
        limits.connectionsMax = 3
        let server = try EchoServer(limits: limits)
        do {
            let first = try server.client(), second = try server.client(), third = try server.client()
            for client in [0, 1, 2] {
                let sent = frame(5)
                switch client {
                case 0: try first.send(sent)
                case 1: try second.send(sent)
                default: try third.send(sent)
                }
            }
            #expect(try third.receive(9) == frame(5))
            let fourth = try server.client()
            #expect(fourth.isClosed())
            #expect(try first.receive(9) == frame(5))
            #expect(try second.receive(9) == frame(5))
        }
        #expect(eventually { server.log.seen.closed == 3 })
        let next = try server.client()
        try next.send(frame(5))
        #expect(try next.receive(9) == frame(5))
    }

    @Test("a burst of connects is taken in whole")
    func burst() throws {
        let server = try EchoServer()
        let address = server.listener.address
        let answered = Atomic(0)
        let threads = try (0..<4).map { _ in
            try WorkerThread(name: "burst") {
                for _ in 0..<500 {
                    guard let client = try? TCPClient(address, timeoutNanos: 20_000_000_000), (try? client.send(frame(8))) != nil,
                        (try? client.receive(12)) == frame(8)
                    else { continue }
                    answered.wrappingAdd(1, ordering: .relaxed)
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(answered.load(ordering: .relaxed) == 2000)
        #expect(eventually { server.listener.statistics.connections.load(ordering: .relaxed) == 0 })
    }
}

@Suite("An event loop")
struct EventLoopTests {
    @Test("runs what is posted in order, timers by their time, and what is put off at the end of the turn")
    func order() throws {
        let loop = try EventLoop(name: "order")
        let seen = Mutex<[String]>([])
        let note: @Sendable (String) -> Void = { text in seen.withLock { $0.append(text) } }
        loop.run {
            loop.schedule(afterNanos: 20_000_000) { note("late") }
            loop.schedule(afterNanos: 5_000_000) { note("early") }
            loop.schedule(afterNanos: 5_000_000) { note("early too") }
            loop.schedule(afterNanos: 1_000_000) { note("never") }.cancel()
            loop.atEndOfTurn { note("end") }
            note("first")
        }
        loop.post { note("second") }
        #expect(eventually { seen.withLock { $0.count } == 6 })
        // "end" belongs to the first turn; the second post may or may not be in that turn.
        let order = seen.withLock { $0 }
        #expect(order.filter { $0 != "end" } == ["first", "second", "early", "early too", "late"])
        #expect(order.firstIndex(of: "end")! <= 2)
        loop.stop()
        #expect(!loop.post { note("after") })
        #expect(!seen.withLock { $0.contains("after") || $0.contains("never") })
    }

    @Test("a pool runs everything before it stops, several at a time")
    func pool() throws {
        let pool = try BlockingPool(name: "pool", threads: 3)
        let running = Atomic(0), most = Atomic(0), done = Atomic(0)
        for _ in 0..<30 {
            pool.run {
                let now = running.wrappingAdd(1, ordering: .relaxed).newValue
                most.max(now, ordering: .relaxed)
                SystemClock().sleep(nanos: 3_000_000)
                running.wrappingSubtract(1, ordering: .relaxed)
                done.wrappingAdd(1, ordering: .relaxed)
            }
        }
        pool.stop()
        #expect(done.load(ordering: .relaxed) == 30)
        #expect(most.load(ordering: .relaxed) == 3)
        #expect(!pool.run {})
    }
}

@Suite("A data directory has one owner")
struct DataDirectoryLockTests {
    @Test("a second owner is refused with the first one's process id, and let in when it is gone")
    func oneOwner() throws {
        var template = Array("\(environment("TMPDIR") ?? "/tmp")/martlet-lock-XXXXXX".utf8CString)
        let path = String(cString: mkdtemp(&template)) + "/data"
        defer { rmdir(path) }
        do {
            let lock = try DataDirectoryLock(path)
            let error = #expect(throws: DataDirectoryError.self) { _ = try DataDirectoryLock(path) }
            #expect(error?.message == "the data directory \(path) is in use by process \(getpid())")
            withExtendedLifetime(lock) {}
        }
        _ = try DataDirectoryLock(path)
        unlink(path + "/LOCK")
    }
}
