extension TimeZone {
    /// Reads the bytes of a TZif file (RFC 9636), version 1 to 4. Nil where they are damaged.
    package init?(name: String, tzif bytes: [UInt8]) {
        guard let first = TZifBlock(bytes, at: 0, wordBytes: 4) else { return nil }
        var block = first
        var rule: PosixRule?
        if first.version >= UInt8(ascii: "2") {
            guard let second = TZifBlock(bytes, at: first.end, wordBytes: 8) else { return nil }
            block = second
            // The footer: a POSIX rule between two newlines; empty where the future is not known.
            if second.end < bytes.count, bytes[second.end] == 0x0A {
                let footer = bytes[(second.end + 1)...].prefix { $0 != 0x0A }
                if !footer.isEmpty {
                    guard let read = PosixRule(footer) else { return nil }
                    rule = read
                }
            }
        }
        guard let initial = block.types.first else { return nil }
        self.init(
            name: name, firstOffset: initial.offset, firstAbbreviation: initial.abbreviation,
            transitions: block.transitions, rule: rule)
    }

    private init(
        name: String, firstOffset: Int32, firstAbbreviation: String, transitions: [Transition], rule: PosixRule?
    ) {
        self.name = name
        self.firstOffset = firstOffset
        self.firstAbbreviation = firstAbbreviation
        self.transitions = transitions
        self.rule = rule
    }
}

/// Header and data of one of a TZif file's two blocks.
private struct TZifBlock {
    let version: UInt8
    /// Offset of the byte behind the block.
    let end: Int
    var types: [(offset: Int32, isDaylight: Bool, abbreviation: String)] = []
    var transitions: [TimeZone.Transition] = []

    init?(_ bytes: [UInt8], at start: Int, wordBytes: Int) {
        func number(at index: Int, bytes width: Int) -> Int64 {
            var value: Int64 = bytes[index] & 0x80 != 0 ? -1 : 0
            for position in index..<(index + width) { value = value << 8 | Int64(bytes[position]) }
            return value
        }
        guard bytes.count >= start + 44, bytes[start..<(start + 4)].elementsEqual("TZif".utf8) else { return nil }
        version = bytes[start + 4]
        // isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt; each bounded by what the file can hold.
        let counts = (0..<6).map { Int(number(at: start + 20 + $0 * 4, bytes: 4)) }
        guard counts.allSatisfy({ $0 >= 0 && $0 <= bytes.count }) else { return nil }
        let (timeCount, typeCount, characterCount) = (counts[3], counts[4], counts[5])
        let times = start + 44
        let indexes = times + timeCount * wordBytes
        let infos = indexes + timeCount
        let characters = infos + typeCount * 6
        end = characters + characterCount + counts[2] * (wordBytes + 4) + counts[1] + counts[0]
        guard end <= bytes.count else { return nil }

        for index in 0..<typeCount {
            let info = infos + index * 6
            let nameStart = characters + Int(bytes[info + 5])
            guard nameStart < characters + characterCount else { return nil }
            let name = bytes[nameStart..<(characters + characterCount)].prefix { $0 != 0 }
            let offset = number(at: info, bytes: 4)
            guard offset.magnitude < 93_600 else { return nil }
            types.append((Int32(offset), bytes[info + 4] != 0, String(decoding: name, as: UTF8.self)))
        }
        var last = Int64.min
        for index in 0..<timeCount {
            let kind = Int(bytes[indexes + index])
            let instant = number(at: times + index * wordBytes, bytes: wordBytes)
            guard kind < types.count, instant >= last else { return nil }
            last = instant
            transitions.append(
                TimeZone.Transition(
                    instant: instant, offset: types[kind].offset, isDaylight: types[kind].isDaylight,
                    abbreviation: types[kind].abbreviation))
        }
    }
}

extension TimeZone {
    /// "CET-1CEST,M3.5.0,M10.5.0/3": standard time, daylight saving time and the two days of the year on which they
    /// change (POSIX, environment variable TZ, with RFC 9636's hours beyond 24).
    struct PosixRule: Hashable, Sendable {
        let standardOffset: Int32
        let standardName: String
        let daylight: Daylight?

        struct Daylight: Hashable, Sendable {
            let offset: Int32
            let name: String
            let start: Change
            let end: Change
        }

        enum Day: Hashable, Sendable {
            /// Day 1–365, February 29 not counted.
            case julian(Int)
            /// Day 0–365, February 29 counted.
            case zeroBased(Int)
            /// Weekday 0 (Sunday) – 6 of week 1–5 (5 = last) of a month.
            case month(Int, week: Int, weekday: Int)
        }

        struct Change: Hashable, Sendable {
            let day: Day
            /// Seconds after local midnight, may be negative or beyond a day.
            let time: Int64

            /// Local seconds since 1970-01-01.
            func local(in year: Int) -> Int64 {
                let days: Int
                switch day {
                case .julian(let number):
                    let leap = Calendar.isLeap(year) && number >= 60 ? 1 : 0
                    days = Calendar.days(year: year, month: 1, day: 1) + number - 1 + leap
                case .zeroBased(let number):
                    days = Calendar.days(year: year, month: 1, day: 1) + number
                case .month(let month, let week, let weekday):
                    let first = Calendar.days(year: year, month: month, day: 1)
                    // 1970-01-01 was a Thursday.
                    let firstWeekday = ((first + 4) % 7 + 7) % 7
                    var number = (weekday - firstWeekday + 7) % 7 + (week - 1) * 7
                    while number >= Calendar.daysInMonth(month, year: year) { number -= 7 }
                    days = first + number
                }
                return Int64(days) * 86_400 + time
            }
        }

