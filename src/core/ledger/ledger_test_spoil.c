#include "ledger_test_spoil.h"

#include <string.h>

#define NEAR_MAX    (U128_MAX - 5)
#define HALF        (U128_MAX / 2)
#define START_CLOCK UINT64_C(5000000000000000000)
#define SECOND      UINT64_C(1000000000)

struct t_world t_spoil_world;
uint64_t t_spoil_gap;

const struct t_spoiler t_spoil_form[] = {
    SPOIL(linked_event_chain_open, ON(LEDGER_TRANSFER_LINKED)),
    SPOIL(timestamp_must_be_zero, SET(timestamp, 5)),
    SPOIL(reserved_flag, ON(1 << 9)),
    SPOIL(id_must_not_be_zero, SET(id, 0)),
};

static void
must_create(uint32_t status)
{
    assert_int_equal(status, LEDGER_TRANSFER_created);
}

struct ledger_transfer
t_base_transfer(void)
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
    struct ledger_transfer transfer = t_base_transfer();
    transfer.id = id;
    transfer.debit_account_id = debit;
    transfer.credit_account_id = credit;
    transfer.amount = amount;
    transfer.flags = (uint16_t)flags;
    must_create(t_world_transfer(&t_spoil_world, transfer));
}

static void
finish(uint32_t id, uint32_t pending_id, unsigned flags, u128 amount)
{
    must_create(t_world_transfer(
        &t_spoil_world,
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
        must_create(t_world_account(&t_spoil_world, account));
    }
}

int
t_spoil_set_up(void **state)
{
    (void)state;
    const struct ledger_limits limits = {64, 64, 8189, 0, NULL};
    t_world_init(&t_spoil_world, &limits);
    ledger_set_clock(t_spoil_world.ledger, START_CLOCK);
    make_accounts(A, CLOSED_LATER_CREDIT);

    struct ledger_transfer timed = t_base_transfer();
    timed.timeout = 1;
    timed.id = T_EXPIRED;
    must_create(t_world_transfer(&t_spoil_world, timed));
    assert_int_equal(t_world_pulse(&t_spoil_world, START_CLOCK + 2 * SECOND), 1);
    timed.id = T_DUE;
    must_create(t_world_transfer(&t_spoil_world, timed));
    ledger_set_clock(t_spoil_world.ledger, START_CLOCK + 4 * SECOND);

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
    struct ledger_transfer failing = t_base_transfer();
    failing.id = T_FAILED;
    failing.debit_account_id = ABSENT;
    assert_int_equal(
        t_world_transfer(&t_spoil_world, failing), LEDGER_TRANSFER_debit_account_not_found);
    /* Room for imports between the last transfer and two late accounts. */
    t_spoil_gap = ledger_clock(t_spoil_world.ledger) + 10;
    ledger_set_clock(t_spoil_world.ledger, t_spoil_gap + 1000);
    make_accounts(LATE, LATE_TOO);
    t_spoil_world.keep_past = false;
    return 0;
}

int
t_spoil_tear_down(void **state)
{
    (void)state;
    assert_int_equal(ledger_validate(t_spoil_world.ledger), ERR_OK);
    t_world_release(&t_spoil_world);
    return 0;
}

/* --- trying spoilt events --- */

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
    const struct t_spoilers *spoilers;
    try_event attempt;
};

