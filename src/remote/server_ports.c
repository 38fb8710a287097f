/* What each service is asked, read, handed to its port, and answered. */
#include "server_private.h"

#include "ledger_wire.h"

#include "base/assert.h"
#include "base/list.h"

#include <string.h>

#define LEDGER_ANSWER_MAX (8U << 20)

static struct os_executor *
reply_to(const struct remote_asked *asked)
{
    return net_loop_executor(asked->server->parts.net);
}

static err_t
read_object(
    const struct remote_asked *asked,
    const struct remote_table *table,
    void *object,
    const char **ret_problem)
{
    return remote_fields_read(
        table, asked->exchange->body, asked->exchange->arena, object, ret_problem);
}

static bool
operation_is(const struct remote_asked *asked, const char *name)
{
    return span_equal_cstr(asked->operation, name);
}

/* ------------------------------------------------------------------------------------ ledger ---
 */

struct ledger_asked {
    struct port_ledger_request request;
    struct remote_asked *asked;
};

static void
ledger_done(struct port_ledger_request *request)
{
    struct remote_asked *asked = CONTAINER_OF(request, struct ledger_asked, request)->asked;
    if (request->error == ERR_MOVED) {
        remote_server_answer_moved(asked, request->epoch);
        return;
    }
    if (request->error != ERR_OK) {
        remote_server_answer_error(asked, request->error);
        return;
    }
    remote_ledger_answer_write(request, &asked->exchange->answer.body);
    remote_server_answer_records(asked);
}

/* False: there is one, and it is no number. */
static bool
epoch_read(const struct net_exchange *exchange, uint64_t *ret_epoch)
{
    struct span text;
    *ret_epoch = 0;
    return !http_head_find(exchange->head, SPAN("Tael-Shard-Epoch"), &text) ||
           span_parse_u64(text, ret_epoch);
}

static err_t
serve_ledger(struct remote_asked *asked, const char **ret_problem)
{
    struct net_exchange *exchange = asked->exchange;
    struct ledger_asked *job = ARENA_NEW(exchange->arena, struct ledger_asked);
    if (job == NULL) {
        return ERR_MEMORY;
    }
    job->asked = asked;
    struct port_ledger_request *request = &job->request;
    request->reply_to = reply_to(asked);
    request->done = ledger_done;
    request->trace = asked->trace;
    *ret_problem = "Tael-Shard-Epoch is no number";
    if (!epoch_read(exchange, &request->epoch)) {
        return ERR_INVALID;
    }
    TRY(remote_ledger_request_read(
        asked->operation, exchange->query, exchange->body, exchange->arena, request, ret_problem));
    buf_init(&exchange->answer.body, LEDGER_ANSWER_MAX);
    *ret_problem = "no room for the answer";
    TRY(remote_ledger_room(request, &exchange->answer.body));
    struct port_ledger *port = asked->server->parts.ledger;
    port->submit(port, request);
    return ERR_OK;
}

/* ------------------------------------------------------------------------ rail and network --- */

struct rail_asked {
    struct port_rail_request request;
    struct port_network_request network;
    struct remote_asked *asked;
};

/* What moves an amount says which. */
static bool
rail_is_whole(const struct port_rail_request *request)
{
    switch (request->operation) {
    case PORT_RAIL_AUTHORIZE:
    case PORT_RAIL_CAPTURE:
    case PORT_RAIL_REFUND:
    case PORT_RAIL_INCREMENT:
    case PORT_RAIL_PAY:
        return request->amount.currency != NULL && request->amount.amount >= 0;
    case PORT_RAIL_VOID:
    case PORT_RAIL_REPORT:
    case PORT_RAIL_NEWS:
    case PORT_RAIL_EVIDENCE:
    case PORT_RAIL_ACCEPT:
        return true;
    }
    UNREACHABLE();
}

static err_t
rail_read(struct remote_asked *asked, struct rail_asked **ret_job, const char **ret_problem)
{
    struct rail_asked *job = ARENA_NEW(asked->exchange->arena, struct rail_asked);
    *ret_problem = "no such operation";
    if (!operation_is(asked, "submit")) {
        return ERR_UNSUPPORTED;
    }
    *ret_problem = "out of memory";
    if (job == NULL) {
        return ERR_MEMORY;
    }
    TRY(read_object(asked, &remote_rail_request, &job->request, ret_problem));
    *ret_problem = "currency or amount";
    if (!rail_is_whole(&job->request)) {
        return ERR_INVALID;
    }
    job->asked = asked;
    job->request.trace = asked->trace;
    job->request.deadline_ns = asked->deadline_ns;
    *ret_job = job;
    return ERR_OK;
}

