/* Groups, commits and what hangs on them. */
#include "resource/merchants.h"
#include "resource/object.h"
#include "testing.h"

#include <jansson.h>
#include <string.h>

static void
answers_leave_behind_their_commit(void **state) /* RESOURCE-1 */
{
    struct t_world *world = *state;
    uint64_t commits = world->store.commits;
    struct t_call *call = t_do(world, T_CREATE, NULL, "name=a");
    assert_int_equal(call->request.status, 200);
    assert_string_equal(t_text(call, "object"), "thing");
    assert_string_equal(t_text(call, "name"), "a");
    assert_false(json_boolean_value(t_json(call, "livemode")));
    assert_true(t_integer(call, "created") >= 1767225600);
    assert_true(call->commits_seen == commits + 1);
    struct t_call *read = t_do(world, T_RETRIEVE, t_text(call, "id"), NULL);
    assert_int_equal(read->request.status, 200);
    assert_true(json_equal(read->json, call->json));
}

static void
a_group_shares_one_commit_and_one_post(void **state)
{
    struct t_world *world = *state;
    struct t_call *calls[64];
    uint64_t commits = world->store.commits;
    for (size_t i = 0; i < 64; i++) {
        calls[i] = t_send(world, T_CREATE, NULL, "name=a");
    }
    world->reply_posts = 0;
    t_run(world);
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(calls[i]->request.status, 200);
    }
    /* The scheduler cuts groups at random, so not one, but far fewer than calls. */
    assert_true(world->store.commits - commits < 32);
    assert_true(world->reply_posts < 32);
    assert_int_equal(t_count(world, "thing"), 64);
}

static void
a_failed_commit_fails_its_group_whole(void **state) /* RESOURCE-2 */
{
    struct t_world *world = *state;
    struct t_call *thing = t_do(world, T_CREATE, NULL, "name=a");
    struct t_call *calls[20];
    for (size_t i = 0; i < 20; i++) {
        calls[i] = t_send(world, T_CREATE, NULL, "name=b&expand[]=parent");
    }
    world->store.commit_fails = ERR_DISK_FULL;
    t_run(world);
    size_t made = 0;
    size_t failed = 0;
    for (size_t i = 0; i < 20; i++) {
        if (calls[i]->request.status == 200) {
            made++;
        } else {
            assert_int_equal(calls[i]->request.status, 503);
            assert_string_equal(t_text(calls[i], "error.type"), "api_error");
            failed++;
        }
    }
    assert_true(failed > 0);
    assert_int_equal(t_count(world, "thing"), made + 1);
    assert_non_null(strstr(world->logged, "ERR_DISK_FULL"));
    /* The next group is well again. */
    struct t_call *update = t_do(world, T_UPDATE, t_text(thing, "id"), NULL);
    assert_int_equal(t_integer(update, "count"), 1);
}

static void
readers_of_a_lost_transaction_fail_with_it(void **state) /* RESOURCE-2 */
{
    struct t_world *world = *state;
    struct t_call *thing = t_do(world, T_CREATE, NULL, "name=a");
    /* Whatever way the groups fall: nobody may be told of a count that is not there. */
    for (int round = 0; round < 20; round++) {
        struct t_call *before = t_do(world, T_RETRIEVE, t_text(thing, "id"), NULL);
        struct t_call *update = t_send(world, T_UPDATE, t_text(thing, "id"), NULL);
        struct t_call *reader = t_send(world, T_RETRIEVE, t_text(thing, "id"), NULL);
        world->store.commit_fails = ERR_IO;
        t_run(world);
        world->store.commit_fails = ERR_OK;
        assert_int_equal(update->request.status, 500);
        if (reader->request.status == 200) {
            assert_int_equal(t_integer(reader, "count"), t_integer(before, "count"));
        }
    }
}

