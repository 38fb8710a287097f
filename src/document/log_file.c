/*
 * SQLite's write-ahead log, written in one piece. SQLite writes each page of a commit with two
 * system calls; here they gather in memory until it asks for the sync, or for anything else that
 * could tell the difference. Other connections look at a frame only when the transaction is over,
 * and with it that sync.
 *
 * A VFS of our own in front of the default one; files other than the log pass through untouched.
 */
#include "page_cache.h"
#include "sqlite.h"

#include "base/assert.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define GATHER_SIZE (1 << 20)
/* SQLite's unix VFS takes no write of 128 KiB or more. */
#define WRITE_MAX (124 * 1024)

struct log_file {
    sqlite3_file base; /* first */
    sqlite3_file *real;
    char *gathered; /* GATHER_SIZE bytes */
    int size;
    sqlite3_int64 offset;        /* of the first of them in the file */
    const char *name;            /* SQLite's, as long as the file is open */
    bool defer;                  /* the sync of a commit is not ours */
    bool header_written;         /* since the last sync */
    bool (*read)(void *context); /* asked before each page that is read; NULL: nobody */
    void *read_context;
};

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    pthread_mutex_t mutex;
    bool registered;
} log_vfs = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static struct log_file *
log_of(sqlite3_file *file)
{
    return (struct log_file *)(void *)file;
}

static sqlite3_file *
real_of(sqlite3_file *file)
{
    return log_of(file)->real;
}

/* SQLite takes ENOSPC only for a full disk. A quota that is used up, and a file that may not grow,
 * are no more of a failure: it goes on when there is room. */
static int
write_through(struct log_file *log, const void *data, int size, sqlite3_int64 offset)
{
    const sqlite3_io_methods *methods = log->real->pMethods;
    int code = methods->xWrite(log->real, data, size, offset);
    int number = 0;
    if (code != SQLITE_IOERR_WRITE ||
        methods->xFileControl(log->real, SQLITE_FCNTL_LAST_ERRNO, &number) != SQLITE_OK) {
        return code;
    }
    return number == EDQUOT || number == EFBIG ? SQLITE_FULL : code;
}

static int
flush(struct log_file *log)
{
    /* Whatever comes of it, nothing is written twice: after a failure SQLite begins anew. */
    int size = log->size;
    log->size = 0;
    for (int at = 0; at < size; at += WRITE_MAX) {
        int part = size - at < WRITE_MAX ? size - at : WRITE_MAX;
        int code = write_through(log, log->gathered + at, part, log->offset + at);
        if (code != SQLITE_OK) {
            return code;
        }
    }
    return SQLITE_OK;
}

static int
log_close(sqlite3_file *file)
{
    struct log_file *log = log_of(file);
    int flushed = flush(log);
    int closed = log->real->pMethods->xClose(log->real);
    free(log->gathered);
    log->gathered = NULL;
    return flushed != SQLITE_OK ? flushed : closed;
}

static int
log_read(sqlite3_file *file, void *out, int size, sqlite3_int64 offset)
{
    const struct log_file *log = log_of(file);
    int code = flush(log_of(file));
    if (code != SQLITE_OK) {
        return code;
    }
    if (log->read != NULL && !log->read(log->read_context)) {
        return SQLITE_IOERR_FSYNC;
    }
    return real_of(file)->pMethods->xRead(real_of(file), out, size, offset);
}

static int
log_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    struct log_file *log = log_of(file);
    ASSERT(size >= 0);
    bool follows = log->size > 0 && offset == log->offset + log->size;
    if (log->size > 0 && (!follows || size > GATHER_SIZE - log->size)) {
        int code = flush(log);
        if (code != SQLITE_OK) {
            return code;
        }
    }
    if (size > GATHER_SIZE) {
        return write_through(log, data, size, offset);
    }
    log->header_written = log->header_written || offset == 0;
    if (log->size == 0) {
        log->offset = offset;
    }
    memcpy(log->gathered + log->size, data, (size_t)size);
    log->size += size;
    return SQLITE_OK;
}

static int
log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int code = flush(log_of(file));
    return code != SQLITE_OK ? code : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int
log_sync(sqlite3_file *file, int flags)
{
    struct log_file *log = log_of(file);
    int code = flush(log);
    if (code != SQLITE_OK) {
        return code;
    }
    /* The log's header, when the log begins anew, must reach the disk before any frame behind it:
     * else old frames could be taken for new ones. SQLite syncs it by itself, in a commit. */
    if (log->defer && !log->header_written) {
        return SQLITE_OK;
    }
    log->header_written = false;
    return log->real->pMethods->xSync(log->real, flags);
}

static int
log_size(sqlite3_file *file, sqlite3_int64 *size)
{
    int code = flush(log_of(file));
    return code != SQLITE_OK ? code : real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int
log_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int
log_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int
log_check_lock(sqlite3_file *file, int *reserved)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), reserved);
}

static int
log_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int
log_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int
log_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static const sqlite3_io_methods log_methods = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_check_lock,
    .xFileControl = log_control,
    .xSectorSize = log_sector_size,
    .xDeviceCharacteristics = log_characteristics,
};

static int
vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *out, int flags, int *ret_flags)
{
    (void)vfs;
    if ((flags & SQLITE_OPEN_WAL) == 0) {
        return log_vfs.real->xOpen(log_vfs.real, name, out, flags, ret_flags);
    }
    struct log_file *log = log_of(out);
    *log = (struct log_file){.real = (sqlite3_file *)(void *)(log + 1), .name = name};
    log->gathered = malloc(GATHER_SIZE);
    if (log->gathered == NULL) {
        return SQLITE_NOMEM;
    }
    int code = log_vfs.real->xOpen(log_vfs.real, name, log->real, flags, ret_flags);
    if (code != SQLITE_OK || log->real->pMethods == NULL) {
        free(log->gathered);
        log->gathered = NULL;
        return code;
    }
    log->base.pMethods = &log_methods;
    return SQLITE_OK;
}

void
document_log_defer(sqlite3_file *file, bool on)
{
    ASSERT(file->pMethods == &log_methods);
    log_of(file)->defer = on;
}

void
document_log_watch(sqlite3_file *file, bool (*read)(void *context), void *context)
{
    ASSERT(file->pMethods == &log_methods);
    log_of(file)->read = read;
    log_of(file)->read_context = context;
}

const char *
document_log_name(sqlite3_file *file)
{
    ASSERT(file->pMethods == &log_methods);
    return log_of(file)->name;
}

const char *
document_log_vfs(void)
{
    static const char name[] = "tael-log";
    int locked = pthread_mutex_lock(&log_vfs.mutex);
    ASSERT(locked == 0);
    if (!log_vfs.registered) {
        document_page_cache_install();
        log_vfs.real = sqlite3_vfs_find(NULL);
        ASSERT(log_vfs.real != NULL);
        log_vfs.vfs = *log_vfs.real;
        log_vfs.vfs.zName = name;
        log_vfs.vfs.szOsFile = (int)sizeof(struct log_file) + log_vfs.real->szOsFile;
        log_vfs.vfs.xOpen = vfs_open;
        log_vfs.registered = sqlite3_vfs_register(&log_vfs.vfs, 0) == SQLITE_OK;
        ASSERT(log_vfs.registered);
    }
    int unlocked = pthread_mutex_unlock(&log_vfs.mutex);
    ASSERT(unlocked == 0);
    return name;
}
