#include "move_private.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* ---- asking ---- */

static bool
may_pass(err_t error)
{
    return error == ERR_BUSY || error == ERR_OUTCOME_UNKNOWN;
}

/* Whatever is asked may be asked twice. */
err_t
shards_move_ask(struct move *move, uint32_t shard, struct port_ledger_request *request)
{
    const struct shards_move_parts *parts = move->parts;
    err_t result = ERR_BUSY;
    bool fenced =
        move->report->step >= SHARDS_MOVE_FENCE && move->report->step < SHARDS_MOVE_CLEAN_UP;
    uint64_t wait_ns = fenced ? MOVE_WAIT_FENCED_NS : MOVE_WAIT_NS;
    uint64_t began = parts->now_ns(parts->context);
    for (uint32_t i = 0; may_pass(result) && i < MOVE_TRIES_MAX; i++) {
        if (i > 0 && parts->now_ns(parts->context) - began >= wait_ns) {
            return result;
        }
        if (i > 0) {
            parts->pause(parts->context);
        }
        request->epoch = PORT_LEDGER_EPOCH_MOVER;
        request->error = ERR_OK;
        request->out_count = 0;
        result = parts->ask(parts->context, shard, request);
    }
    return result;
}

err_t
shards_move_copy_init(struct move *move)
{
    move->changes = calloc(MOVE_PAGE, sizeof(*move->changes));
    move->accounts = calloc(MOVE_PAGE, sizeof(*move->accounts));
    move->failed = calloc(MOVE_PAGE, sizeof(*move->failed));
    move->adoptions = calloc(MOVE_PAGE, sizeof(*move->adoptions));
    move->results = calloc(MOVE_PAGE, sizeof(*move->results));
    bool complete = move->changes != NULL && move->accounts != NULL && move->failed != NULL &&
                    move->adoptions != NULL && move->results != NULL;
    return complete ? ERR_OK : ERR_MEMORY;
}

void
shards_move_copy_release(struct move *move)
{
    free(move->changes);
    free(move->accounts);
    free(move->failed);
    free(move->adoptions);
    free(move->results);
}

/* ---- adopting ---- */

static err_t
adopt(struct move *move)
{
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_ADOPT, .count = move->adoption_count};
    request.in.adoptions = move->adoptions;
    request.out.results = move->results;
    if (move->adoption_count == 0) {
        return ERR_OK;
    }
    move->adoption_count = 0;
    TRY(shards_move_ask(move, move->parts->to, &request));
    for (uint32_t i = 0; i < request.out_count; i++) {
        if (move->results[i].status == PORT_LEDGER_ADOPTED_REFUSED) {
            return ERR_CORRUPT;
        }
        move->report->adopted += move->results[i].status == PORT_LEDGER_ADOPTED;
        move->report->target.accounts += move->adoptions[i].kind == PORT_LEDGER_ADOPT_ACCOUNT;
    }
    return request.out_count == request.count ? ERR_OK : ERR_CORRUPT;
}

static struct port_ledger_adoption *
adoption_add(struct move *move, enum port_ledger_adoption_kind kind)
{
    ASSERT(move->adoption_count < MOVE_PAGE);
    struct port_ledger_adoption *adoption = &move->adoptions[move->adoption_count++];
    memset(adoption, 0, sizeof(*adoption));
    adoption->kind = kind;
    return adoption;
}

/* ---- accounts and failed ids ---- */

static bool
moves(const struct move *move, u128 id)
{
    return shards_slot_in(move->parts->slots, shard_slot_of_id(id));
}

/* Of a full page the last time may go on in the next one; whatever comes twice is known. */
static err_t
next_time(uint64_t first, uint64_t last, bool full, uint64_t *next)
{
    if (full && first == last) {
        return ERR_FULL; /* a page of one time */
    }
    *next = full ? last : last + 1;
    return ERR_OK;
}

/* The next of the source's. */
static err_t
accounts_page(struct move *move, uint32_t *ret_count)
{
    struct port_ledger_filter filter = {.timestamp_min = move->account_next, .limit = MOVE_PAGE};
    struct port_ledger_request request = {.operation = PORT_LEDGER_QUERY_ACCOUNTS};
    request.in.filter = &filter;
    request.out.accounts = move->accounts;
    *ret_count = 0;
    TRY(shards_move_ask(move, move->parts->from, &request));
    uint32_t count = request.out_count;
    if (count == 0) {
        return ERR_OK;
    }
    bool full = count == MOVE_PAGE;
    uint64_t last = move->accounts[count - 1].timestamp;
    TRY(next_time(move->accounts[0].timestamp, last, full, &move->account_next));
    while (full && move->accounts[count - 1].timestamp == last) {
        count--;
    }
    *ret_count = count;
    return ERR_OK;
}

