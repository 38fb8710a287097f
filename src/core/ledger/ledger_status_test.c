/*
 * Every status, and which one wins. Each list starts from an event that is valid and has one way
 * of spoiling it per status, in the order of precedence. Each is tried alone, and then every two
 * that can be had together (they change different fields): the earlier must win.
 */
#include "ledger_test_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NEAR_MAX (U128_MAX - 5)
#define HALF     (U128_MAX / 2)

/* Accounts of the world. */
enum {
    A = 1,
    B,
    OTHER_LEDGER,
    CLOSED,
    CLOSED_TOO,
    LIMITED_DEBITS,
    LIMITED_CREDITS,
    FULL_DEBITS_PENDING,
    FULL_CREDITS_PENDING,
    FULL_DEBITS_POSTED,
    FULL_CREDITS_POSTED,
    FULL_DEBITS,
    FULL_CREDITS,
    CLOSED_LATER_DEBIT,
    CLOSED_LATER_CREDIT,
    LATE, /* created after every transfer */
    LATE_TOO,
    ABSENT = 90,
};

/* Transfers of the world. */
enum {
    T_LIKE_BASE = 100,
    T_SINGLE,
    T_POSTED,
    T_POST,
    T_VOIDED,
    T_VOID,
    T_EXPIRED,
    T_DUE,
    T_LIVE,
    T_LIVE_OF_CLOSED_DEBIT,
    T_LIVE_OF_CLOSED_CREDIT,
    T_FAILED,
    T_NEW = 500,
};

#define START_CLOCK UINT64_C(5000000000000000000)
#define SECOND      UINT64_C(1000000000)

static struct t_world world;
static uint64_t gap; /* a timestamp above every event's when it was noted; LATE ones came after */

static void
must_create(uint32_t status)
{
    assert_int_equal(status, LEDGER_TRANSFER_created);
}

static struct ledger_transfer
base_transfer(void)
{
    return (struct ledger_transfer){
        .id = T_NEW,
        .debit_account_id = A,
        .credit_account_id = B,
        .amount = 10,
        .user_data_128 = 1,
        .user_data_64 = 1,
        .user_data_32 = 1,
        .ledger = 1,
        .code = 1,
        .flags = LEDGER_TRANSFER_PENDING,
    };
}

static void
make(uint32_t id, u128 debit, u128 credit, u128 amount, unsigned flags)
{
    struct ledger_transfer transfer = base_transfer();
    transfer.id = id;
    transfer.debit_account_id = debit;
    transfer.credit_account_id = credit;
    transfer.amount = amount;
    transfer.flags = (uint16_t)flags;
    must_create(t_world_transfer(&world, transfer));
}

static void
finish(uint32_t id, uint32_t pending_id, unsigned flags, u128 amount)
{
    must_create(t_world_transfer(
        &world,
        (struct ledger_transfer){
            .id = id, .pending_id = pending_id, .amount = amount, .flags = (uint16_t)flags}));
}

static void
make_accounts(u128 first, u128 last)
{
    for (u128 id = first; id <= last; id++) {
        struct ledger_account account = {.id = id, .ledger = 1, .code = 1};
        if (id == OTHER_LEDGER) {
            account.ledger = 2;
        }
        if (id == CLOSED || id == CLOSED_TOO) {
            account.flags = LEDGER_ACCOUNT_CLOSED;
        }
        if (id == LIMITED_DEBITS) {
            account.flags = LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS;
        }
        if (id == LIMITED_CREDITS) {
            account.flags = LEDGER_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS;
        }
        must_create(t_world_account(&world, account));
    }
}

static int
set_up(void **state)
{
    (void)state;
    const struct ledger_limits limits = {64, 64, 8189};
    t_world_init(&world, &limits);
    ledger_set_clock(world.ledger, START_CLOCK);
    make_accounts(A, CLOSED_LATER_CREDIT);

    struct ledger_transfer timed = base_transfer();
    timed.timeout = 1;
    timed.id = T_EXPIRED;
    must_create(t_world_transfer(&world, timed));
    assert_int_equal(t_world_pulse(&world, START_CLOCK + 2 * SECOND), 1);
    timed.id = T_DUE;
    must_create(t_world_transfer(&world, timed));
    ledger_set_clock(world.ledger, START_CLOCK + 4 * SECOND);

    const unsigned pending = LEDGER_TRANSFER_PENDING;
    make(T_LIKE_BASE, A, B, 10, pending);
    make(T_SINGLE, A, B, 10, 0);
    make(T_POSTED, A, B, 10, pending);
    finish(T_POST, T_POSTED, LEDGER_TRANSFER_POST_PENDING, U128_MAX);
    make(T_VOIDED, A, B, 10, pending);
    finish(T_VOID, T_VOIDED, LEDGER_TRANSFER_VOID_PENDING, 0);
    make(T_LIVE, A, B, 10, pending);
    make(T_LIVE_OF_CLOSED_DEBIT, CLOSED_LATER_DEBIT, B, 10, pending);
    make(T_LIVE_OF_CLOSED_CREDIT, A, CLOSED_LATER_CREDIT, 10, pending);
    make(300, CLOSED_LATER_DEBIT, B, 0, pending | LEDGER_TRANSFER_CLOSING_DEBIT);
    make(301, A, CLOSED_LATER_CREDIT, 0, pending | LEDGER_TRANSFER_CLOSING_CREDIT);
    make(302, FULL_DEBITS_PENDING, FULL_CREDITS_PENDING, NEAR_MAX, pending);
    make(303, FULL_DEBITS_POSTED, FULL_CREDITS_POSTED, NEAR_MAX, 0);
    make(304, FULL_DEBITS, FULL_CREDITS, HALF, pending);
    make(305, FULL_DEBITS, FULL_CREDITS, HALF - 4, 0);
    struct ledger_transfer failing = base_transfer();
    failing.id = T_FAILED;
    failing.debit_account_id = ABSENT;
    assert_int_equal(t_world_transfer(&world, failing), LEDGER_TRANSFER_debit_account_not_found);
    /* Room for imports between the last transfer and two late accounts. */
    gap = ledger_clock(world.ledger) + 10;
    ledger_set_clock(world.ledger, gap + 1000);
    make_accounts(LATE, LATE_TOO);
    world.keep_past = false;
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    assert_int_equal(ledger_validate(world.ledger), ERR_OK);
    t_world_release(&world);
    return 0;
}

