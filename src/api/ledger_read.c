/* The bodies of the ledger's routes: JSON as docs/ledger.md has it, or packed records. */
#include "ledger.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_SIZE 128

/* What one event or found record costs, in the answer's text too. */
enum {
    COST_RESULT = 400,
    COST_PAIR = 1600,
    COST_RECORD = 900,
    COST_CHANGE = 3000,
};

struct query_operation {
    const char *name;
    enum port_ledger_operation operation;
    enum record_filter_kind filter;
    const char *answer;
    size_t size;
    uint32_t cost;
};

static const struct query_operation query_operations[] = {
    {"get_account_transfers",
     PORT_LEDGER_GET_ACCOUNT_TRANSFERS,
     RECORD_FILTER_ACCOUNT,
     "transfers",
     sizeof(struct ledger_transfer),
     COST_RECORD},
    {"get_account_balances",
     PORT_LEDGER_GET_ACCOUNT_BALANCES,
     RECORD_FILTER_ACCOUNT,
     "balances",
     sizeof(struct port_ledger_balance),
     COST_RECORD},
    {"query_accounts",
     PORT_LEDGER_QUERY_ACCOUNTS,
     RECORD_FILTER_QUERY,
     "accounts",
     sizeof(struct ledger_account),
     COST_RECORD},
    {"query_transfers",
     PORT_LEDGER_QUERY_TRANSFERS,
     RECORD_FILTER_QUERY,
     "transfers",
     sizeof(struct ledger_transfer),
     COST_RECORD},
    {"get_change_events",
     PORT_LEDGER_GET_CHANGE_EVENTS,
     RECORD_FILTER_CHANGES,
     "events",
     sizeof(struct port_ledger_change),
     COST_CHANGE},
};

static bool
refuse_size(struct api_ledger_job *job)
{
    return api_ledger_refuse(
        job, 413, "", "At most %d events, ids or results fit one request.", LEDGER_BATCH_MAX);
}

static bool
refuse_memory(struct api_ledger_job *job)
{
    return api_ledger_refuse(
        job, 503, "", "Too many large ledger requests are under way. Try again.");
}

/* Room for `count` elements of the answer, counted against the bound of all jobs. */
static bool
reserve(struct api_ledger_job *job, uint32_t count, size_t out_size, uint32_t cost)
{
    uint64_t bytes = (uint64_t)count * cost;
    uint64_t before = atomic_fetch_add(&job->ledger->memory, bytes);
    job->charged += bytes;
    if (before + bytes > API_LEDGER_MEMORY_MAX) {
        return refuse_memory(job);
    }
    job->out = calloc(count == 0 ? 1 : count, out_size);
    return job->out != NULL || refuse_memory(job);
}

/* ------------------------------------------------------------------------------------ checks */

static bool
refuse_ledger(struct api_ledger_job *job, uint32_t event, uint32_t number)
{
    char param[64];
    (void)snprintf(param, sizeof(param), "events[%u].ledger", event);
    return api_ledger_refuse(
        job, 400, param, "Ledger %u is for payments. Use a number that is no currency's.", number);
}

/* The ledger's own ids are those of transfers between its shards. */
static bool
id_check(struct api_ledger_job *job, uint32_t event, const char *member, u128 id)
{
    const struct api_parts *parts = &job->ledger->api->parts;
    if (parts->ledger_id_is_reserved == NULL || !parts->ledger_id_is_reserved(id)) {
        return true;
    }
    char param[64];
    (void)snprintf(param, sizeof(param), "events[%u].%s", event, member);
    return api_ledger_refuse(
        job, 400, param, "This id is one of the ledger's own (it begins with 0x54ae1c).");
}

static bool
accounts_check(struct api_ledger_job *job)
{
    const struct api_parts *parts = &job->ledger->api->parts;
    const struct ledger_account *accounts = job->in;
    for (uint32_t i = 0; i < job->count; i++) {
        if (parts->ledger_is_reserved(accounts[i].ledger)) {
            return refuse_ledger(job, i, accounts[i].ledger);
        }
        if (!id_check(job, i, "id", accounts[i].id)) {
            return false;
        }
    }
    return true;
}

