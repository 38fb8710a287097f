/*
 * Rules about payments, from text to steps, and whether one holds:
 *
 *     Block if :card_country: in ('kp', 'ir') and not :is_3d_secure_authenticated:
 *     Request 3D Secure if :amount: > 10000 and :currency: = 'eur'
 *     Allow if :email: in @trusted or is_missing(:customer:)
 *
 *     rule       = action "if" condition
 *     action     = "allow" / "block" / "request" ( "3d" "secure" / "3ds" )
 *     condition  = term *( "or" term )
 *     term       = factor *( "and" factor )
 *     factor     = "not" factor / "(" condition ")" / test
 *     test       = attribute comparison value        = != for all; < <= > >= for numbers
 *                / attribute "in" ( "@" alias / "(" text *( "," text ) ")" )
 *                / attribute                         of those that are true or false
 *                / "is_missing" "(" attribute ")"
 *     attribute  = ":" name ":"                      a name: letters, digits and _
 *     value      = text / number / "true" / "false"
 *     text       = characters between ' and ', or between " and ", at most RULE_VALUE_MAX bytes
 *     number     = ["-"] digits
 *
 * Words are read in any case, and texts compared without regard to the case of ASCII letters. Which
 * attributes there are, and what is in a list, the caller knows. A test of an attribute that is
 * missing does not hold, whatever its comparison; only is_missing does.
 *
 * RULE-1  A rule that is accepted has 1 to RULE_TESTS_MAX tests and at most RULE_STEPS_MAX steps,
 *         which leave exactly one answer: holding takes each step once.
 * RULE-2  A problem names the character at which it was found, and never quotes the text.
 * RULE-3  Whether a rule holds depends on the facts alone, by whole numbers.
 *
 * Pure; one owner at a time.
 */
#ifndef RULE_RULE_H
#define RULE_RULE_H

#include "base/err.h"
#include "base/span.h"

#define RULE_SIZE_MAX   1000 /* bytes */
#define RULE_TESTS_MAX  16
#define RULE_STEPS_MAX  64
#define RULE_DEPTH_MAX  16 /* parentheses and "not" that are open at a place */
#define RULE_VALUES_MAX 32 /* texts between the parentheses of all "in" together */
#define RULE_VALUE_MAX  200
#define RULE_NAME_MAX   100 /* bytes of an attribute's name, or of an alias */

enum rule_action {
    RULE_ALLOW,
    RULE_BLOCK,
    RULE_REQUEST_3D_SECURE,
};

enum rule_kind {
    RULE_TEXT,
    RULE_NUMBER,
    RULE_BOOLEAN,
};

/* What a rule may ask for; the caller's table, at most 250 long. */
struct rule_attribute {
    const char *name;
    enum rule_kind kind;
};

enum rule_comparison {
    RULE_EQUAL,
    RULE_NOT_EQUAL,
    RULE_LESS,
    RULE_LESS_EQUAL,
    RULE_GREATER,
    RULE_GREATER_EQUAL,
    RULE_IN_VALUES,
    RULE_IN_LIST,
    RULE_IS_MISSING,
};

struct rule_test {
    uint8_t attribute; /* in the caller's table */
    uint8_t comparison;
    uint8_t first, count; /* IN_VALUES: in rule.values */
    int64_t number;       /* of numbers; 0 and 1 of booleans */
    struct span text;     /* the value; IN_LIST: the alias */
};

struct rule {
    enum rule_action action;
    uint32_t test_count, step_count, value_count;
    struct rule_test tests[RULE_TESTS_MAX];
    struct span values[RULE_VALUES_MAX];
    uint8_t steps[RULE_STEPS_MAX]; /* in postfix order: a test's number, or RULE_STEP_... */
};

enum {
    RULE_STEP_NOT = 253,
    RULE_STEP_AND = 254,
    RULE_STEP_OR = 255,
};

struct rule_problem {
    uint32_t character; /* counted from 1 */
    const char *text;   /* static */
};

/* The spans of the result point into `text`. ERR_INVALID, with a problem. */
MUST_USE err_t rule_parse(
    struct span text,
    const struct rule_attribute *attributes,
    uint32_t attribute_count,
    struct rule *ret_rule,
    struct rule_problem *ret_problem);

/* What is known of a payment; by the attribute's place in the table. */
struct rule_fact {
    bool present;
    int64_t number; /* 0 and 1 of booleans */
    struct span text;
};

struct rule_facts {
    const struct rule_fact *facts;
    /* Whether the attribute, which is present, is in the list of this alias. NULL: nothing is. */
    bool (*listed)(void *context, uint32_t attribute, struct span alias);
    void *context;
};

bool rule_holds(const struct rule *rule, const struct rule_facts *facts);

#endif
