#include "emvqr/upi.h"

#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char memory[EMVQR_UPI_BYTES_MAX];
static struct emvqr_upi upi;
static struct emvqr_refusal refusal;

static void
t_equal(struct span found, const char *wanted)
{
    if (!span_equal_cstr(found, wanted)) {
        fail_msg("'%.*s' is not '%s'", SPAN_PRINTF(found), wanted);
    }
}

static void
t_reads(void **state)
{
    (void)state;
    struct span text =
        SPAN("upi://pay?pa=shop.1@bank&pn=Corner%20Shop%20%E0%A4%95&mc=5411&tid=T1&tr=order-7&"
             "tn=two%26more&am=125.5&mam=100&cu=INR&url=https%3A%2F%2Fexample.com%3Fa%3Db&mode=02&"
             "purpose=00&orgid=159761&sign=MEUC+a%3D&other=1&");
    assert_int_equal(emvqr_upi_parse(text, memory, &upi, &refusal), ERR_OK);
    t_equal(upi.payee, "shop.1@bank");
    t_equal(upi.payee_name, "Corner Shop क");
    t_equal(upi.category, "5411");
    t_equal(upi.terminal_transaction, "T1");
    t_equal(upi.reference, "order-7");
    t_equal(upi.note, "two&more");
    t_equal(upi.url, "https://example.com?a=b");
    t_equal(upi.mode, "02");
    t_equal(upi.purpose, "00");
    t_equal(upi.organisation, "159761");
    t_equal(upi.sign, "MEUC+a=");
    assert_true(upi.has_amount && upi.has_minimum);
    assert_int_equal(upi.amount, 12550);
    assert_int_equal(upi.minimum, 10000);
    assert_int_equal(emvqr_upi_parse(SPAN("UPI://PAY?pa=a@b&am="), memory, &upi, &refusal), ERR_OK);
    assert_false(upi.has_amount || upi.has_minimum);
}

static void
t_refused(void **state)
{
    (void)state;

    static const struct {
        const char *text;
        enum emvqr_problem problem;
        const char *path;
        size_t position;
    } cases[] = {
        {"", EMVQR_EMPTY, "", 0},
        {"upi://mandate?pa=a@b", EMVQR_NOT_A_CODE, "", 0},
        {"upi://pay?", EMVQR_FIELD_MISSING, "pa", 0},
        {"upi://pay?pn=x&pa=", EMVQR_FIELD_MISSING, "pa", 15},
        {"upi://pay?pa=ab", EMVQR_ADDRESS_INVALID, "pa", 10},
        {"upi://pay?pa=@b", EMVQR_ADDRESS_INVALID, "pa", 10},
        {"upi://pay?pa=a@", EMVQR_ADDRESS_INVALID, "pa", 10},
        {"upi://pay?pa=a@b@c", EMVQR_ADDRESS_INVALID, "pa", 10},
        {"upi://pay?pa=a%20@b", EMVQR_ADDRESS_INVALID, "pa", 10},
        {"upi://pay?pa=a@b&pa=c@d", EMVQR_ID_DUPLICATE, "pa", 10},
        {"upi://pay?am=&pa=a@b&am=", EMVQR_ID_DUPLICATE, "am", 10},
        {"upi://pay?pa=a@b&tn=%4", EMVQR_VALUE_INVALID, "tn", 17},
        {"upi://pay?pa=a@b&tn=%g0", EMVQR_VALUE_INVALID, "tn", 17},
        {"upi://pay?pa=a@b&tn=%00", EMVQR_VALUE_INVALID, "tn", 17},
        {"upi://pay?pa=a@b&tn=%ff", EMVQR_VALUE_INVALID, "tn", 17},
        {"upi://pay?pa=a@b&am=1.234", EMVQR_AMOUNT_DECIMALS, "am", 17},
        {"upi://pay?pa=a@b&am=1,2", EMVQR_AMOUNT_SYNTAX, "am", 17},
        {"upi://pay?pa=a@b&am=0.00", EMVQR_AMOUNT_ZERO, "am", 17},
        {"upi://pay?pa=a@b&mam=-1", EMVQR_AMOUNT_SYNTAX, "mam", 17},
        {"upi://pay?pa=a@b&cu=USD", EMVQR_CURRENCY_UNKNOWN, "cu", 17},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        err_t result = emvqr_upi_parse(span_from_cstr(cases[i].text), memory, &upi, &refusal);
        if (result != ERR_INVALID || refusal.problem != cases[i].problem ||
            strcmp(refusal.path, cases[i].path) != 0 || refusal.position != cases[i].position) {
            fail_msg(
                "%s: %s at '%s' %zu",
                cases[i].text,
                emvqr_problem_name(refusal.problem),
                refusal.path,
                refusal.position);
        }
    }
    char longest[EMVQR_UPI_BYTES_MAX + 1];
    memset(longest, 'a', sizeof(longest));
    memcpy(longest, "upi://pay?pa=a@", 15);
    assert_int_equal(
        emvqr_upi_parse(span_of(longest, sizeof(longest) - 1), memory, &upi, &refusal), ERR_OK);
    assert_int_equal(
        emvqr_upi_parse(span_of(longest, sizeof(longest)), memory, &upi, &refusal), ERR_INVALID);
    assert_int_equal(refusal.problem, EMVQR_TOO_LONG);
}

static void
t_kinds(void **state)
{
    (void)state;
    assert_int_equal(emvqr_kind_of(SPAN(VECTOR_EMVCO)), EMVQR_KIND_MERCHANT);
    assert_int_equal(emvqr_kind_of(SPAN(VECTOR_CONSUMER)), EMVQR_KIND_CONSUMER);
    assert_int_equal(emvqr_kind_of(SPAN("Upi://pay")), EMVQR_KIND_UPI);
    assert_int_equal(emvqr_kind_of(SPAN("https://example.com")), EMVQR_KIND_UNKNOWN);
    assert_int_equal(emvqr_kind_of(SPAN_EMPTY), EMVQR_KIND_UNKNOWN);
    assert_true(MERCHANT_VECTOR_COUNT > 5);
    for (size_t i = 0; i < MERCHANT_VECTOR_COUNT; i++) {
        assert_int_equal(emvqr_kind_of(span_from_cstr(merchant_vectors[i])), EMVQR_KIND_MERCHANT);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_reads),
        cmocka_unit_test(t_refused),
        cmocka_unit_test(t_kinds),
    };
    return cmocka_run_group_tests_name("emvqr upi", tests, NULL, NULL);
}