static void
steps_run_behind_the_commit_or_not_at_all(void **state) /* RESOURCE-1, RESOURCE-2 */
{
    struct t_world *world = *state;
    struct t_call *call = t_do(world, T_CHARGE, NULL, "name=a");
    assert_int_equal(call->request.status, 200);
    assert_int_equal(t_integer(call, "count"), 100);
    assert_int_equal(world->outside_calls, 1);
    world->store.commit_fails = ERR_IO;
    struct t_call *lost = t_do(world, T_CHARGE, NULL, "name=b");
    assert_int_equal(lost->request.status, 500);
    assert_int_equal(world->outside_calls, 1);
    assert_int_equal(t_count(world, "thing"), 1);
}

static void
an_unknown_commit_is_told_as_unknown(void **state)
{
    struct t_world *world = *state;
    world->store.commit_fails = ERR_OUTCOME_UNKNOWN;
    struct t_call *call = t_do(world, T_CREATE, NULL, "name=a");
    assert_int_equal(call->request.status, 500);
    assert_non_null(strstr(t_text(call, "error.message"), "not known"));
}

static void
a_refused_operation_leaves_nothing(void **state)
{
    struct t_world *world = *state;
    struct t_call *good = t_send(world, T_CREATE, NULL, "name=a");
    struct t_call *bad = t_send(world, T_CREATE, NULL, "name=b&fail=invalid");
    struct t_call *broken = t_send(world, T_CREATE, NULL, "name=c&fail=internal");
    struct t_call *declined = t_send(world, T_CREATE, NULL, "name=d&fail=executed");
    t_run(world);
    assert_int_equal(good->request.status, 200);
    t_expect_error(bad, 400, "amount_too_small", "name");
    t_expect_error(broken, 500, "", NULL);
    t_expect_error(declined, 402, "card_declined", NULL);
    assert_string_equal(t_text(declined, "error.decline_code"), "lost_card");
    assert_string_equal(
        t_text(declined, "error.doc_url"), "https://stripe.com/docs/error-codes/card-declined");
    /* The decline is an outcome: what it wrote stays. */
    assert_int_equal(t_count(world, "thing"), 2);
    assert_int_equal(t_count(world, "event"), 2);
}

static void
a_refused_update_restores_the_row(void **state)
{
    struct t_world *world = *state;
    struct t_call *thing = t_do(world, T_CREATE, NULL, "name=a&metadata[k]=v");
    const char *id = t_text(thing, "id");
    struct t_call *bad = t_do(world, T_UPDATE, id, "fail=invalid&metadata[k]=w");
    assert_int_equal(bad->request.status, 400);
    struct t_call *read = t_do(world, T_RETRIEVE, id, NULL);
    assert_true(json_equal(read->json, thing->json));
    struct t_call *update = t_do(world, T_UPDATE, id, NULL);
    assert_int_equal(t_integer(update, "count"), 1);
}

static void
a_failing_write_is_told_as_ours(void **state)
{
    struct t_world *world = *state;
    world->store.write_fails = ERR_IO;
    struct t_call *call = t_do(world, T_CREATE, NULL, "name=a");
    t_expect_error(call, 500, "", NULL);
    assert_null(strstr(t_text(call, "error.message"), "IO"));
    assert_non_null(strstr(world->logged, "ERR_IO thing"));
    assert_int_equal(t_count(world, "thing"), 0);
}

/* Another process was first: the operation begins anew, but not for ever. */
static void
who_lost_runs_again(void **state)
{
    struct t_world *world = *state;
    world->store.write_fails = ERR_STALE;
    struct t_call *call = t_do_with_key(world, T_CREATE, NULL, "name=a", "key");
    assert_int_equal(call->request.status, 200);
    assert_int_equal(t_count(world, "thing"), 1);
    assert_int_equal(t_count(world, "idempotency_key"), 1);
    world->store.write_fails = ERR_STALE;
    world->store.write_fails_more = RESOURCE_RUNS_AGAIN_MAX - 1;
    call = t_do(world, T_CREATE, NULL, "name=b");
    assert_int_equal(call->request.status, 200);
    assert_int_equal(t_count(world, "thing"), 2);
    world->store.write_fails = ERR_STALE;
    world->store.write_fails_more = RESOURCE_RUNS_AGAIN_MAX;
    t_expect_error(t_do(world, T_CREATE, NULL, "name=b"), 409, "", NULL);
    assert_int_equal(t_count(world, "thing"), 2);
    /* The commit says so, which dooms everybody who is in it. */
    world->store.commit_fails = ERR_STALE;
    call = t_do(world, T_CREATE, NULL, "name=c");
    assert_int_equal(call->request.status, 200);
    assert_int_equal(t_count(world, "thing"), 3);
}

