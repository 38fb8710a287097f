#include "base/settings.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct t_values {
    int64_t connections;
    int64_t offset;
    int64_t timeout_ms;
    int64_t cache_bytes;
    char folder[16];
    char key[33];
    bool verbose;
};

static const struct setting t_table[] = {
    {
        .name = "max-connections",
        .kind = SETTING_INTEGER,
        .offset = offsetof(struct t_values, connections),
        .fallback = "1000",
        .minimum = 1,
        .maximum = 65535,
        .unit = "connections",
        .help = "How many clients may be connected at once.",
    },
    {
        .name = "offset",
        .kind = SETTING_INTEGER,
        .offset = offsetof(struct t_values, offset),
        .fallback = "-5",
        .minimum = INT64_MIN,
        .maximum = INT64_MAX,
        .help = "Any number.",
    },
    {
        .name = "timeout",
        .kind = SETTING_DURATION,
        .offset = offsetof(struct t_values, timeout_ms),
        .fallback = "5s",
        .minimum = 0,
        .maximum = 3600000,
        .help = "How long a request may take.",
        .variable = "OTHER_TIMEOUT",
    },
    {
        .name = "cache",
        .kind = SETTING_SIZE,
        .offset = offsetof(struct t_values, cache_bytes),
        .fallback = "16m",
        .minimum = 4096,
        .maximum = INT64_C(8) << 30,
        .help = "Memory for the cache.",
    },
    {
        .name = "folder",
        .kind = SETTING_TEXT,
        .offset = offsetof(struct t_values, folder),
        .fallback = "",
        .maximum = sizeof(((struct t_values *)NULL)->folder),
        .help = "Where the data is.",
    },
    {
        .name = "key",
        .kind = SETTING_TEXT,
        .offset = offsetof(struct t_values, key),
        .fallback = "not-a-real-key",
        .minimum = 8,
        .maximum = sizeof(((struct t_values *)NULL)->key),
        .help = "What seals the vault.",
        .secret = true,
    },
    {
        .name = "verbose",
        .kind = SETTING_BOOLEAN,
        .offset = offsetof(struct t_values, verbose),
        .fallback = "false",
        .help = "Log more.",
    },
};

#define T_WORDS_MAX 16
#define T_COUNT     (sizeof(t_table) / sizeof(t_table[0]))

static err_t
t_set(struct t_values *values, const char *name, struct span text, char *message)
{
    return settings_set(t_table, T_COUNT, values, span_from_cstr(name), text, message);
}

static void
t_defaults(void **state)
{
    (void)state;
    struct t_values values;
    memset(&values, 0x55, sizeof(values));
    settings_defaults(t_table, T_COUNT, &values);
    assert_int_equal(values.connections, 1000);
    assert_int_equal(values.offset, -5);
    assert_int_equal(values.timeout_ms, 5000);
    assert_int_equal(values.cache_bytes, 16 << 20);
    assert_string_equal(values.folder, "");
    assert_string_equal(values.key, "not-a-real-key");
    assert_false(values.verbose);
}

static void
t_accepts(void **state)
{
    (void)state;
    struct t_values values;
    char message[SETTING_MESSAGE_SIZE];
    settings_defaults(t_table, T_COUNT, &values);

    const struct {
        const char *name;
        const char *text;
        const int64_t *value;
        int64_t expected;
    } cases[] = {
        {"max-connections", "1", &values.connections, 1},
        {"max-connections", "65535", &values.connections, 65535},
        {"offset", "-9223372036854775808", &values.offset, INT64_MIN},
        {"offset", "9223372036854775807", &values.offset, INT64_MAX},
        {"timeout", "0", &values.timeout_ms, 0},
        {"timeout", "0ms", &values.timeout_ms, 0},
        {"timeout", "250ms", &values.timeout_ms, 250},
        {"timeout", "7s", &values.timeout_ms, 7000},
        {"timeout", "2m", &values.timeout_ms, 120000},
        {"timeout", "1h", &values.timeout_ms, 3600000},
        {"cache", "4096", &values.cache_bytes, 4096},
        {"cache", "64k", &values.cache_bytes, 65536},
        {"cache", "3m", &values.cache_bytes, 3 << 20},
        {"cache", "8g", &values.cache_bytes, INT64_C(8) << 30},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            t_set(&values, cases[i].name, span_from_cstr(cases[i].text), message), ERR_OK);
        assert_true(*cases[i].value == cases[i].expected);
        assert_string_equal(message, "");
    }
    const char *const on[] = {"true", "yes", "on", "1"};
    const char *const off[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(t_set(&values, "verbose", span_from_cstr(on[i]), message), ERR_OK);
        assert_true(values.verbose);
        assert_int_equal(t_set(&values, "verbose", span_from_cstr(off[i]), message), ERR_OK);
        assert_false(values.verbose);
    }
    assert_int_equal(t_set(&values, "folder", SPAN("123456789012345"), message), ERR_OK);
    assert_string_equal(values.folder, "123456789012345");
    assert_int_equal(t_set(&values, "folder", SPAN("a"), message), ERR_OK);
    assert_memory_equal(values.folder, "a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
}

