#include "ledger_wire.h"

#include "tables.h"

#include "base/assert.h"

#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are sent as they are in memory");
static_assert(sizeof(struct port_ledger_pair) == 256, "a pair has no padding");
static_assert(sizeof(struct port_ledger_change) == 544, "a change has no padding");
static_assert(sizeof(struct port_ledger_balance) == 80, "a balance");
static_assert(offsetof(struct port_ledger_balance, balances) == 16, "has 8 bytes of padding");

static const struct {
    const char *name;
    uint32_t in_size;  /* of one event or id; 0: a filter */
    uint32_t out_size; /* of one record of the answer */
} operations[] = {
    [PORT_LEDGER_CREATE_ACCOUNTS] =
        {"create_accounts", sizeof(struct ledger_account), sizeof(struct ledger_result)},
    [PORT_LEDGER_CREATE_TRANSFERS] =
        {"create_transfers", sizeof(struct ledger_transfer), sizeof(struct ledger_result)},
    [PORT_LEDGER_LOOKUP_ACCOUNTS] =
        {"lookup_accounts", sizeof(u128), sizeof(struct ledger_account)},
    [PORT_LEDGER_LOOKUP_TRANSFERS] =
        {"lookup_transfers", sizeof(u128), sizeof(struct ledger_transfer)},
    [PORT_LEDGER_GET_ACCOUNT_TRANSFERS] =
        {"get_account_transfers", 0, sizeof(struct ledger_transfer)},
    [PORT_LEDGER_GET_ACCOUNT_BALANCES] =
        {"get_account_balances", 0, sizeof(struct port_ledger_balance)},
    [PORT_LEDGER_QUERY_ACCOUNTS] = {"query_accounts", 0, sizeof(struct ledger_account)},
    [PORT_LEDGER_QUERY_TRANSFERS] = {"query_transfers", 0, sizeof(struct ledger_transfer)},
    [PORT_LEDGER_GET_CHANGE_EVENTS] = {"get_change_events", 0, sizeof(struct port_ledger_change)},
    [PORT_LEDGER_LOOKUP_CONSISTENT] =
        {"lookup_consistent", sizeof(u128), sizeof(struct ledger_account)},
    [PORT_LEDGER_QUERY_IN_TRANSIT] = {"query_in_transit", 0, sizeof(struct ledger_transfer)},
    [PORT_LEDGER_ADOPT] =
        {"adopt", sizeof(struct port_ledger_adoption), sizeof(struct ledger_result)},
    [PORT_LEDGER_GET_FAILED_IDS] = {"get_failed_ids", 0, sizeof(struct port_ledger_failed_id)},
    [PORT_LEDGER_SHARD] =
        {"shard", sizeof(struct port_ledger_shard_order), sizeof(struct port_ledger_shard)},
};

#define OPERATION_COUNT (sizeof(operations) / sizeof(operations[0]))
#define PAIRS_PATH      "create_transfers?pairs"

static bool
is_create(enum port_ledger_operation operation)
{
    return operation == PORT_LEDGER_CREATE_ACCOUNTS || operation == PORT_LEDGER_CREATE_TRANSFERS;
}

/* The most records that the answer can have. */
static uint32_t
out_max(const struct port_ledger_request *request)
{
    if (operations[request->operation].in_size != 0) {
        return request->count;
    }
    uint32_t limit = request->in.filter->limit;
    return limit < LEDGER_BATCH_MAX ? limit : LEDGER_BATCH_MAX;
}

/* ------------------------------------------------------------------------- the caller's side ---
 */

const char *
remote_ledger_path(const struct port_ledger_request *request)
{
    if (request->operation == PORT_LEDGER_CREATE_TRANSFERS && request->pairs != NULL) {
        return PAIRS_PATH;
    }
    return operations[request->operation].name;
}

struct span
remote_ledger_content_type(const struct port_ledger_request *request)
{
    return operations[request->operation].in_size != 0 ? SPAN("application/octet-stream")
                                                       : SPAN("application/json");
}

struct span
remote_ledger_request_write(const struct port_ledger_request *request, struct buf *room)
{
    size_t in_size = operations[request->operation].in_size;
    if (in_size != 0) {
        return span_of(request->in.ids, in_size * request->count);
    }
    struct json_writer json;
    json_begin(&json, room);
    remote_fields_write(&remote_ledger_filter, request->in.filter, &json);
    return buf_span(room);
}

err_t
remote_ledger_answer_read(struct span body, struct port_ledger_request *request)
{
    size_t out_size = operations[request->operation].out_size;
    size_t pairs_size = 0;
    if (request->operation == PORT_LEDGER_CREATE_TRANSFERS && request->pairs != NULL) {
        pairs_size = sizeof(*request->pairs) * request->count;
    }
    if (body.size < pairs_size || (body.size - pairs_size) % out_size != 0) {
        return ERR_INVALID;
    }
    size_t count = (body.size - pairs_size) / out_size;
    if (is_create(request->operation) ? count != request->count : count > out_max(request)) {
        return ERR_INVALID;
    }
    if (count != 0) {
        memcpy(request->out.results, body.data, count * out_size);
    }
    if (pairs_size != 0) {
        memcpy(request->pairs, body.data + count * out_size, pairs_size);
    }
    request->out_count = (uint32_t)count;
    return ERR_OK;
}

