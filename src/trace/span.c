#include "trace/span.h"

#include "recorder_private.h"

#include "base/assert.h"

#include <string.h>

/* Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014): a bijection, so that
 * the ids of one part differ. */
static uint64_t
mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

static uint64_t
span_id_make(uint64_t seed, uint32_t index)
{
    uint64_t id = mix(seed + (index + 1) * UINT64_C(0x9e3779b97f4a7c15));
    return id == 0 ? 1 : id;
}

/* ------------------------------------------------------------------------------------- roots */

static uint8_t
root_flags(const struct trace_recorder *recorder, const struct trace_root *root, u128 trace_id)
{
    bool is_new = !trace_context_is_set(&root->parent);
    /* Ids that begin here are random throughout. */
    uint8_t flags = is_new ? TRACE_CONTEXT_RANDOM : root->parent.flags & TRACE_CONTEXT_RANDOM;
    bool sampled = root->decision == TRACECONTEXT_KEEP;
    if (recorder != NULL) {
        const struct trace_sampler *sampler = &recorder->parts.settings.sampler;
        if (!sampler->parent_based || root->decision == TRACECONTEXT_UNDECIDED) {
            sampled = trace_sampler_decides(sampler, trace_id);
        }
    }
    return sampled ? flags | TRACE_CONTEXT_SAMPLED : flags;
}

static void
part_begin(
    struct trace_part *part, const struct trace_root *root, const struct trace_context *context)
{
    struct os_clock *clock = part->recorder->parts.clock;
    part->trace_id = context->trace_id;
    part->flags = context->flags;
    part->monotonic_ns = os_monotonic_ns(clock);
    part->wall_ns = os_wall_ns(clock);
    part->link = root->link;
    part->state_size = 0;
    if (root->state.size > 0 && root->state.size <= sizeof(part->state)) {
        memcpy(part->state, root->state.data, root->state.size);
        part->state_size = (uint16_t)root->state.size;
    }
    atomic_store_explicit(&part->failed, false, memory_order_relaxed);
    atomic_store_explicit(&part->record_count, 1, memory_order_relaxed);
    /* Who finds the part by a context of its last use sees all of the above, or no open span. */
    atomic_store_explicit(&part->open_count, 1, memory_order_release);
}

static void
record_begin(
    struct trace_record *record,
    const struct trace_context *parent,
    enum trace_kind kind,
    const char *name)
{
    record->parent_id = parent->span_id;
    record->end_ns = 0;
    record->prefix = NULL;
    record->name = name;
    record->kind = (uint8_t)kind;
    record->failed = false;
    record->attribute_count = 0;
    record->text_used = 0;
}

void
trace_root_start(
    struct trace_recorder *recorder, const struct trace_root *root, struct trace_span *ret_span)
{
    bool is_new = !trace_context_is_set(&root->parent);
    struct trace_context context = {
        .trace_id = is_new ? root->random : root->parent.trace_id,
    };
    if (context.trace_id == 0) {
        context.trace_id = 1; /* all zero is no id */
    }
    context.flags = root_flags(recorder, root, context.trace_id);
    uint64_t seed = u128_high(root->random) ^ mix(u128_low(root->random));
    *ret_span = (struct trace_span){.record = NULL};
    if (recorder != NULL) {
        seed ^= recorder->parts.secret;
        context.part = trace_part_take(recorder);
    }
    context.span_id = span_id_make(seed, 0);
    struct trace_part *part = context.part;
    if (part != NULL) {
        struct trace_record *record = &part->records[0];
        part->span_seed = seed;
        record_begin(record, &root->parent, root->kind, root->name);
        record->span_id = context.span_id;
        part_begin(part, root, &context);
        record->start_ns = root->start_ns != 0 ? root->start_ns : part->monotonic_ns;
        ret_span->record = record;
    }
    ret_span->context = context;
}

/* ------------------------------------------------------------------------------------- spans */

static void
part_leave(struct trace_part *part)
{
    if (atomic_fetch_sub_explicit(&part->open_count, 1, memory_order_acq_rel) == 1) {
        trace_part_over(part);
    }
}

/* False: the part is over, or is another trace's by now (TRACE-11). */
static bool
part_enter(struct trace_part *part, u128 trace_id)
{
    uint32_t open = atomic_load_explicit(&part->open_count, memory_order_relaxed);
    do {
        if (open == 0) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(
        &part->open_count, &open, open + 1, memory_order_acquire, memory_order_relaxed));
    if (part->trace_id == trace_id) {
        return true;
    }
    part_leave(part);
    return false;
}

