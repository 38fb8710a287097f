/*
 * A batch of which something crosses: the accounts of its slots, then level after level, then its
 * answer. What was decided is posted after the answer.
 *
 *     accounts --> level 1 --> level 2 ... --> both accounts of each event, if they are wanted
 *                   local events as one batch, beside the transactions' votes and decisions
 */
#include "cross_private.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* Of a slot and a ledger: in transit, and the two of markers. */
#define ACCOUNTS_EACH 3

/* ----------------------------------------------------------------------------------- results ---
 */

void
shards_cross_tx_over(struct cross_tx *tx)
{
    ASSERT(!tx->over);
    ASSERT(tx->job->tx_open > 0);
    tx->over = true;
    tx->job->tx_open--;
}

void
shards_cross_settle(struct cross_tx *tx, uint32_t status, uint64_t timestamp)
{
    struct cross_job *job = tx->job;
    ASSERT(tx->stage == CROSS_RUNNING || tx->stage == CROSS_EXPLAINING);
    ASSERT(job->request != NULL);
    ASSERT(job->unsettled > 0);
    job->request->out.results[tx->event] =
        (struct ledger_result){.timestamp = timestamp, .status = status};
    tx->stage = CROSS_SETTLED;
    job->unsettled--;
    job->some_done = true;
    if (tx->transaction == NULL) {
        shards_cross_tx_over(tx);
    }
}

void
shards_cross_leave(struct cross_tx *tx, enum cross_stage stage)
{
    struct cross_job *job = tx->job;
    const struct shards_cross_parts *parts = &job->cross->parts;
    ASSERT(stage == CROSS_LEFT || stage == CROSS_UNDONE);
    ASSERT(job->unsettled > 0);
    tx->stage = stage;
    job->unsettled--;
    job->some_done = job->some_done || stage == CROSS_LEFT;
    job->error = stage == CROSS_LEFT    ? ERR_OUTCOME_UNKNOWN
                 : job->error == ERR_OK ? ERR_BUSY
                                        : job->error;
    if (tx->transaction == NULL) {
        shards_cross_tx_over(tx);
        return;
    }
    if (stage == CROSS_LEFT) {
        CROSS_COUNT(job->cross, left, 1);
        if (parts->log != NULL) {
            parts->log(
                parts->context,
                true,
                "a transaction without outcome is left to the resolver",
                tx->transaction->header.name,
                commit_state_name(tx->run.state),
                &job->trace);
        }
        if (!tx->over) {
            shards_cross_tx_over(tx);
        }
    }
}

static void
job_answer(struct cross_job *job)
{
    struct port_ledger_request *request = job->request;
    err_t error = job->error;
    job->request = NULL;
    if (error != ERR_OK && job->some_done) { /* SHARDS-3 */
        error = ERR_OUTCOME_UNKNOWN;
    }
    CROSS_COUNT(job->cross, busy, error == ERR_BUSY ? 1 : 0);
    request->out_count = error == ERR_OK ? request->count : request->out_count;
    shards_cross_answer(request, error);
}

/* ---------------------------------------------------------------------------------- accounts ---
 */

struct known {
    struct map_link link;
    uint64_t key; /* ledger << 16 | slot */
};

static bool
is_known(const struct shards_cross *cross, uint64_t key)
{
    for (struct map_link *link = map_find(&cross->known, hash_u64(key)); link != NULL;
         link = map_next(link)) {
        if (CONTAINER_OF(link, struct known, link)->key == key) {
            return true;
        }
    }
    return false;
}

static void
known_drop(void *context, struct map_link *link)
{
    (void)context;
    free(CONTAINER_OF(link, struct known, link));
}

/* Not to remember costs a repeat. */
static void
remember(struct shards_cross *cross, uint64_t key)
{
    if (is_known(cross, key)) {
        return;
    }
    if (cross->known.size == CROSS_KNOWN_MAX) {
        map_each(&cross->known, known_drop, NULL);
        map_release(&cross->known);
        map_init(&cross->known, CROSS_KNOWN_MAX);
    }
    struct known *known = calloc(1, sizeof(*known));
    if (known == NULL) {
        return;
    }
    known->key = key;
    if (map_insert(&cross->known, hash_u64(key), &known->link) != ERR_OK) {
        free(known);
    }
}

