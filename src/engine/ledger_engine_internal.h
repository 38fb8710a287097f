/*
 * The ledger's engine: what its files share. Everything here is the engine's loop's but for the
 * atomics.
 */
#ifndef ENGINE_LEDGER_ENGINE_INTERNAL_H
#define ENGINE_LEDGER_ENGINE_INTERNAL_H

#include "engine/ledger_engine.h"

#include "engine_clock.h"
#include "machine.h"

#include "base/list.h"

#include <stdatomic.h>

/* Groups on their way to the disk. The store merges what waits into one frame anyway. */
#define ENGINE_GROUPS_MAX 16u

#define ENGINE_HEAD_WORDS (sizeof(struct store_head) / sizeof(uint64_t))
static_assert(sizeof(struct store_head) == 64, "a head is whole words");

/* A queue of requests, linked by task.next. */
struct request_queue {
    struct port_ledger_request *first;
    struct port_ledger_request *last;
    uint32_t count;
};

struct engine_group {
    struct store_ticket ticket;
    struct ledger_engine *engine;
    struct request_queue requests;
    uint64_t sent_ns; /* monotonic, when the store got it */
    bool in_flight;
};

struct ledger_engine {
    struct port_ledger port;
    struct ledger_engine_settings settings;
    struct os_loop *loop;
    struct os_group_hook hook;
    struct os_timer pulse_timer;
    struct os_timer watch_timer; /* of a shared store */
    bool shared;
    bool reload_wanted;
    struct engine_machine machine;
    struct engine_clock clock;
    bool machine_is_open;
    bool failing; /* a group failed; waiting for the others before the reload */
    bool pulse_wanted;
    uint64_t segment_told;   /* the missing one that the log was told of last */
    bool pulse_without_room; /* the last one found none */

    struct request_queue waiting;
    struct engine_group groups[ENGINE_GROUPS_MAX];
    uint32_t in_flight;
    struct engine_group *newest; /* in flight, or NULL */
    struct os_task again;        /* more waits than one turn of the loop executes */
    bool again_posted;

    /* The head of what is durable, for other threads: a reader that finds head_version odd, or
     * another one than before, has read parts of two heads, and reads again. */
    atomic_uint_least64_t head_version;
    atomic_uint_least64_t head_words[ENGINE_HEAD_WORDS];
    atomic_bool has_head;

    atomic_int health;
    atomic_uint under_way;
    atomic_uint accounts;
    atomic_uint pendings;
    atomic_uint_least64_t batches;
    atomic_uint_least64_t events;
    atomic_uint_least64_t group_count;
    atomic_uint_least64_t reads;
    atomic_uint_least64_t busy;
    atomic_uint_least64_t full;
    atomic_uint_least64_t disk_full_ns; /* monotonic, when it was found last; 0: it is not */
    atomic_uint_least64_t reloads;
    atomic_uint_least64_t clock_alarms;
    atomic_uint_least64_t load_ns; /* as the store's status says */
    atomic_uint_least64_t load_bytes;
    atomic_uint_least64_t snapshots;
    atomic_uint_least64_t snapshot_failures;
    atomic_uint_least64_t order_segments_waiting;
    atomic_uint_least64_t order_failures;
    atomic_uint_least64_t snapshot_created_ns;
    atomic_uint_least64_t snapshot_duration_ns;
    atomic_uint_least64_t snapshot_bytes;
};

/* --- ledger_engine.c --- */

/* Answers all that wait in the queue with ERR_BUSY. */
void engine_answer_busy(struct ledger_engine *engine, struct request_queue *queue);

/* --- ledger_engine_load.c --- */

/* Tells the owner; `detail` may be empty. */
void engine_alarm_raise(struct ledger_engine *engine, const char *what, const char *detail);
/* What a machine asks for the time; `context` is the engine. */
uint64_t engine_time(void *context, uint64_t ledger_clock);
/* Opens store and machine. With an error neither is open. */
MUST_USE err_t engine_load(struct ledger_engine *engine, struct store_error *error);
/* What it means that loading gave this code. */
enum ledger_engine_health engine_health_of(const struct ledger_engine *engine, err_t code);
/* Sets when a shared store is looked at again; never, of one that has failed for good. */
void engine_watch_arm(struct ledger_engine *engine);
/* Closes what is open and loads again. No group is in flight. */
void engine_reload(struct ledger_engine *engine);
/* The store failed (ENGINE-3): what waits is answered, and a reload follows. */
void engine_fail(struct ledger_engine *engine, const char *detail);

/* --- ledger_engine_status.c --- */

/* Publishes what other threads see of the ledger and its store. */
void engine_gauges_set(struct ledger_engine *engine);
/* Publishes the head of what is durable. */
void engine_head_publish(struct ledger_engine *engine);

#endif
