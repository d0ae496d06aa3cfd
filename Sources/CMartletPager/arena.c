#define _GNU_SOURCE
#include "CMartletArena.h"
#include "internal.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define HUGE ((uint64_t)2 << 20)
/// Addresses of each kind. They cost nothing until they are used.
#define RANGE ((uint64_t)1 << 38)
/// So much is made usable at a time, and copied at a time.
#define STEP ((uint64_t)64 << 20)
/// Smaller pieces had better lie between others of their kind.
#define PIECE_MIN ((size_t)32 << 10)
/// Whole huge pages are given back when so much has become free, or at once if they lie in so large a piece.
#define TRIM_AFTER ((uint64_t)64 << 20)
#define TRIM_AT_ONCE ((uint64_t)4 << 20)
/// A copy makes rows its own while they take no more than this part of the memory that is free.
#define UNSHARED_PART 4

struct free_run { uint64_t start, end; };

struct arena {
    unsigned char *base;
    int failed;
    atomic_flag lock;
    /// Up to where addresses were ever given out, and may be touched. From `base`.
    uint64_t used, usable;
    /// Below `used`: ascending, never adjacent.
    struct free_run *runs;
    size_t run_count, runs_max;
    uint64_t freed;
};

static struct arena arenas[MARTLET_ARENAS] = {
    {.lock = ATOMIC_FLAG_INIT}, {.lock = ATOMIC_FLAG_INIT}, {.lock = ATOMIC_FLAG_INIT}};
static int is_copy;

static void lock(struct arena *arena) {
    while (atomic_flag_test_and_set_explicit(&arena->lock, memory_order_acquire)) pager_pause();
}

static void unlock(struct arena *arena) { atomic_flag_clear_explicit(&arena->lock, memory_order_release); }

