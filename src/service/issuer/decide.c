#include "decide.h"

#include "base/assert.h"
#include "base/buf.h"

#include <string.h>

static void
copy_text(char *out, size_t size, const char *text)
{
    struct buf buf;
    buf_init_fixed(&buf, out, size);
    buf_append_cstr(&buf, text == NULL ? "" : text);
    buf_append_byte(&buf, '\0');
    ASSERT(!buf_failed(&buf));
}

static enum port_rail_check
check_of(bool given, const struct issuer_test_card *card, enum issuer_checks fails)
{
    if (!given) {
        return PORT_RAIL_CHECK_NONE;
    }
    if (card->checks == ISSUER_CHECKS_UNAVAILABLE) {
        return PORT_RAIL_CHECK_UNAVAILABLE;
    }
    bool both = card->checks == ISSUER_CHECKS_ADDRESS_FAIL && fails != ISSUER_CHECKS_CVC_FAIL;
    return card->checks == fails || both ? PORT_RAIL_CHECK_FAIL : PORT_RAIL_CHECK_PASS;
}

static enum port_rail_proof
proof_of(const struct issuer_record *record, const struct issuer_test_card *card)
{
    if ((record->flags & ISSUER_RECORD_AUTHENTICATED) != 0) {
        return PORT_RAIL_PROOF_AUTHENTICATED;
    }
    bool wanted = (record->flags & ISSUER_RECORD_WANTS_PROOF) != 0;
    switch (card->authentication) {
    case ISSUER_LOOKUP_FAILS:
        return PORT_RAIL_PROOF_ERROR;
    case ISSUER_REQUEST_FAILS:
        return wanted ? PORT_RAIL_PROOF_ERROR : PORT_RAIL_PROOF_NONE;
    case ISSUER_NOT_SUPPORTED:
        return wanted ? PORT_RAIL_PROOF_NOT_SUPPORTED : PORT_RAIL_PROOF_NONE;
    case ISSUER_NOT_ENROLLED:
        return wanted ? PORT_RAIL_PROOF_ATTEMPTED : PORT_RAIL_PROOF_NONE;
    case ISSUER_ON_REQUEST:
    case ISSUER_ALWAYS:
    case ISSUER_UNLESS_SET_UP:
    case ISSUER_ON_SESSION_ONLY:
        return PORT_RAIL_PROOF_NONE;
    }
    UNREACHABLE();
}

/* What a "no" says. */
static void
refusal(const struct issuer_record *record, struct port_rail_answer *answer)
{
    static const struct issuer_test_card unauthenticated = {
        .error_code = "authentication_required",
        .decline_code = "authentication_required",
        .network_code = "1A",
    };
    const struct issuer_test_card *card = (record->flags & ISSUER_RECORD_UNAUTHENTICATED) != 0
                                              ? &unauthenticated
                                              : issuer_test_card_at(record->card);
    copy_text(answer->error_code, sizeof(answer->error_code), card->error_code);
    copy_text(answer->decline_code, sizeof(answer->decline_code), card->decline_code);
    copy_text(answer->advice_code, sizeof(answer->advice_code), card->advice_code);
    copy_text(answer->network_code, sizeof(answer->network_code), card->network_code);
}

/* The answer to an authorization, from its record alone: so a repeat gets the same. */
void
issuer_answer_authorization(
    const struct issuer_memory_entry *entry, struct port_rail_answer *answer)
{
    const struct issuer_record *record = &entry->record;
    const struct issuer_test_card *card = issuer_test_card_at(record->card);
    memset(answer, 0, sizeof(*answer));
    answer->outcome = (enum port_rail_outcome)record->outcome;
    copy_text(answer->risk_level, sizeof(answer->risk_level), card->risk_level);
    answer->risk_score = card->risk_score;
    answer->cvc_check =
        check_of((record->flags & ISSUER_RECORD_CVC) != 0, card, ISSUER_CHECKS_CVC_FAIL);
    answer->postal_code_check = check_of(
        (record->flags & ISSUER_RECORD_POSTAL_CODE) != 0, card, ISSUER_CHECKS_POSTAL_CODE_FAIL);
    answer->address_check =
        check_of((record->flags & ISSUER_RECORD_LINE1) != 0, card, ISSUER_CHECKS_LINE1_FAIL);
    answer->proof = proof_of(record, card);
    answer->captured = entry->captured != 0;
    answer->authorized_amount = entry->authorized;
    answer->captured_amount = entry->captured;
    answer->refunded_amount = entry->refunded;
    answer->disputed_amount = entry->disputed;
    answer->reinstated_amount = entry->reinstated;
    answer->voided = entry->voided;
    if (record->outcome == PORT_RAIL_APPROVED) {
        answer->straight_to_available = card->bypass_pending;
        uint32_t code = (uint32_t)u128_low(record->id) % 1000000;
        struct buf buf;
        buf_init_fixed(&buf, answer->authorization_code, sizeof(answer->authorization_code));
        buf_append_format(&buf, "%06u", code);
        buf_append_byte(&buf, '\0');
        buf_init_fixed(
            &buf, answer->network_transaction_id, sizeof(answer->network_transaction_id));
        buf_append_format(&buf, "%015u", record->number);
        buf_append_byte(&buf, '\0');
    } else if (record->outcome == PORT_RAIL_DECLINED) {
        refusal(record, answer);
    }
}

