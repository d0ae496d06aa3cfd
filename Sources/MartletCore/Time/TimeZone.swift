/// A time zone: a name and the offsets from UTC it has had and will have. Immutable and cheap to copy.
///
/// Core reads no files: zones beyond UTC and fixed offsets are made from the bytes of a TZif file (RFC 9636) that
/// somebody else has read. Offsets count seconds east of UTC.
package struct TimeZone: Hashable, Sendable {
    package let name: String
    /// The offset before the first transition, and the only one of a fixed zone.
    let firstOffset: Int32
    let firstAbbreviation: String
    /// Sorted by `instant`.
    let transitions: [Transition]
    /// What holds after the last transition, for ever.
    let rule: PosixRule?

    struct Transition: Hashable, Sendable {
        /// Seconds since 1970-01-01 UTC from which `offset` holds.
        let instant: Int64
        let offset: Int32
        let isDaylight: Bool
        let abbreviation: String
    }

    package static let utc = TimeZone(name: "UTC", offset: 0, abbreviation: "UTC")

    init(name: String, offset: Int32, abbreviation: String) {
        self.name = name
        self.firstOffset = offset
        self.firstAbbreviation = abbreviation
        self.transitions = []
        self.rule = nil
    }

    /// A zone that never changes; `seconds` east of UTC.
    package static func fixed(seconds: Int32) -> TimeZone {
        let text = offsetText(seconds)
        return TimeZone(name: text, offset: seconds, abbreviation: text)
    }

    package static func == (left: TimeZone, right: TimeZone) -> Bool { left.name == right.name }
    package func hash(into hasher: inout Hasher) { hasher.combine(name) }

    /// True where local time is UTC at all times.
    package var isUTC: Bool { transitions.isEmpty && rule == nil && firstOffset == 0 }

    static func offsetText(_ seconds: Int32) -> String {
        Timestamps.text { Timestamps.writeOffset(seconds, into: $0) }
    }
}

// MARK: - Conversion

extension TimeZone {
    /// Seconds east of UTC at an instant (microseconds since 1970-01-01 UTC). O(log transitions).
    package func offset(at micros: Int64) -> Int32 {
        if transitions.isEmpty && rule == nil { return firstOffset }
        return offset(atSecond: Calendar.floorDivide(micros, 1_000_000).quotient).offset
    }

    /// "CET", "CEST": what to_char's TZ shows.
    package func abbreviation(at micros: Int64) -> String {
        offset(atSecond: Calendar.floorDivide(micros, 1_000_000).quotient).abbreviation
    }

    /// The instant at which local clocks show `micros` (microseconds since 1970-01-01 of local time).
    ///
    /// As PostgreSQL: a time skipped in spring is read with the offset before the change, one repeated in autumn with
    /// the offset after it. The infinities stay; nil where the answer leaves Int64.
    package func instant(local micros: Int64) -> Int64? {
        if micros == .max || micros == .min { return micros }
        let seconds = localOffset(Calendar.floorDivide(micros, 1_000_000).quotient)
        let (result, overflows) = micros.subtractingReportingOverflow(Int64(seconds) * 1_000_000)
        return overflows || result == .max || result == .min ? nil : result
    }

    /// What local clocks show at an instant; nil where the answer leaves Int64.
    package func local(instant micros: Int64) -> Int64? {
        if micros == .max || micros == .min { return micros }
        let (result, overflows) = micros.addingReportingOverflow(Int64(offset(at: micros)) * 1_000_000)
        return overflows || result == .max || result == .min ? nil : result
    }

    private func offset(atSecond second: Int64) -> (offset: Int32, abbreviation: String) {
        if let rule, second >= (transitions.last?.instant ?? .min) {
            return rule.offset(at: second)
        }
        guard let index = lastTransition(at: second) else { return (firstOffset, firstAbbreviation) }
        return (transitions[index].offset, transitions[index].abbreviation)
    }

