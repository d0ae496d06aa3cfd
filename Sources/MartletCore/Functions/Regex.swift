internal import CMartletRE2
internal import Synchronization

/// A compiled regular expression in PostgreSQL's "advanced" syntax, matched by RE2: time linear in the text whatever the
/// pattern, memory bounded by `memoryMax`. Sendable: RE2 guards its own caches.
///
/// What PostgreSQL has and this does not: back references and look-around (both 0A000), and the collation's character
/// classes; `\m`, `\M` and `\y` are all any word boundary, between ASCII words. docs/functions.md lists them.
package final class Regex: @unchecked Sendable {
    // Sendable: the handle never changes after init; RE2 objects may be matched with from any thread.
    private let handle: OpaquePointer
    package let groups: Int

    /// Bytes that a compiled expression and its caches may take.
    static let memoryMax: Int64 = 2 << 20
    /// Bytes of a pattern.
    static let patternMax = 1 << 16

    private init(_ handle: OpaquePointer) {
        self.handle = handle
        groups = Int(martlet_re2_groups(handle))
    }

    deinit { martlet_re2_free(handle) }

    /// Compiles, or throws 2201B. `flags` are PostgreSQL's letters, `g` excluded.
    package convenience init(_ pattern: String, _ options: RegexOptions) throws(SQLError) {
        guard pattern.utf8.count <= Regex.patternMax else { throw Regex.invalid("regular expression is too complex") }
        var translator = RegexTranslator(pattern, options)
        var translated = try translator.translate()
        var flags = translator.options.ignoresCase ? Int32(MARTLET_RE2_IGNORE_CASE) : 0
        // POSIX: the longest match, unless the pattern asks for shortest ones.
        if !translator.hasShortest { flags |= Int32(MARTLET_RE2_LONGEST) }
        var error: Int32 = 0
        let made = translated.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                martlet_re2_compile($0.baseAddress, $0.count, flags, Regex.memoryMax, &error)
            }
        }
        guard let made else { throw Regex.invalid(Regex.message(error)) }
        self.init(made)
    }

    static func invalid(_ reason: String) -> SQLError {
        SQLError(.invalidRegularExpression, "invalid regular expression: \(reason)")
    }

    /// PostgreSQL's words for RE2's error codes.
    private static func message(_ code: Int32) -> String {
        switch code {
        case 2, 8: "invalid escape \\ sequence"
        case 3: "invalid character class"
        case 4: "invalid character range"
        case 5: "brackets [] not balanced"
        case 6, 7: "parentheses () not balanced"
        case 9, 11: "quantifier operand invalid"
        case 10: "invalid repetition count(s)"
        case 15: "regular expression is too complex"
        default: "invalid regexp"
        }
    }

    // MARK: - Matching

    /// Whether the text has a match.
    package func matches(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        text.withMemoryRebound(to: CChar.self) { martlet_re2_search(handle, $0.baseAddress, $0.count, 0, -1, nil) != 0 }
    }

    package func matches(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { matches($0) }
    }

    /// The byte ranges of the first match at or behind `start` and of its groups; nil: there is none. A group that took no
    /// part is nil.
    func search(_ text: UnsafeBufferPointer<UInt8>, from start: Int) -> [Range<Int>?]? {
        var spans = [Int64](repeating: -1, count: 2 * (groups + 1))
        let isFound = text.withMemoryRebound(to: CChar.self) {
            martlet_re2_search(handle, $0.baseAddress, $0.count, start, Int32(groups), &spans) != 0
        }
        guard isFound else { return nil }
        return (0...groups).map { at in
            spans[2 * at] < 0 ? nil : Int(spans[2 * at])..<Int(spans[2 * at + 1])
        }
    }

    /// The byte range of the first match's group `place` (0: the whole match); nil: no match, or the group took no part.
    package func span(_ text: UnsafeBufferPointer<UInt8>, of place: Int) -> Range<Int>? {
        withUnsafeTemporaryAllocation(of: Int64.self, capacity: 2 * (place + 1)) { spans in
            spans.initialize(repeating: -1)
            let isFound = text.withMemoryRebound(to: CChar.self) {
                martlet_re2_search(handle, $0.baseAddress, $0.count, 0, Int32(place), spans.baseAddress) != 0
            }
            guard isFound, spans[2 * place] >= 0 else { return nil }
            return Int(spans[2 * place])..<Int(spans[2 * place + 1])
        }
    }

    /// Matches from `start` on, one behind the other; behind an empty one the search goes on one character later.
    func each(
        _ text: UnsafeBufferPointer<UInt8>, from start: Int = 0, _ body: ([Range<Int>?]) throws(SQLError) -> Bool
    ) throws(SQLError) {
        var from = start
        while from <= text.count, let found = search(text, from: from), let whole = found[0] {
            guard try body(found) else { return }
            from = whole.upperBound
            if whole.isEmpty {
                from += 1
                while from < text.count, text[from] & 0xC0 == 0x80 { from += 1 }
            }
        }
    }

    // MARK: - Cache

    private struct Key: Hashable {
        let pattern: String
        let options: RegexOptions
    }

    /// Patterns come from constants nearly always; a stream of patterns may at worst compile each.
    private static let cache = Mutex<[Key: Regex]>([:])
    private static let cacheMax = 64

    /// A compiled expression, from the cache where it was used lately. At most `cacheMax` are kept.
    package static func cached(_ pattern: String, _ options: RegexOptions) throws(SQLError) -> Regex {
        let key = Key(pattern: pattern, options: options)
        if let known = cache.withLock({ $0[key] }) { return known }
        let made = try Regex(pattern, options)
        cache.withLock {
            if $0.count >= cacheMax { $0.removeAll(keepingCapacity: true) }
            $0[key] = made
        }
        return made
    }
}

/// What PostgreSQL's option letters say.
package struct RegexOptions: Hashable, Sendable {
    package var ignoresCase = false
    /// `.` and negated brackets do not match a newline.
    package var isNewlineExcluded = false
    /// `^` and `$` match at newlines too.
    package var isMultiline = false
    /// Blanks and comments in the pattern are ignored.
    package var isExpanded = false
    /// The pattern is taken as it is.
    package var isLiteral = false
    /// All matches, not the first: what `g` says to some functions.
    package var isGlobal = false

    package init(ignoresCase: Bool = false) { self.ignoresCase = ignoresCase }

    /// 22023 for a letter that there is not.
    init(letters: String) throws(SQLError) {
        for letter in letters.unicodeScalars where try !apply(letter) {
            throw SQLError(.invalidParameterValue, "invalid regular expression option: \"\(letter)\"")
        }
    }

    mutating func apply(_ letter: Unicode.Scalar) throws(SQLError) -> Bool {
        switch letter {
        case "g": isGlobal = true
        case "i": ignoresCase = true
        case "c": ignoresCase = false
        case "n", "m": (isNewlineExcluded, isMultiline) = (true, true)
        case "s": (isNewlineExcluded, isMultiline) = (false, false)
        case "p": (isNewlineExcluded, isMultiline) = (true, false)
        case "w": (isNewlineExcluded, isMultiline) = (false, true)
        case "x": isExpanded = true
        case "t": isExpanded = false
        case "q": isLiteral = true
        case "e": isLiteral = false
        case "b": throw SQLError(.featureNotSupported, "basic regular expressions are not supported")
        default: return false
        }
        return true
    }

    /// The options that decide how a pattern is compiled.
    package var compiled: RegexOptions {
        var copy = self
        copy.isGlobal = false
        return copy
    }
}
