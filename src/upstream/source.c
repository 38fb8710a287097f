/* Sets that come from a name or a file, which are looked at again and again. */
#include "base/assert.h"
#include "base/hash.h"
#include "os/file.h"

#include "upstream_private.h"

#include <stdlib.h>
#include <string.h>

/* Then the look-up has failed, and is done again after the interval. */
#define LOOK_UP_TIMEOUT_MS 10000

/* A reading of the file. It outlives an upstream that stops meanwhile. */
struct upstream_file_job {
    struct net_job job;
    struct upstream *upstream; /* NULL: nobody wants it any more. The loop's thread only */
    char path[UPSTREAM_SOURCE_SIZE];
    err_t result;
    char *text;
    size_t size;
};

static void
source_wait(struct upstream *upstream)
{
    struct upstream_source *source = &upstream->source;
    /* Without memory for the timer the set stays as it is. */
    err_t result =
        net_timer_arm(upstream->loop, &source->timer, net_now_ns() + source->interval_ns);
    (void)result;
}

/* Told once, until it works again. */
static void
source_failed(struct upstream *upstream, err_t result, uint32_t line, const char *reason)
{
    struct upstream_source *source = &upstream->source;
    upstream_counter_add(UPSTREAM_COUNTER(upstream, source_errors), 1);
    if (!source->failing && upstream->settings.log != NULL) {
        TRACE_LOG(
            upstream->settings.log,
            TRACE_ERROR,
            "upstream",
            SPAN_EMPTY,
            "the set of endpoints cannot be read and stays as it is",
            trace_cstr("upstream", upstream->name),
            trace_cstr("source", source->text),
            trace_cstr("error", err_name(result)),
            trace_u64("line", line),
            trace_cstr("reason", reason));
    }
    source->failing = true;
}

static void
source_apply(struct upstream *upstream, struct upstream_plan *plan)
{
    upstream->source.failing = false;
    if (upstream->plan != NULL && upstream_plan_equal(plan, upstream->plan)) {
        free(plan);
        return;
    }
    upstream_plan_apply(upstream, plan);
}

/* ------------------------------------------------------------------------------------- names */

static void
on_looked_up(void *context, const struct net_resolution *resolution)
{
    struct upstream *upstream = context;
    struct upstream_source *source = &upstream->source;
    source->lookup = NULL;
    source_wait(upstream);
    if (resolution->result != ERR_OK) {
        source_failed(upstream, resolution->result, 0, "the name cannot be looked up");
        return;
    }
    struct upstream_plan *plan = calloc(1, sizeof(*plan));
    if (plan == NULL) {
        source_failed(upstream, ERR_MEMORY, 0, "there is no memory");
        return;
    }
    const struct balance_share share = {.weight = 1};
    for (size_t i = 0; i < resolution->count; i++) {
        err_t result =
            upstream_plan_add(plan, span_from_cstr(resolution->addresses[i]), source->port, &share);
        ASSERT(result == ERR_OK); /* numeric, each once, and there is room */
    }
    source_apply(upstream, plan);
}

static void
name_look_up(struct upstream *upstream)
{
    struct upstream_source *source = &upstream->source;
    err_t result = net_resolve(
        upstream->loop, source->text, LOOK_UP_TIMEOUT_MS, on_looked_up, upstream, &source->lookup);
    if (result != ERR_OK) {
        source_failed(upstream, result, 0, "the look-up cannot be started");
        source_wait(upstream);
    }
}

/* ------------------------------------------------------------------------------------- files */

/* On another thread. */
static void
on_file_read(struct net_job *job)
{
    struct upstream_file_job *file = CONTAINER_OF(job, struct upstream_file_job, job);
    file->result =
        os_file_load(os_disk_real(), file->path, UPSTREAM_FILE_MAX, &file->text, &file->size);
}

static uint64_t
content_hash(struct span text)
{
    const struct hash_key key = {UINT64_C(0x656e64706f696e74), UINT64_C(0x732d66696c652d31)};
    return hash_keyed(key, text);
}

