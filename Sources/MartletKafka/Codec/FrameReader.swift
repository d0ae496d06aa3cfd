package import MartletLog

/// Cuts a connection's bytes into frames: a big-endian length of four bytes, then that many bytes. Knows no socket; for one
/// thread at a time.
///
/// A length is judged before anything is allocated for it, and memory grows with the bytes that have come: a peer that
/// claims much and sends little costs `chunkBytesMin`.
package struct FrameReader: ~Copyable {
    /// Kafka's `socket.request.max.bytes`, 100 MiB.
    package static let frameBytesMax = 100 << 20
    /// What a frame gets at first, unless it is shorter.
    static let chunkBytesMin = 64 << 10

    private let limit: Int
    /// The first bytes of the length, as long as not all four have come.
    private var prefix: UInt32 = 0
    private var prefixBytes = 0
    private var frame: Partial?

    /// A frame of which some bytes are still to come.
    private struct Partial {
        /// Nobody else has seen it.
        var chunk: ByteChunk
        /// How many of the chunk's bytes are the frame's.
        var filled: Int
        let length: Int
    }

    /// Frames of more than `limit` bytes are refused.
    package init(limit: Int = FrameReader.frameBytesMax) { self.limit = limit }

    /// The next bytes of the connection; calls `body` for each frame that they complete, without its length. After an error
    /// of its own or of `body` the connection is beyond understanding.
    package mutating func receive(
        _ bytes: UnsafeRawBufferPointer, _ body: (ByteSlice) throws(KafkaError) -> Void
    ) throws(KafkaError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            if frame == nil {
                prefix = prefix << 8 | UInt32(rest.removeFirst())
                prefixBytes += 1
                if prefixBytes < MemoryLayout<UInt32>.size { continue }
                try begin(length: Int32(bitPattern: prefix))
            } else {
                let space = self.space()
                let count = min(space.count, rest.count)
                UnsafeMutableRawBufferPointer(rebasing: space[..<count]).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: rest.prefix(count)))
                rest.removeFirst(count)
                frame?.filled += count
            }
            if let done = takeComplete() { try body(done) }
        }
    }

    /// Where the next bytes of a frame under way belong, so that a socket can be read straight into it; empty between frames.
    /// Valid until the next call. `filled(_:)` says how many bytes were written there.
    package mutating func space() -> UnsafeMutableRawBufferPointer {
        guard var partial = frame else { return UnsafeMutableRawBufferPointer(start: nil, count: 0) }
        if partial.filled == partial.chunk.count {
            let grown = Self.chunk(min(partial.length, partial.filled * 16))
            grown.bytesBeforeSharing.copyMemory(from: partial.chunk.bytes)
            partial.chunk = grown
            frame = partial
        }
        return UnsafeMutableRawBufferPointer(rebasing: partial.chunk.bytesBeforeSharing[partial.filled...])
    }

    /// Counts `count` bytes, at most those of `space()`, as received; returns the frame if they complete it.
    package mutating func filled(_ count: Int) -> ByteSlice? {
        guard var partial = frame else { return nil }
        precondition(count >= 0 && count <= partial.chunk.count - partial.filled, "no more is filled than there was space for")
        partial.filled += count
        frame = partial
        return takeComplete()
    }

    /// Some bytes of a frame have come, and not all: a connection that ends here ends badly.
    package var isWithinFrame: Bool { frame != nil || prefixBytes > 0 }

    private mutating func begin(length: Int32) throws(KafkaError) {
        guard length >= 0 && Int(length) <= limit else { throw .frameTooLarge(length: Int64(length), limit: limit) }
        frame = Partial(chunk: Self.chunk(min(Int(length), Self.chunkBytesMin)), filled: 0, length: Int(length))
        prefix = 0
        prefixBytes = 0
    }

    private mutating func takeComplete() -> ByteSlice? {
        guard let partial = frame, partial.filled == partial.length else { return nil }
        frame = nil
        return ByteSlice(partial.chunk)
    }

    /// Memory that its only holder fills before anybody reads it.
    private static func chunk(_ capacity: Int) -> ByteChunk {
        ByteChunk(capacity: capacity) { (memory: UnsafeMutableRawBufferPointer) in memory.count }
    }
}
