/* Reads everything that is written down: documents, ledger, the issuer's file. */
#include "payments_sim.h"

#include "base/assert.h"
#include "base/list.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct sim_issuer_record) == 64, "record of the issuer's file");

/* ----------------------------------------------------------------------------- the documents */

static const char *const kind_names[SIM_ROW_KIND_COUNT] = {
    [SIM_ROW_INTENT] = "payment_intent",
    [SIM_ROW_CHARGE] = "charge",
    [SIM_ROW_REFUND] = "refund",
    [SIM_ROW_TRANSACTION] = "balance_transaction",
    [SIM_ROW_KEY] = "idempotency_key",
    [SIM_ROW_EVENT] = "event",
    [SIM_ROW_SETUP] = "setup_intent",
    [SIM_ROW_SETUP_ATTEMPT] = "setup_attempt",
};

static const struct document_kind *
kind_find(const char *name)
{
    for (uint32_t i = 0; i < payments_kind_count; i++) {
        if (strcmp(payments_kinds[i]->name, name) == 0) {
            return payments_kinds[i];
        }
    }
    for (uint32_t i = 0; i < resource_kind_count; i++) {
        if (strcmp(resource_kinds[i]->name, name) == 0) {
            return resource_kinds[i];
        }
    }
    UNREACHABLE();
}

struct reading {
    struct sim_rows *rows;
    uint32_t merchant;
    uint32_t page;
};

static bool
read_row(void *context, const struct document_row *row)
{
    struct reading *reading = context;
    struct sim_rows *rows = reading->rows;
    json_error_t error;
    rows->rows = reallocarray(rows->rows, rows->count + 1, sizeof(*rows->rows));
    ASSERT(rows->rows != NULL);
    struct sim_row *out = &rows->rows[rows->count++];
    memset(out, 0, sizeof(*out));
    out->scope = row->scope;
    out->merchant = reading->merchant;
    ASSERT(row->id.size < sizeof(out->id));
    memcpy(out->id, row->id.data, row->id.size);
    out->body = json_loadb(row->body.data, row->body.size, 0, &error);
    ASSERT(out->body != NULL);
    reading->page++;
    return true;
}

static void
read_kind(struct sim *sim, enum sim_kind kind, struct sim_rows *rows)
{
    struct document_store *store = &sim->process.documents.store;
    for (uint32_t i = 0; i < SIM_MERCHANTS; i++) {
        struct reading reading = {.rows = rows, .merchant = i};
        char above[64] = "";
        do {
            struct document_query query = {
                .scope = sim->merchants[i].scope,
                .range_column = UINT32_MAX,
                .id_above = span_from_cstr(above),
                .oldest_first = true,
                .limit = DOCUMENT_LIST_MAX,
            };
            reading.page = 0;
            err_t error =
                store->ops->list(store, kind_find(kind_names[kind]), &query, read_row, &reading);
            ASSERT(error == ERR_OK);
            if (reading.page > 0) {
                memcpy(above, rows->rows[rows->count - 1].id, sizeof(above));
            }
        } while (reading.page == DOCUMENT_LIST_MAX);
    }
}

struct sim_row *
sim_books_find(const struct sim_books *books, enum sim_kind kind, const char *id)
{
    const struct sim_rows *rows = &books->documents[kind];
    for (uint32_t i = 0; i < rows->count; i++) {
        if (strcmp(rows->rows[i].id, id) == 0) {
            return &rows->rows[i];
        }
    }
    return NULL;
}

const char *
sim_row_text(const struct sim_row *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row->body, name));
    return text == NULL ? "" : text;
}

int64_t
sim_row_integer(const struct sim_row *row, const char *name)
{
    return json_integer_value(json_object_get(row->body, name));
}

bool
sim_row_is(const struct sim_row *row, const char *name, const char *value)
{
    return strcmp(sim_row_text(row, name), value) == 0;
}

const struct currency *
sim_row_currency(const struct sim_row *row)
{
    const struct currency *currency = currency_find(span_from_cstr(sim_row_text(row, "currency")));
    ASSERT(currency != NULL);
    return currency;
}

int64_t
sim_row_units(const struct sim_row *row, int64_t api_amount)
{
    struct money money;
    err_t error = money_from_api(api_amount, sim_row_currency(row), &money);
    ASSERT(error == ERR_OK);
    return money.amount;
}

