#include "emvqr/scheme.h"

#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define REFERENCE    "pi_0K7mQxAbCdEfGhIjKlMnO2"

static struct emvqr_code code;
static struct emvqr_refusal refusal;

struct known {
    const char *text;
    enum emvqr_scheme scheme;
    uint8_t id;
    const char *fields; /* "name=value " each */
};

static const struct known published[] = {
    {VECTOR_PROMPTPAY, EMVQR_SCHEME_PROMPTPAY, 29, "phone=0066812223333 "},
    {VECTOR_PROMPTPAY_AMOUNT, EMVQR_SCHEME_PROMPTPAY, 29, "phone=0066899999999 "},
    {VECTOR_PIX,
     EMVQR_SCHEME_PIX,
     26,
     "key=123e4567-e12b-12d1-a456-426655440000 transaction_id=*** "},
    {VECTOR_PIX_NESTED, EMVQR_SCHEME_PIX, 26, "key=FULANO2019 EXAMPLE.COM transaction_id=*** "},
    {VECTOR_VIETQR, EMVQR_SCHEME_VIETQR, 38, "bank=970403 account=0011012345678 service=QRIBFTTA "},
    {VECTOR_EMVCO, EMVQR_SCHEME_UNKNOWN, 29, ""},
};

/* Codes of the other schemes, composed after their documents. */
struct composed {
    const char *country;
    const char *currency;
    struct emvqr_leaf leaves[10];
    size_t leaf_count;
    enum emvqr_scheme scheme; /* of the code */
    const char *accounts;     /* "scheme id name=value ... " each */
};

#define LEAF(a, b, text)                                                                           \
    {                                                                                              \
        .path = {a, b}, .depth = 2, .value = {.data = text, .size = sizeof(text) - 1 }             \
    }

static const struct composed composed[] = {
    {
        .country = "TH",
        .currency = "THB",
        .leaves =
            {LEAF(30, 0, "A000000677010112"),
             LEAF(30, 1, "012345678901234"),
             LEAF(30, 2, "ORDER1"),
             LEAF(30, 3, "SHOP2")},
        .leaf_count = 4,
        .scheme = EMVQR_SCHEME_PROMPTPAY_BILL,
        .accounts = "promptpay_bill 30 biller=012345678901234 reference_1=ORDER1 "
                    "reference_2=SHOP2 ",
    },
    {
        .country = "BR",
        .currency = "BRL",
        .leaves = {LEAF(26, 0, "BR.gov.bcb.pix"), LEAF(26, 25, "pix.example.com/qr/v2/9d36b84f")},
        .leaf_count = 2,
        .scheme = EMVQR_SCHEME_PIX,
        .accounts = "pix 26 url=pix.example.com/qr/v2/9d36b84f ",
    },
    {
        .country = "SG",
        .currency = "SGD",
        .leaves =
            {LEAF(27, 0, "SG.COM.WALLET"),
             LEAF(26, 0, "SG.PAYNOW"),
             LEAF(26, 1, "2"),
             LEAF(26, 2, "201403121W"),
             LEAF(26, 3, "0"),
             LEAF(26, 4, "20301231"),
             LEAF(51, 0, "SG.SGQR"),
             LEAF(51, 1, "18112300317D"),
             LEAF(51, 3, "228208")},
        .leaf_count = 9,
        .scheme = EMVQR_SCHEME_PAYNOW,
        .accounts = "paynow 26 proxy_type=2 proxy=201403121W editable=0 expiry=20301231 "
                    "unknown 27 sgqr 51 sgqr_id=18112300317D postal_code=228208 ",
    },
    {
        .country = "SG",
        .currency = "SGD",
        .leaves = {LEAF(27, 0, "SG.COM.WALLET"), LEAF(51, 0, "SG.SGQR")},
        .leaf_count = 2,
        .scheme = EMVQR_SCHEME_SGQR,
        .accounts = "unknown 27 sgqr 51 ",
    },
    {
        .country = "MY",
        .currency = "MYR",
        .leaves = {LEAF(26, 0, "A0000006150001"), LEAF(26, 1, "501854"), LEAF(26, 2, "MERCHANT7")},
        .leaf_count = 3,
        .scheme = EMVQR_SCHEME_DUITNOW,
        .accounts = "duitnow 26 acquirer=501854 merchant_id=MERCHANT7 ",
    },
    {
        .country = "ID",
        .currency = "IDR",
        .leaves =
            {LEAF(26, 0, "ID.CO.BANK.WWW"),
             LEAF(26, 1, "936000091100000000"),
             LEAF(26, 2, "000000000001"),
             LEAF(26, 3, "UMI"),
             LEAF(51, 0, "ID.CO.QRIS.WWW"),
             LEAF(51, 2, "ID1020000000001"),
             LEAF(51, 3, "UMI")},
        .leaf_count = 7,
        .scheme = EMVQR_SCHEME_QRIS,
        .accounts = "qris 26 merchant_pan=936000091100000000 merchant_id=000000000001 criteria=UMI "
                    "qris 51 national_merchant_id=ID1020000000001 criteria=UMI ",
    },
    {
        .country = "US", /* the same issuer elsewhere is not QRIS */
        .currency = "IDR",
        .leaves = {LEAF(26, 0, "ID.CO.BANK.WWW")},
        .leaf_count = 1,
        .scheme = EMVQR_SCHEME_UNKNOWN,
        .accounts = "unknown 26 ",
    },
    {
        .country = "HK",
        .currency = "HKD",
        .leaves =
            {LEAF(26, 0, "hk.com.hkicl"),
             LEAF(26, 2, "1234567"),
             LEAF(26, 4, "pay@example.com"),
             LEAF(26, 5, "20301231235959")},
        .leaf_count = 4,
        .scheme = EMVQR_SCHEME_FPS,
        .accounts = "fps 26 fps_id=1234567 email=pay@example.com expiry=20301231235959 ",
    },
    {
        .country = "VN", /* what should hold objects does not */
        .currency = "VND",
        .leaves = {LEAF(38, 0, "A000000727"), LEAF(38, 1, "nothing"), LEAF(38, 2, "QRIBFTTC")},
        .leaf_count = 3,
        .scheme = EMVQR_SCHEME_VIETQR,
        .accounts = "vietqr 38 service=QRIBFTTC ",
    },
    {
        .country = "TH", /* a code of ours that other apps can pay too */
        .currency = "THB",
        .leaves =
            {LEAF(29, 0, "A000000677010111"),
             LEAF(29, 1, "0066812223333"),
             LEAF(31, 0, "ORG.TAEL"),
             LEAF(31, 1, REFERENCE)},
        .leaf_count = 4,
        .scheme = EMVQR_SCHEME_TAEL,
        .accounts = "promptpay 29 phone=0066812223333 tael 31 reference=" REFERENCE " ",
    },
};

