#include "rotation.h"

#include "base/assert.h"
#include "os/fault.h"

#include <string.h>

#define ROW_SIZE_MAX 65536

struct batch {
    struct vault_stored *cards;
    uint32_t count;
};

static bool
take(void *context, const struct document_row *row)
{
    struct batch *batch = context;
    ASSERT(batch->count < VAULT_STEP_CARDS);
    vault_stored_from_row(&batch->cards[batch->count++], row);
    return true;
}

static err_t
list(const struct vault_rotation_work *work, const struct vault_data_key *key, struct batch *batch)
{
    struct document_store *documents = work->place->documents;
    struct document_query query = {
        .all_scopes = true,
        .filters = {{.column = VAULT_CARD_KEY, .value = {.text = span_from_cstr(key->id)}}},
        .filter_count = 1,
        .range_column = UINT32_MAX,
        .oldest_first = true,
        .limit = VAULT_STEP_CARDS,
    };
    *batch = (struct batch){.cards = work->batch};
    return documents->ops->list(documents, &vault_card_kind, &query, take, batch);
}

/* The row as it is, whatever is wrong with it. Told of when it is durable. */
static err_t
set_aside(const struct vault_rotation_work *work, struct vault_stored *card)
{
    struct document_store *documents = work->place->documents;
    struct document_row row;
    struct arena arena;
    arena_init(&arena, ROW_SIZE_MAX);
    err_t error = documents->ops->get(
        documents, &vault_card_kind, card->scope, span_from_cstr(card->token), &arena, &row);
    if (error == ERR_OK) {
        row.columns[VAULT_CARD_KEY].text = SPAN(VAULT_SET_ASIDE);
        row.body = arena_format(&arena, "{\"key\":\"%s\"}", card->key_id);
        work->changed(work->context, card);
        error = row.body.data == NULL ? ERR_MEMORY
                                      : documents->ops->update(documents, &vault_card_kind, &row);
    }
    arena_release(&arena);
    vault_set_text(card->key_id, sizeof(card->key_id), SPAN(VAULT_SET_ASIDE));
    return error;
}

/* ERR_CORRUPT: it cannot be read. */
static err_t
seal_anew(const struct vault_rotation_work *work, const struct vault_stored *before)
{
    char digits[VAULT_NUMBER_SIZE];
    const struct vault_data_key *key = vault_keys_current(work->keys);
    struct document_store *documents = work->place->documents;
    struct vault_stored card = *before;
    struct document_row row;
    TRY(vault_stored_open(work->keys, before, digits));
    /* It was sealed with its zero, and a MAC says that it still has it. */
    ASSERT(memchr(digits, '\0', sizeof(digits)) != NULL);
    err_t error = vault_stored_look_up(key, digits, &card);
    if (error == ERR_OK) {
        error = vault_stored_seal(key, work->place->entropy, digits, &card);
    }
    explicit_bzero(digits, sizeof(digits));
    TRY(error);
    vault_stored_to_row(&card, &row);
    work->changed(work->context, before);
    return documents->ops->update(documents, &vault_card_kind, &row);
}

static err_t
seal_batch(
    const struct vault_rotation_work *work,
    const struct batch *batch,
    struct vault_rotation_step *step)
{
    struct document_store *documents = work->place->documents;
    uint32_t cards = 0;
    uint32_t unreadable = 0;
    TRY(documents->ops->begin(documents));
    for (uint32_t i = 0; i < batch->count; i++) {
        err_t error = seal_anew(work, &batch->cards[i]);
        bool unread = error == ERR_CORRUPT;
        if (unread) {
            error = set_aside(work, &batch->cards[i]);
        }
        if (error != ERR_OK) {
            documents->ops->rollback(documents);
            return error;
        }
        unreadable += unread;
        cards += !unread;
    }
    FAULT_POINT("vault-before-step");
    TRY(documents->ops->commit(documents));
    FAULT_POINT("vault-after-step");
    for (uint32_t i = 0; i < batch->count && unreadable > 0; i++) {
        if (strcmp(batch->cards[i].key_id, VAULT_SET_ASIDE) == 0) {
            work->set_aside(work->context, batch->cards[i].token);
        }
    }
    step->cards += cards;
    step->unreadable += unreadable;
    return ERR_OK;
}

err_t
vault_rotation_step(const struct vault_rotation_work *work, struct vault_rotation_step *ret_step)
{
    struct vault_rotation_step step = {0};
    uint32_t old_count = vault_keys_old_count(work->keys);
    for (uint32_t i = 0; i < old_count && step.cards + step.unreadable == 0; i++) {
        struct batch batch;
        TRY(list(work, &work->keys->data[i], &batch));
        if (batch.count > 0) {
            TRY(seal_batch(work, &batch, &step));
        }
    }
    if (step.cards == 0 && step.unreadable == 0) {
        FAULT_POINT("vault-before-retire");
        TRY(vault_keys_retire(work->keys, work->place));
        step.retired = true;
    }
    *ret_step = step;
    return ERR_OK;
}
