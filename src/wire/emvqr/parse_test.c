#include "emvqr/emvqr.h"

#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define START   "000201"
#define ACCOUNT "26120008org.test"
#define END     "5204000053039865802US5902Al6002NY"

static struct emvqr_code code;
static struct emvqr_refusal refusal;

/* The text with its checksum behind it. */
static struct span
t_seal(const char *text, char out[EMVQR_BYTES_MAX])
{
    int size = snprintf(out, EMVQR_BYTES_MAX, "%s6304", text);
    assert_true(size > 0 && size + 4 < EMVQR_BYTES_MAX);
    uint16_t crc = emvqr_crc(span_of(out, (size_t)size));
    (void)snprintf(out + size, (size_t)(EMVQR_BYTES_MAX - size), "%04X", crc);
    return span_from_cstr(out);
}

static void
t_parse(const char *text)
{
    if (emvqr_parse(span_from_cstr(text), &code, &refusal) != ERR_OK) {
        fail_msg(
            "%s: %s at %zu (%s)",
            text,
            emvqr_problem_name(refusal.problem),
            refusal.position,
            refusal.path);
    }
}

static void
t_equal(struct span found, const char *wanted)
{
    if (!span_equal_cstr(found, wanted)) {
        fail_msg("'%.*s' is not '%s'", SPAN_PRINTF(found), wanted);
    }
}

static void
t_crc(void **state)
{
    (void)state;
    assert_int_equal(emvqr_crc(SPAN("123456789")), 0x29b1);
    assert_int_equal(emvqr_crc(SPAN_EMPTY), 0xffff);
}

static void
t_emvco(void **state)
{
    (void)state;
    t_parse(VECTOR_EMVCO);
    assert_int_equal(code.length_unit, EMVQR_CHARACTERS);
    assert_int_equal(code.initiation, EMVQR_DYNAMIC);
    assert_string_equal(code.currency->code, "CNY");
    assert_true(code.has_amount);
    assert_int_equal(code.amount, 2372);
    assert_int_equal(code.tip, EMVQR_TIP_PROMPT);
    assert_int_equal(code.crc, 0xa13a);
    t_equal(code.category, "4111");
    t_equal(code.country, "CN");
    t_equal(code.name, "BEST TRANSPORT");
    t_equal(code.city, "BEIJING");
    t_equal(code.postal_code, "");
    t_equal(code.language, "ZH");
    t_equal(code.language_name, "最佳运输");
    t_equal(code.language_city, "北京");
    t_equal(code.additional[EMVQR_STORE_LABEL], "1234");
    t_equal(code.additional[EMVQR_CUSTOMER_LABEL], EMVQR_PROMPT);
    t_equal(code.additional[EMVQR_TERMINAL_LABEL], "A6008667");
    t_equal(code.additional[EMVQR_CONSUMER_DATA_REQUEST], "ME");
    const struct emvqr_node *own = emvqr_find(&code, NULL, 91);
    assert_non_null(own);
    assert_int_equal(own->child_count, 2);
    t_equal(emvqr_find(&code, own, 7)->value, "12345678");
    assert_null(emvqr_find(&code, own, 8));
    assert_null(emvqr_find(&code, NULL, 92));
}

static void
t_pix(void **state)
{
    (void)state;
    char path[EMVQR_PATH_SIZE];
    t_parse(VECTOR_PIX);
    assert_int_equal(code.initiation, EMVQR_INITIATION_UNSAID);
    assert_false(code.has_amount);
    t_equal(code.name, "Fulano de Tal");
    t_equal(code.additional[EMVQR_REFERENCE_LABEL], "***");
    t_parse(VECTOR_PIX_NESTED);
    const struct emvqr_node *additional = emvqr_find(&code, NULL, 62);
    const struct emvqr_node *own = emvqr_find(&code, additional, 50);
    assert_non_null(own);
    const struct emvqr_node *version = emvqr_find(&code, own, 1);
    t_equal(emvqr_find(&code, own, 0)->value, "BR.GOV.BCB.BRCODE");
    t_equal(version->value, "1.0.0");
    emvqr_node_path(&code, version, path);
    assert_string_equal(path, "62-50-01");
}

