/// Why a topic pattern is refused.
struct TopicPatternError: Error, CustomStringConvertible {
    var reason: String
    var description: String { reason }
}

/// A regular expression over topic names, in the part of RE2's syntax that names need: literals, `.`, classes `[a-z]` and
/// `[^…]`, `\d \w \s` and their capitals, escapes, groups, alternatives, `* + ?` and `{m,n}` with their lazy forms, `^`, `$` at
/// the ends, `(?i)` in front. A pattern matches a name as a whole.
///
/// Matching walks all ways at once (Thompson 1968): time is the name's length times the pattern's states, which are
/// bounded, so that no pattern can stall the coordinator.
final class TopicPattern: Sendable {
    let text: String

    private enum Step: Sendable {
        case match
        case byte(ByteSet)
        case fork(Int, Int)
        case jump(Int)
    }

    private let program: [Step]

    /// Counted repetitions multiply states; this many are enough for any list of topics.
    private static let statesMax = 10_000
    private static let depthMax = 100
    private static let repetitionsMax = 1_000

    init(_ text: String, bytesMax: Int) throws(TopicPatternError) {
        self.text = text
        guard text.utf8.count <= bytesMax else { throw TopicPatternError(reason: "the pattern is longer than \(bytesMax) bytes") }
        var parser = Parser(Array(text.utf8))
        let tree = try parser.parse()
        var program: [Step] = []
        try TopicPattern.compile(tree, into: &program)
        program.append(.match)
        self.program = program
    }

    func matches(_ name: String) -> Bool {
        var threads = ThreadList(count: program.count)
        follow(0, &threads)
        for byte in name.utf8 {
            var next = ThreadList(count: program.count)
            for index in threads.states { if case .byte(let set) = program[index], set.contains(byte) { follow(index + 1, &next) } }
            threads = next
            if threads.states.isEmpty { return false }
        }
        return threads.states.contains { if case .match = program[$0] { true } else { false } }
    }

    private struct ThreadList {
        var states: [Int] = []
        var isThere: [Bool]
        init(count: Int) { isThere = Array(repeating: false, count: count) }
    }

    private func follow(_ start: Int, _ threads: inout ThreadList) {
        var open = [start]
        while let index = open.popLast() {
            if threads.isThere[index] { continue }
            threads.isThere[index] = true
            switch program[index] {
            case .jump(let target): open.append(target)
            case .fork(let first, let second): open += [second, first]
            case .byte, .match: threads.states.append(index)
            }
        }
    }

    // MARK: from tree to program

    private indirect enum Tree {
        case empty
        case bytes(ByteSet)
        case sequence([Tree])
        case either([Tree])
        /// `most` nil: any number.
        case repeated(Tree, least: Int, most: Int?)
    }

    private static func compile(_ tree: Tree, into program: inout [Step]) throws(TopicPatternError) {
        guard program.count < statesMax else { throw TopicPatternError(reason: "the pattern needs more than \(statesMax) states") }
        switch tree {
        case .empty: break
        case .bytes(let set): program.append(.byte(set))
        case .sequence(let parts): for part in parts { try compile(part, into: &program) }
        case .either(let parts):
            var exits: [Int] = []
            for (index, part) in parts.enumerated() {
                let isLast = index == parts.count - 1
                let fork = program.count
                if !isLast { program.append(.match) }
                try compile(part, into: &program)
                if !isLast {
                    exits.append(program.count)
                    program.append(.match)
                    program[fork] = .fork(fork + 1, program.count)
                }
            }
            for exit in exits { program[exit] = .jump(program.count) }
        case .repeated(let part, let least, let most):
            for _ in 0..<least {
                let before = program.count
                try compile(part, into: &program)
                // Nothing, however often, is nothing.
                if program.count == before { break }
            }
            if let most {
                var forks: [Int] = []
                for _ in least..<max(most, least) {
                    forks.append(program.count)
                    program.append(.match)
                    try compile(part, into: &program)
                }
                for fork in forks { program[fork] = .fork(fork + 1, program.count) }
            } else {
                let fork = program.count
                program.append(.match)
                try compile(part, into: &program)
                program.append(.jump(fork))
                program[fork] = .fork(fork + 1, program.count)
            }
        }
    }

    /// Which of the 256 bytes.
    struct ByteSet: Sendable {
        private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

        func contains(_ byte: UInt8) -> Bool {
            let word = byte < 64 ? words.0 : byte < 128 ? words.1 : byte < 192 ? words.2 : words.3
            return word >> UInt64(byte & 63) & 1 == 1
        }

        mutating func insert(_ byte: UInt8) {
            let bit = UInt64(1) << UInt64(byte & 63)
            switch byte >> 6 {
            case 0: words.0 |= bit
            case 1: words.1 |= bit
            case 2: words.2 |= bit
            default: words.3 |= bit
            }
        }

        mutating func insert(_ range: ClosedRange<UInt8>) { for byte in range { insert(byte) } }

        mutating func formUnion(_ other: ByteSet) {
            words = (words.0 | other.words.0, words.1 | other.words.1, words.2 | other.words.2, words.3 | other.words.3)
        }

        var inverted: ByteSet {
            var copy = self
            copy.words = (~words.0, ~words.1, ~words.2, ~words.3)
            return copy
        }

        /// With both cases of every letter in it.
        var caseless: ByteSet {
            var copy = self
            for letter in UInt8(ascii: "a")...UInt8(ascii: "z") {
                if contains(letter) || contains(letter - 32) { copy.insert(letter); copy.insert(letter - 32) }
            }
            return copy
        }
    }

    // MARK: from text to tree

    private struct Parser {
        private let bytes: [UInt8]
        private var at = 0
        private var depth = 0
        private var isCaseless = false

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

