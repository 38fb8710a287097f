/* A query against the objects of one type: binding it to the type's fields, and looking whether an
 * object matches (search_match.c). search.c does the reading. */
#ifndef RESOURCE_SEARCH_H
#define RESOURCE_SEARCH_H

#include "resource/pages.h"

#include "runtime.h"

#include "query/query.h"

/* A clause that has found its field, and whose value fits it. */
struct resource_search_term {
    struct query_clause clause;
    const struct resource_search_field *field;
    const struct resource_field *member; /* NULL: `created`, or what the field shows */
    struct span path;                    /* from there into the JSON; may be empty */
    struct span folded;                  /* TEXT and METADATA: the value in lower case */
    int64_t number;                      /* NUMBER */
};

struct resource_search_terms {
    bool any;
    uint32_t count;
    struct resource_search_term terms[QUERY_CLAUSES_MAX];
};

/* False: the operation was answered with what is wrong. */
MUST_USE bool resource_search_bind(
    struct resource_op *op,
    const struct resource_search *search,
    const struct query *query,
    struct resource_search_terms *ret_terms);

/* `arena` is for the time of the call. ERR_CORRUPT, ERR_FULL. */
MUST_USE err_t resource_search_match(
    const struct resource_search_terms *terms,
    const void *document,
    struct arena *arena,
    bool *ret_matches);

#endif