/* Also collects the pending transfers whose ledger the events leave open. */
static bool
transfers_check(struct api_ledger_job *job)
{
    const struct api_parts *parts = &job->ledger->api->parts;
    const struct ledger_transfer *transfers = job->in;
    for (uint32_t i = 0; i < job->count; i++) {
        const struct ledger_transfer *transfer = &transfers[i];
        if (parts->ledger_is_reserved(transfer->ledger)) {
            return refuse_ledger(job, i, transfer->ledger);
        }
        if (!id_check(job, i, "id", transfer->id) ||
            !id_check(job, i, "debit_account_id", transfer->debit_account_id) ||
            !id_check(job, i, "credit_account_id", transfer->credit_account_id) ||
            !id_check(job, i, "pending_id", transfer->pending_id)) {
            return false;
        }
        uint16_t ends = LEDGER_TRANSFER_POST_PENDING | LEDGER_TRANSFER_VOID_PENDING;
        if ((transfer->flags & ends) == 0 || transfer->ledger != 0) {
            continue;
        }
        if (job->pending_ids == NULL) {
            job->pending_ids = calloc(job->count, sizeof(*job->pending_ids));
            job->pending_events = calloc(job->count, sizeof(*job->pending_events));
            if (job->pending_ids == NULL || job->pending_events == NULL) {
                return refuse_memory(job);
            }
        }
        job->pending_ids[job->pending_count] = transfer->pending_id;
        job->pending_events[job->pending_count] = i;
        job->pending_count++;
    }
    return true;
}

static bool
events_ready(struct api_ledger_job *job)
{
    job->answer_name = "results";
    if (job->route == API_LEDGER_ACCOUNTS) {
        job->operation = PORT_LEDGER_CREATE_ACCOUNTS;
        return reserve(job, job->count, sizeof(struct ledger_result), COST_RESULT) &&
               accounts_check(job);
    }
    job->operation = PORT_LEDGER_CREATE_TRANSFERS;
    uint32_t cost = COST_RESULT + (job->balances ? COST_PAIR : 0);
    if (!reserve(job, job->count, sizeof(struct ledger_result), cost)) {
        return false;
    }
    if (job->balances) {
        job->pairs = calloc(job->count == 0 ? 1 : job->count, sizeof(*job->pairs));
        if (job->pairs == NULL) {
            return refuse_memory(job);
        }
    }
    return transfers_check(job);
}

/* ------------------------------------------------------------------------------------ packed */

static bool
read_packed(struct api_ledger_job *job, struct span body)
{
    if (body.size % RECORD_SIZE != 0) {
        return api_ledger_refuse(
            job,
            400,
            "",
            "The body has %zu bytes, which is no multiple of the record's %d.",
            body.size,
            RECORD_SIZE);
    }
    if (body.size / RECORD_SIZE > LEDGER_BATCH_MAX) {
        return refuse_size(job);
    }
    job->packed = true;
    job->count = (uint32_t)(body.size / RECORD_SIZE);
    job->in = calloc(job->count == 0 ? 1 : job->count, RECORD_SIZE);
    if (job->in == NULL) {
        return refuse_memory(job);
    }
    if (body.size > 0) {
        memcpy(job->in, body.data, body.size);
    }
    return events_ready(job);
}

/* -------------------------------------------------------------------------------------- JSON */

struct reading {
    struct api_ledger_job *job;
    struct arena *arena;
    struct json_problem problem;
};

static bool
refuse_problem(struct reading *reading, err_t result)
{
    const struct json_problem *problem = &reading->problem;
    char param[API_LEDGER_TEXT_SIZE];
    (void)snprintf(
        param,
        sizeof(param),
        "%.*s",
        problem->path.size > 128 ? 128 : (int)problem->path.size,
        problem->path.size == 0 ? "" : problem->path.data);
    return api_ledger_refuse(
        reading->job,
        result == ERR_FULL ? 413 : 400,
        param,
        "%s (at byte %zu of the body)",
        problem->message,
        problem->position);
}

static bool
refuse_value(struct reading *reading, const struct json_value *value, const char *message)
{
    reading->problem = (struct json_problem){
        .position = value->position,
        .path = json_value_path(value, reading->arena),
        .message = message,
    };
    return refuse_problem(reading, ERR_INVALID);
}

