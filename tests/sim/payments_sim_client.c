/* The clients: they wish for things, ask until they are answered, sometimes several at once under
 * one key, and hold the process to what it said. */
#include "payments_sim.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_LIMIT (1U << 20)

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

static const struct resource_route *
route_find(struct sim *sim, const char *pattern)
{
    for (uint32_t table = 0; table < PAYMENTS_ROUTE_TABLES; table++) {
        uint32_t count;
        const struct resource_route *routes = payments_routes(sim->process.payments, table, &count);
        for (uint32_t i = 0; i < count; i++) {
            if (strcmp(routes[i].method, "POST") == 0 && strcmp(routes[i].pattern, pattern) == 0) {
                return &routes[i];
            }
        }
    }
    UNREACHABLE();
}

static void
call_free(struct sim_call *call)
{
    buf_release(&call->request.body);
    arena_release(&call->arena);
    free(call);
}

static void
call_gone(struct sim_call *call)
{
    call->sim->call_count--;
    if (call->wish != NULL) {
        call->wish->under_way--;
    }
    call_free(call);
}

static void
call_end(struct sim_call *call)
{
    struct sim_call **at = &call->sim->calls;
    while (*at != call) {
        at = &(*at)->next;
    }
    *at = call->next;
    call_gone(call);
}

void
sim_calls_forget(struct sim *sim)
{
    struct sim_call *call = sim->calls;
    sim->calls = NULL;
    while (call != NULL) {
        struct sim_call *next = call->next;
        sim->counts.unanswered++;
        call_gone(call);
        call = next;
    }
}

static struct sim_call *
call_create(
    struct sim *sim, const char *pattern, uint32_t merchant, const char *capture, const char *form)
{
    struct sim_call *call = calloc(1, sizeof(*call));
    ASSERT(call != NULL);
    struct span param;
    struct span message;
    call->sim = sim;
    arena_init(&call->arena, ARENA_LIMIT);
    struct resource_request *request = &call->request;
    request->route = route_find(sim, pattern);
    request->api_key = span_from_cstr(sim->merchants[merchant].key);
    request->captures[0] = arena_copy(&call->arena, span_from_cstr(capture));
    request->reply_to = &sim->replies;
    request->arena = &call->arena;
    (void)snprintf(
        request->request_id,
        sizeof(request->request_id),
        "req_%llu",
        (unsigned long long)sim->counts.answers);
    err_t error =
        form_parse(span_from_cstr(form), &call->arena, &request->params, &param, &message);
    ASSERT(error == ERR_OK);
    call->next = sim->calls;
    sim->calls = call;
    sim->call_count++;
    return call;
}

static void
replies_post(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    struct sim *sim = CONTAINER_OF(executor, struct sim, replies);
    (void)last;
    while (first != NULL && !sim->process.dead && !sim->process.documents.died) {
        struct os_task *next = first->next;
        first->run(first);
        first = next;
    }
}

static void
immediate_post(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    (void)executor;
    (void)last;
    while (first != NULL) {
        struct os_task *next = first->next;
        first->run(first);
        first = next;
    }
}

void
sim_clients_init(struct sim *sim)
{
    sim->replies.post = replies_post;
    sim->immediate.post = immediate_post;
}

/* ---------------------------------------------------------------------------------- answers */

json_t *
sim_answer_json(const struct sim_wish *wish)
{
    json_error_t error;
    json_t *json = wish->body == NULL ? NULL : json_loads(wish->body, 0, &error);
    return json != NULL ? json : json_object();
}

static const char *
text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text == NULL ? "" : text;
}

/* The end of the address to which the customer is sent. */
static void
learn_page(struct sim_intent *known, const json_t *intent)
{
    const json_t *action = json_object_get(intent, "next_action");
    const char *url = text_of(json_object_get(action, "redirect_to_url"), "url");
    const char *slash = strrchr(url, '/');
    if (slash != NULL) {
        (void)snprintf(known->page, sizeof(known->page), "%s", slash + 1);
    }
}

