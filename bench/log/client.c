// The load of ./dev bench log: produces and consumes over librdkafka, and measures. One JSON line on stdout.
//
//   client produce  BROKER TOPIC RECORDS BYTES [PRODUCERS]   acknowledged records a second, acks=all
//   client consume  BROKER TOPIC RECORDS [CONSUMERS]         records a second from the beginning, over all partitions
//   client latency  BROKER TOPIC RATE SECONDS BYTES          scheduled send to consumed, microseconds
//   client idle     BROKER CONNECTIONS SECONDS               opens connections, asks each once for versions, and keeps them
//
// Latency counts from the moment a record was due, not from when a busy client came to send it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t now_nanos(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void die(const char *what, const char *why) {
    fprintf(stderr, "client: %s: %s\n", what, why);
    exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char reason[256];
    if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) != RD_KAFKA_CONF_OK) die(name, reason);
}

static rd_kafka_t *make(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *broker) {
    char reason[256];
    set(conf, "bootstrap.servers", broker);
    rd_kafka_t *client = rd_kafka_new(type, conf, reason, sizeof reason);
    if (!client) die("cannot start a client", reason);
    return client;
}

// --- Producing ---------------------------------------------------------------------------------------------------

static _Atomic int64_t acknowledged, failed;

// Counts whole batches of events: a callback a record would cost the client more than the record.
static void drain_reports(rd_kafka_queue_t *queue, int timeout_millis) {
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_millis);
    while (event) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
            const rd_kafka_message_t *reported[1024];
            size_t count;
            while ((count = rd_kafka_event_message_array(event, reported, 1024)) > 0) {
                int64_t errors = 0;
                for (size_t at = 0; at < count; at++) errors += reported[at]->err != 0;
                if (errors) fprintf(stderr, "client: delivery failed: %s\n", rd_kafka_err2str(reported[0]->err));
                atomic_fetch_add(&failed, errors);
                atomic_fetch_add(&acknowledged, (int64_t)count - errors);
            }
        }
        rd_kafka_event_destroy(event);
        event = rd_kafka_queue_poll(queue, 0);
    }
}

static rd_kafka_conf_t *producer_conf(const char *linger_millis) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "acks", "all");
    set(conf, "enable.idempotence", "true");
    set(conf, "linger.ms", linger_millis);
    set(conf, "batch.num.messages", "10000");
    set(conf, "batch.size", "1000000");
    set(conf, "queue.buffering.max.messages", "500000");
    set(conf, "queue.buffering.max.kbytes", "262144");
    set(conf, "sticky.partitioning.linger.ms", "5");
    set(conf, "socket.nagle.disable", "true");
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
    return conf;
}

struct production {
    const char *broker, *topic;
    int64_t records;
    size_t bytes;
};

static void *produce(void *argument) {
    struct production *task = argument;
    rd_kafka_t *client = make(RD_KAFKA_PRODUCER, producer_conf("5"), task->broker);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, task->topic, 0);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(client);
    enum { batch = 500 };
    char *payload = malloc(task->bytes * batch);
    for (size_t at = 0; at < task->bytes * batch; at++) payload[at] = (char)(' ' + (at * 2654435761u >> 24) % 95);
    rd_kafka_message_t messages[batch];
    int64_t sent = 0;
    while (sent < task->records) {
        int count = task->records - sent < batch ? (int)(task->records - sent) : batch;
        memset(messages, 0, sizeof messages);
        for (int at = 0; at < count; at++) {
            messages[at].payload = payload + task->bytes * at;
            messages[at].len = task->bytes;
        }
        int taken = rd_kafka_produce_batch(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, messages, count);
        sent += taken;
        drain_reports(queue, taken < count ? 1 : 0);
    }
    while (rd_kafka_outq_len(client) > 0) drain_reports(queue, 10);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(client);
    free(payload);
    return 0;
}

static int run_produce(const char *broker, const char *topic, int64_t records, size_t bytes, int producers) {
    pthread_t threads[64];
    struct production task = {broker, topic, records / producers, bytes};
    int64_t start = now_nanos();
    for (int at = 0; at < producers; at++) pthread_create(&threads[at], 0, produce, &task);
    for (int at = 0; at < producers; at++) pthread_join(threads[at], 0);
    double seconds = (now_nanos() - start) / 1e9;
    printf("{\"seconds\":%.6f,\"records\":%lld,\"failed\":%lld}\n", seconds, (long long)acknowledged, (long long)failed);
    return failed != 0;
}