static void
t_national(void **state)
{
    (void)state;
    t_parse(VECTOR_PROMPTPAY);
    assert_string_equal(code.currency->code, "THB");
    assert_int_equal(code.initiation, EMVQR_STATIC);
    t_equal(code.name, "");
    t_parse(VECTOR_PROMPTPAY_AMOUNT);
    assert_int_equal(code.amount, 2000);
    t_parse(VECTOR_PROMPTPAY_PLAIN);
    t_parse(VECTOR_VIETQR);
    t_parse(VECTOR_VIETQR_AMOUNT);
    assert_string_equal(code.currency->code, "VND");
    assert_int_equal(code.amount, 120000);
    t_equal(code.additional[EMVQR_PURPOSE], "ung ho lu lut");
}

/* What an issuer writes who counts bytes: "café" is 5 of them, two Chinese characters 6. */
static void
t_byte_lengths(void **state)
{
    (void)state;
    char text[EMVQR_BYTES_MAX];
    struct span sealed = t_seal(START ACCOUNT "5204000053039865802FR5905café6006北京", text);
    assert_int_equal(emvqr_parse(sealed, &code, &refusal), ERR_OK);
    assert_int_equal(code.length_unit, EMVQR_BYTES);
    t_equal(code.name, "café");
    t_equal(code.city, "北京");
    sealed = t_seal(START ACCOUNT "5204000053039865802FR5904café6002北京", text);
    assert_int_equal(emvqr_parse(sealed, &code, &refusal), ERR_OK);
    assert_int_equal(code.length_unit, EMVQR_CHARACTERS);
    t_equal(code.name, "café");
    t_equal(code.city, "北京");
    /* Neither: the first counts bytes, the second characters. */
    sealed = t_seal(START ACCOUNT "5204000053039865802FR5905café6002北京", text);
    assert_int_equal(emvqr_parse(sealed, &code, &refusal), ERR_INVALID);
    /* A length in bytes that cuts a character. */
    sealed = t_seal(
        START ACCOUNT "5204000053039865802FR5904caf\xc3\xa9"
                      "01996005Paris",
        text);
    assert_int_equal(emvqr_parse(sealed, &code, &refusal), ERR_INVALID);
}

struct refused {
    const char *text; /* a checksum is put behind it */
    enum emvqr_problem problem;
    const char *path;
};

#define FIELDS(fields) START ACCOUNT fields END

