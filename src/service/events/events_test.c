/* The service on the simulated machine: EVENTS-1 to EVENTS-6. */
#include "testing.h"

#include "documents.h"

#include "base/list.h"
#include "callback/signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_MS 60000

static int64_t
wall_ms(const struct t_world *world)
{
    return (int64_t)(os_wall_ns(os_sim_clock(world->sim)) / OS_NS_PER_MS);
}

/* ----------------------------------------------------------------------------------- delivering */

static void
test_delivered_and_signed(void **state)
{
    struct t_world *world = *state;
    t_request(
        world,
        false,
        "POST",
        "/v1/webhook_endpoints",
        NULL,
        "url=http://a.test/hook&enabled_events[]=customer.created");
    char secret[64];
    (void)snprintf(secret, sizeof(secret), "%s", t_text(world, "secret"));
    assert_int_equal(strlen(secret), CALLBACK_SECRET_SIZE);
    t_emit(world, false, "customer.created", 1, false);
    t_emit(world, false, "customer.updated", 1, false);
    t_run(world);
    assert_int_equal(world->sent_count, 1);
    const struct t_sent *sent = &world->sent[0];
    char text[256];
    struct buf signature;
    const struct span secrets[] = {span_from_cstr(secret)};
    buf_init_fixed(&signature, text, sizeof(text) - 1);
    callback_sign(&signature, secrets, 1, sent->at_ms / 1000, span_from_cstr(sent->body));
    text[signature.size] = '\0';
    assert_string_equal(sent->signature, text);
    t_request(world, false, "GET", "/v1/events/:id", sent->event, NULL);
    assert_int_equal(world->status, 200);
    assert_int_equal(t_integer(world, "pending_webhooks"), 0);
    t_request(world, false, "GET", "/v1/events/:id/deliveries", sent->event, NULL);
    assert_string_equal(t_text(world, "data.0.status"), "succeeded");
    assert_string_equal(t_text(world, "data.0.request_body"), sent->body);
    assert_string_equal(t_text(world, "data.0.attempts.0.response.body"), "noted");
    struct events_health health = events_health(world->events);
    assert_int_equal(health.queued, 0);
    assert_int_equal(health.created, 1);
    assert_int_equal(health.outcomes[EVENTS_SUCCEEDED], 1);
}

static void
test_no_endpoint_no_row(void **state)
{
    struct t_world *world = *state;
    t_emit(world, false, "customer.created", 5, false);
    t_run_for(world, MINUTE_MS);
    assert_int_equal(world->sent_count, 0);
    assert_int_equal(events_health(world->events).created, 0);
    /* And one that comes later hears nothing of it. */
    (void)t_endpoint(world, "a.test", "*");
    t_run_for(world, MINUTE_MS);
    assert_int_equal(world->sent_count, 0);
}

static void
test_modes_are_apart(void **state)
{
    struct t_world *world = *state;
    (void)t_endpoint(world, "test.test", "*");
    t_request(
        world,
        true,
        "POST",
        "/v1/webhook_endpoints",
        NULL,
        "url=http://live.test/hook&enabled_events[]=*");
    assert_int_equal(world->status, 400);
    assert_string_equal(t_text(world, "error.param"), "url");
    t_live_endpoint(world, "live.test");
    t_emit(world, false, "customer.created", 1, false);
    t_emit(world, true, "customer.created", 2, false);
    t_run(world);
    assert_int_equal(t_delivered_to(world, "test.test"), 1);
    assert_int_equal(t_delivered_to(world, "live.test"), 2);
    for (uint32_t i = 0; i < world->sent_count; i++) {
        bool live = strcmp(world->sent[i].host, "live.test") == 0;
        assert_int_equal(world->sent[i].reach, live ? PORT_HTTP_PUBLIC : PORT_HTTP_LOCAL);
    }
    t_request(world, true, "GET", "/v1/webhook_endpoints", NULL, NULL);
    assert_string_equal(t_text(world, "data.0.url"), "https://live.test/hook");
    assert_string_equal(t_text(world, "data.1.url"), "");
}

