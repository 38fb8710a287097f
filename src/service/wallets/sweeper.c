/*
 * The sweeper: finds what is due (open attempts whose worker is gone or whose outcome is unknown,
 * what has expired) and drives each in an operation of its own, under the object's lock, so that it
 * never meets a live worker.
 *
 * The first sweep ignores leases: with an embedded store, whoever held them is dead.
 */
#include "flow.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"

#include <stdlib.h>
#include <string.h>

/* A drive in progress is not started again before this. */
#define RECENT_NS (10 * OS_NS_PER_S)
/* Attempts are due at most this far ahead: the longest back-off or lease. */
#define DUE_AHEAD_MAX_S 600
#define RECENT_SLOTS    1024

/* What can be due: a type, its column, and who drives one that was found. */
struct sweep_kind {
    const struct resource_type *type;
    uint32_t due_column;
    size_t due_offset;
    size_t attempt_offset; /* of the attempt inside the document; 0: it has none */
    /* What is locked; its own id unless a document belongs to another. */
    struct span (*lock_of)(const void *document);
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

static const struct sweep_kind sweep_kinds[] = {
    {
        .type = &wallets_wallet_type,
        .due_column = WALLETS_WALLET_DUE,
        .due_offset = offsetof(struct wallets_wallet, due),
        .attempt_offset = offsetof(struct wallets_wallet, attempt),
        .drive = drive_wallet,
    },
    {
        .type = &wallets_transfer_type,
        .due_column = WALLETS_TRANSFER_DUE,
        .due_offset = offsetof(struct wallets_transfer, due),
        .attempt_offset = offsetof(struct wallets_transfer, attempt),
        .lock_of = transfer_lock,
        .drive = drive_transfer,
    },
    {
        .type = &wallets_request_type,
        .due_column = WALLETS_REQUEST_DUE,
        .due_offset = offsetof(struct wallets_request, due),
        .drive = drive_request,
    },
    {
        .type = &wallets_hold_type,
        .due_column = WALLETS_HOLD_DUE,
        .due_offset = offsetof(struct wallets_hold, due),
        .attempt_offset = offsetof(struct wallets_hold, attempt),
        .drive = drive_hold,
    },
    {
        .type = &wallets_withdrawal_type,
        .due_column = WALLETS_WITHDRAWAL_DUE,
        .due_offset = offsetof(struct wallets_withdrawal, due),
        .attempt_offset = offsetof(struct wallets_withdrawal, attempt),
        .drive = drive_withdrawal,
    },
};

#define SWEEP_KIND_COUNT (sizeof(sweep_kinds) / sizeof(sweep_kinds[0]))
#define FOUND_MAX        (SWEEP_KIND_COUNT * DOCUMENT_LIST_MAX)

struct found {
    const struct sweep_kind *kind;
    uint64_t scope;
    char id[ID_TEXT_SIZE];
    char lock[ID_TEXT_SIZE];
};

struct recent {
    uint64_t hash;
    uint64_t until_ns;
};

struct wallets_sweeper {
    struct wallets *wallets;
    bool first;
    struct found found[FOUND_MAX];
    uint32_t found_count;
    uint32_t open_count;
    int64_t oldest_began;
    const struct sweep_kind *kind; /* that is being looked for */
    struct recent recent[RECENT_SLOTS];
};

static int64_t
due_of(const struct sweep_kind *kind, const void *document)
{
    int64_t due;
    memcpy(&due, (const char *)document + kind->due_offset, sizeof(due));
    return due;
}

static const struct wallets_attempt *
attempt_of(const struct sweep_kind *kind, const void *document)
{
    return (const struct wallets_attempt *)(const void
                                                *)((const char *)document + kind->attempt_offset);
}

static uint64_t
found_hash(const struct found *found)
{
    static const struct hash_key key = {3, 4};
    return hash_keyed(key, span_from_cstr(found->id));
}

/* ------------------------------------------------------------------------------ driving one --- */

struct drive {
    const struct sweep_kind *kind;
    struct recent *recent;
    uint64_t hash;
    struct span id;
};

/* Ended, however that came: the next sweep may look at it again. */
static void
drive_ended(void *context)
{
    struct drive *drive = context;
    if (drive->recent->hash == drive->hash) {
        drive->recent->until_ns = 0;
    }
}

static void
drive_locked(struct resource_op *op)
{
    const struct drive *drive = resource_op_state(op);
    void *document = NULL;
    err_t error = resource_load(op, drive->kind->type, drive->id, &document);
    if (error != ERR_OK) {
        resource_internal(op, error, "document to drive");
        return;
    }
    const struct wallets *wallets = resource_op_service(op);
    int64_t due = due_of(drive->kind, document);
    bool put_off = resource_is_shared(wallets->parts.runtime) && due > (int64_t)resource_now_s(op);
    if (due == 0 || put_off) {
        resource_finish(op); /* somebody dealt with it meanwhile */
        return;
    }
    struct wallets_flow *flow = wallets_flow_create(op);
    if (flow != NULL) {
        drive->kind->drive(flow, document);
    }
}

static void
drive_begin(struct resource_op *op)
{
    const struct found *found = resource_op_state(op);
    const struct wallets *wallets = resource_op_service(op);
    struct arena *arena = resource_op_arena(op);
    struct drive *drive = ARENA_NEW(arena, struct drive);
    if (drive == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    drive->kind = found->kind;
    drive->hash = found_hash(found);
    drive->recent = &wallets->sweeper->recent[drive->hash % RECENT_SLOTS];
    drive->id = arena_copy(arena, span_from_cstr(found->id));
    resource_op_set_state(op, drive);
    resource_op_on_end(op, drive_ended, drive);
    resource_lock(op, span_from_cstr(found->lock), drive_locked);
}

/* --------------------------------------------------------------------------------- one sweep ---
 */

/* Remembers that this one is being driven; false if it already is. */
static bool
recent_mark(struct wallets_sweeper *sweeper, const struct found *found, uint64_t now_ns)
{
    uint64_t hash = found_hash(found);
    struct recent *recent = &sweeper->recent[hash % RECENT_SLOTS];
    if (recent->hash == hash && recent->until_ns > now_ns) {
        return false;
    }
    recent->hash = hash;
    recent->until_ns = now_ns + RECENT_NS;
    return true;
}

static void
drive_all(struct wallets_sweeper *sweeper)
{
    struct wallets *wallets = sweeper->wallets;
    uint64_t now_ns = os_monotonic_ns(wallets->parts.clock);
    for (uint32_t i = 0; i < sweeper->found_count; i++) {
        struct found *found = &sweeper->found[i];
        if (!recent_mark(sweeper, found, now_ns)) {
            continue;
        }
        /* It copies what was found before this group ends, and so before the next sweep. */
        err_t error = resource_start_internal(
            wallets->parts.runtime, found->scope, wallets, drive_begin, found);
        if (error != ERR_OK) {
            return; /* too much under way: the next sweep goes on */
        }
    }
}

static void
copy_id(char out[ID_TEXT_SIZE], struct span id)
{
    ASSERT(id.size < ID_TEXT_SIZE);
    memset(out, 0, ID_TEXT_SIZE);
    if (id.size != 0) {
        memcpy(out, id.data, id.size);
    }
}

static bool
found_one(void *context, void *document)
{
    struct wallets_sweeper *sweeper = context;
    const struct sweep_kind *kind = sweeper->kind;
    const struct resource_header *header = document;
    ASSERT(sweeper->found_count < FOUND_MAX);
    struct found *found = &sweeper->found[sweeper->found_count++];
    found->kind = kind;
    found->scope = header->scope;
    copy_id(found->id, header->id);
    copy_id(found->lock, kind->lock_of == NULL ? header->id : kind->lock_of(document));
    const struct wallets_attempt *attempt = attempt_of(kind, document);
    if (kind->attempt_offset != 0 && wallets_attempt_is_open(attempt)) {
        sweeper->open_count++;
        if (sweeper->oldest_began == 0 || attempt->began < sweeper->oldest_began) {
            sweeper->oldest_began = attempt->began;
        }
    }
    return true;
}

static err_t
find_due(struct wallets_sweeper *sweeper, struct resource_op *op, int64_t until)
{
    for (size_t i = 0; i < SWEEP_KIND_COUNT; i++) {
        sweeper->kind = &sweep_kinds[i];
        const struct document_query query = {
            .all_scopes = true,
            .range_column = sweeper->kind->due_column,
            .range_min = 1,
            .range_max = until,
            .oldest_first = true,
            .limit = DOCUMENT_LIST_MAX,
        };
        TRY(resource_find(op, sweeper->kind->type, &query, found_one, sweeper));
    }
    return ERR_OK;
}

static void
sweep_again_later(struct wallets_sweeper *sweeper)
{
    const struct wallets_parts *parts = &sweeper->wallets->parts;
    uint64_t now = os_monotonic_ns(parts->clock);
    os_timer_arm(
        parts->loop,
        &sweeper->wallets->sweep_timer,
        now + (uint64_t)parts->settings.sweep_interval_ms * OS_NS_PER_MS);
}

static void
sweep(struct resource_op *op)
{
    struct wallets_sweeper *sweeper = resource_op_state(op);
    struct wallets *wallets = sweeper->wallets;
    int64_t now = (int64_t)resource_now_s(op);
    sweeper->found_count = 0;
    sweeper->open_count = 0;
    sweeper->oldest_began = 0;
    err_t error = find_due(sweeper, op, sweeper->first ? now + DUE_AHEAD_MAX_S : now);
    resource_finish(op);
    if (error == ERR_OK) {
        atomic_store(&wallets->attempts_open, sweeper->open_count);
        atomic_store(
            &wallets->attempt_oldest_s,
            sweeper->oldest_began == 0 ? 0 : now - sweeper->oldest_began);
        sweeper->first = sweeper->first && sweeper->found_count >= DOCUMENT_LIST_MAX;
        drive_all(sweeper);
    }
    sweep_again_later(sweeper);
}

static void
sweep_fired(struct os_timer *timer)
{
    struct wallets *wallets = CONTAINER_OF(timer, struct wallets, sweep_timer);
    if (!resource_leads(wallets->parts.runtime, "sweeping wallets")) {
        /* Who leads tells; what was seen before is old. */
        atomic_store(&wallets->attempts_open, 0);
        atomic_store(&wallets->attempt_oldest_s, 0);
        sweep_again_later(wallets->sweeper);
        return;
    }
    err_t error =
        resource_start_internal(wallets->parts.runtime, 0, wallets, sweep, wallets->sweeper);
    if (error != ERR_OK) {
        sweep_again_later(wallets->sweeper);
    }
}

void
wallets_sweeper_start(struct wallets *wallets)
{
    wallets->sweeper = calloc(1, sizeof(*wallets->sweeper));
    ASSERT(wallets->sweeper != NULL);
    wallets->sweeper->wallets = wallets;
    wallets->sweeper->first = !resource_is_shared(wallets->parts.runtime);
    wallets->sweep_timer.fire = sweep_fired;
    os_timer_arm(
        wallets->parts.loop, &wallets->sweep_timer, os_monotonic_ns(wallets->parts.clock) + 1);
}

void
wallets_sweeper_destroy(struct wallets *wallets)
{
    free(wallets->sweeper);
    wallets->sweeper = NULL;
}
