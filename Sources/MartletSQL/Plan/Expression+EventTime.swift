package import MartletCore

extension Expression {
    /// The column whose time the expression follows: it rises with it, and is nowhere more than `lag` microseconds below it (less
    /// than nothing: it is ahead). Times without a zone are UTC's, as in views. nil: it follows none.
    package var followedTime: (column: Int, lag: Int64)? {
        guard type == .timestamp || type == .timestamptz else { return nil }
        switch self {
        case .column(let ordinal, _): return (ordinal, 0)
        case .cast(let inner, _, _): return inner.followedTime
        case .call(.dateTrunc, let operands, _) where operands.count >= 2:
            guard case .literal(.text(let unit), _) = operands[0], let length = Self.lengths[unit.lowercasedASCII] else { return nil }
            var zoneSlack: Int64 = 0
            if operands.count > 2 {
                guard case .literal(.text(let zone), _) = operands[2] else { return nil }
                // Clocks that are put forward or back.
                if zone.lowercasedASCII != "utc" { zoneSlack = 2 * 3_600_000_000 }
            }
            return operands[1].followed(behind: length - 1 + zoneSlack)
        case .call(.dateBin, let operands, _):
            guard operands.count == 3, case .literal(.interval(let stride), _) = operands[0], let length = stride.fixedMicros, length > 0,
                operands[2].columns.isEmpty
            else { return nil }
            return operands[1].followed(behind: length - 1)
        case .call(let function, let operands, _) where function == .add || function == .subtract:
            guard operands.count == 2, case .literal(.interval(let interval), _) = operands[1] else { return nil }
            guard let ahead = Self.least(interval, isTaken: function == .subtract) else { return nil }
            return operands[0].followed(behind: 0 - ahead)
        default: return nil
        }
    }

    private func followed(behind lag: Int64) -> (column: Int, lag: Int64)? {
        guard let (column, own) = followedTime else { return nil }
        let (sum, overflow) = own.addingReportingOverflow(lag)
        return overflow ? nil : (column, sum)
    }

    /// The longest that the units of date_trunc are, in microseconds.
    private static let lengths: [String: Int64] = {
        let day: Int64 = 86_400_000_000
        return [
            "milliseconds": 1_000, "second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000, "day": day, "week": 7 * day, "month": 31 * day,
            "quarter": 92 * day, "year": 366 * day,
        ]
    }()

    /// By how much adding (or taking away) an interval moves a time at least; nil: beyond all time.
    private static func least(_ interval: Interval, isTaken: Bool) -> Int64? {
        let sign: Int64 = isTaken ? -1 : 1
        let months = Int64(interval.months) * sign
        let days = Int64(interval.days) * sign + months * (months < 0 ? 31 : 28)
        let (whole, overflow) = days.multipliedReportingOverflow(by: 86_400_000_000)
        let (micros, negates) = interval.micros.multipliedReportingOverflow(by: sign)
        let (sum, exceeds) = whole.addingReportingOverflow(micros)
        return overflow || negates || exceeds || sum == .min ? nil : sum
    }
}
