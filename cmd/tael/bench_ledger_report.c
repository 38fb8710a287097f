/* What is counted of one point, and how it is shown. */
#include "bench_ledger.h"

#include "base/assert.h"

#include <inttypes.h>

#define MILLION     UINT64_C(1000000)
#define NS_PER_MS_F 1e6
#define NS_PER_S_F  1e9

void
bench_ledger_count_add(
    struct bench_ledger_count *count, uint64_t now, uint64_t sent_ns, uint32_t batch)
{
    uint64_t before = count->last_ns == 0 ? count->from_ns : count->last_ns;
    ASSERT(now >= before && now >= sent_ns);
    if (now - before > count->stall_ns) {
        count->stall_ns = now - before;
    }
    count->last_ns = now;
    count->batches++;
    bench_histogram_add(&count->latencies, now - sent_ns);
    uint64_t transfers = count->batches * batch;
    uint64_t full = transfers / MILLION;
    if (full > count->million_count && count->million_count < BENCH_LEDGER_MILLIONS) {
        uint64_t from = count->million_ns == 0 ? count->from_ns : count->million_ns;
        count->millions[count->million_count++] =
            (double)MILLION * NS_PER_S_F / (double)(now - from + 1);
        count->million_ns = now;
    }
}

void
bench_ledger_count_report(
    const struct bench_ledger_count *count, uint32_t batch, struct bench_ledger_result *ret_result)
{
    double seconds = (double)(count->last_ns - count->from_ns) / NS_PER_S_F;
    ret_result->batches_per_s = (double)count->batches / seconds;
    ret_result->transfers_per_s = ret_result->batches_per_s * batch;
    ret_result->transfers = count->batches * batch;
    ret_result->p50_ns = bench_histogram_quantile(&count->latencies, 500);
    ret_result->p99_ns = bench_histogram_quantile(&count->latencies, 990);
    ret_result->p999_ns = bench_histogram_quantile(&count->latencies, 999);
    ret_result->max_ns = count->latencies.largest_ns;
    ret_result->stall_ns = count->stall_ns;
    ret_result->million_count = count->million_count;
    for (uint32_t i = 0; i < count->million_count; i++) {
        ret_result->millions[i] = count->millions[i];
    }
}

static double
per_transfer(const struct bench_ledger_result *result, double value)
{
    return result->transfers == 0 ? 0 : value / (double)result->transfers;
}

/* A server that somebody else started cannot be looked at: only the load's own part is known. */
static bool
is_seen(const struct bench_ledger_result *result)
{
    return result->resident_bytes > 0;
}

static void
print_json(const struct bench_ledger_point *point, const struct bench_ledger_result *result)
{
    double cpu_us = result->cpu_us_per_batch / point->work.batch;
    (void)printf(
        "{\"bench\":\"ledger\",\"batch\":%" PRIu32 ",\"outstanding\":%" PRIu32
        ",\"accounts\":%" PRIu32 ",\"pending_percent\":%" PRIu32 ",\"transfers\":%" PRIu64
        ",\"transfers_per_second\":%.1f,\"batches_per_second\":%.1f,\"p50_ms\":%.3f"
        ",\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.3f,\"stall_ms\":%.3f",
        point->work.batch,
        point->outstanding,
        point->work.accounts,
        point->work.pending_percent,
        result->transfers,
        result->transfers_per_s,
        result->batches_per_s,
        (double)result->p50_ns / NS_PER_MS_F,
        (double)result->p99_ns / NS_PER_MS_F,
        (double)result->p999_ns / NS_PER_MS_F,
        (double)result->max_ns / NS_PER_MS_F,
        (double)result->stall_ns / NS_PER_MS_F);
    if (is_seen(result)) {
        (void)printf(
            ",\"cpu_us_per_transfer\":%.4f,\"load_share\":%.3f,\"resident_bytes\":%" PRIu64,
            cpu_us,
            result->load_share,
            result->resident_bytes);
    } else {
        (void)printf(",\"cpu_us_per_transfer\":null,\"load_share\":null,\"resident_bytes\":null");
    }
    if (result->has_written) {
        (void)printf(
            ",\"bytes_written_per_transfer\":%.1f",
            per_transfer(result, (double)result->written_bytes));
    } else {
        (void)printf(",\"bytes_written_per_transfer\":null");
    }
    (void)printf(",\"restart_seconds\":");
    if (result->restart_s > 0) {
        (void)printf("%.3f", result->restart_s);
    } else {
        (void)printf("null");
    }
    if (result->lookups_per_s > 0) {
        (void)printf(
            ",\"lookups_per_second\":%.1f,\"last_100_per_second\":%.1f",
            result->lookups_per_s,
            result->histories_per_s);
    }
    if (result->any_time_per_s > 0) {
        (void)printf(",\"any_100_per_second\":%.1f", result->any_time_per_s);
    }
    (void)printf(",\"millions\":[");
    for (uint32_t i = 0; i < result->million_count; i++) {
        (void)printf("%s%.0f", i == 0 ? "" : ",", result->millions[i]);
    }
    (void)printf("]}\n");
}

static void
print_text(const struct bench_ledger_point *point, const struct bench_ledger_result *result)
{
    (void)printf(
        "transfers   %.0f a second, %" PRIu64 " counted, in batches of %" PRIu32 ", %" PRIu32
        " under way\n",
        result->transfers_per_s,
        result->transfers,
        point->work.batch,
        point->outstanding);
    if (point->work.pending_percent > 0) {
        (void)printf(
            "pairs       %.0f a second, of a pending transfer and its post\n",
            result->transfers_per_s * point->work.pending_percent / 200);
    }
    (void)printf(
        "answers     p50 %.3f ms, p99 %.3f, p99.9 %.3f, longest %.3f; longest time without one "
        "%.3f\n",
        (double)result->p50_ns / NS_PER_MS_F,
        (double)result->p99_ns / NS_PER_MS_F,
        (double)result->p999_ns / NS_PER_MS_F,
        (double)result->max_ns / NS_PER_MS_F,
        (double)result->stall_ns / NS_PER_MS_F);
    if (is_seen(result)) {
        (void)printf(
            "processor   %.3f us a transfer, %.0f %% of it the load itself\n",
            result->cpu_us_per_batch / point->work.batch,
            result->load_share * 100);
    }
    if (result->has_written) {
        (void)printf(
            "disk        %.1f bytes a transfer\n",
            per_transfer(result, (double)result->written_bytes));
    }
    if (is_seen(result)) {
        (void)printf("memory      %.1f MiB\n", (double)result->resident_bytes / (1 << 20));
    }
    if (result->lookups_per_s > 0) {
        (void)printf(
            "reads       %.0f look-ups by id a second; last 100 of an account: %.0f a second\n",
            result->lookups_per_s,
            result->histories_per_s);
    }
    if (result->any_time_per_s > 0) {
        (void)printf(
            "            100 of an account before any time of the load: %.0f a second\n",
            result->any_time_per_s);
    }
    if (result->restart_s > 0) {
        (void)printf("restart     %.3f s\n", result->restart_s);
    }
    for (uint32_t i = 0; i < result->million_count; i++) {
        (void)printf(
            "%s%.0f%s",
            i == 0 ? "millions    " : ", ",
            result->millions[i],
            i + 1 == result->million_count ? " a second\n" : "");
    }
}

void
bench_ledger_report(
    const struct bench_ledger_point *point, const struct bench_ledger_result *result, bool json)
{
    if (json) {
        print_json(point, result);
    } else {
        print_text(point, result);
    }
    (void)fflush(stdout);
}
