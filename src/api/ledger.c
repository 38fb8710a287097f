/*
 * The ledger's own routes, for people who want only that.
 *
 *     resource loop   handler: whose key is it? --> job
 *     ledger loop     api_ledger_read --> the ledger (look at pendings first, if it must) --> the
 *                     ledger --> api_ledger_write
 *     resource loop   resource_answer
 *
 * A repeated request is harmless by the ids in it, so these routes know no idempotency keys.
 *
 * API-9: there is one ledger for all merchants, so only the platform's own may ask for it.
 *
 * API-4: books of payments are written by payments only. Their ledgers may be read, and are
 * refused in events. Posting or voiding may leave its ledger 0 and take over the pending
 * transfer's, so those are looked at first; a transfer's ledger never changes.
 */
#include "ledger.h"

#include "base/assert.h"
#include "base/list.h"
#include "resource/merchants.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
api_ledger_refuse(
    struct api_ledger_job *job, int status, const char *param, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    job->status = status;
    (void)snprintf(job->param, sizeof(job->param), "%s", param);
    (void)vsnprintf(job->message, sizeof(job->message), format, arguments);
    va_end(arguments);
    return false;
}

static void
job_free(struct api_ledger_job *job)
{
    atomic_fetch_sub(&job->ledger->memory, job->charged);
    free(job->in);
    free(job->out);
    free(job->pairs);
    free(job->pending_ids);
    free(job->pending_events);
    buf_release(&job->body);
    free(job);
}

/* ---------------------------------------------------------------- back on the resource loop */

static void
job_end(struct os_task *task)
{
    struct api_ledger_job *job = CONTAINER_OF(task, struct api_ledger_job, task);
    if (job->status == 0) {
        resource_answer_typed(
            job->op, 200, job->packed ? "application/vnd.tael.results" : NULL, &job->body);
    } else {
        struct resource_error error = {
            .status = job->status,
            .type = job->status >= 500 ? "api_error" : "invalid_request_error",
            .param = span_from_cstr(job->param),
            .message = span_from_cstr(job->message),
        };
        resource_fail(job->op, &error);
    }
    job_free(job);
}

static void
job_return(struct api_ledger_job *job)
{
    job->task.run = job_end;
    os_post(job->op_executor, &job->task);
}

/* ------------------------------------------------------------------------ on the ledger loop */

static bool
archived_refuse(struct api_ledger_job *job)
{
    const char *what = "This needs a part of the ledger's history that was archived, and nothing "
                       "was done. To be put back:";
    uint64_t segment = job->port.segment;
    return segment == 0
               ? api_ledger_refuse(job, 503, "", "%s the segment that its log names.", what)
               : api_ledger_refuse(job, 503, "", "%s segment %08" PRIu64 ".log.", what, segment);
}

/* False: the job was refused. */
static bool
ledger_answered(struct api_ledger_job *job)
{
    if (job->port.error == ERR_CROSSES_SHARDS) {
        char param[64];
        (void)snprintf(param, sizeof(param), "events[%u]", job->port.out_count);
        return api_ledger_refuse(
            job,
            400,
            param,
            "This would be on two shards of the ledger, where it cannot be: an event that "
            "balances, "
            "closes or imports; or one of a linked chain that is pending or ends a pending one "
            "(but within the one slot that decides), is not valid by itself, has an id of the "
            "chain again, or is one too many (31 legs, 8 slots). Nothing was done.");
    }
    if (job->port.error == ERR_ARCHIVED) {
        return archived_refuse(job);
    }
    switch (err_category(job->port.error)) {
    case ERR_CATEGORY_NONE:
        return true;
    case ERR_CATEGORY_UNKNOWN:
        return api_ledger_refuse(
            job,
            500,
            "",
            "The outcome is not known. Send the same events again, or look them up by id.");
    case ERR_CATEGORY_RETRYABLE:
        return api_ledger_refuse(
            job,
            503,
            "",
            "The ledger cannot be reached now, cannot write, or has too much to do; it did "
            "nothing. Try again.");
    case ERR_CATEGORY_EXHAUSTED:
        return api_ledger_refuse(
            job, 503, "", "The ledger has no room for this now, and did nothing. Try again.");
    case ERR_CATEGORY_INVALID:
    case ERR_CATEGORY_DENIED:
    case ERR_CATEGORY_CORRUPT:
    case ERR_CATEGORY_INTERNAL:
        break;
    }
    return api_ledger_refuse(job, 500, "", "The ledger failed. Look the events up by id.");
}

