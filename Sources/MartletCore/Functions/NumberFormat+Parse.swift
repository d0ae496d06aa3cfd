extension NumberFormat {
    /// `to_number`: the number that `text` shows by the format; nil for an empty format.
    ///
    /// As PostgreSQL reads: each item of the format looks at the character that is next and takes it, whether it had a use
    /// for it or not; what the format has no digits for is lost, and too many digits before the point are an error.
    static func parse(_ text: String, _ format: String) throws(SQLError) -> Decimal? {
        if format.isEmpty { return nil }
        var reader = NumberReader(Array(text.utf8), try read(format))
        return try reader.read()
    }
}

private struct NumberReader {
    private let input: [UInt8]
    private let template: NumberFormat.Template
    private var at = 0
    private var sign: UInt8?
    private var whole: [UInt8] = []
    private var fraction: [UInt8] = []
    private var hasPoint = false
    private let anchorsSign: Bool
    private let hasOwnSign: Bool

    init(_ input: [UInt8], _ template: NumberFormat.Template) {
        self.input = input
        self.template = template
        anchorsSign = template.items.contains { if case .signBehind = $0 { true } else if case .signBefore = $0 { true } else { false } }
        hasOwnSign = template.items.contains {
            if case .minusHere = $0 { true } else if case .plusHere = $0 { true } else if case .signHere = $0 { true } else { false }
        }
    }

    private static let minus = UInt8(ascii: "-")
    private static let plus = UInt8(ascii: "+")

    mutating func read() throws(SQLError) -> Decimal {
        items: for item in template.items {
            guard at < input.count else { break }
            switch item {
            case .digit: digit(isDigit: true)
            case .point: digit(isDigit: false)
            case .group: if !template.fills || input[at] != UInt8(ascii: ",") { continue items }
            case .currency:
                skipOther()
                continue items
            case .minusHere:
                guard input[at] == Self.minus else {
                    skipOther()
                    continue items
                }
                sign = Self.minus
            case .plusHere:
                guard input[at] == Self.plus else {
                    skipOther()
                    continue items
                }
                sign = Self.plus
            case .signHere:
                guard input[at] == Self.plus || input[at] == Self.minus else {
                    skipOther()
                    continue items
                }
                sign = input[at]
            case .signBehind, .signBefore: continue items
            case .literal(let text):
                // A character of the input for each of the format, whatever they are.
                for _ in text.unicodeScalars where at < input.count { skipCharacter() }
                continue items
            }
            at += 1
        }
        guard !whole.isEmpty || !fraction.isEmpty else {
            throw SQLError(.invalidTextRepresentation, "invalid input syntax for type numeric: \" \"")
        }
        let digits = String(decoding: whole.isEmpty ? [0x30] : whole, as: UTF8.self)
        let behind = fraction.isEmpty ? "" : "." + String(decoding: fraction, as: UTF8.self)
        guard let number = Decimal(text: (sign == Self.minus ? "-" : "") + digits + behind) else { throw Decimal.overflow }
        let places = template.whole + fraction.count
        return try number.limited(precision: min(max(places, 1), Decimal.precisionMax), scale: fraction.count)
    }

    private mutating func skipCharacter() {
        at += 1
        while at < input.count, input[at] & 0xC0 == 0x80 { at += 1 }
    }

    /// Passes over a character that is no part of a number.
    private mutating func skipOther() {
        if !"0123456789.,+-".utf8.contains(input[at]) { skipCharacter() }
    }

    private var isAtDigit: Bool { at < input.count && input[at] &- 0x30 < 10 }

    private mutating func digit(isDigit: Bool) {
        if input[at] == 0x20 { at += 1 }
        guard at < input.count else { return }
        if sign == nil, isDigit, whole.isEmpty, fraction.isEmpty {
            if input[at] == Self.minus || (template.usesBrackets && input[at] == UInt8(ascii: "<")) {
                sign = Self.minus
                at += 1
            } else if input[at] == Self.plus {
                sign = Self.plus
                at += 1
            }
            guard at < input.count else { return }
        }
        var isRead = false
        if isAtDigit {
            if hasPoint, fraction.count == template.fraction { return }
            if hasPoint { fraction.append(input[at]) } else { whole.append(input[at]) }
            isRead = true
        } else if template.hasPoint, !hasPoint, input[at] == UInt8(ascii: ".") {
            hasPoint = true
            isRead = true
        }
        // A sign behind the last digit.
        guard sign == nil, !whole.isEmpty || !fraction.isEmpty else { return }
        if anchorsSign {
            if isRead, at + 1 < input.count, input[at + 1] == Self.minus || input[at + 1] == Self.plus {
                at += 1
                sign = input[at]
            }
        } else if !isRead, hasOwnSign, input[at] == Self.minus || input[at] == Self.plus {
            sign = input[at]
        }
    }
}
