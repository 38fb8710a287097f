/*
 * Four ledgers behind a router and a cross beside one ledger, both given the same random requests:
 * transfers, holds, what posts and voids them, also by other fields, too late, twice and by their
 * id alone; within a shard and across; accounts that are closed, of another ledger, or not there;
 * while slots move between the shards. Every status must be the same, and all balances, but for
 * what is held for somebody in another slot: his account does not show it, the payer's slot does.
 *
 * Chains of linked transfers too, whose events are on any number of shards: those of accounts
 * without limits, and others, whose events do not need one another's money.
 *
 * An id is one for its payer's slot, so each is only ever used for payers of one slot. Batches are
 * of accounts without limits: transfers that cross in one batch do not see one another's money.
 *
 * TAEL_SIM_SEEDS, TAEL_SIM_FIRST and TAEL_SIM_SEED as in sim_range.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/list.h"
#include "cross_world.h"
#include "sim_range.h"

#define SEEDS_SHORT 80
#define SEEDS_LONG  2000
#define REQUESTS    60
#define MONEY       300
#define BEFORE      8
#define IDS         14 /* of transfers, for each slot */
/* Times of requests and of holds never meet: 300 ms and whole seconds. */
#define STEP_MS 300

struct t {
    struct world *world;
    struct os_sim_disk *disk;
    struct ledger_engine *one;
    u128 stranger;                         /* an account of another ledger */
    struct ledger_transfer before[BEFORE]; /* what was sent last */
    uint32_t sent;
    struct ledger_transfer chain[WORLD_BATCH]; /* the last one */
    uint32_t chain_count;
    uint32_t chain_limited; /* of its payers */
    uint32_t chain_refused; /* the event for which it was, counted from 1; 0: none */
    bool chain_booked;      /* before */
    uint64_t chained;       /* ids that chains have used */
    uint64_t statuses[256]; /* how often each was told */
    uint64_t created, moved, together, held_seen, by_id_alone;
    uint64_t chains, chains_booked, chains_mended;
};

static uint32_t
below(struct t *t, uint32_t n)
{
    return (uint32_t)os_prng_below(&t->world->prng, n);
}

static bool
chance(struct t *t, uint32_t times, uint32_t of)
{
    return os_prng_chance(&t->world->prng, times, of);
}

static void
t_open(struct t *t, uint64_t seed, enum commit_protocol protocol)
{
    struct store_error error;
    t->world = world_create(seed, protocol);
    const struct os_sim_disk_settings disk = {.seed = seed};
    assert_int_equal(os_sim_disk_create(&disk, &t->disk), ERR_OK);
    struct ledger_engine_settings settings = ledger_engine_settings_default();
    settings.url = "journal:one";
    settings.disk = os_sim_disk_ops(t->disk);
    settings.clock = os_sim_clock(t->world->sim);
    settings.loops = os_sim_loops(t->world->sim);
    settings.store.loops = os_sim_loops(t->world->sim);
    settings.store.segment_size = 1 << 20;
    settings.limits.account_count_max = 200;
    settings.limits.pending_count_max = 1000;
    assert_int_equal(ledger_engine_open(&settings, &t->one, &error), ERR_OK);
    t->stranger = shard_id_place((u128)99 << 32, world_slot(3));
}

static void
t_close(struct t *t)
{
    ledger_engine_close(&t->one);
    os_sim_disk_destroy(&t->disk);
    world_destroy(&t->world);
}

static void
one_done(struct port_ledger_request *request)
{
    request->trace_began_ns = 1;
}

static void
ask_one(struct t *t, struct port_ledger_request *request)
{
    struct port_ledger *port = ledger_engine_port(t->one);
    request->reply_to = &t->world->here;
    request->done = one_done;
    request->trace_began_ns = 0;
    port->submit(port, request);
    while (request->trace_began_ns == 0) {
        world_run_ms(t->world, 1);
    }
    assert_int_equal(request->error, ERR_OK);
}

