internal import MartletCore
internal import MartletKafka
internal import MartletLog
internal import MartletPlatform

/// A Kafka client's connection: its requests in order, and their answers. Loop thread only.
///
/// Like Kafka's, it works on one request at a time, with one exception that makes group commit pay: produce requests are
/// begun while earlier ones wait for the disk. Their order in the log is that of the connection, and so is that of the
/// answers.
final class KafkaConnection: TCPHandler {
    /// How many produce requests may wait for the disk.
    static let pipelinedMax = 256

    let broker: KafkaBroker
    let stream: TCPConnection
    /// Begun and not sent yet, oldest first.
    private var requests: [KafkaRequest] = []
    /// The request that could not be appended for want of room and tries again: nothing may overtake it.
    weak var blockedBy: KafkaRequest?
    private(set) var isOpen = true
    /// Moves on with each fetch, so that all partitions get their turn at the beginning of an answer.
    var fetchTurn: UInt64 = 0
    /// Its next read of history waits until then, monotonic; see `HistoryPace`.
    var historyNotBeforeNanos: Int64 = 0
    var waitingFetch: FetchTask?

    init(_ broker: KafkaBroker, _ stream: TCPConnection) {
        self.broker = broker
        self.stream = stream
        broker.connected(self)
    }

    func frame(_ bytes: UnsafeRawBufferPointer, memory: AnyObject?, on stream: TCPConnection) -> FrameVerdict {
        // Length, then the header's first field: the API's number.
        guard bytes.count >= 6 else { return refuse("\(bytes.count - 4) bytes are no request") }
        let number = Int16(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: Int16.self))
        guard mayBegin(number) else { return .later }
        let frame: ByteSlice
        if let chunk = memory as? ByteChunk {
            frame = ByteSlice(chunk, 4..<chunk.count)
        } else {
            frame = ByteSlice(copying: UnsafeRawBufferPointer(rebasing: bytes[4...]))
        }
        do throws(KafkaError) {
            try begin(ReceivedRequest(frame))
            return .taken
        } catch {
            return refuse("\(error)")
        }
    }

    private func refuse(_ reason: String) -> FrameVerdict {
        broker.metrics.malformed.add()
        broker.logger.debug(
            "a connection sent what is no request", ["client": .string("\(stream.peerAddress)"), "reason": .string(reason)])
        return .close
    }

    private func mayBegin(_ apiNumber: Int16) -> Bool {
        guard blockedBy == nil else { return false }
        guard let last = requests.last else { return true }
        return apiNumber == ApiKey.produce.rawValue && last.key == .produce && requests.count < KafkaConnection.pipelinedMax
    }

    private func begin(_ received: ReceivedRequest) throws(KafkaError) {
        guard let key = received.header.key else {
            throw .unsupportedVersion(key: received.header.apiKey, version: received.header.apiVersion)
        }
        let request = KafkaRequest(received, key, self, receivedNanos: broker.clock.monotonicNanos())
        requests.append(request)
        stream.isAwaited = true
        do throws(KafkaError) {
            try broker.dispatch(request)
        } catch {
            requests.removeAll { $0 === request }
            stream.isAwaited = !requests.isEmpty
            throw error
        }
        request.workNanos += broker.clock.monotonicNanos() &- request.receivedNanos
    }

    /// A request has its answer; it leaves when those before it have left.
    func answered(_ request: KafkaRequest) {
        guard isOpen else { return }
        while let first = requests.first, first.isAnswered {
            requests.removeFirst()
            broker.finish(first)
            if let frame = first.frame {
                stream.send(frame.pieces.map { OutputPiece($0.bytes, owner: $0.chunk) })
            }
            if first.closesConnection {
                stream.closeWhenSent()
                break
            }
            if first.throttleMillis > 0 { mute(millis: first.throttleMillis) }
        }
        stream.isAwaited = !requests.isEmpty
        stream.resumeFrames()
    }

    private func mute(millis: Int32) {
        stream.hold()
        let stream = stream
        broker.loop.schedule(afterNanos: Int64(millis) * 1_000_000) { stream.release() }
    }

    /// Nothing overtakes `request` until `unblock`.
    func block(by request: KafkaRequest) { blockedBy = request }

    func unblock() {
        blockedBy = nil
        stream.resumeFrames()
    }

    func memory(forFrame count: Int) -> FrameMemory {
        let chunk = ByteChunk(capacity: count) { (memory: UnsafeMutableRawBufferPointer) in memory.count }
        return FrameMemory(chunk.bytesBeforeSharing, owner: chunk)
    }

    func refused(frameBytes: Int?, on connection: TCPConnection) {
        broker.metrics.malformed.add()
        broker.logger.warn(
            "a frame was refused for its length",
            ["client": .string("\(connection.peerAddress)"), "bytes": .int(Int64(frameBytes ?? -1))])
    }

    func closed(_ connection: TCPConnection) {
        isOpen = false
        requests = []
        broker.closed(self)
    }
}
