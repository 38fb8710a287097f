#include "emvqr/build.h"

#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct emvqr_refusal refusal;

/* A draft that is complete. */
static struct emvqr_draft
t_draft(void)
{
    static const struct emvqr_leaf account[] = {
        {.path = {26, 0}, .depth = 2, .value = {.data = "org.test", .size = 8}},
        {.path = {26, 1}, .depth = 2, .value = {.data = "7", .size = 1}},
    };
    return (struct emvqr_draft){
        .currency = currency_find(SPAN("USD")),
        .category = SPAN("5812"),
        .country = SPAN("US"),
        .name = SPAN("Corner Cafe"),
        .city = SPAN("New York"),
        .leaves = account,
        .leaf_count = COUNT(account),
    };
}

static void
t_builds(const struct emvqr_draft *draft, const char *wanted)
{
    char memory[EMVQR_BYTES_MAX];
    struct buf out;
    buf_init_fixed(&out, memory, sizeof(memory));
    err_t result = emvqr_build(draft, &out, &refusal);
    if (result != ERR_OK) {
        fail_msg("%s at '%s'", emvqr_problem_name(refusal.problem), refusal.path);
    }
    if (!span_equal_cstr(buf_span(&out), wanted)) {
        fail_msg("%.*s\nis not\n%s", SPAN_PRINTF(buf_span(&out)), wanted);
    }
}

static void
t_refuses(const struct emvqr_draft *draft, enum emvqr_problem problem, const char *path)
{
    char memory[EMVQR_BYTES_MAX];
    struct buf out;
    buf_init_fixed(&out, memory, sizeof(memory));
    assert_int_equal(emvqr_build(draft, &out, &refusal), ERR_INVALID);
    if (refusal.problem != problem || strcmp(refusal.path, path) != 0) {
        fail_msg(
            "%s at '%s', not %s at '%s'",
            emvqr_problem_name(refusal.problem),
            refusal.path,
            emvqr_problem_name(problem),
            path);
    }
    assert_int_equal(out.size, 0);
}

/* The published codes whose objects are in ascending order. */
static void
t_vectors(void **state)
{
    (void)state;
    const struct emvqr_leaf pix[] = {
        {.path = {62, 50, 1}, .depth = 3, .value = SPAN("1.0.0")},
        {.path = {26, 1}, .depth = 2, .value = SPAN("FULANO2019 EXAMPLE.COM")},
        {.path = {62, 50, 0}, .depth = 3, .value = SPAN("BR.GOV.BCB.BRCODE")},
        {.path = {26, 0}, .depth = 2, .value = SPAN("BR.GOV.BCB.PIX")},
    };
    struct emvqr_draft draft = {
        .currency = currency_find(SPAN("BRL")),
        .category = SPAN("0000"),
        .country = SPAN("BR"),
        .name = SPAN("FULANO DE TAL"),
        .city = SPAN("BRASILIA"),
        .additional = {[EMVQR_REFERENCE_LABEL] = SPAN(EMVQR_PROMPT)},
        .leaves = pix,
        .leaf_count = COUNT(pix),
    };
    t_builds(&draft, VECTOR_PIX_NESTED);
    const struct emvqr_leaf vietqr[] = {
        {.path = {38, 0}, .depth = 2, .value = SPAN("A000000727")},
        {.path = {38, 1, 0}, .depth = 3, .value = SPAN("970415")},
        {.path = {38, 1, 1}, .depth = 3, .value = SPAN("0011001932418")},
        {.path = {38, 2}, .depth = 2, .value = SPAN("QRIBFTTA")},
    };
    draft = (struct emvqr_draft){
        .initiation = EMVQR_DYNAMIC,
        .currency = currency_find(SPAN("VND")),
        .has_amount = true,
        .amount = 120000,
        .country = SPAN("VN"),
        .additional = {[EMVQR_PURPOSE] = SPAN("ung ho lu lut")},
        .leaves = vietqr,
        .leaf_count = COUNT(vietqr),
    };
    t_builds(&draft, VECTOR_VIETQR_AMOUNT);
}

