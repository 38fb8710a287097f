#include "query/query.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct t_query {
    struct arena arena;
    struct query query;
    struct span message;
    char *copy; /* of exact size: a sanitizer sees a read behind it */
    err_t error;
};

static void
t_parse(struct t_query *t, struct span text)
{
    *t = (struct t_query){.error = ERR_OK};
    arena_init(&t->arena, 1 << 20);
    t->copy = malloc(text.size == 0 ? 1 : text.size);
    assert_non_null(t->copy);
    if (text.size > 0) {
        memcpy(t->copy, text.data, text.size);
    }
    t->error = query_parse(span_of(t->copy, text.size), &t->arena, &t->query, &t->message);
    if (t->error != ERR_OK) {
        assert_true(t->message.size > 10 && t->message.size < QUERY_MESSAGE_SIZE);
    }
}

static void
t_end(struct t_query *t)
{
    arena_release(&t->arena);
    free(t->copy);
}

/* The clauses in a plain form: "+field[key] operator kind value;". */
static void
t_reads(const char *text, const char *expected)
{
    static const char *const operators[] = {":", "~", ">", ">=", "<", "<="};
    static const char *const kinds[] = {"text", "word", "null"};
    struct t_query t;
    struct buf out;
    t_parse(&t, span_from_cstr(text));
    if (t.error != ERR_OK) {
        fail_msg("%s: %.*s", text, SPAN_PRINTF(t.message));
    }
    buf_init(&out, 10000);
    buf_append_cstr(&out, t.query.any ? "any" : "all");
    for (uint32_t i = 0; i < t.query.count; i++) {
        const struct query_clause *clause = &t.query.clauses[i];
        buf_append_format(
            &out,
            " %u%c%.*s",
            clause->character,
            clause->negated ? '-' : '+',
            SPAN_PRINTF(clause->field));
        if (clause->key.data != NULL) {
            buf_append_format(&out, "[%.*s]", SPAN_PRINTF(clause->key));
        }
        buf_append_format(
            &out,
            "%s%s(%.*s)",
            operators[clause->operation],
            kinds[clause->kind],
            SPAN_PRINTF(clause->value));
    }
    if (!span_equal_cstr(buf_span(&out), expected)) {
        fail_msg("%s reads %.*s", text, SPAN_PRINTF(buf_span(&out)));
    }
    buf_release(&out);
    t_end(&t);
}

static void
clauses_are_read(void **state)
{
    (void)state;
    t_reads("currency:\"usd\"", "all 1+currency:text(usd)");
    t_reads("email:'amy@rocketrides.io'", "all 1+email:text(amy@rocketrides.io)");
    t_reads("-currency:\"jpy\"", "all 1-currency:text(jpy)");
    t_reads("amount>1000", "all 1+amount>word(1000)");
    t_reads("amount>=1000", "all 1+amount>=word(1000)");
    t_reads("amount<1000", "all 1+amount<word(1000)");
    t_reads("amount<=-1", "all 1+amount<=word(-1)");
    t_reads("amount=5", "all 1+amount:word(5)");
    t_reads("amount:\"1000\"", "all 1+amount:text(1000)");
    t_reads("email~\"amy\"", "all 1+email~text(amy)");
    t_reads("email~\"\xc3\xa4\xc3\xb6\xc3\xbc\"", "all 1+email~text(\xc3\xa4\xc3\xb6\xc3\xbc)");
    t_reads("refunded:true", "all 1+refunded:word(true)");
    t_reads("customer:null", "all 1+customer:null()");
    t_reads("-customer:NULL", "all 1-customer:null()");
    t_reads("customer:\"null\"", "all 1+customer:text(null)");
    t_reads(
        "payment_method_details.card.last4:4242",
        "all 1+payment_method_details.card.last4:word(4242)");
    t_reads("metadata[\"a key\"]:\"v\"", "all 1+metadata[a key]:text(v)");
    t_reads("metadata['a\"b']:null", "all 1+metadata[a\"b]:null()");
    t_reads("metadata[\"a\\\"b\"]:'it\\'s \\\\'", "all 1+metadata[a\"b]:text(it's \\)");
    t_reads("  name : \"x\"\t", "all 3+name:text(x)");
    t_reads("name:\"a\nb\"", "all 1+name:text(a\nb)");
}

