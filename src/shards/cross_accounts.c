/*
 * The protocol's accounts that a batch needs: made before anything of it is asked for, in every
 * slot and ledger that it crosses, unless they are known to be there.
 */
#include "cross_private.h"

#include "base/hash.h"

#include <stdlib.h>

/* Of a slot and a ledger: in transit, and the two of markers. */
#define ACCOUNTS_EACH 3

struct known {
    struct map_link link;
    uint64_t key; /* key_of */
};

static uint64_t
key_of(enum commit_account kind, uint32_t ledger, u128 account)
{
    return (uint64_t)kind << 48 | (uint64_t)ledger << 16 | shard_slot_of_id(account);
}

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

void
shards_cross_accounts_init(struct shards_cross *cross)
{
    map_init(&cross->known, CROSS_KNOWN_MAX);
}

void
shards_cross_accounts_release(struct shards_cross *cross)
{
    map_each(&cross->known, known_drop, NULL);
    map_release(&cross->known);
}

/* Not to remember costs a repeat. */
static void
remember(struct shards_cross *cross, uint64_t key)
{
    if (is_known(cross, key)) {
        return;
    }
    if (cross->known.size == CROSS_KNOWN_MAX) {
        shards_cross_accounts_release(cross);
        shards_cross_accounts_init(cross);
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

/* What an event of a unit that crosses needs: two at most. */
static uint32_t
keys_of_event(const struct cross_job *job, enum cross_way way, uint32_t event, uint64_t keys[2])
{
    const struct cross_hold *hold = shards_cross_hold_of(job, event);
    const struct ledger_transfer *about =
        hold != NULL ? &hold->transfer : &job->request->in.transfers[event];
    if (way == CROSS_WAY_HOLD) {
        keys[0] = key_of(COMMIT_ACCOUNT_HELD, about->ledger, about->debit_account_id);
        return 1;
    }
    keys[0] = key_of(COMMIT_ACCOUNT_IN_TRANSIT, about->ledger, about->debit_account_id);
    keys[1] = key_of(COMMIT_ACCOUNT_IN_TRANSIT, about->ledger, about->credit_account_id);
    return 2;
}

/* The accounts that are needed and not known to be there, each once. */
static uint32_t
keys_missing(const struct cross_job *job, uint64_t *keys)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < job->unit_count; i++) {
        const struct cross_unit *unit = &job->units[i];
        for (uint32_t j = 0; cross_way_crosses(unit->way) && j < unit->count; j++) {
            uint64_t wanted[2];
            uint32_t wanted_count = keys_of_event(job, unit->way, unit->start + j, wanted);
            for (uint32_t k = 0; k < wanted_count; k++) {
                if (!is_known(job->cross, wanted[k])) {
                    keys[count++] = wanted[k];
                }
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
            remember(
                job->cross, key_of((enum commit_account)first->code, first->ledger, account->id));
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
    enum commit_account kind = (enum commit_account)(key >> 48);
    struct ledger_account *accounts = &message->in.accounts[message->port.count];
    accounts[0] = commit_account(kind, ledger, slot);
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

err_t
shards_cross_accounts_begin(struct cross_job *job)
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