/* Everything that a draft can say comes back from the code. */
static void
t_everything(void **state)
{
    (void)state;
    char memory[EMVQR_BYTES_MAX];
    struct buf out;
    struct emvqr_code code;
    struct emvqr_draft draft = t_draft();
    draft.initiation = EMVQR_STATIC;
    draft.has_amount = true;
    draft.amount = 123456;
    draft.postal_code = SPAN("10001");
    draft.language = SPAN("zh");
    draft.language_name = SPAN("最佳运输");
    draft.language_city = SPAN("北京");
    for (int field = 1; field < EMVQR_ADDITIONAL_COUNT; field++) {
        draft.additional[field] = SPAN("123");
    }
    draft.additional[EMVQR_CONSUMER_DATA_REQUEST] = SPAN("AME");

    static const enum emvqr_tip tips[] = {
        EMVQR_TIP_NONE, EMVQR_TIP_PROMPT, EMVQR_TIP_FIXED, EMVQR_TIP_PERCENTAGE};

    for (size_t i = 0; i < COUNT(tips) * 2; i++) {
        draft.length_unit = i % 2 == 0 ? EMVQR_CHARACTERS : EMVQR_BYTES;
        draft.tip = tips[i / 2];
        draft.tip_amount = 50;
        draft.tip_basis_points = 1250;
        buf_init_fixed(&out, memory, sizeof(memory));
        assert_int_equal(emvqr_build(&draft, &out, &refusal), ERR_OK);
        assert_int_equal(emvqr_parse(buf_span(&out), &code, &refusal), ERR_OK);
        assert_int_equal(code.length_unit, draft.length_unit);
        assert_int_equal(code.initiation, EMVQR_STATIC);
        assert_int_equal(code.amount, 123456);
        assert_int_equal(code.tip, draft.tip);
        assert_int_equal(code.tip_amount, draft.tip == EMVQR_TIP_FIXED ? 50 : 0);
        assert_int_equal(code.tip_basis_points, draft.tip == EMVQR_TIP_PERCENTAGE ? 1250 : 0);
        assert_true(span_equal(code.category, draft.category));
        assert_true(span_equal(code.country, draft.country));
        assert_true(span_equal(code.name, draft.name));
        assert_true(span_equal(code.city, draft.city));
        assert_true(span_equal(code.postal_code, draft.postal_code));
        assert_true(span_equal(code.language, draft.language));
        assert_true(span_equal(code.language_name, draft.language_name));
        assert_true(span_equal(code.language_city, draft.language_city));
        for (int field = 1; field < EMVQR_ADDITIONAL_COUNT; field++) {
            assert_true(span_equal(code.additional[field], draft.additional[field]));
        }
    }
}

static void
t_missing(void **state)
{
    (void)state;
    struct emvqr_draft draft = t_draft();
    draft.currency = NULL;
    t_refuses(&draft, EMVQR_FIELD_MISSING, "53");
    draft = t_draft();
    draft.category = SPAN_EMPTY;
    t_refuses(&draft, EMVQR_FIELD_MISSING, "52");
    draft = t_draft();
    draft.leaf_count = 0;
    t_refuses(&draft, EMVQR_ACCOUNT_MISSING, "");
}

