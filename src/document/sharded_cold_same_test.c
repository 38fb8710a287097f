#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Cold members of a kind in a shard of their own: the same as in one store, whatever is done. */
#include "sharded_cold_testing.h"

#include "base/buf.h"
#include "os/prng.h"

#include <stdio.h>
#include <string.h>

#define SCOPES 24
#define IDS    5
#define ROUNDS 150
#define STEPS  20
#define OWNERS 12

static const char *
t_pick(struct os_prng *prng, const char *const *texts, uint32_t count)
{
    return texts[os_prng_below(prng, count)];
}

static struct document_row
t_random_note(struct t_shards *t, struct os_prng *prng, uint64_t scope, const char *id)
{
    static const char *const descriptions[] = {NULL, "", "tea", "tea, {two}", "a \\\"quote\\\""};
    static const char *const metadata[] = {NULL, "null", "{}", "{\"k\":\"v\"}", "{\"due\":9}"};
    int64_t due = os_prng_below(prng, 3) == 0 ? 0 : 1 + (int64_t)os_prng_below(prng, 40);
    return t_note_row(t, scope, id, due, t_pick(prng, descriptions, 5), t_pick(prng, metadata, 5));
}

/* Reads it without the cold members and changes `due` in both; in the shards by a body that has no
 * cold member. */
static void
t_change_hot(
    struct t_shards *t,
    struct document_store *whole,
    const struct document_row *there,
    const char *id,
    int64_t due)
{
    struct document_row hot;
    assert_int_equal(t_note_hot(t, t->a, there->scope, id, &hot), ERR_OK);
    struct document_row next = *there;
    next.columns[NOTE_DUE] = (struct document_value){.is_null = due == 0, .integer = due};
    size_t from = span_find(there->body, ',', 0);
    next.body = arena_format(
        &t->arena,
        "{\"due\":%lld%.*s",
        (long long)due,
        SPAN_PRINTF(span_slice(there->body, from, there->body.size)));
    assert_int_equal(whole->ops->update(whole, &t_note, &next), ERR_OK);
    if (hot.hot_only) {
        assert_true(span_find(hot.body, '{', 1) == hot.body.size); /* no metadata */
        next.body = arena_format(&t->arena, "{\"due\":%lld,\"status\":\"open\"}", (long long)due);
        next.hot_only = true;
    }
    assert_int_equal(t->a->ops->update(t->a, &t_note, &next), ERR_OK);
}

static void
t_random_note_write(
    struct t_shards *t, struct document_store *whole, struct os_prng *prng, uint64_t scope)
{
    char id[16];
    (void)snprintf(id, sizeof(id), "n%u", (uint32_t)os_prng_below(prng, IDS));
    struct document_row there, same;
    struct document_row row = t_random_note(t, prng, scope, id);
    err_t left = t_note_get(t, t->a, scope, id, &there);
    assert_int_equal(left, t_note_get(t, whole, scope, id, &same));
    switch (left == ERR_OK ? os_prng_below(prng, 6) : 6) {
    case 0:
        left = t->a->ops->remove(t->a, &t_note, scope, row.id, there.version);
        assert_int_equal(whole->ops->remove(whole, &t_note, scope, row.id, same.version), left);
        break;
    case 1: /* of a version that is not there */
        row.version = there.version + 1;
        assert_int_equal(t->a->ops->update(t->a, &t_note, &row), ERR_STALE);
        assert_int_equal(whole->ops->update(whole, &t_note, &row), ERR_STALE);
        break;
    case 2:
        t_change_hot(t, whole, &same, id, 1 + (int64_t)os_prng_below(prng, 40));
        break;
    case 3: /* the same texts */
        assert_int_equal(t->a->ops->update(t->a, &t_note, &there), ERR_OK);
        assert_int_equal(whole->ops->update(whole, &t_note, &same), ERR_OK);
        break;
    default:
        row.version = left == ERR_OK ? there.version : 0;
        if (left == ERR_OK) {
            assert_int_equal(t->a->ops->update(t->a, &t_note, &row), ERR_OK);
            assert_int_equal(whole->ops->update(whole, &t_note, &row), ERR_OK);
        } else {
            assert_int_equal(t->a->ops->insert(t->a, &t_note, &row), ERR_OK);
            assert_int_equal(whole->ops->insert(whole, &t_note, &row), ERR_OK);
        }
        break;
    }
}

