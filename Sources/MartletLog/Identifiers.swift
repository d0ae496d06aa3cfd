package import MartletCore

/// Kafka's topic identifier: 16 bytes, shown as 32 hexadecimal digits. A topic that is deleted and created again has
/// another one, so whatever is kept by identifier never meets the wrong topic.
package struct TopicID: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The first eight bytes of the big-endian form.
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Kafka's "no topic".
    package static let zero = TopicID(high: 0, low: 0)

    /// A random (version 4) UUID; never `zero`.
    package static func random(_ entropy: any Entropy) -> TopicID {
        TopicID(
            high: entropy.next() & ~0xF000 | 0x4000,
            low: entropy.next() & ~(0xC000_0000_0000_0000) | 0x8000_0000_0000_0000)
    }

    /// 32 lower-case hexadecimal digits; the name of the topic's directory.
    package var hexadecimal: String { digits(high) + digits(low) }

    /// From `hexadecimal`; nil for anything else.
    package init?(hexadecimal text: String) {
        let characters = Array(text.utf8)
        guard characters.count == 32 else { return nil }
        var words: [UInt64] = [0, 0]
        for (index, character) in characters.enumerated() {
            let value: UInt8
            switch character {
            case 48...57: value = character - 48
            case 97...102: value = character - 87
            default: return nil
            }
            words[index / 16] = words[index / 16] << 4 | UInt64(value)
        }
        self.init(high: words[0], low: words[1])
    }

    package var description: String { hexadecimal }

    package static func < (left: TopicID, right: TopicID) -> Bool {
        left.high != right.high ? left.high < right.high : left.low < right.low
    }
}

private func digits(_ word: UInt64) -> String {
    let text = String(word, radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
}

/// One partition of one topic. Partitions are numbered from 0.
package struct TopicPartition: Hashable, Sendable, Comparable, CustomStringConvertible {
    package var topic: TopicID
    package var partition: Int32

    package init(topic: TopicID, partition: Int32) {
        self.topic = topic
        self.partition = partition
    }

    package var description: String { "\(topic)/\(partition)" }

    package static func < (left: TopicPartition, right: TopicPartition) -> Bool {
        left.topic != right.topic ? left.topic < right.topic : left.partition < right.partition
    }
}

/// Bytes on the heap that are shared, not copied: what a socket delivered, a batch in the tail, a piece of a segment.
///
/// Filled once, by whoever makes it; from the moment it is shared nobody writes to it. (The one exception: `Log` sets the
/// offset of a batch handed to it for appending, before anybody else can see that batch.)
package final class ByteChunk: Sendable {
    /// Sound: the memory is written only before the chunk is shared, and freed with the last reference.
    private nonisolated(unsafe) let base: UnsafeMutableRawPointer
    package let count: Int

    /// A copy of `source`.
    package init(copying source: UnsafeRawBufferPointer) {
        base = .allocate(byteCount: max(source.count, 1), alignment: 16)
        count = source.count
        if let start = source.baseAddress { base.copyMemory(from: start, byteCount: source.count) }
    }

    /// Memory for `capacity` bytes, of which `fill` says how many it wrote, from the start.
    package init<Failure: Error>(
        capacity: Int, fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Int
    ) throws(Failure) {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(capacity, 1), alignment: 16)
        do throws(Failure) {
            count = try fill(UnsafeMutableRawBufferPointer(start: memory, count: capacity))
        } catch {
            memory.deallocate()
            throw error
        }
        precondition(count >= 0 && count <= capacity, "a chunk cannot hold more than it has room for")
        base = memory
    }

    deinit { base.deallocate() }

    /// Valid as long as somebody holds the chunk.
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    /// For the chunk's maker alone, before anybody else sees it.
    package var bytesBeforeSharing: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: base, count: count) }
}

/// A part of a chunk. Copying a slice copies no bytes.
package struct ByteSlice: Sendable {
    package let chunk: ByteChunk
    package let range: Range<Int>

    /// `range` lies within the chunk.
    package init(_ chunk: ByteChunk, _ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= chunk.count, "a slice lies within its chunk")
        self.chunk = chunk
        self.range = range
    }

    /// All of a chunk.
    package init(_ chunk: ByteChunk) { self.init(chunk, 0..<chunk.count) }

    /// A chunk of its own with a copy of `source`.
    package init(copying source: UnsafeRawBufferPointer) { self.init(ByteChunk(copying: source)) }

    package var count: Int { range.count }

    /// Valid as long as somebody holds the slice.
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: chunk.bytes[range]) }

    /// A part of this slice; `part` counts from its start.
    package subscript(part: Range<Int>) -> ByteSlice {
        precondition(part.lowerBound >= 0 && part.upperBound <= count, "a part lies within its slice")
        return ByteSlice(chunk, range.lowerBound + part.lowerBound..<range.lowerBound + part.upperBound)
    }
}
