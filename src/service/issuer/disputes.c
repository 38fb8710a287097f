#include "disputes.h"

#include "base/assert.h"
#include "base/hash.h"
#include "test_cards.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct issuer_dispute_record) == 112, "record of the disputes' file");

static const struct os_records_format format = {
    .name = "disputes.log",
    .key = {0x6973737565722064, 0x6973707574657331},
    .size = sizeof(struct issuer_dispute_record),
    .number_at = offsetof(struct issuer_dispute_record, number),
    .checksum_at = offsetof(struct issuer_dispute_record, checksum),
};
static_assert(offsetof(struct issuer_dispute_record, number) == 96, "as files have it");
static_assert(offsetof(struct issuer_dispute_record, checksum) == 104, "as files have it");

enum issuer_verdict
issuer_verdict_of(struct span evidence)
{
    static const struct {
        const char *text;
        enum issuer_verdict verdict;
    } texts[] = {
        {"\"uncategorized_text\":\"winning_evidence\"", ISSUER_VERDICT_WON},
        {"\"uncategorized_text\":\"losing_evidence\"", ISSUER_VERDICT_LOST},
        {"\"uncategorized_text\":\"escalate_inquiry_evidence\"", ISSUER_VERDICT_ESCALATED},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t size = strlen(texts[i].text);
        for (size_t at = 0; at + size <= evidence.size; at++) {
            if (memcmp(evidence.data + at, texts[i].text, size) == 0) {
                return texts[i].verdict;
            }
        }
    }
    return ISSUER_VERDICT_NONE;
}

/* ---------------------------------------------------------------------------------- records --- */

static struct issuer_dispute *
find(const struct issuer_disputes *disputes, u128 id)
{
    struct map_link *link = map_find(&disputes->by_id, hash_u128(id));
    for (; link != NULL; link = map_next(link)) {
        struct issuer_dispute *dispute = CONTAINER_OF(link, struct issuer_dispute, by_id);
        if (dispute->id == id) {
            return dispute;
        }
    }
    return NULL;
}

static err_t
find_or_add(struct issuer_disputes *disputes, u128 id, struct issuer_dispute **ret_dispute)
{
    struct issuer_dispute *dispute = find(disputes, id);
    if (dispute == NULL) {
        dispute = calloc(1, sizeof(*dispute));
        if (dispute == NULL) {
            return ERR_MEMORY;
        }
        dispute->id = id;
        err_t error = map_insert(&disputes->by_id, hash_u128(id), &dispute->by_id);
        if (error != ERR_OK) {
            free(dispute);
            return error;
        }
        list_push_back(&disputes->open, &dispute->link);
    }
    *ret_dispute = dispute;
    return ERR_OK;
}

static bool
is_over(const struct issuer_dispute_record *record)
{
    return record->step == ISSUER_DISPUTE_WON || record->step == ISSUER_DISPUTE_LOST ||
           record->step == ISSUER_DISPUTE_CLOSED;
}

static bool
is_news(const struct issuer_dispute_record *record)
{
    switch ((enum issuer_dispute_step)record->step) {
    case ISSUER_DISPUTE_INQUIRY:
    case ISSUER_DISPUTE_DISPUTED:
    case ISSUER_DISPUTE_WON:
    case ISSUER_DISPUTE_LOST:
    case ISSUER_DISPUTE_CLOSED:
        return true;
    case ISSUER_DISPUTE_NONE:
    case ISSUER_DISPUTE_EXPECTED:
    case ISSUER_DISPUTE_SUBMITTED:
    case ISSUER_DISPUTE_ACCEPTED:
        return false;
    }
    return false;
}

static err_t
remember_news(struct issuer_disputes *disputes, const struct issuer_dispute_record *record)
{
    if (disputes->news_count == disputes->news_capacity) {
        uint32_t capacity = disputes->news_capacity == 0 ? 64 : disputes->news_capacity * 2;
        struct issuer_dispute_record *grown =
            realloc(disputes->news, capacity * sizeof(*disputes->news));
        if (grown == NULL) {
            return ERR_MEMORY;
        }
        disputes->news = grown;
        disputes->news_capacity = capacity;
    }
    disputes->news[disputes->news_count++] = *record;
    return ERR_OK;
}

