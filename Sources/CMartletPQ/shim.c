#include "CMartletPQ.h"
#include <postgresql/libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct martlet_pq {
    PGconn *connection;
    PGresult *result;
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

martlet_pq *martlet_pq_connect(const char *const *keywords, const char *const *values) {
    martlet_pq *self = calloc(1, sizeof *self);
    if (!self) return NULL;
    self->connection = PQconnectdbParams(keywords, values, 0);
    if (!self->connection) {
        free(self);
        return NULL;
    }
    PQsetNoticeProcessor(self->connection, ignore_notice, NULL);
    if (PQstatus(self->connection) != CONNECTION_OK) remember(self, "", PQerrorMessage(self->connection));
    return self;
}

int martlet_pq_is_alive(const martlet_pq *self) { return PQstatus(self->connection) == CONNECTION_OK; }

int martlet_pq_execute(martlet_pq *self, const char *text) {
    PQclear(self->result);
    self->result = PQexec(self->connection, text);
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