static void
spoil(const struct list *list, const struct t_spoiler *spoiler, void *event)
{
    uint16_t flags;
    char *bytes = memcpy(event, list->base, list->size);
    for (size_t i = 0; i < T_CHANGES_MAX; i++) {
        const struct t_change *change = &spoiler->changes[i];
        memcpy(&flags, bytes + list->flags_at, sizeof(flags));
        switch (change->what) {
        case T_NO_CHANGE:
            return;
        case T_SET:
            memcpy(bytes + change->at, &change->value, change->size);
            continue;
        case T_ON:
            flags = (uint16_t)(flags | (uint16_t)change->value);
            break;
        case T_OFF:
            flags = (uint16_t)(flags & ~(unsigned)change->value);
            break;
        }
        memcpy(bytes + list->flags_at, &flags, sizeof(flags));
    }
}

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
breaks_third_rule(const struct list *list, const struct t_spoiler *first, const void *second)
{
    size_t at = offsetof(struct ledger_transfer, timeout);
    return first->status == LEDGER_TRANSFER_closing_transfer_must_be_pending &&
           memcmp((const char *)second + at, (const char *)list->base + at, 4) != 0;
}

static bool
can_pair(const struct t_spoiler *first, const struct t_spoiler *second)
{
    return first->pairs == T_WITH_ALL || (first->pairs == T_AMONG && second->pairs == T_AMONG);
}

/* How many of those behind it could be had with it. */
static size_t
try_pairs(const struct list *list, size_t index)
{
    const struct t_spoilers *spoilers = list->spoilers;
    const struct t_spoiler *first = spoilers->all[index];
    unsigned char a[128], b[128], joined[128];
    size_t pairs = 0;
    spoil(list, first, a);
    for (size_t i = index + 1; i < spoilers->count; i++) {
        const struct t_spoiler *second = spoilers->all[i];
        spoil(list, second, b);
        if (!can_pair(first, second) || breaks_third_rule(list, first, b) ||
            fields_collide(list, a, b) ||
            !join(list->base, a, b, joined, list->size, list->flags_at)) {
            continue;
        }
        uint32_t status = list->attempt(joined);
        if (status != first->status) {
            print_error("%s and %s: %u\n", first->name, second->name, status);
        }
        assert_int_equal(status, first->status);
        pairs++;
    }
    return pairs;
}

static void
try_list(const struct list *list)
{
    size_t pairs = 0;
    for (size_t i = 0; i < list->spoilers->count; i++) {
        const struct t_spoiler *spoiler = list->spoilers->all[i];
        unsigned char event[128];
        spoil(list, spoiler, event);
        uint32_t status = list->attempt(event);
        if (status != spoiler->status) {
            print_error("%s alone: %u\n", spoiler->name, status);
        }
        assert_int_equal(status, spoiler->status);
        pairs += try_pairs(list, i);
    }
    /* Most pairs can be had. */
    assert_true(pairs > list->spoilers->count);
}

void
t_spoilers_add(struct t_spoilers *spoilers, const struct t_spoiler *more, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(spoilers->count < T_SPOILERS_MAX);
        spoilers->all[spoilers->count++] = &more[i];
    }
}

static uint32_t
try_transfer(const void *event)
{
    return t_world_transfer(&t_spoil_world, *(const struct ledger_transfer *)event);
}

static struct list
transfers(const struct ledger_transfer *base, const struct t_spoilers *spoilers)
{
    const size_t flags_at = offsetof(struct ledger_transfer, flags);
    return (struct list){base, sizeof(*base), flags_at, spoilers, try_transfer};
}

void
t_spoil_each_transfer(const struct ledger_transfer *base, const struct t_spoilers *spoilers)
{
    const struct list list = transfers(base, spoilers);
    try_list(&list);
}

struct ledger_transfer
t_spoilt_transfer(const struct ledger_transfer *base, const struct t_spoiler *spoiler)
{
    const struct list list = transfers(base, NULL);
    struct ledger_transfer transfer;
    spoil(&list, spoiler, &transfer);
    return transfer;
}

static uint32_t
try_account(const void *event)
{
    return t_world_account(&t_spoil_world, *(const struct ledger_account *)event);
}

void
t_spoil_each_account(const struct ledger_account *base, const struct t_spoilers *spoilers)
{
    const size_t flags_at = offsetof(struct ledger_account, flags);
    try_list(&(struct list){base, sizeof(*base), flags_at, spoilers, try_account});
}