/* Members in alphabetical order: after a write of hot members only the cold ones come last. */
static bool
take_sorted(void *context, const struct document_row *row)
{
    struct t_listed *listed = context;
    static const char *const names[] = {"\"description\":", "\"due\":", "\"metadata\":"};
    char *text = listed->rows[listed->count++];
    struct buf out;
    buf_init_fixed(&out, text, TEXT_SIZE);
    buf_append_format(
        &out, "%llu/%.*s:%u", (unsigned long long)row->scope, SPAN_PRINTF(row->id), row->version);
    for (size_t i = 0; i < 3; i++) {
        /* Up to the next member of the body: none of them has another's name with its colon, but
         * metadata, which is the last or before none of them. */
        const char *found = memmem(row->body.data, row->body.size, names[i], strlen(names[i]));
        if (found == NULL) {
            continue;
        }
        const char *end = row->body.data + row->body.size;
        size_t size = 0;
        int depth = 0;
        bool quoted = false;
        for (const char *at = found; at < end; at++, size++) {
            quoted = *at == '"' && at[-1] != '\\' ? !quoted : quoted;
            depth += !quoted && *at == '{' ? 1 : 0;
            if (!quoted && depth == 0 && (*at == ',' || *at == '}')) {
                break;
            }
            depth -= !quoted && *at == '}' ? 1 : 0;
        }
        buf_append_byte(&out, ' ');
        buf_append(&out, found, size);
    }
    buf_append_byte(&out, '\0');
    assert_false(buf_failed(&out));
    assert_false(row->hot_only);
    return true;
}

static void
t_compare_random_notes(struct t_shards *t, struct document_store *whole, struct os_prng *prng)
{
    struct document_query query = {
        .scope = os_prng_below(prng, SCOPES),
        .range_column = UINT32_MAX,
        .oldest_first = os_prng_below(prng, 2) == 0,
        .limit = 1 + (uint32_t)os_prng_below(prng, 50)};
    t_compare_lists(t->a, whole, &t_note, &query, take_sorted);
    query.all_scopes = true;
    query.range_column = NOTE_DUE;
    query.range_min = (int64_t)os_prng_below(prng, 20);
    query.range_max = query.range_min + (int64_t)os_prng_below(prng, 40);
    t_compare_lists(t->a, whole, &t_note, &query, take_sorted);
    /* Who needs no cold member asks the shard with them for nothing. */
    uint32_t hot = 0;
    query.hot_only = true;
    assert_int_equal(t->a->ops->list(t->a, &t_note, &query, t_take_hot, &hot), ERR_OK);
}

/* SHARDED-7, 8 */
static void
with_a_column_group_it_is_as_one_store(void **state)
{
    struct t_shards *t = *state;
    char url[512], owners[OWNERS];
    struct os_prng prng;
    os_prng_seed(&prng, 20261129);
    (void)snprintf(url, sizeof(url), "%s&options=-csearch_path%%3Dwhole", t->server);
    t->a = t_open(t, t->url);
    struct document_store *whole = t_open(t, url);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        t_begin(t->a);
        t_begin(whole);
        for (uint32_t i = 0; i < STEPS; i++) {
            uint32_t owner = (uint32_t)os_prng_below(&prng, OWNERS);
            t->a->shared->owner(t->a, &owners[owner]);
            whole->shared->owner(whole, &owners[owner]);
            t_random_note_write(t, whole, &prng, owner * 2 + os_prng_below(&prng, 2));
        }
        t->a->shared->owner(t->a, NULL);
        whole->shared->owner(whole, NULL);
        t_compare_random_notes(t, whole, &prng);
        if (os_prng_below(&prng, 5) == 0) {
            t->a->ops->rollback(t->a);
            whole->ops->rollback(whole);
        } else {
            assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
            assert_int_equal(whole->ops->commit(whole), ERR_OK);
        }
        t_compare_random_notes(t, whole, &prng);
        t->a->ops->maintain(t->a);
        whole->ops->maintain(whole);
        if (round % 30 == 29) {
            (void)t_sweep(t, 0); /* beside one that works */
        }
        arena_clear(&t->arena);
    }
    (void)t_look_whole(t);
    (void)t_sweep(t, 0);
    t_compare_random_notes(t, whole, &prng);
    t_close(&whole);
    /* What is left is what is named, and texts are nowhere else. */
    int64_t named = t_sql(t, "SELECT count(*) FROM shard_a.note WHERE body LIKE '{\"cold_at%'") +
                    t_sql(t, "SELECT count(*) FROM shard_b.note WHERE body LIKE '{\"cold_at%'");
    assert_true(named > 10);
    uint64_t left = t_look_whole(t);
    /* Of removed rows' parts those of this very second are young. */
    assert_int_equal(t_parts(t), named + (int64_t)left);
    assert_int_equal(t_sql(t, "SELECT count(*) FROM shard_a.note WHERE body LIKE '%tea%'"), 0);
    assert_int_equal(t_sql(t, "SELECT count(*) FROM shard_b.note WHERE body LIKE '%tea%'"), 0);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup_column, t_teardown)
    const struct CMUnitTest tests[] = {
        T(with_a_column_group_it_is_as_one_store),
    };
    return cmocka_run_group_tests_name("column groups beside one store", tests, NULL, NULL);
}