static void
learn_intent(struct sim *sim, const struct sim_wish *wish, const json_t *intent)
{
    const char *id = text_of(intent, "id");
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
    (void)snprintf(known->status, sizeof(known->status), "%s", text_of(intent, "status"));
    learn_page(known, intent);
    if (text_of(intent, "latest_charge")[0] != '\0') {
        (void)snprintf(
            known->charge, sizeof(known->charge), "%s", text_of(intent, "latest_charge"));
    }
}

static void
learn(struct sim *sim, const struct sim_wish *wish)
{
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

static void
try_later(struct sim *sim, struct sim_wish *wish)
{
    uint64_t wait_ms = 1 + sim_below(sim, 2000);
    wish->next_try_ns = os_monotonic_ns(os_sim_clock(sim->machine)) + wait_ms * OS_NS_PER_MS;
}

static bool
is_kept(int status)
{
    return status == 200 || status == 402;
}

static void
compare_replay(struct sim *sim, const struct sim_wish *wish, int status, struct span body)
{
    if (status != wish->status || !span_equal_cstr(body, wish->body)) {
        sim_fail(
            sim,
            "key %s was answered %d and then %d: %s | %.*s",
            wish->key,
            wish->status,
            status,
            wish->body,
            SPAN_PRINTF(body));
    }
}

static void
wish_answered(struct sim *sim, struct sim_wish *wish, const struct resource_request *request)
{
    int status = request->status;
    struct span body =
        wish->verb == SIM_AUTHENTICATE ? request->location : buf_span(&request->body);
    if (status == 409 || status == 429 || status >= 500) {
        wish->conflicts += status == 409 ? 1 : 0;
        try_later(sim, wish);
        return;
    }
    if (wish->settled && is_kept(wish->status)) {
        compare_replay(sim, wish, status, body);
        wish->replay_checked = wish->replay_checked || request->replayed;
        return;
    }
    free(wish->body);
    wish->body = strndup(body.size == 0 ? "" : body.data, body.size); /* a redirect to nowhere */
    ASSERT(wish->body != NULL);
    wish->status = status;
    wish->settled = true;
    sim->counts.verbs[wish->verb][status < 400 ? 1 : 0]++;
    learn(sim, wish);
}

static void
call_done(struct resource_request *request)
{
    struct sim_call *call = (struct sim_call *)(void *)request;
    struct sim *sim = call->sim;
    static const struct hash_key history_key = {1, 2};
    sim->counts.answers++;
    sim->counts.replays += request->replayed ? 1 : 0;
    sim->history = hash_u64(sim->history ^ hash_keyed(history_key, buf_span(&request->body)));
    if (sim->verbose) {
        (void)fprintf(
            stderr,
            "  %llu ms: %s %s %s %s -> %d%s %.*s\n",
            (unsigned long long)(os_monotonic_ns(os_sim_clock(sim->machine)) / OS_NS_PER_MS),
            call->wish->key,
            request->route->pattern,
            call->wish->capture,
            call->wish->form,
            request->status,
            request->replayed ? " (replayed)" : "",
            (int)span_slice(buf_span(&request->body), 0, 200).size,
            request->body.data);
    }
    wish_answered(sim, call->wish, request);
    call_end(call);
}

void
sim_send(struct sim *sim, struct sim_wish *wish)
{
    struct sim_call *call =
        call_create(sim, patterns[wish->verb], wish->merchant, wish->capture, wish->form);
    call->wish = wish;
    call->request.done = call_done;
    if (wish->verb == SIM_AUTHENTICATE) {
        call->request.api_key = SPAN_EMPTY;
        call->request.captures[0] = arena_format(
            &call->arena, "%llu", (unsigned long long)sim->merchants[wish->merchant].scope);
        call->request.captures[1] = arena_copy(&call->arena, span_from_cstr(wish->page));
    } else {
        call->request.idempotency_key = span_from_cstr(wish->key);
    }
    wish->under_way++;
    wish->tries++;
    resource_submit(sim->process.runtime, &call->request);
}

/* ------------------------------------------------------------------------------------ wishing */

__attribute__((format(printf, 2, 3))) static void
form_write(struct sim_wish *wish, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(wish->form, sizeof(wish->form), format, arguments);
    va_end(arguments);
}

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
    };
    return tokens[sim_below(sim, sizeof(tokens) / sizeof(tokens[0]))];
}

