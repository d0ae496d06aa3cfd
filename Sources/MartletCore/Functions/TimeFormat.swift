/// `to_char`, `to_timestamp` and `to_date` for points and spans of time: PostgreSQL's template patterns (manual,
/// table 9.27) but for Roman months, Julian days on input and localised names.
enum TimeFormat {
    /// One piece of a template.
    struct Piece {
        enum Kind: Equatable {
            case literal(String)
            /// The pattern's name as in `patterns`; the case of letters chooses that of names (Mon, MON, mon).
            case pattern(String)
        }
        var kind: Kind
        /// FM: no padding.
        var fills = true
        /// TH or th behind the pattern.
        var ordinal: String?
    }

    /// Longer names first, so that the first that fits is the one meant.
    private static let patterns: [String] = [
        "HH24", "HH12", "HH", "MI", "SSSSS", "SSSS", "SS", "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6",
        "A.M.", "P.M.", "a.m.", "p.m.", "AM", "PM", "am", "pm", "Y,YYY", "YYYY", "YYY", "YY", "Y", "IYYY", "IYY", "IY",
        "IDDD", "ID", "IW", "I", "B.C.", "A.D.", "b.c.", "a.d.", "BC", "AD", "bc", "ad", "MONTH", "Month", "month",
        "MON", "Mon", "mon", "MM", "DAY", "Day", "day", "DY", "Dy", "dy", "DDD", "DD", "D", "WW", "W", "CC", "J", "Q",
        "TZH", "TZM", "TZ", "tz", "OF",
    ].sorted { $0.utf8.count > $1.utf8.count }