static void
on_answer(struct port_ledger_request *port)
{
    struct api_ledger_job *job = CONTAINER_OF(port, struct api_ledger_job, port);
    if (ledger_answered(job)) {
        api_ledger_write(job);
    }
    job_return(job);
}

static void
submit(struct api_ledger_job *job)
{
    struct api *api = job->ledger->api;
    job->port = (struct port_ledger_request){
        .reply_to = os_loop_executor(api->parts.ledger_loop),
        .done = on_answer,
        .trace = resource_op_trace(job->op),
        .operation = job->operation,
        .count = job->count,
        .pairs = job->pairs,
    };
    /* The members of the unions are pointers of one representation each: assign by operation. */
    switch (job->operation) {
    case PORT_LEDGER_CREATE_ACCOUNTS:
        job->port.in.accounts = job->in;
        job->port.out.results = job->out;
        break;
    case PORT_LEDGER_CREATE_TRANSFERS:
        job->port.in.transfers = job->in;
        job->port.out.results = job->out;
        break;
    case PORT_LEDGER_LOOKUP_ACCOUNTS:
    case PORT_LEDGER_LOOKUP_CONSISTENT:
        job->port.in.ids = job->in;
        job->port.out.accounts = job->out;
        break;
    case PORT_LEDGER_LOOKUP_TRANSFERS:
        job->port.in.ids = job->in;
        job->port.out.transfers = job->out;
        break;
    case PORT_LEDGER_QUERY_ACCOUNTS:
        job->port.in.filter = &job->filter;
        job->port.out.accounts = job->out;
        break;
    case PORT_LEDGER_GET_ACCOUNT_TRANSFERS:
    case PORT_LEDGER_QUERY_TRANSFERS:
    case PORT_LEDGER_QUERY_IN_TRANSIT:
        job->port.in.filter = &job->filter;
        job->port.out.transfers = job->out;
        break;
    case PORT_LEDGER_GET_ACCOUNT_BALANCES:
        job->port.in.filter = &job->filter;
        job->port.out.balances = job->out;
        break;
    case PORT_LEDGER_GET_CHANGE_EVENTS:
        job->port.in.filter = &job->filter;
        job->port.out.changes = job->out;
        break;
    case PORT_LEDGER_ADOPT:
    case PORT_LEDGER_GET_FAILED_IDS:
    case PORT_LEDGER_SHARD:
    case PORT_LEDGER_SETTLE:
        UNREACHABLE(); /* whoever moves slots asks shards, and not by the API */
    }
    api->parts.ledger->submit(api->parts.ledger, &job->port);
}

/* Which of the pending transfers belong to payments' books? */
static bool
pendings_are_free(struct api_ledger_job *job, const struct ledger_transfer *found)
{
    const struct api_parts *parts = &job->ledger->api->parts;
    for (uint32_t i = 0; i < job->port.out_count; i++) {
        if (!parts->ledger_is_reserved(found[i].ledger)) {
            continue;
        }
        for (uint32_t j = 0; j < job->pending_count; j++) {
            if (job->pending_ids[j] == found[i].id) {
                char param[64];
                (void)snprintf(
                    param, sizeof(param), "events[%u].pending_id", job->pending_events[j]);
                return api_ledger_refuse(
                    job,
                    400,
                    param,
                    "That transfer is in ledger %u, which is for payments.",
                    found[i].ledger);
            }
        }
    }
    return true;
}

static void
on_pendings(struct port_ledger_request *port)
{
    struct api_ledger_job *job = CONTAINER_OF(port, struct api_ledger_job, port);
    struct ledger_transfer *found = port->out.transfers;
    bool go_on = ledger_answered(job) && pendings_are_free(job, found);
    free(found);
    if (go_on) {
        submit(job);
    } else {
        job_return(job);
    }
}

static void
submit_pendings(struct api_ledger_job *job)
{
    struct api *api = job->ledger->api;
    struct ledger_transfer *found = calloc(job->pending_count, sizeof(*found));
    if (found == NULL) {
        (void)api_ledger_refuse(job, 503, "", "Out of memory. Try again.");
        job_return(job);
        return;
    }
    job->port = (struct port_ledger_request){
        .reply_to = os_loop_executor(api->parts.ledger_loop),
        .done = on_pendings,
        .trace = resource_op_trace(job->op),
        .operation = PORT_LEDGER_LOOKUP_TRANSFERS,
        .count = job->pending_count,
        .in.ids = job->pending_ids,
        .out.transfers = found,
    };
    api->parts.ledger->submit(api->parts.ledger, &job->port);
}

