/*
 * Copies (COPY-1 to COPY-6), on a store that says it is shared, with the other side played by the
 * test: it answers when the test says so, so each order of things can be forced.
 */
#include "testing.h"

#include "base/list.h"
#include "port/cache.h"
#include "resource/merchants.h"

#include <stdlib.h>
#include <string.h>

#define LIFE_NS (10 * OS_NS_PER_S)
#define HELD    64

/* ------------------------------------------------------------------------------ the other side */

struct t_far {
    struct port_cache port; /* first */
    struct port_cache_user *user;
    struct port_cache_ask *asked[HELD];
    uint32_t ask_count; /* that are not answered */
    uint32_t asks;
    uint32_t told;
    struct cache_key told_key;
    uint64_t told_version;
    uint32_t stores;
    uint64_t stored_lease;
    uint64_t stored_version;
    uint64_t stored_life_ms;
    uint8_t stored[PORT_CACHE_VALUE_MAX];
    size_t stored_size;
};

static struct t_far far;

static void
far_use(struct port_cache *port, struct port_cache_user *user)
{
    (void)port;
    far.user = user;
}

static void
far_ask(struct port_cache *port, struct port_cache_ask *ask)
{
    (void)port;
    assert_true(far.ask_count < HELD);
    far.asked[far.ask_count++] = ask;
    far.asks++;
}

static void
far_store(
    struct port_cache *port,
    const struct cache_key *key,
    uint64_t lease,
    uint64_t version,
    struct span value,
    uint64_t life_ms)
{
    (void)port;
    (void)key;
    far.stores++;
    far.stored_lease = lease;
    far.stored_version = version;
    far.stored_life_ms = life_ms;
    far.stored_size = value.size;
    memcpy(far.stored, value.data, value.size);
}

static void
far_forget(struct port_cache *port, const struct cache_key *key, uint64_t version, uint64_t life_ms)
{
    (void)port;
    assert_true(life_ms * OS_NS_PER_MS >= LIFE_NS);
    far.told++;
    far.told_key = *key;
    far.told_version = version;
}

static void
ask_run(struct os_task *task)
{
    struct port_cache_ask *ask = CONTAINER_OF(task, struct port_cache_ask, task);
    ask->done(ask);
}

/* The oldest question. */
static void
answer(struct t_world *world, enum port_cache_answer what, uint64_t lease)
{
    assert_true(far.ask_count > 0);
    struct port_cache_ask *ask = far.asked[0];
    far.ask_count--;
    memmove(far.asked, far.asked + 1, far.ask_count * sizeof(far.asked[0]));
    ask->answer = what;
    ask->lease = lease;
    ask->task.run = ask_run;
    os_post(far.user->executor, &ask->task);
    t_run(world);
}

static void
answer_found(struct t_world *world, uint64_t version, const uint8_t *value, size_t size)
{
    struct port_cache_ask *ask = far.asked[0];
    ask->version = version;
    ask->size = size;
    memcpy(ask->value, value, size);
    answer(world, PORT_CACHE_FOUND, 0);
}

/* ---------------------------------------------------------------------------------- the world */

static int
setup(void **state)
{
    memset(&far, 0, sizeof(far));
    far.port = (struct port_cache){
        .use = far_use, .ask = far_ask, .store = far_store, .forget = far_forget};
    assert_int_equal(t_setup(state), 0);
    struct t_world *world = *state;
    t_close(world);
    world->store.store.shared = &t_shared_ops;
    world->cache = &far.port;
    world->settings.cache_entries_max = 100;
    world->settings.cache_bytes_max = 100000;
    world->settings.cache_life_ns = LIFE_NS;
    t_open(world);
    far.user->hears(far.user, true);
    /* Which ids are things is learned from the first one that is loaded. */
    (void)t_do(world, T_UPDATE, "th_unknown", NULL);
    assert_int_equal(far.told, 0);
    return 0;
}

static const char *
make(struct t_world *world)
{
    struct t_call *call = t_do(world, T_CREATE, NULL, "name=a");
    assert_int_equal(call->request.status, 200);
    assert_int_equal(far.told, 0); /* nobody can have a copy of it */
    return t_text(call, "id");
}

static void
later(struct t_world *world, uint64_t ns)
{
    assert_true(os_sim_run_for(world->sim, ns, 100000));
    (void)t_do(
        world, T_LIST, NULL, NULL); /* the API key is read again, which is older than a second */
}

/* Asks, gets a lease, and reads: a copy is here, and was brought there. */
static void
read_first(struct t_world *world, const char *id)
{
    uint32_t stores = far.stores;
    struct t_call *call = t_do(world, T_RETRIEVE, id, NULL);
    assert_false(call->done);
    answer(world, PORT_CACHE_LEASED, 77);
    assert_true(call->done);
    assert_int_equal(call->request.status, 200);
    assert_int_equal(far.stores, stores + 1);
    assert_true(far.stored_lease == 77);
}

