internal import MartletCore

/// RFC 3339 and PostgreSQL's ISO form of a timestamp, the ways nearly every producer writes them: `2026-01-01`, `T` or
/// a space, `00:00:00`, up to six digits of fraction, and nothing, `Z` or an offset. Everything else takes the slow way
/// through Core.
///
/// Neighbouring records nearly always share the day, so the date part is compared with the last one's bytes.
struct DayCache {
    var head: UInt64 = 0
    var tail: UInt16 = 0
    /// Midnight in microseconds since 1970; the bytes it was read from are above.
    var midnight: Int64 = 0

    /// Midnight of the ten bytes `YYYY-MM-DD` at `p`; nil where they are no date of years 1 to 9999. Reads 16 bytes.
    @inline(__always)
    mutating func midnight(_ p: Bytes) -> Int64? {
        let head = load64(p)
        let tail = UnsafeRawPointer(p + 8).loadUnaligned(as: UInt16.self)
        if head == self.head, tail == self.tail { return midnight }
        return read(p, head: head, tail: tail)
    }

    @inline(never)
    private mutating func read(_ p: Bytes, head: UInt64, tail: UInt16) -> Int64? {
        guard let days = scanDate(p) else { return nil }
        self.head = head
        self.tail = tail
        midnight = Int64(days) &* Calendar.microsPerDay
        return midnight
    }
}

/// Days since 1970 of the ten bytes `YYYY-MM-DD` at `p`, years 1 to 9999.
func scanDate(_ p: Bytes) -> Int32? {
    func number(_ from: Int, _ count: Int) -> Int? {
        var value = 0
        for index in from..<(from + count) {
            guard Ascii.isDigit(p[index]) else { return nil }
            value = value &* 10 &+ Int(p[index] &- Ascii.zero)
        }
        return value
    }
    guard let year = number(0, 4), p[4] == Ascii.minus, let month = number(5, 2), p[7] == Ascii.minus,
        let day = number(8, 2), year > 0, month >= 1, month <= 12, day >= 1,
        day <= Calendar.daysInMonth(month, year: year)
    else { return nil }
    return Int32(truncatingIfNeeded: Calendar.days(year: year, month: month, day: day))
}

/// Microseconds since midnight of `HH:MM:SS[.f…]` at `p`, at most six digits of fraction; moves past it. Reads 8 bytes
/// past the seconds.
@inline(__always)
func scanTime(_ p: inout Bytes) -> Int64? {
    // "00:00:00" taken away leaves digits 0–9 and colons 0.
    let word = load64(p) ^ 0x3030_3A30_303A_3030
    let others = (((word & 0x7F7F_7F7F_7F7F_7F7F) &+ 0x7676_7F76_767F_7676) | word) & 0x8080_8080_8080_8080
    if others != 0 { return nil }
    let pairs = (word &* 10 &+ word &>> 8)
    let hour = Int64(truncatingIfNeeded: pairs & 0xFF)
    let minute = Int64(truncatingIfNeeded: pairs &>> 24 & 0xFF)
    let second = Int64(truncatingIfNeeded: pairs &>> 48 & 0xFF)
    if hour > 23 || minute > 59 || second > 59 { return nil }
    var micros = (hour &* 3600 &+ minute &* 60 &+ second) &* 1_000_000
    var at = p + 8
    if at.pointee == Ascii.point {
        let (digits, count) = leadingDigits(load64(at + 1))
        if count == 0 || count > 6 { return nil }
        let fraction = eightDigits(digits &<< UInt64(64 &- 8 &* count))
        micros = micros &+ Int64(bitPattern: fraction &* powersOfTen[unchecked: 6 &- count])
        at += 1 + count
    }
    p = at
    return micros
}

/// A timestamp that ends in a byte `end`, which is moved past; nil: not of the plain form. `zoned`: an offset is taken
/// off, and without one the time is UTC; else an offset is read and, as PostgreSQL does, ignored.
@inline(__always)
func scanTimestamp(_ p: inout Bytes, end: UInt8, zoned: Bool, days: inout DayCache) -> Int64? {
    guard let midnight = days.midnight(p) else { return nil }
    let between = p[10]
    guard between == 0x54 || between == Ascii.space else { return nil }
    var at = p + 11
    guard let time = scanTime(&at) else { return nil }
    let micros = midnight &+ time
    let next = at.pointee
    if next == 0x5A, at[1] == end {
        p = at + 2
        return micros
    }
    if next == end {
        p = at + 1
        return micros
    }
    guard let offset = scanOffset(&at), at.pointee == end else { return nil }
    p = at + 1
    return zoned ? micros &- offset : micros
}

/// `±HH:MM`, `±HHMM` or `±HH` as microseconds east of UTC.
@inline(never)
private func scanOffset(_ p: inout Bytes) -> Int64? {
    let isWest = p.pointee == Ascii.minus
    guard isWest || p.pointee == Ascii.plus, Ascii.isDigit(p[1]), Ascii.isDigit(p[2]) else { return nil }
    let hours = Int64(p[1] &- Ascii.zero) * 10 + Int64(p[2] &- Ascii.zero)
    var minutes: Int64 = 0
    var at = p + 3
    if at.pointee == Ascii.colon { at += 1 }
    if Ascii.isDigit(at[0]), Ascii.isDigit(at[1]) {
        minutes = Int64(at[0] &- Ascii.zero) * 10 + Int64(at[1] &- Ascii.zero)
        at += 2
    } else if at != p + 3 {
        return nil
    }
    // PostgreSQL's limit is 15:59:59.
    guard hours <= 15, minutes <= 59 else { return nil }
    p = at
    let micros = (hours * 60 + minutes) * Calendar.microsPerMinute
    return isWest ? -micros : micros
}
