#include "journal.h"

#include "os/large.h"
#include "os/process.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
journal_notice(const struct journal *journal, const char *format, ...)
{
    if (journal->settings.notice == NULL) {
        return;
    }
    char text[STORE_MESSAGE_SIZE + 128];
    va_list arguments;
    va_start(arguments, format);
    /* A text that is too long is cut. The analyzer forgets va_start when it inlines. */
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized)
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    journal->settings.notice(journal->settings.notice_context, text);
}

static void
journal_free(struct journal *journal)
{
    os_loop_destroy(journal->orders_loop);
    os_loop_destroy(journal->index_loop);
    os_loop_destroy(journal->digest_loop);
    os_loop_destroy(journal->loop);
    journal_orders_release(&journal->orders);
    store_digest_destroy(&journal->digester);
    os_crew_destroy(&journal->readers.crew);
    for (uint32_t i = 0; i < JOURNAL_READERS_MAX; i++) {
        journal_cache_files_close(&journal->cache, &journal->readers.files[i]);
    }
    journal_cache_release(&journal->cache);
    journal_writer_release(&journal->writer);
    journal_index_release(&journal->index);
    journal_heads_release(&journal->heads);
    journal_pendings_release(&journal->pendings);
    journal_directory_release(&journal->directory);
    snapshot_copy_release(&journal->snapshot);
    journal_adopted_release(&journal->adopted);
    for (uint32_t i = 0; i < journal->frame_count; i++) {
        os_large_free(journal->frames[i].image.data, journal->frame_capacity);
    }
    if (journal->lock != NULL) {
        journal->disk->ops->close(journal->disk, journal->lock);
    }
    if (journal->owned_disk != NULL) {
        journal->free_disk(journal->owned_disk);
    }
    free(journal);
}

/* Parts are made on a thread that has nobody to tell; the engine asks for the status all the time.
 */
static void
orders_tell(struct journal *journal, const struct store_status *status)
{
    err_t code = ERR_OK;
    if (!journal_orders_news(&journal->orders, &code)) {
        return;
    }
    if (code == ERR_OK) {
        journal_notice(journal, "%s/order: parts are made again", journal->folder);
        return;
    }
    journal_notice(
        journal,
        "%s/order: no parts for %" PRIu64
        " segments, which are read whole; tried again when the next "
        "one is full: %s",
        journal->folder,
        status->order_segments_waiting,
        err_text(code));
}

static void
journal_status(struct store *store, struct store_status *ret_status)
{
    struct journal *journal = journal_of(store);
    *ret_status = journal->snapshot.status;
    ret_status->order_segments_waiting = journal_orders_waiting(&journal->orders);
    ret_status->order_failures = atomic_load(&journal->orders.failures);
    orders_tell(journal, ret_status);
}

static void
journal_close(struct store *store)
{
    struct journal *journal = journal_of(store);
    journal_index_stop(&journal->index);
    journal_orders_stop(&journal->orders);
    if (journal->orders_loop != NULL) {
        os_loop_stop(journal->orders_loop);
    }
    if (journal->snapshot.loop != NULL) {
        os_loop_stop(journal->snapshot.loop);
        os_loop_destroy(journal->snapshot.loop);
    }
    if (journal->loop != NULL) {
        /* The first two post to the third, and that to the first. */
        os_loop_stop(journal->index_loop);
        os_loop_stop(journal->digest_loop);
        os_loop_stop(journal->loop);
    }
    journal_free(journal);
}

static void
journal_head(struct store *store, struct store_head *ret_head)
{
    *ret_head = journal_of(store)->head;
}

static const struct store_ops journal_ops = {
    .load = journal_load,
    .look_up = journal_look_up,
    .admit = journal_admit,
    .commit = journal_commit,
    .account_events = journal_account_events,
    .events = journal_events,
    .head = journal_head,
    .failed_ids = journal_failed_ids,
    .close = journal_close,
    .status = journal_status,
};

static err_t
lock_take(struct journal *journal, struct store_error *error)
{
    char path[JOURNAL_PATH_SIZE + 8];
    snprintf(path, sizeof(path), "%s/lock", journal->folder);
    struct os_disk *disk = journal->disk;
    err_t code = disk->ops->open(disk, path, OS_OPEN_WRITE, false, &journal->lock, NULL);
    if (code == ERR_NOT_FOUND) {
        code = disk->ops->open(disk, path, OS_OPEN_CREATE, false, &journal->lock, NULL);
    }
    if (code == ERR_OK) {
        code = disk->ops->lock(disk, journal->lock);
    }
    if (code != ERR_OK) {
        return store_error_set(error, code, "%s: %s", path, err_text(code));
    }
    return ERR_OK;
}

