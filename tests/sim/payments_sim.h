/*
 * A whole payment process on the simulated machine: API runtime and payments, ledger engine and
 * journal, cards, vault and a misbehaving issuer, and clients that retry. One seed draws
 * everything that happens: the order of the loops, requests, crashes, failing disks, lost answers,
 * the passing of time. payments_sim_check.c says what must be true afterwards.
 *
 * What survives a crash is what a real one leaves: the documents' last commit, of the journal what
 * the simulated disk kept, the issuer's file as it was written, and what clients were told.
 */
#ifndef PAYMENTS_SIM_H
#define PAYMENTS_SIM_H

#include "books/books.h"
#include "cards/cards.h"
#include "engine/ledger_engine.h"
#include "issuer/issuer.h"
#include "os/sim.h"
#include "os/sim_disk.h"
#include "payments/payments.h"
#include "resource/resource.h"
#include "sim_documents.h"
#include "trace/log.h"
#include "vault/vault.h"

#include <stdio.h>

#define SIM_MERCHANTS   2
#define SIM_WISHES_MAX  128
#define SIM_INTENTS_MAX 256
#define SIM_FORM_SIZE   512
#define SIM_PAGE_SIZE   128
#define SIM_STEPS_MAX   2000000
#define SIM_FEES_MAX    16

struct json_t;

/* ------------------------------------------------------------------------------- the process */

/* What a seed decides once. */
struct sim_plan {
    struct issuer_settings issuer;
    struct payments_settings payments;
    uint32_t wishes;
    uint32_t calls_max;      /* under way together */
    uint32_t crash_odds;     /* one in so many iterations; 0: never */
    uint32_t commit_odds;    /* as above: a commit goes wrong */
    uint32_t disk_odds;      /* the journal's disk goes wrong */
    uint32_t pause_odds;     /* a thread hangs */
    uint32_t jump_odds;      /* time passes at once */
    uint32_t wall_odds;      /* somebody sets the clock */
    uint64_t operations_max; /* of the runtime */
};

/* A fee that was in force for some time: an operator changes it with a restart. */
struct sim_fee {
    int64_t basis_points;
    int64_t fixed;
};

struct sim_process {
    struct os_loop *api_loop;
    struct os_loop *cards_loop;
    struct os_loop *ledger_loop; /* the engine's own */
    struct sim_documents documents;
    struct ledger_engine *engine;
    struct issuer *issuer;
    struct vault *vault;
    struct cards *cards;
    struct resource_runtime *runtime;
    struct payments *payments;
    bool dead;
};

/* ------------------------------------------------------------------------------- the clients */

enum sim_verb {
    SIM_CREATE,
    SIM_CONFIRM,
    SIM_CAPTURE,
    SIM_CANCEL,
    SIM_REFUND,
    SIM_UPDATE,
    SIM_INCREMENT,
    SIM_SETUP,
    SIM_AUTHENTICATE, /* a customer on the page: no key, and no idempotency key */
    SIM_VERB_COUNT
};

/* One idempotency key, and the request that is sent under it until it has an answer. */
struct sim_wish {
    enum sim_verb verb;
    uint32_t merchant;
    bool replay_checked;
    char key[32];
    char capture[ID_TEXT_SIZE];
    char page[SIM_PAGE_SIZE]; /* AUTHENTICATE: the end of the page's address */
    char form[SIM_FORM_SIZE];
    uint32_t under_way;
    uint32_t tries;
    uint64_t next_try_ns;
    bool settled; /* there is an answer that is a promise */
    int status;
    char *body;         /* of a redirect: where it leads */
    uint64_t conflicts; /* answers that blamed another request */
};

/* A wish on its way. */
struct sim_call {
    struct resource_request request; /* first */
    struct sim *sim;
    struct sim_wish *wish;
    struct sim_call *next;
    struct arena arena;
};

struct sim_intent {
    char id[ID_TEXT_SIZE]; /* or of a setup */
    char page[SIM_PAGE_SIZE];
    char charge[ID_TEXT_SIZE];
    char status[32]; /* as it was last told */
    uint32_t merchant;
    int64_t amount;
};

struct sim_merchant {
    char id[ID_TEXT_SIZE];
    char key[RESOURCE_KEY_TEXT_SIZE];
    char method[ID_TEXT_SIZE]; /* a stored one that many payments share */
    uint64_t scope;
};

/* What happened, to see that a run was worth something. */
struct sim_counts {
    uint64_t answers, replays, unanswered, crashes, commits_failed, reloads, pauses;
    uint64_t verbs[SIM_VERB_COUNT][2]; /* refused or declined, done */
};

struct sim {
    uint64_t seed;
    bool verbose;
    struct os_sim *machine;
    struct os_prng *prng;
    struct os_sim_disk *ledger_disk;
    struct os_sim_disk *issuer_disk;
    struct os_loops loops; /* the machine's, remembering the engine's */
    struct os_loop *paused;
    struct trace_log log;
    int log_fd;
    char folder[64];
    struct sim_plan plan;
    struct sim_fee fees[SIM_FEES_MAX]; /* all that ever were */
    uint32_t fee_count;
    struct sim_process process;
    struct sim_merchant merchants[SIM_MERCHANTS];
    struct os_executor replies;   /* of requests: lost once the process is dead */
    struct os_executor immediate; /* of the test's own questions */
    struct sim_call *calls;
    uint32_t call_count;
    struct sim_wish wishes[SIM_WISHES_MAX];
    uint32_t wish_count;
    struct sim_intent intents[SIM_INTENTS_MAX];
    uint32_t intent_count;
    struct sim_counts counts;
    uint64_t history; /* hash of all answers, in order */
    bool failed;
    char failure[1024];
};