static void
more_operations_than_allowed_are_refused(void **state)
{
    struct t_world *world = *state;
    t_close(world);
    world->settings.operations_max = 3;
    t_open(world);
    world->outside_hangs = true;
    for (int i = 0; i < 3; i++) {
        (void)t_do(world, T_CHARGE, NULL, "name=a");
    }
    struct t_call *refused = t_do(world, T_CREATE, NULL, "name=b");
    assert_int_equal(refused->request.status, 503);
    assert_int_equal(t_count(world, "thing"), 3);
}

static void
one_merchant_leaves_operations_to_the_others(void **state)
{
    struct t_world *world = *state;
    char other[RESOURCE_KEY_TEXT_SIZE];
    t_close(world);
    world->settings.operations_max = 16;
    t_open(world);
    t_key_create(
        world,
        RESOURCE_KEY_SECRET,
        true,
        other); /* of the other mode, which is as far as another merchant */
    world->outside_hangs = true;
    struct t_call *hanging[20];
    unsigned refused = 0;
    for (size_t i = 0; i < 20; i++) {
        hanging[i] = t_do(world, T_CHARGE, NULL, "name=a");
        refused += hanging[i]->done && hanging[i]->request.status == 503;
    }
    assert_int_equal(refused, 8); /* three quarters were let in */
    assert_string_equal(t_text(hanging[19], "error.type"), "api_error");
    for (int i = 0; i < 3; i++) {
        struct t_call *call = t_send(world, T_CREATE, NULL, "name=b");
        call->request.api_key = span_from_cstr(other);
        t_run(world);
        assert_int_equal(call->request.status, 200);
    }
    t_restart(world); /* who has gone is not counted any more */
    world->outside_hangs = false;
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(t_do(world, T_CREATE, NULL, "name=c")->request.status, 200);
    }
}

static void
the_next_group_works_while_the_disk_syncs(void **state) /* RESOURCE-1 */
{
    struct t_world *world = *state;
    if (world->sync_loop == NULL) {
        skip();
    }
    os_sim_pause(world->sim, world->sync_loop, true);
    uint64_t applied = world->store.applied;
    struct t_call *first = t_do(world, T_CHARGE, NULL, "name=a");
    struct t_call *second = t_do(world, T_CREATE, NULL, "name=b");
    struct t_call *third = t_do(world, T_CREATE, NULL, "name=c");
    /* Only the first group is on its way to the disk; the others gather behind it. */
    assert_true(world->store.applied == applied + 1);
    assert_int_equal(world->outside_calls, 0);
    assert_false(first->done);
    assert_false(second->done);
    /* Those that only read see it, and wait for it. */
    struct t_call *reader = t_do(world, T_LIST, NULL, NULL);
    assert_false(reader->done);
    os_sim_pause(world->sim, world->sync_loop, false);
    t_run(world);
    assert_int_equal(first->request.status, 200);
    assert_int_equal(second->request.status, 200);
    assert_int_equal(third->request.status, 200);
    assert_int_equal(json_array_size(t_json(reader, "data")), 3);
    assert_true(second->commits_seen >= applied + 2);
    assert_int_equal(world->outside_calls, 1);
}

#define T_JOIN_TURNS 4 /* runtime.c: JOIN_TURNS_MAX */

/* One request more at each turn of the loop; how many there were when the first was applied. */
static unsigned
t_send_until_applied(struct t_world *world)
{
    uint64_t applied = world->store.applied;
    unsigned sent = 0;
    while (world->store.applied == applied) {
        sent++;
        assert_true(sent <= T_JOIN_TURNS + 1);
        (void)t_send(world, T_CREATE, NULL, "name=a");
        assert_true(os_sim_step(world->sim));
    }
    return sent;
}