static bool
is_inquiry(const struct issuer_dispute_record *record)
{
    return issuer_test_card_at(record->card)->dispute == ISSUER_DISPUTE_BY_INQUIRY &&
           record->escalated == 0;
}

/* What the record does to the money of its payment. */
static void
apply(struct issuer_disputes *disputes, const struct issuer_dispute_record *record)
{
    struct issuer_memory_entry *entry = issuer_memory_find(disputes->memory, record->authorization);
    if (entry == NULL) {
        return;
    }
    if (record->step == ISSUER_DISPUTE_DISPUTED) {
        entry->disputed += record->amount;
    } else if (record->step == ISSUER_DISPUTE_WON) {
        entry->reinstated += record->amount;
    }
}

static err_t
remember(void *context, const void *added)
{
    struct issuer_disputes *disputes = context;
    const struct issuer_dispute_record *record = added;
    struct issuer_dispute *dispute;
    TRY(find_or_add(disputes, record->dispute, &dispute));
    if (is_news(record)) {
        TRY(remember_news(disputes, record));
    }
    if (dispute->opened_ms == 0 && is_news(record)) {
        dispute->opened_ms = record->at_ms;
    }
    if (record->step == ISSUER_DISPUTE_SUBMITTED) {
        dispute->evidence = record->operation;
    } else if (record->step == ISSUER_DISPUTE_ACCEPTED) {
        dispute->acceptance = record->operation;
    }
    dispute->last = *record;
    if (is_over(record)) {
        list_remove(&dispute->link);
    }
    apply(disputes, record);
    return ERR_OK;
}

static err_t
add(struct issuer_disputes *disputes, struct issuer_dispute_record *record)
{
    if (disputes->records.count >= ISSUER_DISPUTES_MAX) {
        return ERR_FULL;
    }
    TRY(os_records_add(&disputes->records, record));
    return remember(disputes, record);
}

/* The dispute's next step. */
static err_t
go_on(
    struct issuer_disputes *disputes,
    const struct issuer_dispute *dispute,
    enum issuer_dispute_step step,
    uint64_t now_ms)
{
    struct issuer_dispute_record record = dispute->last;
    record.step = (uint8_t)step;
    record.at_ms = now_ms;
    record.operation = 0;
    record.verdict = ISSUER_VERDICT_NONE;
    return add(disputes, &record);
}

/* ----------------------------------------------------------------------------- what is due --- */

/* The part of what is left that this dispute is about: of two the first takes half. */
static int64_t
amount_of(const struct issuer_memory_entry *entry, uint8_t part)
{
    int64_t left = entry->captured - entry->refunded - entry->disputed + entry->reinstated;
    if (entry->voided || part < 2) {
        return entry->voided ? 0 : left;
    }
    int64_t half = left / 2;
    return half - half % 100;
}

static err_t
open_it(
    struct issuer_disputes *disputes,
    struct issuer_dispute *dispute,
    enum issuer_dispute_step step,
    uint64_t now_ms)
{
    const struct issuer_memory_entry *entry =
        issuer_memory_find(disputes->memory, dispute->last.authorization);
    int64_t amount = entry == NULL ? 0 : amount_of(entry, dispute->last.part);
    if (amount <= 0) {
        /* Everything was given back. An inquiry then ends, and nobody hears of what never began. */
        if (dispute->opened_ms != 0) {
            return go_on(disputes, dispute, ISSUER_DISPUTE_CLOSED, now_ms);
        }
        list_remove(&dispute->link);
        map_remove(&disputes->by_id, &dispute->by_id);
        free(dispute);
        return ERR_OK;
    }
    dispute->last.amount = amount;
    dispute->last.due_ms = now_ms + (uint64_t)disputes->settings.dispute_due_ms;
    return go_on(disputes, dispute, step, now_ms);
}

