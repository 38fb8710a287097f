/* Requests on their way, and holding the process to what it said. */
#include "sim_calls.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"
#include "resource/merchants.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_LIMIT (1U << 20)

/* ---------------------------------------------------------------------------------- replies */

static void
replies_post(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    struct sim_world *world = CONTAINER_OF(executor, struct sim_world, replies);
    (void)last;
    while (first != NULL && !world->process.dead && !world->process.documents.died) {
        struct os_task *next = first->next;
        first->run(first);
        first = next;
    }
}

void
sim_calls_init(struct sim_world *world)
{
    world->replies.post = replies_post;
    world->immediate.post = os_post_now;
    world->wishes = calloc(SIM_WISHES_MAX, sizeof(*world->wishes));
    ASSERT(world->wishes != NULL);
}

void
sim_calls_release(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->wish_count; i++) {
        free(world->wishes[i].body);
    }
    free(world->wishes);
    world->wishes = NULL;
}

/* ------------------------------------------------------------------------------------- calls */

static void
call_gone(struct sim_call *call)
{
    call->world->call_count--;
    if (call->wish != NULL) {
        call->wish->under_way--;
    }
    buf_release(&call->request.body);
    arena_release(&call->arena);
    free(call);
}

static void
call_end(struct sim_call *call)
{
    struct sim_call **at = &call->world->calls;
    while (*at != call) {
        at = &(*at)->next;
    }
    *at = call->next;
    call_gone(call);
}

static void
asked_forget(struct sim_world *world)
{
    json_decref(world->asked);
    world->asked = NULL;
}

void
sim_calls_forget(struct sim_world *world)
{
    struct sim_call *call = world->calls;
    asked_forget(world);
    world->calls = NULL;
    while (call != NULL) {
        struct sim_call *next = call->next;
        world->counts.unanswered++;
        call_gone(call);
        call = next;
    }
}

const struct resource_route *
sim_route_find(
    const struct resource_route *routes, uint32_t count, const char *method, const char *pattern)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(routes[i].method, method) == 0 && strcmp(routes[i].pattern, pattern) == 0) {
            return &routes[i];
        }
    }
    return NULL;
}

struct sim_call *
sim_call_create(
    struct sim_world *world,
    const struct resource_route *route,
    const char *api_key,
    const char *capture,
    const char *form)
{
    struct sim_call *call = calloc(1, sizeof(*call));
    ASSERT(call != NULL && route != NULL);
    struct span param;
    struct span message;
    call->world = world;
    arena_init(&call->arena, ARENA_LIMIT);
    struct resource_request *request = &call->request;
    request->route = route;
    request->api_key = span_from_cstr(api_key);
    request->captures[0] = arena_copy(&call->arena, span_from_cstr(capture));
    request->reply_to = &world->replies;
    request->arena = &call->arena;
    (void)snprintf(
        request->request_id,
        sizeof(request->request_id),
        "req_%llu",
        (unsigned long long)world->counts.answers);
    err_t error =
        form_parse(span_from_cstr(form), &call->arena, &request->params, &param, &message);
    ASSERT(error == ERR_OK);
    call->next = world->calls;
    world->calls = call;
    world->call_count++;
    return call;
}

/* ----------------------------------------------------------------------------------- answers */

static void
compare_replay(struct sim_world *world, const struct sim_wish *wish, int status, struct span body)
{
    if (status != wish->status || !span_equal_cstr(body, wish->body)) {
        sim_world_fail(
            world,
            "key %s was answered %d and then %d: %s | %.*s",
            wish->key,
            wish->status,
            status,
            wish->body,
            SPAN_PRINTF(body));
    }
}

static void
wish_answered(
    struct sim_world *world, struct sim_wish *wish, const struct resource_request *request)
{
    int status = request->status;
    struct span body = wish->wants_location ? request->location : buf_span(&request->body);
    if (status == 409 || status == 429 || status >= 500) {
        uint64_t wait_ms = 1 + sim_below(world, 2000);
        wish->next_try_ns = os_monotonic_ns(os_sim_clock(world->machine)) + wait_ms * OS_NS_PER_MS;
        return;
    }
    if (wish->settled && world->ops->is_promise(wish->status)) {
        compare_replay(world, wish, status, body);
        wish->replay_checked = wish->replay_checked || request->replayed;
        return;
    }
    free(wish->body);
    wish->body = strndup(body.size == 0 ? "" : body.data, body.size); /* a redirect to nowhere */
    ASSERT(wish->body != NULL);
    wish->status = status;
    wish->settled = true;
    world->counts.verbs[wish->verb][status < 400 ? 1 : 0]++;
    world->ops->learn(world, wish);
}

