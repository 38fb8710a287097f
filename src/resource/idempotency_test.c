/* One key, one effect (payments' rules of the public API). RESOURCE-3 */
#include "testing.h"

#include "resource/event.h"
#include "resource/merchants.h"

#include <jansson.h>
#include <string.h>

static void
t_expect_replay(const struct t_call *call, const struct t_call *original)
{
    assert_true(call->done);
    assert_int_equal(call->request.status, original->request.status);
    assert_true(call->request.replayed);
    assert_string_equal(call->request.original_request_id, original->request.request_id);
    assert_true(json_equal(call->json, original->json));
    assert_true(span_equal(buf_span(&call->request.body), buf_span(&original->request.body)));
}

static void
a_repeat_answers_the_same(void **state)
{
    struct t_world *world = *state;
    struct t_call *first =
        t_do_with_key(world, T_CREATE, NULL, "name=a&colour=red&metadata[x]=1", "k1");
    assert_int_equal(first->request.status, 200);
    assert_false(first->request.replayed);
    t_expect_replay(
        t_do_with_key(world, T_CREATE, NULL, "name=a&colour=red&metadata[x]=1", "k1"), first);
    /* The order of parameters means nothing. */
    t_expect_replay(
        t_do_with_key(world, T_CREATE, NULL, "metadata[x]=1&colour=red&name=a", "k1"), first);
    t_restart(world);
    t_expect_replay(
        t_do_with_key(world, T_CREATE, NULL, "name=a&colour=red&metadata[x]=1", "k1"), first);
    assert_int_equal(t_count(world, "thing"), 1);
    assert_int_equal(t_count(world, "event"), 1);
}

/* Without the runtime's knowing. */
static void
t_remove(struct t_world *world, const struct document_kind *kind, const char *id, uint32_t version)
{
    struct document_store *documents = world->store.real;
    assert_int_equal(documents->ops->begin(documents), ERR_OK);
    assert_int_equal(
        documents->ops->remove(documents, kind, 2, span_from_cstr(id), version), ERR_OK);
    assert_int_equal(documents->ops->commit(documents), ERR_OK);
}

/* Repeats a request after its event has gone: the row knows the answer itself, or it does not. */
static void
t_expect_own_answer(struct t_world *world, const char *form, bool own)
{
    char key[32];
    (void)snprintf(key, sizeof(key), "key-%zu", t_count(world, "thing"));
    struct t_call *first = t_do_with_key(world, T_CREATE, NULL, form, key);
    t_expect_replay(t_do_with_key(world, T_CREATE, NULL, form, key), first);
    t_restart(world);
    t_expect_replay(t_do_with_key(world, T_CREATE, NULL, form, key), first);
    const char *event = t_text(t_do(world, T_EVENTS, NULL, NULL), "data.0.id");
    t_remove(world, resource_event_type.kind, event, 1);
    size_t count = t_count(world, "thing");
    struct t_call *again = t_do_with_key(world, T_CREATE, NULL, form, key);
    if (own) {
        t_expect_replay(again, first);
    } else {
        assert_int_equal(again->request.status, 500);
    }
    assert_int_equal(t_count(world, "thing"), count);
}

static void
an_event_keeps_the_answer_if_it_lives_longer(void **state)
{
    struct t_world *world = *state;
    const uint64_t day_ns = UINT64_C(86400) * OS_NS_PER_S;
    t_expect_own_answer(world, "name=a", true); /* how long events live is not known */
    t_close(world);
    world->settings.event_keep_ns = 2 * day_ns - 1; /* keys live one, and one is for clocks */
    t_open(world);
    t_expect_own_answer(world, "name=b", true);
    t_close(world);
    world->settings.event_keep_ns = 2 * day_ns;
    t_open(world);
    t_expect_own_answer(world, "name=c", false);
    /* An answer that is not what the event shows. */
    struct t_call *parent = t_do(world, T_CREATE, NULL, "name=d");
    char form[100];
    (void)snprintf(form, sizeof(form), "name=e&expand[]=parent&parent=%s", t_text(parent, "id"));
    t_expect_own_answer(world, form, true);
    t_close(world);
    world->settings.event_keep_ns = 100 * day_ns;
    world->settings.idempotency_keep_ns = 7 * day_ns + 1; /* longer than whoever removes knows of */
    t_open(world);
    t_expect_own_answer(world, "name=f", true);
}