/* An operation that is refused after it emitted takes its event back. */
static void
test_event_that_is_taken_back(void **state)
{
    struct t_world *world = *state;
    (void)t_endpoint(world, "a.test", "*");
    t_emit(world, false, "customer.created", 3, true);
    t_emit(world, false, "customer.created", 1, false);
    t_run_for(world, MINUTE_MS);
    assert_int_equal(t_event_count(world), 1);
    assert_int_equal(world->sent_count, 1);
    assert_int_equal(events_health(world->events).queued, 0);
}

/* The whole schedule of a live endpoint that never answers: three days, then no more. */
static void
test_schedule_of_three_days(void **state)
{
    struct t_world *world = *state;
    world->settings.disable_after_ms = INT64_MAX / 2000;
    t_crash(world);
    t_open(world);
    t_live_endpoint(world, "a.test");
    t_host(world, "a.test")->status = 503;
    t_emit(world, true, "customer.created", 1, false);
    int64_t began = wall_ms(world);
    for (int hour = 0; hour < 24 * 4; hour++) {
        t_run_for(world, 60 * MINUTE_MS);
    }
    uint32_t count = world->sent_count;
    assert_in_range(count, 15, 64);
    int64_t last = world->sent[count - 1].at_ms - began;
    assert_in_range(last, INT64_C(3) * 24 * 3600000, INT64_C(3) * 24 * 3600000 + 6 * 3600000);
    assert_in_range(world->sent[1].at_ms - began, 1, 60000 + 20);
    for (uint32_t i = 1; i < count; i++) {
        assert_string_equal(world->sent[i].body, world->sent[0].body);
        assert_true(world->sent[i].at_ms - world->sent[i - 1].at_ms <= 6 * 3600000 + 1000);
    }
    assert_int_equal(events_health(world->events).given_up, 1);
    t_request(world, true, "GET", "/v1/events/:id/deliveries", world->sent[0].event, NULL);
    assert_string_equal(t_text(world, "data.0.status"), "failed");
    assert_int_equal(t_integer(world, "data.0.attempt_count"), count);
    /* The log keeps the latest. */
    assert_string_equal(t_text(world, "data.0.attempts.9.error"), "status");
    assert_string_equal(t_text(world, "data.0.attempts.10.error"), "");
}

static void
test_test_mode_retries_within_thirty_seconds(void **state)
{
    struct t_world *world = *state;
    (void)t_endpoint(world, "a.test", "*");
    t_host(world, "a.test")->status = 500;
    t_emit(world, false, "customer.created", 1, false);
    t_run_for(world, 30000);
    assert_true(world->sent_count >= 2);
    t_run_for(world, INT64_C(4) * 3600000);
    assert_int_equal(events_health(world->events).given_up, 1);
}

/* -------------------------------------------------------------------------------------- crashes */

/* EVENTS-1, EVENTS-2: the process dies after any number of steps; every event that is there in the
 * end was delivered, and there is one delivery of it. */
static void
test_crash_at_any_step(void **state)
{
    struct t_world *world = *state;
    (void)t_endpoint(world, "a.test", "*");
    for (uint32_t steps = 0; steps < 60; steps++) {
        t_emit(world, false, "customer.created", 3, false);
        for (uint32_t i = 0; i < steps / 3; i++) {
            (void)os_sim_step(world->sim);
        }
        if (steps % 3 == 1) {
            assert_true(os_sim_run_for(world->sim, 100, T_STEPS_MAX)); /* answers under way land */
        }
        t_emit(world, false, "customer.updated", 1, false);
        for (uint32_t i = 0; i < steps % 7; i++) {
            (void)os_sim_step(world->sim);
        }
        t_crash(world);
        t_open(world);
        if (steps % 2 == 0) {
            t_run(world);
        }
    }
    t_run_for(world, MINUTE_MS);
    uint32_t count = t_event_count(world);
    assert_true(count >= 60);
    assert_int_equal(t_delivered_to(world, "a.test"), count);
    assert_int_equal(events_health(world->events).queued, 0);
}

