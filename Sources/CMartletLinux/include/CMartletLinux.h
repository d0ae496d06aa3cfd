#ifndef C_MARTLET_LINUX_H
#define C_MARTLET_LINUX_H
#include <stddef.h>
#include <stdint.h>

/// Sleeps while `*word == expected`, at most `timeout_nanos` (negative: no limit). Returns 0 when woken or changed, ETIMEDOUT or EINTR otherwise.
int martlet_futex_wait(const uint32_t *word, uint32_t expected, int64_t timeout_nanos);
/// Wakes at most `count` sleepers on `word`.
void martlet_futex_wake(const uint32_t *word, int count);

/// Tells the core that this is a spin loop.
static inline void martlet_spin_hint(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/// The processor features that this program was compiled for and that the processor lacks, separated by ", "; "" if none.
/// A constructor asks before any code that may use them, and exits 78.
const char *martlet_missing_cpu_features(void);

/// SIGINT and SIGTERM count in a word instead of ending the process, the second ends it at once with 1; SIGPIPE is ignored.
void martlet_catch_stop_signals(void);
/// How many stop signals came; a futex word for `martlet_futex_wait`.
const uint32_t *martlet_stop_signal_count(void);

/// Blocks every signal for the calling thread, so that the threads it starts inherit that, and gives them back. Those that a
/// thread's own instruction raises stay: blocked, they end a process whose handler would have told why, or mended it.
/// `saved` is one word that holds the mask of signals 1 … 64.
void martlet_block_signals(uint64_t *saved);
void martlet_restore_signals(const uint64_t *saved);

/// Names the calling thread, by the first 15 bytes of `name`.
void martlet_name_thread(const char *name);

/// The calling thread gets a third of the processor time that others get, while they want it.
void martlet_lower_priority(void);

/// The calling thread asks the scheduler for turns of so many nanoseconds: when it wakes it comes before those with longer
/// ones, and its turn is over the sooner. It gets no more of the processor for that. Without effect before Linux 6.12.
void martlet_take_short_turns(uint64_t nanos);

/// How far the calling thread stands back for others: −20 … 19.
int martlet_thread_niceness(void);

/// Standing back farther is everybody's right, coming forward again not. Returns 0 or −errno.
int martlet_set_thread_niceness(int niceness);

/// 64 bits from the kernel's generator.
uint64_t martlet_random(void);

/// Lets the allocator keep up to 64 MiB of freed memory for the next request instead of giving it back at once.
void martlet_keep_freed_memory(void);

/// pipe2(2) with O_CLOEXEC into two ints. 0 or −errno.
int martlet_pipe(int *ends);
/// fork(2): 0 in the copy, its process id in the parent, or −errno.
int martlet_fork(void);
/// Called by a copy first of all: it ends when the thread that forked it does, or the process `parent`; closes every
/// descriptor but those in `kept` (ascending); ignores what asks a process to stop; and is the first to go where memory runs out.
void martlet_become_copy(int parent, const int *kept, int count);
/// The process gives way to others in processor time from now on.
void martlet_stand_back(void);
/// Moves what is in this memory (whole 2 MiB pieces) into huge pages, each piece at once. 0 or −errno of the last piece that
/// failed; without the kernel's help (Linux 6.1) −EINVAL.
int martlet_collapse_pages(void *start, size_t bytes);

/// Columns of the terminal behind `descriptor`; 0 if it is none or does not say.
int martlet_terminal_width(int descriptor);

/// open(2) with O_CLOEXEC and mode 0666; retried on EINTR. Returns the descriptor or −errno.
int martlet_open(const char *path, int flags);

/// Writes the file's range to the device, as far as it is known where it lies (sync_file_range). 0 or −errno.
int martlet_write_back(int descriptor, int64_t offset, int64_t count);
/// Sets O_DIRECT. 0 or −errno.
int martlet_bypass_cache(int descriptor);

#endif
