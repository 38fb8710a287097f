/*
 * Counts of what was tried before, for rules that ask for them: a row for each value and measure,
 * whose id derives from both, so that a payment reads the rows that it needs and no others.
 *
 *   an attempt    counted in the write that opens it: two at once of one value are two, in whatever
 *                 process; whoever lost against another one looks again (RISK-4)
 *   its end       declined, or authorized: counted in an operation of its own, when the end is
 *                 durable, because a payment that has an end must not lose against another one
 *   old rows      removed, when nothing that they count is in a window any more
 */
#include "risk.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------- the rows ---
 */

static struct span
counter_id(
    struct resource_op *op,
    enum payments_risk_subject subject,
    enum payments_risk_measure measure,
    const struct payments_risk_facts *facts)
{
    static const char *const measures[PAYMENTS_RISK_MEASURES] = {
        [PAYMENTS_RISK_ATTEMPTS] = "attempts",
        [PAYMENTS_RISK_DECLINES] = "declines",
        [PAYMENTS_RISK_AUTHORIZED] = "amount",
    };
    struct arena *arena = resource_op_arena(op);
    bool in_currency = measure == PAYMENTS_RISK_AUTHORIZED;
    const char *named = arena_cstr(
        arena,
        arena_format(
            arena,
            "risk %s %.*s %d %.*s",
            measures[measure],
            SPAN_PRINTF(in_currency ? facts->currency : SPAN("-")),
            (int)subject,
            SPAN_PRINTF(facts->subjects[subject])));
    if (named == NULL) {
        return SPAN_EMPTY;
    }
    char text[ID_TEXT_SIZE];
    u128 number = resource_derived_id(resource_op_caller(op)->scope, named);
    size_t size = id_format(payments_risk_counter_type.prefix, number, text);
    return arena_copy(arena, span_of(text, size));
}

/* A new one if it is not there. */
static err_t
counter_load(
    struct resource_op *op,
    struct span id,
    struct payments_risk_counter **ret_counter,
    struct payments_risk_counts *ret_counts)
{
    void *found = NULL;
    err_t error =
        id.size == 0 ? ERR_FULL : resource_load(op, &payments_risk_counter_type, id, &found);
    if (error == ERR_NOT_FOUND) {
        struct payments_risk_counter *fresh = resource_new(op, &payments_risk_counter_type);
        if (fresh == NULL) {
            return ERR_FULL;
        }
        fresh->header.id = id;
        fresh->due = (int64_t)resource_now_s(op) + PAYMENTS_RISK_MEMORY_S;
        found = fresh;
        error = ERR_OK;
    }
    TRY(error);
    *ret_counter = found;
    return payments_risk_counts_read((*ret_counter)->counts, ret_counts);
}

static err_t
counter_add(
    struct resource_op *op,
    struct payments_risk_counter *counter,
    struct payments_risk_counts *counts,
    int64_t amount)
{
    payments_risk_counts_add(counts, (int64_t)resource_now_s(op), amount);
    counter->counts = payments_risk_counts_write(counts, resource_op_arena(op));
    return counter->counts.size == 0 ? ERR_FULL
                                     : resource_save(op, &payments_risk_counter_type, counter);
}

/* ------------------------------------------------------------------------------- an attempt --- */

static bool
is_counted(const struct payments_risk_book *book, uint32_t slot)
{
    return (book->counted >> slot & 1) != 0;
}

err_t
payments_risk_count_attempt(
    struct payments_flow *flow,
    const struct payments_risk_book *book,
    struct payments_risk_facts *facts,
    bool counts)
{
    int64_t now = (int64_t)resource_now_s(flow->op);
    for (uint32_t slot = 0; slot < PAYMENTS_RISK_SLOTS; slot++) {
        enum payments_risk_subject subject = slot / PAYMENTS_RISK_MEASURES;
        enum payments_risk_measure measure = slot % PAYMENTS_RISK_MEASURES;
        struct payments_risk_counter *counter;
        struct payments_risk_counts of;
        if (!is_counted(book, slot) || facts->subjects[subject].size == 0) {
            continue;
        }
        struct span id = counter_id(flow->op, subject, measure, facts);
        TRY(counter_load(flow->op, id, &counter, &of));
        for (uint32_t window = 0; window < PAYMENTS_RISK_WINDOWS; window++) {
            uint32_t at = PAYMENTS_RISK_COUNTED + slot * PAYMENTS_RISK_WINDOWS + window;
            facts->facts[at] = (struct rule_fact){
                .present = true,
                .number = payments_risk_counts_sum(&of, window, now),
            };
        }
        if (counts && measure == PAYMENTS_RISK_ATTEMPTS) {
            TRY(counter_add(flow->op, counter, &of, 1));
        }
    }
    return ERR_OK;
}

