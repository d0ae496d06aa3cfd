internal import MartletColumns
internal import MartletCore

extension Accumulator {
    /// The kinds whose results are computed from sums of several things.
    func addComputed(_ input: AccumulatorInput, _ column: Column, _ scratch: BlockScratch) {
        @inline(__always)
        func each(_ body: (Int, Int64, UnsafeMutablePointer<UInt64>) -> Void) {
            for at in 0..<input.count { body(input.row(at), input.weights?[at] ?? 1, words(input.targets[at])) }
        }
        switch kind {
        case .truths:
            let values = column.bools
            each { row, weight, words in
                words[0] &+= UInt64(bitPattern: weight &* Int64(values[row]))
                words[1] &+= UInt64(bitPattern: weight)
            }
        case .bits(let width):
            let values = Accumulator.integers(column, input, scratch)
            for at in 0..<input.count {
                let weight = UInt64(bitPattern: input.weights?[at] ?? 1)
                let words = words(input.targets[at])
                words[0] &+= weight
                let bits = UInt64(bitPattern: values[at])
                for bit in 0..<width where bits &>> UInt64(bit) & 1 == 1 { words[1 + bit] &+= weight }
            }
        case .intervalSum:
            let values = column.intervals
            each { row, weight, words in IntervalSum.add(values[row], weight, words) }
        case .integerMoments:
            let values = Accumulator.integers(column, input, scratch)
            for at in 0..<input.count { IntegerMoments.add(values[at], input.weights?[at] ?? 1, words(input.targets[at])) }
        case .doubleMoments:
            let isDouble = column.physical == .double
            each { row, weight, words in
                DoubleMoments.add(isDouble ? column.doubles[row] : Double(column.floats[row]), weight, words)
            }
        case .regression:
            let views = column.views
            each { row, weight, words in
                // Two doubles as `ValueCodec` lays out a structure: each behind a byte that says whether it is there.
                views[row].withBytes { bytes in
                    guard bytes.count == 18, bytes[0] == 1, bytes[9] == 1, let base = bytes.baseAddress else { return }
                    let y = UnsafeRawPointer(base + 1).loadUnaligned(as: UInt64.self)
                    let x = UnsafeRawPointer(base + 10).loadUnaligned(as: UInt64.self)
                    Regression.add(Double(bitPattern: y), Double(bitPattern: x), weight, words)
                }
            }
        case .count, .integerSum, .decimalSum, .doubleSum, .extreme, .gathered: break
        }
    }

    func mergeComputed(_ words: UnsafeMutablePointer<UInt64>, _ other: UnsafePointer<UInt64>) {
        switch kind {
        case .truths, .bits: for at in 0..<self.words { words[at] &+= other[at] }
        case .intervalSum: IntervalSum.merge(words, other)
        case .integerMoments: IntegerMoments.merge(words, other)
        case .doubleMoments: DoubleMoments.merge(words, other)
        case .regression: Regression.merge(words, other)
        case .count, .integerSum, .decimalSum, .doubleSum, .extreme, .gathered: break
        }
    }

    /// The call's result; `words` are those of this accumulator.
    func computed(_ call: AggregateSpec, _ words: UnsafePointer<UInt64>) throws(SQLError) -> Value {
        switch kind {
        case .truths:
            if words[1] == 0 { return .null }
            return .boolean(call.function == .boolAnd ? words[0] == words[1] : words[0] != 0)
        case .bits(let width):
            let count = words[0]
            if count == 0 { return .null }
            var bits: UInt64 = 0
            for bit in 0..<width {
                let having = words[1 + bit]
                let isSet: Bool
                switch call.function {
                case .bitAnd: isSet = having == count
                case .bitOr: isSet = having != 0
                default: isSet = having & 1 == 1
                }
                if isSet { bits |= 1 << UInt64(bit) }
            }
            return Fold.integerValue(Int64(bitPattern: bits), call.resultType)
        case .intervalSum:
            if words[4] == 0 { return .null }
            return .interval(try call.function == .avg ? IntervalSum.average(words) : IntervalSum.result(words))
        case .integerMoments:
            return try IntegerMoments.moments(words).deviation(isSample: call.isSample, isVariance: call.isVariance)
                .map { .numeric($0) } ?? .null
        case .doubleMoments:
            return DoubleMoments.deviation(words, isSample: call.isSample, isVariance: call.isVariance).map { .double($0) } ?? .null
        case .regression: return Regression.result(call.function, words)
        case .count, .integerSum, .decimalSum, .doubleSum, .extreme, .gathered: return .null
        }
    }
}

extension AggregateSpec {
    fileprivate var isSample: Bool { function == .varSamp || function == .stddevSamp }
    fileprivate var isVariance: Bool { function == .varPop || function == .varSamp }
}
