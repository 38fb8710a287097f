/*
 * Four ledgers behind a router beside one ledger, both given the same random requests, none of
 * which crosses: every status, every account and every transfer must be the same, but for times.
 * Ids come again with other fields, chains fail, pendings are posted with and without their
 * accounts.
 *
 * The same again while slots move between the shards at random moments, moves stop or are cancelled
 * at random steps, and shards start again.
 *
 * TAEL_SHARDS_SEEDS  how many seeds
 */
#include "engine/ledger_engine.h"
#include "shards/move.h"

#include "base/list.h"
#include "os/file.h"
#include "os/prng.h"
#include "os/sim.h"
#include "os/sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS    4
#define GROUPS    6 /* accounts of one group are in one slot */
#define MEMBERS   4
#define ACCOUNTS  (GROUPS * MEMBERS)
#define BATCH     12
#define BATCHES   12
#define ID_COUNT  40 /* of transfers, for each group */
#define FOUND_MAX 2048

struct t_world;

/* A shard's port, whichever owner it has at the moment. */
struct t_port {
    struct port_ledger port;
    struct t_world *world;
    uint32_t shard;
};

struct t_world {
    struct t_port ports[SHARDS];
    struct os_sim *sim;
    struct os_sim_disk *disk;
    struct os_executor executor;
    struct ledger_engine *one;
    struct ledger_engine *engines[SHARDS];
    struct shards_owner *owners[SHARDS];
    struct shards_router *router;
    struct os_prng prng;
    u128 accounts[ACCOUNTS];
    uint32_t answers;
    uint32_t crossed;
    uint64_t fenced;  /* the epoch under which a fence is up */
    uint32_t stop_at; /* at which call of go_on the move stops; 0: never */
    uint32_t steps;   /* calls of it */
    uint32_t moves, stopped, cancelled, restarts, joined, denied;
    u128 hold;                       /* a live pending between two groups; 0: none */
    enum shards_move_step step;      /* of the move */
    enum shards_move_step lost_from; /* from this step on */
    uint32_t lost;                   /* this shard does not answer a move; SHARDS: all do */
};

static struct shard_map map;

static void
t_submit(struct port_ledger *port, struct port_ledger_request *request)
{
    struct t_port *to = CONTAINER_OF(port, struct t_port, port);
    struct port_ledger *owner = shards_owner_port(to->world->owners[to->shard]);
    owner->submit(owner, request);
}

static uint16_t
t_slot(uint32_t group)
{
    return (uint16_t)(group * 4099 % SHARD_SLOTS);
}

static struct ledger_engine *
t_engine(struct t_world *t, const char *url, const struct port_ledger_guard *guard)
{
    struct store_error error;
    struct ledger_engine *engine = NULL;
    struct ledger_engine_settings settings = ledger_engine_settings_default();
    settings.url = url;
    settings.disk = os_sim_disk_ops(t->disk);
    settings.clock = os_sim_clock(t->sim);
    settings.loops = os_sim_loops(t->sim);
    settings.store.loops = os_sim_loops(t->sim);
    settings.store.segment_size = 1 << 20;
    settings.guard = guard;
    settings.limits.account_count_max = 10000;
    settings.limits.pending_count_max = 1000;
    assert_int_equal(ledger_engine_open(&settings, &engine, &error), ERR_OK);
    return engine;
}

static err_t
t_read_map(void *context, struct shard_map *ret_map)
{
    (void)context;
    memcpy(ret_map, &map, sizeof(map));
    return ERR_OK;
}

static void
t_shard_open(struct t_world *t, uint32_t shard)
{
    static const char *const urls[SHARDS] = {"journal:a", "journal:b", "journal:c", "journal:d"};
    char message[SHARDS_MESSAGE_SIZE];
    char name[2] = {(char)('a' + shard), '\0'};
    const struct shards_owner_parts parts = {
        .map = &map,
        .name = name,
        .disk = os_sim_disk_ops(t->disk),
        .folder = urls[shard] + strlen("journal:"),
        .files = &t->executor,
        .read = t_read_map,
        .context = t,
    };
    err_t result = parts.disk->ops->make_folder(parts.disk, parts.folder);
    assert_true(result == ERR_OK || result == ERR_EXISTS);
    result = shards_owner_create(&parts, &t->owners[shard], message);
    if (result != ERR_OK) {
        fail_msg("shard %s: %s, %s", name, err_text(result), message);
    }
    t->engines[shard] = t_engine(t, urls[shard], shards_owner_guard(t->owners[shard]));
    shards_owner_attach(t->owners[shard], ledger_engine_port(t->engines[shard]));
}