    static func pieces(_ format: String) -> [Piece] {
        let bytes = Array(format.utf8)
        var result: [Piece] = []
        var index = 0
        var fills = true
        func literal(_ bytes: ArraySlice<UInt8>) {
            let text = String(decoding: bytes, as: UTF8.self)
            if case .literal(let before)? = result.last?.kind {
                result[result.count - 1].kind = .literal(before + text)
            } else {
                result.append(Piece(kind: .literal(text)))
            }
        }
        func starts(_ word: String, at index: Int, ignoringCase: Bool) -> Bool {
            let end = index + word.utf8.count
            guard end <= bytes.count else { return false }
            return zip(bytes[index..<end], word.utf8).allSatisfy { byte, wanted in
                byte == wanted || (ignoringCase && isLetter(byte) && byte ^ 0x20 == wanted)
            }
        }
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "\"") {
                var end = index + 1
                while end < bytes.count, bytes[end] != UInt8(ascii: "\"") { end += 1 }
                literal(bytes[(index + 1)..<end])
                index = min(end + 1, bytes.count)
                continue
            }
            if bytes[index] == UInt8(ascii: "\\"), index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: "\"") {
                literal(bytes[(index + 1)..<(index + 2)])
                index += 2
                continue
            }
            if starts("FM", at: index, ignoringCase: true) {
                fills = false
                index += 2
                continue
            }
            if starts("FX", at: index, ignoringCase: true) || starts("TM", at: index, ignoringCase: true) {
                index += 2
                continue
            }
            // Names of words keep their case; numbers are found in any.
            let found =
                patterns.first { starts($0, at: index, ignoringCase: false) }
                ?? patterns.first { starts($0, at: index, ignoringCase: true) }
            guard let found else {
                var end = index + 1
                while end < bytes.count, bytes[end] & 0xC0 == 0x80 { end += 1 }
                literal(bytes[index..<end])
                index = end
                continue
            }
            index += found.utf8.count
            var piece = Piece(kind: .pattern(found), fills: fills)
            fills = true
            if starts("TH", at: index, ignoringCase: true) {
                piece.ordinal = String(decoding: bytes[index..<(index + 2)], as: UTF8.self)
                index += 2
            }
            result.append(piece)
        }
        return result
    }

    private static func isLetter(_ byte: UInt8) -> Bool { byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A }

    // MARK: - Writing

    static func write(_ value: Value, _ format: String, _ context: EvaluationContext) throws(SQLError) -> Value {
        if format.isEmpty { return .null }
        switch value {
        case .timestamp(let micros):
            if micros == .max || micros == .min { return .null }
            return .text(write(TimeFields.Parts(local: micros), format, zone: nil))
        case .timestamptz(let micros):
            if micros == .max || micros == .min { return .null }
            guard let local = context.zone.local(instant: micros) else { throw Timestamps.overflow }
            let zone = (context.zone.abbreviation(at: micros), context.zone.offset(at: micros))
            return .text(write(TimeFields.Parts(local: local), format, zone: zone))
        case .interval(let span): return .text(try write(span, format))
        case .numeric(let number): return .text(try NumberFormat.write(number, format))
        case .smallint(let number): return .text(try NumberFormat.write(Decimal(Int64(number)), format))
        case .integer(let number): return .text(try NumberFormat.write(Decimal(Int64(number)), format))
        case .bigint(let number): return .text(try NumberFormat.write(Decimal(number), format))
        case .real(let number): return .text(try NumberFormat.write(Double(number), digits: 6, format))
        case .double(let number): return .text(try NumberFormat.write(number, digits: 15, format))
        default: throw Evaluation.wrongArguments(.toChar, [value, .text(format)])
        }
    }

    static func write(_ parts: TimeFields.Parts, _ format: String, zone: (abbreviation: String, offset: Int32)?) -> String {
        write(parts, pieces(format), zone: zone)
    }

    static func write(_ parts: TimeFields.Parts, _ pieces: [Piece], zone: (abbreviation: String, offset: Int32)?) -> String {
        var result = ""
        for piece in pieces {
            switch piece.kind {
            case .literal(let text): result += text
            case .pattern(let name): result += write(name, piece, parts, zone)
            }
        }
        return result
    }

    static func padded(_ number: Int, _ width: Int, _ piece: Piece) -> String {
        let digits = String(number.magnitude)
        let zeros = piece.fills ? String(repeating: "0", count: max(0, width - digits.utf8.count)) : ""
        let text = (number < 0 ? "-" : "") + zeros + digits
        guard let ordinal = piece.ordinal else { return text }
        let suffix: String
        switch (number.magnitude % 10, number.magnitude % 100 / 10) {
        case (1, let tens) where tens != 1: suffix = "st"
        case (2, let tens) where tens != 1: suffix = "nd"
        case (3, let tens) where tens != 1: suffix = "rd"
        default: suffix = "th"
        }
        return text + (ordinal.utf8.first == UInt8(ascii: "T") ? suffix.uppercased() : suffix)
    }

    private static let monthNames = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ]
    private static let dayNames = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

    /// A name in the case its pattern is written in, filled with blanks to nine characters where it is whole.
    private static func word(_ name: String, like pattern: String, _ piece: Piece, width: Int) -> String {
        let bytes = Array(pattern.utf8)
        let isUpper = bytes.count > 1 && bytes[1] & 0x20 == 0
        let cased = isUpper ? name.uppercased() : bytes[0] & 0x20 != 0 ? name.lowercased() : name
        return piece.fills ? cased + String(repeating: " ", count: max(0, width - cased.utf8.count)) : cased
    }

    private static func write(
        _ name: String, _ piece: Piece, _ parts: TimeFields.Parts, _ zone: (abbreviation: String, offset: Int32)?
    ) -> String {
        let year = parts.day.year > 0 ? parts.day.year : 1 - parts.day.year
        let isoYear = parts.isoWeek.year > 0 ? parts.isoWeek.year : 1 - parts.isoWeek.year
        if let clock = writeClock(name, piece, parts) { return clock }
        switch name {
        case "Y,YYY":
            let thousands = year / 1000
            return "\(thousands),\(padded(year % 1000, 3, Piece(kind: piece.kind)))"
        case "YYYY": return padded(year, 4, piece)
        case "YYY": return padded(year % 1000, 3, piece)
        case "YY": return padded(year % 100, 2, piece)
        case "Y": return padded(year % 10, 1, piece)
        case "IYYY": return padded(isoYear, 4, piece)
        case "IYY": return padded(isoYear % 1000, 3, piece)
        case "IY": return padded(isoYear % 100, 2, piece)
        case "I": return padded(isoYear % 10, 1, piece)
        case "BC", "AD": return parts.day.year > 0 ? "AD" : "BC"
        case "bc", "ad": return parts.day.year > 0 ? "ad" : "bc"
        case "B.C.", "A.D.": return parts.day.year > 0 ? "A.D." : "B.C."
        case "b.c.", "a.d.": return parts.day.year > 0 ? "a.d." : "b.c."
        case "MONTH", "Month", "month": return word(monthNames[parts.day.month - 1], like: name, piece, width: 9)
        case "MON", "Mon", "mon": return word(String(monthNames[parts.day.month - 1].prefix(3)), like: name, piece, width: 3)
        case "MM": return padded(parts.day.month, 2, piece)
        case "DAY", "Day", "day": return word(dayNames[parts.dayOfWeek], like: name, piece, width: 9)
        case "DY", "Dy", "dy": return word(String(dayNames[parts.dayOfWeek].prefix(3)), like: name, piece, width: 3)
        case "DDD": return padded(parts.dayOfYear, 3, piece)
        case "IDDD":
            let weekStart = (parts.isoWeek.week - 1) * 7
            return padded(weekStart + (parts.dayOfWeek + 6) % 7 + 1, 3, piece)
        case "DD": return padded(parts.day.day, 2, piece)
        case "D": return padded(parts.dayOfWeek + 1, 1, piece)
        case "ID": return padded((parts.dayOfWeek + 6) % 7 + 1, 1, piece)
        case "WW": return padded((parts.dayOfYear - 1) / 7 + 1, 2, piece)
        case "IW": return padded(parts.isoWeek.week, 2, piece)
        case "W": return padded((parts.day.day - 1) / 7 + 1, 1, piece)
        case "CC": return padded(TimeFields.century(parts.day.year), 2, piece)
        case "J": return padded(parts.days + 2_440_588, 1, piece)
        case "Q": return padded((parts.day.month - 1) / 3 + 1, 1, piece)
        case "TZ": return zone?.abbreviation ?? ""
        case "tz": return zone?.abbreviation.lowercased() ?? ""
        case "TZH", "OF", "TZM": return writeOffset(name, zone?.offset ?? 0)
        default: return ""
        }
    }

    private static func writeOffset(_ name: String, _ offset: Int32) -> String {
        let minutes = Int(offset.magnitude) / 60
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let hours = (offset < 0 ? "-" : "+") + two(minutes / 60)
        switch name {
        case "TZH": return hours
        case "TZM": return two(minutes % 60)
        default: return minutes % 60 == 0 ? hours : hours + ":" + two(minutes % 60)
        }
    }

    private static func writeClock(_ name: String, _ piece: Piece, _ parts: TimeFields.Parts) -> String? {
        switch name {
        case "HH24": return padded(parts.hour, 2, piece)
        case "HH12", "HH": return padded(parts.hour % 12 == 0 ? 12 : parts.hour % 12, 2, piece)
        case "MI": return padded(parts.minute, 2, piece)
        case "SS": return padded(parts.second, 2, piece)
        case "SSSSS", "SSSS": return padded(Int(parts.time / 1_000_000), 1, piece)
        case "MS", "FF3": return padded(parts.micros / 1000, 3, Piece(kind: piece.kind, ordinal: piece.ordinal))
        case "US", "FF6": return padded(parts.micros, 6, Piece(kind: piece.kind, ordinal: piece.ordinal))
        case "FF1": return padded(parts.micros / 100_000, 1, piece)
        case "FF2": return padded(parts.micros / 10_000, 2, Piece(kind: piece.kind, ordinal: piece.ordinal))
        case "FF4": return padded(parts.micros / 100, 4, Piece(kind: piece.kind, ordinal: piece.ordinal))
        case "FF5": return padded(parts.micros / 10, 5, Piece(kind: piece.kind, ordinal: piece.ordinal))
        case "AM", "PM": return parts.hour >= 12 ? "PM" : "AM"
        case "am", "pm": return parts.hour >= 12 ? "pm" : "am"
        case "A.M.", "P.M.": return parts.hour >= 12 ? "P.M." : "A.M."
        case "a.m.", "p.m.": return parts.hour >= 12 ? "p.m." : "a.m."
        default: return nil
        }
    }

    /// An interval's hours do not end at 24, and it has no weekday.
    private static func write(_ span: Interval, _ format: String) throws(SQLError) -> String {
        var result = ""
        let magnitude = Int64(clamping: span.micros.magnitude)
        let isNegative = span.micros < 0
        func signed(_ number: Int64) -> Int { Int(isNegative ? -number : number) }
        let hours = magnitude / Calendar.microsPerHour
        for piece in pieces(format) {
            switch piece.kind {
            case .literal(let text): result += text
            case .pattern(let name):
                switch name {
                case "HH24": result += padded(signed(hours), 2, piece)
                case "HH12", "HH": result += padded(signed(hours % 12 == 0 ? 12 : hours % 12), 2, piece)
                case "MI": result += padded(signed(magnitude / Calendar.microsPerMinute % 60), 2, piece)
                case "SS": result += padded(signed(magnitude / 1_000_000 % 60), 2, piece)
                case "SSSSS", "SSSS": result += padded(signed(magnitude / 1_000_000), 1, piece)
                case "MS", "FF3": result += padded(signed(magnitude / 1000 % 1000), 3, piece)
                case "US", "FF6": result += padded(signed(magnitude % 1_000_000), 6, piece)
                case "YYYY": result += padded(Int(span.months / 12), 4, piece)
                case "YYY": result += padded(Int(span.months / 12 % 1000), 3, piece)
                case "YY": result += padded(Int(span.months / 12 % 100), 2, piece)
                case "Y": result += padded(Int(span.months / 12 % 10), 1, piece)
                case "MM": result += padded(Int(span.months % 12), 2, piece)
                // PostgreSQL counts a day's sign into its width, but not an hour's.
                case "DD": result += padded(Int(span.days), span.days < 0 ? 1 : 2, piece)
                case "Q": result += span.months % 12 == 0 ? "" : padded(Int((span.months % 12 - 1) / 3 + 1), 1, piece)
                case "CC": result += padded(Int(span.months / 1200), 2, piece)
                case "AM", "PM": result += hours % 24 >= 12 ? "PM" : "AM"
                case "am", "pm": result += hours % 24 >= 12 ? "pm" : "am"
                default:
                    throw SQLError(
                        .invalidDatetimeFormat, "invalid format specification for an interval value",
                        hint: "Intervals are not tied to specific calendar dates.")
                }
            }
        }
        return result
    }

    // MARK: - Reading

    private struct Read {
        var year: Int?
        var month: Int?
        var day: Int?
        var dayOfYear: Int?
        var hour: Int?
        var isTwelveHours = false
        var isAfternoon: Bool?
        var minute = 0
        var second = 0
        var secondOfDay: Int?
        var micros = 0
        var isBeforeChrist = false
        var offset: Int?
    }

    /// The local time that `text` shows in `format`; what is missing is the first of its kind (year 1 BC as in
    /// PostgreSQL, month 1, day 1, midnight). With TZH the answer is shifted to UTC.
    static func parse(_ text: String, _ format: String) throws(SQLError) -> Int64 {
        let bytes = Array(text.utf8)
        var index = 0
        var read = Read()
        let pieces = pieces(format)
        for (position, piece) in pieces.enumerated() {
            switch piece.kind {
            case .literal(let literal):
                for byte in literal.utf8 {
                    guard index < bytes.count else { break }
                    // A separator stands for any one separator; other text for as many characters.
                    if isSeparator(byte) {
                        if byte == 0x20 { while index < bytes.count, bytes[index] == 0x20 { index += 1 } }
                        else if isSeparator(bytes[index]) { index += 1 }
                    } else {
                        index += 1
                    }
                }
            case .pattern(let name):
                while index < bytes.count, bytes[index] == 0x20 { index += 1 }
                // A number ends by its width where another number follows at once.
                var isFollowedByNumber = false
                if position + 1 < pieces.count, case .pattern = pieces[position + 1].kind { isFollowedByNumber = true }
                guard index < bytes.count else { continue }
                try parse(name, bytes, &index, isBounded: isFollowedByNumber, &read)
            }
        }
        return try assemble(read, text)
    }

    private static func isSeparator(_ byte: UInt8) -> Bool {
        byte > 0x1F && byte < 0x7F && !isLetter(byte) && !(byte &- 0x30 < 10)
    }

    private static func parse(
        _ name: String, _ bytes: [UInt8], _ index: inout Int, isBounded: Bool, _ read: inout Read
    ) throws(SQLError) {
        func invalid(_ text: String, _ name: String) -> SQLError {
            SQLError(
                .invalidDatetimeFormat, "invalid value \"\(text)\" for \"\(name)\"", detail: "Value must be an integer.")
        }
        func number(_ width: Int) throws(SQLError) -> Int {
            let start = index
            var value = 0
            var isNegative = false
            if index < bytes.count, bytes[index] == UInt8(ascii: "-") || bytes[index] == UInt8(ascii: "+"), name == "TZH" || name == "YYYY" {
                isNegative = bytes[index] == UInt8(ascii: "-")
                index += 1
            }
            let limit = isBounded ? min(bytes.count, index + width) : bytes.count
            let first = index
            while index < limit, bytes[index] &- 0x30 < 10 {
                value = min(value * 10 + Int(bytes[index] &- 0x30), 1 << 40)
                index += 1
            }
            guard index > first else {
                throw invalid(String(decoding: bytes[start..<min(bytes.count, start + width)], as: UTF8.self), name)
            }
            return isNegative ? -value : value
        }
        func fraction(_ width: Int) throws(SQLError) -> Int {
            let start = index
            let value = try number(width)
            let digits = index - start
            guard digits <= width else { throw SQLError(.datetimeFieldOverflow, "date/time field value out of range: \"\(String(decoding: bytes, as: UTF8.self))\"") }
            return (digits..<6).reduce(value) { result, _ in result * 10 }
        }
        func word(_ names: [String], length: Int?) throws(SQLError) -> Int {
            for (position, candidate) in names.enumerated() {
                let wanted = Array((length.map { String(candidate.prefix($0)) } ?? candidate).lowercased().utf8)
                let end = index + wanted.count
                if end <= bytes.count, bytes[index..<end].map({ $0 | 0x20 }) == wanted {
                    index = end
                    return position
                }
            }
            let end = min(bytes.count, index + (length ?? 9))
            throw SQLError(
                .invalidDatetimeFormat,
                "invalid value \"\(String(decoding: bytes[index..<end], as: UTF8.self))\" for \"\(name)\"",
                detail: "The given value did not match any of the allowed values for this field.")
        }
        switch name {
        case "YYYY", "IYYY": read.year = try number(4)
        case "YYY", "YY", "Y":
            let start = index
            let value = try number(name.utf8.count)
            // The year nearest to 2020.
            switch index - start {
            case ...2: read.year = value < 70 ? value + 2000 : value + 1900
            case 3: read.year = value >= 100 && value < 520 ? value + 2000 : value + 1000
            default: read.year = value
            }
        case "MM": read.month = try number(2)
        case "MONTH", "Month", "month": read.month = try word(monthNames, length: nil) + 1
        case "MON", "Mon", "mon": read.month = try word(monthNames, length: 3) + 1
        case "DAY", "Day", "day": _ = try word(dayNames, length: nil)
        case "DY", "Dy", "dy": _ = try word(dayNames, length: 3)
        case "DD": read.day = try number(2)
        case "DDD": read.dayOfYear = try number(3)
        case "HH24": read.hour = try number(2)
        case "HH12", "HH":
            read.hour = try number(2)
            read.isTwelveHours = true
        case "MI": read.minute = try number(2)
        case "SS": read.second = try number(2)
        case "SSSSS", "SSSS": read.secondOfDay = try number(5)
        case "MS", "FF3": read.micros += try fraction(3)
        case "US", "FF6": read.micros += try fraction(6)
        case "FF1", "FF2", "FF4", "FF5": read.micros += try fraction(Int(name.suffix(1)) ?? 6)
        case "AM", "PM", "am", "pm": read.isAfternoon = try word(["am", "pm"], length: nil) == 1
        case "A.M.", "P.M.", "a.m.", "p.m.": read.isAfternoon = try word(["a.m.", "p.m."], length: nil) == 1
        case "AD", "BC", "ad", "bc": read.isBeforeChrist = try word(["ad", "bc"], length: nil) == 1
        case "TZH": read.offset = (read.offset ?? 0) + (try number(2)) * 3600
        case "TZM":
            let minutes = try number(2) * 60
            read.offset = (read.offset ?? 0) + ((read.offset ?? 0) < 0 ? -minutes : minutes)
        case "D", "ID", "Q", "W", "WW", "IW", "CC": _ = try number(2)
        default:
            throw SQLError(.featureNotSupported, "formatting field \"\(name)\" is only supported in to_char")
        }
    }

    private static func assemble(_ read: Read, _ text: String) throws(SQLError) -> Int64 {
        let outOfRange = SQLError(.datetimeFieldOverflow, "date/time field value out of range: \"\(text)\"")
        var hour = read.hour ?? 0
        if read.isTwelveHours || read.isAfternoon != nil {
            guard hour >= 1, hour <= 12 || !read.isTwelveHours else {
                throw SQLError(
                    .invalidDatetimeFormat, "hour \"\(hour)\" is invalid for the 12-hour clock",
                    hint: "Use the 24-hour clock, or give an hour between 1 and 12.")
            }
            if read.isAfternoon == true, hour < 12 { hour += 12 }
            if read.isAfternoon == false, hour == 12 { hour = 0 }
        }
        var year = read.year ?? 0
        if read.isBeforeChrist { year = year > 0 ? 1 - year : year } else if year < 0 { year += 1 }
        guard year > -4800, year < 294_248, hour < 24, read.minute < 60, read.second < 60, read.micros < 1_000_000 else { throw outOfRange }
        var days: Int
        if let ordinal = read.dayOfYear {
            guard ordinal >= 1, ordinal <= (Calendar.isLeap(year) ? 366 : 365) else { throw outOfRange }
            days = Calendar.days(year: year, month: 1, day: 1) + ordinal - 1
        } else {
            let (month, day) = (read.month ?? 1, read.day ?? 1)
            guard month >= 1, month <= 12, day >= 1, day <= Calendar.daysInMonth(month, year: year) else { throw outOfRange }
            days = Calendar.days(year: year, month: month, day: day)
        }
        var seconds = Int64(hour * 3600 + read.minute * 60 + read.second)
        if let given = read.secondOfDay {
            guard given < 86_400 else { throw outOfRange }
            seconds = Int64(given)
        }
        seconds -= Int64(read.offset ?? 0)
        let (midnight, overflows) = Int64(days).multipliedReportingOverflow(by: Calendar.microsPerDay)
        let (result, overflowsToo) = midnight.addingReportingOverflow(seconds * 1_000_000 + Int64(read.micros))
        guard !overflows, !overflowsToo, result >= Calendar.timestampMin, result != .max else { throw outOfRange }
        return result
    }
}