/* -------------------------------------------------------------------------------- the ledger */

struct question {
    struct port_ledger_request request; /* first */
    bool answered;
};

static void
question_answered(struct port_ledger_request *request)
{
    ((struct question *)(void *)request)->answered = true;
}

static uint32_t
ask_ledger(struct sim *sim, enum port_ledger_operation operation, void *out)
{
    struct port_ledger_filter filter = {.limit = LEDGER_BATCH_MAX};
    struct question question = {
        .request = {
            .reply_to = &sim->immediate,
            .done = question_answered,
            .operation = operation,
            .count = 1,
            .in.filter = &filter,
        }};
    if (operation == PORT_LEDGER_QUERY_TRANSFERS) {
        question.request.out.transfers = out;
    } else {
        question.request.out.accounts = out;
    }
    struct port_ledger *port = ledger_engine_port(sim->process.engine);
    port->submit(port, &question.request);
    (void)os_sim_run_until_idle(sim->machine, SIM_STEPS_MAX);
    ASSERT(question.answered);
    ASSERT(question.request.error == ERR_OK);
    ASSERT(question.request.out_count < LEDGER_BATCH_MAX); /* or the page was cut */
    return question.request.out_count;
}

static void
read_ledger(struct sim *sim, struct sim_books *books)
{
    books->transfers = calloc(LEDGER_BATCH_MAX, sizeof(*books->transfers));
    books->accounts = calloc(LEDGER_BATCH_MAX, sizeof(*books->accounts));
    ASSERT(books->transfers != NULL && books->accounts != NULL);
    books->transfer_count = ask_ledger(sim, PORT_LEDGER_QUERY_TRANSFERS, books->transfers);
    books->account_count = ask_ledger(sim, PORT_LEDGER_QUERY_ACCOUNTS, books->accounts);
}

/* -------------------------------------------------------------------------------- the issuer */

static void
read_issuer(struct sim *sim, struct sim_books *books)
{
    enum {
        FILE_MAX = 1 << 24
    };

    char *text;
    size_t size;
    err_t error = os_file_load(
        os_sim_disk_ops(sim->issuer_disk), "issuer/issuer.log", FILE_MAX, &text, &size);
    ASSERT(error == ERR_OK);
    ASSERT(size % sizeof(struct sim_issuer_record) == 0);
    books->issuer_count = (uint32_t)(size / sizeof(struct sim_issuer_record));
    books->issuer = calloc(books->issuer_count + 1, sizeof(*books->issuer));
    ASSERT(books->issuer != NULL);
    memcpy(books->issuer, text, size);
    free(text);
}

void
sim_books_read(struct sim *sim, struct sim_books *books)
{
    memset(books, 0, sizeof(*books));
    for (uint32_t i = 0; i < SIM_ROW_KIND_COUNT; i++) {
        read_kind(sim, (enum sim_kind)i, &books->documents[i]);
    }
    read_ledger(sim, books);
    read_issuer(sim, books);
}

void
sim_books_release(struct sim_books *books)
{
    for (uint32_t i = 0; i < SIM_ROW_KIND_COUNT; i++) {
        for (uint32_t j = 0; j < books->documents[i].count; j++) {
            json_decref(books->documents[i].rows[j].body);
        }
        free(books->documents[i].rows);
    }
    free(books->transfers);
    free(books->accounts);
    free(books->issuer);
}

bool
sim_documents_damage(struct sim *sim, enum sim_kind kind, const struct sim_row *row)
{
    struct document_store *store = &sim->process.documents.store;
    const struct document_kind *document = kind_find(kind_names[kind]);
    struct document_row stored;
    struct arena arena;
    arena_init(&arena, 1U << 20);
    char *body = json_dumps(row->body, JSON_COMPACT);
    ASSERT(body != NULL);
    err_t error =
        store->ops->get(store, document, row->scope, span_from_cstr(row->id), &arena, &stored);
    ASSERT(error == ERR_OK);
    stored.scope = row->scope;
    stored.id = span_from_cstr(row->id);
    stored.body = span_from_cstr(body);
    error = store->ops->begin(store);
    ASSERT(error == ERR_OK);
    error = store->ops->update(store, document, &stored);
    ASSERT(error == ERR_OK);
    error = store->ops->commit(store);
    free(body);
    arena_release(&arena);
    return error == ERR_OK;
}