static void t_reload(void *context, uint64_t epoch);

static void
t_open(struct t_world *t, uint64_t seed)
{
    struct port_ledger *ports[SHARDS];
    memset(t, 0, sizeof(*t));
    os_prng_seed(&t->prng, seed);
    assert_int_equal(os_sim_create(seed, &t->sim), ERR_OK);
    struct os_sim_disk_settings disk = {.seed = seed};
    assert_int_equal(os_sim_disk_create(&disk, &t->disk), ERR_OK);
    t->executor.post = os_post_now;
    t->lost = SHARDS;
    t->one = t_engine(t, "journal:one", NULL);
    shard_map_init(&map);
    for (uint32_t i = 0; i < SHARDS; i++) {
        uint32_t shard;
        char name[2] = {(char)('a' + i), '\0'};
        assert_int_equal(shard_map_add(&map, span_from_cstr(name), SPAN("x"), &shard), ERR_OK);
    }
    shard_map_share(&map);
    for (uint32_t i = 0; i < SHARDS; i++) {
        t_shard_open(t, i);
        t->ports[i] = (struct t_port){.port.submit = t_submit, .world = t, .shard = i};
        ports[i] = &t->ports[i].port;
    }
    struct shards_router_parts parts = {
        .executor = &t->executor,
        .map = &map,
        .ports = ports,
        .requests_max = 8,
        .memory_max = 64 << 20,
        .reload = t_reload,
        .context = t,
    };
    assert_int_equal(shards_router_create(&parts, &t->router), ERR_OK);
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        t->accounts[i] = shard_id_place((u128)(i + 1) << 32, t_slot(i / MEMBERS));
    }
}

static void
t_close(struct t_world *t)
{
    for (uint32_t i = 0; i < SHARDS; i++) {
        ledger_engine_close(&t->engines[i]);
        shards_owner_destroy(&t->owners[i]);
    }
    ledger_engine_close(&t->one);
    shards_router_destroy(&t->router);
    os_sim_disk_destroy(&t->disk);
    os_sim_destroy(&t->sim);
}

/* ---- moves ---- */

static void
count_answer(struct port_ledger_request *request)
{
    (void)request;
}

static void
t_reload(void *context, uint64_t epoch)
{
    struct t_world *t = context;
    struct port_ledger *ports[SHARDS];
    (void)epoch;
    for (uint32_t i = 0; i < SHARDS; i++) {
        ports[i] = &t->ports[i].port;
    }
    shards_router_reloaded(t->router, &map, ports);
}

