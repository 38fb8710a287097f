/*
 * The pass over stored secrets: every recipient of every scope, a page of them in an operation.
 *
 * Secrets are counted by the key that they are under, and the process that leads seals those anew
 * that are under another key than the one in use (EVENTS-7):
 *
 *     begins     events_keys_pass_begin: at the start, and when another key is in use (keys.c)
 *     step       fire_step, step_run: what is left of one scope, up to a page
 *     ends       pass_end: what was counted is shown; what is under an older key calls for another
 *
 * No progress is written down: a start, or whoever leads next, makes a pass and sees what is left.
 * While the file has several keys a pass is made every minute, so that what is told of the older
 * ones is never older than that, whatever another process has written late.
 */
#include "service.h"

#include "base/assert.h"
#include "os/fault.h"

#include <string.h>

#define PAGE     DOCUMENT_LIST_MAX
#define AGAIN_NS (10 * OS_NS_PER_S) /* after a step that failed */
#define LATER_NS (60 * OS_NS_PER_S)

static void
step_after(struct events *events, uint64_t pause_ns)
{
    os_timer_arm(
        events->parts.loop, &events->keys.timer, os_monotonic_ns(events->parts.clock) + pause_ns);
}

void
events_keys_pass_begin(struct events *events, uint64_t pause_ns)
{
    struct events_keys *keys = &events->keys;
    keys->begins = true;
    if (!keys->running) {
        step_after(events, pause_ns);
    }
}

/* One operation of the pass. */
struct step {
    struct events *events;
    struct resource_op *op;
    const struct events_recipients *recipients;
    struct recipient_seals seals;
    uint32_t type;            /* where it went to */
    char after[ID_TEXT_SIZE]; /* empty: all of the types before `type` */
    uint32_t count;
    err_t error;
    bool done;
};

static struct recipient *
recipient_of_endpoint(void *document)
{
    return &((struct events_endpoint *)document)->recipient;
}

static const struct events_recipients endpoints = {
    .type = &events_endpoint_type, .of = recipient_of_endpoint};

/* NULL: there are no more types. */
static const struct events_recipients *
recipients_at(const struct events *events, uint32_t index)
{
    if (index == 0) {
        return &endpoints;
    }
    return index <= events->parts.recipients_count ? &events->parts.recipients[index - 1] : NULL;
}

static bool
see_recipient(void *context, void *document)
{
    struct step *step = context;
    const struct events *events = step->events;
    const struct resource_header *header = document;
    struct recipient *recipient = step->recipients->of(document);
    const struct recipient_seal seal = {
        .keys = events->keys.all, .entropy = events->parts.entropy, .id = header->id};
    uint32_t unreadable = step->seals.unreadable;
    uint32_t anew = step->seals.anew;
    step->error = recipient_seal_anew(
        resource_op_arena(step->op), &seal, events->leads, recipient, &step->seals);
    if (step->error == ERR_OK && step->seals.anew > anew) {
        step->error = resource_save(step->op, step->recipients->type, document);
    }
    if (step->seals.unreadable > unreadable && events->keys.tells) {
        TRACE_LOG(
            events->parts.log,
            TRACE_ERROR,
            "events",
            SPAN_EMPTY,
            "a secret was sealed with none of the keys, or is damaged: replace it",
            trace_text("id", header->id));
    }
    ASSERT(header->id.size < sizeof(step->after));
    memcpy(step->after, header->id.data, header->id.size);
    step->after[header->id.size] = '\0';
    step->count++;
    return step->error == ERR_OK;
}

/* What is left of a scope, up to a page. */
static err_t
step_scope(struct step *step)
{
    while ((step->recipients = recipients_at(step->events, step->type)) != NULL) {
        uint32_t before = step->count;
        uint32_t limit = PAGE - before;
        struct document_query query = {
            .range_column = UINT32_MAX,
            .id_above = arena_copy(resource_op_arena(step->op), span_from_cstr(step->after)),
            .oldest_first = true,
            .limit = limit,
        };
        TRY(resource_find(step->op, step->recipients->type, &query, see_recipient, step));
        TRY(step->error);
        if (step->count - before == limit) {
            return ERR_OK; /* the next step goes on behind the last one */
        }
        step->type++;
        step->after[0] = '\0';
    }
    return ERR_OK;
}

