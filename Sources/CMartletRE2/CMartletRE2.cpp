#include "CMartletRE2.h"

#include <new>
#include <re2/re2.h>
#include <vector>

struct martlet_re2 {
    RE2 regex;
    martlet_re2(re2::StringPiece pattern, const RE2::Options &options) : regex(pattern, options) {}
};

martlet_re2 *martlet_re2_compile(const char *pattern, size_t count, int flags, int64_t memory_max, int *error) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(memory_max);
    options.set_case_sensitive(!(flags & MARTLET_RE2_IGNORE_CASE));
    options.set_longest_match(flags & MARTLET_RE2_LONGEST);
    options.set_dot_nl(true);
    auto *made = new (std::nothrow) martlet_re2(re2::StringPiece(pattern, count), options);
    if (!made) {
        *error = RE2::ErrorPatternTooLarge;
        return nullptr;
    }
    if (!made->regex.ok()) {
        *error = made->regex.error_code();
        delete made;
        return nullptr;
    }
    *error = 0;
    return made;
}

void martlet_re2_free(martlet_re2 *regex) { delete regex; }

int martlet_re2_groups(const martlet_re2 *regex) { return regex->regex.NumberOfCapturingGroups(); }

int martlet_re2_search(const martlet_re2 *regex, const char *text, size_t count, size_t start, int groups, int64_t *spans) {
    re2::StringPiece whole(text ? text : "", count);
    if (groups < 0) return regex->regex.Match(whole, start, count, RE2::UNANCHORED, nullptr, 0);
    re2::StringPiece few[10];
    std::vector<re2::StringPiece> many;
    re2::StringPiece *found = few;
    if (groups + 1 > 10) {
        many.resize(groups + 1);
        found = many.data();
    }
    if (!regex->regex.Match(whole, start, count, RE2::UNANCHORED, found, groups + 1)) return 0;
    for (int at = 0; at <= groups; at++) {
        bool took_part = found[at].data() != nullptr;
        spans[2 * at] = took_part ? found[at].data() - whole.data() : -1;
        spans[2 * at + 1] = took_part ? spans[2 * at] + (int64_t)found[at].size() : -1;
    }
    return 1;
}
