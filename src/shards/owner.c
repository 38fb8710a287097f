/*
 * The port of one shard and the guard of its ledger. What it knows is a value that is replaced as a
 * whole: written down first, then published, then the ledger is asked to settle. Only the ledger's
 * thread looks through the pointer, so a value that was replaced is freed once that thread has
 * settled behind it.
 *
 *     submit --> (files: orders, and requests by a newer map) --> ledger --guard--> applied
 *
 * It is written down in a file, or with the ledger, whose note it is then:
 *
 *     order --state_make--> file --state_publish--> settle --settled--> answered
 *     order --state_make--> noting --noted--> state_publish ... as above
 *
 * A note is the ledger's, not the process's: whoever loads the ledger goes by what was noted last
 * (loaded). A value that was made from another one than that is not published, and one change is
 * under way at a time; what comes meanwhile waits for it.
 */
#include "owner_private.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/file.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "shard"

struct shards_owner {
    struct port_ledger port;
    struct port_ledger_guard guard;
    struct shards_owner_parts parts;
    char name[SHARD_NAME_SIZE];
    char folder[OS_PATH_SIZE];
    struct port_ledger *ledger;
    /* On `files`: a change is being noted, and the requests that wait for that. Those are their
     * requesters', who are bounded. */
    bool changing;
    struct os_task *first_waiting, *last_waiting;
    /* Written on `files`; by `loaded` on the ledger's thread. */
    _Atomic(struct owner_state *) state;
    _Atomic uint64_t epoch; /* of its map */
    _Atomic uint64_t moved;
};

/* An order, or a request that waits for a map, until the ledger has settled. */
struct order {
    struct port_ledger_request settle;
    struct shards_owner *owner;
    struct port_ledger_request *request;
    bool is_order;
    struct owner_state *made; /* not published yet, or NULL */
    struct buf text;          /* of it, while it is noted */
    struct span note;
    struct port_ledger_shard told;
};

/* ---- the guard: on the ledger's thread ---- */

/* The fence ends with the next epoch, so that is what the asker waits for. */
static err_t
moved_to(
    struct shards_owner *owner,
    const struct owner_state *state,
    struct port_ledger_request *request)
{
    bool same = request->epoch == state->map.epoch;
    atomic_fetch_add_explicit(&owner->moved, 1, memory_order_relaxed);
    request->epoch = state->map.epoch + (same && state->fence_epoch != 0 ? 1 : 0);
    return ERR_MOVED;
}

static err_t
refuse(void *context, struct port_ledger_request *request)
{
    struct shards_owner *owner = context;
    return moved_to(owner, atomic_load(&owner->state), request);
}

static err_t
admit(void *context, struct port_ledger_request *request)
{
    struct shards_owner *owner = context;
    const struct owner_state *state = atomic_load(&owner->state);
    err_t result = shards_owner_state_admit(state, request);
    bool moved = result == ERR_MOVED && request->epoch != PORT_LEDGER_EPOCH_MOVER;
    return moved ? moved_to(owner, state, request) : result;
}

static bool
has(void *context, u128 account_id)
{
    struct shards_owner *owner = context;
    return owner_is_open(atomic_load(&owner->state), account_id);
}

/* ---- states: on `files` ---- */

static err_t
state_save(struct shards_owner *owner, const struct owner_state *state)
{
    struct buf text;
    buf_init(&text, OWNER_TEXT_MAX);
    shards_owner_state_write(state, &text);
    err_t result = buf_failed(&text)
                       ? ERR_MEMORY
                       : os_file_save(owner->parts.disk, owner->folder, FILE_NAME, buf_span(&text));
    buf_release(&text);
    return result;
}

static struct owner_state *
state_copy(struct shards_owner *owner)
{
    struct owner_state *old = atomic_load(&owner->state);
    struct owner_state *state = malloc(sizeof(*state));
    if (state != NULL) {
        memcpy(state, old, sizeof(*state));
        state->older = old;
    }
    return state;
}

/* Written down before anybody goes by it. If the write's outcome is unknown it is not gone by, and
 * whoever ordered it orders again. ERR_BUSY: the ledger was loaded meanwhile, and with it another
 * value than the one that this was made from. */
static err_t
state_publish(struct shards_owner *owner, struct owner_state *state)
{
    struct owner_state *from = state->older;
    if (!atomic_compare_exchange_strong(&owner->state, &from, state)) {
        free(state);
        return ERR_BUSY;
    }
    atomic_store(&owner->epoch, state->map.epoch);
    return ERR_OK;
}