/* ------------------------------------------------------------------------- the callee's side ---
 */

static err_t
read_filter(
    struct span body,
    struct arena *arena,
    struct port_ledger_request *request,
    const char **ret_problem)
{
    struct port_ledger_filter *filter = ARENA_NEW(arena, struct port_ledger_filter);
    *ret_problem = "out of memory";
    if (filter == NULL) {
        return ERR_MEMORY;
    }
    request->in.filter = filter;
    return remote_fields_read(&remote_ledger_filter, body, arena, filter, ret_problem);
}

static err_t
read_records(
    struct span body,
    size_t in_size,
    struct arena *arena,
    struct port_ledger_request *request,
    const char **ret_problem)
{
    size_t count = body.size / in_size;
    *ret_problem = "the body is not a whole number of records";
    if (body.size % in_size != 0) {
        return ERR_INVALID;
    }
    *ret_problem = "more records than a batch can have";
    if (count > LEDGER_BATCH_MAX) {
        return ERR_INVALID;
    }
    *ret_problem = "out of memory";
    request->count = (uint32_t)count;
    request->in.ids = (const u128 *)(const void *)body.data;
    if ((uintptr_t)body.data % _Alignof(u128) != 0 || count == 0) {
        u128 *copy = arena_alloc(arena, body.size + sizeof(u128));
        if (copy == NULL) {
            return ERR_MEMORY;
        }
        if (count != 0) {
            memcpy(copy, body.data, body.size);
        }
        request->in.ids = copy;
    }
    *ret_problem = "";
    return ERR_OK;
}

err_t
remote_ledger_request_read(
    struct span operation,
    struct span query,
    struct span body,
    struct arena *arena,
    struct port_ledger_request *request,
    const char **ret_problem)
{
    uint32_t found = 0;
    *ret_problem = "no such operation";
    while (found < OPERATION_COUNT && !span_equal_cstr(operation, operations[found].name)) {
        found++;
    }
    if (found == OPERATION_COUNT) {
        return ERR_UNSUPPORTED;
    }
    bool pairs = found == PORT_LEDGER_CREATE_TRANSFERS && span_equal(query, SPAN("pairs"));
    *ret_problem = "an unknown query";
    if (query.size != 0 && !pairs) {
        return ERR_INVALID;
    }
    request->operation = (enum port_ledger_operation)found;
    size_t in_size = operations[found].in_size;
    if (in_size == 0) {
        return read_filter(body, arena, request, ret_problem);
    }
    TRY(read_records(body, in_size, arena, request, ret_problem));
    if (pairs) {
        /* Where they are is said by remote_ledger_room; that they are wanted, here. */
        request->pairs = arena_alloc(arena, sizeof(*request->pairs));
        *ret_problem = "out of memory";
        return request->pairs == NULL ? ERR_MEMORY : ERR_OK;
    }
    return ERR_OK;
}

err_t
remote_ledger_room(struct port_ledger_request *request, struct buf *out)
{
    ASSERT(out->size == 0);
    size_t records = operations[request->operation].out_size * out_max(request);
    size_t pairs = request->pairs == NULL ? 0 : sizeof(*request->pairs) * request->count;
    /* Never empty: a place that is no place would be NULL. */
    char *room = buf_reserve(out, records + pairs + sizeof(u128));
    if (room == NULL) {
        return ERR_MEMORY;
    }
    request->out.results = (struct ledger_result *)(void *)room;
    if (request->pairs != NULL) {
        request->pairs = (struct port_ledger_pair *)(void *)(room + records);
    }
    return ERR_OK;
}

/* What is between two fields is nobody's business. */
static void
clear_padding(struct port_ledger_request *request)
{
    size_t end = offsetof(struct port_ledger_balance, balances);
    size_t at = offsetof(struct port_ledger_balance, timestamp) + sizeof(uint64_t);
    for (uint32_t i = 0; i < request->out_count; i++) {
        memset((char *)&request->out.balances[i] + at, 0, end - at);
    }
}

void
remote_ledger_answer_write(struct port_ledger_request *request, struct buf *out)
{
    ASSERT(request->out_count <= out_max(request));
    if (request->operation == PORT_LEDGER_GET_ACCOUNT_BALANCES) {
        clear_padding(request);
    }
    size_t pairs = request->pairs == NULL ? 0 : sizeof(*request->pairs) * request->count;
    buf_added(out, operations[request->operation].out_size * request->out_count + pairs);
}
