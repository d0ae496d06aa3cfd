/// The proleptic Gregorian calendar as arithmetic on days and microseconds since 1970-01-01.
package enum Calendar {
    package static let microsPerSecond: Int64 = 1_000_000
    package static let microsPerMinute: Int64 = 60_000_000
    package static let microsPerHour: Int64 = 3_600_000_000
    package static let microsPerDay: Int64 = 86_400_000_000

    /// The first timestamp: 4714-11-24 BC, as PostgreSQL's. The last is `Int64.max - 1` (294247-01-10), thirty years
    /// short of PostgreSQL's, which counts from 2000.
    package static let timestampMin: Int64 = -210_866_803_200_000_000
    /// 4714-11-24 BC and 5874897-12-31.
    package static let dateMin: Int32 = -2_440_588
    package static let dateMax: Int32 = 2_145_042_905

    package struct Day: Hashable, Sendable {
        /// Astronomical: 0 is 1 BC.
        package var year: Int
        package var month: Int
        package var day: Int
    }

    /// Days since 1970-01-01 of a date whose month and day are in range. (Howard Hinnant, chrono-compatible low-level
    /// date algorithms: years start in March, eras have 400 years and 146,097 days.)
    @inlinable
    package static func days(year: Int, month: Int, day: Int) -> Int {
        let shifted = month <= 2 ? year &- 1 : year
        let era = (shifted >= 0 ? shifted : shifted &- 399) / 400
        let yearOfEra = shifted &- era &* 400
        let dayOfYear = (153 &* (month > 2 ? month &- 3 : month &+ 9) &+ 2) / 5 &+ day &- 1
        let dayOfEra = yearOfEra &* 365 &+ yearOfEra / 4 &- yearOfEra / 100 &+ dayOfYear
        return era &* 146_097 &+ dayOfEra &- 719_468
    }

    @inlinable
    package static func day(_ days: Int) -> Day {
        let shifted = days &+ 719_468
        let era = (shifted >= 0 ? shifted : shifted &- 146_096) / 146_097
        let dayOfEra = shifted &- era &* 146_097
        let yearOfEra = (dayOfEra &- dayOfEra / 1460 &+ dayOfEra / 36_524 &- dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra &- (365 &* yearOfEra &+ yearOfEra / 4 &- yearOfEra / 100)
        let shiftedMonth = (5 &* dayOfYear &+ 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth &+ 3 : shiftedMonth &- 9
        return Day(
            year: yearOfEra &+ era &* 400 &+ (month <= 2 ? 1 : 0), month: month,
            day: dayOfYear &- (153 &* shiftedMonth &+ 2) / 5 &+ 1)
    }

    @inlinable
    package static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    @inlinable
    package static func daysInMonth(_ month: Int, year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Quotient towards minus infinity and the remainder that is never negative; `divisor` > 0.
    @inlinable
    package static func floorDivide(_ value: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        var (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        if remainder < 0 {
            quotient &-= 1
            remainder &+= divisor
        }
        return (quotient, remainder)
    }
}
