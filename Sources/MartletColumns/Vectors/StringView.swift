internal import Glibc

/// Sixteen bytes that stand for a run of bytes (TEXT, BYTEA, JSONB in text form): length, then either up to 12 bytes
/// inline, or the first four bytes and a pointer into a `ByteHeap` that the owning column keeps alive.
///
/// Inline bytes past the length are zero, so two views of at most 12 bytes are equal iff their 16 bytes are.
package struct StringView: BitwiseCopyable, Sendable {
    /// Bits 0–31: length in bytes; bits 32–63: the first four bytes.
    package var head: UInt64
    /// Bytes 4–11 when inline, else the address of the whole run.
    package var tail: UInt64

    package static let inlineCapacity = 12
    package static let empty = StringView(head: 0, tail: 0)

    @inline(__always)
    package init(head: UInt64, tail: UInt64) {
        self.head = head
        self.tail = tail
    }

    /// Views `count` bytes at `bytes`; longer runs than 12 are not copied, and must outlive the view.
    @inline(__always)
    package init(_ bytes: UnsafePointer<UInt8>, count: Int) {
        if count <= StringView.inlineCapacity {
            var low: UInt64 = 0
            var high: UInt64 = 0
            if count >= 8 {
                low = UnsafeRawPointer(bytes).loadUnaligned(as: UInt64.self)
                // The last four bytes overlap the first eight; shifting leaves those past eight.
                let last = UnsafeRawPointer(bytes + (count - 4)).loadUnaligned(as: UInt32.self)
                let past = UInt64(last) >> UInt64(8 &* (12 &- count))
                high = past
            } else if count >= 4 {
                let first = UnsafeRawPointer(bytes).loadUnaligned(as: UInt32.self)
                let last = UnsafeRawPointer(bytes + (count - 4)).loadUnaligned(as: UInt32.self)
                low = UInt64(first) | (UInt64(last) << UInt64(8 &* (count &- 4)))
            } else {
                var at = 0
                while at < count {
                    low |= UInt64(bytes[at]) << UInt64(8 &* at)
                    at &+= 1
                }
            }
            head = UInt64(UInt32(truncatingIfNeeded: count)) | (low << 32)
            tail = (low >> 32) | (high << 32)
        } else {
            let first = UnsafeRawPointer(bytes).loadUnaligned(as: UInt32.self)
            head = UInt64(UInt32(truncatingIfNeeded: count)) | (UInt64(first) << 32)
            tail = UInt64(UInt(bitPattern: bytes))
        }
    }

    @inline(__always)
    package var count: Int { Int(UInt32(truncatingIfNeeded: head)) }

    @inline(__always)
    package var isInline: Bool { count <= StringView.inlineCapacity }

    /// Calls `body` with the bytes; the pointer is valid during the call only.
    @inline(__always)
    package func withBytes<Answer>(_ body: (UnsafeBufferPointer<UInt8>) throws -> Answer) rethrows -> Answer {
        if isInline {
            var copy = (head >> 32 | tail << 32, tail >> 32)
            return try withUnsafeBytes(of: &copy) { raw in
                try body(UnsafeBufferPointer(start: raw.baseAddress!.assumingMemoryBound(to: UInt8.self), count: count))
            }
        }
        return try body(UnsafeBufferPointer(start: pointer, count: count))
    }

    /// The bytes of a view that is not inline.
    @inline(__always)
    package var pointer: UnsafePointer<UInt8> {
        UnsafePointer(bitPattern: UInt(tail)).unsafelyUnwrapped
    }

    @inline(__always)
    package static func == (left: StringView, right: StringView) -> Bool {
        if left.head != right.head { return false }
        if left.tail == right.tail { return true }
        if left.isInline { return false }
        return memcmp(left.pointer, right.pointer, left.count) == 0
    }

    /// Orders by bytes (PostgreSQL's "C" collation): negative, zero or positive.
    package static func compare(_ left: StringView, _ right: StringView) -> Int32 {
        left.withBytes { a in
            right.withBytes { b in
                let common = min(a.count, b.count)
                let order = common == 0 ? 0 : memcmp(a.baseAddress!, b.baseAddress!, common)
                if order != 0 { return order }
                return a.count < b.count ? -1 : (a.count > b.count ? 1 : 0)
            }
        }
    }

    package var string: String { withBytes { String(decoding: $0, as: UTF8.self) } }
}
