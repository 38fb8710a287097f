/*
 * Any bytes as a marker with its pending transfers, and then as the answers to whatever the run
 * asks: damaged records are refused, and no answer of a ledger makes a run do what it must not.
 */
#include "base/assert.h"
#include "commit/commit.h"

#include <string.h>

struct input {
    const uint8_t *bytes;
    size_t size;
};

static void
take_bytes(struct input *input, void *out, size_t size)
{
    size_t given = input->size < size ? input->size : size;
    memset(out, 0, size);
    memcpy(out, input->bytes, given);
    input->bytes += given;
    input->size -= given;
}

/* Statuses that a batch can meet, so that the fuzzer need not guess 32 bits. */
static uint32_t
status_of(uint8_t byte)
{
    static const uint32_t statuses[] = {
        LEDGER_TRANSFER_created,
        LEDGER_TRANSFER_exists,
        LEDGER_TRANSFER_exists_with_different_code,
        LEDGER_TRANSFER_exists_with_different_user_data_32,
        LEDGER_TRANSFER_exists_with_different_user_data_64,
        LEDGER_TRANSFER_linked_event_failed,
        LEDGER_TRANSFER_exceeds_credits,
        LEDGER_TRANSFER_pending_transfer_already_voided,
    };
    return statuses[byte % (sizeof(statuses) / sizeof(statuses[0]))];
}

static void
answer(struct commit_run *run, const struct commit_ask *ask, struct input *input)
{
    if (ask->kind == COMMIT_ASK_READ) {
        struct ledger_transfer found[COMMIT_READ_MAX];
        uint8_t count;
        take_bytes(input, &count, 1);
        for (uint32_t i = 0; i < COMMIT_READ_MAX; i++) {
            take_bytes(input, &found[i], sizeof(found[i]));
            if (count & 0x80) { /* of this transaction, but for what differs between entries */
                found[i].user_data_64 = run->transaction->header.check;
            }
        }
        commit_take_log(run, ask, found, count % (COMMIT_READ_MAX + 1));
        return;
    }
    struct ledger_transfer events[COMMIT_EVENTS_MAX];
    struct ledger_result results[COMMIT_EVENTS_MAX] = {0};
    uint32_t count = commit_build(run, ask, events);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t byte;
        take_bytes(input, &byte, 1);
        results[i].status = status_of(byte);
    }
    commit_take(run, ask, results);
}

static void
drive(struct commit_run *run, struct input *input)
{
    enum commit_outcome outcome = COMMIT_OUTCOME_UNKNOWN;
    while (input->size > 0) {
        uint8_t byte;
        struct commit_ask ask;
        take_bytes(input, &byte, 1);
        if (byte == 0xff) {
            commit_conclude(run);
        } else if (commit_next(run, byte % run->transaction->header.member_count, &ask)) {
            answer(run, &ask, input);
        }
        ASSERT(outcome == COMMIT_OUTCOME_UNKNOWN || outcome == commit_outcome(run));
        outcome = commit_outcome(run);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct ledger_transfer marker;
    struct ledger_transfer pendings[2];
    struct commit_transaction transaction;
    struct commit_run run;
    take_bytes(&input, &marker, sizeof(marker));
    take_bytes(&input, pendings, sizeof(pendings));
    if (commit_resume(&run, &transaction, &marker, pendings, 1 + size % 2) == ERR_OK) {
        drive(&run, &input);
    } else if (
        commit_resume_chained(&run, &transaction, &marker, &pendings[0], &pendings[1]) == ERR_OK) {
        drive(&run, &input);
    }
    return 0;
}
