internal import MartletColumns
package import MartletCore

/// A running value in a row, behind the key.
struct Accumulator: Sendable {
    enum Kind: Sendable, Hashable {
        /// Rows that are not NULL: 1 word.
        case count
        /// Exact 128-bit sum (2 words), count (1 word).
        case integerSum
        /// Coefficient (2 words), count, scale, counts of NaN, Infinity and -Infinity: see `DecimalSum`.
        case decimalSum
        /// Two doubles, count, counts of NaN, Infinity and -Infinity: see `DoubleSum`.
        case doubleSum
        /// The least or greatest so far; before the first value the identity where the type has one.
        case extreme(Extreme, isMax: Bool)
        /// How many are true, count.
        case truths
        /// Count, then for each bit how many have it.
        case bits(width: Int)
        case intervalSum, integerMoments, doubleMoments, regression
        /// A reference to an object of the group (1 word; 0: nothing came yet).
        case gathered(GatherShape)
    }

    enum Extreme: Sendable, Hashable { case integer, double, decimal, text, interval, uuid }

    let kind: Kind
    /// The call whose argument and filter feed it.
    let call: Int
    /// From the start of the row.
    let offset: Int
    /// NULL counts as a value.
    var takesNulls = false
    /// Place and bits of the extremes' flags: a value was seen; a value was withdrawn, which an extreme cannot do.
    var flagOffset = 0
    var seen: UInt8 = 0
    var withdrawn: UInt8 = 0

    var words: Int { Accumulator.words(kind) }

    static func words(_ kind: Kind) -> Int {
        switch kind {
        case .count: 1
        case .integerSum: 3
        case .decimalSum, .doubleSum: 5
        case .truths: 2
        case .bits(let width): 1 + width
        case .intervalSum: IntervalSum.words
        case .integerMoments: IntegerMoments.words
        case .doubleMoments: DoubleMoments.words
        case .regression: Regression.words
        case .gathered: 1
        case .extreme(let extreme, _):
            switch extreme {
            case .integer, .double: 1
            case .text, .interval, .uuid: 2
            case .decimal: 3
            }
        }
    }

    /// What the words are before the first row.
    var initial: [UInt64] {
        switch kind {
        case .count, .integerSum, .decimalSum, .doubleSum, .truths, .bits, .intervalSum, .integerMoments, .doubleMoments, .regression,
            .gathered:
            break
        case .extreme(.integer, let isMax): return [UInt64(bitPattern: isMax ? .min : .max)]
        // NaN is above Infinity.
        case .extreme(.double, let isMax): return [(isMax ? -Double.infinity : .nan).bitPattern]
        case .extreme: break
        }
        return Array(repeating: 0, count: words)
    }
}

