#include "iso8583/iso8583.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Made with pyiso8583, an independent codec. */
static const char authorization[] =
    "0100723C448108C080001642424242424242420000000000000020001123071500000123071500112329125411812"
    "5906123456632707000123TERM0001MERCHANT0000001840";
static const char approved[] =
    "0110723800010EC0800016424242424242424200000000000000200011230715000"
    "00123071500112306123456632707000123A1234500TERM0001MERCHANT000000184"
    "0";
static const char declined[] =
    "0110723800010AC080001642424242424242420000000000000020001123071500000"
    "12307150011230612345663270700012351TERM0001MERCHANT0000001840";
static const char reversal[] =
    "0400F238000108C0800000000040000000001642424242424242420000000000000020001123071530000124071500"
    "1"
    "12306123456632707000123TERM0001MERCHANT0000001840010000012311230715000000012345600000000000";
static const char echo[] = "0800822000000000000004000000000000001123071500000125301";

static struct iso8583_message message;
static struct iso8583_refusal refusal;
static char memory[ISO8583_MESSAGE_MAX + 64];

/* Decodes a copy of exact size: a sanitizer sees a read behind it. */
static err_t
t_decode(const struct iso8583_dialect *dialect, const void *text, size_t size)
{
    char *copy = malloc(size + (size == 0));
    assert_non_null(copy);
    memcpy(copy, text, size);
    err_t result = iso8583_decode(dialect, span_of(copy, size), &message, &refusal);
    free(copy);
    assert_true((result == ERR_OK) == (refusal.problem == ISO8583_FINE));
    return result;
}

static struct span
t_encode(const struct iso8583_dialect *dialect)
{
    struct buf out;
    buf_init_fixed(&out, memory, sizeof(memory));
    assert_int_equal(iso8583_encode(dialect, &message, &out, &refusal), ERR_OK);
    return buf_span(&out);
}

static void
t_assert_field(unsigned field, const char *value)
{
    struct span got = iso8583_get(&message, field);
    assert_int_equal(got.size, strlen(value));
    assert_memory_equal(got.data, value, got.size);
}

static void
t_set(unsigned field, const char *value)
{
    assert_int_equal(iso8583_set(&message, field, span_from_cstr(value)), ERR_OK);
}

/* ASCII bytes of a published vector come out again. */
static void
vectors_test(void **state)
{
    (void)state;
    const char *const all[] = {authorization, approved, declined, reversal, echo};
    const size_t sizes[] = {141, 136, 130, 186, 55};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_int_equal(strlen(all[i]), sizes[i]);
        assert_int_equal(t_decode(&iso8583_ascii, all[i], sizes[i]), ERR_OK);
        struct span again = t_encode(&iso8583_ascii);
        assert_int_equal(again.size, sizes[i]);
        assert_memory_equal(again.data, all[i], sizes[i]);
    }
}

static void
fields_test(void **state)
{
    (void)state;
    assert_int_equal(t_decode(&iso8583_ascii, reversal, strlen(reversal)), ERR_OK);
    assert_int_equal(message.type, 400);
    assert_true(message.extended);
    t_assert_field(2, "4242424242424242");
    t_assert_field(4, "000000002000");
    t_assert_field(11, "000124");
    t_assert_field(32, "123456");
    t_assert_field(37, "632707000123");
    t_assert_field(42, "MERCHANT0000001");
    t_assert_field(90, "010000012311230715000000012345600000000000");
    assert_false(iso8583_has(&message, 39));
    assert_int_equal(iso8583_get(&message, 39).size, 0);
    uint64_t number;
    assert_true(iso8583_get_number(&message, 4, &number));
    assert_int_equal(number, 2000);
    assert_false(iso8583_get_number(&message, 41, &number));
    assert_false(iso8583_get_number(&message, 39, &number));
}

/* What was built by hand is the published vector. */
static void
build_test(void **state)
{
    (void)state;
    iso8583_init(&message, 800);
    assert_int_equal(iso8583_set_number(&message, 7, 1123071500), ERR_OK);
    assert_int_equal(iso8583_set_number(&message, 11, 125), ERR_OK);
    assert_int_equal(iso8583_set_number(&message, 70, 301), ERR_OK);
    struct span text = t_encode(&iso8583_ascii);
    assert_int_equal(text.size, strlen(echo));
    assert_memory_equal(text.data, echo, text.size);
}

static void
t_build_packed(void)
{
    iso8583_init(&message, 100);
    t_set(2, "4000000000000000127"); /* 19 digits */
    t_set(3, "000000");
    t_set(19, "858");
    t_set(28, "D00000050");
    t_set(35, "4242424242424242=2912");
    t_set(41, "TERM0001");
    t_set(44, "AB");
    assert_int_equal(
        iso8583_set(&message, 52, span_of("\x01\x23\x45\x67\x89\xab\xcd\xef", 8)), ERR_OK);
    t_set(54, "0044");
}

