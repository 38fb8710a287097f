/*
 * An endpoint's worker: one operation at a time, which
 *
 *     1. writes down the attempts that ended (settle.c),
 *     2. takes what is due, as much as may be under way, and prepares the attempts,
 *     3. when all of that is durable (RESOURCE-1), sends them, and goes.
 *
 * An attempt that is prepared or under way is known in memory only: the delivery's row stays due
 * until the end is written down. So after a crash it is simply made again (EVENTS-1).
 *
 * EVENTS-4: what may be under way is bounded for all endpoints together, in number and in bytes;
 * those that had to wait for room get it in turn, and endpoints that fail never have more than half
 * of it.
 */
#include "service.h"

#include "schedule.h"

#include "base/assert.h"
#include "base/share.h"
#include "trace/log.h"

#define DAMAGED_PAUSE_NS (60 * OS_NS_PER_S)
#define CANCEL_AT_ONCE   100
/* What one turn takes at most while others wait for theirs. */
#define TURN_MAX 8

struct work {
    struct events_target *target;
    struct resource_op *op;
    struct events_endpoint *endpoint; /* NULL: deleted */
    uint32_t want;
    struct events_delivery **due; /* at most want, and one more */
    uint32_t due_count;
    struct span *damaged; /* ids of rows among them that cannot be read */
    uint32_t damaged_count;
    int64_t now;
    bool paused;    /* nothing was taken: the endpoint rests after a failure */
    bool full_turn; /* there is more to do at once */
    bool done;
};

/* ----------------------------------------------------------------------------------------- room */

static bool
is_failing(const struct events_target *target)
{
    return target->failures > 0;
}

static uint32_t
less(uint32_t limit, uint32_t used)
{
    return used < limit ? limit - used : 0;
}

/* Whether the merchant's mode has not had its share of the bodies, whoever asks now. */
static bool
has_bytes(const struct events *events, const struct events_scope *scope)
{
    uint64_t max = events->parts.settings.memory_max;
    uint64_t left = events->bytes_in_flight < max ? max - events->bytes_in_flight : 0;
    return share_room(scope->bytes_in_flight, left) > 0;
}

/* What may be begun for all who fail, or for all who do not. */
static uint32_t
room(const struct events *events, bool failing)
{
    const struct events_settings *settings = &events->parts.settings;
    uint32_t all = less(settings->in_flight_max, events->in_flight);
    uint32_t half = less((settings->in_flight_max + 1) / 2, events->in_flight_failing);
    return failing && half < all ? half : all;
}

/* What may be begun for a merchant's mode. */
static uint32_t
share(const struct events *events, const struct events_scope *scope)
{
    uint32_t left = less(events->parts.settings.in_flight_max, events->in_flight);
    /* At most 3/4 of `left`, rounded up. */
    return has_bytes(events, scope) ? (uint32_t)share_room(scope->in_flight, left) : 0;
}

/* The first that waits and whose merchant may begin something; NULL: none. */
static struct events_target *
first_waiting(const struct events *events, const struct list *waiting)
{
    LIST_FOREACH_SAFE (waiting, link) {
        struct events_target *target = CONTAINER_OF(link, struct events_target, waiting);
        if (share(events, target->scope) > 0) {
            return target;
        }
    }
    return NULL;
}

/* How many attempts this target may begin now; queues for a turn if others are in the way. */
static uint32_t
room_for(struct events_target *target)
{
    struct events *events = target->events;
    struct list *waiting = &events->waiting[is_failing(target) ? 1 : 0];
    uint32_t own = less(target->window, target->in_flight_count);
    if (own == 0) {
        return 0;
    }
    uint32_t all = room(events, is_failing(target));
    uint32_t of_scope = share(events, target->scope);
    all = all < of_scope ? all : of_scope;
    bool others = first_waiting(events, waiting) != NULL;
    if (all == 0 || (others && !target->has_turn)) {
        if (!list_is_linked(&target->waiting)) {
            list_push_back(waiting, &target->waiting);
        }
        return 0;
    }
    target->has_turn = false;
    uint32_t most = others && own > TURN_MAX ? TURN_MAX : own;
    return most < all ? most : all;
}

