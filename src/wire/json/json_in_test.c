#include "json/json_in.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct t_reading {
    struct arena arena;
    struct json_value *root;
    struct json_problem problem;
    char *copy; /* of exact size: a sanitizer sees a read behind it */
    err_t error;
};

static void
t_read(struct t_reading *t, struct span text)
{
    *t = (struct t_reading){0};
    arena_init(&t->arena, 1 << 20);
    t->copy = malloc(text.size == 0 ? 1 : text.size);
    assert_non_null(t->copy);
    if (text.size > 0) {
        memcpy(t->copy, text.data, text.size);
    }
    t->error = json_read(span_of(t->copy, text.size), &t->arena, 1000, &t->root, &t->problem);
}

static void
t_end(struct t_reading *t)
{
    arena_release(&t->arena);
    free(t->copy);
}

static void
t_tree(void **state)
{
    (void)state;
    struct t_reading t;
    t_read(
        &t,
        SPAN(" {\"events\" : [ {\"amount\":\"12\"}, 7 , -0.5e+3,[],{} ], \"ok\":true,\r\n"
             "\t\"no\":false,\"none\":null,\"\":\"\"} "));
    assert_int_equal(t.error, ERR_OK);
    assert_int_equal(t.root->kind, JSON_KIND_OBJECT);
    assert_int_equal(t.root->child_count, 5);
    const struct json_value *events = json_value_member(t.root, SPAN("events"));
    assert_non_null(events);
    assert_int_equal(events->kind, JSON_KIND_ARRAY);
    assert_int_equal(events->child_count, 5);
    const struct json_value *first = events->first_child;
    const struct json_value *amount = json_value_member(first, SPAN("amount"));
    assert_true(span_equal_cstr(json_value_path(amount, &t.arena), "events[0].amount"));
    assert_int_equal(amount->position, 25);
    u128 number;
    assert_int_equal(json_value_u128(amount, &number), ERR_OK);
    assert_true(number == 12);
    assert_true(span_equal_cstr(json_value_path(first->next, &t.arena), "events[1]"));
    assert_int_equal(first->next->kind, JSON_KIND_INTEGER);
    const struct json_value *decimal = first->next->next;
    assert_int_equal(decimal->kind, JSON_KIND_DECIMAL);
    assert_true(span_equal_cstr(decimal->text, "-0.5e+3"));
    bool boolean = false;
    assert_int_equal(json_value_bool(json_value_member(t.root, SPAN("ok")), &boolean), ERR_OK);
    assert_true(boolean);
    assert_int_equal(json_value_bool(json_value_member(t.root, SPAN("no")), &boolean), ERR_OK);
    assert_false(boolean);
    assert_int_equal(json_value_member(t.root, SPAN("none"))->kind, JSON_KIND_NULL);
    assert_null(json_value_member(t.root, SPAN("absent")));
    assert_null(json_value_member(events, SPAN("absent")));
    assert_null(json_value_member(NULL, SPAN("absent")));
    struct span text;
    assert_int_equal(json_value_text(json_value_member(t.root, SPAN("")), &text), ERR_OK);
    assert_int_equal(text.size, 0);
    assert_int_equal(json_value_path(t.root, &t.arena).size, 0);
    t_end(&t);
}

static void
t_texts(void **state)
{
    (void)state;

    static const struct {
        struct span written;
        struct span read;
    } cases[] = {
        {SPAN("\"\""), SPAN("")},
        {SPAN("\"a\xc3\xa4\x7f\""), SPAN("a\xc3\xa4\x7f")},
        {SPAN("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), SPAN("\"\\/\b\f\n\r\t")},
        {SPAN("\"x\\u0041\\u00e4\\u20AC\\ud83d\\uDE00y\""),
         SPAN("xA\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80y")},
        {SPAN("\"\\u0001\\uffff\\udbff\\udfff\""), SPAN("\x01\xef\xbf\xbf\xf4\x8f\xbf\xbf")},
        {SPAN("\"\\\\\""), SPAN("\\")},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct t_reading t;
        t_read(&t, cases[i].written);
        assert_int_equal(t.error, ERR_OK);
        assert_true(span_equal(t.root->text, cases[i].read));
        t_end(&t);
    }
}