static void
a_commit_waits_a_few_turns_while_others_join(void **state)
{
    struct t_world *world = *state;
    if (world->sync_loop == NULL) {
        skip();
    }
    unsigned most = 0;
    for (int round = 0; round < 50; round++) {
        os_sim_pause(world->sim, world->sync_loop, true);
        unsigned sent = t_send_until_applied(world);
        most = sent > most ? sent : most;
        os_sim_pause(world->sim, world->sync_loop, false);
        t_run(world);
    }
    /* Turns are cut at random: some bring nobody, and end it early. */
    assert_int_equal(most, T_JOIN_TURNS + 1);
    /* Who is alone is applied at the next turn. */
    uint64_t applied = world->store.applied;
    (void)t_send(world, T_CREATE, NULL, "name=a");
    assert_true(os_sim_step(world->sim));
    assert_true(os_sim_step(world->sim));
    assert_true(world->store.applied == applied + 1);
}

static void
a_failed_sync_leaves_everything_open(void **state) /* RESOURCE-2 */
{
    struct t_world *world = *state;
    if (world->sync_loop == NULL) {
        skip();
    }
    struct t_call *thing = t_do(world, T_CREATE, NULL, "name=a");
    os_sim_pause(world->sim, world->sync_loop, true);
    struct t_call *first = t_do(world, T_CHARGE, NULL, "name=a");
    struct t_call *second = t_do(world, T_CREATE, NULL, "name=b");
    struct t_call *holder = t_do(world, T_UPDATE, t_text(thing, "id"), "fail=hang");
    struct t_call *waiter = t_do(world, T_UPDATE, t_text(thing, "id"), NULL);
    world->store.sync_fails = ERR_OUTCOME_UNKNOWN;
    os_sim_pause(world->sim, world->sync_loop, false);
    t_run(world);
    assert_int_equal(first->request.status, 500);
    assert_non_null(strstr(t_text(first, "error.message"), "not known"));
    assert_int_equal(second->request.status, 500);
    assert_int_equal(world->outside_calls, 0);
    assert_false(holder->done);
    assert_true(os_sim_run_for(world->sim, 6 * OS_NS_PER_S, 1000));
    assert_true(waiter->done);
    assert_int_equal(waiter->request.status, 500);
}

struct internal {
    struct t_world *world;
    uint32_t ran, durable, ended, done;
    bool repeatable;
    char merchant[ID_TEXT_SIZE];
    uint64_t scope;
    uint64_t commits;
};

static void
internal_ended(void *context)
{
    ((struct internal *)context)->ended++;
}

static void
internal_done(void *context)
{
    struct internal *internal = context;
    assert_true(internal->world->store.commits > internal->commits);
    internal->done++;
}

static void
internal_durable(struct resource_op *op)
{
    struct internal *internal = resource_op_state(op);
    internal->durable++;
    internal->commits = internal->world->store.commits;
    if (internal->repeatable) { /* writes once more, with what hangs on that */
        struct t_thing *thing = resource_new(op, &t_thing_type);
        assert_non_null(thing);
        thing->name = SPAN("more");
        assert_int_equal(resource_save(op, &t_thing_type, thing), ERR_OK);
        assert_int_equal(resource_op_when_done(op, internal_done, internal), ERR_OK);
    }
    resource_finish(op);
}

static void
internal_step(struct resource_op *op)
{
    struct internal *internal = resource_op_state(op);
    const struct resource_caller *caller = resource_op_caller(op);
    internal->ran++;
    internal->scope = caller->scope;
    memcpy(internal->merchant, caller->merchant_id, sizeof(internal->merchant));
    assert_int_equal(caller->key_kind, RESOURCE_KEY_INTERNAL);
    assert_null(resource_op_request(op));
    assert_false(resource_present(op, "anything"));
    resource_op_on_end(op, internal_ended, internal);
    if (internal->repeatable) {
        resource_op_repeatable(op, internal_step, internal);
    }
    struct t_thing *thing = resource_new(op, &t_thing_type);
    assert_non_null(thing);
    thing->name = SPAN("swept");
    assert_int_equal(resource_save(op, &t_thing_type, thing), ERR_OK);
    resource_after_commit(op, internal_durable);
}

