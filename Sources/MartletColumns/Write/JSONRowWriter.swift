internal import CMartletVector
package import MartletCore

/// Rows as NDJSON: one object a line, members in the order of the fields, NULL as `null`.
///
/// Numbers as numbers (NaN and infinities, which JSON has no number for, as strings); TIMESTAMP as
/// `2026-01-01T00:00:00.123`, TIMESTAMPTZ likewise with `Z`, DATE, TIME, INTERVAL and UUID as PostgreSQL's text in a
/// string; BYTEA as base64; JSONB as the document it is.
///
/// For one thread at a time; the scratch and the day cache are reused.
package final class JSONRowWriter {
    private let kinds: [ValueKind]
    /// `{"a":`, `,"b":`, each padded with `pad` bytes, so that whole blocks may be copied.
    private let prefixes: [[UInt8]]
    private let prefixCounts: [Int]
    private let prefixBytes: Int
    private var days = WrittenDay()
    private let writesOperation: Bool

    private static let pad = 32

    /// `writesOperation`: each row ends in `"op":"insert"` or `"op":"delete"` by its weight.
    package init(names: [String], types: [DataType], writesOperation: Bool = false) {
        precondition(names.count == types.count, "a name for each type")
        kinds = types.map { ValueKind($0) }
        self.writesOperation = writesOperation
        var prefixes: [[UInt8]] = []
        for (index, name) in names.enumerated() {
            let sink = ByteSink(capacity: name.utf8.count + 64)
            sink.append(index == 0 ? UInt8(ascii: "{") : UInt8(ascii: ","))
            sink.append(jsonString: Array(name.utf8))
            sink.append(UInt8(ascii: ":"))
            prefixes.append(Array(sink.bytes))
        }
        prefixCounts = prefixes.map(\.count)
        prefixBytes = prefixCounts.reduce(0, +)
        self.prefixes = prefixes.map { $0 + [UInt8](repeating: 0, count: JSONRowWriter.pad) }
    }

    /// Appends the rows of `batch` to `sink`: those that `selection` names in its order, or all.
    package func write(_ batch: Batch, selection: Selection? = nil, into sink: ByteSink) {
        let count = selection?.count ?? batch.count
        for at in 0..<count {
            let row = selection.map { Int($0.indexes[at]) } ?? at
            for index in kinds.indices { writeMember(batch.columns[index], index, row, sink) }
            endRow(batch.weights, row, sink)
        }
    }

    @inline(__always)
    private func endRow(_ weights: Column?, _ row: Int, _ sink: ByteSink) {
        if writesOperation {
            let isInsert = weights.map { $0.int64s[row] >= 0 } ?? true
            if kinds.isEmpty { sink.append(UInt8(ascii: "{")) } else { sink.append(UInt8(ascii: ",")) }
            sink.append(isInsert ? "\"op\":\"insert\"}\n" : "\"op\":\"delete\"}\n")
        } else if kinds.isEmpty {
            sink.append("{}\n")
        } else {
            let target = sink.reserve(2)
            target[0] = UInt8(ascii: "}")
            target[1] = Ascii.lineFeed
            sink.commit(2)
        }
    }

    @inline(__always)
    private func writeMember(_ column: Column, _ index: Int, _ row: Int, _ sink: ByteSink) {
        let length = prefixCounts[index]
        // The prefix and any value of bounded size.
        var target = sink.reserve(length + JSONRowWriter.pad + ValueText.bytesMax)
        prefixes[index].withUnsafeBufferPointer { copyBlocks($0.baseAddress!, length, to: target) }
        target += length
        if column.isNull(row) {
            UnsafeMutableRawPointer(target).storeBytes(of: Word.null, as: UInt32.self)
            sink.commit(length + 4)
            return
        }
        let count: Int
        switch kinds[index] {
        case .bigint: count = writeInteger(column.int64s[row], target)
        case .integer: count = writeInteger(Int64(column.int32s[row]), target)
        case .smallint: count = writeInteger(Int64(column.int16s[row]), target)
        case .boolean: count = ValueText.write(column.bools[row] != 0, target)
        case .timestamp: count = quoted(target) { days.write(column.int64s[row], separator: 0x54, isUTC: false, $0) }
        case .timestamptz: count = quoted(target) { days.write(column.int64s[row], separator: 0x54, isUTC: true, $0) }
        case .double:
            let value = column.doubles[row]
            count = value.isFinite ? FloatText.write(value, into: target) : quoted(target) { FloatText.write(value, into: $0) }
        case .real:
            let value = column.floats[row]
            count = value.isFinite ? FloatText.write(value, into: target) : quoted(target) { FloatText.write(value, into: $0) }
        case .numeric, .limitedNumeric:
            let value = column.decimal(row)
            count = value.isSpecial ? quoted(target) { value.write(into: $0) } : ValueText.write(value, target)
        case .date: count = quoted(target) { Timestamps.writeDate(column.int32s[row], into: $0) }
        case .time: count = quoted(target) { Timestamps.writeTime(column.int64s[row], into: $0) }
        case .interval: count = quoted(target) { ValueText.write(column.intervals[row].text, $0) }
        case .uuid: count = quoted(target) { ValueText.write(column.uuids[row].text, $0) }
        case .text:
            sink.commit(length)
            column.views[row].withBytes { sink.append(jsonString: $0) }
            return
        case .jsonb:
            sink.commit(length)
            column.views[row].withBytes { sink.append(UnsafeRawBufferPointer($0)) }
            return
        case .bytea:
            sink.commit(length)
            column.views[row].withBytes { sink.append(base64: $0) }
            return
        }
        sink.commit(length + count)
    }

    @inline(__always)
    private func quoted(_ target: UnsafeMutablePointer<UInt8>, _ write: (UnsafeMutablePointer<UInt8>) -> Int) -> Int {
        target[0] = Ascii.quote
        let count = write(target + 1)
        target[count + 1] = Ascii.quote
        return count + 2
    }
}