static const struct refused refused[] = {
    {FIELDS("5x0200"), EMVQR_ID_INVALID, ""},
    {FIELDS("54x2"), EMVQR_LENGTH_INVALID, "54"},
    {FIELDS("5400"), EMVQR_LENGTH_INVALID, "54"},
    {START ACCOUNT "5999Al", EMVQR_LENGTH_OVERRUN, "59"},
    {FIELDS("000201"), EMVQR_ID_DUPLICATE, "00"},
    {FIELDS(ACCOUNT), EMVQR_ID_DUPLICATE, "26"},
    {FIELDS("27160004abcd0004abcd"), EMVQR_ID_DUPLICATE, "27-00"},
    {FIELDS("27060004ab"), EMVQR_LENGTH_OVERRUN, "27-00"},
    {FIELDS("270400ab"), EMVQR_LENGTH_INVALID, "27-00"},
    {FIELDS("2703abc"), EMVQR_ID_INVALID, "27"},
    {FIELDS("27080104abcd"), EMVQR_FIELD_MISSING, "27-00"},
    {FIELDS("27370033123456789012345678901234567890123"), EMVQR_VALUE_LENGTH, "27-00"},
    {"000203" ACCOUNT END, EMVQR_FORMAT_UNKNOWN, "00"},
    {FIELDS("010213"), EMVQR_VALUE_INVALID, "01"},
    {FIELDS("0103111"), EMVQR_VALUE_LENGTH, "01"},
    {FIELDS("54051.2.3"), EMVQR_AMOUNT_SYNTAX, "54"},
    {FIELDS("54041,23"), EMVQR_AMOUNT_SYNTAX, "54"},
    {FIELDS("5402-1"), EMVQR_AMOUNT_SYNTAX, "54"},
    {FIELDS("5403.50"), EMVQR_AMOUNT_SYNTAX, "54"},
    {FIELDS("5401."), EMVQR_AMOUNT_SYNTAX, "54"},
    {FIELDS("54051.234"), EMVQR_AMOUNT_DECIMALS, "54"},
    {FIELDS("54040.00"), EMVQR_AMOUNT_ZERO, "54"},
    {FIELDS("541412345678901234"), EMVQR_VALUE_LENGTH, "54"},
    {FIELDS("550204"), EMVQR_VALUE_INVALID, "55"},
    {FIELDS("550202"), EMVQR_FIELD_MISSING, "56"},
    {FIELDS("550203"), EMVQR_FIELD_MISSING, "57"},
    {FIELDS("56011"), EMVQR_FIELD_UNEXPECTED, "56"},
    {FIELDS("57011"), EMVQR_FIELD_UNEXPECTED, "57"},
    {FIELDS("550201"
            "56011"),
     EMVQR_FIELD_UNEXPECTED,
     "56"},
    {FIELDS("550202"
            "56010"),
     EMVQR_AMOUNT_ZERO,
     "56"},
    {FIELDS("550203"
            "57010"),
     EMVQR_PERCENTAGE,
     "57"},
    {FIELDS("550203"
            "570500.00"),
     EMVQR_PERCENTAGE,
     "57"},
    {FIELDS("550203"
            "5703100"),
     EMVQR_PERCENTAGE,
     "57"},
    {FIELDS("550203"
            "57045.5."),
     EMVQR_PERCENTAGE,
     "57"},
    {FIELDS("550203"
            "57025."),
     EMVQR_PERCENTAGE,
     "57"},
    {FIELDS("6111ABCDEFGHIJK"), EMVQR_VALUE_LENGTH, "61"},
    {FIELDS("62300126ABCDEFGHIJKLMNOPQRSTUVWXYZ"), EMVQR_VALUE_LENGTH, "62-01"},
    {FIELDS("62060902AA"), EMVQR_VALUE_INVALID, "62-09"},
    {FIELDS("62050901X"), EMVQR_VALUE_INVALID, "62-09"},
    {FIELDS("62061102ab"), EMVQR_VALUE_LENGTH, "62-11"},
    {FIELDS("64060002zh"), EMVQR_FIELD_MISSING, "64-01"},
    {FIELDS("64060102Al"), EMVQR_FIELD_MISSING, "64-00"},
    {FIELDS("6412000212"
            "0102Al"),
     EMVQR_VALUE_INVALID,
     "64-00"},
    {START END, EMVQR_ACCOUNT_MISSING, ""},
    {START ACCOUNT "53039865802US5902Al6002NY", EMVQR_FIELD_MISSING, "52"},
    {START ACCOUNT "520400005802US5902Al6002NY", EMVQR_FIELD_MISSING, "53"},
    {START ACCOUNT "5204000053039865902Al6002NY", EMVQR_FIELD_MISSING, "58"},
    {START ACCOUNT "5204000053039865802US6002NY", EMVQR_FIELD_MISSING, "59"},
    {START ACCOUNT "5204000053039865802US5902Al", EMVQR_FIELD_MISSING, "60"},
    {START ACCOUNT "5204000053030005802US5902Al6002NY", EMVQR_CURRENCY_UNKNOWN, "53"},
    {START ACCOUNT "5204000053030015802US5902Al6002NY", EMVQR_CURRENCY_UNKNOWN, "53"},
    {START ACCOUNT "520400005303USD5802US5902Al6002NY", EMVQR_VALUE_INVALID, "53"},
    {START ACCOUNT "52040a0053039865802US5902Al6002NY", EMVQR_VALUE_INVALID, "52"},
    {START ACCOUNT "5204000053039865802us5902Al6002NY", EMVQR_VALUE_INVALID, "58"},
    {START ACCOUNT "5204000053039865803USA5902Al6002NY", EMVQR_VALUE_LENGTH, "58"},
    {START ACCOUNT "5204000053039865802US5926ABCDEFGHIJKLMNOPQRSTUVWXYZ6002NY",
     EMVQR_VALUE_LENGTH,
     "59"},
    {START ACCOUNT "5204000053039865802US5902Al6016ABCDEFGHIJKLMNOP", EMVQR_VALUE_LENGTH, "60"},
    {FIELDS("26130008org.tael"), EMVQR_ID_DUPLICATE, "26"},
    {FIELDS("27120008org.tael"), EMVQR_FIELD_MISSING, "27-01"},
    {FIELDS("27200008org.tael0104pi_1"), EMVQR_REFERENCE, "27-01"},
    {"0102110002"
     "01" ACCOUNT END,
     EMVQR_NOT_A_CODE,
     ""},
};

