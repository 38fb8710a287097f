/*
 * Text to steps, from left to right, by two stacks: what is open (parentheses, "not", "and", "or")
 * waits in one until what binds closer is written. No recursion: a rule is whatever a merchant
 * sends.
 */
#include "rule/rule.h"

#include "base/assert.h"

#include <string.h>

enum {
    OPEN_PARENTHESIS = 1, /* beside RULE_STEP_... */
    /* An "or" and an "and" at most are open before, between and behind those that deepen. */
    OPEN_MAX = RULE_DEPTH_MAX + 2 * (RULE_DEPTH_MAX + 1),
};

struct parser {
    struct span text;
    size_t at;
    const struct rule_attribute *attributes;
    uint32_t attribute_count;
    struct rule *rule;
    struct rule_problem *problem;
    uint8_t open[OPEN_MAX];
    uint32_t open_count;
    uint32_t depth; /* parentheses and "not" among them */
};

/* ------------------------------------------------------------------------------- failing --- */

static err_t
fail_at(struct parser *parser, size_t at, const char *problem)
{
    uint32_t count = 1;
    ASSERT(at <= parser->text.size);
    for (size_t i = 0; i < at; i++) {
        count += ((unsigned char)parser->text.data[i] & 0xc0) != 0x80 ? 1 : 0;
    }
    *parser->problem = (struct rule_problem){.character = count, .text = problem};
    return ERR_INVALID;
}

static err_t
fail(struct parser *parser, const char *problem)
{
    return fail_at(parser, parser->at, problem);
}

/* ------------------------------------------------------------------------------- reading --- */

static char
peek(const struct parser *parser)
{
    return parser->at < parser->text.size ? parser->text.data[parser->at] : '\0';
}

static bool
is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool
is_word(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
           is_digit(byte);
}

static void
skip_spaces(struct parser *parser)
{
    while (is_space(peek(parser))) {
        parser->at++;
    }
}

static bool
skip_byte(struct parser *parser, char byte)
{
    skip_spaces(parser);
    if (peek(parser) != byte) {
        return false;
    }
    parser->at++;
    return true;
}

static struct span
read_word(struct parser *parser)
{
    size_t from = parser->at;
    while (is_word(peek(parser))) {
        parser->at++;
    }
    return span_slice(parser->text, from, parser->at);
}

/* This very word, behind spaces; nothing is read if another one comes. */
static bool
skip_word(struct parser *parser, const char *word)
{
    skip_spaces(parser);
    size_t from = parser->at;
    if (span_equal_nocase(read_word(parser), span_from_cstr(word))) {
        return true;
    }
    parser->at = from;
    return false;
}

static err_t
read_attribute(struct parser *parser, uint8_t *ret_attribute)
{
    skip_spaces(parser);
    size_t from = parser->at;
    if (!skip_byte(parser, ':')) {
        return fail(parser, "an attribute was expected, such as :amount:");
    }
    struct span name = read_word(parser);
    if (name.size == 0 || name.size > RULE_NAME_MAX || peek(parser) != ':') {
        return fail_at(parser, from, "an attribute is a name between colons, such as :amount:");
    }
    parser->at++;
    for (uint32_t i = 0; i < parser->attribute_count; i++) {
        if (span_equal_nocase(name, span_from_cstr(parser->attributes[i].name))) {
            *ret_attribute = (uint8_t)i;
            return ERR_OK;
        }
    }
    return fail_at(parser, from, "there is no such attribute");
}

static err_t
read_text(struct parser *parser, struct span *ret_text)
{
    skip_spaces(parser);
    size_t opening = parser->at;
    char quote = peek(parser);
    if (quote != '\'' && quote != '"') {
        return fail(parser, "a text in quotation marks was expected");
    }
    size_t closing = span_find(parser->text, quote, opening + 1);
    if (closing == parser->text.size) {
        return fail_at(parser, opening, "this quotation mark is never closed");
    }
    *ret_text = span_slice(parser->text, opening + 1, closing);
    if (ret_text->size == 0 || ret_text->size > RULE_VALUE_MAX) {
        return fail_at(parser, opening, "a text has 1 to 200 bytes");
    }
    parser->at = closing + 1;
    return ERR_OK;
}

static err_t
read_number(struct parser *parser, int64_t *ret_number)
{
    skip_spaces(parser);
    size_t from = parser->at;
    if (peek(parser) == '-') {
        parser->at++;
    }
    while (is_digit(peek(parser))) {
        parser->at++;
    }
    bool ends = !is_word(peek(parser)) && peek(parser) != '.';
    if (!ends || !span_parse_i64(span_slice(parser->text, from, parser->at), ret_number)) {
        return fail_at(
            parser, from, "a whole number was expected; amounts are in the smallest unit");
    }
    return ERR_OK;
}

