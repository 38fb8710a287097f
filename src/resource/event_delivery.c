/*
 * GET /v1/events?delivery_success=: events that all endpoints got, or those that some did not get
 * (yet). Who delivers keeps the second list, in the order of ids (resource/event.h); the first is
 * everything else.
 */
#include "event.h"

#include "base/assert.h"

/* Events looked at for one page. One that is not full by then says that there is more. */
#define SCANNED_MAX 4096

struct scan {
    struct resource_op *op;
    const struct resource_event_wanted *wanted;
    struct resource_list *list;
    uint32_t scanned;
    struct span last; /* the one looked at before */
    bool laden;       /* there is memory for no more */
    err_t error;
};

static bool
is_wanted(const struct resource_event_wanted *wanted, struct span type)
{
    for (uint32_t i = 0; i < wanted->count; i++) {
        if (span_equal(wanted->types[i], type)) {
            return true;
        }
    }
    return wanted->any;
}

/* False: enough, or an error. */
static bool
take(struct scan *scan, struct span id)
{
    struct resource_list *list = scan->list;
    void *document;
    scan->error = resource_load(scan->op, &resource_event_type, id, &document);
    if (scan->error == ERR_NOT_FOUND) {
        scan->error = ERR_OK; /* its time was over before that of its deliveries */
        return true;
    }
    if (scan->error == ERR_CORRUPT) {
        scan->error = ERR_OK;
        resource_list_leave_out(scan->op, &resource_event_type, list, id);
        return true;
    }
    if (scan->error == ERR_OK &&
        is_wanted(scan->wanted, ((const struct resource_event *)document)->type)) {
        list->documents[list->count++] = document;
    }
    scan->laden = resource_op_is_laden(scan->op);
    return scan->error == ERR_OK && list->count <= list->limit && !scan->laden;
}

static bool
each_event(void *context, const struct document_row *row)
{
    struct scan *scan = context;
    const struct resource_event_watch *watch = scan->op->runtime->event_watch;
    struct span id = arena_copy(&scan->op->arena, row->id);
    scan->scanned++;
    if (id.data == NULL) {
        scan->error = ERR_FULL;
        return false;
    }
    scan->last = id;
    if (!is_wanted(scan->wanted, row->columns[RESOURCE_EVENT_TYPE_COLUMN].text)) {
        return true;
    }
    int64_t pending = 0;
    if (watch != NULL) {
        scan->error = watch->pending(watch->context, scan->op, id, &pending);
    }
    if (scan->error != ERR_OK) {
        return false;
    }
    return pending > 0 ? true : take(scan, id);
}

static bool
each_undelivered(void *context, struct span event_id)
{
    struct scan *scan = context;
    scan->scanned++;
    if (span_equal(event_id, scan->last)) {
        return true;
    }
    struct span id = arena_copy(&scan->op->arena, event_id);
    if (id.data == NULL) {
        scan->error = ERR_FULL;
        return false;
    }
    scan->last = id;
    return take(scan, id);
}

err_t
resource_event_find_by_delivery(
    struct resource_op *op,
    const struct resource_event_wanted *wanted,
    bool delivered,
    struct resource_list *list)
{
    const struct resource_event_watch *watch = op->runtime->event_watch;
    struct scan scan = {.op = op, .wanted = wanted, .list = list};
    struct document_query query = {.filter_count = 0};
    resource_list_query(list, &query);
    query.limit = SCANNED_MAX;
    err_t result = ERR_OK;
    if (delivered) {
        result = resource_scan_rows(op, &resource_event_type, &query, each_event, &scan);
    } else if (watch != NULL) {
        result = watch->undelivered(watch->context, op, &query, each_undelivered, &scan);
    }
    TRY(result);
    TRY(scan.error);
    list->has_more = scan.laden || scan.scanned == SCANNED_MAX;
    return ERR_OK;
}
