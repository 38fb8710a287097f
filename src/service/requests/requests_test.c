/* The log of requests on the simulated machine: one merchant, and a route that does what it is
 * told. */
#include "requests_internal.h"

#include "os/sim.h"
#include "resource/merchants.h"
#include "resource_testing.h"
#include "json/json_in.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STEPS_MAX = 10000000,
    KEEP_S = 3600,
    KEEP_MAX = 4000,
};

struct t_world {
    struct os_sim *sim;
    struct os_loop *loop;
    char folder[64];
    struct document_store *documents;
    const struct document_store_ops *real_ops;
    struct document_store_ops ops; /* the real ones but for `commit` */
    err_t commit_fails;            /* the next commit */
    struct resource_runtime *runtime;
    struct requests *requests;
    char merchant[ID_TEXT_SIZE];
    char key[RESOURCE_KEY_TEXT_SIZE];
    struct os_executor replies;
    struct id_generator ids;
    bool answered;
    int status;
    struct arena arena; /* of the last call */
    struct json_value *answer;
    char last[ID_TEXT_SIZE]; /* the id of the last request */
};

static struct t_world *the_world; /* the store's operations do not know it */

static const struct resource_param work_params[] = {
    {.name = "amount", .kind = RESOURCE_PARAM_INTEGER, .minimum = 0, .maximum = 1000},
};

static void
work(struct resource_op *op)
{
    struct buf body;
    int64_t amount = 0;
    (void)resource_integer(op, "amount", &amount);
    buf_init(&body, 100);
    buf_append_cstr(&body, "{}");
    resource_answer(op, 200, &body);
}

static const struct resource_route work_route = {
    .method = "POST",
    .pattern = "/v1/work",
    .handler = work,
    .params = work_params,
    .param_count = 1,
};

static err_t
commit(struct document_store *store)
{
    err_t failure = the_world->commit_fails;
    if (failure == ERR_OK) {
        return the_world->real_ops->commit(store);
    }
    the_world->commit_fails = ERR_OK;
    the_world->real_ops->rollback(store);
    return failure;
}

static void
documents_open(struct t_world *world)
{
    char url[96];
    (void)snprintf(url, sizeof(url), "sqlite:%s/d.db", world->folder);
    world->documents = t_documents_open(url, requests_kinds, requests_kind_count);
    world->real_ops = world->documents->ops;
    world->ops = *world->real_ops;
    world->ops.commit = commit;
    world->documents->ops = &world->ops;
}

static void
process_open(struct t_world *world)
{
    assert_int_equal(os_loops_create(os_sim_loops(world->sim), "api", &world->loop), ERR_OK);
    documents_open(world);
    const struct resource_parts runtime =
        t_runtime_parts(world->sim, world->loop, world->documents);
    struct requests_parts parts = {
        .loop = world->loop,
        .clock = os_sim_clock(world->sim),
        .settings = requests_settings_default(),
    };
    assert_int_equal(resource_runtime_create(&runtime, &world->runtime), ERR_OK);
    parts.runtime = world->runtime;
    parts.settings.keep_s = KEEP_S;
    parts.settings.keep_max = KEEP_MAX;
    assert_int_equal(requests_create(&parts, &world->requests), ERR_OK);
    requests_start(world->requests);
    assert_int_equal(os_loop_start(world->loop), ERR_OK);
}

static void
process_close(struct t_world *world)
{
    os_loop_stop(world->loop);
    resource_runtime_destroy(&world->runtime);
    requests_destroy(&world->requests);
    world->documents->ops->close(world->documents);
    os_loop_destroy(world->loop);
}

