#include "emvqr/consumer.h"

#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FORMAT                                                                                     \
    "\x85\x05"                                                                                     \
    "CPV01"
#define APPLICATION "\x61\x09\x4f\x07\xa0\x00\x00\x00\x55\x55\x55"

static uint8_t memory[EMVQR_CONSUMER_BYTES_MAX];
static struct emvqr_consumer code;
static struct emvqr_refusal refusal;

/* An encoder of its own, so that the decoder is not its own judge. */
static struct span
t_base64(struct span bytes, char out[2048])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t size = 0;
    for (size_t i = 0; i < bytes.size; i += 3) {
        uint32_t group = 0;
        size_t count = bytes.size - i < 3 ? bytes.size - i : 3;
        for (size_t b = 0; b < 3; b++) {
            group = (group << 8) | (b < count ? (unsigned char)bytes.data[i + b] : 0U);
        }
        for (size_t b = 0; b < 4; b++) {
            out[size++] = b <= count ? digits[(group >> (18 - 6 * b)) & 63U] : '=';
        }
    }
    return span_of(out, size);
}

static void
t_value(const struct emvqr_consumer_node *node, struct span wanted)
{
    assert_non_null(node);
    assert_true(span_equal(node->value, wanted));
}

static void
t_vector(void **state)
{
    (void)state;
    assert_int_equal(emvqr_consumer_parse(SPAN(VECTOR_CONSUMER), memory, &code, &refusal), ERR_OK);
    assert_int_equal(code.decoded.size, 124);
    assert_int_equal(code.application_count, 2);
    t_value(&code.nodes[0], SPAN("CPV01"));
    const struct emvqr_consumer_node *first = &code.nodes[1];
    const struct emvqr_consumer_node *second = &code.nodes[2];
    assert_int_equal(first->tag, EMVQR_TAG_APPLICATION);
    assert_ptr_equal(emvqr_consumer_find(&code, NULL, EMVQR_TAG_APPLICATION), first);
    assert_int_equal(second->tag, EMVQR_TAG_APPLICATION);
    t_value(emvqr_consumer_find(&code, first, EMVQR_TAG_AID), SPAN("\xa0\x00\x00\x00\x55\x55\x55"));
    t_value(emvqr_consumer_find(&code, first, EMVQR_TAG_LABEL), SPAN("Product1"));
    t_value(
        emvqr_consumer_find(&code, second, EMVQR_TAG_AID), SPAN("\xa0\x00\x00\x00\x66\x66\x66"));
    t_value(emvqr_consumer_find(&code, second, EMVQR_TAG_LABEL), SPAN("Product2"));
    const struct emvqr_consumer_node *common = emvqr_consumer_find(&code, NULL, EMVQR_TAG_COMMON);
    assert_int_equal(common->child_count, 4);
    t_value(
        emvqr_consumer_find(&code, common, EMVQR_TAG_PAN),
        SPAN("\x12\x34\x56\x78\x90\x12\x34\x58"));
    t_value(emvqr_consumer_find(&code, common, EMVQR_TAG_CARDHOLDER), SPAN("CARDHOLDER/EMV"));
    t_value(emvqr_consumer_find(&code, common, EMVQR_TAG_LANGUAGES), SPAN("ruesdeen"));
    const struct emvqr_consumer_node *transparent =
        emvqr_consumer_find(&code, common, EMVQR_TAG_COMMON_TRANSPARENT);
    assert_int_equal(transparent->depth, 1);
    t_value(emvqr_consumer_find(&code, transparent, 0x9f10), SPAN("\x06\x01\x0a\x03\x00\x00\x00"));
    t_value(
        emvqr_consumer_find(&code, transparent, 0x9f26), SPAN("\x58\x4f\xd3\x85\xfa\x23\x4b\xcc"));
    t_value(emvqr_consumer_find(&code, transparent, 0x9f36), SPAN("\x00\x01"));
    t_value(emvqr_consumer_find(&code, transparent, 0x9f37), SPAN("\x6d\x58\xef\x13"));
    assert_null(emvqr_consumer_find(&code, transparent, 0x9f38));
    assert_true(emvqr_tag_is_sensitive(EMVQR_TAG_PAN));
    assert_true(emvqr_tag_is_sensitive(EMVQR_TAG_TRACK_2));
    assert_false(emvqr_tag_is_sensitive(EMVQR_TAG_LABEL));
}

static void
t_refuses(struct span text, enum emvqr_problem problem, size_t position)
{
    assert_int_equal(emvqr_consumer_parse(text, memory, &code, &refusal), ERR_INVALID);
    if (refusal.problem != problem || refusal.position != position) {
        fail_msg(
            "%.*s: %s at %zu, not %s at %zu",
            SPAN_PRINTF(text),
            emvqr_problem_name(refusal.problem),
            refusal.position,
            emvqr_problem_name(problem),
            position);
    }
}

