/* Transactions: made of requests, and found again from what they left in a ledger. */
#include "commit_internal.h"

#include <string.h>

static bool
slots_are_distinct(const struct commit_request *request)
{
    for (uint32_t i = 0; i < request->slot_count; i++) {
        if (request->slots[i] == COMMIT_SLOT_NONE) {
            return false;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (request->slots[i] == request->slots[j]) {
                return false;
            }
        }
    }
    return true;
}

static bool
is_clients(u128 id)
{
    return id != 0 && id != U128_MAX && !commit_id_is_reserved(id);
}

/* In 2PC's first slot a leg may be the capture of a hold, and in a chain make or void one; any
 * other leg is a plain transfer. */
static err_t
leg_check(const struct commit_request *request, const struct commit_leg *leg)
{
    const struct ledger_transfer *transfer = &leg->transfer;
    if (leg->member >= request->slot_count || transfer->ledger == COMMIT_LEDGER) {
        return ERR_INVALID;
    }
    bool captures = leg->member == 0 && request->protocol == COMMIT_2PC;
    bool chained = leg->own_name != 0;
    uint32_t allowed = captures ? LEDGER_TRANSFER_POST_PENDING : 0;
    if (captures && chained) {
        allowed |= LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_VOID_PENDING;
    }
    bool may_end = (transfer->flags & allowed & LEDGER_TRANSFER_PENDING) != 0;
    if ((transfer->flags & ~allowed) != 0 || (transfer->timeout != 0 && !may_end)) {
        return ERR_UNSUPPORTED;
    }
    if (chained && !is_clients(transfer->id)) {
        return ERR_INVALID;
    }
    return transfer->timestamp == 0 ? ERR_OK : ERR_INVALID;
}

static bool
is_chain(const struct commit_request *request)
{
    for (uint32_t i = 0; i < request->leg_count; i++) {
        if (request->legs[i].own_name != 0) {
            return true;
        }
    }
    return false;
}

static void
count_leg(struct commit_transaction *transaction, const struct commit_leg *leg)
{
    transaction->legs_of[leg->member]++;
    if (leg->own_name != 0) {
        transaction->notes_of[leg->member]++;
    }
}

err_t
commit_transaction_init(
    struct commit_transaction *transaction, const struct commit_request *request)
{
    if (request->slot_count < 2 || request->slot_count > COMMIT_MEMBERS_MAX ||
        !slots_are_distinct(request) || request->leg_count == 0 ||
        request->leg_count > COMMIT_LEGS_MAX) {
        return ERR_INVALID;
    }
    /* A chain has no leg 0, which is the one with a client's id of any other transaction. */
    uint8_t first = is_chain(request) ? 1 : 0;
    if (request->leg_count + first > COMMIT_LEGS_MAX) {
        return ERR_INVALID;
    }
    if (first == 0 && (request->legs[0].member != 0 || !is_clients(request->legs[0].transfer.id))) {
        return ERR_INVALID;
    }
    /* Only the legs that there are: many transactions lie side by side, and most of their room for
     * legs is never touched. */
    transaction->header = (struct commit_header){
        .name = commit_name(request->name_digest),
        .check = (request->request_digest & ~UINT64_C(1)) | request->protocol,
        .member_count = request->slot_count,
    };
    transaction->leg_count = request->leg_count;
    memset(transaction->legs_of, 0, sizeof(transaction->legs_of));
    memset(transaction->notes_of, 0, sizeof(transaction->notes_of));
    for (uint8_t i = 0; i < request->leg_count; i++) {
        TRY(leg_check(request, &request->legs[i]));
        if (request->legs != transaction->legs) {
            transaction->legs[i] = request->legs[i];
        }
        transaction->legs[i].index = (uint8_t)(i + first);
        count_leg(transaction, &request->legs[i]);
    }
    for (uint32_t i = 0; i < COMMIT_MEMBERS_MAX; i++) {
        if (i < request->slot_count && transaction->legs_of[i] == 0) {
            return ERR_INVALID;
        }
        transaction->header.slots[i] =
            i < request->slot_count ? request->slots[i] : COMMIT_SLOT_NONE;
    }
    return ERR_OK;
}

void
commit_split(
    const struct ledger_transfer *transfer, const uint16_t slots[2], struct commit_leg ret_legs[2])
{
    for (uint8_t i = 0; i < 2; i++) {
        ret_legs[i] = (struct commit_leg){.member = i, .transfer = *transfer};
    }
    ret_legs[0].transfer.credit_account_id =
        commit_account_id(COMMIT_ACCOUNT_IN_TRANSIT, transfer->ledger, slots[0]);
    ret_legs[1].transfer.debit_account_id =
        commit_account_id(COMMIT_ACCOUNT_IN_TRANSIT, transfer->ledger, slots[1]);
}