/* --- trying spoilt events --- */

struct spoiler {
    uint32_t status;
    const char *name;
    void (*spoil)(void *event);
    int group; /* of two in the same non-zero group, only the alone case makes sense */
};

/* Overlays the bytes that `b` changed on `a`; false if both changed a byte differently. Flags are
 * joined bit by bit. */
static bool
join(const void *base, const void *a, const void *b, void *joined, size_t size, size_t flags_at)
{
    const unsigned char *base_bytes = base;
    const unsigned char *a_bytes = a;
    const unsigned char *b_bytes = b;
    unsigned char *out = joined;
    for (size_t i = 0; i < size; i++) {
        unsigned char a_change = a_bytes[i] ^ base_bytes[i];
        unsigned char b_change = b_bytes[i] ^ base_bytes[i];
        if (i != flags_at && i != flags_at + 1 && a_change != 0 && b_change != 0 &&
            a_change != b_change) {
            return false;
        }
        out[i] = (unsigned char)(base_bytes[i] ^ (a_change | b_change));
    }
    return true;
}

typedef uint32_t (*try_event)(const void *event);

struct list {
    const void *base;
    size_t size;
    size_t flags_at;
    const struct spoiler *spoilers;
    size_t count;
    try_event attempt;
};

/* A field is one thing: two spoilers that set it to different values cannot be had together. */
static bool
fields_collide(const struct list *list, const void *a, const void *b)
{
    const unsigned char *base = list->base;
    const unsigned char *x = a;
    const unsigned char *y = b;
    /* Both records have fields of the same sizes in the same places. */
    static const size_t fields[] = {0, 16, 32, 48, 64, 80, 96, 104, 108, 112, 116, 118, 120, 128};
    for (size_t i = 0; fields[i] < 128; i++) {
        size_t at = fields[i];
        size_t size = fields[i + 1] - at;
        if (at == list->flags_at) {
            continue;
        }
        if (memcmp(x + at, base + at, size) != 0 && memcmp(y + at, base + at, size) != 0 &&
            memcmp(x + at, y + at, size) != 0) {
            return true;
        }
    }
    return false;
}

/* Closing without pending and a timeout without pending: the timeout's rule comes before both. */
static bool
breaks_third_rule(const struct list *list, const struct spoiler *first, const void *second)
{
    size_t at = offsetof(struct ledger_transfer, timeout);
    return first->status == LEDGER_TRANSFER_closing_transfer_must_be_pending &&
           memcmp((const char *)second + at, (const char *)list->base + at, 4) != 0;
}

static void
try_list(const struct list *list)
{
    size_t pairs = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct spoiler *first = &list->spoilers[i];
        unsigned char a[128];
        memcpy(a, list->base, list->size);
        first->spoil(a);
        uint32_t status = list->attempt(a);
        if (status != first->status) {
            print_error("%s alone: %u\n", first->name, status);
        }
        assert_int_equal(status, first->status);
        for (size_t j = i + 1; j < list->count; j++) {
            const struct spoiler *second = &list->spoilers[j];
            unsigned char b[128];
            unsigned char joined[128];
            memcpy(b, list->base, list->size);
            second->spoil(b);
            if ((first->group != 0 && first->group != second->group) ||
                breaks_third_rule(list, first, b) || fields_collide(list, a, b) ||
                !join(list->base, a, b, joined, list->size, list->flags_at)) {
                continue;
            }
            status = list->attempt(joined);
            if (status != first->status) {
                print_error("%s and %s: %u\n", first->name, second->name, status);
            }
            assert_int_equal(status, first->status);
            pairs++;
        }
    }
    /* Most pairs can be had. */
    assert_true(pairs > list->count);
}

/* One spoiler: what it does to the event `e`. */
#define SPOIL_TRANSFER(name, code)                                                                 \
    static void spoil_##name(void *event)                                                          \
    {                                                                                              \
        struct ledger_transfer *e = event;                                                         \
        code;                                                                                      \
    }
#define SPOIL_ACCOUNT(name, code)                                                                  \
    static void spoil_account_##name(void *event)                                                  \
    {                                                                                              \
        struct ledger_account *e = event;                                                          \
        code;                                                                                      \
    }
