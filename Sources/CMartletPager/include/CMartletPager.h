#ifndef C_MARTLET_PAGER_H
#define C_MARTLET_PAGER_H
#include <stddef.h>
#include <stdint.h>
#include "CMartletArena.h"

// Memory that may lie in a file while nobody looks at it (docs/decisions/0016-cold-state-in-pages.md).
//
// One range of addresses is reserved and cut into units of one size. A unit's bytes are in memory, or in the file, or nowhere
// yet; whoever touches a unit that is not in memory, or that is being watched, gets SIGSEGV, whose handler brings it back, so
// that nobody need ask. System calls do not: they answer EFAULT for such addresses and must never be given them.
//
// Any thread may call anything here, and touch what it allocated, unless SIGSEGV is blocked in it.

/// What is the case, in bytes and events.
struct martlet_pager_figures {
    /// In memory.
    uint64_t resident_bytes;
    /// In the file only.
    uint64_t out_bytes;
    /// Units read back.
    uint64_t page_ins;
    /// Units taken out of memory.
    uint64_t page_outs;
    /// Those of them that had to be written.
    uint64_t writes;
};

/// Begins, once in a process: the file (empty, open for reading and writing, the pager's from now on), the size of a unit (a
/// power of two from 4096 on) and how many bytes of addresses to reserve. 0 or −errno: EPERM where the kernel does not let a
/// process write to its own protected memory.
int martlet_pager_start(int descriptor, size_t unit_bytes, uint64_t range_bytes);

/// Memory of undefined content, from a page's start on. NULL: not started, or no addresses are left.
void *martlet_pager_allocate(size_t bytes);
/// Whether `memory` lies in the range.
int martlet_pager_owns(const void *memory);
/// `bytes` as it was allocated. What the file holds of it is free again.
void martlet_pager_release(void *memory, size_t bytes);

/// How much may be in memory. Whoever brings in more first takes something else out.
void martlet_pager_set_budget(uint64_t bytes);
/// Takes out what was not touched of late, until at most `bytes` are in memory or nothing more can be done for now. Returns 0,
/// or −errno of a write that failed since the last call: what could not be written stays in memory.
int martlet_pager_make_room(uint64_t bytes);
/// Takes so much from what may be in memory, for what is about to be allocated and cannot go into the file, until the budget is set
/// again, and takes units out accordingly.
void martlet_pager_give(uint64_t bytes);
/// Whether the file may become larger, as it may until something else is said. Where it may not and has no free place, what would
/// have to be written fails with ENOSPC.
void martlet_pager_let_grow(int grows);
struct martlet_pager_figures martlet_pager_look(void);

/// Around fork(2), by the thread that forks: what is brought in and out stands still meanwhile. `child` as fork returned it.
/// The file keeps what a copy may want to read until `martlet_pager_copy_ended`, once for each fork that did not fail.
void martlet_pager_before_fork(void);
void martlet_pager_after_fork(int child);
void martlet_pager_copy_ended(void);
/// In a copy, after it has closed what it does not need, and before it touches the range. It reads what it needs from the
/// file and forgets it again, so that its memory does not grow by what it reads.
void martlet_pager_become_copy(void);
/// The file, which a copy needs; −1: not started.
int martlet_pager_descriptor(void);

/// Whether state is allocated here: `martlet_pager_allocate_state` answers NULL unless it was said that it is, and for pieces so
/// small that they had better lie between others of their kind.
void martlet_pager_take_state(int takes);
int martlet_pager_takes_state(void);
static inline void *martlet_pager_allocate_state(size_t bytes) {
    return bytes >= 16384 && martlet_pager_takes_state() ? martlet_pager_allocate(bytes) : (void *)0;
}
#endif
