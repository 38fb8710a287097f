#include "events/events.h"

#include "service.h"

#include "base/assert.h"
#include "trace/log.h"

#include <stdlib.h>
#include <string.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

struct events_settings
events_settings_default(void)
{
    return (struct events_settings){
        .test = {.first_ms = 10 * SECOND, .max_ms = 10 * MINUTE, .for_ms = 3 * HOUR},
        .live = {.first_ms = MINUTE, .max_ms = 6 * HOUR, .for_ms = 3 * DAY},
        .timeout_ms = 20 * SECOND,
        .disable_after_ms = 5 * DAY,
        .event_keep_s = 30 * DAY / SECOND,
        .delivery_keep_s = 30 * DAY / SECOND,
        .purge_interval_ms = SECOND,
        .in_flight_max = 512,
        .endpoint_in_flight_max = 64,
        .memory_max = UINT64_C(64) << 20,
        .test_reach = PORT_HTTP_LOCAL,
        .live_reach = PORT_HTTP_PUBLIC,
    };
}

/* --------------------------------------------------------------------------------------- shared */

int64_t
events_now_ms(const struct events *events)
{
    return (int64_t)(os_wall_ns(events->parts.clock) / OS_NS_PER_MS);
}

const struct events_schedule *
events_schedule_of(const struct events *events, bool live)
{
    return live ? &events->parts.settings.live : &events->parts.settings.test;
}

