/// Collects a state's bytes: little-endian numbers and counted bytes, in an order that the reader knows.
package final class StateWriter {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package func write<Number: FixedWidthInteger>(_ number: Number) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// Preceded by their count.
    package func write(_ raw: UnsafeRawBufferPointer) {
        write(UInt64(raw.count))
        bytes.append(contentsOf: raw)
    }
}
