/* Whether the twins tell the same, whatever they are asked, and after they were loaded again. */
#include "twin_testing.h"

#include <stdio.h>
#include <string.h>

static struct port_ledger_change feeds[2][T_TWINS_EVENTS_MAX];
static struct ledger_transfer found[2][T_TWINS_EVENTS_MAX];

static void
t_compare_feed(struct t_twins *t, const struct port_ledger_filter *filter)
{
    uint32_t counts[2];
    for (int i = 0; i < 2; i++) {
        struct port_ledger_request request = {.operation = PORT_LEDGER_GET_CHANGE_EVENTS};
        request.in.filter = filter;
        request.out.changes = feeds[i];
        t_twins_execute(t, ONE + i, &request);
        counts[i] = request.out_count;
    }
    CHECK(t, counts[0] == counts[1]);
    for (uint32_t i = 0; i < counts[0]; i++) {
        /* Both are filled by assigning whole records, which have no padding. */
        // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c)
        if (memcmp(&feeds[0][i], &feeds[1][i], sizeof(feeds[0][i])) != 0) {
            fail_msg(
                "TAEL_TWIN_SEED=%llu: event %u of %u: id %llu and %llu, time %llu and %llu, kind "
                "%u "
                "and %u",
                (unsigned long long)t->seed,
                i,
                counts[0],
                (unsigned long long)feeds[0][i].event.transfer.id,
                (unsigned long long)feeds[1][i].event.transfer.id,
                (unsigned long long)feeds[0][i].event.timestamp,
                (unsigned long long)feeds[1][i].event.timestamp,
                feeds[0][i].event.kind,
                feeds[1][i].event.kind);
        }
    }
}

static void
t_compare_transfers(struct t_twins *t, struct port_ledger_request request)
{
    uint32_t counts[2];
    for (int i = 0; i < 2; i++) {
        request.out.transfers = found[i];
        t_twins_execute(t, ONE + i, &request);
        counts[i] = request.out_count;
    }
    CHECK(t, counts[0] == counts[1]);
    CHECK(t, memcmp(found[0], found[1], counts[0] * sizeof(found[0][0])) == 0);
}

/* Random ranges, filters, directions and limits; with a guard half of it is hidden. */
static void
t_compare_queries(struct t_twins *t)
{
    t->hides = t_twins_below(t, 2) == 0;
    uint64_t clock = ledger_clock(t->machines[ONE].ledger);
    struct port_ledger_filter filter = {
        .account_id = 1 + t_twins_below(t, GUESTS),
        .user_data_64 = t_twins_below(t, 3),
        .code = (uint16_t)t_twins_below(t, 3),
        .debits = true,
        .credits = t_twins_below(t, 2) == 0,
        .reversed = t_twins_below(t, 2) == 0,
        .timestamp_min = t_twins_below(t, 2) == 0 ? 0 : 1 + t_twins_below(t, clock),
        .timestamp_max = 0,
        .limit = (uint32_t)(1 + t_twins_below(t, 40)),
    };
    filter.timestamp_max =
        t_twins_below(t, 2) == 0
            ? 0
            : filter.timestamp_min + 1 + t_twins_below(t, clock - filter.timestamp_min + 1);
    struct port_ledger_request request = {.operation = PORT_LEDGER_QUERY_TRANSFERS};
    request.in.filter = &filter;
    t_compare_transfers(t, request);
    t_compare_feed(t, &filter);
    request.operation = PORT_LEDGER_GET_ACCOUNT_TRANSFERS;
    t_compare_transfers(t, request);
    t->hides = false;
}

static void
t_compare_ids(struct t_twins *t)
{
    static u128 ids[T_TWINS_EVENTS_MAX];
    uint32_t count = 0;
    for (u128 id = 1; id <= t->next_id && count < T_TWINS_EVENTS_MAX; id++) {
        ids[count++] = id;
    }
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_LOOKUP_TRANSFERS, .count = count};
    request.in.ids = ids;
    t_compare_transfers(t, request);
    struct ledger_past pasts[2];
    for (uint32_t i = 0; i < count; i++) {
        for (int j = 0; j < 2; j++) {
            struct store *store = t->machines[ONE + j].store;
            struct store_error error;
            CHECK(t, store->ops->look_up(store, &ids[i], 1, &pasts[j], &error) == ERR_OK);
        }
        CHECK(t, pasts[0].kind == pasts[1].kind);
        CHECK(t, pasts[0].fate == pasts[1].fate);
    }
}

