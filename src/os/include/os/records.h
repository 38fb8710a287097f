/*
 * A file of records of one fixed size, each with its number and a checksum, appended one at a time
 * and read from the start when it is opened. For simulations that remember: a record is written
 * before the call returns, but not synced, so the file survives kill -9 of the process, not a power
 * cut. Never for money: that is store/'s.
 *
 * Number and checksum are uint32_t in the machine's byte order, where the format says. What ends
 * the file is the first record that is torn, that has another number than its place, or another
 * checksum than its bytes; the next one that is added is written over it.
 *
 *     static const struct os_records_format format = {
 *         .name = "bank.log", .size = sizeof(struct bank_record), ...};
 *     TRY(os_records_open(&records, &format, disk, "bank", remember, memory));
 *     TRY(os_records_add(&records, &record));
 *     os_records_close(&records);
 *
 * One thread at a time.
 */
#ifndef OS_RECORDS_H
#define OS_RECORDS_H

#include "base/err.h"
#include "base/hash.h"
#include "os/file.h"

#define OS_RECORD_SIZE_MAX 256

struct os_records_format {
    const char *name;    /* of the file */
    struct hash_key key; /* of the checksum: a record of another kind of file is none of this */
    size_t size;         /* at most OS_RECORD_SIZE_MAX */
    size_t number_at;    /* offsets of the number (from 1) and of the checksum, */
    size_t checksum_at;  /* which is of all bytes, with itself as zero */
};

struct os_records {
    const struct os_records_format *format;
    struct os_disk *disk;
    struct os_file *file; /* NULL: keeps nothing */
    uint32_t count;
};

/* `record` is borrowed. An error ends the reading. */
typedef err_t (*os_records_each)(void *context, const void *record);

/* Creates folder and file if they are not there. `folder` may be NULL: then nothing is kept.
 * `format` and `disk` must outlive the records. ERR_RANGE: the path is too long; else what the disk
 * or `each` says, and the records must be closed then too. */
MUST_USE err_t os_records_open(
    struct os_records *records,
    const struct os_records_format *format,
    struct os_disk *disk,
    const char *folder,
    os_records_each each,
    void *context);
/* Fills in number and checksum and appends. After an error the record is not there. */
MUST_USE err_t os_records_add(struct os_records *records, void *record);
void os_records_close(struct os_records *records);

#endif
