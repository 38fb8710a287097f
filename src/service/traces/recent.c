#include "recent.h"

#include "encode.h"

#include <stdlib.h>

err_t
traces_recent_init(struct traces_recent *recent, uint32_t size)
{
    *recent = (struct traces_recent){.size = size};
    if (size > 0) {
        recent->parts = calloc(size, sizeof(struct trace_part *));
        return recent->parts == NULL ? ERR_MEMORY : ERR_OK;
    }
    return ERR_OK;
}

/* Number `index` from the oldest on. */
static struct trace_part *
part_at(const struct traces_recent *recent, uint32_t index)
{
    return recent->parts[(recent->first + index) % recent->size];
}

static void
forget_oldest(struct traces_recent *recent)
{
    trace_part_give_back(part_at(recent, 0));
    recent->first = (recent->first + 1) % recent->size;
    recent->count--;
}

void
traces_recent_release(struct traces_recent *recent)
{
    while (recent->count > 0) {
        forget_oldest(recent);
    }
    free(recent->parts);
    recent->parts = NULL;
}

void
traces_recent_add(struct traces_recent *recent, struct trace_part *part)
{
    if (recent->size == 0) {
        trace_part_give_back(part);
        return;
    }
    if (recent->count == recent->size) {
        forget_oldest(recent);
    }
    recent->parts[(recent->first + recent->count) % recent->size] = part;
    recent->count++;
}

bool
traces_recent_trace(
    const struct traces_recent *recent, u128 trace_id, const char *service, struct buf *out)
{
    bool found = false;
    buf_append_byte(out, '[');
    for (uint32_t i = 0; i < recent->count; i++) {
        const struct trace_part *part = part_at(recent, i);
        if (part->trace_id == trace_id) {
            buf_append_cstr(out, found ? "," : "");
            traces_zipkin_append(out, part, service);
            found = true;
        }
    }
    buf_append_byte(out, ']');
    return found;
}

static bool
attribute_is(
    const struct trace_record *record,
    const struct trace_attribute *attribute,
    struct span key,
    struct span value)
{
    if (!span_equal_cstr(key, attribute->key)) {
        return false;
    }
    switch ((enum trace_attribute_kind)attribute->kind) {
    case TRACE_ATTRIBUTE_TEXT:
        return span_equal(trace_attribute_text(record, attribute), value);
    case TRACE_ATTRIBUTE_LABEL:
        return span_equal_cstr(value, attribute->label);
    case TRACE_ATTRIBUTE_NUMBER:
        break;
    }
    int64_t number;
    return span_parse_i64(value, &number) && number == attribute->number;
}

static bool
part_matches(const struct trace_part *part, struct span key, struct span value)
{
    uint32_t count = trace_part_record_count(part);
    for (uint32_t i = 0; i < count && key.size > 0; i++) {
        const struct trace_record *record = &part->records[i];
        for (uint32_t j = 0; j < record->attribute_count; j++) {
            if (attribute_is(record, &record->attributes[j], key, value)) {
                return true;
            }
        }
    }
    return key.size == 0;
}

/* A trace whose newer part matched was shown with it. */
static bool
was_shown(const struct traces_recent *recent, uint32_t index, struct span key, struct span value)
{
    u128 trace_id = part_at(recent, index)->trace_id;
    for (uint32_t i = index + 1; i < recent->count; i++) {
        const struct trace_part *newer = part_at(recent, i);
        if (newer->trace_id == trace_id && part_matches(newer, key, value)) {
            return true;
        }
    }
    return false;
}

void
traces_recent_find(
    const struct traces_recent *recent,
    struct span key,
    struct span value,
    uint32_t limit,
    const char *service,
    struct buf *out)
{
    uint32_t shown = 0;
    buf_append_byte(out, '[');
    for (uint32_t i = recent->count; i > 0 && shown < limit; i--) {
        const struct trace_part *part = part_at(recent, i - 1);
        if (part_matches(part, key, value) && !was_shown(recent, i - 1, key, value)) {
            buf_append_cstr(out, shown > 0 ? "," : "");
            (void)traces_recent_trace(recent, part->trace_id, service, out);
            shown++;
        }
    }
    buf_append_byte(out, ']');
}
