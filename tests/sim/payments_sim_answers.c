/* An answer is a promise: everything that a client was told is still so. */
#include "payments_sim.h"

#include <jansson.h>
#include <string.h>

static bool
is_one_of(const char *text, const char *const *values)
{
    for (; *values != NULL; values++) {
        if (strcmp(text, *values) == 0) {
            return true;
        }
    }
    return false;
}

/* Documents that were made under this key. */
static uint32_t
made_by(const struct sim_books *books, enum sim_kind kind, const struct sim_wish *wish)
{
    const struct sim_rows *rows = &books->documents[kind];
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        const json_t *metadata = json_object_get(rows->rows[i].body, "metadata");
        count += strcmp(sim_json_text(metadata, "wish"), wish->key) == 0 ? 1 : 0;
    }
    return count;
}

static void
check_intent_answer(
    struct sim *sim, const struct sim_books *books, const struct sim_wish *wish, const json_t *told)
{
    static const char *const captured[] = {"succeeded", NULL};
    static const char *const held[] = {"requires_capture", "succeeded", "canceled", NULL};
    static const char *const gone[] = {"canceled", NULL};
    const struct sim_row *intent = sim_books_find(books, SIM_ROW_INTENT, sim_json_text(told, "id"));
    const char *status = sim_json_text(told, "status");
    if (intent == NULL || intent->merchant != wish->merchant) {
        sim_world_fail(&sim->world, "%s: the intent of an answer is gone", wish->key);
        return;
    }
    const char *now = sim_row_text(intent, "status");
    bool holds = true;
    if (strcmp(status, "succeeded") == 0) {
        holds = is_one_of(now, captured) &&
                sim_row_integer(intent, "amount_received") ==
                    json_integer_value(json_object_get(told, "amount_received"));
    } else if (strcmp(status, "requires_capture") == 0) {
        holds = is_one_of(now, held);
    } else if (strcmp(status, "canceled") == 0) {
        holds = is_one_of(now, gone);
    }
    if (!holds) {
        sim_world_fail(
            &sim->world, "%s: told that %s is %s; it is %s", wish->key, intent->id, status, now);
    }
}

/* Where the page led to: a success is one for ever. */
static void
check_page_answer(struct sim *sim, const struct sim_books *books, const struct sim_wish *wish)
{
    static const char *const good[] = {
        "succeeded", "requires_capture", "canceled", "requires_confirmation", NULL};
    bool setup = strncmp(wish->capture, "seti_", 5) == 0;
    const struct sim_row *row =
        sim_books_find(books, setup ? SIM_ROW_SETUP : SIM_ROW_INTENT, wish->capture);
    if (wish->status != 303) {
        return; /* a page that another has taken the place of, or none */
    }
    if (row == NULL) {
        sim_world_fail(&sim->world, "%s: what the page was about is gone", wish->key);
        return;
    }
    bool told = strstr(wish->body, "redirect_status=succeeded") != NULL;
    /* With confirmation_method=manual the merchant's server may still be declined. */
    bool open = sim_row_is(row, "confirmation_method", "manual");
    if (told && !open && !is_one_of(sim_row_text(row, "status"), good)) {
        sim_world_fail(
            &sim->world,
            "%s: the page told of success; it is %s",
            wish->key,
            sim_row_text(row, "status"));
    }
}

static void
check_refund_answer(
    struct sim *sim, const struct sim_books *books, const struct sim_wish *wish, const json_t *told)
{
    const struct sim_row *refund = sim_books_find(books, SIM_ROW_REFUND, sim_json_text(told, "id"));
    if (refund == NULL) {
        sim_world_fail(&sim->world, "%s: the refund of an answer is gone", wish->key);
        return;
    }
    bool same =
        sim_row_integer(refund, "amount") == json_integer_value(json_object_get(told, "amount"));
    const char *status = sim_json_text(told, "status");
    /* Only a refund that the rail took may fail later, and then the money has come back. */
    bool failed_late = sim_row_is(refund, "status", "failed") &&
                       !sim_row_is(refund, "failure_balance_transaction", "");
    bool holds = sim_row_is(refund, "status", status) ||
                 (strcmp(status, "succeeded") == 0 && failed_late) ||
                 strcmp(status, "pending") == 0;
    if (!same || !holds) {
        sim_world_fail(
            &sim->world,
            "%s: told that %s is %s; it is %s",
            wish->key,
            refund->id,
            status,
            sim_row_text(refund, "status"));
    }
}

