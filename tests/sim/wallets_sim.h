/*
 * A whole wallets process in the simulated world (sim_world.h): API runtime and wallets, ledger
 * engine and journal, a bank, and clients that retry under their keys. wallets_sim_check.c says
 * what must be true afterwards.
 */
#ifndef WALLETS_SIM_H
#define WALLETS_SIM_H

#include "bank/bank.h"
#include "books/books.h"
#include "resource/object.h"
#include "sim_calls.h"
#include "sim_world.h"
#include "wallets/wallets.h"

#define WSIM_WALLETS   4
#define WSIM_KNOWN_MAX 160
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

struct wsim {
    struct sim_world world; /* first */
    struct wallets_settings settings;
    struct bank *bank;
    struct wallets *wallets;
    struct sim_merchant merchant;
    char wallet_ids[WSIM_WALLETS][ID_TEXT_SIZE];
    char holds[WSIM_KNOWN_MAX][ID_TEXT_SIZE];
    uint32_t hold_count;
    char requests[WSIM_KNOWN_MAX][ID_TEXT_SIZE];
    uint32_t request_count;
};

static inline struct wsim *
wsim_of(struct sim_world *world)
{
    return (struct wsim *)(void *)world;
}

/* wallets_sim.c */
struct wsim *wsim_create(uint64_t seed);
void wsim_destroy(struct wsim **sim);
/* Everything up to the end of the work, with everything at rest. */
void wsim_run_to_rest(struct wsim *sim);
/* All of it, with the checks. */
void wsim_run(struct wsim *sim);

/* wallets_sim_process.c */
extern const struct resource_type wsim_customer_type;
void wsim_start(struct wsim *sim);
void wsim_crash(struct wsim *sim, enum sim_crash_kind kind);

/* wallets_sim_client.c */
/* Before faults: merchant, customers, wallets, money. */
void wsim_clients_prepare(struct wsim *sim);
void wsim_clients_act(struct sim_world *world);
void wsim_send(struct sim_world *world, struct sim_wish *wish);
bool wsim_is_promise(int status);
void wsim_learn(struct sim_world *world, const struct sim_wish *wish);
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