#define ENTRY(status_name, how, group_number)                                                      \
    {                                                                                              \
        LEDGER_TRANSFER_##status_name, #how, spoil_##how, group_number                             \
    }
#define ACCOUNT_ENTRY(status_name, group_number)                                                   \
    {                                                                                              \
        LEDGER_ACCOUNT_##status_name, #status_name, spoil_account_##status_name, group_number      \
    }
#define ON(bits)  (e->flags = (uint16_t)(e->flags | (bits)))
#define OFF(bits) (e->flags = (uint16_t)(e->flags & ~(unsigned)(bits)))

static uint32_t
try_transfer(const void *event)
{
    return t_world_transfer(&world, *(const struct ledger_transfer *)event);
}

/* clang-format off */
SPOIL_TRANSFER(chain_open, ON(LEDGER_TRANSFER_LINKED))
SPOIL_TRANSFER(timestamp, e->timestamp = 5)
SPOIL_TRANSFER(out_of_range, e->timestamp = 0)
SPOIL_TRANSFER(out_of_range_above, e->timestamp = LEDGER_TIMESTAMP_MAX + 1)
SPOIL_TRANSFER(advances, e->timestamp = ledger_clock(world.ledger) + 1000)
SPOIL_TRANSFER(reserved_flag, ON(1 << 9))
SPOIL_TRANSFER(id_zero, e->id = 0)
SPOIL_TRANSFER(id_max, e->id = U128_MAX)
SPOIL_TRANSFER(exists_flags, e->id = T_LIKE_BASE; ON(LEDGER_TRANSFER_BALANCING_DEBIT))
SPOIL_TRANSFER(exists_pending_id, e->id = T_LIKE_BASE; e->pending_id = 7)
SPOIL_TRANSFER(exists_timeout, e->id = T_LIKE_BASE; e->timeout = 9)
SPOIL_TRANSFER(exists_debit, e->id = T_LIKE_BASE; e->debit_account_id = ABSENT)
SPOIL_TRANSFER(exists_credit, e->id = T_LIKE_BASE; e->credit_account_id = ABSENT + 1)
SPOIL_TRANSFER(exists_amount, e->id = T_LIKE_BASE; e->amount = 11)
SPOIL_TRANSFER(exists_data_128, e->id = T_LIKE_BASE; e->user_data_128 = 2)
SPOIL_TRANSFER(exists_data_64, e->id = T_LIKE_BASE; e->user_data_64 = 2)
SPOIL_TRANSFER(exists_data_32, e->id = T_LIKE_BASE; e->user_data_32 = 2)
SPOIL_TRANSFER(exists_ledger, e->id = T_LIKE_BASE; e->ledger = 2)
SPOIL_TRANSFER(exists_code, e->id = T_LIKE_BASE; e->code = 2)
SPOIL_TRANSFER(exists, e->id = T_LIKE_BASE)
SPOIL_TRANSFER(failed, e->id = T_FAILED)
SPOIL_TRANSFER(debit_zero, e->debit_account_id = 0)
SPOIL_TRANSFER(debit_max, e->debit_account_id = U128_MAX)
SPOIL_TRANSFER(credit_zero, e->credit_account_id = 0)
SPOIL_TRANSFER(credit_max, e->credit_account_id = U128_MAX)
SPOIL_TRANSFER(same_accounts, e->credit_account_id = e->debit_account_id)
SPOIL_TRANSFER(pending_id_given, e->pending_id = 7)
SPOIL_TRANSFER(timeout_alone, OFF(LEDGER_TRANSFER_PENDING); e->timeout = 1)
SPOIL_TRANSFER(closing_alone, OFF(LEDGER_TRANSFER_PENDING); ON(LEDGER_TRANSFER_CLOSING_DEBIT))
SPOIL_TRANSFER(ledger_zero, e->ledger = 0)
SPOIL_TRANSFER(code_zero, e->code = 0)
SPOIL_TRANSFER(debit_absent, e->debit_account_id = ABSENT)
SPOIL_TRANSFER(credit_absent, e->credit_account_id = ABSENT + 1)
SPOIL_TRANSFER(other_ledgers, e->credit_account_id = OTHER_LEDGER)
SPOIL_TRANSFER(other_ledger, e->ledger = 2)
SPOIL_TRANSFER(debit_closed, e->debit_account_id = CLOSED)
SPOIL_TRANSFER(credit_closed, e->credit_account_id = CLOSED_TOO)
SPOIL_TRANSFER(full_debits_pending, e->debit_account_id = FULL_DEBITS_PENDING)
SPOIL_TRANSFER(full_credits_pending, e->credit_account_id = FULL_CREDITS_PENDING)
SPOIL_TRANSFER(full_debits_posted, e->debit_account_id = FULL_DEBITS_POSTED)
SPOIL_TRANSFER(full_credits_posted, e->credit_account_id = FULL_CREDITS_POSTED)
SPOIL_TRANSFER(full_debits, e->debit_account_id = FULL_DEBITS)
SPOIL_TRANSFER(full_credits, e->credit_account_id = FULL_CREDITS)
SPOIL_TRANSFER(endless, e->timeout = UINT32_MAX)
SPOIL_TRANSFER(limited_debits, e->debit_account_id = LIMITED_DEBITS)
SPOIL_TRANSFER(limited_credits, e->credit_account_id = LIMITED_CREDITS)
SPOIL_TRANSFER(regress_transfer, e->timestamp = gap - 10 - 20)
SPOIL_TRANSFER(regress_account, e->timestamp = ledger_account_at(world.ledger, LATE - 1)->timestamp)
SPOIL_TRANSFER(predates_debit, e->debit_account_id = LATE)
SPOIL_TRANSFER(predates_credit, e->credit_account_id = LATE_TOO)
SPOIL_TRANSFER(imported_timeout, e->timeout = 1)
/* clang-format on */

