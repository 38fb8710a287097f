/* One endpoint: its clients, states, ejection, draining. */
#include "base/assert.h"
#include "base/hash.h"

#include "upstream_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------- counters */

/* Writes the name for readers on other threads: they see it whole or not at all. */
static void
name_publish(struct upstream_slot *slot)
{
    uint64_t words[UPSTREAM_NAME_WORDS];
    static_assert(sizeof(words) == sizeof(slot->name), "a name is whole words");
    memcpy(words, slot->name, sizeof(words));
    uint64_t version = atomic_load_explicit(&slot->version, memory_order_relaxed);
    atomic_store_explicit(&slot->version, version + 1, memory_order_relaxed);
    for (size_t i = 0; i < UPSTREAM_NAME_WORDS; i++) {
        atomic_store_explicit(&slot->name_words[i], words[i], memory_order_release);
    }
    atomic_store_explicit(&slot->version, version + 2, memory_order_release);
}

bool
upstream_endpoint_count(
    const struct upstream *upstream,
    uint32_t index,
    struct upstream_endpoint_counters *ret_counters)
{
    ASSERT(index < UPSTREAM_ENDPOINTS_MAX);
    const struct upstream_slot *slot = &upstream->slots[index];
    uint64_t words[UPSTREAM_NAME_WORDS];
    uint64_t before;
    uint64_t after;
    do {
        before = atomic_load_explicit(&slot->version, memory_order_acquire);
        for (size_t i = 0; i < UPSTREAM_NAME_WORDS; i++) {
            words[i] = atomic_load_explicit(&slot->name_words[i], memory_order_acquire);
        }
        after = atomic_load_explicit(&slot->version, memory_order_relaxed);
    } while (before != after || before % 2 == 1);
    if (words[0] == 0) {
        return false;
    }
    memset(ret_counters, 0, sizeof(*ret_counters));
    memcpy(ret_counters->name, words, sizeof(words));
    uint64_t values[UPSTREAM_SLOT_COUNTER_COUNT];
    for (size_t i = 0; i < UPSTREAM_SLOT_COUNTER_COUNT; i++) {
        values[i] = atomic_load_explicit(&slot->counters[i], memory_order_relaxed);
    }
    memcpy(&ret_counters->state, values, sizeof(values));
    return true;
}

void
upstream_slots_counted(struct upstream *upstream)
{
    uint32_t active;
    uint32_t count = balance_count(&upstream->balance, &active);
    upstream_counter_set(UPSTREAM_COUNTER(upstream, endpoints), count);
    upstream_counter_set(UPSTREAM_COUNTER(upstream, usable), active);
}

void
upstream_gauges_copy(struct upstream *upstream)
{
    uint64_t pending = 0;
    for (uint32_t i = 0; i < UPSTREAM_ENDPOINTS_MAX; i++) {
        struct upstream_slot *slot = &upstream->slots[i];
        if (!slot->used) {
            continue;
        }
        struct net_client_counters counters;
        net_client_count(slot->client, &counters);
        upstream_counter_set(UPSTREAM_SLOT_COUNTER(slot, connections), counters.connections);
        upstream_counter_set(UPSTREAM_SLOT_COUNTER(slot, connect_failed), counters.connect_failed);
        pending += counters.waiting;
    }
    upstream_counter_set(UPSTREAM_COUNTER(upstream, pending), pending);
}

/* ------------------------------------------------------------------------------------ states */

void
upstream_slot_state(struct upstream_slot *slot)
{
    struct upstream *upstream = slot->upstream;
    enum balance_state state = BALANCE_ACTIVE;
    if (slot->leaving) {
        state = BALANCE_DRAINING;
    } else if (slot->health.unhealthy) {
        state = BALANCE_UNHEALTHY;
    } else if (slot->outlier.ejected) {
        state = BALANCE_EJECTED;
    }
    enum balance_state before = upstream->endpoints[slot->index].state;
    if (before == state) {
        return;
    }
    balance_set_state(&upstream->balance, slot->index, state, net_now_ns());
    upstream_counter_set(UPSTREAM_SLOT_COUNTER(slot, state), state);
    upstream_slots_counted(upstream);
    if (upstream->settings.log != NULL) {
        TRACE_LOG(
            upstream->settings.log,
            state == BALANCE_ACTIVE || state == BALANCE_DRAINING ? TRACE_INFO : TRACE_WARNING,
            "upstream",
            SPAN_EMPTY,
            "an endpoint changed its state",
            trace_cstr("upstream", upstream->name),
            trace_cstr("endpoint", slot->name),
            trace_cstr("from", balance_state_name(before)),
            trace_cstr("to", balance_state_name(state)));
    }
}

