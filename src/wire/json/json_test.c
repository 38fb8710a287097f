#include "json/json.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void
t_is(struct buf *out, const char *expected)
{
    assert_false(buf_failed(out));
    assert_int_equal(out->size, strlen(expected));
    assert_memory_equal(out->data, expected, out->size);
    buf_clear(out);
}

static void
t_object(void **state)
{
    (void)state;
    struct buf out;
    struct json_writer json;
    buf_init(&out, 4096);
    json_begin(&json, &out);
    assert_false(json_is_complete(&json));
    json_object_begin(&json);
    json_member_text(&json, "id", SPAN("pi_1"));
    json_member_i64(&json, "amount", -12);
    json_key(&json, "list");
    json_array_begin(&json);
    json_u64(&json, UINT64_MAX);
    json_i64(&json, INT64_MIN);
    json_u128_text(&json, U128_MAX);
    json_object_begin(&json);
    json_object_end(&json);
    json_array_begin(&json);
    json_array_end(&json);
    json_array_end(&json);
    json_member_bool(&json, "a", true);
    json_member_bool(&json, "b", false);
    json_member_null(&json, "c");
    json_member_text_or_null(&json, "d", SPAN_EMPTY);
    json_member_text_or_null(&json, "e", SPAN("x"));
    json_member_cstr(&json, "f", "y");
    json_member_raw(&json, "g", SPAN("{\"h\":1}"));
    json_member_raw(&json, "i", SPAN_EMPTY);
    json_key_span(&json, SPAN("k\"1"));
    json_text(&json, SPAN_EMPTY);
    assert_false(json_is_complete(&json));
    json_object_end(&json);
    assert_true(json_is_complete(&json));
    t_is(
        &out,
        "{\"id\":\"pi_1\",\"amount\":-12,\"list\":[18446744073709551615,-9223372036854775808,"
        "\"340282366920938463463374607431768211455\",{},[]],\"a\":true,\"b\":false,\"c\":null,"
        "\"d\":null,\"e\":\"x\",\"f\":\"y\",\"g\":{\"h\":1},\"i\":null,\"k\\\"1\":\"\"}");
    json_begin(&json, &out);
    json_i64(&json, 0);
    assert_true(json_is_complete(&json));
    t_is(&out, "0");
    buf_release(&out);
}

/* Around each number of digits, odd and even. */
static void
t_decimals(void **state)
{
    (void)state;
    struct buf out;
    struct json_writer json;
    buf_init(&out, 4096);
    uint64_t power = 1;
    for (int digits = 1; digits <= 19; digits++, power *= 10) {
        const uint64_t values[] = {power - 1, power, power + 1, power * 9, power / 3 * 7};
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
            char expected[32];
            json_begin(&json, &out);
            json_u64(&json, values[i]);
            (void)snprintf(expected, sizeof(expected), "%" PRIu64, values[i]);
            t_is(&out, expected);
            json_begin(&json, &out);
            json_i64(&json, -(int64_t)(values[i] / 2));
            (void)snprintf(expected, sizeof(expected), "%" PRId64, -(int64_t)(values[i] / 2));
            t_is(&out, expected);
        }
    }
    buf_release(&out);
}

static void
t_escape(struct span text, const char *expected)
{
    struct buf out;
    struct json_writer json;
    buf_init(&out, 4096);
    json_begin(&json, &out);
    json_text(&json, text);
    t_is(&out, expected);
    buf_release(&out);
}