#define EXISTS_ENTRIES                                                                             \
    ENTRY(exists_with_different_flags, exists_flags, 0),                                           \
        ENTRY(exists_with_different_pending_id, exists_pending_id, 1),                             \
        ENTRY(exists_with_different_timeout, exists_timeout, 1),                                   \
        ENTRY(exists_with_different_debit_account_id, exists_debit, 1),                            \
        ENTRY(exists_with_different_credit_account_id, exists_credit, 1),                          \
        ENTRY(exists_with_different_amount, exists_amount, 1),                                     \
        ENTRY(exists_with_different_user_data_128, exists_data_128, 1),                            \
        ENTRY(exists_with_different_user_data_64, exists_data_64, 1),                              \
        ENTRY(exists_with_different_user_data_32, exists_data_32, 1),                              \
        ENTRY(exists_with_different_ledger, exists_ledger, 1),                                     \
        ENTRY(exists_with_different_code, exists_code, 1), ENTRY(exists, exists, 1)
#define FIELD_ENTRIES                                                                              \
    ENTRY(id_already_failed, failed, 0), ENTRY(debit_account_id_must_not_be_zero, debit_zero, 0),  \
        ENTRY(debit_account_id_must_not_be_int_max, debit_max, 0),                                 \
        ENTRY(credit_account_id_must_not_be_zero, credit_zero, 0),                                 \
        ENTRY(credit_account_id_must_not_be_int_max, credit_max, 0)
#define FIELD_ENTRIES_2                                                                            \
    ENTRY(pending_id_must_be_zero, pending_id_given, 0),                                           \
        ENTRY(timeout_reserved_for_pending_transfer, timeout_alone, 0),                            \
        ENTRY(closing_transfer_must_be_pending, closing_alone, 0),                                 \
        ENTRY(ledger_must_not_be_zero, ledger_zero, 0),                                            \
        ENTRY(code_must_not_be_zero, code_zero, 0),                                                \
        ENTRY(debit_account_not_found, debit_absent, 0),                                           \
        ENTRY(credit_account_not_found, credit_absent, 0),                                         \
        ENTRY(accounts_must_have_the_same_ledger, other_ledgers, 0),                               \
        ENTRY(transfer_must_have_the_same_ledger_as_accounts, other_ledger, 0)
#define AMOUNT_ENTRIES                                                                             \
    ENTRY(debit_account_already_closed, debit_closed, 0),                                          \
        ENTRY(credit_account_already_closed, credit_closed, 0),                                    \
        ENTRY(overflows_debits_pending, full_debits_pending, 0),                                   \
        ENTRY(overflows_credits_pending, full_credits_pending, 0),                                 \
        ENTRY(overflows_debits_posted, full_debits_posted, 0),                                     \
        ENTRY(overflows_credits_posted, full_credits_posted, 0),                                   \
        ENTRY(overflows_debits, full_debits, 0), ENTRY(overflows_credits, full_credits, 0)
#define LIMIT_ENTRIES                                                                              \
    ENTRY(exceeds_credits, limited_debits, 0), ENTRY(exceeds_debits, limited_credits, 0)

static void
test_transfer_statuses(void **state)
{
    (void)state;
    const struct ledger_transfer base = base_transfer();
    const struct spoiler spoilers[] = {
        ENTRY(linked_event_chain_open, chain_open, 0),
        ENTRY(timestamp_must_be_zero, timestamp, 0),
        ENTRY(reserved_flag, reserved_flag, 0),
        ENTRY(id_must_not_be_zero, id_zero, 0),
        ENTRY(id_must_not_be_int_max, id_max, 0),
        EXISTS_ENTRIES,
        FIELD_ENTRIES,
        ENTRY(accounts_must_be_different, same_accounts, 2),
        FIELD_ENTRIES_2,
        AMOUNT_ENTRIES,
        ENTRY(overflows_timeout, endless, 0),
        LIMIT_ENTRIES,
    };
    try_list(&(struct list){
        &base,
        sizeof(base),
        offsetof(struct ledger_transfer, flags),
        spoilers,
        sizeof(spoilers) / sizeof(spoilers[0]),
        try_transfer});
}

