/*
 * Which endpoints there are, in memory: what dispatching asks for every event. The documents are
 * the truth; a scope whose endpoints changed is read again in the transaction of the change, and
 * what was read counts when that is durable.
 */
#include "service.h"

#include "base/assert.h"
#include "json/json_in.h"

#include <stdlib.h>
#include <string.h>

#define SCOPES_MAX   (1U << 20)
#define LIST_ALL     UINT32_MAX
#define PATTERNS_MAX 4096 /* values of one JSON array */

static void
copy_id(char out[ID_TEXT_SIZE], struct span id)
{
    ASSERT(id.size < ID_TEXT_SIZE);
    memcpy(out, id.data, id.size);
    out[id.size] = '\0';
}

/* --------------------------------------------------------------------------------------- scopes */

static uint64_t
scope_hash(uint64_t number)
{
    return number * UINT64_C(0x9e3779b97f4a7c15);
}

struct events_scope *
events_scope_find(struct events *events, uint64_t number)
{
    for (struct map_link *link = map_find(&events->scopes, scope_hash(number)); link != NULL;
         link = map_next(link)) {
        struct events_scope *scope = CONTAINER_OF(link, struct events_scope, link);
        if (scope->number == number) {
            return scope;
        }
    }
    return NULL;
}

err_t
events_scope_get(struct events *events, uint64_t number, struct events_scope **ret_scope)
{
    *ret_scope = events_scope_find(events, number);
    if (*ret_scope != NULL) {
        return ERR_OK;
    }
    struct events_scope *scope = calloc(1, sizeof(*scope));
    if (scope == NULL) {
        return ERR_MEMORY;
    }
    scope->events = events;
    scope->number = number;
    list_init(&scope->targets);
    err_t result = map_insert(&events->scopes, scope_hash(number), &scope->link);
    if (result != ERR_OK) {
        free(scope);
        return result;
    }
    *ret_scope = scope;
    return ERR_OK;
}

/* -------------------------------------------------------------------------------------- targets */

struct events_target *
events_target_find(struct events_scope *scope, struct span id)
{
    LIST_FOREACH_SAFE (&scope->targets, link) {
        struct events_target *target = CONTAINER_OF(link, struct events_target, in_scope);
        if (span_equal_cstr(id, target->id)) {
            return target;
        }
    }
    return NULL;
}

static err_t
target_create(
    struct events_scope *scope, struct span id, int64_t number, struct events_target **ret_target)
{
    struct events *events = scope->events;
    if (events->target_count >= EVENTS_TARGETS_MAX) {
        return ERR_FULL;
    }
    struct events_target *target = calloc(1, sizeof(*target));
    if (target == NULL) {
        return ERR_MEMORY;
    }
    copy_id(target->id, id);
    target->events = events;
    target->scope = scope;
    target->number = number;
    target->window = 1;
    target->timer.fire = events_work_timer;
    list_init(&target->in_flight);
    list_init(&target->finished);
    list_init(&target->settled);
    list_init(&target->prepared);
    list_push_back(&events->targets, &target->all);
    list_push_back(&scope->targets, &target->in_scope);
    events->target_count++;
    *ret_target = target;
    return ERR_OK;
}

static void
target_destroy(struct events_target *target)
{
    struct events *events = target->events;
    struct list *lists[] = {
        &target->in_flight, &target->finished, &target->settled, &target->prepared};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        LIST_FOREACH_SAFE (lists[i], link) {
            list_remove(link);
            events_attempt_destroy(CONTAINER_OF(link, struct events_attempt, link));
        }
    }
    if (list_is_linked(&target->waiting)) {
        list_remove(&target->waiting);
    }
    list_remove(&target->all);
    list_remove(&target->in_scope);
    events->target_count--;
    free(target->patterns);
    free(target);
}