static const char *
draw_method(struct sim *sim, uint32_t merchant)
{
    return sim_chance(sim, 3) ? sim->merchants[merchant].method : draw_token(sim);
}

/* 100, 200 ... up to `most`. */
static long long
draw_amount(struct sim *sim, int64_t most)
{
    int64_t hundreds = 1 + (int64_t)sim_below(sim, (uint64_t)most / 100);
    return hundreds * 100;
}

static void
wish_create(struct sim *sim, struct sim_wish *wish)
{
    static const char *const currencies[] = {"usd", "usd", "eur", "jpy", "isk"};
    const char *currency = currencies[sim_below(sim, 5)];
    bool confirm = !sim_chance(sim, 5);
    bool method = confirm || sim_chance(sim, 2);
    long long amount = draw_amount(sim, 30000);
    wish->merchant = (uint32_t)sim_below(sim, SIM_MERCHANTS);
    form_write(
        wish,
        "amount=%lld&currency=%s&confirm=%s&capture_method=%s&metadata[wish]=%s%s%s%s%s"
        "&payment_method_options[card][request_incremental_authorization]=%s",
        amount,
        currency,
        confirm ? "true" : "false",
        sim_chance(sim, 2) ? "manual" : "automatic",
        wish->key,
        method ? "&payment_method=" : "",
        method ? draw_method(sim, wish->merchant) : "",
        confirm ? "&return_url=https://shop.example" : "",
        sim_chance(sim, 4) ? "&confirmation_method=manual" : "",
        sim_chance(sim, 4) ? "never" : "if_available");
}

static void
wish_setup(struct sim *sim, struct sim_wish *wish)
{
    wish->merchant = (uint32_t)sim_below(sim, SIM_MERCHANTS);
    form_write(
        wish,
        "confirm=true&metadata[wish]=%s&return_url=https://shop.example&payment_method=%s&usage=%s",
        wish->key,
        draw_method(sim, wish->merchant),
        sim_chance(sim, 2) ? "off_session" : "on_session");
}

/* The newest are the most wanted. */
static const struct sim_intent *
draw_intent(struct sim *sim)
{
    uint32_t count = sim->intent_count;
    uint32_t recent = count < 4 ? count : 4;
    return sim_chance(sim, 3) ? &sim->intents[sim_below(sim, count)]
                              : &sim->intents[count - 1 - sim_below(sim, recent)];
}

