// Reads of one row by its key over PostgreSQL's protocol: a prepared statement, each connection asking one question at a time
// (or DEPTH at once, ended by one Sync). One thread, which costs a fraction of what a server does. One JSON line on stdout.
//
//   lookups HOST PORT USER DATABASE ROWS CONNECTIONS DEPTH SECONDS
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { depth_max = 1024, input_bytes = 1 << 18, samples_max = 1 << 24 };

struct connection {
    int socket;
    int64_t asked;
    size_t held;
    uint8_t input[input_bytes];
};

static char output[depth_max * 128];
static uint64_t chance = 88172645463325252u;
static int64_t rows;
static int depth;

static void fail(const char *what) {
    fprintf(stderr, "lookups: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

static char *put_int(char *at, uint32_t value) {
    value = htonl(value);
    memcpy(at, &value, 4);
    return at + 4;
}

// A message: its length is known once `end` comes.
static char *begin(char *at, char type, char **length) {
    *at++ = type;
    *length = at;
    return at + 4;
}

static char *end(char *at, char *length) {
    put_int(length, (uint32_t)(at - length));
    return at;
}

static char *put_sync(char *at) {
    char *length;
    at = begin(at, 'S', &length);
    return end(at, length);
}

static char *put_text(char *at, const char *text) {
    size_t count = strlen(text) + 1;
    memcpy(at, text, count);
    return at + count;
}

// Bind, Describe and Execute as libpq sends them, parameters and results in text.
static char *question(char *at) {
    char *length;
    char key[24];
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    int count = snprintf(key, sizeof key, "%lld", (long long)(1 + (int64_t)(chance % (uint64_t)rows)));
    at = begin(at, 'B', &length);
    at = put_text(at, "");
    at = put_text(at, "q");
    memcpy(at, "\0\0\0\1", 4);
    at = put_int(at + 4, (uint32_t)count);
    memcpy(at, key, (size_t)count);
    at += count;
    memcpy(at, "\0\1\0\0", 4);
    at = end(at + 4, length);
    at = begin(at, 'D', &length);
    *at++ = 'P';
    at = end(put_text(at, ""), length);
    at = begin(at, 'E', &length);
    at = put_text(at, "");
    return end(put_int(at, 0), length);
}

static void send_all(int socket, const char *bytes, size_t count) {
    // What is asked at once fits a socket's buffer.
    if (send(socket, bytes, count, MSG_NOSIGNAL) != (ssize_t)count) fail("send");
}

static void ask(struct connection *connection) {
    char *at = output;
    for (int each = 0; each < depth; each++) at = question(at);
    at = put_sync(at);
    connection->asked = now();
    send_all(connection->socket, output, (size_t)(at - output));
}

// Takes in what came; returns whether the server is ready for the next question, and counts the rows.
static int take(struct connection *connection, int64_t *found) {
    ssize_t count = recv(connection->socket, connection->input + connection->held, input_bytes - connection->held, 0);
    if (count <= 0) {
        if (count < 0 && errno == EAGAIN) return 0;
        fail("the server closed the connection");
    }
    size_t have = connection->held + (size_t)count;
    size_t at = 0;
    int is_ready = 0;
    while (have - at >= 5) {
        uint32_t length;
        memcpy(&length, connection->input + at + 1, 4);
        length = ntohl(length) + 1;
        if (length > input_bytes) fail("a long message");
        if (have - at < length) break;
        uint8_t type = connection->input[at];
        if (type == 'D') ++*found;
        if (type == 'Z') is_ready = 1;
        if (type == 'E') {
            fprintf(stderr, "lookups: the server says: ");
            fwrite(connection->input + at + 5, 1, length - 5, stderr);
            exit(1);
        }
        at += length;
    }
    memmove(connection->input, connection->input + at, have - at);
    connection->held = have - at;
    return is_ready;
}

static void open_connection(struct connection *connection, char **words) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[2]))};
    if (inet_pton(AF_INET, words[1], &address.sin_addr) != 1) fail(words[1]);
    connection->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection->socket, (struct sockaddr *)&address, sizeof address) != 0) fail("connect");
    int one = 1;
    setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    char *at = put_int(output + 4, 3 << 16);
    at = put_text(put_text(at, "user"), words[3]);
    at = put_text(put_text(at, "database"), words[4]);
    *at++ = 0;
    send_all(connection->socket, output, (size_t)(end(at, output) - output));
    int64_t found = 0;
    while (!take(connection, &found)) {}
    char *length;
    at = begin(output, 'P', &length);
    at = put_text(at, "q");
    at = put_text(at, "SELECT id, name, score FROM profiles WHERE id = $1");
    memcpy(at, "\0\0", 2);
    at = put_sync(end(at + 2, length));
    send_all(connection->socket, output, (size_t)(at - output));
    while (!take(connection, &found)) {}
}

static int ascending(const void *left, const void *right) {
    int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

int main(int count, char **words) {
    if (count != 9) return fprintf(stderr, "lookups HOST PORT USER DATABASE ROWS CONNECTIONS DEPTH SECONDS\n"), 2;
    rows = atoll(words[5]);
    int connections = atoi(words[6]);
    depth = atoi(words[7]);
    double seconds = atof(words[8]);
    if (rows < 1 || connections < 1 || depth < 1 || depth > depth_max) return fprintf(stderr, "lookups: what numbers are these?\n"), 2;
    struct connection *all = calloc((size_t)connections, sizeof *all);
    int32_t *micros = malloc(samples_max * sizeof *micros);
    int poll = epoll_create1(0);
    if (!all || !micros || poll < 0) fail("no room");
    for (int each = 0; each < connections; each++) {
        open_connection(&all[each], words);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[each]};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, all[each].socket, &event) != 0) fail("epoll_ctl");
    }
    int64_t start = now(), stop = start + (int64_t)(seconds * 1e9), found = 0, answers = 0;
    int samples = 0;
    for (int each = 0; each < connections; each++) ask(&all[each]);
    while (now() < stop) {
        struct epoll_event events[64];
        int ready = epoll_wait(poll, events, 64, 100);
        for (int each = 0; each < ready; each++) {
            struct connection *connection = events[each].data.ptr;
            if (!take(connection, &found)) continue;
            int64_t took = (now() - connection->asked) / 1000;
            if (samples < samples_max) micros[samples++] = took > INT32_MAX ? INT32_MAX : (int32_t)took;
            answers += depth;
            ask(connection);
        }
    }
    double took = (double)(now() - start) / 1e9;
    qsort(micros, (size_t)samples, sizeof *micros, ascending);
    printf("{\"rate\": %.1f, \"found\": %lld, \"answers\": %lld, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n", (double)answers / took,
           (long long)found, (long long)answers, samples ? micros[samples / 2] / 1e3 : 0, samples ? micros[(int)(samples * 0.99)] / 1e3 : 0);
    return 0;
}
