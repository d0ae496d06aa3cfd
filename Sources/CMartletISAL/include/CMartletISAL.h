#ifndef C_MARTLET_ISAL_H
#define C_MARTLET_ISAL_H
#include <stddef.h>
#include <stdint.h>

/// CRC32C (Castagnoli) of `length` bytes, as RFC 3720 and Kafka define it. `seed` is the CRC of what came before (0 at the start).
uint32_t martlet_crc32c(const void *bytes, size_t length, uint32_t seed);

#endif
