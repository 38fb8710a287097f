/*
 * Consistent reads: several accounts, such that no transfer between two slots is shown by half.
 *
 * A shard answers a look-up at one moment; two shards answer at two. The accounts are read twice,
 * each time together with the in-transit accounts of their slots. If no in-transit account has
 * changed between the two, nothing was decided or posted there between the end of the first reading
 * and the end of the second; so every transfer between slots that the second shows anywhere was
 * over before, and is shown by both sides, or its money stands in the in-transit accounts that are
 * part of the answer. Otherwise the second becomes the first, SHARDS_READ_TRIES_MAX times at most.
 *
 * What is held for another slot stands in the payer's slot, and is part of the answer too.
 *
 *     ledgers (which in-transit accounts?) --> first --> second --> the same? the answer
 *                                                ^---------'  no
 */
#include "cross_private.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

struct cross_read {
    struct cross_job *job;
    uint32_t tries;
    uint32_t id_count;    /* the accounts, then those of the protocol */
    uint32_t found_count; /* in the last reading */
    u128 *ids;
    struct ledger_account *found; /* the last reading */
};

/* Arrays follow it. */
#define READ_SIZE ((sizeof(struct cross_read) + 15) / 16 * 16)

static void
end(struct cross_read *read, err_t error)
{
    struct cross_job *job = read->job;
    struct port_ledger_request *request = job->request;
    CROSS_COUNT(job->cross, busy, error == ERR_BUSY ? 1 : 0);
    job->request = NULL;
    shards_cross_answer(request, error);
}

static void
ask(struct cross_read *read, void (*take)(struct cross_message *message))
{
    struct cross_message *message = shards_cross_message_new(
        read->job->cross, read->job, PORT_LEDGER_LOOKUP_ACCOUNTS, read->id_count, 1);
    if (message == NULL) {
        end(read, ERR_BUSY);
        return;
    }
    memcpy(message->in.ids, read->ids, read->id_count * sizeof(read->ids[0]));
    message->port.count = read->id_count;
    message->take = take;
    shards_cross_message_send(message);
}

/* ------------------------------------------------------------------------------------ ledgers ---
 */

static int
id_compare(const void *left, const void *right)
{
    u128 a = *(const u128 *)left;
    u128 b = *(const u128 *)right;
    return a < b ? -1 : a > b;
}

static void take_reading(struct cross_message *message);

/* Each slot's in-transit and HELD accounts of each ledger once, behind the accounts. */
static void
take_ledgers(struct cross_message *message)
{
    struct cross_read *read = message->job->read;
    uint32_t count = read->job->request->count;
    if (message->port.error != ERR_OK) {
        end(read, message->port.error);
        return;
    }
    u128 *own = read->ids + count;
    uint32_t own_count = 0;
    for (uint32_t i = 0; i < message->port.out_count; i++) {
        const struct ledger_account *account = &message->port.out.accounts[i];
        uint16_t slot = shard_slot_of_id(account->id);
        own[own_count++] = shards_cross_place(
            commit_account_id(COMMIT_ACCOUNT_IN_TRANSIT, account->ledger, slot), slot);
        own[own_count++] =
            shards_cross_place(commit_account_id(COMMIT_ACCOUNT_HELD, account->ledger, slot), slot);
    }
    qsort(own, own_count, sizeof(own[0]), id_compare);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < own_count; i++) {
        if (kept == 0 || own[kept - 1] != own[i]) {
            own[kept++] = own[i];
        }
    }
    read->id_count = count + kept;
    ask(read, take_reading);
}

/* ----------------------------------------------------------------------------------- readings ---
 */

/* HELD accounts change with every hold, in the payer's slot alone, which is read at one moment. */
static bool
is_still(const struct cross_read *read, const struct ledger_account *accounts, uint32_t count)
{
    bool still = read->found_count == count;
    for (uint32_t i = 0; i < count && still; i++) {
        const struct ledger_account *before = &read->found[i];
        bool in_transit = commit_account_is(accounts[i].id, COMMIT_ACCOUNT_IN_TRANSIT);
        still = before->id == accounts[i].id &&
                (!in_transit || memcmp(before, &accounts[i], sizeof(accounts[i])) == 0);
    }
    return still;
}

static void
take_reading(struct cross_message *message)
{
    struct cross_read *read = message->job->read;
    struct port_ledger_request *request = read->job->request;
    const struct ledger_account *accounts = message->port.out.accounts;
    uint32_t count = message->port.out_count;
    if (message->port.error != ERR_OK) {
        end(read, message->port.error);
        return;
    }
    read->tries++;
    if (read->tries > 1 && is_still(read, accounts, count)) {
        memcpy(request->out.accounts, accounts, count * sizeof(accounts[0]));
        request->out_count = count;
        end(read, ERR_OK);
        return;
    }
    if (read->tries > SHARDS_READ_TRIES_MAX) {
        end(read, ERR_BUSY);
        return;
    }
    CROSS_COUNT(read->job->cross, reads_repeated, read->tries > 1 ? 1 : 0);
    memcpy(read->found, accounts, count * sizeof(accounts[0]));
    read->found_count = count;
    ask(read, take_reading);
}

void
shards_cross_read_begin(struct shards_cross *cross, struct port_ledger_request *request)
{
    ASSERT(request->count <= PORT_LEDGER_CONSISTENT_MAX);
    if (request->count == 0) {
        shards_cross_answer(request, ERR_OK);
        return;
    }
    struct cross_job *job = shards_cross_job_new(cross);
    if (job == NULL) {
        CROSS_COUNT(cross, busy, 1);
        shards_cross_answer(request, ERR_BUSY);
        return;
    }
    uint64_t places = (uint64_t)PORT_LEDGER_CONSISTENT_EACH * request->count;
    job->request = request;
    job->trace = request->trace;
    job->memory_size = READ_SIZE + places * (sizeof(u128) + sizeof(struct ledger_account));
    job->memory = shards_cross_memory_take(cross, job->memory_size);
    if (job->memory == NULL) {
        job->memory_size = 0;
        job->error = ERR_BUSY;
        shards_cross_job_turn(job);
        return;
    }
    struct cross_read *read = job->memory;
    job->read = read;
    read->job = job;
    read->found = (struct ledger_account *)(void *)((char *)job->memory + READ_SIZE);
    read->ids = (u128 *)(void *)(read->found + places);
    memcpy(read->ids, request->in.ids, request->count * sizeof(u128));
    read->id_count = request->count;
    job->turning = true;
    ask(read, take_ledgers);
    job->turning = false;
    shards_cross_job_turn(job);
}