static void
t_bad_values(void **state)
{
    (void)state;
    struct emvqr_draft draft = t_draft();
    draft.name = SPAN("A name that is one too long");
    t_refuses(&draft, EMVQR_VALUE_LENGTH, "59");
    draft.name = SPAN("line\nend");
    t_refuses(&draft, EMVQR_CONTROL_CHARACTER, "");
    draft.name = SPAN("\xff");
    t_refuses(&draft, EMVQR_UTF8_INVALID, "");
    draft = t_draft();
    draft.country = SPAN("usa");
    t_refuses(&draft, EMVQR_VALUE_LENGTH, "58");
    draft = t_draft();
    draft.has_amount = true;
    t_refuses(&draft, EMVQR_AMOUNT_RANGE, "54");
    draft.amount = -1;
    t_refuses(&draft, EMVQR_AMOUNT_RANGE, "54");
    draft.amount = INT64_MAX;
    t_refuses(&draft, EMVQR_AMOUNT_RANGE, "54");
    draft.amount = INT64_C(1000000000000);
    t_refuses(&draft, EMVQR_AMOUNT_RANGE, "54");
    draft = t_draft();
    draft.tip = EMVQR_TIP_PERCENTAGE;
    t_refuses(&draft, EMVQR_PERCENTAGE, "57");
    draft.tip_basis_points = 10000;
    t_refuses(&draft, EMVQR_PERCENTAGE, "57");
    draft.tip = EMVQR_TIP_FIXED;
    t_refuses(&draft, EMVQR_AMOUNT_RANGE, "56");
    draft = t_draft();
    draft.language_city = SPAN("Paris");
    t_refuses(&draft, EMVQR_FIELD_MISSING, "64-00");
}

