/* Active health checks: a GET now and then, whose answer is 2xx or not. */
#include "base/assert.h"

#include "upstream_private.h"

#include <string.h>

static void
check_arm(struct upstream_slot *slot, uint64_t wait_ns)
{
    /* Without memory for the timer there is no further check, and requests still judge it. */
    err_t result = net_timer_arm(slot->upstream->loop, &slot->check_timer, net_now_ns() + wait_ns);
    (void)result;
}

/* The interval, shorter by chance, so that many balancers do not check at once. */
static uint64_t
interval_draw(struct upstream *upstream)
{
    const struct upstream_health_settings *health = &upstream->settings.health;
    uint64_t interval_ns = health->interval_ms * UPSTREAM_NS_PER_MS;
    uint64_t jitter_ns = interval_ns * health->jitter_percent / 100;
    return interval_ns - os_prng_below(&upstream->prng, jitter_ns + 1);
}

static void
on_checked(struct net_call *call)
{
    struct upstream_slot *slot = CONTAINER_OF(call, struct upstream_slot, check);
    struct upstream *upstream = slot->upstream;
    slot->checking = false;
    bool well = call->result == ERR_OK && call->status >= 200 && call->status < 300;
    net_call_release(call);
    if (slot->leaving) {
        return;
    }
    const struct upstream_health_settings *health = &upstream->settings.health;
    upstream_counter_add(UPSTREAM_SLOT_COUNTER(slot, checks), 1);
    upstream_counter_add(UPSTREAM_SLOT_COUNTER(slot, checks_failed), well ? 0 : 1);
    if (balance_health_result(&slot->health, health->up, health->down, well)) {
        upstream_slot_state(slot);
    }
    check_arm(slot, interval_draw(upstream));
}

static void
on_check_due(struct net_timer *timer)
{
    struct upstream_slot *slot = CONTAINER_OF(timer, struct upstream_slot, check_timer);
    struct upstream *upstream = slot->upstream;
    ASSERT(!slot->checking);
    slot->checking = true;
    struct net_call *call = &slot->check;
    call->next = NULL;
    call->method = HTTP_METHOD_GET;
    call->target = span_from_cstr(upstream->health_path);
    call->timeout_ms = upstream->settings.health.timeout_ms;
    call->reply_to = net_loop_executor(upstream->loop);
    call->done = on_checked;
    net_client_start(slot->checker, call);
}

void
upstream_check_begin(struct upstream_slot *slot)
{
    if (slot->checker == NULL || slot->checking) {
        return;
    }
    slot->check_timer.fire = on_check_due;
    check_arm(slot, 0);
}

void
upstream_check_end(struct upstream_slot *slot)
{
    net_timer_cancel(slot->upstream->loop, &slot->check_timer);
}