static void
other_parameters_or_another_endpoint_are_refused(void **state)
{
    struct t_world *world = *state;
    static const char *const others[] = {
        "name=b", "name=a&colour=", "name=a&colour=red", "name=a&metadata[x]=1", NULL};
    (void)t_do_with_key(world, T_CREATE, NULL, "name=a", "k1");
    for (size_t i = 0; others[i] != NULL; i++) {
        struct t_call *call = t_do_with_key(world, T_CREATE, NULL, others[i], "k1");
        t_expect_error(call, 400, "", NULL);
        assert_string_equal(t_text(call, "error.type"), "idempotency_error");
        assert_non_null(strstr(t_text(call, "error.message"), "same parameters"));
    }
    struct t_call *call = t_do_with_key(world, T_CHARGE, NULL, "name=a", "k1");
    assert_string_equal(t_text(call, "error.type"), "idempotency_error");
    struct t_call *one = t_do(world, T_CREATE, NULL, "name=b");
    struct t_call *two = t_do(world, T_CREATE, NULL, "name=b");
    (void)t_do_with_key(world, T_UPDATE, t_text(one, "id"), NULL, "k2");
    call = t_do_with_key(world, T_UPDATE, t_text(two, "id"), NULL, "k2");
    assert_string_equal(t_text(call, "error.type"), "idempotency_error");
    assert_int_equal(t_count(world, "thing"), 3);
}

static void
keys_belong_to_a_merchant_and_mode(void **state)
{
    struct t_world *world = *state;
    char live[RESOURCE_KEY_TEXT_SIZE];
    t_key_create(world, RESOURCE_KEY_SECRET, true, live);
    (void)t_do_with_key(world, T_CREATE, NULL, "name=a", "k1");
    struct t_call *call = t_send(world, T_CREATE, NULL, "name=b");
    t_use_key(call, "k1");
    call->request.api_key = span_from_cstr(live);
    t_run(world);
    assert_int_equal(call->request.status, 200);
    assert_false(call->request.replayed);
}

/* It was there when the key was looked for, and gone when the thing was: another process does the
 * same request. */
static void
a_refusal_is_not_told_of_what_another_process_did_with_the_key(void **state)
{
    struct t_world *world = *state;
    t_close(world);
    world->store.store.shared = &t_shared_ops;
    t_open(world);
    const char *id = t_text(t_do(world, T_CREATE, NULL, "name=a"), "id");
    struct t_call *first = t_do_with_key(world, T_UPDATE, id, NULL, "k1");
    assert_int_equal(first->request.status, 200);
    t_remove(world, &t_thing_kind, id, 2);
    world->store.overtaken = true;
    t_expect_replay(t_do_with_key(world, T_UPDATE, id, NULL, "k1"), first);
    world->store.overtaken = true;
    t_expect_error(t_do_with_key(world, T_UPDATE, id, NULL, "k2"), 404, "resource_missing", "id");
    assert_false(world->store.overtaken);
}

static void
validation_failures_leave_the_key_new(void **state)
{
    struct t_world *world = *state;
    t_expect_error(
        t_do_with_key(world, T_CREATE, NULL, "nam=a", "k1"), 400, "parameter_unknown", NULL);
    t_expect_error(
        t_do_with_key(world, T_CREATE, NULL, "name=a&fail=invalid", "k1"),
        400,
        "amount_too_small",
        NULL);
    t_expect_error(
        t_do_with_key(world, T_CREATE, NULL, "name=a&fail=internal", "k1"), 500, "", NULL);
    struct t_call *call = t_do_with_key(world, T_CREATE, NULL, "name=a", "k1");
    assert_int_equal(call->request.status, 200);
    assert_false(call->request.replayed);
    assert_int_equal(t_count(world, "idempotency_key"), 1);
}