static void
t_refused_text(void **state)
{
    (void)state;
    char longest[EMVQR_CONSUMER_TEXT_MAX + 4];
    memset(longest, 'A', sizeof(longest));
    t_refuses(SPAN_EMPTY, EMVQR_EMPTY, 0);
    t_refuses(span_of(longest, sizeof(longest)), EMVQR_TOO_LONG, EMVQR_CONSUMER_TEXT_MAX);
    t_refuses(SPAN("hQVDUFYwM"), EMVQR_BASE64_INVALID, 9);
    t_refuses(SPAN("hQV DUFY"), EMVQR_BASE64_INVALID, 3);
    t_refuses(SPAN("hQ=V"), EMVQR_BASE64_INVALID, 2);
    t_refuses(SPAN("h==="), EMVQR_BASE64_INVALID, 1);
    t_refuses(SPAN("===="), EMVQR_BASE64_INVALID, 0);
    /* Bits behind the last byte that are set: another text for the same code. */
    t_refuses(SPAN("hR=="), EMVQR_BASE64_INVALID, 4);
    t_refuses(SPAN("hQV="), EMVQR_BASE64_INVALID, 4);
}

static void
t_refused_objects(void **state)
{
    (void)state;

    static const struct {
        struct span bytes;
        enum emvqr_problem problem;
        size_t position;
    } cases[] = {
        {{FORMAT, 7}, EMVQR_ACCOUNT_MISSING, 0},
        {{APPLICATION, 11}, EMVQR_NOT_A_CODE, 0},
        {{"\x85\x05"
          "CPV02" APPLICATION,
          18},
         EMVQR_FORMAT_UNKNOWN,
         2},
        {{FORMAT "\x61\x02\x50\x00", 11}, EMVQR_FIELD_MISSING, 9},
        {{FORMAT "\x61\x00", 9}, EMVQR_FIELD_MISSING, 9},
        {{FORMAT "\x61\x06\x4f\x04\xa0\x00\x00\x00", 15}, EMVQR_VALUE_LENGTH, 11},
        {{FORMAT APPLICATION "\x00\x00", 20}, EMVQR_TAG_INVALID, 18},
        {{FORMAT APPLICATION "\xff\x00", 20}, EMVQR_TAG_INVALID, 18},
        {{FORMAT APPLICATION "\x9f", 19}, EMVQR_TAG_INVALID, 18},
        {{FORMAT APPLICATION "\x9f\x81\x82\x03\x00", 23}, EMVQR_TAG_INVALID, 18},
        {{FORMAT APPLICATION "\x62", 19}, EMVQR_LENGTH_INVALID, 19},
        {{FORMAT APPLICATION "\x62\x80\x00\x00", 22}, EMVQR_LENGTH_INVALID, 19},
        {{FORMAT APPLICATION "\x62\x81", 20}, EMVQR_LENGTH_INVALID, 19},
        {{FORMAT APPLICATION "\x62\x83\x00\x00\x00", 23}, EMVQR_LENGTH_INVALID, 19},
        {{FORMAT APPLICATION "\x62\x01", 20}, EMVQR_LENGTH_OVERRUN, 20},
        {{FORMAT APPLICATION "\x62\x00\x62\x00", 22}, EMVQR_ID_DUPLICATE, 20},
        {{FORMAT APPLICATION "\x62\x0b" APPLICATION, 31}, EMVQR_TAG_INVALID, 22},
        {{FORMAT APPLICATION "\x62\x08\x63\x06\x63\x04\x63\x02\x63\x00", 28}, EMVQR_DEPTH, 26},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[2048];
        t_refuses(t_base64(cases[i].bytes, text), cases[i].problem, cases[i].position);
    }
    /* 62 empty applications, and the two more that there is room for. */
    char bytes[EMVQR_CONSUMER_BYTES_MAX] = FORMAT;
    size_t size = 7;
    for (unsigned i = 0; i < EMVQR_CONSUMER_NODES_MAX; i++) {
        bytes[size++] = '\x61';
        bytes[size++] = '\0';
    }
    char text[2048];
    t_refuses(
        t_base64(span_of(bytes, size), text),
        EMVQR_TOO_MANY,
        7 + 2 * (EMVQR_CONSUMER_NODES_MAX - 1));
}

static void
t_long_lengths(void **state)
{
    (void)state;
    char bytes[300] = FORMAT APPLICATION "\x50\x82\x00\xc8";
    char text[2048];
    memset(bytes + 22, 'x', 200);
    struct span sealed = t_base64(span_of(bytes, 222), text);
    assert_int_equal(emvqr_consumer_parse(sealed, memory, &code, &refusal), ERR_OK);
    assert_int_equal(emvqr_consumer_find(&code, NULL, EMVQR_TAG_LABEL)->value.size, 200);
}

/* There is no checksum, but no change may be read out of bounds, and what is accepted was decoded
 * from one text only. */
static void
t_every_change(void **state)
{
    (void)state;
    char text[] = VECTOR_CONSUMER;
    char again[2048];
    for (size_t at = 0; at < sizeof(text) - 1; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            char kept = text[at];
            text[at] = (char)byte;
            struct span changed = span_of(text, sizeof(text) - 1);
            if (emvqr_consumer_parse(changed, memory, &code, &refusal) == ERR_OK) {
                assert_true(span_equal(t_base64(code.decoded, again), changed));
            }
            text[at] = kept;
        }
        assert_int_equal(
            emvqr_consumer_parse(span_of(text, at), memory, &code, &refusal), ERR_INVALID);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_vector),
        cmocka_unit_test(t_refused_text),
        cmocka_unit_test(t_refused_objects),
        cmocka_unit_test(t_long_lengths),
        cmocka_unit_test(t_every_change),
    };
    return cmocka_run_group_tests_name("emvqr consumer", tests, NULL, NULL);
}
