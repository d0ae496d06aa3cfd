#ifndef C_MARTLET_PQ_H
#define C_MARTLET_PQ_H
#include <stddef.h>

// A connection to PostgreSQL over libpq. No type or header of libpq shows here. One thread at a time.

typedef struct martlet_pq martlet_pq;

/// Ends the waiting of calls on the connections that were made with it. Any thread may set it, for good; it outlives them.
typedef struct martlet_pq_gate martlet_pq_gate;
martlet_pq_gate *martlet_pq_gate_new(void);
void martlet_pq_gate_shut(martlet_pq_gate *gate);
void martlet_pq_gate_free(martlet_pq_gate *gate);

/// Connects, with the keywords and values of libpq (arrays that end in NULL). NULL without memory; otherwise ask
/// `martlet_pq_is_alive`. `gate` may be NULL.
martlet_pq *martlet_pq_connect(const char *const *keywords, const char *const *values, const martlet_pq_gate *gate);
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
