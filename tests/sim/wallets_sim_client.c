/* The clients: they wish for things, ask until they are answered, sometimes several at once under
 * one key, and hold the process to what it said. */
#include "wallets_sim.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_LIMIT (1U << 20)

static const char *const patterns[WSIM_VERB_COUNT] = {
    [WSIM_FUND] = "/v1/test_helpers/wallets/:id/fund_balance",
    [WSIM_TRANSFER] = "/v1/wallet_transfers",
    [WSIM_REQUEST] = "/v1/wallet_requests",
    [WSIM_PAY] = "/v1/wallet_requests/:id/pay",
    [WSIM_DECLINE] = "/v1/wallet_requests/:id/decline",
    [WSIM_HOLD] = "/v1/wallets/:id/holds",
    [WSIM_CAPTURE] = "/v1/wallet_holds/:id/capture",
    [WSIM_RELEASE] = "/v1/wallet_holds/:id/release",
    [WSIM_WITHDRAW] = "/v1/wallets/:id/withdrawals",
    [WSIM_FREEZE] = "/v1/wallets/:id/freeze",
    [WSIM_UNFREEZE] = "/v1/wallets/:id/unfreeze",
    [WSIM_CLOSE] = "/v1/wallets/:id/close",
};

/* ------------------------------------------------------------------------------------ sending */

static const struct resource_route *
route_find(struct wsim *sim, const char *method, const char *pattern)
{
    uint32_t count;
    const struct resource_route *routes = wallets_routes(sim->process.wallets, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(routes[i].method, method) == 0 && strcmp(routes[i].pattern, pattern) == 0) {
            return &routes[i];
        }
    }
    UNREACHABLE();
}

static void
call_gone(struct wsim_call *call)
{
    call->sim->call_count--;
    if (call->wish != NULL) {
        call->wish->under_way--;
    }
    buf_release(&call->request.body);
    arena_release(&call->arena);
    free(call);
}

static void
call_end(struct wsim_call *call)
{
    struct wsim_call **at = &call->sim->calls;
    while (*at != call) {
        at = &(*at)->next;
    }
    *at = call->next;
    call_gone(call);
}

void
wsim_calls_forget(struct wsim *sim)
{
    struct wsim_call *call = sim->calls;
    json_decref(sim->asked);
    sim->asked = NULL;
    sim->calls = NULL;
    while (call != NULL) {
        struct wsim_call *next = call->next;
        sim->unanswered++;
        call_gone(call);
        call = next;
    }
}

static struct wsim_call *
call_create(
    struct wsim *sim,
    const char *method,
    const char *pattern,
    const char *capture,
    const char *form)
{
    struct wsim_call *call = calloc(1, sizeof(*call));
    ASSERT(call != NULL);
    struct span param;
    struct span message;
    call->sim = sim;
    arena_init(&call->arena, ARENA_LIMIT);
    struct resource_request *request = &call->request;
    request->route = route_find(sim, method, pattern);
    request->api_key = span_from_cstr(sim->key);
    request->captures[0] = arena_copy(&call->arena, span_from_cstr(capture));
    request->reply_to = &sim->replies;
    request->arena = &call->arena;
    (void)snprintf(
        request->request_id,
        sizeof(request->request_id),
        "req_%llu",
        (unsigned long long)sim->answers);
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
    struct wsim *sim = CONTAINER_OF(executor, struct wsim, replies);
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
wsim_clients_init(struct wsim *sim)
{
    sim->replies.post = replies_post;
    sim->immediate.post = immediate_post;
}

/* ---------------------------------------------------------------------------------- answers */

static const char *
text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text == NULL ? "" : text;
}

