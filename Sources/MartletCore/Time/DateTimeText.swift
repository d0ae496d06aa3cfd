/// PostgreSQL's input syntax of dates and times (manual, section 8.5.1), with DateStyle ISO, MDY.
///
/// A text is a row of fields in nearly any order: a date with `-`, `/` or `.`, or a month's name with day and year; a
/// time with `:`; an offset or a zone's name; BC, AM, PM; or one word such as `infinity`, `now`, `today`.
struct DateTimeText {
    enum Failure: Error {
        /// 22007.
        case format
        /// 22008.
        case fieldRange
        /// 22008; day and month may have been swapped, which the hint says.
        case monthDayRange
        /// 22009.
        case displacement
        /// 22023: no zone of this name.
        case zone(String)
    }

    enum Special { case infinity, negativeInfinity, epoch, now, today, tomorrow, yesterday, allBalls }

    var special: Special?
    var year: Int?
    var month: Int?
    var day: Int?
    /// Day of the year, from YYYY.DDD.
    var ordinal: Int?
    /// Microseconds of the day; up to and including 24:00.
    var time: Int64?
    var offset: Int32?
    var zone: TimeZone?

    private var isBeforeChrist = false
    private var isTwoDigitYear = false
    /// `year` counts from 1 BC = 0 already.
    private var isAstronomical = false
    /// 0 for AM, 12 for PM.
    private var halfDay: Int64?
    private var expectsTime = false
    /// Read for TIME: bare digits are a time, not a date.
    private let isTimeOfDay: Bool

    // MARK: - Reading

