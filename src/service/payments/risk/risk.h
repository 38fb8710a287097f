/*
 * Which payments by card a merchant refuses before the network is asked: lists of values, rules,
 * and counts of what was tried before. README.md has the invariants, RISK-1 and on; docs/risk.md is
 * for who uses it.
 */
#ifndef PAYMENTS_RISK_H
#define PAYMENTS_RISK_H

#include "flow.h"
#include "risk_value.h"
#include "risk_window.h"
#include "rule/rule.h"

/* Of one merchant in one mode. */
#define PAYMENTS_RISK_RULES_MAX  50
#define PAYMENTS_RISK_LISTS_MAX  100   /* default ones among them */
#define PAYMENTS_RISK_VALUES_MAX 10000 /* of one list */
/* A list with more is emptied before it is deleted. */
#define PAYMENTS_RISK_REMOVED_MAX 200
#define PAYMENTS_RISK_ALIAS_MAX   RULE_NAME_MAX

/* ------------------------------------------------------------------------------- documents --- */

struct payments_value_list {
    struct resource_header header;
    struct span alias;
    struct span name;
    struct span item_type;
    struct span created_by;
    struct span metadata; /* JSON object */
    int64_t items;        /* how many there are; changes under the list's lock */
    int64_t filled;       /* when the first of them came; unix seconds */
    bool fixed;           /* a default one: it stays as it is */
};

enum {
    PAYMENTS_VALUE_LIST_ALIAS
};

struct payments_value_item {
    struct resource_header header;
    struct span value_list;
    struct span value; /* as it was given */
    struct span entry; /* the list's id, and the value in the form that is compared */
    struct span created_by;
};

enum {
    PAYMENTS_VALUE_ITEM_LIST,
    PAYMENTS_VALUE_ITEM_ENTRY
};

struct payments_risk_rule {
    struct resource_header header;
    struct span predicate; /* rule/rule.h */
    struct span name;
    struct span created_by, updated_by;
    struct span metadata; /* JSON object */
    bool disabled;
};

/* Of one value of one merchant: how often it was tried, or declined, or how much was authorized. */
struct payments_risk_counter {
    struct resource_header header;
    struct span counts; /* risk_window.h */
    int64_t due;        /* when to look whether it is still of use; unix seconds */
};

enum {
    PAYMENTS_RISK_COUNTER_DUE
};

extern const struct document_kind payments_value_list_kind;
extern const struct document_kind payments_value_item_kind;
extern const struct document_kind payments_risk_rule_kind;
extern const struct document_kind payments_risk_counter_kind;
extern const struct resource_type payments_value_list_type;
extern const struct resource_type payments_value_item_type;
extern const struct resource_type payments_risk_rule_type;
extern const struct resource_type payments_risk_counter_type;
/* What is answered when one was deleted. */
extern const struct resource_type payments_deleted_value_list_type;
extern const struct resource_type payments_deleted_value_item_type;
extern const struct resource_type payments_deleted_risk_rule_type;

void payments_value_list_render(struct resource_render *render, const void *document);
void payments_value_item_render(struct resource_render *render, const void *document);
void payments_risk_rule_render(struct resource_render *render, const void *document);
void payments_deleted_value_list_render(struct resource_render *render, const void *document);
void payments_deleted_value_item_render(struct resource_render *render, const void *document);
void payments_deleted_risk_rule_render(struct resource_render *render, const void *document);

/* ------------------------------------------------------ risk_attributes.c: what rules ask for ---
 */

enum payments_risk_attribute {
    PAYMENTS_RISK_AMOUNT,
    PAYMENTS_RISK_BIN,
    PAYMENTS_RISK_BRAND,
    PAYMENTS_RISK_CARD_COUNTRY,
    PAYMENTS_RISK_FINGERPRINT,
    PAYMENTS_RISK_FUNDING,
    PAYMENTS_RISK_CURRENCY,
    PAYMENTS_RISK_CUSTOMER,
    PAYMENTS_RISK_EMAIL_ADDRESS,
    PAYMENTS_RISK_EMAIL_DOMAIN,
    PAYMENTS_RISK_IP,
    PAYMENTS_RISK_PROVEN,
    PAYMENTS_RISK_OFF_SESSION,
    PAYMENTS_RISK_COUNTED, /* and on: a slot's three windows, slot after slot */
};

/* Whom attempts are counted of, and what of them. */
enum payments_risk_subject {
    PAYMENTS_RISK_OF_CARD,
    PAYMENTS_RISK_OF_CUSTOMER,
    PAYMENTS_RISK_OF_EMAIL,
    PAYMENTS_RISK_OF_IP,
    PAYMENTS_RISK_SUBJECTS,
};

enum payments_risk_measure {
    PAYMENTS_RISK_ATTEMPTS,
    PAYMENTS_RISK_DECLINES,
    PAYMENTS_RISK_AUTHORIZED,
    PAYMENTS_RISK_MEASURES,
};

#define PAYMENTS_RISK_SLOTS (PAYMENTS_RISK_SUBJECTS * PAYMENTS_RISK_MEASURES)
#define PAYMENTS_RISK_ATTRIBUTES                                                                   \
    (PAYMENTS_RISK_COUNTED + PAYMENTS_RISK_SLOTS * PAYMENTS_RISK_WINDOWS)

extern const struct rule_attribute payments_risk_attributes[PAYMENTS_RISK_ATTRIBUTES];

/* Default lists: what is looked for in each. A block list and an allow list of each. */
#define PAYMENTS_RISK_DEFAULTS 6

