/*
 * The ledger's engine: the pure core and its store on a loop of their own, offered as the ledger
 * port. Requests from any thread are executed one after the other in the order of their arrival;
 * a group of them becomes durable together, and each is answered when what it changed or showed is
 * durable.
 *
 *     submit --> queue --> execute (core + store tables) --> group --> durable --> done
 *                  |                                           |
 *                  |  too many under way: ERR_BUSY             |  the store failed:
 *                  |  no room: ERR_FULL, ERR_DISK_FULL         |  ERR_OUTCOME_UNKNOWN
 *
 * After a failure of the store everything that was under way is answered ERR_OUTCOME_UNKNOWN, what
 * waits ERR_BUSY, the core is discarded and both are loaded again. If that fails the engine stays
 * failed, answers ERR_BUSY, and its status says why.
 *
 * A store that several processes can reach (store_is_shared) is tried again and again instead, as
 * long as another process has the ledger (this one is a standby) or the database cannot be reached,
 * or has no room.
 * An engine may also start as a standby.
 */
#ifndef ENGINE_LEDGER_ENGINE_H
#define ENGINE_LEDGER_ENGINE_H

#include "base/buf.h"
#include "os/clock.h"
#include "os/loops.h"
#include "port/ledger.h"
#include "store/store.h"

struct ledger_engine;

enum ledger_engine_health {
    LEDGER_ENGINE_RUNNING,
    LEDGER_ENGINE_RELOADING,
    LEDGER_ENGINE_STANDBY,     /* another process has the ledger; tried again and again */
    LEDGER_ENGINE_UNREACHABLE, /* the store cannot be used now; tried again and again */
    LEDGER_ENGINE_FAILED,
};

/* Something that an operator should read. `text` is borrowed. On the engine's thread. */
typedef void (*ledger_engine_alarm)(void *context, const char *text);

struct ledger_engine_settings {
    const char *url; /* of the store */
    struct os_disk *disk;
    struct os_clock *clock;
    struct os_loops *loops;      /* for the engine's thread; the store has its own setting */
    struct store_settings store; /* with its `loops`, so that syncs do not hold up the engine */
    struct ledger_limits limits; /* expiry_batch_max is the engine's own */
    uint32_t request_count_max;  /* under way; more are ERR_BUSY */
    const struct port_ledger_guard *guard; /* of a ledger that is one of several; or NULL */
    ledger_engine_alarm alarm;             /* may be NULL */
    void *alarm_context;
};

/* Limits of a server: a million accounts, a quarter of a million live pendings, 1,024 requests.
 * url, disk, clock and loops are left to the caller. */
struct ledger_engine_settings ledger_engine_settings_default(void);

/* Loads the ledger on the caller's thread, then starts the engine's. Of a shared store that another
 * process has: starts it as a standby. Everything that the settings point to must outlive the
 * engine. */
MUST_USE err_t ledger_engine_open(
    const struct ledger_engine_settings *settings,
    struct ledger_engine **ret_engine,
    struct store_error *error);

/* Stops and frees it; requests that are still under way are answered ERR_OUTCOME_UNKNOWN, those
 * that wait ERR_BUSY. Whoever wants answers waits for them first. Not from the engine's thread, and
 * after the last submit. Accepts NULL; sets NULL. */
void ledger_engine_close(struct ledger_engine **engine);

/* Lives as long as the engine. */
struct port_ledger *ledger_engine_port(struct ledger_engine *engine);

/* How long a request that found no room on the disk counts: then somebody may try again. */
#define LEDGER_ENGINE_FULL_NS (UINT64_C(10) * 1000000000)

struct ledger_engine_status {
    enum ledger_engine_health health;
    uint32_t requests_under_way;
    uint64_t batches; /* create batches executed */
    uint64_t events;  /* in them */
    uint64_t groups;  /* made durable */
    uint64_t reads;
    uint64_t busy;     /* requests refused with ERR_BUSY */
    uint64_t full;     /* requests refused for want of room */
    bool disk_is_full; /* one was, of room on the disk, within LEDGER_ENGINE_FULL_NS, and nothing
                        * was written since */
    uint64_t reloads;  /* after failures of the store */
    uint64_t clock_alarms; /* the wall clock jumped */
    uint32_t accounts;
    uint32_t pendings;
    /* Of a store with a journal; zeros of another one. */
    uint64_t load_ns;    /* the last load took */
    uint64_t load_bytes; /* of the journal that it redid */
    uint64_t snapshots;  /* written since then */
    uint64_t snapshot_failures;
    uint64_t snapshot_created_ns; /* wall clock of the newest one; 0: none */
    uint64_t snapshot_duration_ns;
    uint64_t snapshot_bytes;
    uint64_t order_segments_waiting; /* closed, and without their parts of the orders kept */
    uint64_t order_failures;         /* to make such parts */
};

/* Appends how large groups were and how long they took to become durable, of all engines of this
 * process, as Prometheus text. Any thread. */
void ledger_engine_metrics_render(struct buf *out);

/* From any thread; the counters are read one by one. */
void ledger_engine_status(struct ledger_engine *engine, struct ledger_engine_status *ret_status);

/* The head of what is durable (store/head.h): everything that was answered before the call is part
 * of it. From any thread. ERR_UNSUPPORTED: the store has no chain of digests, or is not loaded yet.
 * ERR_BUSY: it changed all the time. */
MUST_USE err_t ledger_engine_head(struct ledger_engine *engine, struct store_head *ret_head);

#endif