/* The ledger has settled behind it: nobody looks at older ones. */
static void
older_free(struct owner_state *state)
{
    struct owner_state *older = state->older;
    state->older = NULL;
    while (older != NULL) {
        struct owner_state *next = older->older;
        free(older);
        older = next;
    }
}

/* By the map as it is now; *changed is false if that is not newer. */
static err_t
map_follow(struct shards_owner *owner, struct owner_state *state, bool *changed)
{
    struct shard_map *map = calloc(1, sizeof(*map));
    err_t result = map == NULL ? ERR_MEMORY : owner->parts.read(owner->parts.context, map);
    *changed = result == ERR_OK && map->epoch > state->map.epoch;
    if (*changed) {
        result = shards_owner_state_follow(state, map, owner->name, true);
    }
    free(map);
    return result;
}

/* What the order makes of what is known; NULL if that stays. */
static err_t
state_make(
    struct shards_owner *owner,
    const struct port_ledger_shard_order *order,
    struct owner_state **ret_state)
{
    bool changed = order->kind != PORT_LEDGER_SHARD_LOOK;
    struct owner_state *state = state_copy(owner);
    err_t result = ERR_INVALID;
    *ret_state = NULL;
    if (state == NULL) {
        return ERR_MEMORY;
    }
    switch (order->kind) {
    case PORT_LEDGER_SHARD_LOOK:
        result = ERR_OK;
        break;
    case PORT_LEDGER_SHARD_MAP:
        result = map_follow(owner, state, &changed);
        break;
    case PORT_LEDGER_SHARD_FENCE:
        result = shards_owner_state_fence(state, order);
        break;
    case PORT_LEDGER_SHARD_ARRIVE:
        result = shards_owner_state_arrive(state, order);
        break;
    default:
        break;
    }
    if (result != ERR_OK || !changed) {
        free(state);
        return result;
    }
    *ret_state = state;
    return ERR_OK;
}

/* ---- requests ---- */

static void
run_done(struct os_task *task)
{
    struct port_ledger_request *request = CONTAINER_OF(task, struct port_ledger_request, task);
    request->done(request);
}

static void
answer(struct port_ledger_request *request, err_t error)
{
    request->error = error;
    request->out_count = error == ERR_OK ? request->out_count : 0;
    request->task.run = run_done;
    os_post(request->reply_to, &request->task);
}

/* On `files`: everything that was applied before the change is durable, and nothing after it was
 * applied without looking at it. */
static void
settled(struct port_ledger_request *settle)
{
    struct order *order = CONTAINER_OF(settle, struct order, settle);
    struct shards_owner *owner = order->owner;
    /* What is being noted was made from one of them, which it is compared with. */
    if (settle->error == ERR_OK && !owner->changing) {
        older_free(atomic_load(&owner->state));
    }
    if (!order->is_order) {
        owner->ledger->submit(owner->ledger, order->request);
    } else {
        if (settle->error == ERR_OK) {
            *order->request->out.shard = order->told;
            order->request->out_count = 1;
        }
        answer(order->request, settle->error);
    }
    free(order);
}

/* Nothing of it was done. A request that only waited for the map goes on by the one that is known;
 * the guard has the answer. */
static void
order_end(struct order *order, err_t error)
{
    struct shards_owner *owner = order->owner;
    if (order->is_order) {
        answer(order->request, error);
    } else {
        owner->ledger->submit(owner->ledger, order->request);
    }
    free(order);
}

static void
order_settle(struct order *order)
{
    struct shards_owner *owner = order->owner;
    shards_owner_state_tell(atomic_load(&owner->state), &order->told);
    order->settle = (struct port_ledger_request){
        .operation = PORT_LEDGER_SETTLE,
        .reply_to = owner->parts.files,
        .done = settled,
    };
    owner->ledger->submit(owner->ledger, &order->settle);
}

static void
order_publish(struct order *order)
{
    err_t result = state_publish(order->owner, order->made);
    order->made = NULL;
    if (result == ERR_OK) {
        order_settle(order);
    } else {
        order_end(order, result);
    }
}

static void
waiting_add(struct shards_owner *owner, struct os_task *task)
{
    task->next = NULL;
    if (owner->last_waiting == NULL) {
        owner->first_waiting = task;
    } else {
        owner->last_waiting->next = task;
    }
    owner->last_waiting = task;
}

static void
waiting_go_on(struct shards_owner *owner)
{
    struct os_task *first = owner->first_waiting;
    struct os_task *last = owner->last_waiting;
    owner->first_waiting = NULL;
    owner->last_waiting = NULL;
    if (first != NULL) {
        owner->parts.files->post(owner->parts.files, first, last);
    }
}

