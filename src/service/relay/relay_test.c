/*
 * The relay on the simulated machine: events of several merchants, operations that take theirs
 * back, a broker that refuses, takes a part, or answers late, a database whose commits fail, and a
 * process that dies between any two steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/relay.h"

#include "base/list.h"
#include "os/sim.h"
#include "json/json.h"

#include "resource/event.h"
#include "resource/merchants.h"
#include "resource_testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define T_MERCHANTS    3
#define T_MESSAGES_MAX 20000
#define T_STEPS_MAX    4000000
#define T_COMMIT_FAILS 16 /* of 256 */

struct t_message {
    char id[ID_TEXT_SIZE];
    char key[ID_TEXT_SIZE];
    char account[ID_TEXT_SIZE];
    bool livemode;
};

struct t_world {
    struct os_sim *sim;
    struct os_loop *loop;
    char folder[64];
    char database[96];
    struct document_store *documents;
    struct resource_runtime *runtime;
    struct relay *relay;
    struct port_broker broker;
    uint64_t random;
    unsigned broker_fails; /* of 256 */
    unsigned commit_fails; /* of 256 */
    uint32_t room;         /* messages that it takes of a request, and says so; 0: all */
    uint32_t published;    /* requests */
    uint32_t largest;
    struct t_message *messages; /* that the broker has, in its order */
    uint32_t message_count;
    struct list flights;
    uint32_t logged; /* lines about what is damaged */
};

static bool dead;                 /* nothing becomes durable any more */
static struct t_world *the_world; /* for the commit of a store, which knows no world */
static const struct document_store_ops *sqlite_ops;
static struct document_store_ops failing_ops;

static unsigned
draw(struct t_world *world, unsigned below)
{
    world->random = world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(world->random >> 33) % below;
}

/* ------------------------------------------------------------------------------- a small object */

struct t_thing {
    struct resource_header header;
};

static void thing_render(struct resource_render *render, const void *document);

static const struct document_kind thing_kind = {.name = "thing"};
static const struct resource_type thing_type = {
    .object = "thing",
    .prefix = "th_",
    .kind = &thing_kind,
    .struct_size = sizeof(struct t_thing),
    .render = thing_render,
};

static void
thing_render(struct resource_render *render, const void *document)
{
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &thing_type, document);
    json_object_end(json);
}

struct emission {
    uint32_t count;
    bool refused;
};

/* So many events of one new object. */
static void
emit_run(struct resource_op *op)
{
    struct emission *emission = resource_op_state(op);
    struct emission what = *emission;
    free(emission);
    struct t_thing *thing = resource_new(op, &thing_type);
    assert_non_null(thing);
    err_t result = resource_save(op, &thing_type, thing);
    for (uint32_t i = 0; i < what.count && result == ERR_OK; i++) {
        result = resource_emit(op, "thing.updated", &thing_type, thing, SPAN_EMPTY);
    }
    if (result != ERR_OK) {
        resource_internal(op, result, "emitting");
    } else if (what.refused) {
        resource_invalid(op, NULL, "thing", "No good.");
    } else {
        resource_finish(op);
    }
}

static void
emit(struct t_world *world, uint64_t scope, uint32_t count, bool refused)
{
    struct emission *emission = calloc(1, sizeof(*emission));
    assert_non_null(emission);
    *emission = (struct emission){.count = count, .refused = refused};
    assert_int_equal(
        resource_start_internal(world->runtime, scope, NULL, emit_run, emission), ERR_OK);
}

/* ------------------------------------------------------------------------------------ the broker
 */

struct flight {
    struct os_timer timer;
    struct list_link link;
    struct t_world *world;
    struct port_broker_request *request;
};

static void
copy(char out[ID_TEXT_SIZE], struct span text)
{
    assert_true(text.size > 0 && text.size < ID_TEXT_SIZE);
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
}