/* There is room, perhaps: whoever waits longest may use it. */
static void
next_turn(struct events *events)
{
    for (size_t i = 0; i < 2; i++) {
        struct events_target *target =
            room(events, i == 1) > 0 ? first_waiting(events, &events->waiting[i]) : NULL;
        if (target != NULL) {
            list_remove(&target->waiting);
            target->has_turn = true;
            events_work(target);
        }
    }
}

/* --------------------------------------------------------------------------------------- taking */

static bool
is_under_way(const struct events_target *target, struct span delivery_id)
{
    LIST_FOREACH_SAFE (&target->in_flight, link) {
        if (span_equal_cstr(
                delivery_id, CONTAINER_OF(link, struct events_attempt, link)->delivery)) {
            return true;
        }
    }
    return false;
}

static bool
collect_due(void *context, void *document)
{
    struct work *work = context;
    struct events_delivery *delivery = document;
    if (is_under_way(work->target, delivery->header.id)) {
        return true;
    }
    if (delivery->due > work->now || work->due_count == work->want) {
        work->target->next_due = delivery->due;
        return false;
    }
    work->due[work->due_count++] = delivery;
    return true;
}

static void
collect_damaged(void *context, struct span id)
{
    struct work *work = context;
    if (!is_under_way(work->target, id)) {
        work->damaged[work->damaged_count++] = id;
    }
}

/* The first `want` of those that wait, in the order in which they are due. What cannot be read
 * among them is written anew, and comes in the next turn: it keeps its place from nobody. */
static err_t
find_due(struct work *work)
{
    struct events_target *target = work->target;
    if (target->in_flight_count == 0) {
        target->taken_due = 0;
    }
    target->next_due = 0;
    work->due_count = 0;
    work->damaged_count = 0;
    uint32_t limit = work->want + target->in_flight_count + 1;
    work->due = ARENA_ARRAY(resource_op_arena(work->op), struct events_delivery *, work->want + 1);
    work->damaged = ARENA_ARRAY(resource_op_arena(work->op), struct span, limit);
    if (work->due == NULL || work->damaged == NULL) {
        return ERR_FULL;
    }
    struct document_query query = {
        .all_scopes = true,
        .range_column = EVENTS_DELIVERY_QUEUE,
        .range_min = events_queue_key(target->number, target->taken_due),
        .range_max = events_queue_key(target->number, EVENTS_DUE_MAX),
        .oldest_first = true,
        .limit = limit,
    };
    const struct resource_visitor visitor = {
        .each = collect_due, .damaged = collect_damaged, .context = work};
    TRY(resource_visit(work->op, &events_delivery_type, &query, &visitor));
    for (uint32_t i = 0; i < work->damaged_count; i++) {
        struct events_delivery *unused;
        TRY(events_delivery_renew(work->op, target, work->damaged[i], &unused));
    }
    return ERR_OK;
}

static err_t
prepare_one(struct work *work, struct events_delivery *delivery)
{
    struct events_target *target = work->target;
    void *found;
    err_t result = resource_load(work->op, &resource_event_type, delivery->event, &found);
    if (result == ERR_NOT_FOUND) {
        /* Taken back by the operation that emitted it, or older than events are kept. */
        target->ended_now++;
        return resource_remove(work->op, &events_delivery_type, delivery);
    }
    if (result == ERR_CORRUPT) {
        events_note_damaged(target->events, "event", delivery->event);
        return events_fail(work->op, target, delivery);
    }
    TRY(result);
    struct span body = resource_event_text(
        work->op, found, work->endpoint->api_version, delivery->pending_webhooks);
    if (body.size == 0) {
        return ERR_FULL;
    }
    struct events_attempt *attempt;
    const struct resource_event *event = found;
    TRY(events_attempt_create(target, work->endpoint, delivery, body, event->trace, &attempt));
    list_push_back(&target->prepared, &attempt->link);
    target->taken_due = delivery->due;
    return ERR_OK;
}

