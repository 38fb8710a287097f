/*
 * A whole payment process in the simulated world (sim_world.h): API runtime and payments, ledger
 * engine and journal, cards, vault and a misbehaving issuer, and clients that retry.
 * payments_sim_check.c says what must be true afterwards.
 *
 * What survives a crash is what a real one leaves: the documents' last commit, of the journal what
 * the simulated disk kept, the issuer's file as it was written, and what clients were told.
 */
#ifndef PAYMENTS_SIM_H
#define PAYMENTS_SIM_H

#include "books/books.h"
#include "cards/cards.h"
#include "issuer/issuer.h"
#include "payments/payments.h"
#include "sim_calls.h"
#include "sim_world.h"
#include "vault/vault.h"

#define SIM_MERCHANTS   2
#define SIM_INTENTS_MAX 256
#define SIM_FEES_MAX    16

struct json_t;

/* ------------------------------------------------------------------------------- the process */

/* What a seed decides once. */
struct sim_plan {
    struct issuer_settings issuer;
    struct payments_settings payments;
    uint64_t operations_max; /* of the runtime */
};

/* A fee that was in force for some time: an operator changes it with a restart. */
struct sim_fee {
    int64_t basis_points;
    int64_t fixed;
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

struct sim_intent {
    char id[ID_TEXT_SIZE]; /* or of a setup */
    char page[SIM_PAGE_SIZE];
    char charge[ID_TEXT_SIZE];
    char status[32]; /* as it was last told */
    uint32_t merchant;
    int64_t amount;
};

struct sim {
    struct sim_world world; /* first */
    struct sim_plan plan;
    struct sim_fee fees[SIM_FEES_MAX]; /* all that ever were */
    uint32_t fee_count;
    struct issuer *issuer;
    struct vault *vault;
    struct cards *cards;
    struct payments *payments;
    struct sim_merchant merchants[SIM_MERCHANTS];
    char methods[SIM_MERCHANTS][ID_TEXT_SIZE]; /* stored ones that many payments share */
    struct sim_intent intents[SIM_INTENTS_MAX];
    uint32_t intent_count;
};

static inline struct sim *
sim_of(struct sim_world *world)
{
    return (struct sim *)(void *)world;
}

/* payments_sim.c */
struct sim *sim_create(uint64_t seed);
void sim_destroy(struct sim **sim);
/* Up to the end of the work, with everything at rest. */
void sim_run_to_rest(struct sim *sim);
/* All of it, with the checks. */
void sim_run(struct sim *sim);

/* payments_sim_process.c */
void sim_start(struct sim *sim);
void sim_crash(struct sim *sim, enum sim_crash_kind kind);

/* payments_sim_client.c */
void sim_clients_prepare(struct sim *sim); /* before faults: merchants, methods */
void sim_clients_act(struct sim_world *world);
void sim_send(struct sim_world *world, struct sim_wish *wish);
bool sim_is_promise(int status);
void sim_learn(struct sim_world *world, const struct sim_wish *wish);
/* The answer's JSON; borrowed by nobody. */
struct json_t *sim_answer_json(const struct sim_wish *wish);
/* Every key is sent once more and must answer as it did. */
void sim_replay_all(struct sim *sim);

/* payments_sim_books.c */

struct sim_row {
    uint64_t scope;
    uint32_t merchant;
    char id[SIM_DOCUMENT_ID_SIZE];
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
    SIM_ROW_DISPUTE,
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
void sim_row_damage(struct sim *sim, enum sim_kind kind, const struct sim_row *row);
void sim_books_release(struct sim_books *books);
struct sim_row *sim_books_find(const struct sim_books *books, enum sim_kind kind, const char *id);
/* "" and 0 if it is not there. */
const char *sim_row_text(const struct sim_row *row, const char *name);
int64_t sim_row_integer(const struct sim_row *row, const char *name);
bool sim_row_is(const struct sim_row *row, const char *name, const char *value);
const struct currency *sim_row_currency(const struct sim_row *row);
/* The public API's amount in the ledger's units. */
int64_t sim_row_units(const struct sim_row *row, int64_t api_amount);

/* payments_sim_check.c, _sums.c, _answers.c: failures go to sim_world_fail. */
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
