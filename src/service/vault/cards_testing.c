#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cards_testing.h"

#include "card.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct t_cards t_cards;

int
t_cards_setup(void **state)
{
    t_cards = (struct t_cards){.merchants = 3};
    return t_setup(state);
}

int
t_cards_setup_of_one(void **state)
{
    t_cards = (struct t_cards){.merchants = 1};
    return t_setup(state);
}

void
t_number(uint32_t index, char out[VAULT_NUMBER_SIZE])
{
    char digits[VAULT_NUMBER_SIZE];
    for (uint32_t check = 0; check < 10; check++) {
        (void)snprintf(digits, sizeof(digits), "400000%09u%u", index, check);
        if (vault_card_check_digit(digits)) {
            memcpy(out, digits, sizeof(digits));
            return;
        }
    }
    fail();
}

void
t_add(struct t_bench *bench)
{
    assert_true(t_cards.count < T_CARDS_MAX);
    struct t_card *card = &t_cards.all[t_cards.count];
    card->scope = 2 + t_cards.count % t_cards.merchants;
    t_number(t_cards.count++, card->number);
    card->answer = t_tokenize(bench, card->scope, card->number, "").card;
}

void
t_add_many(struct t_bench *bench, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        t_add(bench);
    }
}

void
t_check_one(struct t_bench *bench, const struct t_card *card)
{
    struct port_vault_tokenize again = t_tokenize(bench, card->scope, card->number, "");
    assert_string_equal(again.card.token, card->answer.token);
    assert_string_equal(again.card.fingerprint, card->answer.fingerprint);
    assert_int_equal(t_authorize(bench, card->scope, card->answer.token), ERR_OK);
    assert_string_equal(bench->network.seen.number, card->number);
}

void
t_check(struct t_bench *bench)
{
    for (uint32_t i = 0; i < t_cards.count; i++) {
        t_check_one(bench, &t_cards.all[i]);
    }
}

void
t_damage(struct t_bench *bench, const struct t_card *card, struct span sealed)
{
    const struct t_change change = {card->scope, card->answer.token, VAULT_CARD_SEALED, sealed};
    t_change(bench, &change, 1);
}

bool
t_is_there(const struct t_bench *bench, const char *name)
{
    char path[256];
    t_path(bench, name, path);
    return access(path, F_OK) == 0;
}

static bool
count_row(void *context, const struct document_row *row)
{
    (void)row;
    (*(uint32_t *)context)++;
    return true;
}

uint32_t
t_count(struct t_bench *bench, const struct document_kind *kind)
{
    uint32_t count = 0;
    struct document_query query = {.range_column = UINT32_MAX, .limit = DOCUMENT_LIST_MAX};
    t_stop(bench);
    struct document_store *documents = t_open_documents(bench);
    assert_int_equal(documents->ops->list(documents, kind, &query, count_row, &count), ERR_OK);
    documents->ops->close(documents);
    t_start(bench);
    return count;
}
