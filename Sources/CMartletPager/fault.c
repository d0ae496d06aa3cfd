// What happens when somebody touches a unit that is not accessible. Everything here runs in a signal's handler: system calls
// and atomics only.
#define _GNU_SOURCE
#include "CMartletPager.h"
#include "internal.h"
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static struct sigaction before;

/// What a copy read of late: whatever follows takes its place, so that a copy needs memory for these alone.
#define RING_UNITS 64
static uint64_t ring[RING_UNITS];
static unsigned ring_place;

/// Whether the touch was a write, where the machine says so.
static int is_write(void *context) {
#if defined(__x86_64__)
    return (int)(((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR] >> 1 & 1);
#else
    (void)context;
    return 0;
#endif
}

/// Whether a read never gets so far as to find its unit CLEAN, so that finding it so means a write.
static int tells_writes(void) {
#if defined(__x86_64__)
    return 1;
#else
    return 0;
#endif
}

static void give_access(uint64_t number, int protection) {
    int error = pager_protect(number, 1, protection);
    if (error) pager_die("cannot give access to state memory (vm.max_map_count?)", -error);
}

// A handler may run on a stack that is small: what it reads goes through one of these.
#define BUFFERS 8
#define BUFFER_BYTES (32 << 10)
static unsigned char buffers[BUFFERS][BUFFER_BYTES];
static _Atomic int is_taken[BUFFERS];

static unsigned take_buffer(void) {
    for (unsigned at = 0;; at = (at + 1) % BUFFERS) {
        if (!atomic_exchange(&is_taken[at], 1)) return at;
        if (at == BUFFERS - 1) pager_pause();
    }
}

/// From the file into memory, past the protection, so that nobody sees half of it.
static void read_in(uint64_t number, uint32_t slot) {
    unsigned buffer = take_buffer();
    unsigned char *bytes = buffers[buffer];
    size_t unit_bytes = pager.unit_bytes;
    off_t from = (off_t)(slot - 1) * (off_t)unit_bytes;
    off_t to = (off_t)(uintptr_t)(pager.base + number * unit_bytes);
    for (size_t done = 0; done < unit_bytes;) {
        size_t wanted = unit_bytes - done < BUFFER_BYTES ? unit_bytes - done : BUFFER_BYTES;
        ssize_t count = pread(pager.file, bytes, wanted, from + (off_t)done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) pager_die("cannot read state back from its file", count < 0 ? errno : EIO);
        for (ssize_t put = 0; put < count;) {
            ssize_t part = pwrite(pager.memory, bytes + put, (size_t)(count - put), to + (off_t)done + put);
            if (part < 0 && errno == EINTR) continue;
            if (part <= 0) pager_die("cannot write to state memory", part < 0 ? errno : EIO);
            put += part;
        }
        done += (size_t)count;
    }
    atomic_store(&is_taken[buffer], 0);
}

/// Makes a unit that is BUSY and in memory accessible; the answer is what it is then.
static uint32_t open_up(uint64_t number, int writes) {
    struct unit *unit = pager.units + number;
    uint32_t slot = atomic_load(&unit->slot);
    if (slot && !writes) {
        give_access(number, PROT_READ);
        return CLEAN;
    }
    give_access(number, PROT_READ | PROT_WRITE);
    pager_free_slot(slot);
    atomic_store(&unit->slot, 0);
    return IN;
}

/// A copy drops what it read longest ago, unless it wrote to it.
static void remember(uint64_t number) {
    uint64_t oldest = ring[ring_place];
    ring[ring_place] = number + 1;
    ring_place = (ring_place + 1) % RING_UNITS;
    if (!oldest || atomic_load(&pager.units[oldest - 1].state) != CLEAN) return;
    pager_drop(oldest - 1, 1);
    atomic_store(&pager.units[oldest - 1].state, OUT);
}

static uint32_t bring_in(uint64_t number, int writes) {
    uint32_t slot = atomic_load(&pager.units[number].slot);
    atomic_fetch_add(&pager.in, 1);
    if (slot) {
        read_in(number, slot);
        atomic_fetch_sub(&pager.out, 1);
        atomic_fetch_add(&pager.page_ins, 1);
        if (pager.is_copy) remember(number);
        return open_up(number, writes);
    }
    give_access(number, PROT_READ | PROT_WRITE);
    // All pages at once; where the kernel has no such call, one by one as they are touched.
    madvise(pager.base + number * pager.unit_bytes, pager.unit_bytes, MADV_POPULATE_WRITE);
    return IN;
}

/// Keeps to the budget: who brings something in takes something out, if need be after a longer search.
static void make_room(void) {
    int64_t budget = atomic_load(&pager.budget);
    if (pager.is_copy || atomic_load(&pager.in) < budget) return;
    pager_take_out(budget - 1, 64);
    if (atomic_load(&pager.in) > budget + budget / 32) pager_take_out(budget - 1, UINT64_MAX);
}

/// 1: whoever touched may try again.
static int serve(const void *address, int writes) {
    uint64_t number = (uint64_t)((const unsigned char *)address - pager.base) / pager.unit_bytes;
    struct unit *unit = pager.units + number;
    int has_room = 0;
    while (1) {
        uint32_t was = atomic_load(&unit->state);
        switch (was) {
        case IN: return 1;
        case BUSY: pager_pause(); continue;
        case CLEAN:
            if (!writes && tells_writes()) return 1;
            break;
        case OUT:
            if (!__atomic_load_n(&unit->pages, __ATOMIC_RELAXED)) return 0;
            if (!has_room) {
                has_room = 1;
                make_room();
                continue;
            }
            break;
        default: break;
        }
        if (!atomic_compare_exchange_strong(&unit->state, &was, BUSY)) continue;
        atomic_store(&unit->state, was == OUT ? bring_in(number, writes) : open_up(number, writes || was == CLEAN));
        return 1;
    }
}

static void on_fault(int number, siginfo_t *info, void *context) {
    int saved = errno;
    int is_served = 0;
    if (info->si_code > 0 && martlet_pager_owns(info->si_addr)) {
        pager_enter();
        is_served = serve(info->si_addr, is_write(context));
        pager_leave();
    }
    errno = saved;
    if (is_served) return;
    // Somebody else's, or nobody's: as if this handler were not there.
    if (before.sa_flags & SA_SIGINFO) before.sa_sigaction(number, info, context);
    else if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN) sigaction(number, &before, 0);
    else before.sa_handler(number);
}

int pager_catch(void) {
    struct sigaction action = {0};
    action.sa_sigaction = on_fault;
    // On its own stack where the thread has one, so that a stack that ran out is told as before.
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGSEGV, &action, &before) == 0 ? 0 : -errno;
}
