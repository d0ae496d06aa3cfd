package import MartletCore
internal import Synchronization

/// Output buffers that go round: from the shards to the writer and back. Any thread.
package final class BytePool: Sendable {
    private let free = Mutex<[Buffer]>([])
    /// Buffers above this size are given back to the system, so that one large tick does not stay in memory.
    private static let keepBytesMax = 16 << 20

    /// A buffer is owned by one thread at a time: whoever took it.
    private struct Buffer: @unchecked Sendable { var bytes: ByteSink }

    package init() {}

    package func take() -> ByteSink {
        free.withLock { $0.popLast() }?.bytes ?? ByteSink(capacity: 1 << 16)
    }

    package func give(_ bytes: ByteSink) {
        guard bytes.count <= BytePool.keepBytesMax else { return }
        bytes.clear()
        let buffer = Buffer(bytes: bytes)
        free.withLock { if $0.count < 16 { $0.append(buffer) } }
    }
}
