/*
 * Wallets as other services see them (port/wallet.h). A request that is submitted is an operation
 * of its own on the runtime's loop: a document read, and for a reservation written, and the answer
 * when that is durable. A reservation within the caller's operation is a part of what that writes.
 */
#include "flow.h"

#include "base/assert.h"
#include "base/list.h"
#include "trace/span.h"

#include <stdlib.h>
#include <string.h>

static struct wallets *
wallets_of(struct port_wallet *port)
{
    return CONTAINER_OF(port, struct wallets, port);
}

/* ------------------------------------------------------------------------------ answering --- */

static void
run_done(struct os_task *task)
{
    struct port_wallet_request *request = CONTAINER_OF(task, struct port_wallet_request, task);
    request->done(request);
}

static void
answer(struct port_wallet_request *request)
{
    request->task.run = run_done;
    os_post(request->reply_to, &request->task);
}

struct asked {
    struct port_wallet_request *request; /* NULL once it was answered */
};

/* However the operation ended: the caller hears of it. A commit that failed ends it before it could
 * answer. */
static void
ended(void *context)
{
    struct asked *asked = context;
    struct port_wallet_request *request = asked->request;
    if (request != NULL) {
        if (request->error == ERR_OK) {
            request->error = ERR_OUTCOME_UNKNOWN;
        }
        answer(request);
    }
}

static void
answer_and_finish(struct resource_op *op)
{
    struct asked *asked = resource_op_state(op);
    struct port_wallet_request *request = asked->request;
    asked->request = NULL;
    resource_trace_leave(op);
    answer(request);
    resource_finish(op);
}

static void
fail(struct resource_op *op, err_t error)
{
    struct asked *asked = resource_op_state(op);
    asked->request->error = error;
    resource_internal(op, error, "wallet port");
}

/* ------------------------------------------------------------------------------ the request -- */

static void
copy_text(char *out, size_t size, struct span text)
{
    ASSERT(text.size < size);
    memset(out, 0, size);
    if (text.size != 0) {
        memcpy(out, text.data, text.size);
    }
}

static err_t
count_movement(
    const struct wallets *wallets,
    struct resource_op *op,
    struct wallets_wallet *wallet,
    struct port_wallet_request *request)
{
    struct port_wallet_movement *movement = &request->movement;
    struct wallets_refusal refusal;
    int64_t now_s = (int64_t)resource_now_s(op);
    if (!wallets_may_move(
            wallets, wallet, movement->direction, movement->amount, now_s, &refusal)) {
        request->outcome = PORT_WALLET_REFUSED;
        copy_text(request->code, sizeof(request->code), span_from_cstr(refusal.code));
        copy_text(request->message, sizeof(request->message), span_from_cstr(refusal.message));
        return ERR_OK;
    }
    movement->reserved_at = now_s;
    wallets_count(wallet, movement->direction, movement->amount.amount, now_s);
    return resource_save(op, &wallets_wallet_type, wallet);
}

/* Fills in the answer. */
static err_t
look(const struct wallets *wallets, struct resource_op *op, struct port_wallet_request *request)
{
    struct wallets_wallet *wallet = NULL;
    err_t error = wallets_wallet_load(op, span_from_cstr(request->movement.wallet), &wallet);
    if (error == ERR_NOT_FOUND) {
        request->outcome = PORT_WALLET_NOT_FOUND;
        return ERR_OK;
    }
    TRY(error);
    request->outcome = PORT_WALLET_OK;
    request->currency = wallets_currency(wallet->currency);
    copy_text(request->customer, sizeof(request->customer), wallet->customer);
    return request->operation == PORT_WALLET_RESERVE ? count_movement(wallets, op, wallet, request)
                                                     : ERR_OK;
}

static void
serve(struct resource_op *op)
{
    struct port_wallet_request *request = resource_op_state(op);
    /* A reservation that lost against another process' is made again: nobody has heard of it. */
    struct asked *asked = ARENA_NEW(resource_op_arena(op), struct asked);
    resource_op_repeatable(op, serve, request);
    request->outcome = PORT_WALLET_OK;
    request->error = ERR_OK;
    if (asked == NULL) {
        request->error = ERR_FULL;
        answer(request);
        resource_internal(op, ERR_FULL, "wallet port");
        return;
    }
    asked->request = request;
    resource_trace_join(
        op,
        request->operation == PORT_WALLET_RESERVE ? "wallet reserve" : "wallet lookup",
        &request->trace,
        request->trace_began_ns);
    resource_op_set_state(op, asked);
    resource_op_on_end(op, ended, asked);
    err_t error = look(resource_op_service(op), op, request);
    if (error != ERR_OK) {
        fail(op, error);
        return;
    }
    /* Of what was only read too: it may have been written a moment ago. */
    resource_after_commit(op, answer_and_finish);
}