static err_t
t_move_ask(void *context, uint32_t shard, struct port_ledger_request *request)
{
    struct t_world *t = context;
    struct port_ledger *port = &t->ports[shard].port;
    if (shard == t->lost && t->step >= t->lost_from) {
        return ERR_BUSY;
    }
    request->reply_to = &t->executor;
    request->done = count_answer;
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

static uint64_t
t_move_now(void *context)
{
    struct t_world *t = context;
    return os_monotonic_ns(os_sim_clock(t->sim));
}

static err_t
t_move_replace(void *context, uint64_t expected, const struct shard_map *next)
{
    (void)context;
    return shard_map_replace(&map, expected, next);
}

static void t_transfers(struct t_world *t);
static void t_accounts(struct t_world *t);
static void t_join(struct t_world *t);
static void t_hold_end(struct t_world *t);

/* Work goes on while slots move, but what asks for a fenced slot waits for the map. */
static bool
t_move_go_on(void *context, const struct shards_move_report *report)
{
    struct t_world *t = context;
    t->step = report->step;
    t->steps++;
    if (report->step > SHARDS_MOVE_FENCE && report->step <= SHARDS_MOVE_FLIP) {
        t->fenced = map.epoch;
    }
    if (report->step < SHARDS_MOVE_FENCE && t->fenced != map.epoch &&
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

static void
t_restart(struct t_world *t, uint32_t shard)
{
    ledger_engine_close(&t->engines[shard]);
    shards_owner_destroy(&t->owners[shard]);
    t_shard_open(t, shard);
    t->restarts++;
}

/* Some of a shard's slots to another one: stopped anywhere, with or without a restart of either, it
 * is done again until it is through, or cancelled. */
static void
t_move(struct t_world *t)
{
    struct shards_move_report report;
    char message[SHARDS_MESSAGE_SIZE];
    static struct shard_map now;
    memcpy(&now, &map, sizeof(now));
    struct shards_move_parts parts = {
        .map = &now,
        .from = map.owners[t_slot((uint32_t)os_prng_below(&t->prng, GROUPS))],
        .ask = t_move_ask,
        .pause = t_move_pause,
        .now_ns = t_move_now,
        .replace = t_move_replace,
        .go_on = t_move_go_on,
        .context = t,
    };
    parts.to = (parts.from + 1 + (uint32_t)os_prng_below(&t->prng, SHARDS - 1)) % SHARDS;
    uint32_t part = (uint32_t)os_prng_below(&t->prng, 3) + 1;
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        if (map.owners[slot] == parts.from && (part == 3 || slot / 4 % 2 == part - 1)) {
            parts.slots[slot / 64] |= UINT64_C(1) << slot % 64;
        }
    }
    for (;;) {
        t->steps = 0;
        t->stop_at = os_prng_chance(&t->prng, 1, 2) ? (uint32_t)os_prng_below(&t->prng, 12) + 1 : 0;
        memcpy(&now, &map, sizeof(now));
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
        if (os_prng_chance(&t->prng, 1, 4) && map.owners[t_slot(0)] == now.owners[t_slot(0)]) {
            memcpy(&now, &map, sizeof(now));
            assert_int_equal(shards_move_cancel(&parts, message), ERR_OK);
            t->cancelled++;
            return;
        }
    }
}

/* Both are asked; what both must have done in the same way is compared by the caller. */
static void
t_ask(struct t_world *t, struct port_ledger_request *one, struct port_ledger_request *many)
{
    struct port_ledger *ports[2] = {ledger_engine_port(t->one), shards_router_port(t->router)};
    struct port_ledger_request *requests[2] = {one, many};
    for (int i = 0; i < 2; i++) {
        requests[i]->reply_to = &t->executor;
        requests[i]->done = count_answer;
        requests[i]->error = -1;
        ports[i]->submit(ports[i], requests[i]);
        assert_true(os_sim_run_until_idle(t->sim, 100000));
    }
    assert_int_equal(one->error, ERR_OK);
}

static void
t_compare_results(const struct ledger_result *one, const struct ledger_result *many, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (one[i].status != many[i].status) {
            fail_msg("event %u: one says %u, many %u", i, one[i].status, many[i].status);
        }
    }
}

static void
t_accounts(struct t_world *t)
{
    struct ledger_account accounts[BATCH];
    struct ledger_result results[2][BATCH];
    uint32_t count = (uint32_t)os_prng_below(&t->prng, BATCH) + 1;
    memset(accounts, 0, sizeof(accounts));
    for (uint32_t i = 0; i < count; i++) {
        accounts[i].id = t->accounts[os_prng_below(&t->prng, ACCOUNTS)];
        accounts[i].ledger = 1;
        accounts[i].code = os_prng_chance(&t->prng, 1, 10) ? 0 : 1;
        accounts[i].flags =
            os_prng_chance(&t->prng, 1, 3) ? LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS : 0;
    }
    struct port_ledger_request one = {.operation = PORT_LEDGER_CREATE_ACCOUNTS, .count = count};
    one.in.accounts = accounts;
    struct port_ledger_request many = one;
    one.out.results = results[0];
    many.out.results = results[1];
    t_ask(t, &one, &many);
    assert_int_equal(many.error, ERR_OK);
    t_compare_results(results[0], results[1], count);
}

/* Placed too: what names no account that anybody has goes by its own id, and must meet what is
 * remembered of that id. */
static u128
t_transfer_id(uint32_t group, uint64_t number)
{
    return shard_id_place((u128)(group * ID_COUNT + number + 1) << 16, t_slot(group));
}

static void
t_transfer(struct t_world *t, uint32_t group, struct ledger_transfer *transfer)
{
    uint64_t kind = os_prng_below(&t->prng, 10);
    memset(transfer, 0, sizeof(*transfer));
    transfer->id = t_transfer_id(group, os_prng_below(&t->prng, ID_COUNT));
    transfer->ledger = 1;
    transfer->code = 1;
    transfer->amount = os_prng_below(&t->prng, 20);
    transfer->debit_account_id = t->accounts[group * MEMBERS + os_prng_below(&t->prng, MEMBERS)];
    transfer->credit_account_id = t->accounts[group * MEMBERS + os_prng_below(&t->prng, MEMBERS)];
    if (kind < 3) {
        transfer->flags = LEDGER_TRANSFER_PENDING;
    } else if (kind < 6) {
        transfer->flags = kind == 3 ? LEDGER_TRANSFER_VOID_PENDING : LEDGER_TRANSFER_POST_PENDING;
        transfer->pending_id = t_transfer_id(group, os_prng_below(&t->prng, ID_COUNT));
        if (os_prng_chance(&t->prng, 3, 4)) {
            transfer->debit_account_id = 0;
            transfer->credit_account_id = 0;
        }
    }
}

static bool
t_crosses(uint32_t a, uint32_t b)
{
    return map.owners[t_slot(a)] != map.owners[t_slot(b)];
}

static uint32_t
t_one(struct t_world *t, const struct ledger_transfer *transfer)
{
    struct ledger_result results[2];
    struct port_ledger_request one = {.operation = PORT_LEDGER_CREATE_TRANSFERS, .count = 1};
    one.in.transfers = transfer;
    struct port_ledger_request many = one;
    one.out.results = &results[0];
    many.out.results = &results[1];
    t_ask(t, &one, &many);
    assert_int_equal(many.error, ERR_OK);
    t_compare_results(&results[0], &results[1], 1);
    return results[0].status;
}

static void
t_hold_end(struct t_world *t)
{
    struct ledger_transfer end = {.pending_id = t->hold, .id = t->hold + ((u128)1 << 64)};
    end.flags = os_prng_chance(&t->prng, 1, 2) ? LEDGER_TRANSFER_POST_PENDING
                                               : LEDGER_TRANSFER_VOID_PENDING;
    end.amount = end.flags == LEDGER_TRANSFER_POST_PENDING ? U128_MAX : 0;
    assert_int_equal(t_one(t, &end), LEDGER_TRANSFER_created);
    t->hold = 0;
}

/* Two groups that are on one shard now and perhaps not later: a transfer, or a hold that may live
 * for a while. */
static void
t_join(struct t_world *t)
{
    uint32_t a = (uint32_t)os_prng_below(&t->prng, GROUPS);
    uint32_t b = (uint32_t)os_prng_below(&t->prng, GROUPS);
    if (a == b || map.owners[t_slot(a)] != map.owners[t_slot(b)]) {
        return;
    }
    struct ledger_transfer transfer = {
        .id = (u128)(1000000 + ++t->joined) << 16,
        .debit_account_id = t->accounts[a * MEMBERS + os_prng_below(&t->prng, MEMBERS)],
        .credit_account_id = t->accounts[b * MEMBERS + os_prng_below(&t->prng, MEMBERS)],
        .amount = os_prng_below(&t->prng, 20),
        .ledger = 1,
        .code = 2,
        .flags = t->hold == 0 && os_prng_chance(&t->prng, 1, 2) ? LEDGER_TRANSFER_PENDING : 0,
    };
    if (t_one(t, &transfer) != LEDGER_TRANSFER_created || transfer.flags == 0) {
        return;
    }
    t->hold = transfer.id;
    if (os_prng_chance(&t->prng, 1, 2)) {
        t_hold_end(t);
    }
}

/* Chains stay within a group; what is not linked goes from group to group. The last event is not
 * linked: in several ledgers it would be the last of one of them only. */
static void
t_transfers(struct t_world *t)
{
    struct ledger_transfer transfers[BATCH];
    struct ledger_result results[2][BATCH];
    struct port_ledger_pair pairs[2][BATCH];
    uint32_t count = (uint32_t)os_prng_below(&t->prng, BATCH) + 1;
    bool with_pairs = os_prng_chance(&t->prng, 1, 2);
    uint32_t group = 0;
    bool linked = false;
    for (uint32_t i = 0; i < count; i++) {
        group = linked ? group : (uint32_t)os_prng_below(&t->prng, GROUPS);
        t_transfer(t, group, &transfers[i]);
        linked = os_prng_chance(&t->prng, 1, 4);
        transfers[i].flags |= linked ? LEDGER_TRANSFER_LINKED : 0;
    }
    memset(pairs, 0, sizeof(pairs));
    struct port_ledger_request one = {.operation = PORT_LEDGER_CREATE_TRANSFERS, .count = count};
    one.in.transfers = transfers;
    struct port_ledger_request many = one;
    one.out.results = results[0];
    one.pairs = with_pairs ? pairs[0] : NULL;
    many.out.results = results[1];
    many.pairs = with_pairs ? pairs[1] : NULL;
    t_ask(t, &one, &many);
    assert_int_equal(many.error, ERR_OK);
    assert_int_equal(many.out_count, count);
    t_compare_results(results[0], results[1], count);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(pairs[0][i].debit.id == pairs[1][i].debit.id);
        assert_true(pairs[0][i].debit.credits_posted == pairs[1][i].debit.credits_posted);
        assert_true(pairs[0][i].credit.debits_pending == pairs[1][i].credit.debits_pending);
    }
}

