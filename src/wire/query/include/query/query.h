/*
 * Stripe's search query language, from text to clauses:
 *
 *     status:"succeeded" AND amount>=1000
 *     -currency:"usd" metadata["order_id"]:'6735'
 *     email~"@example.com" OR name:null
 *
 *     query    = clause *( joint clause )         joints of one query are all AND or all OR
 *     joint    = space / space ("AND" / "OR") space        without a word: AND; any case
 *     clause   = ["-"] field operator value
 *     field    = name *("." name) [ "[" quoted "]" ]       a name: letters, digits and _
 *     operator = ":" / "=" / "~" / ">" / ">=" / "<" / "<="
 *     value    = quoted / number / "true" / "false" / "null"
 *     quoted   = text between " and " or between ' and '; \" \' \\ stand for the second character
 *
 * Spaces may stand around the operator. What a field is, and whether an operator makes sense for
 * it, the caller knows: here `amount~"abc"` is well formed.
 *
 * QUERY-1  A query that is accepted has 1 to QUERY_CLAUSES_MAX clauses, and every text in it is
 *          UTF-8, not empty, without zero bytes; those of QUERY_CONTAINS have at least
 *          QUERY_CONTAINS_MIN characters.
 * QUERY-2  An error names the character at which it was found. It never quotes a value: a value
 *          may be a card number.
 *
 * Pure; one owner at a time. The source of the rules is docs.stripe.com/search.
 */
#ifndef QUERY_QUERY_H
#define QUERY_QUERY_H

#include "base/arena.h"
#include "base/err.h"

#define QUERY_CLAUSES_MAX  10
#define QUERY_SIZE_MAX     5000 /* characters */
#define QUERY_FIELD_MAX    100  /* bytes of a field's name */
#define QUERY_CONTAINS_MIN 3    /* characters */
#define QUERY_MESSAGE_SIZE 320

enum query_operator {
    QUERY_EQUAL,    /* : or = */
    QUERY_CONTAINS, /* ~ */
    QUERY_GREATER,
    QUERY_GREATER_EQUAL,
    QUERY_LESS,
    QUERY_LESS_EQUAL,
};

enum query_value {
    QUERY_TEXT, /* quoted */
    QUERY_WORD, /* bare: a whole number, true or false */
    QUERY_NULL, /* with QUERY_EQUAL only: the field is not set */
};

struct query_clause {
    bool negated;
    struct span field; /* "payment_method_details.card.last4" */
    struct span key;   /* of the brackets; data is NULL without them */
    enum query_operator operation;
    enum query_value kind;
    struct span value;  /* unescaped; empty for QUERY_NULL */
    uint32_t character; /* where the clause begins, counted from 1 */
};

struct query {
    bool any; /* joined by OR: one clause that holds is enough */
    uint32_t count;
    struct query_clause clauses[QUERY_CLAUSES_MAX];
};

/* The spans of the result point into `text` or the arena. ERR_INVALID or ERR_FULL with a message
 * for people, in the arena or static. */
MUST_USE err_t query_parse(
    struct span text, struct arena *arena, struct query *ret_query, struct span *ret_message);

/*
 * Writes text.size bytes to `out`: the text in lower case, for comparing without regard to case.
 * Letters of ASCII, Latin-1, Latin Extended-A, Greek and Cyrillic; the rest stays. Folding keeps
 * the size of every character, so equal texts have equal sizes. Any bytes are accepted; those that
 * are not UTF-8 stay.
 */
void query_fold(struct span text, char *out);

#endif