static void
wait_for_step(struct t *t)
{
    uint64_t step = STEP_MS * OS_NS_PER_MS;
    uint64_t late = world_now(t->world) % step;
    world_run_ms(t->world, (uint32_t)((step - late) / OS_NS_PER_MS) + 1);
}

/* Both, at about the same time; then it is as late as the next request may be. */
static void
ask_both(struct t *t, struct port_ledger_request *one, struct port_ledger_request *many)
{
    ask_one(t, one);
    err_t error = world_ask(t->world, below(t, WORLD_COORDINATORS), many);
    if (error != ERR_OK) {
        const struct ledger_transfer *first = many->in.transfers;
        fail_msg(
            "seed %llu: error %x of %u events, the first with flags %u",
            (unsigned long long)t->world->seed,
            error,
            many->count,
            first->flags);
    }
    wait_for_step(t);
}

static void
accounts_create(struct t *t)
{
    struct ledger_account accounts[WORLD_ACCOUNTS + 1] = {0};
    struct ledger_result results[2][WORLD_ACCOUNTS + 1];
    for (uint32_t i = 0; i <= WORLD_ACCOUNTS; i++) {
        accounts[i].id = i == WORLD_ACCOUNTS ? t->stranger : t->world->accounts[i];
        accounts[i].ledger = i == WORLD_ACCOUNTS ? WORLD_LEDGER + 1 : WORLD_LEDGER;
        accounts[i].code = 1;
        accounts[i].flags =
            i % WORLD_MEMBERS == 0 ? 0 : LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS;
    }
    struct port_ledger_request one = {
        .operation = PORT_LEDGER_CREATE_ACCOUNTS, .count = WORLD_ACCOUNTS + 1};
    one.in.accounts = accounts;
    struct port_ledger_request many = one;
    one.out.results = results[0];
    many.out.results = results[1];
    ask_both(t, &one, &many);
    for (uint32_t i = 0; i <= WORLD_ACCOUNTS; i++) {
        assert_int_equal(results[0][i].status, LEDGER_ACCOUNT_created);
        assert_int_equal(results[1][i].status, LEDGER_ACCOUNT_created);
    }
}

static u128
id_of(uint32_t group, uint32_t number)
{
    return shard_id_place((u128)(1000 + group * IDS + number) << 24, world_slot(group));
}

static uint32_t
t_group(u128 id)
{
    for (uint32_t group = 0; group < WORLD_GROUPS; group++) {
        if (shard_slot_of_id(id) == world_slot(group)) {
            return group;
        }
    }
    return 0; /* an id that is not ours, 5: there is nothing with it */
}

/* Of the payer's group. */
static u128
payer(struct t *t, uint32_t group, bool limited)
{
    uint32_t member = limited ? below(t, WORLD_MEMBERS) : 0;
    return t->world->accounts[group * WORLD_MEMBERS + member];
}

static u128
payee(struct t *t, bool limited)
{
    if (limited && chance(t, 1, 25)) {
        /* By 3PC an id that was refused is used up, also where a ledger would not do so. */
        bool may = t->world->protocol == COMMIT_2PC;
        return may && chance(t, 1, 2) ? t->stranger : (u128)0xdead << 32 | below(t, 100);
    }
    uint32_t group = below(t, WORLD_GROUPS);
    return t->world->accounts[group * WORLD_MEMBERS + (limited ? below(t, WORLD_MEMBERS) : 0)];
}