/* splitmix64 by Steele, Lea and Flood: delays need to differ, not to be secret. */
uint64_t
events_random(struct events *events)
{
    events->jitter += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t value = events->jitter;
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

void
events_note_damaged(struct events *events, const char *kind, struct span id)
{
    events_count(&events->damaged, 1);
    TRACE_LOG(
        events->parts.log,
        TRACE_ERROR,
        "events",
        SPAN_EMPTY,
        "a row cannot be read",
        trace_cstr("kind", kind),
        trace_text("id", id));
}

/* ------------------------------------------------------------------------------------- listener */

static void
emitted(void *context, uint64_t scope_number)
{
    struct events_scope *scope = events_scope_find(context, scope_number);
    if (scope != NULL) {
        events_scope_soil(scope);
        events_scope_go_on(scope);
    }
}

/* ---------------------------------------------------------------------------------------- sweep */

/* What one sweep sees. */
struct swept {
    int64_t now;           /* unix ms */
    int64_t waiting_since; /* of the events that wait longest to be dispatched; 0: none do */
};

static void
sweep_scope(void *context, struct map_link *link)
{
    struct swept *swept = context;
    struct events_scope *scope = CONTAINER_OF(link, struct events_scope, link);
    events_scope_go_on(scope);
    if (scope->waiting_since != 0 &&
        (swept->waiting_since == 0 || scope->waiting_since < swept->waiting_since)) {
        swept->waiting_since = scope->waiting_since;
    }
}

/* Since what is due could have begun: an endpoint that fails rests, and while it does nothing waits
 * for us. */
static int64_t
waits_for_room_ms(const struct events_target *target, int64_t now_ms)
{
    uint64_t now_ns = os_monotonic_ns(target->events->parts.clock);
    int64_t due_for_ms = now_ms - target->next_due;
    if (target->pause_until_ns >= now_ns) {
        return 0;
    }
    uint64_t rested_for_ms = (now_ns - target->pause_until_ns) / OS_NS_PER_MS;
    return rested_for_ms < (uint64_t)due_for_ms ? (int64_t)rested_for_ms : due_for_ms;
}

/* Whatever could not be begun when it was due, for want of room. */
static void
sweep(struct os_timer *timer)
{
    struct events *events = CONTAINER_OF(timer, struct events, sweep_timer);
    struct swept swept = {.now = events_now_ms(events)};
    int64_t overdue = 0;
    uint64_t due = 0;
    if (events->shared) {
        events_shared_sweep(events);
    }
    map_each(&events->scopes, sweep_scope, &swept);
    LIST_FOREACH_SAFE (&events->targets, link) {
        const struct events_target *target = CONTAINER_OF(link, struct events_target, all);
        if (target->next_due != 0 && swept.now >= target->next_due) {
            int64_t waits = waits_for_room_ms(target, swept.now);
            due++;
            overdue = waits > overdue ? waits : overdue;
        }
    }
    /* The wall clock may have gone back. */
    int64_t lag = swept.waiting_since == 0 || swept.now < swept.waiting_since
                      ? 0
                      : swept.now - swept.waiting_since;
    atomic_store(&events->lag_ms, (uint64_t)lag);
    atomic_store(&events->due_endpoints, due);
    atomic_store(&events->overdue_ms, (uint64_t)overdue);
    os_timer_arm(events->parts.loop, timer, os_monotonic_ns(events->parts.clock) + EVENTS_SWEEP_NS);
}

/* ----------------------------------------------------------------------------------------- life */

static err_t
routes_bind(struct events *events)
{
    events->routes = calloc(events_route_count, sizeof(*events->routes));
    if (events->routes == NULL) {
        return ERR_MEMORY;
    }
    memcpy(events->routes, events_route_table, events_route_count * sizeof(*events->routes));
    for (uint32_t i = 0; i < events_route_count; i++) {
        events->routes[i].service_context = events;
    }
    return ERR_OK;
}

static bool
settings_are_sane(const struct events_settings *settings)
{
    return settings->in_flight_max > 0 && settings->endpoint_in_flight_max > 0 &&
           settings->memory_max > 0 && settings->timeout_ms > 0 && settings->test.first_ms > 0 &&
           settings->live.first_ms > 0 && settings->delivery_keep_s <= settings->event_keep_s;
}

static void
drain_run(struct os_task *task)
{
    struct events *events = CONTAINER_OF(task, struct events, drain_task);
    events->draining = true;
    atomic_store(&events->drain_heard, true);
}

static_assert(EVENTS_MESSAGE_SIZE == CALLBACK_MESSAGE_SIZE, "a message goes through");

err_t
events_create(
    const struct events_parts *parts, struct events **ret_events, char message[EVENTS_MESSAGE_SIZE])
{
    ASSERT(settings_are_sane(&parts->settings));
    struct events *events = calloc(1, sizeof(*events));
    uint64_t endpoint_count = 0;
    if (events == NULL) {
        return ERR_MEMORY;
    }
    events->parts = *parts;
    events->shared = resource_is_shared(parts->runtime);
    events->leads = !events->shared;
    events->began_ms = events_now_ms(events);
    events->jitter = (uint64_t)os_random_u128(parts->entropy);
    events->sweep_timer.fire = sweep;
    events->purge_timer.fire = events_purge_timer;
    events->drain_task.run = drain_run;
    list_init(&events->waiting[0]);
    list_init(&events->waiting[1]);
    err_t result = events_registry_open(events, &endpoint_count);
    if (result == ERR_OK) {
        result = events_keys_open(events, endpoint_count, message);
    }
    if (result == ERR_OK) {
        result = routes_bind(events);
    }
    if (result != ERR_OK) {
        events_destroy(&events);
        return result;
    }
    events->watch = (struct resource_event_watch){
        .context = events,
        .written = events->shared ? events_dispatch_at_once : NULL,
        .pending = events_watch_pending,
        .undelivered = events_watch_undelivered,
    };
    resource_watch_events(parts->runtime, &events->watch);
    if (!events->shared) { /* else `written` has done it already */
        events->listener.context = events;
        events->listener.emitted = emitted;
        resource_listen_events(parts->runtime, &events->listener);
    }
    *ret_events = events;
    return ERR_OK;
}

void
events_destroy(struct events **events)
{
    struct events *gone = *events;
    if (gone == NULL) {
        return;
    }
    *events = NULL;
    events_registry_close(gone);
    events_scopes_free(&gone->purge.scopes);
    events_keys_close(gone);
    free(gone->routes);
    free(gone);
}

void
events_start(struct events *events)
{
    uint64_t now = os_monotonic_ns(events->parts.clock);
    os_timer_arm(events->parts.loop, &events->sweep_timer, now + 1);
    os_timer_arm(events->parts.loop, &events->purge_timer, now + 1);
    events_keys_start(events);
}

void
events_drain(struct events *events)
{
    os_post(os_loop_executor(events->parts.loop), &events->drain_task);
}

bool
events_is_drained(const struct events *events)
{
    return atomic_load(&events->drain_heard) && atomic_load(&events->in_flight_shown) == 0;
}

const struct resource_route *
events_routes(const struct events *events, uint32_t *ret_count)
{
    *ret_count = events_route_count;
    return events == NULL ? events_route_table : events->routes;
}

struct events_health
events_health(const struct events *events)
{
    struct events_health health = {
        /* On shared documents other processes queue, too: only what this one knows, never less. */
        .queued = (int64_t)atomic_load(&events->queued) < 0 ? 0 : atomic_load(&events->queued),
        .in_flight = atomic_load(&events->in_flight_shown),
        .overdue_ms = atomic_load(&events->overdue_ms),
        .due_endpoints = atomic_load(&events->due_endpoints),
        .lag_ms = atomic_load(&events->lag_ms),
        .endpoints = atomic_load(&events->enabled),
        .created = atomic_load(&events->created),
        .given_up = atomic_load(&events->given_up),
        .disabled = atomic_load(&events->disabled),
        .damaged = atomic_load(&events->damaged),
    };
    for (size_t i = 0; i < EVENTS_OUTCOME_COUNT; i++) {
        health.outcomes[i] = atomic_load(&events->outcomes[i]);
    }
    return health;
}