static void
check_setup_answer(
    struct sim *sim, const struct sim_books *books, const struct sim_wish *wish, const json_t *told)
{
    const struct sim_row *setup = sim_books_find(books, SIM_ROW_SETUP, sim_json_text(told, "id"));
    bool done = strcmp(sim_json_text(told, "status"), "succeeded") == 0;
    if (setup == NULL || (done && !sim_row_is(setup, "status", "succeeded"))) {
        sim_world_fail(&sim->world, "%s: the setup of an answer is another", wish->key);
    }
}

/* A decline is for ever: its charge never stands. */
static void
check_decline(
    struct sim *sim,
    const struct sim_books *books,
    const struct sim_wish *wish,
    const json_t *error)
{
    if (wish->verb == SIM_SETUP) {
        return;
    }
    const struct sim_row *charge =
        sim_books_find(books, SIM_ROW_CHARGE, sim_json_text(error, "charge"));
    bool stands = wish->verb == SIM_INCREMENT; /* it is as it was */
    bool of_capture = strcmp(sim_json_text(error, "code"), "charge_expired_for_capture") == 0;
    if (charge == NULL || (!of_capture && !stands && !sim_row_is(charge, "status", "failed"))) {
        sim_world_fail(&sim->world, "%s: was declined, but its charge stands", wish->key);
    }
}

static void
check_effects(struct sim *sim, const struct sim_books *books, const struct sim_wish *wish)
{
    static const enum sim_kind kinds[SIM_VERB_COUNT] = {
        [SIM_CREATE] = SIM_ROW_INTENT, [SIM_REFUND] = SIM_ROW_REFUND, [SIM_SETUP] = SIM_ROW_SETUP};

    if (wish->verb != SIM_CREATE && wish->verb != SIM_REFUND && wish->verb != SIM_SETUP) {
        return;
    }
    uint32_t made = made_by(books, kinds[wish->verb], wish);
    uint32_t wanted = wish->status == 200 || wish->status == 402 ? 1 : 0;
    if (made != wanted) {
        sim_world_fail(
            &sim->world, "%s was answered %d and had %u effects", wish->key, wish->status, made);
    }
}

void
sim_check_answers(struct sim *sim, const struct sim_books *books)
{
    for (uint32_t i = 0; i < sim->world.wish_count; i++) {
        const struct sim_wish *wish = &sim->world.wishes[i];
        if (wish->verb == SIM_AUTHENTICATE) {
            check_page_answer(sim, books, wish);
            continue;
        }
        json_t *json = sim_answer_json(wish);
        if (wish->verb == SIM_SETUP && wish->status == 200) {
            check_setup_answer(sim, books, wish, json);
        } else if (wish->status == 402) {
            check_decline(sim, books, wish, json_object_get(json, "error"));
        } else if (wish->status == 200 && wish->verb == SIM_REFUND) {
            check_refund_answer(sim, books, wish, json);
        } else if (wish->status == 200) {
            check_intent_answer(sim, books, wish, json);
        }
        check_effects(sim, books, wish);
        json_decref(json);
    }
    const struct sim_rows *keys = &books->documents[SIM_ROW_KEY];
    for (uint32_t i = 0; i < keys->count; i++) {
        if (json_is_true(json_object_get(keys->rows[i].body, "running"))) {
            sim_world_fail(
                &sim->world, "key %s is still running", sim_row_text(&keys->rows[i], "key"));
        }
    }
}
