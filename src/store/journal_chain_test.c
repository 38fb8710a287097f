/*
 * JOURNAL-3, the chain of digests: what frames carry against SHA-256 computed here, a history that
 * was rewritten with every checksum right, and journals of version 1, at each step of a crash.
 */
#include "journal_scan.h"

#include "store/proof.h"
#include "store/verify.h"

#include "os/sim_disk.h"

#include <openssl/sha.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cmocka.h>

#define FOLDER       "chain"
#define SEGMENT_SIZE JOURNAL_SEGMENT_MIN
#define FRAMES       40 /* of one event each: three segments */

struct t_chain {
    struct os_sim_disk *sim;
    struct os_disk *disk;
    struct store *store;
    struct os_executor executor;
    uint64_t transfers;
    struct store_error error;
};

/* --- a journal with one transfer in each frame, without the core --- */

static err_t
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

static void
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

static err_t
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

static void
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

static void
t_release(struct t_chain *t)
{
    t_close(t);
    os_sim_disk_destroy(&t->sim);
}

/* --- the bytes --- */

static char *
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

static void
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

static void
t_segment_seal(char *data, struct journal_segment_header *header)
{
    header->checksum = 0;
    memcpy(data, header, sizeof(*header));
    header->checksum = t_checksum(data, JOURNAL_BLOCK, header->number);
    memcpy(data, header, sizeof(*header));
}

/* What is rewritten and how: each segment and each frame is shown, and sealed again. */
struct t_rewrite {
    uint32_t version;  /* which all get; 0: each keeps its own */
    uint64_t tampered; /* of this frame the first event changes in what no balance tells of */
    bool checksums;    /* only those are made right, and the digests stay as they were */
    u128 chain;
    uint8_t digest[JOURNAL_DIGEST_SIZE];
};

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

static void
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

static err_t
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

static err_t
t_verify(struct t_chain *t, struct store_verify_report *ret_report, uint64_t *ret_events)
{
    return t_verify_noted(t, NULL, ret_report, ret_events);
}

static void
t_expect_sound(struct t_chain *t, uint64_t events)
{
    struct store_verify_report report;
    uint64_t seen = 0;
    if (t_verify(t, &report, &seen) != ERR_OK) {
        fail_msg("%s", t->error.message);
    }
    assert_int_equal(seen, events);
}

/* --- tests --- */

/* Each frame carries the SHA-256 of its body, and that of the header of the frame before it; so
 * does each segment's header. */
static void
frames_carry_the_digest(void **state)
{
    (void)state;
    struct t_chain t;
    t_make(&t, false);
    uint8_t digest[JOURNAL_DIGEST_SIZE] = {0};
    struct os_file *file = NULL;
    char *data = NULL;
    uint64_t frames = 0;
    uint64_t number = 1;
    for (; (data = t_segment(&t, number, &file)) != NULL; number++) {
        struct journal_segment_header segment;
        const char *reason = NULL;
        assert_int_equal(journal_segment_decode(data, &segment, &reason), ERR_OK);
        assert_memory_equal(segment.digest, digest, sizeof(digest));
        struct journal_frame_header header;
        for (uint64_t at = JOURNAL_BLOCK;
             at < SEGMENT_SIZE && journal_frame_peek(data + at, &header);
             at += header.size) {
            assert_memory_equal(header.digest, digest, sizeof(digest));
            const unsigned char *bytes = (unsigned char *)data + at;
            SHA256(bytes + sizeof(header), header.size - sizeof(header), digest);
            assert_memory_equal(header.body_digest, digest, sizeof(digest));
            SHA256(bytes, sizeof(header), digest);
            frames++;
        }
        t.disk->ops->close(t.disk, file);
        free(data);
    }
    assert_true(number > 3);
    assert_int_equal(frames, FRAMES);
    t_expect_sound(&t, FRAMES - 1);
    t_release(&t);
}

