#include "testing.h"

#include "base/list.h"
#include "resource/merchants.h"
#include "resource/object.h"
#include "resource_testing.h"
#include "trace/log.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* -------------------------------------------------------------------------------- the documents */

static struct document_store_ops failing_ops;

static struct t_world *
world_of(struct document_store *store)
{
    return CONTAINER_OF(store, struct t_world, failing);
}

static err_t
f_begin(struct document_store *store)
{
    struct document_store *real = world_of(store)->documents;
    return real->ops->begin(real);
}

static err_t
f_apply(struct document_store *store)
{
    struct t_world *world = world_of(store);
    struct document_store *real = world->documents;
    if (world->commit_fails != ERR_OK || world->dead) {
        err_t failure = world->dead ? ERR_CLOSED : world->commit_fails;
        world->commit_fails = ERR_OK;
        real->ops->rollback(real);
        return failure;
    }
    return real->ops->apply(real);
}

static err_t
f_sync(struct document_store *store)
{
    struct document_store *real = world_of(store)->documents;
    return real->ops->sync(real);
}

static err_t
f_commit(struct document_store *store)
{
    TRY(f_apply(store));
    return f_sync(store);
}

static void
f_rollback(struct document_store *store)
{
    struct document_store *real = world_of(store)->documents;
    real->ops->rollback(real);
}

static err_t
f_get(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    struct arena *arena,
    struct document_row *ret_row)
{
    struct document_store *real = world_of(store)->documents;
    return real->ops->get(real, kind, scope, id, arena, ret_row);
}

static err_t
f_insert(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row)
{
    struct document_store *real = world_of(store)->documents;
    return real->ops->insert(real, kind, row);
}

static err_t
f_update(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row)
{
    struct document_store *real = world_of(store)->documents;
    return real->ops->update(real, kind, row);
}

static err_t
f_remove(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    uint32_t version)
{
    struct document_store *real = world_of(store)->documents;
    return real->ops->remove(real, kind, scope, id, version);
}

static err_t
f_list(
    struct document_store *store,
    const struct document_kind *kind,
    const struct document_query *query,
    document_each each,
    void *context)
{
    struct document_store *real = world_of(store)->documents;
    return real->ops->list(real, kind, query, each, context);
}

static void
f_maintain(struct document_store *store)
{
    struct document_store *real = world_of(store)->documents;
    real->ops->maintain(real);
}

static void
documents_open(struct t_world *world)
{
    const struct document_kind *kinds[16];
    uint32_t count = 0;
    for (; count < events_kind_count; count++) {
        kinds[count] = events_kinds[count];
    }
    kinds[count++] = &t_thing_kind;
    world->documents = t_documents_open(world->database, kinds, count);
    failing_ops = (struct document_store_ops){
        .begin = f_begin,
        .apply = f_apply,
        .sync = f_sync,
        .commit = f_commit,
        .rollback = f_rollback,
        .get = f_get,
        .insert = f_insert,
        .update = f_update,
        .remove = f_remove,
        .list = f_list,
        .maintain = f_maintain,
    };
    world->failing.ops = &failing_ops;
}

/* ---------------------------------------------------------------------------------- the way out */

struct flight {
    struct os_timer timer;
    struct list_link link;
    struct t_world *world;
    struct t_host *host;
    struct t_sent *sent;
    struct port_http_request *request;
};

static void
flight_lands(struct os_timer *timer)
{
    struct flight *flight = CONTAINER_OF(timer, struct flight, timer);
    struct port_http_request *request = flight->request;
    struct t_host *host = flight->host;
    request->error = host->error;
    request->cause = host->cause;
    request->status = host->error == ERR_OK ? host->status : 0;
    request->answer = host->error == ERR_OK ? SPAN("noted") : SPAN_EMPTY;
    request->duration_ns = host->delay_ms * OS_NS_PER_MS;
    flight->sent->answered = host->error == ERR_OK && host->status / 100 == 2;
    host->under_way--;
    flight->world->under_way--;
    list_remove(&flight->link);
    free(flight);
    request->done(request);
}

static void
copy(char *out, size_t room, struct span text)
{
    assert_true(text.size < room);
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
}