/// Copies `count` bytes in blocks of 32; both sides have room for the last block.
@inline(__always)
func copyBlocks(_ source: UnsafePointer<UInt8>, _ count: Int, to target: UnsafeMutablePointer<UInt8>) {
    var at = 0
    repeat {
        let block = UnsafeRawPointer(source + at).loadUnaligned(as: SIMD32<UInt8>.self)
        UnsafeMutableRawPointer(target + at).storeBytes(of: block, as: SIMD32<UInt8>.self)
        at &+= 32
    } while at < count
}

extension ByteSink {
    /// A JSON string: quotes, and escapes for the quote, the backslash and control characters, nothing else.
    func append(jsonString bytes: [UInt8]) { bytes.withUnsafeBufferPointer { append(jsonString: $0) } }

    func append(jsonString bytes: UnsafeBufferPointer<UInt8>) {
        // Most strings have nothing to escape; then this is all.
        let target = reserve(bytes.count + 2)
        target[0] = Ascii.quote
        guard let start = bytes.baseAddress else {
            target[1] = Ascii.quote
            return commit(2)
        }
        let plain = plainPrefix(start, bytes.count)
        (target + 1).update(from: start, count: plain)
        if plain == bytes.count {
            target[plain + 1] = Ascii.quote
            return commit(plain + 2)
        }
        commit(plain + 1)
        appendEscaped(start + plain, bytes.count - plain)
        append(Ascii.quote)
    }

    /// How many of the first bytes need no escape. Reads nothing past `count`.
    @inline(__always)
    private func plainPrefix(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int {
        var at = 0
        while at &+ 32 <= count {
            let stops = martlet_string_stop32(start + at)
            if stops != 0 { return at &+ stops.trailingZeroBitCount }
            at &+= 32
        }
        while at < count {
            let byte = start[at]
            if byte == Ascii.quote || byte == Ascii.backslash || byte < 0x20 { return at }
            at &+= 1
        }
        return count
    }

    @inline(never)
    private func appendEscaped(_ start: UnsafePointer<UInt8>, _ count: Int) {
        var at = 0
        while at < count {
            let byte = start[at]
            switch byte {
            case Ascii.quote: append("\\\"")
            case Ascii.backslash: append("\\\\")
            case 0x08: append("\\b")
            case 0x0C: append("\\f")
            case 0x0A: append("\\n")
            case 0x0D: append("\\r")
            case 0x09: append("\\t")
            default:
                append("\\u00")
                append(Hexadecimal.digit(byte >> 4))
                append(Hexadecimal.digit(byte & 15))
            }
            at += 1
            let plain = plainPrefix(start + at, count - at)
            append(start + at, plain)
            at += plain
        }
    }

    /// A JSON string with the base64 of `bytes`, padded.
    func append(base64 bytes: UnsafeBufferPointer<UInt8>) {
        let digits: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        let table = digits.utf8Start
        var target = reserve((bytes.count + 2) / 3 * 4 + 2)
        target[0] = Ascii.quote
        target += 1
        var at = 0
        while at < bytes.count {
            let have = min(bytes.count - at, 3)
            let first = UInt32(bytes[at])
            let second = have > 1 ? UInt32(bytes[at + 1]) : 0
            let third = have > 2 ? UInt32(bytes[at + 2]) : 0
            let bits = first << 16 | second << 8 | third
            target[0] = table[Int(bits >> 18)]
            target[1] = table[Int(bits >> 12 & 63)]
            target[2] = have > 1 ? table[Int(bits >> 6 & 63)] : 0x3D
            target[3] = have > 2 ? table[Int(bits & 63)] : 0x3D
            target += 4
            at += 3
        }
        target[0] = Ascii.quote
        commit((bytes.count + 2) / 3 * 4 + 2)
    }
}
