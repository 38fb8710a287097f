/* RESOURCE-4 */
#include "resource/merchants.h"
#include "testing.h"

#include <string.h>

static void
one_after_another_in_order(void **state)
{
    struct t_world *world = *state;
    struct t_call *thing = t_do(world, T_CREATE, NULL, "name=a");
    struct t_call *calls[64];
    uint64_t commits = world->store.commits;
    for (size_t i = 0; i < 64; i++) {
        calls[i] = t_send(world, T_UPDATE, t_text(thing, "id"), NULL);
    }
    t_run(world);
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(calls[i]->request.status, 200);
        assert_int_equal(t_integer(calls[i], "count"), (long long)i + 1);
    }
    /* A queue on one object shares commits. */
    assert_true(world->store.commits - commits < 32);
}

static void
waiting_is_bounded_in_time(void **state)
{
    struct t_world *world = *state;
    struct t_call *thing = t_do(world, T_CREATE, NULL, "name=a");
    const char *id = t_text(thing, "id");
    struct t_call *holder = t_do(world, T_UPDATE, id, "fail=hang");
    struct t_call *first = t_do(world, T_UPDATE, id, NULL);
    assert_true(os_sim_run_for(world->sim, 2 * OS_NS_PER_S, 1000));
    struct t_call *second = t_do(world, T_UPDATE, id, NULL);
    struct t_call *elsewhere = t_do(world, T_UPDATE, "th_other", NULL);
    t_expect_error(elsewhere, 404, "resource_missing", "id");
    assert_false(first->done);
    assert_true(os_sim_run_for(world->sim, 3 * OS_NS_PER_S, 1000));
    t_expect_error(first, 429, "lock_timeout", NULL);
    assert_null(first->request.rate_limited_reason);
    assert_false(second->done);
    assert_true(os_sim_run_for(world->sim, 2 * OS_NS_PER_S, 1000));
    t_expect_error(second, 429, "lock_timeout", NULL);
    assert_false(holder->done);
}

static void
waiting_is_bounded_in_number(void **state)
{
    struct t_world *world = *state;
    t_close(world);
    world->settings.lock_waiters_max = 2;
    t_open(world);
    (void)t_do(world, T_UPDATE, "th_x", NULL);
    struct t_call *thing = t_do(world, T_CREATE, NULL, "name=a");
    const char *id = t_text(thing, "id");
    (void)t_do(world, T_UPDATE, id, "fail=hang");
    struct t_call *first = t_do(world, T_UPDATE, id, NULL);
    struct t_call *second = t_do(world, T_UPDATE, id, NULL);
    struct t_call *third = t_do(world, T_UPDATE, id, NULL);
    assert_false(first->done);
    assert_false(second->done);
    t_expect_error(third, 429, "lock_timeout", NULL);
}

static void
those_that_fail_pass_the_lock_on(void **state)
{
    struct t_world *world = *state;
    struct t_call *thing = t_do(world, T_CREATE, NULL, "name=a");
    const char *id = t_text(thing, "id");
    struct t_call *calls[10];
    for (size_t i = 0; i < 10; i++) {
        calls[i] = t_send(world, T_UPDATE, id, i % 3 == 1 ? "fail=invalid" : NULL);
    }
    t_run(world);
    long long count = 0;
    for (size_t i = 0; i < 10; i++) {
        if (i % 3 == 1) {
            assert_int_equal(calls[i]->request.status, 400);
        } else {
            assert_int_equal(t_integer(calls[i], "count"), ++count);
        }
    }
}

static void
another_merchant_cannot_hold_it(void **state)
{
    struct t_world *world = *state;
    struct t_call *thing = t_do(world, T_CREATE, NULL, "name=a");
    const char *id = t_text(thing, "id");
    (void)t_do(world, T_UPDATE, id, "fail=hang");
    char other[ID_TEXT_SIZE];
    char key[RESOURCE_KEY_TEXT_SIZE];
    assert_int_equal(resource_merchant_create(world->runtime, "Other", other), ERR_OK);
    assert_int_equal(
        resource_key_create(world->runtime, other, RESOURCE_KEY_SECRET, false, "", NULL, key),
        ERR_OK);
    struct t_call *call = t_send(world, T_UPDATE, id, NULL);
    call->request.api_key = span_from_cstr(key);
    t_run(world);
    t_expect_error(call, 404, "resource_missing", "id");
}

static void
a_failed_commit_frees_the_queue(void **state)
{
    struct t_world *world = *state;
    struct t_call *thing = t_do(world, T_CREATE, NULL, "name=a");
    const char *id = t_text(thing, "id");
    for (int round = 0; round < 10; round++) {
        struct t_call *calls[8];
        for (size_t i = 0; i < 8; i++) {
            calls[i] = t_send(world, T_UPDATE, id, NULL);
        }
        world->store.commit_fails = ERR_IO;
        t_run(world);
        world->store.commit_fails = ERR_OK;
        for (size_t i = 0; i < 8; i++) {
            assert_true(calls[i]->done);
        }
        struct t_call *after = t_do(world, T_UPDATE, id, NULL);
        assert_int_equal(after->request.status, 200);
    }
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(one_after_another_in_order),
        T(waiting_is_bounded_in_time),
        T(waiting_is_bounded_in_number),
        T(those_that_fail_pass_the_lock_on),
        T(another_merchant_cannot_hold_it),
        T(a_failed_commit_frees_the_queue),
    };
    return T_RUN("resource lock", tests);
}
