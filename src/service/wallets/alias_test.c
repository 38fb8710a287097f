#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alias.h"

#include <string.h>

static void
t_expect(enum wallets_alias_kind kind, const char *text, const char *wanted)
{
    struct arena arena;
    struct span alias = SPAN_EMPTY;
    arena_init(&arena, 1U << 16);
    bool taken = wallets_alias_normalize(kind, span_from_cstr(text), &arena, &alias);
    if (taken != (wanted != NULL) || (taken && !span_equal_cstr(alias, wanted))) {
        fail_msg("'%s' became '%.*s'", text, taken ? (int)alias.size : 0, alias.data);
    }
    arena_release(&arena);
}

static void
emails(void **state)
{
    (void)state;
    t_expect(WALLETS_ALIAS_EMAIL, "Ann.Lee+x@Example.COM", "ann.lee+x@example.com");
    t_expect(WALLETS_ALIAS_EMAIL, "  a@b.co\t", "a@b.co");
    t_expect(
        WALLETS_ALIAS_EMAIL,
        "j\xc3\xb6rg@b\xc3\xbc"
        "cher.de",
        "j\xc3\xb6rg@b\xc3\xbc"
        "cher.de");
    static const char *const wrong[] = {
        "",        "a",       "@",        "a@",        "@b.co",      "a@b",           "a@b.",
        "a@.co",   "a@b..co", "a b@c.de", "a@b@c.de",  ".a@b.co",    "a.@b.co",       "a..b@c.de",
        "a@-b.co", "a@b-.co", "a@b_c.de", "a\"b@c.de", "a\xff@b.co", "a@b.co,c@d.ef", "<a@b.co>"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        t_expect(WALLETS_ALIAS_EMAIL, wrong[i], NULL);
    }
}

static void
lengths_of_emails(void **state)
{
    (void)state;
    char text[400];
    memset(text, 'a', sizeof(text));
    memcpy(text + 64, "@b.co", 6);
    t_expect(WALLETS_ALIAS_EMAIL, text, text);
    memset(text, 'a', sizeof(text));
    memcpy(text + 65, "@b.co", 6);
    t_expect(WALLETS_ALIAS_EMAIL, text, NULL);
    memset(text, 'a', sizeof(text));
    text[1] = '@';
    for (size_t i = 60; i < 300; i += 60) {
        text[i] = '.';
    }
    text[WALLETS_ALIAS_MAX] = '\0';
    t_expect(WALLETS_ALIAS_EMAIL, text, text);
    text[WALLETS_ALIAS_MAX] = 'a';
    text[WALLETS_ALIAS_MAX + 1] = '\0';
    t_expect(WALLETS_ALIAS_EMAIL, text, NULL);
}

static void
phones(void **state)
{
    (void)state;
    t_expect(WALLETS_ALIAS_PHONE, "+14155550100", "+14155550100");
    t_expect(WALLETS_ALIAS_PHONE, " +1 (415) 555-01.00 ", "+14155550100");
    t_expect(WALLETS_ALIAS_PHONE, "+1234567", "+1234567");
    t_expect(WALLETS_ALIAS_PHONE, "+123456789012345", "+123456789012345");
    static const char *const wrong[] = {
        "",
        "+",
        "14155550100",
        "+0123456789",
        "+123456",
        "+1234567890123456",
        "+12345a78",
        "+1234567 ext 8",
        "00431234567"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        t_expect(WALLETS_ALIAS_PHONE, wrong[i], NULL);
    }
}

static void
handles(void **state)
{
    (void)state;
    t_expect(WALLETS_ALIAS_HANDLE, "ann", "ann");
    t_expect(WALLETS_ALIAS_HANDLE, "$Ann_Lee-1.x", "ann_lee-1.x");
    t_expect(WALLETS_ALIAS_HANDLE, "@ann", "ann");
    t_expect(
        WALLETS_ALIAS_HANDLE, "abcdefghijklmnopqrstuvwxyzabcd", "abcdefghijklmnopqrstuvwxyzabcd");
    static const char *const wrong[] = {
        "",
        "@",
        "ab",
        "1ab",
        "_ab",
        "ann lee",
        "ann@b",
        "$$ann",
        "wal_0355GrsY",
        "abcdefghijklmnopqrstuvwxyzabcde",
        "\xc3\xa4nn"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        t_expect(WALLETS_ALIAS_HANDLE, wrong[i], NULL);
    }
}

static void
kinds_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(wallets_alias_kind_of(SPAN("a@b.co")), WALLETS_ALIAS_EMAIL);
    assert_int_equal(wallets_alias_kind_of(SPAN("+a@b.co")), WALLETS_ALIAS_EMAIL);
    assert_int_equal(wallets_alias_kind_of(SPAN(" +1 415")), WALLETS_ALIAS_PHONE);
    assert_int_equal(wallets_alias_kind_of(SPAN("@ann")), WALLETS_ALIAS_HANDLE);
    assert_int_equal(wallets_alias_kind_of(SPAN("$ann")), WALLETS_ALIAS_HANDLE);
    assert_int_equal(wallets_alias_kind_of(SPAN("")), WALLETS_ALIAS_HANDLE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(emails),
        cmocka_unit_test(lengths_of_emails),
        cmocka_unit_test(phones),
        cmocka_unit_test(handles),
        cmocka_unit_test(kinds_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