static void
t_escapes(void **state)
{
    (void)state;
    t_escape(SPAN("plain"), "\"plain\"");
    t_escape(SPAN("a\"b\\c/d"), "\"a\\\"b\\\\c/d\"");
    t_escape(SPAN("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\"");
    t_escape(SPAN("a\0b\x01\x1f\x7f"), "\"a\\u0000b\\u0001\\u001f\x7f\"");
    t_escape(
        SPAN("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
    t_escape(
        SPAN("\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80"),
        "\"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80\"");
#define R "\xef\xbf\xbd"
    t_escape(
        SPAN("a\xff"
             "b"),
        "\"a" R "b\"");
    t_escape(SPAN("\xc3"), "\"" R "\"");
    t_escape(SPAN("\xc0\x80"), "\"" R R "\"");       /* overlong */
    t_escape(SPAN("\xe0\x9f\xbf"), "\"" R R R "\""); /* overlong */
    t_escape(SPAN("\xf0\x8f\xbf\xbf"), "\"" R R R R "\"");
    t_escape(SPAN("\xed\xa0\x80"), "\"" R R R "\""); /* surrogate */
    t_escape(SPAN("\xf4\x90\x80\x80"), "\"" R R R R "\"");
    t_escape(SPAN("\xf5\x80\x80\x80"), "\"" R R R R "\"");
    t_escape(SPAN("\xe2\x82\"\xe2\x82"), "\"" R R "\\\"" R R "\"");
#undef R
}

/* Each byte at each place of a word: the fast path and the slow one agree. */
static void
t_every_byte(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 0x80; byte++) {
        for (size_t place = 0; place < 20; place++) {
            char text[20];
            memset(text, 'x', sizeof(text));
            text[place] = (char)byte;
            struct buf out;
            struct json_writer json;
            buf_init(&out, 64);
            json_begin(&json, &out);
            json_text(&json, span_of(text, sizeof(text)));
            bool plain = byte >= 0x20 && byte != '"' && byte != '\\';
            bool is_short = byte == '"' || byte == '\\' ||
                            (byte != 0 && strchr("\b\t\n\f\r", (int)byte) != NULL);
            size_t size = plain ? 1 : is_short ? 2 : 6;
            assert_int_equal(out.size, 2 + 19 + size);
            assert_int_equal(out.data[1 + place], plain ? (char)byte : '\\');
            assert_int_equal(out.data[1 + place + size], place == 19 ? '"' : 'x');
            buf_release(&out);
        }
    }
}

/* At every limit the buffer fails whole and never writes behind it. */
static void
t_full_buffer(void **state)
{
    (void)state;
    for (size_t limit = 0; limit < 30; limit++) {
        char *memory = malloc(limit + 1);
        assert_non_null(memory);
        struct buf out;
        struct json_writer json;
        buf_init_fixed(&out, memory, limit);
        json_begin(&json, &out);
        json_object_begin(&json);
        json_member_text(&json, "a", SPAN("b\n\xff"));
        json_member_i64(&json, "c", 1234567);
        json_object_end(&json);
        assert_true(json_is_complete(&json));
        assert_int_equal(buf_failed(&out), limit < 26); /* {"a":"b\n---","c":1234567} */
        assert_true(out.size <= limit);
        free(memory);
    }
}

enum misuse {
    MISUSE_TWO_VALUES,
    MISUSE_VALUE_WITHOUT_KEY,
    MISUSE_KEY_IN_ARRAY,
    MISUSE_KEY_AT_TOP,
    MISUSE_TWO_KEYS,
    MISUSE_KEY_WITHOUT_VALUE,
    MISUSE_WRONG_END,
    MISUSE_END_AT_TOP,
    MISUSE_DEPTH,
    MISUSE_EMPTY_RAW,
    MISUSE_COUNT,
};

static void
t_misuse_do(unsigned misuse)
{
    struct buf out;
    struct json_writer json;
    buf_init(&out, 4096);
    json_begin(&json, &out);
    switch ((enum misuse)misuse) {
    case MISUSE_TWO_VALUES:
        json_null(&json);
        json_null(&json);
        return;
    case MISUSE_VALUE_WITHOUT_KEY:
        json_object_begin(&json);
        json_null(&json);
        return;
    case MISUSE_KEY_IN_ARRAY:
        json_array_begin(&json);
        json_key(&json, "a");
        return;
    case MISUSE_KEY_AT_TOP:
        json_key(&json, "a");
        return;
    case MISUSE_TWO_KEYS:
        json_object_begin(&json);
        json_key(&json, "a");
        json_key(&json, "b");
        return;
    case MISUSE_KEY_WITHOUT_VALUE:
        json_object_begin(&json);
        json_key(&json, "a");
        json_object_end(&json);
        return;
    case MISUSE_WRONG_END:
        json_array_begin(&json);
        json_object_end(&json);
        return;
    case MISUSE_END_AT_TOP:
        json_array_end(&json);
        return;
    case MISUSE_DEPTH:
        for (unsigned i = 0; i <= JSON_DEPTH_MAX; i++) {
            json_array_begin(&json);
        }
        return;
    case MISUSE_EMPTY_RAW:
        json_raw(&json, SPAN_EMPTY);
        return;
    case MISUSE_COUNT:
        return;
    }
}

/* JSON-1: what would not be JSON stops the process. */
static void
t_misuse(void **state)
{
    (void)state;
    for (unsigned misuse = 0; misuse <= MISUSE_COUNT; misuse++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(STDERR_FILENO);
            t_misuse_do(misuse);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(WIFEXITED(status), misuse == MISUSE_COUNT);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_object),
        cmocka_unit_test(t_decimals),
        cmocka_unit_test(t_escapes),
        cmocka_unit_test(t_every_byte),
        cmocka_unit_test(t_full_buffer),
        cmocka_unit_test(t_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
