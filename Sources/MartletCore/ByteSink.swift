#if canImport(Glibc)
internal import Glibc
#endif

/// A growing run of bytes that output is written to: JSON and CSV lines, log lines, metrics pages. Grows by doubling and
/// keeps its memory over `clear()`, so that a sink reused per batch stops allocating.
///
/// For one thread at a time. Pointers it gives out are valid until the next call that appends.
package final class ByteSink {
    @usableFromInline var base: UnsafeMutablePointer<UInt8>
    @usableFromInline var used: Int
    @usableFromInline var capacity: Int

    /// Room for `capacity` bytes before it first grows.
    package init(capacity: Int = 4096) {
        self.capacity = max(capacity, 64)
        base = ByteSink.allocate(self.capacity)
        used = 0
    }

    deinit { free(base) }

    @inlinable package var count: Int { used }
    @inlinable package var isEmpty: Bool { used == 0 }

    /// What was written; valid until the next append.
    @inlinable package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: used) }

    /// Forgets what was written and keeps the memory.
    @inlinable package func clear() { used = 0 }

    /// Takes back what was written after `count`, as when a row turns out not to fit. `count` is a former `count`.
    @inlinable package func truncate(to count: Int) {
        precondition(count >= 0 && count <= used, "a sink is shortened, never lengthened")
        used = count
    }

    /// Where the next `size` bytes may be written directly, before `commit(_:)` says how many were.
    @inlinable package func reserve(_ size: Int) -> UnsafeMutablePointer<UInt8> {
        if capacity &- used < size { grow(by: size) }
        return base + used
    }

    /// Counts `size` bytes, written after `reserve`, as part of the content. `size` is at most what was reserved.
    @inlinable package func commit(_ size: Int) {
        assert(size >= 0 && size <= capacity - used)
        used &+= size
    }

    @inlinable package func append(_ byte: UInt8) {
        reserve(1).pointee = byte
        used &+= 1
    }

    @inlinable package func append(_ source: UnsafeRawBufferPointer) {
        guard let start = source.baseAddress, source.count > 0 else { return }
        UnsafeMutableRawPointer(reserve(source.count)).copyMemory(from: start, byteCount: source.count)
        used &+= source.count
    }

    @inlinable package func append(_ source: UnsafePointer<UInt8>, _ count: Int) {
        append(UnsafeRawBufferPointer(start: source, count: count))
    }

    /// A literal in the program's text; no allocation.
    @inlinable package func append(_ literal: StaticString) {
        if literal.hasPointerRepresentation {
            append(literal.utf8Start, literal.utf8CodeUnitCount)
        } else {
            literal.withUTF8Buffer { append(UnsafeRawBufferPointer($0)) }
        }
    }

    /// The number's bytes, most significant first.
    @inlinable package func append<Number: FixedWidthInteger & BitwiseCopyable>(big value: Number) {
        UnsafeMutableRawPointer(reserve(MemoryLayout<Number>.size)).storeBytes(of: value.bigEndian, as: Number.self)
        used &+= MemoryLayout<Number>.size
    }

    /// Writes over four bytes that were written before, as to fill in a length that is known only afterwards.
    @inlinable package func overwrite(big value: Int32, at offset: Int) {
        precondition(offset >= 0 && offset <= used - 4, "only what was written is written over")
        UnsafeMutableRawPointer(base + offset).storeBytes(of: value.bigEndian, as: Int32.self)
    }

    /// The UTF-8 of `text`.
    package func append(text: String) {
        var copy = text
        copy.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    /// The integer in decimal, with a minus sign where negative.
    @inlinable package func append(decimal value: Int64) {
        if value < 0 {
            append(UInt8(ascii: "-"))
            append(decimal: value.magnitude)
        } else {
            append(decimal: UInt64(bitPattern: value))
        }
    }

    /// The integer in decimal; at most 20 digits.
    package func append(decimal value: UInt64) {
        let digits = decimalDigitCount(value)
        writeDecimal(value, digits: digits, to: reserve(digits))
        used &+= digits
    }

    /// The integer in decimal, filled up with zeros to `width` digits (at most 20) where it has fewer.
    package func append(decimal value: UInt64, width: Int) {
        let digits = min(max(decimalDigitCount(value), width), 20)
        writeDecimal(value, digits: digits, to: reserve(digits))
        used &+= digits
    }

    /// What was written, as text. For tests and cold paths.
    package var text: String { String(decoding: bytes, as: UTF8.self) }

    @usableFromInline @inline(never) func grow(by size: Int) {
        let (needed, overflows) = used.addingReportingOverflow(size)
        precondition(!overflows && size >= 0, "a sink's size fits an Int")
        let wanted = max(needed, capacity &* 2)
        guard let grown = realloc(base, wanted) else { fatalError("out of memory: cannot hold \(wanted) output bytes") }
        base = grown.assumingMemoryBound(to: UInt8.self)
        capacity = wanted
    }

    private static func allocate(_ size: Int) -> UnsafeMutablePointer<UInt8> {
        guard let memory = malloc(size) else { fatalError("out of memory: cannot hold \(size) output bytes") }
        return memory.assumingMemoryBound(to: UInt8.self)
    }
}

/// How many decimal digits `value` has; 1 for 0.
@inlinable package func decimalDigitCount(_ value: UInt64) -> Int {
    // 1233/4096 approximates log10(2) from above closely enough for 64 bits; the table corrects by one.
    let bits = 64 &- (value | 1).leadingZeroBitCount
    let estimate = (bits &* 1233) &>> 12
    // The last bit makes 0 a number of one digit, and no other number one of more.
    return estimate &+ ((value | 1) >= powersOfTen[estimate] ? 1 : 0)
}

/// Writes the last `digits` decimal digits of `value` at `target`, most significant first, zeros in front.
/// A multiplication by a constant and two digits a step: about 1 ns per two digits.
@inlinable package func writeDecimal(_ value: UInt64, digits: Int, to target: UnsafeMutablePointer<UInt8>) {
    var rest = value
    var at = digits
    while at >= 2 {
        let quotient = rest / 100
        let pair = UInt16(truncatingIfNeeded: rest &- quotient &* 100)
        // tens = pair / 10 for pair < 100.
        let tens = (pair &* 103) &>> 10
        at &-= 2
        target[at] = UInt8(truncatingIfNeeded: tens) &+ 48
        target[at &+ 1] = UInt8(truncatingIfNeeded: pair &- tens &* 10) &+ 48
        rest = quotient
    }
    if at == 1 { target[0] = UInt8(truncatingIfNeeded: rest % 10) &+ 48 }
}

/// 10⁰ … 10¹⁹.
@usableFromInline let powersOfTen: InlineArray<20, UInt64> = [
    1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000,
    100_000_000_000, 1_000_000_000_000, 10_000_000_000_000, 100_000_000_000_000, 1_000_000_000_000_000,
    10_000_000_000_000_000, 100_000_000_000_000_000, 1_000_000_000_000_000_000, 10_000_000_000_000_000_000,
]