static void
test_imported_transfer_statuses(void **state)
{
    (void)state;
    struct ledger_transfer base = base_transfer();
    base.flags = LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_IMPORTED;
    base.timestamp = gap;
    const struct spoiler spoilers[] = {
        ENTRY(linked_event_chain_open, chain_open, 0),
        ENTRY(imported_event_timestamp_out_of_range, out_of_range, 0),
        ENTRY(imported_event_timestamp_out_of_range, out_of_range_above, 0),
        ENTRY(imported_event_timestamp_must_not_advance, advances, 0),
        ENTRY(reserved_flag, reserved_flag, 0),
        ENTRY(id_must_not_be_zero, id_zero, 0),
        FIELD_ENTRIES,
        FIELD_ENTRIES_2,
        ENTRY(imported_event_timestamp_must_not_regress, regress_transfer, 0),
        ENTRY(imported_event_timestamp_must_not_regress, regress_account, 2),
        ENTRY(imported_event_timestamp_must_postdate_debit_account, predates_debit, 0),
        ENTRY(imported_event_timestamp_must_postdate_credit_account, predates_credit, 0),
        ENTRY(imported_event_timeout_must_be_zero, imported_timeout, 0),
        AMOUNT_ENTRIES,
        LIMIT_ENTRIES,
    };
    try_list(&(struct list){
        &base,
        sizeof(base),
        offsetof(struct ledger_transfer, flags),
        spoilers,
        sizeof(spoilers) / sizeof(spoilers[0]),
        try_transfer});
}

/* clang-format off */
SPOIL_TRANSFER(both, ON(LEDGER_TRANSFER_VOID_PENDING))
SPOIL_TRANSFER(with_pending, ON(LEDGER_TRANSFER_PENDING))
SPOIL_TRANSFER(with_balancing_debit, ON(LEDGER_TRANSFER_BALANCING_DEBIT))
SPOIL_TRANSFER(with_balancing_credit, ON(LEDGER_TRANSFER_BALANCING_CREDIT))
SPOIL_TRANSFER(with_closing_debit, ON(LEDGER_TRANSFER_CLOSING_DEBIT))
SPOIL_TRANSFER(with_closing_credit, ON(LEDGER_TRANSFER_CLOSING_CREDIT))
SPOIL_TRANSFER(pending_zero, e->pending_id = 0)
SPOIL_TRANSFER(pending_max, e->pending_id = U128_MAX)
SPOIL_TRANSFER(pending_self, e->pending_id = e->id)
SPOIL_TRANSFER(timeout_given, e->timeout = 1)
SPOIL_TRANSFER(pending_absent, e->pending_id = 999)
SPOIL_TRANSFER(pending_single, e->pending_id = T_SINGLE)
SPOIL_TRANSFER(different_debit, e->debit_account_id = B)
SPOIL_TRANSFER(different_credit, e->credit_account_id = A)
SPOIL_TRANSFER(different_ledger, e->ledger = 2)
SPOIL_TRANSFER(different_code, e->code = 2)
SPOIL_TRANSFER(above_pending, e->amount = 11)
SPOIL_TRANSFER(void_below, OFF(LEDGER_TRANSFER_POST_PENDING); ON(LEDGER_TRANSFER_VOID_PENDING); e->amount = 9)
SPOIL_TRANSFER(posted, e->pending_id = T_POSTED)
SPOIL_TRANSFER(voided, e->pending_id = T_VOIDED)
SPOIL_TRANSFER(expired, e->pending_id = T_EXPIRED)
SPOIL_TRANSFER(due, e->pending_id = T_DUE)
SPOIL_TRANSFER(closed_debit, e->pending_id = T_LIVE_OF_CLOSED_DEBIT)
SPOIL_TRANSFER(closed_credit, e->pending_id = T_LIVE_OF_CLOSED_CREDIT)
/* clang-format on */

#define FINISHING_ENTRIES                                                                          \
    ENTRY(id_already_failed, failed, 0), ENTRY(flags_are_mutually_exclusive, both, 3),             \
        ENTRY(flags_are_mutually_exclusive, with_pending, 0),                                      \
        ENTRY(flags_are_mutually_exclusive, with_balancing_debit, 0),                              \
        ENTRY(flags_are_mutually_exclusive, with_balancing_credit, 0),                             \
        ENTRY(flags_are_mutually_exclusive, with_closing_debit, 0),                                \
        ENTRY(flags_are_mutually_exclusive, with_closing_credit, 0),                               \
        ENTRY(pending_id_must_not_be_zero, pending_zero, 0),                                       \
        ENTRY(pending_id_must_not_be_int_max, pending_max, 0),                                     \
        ENTRY(pending_id_must_be_different, pending_self, 0),                                      \
        ENTRY(timeout_reserved_for_pending_transfer, timeout_given, 0),                            \
        ENTRY(pending_transfer_not_found, pending_absent, 0),                                      \
        ENTRY(pending_transfer_not_pending, pending_single, 0),                                    \
        ENTRY(pending_transfer_has_different_debit_account_id, different_debit, 0),                \
        ENTRY(pending_transfer_has_different_credit_account_id, different_credit, 0),              \
        ENTRY(pending_transfer_has_different_ledger, different_ledger, 0),                         \
        ENTRY(pending_transfer_has_different_code, different_code, 0),                             \
        ENTRY(exceeds_pending_transfer_amount, above_pending, 0),                                  \
        ENTRY(pending_transfer_has_different_amount, void_below, 0),                               \
        ENTRY(pending_transfer_already_posted, posted, 0),                                         \
        ENTRY(pending_transfer_already_voided, voided, 0),                                         \
        ENTRY(pending_transfer_expired, expired, 0), ENTRY(pending_transfer_expired, due, 0)