static void
clauses_are_joined(void **state)
{
    (void)state;
    t_reads("a:1 b:2", "all 1+a:word(1) 5+b:word(2)");
    t_reads("a:1 AND b:2 and -c:3", "all 1+a:word(1) 9+b:word(2) 17-c:word(3)");
    t_reads("a:1 AND b:2 c:3", "all 1+a:word(1) 9+b:word(2) 13+c:word(3)");
    t_reads("a:1 OR b:2 oR c:3", "any 1+a:word(1) 8+b:word(2) 15+c:word(3)");
    t_reads("a:1\n\tOR\r\nb:2", "any 1+a:word(1) 10+b:word(2)");
    t_reads("a:'\xe2\x82\xac' b:2", "all 1+a:text(\xe2\x82\xac) 7+b:word(2)");
    t_reads("a:1 order:2 android:3", "all 1+a:word(1) 5+order:word(2) 13+android:word(3)");
    t_reads("a:\"x AND y\" b:\"(\"", "all 1+a:text(x AND y) 13+b:text(()");
}

static const struct {
    struct span text;
    unsigned character;
    const char *problem;
} refused[] = {
    {SPAN(""), 1, "it has no clause"},
    {SPAN("  "), 3, "it has no clause"},
    {SPAN("asdf"), 5, "an operator (: ~ > >= < <=) is expected here"},
    {SPAN("asdf qwer"), 6, "an operator"},
    {SPAN("4242424242424242"), 1, "a field's name is expected here"},
    {SPAN("-"), 2, "a field's name is expected here"},
    {SPAN("--a:1"), 2, "a field's name is expected here"},
    {SPAN(":1"), 1, "a field's name is expected here"},
    {SPAN("a.:1"), 3, "a field's name is expected here"},
    {SPAN("a..b:1"), 3, "a field's name is expected here"},
    {SPAN(".a:1"), 1, "a field's name is expected here"},
    {SPAN("\"a\":1"), 1, "a field's name is expected here"},
    {SPAN("a!1"), 2, "an operator"},
    {SPAN("a:"), 3, "a value is expected here"},
    {SPAN("a: "), 4, "a value is expected here"},
    {SPAN("a::1"), 3, "a value is expected here"},
    {SPAN("a>>1"), 3, "a value is expected here"},
    {SPAN("a:(1)"), 3, "a value is expected here"},
    {SPAN("a:-"), 3, "texts stand between quotation marks"},
    {SPAN("a:usd"), 3, "texts stand between quotation marks"},
    {SPAN("a:12ab"), 3, "texts stand between quotation marks"},
    {SPAN("a:TRUE"), 3, "texts stand between quotation marks"},
    {SPAN("a:1.5"), 3, "numbers are whole"},
    {SPAN("a:1-2"), 4, "a space is missing"},
    {SPAN("a:\"\""), 3, "a text is empty; null finds what is not set"},
    {SPAN("a:'x"), 3, "this quotation mark is never closed"},
    {SPAN("a:\"x'"), 3, "this quotation mark is never closed"},
    {SPAN("a:\"x\\"), 5, "a backslash stands before"},
    {SPAN("a:\"x\\n\""), 5, "a backslash stands before"},
    {SPAN("a:\"x\\\""), 3, "this quotation mark is never closed"},
    {SPAN("a:\"x\"b:1"), 6, "a space is missing"},
    {SPAN("a>null"), 3, "null stands behind : only"},
    {SPAN("a~null"), 3, "null stands behind : only"},
    {SPAN("a~\"xy\""), 3, "~ looks for three characters or more"},
    {SPAN("a~\"\xc3\xa4y\""), 3, "~ looks for three characters or more"},
    {SPAN("a~12"), 3, "~ looks for three characters or more"},
    {SPAN("m[k]:1"), 3, "a key in quotation marks is expected here"},
    {SPAN("m[\"k\":1"), 6, "] is expected here"},
    {SPAN("m[\"\"]:1"), 3, "a text is empty"},
    {SPAN("m[]:1"), 3, "a key in quotation marks is expected here"},
    {SPAN("m[\"k\"].x:1"), 7, "an operator"},
    {SPAN("(a:1)"), 1, "parentheses are not supported"},
    {SPAN("a:1 (b:1)"), 5, "parentheses are not supported"},
    {SPAN("a:\"1\")"), 6, "parentheses are not supported"},
    {SPAN("a:1 AND"), 8, "a clause is missing"},
    {SPAN("a:1 AND  "), 10, "a clause is missing"},
    {SPAN("a:1 OR"), 7, "a clause is missing"},
    {SPAN("a:1 OR-b:2"), 7, "a space is missing"},
    {SPAN("a:1 AND AND b:2"), 9, "a field's name is expected here"},
    {SPAN("a:1 AND OR:2"), 9, "a field's name is expected here"},
    {SPAN("a:1 OR:2"), 7, "a space is missing"},
    {SPAN("AND a:1"), 1, "a field's name is expected here"},
    {SPAN("a:1 AND b:2 OR c:3"), 13, "AND and OR do not mix in one query"},
    {SPAN("a:1 OR b:2 AND c:3"), 12, "AND and OR do not mix in one query"},
    {SPAN("a:1 OR b:2 c:3"), 12, "AND and OR do not mix in one query"},
    {SPAN("a:1 b:2 OR c:3"), 9, "AND and OR do not mix in one query"},
    {SPAN("name:\"\xc3\xa4\" b"), 11, "an operator"},
};

