/*
 * Chains against real ledgers, one to a slot: every payer's leg has its client's id and a note, and
 * what a chain leaves is finished from that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "commit/commit.h"
#include "slots_testing.h"

#include <string.h>

#define SLOTS   2
#define ID      77
#define OWN     UINT64_C(0x1234567890abcdef)
#define LEGS    4
#define CHAINED 3

static struct t_world places[SLOTS];
static struct commit_transaction transaction;
static struct commit_run run;

static int
setup(void **state)
{
    (void)state;
    t_slots_open(places, SLOTS, 0);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    t_slots_close(places, SLOTS);
    return 0;
}

static u128
own_name(u128 id)
{
    return commit_name((OWN + id) << 60);
}

/* Event 0 pays from slot 0 to slot 1, event 1 within slot 1. */
static struct commit_request
request_of(struct commit_leg legs[LEGS], enum commit_protocol protocol)
{
    struct ledger_transfer event = t_payment(ID, 10);
    commit_split(&event, (uint16_t[2]){0, 1}, &legs[0]);
    event = t_payment(ID + 1, 3);
    commit_split(&event, (uint16_t[2]){1, 1}, &legs[2]);
    legs[2].member = 1;
    for (uint32_t i = 0; i < LEGS; i += 2) {
        legs[i].own_name = own_name(legs[i].transfer.id);
        legs[i].payee = PAYEE;
        legs[i].flags = i == 0 ? LEDGER_TRANSFER_LINKED : 0;
    }
    return (struct commit_request){
        .protocol = protocol,
        .slot_count = SLOTS,
        .slots = {0, 1},
        .leg_count = LEGS,
        .legs = legs,
        .name_digest = U128_MAX / 3,
        .request_digest = 8,
    };
}

static void
start(enum commit_protocol protocol)
{
    struct commit_leg legs[LEGS];
    const struct commit_request request = request_of(legs, protocol);
    assert_int_equal(commit_transaction_init(&transaction, &request), ERR_OK);
    commit_begin(&run, &transaction);
}

static bool
step(struct commit_run *of)
{
    bool any = false;
    for (uint8_t member = 0; member < of->transaction->header.member_count; member++) {
        struct commit_ask ask;
        if (commit_next(of, member, &ask) && ask.kind != COMMIT_ASK_READ) {
            (void)t_slots_ask(places, of, &ask, false);
            any = true;
        }
    }
    return any;
}

static void
finish(struct commit_run *of)
{
    for (uint32_t steps = 0; step(of); steps++) {
        assert_true(steps < 20);
    }
    assert_true(commit_ended(of));
}

static const struct ledger_transfer *
find(uint32_t slot, u128 id)
{
    for (uint32_t i = 0; i < places[slot].past_count; i++) {
        if (places[slot].past[i].id == id) {
            return &places[slot].past[i].transfer;
        }
    }
    return NULL;
}

static void
check_worth(uint32_t slot, u128 debits, u128 credits)
{
    assert_true(ledger_find_account(places[slot].ledger, PAYER)->debits_posted == debits);
    assert_true(ledger_find_account(places[slot].ledger, PAYEE)->credits_posted == credits);
    assert_int_equal(ledger_pending_count(places[slot].ledger), 0);
}

