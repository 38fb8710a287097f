/*
 * What is due of wallets (open attempts, what has expired), and how each is driven once it is
 * locked (resource/sweeper.h).
 */
#include "flow.h"

#include "base/assert.h"
#include "resource/sweeper.h"

#include <string.h>

/* A drive in progress is not started again before this. */
#define DRIVE_NS (10 * OS_NS_PER_S)

/* What sweep kinds have of ours: where `due` is in the document, and who drives one that is. */
struct found_kind {
    size_t due_offset;
    void (*drive)(struct wallets_flow *flow, void *document);
};

static void
drive_wallet(struct wallets_flow *flow, void *document)
{
    flow->wallet = document;
    wallets_wallet_drive(flow);
}

static void
drive_transfer(struct wallets_flow *flow, void *document)
{
    flow->transfer = document;
    wallets_transfer_resume(flow);
}

/* A transfer that pays a request runs under the request's lock. */
static struct span
transfer_lock(const void *document)
{
    const struct wallets_transfer *transfer = document;
    return transfer->request.size != 0 ? transfer->request : transfer->header.id;
}

static void
drive_request(struct wallets_flow *flow, void *document)
{
    flow->request = document;
    wallets_request_drive(flow);
}

static void
drive_hold(struct wallets_flow *flow, void *document)
{
    flow->hold = document;
    wallets_hold_drive(flow);
}

static void
drive_withdrawal(struct wallets_flow *flow, void *document)
{
    flow->withdrawal = document;
    wallets_withdrawal_drive(flow);
}

/* ------------------------------------------------------------------------------ driving one --- */

struct drive {
    const struct resource_sweep_kind *kind;
    struct span id;
};

static int64_t
due_of(const struct found_kind *own, const void *document)
{
    int64_t due;
    memcpy(&due, (const char *)document + own->due_offset, sizeof(due));
    return due;
}

static void
drive_locked(struct resource_op *op)
{
    const struct drive *drive = resource_op_state(op);
    const struct found_kind *own = drive->kind->own;
    void *document = NULL;
    err_t error = resource_load(op, drive->kind->type, drive->id, &document);
    if (error != ERR_OK) {
        resource_internal(op, error, "document to drive");
        return;
    }
    const struct wallets *wallets = resource_op_service(op);
    int64_t due = due_of(own, document);
    bool put_off = resource_is_shared(wallets->parts.runtime) && due > (int64_t)resource_now_s(op);
    if (due == 0 || put_off) {
        resource_finish(op); /* somebody dealt with it meanwhile */
        return;
    }
    struct wallets_flow *flow = wallets_flow_create(op);
    if (flow != NULL) {
        own->drive(flow, document);
    }
}

static void
drive_found(
    struct resource_op *op,
    const struct resource_sweep_kind *kind,
    struct span id,
    struct span lock)
{
    struct drive *drive = ARENA_NEW(resource_op_arena(op), struct drive);
    if (drive == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    *drive = (struct drive){.kind = kind, .id = id};
    resource_op_set_state(op, drive);
    resource_lock(op, lock, drive_locked);
}

/* ------------------------------------------------------------------------------- what is due ---
 */

static int64_t
began(const struct wallets_attempt *attempt)
{
    return wallets_attempt_is_open(attempt) ? attempt->began : 0;
}

static int64_t
wallet_began(const void *document)
{
    return began(&((const struct wallets_wallet *)document)->attempt);
}

static int64_t
transfer_began(const void *document)
{
    return began(&((const struct wallets_transfer *)document)->attempt);
}

static int64_t
hold_began(const void *document)
{
    return began(&((const struct wallets_hold *)document)->attempt);
}

static int64_t
withdrawal_began(const void *document)
{
    return began(&((const struct wallets_withdrawal *)document)->attempt);
}

/* The bank has been asked. */
static bool
withdrawal_waits(const void *document)
{
    return span_equal_cstr(((const struct wallets_withdrawal *)document)->attempt.kind, "pay");
}

static const struct resource_sweep_kind kinds[] = {
    {
        .type = &wallets_wallet_type,
        .due_column = WALLETS_WALLET_DUE,
        .began = wallet_began,
        .drive = drive_found,
        .own = &(const struct found_kind){offsetof(struct wallets_wallet, due), drive_wallet},
    },
    {
        .type = &wallets_transfer_type,
        .due_column = WALLETS_TRANSFER_DUE,
        .began = transfer_began,
        .lock_of = transfer_lock,
        .drive = drive_found,
        .own = &(const struct found_kind){offsetof(struct wallets_transfer, due), drive_transfer},
    },
    {
        .type = &wallets_request_type,
        .due_column = WALLETS_REQUEST_DUE,
        .drive = drive_found,
        .own = &(const struct found_kind){offsetof(struct wallets_request, due), drive_request},
    },
    {
        .type = &wallets_hold_type,
        .due_column = WALLETS_HOLD_DUE,
        .began = hold_began,
        .drive = drive_found,
        .own = &(const struct found_kind){offsetof(struct wallets_hold, due), drive_hold},
    },
    {
        .type = &wallets_withdrawal_type,
        .due_column = WALLETS_WITHDRAWAL_DUE,
        .began = withdrawal_began,
        .waits = withdrawal_waits,
        .drive = drive_found,
        .own =
            &(const struct found_kind){offsetof(struct wallets_withdrawal, due), drive_withdrawal},
    },
};

void
wallets_sweeper_start(struct wallets *wallets)
{
    const struct wallets_parts *from = &wallets->parts;
    const struct resource_sweeper_parts parts = {
        .runtime = from->runtime,
        .loop = from->loop,
        .clock = from->clock,
        .work = "sweeping wallets",
        .kinds = kinds,
        .kind_count = sizeof(kinds) / sizeof(kinds[0]),
        .service = wallets,
        .interval_ms = from->settings.sweep_interval_ms,
        .drive_ns = DRIVE_NS,
        .waiting_type = &wallets_withdrawal_type,
        .waiting_column = WALLETS_WITHDRAWAL_OPEN,
        .open = &wallets->attempts_open,
        .oldest_s = &wallets->attempt_oldest_s,
        .waits_s = &wallets->withdrawal_oldest_s,
        .waiting = &wallets->suspense_open,
    };
    err_t error = resource_sweeper_start(&parts, &wallets->sweeper);
    ASSERT(error == ERR_OK);
}