/* A frame that carries another digest than that of the frame before it, all checksums right. */
static void
a_broken_chain_is_found(void **state)
{
    (void)state;
    struct t_chain t;
    t_make(&t, false);
    struct t_rewrite rewrite = {.checksums = true, .tampered = 7};
    t_rewrite(&t, &rewrite);
    struct store_verify_report report;
    uint64_t seen = 0;
    assert_int_equal(t_verify(&t, &report, &seen), ERR_CORRUPT);
    assert_non_null(strstr(t.error.message, "another digest"));
    assert_non_null(strstr(t.error.message, "00000001.log"));
    t_release(&t);
}

/* Makes a journal of version 1, and tells the SHA-256 of the bytes of all its frames. */
static void
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

/* The newest segment, which is to be of this version with this digest in its header. */
static void
t_expect_upgraded(struct t_chain *t, const uint8_t digest[JOURNAL_DIGEST_SIZE])
{
    struct os_file *file = NULL;
    char *data = NULL;
    bool upgraded = false;
    for (uint64_t number = 1; (data = t_segment(t, number, &file)) != NULL; number++) {
        struct journal_segment_header segment;
        const char *reason = NULL;
        assert_int_equal(journal_segment_decode(data, &segment, &reason), ERR_OK);
        if (segment.version == JOURNAL_VERSION && !upgraded) {
            upgraded = true;
            assert_memory_equal(segment.digest, digest, JOURNAL_DIGEST_SIZE);
            struct journal_frame_header header;
            if (journal_frame_peek(data + JOURNAL_BLOCK, &header)) {
                assert_memory_equal(header.digest, digest, JOURNAL_DIGEST_SIZE);
            }
        }
        t->disk->ops->close(t->disk, file);
        free(data);
    }
    assert_true(upgraded);
}

static bool
t_count(void *context, const struct ledger_event *event)
{
    (void)event;
    ++*(uint64_t *)context;
    return true;
}

/* Through the frames of both versions, whose sections begin at different places. */
static void
t_expect_events(struct t_chain *t, uint64_t expected)
{
    struct store_query query = {.limit = 8190, .sides = STORE_SIDE_DEBITS | STORE_SIDE_CREDITS};
    uint64_t all = 0;
    uint64_t of_account = 0;
    assert_int_equal(
        t->store->ops->events(t->store, &query, true, t_count, &all, &t->error), ERR_OK);
    assert_int_equal(all, expected);
    assert_int_equal(
        t->store->ops->account_events(t->store, &query, t_count, &of_account, &t->error), ERR_OK);
    assert_int_equal(of_account, expected);
}

static void
the_first_version_goes_on(void **state)
{
    (void)state;
    struct t_chain t;
    uint8_t digest[JOURNAL_DIGEST_SIZE];
    t_make_first_version(&t, false, digest);
    t_expect_sound(&t, FRAMES - 1);
    assert_int_equal(t_open(&t), ERR_OK);
    assert_int_equal(t.transfers, FRAMES - 1);
    t_expect_upgraded(&t, digest);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(t_transfer(&t), ERR_OK);
    }
    t_expect_events(&t, FRAMES - 1 + 20);
    t_close(&t);
    t_expect_upgraded(&t, digest);
    t_expect_sound(&t, FRAMES - 1 + 20);
    assert_int_equal(t_open(&t), ERR_OK);
    assert_int_equal(t.transfers, FRAMES - 1 + 20);
    t_close(&t);
    /* What the upgrade covered is covered for good. */
    struct t_rewrite rewrite = {.checksums = true, .tampered = 7};
    t_rewrite(&t, &rewrite);
    struct store_verify_report report;
    uint64_t seen = 0;
    assert_int_equal(t_verify(&t, &report, &seen), ERR_CORRUPT);
    assert_non_null(strstr(t.error.message, "another digest"));
    t_release(&t);
}

/* A power cut at each step of the first start of this version: nothing is lost, and the digest is
 * what it would have been. */