static void
rail_answer(struct remote_asked *asked, err_t error, const struct port_rail_answer *answer)
{
    if (error != ERR_OK) {
        remote_server_answer_error(asked, error);
        return;
    }
    struct port_rail_answer told = *answer;
    if (asked->version < remote_service_version(asked->service)) {
        /* It knows no disputes, and would not believe the answer. */
        told.disputed_amount = 0;
        told.reinstated_amount = 0;
        memset(&told.notice, 0, sizeof(told.notice));
    }
    remote_server_answer_object(asked, &remote_rail_answer, &told);
}

static void
rail_done(struct port_rail_request *request)
{
    struct rail_asked *job = CONTAINER_OF(request, struct rail_asked, request);
    rail_answer(job->asked, request->error, &request->answer);
}

static err_t
serve_rail(struct remote_asked *asked, struct port_rail *port, const char **ret_problem)
{
    struct rail_asked *job = NULL;
    TRY(rail_read(asked, &job, ret_problem));
    job->request.reply_to = reply_to(asked);
    job->request.done = rail_done;
    port->submit(port, &job->request);
    return ERR_OK;
}

static void
network_done(struct port_network_request *request)
{
    struct rail_asked *job = CONTAINER_OF(request, struct rail_asked, network);
    rail_answer(job->asked, request->error, &request->answer);
}

static err_t
serve_network(struct remote_asked *asked, const char **ret_problem)
{
    struct rail_asked *job = NULL;
    TRY(rail_read(asked, &job, ret_problem));
    job->network.reply_to = reply_to(asked);
    job->network.done = network_done;
    job->network.rail = &job->request;
    job->network.trace = asked->trace;
    struct port_network *port = asked->server->parts.network;
    port->submit(port, &job->network);
    return ERR_OK;
}

/* ------------------------------------------------------------------------------------- vault ---
 */

struct vault_asked {
    struct port_vault_tokenize request;
    struct remote_asked *asked;
};

static void
tokenize_done(struct port_vault_tokenize *request)
{
    struct remote_asked *asked = CONTAINER_OF(request, struct vault_asked, request)->asked;
    if (request->error != ERR_OK) {
        remote_server_answer_error(asked, request->error);
        return;
    }
    remote_server_answer_object(asked, &remote_tokenize_answer, request);
}

/* The number and the code are in the body or the arena, which net wipes (M6). */
static err_t
serve_vault(struct remote_asked *asked, const char **ret_problem)
{
    struct vault_asked *job = ARENA_NEW(asked->exchange->arena, struct vault_asked);
    *ret_problem = "no such operation";
    if (!operation_is(asked, "tokenize")) {
        return ERR_UNSUPPORTED;
    }
    *ret_problem = "out of memory";
    if (job == NULL) {
        return ERR_MEMORY;
    }
    TRY(read_object(asked, &remote_tokenize_request, &job->request, ret_problem));
    job->asked = asked;
    job->request.reply_to = reply_to(asked);
    job->request.done = tokenize_done;
    job->request.trace = asked->trace;
    struct port_vault *port = asked->server->parts.vault;
    port->tokenize(port, &job->request);
    return ERR_OK;
}

/* ------------------------------------------------------------------------------------ wallet ---
 */

struct wallet_asked {
    struct port_wallet_request request;
    struct remote_asked *asked;
};

static void
wallet_done(struct port_wallet_request *request)
{
    struct remote_asked *asked = CONTAINER_OF(request, struct wallet_asked, request)->asked;
    if (request->error != ERR_OK) {
        remote_server_answer_error(asked, request->error);
        return;
    }
    remote_server_answer_object(asked, &remote_wallet_answer, request);
}

static err_t
serve_release(struct remote_asked *asked, const char **ret_problem)
{
    static const struct remote_table nothing = {.count = 0};
    struct port_wallet_movement movement;
    memset(&movement, 0, sizeof(movement));
    TRY(read_object(asked, &remote_wallet_release, &movement, ret_problem));
    *ret_problem = "amount";
    if (movement.amount.amount <= 0) {
        return ERR_INVALID;
    }
    struct port_wallet *port = asked->server->parts.wallet;
    port->release(port, &movement);
    remote_server_answer_object(asked, &nothing, &movement);
    return ERR_OK;
}