/* Lengths count digits; odd ones are filled left where the length is fixed, else right. */
static void
binary_test(void **state)
{
    (void)state;
    static const uint8_t expected[] = {
        0x01, 0x00, 0x60, 0x00, 0x20, 0x10, 0x20, 0x90, 0x14, 0x00,             /* MTI, bitmap */
        0x19, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x12, 0x70,       /* 2 */
        0x00, 0x00, 0x00,                                                       /* 3 */
        0x08, 0x58,                                                             /* 19 */
        'D',  0x00, 0x00, 0x00, 0x50,                                           /* 28 */
        0x21, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0xd2, 0x91, 0x20, /* 35 */
        'T',  'E',  'R',  'M',  '0',  '0',  '0',  '1',                          /* 41 */
        0x02, 'A',  'B',                                                        /* 44 */
        0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,                         /* 52 */
        0x00, 0x04, '0',  '0',  '4',  '4',                                      /* 54 */
    };
    t_build_packed();
    struct span text = t_encode(&iso8583_binary);
    assert_int_equal(text.size, sizeof(expected));
    assert_memory_equal(text.data, expected, sizeof(expected));
    assert_int_equal(t_decode(&iso8583_binary, expected, sizeof(expected)), ERR_OK);
    t_assert_field(2, "4000000000000000127");
    t_assert_field(19, "858");
    t_assert_field(28, "D00000050");
    t_assert_field(35, "4242424242424242=2912");
    text = t_encode(&iso8583_binary);
    assert_memory_equal(text.data, expected, sizeof(expected));
    /* The same message in the other dialect. */
    text = t_encode(&iso8583_ascii);
    assert_int_equal(t_decode(&iso8583_ascii, text.data, text.size), ERR_OK);
    t_assert_field(35, "4242424242424242=2912");
    assert_memory_equal(iso8583_get(&message, 52).data, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8);
}

/* Every prefix of a message is refused, for being too short. */
static void
truncated_test(void **state)
{
    (void)state;
    for (size_t size = 0; size < strlen(reversal); size++) {
        assert_int_equal(t_decode(&iso8583_ascii, reversal, size), ERR_INVALID);
        assert_int_equal(refusal.problem, ISO8583_TRUNCATED);
        assert_in_range(refusal.position, 0, size);
    }
    t_build_packed();
    char copy[ISO8583_MESSAGE_MAX];
    struct span text = t_encode(&iso8583_binary);
    memcpy(copy, text.data, text.size);
    for (size_t size = 0; size < text.size; size++) {
        assert_int_equal(t_decode(&iso8583_binary, copy, size), ERR_INVALID);
        assert_int_equal(refusal.problem, ISO8583_TRUNCATED);
    }
}

static void
t_assert_refused(const char *text, enum iso8583_problem problem, unsigned field, size_t position)
{
    assert_int_equal(t_decode(&iso8583_ascii, text, strlen(text)), ERR_INVALID);
    assert_string_equal(iso8583_problem_text(refusal.problem), iso8583_problem_text(problem));
    assert_int_equal(refusal.field, field);
    assert_int_equal(refusal.position, position);
}

static void
refused_test(void **state)
{
    (void)state;
    t_assert_refused("01x0", ISO8583_TYPE, 0, 0);
    t_assert_refused("1100", ISO8583_VERSION, 0, 0);
    t_assert_refused("0100400000000000000g", ISO8583_BITMAP, 1, 4);
    t_assert_refused("0100c000000000000000", ISO8583_BITMAP, 1, 4); /* capitals only */
    t_assert_refused("0100400000000000000020", ISO8583_LENGTH_RANGE, 2, 20);
    t_assert_refused("01004000000000000000x6", ISO8583_LENGTH, 2, 20);
    t_assert_refused("010040000000000000000342x", ISO8583_CHARACTER, 2, 20);
    t_assert_refused("010020000000000000000000001", ISO8583_TRAILING, 3, 26);
    t_assert_refused("0100000000000000000Z", ISO8583_BITMAP, 1, 4);
    /* Field 65 would be a third bitmap. */
    t_assert_refused("010080000000000000008000000000000000", ISO8583_NO_FIELD, 65, 36);
    t_assert_refused("010000000010000000000000000x0", ISO8583_CHARACTER, 28, 20);
    t_assert_refused(
        "01000000000000800000a\x01"
        "b",
        ISO8583_TRUNCATED,
        41,
        20);
    t_assert_refused(
        "0100000000000080000012345\x01"
        "78",
        ISO8583_CHARACTER,
        41,
        20);
    t_assert_refused("010000000000020000001\x80", ISO8583_CHARACTER, 39, 20);
    char large[ISO8583_MESSAGE_MAX + 1];
    memset(large, '0', sizeof(large));
    assert_int_equal(t_decode(&iso8583_ascii, large, sizeof(large)), ERR_INVALID);
    assert_int_equal(refusal.problem, ISO8583_TOO_LONG);
}

