/// Reading and writing of points in time on raw bytes: the hot paths of JSON and CSV.
///
/// The readers know the machine-made ISO forms and answer nil for everything else, also for fields out of range; the
/// caller then asks `DateTimeText`, which knows PostgreSQL's whole input syntax and the error to report.
package enum Timestamps {
    /// Upper bound of what any writer here writes.
    package static let textBytesMax = 40

    /// Reads `2026-01-01T00:00:00.123Z`, `2026-01-01 00:00`, `2026-01-01`, with or without seconds, fraction and
    /// offset (`Z`, `+02`, `+02:00`, `+0200`). Microseconds since 1970-01-01 UTC; UTC where no offset is given.
    ///
    /// With `appliesOffset` false an offset is read and ignored, as PostgreSQL does for TIMESTAMP.
    package static func parse(_ bytes: UnsafeBufferPointer<UInt8>, appliesOffset: Bool = true) -> Int64? {
        let count = bytes.count
        guard count >= 10, let base = bytes.baseAddress, let days = parseDate(base) else { return nil }
        let midnight = Int64(days) &* Calendar.microsPerDay
        if count == 10 { return midnight }
        let mark = base[10]
        guard count >= 16, mark == UInt8(ascii: "T") || mark == UInt8(ascii: " "), base[13] == UInt8(ascii: ":"),
            let hour = twoDigits(base + 11), let minute = twoDigits(base + 14), hour < 24, minute < 60
        else { return nil }
        var micros = (hour &* 60 &+ minute) &* 60_000_000
        var index = 16
        if index < count, base[index] == UInt8(ascii: ":") {
            guard count >= 19, let second = twoDigits(base + 17), second < 60 else { return nil }
            micros &+= second &* 1_000_000
            index = 19
            if index < count, base[index] == UInt8(ascii: ".") {
                index = 20
                var unit: Int64 = 1_000_000
                while index < count {
                    let digit = Int64(base[index] &- 0x30)
                    guard digit < 10 else { break }
                    // A seventh digit needs rounding: not here.
                    if unit == 1 { return nil }
                    unit /= 10
                    micros &+= digit &* unit
                    index &+= 1
                }
                if unit == 1_000_000 { return nil }
            }
        }
        if index == count { return midnight &+ micros }
        guard let offset = parseOffset(base + index, count: count - index) else { return nil }
        return appliesOffset ? midnight &+ micros &- offset &* 1_000_000 : midnight &+ micros
    }

    /// Days since 1970-01-01 of `2026-01-31`; reads exactly ten bytes.
    private static func parseDate(_ base: UnsafePointer<UInt8>) -> Int? {
        let word = UnsafeRawPointer(base).loadUnaligned(as: UInt64.self).littleEndian
        // "0000-00-" xored away leaves digits below ten and zeros for the hyphens.
        let digits = word ^ 0x2D30_302D_3030_3030
        guard (digits | (digits &+ 0x0606_0606_0606_0606)) & 0xF0F0_F0F0_F0F0_F0F0 == 0,
            digits & 0xFF00_00FF_0000_0000 == 0, let day = twoDigits(base + 8)
        else { return nil }
        @inline(__always) func digit(_ index: UInt64) -> Int { Int(truncatingIfNeeded: (digits >> (index &* 8)) & 0xFF) }
        let century: Int = digit(0) &* 10 &+ digit(1)
        let year: Int = century &* 100 &+ digit(2) &* 10 &+ digit(3)
        let month: Int = digit(5) &* 10 &+ digit(6)
        guard year > 0, month >= 1, month <= 12, day >= 1, Int(day) <= Calendar.daysInMonth(month, year: year) else {
            return nil
        }
        return Calendar.days(year: year, month: month, day: Int(day))
    }

    @inline(__always)
    private static func twoDigits(_ base: UnsafePointer<UInt8>) -> Int64? {
        let (tens, ones) = (base[0] &- 0x30, base[1] &- 0x30)
        return tens < 10 && ones < 10 ? Int64(tens &* 10 &+ ones) : nil
    }

    /// Seconds east of UTC.
    private static func parseOffset(_ base: UnsafePointer<UInt8>, count: Int) -> Int64? {
        if count == 1, base[0] == UInt8(ascii: "Z") { return 0 }
        guard count >= 3, base[0] == UInt8(ascii: "+") || base[0] == UInt8(ascii: "-"),
            let hours = twoDigits(base + 1), hours <= 15
        else { return nil }
        var minutes: Int64 = 0
        switch count {
        case 3: break
        case 5:
            guard let read = twoDigits(base + 3) else { return nil }
            minutes = read
        case 6:
            guard base[3] == UInt8(ascii: ":"), let read = twoDigits(base + 4) else { return nil }
            minutes = read
        default: return nil
        }
        guard minutes < 60 else { return nil }
        let seconds = hours &* 3600 &+ minutes &* 60
        return base[0] == UInt8(ascii: "-") ? -seconds : seconds
    }

    // MARK: - Writing

    /// JSON's form of TIMESTAMP, `2026-01-01T00:00:00.123`: three digits of fraction, six where the microseconds need
    /// them. `infinity` and `-infinity` as such. Returns the number of bytes, at most `textBytesMax`.
    package static func write(_ micros: Int64, into target: UnsafeMutablePointer<UInt8>) -> Int {
        if micros == .max || micros == .min { return writeInfinity(isPositive: micros > 0, into: target) }
        let (days, time) = Calendar.floorDivide(micros, Calendar.microsPerDay)
        var count = writeDay(Calendar.day(Int(days)), into: target)
        target[count] = UInt8(ascii: "T")
        count &+= 1
        count &+= writeClock(time / 1_000_000, into: target + count)
        let fraction = time % 1_000_000
        target[count] = UInt8(ascii: ".")
        if fraction % 1000 == 0 {
            writeDigits(fraction / 1000, 3, into: target + count + 1)
            return count &+ 4
        }
        writeDigits(fraction, 6, into: target + count + 1)
        return count &+ 7
    }

    /// JSON's form of TIMESTAMPTZ: RFC 3339 in UTC with `Z`.
    package static func writeUTC(_ micros: Int64, into target: UnsafeMutablePointer<UInt8>) -> Int {
        let count = write(micros, into: target)
        if micros == .max || micros == .min { return count }
        target[count] = UInt8(ascii: "Z")
        return count &+ 1
    }

    /// `2026-01-01`; `infinity` for `Int32.max`.
    package static func writeDate(_ days: Int32, into target: UnsafeMutablePointer<UInt8>) -> Int {
        if days == .max || days == .min { return writeInfinity(isPositive: days > 0, into: target) }
        return writeDay(Calendar.day(Int(days)), into: target)
    }

    /// `00:00:00` with as much fraction as needed, as PostgreSQL shows TIME.
    package static func writeTime(_ micros: Int64, into target: UnsafeMutablePointer<UInt8>) -> Int {
        let time = Swift.max(0, Swift.min(micros, Calendar.microsPerDay))
        let count = writeClock(time / 1_000_000, into: target)
        return count &+ writeFraction(time % 1_000_000, into: target + count)
    }

    /// PostgreSQL's text of a TIMESTAMP (`offset` nil) or of a TIMESTAMPTZ shown at `offset` seconds east of UTC.
    package static func writeSQL(
        _ micros: Int64, offset: Int32?, into target: UnsafeMutablePointer<UInt8>
    ) -> Int {
        if micros == .max || micros == .min { return writeInfinity(isPositive: micros > 0, into: target) }
        let (shifted, overflows) = micros.addingReportingOverflow(Int64(offset ?? 0) &* 1_000_000)
        let local = overflows ? micros : shifted
        let (days, time) = Calendar.floorDivide(local, Calendar.microsPerDay)
        var day = Calendar.day(Int(days))
        let isBeforeChrist = day.year <= 0
        if isBeforeChrist { day.year = 1 - day.year }
        var count = writeDay(day, into: target)
        target[count] = UInt8(ascii: " ")
        count &+= 1
        count &+= writeClock(time / 1_000_000, into: target + count)
        count &+= writeFraction(time % 1_000_000, into: target + count)
        if let offset { count &+= writeOffset(offset, into: target + count) }
        if isBeforeChrist { count &+= writeBC(into: target + count) }
        return count
    }

    /// PostgreSQL's text of a DATE.
    package static func writeSQLDate(_ days: Int32, into target: UnsafeMutablePointer<UInt8>) -> Int {
        if days == .max || days == .min { return writeInfinity(isPositive: days > 0, into: target) }
        var day = Calendar.day(Int(days))
        let isBeforeChrist = day.year <= 0
        if isBeforeChrist { day.year = 1 - day.year }
        let count = writeDay(day, into: target)
        return isBeforeChrist ? count &+ writeBC(into: target + count) : count
    }

    /// `+00`, `+05:30`, `-00:25:21`.
    static func writeOffset(_ offset: Int32, into target: UnsafeMutablePointer<UInt8>) -> Int {
        let seconds = Int64(offset.magnitude)
        target[0] = offset < 0 ? UInt8(ascii: "-") : UInt8(ascii: "+")
        writeDigits(seconds / 3600, 2, into: target + 1)
        guard seconds % 3600 != 0 else { return 3 }
        target[3] = UInt8(ascii: ":")
        writeDigits(seconds / 60 % 60, 2, into: target + 4)
        guard seconds % 60 != 0 else { return 6 }
        target[6] = UInt8(ascii: ":")
        writeDigits(seconds % 60, 2, into: target + 7)
        return 9
    }

    private static func writeBC(into target: UnsafeMutablePointer<UInt8>) -> Int {
        (target[0], target[1], target[2]) = (0x20, 0x42, 0x43)
        return 3
    }

    private static func writeInfinity(isPositive: Bool, into target: UnsafeMutablePointer<UInt8>) -> Int {
        var count = 0
        for byte in (isPositive ? "infinity" : "-infinity").utf8 {
            target[count] = byte
            count += 1
        }
        return count
    }

    /// Year of at least four digits (signed where negative), month, day.
    private static func writeDay(_ day: Calendar.Day, into target: UnsafeMutablePointer<UInt8>) -> Int {
        var count = 0
        var year = day.year
        if year < 0 {
            target[0] = UInt8(ascii: "-")
            count = 1
            year = -year
        }
        if year < 10_000 {
            writeDigits(Int64(year), 4, into: target + count)
            count &+= 4
        } else {
            count &+= FloatText.writeInteger(Int64(year), into: target + count)
        }
        target[count] = UInt8(ascii: "-")
        writeDigits(Int64(day.month), 2, into: target + count + 1)
        target[count &+ 3] = UInt8(ascii: "-")
        writeDigits(Int64(day.day), 2, into: target + count + 4)
        return count &+ 6
    }

    /// `00:00:00` of the seconds since midnight.
    private static func writeClock(_ seconds: Int64, into target: UnsafeMutablePointer<UInt8>) -> Int {
        writeDigits(seconds / 3600, 2, into: target)
        target[2] = UInt8(ascii: ":")
        writeDigits(seconds / 60 % 60, 2, into: target + 3)
        target[5] = UInt8(ascii: ":")
        writeDigits(seconds % 60, 2, into: target + 6)
        return 8
    }

    /// Microseconds behind a point without trailing zeros; nothing for 0.
    static func writeFraction(_ micros: Int64, into target: UnsafeMutablePointer<UInt8>) -> Int {
        if micros == 0 { return 0 }
        target[0] = UInt8(ascii: ".")
        writeDigits(micros, 6, into: target + 1)
        var count = 7
        while target[count &- 1] == 0x30 { count &-= 1 }
        return count
    }

    @inline(__always)
    private static func writeDigits(_ value: Int64, _ count: Int, into target: UnsafeMutablePointer<UInt8>) {
        var rest = UInt64(truncatingIfNeeded: value)
        var index = count &- 1
        while index >= 0 {
            target[index] = 0x30 &+ UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
            index &-= 1
        }
    }
}

extension Timestamps {
    /// The text that one of the writers above makes.
    package static func text(_ write: (UnsafeMutablePointer<UInt8>) -> Int) -> String {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: textBytesMax) { buffer in
            let target = buffer.baseAddress!
            let count = write(target)
            return String(decoding: UnsafeBufferPointer(start: target, count: count), as: UTF8.self)
        }
    }
}