static int
setup(void **state)
{
    struct t_world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    the_world = world;
    world->replies.post = os_post_now;
    arena_init(&world->arena, 64U << 20);
    assert_int_equal(os_sim_create(1, &world->sim), ERR_OK);
    (void)snprintf(world->folder, sizeof(world->folder), "/tmp/requests_test_XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    process_open(world);
    assert_int_equal(resource_merchant_create(world->runtime, "Shop", world->merchant), ERR_OK);
    assert_int_equal(
        resource_key_create(
            world->runtime, world->merchant, RESOURCE_KEY_SECRET, false, "first", NULL, world->key),
        ERR_OK);
    *state = world;
    return 0;
}

static int
teardown(void **state)
{
    static const char *const files[] = {"d.db", "d.db-wal"};
    struct t_world *world = *state;
    process_close(world);
    os_sim_destroy(&world->sim);
    arena_release(&world->arena);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/%s", world->folder, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(world->folder), 0);
    free(world);
    return 0;
}

/* ------------------------------------------------------------------------------------ requests */

struct t_call {
    struct resource_request request; /* first */
    struct t_world *world;
};

static void
call_done(struct resource_request *request)
{
    struct t_world *world = ((struct t_call *)(void *)request)->world;
    struct json_problem problem;
    world->answered = true;
    world->status = request->status;
    struct span body = arena_copy(&world->arena, buf_span(&request->body));
    assert_int_equal(json_read(body, &world->arena, 100000, &world->answer, &problem), ERR_OK);
    buf_release(&request->body);
}

static void
ask_with(
    struct t_world *world,
    const struct resource_route *route,
    const char *capture,
    const char *form,
    const char *key)
{
    struct t_call call = {.world = world};
    struct resource_request *request = &call.request;
    struct span param;
    struct span message;
    uint64_t now_ms = os_wall_ns(os_sim_clock(world->sim)) / OS_NS_PER_MS;
    arena_clear(&world->arena);
    (void)id_format("req_", id_next(&world->ids, now_ms, 1), request->request_id);
    memcpy(world->last, request->request_id, sizeof(world->last));
    assert_int_equal(
        form_parse(span_from_cstr(form), &world->arena, &request->params, &param, &message),
        ERR_OK);
    request->route = route;
    request->api_key = span_from_cstr(key);
    request->captures[0] = span_from_cstr(capture);
    request->reply_to = &world->replies;
    request->done = call_done;
    request->arena = &world->arena;
    world->answered = false;
    resource_submit(world->runtime, request);
    assert_true(os_sim_run_until_idle(world->sim, STEPS_MAX));
    assert_true(world->answered);
}

static void
do_work(struct t_world *world, const char *form)
{
    ask_with(world, &work_route, "", form, world->key);
}

static void
list(struct t_world *world, const char *form)
{
    uint32_t count;
    const struct resource_route *routes = requests_routes(world->requests, &count);
    ask_with(world, &routes[0], "", form, world->key);
}

static void
retrieve(struct t_world *world, const char *id)
{
    uint32_t count;
    const struct resource_route *routes = requests_routes(world->requests, &count);
    ask_with(world, &routes[1], id, "", world->key);
}

static const struct json_value *
data(const struct t_world *world)
{
    const struct json_value *found = json_value_member(world->answer, SPAN("data"));
    assert_int_equal(world->status, 200);
    assert_non_null(found);
    return found;
}

static bool
has_more(const struct t_world *world)
{
    return json_value_member(world->answer, SPAN("has_more"))->boolean;
}

/* Of the at-th of the list. */
static const char *
id_at(struct t_world *world, uint32_t at)
{
    const struct json_value *one = data(world)->first_child;
    for (uint32_t i = 0; i < at && one != NULL; i++) {
        one = one->next;
    }
    assert_non_null(one);
    return arena_cstr(&world->arena, json_value_member(one, SPAN("id"))->text);
}

static void
advance(struct t_world *world, uint64_t seconds)
{
    assert_true(os_sim_run_for(world->sim, seconds * OS_NS_PER_S, STEPS_MAX));
}

/* --------------------------------------------------------------------------------------- tests */

static void
what_was_answered_can_be_read_at_once(void **state)
{
    struct t_world *world = *state;
    char first[ID_TEXT_SIZE];
    do_work(world, "amount=7");
    memcpy(first, world->last, sizeof(first));
    retrieve(world, first);
    assert_int_equal(world->status, 200);
    assert_true(span_equal_cstr(json_value_member(world->answer, SPAN("id"))->text, first));
    /* Durable, and not only told. */
    process_close(world);
    process_open(world);
    retrieve(world, first);
    assert_int_equal(world->status, 200);
    list(world, "");
    assert_int_equal(data(world)->child_count, 1); /* reading is not logged */
    assert_string_equal(id_at(world, 0), first);
}

static void
it_is_written_without_being_asked_for(void **state)
{
    struct t_world *world = *state;
    do_work(world, "amount=7");
    assert_int_equal(requests_health(world->requests).pages, 0);
    assert_true(requests_health(world->requests).waiting > 0);
    advance(world, 1);
    assert_int_equal(requests_health(world->requests).pages, 1);
    assert_int_equal(requests_health(world->requests).waiting, 0);
}

static void
a_drain_writes_what_waits(void **state)
{
    struct t_world *world = *state;
    do_work(world, "amount=7");
    assert_false(requests_is_drained(world->requests));
    requests_drain(world->requests);
    assert_true(os_sim_run_until_idle(world->sim, STEPS_MAX));
    assert_true(requests_is_drained(world->requests));
    assert_int_equal(requests_health(world->requests).pages, 1);
}

static void
lists_are_pages_in_both_directions(void **state)
{
    enum {
        MANY = 300 /* some pages, not all of them full */
    };

    struct t_world *world = *state;
    static char ids[MANY][ID_TEXT_SIZE];
    for (size_t i = 0; i < MANY; i++) {
        do_work(world, "");
        memcpy(ids[i], world->last, sizeof(ids[i]));
        if (i == 150) {
            advance(world, 2);
        }
    }
    char form[128] = "limit=7";
    size_t seen = 0;
    do {
        list(world, form);
        for (uint32_t i = 0; i < data(world)->child_count; i++) {
            assert_string_equal(id_at(world, i), ids[MANY - 1 - seen]);
            seen++;
        }
        (void)snprintf(form, sizeof(form), "limit=7&starting_after=%s", ids[MANY - seen]);
    } while (has_more(world));
    assert_int_equal(seen, MANY);
    (void)snprintf(form, sizeof(form), "limit=5&ending_before=%s", ids[140]);
    list(world, form);
    assert_int_equal(data(world)->child_count, 5);
    assert_string_equal(id_at(world, 0), ids[145]);
    assert_string_equal(id_at(world, 4), ids[141]);
    assert_true(has_more(world));
    (void)snprintf(form, sizeof(form), "limit=5&ending_before=%s", ids[MANY - 3]);
    list(world, form);
    assert_int_equal(data(world)->child_count, 2);
    assert_string_equal(id_at(world, 0), ids[MANY - 1]);
    assert_false(has_more(world));
}

struct t_rows {
    char ids[100][ID_TEXT_SIZE];
    uint64_t scope;
    uint32_t count;
};

static bool
note_row(void *context, const struct document_row *row)
{
    struct t_rows *rows = context;
    assert_true(rows->count < 100 && row->id.size < ID_TEXT_SIZE);
    memcpy(rows->ids[rows->count++], row->id.data, row->id.size);
    rows->scope = row->scope;
    return true;
}

/* The newest page of those that are written, or the oldest. */
static void
damage(struct t_world *world, bool newest)
{
    static struct t_rows rows;
    struct document_store *store = world->documents;
    const struct document_query query = {.scope = 2, .range_column = UINT32_MAX, .limit = 100};
    struct document_row row;
    memset(&rows, 0, sizeof(rows));
    assert_int_equal(
        store->ops->list(store, requests_page_type.kind, &query, note_row, &rows), ERR_OK);
    assert_true(rows.count > 0);
    assert_int_equal(
        store->ops->get(
            store,
            requests_page_type.kind,
            rows.scope,
            span_from_cstr(rows.ids[newest ? 0 : rows.count - 1]),
            &world->arena,
            &row),
        ERR_OK);
    row.body = SPAN("no page of ours");
    assert_int_equal(store->ops->begin(store), ERR_OK);
    assert_int_equal(store->ops->update(store, requests_page_type.kind, &row), ERR_OK);
    assert_int_equal(store->ops->commit(store), ERR_OK);
}

/* Nor is it the end of what can. */
static void
what_cannot_be_read_is_left_out(void **state)
{
    enum {
        PAGES = 70 /* more than are read at once */
    };

    struct t_world *world = *state;
    char first[ID_TEXT_SIZE];
    for (size_t i = 0; i < PAGES; i++) {
        do_work(world, i == 0 ? "amount=7" : "amount=8");
        if (i == 0) {
            memcpy(first, world->last, sizeof(first));
        }
        advance(world, 2);
    }
    assert_int_equal(requests_health(world->requests).pages, PAGES);
    damage(world, true);
    list(world, "limit=100");
    assert_int_equal(data(world)->child_count, PAGES - 1);
    assert_string_equal(id_at(world, PAGES - 2), first);
    assert_false(has_more(world));
}

static void
a_list_is_filtered(void **state)
{
    struct t_world *world = *state;
    char bad[ID_TEXT_SIZE];
    do_work(world, "amount=7");
    do_work(world, "amount=7000");
    memcpy(bad, world->last, sizeof(bad));
    advance(world, 100);
    do_work(world, "amount=8");
    list(world, "status=failed");
    assert_int_equal(data(world)->child_count, 1);
    assert_string_equal(id_at(world, 0), bad);
    list(world, "status=4xx&method=POST&path=/v1/work");
    assert_int_equal(data(world)->child_count, 1);
    list(world, "status=200");
    assert_int_equal(data(world)->child_count, 2);
    list(world, "method=GET");
    assert_int_equal(data(world)->child_count, 0);
    list(world, "path=/v1/other");
    assert_int_equal(data(world)->child_count, 0);
    char form[64];
    u128 id;
    assert_true(id_parse("req_", span_from_cstr(bad), &id));
    (void)snprintf(
        form, sizeof(form), "created[lte]=%llu", (unsigned long long)(id_unix_ms(id) / 1000));
    list(world, form);
    assert_int_equal(data(world)->child_count, 2);
    (void)snprintf(
        form, sizeof(form), "created[gt]=%llu", (unsigned long long)(id_unix_ms(id) / 1000));
    list(world, form);
    assert_int_equal(data(world)->child_count, 1);
    list(world, "status=many");
    assert_int_equal(world->status, 400);
}

static void
what_there_is_not_is_said_to_be_missing(void **state)
{
    struct t_world *world = *state;
    do_work(world, "");
    retrieve(world, "req_0000000000000000000001");
    assert_int_equal(world->status, 404);
    retrieve(world, "nonsense");
    assert_int_equal(world->status, 404);
    list(world, "starting_after=req_0000000000000000000001");
    assert_int_equal(world->status, 400);
}

static void
who_has_no_key_is_not_logged(void **state)
{
    struct t_world *world = *state;
    ask_with(world, &work_route, "", "", "sk_test_unknown");
    assert_int_equal(world->status, 401);
    ask_with(world, &work_route, "", "", "");
    assert_int_equal(world->status, 401);
    assert_int_equal(requests_health(world->requests).noted, 0);
}

/* REQUESTS-4 */
static void
another_merchant_sees_its_own_only(void **state)
{
    struct t_world *world = *state;
    char other[ID_TEXT_SIZE];
    char key[RESOURCE_KEY_TEXT_SIZE];
    char first[ID_TEXT_SIZE];
    uint32_t count;
    const struct resource_route *routes = requests_routes(world->requests, &count);
    assert_int_equal(resource_merchant_create(world->runtime, "Other", other), ERR_OK);
    assert_int_equal(
        resource_key_create(world->runtime, other, RESOURCE_KEY_SECRET, false, "first", NULL, key),
        ERR_OK);
    do_work(world, "");
    memcpy(first, world->last, sizeof(first));
    ask_with(world, &work_route, "", "", key);
    ask_with(world, &routes[1], first, "", key);
    assert_int_equal(world->status, 404);
    ask_with(world, &routes[0], "", "", key);
    assert_int_equal(data(world)->child_count, 1);
}

/* REQUESTS-3 */
static void
the_log_is_bounded_in_number(void **state)
{
    struct t_world *world = *state;
    uint32_t seen = 0;
    char form[128] = "limit=100";
    for (uint32_t i = 0; i < KEEP_MAX + 3000; i++) {
        do_work(world, "");
    }
    advance(world, 60);
    do {
        list(world, form);
        uint32_t count = data(world)->child_count;
        seen += count;
        (void)snprintf(form, sizeof(form), "limit=100&starting_after=%s", id_at(world, count - 1));
    } while (has_more(world));
    assert_in_range(seen, KEEP_MAX, KEEP_MAX + REQUESTS_PAGE_ENTRIES_MAX);
}

static void
the_log_is_bounded_in_time(void **state)
{
    struct t_world *world = *state;
    char first[ID_TEXT_SIZE];
    do_work(world, "");
    memcpy(first, world->last, sizeof(first));
    advance(world, KEEP_S - 10);
    do_work(world, "");
    retrieve(world, first);
    assert_int_equal(world->status, 200);
    advance(world, 60);
    retrieve(world, first);
    assert_int_equal(world->status, 404);
    list(world, "");
    assert_int_equal(data(world)->child_count, 1);
}

/* REQUESTS-3: a page that cannot be read stays, and those behind it go. */
static void
a_damaged_page_keeps_no_other(void **state)
{
    struct t_world *world = *state;
    char second[ID_TEXT_SIZE];
    do_work(world, "");
    advance(world, 2);
    damage(world, false);
    do_work(world, "");
    memcpy(second, world->last, sizeof(second));
    advance(world, KEEP_S + 60);
    retrieve(world, second);
    assert_int_equal(world->status, 404);
}

/* REQUESTS-2 */
static void
a_page_that_cannot_be_written_is_counted(void **state)
{
    struct t_world *world = *state;
    do_work(world, "");
    do_work(world, "");
    world->commit_fails = ERR_IO;
    advance(world, 1);
    assert_int_equal(requests_health(world->requests).lost, 2);
    assert_int_equal(requests_health(world->requests).waiting, 0);
    do_work(world, "");
    list(world, "");
    assert_int_equal(data(world)->child_count, 1);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(what_was_answered_can_be_read_at_once),
        IN_WORLD(it_is_written_without_being_asked_for),
        IN_WORLD(a_drain_writes_what_waits),
        IN_WORLD(lists_are_pages_in_both_directions),
        IN_WORLD(what_cannot_be_read_is_left_out),
        IN_WORLD(a_list_is_filtered),
        IN_WORLD(what_there_is_not_is_said_to_be_missing),
        IN_WORLD(who_has_no_key_is_not_logged),
        IN_WORLD(another_merchant_sees_its_own_only),
        IN_WORLD(the_log_is_bounded_in_number),
        IN_WORLD(the_log_is_bounded_in_time),
        IN_WORLD(a_damaged_page_keeps_no_other),
        IN_WORLD(a_page_that_cannot_be_written_is_counted),
    };
    return cmocka_run_group_tests_name("requests", tests, NULL, NULL);
}