static void
learn(struct wsim *sim, const struct wsim_wish *wish)
{
    json_error_t error;
    json_t *json = json_loads(wish->body, 0, &error);
    const char *id = text_of(json, "id");
    if (wish->verb == WSIM_HOLD && sim->hold_count < WSIM_KNOWN_MAX) {
        (void)snprintf(sim->holds[sim->hold_count++], ID_TEXT_SIZE, "%s", id);
    } else if (wish->verb == WSIM_REQUEST && sim->request_count < WSIM_KNOWN_MAX) {
        (void)snprintf(sim->requests[sim->request_count++], ID_TEXT_SIZE, "%s", id);
    }
    json_decref(json);
}

/* Refusals before anything was done are not kept under the key, and may differ later. */
static bool
is_promise(const struct wsim_wish *wish)
{
    return wish->status == 200;
}

static void
wish_answered(struct wsim *sim, struct wsim_wish *wish, const struct resource_request *request)
{
    int status = request->status;
    struct span body = buf_span(&request->body);
    if (status == 409 || status == 429 || status >= 500) {
        wish->next_try_ns = os_monotonic_ns(os_sim_clock(sim->machine)) +
                            (1 + wsim_below(sim, 2000)) * OS_NS_PER_MS;
        return;
    }
    if (wish->settled && is_promise(wish)) {
        if (status != wish->status || !span_equal_cstr(body, wish->body)) {
            wsim_fail(
                sim,
                "key %s was answered %d and then %d: %s | %.*s",
                wish->key,
                wish->status,
                status,
                wish->body,
                SPAN_PRINTF(body));
        }
        return;
    }
    free(wish->body);
    wish->body = strndup(body.data, body.size);
    ASSERT(wish->body != NULL);
    wish->status = status;
    wish->settled = true;
    sim->verbs[wish->verb][status == 200 ? 1 : 0]++;
    if (status == 200) {
        learn(sim, wish);
    }
}

static void
call_done(struct resource_request *request)
{
    struct wsim_call *call = (struct wsim_call *)(void *)request;
    struct wsim *sim = call->sim;
    static const struct hash_key history_key = {1, 2};
    sim->answers++;
    sim->history = hash_u64(sim->history ^ hash_keyed(history_key, buf_span(&request->body)));
    if (sim->verbose) {
        (void)fprintf(
            stderr,
            "  %llu ms: %s %s %s %s -> %d %.*s\n",
            (unsigned long long)(os_monotonic_ns(os_sim_clock(sim->machine)) / OS_NS_PER_MS),
            call->wish->key,
            request->route->pattern,
            call->wish->capture,
            call->wish->form,
            request->status,
            (int)span_slice(buf_span(&request->body), 0, 200).size,
            request->body.data);
    }
    wish_answered(sim, call->wish, request);
    call_end(call);
}

void
wsim_send(struct wsim *sim, struct wsim_wish *wish)
{
    struct wsim_call *call =
        call_create(sim, "POST", patterns[wish->verb], wish->capture, wish->form);
    call->wish = wish;
    call->request.done = call_done;
    call->request.idempotency_key = span_from_cstr(wish->key);
    wish->under_way++;
    resource_submit(sim->process.runtime, &call->request);
}

static void
asked_done(struct resource_request *request)
{
    struct wsim_call *call = (struct wsim_call *)(void *)request;
    json_error_t error;
    call->sim->asked = json_loadb(request->body.data, request->body.size, 0, &error);
    ASSERT(call->sim->asked != NULL);
    json_object_set_new(call->sim->asked, "status_code", json_integer(request->status));
    call_end(call);
}

json_t *
wsim_ask(
    struct wsim *sim,
    const char *method,
    const char *pattern,
    const char *capture,
    const char *form)
{
    json_decref(sim->asked);
    sim->asked = NULL;
    struct wsim_call *call = call_create(sim, method, pattern, capture, form);
    call->request.done = asked_done;
    resource_submit(sim->process.runtime, &call->request);
    (void)os_sim_run_until_idle(sim->machine, WSIM_STEPS_MAX);
    ASSERT(sim->asked != NULL);
    return sim->asked;
}

/* ------------------------------------------------------------------------------------ wishing */

