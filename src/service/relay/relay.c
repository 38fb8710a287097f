#include "relay_internal.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define SCOPES_MAX (1U << 20)

struct relay_settings
relay_settings_default(void)
{
    return (struct relay_settings){.retry_first_ms = 200, .retry_max_ms = 30000};
}

/* --------------------------------------------------------------------------------------- scopes */

static uint64_t
scope_hash(uint64_t number)
{
    return number * UINT64_C(0x9e3779b97f4a7c15);
}

static struct relay_scope *
scope_find(struct relay *relay, uint64_t number)
{
    for (struct map_link *link = map_find(&relay->scopes, scope_hash(number)); link != NULL;
         link = map_next(link)) {
        struct relay_scope *scope = CONTAINER_OF(link, struct relay_scope, link);
        if (scope->number == number) {
            return scope;
        }
    }
    return NULL;
}

/* NULL: no memory; the next event of the scope, or the next start, tries again. */
static struct relay_scope *
scope_get(struct relay *relay, uint64_t number)
{
    struct relay_scope *scope = scope_find(relay, number);
    if (scope != NULL) {
        return scope;
    }
    scope = calloc(1, sizeof(*scope));
    if (scope == NULL) {
        return NULL;
    }
    scope->relay = relay;
    scope->number = number;
    if (map_insert(&relay->scopes, scope_hash(number), &scope->link) != ERR_OK) {
        free(scope);
        return NULL;
    }
    return scope;
}

static void
scope_free(void *context, struct map_link *link)
{
    (void)context;
    free(CONTAINER_OF(link, struct relay_scope, link));
}

/* ---------------------------------------------------------------------------------------- retry */

/* Full jitter: anything up to the limit, which doubles with every failure. */
static void
retry_later(struct relay *relay)
{
    const struct relay_settings *settings = &relay->parts.settings;
    int64_t limit_ms = settings->retry_first_ms;
    for (uint32_t i = 0; i < relay->failures && limit_ms < settings->retry_max_ms; i++) {
        limit_ms *= 2;
    }
    limit_ms = limit_ms < settings->retry_max_ms ? limit_ms : settings->retry_max_ms;
    relay->failures++;
    relay->jitter = relay->jitter * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint64_t wait_ms = 1 + (relay->jitter >> 33) % (uint64_t)limit_ms;
    os_timer_arm(
        relay->parts.loop,
        &relay->retry,
        os_monotonic_ns(relay->parts.clock) + wait_ms * OS_NS_PER_MS);
}

/* ---------------------------------------------------------------------------------------- batch */

static void
batch_clear(struct relay_batch *batch)
{
    buf_clear(&batch->text);
    batch->count = 0;
    batch->confirmed = 0;
    batch->oldest_s = 0;
}

/* The places become messages once the text moves no more. */
static void
batch_seal(struct relay_batch *batch)
{
    const char *text = batch->text.data;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct relay_place *place = &batch->places[i];
        batch->messages[i] = (struct port_broker_message){
            .id = span_of(text + place->id, place->type - place->id),
            .type = span_of(text + place->type, place->key - place->type),
            .key = span_of(text + place->key, place->account - place->key),
            .account = span_of(text + place->account, place->body - place->account),
            .body = span_of(text + place->body, place->end - place->body),
            .livemode = place->livemode,
        };
    }
}

static void
publish(struct relay *relay)
{
    relay->publishing = true;
    relay->request.messages = relay->batch.messages + relay->batch.confirmed;
    relay->request.count = relay->batch.count - relay->batch.confirmed;
    relay->parts.broker->publish(relay->parts.broker, &relay->request);
}

/* --------------------------------------------------------------------------------------- rounds */

static void
show_busy(struct relay *relay)
{
    atomic_store(&relay->busy, relay->publishing || relay->reading > 0);
}

/* Back to those that wait, unless there is nothing to do for it. */
static void
scope_leaves_round(struct relay_scope *scope)
{
    list_remove(&scope->waiting);
    if (scope->dirty || scope->unsaved) {
        list_push_back(&scope->relay->dirty, &scope->waiting);
    }
}

static void
round_leave(struct relay *relay)
{
    LIST_FOREACH_SAFE (&relay->round, link) {
        scope_leaves_round(CONTAINER_OF(link, struct relay_scope, waiting));
    }
}

static bool
is_idle(const struct relay *relay)
{
    return relay->reading == 0 && !relay->publishing && !os_timer_is_armed(&relay->retry);
}

