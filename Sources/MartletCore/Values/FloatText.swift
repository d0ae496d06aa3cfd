#if canImport(Glibc)
internal import Glibc
#endif

/// Text of binary floating-point numbers in PostgreSQL's layout (float8out, float4out with extra_float_digits ≥ 1):
/// the shortest digits that read back the same, plain below 10^15 (10^6 for real), exponent of two digits beyond.
package enum FloatText {
    package static func text(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "Infinity" : "-Infinity" }
        return layout(value.description, exponentMax: 15)
    }

    package static func text(_ value: Float) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "Infinity" : "-Infinity" }
        return layout(value.description, exponentMax: 6)
    }

    package static let textBytesMax = 32

    /// Writes `text(value)`, at most `textBytesMax` bytes; returns how many.
    package static func write(_ value: Double, into target: UnsafeMutablePointer<UInt8>) -> Int {
        // Whole numbers, the common case, need no search for digits.
        if value.magnitude < 1e15, value == value.rounded(.towardZero), value != 0 || value.sign == .plus {
            return writeInteger(Int64(value), into: target)
        }
        return copy(text(value), into: target)
    }

    package static func write(_ value: Float, into target: UnsafeMutablePointer<UInt8>) -> Int {
        copy(text(value), into: target)
    }

    private static func copy(_ text: String, into target: UnsafeMutablePointer<UInt8>) -> Int {
        var text = text
        return text.withUTF8 { bytes in
            for index in 0..<bytes.count { target[index] = bytes[index] }
            return bytes.count
        }
    }

    /// Writes a decimal integer, at most 20 bytes; returns how many.
    package static func writeInteger(_ value: Int64, into target: UnsafeMutablePointer<UInt8>) -> Int {
        var magnitude = value.magnitude
        var digits = 1
        var probe = magnitude
        while probe >= 10 {
            probe /= 10
            digits &+= 1
        }
        let count = digits &+ (value < 0 ? 1 : 0)
        if value < 0 { target[0] = UInt8(ascii: "-") }
        var position = count &- 1
        for _ in 0..<digits {
            target[position] = 0x30 &+ UInt8(truncatingIfNeeded: magnitude % 10)
            magnitude /= 10
            position &-= 1
        }
        return count
    }

    /// Rearranges Swift's shortest digits ("1e-05", "12345.0", "1.5e+20"): exponent form where the decimal exponent is
    /// below -4 or at least `exponentMax`.
    private static func layout(_ description: String, exponentMax: Int) -> String {
        var digits: [UInt8] = []
        var isNegative = false
        var point: Int?
        var exponent = 0
        var bytes = Array(description.utf8)[...]
        if bytes.first == UInt8(ascii: "-") {
            isNegative = true
            bytes = bytes.dropFirst()
        }
        if let mark = bytes.firstIndex(of: UInt8(ascii: "e")) {
            exponent = Int(String(decoding: bytes[(mark + 1)...], as: UTF8.self)) ?? 0
            bytes = bytes[..<mark]
        }
        for byte in bytes {
            if byte == UInt8(ascii: ".") { point = digits.count } else { digits.append(byte) }
        }
        // The value is 0.DIGITS · 10^place.
        var place = (point ?? digits.count) + exponent
        while digits.count > 1, digits.first == 0x30 {
            digits.removeFirst()
            place -= 1
        }
        while digits.count > 1, digits.last == 0x30 { digits.removeLast() }
        var result: [UInt8] = isNegative ? [UInt8(ascii: "-")] : []
        if digits == [0x30] {
            result.append(0x30)
            return String(decoding: result, as: UTF8.self)
        }
        let scientific = place - 1
        if scientific < -4 || scientific >= exponentMax {
            result.append(digits[0])
            if digits.count > 1 {
                result.append(UInt8(ascii: "."))
                result += digits[1...]
            }
            result += scientific < 0 ? Array("e-".utf8) : Array("e+".utf8)
            if scientific.magnitude < 10 { result.append(0x30) }
            result += Array(String(scientific.magnitude).utf8)
        } else if place <= 0 {
            result += Array("0.".utf8) + Array(repeating: 0x30, count: -place) + digits
        } else if digits.count <= place {
            result += digits + Array(repeating: 0x30, count: place - digits.count)
        } else {
            result += digits[..<place] + [UInt8(ascii: ".")] + digits[place...]
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// C's "%.{digits}f" of a finite number.
    static func fixed(_ value: Double, digits: Int) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 384) { buffer in
            let count = withVaList([CInt(min(digits, 40)), value]) { vsnprintf(buffer.baseAddress, 384, "%.*f", $0) }
            return String(decoding: buffer[..<Int(max(0, min(count, 383)))].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    /// C's "%.{digits}g": correctly rounded from the exact binary value, which the shortest digits are not.
    static func significant(_ value: Double, digits: Int) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 48) { buffer in
            let count = withVaList([CInt(digits), value]) { vsnprintf(buffer.baseAddress, 48, "%.*g", $0) }
            return String(decoding: buffer[..<Int(max(0, min(count, 47)))].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }
}