static void
internal_operations_have_a_merchant_and_an_end(void **state)
{
    struct t_world *world = *state;
    struct internal internal = {.world = world};
    uint64_t commits = world->store.commits;
    assert_int_equal(
        resource_start_internal(world->runtime, 2, NULL, internal_step, &internal), ERR_OK);
    t_run(world);
    assert_int_equal(internal.ran, 1);
    assert_int_equal(internal.durable, 1);
    assert_int_equal(internal.ended, 1);
    assert_true(internal.commits == commits + 1);
    assert_true(internal.scope == 2);
    assert_string_equal(internal.merchant, world->merchant);
    /* If the commit fails there is an end too. */
    world->store.commit_fails = ERR_IO;
    assert_int_equal(
        resource_start_internal(world->runtime, 2, NULL, internal_step, &internal), ERR_OK);
    t_run(world);
    assert_int_equal(internal.durable, 1);
    assert_int_equal(internal.ended, 2);
    assert_int_equal(t_count(world, "thing"), 1);
}

/* Until it has committed something, one that says so begins anew, without having ended. */
static void
an_internal_operation_may_run_again(void **state)
{
    struct t_world *world = *state;
    struct internal internal = {.world = world, .repeatable = true};
    world->store.commit_fails = ERR_STALE;
    assert_int_equal(
        resource_start_internal(world->runtime, 2, NULL, internal_step, &internal), ERR_OK);
    t_run(world);
    assert_int_equal(internal.ran, 2);
    assert_int_equal(internal.durable, 1);
    assert_int_equal(internal.ended, 1);
    assert_int_equal(internal.done, 1);
    assert_int_equal(t_count(world, "thing"), 2);
}

static void
then_fail(struct resource_op *op)
{
    struct internal *internal = resource_op_state(op);
    internal->durable++;
    assert_int_equal(resource_op_when_done(op, internal_done, internal), ERR_OK);
    resource_internal(op, ERR_IO, "thing");
}

static void
begin_and_fail(struct resource_op *op)
{
    struct internal *internal = resource_op_state(op);
    struct t_thing *thing = resource_new(op, &t_thing_type);
    assert_non_null(thing);
    thing->name = SPAN("swept");
    assert_int_equal(resource_save(op, &t_thing_type, thing), ERR_OK);
    resource_op_on_end(op, internal_ended, internal);
    resource_after_commit(op, then_fail);
}

static void
nothing_hangs_on_what_failed(void **state)
{
    struct t_world *world = *state;
    struct internal internal = {.world = world};
    assert_int_equal(
        resource_start_internal(world->runtime, 2, NULL, begin_and_fail, &internal), ERR_OK);
    t_run(world);
    assert_int_equal(internal.durable, 1);
    assert_int_equal(internal.ended, 1);
    assert_int_equal(internal.done, 0);
    /* Nor on a commit that failed. */
    internal = (struct internal){.world = world, .repeatable = true};
    assert_int_equal(
        resource_start_internal(world->runtime, 2, NULL, internal_step, &internal), ERR_OK);
    world->store.commit_fails = ERR_IO;
    t_run(world);
    assert_int_equal(internal.ended, 1);
    assert_int_equal(internal.done, 0);
}

static void
note_scope(void *context, uint64_t scope)
{
    uint64_t *sum = context;
    *sum = *sum * 10 + scope;
}

static void
scopes_are_listed(void **state)
{
    struct t_world *world = *state;
    char other[ID_TEXT_SIZE];
    assert_int_equal(resource_merchant_create(world->runtime, "Other", other), ERR_OK);
    uint64_t sum = 0;
    assert_int_equal(resource_scope_each(world->runtime, note_scope, &sum), ERR_OK);
    assert_true(sum == 2345);
}

static void
end_at_once(struct resource_op *op)
{
    char *merchant = resource_op_state(op);
    memcpy(merchant, resource_op_caller(op)->merchant_id, ID_TEXT_SIZE);
    resource_finish(op);
}

