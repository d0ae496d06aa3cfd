/// Functions of points and spans of time.
enum DatesAndTimes {
    static func evaluate(
        _ function: ScalarFunction, _ arguments: [Value], _ context: EvaluationContext
    ) throws(SQLError) -> Value {
        switch function {
        case .dateTrunc: return try truncate(arguments, context)
        case .datePart, .extract: return try TimeFields.evaluate(function, arguments, context)
        case .dateBin: return try bin(arguments)
        case .age: return try age(arguments, context)
        case .toTimestamp: return try fromEpoch(arguments)
        case .toTimestampFormat:
            let (text, format) = try texts(function, arguments)
            let local = try TimeFormat.parse(text, format)
            guard let instant = context.zone.instant(local: local) else { throw Timestamps.overflow }
            return .timestamptz(instant)
        case .toDate:
            let (text, format) = try texts(function, arguments)
            return .date(Value.day(of: try TimeFormat.parse(text, format)))
        case .toChar:
            guard arguments.count == 2, case .text(let format) = arguments[1] else { break }
            return try TimeFormat.write(arguments[0], format, context)
        case .makeDate, .makeTime, .makeTimestamp, .makeTimestamptz, .makeInterval:
            return try make(function, arguments, context)
        case .timezone: return try moveZone(arguments, context)
        case .justifyDays, .justifyHours, .justifyInterval:
            guard case .interval(let span) = arguments.first else { break }
            return .interval(
                function == .justifyDays
                    ? try span.justifiedDays() : function == .justifyHours ? try span.justifiedHours() : try span.justified())
        case .isFinite:
            switch arguments.first {
            case .date(let days): return .boolean(days != .max && days != .min)
            case .timestamp(let micros), .timestamptz(let micros): return .boolean(micros != .max && micros != .min)
            case .interval: return .boolean(true)
            default: break
            }
        case .overlaps: return try overlap(arguments, context)
        default: break
        }
        throw Evaluation.wrongArguments(function, arguments)
    }

    private static func texts(_ function: ScalarFunction, _ arguments: [Value]) throws(SQLError) -> (String, String) {
        guard arguments.count == 2, case .text(let first) = arguments[0], case .text(let second) = arguments[1] else {
            throw Evaluation.wrongArguments(function, arguments)
        }
        return (first, second)
    }

    // MARK: - date_trunc

    private static func truncate(_ arguments: [Value], _ context: EvaluationContext) throws(SQLError) -> Value {
        guard arguments.count >= 2, case .text(let name) = arguments[0] else {
            throw Evaluation.wrongArguments(.dateTrunc, arguments)
        }
        switch arguments[1] {
        case .timestamp(.max), .timestamp(.min), .timestamptz(.max), .timestamptz(.min): return arguments[1]
        case .timestamp(let micros):
            return .timestamp(try truncate(micros, try unit(name, of: .timestamp)))
        case .timestamptz(let micros):
            var zone = context.zone
            if arguments.count == 3, case .text(let zoneName) = arguments[2] { zone = try TimeFields.zone(zoneName, context) }
            let unit = try unit(name, of: .timestamptz)
            guard let local = zone.local(instant: micros) else { throw Timestamps.overflow }
            let truncated = try truncate(local, unit)
            // Below a day the offset stays that of the moment; a day's beginning has its own.
            let instant = unit < .day ? micros - (local - truncated) : zone.instant(local: truncated)
            guard let instant else { throw Timestamps.overflow }
            return .timestamptz(instant)
        case .interval(let span): return .interval(try truncate(span, try unit(name, of: .interval)))
        default: throw Evaluation.wrongArguments(.dateTrunc, arguments)
        }
    }

