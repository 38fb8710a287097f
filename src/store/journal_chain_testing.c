#include "journal_chain_testing.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* --- a journal with one transfer in each frame, without the core --- */

err_t
t_open(struct t_chain *t)
{
    struct store_settings settings = store_settings_default();
    settings.segment_size = SEGMENT_SIZE;
    settings.transfer_count_max = 10000;
    struct ledger_limits limits = {
        .account_count_max = 64, .pending_count_max = 64, .expiry_batch_max = 1};
    struct ledger *ledger = NULL;
    assert_int_equal(ledger_create(&limits, &ledger), ERR_OK);
    err_t code = store_open("journal:" FOLDER, t->disk, &settings, &t->store, &t->error);
    if (code == ERR_OK) {
        code = t->store->ops->load(t->store, ledger, &t->error);
    }
    if (code == ERR_OK && ledger_account_count(ledger) > 0) {
        t->transfers = (uint64_t)ledger_account_at(ledger, 0)->debits_posted;
    }
    ledger_destroy(&ledger);
    return code;
}

void
t_close(struct t_chain *t)
{
    if (t->store != NULL) {
        t->store->ops->close(t->store);
        t->store = NULL;
    }
}

static void
t_told(struct os_task *task)
{
    (void)task;
}

static err_t
t_commit(struct t_chain *t, const struct ledger_delta *delta)
{
    struct store_ticket ticket = {.task.run = t_told};
    TRY(t->store->ops->admit(t->store, delta->event_count, delta->account_count));
    TRY(t->store->ops->commit(t->store, delta, &t->executor, &ticket));
    return ticket.error.code;
}

static err_t
t_accounts(struct t_chain *t)
{
    struct ledger_account accounts[2] = {
        {.id = 1, .ledger = 1, .code = 1, .timestamp = 1},
        {.id = 2, .ledger = 1, .code = 1, .timestamp = 2},
    };
    struct ledger_delta delta = {.accounts = accounts, .account_count = 2, .clock = 2};
    return t_commit(t, &delta);
}

err_t
t_transfer(struct t_chain *t)
{
    uint64_t number = t->transfers + 1;
    struct ledger_event event;
    memset(&event, 0, sizeof(event));
    event.transfer.id = 1000 + number;
    event.transfer.debit_account_id = 1;
    event.transfer.credit_account_id = 2;
    event.transfer.amount = 1;
    event.transfer.ledger = 1;
    event.transfer.code = 1;
    event.transfer.timestamp = 10 + number;
    event.timestamp = event.transfer.timestamp;
    event.debit.debits_posted = number;
    event.credit.credits_posted = number;
    event.debit_slot = 0;
    event.credit_slot = 1;
    event.kind = LEDGER_EVENT_SINGLE_PHASE;
    struct ledger_delta delta = {.events = &event, .event_count = 1, .clock = event.timestamp};
    TRY(t_commit(t, &delta));
    t->transfers = number;
    return ERR_OK;
}

void
t_make(struct t_chain *t, bool faults)
{
    *t = (struct t_chain){.executor.post = os_post_now};
    struct os_sim_disk_settings settings = {.seed = 5, .faults = faults};
    assert_int_equal(os_sim_disk_create(&settings, &t->sim), ERR_OK);
    t->disk = os_sim_disk_ops(t->sim);
    assert_int_equal(t_open(t), ERR_OK);
    assert_int_equal(t_accounts(t), ERR_OK);
    while (t->transfers < FRAMES - 1) {
        assert_int_equal(t_transfer(t), ERR_OK);
    }
    t_close(t);
}

void
t_release(struct t_chain *t)
{
    t_close(t);
    os_sim_disk_destroy(&t->sim);
}

/* --- the bytes --- */

char *
t_segment(struct t_chain *t, uint64_t number, struct os_file **ret_file)
{
    char path[JOURNAL_PATH_SIZE];
    assert_true(journal_segment_path(FOLDER, number, path));
    if (t->disk->ops->open(t->disk, path, OS_OPEN_WRITE, false, ret_file, NULL) != ERR_OK) {
        return NULL;
    }
    char *data = malloc(SEGMENT_SIZE);
    assert_non_null(data);
    assert_int_equal(t->disk->ops->read(t->disk, *ret_file, data, SEGMENT_SIZE, 0), ERR_OK);
    return data;
}

void
t_segment_put(struct t_chain *t, struct os_file *file, char *data)
{
    assert_int_equal(t->disk->ops->write(t->disk, file, data, SEGMENT_SIZE, 0), ERR_OK);
    assert_int_equal(t->disk->ops->sync(t->disk, file), ERR_OK);
    t->disk->ops->close(t->disk, file);
    free(data);
}

static u128
t_checksum(const void *data, size_t size, uint64_t seed)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(data, size, seed);
    return u128_make(hash.high64, hash.low64);
}

void
t_segment_seal(char *data, struct journal_segment_header *header)
{
    header->checksum = 0;
    memcpy(data, header, sizeof(*header));
    header->checksum = t_checksum(data, JOURNAL_BLOCK, header->number);
    memcpy(data, header, sizeof(*header));
}

/* The body moves down, where the header of version 1 ends, and what its events link to with it. */
static void
t_body_move(char *data, const struct journal_frame_header *header)
{
    const uint64_t shift = sizeof(*header) - sizeof(struct journal_frame_header_1);
    char *body = data + sizeof(*header) - shift;
    memmove(body, data + sizeof(*header), header->body_size);
    memset(body + header->body_size, 0, shift);
    struct journal_section section;
    const char *reason = NULL;
    assert_int_equal(journal_section_decode(body, header->body_size, &section, &reason), ERR_OK);
    char *event = body + (section.events - body);
    for (uint32_t i = 0; i < section.header.event_count; i++, event += section.event_size) {
        struct journal_event raw;
        memcpy(&raw, event, sizeof(raw));
        raw.debit_link -= raw.debit_link == 0 ? 0 : shift;
        raw.credit_link -= raw.credit_link == 0 ? 0 : shift;
        memcpy(event, &raw, sizeof(raw));
    }
}

