#define _GNU_SOURCE
#include "CMartletLinux.h"
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int martlet_futex_wait(const uint32_t *word, uint32_t expected, int64_t timeout_nanos) {
    struct timespec limit = {timeout_nanos / 1000000000, timeout_nanos % 1000000000};
    long rc = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout_nanos < 0 ? 0 : &limit, 0, 0);
    return rc == 0 || errno == EAGAIN ? 0 : errno;
}

void martlet_futex_wake(const uint32_t *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, 0, 0, 0);
}