void
trace_span_start_at(
    const struct trace_context *parent,
    enum trace_kind kind,
    const char *name,
    uint64_t start_ns,
    struct trace_span *ret_span)
{
    struct trace_part *part = parent->part;
    *ret_span = (struct trace_span){.context = *parent};
    if (part == NULL) {
        return;
    }
    if (!part_enter(part, parent->trace_id)) {
        atomic_fetch_add_explicit(&part->recorder->orphaned, 1, memory_order_relaxed);
        ret_span->context.part = NULL;
        return;
    }
    uint32_t index = atomic_fetch_add_explicit(&part->record_count, 1, memory_order_relaxed);
    if (index >= TRACE_RECORDS_MAX) {
        part_leave(part);
        return;
    }
    struct trace_record *record = &part->records[index];
    record_begin(record, parent, kind, name);
    record->span_id = span_id_make(part->span_seed, index);
    record->start_ns = start_ns != 0 ? start_ns : os_monotonic_ns(part->recorder->parts.clock);
    ret_span->context.span_id = record->span_id;
    ret_span->record = record;
}

void
trace_span_start(
    const struct trace_context *parent,
    enum trace_kind kind,
    const char *name,
    struct trace_span *ret_span)
{
    trace_span_start_at(parent, kind, name, 0, ret_span);
}

void
trace_span_add(
    const struct trace_context *parent, const char *name, uint64_t start_ns, uint64_t end_ns)
{
    struct trace_span span;
    if (start_ns != 0 && parent->part != NULL) {
        trace_span_start_at(parent, TRACE_INTERNAL, name, start_ns, &span);
        trace_span_end_at(&span, end_ns);
    }
}

void
trace_span_end_at(struct trace_span *span, uint64_t end_ns)
{
    struct trace_record *record = span->record;
    if (record != NULL) {
        /* Times of different threads may be read in another order than they were made. */
        record->end_ns = end_ns > record->start_ns ? end_ns : record->start_ns;
        span->record = NULL;
        part_leave(span->context.part);
    }
}

void
trace_span_end(struct trace_span *span)
{
    if (span->record != NULL) {
        trace_span_end_at(span, os_monotonic_ns(span->context.part->recorder->parts.clock));
    }
}

uint64_t
trace_now_ns(const struct trace_context *context)
{
    return context->part == NULL ? 0 : os_monotonic_ns(context->part->recorder->parts.clock);
}

struct span
trace_context_id(const struct trace_context *context, char memory[TRACECONTEXT_TRACE_ID_SIZE + 1])
{
    if (!trace_context_is_set(context)) {
        return SPAN_EMPTY;
    }
    tracecontext_trace_id_format(context->trace_id, memory);
    return span_of(memory, TRACECONTEXT_TRACE_ID_SIZE);
}

struct span
trace_context_state(const struct trace_context *context, char memory[TRACECONTEXT_STATE_MAX])
{
    struct trace_part *part = context->part;
    if (part == NULL || !part_enter(part, context->trace_id)) {
        return SPAN_EMPTY;
    }
    size_t size = part->state_size;
    memcpy(memory, part->state, size);
    part_leave(part);
    return span_of(memory, size);
}

/* -------------------------------------------------------------------------------- attributes */

void
trace_span_set_name(struct trace_span *span, const char *prefix, const char *name)
{
    if (span->record != NULL) {
        span->record->prefix = prefix;
        span->record->name = name;
    }
}

static struct trace_attribute *
attribute_add(struct trace_span *span, const char *key, enum trace_attribute_kind kind)
{
    struct trace_record *record = span->record;
    if (record == NULL || record->attribute_count == TRACE_ATTRIBUTES_MAX) {
        return NULL;
    }
    struct trace_attribute *attribute = &record->attributes[record->attribute_count++];
    attribute->key = key;
    attribute->kind = (uint8_t)kind;
    return attribute;
}

void
trace_span_label(struct trace_span *span, const char *key, const char *label)
{
    struct trace_attribute *attribute = attribute_add(span, key, TRACE_ATTRIBUTE_LABEL);
    if (attribute != NULL) {
        attribute->label = label;
    }
}

void
trace_span_text(struct trace_span *span, const char *key, struct span text)
{
    if (text.size == 0) {
        return;
    }
    struct trace_attribute *attribute = attribute_add(span, key, TRACE_ATTRIBUTE_TEXT);
    if (attribute == NULL) {
        return;
    }
    struct trace_record *record = span->record;
    size_t room = TRACE_TEXT_MAX - record->text_used;
    size_t size = text.size < room ? text.size : room;
    attribute->at = record->text_used;
    attribute->size = (uint16_t)size;
    if (size > 0) {
        memcpy(record->text + record->text_used, text.data, size);
    }
    record->text_used = (uint16_t)(record->text_used + size);
}

void
trace_span_number(struct trace_span *span, const char *key, int64_t number)
{
    struct trace_attribute *attribute = attribute_add(span, key, TRACE_ATTRIBUTE_NUMBER);
    if (attribute != NULL) {
        attribute->number = number;
    }
}

void
trace_span_fail(struct trace_span *span, const char *error_type)
{
    if (span->record != NULL) {
        span->record->failed = true;
        atomic_store_explicit(&span->context.part->failed, true, memory_order_relaxed);
        trace_span_label(span, "error.type", error_type);
    }
}
