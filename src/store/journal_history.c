/*
 * One account's history. Its events are a chain from the newest one back, so a walk enters at the
 * end. What lies deep in a long chain is entered through the order by account, where that is kept:
 * a part says where the account's events of a segment are, in the order of time.
 */
#include "journal.h"
#include "query.h"

#include "base/list.h"

#include <stdlib.h>
#include <string.h>

/* Events that a walk passes by before it looks for a way to skip: reading parts costs about as
 * much. */
#define PATIENCE 64u

/* --- the order by account --- */

/* Of transfers that are not expired nor adopted: the timestamp. */
static err_t
timestamp_at(
    struct journal *journal,
    journal_position_t position,
    uint64_t *ret_timestamp,
    struct store_error *error)
{
    static_assert(offsetof(struct journal_event, transfer) == 0, "an event begins with it");
    return journal_read(
        journal,
        position + offsetof(struct ledger_transfer, timestamp),
        (char *)ret_timestamp,
        sizeof(*ret_timestamp),
        error);
}

err_t
journal_order_search(
    struct journal *journal,
    const struct journal_order_part *part,
    struct journal_order_range range,
    uint64_t timestamp,
    uint64_t *ret_number,
    struct store_error *error)
{
    uint64_t from = range.from;
    uint64_t to = range.to;
    while (from < to) {
        uint64_t middle = from + (to - from) / 2;
        journal_position_t position = 0;
        uint64_t found = 0;
        TRY(journal_orders_position(&journal->orders, part, middle, &position, error));
        TRY(timestamp_at(journal, position, &found, error));
        if (found < timestamp) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    *ret_number = from;
    return ERR_OK;
}

/* Where a time is: the segment of the first stretch whose transfers end at `timestamp` or later; 0
 * if there is none. */
static uint64_t
segment_at(const struct journal *journal, uint64_t timestamp)
{
    uint64_t stretch = journal_directory_find(&journal->directory, timestamp);
    return stretch == journal->directory.count
               ? 0
               : journal_position_segment(journal->directory.stretches[stretch].start);
}

/* What was adopted has a time that its place does not follow from. */
static bool
times_rise(const struct journal *journal)
{
    return journal->adopted.count == 0;
}

/* --- from the newest back --- */

/* Walks the account's chain from the newest event. Reversed: tells the first `limit` matches at
 * once. Otherwise keeps the last `limit` of them in a ring, to be told from its end. */
struct walk {
    struct journal *journal;
    const struct store_query *query;
    store_each_event each;
    void *context;
    struct store_error *error;
    uint64_t *ring;  /* query->limit positions, if not reversed */
    uint64_t found;  /* matches so far */
    uint64_t passed; /* events so far that did not count */
    uint64_t patience;
    journal_position_t floor; /* what is before it is somebody else's */
    bool impatient;           /* it ended because of its patience */
};

/* The link from an event to the one before it of the account. */
static uint64_t
link_of(const struct journal_event *raw, uint32_t slot)
{
    return raw->debit_slot == slot ? raw->debit_link : raw->credit_link;
}

static bool
on_wanted_side(const struct store_query *query, uint32_t debit_slot)
{
    uint32_t side = debit_slot == query->account_slot ? STORE_SIDE_DEBITS : STORE_SIDE_CREDITS;
    return (query->sides & side) != 0;
}

/* Reads an event of the account, and fetches the one before it, which comes while this one is told.
 */
static err_t
walk_read(
    struct walk *walk,
    journal_position_t position,
    struct ledger_event *ret_event,
    journal_position_t *ret_link)
{
    char copy[JOURNAL_EVENT_WIDE];
    struct span bytes = {0};
    struct journal_event raw;
    const uint32_t slot = walk->query->account_slot;
    TRY(journal_event_bytes(walk->journal, position, copy, &bytes, walk->error));
    memcpy(&raw, bytes.data, sizeof(raw));
    journal_position_t link = link_of(&raw, slot);
    bool ours = raw.debit_slot == slot || raw.credit_slot == slot;
    if (!ours || link >= position) {
        return journal_event_damaged(walk->journal, position, walk->error);
    }
    journal_event_prefetch(walk->journal, link);
    if (journal_event_decode(bytes.data, bytes.size, ret_event, &raw) != ERR_OK) {
        return journal_event_damaged(walk->journal, position, walk->error);
    }
    *ret_link = link;
    return ERR_OK;
}

static err_t
walk_back(struct walk *walk, journal_position_t position, journal_position_t *ret_position)
{
    const struct store_query *query = walk->query;
    *ret_position = 0;
    while (position != 0 && position >= walk->floor) {
        struct ledger_event event = {0};
        journal_position_t link = 0;
        if (walk->passed > walk->patience) {
            walk->impatient = true;
            *ret_position = position;
            return ERR_OK;
        }
        TRY(walk_read(walk, position, &event, &link));
        if (event.timestamp < query->timestamp_min) {
            return ERR_OK;
        }
        if (on_wanted_side(query, event.debit_slot) && store_query_matches(query, &event)) {
            if (walk->ring != NULL) {
                walk->ring[walk->found % query->limit] = position;
            }
            walk->found++;
            if (query->reversed &&
                (!walk->each(walk->context, &event) || walk->found == query->limit)) {
                return ERR_OK;
            }
        }
        /* Reversed, only what is too new is passed by; ascending, all but the last ones are. */
        bool too_new = query->timestamp_max != 0 && event.timestamp > query->timestamp_max;
        walk->passed += too_new || (!query->reversed && walk->found > query->limit);
        position = link;
    }
    return ERR_OK;
}

static err_t
ring_tell(struct walk *walk, uint64_t limit)
{
    const uint64_t size = walk->query->limit;
    uint64_t count = walk->found < limit ? walk->found : limit;
    for (uint64_t i = 0; i < count; i++) {
        struct ledger_event event;
        struct journal_event raw;
        uint64_t position = walk->ring[(walk->found - 1 - i) % size];
        TRY(journal_read_event(walk->journal, position, &event, &raw, walk->error));
        if (!walk->each(walk->context, &event)) {
            break;
        }
    }
    return ERR_OK;
}

/* --- newest first --- */

/* An event of the account from which back everything is that is not newer than timestamp_max:
 * that one, or the one behind it. `*position` stays as it is where no order leads there. */
static err_t
skip_back(struct walk *walk, journal_position_t *position)
{
    struct journal *journal = walk->journal;
    const struct store_query *query = walk->query;
    const uint64_t newest = journal_position_segment(*position);
    uint64_t segment = segment_at(journal, query->timestamp_max + 1);
    segment = segment == 0 || segment > newest ? newest : segment;
    for (; segment > 0; segment--) {
        const struct journal_order_part *part =
            journal_orders_part(&journal->orders, STORE_ORDER_ACCOUNT, segment);
        if (part == NULL) {
            return ERR_OK;
        }
        uint64_t from = 0;
        uint64_t to = 0;
        TRY(journal_orders_range(
            &journal->orders, part, query->account_slot, &from, &to, walk->error));
        if (from == to) {
            continue;
        }
        uint64_t after = to;
        TRY(journal_order_search(
            journal,
            part,
            (struct journal_order_range){from, to},
            query->timestamp_max + 1,
            &after,
            walk->error));
        journal_position_t found = 0;
        TRY(journal_orders_position(
            &journal->orders, part, after > from ? after - 1 : from, &found, walk->error));
        *position = found < *position ? found : *position;
        return ERR_OK;
    }
    *position = 0;
    return ERR_OK;
}

static err_t
newest_first(struct walk *walk)
{
    struct journal *journal = walk->journal;
    journal_position_t position = journal->heads.positions[walk->query->account_slot];
    bool skips = walk->query->timestamp_max != 0 && walk->query->timestamp_max < UINT64_MAX &&
                 times_rise(journal);
    walk->patience = skips ? PATIENCE : UINT64_MAX;
    TRY(walk_back(walk, position, &position));
    if (!walk->impatient) {
        return ERR_OK;
    }
    TRY(skip_back(walk, &position));
    walk->patience = UINT64_MAX;
    return walk_back(walk, position, &position);
}

/* --- oldest first --- */

/* Tells the account's events of the part from timestamp_min on. `*ret_over`: nothing more is asked
 * for. */
static err_t
part_tell(struct walk *walk, const struct journal_order_part *part, uint64_t *told, bool *ret_over)
{
    struct journal *journal = walk->journal;
    const struct store_query *query = walk->query;
    uint64_t from = 0;
    uint64_t to = 0;
    *ret_over = false;
    TRY(journal_orders_range(&journal->orders, part, query->account_slot, &from, &to, walk->error));
    TRY(journal_order_search(
        journal,
        part,
        (struct journal_order_range){from, to},
        query->timestamp_min,
        &from,
        walk->error));
    for (; from < to; from++) {
        struct ledger_event event = {0};
        journal_position_t position = 0;
        journal_position_t link = 0;
        TRY(journal_orders_position(&journal->orders, part, from, &position, walk->error));
        TRY(walk_read(walk, position, &event, &link));
        if (query->timestamp_max != 0 && event.timestamp > query->timestamp_max) {
            *ret_over = true;
            return ERR_OK;
        }
        if (!on_wanted_side(query, event.debit_slot) || !store_query_matches(query, &event)) {
            continue;
        }
        (*told)++;
        if (!walk->each(walk->context, &event) || *told == query->limit) {
            *ret_over = true;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

/* What the parts have is told from them, from timestamp_min on; the rest, which is the newest, by
 * the chain. */
static err_t
through_parts(struct walk *walk)
{
    struct journal *journal = walk->journal;
    uint64_t told = 0;
    uint64_t segment = segment_at(journal, walk->query->timestamp_min);
    const struct journal_order_part *part = NULL;
    while (segment != 0 &&
           (part = journal_orders_part(&journal->orders, STORE_ORDER_ACCOUNT, segment)) != NULL) {
        bool over = false;
        TRY(part_tell(walk, part, &told, &over));
        if (over) {
            return ERR_OK;
        }
        segment++;
    }
    journal_position_t position = journal->heads.positions[walk->query->account_slot];
    walk->found = 0;
    walk->floor = segment == 0 ? 0 : journal_position(segment, 0);
    walk->patience = UINT64_MAX;
    TRY(walk_back(walk, position, &position));
    return ring_tell(walk, walk->query->limit - told);
}

static err_t
oldest_first(struct walk *walk)
{
    struct journal *journal = walk->journal;
    journal_position_t position = journal->heads.positions[walk->query->account_slot];
    bool skips = (journal->orders.kept & 1u << STORE_ORDER_ACCOUNT) != 0 && times_rise(journal);
    walk->patience = skips ? PATIENCE : UINT64_MAX;
    TRY(walk_back(walk, position, &position));
    return walk->impatient ? through_parts(walk) : ring_tell(walk, walk->query->limit);
}

err_t
journal_account_events(
    struct store *store,
    const struct store_query *query,
    store_each_event each,
    void *context,
    struct store_error *error)
{
    struct journal *journal = journal_of_loaded(store);
    ASSERT(query->account_slot < journal->heads.count);
    ASSERT(query->limit > 0);
    struct walk walk = {
        .journal = journal, .query = query, .each = each, .context = context, .error = error};
    if (query->reversed) {
        return newest_first(&walk);
    }
    walk.ring = calloc(query->limit, sizeof(*walk.ring));
    if (walk.ring == NULL) {
        return store_error_set(error, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    err_t code = oldest_first(&walk);
    free(walk.ring);
    return code;
}
