/*
 * Against a real server (TEST_REDIS, tools/with-redis): two processes' clients, and a connection of
 * the test itself, which looks, spoils and breaks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "redis/redis.h"
#include "text.h"

#include "base/list.h"
#include "os/clock.h"
#include "os/loop_real.h"

#include <hiredis/hiredis.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIFE_MS UINT64_C(60000)
#define WAIT_MS 30000
/* What a test waits for Redis that is there, and Redis that is not to answer. */
#define PATIENT_MS   WAIT_MS
#define IMPATIENT_MS 2000

/* One process. */
struct t_client {
    struct net_loop *net;
    struct os_loop *loop;
    struct redis *redis;
    struct port_cache *port;
    struct port_cache_user user;
    struct port_cache_ask ask;
    sem_t answered;
    atomic_int hears;       /* -1: not told yet */
    atomic_int hears_calls; /* how often */
    atomic_int heard;
    struct cache_key heard_key;
    uint64_t heard_version;
};

struct t_world {
    struct t_client a, b;
    redisContext *self;
};

static void
pause_ms(long ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000L};
    (void)nanosleep(&pause, NULL);
}

static void
wait_for(atomic_int *value, int wanted)
{
    for (int i = 0; i < WAIT_MS / 2 && atomic_load(value) != wanted; i++) {
        pause_ms(2);
    }
    assert_int_equal(atomic_load(value), wanted);
}

static void
on_forget(struct port_cache_user *user, const struct cache_key *key, uint64_t version)
{
    struct t_client *client = CONTAINER_OF(user, struct t_client, user);
    client->heard_key = *key;
    client->heard_version = version;
    atomic_fetch_add(&client->heard, 1);
}

static void
on_hears(struct port_cache_user *user, bool hears)
{
    struct t_client *client = CONTAINER_OF(user, struct t_client, user);
    atomic_store(&client->hears, hears ? 1 : 0);
    atomic_fetch_add(&client->hears_calls, 1);
}

static void
on_answered(struct port_cache_ask *ask)
{
    (void)sem_post(&CONTAINER_OF(ask, struct t_client, ask)->answered);
}

static void
client_start(struct t_client *client, uint32_t timeout_ms)
{
    char message[REDIS_MESSAGE_SIZE];
    memset(client, 0, sizeof(*client));
    atomic_store(&client->hears, -1);
    assert_int_equal(sem_init(&client->answered, 0, 0), 0);
    assert_int_equal(net_loop_create("net", &client->net), ERR_OK);
    assert_int_equal(os_loop_create("user", os_clock_real(), &client->loop), ERR_OK);
    client->user = (struct port_cache_user){
        .executor = os_loop_executor(client->loop), .forget = on_forget, .hears = on_hears};
    const struct redis_parts parts = {
        .loop = client->net,
        .entropy = os_entropy_real(),
        .url = getenv("TEST_REDIS"),
        .prefix = "t:",
        .timeout_ms = timeout_ms,
        .retry_ms = 50,
        .waiting_max = 64,
    };
    assert_non_null(parts.url);
    assert_int_equal(redis_create(&parts, &client->redis, message), ERR_OK);
    client->port = redis_port(client->redis);
    client->port->use(client->port, &client->user);
    assert_int_equal(net_loop_start(client->net), ERR_OK);
    assert_int_equal(os_loop_start(client->loop), ERR_OK);
    redis_start(client->redis);
}

static void
client_stop(struct t_client *client)
{
    redis_stop(client->redis);
    net_loop_stop(client->net);
    os_loop_stop(client->loop);
    redis_destroy(&client->redis);
    net_loop_destroy(&client->net);
    os_loop_destroy(client->loop);
    (void)sem_destroy(&client->answered);
}

static void
wait_connected(struct t_client *client)
{
    for (int i = 0; i < WAIT_MS / 2 && !redis_connected(client->redis); i++) {
        pause_ms(2);
    }
    assert_true(redis_connected(client->redis));
}

