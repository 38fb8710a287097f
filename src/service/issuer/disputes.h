/*
 * Disputes that the simulated issuers open of payments with certain test cards, and what comes of
 * them. Each step is a record in `disputes.log`, written before anybody hears of it; those that are
 * news make the feed, in the order of the file, and a record's number is its position.
 *
 *   a payment is taken     EXPECTED          disputes_delay_ms later:
 *   INQUIRY or DISPUTED    news              due in disputes_due_ms
 *   SUBMITTED, ACCEPTED    by the merchant   disputes_delay_ms later, or at once:
 *   WON, LOST, CLOSED, DISPUTED              news; DISPUTED if an inquiry grows
 *
 * Nothing happens by itself: what is due by the clock is done when somebody asks for the news.
 */
#ifndef ISSUER_DISPUTES_H
#define ISSUER_DISPUTES_H

#include "base/list.h"
#include "base/map.h"
#include "issuer/issuer.h"
#include "memory.h"

#define ISSUER_DISPUTES_MAX (1u << 20) /* records */

enum issuer_dispute_step {
    ISSUER_DISPUTE_NONE,
    ISSUER_DISPUTE_EXPECTED,
    ISSUER_DISPUTE_INQUIRY,
    ISSUER_DISPUTE_DISPUTED,
    ISSUER_DISPUTE_SUBMITTED,
    ISSUER_DISPUTE_ACCEPTED,
    ISSUER_DISPUTE_WON,
    ISSUER_DISPUTE_LOST,
    ISSUER_DISPUTE_CLOSED,
};

/* What evidence amounts to, by its uncategorized_text, as in Stripe's test mode. */
enum issuer_verdict {
    ISSUER_VERDICT_NONE, /* it convinces nobody, and is forgotten: what is due stays so */
    ISSUER_VERDICT_WON,
    ISSUER_VERDICT_LOST,
    ISSUER_VERDICT_ESCALATED, /* of an inquiry: it becomes a dispute */
};

enum issuer_verdict issuer_verdict_of(struct span evidence);

struct issuer_dispute_record {
    u128 dispute;
    u128 authorization;
    u128 reference;
    u128 operation; /* of SUBMITTED and ACCEPTED: a repeat has the same */
    uint64_t scope;
    int64_t amount;
    uint64_t at_ms;  /* unix; when it was done */
    uint64_t due_ms; /* until when the merchant may answer */
    uint32_t number; /* of the record in the file, from 1: a torn record has none */
    uint8_t step;    /* enum issuer_dispute_step */
    uint8_t card;    /* row of the test cards */
    uint8_t verdict; /* of SUBMITTED */
    uint8_t part;    /* EXPECTED: of how many disputes of this payment this is the first left */
    uint32_t checksum;
    uint32_t escalated; /* it began as an inquiry, and is none any more */
};

struct issuer_dispute {
    struct map_link by_id;
    struct list_link link; /* until it is over */
    u128 id;
    uint64_t opened_ms; /* 0: not yet */
    u128 evidence;      /* the operation that handed it in; 0: none */
    u128 acceptance;
    struct issuer_dispute_record last; /* the latest of its records */
};

struct issuer_disputes {
    struct issuer_memory *memory;
    struct issuer_settings settings;
    struct map by_id;
    struct list open; /* those that are not over, in the order of their beginning */
    struct issuer_dispute_record *news;
    uint32_t news_count, news_capacity;
    struct os_records records;
};

/* `folder` may be NULL. The memory is open and outlives the disputes. */
MUST_USE err_t issuer_disputes_open(
    struct issuer_disputes *disputes,
    struct issuer_memory *memory,
    const struct issuer_settings *settings,
    struct os_disk *disk,
    const char *folder);
void issuer_disputes_close(struct issuer_disputes *disputes);

/* The request has taken a payment by this authorization, now or when it came first: if its card is
 * one for it, disputes are to be expected, once. */
MUST_USE err_t issuer_disputes_expect(
    struct issuer_disputes *disputes,
    const struct issuer_memory_entry *authorization,
    const struct port_rail_request *rail,
    uint64_t now_ms);

/* NEWS: does what is due, and tells the next that is behind the position. */
MUST_USE err_t issuer_disputes_next(
    struct issuer_disputes *disputes,
    uint64_t position,
    uint64_t now_ms,
    struct port_rail_notice *ret_notice);

/* EVIDENCE, ACCEPT. */
MUST_USE err_t issuer_disputes_answer(
    struct issuer_disputes *disputes,
    const struct port_rail_request *rail,
    enum issuer_verdict verdict,
    uint64_t now_ms,
    enum port_rail_outcome *ret_outcome);

#endif