        func offset(at second: Int64) -> (offset: Int32, abbreviation: String) {
            guard let daylight else { return (standardOffset, standardName) }
            let (start, end) = changes(in: year(of: second), daylight)
            let isDaylight = start < end ? second >= start && second < end : second >= start || second < end
            return isDaylight ? (daylight.offset, daylight.name) : (standardOffset, standardName)
        }

        func nextTransition(after second: Int64) -> Int64? {
            guard let daylight else { return nil }
            let year = year(of: second)
            for candidate in [year, year + 1] {
                let (start, end) = changes(in: candidate, daylight)
                let later = [start, end].filter { $0 > second }.min()
                if let later { return later }
            }
            return nil
        }

        private func year(of second: Int64) -> Int {
            Calendar.day(Int(Calendar.floorDivide(second + Int64(standardOffset), 86_400).quotient)).year
        }

        private func changes(in year: Int, _ daylight: Daylight) -> (start: Int64, end: Int64) {
            (daylight.start.local(in: year) - Int64(standardOffset), daylight.end.local(in: year) - Int64(daylight.offset))
        }

        init?(_ bytes: ArraySlice<UInt8>) {
            var reader = Reader(bytes)
            guard let name = reader.name(), let offset = reader.offset() else { return nil }
            standardName = name
            standardOffset = -offset
            if reader.isAtEnd {
                daylight = nil
                return
            }
            guard let daylightName = reader.name() else { return nil }
            // One hour ahead of standard time unless said.
            var daylightOffset = standardOffset + 3600
            if reader.peek != UInt8(ascii: ",") {
                guard let read = reader.offset() else { return nil }
                daylightOffset = -read
            }
            guard let start = reader.change(), let end = reader.change(), reader.isAtEnd else { return nil }
            daylight = Daylight(offset: daylightOffset, name: daylightName, start: start, end: end)
        }

        /// Reads the parts of a rule from left to right.
        struct Reader {
            private var rest: ArraySlice<UInt8>
            init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

            var isAtEnd: Bool { rest.isEmpty }
            var peek: UInt8? { rest.first }

            mutating func take(_ byte: UInt8) -> Bool {
                guard rest.first == byte else { return false }
                rest.removeFirst()
                return true
            }

            mutating func number(max: Int) -> Int? {
                var value: Int?
                while let byte = rest.first, byte &- 0x30 < 10 {
                    value = (value ?? 0) * 10 + Int(byte &- 0x30)
                    if value! > max { return nil }
                    rest.removeFirst()
                }
                return value
            }

            mutating func name() -> String? {
                var characters: [UInt8] = []
                if take(UInt8(ascii: "<")) {
                    while let byte = rest.first, byte != UInt8(ascii: ">") {
                        characters.append(byte)
                        rest.removeFirst()
                    }
                    guard take(UInt8(ascii: ">")) else { return nil }
                } else {
                    while let byte = rest.first, byte | 0x20 >= 0x61, byte | 0x20 <= 0x7A {
                        characters.append(byte)
                        rest.removeFirst()
                    }
                }
                return characters.count >= 3 ? String(decoding: characters, as: UTF8.self) : nil
            }

            /// Seconds *west* of UTC, as POSIX writes them.
            mutating func offset() -> Int32? { seconds(hoursMax: 24).flatMap { Int32(exactly: $0) } }

            mutating func seconds(hoursMax: Int) -> Int64? {
                let isNegative = take(UInt8(ascii: "-"))
                if !isNegative { _ = take(UInt8(ascii: "+")) }
                guard let hours = number(max: hoursMax) else { return nil }
                var total = Int64(hours) * 3600
                if take(UInt8(ascii: ":")) {
                    guard let minutes = number(max: 59) else { return nil }
                    total += Int64(minutes) * 60
                    if take(UInt8(ascii: ":")) {
                        guard let seconds = number(max: 59) else { return nil }
                        total += Int64(seconds)
                    }
                }
                return isNegative ? -total : total
            }

            mutating func change() -> Change? {
                guard take(UInt8(ascii: ",")) else { return nil }
                let day: Day
                if take(UInt8(ascii: "M")) {
                    guard let month = number(max: 12), month > 0, take(UInt8(ascii: ".")), let week = number(max: 5),
                        week > 0, take(UInt8(ascii: ".")), let weekday = number(max: 6)
                    else { return nil }
                    day = .month(month, week: week, weekday: weekday)
                } else if take(UInt8(ascii: "J")) {
                    guard let number = number(max: 365), number > 0 else { return nil }
                    day = .julian(number)
                } else {
                    guard let number = number(max: 365) else { return nil }
                    day = .zeroBased(number)
                }
                var time: Int64 = 7200
                if take(UInt8(ascii: "/")) {
                    guard let read = seconds(hoursMax: 167) else { return nil }
                    time = read
                }
                return Change(day: day, time: time)
            }
        }
    }
}
