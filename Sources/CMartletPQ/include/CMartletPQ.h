#ifndef C_MARTLET_PQ_H
#define C_MARTLET_PQ_H
#include <stddef.h>

// A connection to PostgreSQL over libpq. No type or header of libpq shows here. One thread at a time.

typedef struct martlet_pq martlet_pq;

/// Connects, with the keywords and values of libpq (arrays that end in NULL). NULL without memory; otherwise ask
/// `martlet_pq_is_alive`.
martlet_pq *martlet_pq_connect(const char *const *keywords, const char *const *values);
int martlet_pq_is_alive(const martlet_pq *connection);
/// One or more statements in the simple protocol. 0: done; what the last one gave can be asked for until the next call.
int martlet_pq_execute(martlet_pq *connection, const char *text);
/// The first column of the first row of the last result; NULL: there is none. Valid until the next call.
const char *martlet_pq_value(const martlet_pq *connection);
/// Of the last call that failed: five characters, or "" where the server said none; and words.
const char *martlet_pq_state(const martlet_pq *connection);
const char *martlet_pq_message(const martlet_pq *connection);
void martlet_pq_close(martlet_pq *connection);

#endif
