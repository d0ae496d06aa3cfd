package import MartletCore

/// Who takes the rows of COPY … FROM STDIN.
package protocol CopyRowTarget: AnyObject {
    /// One row. The fields' bytes are valid until this returns.
    func row(_ fields: CopyFields) throws(SQLError)
}

/// The fields of one row: bytes without escapes and quotes, or NULL.
package struct CopyFields {
    let bytes: UnsafeRawBufferPointer
    let ranges: [CopyReader.FieldRange]

    package var count: Int { ranges.count }

    /// nil: NULL.
    package subscript(index: Int) -> UnsafeRawBufferPointer? {
        let range = ranges[index]
        return range.isNull ? nil : UnsafeRawBufferPointer(rebasing: bytes[range.start..<range.end])
    }
}

/// Cuts the bytes of COPY … FROM STDIN, in pieces of any size, into rows and fields.
///
/// Only a row that is not complete yet is kept, up to `rowBytesMax`. What was looked at once for the end of a row is not
/// looked at again, so that the work is proportional to the bytes, however they are cut.
package final class CopyReader {
    struct FieldRange {
        var start: Int
        var end: Int
        var isNull: Bool
    }

    package static let badFormat = SQLState("22P04")

    let format: CopyFormat
    private let rowBytesMax: Int
    /// Rows seen, a header among them: what errors call the line.
    package internal(set) var rows: UInt64 = 0
    /// The end was marked in the data; what follows is ignored.
    var isEnded = false
    var hasSignature = false

    /// The beginning of a row that is not complete.
    private var kept = ByteSink(capacity: 64)
    /// Takes turns with `kept`.
    private var spare = ByteSink(capacity: 64)
    /// How much of `kept` was searched for a row's end, and in what state the search stands.
    private var searched = 0
    private var isQuoted = false
    private var isEscaped = false

    /// A row without its escapes.
    private let plain = ByteSink(capacity: 1024)
    var ranges: [FieldRange] = []

    package init(_ format: CopyFormat, rowBytesMax: Int = 16 << 20) {
        self.format = format
        self.rowBytesMax = rowBytesMax
    }

    /// Hands every row that is complete with these bytes to `target`, in order.
    package func feed(_ bytes: UnsafeRawBufferPointer, to target: any CopyRowTarget) throws(SQLError) {
        guard !isEnded, bytes.count > 0 else { return }
        if kept.isEmpty {
            let used = try take(bytes, to: target)
            kept.append(UnsafeRawBufferPointer(rebasing: bytes[used...]))
        } else {
            kept.append(bytes)
            let used = try take(kept.bytes, to: target)
            if used > 0 {
                spare.clear()
                spare.append(UnsafeRawBufferPointer(rebasing: kept.bytes[used...]))
                swap(&kept, &spare)
            }
        }
        guard kept.count <= rowBytesMax else {
            throw SQLError(.programLimitExceeded, "a row of COPY is longer than \(rowBytesMax) bytes", hint: "Is a line feed or a quote missing?")
        }
    }

    /// The end of the data: a last row may lack its line feed.
    package func finish(to target: any CopyRowTarget) throws(SQLError) {
        guard !isEnded else { return }
        if format.kind == .binary {
            guard hasSignature else { throw SQLError(CopyReader.badFormat, "COPY file signature not recognized") }
            if !kept.isEmpty { throw SQLError(CopyReader.badFormat, "unexpected EOF in COPY data") }
            return
        }
        if isQuoted { throw SQLError(CopyReader.badFormat, "unterminated CSV quoted field") }
        guard !kept.isEmpty else { return }
        try row(CopyReader.withoutReturn(kept.bytes), to: target)
        kept.clear()
    }

    /// Returns how many bytes are done with.
    private func take(_ bytes: UnsafeRawBufferPointer, to target: any CopyRowTarget) throws(SQLError) -> Int {
        if format.kind == .binary { return try takeBinary(bytes, to: target) }
        var start = 0
        while !isEnded, let end = rowEnd(bytes, from: start + searched) {
            searched = 0
            try row(CopyReader.withoutReturn(UnsafeRawBufferPointer(rebasing: bytes[start..<end])), to: target)
            start = end + 1
        }
        if isEnded { return bytes.count }
        searched = bytes.count - start
        return start
    }

    /// Where the row's line feed stands.
    private func rowEnd(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var at = start
        if format.kind == .text {
            while at < bytes.count {
                let byte = bytes[at]
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\n") {
                    return at
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                }
                at += 1
            }
            return nil
        }
        while at < bytes.count {
            let byte = bytes[at]
            if isEscaped {
                isEscaped = false
            } else if isQuoted, byte == format.escape, format.escape != format.quote {
                isEscaped = true
            } else if byte == format.quote {
                isQuoted.toggle()
            } else if byte == UInt8(ascii: "\n"), !isQuoted {
                return at
            }
            at += 1
        }
        return nil
    }

    private static func withoutReturn(_ line: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        line.last == UInt8(ascii: "\r") ? UnsafeRawBufferPointer(rebasing: line.dropLast()) : line
    }

    private func row(_ line: UnsafeRawBufferPointer, to target: any CopyRowTarget) throws(SQLError) {
        if line.count == 2, line[0] == UInt8(ascii: "\\"), line[1] == UInt8(ascii: ".") {
            isEnded = true
            return
        }
        rows += 1
        if rows == 1, format.hasHeader { return }
        plain.clear()
        ranges.removeAll(keepingCapacity: true)
        if format.kind == .text { splitText(line) } else { splitCSV(line) }
        try give(plain.bytes, to: target)
    }

    func give(_ bytes: UnsafeRawBufferPointer, to target: any CopyRowTarget) throws(SQLError) {
        try target.row(CopyFields(bytes: bytes, ranges: ranges))
    }

    private func splitText(_ line: UnsafeRawBufferPointer) {
        let null = Array(format.null.utf8)
        var at = 0
        while true {
            let rawStart = at
            let start = plain.count
            while at < line.count, line[at] != format.delimiter {
                if line[at] == UInt8(ascii: "\\"), at + 1 < line.count {
                    at = unescape(line, at + 1)
                } else {
                    plain.append(line[at])
                    at += 1
                }
            }
            // What stands for NULL is compared before anything is unescaped.
            let isNull = line[rawStart..<at].elementsEqual(null)
            ranges.append(FieldRange(start: start, end: plain.count, isNull: isNull))
            if at == line.count { return }
            at += 1
        }
    }

    /// Appends what the escape at `at`, behind its backslash, stands for; returns where it ends.
    private func unescape(_ line: UnsafeRawBufferPointer, _ at: Int) -> Int {
        var end = at + 1
        switch line[at] {
        case UInt8(ascii: "b"): plain.append(8)
        case UInt8(ascii: "f"): plain.append(12)
        case UInt8(ascii: "n"): plain.append(10)
        case UInt8(ascii: "r"): plain.append(13)
        case UInt8(ascii: "t"): plain.append(9)
        case UInt8(ascii: "v"): plain.append(11)
        case let digit where digit &- 0x30 < 8:
            var value = UInt8(digit & 7)
            while end < min(at + 3, line.count), line[end] &- 0x30 < 8 {
                value = value &<< 3 | line[end] & 7
                end += 1
            }
            plain.append(value)
        case UInt8(ascii: "x") where end < line.count && Hexadecimal.value(of: line[end]) != nil:
            var value: UInt8 = 0
            while end < min(at + 3, line.count), let nibble = Hexadecimal.value(of: line[end]) {
                value = value << 4 | nibble
                end += 1
            }
            plain.append(value)
        case let byte: plain.append(byte)
        }
        return end
    }

    private func splitCSV(_ line: UnsafeRawBufferPointer) {
        let null = Array(format.null.utf8)
        var at = 0
        while true {
            let start = plain.count
            var wasQuoted = false
            var isInside = false
            while at < line.count {
                let byte = line[at]
                if isInside {
                    if byte == format.escape, at + 1 < line.count, line[at + 1] == format.quote || line[at + 1] == format.escape {
                        plain.append(line[at + 1])
                        at += 2
                        continue
                    }
                    if byte == format.quote { isInside = false } else { plain.append(byte) }
                } else if byte == format.delimiter {
                    break
                } else if byte == format.quote {
                    isInside = true
                    wasQuoted = true
                } else {
                    plain.append(byte)
                }
                at += 1
            }
            let isNull = !wasQuoted && plain.bytes[start...].elementsEqual(null)
            ranges.append(FieldRange(start: start, end: plain.count, isNull: isNull))
            if at == line.count { return }
            at += 1
        }
    }
}