/* ---------------------------------------------------------------------------------- its end --- */

struct later {
    struct payments *payments;
    uint64_t scope;
    uint32_t count;
    int64_t amount;
    char ids[PAYMENTS_RISK_SUBJECTS][ID_TEXT_SIZE];
};

static void
later_step(struct resource_op *op)
{
    struct later *later = resource_op_state(op);
    err_t error = ERR_OK;
    resource_op_repeatable(op, later_step, later);
    resource_op_on_end(op, free, later);
    for (uint32_t i = 0; error == ERR_OK && i < later->count; i++) {
        struct payments_risk_counter *counter;
        struct payments_risk_counts counts;
        struct span id = arena_copy(resource_op_arena(op), span_from_cstr(later->ids[i]));
        error = counter_load(op, id, &counter, &counts);
        if (error == ERR_OK) {
            error = counter_add(op, counter, &counts, later->amount);
        }
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "risk counters");
        return;
    }
    resource_finish(op);
}

/* Too much under way, or too little memory: it is not counted, which README.md says. */
static void
later_run(void *context)
{
    const struct later *wanted = context;
    struct later *later = malloc(sizeof(*later));
    if (later == NULL) {
        return;
    }
    *later = *wanted;
    err_t error = resource_start_internal(
        later->payments->parts.runtime, later->scope, later->payments, later_step, later);
    if (error != ERR_OK) {
        free(later);
    }
}

/* Slots of this measure. */
static uint32_t
slots_of(enum payments_risk_measure measure)
{
    uint32_t slots = 0;
    for (uint32_t subject = 0; subject < PAYMENTS_RISK_SUBJECTS; subject++) {
        slots |= UINT32_C(1) << (subject * PAYMENTS_RISK_MEASURES + measure);
    }
    return slots;
}

static err_t
count_end(struct payments_flow *flow, bool approved)
{
    enum payments_risk_measure measure =
        approved ? PAYMENTS_RISK_AUTHORIZED : PAYMENTS_RISK_DECLINES;
    const struct payments_risk_book *book;
    struct payments_risk_facts facts;
    TRY(payments_risk_book_of(flow->op, &book));
    uint32_t slots = book->counted & slots_of(measure);
    if (slots == 0) {
        return ERR_OK;
    }
    TRY(payments_risk_facts_read(flow, book->wanted, &facts));
    struct later *later = ARENA_NEW(resource_op_arena(flow->op), struct later);
    if (later == NULL) {
        return ERR_FULL;
    }
    later->payments = flow->payments;
    later->scope = resource_op_caller(flow->op)->scope;
    later->amount = approved ? facts.amount : 1;
    for (uint32_t subject = 0; subject < PAYMENTS_RISK_SUBJECTS; subject++) {
        bool counted = (slots >> (subject * PAYMENTS_RISK_MEASURES + measure) & 1) != 0;
        if (!counted || facts.subjects[subject].size == 0) {
            continue;
        }
        struct span id = counter_id(flow->op, subject, measure, &facts);
        if (id.size == 0) {
            return ERR_FULL;
        }
        ASSERT(id.size < ID_TEXT_SIZE);
        memcpy(later->ids[later->count++], id.data, id.size);
    }
    return later->count == 0 ? ERR_OK : resource_op_when_done(flow->op, later_run, later);
}