static void
t_append_fields(struct buf *out, const struct emvqr_account *account)
{
    for (uint32_t i = 0; i < account->field_count; i++) {
        const struct emvqr_scheme_field *field = &account->fields[i];
        buf_append_format(out, "%s=%.*s ", field->name, SPAN_PRINTF(field->value));
        assert_true(span_equal(emvqr_account_field(account, field->name), field->value));
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
t_published(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(published); i++) {
        char text[1024];
        struct buf out;
        struct emvqr_account account;
        buf_init_fixed(&out, text, sizeof(text));
        assert_int_equal(emvqr_parse(span_from_cstr(published[i].text), &code, &refusal), ERR_OK);
        assert_int_equal(emvqr_code_scheme(&code), published[i].scheme);
        const struct emvqr_node *node = emvqr_find(&code, NULL, published[i].id);
        assert_true(emvqr_account_read(&code, node, &account));
        assert_int_equal(account.scheme, published[i].scheme);
        assert_int_equal(account.id, published[i].id);
        t_append_fields(&out, &account);
        t_equal(buf_span(&out), published[i].fields);
        assert_int_equal(emvqr_account_field(&account, "no such").size, 0);
        assert_false(emvqr_account_read(&code, emvqr_find(&code, NULL, 53), &account));
        struct span reference;
        assert_false(emvqr_tael_reference(&code, &reference));
    }
}

static void
t_composed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(composed); i++) {
        const struct emvqr_draft draft = {
            .currency = currency_find(span_from_cstr(composed[i].currency)),
            .category = SPAN("0000"),
            .country = span_from_cstr(composed[i].country),
            .name = SPAN("NA"),
            .city = SPAN("NA"),
            .leaves = composed[i].leaves,
            .leaf_count = composed[i].leaf_count,
        };
        char memory[EMVQR_BYTES_MAX];
        char text[1024];
        struct buf built;
        struct buf out;
        buf_init_fixed(&built, memory, sizeof(memory));
        buf_init_fixed(&out, text, sizeof(text));
        assert_int_equal(emvqr_build(&draft, &built, &refusal), ERR_OK);
        assert_int_equal(emvqr_parse(buf_span(&built), &code, &refusal), ERR_OK);
        for (uint32_t n = 0; n < code.node_count; n++) {
            struct emvqr_account account;
            if (emvqr_account_read(&code, &code.nodes[n], &account)) {
                buf_append_format(&out, "%s %u ", emvqr_scheme_name(account.scheme), account.id);
                t_append_fields(&out, &account);
            }
        }
        t_equal(buf_span(&out), composed[i].accounts);
        assert_int_equal(emvqr_code_scheme(&code), composed[i].scheme);
    }
}