static const struct {
    struct span text;
    size_t position;
    const char *path;
} refused[] = {
    {SPAN(""), 0, ""},
    {SPAN("  "), 2, ""},
    {SPAN("\xef\xbb\xbf{}"), 0, ""}, /* a byte order mark */
    {SPAN("{"), 1, ""},
    {SPAN("["), 1, "[0]"},
    {SPAN("[1"), 2, "[0]"},
    {SPAN("[1,"), 3, "[1]"},
    {SPAN("[1,]"), 3, "[1]"},
    {SPAN("[,1]"), 1, "[0]"},
    {SPAN("[1 2]"), 3, "[0]"},
    {SPAN("[1}"), 2, "[0]"},
    {SPAN("{]"), 1, ""},
    {SPAN("{\"a\"}"), 4, ""},
    {SPAN("{\"a\":}"), 5, "a"},
    {SPAN("{\"a\":1,}"), 7, "a"},
    {SPAN("{a:1}"), 1, ""},
    {SPAN("{'a':1}"), 1, ""},
    {SPAN("{1:1}"), 1, ""},
    {SPAN("{\"a\":1 \"b\":2}"), 7, "a"},
    {SPAN("{\"a\" 1}"), 5, ""},
    {SPAN("{\"a\":1,\"a\":2}"), 10, "a"},
    {SPAN("{\"x\":{\"a\":1,\"\\u0061\":2}}"), 20, "x.a"},
    {SPAN("{} {}"), 3, ""},
    {SPAN("{}x"), 2, ""},
    {SPAN("1\0"), 1, ""},
    {SPAN("[\0]"), 1, "[0]"},
    {SPAN("tru"), 0, ""},
    {SPAN("True"), 0, ""},
    {SPAN("nul"), 0, ""},
    {SPAN("NaN"), 0, ""},
    {SPAN("-Infinity"), 1, ""},
    {SPAN("01"), 1, ""},
    {SPAN("-"), 1, ""},
    {SPAN("+1"), 0, ""},
    {SPAN("1."), 2, ""},
    {SPAN(".5"), 0, ""},
    {SPAN("1e"), 2, ""},
    {SPAN("1e+"), 3, ""},
    {SPAN("0x10"), 1, ""},
    {SPAN("-01"), 2, ""},
    {SPAN("\""), 1, ""},
    {SPAN("\"a"), 2, ""},
    {SPAN("\"a\\\""), 4, ""},
    {SPAN("\"a\\"), 3, ""},
    {SPAN("\"a\nb\""), 2, ""},
    {SPAN("\"a\0b\""), 2, ""},
    {SPAN("\"a\\u0000b\""), 8, ""},
    {SPAN("\"\\x41\""), 3, ""},
    {SPAN("\"\\u12g4\""), 5, ""},
    {SPAN("\"\\u12\""), 5, ""},
    {SPAN("\"\\ud800\""), 7, ""},
    {SPAN("\"\\ud800x\""), 7, ""},
    {SPAN("\"\\ud800\\n\""), 8, ""},
    {SPAN("\"\\ud800\\u0041\""), 13, ""},
    {SPAN("\"\\udc00\\ud800\""), 7, ""},
    {SPAN("\"\xff\""), 1, ""},
    {SPAN("\"\xed\xa0\x80\""), 1, ""},
    {SPAN("// c\n1"), 0, ""},
    {SPAN("[1]/**/"), 3, ""},
};

static void
t_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct t_reading t;
        t_read(&t, refused[i].text);
        if (t.error != ERR_INVALID || t.problem.position != refused[i].position ||
            !span_equal_cstr(t.problem.path, refused[i].path)) {
            print_error(
                "%zu: %.*s: %s at %zu, %.*s\n",
                i,
                SPAN_PRINTF(refused[i].text),
                t.problem.message,
                t.problem.position,
                SPAN_PRINTF(t.problem.path));
        }
        assert_int_equal(t.error, ERR_INVALID);
        assert_true(strlen(t.problem.message) > 10);
        assert_int_equal(t.problem.position, refused[i].position);
        assert_true(span_equal_cstr(t.problem.path, refused[i].path));
        t_end(&t);
    }
}

static void
t_message(void **state)
{
    (void)state;
    struct t_reading t;
    t_read(&t, SPAN("[01]"));
    assert_int_equal(t.error, ERR_INVALID);
    assert_string_equal(t.problem.message, "A number is malformed.");
    t_end(&t);
}

/* Every text that is cut short is refused, not read as something else. */
static void
t_truncated(void **state)
{
    (void)state;
    struct span text =
        SPAN("{\"a\":[1,-2.5e3,\"x\\u00e4\\ud83d\\ude00\",true,null],\"b\":{\"c\":{}}}");
    for (size_t size = 0; size < text.size; size++) {
        struct t_reading t;
        t_read(&t, span_slice(text, 0, size));
        assert_int_equal(t.error, ERR_INVALID);
        t_end(&t);
    }
}

