internal import MartletCore

/// Values as text, into memory that has room for `ValueText.bytesMax`.
enum ValueText {
    /// The longest text of a value of bounded size: an interval in all its units, quotes included.
    static let bytesMax = 160

    @inline(__always)
    static func write(_ value: Bool, _ target: UnsafeMutablePointer<UInt8>) -> Int {
        UnsafeMutableRawPointer(target).storeBytes(of: value ? Word.true : Word.fals, as: UInt32.self)
        target[4] = 0x65
        return value ? 4 : 5
    }

    /// Text known to be short: an interval, a UUID.
    static func write(_ text: String, _ target: UnsafeMutablePointer<UInt8>) -> Int {
        var count = 0
        for byte in text.utf8.prefix(bytesMax - 2) {
            target[count] = byte
            count += 1
        }
        return count
    }

    /// Coefficients of up to 64 bits without the division of 128.
    @inline(__always)
    static func write(_ value: Decimal, _ target: UnsafeMutablePointer<UInt8>) -> Int {
        guard let coefficient = Int64(exactly: value.coefficient), value.scale <= 18 else { return value.write(into: target) }
        let scale = Int(value.scale)
        if scale == 0 { return writeInteger(coefficient, target) }
        var at = 0
        if coefficient < 0 {
            target[0] = Ascii.minus
            at = 1
        }
        let (whole, fraction) = coefficient.magnitude.quotientAndRemainder(dividingBy: powersOfTen[scale])
        at += writeInteger(Int64(bitPattern: whole), target + at)
        target[at] = Ascii.point
        writeDecimal(fraction, digits: scale, to: target + at + 1)
        return at + 1 + scale
    }
}

/// Decimal digits of an integer; at most 20 bytes.
@inline(__always)
func writeInteger(_ value: Int64, _ target: UnsafeMutablePointer<UInt8>) -> Int {
    let isNegative = value < 0
    target[0] = Ascii.minus
    let at = target + (isNegative ? 1 : 0)
    let size = value.magnitude
    let digits = decimalDigitCount(size)
    writeDecimal(size, digits: digits, to: at)
    return digits &+ (isNegative ? 1 : 0)
}

/// Timestamps as text; neighbours mostly share the day, whose ten bytes are kept.
struct WrittenDay {
    private var day = Int64.max
    private var head: UInt64 = 0
    private var tail: UInt16 = 0

    /// `2026-01-01T00:00:00.123`, with six digits where microseconds need them, and `Z` if `isUTC`.
    @inline(__always)
    mutating func write(
        _ micros: Int64, separator: UInt8, isUTC: Bool, _ target: UnsafeMutablePointer<UInt8>
    ) -> Int {
        let (day, time) = Calendar.floorDivide(micros, Calendar.microsPerDay)
        if day != self.day, !take(day) {
            return isUTC ? Timestamps.writeUTC(micros, into: target) : Timestamps.write(micros, into: target)
        }
        let raw = UnsafeMutableRawPointer(target)
        raw.storeBytes(of: head, as: UInt64.self)
        raw.storeBytes(of: tail, toByteOffset: 8, as: UInt16.self)
        target[10] = separator
        let time64 = UInt64(bitPattern: time)
        let seconds = time64 / 1_000_000
        let fraction = time64 &- seconds &* 1_000_000
        let minutes = seconds / 60
        let hours = minutes / 60
        writePair(hours, target + 11)
        target[13] = Ascii.colon
        writePair(minutes &- hours &* 60, target + 14)
        target[16] = Ascii.colon
        writePair(seconds &- minutes &* 60, target + 17)
        target[19] = Ascii.point
        let millis = fraction / 1000
        writePair(millis / 10, target + 20)
        target[22] = UInt8(truncatingIfNeeded: millis % 10) &+ Ascii.zero
        var count = 23
        if fraction != millis &* 1000 {
            let rest = fraction &- millis &* 1000
            writePair(rest / 10, target + 23)
            target[25] = UInt8(truncatingIfNeeded: rest % 10) &+ Ascii.zero
            count = 26
        }
        target[count] = 0x5A
        return isUTC ? count &+ 1 : count
    }

    /// Keeps the text of a day of years 1 to 9999.
    @inline(never)
    private mutating func take(_ day: Int64) -> Bool {
        guard let days = Int32(exactly: day), days >= -719_162, days <= 2_932_896 else { return false }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Timestamps.textBytesMax) { text in
            let count = Timestamps.writeDate(days, into: text.baseAddress!)
            guard count == 10 else { return false }
            head = load64(text.baseAddress!)
            tail = UnsafeRawPointer(text.baseAddress! + 8).loadUnaligned(as: UInt16.self)
            self.day = day
            return true
        }
    }
}

@inline(__always)
private func writePair(_ value: UInt64, _ target: UnsafeMutablePointer<UInt8>) {
    // tens = value / 10 for value < 100.
    let tens = (value &* 103) &>> 10
    let pair = (tens &+ 0x30) | ((value &- tens &* 10 &+ 0x30) &<< 8)
    UnsafeMutableRawPointer(target).storeBytes(of: UInt16(truncatingIfNeeded: pair), as: UInt16.self)
}