/* Operations for those that wait longest; their ends come later, from the loop. */
static void
round_begin(struct relay *relay)
{
    ASSERT(list_is_empty(&relay->round));
    ASSERT(relay->batch.count == 0);
    relay->round_failed = false;
    if (relay->shared.is_used && !relay_shared_leads(relay)) {
        return; /* another process publishes; it is asked again when the timer is over */
    }
    for (uint32_t i = 0; i < RELAY_SCOPES_AT_ONCE; i++) {
        struct list_link *link = list_pop_front(&relay->dirty);
        if (link == NULL) {
            break;
        }
        struct relay_scope *scope = CONTAINER_OF(link, struct relay_scope, waiting);
        err_t result =
            relay->shared.is_used ? relay_shared_read_start(scope) : relay_read_start(scope);
        if (result != ERR_OK) {
            list_push_front(&relay->dirty, link);
            relay->round_failed = true;
            break;
        }
        list_push_back(&relay->round, link);
        relay->reading++;
    }
    if (relay->reading == 0 && relay->round_failed) {
        retry_later(relay);
    }
}

void
relay_go_on(struct relay *relay)
{
    if (is_idle(relay) && !relay->draining && !list_is_empty(&relay->dirty)) {
        round_begin(relay);
    }
    show_busy(relay);
}

/* The cursors pass what was read: the broker has it, or nobody can read it. */
static void
round_passes(struct relay *relay)
{
    LIST_FOREACH_SAFE (&relay->round, link) {
        struct relay_scope *scope = CONTAINER_OF(link, struct relay_scope, waiting);
        if (scope->in_batch[0] != '\0') {
            memcpy(scope->confirmed, scope->in_batch, sizeof(scope->confirmed));
            scope->unsaved = true;
            if (relay->shared.is_used) {
                relay_shared_confirmed(scope);
            }
        }
    }
    round_leave(relay);
}

static void
round_read(struct relay *relay)
{
    if (relay->batch.count > 0) {
        batch_seal(&relay->batch);
        atomic_store(&relay->oldest_s, relay->batch.oldest_s);
        publish(relay);
    } else {
        atomic_store(&relay->oldest_s, relay_shared_waiting_s(relay));
        round_passes(relay);
        if (relay->round_failed) {
            retry_later(relay);
        }
    }
    relay_go_on(relay);
}

void
relay_read_ended(struct relay_scope *scope, bool good)
{
    struct relay *relay = scope->relay;
    ASSERT(relay->reading > 0);
    relay->reading--;
    relay->round_failed = relay->round_failed || !good;
    if (relay->reading == 0) {
        round_read(relay);
    }
}

static void
round_confirmed(struct relay *relay)
{
    batch_clear(&relay->batch);
    relay->failures = 0;
    round_passes(relay);
}

static void
published(struct port_broker_request *request)
{
    struct relay *relay = CONTAINER_OF(request, struct relay, request);
    relay->publishing = false;
    atomic_fetch_add(&relay->published, request->confirmed);
    relay->batch.confirmed += request->confirmed;
    if (relay->batch.confirmed == relay->batch.count) {
        round_confirmed(relay);
    } else {
        atomic_fetch_add(&relay->retries, 1);
        relay->failures = request->confirmed > 0 ? 0 : relay->failures;
        retry_later(relay);
    }
    relay_go_on(relay);
}

static void
retry(struct os_timer *timer)
{
    struct relay *relay = CONTAINER_OF(timer, struct relay, retry);
    if (relay->batch.count > 0 && relay->shared.is_used && !relay_shared_leads(relay)) {
        batch_clear(&relay->batch); /* it is the other one's, from the cursor on */
        relay_shared_give_up(relay);
        round_leave(relay);
    }
    if (relay->batch.count > 0 && !relay->draining) {
        publish(relay);
    }
    relay_go_on(relay);
}

void
relay_scope_becomes_dirty(struct relay_scope *scope)
{
    scope->dirty = true;
    if (!list_is_linked(&scope->waiting)) {
        list_push_back(&scope->relay->dirty, &scope->waiting);
    }
}

static void
emitted(void *context, uint64_t scope_number)
{
    struct relay *relay = context;
    if (relay->shared.is_used) {
        relay_shared_emitted(relay);
        return;
    }
    struct relay_scope *scope = scope_get(relay, scope_number);
    if (scope != NULL) {
        relay_scope_becomes_dirty(scope);
        relay_go_on(relay);
    }
}

/* ------------------------------------------------------------------------------------------ open
 */

struct opening {
    struct relay *relay;
    err_t error;
};

/* Ids that are made from now on come behind everything that the cursor has passed. */
static bool
open_newest_event(void *context, const struct document_row *row)
{
    struct relay *relay = context;
    u128 id;
    if (id_parse("evt_", row->id, &id)) {
        resource_ids_above(relay->parts.runtime, id);
    }
    return false;
}