static void
step_durable(struct resource_op *op)
{
    struct step *step = resource_op_state(op);
    step->done = true;
    if (step->seals.anew > 0) {
        FAULT_POINT("webhooks-after-step");
    }
    resource_finish(op);
}

static void
pass_end(struct events *events)
{
    struct events_keys *keys = &events->keys;
    uint32_t older = 0;
    for (uint32_t i = 0; i < keys->all->count; i++) {
        older += i == keys->all->sealing ? 0 : keys->seals.under[i];
        atomic_store(&keys->under[i], keys->seals.under[i]);
    }
    atomic_store(&keys->unreadable, keys->seals.unreadable);
    bool was_rotating = atomic_exchange(&keys->rotating, older > 0);
    if (older > 0) { /* another process leads, or has written late */
        events_keys_pass_begin(events, EVENTS_FOLLOWED_NS);
        return;
    }
    if (was_rotating && keys->all->count > 1) {
        events_keys_log(events, TRACE_WARNING, "nothing is under another one");
    }
    keys->tells = false;
    if (keys->all->count > 1) {
        events_keys_pass_begin(events, LATER_NS);
    }
}

static void
step_ended(void *context)
{
    const struct step *step = context;
    struct events *events = step->events;
    struct events_keys *keys = &events->keys;
    keys->running = false;
    atomic_store(&keys->failing, !step->done);
    if (!step->done || keys->begins) { /* what it saw counts for nothing */
        step_after(events, step->done ? EVENTS_FOLLOWED_NS : AGAIN_NS);
        return;
    }
    for (uint32_t i = 0; i < keys->all->count; i++) {
        keys->seals.under[i] += step->seals.under[i];
    }
    keys->seals.unreadable += step->seals.unreadable;
    atomic_fetch_add(&keys->anew, step->seals.anew);
    keys->type = step->type;
    memcpy(keys->after, step->after, sizeof(keys->after));
    if (recipients_at(events, keys->type) == NULL) {
        keys->type = 0;
        keys->scopes.at++;
    }
    if (keys->scopes.at == keys->scopes.count) {
        pass_end(events);
    } else {
        step_after(events, 1);
    }
}

static void
step_run(struct resource_op *op)
{
    struct events *events = resource_op_service(op);
    struct step *step = ARENA_NEW(resource_op_arena(op), struct step);
    ASSERT(step != NULL); /* a new arena */
    *step = (struct step){.events = events, .op = op, .type = events->keys.type};
    memcpy(step->after, events->keys.after, sizeof(step->after));
    resource_op_repeatable(op, step_run, NULL);
    resource_op_set_state(op, step);
    resource_op_on_end(op, step_ended, step);
    err_t result = step_scope(step);
    if (result != ERR_OK) {
        resource_internal(op, result, "sealing secrets anew");
        return;
    }
    if (step->seals.anew > 0) {
        FAULT_POINT("webhooks-before-step");
    }
    resource_after_commit(op, step_durable);
}

static err_t
pass_prepare(struct events *events)
{
    struct events_keys *keys = &events->keys;
    TRY(events_scopes_list(events, &keys->scopes));
    keys->seals = (struct recipient_seals){.anew = 0};
    keys->type = 0;
    keys->after[0] = '\0';
    keys->begins = false;
    return ERR_OK;
}

static void
fire_step(struct os_timer *timer)
{
    struct events *events = CONTAINER_OF(timer, struct events, keys.timer);
    struct events_keys *keys = &events->keys;
    ASSERT(!keys->running);
    if (events->draining || keys->all->sealing == keys->all->count) {
        return;
    }
    if (keys->begins && pass_prepare(events) != ERR_OK) {
        step_after(events, AGAIN_NS);
        return;
    }
    if (keys->scopes.count == 0) {
        pass_end(events);
        return;
    }
    keys->running =
        resource_start_internal(
            events->parts.runtime, keys->scopes.numbers[keys->scopes.at], events, step_run, NULL) ==
        ERR_OK;
    if (!keys->running) {
        step_after(events, AGAIN_NS);
    }
}

void
events_keys_pass_init(struct events *events)
{
    struct events_keys *keys = &events->keys;
    keys->timer.fire = fire_step;
    keys->tells = true;
    atomic_store(&keys->rotating, keys->all->count > 1); /* until the first pass knows better */
}

void
events_keys_pass_release(struct events *events)
{
    events_scopes_free(&events->keys.scopes);
}