static void
what_is_wrong_is_named_with_its_place(void **state) /* QUERY-2 */
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct t_query t;
        char expected[QUERY_MESSAGE_SIZE];
        struct buf text;
        t_parse(&t, refused[i].text);
        buf_init_fixed(&text, expected, sizeof(expected));
        buf_append_format(
            &text,
            "We were unable to parse your search query at character %u: %s",
            refused[i].character,
            refused[i].problem);
        assert_false(buf_failed(&text));
        if (t.error != ERR_INVALID || !span_starts_with(t.message, buf_span(&text))) {
            fail_msg(
                "%.*s: %s, %.*s",
                SPAN_PRINTF(refused[i].text),
                err_name(t.error),
                SPAN_PRINTF(t.message));
        }
        t_end(&t);
    }
}

static void
only_text_is_read(void **state)
{
    (void)state;
    static const struct span bad[] = {
        SPAN("a:\"\xff\""), SPAN("a:\"x\0y\""), SPAN("a:\"\xed\xa0\x80\""), SPAN("\0")};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct t_query t;
        t_parse(&t, bad[i]);
        assert_int_equal(t.error, ERR_INVALID);
        assert_true(span_equal_cstr(t.message, "The search query is not UTF-8 text."));
        t_end(&t);
    }
}

static void
no_value_in_a_message(void **state) /* QUERY-2 */
{
    (void)state;
    static const char *const texts[] = {
        "metadata[\"k\"]:\"4242424242424242",
        "number:4242424242424242x",
        "4242424242424242:1",
        "a:4242424242424242.5",
        "a:\"4242424242424242\"b",
        "metadata[\"4242424242424242\":1",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct t_query t;
        t_parse(&t, span_from_cstr(texts[i]));
        assert_int_equal(t.error, ERR_INVALID);
        assert_null(memmem(t.message.data, t.message.size, "4242", 4));
        t_end(&t);
    }
}

