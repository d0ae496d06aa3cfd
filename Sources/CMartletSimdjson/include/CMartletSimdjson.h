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

/// The correctly rounded value of a decimal number; false where all of the text is not one, or where it is outside the
/// type's range at either end. No locale, no padding needed.
bool martlet_parse_double(const void *bytes, size_t length, double *value);
bool martlet_parse_float(const void *bytes, size_t length, float *value);

/// simdjson as referee and peer. A parser is for one thread at a time; documents need 64 readable bytes behind them.
typedef struct martlet_json_parser martlet_json_parser;

/// What the referee says of a document.
typedef enum {
    MARTLET_JSON_INVALID = 0,
    MARTLET_JSON_OBJECT = 1,
    MARTLET_JSON_OTHER = 2,
    MARTLET_JSON_TOO_DEEP = 3,
    /// Right by the grammar, but a number that simdjson does not represent.
    MARTLET_JSON_NUMBER = 4,
} martlet_json_verdict;

martlet_json_parser *martlet_json_parser_create(size_t depth_max);
void martlet_json_parser_destroy(martlet_json_parser *parser);

/// Builds the whole document, so that everything in it is checked.
martlet_json_verdict martlet_json_check(martlet_json_parser *parser, const void *bytes, size_t length);

/// Reads the integers, and the lengths of the strings, that the named members of every line hold, as a query over these
/// columns would, through the document tree; answers their sum, and in `lines` how many lines there were (0: an error).
uint64_t martlet_json_peer_dom(martlet_json_parser *parser, const void *bytes, size_t length,
    const char *const *names, size_t count, size_t *lines);
/// The same through simdjson's forward-only reader, which checks only what it reads.
uint64_t martlet_json_peer_ondemand(const void *bytes, size_t length,
    const char *const *names, size_t count, size_t *lines);

#ifdef __cplusplus
}
#endif
#endif
