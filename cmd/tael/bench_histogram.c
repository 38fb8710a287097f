/* Latencies in buckets that grow with them, and the median of runs. */
#include "bench.h"

#include "base/assert.h"

static size_t
bucket_of(uint64_t value)
{
    if (value < (UINT64_C(1) << BENCH_SUB_BITS)) {
        return (size_t)value;
    }
    unsigned shift = 63U - (unsigned)__builtin_clzll(value) - BENCH_SUB_BITS;
    return ((size_t)shift << BENCH_SUB_BITS) + (size_t)(value >> shift);
}

/* The largest value of a bucket. */
static uint64_t
bucket_end(size_t bucket)
{
    if (bucket < ((size_t)2 << BENCH_SUB_BITS)) {
        return bucket;
    }
    unsigned shift = (unsigned)(bucket >> BENCH_SUB_BITS) - 1;
    uint64_t first = (bucket - ((uint64_t)shift << BENCH_SUB_BITS)) << shift;
    return first + ((UINT64_C(1) << shift) - 1);
}

void
bench_histogram_add(struct bench_histogram *histogram, uint64_t value_ns)
{
    size_t bucket = bucket_of(value_ns);
    ASSERT(bucket < BENCH_BUCKETS);
    ASSERT(bucket_end(bucket) >= value_ns);
    histogram->counts[bucket]++;
    histogram->count++;
    if (value_ns > histogram->largest_ns) {
        histogram->largest_ns = value_ns;
    }
}

uint64_t
bench_histogram_quantile(const struct bench_histogram *histogram, uint64_t per_mille)
{
    ASSERT(per_mille <= 1000);
    uint64_t rank = (histogram->count * per_mille + 999) / 1000;
    uint64_t seen = 0;
    for (size_t i = 0; i < BENCH_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (histogram->counts[i] > 0 && seen >= rank) {
            uint64_t end = bucket_end(i);
            return end < histogram->largest_ns ? end : histogram->largest_ns;
        }
    }
    return 0;
}

size_t
bench_median(const double *rates, size_t count)
{
    ASSERT(count >= 1);
    ASSERT(count <= BENCH_REPEAT_MAX);
    for (size_t i = 0; i < count; i++) {
        size_t below = 0;
        for (size_t j = 0; j < count; j++) {
            below += rates[j] < rates[i] || (j < i && !(rates[i] < rates[j]));
        }
        if (below == (count - 1) / 2) {
            return i;
        }
    }
    return 0; /* not reached: the ranks are 0 ... count - 1 */
}
