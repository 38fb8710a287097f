/*
 * A whole wallets process on the simulated machine: API runtime and wallets, ledger engine and
 * journal, a bank, and clients that retry under their keys. One seed draws everything that happens:
 * the order of the loops, requests, crashes, failing disks, the passing of time.
 * wallets_sim_check.c says what must be true afterwards.
 */
#ifndef WALLETS_SIM_H
#define WALLETS_SIM_H

#include "bank/bank.h"
#include "books/books.h"
#include "engine/ledger_engine.h"
#include "os/sim.h"
#include "os/sim_disk.h"
#include "resource/resource.h"
#include "sim_documents.h"
#include "trace/log.h"
#include "wallets/wallets.h"

#include <stdio.h>

#define WSIM_WALLETS    4
#define WSIM_WISHES_MAX 160
#define WSIM_KNOWN_MAX  160
#define WSIM_FORM_SIZE  256
#define WSIM_STEPS_MAX  2000000
/* Each wallet but the last begins with so much, in cents. */
#define WSIM_FUNDS 20000u

struct json_t;

enum wsim_verb {
    WSIM_FUND,
    WSIM_TRANSFER,
    WSIM_REQUEST,
    WSIM_PAY,
    WSIM_DECLINE,
    WSIM_HOLD,
    WSIM_CAPTURE,
    WSIM_RELEASE,
    WSIM_WITHDRAW,
    WSIM_FREEZE,
    WSIM_UNFREEZE,
    WSIM_CLOSE,
    WSIM_VERB_COUNT
};

/* One idempotency key, and the request that is sent under it until it has an answer. */
struct wsim_wish {
    enum wsim_verb verb;
    char key[32];
    char capture[ID_TEXT_SIZE];
    char form[WSIM_FORM_SIZE];
    uint32_t under_way;
    uint64_t next_try_ns;
    bool settled;
    int status;
    char *body;
};

struct wsim_call {
    struct resource_request request; /* first */
    struct wsim *sim;
    struct wsim_wish *wish; /* NULL: the test's own question, whose answer is sim->asked */
    struct wsim_call *next;
    struct arena arena;
};

/* What a seed decides once. */
struct wsim_plan {
    struct wallets_settings wallets;
    uint32_t wishes;
    uint32_t calls_max;
    uint32_t crash_odds; /* one in so many iterations; 0: never */
    uint32_t commit_odds;
    uint32_t disk_odds;
    uint32_t pause_odds;
    uint32_t jump_odds;
};

struct wsim_process {
    struct os_loop *api_loop;
    struct os_loop *bank_loop;
    struct os_loop *ledger_loop; /* the engine's own */
    struct sim_documents documents;
    struct ledger_engine *engine;
    struct bank *bank;
    struct resource_runtime *runtime;
    struct wallets *wallets;
    bool dead;
};

struct wsim {
    uint64_t seed;
    bool verbose;
    struct os_sim *machine;
    struct os_prng *prng;
    struct os_sim_disk *ledger_disk;
    struct os_sim_disk *bank_disk;
    struct os_loops loops;
    struct os_loop *paused;
    struct trace_log log;
    int log_fd;
    char folder[64];
    struct wsim_plan plan;
    struct wsim_process process;
    char merchant[ID_TEXT_SIZE];
    char key[RESOURCE_KEY_TEXT_SIZE];
    uint64_t scope;
    char wallets[WSIM_WALLETS][ID_TEXT_SIZE];
    struct os_executor replies;
    struct os_executor immediate;
    struct wsim_call *calls;
    uint32_t call_count;
    struct wsim_wish wishes[WSIM_WISHES_MAX];
    uint32_t wish_count;
    char holds[WSIM_KNOWN_MAX][ID_TEXT_SIZE];
    uint32_t hold_count;
    char requests[WSIM_KNOWN_MAX][ID_TEXT_SIZE];
    uint32_t request_count;
    struct json_t *asked;
    uint64_t answers, crashes, unanswered;
    uint64_t verbs[WSIM_VERB_COUNT][2]; /* refused, done */
    uint64_t history;                   /* hash of all answers, in order */
    bool failed;
    char failure[1024];
};

__attribute__((format(printf, 2, 3))) void wsim_fail(struct wsim *sim, const char *format, ...);
uint64_t wsim_below(struct wsim *sim, uint64_t bound);
bool wsim_chance(struct wsim *sim, uint32_t odds);

/* wallets_sim.c */
struct wsim *wsim_create(uint64_t seed);
void wsim_destroy(struct wsim **sim);
/* Everything up to the end of the work, with everything at rest. */
void wsim_run_to_rest(struct wsim *sim);
/* All of it, with the checks. */
void wsim_run(struct wsim *sim);
void wsim_pass(struct wsim *sim, int64_t seconds);

/* wallets_sim_process.c */
extern const struct resource_type wsim_customer_type;
void wsim_loops_init(struct wsim *sim);
void wsim_start(struct wsim *sim);
/* Power fails, or the process dies and the machine lives. */
void wsim_crash(struct wsim *sim, bool power);

/* wallets_sim_client.c */
void wsim_clients_init(struct wsim *sim);
void wsim_clients_prepare(
    struct wsim *sim); /* before faults: merchant, customers, wallets, money */
void wsim_clients_act(struct wsim *sim);
void wsim_send(struct wsim *sim, struct wsim_wish *wish);
void wsim_calls_forget(struct wsim *sim);
/* Asks as a client would, and waits; the answer is borrowed until the next question. */
struct json_t *wsim_ask(
    struct wsim *sim,
    const char *method,
    const char *pattern,
    const char *capture,
    const char *form);

/* wallets_sim_check.c */
void wsim_check(struct wsim *sim);
/* Changes a stored document behind everybody's back: doubles the amount of some transfer that
 * succeeded. False: there is none. */
bool wsim_damage(struct wsim *sim);

#endif
