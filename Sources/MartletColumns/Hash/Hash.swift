internal import MartletCore

/// Row hashes: 64 bits over the key columns of a row, the same on every machine and in every run, since shards, key
/// groups and later partitions on disk are chosen by them.
///
/// Values that SQL takes for the same key hash alike: NULLs among themselves, -0.0 and 0.0, all NaNs, NUMERIC 1.0 and
/// 1.00, INTERVAL '1 month' and '30 days', a SMALLINT and a BIGINT of one value. The step is a 64×64→128-bit
/// multiplication whose halves are folded (as in wyhash).
package enum Hash {
    /// Key groups: the unit of sharding, the top 8 bits of a hash.
    package static let keyGroupCount = 256

    @inline(__always)
    package static func keyGroup(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash &>> 56) }

    /// Hashes rows `0 ..< count` over `columns` (none: all rows alike) into `hashes`.
    package static func rows(_ columns: [Column], count: Int, into hashes: UnsafeMutablePointer<UInt64>) {
        if columns.count == 1, columns[0].physical == .int64, columns[0].validity == nil {
            // The commonest key, in one pass.
            precondition(columns[0].count >= count, "a key column is shorter than the batch")
            let values = columns[0].int64s
            for row in 0..<count { hashes[row] = finish(step(seed, UInt64(bitPattern: values[row]))) }
            return
        }
        hashes.update(repeating: seed, count: count)
        for column in columns {
            precondition(column.count >= count, "a key column is shorter than the batch")
            mix(column, count, hashes)
        }
        for row in 0..<count { hashes[row] = finish(hashes[row]) }
    }

    package static func rows(_ columns: [Column], count: Int) -> [UInt64] {
        [UInt64](unsafeUninitializedCapacity: count) { buffer, initialised in
            if let base = buffer.baseAddress { rows(columns, count: count, into: base) }
            initialised = count
        }
    }

    private static let seed: UInt64 = 0xA076_1D64_78BD_642F
    private static let factor: UInt64 = 0xE703_7ED1_A0B4_28DB
    private static let last: UInt64 = 0x8EBC_6AF0_9C88_C6E3
    private static let long: UInt64 = 0x5899_65CC_7537_4CC3
    private static let null: UInt64 = 0x1D8E_4E27_C47D_124F

    /// Both halves of a product, folded: every bit of the answer depends on every bit of the factors.
    @inline(__always)
    private static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    @inline(__always) private static func step(_ hash: UInt64, _ word: UInt64) -> UInt64 { fold(hash ^ word, factor) }
    @inline(__always) private static func finish(_ hash: UInt64) -> UInt64 { fold(hash ^ last, long) }

    private static func mix(_ column: Column, _ count: Int, _ hashes: UnsafeMutablePointer<UInt64>) {
        switch column.physical {
        case .bool: words(column, count, hashes, column.bools) { UInt64($0) }
        case .int16: words(column, count, hashes, column.int16s) { UInt64(bitPattern: Int64($0)) }
        case .int32: words(column, count, hashes, column.int32s) { UInt64(bitPattern: Int64($0)) }
        case .int64: words(column, count, hashes, column.int64s) { UInt64(bitPattern: $0) }
        case .float: words(column, count, hashes, column.floats) { bits(Double($0)) }
        case .double: words(column, count, hashes, column.doubles) { bits($0) }
        case .view:
            if column.type == .jsonb {
                documents(column, count, hashes)
            } else if column.type.isNested, ValueCodec.isLoose(column.type) {
                nested(column, count, hashes)
            } else {
                let views = column.views
                each(column, count, hashes) { hash, row in text(hash, views + row) }
            }
        case .interval:
            let intervals = column.intervals
            each(column, count, hashes) { hash, row in
                let micros = intervals[row].comparisonMicros
                return pair(hash, UInt64(truncatingIfNeeded: micros), UInt64(truncatingIfNeeded: micros >> 64))
            }
        case .uuid:
            let words = column.values(SIMD2<UInt64>.self)
            each(column, count, hashes) { hash, row in pair(hash, words[row][0], words[row][1]) }
        case .decimal:
            let coefficients = column.coefficients
            guard let scales = column.scales else { return }
            each(column, count, hashes) { hash, row in
                step(hash, residue(coefficients[row], scale: scales[row]))
            }
        }
    }

    @inline(__always)
    private static func words<Element: BitwiseCopyable>(
        _ column: Column, _ count: Int, _ hashes: UnsafeMutablePointer<UInt64>, _ values: UnsafePointer<Element>,
        _ word: (Element) -> UInt64
    ) {
        if let validity = column.validity {
            for row in 0..<count {
                let isNull = UInt64(validity[row]) &- 1
                hashes[row] = step(hashes[row], word(values[row]) | (isNull & null))
            }
        } else {
            for row in 0..<count { hashes[row] = step(hashes[row], word(values[row])) }
        }
    }

    @inline(__always)
    private static func each(
        _ column: Column, _ count: Int, _ hashes: UnsafeMutablePointer<UInt64>, _ next: (UInt64, Int) -> UInt64
    ) {
        if let validity = column.validity {
            for row in 0..<count {
                hashes[row] = validity[row] == 0 ? step(hashes[row], null) : next(hashes[row], row)
            }
        } else {
            for row in 0..<count { hashes[row] = next(hashes[row], row) }
        }
    }

    @inline(__always)
    private static func bits(_ value: Double) -> UInt64 {
        value.isNaN ? Double.nan.bitPattern : (value + 0.0).bitPattern
    }

    @inline(__always)
    private static func pair(_ hash: UInt64, _ low: UInt64, _ high: UInt64) -> UInt64 {
        step(fold(hash ^ low, seed), high)
    }

    /// Up to 16 bytes are two words, wherever the bytes are: chosen without a branch, which mixed lengths would make
    /// unpredictable.
    @inline(__always)
    private static func text(_ hash: UInt64, _ view: UnsafePointer<StringView>) -> UInt64 {
        let count = view.pointee.count
        if count > 16 { return bytes(hash, UnsafeRawPointer(view.pointee.pointer), count) }
        // All ones where the bytes are inline; the compiler makes a branch of `?:`.
        let mask = (count &- StringView.inlineCapacity &- 1) &>> 63
        let inline = Int(bitPattern: view) &+ 4
        let outside = Int(truncatingIfNeeded: view.pointee.tail)
        let start = UnsafeRawPointer(bitPattern: (inline & mask) | (outside & ~mask)).unsafelyUnwrapped
        // Inline: bytes 0–7 and 4–11, zeros behind the end; else the first and the last eight.
        let second = start.loadUnaligned(fromByteOffset: (4 & mask) | ((count &- 8) & ~mask), as: UInt64.self)
        return pair(hash ^ UInt64(truncatingIfNeeded: count), start.loadUnaligned(as: UInt64.self), second)
    }

    /// More than 16 bytes: 16 at a time, the last 16 overlapping.
    private static func bytes(_ hash: UInt64, _ start: UnsafeRawPointer, _ count: Int) -> UInt64 {
        var hash = hash ^ UInt64(truncatingIfNeeded: count)
        var at = 0
        while at &+ 16 < count {
            let low = start.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            let high = start.loadUnaligned(fromByteOffset: at &+ 8, as: UInt64.self)
            hash = fold(hash ^ low, high ^ long)
            at &+= 16
        }
        let first = start.loadUnaligned(fromByteOffset: count &- 16, as: UInt64.self)
        let second = start.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
        return pair(hash, first, second)
    }

    /// Equal documents may differ in the trailing zeros of numbers only.
    private static func documents(_ column: Column, _ count: Int, _ hashes: UnsafeMutablePointer<UInt64>) {
        let views = column.views
        each(column, count, hashes) { hash, row in
            Documents.withoutTrailingZeros(views[row]) { bytes in
                StringView.withTemporary(bytes) { view in withUnsafePointer(to: view) { text(hash, $0) } }
            }
        }
    }

    /// Equal arrays and structures may differ in the bytes of numbers within.
    private static func nested(_ column: Column, _ count: Int, _ hashes: UnsafeMutablePointer<UInt64>) {
        each(column, count, hashes) { hash, row in
            let bytes = ValueCodec.encode(ValueCodec.canonical(column.value(at: row)))
            return bytes.withUnsafeBufferPointer { bytes in
                StringView.withTemporary(bytes) { view in withUnsafePointer(to: view) { text(hash, $0) } }
            }
        }
    }

    // MARK: - NUMERIC

    private static let prime: UInt64 = (1 << 61) - 1

    /// 10^-scale modulo 2^61 - 1, for scales 0…38.
    private static let inverses: [UInt64] = {
        // 10^(p-2) is the inverse of 10.
        var inverse: UInt64 = 1
        var power: UInt64 = 10
        var exponent = prime - 2
        while exponent > 0 {
            if exponent & 1 == 1 { inverse = product(inverse, power) }
            power = product(power, power)
            exponent >>= 1
        }
        var table: [UInt64] = [1]
        for _ in 1...Int(Decimal.scaleMax) { table.append(product(table[table.count - 1], inverse)) }
        return table
    }()

    @inline(__always)
    private static func product(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let full = left.multipliedFullWidth(by: right)
        return reduce((full.low & prime) &+ ((full.low &>> 61) | (full.high &<< 3)))
    }

    @inline(__always)
    private static func reduce(_ value: UInt64) -> UInt64 {
        let once = (value & prime) &+ (value &>> 61)
        return once >= prime ? once &- prime : once
    }

    /// The number as an element of the field modulo 2^61 - 1, where 1.0 = 10/10 and 1.00 = 100/100 coincide without
    /// any trailing zero being looked for.
    @inline(__always)
    private static func residue(_ coefficient: Int128, scale: UInt8) -> UInt64 {
        if scale == 0, coefficient >= 0, coefficient < Int128(prime) { return UInt64(truncatingIfNeeded: coefficient) }
        if scale > Decimal.scaleMax { return UInt64(truncatingIfNeeded: coefficient) | (1 &<< 62) }
        let magnitude = coefficient.magnitude
        let low = UInt64(truncatingIfNeeded: magnitude)
        let high = UInt64(truncatingIfNeeded: magnitude >> 64)
        // 2^64 = 2^3 modulo the prime.
        var residue = reduce(reduce(low) &+ product(reduce(high), 8))
        residue = product(residue, inverses[Int(scale)])
        return coefficient < 0 && residue != 0 ? prime &- residue : residue
    }
}
