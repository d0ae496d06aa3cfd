#define _GNU_SOURCE
#include "CMartletEvent.h"
#include "sockets.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

const char *martlet_event_version(void) { return event_get_version(); }

struct martlet_http_server {
    struct event_base *base;
    struct evhttp *http;
    struct evconnlistener *listener;
    struct event *stop_event;
    struct event *resume_event;
    struct event *wake_event;
    struct event *timer_event;
    int stop_descriptor;
    int wake_descriptor;
    uint16_t port;
    martlet_http_handler handler;
    void (*on_wake)(void *context);
    void (*on_timer)(void *context);
    void *context;
};

struct martlet_http_exchange {
    struct evhttp_request *request;
    char *path;
    size_t path_length;
    int is_deferred;
    // Of a reply in pieces: its connection, while that is open.
    struct evhttp_connection *connection;
    martlet_http_stream stream;
};

// libevent's own diagnostics are not in the log's format and tell a user nothing; errors reach us as results.
static void discard_message(int severity, const char *message) {
    (void)severity;
    (void)message;
}

static void on_stop(evutil_socket_t descriptor, short what, void *context) {
    (void)descriptor;
    (void)what;
    event_base_loopbreak(((martlet_http_server *)context)->base);
}

// Out of descriptors: the pending connection stays readable, so accepting again at once would spin. Pause instead.
static void on_accept_error(struct evconnlistener *listener, void *context) {
    struct timeval pause = {0, 100000};
    evconnlistener_disable(listener);
    event_add(((martlet_http_server *)context)->resume_event, &pause);
}

static void on_resume(evutil_socket_t descriptor, short what, void *context) {
    (void)descriptor;
    (void)what;
    evconnlistener_enable(((martlet_http_server *)context)->listener);
}

static void on_wake(evutil_socket_t descriptor, short what, void *context) {
    (void)what;
    martlet_http_server *server = context;
    uint64_t count;
    // Nothing to read is fine: another turn took it.
    if (read(descriptor, &count, sizeof count) < 0) {}
    if (server->on_wake) server->on_wake(server->context);
}

static void on_request(struct evhttp_request *request, void *context) {
    martlet_http_server *server = context;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = uri ? evhttp_uri_get_path(uri) : 0;
    martlet_http_exchange exchange = {0};
    exchange.request = request;
    exchange.path = evhttp_uridecode(path && path[0] ? path : "/", 0, &exchange.path_length);
    if (!exchange.path) {
        evhttp_send_error(request, 400, 0);
        return;
    }
    server->handler(server->context, &exchange);
    free(exchange.path);
}