static void
take(struct t_world *world, const struct port_broker_message *message)
{
    assert_true(world->message_count < T_MESSAGES_MAX);
    struct t_message *taken = &world->messages[world->message_count++];
    copy(taken->id, message->id);
    copy(taken->key, message->key);
    copy(taken->account, message->account);
    taken->livemode = message->livemode;
    assert_true(span_starts_with(message->body, SPAN("{\"id\":\"evt_")));
    assert_true(span_ends_with(message->body, SPAN("\"type\":\"thing.updated\"}")));
    assert_memory_equal(message->body.data + 7, message->id.data, message->id.size);
}

static void
flight_lands(struct os_timer *timer)
{
    struct flight *flight = CONTAINER_OF(timer, struct flight, timer);
    struct t_world *world = flight->world;
    struct port_broker_request *request = flight->request;
    bool fails = draw(world, 256) < world->broker_fails;
    uint32_t taken = fails ? draw(world, request->count + 1) : request->count;
    taken = world->room != 0 && taken > world->room ? world->room : taken;
    for (uint32_t i = 0; i < taken; i++) {
        take(world, &request->messages[i]);
    }
    request->error = taken < request->count || fails ? ERR_OUTCOME_UNKNOWN : ERR_OK;
    request->confirmed = fails ? 0 : taken;
    list_remove(&flight->link);
    free(flight);
    request->done(request);
}

static void
publish(struct port_broker *port, struct port_broker_request *request)
{
    struct t_world *world = CONTAINER_OF(port, struct t_world, broker);
    assert_true(request->count > 0 && request->count <= PORT_BROKER_MESSAGES_MAX);
    assert_true(list_is_empty(&world->flights)); /* one at a time (RELAY-3) */
    world->published++;
    world->largest = request->count > world->largest ? request->count : world->largest;
    struct flight *flight = calloc(1, sizeof(*flight));
    assert_non_null(flight);
    flight->timer.fire = flight_lands;
    flight->world = world;
    flight->request = request;
    list_push_back(&world->flights, &flight->link);
    os_timer_arm(
        world->loop,
        &flight->timer,
        os_monotonic_ns(os_sim_clock(world->sim)) + draw(world, 20) * OS_NS_PER_MS);
}

/* ------------------------------------------------------------------------------------- the world
 */

static err_t
failing_commit(struct document_store *store)
{
    if (dead || draw(the_world, 256) < the_world->commit_fails) {
        sqlite_ops->rollback(store);
        return ERR_DATABASE;
    }
    return sqlite_ops->commit(store);
}

static void
count_damaged(
    void *context,
    const char *request_id,
    const struct trace_context *trace,
    err_t code,
    const char *what)
{
    struct t_world *world = context;
    (void)trace;
    (void)request_id;
    (void)what;
    world->logged += code == ERR_CORRUPT ? 1 : 0;
}

static void
documents_open(struct t_world *world)
{
    const struct document_kind *kinds[8];
    uint32_t count = 0;
    for (; count < relay_kind_count; count++) {
        kinds[count] = relay_kinds[count];
    }
    kinds[count++] = &thing_kind;
    world->documents = t_documents_open(world->database, kinds, count);
    sqlite_ops = world->documents->ops;
    failing_ops = *sqlite_ops;
    failing_ops.commit = failing_commit;
    world->documents->ops = &failing_ops;
}

static void
open_all(struct t_world *world)
{
    assert_int_equal(os_loops_create(os_sim_loops(world->sim), "api", &world->loop), ERR_OK);
    documents_open(world);
    struct resource_parts parts = t_runtime_parts(world->sim, world->loop, world->documents);
    parts.log = count_damaged;
    parts.log_context = world;
    assert_int_equal(resource_runtime_create(&parts, &world->runtime), ERR_OK);
    const struct relay_parts relay = {
        .runtime = world->runtime,
        .loop = world->loop,
        .clock = os_sim_clock(world->sim),
        .entropy = os_sim_entropy(world->sim),
        .documents = world->documents,
        .broker = &world->broker,
        .settings = relay_settings_default(),
    };
    assert_int_equal(relay_create(&relay, &world->relay), ERR_OK);
    assert_int_equal(relay_start(world->relay), ERR_OK);
    assert_int_equal(os_loop_start(world->loop), ERR_OK);
}

