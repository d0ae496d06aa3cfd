extension Interval {
    static let overflow = SQLError(.datetimeFieldOverflow, "interval out of range")

    package func adding(_ other: Interval) throws(SQLError) -> Interval {
        let (months, overflows) = months.addingReportingOverflow(other.months)
        let (days, overflowsToo) = days.addingReportingOverflow(other.days)
        let (micros, overflowsThree) = micros.addingReportingOverflow(other.micros)
        guard !overflows, !overflowsToo, !overflowsThree else { throw Interval.overflow }
        return Interval(months: months, days: days, micros: micros)
    }

    package func negated() throws(SQLError) -> Interval {
        guard months != .min, days != .min, micros != .min else { throw Interval.overflow }
        return Interval(months: -months, days: -days, micros: -micros)
    }

    package func subtracting(_ other: Interval) throws(SQLError) -> Interval {
        let (months, overflows) = months.subtractingReportingOverflow(other.months)
        let (days, overflowsToo) = days.subtractingReportingOverflow(other.days)
        let (micros, overflowsThree) = micros.subtractingReportingOverflow(other.micros)
        guard !overflows, !overflowsToo, !overflowsThree else { throw Interval.overflow }
        return Interval(months: months, days: days, micros: micros)
    }

    /// Fractions of months become days (30 a month), fractions of days become time.
    package func multiplied(by factor: Double) throws(SQLError) -> Interval {
        try scaled { $0 * factor }
    }

    package func divided(by divisor: Double) throws(SQLError) -> Interval {
        if divisor == 0 { throw .divisionByZero }
        return try scaled { $0 / divisor }
    }

    private func scaled(_ scale: (Double) -> Double) throws(SQLError) -> Interval {
        // Rounded to microseconds as PostgreSQL's TSROUND, against noise in the fractions.
        func rounded(_ value: Double) -> Double { (value * 1_000_000).rounded(.toNearestOrEven) / 1_000_000 }
        let exactMonths = scale(Double(months))
        let exactDays = scale(Double(days))
        guard let wholeMonths = Int32(exactly: exactMonths.rounded(.towardZero)),
            var wholeDays = Int32(exactly: exactDays.rounded(.towardZero))
        else { throw Interval.overflow }
        let restDays = rounded((exactMonths - Double(wholeMonths)) * 30)
        var seconds = rounded(
            (exactDays - Double(wholeDays) + restDays - restDays.rounded(.towardZero)) * 86_400)
        if seconds.magnitude >= 86_400 {
            let extra = (seconds / 86_400).rounded(.towardZero)
            wholeDays = wholeDays &+ Int32(extra)
            seconds -= extra * 86_400
        }
        let (days, overflows) = wholeDays.addingReportingOverflow(Int32(restDays))
        let time = (scale(Double(micros)) + seconds * 1_000_000).rounded(.toNearestOrEven)
        guard !overflows, let micros = Int64(exactly: time) else { throw Interval.overflow }
        return Interval(months: wholeMonths, days: days, micros: micros)
    }

    /// 24 hours become a day.
    package func justifiedHours() throws(SQLError) -> Interval {
        let (extra, rest) = micros.quotientAndRemainder(dividingBy: Calendar.microsPerDay)
        guard let extraDays = Int32(exactly: extra), case (var days, false) = days.addingReportingOverflow(extraDays) else {
            throw Interval.overflow
        }
        var micros = rest
        if days > 0, micros < 0 {
            (days, micros) = (days - 1, micros + Calendar.microsPerDay)
        } else if days < 0, micros > 0 {
            (days, micros) = (days + 1, micros - Calendar.microsPerDay)
        }
        return Interval(months: months, days: days, micros: micros)
    }

    /// 30 days become a month.
    package func justifiedDays() throws(SQLError) -> Interval {
        guard case (var months, false) = months.addingReportingOverflow(days / 30) else { throw Interval.overflow }
        var days = days % 30
        if months > 0, days < 0 {
            (months, days) = (months - 1, days + 30)
        } else if months < 0, days > 0 {
            (months, days) = (months + 1, days - 30)
        }
        return Interval(months: months, days: days, micros: micros)
    }

    /// Both, with all parts of one sign.
    package func justified() throws(SQLError) -> Interval {
        var months = Int64(months)
        var days = Int64(days)
        var micros = micros
        // Bring days and time to one sign first where that avoids an overflow.
        if (days > 0 && micros > 0) || (days < 0 && micros < 0) {
            months += days / 30
            days %= 30
        }
        days += micros / Calendar.microsPerDay
        micros %= Calendar.microsPerDay
        months += days / 30
        days %= 30
        if months > 0, days < 0 || (days == 0 && micros < 0) {
            (months, days) = (months - 1, days + 30)
        } else if months < 0, days > 0 || (days == 0 && micros > 0) {
            (months, days) = (months + 1, days - 30)
        }
        if days > 0, micros < 0 {
            (days, micros) = (days - 1, micros + Calendar.microsPerDay)
        } else if days < 0, micros > 0 {
            (days, micros) = (days + 1, micros - Calendar.microsPerDay)
        }
        guard let wholeMonths = Int32(exactly: months), let wholeDays = Int32(exactly: days) else { throw Interval.overflow }
        return Interval(months: wholeMonths, days: wholeDays, micros: micros)
    }
}