static err_t
prepare(struct work *work)
{
    struct events *events = work->target->events;
    TRY(find_due(work));
    for (uint32_t i = 0; i < work->due_count; i++) {
        if (!has_bytes(events, work->target->scope)) {
            work->target->next_due = work->due[i]->due;
            break;
        }
        if (i > 0 && resource_op_is_laden(work->op)) {
            work->full_turn = true;
            break;
        }
        TRY(prepare_one(work, work->due[i]));
    }
    return ERR_OK;
}

/* What is due at an endpoint that is disabled, and everything at one that is deleted. */
static err_t
cancel(struct work *work)
{
    struct events_target *target = work->target;
    work->want = CANCEL_AT_ONCE;
    if (target->removed) {
        work->now = EVENTS_DUE_MAX;
    }
    TRY(find_due(work));
    for (uint32_t i = 0; i < work->due_count; i++) {
        TRY(events_cancel(work->op, target, work->due[i]));
    }
    work->full_turn = work->due_count == CANCEL_AT_ONCE;
    return ERR_OK;
}

static err_t
take(struct work *work)
{
    struct events_target *target = work->target;
    struct events *events = target->events;
    if (events->draining || !events->leads) {
        return ERR_OK;
    }
    if (work->endpoint == NULL || work->endpoint->disabled) {
        return cancel(work);
    }
    if (target->pause_until_ns > os_monotonic_ns(events->parts.clock)) {
        work->paused = true;
        return ERR_OK;
    }
    work->want = room_for(target);
    return work->want == 0 ? ERR_OK : prepare(work);
}

/* --------------------------------------------------------------------------------- writing down */

static err_t
load_endpoint(struct work *work)
{
    void *document;
    struct span id = span_from_cstr(work->target->id);
    err_t result = resource_load(work->op, &events_endpoint_type, id, &document);
    if (result == ERR_OK) {
        work->endpoint = document;
    }
    return result == ERR_NOT_FOUND ? ERR_OK : result;
}

static err_t
settle_finished(struct work *work)
{
    struct events_target *target = work->target;
    for (;;) {
        struct list_link *link = list_pop_front(&target->finished);
        if (link == NULL) {
            break;
        }
        list_push_back(&target->settled, link);
        struct events_attempt *attempt = CONTAINER_OF(link, struct events_attempt, link);
        TRY(events_settle(work->op, target, work->endpoint, attempt));
    }
    return work->endpoint == NULL ? ERR_OK
                                  : resource_save(work->op, &events_endpoint_type, work->endpoint);
}

/* ------------------------------------------------------------------------------------ operation */

static void
send_prepared(struct work *work)
{
    struct events_target *target = work->target;
    struct events *events = target->events;
    for (;;) {
        struct list_link *link = list_pop_front(&target->prepared);
        if (link == NULL) {
            return;
        }
        struct events_attempt *attempt = CONTAINER_OF(link, struct events_attempt, link);
        if (events->draining) {
            events_attempt_destroy(attempt); /* its row is as due as before */
            continue;
        }
        list_push_back(&target->in_flight, &attempt->link);
        events_attempt_send(attempt);
    }
}

static void
work_durable(struct resource_op *op)
{
    struct work *work = resource_op_state(op);
    struct events_target *target = work->target;
    work->done = true;
    events_count(&target->events->queued, 0 - target->ended_now);
    send_prepared(work);
    resource_finish(op);
}

/* When to look again, if nothing happens before. */
static void
set_timer(const struct work *work)
{
    struct events_target *target = work->target;
    struct os_loop *loop = target->events->parts.loop;
    uint64_t now_ns = os_monotonic_ns(target->events->parts.clock);
    if (!work->done) {
        os_timer_arm(loop, &target->timer, now_ns + EVENTS_RETRY_NS);
    } else if (work->paused || (target->pause_until_ns > now_ns && target->enabled)) {
        /* The rest may be over already, if it was shorter than the commit. */
        os_timer_arm(loop, &target->timer, target->pause_until_ns);
    } else if (target->next_due > work->now) {
        uint64_t wait_ms = (uint64_t)(target->next_due - work->now);
        os_timer_arm(loop, &target->timer, now_ns + wait_ms * OS_NS_PER_MS);
    }
}