/* Keeps the first failure. */
__attribute__((format(printf, 2, 3))) void sim_fail(struct sim *sim, const char *format, ...);
/* 0 .. bound - 1. */
uint64_t sim_below(struct sim *sim, uint64_t bound);
/* One in `odds`; never if 0. */
bool sim_chance(struct sim *sim, uint32_t odds);

/* payments_sim.c */
struct sim *sim_create(uint64_t seed);
void sim_destroy(struct sim **sim);
/* The workload with its faults. */
void sim_work(struct sim *sim);
/* Faults end; everything that is unanswered is asked again until it is answered, and the workers
 * finish. */
void sim_settle(struct sim *sim);
/* Time passes, with the workers at work in between. */
void sim_pass(struct sim *sim, int64_t seconds);
/* Up to the end of the work, with everything at rest. */
void sim_run_to_rest(struct sim *sim);
/* All of it, with the checks. */
void sim_run(struct sim *sim);

/* payments_sim_process.c */
void sim_start(struct sim *sim);

enum sim_crash_kind {
    SIM_KILL,  /* the process dies, the machine lives */
    SIM_POWER, /* what the journal had not synced may be gone */
};

void sim_crash(struct sim *sim, enum sim_crash_kind kind);
void sim_loops_init(struct sim *sim);

/* payments_sim_client.c */
void sim_clients_init(struct sim *sim);
void sim_clients_prepare(struct sim *sim); /* before faults: merchants, methods */
bool sim_clients_act(struct sim *sim);     /* false if there is nothing to do */
/* Sends the wish; a call that the runtime never answers is forgotten with the process. */
void sim_send(struct sim *sim, struct sim_wish *wish);
void sim_calls_forget(struct sim *sim);
/* The answer's JSON; borrowed by nobody. */
struct json_t *sim_answer_json(const struct sim_wish *wish);
/* Every key is sent once more and must answer as it did. */
void sim_replay_all(struct sim *sim);

/* payments_sim_books.c */

struct sim_row {
    uint64_t scope;
    uint32_t merchant;
    char id[64];
    struct json_t *body;
};

enum sim_kind {
    SIM_ROW_INTENT,
    SIM_ROW_CHARGE,
    SIM_ROW_REFUND,
    SIM_ROW_TRANSACTION,
    SIM_ROW_KEY,
    SIM_ROW_EVENT,
    SIM_ROW_SETUP,
    SIM_ROW_SETUP_ATTEMPT,
    SIM_ROW_KIND_COUNT,
};

struct sim_rows {
    struct sim_row *rows;
    uint32_t count;
};

/* A record of the issuer's file, as its memory.h lays it out. */
struct sim_issuer_record {
    u128 id;
    u128 original_id;
    int64_t amount;
    uint64_t at_ms;
    uint32_t number;
    uint8_t operation;
    uint8_t outcome;
    uint8_t card;
    uint8_t flags;
    uint32_t checksum;
    uint32_t reserved;
};

/* Everything that is written down anywhere. */
struct sim_books {
    struct sim_rows documents[SIM_ROW_KIND_COUNT];
    struct ledger_transfer *transfers;
    uint32_t transfer_count;
    struct ledger_account *accounts;
    uint32_t account_count;
    struct sim_issuer_record *issuer;
    uint32_t issuer_count;
};

void sim_books_read(struct sim *sim, struct sim_books *books);
/* Writes the row's body back, changed behind everybody's back. */
bool sim_documents_damage(struct sim *sim, enum sim_kind kind, const struct sim_row *row);
void sim_books_release(struct sim_books *books);
struct sim_row *sim_books_find(const struct sim_books *books, enum sim_kind kind, const char *id);
/* "" and 0 if it is not there. */
const char *sim_row_text(const struct sim_row *row, const char *name);
int64_t sim_row_integer(const struct sim_row *row, const char *name);
bool sim_row_is(const struct sim_row *row, const char *name, const char *value);
const struct currency *sim_row_currency(const struct sim_row *row);
/* The public API's amount in the ledger's units. */
int64_t sim_row_units(const struct sim_row *row, int64_t api_amount);

/* payments_sim_check.c, _sums.c, _answers.c: failures go to sim_fail. */
void sim_check(struct sim *sim, const struct sim_books *books);
/* What always holds (docs/accounting.md); part of sim_check. */
void sim_check_sums(struct sim *sim, const struct sim_books *books);
void sim_check_answers(struct sim *sim, const struct sim_books *books);
/* Both, on the books as they are now. */
void sim_check_now(struct sim *sim);
/* The journal offline, after the process has ended. */
void sim_check_journal(struct sim *sim);

/* payments_sim_mutation.c: kinds of damage; false if there is nothing to damage. */
struct sim_mutation {
    const char *name;
    bool (*damage)(struct sim_books *books);
};

extern const struct sim_mutation sim_mutations[];
extern const uint32_t sim_mutation_count;

#endif