static void
arrived(struct os_task *task)
{
    struct port_wallet_request *request = CONTAINER_OF(task, struct port_wallet_request, task);
    struct wallets *wallets = request->wallet;
    err_t error = resource_start_internal(
        wallets->parts.runtime, request->movement.scope, wallets, serve, request);
    if (error != ERR_OK) {
        request->error = error;
        answer(request);
        return;
    }
    resource_expect(
        wallets->parts.runtime, request->movement.scope, span_from_cstr(request->movement.wallet));
}

static void
request_init(struct port_wallet_request *request, struct wallets *wallets)
{
    request->wallet = wallets;
    request->trace_began_ns = trace_now_ns(&request->trace);
    request->error = ERR_OK;
    request->outcome = PORT_WALLET_OK;
    request->code[0] = '\0';
    request->message[0] = '\0';
    request->customer[0] = '\0';
    request->currency = NULL;
}

static void
submit(struct port_wallet *port, struct port_wallet_request *request)
{
    struct wallets *wallets = wallets_of(port);
    request_init(request, wallets);
    request->task.run = arrived;
    os_post(os_loop_executor(wallets->parts.loop), &request->task);
}

static void
reserve(struct port_wallet *port, struct resource_op *op, struct port_wallet_request *request)
{
    struct wallets *wallets = wallets_of(port);
    ASSERT(request->operation == PORT_WALLET_RESERVE);
    ASSERT(request->movement.scope == resource_op_caller(op)->scope);
    request_init(request, wallets);
    request->error = look(wallets, op, request);
    trace_span_add(
        &request->trace, "wallet reserve", request->trace_began_ns, trace_now_ns(&request->trace));
}

/* -------------------------------------------------------------------------------- release --- */

/* One that is under way. They are never freed before the service, so that a process which ends in
 * between leaves nothing behind; whoever finds one that is not taken may use it. */
struct wallets_release {
    struct os_task task;
    struct wallets_release *next;
    atomic_bool taken;
    struct wallets *wallets;
    struct port_wallet_movement movement;
};

static void
give_back(void *context)
{
    atomic_store(&((struct wallets_release *)context)->taken, false);
}

static void
take_back(struct resource_op *op)
{
    struct wallets_release *release = resource_op_state(op);
    const struct port_wallet_movement *movement = &release->movement;
    resource_op_repeatable(op, take_back, release);
    resource_op_on_end(op, give_back, release);
    err_t error = wallets_uncount(
        op,
        arena_copy(resource_op_arena(op), span_from_cstr(movement->wallet)),
        movement->direction,
        movement->amount,
        movement->reserved_at);
    if (error != ERR_OK && error != ERR_NOT_FOUND) {
        resource_internal(op, error, "wallet limits");
        return;
    }
    resource_finish(op);
}

static void
release_arrived(struct os_task *task)
{
    struct wallets_release *release = CONTAINER_OF(task, struct wallets_release, task);
    struct wallets *wallets = release->wallets;
    err_t error = resource_start_internal(
        wallets->parts.runtime, release->movement.scope, wallets, take_back, release);
    if (error != ERR_OK) {
        /* The amount stays counted until its day and month are over: the safe side. */
        give_back(release);
    }
}

/* A free one, or a new one; NULL without memory or with too many under way. */
static struct wallets_release *
release_take(struct wallets *wallets)
{
    uint32_t count = 0;
    struct wallets_release *release = atomic_load(&wallets->releases);
    for (; release != NULL; release = release->next) {
        if (!atomic_exchange(&release->taken, true)) {
            return release;
        }
        count++;
    }
    release = count >= WALLETS_RELEASES_MAX ? NULL : calloc(1, sizeof(*release));
    if (release == NULL) {
        return NULL;
    }
    atomic_init(&release->taken, true);
    release->wallets = wallets;
    release->next = atomic_load(&wallets->releases);
    while (!atomic_compare_exchange_weak(&wallets->releases, &release->next, release)) {
    }
    return release;
}

static void
release(struct port_wallet *port, const struct port_wallet_movement *movement)
{
    struct wallets *wallets = wallets_of(port);
    struct wallets_release *taken = release_take(wallets);
    if (taken == NULL) {
        return; /* as above */
    }
    taken->movement = *movement;
    taken->task.run = release_arrived;
    os_post(os_loop_executor(wallets->parts.loop), &taken->task);
}

void
wallets_port_init(struct wallets *wallets)
{
    wallets->port.submit = submit;
    /* Where other processes write the same wallets, a reservation may lose against them, and is
     * cheap to make again; the operation of a whole payment is not. */
    wallets->port.reserve = resource_is_shared(wallets->parts.runtime) ? NULL : reserve;
    wallets->port.release = release;
}

void
wallets_port_destroy(struct wallets *wallets)
{
    struct wallets_release *next = atomic_load(&wallets->releases);
    while (next != NULL) {
        struct wallets_release *gone = next;
        next = gone->next;
        free(gone);
    }
    atomic_store(&wallets->releases, NULL);
}