static void
note_sent(struct t_sent *sent, struct t_world *world, const struct port_http_request *request)
{
    copy(sent->host, sizeof(sent->host), request->host);
    for (uint32_t i = 0; i < request->header_count; i++) {
        if (span_equal_cstr(request->headers[i].name, "Idempotency-Key")) {
            copy(sent->event, sizeof(sent->event), request->headers[i].value);
        } else if (span_equal_cstr(request->headers[i].name, "Stripe-Signature")) {
            copy(sent->signature, sizeof(sent->signature), request->headers[i].value);
        }
    }
    sent->body = strndup(request->body.data, request->body.size);
    json_t *event = json_loads(sent->body, 0, NULL);
    assert_non_null(event);
    copy(
        sent->type,
        sizeof(sent->type),
        span_from_cstr(json_string_value(json_object_get(event, "type"))));
    json_decref(event);
    sent->reach = request->reach;
    sent->at_ms = (int64_t)(os_wall_ns(os_sim_clock(world->sim)) / OS_NS_PER_MS);
}

static void
http_send(struct port_http *http, struct port_http_request *request)
{
    struct t_world *world = CONTAINER_OF(http, struct t_world, http);
    if (world->dead) {
        return;
    }
    struct flight *flight = calloc(1, sizeof(*flight));
    assert_non_null(flight);
    assert_true(world->sent_count < T_SENT_MAX);
    flight->sent = &world->sent[world->sent_count++];
    note_sent(flight->sent, world, request);
    flight->timer.fire = flight_lands;
    list_push_back(&world->flights, &flight->link);
    flight->world = world;
    flight->host = t_host(world, flight->sent->host);
    flight->request = request;
    struct t_host *host = flight->host;
    host->under_way++;
    world->under_way++;
    host->most = host->under_way > host->most ? host->under_way : host->most;
    world->most = world->under_way > world->most ? world->under_way : world->most;
    os_timer_arm(
        world->loop,
        &flight->timer,
        os_monotonic_ns(os_sim_clock(world->sim)) + 1 + host->delay_ms * OS_NS_PER_MS);
}

struct t_host *
t_host(struct t_world *world, const char *name)
{
    for (uint32_t i = 0; i < world->host_count; i++) {
        if (strcmp(world->hosts[i].name, name) == 0) {
            return &world->hosts[i];
        }
    }
    assert_true(world->host_count < T_HOSTS_MAX);
    struct t_host *host = &world->hosts[world->host_count++];
    *host = (struct t_host){.status = 200};
    copy(host->name, sizeof(host->name), span_from_cstr(name));
    return host;
}

/* ------------------------------------------------------------------------------------ the world */

void
t_open(struct t_world *world)
{
    char message[EVENTS_MESSAGE_SIZE] = "";
    assert_int_equal(os_loops_create(os_sim_loops(world->sim), "api", &world->loop), ERR_OK);
    assert_int_equal(os_loops_create(os_sim_loops(world->sim), "sync", &world->sync_loop), ERR_OK);
    documents_open(world);
    struct resource_parts parts = t_runtime_parts(world->sim, world->loop, &world->failing);
    parts.sync_loop = world->sync_loop;
    assert_int_equal(resource_runtime_create(&parts, &world->runtime), ERR_OK);
    const struct events_parts service = {
        .runtime = world->runtime,
        .loop = world->loop,
        .clock = os_sim_clock(world->sim),
        .entropy = os_sim_entropy(world->sim),
        .documents = &world->failing,
        .disk = os_disk_real(),
        .folder = world->folder,
        .http = &world->http,
        .log = world->log,
        .settings = world->settings,
    };
    err_t result = events_create(&service, &world->events, message);
    if (result != ERR_OK) {
        fail_msg("%s %s", err_name(result), message);
    }
    events_start(world->events);
    assert_int_equal(os_loop_start(world->loop), ERR_OK);
    assert_int_equal(os_loop_start(world->sync_loop), ERR_OK);
}

void
t_crash(struct t_world *world)
{
    /* A loop that stops runs what waits, to no effect. */
    world->dead = true;
    os_loop_stop(world->loop);
    os_loop_stop(world->sync_loop);
    LIST_FOREACH_SAFE (&world->flights, link) {
        list_remove(link);
        free(CONTAINER_OF(link, struct flight, link));
    }
    resource_runtime_destroy(&world->runtime);
    events_destroy(&world->events);
    world->documents->ops->close(world->documents);
    os_loop_destroy(world->loop);
    os_loop_destroy(world->sync_loop);
    for (uint32_t i = 0; i < world->host_count; i++) {
        world->hosts[i].under_way = 0;
    }
    world->under_way = 0;
    world->dead = false;
}

