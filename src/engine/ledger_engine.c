/*
 * Everything here runs on the engine's loop but for open, close, submit, status and head.
 *
 * ENGINE-1  A request is answered once, and never before everything that it changed or saw is
 *           durable.
 * ENGINE-2  Requests are executed in the order of their arrival.
 * ENGINE-3  After a failure of the store nothing is executed before a reload.
 */
#include "engine_measure.h"
#include "engine_trace.h"
#include "ledger_engine_internal.h"

#include "os/fault.h"
#include "trace/span.h"

#include <stdio.h>
#include <stdlib.h>

/* Requests executed before their group is sent off. */
#define ENGINE_GROUP_REQUESTS_MAX 256u
/* Events after which a group is sent off and the loop looks at what came meanwhile, so that the
 * disk writes one large batch while the next one is applied, and answers are not held back. */
#define ENGINE_GROUP_EVENTS_MAX (LEDGER_BATCH_MAX / 2)
/* How long a pulse waits that found no room. */
#define ENGINE_PULSE_RETRY_NS (100 * OS_NS_PER_MS)

/* --- queues of requests --- */

static struct port_ledger_request *
request_of(struct os_task *task)
{
    return task == NULL ? NULL : CONTAINER_OF(task, struct port_ledger_request, task);
}

static void
queue_push(struct request_queue *queue, struct port_ledger_request *request)
{
    request->task.next = NULL;
    if (queue->last == NULL) {
        queue->first = request;
    } else {
        queue->last->task.next = &request->task;
    }
    queue->last = request;
    queue->count++;
}

static struct port_ledger_request *
queue_pop(struct request_queue *queue)
{
    struct port_ledger_request *request = queue->first;
    if (request != NULL) {
        queue->first = request_of(request->task.next);
        queue->last = queue->first == NULL ? NULL : queue->last;
        queue->count--;
        request->task.next = NULL;
    }
    return request;
}

static void
queue_move(struct request_queue *to, struct request_queue *from)
{
    struct port_ledger_request *request = NULL;
    while ((request = queue_pop(from)) != NULL) {
        queue_push(to, request);
    }
}

/* --- answers --- */

static void
done_run(struct os_task *task)
{
    struct port_ledger_request *request = request_of(task);
    request->done(request);
}

static void
answer(struct ledger_engine *engine, struct port_ledger_request *request)
{
    engine_trace_request(request, 0, 0);
    request->trace_began_ns = 0;
    atomic_fetch_sub(&engine->under_way, 1);
    request->task.run = done_run;
    os_post(request->reply_to, &request->task);
}

static void
answer_all(struct ledger_engine *engine, struct request_queue *queue)
{
    struct port_ledger_request *request = NULL;
    while ((request = queue_pop(queue)) != NULL) {
        answer(engine, request);
    }
}

/* What was executed but is not known to be durable. A request that was refused before anything was
 * done keeps its answer. */
static void
answer_unknown(struct ledger_engine *engine, struct request_queue *queue)
{
    struct port_ledger_request *request = NULL;
    while ((request = queue_pop(queue)) != NULL) {
        if (request->error == ERR_OK) {
            request->error = ERR_OUTCOME_UNKNOWN;
            request->out_count = 0;
        }
        answer(engine, request);
    }
}

void
engine_answer_busy(struct ledger_engine *engine, struct request_queue *queue)
{
    struct port_ledger_request *request = NULL;
    while ((request = queue_pop(queue)) != NULL) {
        request->error = ERR_BUSY;
        request->out_count = 0;
        atomic_fetch_add(&engine->busy, 1);
        answer(engine, request);
    }
}

/* --- groups --- */

static struct engine_group *
group_free(struct ledger_engine *engine)
{
    for (uint32_t i = 0; i < ENGINE_GROUPS_MAX; i++) {
        if (!engine->groups[i].in_flight) {
            return &engine->groups[i];
        }
    }
    return NULL;
}

static void
trace_group(struct engine_group *group)
{
    struct os_task *task = group->requests.first == NULL ? NULL : &group->requests.first->task;
    for (; task != NULL; task = task->next) {
        struct port_ledger_request *request = request_of(task);
        engine_trace_request(request, group->sent_ns, group->requests.count);
        request->trace_began_ns = 0; /* all is told */
    }
}