        private mutating func take(_ text: StaticString) -> Bool {
            let wanted = text.withUTF8Buffer { Array($0) }
            guard at + wanted.count <= bytes.count, Array(bytes[at..<at + wanted.count]) == wanted else { return false }
            at += wanted.count
            return true
        }

        private func failure(_ reason: String) -> TopicPatternError {
            TopicPatternError(reason: "\(reason), at byte \(at + 1) of the pattern")
        }

        mutating func parse() throws(TopicPatternError) -> Tree {
            isCaseless = take("(?i)")
            let tree = try alternatives()
            if at < bytes.count { throw failure("a ) without its (") }
            return tree
        }

        private mutating func alternatives() throws(TopicPatternError) -> Tree {
            depth += 1
            defer { depth -= 1 }
            guard depth <= TopicPattern.depthMax else { throw failure("groups are nested deeper than \(TopicPattern.depthMax)") }
            var parts = [try sequence()]
            while take("|") { parts.append(try sequence()) }
            return parts.count == 1 ? parts[0] : .either(parts)
        }

        private mutating func sequence() throws(TopicPatternError) -> Tree {
            var parts: [Tree] = []
            while let byte = next, byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
                var part = try atom(isFirst: parts.isEmpty)
                while let repetition = try repetition() { part = .repeated(part, least: repetition.least, most: repetition.most) }
                parts.append(part)
            }
            return parts.isEmpty ? .empty : .sequence(parts)
        }

        private mutating func repetition() throws(TopicPatternError) -> (least: Int, most: Int?)? {
            let found: (Int, Int?)
            if take("*") {
                found = (0, nil)
            } else if take("+") {
                found = (1, nil)
            } else if take("?") {
                found = (0, 1)
            } else if next == UInt8(ascii: "{") {
                at += 1
                guard let least = try number() else { throw failure("a number is expected after {") }
                var most: Int? = least
                if take(",") { most = try number() }
                guard take("}"), most ?? least >= least else { throw failure("a repetition is written {m}, {m,} or {m,n}") }
                found = (least, most)
            } else {
                return nil
            }
            // Greedy or lazy makes no difference to whether a whole name matches.
            _ = take("?")
            return found
        }

        private mutating func number() throws(TopicPatternError) -> Int? {
            var value: Int?
            while let byte = next, (48...57).contains(byte) {
                at += 1
                let grown = (value ?? 0) * 10 + Int(byte - 48)
                guard grown <= TopicPattern.repetitionsMax else { throw failure("more than \(TopicPattern.repetitionsMax) repetitions") }
                value = grown
            }
            return value
        }

        private mutating func atom(isFirst: Bool) throws(TopicPatternError) -> Tree {
            if take("(") {
                if take("?") {
                    if take("P<") {
                        while let byte = next, byte != UInt8(ascii: ">") { at += 1 }
                        guard take(">") else { throw failure("a group's name does not end") }
                    } else if !take(":") {
                        throw failure("after (? only : or P<name> is known")
                    }
                }
                let tree = try alternatives()
                guard take(")") else { throw failure("a ( without its )") }
                return tree
            }
            // The whole name matches in any case.
            if isFirst, take("^") { return .empty }
            if next == UInt8(ascii: "$") {
                let after = at + 1 < bytes.count ? bytes[at + 1] : nil
                guard after == nil || after == UInt8(ascii: ")") || after == UInt8(ascii: "|") else {
                    throw failure("$ stands only at an end")
                }
                at += 1
                return .empty
            }
            if take("[") { return .bytes(cased(try bracket())) }
            if take("\\") { return .bytes(cased(try escape())) }
            guard let byte = next else { throw failure("the pattern ends too early") }
            if [UInt8](("*+?{^").utf8).contains(byte) { throw failure("nothing to repeat, or ^ inside") }
            at += 1
            var set = ByteSet()
            if byte == UInt8(ascii: ".") { set = set.inverted } else { set.insert(byte) }
            return .bytes(cased(set))
        }

        private func cased(_ set: ByteSet) -> ByteSet { isCaseless ? set.caseless : set }

        private mutating func bracket() throws(TopicPatternError) -> ByteSet {
            let isInverted = take("^")
            var set = ByteSet()
            var isFirst = true
            while let byte = next, byte != UInt8(ascii: "]") || isFirst {
                isFirst = false
                at += 1
                if byte == UInt8(ascii: "\\") {
                    set.formUnion(try escape())
                    continue
                }
                if next == UInt8(ascii: "-"), at + 1 < bytes.count, bytes[at + 1] != UInt8(ascii: "]") {
                    let last = bytes[at + 1]
                    guard byte <= last else { throw failure("a range goes backwards") }
                    set.insert(byte...last)
                    at += 2
                } else {
                    set.insert(byte)
                }
            }
            guard take("]") else { throw failure("a [ without its ]") }
            return isInverted ? set.inverted : set
        }

        private mutating func escape() throws(TopicPatternError) -> ByteSet {
            guard let byte = next else { throw failure("\\ at the end") }
            at += 1
            var set = ByteSet()
            switch byte | 0x20 {
            case UInt8(ascii: "d"): set.insert(48...57)
            case UInt8(ascii: "w"):
                for range in [48...57, 65...90, 97...122] as [ClosedRange<UInt8>] { set.insert(range) }
                set.insert(UInt8(ascii: "_"))
            case UInt8(ascii: "s"): for blank in [9, 10, 12, 13, 32] as [UInt8] { set.insert(blank) }
            default:
                let isWord = (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                guard !isWord else { throw failure("\\\(Character(Unicode.Scalar(byte))) is not known") }
                set.insert(byte)
                return set
            }
            return byte & 0x20 == 0 ? set.inverted : set
        }
    }
}
