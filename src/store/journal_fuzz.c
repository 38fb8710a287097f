/*
 * Arbitrary bytes as the body of a journal: the fuzzer's input is put behind a sound segment
 * header, as a frame whose checksum is right, and the whole is verified and loaded. Whatever the
 * bytes say, the answer is a refusal with a place, or a ledger whose books balance.
 */
#include "journal_format.h"

#include "store/store.h"

#include "os/sim_disk.h"

#include <string.h>

#define FUZZ_SEGMENT JOURNAL_SEGMENT_MIN
#define FUZZ_FOLDER  "fuzz"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(JOURNAL_BLOCK) char image[FUZZ_SEGMENT];

/* The clock of the last section that the bytes say is there: what the header has to have. */
static uint64_t
last_clock(const uint8_t *data, size_t size, uint32_t section_count)
{
    uint64_t clock = 0;
    size_t done = 0;
    for (uint32_t i = 0; i < section_count; i++) {
        struct journal_section section;
        const char *reason = NULL;
        if (journal_section_decode((const char *)data + done, size - done, &section, &reason) !=
            ERR_OK) {
            break;
        }
        clock = section.header.clock;
        done += section.header.size;
    }
    return clock;
}

/* The input's first byte says how many sections it claims to have. */
static void
image_fill(const uint8_t *data, size_t size)
{
    memset(image, 0, sizeof(image));
    struct journal_segment_header segment = {
        .identity = 1, .number = 1, .segment_size = FUZZ_SEGMENT, .first_sequence = 1};
    journal_segment_encode(&segment, image);
    struct journal_frame_header frame = {
        .sequence = 1,
        .identity = 1,
        .term = 1,
        .body_size = size - 1,
        .size = journal_frame_size(size - 1),
        .section_count = data[0],
    };
    memcpy(image + JOURNAL_BLOCK + sizeof(frame), data + 1, size - 1);
    frame.clock = last_clock(data + 1, size - 1, data[0]);
    journal_frame_seal(&frame, image + JOURNAL_BLOCK);
}

static void
image_write(struct os_disk *disk)
{
    struct os_file *file = NULL;
    err_t code = disk->ops->make_folder(disk, FUZZ_FOLDER);
    ASSERT(code == ERR_OK);
    code = disk->ops->open(disk, FUZZ_FOLDER "/00000001.log", OS_OPEN_CREATE, false, &file, NULL);
    ASSERT(code == ERR_OK);
    code = disk->ops->write(disk, file, image, sizeof(image), 0);
    ASSERT(code == ERR_OK);
    disk->ops->close(disk, file);
}

static void
load(struct os_disk *disk)
{
    struct store_settings settings = store_settings_default();
    settings.segment_size = FUZZ_SEGMENT;
    settings.transfer_count_max = 10000;
    struct ledger_limits limits = {
        .account_count_max = 512, .pending_count_max = 512, .expiry_batch_max = 1};
    struct ledger *ledger = NULL;
    struct store *store = NULL;
    struct store_error error;
    err_t code = ledger_create(&limits, &ledger);
    ASSERT(code == ERR_OK);
    code = store_open("journal:" FUZZ_FOLDER, disk, &settings, &store, &error);
    ASSERT(code == ERR_OK);
    code = store->ops->load(store, ledger, &error);
    if (code == ERR_OK) {
        code = ledger_validate(ledger);
        ASSERT(code == ERR_OK);
    } else {
        ASSERT(error.message[0] != '\0');
    }
    store->ops->close(store);
    ledger_destroy(&ledger);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > FUZZ_SEGMENT - 2 * JOURNAL_BLOCK) {
        return 0;
    }
    image_fill(data, size);
    struct os_sim_disk *sim = NULL;
    err_t code = os_sim_disk_create(&(struct os_sim_disk_settings){0}, &sim);
    ASSERT(code == ERR_OK);
    image_write(os_sim_disk_ops(sim));
    load(os_sim_disk_ops(sim));
    os_sim_disk_destroy(&sim);
    return 0;
}