/// Reserves the addresses. Under the lock.
static int begin(struct arena *arena, enum martlet_arena kind) {
    if (arena->base) return 1;
    if (arena->failed) return 0;
    arena->failed = 1;
    unsigned char *mapped = mmap(0, RANGE + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) return 0;
    unsigned char *base = (unsigned char *)(((uintptr_t)mapped + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
    madvise(base, RANGE, MADV_HUGEPAGE);
    if (kind == MARTLET_ARENA_INDEX && madvise(base, RANGE, MADV_DONTFORK)) {
        munmap(mapped, RANGE + HUGE);
        return 0;
    }
    arena->base = base;
    return 1;
}

/// Addresses that were never given out. Under the lock.
static int extend(struct arena *arena, uint64_t bytes) {
    if (bytes > RANGE - arena->used) return 0;
    uint64_t end = (arena->used + bytes + STEP - 1) & ~(STEP - 1);
    if (end > arena->usable) {
        if (mprotect(arena->base + arena->usable, end - arena->usable, PROT_READ | PROT_WRITE)) return 0;
        arena->usable = end;
    }
    arena->used += bytes;
    return 1;
}

static void remove_run(struct arena *arena, size_t at) {
    memmove(arena->runs + at, arena->runs + at + 1, (--arena->run_count - at) * sizeof *arena->runs);
}

static uint64_t whole_pages(size_t bytes) { return ((uint64_t)bytes + PAGE - 1) & ~(uint64_t)(PAGE - 1); }

void *martlet_arena_allocate(enum martlet_arena kind, size_t bytes) {
    if (is_copy || bytes < PIECE_MIN || bytes > RANGE) return 0;
    struct arena *arena = arenas + kind;
    uint64_t wanted = whole_pages(bytes);
    lock(arena);
    void *found = 0;
    if (begin(arena, kind)) {
        for (size_t at = 0; at < arena->run_count && !found; at++) {
            struct free_run *run = arena->runs + at;
            if (run->end - run->start < wanted) continue;
            found = arena->base + run->start;
            run->start += wanted;
            if (run->start == run->end) remove_run(arena, at);
        }
        uint64_t end = arena->used;
        if (!found && extend(arena, wanted)) found = arena->base + end;
    }
    unlock(arena);
    return found;
}

static struct arena *owner(const void *memory) {
    for (int kind = 0; kind < MARTLET_ARENAS; kind++) {
        const unsigned char *base = arenas[kind].base;
        if (base && (const unsigned char *)memory >= base && (uint64_t)((const unsigned char *)memory - base) < RANGE) return arenas + kind;
    }
    return 0;
}

int martlet_arena_owns(const void *memory) { return owner(memory) != 0; }

/// Gives back the whole huge pages of free addresses.
static void give_back(struct arena *arena, struct free_run run) {
    uint64_t start = (run.start + HUGE - 1) & ~(HUGE - 1), end = run.end & ~(HUGE - 1);
    if (end > start) madvise(arena->base + start, end - start, MADV_DONTNEED);
}

/// Joins the run with its neighbours. 0: there is no memory to note it, and the addresses are lost. Under the lock.
static int put_run(struct arena *arena, struct free_run *run) {
    size_t low = 0, high = arena->run_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (arena->runs[middle].start < run->start) low = middle + 1;
        else high = middle;
    }
    if (low < arena->run_count && arena->runs[low].start == run->end) {
        run->end = arena->runs[low].end;
        remove_run(arena, low);
    }
    if (low > 0 && arena->runs[low - 1].end == run->start) {
        run->start = arena->runs[--low].start;
        remove_run(arena, low);
    }
    if (arena->run_count == arena->runs_max) {
        size_t wanted = arena->runs_max ? arena->runs_max * 2 : 256;
        struct free_run *more = realloc(arena->runs, wanted * sizeof *more);
        if (!more) return 0;
        arena->runs = more;
        arena->runs_max = wanted;
    }
    memmove(arena->runs + low + 1, arena->runs + low, (arena->run_count++ - low) * sizeof *arena->runs);
    arena->runs[low] = *run;
    return 1;
}

void martlet_arena_release(void *memory, size_t bytes) {
    struct arena *arena = owner(memory);
    if (!arena || is_copy) return;
    uint64_t start = (uint64_t)((unsigned char *)memory - arena->base), size = whole_pages(bytes);
    struct free_run run = {start, start + size};
    lock(arena);
    arena->freed += size;
    if (put_run(arena, &run)) {
        if (arena->freed >= TRIM_AFTER) {
            for (size_t at = 0; at < arena->run_count; at++) give_back(arena, arena->runs[at]);
            arena->freed = 0;
        } else if (size >= TRIM_AT_ONCE) {
            // Of the neighbours only what shares a huge page with it.
            uint64_t low = start & ~(HUGE - 1), high = (start + size + HUGE - 1) & ~(HUGE - 1);
            give_back(arena, (struct free_run){run.start > low ? run.start : low, run.end < high ? run.end : high});
        }
    }
    unlock(arena);
}

void martlet_arena_become_copy(void) { is_copy = 1; }

/// Bytes of memory that nobody needs, as the kernel reckons; 0: it does not say.
static uint64_t available_bytes(void) {
    static const char name[] = "MemAvailable:";
    char text[1024];
    int file = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t count = read(file, text, sizeof text - 1);
    close(file);
    text[count > 0 ? count : 0] = 0;
    const char *found = strstr(text, name);
    return found ? strtoull(found + sizeof name - 1, 0, 10) * 1024 : 0;
}

int martlet_arena_unshare(void) {
    static uint64_t place, left;
    struct arena *arena = arenas + MARTLET_ARENA_ROWS;
    unsigned char present[HUGE / PAGE];
    if (!is_copy || !arena->base) return 0;
    if (!place) left = available_bytes() / UNSHARED_PART;
    for (uint64_t end = place + STEP; place < end; place += HUGE) {
        if (place >= arena->used || left < HUGE) return 0;
        // Memory that was never touched stays so.
        if (mincore(arena->base + place, HUGE, present) || !memchr(present, 1, sizeof present)) continue;
        if (madvise(arena->base + place, HUGE, MADV_POPULATE_WRITE)) return 0;
        left -= HUGE;
    }
    return 1;
}
