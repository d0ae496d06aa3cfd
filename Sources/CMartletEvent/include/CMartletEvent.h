#ifndef C_MARTLET_EVENT_H
#define C_MARTLET_EVENT_H
#include <stddef.h>
#include <stdint.h>

// HTTP over libevent's evhttp. No type or header of libevent shows here.

/// The version of the libevent in use, e.g. "2.1.12-stable".
const char *martlet_event_version(void);

/// One listening address with its event loop. Run and freed by one thread; only `stop` and `wake` may come from another.
typedef struct martlet_http_server martlet_http_server;
/// A request and its reply; valid within the handler's call, on the server's thread, or until the reply if deferred.
typedef struct martlet_http_exchange martlet_http_exchange;
/// Must reply exactly once: before it returns, or later if it deferred.
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
/// Has the server's thread call the function given to `on_wake`. Any thread, until freed.
void martlet_http_wake(martlet_http_server *server);
void martlet_http_on_wake(martlet_http_server *server, void (*handler)(void *context));
/// Closes the address and every connection. Deferred exchanges that were not replied to are gone with it.
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
/// Lets the reply come after the handler's return: the exchange lives until then. On the server's thread only.
martlet_http_exchange *martlet_http_defer(martlet_http_exchange *exchange);
/// Sends the reply; the body is copied. Frees a deferred exchange. To HEAD the body is left out and its length told.
void martlet_http_reply(martlet_http_exchange *exchange, int status, const char *reason, const void *body, size_t length);

// A reply without an end, in pieces. All on the server's thread.

/// What is to be known of a reply in pieces.
typedef struct {
    /// Everything that was sent has been taken by the system.
    void (*on_drained)(void *context);
    /// The client is gone, or took nothing for too long. Nothing is sent from here on.
    void (*on_closed)(void *context);
    void *context;
    /// A client that takes nothing for so long is closed.
    uint32_t write_seconds_max;
} martlet_http_stream;

/// Sends status and headers of a deferred exchange, and keeps its connection for the pieces; 0 if the client is gone already.
int martlet_http_stream_begin(martlet_http_exchange *exchange, int status, const char *reason, const martlet_http_stream *stream);
/// Sends a piece, which is copied. Nothing happens once the client is gone.
void martlet_http_stream_send(martlet_http_exchange *exchange, const void *bytes, size_t length);
/// The end: what was sent still leaves, the connection closes, and the exchange is freed. Once, also after `on_closed`.
void martlet_http_stream_end(martlet_http_exchange *exchange);
/// Calls `handler` with the server's context every `millis` from when it runs. Once, before `run`; 0 if that cannot be.
int martlet_http_set_timer(martlet_http_server *server, int64_t millis, void (*handler)(void *context));

// Event loops and TCP sockets for whoever frames a byte stream. Functions that can fail return −errno.

/// A thread's loop over descriptors and one timer. Everything but `wake` and `stop` belongs to the thread that runs it.
typedef struct martlet_loop martlet_loop;
/// What is wanted to be known of one descriptor.
typedef struct martlet_watch martlet_watch;
typedef void (*martlet_loop_handler)(void *context);
typedef void (*martlet_watch_handler)(void *context, int is_readable, int is_writable);

/// `on_wake` follows `martlet_loop_wake` (several wakes may be one call), `on_timer` the timer, `on_turn` every round of
/// events, when all handlers of the round have run. NULL when memory or descriptors are out.
martlet_loop *martlet_loop_new(
    martlet_loop_handler on_wake, martlet_loop_handler on_timer, martlet_loop_handler on_turn, void *context);
/// Runs until stopped.
void martlet_loop_run(martlet_loop *loop);
/// Any thread.
void martlet_loop_wake(martlet_loop *loop);
/// Any thread: ends `run`, now or as soon as it starts.
void martlet_loop_stop(martlet_loop *loop);
/// The one timer, from now; again replaces it; negative: none.
void martlet_loop_set_timer(martlet_loop *loop, int64_t micros);
void martlet_loop_free(martlet_loop *loop);

/// Wants nothing at first. NULL when memory is out.
martlet_watch *martlet_watch_new(martlet_loop *loop, int descriptor, martlet_watch_handler handler, void *context);
/// Level-triggered; 0 if the kernel takes it.
int martlet_watch_set(martlet_watch *watch, int reading, int writing);
/// The handler is not called again. The descriptor is closed afterwards, by its owner.
void martlet_watch_free(martlet_watch *watch);

/// Bytes to be sent.
typedef struct {
    const void *bytes;
    size_t count;
} martlet_piece;

/// A listening descriptor that does not block; −1 with the reason in words.
int martlet_tcp_listen(const char *host, uint16_t port, int backlog, char *reason, size_t reason_size);
uint16_t martlet_tcp_port(int descriptor);
/// The next connection, not blocking, with TCP_NODELAY and keep-alive.
int martlet_tcp_accept(int listening);
/// A blocking connection with TCP_NODELAY; −1 with the reason in words.
int martlet_tcp_connect(const char *host, uint16_t port, char *reason, size_t reason_size);
/// How long a blocking receive or send may take.
void martlet_tcp_set_timeout(int descriptor, int64_t micros);
/// The numeric address of this end (`peer` 0) or the other (1).
int martlet_tcp_address(int descriptor, int peer, char *host, size_t host_size, uint16_t *port);
/// Fills the first buffer, then the second (which may be empty); 0 at the end of the stream.
int64_t martlet_tcp_receive(int descriptor, void *first, size_t first_size, void *second, size_t second_size);
/// At most 1,024 pieces; how many bytes the kernel took.
int64_t martlet_tcp_send(int descriptor, const martlet_piece *pieces, int count);
/// Tells the other end that nothing more comes.
void martlet_tcp_finish_sending(int descriptor);
void martlet_tcp_close(int descriptor);
/// 1 if every address of that name is this machine's own loopback; "" is every interface, hence 0.
int martlet_is_loopback(const char *host);
/// Lets the process open `wanted` descriptors, or as many as the system allows; returns the limit that holds.
uint64_t martlet_raise_descriptor_limit(uint64_t wanted);
/// A descriptor that is good for nothing but to be closed when the process has run out of them; −1 on failure.
int martlet_spare_descriptor(void);

#endif
