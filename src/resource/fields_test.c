/* Documents to text and back, and what is refused on the way back. */
#include "testing.h"

#include "runtime.h"
#include "scan.h"

#include <stdio.h>
#include <string.h>

struct t_sample {
    struct resource_header header;
    struct span text;
    struct span other;
    struct span json;
    int64_t number;
    bool flag;
};

#define FIELD(member, kind_, column_)                                                              \
    {                                                                                              \
        .name = #member, .kind = kind_, .offset = offsetof(struct t_sample, member),               \
        .column = column_                                                                          \
    }

static const struct document_kind sample_kind = {
    .name = "sample",
    .columns =
        {{"text", DOCUMENT_TEXT, .indexed = true}, {"number", DOCUMENT_INTEGER, .indexed = true}},
    .column_count = 2,
};
static const struct resource_field sample_fields[] = {
    FIELD(text, RESOURCE_FIELD_TEXT, 0),
    FIELD(other, RESOURCE_FIELD_TEXT, -1),
    FIELD(json, RESOURCE_FIELD_JSON, -1),
    FIELD(number, RESOURCE_FIELD_INTEGER, 1),
    FIELD(flag, RESOURCE_FIELD_BOOLEAN, -1),
};
static const struct resource_type sample_type = {
    .object = "sample",
    .prefix = "sm_",
    .kind = &sample_kind,
    .fields = sample_fields,
    .field_count = sizeof(sample_fields) / sizeof(sample_fields[0]),
    .struct_size = sizeof(struct t_sample),
};

struct t_fields {
    struct arena arena;
    struct buf text;
    struct document_value columns[DOCUMENT_COLUMNS_MAX];
};

static int
t_fields_setup(void **state)
{
    static struct t_fields fields;
    memset(&fields, 0, sizeof(fields));
    arena_init(&fields.arena, 1 << 20);
    buf_init(&fields.text, 1 << 20);
    *state = &fields;
    return 0;
}

static int
t_fields_teardown(void **state)
{
    struct t_fields *fields = *state;
    arena_release(&fields->arena);
    buf_release(&fields->text);
    return 0;
}

static err_t
t_decode(struct t_fields *fields, const char *text, struct t_sample *sample)
{
    memset(sample, 0, sizeof(*sample));
    return resource_fields_decode(&fields->arena, &sample_type, span_from_cstr(text), sample);
}

static void
t_encode(struct t_fields *fields, const struct t_sample *sample)
{
    buf_clear(&fields->text);
    resource_fields_encode(&fields->text, &sample_type, sample, fields->columns);
    buf_append_byte(&fields->text, '\0');
    assert_false(buf_failed(&fields->text));
}

static void
what_goes_in_comes_out(void **state)
{
    struct t_fields *fields = *state;
    struct t_sample sample = {
        .header.created = 1767225600,
        .text = SPAN("a\"b\\c\n\t\x01\x7f é €"),
        .json = SPAN("{\"a\":[1,2.5e+3,-0.1,{}],\"b\":null}"),
        .number = INT64_MIN,
        .flag = true,
    };
    t_encode(fields, &sample);
    struct t_sample read;
    assert_int_equal(t_decode(fields, fields->text.data, &read), ERR_OK);
    assert_true(read.header.created == sample.header.created);
    assert_true(span_equal(read.text, sample.text));
    assert_true(span_equal(read.json, sample.json));
    assert_int_equal(read.other.size, 0);
    assert_true(read.number == INT64_MIN);
    assert_true(read.flag);
    assert_true(span_equal(fields->columns[0].text, sample.text));
    assert_true(fields->columns[1].integer == INT64_MIN);
}

