#define _GNU_SOURCE
#include "CMartletLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched/types.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
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

// Only what the compiler was allowed to use is asked for: a build for the baseline runs anywhere. The two functions are
// themselves compiled for the baseline.
#if defined(__x86_64__)
#define BASELINE __attribute__((target("arch=x86-64"), noinline))
#define NEED(feature) \
    if (!__builtin_cpu_supports(feature)) strcat(strcat(missing, missing[0] ? ", " : ""), feature);
#else
#define BASELINE
#endif

BASELINE const char *martlet_missing_cpu_features(void) {
    static char missing[256];
    missing[0] = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
#ifdef __SSE4_2__
    NEED("sse4.2")
#endif
#ifdef __POPCNT__
    NEED("popcnt")
#endif
#ifdef __PCLMUL__
    NEED("pclmul")
#endif
#ifdef __AVX__
    NEED("avx")
#endif
#ifdef __AVX2__
    NEED("avx2")
#endif
#ifdef __BMI__
    NEED("bmi")
#endif
#ifdef __BMI2__
    NEED("bmi2")
#endif
#ifdef __FMA__
    NEED("fma")
#endif
#ifdef __F16C__
    NEED("f16c")
#endif
#ifdef __LZCNT__
    NEED("lzcnt")
#endif
#ifdef __MOVBE__
    NEED("movbe")
#endif
#endif
    return missing;
}

// 101 is the first priority open to programs, so this runs before the constructors of C++ objects.
__attribute__((constructor(101))) BASELINE static void refuse_unfit_processor(void) {
    const char *missing = martlet_missing_cpu_features();
    if (!missing[0]) return;
    static const char before[] = "martlet: this processor lacks ";
    static const char after[] = ", which this build needs; build it on this machine, or run it on another\n";
    if (write(2, before, sizeof before - 1) < 0 || write(2, missing, strlen(missing)) < 0 ||
        write(2, after, sizeof after - 1) < 0) _exit(78);
    _exit(78);
}

static _Atomic uint32_t stop_signals;

static void on_stop_signal(int number) {
    (void)number;
    int saved = errno;
    if (atomic_fetch_add(&stop_signals, 1) > 0) _exit(1);
    martlet_futex_wake((const uint32_t *)&stop_signals, 1000);
    errno = saved;
}

void martlet_catch_stop_signals(void) {
    struct sigaction action = {0};
    action.sa_handler = on_stop_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, 0);
    sigaction(SIGTERM, &action, 0);
    signal(SIGPIPE, SIG_IGN);
    // Whoever started this process may have left them blocked in what it inherited.
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    pthread_sigmask(SIG_UNBLOCK, &stops, 0);
}

const uint32_t *martlet_stop_signal_count(void) { return (const uint32_t *)&stop_signals; }

// What a thread's own instruction raises.
static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};

void martlet_block_signals(uint64_t *saved) {
    sigset_t all, before;
    sigfillset(&all);
    for (unsigned at = 0; at < sizeof crashes / sizeof *crashes; at++) sigdelset(&all, crashes[at]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    *saved = 0;
    for (int number = 1; number <= 64; number++)
        if (sigismember(&before, number) == 1) *saved |= 1ull << (number - 1);
}

void martlet_restore_signals(const uint64_t *saved) {
    sigset_t mask;
    sigemptyset(&mask);
    for (int number = 1; number <= 64; number++)
        if (*saved >> (number - 1) & 1) sigaddset(&mask, number);
    pthread_sigmask(SIG_SETMASK, &mask, 0);
}

void martlet_name_thread(const char *name) {
    char shortened[16] = {0};
    strncpy(shortened, name, 15);
    prctl(PR_SET_NAME, shortened, 0, 0, 0);
}

uint64_t martlet_random(void) {
    uint64_t value;
    // Up to 256 bytes come whole once the generator is seeded; before, the call may be interrupted.
    while (getrandom(&value, sizeof value, 0) != sizeof value) {
        if (errno != EINTR) abort();
    }
    return value;
}

int martlet_terminal_width(int descriptor) {
    struct winsize size;
    return ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

int martlet_open(const char *path, int flags) {
    int descriptor;
    do descriptor = open(path, flags | O_CLOEXEC, 0666);
    while (descriptor < 0 && errno == EINTR);
    return descriptor < 0 ? -errno : descriptor;
}

void martlet_lower_priority(void) {
    // On Linux a nice value belongs to a thread.
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 5);
}

void martlet_take_short_turns(uint64_t nanos) {
    struct sched_attr attributes = {0};
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0)) return;
    // Of another policy the field means something else.
    if (attributes.sched_policy != 0) return;
    attributes.sched_runtime = nanos;
    syscall(SYS_sched_setattr, 0, &attributes, 0);
}

int martlet_thread_niceness(void) {
    return getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid));
}

int martlet_set_thread_niceness(int niceness) {
    return setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), niceness) == 0 ? 0 : -errno;
}

int martlet_write_back(int descriptor, int64_t offset, int64_t count) {
    return sync_file_range(descriptor, offset, count, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) == 0 ? 0 : -errno;
}

int martlet_bypass_cache(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    return flags >= 0 && fcntl(descriptor, F_SETFL, flags | O_DIRECT) == 0 ? 0 : -errno;
}

int martlet_pipe(int *ends) { return pipe2(ends, O_CLOEXEC) == 0 ? 0 : -errno; }

int martlet_fork(void) {
    int child = fork();
    return child < 0 ? -errno : child;
}

// Ascending, each once.
static void close_all_but(const int *kept, int count) {
    unsigned next = 0;
    for (int at = 0; at < count; at++) {
        if ((unsigned)kept[at] > next) close_range(next, (unsigned)kept[at] - 1, 0);
        next = (unsigned)kept[at] + 1;
    }
    close_range(next, ~0u, 0);
}

void martlet_become_copy(int parent, const int *kept, int count) {
    // Whoever ends the parent means the copy as well; what a terminal sends to both is for the parent to answer.
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) _exit(1);
    prctl(PR_SET_NAME, "checkpoint", 0, 0, 0);
    const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    for (unsigned at = 0; at < sizeof ignored / sizeof *ignored; at++) signal(ignored[at], SIG_IGN);
    // A crash of the copy is its own affair: nobody's handler looks at it.
    for (unsigned at = 0; at < sizeof crashes / sizeof *crashes; at++) signal(crashes[at], SIG_DFL);
    close_all_but(kept, count);
    // Where memory runs out, the copy goes first.
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0) {
        if (write(score, "500", 3) < 0) errno = 0;
        close(score);
    }
}

void martlet_stand_back(void) { setpriority(PRIO_PROCESS, 0, 19); }

int martlet_collapse_pages(void *start, size_t bytes) {
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
    return madvise(start, bytes, MADV_COLLAPSE) == 0 ? 0 : -errno;
}

void martlet_keep_freed_memory(void) {
    // Request frames and fetched pieces of a megabyte come and go all the time: given back and faulted in again, each page
    // costs more than what is done with it.
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
}
