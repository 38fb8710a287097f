/*
 * The keys that seal the secrets of endpoints and of other recipients.
 *
 * Which key of the file seals is what one row says, the check row: it is sealed with that key. All
 * processes on the documents follow it, so that they seal with the same key whatever order they got
 * their files in (EVENTS-7):
 *
 *     rotate     the check row is sealed with the first key of this process's file; one transaction
 *     follow     each process sees that the row is another one, and seals with its key from then on
 *     pass       every recipient of every scope, a hundred in an operation: secrets are counted by
 *                key, and the process that leads seals those anew that are under another key
 *
 * Nothing else is written down: a start, or whoever leads next, makes a pass and sees what is left.
 * While the file has several keys a pass is made every minute, so that what is told of the older
 * ones is never older than that, whatever another process has written late.
 */
#include "service.h"

#include "base/assert.h"
#include "os/fault.h"
#include "trace/log.h"

#include <stdio.h>
#include <string.h>

#define CHECK_ID     "key"
#define CHECK_SECRET "known to all processes"

#define PAGE         DOCUMENT_LIST_MAX
/* Other processes look for another check row once in EVENTS_SWEEP_NS; until each has looked twice
 * one may be sealing with the key of before. */
#define FOLLOWED_NS (2 * EVENTS_SWEEP_NS)
#define AGAIN_NS    (10 * OS_NS_PER_S) /* after a step that failed */
#define LATER_NS    (60 * OS_NS_PER_S)

/* -------------------------------------------------------------------------------- the check row */

static err_t
check_read(
    struct document_store *documents,
    struct arena *arena,
    struct span *ret_sealed,
    uint32_t *ret_version)
{
    struct document_row row;
    TRY(documents->ops->get(documents, events_cursor_type.kind, 0, SPAN(CHECK_ID), arena, &row));
    *ret_sealed = row.columns[EVENTS_CURSOR_EVENT].text;
    *ret_version = row.version;
    return ERR_OK;
}

static err_t
check_seal(struct events *events, const struct callback_key *key, char out[CALLBACK_SEALED_SIZE])
{
    const char secret[CALLBACK_SECRET_SIZE] = CHECK_SECRET;
    return callback_secret_seal(key, events->parts.entropy, SPAN(CHECK_ID), secret, out);
}

/* The index of the key that it is sealed with. ERR_CORRUPT: none of this process's. */
static err_t
check_open(const struct events *events, struct span sealed, uint32_t *ret_key)
{
    char secret[CALLBACK_SECRET_SIZE];
    return callback_keys_unseal(events->keys.all, SPAN(CHECK_ID), sealed, secret, ret_key);
}

static err_t
check_write(struct events *events, struct arena *arena)
{
    struct document_store *documents = events->parts.documents;
    char sealed[CALLBACK_SEALED_SIZE];
    TRY(check_seal(events, &events->keys.all->keys[0], sealed));
    struct span text = span_of(sealed, sizeof(sealed));
    struct document_row row = {
        .scope = 0,
        .id = SPAN(CHECK_ID),
        .body = arena_format(arena, "{\"event\":\"%.*s\"}", SPAN_PRINTF(text)),
        .unless_there = true,
        .columns = {
            [EVENTS_CURSOR_EVENT] = {.text = text},
            [EVENTS_CURSOR_ACTIVE] = {.is_null = true},
        }};
    TRY(documents->ops->begin(documents));
    err_t result = documents->ops->insert(documents, events_cursor_type.kind, &row);
    if (result != ERR_OK) {
        documents->ops->rollback(documents);
        return result;
    }
    return documents->ops->commit(documents);
}

static bool
was_used(struct events *events)
{
    struct arena arena;
    struct span sealed;
    uint32_t version;
    arena_init(&arena, 65536);
    bool used = check_read(events->parts.documents, &arena, &sealed, &version) == ERR_OK;
    arena_release(&arena);
    return used;
}

