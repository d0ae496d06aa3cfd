/// MurmurHash2, 32 bits, seed 0x9747B28C, as Kafka's own clients hash keys to choose partitions. The algorithm is Austin
/// Appleby's, in the public domain.
package func murmur2(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    let multiplier: UInt32 = 0x5BD1_E995
    var hash = 0x9747_B28C ^ UInt32(truncatingIfNeeded: bytes.count)
    var at = 0
    while bytes.count - at >= 4 {
        var word = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)) &* multiplier
        word = (word ^ word &>> 24) &* multiplier
        hash = (hash &* multiplier) ^ word
        at += 4
    }
    if at < bytes.count {
        for (shift, byte) in bytes[at...].enumerated() { hash ^= UInt32(byte) &<< UInt32(8 * shift) }
        hash = hash &* multiplier
    }
    hash = (hash ^ hash &>> 13) &* multiplier
    return hash ^ hash &>> 15
}

/// The partition of `count` that Kafka's default partitioner gives a key.
package func partition(ofKey key: UnsafeRawBufferPointer, among count: Int32) -> Int32 {
    Int32(murmur2(key) & 0x7FFF_FFFF) % count
}
