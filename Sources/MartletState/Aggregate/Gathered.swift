internal import MartletColumns
internal import MartletCore

/// What one call of one group remembers where a few words do not do: an object per group and call. The table's row holds
/// a counted reference in a word; partial tables merge theirs, and everything that SQL lets be withdrawn can be.
///
/// One thread writes; while nobody writes, any may read.
class Gathered {
    /// What was last given out, where the table tells changes: the old side of the next one.
    final var shown: Result<Value, SQLError>?
    /// Whether anything was given out.
    var isShown: Bool { shown != nil }

    /// Notes the present result as given out.
    func show(_ shape: GatherShape) { shown = Result { () throws(SQLError) in try result(shape) } }

    /// Bytes held, roughly.
    final var bytes = 64

    /// The object that a row's word refers to; the row keeps it.
    static func at(_ words: UnsafePointer<UInt64>) -> Gathered? {
        guard let object = UnsafeRawPointer(bitPattern: UInt(words[0])) else { return nil }
        return Unmanaged<Gathered>.fromOpaque(object).takeUnretainedValue()
    }

    func add(_ column: Column, _ row: Int, weight: Int64) {}
    /// `other` has the same shape and is only read.
    func merge(_ other: Gathered) {}
    func result(_ shape: GatherShape) throws(SQLError) -> Value { .null }
    func save(into writer: StateWriter) { preconditionFailure("every kind saves itself") }
    /// Into one just made of the same shape.
    func restore(from reader: StateReader) throws(StateError) { preconditionFailure("every kind restores itself") }
}

/// How a call gathers, fixed when its layout is made.
struct GatherShape: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        /// A multiset of single values that are one word.
        case words
        /// A multiset of values by their bytes.
        case items
        /// The first row by the call's order, alone.
        case best
        case least, greatest
        case distinctSketch
        case quantileSketch
        case decimalMoments
    }

    let kind: Kind
    let function: AggregateFunction
    let options: AggregateOptions
    let argument: DataType
    let result: DataType
    /// How often a value came matters: it shows, or values may be withdrawn.
    let isCounting: Bool

    /// The result is the number of values that are there: `GatheredWords.number`.
    var isNumber: Bool { kind == .words && (function == .count || function == .approxCountDistinct) }

    /// nil: the call is kept in words of the row.
    init?(_ call: AggregateSpec) {
        guard let argument = call.argumentType else { return nil }
        function = call.function
        options = call.options
        self.argument = argument
        result = call.resultType
        isCounting = call.takesWithdrawals || !(call.options.isDistinct || function == .approxCountDistinct)
        let isWord = options.packed == 0 && WordImage.exists(for: argument)
        if options.isDistinct, !function.ignoresDistinct {
            // Equal values of other digits (1.0, 1.00) are one to count, whose result shows no digits.
            kind = isWord && function.skipsNulls ? .words : .items
            return
        }
        switch function {
        case .min where call.takesWithdrawals: kind = .least
        case .max where call.takesWithdrawals: kind = .greatest
        case .min where argument.isNested: kind = .least
        case .max where argument.isNested: kind = .greatest
        case .firstValue, .lastValue, .argMin, .argMax, .anyValue: kind = call.takesWithdrawals ? .items : .best
        case .arrayAgg, .percentileCont, .percentileDisc, .mode:
            kind = isWord && function.skipsNulls ? .words : .items
        case .stringAgg, .jsonbAgg, .jsonbObjectAgg: kind = .items
        case .approxCountDistinct: kind = call.takesWithdrawals ? (isWord ? .words : .items) : .distinctSketch
        case .approxPercentile: kind = .quantileSketch
        case .varPop, .varSamp, .stddevPop, .stddevSamp:
            guard case .numeric = argument else { return nil }
            kind = .decimalMoments
        default: return nil
        }
    }

    func make() -> Gathered {
        switch kind {
        case .words: GatheredWords(argument, isCounting: isCounting)
        case .items: GatheredItems(isCanonical: function == .count || function == .approxCountDistinct)
        case .best: GatheredBest(self)
        case .least: GatheredExtreme(argument, isMax: false)
        case .greatest: GatheredExtreme(argument, isMax: true)
        case .distinctSketch: DistinctSketch()
        case .quantileSketch: QuantileSketch(options.constants.count > 1 ? options.constants[1] : .null)
        case .decimalMoments: GatheredMoments()
        }
    }
}