/* One merchant whose row cannot be read hides neither its own work nor that of others. */
static void
scopes_of_a_damaged_merchant_are_listed(void **state)
{
    struct t_world *world = *state;
    char other[ID_TEXT_SIZE];
    assert_int_equal(resource_merchant_create(world->runtime, "Other", other), ERR_OK);
    t_damage(world, "merchant", world->merchant);
    t_restart(world);
    uint64_t sum = 0;
    assert_int_equal(resource_scope_each(world->runtime, note_scope, &sum), ERR_OK);
    assert_true(sum == 2345);
    char merchant[ID_TEXT_SIZE] = "";
    assert_int_equal(
        resource_start_internal(world->runtime, T_SCOPE, NULL, end_at_once, merchant), ERR_OK);
    t_run(world);
    assert_string_equal(merchant, world->merchant);
}

static void
derived_ids_depend_on_id_and_step_only(void **state)
{
    (void)state;
    u128 id = u128_make(0x0123456789abcdef, 0xfedcba9876543210);
    u128 first = resource_derived_id(id, "authorize");
    assert_true(first == resource_derived_id(id, "authorize"));
    assert_true(first != resource_derived_id(id, "capture"));
    assert_true(first != resource_derived_id(id + 1, "authorize"));
    assert_true(id_unix_ms(first) == id_unix_ms(id));
}

static void
a_runtime_with_work_under_way_can_go(void **state)
{
    struct t_world *world = *state;
    world->outside_hangs = true;
    struct t_call *thing = t_do(world, T_CREATE, NULL, "name=a");
    for (int i = 0; i < 3; i++) {
        (void)t_send(world, T_CHARGE, NULL, "name=b");
        (void)t_send(world, T_UPDATE, t_text(thing, "id"), "fail=hang");
    }
    t_run(world);
    /* The teardown's sanitizers see what is left behind. */
}

static void
a_setting_is_chosen_once(void **state)
{
    struct t_world *world = *state;
    char chosen[8] = "";
    t_run(world); /* nothing is half done, as before the loop runs */
    assert_int_equal(
        resource_setting_choose(world->runtime, "colour", "red", chosen, sizeof(chosen)), ERR_OK);
    assert_string_equal(chosen, "red");
    t_restart(world);
    assert_int_equal(
        resource_setting_choose(world->runtime, "colour", "green", chosen, sizeof(chosen)), ERR_OK);
    assert_string_equal(chosen, "red");
    assert_int_equal(
        resource_setting_choose(world->runtime, "colour", "x", chosen, 3), ERR_CORRUPT);
    world->store.commit_fails = ERR_DISK_FULL;
    assert_int_equal(
        resource_setting_choose(world->runtime, "size", "big", chosen, sizeof(chosen)),
        ERR_DISK_FULL);
    assert_int_equal(
        resource_setting_choose(world->runtime, "size", "small", chosen, sizeof(chosen)), ERR_OK);
    assert_string_equal(chosen, "small");
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(answers_leave_behind_their_commit),
        T(a_group_shares_one_commit_and_one_post),
        T(a_failed_commit_fails_its_group_whole),
        T(readers_of_a_lost_transaction_fail_with_it),
        T(steps_run_behind_the_commit_or_not_at_all),
        T(an_unknown_commit_is_told_as_unknown),
        T(a_refused_operation_leaves_nothing),
        T(a_refused_update_restores_the_row),
        T(a_failing_write_is_told_as_ours),
        T(who_lost_runs_again),
        T(more_operations_than_allowed_are_refused),
        T(one_merchant_leaves_operations_to_the_others),
        T(the_next_group_works_while_the_disk_syncs),
        T(a_commit_waits_a_few_turns_while_others_join),
        T(a_failed_sync_leaves_everything_open),
        T(internal_operations_have_a_merchant_and_an_end),
        T(an_internal_operation_may_run_again),
        T(nothing_hangs_on_what_failed),
        T(scopes_are_listed),
        T(scopes_of_a_damaged_merchant_are_listed),
        T(derived_ids_depend_on_id_and_step_only),
        T(a_setting_is_chosen_once),
        T(a_runtime_with_work_under_way_can_go),
    };
    return T_RUN("resource runtime", tests);
}
