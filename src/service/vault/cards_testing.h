/* Cards of a vault's test, with what was answered for each. */
#ifndef VAULT_CARDS_TESTING_H
#define VAULT_CARDS_TESTING_H

#include "stored.h"
#include "testing.h"

#define T_CARDS_MAX 400

struct t_card {
    uint64_t scope;
    char number[VAULT_NUMBER_SIZE];
    struct port_vault_card answer;
};

struct t_cards {
    struct t_card all[T_CARDS_MAX];
    uint32_t count;
    uint32_t merchants; /* that cards are added for, in turn: a step takes one's cards first */
};

extern struct t_cards t_cards; /* of one test */

/* t_setup, for a test that has no cards yet. Of three merchants, and of one. */
int t_cards_setup(void **state);
int t_cards_setup_of_one(void **state);

/* The number of card `index`. */
void t_number(uint32_t index, char out[VAULT_NUMBER_SIZE]);

void t_add(struct t_bench *bench);
void t_add_many(struct t_bench *bench, uint32_t count);

/* Its number has its token and its fingerprint, and its token pays with its number. */
void t_check_one(struct t_bench *bench, const struct t_card *card);
void t_check(struct t_bench *bench); /* all */

/* A card's sealed number is another text then, as a disk may change it. Starts the vault again. */
void t_damage(struct t_bench *bench, const struct t_card *card, struct span sealed);

bool t_is_there(const struct t_bench *bench, const char *name);
/* Rows of a kind. Starts the vault again. */
uint32_t t_count(struct t_bench *bench, const struct document_kind *kind);

#endif