/* COMMIT-10: each event by its own id in its payer's slot, and a note that says the rest. */
static void
a_chain_is_booked_by_its_ids(void **state)
{
    (void)state;
    for (uint32_t protocol = 0; protocol < 2; protocol++) {
        start(protocol == 0 ? COMMIT_2PC : COMMIT_3PC);
        finish(&run);
        assert_int_equal(commit_outcome(&run), COMMIT_OUTCOME_COMMITTED);
        check_worth(0, 10, 0);
        check_worth(1, 3, 13);
        for (uint16_t slot = 0; slot < SLOTS; slot++) {
            struct commit_chain_note note;
            u128 id = (u128)ID + slot;
            const struct ledger_transfer *booked = find(slot, id);
            const struct ledger_transfer *noted = find(slot, commit_marker_id(own_name(id), slot));
            assert_non_null(booked);
            assert_non_null(noted);
            assert_int_equal(commit_chain_note_decode(noted, &note), ERR_OK);
            assert_true(note.name == transaction.header.name && note.payee == PAYEE);
            assert_int_equal(note.flags, slot == 0 ? LEDGER_TRANSFER_LINKED : 0);
            /* What ends a leg is named after its own id: whoever has that finds it. */
            bool pending = (booked->flags & LEDGER_TRANSFER_PENDING) != 0;
            assert_int_equal(pending, slot == 1 || protocol == 1);
            u128 end = commit_end_id(own_name(id), slot, 0, true);
            assert_int_equal(find(slot, end) != NULL, pending);
        }
        start(protocol == 0 ? COMMIT_2PC : COMMIT_3PC); /* a repeat changes nothing */
        finish(&run);
        assert_int_equal(commit_outcome(&run), COMMIT_OUTCOME_COMMITTED);
        check_worth(1, 3, 13);
        teardown(NULL);
        setup(NULL);
    }
}

/* An event that one slot refuses takes all of them along. */
static void
a_chain_is_aborted_as_a_whole(void **state)
{
    (void)state;
    assert_int_equal(t_world_transfer(&places[1], t_payment(ID + 1, 1)), LEDGER_TRANSFER_created);
    start(COMMIT_2PC);
    finish(&run);
    assert_int_equal(commit_outcome(&run), COMMIT_OUTCOME_ABORTED);
    assert_int_equal(run.reason, LEDGER_TRANSFER_exists_with_different_flags);
    check_worth(0, 0, 0);
    check_worth(1, 1, 1);
    assert_null(find(0, ID));
}

/* From what is pending, its note and the chain's marker alone: the leg with a client's id, then
 * those with ids of the protocol's. */
static void
a_resolver_finishes_each_leg(void **state)
{
    (void)state;
    for (uint32_t decided = 0; decided < 2; decided++) {
        start(COMMIT_2PC);
        assert_true(step(&run));
        assert_true(decided == 0 || step(&run));
        const struct ledger_transfer *marker =
            find(1, commit_marker_id(transaction.header.name, 1));
        const struct ledger_transfer *note = find(1, commit_marker_id(own_name(ID + 1), 1));
        const struct ledger_transfer *pending = find(1, ID + 1);
        assert_true(marker != NULL && note != NULL && pending != NULL);
        struct commit_transaction found;
        struct commit_run resolver;
        assert_int_equal(commit_resume_chained(&resolver, &found, marker, note, pending), ERR_OK);
        finish(&resolver);
        assert_int_equal(resolver.state, decided != 0 ? COMMIT_POSTED : COMMIT_VOIDED);
        struct ledger_transfer others[2] = {
            *find(1, commit_leg_id(transaction.header.name, 1, 2)),
            *find(1, commit_leg_id(transaction.header.name, 1, 4)),
        };
        assert_int_equal(commit_resume(&resolver, &found, marker, others, 2), ERR_OK);
        finish(&resolver);
        check_worth(0, decided != 0 ? 10 : 0, 0);
        check_worth(1, decided != 0 ? 3 : 0, decided != 0 ? 13 : 0);
        teardown(NULL);
        setup(NULL);
    }
}

/* COMMIT-10: the id is one: what a chain has booked is no transfer by itself any more. */
static void
a_chained_id_is_a_conflict(void **state)
{
    (void)state;
    for (uint32_t protocol = 0; protocol < 2; protocol++) {
        start(COMMIT_2PC);
        finish(&run);
        struct commit_leg legs[2];
        const struct ledger_transfer event = t_payment(ID + 1, 3);
        commit_split(&event, (uint16_t[2]){1, 0}, legs);
        const struct commit_request request = {
            .protocol = protocol == 0 ? COMMIT_2PC : COMMIT_3PC,
            .slot_count = 2,
            .slots = {1, 0},
            .leg_count = 2,
            .legs = legs,
            .name_digest = (OWN + event.id) << 60,
            .request_digest = 16,
        };
        assert_int_equal(commit_transaction_init(&transaction, &request), ERR_OK);
        assert_true(transaction.header.name == own_name(event.id));
        commit_begin(&run, &transaction);
        finish(&run);
        assert_int_equal(run.faulty, 0);
        assert_true(run.conflict);
        assert_int_equal(commit_outcome(&run), COMMIT_OUTCOME_ABORTED);
        check_worth(0, 10, 0);
        check_worth(1, 3, 13);
        teardown(NULL);
        setup(NULL);
    }
}