    private static func unit(_ name: String, of type: DataType) throws(SQLError) -> TimeFields.Unit {
        guard let field = TimeFields.Field(name) else { throw TimeFields.unknown(name, type) }
        switch field {
        case .unit: break
        case .zone, .zoneHour, .zoneMinute: throw TimeFields.unsupported(name, type)
        case .epoch, .julian, .dayOfWeek, .isoDayOfWeek, .dayOfYear, .isoYear: throw TimeFields.unknown(name, type)
        }
        guard case .unit(let unit) = field else { throw TimeFields.unknown(name, type) }
        if type == .interval, unit == .week {
            throw SQLError(
                .featureNotSupported, "unit \"\(Strings.lowered(name))\" not supported for type interval",
                detail: "Months usually have fractional weeks.")
        }
        return unit
    }

    /// The beginning of the unit in which a local time lies.
    package static func truncate(_ local: Int64, _ unit: TimeFields.Unit) throws(SQLError) -> Int64 {
        if local == .max || local == .min { return local }
        let (days, _) = Calendar.floorDivide(local, Calendar.microsPerDay)
        func down(to micros: Int64) -> Int64 { local - Calendar.floorDivide(local, micros).remainder }
        var day = Calendar.day(Int(days))
        switch unit {
        case .microsecond: return local
        case .millisecond: return down(to: 1000)
        case .second: return down(to: 1_000_000)
        case .minute: return down(to: 60_000_000)
        case .hour: return down(to: Calendar.microsPerHour)
        case .day: return down(to: Calendar.microsPerDay)
        case .week:
            // Day 0 was a Thursday; weeks begin on Monday.
            return (days - Calendar.floorDivide(days + 3, 7).remainder) * Calendar.microsPerDay
        case .month: break
        case .quarter: day.month = (day.month - 1) / 3 * 3 + 1
        case .year: day.month = 1
        case .decade: day = Calendar.Day(year: TimeFields.decade(day.year) * 10, month: 1, day: 1)
        case .century: day = Calendar.Day(year: firstYear(day.year, of: 100), month: 1, day: 1)
        case .millennium: day = Calendar.Day(year: firstYear(day.year, of: 1000), month: 1, day: 1)
        }
        let start = Int64(Calendar.days(year: day.year, month: day.month, day: 1))
        let (micros, overflows) = start.multipliedReportingOverflow(by: Calendar.microsPerDay)
        guard !overflows, micros >= Calendar.timestampMin else { throw Timestamps.overflow }
        return micros
    }

    /// 2001 begins a century and a millennium.
    private static func firstYear(_ year: Int, of span: Int) -> Int {
        year > 0 ? (year + span - 1) / span * span - (span - 1) : -((span - 1 - (year - 1)) / span) * span + 1
    }

    private static func truncate(_ span: Interval, _ unit: TimeFields.Unit) throws(SQLError) -> Interval {
        func months(_ step: Int32) -> Interval { Interval(months: span.months / step * step) }
        func micros(_ step: Int64) -> Interval {
            Interval(months: span.months, days: span.days, micros: span.micros / step * step)
        }
        switch unit {
        case .microsecond: return span
        case .millisecond: return micros(1000)
        case .second: return micros(1_000_000)
        case .minute: return micros(60_000_000)
        case .hour: return micros(Calendar.microsPerHour)
        case .day: return Interval(months: span.months, days: span.days)
        case .week: throw TimeFields.unsupported("week", .interval)
        case .month: return months(1)
        case .quarter: return months(3)
        case .year: return months(12)
        case .decade: return months(120)
        case .century: return months(1200)
        case .millennium: return months(12_000)
        }
    }

    // MARK: - date_bin, age

    private static func bin(_ arguments: [Value]) throws(SQLError) -> Value {
        guard arguments.count == 3, case .interval(let stride) = arguments[0] else {
            throw Evaluation.wrongArguments(.dateBin, arguments)
        }
        switch (arguments[1], arguments[2]) {
        case (.timestamp(let micros), .timestamp(let origin)): return .timestamp(try bin(micros, stride, origin))
        case (.timestamptz(let micros), .timestamptz(let origin)): return .timestamptz(try bin(micros, stride, origin))
        default: throw Evaluation.wrongArguments(.dateBin, arguments)
        }
    }

