#include "encode_private.h"

#include "base/arena.h"
#include "json/json_in.h"

#define NAME_MAX_BYTES 160
#define ANSWER_MEMORY  65536

static void
write_id(struct json_writer *json, const char *name, uint64_t id)
{
    char text[TRACECONTEXT_SPAN_ID_SIZE + 1];
    tracecontext_span_id_format(id, text);
    json_member_cstr(json, name, text);
}

static void
write_trace_id(struct json_writer *json, u128 id)
{
    char text[TRACECONTEXT_TRACE_ID_SIZE + 1];
    tracecontext_trace_id_format(id, text);
    json_member_cstr(json, "traceId", text);
}

static void
write_u64(struct json_writer *json, const char *name, uint64_t value)
{
    json_key(json, name);
    json_u128_text(json, value);
}

static void
write_text_attribute(struct json_writer *json, const char *key, struct span text)
{
    json_object_begin(json);
    json_member_cstr(json, "key", key);
    json_key(json, "value");
    json_object_begin(json);
    json_member_text(json, "stringValue", text);
    json_object_end(json);
    json_object_end(json);
}

static void
write_number_attribute(struct json_writer *json, const char *key, int64_t number)
{
    char memory[24];
    struct buf text;
    buf_init_fixed(&text, memory, sizeof(memory));
    buf_append_i64(&text, number);
    json_object_begin(json);
    json_member_cstr(json, "key", key);
    json_key(json, "value");
    json_object_begin(json);
    json_member_text(json, "intValue", buf_span(&text));
    json_object_end(json);
    json_object_end(json);
}

static void
write_attribute(
    struct json_writer *json,
    const struct trace_record *record,
    const struct trace_attribute *attribute)
{
    char memory[TRACES_TEXT_SIZE];
    switch ((enum trace_attribute_kind)attribute->kind) {
    case TRACE_ATTRIBUTE_LABEL:
        write_text_attribute(json, attribute->key, span_from_cstr(attribute->label));
        return;
    case TRACE_ATTRIBUTE_TEXT:
        write_text_attribute(json, attribute->key, traces_text(record, attribute, memory));
        return;
    case TRACE_ATTRIBUTE_NUMBER:
        write_number_attribute(json, attribute->key, attribute->number);
        return;
    }
}

/* SpanKind of opentelemetry-proto. */
static int64_t
kind_number(enum trace_kind kind)
{
    static const int64_t numbers[] = {
        [TRACE_INTERNAL] = 1,
        [TRACE_SERVER] = 2,
        [TRACE_CLIENT] = 3,
        [TRACE_PRODUCER] = 4,
        [TRACE_CONSUMER] = 5,
    };
    return numbers[kind];
}

static void
write_link(struct json_writer *json, const struct trace_context *link)
{
    json_key(json, "links");
    json_array_begin(json);
    json_object_begin(json);
    write_trace_id(json, link->trace_id);
    write_id(json, "spanId", link->span_id);
    json_object_end(json);
    json_array_end(json);
}

static void
write_name(struct json_writer *json, const struct trace_record *record)
{
    char memory[NAME_MAX_BYTES];
    struct buf text;
    if (record->prefix == NULL) {
        json_member_cstr(json, "name", record->name);
        return;
    }
    buf_init_fixed(&text, memory, sizeof(memory));
    buf_append_format(&text, "%.40s %.100s", record->prefix, record->name);
    json_member_text(json, "name", buf_span(&text));
}

static void
write_span(struct json_writer *json, const struct trace_part *part, uint32_t index)
{
    enum {
        STATUS_CODE_ERROR = 2
    };

    const struct trace_record *record = &part->records[index];
    json_object_begin(json);
    write_trace_id(json, part->trace_id);
    write_id(json, "spanId", record->span_id);
    if (record->parent_id != 0) {
        write_id(json, "parentSpanId", record->parent_id);
    }
    if (part->state_size > 0) {
        json_member_text(json, "traceState", span_of(part->state, part->state_size));
    }
    json_member_i64(json, "flags", part->flags);
    write_name(json, record);
    json_member_i64(json, "kind", kind_number((enum trace_kind)record->kind));
    write_u64(json, "startTimeUnixNano", trace_part_wall_ns(part, record->start_ns));
    write_u64(json, "endTimeUnixNano", trace_part_wall_ns(part, record->end_ns));
    json_key(json, "attributes");
    json_array_begin(json);
    for (uint32_t i = 0; i < record->attribute_count; i++) {
        write_attribute(json, record, &record->attributes[i]);
    }
    if (index == 0 && trace_part_lost_count(part) > 0) {
        write_number_attribute(json, "tael.spans.lost", trace_part_lost_count(part));
    }
    json_array_end(json);
    if (index == 0 && trace_context_is_set(&part->link)) {
        write_link(json, &part->link);
    }
    if (record->failed) {
        json_key(json, "status");
        json_object_begin(json);
        json_member_i64(json, "code", STATUS_CODE_ERROR);
        json_object_end(json);
    }
    json_object_end(json);
}

void
traces_otlp_append(struct buf *out, const struct trace_part *part)
{
    uint32_t count = trace_part_record_count(part);
    for (uint32_t i = 0; i < count; i++) {
        struct json_writer json;
        if (i > 0) {
            buf_append_byte(out, ',');
        }
        json_begin(&json, out);
        write_span(&json, part, i);
    }
}

void
traces_otlp_begin(struct buf *out, const char *service, const char *version, const char *instance)
{
    struct json_writer json;
    buf_append_cstr(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":");
    json_begin(&json, out);
    json_array_begin(&json);
    write_text_attribute(&json, "service.name", span_from_cstr(service));
    write_text_attribute(&json, "service.version", span_from_cstr(version));
    write_text_attribute(&json, "service.instance.id", span_from_cstr(instance));
    json_array_end(&json);
    buf_append_cstr(out, "},\"scopeSpans\":[{\"scope\":{\"name\":\"tael\"},\"spans\":[");
}

void
traces_otlp_end(struct buf *out)
{
    buf_append_cstr(out, "]}]}]}");
}

uint64_t
traces_otlp_rejected(struct span answer)
{
    enum {
        VALUES_MAX = 64
    };

    struct arena arena;
    struct json_value *root;
    struct json_problem problem;
    uint64_t rejected = 0;
    arena_init(&arena, ANSWER_MEMORY);
    if (json_read(answer, &arena, VALUES_MAX, &root, &problem) == ERR_OK) {
        const struct json_value *partial = json_value_member(root, SPAN("partialSuccess"));
        const struct json_value *count = json_value_member(partial, SPAN("rejectedSpans"));
        struct span text;
        /* A 64-bit integer is text in this mapping, but numbers are to be read as well. */
        if (json_value_u64(count, &rejected) != ERR_OK &&
            (json_value_text(count, &text) != ERR_OK || !span_parse_u64(text, &rejected))) {
            rejected = 0;
        }
    }
    arena_release(&arena);
    return rejected;
}
