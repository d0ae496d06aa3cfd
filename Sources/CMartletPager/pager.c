#define _GNU_SOURCE
#include "CMartletPager.h"
#include "internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct pager pager = {.file = -1, .memory = -1, .lock = ATOMIC_FLAG_INIT};
static _Atomic int takes_state;

/// Units that are left to state, whatever else is allocated, until it is told again what it may have.
enum { GIVEN_DOWN_TO = 64 };

// MARK: Who may move units

void pager_pause(void) {
    struct timespec moment = {0, 20000};
    nanosleep(&moment, 0);
}

void pager_enter(void) {
    while (1) {
        atomic_fetch_add(&pager.moving, 1);
        if (!atomic_load(&pager.forks)) return;
        atomic_fetch_sub(&pager.moving, 1);
        pager_pause();
    }
}

void pager_leave(void) { atomic_fetch_sub(&pager.moving, 1); }

void pager_lock(void) {
    while (atomic_flag_test_and_set_explicit(&pager.lock, memory_order_acquire)) pager_pause();
}

void pager_unlock(void) { atomic_flag_clear_explicit(&pager.lock, memory_order_release); }

// MARK: Slots of the file

// A unit always goes to a slot that was free, so that it is enough to keep those that a copy may read from becoming free.

uint32_t pager_take_slot(void) {
    pager_lock();
    uint32_t slot = 0;
    if (pager.free_count) slot = pager.free_slots[--pager.free_count];
    else if (pager.slots_used < pager.slots_max && !atomic_load(&pager.is_full)) slot = (uint32_t)++pager.slots_used;
    pager_unlock();
    return slot;
}

void pager_free_slot(uint32_t slot) {
    // A copy's file is its parent's.
    if (!slot || pager.is_copy) return;
    pager_lock();
    if (pager.copies) pager.deferred_slots[pager.deferred_count++] = slot;
    else pager.free_slots[pager.free_count++] = slot;
    pager_unlock();
}

// MARK: Units

int pager_protect(uint64_t unit, uint64_t count, int protection) {
    return mprotect(pager.base + unit * pager.unit_bytes, count * pager.unit_bytes, protection) == 0 ? 0 : -errno;
}

uint32_t pager_seize(struct unit *unit) {
    while (1) {
        uint32_t was = atomic_load(&unit->state);
        if (was != BUSY && atomic_compare_exchange_strong(&unit->state, &was, BUSY)) return was;
        pager_pause();
    }
}

void pager_drop(uint64_t unit, uint64_t count) {
    int error = pager_protect(unit, count, PROT_NONE);
    if (error) pager_die("cannot protect state memory (vm.max_map_count?)", -error);
    madvise(pager.base + unit * pager.unit_bytes, count * pager.unit_bytes, MADV_DONTNEED);
}

/// Writes a unit that is BUSY and not accessible to a new slot. Others may read it meanwhile. 0 or −errno.
static int write_out(uint64_t number) {
    uint32_t slot = pager_take_slot();
    if (!slot) return -ENOSPC;
    int error = pager_protect(number, 1, PROT_READ);
    const unsigned char *from = pager.base + number * pager.unit_bytes;
    off_t to = (off_t)(slot - 1) * (off_t)pager.unit_bytes;
    for (size_t done = 0; !error && done < pager.unit_bytes;) {
        ssize_t count = pwrite(pager.file, from + done, pager.unit_bytes - done, to + (off_t)done);
        if (count > 0) done += (size_t)count;
        else if (count == 0) error = -ENOSPC;
        else if (errno != EINTR) error = -errno;
    }
    if (error) {
        pager_free_slot(slot);
        if (pager_protect(number, 1, PROT_NONE)) pager_die("cannot protect state memory (vm.max_map_count?)", -error);
        return error;
    }
    atomic_store(&pager.units[number].slot, slot);
    atomic_fetch_add(&pager.writes, 1);
    return 0;
}