    init(_ text: String, isTimeOfDay: Bool = false, context: EvaluationContext) throws(Failure) {
        self.isTimeOfDay = isTimeOfDay
        let bytes = Array(text.utf8)
        guard bytes.count <= 256 else { throw .format }
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte <= 0x20 || byte == UInt8(ascii: ",") {
                guard byte == 0x20 || byte == UInt8(ascii: ",") || (byte >= 0x09 && byte <= 0x0D) else { throw .format }
                index += 1
            } else if byte &- 0x30 < 10 {
                try readNumber(bytes, &index)
            } else if byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") {
                try readSigned(bytes, &index)
            } else if DateTimeText.isLetter(byte) {
                try readWord(bytes, &index, context)
            } else {
                throw .format
            }
        }
        try finish()
    }

    /// A run that starts with a digit: a date, a time, or one number of a date.
    private mutating func readNumber(_ bytes: [UInt8], _ index: inout Int) throws(Failure) {
        let start = index
        let number = DateTimeText.digits(bytes, &index)
        let length = index - start
        let next = index < bytes.count ? bytes[index] : 0
        if next == UInt8(ascii: ":") {
            guard length <= 2 || expectsTime else { throw .format }
            return try readClock(number, bytes, &index)
        }
        let follows = index + 1 < bytes.count ? bytes[index + 1] : 0
        if next == UInt8(ascii: "-") || next == UInt8(ascii: "/") || next == UInt8(ascii: "."),
            year == nil, day == nil, !expectsTime, follows &- 0x30 < 10 || DateTimeText.isLetter(follows)
        {
            return try readDate(number, digits: length, separator: next, bytes, &index)
        }
        if expectsTime || (isTimeOfDay && time == nil && (length == 6 || length == 4)) || (year != nil && day != nil && time == nil && (length == 6 || length == 4)) {
            return try readCompactClock(number, digits: length, bytes, &index)
        }
        if length >= 8, year == nil, day == nil, month == nil {
            guard number / 10_000 <= 9_999_999 else { throw .fieldRange }
            (year, month, day) = (number / 10_000, number / 100 % 100, number % 100)
            return
        }
        if length == 6, year == nil, day == nil, month == nil {
            (year, month, day) = (number / 10_000, number / 100 % 100, number % 100)
            isTwoDigitYear = true
            return
        }
        // One number beside a month's name, or day and year left of it.
        if length >= 3 {
            guard year == nil else { throw .format }
            year = number
        } else if day == nil {
            day = number
        } else if year == nil {
            year = number
            isTwoDigitYear = true
        } else {
            throw .format
        }
    }

    /// `2026-01-31`, `1/31/2026`, `31-Jan-2026`, `2026.031`.
    private mutating func readDate(
        _ first: Int, digits firstDigits: Int, separator: UInt8, _ bytes: [UInt8], _ index: inout Int
    ) throws(Failure) {
        var numbers = [(value: first, digits: firstDigits)]
        var named: (month: Int, position: Int)?
        while index < bytes.count, bytes[index] == separator, numbers.count + (named == nil ? 0 : 1) < 3 {
            let after = index + 1
            guard after < bytes.count else { throw .format }
            index = after
            if bytes[index] &- 0x30 < 10 {
                let start = index
                let value = DateTimeText.digits(bytes, &index)
                numbers.append((value, index - start))
            } else {
                let word = DateTimeText.word(bytes, &index)
                guard named == nil, let month = DateTimeText.months[word] else { throw .format }
                named = (month, numbers.count)
            }
        }
        if let named {
            guard numbers.count == 2 else { throw .format }
            month = named.month
            let yearFirst = numbers[0].digits >= 3
            let (years, days) = yearFirst ? (numbers[0], numbers[1]) : (numbers[1], numbers[0])
            (year, day) = (years.value, days.value)
            isTwoDigitYear = years.digits <= 2
        } else if numbers.count == 2 {
            guard separator == UInt8(ascii: "."), numbers[0].digits >= 4, numbers[1].digits == 3 else { throw .format }
            (year, ordinal) = (numbers[0].value, numbers[1].value)
        } else {
            guard numbers.count == 3 else { throw .format }
            if numbers[0].digits >= 3 {
                (year, month, day) = (numbers[0].value, numbers[1].value, numbers[2].value)
            } else {
                (month, day, year) = (numbers[0].value, numbers[1].value, numbers[2].value)
                isTwoDigitYear = numbers[2].digits <= 2
            }
        }
        if index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "t"), index + 1 < bytes.count,
            bytes[index + 1] &- 0x30 < 10
        {
            expectsTime = true
            index += 1
        }
    }

    /// `:MM[:SS[.ffffff]]` behind the hours.
    private mutating func readClock(_ hours: Int, _ bytes: [UInt8], _ index: inout Int) throws(Failure) {
        guard time == nil else { throw .format }
        expectsTime = false
        index += 1
        guard index < bytes.count, bytes[index] &- 0x30 < 10 else { throw .format }
        let minutes = DateTimeText.digits(bytes, &index)
        var seconds = 0
        var micros: Int64 = 0
        if index < bytes.count, bytes[index] == UInt8(ascii: ":") {
            index += 1
            guard index < bytes.count, bytes[index] &- 0x30 < 10 else { throw .format }
            seconds = DateTimeText.digits(bytes, &index)
            micros = DateTimeText.fraction(bytes, &index)
        }
        try setTime(hours, minutes, seconds, micros)
    }

    /// `HHMMSS[.ffffff]` or `HHMM`.
    private mutating func readCompactClock(
        _ number: Int, digits: Int, _ bytes: [UInt8], _ index: inout Int
    ) throws(Failure) {
        guard time == nil else { throw .format }
        expectsTime = false
        switch digits {
        case 6: try setTime(number / 10_000, number / 100 % 100, number % 100, DateTimeText.fraction(bytes, &index))
        case 4: try setTime(number / 100, number % 100, 0, 0)
        default: throw .format
        }
    }

    private mutating func setTime(_ hours: Int, _ minutes: Int, _ seconds: Int, _ micros: Int64) throws(Failure) {
        guard hours <= 24, minutes < 60, seconds <= 60 else { throw .fieldRange }
        let total = Int64(hours * 3600 + minutes * 60 + seconds) * 1_000_000 + micros
        guard total <= Calendar.microsPerDay else { throw .fieldRange }
        time = total
    }

    /// An offset behind a time, or "-infinity".
    private mutating func readSigned(_ bytes: [UInt8], _ index: inout Int) throws(Failure) {
        let isNegative = bytes[index] == UInt8(ascii: "-")
        index += 1
        guard index < bytes.count else { throw .format }
        if DateTimeText.isLetter(bytes[index]) {
            let word = DateTimeText.word(bytes, &index)
            guard word == "infinity", special == nil else { throw .format }
            special = isNegative ? .negativeInfinity : .infinity
            return
        }
        guard bytes[index] &- 0x30 < 10, offset == nil, time != nil || year != nil else { throw .format }
        let start = index
        var hours = DateTimeText.digits(bytes, &index)
        var (minutes, seconds) = (0, 0)
        switch index - start {
        case 1, 2:
            if index < bytes.count, bytes[index] == UInt8(ascii: ":") {
                index += 1
                minutes = DateTimeText.digits(bytes, &index)
                if index < bytes.count, bytes[index] == UInt8(ascii: ":") {
                    index += 1
                    seconds = DateTimeText.digits(bytes, &index)
                }
            }
        case 3, 4: (hours, minutes) = (hours / 100, hours % 100)
        case 5, 6: (hours, minutes, seconds) = (hours / 10_000, hours / 100 % 100, hours % 100)
        default: throw .format
        }
        guard hours <= 15, minutes < 60, seconds < 60 else { throw .displacement }
        let total = Int32(hours * 3600 + minutes * 60 + seconds)
        offset = isNegative ? -total : total
    }

    private mutating func readWord(
        _ bytes: [UInt8], _ index: inout Int, _ context: EvaluationContext
    ) throws(Failure) {
        let start = index
        let word = DateTimeText.word(bytes, &index)
        if word == "t", index < bytes.count, bytes[index] &- 0x30 < 10, time == nil {
            expectsTime = true
            return
        }
        if let found = DateTimeText.months[word] {
            guard month == nil else { throw .format }
            month = found
            try readBehindMonth(bytes, &index)
            return
        }
        switch word {
        case "am": halfDay = 0
        case "pm": halfDay = 12
        case "ad": break
        case "bc": isBeforeChrist = true
        case "infinity": try setSpecial(.infinity)
        case "epoch": try setSpecial(.epoch)
        case "now": try setSpecial(.now)
        case "today": try setSpecial(.today)
        case "tomorrow": try setSpecial(.tomorrow)
        case "yesterday": try setSpecial(.yesterday)
        case "allballs": try setSpecial(.allBalls)
        case "at", "on": break
        case "j", "jd", "julian":
            guard index < bytes.count, bytes[index] &- 0x30 < 10, year == nil, day == nil else { throw .format }
            let found = Calendar.day(DateTimeText.digits(bytes, &index) - 2_440_588)
            (year, month, day) = (found.year, found.month, found.day)
            isAstronomical = true
        default:
            if DateTimeText.weekdays.contains(word) { return }
            // A zone's name may hold more than letters: Europe/Berlin, Etc/GMT-3, America/Port-au-Prince.
            while index < bytes.count, bytes[index] > 0x20, bytes[index] != UInt8(ascii: ",") { index += 1 }
            let name = String(decoding: bytes[start..<index], as: UTF8.self)
            guard offset == nil, zone == nil else { throw .format }
            if let known = TimeZone.abbreviated(name.lowercased()) {
                offset = known
            } else if let found = context.zone(named: name) {
                zone = found
            } else if name.contains("/") {
                throw .zone(name.lowercased())
            } else {
                throw .format
            }
        }
    }

    /// `Jan-08-1999`: day and year joined to the name by one separator.
    private mutating func readBehindMonth(_ bytes: [UInt8], _ index: inout Int) throws(Failure) {
        guard index + 1 < bytes.count, "-/.".utf8.contains(bytes[index]), bytes[index + 1] &- 0x30 < 10 else { return }
        let separator = bytes[index]
        guard day == nil else { throw .format }
        index += 1
        day = DateTimeText.digits(bytes, &index)
        guard index + 1 < bytes.count, bytes[index] == separator, bytes[index + 1] &- 0x30 < 10 else { return }
        guard year == nil else { throw .format }
        index += 1
        let start = index
        year = DateTimeText.digits(bytes, &index)
        isTwoDigitYear = index - start <= 2
    }

    private mutating func setSpecial(_ value: Special) throws(Failure) {
        guard special == nil, year == nil, month == nil, day == nil else { throw .format }
        special = value
    }

    // MARK: - Checking

    private mutating func finish() throws(Failure) {
        if let halfDay {
            guard var value = time else { throw .format }
            let hours = value / Calendar.microsPerHour
            guard hours >= 1, hours <= 12 else { throw .fieldRange }
            value = value % (12 * Calendar.microsPerHour) + halfDay * Calendar.microsPerHour
            time = value
        }
        if special != nil { return }
        guard let found = year else {
            guard month == nil, day == nil, time != nil else { throw .format }
            return
        }
        if isAstronomical {
            return
        } else if isBeforeChrist {
            guard found > 0 else { throw .fieldRange }
            year = 1 - found
        } else if isTwoDigitYear {
            year = found < 70 ? found + 2000 : found < 100 ? found + 1900 : found
        } else if found <= 0 {
            throw .fieldRange
        }
        if let ordinal, let year {
            guard ordinal >= 1, ordinal <= (Calendar.isLeap(year) ? 366 : 365) else { throw .fieldRange }
            let date = Calendar.day(Calendar.days(year: year, month: 1, day: 1) + ordinal - 1)
            (month, day) = (date.month, date.day)
            return
        }
        guard let year, let month, let day else { throw .format }
        guard month >= 1, month <= 12, day >= 1, day <= 31 else { throw .monthDayRange }
        guard day <= Calendar.daysInMonth(month, year: year) else { throw .fieldRange }
    }

    /// Days since 1970-01-01, where there is a date.
    var days: Int? {
        guard let year, let month, let day else { return nil }
        return Calendar.days(year: year, month: month, day: day)
    }

    // MARK: - Pieces

    private static func isLetter(_ byte: UInt8) -> Bool { byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A }

    /// A run of digits; saturates far above every limit.
    private static func digits(_ bytes: [UInt8], _ index: inout Int) -> Int {
        var value = 0
        while index < bytes.count, bytes[index] &- 0x30 < 10 {
            value = min(value * 10 + Int(bytes[index] &- 0x30), 100_000_000_000_000)
            index += 1
        }
        return value
    }

    private static func word(_ bytes: [UInt8], _ index: inout Int) -> String {
        let start = index
        while index < bytes.count, isLetter(bytes[index]) { index += 1 }
        return String(decoding: bytes[start..<index].map { $0 | 0x20 }, as: UTF8.self)
    }

    /// `.ffffff` as microseconds, rounded as PostgreSQL does (through binary floating point); 0 where there is none.
    static func fraction(_ bytes: [UInt8], _ index: inout Int) -> Int64 {
        guard index < bytes.count, bytes[index] == UInt8(ascii: ".") else { return 0 }
        let start = index
        index += 1
        while index < bytes.count, bytes[index] &- 0x30 < 10 { index += 1 }
        if index - start == 1 { return 0 }
        let value = Double("0" + String(decoding: bytes[start..<index], as: UTF8.self)) ?? 0
        return Int64((value * 1_000_000).rounded(.toNearestOrEven))
    }

    static let months: [String: Int] = {
        let names = [
            "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
            "november", "december",
        ]
        var table: [String: Int] = ["sept": 9]
        for (index, name) in names.enumerated() {
            table[name] = index + 1
            table[String(name.prefix(3))] = index + 1
        }
        return table
    }()

    private static let weekdays: Set<String> = [
        "sun", "sunday", "mon", "monday", "tue", "tues", "tuesday", "wed", "weds", "wednesday", "thu", "thur", "thurs",
        "thursday", "fri", "friday", "sat", "saturday",
    ]
}