static void
on_return(struct net_timer *timer)
{
    struct upstream_slot *slot = CONTAINER_OF(timer, struct upstream_slot, return_timer);
    bool over = balance_outlier_return(&slot->outlier, net_now_ns());
    ASSERT(over);
    upstream_slot_state(slot);
}

/* UPSTREAM-4 */
static void
slot_eject(struct upstream_slot *slot, uint64_t now_ns)
{
    struct upstream *upstream = slot->upstream;
    struct balance_outlier before = slot->outlier;
    uint64_t until_ns = balance_outlier_eject(&slot->outlier, &upstream->settings.outlier, now_ns);
    if (net_timer_arm(upstream->loop, &slot->return_timer, until_ns) != ERR_OK) {
        slot->outlier = before; /* without a timer it would not come back */
        return;
    }
    upstream_counter_add(UPSTREAM_SLOT_COUNTER(slot, ejections), 1);
    upstream_slot_state(slot);
}

void
upstream_slot_result(struct upstream_slot *slot, bool failed, uint64_t now_ns)
{
    struct upstream *upstream = slot->upstream;
    if (failed) {
        upstream_counter_add(UPSTREAM_SLOT_COUNTER(slot, errors), 1);
    }
    const struct upstream_settings *settings = &upstream->settings;
    bool outlier = balance_outlier_result(&slot->outlier, &settings->outlier, failed);
    if (outlier && !slot->leaving && !slot->health.unhealthy &&
        balance_may_eject(&upstream->balance, settings->outlier.share_percent)) {
        slot_eject(slot, now_ns);
    }
}

/* -------------------------------------------------------------------------------------- life */

static void
slot_gone(struct upstream_slot *slot)
{
    struct upstream *upstream = slot->upstream;
    net_client_destroy(&slot->client);
    net_client_destroy(&slot->checker);
    net_call_release(&slot->check);
    balance_remove(&upstream->balance, slot->index);
    slot->used = false;
    upstream->slots_used--;
    memset(slot->name, 0, sizeof(slot->name));
    name_publish(slot);
    for (size_t i = 0; i < UPSTREAM_SLOT_COUNTER_COUNT; i++) {
        upstream_counter_set(&slot->counters[i], 0);
    }
    upstream_slots_counted(upstream);
    upstream_plan_resume(upstream);
    upstream_stop_step(upstream);
}

static void
client_gone(struct upstream_slot *slot)
{
    ASSERT(slot->clients_open > 0);
    slot->clients_open--;
    if (slot->clients_open == 0) {
        slot_gone(slot);
    }
}

static void
on_client_closed(struct os_task *task)
{
    client_gone(CONTAINER_OF(task, struct upstream_slot, client_closed));
}

static void
on_checker_closed(struct os_task *task)
{
    client_gone(CONTAINER_OF(task, struct upstream_slot, checker_closed));
}

/* What is under way ends: unknown if it had been sent. */
void
upstream_slot_close(struct upstream_slot *slot)
{
    struct upstream *upstream = slot->upstream;
    if (slot->closing) {
        return;
    }
    slot->leaving = true;
    slot->closing = true;
    upstream_slot_state(slot);
    net_timer_cancel(upstream->loop, &slot->return_timer);
    net_timer_cancel(upstream->loop, &slot->drain_timer);
    upstream_check_end(slot);
    slot->clients_open = 1;
    net_client_close(slot->client, &slot->client_closed);
    if (slot->checker != NULL) {
        slot->clients_open++;
        net_client_close(slot->checker, &slot->checker_closed);
    }
}

static void
on_drained(struct net_timer *timer)
{
    upstream_slot_close(CONTAINER_OF(timer, struct upstream_slot, drain_timer));
}

void
upstream_slot_leave(struct upstream_slot *slot)
{
    struct upstream *upstream = slot->upstream;
    ASSERT(!slot->leaving);
    slot->leaving = true;
    upstream_slot_state(slot);
    upstream_check_end(slot);
    uint64_t limit_ns = upstream->settings.drain_timeout_ms * UPSTREAM_NS_PER_MS;
    if (upstream->endpoints[slot->index].in_flight == 0 ||
        net_timer_arm(upstream->loop, &slot->drain_timer, net_now_ns() + limit_ns) != ERR_OK) {
        upstream_slot_close(slot);
    }
}

