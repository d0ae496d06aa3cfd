import Foundation

/// The seeds that a suite runs: those of `./dev simulate [SEED=n] [CYCLES=n]`, a fixed sample in the tests.
struct Cycles: Sequence {
    let first: UInt64
    let count: UInt64
    /// Seeds that found something once; part of the sample.
    private let past: [UInt64]

    /// Suites share CYCLES by what a cycle costs: this one runs one in `oneIn` of them, and at least one. SEED alone is a
    /// single cycle of every suite.
    init(sample: UInt64, oneIn: UInt64, past: [UInt64] = []) {
        let seed = Self.number("MARTLET_SEED")
        first = seed ?? 1
        self.past = seed == nil ? past : []
        if let cycles = Self.number("MARTLET_CYCLES") {
            count = Swift.max(1, cycles / oneIn)
        } else {
            count = seed == nil ? sample : 1
        }
    }

    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    func makeIterator() -> some IteratorProtocol<UInt64> {
        ((0..<count).map { first &+ $0 } + past).makeIterator()
    }

    /// Whether so many cycles ran that everything that can happen must have happened.
    var areMany: Bool { count >= 50 }

    /// What a failing cycle leaves behind.
    static func replay(_ seed: UInt64, _ failures: [String]) -> String {
        "./dev simulate SEED=\(seed) shows it again:\n\(failures.joined(separator: "\n"))"
    }

    /// The suite's one line.
    func report(_ suite: String, _ counts: KeyValuePairs<String, Int>, trace: UInt64) {
        let counts = counts.map { "\($1) \($0)" }.joined(separator: ", ")
        print("\(suite): \(count) cycles from SEED=\(first): \(counts), trace \(String(trace, radix: 16))")
    }
}
