#ifndef C_MARTLET_EVENT_H
#define C_MARTLET_EVENT_H
#include <stddef.h>
#include <stdint.h>

// HTTP over libevent's evhttp. No type or header of libevent shows here.

/// The version of the libevent in use, e.g. "2.1.12-stable".
const char *martlet_event_version(void);

/// One listening address with its event loop. Run and freed by one thread; only `stop` may come from another.
typedef struct martlet_http_server martlet_http_server;
/// A request and its reply; valid within the handler's call, on the server's thread.
typedef struct martlet_http_exchange martlet_http_exchange;
/// Must reply exactly once before it returns.
typedef void (*martlet_http_handler)(void *context, martlet_http_exchange *exchange);

typedef struct {
    /// Request line and headers, bytes; beyond: 400 or the connection closes.
    uint32_t header_bytes_max;
    /// Beyond: 413.
    uint32_t body_bytes_max;
    /// A connection on which nothing happens is closed.
    uint32_t idle_seconds_max;
} martlet_http_limits;

/// Binds and listens on a host (name or number; "" for any) and port (0: any free one). NULL on failure, with the reason in words in
/// `reason` (of `reason_size` bytes).
martlet_http_server *martlet_http_listen(
    const char *host, uint16_t port, const martlet_http_limits *limits, martlet_http_handler handler, void *context,
    char *reason, size_t reason_size);
/// The port that is listened on.
uint16_t martlet_http_port(const martlet_http_server *server);
/// Serves until stopped.
void martlet_http_run(martlet_http_server *server);
/// Ends `run`, now or as soon as it starts. Any thread, any number of times, until freed.
void martlet_http_stop(martlet_http_server *server);
/// Closes the address and every connection.
void martlet_http_free(martlet_http_server *server);

/// "GET", "POST", …
const char *martlet_http_method(const martlet_http_exchange *exchange);
/// The decoded path, which may hold any byte; `length` without the terminating zero.
const char *martlet_http_path(const martlet_http_exchange *exchange, size_t *length);
/// What follows "?", not decoded; NULL if there is no "?".
const char *martlet_http_query(const martlet_http_exchange *exchange);
/// The next request header, in the order they came; 0 past the end. `*cursor` is NULL before the first.
int martlet_http_header(
    const martlet_http_exchange *exchange, const void **cursor, const char **name, const char **value);
/// The request's body in one piece; NULL if empty.
const uint8_t *martlet_http_body(const martlet_http_exchange *exchange, size_t *length);

/// Adds a header to the reply. Ignored where it holds a line break.
void martlet_http_reply_header(martlet_http_exchange *exchange, const char *name, const char *value);
/// Sends the reply; the body is copied. To HEAD the body is left out and its length told.
void martlet_http_reply(martlet_http_exchange *exchange, int status, const char *reason, const void *body, size_t length);

#endif