int
t_setup(void **state)
{
    struct t_world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    assert_int_equal(os_sim_create(1, &world->sim), ERR_OK);
    (void)snprintf(world->folder, sizeof(world->folder), "/tmp/events_test_XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    (void)snprintf(world->database, sizeof(world->database), "sqlite:%s/d.db", world->folder);
    world->http.send = http_send;
    list_init(&world->flights);
    world->replies.post = os_post_now;
    world->settings = events_settings_default();
    world->log = calloc(1, sizeof(*world->log));
    assert_non_null(world->log);
    trace_log_init(world->log, STDERR_FILENO, os_sim_clock(world->sim));
    trace_log_set_level(world->log, TRACE_ERROR);
    t_open(world);
    assert_int_equal(resource_merchant_create(world->runtime, "Shop", world->merchant), ERR_OK);
    for (int live = 0; live <= 1; live++) {
        assert_int_equal(
            resource_key_create(
                world->runtime,
                world->merchant,
                RESOURCE_KEY_SECRET,
                live != 0,
                "first",
                NULL,
                world->keys[live]),
            ERR_OK);
    }
    *state = world;
    return 0;
}

int
t_teardown(void **state)
{
    static const char *const files[] = {"d.db", "d.db-wal", "master.key"};
    struct t_world *world = *state;
    t_crash(world);
    os_sim_destroy(&world->sim);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/%s", world->folder, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(world->folder), 0);
    for (uint32_t i = 0; i < world->sent_count; i++) {
        free(world->sent[i].body);
    }
    json_decref(world->answer);
    trace_log_release(world->log);
    free(world->log);
    free(world);
    return 0;
}

void
t_run(struct t_world *world)
{
    assert_true(os_sim_run_for(world->sim, 5 * OS_NS_PER_MS, T_STEPS_MAX));
}

void
t_run_for(struct t_world *world, uint64_t milliseconds)
{
    assert_true(os_sim_run_for(world->sim, milliseconds * OS_NS_PER_MS, T_STEPS_MAX));
}

/* ------------------------------------------------------------------------------------- requests */

struct call {
    struct resource_request request;
    struct arena arena;
    struct t_world *world;
    bool done;
};

static void
call_done(struct resource_request *request)
{
    struct call *call = CONTAINER_OF(request, struct call, request);
    struct t_world *world = call->world;
    json_decref(world->answer);
    world->answer = json_loadb(request->body.data, request->body.size, 0, NULL);
    assert_non_null(world->answer);
    world->status = request->status;
    buf_release(&request->body);
    call->done = true;
}

static const struct resource_route *
find_in(
    const struct resource_route *routes, uint32_t count, const char *method, const char *pattern)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(routes[i].method, method) == 0 && strcmp(routes[i].pattern, pattern) == 0) {
            return &routes[i];
        }
    }
    return NULL;
}

void
t_request_only(
    struct t_world *world,
    bool live,
    const char *method,
    const char *pattern,
    const char *first,
    const char *form)
{
    struct call call = {.world = world};
    struct span param, message;
    uint32_t count;
    const struct resource_route *own = events_routes(world->events, &count);
    const struct resource_route *route = find_in(own, count, method, pattern);
    if (route == NULL) {
        route = find_in(resource_event_routes, resource_event_route_count, method, pattern);
    }
    assert_non_null(route);
    arena_init(&call.arena, 10000000);
    call.request.params = form_empty(&call.arena);
    if (form != NULL) {
        assert_int_equal(
            form_parse(span_from_cstr(form), &call.arena, &call.request.params, &param, &message),
            ERR_OK);
    }
    call.request.reply_to = &world->replies;
    call.request.done = call_done;
    call.request.route = route;
    call.request.api_key = span_from_cstr(world->keys[live ? 1 : 0]);
    call.request.captures[0] = span_from_cstr(first);
    (void)snprintf(call.request.request_id, sizeof(call.request.request_id), "req_1");
    call.request.arena = &call.arena;
    resource_submit(world->runtime, &call.request);
    while (!call.done) {
        assert_true(os_sim_step(world->sim));
    }
    arena_release(&call.arena);
}

void
t_request(
    struct t_world *world,
    bool live,
    const char *method,
    const char *pattern,
    const char *first,
    const char *form)
{
    t_request_only(world, live, method, pattern, first, form);
    assert_true(os_sim_run_until_idle(world->sim, T_STEPS_MAX));
}