    /// The last transition at or before `second`.
    private func lastTransition(at second: Int64) -> Int? {
        var (low, high) = (0, transitions.count)
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle].instant <= second { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : low - 1
    }

    private func localOffset(_ local: Int64) -> Int32 {
        // No offset exceeds a day, so the change that matters, if any, is the first after a day before.
        let before = local - 86_400
        let offsetBefore = offset(atSecond: before).offset
        guard let boundary = nextTransition(after: before) else { return offsetBefore }
        let offsetAfter = offset(atSecond: boundary).offset
        let readBefore = local - Int64(offsetBefore)
        let readAfter = local - Int64(offsetAfter)
        if readBefore < boundary, readAfter < boundary { return offsetBefore }
        if readBefore >= boundary, readAfter >= boundary { return offsetAfter }
        return readBefore > readAfter ? offsetBefore : offsetAfter
    }

    private func nextTransition(after second: Int64) -> Int64? {
        let index = lastTransition(at: second).map { $0 + 1 } ?? 0
        if index < transitions.count { return transitions[index].instant }
        return rule?.nextTransition(after: second)
    }
}

// MARK: - Names

extension TimeZone {
    /// UTC under its names, or a fixed offset in POSIX's notation as PostgreSQL reads it in SET TIME ZONE and AT TIME
    /// ZONE: "+02", "UTC+2" and "<X>+02:30" all lie *west* of Greenwich.
    package init?(fixedName name: String) {
        let lower = name.lowercased()
        let known = ["utc", "gmt", "z", "zulu", "universal", "etc/utc", "etc/gmt", "etc/universal", "etc/zulu", "uct", "etc/uct", "greenwich"]
        if known.contains(lower) {
            self.init(name: lower == "utc" || lower == "z" ? "UTC" : name, offset: 0, abbreviation: lower.hasSuffix("gmt") ? "GMT" : "UTC")
            return
        }
        var bytes = Array(name.utf8)[...]
        var abbreviation: [UInt8] = []
        if bytes.first == UInt8(ascii: "<"), let close = bytes.firstIndex(of: UInt8(ascii: ">")) {
            abbreviation = Array(bytes[1..<close])
            bytes = bytes[(close + 1)...]
        } else {
            abbreviation = Array(bytes.prefix { $0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A })
            // One or two letters are no POSIX name.
            guard abbreviation.isEmpty || abbreviation.count >= 3 else { return nil }
            bytes = bytes.dropFirst(abbreviation.count)
        }
        var reader = PosixRule.Reader(bytes)
        guard !bytes.isEmpty, let offset = reader.offset(), reader.isAtEnd else { return nil }
        let text = abbreviation.isEmpty ? TimeZone.offsetText(-offset) : String(decoding: abbreviation, as: UTF8.self)
        self.init(name: name, offset: -offset, abbreviation: text)
    }

    /// The abbreviations of PostgreSQL's default set that people write behind a time; seconds east of UTC.
    static func abbreviated(_ word: String) -> Int32? { abbreviations[word].map { $0 * 1800 } }

    /// In half hours.
    private static let abbreviations: [String: Int32] = [
        "utc": 0, "gmt": 0, "ut": 0, "uct": 0, "z": 0, "zulu": 0, "wet": 0, "west": 2, "bst": 2, "cet": 2, "cest": 4, "met": 2,
        "mest": 4, "eet": 4, "eest": 6, "msk": 6, "msd": 8, "ist": 4, "idt": 6, "est": -10, "edt": -8, "cst": -12,
        "cdt": -10, "mst": -14, "mdt": -12, "pst": -16, "pdt": -14, "akst": -18, "akdt": -16, "hst": -20, "ast": -8,
        "adt": -6, "nst": -7, "ndt": -5, "jst": 18, "kst": 18, "hkt": 16, "sgt": 16, "pkt": 10, "npt": 11, "aest": 20,
        "aedt": 22, "acst": 19, "awst": 16, "nzst": 24, "nzdt": 26, "brt": -6, "art": -6, "sast": 4, "eat": 6,
    ]
}