static err_t
decide(struct issuer_disputes *disputes, struct issuer_dispute *dispute, uint64_t now_ms)
{
    bool inquiry = is_inquiry(&dispute->last);
    enum issuer_verdict verdict = (enum issuer_verdict)dispute->last.verdict;
    if (inquiry && verdict == ISSUER_VERDICT_ESCALATED) {
        dispute->last.escalated = 1;
        return open_it(disputes, dispute, ISSUER_DISPUTE_DISPUTED, now_ms);
    }
    enum issuer_dispute_step step = inquiry                         ? ISSUER_DISPUTE_CLOSED
                                    : verdict == ISSUER_VERDICT_WON ? ISSUER_DISPUTE_WON
                                                                    : ISSUER_DISPUTE_LOST;
    return go_on(disputes, dispute, step, now_ms);
}

static err_t
do_what_is_due(struct issuer_disputes *disputes, struct issuer_dispute *dispute, uint64_t now_ms)
{
    const struct issuer_dispute_record *last = &dispute->last;
    uint64_t decided_ms = last->verdict == ISSUER_VERDICT_NONE
                              ? last->due_ms
                              : last->at_ms + (uint64_t)disputes->settings.dispute_delay_ms;
    enum issuer_dispute_kind kind = issuer_test_card_at(last->card)->dispute;
    switch ((enum issuer_dispute_step)last->step) {
    case ISSUER_DISPUTE_EXPECTED:
        if (now_ms < last->at_ms + (uint64_t)disputes->settings.dispute_delay_ms) {
            return ERR_OK;
        }
        return open_it(
            disputes,
            dispute,
            kind == ISSUER_DISPUTE_BY_INQUIRY ? ISSUER_DISPUTE_INQUIRY : ISSUER_DISPUTE_DISPUTED,
            now_ms);
    case ISSUER_DISPUTE_INQUIRY:
    case ISSUER_DISPUTE_DISPUTED:
    case ISSUER_DISPUTE_SUBMITTED:
        return now_ms < decided_ms ? ERR_OK : decide(disputes, dispute, now_ms);
    case ISSUER_DISPUTE_ACCEPTED:
        return go_on(disputes, dispute, ISSUER_DISPUTE_LOST, now_ms);
    case ISSUER_DISPUTE_NONE:
    case ISSUER_DISPUTE_WON:
    case ISSUER_DISPUTE_LOST:
    case ISSUER_DISPUTE_CLOSED:
        return ERR_OK;
    }
    return ERR_OK;
}

/* ---------------------------------------------------------------------------- what is asked --- */

err_t
issuer_disputes_expect(
    struct issuer_disputes *disputes,
    const struct issuer_memory_entry *authorization,
    const struct port_rail_request *rail,
    uint64_t now_ms)
{
    const struct issuer_record *paid = &authorization->record;
    enum issuer_dispute_kind kind = issuer_test_card_at(paid->card)->dispute;
    uint32_t count = kind == ISSUER_DISPUTE_NEVER ? 0 : kind == ISSUER_DISPUTE_TWICE ? 2 : 1;
    if (rail->reference == 0) {
        count = 0; /* by an API that knows no disputes: nobody could place the notices */
    }
    for (uint32_t i = 0; i < count; i++) {
        struct issuer_dispute_record record = {
            .dispute = paid->id ^ (i + 1),
            .authorization = paid->id,
            .reference = rail->reference,
            .scope = rail->scope,
            .at_ms = now_ms,
            .step = ISSUER_DISPUTE_EXPECTED,
            .card = paid->card,
            .part = (uint8_t)(count - i),
        };
        if (find(disputes, record.dispute) == NULL) {
            TRY(add(disputes, &record));
        }
    }
    return ERR_OK;
}

static void
tell(
    const struct issuer_disputes *disputes,
    const struct issuer_dispute_record *record,
    struct port_rail_notice *notice)
{
    static const enum port_rail_news news[] = {
        [ISSUER_DISPUTE_INQUIRY] = PORT_RAIL_NEWS_INQUIRY,
        [ISSUER_DISPUTE_DISPUTED] = PORT_RAIL_NEWS_DISPUTED,
        [ISSUER_DISPUTE_WON] = PORT_RAIL_NEWS_WON,
        [ISSUER_DISPUTE_LOST] = PORT_RAIL_NEWS_LOST,
        [ISSUER_DISPUTE_CLOSED] = PORT_RAIL_NEWS_CLOSED,
    };
    const struct issuer_dispute *dispute = find(disputes, record->dispute);
    bool received = issuer_test_card_at(record->card)->dispute != ISSUER_DISPUTE_NOT_RECEIVED;
    ASSERT(dispute != NULL);
    *notice = (struct port_rail_notice){
        .news = news[record->step],
        .position = record->number,
        .dispute = record->dispute,
        .authorization = record->authorization,
        .reference = record->reference,
        .scope = record->scope,
        .amount = record->amount,
        .opened_ms = dispute->opened_ms,
        .due_ms = record->due_ms,
    };
    /* Visa's reason codes: fraud where the card was not present, and merchandise not received. */
    (void)snprintf(
        notice->reason,
        sizeof(notice->reason),
        "%s",
        received ? "fraudulent" : "product_not_received");
    (void)snprintf(
        notice->network_code, sizeof(notice->network_code), "%s", received ? "10.4" : "13.1");
}