/* Names both accounts or none: a shard that is asked by a payee alone is not where the id is. */
static void
second_phase(struct t *t, uint32_t group, bool limited, struct ledger_transfer *event)
{
    bool post = chance(t, 2, 3);
    event->flags = post ? LEDGER_TRANSFER_POST_PENDING : LEDGER_TRANSFER_VOID_PENDING;
    event->flags |= chance(t, 1, 40) ? LEDGER_TRANSFER_VOID_PENDING : 0;
    const struct ledger_transfer *before = &t->before[below(t, BEFORE)];
    bool held = (before->flags & LEDGER_TRANSFER_PENDING) != 0;
    event->pending_id = chance(t, 1, 60)  ? 0
                        : before->id == 0 ? id_of(group, below(t, IDS))
                        : held            ? before->id
                                          : before->pending_id;
    if (event->pending_id != 0) { /* of one slot */
        group = t_group(event->pending_id);
        event->id = id_of(group, below(t, IDS));
        event->debit_account_id = payer(t, group, limited);
    }
    event->amount = !post || chance(t, 1, 2) ? (post ? U128_MAX : 0) : below(t, MONEY / 2);
    event->code = chance(t, 2, 3) ? 0 : event->code;
    event->ledger = chance(t, 2, 3) ? 0 : event->ledger;
    event->timeout = chance(t, 1, 40) ? 1 : 0;
    /* Those of what it ends, mostly. */
    struct ledger_transfer found;
    struct port_ledger_request request = {.operation = PORT_LEDGER_LOOKUP_TRANSFERS, .count = 1};
    request.in.ids = &event->pending_id;
    request.out.transfers = &found;
    ask_one(t, &request);
    if (event->pending_id != 0 && chance(t, 1, 2)) {
        event->debit_account_id = 0;
        event->credit_account_id = 0;
        t->by_id_alone++;
    } else if (request.out_count == 1 && chance(t, 3, 4)) {
        event->debit_account_id = found.debit_account_id;
        event->credit_account_id = found.credit_account_id;
    }
}

static uint32_t
ledger_of(struct t *t)
{
    bool may = t->world->protocol == COMMIT_2PC; /* see payee */
    return chance(t, 1, 40) ? 0 : may && chance(t, 1, 40) ? WORLD_LEDGER + 1 : WORLD_LEDGER;
}

static struct ledger_transfer
event_make(struct t *t, bool limited)
{
    if (limited && chance(t, 1, 8)) {
        return t->before[below(t, BEFORE)]; /* again; at first an event of nothing */
    }
    uint32_t group = below(t, WORLD_GROUPS);
    uint32_t kind = below(t, 10);
    struct ledger_transfer event = {
        .id = id_of(group, below(t, IDS)),
        .debit_account_id = payer(t, group, limited),
        .credit_account_id = payee(t, limited),
        .amount = below(t, MONEY / 2),
        .user_data_64 = below(t, 3),
        .ledger = ledger_of(t),
        .code = chance(t, 1, 40) ? 0 : 5,
    };
    if (kind < 4) {
        event.flags = LEDGER_TRANSFER_PENDING;
        event.timeout = below(t, 3);
        event.pending_id = chance(t, 1, 60) ? 5 : 0;
    } else if (kind < 8) {
        second_phase(t, group, limited, &event);
    } else if (kind == 8 && limited) { /* closes the payer's account */
        event.credit_account_id = t->world->accounts[group * WORLD_MEMBERS];
        event.flags = LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_CLOSING_DEBIT;
        event.amount = 0;
        event.timeout = 1 + below(t, 2);
    }
    return event;
}

static bool
is_end(const struct ledger_transfer *event)
{
    return (event->flags & (LEDGER_TRANSFER_POST_PENDING | LEDGER_TRANSFER_VOID_PENDING)) != 0;
}

/* Does the batch make an id in several ways, of which one is between slots, and end it? That is
 * refused as a whole (test_made_twice in cross_death_test.c). */
static bool
is_doubtful(const struct ledger_transfer *events, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t makers = 0;
        uint32_t joining = 0;
        for (uint32_t j = 0; j < count && is_end(&events[i]); j++) {
            const struct ledger_transfer *maker = &events[j];
            bool makes = !is_end(maker) && maker->id == events[i].pending_id;
            bool joins = shard_slot_of_id(maker->debit_account_id) !=
                         shard_slot_of_id(maker->credit_account_id);
            makers += makes ? 1 : 0;
            joining += makes && joins ? 1 : 0;
        }
        if (makers > 1 && joining > 0) {
            return true;
        }
    }
    return false;
}

