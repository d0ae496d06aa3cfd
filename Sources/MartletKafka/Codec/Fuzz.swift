internal import MartletCore
internal import MartletLog

/// The fuzzer's way in. Whatever the bytes are, a connection's frames come out the same however the bytes are cut, and a
/// request's body is refused with a `KafkaError` or survives being written and read again.
///
/// The bytes are a request's frame without its length. With the first bit set, which no API key has, they are the body of a
/// response instead: key and version, two bytes each, then the body. Returns the number of bytes understood, so that
/// nothing is optimised away.
@discardableResult
package func fuzzKafka(_ bytes: UnsafeRawBufferPointer) -> Int {
    checkFrames(bytes)
    let frame = ByteSlice(copying: bytes)
    if let first = bytes.first, first & 0x80 != 0 { return checkResponse(frame) }
    guard let request = try? ReceivedRequest(frame), let key = request.header.key else { return 0 }
    guard key.versions.contains(request.header.apiVersion) else {
        precondition(refuses(request, key.requestType), "a version that is not known is refused")
        return 0
    }
    return check(key.requestType, frame, from: request.bodyStart, version: request.header.apiVersion)
}

private func refuses<Body: KafkaMessage>(_ request: ReceivedRequest, _: Body.Type) -> Bool {
    do throws(KafkaError) {
        _ = try request.body(Body.self)
        return false
    } catch {
        return error == .unsupportedVersion(key: request.header.apiKey, version: request.header.apiVersion)
    }
}

private func checkResponse(_ frame: ByteSlice) -> Int {
    let prefix = 4
    guard frame.count >= prefix else { return 0 }
    let word = frame.bytes.loadUnaligned(as: UInt32.self).bigEndian
    let version = Int16(truncatingIfNeeded: word)
    guard let key = ApiKey(rawValue: Int16(word >> 16 & 0x7FFF)), key.responseType.versions.contains(version) else { return 0 }
    return check(key.responseType, frame, from: prefix, version: version)
}

private func check<Body: KafkaMessage>(_: Body.Type, _ frame: ByteSlice, from start: Int, version: Int16) -> Int {
    guard let (message, end) = try? Body.decodedWithEnd(frame, from: start, version: version) else { return 0 }
    precondition(end >= start && end <= frame.count, "a message ends within its frame")
    do throws(KafkaError) {
        let bytes = try message.encoded(version: version)
        let again = bytes.withUnsafeBytes { ByteSlice(copying: $0) }
        let (second, secondEnd) = try Body.decodedWithEnd(again, version: version)
        precondition(secondEnd == bytes.count, "what was written is read to its end")
        // Bytes, since a NaN differs from itself.
        let rewritten = try second.encoded(version: version)
        precondition(rewritten == bytes, "what was written is read as the same message")
    } catch {
        // Repairing a string to UTF-8 may triple it; no other reason can keep a message from being written.
        precondition(frame.count > KafkaReader.stringBytesMax / 3, "a message that was read cannot be written: \(error)")
    }
    return end - start
}

/// What a connection's bytes come to.
private struct Frames: Equatable {
    var frames: [ByteSlice] = []
    var error: KafkaError?
    var isWithinFrame = false

    init(_ bytes: UnsafeRawBufferPointer, pieceBytes: Int) {
        // A limit that random lengths may pass.
        var reader = FrameReader(limit: 1 << 20)
        var frames: [ByteSlice] = []
        var rest = bytes[...]
        do throws(KafkaError) {
            while !rest.isEmpty {
                let piece = rest.prefix(pieceBytes)
                rest = rest.dropFirst(pieceBytes)
                try reader.receive(UnsafeRawBufferPointer(rebasing: piece)) { frames.append($0) }
            }
        } catch {
            self.error = error
        }
        self.frames = frames
        isWithinFrame = error == nil && reader.isWithinFrame
    }
}

private func checkFrames(_ bytes: UnsafeRawBufferPointer) {
    let whole = Frames(bytes, pieceBytes: max(bytes.count, 1))
    precondition(whole == Frames(bytes, pieceBytes: 1), "frames depend on how the bytes came")
    precondition(whole == Frames(bytes, pieceBytes: 7), "frames depend on how the bytes came")
    let content = whole.frames.reduce(0) { $0 + 4 + $1.count }
    precondition(content <= bytes.count, "frames hold no more than came")
}
