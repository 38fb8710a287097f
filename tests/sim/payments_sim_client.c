/* The clients: they wish for things, ask until they are answered, sometimes several at once under
 * one key, and hold the process to what it said. */
#include "payments_sim.h"

#include "base/assert.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------ sending */

static const char *const patterns[SIM_VERB_COUNT] = {
    [SIM_CREATE] = "/v1/payment_intents",
    [SIM_CONFIRM] = "/v1/payment_intents/:id/confirm",
    [SIM_CAPTURE] = "/v1/payment_intents/:id/capture",
    [SIM_CANCEL] = "/v1/payment_intents/:id/cancel",
    [SIM_REFUND] = "/v1/refunds",
    [SIM_UPDATE] = "/v1/payment_intents/:id",
    [SIM_INCREMENT] = "/v1/payment_intents/:id/increment_authorization",
    [SIM_SETUP] = "/v1/setup_intents",
    [SIM_AUTHENTICATE] = "/authenticate/:scope/:secret",
};

static struct sim_call *
call_create(
    struct sim *sim, const char *pattern, uint32_t merchant, const char *capture, const char *form)
{
    const struct resource_route *route = NULL;
    for (uint32_t table = 0; table < PAYMENTS_ROUTE_TABLES && route == NULL; table++) {
        uint32_t count;
        const struct resource_route *routes = payments_routes(sim->payments, table, &count);
        route = sim_route_find(routes, count, "POST", pattern);
    }
    return sim_call_create(&sim->world, route, sim->merchants[merchant].key, capture, form);
}

void
sim_send(struct sim_world *world, struct sim_wish *wish)
{
    struct sim *sim = sim_of(world);
    struct sim_call *call =
        call_create(sim, patterns[wish->verb], wish->merchant, wish->capture, wish->form);
    wish->wants_location = wish->verb == SIM_AUTHENTICATE;
    if (wish->verb == SIM_AUTHENTICATE) {
        call->request.api_key = SPAN_EMPTY;
        call->request.captures[0] = arena_format(
            &call->arena, "%llu", (unsigned long long)sim->merchants[wish->merchant].scope);
        call->request.captures[1] = arena_copy(&call->arena, span_from_cstr(wish->page));
    } else {
        call->request.idempotency_key = span_from_cstr(wish->key);
    }
    sim_call_submit(call, wish);
}

/* ---------------------------------------------------------------------------------- answers */

json_t *
sim_answer_json(const struct sim_wish *wish)
{
    json_error_t error;
    json_t *json = wish->body == NULL ? NULL : json_loads(wish->body, 0, &error);
    return json != NULL ? json : json_object();
}

/* The end of the address to which the customer is sent. */
static void
learn_page(struct sim_intent *known, const json_t *intent)
{
    const json_t *action = json_object_get(intent, "next_action");
    const char *url = sim_json_text(json_object_get(action, "redirect_to_url"), "url");
    const char *slash = strrchr(url, '/');
    if (slash != NULL) {
        (void)snprintf(known->page, sizeof(known->page), "%s", slash + 1);
    }
}

static void
learn_intent(struct sim *sim, const struct sim_wish *wish, const json_t *intent)
{
    const char *id = sim_json_text(intent, "id");
    if (id[0] == '\0') {
        return;
    }
    struct sim_intent *known = NULL;
    for (uint32_t i = 0; i < sim->intent_count; i++) {
        if (strcmp(sim->intents[i].id, id) == 0) {
            known = &sim->intents[i];
        }
    }
    if (known == NULL) {
        if (sim->intent_count == SIM_INTENTS_MAX) {
            return;
        }
        known = &sim->intents[sim->intent_count++];
        (void)snprintf(known->id, sizeof(known->id), "%s", id);
        known->merchant = wish->merchant;
        known->amount = json_integer_value(json_object_get(intent, "amount"));
    }
    (void)snprintf(known->status, sizeof(known->status), "%s", sim_json_text(intent, "status"));
    learn_page(known, intent);
    if (sim_json_text(intent, "latest_charge")[0] != '\0') {
        (void)snprintf(
            known->charge, sizeof(known->charge), "%s", sim_json_text(intent, "latest_charge"));
    }
}

void
sim_learn(struct sim_world *world, const struct sim_wish *wish)
{
    struct sim *sim = sim_of(world);
    if (wish->verb == SIM_AUTHENTICATE) {
        return;
    }
    json_t *json = sim_answer_json(wish);
    if (wish->status == 200 && wish->verb != SIM_REFUND) {
        learn_intent(sim, wish, json);
    } else if (wish->status == 402) {
        learn_intent(sim, wish, json_object_get(json_object_get(json, "error"), "payment_intent"));
    }
    json_decref(json);
}

bool
sim_is_promise(int status)
{
    return status == 200 || status == 402;
}

/* ------------------------------------------------------------------------------------ wishing */