void
events_target_let_go(struct events_target *target)
{
    if (target->removed && !target->working && target->in_flight_count == 0 &&
        list_is_empty(&target->finished)) {
        os_timer_cancel(target->events->parts.loop, &target->timer);
        target_destroy(target);
    }
}

/* The texts of a JSON array, in one allocation; NULL without memory. */
static struct span *
patterns_copy(const struct json_value *array)
{
    size_t size = 0;
    for (const struct json_value *item = array->first_child; item != NULL; item = item->next) {
        size += sizeof(struct span) + item->text.size;
    }
    struct span *patterns = malloc(size + 1);
    if (patterns == NULL) {
        return NULL;
    }
    char *at = (char *)(patterns + array->child_count);
    size_t count = 0;
    for (const struct json_value *item = array->first_child; item != NULL; item = item->next) {
        if (item->text.size > 0) {
            memcpy(at, item->text.data, item->text.size);
        }
        patterns[count++] = span_of(at, item->text.size);
        at += item->text.size;
    }
    return patterns;
}

static err_t
target_set_patterns(struct resource_op *op, struct events_target *target, struct span text)
{
    struct json_value *array;
    struct json_problem problem;
    TRY(json_read(text, resource_op_arena(op), PATTERNS_MAX, &array, &problem));
    if (array->kind != JSON_KIND_ARRAY) {
        return ERR_CORRUPT;
    }
    struct span *patterns = patterns_copy(array);
    if (patterns == NULL) {
        return ERR_MEMORY;
    }
    free(target->patterns);
    target->patterns = patterns;
    target->pattern_count = array->child_count;
    return ERR_OK;
}

static void
target_enable(struct events_target *target, bool enabled)
{
    struct events *events = target->events;
    if (enabled == target->enabled) {
        return;
    }
    target->enabled = enabled;
    if (enabled) {
        target->scope->enabled_count++;
        events_count(&events->enabled, 1);
        target->failures = 0;
        target->pause_until_ns = 0;
    } else {
        target->scope->enabled_count--;
        events_count(&events->enabled, UINT64_MAX);
    }
}

/* ------------------------------------------------------------------------------ reading a scope */

struct reading {
    struct events_scope *scope;
    struct events_endpoint *endpoints[EVENTS_ENDPOINTS_MAX];
    uint32_t count;
    struct span damaged[EVENTS_ENDPOINTS_MAX]; /* ids of those that cannot be read */
    uint32_t damaged_count;
    bool done;
};

static bool
collect_endpoint(void *context, void *document)
{
    struct reading *reading = context;
    ASSERT(reading->count < EVENTS_ENDPOINTS_MAX);
    reading->endpoints[reading->count++] = document;
    return true;
}

static void
collect_damaged(void *context, struct span id)
{
    struct reading *reading = context;
    ASSERT(reading->damaged_count < EVENTS_ENDPOINTS_MAX);
    reading->damaged[reading->damaged_count++] = id;
    events_note_damaged(reading->scope->events, "webhook_endpoint", id);
}

static bool
is_there(const struct reading *reading, const struct events_target *target)
{
    bool there = false;
    for (uint32_t i = 0; i < reading->count; i++) {
        there = there || span_equal_cstr(reading->endpoints[i]->header.id, target->id);
    }
    for (uint32_t i = 0; i < reading->damaged_count; i++) {
        there = there || span_equal_cstr(reading->damaged[i], target->id);
    }
    return there;
}

static err_t
apply_one(
    struct resource_op *op, struct events_scope *scope, const struct events_endpoint *endpoint)
{
    struct events_target *target = events_target_find(scope, endpoint->header.id);
    if (target == NULL) {
        TRY(target_create(scope, endpoint->header.id, endpoint->number, &target));
    }
    TRY(target_set_patterns(op, target, endpoint->enabled_events));
    target_enable(target, !endpoint->disabled);
    if (target->version != endpoint->header.version) {
        target->version = endpoint->header.version;
        target->failures = 0; /* it may have another URL: what failed says nothing of it */
        target->pause_until_ns = 0;
    }
    events_work(target);
    return ERR_OK;
}