static void
test_second_phase_statuses(void **state)
{
    (void)state;
    const struct ledger_transfer base = {
        .id = T_NEW,
        .pending_id = T_LIVE,
        .amount = U128_MAX,
        .flags = LEDGER_TRANSFER_POST_PENDING,
    };
    const struct spoiler spoilers[] = {
        ENTRY(linked_event_chain_open, chain_open, 0),
        ENTRY(timestamp_must_be_zero, timestamp, 0),
        ENTRY(reserved_flag, reserved_flag, 0),
        ENTRY(id_must_not_be_zero, id_zero, 0),
        FINISHING_ENTRIES,
        ENTRY(debit_account_already_closed, closed_debit, 0),
        ENTRY(credit_account_already_closed, closed_credit, 0),
    };
    try_list(&(struct list){
        &base,
        sizeof(base),
        offsetof(struct ledger_transfer, flags),
        spoilers,
        sizeof(spoilers) / sizeof(spoilers[0]),
        try_transfer});
}

static void
test_imported_second_phase_statuses(void **state)
{
    (void)state;
    const struct ledger_transfer base = {
        .id = T_NEW,
        .pending_id = T_LIVE,
        .amount = U128_MAX,
        .flags = LEDGER_TRANSFER_POST_PENDING | LEDGER_TRANSFER_IMPORTED,
        .timestamp = gap,
    };
    const struct spoiler spoilers[] = {
        ENTRY(imported_event_timestamp_out_of_range, out_of_range, 0),
        ENTRY(imported_event_timestamp_must_not_advance, advances, 0),
        FINISHING_ENTRIES,
        ENTRY(imported_event_timestamp_must_not_regress, regress_transfer, 0),
        ENTRY(debit_account_already_closed, closed_debit, 0),
        ENTRY(credit_account_already_closed, closed_credit, 0),
    };
    try_list(&(struct list){
        &base,
        sizeof(base),
        offsetof(struct ledger_transfer, flags),
        spoilers,
        sizeof(spoilers) / sizeof(spoilers[0]),
        try_transfer});
}

/* clang-format off */
SPOIL_TRANSFER(post_exists_flags, e->flags = LEDGER_TRANSFER_VOID_PENDING)
SPOIL_TRANSFER(post_exists_pending_id, e->pending_id = T_LIVE)
SPOIL_TRANSFER(post_exists_timeout, e->timeout = 1)
SPOIL_TRANSFER(post_exists_amount, e->amount = 9)
SPOIL_TRANSFER(post_exists_data_128, e->user_data_128 = 2)
SPOIL_TRANSFER(post_exists_data_64, e->user_data_64 = 2)
SPOIL_TRANSFER(post_exists_data_32, e->user_data_32 = 2)
SPOIL_TRANSFER(nothing, (void)e)
SPOIL_TRANSFER(all_given, e->debit_account_id = A; e->credit_account_id = B; e->ledger = 1; e->code = 1; e->amount = 10; e->user_data_64 = 1)

/* clang-format on */

static void
test_repeated_post(void **state)
{
    (void)state;
    const struct ledger_transfer base = {
        .id = T_POST,
        .pending_id = T_POSTED,
        .amount = U128_MAX,
        .flags = LEDGER_TRANSFER_POST_PENDING,
    };
    const struct spoiler spoilers[] = {
        ENTRY(exists_with_different_flags, post_exists_flags, 0),
        ENTRY(exists_with_different_pending_id, post_exists_pending_id, 0),
        ENTRY(exists_with_different_timeout, post_exists_timeout, 0),
        ENTRY(exists_with_different_debit_account_id, different_debit, 0),
        ENTRY(exists_with_different_credit_account_id, different_credit, 0),
        ENTRY(exists_with_different_amount, post_exists_amount, 0),
        ENTRY(exists_with_different_user_data_128, post_exists_data_128, 0),
        ENTRY(exists_with_different_user_data_64, post_exists_data_64, 0),
        ENTRY(exists_with_different_user_data_32, post_exists_data_32, 0),
        ENTRY(exists_with_different_ledger, different_ledger, 0),
        ENTRY(exists_with_different_code, different_code, 0),
        ENTRY(exists, nothing, 0),
        ENTRY(exists, all_given, 0),
    };
    try_list(&(struct list){
        &base,
        sizeof(base),
        offsetof(struct ledger_transfer, flags),
        spoilers,
        sizeof(spoilers) / sizeof(spoilers[0]),
        try_transfer});
}

/* --- accounts --- */

static uint32_t
try_account(const void *event)
{
    return t_world_account(&world, *(const struct ledger_account *)event);
}