static const char *
draw_token(struct sim *sim)
{
    static const char *const tokens[] = {
        "pm_card_visa",
        "pm_card_visa",
        "pm_card_mastercard",
        "pm_card_amex",
        "pm_card_visa_chargeDeclined",
        "pm_card_chargeDeclinedInsufficientFunds",
        "pm_card_chargeDeclinedProcessingError",
        "pm_card_radarBlock",
        "pm_card_pendingRefund",
        "pm_card_refundFail",
        "pm_card_bypassPending",
        "pm_card_avsFail",
        "pm_card_threeDSecure2Required",
        "pm_card_authenticationRequiredOnSetup",
        "pm_card_threeDSecureRequiredChargeDeclined",
        "pm_card_incrementDeclined",
        "pm_card_createDispute",
        "pm_card_createDisputeInquiry",
        "pm_card_createMultipleDisputes",
    };
    return tokens[sim_below(&sim->world, sizeof(tokens) / sizeof(tokens[0]))];
}

static const char *
draw_method(struct sim *sim, uint32_t merchant)
{
    return sim_chance(&sim->world, 3) ? sim->methods[merchant] : draw_token(sim);
}

/* 100, 200 ... up to `most`. */
static long long
draw_amount(struct sim *sim, int64_t most)
{
    int64_t hundreds = 1 + (int64_t)sim_below(&sim->world, (uint64_t)most / 100);
    return hundreds * 100;
}

static void
wish_create(struct sim *sim, struct sim_wish *wish)
{
    static const char *const currencies[] = {"usd", "usd", "eur", "jpy", "isk"};
    const char *currency = currencies[sim_below(&sim->world, 5)];
    bool confirm = !sim_chance(&sim->world, 5);
    bool method = confirm || sim_chance(&sim->world, 2);
    long long amount = draw_amount(sim, 30000);
    wish->merchant = (uint32_t)sim_below(&sim->world, SIM_MERCHANTS);
    sim_wish_form(
        wish,
        "amount=%lld&currency=%s&confirm=%s&capture_method=%s&metadata[wish]=%s%s%s%s%s"
        "&payment_method_options[card][request_incremental_authorization]=%s",
        amount,
        currency,
        confirm ? "true" : "false",
        sim_chance(&sim->world, 2) ? "manual" : "automatic",
        wish->key,
        method ? "&payment_method=" : "",
        method ? draw_method(sim, wish->merchant) : "",
        confirm ? "&return_url=https://shop.example" : "",
        sim_chance(&sim->world, 4) ? "&confirmation_method=manual" : "",
        sim_chance(&sim->world, 4) ? "never" : "if_available");
}

static void
wish_setup(struct sim *sim, struct sim_wish *wish)
{
    wish->merchant = (uint32_t)sim_below(&sim->world, SIM_MERCHANTS);
    sim_wish_form(
        wish,
        "confirm=true&metadata[wish]=%s&return_url=https://shop.example&payment_method=%s&usage=%s",
        wish->key,
        draw_method(sim, wish->merchant),
        sim_chance(&sim->world, 2) ? "off_session" : "on_session");
}

/* The newest are the most wanted. */
static const struct sim_intent *
draw_intent(struct sim *sim)
{
    uint32_t count = sim->intent_count;
    uint32_t recent = count < 4 ? count : 4;
    return sim_chance(&sim->world, 3) ? &sim->intents[sim_below(&sim->world, count)]
                                      : &sim->intents[count - 1 - sim_below(&sim->world, recent)];
}

static void
wish_refund(struct sim *sim, struct sim_wish *wish, const struct sim_intent *intent)
{
    char amount[40] = "";
    if (!sim_chance(&sim->world, 3)) {
        (void)snprintf(amount, sizeof(amount), "&amount=%lld", draw_amount(sim, intent->amount));
    }
    bool by_charge = intent->charge[0] != '\0' && sim_chance(&sim->world, 2);
    sim_wish_form(
        wish,
        "%s=%s&metadata[wish]=%s%s",
        by_charge ? "charge" : "payment_intent",
        by_charge ? intent->charge : intent->id,
        wish->key,
        amount);
}

static void
wish_about(struct sim *sim, struct sim_wish *wish, const struct sim_intent *intent)
{
    wish->merchant = intent->merchant;
    if (wish->verb == SIM_REFUND) {
        wish_refund(sim, wish, intent);
        return;
    }
    (void)snprintf(wish->capture, sizeof(wish->capture), "%s", intent->id);
    (void)snprintf(wish->page, sizeof(wish->page), "%s", intent->page);
    if (wish->verb == SIM_AUTHENTICATE) {
        sim_wish_form(wish, "answer=%s", sim_chance(&sim->world, 4) ? "fail" : "complete");
    } else if (wish->verb == SIM_INCREMENT) {
        sim_wish_form(
            wish, "amount=%lld", (long long)intent->amount + draw_amount(sim, intent->amount));
    } else if (wish->verb == SIM_CONFIRM) {
        bool method = sim_chance(&sim->world, 2);
        sim_wish_form(
            wish,
            "return_url=https://shop.example%s%s",
            method ? "&payment_method=" : "",
            method ? draw_method(sim, wish->merchant) : "");
    } else if (wish->verb == SIM_CAPTURE && sim_chance(&sim->world, 2)) {
        sim_wish_form(wish, "amount_to_capture=%lld", draw_amount(sim, intent->amount));
    } else if (wish->verb == SIM_UPDATE) {
        sim_wish_form(wish, "description=%s", wish->key);
    }
}