static err_t
copy_accounts(struct move *move)
{
    uint32_t count = 0;
    do {
        TRY(accounts_page(move, &count));
        for (uint32_t i = 0; i < count; i++) {
            const struct ledger_account *account = &move->accounts[i];
            if (moves(move, account->id) && !ledger_is_stand_in(account->id)) {
                adoption_add(move, PORT_LEDGER_ADOPT_ACCOUNT)->of.account = *account;
                move->report->source.accounts++;
            }
        }
        TRY(adopt(move));
    } while (count > 0);
    return ERR_OK;
}

/* All of the source's: an id that failed names no slot. */
static err_t
copy_failed(struct move *move)
{
    struct port_ledger_filter filter = {.limit = MOVE_PAGE};
    struct port_ledger_request request = {.operation = PORT_LEDGER_GET_FAILED_IDS};
    request.in.filter = &filter;
    request.out.failed = move->failed;
    do {
        filter.timestamp_min = move->failed_next;
        TRY(shards_move_ask(move, move->parts->from, &request));
        for (uint32_t i = 0; i < request.out_count; i++) {
            adoption_add(move, PORT_LEDGER_ADOPT_FAILED_ID)->of.failed_id = move->failed[i].id;
            move->failed_next = move->failed[i].next;
            move->report->failed_ids++;
        }
        TRY(adopt(move));
    } while (request.out_count > 0);
    return ERR_OK;
}

/* ---- events ---- */

struct sides {
    bool debit, credit; /* booked on an account that moves, and not on a stand-in */
};

static struct sides
sides_of(const struct move *move, const struct port_ledger_change *change)
{
    const struct ledger_transfer *transfer = &change->event.transfer;
    return (struct sides){
        change->debit.id == transfer->debit_account_id && moves(move, change->debit.id),
        change->credit.id == transfer->credit_account_id && moves(move, change->credit.id),
    };
}

static uint64_t
fold(uint64_t hash, const void *data, size_t size)
{
    const char *bytes = data;
    uint64_t word;
    ASSERT(size % sizeof(word) == 0);
    for (size_t i = 0; i < size; i += sizeof(word)) {
        memcpy(&word, bytes + i, sizeof(word));
        hash = hash_u64(hash ^ word);
    }
    return hash;
}

/* Two sides of one event may be told apart or together, so sides are added up; each has its time
 * and its balances in it, which say where in the account's history it stands. */
static void
sum_side(
    struct shards_move_sums *sums,
    const struct ledger_event *event,
    const struct ledger_balances *balances,
    uint64_t side_and_flags)
{
    uint64_t parts[2];
    for (uint64_t i = 0; i < 2; i++) {
        uint64_t hash = fold(i + 1, &event->transfer, sizeof(event->transfer));
        hash = fold(hash, balances, sizeof(*balances));
        hash = hash_u64(hash ^ event->timestamp);
        hash = hash_u64(hash ^ event->kind);
        parts[i] = hash_u64(hash ^ side_and_flags);
    }
    sums->hash += u128_make(parts[0], parts[1]);
    sums->sides++;
}

static void
sum_event(
    struct shards_move_sums *sums, const struct sides *sides, const struct ledger_event *event)
{
    if (sides->debit) {
        sum_side(sums, event, &event->debit, event->debit_flags);
        sums->debits += event->transfer.amount;
    }
    if (sides->credit) {
        sum_side(sums, event, &event->credit, UINT64_C(1) << 32 | event->credit_flags);
        sums->credits += event->transfer.amount;
    }
}

static err_t
events_page(struct move *move, uint32_t shard, uint64_t *next, uint64_t last, uint32_t *ret_count)
{
    struct port_ledger_filter filter = {
        .timestamp_min = *next, .timestamp_max = last, .limit = MOVE_PAGE};
    struct port_ledger_request request = {.operation = PORT_LEDGER_GET_CHANGE_EVENTS};
    request.in.filter = &filter;
    request.out.changes = move->changes;
    *ret_count = 0;
    if (last != 0 && *next > last) {
        return ERR_OK;
    }
    TRY(shards_move_ask(move, shard, &request));
    uint32_t count = request.out_count;
    if (count == 0) {
        return ERR_OK;
    }
    bool full = count == MOVE_PAGE;
    uint64_t newest = move->changes[count - 1].event.timestamp;
    TRY(next_time(move->changes[0].event.timestamp, newest, full, next));
    while (full && move->changes[count - 1].event.timestamp == newest) {
        count--;
    }
    *ret_count = count;
    return ERR_OK;
}