static void
t_compare_accounts(struct t_world *t)
{
    static struct ledger_account found[2][ACCOUNTS];
    struct port_ledger_request one = {.operation = PORT_LEDGER_LOOKUP_ACCOUNTS, .count = ACCOUNTS};
    one.in.ids = t->accounts;
    struct port_ledger_request many = one;
    one.out.accounts = found[0];
    many.out.accounts = found[1];
    t_ask(t, &one, &many);
    assert_int_equal(many.error, ERR_OK);
    assert_int_equal(one.out_count, many.out_count);
    for (uint32_t i = 0; i < one.out_count; i++) {
        found[0][i].timestamp = found[1][i].timestamp;
        assert_memory_equal(&found[0][i], &found[1][i], sizeof(found[0][i]));
    }
}

static void
t_compare_transfers(struct t_world *t)
{
    static struct ledger_transfer found[2][GROUPS * ID_COUNT];
    u128 ids[GROUPS * ID_COUNT];
    for (uint32_t i = 0; i < GROUPS * ID_COUNT; i++) {
        ids[i] = t_transfer_id(i / ID_COUNT, i % ID_COUNT);
    }
    struct port_ledger_request one = {
        .operation = PORT_LEDGER_LOOKUP_TRANSFERS, .count = GROUPS * ID_COUNT};
    one.in.ids = ids;
    struct port_ledger_request many = one;
    one.out.transfers = found[0];
    many.out.transfers = found[1];
    t_ask(t, &one, &many);
    assert_int_equal(many.error, ERR_OK);
    assert_int_equal(one.out_count, many.out_count);
    for (uint32_t i = 0; i < one.out_count; i++) {
        found[0][i].timestamp = found[1][i].timestamp;
        assert_memory_equal(&found[0][i], &found[1][i], sizeof(found[0][i]));
    }
}