/* An earlier authorization of the same card with this outcome, or NULL. */
static const struct issuer_record *
earlier(
    struct issuer_memory *memory,
    u128 id,
    const struct issuer_test_card *card,
    enum port_rail_outcome outcome)
{
    const struct issuer_memory_entry *entry = id == 0 ? NULL : issuer_memory_find(memory, id);
    bool same = entry != NULL && entry->record.operation == PORT_RAIL_AUTHORIZE &&
                entry->record.outcome == outcome &&
                entry->record.card == issuer_test_card_index(card);
    return same ? &entry->record : NULL;
}

static bool
must_authenticate(
    struct issuer_memory *memory,
    const struct port_rail_request *rail,
    const struct issuer_test_card *card)
{
    if (rail->amount.amount == 0 && !rail->may_challenge) {
        return false; /* only whether the card is good */
    }
    switch (card->authentication) {
    case ISSUER_NOT_ENROLLED:
    case ISSUER_NOT_SUPPORTED:
    case ISSUER_REQUEST_FAILS:
        return false;
    case ISSUER_ON_REQUEST:
        return rail->wants_proof && !rail->off_session;
    case ISSUER_ALWAYS:
    case ISSUER_LOOKUP_FAILS:
        return true;
    case ISSUER_UNLESS_SET_UP: {
        const struct issuer_record *setup =
            earlier(memory, rail->agreement_id, card, PORT_RAIL_APPROVED);
        bool set_up = setup != NULL && (setup->flags & ISSUER_RECORD_SETS_UP) != 0;
        return !rail->off_session || !set_up;
    }
    case ISSUER_ON_SESSION_ONLY:
        return !rail->off_session;
    }
    UNREACHABLE();
}

void
issuer_decide(
    struct issuer_memory *memory,
    const struct port_rail_request *rail,
    const struct port_network_card *paying,
    struct issuer_record *record)
{
    const struct issuer_test_card *card = issuer_test_card(paying->number);
    uint32_t flags = (rail->capture ? ISSUER_RECORD_CAPTURES : 0U) |
                     (paying->cvc[0] != '\0' ? ISSUER_RECORD_CVC : 0U) |
                     (rail->postal_code.size != 0 ? ISSUER_RECORD_POSTAL_CODE : 0U) |
                     (rail->address_line1.size != 0 ? ISSUER_RECORD_LINE1 : 0U) |
                     (rail->wants_proof ? ISSUER_RECORD_WANTS_PROOF : 0U) |
                     (rail->sets_up ? ISSUER_RECORD_SETS_UP : 0U);
    bool approved = card->error_code == NULL || (card->verifies && rail->amount.amount == 0) ||
                    (card->cvc_only && paying->cvc[0] == '\0');
    enum port_rail_outcome outcome = approved ? PORT_RAIL_APPROVED : PORT_RAIL_DECLINED;
    if (earlier(memory, rail->original_id, card, PORT_RAIL_CHALLENGE) != NULL) {
        flags |= ISSUER_RECORD_AUTHENTICATED;
    } else if (must_authenticate(memory, rail, card)) {
        if (card->authentication == ISSUER_LOOKUP_FAILS) {
            outcome = PORT_RAIL_DECLINED;
        } else if (rail->may_challenge && !rail->off_session) {
            outcome = PORT_RAIL_CHALLENGE;
        } else {
            outcome = PORT_RAIL_DECLINED;
            flags |= ISSUER_RECORD_UNAUTHENTICATED;
        }
    }
    record->original_id = rail->original_id;
    record->card = issuer_test_card_index(card);
    record->flags = (uint8_t)flags;
    record->outcome = (uint8_t)outcome;
}

void
issuer_answer_outcome(struct port_rail_answer *answer, enum port_rail_outcome outcome)
{
    memset(answer, 0, sizeof(*answer));
    answer->outcome = outcome;
    if (outcome == PORT_RAIL_DECLINED) {
        copy_text(answer->error_code, sizeof(answer->error_code), "processing_error");
        copy_text(answer->decline_code, sizeof(answer->decline_code), "processing_error");
        copy_text(answer->network_code, sizeof(answer->network_code), "12");
    }
}

bool
issuer_allows(const struct port_rail_request *rail, const struct issuer_memory_entry *original)
{
    if (original->record.operation != PORT_RAIL_AUTHORIZE ||
        original->record.outcome != PORT_RAIL_APPROVED || original->voided) {
        return false;
    }
    if (rail->operation == PORT_RAIL_INCREMENT) {
        return original->captured == 0 && rail->amount.amount > 0 &&
               !issuer_test_card_at(original->record.card)->no_increments;
    }
    if (rail->operation == PORT_RAIL_CAPTURE) {
        return original->captured == 0 && rail->amount.amount <= original->authorized;
    }
    return original->refunded + original->disputed - original->reinstated + rail->amount.amount <=
           original->captured;
}

void
issuer_answer_follow_up(
    const struct issuer_record *record,
    enum port_rail_outcome outcome,
    struct port_rail_answer *answer)
{
    issuer_answer_outcome(answer, outcome);
    if (outcome == PORT_RAIL_DECLINED && record->operation == PORT_RAIL_INCREMENT &&
        issuer_test_card_at(record->card)->no_increments) {
        copy_text(answer->error_code, sizeof(answer->error_code), "card_declined");
        copy_text(answer->decline_code, sizeof(answer->decline_code), "insufficient_funds");
        copy_text(answer->network_code, sizeof(answer->network_code), "51");
    }
}