static void
executed_failures_are_kept(void **state)
{
    struct t_world *world = *state;
    struct t_call *first = t_do_with_key(world, T_CREATE, NULL, "name=a&fail=executed", "k1");
    t_expect_error(first, 402, "card_declined", NULL);
    t_restart(world);
    t_expect_replay(t_do_with_key(world, T_CREATE, NULL, "name=a&fail=executed", "k1"), first);
    assert_int_equal(t_count(world, "thing"), 1);
}

static void
a_failed_commit_leaves_the_key_new(void **state) /* RESOURCE-2, RESOURCE-3 */
{
    struct t_world *world = *state;
    world->store.commit_fails = ERR_IO;
    struct t_call *lost = t_do_with_key(world, T_CREATE, NULL, "name=a", "k1");
    assert_int_equal(lost->request.status, 500);
    struct t_call *call = t_do_with_key(world, T_CREATE, NULL, "name=a", "k1");
    assert_int_equal(call->request.status, 200);
    assert_false(call->request.replayed);
    assert_int_equal(t_count(world, "thing"), 1);
}

static void
many_at_once_have_one_effect(void **state)
{
    struct t_world *world = *state;
    struct t_call *calls[64];
    for (size_t i = 0; i < 64; i++) {
        calls[i] = t_send(world, T_CHARGE, NULL, "name=a");
        t_use_key(calls[i], "k1");
    }
    t_run(world);
    size_t good = 0;
    size_t replayed = 0;
    for (size_t i = 0; i < 64; i++) {
        assert_true(calls[i]->done);
        if (calls[i]->request.status == 200) {
            good++;
            replayed += calls[i]->request.replayed;
        } else {
            t_expect_error(calls[i], 409, "idempotency_key_in_use", NULL);
        }
    }
    assert_true(good >= 1);
    assert_int_equal(good, replayed + 1);
    assert_int_equal(world->outside_calls, 1);
    assert_int_equal(t_count(world, "thing"), 1);
    assert_int_equal(t_count(world, "idempotency_key"), 1);
}

static void
outside_effects_announce_their_key_and_finish_it(void **state)
{
    struct t_world *world = *state;
    struct t_call *first = t_do_with_key(world, T_CHARGE, NULL, "name=a", "k1");
    assert_int_equal(first->request.status, 200);
    assert_int_equal(t_count(world, "idempotency_key"), 1);
    t_expect_replay(t_do_with_key(world, T_CHARGE, NULL, "name=a", "k1"), first);
    assert_int_equal(world->outside_calls, 1);
    /* Refused in the end: the key is new again. */
    t_expect_error(
        t_do_with_key(world, T_CHARGE, NULL, "name=a&fail=invalid", "k2"), 400, "", NULL);
    assert_int_equal(t_count(world, "idempotency_key"), 1);
}

static void
adopt(struct resource_op *op)
{
    resource_adopt_key(op, SPAN("k1"));
    if (resource_op_idempotency_key(op).size == 0) {
        resource_finish(op);
        return;
    }
    assert_true(span_equal_cstr(resource_op_idempotency_key(op), "k1"));
    struct buf body;
    buf_init(&body, 100);
    buf_append_cstr(&body, "{\"finished\":\"later\"}");
    resource_answer(op, 200, &body);
}

