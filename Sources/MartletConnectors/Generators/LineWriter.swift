internal import MartletCore

/// Writes one JSON line into memory that is known to be large enough (`lineBytesMax`), remembering where the fields are
/// that damage can be done to.
///
/// Unsafe by contract: whoever writes a line keeps it below `lineBytesMax`; the generators' fields all have a length that
/// is bounded by their tables, and the tests measure the longest.
struct LineWriter {
    /// The longest line, with its newline; room for the damage included.
    static let lineBytesMax = 1024

    let start: UnsafeMutablePointer<UInt8>
    var end: UnsafeMutablePointer<UInt8>
    /// The event time's value with its quotes.
    private(set) var time: (start: Int, end: Int) = (0, 0)
    /// Some number's digits.
    private(set) var number: (start: Int, end: Int) = (0, 0)
    /// A byte within some string.
    private(set) var text = 0

    init(_ start: UnsafeMutablePointer<UInt8>) {
        self.start = start
        end = start
    }

    var count: Int { end - start }

    /// Characters that mean themselves in JSON.
    @inline(__always) mutating func literal(_ text: StaticString) {
        let size = text.utf8CodeUnitCount
        UnsafeMutableRawPointer(end).copyMemory(from: text.utf8Start, byteCount: size)
        end += size
    }

    @inline(__always) mutating func byte(_ value: UInt8) {
        end.pointee = value
        end += 1
    }

    @inline(__always) mutating func decimal(_ value: UInt64) {
        let digits = decimalDigitCount(value)
        writeDecimal(value, digits: digits, to: end)
        end += digits
    }

    @inline(__always) mutating func decimal(_ value: UInt64, width: Int) {
        writeDecimal(value, digits: width, to: end)
        end += width
    }

    /// A number of hundredths, as `12.34`.
    @inline(__always) mutating func hundredths(_ value: UInt64) {
        decimal(value / 100)
        byte(UInt8(ascii: "."))
        decimal(value % 100, width: 2)
    }

    /// `value` lower-case letters, eight per random number: each byte times 26, of which the upper byte is 0 … 25.
    @inline(__always) mutating func letters(_ count: Int, _ random: inout SplitMix64) {
        var written = 0
        while written < count {
            let bits = random.next()
            let even = ((bits & 0x00FF_00FF_00FF_00FF) &* 26) &>> 8 & 0x00FF_00FF_00FF_00FF
            let odd = ((bits &>> 8 & 0x00FF_00FF_00FF_00FF) &* 26) & 0xFF00_FF00_FF00_FF00
            let letters = (even | odd) &+ 0x6161_6161_6161_6161
            // May write up to 7 bytes past `count`, which the next field overwrites.
            UnsafeMutableRawPointer(end + written).storeBytes(of: letters, as: UInt64.self)
            written &+= 8
        }
        end += count
    }

    /// RFC 3339, UTC, milliseconds, in quotes. From 1970 to the year 9999.
    @inline(__always) mutating func timestamp(_ milliseconds: Int64) {
        let value = UInt64(bitPattern: max(milliseconds, 0))
        let days = value / 86_400_000
        let ofDay = value &- days &* 86_400_000
        // Days to a date in the proleptic Gregorian calendar, counting years from March (Hinnant, "chrono-compatible
        // low-level date algorithms"); days since 0000-03-01 are positive here.
        let shifted = days &+ 719_468
        let era = shifted / 146_097
        let ofEra = shifted &- era &* 146_097
        let yearOfEra = (ofEra &- ofEra / 1460 &+ ofEra / 36_524 &- ofEra / 146_096) / 365
        let ofYear = ofEra &- (365 &* yearOfEra &+ yearOfEra / 4 &- yearOfEra / 100)
        let monthFromMarch = (5 &* ofYear &+ 2) / 153
        let day = ofYear &- (153 &* monthFromMarch &+ 2) / 5 &+ 1
        let month = monthFromMarch < 10 ? monthFromMarch &+ 3 : monthFromMarch &- 9
        let year = yearOfEra &+ era &* 400 &+ (month <= 2 ? 1 : 0)

        let seconds = ofDay / 1000
        let minutes = seconds / 60
        let hours = minutes / 60
        let at = end
        literal("\"0000-00-00T00:00:00.000Z\"")
        writeDecimal(year, digits: 4, to: at + 1)
        writeDecimal(month, digits: 2, to: at + 6)
        writeDecimal(day, digits: 2, to: at + 9)
        writeDecimal(hours, digits: 2, to: at + 12)
        writeDecimal(minutes &- hours &* 60, digits: 2, to: at + 15)
        writeDecimal(seconds &- minutes &* 60, digits: 2, to: at + 18)
        writeDecimal(ofDay &- seconds &* 1000, digits: 3, to: at + 21)
    }

    /// The event time, as `timestamp`.
    @inline(__always) mutating func eventTime(_ milliseconds: Int64) {
        let from = count
        timestamp(milliseconds)
        time = (from, count)
    }

    /// A number to which damage may be done.
    @inline(__always) mutating func markNumber(from: Int) { number = (from, count) }

    /// The byte just written belongs to a string.
    @inline(__always) mutating func markText() { text = count &- 1 }

    /// Puts `replacement` in the place of the bytes `from ..< to`.
    mutating func replace(_ from: Int, _ to: Int, _ replacement: StaticString) {
        let tail = count &- to
        let size = replacement.utf8CodeUnitCount
        // Overlapping: `update(from:count:)` moves in the right direction.
        (start + from + size).update(from: start + to, count: tail)
        UnsafeMutableRawPointer(start + from).copyMemory(from: replacement.utf8Start, byteCount: size)
        end = start + from + size + tail
    }
}

/// The ways in which a line is made unreadable, each as it happens in real feeds.
package enum Damage: String, Sendable, CaseIterable {
    /// The line ends somewhere in its middle.
    case truncated
    /// A text stands where a number belongs.
    case wrongType
    /// A byte that UTF-8 does not know, within a string.
    case invalidUTF8
    /// The event time is a text that is no time.
    case badTimestamp
    /// A number outside what its type holds.
    case outOfRange
    /// An answer of something else altogether.
    case notJSON
    /// The event time is null: the row has no place in time.
    case missingTime
}

extension LineWriter {
    /// Damages the line, whose newline is not written yet.
    mutating func damage(_ damage: Damage, _ random: inout SplitMix64) {
        switch damage {
        case .truncated: end = start + count / 4 + random.below(count / 2)
        case .wrongType: replace(number.start, number.end, "\"n/a\"")
        case .invalidUTF8: start[text] = 0xFF
        case .badTimestamp: replace(time.start, time.end, "\"yesterday\"")
        case .outOfRange: replace(number.start, number.end, "1e999")
        case .notJSON: replace(0, count, "503 Service Unavailable")
        case .missingTime: replace(time.start, time.end, "null")
        }
    }
}