/* The process dies as it stands; whatever was not committed is gone. */
static void
crash(struct t_world *world)
{
    dead = true; /* a loop that stops runs what waits, to no effect */
    os_loop_stop(world->loop);
    LIST_FOREACH_SAFE (&world->flights, link) {
        list_remove(link);
        free(CONTAINER_OF(link, struct flight, link));
    }
    resource_runtime_destroy(&world->runtime);
    relay_destroy(&world->relay);
    world->documents->ops->close(world->documents);
    os_loop_destroy(world->loop);
    dead = false;
}

static int
setup(void **state)
{
    struct t_world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    the_world = world;
    world->messages = calloc(T_MESSAGES_MAX, sizeof(*world->messages));
    assert_non_null(world->messages);
    assert_int_equal(os_sim_create(1, &world->sim), ERR_OK);
    (void)snprintf(world->folder, sizeof(world->folder), "/tmp/relay_test_XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    (void)snprintf(world->database, sizeof(world->database), "sqlite:%s/d.db", world->folder);
    world->broker.publish = publish;
    world->random = 1;
    list_init(&world->flights);
    open_all(world);
    for (int i = 0; i < T_MERCHANTS; i++) {
        char merchant[ID_TEXT_SIZE];
        assert_int_equal(resource_merchant_create(world->runtime, "Shop", merchant), ERR_OK);
    }
    *state = world;
    return 0;
}

static int
teardown(void **state)
{
    struct t_world *world = *state;
    crash(world);
    os_sim_destroy(&world->sim);
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/d.db", world->folder);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/d.db-wal", world->folder);
    (void)unlink(path);
    assert_int_equal(rmdir(world->folder), 0);
    free(world->messages);
    free(world);
    return 0;
}

static void
run_for(struct t_world *world, uint64_t milliseconds)
{
    assert_true(os_sim_run_for(world->sim, milliseconds * OS_NS_PER_MS, T_STEPS_MAX));
}

/* ----------------------------------------------------------------------------------- what holds */

/* The first time that the broker took it; UINT32_MAX: never. */
static uint32_t
position_of(const struct t_world *world, struct span id)
{
    for (uint32_t i = 0; i < world->message_count; i++) {
        if (span_equal_cstr(id, world->messages[i].id)) {
            return i;
        }
    }
    return UINT32_MAX;
}

struct check {
    struct t_world *world;
    uint32_t last; /* position of the scope's event before */
    uint32_t count;
    uint32_t damaged;
};

#define T_DAMAGED SPAN("no event of ours")

/* Oldest first: each is there, behind the one before (RELAY-1, RELAY-3). */
static bool
check_event(void *context, const struct document_row *row)
{
    struct check *check = context;
    uint32_t position = position_of(check->world, row->id);
    if (span_equal(row->body, T_DAMAGED) && position == UINT32_MAX) {
        check->damaged++;
        return true;
    }
    assert_int_not_equal(position, UINT32_MAX);
    assert_true(check->count == 0 || position > check->last);
    assert_int_equal(check->world->messages[position].livemode, row->scope & 1);
    check->last = position;
    check->count++;
    return true;
}

static uint32_t
check_all(struct t_world *world)
{
    uint32_t stored = 0;
    for (uint64_t scope = 2; scope < 2 * T_MERCHANTS + 2; scope++) {
        struct check check = {.world = world};
        const struct document_query query = {
            .scope = scope,
            .range_column = UINT32_MAX,
            .oldest_first = true,
            .limit = UINT32_MAX,
        };
        assert_int_equal(
            sqlite_ops->list(
                world->documents, resource_event_type.kind, &query, check_event, &check),
            ERR_OK);
        stored += check.count;
    }
    /* What was taken back was never told (RELAY-2). */
    uint32_t different = 0;
    for (uint32_t i = 0; i < world->message_count; i++) {
        different += position_of(world, span_from_cstr(world->messages[i].id)) == i ? 1 : 0;
    }
    assert_int_equal(different, stored);
    return stored;
}

