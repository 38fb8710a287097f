/*
 * A disk in memory that behaves as badly as a real one may.
 *
 * With `faults`, it keeps what is durable apart from what was only written, and a crash keeps, by
 * the seed, any part of the rest:
 *   - of unsynced writes any 512-byte sectors (lost, torn, a later one without an earlier one);
 *     each sector ends as one of the contents that it had since the last sync;
 *   - of unsynced sizes any that the file had since its last sync;
 *   - of creates, renames and removes any, as long as their folder was not synced;
 *   - a failed sync decides at once what of the writes survives, and forgets the rest for good: a
 *     later sync that succeeds does not bring it back (as Linux does).
 * Rules make chosen operations fail, tear, get lost or go to the wrong place; a stop makes it end
 * at the n-th operation, so that a test can crash at every write and every sync.
 *
 * Without `faults` it is just fast memory: the disk behind `memory:`.
 *
 * Thread-safe, one lock. Paths: "." and "/" exist; other folders are made. Files hold at most
 * OS_SIM_FILE_SIZE_MAX bytes; memory is taken only where data was written.
 */
#ifndef OS_SIM_DISK_H
#define OS_SIM_DISK_H

#include "os/file.h"

#define OS_SIM_SECTOR_SIZE    512
#define OS_SIM_FILE_SIZE_MAX  (UINT64_C(1) << 36)
#define OS_SIM_RULES_MAX      16
#define OS_SIM_RULE_PATH_SIZE 256

struct os_sim_disk;

struct os_sim_disk_settings {
    uint64_t seed;
    bool faults;
    bool no_direct;    /* open never answers direct */
    uint64_t capacity; /* bytes of all files together; 0: no limit */
};

MUST_USE err_t
os_sim_disk_create(const struct os_sim_disk_settings *settings, struct os_sim_disk **ret_sim);
/* When no file is open. NULL inside is fine; sets NULL. */
void os_sim_disk_destroy(struct os_sim_disk **sim);
/* Lives as long as the simulation. */
struct os_disk *os_sim_disk_ops(struct os_sim_disk *sim);

enum os_sim_operation {
    OS_SIM_OPEN, /* one that creates; others neither count nor fail */
    OS_SIM_READ, /* does not count */
    OS_SIM_WRITE,
    OS_SIM_SYNC,
    OS_SIM_ALLOCATE,
    OS_SIM_TRUNCATE,
    OS_SIM_RENAME, /* by the path it had */
    OS_SIM_REMOVE,
    OS_SIM_MAKE_FOLDER,
    OS_SIM_SYNC_FOLDER,
    OS_SIM_OPERATION_COUNT,
};

/* The operations so far that count: those that change something, failed ones too. */
uint64_t os_sim_disk_operations(struct os_sim_disk *sim);
/* The name for a test's message. Static. */
const char *os_sim_operation_name(enum os_sim_operation operation);

/* ---- Crashes. Only with `faults`. ---- */

/* Operation number `at` (the first ever is 1; 0: never) happens by the seed wholly, partly or not
 * at all, and fails with ERR_IO; so does everything later, reads included, until the crash. */
void os_sim_disk_stop_at(struct os_sim_disk *sim, uint64_t at);
bool os_sim_disk_is_stopped(struct os_sim_disk *sim);
/* Power fails and comes back. What was open answers ERR_IO from now on and must still be closed;
 * locks are gone; a stop is over; rules stay. Everything that is there now is durable. */
void os_sim_disk_crash(struct os_sim_disk *sim);
/* The process dies (kill -9) and the machine lives on: as a crash, but what was written stays, as
 * little durable as before. */
void os_sim_disk_kill(struct os_sim_disk *sim);
/* Changes of files and names that a crash could lose. */
uint64_t os_sim_disk_unsynced(struct os_sim_disk *sim);

/* ---- Faults. ---- */

enum os_sim_effect {
    OS_SIM_FAIL,      /* fails with `code`; a write, allocate or rename changes nothing */
    OS_SIM_SHORT,     /* for writes: some first bytes are written, then fails with `code` */
    OS_SIM_LOSE,      /* for writes: success is told, nothing is written */
    OS_SIM_MISDIRECT, /* for writes: success is told, written `shift` bytes further */
};

struct os_sim_rule {
    enum os_sim_operation operation;
    enum os_sim_effect effect;
    const char *path_part; /* paths that contain it (as opened); NULL: all. Copied. */
    uint64_t skip;         /* so many matching operations pass first */
    uint64_t times;        /* then so many are hit; 0: all */
    err_t code;            /* of FAIL and SHORT */
    int64_t shift;         /* of MISDIRECT; a place before the file's start is its start */
};

/* The first rule that hits an operation counts; each rule counts for itself what matches it. At
 * most OS_SIM_RULES_MAX. */
void os_sim_disk_add_rule(struct os_sim_disk *sim, const struct os_sim_rule *rule);
void os_sim_disk_clear_rules(struct os_sim_disk *sim);
/* 0: no limit. Writes and allocations that would grow past it are ERR_DISK_FULL; a write may have
 * filled what was left. */
void os_sim_disk_set_capacity(struct os_sim_disk *sim, uint64_t capacity);
/* The medium rots: flips one bit (0 .. 7) of a synced place. ERR_NOT_FOUND
 * without the file, ERR_RANGE past its end. */
MUST_USE err_t
os_sim_disk_flip(struct os_sim_disk *sim, const char *path, uint64_t offset, unsigned bit);

#endif