/* SHARDS-6: page by page, everything comes once, in the order of time. */
static void
t_compare_pages(struct t_world *t)
{
    static struct ledger_transfer all[FOUND_MAX];
    struct ledger_transfer page[SHARDS + 3];
    struct port_ledger_filter whole = {.limit = FOUND_MAX, .debits = true, .credits = true};
    struct port_ledger_request one = {.operation = PORT_LEDGER_QUERY_TRANSFERS};
    struct port_ledger_request many = one;
    one.in.filter = many.in.filter = &whole;
    one.out.transfers = all;
    static struct ledger_transfer other[FOUND_MAX];
    many.out.transfers = other;
    t_ask(t, &one, &many);
    uint32_t expected = one.out_count;
    assert_int_equal(many.out_count, expected);
    struct port_ledger_filter filter = {.limit = SHARDS + 3};
    uint32_t seen = 0;
    do {
        one = (struct port_ledger_request){.operation = PORT_LEDGER_QUERY_TRANSFERS};
        many = one;
        one.in.filter = &whole;
        one.out.transfers = all;
        many.in.filter = &filter;
        many.out.transfers = page;
        t_ask(t, &one, &many);
        assert_int_equal(many.error, ERR_OK);
        for (uint32_t i = 0; i < many.out_count; i++) {
            assert_true(other[seen + i].id == page[i].id);
            assert_true(page[i].timestamp >= filter.timestamp_min);
        }
        seen += many.out_count;
        filter.timestamp_min = many.out_count == 0 ? 0 : page[many.out_count - 1].timestamp + 1;
    } while (many.out_count > 0);
    assert_int_equal(seen, expected);
}

