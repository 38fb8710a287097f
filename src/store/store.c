#include "store/store.h"

#include "journal.h"
#include "postgres.h"

#include "os/sim_disk.h"

#include <string.h>

struct store_settings
store_settings_default(void)
{
    return (struct store_settings){
        .segment_size = UINT64_C(64) << 20,
        .in_flight_max = UINT64_C(64) << 20,
        .transfer_count_max = UINT64_C(200) * 1000 * 1000,
        .index_table_entries = 0,
        .loops = NULL,
        .snapshot_interval = UINT64_C(128) << 20,
        .stretch_count_max = JOURNAL_STRETCHES_MAX,
        .recent_size = UINT64_C(256) << 20,
    };
}

/* Makes the folder and makes its name durable in the folder above it. */
static err_t
folder_make(struct os_disk *disk, const char *folder, struct store_error *error)
{
    char parent[JOURNAL_PATH_SIZE];
    size_t length = strlen(folder);
    if (length == 0 || length + 1 > sizeof(parent)) {
        return store_error_set(error, ERR_RANGE, "journal folder: the path is empty or too long");
    }
    err_t code = disk->ops->make_folder(disk, folder);
    if (code != ERR_OK) {
        return store_error_set(error, code, "%s: %s", folder, err_text(code));
    }
    memcpy(parent, folder, length + 1);
    char *slash = strrchr(parent, '/');
    if (slash == NULL) {
        memcpy(parent, ".", 2);
    } else {
        slash[slash == parent ? 1 : 0] = '\0';
    }
    code = disk->ops->sync_folder(disk, parent);
    if (code != ERR_OK) {
        return store_error_set(error, code, "%s: %s", parent, err_text(code));
    }
    return ERR_OK;
}

static err_t
open_journal(
    const char *folder,
    struct os_disk *disk,
    const struct store_settings *settings,
    struct store **ret_store,
    struct store_error *error)
{
    TRY(folder_make(disk, folder, error));
    struct journal *journal = NULL;
    TRY(journal_open(folder, disk, settings, &journal, error));
    *ret_store = &journal->store;
    return ERR_OK;
}

static void
memory_free(void *disk)
{
    struct os_sim_disk *sim = disk;
    os_sim_disk_destroy(&sim);
}

static err_t
open_memory(
    const struct store_settings *settings, struct store **ret_store, struct store_error *error)
{
    struct os_sim_disk *sim = NULL;
    err_t code = os_sim_disk_create(&(struct os_sim_disk_settings){0}, &sim);
    if (code != ERR_OK) {
        return store_error_set(error, code, "memory: %s", err_text(code));
    }
    struct store_settings own = *settings;
    own.loops = NULL;
    own.snapshot_disk = NULL;
    own.snapshot_interval = 0; /* nothing will start from one */
    struct os_disk *disk = os_sim_disk_ops(sim);
    struct journal *journal = NULL;
    code = folder_make(disk, "ledger", error);
    if (code == ERR_OK) {
        code = journal_open("ledger", disk, &own, &journal, error);
    }
    if (code != ERR_OK) {
        os_sim_disk_destroy(&sim);
        return code;
    }
    journal->owned_disk = sim;
    journal->free_disk = memory_free;
    *ret_store = &journal->store;
    return ERR_OK;
}

bool
store_is_shared(const char *url)
{
    struct span rest = span_from_cstr(url);
    return span_starts_with(rest, SPAN("postgres://")) ||
           span_starts_with(rest, SPAN("postgresql://"));
}

err_t
store_open(
    const char *url,
    struct os_disk *disk,
    const struct store_settings *settings,
    struct store **ret_store,
    struct store_error *error)
{
    *error = (struct store_error){0};
    struct span rest = span_from_cstr(url);
    if (span_starts_with(rest, SPAN("journal:"))) {
        return open_journal(url + strlen("journal:"), disk, settings, ret_store, error);
    }
    if (span_equal(rest, SPAN("memory:"))) {
        return open_memory(settings, ret_store, error);
    }
    if (store_is_shared(url)) {
        return store_pg_open(url, settings, ret_store, error);
    }
    return store_error_set(
        error,
        ERR_UNSUPPORTED,
        "%s: no such store: journal:FOLDER, memory: and postgres://... are known",
        url);
}