static void
command(struct t_world *world, const char *text)
{
    redisReply *reply = redisCommand(world->self, text);
    assert_non_null(reply);
    assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
}

static int
setup_with(void **state, uint32_t timeout_ms)
{
    struct t_world *world = calloc(1, sizeof(*world));
    struct redis_url url;
    char message[REDIS_MESSAGE_SIZE];
    assert_non_null(world);
    assert_true(redis_url_parse(span_from_cstr(getenv("TEST_REDIS")), &url, message));
    world->self = redisConnect(url.host, url.port);
    assert_non_null(world->self);
    assert_int_equal(world->self->err, 0);
    command(world, "FLUSHALL");
    client_start(&world->a, timeout_ms);
    client_start(&world->b, timeout_ms);
    wait_connected(&world->a);
    wait_connected(&world->b);
    wait_for(&world->a.hears, 1);
    wait_for(&world->b.hears, 1);
    *state = world;
    return 0;
}

static int
setup(void **state)
{
    return setup_with(state, PATIENT_MS);
}

static int
setup_impatient(void **state)
{
    return setup_with(state, IMPATIENT_MS);
}

static int
teardown(void **state)
{
    struct t_world *world = *state;
    client_stop(&world->a);
    client_stop(&world->b);
    redisFree(world->self);
    free(world);
    return 0;
}

static const struct cache_key key = {{0xab, 1, 2, 3}};
#define NAME "t:r:ab010203000000000000000000000000"

static enum port_cache_answer
ask(struct t_client *client)
{
    client->ask.done = on_answered;
    client->ask.key = key;
    client->ask.life_ms = LIFE_MS;
    client->port->ask(client->port, &client->ask);
    while (sem_wait(&client->answered) != 0) {
    }
    return client->ask.answer;
}

/* Returns when Redis has done it. */
static void
store(struct t_client *client, uint64_t lease, uint64_t version, const char *value)
{
    client->port->store(client->port, &key, lease, version, span_from_cstr(value), LIFE_MS);
    /* Of one connection Redis answers in order. */
    client->ask.done = on_answered;
    client->ask.key = (struct cache_key){{9}};
    client->ask.life_ms = LIFE_MS;
    client->port->ask(client->port, &client->ask);
    while (sem_wait(&client->answered) != 0) {
    }
}

/* Returns when both have heard it. */
static void
forget(struct t_world *world, struct t_client *client, uint64_t version)
{
    int a = atomic_load(&world->a.heard);
    int b = atomic_load(&world->b.heard);
    client->port->forget(client->port, &key, version, LIFE_MS);
    wait_for(&world->a.heard, a + 1);
    wait_for(&world->b.heard, b + 1);
}

static void
expect_found(struct t_client *client, uint64_t version, const char *value)
{
    assert_int_equal(ask(client), PORT_CACHE_FOUND);
    assert_int_equal(client->ask.version, version);
    assert_int_equal(client->ask.size, strlen(value));
    assert_memory_equal(client->ask.value, value, strlen(value));
}

/* ----------------------------------------------------------------------------------- the rules */

static void
test_what_one_stores_the_other_finds(void **state)
{
    struct t_world *world = *state;
    assert_int_equal(ask(&world->a), PORT_CACHE_LEASED);
    uint64_t lease = world->a.ask.lease;
    assert_int_equal(ask(&world->b), PORT_CACHE_TAKEN);
    store(&world->a, lease, 1, "one");
    expect_found(&world->b, 1, "one");
    expect_found(&world->a, 1, "one");
}

