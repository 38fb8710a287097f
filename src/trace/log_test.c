#include "trace/log.h"

#include "os/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define T_WALL_NS UINT64_C(1767323045678901234) /* 2026-01-02T03:04:05.678Z */

static uint64_t
t_wall(struct os_clock *clock)
{
    (void)clock;
    return T_WALL_NS;
}

static struct os_clock t_clock = {.wall_ns = t_wall, .monotonic_ns = t_wall};

static const struct span t_no_trace = SPAN_EMPTY;

/* Formats and parses one entry; strict: no duplicate keys, no bytes behind the object. */
static json_t *
t_parse(const struct trace_entry *entry)
{
    char line[TRACE_LINE_MAX];
    size_t size = trace_line_format(entry, T_WALL_NS, line);
    assert_in_range(size, 2, TRACE_LINE_MAX);
    assert_int_equal(line[size - 1], '\n');
    assert_null(memchr(line, '\n', size - 1));
    assert_true(span_is_utf8(span_of(line, size)));
    json_error_t error;
    json_t *json = json_loadb(line, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    assert_non_null(json);
    return json;
}

static const char *
t_string(json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    assert_non_null(text);
    return text;
}

static json_t *
t_one_field(struct trace_field field)
{
    return t_parse(&(struct trace_entry){
        .level = TRACE_INFO,
        .component = "test",
        .message = SPAN("message"),
        .fields = &field,
        .field_count = 1,
    });
}

static void
t_expect_text(struct span text, const char *expected)
{
    json_t *json = t_one_field(trace_text("value", text));
    assert_string_equal(t_string(json, "value"), expected);
    json_decref(json);
}

static void
t_exact_line(void **state)
{
    (void)state;
    const struct trace_field fields[] = {
        trace_text("shard", SPAN("a\"b")),
        {.key = NULL},
        trace_i64("low", INT64_MIN),
        trace_u64("high", UINT64_MAX),
        trace_boolean("ready", true),
    };
    const struct trace_entry entry = {
        .level = TRACE_WARNING,
        .component = "ledger",
        .trace_id = SPAN("4bf92f"),
        .message = SPAN("slow\n"),
        .fields = fields,
        .field_count = 5,
    };
    char line[TRACE_LINE_MAX];
    size_t size = trace_line_format(&entry, T_WALL_NS, line);
    assert_true(span_equal_cstr(
        span_of(line, size),
        "{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"warning\",\"component\":\"ledger\","
        "\"trace\":\"4bf92f\",\"message\":\"slow\\n\",\"shard\":\"a\\\"b\","
        "\"low\":-9223372036854775808,\"high\":18446744073709551615,\"ready\":true}\n"));
}

static void
t_times(void **state)
{
    (void)state;

    const struct {
        uint64_t seconds;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.007Z"},
        {951782399, "2000-02-28T23:59:59.007Z"},
        {951782400, "2000-02-29T00:00:00.007Z"},
        {951868800, "2000-03-01T00:00:00.007Z"},
        {1709164800, "2024-02-29T00:00:00.007Z"},
        {1735689599, "2024-12-31T23:59:59.007Z"},
        {4107542400, "2100-03-01T00:00:00.007Z"},
        {4107456000, "2100-02-28T00:00:00.007Z"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[TRACE_TIME_SIZE];
        trace_time_format(cases[i].seconds * OS_NS_PER_S + 7999999, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void
t_nasty_bytes(void **state)
{
    (void)state;
    t_expect_text(SPAN("\"\\/\b\f\n\r\t\x1f\x7f"), "\"\\/\b\f\n\r\t\x1f\x7f");
    t_expect_text(
        SPAN("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    t_expect_text(
        SPAN("a\xff\xc3(\xed\xa0\x80z\xe2\x82"),
        "a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd"
        "\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd"
        "\xef\xbf\xbd");
    t_expect_text(
        SPAN("\xc3"
             "1\xa9"),
        "\xef\xbf\xbd"
        "1\xef\xbf\xbd");
    json_t *json = t_one_field(trace_text("value", SPAN("a\0b")));
    assert_int_equal(json_string_length(json_object_get(json, "value")), 3);
    json_decref(json);
    for (int byte = 0; byte < 256; byte++) {
        char text[] = {(char)byte, 'x', (char)byte};
        char key[] = {'k', (char)byte, '\0'};
        json_decref(t_one_field(trace_text(key, span_of(text, 3))));
        json_decref(t_parse(&(struct trace_entry){
            .level = TRACE_ERROR,
            .component = key,
            .trace_id = span_of(text, 3),
            .message = span_of(text, 3),
        }));
    }
}

static void
t_card_numbers_are_masked_everywhere(void **state)
{
    (void)state;
    const struct trace_field fields[] = {
        trace_text("text", SPAN("pay 4242 4242 4242 4242 now")),
        trace_u64("unsigned", UINT64_C(4242424242424242)),
        trace_i64("signed", INT64_C(-5555555555554444)),
        trace_u64("harmless", UINT64_C(4242424242424241)),
        trace_text("4000056655665556", SPAN("in a name")),
        trace_text("half", SPAN("42424242")),
        trace_text("other_half", SPAN("42424242")),
    };
    const struct trace_entry entry = {
        .level = TRACE_INFO,
        .component = "378282246310005",
        .trace_id = SPAN("t-6011111111111117"),
        .message = SPAN("declined: 5200828282828210"),
        .fields = fields,
        .field_count = sizeof(fields) / sizeof(fields[0]),
    };
    json_t *json = t_parse(&entry);
    assert_string_equal(t_string(json, "component"), "378282*****0005");
    assert_string_equal(t_string(json, "trace"), "t-601111******1117");
    assert_string_equal(t_string(json, "message"), "declined: 520082******8210");
    assert_string_equal(t_string(json, "text"), "pay 424242******4242 now");
    assert_string_equal(t_string(json, "unsigned"), "424242******4242");
    assert_string_equal(t_string(json, "signed"), "-555555******4444");
    assert_int_equal(json_integer_value(json_object_get(json, "harmless")), 4242424242424241);
    assert_string_equal(t_string(json, "400005******5556"), "in a name");
    assert_string_equal(t_string(json, "half"), "42424242");
    assert_string_equal(t_string(json, "other_half"), "42424242");
    json_decref(json);
}

static void
t_trace_ids_stay_whole(void **state)
{
    (void)state;
    /* Each with a row of 13 or 16 digits that passes Luhn's check. */
    static const char *const ids[] = {
        "7059049985038c178c116dda57333226",
        "4bf92f3577b34daf4242424242424242",
    };
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        const struct trace_entry entry = {
            .level = TRACE_INFO,
            .component = "test",
            .trace_id = span_from_cstr(ids[i]),
            .message = SPAN("m"),
        };
        json_t *json = t_parse(&entry);
        assert_string_equal(t_string(json, "trace"), ids[i]);
        json_decref(json);
    }
}

static void
t_secret_fields_are_masked(void **state)
{
    (void)state;
    const struct trace_field fields[] = {
        trace_text("cvc", SPAN("123")),
        trace_u64("card[number]", 7),
        trace_text("client_secret", SPAN("pi_x_secret_y")),
        trace_cstr("Authorization", "Bearer abc"),
        trace_boolean("api_key", true),
        trace_text("shard", SPAN("123")),
    };
    const struct trace_entry entry = {
        .level = TRACE_INFO,
        .component = "test",
        .message = SPAN("m"),
        .fields = fields,
        .field_count = sizeof(fields) / sizeof(fields[0]),
    };
    json_t *json = t_parse(&entry);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(t_string(json, fields[i].key), "[masked]");
    }
    assert_string_equal(t_string(json, "shard"), "123");
    json_decref(json);
}

/* Every size around the limit, with units of several bytes, so that each way to run full occurs. */
static void
t_long_lines_are_cut(void **state)
{
    (void)state;
    static char text[3 * TRACE_LINE_MAX];
    const char *const units[] = {"x", "\n", "\x01", "\xe2\x82\xac", "\xff", "\""};
    for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
        size_t unit_size = strlen(units[u]);
        for (size_t i = 0; i < sizeof(text); i++) {
            text[i] = units[u][i % unit_size];
        }
        size_t cut = 0;
        for (size_t size = 1200; size<8300; size += size> 7900 ? 1 : 97) {
            const struct trace_field fields[] = {
                trace_text("value", span_of(text, size / unit_size * unit_size)),
                trace_u64("after", 12345678),
                trace_text("last", SPAN("end")),
            };
            json_t *json = t_parse(&(struct trace_entry){
                .level = TRACE_INFO,
                .component = "test",
                .message = SPAN("message"),
                .fields = fields,
                .field_count = 3,
            });
            bool truncated = json_is_true(json_object_get(json, "truncated"));
            assert_int_equal(
                truncated,
                json_object_get(json, "last") == NULL ||
                    strcmp(t_string(json, "last"), "end") != 0);
            cut += truncated;
            json_decref(json);
        }
        assert_true(cut > 0);
    }
    json_t *json = t_parse(&(struct trace_entry){
        .level = TRACE_INFO,
        .component = "test",
        .message = span_of(text, sizeof(text)),
    });
    assert_true(json_is_true(json_object_get(json, "truncated")));
    json_decref(json);
}

/* The number begins within the line and ends behind what fits: its start must not be shown. */
static void
t_a_cut_does_not_uncover_a_card_number(void **state)
{
    (void)state;
    static char text[TRACE_LINE_MAX + 100];
    for (size_t at = TRACE_LINE_MAX - 200; at < TRACE_LINE_MAX; at++) {
        memset(text, 'x', sizeof(text));
        memcpy(text + at, "4000056655665556", 16);
        const struct trace_entry entry = {
            .level = TRACE_INFO, .component = "t", .message = span_of(text, sizeof(text))};
        char line[TRACE_LINE_MAX];
        size_t size = trace_line_format(&entry, 0, line);
        assert_null(memmem(line, size, "4000056", 7));
    }
}

static void
t_levels(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct trace_log log;
    trace_log_init(&log, ends[1], &t_clock);
    assert_false(trace_log_enabled(&log, TRACE_DEBUG));
    assert_true(trace_log_enabled(&log, TRACE_INFO));
    int evaluated = 0;
    TRACE_LOG(&log, TRACE_DEBUG, "t", t_no_trace, "hidden", trace_i64("n", ++evaluated));
    assert_int_equal(evaluated, 0);
    trace_log_set_level(&log, TRACE_DEBUG);
    TRACE_LOG(&log, TRACE_DEBUG, "t", t_no_trace, "shown", trace_i64("n", ++evaluated));
    assert_int_equal(evaluated, 1);
    TRACE_LOG(&log, TRACE_DEBUG, "t", SPAN("id"), "no fields");
    trace_log_set_level(&log, TRACE_ERROR);
    TRACE_LOG(&log, TRACE_WARNING, "t", t_no_trace, "hidden");
    trace_log_write(
        &log,
        &(struct trace_entry){.level = TRACE_INFO, .component = "t", .message = SPAN("hidden")});
    assert_int_equal(trace_log_dropped(&log), 0);
    trace_log_release(&log);
    close(ends[1]);
    char text[1000];
    ssize_t size = read(ends[0], text, sizeof(text));
    assert_true(size > 0);
    assert_true(span_equal_cstr(
        span_of(text, (size_t)size),
        "{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"debug\",\"component\":\"t\","
        "\"message\":\"shown\",\"n\":1}\n"
        "{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"debug\",\"component\":\"t\","
        "\"trace\":\"id\",\"message\":\"no fields\"}\n"));
    close(ends[0]);
    enum trace_level level = TRACE_DEBUG;
    assert_true(trace_level_parse(SPAN("warning"), &level));
    assert_int_equal(level, TRACE_WARNING);
    assert_false(trace_level_parse(SPAN("loud"), &level));
    assert_int_equal(level, TRACE_WARNING);
}

/* A pipe that is full refuses; what comes after it was emptied is whole lines again. */
static void
t_lines_that_cannot_be_written(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 4096);
    struct trace_log log;
    trace_log_init(&log, ends[1], &t_clock);
    char text[6000];
    memset(text, 'x', sizeof(text));
    errno = 1234;
    /* Larger than the pipe: a part is written, the rest is refused. */
    TRACE_LOG(
        &log,
        TRACE_INFO,
        "t",
        t_no_trace,
        "torn",
        trace_text("value", span_of(text, sizeof(text))));
    assert_int_equal(errno, 1234);
    assert_int_equal(trace_log_dropped(&log), 1);
    TRACE_LOG(&log, TRACE_INFO, "t", t_no_trace, "refused");
    assert_int_equal(trace_log_dropped(&log), 2);
    char drain[8192];
    assert_int_equal(read(ends[0], drain, sizeof(drain)), 4096);
    TRACE_LOG(&log, TRACE_INFO, "t", t_no_trace, "first");
    TRACE_LOG(&log, TRACE_INFO, "t", t_no_trace, "second");
    assert_int_equal(trace_log_dropped(&log), 2);
    ssize_t size = read(ends[0], drain, sizeof(drain));
    assert_true(size > 0);
    struct span rest = span_of(drain, (size_t)size);
    assert_int_equal(span_cut(&rest, '\n').size, 0);
    for (int i = 0; i < 2; i++) {
        struct span line = span_cut(&rest, '\n');
        json_t *json = json_loadb(line.data, line.size, 0, NULL);
        assert_non_null(json);
        assert_string_equal(t_string(json, "message"), i == 0 ? "first" : "second");
        json_decref(json);
    }
    assert_int_equal(rest.size, 0);
    trace_log_release(&log);
    close(ends[0]);
    close(ends[1]);
}

#define T_THREADS 4
#define T_LINES   200

static struct trace_log t_shared;

static void *
t_chatter(void *argument)
{
    uint64_t thread = *(uint64_t *)argument;
    for (uint64_t i = 0; i < T_LINES; i++) {
        TRACE_LOG(
            &t_shared,
            TRACE_INFO,
            "t",
            t_no_trace,
            "line",
            trace_u64("thread", thread),
            trace_u64("i", i),
            trace_cstr("fill", "................................"));
        trace_log_set_level(&t_shared, i % 2 == 0 ? TRACE_DEBUG : TRACE_INFO);
    }
    return NULL;
}

static void
t_threads_do_not_mix_lines(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    trace_log_init(&t_shared, fileno(file), &t_clock);
    pthread_t threads[T_THREADS];
    uint64_t numbers[T_THREADS];
    for (uint64_t i = 0; i < T_THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, t_chatter, &numbers[i]), 0);
    }
    for (size_t i = 0; i < T_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    trace_log_release(&t_shared);
    rewind(file);
    char line[TRACE_LINE_MAX];
    json_int_t next[T_THREADS] = {0};
    while (fgets(line, sizeof(line), file) != NULL) {
        json_t *json = json_loads(line, 0, NULL);
        assert_non_null(json);
        json_int_t thread = json_integer_value(json_object_get(json, "thread"));
        assert_in_range(thread, 0, T_THREADS - 1);
        assert_int_equal(json_integer_value(json_object_get(json, "i")), next[thread]++);
        json_decref(json);
    }
    for (size_t i = 0; i < T_THREADS; i++) {
        assert_int_equal(next[i], T_LINES);
    }
    (void)fclose(file);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_exact_line),
        cmocka_unit_test(t_times),
        cmocka_unit_test(t_nasty_bytes),
        cmocka_unit_test(t_card_numbers_are_masked_everywhere),
        cmocka_unit_test(t_trace_ids_stay_whole),
        cmocka_unit_test(t_secret_fields_are_masked),
        cmocka_unit_test(t_long_lines_are_cut),
        cmocka_unit_test(t_a_cut_does_not_uncover_a_card_number),
        cmocka_unit_test(t_levels),
        cmocka_unit_test(t_lines_that_cannot_be_written),
        cmocka_unit_test(t_threads_do_not_mix_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