/* Every member of the body must be one of the names, which end with NULL. */
static bool
members_known(struct reading *reading, const struct json_value *root, const char *const *names)
{
    if (root->kind != JSON_KIND_OBJECT) {
        return refuse_value(reading, root, "The body must be a JSON object.");
    }
    for (const struct json_value *value = root->first_child; value != NULL; value = value->next) {
        bool known = false;
        for (size_t i = 0; names[i] != NULL; i++) {
            known = known || span_equal_cstr(value->name, names[i]);
        }
        if (!known) {
            return refuse_value(reading, value, "There is no field of this name.");
        }
    }
    return true;
}

static bool
read_events(struct reading *reading, const struct json_value *root)
{
    static const char *const account_names[] = {"events", NULL};
    static const char *const transfer_names[] = {"events", "balances", NULL};
    struct api_ledger_job *job = reading->job;
    bool transfers = job->route == API_LEDGER_TRANSFERS;
    if (!members_known(reading, root, transfers ? transfer_names : account_names)) {
        return false;
    }
    const struct json_value *events = json_value_member(root, SPAN("events"));
    if (events == NULL || events->kind != JSON_KIND_ARRAY) {
        return api_ledger_refuse(job, 400, "events", "An array of events is needed.");
    }
    const struct json_value *balances = json_value_member(root, SPAN("balances"));
    if (balances != NULL && json_value_bool(balances, &job->balances) != ERR_OK) {
        return refuse_value(reading, balances, "It must be true or false.");
    }
    if (events->child_count > LEDGER_BATCH_MAX) {
        return refuse_size(job);
    }
    uint32_t room = events->child_count;
    job->in = calloc(room == 0 ? 1 : room, RECORD_SIZE);
    if (job->in == NULL) {
        return refuse_memory(job);
    }
    err_t result = transfers
                       ? record_transfers_read(
                             events, job->in, room, &job->count, reading->arena, &reading->problem)
                       : record_accounts_read(
                             events, job->in, room, &job->count, reading->arena, &reading->problem);
    return result == ERR_OK ? events_ready(job) : refuse_problem(reading, result);
}

static bool
read_lookup(struct reading *reading, const struct json_value *root)
{
    static const char *const names[] = {"accounts", "transfers", "consistent", NULL};
    struct api_ledger_job *job = reading->job;
    if (!members_known(reading, root, names)) {
        return false;
    }
    const struct json_value *how = json_value_member(root, SPAN("consistent"));
    const struct json_value *ids = json_value_member(root, SPAN("accounts"));
    bool accounts = ids != NULL;
    ids = accounts ? ids : json_value_member(root, SPAN("transfers"));
    if (ids == NULL || root->child_count != (how == NULL ? 1u : 2u)) {
        return api_ledger_refuse(job, 400, "", "Give either accounts or transfers: arrays of ids.");
    }
    bool consistent = false;
    if (how != NULL && json_value_bool(how, &consistent) != ERR_OK) {
        return refuse_value(reading, how, "It must be true or false.");
    }
    if (consistent && !accounts) {
        return refuse_value(reading, how, "It is for accounts.");
    }
    if (ids->kind != JSON_KIND_ARRAY) {
        return refuse_value(reading, ids, "It must be an array of ids.");
    }
    if (ids->child_count > LEDGER_BATCH_MAX) {
        return refuse_size(job);
    }
    if (consistent && ids->child_count > PORT_LEDGER_CONSISTENT_MAX) {
        return api_ledger_refuse(
            job,
            413,
            "accounts",
            "At most %d accounts can be read consistently.",
            PORT_LEDGER_CONSISTENT_MAX);
    }
    job->operation = consistent ? PORT_LEDGER_LOOKUP_CONSISTENT
                     : accounts ? PORT_LEDGER_LOOKUP_ACCOUNTS
                                : PORT_LEDGER_LOOKUP_TRANSFERS;
    job->answer_name = accounts ? "accounts" : "transfers";
    job->in = calloc(ids->child_count == 0 ? 1 : ids->child_count, sizeof(u128));
    if (job->in == NULL) {
        return refuse_memory(job);
    }
    err_t result = record_ids_read(
        ids, job->in, ids->child_count, &job->count, reading->arena, &reading->problem);
    if (result != ERR_OK) {
        return refuse_problem(reading, result);
    }
    return reserve(
        job,
        consistent ? PORT_LEDGER_CONSISTENT_EACH * job->count : job->count,
        RECORD_SIZE,
        COST_RECORD);
}