static void
the_upgrade_survives_power_cuts(void **state)
{
    (void)state;
    uint64_t steps = 0;
    for (uint64_t at = 1;; at++) {
        struct t_chain t;
        uint8_t digest[JOURNAL_DIGEST_SIZE];
        t_make_first_version(&t, true, digest);
        os_sim_disk_stop_at(t.sim, os_sim_disk_operations(t.sim) + at);
        err_t code = t_open(&t);
        bool stopped = os_sim_disk_is_stopped(t.sim);
        t_close(&t);
        if (!stopped) {
            assert_int_equal(code, ERR_OK);
            t_release(&t);
            break;
        }
        steps++;
        os_sim_disk_crash(t.sim);
        if (t_open(&t) != ERR_OK) {
            fail_msg("step %llu: %s", (unsigned long long)at, t.error.message);
        }
        assert_int_equal(t.transfers, FRAMES - 1);
        assert_int_equal(t_transfer(&t), ERR_OK);
        t_close(&t);
        t_expect_upgraded(&t, digest);
        t_expect_sound(&t, FRAMES);
        t_release(&t);
    }
    assert_true(steps >= 6); /* rewrite, sync, folder; create, allocate, header, rename, ... */
}

/* A frame of version 1 behind one of version 2, or the other way round, is no frame there. */
static void
versions_do_not_mix(void **state)
{
    (void)state;
    struct t_chain t;
    t_make(&t, false);
    struct os_file *file = NULL;
    char *data = t_segment(&t, 2, &file);
    assert_non_null(data);
    struct journal_segment_header segment;
    const char *reason = NULL;
    assert_int_equal(journal_segment_decode(data, &segment, &reason), ERR_OK);
    segment.version = JOURNAL_VERSION_FIRST;
    t_segment_seal(data, &segment);
    t_segment_put(&t, file, data);
    struct store_verify_report report;
    uint64_t seen = 0;
    assert_int_equal(t_verify(&t, &report, &seen), ERR_CORRUPT);
    assert_non_null(strstr(t.error.message, "older version"));
    t_release(&t);
}

/* --- heads --- */

static struct store_head
t_head(struct t_chain *t)
{
    struct store_head head;
    if (store_head_read("journal:" FOLDER, t->disk, &head, &t->error) != ERR_OK) {
        fail_msg("%s", t->error.message);
    }
    return head;
}

/* The head from the newest segment alone is what the store says, and what reading everything
 * finds; at each length of a journal, at segments' ends too. */
static void
heads_agree(void **state)
{
    (void)state;
    struct t_chain t;
    t_make(&t, false);
    for (int i = 0; i < 20; i++) {
        struct store_verify_report report;
        uint64_t seen = 0;
        struct store_head head = t_head(&t);
        assert_int_equal(t_verify_noted(&t, &head, &report, &seen), ERR_OK);
        assert_memory_equal(&report.head, &head, sizeof(head));
        assert_int_equal(head.sequence, t.transfers + 1);
        assert_int_equal(head.timestamp, 10 + t.transfers);
        assert_int_equal(t_open(&t), ERR_OK);
        struct store_head of_store;
        t.store->ops->head(t.store, &of_store);
        assert_memory_equal(&of_store, &head, sizeof(head));
        assert_int_equal(t_transfer(&t), ERR_OK);
        t.store->ops->head(t.store, &of_store);
        t_close(&t);
        head = t_head(&t);
        assert_memory_equal(&of_store, &head, sizeof(head));
    }
    t_release(&t);
}

/* Whoever rewrites history and makes every checksum and digest right is found by a head that was
 * noted at or after the change, and by nothing else. */
static void
a_noted_head_finds_rewritten_history(void **state)
{
    (void)state;
    struct t_chain t;
    t_make(&t, false);
    struct store_head noted = t_head(&t);
    assert_int_equal(t_open(&t), ERR_OK);
    assert_int_equal(t_transfer(&t), ERR_OK);
    t_close(&t);
    struct store_verify_report report;
    uint64_t seen = 0;
    assert_int_equal(t_verify_noted(&t, &noted, &report, &seen), ERR_OK);
    for (uint64_t tampered = 2; tampered <= FRAMES + 1; tampered++) {
        struct t_rewrite rewrite = {.tampered = tampered};
        t_rewrite(&t, &rewrite);
        t_expect_sound(&t, FRAMES); /* without the head nothing is to be seen */
        err_t code = t_verify_noted(&t, &noted, &report, &seen);
        if (tampered <= noted.sequence) {
            assert_int_equal(code, ERR_CORRUPT);
            assert_non_null(strstr(t.error.message, "rewritten"));
        } else {
            assert_int_equal(code, ERR_OK); /* what came after it does not concern it */
        }
        rewrite = (struct t_rewrite){.tampered = tampered};
        t_rewrite(&t, &rewrite); /* back again */
        assert_int_equal(t_verify_noted(&t, &noted, &report, &seen), ERR_OK);
    }
    noted.sequence += 2;
    assert_int_equal(t_verify_noted(&t, &noted, &report, &seen), ERR_CORRUPT);
    assert_non_null(strstr(t.error.message, "history ends"));
    t_release(&t);
}