static void
zeros_are_left_out_and_null_in_columns(void **state)
{
    struct t_fields *fields = *state;
    struct t_sample sample = {.other = SPAN("x")};
    t_encode(fields, &sample);
    assert_string_equal(fields->text.data, "{\"other\":\"x\"}");
    assert_true(fields->columns[0].is_null);
    assert_true(fields->columns[1].is_null);
    struct t_sample empty = {.number = 0};
    t_encode(fields, &empty);
    assert_string_equal(fields->text.data, "{}");
    assert_int_equal(t_decode(fields, "{}", &sample), ERR_OK);
    assert_int_equal(sample.other.size, 0);
}

/* A document of as many numbers as it may have fields: f0, f1 and so on. */
struct t_wide {
    struct resource_header header;
    int64_t numbers[RESOURCE_FIELDS_MAX];
};

static err_t
t_decode_wide(struct t_fields *fields, const char *text, struct t_wide *wide)
{
    static struct resource_field members[RESOURCE_FIELDS_MAX];
    static char names[RESOURCE_FIELDS_MAX][8];
    static const struct document_kind kind = {.name = "wide"};
    for (size_t i = 0; i < RESOURCE_FIELDS_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "f%zu", i);
        members[i] = (struct resource_field){
            .name = names[i],
            .kind = RESOURCE_FIELD_INTEGER,
            .offset = offsetof(struct t_wide, numbers) + i * sizeof(int64_t),
            .column = -1,
        };
    }
    const struct resource_type type = {
        .object = "wide",
        .prefix = "wd_",
        .kind = &kind,
        .fields = members,
        .field_count = RESOURCE_FIELDS_MAX,
        .struct_size = sizeof(*wide),
    };
    memset(wide, 0, sizeof(*wide));
    return resource_fields_decode(&fields->arena, &type, span_from_cstr(text), wide);
}

static void
many_fields_are_told_apart(void **state)
{
    struct t_fields *fields = *state;
    struct t_wide wide;
    assert_int_equal(
        t_decode_wide(fields, "{\"f0\":1,\"f64\":2,\"f63\":3,\"f127\":4}", &wide), ERR_OK);
    assert_true(wide.numbers[0] == 1 && wide.numbers[64] == 2);
    assert_true(wide.numbers[63] == 3 && wide.numbers[127] == 4);
    assert_int_equal(t_decode_wide(fields, "{\"f127\":1,\"f127\":2}", &wide), ERR_CORRUPT);
    assert_int_equal(t_decode_wide(fields, "{\"f128\":1}", &wide), ERR_CORRUPT);
}

static void
any_order_of_members_is_read(void **state)
{
    struct t_fields *fields = *state;
    struct t_sample read;
    assert_int_equal(
        t_decode(fields, "{\"flag\":false,\"number\":-7,\"created\":9,\"text\":\"t\"}", &read),
        ERR_OK);
    assert_true(read.number == -7);
    assert_true(read.header.created == 9);
    assert_true(span_equal_cstr(read.text, "t"));
}

static void
escapes_are_read(void **state)
{
    struct t_fields *fields = *state;
    struct t_sample read;
    assert_int_equal(
        t_decode(
            fields,
            "{\"text\":\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\/\\b\\f\\r\\u0000|\"}",
            &read),
        ERR_OK);
    assert_true(span_equal(read.text, SPAN("Aé€😀/\b\f\r\0|")));
}