/* Mostly what makes sense. */
static enum sim_verb
draw_verb(struct sim *sim, const struct sim_intent *intent)
{
    static const enum sim_verb any[] = {
        SIM_CAPTURE,
        SIM_REFUND,
        SIM_CANCEL,
        SIM_CONFIRM,
        SIM_UPDATE,
        SIM_INCREMENT,
        SIM_AUTHENTICATE};

    static const enum sim_verb held[] = {SIM_CAPTURE, SIM_CAPTURE, SIM_CANCEL, SIM_INCREMENT};

    if (strncmp(intent->id, "seti_", 5) == 0) {
        return SIM_AUTHENTICATE;
    }

    if (!sim_chance(&sim->world, 3)) {
        if (strcmp(intent->status, "requires_capture") == 0) {
            return held[sim_below(&sim->world, sizeof(held) / sizeof(held[0]))];
        }
        if (strcmp(intent->status, "requires_action") == 0) {
            return SIM_AUTHENTICATE;
        }
        if (strcmp(intent->status, "succeeded") == 0) {
            return SIM_REFUND;
        }
        if (strncmp(intent->status, "requires_", 9) == 0) {
            return SIM_CONFIRM;
        }
    }
    return any[sim_below(&sim->world, sizeof(any) / sizeof(any[0]))];
}

static struct sim_wish *
wish_draw(struct sim *sim)
{
    struct sim_wish *wish = sim_wish_next(&sim->world);
    sim->world.wish_count++;
    if (sim->intent_count == 0 || sim_chance(&sim->world, 3)) {
        wish->verb = SIM_CREATE;
        wish_create(sim, wish);
    } else if (sim_chance(&sim->world, 8)) {
        wish->verb = SIM_SETUP;
        wish_setup(sim, wish);
    } else {
        const struct sim_intent *intent = draw_intent(sim);
        wish->verb = draw_verb(sim, intent);
        wish_about(sim, wish, intent);
    }
    return wish;
}

/* One that has no answer and whose time has come; or one under way, which somebody else wants under
 * the same key. */
static struct sim_wish *
wish_to_repeat(struct sim_world *world)
{
    uint64_t now = os_monotonic_ns(os_sim_clock(world->machine));
    if (world->wish_count == 0) {
        return NULL;
    }
    uint32_t first = (uint32_t)sim_below(world, world->wish_count);
    bool impatient = sim_chance(world, 8);
    for (uint32_t i = 0; i < world->wish_count; i++) {
        struct sim_wish *wish = &world->wishes[(first + i) % world->wish_count];
        bool idle = wish->under_way == 0;
        if (!wish->settled && (idle || impatient) && wish->next_try_ns <= now) {
            return wish;
        }
        if (impatient && wish->settled && sim_is_promise(wish->status) && sim_chance(world, 8)) {
            return wish;
        }
    }
    return NULL;
}

void
sim_clients_act(struct sim_world *world)
{
    if (world->call_count >= world->calls_max) {
        return;
    }
    struct sim_wish *wish = sim_chance(world, 2) ? wish_to_repeat(world) : NULL;
    if (wish == NULL && world->wish_count < world->wishes_wanted) {
        wish = wish_draw(sim_of(world));
    }
    if (wish == NULL) {
        wish = wish_to_repeat(world);
    }
    if (wish != NULL) {
        sim_send(world, wish);
    }
}

void
sim_replay_all(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->world.wish_count && !sim->world.failed; i++) {
        struct sim_wish *wish = &sim->world.wishes[i];
        if (!wish->settled || !sim_is_promise(wish->status)) {
            continue;
        }
        wish->replay_checked = false;
        sim_send(&sim->world, wish);
        (void)os_sim_run_until_idle(sim->world.machine, SIM_STEPS_MAX);
        if (!wish->replay_checked) {
            sim_world_fail(&sim->world, "key %s is not replayed", wish->key);
        }
    }
}

/* -------------------------------------------------------------------------------- preparation */

void
sim_clients_prepare(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_MERCHANTS; i++) {
        sim_merchant_create(&sim->world, &sim->merchants[i]);
        const json_t *method = sim_call_ask(call_create(
            sim,
            "/v1/payment_methods",
            i,
            "",
            "type=card&card[token]=tok_avsFail&billing_details[address][line1]=1&"
            "billing_details[address][postal_code]=1"));
        ASSERT(json_integer_value(json_object_get(method, "status_code")) == 200);
        (void)snprintf(sim->methods[i], ID_TEXT_SIZE, "%s", sim_json_text(method, "id"));
        ASSERT(sim->methods[i][0] != '\0');
    }
}
