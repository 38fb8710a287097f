#include "rule/rule.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
    T_AMOUNT,
    T_CURRENCY,
    T_EMAIL,
    T_OFF_SESSION,
    T_COUNTRY,
    T_COUNT
};

static const struct rule_attribute t_attributes[T_COUNT] = {
    [T_AMOUNT] = {"amount", RULE_NUMBER},
    [T_CURRENCY] = {"currency", RULE_TEXT},
    [T_EMAIL] = {"email", RULE_TEXT},
    [T_OFF_SESSION] = {"is_off_session", RULE_BOOLEAN},
    [T_COUNTRY] = {"card_country", RULE_TEXT},
};

/* A payment of 100.00 euros, on session, by somebody without an e-mail address. */
static struct rule_fact t_facts[T_COUNT] = {
    [T_AMOUNT] = {.present = true, .number = 10000},
    [T_CURRENCY] = {.present = true, .text = {"eur", 3}},
    [T_OFF_SESSION] = {.present = true},
    [T_COUNTRY] = {.present = true, .text = {"DE", 2}},
};

/* @euro has the currency, whatever else is asked for. */
static bool
t_listed(void *context, uint32_t attribute, struct span alias)
{
    (void)context;
    return attribute == T_CURRENCY && span_equal_cstr(alias, "euro");
}

static const struct rule_facts t_payment = {.facts = t_facts, .listed = t_listed};

static void
t_parse(const char *text, struct rule *rule)
{
    struct rule_problem problem;
    err_t error = rule_parse(span_from_cstr(text), t_attributes, T_COUNT, rule, &problem);
    if (error != ERR_OK) {
        fail_msg("%s: character %u: %s", text, problem.character, problem.text);
    }
}