void
commit_split_hold(
    const struct ledger_transfer *post,
    const struct ledger_transfer *paid,
    const uint16_t slots[2],
    struct commit_leg ret_legs[COMMIT_HOLD_LEGS])
{
    ASSERT((post->flags & LEDGER_TRANSFER_POST_PENDING) != 0);
    ASSERT(commit_account_is(post->credit_account_id, COMMIT_ACCOUNT_HELD));
    struct ledger_transfer passed = {
        .debit_account_id = post->credit_account_id,
        .credit_account_id = paid->credit_account_id,
        .amount = paid->amount,
        .user_data_128 = paid->user_data_128,
        .user_data_64 = paid->user_data_64,
        .user_data_32 = paid->user_data_32,
        .ledger = paid->ledger,
        .code = paid->code,
    };
    struct commit_leg crossing[2];
    commit_split(&passed, slots, crossing);
    ret_legs[0] = (struct commit_leg){.member = 0, .transfer = *post};
    ret_legs[1] = crossing[0];
    ret_legs[2] = crossing[1];
}

/* The place of a pending transfer among the legs, from its id. */
static err_t
leg_of_pending(
    const struct commit_transaction *transaction,
    uint8_t member,
    const struct ledger_transfer *pending,
    struct commit_leg *ret_leg)
{
    const struct commit_header *header = &transaction->header;
    uint32_t step = (uint32_t)(pending->id >> 16) & 0xfff;
    struct commit_leg leg = {.member = member, .transfer = *pending};
    bool clients = !commit_id_is_reserved(pending->id);
    if (!clients) {
        leg.index = (uint8_t)(step - COMMIT_STEP_LEG);
        if (step <= COMMIT_STEP_LEG || step >= COMMIT_STEP_LEG + COMMIT_LEGS_MAX ||
            pending->id != commit_step_id(header->name, header->slots[member], step)) {
            return ERR_CORRUPT;
        }
    }
    if ((clients && member != 0) || !commit_member_waits(transaction, member)) {
        return ERR_CORRUPT;
    }
    *ret_leg = leg;
    return ERR_OK;
}

static void
resume(struct commit_run *run, const struct commit_transaction *transaction, uint8_t member)
{
    *run = (struct commit_run){.transaction = transaction};
    commit_add(&run->prepared, member);
    commit_conclude(run);
}

static uint8_t
member_of_marker(const struct commit_header *header, const struct ledger_transfer *marker)
{
    uint8_t member = 0;
    while (header->slots[member] != (uint16_t)marker->id) {
        member++;
    }
    return member;
}

err_t
commit_resume_chained(
    struct commit_run *run,
    struct commit_transaction *ret_transaction,
    const struct ledger_transfer *marker,
    const struct ledger_transfer *note,
    const struct ledger_transfer *pending)
{
    struct commit_transaction found = {.leg_count = 1};
    struct commit_chain_note chain;
    TRY(commit_header_decode(marker, &found.header));
    TRY(commit_chain_note_decode(note, &chain));
    if (chain.name != found.header.name || (uint16_t)note->id != (uint16_t)marker->id ||
        !is_clients(pending->id)) {
        return ERR_CORRUPT;
    }
    found.legs[0] = (struct commit_leg){
        .member = member_of_marker(&found.header, marker),
        .flags = chain.flags,
        .own_name = commit_name_of(note->id),
        .payee = chain.payee,
        .transfer = *pending,
    };
    count_leg(&found, &found.legs[0]);
    if (!commit_member_waits(&found, found.legs[0].member)) {
        return ERR_CORRUPT;
    }
    *ret_transaction = found;
    resume(run, ret_transaction, found.legs[0].member);
    return ERR_OK;
}

err_t
commit_resume(
    struct commit_run *run,
    struct commit_transaction *ret_transaction,
    const struct ledger_transfer *marker,
    const struct ledger_transfer *pendings,
    uint32_t count)
{
    struct commit_transaction found = {.leg_count = (uint8_t)count};
    TRY(commit_header_decode(marker, &found.header));
    if (count == 0 || count > COMMIT_LEGS_MAX) {
        return ERR_CORRUPT;
    }
    uint8_t member = member_of_marker(&found.header, marker);
    for (uint32_t i = 0; i < count; i++) {
        TRY(leg_of_pending(&found, member, &pendings[i], &found.legs[i]));
        count_leg(&found, &found.legs[i]);
    }
    *ret_transaction = found;
    resume(run, ret_transaction, member);
    return ERR_OK;
}
