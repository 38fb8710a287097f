/* Pages of objects: what list routes share (list.c), and events add to (event_list.c). */
#ifndef RESOURCE_LIST_H
#define RESOURCE_LIST_H

#include "resource/pages.h"

#include "runtime.h"

/* What the request asks for: at most `limit` objects between two ids, exclusive. */
struct resource_list {
    uint32_t limit;
    bool toward_newer; /* ending_before: those next to the lower bound come first */
    struct span id_above, id_below;
    void **documents; /* newest first; room for limit + 1 */
    void **merged;    /* the same, where two queries are put together */
    uint32_t count;   /* of documents; may be limit + 1 */
    bool has_more;
    uint32_t left_out; /* rows that cannot be read */
};

#define RESOURCE_LIST_LIMIT_DEFAULT 10

/* Room for what `limit` asks for; false: the operation was answered. */
MUST_USE bool resource_list_begin(struct resource_op *op, struct resource_list *list);
/* Only what was created in this unix second or later; only what was created before it. */
void resource_list_since(
    struct resource_op *op,
    const struct resource_type *type,
    struct resource_list *list,
    int64_t second);
void resource_list_before(
    struct resource_op *op,
    const struct resource_type *type,
    struct resource_list *list,
    int64_t second);
/* Reads limit, cursors and created; false: the operation was answered. */
MUST_USE bool resource_list_read(
    struct resource_op *op, const struct resource_type *type, struct resource_list *list);
/* Fills a query's bounds, order and limit (one more than asked for, to see whether there are). */
void resource_list_query(const struct resource_list *list, struct document_query *query);
/* A row that cannot be read is not in the list, and noted. */
void resource_list_leave_out(
    struct resource_op *op,
    const struct resource_type *type,
    struct resource_list *list,
    struct span id);
/*
 * A query has found `rows`, the last of which is `last`, and the list had left out `left_out`
 * before it. True: what was left out of it is to be made up for by those behind it, of which
 * `query` now asks: clients take a page that is empty for the end.
 */
MUST_USE bool resource_list_goes_on(
    const struct resource_list *list,
    uint32_t left_out,
    uint32_t rows,
    struct span last,
    struct document_query *query);
/* The query's documents into the list: fewer, with has_more, where so many would not fit. What
 * cannot be read is left out. ERR_CORRUPT: that are too many. */
MUST_USE err_t resource_list_find(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_query *query,
    struct resource_list *list);
/* Behind a query in that order: puts the documents the right way round and sets has_more, if that
 * was not done before. */
void resource_list_arrange(struct resource_list *list);
/* Writes the member "data". An error means that a reference could not be loaded. */
MUST_USE err_t resource_list_render(
    struct resource_op *op,
    const struct resource_type *type,
    const struct resource_list *list,
    struct json_writer *json);

#endif