/* clang-format off */
SPOIL_ACCOUNT(linked_event_chain_open, ON(LEDGER_ACCOUNT_LINKED))
SPOIL_ACCOUNT(timestamp_must_be_zero, e->timestamp = 5)
SPOIL_ACCOUNT(imported_event_timestamp_out_of_range, e->timestamp = LEDGER_TIMESTAMP_MAX + 1)
SPOIL_ACCOUNT(imported_event_timestamp_must_not_advance, e->timestamp = ledger_clock(world.ledger) + 1000)
SPOIL_ACCOUNT(reserved_field, e->reserved = 1)
SPOIL_ACCOUNT(reserved_flag, ON(1 << 6))
SPOIL_ACCOUNT(id_must_not_be_zero, e->id = 0)
SPOIL_ACCOUNT(id_must_not_be_int_max, e->id = U128_MAX)
SPOIL_ACCOUNT(exists_with_different_flags, e->id = A; ON(LEDGER_ACCOUNT_HISTORY))
SPOIL_ACCOUNT(exists_with_different_user_data_128, e->id = A; e->user_data_128 = 1)
SPOIL_ACCOUNT(exists_with_different_user_data_64, e->id = A; e->user_data_64 = 1)
SPOIL_ACCOUNT(exists_with_different_user_data_32, e->id = A; e->user_data_32 = 1)
SPOIL_ACCOUNT(exists_with_different_ledger, e->id = A; e->ledger = 7)
SPOIL_ACCOUNT(exists_with_different_code, e->id = A; e->code = 7)
SPOIL_ACCOUNT(exists, e->id = A)
SPOIL_ACCOUNT(flags_are_mutually_exclusive, ON(6))
SPOIL_ACCOUNT(debits_pending_must_be_zero, e->debits_pending = 1)
SPOIL_ACCOUNT(debits_posted_must_be_zero, e->debits_posted = 1)
SPOIL_ACCOUNT(credits_pending_must_be_zero, e->credits_pending = 1)
SPOIL_ACCOUNT(credits_posted_must_be_zero, e->credits_posted = 1)
SPOIL_ACCOUNT(ledger_must_not_be_zero, e->ledger = 0)
SPOIL_ACCOUNT(code_must_not_be_zero, e->code = 0)
SPOIL_ACCOUNT(imported_event_timestamp_must_not_regress, e->timestamp = gap)

/* clang-format on */

static void
test_account_statuses(void **state)
{
    (void)state;
    const struct ledger_account base = {.id = 77, .ledger = 1, .code = 1};
    const struct spoiler spoilers[] = {
        ACCOUNT_ENTRY(linked_event_chain_open, 0),
        ACCOUNT_ENTRY(timestamp_must_be_zero, 0),
        ACCOUNT_ENTRY(reserved_field, 0),
        ACCOUNT_ENTRY(reserved_flag, 0),
        ACCOUNT_ENTRY(id_must_not_be_zero, 0),
        ACCOUNT_ENTRY(id_must_not_be_int_max, 0),
        ACCOUNT_ENTRY(exists_with_different_flags, 0),
        ACCOUNT_ENTRY(exists_with_different_user_data_128, 1),
        ACCOUNT_ENTRY(exists_with_different_user_data_64, 1),
        ACCOUNT_ENTRY(exists_with_different_user_data_32, 1),
        ACCOUNT_ENTRY(exists_with_different_ledger, 1),
        ACCOUNT_ENTRY(exists_with_different_code, 1),
        ACCOUNT_ENTRY(exists, 1),
        ACCOUNT_ENTRY(flags_are_mutually_exclusive, 0),
        ACCOUNT_ENTRY(debits_pending_must_be_zero, 0),
        ACCOUNT_ENTRY(debits_posted_must_be_zero, 0),
        ACCOUNT_ENTRY(credits_pending_must_be_zero, 0),
        ACCOUNT_ENTRY(credits_posted_must_be_zero, 0),
        ACCOUNT_ENTRY(ledger_must_not_be_zero, 0),
        ACCOUNT_ENTRY(code_must_not_be_zero, 0),
    };
    try_list(&(struct list){
        &base,
        sizeof(base),
        offsetof(struct ledger_account, flags),
        spoilers,
        sizeof(spoilers) / sizeof(spoilers[0]),
        try_account});
}

static void
test_imported_account_statuses(void **state)
{
    (void)state;
    const struct ledger_account base = {
        .id = 77,
        .ledger = 1,
        .code = 1,
        .flags = LEDGER_ACCOUNT_IMPORTED,
        .timestamp = ledger_clock(world.ledger),
    };
    const struct spoiler spoilers[] = {
        ACCOUNT_ENTRY(linked_event_chain_open, 0),
        ACCOUNT_ENTRY(imported_event_timestamp_out_of_range, 0),
        ACCOUNT_ENTRY(imported_event_timestamp_must_not_advance, 0),
        ACCOUNT_ENTRY(reserved_field, 0),
        ACCOUNT_ENTRY(flags_are_mutually_exclusive, 0),
        ACCOUNT_ENTRY(debits_pending_must_be_zero, 0),
        ACCOUNT_ENTRY(ledger_must_not_be_zero, 0),
        ACCOUNT_ENTRY(code_must_not_be_zero, 0),
        ACCOUNT_ENTRY(imported_event_timestamp_must_not_regress, 0),
    };
    try_list(&(struct list){
        &base,
        sizeof(base),
        offsetof(struct ledger_account, flags),
        spoilers,
        sizeof(spoilers) / sizeof(spoilers[0]),
        try_account});
}

/* --- statuses that take a batch --- */

