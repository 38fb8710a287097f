/*
 * Arbitrary bytes as a snapshot of a small, sound journal: the input is a snapshot's file, of which
 * the checksums, counts and marks are made right, so that what lies behind them is reached; the
 * input's last byte says which of them. Whatever the bytes say, the store starts from the snapshot
 * or passes it over, and the ledger's books balance.
 */
#include "snapshot_file.h"

#include "store/digest.h"
#include "store/store.h"

#include "os/sim_disk.h"

#include <stdlib.h>
#include <string.h>

#define FUZZ_SEGMENT JOURNAL_SEGMENT_MIN
#define FUZZ_FOLDER  "fuzz"
#define FUZZ_MAX     (UINT32_C(1) << 18)

enum {
    FUZZ_BLOCKS = 1, /* make the blocks' checksums and numbers right */
    FUZZ_COUNTS = 2,
    FUZZ_MARKS = 4, /* those of the journal */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(JOURNAL_BLOCK) char image[FUZZ_SEGMENT];
static _Alignas(JOURNAL_BLOCK) char file_data[FUZZ_MAX];
static struct snapshot_mark marks[3]; /* before each frame, and behind the last */

static struct store_digest *digester;
static uint8_t last_digest[STORE_DIGEST_SIZE]; /* of the last frame */

/* --- a journal: two accounts, then a transfer in each of two frames --- */

static uint64_t
frame_put(uint64_t offset, uint64_t sequence, const struct ledger_delta *delta)
{
    char *frame = image + offset;
    struct journal_section section =
        journal_section_encode(delta, false, frame + sizeof(struct journal_frame_header));
    char *out = frame + (section.events - frame);
    for (uint32_t i = 0; i < delta->event_count; i++) {
        const uint64_t first = marks[0].position + sizeof(struct journal_frame_header) +
                               sizeof(struct journal_section_header);
        uint64_t link = sequence == 2 ? 0 : first;
        journal_event_encode(&delta->events[i], link, link, false, out);
    }
    struct journal_frame_header header = {
        .sequence = sequence,
        .identity = 1,
        .previous = sequence == 1 ? 0 : marks[sequence - 2].chain,
        .term = 1,
        .body_size = section.header.size,
        .size = journal_frame_size(section.header.size),
        .synced = sequence == 1 ? 0 : marks[sequence - 2].position,
        .clock = delta->clock,
        .section_count = 1,
    };
    memcpy(header.digest, last_digest, sizeof(last_digest));
    journal_frame_seal(&header, frame);
    err_t code = store_digest_of(digester, frame, sizeof(header), last_digest);
    ASSERT(code == ERR_OK);
    marks[sequence - 1] = (struct snapshot_mark){
        .chain = header.checksum,
        .position = journal_position(1, offset + header.size),
        .sequence = sequence,
    };
    return offset + header.size;
}

static void
journal_fill(void)
{
    memset(image, 0, sizeof(image));
    memset(last_digest, 0, sizeof(last_digest));
    struct journal_segment_header segment = {
        .identity = 1, .number = 1, .segment_size = FUZZ_SEGMENT, .first_sequence = 1};
    journal_segment_encode(&segment, image);
    struct ledger_account accounts[2] = {
        {.id = 1, .ledger = 1, .code = 1, .timestamp = 1},
        {.id = 2, .ledger = 1, .code = 1, .timestamp = 2}};
    struct ledger_event event = {.debit_slot = 0, .credit_slot = 1, .kind = 1};
    uint64_t offset = frame_put(
        JOURNAL_BLOCK,
        1,
        &(struct ledger_delta){.accounts = accounts, .account_count = 2, .clock = 2});
    for (uint64_t i = 2; i <= 3; i++) {
        event.transfer = (struct ledger_transfer){
            .id = i,
            .debit_account_id = 1,
            .credit_account_id = 2,
            .amount = 5,
            .ledger = 1,
            .code = 1,
            .timestamp = i * 10};
        event.timestamp = i * 10;
        event.debit.debits_posted += 5;
        event.credit.credits_posted += 5;
        offset = frame_put(
            offset, i, &(struct ledger_delta){.events = &event, .event_count = 1, .clock = i * 10});
    }
}

/* --- the snapshot --- */

/* Makes the blocks right as far as they go; returns where they end. */
static uint64_t
blocks_fix(uint64_t size, unsigned fix, struct snapshot_header *header)
{
    struct snapshot_digest *digest = NULL;
    err_t code = snapshot_digest_create(header->number, &digest);
    ASSERT(code == ERR_OK);
    uint64_t offset = JOURNAL_BLOCK;
    uint64_t counts[SNAPSHOT_KINDS] = {0};
    struct snapshot_block block;
    const char *reason = NULL;
    header->block_count = 0;
    while (offset < size &&
           snapshot_block_peek(file_data + offset, size - offset, &block, &reason) == ERR_OK) {
        if ((fix & FUZZ_BLOCKS) != 0) {
            block.number = header->block_count;
            snapshot_block_seal(&block, file_data + offset);
        }
        snapshot_digest_add(digest, block.checksum);
        counts[block.kind] += block.count;
        header->block_count++;
        offset += block.size;
    }
    if ((fix & FUZZ_COUNTS) != 0) {
        memcpy(header->counts, counts, sizeof(counts));
    }
    header->digest = snapshot_digest_end(digest);
    snapshot_digest_destroy(&digest);
    return offset;
}

static uint64_t
snapshot_fill(const uint8_t *data, size_t size)
{
    unsigned fix = data[size - 1];
    memset(file_data, 0, JOURNAL_BLOCK);
    memcpy(file_data, data, size - 1);
    struct snapshot_header header;
    memcpy(&header, file_data, sizeof(header));
    if (header.version == SNAPSHOT_VERSION) {
        header.stretch_length = header.counts[SNAPSHOT_KINDS_PLAIN];
        header.counts[SNAPSHOT_PLACED] = header.counts[SNAPSHOT_ADOPTED] = 0;
    }
    header.number = 1;
    header.identity = 1;
    if ((fix & FUZZ_MARKS) != 0) {
        header.begin = marks[0];
        header.end = marks[1];
    }
    header.file_size = blocks_fix(size - 1, fix, &header);
    snapshot_header_encode(&header, file_data);
    return header.file_size;
}

static void
file_write(struct os_disk *disk, const char *path, const char *data, uint64_t size)
{
    struct os_file *file = NULL;
    err_t code = disk->ops->open(disk, path, OS_OPEN_CREATE, false, &file, NULL);
    ASSERT(code == ERR_OK);
    code = disk->ops->write(disk, file, data, size, 0);
    ASSERT(code == ERR_OK);
    disk->ops->close(disk, file);
}

static err_t
load(struct os_disk *disk)
{
    struct store_settings settings = store_settings_default();
    settings.segment_size = FUZZ_SEGMENT;
    settings.transfer_count_max = 10000;
    struct ledger_limits limits = {
        .account_count_max = 1000, .pending_count_max = 1000, .expiry_batch_max = 100};
    struct store *store = NULL;
    struct ledger *ledger = NULL;
    struct store_error error;
    err_t code = ledger_create(&limits, &ledger);
    ASSERT(code == ERR_OK);
    code = store_open("journal:" FUZZ_FOLDER, disk, &settings, &store, &error);
    ASSERT(code == ERR_OK);
    code = store->ops->load(store, ledger, &error);
    /* The whole journal is sound. Only a snapshot that claims to end behind it is refused. */
    ASSERT(code == ERR_OK || code == ERR_CORRUPT || code == ERR_FULL);
    if (code == ERR_OK) {
        code = ledger_validate(ledger);
        ASSERT(code == ERR_OK);
        ASSERT(ledger_account_count(ledger) >= 2);
    }
    store->ops->close(store);
    ledger_destroy(&ledger);
    return error.code;
}

/* Loads the journal with a snapshot of so many bytes beside it; 0: none. */
static err_t
try_with(uint64_t file_size)
{
    struct os_sim_disk *sim = NULL;
    err_t code = os_sim_disk_create(&(struct os_sim_disk_settings){0}, &sim);
    ASSERT(code == ERR_OK);
    struct os_disk *disk = os_sim_disk_ops(sim);
    code = disk->ops->make_folder(disk, FUZZ_FOLDER);
    ASSERT(code == ERR_OK);
    code = disk->ops->make_folder(disk, FUZZ_FOLDER "/snapshot");
    ASSERT(code == ERR_OK);
    file_write(disk, FUZZ_FOLDER "/00000001.log", image, sizeof(image));
    if (file_size > 0) {
        file_write(disk, FUZZ_FOLDER "/snapshot/00000001.snap", file_data, file_size);
    }
    code = load(disk);
    os_sim_disk_destroy(&sim);
    return code;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < JOURNAL_BLOCK || size > FUZZ_MAX) {
        return 0;
    }
    if (digester == NULL) {
        err_t code = store_digest_create(&digester);
        ASSERT(code == ERR_OK);
        journal_fill();
        code = try_with(0); /* or nothing below would say anything of snapshots */
        ASSERT(code == ERR_OK);
    }
    journal_fill();
    (void)try_with(snapshot_fill(data, size));
    return 0;
}