static bool
open_cursor(void *context, const struct document_row *row)
{
    struct opening *opening = context;
    struct relay *relay = opening->relay;
    struct span event = row->columns[RELAY_CURSOR_EVENT].text;
    struct relay_scope *scope = scope_get(relay, row->scope);
    u128 id;
    if (scope == NULL) {
        opening->error = ERR_MEMORY;
        return false;
    }
    if (!id_parse("evt_", event, &id) || event.size >= sizeof(scope->confirmed)) {
        opening->error = ERR_CORRUPT;
        return false;
    }
    memcpy(scope->confirmed, event.data, event.size);
    scope->confirmed[event.size] = '\0';
    resource_ids_above(relay->parts.runtime, id);
    struct document_query newest = {.scope = row->scope, .range_column = UINT32_MAX, .limit = 1};
    struct document_store *documents = relay->parts.documents;
    opening->error = documents->ops->list(
        documents, resource_event_type.kind, &newest, open_newest_event, relay);
    return opening->error == ERR_OK;
}

static err_t
open_cursors(struct relay *relay)
{
    struct opening opening = {.relay = relay};
    struct document_store *documents = relay->parts.documents;
    const struct document_query query = {
        .all_scopes = true,
        .range_column = RELAY_CURSOR_ACTIVE,
        .range_min = 1,
        .range_max = 1,
        .oldest_first = true,
        .limit = UINT32_MAX,
    };
    TRY(documents->ops->list(documents, relay_cursor_type.kind, &query, open_cursor, &opening));
    return opening.error;
}

static void
drain_run(struct os_task *task)
{
    struct relay *relay = CONTAINER_OF(task, struct relay, drain_task);
    relay->draining = true;
    atomic_store(&relay->drain_heard, true);
}

err_t
relay_create(const struct relay_parts *parts, struct relay **ret_relay)
{
    ASSERT(parts->settings.retry_first_ms > 0);
    ASSERT(parts->settings.retry_max_ms >= parts->settings.retry_first_ms);
    struct relay *relay = calloc(1, sizeof(*relay));
    if (relay == NULL) {
        return ERR_MEMORY;
    }
    relay->parts = *parts;
    relay->jitter = (uint64_t)os_random_u128(parts->entropy);
    relay->retry.fire = retry;
    relay->drain_task.run = drain_run;
    relay->request.reply_to = os_loop_executor(parts->loop);
    relay->request.done = published;
    map_init(&relay->scopes, SCOPES_MAX);
    list_init(&relay->dirty);
    list_init(&relay->round);
    /* The last event may be larger than the rest of the room; an object is far below this. */
    buf_init(&relay->batch.text, 2 * (size_t)PORT_BROKER_BYTES_MAX);
    relay_shared_init(relay);
    err_t result = relay->shared.is_used ? ERR_OK : open_cursors(relay);
    if (result != ERR_OK) {
        relay_destroy(&relay);
        return result;
    }
    relay->listener.context = relay;
    relay->listener.emitted = emitted;
    resource_listen_events(parts->runtime, &relay->listener);
    *ret_relay = relay;
    return ERR_OK;
}

void
relay_destroy(struct relay **relay)
{
    struct relay *gone = *relay;
    if (gone != NULL) {
        relay_shared_release(gone);
        buf_release(&gone->batch.text);
        map_each(&gone->scopes, scope_free, NULL);
        map_release(&gone->scopes);
        free(gone);
    }
    *relay = NULL;
}

static void
start_scope(void *context, uint64_t scope_number)
{
    struct relay_scope *scope = scope_get(context, scope_number);
    if (scope != NULL) {
        relay_scope_becomes_dirty(scope);
    }
}

err_t
relay_start(struct relay *relay)
{
    if (relay->shared.is_used) {
        relay_shared_start(relay);
        return ERR_OK;
    }
    TRY(resource_scope_each(relay->parts.runtime, start_scope, relay));
    relay_go_on(relay);
    return ERR_OK;
}

void
relay_drain(struct relay *relay)
{
    os_post(os_loop_executor(relay->parts.loop), &relay->drain_task);
}

bool
relay_is_drained(const struct relay *relay)
{
    return atomic_load(&relay->drain_heard) && !atomic_load(&relay->busy);
}

struct relay_health
relay_health(const struct relay *relay)
{
    struct relay_health health = {
        .published = atomic_load(&relay->published),
        .retries = atomic_load(&relay->retries),
    };
    int64_t oldest_s = atomic_load(&relay->oldest_s);
    if (oldest_s != 0) {
        health.lag_s = (int64_t)(os_wall_ns(relay->parts.clock) / 1000000000) - oldest_s;
    }
    return health;
}