// MARK: - To the types

extension DateTimeText {
    /// Microseconds since 1970-01-01, local (offset ignored) for TIMESTAMP, an instant for TIMESTAMPTZ.
    static func timestamp(_ text: String, isZoned: Bool, context: EvaluationContext) throws(SQLError) -> Int64 {
        var copy = text
        let fast = copy.withUTF8 { Timestamps.parse($0, appliesOffset: isZoned) }
        let typeName = isZoned ? "timestamp with time zone" : "timestamp"
        if let fast, !isZoned || context.zone.isUTC { return fast }
        let fields = try read(text, typeName, context)
        let outOfRange = SQLError(.datetimeFieldOverflow, "timestamp out of range: \"\(text)\"")
        var days: Int
        var time = fields.time ?? 0
        switch fields.special {
        case .infinity: return .max
        case .negativeInfinity: return .min
        case .now: return isZoned ? context.now : context.zone.local(instant: context.now) ?? context.now
        case .epoch: return 0
        case .today: days = today(context)
        case .tomorrow: days = today(context) + 1
        case .yesterday: days = today(context) - 1
        case .allBalls: throw invalid(text, typeName)
        case nil:
            guard let read = fields.days else { throw invalid(text, typeName) }
            days = read
        }
        if time == Calendar.microsPerDay { (days, time) = (days + 1, 0) }
        let (midnight, overflows) = Int64(days).multipliedReportingOverflow(by: Calendar.microsPerDay)
        let (local, overflowsToo) = midnight.addingReportingOverflow(time)
        guard !overflows, !overflowsToo, local >= Calendar.timestampMin, local != .max else { throw outOfRange }
        guard isZoned else { return local }
        let instant: Int64?
        if let offset = fields.offset {
            let (shifted, overflows) = local.subtractingReportingOverflow(Int64(offset) * 1_000_000)
            instant = overflows ? nil : shifted
        } else {
            instant = (fields.zone ?? context.zone).instant(local: local)
        }
        guard let instant, instant >= Calendar.timestampMin, instant != .max else { throw outOfRange }
        return instant
    }