static void
work_ended(void *context)
{
    struct work *work = context;
    struct events_target *target = work->target;
    for (;;) {
        struct list_link *link = list_pop_front(&target->settled);
        if (link == NULL) {
            break;
        }
        if (work->done) {
            events_attempt_destroy(CONTAINER_OF(link, struct events_attempt, link));
        } else {
            list_push_back(&target->finished, link);
        }
    }
    for (;;) {
        struct list_link *link = list_pop_front(&target->prepared);
        if (link == NULL) {
            break;
        }
        events_attempt_destroy(CONTAINER_OF(link, struct events_attempt, link));
        target->taken_due = 0;
    }
    target->working = false;
    set_timer(work);
    if (work->done && (target->again || work->full_turn)) {
        events_work(target);
    }
    struct events *events = target->events;
    if (!target->working && target->removed && work->done && !work->full_turn) {
        events_target_let_go(target);
    }
    next_turn(events);
}

/* Something of it cannot be read, the secret for one: trying without end mends nothing. */
static void
leave_alone(struct work *work, err_t error)
{
    struct events_target *target = work->target;
    struct events *events = target->events;
    target->pause_until_ns = os_monotonic_ns(events->parts.clock) + DAMAGED_PAUSE_NS;
    TRACE_LOG(
        events->parts.log,
        TRACE_ERROR,
        "events",
        SPAN_EMPTY,
        "a webhook endpoint cannot be served",
        trace_cstr("endpoint", target->id),
        trace_cstr("error", err_name(error)));
}

static void
work_run(struct resource_op *op)
{
    struct events_target *target = resource_op_state(op);
    struct work *work = ARENA_NEW(resource_op_arena(op), struct work);
    ASSERT(work != NULL); /* a new arena */
    work->target = target;
    work->op = op;
    work->now = events_now_ms(target->events);
    resource_op_set_state(op, work);
    resource_op_on_end(op, work_ended, work);
    target->ended_now = 0;
    target->again = false; /* whatever comes from here on makes it so again */
    err_t result = load_endpoint(work);
    if (result == ERR_CORRUPT) {
        events_note_damaged(target->events, "webhook_endpoint", span_from_cstr(target->id));
    }
    if (result == ERR_OK) {
        result = settle_finished(work);
    }
    if (result == ERR_OK) {
        result = take(work);
    }
    if (result == ERR_CORRUPT) {
        leave_alone(work, result);
        result = ERR_OK;
    }
    if (result != ERR_OK) {
        resource_internal(op, result, "delivering events");
        return;
    }
    resource_after_commit(op, work_durable);
}

void
events_work(struct events_target *target)
{
    struct events *events = target->events;
    if (target->working) {
        target->again = true;
        return;
    }
    if (list_is_empty(&target->finished) && !events->leads) {
        return; /* another process delivers */
    }
    if (list_is_empty(&target->finished) && target->enabled) {
        uint64_t now_ns = os_monotonic_ns(events->parts.clock);
        if (target->pause_until_ns > now_ns) {
            os_timer_arm(events->parts.loop, &target->timer, target->pause_until_ns);
            return;
        }
        if (target->in_flight_count >= target->window) {
            return; /* the next end of an attempt comes back here */
        }
    }
    err_t result = resource_start_internal(
        events->parts.runtime, target->scope->number, events, work_run, target);
    target->working = result == ERR_OK;
    if (result != ERR_OK) {
        os_timer_arm(
            events->parts.loop,
            &target->timer,
            os_monotonic_ns(events->parts.clock) + EVENTS_RETRY_NS);
    }
}

void
events_work_timer(struct os_timer *timer)
{
    events_work(CONTAINER_OF(timer, struct events_target, timer));
}

void
events_target_note_due(struct events_target *target, int64_t due_ms)
{
    if (due_ms < target->taken_due) {
        target->taken_due = due_ms;
    }
    events_work(target);
}

/* An attempt ended: there is room for another one, of this endpoint's or of who waits. */
void
events_worker_attempt_ended(struct events_target *target)
{
    events_work(target);
    next_turn(target->events);
}