static u128
chained_id(struct t *t, uint32_t group)
{
    return shard_id_place(((u128)0xc4a1 << 64 | ++t->chained) << 20, world_slot(group));
}

/* A new id, so that nothing else uses it. */
static struct ledger_transfer
chained_make(struct t *t, bool limited, bool linked)
{
    uint32_t group = below(t, WORLD_GROUPS);
    struct ledger_transfer event = {
        .id = chained_id(t, group),
        .debit_account_id = payer(t, group, limited),
        .amount = below(t, MONEY / 3),
        .user_data_64 = below(t, 3),
        .ledger = WORLD_LEDGER,
        .code = 5,
        .flags = linked ? LEDGER_TRANSFER_LINKED : 0,
    };
    do {
        event.credit_account_id = payee(t, limited);
        /* If both slots refuse an event its id is used up, also where one ledger, whose reason is
         * the payee's ledger number, would not do so. */
    } while (event.credit_account_id == event.debit_account_id ||
             event.credit_account_id == t->stranger);
    return event;
}

/* What one event pays may not be what another needs: it would come too late. */
static bool
pays_a_payer(const struct ledger_transfer *events, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < count; j++) {
            if (events[i].credit_account_id == events[j].debit_account_id) {
                return true;
            }
        }
    }
    return false;
}

/* The event for which it was refused is another one now: the ids of the others are still free. Not
 * if several may be refused, whose slots say so at one time, and use up an id each. */
static void
chain_mend(struct t *t, struct ledger_transfer events[WORLD_BATCH])
{
    struct ledger_transfer *event = &events[t->chain_refused - 1];
    event->id = chained_id(t, t_group(event->debit_account_id));
    event->amount /= 4;
    u128 richer = payer(t, t_group(event->debit_account_id), false);
    if (event->credit_account_id != richer && chance(t, 1, 2)) {
        event->debit_account_id = richer;
    }
    memcpy(t->chain, events, t->chain_count * sizeof(events[0]));
    t->chain_refused = 0;
    t->chains_mended++;
}

/* Some repeat the last one, with or without a change. */
static uint32_t
chain_repeat(struct t *t, struct ledger_transfer events[WORLD_BATCH])
{
    memcpy(events, t->chain, t->chain_count * sizeof(events[0]));
    if (t->chain_booked && chance(t, 1, 2)) {
        events[below(t, t->chain_count)].amount++;
    } else if (
        t->chain_refused != 0 && !t->chain_booked && t->chain_limited <= 1 && chance(t, 2, 3)) {
        chain_mend(t, events);
    }
    return t->chain_count;
}

static uint32_t
chain_make(struct t *t, struct ledger_transfer events[WORLD_BATCH])
{
    uint32_t count = 2 + below(t, WORLD_BATCH - 1);
    bool limited = chance(t, 1, 2);
    uint32_t one = chance(t, 1, 2) ? below(t, count) : count; /* only this one is */
    do {
        for (uint32_t i = 0; i < count; i++) {
            events[i] = chained_make(t, limited && (one == count || i == one), i + 1 < count);
        }
    } while (limited && pays_a_payer(events, count));
    if (limited && one < count) {
        events[one].amount *= 4;
    }
    memcpy(t->chain, events, count * sizeof(events[0]));
    t->chain_count = count;
    t->chain_limited = !limited ? 0 : one < count ? 1 : count;
    t->chain_refused = 0;
    t->chain_booked = false;
    return count;
}