static void
wish_refund(struct sim *sim, struct sim_wish *wish, const struct sim_intent *intent)
{
    char amount[40] = "";
    if (!sim_chance(sim, 3)) {
        (void)snprintf(amount, sizeof(amount), "&amount=%lld", draw_amount(sim, intent->amount));
    }
    bool by_charge = intent->charge[0] != '\0' && sim_chance(sim, 2);
    form_write(
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
        form_write(wish, "answer=%s", sim_chance(sim, 4) ? "fail" : "complete");
    } else if (wish->verb == SIM_INCREMENT) {
        form_write(
            wish, "amount=%lld", (long long)intent->amount + draw_amount(sim, intent->amount));
    } else if (wish->verb == SIM_CONFIRM) {
        bool method = sim_chance(sim, 2);
        form_write(
            wish,
            "return_url=https://shop.example%s%s",
            method ? "&payment_method=" : "",
            method ? draw_method(sim, wish->merchant) : "");
    } else if (wish->verb == SIM_CAPTURE && sim_chance(sim, 2)) {
        form_write(wish, "amount_to_capture=%lld", draw_amount(sim, intent->amount));
    } else if (wish->verb == SIM_UPDATE) {
        form_write(wish, "description=%s", wish->key);
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

    if (!sim_chance(sim, 3)) {
        if (strcmp(intent->status, "requires_capture") == 0) {
            return held[sim_below(sim, sizeof(held) / sizeof(held[0]))];
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
    return any[sim_below(sim, sizeof(any) / sizeof(any[0]))];
}

static struct sim_wish *
wish_draw(struct sim *sim)
{
    struct sim_wish *wish = &sim->wishes[sim->wish_count];
    memset(wish, 0, sizeof(*wish));
    (void)snprintf(wish->key, sizeof(wish->key), "key-%u", (unsigned)sim->wish_count);
    sim->wish_count++;
    if (sim->intent_count == 0 || sim_chance(sim, 3)) {
        wish->verb = SIM_CREATE;
        wish_create(sim, wish);
    } else if (sim_chance(sim, 8)) {
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
wish_to_repeat(struct sim *sim)
{
    uint64_t now = os_monotonic_ns(os_sim_clock(sim->machine));
    if (sim->wish_count == 0) {
        return NULL;
    }
    uint32_t first = (uint32_t)sim_below(sim, sim->wish_count);
    bool impatient = sim_chance(sim, 8);
    for (uint32_t i = 0; i < sim->wish_count; i++) {
        struct sim_wish *wish = &sim->wishes[(first + i) % sim->wish_count];
        bool idle = wish->under_way == 0;
        if (!wish->settled && (idle || impatient) && wish->next_try_ns <= now) {
            return wish;
        }
        if (impatient && wish->settled && is_kept(wish->status) && sim_chance(sim, 8)) {
            return wish;
        }
    }
    return NULL;
}

bool
sim_clients_act(struct sim *sim)
{
    if (sim->call_count >= sim->plan.calls_max) {
        return false;
    }
    struct sim_wish *wish = sim_chance(sim, 2) ? wish_to_repeat(sim) : NULL;
    if (wish == NULL && sim->wish_count < sim->plan.wishes) {
        wish = wish_draw(sim);
    }
    if (wish == NULL) {
        wish = wish_to_repeat(sim);
    }
    if (wish == NULL) {
        return false;
    }
    sim_send(sim, wish);
    return true;
}

void
sim_replay_all(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->wish_count && !sim->failed; i++) {
        struct sim_wish *wish = &sim->wishes[i];
        if (!wish->settled || !is_kept(wish->status)) {
            continue;
        }
        wish->replay_checked = false;
        sim_send(sim, wish);
        (void)os_sim_run_until_idle(sim->machine, SIM_STEPS_MAX);
        if (!wish->replay_checked) {
            sim_fail(sim, "key %s is not replayed", wish->key);
        }
    }
}

/* -------------------------------------------------------------------------------- preparation */

struct setup {
    struct sim *sim;
    uint32_t merchant;
};

static void
method_made(struct resource_request *request)
{
    struct sim_call *call = (struct sim_call *)(void *)request;
    struct sim_merchant *merchant = request->user;
    json_error_t error;
    json_t *json = json_loadb(request->body.data, request->body.size, 0, &error);
    ASSERT(request->status == 200);
    (void)snprintf(merchant->method, sizeof(merchant->method), "%s", text_of(json, "id"));
    json_decref(json);
    call_end(call);
}

static void
note_scope(void *context, uint64_t scope)
{
    struct setup *setup = context;
    /* Test mode, in the order of creation: the newest merchant is the last one. */
    if ((scope & 1) == 0) {
        setup->sim->merchants[setup->merchant].scope = scope;
    }
}

void
sim_clients_prepare(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_MERCHANTS; i++) {
        struct sim_merchant *merchant = &sim->merchants[i];
        struct resource_runtime *runtime = sim->process.runtime;
        struct setup setup = {.sim = sim, .merchant = i};
        err_t error = resource_merchant_create(runtime, "Shop", merchant->id);
        ASSERT(error == ERR_OK);
        error = resource_key_create(
            runtime, merchant->id, RESOURCE_KEY_SECRET, false, "first", NULL, merchant->key);
        ASSERT(error == ERR_OK);
        error = resource_scope_each(runtime, note_scope, &setup);
        ASSERT(error == ERR_OK);
        struct sim_call *call = call_create(
            sim,
            "/v1/payment_methods",
            i,
            "",
            "type=card&card[token]=tok_avsFail&billing_details[address][line1]=1&"
            "billing_details[address][postal_code]=1");
        call->request.done = method_made;
        call->request.user = merchant;
        resource_submit(runtime, &call->request);
        (void)os_sim_run_until_idle(sim->machine, SIM_STEPS_MAX);
        ASSERT(merchant->method[0] != '\0');
    }
}