/* What is refused, and in which words. */
static const struct {
    const char *name;
    struct span text;
    err_t error;
    const char *message;
} t_refused[] = {
    {"max-connections",
     {"0", sizeof("0") - 1},
     ERR_RANGE,
     "setting 'max-connections' must be at least 1 connections"},
    {"max-connections",
     {"65536", sizeof("65536") - 1},
     ERR_RANGE,
     "setting 'max-connections' must be at most 65535 connections"},
    {"max-connections",
     {"99999999999999999999", sizeof("99999999999999999999") - 1},
     ERR_RANGE,
     "setting 'max-connections' must be at most 65535 connections"},
    {"max-connections",
     {"-99999999999999999999", sizeof("-99999999999999999999") - 1},
     ERR_RANGE,
     "setting 'max-connections' must be at least 1 connections"},
    {"max-connections",
     {"12x", sizeof("12x") - 1},
     ERR_INVALID,
     "setting 'max-connections' must be a whole number, not '12x'"},
    {"max-connections",
     {"", sizeof("") - 1},
     ERR_INVALID,
     "setting 'max-connections' must be a whole number, not ''"},
    {"max-connections",
     {"-", sizeof("-") - 1},
     ERR_INVALID,
     "setting 'max-connections' must be a whole number, not '-'"},
    {"timeout",
     {"5", sizeof("5") - 1},
     ERR_INVALID,
     "setting 'timeout' must be a duration such as 250ms, 5s, 2m, 1h or 7d, not '5'"},
    {"timeout",
     {"-5s", sizeof("-5s") - 1},
     ERR_INVALID,
     "setting 'timeout' must be a duration such as 250ms, 5s, 2m, 1h or 7d, not '-5s'"},
    {"timeout", {"2h", sizeof("2h") - 1}, ERR_RANGE, "setting 'timeout' must be at most 1h"},
    {"timeout",
     {"9223372036854775807d", sizeof("9223372036854775807d") - 1},
     ERR_RANGE,
     "setting 'timeout' must be at most 1h"},
    {"cache", {"4095", sizeof("4095") - 1}, ERR_RANGE, "setting 'cache' must be at least 4k"},
    {"cache",
     {"1t", sizeof("1t") - 1},
     ERR_INVALID,
     "setting 'cache' must be a size such as 4096, 64k, 16m or 2g, not '1t'"},
    {"cache",
     {"k", sizeof("k") - 1},
     ERR_INVALID,
     "setting 'cache' must be a size such as 4096, 64k, 16m or 2g, not 'k'"},
    {"folder",
     {"1234567890123456", sizeof("1234567890123456") - 1},
     ERR_RANGE,
     "setting 'folder' must have at most 15 bytes"},
    {"folder",
     {"a\0b", sizeof("a\0b") - 1},
     ERR_INVALID,
     "setting 'folder' must be text without zero bytes"},
    {"key",
     {"hunter2", sizeof("hunter2") - 1},
     ERR_RANGE,
     "setting 'key' must have at least 8 bytes"},
    {"verbose",
     {"TRUE", sizeof("TRUE") - 1},
     ERR_INVALID,
     "setting 'verbose' must be true or false, not 'TRUE'"},
    {"colour", {"red", sizeof("red") - 1}, ERR_NOT_FOUND, "unknown setting 'colour'"},
};

