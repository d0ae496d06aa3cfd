#ifndef C_MARTLET_ARENA_H
#define C_MARTLET_ARENA_H
#include <stddef.h>
#include <stdint.h>

// Memory in huge pages, by what a copy of the process (fork) has to do with it, since a page that both have costs whoever
// writes to it (docs/decisions/0012-checkpoints-by-a-copy-of-the-process.md). Each kind has a range of addresses of its own.
//
// Any thread may call anything here.

enum martlet_arena {
    /// What a copy never reads: copies do not have it.
    MARTLET_ARENA_INDEX,
    /// What changes all the time: a copy does well to make it its own at once.
    MARTLET_ARENA_ROWS,
    /// What never changes.
    MARTLET_ARENA_KEPT,
    MARTLET_ARENAS
};

/// Memory of undefined content, from a page's start on. NULL: it is for others to give, since the piece is small, or no
/// addresses are left, or this is a copy.
void *martlet_arena_allocate(enum martlet_arena kind, size_t bytes);
/// Whether `memory` lies in an arena.
int martlet_arena_owns(const void *memory);
/// `bytes` as it was allocated. In a copy, nothing.
void martlet_arena_release(void *memory, size_t bytes);

/// In a copy, before it allocates anything.
void martlet_arena_become_copy(void);
/// In a copy: copies some of the rows that it shares, if there is memory to spare, so that its parent writes to pages that are
/// its own again. 0: there are no more.
int martlet_arena_unshare(void);
#endif