    static func date(_ text: String, context: EvaluationContext) throws(SQLError) -> Int32 {
        let fields = try read(text, "date", context)
        let days: Int
        switch fields.special {
        case .infinity: return .max
        case .negativeInfinity: return .min
        case .now, .today: days = today(context)
        case .tomorrow: days = today(context) + 1
        case .yesterday: days = today(context) - 1
        case .epoch: days = 0
        case .allBalls: throw invalid(text, "date")
        case nil:
            guard let read = fields.days else { throw invalid(text, "date") }
            days = read
        }
        guard days >= Int(Calendar.dateMin), days <= Int(Calendar.dateMax) else {
            throw SQLError(.datetimeFieldOverflow, "date out of range: \"\(text)\"")
        }
        return Int32(days)
    }

    static func time(_ text: String, context: EvaluationContext) throws(SQLError) -> Int64 {
        let fields = try read(text, "time", context)
        switch fields.special {
        case .allBalls: return 0
        case .now:
            let local = context.zone.local(instant: context.now) ?? context.now
            return Calendar.floorDivide(local, Calendar.microsPerDay).remainder
        case .infinity, .negativeInfinity, .epoch, .today, .tomorrow, .yesterday: throw invalid(text, "time")
        case nil:
            guard let time = fields.time else { throw invalid(text, "time") }
            return time
        }
    }

