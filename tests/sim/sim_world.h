/*
 * The world that every simulation has, whatever the process in it does: the simulated machine with
 * its disks, the parts of a process that all of them have (API runtime, ledger engine, documents),
 * what goes wrong with them, the first failure, and what was counted. One seed draws everything
 * that happens: the order of the loops, requests, crashes, failing disks, the passing of time.
 *
 * A simulation is a struct whose first member is a world. It says in its ops how it begins again,
 * what its clients do and what its reconciler has found; the rest is here, in sim_calls.c (clients'
 * requests) and in sim_seeds.c (many lives).
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "base/id.h"
#include "engine/ledger_engine.h"
#include "os/sim.h"
#include "os/sim_disk.h"
#include "resource/merchants.h"
#include "resource/resource.h"
#include "sim_documents.h"
#include "trace/log.h"

#include <stdio.h>

#define SIM_WISHES_MAX 160
#define SIM_VERBS_MAX  16
#define SIM_STEPS_MAX  2000000

struct json_t;
struct sim_call;
struct sim_wish;
struct sim_world;

enum sim_crash_kind {
    SIM_KILL,  /* the process dies, the machine lives */
    SIM_POWER, /* what the journal had not synced may be gone */
};

struct sim_health {
    uint64_t differences, reconcile_runs;
};

/* What a simulation does in its own way. */
struct sim_world_ops {
    void (*restart)(struct sim_world *world); /* a crash, drawn, and a new process */
    void (*act)(struct sim_world *world); /* a client does something, if there is anything to do */
    void (*send)(struct sim_world *world, struct sim_wish *wish);
    struct sim_health (*health)(struct sim_world *world);
    /* Is an answer with this status kept under its key for ever? */
    bool (*is_promise)(int status);
    /* The wish has its answer, for the first time. */
    void (*learn)(struct sim_world *world, const struct sim_wish *wish);
};

/* One in so many iterations; 0: never. */
struct sim_odds {
    uint32_t crash;
    uint32_t commit; /* goes wrong */
    uint32_t disk;   /* the journal's goes wrong */
    uint32_t pause;  /* a thread hangs */
    uint32_t jump;   /* time passes at once */
    uint32_t wall;   /* somebody sets the clock */
};

struct sim_process {
    struct os_loop *api_loop;
    struct os_loop *rail_loop;   /* of the network or bank, and what drives it */
    struct os_loop *ledger_loop; /* the engine's own */
    struct sim_documents documents;
    struct ledger_engine *engine;
    struct resource_runtime *runtime;
    bool dead;
};

/* What happened, to see that a run was worth something. */
struct sim_counts {
    uint64_t answers, replays, unanswered, crashes, commits_failed, reloads, pauses;
    uint64_t verbs[SIM_VERBS_MAX][2]; /* refused or declined, done */
};

struct sim_merchant {
    char id[ID_TEXT_SIZE];
    char key[RESOURCE_KEY_TEXT_SIZE];
    uint64_t scope; /* in test mode */
};

struct sim_world {
    const struct sim_world_ops *ops;
    uint64_t seed;
    bool verbose;
    struct os_sim *machine;
    struct os_prng *prng;
    struct os_sim_disk *ledger_disk;
    struct os_sim_disk *rail_disk; /* what the network or bank keeps */
    struct os_loops loops;         /* the machine's, remembering the engine's */
    struct os_loop *paused;
    struct trace_log log;
    int log_fd;
    char folder[64];
    struct sim_odds odds;
    struct sim_process process;
    struct os_executor replies;   /* of requests: lost once the process is dead */
    struct os_executor immediate; /* of the test's own questions */
    struct sim_call *calls;
    uint32_t call_count;
    uint32_t calls_max; /* under way together */
    struct sim_wish *wishes;
    uint32_t wish_count;
    uint32_t wishes_wanted;
    struct json_t *asked; /* the answer to the test's last question */
    struct sim_counts counts;
    uint64_t history; /* hash of all answers, in order */
    bool failed;
    char failure[1024];
};

/* `name` is of the folder that is made for the files of SQLite. */
void sim_world_init(
    struct sim_world *world, uint64_t seed, const char *name, const struct sim_world_ops *ops);
/* After the last crash. */
void sim_world_release(struct sim_world *world);
/* Removes a folder in the world's folder, with its files. */
void sim_world_remove(const struct sim_world *world, const char *folder);

/* Keeps the first failure. */
__attribute__((format(printf, 2, 3))) void sim_world_fail(
    struct sim_world *world, const char *format, ...);
/* Ends the test if the process cannot even be created. */
void sim_world_must(struct sim_world *world, err_t error, const char *what, const char *detail);

/* 0 .. bound - 1. */
uint64_t sim_below(struct sim_world *world, uint64_t bound);
/* One in `odds`; never if 0. */
bool sim_chance(struct sim_world *world, uint32_t odds);
/* How many clients there are, and what goes wrong how often. */
void sim_world_draw_odds(struct sim_world *world);
enum sim_crash_kind sim_world_draw_crash(struct sim_world *world);

/* ------------------------------------------------------- the process, in the order of its life */

/* Clears the process and opens its ledger. */
void sim_world_start_ledger(struct sim_world *world);
void sim_world_start_rail(struct sim_world *world, const char *loop_name);

struct sim_runtime {
    const struct document_kind *const *kinds; /* besides those of resource */
    uint32_t kind_count;
    uint32_t operations_max;
    struct port_vault *vault; /* may be NULL */
};

/* The loop of the API, the documents and the runtime. */
void sim_world_start_runtime(struct sim_world *world, const struct sim_runtime *options);
void sim_world_start_loops(struct sim_world *world);

/* First nothing that the process does has an effect any more; then its pieces are collected, and
 * whatever its loops still run while they stop is lost. Between the two the simulation destroys
 * its own services. */
void sim_world_crash_begin(struct sim_world *world, enum sim_crash_kind kind);
void sim_world_crash_end(struct sim_world *world);

/* ------------------------------------------------------------------------------ how time goes */

/* Clients work while things go wrong. */
void sim_world_work(struct sim_world *world);
/* Faults end; everything that is unanswered is asked again until it is answered, and the workers
 * finish. */
void sim_world_settle(struct sim_world *world);
/* Time passes, with the workers at work in between. */
void sim_world_pass(struct sim_world *world, int64_t seconds);
/* Until the reconciler has had a run that began after the last change. */
void sim_world_reconcile(struct sim_world *world);

/* All transfers or accounts of the ledger; the answer is how many. `out` has room for
 * LEDGER_BATCH_MAX. */
uint32_t sim_world_ask_ledger(
    struct sim_world *world, enum port_ledger_operation operation, void *out);

#endif
