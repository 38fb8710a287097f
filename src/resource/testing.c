#include "testing.h"

#include "base/list.h"
#include "resource/merchants.h"
#include "resource/object.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---------------------------------------------------------------------------- the documents */

static struct document_store *
real_of(struct document_store *store)
{
    return ((struct t_store *)(void *)store)->real;
}

static err_t
store_begin(struct document_store *store)
{
    return real_of(store)->ops->begin(real_of(store));
}

static err_t
store_commit(struct document_store *store)
{
    struct t_store *t = (struct t_store *)(void *)store;
    if (t->commit_fails != ERR_OK) {
        err_t failure = t->commit_fails;
        t->commit_fails = ERR_OK;
        t->real->ops->rollback(t->real);
        return failure;
    }
    t->commits = ++t->applied;
    return t->real->ops->commit(t->real);
}

static err_t
store_apply(struct document_store *store)
{
    struct t_store *t = (struct t_store *)(void *)store;
    if (t->commit_fails != ERR_OK) {
        return store_commit(store);
    }
    t->applied++;
    return t->real->ops->apply(t->real);
}

static err_t
store_sync(struct document_store *store)
{
    struct t_store *t = (struct t_store *)(void *)store;
    if (t->sync_fails != ERR_OK) {
        return t->sync_fails;
    }
    t->commits = t->applied;
    return t->real->ops->sync(t->real);
}

static void
store_rollback(struct document_store *store)
{
    real_of(store)->ops->rollback(real_of(store));
}

static err_t
store_get(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    struct arena *arena,
    struct document_row *ret_row)
{
    struct t_store *t = (struct t_store *)(void *)store;
    t->gets += kind == &t_thing_kind ? 1 : 0;
    return real_of(store)->ops->get(real_of(store), kind, scope, id, arena, ret_row);
}

static err_t
take_failure(struct document_store *store)
{
    struct t_store *t = (struct t_store *)(void *)store;
    err_t failure = t->write_fails;
    if (failure != ERR_OK && t->write_fails_more > 0) {
        t->write_fails_more--;
    } else {
        t->write_fails = ERR_OK;
    }
    return failure;
}

static err_t
store_insert(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row)
{
    TRY(take_failure(store));
    return real_of(store)->ops->insert(real_of(store), kind, row);
}

static err_t
store_update(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row)
{
    TRY(take_failure(store));
    return real_of(store)->ops->update(real_of(store), kind, row);
}

static err_t
store_remove(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    uint32_t version)
{
    return real_of(store)->ops->remove(real_of(store), kind, scope, id, version);
}

struct counting {
    document_each each;
    void *context;
    uint64_t rows;
};

static bool
counting_row(void *context, const struct document_row *row)
{
    struct counting *counting = context;
    counting->rows++;
    return counting->each(counting->context, row);
}

static err_t
store_list(
    struct document_store *store,
    const struct document_kind *kind,
    const struct document_query *query,
    document_each each,
    void *context)
{
    struct t_store *t = (struct t_store *)(void *)store;
    if (t->overtaken && strcmp(kind->name, "idempotency_key") == 0) {
        t->overtaken = false;
        return ERR_OK;
    }
    struct counting counting = {.each = each, .context = context};
    err_t error = real_of(store)->ops->list(real_of(store), kind, query, counting_row, &counting);
    t->key_lists += strcmp(kind->name, "api_key") == 0 ? 1 : 0;
    if (kind == &t_thing_kind) {
        t->rows_listed += counting.rows;
    }
    return error;
}

static void
store_maintain(struct document_store *store)
{
    real_of(store)->ops->maintain(real_of(store));
}

static void
store_close(struct document_store *store)
{
    real_of(store)->ops->close(real_of(store));
}

static const struct document_store_ops store_ops = {
    .begin = store_begin,
    .commit = store_commit,
    .apply = store_apply,
    .sync = store_sync,
    .rollback = store_rollback,
    .get = store_get,
    .insert = store_insert,
    .update = store_update,
    .remove = store_remove,
    .list = store_list,
    .maintain = store_maintain,
    .close = store_close,
};