static void
test_commit_that_fails(void **state)
{
    struct t_world *world = *state;
    (void)t_endpoint(world, "a.test", "*");
    for (uint32_t round = 0; round < 20; round++) {
        t_emit(world, false, "customer.created", 2, false);
        for (uint32_t i = 0; i < round; i++) {
            (void)os_sim_step(world->sim);
        }
        world->commit_fails = ERR_DATABASE;
        t_run_for(world, 1000);
    }
    world->commit_fails = ERR_OK;
    t_run_for(world, MINUTE_MS);
    uint32_t count = t_event_count(world);
    assert_true(count > 0);
    assert_int_equal(t_delivered_to(world, "a.test"), count);
    assert_int_equal(events_health(world->events).queued, 0);
    assert_int_equal(events_health(world->events).in_flight, 0);
}

/* Ids made after a restart are behind the cursor, whatever the clock says. */
static void
test_clock_that_goes_back(void **state)
{
    struct t_world *world = *state;
    (void)t_endpoint(world, "a.test", "*");
    t_emit(world, false, "customer.created", 2, false);
    t_run(world);
    t_crash(world);
    os_sim_jump_wall(world->sim, -(int64_t)(24 * 3600 * OS_NS_PER_S));
    t_open(world);
    t_emit(world, false, "customer.updated", 2, false);
    t_run_for(world, 1000);
    assert_int_equal(t_delivered_to(world, "a.test"), 4);
    /* And while it runs. */
    os_sim_jump_wall(world->sim, -(int64_t)(3600 * OS_NS_PER_S));
    t_emit(world, false, "customer.deleted", 2, false);
    t_run_for(world, 1000);
    assert_int_equal(t_delivered_to(world, "a.test"), 6);
}

static void
test_drain(void **state)
{
    struct t_world *world = *state;
    (void)t_endpoint(world, "a.test", "*");
    t_host(world, "a.test")->delay_ms = 5000;
    t_emit(world, false, "customer.created", 3, false);
    t_run(world);
    uint32_t under_way = world->under_way;
    assert_true(under_way > 0);
    events_drain(world->events);
    t_run(world);
    assert_false(events_is_drained(world->events));
    t_emit(world, false, "customer.created", 3, false);
    t_run_for(world, 6000);
    assert_true(events_is_drained(world->events));
    assert_int_equal(world->sent_count, under_way);
    t_crash(world);
    t_host(world, "a.test")->delay_ms = 0;
    t_open(world);
    t_run_for(world, 1000);
    assert_int_equal(t_delivered_to(world, "a.test"), 6);
    assert_int_equal(world->sent_count, 6);
}

/* ------------------------------------------------------------------------------------- fairness */

/* EVENTS-3: what hangs holds nobody up. */
static void
test_dead_endpoints_delay_nobody(void **state)
{
    struct t_world *world = *state;
    world->settings.in_flight_max = 8;
    t_crash(world);
    t_open(world);
    for (int i = 0; i < 15; i++) {
        char host[32];
        (void)snprintf(host, sizeof(host), "dead%d.test", i);
        (void)t_endpoint(world, host, "*");
        t_host(world, host)->delay_ms = 20000;
        t_host(world, host)->error = ERR_OUTCOME_UNKNOWN;
        t_host(world, host)->cause = ERR_TIMEOUT;
    }
    (void)t_endpoint(world, "good.test", "*");
    t_emit(world, false, "customer.created", 1, false);
    t_run_for(world, 2 * MINUTE_MS); /* until all of them are known to fail */
    assert_int_equal(t_delivered_to(world, "good.test"), 1);
    for (uint32_t i = 0; i < 20; i++) {
        t_emit(world, false, "customer.created", 5, false);
        t_run_for(world, 1000);
        assert_int_equal(t_delivered_to(world, "good.test"), 6 + 5 * i);
    }
    assert_true(world->most <= 8);
}