static int
key_compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* The pairs of slot and ledger that are needed and not known, each once. */
static uint32_t
keys_missing(const struct cross_job *job, uint64_t *keys)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < job->unit_count; i++) {
        const struct ledger_transfer *event = &job->request->in.transfers[job->units[i].start];
        const u128 accounts[2] = {event->debit_account_id, event->credit_account_id};
        for (int j = 0; job->units[i].crosses && j < 2; j++) {
            uint64_t key = (uint64_t)event->ledger << 16 | shard_slot_of_id(accounts[j]);
            if (!is_known(job->cross, key)) {
                keys[count++] = key;
            }
        }
    }
    qsort(keys, count, sizeof(keys[0]), key_compare);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (kept == 0 || keys[kept - 1] != keys[i]) {
            keys[kept++] = keys[i];
        }
    }
    return kept;
}

static void
take_protocol_accounts(struct cross_message *message)
{
    struct cross_job *job = message->job;
    job->accounts_out--;
    for (uint32_t i = 0; message->port.error == ERR_OK && i < message->port.count; i++) {
        uint32_t status = message->port.out.results[i].status;
        const struct ledger_account *account = &message->in.accounts[i];
        if (status != LEDGER_ACCOUNT_created && status != LEDGER_ACCOUNT_exists) {
            message->port.error = ERR_CORRUPT;
        } else if (i % ACCOUNTS_EACH == ACCOUNTS_EACH - 1) {
            const struct ledger_account *first = &message->in.accounts[i - (ACCOUNTS_EACH - 1)];
            remember(job->cross, (uint64_t)first->ledger << 16 | shard_slot_of_id(account->id));
        }
    }
    if (message->port.error != ERR_OK) {
        job->error = message->port.error == ERR_CORRUPT ? message->port.error : ERR_BUSY;
    }
}

static void
add_protocol_accounts(struct cross_message *message, uint64_t key)
{
    uint16_t slot = (uint16_t)key;
    uint32_t ledger = (uint32_t)(key >> 16);
    struct ledger_account *accounts = &message->in.accounts[message->port.count];
    accounts[0] = commit_account(COMMIT_ACCOUNT_IN_TRANSIT, ledger, slot);
    accounts[1] = commit_account(COMMIT_ACCOUNT_MARKER_DEBIT, COMMIT_LEDGER, slot);
    accounts[2] = commit_account(COMMIT_ACCOUNT_MARKER_CREDIT, COMMIT_LEDGER, slot);
    for (int i = 0; i < ACCOUNTS_EACH; i++) {
        accounts[i].id = shards_cross_place(accounts[i].id, slot);
    }
    message->port.count += ACCOUNTS_EACH;
}

static err_t
accounts_send(struct cross_job *job, const uint64_t *keys, uint32_t count)
{
    enum {
        KEYS_MAX = LEDGER_BATCH_MAX / ACCOUNTS_EACH,
    };

    for (uint32_t at = 0; at < count;) {
        uint32_t some = count - at < KEYS_MAX ? count - at : KEYS_MAX;
        struct cross_message *message = shards_cross_message_new(
            job->cross, job, PORT_LEDGER_CREATE_ACCOUNTS, some * ACCOUNTS_EACH, 1);
        if (message == NULL) {
            return ERR_BUSY;
        }
        for (uint32_t i = 0; i < some; i++) {
            add_protocol_accounts(message, keys[at + i]);
        }
        message->take = take_protocol_accounts;
        job->accounts_out++;
        shards_cross_message_send(message);
        at += some;
    }
    return ERR_OK;
}

static err_t
accounts_begin(struct cross_job *job)
{
    if (job->crossing == 0) {
        return ERR_OK;
    }
    uint64_t size = (uint64_t)job->crossing * 2 * sizeof(uint64_t);
    uint64_t *keys = shards_cross_memory_take(job->cross, size);
    if (keys == NULL) {
        return ERR_BUSY;
    }
    err_t result = accounts_send(job, keys, keys_missing(job, keys));
    shards_cross_memory_give(job->cross, keys, size);
    return result;
}

/* ------------------------------------------------------------------------------------ levels ---
 */

static struct cross_tx *
tx_new(struct cross_job *job, uint32_t event, uint64_t now)
{
    ASSERT(job->tx_count < job->request->count);
    struct cross_tx *tx = &job->txs[job->tx_count++];
    *tx = (struct cross_tx){
        .job = job,
        .event = event,
        .began_ns = now,
        .stage = CROSS_RUNNING,
    };
    job->tx_open++;
    job->unsettled++;
    return tx;
}