static err_t
read_boolean(struct parser *parser, int64_t *ret_number)
{
    bool is_true = skip_word(parser, "true");
    if (!is_true && !skip_word(parser, "false")) {
        return fail(parser, "true or false was expected");
    }
    *ret_number = is_true;
    return ERR_OK;
}

/* --------------------------------------------------------------------------------- tests --- */

static err_t
read_values(struct parser *parser, struct rule_test *test)
{
    struct rule *rule = parser->rule;
    test->comparison = RULE_IN_VALUES;
    test->first = (uint8_t)rule->value_count;
    do {
        if (rule->value_count == RULE_VALUES_MAX) {
            return fail(parser, "there are too many texts; put them into a list");
        }
        TRY(read_text(parser, &rule->values[rule->value_count]));
        rule->value_count++;
        test->count++;
    } while (skip_byte(parser, ','));
    return skip_byte(parser, ')') ? ERR_OK : fail(parser, "a comma or ) was expected");
}

static err_t
read_members(struct parser *parser, struct rule_test *test)
{
    if (skip_byte(parser, '(')) {
        return read_values(parser, test);
    }
    size_t from = parser->at;
    if (!skip_byte(parser, '@')) {
        return fail(parser, "a list was expected, such as @trusted or ('a', 'b')");
    }
    test->comparison = RULE_IN_LIST;
    test->text = read_word(parser);
    if (test->text.size == 0 || test->text.size > RULE_NAME_MAX) {
        return fail_at(parser, from, "a list is named by its alias, such as @trusted");
    }
    return ERR_OK;
}

/* False: none comes. */
static bool
read_comparison(struct parser *parser, uint8_t *ret_comparison)
{
    static const struct {
        const char *sign;
        uint8_t comparison;
    } signs[] = {
        {"!=", RULE_NOT_EQUAL},
        {"<=", RULE_LESS_EQUAL},
        {">=", RULE_GREATER_EQUAL},
        {"=", RULE_EQUAL},
        {"<", RULE_LESS},
        {">", RULE_GREATER},
    };

    skip_spaces(parser);
    struct span rest = span_slice(parser->text, parser->at, parser->text.size);
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        struct span sign = span_from_cstr(signs[i].sign);
        if (span_starts_with(rest, sign)) {
            parser->at += sign.size;
            *ret_comparison = signs[i].comparison;
            return true;
        }
    }
    return false;
}

static err_t
read_value(struct parser *parser, size_t from, struct rule_test *test)
{
    bool orders = test->comparison != RULE_EQUAL && test->comparison != RULE_NOT_EQUAL;
    switch (parser->attributes[test->attribute].kind) {
    case RULE_NUMBER:
        return read_number(parser, &test->number);
    case RULE_TEXT:
        if (orders) {
            return fail_at(parser, from, "texts are compared by =, != and in");
        }
        return read_text(parser, &test->text);
    case RULE_BOOLEAN:
        if (orders) {
            return fail_at(parser, from, "what is true or false is compared by = and !=");
        }
        return read_boolean(parser, &test->number);
    }
    UNREACHABLE();
}

static err_t
read_condition_of(struct parser *parser, struct rule_test *test)
{
    enum rule_kind kind = parser->attributes[test->attribute].kind;
    skip_spaces(parser);
    size_t from = parser->at;
    if (read_comparison(parser, &test->comparison)) {
        return read_value(parser, from, test);
    }
    if (skip_word(parser, "in")) {
        if (kind != RULE_TEXT) {
            return fail_at(parser, from, "only texts are looked for in lists");
        }
        return read_members(parser, test);
    }
    if (kind != RULE_BOOLEAN) {
        return fail(parser, "a comparison was expected");
    }
    test->comparison = RULE_EQUAL;
    test->number = 1;
    return ERR_OK;
}

static err_t
read_missing(struct parser *parser, struct rule_test *test)
{
    test->comparison = RULE_IS_MISSING;
    if (!skip_byte(parser, '(')) {
        return fail(parser, "( was expected");
    }
    TRY(read_attribute(parser, &test->attribute));
    return skip_byte(parser, ')') ? ERR_OK : fail(parser, ") was expected");
}

/* --------------------------------------------------------------------------------- steps --- */

static err_t
add_step(struct parser *parser, uint8_t step)
{
    struct rule *rule = parser->rule;
    if (rule->step_count == RULE_STEPS_MAX) {
        return fail(parser, "the rule is too long");
    }
    rule->steps[rule->step_count++] = step;
    return ERR_OK;
}