err_t
issuer_disputes_next(
    struct issuer_disputes *disputes,
    uint64_t position,
    uint64_t now_ms,
    struct port_rail_notice *ret_notice)
{
    memset(ret_notice, 0, sizeof(*ret_notice));
    LIST_FOREACH_SAFE (&disputes->open, link) {
        TRY(do_what_is_due(disputes, CONTAINER_OF(link, struct issuer_dispute, link), now_ms));
    }
    uint32_t low = 0;
    uint32_t high = disputes->news_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (disputes->news[middle].number <= position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < disputes->news_count) {
        tell(disputes, &disputes->news[low], ret_notice);
    }
    return ERR_OK;
}

err_t
issuer_disputes_answer(
    struct issuer_disputes *disputes,
    const struct port_rail_request *rail,
    enum issuer_verdict verdict,
    uint64_t now_ms,
    enum port_rail_outcome *ret_outcome)
{
    struct issuer_dispute *dispute = find(disputes, rail->original_id);
    bool accepts = rail->operation == PORT_RAIL_ACCEPT;
    if (dispute == NULL || dispute->opened_ms == 0) {
        *ret_outcome = PORT_RAIL_NOT_FOUND;
        return ERR_OK;
    }
    *ret_outcome = PORT_RAIL_APPROVED;
    if (rail->id == (accepts ? dispute->acceptance : dispute->evidence)) {
        return ERR_OK;
    }
    enum issuer_dispute_step step = (enum issuer_dispute_step)dispute->last.step;
    bool open = (step == ISSUER_DISPUTE_DISPUTED || step == ISSUER_DISPUTE_INQUIRY) &&
                now_ms < dispute->last.due_ms;
    bool may = accepts ? step == ISSUER_DISPUTE_DISPUTED || step == ISSUER_DISPUTE_SUBMITTED : open;
    if (!may) {
        *ret_outcome = PORT_RAIL_DECLINED;
        return ERR_OK;
    }
    struct issuer_dispute_record record = dispute->last;
    record.step = accepts ? ISSUER_DISPUTE_ACCEPTED : ISSUER_DISPUTE_SUBMITTED;
    record.at_ms = now_ms;
    record.operation = rail->id;
    bool grows = verdict == ISSUER_VERDICT_ESCALATED && !is_inquiry(&record);
    record.verdict = (uint8_t)(grows ? ISSUER_VERDICT_NONE : verdict);
    return add(disputes, &record);
}

/* ------------------------------------------------------------------------------- life cycle --- */

err_t
issuer_disputes_open(
    struct issuer_disputes *disputes,
    struct issuer_memory *memory,
    const struct issuer_settings *settings,
    struct os_disk *disk,
    const char *folder)
{
    memset(disputes, 0, sizeof(*disputes));
    disputes->memory = memory;
    disputes->settings = *settings;
    list_init(&disputes->open);
    map_init(&disputes->by_id, ISSUER_DISPUTES_MAX);
    return os_records_open(&disputes->records, &format, disk, folder, remember, disputes);
}

static void
free_dispute(void *context, struct map_link *link)
{
    (void)context;
    free(CONTAINER_OF(link, struct issuer_dispute, by_id));
}

void
issuer_disputes_close(struct issuer_disputes *disputes)
{
    os_records_close(&disputes->records);
    map_each(&disputes->by_id, free_dispute, NULL);
    map_release(&disputes->by_id);
    free(disputes->news);
}