    private static func today(_ context: EvaluationContext) -> Int {
        let local = context.zone.local(instant: context.now) ?? context.now
        return Int(Calendar.floorDivide(local, Calendar.microsPerDay).quotient)
    }

    static func invalid(_ text: String, _ typeName: String) -> SQLError {
        SQLError(.invalidDatetimeFormat, "invalid input syntax for type \(typeName): \"\(text)\"")
    }

    private static func read(
        _ text: String, _ typeName: String, _ context: EvaluationContext
    ) throws(SQLError) -> DateTimeText {
        do {
            return try DateTimeText(text, isTimeOfDay: typeName == "time", context: context)
        } catch {
            switch error {
            case .format: throw invalid(text, typeName)
            case .fieldRange:
                throw SQLError(.datetimeFieldOverflow, "date/time field value out of range: \"\(text)\"")
            case .monthDayRange:
                throw SQLError(
                    .datetimeFieldOverflow, "date/time field value out of range: \"\(text)\"",
                    hint: "Perhaps you need a different \"datestyle\" setting.")
            case .displacement:
                throw SQLError(
                    .invalidTimeZoneDisplacementValue, "time zone displacement out of range: \"\(text)\"")
            case .zone(let name):
                throw SQLError(.invalidParameterValue, "time zone \"\(name)\" not recognized")
            }
        }
    }
}
