#ifndef C_MARTLET_SIMDJSON_H
#define C_MARTLET_SIMDJSON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

/// Whether the bytes are valid UTF-8. Any length, no padding needed.
bool martlet_utf8_is_valid(const void *bytes, size_t length);

#ifdef __cplusplus
}
#endif
#endif
