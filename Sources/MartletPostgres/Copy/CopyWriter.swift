package import MartletCore

/// Rows of COPY … TO STDOUT. A cell's text is written to the sink as it is, and then made to fit the format where it lies:
/// most cells need nothing.
package struct CopyWriter {
    private let format: CopyFormat
    private let null: [UInt8]

    package init(_ format: CopyFormat) {
        self.format = format
        null = Array(format.null.utf8)
    }

    /// A row of names, in front of all others.
    package func writeHeader(_ names: [String], to sink: ByteSink) {
        for (index, name) in names.enumerated() {
            divide(index, sink)
            let start = sink.count
            sink.append(text: name)
            finishCell(start, isOnly: names.count == 1, in: sink)
        }
        sink.append(UInt8(ascii: "\n"))
    }

    /// Binary's signature, in the message of the first row, where clients look for it.
    package static func writeSignature(to sink: ByteSink) {
        for byte in CopyReader.signature { sink.append(byte) }
        sink.append(big: Int64(0))
    }

    /// What ends binary rows, of which there were `rows`.
    package func writeTrailer(rows: Int, to sink: ByteSink) {
        if rows == 0 { CopyWriter.writeSignature(to: sink) }
        sink.append(big: Int16(-1))
    }

    @inline(__always)
    package func divide(_ column: Int, _ sink: ByteSink) {
        if column > 0 { sink.append(format.delimiter) }
    }

    package func writeNull(to sink: ByteSink) {
        null.withUnsafeBytes { sink.append($0) }
    }

    /// Escapes or quotes what was written since `start`. `isOnly`: the row has one column.
    package func finishCell(_ start: Int, isOnly: Bool, in sink: ByteSink) {
        let cell = UnsafeRawBufferPointer(rebasing: sink.bytes[start...])
        if format.kind == .text {
            guard cell.contains(where: { $0 < 0x20 || $0 == UInt8(ascii: "\\") || $0 == format.delimiter }) else { return }
            let copy = [UInt8](cell)
            sink.truncate(to: start)
            escape(copy, sink)
        } else {
            let needsQuotes =
                cell.contains { $0 == format.delimiter || $0 == format.quote || $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
                || cell.elementsEqual(null) || (isOnly && cell.elementsEqual("\\.".utf8))
            guard needsQuotes else { return }
            let copy = [UInt8](cell)
            sink.truncate(to: start)
            sink.append(format.quote)
            for byte in copy {
                if byte == format.quote || byte == format.escape { sink.append(format.escape) }
                sink.append(byte)
            }
            sink.append(format.quote)
        }
    }

    private func escape(_ cell: [UInt8], _ sink: ByteSink) {
        for byte in cell {
            let letter: UInt8? =
                switch byte {
                case 8: UInt8(ascii: "b")
                case 9: UInt8(ascii: "t")
                case 10: UInt8(ascii: "n")
                case 11: UInt8(ascii: "v")
                case 12: UInt8(ascii: "f")
                case 13: UInt8(ascii: "r")
                case UInt8(ascii: "\\"), format.delimiter: byte
                default: nil
                }
            if letter != nil { sink.append(UInt8(ascii: "\\")) }
            sink.append(letter ?? byte)
        }
    }
}
