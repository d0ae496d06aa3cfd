/// The fields of a point or span of time: what EXTRACT, date_part and date_trunc name.
package enum TimeFields {
    /// Units in ascending length.
    package enum Unit: Int, Comparable, Sendable {
        case microsecond, millisecond, second, minute, hour, day, week, month, quarter, year, decade, century, millennium
        package static func < (left: Unit, right: Unit) -> Bool { left.rawValue < right.rawValue }
    }

    package enum Field: Hashable, Sendable {
        case unit(Unit)
        case epoch, julian, dayOfWeek, isoDayOfWeek, dayOfYear, isoYear
        case zone, zoneHour, zoneMinute

        /// In any case, with the abbreviations of interval input.
        package init?(_ name: String) {
            switch Strings.lowered(name) {
            case "epoch": self = .epoch
            case "julian", "j", "jd": self = .julian
            case "dow": self = .dayOfWeek
            case "isodow": self = .isoDayOfWeek
            case "doy": self = .dayOfYear
            case "isoyear": self = .isoYear
            case "timezone": self = .zone
            case "timezone_hour", "timezone_h": self = .zoneHour
            case "timezone_minute", "timezone_m": self = .zoneMinute
            case "quarter", "qtr": self = .unit(.quarter)
            case let word:
                switch Interval.units[word] {
                case .microsecond: self = .unit(.microsecond)
                case .millisecond: self = .unit(.millisecond)
                case .second: self = .unit(.second)
                case .minute: self = .unit(.minute)
                case .hour: self = .unit(.hour)
                case .day: self = .unit(.day)
                case .week: self = .unit(.week)
                case .month: self = .unit(.month)
                case .quarter: self = .unit(.quarter)
                case .year: self = .unit(.year)
                case .decade: self = .unit(.decade)
                case .century: self = .unit(.century)
                case .millennium: self = .unit(.millennium)
                case nil: return nil
                }
            }
        }
    }

    static func unknown(_ name: String, _ type: DataType) -> SQLError {
        SQLError(
            .invalidParameterValue, "unit \"\(Strings.lowered(name))\" not recognized for type \(type.sqlName)")
    }

    static func unsupported(_ name: String, _ type: DataType) -> SQLError {
        SQLError(.featureNotSupported, "unit \"\(Strings.lowered(name))\" not supported for type \(type.sqlName)")
    }

    static func zone(_ name: String, _ context: EvaluationContext) throws(SQLError) -> TimeZone {
        if let offset = TimeZone.abbreviated(Strings.lowered(name)) { return .fixed(seconds: offset) }
        guard let zone = context.zone(named: name) else {
            throw SQLError(.invalidParameterValue, "time zone \"\(name)\" not recognized")
        }
        return zone
    }

    /// A local time taken apart.
    package struct Parts {
        package let days: Int
        package let day: Calendar.Day
        /// Microseconds since midnight.
        package let time: Int64

        package init(local: Int64) {
            let (days, time) = Calendar.floorDivide(local, Calendar.microsPerDay)
            self.days = Int(days)
            self.day = Calendar.day(Int(days))
            self.time = time
        }

        package var hour: Int { Int(time / Calendar.microsPerHour) }
        package var minute: Int { Int(time / Calendar.microsPerMinute % 60) }
        package var second: Int { Int(time / 1_000_000 % 60) }
        package var micros: Int { Int(time % 1_000_000) }
        package var dayOfYear: Int { days - Calendar.days(year: day.year, month: 1, day: 1) + 1 }
        /// Sunday is 0; day 0 was a Thursday.
        package var dayOfWeek: Int { Int(Calendar.floorDivide(Int64(days) + 4, 7).remainder) }

        /// ISO 8601: the week of a year's first Thursday is its first.
        package var isoWeek: (year: Int, week: Int) {
            let thursday = days - (dayOfWeek + 6) % 7 + 3
            let year = Calendar.day(thursday).year
            return (year, (thursday - Calendar.days(year: year, month: 1, day: 1)) / 7 + 1)
        }
    }

    /// The year as people count it: 1 BC is -1.
    static func shown(_ year: Int) -> Int { year > 0 ? year : year - 1 }
    static func decade(_ year: Int) -> Int { year >= 0 ? year / 10 : -((8 - (year - 1)) / 10) }
    static func century(_ year: Int) -> Int { year > 0 ? (year + 99) / 100 : -((99 - (year - 1)) / 100) }
    static func millennium(_ year: Int) -> Int { year > 0 ? (year + 999) / 1000 : -((999 - (year - 1)) / 1000) }

    // MARK: - extract, date_part

    static func evaluate(
        _ function: ScalarFunction, _ arguments: [Value], _ context: EvaluationContext
    ) throws(SQLError) -> Value {
        guard arguments.count == 2, case .text(let name) = arguments[0] else {
            throw Evaluation.wrongArguments(function, arguments)
        }
        let exact: Decimal?
        switch arguments[1] {
        case .timestamp(let micros): exact = try field(name, local: micros, epoch: micros, .timestamp, offset: nil)
        case .timestamptz(let micros):
            let offset = context.zone.offset(at: micros)
            guard let local = context.zone.local(instant: micros) else { throw Timestamps.overflow }
            exact = try field(name, local: local, epoch: micros, .timestamptz, offset: offset)
        case .date(let days):
            if function == .datePart {
                let micros = try Value.midnight(days)
                exact = try field(name, local: micros, epoch: micros, .timestamp, offset: nil)
            } else {
                exact = try field(name, of: days)
            }
        case .time(let micros): exact = try field(name, ofTime: micros)
        case .interval(let span): exact = try field(name, of: span)
        default: throw Evaluation.wrongArguments(function, arguments)
        }
        guard let exact else { return .null }
        return function == .extract ? .numeric(exact) : .double(exact.double)
    }

    private static func whole(_ number: Int) -> Decimal { Decimal(Int64(number)) }

    private static func micros(_ count: Int64, scale: UInt8) -> Decimal { Decimal(coefficient: Int128(count), scale: scale) }

    /// Nil is NULL: the fields of infinity that do not grow.
    private static func field(
        _ name: String, local: Int64, epoch: Int64, _ type: DataType, offset: Int32?
    ) throws(SQLError) -> Decimal? {
        guard let field = Field(name) else { throw unknown(name, type) }
        if local == .max || local == .min { return infinite(field, isPositive: local > 0) }
        let parts = Parts(local: local)
        switch field {
        case .unit(let unit): return clock(unit, parts.time) ?? calendar(unit, parts)
        case .epoch: return micros(epoch, scale: 6)
        case .julian:
            let fraction = try Decimal(coefficient: Int128(parts.time), scale: 0).divided(by: Decimal(Calendar.microsPerDay))
            return try whole(parts.days + 2_440_588).adding(fraction)
        case .dayOfWeek: return whole(parts.dayOfWeek)
        case .isoDayOfWeek: return whole((parts.dayOfWeek + 6) % 7 + 1)
        case .dayOfYear: return whole(parts.dayOfYear)
        case .isoYear: return whole(shown(parts.isoWeek.year))
        case .zone, .zoneHour, .zoneMinute:
            guard let offset else { throw unsupported(name, type) }
            return whole(Int(field == .zone ? offset : field == .zoneHour ? offset / 3600 : offset / 60 % 60))
        }
    }

    /// Fields below a day, of the microseconds since midnight.
    private static func clock(_ unit: Unit, _ time: Int64) -> Decimal? {
        switch unit {
        case .microsecond: micros(time % Calendar.microsPerMinute, scale: 0)
        case .millisecond: micros(time % Calendar.microsPerMinute, scale: 3)
        case .second: micros(time % Calendar.microsPerMinute, scale: 6)
        case .minute: Decimal(time / Calendar.microsPerMinute % 60)
        case .hour: Decimal(time / Calendar.microsPerHour)
        case .day, .week, .month, .quarter, .year, .decade, .century, .millennium: nil
        }
    }

    private static func calendar(_ unit: Unit, _ parts: Parts) -> Decimal {
        switch unit {
        case .microsecond, .millisecond, .second, .minute, .hour: .zero
        case .day: whole(parts.day.day)
        case .week: whole(parts.isoWeek.week)
        case .month: whole(parts.day.month)
        case .quarter: whole((parts.day.month - 1) / 3 + 1)
        case .year: whole(shown(parts.day.year))
        case .decade: whole(decade(parts.day.year))
        case .century: whole(century(parts.day.year))
        case .millennium: whole(millennium(parts.day.year))
        }
    }

    private static func infinite(_ field: Field, isPositive: Bool) -> Decimal? {
        switch field {
        case .unit(.year), .unit(.decade), .unit(.century), .unit(.millennium), .epoch, .julian, .isoYear:
            return isPositive ? .infinity : .negativeInfinity
        case .unit, .dayOfWeek, .isoDayOfWeek, .dayOfYear, .zone, .zoneHour, .zoneMinute: return nil
        }
    }

    private static func field(_ name: String, of days: Int32) throws(SQLError) -> Decimal? {
        guard let field = Field(name) else { throw unknown(name, .date) }
        switch field {
        case .unit(let unit) where unit < .day: throw unsupported(name, .date)
        case .zone, .zoneHour, .zoneMinute: throw unsupported(name, .date)
        default: break
        }
        if days == .max || days == .min { return infinite(field, isPositive: days > 0) }
        let parts = Parts(local: 0).moved(to: Int(days))
        switch field {
        case .unit(let unit): return calendar(unit, parts)
        case .epoch: return Decimal(Int64(days) * 86_400)
        case .julian: return whole(Int(days) + 2_440_588)
        case .dayOfWeek: return whole(parts.dayOfWeek)
        case .isoDayOfWeek: return whole((parts.dayOfWeek + 6) % 7 + 1)
        case .dayOfYear: return whole(parts.dayOfYear)
        case .isoYear: return whole(shown(parts.isoWeek.year))
        case .zone, .zoneHour, .zoneMinute: return nil
        }
    }

    private static func field(_ name: String, ofTime time: Int64) throws(SQLError) -> Decimal {
        guard let field = Field(name) else { throw unknown(name, .time) }
        if field == .epoch { return micros(time, scale: 6) }
        guard case .unit(let unit) = field, let value = clock(unit, time) else { throw unsupported(name, .time) }
        return value
    }

    private static func field(_ name: String, of span: Interval) throws(SQLError) -> Decimal {
        guard let field = Field(name) else { throw unknown(name, .interval) }
        if field == .epoch {
            // A year has 365.25 days, a month 30.
            let days = Int128(span.months / 12) * 36_525 + (Int128(span.months % 12) * 30 + Int128(span.days)) * 100
            let total = days * Int128(Calendar.microsPerDay / 100) + Int128(span.micros)
            return Decimal(coefficient: total, scale: 6)
        }
        guard case .unit(let unit) = field else { throw unsupported(name, .interval) }
        if let value = clock(unit, span.micros) { return value }
        let years = Int(span.months / 12)
        switch unit {
        case .day: return whole(Int(span.days))
        case .month: return whole(Int(span.months % 12))
        case .quarter: return whole(Int(span.months % 12) / 3 + 1)
        case .year: return whole(years)
        case .decade: return whole(years / 10)
        case .century: return whole(years / 100)
        case .millennium: return whole(years / 1000)
        case .microsecond, .millisecond, .second, .minute, .hour, .week: throw unsupported(name, .interval)
        }
    }
}

extension TimeFields.Parts {
    /// Midnight of another day; a date may lie where no timestamp reaches.
    fileprivate func moved(to days: Int) -> TimeFields.Parts { TimeFields.Parts(days: days) }

    private init(days: Int) {
        self.days = days
        self.day = Calendar.day(days)
        self.time = 0
    }
}
