/*
 * Any bytes as a query: refused with a message of its own, or clauses that keep QUERY-1, and that
 * written out plainly are read again as the same.
 */
#include "query/query.h"

#include "base/assert.h"
#include "base/buf.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
text_check(struct span text)
{
    ASSERT(text.size > 0);
    ASSERT(span_is_utf8(text));
    ASSERT(memchr(text.data, 0, text.size) == NULL);
}

static void
clause_check(const struct query_clause *clause)
{
    text_check(clause->field);
    ASSERT(clause->field.size <= QUERY_FIELD_MAX);
    ASSERT(clause->character >= 1);
    if (clause->key.data != NULL) {
        text_check(clause->key);
    }
    if (clause->kind == QUERY_NULL) {
        ASSERT(clause->value.size == 0);
        ASSERT(clause->operation == QUERY_EQUAL);
        return;
    }
    text_check(clause->value);
    ASSERT(clause->operation != QUERY_CONTAINS || clause->value.size >= QUERY_CONTAINS_MIN);
}

static void
write_quoted(struct buf *out, struct span text)
{
    buf_append_byte(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') {
            buf_append_byte(out, '\\');
        }
        buf_append_byte(out, text.data[i]);
    }
    buf_append_byte(out, '"');
}

static void
write_clause(struct buf *out, const struct query_clause *clause)
{
    static const char *const operators[] = {":", "~", ">", ">=", "<", "<="};
    buf_append_cstr(out, clause->negated ? "-" : "");
    buf_append_span(out, clause->field);
    if (clause->key.data != NULL) {
        buf_append_byte(out, '[');
        write_quoted(out, clause->key);
        buf_append_byte(out, ']');
    }
    buf_append_cstr(out, operators[clause->operation]);
    switch (clause->kind) {
    case QUERY_TEXT:
        write_quoted(out, clause->value);
        break;
    case QUERY_WORD:
        buf_append_span(out, clause->value);
        break;
    case QUERY_NULL:
        buf_append_cstr(out, "null");
        break;
    }
}

static void
clauses_equal(const struct query_clause *a, const struct query_clause *b)
{
    ASSERT(a->negated == b->negated);
    ASSERT(span_equal(a->field, b->field));
    ASSERT((a->key.data == NULL) == (b->key.data == NULL));
    ASSERT(span_equal(a->key, b->key));
    ASSERT(a->operation == b->operation);
    ASSERT(a->kind == b->kind);
    ASSERT(span_equal(a->value, b->value));
}

static void
read_again(const struct query *query, struct arena *arena)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    for (uint32_t i = 0; i < query->count; i++) {
        if (i > 0) {
            buf_append_cstr(&out, query->any ? " OR " : " ");
        }
        write_clause(&out, &query->clauses[i]);
    }
    ASSERT(!buf_failed(&out));
    struct query again;
    struct span message = SPAN_EMPTY;
    err_t error = query_parse(buf_span(&out), arena, &again, &message);
    /* Quotation marks of the other kind need a backslash now: it may grow past its limit. */
    if (error == ERR_OK) {
        ASSERT(again.count == query->count);
        ASSERT(again.any == query->any);
        for (uint32_t i = 0; i < query->count; i++) {
            clauses_equal(&query->clauses[i], &again.clauses[i]);
        }
    } else {
        ASSERT(out.size > QUERY_SIZE_MAX);
    }
    buf_release(&out);
}

static void
fold_check(struct span text, struct arena *arena)
{
    char *once = arena_alloc(arena, text.size);
    char *twice = arena_alloc(arena, text.size);
    ASSERT(once != NULL && twice != NULL);
    query_fold(text, once);
    query_fold(span_of(once, text.size), twice);
    ASSERT(memcmp(once, twice, text.size) == 0);
    ASSERT(!span_is_utf8(text) || span_is_utf8(span_of(once, text.size)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, 64 << 20);
    struct query query;
    struct span message = SPAN_EMPTY;
    struct span text = span_of(data, size);
    err_t error = query_parse(text, &arena, &query, &message);
    if (error != ERR_OK) {
        ASSERT(error == ERR_INVALID);
        ASSERT(message.size > 0 && message.size < QUERY_MESSAGE_SIZE);
        ASSERT(span_is_utf8(message));
    } else {
        ASSERT(query.count >= 1 && query.count <= QUERY_CLAUSES_MAX);
        for (uint32_t i = 0; i < query.count; i++) {
            clause_check(&query.clauses[i]);
        }
        read_again(&query, &arena);
    }
    if (size > 0) {
        fold_check(text, &arena);
    }
    arena_release(&arena);
    return 0;
}