// One thread uses the base. The change list saves system calls where interest in a descriptor goes to and fro, as a
// connection's does with every request.
static struct event_base *new_base(void) {
    struct event_config *configuration = event_config_new();
    if (!configuration) return 0;
    event_config_set_flag(configuration, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(configuration, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    struct event_base *base = event_base_new_with_config(configuration);
    event_config_free(configuration);
    return base;
}

martlet_http_server *martlet_http_listen(
    const char *host, uint16_t port, const martlet_http_limits *limits, martlet_http_handler handler, void *context,
    char *reason, size_t reason_size) {
    event_set_log_callback(discard_message);
    int descriptor = martlet_open_listener(host, port, 128, reason, reason_size);
    if (descriptor < 0) return 0;
    snprintf(reason, reason_size, "out of memory or descriptors");
    martlet_http_server *server = calloc(1, sizeof *server);
    if (!server) {
        close(descriptor);
        return 0;
    }
    server->handler = handler;
    server->context = context;
    server->port = martlet_port_of(descriptor);
    server->stop_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->wake_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->base = new_base();
    server->http = server->base ? evhttp_new(server->base) : 0;
    struct evhttp_bound_socket *bound = 0;
    if (server->http && server->stop_descriptor >= 0) bound = evhttp_accept_socket_with_handle(server->http, descriptor);
    if (!bound) {
        close(descriptor);
        martlet_http_free(server);
        return 0;
    }
    evhttp_set_max_headers_size(server->http, limits->header_bytes_max);
    evhttp_set_max_body_size(server->http, limits->body_bytes_max);
    evhttp_set_timeout(server->http, (int)limits->idle_seconds_max);
    evhttp_set_default_content_type(server->http, 0);
    // All that libevent knows reach the handler, which says 405 itself.
    evhttp_set_allowed_methods(server->http, 0x1FF);
    evhttp_set_gencb(server->http, on_request, server);
    server->listener = evhttp_bound_socket_get_listener(bound);
    evconnlistener_set_error_cb(server->listener, on_accept_error);
    server->resume_event = event_new(server->base, -1, 0, on_resume, server);
    server->stop_event = event_new(server->base, server->stop_descriptor, EV_READ | EV_PERSIST, on_stop, server);
    server->wake_event = event_new(server->base, server->wake_descriptor, EV_READ | EV_PERSIST, on_wake, server);
    if (!server->resume_event || !server->stop_event || !server->wake_event || event_add(server->stop_event, 0)
        || event_add(server->wake_event, 0)) {
        martlet_http_free(server);
        return 0;
    }
    return server;
}

uint16_t martlet_http_port(const martlet_http_server *server) { return server->port; }

void martlet_http_run(martlet_http_server *server) { event_base_dispatch(server->base); }

void martlet_http_stop(martlet_http_server *server) {
    uint64_t one = 1;
    // Fails only when the counter is full, and then it is readable already.
    if (write(server->stop_descriptor, &one, sizeof one) < 0) return;
}

void martlet_http_on_wake(martlet_http_server *server, void (*handler)(void *context)) { server->on_wake = handler; }

void martlet_http_wake(martlet_http_server *server) {
    uint64_t one = 1;
    // Fails only when the counter is full, and then it is readable already.
    if (write(server->wake_descriptor, &one, sizeof one) < 0) return;
}

void martlet_http_free(martlet_http_server *server) {
    if (server->http) evhttp_free(server->http);
    if (server->stop_event) event_free(server->stop_event);
    if (server->resume_event) event_free(server->resume_event);
    if (server->wake_event) event_free(server->wake_event);
    if (server->timer_event) event_free(server->timer_event);
    if (server->base) event_base_free(server->base);
    if (server->stop_descriptor >= 0) close(server->stop_descriptor);
    if (server->wake_descriptor >= 0) close(server->wake_descriptor);
    free(server);
}

const char *martlet_http_method(const martlet_http_exchange *exchange) {
    switch (evhttp_request_get_command(exchange->request)) {
        case EVHTTP_REQ_GET: return "GET";
        case EVHTTP_REQ_POST: return "POST";
        case EVHTTP_REQ_HEAD: return "HEAD";
        case EVHTTP_REQ_PUT: return "PUT";
        case EVHTTP_REQ_DELETE: return "DELETE";
        case EVHTTP_REQ_OPTIONS: return "OPTIONS";
        case EVHTTP_REQ_TRACE: return "TRACE";
        case EVHTTP_REQ_CONNECT: return "CONNECT";
        case EVHTTP_REQ_PATCH: return "PATCH";
    }
    return "";
}

const char *martlet_http_path(const martlet_http_exchange *exchange, size_t *length) {
    *length = exchange->path_length;
    return exchange->path;
}

const char *martlet_http_query(const martlet_http_exchange *exchange) {
    return evhttp_uri_get_query(evhttp_request_get_evhttp_uri(exchange->request));
}

int martlet_http_header(
    const martlet_http_exchange *exchange, const void **cursor, const char **name, const char **value) {
    const struct evkeyval *before = *cursor;
    const struct evkeyval *each =
        before ? TAILQ_NEXT(before, next) : TAILQ_FIRST(evhttp_request_get_input_headers(exchange->request));
    if (!each) return 0;
    *cursor = each;
    *name = each->key;
    *value = each->value;
    return 1;
}

const uint8_t *martlet_http_body(const martlet_http_exchange *exchange, size_t *length) {
    struct evbuffer *input = evhttp_request_get_input_buffer(exchange->request);
    *length = evbuffer_get_length(input);
    return *length ? evbuffer_pullup(input, -1) : 0;
}

void martlet_http_reply_header(martlet_http_exchange *exchange, const char *name, const char *value) {
    evhttp_add_header(evhttp_request_get_output_headers(exchange->request), name, value);
}

void martlet_http_reply(martlet_http_exchange *exchange, int status, const char *reason, const void *body, size_t length) {
    struct evbuffer *output = evhttp_request_get_output_buffer(exchange->request);
    if (evhttp_request_get_command(exchange->request) == EVHTTP_REQ_HEAD) {
        char text[24];
        snprintf(text, sizeof text, "%zu", length);
        martlet_http_reply_header(exchange, "Content-Length", text);
    } else if (length) {
        evbuffer_add(output, body, length);
    }
    evhttp_send_reply(exchange->request, status, reason, 0);
    if (exchange->is_deferred) free(exchange);
}

martlet_http_exchange *martlet_http_defer(martlet_http_exchange *exchange) {
    martlet_http_exchange *kept = calloc(1, sizeof *kept);
    if (!kept) return 0;
    // Path and body were read already; the request itself stays until it is replied to, even if its client goes.
    kept->request = exchange->request;
    kept->is_deferred = 1;
    return kept;
}

// Replies in pieces.

static void on_timer(evutil_socket_t descriptor, short what, void *context) {
    (void)descriptor;
    (void)what;
    martlet_http_server *server = context;
    server->on_timer(server->context);
}

int martlet_http_set_timer(martlet_http_server *server, int64_t millis, void (*handler)(void *context)) {
    struct timeval period = {millis / 1000, millis % 1000 * 1000};
    server->on_timer = handler;
    server->timer_event = event_new(server->base, -1, EV_PERSIST, on_timer, server);
    return server->timer_event && event_add(server->timer_event, &period) == 0;
}

static void on_drained(struct evhttp_connection *connection, void *context) {
    (void)connection;
    martlet_http_exchange *exchange = context;
    exchange->stream.on_drained(exchange->stream.context);
}

static void on_closed(struct evhttp_connection *connection, void *context) {
    (void)connection;
    martlet_http_exchange *exchange = context;
    exchange->connection = 0;
    exchange->stream.on_closed(exchange->stream.context);
}

// What a client may say while it listens: more of it stays in the socket.
enum { unasked_bytes_max = 16384 };

int martlet_http_stream_begin(martlet_http_exchange *exchange, int status, const char *reason, const martlet_http_stream *stream) {
    exchange->stream = *stream;
    struct evhttp_connection *connection = evhttp_request_get_connection(exchange->request);
    if (!connection) return 0;
    exchange->connection = connection;
    evhttp_connection_set_closecb(connection, on_closed, exchange);
    // A listener says nothing: only writing has a limit. The server's own timeout is for requests.
    struct timeval limit = {stream->write_seconds_max, 0};
    struct bufferevent *buffer = evhttp_connection_get_bufferevent(connection);
    bufferevent_set_timeouts(buffer, 0, &limit);
    bufferevent_setwatermark(buffer, EV_READ, 0, unasked_bytes_max);
    martlet_http_reply_header(exchange, "Connection", "close");
    evhttp_send_reply_start(exchange->request, status, reason);
    return 1;
}

void martlet_http_stream_send(martlet_http_exchange *exchange, const void *bytes, size_t length) {
    if (!exchange->connection || !length) return;
    struct evbuffer *piece = evbuffer_new();
    if (!piece) return;
    evbuffer_add(piece, bytes, length);
    evhttp_send_reply_chunk_with_cb(exchange->request, piece, on_drained, exchange);
    evbuffer_free(piece);
}

void martlet_http_stream_end(martlet_http_exchange *exchange) {
    // The exchange is gone when the connection closes.
    if (exchange->connection) evhttp_connection_set_closecb(exchange->connection, 0, 0);
    // Without a connection this frees the request, which is ours since the client went.
    evhttp_send_reply_end(exchange->request);
    free(exchange);
}