static const json_t *
member(const struct t_world *world, const char *path)
{
    const json_t *value = world->answer;
    struct span rest = span_from_cstr(path);
    while (rest.size > 0 && value != NULL) {
        char name[T_TEXT_SIZE];
        uint64_t index;
        struct span part = span_cut(&rest, '.');
        copy(name, sizeof(name), part);
        value = json_is_array(value) && span_parse_u64(part, &index)
                    ? json_array_get(value, (size_t)index)
                    : json_object_get(value, name);
    }
    return value;
}

const char *
t_text(const struct t_world *world, const char *path)
{
    const char *text = json_string_value(member(world, path));
    return text == NULL ? "" : text;
}

int64_t
t_integer(const struct t_world *world, const char *path)
{
    const json_t *value = member(world, path);
    if (!json_is_integer(value)) {
        fail_msg("%s is no number", path);
    }
    return json_integer_value(value);
}

void
t_live_endpoint(struct t_world *world, const char *host)
{
    char form[256];
    (void)snprintf(form, sizeof(form), "url=https://%s/hook&enabled_events[]=*", host);
    t_request(world, true, "POST", "/v1/webhook_endpoints", NULL, form);
    assert_int_equal(world->status, 200);
}

const char *
t_endpoint(struct t_world *world, const char *host, const char *type)
{
    static char ids[8][ID_TEXT_SIZE];
    static unsigned next;
    char form[256];
    (void)snprintf(form, sizeof(form), "url=http://%s/hook&enabled_events[]=%s", host, type);
    t_request(world, false, "POST", "/v1/webhook_endpoints", NULL, form);
    assert_int_equal(world->status, 200);
    char *id = ids[next++ % 8];
    copy(id, ID_TEXT_SIZE, span_from_cstr(t_text(world, "id")));
    return id;
}

/* --------------------------------------------------------------------------------------- events */

uint32_t
t_sent_to(const struct t_world *world, const char *host)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < world->sent_count; i++) {
        count += host == NULL || strcmp(world->sent[i].host, host) == 0 ? 1 : 0;
    }
    return count;
}

static bool
count_row(void *context, const struct document_row *row)
{
    (void)row;
    ++*(uint32_t *)context;
    return true;
}

uint32_t
t_event_count(struct t_world *world)
{
    uint32_t count = 0;
    struct document_query query = {.scope = 2, .range_column = UINT32_MAX, .limit = UINT32_MAX};
    assert_int_equal(
        world->documents->ops->list(
            world->documents, resource_event_type.kind, &query, count_row, &count),
        ERR_OK);
    return count;
}

uint32_t
t_delivered_to(const struct t_world *world, const char *host)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < world->sent_count; i++) {
        const struct t_sent *sent = &world->sent[i];
        bool first = sent->answered && strcmp(sent->host, host) == 0;
        for (uint32_t j = 0; first && j < i; j++) {
            first =
                !(world->sent[j].answered && strcmp(world->sent[j].host, host) == 0 &&
                  strcmp(world->sent[j].event, sent->event) == 0);
        }
        count += first ? 1 : 0;
    }
    return count;
}

struct chosen {
    char ids[T_DAMAGED_MAX][T_TEXT_SIZE];
    uint32_t count;
};

static bool
choose_row(void *context, const struct document_row *row)
{
    struct chosen *chosen = context;
    assert_true(row->id.size < T_TEXT_SIZE);
    memcpy(chosen->ids[chosen->count++], row->id.data, row->id.size);
    return true;
}

void
t_damage(struct t_world *world, const struct document_kind *kind, uint32_t count)
{
    static struct chosen chosen;
    struct document_store *store = world->documents;
    struct document_query query = {
        .scope = 2, .range_column = UINT32_MAX, .oldest_first = true, .limit = count};
    struct arena arena;
    memset(&chosen, 0, sizeof(chosen));
    assert_true(count <= T_DAMAGED_MAX);
    assert_int_equal(store->ops->list(store, kind, &query, choose_row, &chosen), ERR_OK);
    assert_int_equal(chosen.count, count);
    arena_init(&arena, 1U << 20);
    assert_int_equal(store->ops->begin(store), ERR_OK);
    for (uint32_t i = 0; i < count; i++) {
        struct document_row row;
        struct span id = span_from_cstr(chosen.ids[i]);
        assert_int_equal(store->ops->get(store, kind, 2, id, &arena, &row), ERR_OK);
        row.body = SPAN("no document of ours");
        assert_int_equal(store->ops->update(store, kind, &row), ERR_OK);
    }
    assert_int_equal(store->ops->commit(store), ERR_OK);
    arena_release(&arena);
}