/// Numbers and times as integers whose order is the values' order: equal values have equal words.
enum WordImage {
    static func exists(for type: DataType) -> Bool {
        switch PhysicalType(type) {
        case .bool, .int16, .int32, .int64, .float, .double: true
        case .decimal, .view, .interval, .uuid: false
        }
    }

    static func word(_ column: Column, _ row: Int) -> Int64 {
        switch column.physical {
        case .bool: Int64(column.bools[row])
        case .int16: Int64(column.int16s[row])
        case .int32: Int64(column.int32s[row])
        case .int64: column.int64s[row]
        case .float: ordered(Double(column.floats[row]))
        default: ordered(column.doubles[row])
        }
    }

    /// One zero, one NaN above all.
    private static func ordered(_ value: Double) -> Int64 {
        let bits = Int64(bitPattern: Words.bits(value))
        return bits < 0 ? bits ^ .max : bits
    }

    static func double(_ word: Int64) -> Double { Double(bitPattern: UInt64(bitPattern: word < 0 ? word ^ .max : word)) }

    static func value(_ word: Int64, _ type: DataType) -> Value {
        switch type {
        case .boolean: .boolean(word != 0)
        case .smallint: .smallint(Int16(truncatingIfNeeded: word))
        case .integer: .integer(Int32(truncatingIfNeeded: word))
        case .date: .date(Int32(truncatingIfNeeded: word))
        case .time: .time(word)
        case .timestamp: .timestamp(word)
        case .timestamptz: .timestamptz(word)
        case .real: .real(Float(double(word)))
        case .double: .double(double(word))
        default: .bigint(word)
        }
    }
}

/// A multiset of one-word values; a set, where it does not matter how often each came.
final class GatheredWords: Gathered {
    private var counts: WordCounts
    private let type: DataType
    /// The number of values last given out, where that is the result; -1: none was.
    private var shownNumber: Int64 = -1

    init(_ type: DataType, isCounting: Bool) {
        self.type = type
        counts = WordCounts(isCounting: isCounting)
    }

    deinit { counts.deallocate() }

    /// Asks for the slot of a value that will be added.
    func prefetch(_ word: Int64) { counts.prefetch(word) }

    override func add(_ column: Column, _ row: Int, weight: Int64) {
        counts.add(WordImage.word(column, row), weight)
        bytes = 64 + counts.memoryBytes
    }

    override func merge(_ other: Gathered) {
        guard let other = other as? GatheredWords else { return }
        counts.merge(other.counts)
        bytes = 64 + counts.memoryBytes
    }

    /// How many values there are; `isOld`: as last given out. `isKept`: it is given out now.
    func number(isOld: Bool, isKept: Bool) -> Int64 {
        if isOld, shownNumber >= 0 { return shownNumber }
        let number = Int64(counts.positive)
        if isKept { shownNumber = number }
        return number
    }

    override var isShown: Bool { super.isShown || shownNumber >= 0 }

    override func show(_ shape: GatherShape) {
        if shape.isNumber { shownNumber = Int64(counts.positive) } else { super.show(shape) }
    }

    override func result(_ shape: GatherShape) throws(SQLError) -> Value {
        if shape.isNumber { return .bigint(Int64(counts.positive)) }
        return try Fold.result(
            shape,
            counts.sorted.filter { $0.count > 0 }.map {
                Fold.Row(arguments: [WordImage.value($0.word, type)], sort: [], count: $0.count)
            })
    }

    /// Ascending.
    override func save(into writer: StateWriter) {
        writer.write(UInt64(counts.count))
        for (word, count) in counts.sorted {
            writer.write(word)
            writer.write(count)
        }
    }

    override func restore(from reader: StateReader) throws(StateError) {
        for (word, count) in try reader.readWords() {
            guard counts.isCounting || count > 0 else { throw reader.error("a value that was taken back") }
            counts.add(word, count)
        }
        bytes = 64 + counts.memoryBytes
    }
}

/// A multiset of values, or of rows of arguments and keys of ORDER BY, by their bytes (`ValueCodec`).
final class GatheredItems: Gathered {
    private(set) var counts: [[UInt8]: Int64] = [:]
    /// Equal values are to have equal bytes.
    private let isCanonical: Bool
    private var buffer: [UInt8] = []

    init(isCanonical: Bool) { self.isCanonical = isCanonical }

    override func add(_ column: Column, _ row: Int, weight: Int64) {
        buffer.removeAll(keepingCapacity: true)
        if isCanonical, ValueCodec.isLoose(column.type) {
            ValueCodec.encodeInner(ValueCodec.canonical(column.value(at: row)), into: &buffer)
        } else {
            column.encode(row, into: &buffer)
        }
        add(buffer, weight)
    }