uint32_t
t_twins_failed(struct t_twins *t, int which, uint32_t limit, struct port_ledger_failed_id *failed)
{
    struct port_ledger_filter filter = {.limit = limit};
    struct port_ledger_request request = {.operation = PORT_LEDGER_GET_FAILED_IDS};
    uint32_t count = 0;
    do {
        request.in.filter = &filter;
        request.out.failed = failed + count;
        t_twins_execute(t, which, &request);
        count += request.out_count;
        CHECK(t, count + filter.limit <= T_TWINS_FAILED_MAX);
        filter.timestamp_min = count == 0 ? 0 : failed[count - 1].next;
    } while (request.out_count > 0);
    return count;
}

void
t_twins_compare(struct t_twins *t)
{
    static struct port_ledger_failed_id failed[2][T_TWINS_FAILED_MAX];
    const struct ledger *one = t->machines[ONE].ledger;
    const struct ledger *other = t->machines[OTHER].ledger;
    CHECK(t, ledger_account_count(one) == ledger_account_count(other));
    CHECK(t, ledger_pending_count(one) == ledger_pending_count(other));
    for (uint32_t i = 0; i < ledger_account_count(one); i++) {
        const struct ledger_account *account = ledger_account_at(one, i);
        CHECK(t, memcmp(account, ledger_account_at(other, i), sizeof(*account)) == 0);
        CHECK(t, ledger_account_by_time(one, i) == ledger_account_by_time(other, i));
    }
    const struct port_ledger_filter all = {.limit = T_TWINS_EVENTS_MAX};
    t_compare_feed(t, &all);
    for (int i = 0; i < 4; i++) {
        t_compare_queries(t);
    }
    t_compare_ids(t);
    t_twins_commit(t);
    uint32_t limit = (uint32_t)(1 + t_twins_below(t, 20));
    uint32_t count = t_twins_failed(t, ONE, limit, failed[0]);
    CHECK(t, count == t_twins_failed(t, OTHER, limit, failed[1]));
    for (uint32_t i = 0; i < count; i++) {
        CHECK(t, failed[0][i].id == failed[1][i].id);
    }
}

/* What is noted is there at the next load, whether a batch was with it or not. */
static void
t_note(struct t_twins *t, int which, const char *text)
{
    struct span note = span_from_cstr(text);
    struct port_ledger_request request = {.operation = PORT_LEDGER_SETTLE};
    request.in.note = &note;
    if (t->machines[which].store->ops->note_put == NULL) {
        CHECK(t, engine_machine_execute(&t->machines[which], &request) == ERR_UNSUPPORTED);
        return;
    }
    CHECK(t, engine_machine_execute(&t->machines[which], &request) == ERR_OK);
    CHECK(t, t->machines[which].uncommitted);
}

static void
t_note_check(struct t_twins *t, int which, const char *text)
{
    struct store *store = t->machines[which].store;
    if (store->ops->note_get != NULL) {
        CHECK(t, span_equal(store->ops->note_get(store), span_from_cstr(text)));
    }
}

void
t_twins_restart(struct t_twins *t)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "load %llu\n", (unsigned long long)t->loads);
    t_note(t, ONE, "it is replaced");
    t_note(t, OTHER, "it is replaced");
    t_note(t, ONE, text);
    t_note(t, OTHER, text);
    t_twins_commit(t);
    for (int i = ONE; i <= OTHER; i++) {
        uint64_t clock = ledger_clock(t->machines[i].ledger);
        engine_machine_close(&t->machines[i]);
        t_twins_open(t, i);
        t_note_check(t, i, text);
        /* Reads moved it, which is not kept. */
        CHECK(t, engine_machine_tick(&t->machines[i], clock) == ERR_OK);
    }
    t->loads++;
}