/* Answered without a question to anybody. */
static long long
read_copy(struct t_world *world, const char *id)
{
    uint64_t gets = world->store.gets;
    uint32_t asks = far.asks;
    struct t_call *call = t_do(world, T_RETRIEVE, id, NULL);
    assert_true(call->done);
    assert_int_equal(call->request.status, 200);
    assert_string_equal(t_text(call, "id"), id);
    assert_int_equal(world->store.gets, gets);
    assert_int_equal(far.asks, asks);
    return t_integer(call, "count");
}

/* Answered by the database. */
static long long
read_stored(struct t_world *world, const char *id)
{
    uint64_t gets = world->store.gets;
    struct t_call *call = t_do(world, T_RETRIEVE, id, NULL);
    while (far.ask_count > 0) {
        answer(world, PORT_CACHE_LOST, 0);
    }
    assert_true(call->done);
    assert_int_equal(call->request.status, 200);
    assert_true(world->store.gets > gets);
    return t_integer(call, "count");
}

/* -------------------------------------------------------------------------------------- tests */

static void
a_copy_is_read_once(void **state)
{
    struct t_world *world = *state;
    const char *id = make(world);
    read_first(world, id);
    assert_true(far.stored_version == 1);
    assert_true(far.stored_life_ms * OS_NS_PER_MS <= LIFE_NS);
    assert_true(far.stored_life_ms * OS_NS_PER_MS >= LIFE_NS / 4 * 3 - OS_NS_PER_MS);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read_copy(world, id), 0);
    }
    later(world, LIFE_NS);
    assert_int_equal(read_stored(world, id), 0); /* COPY-4 */
}

static void
what_leaves_shows_nothing(void **state)
{
    struct t_world *world = *state;
    struct t_call *call = t_do(world, T_CREATE, NULL, "name=somebodysname");
    const char *id = t_text(call, "id");
    read_first(world, id);
    assert_null(memmem(far.stored, far.stored_size, "somebodysname", 13));
    assert_null(memmem(far.stored, far.stored_size, id, strlen(id)));
}

static void
one_question_for_many(void **state)
{
    struct t_world *world = *state;
    const char *id = make(world);
    struct t_call *calls[20];
    uint64_t gets = world->store.gets;
    for (int i = 0; i < 20; i++) {
        calls[i] = t_send(world, T_RETRIEVE, id, NULL);
    }
    t_run(world);
    assert_int_equal(far.asks, 1);
    answer(world, PORT_CACHE_LEASED, 5);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(calls[i]->request.status, 200);
    }
    assert_int_equal(world->store.gets, gets + 1);
    assert_int_equal(far.stores, 1);
}

static void
what_another_stored_is_taken(void **state)
{
    struct t_world *world = *state;
    const char *id = make(world);
    read_first(world, id);
    far.user->hears(far.user, true); /* forgets what is here */
    uint64_t gets = world->store.gets;
    struct t_call *call = t_do(world, T_RETRIEVE, id, NULL);
    assert_false(call->done);
    answer_found(world, 1, far.stored, far.stored_size);
    assert_int_equal(call->request.status, 200);
    assert_string_equal(t_text(call, "name"), "a");
    assert_int_equal(world->store.gets, gets);
    assert_int_equal(read_copy(world, id), 0);
}

/* COPY-3, in this order: the question, the writer, the answer from before the writer. */
static void
an_answer_that_a_writer_overtook_is_not_kept(void **state)
{
    struct t_world *world = *state;
    const char *id = make(world);
    read_first(world, id);
    far.user->hears(far.user, true);
    struct t_call *reader = t_do(world, T_RETRIEVE, id, NULL);
    assert_false(reader->done);
    struct t_call *writer = t_do(world, T_UPDATE, id, NULL);
    assert_int_equal(writer->request.status, 200);
    assert_int_equal(far.told, 1); /* COPY-2 */
    assert_true(far.told_version == 2);
    answer_found(world, 1, far.stored, far.stored_size);
    assert_int_equal(t_integer(reader, "count"), 1);
    assert_int_equal(read_copy(world, id), 1);
}

/* The same, where the writer is another process. */
static void
an_answer_that_anothers_word_overtook_is_not_kept(void **state)
{
    struct t_world *world = *state;
    const char *id = make(world);
    read_first(world, id);
    far.user->hears(far.user, true);
    struct t_call *reader = t_do(world, T_RETRIEVE, id, NULL);
    far.user->forget(far.user, &far.asked[0]->key, 2);
    uint64_t gets = world->store.gets;
    answer_found(world, 1, far.stored, far.stored_size);
    assert_int_equal(reader->request.status, 200);
    assert_int_equal(world->store.gets, gets + 1);
}

