/* What the simulated issuers answer: by test card, and by what they did before. */
#ifndef ISSUER_DECIDE_H
#define ISSUER_DECIDE_H

#include "memory.h"
#include "port/network.h"
#include "test_cards.h"

/* Decides an authorization: fills in the record's outcome, card, flags and original_id. */
void issuer_decide(
    struct issuer_memory *memory,
    const struct port_rail_request *rail,
    const struct port_network_card *paying,
    struct issuer_record *record);
/* May this INCREMENT, CAPTURE or REFUND happen to the authorization? */
bool issuer_allows(
    const struct port_rail_request *rail, const struct issuer_memory_entry *original);

/* The answer to an authorization, from its record alone: so a repeat gets the same. */
void issuer_answer_authorization(
    const struct issuer_memory_entry *entry, struct port_rail_answer *answer);
/* The same for what follows one; `outcome` may differ from the record's by now (refunds). */
void issuer_answer_follow_up(
    const struct issuer_record *record,
    enum port_rail_outcome outcome,
    struct port_rail_answer *answer);
/* An answer that says nothing else. */
void issuer_answer_outcome(struct port_rail_answer *answer, enum port_rail_outcome outcome);

#endif