static void
check_same_results(
    struct t *t,
    const struct ledger_transfer *events,
    uint32_t count,
    const struct ledger_result *one,
    const struct ledger_result *many)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t status = one[i].status;
        if (status != many[i].status) {
            fail_msg(
                "seed %llu, event %u of %u (%llx, flags %u): one says %u, many %u",
                (unsigned long long)t->world->seed,
                i,
                count,
                (unsigned long long)events[i].id,
                events[i].flags,
                status,
                many[i].status);
        }
        t->created += status == LEDGER_TRANSFER_created ? 1 : 0;
        t->statuses[status == LEDGER_TRANSFER_created ? 0 : status & 0xff]++;
    }
}

static void
chain(struct t *t)
{
    struct ledger_transfer events[WORLD_BATCH];
    struct ledger_result results[2][WORLD_BATCH];
    bool repeats = t->chain_count > 0 && chance(t, 1, 4);
    uint32_t count = repeats ? chain_repeat(t, events) : chain_make(t, events);
    struct port_ledger_request one = {.operation = PORT_LEDGER_CREATE_TRANSFERS, .count = count};
    one.in.transfers = events;
    struct port_ledger_request many = one;
    one.out.results = results[0];
    many.out.results = results[1];
    ask_both(t, &one, &many);
    check_same_results(t, events, count, results[0], results[1]);
    t->chains++;
    bool booked = results[0][0].status == LEDGER_TRANSFER_created;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t status = results[0][i].status;
        bool refused =
            status != LEDGER_TRANSFER_created && status != LEDGER_TRANSFER_linked_event_failed;
        t->chain_refused = refused ? i + 1 : t->chain_refused;
    }
    t->chain_booked = t->chain_booked || booked;
    t->chains_booked += booked ? 1 : 0;
}

static void
transfers(struct t *t)
{
    struct ledger_transfer events[WORLD_BATCH];
    struct ledger_result results[2][WORLD_BATCH];
    struct port_ledger_pair pairs[2][WORLD_BATCH] = {0};
    uint32_t count = chance(t, 3, 4) ? 1 : 2 + below(t, WORLD_BATCH - 1);
    bool with_pairs = chance(t, 1, 2);
    for (uint32_t i = 0; i < count; i++) {
        do {
            events[i] = event_make(t, count == 1);
        } while (is_doubtful(events, i + 1));
        t->before[t->sent++ % BEFORE] = events[i];
    }
    struct port_ledger_request one = {.operation = PORT_LEDGER_CREATE_TRANSFERS, .count = count};
    one.in.transfers = events;
    struct port_ledger_request many = one;
    one.out.results = results[0];
    one.pairs = with_pairs ? pairs[0] : NULL;
    many.out.results = results[1];
    many.pairs = with_pairs ? pairs[1] : NULL;
    ask_both(t, &one, &many);
    check_same_results(t, events, count, results[0], results[1]);
    /* By 3PC the payer's side is booked behind the answer, as the payee's always is. */
    if (with_pairs && count == 1 && t->world->protocol == COMMIT_2PC && pairs[0][0].debit.id != 0) {
        assert_true(pairs[0][0].debit.id == pairs[1][0].debit.id);
        const struct ledger_account *expected = &pairs[0][0].debit;
        const struct ledger_account *told = &pairs[1][0].debit;
        if (told->debits_posted != expected->debits_posted ||
            told->debits_pending != expected->debits_pending) {
            fail_msg(
                "seed %llu, flags %u, status %u: posted %llu, told %llu; pending %llu, told %llu",
                (unsigned long long)t->world->seed,
                events[0].flags,
                results[0][0].status,
                (unsigned long long)expected->debits_posted,
                (unsigned long long)told->debits_posted,
                (unsigned long long)expected->debits_pending,
                (unsigned long long)told->debits_pending);
        }
    }
}

/* Of all groups, and their number. */
static uint32_t
helds(const struct t *t, u128 ids[WORLD_GROUPS])
{
    (void)t;
    for (uint32_t group = 0; group < WORLD_GROUPS; group++) {
        uint16_t slot = world_slot(group);
        ids[group] =
            shard_id_place(commit_account_id(COMMIT_ACCOUNT_HELD, WORLD_LEDGER, slot), slot);
    }
    return WORLD_GROUPS;
}