static void
a_key_of_a_dead_process_stays_taken_until_it_is_adopted(void **state)
{
    struct t_world *world = *state;
    world->outside_hangs = true;
    struct t_call *lost = t_do_with_key(world, T_CHARGE, NULL, "name=a", "k1");
    assert_false(lost->done);
    t_expect_error(
        t_do_with_key(world, T_CHARGE, NULL, "name=a", "k1"), 409, "idempotency_key_in_use", NULL);
    t_restart(world);
    t_expect_error(
        t_do_with_key(world, T_CHARGE, NULL, "name=a", "k1"), 409, "idempotency_key_in_use", NULL);
    struct t_call *other = t_do_with_key(world, T_CHARGE, NULL, "name=b", "k1");
    assert_string_equal(t_text(other, "error.type"), "idempotency_error");
    for (int round = 0; round < 2; round++) { /* the second one has nothing to adopt */
        assert_int_equal(resource_start_internal(world->runtime, 2, NULL, adopt, NULL), ERR_OK);
        t_run(world);
        struct t_call *call = t_do_with_key(world, T_CHARGE, NULL, "name=a", "k1");
        assert_int_equal(call->request.status, 200);
        assert_true(call->request.replayed);
        assert_string_equal(t_text(call, "finished"), "later");
        assert_string_equal(call->request.original_request_id, lost->request.request_id);
    }
    assert_int_equal(world->outside_calls, 1);
}

static struct t_call *
t_publishable_charges(struct t_world *world, const char *key)
{
    struct t_call *call = t_send(world, T_CHARGE, NULL, "name=a&colour=red");
    t_use_key(call, "k1");
    call->request.api_key = span_from_cstr(key);
    t_run(world);
    return call;
}

/* What whoever pays has put on the attempt is the name under which it is adopted. */
static struct {
    char text[16];
    size_t size;
} attempt;

static void
note_name(struct resource_op *op)
{
    struct span name = resource_op_idempotency_key(op);
    assert_true(name.size <= sizeof(attempt.text));
    memcpy(attempt.text, name.data, name.size);
    attempt.size = name.size;
}

static void
adopt_publishable(struct resource_op *op)
{
    struct t_thing *thing = resource_new(op, &t_thing_type);
    assert_non_null(thing);
    thing->name = SPAN("a");
    thing->colour = SPAN("red");
    resource_adopt_key(op, span_of(attempt.text, attempt.size));
    assert_true(resource_op_idempotency_key(op).size != 0);
    resource_answer_object(op, &t_thing_type, thing);
}

static void
a_publishable_key_has_keys_apart(void **state)
{
    struct t_world *world = *state;
    char key[RESOURCE_KEY_TEXT_SIZE];
    t_key_create(world, RESOURCE_KEY_PUBLISHABLE, false, key);
    struct t_call *theirs = t_do_with_key(world, T_CHARGE, NULL, "name=a&colour=red", "k1");
    assert_string_equal(t_text(theirs, "colour"), "red");
    struct t_call *own = t_publishable_charges(world, key);
    assert_int_equal(own->request.status, 200);
    assert_false(own->request.replayed);
    assert_null(t_json(own, "colour"));
    t_restart(world);
    t_expect_replay(t_publishable_charges(world, key), own);
    t_expect_replay(t_do_with_key(world, T_CHARGE, NULL, "name=a&colour=red", "k1"), theirs);
    assert_int_equal(t_count(world, "idempotency_key"), 2);
    /* Nobody gets to them by a name of that form. */
    t_expect_error(t_do_with_key(world, T_CREATE, NULL, "name=a", "\x01k1"), 400, "", NULL);
}

static void
what_is_ended_for_a_publishable_key_is_answered_in_part(void **state)
{
    struct t_world *world = *state;
    char key[RESOURCE_KEY_TEXT_SIZE];
    t_key_create(world, RESOURCE_KEY_PUBLISHABLE, false, key);
    world->outside_hangs = true;
    world->charged = note_name;
    assert_false(t_publishable_charges(world, key)->done);
    t_restart(world);
    t_expect_error(t_publishable_charges(world, key), 409, "idempotency_key_in_use", NULL);
    assert_int_equal(
        resource_start_internal(world->runtime, 2, NULL, adopt_publishable, NULL), ERR_OK);
    t_run(world);
    struct t_call *told = t_publishable_charges(world, key);
    assert_true(told->request.replayed);
    assert_string_equal(t_text(told, "name"), "a");
    assert_null(t_json(told, "colour"));
}