/* Two groups of different shards in one chain: refused, and nothing was done (SHARDS-2). */
static void
t_crossing(struct t_world *t)
{
    struct ledger_transfer transfers[2];
    struct ledger_result results[2];
    t_transfer(t, 0, &transfers[0]);
    t_transfer(t, 1, &transfers[1]);
    assert_true(t_crosses(0, 1));
    for (int i = 0; i < 2; i++) {
        transfers[i].flags = 0;
        transfers[i].pending_id = 0;
        transfers[i].debit_account_id = t->accounts[i * MEMBERS];
        transfers[i].credit_account_id = t->accounts[i * MEMBERS + 1];
    }
    transfers[0].flags = LEDGER_TRANSFER_LINKED;
    struct port_ledger_request many = {.operation = PORT_LEDGER_CREATE_TRANSFERS, .count = 2};
    struct port_ledger *port = shards_router_port(t->router);
    many.in.transfers = transfers;
    many.out.results = results;
    many.reply_to = &t->executor;
    many.done = count_answer;
    port->submit(port, &many);
    assert_true(os_sim_run_until_idle(t->sim, 100000));
    assert_int_equal(many.error, ERR_CROSSES_SHARDS);
    transfers[0].flags = 0;
    transfers[0].credit_account_id = t->accounts[MEMBERS];
    many.count = 1;
    port->submit(port, &many);
    assert_true(os_sim_run_until_idle(t->sim, 100000));
    assert_int_equal(many.error, ERR_CROSSES_SHARDS);
}

static uint64_t
t_seeds(uint64_t usual)
{
    const char *wanted = getenv("TAEL_SHARDS_SEEDS");
    return wanted == NULL ? usual : strtoull(wanted, NULL, 10);
}

static void
t_work(struct t_world *t, int batch)
{
    if (batch == 0 || os_prng_chance(&t->prng, 1, 5)) {
        t_accounts(t);
    } else {
        t_transfers(t);
    }
}

static void
t_compare_all(struct t_world *t)
{
    struct shards_router_counters counters;
    t_compare_accounts(t);
    t_compare_transfers(t);
    t_compare_pages(t);
    shards_router_count(t->router, &counters);
    assert_int_equal(counters.under_way, 0);
    assert_int_equal(counters.memory, 0);
}

static void
test_same_as_one(void **state)
{
    (void)state;
    uint64_t seeds = t_seeds(300);
    static struct t_world world;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct t_world *t = &world;
        t_open(t, seed);
        for (int i = 0; i < BATCHES; i++) {
            t_work(t, i);
        }
        t_crossing(t);
        t_compare_all(t);
        struct shards_router_counters counters;
        shards_router_count(t->router, &counters);
        assert_int_equal(counters.crossed, 2);
        assert_true(counters.split > 0);
        t_close(t);
    }
}