/* The race, step by step: reader loads old, writer forgets, reader stores old. */
static void
test_a_reader_that_was_overtaken_stores_nothing(void **state)
{
    struct t_world *world = *state;
    assert_int_equal(ask(&world->a), PORT_CACHE_LEASED);
    uint64_t lease = world->a.ask.lease;
    /* a has read version 1 from the database; b commits version 2 */
    forget(world, &world->b, 2);
    store(&world->a, lease, 1, "one");
    assert_int_equal(ask(&world->b), PORT_CACHE_LEASED);
    /* Also not when it comes once more, with the lease of another one there. */
    store(&world->a, lease, 1, "one");
    assert_int_equal(ask(&world->a), PORT_CACHE_TAKEN);
    store(&world->b, world->b.ask.lease, 1, "one");
    assert_int_equal(ask(&world->a), PORT_CACHE_TAKEN);
}

static void
test_not_below_a_version_that_was_told_of(void **state)
{
    struct t_world *world = *state;
    forget(world, &world->b, 5);
    assert_int_equal(ask(&world->a), PORT_CACHE_LEASED);
    uint64_t lease = world->a.ask.lease;
    store(&world->a, lease, 4, "four"); /* from a replica that is behind, say */
    assert_int_equal(ask(&world->b), PORT_CACHE_TAKEN);
    store(&world->a, lease, 5, "five");
    expect_found(&world->b, 5, "five");
    /* What was told late takes nothing away. */
    forget(world, &world->b, 5);
    expect_found(&world->b, 5, "five");
    forget(world, &world->b, UINT64_C(9007199254740993)); /* more than a double tells apart */
    assert_int_equal(ask(&world->a), PORT_CACHE_LEASED);
    store(&world->a, world->a.ask.lease, UINT64_C(9007199254740992), "old");
    assert_int_equal(ask(&world->b), PORT_CACHE_TAKEN);
}

/* Redis forgot everything (restart, eviction) between the question and the value. */
static void
test_overtaken_in_a_redis_that_forgot_it(void **state)
{
    struct t_world *world = *state;
    assert_int_equal(ask(&world->a), PORT_CACHE_LEASED);
    uint64_t lease = world->a.ask.lease;
    forget(world, &world->b, 2);
    command(world, "FLUSHALL");
    store(&world->a, lease, 1, "one");
    assert_int_equal(ask(&world->b), PORT_CACHE_LEASED);
}

static void
test_what_is_changed_is_heard(void **state)
{
    struct t_world *world = *state;
    assert_int_equal(ask(&world->a), PORT_CACHE_LEASED);
    store(&world->a, world->a.ask.lease, 3, "three");
    expect_found(&world->b, 3, "three");
    forget(world, &world->a, CACHE_VERSION_NONE);
    assert_memory_equal(&world->b.heard_key, &key, sizeof(key));
    assert_true(world->b.heard_version == CACHE_VERSION_NONE);
    assert_int_equal(ask(&world->b), PORT_CACHE_LEASED);
    forget(world, &world->a, CACHE_VERSION_GONE);
    assert_true(world->b.heard_version == CACHE_VERSION_GONE);
}

static void
test_everything_expires(void **state)
{
    struct t_world *world = *state;
    assert_int_equal(ask(&world->a), PORT_CACHE_LEASED);
    store(&world->a, world->a.ask.lease, 1, "one");
    redisReply *reply = redisCommand(world->self, "PTTL " NAME);
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    assert_true(reply->integer > 0);
    assert_true(reply->integer <= (long long)LIFE_MS);
    freeReplyObject(reply);
}

/* ---------------------------------------------------------------------------- not to be trusted */

static void
test_foreign_things_are_nothing(void **state)
{
    struct t_world *world = *state;
    static const char *const spoils[] = {
        "SET " NAME " hello",
        "SET " NAME " V0000000000000000000x",
        "SET " NAME " V1",
        "RPUSH " NAME " V00000000000000000001",
        "SETRANGE " NAME " 20000 V00000000000000000001",
        "HSET " NAME " V 1",
    };
    for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
        command(world, "DEL " NAME);
        command(world, spoils[i]);
        assert_int_equal(ask(&world->a), PORT_CACHE_LEASED);
        store(&world->a, world->a.ask.lease, 2, "two");
        expect_found(&world->b, 2, "two");
    }
}