static void
t_refuses(void **state)
{
    (void)state;
    struct t_values values;
    struct t_values before;
    memset(&values, 0, sizeof(values));
    settings_defaults(t_table, T_COUNT, &values);
    memcpy(&before, &values, sizeof(before));
    for (size_t i = 0; i < sizeof(t_refused) / sizeof(t_refused[0]); i++) {
        char message[SETTING_MESSAGE_SIZE];
        assert_int_equal(
            t_set(&values, t_refused[i].name, t_refused[i].text, message), t_refused[i].error);
        assert_string_equal(message, t_refused[i].message);
        assert_memory_equal(&before, &values, sizeof(before));
    }
}

static void
t_file(void **state)
{
    (void)state;
    struct t_values values;
    char message[SETTING_MESSAGE_SIZE];
    settings_defaults(t_table, T_COUNT, &values);
    struct span content = SPAN("# a comment = 1\n\n  max-connections=7\r\n\tfolder = /a#b c \n"
                               "timeout = 1s\ntimeout = 2s\n   # more\nverbose = on");
    assert_int_equal(settings_from_file(t_table, T_COUNT, &values, content, message), ERR_OK);
    assert_int_equal(values.connections, 7);
    assert_string_equal(values.folder, "/a#b c");
    assert_int_equal(values.timeout_ms, 2000);
    assert_true(values.verbose);
    assert_int_equal(
        settings_from_file(t_table, T_COUNT, &values, SPAN("\n\nmax-connections\n"), message),
        ERR_INVALID);
    assert_string_equal(message, "line 3: expected 'name = value'");
    assert_int_equal(
        settings_from_file(t_table, T_COUNT, &values, SPAN("#\ncache = 1\n"), message), ERR_RANGE);
    assert_string_equal(message, "line 2: setting 'cache' must be at least 4k");
    assert_int_equal(
        settings_from_file(t_table, T_COUNT, &values, SPAN("Cache = 1m"), message), ERR_NOT_FOUND);
    assert_string_equal(message, "line 1: unknown setting 'Cache'");
    assert_int_equal(settings_from_file(t_table, T_COUNT, &values, SPAN_EMPTY, message), ERR_OK);
}

/* A name that others use too: ours goes before it, wherever they stand; empty is as if not set. */
static void
t_usual_variable(void **state)
{
    (void)state;
    struct t_values values;
    char message[SETTING_MESSAGE_SIZE];
    char *usual[] = {(char[]){"OTHER_TIMEOUT=7s"}, (char[]){"OTHER_THING=x"}, NULL};
    char *both[] = {(char[]){"TAEL_TIMEOUT=2s"}, (char[]){"OTHER_TIMEOUT=7s"}, NULL};
    char *empty[] = {(char[]){"OTHER_TIMEOUT="}, NULL};
    char *bad[] = {(char[]){"OTHER_TIMEOUT=soon"}, NULL};
    settings_defaults(t_table, T_COUNT, &values);
    assert_int_equal(
        settings_from_environment(t_table, T_COUNT, &values, usual, NULL, message), ERR_OK);
    assert_int_equal(values.timeout_ms, 7000);
    assert_int_equal(
        settings_from_environment(t_table, T_COUNT, &values, both, NULL, message), ERR_OK);
    assert_int_equal(values.timeout_ms, 2000);
    assert_int_equal(
        settings_from_environment(t_table, T_COUNT, &values, empty, NULL, message), ERR_OK);
    assert_int_equal(values.timeout_ms, 2000);
    assert_int_equal(
        settings_from_environment(t_table, T_COUNT, &values, bad, NULL, message), ERR_INVALID);
    assert_non_null(strstr(message, "timeout"));
}

