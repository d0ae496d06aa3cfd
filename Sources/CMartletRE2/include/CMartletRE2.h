// RE2 behind C: regular expressions that match in time linear in the text, in bounded memory.
#ifndef CMARTLET_RE2_H
#define CMARTLET_RE2_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct martlet_re2 martlet_re2;

enum {
    MARTLET_RE2_IGNORE_CASE = 1,
    // Leftmost-longest instead of leftmost-first.
    MARTLET_RE2_LONGEST = 2,
};

// Compiles UTF-8 `pattern` in RE2's syntax. NULL on failure; *error is then an RE2::ErrorCode.
martlet_re2 *martlet_re2_compile(const char *pattern, size_t count, int flags, int64_t memory_max, int *error);
void martlet_re2_free(martlet_re2 *regex);
// Number of capturing groups.
int martlet_re2_groups(const martlet_re2 *regex);
// Searches `text` from byte `start`; 1 if found. Fills `spans` with begin and end (bytes, -1: took no part) of the match
// and of the first `groups` groups: 2 * (groups + 1) numbers. `groups` -1: only tells whether it matches. Thread-safe.
int martlet_re2_search(const martlet_re2 *regex, const char *text, size_t count, size_t start, int groups, int64_t *spans);

#ifdef __cplusplus
}
#endif
#endif