struct payments_risk_default {
    const char *blocks, *allows; /* aliases */
    const char *title;
    enum payments_risk_item item;
    enum payments_risk_attribute attribute;
};

extern const struct payments_risk_default payments_risk_defaults[PAYMENTS_RISK_DEFAULTS];

/* ------------------------------------------------------------------ risk_book.c: what is set ---
 */

struct payments_risk_book_list {
    char id[ID_TEXT_SIZE];
    char alias[PAYMENTS_RISK_ALIAS_MAX + 1];
    enum payments_risk_item item;
    bool empty;
};

struct payments_risk_book_rule {
    char id[ID_TEXT_SIZE];
    char text[RULE_SIZE_MAX];
    struct rule rule; /* into the text */
};

/* What a merchant in a mode has set, ready to be asked. */
struct payments_risk_book {
    uint64_t scope;
    uint64_t read_ns; /* monotonic */
    bool stale;       /* something of it was written here since */
    bool quiet;       /* no rule, nothing in a list: there is nothing to ask */
    uint64_t wanted;  /* attributes that anything asks for, a bit each */
    uint32_t counted; /* slots that are counted, a bit each */
    uint32_t rule_count, list_count;
    struct payments_risk_book_rule *rules;
    struct payments_risk_book_list *lists;
};

struct payments_risk_books;

/* Read when it is not here yet, was changed here, or, where others may have changed it, is older
 * than PAYMENTS_RISK_BOOK_NS. It is good until the operation's step ends. ERR_CORRUPT: a stored
 * rule cannot be read. */
#define PAYMENTS_RISK_BOOK_NS UINT64_C(1000000000)
MUST_USE err_t
payments_risk_book_of(struct resource_op *op, const struct payments_risk_book **ret_book);
const struct payments_risk_book_list *payments_risk_book_find(
    const struct payments_risk_book *book, struct span alias);
/* The operation changes what a book has: it is read again, and the answer waits until every process
 * has noticed. */
void payments_risk_book_changes(struct resource_op *op);

/* ------------------------------------------------------------------------------ risk_facts.c ---
 */

/* What is known of the payment, or the setup, that begins. */
struct payments_risk_facts {
    struct rule_fact facts[PAYMENTS_RISK_ATTRIBUTES];
    struct span subjects[PAYMENTS_RISK_SUBJECTS]; /* empty: there is none */
    int64_t amount;                               /* of the card */
    struct span currency;                         /* empty of a setup */
};

/* All but what is counted; from flow->risk the address. */
MUST_USE err_t payments_risk_facts_read(
    struct payments_flow *flow, uint64_t wanted, struct payments_risk_facts *ret_facts);
/* Where the payer is: of a browser what the front has seen, of others radar_options[ip_address];
 * empty: that is not known. False if answered. */
bool payments_risk_address(struct resource_op *op, struct span *ret_address);

/* ------------------------------------------------------------------------------ risk_count.c ---
 */

/* Fills in what is counted, of the slots that the book counts, and counts one more attempt. */
MUST_USE err_t payments_risk_count_attempt(
    struct payments_flow *flow,
    const struct payments_risk_book *book,
    struct payments_risk_facts *facts,
    bool counts);

/* --------------------------------------------------------------------------------- handlers --- */

/* The form in which a value of a list is stored, and looked for; empty if memory is out. */
struct span payments_risk_entry(struct resource_op *op, struct span list, struct span value);
/* The merchant has its default lists; false if answered. */
bool payments_risk_lists_ready(struct resource_op *op);
/* Whether a rule asks for this list. */
MUST_USE err_t payments_risk_rule_names(struct resource_op *op, struct span alias, bool *ret_names);
/* Who does it, as lists and rules show it. */
struct span payments_risk_who(struct resource_op *op);

void payments_value_list_create(struct resource_op *op);
void payments_value_list_retrieve(struct resource_op *op);
void payments_value_list_update(struct resource_op *op);
void payments_value_list_delete(struct resource_op *op);
void payments_value_list_list(struct resource_op *op);
void payments_value_item_create(struct resource_op *op);
void payments_value_item_retrieve(struct resource_op *op);
void payments_value_item_delete(struct resource_op *op);
void payments_value_item_list(struct resource_op *op);
void payments_risk_rule_create(struct resource_op *op);
void payments_risk_rule_retrieve(struct resource_op *op);
void payments_risk_rule_update(struct resource_op *op);
void payments_risk_rule_delete(struct resource_op *op);
void payments_risk_rule_list(struct resource_op *op);

/* The one with this alias; NULL: there is none. */
MUST_USE err_t payments_value_list_find(
    struct resource_op *op, struct span alias, struct payments_value_list **ret_list);
/* A value list by its id or alias, as `param` names it. NULL: answered. */
struct payments_value_list *payments_value_list_named(
    struct resource_op *op, const char *param, struct span named);

/* -------------------------------------------------------------------- what payments ask --- */

/* Of a payment, or a setup, whose attempt has just been opened: flow->risk; if it is blocked, with
 * a decline in flow->rail.answer. False if answered. */
bool payments_risk_judge(struct payments_flow *flow);
/* In the write that ends an attempt to authorize, or a setup that is blocked: what rules count is
 * counted, and what was blocked. */
void payments_risk_ended(struct payments_flow *flow, bool approved);
/* Removes what is counted of long ago. */
void payments_risk_sweep(struct payments *payments);
MUST_USE err_t payments_risk_books_create(struct payments_risk_books **ret_books);
void payments_risk_books_destroy(struct payments_risk_books **books);

#endif