__attribute__((format(printf, 2, 3))) static void
form_write(struct wsim_wish *wish, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(wish->form, sizeof(wish->form), format, arguments);
    va_end(arguments);
}

static void
capture_write(struct wsim_wish *wish, const char *id)
{
    memmove(wish->capture, id, ID_TEXT_SIZE);
}

static unsigned
draw_amount(struct wsim *sim)
{
    return 1 + (unsigned)wsim_below(sim, wsim_chance(sim, 4) ? WSIM_FUNDS : WSIM_FUNDS / 8);
}

static const char *
draw_account(struct wsim *sim)
{
    static const char *const numbers[] = {
        "000123456789",
        "000123456789",
        "000111111116",
        "000222222227",
        "000333333335",
        "000666666660",
        "000777777771",
    };
    return numbers[wsim_below(sim, sizeof(numbers) / sizeof(numbers[0]))];
}

static void
write_movement(struct wsim *sim, struct wsim_wish *wish, uint32_t from, uint32_t to)
{
    unsigned amount = draw_amount(sim);
    if (wish->verb == WSIM_TRANSFER || wish->verb == WSIM_REQUEST) {
        form_write(
            wish,
            "from=%s&to=user%u@example.com&amount=%u&currency=usd",
            sim->wallets[from],
            to,
            amount);
        return;
    }
    capture_write(wish, sim->wallets[from]);
    if (wish->verb == WSIM_WITHDRAW) {
        form_write(wish, "amount=%u&bank_account[account_number]=%s", amount, draw_account(sim));
        return;
    }
    form_write(
        wish,
        "to=%s&amount=%u&expires_in=%u",
        sim->wallets[to],
        amount,
        (unsigned)(1 + wsim_below(sim, wsim_chance(sim, 2) ? 10 : 600000)));
}

/* False: there is nothing yet that this verb could be about. */
static bool
wish_write(struct wsim *sim, struct wsim_wish *wish)
{
    uint32_t from = (uint32_t)wsim_below(sim, WSIM_WALLETS);
    uint32_t to = (from + 1 + (uint32_t)wsim_below(sim, WSIM_WALLETS - 1)) % WSIM_WALLETS;
    switch (wish->verb) {
    case WSIM_TRANSFER:
    case WSIM_REQUEST:
    case WSIM_HOLD:
    case WSIM_WITHDRAW:
        write_movement(sim, wish, from, to);
        return true;
    case WSIM_FUND:
        capture_write(wish, sim->wallets[from]);
        form_write(wish, "amount=%u&currency=usd", draw_amount(sim));
        return true;
    case WSIM_FREEZE:
    case WSIM_UNFREEZE:
    case WSIM_CLOSE:
        capture_write(wish, sim->wallets[from]);
        return true;
    case WSIM_PAY:
    case WSIM_DECLINE:
        if (sim->request_count == 0) {
            return false;
        }
        capture_write(wish, sim->requests[wsim_below(sim, sim->request_count)]);
        return true;
    case WSIM_CAPTURE:
    case WSIM_RELEASE:
        if (sim->hold_count == 0) {
            return false;
        }
        capture_write(wish, sim->holds[wsim_below(sim, sim->hold_count)]);
        if (wish->verb == WSIM_CAPTURE && wsim_chance(sim, 2)) {
            form_write(wish, "amount=%u", draw_amount(sim));
        }
        return true;
    case WSIM_VERB_COUNT:
        break;
    }
    UNREACHABLE();
}

static enum wsim_verb
draw_verb(struct wsim *sim)
{
    /* What happens often, and what seldom. */
    static const enum wsim_verb often[] = {
        WSIM_TRANSFER,
        WSIM_TRANSFER,
        WSIM_TRANSFER,
        WSIM_REQUEST,
        WSIM_PAY,
        WSIM_PAY,
        WSIM_DECLINE,
        WSIM_HOLD,
        WSIM_HOLD,
        WSIM_CAPTURE,
        WSIM_CAPTURE,
        WSIM_RELEASE,
        WSIM_WITHDRAW,
        WSIM_WITHDRAW,
        WSIM_FUND,
    };

    if (wsim_chance(sim, 12)) {
        return wsim_chance(sim, 4) ? WSIM_CLOSE : wsim_chance(sim, 3) ? WSIM_FREEZE : WSIM_UNFREEZE;
    }
    return often[wsim_below(sim, sizeof(often) / sizeof(often[0]))];
}