// --- Consuming ---------------------------------------------------------------------------------------------------

struct consumption {
    const char *broker, *topic;
    int member, members;
    int64_t records;
};

static _Atomic int64_t consumed, consumed_bytes;

static int partitions_of(rd_kafka_t *client, const char *name) {
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, 0);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 0, topic, &metadata, 10000);
    if (error) die("metadata", rd_kafka_err2str(error));
    int count = metadata->topic_cnt ? metadata->topics[0].partition_cnt : 0;
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    return count;
}

static rd_kafka_t *assigned(const char *broker, const char *topic, int64_t offset, int member, int members, const char *wait_millis) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "group.id", "bench");
    set(conf, "enable.auto.commit", "false");
    set(conf, "fetch.wait.max.ms", wait_millis);
    set(conf, "fetch.message.max.bytes", "4194304");
    set(conf, "queued.max.messages.kbytes", "131072");
    set(conf, "check.crcs", "true");
    rd_kafka_t *client = make(RD_KAFKA_CONSUMER, conf, broker);
    int count = partitions_of(client, topic);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int at = member; at < count; at += members) {
        rd_kafka_topic_partition_list_add(list, topic, at)->offset = offset;
    }
    rd_kafka_assign(client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return client;
}

static void *consume(void *argument) {
    struct consumption *task = argument;
    rd_kafka_t *client =
        assigned(task->broker, task->topic, RD_KAFKA_OFFSET_BEGINNING, task->member, task->members, "50");
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);
    enum { batch = 2000 };
    rd_kafka_message_t *messages[batch];
    while (atomic_load(&consumed) < task->records) {
        ssize_t count = rd_kafka_consume_batch_queue(queue, 100, messages, batch);
        int64_t good = 0, bytes = 0;
        for (ssize_t at = 0; at < count; at++) {
            if (!messages[at]->err) good++, bytes += (int64_t)messages[at]->len;
            rd_kafka_message_destroy(messages[at]);
        }
        atomic_fetch_add(&consumed, good);
        atomic_fetch_add(&consumed_bytes, bytes);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
    return 0;
}

static int run_consume(const char *broker, const char *topic, int64_t records, int consumers) {
    pthread_t threads[64];
    struct consumption tasks[64];
    int64_t start = now_nanos();
    for (int at = 0; at < consumers; at++) {
        tasks[at] = (struct consumption){broker, topic, at, consumers, records};
        pthread_create(&threads[at], 0, consume, &tasks[at]);
    }
    while (atomic_load(&consumed) < records) usleep(1000);
    double seconds = (now_nanos() - start) / 1e9;
    printf(
        "{\"seconds\":%.6f,\"records\":%lld,\"bytes\":%lld}\n", seconds, (long long)consumed, (long long)consumed_bytes);
    fflush(stdout);
    // Closing clients waits for their threads; the figure is taken.
    _exit(0);
}

// --- Latency -----------------------------------------------------------------------------------------------------

struct follower {
    const char *broker, *topic;
    int64_t expected;
    int64_t *latencies;
    _Atomic int64_t count;
    _Atomic int ready;
};

static void *follow(void *argument) {
    struct follower *task = argument;
    rd_kafka_t *client = assigned(task->broker, task->topic, RD_KAFKA_OFFSET_END, 0, 1, "500");
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);
    rd_kafka_message_t *messages[2000];
    int64_t quiet_since = now_nanos();
    task->ready = 1;
    while (task->count < task->expected && now_nanos() - quiet_since < 15000000000LL) {
        ssize_t count = rd_kafka_consume_batch_queue(queue, 1, messages, 2000);
        int64_t now = now_nanos();
        for (ssize_t at = 0; at < count; at++) {
            int64_t due;
            if (!messages[at]->err && messages[at]->len >= sizeof due && task->count < task->expected) {
                memcpy(&due, messages[at]->payload, sizeof due);
                // Records sent to find the end of the topic carry no time.
                if (due) task->latencies[task->count++] = now - due, quiet_since = now;
            }
            rd_kafka_message_destroy(messages[at]);
        }
    }
    rd_kafka_queue_destroy(queue);
    return 0;
}