static void
padding_test(void **state)
{
    (void)state;
    const uint8_t left[] = {0x01, 0x00, 0, 0, 0x20, 0, 0, 0, 0, 0, 0x18, 0x58};
    assert_int_equal(t_decode(&iso8583_binary, left, sizeof(left)), ERR_INVALID);
    assert_int_equal(refusal.problem, ISO8583_PADDING);
    assert_int_equal(refusal.field, 19);
    const uint8_t right[] = {0x01, 0x00, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x03, 0x12, 0x31};
    assert_int_equal(t_decode(&iso8583_binary, right, sizeof(right)), ERR_INVALID);
    assert_int_equal(refusal.problem, ISO8583_PADDING);
    const uint8_t nibble[] = {0x01, 0x00, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x1d};
    assert_int_equal(t_decode(&iso8583_binary, nibble, sizeof(nibble)), ERR_INVALID);
    assert_int_equal(refusal.problem, ISO8583_CHARACTER); /* D is a track's */
    const uint8_t length[] = {0x01, 0x00, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0x12};
    assert_int_equal(t_decode(&iso8583_binary, length, sizeof(length)), ERR_INVALID);
    assert_int_equal(refusal.problem, ISO8583_LENGTH);
}

/* ISO8583-3: what a field cannot hold is named, and nothing is written. */
static void
encode_refused_test(void **state)
{
    (void)state;

    const struct {
        unsigned field;
        const char *value;
        enum iso8583_problem problem;
    } cases[] = {
        {2, "12345678901234567890", ISO8583_LENGTH_RANGE},
        {3, "00000", ISO8583_LENGTH_RANGE},
        {4, "00000000200x", ISO8583_CHARACTER},
        {28, "X00000000", ISO8583_CHARACTER},
        {37, "12345678901-", ISO8583_CHARACTER},
        {43, "short", ISO8583_LENGTH_RANGE},
        {48, "line\nfeed", ISO8583_CHARACTER},
        {65, "1", ISO8583_NO_FIELD},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out;
        buf_init_fixed(&out, memory, sizeof(memory));
        iso8583_init(&message, 100);
        t_set(cases[i].field, cases[i].value);
        assert_int_equal(iso8583_encode(&iso8583_ascii, &message, &out, &refusal), ERR_INVALID);
        assert_int_equal(refusal.problem, cases[i].problem);
        assert_int_equal(refusal.field, cases[i].field);
        assert_int_equal(out.size, 0);
    }
    iso8583_init(&message, 100);
    assert_int_equal(iso8583_set_number(&message, 11, 1000000), ERR_RANGE);
    assert_int_equal(iso8583_set_number(&message, 11, 999999), ERR_OK);
}

/* ISO8583-2: the longest values of a message are within its maximum; one more field is not. */
static void
longest_test(void **state)
{
    (void)state;
    char value[999];
    memset(value, 'x', sizeof(value));
    iso8583_init(&message, 100);
    for (unsigned field = 120; field < 124; field++) {
        assert_int_equal(iso8583_set(&message, field, span_of(value, sizeof(value))), ERR_OK);
    }
    struct span text = t_encode(&iso8583_binary);
    assert_int_equal(text.size, 2 + 16 + 4 * (2 + 999));
    struct buf out;
    buf_init_fixed(&out, memory, sizeof(memory));
    assert_int_equal(iso8583_set(&message, 124, span_of(value, 100)), ERR_OK);
    assert_int_equal(iso8583_encode(&iso8583_binary, &message, &out, &refusal), ERR_INVALID);
    assert_int_equal(refusal.problem, ISO8583_TOO_LONG);
    assert_int_equal(out.size, 0);
    for (unsigned field = 46; field < 50; field++) {
        err_t result = iso8583_set(&message, field, span_of(value, sizeof(value)));
        assert_int_equal(result, ERR_OK);
    }
    assert_int_equal(iso8583_set(&message, 60, span_of(value, sizeof(value))), ERR_FULL);
    assert_false(iso8583_has(&message, 60));
}

static uint64_t seed = 20261130;

static unsigned
t_random(unsigned below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % below;
}

