#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* One body in two parts (cold.h). */
#include "cold.h"

#include "base/buf.h"
#include "os/prng.h"

#include <string.h>

static const struct document_kind note = {
    .name = "note", .cold = {"description", "metadata", "shipping"}, .cold_count = 3};

struct t_cold {
    struct arena arena;
};

static int
t_setup(void **state)
{
    static struct t_cold t;
    arena_init(&t.arena, 1 << 24);
    *state = &t;
    return 0;
}

static int
t_teardown(void **state)
{
    struct t_cold *t = *state;
    arena_release(&t->arena);
    return 0;
}

static void
t_is(struct span text, const char *expected)
{
    if (!span_equal_cstr(text, expected)) {
        fail_msg("%.*s, expected: %s", SPAN_PRINTF(text), expected);
    }
}

static void
parts_are_as_drawn(void **state)
{
    struct t_cold *t = *state;
    struct span hot, cold, name, body;
    const struct span whole = SPAN("{\"amount\":5,\"description\":\"a \\\"b}\",\"metadata\":"
                                   "{\"k\":[1,\"]\"]},\"status\":\"paid\"}");
    assert_int_equal(document_cold_split(&note, whole, &t->arena, &hot, &cold), ERR_OK);
    t_is(hot, "{\"amount\":5,\"description\":null,\"metadata\":null,\"status\":\"paid\"}");
    t_is(cold, "{\"description\":\"a \\\"b}\",\"metadata\":{\"k\":[1,\"]\"]}}");
    assert_false(document_cold_name(hot, &name));
    assert_int_equal(document_cold_put_name(hot, SPAN("1-2-ab"), &t->arena, &hot), ERR_OK);
    assert_true(document_cold_name(hot, &name));
    t_is(name, "1-2-ab");
    assert_int_equal(document_cold_join(&note, hot, cold, &t->arena, &body), ERR_OK);
    assert_true(span_equal(body, whole));
    assert_int_equal(document_cold_strip(&note, hot, &t->arena, &body), ERR_OK);
    t_is(body, "{\"amount\":5,\"status\":\"paid\"}");
    /* Written again by who knows hot members only. */
    assert_int_equal(
        document_cold_keep(&note, SPAN("{\"amount\":6}"), hot, &t->arena, &body), ERR_OK);
    t_is(body, "{\"cold_at\":\"1-2-ab\",\"amount\":6,\"description\":null,\"metadata\":null}");
    assert_int_equal(document_cold_join(&note, body, cold, &t->arena, &body), ERR_OK);
    t_is(body, "{\"amount\":6,\"description\":\"a \\\"b}\",\"metadata\":{\"k\":[1,\"]\"]}}");
}

static void
without_cold_members_there_is_one_part(void **state)
{
    struct t_cold *t = *state;
    static const char *const bodies[] = {
        "{}", "{\"amount\":5}", "{\"description\":null}", "{\"x\":{\"description\":\"hot\"}}"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct span hot, cold;
        struct span body = span_from_cstr(bodies[i]);
        assert_int_equal(document_cold_split(&note, body, &t->arena, &hot, &cold), ERR_OK);
        assert_int_equal(cold.size, 0);
        assert_true(span_equal(hot, body));
    }
}

static void
what_cannot_be_is_refused(void **state)
{
    struct t_cold *t = *state;
    struct span hot, cold;
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1",
        "{\"a\":\"b}",
        "{\"a\":\"b\\",
        "{\"a\":[1}",
        "{\"a\":1}x",
        "{\"a\":1,}",
        "{\"a\":1\"b\":2}"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct span body = span_from_cstr(bodies[i]);
        err_t result = document_cold_split(&note, body, &t->arena, &hot, &cold);
        if (result != ERR_CORRUPT) {
            fail_msg("%s: %s", bodies[i], err_name(result));
        }
    }
    assert_int_equal(
        document_cold_split(&note, SPAN("{\"cold_at\":\"x\"}"), &t->arena, &hot, &cold),
        ERR_INVALID);
    assert_int_equal(
        document_cold_keep(
            &note, SPAN("{\"description\":\"x\"}"), SPAN("{\"amount\":1}"), &t->arena, &hot),
        ERR_INVALID);
}