static void
tx_begin(struct cross_job *job, uint32_t event, uint64_t now, struct cross_outgoing *outgoing)
{
    struct cross_tx *tx = tx_new(job, event, now);
    char *memory = job->transactions + (uint64_t)(tx - job->txs) * CROSS_TRANSACTION_SIZE;
    tx->transaction = (void *)memory;
    err_t result = shards_cross_run_begin(tx, now);
    ASSERT(result == ERR_OK); /* shards_cross_plan has looked */
    shards_cross_run_turn(tx, now, outgoing);
}

static void
explain_if_doubtful(struct cross_job *job, uint32_t event)
{
    const struct ledger_result *result = &job->request->out.results[event];
    if (shards_cross_result_is_doubtful(&job->request->in.transfers[event], result->status)) {
        struct cross_tx *tx = tx_new(job, event, cross_now(job->cross));
        tx->booked_at = result->timestamp;
        shards_cross_explain_result(tx, result->status);
    }
}

static void
take_local(struct cross_message *message)
{
    struct cross_job *job = message->job;
    job->level_out--;
    err_t error = message->port.error;
    if (error != ERR_OK) {
        job->some_done = job->some_done || error == ERR_OUTCOME_UNKNOWN;
        job->error = job->error == ERR_OK ? error : job->error;
        return;
    }
    job->some_done = true;
    for (uint32_t i = 0; i < message->port.count; i++) {
        job->request->out.results[message->positions[i]] = message->port.out.results[i];
        explain_if_doubtful(job, message->positions[i]);
    }
}

static void
add_local(struct cross_message *message, const struct cross_unit *unit)
{
    const struct ledger_transfer *events = message->job->request->in.transfers;
    for (uint32_t i = 0; i < unit->count; i++) {
        struct ledger_transfer *event = &message->in.transfers[message->port.count];
        *event = events[unit->start + i];
        if (unit->faulty) { /* to the payer's shard, which refuses it */
            uint16_t slot = shard_slot_of_id(event->debit_account_id);
            event->credit_account_id = shards_cross_place(
                commit_account_id(COMMIT_ACCOUNT_NOBODY, event->ledger, slot), slot);
        }
        message->positions[message->port.count++] = unit->start + i;
    }
}

static void
level_begin(struct cross_job *job)
{
    uint64_t now = cross_now(job->cross);
    uint32_t level = job->units[job->unit_next].level;
    uint32_t end = job->unit_next;
    uint32_t local = 0;
    struct cross_outgoing outgoing = {.cross = job->cross, .job = job};
    for (; end < job->unit_count && job->units[end].level == level; end++) {
        local += job->units[end].crosses ? 0 : job->units[end].count;
        outgoing.expected += job->units[end].crosses ? 1 : 0;
    }
    struct cross_message *message = NULL;
    if (local > 0) {
        message = shards_cross_message_new(job->cross, job, PORT_LEDGER_CREATE_TRANSFERS, local, 1);
        if (message == NULL) {
            job->error = ERR_BUSY;
            return;
        }
        message->take = take_local;
    }
    for (uint32_t i = job->unit_next; i < end; i++) {
        if (job->units[i].crosses) {
            tx_begin(job, job->units[i].start, now, &outgoing);
        } else {
            ASSERT(message != NULL);
            add_local(message, &job->units[i]);
        }
    }
    job->unit_next = end;
    shards_cross_outgoing_flush(&outgoing);
    if (message != NULL) {
        job->level_out++;
        shards_cross_message_send(message);
    }
}

/* ------------------------------------------------------------------------------------- pairs ---
 */

static const struct ledger_account *
account_in(const struct cross_message *message, u128 id)
{
    for (uint32_t i = 0; i < message->port.out_count; i++) {
        if (message->port.out.accounts[i].id == id) {
            return &message->port.out.accounts[i];
        }
    }
    return NULL;
}

