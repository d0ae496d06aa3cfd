/// `to_char` for numbers: the patterns 9, 0, `.`, `,`, D, G, S, MI, PL, SG, PR, L, FM and literal text.
enum NumberFormat {
    enum Item {
        /// A digit's place; `isZero` fills with 0 instead of a blank.
        case digit(isZero: Bool)
        case point, group
        case literal(String)
        case signBehind, signBefore, signHere, minusHere, plusHere
        /// Blank, in the C locale.
        case currency
    }

    struct Template {
        var items: [Item] = []
        var fills = true
        var usesBrackets = false
        var whole = 0
        var fraction = 0
        /// Places before the point from which 0 fills; 0 where none does.
        var zeroFrom = 0
        var hasPoint = false
        var hasSign = false
    }

    /// A binary number shows no more digits than its type holds for certain (`digits`): those behind the point that go
    /// beyond are left out.
    static func write(_ number: Double, digits: Int, _ format: String) throws(SQLError) -> String {
        guard number.isFinite else { return try write(try Decimal(number), format) }
        let whole = try read(format)
        let wholeDigits = FloatText.fixed(number.magnitude, digits: 0).utf8.count
        let fraction = max(0, min(whole.fraction, digits - wholeDigits))
        guard wholeDigits <= 38, let decimal = Decimal(text: FloatText.fixed(number, digits: fraction)) else {
            throw Decimal.overflow
        }
        return try write(decimal, format, fractionMax: fraction)
    }

