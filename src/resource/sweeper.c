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
#define WATCHED_MAX     DOCUMENT_LIST_MAX

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

/* An open attempt that was due once. Between two tries it is not due, and still open: it is counted
 * until its document says that it ended. Of more than there is room for, those that began first. */
struct watched {
    const struct resource_sweep_kind *kind; /* NULL: nothing is watched here */
    struct resource_sweeper *sweeper;
    uint64_t scope;
    int64_t began;
    bool is_due; /* in the last sweep, which has counted it */
    bool waits;  /* for somebody outside, who has it */
    char id[ID_TEXT_SIZE];
};

struct resource_sweeper {
    struct resource_sweeper_parts parts;
    struct os_timer timer;
    bool first;
    const struct resource_sweep_kind *kind; /* that is being looked for */
    struct found found[FOUND_MAX];
    uint32_t found_count;
    int64_t swept_at;
    uint32_t due_count; /* of open attempts */
    int64_t due_began;  /* the first of them; 0: there is none */
    uint32_t waiting_count;
    struct recent recent[RECENT_SLOTS];
    struct watched watched[WATCHED_MAX];
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

/* ------------------------------------------------------------------------- what has no end yet ---
 */

static int64_t
earlier(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static int64_t
age(const struct resource_sweeper *sweeper, int64_t began)
{
    return began == 0 ? 0 : sweeper->swept_at - began;
}

static bool
waits_outside(const struct resource_sweep_kind *kind, const void *document)
{
    return kind->waits != NULL && kind->waits(document);
}

static void
publish_open(struct resource_sweeper *sweeper)
{
    const struct resource_sweeper_parts *parts = &sweeper->parts;
    uint64_t count = sweeper->due_count;
    int64_t began = sweeper->due_began;
    int64_t waits_since = 0;
    for (uint32_t i = 0; i < WATCHED_MAX; i++) {
        const struct watched *watched = &sweeper->watched[i];
        if (watched->kind == NULL) {
            continue;
        }
        if (watched->waits) {
            waits_since = earlier(waits_since, watched->began);
        } else if (!watched->is_due) {
            count++;
            began = earlier(began, watched->began);
        }
    }
    atomic_store(parts->open, count);
    atomic_store(parts->oldest_s, age(sweeper, began));
    if (parts->waits_s != NULL) {
        atomic_store(parts->waits_s, age(sweeper, waits_since));
    }
}

/* The one that is watched already, or a free place, or that of the one that began last; NULL if
 * this one began later still. */
static struct watched *
watched_place(struct resource_sweeper *sweeper, const struct found *found, int64_t began)
{
    struct watched *place = NULL;
    for (uint32_t i = 0; i < WATCHED_MAX; i++) {
        struct watched *watched = &sweeper->watched[i];
        if (watched->kind == found->kind && watched->scope == found->scope &&
            strcmp(watched->id, found->id) == 0) {
            return watched;
        }
        bool better = place == NULL || (place->kind != NULL &&
                                        (watched->kind == NULL || watched->began > place->began));
        if (better) {
            place = watched;
        }
    }
    return place->kind == NULL || place->began > began ? place : NULL;
}

static void
watch(struct resource_sweeper *sweeper, const struct found *found, int64_t began, bool waits)
{
    struct watched *watched = watched_place(sweeper, found, began);
    if (watched != NULL) {
        *watched = (struct watched){
            .kind = found->kind,
            .sweeper = sweeper,
            .scope = found->scope,
            .began = began,
            .is_due = true,
            .waits = waits,
        };
        memcpy(watched->id, found->id, sizeof(watched->id));
    }
}

static void
watch_nothing(struct resource_sweeper *sweeper)
{
    memset(sweeper->watched, 0, sizeof(sweeper->watched));
}

/* What cannot be read now is open for all that is known. */
static void
look_again(struct resource_op *op)
{
    struct watched *watched = resource_op_state(op);
    void *document = NULL;
    err_t error = resource_load(op, watched->kind->type, span_from_cstr(watched->id), &document);
    resource_finish(op);
    if (error == ERR_OK) {
        watched->began = watched->kind->began(document);
        watched->waits = waits_outside(watched->kind, document);
    }
    if (error == ERR_NOT_FOUND || watched->began == 0) {
        watched->kind = NULL;
    }
    publish_open(watched->sweeper);
}

/* The operations begin in this group, and so before the next sweep watches anything else here. */
static void
look_again_at_all(struct resource_sweeper *sweeper)
{
    const struct resource_sweeper_parts *parts = &sweeper->parts;
    for (uint32_t i = 0; i < WATCHED_MAX; i++) {
        struct watched *watched = &sweeper->watched[i];
        if (watched->kind == NULL || watched->is_due) {
            continue;
        }
        err_t error = resource_start_internal(
            parts->runtime, watched->scope, parts->service, look_again, watched);
        if (error != ERR_OK) {
            return; /* too much under way: the next sweep looks again */
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
    if (began == 0) {
        return true;
    }
    bool waits = waits_outside(kind, document);
    if (!waits) {
        sweeper->due_count++;
        sweeper->due_began = earlier(sweeper->due_began, began);
    }
    watch(sweeper, found, began, waits);
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
    const struct resource_visitor visitor = {
        .each = waiting_one, .damaged = resource_pass_damaged, .context = sweeper};
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
        const struct resource_visitor visitor = {
            .each = found_one, .damaged = resource_pass_damaged, .context = sweeper};
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
    sweeper->swept_at = (int64_t)resource_now_s(op);
    sweeper->found_count = 0;
    sweeper->due_count = 0;
    sweeper->due_began = 0;
    sweeper->waiting_count = 0;
    for (uint32_t i = 0; i < WATCHED_MAX; i++) {
        sweeper->watched[i].is_due = false;
    }
    err_t error = find_due(sweeper, op, sweeper->swept_at);
    resource_finish(op);
    if (error == ERR_OK) {
        publish_open(sweeper);
        if (sweeper->parts.waiting != NULL) {
            atomic_store(sweeper->parts.waiting, sweeper->waiting_count);
        }
        sweeper->first = sweeper->first && sweeper->found_count >= DOCUMENT_LIST_MAX;
        drive_all(sweeper);
        look_again_at_all(sweeper);
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
        watch_nothing(sweeper);
        sweeper->due_count = 0;
        sweeper->due_began = 0;
        publish_open(sweeper);
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