static void
call_done(struct resource_request *request)
{
    struct sim_call *call = (struct sim_call *)(void *)request;
    struct sim_world *world = call->world;
    static const struct hash_key history_key = {1, 2};
    world->counts.answers++;
    world->counts.replays += request->replayed ? 1 : 0;
    world->history = hash_u64(world->history ^ hash_keyed(history_key, buf_span(&request->body)));
    if (world->verbose) {
        (void)fprintf(
            stderr,
            "  %llu ms: %s %s %s %s -> %d%s %.*s\n",
            (unsigned long long)(os_monotonic_ns(os_sim_clock(world->machine)) / OS_NS_PER_MS),
            call->wish->key,
            request->route->pattern,
            call->wish->capture,
            call->wish->form,
            request->status,
            request->replayed ? " (replayed)" : "",
            (int)span_slice(buf_span(&request->body), 0, 200).size,
            request->body.data);
    }
    wish_answered(world, call->wish, request);
    call_end(call);
}

void
sim_call_submit(struct sim_call *call, struct sim_wish *wish)
{
    call->wish = wish;
    call->request.done = call_done;
    wish->under_way++;
    resource_submit(call->world->process.runtime, &call->request);
}

static void
asked_done(struct resource_request *request)
{
    struct sim_call *call = (struct sim_call *)(void *)request;
    struct sim_world *world = call->world;
    json_error_t error;
    world->asked = json_loadb(request->body.data, request->body.size, 0, &error);
    ASSERT(world->asked != NULL);
    json_object_set_new(world->asked, "status_code", json_integer(request->status));
    call_end(call);
}

json_t *
sim_call_ask(struct sim_call *call)
{
    struct sim_world *world = call->world;
    asked_forget(world);
    call->request.done = asked_done;
    resource_submit(world->process.runtime, &call->request);
    (void)os_sim_run_until_idle(world->machine, SIM_STEPS_MAX);
    ASSERT(world->asked != NULL);
    return world->asked;
}

/* ------------------------------------------------------------------------------------- wishes */

struct sim_wish *
sim_wish_next(struct sim_world *world)
{
    ASSERT(world->wish_count < SIM_WISHES_MAX);
    struct sim_wish *wish = &world->wishes[world->wish_count];
    memset(wish, 0, sizeof(*wish));
    (void)snprintf(wish->key, sizeof(wish->key), "key-%u", (unsigned)world->wish_count);
    return wish;
}

void
sim_wish_form(struct sim_wish *wish, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    /* The analyzer forgets va_start when it inlines a variadic function. */
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized)
    (void)vsnprintf(wish->form, sizeof(wish->form), format, arguments);
    va_end(arguments);
}

const struct sim_wish *
sim_wish_open(const struct sim_world *world)
{
    for (uint32_t i = 0; i < world->wish_count; i++) {
        if (!world->wishes[i].settled) {
            return &world->wishes[i];
        }
    }
    return NULL;
}

void
sim_wishes_ask_again(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->wish_count; i++) {
        struct sim_wish *wish = &world->wishes[i];
        if (!wish->settled && wish->under_way == 0) {
            world->ops->send(world, wish);
        }
    }
}

const char *
sim_json_text(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text == NULL ? "" : text;
}

/* ---------------------------------------------------------------------------------- merchants */

static void
take_scope(void *context, uint64_t scope)
{
    /* Test mode, in the order of creation: the newest merchant is the last one. */
    if ((scope & 1) == 0) {
        *(uint64_t *)context = scope;
    }
}

void
sim_merchant_create(struct sim_world *world, struct sim_merchant *ret_merchant)
{
    struct resource_runtime *runtime = world->process.runtime;
    err_t error = resource_merchant_create(runtime, "Shop", ret_merchant->id);
    ASSERT(error == ERR_OK);
    error = resource_key_create(
        runtime, ret_merchant->id, RESOURCE_KEY_SECRET, false, "first", NULL, ret_merchant->key);
    ASSERT(error == ERR_OK);
    error = resource_scope_each(runtime, take_scope, &ret_merchant->scope);
    ASSERT(error == ERR_OK);
}