/* One stand-in for each ledger number and slot, in that slot, with whose accounts it stands. */
static u128
stand_in(const struct ledger_event *event, u128 account_id)
{
    uint16_t slot = shard_slot_of_id(account_id);
    return shard_id_place(ledger_stand_in_id(event->transfer.ledger, slot), slot);
}

/* The source booked the two sides apart if its accounts came by two moves. Both come along now, so
 * they become one event again: a hold cannot be live twice. */
static bool
event_join(struct move *move, const struct ledger_event *event, const struct sides *sides)
{
    for (uint32_t i = move->adoption_count; i > 0; i--) {
        struct ledger_adopted *other = &move->adoptions[i - 1].of.event;
        const struct ledger_transfer *transfer = &other->event.transfer;
        if (other->event.timestamp != event->timestamp) {
            return false;
        }
        if (transfer->id != event->transfer.id || other->event.kind != event->kind) {
            continue;
        }
        if (sides->debit && ledger_is_stand_in(other->debit_account_id)) {
            other->debit_account_id = transfer->debit_account_id;
            other->event.debit = event->debit;
            other->event.debit_flags = event->debit_flags;
            return true;
        }
        if (sides->credit && ledger_is_stand_in(other->credit_account_id)) {
            other->credit_account_id = transfer->credit_account_id;
            other->event.credit = event->credit;
            other->event.credit_flags = event->credit_flags;
            return true;
        }
    }
    return false;
}

static void
event_add(struct move *move, const struct port_ledger_change *change, const struct sides *sides)
{
    const struct ledger_event *event = &change->event;
    if (event_join(move, event, sides)) {
        return;
    }
    struct port_ledger_adoption *adoption = adoption_add(move, PORT_LEDGER_ADOPT_EVENT);
    adoption->debit_stand_in = stand_in(event, event->transfer.credit_account_id);
    adoption->credit_stand_in = stand_in(event, event->transfer.debit_account_id);
    adoption->of.event = (struct ledger_adopted){
        .event = *event,
        .debit_account_id =
            sides->debit ? event->transfer.debit_account_id : adoption->debit_stand_in,
        .credit_account_id =
            sides->credit ? event->transfer.credit_account_id : adoption->credit_stand_in,
    };
}

/* Even if both slots move: what they leave behind is frozen with the hold live, and one of them
 * alone could not come back. */
static void
count_joining(struct move *move, const struct ledger_event *event)
{
    const struct ledger_transfer *transfer = &event->transfer;
    if (event->kind == LEDGER_EVENT_SINGLE_PHASE ||
        shard_slot_of_id(transfer->debit_account_id) ==
            shard_slot_of_id(transfer->credit_account_id)) {
        return;
    }
    move->joining += event->kind == LEDGER_EVENT_TWO_PHASE_PENDING ? 1 : -1;
}

err_t
shards_move_copy_page(struct move *move, bool *ret_more)
{
    uint32_t count = 0;
    TRY(events_page(move, move->parts->from, &move->event_next, 0, &count));
    /* Behind the events: so every account of theirs is there. */
    TRY(copy_accounts(move));
    TRY(copy_failed(move));
    for (uint32_t i = 0; i < count; i++) {
        const struct port_ledger_change *change = &move->changes[i];
        struct sides sides = sides_of(move, change);
        if (!sides.debit && !sides.credit) {
            continue;
        }
        sum_event(&move->report->source, &sides, &change->event);
        count_joining(move, &change->event);
        event_add(move, change, &sides);
        move->event_last = change->event.timestamp;
    }
    TRY(adopt(move));
    *ret_more = count > 0;
    return ERR_OK;
}

err_t
shards_move_read_target(struct move *move)
{
    if (move->event_last == 0) {
        return ERR_OK;
    }
    uint32_t count = 0;
    do {
        TRY(events_page(move, move->parts->to, &move->target_next, move->event_last, &count));
        for (uint32_t i = 0; i < count; i++) {
            struct sides sides = sides_of(move, &move->changes[i]);
            sum_event(&move->report->target, &sides, &move->changes[i].event);
        }
    } while (count > 0);
    return ERR_OK;
}