static void
file_take(struct upstream *upstream, struct span text)
{
    struct upstream_source *source = &upstream->source;
    uint64_t content = content_hash(text);
    if (source->applied && !source->failing && content == source->content) {
        return;
    }
    struct upstream_plan *plan = calloc(1, sizeof(*plan));
    if (plan == NULL) {
        source_failed(upstream, ERR_MEMORY, 0, "there is no memory");
        return;
    }
    uint32_t line = 0;
    const char *reason = "";
    err_t result = upstream_file_parse(text, plan, &line, &reason);
    if (result != ERR_OK) {
        free(plan);
        source_failed(upstream, result, line, reason);
        return;
    }
    source->content = content;
    source->applied = true;
    source_apply(upstream, plan);
}

static void
on_file_done(struct net_job *job)
{
    struct upstream_file_job *file = CONTAINER_OF(job, struct upstream_file_job, job);
    struct upstream *upstream = file->upstream;
    if (upstream != NULL) {
        upstream->source.job = NULL;
        source_wait(upstream);
        if (file->result == ERR_OK) {
            file_take(upstream, span_of(file->text, file->size));
        } else {
            source_failed(upstream, file->result, 0, "the file cannot be read");
        }
    }
    free(file->text);
    free(file);
}

static void
file_look_up(struct upstream *upstream)
{
    struct upstream_source *source = &upstream->source;
    struct upstream_file_job *file = calloc(1, sizeof(*file));
    err_t result = ERR_MEMORY;
    if (file != NULL) {
        file->job = (struct net_job){.run = on_file_read, .done = on_file_done};
        file->upstream = upstream;
        memcpy(file->path, source->text, sizeof(file->path));
        result = net_job_start(upstream->loop, &file->job);
    }
    if (result != ERR_OK) {
        free(file);
        source_failed(upstream, result, 0, "the reading cannot be started");
        source_wait(upstream);
        return;
    }
    source->job = file;
}

/* -------------------------------------------------------------------------------------- both */

static void
source_look(struct upstream *upstream)
{
    if (atomic_load(&upstream->source.kind) == UPSTREAM_SOURCE_NAME) {
        name_look_up(upstream);
    } else {
        file_look_up(upstream);
    }
}

static void
on_timer(struct net_timer *timer)
{
    source_look(CONTAINER_OF(timer, struct upstream, source.timer));
}

static void
on_begin(struct os_task *task)
{
    struct upstream *upstream = CONTAINER_OF(task, struct upstream, source.begin);
    if (!upstream->stopping) {
        upstream->source.begun = true;
        source_look(upstream);
    }
}

static err_t
follow(
    struct upstream *upstream,
    enum upstream_source_kind kind,
    const char *text,
    size_t size_max,
    uint16_t port,
    uint32_t interval_ms)
{
    struct upstream_source *source = &upstream->source;
    size_t size = strnlen(text, size_max);
    if (size == 0 || size == size_max || interval_ms == 0) {
        return ERR_INVALID;
    }
    int none = UPSTREAM_SOURCE_NONE;
    if (!atomic_compare_exchange_strong(&source->kind, &none, (int)kind)) {
        return ERR_EXISTS;
    }
    memcpy(source->text, text, size);
    source->port = port;
    source->interval_ns = interval_ms * UPSTREAM_NS_PER_MS;
    source->timer.fire = on_timer;
    source->begin.run = on_begin;
    os_post(net_loop_executor(upstream->loop), &source->begin);
    return ERR_OK;
}

err_t
upstream_follow_name(
    struct upstream *upstream, const char *host, uint16_t port, uint32_t interval_ms)
{
    if (port == 0) {
        return ERR_INVALID;
    }
    return follow(upstream, UPSTREAM_SOURCE_NAME, host, UPSTREAM_HOST_SIZE, port, interval_ms);
}

err_t
upstream_follow_file(struct upstream *upstream, const char *path, uint32_t interval_ms)
{
    return follow(upstream, UPSTREAM_SOURCE_FILE, path, UPSTREAM_SOURCE_SIZE, 0, interval_ms);
}

void
upstream_source_end(struct upstream *upstream)
{
    struct upstream_source *source = &upstream->source;
    net_timer_cancel(upstream->loop, &source->timer);
    if (source->lookup != NULL) {
        net_resolve_forget(source->lookup);
        source->lookup = NULL;
    }
    if (source->job != NULL) {
        source->job->upstream = NULL;
        source->job = NULL;
    }
}