static void
heads_are_text(void **state)
{
    (void)state;
    struct store_head head = {.sequence = 12, .segment = 1, .offset = 69632, .timestamp = 5};
    struct store_head again;
    const char *reason = NULL;
    char text[STORE_HEAD_TEXT_SIZE];
    memset(head.digest, 0xa5, sizeof(head.digest));
    store_head_format(&head, text);
    assert_int_equal(strncmp(text, "12:1/69632:5:a5a5", 17), 0);
    assert_int_equal(store_head_parse(span_from_cstr(text), &again, &reason), ERR_OK);
    assert_memory_equal(&again, &head, sizeof(head));
    head.sequence = head.segment = head.offset = head.timestamp = UINT64_MAX;
    store_head_format(&head, text);
    assert_int_equal(store_head_parse(span_from_cstr(text), &again, &reason), ERR_OK);
    assert_memory_equal(&again, &head, sizeof(head));

    static const char *const bad[] = {
        "",
        ":",
        "x:1/2:3:",
        "1:2:3:",
        "1:2/3:4",
        "1:2/3:4:",
        "1:2/3::a5",
        "1:2/:4:a5",
        "18446744073709551616:1/2:3:",
        "1:2/3:4:A5",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        reason = NULL;
        assert_int_equal(store_head_parse(span_from_cstr(bad[i]), &again, &reason), ERR_INVALID);
        assert_non_null(reason);
    }
    text[strlen(text) - 1] = 'g';
    assert_int_equal(store_head_parse(span_from_cstr(text), &again, &reason), ERR_INVALID);
    text[strlen(text) - 1] = '\0';
    assert_int_equal(store_head_parse(span_from_cstr(text), &again, &reason), ERR_INVALID);
}

/* --- evidence --- */

/* What an auditor does: recomputes from the bytes that were told. */
struct t_evidence {
    uint8_t digest[JOURNAL_DIGEST_SIZE]; /* of the last header */
    bool whole;
    uint64_t headers;
    struct ledger_transfer transfer;
};

static err_t
t_found(
    void *context,
    const struct store_proof_frame *frame,
    uint64_t transfer_at,
    const struct ledger_transfer *transfer)
{
    struct t_evidence *evidence = context;
    const unsigned char *bytes = (const unsigned char *)frame->bytes;
    uint8_t body[JOURNAL_DIGEST_SIZE];
    SHA256(bytes + frame->header_size, frame->size - frame->header_size, body);
    evidence->whole = memcmp(body, bytes + 96, sizeof(body)) == 0 &&
                      memcmp(bytes + transfer_at, transfer, sizeof(*transfer)) == 0;
    evidence->transfer = *transfer;
    SHA256(bytes, frame->header_size, evidence->digest);
    return ERR_OK;
}

static err_t
t_later(void *context, const struct store_proof_frame *frame)
{
    struct t_evidence *evidence = context;
    evidence->headers++;
    if (memcmp(frame->bytes + 64, evidence->digest, sizeof(evidence->digest)) != 0) {
        evidence->whole = false;
    }
    SHA256((const unsigned char *)frame->bytes, frame->header_size, evidence->digest);
    return ERR_OK;
}

static err_t
t_prove(
    struct t_chain *t,
    u128 id,
    const struct store_head *noted,
    const struct store_proof_visitor *visitor,
    struct store_head *ret_head)
{
    const struct store_proof_question question = {id, noted};
    return store_prove("journal:" FOLDER, t->disk, &question, visitor, ret_head, &t->error);
}