static void
t_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        char text[EMVQR_BYTES_MAX];
        struct span sealed = t_seal(refused[i].text, text);
        err_t result = emvqr_parse(sealed, &code, &refusal);
        if (result != ERR_INVALID || refusal.problem != refused[i].problem ||
            strcmp(refusal.path, refused[i].path) != 0) {
            fail_msg(
                "%s: %s at '%s', not %s at '%s'",
                text,
                emvqr_problem_name(refusal.problem),
                refusal.path,
                emvqr_problem_name(refused[i].problem),
                refused[i].path);
        }
        assert_true(refusal.position <= sealed.size);
    }
}

static void
t_refused_text(struct span text, enum emvqr_problem problem, size_t position)
{
    assert_int_equal(emvqr_parse(text, &code, &refusal), ERR_INVALID);
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
t_refused_as_text(void **state)
{
    (void)state;
    char text[EMVQR_BYTES_MAX + 1];
    t_refused_text(SPAN_EMPTY, EMVQR_EMPTY, 0);
    t_refused_text(SPAN("hello"), EMVQR_NOT_A_CODE, 0);
    t_refused_text(SPAN("0002"), EMVQR_LENGTH_OVERRUN, 0);
    t_refused_text(SPAN("000201\xff"), EMVQR_UTF8_INVALID, 0);
    t_refused_text(SPAN("000201\n"), EMVQR_CONTROL_CHARACTER, 6);
    t_refused_text(SPAN("000201\0"), EMVQR_CONTROL_CHARACTER, 6);
    t_refused_text(SPAN("000201\x7f"), EMVQR_CONTROL_CHARACTER, 6);
    t_refused_text(SPAN("000201\xc2\x9b"), EMVQR_CONTROL_CHARACTER, 6);
    t_refused_text(SPAN("000201" ACCOUNT), EMVQR_CRC_MISSING, 22);
    t_refused_text(SPAN("0002016304000052040000"), EMVQR_CRC_NOT_LAST, 10);
    t_refused_text(SPAN("0002016303ABC"), EMVQR_VALUE_LENGTH, 10);
    t_refused_text(SPAN("00020163040000"), EMVQR_CRC_WRONG, 10);
    memset(text, '0', sizeof(text));
    t_refused_text(span_of(text, sizeof(text)), EMVQR_TOO_LONG, EMVQR_BYTES_MAX);
    t_refused_text(span_of(text, EMVQR_CHARACTERS_MAX + 1), EMVQR_TOO_LONG, EMVQR_CHARACTERS_MAX);
    /* Codes that are found in public, with checksums that never were right. */
    t_refused_text(
        SPAN("00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-"
             "4266554400005204000053039865802"
             "BR5913Fulano de Tal6008BRASILIA62070503***6304DEMO"),
        EMVQR_CRC_WRONG,
        133);
    t_refused_text(
        SPAN("00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-"
             "4266554400005204000053039865802"
             "BR5913Fulano de Tal6008BRASILIA62070503***63041d3d"),
        EMVQR_CRC_WRONG,
        133);
}

/* EMVQR-1: every byte of every vector, changed to every other byte, taken away, doubled, and
 * swapped with its neighbour. */
static void
t_every_change(void **state)
{
    (void)state;
    for (size_t v = 0; v < MERCHANT_VECTOR_COUNT; v++) {
        char text[EMVQR_BYTES_MAX];
        size_t size = strlen(merchant_vectors[v]);
        for (size_t at = 0; at < size; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                memcpy(text, merchant_vectors[v], size);
                text[at] = (char)byte;
                bool same = text[at] == merchant_vectors[v][at];
                err_t result = emvqr_parse(span_of(text, size), &code, &refusal);
                assert_int_equal(result, same ? ERR_OK : ERR_INVALID);
                assert_true(same == (refusal.problem == EMVQR_FINE));
            }
            memmove(text + at, merchant_vectors[v] + at + 1, size - at - 1);
            memcpy(text, merchant_vectors[v], at);
            assert_int_equal(emvqr_parse(span_of(text, size - 1), &code, &refusal), ERR_INVALID);
            memcpy(text + at, merchant_vectors[v] + at, size - at);
            memcpy(text + at + 1, merchant_vectors[v] + at, size - at);
            assert_int_equal(emvqr_parse(span_of(text, size + 1), &code, &refusal), ERR_INVALID);
            memcpy(text, merchant_vectors[v], size);
            if (at + 1 < size && text[at] != text[at + 1]) {
                text[at] = merchant_vectors[v][at + 1];
                text[at + 1] = merchant_vectors[v][at];
                assert_int_equal(emvqr_parse(span_of(text, size), &code, &refusal), ERR_INVALID);
            }
        }
    }
}

