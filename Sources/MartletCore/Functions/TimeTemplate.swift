/// A template of `to_char` for points in time, taken apart once for many of them.
package struct TimeTemplate: Sendable {
    private let pieces: [TimeFormat.Piece]
    /// Points of local time that lie in one span of so many microseconds, counted from 1970, look the same.
    package let span: Int64

    /// nil: the empty template, which shows NULL.
    package init?(_ format: String) {
        if format.isEmpty { return nil }
        pieces = TimeFormat.pieces(format)
        span = pieces.map { TimeTemplate.span($0) }.min() ?? Calendar.microsPerDay
    }

    /// What `to_char` gives for a local time that is not infinite.
    package func text(local micros: Int64, zone: (abbreviation: String, offset: Int32)? = nil) -> String {
        TimeFormat.write(TimeFields.Parts(local: micros), pieces, zone: zone)
    }

    private static func span(_ piece: TimeFormat.Piece) -> Int64 {
        guard case .pattern(let name) = piece.kind else { return Calendar.microsPerDay }
        switch name {
        case "HH24", "HH12", "HH", "AM", "PM", "am", "pm", "A.M.", "P.M.", "a.m.", "p.m.": return Calendar.microsPerHour
        case "MI": return Calendar.microsPerMinute
        case "SS", "SSSS", "SSSSS": return Calendar.microsPerSecond
        case "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6": return 1
        default: return Calendar.microsPerDay
        }
    }
}
