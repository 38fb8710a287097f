/* What is in a frame, told to the visitor: its sections, and of each the accounts, the events,
 * whose links are compared with the heads, and the failed ids. */
#include "journal_scan.h"

#include "os/large.h"

#include <stdlib.h>
#include <string.h>

/* --- heads --- */

void
journal_heads_release(struct journal_heads *heads)
{
    free(heads->positions);
    *heads = (struct journal_heads){0};
}

err_t
journal_heads_add(struct journal_heads *heads)
{
    if (heads->count == heads->capacity) {
        uint32_t capacity = heads->capacity == 0 ? 1024 : heads->capacity * 2;
        if (capacity < heads->capacity) {
            return ERR_FULL;
        }
        uint64_t *grown = realloc(heads->positions, (size_t)capacity * sizeof(*grown));
        if (grown == NULL) {
            return ERR_MEMORY;
        }
        os_large_wish(grown, (size_t)capacity * sizeof(*grown));
        heads->positions = grown;
        heads->capacity = capacity;
    }
    heads->positions[heads->count++] = 0;
    return ERR_OK;
}

/* --- walking a frame --- */

static err_t
walk_account(struct journal_scan *scan, const char *data)
{
    struct ledger_account account;
    memcpy(&account, data, sizeof(account));
    if ((account.debits_pending | account.debits_posted | account.credits_pending |
         account.credits_posted) != 0) {
        scan->visitor->reason = "new account with balances";
        return ERR_CORRUPT;
    }
    if (scan->links != JOURNAL_LINKS_SKIPPED) {
        TRY(journal_heads_add(&scan->heads));
    }
    const struct journal_visitor *visitor = scan->visitor;
    return visitor->account == NULL ? ERR_OK : visitor->account(visitor->context, &account);
}

/* Checks the links against the heads, which the event then becomes. */
static err_t
walk_links(struct journal_scan *scan, const struct journal_event *raw, journal_position_t position)
{
    if (scan->links == JOURNAL_LINKS_SKIPPED) {
        return ERR_OK;
    }
    scan->visitor->reason = "event names an account that is not there";
    if (raw->debit_slot >= scan->heads.count || raw->credit_slot >= scan->heads.count ||
        raw->debit_slot == raw->credit_slot) {
        return ERR_CORRUPT;
    }
    if (raw->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED) {
        scan->visitor->reason = "expiry with a link";
        return raw->credit_link == 0 ? ERR_OK : ERR_CORRUPT;
    }
    uint64_t *debit_head = &scan->heads.positions[raw->debit_slot];
    uint64_t *credit_head = &scan->heads.positions[raw->credit_slot];
    scan->visitor->reason = "event does not link to its accounts' last events";
    if (scan->links == JOURNAL_LINKS_CHECKED &&
        (raw->debit_link != *debit_head || raw->credit_link != *credit_head)) {
        return ERR_CORRUPT;
    }
    *debit_head = position;
    *credit_head = position;
    scan->visitor->reason = NULL;
    return ERR_OK;
}

static err_t
walk_events(
    struct journal_scan *scan, const struct journal_section *section, journal_position_t position)
{
    bool wide = section->event_size == JOURNAL_EVENT_WIDE;
    for (uint32_t i = 0; i < section->header.event_count; i++) {
        struct ledger_event event;
        struct journal_event raw;
        const char *data = section->events + (size_t)i * section->event_size;
        scan->visitor->reason = "malformed event";
        TRY(journal_event_decode(data, section->event_size, &event, &raw));
        if ((raw.wide == 1) != wide) {
            return ERR_CORRUPT;
        }
        TRY(walk_links(scan, &raw, position));
        if (scan->visitor->event != NULL) {
            TRY(scan->visitor->event(scan->visitor->context, &event, position));
        }
        position += section->event_size;
    }
    return ERR_OK;
}

static err_t
walk_section(
    struct journal_scan *scan, const struct journal_section *section, journal_position_t position)
{
    struct journal_visitor *visitor = scan->visitor;
    const char *start = section->accounts - sizeof(section->header);
    visitor->reason = "account refused";
    for (uint32_t i = 0; i < section->header.account_count; i++) {
        TRY(walk_account(scan, section->accounts + (size_t)i * sizeof(struct ledger_account)));
    }
    TRY(walk_events(scan, section, position + (uint64_t)(section->events - start)));
    position += (uint64_t)(section->failed - start);
    visitor->reason = "failed id refused";
    for (uint32_t i = 0; visitor->failed != NULL && i < section->header.failed_count; i++) {
        u128 id;
        memcpy(&id, section->failed + (size_t)i * sizeof(id), sizeof(id));
        TRY(visitor->failed(visitor->context, id, position));
        position += sizeof(id);
    }
    visitor->reason = "clock refused";
    return visitor->section_end == NULL
               ? ERR_OK
               : visitor->section_end(visitor->context, section->header.clock);
}

err_t
journal_walk_frame(
    struct journal_scan *scan,
    const struct journal_frame_header *header,
    const char *frame,
    journal_position_t position)
{
    struct journal_visitor *visitor = scan->visitor;
    uint64_t done = journal_frame_header_size(header);
    const uint64_t end = done + header->body_size;
    uint64_t clock = 0;
    visitor->reason = NULL;
    if (visitor->frame_begin != NULL) {
        TRY(visitor->frame_begin(visitor->context, header, position));
    }
    for (uint32_t i = 0; i < header->section_count; i++) {
        struct journal_section section;
        TRY(journal_section_decode(frame + done, end - done, &section, &visitor->reason));
        TRY(walk_section(scan, &section, position + done));
        done += section.header.size;
        clock = section.header.clock;
    }
    visitor->reason = "sections do not fill the frame";
    if (done != end) {
        return ERR_CORRUPT;
    }
    visitor->reason = "the header has another clock than the last section";
    if (journal_frame_version(header) > JOURNAL_VERSION_FIRST && header->clock != clock) {
        return ERR_CORRUPT;
    }
    visitor->reason = NULL;
    scan->clock = clock;
    return visitor->frame_end == NULL ? ERR_OK : visitor->frame_end(visitor->context, header);
}