    private static func bin(_ micros: Int64, _ stride: Interval, _ origin: Int64) throws(SQLError) -> Int64 {
        if micros == .max || micros == .min { return micros }
        if origin == .max || origin == .min { throw SQLError(.datetimeFieldOverflow, "origin out of range") }
        if stride.months != 0 {
            throw SQLError(
                .featureNotSupported, "timestamps cannot be binned into intervals containing months or years")
        }
        let (days, overflows) = Int64(stride.days).multipliedReportingOverflow(by: Calendar.microsPerDay)
        let (width, overflowsToo) = days.addingReportingOverflow(stride.micros)
        guard !overflows, !overflowsToo else { throw Interval.overflow }
        guard width > 0 else { throw SQLError(.datetimeFieldOverflow, "stride must be greater than zero") }
        let (distance, overflowsThree) = micros.subtractingReportingOverflow(origin)
        guard !overflowsThree else { throw Interval.overflow }
        let (start, overflowsFour) = micros.subtractingReportingOverflow(Calendar.floorDivide(distance, width).remainder)
        guard !overflowsFour, start >= Calendar.timestampMin else { throw Timestamps.overflow }
        return start
    }

    /// Years, months, days and time between two local times, counted as people do: borrowing the length of the month
    /// before, from the earlier of the two.
    private static func age(_ arguments: [Value], _ context: EvaluationContext) throws(SQLError) -> Value {
        var locals: [Int64] = []
        for argument in arguments {
            switch argument {
            case .timestamp(let micros): locals.append(micros)
            case .timestamptz(let micros):
                guard let local = context.zone.local(instant: micros) else { throw Timestamps.overflow }
                locals.append(local)
            default: throw Evaluation.wrongArguments(.age, arguments)
            }
        }
        guard locals.count == 2 else { throw Evaluation.wrongArguments(.age, arguments) }
        if locals.contains(where: { $0 == .max || $0 == .min }) { throw Interval.overflow }
        let isNegative = locals[0] < locals[1]
        let later = TimeFields.Parts(local: max(locals[0], locals[1]))
        let earlier = TimeFields.Parts(local: min(locals[0], locals[1]))
        var micros = later.time - earlier.time
        var days = later.day.day - earlier.day.day
        var months = later.day.month - earlier.day.month
        var years = later.day.year - earlier.day.year
        if micros < 0 { (micros, days) = (micros + Calendar.microsPerDay, days - 1) }
        while days < 0 {
            // PostgreSQL borrows from the month of its second argument, or of the first where that is earlier.
            days += Calendar.daysInMonth(earlier.day.month, year: earlier.day.year)
            months -= 1
        }
        while months < 0 { (months, years) = (months + 12, years - 1) }
        guard let total = Int32(exactly: years * 12 + months) else { throw Interval.overflow }
        let span = Interval(months: total, days: Int32(days), micros: micros)
        return .interval(isNegative ? try span.negated() : span)
    }

    // MARK: - Making

    private static func fromEpoch(_ arguments: [Value]) throws(SQLError) -> Value {
        guard case .double(let seconds) = arguments.first else { throw Evaluation.wrongArguments(.toTimestamp, arguments) }
        if seconds.isNaN { throw SQLError(.datetimeFieldOverflow, "timestamp cannot be NaN") }
        if seconds.isInfinite { return .timestamptz(seconds > 0 ? .max : .min) }
        // Relative to 2000 as PostgreSQL counts, so that both round alike.
        let micros = ((seconds - 946_684_800) * 1_000_000).rounded(.toNearestOrEven)
        guard let shifted = Int64(exactly: micros), case (let result, false) = shifted.addingReportingOverflow(946_684_800_000_000),
            result >= Calendar.timestampMin, result != .max
        else {
            throw SQLError(
                .datetimeFieldOverflow, "timestamp out of range: \"\(FloatText.significant(seconds, digits: 6))\"")
        }
        return .timestamptz(result)
    }