static err_t
check(struct events *events, char message[EVENTS_MESSAGE_SIZE])
{
    struct document_store *documents = events->parts.documents;
    struct events_keys *keys = &events->keys;
    struct arena arena;
    struct span sealed = SPAN_EMPTY;
    arena_init(&arena, 65536);
    documents->ops->maintain(documents); /* what was read before may be old */
    err_t result = check_read(documents, &arena, &sealed, &keys->check_version);
    if (result == ERR_NOT_FOUND) {
        documents->ops->maintain(documents);
        result = check_write(events, &arena);
        if (result == ERR_OK) {
            result = check_read(documents, &arena, &sealed, &keys->check_version);
        }
    }
    if (result == ERR_OK) {
        result = check_open(events, sealed, &keys->all->sealing);
    }
    if (result == ERR_CORRUPT) {
        (void)snprintf(
            message,
            EVENTS_MESSAGE_SIZE,
            "the key of the webhooks' secrets is not the one that these documents were sealed "
            "with%s: webhook-key-file, or webhooks/master.key in the data folder",
            keys->all->count > 1 ? ", and none of the others in its file is" : "");
    }
    arena_release(&arena);
    return result;
}

/* -------------------------------------------------------------------------------------- showing */

static void
show_sealing(struct events_keys *keys)
{
    atomic_store(&keys->sealing_shown, keys->all->sealing);
}

static void
log_keys(const struct events *events, enum trace_level level, const char *what)
{
    const struct events_keys *keys = &events->keys;
    const char *name =
        keys->all->sealing < keys->all->count ? keys->names[keys->all->sealing] : "unknown";
    TRACE_LOG(
        events->parts.log,
        level,
        "events",
        SPAN_EMPTY,
        "the key of the webhooks' secrets",
        trace_cstr("what", what),
        trace_cstr("name", name),
        trace_i64("secrets_sealed_anew", (int64_t)atomic_load(&keys->anew)),
        trace_i64("unreadable", atomic_load(&keys->unreadable)));
}

void
events_keys_look(const struct events *events, struct events_keys_state *ret_state)
{
    const struct events_keys *keys = &events->keys;
    *ret_state = (struct events_keys_state){
        .count = keys->all->count,
        .in_use = atomic_load(&keys->sealing_shown),
        .rotating = atomic_load(&keys->rotating),
        .failing = atomic_load(&keys->failing),
        .unreadable = atomic_load(&keys->unreadable),
        .anew = atomic_load(&keys->anew),
    };
    for (uint32_t i = 0; i < keys->all->count; i++) {
        memcpy(ret_state->keys[i].name, keys->names[i], sizeof(keys->names[i]));
        ret_state->keys[i].secrets = atomic_load(&keys->under[i]);
    }
}

/* ------------------------------------------------------------------------------------- the pass */

static void
step_after(struct events *events, uint64_t pause_ns)
{
    os_timer_arm(
        events->parts.loop, &events->keys.timer, os_monotonic_ns(events->parts.clock) + pause_ns);
}

/* From the first scope on, whatever was counted until now. */
static void
pass_begin(struct events *events, uint64_t pause_ns)
{
    struct events_keys *keys = &events->keys;
    keys->begins = true;
    if (!keys->running) {
        step_after(events, pause_ns);
    }
}