static void
t_frame_rewrite_1(struct t_rewrite *rewrite, char *data, const struct journal_frame_header *header)
{
    if (journal_frame_version(header) != JOURNAL_VERSION_FIRST) {
        t_body_move(data, header);
    }
    struct journal_frame_header_1 old = {
        .magic = JOURNAL_FRAME_MAGIC_1,
        .sequence = header->sequence,
        .identity = header->identity,
        .previous = rewrite->chain,
        .size = header->size,
        .body_size = header->body_size,
        .synced = header->synced,
        .term = header->term,
        .section_count = header->section_count,
    };
    memcpy(data, &old, sizeof(old));
    old.checksum = t_checksum(data + sizeof(u128), old.size - sizeof(u128), old.sequence);
    memcpy(data, &old, sizeof(old));
    rewrite->chain = old.checksum;
}

static void
t_frame_rewrite(struct t_rewrite *rewrite, char *data, const struct journal_frame_header *header)
{
    if (header->sequence == rewrite->tampered) {
        char *event =
            data + journal_frame_header_size(header) + sizeof(struct journal_section_header);
        event[offsetof(struct ledger_transfer, user_data_64)] ^= 1;
    }
    uint32_t version = rewrite->version == 0 ? journal_frame_version(header) : rewrite->version;
    if (version == JOURNAL_VERSION_FIRST) {
        t_frame_rewrite_1(rewrite, data, header);
        return;
    }
    struct journal_frame_header again = *header;
    again.previous = rewrite->chain;
    if (!rewrite->checksums) {
        memcpy(again.digest, rewrite->digest, sizeof(again.digest));
        const unsigned char *body = (unsigned char *)data + sizeof(again);
        SHA256(body, again.size - sizeof(again), again.body_digest);
    }
    journal_frame_seal(&again, data);
    rewrite->chain = again.checksum;
    SHA256((unsigned char *)data, sizeof(again), rewrite->digest);
}

void
t_rewrite(struct t_chain *t, struct t_rewrite *rewrite)
{
    struct os_file *file = NULL;
    char *data = NULL;
    for (uint64_t number = 1; (data = t_segment(t, number, &file)) != NULL; number++) {
        struct journal_segment_header segment;
        const char *reason = NULL;
        assert_int_equal(journal_segment_decode(data, &segment, &reason), ERR_OK);
        segment.version = rewrite->version == 0 ? segment.version : rewrite->version;
        segment.chain = rewrite->chain;
        if (!rewrite->checksums) {
            memcpy(segment.digest, rewrite->digest, sizeof(segment.digest));
        }
        t_segment_seal(data, &segment);
        struct journal_frame_header header;
        for (uint64_t at = JOURNAL_BLOCK;
             at < SEGMENT_SIZE && journal_frame_peek(data + at, &header);
             at += header.size) {
            t_frame_rewrite(rewrite, data + at, &header);
        }
        t_segment_put(t, file, data);
    }
}

/* The bytes of frames one after the other. */
struct t_bytes {
    unsigned char data[8 * SEGMENT_SIZE];
    size_t size;
};

static void
t_add_frames(struct t_bytes *bytes, const char *data)
{
    struct journal_frame_header header;
    for (uint64_t at = JOURNAL_BLOCK; at < SEGMENT_SIZE && journal_frame_peek(data + at, &header);
         at += header.size) {
        assert_true(bytes->size + header.size <= sizeof(bytes->data));
        memcpy(bytes->data + bytes->size, data + at, header.size);
        bytes->size += header.size;
    }
}

/* --- reading --- */

static err_t
t_see_event(void *context, const struct ledger_event *event)
{
    (void)event;
    ++*(uint64_t *)context;
    return ERR_OK;
}

err_t
t_verify_noted(
    struct t_chain *t,
    const struct store_head *noted,
    struct store_verify_report *ret_report,
    uint64_t *ret_events)
{
    *ret_events = 0;
    struct store_verify_visitor visitor = {
        .event = t_see_event,
        .context = ret_events,
        .noted = noted,
    };
    return store_verify("journal:" FOLDER, t->disk, &visitor, ret_report, &t->error);
}

err_t
t_verify(struct t_chain *t, struct store_verify_report *ret_report, uint64_t *ret_events)
{
    return t_verify_noted(t, NULL, ret_report, ret_events);
}

void
t_expect_sound(struct t_chain *t, uint64_t events)
{
    struct store_verify_report report;
    uint64_t seen = 0;
    if (t_verify(t, &report, &seen) != ERR_OK) {
        fail_msg("%s", t->error.message);
    }
    assert_int_equal(seen, events);
}

void
t_make_first_version(struct t_chain *t, bool faults, uint8_t ret_digest[JOURNAL_DIGEST_SIZE])
{
    t_make(t, faults);
    struct t_rewrite rewrite = {.version = JOURNAL_VERSION_FIRST};
    t_rewrite(t, &rewrite);
    struct t_bytes *bytes = calloc(1, sizeof(*bytes));
    assert_non_null(bytes);
    struct os_file *file = NULL;
    char *data = NULL;
    for (uint64_t number = 1; (data = t_segment(t, number, &file)) != NULL; number++) {
        t_add_frames(bytes, data);
        t->disk->ops->close(t->disk, file);
        free(data);
    }
    SHA256(bytes->data, bytes->size, ret_digest);
    free(bytes);
}
