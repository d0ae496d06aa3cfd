internal import Glibc
internal import MartletColumns
internal import MartletCore

/// Where a key column lies in a row.
struct KeyField: Sendable {
    let type: DataType
    let physical: PhysicalType
    /// First of its 8-byte words, from the start of the key.
    let word: Int
    let words: Int
    /// Equal values may differ in their words: long strings, NUMERIC, INTERVAL, JSONB.
    let isLoose: Bool

    init(_ type: DataType, word: Int) {
        self.type = type
        physical = PhysicalType(type)
        self.word = word
        switch physical {
        case .bool, .int16, .int32, .int64, .float, .double:
            words = 1
            isLoose = false
        case .view, .interval:
            words = 2
            isLoose = true
        case .uuid:
            words = 2
            isLoose = false
        case .decimal:
            words = 3
            isLoose = true
        }
    }
}

/// The first bytes of every row: header, then key.
///
/// | bytes | what |
/// |---|---|
/// | 0–7 | weight: rows in the group, insertions minus deletions |
/// | 8–11 | upper 32 bits of the key's hash |
/// | 12–13 | bit k: key k is NULL (up to 16 keys; more: in words behind the key) |
/// | 14–15 | flags of the aggregates |
/// | 16… | key words; integers are widened, so that rows compare word by word |
struct KeyLayout: Sendable {
    static let weight = 0
    static let tag = 8
    static let nulls = 12
    static let flags = 14
    static let keys = 16
    private static let nullsMax = 16

    let fields: [KeyField]
    /// Words of the key, with those that hold NULL bits of more than 16 keys.
    let words: Int
    /// Word of the first NULL bits, where there are more than 16 keys.
    let nullWord: Int?
    let hasLoose: Bool

    init(_ types: [DataType]) {
        var word = 0
        fields = types.map { type in
            let field = KeyField(type, word: word)
            word += field.words
            return field
        }
        hasLoose = fields.contains(where: \.isLoose)
        if types.count > KeyLayout.nullsMax {
            nullWord = word
            word += (types.count + 63) / 64
        } else {
            nullWord = nil
        }
        words = word
    }

    /// Bytes of header and key.
    var bytes: Int { KeyLayout.keys + words * 8 }

    @inline(__always)
    func isNull(_ key: Int, in row: UnsafeRawPointer) -> Bool {
        if let nullWord {
            let bits = row.load(fromByteOffset: KeyLayout.keys &+ (nullWord &+ key / 64) &* 8, as: UInt64.self)
            return bits &>> UInt64(key % 64) & 1 == 1
        }
        return row.load(fromByteOffset: KeyLayout.nulls, as: UInt16.self) &>> UInt16(key) & 1 == 1
    }

    /// Whether two keys of equal NULLs are the same key although their words differ.
    func areEqualLoosely(_ left: UnsafePointer<UInt64>, _ right: UnsafePointer<UInt64>) -> Bool {
        guard hasLoose else { return false }
        if let nullWord {
            for word in nullWord..<words where left[word] != right[word] { return false }
        }
        return fields.allSatisfy { $0.areEqual(left + $0.word, right + $0.word) }
    }
}

extension KeyLayout {
    /// Column `key` of the given rows. `heaps` hold the bytes of long strings, which are not copied.
    func column(
        _ key: Int, of rows: UnsafePointer<UnsafeMutableRawPointer>, count: Int, heaps: [ByteHeap]
    ) -> Column {
        let field = fields[key]
        let column = Column(field.type, capacity: count)
        column.count = count
        let offset = KeyLayout.keys + field.word * 8
        @inline(__always)
        func each(_ body: (Int, UnsafePointer<UInt64>) -> Void) {
            for at in 0..<count { body(at, (rows[at] + offset).assumingMemoryBound(to: UInt64.self)) }
        }
        switch field.physical {
        case .bool: each { column.bools[$0] = UInt8(truncatingIfNeeded: $1[0]) }
        case .int16: each { column.int16s[$0] = Int16(truncatingIfNeeded: $1[0]) }
        case .int32: each { column.int32s[$0] = Int32(truncatingIfNeeded: $1[0]) }
        case .int64: each { column.int64s[$0] = Int64(bitPattern: $1[0]) }
        case .float: each { column.floats[$0] = Float(Double(bitPattern: $1[0])) }
        case .double: each { column.doubles[$0] = Double(bitPattern: $1[0]) }
        case .view, .interval, .uuid:
            let pairs = column.values(SIMD2<UInt64>.self)
            each { pairs[$0] = SIMD2($1[0], $1[1]) }
            if field.physical == .view { column.heaps = heaps }
        case .decimal:
            each { column.setDecimal($0, Words.decimal($1)) }
        }
        for at in 0..<count where isNull(key, in: rows[at]) { column.setNull(at) }
        return column
    }
}

extension KeyField {
    @inline(__always)
    fileprivate func areEqual(_ a: UnsafePointer<UInt64>, _ b: UnsafePointer<UInt64>) -> Bool {
        switch physical {
        case .bool, .int16, .int32, .int64, .float, .double: return a[0] == b[0]
        case .uuid: return a[0] == b[0] && a[1] == b[1]
        case .view:
            let left = StringView(head: a[0], tail: a[1])
            let right = StringView(head: b[0], tail: b[1])
            return StringView.areEqual(left, right, as: type)
        case .decimal: return Words.decimal(a) == Words.decimal(b)
        case .interval: return Words.interval(a) == Words.interval(b)
        }
    }
}

/// Values as runs of 8-byte words.
enum Words {
    @inline(__always)
    static func int128(_ words: UnsafePointer<UInt64>) -> Int128 {
        Int128(truncatingIfNeeded: words[0]) | (Int128(Int64(bitPattern: words[1])) << 64)
    }

    @inline(__always)
    static func store(_ value: Int128, _ words: UnsafeMutablePointer<UInt64>) {
        words[0] = UInt64(truncatingIfNeeded: value)
        words[1] = UInt64(truncatingIfNeeded: value >> 64)
    }

    @inline(__always)
    static func decimal(_ words: UnsafePointer<UInt64>) -> Decimal {
        Decimal(coefficient: int128(words), scale: UInt8(truncatingIfNeeded: words[2]))
    }

    @inline(__always)
    static func interval(_ words: UnsafePointer<UInt64>) -> Interval {
        Interval(
            months: Int32(truncatingIfNeeded: words[0]), days: Int32(truncatingIfNeeded: words[0] >> 32),
            micros: Int64(bitPattern: words[1]))
    }

    /// Equal for equal numbers: one NaN, one zero.
    @inline(__always)
    static func bits(_ value: Double) -> UInt64 { value.isNaN ? Double.nan.bitPattern : (value + 0.0).bitPattern }
}