    private static func make(
        _ function: ScalarFunction, _ arguments: [Value], _ context: EvaluationContext
    ) throws(SQLError) -> Value {
        var numbers: [Int] = []
        var seconds = 0.0
        var zone = context.zone
        for argument in arguments {
            switch argument {
            case .integer(let number): numbers.append(Int(number))
            case .double(let number): seconds = number
            case .text(let name): zone = try TimeFields.zone(name, context)
            default: throw Evaluation.wrongArguments(function, arguments)
            }
        }
        switch function {
        case .makeDate where numbers.count == 3: return .date(Int32(try date(numbers)))
        case .makeTime where numbers.count == 2: return .time(try time(numbers[...], seconds))
        case .makeTimestamp where numbers.count == 5, .makeTimestamptz where numbers.count == 5:
            let day = Int64(try date(Array(numbers[..<3])))
            let clock = try time(numbers[3...], seconds)
            let (midnight, overflows) = day.multipliedReportingOverflow(by: Calendar.microsPerDay)
            let (local, overflowsToo) = midnight.addingReportingOverflow(clock)
            guard !overflows, !overflowsToo, local >= Calendar.timestampMin, local != .max else { throw Timestamps.overflow }
            if function == .makeTimestamp { return .timestamp(local) }
            guard let instant = zone.instant(local: local) else { throw Timestamps.overflow }
            return .timestamptz(instant)
        case .makeInterval: return .interval(try interval(numbers, seconds))
        default: throw Evaluation.wrongArguments(function, arguments)
        }
    }

    private static func date(_ numbers: [Int]) throws(SQLError) -> Int {
        var year = numbers[0]
        let (month, day) = (numbers[1], numbers[2])
        func padded(_ number: Int) -> String { number >= 0 && number < 10 ? "0\(number)" : "\(number)" }
        let error = SQLError(
            .datetimeFieldOverflow, "date field value out of range: \(numbers[0])-\(padded(month))-\(padded(day))")
        // Negative years are BC; there is no year 0.
        if year < 0 { year += 1 } else if year == 0 { throw error }
        guard month >= 1, month <= 12, day >= 1, day <= Calendar.daysInMonth(month, year: year) else { throw error }
        let days = Calendar.days(year: year, month: month, day: day)
        guard days >= Int(Calendar.dateMin), days <= Int(Calendar.dateMax) else {
            throw SQLError(.datetimeFieldOverflow, "date out of range: \(numbers[0])-\(padded(month))-\(padded(day))")
        }
        return days
    }

    private static func time(_ numbers: ArraySlice<Int>, _ seconds: Double) throws(SQLError) -> Int64 {
        let (hour, minute) = (numbers[numbers.startIndex], numbers[numbers.startIndex + 1])
        let isRoughlyValid = hour >= 0 && hour <= 24 && minute >= 0 && minute < 60 && seconds >= 0 && seconds <= 60
        let micros = isRoughlyValid ? Int64((seconds * 1_000_000).rounded(.toNearestOrEven)) : 0
        let total = isRoughlyValid ? Int64(hour * 60 + minute) * 60_000_000 + micros : 0
        guard isRoughlyValid, total <= Calendar.microsPerDay else {
            func padded(_ text: String) -> String { text.utf8.count < 2 ? "0" + text : text }
            throw SQLError(
                .datetimeFieldOverflow,
                "time field value out of range: \(hour):\(padded(String(minute))):\(padded(FloatText.significant(seconds, digits: 6)))")
        }
        return total
    }

