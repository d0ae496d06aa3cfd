#define _GNU_SOURCE
#include "CMartletEvent.h"
#include <event2/event.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct martlet_loop {
    struct event_base *base;
    struct event *wake_event;
    struct event *timer_event;
    int wake_descriptor;
    atomic_int is_stopping;
    martlet_loop_handler on_wake;
    martlet_loop_handler on_timer;
    martlet_loop_handler on_turn;
    void *context;
};

struct martlet_watch {
    martlet_loop *loop;
    struct event *reading;
    struct event *writing;
    int is_reading;
    int is_writing;
    martlet_watch_handler handler;
    void *context;
};

static void on_wake(evutil_socket_t descriptor, short what, void *context) {
    (void)what;
    martlet_loop *loop = context;
    uint64_t count;
    // Nothing to read is fine: another turn took it.
    if (read(descriptor, &count, sizeof count) < 0) {}
    loop->on_wake(loop->context);
    if (atomic_load(&loop->is_stopping)) event_base_loopbreak(loop->base);
}

static void on_timer(evutil_socket_t descriptor, short what, void *context) {
    (void)descriptor;
    (void)what;
    martlet_loop *loop = context;
    loop->on_timer(loop->context);
}

martlet_loop *martlet_loop_new(
    martlet_loop_handler wake_handler, martlet_loop_handler timer_handler, martlet_loop_handler turn_handler, void *context) {
    martlet_loop *loop = calloc(1, sizeof *loop);
    if (!loop) return 0;
    loop->on_wake = wake_handler;
    loop->on_timer = timer_handler;
    loop->on_turn = turn_handler;
    loop->context = context;
    loop->wake_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct event_config *configuration = event_config_new();
    if (configuration) {
        // One thread uses the base. The change list saves system calls where interest in a descriptor goes to and fro.
        event_config_set_flag(configuration, EVENT_BASE_FLAG_NOLOCK);
        event_config_set_flag(configuration, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
        loop->base = event_base_new_with_config(configuration);
        event_config_free(configuration);
    }
    if (loop->base && loop->wake_descriptor >= 0) {
        loop->wake_event = event_new(loop->base, loop->wake_descriptor, EV_READ | EV_PERSIST, on_wake, loop);
        loop->timer_event = event_new(loop->base, -1, 0, on_timer, loop);
    }
    if (!loop->wake_event || !loop->timer_event || event_add(loop->wake_event, 0)) {
        martlet_loop_free(loop);
        return 0;
    }
    return loop;
}

void martlet_loop_run(martlet_loop *loop) {
    while (!atomic_load(&loop->is_stopping)) {
        if (event_base_loop(loop->base, EVLOOP_ONCE) < 0) return;
        loop->on_turn(loop->context);
    }
    // What was posted before the stop is still to be done.
    loop->on_wake(loop->context);
    loop->on_turn(loop->context);
}

void martlet_loop_wake(martlet_loop *loop) {
    uint64_t one = 1;
    // Fails only when the counter is full, and then it is readable already.
    if (write(loop->wake_descriptor, &one, sizeof one) < 0) return;
}

void martlet_loop_stop(martlet_loop *loop) {
    atomic_store(&loop->is_stopping, 1);
    martlet_loop_wake(loop);
}

void martlet_loop_set_timer(martlet_loop *loop, int64_t micros) {
    if (micros < 0) {
        event_del(loop->timer_event);
        return;
    }
    struct timeval limit = {micros / 1000000, micros % 1000000};
    event_add(loop->timer_event, &limit);
}

void martlet_loop_free(martlet_loop *loop) {
    if (loop->wake_event) event_free(loop->wake_event);
    if (loop->timer_event) event_free(loop->timer_event);
    if (loop->base) event_base_free(loop->base);
    if (loop->wake_descriptor >= 0) close(loop->wake_descriptor);
    free(loop);
}

static void on_ready(evutil_socket_t descriptor, short what, void *context) {
    (void)descriptor;
    martlet_watch *watch = context;
    watch->handler(watch->context, what & EV_READ ? 1 : 0, what & EV_WRITE ? 1 : 0);
}

martlet_watch *martlet_watch_new(martlet_loop *loop, int descriptor, martlet_watch_handler handler, void *context) {
    martlet_watch *watch = calloc(1, sizeof *watch);
    if (!watch) return 0;
    watch->loop = loop;
    watch->handler = handler;
    watch->context = context;
    watch->reading = event_new(loop->base, descriptor, EV_READ | EV_PERSIST, on_ready, watch);
    watch->writing = event_new(loop->base, descriptor, EV_WRITE | EV_PERSIST, on_ready, watch);
    if (!watch->reading || !watch->writing) {
        martlet_watch_free(watch);
        return 0;
    }
    return watch;
}

static int set_interest(struct event *event, int *state, int wanted) {
    if (*state == wanted) return 0;
    int code = wanted ? event_add(event, 0) : event_del(event);
    if (code == 0) *state = wanted;
    return code;
}

int martlet_watch_set(martlet_watch *watch, int reading, int writing) {
    int code = set_interest(watch->reading, &watch->is_reading, reading);
    return set_interest(watch->writing, &watch->is_writing, writing) | code;
}

void martlet_watch_free(martlet_watch *watch) {
    // event_free takes a pending or active event out of the loop first, so its handler is not called again.
    if (watch->reading) event_free(watch->reading);
    if (watch->writing) event_free(watch->writing);
    free(watch);
}