static void
t_environment(void **state)
{
    (void)state;
    struct t_values values;
    char message[SETTING_MESSAGE_SIZE];
    settings_defaults(t_table, T_COUNT, &values);
    char *good[] = {
        (char[]){"PATH=/bin"},
        (char[]){"TAEL_MAX_CONNECTIONS=12"},
        (char[]){"TAEL_FOLDER=a=b"},
        (char[]){"TAEL_CONFIG=/etc/tael.conf"},
        NULL,
    };
    const char *const ignored[] = {"TAEL_CONFIG", NULL};
    assert_int_equal(
        settings_from_environment(t_table, T_COUNT, &values, good, ignored, message), ERR_OK);
    assert_int_equal(values.connections, 12);
    assert_string_equal(values.folder, "a=b");
    assert_int_equal(
        settings_from_environment(t_table, T_COUNT, &values, good, NULL, message), ERR_NOT_FOUND);
    assert_string_equal(message, "unknown environment variable 'TAEL_CONFIG'");
    const char *const misspelt[] = {
        "TAEL_MAX_CONECTIONS=1", "TAEL_=1", "TAEL_folder=x", "TAEL_MAX-CONNECTIONS=1"};
    for (size_t i = 0; i < sizeof(misspelt) / sizeof(misspelt[0]); i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "%s", misspelt[i]);
        char *environment[] = {text, NULL};
        assert_int_equal(
            settings_from_environment(t_table, T_COUNT, &values, environment, ignored, message),
            ERR_NOT_FOUND);
    }
    char *bad[] = {(char[]){"TAEL_CACHE=much"}, NULL};
    assert_int_equal(
        settings_from_environment(t_table, T_COUNT, &values, bad, ignored, message), ERR_INVALID);
    assert_non_null(strstr(message, "'cache'"));
}

static err_t
t_arguments(struct t_values *values, char *line, char **argv, int *ret_positional, char *message)
{
    size_t count = 0;
    for (char *at = line; at != NULL; count++) {
        assert_in_range(count, 0, T_WORDS_MAX - 2);
        argv[count] = at;
        at = strchr(at, ' ');
        if (at != NULL) {
            *at++ = '\0';
        }
    }
    argv[count] = NULL;
    return settings_from_arguments(t_table, T_COUNT, values, argv, ret_positional, message);
}

static void
t_command_line(void **state)
{
    (void)state;
    struct t_values values;
    char message[SETTING_MESSAGE_SIZE];
    char *argv[T_WORDS_MAX];
    int positional = -1;
    settings_defaults(t_table, T_COUNT, &values);
    char line[] = "tael one --max-connections=3 --folder /x two --verbose - --offset -9 "
                  "--key= -- --verbose=0 -x";
    char short_key[] = "tael one --max-connections=3 --folder /x two --verbose - --offset -9 "
                       "--cache=4k -- --verbose=0 -x";
    assert_int_equal(t_arguments(&values, line, argv, &positional, message), ERR_RANGE);
    assert_int_equal(positional, -1);
    assert_int_equal(t_arguments(&values, short_key, argv, &positional, message), ERR_OK);
    assert_int_equal(positional, 5);
    assert_string_equal(argv[0], "tael");
    assert_string_equal(argv[1], "one");
    assert_string_equal(argv[2], "two");
    assert_string_equal(argv[3], "-");
    assert_string_equal(argv[4], "--verbose=0");
    assert_string_equal(argv[5], "-x");
    assert_int_equal(values.connections, 3);
    assert_string_equal(values.folder, "/x");
    assert_int_equal(values.offset, -9);
    assert_true(values.verbose);
    char off[] = "tael --verbose=off";
    assert_int_equal(t_arguments(&values, off, argv, &positional, message), ERR_OK);
    assert_int_equal(positional, 0);
    assert_false(values.verbose);
}

