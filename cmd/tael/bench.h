/*
 * What the benchmarks share: latencies, the machine, folders and child processes of their own.
 *
 *     bench.c            the command, and what is here
 *     bench_histogram.c  latencies and medians
 *     bench_child.c      programs that are started and measured from outside
 *     bench_ledger.c     `tael bench ledger`: the table; bench_ledger.h: the files of one point
 *     bench_payments.c   `tael bench payments`: windows, report; bench_load.c: the load;
 *                        bench_wallets.c: whose money it is
 *     bench_webhooks.c   `tael bench webhooks`: a receiver, a queue, report
 *     bench_server.c     the server that these two measure
 *
 * A benchmark that met an answer which it did not expect prints no number and fails.
 */
#ifndef TAEL_BENCH_H
#define TAEL_BENCH_H

#include "command.h"

#include "os/clock.h"
#include "os/process.h"

#include <stdio.h>
#include <sys/types.h>

extern const struct command command_bench_ledger;
extern const struct command command_bench_payments;
extern const struct command command_bench_webhooks;

/* ------------------------------------------------------------------------------- latencies */

/* Buckets of 1/32 of a power of two: a quantile is at most 3.2 % too high. */
#define BENCH_SUB_BITS 5
#define BENCH_BUCKETS  ((64 - BENCH_SUB_BITS + 1) << BENCH_SUB_BITS)

struct bench_histogram {
    uint64_t counts[BENCH_BUCKETS];
    uint64_t count;
    uint64_t largest_ns;
};

void bench_histogram_add(struct bench_histogram *histogram, uint64_t value_ns);
/* The time that `per_mille` of the values did not exceed; 0 without values. */
uint64_t bench_histogram_quantile(const struct bench_histogram *histogram, uint64_t per_mille);

/* Index of the median of rates[0 ... count - 1], 1 <= count <= BENCH_REPEAT_MAX; of an even number
 * the lower one, because that run is reported with all its figures. */
#define BENCH_REPEAT_MAX 15
size_t bench_median(const double *rates, size_t count);

/* ---------------------------------------------------------------------------- surroundings */

/* Two lines (or one JSON object): machine and build. */
void bench_describe(bool json);

#define BENCH_PATH_SIZE 512

/* A new folder in `parent`, or in $TMPDIR or /tmp if that is empty. Removed with all that is in it
 * by bench_folder_remove. */
MUST_USE err_t bench_folder_make(const char *parent, char ret_path[BENCH_PATH_SIZE]);
void bench_folder_remove(const char *path);
/* The folder is in memory: nothing in it is durable. */
bool bench_folder_is_volatile(const char *path);

/* What one write of 4 KiB and its sync take there, nanoseconds at the median: no durable answer can
 * be faster. */
MUST_USE err_t bench_sync_time(const char *folder, uint64_t *ret_median_ns);

/* -------------------------------------------------------------------------------- children */

struct bench_child {
    pid_t pid; /* 0: none */
    FILE *out; /* its standard output */
};

/* Starts argv[0] (a path) without TAEL_* variables; it gets SIGTERM if this process ends. Before
 * this process has threads. */
MUST_USE err_t bench_child_start(char *const *argv, struct bench_child *child);
/* Waits for its end, after sending `signal_number` unless that is 0. True if it exited with 0. */
bool bench_child_end(struct bench_child *child, int signal_number);

struct bench_child_usage {
    uint64_t cpu_ns;        /* all threads, user and system */
    uint64_t written_bytes; /* that it made go to the disk */
    uint64_t resident_bytes;
    bool has_written; /* the system tells */
};

MUST_USE err_t bench_child_usage(const struct bench_child *child, struct bench_child_usage *usage);
/* What it has used from `before` to `after`; resident_bytes as it was then. */
struct bench_child_usage bench_child_usage_between(
    const struct bench_child_usage *before, const struct bench_child_usage *after);

#endif
