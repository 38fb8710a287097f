/* Lists and searches of objects: the bodies of their handlers, and what their tables need. */
#ifndef RESOURCE_PAGES_H
#define RESOURCE_PAGES_H

#include "resource/object.h"

/* --------------------------------------------------------------------------------------- lists */

/* A list parameter that filters by a column, or with RESOURCE_EITHER by two: rows match by the one
 * or by the other. At most one such parameter of a route. */
struct resource_list_filter {
    const char *param;
    uint32_t column;
};

#define RESOURCE_EITHER(one, other) ((uint32_t)(one) | ((uint32_t)(other) + 1) << 16)

/* A row that cannot be read is left out of lists and searches, counted, and named in the log. So
 * many of one page; more are no accident, and it fails. */
#define RESOURCE_LIST_LEFT_OUT_MAX 1024

/* Reads limit, starting_after, ending_before, created, expand and the filters, and answers the list
 * envelope: the body of a handler. */
void resource_answer_list(
    struct resource_op *op,
    const struct resource_type *type,
    const char *url,
    const struct resource_list_filter *filters,
    uint32_t filter_count);
/* The same for a list below another object: only rows that match `only`. `url` lives in the arena.
 */
void resource_answer_list_of(
    struct resource_op *op,
    const struct resource_type *type,
    struct span url,
    const struct document_filter *only);
/* resource_answer_list in two halves, for whoever must ask others about the documents before they
 * are shown. NULL: the operation was answered. The documents live in the arena, newest first. */
struct resource_list;
MUST_USE struct resource_list *resource_list_gather(
    struct resource_op *op,
    const struct resource_type *type,
    const struct resource_list_filter *filters,
    uint32_t filter_count);
void **resource_list_documents(const struct resource_list *list, uint32_t *ret_count);
void resource_list_answer(
    struct resource_op *op,
    const struct resource_type *type,
    struct span url,
    const struct resource_list *list);
/* The same with several conditions, at most DOCUMENT_FILTERS_MAX. */
void resource_answer_list_where(
    struct resource_op *op,
    const struct resource_type *type,
    struct span url,
    const struct document_filter *filters,
    uint32_t filter_count);
/* Of those that the filters find the ones that `takes` says yes to. It looks at
 * RESOURCE_LIST_LOOKED_MAX of them for one page; where that does not fill it, the rest is left to
 * a request whose filters find fewer: this one is refused. */
#define RESOURCE_LIST_LOOKED_MAX 1024

struct resource_list_choice {
    const struct document_filter *filters;
    uint32_t filter_count;
    bool (*takes)(struct resource_op *op, const void *document);
};

void resource_answer_list_chosen(
    struct resource_op *op,
    const struct resource_type *type,
    struct span url,
    const struct resource_list_choice *choice);
/* Parameters that every list route has: put into its table. */
#define RESOURCE_LIST_PARAMS                                                                       \
    {.name = "limit", .kind = RESOURCE_PARAM_INTEGER, .minimum = 1, .maximum = 100},               \
        {.name = "starting_after", .kind = RESOURCE_PARAM_TEXT, .maximum = 64},                    \
        {.name = "ending_before", .kind = RESOURCE_PARAM_TEXT, .maximum = 64},                     \
        {.name = "created", .kind = RESOURCE_PARAM_RANGE}, RESOURCE_EXPAND_PARAM

/* ----------------------------------------------------------------------------------- searches */

enum resource_search_kind {
    RESOURCE_SEARCH_TEXT,     /* : and ~, in any case */
    RESOURCE_SEARCH_ID,       /* : only, as it is: ids that differ in case are different ids */
    RESOURCE_SEARCH_NUMBER,   /* : > >= < <= */
    RESOURCE_SEARCH_BOOLEAN,  /* : with true or false */
    RESOURCE_SEARCH_METADATA, /* a key in brackets; then as a text */
};

/* A field that queries may name. Its first part is a field of the type's table ("created" is in
 * every type); further parts lead into the JSON of that field, "payment_method_details.card.last4".
 * A column of the field that has an index in its scope is used: an ID's, or a TEXT's with any_case.
 */
struct resource_search_field {
    const char *name;
    enum resource_search_kind kind;
    /* What the object shows, where that is not what is stored; true or false for a BOOLEAN. */
    struct span (*show)(const void *document);
};

/* What can be searched, and how; constant. */
struct resource_search {
    const struct resource_type *type;
    const char *objects; /* "payment_intents", for errors */
    const char *url;     /* "/v1/payment_intents/search" */
    const struct resource_search_field *fields;
    uint32_t field_count;
};

/* Objects that one request looks at, at most; and up to which matches are counted. */
#define RESOURCE_SEARCH_LOOKED_MAX  1000000
#define RESOURCE_SEARCH_COUNTED_MAX 10000

/*
 * The handler's body of a search, of a route with RESOURCE_SEARCH_PARAMS and answers_search: reads
 * `query` in Stripe's search language (query/query.h), looks at the objects of the caller's scope
 * from the newest on, and answers a page of those that match, in the order of lists. What was
 * written before it began is found; what is written while it runs may be. A query with AND that
 * asks for an indexed field, or bounds `created`, reads only those objects.
 *
 * It works in turns with other searches, of some hundreds of objects in each group of requests
 * (turn.c), so that a long one does not hold the loop. A request that has looked at
 * settings.search_looked_max objects answers the page that it has so far, whose next_page goes on
 * from there; if that page is empty it is refused instead, because SDKs take an empty page for the
 * end.
 */
void resource_answer_search(struct resource_op *op, const struct resource_search *of);
#define RESOURCE_SEARCH_PARAMS                                                                     \
    {.name = "query", .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = 20000},            \
        {.name = "limit", .kind = RESOURCE_PARAM_INTEGER, .minimum = 1, .maximum = 100},           \
        {.name = "page", .kind = RESOURCE_PARAM_TEXT, .maximum = 5000}, RESOURCE_EXPAND_PARAM

/* ------------------------------------------------------------------------------------ turns */

/* Long reads of whoever lists or searches by itself, with resource_look: in turns, so that they do
 * not hold the loop. Runs `step` after a group, when those who asked before had their turn; what
 * this group has written is there then. The step reads until resource_turn_spend says no, and waits
 * again. */
void resource_turn_wait(struct resource_op *op, resource_step step);
/* A step read this much; false: its turn is over, the rest waits for another one. */
MUST_USE bool resource_turn_spend(struct resource_runtime *runtime, size_t body_size);

#endif
