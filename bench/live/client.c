// The load of ./dev bench live: Nexmark bids as JSON into one topic, the alerts that a pipeline makes of them out of another,
// read_committed. One JSON line on stdout.
//
//   client BROKER IN OUT RATE SECONDS SPIKE_RATE SPIKE_FROM SPIKE_SECONDS     RATE 0: as fast as acknowledgements allow
//
// A bid's `extra` is the moment it was due, as decimal nanoseconds; every 100th bid has a price that is an alert. Latency
// counts from that moment to the alert's consumption.
#define WITHOUT_MAIN
#include "../log/client.c"

enum { alert_every = 100, bid_bytes_max = 320 };

static size_t put(char *at, const char *text) {
    size_t count = strlen(text);
    memcpy(at, text, count);
    return count;
}

static size_t put_number(char *at, int64_t number) {
    char digits[24];
    int count = 0;
    do digits[count++] = (char)('0' + number % 10); while (number /= 10);
    for (int place = 0; place < count; place++) at[place] = digits[count - 1 - place];
    return (size_t)count;
}

// `number` says what is in the bid, `due` when it was to be sent.
static size_t bid(char *at, int64_t number, int64_t due, int64_t wall_millis) {
    static __thread int64_t second;
    static __thread char date[24];
    uint64_t chance = (uint64_t)(number + 1) * 0x9E3779B97F4A7C15u;
    chance ^= chance >> 29;
    if (wall_millis / 1000 != second) {
        second = wall_millis / 1000;
        time_t time = (time_t)second;
        struct tm parts;
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", gmtime_r(&time, &parts));
    }
    int millis = (int)(wall_millis % 1000);
    char *start = at;
    at += put(at, "{\"auction\":");
    at += put_number(at, 1000 + (int64_t)(chance % 10000));
    at += put(at, ",\"bidder\":");
    at += put_number(at, 1000 + (int64_t)(chance >> 20) % 20000);
    at += put(at, ",\"price\":");
    at += put_number(at, number % alert_every == 0 ? 2000000 : 100 + (int64_t)(chance >> 8) % 100000);
    at += put(at, ",\"channel\":\"channel-42\",\"url\":\"https://www.nexmark.com/item.htm?query=1\",\"date_time\":\"");
    at += put(at, date);
    *at++ = '.';
    *at++ = (char)('0' + millis / 100);
    *at++ = (char)('0' + millis / 10 % 10);
    *at++ = (char)('0' + millis % 10);
    at += put(at, "\",\"extra\":\"");
    at += put_number(at, due);
    at += put(at, "\"}");
    return (size_t)(at - start);
}

struct watch {
    const char *broker, *topic;
    _Atomic int64_t expected, count;
    int64_t *latencies, *seen_at;
    _Atomic int64_t last_nanos;
    _Atomic int ready;
};

static void *watch_alerts(void *argument) {
    struct watch *task = argument;
    rd_kafka_t *client = assigned(task->broker, task->topic, RD_KAFKA_OFFSET_END, 0, 1, "500");
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);
    rd_kafka_message_t *messages[2000];
    int64_t quiet_since = now_nanos();
    task->ready = 1;
    while (task->count < task->expected && now_nanos() - quiet_since < 30000000000LL) {
        ssize_t count = rd_kafka_consume_batch_queue(queue, 1, messages, 2000);
        int64_t now = now_nanos();
        for (ssize_t at = 0; at < count; at++) {
            const char *extra = messages[at]->err ? NULL : memmem(messages[at]->payload, messages[at]->len, "\"extra\":\"", 9);
            int64_t due = extra ? atoll(extra + 9) : 0;
            if (due) {
                task->latencies[task->count] = now - due;
                task->seen_at[task->count++] = due;
                quiet_since = task->last_nanos = now;
            }
            rd_kafka_message_destroy(messages[at]);
        }
    }
    return 0;
}