static void
test_foreign_words_are_not_heard(void **state)
{
    struct t_world *world = *state;
    int before = atomic_load(&world->a.heard);
    command(world, "PUBLISH t:told hello");
    command(world, "PUBLISH t:told f00");
    forget(world, &world->b, 2);
    assert_int_equal(atomic_load(&world->a.heard), before + 1);
}

/* ----------------------------------------------------------------------------------------- lost */

static void
test_connections_break_and_come_back(void **state)
{
    struct t_world *world = *state;
    int calls = atomic_load(&world->a.hears_calls);
    command(world, "CLIENT KILL TYPE pubsub");
    wait_for(&world->a.hears_calls, calls + 2); /* deaf, and hearing again */
    wait_for(&world->a.hears, 1);
    command(world, "CLIENT KILL TYPE normal SKIPME yes");
    for (int i = 0; i < WAIT_MS / 10; i++) {
        if (ask(&world->a) == PORT_CACHE_LEASED) {
            break;
        }
        pause_ms(10);
    }
    store(&world->a, world->a.ask.lease, 1, "one");
    /* The lease may be of the first of these questions, which was answered to nobody. */
    assert_int_not_equal(ask(&world->a), PORT_CACHE_LOST);
}

static void
test_scripts_that_went_are_loaded_again(void **state)
{
    struct t_world *world = *state;
    command(world, "SCRIPT FLUSH");
    assert_int_equal(ask(&world->a), PORT_CACHE_LOST);
    wait_connected(&world->a);
    enum port_cache_answer answer = PORT_CACHE_LOST;
    for (int i = 0; i < WAIT_MS / 10 && answer == PORT_CACHE_LOST; i++) {
        pause_ms(10);
        answer = ask(&world->a);
    }
    assert_int_equal(answer, PORT_CACHE_LEASED);
}

/* It is there, and does not answer: nobody waits for longer than the time-out. */
static void
test_no_answer_in_time(void **state)
{
    struct t_world *world = *state;
    int calls = atomic_load(&world->b.hears_calls);
    command(world, "CLIENT PAUSE 5000 ALL");
    uint64_t began_ns = net_now_ns();
    assert_int_equal(ask(&world->a), PORT_CACHE_LOST);
    assert_true(net_now_ns() - began_ns >= (IMPATIENT_MS - 100) * OS_NS_PER_MS);
    /* Then at once, until there is a connection again. */
    began_ns = net_now_ns();
    assert_int_equal(ask(&world->a), PORT_CACHE_LOST);
    assert_true(net_now_ns() - began_ns < (IMPATIENT_MS - 100) * OS_NS_PER_MS);
    wait_connected(&world->a);
    wait_for(&world->b.hears, 1);
    assert_true(atomic_load(&world->b.hears_calls) > calls); /* it noticed the silence */
}

/* More than may wait: what is told is lost, and nothing else. */
static void
test_what_is_on_its_way_is_bounded(void **state)
{
    struct t_world *world = *state;
    for (uint64_t i = 1; i <= 5000; i++) {
        world->a.port->forget(world->a.port, &key, i, LIFE_MS);
    }
    wait_for(&world->b.hears, 1);
    assert_int_not_equal(ask(&world->b), PORT_CACHE_LOST);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_one_stores_the_other_finds, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_a_reader_that_was_overtaken_stores_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_below_a_version_that_was_told_of, setup, teardown),
        cmocka_unit_test_setup_teardown(test_overtaken_in_a_redis_that_forgot_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_changed_is_heard, setup, teardown),
        cmocka_unit_test_setup_teardown(test_everything_expires, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_things_are_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_words_are_not_heard, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connections_break_and_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scripts_that_went_are_loaded_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_answer_in_time, setup_impatient, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_on_its_way_is_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
