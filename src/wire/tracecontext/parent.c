#include "tracecontext/tracecontext.h"

#include "hex.h"

#include "base/assert.h"

#include <string.h>

/* version - trace id - parent id - flags (section 3.2.1). */
#define VERSION_SIZE 2
#define TRACE_AT     3
#define PARENT_AT    36
#define FLAGS_AT     53

static int
digit_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool
tracecontext_hex_parse(struct span text, u128 *ret_value)
{
    u128 value = 0;
    if (text.size == 0 || text.size > TRACECONTEXT_TRACE_ID_SIZE) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        int digit = digit_value(text.data[i]);
        if (digit < 0) {
            return false;
        }
        value = (value << 4) + (unsigned)digit;
    }
    *ret_value = value;
    return true;
}

void
tracecontext_hex_format(u128 value, char *out, uint32_t digits)
{
    static const char names[] = "0123456789abcdef";
    for (uint32_t i = digits; i > 0; i--) {
        out[i - 1] = names[value & 0xf];
        value >>= 4;
    }
}

void
tracecontext_trace_id_format(u128 trace_id, char out[TRACECONTEXT_TRACE_ID_SIZE + 1])
{
    tracecontext_hex_format(trace_id, out, TRACECONTEXT_TRACE_ID_SIZE);
    out[TRACECONTEXT_TRACE_ID_SIZE] = '\0';
}

void
tracecontext_span_id_format(uint64_t span_id, char out[TRACECONTEXT_SPAN_ID_SIZE + 1])
{
    tracecontext_hex_format(span_id, out, TRACECONTEXT_SPAN_ID_SIZE);
    out[TRACECONTEXT_SPAN_ID_SIZE] = '\0';
}

bool
tracecontext_trace_id_parse(struct span text, u128 *ret_trace_id)
{
    u128 value = 0;
    if (text.size != TRACECONTEXT_TRACE_ID_SIZE || !tracecontext_hex_parse(text, &value) ||
        value == 0) {
        return false;
    }
    *ret_trace_id = value;
    return true;
}

/* A higher version may have more behind the flags, separated by a dash; ff is no version (3.2.2.1
 * and 4.3). */
static bool
version_allows(u128 version, struct span text)
{
    if (version == 0xff) {
        return false;
    }
    if (version == 0) {
        return text.size == TRACECONTEXT_PARENT_SIZE;
    }
    return text.size == TRACECONTEXT_PARENT_SIZE || text.data[TRACECONTEXT_PARENT_SIZE] == '-';
}

bool
tracecontext_parse(struct span text, struct trace_context *ret_context)
{
    u128 version;
    u128 trace_id;
    u128 parent_id;
    u128 flags;
    if (text.size < TRACECONTEXT_PARENT_SIZE || text.data[TRACE_AT - 1] != '-' ||
        text.data[PARENT_AT - 1] != '-' || text.data[FLAGS_AT - 1] != '-') {
        return false;
    }
    if (!tracecontext_hex_parse(span_slice(text, 0, VERSION_SIZE), &version) ||
        !tracecontext_hex_parse(span_slice(text, TRACE_AT, PARENT_AT - 1), &trace_id) ||
        !tracecontext_hex_parse(span_slice(text, PARENT_AT, FLAGS_AT - 1), &parent_id) ||
        !tracecontext_hex_parse(span_slice(text, FLAGS_AT, TRACECONTEXT_PARENT_SIZE), &flags)) {
        return false;
    }
    if (!version_allows(version, text) || trace_id == 0 || parent_id == 0) {
        return false;
    }
    /* Of later versions only what was there first is sure to mean the same. */
    u128 known = version == 0 ? TRACE_CONTEXT_FLAGS : TRACE_CONTEXT_SAMPLED;
    *ret_context = (struct trace_context){
        .trace_id = trace_id,
        .span_id = (uint64_t)parent_id,
        .flags = (uint8_t)(flags & known),
    };
    return true;
}

void
tracecontext_format(const struct trace_context *context, char out[TRACECONTEXT_PARENT_SIZE + 1])
{
    ASSERT(context->trace_id != 0);
    ASSERT(context->span_id != 0);
    memcpy(out, "00-", TRACE_AT);
    tracecontext_hex_format(context->trace_id, out + TRACE_AT, TRACECONTEXT_TRACE_ID_SIZE);
    out[PARENT_AT - 1] = '-';
    tracecontext_hex_format(context->span_id, out + PARENT_AT, TRACECONTEXT_SPAN_ID_SIZE);
    out[FLAGS_AT - 1] = '-';
    tracecontext_hex_format(context->flags & TRACE_CONTEXT_FLAGS, out + FLAGS_AT, 2);
    out[TRACECONTEXT_PARENT_SIZE] = '\0';
}
