/// The frame of a saved state: a header, then pieces of at most `pieceBytesMax` payload bytes, each behind its length and
/// checksum, then an empty piece as the end (docs/formats/checkpoint.md).
enum SavedFormat {
    /// "MRTSTATE" in ASCII.
    static let magic: UInt64 = 0x4554_4154_5354_524D
    static let version: UInt32 = 1
    /// Magic, version, checksum of both.
    static let headerBytes = 16
    /// Length and checksum, before a piece's payload.
    static let prefixBytes = 8
    static let pieceBytesMax = 1 << 20
}

/// A saved state that cannot be this one's.
package struct StateError: Error, Sendable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}