static void
check_same(struct t *t)
{
    struct ledger_account found[2][WORLD_ACCOUNTS];
    struct ledger_account held[WORLD_GROUPS];
    u128 ids[WORLD_GROUPS];
    struct port_ledger_request one = {
        .operation = PORT_LEDGER_LOOKUP_ACCOUNTS, .count = WORLD_ACCOUNTS};
    one.in.ids = t->world->accounts;
    struct port_ledger_request many = one;
    one.out.accounts = found[0];
    many.out.accounts = found[1];
    ask_one(t, &one);
    assert_int_equal(world_ask(t->world, 0, &many), ERR_OK);
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_LOOKUP_ACCOUNTS, .count = helds(t, ids)};
    request.in.ids = ids;
    request.out.accounts = held;
    assert_int_equal(world_ask(t->world, 0, &request), ERR_OK);
    wait_for_step(t);
    __int128 hidden = 0;
    for (uint32_t i = 0; i < WORLD_ACCOUNTS; i++) {
        const struct ledger_account *a = &found[0][i];
        const struct ledger_account *b = &found[1][i];
        assert_true(a->id == b->id && a->flags == b->flags);
        assert_true(a->debits_posted == b->debits_posted);
        assert_true(a->credits_posted == b->credits_posted);
        assert_true(a->debits_pending == b->debits_pending);
        assert_true(a->credits_pending >= b->credits_pending);
        hidden += (__int128)(a->credits_pending - b->credits_pending);
    }
    for (uint32_t i = 0; i < request.out_count; i++) {
        assert_true(held[i].debits_pending == 0 && held[i].debits_posted == held[i].credits_posted);
        hidden -= (__int128)held[i].credits_pending;
        t->held_seen += held[i].credits_pending > 0 ? 1 : 0;
    }
    if (hidden != 0) {
        fail_msg(
            "seed %llu: %lld are held for nobody, or not held",
            (unsigned long long)t->world->seed,
            (long long)-hidden);
    }
}

/* Whatever is held: no hold keeps a slot from moving. */
static void
move(struct t *t)
{
    const uint8_t *owners = t->world->map.owners;
    const uint16_t slots[2] = {
        world_slot(below(t, WORLD_GROUPS)), world_slot(below(t, WORLD_GROUPS))};
    uint32_t to = below(t, WORLD_SHARDS);
    uint32_t count = owners[slots[0]] == owners[slots[1]] && chance(t, 1, 2) ? 2 : 1;
    if (owners[slots[0]] == to) {
        return;
    }
    err_t result = world_move(t->world, slots, count, to);
    if (result != ERR_OK) {
        fail_msg("seed %llu: a move: %s", (unsigned long long)t->world->seed, err_text(result));
    }
    t->together += count == 2 ? 1 : 0;
    t->moved++;
    for (uint32_t i = 0; i < WORLD_COORDINATORS; i++) { /* so that nobody plans by the old map */
        struct ledger_account found[WORLD_ACCOUNTS];
        struct port_ledger_request request = {
            .operation = PORT_LEDGER_LOOKUP_ACCOUNTS, .count = WORLD_ACCOUNTS};
        request.in.ids = t->world->accounts;
        request.out.accounts = found;
        assert_int_equal(world_ask(t->world, i, &request), ERR_OK);
    }
    wait_for_step(t);
}