void
upstream_slot_stay(struct upstream_slot *slot)
{
    ASSERT(slot->leaving);
    ASSERT(!slot->closing);
    slot->leaving = false;
    net_timer_cancel(slot->upstream->loop, &slot->drain_timer);
    upstream_slot_state(slot);
    upstream_check_begin(slot);
}

void
upstream_slot_begin(struct upstream_slot *slot)
{
    struct upstream *upstream = slot->upstream;
    balance_begin(&upstream->balance, slot->index);
    upstream_counter_add(UPSTREAM_SLOT_COUNTER(slot, requests), 1);
    upstream_counter_set(
        UPSTREAM_SLOT_COUNTER(slot, in_flight), upstream->endpoints[slot->index].in_flight);
}

void
upstream_slot_end(struct upstream_slot *slot)
{
    struct upstream *upstream = slot->upstream;
    balance_end(&upstream->balance, slot->index);
    uint32_t in_flight = upstream->endpoints[slot->index].in_flight;
    upstream_counter_set(UPSTREAM_SLOT_COUNTER(slot, in_flight), in_flight);
    if (slot->leaving && in_flight == 0) {
        upstream_slot_close(slot); /* UPSTREAM-6 */
    }
}

/* --------------------------------------------------------------------------------- beginning */

/* Equal in every process: equal keys go to equal endpoints. */
static uint64_t
identity_of(const char *name)
{
    const struct hash_key key = {UINT64_C(0x7461656c2d757073), UINT64_C(0x747265616d2d6964)};
    return hash_keyed(key, span_from_cstr(name));
}

static err_t
clients_create(struct upstream_slot *slot)
{
    struct upstream *upstream = slot->upstream;
    const char *name = upstream->server_name[0] != '\0' ? upstream->server_name : NULL;
    if (name == NULL && upstream->source.begun &&
        atomic_load(&upstream->source.kind) == UPSTREAM_SOURCE_NAME) {
        name = upstream->source.text;
    }
    const struct net_origin origin = {
        .host = slot->target.host,
        .port = slot->target.port,
        .tls = upstream->settings.tls,
        .name = name,
    };
    TRY(net_client_create(upstream->loop, &origin, &upstream->client_settings, &slot->client));
    if (upstream->settings.health.path == NULL) {
        return ERR_OK;
    }
    /* A connection of its own: a pool that is full must not look like one that is ill. */
    struct net_client_settings settings = upstream->client_settings;
    settings.connections_max = 1;
    settings.waiting_max = 1;
    err_t result = net_client_create(upstream->loop, &origin, &settings, &slot->checker);
    if (result != ERR_OK) {
        net_client_destroy(&slot->client);
    }
    return result;
}

static void
slot_name(struct upstream_slot *slot)
{
    const struct upstream_target *target = &slot->target;
    bool is_ipv6 = strchr(target->host, ':') != NULL;
    memset(slot->name, 0, sizeof(slot->name));
    int size = snprintf(
        slot->name,
        sizeof(slot->name),
        is_ipv6 ? "[%s]:%u" : "%s:%u",
        target->host,
        (unsigned)target->port);
    ASSERT(size > 0);
    ASSERT((size_t)size < sizeof(slot->name));
    slot->name_size = (size_t)size + 1;
}

err_t
upstream_slot_open(
    struct upstream_slot *slot, const struct upstream_target *target, uint64_t ramp_from_ns)
{
    struct upstream *upstream = slot->upstream;
    ASSERT(!slot->used);
    slot->target = *target;
    TRY(clients_create(slot));
    slot->used = true;
    slot->leaving = false;
    slot->closing = false;
    slot->health = (struct balance_health){0};
    slot->outlier = (struct balance_outlier){0};
    slot->return_timer = (struct net_timer){.fire = on_return};
    slot->drain_timer = (struct net_timer){.fire = on_drained};
    slot->client_closed.run = on_client_closed;
    slot->checker_closed.run = on_checker_closed;
    slot_name(slot);
    upstream->slots_used++;
    balance_add(
        &upstream->balance, slot->index, identity_of(slot->name), &target->share, ramp_from_ns);
    upstream_counter_set(UPSTREAM_SLOT_COUNTER(slot, state), BALANCE_ACTIVE);
    upstream_counter_set(UPSTREAM_SLOT_COUNTER(slot, weight), target->share.weight);
    name_publish(slot);
    upstream_check_begin(slot);
    return ERR_OK;
}