/* SHARDS-7, SHARDS-8: the same answers while slots move, and everything that was there is there. */
static void
test_same_while_slots_move(void **state)
{
    (void)state;
    uint64_t seeds = t_seeds(40);
    static struct t_world world;
    uint32_t moves = 0, stopped = 0, cancelled = 0, restarts = 0, joined = 0, denied = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct t_world *t = &world;
        t_open(t, seed);
        for (int i = 0; i < BATCHES; i++) {
            t_work(t, i);
            t_join(t);
            if (os_prng_chance(&t->prng, 1, 3)) {
                t_move(t);
            }
        }
        if (t->hold != 0) {
            t_hold_end(t);
        }
        t_compare_all(t);
        for (uint32_t i = 0; i < SHARDS; i++) {
            t_restart(t, i);
        }
        t_compare_all(t);
        moves += t->moves;
        stopped += t->stopped;
        cancelled += t->cancelled;
        restarts += t->restarts;
        joined += t->joined;
        denied += t->denied;
        t_close(t);
    }
    print_message(
        "%u moves, %u stopped, %u cancelled, %u denied, %u restarts, %u transfers from slot to "
        "slot\n",
        moves,
        stopped,
        cancelled,
        denied,
        restarts,
        joined);
    assert_true(moves > 0 && stopped > 0 && cancelled > 0 && joined > 0 && denied > 0);
}

/* All slots of the first group's shard to the next one, as the test's world is. */
static struct shards_move_parts
t_whole_shard(struct t_world *t, struct shard_map *now)
{
    memcpy(now, &map, sizeof(*now));
    struct shards_move_parts parts = {
        .map = now,
        .from = map.owners[t_slot(0)],
        .to = (map.owners[t_slot(0)] + 1U) % SHARDS,
        .ask = t_move_ask,
        .pause = t_move_pause,
        .now_ns = t_move_now,
        .replace = t_move_replace,
        .go_on = t_move_go_on,
        .context = t,
    };
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        if (map.owners[slot] == parts.from) {
            parts.slots[slot / 64] |= UINT64_C(1) << slot % 64;
        }
    }
    return parts;
}

/* The move gives up within its time, and whoever asks for the slots is served by the source again;
 * when the shard is back the same move goes through. */
static void
t_lost_shard(bool target, enum shards_move_step from)
{
    static struct t_world t;
    static struct shard_map now;
    struct shards_move_report report;
    char message[SHARDS_MESSAGE_SIZE];
    t_open(&t, 1);
    for (int i = 0; i < 20; i++) {
        t_accounts(&t);
        t_transfers(&t);
    }
    struct shards_move_parts parts = t_whole_shard(&t, &now);
    t.lost = target ? parts.to : parts.from;
    t.lost_from = from;
    uint64_t began = t_move_now(&t);
    assert_int_equal(shards_move(&parts, &report, message), ERR_BUSY);
    assert_true(t_move_now(&t) - began <= 31 * OS_NS_PER_S);
    assert_memory_equal(now.owners, map.owners, sizeof(map.owners));
    for (int i = 0; i < 20; i++) {
        t_accounts(&t);
        t_transfers(&t);
    }
    t.lost = SHARDS;
    parts = t_whole_shard(&t, &now);
    assert_int_equal(shards_move(&parts, &report, message), ERR_OK);
    assert_true(report.source.hash == report.target.hash);
    assert_int_equal(map.owners[t_slot(0)], parts.to);
    t_close(&t);
}

static void
a_shard_that_is_lost_in_a_move_leaves_no_fence(void **state)
{
    (void)state;
    for (int target = 0; target < 2; target++) {
        t_lost_shard(target != 0, SHARDS_MOVE_ARRIVE);
        t_lost_shard(target != 0, SHARDS_MOVE_COPY);
        t_lost_shard(target != 0, SHARDS_MOVE_FENCE);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_as_one),
        cmocka_unit_test(test_same_while_slots_move),
        cmocka_unit_test(a_shard_that_is_lost_in_a_move_leaves_no_fence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