static void
group_done(struct os_task *task)
{
    struct engine_group *group = CONTAINER_OF(task, struct engine_group, ticket.task);
    struct ledger_engine *engine = group->engine;
    ASSERT(group->in_flight);
    group->in_flight = false;
    engine->in_flight--;
    if (engine->newest == group) {
        engine->newest = NULL;
    }
    if (group->ticket.error.code == ERR_OK) {
        engine_measure_durable(
            os_monotonic_ns(engine->settings.clock) - group->sent_ns, group->requests.count);
        atomic_fetch_add(&engine->group_count, 1);
        engine_head_publish(engine);
        trace_group(group);
        if (group->requests.count > 0) {
            FAULT_POINT("ledger-before-answer");
        }
        answer_all(engine, &group->requests);
        return;
    }
    answer_unknown(engine, &group->requests);
    engine_fail(engine, group->ticket.error.message);
}

/* Sends off what was executed: with a ticket if something changed, behind the newest group on its
 * way if not, and at once if there is none. */
static void
group_send(struct ledger_engine *engine, struct engine_group *group)
{
    if (engine->machine.uncommitted) {
        if (group->requests.count > 0) {
            FAULT_POINT("ledger-before-commit");
        }
        group->ticket.task.run = group_done;
        group->sent_ns = os_monotonic_ns(engine->settings.clock);
        err_t error = engine_machine_commit(&engine->machine, &group->ticket);
        if (error != ERR_OK) {
            answer_unknown(engine, &group->requests);
            engine_fail(engine, err_text(error));
            return;
        }
        group->in_flight = true;
        engine->in_flight++;
        engine->newest = group;
    } else if (engine->newest != NULL) {
        queue_move(&engine->newest->requests, &group->requests);
    } else {
        answer_all(engine, &group->requests);
    }
}

/* --- executing --- */

/* Whether there is room is known by what asks for it. */
static void
note_room(struct ledger_engine *engine, const struct port_ledger_request *request)
{
    if (request->error == ERR_DISK_FULL) {
        atomic_store(&engine->disk_full_ns, os_monotonic_ns(engine->settings.clock));
    } else if (engine_trace_creates(request) && request->error == ERR_OK) {
        atomic_store(&engine->disk_full_ns, 0);
    }
}

static void
count_request(struct ledger_engine *engine, const struct port_ledger_request *request)
{
    note_room(engine, request);
    if (request->error == ERR_FULL || request->error == ERR_DISK_FULL) {
        atomic_fetch_add(&engine->full, 1);
    } else if (engine_trace_creates(request)) {
        atomic_fetch_add(&engine->batches, 1);
        atomic_fetch_add(&engine->events, request->count);
    } else {
        atomic_fetch_add(&engine->reads, 1);
    }
}

/* Told to the log once, and to everyone who asks. */
static void
segment_missing(struct ledger_engine *engine, struct port_ledger_request *request)
{
    const struct store_error *error = &engine->machine.error;
    request->segment = error->segment;
    if (engine->segment_told != error->segment) {
        engine->segment_told = error->segment;
        engine_alarm_raise(engine, "a request needs an archived segment", error->message);
    }
}

/* Executes what waits until the group is large enough or the store is busy; false if it failed. */
static bool
execute_waiting(struct ledger_engine *engine, struct engine_group *group, uint32_t *ret_event_count)
{
    uint32_t event_count = 0;
    while (engine->waiting.first != NULL && group->requests.count < ENGINE_GROUP_REQUESTS_MAX &&
           event_count < ENGINE_GROUP_EVENTS_MAX) {
        struct port_ledger_request *request = engine->waiting.first;
        request->trace_executing_ns = trace_now_ns(&request->trace);
        err_t error = engine_machine_execute(&engine->machine, request);
        request->trace_applied_ns = trace_now_ns(&request->trace);
        if (error == ERR_BUSY) {
            ASSERT(engine->in_flight > 0 || engine->machine.uncommitted);
            break;
        }
        if (error != ERR_CLOSED) {
            queue_pop(&engine->waiting);
            request->error = error;
            if (error == ERR_ARCHIVED) {
                segment_missing(engine, request);
            }
            count_request(engine, request);
            queue_push(&group->requests, request);
            event_count += engine_trace_creates(request) ? request->count : 0;
        }
        if (error == ERR_OUTCOME_UNKNOWN || error == ERR_CLOSED) {
            answer_unknown(engine, &group->requests);
            engine_fail(engine, err_text(engine->machine.error.code));
            return false;
        }
    }
    *ret_event_count = event_count;
    return true;
}

