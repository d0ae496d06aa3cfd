import MartletCore
import MartletPlatform
import MartletPostgres
import MartletServer

/// A server over a fake database, on a port of its own.
final class PostgresFixture {
    let service = FakeService()
    let pool: BlockingPool
    let server: PostgresServer

    init(threads: Int = 4) throws {
        pool = try StatementThreads.make(threads)
        server = try PostgresServer(
            ListenAddress(host: "127.0.0.1", port: 0), service: service, pool: pool, entropy: FixedEntropy(), metrics: MetricsRegistry())
    }

    deinit {
        server.stop()
        pool.stop()
    }

    func client(user: String = "ann", minor: Int = 0) throws -> PostgresClient {
        try PostgresClient(
            SocketTransport(server.address), ClientIdentity(user: user, database: "dev"), nonce: [1, 2, 3], minor: minor)
    }
}

private struct FixedEntropy: Entropy {
    func next() -> UInt64 { 0x0102_0304_0506_0708 }
}

final class SocketTransport: ClientTransport {
    private let socket: TCPClient

    init(_ address: ListenAddress) throws(SQLError) {
        do throws(ListenError) {
            socket = try TCPClient(address, timeoutNanos: 20_000_000_000)
        } catch {
            throw SQLError(.connectionException, error.message)
        }
    }

    func send(_ bytes: UnsafeRawBufferPointer) throws(SQLError) {
        do throws(ListenError) { try socket.send(bytes) } catch { throw SQLError(.connectionException, error.message) }
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer) throws(SQLError) -> Int {
        do throws(ListenError) {
            return try socket.receive(into: buffer)
        } catch {
            throw SQLError(.connectionException, error.message)
        }
    }
}