static void
who_has_no_lease_brings_nothing(void **state)
{
    struct t_world *world = *state;
    const char *id = make(world);
    struct t_call *call = t_do(world, T_RETRIEVE, id, NULL);
    answer(world, PORT_CACHE_TAKEN, 0);
    assert_int_equal(call->request.status, 200);
    assert_int_equal(far.stores, 0);
    assert_int_equal(read_copy(world, id), 0); /* but keeps what it has read */
}

static void
what_is_not_ours_is_nothing(void **state)
{
    struct t_world *world = *state;
    const char *id = make(world);
    read_first(world, id);
    static uint8_t good[PORT_CACHE_VALUE_MAX];
    size_t size = far.stored_size;
    memcpy(good, far.stored, size);
    for (size_t i = 0; i < size + 3; i++) {
        far.user->hears(far.user, true);
        uint64_t gets = world->store.gets;
        uint32_t told = far.told;
        static uint8_t bad[PORT_CACHE_VALUE_MAX];
        memcpy(bad, good, size);
        bad[i < size ? i : 0] ^= i < size ? 1 : 0;
        struct t_call *call = t_do(world, T_RETRIEVE, id, NULL);
        /* Behind the bits: too short, empty, of another version. */
        answer_found(
            world,
            i == size + 2 ? 2 : 1,
            bad,
            i == size       ? size - 1
            : i > size + 1  ? size
            : i == size + 1 ? 0
                            : size);
        assert_int_equal(call->request.status, 200);
        assert_int_equal(world->store.gets, gets + 1);
        assert_int_equal(far.told, told + 1); /* away with it */
        assert_true(far.told_version == CACHE_VERSION_NONE);
    }
}

static void
what_is_over_is_nothing(void **state)
{
    struct t_world *world = *state;
    const char *id = make(world);
    read_first(world, id);
    later(world, LIFE_NS);
    uint64_t gets = world->store.gets;
    struct t_call *call = t_do(world, T_RETRIEVE, id, NULL);
    answer_found(world, 1, far.stored, far.stored_size);
    assert_int_equal(call->request.status, 200);
    assert_int_equal(world->store.gets, gets + 1);
}

/* COPY-4: who does not hear the others asks the database. */
static void
without_hearing_there_are_no_copies(void **state)
{
    struct t_world *world = *state;
    const char *id = make(world);
    read_first(world, id);
    far.user->hears(far.user, false);
    uint32_t asks = far.asks;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read_stored(world, id), 0);
    }
    assert_int_equal(far.asks, asks);
    far.user->hears(far.user, true);
    read_first(world, id);
    assert_int_equal(read_copy(world, id), 0);
}

/* COPY-1 */
static void
who_writes_reads_the_database(void **state)
{
    struct t_world *world = *state;
    const char *id = make(world);
    read_first(world, id);
    uint64_t gets = world->store.gets;
    struct t_call *call = t_do(world, T_UPDATE, id, NULL);
    assert_int_equal(call->request.status, 200);
    assert_true(world->store.gets > gets);
    assert_int_equal(t_integer(call, "count"), 1);
}

static void
what_is_refused_leaves_no_wrong_copy(void **state)
{
    struct t_world *world = *state;
    const char *id = make(world);
    read_first(world, id);
    struct t_call *call = t_do(world, T_UPDATE, id, "fail=invalid"); /* writes, and takes it back */
    assert_int_equal(call->request.status, 400);
    assert_true(far.told > 0);
    assert_int_equal(read_stored(world, id), 0);
    call = t_do(world, T_UPDATE, id, NULL);
    assert_int_equal(call->request.status, 200);
    assert_int_equal(read_stored(world, id), 1);
}

static void
a_failed_commit_leaves_no_wrong_copy(void **state)
{
    struct t_world *world = *state;
    const char *id = make(world);
    read_first(world, id);
    world->store.commit_fails = ERR_IO;
    struct t_call *call = t_do(world, T_UPDATE, id, NULL);
    assert_int_equal(call->request.status, 500);
    assert_true(far.told_version == CACHE_VERSION_NONE);
    assert_int_equal(read_stored(world, id), 0);
    assert_int_equal(read_copy(world, id), 0);
}

/* Another process was first: what is known here is wrong, though nothing was written. */
static void
who_lost_forgets(void **state)
{
    struct t_world *world = *state;
    const char *id = make(world);
    read_first(world, id);
    world->store.owners_lose = true;
    struct t_call *call = t_do(world, T_UPDATE, id, NULL);
    world->store.owners_lose = false;
    t_expect_error(call, 409, "", NULL);
    assert_true(far.told_version == CACHE_VERSION_NONE);
    (void)read_stored(world, id);
}