static const struct query_operation *
query_find(struct span name)
{
    for (size_t i = 0; i < sizeof(query_operations) / sizeof(query_operations[0]); i++) {
        if (span_equal_cstr(name, query_operations[i].name)) {
            return &query_operations[i];
        }
    }
    return NULL;
}

static void
filter_set(struct api_ledger_job *job, const struct record_filter *in)
{
    job->filter = (struct port_ledger_filter){
        .account_id = in->account_id,
        .user_data_128 = in->user_data_128,
        .user_data_64 = in->user_data_64,
        .user_data_32 = in->user_data_32,
        .ledger = in->ledger,
        .code = in->code,
        .debits = in->debits,
        .credits = in->credits,
        .reversed = in->reversed,
        .timestamp_min = in->timestamp_min,
        .timestamp_max = in->timestamp_max,
        /* An invalid filter answers with nothing, and so does a limit of 0. */
        .limit = in->undefined_flags ? 0 : in->limit,
    };
    if (job->filter.limit > LEDGER_BATCH_MAX) {
        job->filter.limit = LEDGER_BATCH_MAX;
    }
}

static bool
read_query(struct reading *reading, const struct json_value *root)
{
    static const char *const names[] = {"op", "filter", NULL};
    struct api_ledger_job *job = reading->job;
    if (!members_known(reading, root, names)) {
        return false;
    }
    struct span name;
    const struct json_value *op = json_value_member(root, SPAN("op"));
    if (json_value_text(op, &name) != ERR_OK || query_find(name) == NULL) {
        return api_ledger_refuse(
            job,
            400,
            "op",
            "It must be get_account_transfers, get_account_balances, query_accounts, "
            "query_transfers or get_change_events.");
    }
    const struct query_operation *operation = query_find(name);
    const struct json_value *filter = json_value_member(root, SPAN("filter"));
    if (filter == NULL) {
        return api_ledger_refuse(job, 400, "filter", "A filter is needed.");
    }
    struct record_filter in;
    err_t result =
        record_filter_read(filter, operation->filter, &in, reading->arena, &reading->problem);
    if (result != ERR_OK) {
        return refuse_problem(reading, result);
    }
    filter_set(job, &in);
    job->operation = operation->operation;
    job->answer_name = operation->answer;
    return reserve(job, job->filter.limit, operation->size, operation->cost);
}

static bool
read_json(struct api_ledger_job *job, struct span body)
{
    struct arena arena;
    arena_init(&arena, API_LEDGER_SCRATCH_MAX);
    struct reading reading = {.job = job, .arena = &arena};
    struct json_value *root = NULL;
    err_t result = json_read(body, &arena, API_LEDGER_VALUES_MAX, &root, &reading.problem);
    bool read = false;
    if (result != ERR_OK) {
        read = refuse_problem(&reading, result);
    } else if (job->route == API_LEDGER_LOOKUP) {
        read = read_lookup(&reading, root);
    } else if (job->route == API_LEDGER_QUERY) {
        read = read_query(&reading, root);
    } else {
        read = read_events(&reading, root);
    }
    arena_wipe(&arena);
    arena_release(&arena);
    return read;
}

bool
api_ledger_read(struct api_ledger_job *job)
{
    const struct net_exchange *exchange = job->request->exchange;
    struct span rest = http_head_value(exchange->head, HTTP_FIELD_CONTENT_TYPE);
    struct span type = span_trim(span_cut(&rest, ';'));
    if (type.size == 0 || span_equal_nocase(type, SPAN("application/json"))) {
        return read_json(job, exchange->body);
    }
    const struct span packed = job->route == API_LEDGER_ACCOUNTS
                                   ? SPAN("application/vnd.tael.accounts")
                                   : SPAN("application/vnd.tael.transfers");
    bool has_packed = job->route == API_LEDGER_ACCOUNTS || job->route == API_LEDGER_TRANSFERS;
    if (has_packed && span_equal_nocase(type, packed)) {
        return read_packed(job, exchange->body);
    }
    return api_ledger_refuse(
        job,
        400,
        "",
        "Invalid Content-Type: send application/json%s%.*s.",
        has_packed ? " or " : "",
        has_packed ? (int)packed.size : 0,
        packed.data);
}
