/// Where the parts of one record are. Pointers are into the records' bytes.
struct RecordParts {
    var timestampDelta: Int64 = 0
    var offsetDelta: Int32 = 0
    /// nil: null.
    var key: UnsafePointer<UInt8>?
    var keyCount = 0
    /// nil: null, a tombstone.
    var value: UnsafePointer<UInt8>?
    var valueCount = 0
    var headerCount: Int32 = 0
    /// From the first header to the record's end.
    var headers: UnsafePointer<UInt8>
    /// One past the record.
    var end: UnsafePointer<UInt8>
    /// All of the record with its length.
    var byteCount = 0
}

/// Walks over uncompressed records: raw pointers, no allocation, no reference counts. Each record is
///
///     length varint · attributes i8 · timestampDelta varlong · offsetDelta varint · key · value · headerCount varint · headers
///
/// with key and value as a varint length (−1: null) and bytes, and a header as a key that is not null and a value. Everything
/// is checked against the record's own end, and that against the end of all; nothing is read beyond either.
struct RecordCursor {
    private(set) var at: UnsafePointer<UInt8>
    private let end: UnsafePointer<UInt8>
    /// A variable-length integer did not end in time, or a part did not fit.
    private var isBroken = false

    init(_ bytes: UnsafeRawBufferPointer) {
        // A pointer that is never read from where there are no bytes.
        at = (bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!).assumingMemoryBound(to: UInt8.self)
        end = at + bytes.count
    }

    var isAtEnd: Bool { at == end }

    /// The next record; nil if there is none that is well formed (ask `isAtEnd` which).
    @inline(__always) mutating func next() -> RecordParts? {
        let start = at
        let length = Int(readVarInt32(end))
        guard !isBroken, length > 0, length <= end - at else { return nil }
        let recordEnd = at + length
        // The record's own attributes: none are defined, none are judged.
        at += 1
        var parts = RecordParts(headers: recordEnd, end: recordEnd)
        parts.timestampDelta = readVarInt64(recordEnd)
        parts.offsetDelta = readVarInt32(recordEnd)
        (parts.key, parts.keyCount) = readRun(recordEnd)
        (parts.value, parts.valueCount) = readRun(recordEnd)
        parts.headerCount = readVarInt32(recordEnd)
        guard !isBroken, parts.headerCount >= 0 else { return nil }
        parts.headers = at
        if parts.headerCount > 0 { skipHeaders(parts.headerCount, recordEnd) }
        guard !isBroken, at == recordEnd else { return nil }
        parts.byteCount = at - start
        return parts
    }

    /// The next header, where the cursor is over a record's headers.
    mutating func nextHeader() -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer?)? {
        let key = readRun(end)
        let value = readRun(end)
        guard !isBroken, let keyStart = key.0 else { return nil }
        return (
            UnsafeRawBufferPointer(start: keyStart, count: key.1),
            value.0.map { UnsafeRawBufferPointer(start: $0, count: value.1) }
        )
    }

    private mutating func skipHeaders(_ count: Int32, _ end: UnsafePointer<UInt8>) {
        var rest = count
        while rest > 0 && !isBroken {
            if readRun(end).0 == nil { isBroken = true }
            _ = readRun(end)
            rest &-= 1
        }
    }

    /// A length and that many bytes; nil for the length −1.
    @inline(__always) private mutating func readRun(_ end: UnsafePointer<UInt8>) -> (UnsafePointer<UInt8>?, Int) {
        let count = Int(readVarInt32(end))
        guard count >= 0 else {
            if count != -1 { isBroken = true }
            return (nil, 0)
        }
        let start = at
        guard count <= end - start else {
            isBroken = true
            return (nil, 0)
        }
        at = start + count
        return (start, count)
    }

    @inline(__always) private mutating func readVarInt32(_ end: UnsafePointer<UInt8>) -> Int32 {
        if at < end, at.pointee < 0x80 {
            let raw = UInt32(at.pointee)
            at += 1
            return Int32(bitPattern: (raw &>> 1) ^ (0 &- (raw & 1)))
        }
        let raw = UInt32(truncatingIfNeeded: readLong(end, bits: 32))
        return Int32(bitPattern: (raw &>> 1) ^ (0 &- (raw & 1)))
    }

    @inline(__always) private mutating func readVarInt64(_ end: UnsafePointer<UInt8>) -> Int64 {
        let raw: UInt64
        if at < end, at.pointee < 0x80 {
            raw = UInt64(at.pointee)
            at += 1
        } else {
            raw = readLong(end, bits: 64)
        }
        return Int64(bitPattern: (raw &>> 1) ^ (0 &- (raw & 1)))
    }

    /// Seven bits a byte, least significant first; what does not fit `bits`, or does not end, breaks the cursor.
    private mutating func readLong(_ end: UnsafePointer<UInt8>, bits: UInt64) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while shift < bits && at < end {
            let byte = UInt64(at.pointee)
            at += 1
            let group = byte & 0x7F
            if bits &- shift < 7 && group &>> (bits &- shift) != 0 { break }
            value |= group &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
        isBroken = true
        return 0
    }
}