static void
journal_init(struct journal *journal, struct os_disk *disk, const struct store_settings *settings)
{
    journal->store.ops = &journal_ops;
    journal->disk = disk;
    journal->settings = *settings;
    if (settings->snapshot_disk == NULL) {
        journal->settings.snapshot_disk = disk;
    }
    journal->frame_capacity = settings->segment_size - JOURNAL_BLOCK;
    if (journal->frame_capacity > JOURNAL_FRAME_MAX) {
        journal->frame_capacity = JOURNAL_FRAME_MAX;
    }
    uint64_t frames = settings->in_flight_max / journal->frame_capacity;
    frames = frames < JOURNAL_FRAMES_MIN ? JOURNAL_FRAMES_MIN : frames;
    journal->frame_count = (uint32_t)(frames > JOURNAL_FRAMES_MAX ? JOURNAL_FRAMES_MAX : frames);
    for (uint32_t i = 0; i < journal->frame_count; i++) {
        journal->frames[i].journal = journal;
    }
    journal_directory_init(&journal->directory, settings->stretch_count_max);
    journal->writer.disk = disk;
    journal->writer.folder = journal->folder;
    journal->writer.new_segment_size = settings->segment_size;
    journal->writer.prewrites = settings->loops != NULL;
    atomic_init(&journal->writer.segment_ready, 0);
    atomic_init(&journal->writer.space_error, ERR_OK);
    atomic_init(&journal->prepare_posted, false);
    atomic_init(&journal->snapshot.busy, false);
}

/* As many as there are processors beside the engine's: one that waits for its turn holds the
 * others up. */
static uint32_t
readers_count(void)
{
    struct os_machine machine;
    os_machine_describe(&machine);
    const uint32_t others = machine.core_count < 2 ? 1 : machine.core_count - 1;
    return others < JOURNAL_READERS_MAX ? others : JOURNAL_READERS_MAX;
}

static err_t
loops_create(struct journal *journal)
{
    struct os_loops *loops = journal->settings.loops;
    TRY(os_loops_create(loops, "journal", &journal->loop));
    TRY(os_loops_create(loops, "journal-digest", &journal->digest_loop));
    TRY(os_loops_create(loops, "journal-index", &journal->index_loop));
    os_loop_give_way(journal->index_loop);
    if (journal->settings.orders != 0) {
        TRY(os_loops_create(loops, "journal-orders", &journal->orders_loop));
        os_loop_give_way(journal->orders_loop);
    }
    TRY(os_loops_crew(loops, "journal-reader", readers_count(), &journal->readers.crew));
    return store_digest_create(&journal->digester);
}

err_t
journal_open(
    const char *folder,
    struct os_disk *disk,
    const struct store_settings *settings,
    struct journal **ret_journal,
    struct store_error *error)
{
    if (settings->segment_size < JOURNAL_SEGMENT_MIN ||
        settings->segment_size > JOURNAL_SEGMENT_MAX ||
        settings->segment_size % JOURNAL_BLOCK != 0) {
        return store_error_set(error, ERR_RANGE, "segment size: impossible");
    }
    struct journal *journal = calloc(1, sizeof(*journal));
    if (journal == NULL) {
        return store_error_set(error, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    journal_init(journal, disk, settings);
    int length = snprintf(journal->folder, sizeof(journal->folder), "%s", folder);
    err_t code = ERR_OK;
    if (length <= 0 || (size_t)length + 32 > sizeof(journal->folder)) {
        code = store_error_set(error, ERR_RANGE, "%s: the path is too long", folder);
    }
    if (code == ERR_OK) {
        code = journal_cache_init(
            &journal->cache, disk, journal->folder, settings->segment_size, settings->recent_size);
        if (code != ERR_OK) {
            store_error_set(error, code, "%s", err_text(code));
        }
    }
    if (code == ERR_OK) {
        journal_index_init(&journal->index, disk, journal->folder, settings->index_table_entries);
        journal_orders_init(&journal->orders, disk, journal->folder, settings->orders);
        code = lock_take(journal, error);
    }
    if (code == ERR_OK) {
        journal->writer.block = aligned_alloc(JOURNAL_BLOCK, JOURNAL_BLOCK);
        if (journal->writer.block == NULL) {
            code = store_error_set(error, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
        }
    }
    if (code == ERR_OK && settings->loops != NULL) {
        code = loops_create(journal);
        if (code != ERR_OK) {
            store_error_set(error, code, "creating the journal's threads: %s", err_text(code));
        }
    }
    if (code != ERR_OK) {
        journal_free(journal);
        return code;
    }
    *ret_journal = journal;
    return ERR_OK;
}
