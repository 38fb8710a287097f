/*
 * Three-phase commit under a partition: three slots, cut in two behind each step of the
 * coordinator, in every way. Each side goes on by itself, with the coordinator or after its death,
 * and with a resolver for each slot that has prepared. A side without a majority refuses to guess:
 * it neither commits nor aborts what the others may have decided otherwise; the other one ends
 * without it. Then the network heals, and everybody comes to one outcome.
 *
 * A resolver that decides from the states of those it can reach, as three-phase commit is taught,
 * would have split: the test counts where (tests/model/commit has that as SKEEN).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "commit/commit.h"
#include "slots_testing.h"

#include <string.h>

#define SLOTS      3
#define ALL        7 /* of them, a bit each */
#define CLIENTS_ID 77
#define AMOUNT     10
/* The coordinator's requests: each slot prepares, pre-commits, posts. */
#define STEPS      (3 * SLOTS)
#define ROUNDS_MAX 40

/* The coordinator, or a resolver of one slot: what it can reach, and what it knows. */
struct actor {
    bool is_there;
    uint8_t reaches;
    struct commit_transaction transaction;
    struct commit_run run;
};

static struct t_world places[SLOTS];
static struct actor actors[1 + SLOTS]; /* the coordinator first */
static uint8_t told;                   /* outcomes that anybody ever came to, a bit each */
static uint32_t refusals, ends_alone, would_split;

/* ------------------------------------------------------------------------------------- worlds ---
 */

static void
worlds_open(void)
{
    t_slots_open(places, SLOTS, 0);
    memset(actors, 0, sizeof(actors));
    told = 0;
}

/* From the payer in slot 0 to a payee in each of the others. */
static void
coordinator_begin(void)
{
    struct commit_leg legs[2 * (SLOTS - 1)];
    for (uint8_t i = 0; i + 1 < SLOTS; i++) {
        const struct ledger_transfer transfer = t_payment(CLIENTS_ID, AMOUNT);
        commit_split(&transfer, (uint16_t[2]){0, (uint16_t)(1 + i)}, &legs[2 * i]);
        legs[2 * i + 1].member = (uint8_t)(1 + i);
    }
    const struct commit_request request = {
        .protocol = COMMIT_3PC,
        .slot_count = SLOTS,
        .slots = {0, 1, 2},
        .leg_count = 2 * (SLOTS - 1),
        .legs = legs,
        .name_digest = U128_MAX / 3,
        .request_digest = 2,
    };
    struct actor *coordinator = &actors[0];
    coordinator->is_there = true;
    coordinator->reaches = ALL;
    assert_int_equal(commit_transaction_init(&coordinator->transaction, &request), ERR_OK);
    commit_begin(&coordinator->run, &coordinator->transaction);
}

/* -------------------------------------------------------------------------------------- asking ---
 */

/* All that can be asked of those it reaches. */
static bool
actor_turn(struct actor *actor)
{
    bool asked = false;
    if (actor->run.state == COMMIT_OUTBID) {
        commit_conclude(&actor->run);
    }
    for (uint8_t member = 0; member < SLOTS; member++) {
        struct commit_ask ask;
        if ((actor->reaches >> member & 1) != 0 && commit_next(&actor->run, member, &ask)) {
            (void)t_slots_ask(places, &actor->run, &ask, false);
            asked = true;
        }
    }
    enum commit_outcome outcome = commit_outcome(&actor->run);
    told = (uint8_t)(told | (outcome == COMMIT_OUTCOME_UNKNOWN ? 0U : 1U << outcome));
    return asked;
}

/* Everybody goes on for as long as there is somebody to ask. */
static void
actors_work(void)
{
    for (uint32_t round = 0; round < ROUNDS_MAX; round++) {
        bool any = false;
        for (uint32_t i = 0; i < 1 + SLOTS; i++) {
            any = (actors[i].is_there && actor_turn(&actors[i])) || any;
        }
        if (!any) {
            return;
        }
    }
}

/* A slot that has prepared is looked after, by what is in it alone. */
static void
resolver_begin(uint16_t slot)
{
    struct actor *actor = &actors[1 + slot];
    const struct t_world *place = &places[slot];
    const struct ledger_transfer *marker = NULL;
    struct ledger_transfer pendings[COMMIT_LEGS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < place->past_count; i++) {
        const struct ledger_transfer *transfer = &place->past[i].transfer;
        if ((transfer->flags & LEDGER_TRANSFER_PENDING) != 0) {
            pendings[count++] = *transfer;
        }
        marker = transfer->code == COMMIT_KIND_MARKER && transfer->ledger == COMMIT_LEDGER
                     ? transfer
                     : marker;
    }
    if (marker == NULL) {
        return;
    }
    err_t result = commit_resume(&actor->run, &actor->transaction, marker, pendings, count);
    assert_int_equal(result, ERR_OK);
    actor->is_there = true;
}

/* --------------------------------------------------------------------------------------- cases ---
 */

struct cut {
    uint32_t step;   /* the coordinator's requests before it */
    bool lost;       /* the answer to the last of them */
    bool dead;       /* the coordinator, from then on */
    uint8_t other;   /* slots on the side without it */
    bool undecided;  /* nobody could know an outcome before */
    uint8_t pledged; /* slots that have pre-committed */
    uint8_t prepared;
};