extension Timestamps {
    static let overflow = SQLError(.datetimeFieldOverflow, "timestamp out of range")

    /// TIMESTAMP + INTERVAL: months first (the day is clamped to the month's length), then days, then time.
    package static func adding(_ interval: Interval, to micros: Int64) throws(SQLError) -> Int64 {
        if micros == .max || micros == .min { return micros }
        var result = micros
        if interval.months != 0 || interval.days != 0 {
            var (days, time) = Calendar.floorDivide(micros, Calendar.microsPerDay)
            if interval.months != 0 {
                let day = Calendar.day(Int(days))
                let total = day.year * 12 + day.month - 1 + Int(interval.months)
                let (year, month) = Calendar.floorDivide(Int64(total), 12)
                let length = Calendar.daysInMonth(Int(month) + 1, year: Int(year))
                days = Int64(Calendar.days(year: Int(year), month: Int(month) + 1, day: min(day.day, length)))
            }
            days += Int64(interval.days)
            let (midnight, overflows) = days.multipliedReportingOverflow(by: Calendar.microsPerDay)
            let (sum, overflowsToo) = midnight.addingReportingOverflow(time)
            guard !overflows, !overflowsToo else { throw overflow }
            result = sum
            time = 0
        }
        return try checked(result.addingReportingOverflow(interval.micros))
    }

    /// TIMESTAMPTZ + INTERVAL: months and days move the local clock of `zone`, so that a day may have 23 hours.
    package static func adding(_ interval: Interval, to micros: Int64, zone: TimeZone) throws(SQLError) -> Int64 {
        if micros == .max || micros == .min { return micros }
        if interval.months == 0 && interval.days == 0 || zone.isUTC { return try adding(interval, to: micros) }
        guard let local = zone.local(instant: micros) else { throw overflow }
        // Each of the two moves lands on a local time that exists.
        var instant = micros
        if interval.months != 0 {
            guard let moved = zone.instant(local: try adding(Interval(months: interval.months), to: local)) else { throw overflow }
            instant = moved
        }
        if interval.days != 0 {
            guard let from = zone.local(instant: instant),
                let moved = zone.instant(local: try adding(Interval(days: interval.days), to: from))
            else { throw overflow }
            instant = moved
        }
        return try checked(instant.addingReportingOverflow(interval.micros))
    }

    private static func checked(_ sum: (partialValue: Int64, overflow: Bool)) throws(SQLError) -> Int64 {
        guard !sum.overflow, sum.partialValue >= Calendar.timestampMin, sum.partialValue != .max else { throw overflow }
        return sum.partialValue
    }

    /// The difference of two timestamps: days of 24 hours and time.
    package static func subtracting(_ right: Int64, from left: Int64) throws(SQLError) -> Interval {
        guard left != .max, left != .min, right != .max, right != .min else {
            throw SQLError(.datetimeFieldOverflow, "cannot subtract infinite timestamps")
        }
        let (difference, overflows) = left.subtractingReportingOverflow(right)
        guard !overflows else { throw Interval.overflow }
        return try Interval(micros: difference).justifiedHours()
    }
}