static void
apply(struct resource_op *op)
{
    struct reading *reading = resource_op_state(op);
    struct events_scope *scope = reading->scope;
    LIST_FOREACH_SAFE (&scope->targets, link) {
        struct events_target *target = CONTAINER_OF(link, struct events_target, in_scope);
        if (!is_there(reading, target) && !target->removed) {
            target_enable(target, false);
            target->removed = true;
            events_work(target);
        }
    }
    err_t result = ERR_OK;
    for (uint32_t i = 0; result == ERR_OK && i < reading->count; i++) {
        result = apply_one(op, scope, reading->endpoints[i]);
        if (result == ERR_CORRUPT) {
            events_note_damaged(
                scope->events, "webhook_endpoint", reading->endpoints[i]->header.id);
            result = ERR_OK;
        }
    }
    reading->done = result == ERR_OK;
    if (result != ERR_OK) {
        resource_internal(op, result, "webhook endpoints");
        return;
    }
    resource_finish(op);
}

static void
reading_ended(void *context)
{
    struct reading *reading = context;
    struct events_scope *scope = reading->scope;
    scope->reading = false;
    if (!reading->done) {
        scope->stale = true; /* the sweep comes back to it */
        return;
    }
    events_scope_soil(scope);
    events_scope_go_on(scope);
}

static void
read_scope(struct resource_op *op)
{
    struct events_scope *scope = resource_op_state(op);
    struct reading *reading = ARENA_NEW(resource_op_arena(op), struct reading);
    ASSERT(reading != NULL); /* a new arena */
    reading->scope = scope;
    resource_op_set_state(op, reading);
    resource_op_on_end(op, reading_ended, reading);
    scope->stale = false; /* what changes from here on makes it so again */
    struct document_query query = {.range_column = UINT32_MAX, .limit = EVENTS_ENDPOINTS_MAX};
    const struct resource_visitor visitor = {
        .each = collect_endpoint, .damaged = collect_damaged, .context = reading};
    err_t result = resource_visit(op, &events_endpoint_type, &query, &visitor);
    if (result != ERR_OK) {
        resource_internal(op, result, "webhook endpoints");
        return;
    }
    resource_after_commit(op, apply);
}

/* In a database that is shared events become deliveries in the commit that has them: none waits. */
void
events_scope_soil(struct events_scope *scope)
{
    if (scope->events->shared) {
        return;
    }
    scope->dirty = true;
    if (scope->waiting_since == 0) {
        scope->waiting_since = events_now_ms(scope->events);
    }
}

void
events_scope_go_on(struct events_scope *scope)
{
    struct events *events = scope->events;
    if (scope->stale) {
        if (!scope->reading) {
            scope->reading =
                resource_start_internal(
                    events->parts.runtime, scope->number, events, read_scope, scope) == ERR_OK;
        }
        return;
    }
    if (scope->enabled_count == 0) {
        scope->dirty = false; /* whoever enables one sets the cursor */
        scope->waiting_since = 0;
    } else if (!events->shared && scope->dirty && !scope->dispatching && !events->draining) {
        events_dispatch_start(scope);
    }
}

void
events_scope_changed(struct events_scope *scope)
{
    scope->stale = true;
    events_scope_go_on(scope);
}

/* ---------------------------------------------------------------------------------------- start */

struct opening {
    struct events *events;
    uint64_t endpoint_count;
    err_t error;
};

/* A row of a deleted endpoint whose deliveries are not all canceled, or of one that is there. */
static err_t
open_target(struct events *events, uint64_t scope_number, struct span id, int64_t number)
{
    struct events_scope *scope;
    TRY(events_scope_get(events, scope_number, &scope));
    scope->stale = true;
    if (number > events->last_number) {
        events->last_number = number;
    }
    struct events_target *target = events_target_find(scope, id);
    return target != NULL ? ERR_OK : target_create(scope, id, number, &target);
}

