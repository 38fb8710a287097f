/* query.c: what both databases ask about a list's query before they write SQL for it. */
#ifndef DOCUMENT_QUERY_H
#define DOCUMENT_QUERY_H

#include "document/document.h"

/*
 * What the SQL text depends on; the text of each shape is prepared once. Bits: 0 all_scopes,
 * 1 oldest_first, 2 id_above, 3 id_below, 4-6 range column + 1, then five per filter: column + 1,
 * whether it ignores case, and whether it asks for NULL.
 */
uint64_t document_query_shape(const struct document_query *query);
/* The column that leads the order of a query across scopes, which has one. */
uint32_t document_query_leading_column(
    const struct document_kind *kind, const struct document_query *query);
/* The order in which the query lists: below, at or above 0, as `a` comes before, is at or comes
 * behind `b`. */
int document_query_compare(
    const struct document_kind *kind,
    const struct document_query *query,
    const struct document_row *a,
    const struct document_row *b);

#endif