/* With bounds that the slow ones reach. */
static void
late_endpoints(struct t_world *world)
{
    enum {
        SLOW = 15
    };

    char host[32];
    t_crash(world);
    t_open(world);
    t_live_endpoint(world, "good.test");
    for (int i = 0; i < SLOW; i++) {
        (void)snprintf(host, sizeof(host), "slow%d.test", i);
        (void)t_endpoint(world, host, "*");
    }
    t_emit(world, false, "customer.created", 20, false);
    t_run(world); /* their windows grow */
    for (int i = 0; i < SLOW; i++) {
        (void)snprintf(host, sizeof(host), "slow%d.test", i);
        t_host(world, host)->delay_ms = 19000;
    }
    t_emit(world, false, "customer.created", 200, false);
    t_run_for(world, 1000);
    assert_in_range(world->under_way, 16, 31);
    for (uint32_t i = 0; i < 60; i++) {
        t_emit(world, true, "customer.created", 5, false);
        t_run_for(world, 1000);
        assert_int_equal(t_delivered_to(world, "good.test"), 5 * (i + 1));
    }
    assert_true(world->under_way >= 16); /* all the time */
    assert_true(events_health(world->events).overdue_ms >= 30000);
}

/* EVENTS-3: who answers well, but late, holds up no other merchant, nor the other mode. */
static void
test_late_endpoints_delay_no_other_merchant(void **state)
{
    struct t_world *world = *state;
    world->settings.in_flight_max = 32;
    late_endpoints(world);
}

/* The same if its events are large. */
static void
test_late_bodies_delay_no_other_merchant(void **state)
{
    struct t_world *world = *state;
    world->settings.memory_max = 60000;
    late_endpoints(world);
}

/* Events that nobody dispatches are a lag that grows; those that were dispatched are none. */
static void
test_lag_of_the_outbox(void **state)
{
    struct t_world *world = *state;
    (void)t_endpoint(world, "a.test", "*");
    t_emit(world, false, "customer.created", 5, false);
    t_run_for(world, MINUTE_MS);
    assert_int_equal(events_health(world->events).lag_ms, 0);
    events_drain(world->events);
    t_run(world);
    t_emit(world, false, "customer.created", 1, false);
    t_run_for(world, MINUTE_MS);
    assert_in_range(events_health(world->events).lag_ms, MINUTE_MS - 1000, MINUTE_MS);
    t_emit(world, false, "customer.created", 1, false); /* the oldest counts */
    t_run_for(world, MINUTE_MS);
    assert_in_range(events_health(world->events).lag_ms, 2 * MINUTE_MS - 1000, 2 * MINUTE_MS);
    assert_int_equal(t_delivered_to(world, "a.test"), 5);
}

/* However much waits for it, a dead endpoint is asked now and then only; when it is up again,
 * everything comes. */
static void
test_dead_endpoint_is_paced(void **state)
{
    struct t_world *world = *state;
    (void)t_endpoint(world, "a.test", "*");
    t_host(world, "a.test")->error = ERR_CLOSED;
    for (int i = 0; i < 20; i++) {
        t_emit(world, false, "customer.created", 100, false);
    }
    t_run_for(world, 10 * MINUTE_MS);
    assert_in_range(t_sent_to(world, NULL), 60, 120);
    assert_int_equal(t_host(world, "a.test")->most, 1);
    assert_int_equal(events_health(world->events).queued, 2000);
    assert_true(events_health(world->events).overdue_ms < 1000); /* it rests: nobody lacks room */
    t_host(world, "a.test")->error = ERR_OK;
    t_host(world, "a.test")->delay_ms = 10;
    t_run_for(world, MINUTE_MS);
    assert_true(t_delivered_to(world, "a.test") >= 1900);
    t_run_for(world, 10 * MINUTE_MS);
    assert_int_equal(t_delivered_to(world, "a.test"), 2000);
    assert_in_range(t_host(world, "a.test")->most, 32, world->settings.endpoint_in_flight_max);
    assert_int_equal(events_health(world->events).overdue_ms, 0);
}