/* As they stand now, which is after the event. */
static void
take_pairs(struct cross_message *message)
{
    struct cross_job *job = message->job;
    job->pairs_out--;
    if (message->port.error != ERR_OK) {
        job->error = ERR_OUTCOME_UNKNOWN;
        return;
    }
    for (uint32_t i = 0; i < message->item_count; i++) {
        uint32_t event = message->items[i].first;
        const struct ledger_transfer *transfer = &job->request->in.transfers[event];
        const struct ledger_account *debit = account_in(message, transfer->debit_account_id);
        const struct ledger_account *credit = account_in(message, transfer->credit_account_id);
        job->request->pairs[event] = (struct port_ledger_pair){0};
        if (debit != NULL) {
            job->request->pairs[event].debit = *debit;
        }
        if (credit != NULL) {
            job->request->pairs[event].credit = *credit;
        }
    }
}

/* Few events to a message, so that accounts are found among few. */
static void
pairs_begin(struct cross_job *job)
{
    enum {
        EVENTS_EACH = 16,
    };

    job->pairs_asked = true;
    for (uint32_t at = 0; at < job->request->count;) {
        uint32_t left = job->request->count - at;
        uint32_t some = left < EVENTS_EACH ? left : EVENTS_EACH;
        struct cross_message *message =
            shards_cross_message_new(job->cross, job, PORT_LEDGER_LOOKUP_ACCOUNTS, 2 * some, some);
        if (message == NULL) {
            job->error = ERR_OUTCOME_UNKNOWN;
            return;
        }
        for (uint32_t i = 0; i < some; i++) {
            const struct ledger_transfer *event = &job->request->in.transfers[at + i];
            message->in.ids[2 * i] = event->debit_account_id;
            message->in.ids[2 * i + 1] = event->credit_account_id;
            message->items[i].first = at + i;
        }
        message->port.count = 2 * some;
        message->item_count = some;
        message->take = take_pairs;
        job->pairs_out++;
        shards_cross_message_send(message);
        at += some;
    }
}

/* --------------------------------------------------------------------------------- the whole ---
 */

/* True: something was begun, and may be over already. */
static bool
job_step(struct cross_job *job)
{
    if (job->read != NULL || job->request == NULL || job->accounts_out > 0 || job->level_out > 0 ||
        job->unsettled > 0 || job->pairs_out > 0) {
        return false;
    }
    if (job->error != ERR_OK) {
        job_answer(job);
    } else if (job->unit_next < job->unit_count) {
        level_begin(job);
        return true;
    } else if (job->request->pairs != NULL && !job->pairs_asked) {
        pairs_begin(job);
        return true;
    } else {
        job_answer(job);
    }
    return false;
}

void
shards_cross_job_turn(struct cross_job *job)
{
    if (job->turning) {
        return;
    }
    job->turning = true;
    while (job_step(job)) {
    }
    job->turning = false;
    if (job->request == NULL && job->out == 0 && job->tx_open == 0) {
        shards_cross_resolve_ended(job);
        shards_cross_job_free(job);
    }
}

void
shards_cross_job_begin(struct cross_job *job)
{
    job->turning = true;
    err_t result = shards_cross_plan(job);
    if (result == ERR_OK) {
        result = accounts_begin(job);
    }
    job->error = job->error == ERR_OK ? result : job->error;
    job->turning = false;
    shards_cross_job_turn(job);
}

void
shards_cross_job_explain_results(struct cross_job *job)
{
    job->memory_size = (uint64_t)job->request->count * sizeof(struct cross_tx);
    job->memory = shards_cross_memory_take(job->cross, job->memory_size);
    job->some_done = true;
    job->pairs_asked = true;
    job->turning = true;
    if (job->memory == NULL) {
        job->memory_size = 0;
        job->error = ERR_OUTCOME_UNKNOWN;
    } else {
        job->txs = job->memory;
        for (uint32_t i = 0; i < job->request->count; i++) {
            explain_if_doubtful(job, i);
        }
    }
    job->turning = false;
    shards_cross_job_turn(job);
}

void
shards_cross_job_tick(struct cross_job *job, uint64_t now)
{
    struct cross_outgoing outgoing = {.cross = job->cross, .job = job, .expected = 1};
    job->turning = true;
    for (uint32_t i = 0; i < job->tx_count; i++) {
        struct cross_tx *tx = &job->txs[i];
        shards_cross_explain_tick(tx, now);
        shards_cross_run_turn(tx, now, &outgoing);
    }
    shards_cross_outgoing_flush(&outgoing);
    job->turning = false;
    shards_cross_job_turn(job);
}