/* ---------------------------------------------------------------------------------- COLD-1, 2 */

static void
t_random_value(struct os_prng *prng, struct buf *out)
{
    static const char *const values[] = {
        "0",
        "-12.5e3",
        "true",
        "null",
        "\"\"",
        "\"tea, for {two}\"",
        "\"\\\\\"",
        "\"\\\"}\\\\\\\"\"",
        "[]",
        "{}",
        "[[\"]\"],{\"description\":\"x\"}]",
        "{\"cold_at\":\"y\",\"metadata\":{\"a\":null}}"};
    buf_append_cstr(out, values[os_prng_below(prng, sizeof(values) / sizeof(values[0]))]);
}

static const char *const t_names[] = {
    "amount", "description", "status", "metadata", "shippin", "shipping", "", "descriptions"};

#define T_NAMES (sizeof(t_names) / sizeof(t_names[0]))

/* Of random members in random order, each once; `only_hot`: what is left without the cold ones. */
static void
t_random_body(struct os_prng *prng, struct buf *whole, struct buf *only_hot)
{
    size_t from = os_prng_below(prng, T_NAMES);
    for (size_t i = 0; i < T_NAMES; i++) {
        size_t at = (from + 3 * i) % T_NAMES;
        char memory[256];
        struct buf member;
        if (os_prng_below(prng, 3) == 0) {
            continue;
        }
        buf_init_fixed(&member, memory, sizeof(memory));
        buf_append_format(&member, "\"%s\":", t_names[at]);
        t_random_value(prng, &member);
        buf_append_byte(whole, whole->size == 0 ? '{' : ',');
        buf_append_span(whole, buf_span(&member));
        bool cold = strcmp(t_names[at], "description") == 0 ||
                    strcmp(t_names[at], "metadata") == 0 || strcmp(t_names[at], "shipping") == 0;
        if (!cold) {
            buf_append_byte(only_hot, only_hot->size == 0 ? '{' : ',');
            buf_append_span(only_hot, buf_span(&member));
        }
    }
    buf_append_cstr(whole, whole->size == 0 ? "{}" : "}");
    buf_append_cstr(only_hot, only_hot->size == 0 ? "{}" : "}");
    assert_false(buf_failed(whole) || buf_failed(only_hot));
}

static void
parts_joined_are_the_whole(void **state)
{
    struct t_cold *t = *state;
    struct os_prng prng;
    uint32_t parted = 0;
    os_prng_seed(&prng, 20261129);
    for (uint32_t round = 0; round < 20000; round++) {
        char memory[2][1024];
        struct buf whole, only_hot;
        struct span hot, cold, body;
        buf_init_fixed(&whole, memory[0], sizeof(memory[0]));
        buf_init_fixed(&only_hot, memory[1], sizeof(memory[1]));
        t_random_body(&prng, &whole, &only_hot);
        assert_int_equal(
            document_cold_split(&note, buf_span(&whole), &t->arena, &hot, &cold), ERR_OK);
        if (cold.size > 0) {
            parted++;
            assert_int_equal(document_cold_put_name(hot, SPAN("n"), &t->arena, &hot), ERR_OK);
            assert_int_equal(document_cold_join(&note, hot, cold, &t->arena, &body), ERR_OK);
            assert_true(span_equal(body, buf_span(&whole)));
        }
        assert_int_equal(document_cold_strip(&note, hot, &t->arena, &body), ERR_OK);
        assert_true(span_equal(body, buf_span(&only_hot)));
        /* What was read stripped and is written as it was still has its cold part. */
        assert_int_equal(document_cold_keep(&note, body, hot, &t->arena, &hot), ERR_OK);
        if (cold.size > 0) {
            assert_int_equal(document_cold_join(&note, hot, cold, &t->arena, &body), ERR_OK);
            assert_int_equal(body.size, whole.size);
        } else {
            assert_int_equal(hot.size, whole.size);
        }
        arena_clear(&t->arena);
    }
    assert_true(parted > 10000);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(parts_are_as_drawn),
        T(without_cold_members_there_is_one_part),
        T(what_cannot_be_is_refused),
        T(parts_joined_are_the_whole),
    };
    return cmocka_run_group_tests_name("cold parts", tests, NULL, NULL);
}