static void
t_numbers(void **state)
{
    (void)state;

    static const struct {
        const char *text;
        err_t i64;
        err_t u64;
        err_t u128;
    } cases[] = {
        {"0", ERR_OK, ERR_OK, ERR_OK},
        {"-0", ERR_OK, ERR_OK, ERR_OK},
        {"9223372036854775807", ERR_OK, ERR_OK, ERR_OK},
        {"9223372036854775808", ERR_RANGE, ERR_OK, ERR_OK},
        {"-9223372036854775808", ERR_OK, ERR_RANGE, ERR_RANGE},
        {"-9223372036854775809", ERR_RANGE, ERR_RANGE, ERR_RANGE},
        {"18446744073709551615", ERR_RANGE, ERR_OK, ERR_OK},
        {"18446744073709551616", ERR_RANGE, ERR_RANGE, ERR_OK},
        {"340282366920938463463374607431768211455", ERR_RANGE, ERR_RANGE, ERR_OK},
        {"340282366920938463463374607431768211456", ERR_RANGE, ERR_RANGE, ERR_RANGE},
        {"1.0", ERR_INVALID, ERR_INVALID, ERR_INVALID},
        {"1e2", ERR_INVALID, ERR_INVALID, ERR_INVALID},
        {"\"12\"", ERR_INVALID, ERR_INVALID, ERR_OK},
        {"\"340282366920938463463374607431768211455\"", ERR_INVALID, ERR_INVALID, ERR_OK},
        {"\"340282366920938463463374607431768211456\"", ERR_INVALID, ERR_INVALID, ERR_RANGE},
        {"\"\"", ERR_INVALID, ERR_INVALID, ERR_INVALID},
        {"\"-1\"", ERR_INVALID, ERR_INVALID, ERR_INVALID},
        {"\" 1\"", ERR_INVALID, ERR_INVALID, ERR_INVALID},
        {"\"1x\"", ERR_INVALID, ERR_INVALID, ERR_INVALID},
        {"true", ERR_INVALID, ERR_INVALID, ERR_INVALID},
        {"null", ERR_INVALID, ERR_INVALID, ERR_INVALID},
        {"{}", ERR_INVALID, ERR_INVALID, ERR_INVALID},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct t_reading t;
        t_read(&t, span_from_cstr(cases[i].text));
        assert_int_equal(t.error, ERR_OK);
        int64_t signed_number = 0;
        uint64_t number = 0;
        u128 large = 0;
        assert_int_equal(json_value_i64(t.root, &signed_number), cases[i].i64);
        assert_int_equal(json_value_u64(t.root, &number), cases[i].u64);
        assert_int_equal(json_value_u128(t.root, &large), cases[i].u128);
        char back[U128_DECIMAL_SIZE];
        if (cases[i].u128 == ERR_OK && t.root->text.data[0] != '-') {
            size_t size = u128_format(large, back);
            assert_true(span_equal(span_of(back, size), t.root->text));
        }
        if (cases[i].i64 == ERR_OK && signed_number != 0) {
            (void)snprintf(back, sizeof(back), "%lld", (long long)signed_number);
            assert_string_equal(back, cases[i].text);
        }
        t_end(&t);
    }
    int64_t number;
    struct span text;
    bool boolean;
    assert_int_equal(json_value_i64(NULL, &number), ERR_INVALID);
    assert_int_equal(json_value_text(NULL, &text), ERR_INVALID);
    assert_int_equal(json_value_bool(NULL, &boolean), ERR_INVALID);
}

static void
t_limits(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1 << 20);
    for (unsigned depth = JSON_IN_DEPTH_MAX; depth <= JSON_IN_DEPTH_MAX + 1; depth++) {
        buf_clear(&text);
        for (unsigned i = 0; i < depth; i++) {
            buf_append_byte(&text, '[');
        }
        for (unsigned i = 0; i < depth; i++) {
            buf_append_byte(&text, ']');
        }
        struct t_reading t;
        t_read(&t, buf_span(&text));
        assert_int_equal(t.error, depth == JSON_IN_DEPTH_MAX ? ERR_OK : ERR_FULL);
        t_end(&t);
    }
    for (unsigned count = JSON_IN_MEMBERS_MAX; count <= JSON_IN_MEMBERS_MAX + 1; count++) {
        buf_clear(&text);
        for (unsigned i = 0; i < count; i++) {
            buf_append_format(&text, "%s\"%u\":0", i == 0 ? "{" : ",", i);
        }
        buf_append_byte(&text, '}');
        struct t_reading t;
        t_read(&t, buf_span(&text));
        assert_int_equal(t.error, count == JSON_IN_MEMBERS_MAX ? ERR_OK : ERR_FULL);
        t_end(&t);
    }
    struct arena arena;
    struct json_value *root;
    struct json_problem problem;
    arena_init(&arena, 1 << 20);
    assert_int_equal(json_read(SPAN("[1,2]"), &arena, 3, &root, &problem), ERR_OK);
    assert_int_equal(json_read(SPAN("[1,2]"), &arena, 2, &root, &problem), ERR_FULL);
    arena_release(&arena);
    for (size_t limit = 0; limit < 900; limit += 16) {
        arena_init(&arena, limit);
        err_t error =
            json_read(SPAN("{\"a\":[1,\"\\n\",{\"\\t\":3}]}"), &arena, 10, &root, &problem);
        assert_true(error == ERR_OK || error == ERR_FULL);
        assert_int_equal(error, limit >= 6 * sizeof(struct json_value) + 32 ? ERR_OK : error);
        arena_release(&arena);
    }
    buf_release(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_tree),
        cmocka_unit_test(t_texts),
        cmocka_unit_test(t_refused),
        cmocka_unit_test(t_message),
        cmocka_unit_test(t_truncated),
        cmocka_unit_test(t_numbers),
        cmocka_unit_test(t_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
