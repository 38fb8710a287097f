/* Damaged cards that rotations have set aside: how many there are, and that operators discard them
 * (VAULT-7). Their rows say all of it; what is told of them is counted anew when some have gone. */
#include "private.h"

#include "base/assert.h"
#include "base/list.h"
#include "trace/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------ the rows */

static err_t
list(struct vault *vault, document_each each, void *context)
{
    const struct document_query query = {
        .all_scopes = true,
        .filters = {{.column = VAULT_CARD_KEY, .value = {.text = SPAN(VAULT_SET_ASIDE)}}},
        .filter_count = 1,
        .range_column = UINT32_MAX,
        .oldest_first = true,
        .limit = UINT32_MAX,
    };
    return vault->documents->ops->list(vault->documents, &vault_card_kind, &query, each, context);
}

/* --------------------------------------------------------------------------- what is told */

struct vault_told {
    pthread_mutex_t lock; /* of what follows */
    struct vault_aside aside;
};

static void
lock(struct vault_told *told)
{
    int result = pthread_mutex_lock(&told->lock);
    ASSERT(result == 0);
}

static void
unlock(struct vault_told *told)
{
    int result = pthread_mutex_unlock(&told->lock);
    ASSERT(result == 0);
}

static void
add(struct vault_aside *aside, struct span token)
{
    aside->count++;
    if (aside->shown < VAULT_UNREADABLE_SHOWN && token.size < sizeof(aside->tokens[0])) {
        vault_set_text(aside->tokens[aside->shown++], sizeof(aside->tokens[0]), token);
    }
}

static bool
count_row(void *context, const struct document_row *row)
{
    add(context, row->id);
    return true;
}

static err_t
count(struct vault *vault)
{
    struct vault_aside aside = {0};
    TRY(list(vault, count_row, &aside));
    lock(vault->told);
    vault->told->aside = aside;
    unlock(vault->told);
    return ERR_OK;
}

err_t
vault_aside_open(struct vault *vault)
{
    struct vault_told *told = calloc(1, sizeof(*told));
    if (told == NULL || pthread_mutex_init(&told->lock, NULL) != 0) {
        free(told);
        return ERR_MEMORY;
    }
    vault->told = told;
    return count(vault);
}

void
vault_aside_close(struct vault *vault)
{
    if (vault->told != NULL) {
        (void)pthread_mutex_destroy(&vault->told->lock);
        free(vault->told);
        vault->told = NULL;
    }
}

void
vault_aside_add(struct vault *vault, const char *token)
{
    lock(vault->told);
    add(&vault->told->aside, span_from_cstr(token));
    unlock(vault->told);
}

void
vault_aside_look(const struct vault *vault, struct vault_aside *ret_aside)
{
    lock(vault->told);
    *ret_aside = vault->told->aside;
    unlock(vault->told);
}

/* --------------------------------------------------------------------------- discarding */

struct batch {
    const struct vault *vault;
    const char *token; /* empty: all */
    struct vault_stored *cards;
    uint32_t count;
    bool readable; /* the one of the token is */
};

/* The row names no key, so each that is there is tried. */
static bool
opens(const struct vault_key_memory *keys, const struct vault_stored *card)
{
    char digits[VAULT_NUMBER_SIZE];
    struct vault_stored tried = *card;
    bool opened = false;
    for (uint32_t i = 0; i < keys->data_count && !opened; i++) {
        vault_set_text(tried.key_id, sizeof(tried.key_id), span_from_cstr(keys->data[i].id));
        opened = vault_stored_open(keys, &tried, digits) == ERR_OK;
    }
    explicit_bzero(digits, sizeof(digits));
    return opened;
}

static bool
take(void *context, const struct document_row *row)
{
    struct batch *batch = context;
    struct vault_stored *card = &batch->cards[batch->count];
    bool all = batch->token[0] == '\0';
    if (!all && !span_equal_cstr(row->id, batch->token)) {
        return true;
    }
    vault_stored_from_row(card, row);
    ASSERT(strcmp(card->key_id, VAULT_SET_ASIDE) == 0); /* VAULT-7 */
    batch->readable = opens(batch->vault->keys, card);
    batch->count += !batch->readable;
    return all && batch->count < VAULT_STEP_CARDS;
}

static err_t
remove_batch(struct vault *vault, const struct batch *batch)
{
    struct document_store *documents = vault->documents;
    TRY(documents->ops->begin(documents));
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct vault_stored *card = &batch->cards[i];
        vault_forget_cached(vault, card);
        err_t error = documents->ops->remove(
            documents, &vault_card_kind, card->scope, span_from_cstr(card->token), card->version);
        if (error != ERR_OK) {
            documents->ops->rollback(documents);
            return error;
        }
    }
    return documents->ops->commit(documents);
}

static void
log_batch(const struct vault *vault, const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count && vault->parts.log != NULL; i++) {
        TRACE_LOG(
            vault->parts.log,
            TRACE_WARNING,
            "vault",
            SPAN_EMPTY,
            "a damaged card was discarded",
            trace_cstr("card", batch->cards[i].token));
    }
}

/* *ret_more: the batch was full. */
static err_t
step(struct vault *vault, struct vault_discard *request, bool *ret_more)
{
    struct batch batch = {
        .vault = vault, .token = request->token, .cards = vault->work.batch, .count = 0};
    *ret_more = false;
    TRY(list(vault, take, &batch));
    if (batch.count == 0) {
        bool all = request->token[0] == '\0';
        return all ? ERR_OK : batch.readable ? ERR_DENIED : ERR_NOT_FOUND;
    }
    TRY(remove_batch(vault, &batch));
    log_batch(vault, &batch);
    request->discarded += batch.count;
    *ret_more = batch.count == VAULT_STEP_CARDS;
    return ERR_OK;
}

static void
run_done(struct os_task *task)
{
    struct vault_discard *request = CONTAINER_OF(task, struct vault_discard, task);
    request->done(request);
}

static void run_discard(struct os_task *task);

static void
discard(struct os_task *task)
{
    struct vault_discard *request = CONTAINER_OF(task, struct vault_discard, task);
    struct vault *vault = request->vault;
    bool more = false;
    request->error = step(vault, request, &more);
    if (more) {
        /* Cards that wait are served between two batches. */
        task->run = run_discard;
        os_post(os_loop_executor(vault->parts.loop), task);
        return;
    }
    if (request->discarded > 0) {
        err_t error = count(vault);
        request->error = request->error == ERR_OK ? error : request->error;
    }
    task->run = run_done;
    os_post(request->reply_to, task);
}

static void
run_discard(struct os_task *task)
{
    vault_rotating_ask(CONTAINER_OF(task, struct vault_discard, task)->vault, task, discard);
}

void
vault_discard(struct vault *vault, struct vault_discard *request)
{
    ASSERT(request->done != NULL);
    request->vault = vault;
    request->discarded = 0;
    request->task.run = run_discard;
    os_post(os_loop_executor(vault->parts.loop), &request->task);
}