static err_t
serve_wallet(struct remote_asked *asked, const char **ret_problem)
{
    if (operation_is(asked, "release")) {
        return serve_release(asked, ret_problem);
    }
    struct wallet_asked *job = ARENA_NEW(asked->exchange->arena, struct wallet_asked);
    *ret_problem = "no such operation";
    if (!operation_is(asked, "submit")) {
        return ERR_UNSUPPORTED;
    }
    *ret_problem = "out of memory";
    if (job == NULL) {
        return ERR_MEMORY;
    }
    TRY(read_object(asked, &remote_wallet_request, &job->request, ret_problem));
    const struct money *amount = &job->request.movement.amount;
    *ret_problem = "amount";
    if (job->request.operation == PORT_WALLET_RESERVE &&
        (amount->currency == NULL || amount->amount <= 0)) {
        return ERR_INVALID;
    }
    job->asked = asked;
    job->request.reply_to = reply_to(asked);
    job->request.done = wallet_done;
    job->request.trace = asked->trace;
    struct port_wallet *port = asked->server->parts.wallet;
    port->submit(port, &job->request);
    return ERR_OK;
}

/* ------------------------------------------------------------------------------------ mobile ---
 */

struct mobile_asked {
    struct port_mobile_request request;
    struct remote_asked *asked;
};

static void
mobile_done(struct port_mobile_request *request)
{
    struct remote_asked *asked = CONTAINER_OF(request, struct mobile_asked, request)->asked;
    if (request->error != ERR_OK) {
        remote_server_answer_error(asked, request->error);
        return;
    }
    remote_server_answer_object(asked, &remote_mobile_answer, request);
}

static bool
is_code(const char *code)
{
    size_t size = strlen(code);
    bool digits = size == PORT_MOBILE_CODE_DIGITS;
    for (size_t i = 0; i < size; i++) {
        digits = digits && code[i] >= '0' && code[i] <= '9';
    }
    return digits;
}

static err_t
serve_mobile(struct remote_asked *asked, const char **ret_problem)
{
    struct mobile_asked *job = ARENA_NEW(asked->exchange->arena, struct mobile_asked);
    *ret_problem = "no such operation";
    if (!operation_is(asked, "use_code")) {
        return ERR_UNSUPPORTED;
    }
    *ret_problem = "out of memory";
    if (job == NULL) {
        return ERR_MEMORY;
    }
    TRY(read_object(asked, &remote_mobile_request, &job->request, ret_problem));
    *ret_problem = "code";
    if (!is_code(job->request.code)) {
        return ERR_INVALID;
    }
    job->asked = asked;
    job->request.reply_to = reply_to(asked);
    job->request.done = mobile_done;
    job->request.trace = asked->trace;
    struct port_mobile *port = asked->server->parts.mobile;
    port->use_code(port, &job->request);
    return ERR_OK;
}

/* -------------------------------------------------------------------------------------- all --- */

err_t
remote_server_serve(struct remote_asked *asked, const char **ret_problem)
{
    const struct remote_server_parts *parts = &asked->server->parts;
    *ret_problem = "this process does not serve that";
    switch (asked->service) {
    case REMOTE_LEDGER:
        return parts->ledger == NULL ? ERR_UNSUPPORTED : serve_ledger(asked, ret_problem);
    case REMOTE_RAIL:
        return parts->rail == NULL ? ERR_UNSUPPORTED : serve_rail(asked, parts->rail, ret_problem);
    case REMOTE_NETWORK:
        return parts->network == NULL ? ERR_UNSUPPORTED : serve_network(asked, ret_problem);
    case REMOTE_VAULT:
        return parts->vault == NULL ? ERR_UNSUPPORTED : serve_vault(asked, ret_problem);
    case REMOTE_WALLET:
        return parts->wallet == NULL ? ERR_UNSUPPORTED : serve_wallet(asked, ret_problem);
    case REMOTE_MOBILE:
        return parts->mobile == NULL ? ERR_UNSUPPORTED : serve_mobile(asked, ret_problem);
    case REMOTE_BANK:
        return parts->bank == NULL ? ERR_UNSUPPORTED : serve_rail(asked, parts->bank, ret_problem);
    }
    UNREACHABLE();
}
