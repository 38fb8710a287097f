#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "csv.h"

static void
t_expect_text(const char *text, const char *wanted)
{
    struct buf out;
    buf_init(&out, 1000);
    wallets_csv_text(&out, span_from_cstr(text));
    if (!span_equal_cstr(buf_span(&out), wanted)) {
        fail_msg("%s became %.*s", text, SPAN_PRINTF(buf_span(&out)));
    }
    buf_release(&out);
}

static void
texts_are_quoted(void **state)
{
    (void)state;
    t_expect_text("", "\"\"");
    t_expect_text("lunch", "\"lunch\"");
    t_expect_text("a,b", "\"a,b\"");
    t_expect_text("say \"hi\"", "\"say \"\"hi\"\"\"");
    t_expect_text("\"", "\"\"\"\"");
    t_expect_text("two\nlines", "\"two\nlines\"");
}

static void
formulas_are_not_formulas(void **state)
{
    (void)state;
    t_expect_text("=1+1", "\"'=1+1\"");
    t_expect_text("+1", "\"'+1\"");
    t_expect_text("-1", "\"'-1\"");
    t_expect_text("@SUM(A1)", "\"'@SUM(A1)\"");
    t_expect_text("\t=1", "\"'\t=1\"");
    t_expect_text("\r=1", "\"'\r=1\"");
    t_expect_text("\n=1", "\"'\n=1\"");
    t_expect_text("=\"x\"", "\"'=\"\"x\"\"\"");
    t_expect_text("1=1", "\"1=1\"");
}

static void
t_expect_amount(int64_t amount, const char *code, const char *wanted)
{
    struct buf out;
    buf_init(&out, 1000);
    const struct money money = {.amount = amount, .currency = currency_find(span_from_cstr(code))};
    wallets_csv_amount(&out, money);
    if (!span_equal_cstr(buf_span(&out), wanted)) {
        fail_msg("%lld became %.*s", (long long)amount, SPAN_PRINTF(buf_span(&out)));
    }
    buf_release(&out);
}

static void
amounts(void **state)
{
    (void)state;
    t_expect_amount(0, "usd", "0.00");
    t_expect_amount(5, "usd", "0.05");
    t_expect_amount(-5, "usd", "-0.05");
    t_expect_amount(123456, "usd", "1234.56");
    t_expect_amount(7, "jpy", "7");
    t_expect_amount(-700, "jpy", "-700");
    t_expect_amount(1, "kwd", "0.001");
    t_expect_amount(12345, "kwd", "12.345");
    t_expect_amount(INT64_MAX, "usd", "92233720368547758.07");
    t_expect_amount(INT64_MIN, "jpy", "-9223372036854775808");
}

static void
times(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1000);
    wallets_csv_time(&out, INT64_C(1795846929));
    assert_true(span_equal_cstr(buf_span(&out), "2026-11-28T06:22:09Z"));
    buf_release(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_quoted),
        cmocka_unit_test(formulas_are_not_formulas),
        cmocka_unit_test(amounts),
        cmocka_unit_test(times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
