package import MartletCore

/// What a client says, as bytes at the end of a sink.
package struct FrontendWriter {
    private let writer: MessageWriter
    package var sink: ByteSink { writer.sink }

    package init(_ sink: ByteSink) { writer = MessageWriter(sink) }

    package func startup(_ parameters: [(name: String, value: String)], minor: Int = 0) {
        let start = sink.count
        sink.append(big: Int32(0))
        sink.append(big: Int32(3 << 16 | minor))
        for (name, value) in parameters {
            writer.string(name)
            writer.string(value)
        }
        sink.append(0)
        writer.end(start)
    }

    package func cancel(processID: Int32, key: [UInt8]) {
        let start = sink.count
        sink.append(big: Int32(0))
        sink.append(big: Int32(80_877_102))
        sink.append(big: processID)
        for byte in key { sink.append(byte) }
        writer.end(start)
    }

    package func encryptionRequest() {
        sink.append(big: Int32(8))
        sink.append(big: Int32(80_877_103))
    }

    package func query(_ text: String) { writer.message("Q") { writer.string(text) } }

    package func parse(_ text: String, name: String = "", types: [UInt32] = []) {
        writer.message("P") {
            writer.string(name)
            writer.string(text)
            sink.append(big: Int16(clamping: types.count))
            for type in types { sink.append(big: type) }
        }
    }

    package func bind(
        portal: String = "", statement: String = "", formats: [Int16] = [], parameters: [[UInt8]?] = [], resultFormats: [Int16] = []
    ) {
        writer.message("B") {
            writer.string(portal)
            writer.string(statement)
            sink.append(big: Int16(clamping: formats.count))
            for format in formats { sink.append(big: format) }
            sink.append(big: Int16(clamping: parameters.count))
            for parameter in parameters {
                sink.append(big: Int32(parameter?.count ?? -1))
                parameter?.withUnsafeBytes { sink.append($0) }
            }
            sink.append(big: Int16(clamping: resultFormats.count))
            for format in resultFormats { sink.append(big: format) }
        }
    }

    package func describe(_ object: WireObject, _ name: String = "") { named("D", object, name) }
    package func close(_ object: WireObject, _ name: String = "") { named("C", object, name) }

    private func named(_ type: Unicode.Scalar, _ object: WireObject, _ name: String) {
        writer.message(type) {
            sink.append(object == .statement ? UInt8(ascii: "S") : UInt8(ascii: "P"))
            writer.string(name)
        }
    }

    package func execute(portal: String = "", rowsMax: Int32 = 0) {
        writer.message("E") {
            writer.string(portal)
            sink.append(big: rowsMax)
        }
    }

    package func flush() { writer.message("H") }
    package func sync() { writer.message("S") }
    package func terminate() { writer.message("X") }

    package func copyData(_ bytes: UnsafeRawBufferPointer) { writer.message("d") { sink.append(bytes) } }
    package func copyDone() { writer.message("c") }
    package func copyFail(_ reason: String) { writer.message("f") { writer.string(reason) } }

    package func saslInitial(_ mechanism: String, _ data: String) {
        writer.message("p") {
            writer.string(mechanism)
            sink.append(big: Int32(clamping: data.utf8.count))
            sink.append(text: data)
        }
    }

    package func saslResponse(_ data: String) { writer.message("p") { sink.append(text: data) } }
}
