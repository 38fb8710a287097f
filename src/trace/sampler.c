#include "trace/recorder.h"

#define DIGITS_MAX 9
#define SCALE      UINT64_C(1000000000) /* ten to DIGITS_MAX */

/* A decimal number from 0 to 1, in units of 1/SCALE. */
static bool
ratio_parse(struct span text, uint64_t *ret_ratio)
{
    struct span rest = text;
    struct span whole = span_cut(&rest, '.');
    uint64_t units = 0;
    uint64_t part = 0;
    bool has_point = whole.size < text.size;
    if (whole.size > DIGITS_MAX || rest.size > DIGITS_MAX || (has_point && rest.size == 0)) {
        return false;
    }
    if (!(whole.size == 0 && has_point) && !span_parse_u64(whole, &units)) {
        return false;
    }
    if (rest.size > 0 && !span_parse_u64(rest, &part)) {
        return false;
    }
    for (size_t i = rest.size; i < DIGITS_MAX; i++) {
        part *= 10;
    }
    *ret_ratio = units * SCALE + part;
    return *ret_ratio <= SCALE;
}

bool
trace_sampler_parse(struct span name, struct span ratio, struct trace_sampler *ret_sampler)
{
    const struct span prefix = SPAN("parentbased_");
    bool parent_based = span_starts_with(name, prefix);
    struct span kind = parent_based ? span_slice(name, prefix.size, name.size) : name;
    uint64_t units = SCALE;
    if (ratio.size > 0 && !ratio_parse(ratio, &units)) {
        return false;
    }
    if (span_equal(kind, SPAN("always_on"))) {
        units = SCALE;
    } else if (span_equal(kind, SPAN("always_off"))) {
        units = 0;
    } else if (!span_equal(kind, SPAN("traceidratio"))) {
        return false;
    }
    *ret_sampler = (struct trace_sampler){
        .parent_based = parent_based,
        .bound = (uint64_t)((u128)TRACE_RATIO_ONE * units / SCALE),
    };
    return true;
}

bool
trace_sampler_decides(const struct trace_sampler *sampler, u128 trace_id)
{
    return (u128_low(trace_id) & (TRACE_RATIO_ONE - 1)) < sampler->bound;
}
