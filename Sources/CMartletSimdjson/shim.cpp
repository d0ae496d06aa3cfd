#include "CMartletSimdjson.h"
#include <simdjson.h>

bool martlet_utf8_is_valid(const void *bytes, size_t length) {
    return simdjson::validate_utf8(static_cast<const char *>(bytes), length);
}
