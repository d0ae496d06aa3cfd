import MartletCore
import MartletLog
import Testing

@testable import MartletKafka

@Suite("Server-side assignment")
struct ConsumerAssignmentTests {
    private typealias Wish = (id: String, topics: Set<TopicID>, present: Set<TopicPartition>)

    private static func facts(_ sizes: [Int32]) -> [TopicID: TopicFacts] {
        Dictionary(
            uniqueKeysWithValues: sizes.enumerated().map { index, size in
                let id = TopicID(high: 7, low: UInt64(index))
                return (id, TopicFacts(name: "t\(index)", id: id, partitions: size))
            })
    }

    @Test("random groups: every wanted partition has one owner that wants it; uniform is even and moves no more than it must")
    func properties() {
        var random = SplitMix64(seed: 11)
        for _ in 0..<400 {
            let facts = Self.facts((0..<1 + random.below(4)).map { _ in Int32(random.below(9)) })
            let all = facts.keys.sorted()
            let isAlike = random.chance(0.5)
            var wishes: [Wish] = (0..<1 + random.below(6)).map { index in
                let topics = isAlike ? Set(all) : Set(all.filter { _ in random.chance(0.6) })
                return (id: "m\(index)", topics: topics, present: [])
            }
            for assignor in [Assignor.uniform, .range] {
                let first = assignor.assign(wishes, facts)
                check(first, wishes, facts)
                guard assignor == .uniform else { continue }
                let counts = wishes.map { first[$0.id]?.count ?? 0 }
                if isAlike { #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1) }
                for index in wishes.indices { wishes[index].present = first[wishes[index].id] ?? [] }
                #expect(assignor.assign(wishes, facts) == first, "nothing moves without a reason")
                guard isAlike, wishes.count > 1 else { continue }
                let gone = wishes.removeLast()
                let next = assignor.assign(wishes, facts)
                check(next, wishes, facts)
                for wish in wishes { #expect(next[wish.id]?.isSuperset(of: wish.present) == true, "only \(gone.id)'s share moves") }
            }
        }
    }

    private func check(_ result: [String: Set<TopicPartition>], _ wishes: [Wish], _ facts: [TopicID: TopicFacts]) {
        var owners: [TopicPartition: String] = [:]
        for wish in wishes {
            for partition in result[wish.id] ?? [] {
                #expect(wish.topics.contains(partition.topic))
                #expect(owners.updateValue(wish.id, forKey: partition) == nil, "two owners")
            }
        }
        let wanted = Set(wishes.flatMap(\.topics)).reduce(0) { $0 + Int(facts[$1]?.partitions ?? 0) }
        #expect(owners.count == wanted)
    }

    @Test("range gives neighbours to one member, the same of every topic")
    func range() {
        let facts = Self.facts([5, 5])
        let topics = Set(facts.keys)
        let result = Assignor.range.assign([("a", topics, []), ("b", topics, [])], facts)
        #expect(result["a"]?.map(\.partition).sorted() == [0, 0, 1, 1, 2, 2])
        #expect(result["b"]?.map(\.partition).sorted() == [3, 3, 4, 4])
    }

    // MARK: patterns

    private static let matching: [(String, [String], [String])] = [
        ("orders", ["orders"], ["order", "orders1", "myorders", ""]),
        ("orders.*", ["orders", "orders-eu", "orders.1"], ["my-orders"]),
        ("^orders-(eu|us)$", ["orders-eu", "orders-us"], ["orders-", "orders-eu-1"]),
        ("[a-c]+[0-9]{2,3}", ["a12", "abc123"], ["a1", "a1234", "d12", "12"]),
        ("[^a]b?", ["b", "xb", "x"], ["a", "ab", "xbb"]),
        (#"\w+\.\d*"#, ["a_1.", "x.12"], [".1", "a-1.1"]),
        (#"a\.b"#, ["a.b"], ["axb"]),
        ("(?i)ORDERS", ["orders", "OrDeRs"], ["order"]),
        ("(?:a|)(?P<n>b)*?", ["", "a", "ab", "bbb"], ["aa", "ba"]),
        ("(a*)*b", ["b", "aaab"], ["aaa"]),
        ("a|b|", ["a", "b", ""], ["ab"]),
        ("x{0,2}", ["", "x", "xx"], ["xxx"]),
        ("x{2,}", ["xx", "xxxxx"], ["x"]),
        (#"[\d\-]+"#, ["1-2", "-"], ["a"]),
        ("[]a]+", ["]", "a]"], ["b"]),
    ]

    @Test("patterns match whole names", arguments: matching.indices)
    func patterns(index: Int) throws {
        let (text, yes, no) = Self.matching[index]
        let pattern = try TopicPattern(text, bytesMax: 4_096)
        for name in yes { #expect(pattern.matches(name), "\(text) should match \(name)") }
        for name in no { #expect(!pattern.matches(name), "\(text) should not match \(name)") }
    }

    @Test("what is no pattern, or too much of one, is refused", arguments: [
        "(", ")", "[", "a{", "a{2", "a{3,2}", "*", "+a", "a(?=b)", "\\", "\\b", "[z-a]", "a$b", "a^", "x{1001}", "(x{1000}){1000}",
        String(repeating: "(", count: 200), String(repeating: "a", count: 5_000), "(?P<n", "((x{1000}){100}){100}",
    ])
    func refused(text: String) {
        #expect(throws: TopicPatternError.self) { try TopicPattern(text, bytesMax: 4_096) }
    }

    @Test("patterns made to explode take no time")
    func noExplosion() throws {
        let name = String(repeating: "a", count: 249)
        for text in ["(a+)+b", "(a|a)*b", "(a*)*(a*)*b", "(((){1000}){1000}){1000}"] {
            #expect(try !TopicPattern(text, bytesMax: 4_096).matches(name))
        }
    }

    @Test("no bytes make the parser trap")
    func garbage() {
        var random = SplitMix64(seed: 5)
        let alphabet = Array("ab01.*+?{},|()[]^$\\-dwP<:>iäé".unicodeScalars)
        for _ in 0..<20_000 {
            var text = ""
            for _ in 0..<random.below(14) { text.unicodeScalars.append(alphabet[random.below(alphabet.count)]) }
            if let pattern = try? TopicPattern(text, bytesMax: 64) { _ = pattern.matches("ab01-a") }
        }
    }
}
