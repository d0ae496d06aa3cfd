#include "CMartletISAL.h"
#include <isa-l/crc.h>

// ISA-L's crc32_iscsi takes and returns the raw register: no initial or final inversion.
// Its length is an int, so longer runs are cut.
uint32_t martlet_crc32c(const void *bytes, size_t length, uint32_t seed) {
    unsigned int crc = ~seed;
    unsigned char *p = (unsigned char *)bytes;
    while (length > 0) {
        int part = length > (1u << 30) ? (1 << 30) : (int)length;
        crc = crc32_iscsi(p, part, crc);
        p += part;
        length -= (size_t)part;
    }
    return ~crc;
}
