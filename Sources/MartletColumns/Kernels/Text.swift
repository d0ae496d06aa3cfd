internal import Glibc
internal import MartletCore

/// Text: LIKE by a compiled pattern, concatenation, case and length. Rows that need more than ASCII go to the scalar
/// definition.
extension Kernels {
    static func text(_ call: Call, _ constants: [Column?]) -> Kernel? {
        switch (call.function, call.types) {
        case (.like, [.text, .text]), (.notLike, [.text, .text]):
            guard let pattern = constants[1], pattern.validity == nil, let compiled = LikePattern(pattern.views[0])
            else { return nil }
            return like(compiled, isNegated: call.function == .notLike)
        case (.concatenate, [.text, .text]): return concatenation
        case (.lower, [.text]): return changeCase(from: UInt8(ascii: "A"))
        case (.upper, [.text]): return changeCase(from: UInt8(ascii: "a"))
        case (.length, [.text]): return length
        case (.splitPart, [.text, .text, .integer]):
            guard let separator = constants[1], separator.validity == nil, separator.views[0].count > 0, let number = constants[2],
                number.validity == nil, number.int32s[0] > 0
            else { return nil }
            return part(separator.views[0].withBytes { Array($0) }, Int(number.int32s[0]))
        default: return nil
        }
    }

    private static func like(_ pattern: LikePattern, isNegated: Bool) -> Kernel {
        { _, arguments, frame in
            let result = Column(.boolean, capacity: frame.count)
            result.count = frame.count
            let views = arguments[0].column.views
            for row in 0..<frame.count {
                let isMatch = views[row].withBytes { pattern.matches($0) }
                result.bools[row] = isMatch != isNegated ? 1 : 0
            }
            result.finishStrict(arguments)
            return result
        }
    }

    /// The part of a number (from 1) between separators, seen where it lies.
    private static func part(_ separator: [UInt8], _ number: Int) -> Kernel {
        { call, arguments, frame in
            let result = Column(call.result, capacity: frame.count)
            result.count = frame.count
            let given = arguments[0].column
            result.heaps = given.heaps
            for row in 0..<frame.count {
                result.views[row] = given.views[row].withBytes { bytes in
                    guard let base = bytes.baseAddress else { return .empty }
                    var rest = bytes[...]
                    for _ in 1..<number {
                        guard let found = LikePattern.find(separator, in: rest) else { return .empty }
                        rest = rest[(found + separator.count)...]
                    }
                    let end = LikePattern.find(separator, in: rest) ?? rest.endIndex
                    return StringView(base + rest.startIndex, count: end - rest.startIndex)
                }
            }
            result.finishStrict(arguments)
            return result
        }
    }

    private static var concatenation: Kernel {
        { call, arguments, frame in
            let result = Column(call.result, capacity: frame.count)
            result.count = frame.count
            let (first, second) = (arguments[0], arguments[1])
            var buffer: [UInt8] = []
            for row in 0..<frame.count {
                buffer.removeAll(keepingCapacity: true)
                first.column.views[first.row(row)].withBytes { buffer.append(contentsOf: $0) }
                second.column.views[second.row(row)].withBytes { buffer.append(contentsOf: $0) }
                result.views[row] = buffer.withUnsafeBufferPointer { result.store($0) }
            }
            result.finishStrict(arguments)
            return result
        }
    }

    /// Maps the 26 letters from `first` to the other case.
    private static func changeCase(from first: UInt8) -> Kernel {
        { call, arguments, frame in
            let result = Column(call.result, capacity: frame.count)
            result.count = frame.count
            var buffer: [UInt8] = []
            for row in 0..<frame.count {
                var seen: UInt8 = 0
                buffer.removeAll(keepingCapacity: true)
                arguments[0].column.views[row].withBytes { bytes in
                    for byte in bytes {
                        seen |= byte
                        buffer.append(byte &- first < 26 ? byte ^ 0x20 : byte)
                    }
                }
                if seen < 0x80 {
                    result.views[row] = buffer.withUnsafeBufferPointer { result.store($0) }
                } else {
                    call.settle(row, arguments, frame, into: result)
                }
            }
            result.finishStrict(arguments)
            return result
        }
    }

    /// Characters: bytes that do not continue one.
    private static var length: Kernel {
        { call, arguments, frame in
            let result = Column(call.result, capacity: frame.count)
            result.count = frame.count
            for row in 0..<frame.count {
                result.int32s[row] = arguments[0].column.views[row].withBytes { bytes in
                    var count: Int32 = 0
                    for byte in bytes { count &+= byte & 0xC0 != 0x80 ? 1 : 0 }
                    return count
                }
            }
            result.finishStrict(arguments)
            return result
        }
    }
}