static char
t_random_of(enum iso8583_kind kind, size_t at)
{
    if (kind == ISO8583_XN && at == 0) {
        return "CD"[t_random(2)];
    }
    static const char *const sets[] = {
        [ISO8583_N] = "0123456789",
        [ISO8583_NS] = "0123456789-/.",
        [ISO8583_AN] = "0aZ 9",
        [ISO8583_ANS] = "a Z~!0",
        [ISO8583_XN] = "0123456789",
        [ISO8583_Z] = "0123456789=",
    };
    return kind == ISO8583_B ? (char)t_random(256)
                             : sets[kind][t_random((unsigned)strlen(sets[kind]))];
}

/* ISO8583-1, ISO8583-4: decode(encode(m)) is m, and encode(decode(x)) is x, in both dialects. */
static void
property_test(void **state)
{
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    static struct iso8583_message before;
    for (int round = 0; round < 2000; round++) {
        const struct iso8583_dialect *dialect = round % 2 == 0 ? &iso8583_ascii : &iso8583_binary;
        iso8583_init(&message, (uint16_t)t_random(1000));
        for (unsigned field = 2; field <= ISO8583_FIELDS; field++) {
            const struct iso8583_field *of = &dialect->fields[field];
            if (of->kind == ISO8583_NONE || t_random(10) != 0) {
                continue;
            }
            char value[999];
            size_t most = of->maximum > 150 ? 150 : of->maximum;
            size_t size = of->prefix == 0 ? of->maximum : t_random((unsigned)most + 1);
            for (size_t i = 0; i < size; i++) {
                value[i] = t_random_of(of->kind, i);
            }
            assert_int_equal(iso8583_set(&message, field, span_of(value, size)), ERR_OK);
        }
        before = message;
        struct span text = t_encode(dialect);
        char copy[sizeof(memory)];
        memcpy(copy, text.data, text.size);
        assert_int_equal(t_decode(dialect, copy, text.size), ERR_OK);
        assert_int_equal(message.type, before.type);
        for (unsigned field = 2; field <= ISO8583_FIELDS; field++) {
            assert_true(iso8583_has(&message, field) == iso8583_has(&before, field));
            assert_true(span_equal(iso8583_get(&message, field), iso8583_get(&before, field)));
        }
        struct span again = t_encode(dialect);
        assert_int_equal(again.size, text.size);
        assert_memory_equal(again.data, copy, text.size);
    }
}

static void
element_test(void **state)
{
    (void)state;
    struct buf out;
    struct span value;
    buf_init_fixed(&out, memory, sizeof(memory));
    iso8583_element_append(&out, 1, SPAN("abc"));
    iso8583_element_append(&out, 99, SPAN_EMPTY);
    assert_true(span_equal(buf_span(&out), SPAN("01003abc99000")));
    assert_true(iso8583_element_find(buf_span(&out), 1, &value));
    assert_true(span_equal_cstr(value, "abc"));
    assert_true(iso8583_element_find(buf_span(&out), 99, &value));
    assert_int_equal(value.size, 0);
    assert_false(iso8583_element_find(buf_span(&out), 2, &value));
    const char *const bad[] = {"0100", "01003ab", "x1003abc", "01x03abc", "0"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct span rest = span_from_cstr(bad[i]);
        unsigned tag;
        assert_false(iso8583_element_next(&rest, &tag, &value));
        assert_int_equal(rest.size, strlen(bad[i]));
    }
}

static void
frame_test(void **state)
{
    (void)state;
    char frame[] = "\x00\x03"
                   "abcd";
    struct span inside;
    assert_int_equal(iso8583_frame_read(span_of(frame, 1), &inside), ERR_INCOMPLETE);
    assert_int_equal(iso8583_frame_read(span_of(frame, 4), &inside), ERR_INCOMPLETE);
    assert_int_equal(iso8583_frame_read(span_of(frame, 6), &inside), ERR_OK);
    assert_true(span_equal_cstr(inside, "abc"));
    assert_int_equal(iso8583_frame_read(span_of("\x10\x01", 2), &inside), ERR_RANGE);
    assert_int_equal(iso8583_frame_read(span_of("\x10\x00", 2), &inside), ERR_INCOMPLETE);
    char head[ISO8583_FRAME_HEAD];
    iso8583_frame_head(141, head);
    assert_memory_equal(head, "\x00\x8d", 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_test),
        cmocka_unit_test(fields_test),
        cmocka_unit_test(build_test),
        cmocka_unit_test(binary_test),
        cmocka_unit_test(truncated_test),
        cmocka_unit_test(refused_test),
        cmocka_unit_test(padding_test),
        cmocka_unit_test(encode_refused_test),
        cmocka_unit_test(longest_test),
        cmocka_unit_test(property_test),
        cmocka_unit_test(element_test),
        cmocka_unit_test(frame_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
