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
}
