#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "page.h"
#include "url.h"

#include <stdlib.h>
#include <string.h>

static char *
t_page(const struct payments_page *page)
{
    struct buf out;
    buf_init(&out, PAYMENTS_PAGE_SIZE_MAX);
    payments_page_write(&out, page);
    buf_append_byte(&out, '\0');
    assert_false(buf_failed(&out));
    char *text = strdup(out.data);
    assert_non_null(text);
    buf_release(&out);
    return text;
}

static struct payments_page
t_form(void)
{
    return (struct payments_page){
        .kind = PAYMENTS_PAGE_FORM,
        .amount = {.amount = 123456, .currency = currency_find(SPAN("usd"))},
        .brand = SPAN("visa"),
        .last4 = SPAN("3220"),
    };
}

static void
test_form(void **state)
{
    (void)state;
    struct payments_page page = t_form();
    char *text = t_page(&page);
    assert_non_null(strstr(text, "<form method=\"post\">"));
    assert_non_null(strstr(text, "1234.56 USD"));
    assert_non_null(strstr(text, "Visa ending in 3220"));
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "href"));
    free(text);
    page.setup = true;
    text = t_page(&page);
    assert_null(strstr(text, "USD"));
    free(text);
}

static void
test_texts_are_escaped(void **state)
{
    (void)state;
    struct payments_page page = t_form();
    page.brand = SPAN("<b>&\"'");
    char *text = t_page(&page);
    assert_non_null(strstr(text, "&lt;b&gt;&amp;&quot;&#39;"));
    assert_null(strstr(text, "<b>"));
    free(text);
    page.kind = PAYMENTS_PAGE_FAILED;
    page.location = SPAN("https://shop.example/?a=1&b='\"><script>");
    text = t_page(&page);
    assert_non_null(
        strstr(text, "href=\"https://shop.example/?a=1&amp;b=&#39;&quot;&gt;&lt;script&gt;\""));
    assert_null(strstr(text, "<script"));
    free(text);
}

static void
test_ends(void **state)
{
    (void)state;

    static const enum payments_page_kind kinds[] = {
        PAYMENTS_PAGE_SUCCEEDED,
        PAYMENTS_PAGE_PENDING,
        PAYMENTS_PAGE_FAILED,
        PAYMENTS_PAGE_UNKNOWN,
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct payments_page page = {.kind = kinds[i]};
        char *first = t_page(&page);
        assert_null(strstr(first, "<form"));
        assert_null(strstr(first, "<a "));
        page.setup = true;
        char *second = t_page(&page);
        assert_int_equal(strcmp(first, second) == 0, kinds[i] == PAYMENTS_PAGE_UNKNOWN);
        free(first);
        free(second);
    }
}

static bool
t_refusal_has(int status, const char *part)
{
    struct buf out;
    buf_init(&out, PAYMENTS_PAGE_SIZE_MAX);
    payments_page_refusal_write(status, &out);
    buf_append_byte(&out, '\0');
    assert_false(buf_failed(&out));
    bool has = strstr(out.data, part) != NULL;
    buf_release(&out);
    return has;
}

static void
test_refusals(void **state)
{
    (void)state;
    static const int again[] = {409, 429, 500, 503};
    static const int never[] = {400, 403, 404, 413};

    for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++) {
        assert_true(t_refusal_has(again[i], "href=\"\""));
        assert_false(t_refusal_has(never[i], "href"));
        assert_true(t_refusal_has(never[i], "This page is not available"));
    }
}

static void
test_it_is_bounded(void **state)
{
    (void)state;
    static char long_text[PAYMENTS_PAGE_SIZE_MAX];
    memset(long_text, '&', sizeof(long_text));
    struct payments_page page = t_form();
    page.brand = span_of(long_text, sizeof(long_text));
    struct buf out;
    buf_init(&out, PAYMENTS_PAGE_SIZE_MAX);
    payments_page_write(&out, &page);
    assert_true(buf_failed(&out));
    buf_release(&out);
}

static void
test_urls(void **state)
{
    (void)state;
    static const char *const sound[] = {
        "https://shop.example",
        "HTTP://shop.example/a?b=c&d='e'#f",
        "http://[::1]:3000/",
        "shop-app://done",
        "a+b.c-1://x",
        "https://x/%00~!@$()*,;:_",
    };
    static const char *const bad[] = {
        "",
        "https",
        "https:",
        "https:/x",
        "https://",
        "://x",
        "1https://x",
        "ht tp://x",
        "ht/tp://x",
        "/x://y",
        "//shop.example",
        "javascript://x/%0aalert(1)",
        "JAVAscript://x",
        "data://x",
        "vbscript://x",
        "file:///etc/passwd",
        "blob://x",
        "view-source://x",
        "https://x y",
        "https://x\r\nSet-Cookie: a=b",
        "https://x\t",
        "https://x\"",
        "https://<x>",
        "https://x\\y",
        "https://x`",
        "https://{x}",
        "https://x|y",
        "https://x^y",
        "https://x\x7f",
        "https://x\xc3\xa4",
    };
    for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
        assert_true(payments_url_is_sound(span_from_cstr(sound[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(payments_url_is_sound(span_from_cstr(bad[i])));
    }
    assert_false(payments_url_is_sound(span_of("https://x\0y", 11)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_texts_are_escaped),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_it_is_bounded),
        cmocka_unit_test(test_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