static void
there_are_limits(void **state) /* QUERY-1 */
{
    (void)state;
    struct buf text;
    struct t_query t;
    buf_init(&text, 1 << 20);
    for (uint32_t count = QUERY_CLAUSES_MAX; count <= QUERY_CLAUSES_MAX + 1; count++) {
        buf_clear(&text);
        for (uint32_t i = 0; i < count; i++) {
            buf_append_format(&text, "a%u:%u ", i, i);
        }
        t_parse(&t, buf_span(&text));
        assert_int_equal(t.error, count == QUERY_CLAUSES_MAX ? ERR_OK : ERR_INVALID);
        if (t.error == ERR_OK) {
            assert_int_equal(t.query.count, QUERY_CLAUSES_MAX);
        }
        t_end(&t);
    }
    /* Characters, not bytes. */
    for (size_t size = QUERY_SIZE_MAX; size <= QUERY_SIZE_MAX + 1; size++) {
        buf_clear(&text);
        buf_append_cstr(&text, "a:\"");
        for (size_t i = 0; i < size - 4; i++) {
            buf_append_cstr(&text, "\xc3\xa4");
        }
        buf_append_cstr(&text, "\"");
        t_parse(&t, buf_span(&text));
        assert_int_equal(t.error, size == QUERY_SIZE_MAX ? ERR_OK : ERR_INVALID);
        t_end(&t);
    }
    for (size_t size = QUERY_FIELD_MAX; size <= QUERY_FIELD_MAX + 1; size++) {
        buf_clear(&text);
        for (size_t i = 0; i < size; i++) {
            buf_append_byte(&text, 'a');
        }
        buf_append_cstr(&text, ":1");
        t_parse(&t, buf_span(&text));
        assert_int_equal(t.error, size == QUERY_FIELD_MAX ? ERR_OK : ERR_INVALID);
        t_end(&t);
    }
    buf_release(&text);
    for (size_t limit = 0; limit < 512; limit += 16) {
        static const char *const texts[] = {"a:\"x\\\"\"", "a:\"x\\\"\" b"};
        for (size_t i = 0; i < 2; i++) {
            struct arena arena;
            struct query query;
            struct span message = SPAN_EMPTY;
            arena_init(&arena, limit);
            err_t error = query_parse(span_from_cstr(texts[i]), &arena, &query, &message);
            assert_true(error == ERR_FULL || error == (i == 0 ? ERR_OK : ERR_INVALID));
            assert_true(error == ERR_OK || message.size > 10);
            arena_release(&arena);
        }
    }
}

static void
case_is_folded(void **state)
{
    (void)state;

    static const struct {
        const char *text;
        const char *folded;
    } cases[] = {
        {"AZaz@[`{09", "azaz@[`{09"},
        {"\xc3\x80\xc3\x89\xc3\x9e", "\xc3\xa0\xc3\xa9\xc3\xbe"},
        {"\xc3\x97\xc3\xb7\xc3\x9f\xc3\xbf", "\xc3\x97\xc3\xb7\xc3\x9f\xc3\xbf"},
        {"\xc5\x81\xc5\x82\xc4\x86\xc5\xbb\xc5\xbc", "\xc5\x82\xc5\x82\xc4\x87\xc5\xbc\xc5\xbc"},
        {"\xc5\xb8\xc4\xb0\xc4\xb1", "\xc3\xbf\xc4\xb0\xc4\xb1"},
        {"\xce\x91\xce\xa9\xce\xa3\xcf\x82", "\xce\xb1\xcf\x89\xcf\x83\xcf\x83"},
        {"\xce\x86\xce\x88\xce\x8c\xce\x8f", "\xce\xac\xce\xad\xcf\x8c\xcf\x8e"},
        {"\xd0\x81\xd0\x90\xd0\xaf\xd1\x8f", "\xd1\x91\xd0\xb0\xd1\x8f\xd1\x8f"},
        {"\xe2\x82\xac\xf0\x9f\x98\x80", "\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xc3", "\xc3"},
        {"\xc3X", "\xc3x"},
        {"\xff\x80", "\xff\x80"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[32];
        struct span text = span_from_cstr(cases[i].text);
        assert_int_equal(text.size, strlen(cases[i].folded));
        query_fold(text, out);
        assert_memory_equal(out, cases[i].folded, text.size);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clauses_are_read),
        cmocka_unit_test(clauses_are_joined),
        cmocka_unit_test(what_is_wrong_is_named_with_its_place),
        cmocka_unit_test(only_text_is_read),
        cmocka_unit_test(no_value_in_a_message),
        cmocka_unit_test(there_are_limits),
        cmocka_unit_test(case_is_folded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
