#include "differential_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static err_t
t_move_ask(void *context, uint32_t shard, struct port_ledger_request *request)
{
    struct t_world *t = context;
    struct port_ledger *port = &t->ports[shard].port;
    if (shard == t->lost && t->step >= t->lost_from) {
        return ERR_BUSY;
    }
    request->reply_to = &t->executor;
    request->done = t_count_answer;
    port->submit(port, request);
    assert_true(os_sim_run_until_idle(t->sim, 100000));
    return request->error;
}

static void
t_move_pause(void *context)
{
    struct t_world *t = context;
    assert_true(t->lost < SHARDS); /* nobody else is busy here */
    assert_true(os_sim_run_for(t->sim, 100 * OS_NS_PER_MS, 100000));
}

uint64_t
t_move_now(void *context)
{
    struct t_world *t = context;
    return os_monotonic_ns(os_sim_clock(t->sim));
}

static err_t
t_move_replace(void *context, uint64_t expected, const struct shard_map *next)
{
    (void)context;
    return shard_map_replace(&t_map, expected, next);
}

/* Work goes on while slots move, but what asks for a fenced slot waits for the map. */
static bool
t_move_go_on(void *context, const struct shards_move_report *report)
{
    struct t_world *t = context;
    t->step = report->step;
    t->steps++;
    if (report->step > SHARDS_MOVE_FENCE && report->step <= SHARDS_MOVE_FLIP) {
        t->fenced = t_map.epoch;
    }
    if (report->step < SHARDS_MOVE_FENCE && t->fenced != t_map.epoch &&
        os_prng_chance(&t->prng, 1, 2)) {
        if (os_prng_chance(&t->prng, 1, 6)) {
            t_accounts(t);
        } else if (os_prng_chance(&t->prng, 1, 4)) {
            t_join(t);
        } else {
            t_transfers(t);
        }
    }
    return t->steps != t->stop_at;
}

/* One half of the source's slots, the other, or all (3). */
static void
take_slots(struct shards_move_parts *parts, uint32_t part)
{
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        if (t_map.owners[slot] == parts->from && (part == 3 || slot / 4 % 2 == part - 1)) {
            parts->slots[slot / 64] |= UINT64_C(1) << slot % 64;
        }
    }
}

void
t_move(struct t_world *t)
{
    struct shards_move_report report;
    char message[SHARDS_MESSAGE_SIZE];
    static struct shard_map now;
    memcpy(&now, &t_map, sizeof(now));
    struct shards_move_parts parts = {
        .map = &now,
        .from = t_map.owners[t_slot((uint32_t)os_prng_below(&t->prng, GROUPS))],
        .ask = t_move_ask,
        .pause = t_move_pause,
        .now_ns = t_move_now,
        .replace = t_move_replace,
        .go_on = t_move_go_on,
        .context = t,
    };
    parts.to = (parts.from + 1 + (uint32_t)os_prng_below(&t->prng, SHARDS - 1)) % SHARDS;
    take_slots(&parts, (uint32_t)os_prng_below(&t->prng, 3) + 1);
    for (;;) {
        t->steps = 0;
        t->stop_at = os_prng_chance(&t->prng, 1, 2) ? (uint32_t)os_prng_below(&t->prng, 12) + 1 : 0;
        memcpy(&now, &t_map, sizeof(now));
        err_t result = shards_move(&parts, &report, message);
        if (result == ERR_OK) {
            t->moves++;
            assert_true(report.source.hash == report.target.hash);
            return;
        }
        if (result == ERR_INVALID || result == ERR_EXISTS) {
            return; /* none of that half, or they arrive together with others */
        }
        if (result == ERR_DENIED && t->hold != 0) {
            t->denied++;
            t_hold_end(t);
            continue;
        }
        if (result != ERR_CLOSED) {
            fail_msg("%s: %s", err_text(result), message);
        }
        t->stopped++;
        if (os_prng_chance(&t->prng, 1, 2)) {
            t_restart(t, os_prng_chance(&t->prng, 1, 2) ? parts.from : parts.to);
        }
        if (os_prng_chance(&t->prng, 1, 4) && t_map.owners[t_slot(0)] == now.owners[t_slot(0)]) {
            memcpy(&now, &t_map, sizeof(now));
            assert_int_equal(shards_move_cancel(&parts, message), ERR_OK);
            t->cancelled++;
            return;
        }
    }
}

struct shards_move_parts
t_whole_shard(struct t_world *t, struct shard_map *now)
{
    memcpy(now, &t_map, sizeof(*now));
    struct shards_move_parts parts = {
        .map = now,
        .from = t_map.owners[t_slot(0)],
        .to = (t_map.owners[t_slot(0)] + 1U) % SHARDS,
        .ask = t_move_ask,
        .pause = t_move_pause,
        .now_ns = t_move_now,
        .replace = t_move_replace,
        .go_on = t_move_go_on,
        .context = t,
    };
    take_slots(&parts, 3);
    return parts;
}