static void
transfers_are_proved(void **state)
{
    (void)state;
    struct t_chain t;
    t_make(&t, false);
    struct store_head newest = t_head(&t);
    struct store_head head;
    for (uint64_t number = 1; number < FRAMES; number++) {
        struct t_evidence evidence = {.headers = 0};
        const struct store_proof_visitor visitor = {
            .found = t_found, .later = t_later, .context = &evidence};
        assert_int_equal(t_prove(&t, 1000 + number, NULL, &visitor, &head), ERR_OK);
        assert_true(evidence.whole);
        assert_true(evidence.transfer.id == 1000 + number);
        assert_int_equal(evidence.headers, FRAMES - 1 - number);
        assert_memory_equal(evidence.digest, newest.digest, sizeof(newest.digest));
        assert_memory_equal(&head, &newest, sizeof(head));
    }
    struct t_evidence evidence = {.headers = 0};
    const struct store_proof_visitor visitor = {
        .found = t_found, .later = t_later, .context = &evidence};
    assert_int_equal(t_prove(&t, 5, NULL, &visitor, &head), ERR_NOT_FOUND);
    /* Up to a head in between; what came behind it is not there for it. */
    assert_int_equal(t_open(&t), ERR_OK);
    assert_int_equal(t_transfer(&t), ERR_OK);
    t_close(&t);
    evidence = (struct t_evidence){.headers = 0};
    assert_int_equal(t_prove(&t, 1001, &newest, &visitor, &head), ERR_OK);
    assert_memory_equal(&head, &newest, sizeof(head));
    assert_memory_equal(evidence.digest, newest.digest, sizeof(newest.digest));
    assert_int_equal(t_prove(&t, 1000 + t.transfers, &newest, &visitor, &head), ERR_NOT_FOUND);
    newest.digest[0] ^= 1;
    assert_int_equal(t_prove(&t, 1001, &newest, &visitor, &head), ERR_CORRUPT);
    t_release(&t);
}

/* Of version 1 there is no evidence but the whole; and a head only behind the upgrade. */
static void
the_first_version_has_no_short_evidence(void **state)
{
    (void)state;
    struct t_chain t;
    uint8_t digest[JOURNAL_DIGEST_SIZE];
    t_make_first_version(&t, false, digest);
    struct store_head head;
    struct store_head again;
    assert_int_equal(store_head_read("journal:" FOLDER, t.disk, &head, &t.error), ERR_VERSION);
    struct store_verify_report report;
    uint64_t seen = 0;
    assert_int_equal(t_verify(&t, &report, &seen), ERR_OK);
    assert_memory_equal(report.head.digest, digest, sizeof(digest));
    assert_int_equal(t_open(&t), ERR_OK);
    t_close(&t);
    head = t_head(&t);
    assert_memory_equal(&head, &report.head, sizeof(head));
    assert_int_equal(t_open(&t), ERR_OK);
    assert_int_equal(t_transfer(&t), ERR_OK);
    t_close(&t);
    struct t_evidence evidence = {.headers = 0};
    const struct store_proof_visitor visitor = {
        .found = t_found, .later = t_later, .context = &evidence};
    assert_int_equal(t_prove(&t, 1001, NULL, &visitor, &again), ERR_UNSUPPORTED);
    assert_int_equal(t_prove(&t, 1000 + t.transfers, NULL, &visitor, &again), ERR_OK);
    assert_true(evidence.whole);
    assert_int_equal(t_verify_noted(&t, &head, &report, &seen), ERR_OK);
    t_release(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_carry_the_digest),
        cmocka_unit_test(a_broken_chain_is_found),
        cmocka_unit_test(the_first_version_goes_on),
        cmocka_unit_test(the_upgrade_survives_power_cuts),
        cmocka_unit_test(versions_do_not_mix),
        cmocka_unit_test(heads_agree),
        cmocka_unit_test(a_noted_head_finds_rewritten_history),
        cmocka_unit_test(heads_are_text),
        cmocka_unit_test(transfers_are_proved),
        cmocka_unit_test(the_first_version_has_no_short_evidence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