void
payments_risk_ended(struct payments_flow *flow, bool approved)
{
    const struct port_rail_answer *answer = &flow->rail.answer;
    struct payments *payments = flow->payments;
    if (flow->method->token.size == 0) {
        return;
    }
    if (flow->risk.kind == PAYMENTS_RISK_BLOCKED) {
        atomic_fetch_add(
            flow->risk.by_list ? &payments->blocked_by_list : &payments->blocked_by_rule, 1);
        return;
    }
    bool too_risky =
        !approved && answer->network_code[0] == '\0' && strcmp(answer->risk_level, "highest") == 0;
    if (too_risky) {
        atomic_fetch_add(&payments->blocked_by_network, 1);
    }
    if (!approved && !too_risky && answer->network_code[0] == '\0') {
        return; /* a wallet refused, or who takes part: nothing that speaks against the card */
    }
    err_t error = count_end(flow, approved);
    /* The payment has an end that must be written: what cannot be counted is not. */
    (void)error;
}

/* ---------------------------------------------------------------------------------- old rows ---
 */

struct sweep {
    struct payments *payments;
    struct payments_risk_counter *due[DOCUMENT_LIST_MAX];
    uint32_t count;
};

static bool
sweep_gather(void *context, void *document)
{
    struct sweep *sweep = context;
    sweep->due[sweep->count++] = document;
    return sweep->count < DOCUMENT_LIST_MAX;
}

/* When nothing that it counts is in a window any more. */
static int64_t
useful_until(const struct payments_risk_counter *counter)
{
    struct payments_risk_counts counts;
    err_t error = payments_risk_counts_read(counter->counts, &counts);
    return error != ERR_OK
               ? 0
               : counts.newest[PAYMENTS_RISK_WEEK] * INT64_C(86400) + PAYMENTS_RISK_MEMORY_S;
}

static err_t
sweep_one(struct resource_op *op, struct payments_risk_counter *counter)
{
    int64_t until = useful_until(counter);
    if (until <= (int64_t)resource_now_s(op)) {
        return resource_remove(op, &payments_risk_counter_type, counter);
    }
    counter->due = until;
    return resource_save(op, &payments_risk_counter_type, counter);
}

static err_t
sweep_find(struct resource_op *op, bool all_scopes, struct sweep *sweep)
{
    const struct document_query query = {
        .all_scopes = all_scopes,
        .range_column = PAYMENTS_RISK_COUNTER_DUE,
        .range_min = 1,
        .range_max = (int64_t)resource_now_s(op),
        .oldest_first = true,
        .limit = all_scopes ? 1 : DOCUMENT_LIST_MAX,
    };
    return resource_find_sound(op, &payments_risk_counter_type, &query, sweep_gather, sweep);
}

static void
sweep_scope(struct resource_op *op)
{
    struct payments *payments = resource_op_service(op);
    struct sweep *sweep = ARENA_NEW(resource_op_arena(op), struct sweep);
    err_t error = sweep == NULL ? ERR_FULL : sweep_find(op, false, sweep);
    for (uint32_t i = 0; error == ERR_OK && i < sweep->count; i++) {
        error = sweep_one(op, sweep->due[i]);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "risk counters");
        return;
    }
    bool more = sweep->count == DOCUMENT_LIST_MAX;
    resource_finish(op);
    if (more) {
        payments_risk_sweep(payments);
    }
}

/* The oldest one names the scope, whose rows an operation of its own goes through. */
static void
sweep_oldest(struct resource_op *op)
{
    struct payments *payments = resource_op_service(op);
    struct sweep *sweep = ARENA_NEW(resource_op_arena(op), struct sweep);
    err_t error = sweep == NULL ? ERR_FULL : sweep_find(op, true, sweep);
    uint64_t scope = error == ERR_OK && sweep->count > 0 ? sweep->due[0]->header.scope : UINT64_MAX;
    resource_finish(op);
    if (scope != UINT64_MAX) {
        /* Too much under way: the next sweep tries again. */
        error =
            resource_start_internal(payments->parts.runtime, scope, payments, sweep_scope, NULL);
    }
    (void)error;
}

void
payments_risk_sweep(struct payments *payments)
{
    err_t error = resource_start_internal(payments->parts.runtime, 0, payments, sweep_oldest, NULL);
    (void)error; /* as above */
}