/* On `files`: it is durable with the ledger, or perhaps not. */
static void
noted(struct port_ledger_request *settle)
{
    struct order *order = CONTAINER_OF(settle, struct order, settle);
    struct shards_owner *owner = order->owner;
    owner->changing = false;
    buf_release(&order->text);
    if (settle->error == ERR_OK) {
        order_publish(order);
    } else {
        free(order->made);
        order_end(order, settle->error);
    }
    waiting_go_on(owner);
}

static void
order_note(struct order *order)
{
    struct shards_owner *owner = order->owner;
    buf_init(&order->text, OWNER_TEXT_MAX);
    shards_owner_state_write(order->made, &order->text);
    ASSERT(!owner->changing);
    if (buf_failed(&order->text)) {
        buf_release(&order->text);
        free(order->made);
        order_end(order, ERR_BUSY);
        return;
    }
    owner->changing = true;
    order->note = buf_span(&order->text);
    order->settle = (struct port_ledger_request){
        .operation = PORT_LEDGER_SETTLE,
        .in.note = &order->note,
        .reply_to = owner->parts.files,
        .done = noted,
    };
    owner->ledger->submit(owner->ledger, &order->settle);
}

static void
run_order(struct os_task *task)
{
    static const struct port_ledger_shard_order by_map = {.kind = PORT_LEDGER_SHARD_MAP};
    struct port_ledger_request *request = CONTAINER_OF(task, struct port_ledger_request, task);
    struct shards_owner *owner = CONTAINER_OF(request->port, struct shards_owner, port);
    bool is_order = request->operation == PORT_LEDGER_SHARD;
    if (owner->changing) {
        waiting_add(owner, task);
        return;
    }
    struct order *order = calloc(1, sizeof(*order));
    if (order == NULL) {
        answer(request, ERR_BUSY);
        return;
    }
    *order = (struct order){.owner = owner, .request = request, .is_order = is_order};
    err_t result = state_make(owner, is_order ? request->in.order : &by_map, &order->made);
    if (result == ERR_OK && order->made != NULL && !owner->parts.noted) {
        result = state_save(owner, order->made);
        if (result != ERR_OK) {
            free(order->made);
        }
    }
    if (result != ERR_OK && is_order) {
        order_end(order, result);
    } else if (result != ERR_OK || order->made == NULL) {
        order_settle(order);
    } else if (owner->parts.noted) {
        order_note(order);
    } else {
        order_publish(order);
    }
}

static void
submit(struct port_ledger *port, struct port_ledger_request *request)
{
    struct shards_owner *owner = CONTAINER_OF(port, struct shards_owner, port);
    ASSERT(request->done != NULL);
    bool newer =
        request->epoch != PORT_LEDGER_EPOCH_MOVER && request->epoch > atomic_load(&owner->epoch);
    if (newer || request->operation == PORT_LEDGER_SHARD) {
        request->port = port;
        request->out_count = 0;
        request->task.run = run_order;
        os_post(owner->parts.files, &request->task);
        return;
    }
    owner->ledger->submit(owner->ledger, request);
}

/* ---- life ---- */

/* What was written down (a zero is behind it), and then the map of now. ERR_STALE: that is older.
 */
static err_t
state_restore(
    struct span text,
    const struct shard_map *map,
    const char *name,
    struct owner_state *state,
    uint64_t *ret_epoch)
{
    TRY(shards_owner_state_read(text, state, ret_epoch));
    if (*ret_epoch > map->epoch) {
        return ERR_STALE;
    }
    state->map.epoch = *ret_epoch;
    return shards_owner_state_follow(state, map, name, false);
}

/* On the ledger's thread, before it executes anything. What follows from the map is not noted: it
 * follows again. */
static err_t
loaded(void *context, struct span note)
{
    struct shards_owner *owner = context;
    struct shard_map *map = calloc(1, sizeof(*map));
    struct owner_state *state = calloc(1, sizeof(*state));
    uint64_t epoch = 0;
    err_t result = map == NULL || state == NULL ? ERR_MEMORY : ERR_OK;
    if (result == ERR_OK) {
        result = owner->parts.read(owner->parts.context, map);
    }
    if (result == ERR_OK) {
        result = shards_owner_state_init(state, map, owner->name);
    }
    if (result == ERR_OK && note.size > 0) {
        char *text = strndup(note.data, note.size);
        result = text == NULL
                     ? ERR_MEMORY
                     : state_restore(span_of(text, note.size), map, owner->name, state, &epoch);
        free(text);
    }
    free(map);
    if (result != ERR_OK) {
        free(state);
        return result;
    }
    state->older = atomic_load(&owner->state);
    while (!atomic_compare_exchange_weak(&owner->state, &state->older, state)) {
    }
    atomic_store(&owner->epoch, state->map.epoch);
    return ERR_OK;
}