static int ascending(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static int run_latency(const char *broker, const char *topic_name, int64_t rate, int seconds, size_t bytes) {
    int64_t total = rate * seconds;
    struct follower task = {broker, topic_name, total, calloc(total, sizeof(int64_t)), 0, 0};
    pthread_t thread;
    pthread_create(&thread, 0, follow, &task);
    rd_kafka_t *client = make(RD_KAFKA_PRODUCER, producer_conf("1"), broker);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, topic_name, 0);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(client);
    char *payload = calloc(1, bytes);
    // Until the consumer stands at the end, nothing that is measured may be sent.
    for (int at = 0; at < 300 || !task.ready; at++) {
        rd_kafka_produce(topic, at % 4, RD_KAFKA_MSG_F_COPY, payload, bytes, 0, 0, 0);
        drain_reports(queue, 0);
        usleep(10000);
    }
    int64_t start = now_nanos(), sent = 0;
    while (sent < total) {
        int64_t due_count = (now_nanos() - start) * rate / 1000000000LL;
        if (due_count > total) due_count = total;
        for (; sent < due_count; sent++) {
            int64_t due = start + sent * 1000000000LL / rate;
            memcpy(payload, &due, sizeof due);
            while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, payload, bytes, 0, 0, 0)) {
                drain_reports(queue, 1);
            }
        }
        drain_reports(queue, 0);
        usleep(500);
    }
    while (rd_kafka_outq_len(client) > 0) drain_reports(queue, 10);
    pthread_join(thread, 0);
    int64_t count = task.count;
    if (!count) die("latency", "nothing was consumed");
    qsort(task.latencies, count, sizeof(int64_t), ascending);
#define AT(share) (task.latencies[(int64_t)((count - 1) * (share))] / 1000)
    printf(
        "{\"records\":%lld,\"missing\":%lld,\"p50\":%lld,\"p99\":%lld,\"p999\":%lld,\"max\":%lld}\n", (long long)count,
        (long long)(total - count), (long long)AT(0.5), (long long)AT(0.99), (long long)AT(0.999), (long long)AT(1.0));
    fflush(stdout);
    _exit(count != total || failed);
}

// --- Idle connections --------------------------------------------------------------------------------------------

static int connect_to(const char *broker) {
    char host[128];
    snprintf(host, sizeof host, "%s", broker);
    char *colon = strrchr(host, ':');
    if (!colon) die(broker, "is not HOST:PORT");
    *colon = 0;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(host, colon + 1, &hints, &found)) die(broker, "cannot be resolved");
    int descriptor = socket(found->ai_family, SOCK_STREAM, 0);
    if (descriptor < 0 || connect(descriptor, found->ai_addr, found->ai_addrlen)) die(broker, strerror(errno));
    freeaddrinfo(found);
    return descriptor;
}

static int run_idle(const char *broker, int connections, int seconds) {
    // ApiVersions version 0, correlation 1, client "idle".
    static const unsigned char request[] = {0, 0, 0, 14, 0, 18, 0, 0, 0, 0, 0, 1, 0, 4, 'i', 'd', 'l', 'e'};
    int64_t start = now_nanos();
    for (int at = 0; at < connections; at++) {
        int descriptor = connect_to(broker);
        unsigned char size[4];
        if (write(descriptor, request, sizeof request) != sizeof request) die("write", strerror(errno));
        if (recv(descriptor, size, 4, MSG_WAITALL) != 4) die("read", "no answer");
        uint32_t rest = (uint32_t)size[0] << 24 | size[1] << 16 | size[2] << 8 | size[3];
        char answer[65536];
        if (rest > sizeof answer || recv(descriptor, answer, rest, MSG_WAITALL) != (ssize_t)rest) die("read", "no answer");
    }
    printf("{\"seconds\":%.6f,\"connections\":%d}\n", (now_nanos() - start) / 1e9, connections);
    fflush(stdout);
    sleep(seconds);
    return 0;
}

#ifndef WITHOUT_MAIN
int main(int count, char **words) {
    if (count >= 6 && !strcmp(words[1], "produce")) {
        return run_produce(words[2], words[3], atoll(words[4]), (size_t)atoll(words[5]), count > 6 ? atoi(words[6]) : 1);
    }
    if (count >= 5 && !strcmp(words[1], "consume")) {
        return run_consume(words[2], words[3], atoll(words[4]), count > 5 ? atoi(words[5]) : 1);
    }
    if (count == 7 && !strcmp(words[1], "latency")) {
        return run_latency(words[2], words[3], atoll(words[4]), atoi(words[5]), (size_t)atoll(words[6]));
    }
    if (count == 5 && !strcmp(words[1], "idle")) return run_idle(words[2], atoi(words[3]), atoi(words[4]));
    fprintf(stderr, "usage: see the top of bench/log/client.c\n");
    return 2;
}
#endif
