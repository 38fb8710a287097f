/*
 * One run of the id index: a file of entries in ascending order, with its tables in memory. A run
 * never changes once it was finished, so any thread may search it; reading does not move anything.
 *
 *     journal_run_writer_begin(&writer, ...);
 *     for each entry in ascending order: journal_run_writer_add(&writer, entry);
 *     journal_run_writer_finish(&writer, &run);        or journal_run_writer_abandon(&writer)
 *
 * RUN-4  A run is used only after its file was synced and every checksum but those of the entries'
 *        grains was seen to be right; a grain is believed only after its checksum was compared.
 */
#ifndef STORE_JOURNAL_RUN_H
#define STORE_JOURNAL_RUN_H

#include "journal_run_format.h"

#include "os/file.h"

/* FOLDER/index/00000001.run */
#define JOURNAL_RUN_PATH_SIZE 544
/* Written between two syncs of a run, so that none of them is long. */
#define JOURNAL_RUN_SYNC_BYTES (UINT64_C(8) << 20)

struct journal_run {
    struct os_disk *disk;
    struct os_file *file;
    struct journal_run_header header;
    char *tables;           /* as in the file; the next three point into it */
    const uint64_t *filter; /* NULL: dropped */
    const uint32_t *radix;
    const uint64_t *grain_sums;
};

void journal_run_path(const char *folder, uint64_t number, char out[JOURNAL_RUN_PATH_SIZE]);

/* Opens a finished run and reads its tables. ERR_CORRUPT and ERR_VERSION, ERR_NOT_FOUND,
 * ERR_MEMORY, ERR_IO. The run is the caller's to close. */
MUST_USE err_t journal_run_open(
    struct os_disk *disk, const char *folder, uint64_t number, struct journal_run **ret_run);
/* Also what is half made; sets NULL. */
void journal_run_close(struct journal_run **run);

/* The filter was copied to where look-ups find it: its memory is given back. */
void journal_run_drop_filter(struct journal_run *run);

/* The entry number `nth` (from 0) of those with the hash; reference 0 if there are not so many.
 * ERR_CORRUPT if a grain is damaged, or what reading answered. */
MUST_USE err_t journal_run_find(
    const struct journal_run *run,
    uint64_t hash,
    uint32_t nth,
    struct journal_index_entry *ret_entry);
/* Reads and checks `count` blocks of entries, JOURNAL_RUN_BLOCK bytes each. */
MUST_USE err_t
journal_run_read_blocks(const struct journal_run *run, uint64_t block, uint64_t count, void *out);

/* --- writing --- */

struct journal_run_writer {
    struct os_disk *disk;
    const char *folder;
    struct os_file *file; /* NULL: nothing is begun */
    struct journal_run_header header;
    char *buffer; /* entries that are not written yet */
    uint64_t buffered;
    uint64_t written;  /* bytes of entries in the file */
    uint64_t unsynced; /* bytes since the last sync */
    uint64_t *filter;
    uint32_t *radix;
    uint32_t radix_next; /* the first slot whose start is not known yet */
    uint64_t *grain_sums;
    uint64_t grain_capacity;
    struct journal_index_entry last;
};

/* `header` has identity, number, level, bits and piece; `expected` is about how many entries will
 * come: it sizes the filter. A file that is there already is a crash's, and is replaced. */
MUST_USE err_t journal_run_writer_begin(
    struct journal_run_writer *writer,
    struct os_disk *disk,
    const char *folder,
    const struct journal_run_header *header,
    uint64_t expected);
/* In ascending order (RUN-2). ERR_FULL beyond JOURNAL_RUN_ENTRIES_MAX. */
MUST_USE err_t
journal_run_writer_add(struct journal_run_writer *writer, struct journal_index_entry entry);
/* Writes what is left and syncs. On failure the writer is to be abandoned. */
MUST_USE err_t
journal_run_writer_finish(struct journal_run_writer *writer, struct journal_run **ret_run);
/* Frees everything and removes the file. Nothing after finish. */
void journal_run_writer_abandon(struct journal_run_writer *writer);

#endif