/* What the file says, and then the map of now. */
static err_t
state_load(struct shards_owner *owner, struct owner_state *state, char *message)
{
    char path[OS_PATH_SIZE + 16];
    char *text = NULL;
    size_t size = 0;
    uint64_t epoch = 0;
    (void)snprintf(path, sizeof(path), "%s/%s", owner->folder, FILE_NAME);
    err_t result = os_file_load(owner->parts.disk, path, OWNER_TEXT_MAX, &text, &size);
    if (result == ERR_NOT_FOUND) {
        return state_save(owner, state);
    }
    if (result == ERR_OK) {
        const struct shard_map *map = owner->parts.map;
        result = state_restore(span_of(text, size), map, owner->name, state, &epoch);
        free(text);
    }
    if (result == ERR_STALE) {
        (void)snprintf(
            message,
            SHARDS_MESSAGE_SIZE,
            "the map has epoch %" PRIu64 ", and %s served by %" PRIu64 " already",
            owner->parts.map->epoch,
            owner->name,
            epoch);
        return ERR_STALE;
    }
    if (result != ERR_OK) {
        (void)snprintf(message, SHARDS_MESSAGE_SIZE, "%.400s: %s", path, err_text(result));
        return result;
    }
    return state_save(owner, state);
}

err_t
shards_owner_create(
    const struct shards_owner_parts *parts,
    struct shards_owner **ret_owner,
    char message[SHARDS_MESSAGE_SIZE])
{
    struct shards_owner *owner = calloc(1, sizeof(*owner));
    struct owner_state *state = calloc(1, sizeof(*state));
    message[0] = '\0';
    if (owner == NULL || state == NULL) {
        free(owner);
        free(state);
        return ERR_MEMORY;
    }
    owner->port.submit = submit;
    owner->guard =
        (struct port_ledger_guard){.admit = admit, .refuse = refuse, .has = has, .context = owner};
    owner->guard.loaded = parts->noted ? loaded : NULL;
    owner->parts = *parts;
    (void)snprintf(owner->name, sizeof(owner->name), "%s", parts->name);
    (void)snprintf(owner->folder, sizeof(owner->folder), "%s", parts->folder);
    err_t result = shards_owner_state_init(state, parts->map, owner->name);
    if (result != ERR_OK) {
        (void)snprintf(message, SHARDS_MESSAGE_SIZE, "the map names no shard %s", owner->name);
    } else if (!parts->noted) {
        result = state_load(owner, state, message);
    }
    if (result != ERR_OK) {
        free(state);
        free(owner);
        return result;
    }
    atomic_store(&owner->epoch, state->map.epoch);
    atomic_store(&owner->state, state);
    owner->parts.map = NULL;
    *ret_owner = owner;
    return ERR_OK;
}

void
shards_owner_destroy(struct shards_owner **owner)
{
    if (*owner != NULL) {
        struct owner_state *state = atomic_load(&(*owner)->state);
        older_free(state);
        free(state);
    }
    free(*owner);
    *owner = NULL;
}

const struct port_ledger_guard *
shards_owner_guard(struct shards_owner *owner)
{
    return &owner->guard;
}

void
shards_owner_attach(struct shards_owner *owner, struct port_ledger *ledger)
{
    ASSERT(owner->ledger == NULL);
    owner->ledger = ledger;
}

bool
shards_owner_expects(const struct shards_owner *owner, u128 account_id)
{
    const struct owner_state *state = atomic_load(&owner->state);
    uint32_t slot = shard_slot_of_id(account_id);
    return state->marks[slot] != 0 || state->arrivals[slot] != 0 || ledger_is_stand_in(account_id);
}

struct port_ledger *
shards_owner_port(struct shards_owner *owner)
{
    return &owner->port;
}

uint64_t
shards_owner_epoch(const struct shards_owner *owner)
{
    return atomic_load_explicit(&owner->epoch, memory_order_relaxed);
}

uint64_t
shards_owner_moved(const struct shards_owner *owner)
{
    return atomic_load_explicit(&owner->moved, memory_order_relaxed);
}