/* -------------------------------------------------------------------------------- the vault */

static void
vault_done(struct os_task *task)
{
    struct port_vault_tokenize *request = CONTAINER_OF(task, struct port_vault_tokenize, task);
    request->done(request);
}

static void
vault_tokenize(struct port_vault *vault, struct port_vault_tokenize *request)
{
    struct t_vault *t = (struct t_vault *)(void *)vault;
    t->asked++;
    (void)snprintf(
        t->seen_number,
        sizeof(t->seen_number),
        "%.*s",
        (int)(request->number.size & 31),
        request->number.data);
    request->error = t->error;
    request->outcome = t->outcome;
    memset(&request->card, 0, sizeof(request->card));
    (void)snprintf(request->card.token, sizeof(request->card.token), "card_1");
    /* Equal for equal numbers, as the port says. */
    (void)snprintf(
        request->card.fingerprint,
        sizeof(request->card.fingerprint),
        "fp%c%c",
        request->number.data[request->number.size - 1],
        request->number.data[0]);
    request->task.run = vault_done;
    os_post(request->reply_to, &request->task);
}

/* --------------------------------------------------------------------------------- the world */

static void
replies_post(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    struct t_world *world = CONTAINER_OF(executor, struct t_world, replies);
    assert_null(last->next);
    world->reply_posts++;
    while (first != NULL) {
        struct os_task *next = first->next;
        first->run(first);
        first = next;
    }
}

static void
note_log(
    void *context,
    const char *request_id,
    const struct trace_context *trace,
    err_t code,
    const char *what)
{
    (void)trace;
    struct t_world *world = context;
    (void)snprintf(
        world->logged, sizeof(world->logged), "%s %s %s", err_name(code), what, request_id);
}

static void
documents_open(struct t_world *world)
{
    const struct document_kind *kinds[16];
    uint32_t count = 0;
    char message[DOCUMENT_MESSAGE_SIZE];
    for (; count < resource_kind_count; count++) {
        kinds[count] = resource_kinds[count];
    }
    kinds[count++] = &t_thing_kind;
    world->store.store.ops = &store_ops;
    /* The store keeps the kinds' addresses, not this array. */
    err_t error = document_store_open(world->url, kinds, count, &world->store.real, message);
    if (error != ERR_OK) {
        fail_msg("%s", message);
    }
}

bool t_with_sync_loop;

void
t_open(struct t_world *world)
{
    struct os_loops *loops = os_sim_loops(world->sim);
    assert_int_equal(os_loops_create(loops, "api", &world->loop), ERR_OK);
    world->sync_loop = NULL;
    if (t_with_sync_loop) {
        assert_int_equal(os_loops_create(loops, "sync", &world->sync_loop), ERR_OK);
        assert_int_equal(world->sync_loop->ops->start(world->sync_loop), ERR_OK);
    }
    documents_open(world);
    struct resource_parts parts = {
        .loop = world->loop,
        .sync_loop = world->sync_loop,
        .clock = os_sim_clock(world->sim),
        .entropy = os_sim_entropy(world->sim),
        .documents = &world->store.store,
        .vault = &world->vault.vault,
        .cache = world->cache,
        .settings = world->settings,
        .refuse_live = world->refuse_live,
        .log = note_log,
        .log_context = world,
    };
    assert_int_equal(resource_runtime_create(&parts, &world->runtime), ERR_OK);
    assert_int_equal(world->loop->ops->start(world->loop), ERR_OK);
}

void
t_close(struct t_world *world)
{
    world->loop->ops->stop(world->loop);
    if (world->sync_loop != NULL) {
        world->sync_loop->ops->stop(world->sync_loop);
    }
    resource_runtime_destroy(&world->runtime);
    assert_null(world->runtime);
    world->store.store.ops->close(&world->store.store);
    world->loop->ops->destroy(world->loop);
    if (world->sync_loop != NULL) {
        world->sync_loop->ops->destroy(world->sync_loop);
    }
}