static void
test_batch_statuses(void **state)
{
    (void)state;
    struct ledger_transfer batch[4];
    for (uint32_t i = 0; i < 4; i++) {
        batch[i] = base_transfer();
        batch[i].id = T_NEW + i;
    }
    /* Mixed batches: the first event decides. It fails for another reason here. */
    batch[0].debit_account_id = 0;
    batch[1].flags = LEDGER_TRANSFER_IMPORTED;
    batch[1].timestamp = 0; /* would be out of range: the mix is told first */
    t_world_create_transfers(&world, batch, 2);
    assert_int_equal(world.results[1].status, LEDGER_TRANSFER_imported_event_not_expected);
    batch[0].flags = LEDGER_TRANSFER_IMPORTED;
    batch[0].timestamp = gap;
    batch[1].flags = 0;
    batch[1].timestamp = 5; /* would have to be zero */
    t_world_create_transfers(&world, batch, 2);
    assert_int_equal(world.results[1].status, LEDGER_TRANSFER_imported_event_expected);

    /* A broken chain answers for its members before their own mistakes; an open one before that. */
    batch[0] = batch[1] = batch[2] = batch[3] = base_transfer();
    batch[0].flags = batch[1].flags = batch[2].flags = batch[3].flags = LEDGER_TRANSFER_LINKED;
    batch[0].id = T_NEW;
    batch[1].id = 0;
    batch[2].id = 0;
    batch[3].id = 0;
    t_world_create_transfers(&world, batch, 4);
    assert_int_equal(world.results[0].status, LEDGER_TRANSFER_linked_event_failed);
    assert_int_equal(world.results[1].status, LEDGER_TRANSFER_id_must_not_be_zero);
    assert_int_equal(world.results[2].status, LEDGER_TRANSFER_linked_event_failed);
    assert_int_equal(world.results[3].status, LEDGER_TRANSFER_linked_event_chain_open);
    assert_int_equal(world.delta.event_count, 0);

    struct ledger_account accounts[2] = {
        {.id = 70, .code = 1, .flags = LEDGER_ACCOUNT_IMPORTED, .timestamp = gap},
        {.id = 71, .ledger = 1, .code = 1, .timestamp = 5},
    };
    t_world_create_accounts(&world, accounts, 2);
    assert_int_equal(world.results[1].status, LEDGER_ACCOUNT_imported_event_expected);
    accounts[0] = (struct ledger_account){.id = 70, .code = 1};
    accounts[1].flags = LEDGER_ACCOUNT_IMPORTED;
    accounts[1].timestamp = 0;
    t_world_create_accounts(&world, accounts, 2);
    assert_int_equal(world.results[1].status, LEDGER_ACCOUNT_imported_event_not_expected);
    accounts[0].flags = LEDGER_ACCOUNT_LINKED;
    t_world_create_accounts(&world, accounts, 2);
    assert_int_equal(world.results[0].status, LEDGER_ACCOUNT_ledger_must_not_be_zero);
    assert_int_equal(world.results[1].status, LEDGER_ACCOUNT_linked_event_failed);
}

/* The failures that use up an id, by name and through the delta. */
static void
test_transient_statuses(void **state)
{
    (void)state;
    void (*const transient[])(void *) = {
        spoil_debit_absent,
        spoil_credit_absent,
        spoil_debit_closed,
        spoil_credit_closed,
        spoil_limited_debits,
        spoil_limited_credits,
    };
    for (size_t i = 0; i < sizeof(transient) / sizeof(transient[0]); i++) {
        struct ledger_transfer transfer = base_transfer();
        transient[i](&transfer);
        t_world_transfer(&world, transfer);
        assert_int_equal(world.delta.failed_count, 1);
        assert_true(world.failed[0] == T_NEW);
    }
    void (*const lasting[])(void *) = {
        spoil_chain_open,
        spoil_reserved_flag,
        spoil_exists_flags,
        spoil_failed,
        spoil_debit_zero,
        spoil_other_ledgers,
        spoil_other_ledger,
        spoil_full_debits,
        spoil_full_credits,
        spoil_endless,
    };
    for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++) {
        struct ledger_transfer transfer = base_transfer();
        lasting[i](&transfer);
        t_world_transfer(&world, transfer);
        assert_int_equal(world.delta.failed_count, 0);
    }
    struct ledger_transfer post = {
        .id = T_NEW, .pending_id = 999, .flags = LEDGER_TRANSFER_POST_PENDING};
    t_world_transfer(&world, post);
    assert_int_equal(world.delta.failed_count, 1);
}

static void
test_status_names(void **state)
{
    (void)state;
    assert_string_equal(ledger_account_status_name(LEDGER_ACCOUNT_created), "created");
    assert_string_equal(ledger_account_status_name(22), "imported_event_expected");
    assert_null(ledger_account_status_name(0));
    assert_null(ledger_account_status_name(27));
    assert_string_equal(ledger_transfer_status_name(54), "exceeds_credits");
    assert_string_equal(ledger_transfer_status_name(68), "id_already_failed");
    assert_null(ledger_transfer_status_name(18));
    assert_null(ledger_transfer_status_name(69));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_transfer_statuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_imported_transfer_statuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_second_phase_statuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_imported_second_phase_statuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_repeated_post, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_account_statuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_imported_account_statuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_batch_statuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_transient_statuses, set_up, tear_down),
        cmocka_unit_test(test_status_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