static void
job_read(struct os_task *task)
{
    struct api_ledger_job *job = CONTAINER_OF(task, struct api_ledger_job, task);
    if (!api_ledger_read(job)) {
        job_return(job);
    } else if (job->pending_count > 0) {
        submit_pendings(job);
    } else {
        submit(job);
    }
}

/* ---------------------------------------------------------------------- on the resource loop */

static void
handle(struct resource_op *op, enum api_ledger_route route)
{
    struct api_ledger *ledger = resource_op_service(op);
    if (resource_op_caller(op)->scope / 2 != RESOURCE_MERCHANT_PLATFORM) {
        struct resource_error error = {
            .status = 403,
            .type = "invalid_request_error",
            .message = SPAN("The ledger by itself has everybody's books: only keys of the "
                            "platform's own merchant, which is the first one, may use it."),
        };
        resource_fail(op, &error);
        return;
    }
    if (resource_op_caller(op)->live != ledger->api->parts.ledger_live) {
        struct resource_error error = {
            .status = 403,
            .type = "invalid_request_error",
            .message = ledger->api->parts.ledger_live
                           ? SPAN("This ledger holds live money: use a live-mode key.")
                           : SPAN("This ledger holds test money: use a test-mode key."),
        };
        resource_fail(op, &error);
        return;
    }
    struct api_ledger_job *job = calloc(1, sizeof(*job));
    if (job == NULL) {
        resource_internal(op, ERR_MEMORY, "ledger request");
        return;
    }
    job->ledger = ledger;
    job->op = op;
    job->op_executor = resource_op_executor(op);
    job->request = resource_op_request(op)->user;
    job->route = route;
    job->task.run = job_read;
    os_post(os_loop_executor(ledger->api->parts.ledger_loop), &job->task);
}

static void
handle_accounts(struct resource_op *op)
{
    handle(op, API_LEDGER_ACCOUNTS);
}

static void
handle_transfers(struct resource_op *op)
{
    handle(op, API_LEDGER_TRANSFERS);
}

static void
handle_lookup(struct resource_op *op)
{
    handle(op, API_LEDGER_LOOKUP);
}

static void
handle_query(struct resource_op *op)
{
    handle(op, API_LEDGER_QUERY);
}

#define ROUTE(pattern_, handler_)                                                                  \
    {                                                                                              \
        .method = "POST", .pattern = (pattern_), .handler = (handler_),                            \
        .flags = RESOURCE_RAW_BODY, .permission = "ledger"                                         \
    }

static const struct resource_route route_table[] = {
    ROUTE("/v1/ledger/accounts", handle_accounts),
    ROUTE("/v1/ledger/transfers", handle_transfers),
    ROUTE("/v1/ledger/lookup", handle_lookup),
    ROUTE("/v1/ledger/query", handle_query),
};

enum {
    ROUTE_COUNT = sizeof(route_table) / sizeof(route_table[0])
};

err_t
api_ledger_create(struct api *api, struct api_ledger **ret_ledger)
{
    struct api_ledger *ledger = calloc(1, sizeof(*ledger));
    struct resource_route *routes = calloc(ROUTE_COUNT, sizeof(*routes));
    if (ledger == NULL || routes == NULL) {
        free(ledger);
        free(routes);
        return ERR_MEMORY;
    }
    memcpy(routes, route_table, sizeof(route_table));
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        routes[i].service_context = ledger;
    }
    ledger->api = api;
    ledger->routes = routes;
    *ret_ledger = ledger;
    return ERR_OK;
}

void
api_ledger_destroy(struct api_ledger **ledger_at)
{
    struct api_ledger *ledger = *ledger_at;
    if (ledger == NULL) {
        return;
    }
    *ledger_at = NULL;
    free(ledger->routes);
    free(ledger);
}

const struct resource_route *
api_ledger_routes(const struct api_ledger *ledger, uint32_t *ret_count)
{
    *ret_count = ROUTE_COUNT;
    return ledger == NULL ? route_table : ledger->routes;
}
