#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "checkout_page.h"

#include <string.h>

#define LINES_MAX       100
#define NAME_MAX_BYTES  500
#define ABOUT_MAX_BYTES 1000
#define HOSTILE         "</p><script>\"'&"

/* The page as a text; the caller releases it. */
static const char *
t_write(struct buf *out, const struct payments_checkout_page *page)
{
    buf_init(out, PAYMENTS_CHECKOUT_PAGE_SIZE_MAX);
    payments_checkout_page_write(out, page);
    buf_append_byte(out, '\0');
    assert_false(buf_failed(out));
    return out->data;
}

static struct payments_checkout_page
t_page(enum payments_checkout_page_kind kind)
{
    return (struct payments_checkout_page){
        .kind = kind,
        .merchant = SPAN(HOSTILE),
        .total = {.amount = 1234, .currency = currency_find(SPAN("usd"))},
        .verb = "Pay",
        .cancel_url = SPAN("https://shop.example/?a=1&b='2"),
        .takes_card = true,
        .takes_code = true,
        .asks_email = true,
        .name = SPAN(HOSTILE),
        .email = SPAN(HOSTILE),
        .expiry = SPAN(HOSTILE),
        .challenge = SPAN("https://pay.example/a'b"),
        .picture = SPAN("../x'.svg"),
    };
}

static void
test_every_kind_is_whole_and_runs_nothing(void **state)
{
    (void)state;
    for (int kind = PAYMENTS_CHECKOUT_PAGE_FORM; kind <= PAYMENTS_CHECKOUT_PAGE_UNKNOWN; kind++) {
        const struct payments_checkout_page page = t_page((enum payments_checkout_page_kind)kind);
        struct buf out;
        const char *text = t_write(&out, &page);
        assert_non_null(strstr(text, "</html>\n"));
        assert_null(strstr(text, "<script"));
        assert_null(strstr(text, "a'b"));
        bool asks = strstr(text, "<form") != NULL;
        assert_int_equal(asks, kind == PAYMENTS_CHECKOUT_PAGE_FORM);
        buf_release(&out);
    }
}

static void
test_secrets_have_no_value(void **state)
{
    (void)state;
    struct payments_checkout_page page = t_page(PAYMENTS_CHECKOUT_PAGE_FORM);
    page.errors.number = "Wrong.";
    page.errors.cvc = "Wrong, too.";
    struct buf out;
    const char *text = t_write(&out, &page);
    static const char *const ids[] = {"<input id=\"number\"", "<input id=\"cvc\""};
    for (size_t i = 0; i < 2; i++) {
        const char *field = strstr(text, ids[i]);
        assert_non_null(field);
        const char *end = strchr(field, '>');
        const char *value = strstr(field, " value=");
        assert_true(value == NULL || value > end);
        assert_non_null(strstr(field, "aria-invalid=\"true\""));
    }
    assert_non_null(strstr(text, "Wrong."));
    buf_release(&out);
}

static void
test_too_many_cards_leave_the_code(void **state)
{
    (void)state;
    struct payments_checkout_page page = t_page(PAYMENTS_CHECKOUT_PAGE_FORM);
    page.too_many = true;
    struct buf out;
    const char *text = t_write(&out, &page);
    assert_null(strstr(text, "cc-number"));
    assert_non_null(strstr(text, "mobile_qr"));
    buf_release(&out);
}

static void
test_the_largest_session_fits(void **state)
{
    (void)state;
    static char quotes[ABOUT_MAX_BYTES];
    static struct payments_checkout_line lines[LINES_MAX];
    memset(quotes, '"', sizeof(quotes));
    for (size_t i = 0; i < LINES_MAX; i++) {
        lines[i] = (struct payments_checkout_line){
            .name = span_of(quotes, NAME_MAX_BYTES),
            .description = span_of(quotes, ABOUT_MAX_BYTES),
            .quantity = 999999,
            .cost = {.amount = 99999999, .currency = currency_find(SPAN("usd"))},
        };
    }
    struct payments_checkout_page page = t_page(PAYMENTS_CHECKOUT_PAGE_FORM);
    page.lines = lines;
    page.line_count = LINES_MAX;
    struct buf out;
    assert_non_null(strstr(t_write(&out, &page), "&times; 999999"));
    buf_release(&out);
}

static void
test_a_refusal_says_what_to_do(void **state)
{
    (void)state;
    static const int statuses[] = {400, 404, 409, 413, 429, 500, 503};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        struct buf out;
        buf_init(&out, PAYMENTS_CHECKOUT_PAGE_SIZE_MAX);
        payments_checkout_refusal_write(statuses[i], &out);
        buf_append_byte(&out, '\0');
        assert_false(buf_failed(&out));
        assert_non_null(strstr(out.data, "<h1>"));
        assert_non_null(strstr(out.data, "</html>\n"));
        buf_release(&out);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_is_whole_and_runs_nothing),
        cmocka_unit_test(test_secrets_have_no_value),
        cmocka_unit_test(test_too_many_cards_leave_the_code),
        cmocka_unit_test(test_the_largest_session_fits),
        cmocka_unit_test(test_a_refusal_says_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