/// What rows of an aggregate table look like, and how results are read off them. Made once, shared by all tables of
/// an operator and between threads.
package final class AggregateLayout: Sendable {
    /// How a call's result comes about.
    enum Output: Sendable {
        case weight
        /// A count at an offset.
        case count(Int)
        case sum(Accumulator)
        case average(Accumulator)
        case extreme(Accumulator)
        /// The function's result from the words.
        case computed(Accumulator)
        case gathered(Accumulator, GatherShape)
        /// The function does not take the type; each result is an error.
        case unsupported
    }

    let keys: KeyLayout
    let calls: [AggregateSpec]
    let accumulators: [Accumulator]
    /// Accumulators that are fed together.
    let bundles: [IntegerBundle]
    let outputs: [Output]
    /// The bytes behind header and key of a new row.
    let template: [UInt8]
    /// Offset of the number of a changed row's old image (a word), where changes are kept.
    let mark: Int?
    let ownsText: Bool
    /// Some calls keep an object for each group.
    package let ownsObjects: Bool

    package init(keys types: [DataType], calls: [AggregateSpec], tracksChanges: Bool = false) {
        keys = KeyLayout(types)
        self.calls = calls
        var builder = Builder(base: keys.bytes)
        // Sums first, so that counts of the same input can be read off them.
        for (at, call) in calls.enumerated() where !call.isPlainCount { builder.add(call, at) }
        for (at, call) in calls.enumerated() where call.isPlainCount { builder.add(call, at) }
        builder.placeFlags()
        mark = tracksChanges ? builder.offset : nil
        if tracksChanges { builder.words.append(0) }
        accumulators = builder.accumulators
        bundles = builder.bundles()
        outputs = calls.indices.map { builder.output(calls[$0], $0) }
        template = builder.words.withUnsafeBytes { Array($0) }
        ownsText = accumulators.contains {
            if case .extreme(.text, _) = $0.kind { true } else { false }
        }
        ownsObjects = accumulators.contains {
            if case .gathered = $0.kind { true } else { false }
        }
    }

    private struct Builder {
        var offset: Int
        var words: [UInt64] = []
        var accumulators: [Accumulator] = []
        private var places: [Place: Int] = [:]

        private struct Place: Hashable {
            let input: Int
            let kind: Accumulator.Kind
        }

        init(base: Int) { offset = base }

        /// Calls that share nothing have a number of their own.
        private func input(_ call: AggregateSpec, _ at: Int) -> Int { call.input ?? -1 - at }

        private func kind(_ call: AggregateSpec) -> Accumulator.Kind? {
            guard let type = call.argumentType else { return .count }
            if let shape = GatherShape(call) { return .gathered(shape) }
            switch call.function {
            case .countAll, .count: return .count
            case .sum, .avg:
                switch type {
                case .smallint, .integer, .bigint: return .integerSum
                case .numeric: return .decimalSum
                case .real, .double: return .doubleSum
                case .interval: return .intervalSum
                case .boolean, .text, .bytea, .date, .time, .timestamp, .timestamptz, .jsonb, .uuid, .array, .structure,
                    .unknown:
                    return nil
                }
            case .boolAnd, .boolOr: return type == .boolean ? .truths : nil
            case .bitAnd, .bitOr, .bitXor:
                switch type {
                case .smallint: return .bits(width: 16)
                case .integer: return .bits(width: 32)
                case .bigint: return .bits(width: 64)
                default: return nil
                }
            case .varPop, .varSamp, .stddevPop, .stddevSamp:
                return type.isInteger ? .integerMoments : type.isFloat ? .doubleMoments : nil
            case .covarPop, .covarSamp, .corr, .regrCount, .regrAverageX, .regrAverageY, .regrSumXX, .regrSumYY, .regrSumXY,
                .regrSlope, .regrIntercept, .regrR2:
                return call.options.packed == 2 ? .regression : nil
            case .stringAgg, .arrayAgg, .jsonbAgg, .jsonbObjectAgg, .firstValue, .lastValue, .anyValue, .argMin, .argMax, .mode,
                .percentileCont, .percentileDisc, .approxCountDistinct, .approxPercentile:
                return nil
            case .min, .max:
                guard AggregateSpec.resultType(call.function, of: type) != nil else { return nil }
                let isMax = call.function == .max
                switch PhysicalType(type) {
                case .bool, .int16, .int32, .int64: return .extreme(.integer, isMax: isMax)
                case .float, .double: return .extreme(.double, isMax: isMax)
                case .decimal: return .extreme(.decimal, isMax: isMax)
                case .view: return .extreme(.text, isMax: isMax)
                case .interval: return .extreme(.interval, isMax: isMax)
                case .uuid: return .extreme(.uuid, isMax: isMax)
                }
            }
        }

        private func isWeight(_ call: AggregateSpec) -> Bool { call.function == .countAll && !call.isFiltered }

        mutating func add(_ call: AggregateSpec, _ at: Int) {
            guard let kind = kind(call), !isWeight(call) else { return }
            let input = input(call, at)
            if call.isPlainCount, shared(input) != nil { return }
            let place = Place(input: input, kind: kind)
            guard places[place] == nil else { return }
            var accumulator = Accumulator(kind: kind, call: at, offset: offset)
            accumulator.takesNulls = !call.function.skipsNulls
            places[place] = accumulators.count
            accumulators.append(accumulator)
            words += accumulator.initial
            offset += accumulator.words * 8
        }

        /// An accumulator of the input that counts along, and where.
        private func shared(_ input: Int) -> Int? {
            for kind in [Accumulator.Kind.integerSum, .decimalSum, .doubleSum] {
                if let at = places[Place(input: input, kind: kind)] { return accumulators[at].offset + 16 }
            }
            return nil
        }

        /// Two bits for each extreme: in the header where they fit, else behind the accumulators.
        mutating func placeFlags() {
            let extremes = accumulators.indices.filter {
                if case .extreme = accumulators[$0].kind { true } else { false }
            }
            var base = KeyLayout.flags
            if extremes.count > 8 {
                base = offset
                let extra = (extremes.count + 31) / 32
                words += Array(repeating: 0, count: extra)
                offset += extra * 8
            }
            for (number, at) in extremes.enumerated() {
                accumulators[at].flagOffset = base + number / 4
                accumulators[at].seen = 1 << UInt8(number % 4 * 2)
                accumulators[at].withdrawn = 2 << UInt8(number % 4 * 2)
            }
        }

        /// Sums and extremes of the integers of one input, whose flags are in the header.
        func bundles() -> [IntegerBundle] {
            var bundles: [Int: IntegerBundle] = [:]
            for (place, at) in places where accumulators[at].flagOffset <= KeyLayout.flags + 1 {
                bundles[place.input, default: IntegerBundle()].add(accumulators[at], number: at)
            }
            return bundles.values.filter { $0.members.count > 1 }.sorted { $0.members[0] < $1.members[0] }
        }

        func output(_ call: AggregateSpec, _ at: Int) -> Output {
            guard let kind = kind(call) else { return .unsupported }
            let input = input(call, at)
            if case .gathered(let shape) = kind {
                return places[Place(input: input, kind: kind)].map { .gathered(accumulators[$0], shape) } ?? .unsupported
            }
            if kind == .intervalSum { return places[Place(input: input, kind: kind)].map { .computed(accumulators[$0]) } ?? .unsupported }
            switch call.function {
            case .countAll, .count:
                if isWeight(call) { return .weight }
                if call.function == .count, let offset = shared(input) { return .count(offset) }
                return places[Place(input: input, kind: kind)].map { .count(accumulators[$0].offset) } ?? .unsupported
            case .sum: return places[Place(input: input, kind: kind)].map { .sum(accumulators[$0]) } ?? .unsupported
            case .avg: return places[Place(input: input, kind: kind)].map { .average(accumulators[$0]) } ?? .unsupported
            case .min, .max:
                return places[Place(input: input, kind: kind)].map { .extreme(accumulators[$0]) } ?? .unsupported
            default: return places[Place(input: input, kind: kind)].map { .computed(accumulators[$0]) } ?? .unsupported
            }
        }
    }
}