    /// years, months, weeks, days, hours, minutes; as many as are given.
    private static func interval(_ numbers: [Int], _ seconds: Double) throws(SQLError) -> Interval {
        let parts = numbers + Array(repeating: 0, count: max(0, 6 - numbers.count))
        let months = parts[0] * 12 + parts[1]
        let days = parts[2] * 7 + parts[3]
        let fraction = (seconds * 1_000_000).rounded(.toNearestOrEven)
        let clock = Int64(parts[4]) * Calendar.microsPerHour
        guard seconds.isFinite, let wholeMonths = Int32(exactly: months), let wholeDays = Int32(exactly: days),
            let extra = Int64(exactly: fraction),
            case (let partial, false) = clock.addingReportingOverflow(Int64(parts[5]) * Calendar.microsPerMinute),
            case (let micros, false) = partial.addingReportingOverflow(extra)
        else { throw Interval.overflow }
        return Interval(months: wholeMonths, days: wholeDays, micros: micros)
    }

    // MARK: - AT TIME ZONE, OVERLAPS

    private static func moveZone(_ arguments: [Value], _ context: EvaluationContext) throws(SQLError) -> Value {
        guard arguments.count == 2 else { throw Evaluation.wrongArguments(.timezone, arguments) }
        switch arguments[1] {
        case .timestamp(let micros) where micros == .max || micros == .min: return .timestamptz(micros)
        case .timestamptz(let micros) where micros == .max || micros == .min: return .timestamp(micros)
        default: break
        }
        let zone: TimeZone
        switch arguments[0] {
        case .text(let name): zone = try TimeFields.zone(name, context)
        case .interval(let span):
            guard span.months == 0, span.days == 0 else {
                throw SQLError(
                    .invalidParameterValue, "interval time zone \"\(span.text)\" must not include months or days")
            }
            let seconds = span.micros / 1_000_000
            guard seconds.magnitude < 168 * 3600 else { throw Timestamps.overflow }
            zone = .fixed(seconds: Int32(seconds))
        default: throw Evaluation.wrongArguments(.timezone, arguments)
        }
        switch arguments[1] {
        case .timestamp(let local):
            guard let instant = zone.instant(local: local) else { throw Timestamps.overflow }
            return .timestamptz(instant)
        case .timestamptz(let instant):
            guard let local = zone.local(instant: instant) else { throw Timestamps.overflow }
            return .timestamp(local)
        default: throw Evaluation.wrongArguments(.timezone, arguments)
        }
    }

    /// SQL's OVERLAPS on half-open spans, each given by two ends in any order or by an end and a length; a NULL end
    /// makes the answer NULL unless the other ends decide.
    private static func overlap(_ arguments: [Value], _ context: EvaluationContext) throws(SQLError) -> Value {
        guard arguments.count == 4 else { throw Evaluation.wrongArguments(.overlaps, arguments) }
        func end(_ start: Value, _ other: Value) throws(SQLError) -> Value {
            guard case .interval = other else { return other }
            return start.isNull ? .null : try Arithmetic.evaluate(.add, [start, other], context)
        }
        func ordered(_ a: Value, _ b: Value) -> (Value, Value) {
            // The known end comes first; two NULLs stay.
            if a.isNull { return (b, .null) }
            return b.isNull || Value.compare(a, b) <= 0 ? (a, b) : (b, a)
        }
        let (start1, end1) = ordered(arguments[0], try end(arguments[0], arguments[1]))
        let (start2, end2) = ordered(arguments[2], try end(arguments[2], arguments[3]))
        if start1.isNull || start2.isNull { return .null }
        let order = Value.compare(start1, start2)
        if order == 0 { return end1.isNull || end2.isNull ? .null : .boolean(true) }
        let (firstEnd, secondStart, secondEnd) = order < 0 ? (end1, start2, end2) : (end2, start1, end1)
        if firstEnd.isNull { return .null }
        if Value.compare(secondStart, firstEnd) < 0 { return .boolean(true) }
        return secondEnd.isNull ? .null : .boolean(false)
    }
}