/* The key in use is another one, or the first that this process knows of. */
static void
use(struct events *events, uint32_t key, uint32_t check_version)
{
    struct events_keys *keys = &events->keys;
    keys->check_version = check_version;
    keys->all->sealing = key;
    show_sealing(keys);
    if (key == keys->all->count) {
        log_keys(
            events, TRACE_ERROR, "another server brought one into use that is not in our file");
        return;
    }
    keys->tells = true;
    atomic_store(&keys->rotating, true);
    log_keys(events, TRACE_WARNING, "another one is in use");
    pass_begin(events, events->shared ? FOLLOWED_NS : 1);
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
        pass_begin(events, FOLLOWED_NS);
        return;
    }
    if (was_rotating && keys->all->count > 1) {
        log_keys(events, TRACE_WARNING, "nothing is under another one");
    }
    keys->tells = false;
    if (keys->all->count > 1) {
        pass_begin(events, LATER_NS);
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
        step_after(events, step->done ? FOLLOWED_NS : AGAIN_NS);
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

/* ------------------------------------------------------------------------------------- following
 */

err_t
events_keys_follow(struct resource_op *op)
{
    struct events *events = resource_op_service(op);
    struct events_keys *keys = &events->keys;
    void *found;
    TRY(resource_load(op, &events_cursor_type, SPAN(CHECK_ID), &found));
    const struct events_cursor *row = found;
    uint32_t key = keys->all->count;
    if (row->header.version == keys->check_version) {
        return ERR_OK;
    }
    err_t result = check_open(events, row->event, &key);
    if (result == ERR_OK || result == ERR_CORRUPT) {
        use(events, key, row->header.version);
        result = ERR_OK;
    }
    return result;
}

/* -------------------------------------------------------------------------------------- rotating
 */

static void
reply_run(struct os_task *task)
{
    struct events_rotate *request = CONTAINER_OF(task, struct events_rotate, task);
    request->done(request);
}

static void
reply(struct events_rotate *request)
{
    request->task.run = reply_run;
    os_post(request->reply_to, &request->task);
}

static void
rotate_ended(void *context)
{
    reply(context);
}

static void
rotate_durable(struct resource_op *op)
{
    struct events_rotate *request = resource_op_state(op);
    FAULT_POINT("webhooks-after-rotate");
    request->error = ERR_OK;
    use(request->events, 0, request->check_version);
    resource_finish(op);
}

/* ERR_EXISTS: it is the first key's already. */
static err_t
rotate_check(struct resource_op *op, struct events_rotate *request)
{
    struct events *events = request->events;
    void *found;
    char *sealed = arena_alloc(resource_op_arena(op), CALLBACK_SEALED_SIZE);
    if (sealed == NULL) {
        return ERR_MEMORY;
    }
    TRY(resource_load(op, &events_cursor_type, SPAN(CHECK_ID), &found));
    struct events_cursor *row = found;
    uint32_t key = 0;
    err_t result = check_open(events, row->event, &key);
    if (result != ERR_OK) {
        return result == ERR_CORRUPT ? ERR_NOT_FOUND : result;
    }
    if (key == 0) {
        return ERR_EXISTS;
    }
    TRY(check_seal(events, &events->keys.all->keys[0], sealed));
    row->event = span_of(sealed, CALLBACK_SEALED_SIZE);
    TRY(resource_save(op, &events_cursor_type, row));
    request->check_version = row->header.version;
    return ERR_OK;
}

static void
rotate_run(struct resource_op *op)
{
    struct events_rotate *request = resource_op_state(op);
    resource_op_repeatable(op, rotate_run, request);
    resource_op_on_end(op, rotate_ended, request);
    request->error = ERR_OUTCOME_UNKNOWN; /* of a commit that fails */
    err_t result = rotate_check(op, request);
    if (result == ERR_OK) {
        FAULT_POINT("webhooks-before-rotate");
        resource_after_commit(op, rotate_durable);
        return;
    }
    request->error = result;
    if (result == ERR_EXISTS || result == ERR_NOT_FOUND) {
        resource_finish(op);
    } else {
        resource_internal(op, result, "rotating the key of secrets");
    }
}

static void
run_rotate(struct os_task *task)
{
    struct events_rotate *request = CONTAINER_OF(task, struct events_rotate, task);
    struct events *events = request->events;
    err_t result = resource_start_internal(events->parts.runtime, 0, events, rotate_run, request);
    if (result != ERR_OK) {
        request->error = result;
        reply(request);
    }
}

void
events_rotate(struct events *events, struct events_rotate *request)
{
    request->events = events;
    request->task.run = run_rotate;
    os_post(os_loop_executor(events->parts.loop), &request->task);
}

/* ------------------------------------------------------------------------------------------ life
 */

const struct callback_keys *
events_secret_keys(const struct events *events)
{
    return events->keys.all;
}

err_t
events_keys_open(struct events *events, uint64_t endpoint_count, char message[EVENTS_MESSAGE_SIZE])
{
    const struct events_parts *parts = &events->parts;
    struct events_keys *keys = &events->keys;
    if (parts->key_file != NULL) {
        TRY(callback_keys_load(parts->disk, parts->key_file, &keys->all, message));
    } else {
        bool needed = endpoint_count > 0 || was_used(events);
        TRY(callback_keys_open(
            parts->disk, parts->entropy, parts->folder, needed, &keys->all, message));
    }
    TRY(check(events, message));
    for (uint32_t i = 0; i < keys->all->count; i++) {
        callback_key_name(&keys->all->keys[i], keys->names[i]);
    }
    show_sealing(keys);
    keys->timer.fire = fire_step;
    keys->tells = true;
    atomic_store(&keys->rotating, keys->all->count > 1); /* until the first pass knows better */
    return ERR_OK;
}

void
events_keys_start(struct events *events)
{
    pass_begin(events, 1);
}

void
events_keys_close(struct events *events)
{
    events_scopes_free(&events->keys.scopes);
    callback_keys_close(&events->keys.all);
}