/* The hook runs again, behind what was posted to the loop meanwhile. */
static void
again_run(struct os_task *task)
{
    CONTAINER_OF(task, struct ledger_engine, again)->again_posted = false;
}

static void
again_post(struct ledger_engine *engine)
{
    if (!engine->again_posted) {
        engine->again_posted = true;
        engine->again.run = again_run;
        os_post(os_loop_executor(engine->loop), &engine->again);
    }
}

static void
pulse_try(struct ledger_engine *engine)
{
    uint64_t clock = ledger_clock(engine->machine.ledger);
    err_t error = engine_machine_tick(&engine->machine, engine_time(engine, clock));
    if (error == ERR_OUTCOME_UNKNOWN || error == ERR_CLOSED) {
        engine_fail(engine, err_text(engine->machine.error.code));
        return;
    }
    /* Busy: with the next group that comes back. No room: after a while, by the timer. */
    engine->pulse_wanted = error == ERR_BUSY;
    engine->pulse_without_room = error != ERR_OK && error != ERR_BUSY;
}

/* A shared store may be lost while nobody asks for anything. */
static void
watch_fire(struct os_timer *timer)
{
    struct ledger_engine *engine = CONTAINER_OF(timer, struct ledger_engine, watch_timer);
    if (!engine->machine_is_open) {
        engine->reload_wanted = true;
        return;
    }
    if (!engine->failing && engine_machine_check(&engine->machine) != ERR_OK) {
        engine_fail(engine, engine->machine.error.message);
    }
    engine_watch_arm(engine);
}

/* The next moment at which something expires, by the monotonic clock. */
static void
pulse_arm(struct ledger_engine *engine)
{
    uint64_t at = ledger_pulse_at(engine->machine.ledger);
    if (at == 0 || engine->pulse_wanted) {
        os_timer_cancel(engine->loop, &engine->pulse_timer);
        return;
    }
    uint64_t clock = engine_time(engine, ledger_clock(engine->machine.ledger));
    uint64_t delay = at > clock ? at - clock : 0;
    if (engine->pulse_without_room && delay < ENGINE_PULSE_RETRY_NS) {
        delay = ENGINE_PULSE_RETRY_NS;
    }
    uint64_t now = os_monotonic_ns(engine->settings.clock);
    os_timer_arm(engine->loop, &engine->pulse_timer, now + delay);
}

static void
pulse_fire(struct os_timer *timer)
{
    CONTAINER_OF(timer, struct ledger_engine, pulse_timer)->pulse_wanted = true;
}

/* One group of what waits. False: nothing more can be done in this turn. */
static bool
group_run(struct ledger_engine *engine, struct engine_group *group)
{
    uint32_t before = engine->waiting.count;
    bool pulse = engine->pulse_wanted;
    if (pulse) {
        pulse_try(engine);
    }
    uint32_t event_count = 0;
    if (engine->failing || !execute_waiting(engine, group, &event_count)) {
        return false;
    }
    group_send(engine, group);
    if (event_count >= ENGINE_GROUP_EVENTS_MAX && engine->waiting.first != NULL) {
        again_post(engine);
        return false;
    }
    bool nothing_taken = engine->waiting.count == before;
    return !engine->failing && !(nothing_taken && (!pulse || engine->pulse_wanted));
}

static void
engine_run(struct os_group_hook *hook)
{
    struct ledger_engine *engine = CONTAINER_OF(hook, struct ledger_engine, hook);
    if ((engine->failing && engine->in_flight == 0) || engine->reload_wanted) {
        engine_reload(engine);
    }
    if (engine->failing || !engine->machine_is_open) {
        engine_answer_busy(engine, &engine->waiting);
        return;
    }
    struct engine_group *group = NULL;
    while ((engine->waiting.first != NULL || engine->pulse_wanted) &&
           (group = group_free(engine)) != NULL) {
        if (!group_run(engine, group)) {
            break;
        }
    }
    if (engine->failing && engine->in_flight == 0) {
        engine_reload(engine);
    }
    if (engine->machine_is_open && !engine->failing) {
        engine_gauges_set(engine);
        pulse_arm(engine);
    }
}