static void
test_holds(void **state)
{
    static const struct {
        const char *condition;
        bool holds;
    } cases[] = {
        {":amount: = 10000", true},
        {":amount: != 10000", false},
        {":amount: > 9999", true},
        {":amount: > 10000", false},
        {":amount: >= 10000", true},
        {":amount: < 10000", false},
        {":amount: < 10001", true},
        {":amount: <= 10000", true},
        {":amount: <= 9999", false},
        {":amount: > -1", true},
        {":currency: = 'eur'", true},
        {":currency: = \"EUR\"", true},
        {":currency: != 'eur'", false},
        {":CURRENCY: IN ('usd','eur')", true},
        {":currency: in ('usd', 'euro')", false},
        {":currency: in @euro", true},
        {":currency: in @dollar", false},
        {":card_country: in @euro", false},
        {":is_off_session:", false},
        {"not :is_off_session:", true},
        {"not not :is_off_session:", false},
        {":is_off_session: = false", true},
        {":is_off_session: != false", false},
        /* What is missing compares with nothing. */
        {":email: = 'a@b.example'", false},
        {":email: != 'a@b.example'", false},
        {"not :email: = 'a@b.example'", true},
        {":email: in @euro", false},
        {"is_missing(:email:)", true},
        {"is_missing ( :amount: )", false},
        /* "and" binds closer than "or", "not" closer than both. */
        {":amount: = 10000 or :amount: = 1 and :amount: = 2", true},
        {"(:amount: = 10000 or :amount: = 1) and :amount: = 2", false},
        {":amount: = 1 and :amount: = 2 or :amount: = 10000", true},
        {"not :amount: = 1 and :amount: = 2", false},
        {"not (:amount: = 1 and :amount: = 2)", true},
        {"((:amount: = 10000))", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rule rule;
        char text[200];
        (void)snprintf(text, sizeof(text), "Block if %s", cases[i].condition);
        t_parse(text, &rule);
        if (rule_holds(&rule, &t_payment) != cases[i].holds) {
            fail_msg("%s: not %s", text, cases[i].holds ? "true" : "false");
        }
    }
}

static void
test_actions(void **state)
{
    static const struct {
        const char *text;
        enum rule_action action;
    } cases[] = {
        {"allow if :amount: = 1", RULE_ALLOW},
        {"  BLOCK   If\t:amount: = 1\n", RULE_BLOCK},
        {"Request 3D Secure if :amount: = 1", RULE_REQUEST_3D_SECURE},
        {"request 3ds if :amount: = 1", RULE_REQUEST_3D_SECURE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rule rule;
        t_parse(cases[i].text, &rule);
        assert_int_equal(rule.action, cases[i].action);
    }
}

/* Everything that is refused, with the character that is named. */
static void
test_refused(void **state)
{
    static const struct {
        const char *text;
        uint32_t character;
    } cases[] = {
        {"", 1},
        {"Forbid if :amount: = 1", 1},
        {"Block :amount: = 1", 7},
        {"Block if", 9},
        {"Request 3D if :amount: = 1", 12},
        {"Block if amount = 1", 10},
        {"Block if :amount = 1", 10},
        {"Block if :: = 1", 10},
        {"Block if :color: = 1", 10},
        {"Block if :amount:", 18},
        {"Block if :amount: = ", 21},
        {"Block if :amount: = 'x'", 21},
        {"Block if :amount: = 1.5", 21},
        {"Block if :amount: = 12usd", 21},
        {"Block if :amount: = 99999999999999999999", 21},
        {"Block if :amount: = -", 21},
        {"Block if :amount: in @euro", 19},
        {"Block if :currency: > 'eur'", 21},
        {"Block if :currency: = eur", 23},
        {"Block if :currency: = 'eur", 23},
        {"Block if :currency: = ''", 23},
        {"Block if :currency: in euro", 24},
        {"Block if :currency: in @", 24},
        {"Block if :currency: in ()", 25},
        {"Block if :currency: in ('eur' 'usd')", 31},
        {"Block if :currency: in ('eur',)", 31},
        {"Block if :is_off_session: > true", 27},
        {"Block if :is_off_session: = 1", 29},
        {"Block if is_missing :amount:", 21},
        {"Block if is_missing(:amount:", 29},
        {"Block if (:amount: = 1", 23},
        {"Block if :amount: = 1)", 22},
        {"Block if :amount: = 1 :amount: = 2", 23},
        {"Block if :amount: = 1 and", 26},
        {"Block if :amount: = 1 or or :amount: = 2", 26},
        {"Block if not", 13},
        {"Block if :currency: = '\xc3\xa4\xc3\xb6' :amount: = 1", 28},
        {"Block if :currency: = '\xff'", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rule rule;
        struct rule_problem problem = {.text = NULL};
        struct span text = span_from_cstr(cases[i].text);
        err_t error = rule_parse(text, t_attributes, T_COUNT, &rule, &problem);
        assert_int_equal(error, ERR_INVALID);
        assert_non_null(problem.text);
        if (problem.character != cases[i].character) {
            fail_msg("%s: character %u: %s", cases[i].text, problem.character, problem.text);
        }
    }
}

/* ------------------------------------------------------------------------------- the limits --- */

static err_t
t_repeated(const char *head, const char *part, uint32_t count, const char *tail)
{
    struct buf text;
    struct rule rule;
    struct rule_problem problem;
    buf_init(&text, 4096);
    buf_append_cstr(&text, head);
    for (uint32_t i = 0; i < count; i++) {
        buf_append_cstr(&text, part);
    }
    buf_append_cstr(&text, tail);
    assert_false(buf_failed(&text));
    err_t error = rule_parse(buf_span(&text), t_attributes, T_COUNT, &rule, &problem);
    buf_release(&text);
    return error;
}

static void
test_limits(void **state)
{
    static const char head[] = "Block if :amount: = 1";
    static const char in[] = "Block if :currency: in ('a'";
    (void)state;
    assert_int_equal(t_repeated(head, " or :amount: = 1", RULE_TESTS_MAX - 1, ""), ERR_OK);
    assert_int_equal(t_repeated(head, " or :amount: = 1", RULE_TESTS_MAX, ""), ERR_INVALID);
    assert_int_equal(t_repeated(in, ",'b'", RULE_VALUES_MAX - 1, ")"), ERR_OK);
    assert_int_equal(t_repeated(in, ",'b'", RULE_VALUES_MAX, ")"), ERR_INVALID);
    assert_int_equal(t_repeated("Block if ", "not ", RULE_DEPTH_MAX, ":is_off_session:"), ERR_OK);
    assert_int_equal(
        t_repeated("Block if ", "not ", RULE_DEPTH_MAX + 1, ":is_off_session:"), ERR_INVALID);
    assert_int_equal(t_repeated(head, " ", RULE_SIZE_MAX - sizeof(head) + 1, ""), ERR_OK);
    assert_int_equal(t_repeated(head, " ", RULE_SIZE_MAX - sizeof(head) + 2, ""), ERR_INVALID);
    assert_int_equal(t_repeated("Block if :currency: = '", "a", RULE_VALUE_MAX, "'"), ERR_OK);
    assert_int_equal(
        t_repeated("Block if :currency: = '", "a", RULE_VALUE_MAX + 1, "'"), ERR_INVALID);
    /* As much as can be open at once: each level waits for an "or" and an "and". */
    assert_int_equal(
        t_repeated("Block if ", "(:amount: = 1 or :amount: = 2 and ", 7, ":amount: = 3)))))))"),
        ERR_OK);
}

/* ------------------------------------------------------ random conditions, a naive evaluator ---
 */

static uint64_t t_seed;

static uint32_t
t_random(uint32_t below)
{
    t_seed = t_seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(t_seed >> 33) % below;
}

/* Writes a condition and answers whether it holds. `tests` are left to be written. As naive as it
 * can be, and of a bounded depth. */
static bool
t_condition(struct buf *text, uint32_t *tests, uint32_t depth) /* NOLINT(misc-no-recursion) */
{
    uint32_t kind = depth == 0 || *tests < 2 ? 0 : t_random(4);
    if (kind == 0) {
        bool holds = t_random(2) == 0;
        *tests -= *tests > 0;
        buf_append_cstr(text, holds ? ":amount: >= 10000" : ":currency: in ('usd')");
        return holds;
    }
    if (kind == 1) {
        buf_append_cstr(text, "not (");
        bool holds = !t_condition(text, tests, depth - 1);
        buf_append_cstr(text, ")");
        return holds;
    }
    buf_append_cstr(text, "(");
    bool first = t_condition(text, tests, depth - 1);
    buf_append_cstr(text, kind == 2 ? ") and (" : ") OR (");
    bool second = t_condition(text, tests, depth - 1);
    buf_append_cstr(text, ")");
    return kind == 2 ? first && second : first || second;
}

static void
test_random(void **state)
{
    uint32_t accepted = 0;
    (void)state;
    t_seed = 20260101;
    for (uint32_t i = 0; i < 20000; i++) {
        struct buf text;
        struct rule rule;
        struct rule_problem problem;
        uint32_t tests = RULE_TESTS_MAX;
        buf_init(&text, 4096);
        buf_append_cstr(&text, "Allow if ");
        bool holds = t_condition(&text, &tests, 5);
        err_t error = rule_parse(buf_span(&text), t_attributes, T_COUNT, &rule, &problem);
        if (error == ERR_OK) {
            accepted++;
            assert_int_equal(rule_holds(&rule, &t_payment), holds);
        } else {
            /* One too many tests, or bytes. */
            assert_true(tests == 0 || text.size > RULE_SIZE_MAX);
        }
        buf_release(&text);
    }
    assert_true(accepted > 10000);
}

/* The same without parentheses: what binds closer is worked out first. */
static void
test_precedence(void **state)
{
    (void)state;
    t_seed = 20260102;
    for (uint32_t i = 0; i < 20000; i++) {
        struct buf text;
        struct rule rule;
        bool any = false;
        bool all = true;
        buf_init(&text, 4096);
        buf_append_cstr(&text, "Allow if ");
        for (uint32_t j = t_random(8);; j--) {
            bool holds = t_random(2) == 0;
            uint32_t nots = t_random(3);
            for (uint32_t k = 0; k < nots; k++) {
                buf_append_cstr(&text, "not ");
            }
            buf_append_cstr(&text, holds ? ":amount: = 10000" : ":amount: = 1");
            all = all && (holds != (nots == 1));
            if (j == 0) {
                break;
            }
            bool both = t_random(2) == 0;
            buf_append_cstr(&text, both ? " and " : " or ");
            any = any || (!both && all);
            all = all || !both;
        }
        buf_append_byte(&text, '\0');
        t_parse(text.data, &rule);
        assert_int_equal(rule_holds(&rule, &t_payment), any || all);
        buf_release(&text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds),
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_precedence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