    static func write(_ number: Decimal, _ format: String, fractionMax: Int = 38) throws(SQLError) -> String {
        let template = try read(format)
        if number.isSpecial { return special(number, template) }
        let rounded = try number.rounded(to: template.fraction)
        let isNegative = rounded.isNegative
        let text = rounded.magnitude.text
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        var whole = Array(parts[0].utf8)
        let fraction = parts.count > 1 ? Array(parts[1].utf8) : []
        if whole == [0x30] { whole = [] }
        let overflows = max(1, whole.count) > template.whole

        var output: [UInt8] = []
        var wholeLeft = template.whole
        var fractionSeen = 0
        var hasStarted = false
        // The sign stands before the first character shown; its place is known once that is.
        var signPlace: Int?
        for item in template.items {
            switch item {
            case .digit(let isZero):
                if !template.hasPoint || wholeLeft > 0 {
                    let place = wholeLeft
                    wholeLeft -= 1
                    if overflows {
                        mark(&signPlace, output)
                        output.append(UInt8(ascii: "#"))
                    } else if place <= whole.count {
                        mark(&signPlace, output)
                        hasStarted = true
                        output.append(whole[whole.count - place])
                    } else if isZero || place <= template.zeroFrom {
                        mark(&signPlace, output)
                        hasStarted = true
                        output.append(0x30)
                    } else if place == 1, template.fraction == 0 || (!template.fills && lastNeeded(fraction, template) == 0) {
                        mark(&signPlace, output)
                        output.append(0x30)
                    } else if template.fills {
                        output.append(0x20)
                    }
                } else {
                    mark(&signPlace, output)
                    if fractionSeen >= fractionMax { continue }
                    let digit = fractionSeen < fraction.count ? fraction[fractionSeen] : 0x30
                    fractionSeen += 1
                    // FM drops zeros that only 9s ask for.
                    if overflows {
                        output.append(UInt8(ascii: "#"))
                    } else if template.fills || isZero || lastNeeded(fraction, template) >= fractionSeen {
                        output.append(digit)
                    }
                }
            case .point:
                mark(&signPlace, output)
                output.append(UInt8(ascii: "."))
            case .group:
                if hasStarted || (overflows && signPlace != nil) { output.append(UInt8(ascii: ",")) } else if template.fills { output.append(0x20) }
            case .literal(let text): output += text.utf8
            case .currency: output.append(0x20)
            case .signHere: output.append(UInt8(ascii: isNegative ? "-" : "+"))
            case .minusHere: if isNegative { output.append(UInt8(ascii: "-")) } else if template.fills { output.append(0x20) }
            case .plusHere: if !isNegative { output.append(UInt8(ascii: "+")) } else if template.fills { output.append(0x20) }
            case .signBehind: output.append(UInt8(ascii: isNegative ? "-" : "+"))
            case .signBefore: break
            }
        }
        let place = signPlace ?? output.count
        if template.items.contains(where: { if case .signBefore = $0 { true } else { false } }) {
            output.insert(UInt8(ascii: isNegative ? "-" : "+"), at: place)
        } else if template.usesBrackets {
            if isNegative {
                output.insert(UInt8(ascii: "<"), at: place)
                output.append(UInt8(ascii: ">"))
            } else if template.fills {
                output.insert(0x20, at: place)
                output.append(0x20)
            }
        } else if !template.hasSign {
            if isNegative {
                output.insert(UInt8(ascii: "-"), at: place)
            } else if template.fills {
                output.insert(0x20, at: place)
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    private static func mark(_ place: inout Int?, _ output: [UInt8]) { if place == nil { place = output.count } }

    /// How many digits behind the point FM keeps: up to the last that is not zero.
    private static func lastNeeded(_ fraction: [UInt8], _ template: Template) -> Int {
        var count = fraction.count
        while count > 0, fraction[count - 1] == 0x30 { count -= 1 }
        // A 0 in the template keeps all digits before it.
        var places = 0
        var seenPoint = false
        for item in template.items {
            if case .point = item { seenPoint = true }
            if case .digit(let isZero) = item, seenPoint {
                places += 1
                if isZero { count = max(count, places) }
            }
        }
        return count
    }

    private static func special(_ number: Decimal, _ template: Template) -> String {
        // Shown as an overflow, blank where there is no digit's place.
        var output = number.isNegative ? "-" : template.fills ? " " : ""
        for item in template.items {
            switch item {
            case .digit: output += "#"
            case .point: output += "."
            case .group: output += ","
            case .literal(let text): output += text
            case .currency: output += " "
            case .signBehind, .signBefore, .signHere, .minusHere, .plusHere: break
            }
        }
        return output
    }

    static func read(_ format: String) throws(SQLError) -> Template {
        var template = Template()
        let bytes = Array(format.utf8)
        var index = 0
        func starts(_ word: String) -> Bool {
            let end = index + word.utf8.count
            return end <= bytes.count && zip(bytes[index..<end], word.utf8).allSatisfy { $0 & 0xDF == $1 & 0xDF }
        }
        var hasDigit = false
        while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "9"), UInt8(ascii: "0"):
                let isZero = byte == UInt8(ascii: "0")
                template.items.append(.digit(isZero: isZero))
                hasDigit = true
                if template.hasPoint {
                    template.fraction += 1
                } else {
                    template.whole += 1
                    if isZero, template.zeroFrom == 0 { template.zeroFrom = template.whole }
                }
            case UInt8(ascii: "."), UInt8(ascii: "D"), UInt8(ascii: "d"):
                if template.hasPoint { throw SQLError(.syntaxError, "multiple decimal points") }
                template.hasPoint = true
                template.items.append(.point)
            case UInt8(ascii: ","), UInt8(ascii: "G"), UInt8(ascii: "g"): template.items.append(.group)
            case UInt8(ascii: "\""):
                var end = index + 1
                while end < bytes.count, bytes[end] != byte { end += 1 }
                template.items.append(.literal(String(decoding: bytes[(index + 1)..<end], as: UTF8.self)))
                index = min(end, bytes.count - 1)
            default:
                if starts("FM") {
                    template.fills = false
                    index += 1
                } else if starts("MI") {
                    template.items.append(.minusHere)
                    template.hasSign = true
                    index += 1
                } else if starts("PL") {
                    // The sign's own place remains beside it.
                    template.items.append(.plusHere)
                    index += 1
                } else if starts("SG") {
                    template.items.append(.signHere)
                    template.hasSign = true
                    index += 1
                } else if starts("PR") {
                    template.usesBrackets = true
                    index += 1
                } else if starts("S") {
                    template.items.append(hasDigit ? .signBehind : .signBefore)
                    template.hasSign = true
                } else if starts("L") {
                    template.items.append(.currency)
                } else if starts("EEEE") || starts("RN") || starts("V") || starts("TH") {
                    throw SQLError(.featureNotSupported, "the number format \"\(format)\" is not supported")
                } else {
                    var end = index + 1
                    while end < bytes.count, bytes[end] & 0xC0 == 0x80 { end += 1 }
                    template.items.append(.literal(String(decoding: bytes[index..<end], as: UTF8.self)))
                    index = end - 1
                }
            }
            index += 1
        }
        // From the first 0 on, every place before the point is filled.
        template.zeroFrom = template.zeroFrom == 0 ? 0 : template.whole - template.zeroFrom + 1
        return template
    }
}