/* What 16 bits cannot do: of the 63,487 other characters of three bytes, one has the checksum of
 * the first of the sample's name. */
static void
t_wide_change(void **state)
{
    (void)state;
    char text[] = VECTOR_EMVCO;
    size_t size = sizeof(text) - 1;
    char *at = strstr(text, "最");
    uint32_t accepted = 0;
    for (uint32_t character = 0x800; character < 0x10000; character++) {
        at[0] = (char)(0xe0U | (character >> 12));
        at[1] = (char)(0x80U | ((character >> 6) & 0x3fU));
        at[2] = (char)(0x80U | (character & 0x3fU));
        accepted += emvqr_parse(span_of(text, size), &code, &refusal) == ERR_OK ? 1 : 0;
    }
    assert_int_equal(accepted, 2); /* itself and U+7321 */
}

/* Every prefix is refused, and no prefix reads beyond its end (the sanitizers see to that). */
static void
t_every_prefix(void **state)
{
    (void)state;
    for (size_t v = 0; v < MERCHANT_VECTOR_COUNT; v++) {
        char text[EMVQR_BYTES_MAX];
        size_t size = strlen(merchant_vectors[v]);
        for (size_t length = 0; length < size; length++) {
            char *end = text + sizeof(text) - length;
            memcpy(end, merchant_vectors[v], length);
            assert_int_equal(emvqr_parse(span_of(end, length), &code, &refusal), ERR_INVALID);
        }
    }
}