static bool
open_endpoint(void *context, const struct document_row *row)
{
    struct opening *opening = context;
    int64_t number = row->columns[EVENTS_ENDPOINT_NUMBER].integer;
    opening->error = open_target(opening->events, row->scope, row->id, number);
    opening->endpoint_count++;
    return opening->error == ERR_OK;
}

static bool
open_deleted(void *context, const struct document_row *row)
{
    struct events *events = context;
    int64_t number = row->columns[EVENTS_ENDPOINT_NUMBER].integer;
    if (number > events->last_number) {
        events->last_number = number;
    }
    return false;
}

static bool
open_delivery(void *context, const struct document_row *row)
{
    struct opening *opening = context;
    int64_t number = row->columns[EVENTS_DELIVERY_QUEUE].integer >> EVENTS_DUE_BITS;
    struct span endpoint = row->columns[EVENTS_DELIVERY_ENDPOINT].text;
    opening->error = open_target(opening->events, row->scope, endpoint, number);
    events_count(&opening->events->queued, 1);
    return opening->error == ERR_OK;
}

static void
keep_order(struct events *events, struct span event_id)
{
    u128 id;
    if (id_parse("evt_", event_id, &id)) {
        resource_ids_above(events->parts.runtime, id);
    }
}

static bool
open_newest_event(void *context, const struct document_row *row)
{
    keep_order(context, row->id);
    return false;
}

static bool
open_cursor(void *context, const struct document_row *row)
{
    struct opening *opening = context;
    struct events *events = opening->events;
    keep_order(events, row->columns[EVENTS_CURSOR_EVENT].text);
    struct document_query newest = {.scope = row->scope, .range_column = UINT32_MAX, .limit = 1};
    struct document_store *documents = events->parts.documents;
    opening->error = documents->ops->list(
        documents, resource_event_type.kind, &newest, open_newest_event, events);
    return opening->error == ERR_OK;
}

static err_t
open_all(
    struct opening *opening, const struct resource_type *type, uint32_t column, document_each each)
{
    struct document_store *documents = opening->events->parts.documents;
    struct document_query query = {
        .all_scopes = true,
        .range_column = column,
        .range_min = 1,
        .range_max = INT64_MAX,
        .oldest_first = true,
        .limit = LIST_ALL,
    };
    TRY(documents->ops->list(documents, type->kind, &query, each, opening));
    return opening->error;
}

err_t
events_registry_open(struct events *events, uint64_t *ret_endpoint_count)
{
    map_init(&events->scopes, SCOPES_MAX);
    list_init(&events->targets);
    struct opening opening = {.events = events};
    struct document_store *documents = events->parts.documents;
    TRY(open_all(&opening, &events_endpoint_type, EVENTS_ENDPOINT_NUMBER, open_endpoint));
    TRY(open_all(&opening, &events_delivery_type, EVENTS_DELIVERY_QUEUE, open_delivery));
    TRY(open_all(&opening, &events_cursor_type, EVENTS_CURSOR_ACTIVE, open_cursor));
    struct document_query last = {
        .all_scopes = true,
        .range_column = EVENTS_ENDPOINT_NUMBER,
        .range_min = 1,
        .range_max = INT64_MAX,
        .limit = 1,
    };
    TRY(documents->ops->list(
        documents, events_deleted_endpoint_type.kind, &last, open_deleted, events));
    *ret_endpoint_count = opening.endpoint_count;
    return ERR_OK;
}

static void
scope_free(void *context, struct map_link *link)
{
    (void)context;
    free(CONTAINER_OF(link, struct events_scope, link));
}

void
events_registry_close(struct events *events)
{
    LIST_FOREACH_SAFE (&events->targets, link) {
        target_destroy(CONTAINER_OF(link, struct events_target, all));
    }
    map_each(&events->scopes, scope_free, NULL);
    map_release(&events->scopes);
}