static void
everything_else_is_corrupt(void **state)
{
    struct t_fields *fields = *state;
    static const char *const wrong[] = {
        "",
        "{",
        "}",
        "[]",
        "null",
        "{}x",
        "{} ",
        " {}",
        "{,}",
        "{\"text\"}",
        "{\"text\":}",
        "{\"text\":\"a\",}",
        "{\"text\":\"a\"",
        "{\"text\":\"a}",
        "{\"text\":\"a\" }",
        "{\"text\":5}",
        "{\"text\":null}",
        "{\"text\":\"a\nb\"}",
        "{\"text\":\"\\x\"}",
        "{\"text\":\"\\u12g4\"}",
        "{\"text\":\"\\u12\"}",
        "{\"text\":\"\\ud800\"}",
        "{\"text\":\"\\ud800\\u0041\"}",
        "{\"text\":\"\\udc00\"}",
        "{\"text\":\"a\",\"text\":\"b\"}",
        "{\"created\":1,\"created\":2}",
        "{\"unknown\":1}",
        "{\"number\":1.5}",
        "{\"number\":\"1\"}",
        "{\"number\":01}",
        "{\"number\":-}",
        "{\"number\":9223372036854775808}",
        "{\"flag\":1}",
        "{\"flag\":tru}",
        "{\"json\":}",
        "{\"json\":{]}",
        "{\"json\":[1,]}",
        "{\"json\":{\"a\"}}",
        "{\"json\":{1:2}}",
        "{\"json\":[}",
        "{\"json\":1.}",
        "{\"json\":1e}",
        "{\"json\":.5}",
        "{\"json\":nul}",
        "{\"json\":[\"\\q\"]}",
        "{\"json\":[[[[",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct t_sample read;
        err_t error = t_decode(fields, wrong[i], &read);
        if (error != ERR_CORRUPT) {
            fail_msg("%s: %s", wrong[i], err_name(error));
        }
    }
}

static void
every_cut_is_corrupt(void **state)
{
    struct t_fields *fields = *state;
    static const char whole[] = "{\"created\":12,\"text\":\"a\\u0041b\",\"json\":{\"a\":[1,\"b\"]},"
                                "\"number\":-12,\"flag\":true}";
    struct t_sample read;
    assert_int_equal(t_decode(fields, whole, &read), ERR_OK);
    for (size_t size = 0; size < sizeof(whole) - 1; size++) {
        char cut[sizeof(whole)];
        memcpy(cut, whole, size);
        cut[size] = '\0';
        assert_int_equal(t_decode(fields, cut, &read), ERR_CORRUPT);
    }
}

static void
deep_values_are_bounded(void **state)
{
    struct t_fields *fields = *state;
    for (uint32_t depth = RESOURCE_SCAN_DEPTH_MAX; depth <= RESOURCE_SCAN_DEPTH_MAX + 1; depth++) {
        buf_clear(&fields->text);
        buf_append_cstr(&fields->text, "{\"json\":");
        for (uint32_t i = 0; i < depth; i++) {
            buf_append_cstr(&fields->text, i % 2 == 0 ? "[" : "{\"a\":");
        }
        buf_append_cstr(&fields->text, "1");
        for (uint32_t i = depth; i > 0; i--) {
            buf_append_byte(&fields->text, i % 2 == 1 ? ']' : '}');
        }
        buf_append_cstr(&fields->text, "}");
        buf_append_byte(&fields->text, '\0');
        struct t_sample read;
        assert_int_equal(
            t_decode(fields, fields->text.data, &read),
            depth <= RESOURCE_SCAN_DEPTH_MAX ? ERR_OK : ERR_CORRUPT);
    }
}

static void
a_full_arena_is_told(void **state)
{
    struct t_fields *fields = *state;
    struct arena small;
    struct t_sample read = {.number = 0};
    arena_init(&small, 8);
    (void)fields;
    assert_int_equal(
        resource_fields_decode(
            &small, &sample_type, SPAN("{\"text\":\"\\u0041bcdefghijklmno\"}"), &read),
        ERR_FULL);
    arena_release(&small);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_fields_setup, t_fields_teardown)
    const struct CMUnitTest tests[] = {
        T(what_goes_in_comes_out),
        T(zeros_are_left_out_and_null_in_columns),
        T(many_fields_are_told_apart),
        T(any_order_of_members_is_read),
        T(escapes_are_read),
        T(everything_else_is_corrupt),
        T(every_cut_is_corrupt),
        T(deep_values_are_bounded),
        T(a_full_arena_is_told),
    };
    return cmocka_run_group_tests_name("resource fields", tests, NULL, NULL);
}