/// A LIKE pattern, its escapes (`\`) resolved.
struct LikePattern {
    private enum Shape { case exact, prefix, suffix, infix, general }

    /// General patterns: bytes below 256, `anyCharacter` or `anyRun`.
    private let elements: [UInt16]
    private let literal: [UInt8]
    private let shape: Shape

    private static let anyCharacter: UInt16 = 256
    private static let anyRun: UInt16 = 257

    /// Nil where the pattern ends inside of an escape, which is an error.
    init?(_ view: StringView) {
        var elements: [UInt16] = []
        var isEscaped = false
        view.withBytes { bytes in
            for byte in bytes {
                switch byte {
                case _ where isEscaped:
                    elements.append(UInt16(byte))
                    isEscaped = false
                case UInt8(ascii: "\\"): isEscaped = true
                case UInt8(ascii: "%"): if elements.last != LikePattern.anyRun { elements.append(LikePattern.anyRun) }
                case UInt8(ascii: "_"): elements.append(LikePattern.anyCharacter)
                default: elements.append(UInt16(byte))
                }
            }
        }
        if isEscaped { return nil }
        self.elements = elements
        var middle = elements[...]
        let startsOpen = middle.first == LikePattern.anyRun
        if startsOpen { middle = middle.dropFirst() }
        let endsOpen = middle.last == LikePattern.anyRun || (startsOpen && middle.isEmpty)
        if middle.last == LikePattern.anyRun { middle = middle.dropLast() }
        let isPlain = middle.allSatisfy { $0 < 256 }
        literal = isPlain ? middle.map { UInt8(truncatingIfNeeded: $0) } : []
        shape =
            switch (isPlain, startsOpen, endsOpen) {
            case (false, _, _): .general
            case (true, false, false): .exact
            case (true, false, true): .prefix
            case (true, true, false): .suffix
            case (true, true, true): .infix
            }
    }

    func matches(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let size = literal.count
        switch shape {
        case .exact: return bytes.count == size && isLiteral(bytes, at: 0)
        case .prefix: return bytes.count >= size && isLiteral(bytes, at: 0)
        case .suffix: return bytes.count >= size && isLiteral(bytes, at: bytes.count - size)
        case .infix:
            guard size > 0 else { return true }
            return contains(bytes)
        case .general: return matchesGeneral(bytes)
        }
    }

    private func contains(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool { LikePattern.find(literal, in: bytes[...]) != nil }

    /// Where `wanted`, which is not empty, begins first.
    static func find(_ wanted: [UInt8], in bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Int? {
        guard let base = bytes.base.baseAddress, bytes.count >= wanted.count else { return nil }
        var at = base + bytes.startIndex
        let last = base + (bytes.endIndex - wanted.count)
        return wanted.withUnsafeBufferPointer { wanted in
            guard let first = wanted.baseAddress else { return nil }
            while at <= last {
                guard let hit = memchr(at, Int32(first[0]), last - at + 1) else { return nil }
                let place = UnsafePointer(hit.assumingMemoryBound(to: UInt8.self))
                if memcmp(hit, first, wanted.count) == 0 { return place - base }
                at = place + 1
            }
            return nil
        }
    }

    private func isLiteral(_ bytes: UnsafeBufferPointer<UInt8>, at start: Int) -> Bool {
        if literal.isEmpty { return true }
        guard let base = bytes.baseAddress else { return false }
        return literal.withUnsafeBufferPointer { memcmp(base + start, $0.baseAddress!, $0.count) == 0 }
    }

    /// The last `%` seen is the only one to come back to: O(bytes × pattern) at worst.
    private func matchesGeneral(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        elements.withUnsafeBufferPointer { pattern in
            var (at, element) = (0, 0)
            var (retryAt, retryElement) = (0, -1)
            while at < bytes.count {
                if element < pattern.count, pattern[element] == LikePattern.anyRun {
                    element += 1
                    (retryAt, retryElement) = (at, element)
                } else if element < pattern.count, pattern[element] == LikePattern.anyCharacter {
                    at = LikePattern.next(bytes, at)
                    element += 1
                } else if element < pattern.count, pattern[element] == UInt16(bytes[at]) {
                    at += 1
                    element += 1
                } else if retryElement >= 0 {
                    retryAt = LikePattern.next(bytes, retryAt)
                    (at, element) = (retryAt, retryElement)
                } else {
                    return false
                }
            }
            while element < pattern.count, pattern[element] == LikePattern.anyRun { element += 1 }
            return element == pattern.count
        }
    }

    private static func next(_ bytes: UnsafeBufferPointer<UInt8>, _ at: Int) -> Int {
        var next = at + 1
        while next < bytes.count, bytes[next] & 0xC0 == 0x80 { next += 1 }
        return next
    }
}