/* A group that has written something neither shows copies nor makes them. */
static void
a_group_sees_its_own_writes(void **state)
{
    struct t_world *world = *state;
    const char *id = make(world);
    read_first(world, id);
    struct t_call *writer = t_send(world, T_UPDATE, id, NULL);
    struct t_call *reader = t_send(world, T_RETRIEVE, id, NULL);
    t_run(world);
    while (far.ask_count > 0) {
        answer(world, PORT_CACHE_LOST, 0);
    }
    assert_int_equal(writer->request.status, 200);
    assert_true(reader->done);
    struct t_call *behind = t_do(world, T_RETRIEVE, id, NULL);
    while (far.ask_count > 0) {
        answer(world, PORT_CACHE_LOST, 0);
    }
    assert_int_equal(t_integer(behind, "count"), 1);
}

static void
what_nobody_has_is_known_for_a_second(void **state)
{
    struct t_world *world = *state;
    struct t_call *call = t_do(world, T_RETRIEVE, "th_nobodys", NULL);
    answer(world, PORT_CACHE_LEASED, 1);
    t_expect_error(call, 404, "resource_missing", "id");
    assert_int_equal(far.stores, 0);
    uint64_t gets = world->store.gets;
    call = t_do(world, T_RETRIEVE, "th_nobodys", NULL);
    t_expect_error(call, 404, "resource_missing", "id");
    assert_int_equal(world->store.gets, gets);
    later(world, OS_NS_PER_S);
    call = t_do(world, T_RETRIEVE, "th_nobodys", NULL);
    answer(world, PORT_CACHE_LOST, 0);
    t_expect_error(call, 404, "resource_missing", "id");
    assert_int_equal(world->store.gets, gets + 1);
}

/* ----------------------------------------------------------------------------------- API keys */

static void
an_unknown_key_is_looked_for_once_a_second(void **state)
{
    struct t_world *world = *state;
    static const char unknown[] = "sk_test_000000000000000000000000000000";
    memcpy(world->key, unknown, sizeof(unknown));
    struct t_call *call = t_do(world, T_LIST, NULL, NULL);
    assert_int_equal(call->request.status, 401);
    uint64_t lists = world->store.key_lists;
    for (int i = 0; i < 3; i++) {
        call = t_do(world, T_LIST, NULL, NULL);
        assert_int_equal(call->request.status, 401);
    }
    assert_int_equal(world->store.key_lists, lists);
    later(world, OS_NS_PER_S);
    call = t_do(world, T_LIST, NULL, NULL);
    assert_int_equal(call->request.status, 401);
    assert_true(world->store.key_lists > lists);
}

static void
note_id(void *context, const struct resource_key_info *key)
{
    memcpy(context, key->id, sizeof(key->id));
}

/* What this process revokes ends at once, and the others are told; what is told ends here at once.
 */
static void
revoked_keys_are_told_of(void **state)
{
    struct t_world *world = *state;
    char id[ID_TEXT_SIZE];
    assert_int_equal(resource_key_each(world->runtime, note_id, id), ERR_OK);
    struct t_call *call = t_do(world, T_LIST, NULL, NULL);
    assert_int_equal(call->request.status, 200);
    assert_int_equal(resource_key_revoke(world->runtime, id), ERR_OK);
    assert_int_equal(far.told, 1);
    assert_true(far.told_version == CACHE_VERSION_NONE);
    call = t_do(world, T_LIST, NULL, NULL);
    t_expect_error(call, 401, "api_key_expired", NULL);
    uint64_t lists = world->store.key_lists;
    call = t_do(world, T_LIST, NULL, NULL);
    assert_int_equal(call->request.status, 401);
    assert_int_equal(world->store.key_lists, lists); /* it is known, for a second */
    far.user->forget(far.user, &far.told_key, CACHE_VERSION_NONE);
    call = t_do(world, T_LIST, NULL, NULL);
    assert_int_equal(call->request.status, 401);
    assert_true(world->store.key_lists > lists); /* and then read again */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, t_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_copy_is_read_once),
        TEST(what_leaves_shows_nothing),
        TEST(one_question_for_many),
        TEST(what_another_stored_is_taken),
        TEST(an_answer_that_a_writer_overtook_is_not_kept),
        TEST(an_answer_that_anothers_word_overtook_is_not_kept),
        TEST(who_has_no_lease_brings_nothing),
        TEST(what_is_not_ours_is_nothing),
        TEST(what_is_over_is_nothing),
        TEST(without_hearing_there_are_no_copies),
        TEST(who_writes_reads_the_database),
        TEST(what_is_refused_leaves_no_wrong_copy),
        TEST(a_failed_commit_leaves_no_wrong_copy),
        TEST(who_lost_forgets),
        TEST(a_group_sees_its_own_writes),
        TEST(what_nobody_has_is_known_for_a_second),
        TEST(an_unknown_key_is_looked_for_once_a_second),
        TEST(revoked_keys_are_told_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