/* EVENTS-4 */
static void
test_bodies_under_way_are_bounded(void **state)
{
    struct t_world *world = *state;
    world->settings.memory_max = 20000;
    t_crash(world);
    t_open(world);
    (void)t_endpoint(world, "a.test", "*");
    (void)t_endpoint(world, "b.test", "*");
    t_host(world, "a.test")->delay_ms = 50;
    t_host(world, "b.test")->delay_ms = 50;
    for (int i = 0; i < 5; i++) {
        t_emit(world, false, "customer.created", 50, false);
    }
    t_run_for(world, MINUTE_MS);
    assert_int_equal(t_delivered_to(world, "a.test"), 250);
    assert_int_equal(t_delivered_to(world, "b.test"), 250);
    assert_in_range(world->most, 2, 12);
}

/* ------------------------------------------------------------------------------------ endpoints */

static void
test_persistent_failure_disables(void **state)
{
    struct t_world *world = *state;
    world->settings.disable_after_ms = 2 * 3600000;
    t_crash(world);
    t_open(world);
    const char *bad = t_endpoint(world, "bad.test", "customer.created");
    (void)t_endpoint(world, "good.test", "*");
    t_host(world, "bad.test")->status = 500;
    t_emit(world, false, "customer.created", 3, false);
    t_run_for(world, INT64_C(1) * 3600000);
    t_request(world, false, "GET", "/v1/webhook_endpoints/:id", bad, NULL);
    assert_string_equal(t_text(world, "status"), "enabled");
    t_crash(world); /* since when it fails is remembered */
    t_open(world);
    t_run_for(world, INT64_C(2) * 3600000);
    t_request(world, false, "GET", "/v1/webhook_endpoints/:id", bad, NULL);
    assert_string_equal(t_text(world, "status"), "disabled");
    const struct t_sent *last = &world->sent[world->sent_count - 1];
    assert_string_equal(last->type, "webhook_endpoint.disabled");
    assert_string_equal(last->host, "good.test");
    assert_int_equal(events_health(world->events).endpoints, 1);
    uint32_t count = t_sent_to(world, "bad.test");
    t_emit(world, false, "customer.created", 3, false);
    t_run_for(world, 3600000);
    assert_int_equal(t_sent_to(world, "bad.test"), count);
    assert_int_equal(events_health(world->events).queued, 0);
}

/* One success now and then is enough to stay. */
static void
test_half_failure_does_not_disable(void **state)
{
    struct t_world *world = *state;
    world->settings.disable_after_ms = 3600000;
    t_crash(world);
    t_open(world);
    const char *id = t_endpoint(world, "a.test", "*");
    for (int i = 0; i < 40; i++) {
        t_host(world, "a.test")->status = i % 4 == 3 ? 200 : 500;
        t_emit(world, false, "customer.created", 1, false);
        t_run_for(world, 10 * MINUTE_MS);
    }
    t_request(world, false, "GET", "/v1/webhook_endpoints/:id", id, NULL);
    assert_string_equal(t_text(world, "status"), "enabled");
}

