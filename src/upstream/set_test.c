/* The set: added and removed at run time, followed from a name and a file; from many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/sanitized.h"

#include "testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct t_world world;
static struct t_load load;

static struct upstream_settings
base(void)
{
    struct upstream_settings settings = upstream_settings_default;
    settings.policy = BALANCE_SMOOTH;
    settings.slow_start_ms = 0;
    return settings;
}

static uint32_t
requests_of(uint32_t number)
{
    return atomic_load(&world.backends[number].requests);
}

/* ---- the resolver of this program: one name, whose addresses the test chooses ---------------- */

static atomic_uint resolved; /* bit i: 127.0.0.(i + 1); 0: the name is not there */

/* In the form that the C library's freeaddrinfo takes: one block for each. */
__attribute__((visibility("default"))) int
getaddrinfo(
    const char *restrict name,
    const char *restrict service,
    const struct addrinfo *restrict req,
    struct addrinfo **restrict pai)
{
    (void)service;
    (void)req;
    uint32_t bits = atomic_load(&resolved);
    if (strcmp(name, "backends.test") != 0 || bits == 0) {
        return EAI_NONAME;
    }
    struct addrinfo *list = NULL;
    for (uint32_t i = 0; i < 32; i++) {
        if ((bits >> i & 1) == 0) {
            continue;
        }
        struct addrinfo *info = calloc(1, sizeof(*info) + sizeof(struct sockaddr_in));
        ASSERT(info != NULL);
        struct sockaddr_in *address = (struct sockaddr_in *)(void *)(info + 1);
        address->sin_family = AF_INET;
        address->sin_addr.s_addr = htonl(INADDR_LOOPBACK + i);
        info->ai_family = AF_INET;
        info->ai_socktype = SOCK_STREAM;
        info->ai_addrlen = sizeof(*address);
        info->ai_addr = (struct sockaddr *)address;
        info->ai_next = list;
        list = info;
    }
    *pai = list;
    return 0;
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* UPSTREAM-6: one is added under load and takes its share; one is removed, and no request fails. */
static void
test_change_under_load(void **state)
{
    (void)state;
    struct upstream_settings settings = base();
    t_world_start_empty(&world, 4, &settings);
    for (uint32_t i = 0; i < 4; i++) {
        atomic_store(&world.backends[i].delay_ms, 3);
    }
    t_world_set(&world, 0, 3);
    t_load_start(&load, &world, 24, false);
    t_load_pass(&load, 200);
    assert_int_equal(requests_of(3), 0);
    for (int round = 0; round < 5; round++) {
        t_world_set(&world, 1, 3); /* 1 2 3: 0 drains */
        T_WAIT_FOR(t_state(&world, 0) == UINT64_MAX);
        T_WAIT_FOR(atomic_load(&world.backends[0].connections) == 0);
        uint32_t before[4];
        for (uint32_t i = 0; i < 4; i++) {
            before[i] = requests_of(i);
        }
        t_load_pass(&load, 300);
        assert_int_equal(requests_of(0), before[0]);
        for (uint32_t i = 1; i < 4; i++) {
            assert_true(requests_of(i) - before[i] >= 70); /* of its 100, less what is under way */
        }
        t_world_set(&world, 0, 3);
        T_WAIT_FOR(t_state(&world, 3) == UINT64_MAX);
        T_WAIT_FOR(t_state(&world, 0) == BALANCE_ACTIVE);
    }
    t_load_stop(&load);
    assert_int_equal(atomic_load(&load.errors), 0);
    assert_int_equal(t_count(&world).retries, 0);
    t_world_stop(&world);
}

/* One that is wanted again while it drains goes on where it was; one that hangs is cut. */
static void
test_drain(void **state)
{
    (void)state;
    struct upstream_settings settings = base();
    settings.drain_timeout_ms = 3000;
    t_world_start(&world, 2, &settings);
    atomic_store(&world.backends[0].mode, T_NEVER);
    static struct upstream_call call;
    t_call_init(&world, &call, false);
    upstream_send(world.upstream, &call);
    T_WAIT_FOR(requests_of(0) == 1);
    t_world_set(&world, 1, 1);
    T_WAIT_FOR(t_state(&world, 0) == BALANCE_DRAINING);
    t_world_set(&world, 0, 2);
    T_WAIT_FOR(t_state(&world, 0) == BALANCE_ACTIVE);
    struct upstream_endpoint_counters endpoint;
    assert_true(t_count_backend(&world, 0, &endpoint));
    assert_int_equal(endpoint.in_flight, 1);
    assert_int_equal(endpoint.requests, 1);
    uint64_t from_ms = t_now_ms();
    t_world_set(&world, 1, 1);
    t_calls_wait(&world, 1);
    assert_true(t_now_ms() - from_ms >= 2990);
    assert_int_equal(call.outcome, UPSTREAM_UNKNOWN);
    T_WAIT_FOR(t_state(&world, 0) == UINT64_MAX);
    upstream_call_release(&call);
    t_world_stop(&world);
}

/* An endpoint that is added starts with a tenth of its share, and gets all of it after the slow
 * start; those of the first set do not start slowly. */
static void
test_slow_start(void **state)
{
    (void)state;
    struct upstream_settings settings = base();
    settings.slow_start_ms = 3000;
    t_world_start_empty(&world, 2, &settings);
    t_world_set(&world, 0, 1);
    t_load_start(&load, &world, 4, false);
    t_load_pass(&load, 10);
    uint64_t from_ms = t_now_ms();
    t_world_set(&world, 0, 2);
    T_WAIT_FOR(t_state(&world, 1) == BALANCE_ACTIVE);
    uint32_t early[2] = {requests_of(0), requests_of(1)};
    T_WAIT_FOR(requests_of(0) - early[0] + requests_of(1) - early[1] >= 100);
    uint32_t first = requests_of(1) - early[1];
    uint32_t other = requests_of(0) - early[0];
    uint64_t passed_ms = t_now_ms() - from_ms;
    /* What the ramp had reached by then is the most that it can have got. */
    uint64_t percent = passed_ms * 100 / 3000 > 10 ? passed_ms * 100 / 3000 : 10;
    print_message("%u against %u in the first %u ms\n", first, other, (unsigned)passed_ms);
    assert_true(first * 100 <= other * percent + 400);
    t_sleep_ms((unsigned)(passed_ms < 3100 ? 3100 - passed_ms : 0));
    /* Read so that what happens in between counts against it only. */
    uint32_t late_first = requests_of(1);
    uint32_t late_other = requests_of(0);
    t_load_pass(&load, 400);
    uint32_t got_other = requests_of(0) - late_other;
    uint32_t got_first = requests_of(1) - late_first;
    assert_true(got_first * 100 >= got_other * 90);
    t_load_stop(&load);
    assert_int_equal(atomic_load(&load.errors), 0);
    t_world_stop(&world);
}

static void
test_follow_name(void **state)
{
    (void)state;
    struct upstream_settings settings = base();
    t_world_start_empty(&world, 3, &settings);
    for (uint32_t i = 0; i < 3; i++) {
        atomic_store(&world.backends[i].delay_ms, 2);
    }
    atomic_store(&resolved, 0);
    assert_int_equal(
        upstream_follow_name(world.upstream, "backends.test", world.backends[0].port, 30), ERR_OK);
    T_WAIT_FOR(t_count(&world).source_errors >= 2);
    assert_int_equal(t_count(&world).endpoints, 0);
    atomic_store(&resolved, 1 | 2);
    T_WAIT_FOR(t_count(&world).endpoints == 2);
    t_load_start(&load, &world, 8, false);
    t_load_pass(&load, 50);
    assert_int_equal(requests_of(2), 0);
    atomic_store(&resolved, 2 | 4);
    T_WAIT_FOR(t_state(&world, 0) == UINT64_MAX && t_state(&world, 2) == BALANCE_ACTIVE);
    uint32_t before = requests_of(0);
    t_load_pass(&load, 100);
    assert_int_equal(requests_of(0), before);
    assert_true(requests_of(2) > 10);
    /* The name is gone for a while: everything stays as it is. */
    uint64_t errors = t_count(&world).source_errors;
    uint64_t changes = t_count(&world).set_changes;
    atomic_store(&resolved, 0);
    T_WAIT_FOR(t_count(&world).source_errors > errors + 2);
    t_load_pass(&load, 50);
    assert_int_equal(t_count(&world).endpoints, 2);
    assert_int_equal(t_count(&world).set_changes, changes);
    t_load_stop(&load);
    assert_int_equal(atomic_load(&load.errors), 0);
    t_world_stop(&world);
}

static char path[64];

/* Replaced whole, as an operator's tool does it. */
static void
file_write(const char *text)
{
    char temporary[80];
    (void)snprintf(temporary, sizeof(temporary), "%s.new", path);
    FILE *file = fopen(temporary, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(temporary, path), 0);
}

static void
test_follow_file(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/upstream-test-%d", (int)getpid());
    (void)unlink(path);
    struct upstream_settings settings = base();
    t_world_start_empty(&world, 3, &settings);
    for (uint32_t i = 0; i < 3; i++) {
        atomic_store(&world.backends[i].delay_ms, 2);
    }
    unsigned port = world.backends[0].port;
    char text[256];
    assert_int_equal(upstream_follow_file(world.upstream, path, 30), ERR_OK);
    T_WAIT_FOR(t_count(&world).source_errors >= 2); /* it is not there yet */
    (void)snprintf(text, sizeof(text), "# two\n127.0.0.1:%u weight=3\n127.0.0.2:%u\n", port, port);
    file_write(text);
    T_WAIT_FOR(t_count(&world).endpoints == 2);
    t_load_start(&load, &world, 8, false);
    t_load_pass(&load, 80);
    t_load_stop(&load); /* all of them may be under way at the one that stands still */
    assert_int_equal(atomic_load(&load.errors), 0);
    uint32_t third = requests_of(1) * 3;
    assert_in_range(requests_of(0), third - 12, third + 12);
    t_load_start(&load, &world, 8, false);
    /* A mistake changes nothing. */
    uint64_t errors = t_count(&world).source_errors;
    (void)snprintf(text, sizeof(text), "127.0.0.1:%u weight=0\n", port);
    file_write(text);
    T_WAIT_FOR(t_count(&world).source_errors > errors + 1);
    assert_int_equal(t_count(&world).endpoints, 2);
    (void)snprintf(text, sizeof(text), "127.0.0.2:%u\n127.0.0.3:%u\n", port, port);
    file_write(text);
    T_WAIT_FOR(t_state(&world, 0) == UINT64_MAX && t_state(&world, 2) == BALANCE_ACTIVE);
    t_load_pass(&load, 50);
    assert_true(requests_of(2) > 5);
    uint64_t changes = t_count(&world).set_changes;
    t_sleep_ms(150);
    assert_int_equal(t_count(&world).set_changes, changes); /* read again, and the same */
    t_load_stop(&load);
    assert_int_equal(atomic_load(&load.errors), 0);
    t_world_stop(&world);
    (void)unlink(path);
}

/* Equal keys go to one endpoint, and find the same one when another has gone. */
static void
test_hash(void **state)
{
    (void)state;

    enum {
        KEYS = 40
    };

    struct upstream_settings settings = base();
    settings.policy = BALANCE_HASH;
    t_world_start(&world, 4, &settings);
    uint32_t server[KEYS];
    static struct upstream_call call;
    for (int round = 0; round < 3; round++) {
        for (uint32_t key = 0; key < KEYS; key++) {
            t_call_init(&world, &call, false);
            call.key = key;
            t_call_run(&world, &call);
            uint32_t got = t_call_server(&call);
            upstream_call_release(&call);
            assert_true(got < 4);
            assert_true(round < 2 || got != 3);
            assert_true(round == 0 || got == server[key] || server[key] == 3);
            server[key] = got;
        }
        if (round == 1) {
            t_world_set(&world, 0, 3);
            T_WAIT_FOR(t_state(&world, 3) == UINT64_MAX);
        }
    }
    t_world_stop(&world);
}

/* ---- threads -------------------------------------------------------------------------------- */

enum {
    SENDERS = 3,
    EACH = SANITIZED ? 150 : 600
};

static atomic_uint sent_well;
static atomic_bool changing;

static void *
sender_main(void *context)
{
    struct t_world *mine = context; /* an executor and a semaphore of its own */
    struct upstream_call *calls = calloc(10, sizeof(*calls));
    ASSERT(calls != NULL);
    for (uint32_t i = 0; i < EACH; i += 10) {
        for (uint32_t j = 0; j < 10; j++) {
            upstream_call_release(&calls[j]);
            t_call_init(mine, &calls[j], true);
            calls[j].next = j < 9 ? &calls[j + 1] : NULL;
        }
        upstream_send(mine->upstream, calls);
        t_calls_wait(mine, 10);
        for (uint32_t j = 0; j < 10; j++) {
            atomic_fetch_add(&sent_well, t_call_server(&calls[j]) != UINT32_MAX);
        }
    }
    for (uint32_t j = 0; j < 10; j++) {
        upstream_call_release(&calls[j]);
    }
    free(calls);
    return NULL;
}

static void *
changer_main(void *context)
{
    (void)context;
    for (uint32_t i = 0; atomic_load(&changing); i++) {
        t_world_set(&world, i % 3, 2);
        (void)t_count(&world);
        for (uint32_t j = 0; j < 4; j++) {
            (void)t_state(&world, j);
        }
        t_sleep_ms(1);
    }
    return NULL;
}

static void
test_threads(void **state)
{
    (void)state;
    struct upstream_settings settings = base();
    settings.health.path = "/health";
    settings.health.interval_ms = 20;
    t_world_start(&world, 4, &settings);
    atomic_store(&sent_well, 0);
    atomic_store(&changing, true);
    pthread_t changer;
    assert_int_equal(pthread_create(&changer, NULL, changer_main, NULL), 0);
    pthread_t threads[SENDERS];
    struct t_world each[SENDERS];
    for (uint32_t i = 0; i < SENDERS; i++) {
        memset(&each[i], 0, sizeof(each[i]));
        each[i].upstream = world.upstream;
        each[i].executor = world.executor;
        assert_int_equal(uv_sem_init(&each[i].ended, 0), 0);
        assert_int_equal(pthread_create(&threads[i], NULL, sender_main, &each[i]), 0);
    }
    for (uint32_t i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        uv_sem_destroy(&each[i].ended);
    }
    atomic_store(&changing, false);
    assert_int_equal(pthread_join(changer, NULL), 0);
    assert_int_equal(atomic_load(&sent_well), SENDERS * EACH);
    assert_true(t_count(&world).set_changes > 5);
    t_world_stop(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_change_under_load),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_slow_start),
        cmocka_unit_test(test_follow_name),
        cmocka_unit_test(test_follow_file),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