/// What the hand does at one unit: what was watched and not touched goes out. 1: it went; 0: it did not; or −errno.
static int let_go(uint64_t number) {
    struct unit *unit = pager.units + number;
    uint32_t expected = WATCHED;
    if (!atomic_compare_exchange_strong(&unit->state, &expected, BUSY)) return 0;
    if (!atomic_load(&unit->slot)) {
        int error = write_out(number);
        if (error) {
            atomic_store(&unit->state, WATCHED);
            return error;
        }
    }
    pager_drop(number, 1);
    atomic_fetch_sub(&pager.in, 1);
    atomic_fetch_add(&pager.out, 1);
    atomic_fetch_add(&pager.page_outs, 1);
    atomic_store(&unit->state, OUT);
    return 1;
}

/// The hand's other half, which is ahead of it: takes access away from what is in use.
static void watch(uint64_t number) {
    struct unit *unit = pager.units + number;
    uint32_t was = atomic_load(&unit->state);
    if ((was != IN && was != CLEAN) || !atomic_compare_exchange_strong(&unit->state, &was, BUSY)) return;
    // Where the kernel has no room for one more mapping, the unit is not watched now.
    atomic_store(&unit->state, pager_protect(number, 1, PROT_NONE) == 0 ? WATCHED : was);
}

/// Takes out units until at most `wanted` are in, or after looking at so many that are in. 0 or −errno.
int pager_take_out(int64_t wanted, uint64_t steps) {
    uint64_t used = atomic_load(&pager.units_used);
    uint64_t passed = 0;
    if (!used) return 0;
    while (atomic_load(&pager.in) > wanted && steps && passed++ < 3 * used) {
        uint64_t hand = atomic_fetch_add(&pager.hand, 1);
        uint64_t number = hand % used;
        // A unit has the time in which a quarter of the range is passed to show that it is in use.
        watch((hand + used / 4) % used);
        if (atomic_load(&pager.units[number].state) == OUT) continue;
        steps--;
        int error = let_go(number);
        if (error < 0) {
            atomic_store(&pager.failure, -error);
            return error;
        }
    }
    return 0;
}

static void keep_no_more_than(int64_t wanted) {
    // A few at a time, so that a fork need not wait for long.
    for (uint64_t round = 0; atomic_load(&pager.in) > wanted; round++) {
        if (round * 16 > 3 * atomic_load(&pager.units_used)) break;
        pager_enter();
        int error = pager_take_out(wanted, 16);
        pager_leave();
        if (error) break;
    }
}

int martlet_pager_make_room(uint64_t bytes) {
    if (pager.file < 0) return 0;
    keep_no_more_than((int64_t)(bytes / pager.unit_bytes));
    return -atomic_exchange(&pager.failure, 0);
}

void martlet_pager_give(uint64_t bytes) {
    if (pager.file < 0) return;
    int64_t units = (int64_t)(bytes / pager.unit_bytes), budget = atomic_load(&pager.budget), less;
    do {
        less = budget - units;
        if (less < GIVEN_DOWN_TO) less = budget < GIVEN_DOWN_TO ? budget : GIVEN_DOWN_TO;
    } while (!atomic_compare_exchange_weak(&pager.budget, &budget, less));
    keep_no_more_than(less);
}

void martlet_pager_set_budget(uint64_t bytes) {
    if (pager.unit_bytes) atomic_store(&pager.budget, (int64_t)(bytes / pager.unit_bytes));
}

void martlet_pager_let_grow(int grows) { atomic_store(&pager.is_full, !grows); }

struct martlet_pager_figures martlet_pager_look(void) {
    struct martlet_pager_figures figures = {0};
    int64_t in = atomic_load(&pager.in), out = atomic_load(&pager.out);
    figures.resident_bytes = (uint64_t)(in > 0 ? in : 0) * pager.unit_bytes;
    figures.out_bytes = (uint64_t)(out > 0 ? out : 0) * pager.unit_bytes;
    figures.page_ins = atomic_load(&pager.page_ins);
    figures.page_outs = atomic_load(&pager.page_outs);
    figures.writes = atomic_load(&pager.writes);
    return figures;
}

// MARK: Forks

void martlet_pager_before_fork(void) {
    if (pager.file < 0) return;
    atomic_fetch_add(&pager.forks, 1);
    while (atomic_load(&pager.moving)) pager_pause();
}