static void
test_deleted_endpoint_with_a_queue(void **state)
{
    struct t_world *world = *state;
    const char *id = t_endpoint(world, "a.test", "*");
    t_host(world, "a.test")->error = ERR_CLOSED;
    for (int i = 0; i < 5; i++) {
        t_emit(world, false, "customer.created", 100, false);
    }
    t_run_for(world, 1000);
    assert_int_equal(events_health(world->events).queued, 500);
    t_request_only(world, false, "DELETE", "/v1/webhook_endpoints/:id", id, NULL);
    assert_int_equal(world->status, 200);
    t_crash(world); /* before much of it is canceled */
    t_host(world, "a.test")->error = ERR_OK;
    t_open(world);
    assert_true(events_health(world->events).queued > 0);
    uint32_t before = world->sent_count;
    /* A new one does not get what was the old one's. */
    (void)t_endpoint(world, "b.test", "*");
    t_run_for(world, 10 * MINUTE_MS);
    assert_int_equal(events_health(world->events).queued, 0);
    assert_int_equal(world->sent_count, before);
}

static void
test_update_takes_effect_at_once(void **state)
{
    struct t_world *world = *state;
    const char *id = t_endpoint(world, "a.test", "customer.created");
    t_request(
        world,
        false,
        "POST",
        "/v1/webhook_endpoints/:id",
        id,
        "url=http://b.test/&enabled_events[]=customer.updated");
    assert_int_equal(world->status, 200);
    t_emit(world, false, "customer.created", 1, false);
    t_emit(world, false, "customer.updated", 1, false);
    t_run(world);
    assert_int_equal(world->sent_count, 1);
    assert_string_equal(world->sent[0].host, "b.test");
    assert_string_equal(world->sent[0].type, "customer.updated");
}

/* An endpoint that is refused, because the commit fails, is not there in memory either. */
static void
test_create_that_is_not_committed(void **state)
{
    struct t_world *world = *state;
    world->commit_fails = ERR_DATABASE;
    t_request(
        world,
        false,
        "POST",
        "/v1/webhook_endpoints",
        NULL,
        "url=http://a.test/hook&enabled_events[]=*");
    assert_int_equal(world->status, 500);
    t_emit(world, false, "customer.created", 1, false);
    t_run_for(world, 5000);
    assert_int_equal(world->sent_count, 0);
    (void)t_endpoint(world, "b.test", "*");
    t_emit(world, false, "customer.created", 1, false);
    t_run_for(world, 5000);
    assert_int_equal(world->sent_count, 1);
}

/* ---------------------------------------------------------------------------------- damaged rows
 */

/* More of them than the worker looks at in one turn. */
static void
test_damaged_deliveries_are_made_anew(void **state)
{
    struct t_world *world = *state;
    (void)t_endpoint(world, "a.test", "*");
    t_host(world, "a.test")->status = 500;
    t_emit(world, false, "customer.created", 40, false);
    t_run(world);
    t_damage(world, events_delivery_type.kind, 39);
    t_host(world, "a.test")->status = 200;
    t_run_for(world, 10 * MINUTE_MS);
    assert_int_equal(t_delivered_to(world, "a.test"), 40);
    struct events_health health = events_health(world->events);
    assert_int_equal(health.queued, 0);
    assert_int_equal(health.damaged, 39);
}

static void
test_delivery_damaged_while_it_is_sent(void **state)
{
    struct t_world *world = *state;
    (void)t_endpoint(world, "a.test", "*");
    t_host(world, "a.test")->delay_ms = 5000;
    t_emit(world, false, "customer.created", 1, false);
    t_run(world);
    assert_int_equal(world->under_way, 1);
    t_damage(world, events_delivery_type.kind, 1);
    t_run_for(world, MINUTE_MS);
    assert_int_equal(world->sent_count, 1);
    assert_int_equal(events_health(world->events).queued, 0);
    t_request(world, false, "GET", "/v1/events/:id/deliveries", world->sent[0].event, NULL);
    assert_string_equal(t_text(world, "data.0.status"), "succeeded");
}

