#ifndef C_MARTLET_PAGER_INTERNAL_H
#define C_MARTLET_PAGER_INTERNAL_H
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096u

// Where a unit is. Whoever changes it takes it to BUSY first, by compare and exchange.
enum state {
    OUT,      // not accessible; its bytes are in its slot, or nowhere where it has none
    IN,       // readable and writable, no slot
    CLEAN,    // readable; the slot holds the same bytes
    WATCHED,  // in memory, not accessible: a touch shows that it is in use. With a slot: as CLEAN
    BUSY,     // somebody is at it
};

struct unit {
    _Atomic uint32_t state;
    /// Place in the file plus 1, in units; 0: none. Changed by whoever has the unit BUSY.
    _Atomic uint32_t slot;
    /// Allocated pages in it. Under the lock.
    uint32_t pages;
};

struct pager {
    unsigned char *base;
    size_t unit_bytes;
    uint64_t units_max;
    struct unit *units;
    int file;
    int memory;  // /proc/self/mem
    _Atomic uint64_t units_used;  // those behind were never allocated
    _Atomic uint64_t hand;
    _Atomic int64_t in;
    _Atomic int64_t out;
    _Atomic int64_t budget;
    _Atomic uint64_t page_ins, page_outs, writes;
    _Atomic int failure;
    _Atomic int is_full;  // the file is not to grow

    // Who moves units, and whether a fork waits until nobody does.
    _Atomic int moving;
    _Atomic int forks;
    int is_copy;

    // Under the lock, which is held for moments and never while the range is touched.
    atomic_flag lock;
    int copies;
    uint32_t *free_slots, *deferred_slots;
    uint64_t free_count, deferred_count, slots_used, slots_max;
    struct extent { uint32_t start, count; } *extents;  // free pages, ascending, never adjacent
    uint64_t extent_count, extents_max;
};

extern struct pager pager;

void pager_enter(void);
void pager_leave(void);
void pager_lock(void);
void pager_unlock(void);
void pager_pause(void);
/// 0: none is left.
uint32_t pager_take_slot(void);
void pager_free_slot(uint32_t slot);
int pager_take_out(int64_t wanted, uint64_t steps);
int pager_protect(uint64_t unit, uint64_t count, int protection);
/// Takes the unit to BUSY from whatever it is; the answer is what it was.
uint32_t pager_seize(struct unit *unit);
/// Forgets the bytes of units that are BUSY.
void pager_drop(uint64_t unit, uint64_t count);
int pager_catch(void);
/// Ends the process.
void pager_die(const char *what, int error) __attribute__((noreturn));

#endif
