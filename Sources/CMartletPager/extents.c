// Which pages of the range are allocated. First fit, over a list of what is free.
#define _GNU_SOURCE
#include "CMartletPager.h"
#include "internal.h"
#include <string.h>

/// Counts pages of units in or out. Under the lock.
static void count_pages(uint64_t start, uint64_t count, int32_t sign) {
    uint64_t each = pager.unit_bytes / PAGE;
    while (count) {
        uint64_t part = each - start % each;
        if (part > count) part = count;
        pager.units[start / each].pages += (uint32_t)(sign * (int32_t)part);
        start += part;
        count -= part;
    }
}

void *martlet_pager_allocate(size_t bytes) {
    if (pager.file < 0 || !bytes || bytes > pager.units_max * pager.unit_bytes) return 0;
    uint64_t pages = (bytes + PAGE - 1) / PAGE;
    pager_enter();
    pager_lock();
    void *found = 0;
    for (uint64_t at = 0; at < pager.extent_count; at++) {
        struct extent *extent = pager.extents + at;
        if (extent->count < pages) continue;
        uint64_t start = extent->start;
        extent->start += (uint32_t)pages;
        extent->count -= (uint32_t)pages;
        if (!extent->count) memmove(extent, extent + 1, (--pager.extent_count - at) * sizeof *extent);
        count_pages(start, pages, 1);
        uint64_t end = (start + pages - 1) / (pager.unit_bytes / PAGE) + 1;
        if (end > atomic_load(&pager.units_used)) atomic_store(&pager.units_used, end);
        found = pager.base + start * PAGE;
        break;
    }
    pager_unlock();
    pager_leave();
    return found;
}

int martlet_pager_owns(const void *memory) {
    const unsigned char *at = memory;
    return pager.base && at >= pager.base && (uint64_t)(at - pager.base) < pager.units_max * pager.unit_bytes;
}

/// Under the lock.
static void give_back(uint64_t start, uint64_t count) {
    uint64_t low = 0, high = pager.extent_count;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (pager.extents[middle].start < start) low = middle + 1;
        else high = middle;
    }
    struct extent *next = pager.extents + low;
    int joins_before = low > 0 && next[-1].start + next[-1].count == start;
    int joins_next = low < pager.extent_count && next->start == start + count;
    if (joins_before && joins_next) {
        next[-1].count += (uint32_t)count + next->count;
        memmove(next, next + 1, (--pager.extent_count - low) * sizeof *next);
    } else if (joins_before) {
        next[-1].count += (uint32_t)count;
    } else if (joins_next) {
        next->start = (uint32_t)start;
        next->count += (uint32_t)count;
    } else {
        memmove(next + 1, next, (pager.extent_count++ - low) * sizeof *next);
        *next = (struct extent){(uint32_t)start, (uint32_t)count};
    }
}

/// What a unit held is nobody's: it is as if it had never been touched. It is BUSY and was `was`.
static void forget(struct unit *unit, uint32_t was) {
    uint32_t slot = atomic_load(&unit->slot);
    if (was == OUT) {
        if (slot) atomic_fetch_sub(&pager.out, 1);
    } else {
        atomic_fetch_sub(&pager.in, 1);
    }
    pager_free_slot(slot);
    atomic_store(&unit->slot, 0);
}

void martlet_pager_release(void *memory, size_t bytes) {
    uint64_t start = (uint64_t)((unsigned char *)memory - pager.base) / PAGE;
    uint64_t pages = (bytes + PAGE - 1) / PAGE;
    uint64_t each = pager.unit_bytes / PAGE;
    uint64_t first = start / each, end = (start + pages - 1) / each + 1;
    pager_enter();
    pager_lock();
    count_pages(start, pages, -1);
    pager_unlock();
    // Units in the middle are all of this allocation, and the first and last where nothing else is in them. Until the pages are
    // free, only other pages of those two can be allocated.
    for (uint64_t at = first; at < end; at++) {
        struct unit *unit = pager.units + at;
        uint32_t was = pager_seize(unit);
        pager_lock();
        int is_empty = unit->pages == 0;
        // Under the lock, so that nobody allocates in it and writes to it before it is dropped.
        if (is_empty && was != OUT) pager_drop(at, 1);
        pager_unlock();
        if (is_empty) forget(unit, was);
        atomic_store(&unit->state, is_empty ? OUT : was);
    }
    pager_lock();
    give_back(start, pages);
    pager_unlock();
    pager_leave();
}
