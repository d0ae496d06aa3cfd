// A wall clock that leaps and stands still, for a process that is started with this preloaded: ./dev crash --nexmark. The file
// that MARTLET_CLOCK_LEAP names has two numbers of 64 bits: nanoseconds to be added, and, unless it is 0, the instant (nanoseconds
// since 1970) at which the clock stands. Whoever writes to the file moves the clock. Monotonic clocks are left alone.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static int (*real_clock)(clockid_t, struct timespec *);
static volatile int64_t *leap;

__attribute__((constructor)) static void begin(void) {
    real_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("MARTLET_CLOCK_LEAP");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(0, 16, PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) leap = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real_clock) begin();
    int result = real_clock(clock, now);
    if (result || !leap || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return result;
    int64_t nanos = leap[1] ? leap[1] : (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + leap[0];
    now->tv_sec = nanos / 1000000000;
    now->tv_nsec = nanos % 1000000000;
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec instant;
    clock_gettime(CLOCK_REALTIME, &instant);
    now->tv_sec = instant.tv_sec;
    now->tv_usec = instant.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec instant;
    clock_gettime(CLOCK_REALTIME, &instant);
    if (now) *now = instant.tv_sec;
    return instant.tv_sec;
}