static void
damaged_notes_are_refused(void **state)
{
    (void)state;
    start(COMMIT_2PC);
    assert_true(step(&run));
    const struct ledger_transfer marker = *find(1, commit_marker_id(transaction.header.name, 1));
    const struct ledger_transfer note = *find(1, commit_marker_id(own_name(ID + 1), 1));
    const struct ledger_transfer pending = *find(1, ID + 1);
    struct commit_transaction found;
    struct commit_run resolver;
    struct ledger_transfer bad[] = {note, note, note, note};
    bad[0].code = COMMIT_KIND_MARKER;
    bad[1].user_data_64++;         /* another chain's */
    bad[2].id ^= 1;                /* in another slot */
    bad[3].user_data_32 ^= 0x1000; /* what no note has */
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(
            commit_resume_chained(&resolver, &found, &marker, &bad[i], &pending), ERR_CORRUPT);
    }
    /* The protocol's pendings have no note. */
    const struct ledger_transfer *other = find(1, commit_leg_id(transaction.header.name, 1, 2));
    assert_int_equal(commit_resume_chained(&resolver, &found, &marker, &note, other), ERR_CORRUPT);
    /* Nor is a client's pending taken for one of the protocol's. */
    assert_int_equal(commit_resume(&resolver, &found, &marker, &pending, 1), ERR_CORRUPT);
    struct commit_header header;
    assert_int_equal(commit_header_decode(&note, &header), ERR_CORRUPT);
}

static void
what_a_chain_may_have_is_checked(void **state)
{
    (void)state;
    struct commit_leg legs[COMMIT_LEGS_MAX];
    struct commit_transaction made;
    struct commit_request request = request_of(legs, COMMIT_2PC);
    legs[0].transfer.flags = LEDGER_TRANSFER_VOID_PENDING; /* where the decision is */
    assert_int_equal(commit_transaction_init(&made, &request), ERR_OK);
    legs[0].transfer.flags = LEDGER_TRANSFER_PENDING;
    legs[0].transfer.timeout = 1;
    assert_int_equal(commit_transaction_init(&made, &request), ERR_OK);
    request.protocol = COMMIT_3PC;
    assert_int_equal(commit_transaction_init(&made, &request), ERR_UNSUPPORTED);
    request = request_of(legs, COMMIT_2PC);
    legs[2].transfer.flags = LEDGER_TRANSFER_POST_PENDING; /* where it is not */
    assert_int_equal(commit_transaction_init(&made, &request), ERR_UNSUPPORTED);
    request = request_of(legs, COMMIT_2PC);
    legs[2].transfer.id = commit_marker_id(commit_name(1), 1);
    assert_int_equal(commit_transaction_init(&made, &request), ERR_INVALID);
    request = request_of(legs, COMMIT_2PC);
    for (uint32_t i = LEGS; i < COMMIT_LEGS_MAX; i++) {
        legs[i] = legs[1];
    }
    request.leg_count = COMMIT_LEGS_MAX;
    assert_int_equal(commit_transaction_init(&made, &request), ERR_INVALID);
    request.leg_count--;
    assert_int_equal(commit_transaction_init(&made, &request), ERR_OK);
    assert_int_equal(made.legs[0].index, 1);
    assert_int_equal(made.legs[CHAINED].index, CHAINED + 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_chain_is_booked_by_its_ids),
        TEST(a_chain_is_aborted_as_a_whole),
        TEST(a_resolver_finishes_each_leg),
        TEST(a_chained_id_is_a_conflict),
        TEST(damaged_notes_are_refused),
        TEST(what_a_chain_may_have_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
