/// An exact decimal number: `coefficient` ÷ 10^`scale`, at most 38 digits, with PostgreSQL's display scale.
///
/// The scale is what is shown: 1.50 and 1.5 are equal, hash alike and print differently. `scale` ≤ 38 for numbers;
/// the special values carry the scale `Decimal.specialScale`. Order: -Infinity < numbers < Infinity < NaN = NaN.
package struct Decimal: Sendable {
    package let coefficient: Int128
    package let scale: UInt8

    /// Trusts its arguments: |coefficient| < 10^38 and scale ≤ 38, or one of the special values' encodings.
    package init(coefficient: Int128, scale: UInt8) {
        self.coefficient = coefficient
        self.scale = scale
    }

    package static let precisionMax = 38
    package static let scaleMax: UInt8 = 38
    /// The scale of NaN (coefficient 0), Infinity (1) and -Infinity (-1).
    package static let specialScale: UInt8 = 255

    package static let zero = Decimal(coefficient: 0, scale: 0)
    package static let one = Decimal(coefficient: 1, scale: 0)
    package static let nan = Decimal(coefficient: 0, scale: specialScale)
    package static let infinity = Decimal(coefficient: 1, scale: specialScale)
    package static let negativeInfinity = Decimal(coefficient: -1, scale: specialScale)

    package init(_ value: Int64) { self.init(coefficient: Int128(value), scale: 0) }
    package init(_ value: Int) { self.init(coefficient: Int128(value), scale: 0) }

    package var isSpecial: Bool { scale == Decimal.specialScale }
    package var isNaN: Bool { isSpecial && coefficient == 0 }
    package var isInfinite: Bool { isSpecial && coefficient != 0 }
    package var isZero: Bool { coefficient == 0 && !isSpecial }
    package var isNegative: Bool { coefficient < 0 }

    static let overflow = SQLError(
        .numericValueOutOfRange, "value overflows numeric format",
        detail: "A numeric value has at most \(precisionMax) digits here.")
}