static void
t_leaves(void **state)
{
    (void)state;
    char long_value[200];
    memset(long_value, 'a', sizeof(long_value));
    const struct emvqr_leaf account = {.path = {26, 0}, .depth = 2, .value = SPAN("org.test")};

    const struct {
        struct emvqr_leaf leaf;
        enum emvqr_problem problem;
        const char *path;
    } cases[] = {
        {{.path = {26, 0}, .depth = 2, .value = SPAN("again")}, EMVQR_ID_DUPLICATE, "26-00"},
        {{.path = {26}, .depth = 1, .value = SPAN("again")}, EMVQR_ID_DUPLICATE, "26"},
        {{.path = {27}, .depth = 1, .value = SPAN("0100")}, EMVQR_LENGTH_INVALID, "27-01"},
        {{.path = {27, 1}, .depth = 2, .value = SPAN("x")}, EMVQR_FIELD_MISSING, "27-00"},
        {{.path = {26, 1}, .depth = 2}, EMVQR_LENGTH_INVALID, "26-01"},
        {{.path = {26, 1}, .depth = 2, .value = {long_value, 100}}, EMVQR_VALUE_LENGTH, "26-01"},
        {{.path = {26, 1}, .depth = 2, .value = {long_value, 84}}, EMVQR_VALUE_LENGTH, "26"},
        {{.path = {26, 1, 1}, .depth = 3, .value = {long_value, 96}}, EMVQR_VALUE_LENGTH, "26-01"},
        {{.path = {100}, .depth = 1, .value = SPAN("x")}, EMVQR_ID_INVALID, ""},
        {{.path = {26, 100}, .depth = 2, .value = SPAN("x")}, EMVQR_ID_INVALID, "26"},
        {{.depth = 0, .value = SPAN("x")}, EMVQR_DEPTH, ""},
        {{.path = {26}, .depth = 4, .value = SPAN("x")}, EMVQR_DEPTH, ""},
        {{.path = {0}, .depth = 1, .value = SPAN("01")}, EMVQR_FIELD_UNEXPECTED, "00"},
        {{.path = {54}, .depth = 1, .value = SPAN("1")}, EMVQR_FIELD_UNEXPECTED, "54"},
        {{.path = {63}, .depth = 1, .value = SPAN("ABCD")}, EMVQR_FIELD_UNEXPECTED, "63"},
        {{.path = {62, 5}, .depth = 2, .value = SPAN("x")}, EMVQR_FIELD_UNEXPECTED, "62-05"},
        {{.path = {64, 0}, .depth = 2, .value = SPAN("xx")}, EMVQR_FIELD_UNEXPECTED, "64-00"},
        {{.path = {54, 1}, .depth = 2, .value = SPAN("1")}, EMVQR_FIELD_UNEXPECTED, "54-01"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct emvqr_leaf leaves[] = {account, cases[i].leaf};
        struct emvqr_draft draft = t_draft();
        draft.leaves = leaves;
        draft.leaf_count = 2;
        t_refuses(&draft, cases[i].problem, cases[i].path);
    }
    struct emvqr_leaf many[EMVQR_NODES_MAX];
    for (size_t i = 0; i < COUNT(many); i++) {
        many[i] = account;
    }
    struct emvqr_draft draft = t_draft();
    draft.leaves = many;
    draft.leaf_count = COUNT(many);
    t_refuses(&draft, EMVQR_TOO_MANY, "26-00");
    /* The most that fits: 99 characters of a template, also of four bytes each. */
    const struct emvqr_leaf most[] = {
        account, {.path = {26, 1}, .depth = 2, .value = {long_value, 83}}};
    draft.leaves = most;
    draft.leaf_count = COUNT(most);
    char memory[EMVQR_BYTES_MAX];
    struct buf out;
    buf_init_fixed(&out, memory, sizeof(memory));
    assert_int_equal(emvqr_build(&draft, &out, &refusal), ERR_OK);
    for (size_t i = 0; i < 25; i++) {
        memcpy(long_value + 4 * i, "\xf0\x9f\x8d\x9c", 4);
    }
    const struct emvqr_leaf wide[] = {
        account, {.path = {26, 1}, .depth = 2, .value = {long_value, 100}}};
    draft.leaves = wide;
    buf_clear(&out);
    assert_int_equal(emvqr_build(&draft, &out, &refusal), ERR_OK);
}

/* Five templates of 99 characters are more than a code may have. */
static void
t_too_long(void **state)
{
    (void)state;
    char value[80];
    struct emvqr_leaf leaves[10];
    memset(value, 'a', sizeof(value));
    for (uint8_t i = 0; i < 5; i++) {
        leaves[2 * i] = (struct emvqr_leaf){
            .path = {(uint8_t)(26 + i), 0}, .depth = 2, .value = SPAN("org.test")};
        leaves[2 * i + 1] = (struct emvqr_leaf){
            .path = {(uint8_t)(26 + i), 1}, .depth = 2, .value = {value, sizeof(value)}};
    }
    struct emvqr_draft draft = t_draft();
    draft.leaves = leaves;
    draft.leaf_count = COUNT(leaves);
    t_refuses(&draft, EMVQR_TOO_LONG, "");
}

/* A buffer that is too small is not written to. */
static void
t_small_buffer(void **state)
{
    (void)state;
    char memory[64];
    struct buf out;
    struct emvqr_draft draft = t_draft();
    buf_init_fixed(&out, memory, sizeof(memory));
    assert_int_equal(emvqr_build(&draft, &out, &refusal), ERR_FULL);
    assert_true(buf_failed(&out));
    assert_int_equal(out.size, 0);
}

static void
t_amount_text(void **state)
{
    (void)state;

    static const struct {
        const char *currency;
        int64_t amount;
        const char *text;
    } amounts[] = {
        {"USD", 1, "0.01"},
        {"USD", 10, "0.10"},
        {"USD", 123456, "1234.56"},
        {"JPY", 500, "500"},
        {"KWD", 1005, "1.005"},
        {"CLF", 1, "0.0001"},
        {"USD", 0, "0.00"},
    };

    for (size_t i = 0; i < COUNT(amounts); i++) {
        char memory[32];
        struct buf out;
        const struct currency *currency = currency_find(span_from_cstr(amounts[i].currency));
        buf_init_fixed(&out, memory, sizeof(memory));
        emvqr_amount_append(&out, amounts[i].amount, currency);
        assert_true(span_equal_cstr(buf_span(&out), amounts[i].text));
        int64_t again = -1;
        enum emvqr_problem problem;
        assert_int_equal(emvqr_amount_parse(buf_span(&out), currency, &again, &problem), ERR_OK);
        assert_int_equal(again, amounts[i].amount);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_vectors),
        cmocka_unit_test(t_everything),
        cmocka_unit_test(t_missing),
        cmocka_unit_test(t_bad_values),
        cmocka_unit_test(t_leaves),
        cmocka_unit_test(t_too_long),
        cmocka_unit_test(t_small_buffer),
        cmocka_unit_test(t_amount_text),
    };
    return cmocka_run_group_tests_name("emvqr build", tests, NULL, NULL);
}
