#include "resource/sweeper.h"

#include "resource/object.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"

#include <stdlib.h>
#include <string.h>

#define RECENT_SLOTS 1024
/* Attempts are due at most this far ahead: the longest back-off or lease. */
#define DUE_AHEAD_MAX_S 600
#define FOUND_MAX       (RESOURCE_SWEEP_KINDS_MAX * DOCUMENT_LIST_MAX)

struct found {
    struct resource_sweeper *sweeper;
    const struct resource_sweep_kind *kind;
    uint64_t scope;
    char id[ID_TEXT_SIZE];
    char lock[ID_TEXT_SIZE];
};

/* A drive under way. */
struct recent {
    uint64_t hash;
    uint64_t until_ns;
};

struct resource_sweeper {
    struct resource_sweeper_parts parts;
    struct os_timer timer;
    bool first;
    const struct resource_sweep_kind *kind; /* that is being looked for */
    struct found found[FOUND_MAX];
    uint32_t found_count;
    uint32_t open_count;
    int64_t oldest_began;
    uint32_t waiting_count;
    struct recent recent[RECENT_SLOTS];
};

static uint64_t
found_hash(const struct found *found)
{
    static const struct hash_key key = {1, 2};
    return hash_keyed(key, span_from_cstr(found->id));
}

/* ------------------------------------------------------------------------------ driving one --- */

