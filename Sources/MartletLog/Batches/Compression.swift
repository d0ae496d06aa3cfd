internal import CMartletCompression
internal import Synchronization

/// How the records of a batch are compressed, numbered as in a batch's attributes.
package enum Compression: UInt8, Sendable, CaseIterable {
    case none = 0
    case gzip = 1
    case snappy = 2
    case lz4 = 3
    case zstd = 4

    /// Kafka's name for it, as in the topic setting `compression.type`.
    package var name: String {
        switch self {
        case .none: "none"
        case .gzip: "gzip"
        case .snappy: "snappy"
        case .lz4: "lz4"
        case .zstd: "zstd"
        }
    }

    /// The bytes that `source` decompresses to. Never allocates more than `limit` for them, whatever the input declares.
    /// Snappy is understood with and without Java's framing.
    package static func decompress(
        _ source: UnsafeRawBufferPointer, _ compression: Compression, limit: Int
    ) throws(BatchError) -> Decompressed {
        let workspace = CodecWorkspace.take()
        let bytes = try workspace.decompress(source, compression, limit: limit)
        return Decompressed(workspace: workspace, bytes: bytes)
    }

    /// Appends the compressed form of `source`, at most 2 GiB, to `target`. `level` 0 is the codec's default.
    package static func compress(
        _ source: UnsafeRawBufferPointer, _ compression: Compression, level: Int = 0, to target: (UnsafeRawBufferPointer) -> Void
    ) throws(BatchError) {
        if compression == .none { return target(source) }
        let workspace = CodecWorkspace.take()
        defer { CodecWorkspace.give(workspace) }
        target(try workspace.compress(source, compression, level: level))
    }
}

/// Decompressed bytes and the memory they are in, which is reused once the last reference is gone. One thread at a time.
package final class Decompressed {
    private let workspace: CodecWorkspace
    /// Valid as long as somebody holds this object (`withExtendedLifetime`: a pointer holds nothing).
    package let bytes: UnsafeRawBufferPointer

    fileprivate init(workspace: CodecWorkspace, bytes: UnsafeRawBufferPointer) {
        self.workspace = workspace
        self.bytes = bytes
    }

    deinit { CodecWorkspace.give(workspace) }
}

/// A shim's codec: the libraries' contexts and one output buffer. Making them costs more than decompressing a small batch,
/// so a few are kept.
private final class CodecWorkspace: @unchecked Sendable {
    // Sound: `take` hands an object to one owner, who alone uses it until `give`.
    private let codec: OpaquePointer

    private static let poolSizeMax = 8
    /// Larger buffers are given back to the allocator when their batch is done.
    private static let retainedBytesMax = 1 << 20
    private static let pool = Mutex<[CodecWorkspace]>([])

    private init() {
        guard let codec = martlet_codec_new() else { fatalError("out of memory: cannot hold a codec's context") }
        self.codec = codec
    }

    deinit { martlet_codec_free(codec) }

    static func take() -> CodecWorkspace { pool.withLock { $0.popLast() } ?? CodecWorkspace() }

    static func give(_ workspace: CodecWorkspace) {
        martlet_codec_trim(workspace.codec, retainedBytesMax)
        pool.withLock { if $0.count < poolSizeMax { $0.append(workspace) } }
    }

    func decompress(
        _ source: UnsafeRawBufferPointer, _ compression: Compression, limit: Int
    ) throws(BatchError) -> UnsafeRawBufferPointer {
        var output: UnsafePointer<UInt8>?
        var size = 0
        let status = martlet_codec_decompress(
            codec, Int32(compression.rawValue), source.baseAddress, source.count, max(limit, 0), &output, &size)
        switch status {
        case MARTLET_CODEC_OK: return UnsafeRawBufferPointer(start: output, count: size)
        case MARTLET_CODEC_OVER_LIMIT: throw .tooLarge(bytes: limit + 1, limit: limit)
        case MARTLET_CODEC_NO_MEMORY: throw .tooLarge(bytes: limit, limit: 0)
        default: throw .corrupt("the records are not valid \(compression.name)")
        }
    }

    func compress(
        _ source: UnsafeRawBufferPointer, _ compression: Compression, level: Int
    ) throws(BatchError) -> UnsafeRawBufferPointer {
        var output: UnsafePointer<UInt8>?
        var size = 0
        let status = martlet_codec_compress(
            codec, Int32(compression.rawValue), Int32(clamping: level), source.baseAddress, source.count, &output, &size)
        guard status == MARTLET_CODEC_OK else { throw .tooLarge(bytes: source.count, limit: Int(Int32.max)) }
        return UnsafeRawBufferPointer(start: output, count: size)
    }
}
