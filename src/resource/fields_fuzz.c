/* Any bytes as a document's body: refused, or a document that writes as text that reads the same.
 */
#include "runtime.h"

#include "base/assert.h"

#include <string.h>

struct sample {
    struct resource_header header;
    struct span text, other, json;
    int64_t number;
    bool flag;
};

#define FIELD(member, kind_)                                                                       \
    {                                                                                              \
        .name = #member, .kind = kind_, .offset = offsetof(struct sample, member), .column = -1    \
    }

static const struct document_kind kind = {.name = "sample"};
static const struct resource_field fields[] = {
    FIELD(text, RESOURCE_FIELD_TEXT),
    FIELD(other, RESOURCE_FIELD_TEXT),
    FIELD(json, RESOURCE_FIELD_JSON),
    FIELD(number, RESOURCE_FIELD_INTEGER),
    FIELD(flag, RESOURCE_FIELD_BOOLEAN),
};
static const struct resource_type type = {
    .object = "sample",
    .prefix = "sm_",
    .kind = &kind,
    .fields = fields,
    .field_count = sizeof(fields) / sizeof(fields[0]),
    .struct_size = sizeof(struct sample),
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct buf text;
    struct sample first = {.number = 0};
    struct sample second = {.number = 0};
    struct document_value columns[DOCUMENT_COLUMNS_MAX];
    arena_init(&arena, 1 << 20);
    buf_init(&text, 1 << 20);
    struct span body = span_of(data, size);
    /* The writer replaces what is not UTF-8, so only UTF-8 comes back the same. */
    if (resource_fields_decode(&arena, &type, body, &first) == ERR_OK && span_is_utf8(body)) {
        resource_fields_encode(&text, &type, &first, columns);
        ASSERT(!buf_failed(&text));
        err_t error = resource_fields_decode(&arena, &type, buf_span(&text), &second);
        ASSERT(error == ERR_OK);
        ASSERT(span_equal(first.text, second.text));
        ASSERT(span_equal(first.other, second.other));
        ASSERT(span_equal(first.json, second.json));
        ASSERT(first.number == second.number);
        ASSERT(first.flag == second.flag);
        ASSERT(first.header.created == second.header.created);
    }
    buf_release(&text);
    arena_release(&arena);
    return 0;
}
