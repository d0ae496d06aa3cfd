package import MartletCore

/// The frame of a saved state: a header, then pieces of at most `pieceBytesMax` payload bytes, each behind its length and
/// checksum, then an empty piece as the end (docs/formats/checkpoint.md).
enum SavedFormat {
    /// "MRTSTATE" in ASCII.
    static let magic: UInt64 = 0x4554_4154_5354_524D
    static let version: UInt32 = 3
    /// The oldest version that can be read: it had no sections.
    static let versionMin: UInt32 = 1
    /// Since then a join says which of its rows wait without an index.
    static let versionWithWaiting: UInt32 = 3
    /// Set in a piece's length: a section begins with it.
    static let sectionFlag: UInt32 = 1 << 31
    /// Magic, version, checksum of both.
    static let headerBytes = 16
    /// Length and checksum, before a piece's payload.
    static let prefixBytes = 8
    static let pieceBytesMax = 1 << 20
}

/// A saved state that cannot be this one's.
package struct StateError: Error, Sendable, CustomStringConvertible {
    package var description: String
    /// What users are told, where it is not that the state is damaged.
    package var refusal: SQLError?

    package init(_ description: String) { self.description = description }

    package init(_ refusal: SQLError) {
        description = refusal.message
        self.refusal = refusal
    }
}