static void
life(struct t *t, uint64_t seed, enum commit_protocol protocol, bool moves)
{
    t_open(t, seed, protocol);
    memset(t->before, 0, sizeof(t->before));
    t->sent = 0;
    t->chain_count = 0;
    t->chained = 0;
    accounts_create(t);
    for (uint32_t i = 0; i < WORLD_ACCOUNTS; i++) { /* something to lose */
        if (i % WORLD_MEMBERS == 0) {
            continue;
        }
        struct ledger_transfer event = {
            .id = (u128)(i + 1) << 90,
            .debit_account_id = t->world->accounts[i - i % WORLD_MEMBERS],
            .credit_account_id = t->world->accounts[i],
            .amount = MONEY / 3,
            .ledger = WORLD_LEDGER,
            .code = 1,
        };
        struct ledger_result results[2];
        struct port_ledger_request one = {.operation = PORT_LEDGER_CREATE_TRANSFERS, .count = 1};
        one.in.transfers = &event;
        struct port_ledger_request many = one;
        one.out.results = &results[0];
        many.out.results = &results[1];
        ask_both(t, &one, &many);
    }
    for (uint32_t i = 0; i < REQUESTS; i++) {
        transfers(t);
        if (chance(t, 1, 3)) {
            chain(t);
        }
        if (i % 10 == 9) {
            check_same(t);
        }
        if (moves && chance(t, 1, 8)) {
            move(t);
        }
    }
    world_run_ms(t->world, 4 * 1000); /* what has a time has ended */
    check_same(t);
    t_close(t);
}

static void
lives(enum commit_protocol protocol, bool moves)
{
    static struct t t;
    memset(&t, 0, sizeof(t));
    const struct sim_range range = sim_range_get(SEEDS_SHORT, SEEDS_LONG);
    for (uint64_t i = 0; i < range.count; i++) {
        life(&t, range.first + i, protocol, moves);
    }
    uint32_t kinds = 0;
    for (uint32_t i = 0; i < 256; i++) {
        kinds += t.statuses[i] > 0 ? 1 : 0;
    }
    print_message(
        "%llu seeds: %llu created, %u statuses, %llu by id alone, %llu moves (%llu of two slots), "
        "%llu times something was held between slots, %llu chains (%llu booked, %llu mended)\n",
        (unsigned long long)range.count,
        (unsigned long long)t.created,
        kinds,
        (unsigned long long)t.by_id_alone,
        (unsigned long long)t.moved,
        (unsigned long long)t.together,
        (unsigned long long)t.held_seen,
        (unsigned long long)t.chains,
        (unsigned long long)t.chains_booked,
        (unsigned long long)t.chains_mended);
    if (!range.is_replay) {
        static const uint32_t told[] = {
            LEDGER_TRANSFER_exists,
            LEDGER_TRANSFER_linked_event_failed,
            LEDGER_TRANSFER_exists_with_different_credit_account_id,
            LEDGER_TRANSFER_id_already_failed,
            LEDGER_TRANSFER_credit_account_not_found,
            LEDGER_TRANSFER_pending_transfer_not_found,
            LEDGER_TRANSFER_pending_transfer_already_posted,
            LEDGER_TRANSFER_pending_transfer_already_voided,
            LEDGER_TRANSFER_pending_transfer_expired,
            LEDGER_TRANSFER_exceeds_pending_transfer_amount,
            LEDGER_TRANSFER_exceeds_credits,
            LEDGER_TRANSFER_credit_account_already_closed,
        };
        for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
            if (t.statuses[told[i]] == 0) {
                fail_msg("never told: %s", ledger_transfer_status_name(told[i]));
            }
        }
        assert_true(t.chains_booked > 0 && t.chains > t.chains_booked && t.chains_mended > 0);
        assert_true(t.held_seen > 0 && (!moves || (t.moved > 0 && t.together > 0)));
    }
}

static void
test_2pc(void **state)
{
    (void)state;
    lives(COMMIT_2PC, false);
}

static void
test_3pc(void **state)
{
    (void)state;
    lives(COMMIT_3PC, false);
}

static void
test_2pc_while_slots_move(void **state)
{
    (void)state;
    lives(COMMIT_2PC, true);
}

static void
test_3pc_while_slots_move(void **state)
{
    (void)state;
    lives(COMMIT_3PC, true);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_2pc),
        cmocka_unit_test(test_3pc),
        cmocka_unit_test(test_2pc_while_slots_move),
        cmocka_unit_test(test_3pc_while_slots_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
