/*
 * A closed loop of HTTP requests: so many connections, on each of them the next request as soon as
 * the last one was answered. On a net loop of its own; the calls are for the main thread.
 */
#ifndef TAEL_BENCH_LOAD_H
#define TAEL_BENCH_LOAD_H

#include "bench.h"

#define BENCH_LOAD_CONNECTIONS_MAX 4096
#define BENCH_LOAD_KEY_SIZE        256
#define BENCH_LOAD_HOST_SIZE       254
#define BENCH_LOAD_COMPLAINT_SIZE  512

/* What a connection asks again and again. Texts are borrowed while the load runs. */
struct bench_load_request {
    const char *target;
    const char *form;     /* posted, with an API key and a new idempotency key; NULL: a GET */
    const char *expected; /* what a good answer has in it; NULL: its status says enough */
};

struct bench_load_settings {
    const struct bench_load_request *requests; /* connection i has the one at i modulo the count */
    uint32_t request_count;
    char host[BENCH_LOAD_HOST_SIZE];
    uint16_t port;
    char key[BENCH_LOAD_KEY_SIZE];
    uint32_t connections;
};

/* What happened within one window. */
struct bench_load_window {
    uint64_t answers; /* good ones */
    uint64_t bad;     /* not 200, not what was asked for, or no answer */
    uint64_t wall_ns;
    uint64_t cpu_ns; /* of this process */
    struct bench_histogram latencies;
};

struct bench_load;

/* Starts the requests; settings are copied. */
MUST_USE err_t
bench_load_start(const struct bench_load_settings *settings, struct bench_load **ret_load);
/* Forgets what was counted, and counts from now on. */
void bench_load_begin(struct bench_load *load);
/* What was counted since. */
void bench_load_end(struct bench_load *load, struct bench_load_window *ret_window);
/* Lets the last requests be answered; false if any answer since the start was bad, and then
 * `complaint` tells of the first. Frees it; sets NULL. */
bool bench_load_stop(struct bench_load **load, char complaint[BENCH_LOAD_COMPLAINT_SIZE]);

#endif
