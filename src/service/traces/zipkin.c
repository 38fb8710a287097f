#include "encode_private.h"

#define NAME_MAX_BYTES 160

static void
write_id(struct json_writer *json, const char *name, uint64_t id)
{
    char text[TRACECONTEXT_SPAN_ID_SIZE + 1];
    tracecontext_span_id_format(id, text);
    json_member_cstr(json, name, text);
}

static void
write_trace_id(struct json_writer *json, const char *name, u128 id)
{
    char text[TRACECONTEXT_TRACE_ID_SIZE + 1];
    tracecontext_trace_id_format(id, text);
    json_member_cstr(json, name, text);
}

static void
lower(struct buf *text)
{
    for (size_t i = 0; i < text->size; i++) {
        char byte = text->data[i];
        text->data[i] = byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
    }
}

static void
write_lower(struct json_writer *json, const char *member, const char *prefix, const char *name)
{
    char memory[NAME_MAX_BYTES];
    struct buf text;
    buf_init_fixed(&text, memory, sizeof(memory));
    buf_append_format(
        &text, "%.*s%s%.100s", 40, prefix == NULL ? "" : prefix, prefix == NULL ? "" : " ", name);
    lower(&text);
    json_member_text(json, member, buf_span(&text));
}

static const char *
kind_name(enum trace_kind kind)
{
    switch (kind) {
    case TRACE_INTERNAL:
        return NULL;
    case TRACE_SERVER:
        return "SERVER";
    case TRACE_CLIENT:
        return "CLIENT";
    case TRACE_PRODUCER:
        return "PRODUCER";
    case TRACE_CONSUMER:
        return "CONSUMER";
    }
    return NULL;
}

/* Tags are texts, all of them. */
static void
write_tag(
    struct json_writer *json,
    const struct trace_record *record,
    const struct trace_attribute *attribute)
{
    char memory[TRACES_TEXT_SIZE];
    struct buf number;
    switch ((enum trace_attribute_kind)attribute->kind) {
    case TRACE_ATTRIBUTE_LABEL:
        json_member_cstr(json, attribute->key, attribute->label);
        return;
    case TRACE_ATTRIBUTE_TEXT:
        json_member_text(json, attribute->key, traces_text(record, attribute, memory));
        return;
    case TRACE_ATTRIBUTE_NUMBER:
        buf_init_fixed(&number, memory, sizeof(memory));
        buf_append_i64(&number, attribute->number);
        json_member_text(json, attribute->key, buf_span(&number));
        return;
    }
}

/* Names are keys of an object here: of two that are the same, the first counts. */
static bool
comes_again(const struct trace_record *record, uint32_t index)
{
    struct span key = span_from_cstr(record->attributes[index].key);
    for (uint32_t i = 0; i < index; i++) {
        if (span_equal_cstr(key, record->attributes[i].key)) {
            return true;
        }
    }
    return false;
}

static void
write_tags(struct json_writer *json, const struct trace_part *part, uint32_t index)
{
    const struct trace_record *record = &part->records[index];
    json_key(json, "tags");
    json_object_begin(json);
    for (uint32_t i = 0; i < record->attribute_count; i++) {
        if (!comes_again(record, i)) {
            write_tag(json, record, &record->attributes[i]);
        }
    }
    if (record->failed) {
        json_member_cstr(json, "error", "true"); /* what marks a span there */
    }
    if (index == 0 && trace_context_is_set(&part->link)) {
        write_trace_id(json, "link.trace_id", part->link.trace_id);
        write_id(json, "link.span_id", part->link.span_id);
    }
    if (index == 0 && trace_part_lost_count(part) > 0) {
        char memory[24];
        struct buf number;
        buf_init_fixed(&number, memory, sizeof(memory));
        buf_append_u64(&number, trace_part_lost_count(part));
        json_member_text(json, "tael.spans.lost", buf_span(&number));
    }
    json_object_end(json);
}

static void
write_span(
    struct json_writer *json, const struct trace_part *part, uint32_t index, const char *service)
{
    enum {
        NS_PER_US = 1000
    };

    const struct trace_record *record = &part->records[index];
    const char *kind = kind_name((enum trace_kind)record->kind);
    uint64_t start_us = trace_part_wall_ns(part, record->start_ns) / NS_PER_US;
    uint64_t end_us = trace_part_wall_ns(part, record->end_ns) / NS_PER_US;
    json_object_begin(json);
    write_trace_id(json, "traceId", part->trace_id);
    write_id(json, "id", record->span_id);
    if (record->parent_id != 0) {
        write_id(json, "parentId", record->parent_id);
    }
    write_lower(json, "name", record->prefix, record->name);
    if (kind != NULL) {
        json_member_cstr(json, "kind", kind);
    }
    json_member_i64(json, "timestamp", (int64_t)start_us);
    /* Zero would say that nobody knows. */
    json_member_i64(json, "duration", end_us > start_us ? (int64_t)(end_us - start_us) : 1);
    json_key(json, "localEndpoint");
    json_object_begin(json);
    write_lower(json, "serviceName", NULL, service);
    json_object_end(json);
    write_tags(json, part, index);
    json_object_end(json);
}

void
traces_zipkin_append(struct buf *out, const struct trace_part *part, const char *service)
{
    uint32_t count = trace_part_record_count(part);
    for (uint32_t i = 0; i < count; i++) {
        struct json_writer json;
        if (i > 0) {
            buf_append_byte(out, ',');
        }
        json_begin(&json, out);
        write_span(&json, part, i, service);
    }
}
