/*
 * The keys that seal the secrets of endpoints and of other recipients.
 *
 * Which key of the file seals is what one row says, the check row: it is sealed with that key. All
 * processes on the documents follow it, so that they seal with the same key whatever order they got
 * their files in (EVENTS-7):
 *
 *     rotate     the check row is sealed with the first key of this process's file; one transaction
 *     follow     each process sees that the row is another one, and seals with its key from then on
 *     pass       from then on each process goes through all secrets (keys_pass.c), and the one that
 *                leads seals those anew that are under another key
 */
#include "service.h"

#include "os/fault.h"

#include <stdio.h>
#include <string.h>

#define CHECK_ID     "key"
#define CHECK_SECRET "known to all processes"

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

void
events_keys_log(const struct events *events, enum trace_level level, const char *what)
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

/* ------------------------------------------------------------------------------------- following
 */

/* The key in use is another one, or the first that this process knows of. */
static void
use(struct events *events, uint32_t key, uint32_t check_version)
{
    struct events_keys *keys = &events->keys;
    keys->check_version = check_version;
    keys->all->sealing = key;
    show_sealing(keys);
    if (key == keys->all->count) {
        events_keys_log(
            events, TRACE_ERROR, "another server brought one into use that is not in our file");
        return;
    }
    keys->tells = true;
    atomic_store(&keys->rotating, true);
    events_keys_log(events, TRACE_WARNING, "another one is in use");
    events_keys_pass_begin(events, events->shared ? EVENTS_FOLLOWED_NS : 1);
}

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
    events_keys_pass_init(events);
    return ERR_OK;
}

void
events_keys_start(struct events *events)
{
    events_keys_pass_begin(events, 1);
}

void
events_keys_close(struct events *events)
{
    events_keys_pass_release(events);
    callback_keys_close(&events->keys.all);
}
