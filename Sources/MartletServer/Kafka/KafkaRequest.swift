internal import MartletCore
internal import MartletKafka
internal import MartletLog

/// One request on its way to its answer. Loop thread only, apart from `broker.loop.post`.
///
/// Answers leave in the order of requests; an answer that comes early waits in its place.
final class KafkaRequest {
    let received: ReceivedRequest
    let key: ApiKey
    let connection: KafkaConnection
    /// Monotonic, when the frame was whole.
    let receivedNanos: Int64
    /// How long the loop's thread worked on it when it was begun, for `request_percentage`; 0 while that goes on.
    var workNanos: Int64 = 0

    /// Told to the client with the answer, and kept to by not reading from it afterwards (KIP-219).
    var throttleMillis: Int32 = 0
    fileprivate(set) var isAnswered = false
    /// What is to be sent; nil for an answer that is none (acks = 0).
    fileprivate(set) var frame: OutgoingFrame?
    /// The answer is to be the connection's last.
    fileprivate(set) var closesConnection = false

    init(_ received: ReceivedRequest, _ key: ApiKey, _ connection: KafkaConnection, receivedNanos: Int64) {
        self.received = received
        self.key = key
        self.connection = connection
        self.receivedNanos = receivedNanos
    }

    var version: Int16 { received.header.apiVersion }
    var clientID: String { received.header.clientId ?? "" }
    var broker: KafkaBroker { connection.broker }

    /// The request's content; what cannot be read closes the connection, as with Kafka.
    func body<Body: KafkaMessage>(_: Body.Type = Body.self) throws(KafkaError) -> Body { try received.body(Body.self) }

    /// Answers, once. `version` differs from the request's only where ApiVersions falls back to 0.
    func answer<Body: KafkaAnswer>(_ body: Body, version: Int16? = nil) {
        guard !isAnswered else { return }
        chargeTime()
        var body = body
        if throttleMillis > 0 { body.setThrottle(millis: throttleMillis) }
        var failures: [Int16: Int] = [:]
        body.forEachError { failures[$0, default: 0] += 1 }
        for (code, count) in failures { broker.metrics.failed(key, code, count: count) }
        do throws(KafkaError) {
            frame = try encodeResponse(body, to: key, version: version ?? self.version, correlationId: received.header.correlationId)
        } catch {
            broker.logger.error("an answer could not be encoded", ["api": .string(key.name), "error": .string("\(error)")])
            closesConnection = true
        }
        finish()
    }

    /// Counts the thread's time for this request against the client's `request_percentage`.
    private func chargeTime() {
        guard !broker.quotas.isEmpty else { return }
        let now = broker.clock.monotonicNanos()
        let nanos = workNanos > 0 ? workNanos : now &- receivedNanos
        let throttle = broker.quotas.record(.request, client: clientID, amount: Double(nanos) * 1e-7, now: now)
        throttleMillis = max(throttleMillis, throttle)
    }

    /// Nothing is sent, as for a produce request with acks = 0.
    func answerNothing() {
        guard !isAnswered else { return }
        finish()
    }

    /// Kafka's way of refusing what has no error code: what was asked before is answered, then the connection ends.
    func closeConnection() {
        guard !isAnswered else { return }
        closesConnection = true
        finish()
    }

    private func finish() {
        isAnswered = true
        connection.answered(self)
    }
}