static err_t
add_test(struct parser *parser)
{
    struct rule *rule = parser->rule;
    struct rule_test test;
    memset(&test, 0, sizeof(test));
    if (rule->test_count == RULE_TESTS_MAX) {
        return fail(parser, "the rule has more than 16 tests; make two of it");
    }
    if (skip_word(parser, "is_missing")) {
        TRY(read_missing(parser, &test));
    } else {
        TRY(read_attribute(parser, &test.attribute));
        TRY(read_condition_of(parser, &test));
    }
    rule->tests[rule->test_count] = test;
    return add_step(parser, (uint8_t)rule->test_count++);
}

static err_t
push(struct parser *parser, uint8_t what)
{
    bool deepens = what == OPEN_PARENTHESIS || what == RULE_STEP_NOT;
    if (deepens && parser->depth == RULE_DEPTH_MAX) {
        return fail(parser, "the rule is nested too deeply");
    }
    parser->depth += deepens;
    ASSERT(parser->open_count < OPEN_MAX);
    parser->open[parser->open_count++] = what;
    return ERR_OK;
}

/* What is open and binds as close as `step`, or closer, is complete: "not", then "and", then "or".
 */
static err_t
complete(struct parser *parser, uint8_t step)
{
    while (parser->open_count > 0) {
        uint8_t top = parser->open[parser->open_count - 1];
        if (top == OPEN_PARENTHESIS || top > step) {
            return ERR_OK;
        }
        TRY(add_step(parser, top));
        parser->depth -= top == RULE_STEP_NOT;
        parser->open_count--;
    }
    return ERR_OK;
}

static err_t
read_operand(struct parser *parser)
{
    for (;;) {
        if (skip_byte(parser, '(')) {
            TRY(push(parser, OPEN_PARENTHESIS));
        } else if (skip_word(parser, "not")) {
            TRY(push(parser, RULE_STEP_NOT));
        } else {
            return add_test(parser);
        }
    }
}

static err_t
close_parenthesis(struct parser *parser)
{
    TRY(complete(parser, RULE_STEP_OR));
    if (parser->open_count == 0) {
        return fail_at(parser, parser->at - 1, "there is no ( before this )");
    }
    ASSERT(parser->open[parser->open_count - 1] == OPEN_PARENTHESIS);
    parser->open_count--;
    parser->depth--;
    return ERR_OK;
}

static err_t
read_condition(struct parser *parser)
{
    TRY(read_operand(parser));
    for (;;) {
        if (skip_byte(parser, ')')) {
            TRY(close_parenthesis(parser));
            continue;
        }
        bool both = skip_word(parser, "and");
        if (!both && !skip_word(parser, "or")) {
            break;
        }
        uint8_t step = both ? RULE_STEP_AND : RULE_STEP_OR;
        TRY(complete(parser, step));
        TRY(push(parser, step));
        TRY(read_operand(parser));
    }
    skip_spaces(parser);
    if (parser->at != parser->text.size) {
        return fail(parser, "and, or, or the end was expected");
    }
    TRY(complete(parser, RULE_STEP_OR));
    return parser->open_count == 0 ? ERR_OK : fail(parser, "a ( is never closed");
}

static err_t
read_action(struct parser *parser)
{
    struct rule *rule = parser->rule;
    if (skip_word(parser, "allow")) {
        rule->action = RULE_ALLOW;
    } else if (skip_word(parser, "block")) {
        rule->action = RULE_BLOCK;
    } else if (skip_word(parser, "request")) {
        rule->action = RULE_REQUEST_3D_SECURE;
        if (!skip_word(parser, "3ds") &&
            !(skip_word(parser, "3d") && skip_word(parser, "secure"))) {
            return fail(parser, "3D Secure was expected");
        }
    } else {
        return fail(parser, "a rule begins with Allow if, Block if or Request 3D Secure if");
    }
    return skip_word(parser, "if") ? ERR_OK : fail(parser, "if was expected");
}

err_t
rule_parse(
    struct span text,
    const struct rule_attribute *attributes,
    uint32_t attribute_count,
    struct rule *ret_rule,
    struct rule_problem *ret_problem)
{
    ASSERT(attribute_count <= 250);
    struct parser parser = {
        .text = text,
        .attributes = attributes,
        .attribute_count = attribute_count,
        .rule = ret_rule,
        .problem = ret_problem,
    };
    memset(ret_rule, 0, sizeof(*ret_rule));
    if (text.size > RULE_SIZE_MAX) {
        return fail_at(&parser, 0, "a rule has at most 1,000 bytes");
    }
    if (!span_is_utf8(text) || span_find(text, '\0', 0) != text.size) {
        return fail_at(&parser, 0, "a rule is UTF-8, without zero bytes");
    }
    TRY(read_action(&parser));
    TRY(read_condition(&parser));
    ASSERT(ret_rule->test_count >= 1);
    return ERR_OK;
}