static void
keys_expire(void **state)
{
    struct t_world *world = *state;
    struct t_call *first = t_do_with_key(world, T_CREATE, NULL, "name=a", "k1");
    assert_true(os_sim_run_for(world->sim, (24 * 3600 - 60) * OS_NS_PER_S, 1000000));
    t_expect_replay(t_do_with_key(world, T_CREATE, NULL, "name=a", "k1"), first);
    assert_true(os_sim_run_for(world->sim, 120 * OS_NS_PER_S, 1000000));
    assert_int_equal(t_count(world, "idempotency_key"), 0);
    struct t_call *again = t_do_with_key(world, T_CREATE, NULL, "name=b", "k1");
    assert_int_equal(again->request.status, 200);
    assert_false(again->request.replayed);
    /* Even before they are swept. */
    os_sim_advance(world->sim, 25 * 3600 * OS_NS_PER_S);
    again = t_send(world, T_CREATE, NULL, "name=c");
    t_use_key(again, "k1");
    t_run(world);
    assert_int_equal(again->request.status, 200);
    assert_false(again->request.replayed);
}

static void
odd_keys_are_refused(void **state)
{
    struct t_world *world = *state;
    char key[300];
    memset(key, 'k', sizeof(key));
    key[255] = '\0';
    assert_int_equal(t_do_with_key(world, T_CREATE, NULL, "name=a", key)->request.status, 200);
    key[255] = 'k';
    key[256] = '\0';
    t_expect_error(t_do_with_key(world, T_CREATE, NULL, "name=a", key), 400, "", NULL);
    t_expect_error(t_do_with_key(world, T_CREATE, NULL, "name=a", ""), 400, "", NULL);
    t_expect_error(t_do_with_key(world, T_CREATE, NULL, "name=a", "\xff"), 400, "", NULL);
    assert_int_equal(t_count(world, "thing"), 1);
}

static void
reading_needs_no_key(void **state)
{
    struct t_world *world = *state;
    struct t_call *first = t_do_with_key(world, T_LIST, NULL, NULL, "k1");
    (void)t_do(world, T_CREATE, NULL, "name=a");
    struct t_call *second = t_do_with_key(world, T_LIST, NULL, NULL, "k1");
    assert_false(json_equal(first->json, second->json));
    assert_false(second->request.replayed);
}

static void
rate_limits_and_lock_timeouts_are_not_kept(void **state)
{
    struct t_world *world = *state;
    struct t_call *thing = t_do(world, T_CREATE, NULL, "name=a");
    const char *id = t_text(thing, "id");
    (void)t_do(world, T_UPDATE, id, "fail=hang");
    struct t_call *waiter = t_do_with_key(world, T_UPDATE, id, NULL, "k1");
    assert_true(os_sim_run_for(world->sim, 6 * OS_NS_PER_S, 1000));
    t_expect_error(waiter, 429, "lock_timeout", NULL);
    assert_int_equal(t_count(world, "idempotency_key"), 0);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(a_repeat_answers_the_same),
        T(an_event_keeps_the_answer_if_it_lives_longer),
        T(other_parameters_or_another_endpoint_are_refused),
        T(keys_belong_to_a_merchant_and_mode),
        T(a_refusal_is_not_told_of_what_another_process_did_with_the_key),
        T(validation_failures_leave_the_key_new),
        T(executed_failures_are_kept),
        T(a_failed_commit_leaves_the_key_new),
        T(many_at_once_have_one_effect),
        T(outside_effects_announce_their_key_and_finish_it),
        T(a_key_of_a_dead_process_stays_taken_until_it_is_adopted),
        T(a_publishable_key_has_keys_apart),
        T(what_is_ended_for_a_publishable_key_is_answered_in_part),
        T(keys_expire),
        T(odd_keys_are_refused),
        T(reading_needs_no_key),
        T(rate_limits_and_lock_timeouts_are_not_kept),
    };
    return T_RUN("resource idempotency", tests);
}