static void
wish_new(struct wsim *sim)
{
    struct wsim_wish *wish = &sim->wishes[sim->wish_count];
    memset(wish, 0, sizeof(*wish));
    wish->verb = draw_verb(sim);
    if (!wish_write(sim, wish)) {
        return;
    }
    (void)snprintf(wish->key, sizeof(wish->key), "key-%u", sim->wish_count);
    sim->wish_count++;
    wsim_send(sim, wish);
}

void
wsim_clients_act(struct wsim *sim)
{
    if (sim->call_count >= sim->plan.calls_max) {
        return;
    }
    uint64_t now = os_monotonic_ns(os_sim_clock(sim->machine));
    for (uint32_t i = 0; i < sim->wish_count; i++) {
        struct wsim_wish *wish = &sim->wishes[i];
        bool waits = !wish->settled && wish->under_way == 0 && wish->next_try_ns <= now;
        /* Sometimes the same again, though it is under way or answered. */
        if (waits || wsim_chance(sim, 300)) {
            wsim_send(sim, wish);
            return;
        }
    }
    if (sim->wish_count < sim->plan.wishes) {
        wish_new(sim);
    }
}

/* -------------------------------------------------------------------------------- beforehand */

static void
customer_create(struct wsim *sim, const char *id)
{
    struct document_store *store = &sim->process.documents.store;
    const struct document_row row = {
        .scope = sim->scope, .id = span_from_cstr(id), .body = SPAN("{}")};
    err_t error = store->ops->begin(store);
    ASSERT(error == ERR_OK);
    error = store->ops->insert(store, wsim_customer_type.kind, &row);
    ASSERT(error == ERR_OK);
    error = store->ops->commit(store);
    ASSERT(error == ERR_OK);
}

static void
take_scope(void *context, uint64_t scope)
{
    if ((scope & 1) == 0) {
        *(uint64_t *)context = scope;
    }
}

void
wsim_clients_prepare(struct wsim *sim)
{
    struct resource_runtime *runtime = sim->process.runtime;
    err_t error = resource_merchant_create(runtime, "Shop", sim->merchant);
    ASSERT(error == ERR_OK);
    error = resource_key_create(
        runtime, sim->merchant, RESOURCE_KEY_SECRET, false, "first", NULL, sim->key);
    ASSERT(error == ERR_OK);
    error = resource_scope_each(runtime, take_scope, &sim->scope);
    ASSERT(error == ERR_OK);
    for (uint32_t i = 0; i < WSIM_WALLETS; i++) {
        char form[WSIM_FORM_SIZE];
        char id[ID_TEXT_SIZE];
        (void)id_format("cus_", (u128)i + 1, id);
        customer_create(sim, id);
        (void)snprintf(
            form, sizeof(form), "customer=%s&currency=usd&email=User%u@Example.com", id, i);
        const json_t *wallet = wsim_ask(sim, "POST", "/v1/wallets", "", form);
        (void)snprintf(sim->wallets[i], ID_TEXT_SIZE, "%s", text_of(wallet, "id"));
        ASSERT(sim->wallets[i][0] != '\0');
        if (i == WSIM_WALLETS - 1) {
            continue; /* empty, so that it can be closed */
        }
        (void)snprintf(form, sizeof(form), "amount=%u&currency=usd", WSIM_FUNDS);
        const json_t *fund = wsim_ask(sim, "POST", patterns[WSIM_FUND], sim->wallets[i], form);
        ASSERT(strcmp(text_of(fund, "status"), "succeeded") == 0);
    }
}