static void print_shares(const char *name, int64_t *values, int64_t count) {
    if (!count) return;
    qsort(values, (size_t)count, sizeof(int64_t), ascending);
    printf(",\"%s\":{\"p50\":%lld,\"p99\":%lld,\"p999\":%lld,\"max\":%lld}", name, (long long)values[(count - 1) / 2] / 1000,
           (long long)values[(int64_t)((count - 1) * 0.99)] / 1000, (long long)values[(int64_t)((count - 1) * 0.999)] / 1000,
           (long long)values[count - 1] / 1000);
}

int main(int words, char **word) {
    if (words != 9) return fprintf(stderr, "usage: see the top of bench/live/client.c\n"), 2;
    const char *broker = word[1], *in = word[2], *out = word[3];
    int64_t rate = atoll(word[4]), seconds = atoll(word[5]), spike_rate = atoll(word[6]);
    int64_t spike_from = atoll(word[7]) * 1000000000LL, spike_nanos = atoll(word[8]) * 1000000000LL;
    int64_t fastest = rate > spike_rate ? rate : spike_rate;
    // A step in whole nanoseconds is a little short, and the rate a little more.
    size_t alerts_max = (size_t)((fastest ? fastest : 3000000) * seconds / alert_every * 101 / 100 + 1000);
    struct watch task = {.broker = broker, .topic = out, .expected = INT64_MAX};
    task.latencies = calloc(alerts_max, sizeof(int64_t));
    task.seen_at = calloc(alerts_max, sizeof(int64_t));
    pthread_t thread;
    pthread_create(&thread, 0, watch_alerts, &task);
    rd_kafka_t *client = make(RD_KAFKA_PRODUCER, producer_conf("1"), broker);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, in, 0);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(client);
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    int64_t wall_offset = wall.tv_sec * 1000000000LL + wall.tv_nsec - now_nanos();
    char payload[bid_bytes_max];
    // Until the consumer stands at the end and the pipeline runs, nothing that is measured may be sent.
    for (int at = 1; at < 300 || !task.ready; at++) {
        size_t count = bid(payload, at % alert_every ? at : at + 1, 0, (now_nanos() + wall_offset) / 1000000);
        rd_kafka_produce(topic, at % 4, RD_KAFKA_MSG_F_COPY, payload, count, 0, 0, 0);
        drain_reports(queue, 0);
        usleep(10000);
    }
    int64_t start = now_nanos(), sent = 0, end = start + seconds * 1000000000LL;
    int64_t due = start;
    while (due < end && now_nanos() < end + 60000000000LL) {
        int64_t now = now_nanos();
        if (!rate && now >= end) break;
        for (int burst = 0; burst < 2000 && (!rate || due <= now) && due < end; burst++) {
            size_t count = bid(payload, sent, rate ? due : now, ((rate ? due : now) + wall_offset) / 1000000);
            while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, payload, count, 0, 0, 0)) drain_reports(queue, 1);
            sent++;
            if (rate) {
                int in_spike = due - start >= spike_from && due - start < spike_from + spike_nanos;
                due += 1000000000LL / (in_spike ? spike_rate : rate);
            }
        }
        drain_reports(queue, 0);
        if (rate && due > now_nanos()) usleep(300);
    }
    double produced = (now_nanos() - start) / 1e9;
    while (rd_kafka_outq_len(client) > 0) drain_reports(queue, 10);
    task.expected = (sent + alert_every - 1) / alert_every;
    pthread_join(thread, 0);
    int64_t count = task.count;
    if (!count) die("live", "no alert came");
    // After the spike: the alerts of what was due five seconds after its end and later.
    int64_t *after = calloc((size_t)count, sizeof(int64_t)), after_count = 0;
    for (int64_t at = 0; at < count; at++) {
        if (spike_nanos && task.seen_at[at] - start > spike_from + spike_nanos + 5000000000LL) after[after_count++] = task.latencies[at];
    }
    printf("{\"records\":%lld,\"failed\":%lld,\"seconds\":%.3f,\"drained\":%.3f,\"alerts\":%lld,\"missing\":%lld", (long long)sent,
           (long long)failed, produced, (task.last_nanos - start) / 1e9, (long long)count, (long long)(task.expected - count));
    print_shares("latency", task.latencies, count);
    print_shares("after_spike", after, after_count);
    printf("}\n");
    fflush(stdout);
    _exit(task.expected != count || failed);
}