/* It cannot be sent to anybody; what is behind it is. */
static void
test_deliveries_of_a_damaged_event_are_given_up(void **state)
{
    struct t_world *world = *state;
    (void)t_endpoint(world, "a.test", "*");
    (void)t_endpoint(world, "b.test", "*");
    t_host(world, "a.test")->status = 500;
    t_emit(world, false, "customer.created", 3, false);
    t_run(world);
    t_damage(world, resource_event_type.kind, 1);
    t_host(world, "a.test")->status = 200;
    t_run_for(world, 10 * MINUTE_MS);
    assert_int_equal(t_delivered_to(world, "a.test"), 2);
    assert_int_equal(t_delivered_to(world, "b.test"), 3);
    struct events_health health = events_health(world->events);
    assert_int_equal(health.queued, 0);
    assert_int_equal(health.given_up, 1);
    assert_int_equal(health.damaged, 1);
}

static void
test_damaged_endpoint_holds_up_no_other(void **state)
{
    struct t_world *world = *state;
    (void)t_endpoint(world, "a.test", "*");
    (void)t_endpoint(world, "b.test", "*");
    t_run(world);
    t_damage(world, events_endpoint_type.kind, 1);
    t_crash(world);
    t_open(world);
    t_emit(world, false, "customer.created", 2, false);
    t_run_for(world, MINUTE_MS);
    assert_int_equal(t_delivered_to(world, "b.test"), 2);
    (void)t_endpoint(world, "c.test", "*");
    t_emit(world, false, "customer.created", 1, false);
    t_run_for(world, MINUTE_MS);
    assert_int_equal(t_delivered_to(world, "c.test"), 1);
    assert_true(events_health(world->events).damaged > 0);
}

/* Those, too, that cannot be read. */
static void
test_old_rows_go(void **state)
{
    struct t_world *world = *state;
    (void)t_endpoint(world, "a.test", "*");
    for (int i = 0; i < 4; i++) {
        t_emit(world, false, "customer.created", 100, false);
    }
    t_run_for(world, MINUTE_MS);
    assert_int_equal(t_event_count(world), 400);
    t_damage(world, resource_event_type.kind, 250);
    t_damage(world, events_delivery_type.kind, 1);
    os_sim_advance(world->sim, 31 * 24 * 3600 * OS_NS_PER_S);
    t_emit(world, false, "customer.created", 1, false);
    t_run_for(world, MINUTE_MS);
    assert_int_equal(t_event_count(world), 1);
    t_request(world, false, "GET", "/v1/events", NULL, "delivery_success=true");
    assert_string_equal(t_text(world, "data.0.type"), "customer.created");
    assert_string_equal(t_text(world, "data.1.type"), "");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_delivered_and_signed),
        TEST(test_no_endpoint_no_row),
        TEST(test_modes_are_apart),
        TEST(test_event_that_is_taken_back),
        TEST(test_schedule_of_three_days),
        TEST(test_test_mode_retries_within_thirty_seconds),
        TEST(test_crash_at_any_step),
        TEST(test_commit_that_fails),
        TEST(test_clock_that_goes_back),
        TEST(test_drain),
        TEST(test_dead_endpoints_delay_nobody),
        TEST(test_late_endpoints_delay_no_other_merchant),
        TEST(test_late_bodies_delay_no_other_merchant),
        TEST(test_lag_of_the_outbox),
        TEST(test_dead_endpoint_is_paced),
        TEST(test_bodies_under_way_are_bounded),
        TEST(test_persistent_failure_disables),
        TEST(test_half_failure_does_not_disable),
        TEST(test_deleted_endpoint_with_a_queue),
        TEST(test_update_takes_effect_at_once),
        TEST(test_create_that_is_not_committed),
        TEST(test_damaged_deliveries_are_made_anew),
        TEST(test_delivery_damaged_while_it_is_sent),
        TEST(test_deliveries_of_a_damaged_event_are_given_up),
        TEST(test_damaged_endpoint_holds_up_no_other),
        TEST(test_old_rows_go),
    };
    return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