static void
t_command_line_refuses(void **state)
{
    (void)state;

    const struct {
        const char *line;
        err_t error;
        const char *message;
    } cases[] = {
        {"tael --folder", ERR_INVALID, "--folder needs a value"},
        {"tael --folder --verbose", ERR_INVALID, "--folder needs a value"},
        {"tael --colour=red", ERR_NOT_FOUND, "unknown flag '--colour'"},
        {"tael -v", ERR_NOT_FOUND, "unknown flag '-v'"},
        {"tael --=1", ERR_NOT_FOUND, "unknown flag '--'"},
        {"tael --verbose=maybe",
         ERR_INVALID,
         "setting 'verbose' must be true or false, not 'maybe'"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct t_values values;
        char message[SETTING_MESSAGE_SIZE];
        char line[64];
        char *argv[T_WORDS_MAX];
        int positional;
        (void)snprintf(line, sizeof(line), "%s", cases[i].line);
        settings_defaults(t_table, T_COUNT, &values);
        assert_int_equal(t_arguments(&values, line, argv, &positional, message), cases[i].error);
        assert_string_equal(message, cases[i].message);
    }
}

static void
t_precedence(void **state)
{
    (void)state;
    struct t_values values;
    char message[SETTING_MESSAGE_SIZE];
    char *environment[] = {(char[]){"TAEL_TIMEOUT=2s"}, (char[]){"TAEL_CACHE=2m"}, NULL};
    char *argv[] = {(char[]){"tael"}, (char[]){"--cache=3m"}, NULL};
    int positional;
    settings_defaults(t_table, T_COUNT, &values);
    assert_int_equal(
        settings_from_file(
            t_table,
            T_COUNT,
            &values,
            SPAN("max-connections = 11\ntimeout = 1s\ncache = 1m\n"),
            message),
        ERR_OK);
    assert_int_equal(
        settings_from_environment(t_table, T_COUNT, &values, environment, NULL, message), ERR_OK);
    assert_int_equal(
        settings_from_arguments(t_table, T_COUNT, &values, argv, &positional, message), ERR_OK);
    assert_int_equal(values.offset, -5);
    assert_int_equal(values.connections, 11);
    assert_int_equal(values.timeout_ms, 2000);
    assert_int_equal(values.cache_bytes, 3 << 20);
}

/* The longest texts that can be quoted still fit the message. */
static void
t_long_input_is_cut_in_messages(void **state)
{
    (void)state;
    struct t_values values;
    char message[SETTING_MESSAGE_SIZE];
    char text[4000];
    memset(text, '9', sizeof(text));
    memcpy(text, "cache=", 6);
    settings_defaults(t_table, T_COUNT, &values);
    assert_int_equal(
        settings_from_file(t_table, T_COUNT, &values, span_of(text, sizeof(text)), message),
        ERR_RANGE);
    text[sizeof(text) - 1] = 'x';
    assert_int_equal(
        settings_from_file(t_table, T_COUNT, &values, span_of(text, sizeof(text)), message),
        ERR_INVALID);
    assert_true(strlen(message) < 200);
    text[5] = 'x';
    text[1000] = '=';
    assert_int_equal(
        settings_from_file(t_table, T_COUNT, &values, span_of(text, sizeof(text)), message),
        ERR_NOT_FOUND);
    assert_true(strlen(message) < 200);
}

static void
t_help(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 10000);
    settings_help(t_table, T_COUNT, &out);
    assert_false(buf_failed(&out));
    buf_append_byte(&out, '\0');
    assert_non_null(strstr(
        out.data,
        "  --max-connections=NUMBER\n"
        "      How many clients may be connected at once.\n"
        "      1 to 65535 connections; default 1000; environment TAEL_MAX_CONNECTIONS\n"));
    assert_non_null(
        strstr(out.data, "0ms to 1h; default 5s; environment TAEL_TIMEOUT or OTHER_TIMEOUT\n"));
    assert_non_null(strstr(out.data, "4k to 8g; default 16m; environment TAEL_CACHE\n"));
    assert_non_null(strstr(out.data, "  --verbose[=BOOLEAN]\n"));
    assert_non_null(strstr(out.data, "      no default; environment TAEL_FOLDER\n"));
    assert_null(strstr(out.data, "not-a-real-key"));
    buf_release(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_defaults),
        cmocka_unit_test(t_accepts),
        cmocka_unit_test(t_refuses),
        cmocka_unit_test(t_file),
        cmocka_unit_test(t_environment),
        cmocka_unit_test(t_usual_variable),
        cmocka_unit_test(t_command_line),
        cmocka_unit_test(t_command_line_refuses),
        cmocka_unit_test(t_precedence),
        cmocka_unit_test(t_long_input_is_cut_in_messages),
        cmocka_unit_test(t_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