void martlet_pager_after_fork(int child) {
    if (pager.file < 0) return;
    if (child == 0) {
        pager.is_copy = 1;
        atomic_store(&pager.forks, 0);
        return;
    }
    if (child > 0) pager.copies++;
    atomic_fetch_sub(&pager.forks, 1);
}

void martlet_pager_copy_ended(void) {
    if (pager.file < 0) return;
    pager_lock();
    if (--pager.copies == 0) {
        while (pager.deferred_count) pager.free_slots[pager.free_count++] = pager.deferred_slots[--pager.deferred_count];
    }
    pager_unlock();
}

void martlet_pager_become_copy(void) {
    if (pager.file < 0) return;
    // The parent's descriptor means the parent's memory.
    pager.memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    if (pager.memory < 0) pager_die("cannot open /proc/self/mem", errno);
    pager_catch();
}

int martlet_pager_descriptor(void) { return pager.file; }

// MARK: Beginning

/// Memory for a table, which costs nothing until it is used.
static void *table(uint64_t bytes) {
    void *made = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return made == MAP_FAILED ? 0 : made;
}

/// Whether this process may write to its own memory where it is protected.
static int may_write_protected(void) {
    unsigned char wanted = 1;
    if (pwrite(pager.memory, &wanted, 1, (off_t)(uintptr_t)pager.base) != 1) return 0;
    // One mapping has pages from the beginning, and all that are split off it later can be joined again.
    if (mprotect(pager.base, PAGE, PROT_READ) != 0 || pager.base[0] != wanted) return 0;
    return mprotect(pager.base, PAGE, PROT_NONE) == 0 && madvise(pager.base, PAGE, MADV_DONTNEED) == 0;
}

int martlet_pager_start(int descriptor, size_t unit_bytes, uint64_t range_bytes) {
    if (pager.file >= 0) return -EALREADY;
    if (unit_bytes < PAGE || (unit_bytes & (unit_bytes - 1)) || range_bytes < unit_bytes) return -EINVAL;
    uint64_t units = range_bytes / unit_bytes;
    if (range_bytes / PAGE > UINT32_MAX || units > UINT32_MAX / 2) return -EINVAL;
    void *base = mmap(0, units * unit_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return -errno;
    // Part of a huge page cannot be given back.
    madvise(base, units * unit_bytes, MADV_NOHUGEPAGE);
    pager.base = base;
    pager.unit_bytes = unit_bytes;
    pager.units_max = units;
    pager.slots_max = units * 2;
    pager.extents_max = units * unit_bytes / PAGE / 2 + 1;
    pager.units = table(units * sizeof(struct unit));
    pager.free_slots = table(pager.slots_max * sizeof(uint32_t));
    pager.deferred_slots = table(pager.slots_max * sizeof(uint32_t));
    pager.extents = table(pager.extents_max * sizeof(struct extent));
    pager.memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    if (!pager.units || !pager.free_slots || !pager.deferred_slots || !pager.extents) return -ENOMEM;
    if (pager.memory < 0) return -errno;
    if (!may_write_protected()) return -EPERM;
    pager.extents[0] = (struct extent){0, (uint32_t)(units * unit_bytes / PAGE)};
    pager.extent_count = 1;
    atomic_store(&pager.budget, INT64_MAX);
    int error = pager_catch();
    if (error) return error;
    pager.file = descriptor;
    return 0;
}

void martlet_pager_take_state(int takes) { atomic_store(&takes_state, takes); }
int martlet_pager_takes_state(void) { return atomic_load_explicit(&takes_state, memory_order_relaxed); }

void pager_die(const char *what, int error) {
    // Whoever called may be anywhere: only what is safe in a signal's handler.
    const char *parts[] = {"martlet: ", what, ": ", strerrordesc_np(error), "\n"};
    for (unsigned at = 0; at < sizeof parts / sizeof *parts; at++) {
        if (parts[at] && write(2, parts[at], strlen(parts[at])) < 0) break;
    }
    _exit(1);
}