void
t_restart(struct t_world *world)
{
    t_close(world);
    t_open(world);
}

int
t_setup(void **state)
{
    struct t_world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    assert_int_equal(os_sim_create(1, &world->sim), ERR_OK);
    (void)snprintf(world->folder, sizeof(world->folder), "/tmp/resource_test_XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    (void)snprintf(world->url, sizeof(world->url), "sqlite:%s/d.db", world->folder);
    world->vault.vault.tokenize = vault_tokenize;
    world->replies.post = replies_post;
    world->settings = (struct resource_settings){
        .rate_per_key = 1000,
        .lock_wait_ns = 5 * OS_NS_PER_S,
        .lock_waiters_max = 100,
        .operations_max = 1000,
        .idempotency_keep_ns = 24 * 3600 * OS_NS_PER_S,
    };
    memcpy(world->routes, t_routes, sizeof(world->routes));
    assert_int_equal(resource_event_route_count, 2);
    world->routes[T_EVENTS] = resource_event_routes[0];
    world->routes[T_EVENT] = resource_event_routes[1];
    for (size_t i = 0; i < T_ROUTE_COUNT; i++) {
        world->routes[i].service_context = world;
    }
    t_open(world);
    assert_int_equal(resource_merchant_create(world->runtime, "Shop", world->merchant), ERR_OK);
    assert_int_equal(
        resource_key_create(
            world->runtime, world->merchant, RESOURCE_KEY_SECRET, false, "first", NULL, world->key),
        ERR_OK);
    *state = world;
    return 0;
}

static void
calls_free(struct t_world *world)
{
    struct t_call *call = world->calls;
    while (call != NULL) {
        struct t_call *older = call->older;
        json_decref(call->json);
        buf_release(&call->request.body);
        arena_release(&call->arena);
        free(call);
        call = older;
    }
}

int
t_teardown(void **state)
{
    struct t_world *world = *state;
    t_close(world);
    calls_free(world);
    os_sim_destroy(&world->sim);
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/d.db", world->folder);
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof(path), "%s/d.db-wal", world->folder);
    (void)unlink(path);
    assert_int_equal(rmdir(world->folder), 0);
    free(world);
    return 0;
}

/* ------------------------------------------------------------------------------------- calls */

static void
call_done(struct resource_request *request)
{
    struct t_call *call = (struct t_call *)(void *)request;
    assert_false(call->done);
    call->done = true;
    call->commits_seen = call->world->store.commits;
    if (request->content_type != NULL) {
        return;
    }
    json_error_t error;
    call->json = json_loadb(request->body.data, request->body.size, JSON_REJECT_DUPLICATES, &error);
    if (call->json == NULL) {
        fail_msg("%s in %.*s", error.text, (int)request->body.size, request->body.data);
    }
}

struct t_call *
t_send(struct t_world *world, enum t_route route, const char *capture, const char *form)
{
    struct t_call *call = calloc(1, sizeof(*call));
    assert_non_null(call);
    call->world = world;
    call->older = world->calls;
    world->calls = call;
    arena_init(&call->arena, 10000000);
    struct resource_request *request = &call->request;
    struct span param, message;
    request->params = NULL;
    if (form == NULL) {
        request->params = form_empty(&call->arena);
    } else {
        assert_int_equal(
            form_parse(span_from_cstr(form), &call->arena, &request->params, &param, &message),
            ERR_OK);
    }
    request->reply_to = &world->replies;
    request->done = call_done;
    request->route = &world->routes[route];
    request->api_key = span_from_cstr(world->key);
    if (capture != NULL) {
        request->captures[0] = arena_copy(&call->arena, span_from_cstr(capture));
    }
    static unsigned number;
    (void)snprintf(request->request_id, sizeof(request->request_id), "req_%u", ++number);
    request->arena = &call->arena;
    resource_submit(world->runtime, request);
    return call;
}

void
t_key_create(
    struct t_world *world,
    enum resource_key_kind kind,
    bool live,
    char ret_key[RESOURCE_KEY_TEXT_SIZE])
{
    assert_int_equal(
        resource_key_create(world->runtime, world->merchant, kind, live, "", NULL, ret_key),
        ERR_OK);
}

