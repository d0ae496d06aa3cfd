#include "CMartletPQ.h"
#include <postgresql/libpq-fe.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct martlet_pq_gate {
    atomic_int is_shut;
};

struct martlet_pq {
    PGconn *connection;
    PGresult *result;
    const martlet_pq_gate *gate;
    /// An answer was given up: what comes next would be taken for another's.
    int is_out_of_step;
    char state[6];
    char message[512];
};

static void ignore_notice(void *context, const char *message) {
    (void)context;
    (void)message;
}

static void remember(martlet_pq *self, const char *state, const char *message) {
    snprintf(self->state, sizeof self->state, "%s", state ? state : "");
    snprintf(self->message, sizeof self->message, "%s", message ? message : "");
    size_t length = strlen(self->message);
    while (length > 0 && (self->message[length - 1] == '\n' || self->message[length - 1] == ' ')) self->message[--length] = 0;
}

martlet_pq_gate *martlet_pq_gate_new(void) { return calloc(1, sizeof(martlet_pq_gate)); }
void martlet_pq_gate_shut(martlet_pq_gate *gate) { atomic_store(&gate->is_shut, 1); }
void martlet_pq_gate_free(martlet_pq_gate *gate) { free(gate); }

martlet_pq *martlet_pq_connect(const char *const *keywords, const char *const *values, const martlet_pq_gate *gate) {
    martlet_pq *self = calloc(1, sizeof *self);
    if (!self) return NULL;
    self->connection = PQconnectdbParams(keywords, values, 0);
    if (!self->connection) {
        free(self);
        return NULL;
    }
    self->gate = gate;
    PQsetNoticeProcessor(self->connection, ignore_notice, NULL);
    if (PQstatus(self->connection) != CONNECTION_OK) remember(self, "", PQerrorMessage(self->connection));
    return self;
}

int martlet_pq_is_alive(const martlet_pq *self) { return !self->is_out_of_step && PQstatus(self->connection) == CONNECTION_OK; }

/// Waits until the socket is ready for `events`, looking at the gate every now and then. 0: ready.
static int await_socket(martlet_pq *self, short events) {
    const int look_millis = 200;
    struct pollfd socket = {.fd = PQsocket(self->connection), .events = events};
    for (;;) {
        int ready = poll(&socket, 1, look_millis);
        if (ready > 0) return 0;
        if (ready < 0 && errno != EINTR) return -1;
        if (self->gate && atomic_load(&self->gate->is_shut)) return -1;
    }
}

/// As PQexec, but it does not wait for ever for a server that says nothing. The last result, or NULL.
static PGresult *execute(martlet_pq *self, const char *text) {
    if (PQsetnonblocking(self->connection, 1) != 0 || !PQsendQuery(self->connection, text)) return NULL;
    for (;;) {
        int left = PQflush(self->connection);
        if (left == 0) break;
        // A server that answers while it is asked must be listened to, lest both wait.
        if (left < 0 || await_socket(self, POLLIN | POLLOUT) != 0 || !PQconsumeInput(self->connection)) return NULL;
    }
    PGresult *last = NULL;
    for (;;) {
        while (PQisBusy(self->connection)) {
            if (await_socket(self, POLLIN) == 0 && PQconsumeInput(self->connection)) continue;
            PQclear(last);
            return NULL;
        }
        PGresult *next = PQgetResult(self->connection);
        if (!next) return last;
        PQclear(last);
        last = next;
    }
}

int martlet_pq_execute(martlet_pq *self, const char *text) {
    PQclear(self->result);
    self->result = execute(self, text);
    if (!self->result) {
        self->is_out_of_step = 1;
        const char *message = PQerrorMessage(self->connection);
        remember(self, "", message && *message ? message : "the server did not answer");
        return -1;
    }
    ExecStatusType status = PQresultStatus(self->result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return 0;
    const char *state = self->result ? PQresultErrorField(self->result, PG_DIAG_SQLSTATE) : NULL;
    const char *primary = self->result ? PQresultErrorField(self->result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    remember(self, state, primary ? primary : PQerrorMessage(self->connection));
    return -1;
}

const char *martlet_pq_value(const martlet_pq *self) {
    if (!self->result || PQntuples(self->result) < 1 || PQnfields(self->result) < 1 || PQgetisnull(self->result, 0, 0)) return NULL;
    return PQgetvalue(self->result, 0, 0);
}

const char *martlet_pq_state(const martlet_pq *self) { return self->state; }
const char *martlet_pq_message(const martlet_pq *self) { return self->message; }

void martlet_pq_close(martlet_pq *self) {
    if (!self) return;
    PQclear(self->result);
    PQfinish(self->connection);
    free(self);
}
