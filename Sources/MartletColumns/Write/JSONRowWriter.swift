internal import CMartletVector
package import MartletCore

/// Rows as NDJSON: one object a line, members in the order of the fields, NULL as `null`.
///
/// Numbers as numbers (NaN and infinities, which JSON has no number for, as strings); TIMESTAMP as
/// `2026-01-01T00:00:00.123`, TIMESTAMPTZ likewise with `Z`, DATE, TIME, INTERVAL and UUID as PostgreSQL's text in a
/// string; BYTEA as base64; JSONB as the document it is.
///
/// For one thread at a time: the day cache is reused.
package final class JSONRowWriter {
    private let kinds: [ValueKind]
    /// `{"a":`, `,"b":`, … one after another.
    private let prefixes: UnsafeMutablePointer<UInt8>
    private let prefixEnds: [Int]
    private let writesOperation: Bool
    private var days = WrittenDay()

    /// What copying in blocks of 32 may write and read too much.
    private static let slack = 32

    /// `writesOperation`: each row ends in `"op":"insert"` or `"op":"delete"` by its weight.
    package init(names: [String], types: [DataType], writesOperation: Bool = false) {
        precondition(names.count == types.count, "a name for each type")
        kinds = types.map { ValueKind($0) }
        self.writesOperation = writesOperation
        let sink = ByteSink()
        var ends: [Int] = []
        for (index, name) in names.enumerated() {
            sink.append(index == 0 ? UInt8(ascii: "{") : UInt8(ascii: ","))
            sink.append(jsonString: Array(name.utf8))
            sink.append(Ascii.colon)
            ends.append(sink.count)
        }
        prefixEnds = ends
        prefixes = .allocate(capacity: sink.count + JSONRowWriter.slack)
        prefixes.initialize(repeating: 0, count: sink.count + JSONRowWriter.slack)
        UnsafeMutableRawBufferPointer(start: prefixes, count: sink.count).copyMemory(from: sink.bytes)
    }

    deinit { prefixes.deallocate() }

    /// One column of the batch at hand, through raw pointers.
    private struct Member {
        var kind: ValueKind
        var data: UnsafeMutableRawPointer
        var validity: UnsafeMutablePointer<UInt8>?
        var scales: UnsafeMutablePointer<UInt8>?
        var prefix: UnsafePointer<UInt8>
        var prefixCount: Int
        /// The column's place in the batch.
        var index: Int

        @inline(__always)
        func value<Element: BitwiseCopyable>(_ row: Int, _: Element.Type = Element.self) -> Element {
            (data + row &* MemoryLayout<Element>.stride).load(as: Element.self)
        }
    }

    /// Appends the rows of `batch` to `sink`: those that `selection` names in its order, or all.
    package func write(_ batch: Batch, selection: Selection? = nil, into sink: ByteSink) {
        precondition(batch.columns.count == kinds.count, "the columns are those named")
        withUnsafeTemporaryAllocation(of: Member.self, capacity: max(kinds.count, 1)) { members in
            var start = 0
            for (index, column) in batch.columns.enumerated() {
                let member = Member(
                    kind: kinds[index], data: column.data, validity: column.validity, scales: column.scales,
                    prefix: UnsafePointer(prefixes + start), prefixCount: prefixEnds[index] - start, index: index)
                (members.baseAddress! + index).initialize(to: member)
                start = prefixEnds[index]
            }
            let members = UnsafeMutableBufferPointer(start: members.baseAddress, count: kinds.count)
            withExtendedLifetime(batch) {
                if let selection {
                    for at in 0..<selection.count { writeRow(members, batch, Int(selection.indexes[at]), sink) }
                } else {
                    for row in 0..<batch.count { writeRow(members, batch, row, sink) }
                }
            }
        }
    }

    @inline(__always)
    private func writeRow(_ members: UnsafeMutableBufferPointer<Member>, _ batch: Batch, _ row: Int, _ sink: ByteSink) {
        // Prefixes and values of bounded size; text asks for its own.
        let room = (prefixEnds.last ?? 0) + members.count * ValueText.bytesMax + JSONRowWriter.slack
        var start = sink.reserve(room)
        var p = start
        for member in members {
            copyBlocks(member.prefix, member.prefixCount, to: p)
            p += member.prefixCount
            if let validity = member.validity, validity[row] == 0 {
                UnsafeMutableRawPointer(p).storeBytes(of: Word.null, as: UInt32.self)
                p += 4
                continue
            }
            switch member.kind {
            case .bigint: p += writeInteger(member.value(row), p)
            case .integer: p += writeInteger(Int64(member.value(row, Int32.self)), p)
            case .timestamp:
                p += quoted(p) { days.write(member.value(row), separator: 0x54, isUTC: false, $0) }
            case .timestamptz:
                p += quoted(p) { days.write(member.value(row), separator: 0x54, isUTC: true, $0) }
            case .text:
                let view = member.value(row, StringView.self)
                sink.commit(p - start)
                start = sink.reserve(view.count + room)
                p = start
                if let count = writePlain(view, p) {
                    p += count
                } else {
                    view.withBytes { sink.append(jsonString: $0) }
                    start = sink.reserve(room)
                    p = start
                }
            case .jsonb, .bytea:
                sink.commit(p - start)
                let isDocument = member.kind == .jsonb
                member.value(row, StringView.self).withBytes {
                    if isDocument { sink.append(UnsafeRawBufferPointer($0)) } else { sink.append(base64: $0) }
                }
                start = sink.reserve(room)
                p = start
            case .nested:
                sink.commit(p - start)
                NestedText.write(batch.columns[member.index].value(at: row), sink)
                start = sink.reserve(room)
                p = start
            case .numeric, .limitedNumeric:
                let value = Decimal(coefficient: member.value(row), scale: member.scales.unsafelyUnwrapped[row])
                p += value.isSpecial ? quoted(p) { value.write(into: $0) } : ValueText.write(value, p)
            case .double:
                let value: Double = member.value(row)
                p += value.isFinite ? FloatText.write(value, into: p) : quoted(p) { FloatText.write(value, into: $0) }
            case .smallint, .boolean, .real, .date, .time, .interval, .uuid: p += writeOther(member, row, p)
            }
        }
        if writesOperation {
            let isInsert = batch.weights.map { $0.int64s[row] >= 0 } ?? true
            sink.commit(p - start)
            sink.append(members.isEmpty ? Ascii.openBrace : Ascii.comma)
            sink.append(isInsert ? "\"op\":\"insert\"}\n" : "\"op\":\"delete\"}\n")
            return
        }
        if members.isEmpty {
            p[0] = Ascii.openBrace
            p += 1
        }
        p[0] = Ascii.closeBrace
        p[1] = Ascii.lineFeed
        sink.commit(p + 2 - start)
    }

    /// The types that are seldom written.
    private func writeOther(_ member: Member, _ row: Int, _ target: UnsafeMutablePointer<UInt8>) -> Int {
        switch member.kind {
        case .smallint: return writeInteger(Int64(member.value(row, Int16.self)), target)
        case .boolean: return ValueText.write(member.value(row, UInt8.self) != 0, target)
        case .real:
            let value: Float = member.value(row)
            return value.isFinite ? FloatText.write(value, into: target) : quoted(target) { FloatText.write(value, into: $0) }
        case .date: return quoted(target) { Timestamps.writeDate(member.value(row), into: $0) }
        case .time: return quoted(target) { Timestamps.writeTime(member.value(row), into: $0) }
        case .interval:
            let value = (member.data + row * MemoryLayout<Interval>.stride).load(as: Interval.self)
            return quoted(target) { ValueText.write(value.text, $0) }
        case .uuid:
            let value = (member.data + row * MemoryLayout<UUIDValue>.stride).load(as: UUIDValue.self)
            return quoted(target) { ValueText.write(value.text, $0) }
        case .integer, .bigint, .double, .numeric, .limitedNumeric, .text, .bytea, .timestamp, .timestamptz, .jsonb,
            .nested:
            preconditionFailure("written by the row")
        }
    }

    /// A string in quotes if nothing in it needs an escape. Room for its length and a block more; a long view's heap has
    /// readable bytes behind it.
    @inline(__always)
    private func writePlain(_ view: StringView, _ target: UnsafeMutablePointer<UInt8>) -> Int? {
        let count = view.count
        target[0] = Ascii.quote
        if view.isInline {
            let raw = UnsafeMutableRawPointer(target + 1)
            raw.storeBytes(of: view.head &>> 32 | view.tail &<< 32, as: UInt64.self)
            raw.storeBytes(of: UInt32(truncatingIfNeeded: view.tail &>> 32), toByteOffset: 8, as: UInt32.self)
            if martlet_string_stop32(target + 1) & ((1 &<< UInt32(count)) &- 1) != 0 { return nil }
        } else {
            let source = view.pointer
            var at = 0
            while at < count {
                let block = UnsafeRawPointer(source + at).loadUnaligned(as: SIMD32<UInt8>.self)
                UnsafeMutableRawPointer(target + at + 1).storeBytes(of: block, as: SIMD32<UInt8>.self)
                let left = count &- at
                let counted: UInt32 = left >= 32 ? ~0 : (1 &<< UInt32(left)) &- 1
                if martlet_string_stop32(source + at) & counted != 0 { return nil }
                at &+= 32
            }
        }
        target[count + 1] = Ascii.quote
        return count + 2
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
    package func append(jsonString bytes: [UInt8]) { bytes.withUnsafeBufferPointer { append(jsonString: $0) } }

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
    package func append(base64 bytes: UnsafeBufferPointer<UInt8>) {
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
