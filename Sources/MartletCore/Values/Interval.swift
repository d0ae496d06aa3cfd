/// PostgreSQL's interval: three fields that do not convert into each other without a date to stand on.
package struct Interval: Sendable {
    package let months: Int32
    package let days: Int32
    package let micros: Int64

    package init(months: Int32 = 0, days: Int32 = 0, micros: Int64 = 0) {
        self.months = months
        self.days = days
        self.micros = micros
    }

    package static let zero = Interval()

    /// The length with 30-day months and 24-hour days, in microseconds: what intervals are compared by.
    package var comparisonMicros: Int128 {
        (Int128(months) * 30 + Int128(days)) * Int128(Calendar.microsPerDay) + Int128(micros)
    }
}

extension Interval: Hashable, Comparable {
    /// '1 month' = '30 days' = '720:00:00'.
    package static func == (left: Interval, right: Interval) -> Bool {
        left.comparisonMicros == right.comparisonMicros
    }

    package static func < (left: Interval, right: Interval) -> Bool {
        left.comparisonMicros < right.comparisonMicros
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(comparisonMicros) }
}