static bool
is_majority(uint8_t slots)
{
    return __builtin_popcount(slots) > SLOTS / 2;
}

static void
coordinator_steps(const struct cut *cut)
{
    struct commit_run *run = &actors[0].run;
    for (uint32_t step = 0; step < cut->step; step++) {
        struct commit_ask ask;
        uint8_t member = 0;
        while (member < SLOTS && !commit_next(run, member, &ask)) {
            member++;
        }
        if (member < SLOTS) {
            (void)t_slots_ask(places, run, &ask, cut->lost && step + 1 == cut->step);
        }
    }
}

static void
note_states(struct cut *cut)
{
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        for (uint32_t i = 0; i < places[slot].past_count; i++) {
            const struct ledger_transfer *entry = &places[slot].past[i].transfer;
            bool marker = entry->ledger == COMMIT_LEDGER;
            uint32_t bit = 1U << slot;
            cut->prepared |= (uint8_t)(marker && entry->code == COMMIT_KIND_MARKER ? bit : 0);
            cut->pledged |= (uint8_t)(marker && entry->code == COMMIT_KIND_PRECOMMIT ? bit : 0);
        }
    }
    cut->undecided = commit_outcome(&actors[0].run) == COMMIT_OUTCOME_UNKNOWN;
}

/* What a side may do: without a majority, and with all of its slots prepared, nothing. */
static void
check_side(const struct cut *cut, uint8_t side)
{
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        const struct actor *actor = &actors[1 + slot];
        if ((side >> slot & 1) == 0 || !actor->is_there) {
            continue;
        }
        bool known = commit_outcome(&actor->run) != COMMIT_OUTCOME_UNKNOWN;
        if (is_majority(side)) {
            assert_true(known);
            ends_alone++;
        } else if ((cut->prepared & side) == side) {
            assert_false(known);
            refusals++;
        }
    }
    /* Those who have pre-committed commit, those who have only prepared abort: as it is taught. */
    uint8_t left = (uint8_t)(ALL & ~side);
    would_split += side != 0 && left != 0 && cut->prepared == ALL && (cut->pledged & side) != 0 &&
                   (cut->pledged & left) == 0;
}

static void
check_end(void)
{
    assert_true(told == 1U << COMMIT_OUTCOME_COMMITTED || told == 1U << COMMIT_OUTCOME_ABORTED);
    bool committed = told == 1U << COMMIT_OUTCOME_COMMITTED;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        assert_int_equal(ledger_pending_count(places[slot].ledger), 0);
        u128 posted =
            ledger_find_account(places[slot].ledger, slot == 0 ? PAYER : PAYEE)->debits_posted;
        posted += ledger_find_account(places[slot].ledger, PAYEE)->credits_posted;
        u128 share = slot == 0 ? (SLOTS - 1) * AMOUNT : AMOUNT;
        assert_true(posted == (committed ? share : 0));
    }
}

static void
live(struct cut cut)
{
    worlds_open();
    coordinator_begin();
    coordinator_steps(&cut);
    note_states(&cut);
    actors[0].is_there = !cut.dead;
    actors[0].reaches = (uint8_t)(ALL & ~cut.other);
    for (uint16_t slot = 0; slot < SLOTS; slot++) {
        uint8_t side = (cut.other >> slot & 1) != 0 ? cut.other : (uint8_t)(ALL & ~cut.other);
        actors[1 + slot].reaches = side;
        resolver_begin(slot);
    }
    commit_conclude(&actors[0].run); /* its deadline is over */
    actors_work();
    if (cut.undecided) {
        check_side(&cut, cut.other);
        check_side(&cut, (uint8_t)(ALL & ~cut.other));
    }
    for (uint32_t i = 0; i < 1 + SLOTS; i++) {
        actors[i].reaches = ALL;
    }
    for (uint16_t slot = 0; slot < SLOTS; slot++) {
        if (!actors[1 + slot].is_there) { /* it may have prepared since */
            resolver_begin(slot);
        }
    }
    actors_work();
    if (cut.prepared != 0 || !cut.dead) {
        check_end();
    }
    t_slots_close(places, SLOTS);
}

static void
a_minority_refuses_and_nothing_splits(void **state)
{
    (void)state;
    uint32_t cases = 0;
    for (uint32_t step = 0; step <= STEPS; step++) {
        for (uint32_t bits = 0; bits < 4U * (ALL + 1); bits++) {
            live((struct cut){
                .step = step,
                .lost = (bits & 1) != 0,
                .dead = (bits & 2) != 0,
                .other = (uint8_t)(bits >> 2),
            });
            cases++;
        }
    }
    print_message(
        "%u cuts: %u resolvers refused to guess, %u ended without the others; 3PC as it is taught "
        "would have split %u times\n",
        cases,
        refusals,
        ends_alone,
        would_split);
    assert_true(refusals > 0);
    assert_true(ends_alone > 0);
    assert_true(would_split > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minority_refuses_and_nothing_splits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