    private func add(_ item: [UInt8], _ weight: Int64) {
        let old = counts[item]
        let count = (old ?? 0) &+ weight
        if count == 0 {
            if old != nil {
                counts[item] = nil
                bytes -= 64 + item.count
            }
        } else {
            counts[item] = count
            if old == nil { bytes += 64 + item.count }
        }
    }

    override func merge(_ other: Gathered) {
        guard let other = other as? GatheredItems else { return }
        for (item, count) in other.counts { add(item, count) }
    }

    override func result(_ shape: GatherShape) throws(SQLError) -> Value {
        if shape.function == .count || shape.function == .approxCountDistinct { return .bigint(Int64(counts.count { $0.value > 0 })) }
        var rows: [(row: Fold.Row, bytes: [UInt8])] = []
        rows.reserveCapacity(counts.count)
        for (item, count) in counts where count > 0 {
            guard let row = Fold.Row(item, shape, count: count) else { continue }
            rows.append((row, item))
        }
        rows.sort { left, right in
            let order = Fold.compare(left.row, right.row, shape)
            return order != 0 ? order < 0 : left.bytes.lexicographicallyPrecedes(right.bytes)
        }
        return try Fold.result(shape, rows.map(\.row))
    }

    override func save(into writer: StateWriter) { writer.write(multiset: counts) }

    override func restore(from reader: StateReader) throws(StateError) {
        counts = try reader.readItems()
        bytes += counts.keys.reduce(0) { $0 + 64 + $1.count }
    }
}

/// The first row in the call's order: all that an ordered choice needs where nothing is withdrawn.
final class GatheredBest: Gathered {
    private let shape: GatherShape
    private var best: (row: Fold.Row, bytes: [UInt8])?
    private var isWithdrawn = false
    private var buffer: [UInt8] = []

    init(_ shape: GatherShape) { self.shape = shape }

    override func add(_ column: Column, _ row: Int, weight: Int64) {
        guard weight > 0 else {
            isWithdrawn = true
            return
        }
        buffer.removeAll(keepingCapacity: true)
        column.encode(row, into: &buffer)
        offer(buffer)
    }

    private func offer(_ item: [UInt8]) {
        guard let row = Fold.Row(item, shape, count: 1) else { return }
        if let best {
            let order = Fold.compare(row, best.row, shape)
            let isBefore = order != 0 ? order < 0 : item.lexicographicallyPrecedes(best.bytes)
            if isBefore == (shape.function == .lastValue) { return }
        }
        best = (row, item)
        bytes = 128 + 2 * item.count
    }

    override func merge(_ other: Gathered) {
        guard let other = other as? GatheredBest else { return }
        if other.isWithdrawn { isWithdrawn = true }
        if let theirs = other.best { offer(theirs.bytes) }
    }

    override func result(_ shape: GatherShape) throws(SQLError) -> Value {
        if isWithdrawn { throw AggregateTable.withdrawal(shape.function) }
        return try Fold.result(shape, best.map { [$0.row] } ?? [])
    }

    override func save(into writer: StateWriter) {
        writer.write(isWithdrawn)
        writer.write(best?.bytes ?? [])
    }

    override func restore(from reader: StateReader) throws(StateError) {
        isWithdrawn = try reader.readFlag()
        let item = try reader.readBytes()
        offer(item)
        guard (best == nil) == item.isEmpty else { throw reader.error("a value of another type") }
    }
}

/// Exact sums for variance and deviation of NUMERIC.
final class GatheredMoments: Gathered {
    private var moments = NumericMoments()

    override func add(_ column: Column, _ row: Int, weight: Int64) { moments.add(column.decimal(row), weight: weight) }

    override func merge(_ other: Gathered) {
        if let other = other as? GatheredMoments { moments.merge(other.moments) }
    }

    override func result(_ shape: GatherShape) throws(SQLError) -> Value {
        let function = shape.function
        return try moments.deviation(
            isSample: function == .varSamp || function == .stddevSamp, isVariance: function == .varPop || function == .varSamp
        ).map { .numeric($0) } ?? .null
    }

    override func save(into writer: StateWriter) { writer.write(moments.image) }

    override func restore(from reader: StateReader) throws(StateError) {
        guard let saved = NumericMoments(image: try reader.readNumbers(UInt32.self, max: 1 << 20)) else {
            throw reader.error("sums that cannot be")
        }
        moments = saved
    }
}