static void
t_amount(const char *text, const char *currency, int64_t wanted)
{
    int64_t amount = -1;
    enum emvqr_problem problem = EMVQR_FINE;
    err_t result = emvqr_amount_parse(
        span_from_cstr(text), currency_find(span_from_cstr(currency)), &amount, &problem);
    if (result != ERR_OK || amount != wanted) {
        fail_msg("%s %s: %lld", text, currency, (long long)amount);
    }
}

static void
t_amounts(void **state)
{
    (void)state;
    t_amount("1", "USD", 100);
    t_amount("1.", "USD", 100);
    t_amount("1.5", "USD", 150);
    t_amount("0.01", "USD", 1);
    t_amount("0", "USD", 0);
    t_amount("98.730", "USD", 9873);
    t_amount("100", "JPY", 100);
    t_amount("100.00", "JPY", 100);
    t_amount("1.234", "KWD", 1234);
    t_amount("1.0001", "CLF", 10001);
    t_amount("9999999999999", "CLF", INT64_C(99999999999990000));
    t_amount("9999999999.99", "USD", INT64_C(999999999999));
    int64_t amount = 7;
    enum emvqr_problem problem = EMVQR_FINE;
    const struct currency *yen = currency_find(SPAN("JPY"));
    assert_int_equal(emvqr_amount_parse(SPAN("100.5"), yen, &amount, &problem), ERR_INVALID);
    assert_int_equal(problem, EMVQR_AMOUNT_DECIMALS);
    assert_int_equal(
        emvqr_amount_parse(SPAN("12345678901234"), yen, &amount, &problem), ERR_INVALID);
    assert_int_equal(problem, EMVQR_AMOUNT_RANGE);
    assert_int_equal(emvqr_amount_parse(SPAN_EMPTY, yen, &amount, &problem), ERR_INVALID);
    assert_int_equal(amount, 7);
}

static void
t_tips(void **state)
{
    (void)state;
    char text[EMVQR_BYTES_MAX];

    static const struct {
        const char *fields;
        enum emvqr_tip tip;
        int64_t amount;
        uint16_t basis_points;
    } tips[] = {
        {"", EMVQR_TIP_NONE, 0, 0},
        {"550201", EMVQR_TIP_PROMPT, 0, 0},
        {"55020256031.5", EMVQR_TIP_FIXED, 150, 0},
        {"550203570500.01", EMVQR_TIP_PERCENTAGE, 0, 1},
        {"550203570599.99", EMVQR_TIP_PERCENTAGE, 0, 9999},
        {"55020357015", EMVQR_TIP_PERCENTAGE, 0, 500},
        {"55020357033.5", EMVQR_TIP_PERCENTAGE, 0, 350},
        {"55020357043.05", EMVQR_TIP_PERCENTAGE, 0, 305},
    };

    for (size_t i = 0; i < sizeof(tips) / sizeof(tips[0]); i++) {
        char plain[EMVQR_BYTES_MAX];
        (void)snprintf(plain, sizeof(plain), "%s%s%s%s", START, ACCOUNT, tips[i].fields, END);
        assert_int_equal(emvqr_parse(t_seal(plain, text), &code, &refusal), ERR_OK);
        assert_int_equal(code.tip, tips[i].tip);
        assert_int_equal(code.tip_amount, tips[i].amount);
        assert_int_equal(code.tip_basis_points, tips[i].basis_points);
    }
}

/* Order between the first and the last is free; ids without a meaning are passed over; a card
 * scheme's account is an account; Malaysia's format indicator is accepted. */
static void
t_liberties(void **state)
{
    (void)state;
    char text[EMVQR_BYTES_MAX];
    struct span sealed = t_seal(
        "0002026002NY5902Al5802US53039865204000002040123"
        "6503abc",
        text);
    assert_int_equal(emvqr_parse(sealed, &code, &refusal), ERR_OK);
    t_equal(code.city, "NY");
    assert_int_equal(emvqr_find(&code, NULL, 65)->child_count, 0);
    sealed = t_seal(START ACCOUNT "62071203abc" END, text);
    assert_int_equal(emvqr_parse(sealed, &code, &refusal), ERR_OK);
}