void
t_use_key(struct t_call *call, const char *idempotency_key)
{
    call->request.idempotency_key = span_from_cstr(idempotency_key);
}

void
t_run(struct t_world *world)
{
    assert_true(os_sim_run_until_idle(world->sim, 100000));
}

struct t_call *
t_do(struct t_world *world, enum t_route route, const char *capture, const char *form)
{
    struct t_call *call = t_send(world, route, capture, form);
    t_run(world);
    return call;
}

struct t_call *
t_do_with_key(
    struct t_world *world,
    enum t_route route,
    const char *capture,
    const char *form,
    const char *idempotency_key)
{
    struct t_call *call = t_send(world, route, capture, form);
    t_use_key(call, idempotency_key);
    t_run(world);
    return call;
}

const json_t *
t_json(const struct t_call *call, const char *path)
{
    assert_true(call->done);
    const json_t *value = call->json;
    struct span rest = span_from_cstr(path);
    while (rest.size > 0 && value != NULL) {
        struct span name = span_cut(&rest, '.');
        uint64_t index;
        if (json_is_array(value) && span_parse_u64(name, &index)) {
            value = json_array_get(value, (size_t)index);
        } else {
            char text[64];
            assert_true(name.size < sizeof(text));
            memcpy(text, name.data, name.size);
            text[name.size] = '\0';
            value = json_object_get(value, text);
        }
    }
    return value;
}

const char *
t_text(const struct t_call *call, const char *path)
{
    const char *text = json_string_value(t_json(call, path));
    return text == NULL ? "" : text;
}

long long
t_integer(const struct t_call *call, const char *path)
{
    const json_t *value = t_json(call, path);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

void
t_expect_error(const struct t_call *call, int status, const char *code, const char *param)
{
    assert_true(call->done);
    if (call->request.status != status || strcmp(t_text(call, "error.code"), code) != 0 ||
        (param != NULL && strcmp(t_text(call, "error.param"), param) != 0)) {
        fail_msg("%d %.*s", call->request.status, SPAN_PRINTF(buf_span(&call->request.body)));
    }
    assert_true(t_text(call, "error.message")[0] != '\0');
    assert_true(t_text(call, "error.type")[0] != '\0');
}

static bool
count_row(void *context, const struct document_row *row)
{
    (void)row;
    ++*(size_t *)context;
    return true;
}

static const struct document_kind *
kind_of(const char *table)
{
    const struct document_kind *kind = &t_thing_kind;
    for (uint32_t i = 0; i < resource_kind_count; i++) {
        if (strcmp(resource_kinds[i]->name, table) == 0) {
            kind = resource_kinds[i];
        }
    }
    assert_string_equal(kind->name, table);
    return kind;
}

void
t_damage(struct t_world *world, const char *table, const char *id)
{
    struct document_store *store = world->store.real;
    const struct document_kind *kind = kind_of(table);
    bool is_own = strcmp(table, "thing") == 0 || strcmp(table, "event") == 0;
    uint64_t scope = is_own ? T_SCOPE : 0;
    struct document_row row;
    struct arena arena;
    arena_init(&arena, 1U << 20);
    assert_int_equal(store->ops->begin(store), ERR_OK);
    assert_int_equal(store->ops->get(store, kind, scope, span_from_cstr(id), &arena, &row), ERR_OK);
    row.body = SPAN("no document of ours");
    assert_int_equal(store->ops->update(store, kind, &row), ERR_OK);
    assert_int_equal(store->ops->commit(store), ERR_OK);
    arena_release(&arena);
}

size_t
t_count(struct t_world *world, const char *table)
{
    const struct document_kind *kind = kind_of(table);
    size_t count = 0;
    struct document_query query = {.scope = T_SCOPE, .range_column = UINT32_MAX, .limit = 1000000};
    assert_int_equal(
        world->store.real->ops->list(world->store.real, kind, &query, count_row, &count), ERR_OK);
    return count;
}