/* --- the port --- */

static void
submitted(struct os_task *task)
{
    struct port_ledger_request *request = request_of(task);
    struct ledger_engine *engine = CONTAINER_OF(request->port, struct ledger_engine, port);
    queue_push(&engine->waiting, request);
}

static void
engine_submit(struct port_ledger *port, struct port_ledger_request *request)
{
    struct ledger_engine *engine = CONTAINER_OF(port, struct ledger_engine, port);
    request->port = port;
    request->error = ERR_OK;
    request->segment = 0;
    request->out_count = 0;
    request->trace_began_ns = trace_now_ns(&request->trace);
    request->trace_applied_ns = 0;
    if (atomic_fetch_add(&engine->under_way, 1) >= engine->settings.request_count_max) {
        request->error = ERR_BUSY;
        atomic_fetch_add(&engine->busy, 1);
        answer(engine, request);
        return;
    }
    request->task.run = submitted;
    os_post(os_loop_executor(engine->loop), &request->task);
}

struct port_ledger *
ledger_engine_port(struct ledger_engine *engine)
{
    return &engine->port;
}

/* --- opening and closing --- */

struct ledger_engine_settings
ledger_engine_settings_default(void)
{
    return (struct ledger_engine_settings){
        .store = store_settings_default(),
        .limits =
            {
                .account_count_max = 10 * 1000 * 1000,
                .pending_count_max = 2500 * 1000,
                .expiry_batch_max = ENGINE_EXPIRY_MAX,
            },
        .request_count_max = 1024,
    };
}

err_t
ledger_engine_open(
    const struct ledger_engine_settings *settings,
    struct ledger_engine **ret_engine,
    struct store_error *error)
{
    ASSERT(settings->request_count_max > 0);
    *error = (struct store_error){0};
    struct ledger_engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL) {
        error->code = ERR_MEMORY;
        return ERR_MEMORY;
    }
    engine->settings = *settings;
    engine->port.submit = engine_submit;
    engine->clock.clock = settings->clock;
    engine->hook.group_end = engine_run;
    engine->pulse_timer.fire = pulse_fire;
    engine->watch_timer.fire = watch_fire;
    engine->shared = store_is_shared(settings->url);
    for (uint32_t i = 0; i < ENGINE_GROUPS_MAX; i++) {
        engine->groups[i].engine = engine;
    }
    err_t code = os_loops_create(settings->loops, "ledger", &engine->loop);
    if (code == ERR_OK) {
        os_loop_add_group_hook(engine->loop, &engine->hook);
        code = engine_load(engine, error);
    }
    /* Before the loop runs this thread may arm its timers. */
    if (code == ERR_OK) {
        pulse_arm(engine);
    }
    if (engine_health_of(engine, code) == LEDGER_ENGINE_STANDBY) {
        engine_alarm_raise(engine, "standby", error->message);
        atomic_store(&engine->health, LEDGER_ENGINE_STANDBY);
        code = ERR_OK;
    }
    if (code == ERR_OK) {
        engine_watch_arm(engine);
        code = os_loop_start(engine->loop);
    }
    if (code != ERR_OK) {
        error->code = code;
        if (error->message[0] == '\0') {
            snprintf(error->message, sizeof(error->message), "%s", err_text(code));
        }
        ledger_engine_close(&engine);
        return code;
    }
    *ret_engine = engine;
    return ERR_OK;
}

void
ledger_engine_close(struct ledger_engine **engine_pointer)
{
    struct ledger_engine *engine = *engine_pointer;
    if (engine == NULL) {
        return;
    }
    if (engine->loop != NULL) {
        os_loop_stop(engine->loop);
    }
    if (engine->machine_is_open) {
        engine_machine_close(&engine->machine);
    }
    for (uint32_t i = 0; i < ENGINE_GROUPS_MAX; i++) {
        answer_unknown(engine, &engine->groups[i].requests);
    }
    engine_answer_busy(engine, &engine->waiting);
    os_loop_destroy(engine->loop);
    free(engine);
    *engine_pointer = NULL;
}
