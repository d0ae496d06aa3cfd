#ifndef C_MARTLET_LINUX_H
#define C_MARTLET_LINUX_H
#include <stdint.h>

/// Sleeps while `*word == expected`, at most `timeout_nanos` (negative: no limit). Returns 0 when woken or changed, ETIMEDOUT or EINTR otherwise.
int martlet_futex_wait(const uint32_t *word, uint32_t expected, int64_t timeout_nanos);
/// Wakes at most `count` sleepers on `word`.
void martlet_futex_wake(const uint32_t *word, int count);

#endif