static void
t_tael(void **state)
{
    (void)state;
    char memory[EMVQR_BYTES_MAX];
    struct buf out;
    struct emvqr_leaf leaves[2];
    struct emvqr_draft draft;
    struct span reference = SPAN_EMPTY;
    emvqr_tael_draft(SPAN(REFERENCE), leaves, &draft);
    draft.initiation = EMVQR_DYNAMIC;
    draft.currency = currency_find(SPAN("EUR"));
    draft.has_amount = true;
    draft.amount = 1250;
    draft.category = SPAN("5812");
    draft.country = SPAN("AT");
    draft.name = SPAN("Kaffeehaus Österreich");
    draft.city = SPAN("Wien");
    buf_init_fixed(&out, memory, sizeof(memory));
    assert_int_equal(emvqr_build(&draft, &out, &refusal), ERR_OK);
    t_equal(
        span_slice(buf_span(&out), 0, out.size - 4),
        "00020101021226410008org.tael0125" REFERENCE
        "520458125303978540512.505802AT5921Kaffeehaus Österreich6004Wien6304");
    assert_int_equal(emvqr_parse(buf_span(&out), &code, &refusal), ERR_OK);
    assert_int_equal(emvqr_code_scheme(&code), EMVQR_SCHEME_TAEL);
    assert_true(emvqr_tael_reference(&code, &reference));
    t_equal(reference, REFERENCE);
}

/* The reference has the form of a public id. */
static void
t_tael_references(void **state)
{
    (void)state;

    static const struct {
        const char *text;
        bool good;
    } references[] = {
        {REFERENCE, true},
        {"qrcode_0000000000000000000001", true},
        {"abcdefg_0K7mQxAbCdEfGhIjKlMnO2", true},
        {"abcdefgh_0K7mQxAbCdEfGhIjKlMnO2", false},
        {"pi_0K7mQxAbCdEfGhIjKlMnO", false},
        {"pi_0K7mQxAbCdEfGhIjKlMnO22", false},
        {"pi_0K7mQxAbCdEfGhIjKlMn-2", false},
        {"pi_zzzzzzzzzzzzzzzzzzzzzz", false},
        {"PI_0K7mQxAbCdEfGhIjKlMnO2", false},
        {"_0K7mQxAbCdEfGhIjKlMnO2", false},
        {"pi0K7mQxAbCdEfGhIjKlMnO2", false},
    };

    for (size_t i = 0; i < COUNT(references); i++) {
        char memory[EMVQR_BYTES_MAX];
        struct buf out;
        struct emvqr_leaf leaves[2];
        struct emvqr_draft draft;
        emvqr_tael_draft(span_from_cstr(references[i].text), leaves, &draft);
        draft.currency = currency_find(SPAN("EUR"));
        draft.category = SPAN("5812");
        draft.country = SPAN("AT");
        draft.name = SPAN("Kaffeehaus");
        draft.city = SPAN("Wien");
        buf_init_fixed(&out, memory, sizeof(memory));
        err_t result = emvqr_build(&draft, &out, &refusal);
        if ((result == ERR_OK) != references[i].good) {
            fail_msg("%s", references[i].text);
        }
        if (!references[i].good) {
            assert_int_equal(refusal.problem, EMVQR_REFERENCE);
            assert_string_equal(refusal.path, "26-01");
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_published),
        cmocka_unit_test(t_composed),
        cmocka_unit_test(t_tael),
        cmocka_unit_test(t_tael_references),
    };
    return cmocka_run_group_tests_name("emvqr scheme", tests, NULL, NULL);
}