/* ---------------------------------------------------------------------------------------- tests */

static void
test_in_order(void **state)
{
    struct t_world *world = *state;
    for (uint32_t i = 0; i < 10; i++) {
        emit(world, 2, 3, false);
        emit(world, 3, 1, false);
        emit(world, 4, 2, true);
        run_for(world, 5);
    }
    run_for(world, 1000);
    assert_int_equal(check_all(world), 40);
    assert_int_equal(world->message_count, 40); /* once each, as nothing failed */
    assert_int_equal(relay_health(world->relay).published, 40);
    assert_int_equal(relay_health(world->relay).retries, 0);
    assert_int_equal(relay_health(world->relay).lag_s, 0);
}

static void
test_a_restart_goes_on_where_it_was(void **state)
{
    struct t_world *world = *state;
    emit(world, 2, 5, false);
    run_for(world, 1000);
    crash(world);
    open_all(world);
    emit(world, 2, 5, false);
    run_for(world, 1000);
    assert_int_equal(check_all(world), 10);
    assert_int_equal(world->message_count, 10);
}

/* A broker that is away for an hour: everything waits, nothing piles up in memory, and then all of
 * it comes. */
static void
test_away_for_an_hour(void **state)
{
    struct t_world *world = *state;
    world->broker_fails = 256;
    for (uint32_t minute = 0; minute < 60; minute++) {
        for (uint64_t scope = 2; scope < 6; scope++) {
            emit(world, scope, 20, false);
        }
        run_for(world, 60000);
    }
    assert_true(relay_health(world->relay).lag_s > 3500);
    assert_true(world->published < 60 * 60); /* it backs off */
    assert_int_equal(relay_health(world->relay).published, 0);
    world->broker_fails = 0;
    run_for(world, 60000);
    assert_int_equal(check_all(world), 60 * 4 * 20);
    assert_int_equal(relay_health(world->relay).lag_s, 0);
    assert_true(world->largest <= PORT_BROKER_MESSAGES_MAX);
}

/* It takes a few at a time and refuses the rest: nothing is sent again that it has. */
static void
test_a_broker_that_is_full(void **state)
{
    struct t_world *world = *state;
    world->room = 7;
    for (uint64_t scope = 2; scope < 6; scope++) {
        emit(world, scope, 100, false);
    }
    run_for(world, 60000);
    assert_int_equal(check_all(world), 400);
    assert_int_equal(world->message_count, 400);
    assert_int_equal(relay_health(world->relay).published, 400);
    assert_int_equal(relay_health(world->relay).lag_s, 0);
}

static void
test_a_batch_has_a_maximum(void **state)
{
    struct t_world *world = *state;
    world->broker_fails = 256;
    emit(world, 2, 1, false);
    run_for(world, 100);
    for (uint32_t i = 0; i < 40; i++) {
        emit(world, 2 + i % 6, 100, false);
        run_for(world, 10);
    }
    world->broker_fails = 0;
    run_for(world, 120000);
    assert_int_equal(check_all(world), 4001);
    assert_true(world->largest > 500);
    assert_true(world->largest <= PORT_BROKER_MESSAGES_MAX);
}

static void
test_drain(void **state)
{
    struct t_world *world = *state;
    emit(world, 2, 5, false);
    run_for(world, 1);
    relay_drain(world->relay);
    run_for(world, 1000);
    assert_true(relay_is_drained(world->relay));
    uint32_t published = world->published;
    emit(world, 2, 5, false);
    run_for(world, 1000);
    assert_int_equal(world->published, published);
    crash(world);
    open_all(world);
    run_for(world, 1000);
    assert_int_equal(check_all(world), 10);
}

struct chosen {
    char ids[300][ID_TEXT_SIZE];
    uint32_t count;
};

static bool
choose_row(void *context, const struct document_row *row)
{
    struct chosen *chosen = context;
    assert_true(row->id.size < ID_TEXT_SIZE);
    memcpy(chosen->ids[chosen->count++], row->id.data, row->id.size);
    return true;
}

