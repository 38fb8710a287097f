#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Notes, and what is said of their parts. */
#include "sharded_cold_testing.h"

#include "document/shards.h"

#include "base/buf.h"

#include <stdio.h>
#include <string.h>

struct document_row
t_note_row(
    struct t_shards *t,
    uint64_t scope,
    const char *id,
    int64_t due,
    const char *description,
    const char *metadata)
{
    struct document_row row = {
        .scope = scope,
        .id = arena_copy(&t->arena, span_from_cstr(id)),
        .columns = {{.is_null = due == 0, .integer = due}}};
    char text[512];
    struct buf body;
    buf_init_fixed(&body, text, sizeof(text));
    buf_append_format(&body, "{\"due\":%lld", (long long)due);
    if (description != NULL) {
        buf_append_format(&body, ",\"description\":\"%s\"", description);
    }
    buf_append_cstr(&body, ",\"status\":\"open\"");
    if (metadata != NULL) {
        buf_append_format(&body, ",\"metadata\":%s", metadata);
    }
    buf_append_byte(&body, '}');
    assert_false(buf_failed(&body));
    row.body = arena_copy(&t->arena, buf_span(&body));
    return row;
}

err_t
t_note_get(
    struct t_shards *t,
    struct document_store *store,
    uint64_t scope,
    const char *id,
    struct document_row *ret_row)
{
    return store->ops->get(store, &t_note, scope, span_from_cstr(id), &t->arena, ret_row);
}

err_t
t_note_hot(
    struct t_shards *t,
    struct document_store *store,
    uint64_t scope,
    const char *id,
    struct document_row *ret_row)
{
    return document_get_hot(store, &t_note, scope, span_from_cstr(id), &t->arena, ret_row);
}

void
t_body_is(const struct document_row *row, const char *expected)
{
    if (!span_equal_cstr(row->body, expected)) {
        fail_msg("%.*s, expected: %s", SPAN_PRINTF(row->body), expected);
    }
}

void
t_note_add(struct t_shards *t, uint64_t scope, const char *id, const char *description)
{
    struct document_row row = t_note_row(t, scope, id, 7, description, NULL);
    t_begin(t->a);
    assert_int_equal(t->a->ops->insert(t->a, &t_note, &row), ERR_OK);
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
}

bool
t_take_hot(void *context, const struct document_row *row)
{
    uint32_t *count = context;
    bool has = memmem(row->body.data, row->body.size, "cold_at", 7) != NULL ||
               memmem(row->body.data, row->body.size, "description\":\"", 14) != NULL;
    assert_false(has);
    (*count)++;
    return true;
}

int64_t
t_parts(struct t_shards *t)
{
    return t_sql(t, "SELECT count(*) FROM shard_c.note_cold");
}

static void
see_state(void *context, const struct document_shards_state *state)
{
    struct t_looked *looked = context;
    looked->missing += state->missing;
    looked->left += state->left;
    assert_int_equal(state->strangers, 0);
    assert_int_equal(state->is_cold, strcmp(state->name, "c") == 0);
}

struct t_looked
t_look(struct t_shards *t)
{
    struct t_looked looked = {0};
    err_t result = document_shards_look(t->map, t_kinds, T_KINDS, see_state, &looked, t->message);
    if (result != ERR_OK) {
        fail_msg("%s: %s", err_name(result), t->message);
    }
    return looked;
}

uint64_t
t_look_whole(struct t_shards *t)
{
    const struct t_looked looked = t_look(t);
    assert_int_equal(looked.missing, 0);
    return looked.left;
}

uint64_t
t_sweep(struct t_shards *t, int64_t age_s)
{
    struct document_shards_sweep sweep = {
        .path = t->map, .kinds = t_kinds, .kind_count = T_KINDS, .age_s = age_s};
    err_t result = document_shards_sweep(&sweep, t->message);
    if (result != ERR_OK) {
        fail_msg("%s: %s", err_name(result), t->message);
    }
    return sweep.ret_parts;
}

int
t_setup_column(void **state)
{
    int result = t_setup(state);
    t_map(*state, 1, BY_COLUMN);
    return result;
}
