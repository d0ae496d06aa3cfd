internal import CMartletISAL

/// CRC32C (Castagnoli), the checksum of Kafka record batches and of every durable format here. One step a byte run; `seed` continues an earlier run.
package func crc32c(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
    martlet_crc32c(bytes.baseAddress, bytes.count, seed)
}