/* The `count` oldest events of the scope, but for the first `after` of them. */
static void
damage(struct t_world *world, uint64_t scope, uint32_t after, uint32_t count)
{
    static struct chosen chosen;
    struct document_store *store = world->documents;
    struct arena arena;
    const struct document_query query = {
        .scope = scope,
        .range_column = UINT32_MAX,
        .oldest_first = true,
        .limit = after + count,
    };
    memset(&chosen, 0, sizeof(chosen));
    assert_int_equal(
        store->ops->list(store, resource_event_type.kind, &query, choose_row, &chosen), ERR_OK);
    assert_int_equal(chosen.count, after + count);
    arena_init(&arena, 16U << 20);
    assert_int_equal(store->ops->begin(store), ERR_OK);
    for (uint32_t i = after; i < chosen.count; i++) {
        struct document_row row;
        struct span id = span_from_cstr(chosen.ids[i]);
        assert_int_equal(
            store->ops->get(store, resource_event_type.kind, scope, id, &arena, &row), ERR_OK);
        row.body = T_DAMAGED;
        assert_int_equal(store->ops->update(store, resource_event_type.kind, &row), ERR_OK);
    }
    assert_int_equal(store->ops->commit(store), ERR_OK);
    arena_release(&arena);
}

/* It is passed, told of once, and not looked at again; also where nothing else is there, and where
 * there are more than one look reads. */
static void
test_what_cannot_be_read_is_passed(void **state)
{
    struct t_world *world = *state;
    world->broker_fails = 256;
    emit(world, 2, 1, false);
    emit(world, 3, 4, false);
    emit(world, 4, 280, false);
    emit(world, 5, 3, false);
    run_for(world, 1);
    crash(world);
    open_all(world);
    damage(world, 2, 0, 1);
    damage(world, 3, 1, 2);
    damage(world, 4, 0, 260);
    world->broker_fails = 0;
    run_for(world, 60000);
    assert_int_equal(check_all(world), 2 + 20 + 3);
    assert_int_equal(relay_health(world->relay).published, 2 + 20 + 3);
    assert_int_equal(world->logged, 1 + 2 + 260);
    emit(world, 2, 1, false);
    emit(world, 4, 1, false);
    run_for(world, 1000);
    crash(world);
    open_all(world);
    run_for(world, 1000);
    assert_int_equal(check_all(world), 2 + 20 + 3 + 2);
    assert_int_equal(world->logged, 1 + 2 + 260);
    assert_int_equal(relay_health(world->relay).lag_s, 0);
}

/* Everything at once, with crashes at any time. */
static void
test_any_trouble(void **state)
{
    struct t_world *world = *state;
    const char *long_run = getenv("TEST_LONG");
    unsigned rounds = long_run != NULL ? 40 : 4;
    uint32_t crashes = 0;
    for (unsigned seed = 0; seed < rounds; seed++) {
        world->random = seed + 1;
        world->broker_fails = 64;
        world->commit_fails = T_COMMIT_FAILS;
        for (uint32_t i = 0; i < 60; i++) {
            emit(world, 2 + draw(world, 2 * T_MERCHANTS), 1 + draw(world, 6), draw(world, 4) == 0);
            run_for(world, draw(world, 40));
            if (draw(world, 12) == 0) {
                crash(world);
                world->commit_fails = 0; /* not while it opens */
                open_all(world);
                world->commit_fails = T_COMMIT_FAILS;
                crashes++;
            }
        }
        world->broker_fails = 0;
        world->commit_fails = 0;
        run_for(world, 120000);
        (void)check_all(world);
    }
    assert_true(crashes > 0);
    assert_int_equal(relay_health(world->relay).lag_s, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_in_order),
        TEST(test_a_restart_goes_on_where_it_was),
        TEST(test_away_for_an_hour),
        TEST(test_a_broker_that_is_full),
        TEST(test_a_batch_has_a_maximum),
        TEST(test_drain),
        TEST(test_what_cannot_be_read_is_passed),
        TEST(test_any_trouble),
    };
    return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
