package import MartletLog

/// What stands before every request.
package struct RequestHeader: Sendable, Equatable {
    package var apiKey: Int16
    package var apiVersion: Int16
    /// The client's own number, returned with the response.
    package var correlationId: Int32
    package var clientId: String?

    package init(apiKey: Int16, apiVersion: Int16, correlationId: Int32, clientId: String? = nil) {
        self.apiKey = apiKey
        self.apiVersion = apiVersion
        self.correlationId = correlationId
        self.clientId = clientId
    }

    /// nil where the API is not spoken.
    package var key: ApiKey? { ApiKey(rawValue: apiKey) }
}

/// A request's frame with its header read and its body not yet. Holds the frame, as do the records of its body.
package struct ReceivedRequest: Sendable {
    package let header: RequestHeader
    package let frame: ByteSlice
    /// Where the body starts in the frame.
    let bodyStart: Int

    /// `frame` has no length before it. The header of a version that is not known is read without its tagged fields, which
    /// come last, so that ApiVersions can be answered in every version that there will be.
    package init(_ frame: ByteSlice) throws(KafkaError) {
        defer { withExtendedLifetime(frame) {} }
        // Even a flexible header has the client's name behind a length of two bytes, for brokers of long ago.
        var reader = try KafkaReader(frame, version: 1, isFlexible: false)
        let header = RequestHeader(
            apiKey: try reader.int16(), apiVersion: try reader.int16(), correlationId: try reader.int32(),
            clientId: try reader.nullableString())
        var start = reader.offset
        if let key = header.key, key.versions.contains(header.apiVersion), key.isFlexible(header.apiVersion) {
            var tags = try KafkaReader(frame, from: start, version: 2, isFlexible: true)
            try tags.skipTags()
            start = tags.offset
        }
        self.header = header
        self.frame = frame
        bodyStart = start
    }

    /// The body, which is of the header's API. Throws `unsupportedVersion` where the header's version is not known.
    package func body<Body: KafkaMessage>(_: Body.Type = Body.self) throws(KafkaError) -> Body {
        guard Body.versions.contains(header.apiVersion) else {
            throw .unsupportedVersion(key: header.apiKey, version: header.apiVersion)
        }
        return try Body.decoded(frame, from: bodyStart, version: header.apiVersion)
    }
}

/// A response's frame with its correlation number read, for clients. What it answers is known from that number only.
package struct ReceivedResponse: Sendable {
    package let correlationId: Int32
    package let frame: ByteSlice

    package init(_ frame: ByteSlice) throws(KafkaError) {
        defer { withExtendedLifetime(frame) {} }
        var reader = try KafkaReader(frame, version: 0, isFlexible: false)
        correlationId = try reader.int32()
        self.frame = frame
    }

    /// The body of the answer to a request for `key` in `version`.
    package func body<Body: KafkaMessage>(
        _: Body.Type = Body.self, to key: ApiKey, version: Int16
    ) throws(KafkaError) -> Body {
        defer { withExtendedLifetime(frame) {} }
        var reader = try KafkaReader(
            frame, from: MemoryLayout<Int32>.size, version: version, isFlexible: key.hasFlexibleResponseHeader(version))
        try reader.skipTags()
        return try Body.decoded(frame, from: reader.offset, version: version)
    }
}

/// The frame of a request, for clients.
package func encodeRequest<Body: KafkaMessage>(_ body: Body, header: RequestHeader) throws(KafkaError) -> OutgoingFrame {
    let isFlexible = Body.isFlexible(header.apiVersion)
    var writer = KafkaWriter(version: header.apiVersion, isFlexible: false)
    writer.int16(header.apiKey)
    writer.int16(header.apiVersion)
    writer.int32(header.correlationId)
    try writer.nullableString(header.clientId)
    writer.go(on: header.apiVersion, isFlexible: isFlexible)
    writer.noTags()
    try body.encode(into: &writer)
    return try writer.finish()
}

/// The frame of the answer to a request for `key` in `version`. The body may be of version 0 in spite of it, as when
/// ApiVersions is asked for in a version that is not known: then pass 0.
package func encodeResponse<Body: KafkaMessage>(
    _ body: Body, to key: ApiKey, version: Int16, correlationId: Int32
) throws(KafkaError) -> OutgoingFrame {
    var writer = KafkaWriter(version: version, isFlexible: key.hasFlexibleResponseHeader(version))
    writer.int32(correlationId)
    writer.noTags()
    writer.go(on: version, isFlexible: Body.isFlexible(version))
    try body.encode(into: &writer)
    return try writer.finish()
}