struct drive {
    struct recent *recent;
    uint64_t hash;
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
drive_begin(struct resource_op *op)
{
    const struct found *found = resource_op_state(op);
    struct arena *arena = resource_op_arena(op);
    struct drive *drive = ARENA_NEW(arena, struct drive);
    struct span id = arena_copy(arena, span_from_cstr(found->id));
    struct span lock = arena_copy(arena, span_from_cstr(found->lock));
    if (drive == NULL || id.size == 0 || lock.size == 0) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    drive->hash = found_hash(found);
    drive->recent = &found->sweeper->recent[drive->hash % RECENT_SLOTS];
    resource_op_on_end(op, drive_ended, drive);
    found->kind->drive(op, found->kind, id, lock);
}

/* Remembers that this one is being driven; false if it already is. */
static bool
recent_mark(struct resource_sweeper *sweeper, const struct found *found, uint64_t now_ns)
{
    uint64_t hash = found_hash(found);
    struct recent *recent = &sweeper->recent[hash % RECENT_SLOTS];
    if (recent->hash == hash && recent->until_ns > now_ns) {
        return false;
    }
    recent->hash = hash;
    recent->until_ns = now_ns + sweeper->parts.drive_ns;
    return true;
}

static void
drive_all(struct resource_sweeper *sweeper)
{
    const struct resource_sweeper_parts *parts = &sweeper->parts;
    uint64_t now_ns = os_monotonic_ns(parts->clock);
    for (uint32_t i = 0; i < sweeper->found_count; i++) {
        struct found *found = &sweeper->found[i];
        if (!recent_mark(sweeper, found, now_ns)) {
            continue;
        }
        /* It copies what was found before this group ends, and so before the next sweep. */
        err_t error = resource_start_internal(
            parts->runtime, found->scope, parts->service, drive_begin, found);
        if (error != ERR_OK) {
            return; /* too much under way: the next sweep goes on */
        }
    }
}

/* --------------------------------------------------------------------------------- one sweep ---
 */

static void
copy_id(char out[ID_TEXT_SIZE], struct span id)
{
    ASSERT(id.size > 0);
    ASSERT(id.size < ID_TEXT_SIZE);
    memset(out, 0, ID_TEXT_SIZE);
    memcpy(out, id.data, id.size);
}

static bool
found_one(void *context, void *document)
{
    struct resource_sweeper *sweeper = context;
    const struct resource_sweep_kind *kind = sweeper->kind;
    const struct resource_header *header = document;
    ASSERT(sweeper->found_count < FOUND_MAX);
    struct found *found = &sweeper->found[sweeper->found_count++];
    found->sweeper = sweeper;
    found->kind = kind;
    found->scope = header->scope;
    copy_id(found->id, header->id);
    copy_id(found->lock, kind->lock_of == NULL ? header->id : kind->lock_of(document));
    int64_t began = kind->began == NULL ? 0 : kind->began(document);
    if (began != 0) {
        sweeper->open_count++;
        if (sweeper->oldest_began == 0 || began < sweeper->oldest_began) {
            sweeper->oldest_began = began;
        }
    }
    return true;
}

static bool
waiting_one(void *context, void *document)
{
    struct resource_sweeper *sweeper = context;
    (void)document;
    sweeper->waiting_count++;
    return true;
}

static err_t
find_waiting(struct resource_sweeper *sweeper, struct resource_op *op)
{
    const struct document_query query = {
        .all_scopes = true,
        .range_column = sweeper->parts.waiting_column,
        .range_min = 1,
        .range_max = INT64_MAX,
        .oldest_first = true,
        .limit = DOCUMENT_LIST_MAX,
    };
    if (sweeper->parts.waiting_type == NULL) {
        return ERR_OK;
    }
    const struct resource_visitor visitor = {.each = waiting_one, .context = sweeper};
    return resource_look(op, sweeper->parts.waiting_type, &query, &visitor);
}

static err_t
find_due(struct resource_sweeper *sweeper, struct resource_op *op, int64_t now)
{
    /* Only an attempt can have a lease to ignore. */
    int64_t ahead = sweeper->first ? now + DUE_AHEAD_MAX_S : now;
    for (uint32_t i = 0; i < sweeper->parts.kind_count; i++) {
        sweeper->kind = &sweeper->parts.kinds[i];
        const struct document_query query = {
            .all_scopes = true,
            .range_column = sweeper->kind->due_column,
            .range_min = 1,
            .range_max = sweeper->kind->began != NULL ? ahead : now,
            .oldest_first = true,
            .hot_only = sweeper->kind->hot_only,
            .limit = DOCUMENT_LIST_MAX,
        };
        const struct resource_visitor visitor = {.each = found_one, .context = sweeper};
        TRY(resource_look(op, sweeper->kind->type, &query, &visitor));
    }
    return find_waiting(sweeper, op);
}

static void
sweep_again_later(struct resource_sweeper *sweeper)
{
    const struct resource_sweeper_parts *parts = &sweeper->parts;
    os_timer_arm(
        parts->loop,
        &sweeper->timer,
        os_monotonic_ns(parts->clock) + (uint64_t)parts->interval_ms * OS_NS_PER_MS);
}

static void
sweep(struct resource_op *op)
{
    struct resource_sweeper *sweeper = resource_op_state(op);
    int64_t now = (int64_t)resource_now_s(op);
    sweeper->found_count = 0;
    sweeper->open_count = 0;
    sweeper->oldest_began = 0;
    sweeper->waiting_count = 0;
    err_t error = find_due(sweeper, op, now);
    resource_finish(op);
    if (error == ERR_OK) {
        atomic_store(sweeper->parts.open, sweeper->open_count);
        atomic_store(
            sweeper->parts.oldest_s, sweeper->oldest_began == 0 ? 0 : now - sweeper->oldest_began);
        if (sweeper->parts.waiting != NULL) {
            atomic_store(sweeper->parts.waiting, sweeper->waiting_count);
        }
        sweeper->first = sweeper->first && sweeper->found_count >= DOCUMENT_LIST_MAX;
        drive_all(sweeper);
    }
    sweep_again_later(sweeper);
}

static void
sweep_fired(struct os_timer *timer)
{
    struct resource_sweeper *sweeper = CONTAINER_OF(timer, struct resource_sweeper, timer);
    const struct resource_sweeper_parts *parts = &sweeper->parts;
    bool leads = resource_leads(parts->runtime, parts->work);
    if (parts->turn != NULL) {
        parts->turn(parts->service, leads);
    }
    if (!leads) {
        atomic_store(parts->open, 0);
        atomic_store(parts->oldest_s, 0);
        if (parts->waiting != NULL) {
            atomic_store(parts->waiting, 0);
        }
    }
    if (!leads ||
        resource_start_internal(parts->runtime, 0, parts->service, sweep, sweeper) != ERR_OK) {
        sweep_again_later(sweeper);
    }
}

err_t
resource_sweeper_start(
    const struct resource_sweeper_parts *parts, struct resource_sweeper **ret_sweeper)
{
    ASSERT(parts->kind_count <= RESOURCE_SWEEP_KINDS_MAX);
    ASSERT(parts->interval_ms > 0);
    struct resource_sweeper *sweeper = calloc(1, sizeof(*sweeper));
    if (sweeper == NULL) {
        return ERR_MEMORY;
    }
    sweeper->parts = *parts;
    sweeper->first = !resource_is_shared(parts->runtime);
    sweeper->timer.fire = sweep_fired;
    os_timer_arm(parts->loop, &sweeper->timer, os_monotonic_ns(parts->clock) + 1);
    *ret_sweeper = sweeper;
    return ERR_OK;
}

void
resource_sweeper_destroy(struct resource_sweeper **sweeper)
{
    free(*sweeper);
    *sweeper = NULL;
}
