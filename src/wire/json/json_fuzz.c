/*
 * Two properties of JSON, by the first byte. Even: any bytes are read by our reader and by jansson,
 * an independent parser; they agree on what is JSON and on its shape, except where the contract of
 * json/json_in.h says that ours differs, and what ours read, written by our writer, reads the same.
 * Odd: any bytes as a text, written by our writer, are valid JSON to jansson.
 */
#include "json/json.h"
#include "json/json_in.h"

#include "base/assert.h"

#include <string.h>

#include "jansson_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
value_write(struct json_writer *json, const struct json_value *value)
{
    if (value->parent != NULL && value->parent->kind == JSON_KIND_OBJECT) {
        json_key_span(json, value->name);
    }
    switch (value->kind) {
    case JSON_KIND_NULL:
        json_null(json);
        return;
    case JSON_KIND_BOOL:
        json_bool(json, value->boolean);
        return;
    case JSON_KIND_INTEGER:
    case JSON_KIND_DECIMAL:
        json_raw(json, value->text);
        return;
    case JSON_KIND_TEXT:
        json_text(json, value->text);
        return;
    case JSON_KIND_ARRAY:
        json_array_begin(json);
        break;
    case JSON_KIND_OBJECT:
        json_object_begin(json);
        break;
    }
    for (const struct json_value *child = value->first_child; child != NULL; child = child->next) {
        value_write(json, child);
    }
    if (value->kind == JSON_KIND_ARRAY) {
        json_array_end(json);
    } else {
        json_object_end(json);
    }
}

static void
values_equal(const struct json_value *a, const struct json_value *b, struct arena *arena)
{
    ASSERT(a->kind == b->kind);
    ASSERT(a->boolean == b->boolean);
    ASSERT(a->index == b->index);
    ASSERT(a->child_count == b->child_count);
    ASSERT(span_equal(a->name, b->name));
    ASSERT(span_equal(a->text, b->text));
    ASSERT(span_equal(json_value_path(a, arena), json_value_path(b, arena)));
    const struct json_value *left = a->first_child;
    const struct json_value *right = b->first_child;
    for (; left != NULL; left = left->next, right = right->next) {
        ASSERT(left->parent == a);
        values_equal(left, right, arena);
    }
}

static void
check_reading(struct span text)
{
    struct arena arena;
    arena_init(&arena, 64 << 20);
    struct json_value *root = NULL;
    struct json_problem problem;
    err_t error = json_read(text, &arena, 10000, &root, &problem);
    if (error != ERR_OK) {
        ASSERT(problem.position <= text.size);
        /* jansson takes a zero byte for the end of the text. */
        bool has_zero = text.size > 0 && memchr(text.data, 0, text.size) != NULL;
        ASSERT(error == ERR_FULL || has_zero || !oracle_accepts(text));
        arena_release(&arena);
        return;
    }
    ASSERT(oracle_accepts(text) || oracle_limits(text));
    struct buf out;
    struct json_writer json;
    buf_init(&out, 64 << 20);
    json_begin(&json, &out);
    value_write(&json, root);
    ASSERT(json_is_complete(&json));
    ASSERT(!buf_failed(&out));
    struct json_value *again = NULL;
    ASSERT(json_read(buf_span(&out), &arena, 10000, &again, &problem) == ERR_OK);
    values_equal(root, again, &arena);
    ASSERT(!oracle_accepts(text) || oracle_same(text, buf_span(&out)));
    buf_release(&out);
    arena_release(&arena);
}

static void
check_writing(struct span text)
{
    struct buf out;
    struct json_writer json;
    buf_init(&out, 64 << 20);
    json_begin(&json, &out);
    json_object_begin(&json);
    json_key_span(&json, text);
    json_array_begin(&json);
    json_text(&json, text);
    json_text(&json, span_slice(text, text.size / 2, text.size));
    json_array_end(&json);
    json_object_end(&json);
    ASSERT(!buf_failed(&out));
    ASSERT(span_is_utf8(buf_span(&out)));
    if (text.size == 0 || memchr(text.data, 0, text.size) == NULL) {
        ASSERT(oracle_accepts(buf_span(&out)));
        struct arena arena;
        struct json_value *root = NULL;
        struct json_problem problem;
        arena_init(&arena, 64 << 20);
        ASSERT(json_read(buf_span(&out), &arena, 10, &root, &problem) == ERR_OK);
        if (span_is_utf8(text)) {
            ASSERT(span_equal(root->first_child->name, text));
            ASSERT(span_equal(root->first_child->first_child->text, text));
        }
        arena_release(&arena);
    }
    buf_release(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        struct span text = span_of(data + 1, size - 1);
        if (data[0] % 2 == 0) {
            check_reading(text);
        } else {
            check_writing(text);
        }
    }
    return 0;
}