/* Templates of others may be anything: they are one value then. */
static void
t_own_templates(void **state)
{
    (void)state;
    static const char *const values[] = {
        "plain text", "00480065006C006C006F", "0104abcd", "0003ab"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char plain[EMVQR_BYTES_MAX];
        char text[EMVQR_BYTES_MAX];
        size_t size = strlen(values[i]);
        (void)snprintf(
            plain,
            sizeof(plain),
            START ACCOUNT END "62%02zu50%02zu%s81%02zu%s99080004test",
            size + 4,
            size,
            values[i],
            size,
            values[i]);
        assert_int_equal(emvqr_parse(t_seal(plain, text), &code, &refusal), ERR_OK);
        assert_int_equal(refusal.problem, EMVQR_FINE);
        const struct emvqr_node *own = emvqr_find(&code, NULL, 81);
        t_equal(own->value, values[i]);
        assert_int_equal(own->child_count, 0);
        own = emvqr_find(&code, emvqr_find(&code, NULL, 62), 50);
        t_equal(own->value, values[i]);
        assert_int_equal(own->child_count, 0);
        assert_int_equal(emvqr_find(&code, NULL, 99)->child_count, 1);
    }
}

/* Many small templates, up to the longest code: EMVQR_NODES_MAX is enough. */
static void
t_many_nodes(void **state)
{
    (void)state;
    char text[EMVQR_BYTES_MAX];
    char plain[EMVQR_BYTES_MAX] = START ACCOUNT END;
    size_t size = strlen(plain);
    for (int id = 27; id < 52 && size < EMVQR_CHARACTERS_MAX - 22; id++) {
        int added = snprintf(plain + size, sizeof(plain) - size, "%02d100001a0101b", id);
        assert_true(added > 0);
        size += (size_t)added;
    }
    assert_int_equal(emvqr_parse(t_seal(plain, text), &code, &refusal), ERR_OK);
    assert_true(code.node_count > 80 && code.node_count <= EMVQR_NODES_MAX);
}

static void
t_fit(void **state)
{
    (void)state;
    t_equal(emvqr_fit(SPAN("最佳运输"), 2), "最佳");
    t_equal(emvqr_fit(SPAN("abc"), 5), "abc");
    t_equal(emvqr_fit(SPAN("abc"), 0), "");
    t_equal(emvqr_fit(SPAN_EMPTY, 3), "");
}

static void
t_names(void **state)
{
    (void)state;
    for (int i = EMVQR_FINE; i <= EMVQR_ADDRESS_INVALID; i++) {
        assert_true(strlen(emvqr_problem_name((enum emvqr_problem)i)) > 0);
        assert_true(strlen(emvqr_problem_text((enum emvqr_problem)i)) > 0);
    }
    assert_string_equal(emvqr_additional_name(EMVQR_BILL_NUMBER), "bill_number");
    assert_null(emvqr_additional_name((enum emvqr_additional)0));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_crc),
        cmocka_unit_test(t_emvco),
        cmocka_unit_test(t_pix),
        cmocka_unit_test(t_national),
        cmocka_unit_test(t_byte_lengths),
        cmocka_unit_test(t_refused),
        cmocka_unit_test(t_refused_as_text),
        cmocka_unit_test(t_every_change),
        cmocka_unit_test(t_wide_change),
        cmocka_unit_test(t_every_prefix),
        cmocka_unit_test(t_amounts),
        cmocka_unit_test(t_tips),
        cmocka_unit_test(t_liberties),
        cmocka_unit_test(t_own_templates),
        cmocka_unit_test(t_many_nodes),
        cmocka_unit_test(t_fit),
        cmocka_unit_test(t_names),
    };
    return cmocka_run_group_tests_name("emvqr parse", tests, NULL, NULL);
}
