/* The clients: they wish for things, ask until they are answered, sometimes several at once under
 * one key, and hold the process to what it said. */
#include "wallets_sim.h"

#include "base/assert.h"

#include <jansson.h>
#include <string.h>

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

static struct sim_call *
call_create(
    struct wsim *sim,
    const char *method,
    const char *pattern,
    const char *capture,
    const char *form)
{
    uint32_t count;
    const struct resource_route *routes = wallets_routes(sim->wallets, &count);
    const struct resource_route *route = sim_route_find(routes, count, method, pattern);
    return sim_call_create(&sim->world, route, sim->merchant.key, capture, form);
}

void
wsim_send(struct sim_world *world, struct sim_wish *wish)
{
    struct sim_call *call =
        call_create(wsim_of(world), "POST", patterns[wish->verb], wish->capture, wish->form);
    call->request.idempotency_key = span_from_cstr(wish->key);
    sim_call_submit(call, wish);
}

json_t *
wsim_ask(
    struct wsim *sim,
    const char *method,
    const char *pattern,
    const char *capture,
    const char *form)
{
    return sim_call_ask(call_create(sim, method, pattern, capture, form));
}

/* ----------------------------------------------------------------------------------- answers */

void
wsim_learn(struct sim_world *world, const struct sim_wish *wish)
{
    struct wsim *sim = wsim_of(world);
    json_error_t error;
    if (wish->status != 200) {
        return;
    }
    json_t *json = json_loads(wish->body, 0, &error);
    const char *id = sim_json_text(json, "id");
    if (wish->verb == WSIM_HOLD && sim->hold_count < WSIM_KNOWN_MAX) {
        (void)snprintf(sim->holds[sim->hold_count++], ID_TEXT_SIZE, "%s", id);
    } else if (wish->verb == WSIM_REQUEST && sim->request_count < WSIM_KNOWN_MAX) {
        (void)snprintf(sim->requests[sim->request_count++], ID_TEXT_SIZE, "%s", id);
    }
    json_decref(json);
}

/* Refusals before anything was done are not kept under the key, and may differ later. */
bool
wsim_is_promise(int status)
{
    return status == 200;
}

/* ------------------------------------------------------------------------------------ wishing */

static void
capture_write(struct sim_wish *wish, const char *id)
{
    memmove(wish->capture, id, ID_TEXT_SIZE);
}

static unsigned
draw_amount(struct wsim *sim)
{
    return 1 + (unsigned)sim_below(
                   &sim->world, sim_chance(&sim->world, 4) ? WSIM_FUNDS : WSIM_FUNDS / 8);
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
    return numbers[sim_below(&sim->world, sizeof(numbers) / sizeof(numbers[0]))];
}

static void
write_movement(struct wsim *sim, struct sim_wish *wish, uint32_t from, uint32_t to)
{
    unsigned amount = draw_amount(sim);
    if (wish->verb == WSIM_TRANSFER || wish->verb == WSIM_REQUEST) {
        sim_wish_form(
            wish,
            "from=%s&to=user%u@example.com&amount=%u&currency=usd",
            sim->wallet_ids[from],
            to,
            amount);
        return;
    }
    capture_write(wish, sim->wallet_ids[from]);
    if (wish->verb == WSIM_WITHDRAW) {
        sim_wish_form(wish, "amount=%u&bank_account[account_number]=%s", amount, draw_account(sim));
        return;
    }
    sim_wish_form(
        wish,
        "to=%s&amount=%u&expires_in=%u",
        sim->wallet_ids[to],
        amount,
        (unsigned)(1 + sim_below(&sim->world, sim_chance(&sim->world, 2) ? 10 : 600000)));
}

/* False: there is nothing yet that this verb could be about. */
static bool
wish_write(struct wsim *sim, struct sim_wish *wish)
{
    uint32_t from = (uint32_t)sim_below(&sim->world, WSIM_WALLETS);
    uint32_t to = (from + 1 + (uint32_t)sim_below(&sim->world, WSIM_WALLETS - 1)) % WSIM_WALLETS;
    switch ((enum wsim_verb)wish->verb) {
    case WSIM_TRANSFER:
    case WSIM_REQUEST:
    case WSIM_HOLD:
    case WSIM_WITHDRAW:
        write_movement(sim, wish, from, to);
        return true;
    case WSIM_FUND:
        capture_write(wish, sim->wallet_ids[from]);
        sim_wish_form(wish, "amount=%u&currency=usd", draw_amount(sim));
        return true;
    case WSIM_FREEZE:
    case WSIM_UNFREEZE:
    case WSIM_CLOSE:
        capture_write(wish, sim->wallet_ids[from]);
        return true;
    case WSIM_PAY:
    case WSIM_DECLINE:
        if (sim->request_count == 0) {
            return false;
        }
        capture_write(wish, sim->requests[sim_below(&sim->world, sim->request_count)]);
        return true;
    case WSIM_CAPTURE:
    case WSIM_RELEASE:
        if (sim->hold_count == 0) {
            return false;
        }
        capture_write(wish, sim->holds[sim_below(&sim->world, sim->hold_count)]);
        if (wish->verb == WSIM_CAPTURE && sim_chance(&sim->world, 2)) {
            sim_wish_form(wish, "amount=%u", draw_amount(sim));
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

    if (sim_chance(&sim->world, 12)) {
        return sim_chance(&sim->world, 4)   ? WSIM_CLOSE
               : sim_chance(&sim->world, 3) ? WSIM_FREEZE
                                            : WSIM_UNFREEZE;
    }
    return often[sim_below(&sim->world, sizeof(often) / sizeof(often[0]))];
}

static void
wish_new(struct wsim *sim)
{
    struct sim_wish *wish = sim_wish_next(&sim->world);
    wish->verb = draw_verb(sim);
    if (!wish_write(sim, wish)) {
        return;
    }
    sim->world.wish_count++;
    wsim_send(&sim->world, wish);
}

void
wsim_clients_act(struct sim_world *world)
{
    if (world->call_count >= world->calls_max) {
        return;
    }
    uint64_t now = os_monotonic_ns(os_sim_clock(world->machine));
    for (uint32_t i = 0; i < world->wish_count; i++) {
        struct sim_wish *wish = &world->wishes[i];
        bool waits = !wish->settled && wish->under_way == 0 && wish->next_try_ns <= now;
        /* Sometimes the same again, though it is under way or answered. */
        if (waits || sim_chance(world, 300)) {
            wsim_send(world, wish);
            return;
        }
    }
    if (world->wish_count < world->wishes_wanted) {
        wish_new(wsim_of(world));
    }
}

/* -------------------------------------------------------------------------------- beforehand */

static void
customer_create(struct wsim *sim, const char *id)
{
    struct document_store *store = &sim->world.process.documents.store;
    const struct document_row row = {
        .scope = sim->merchant.scope, .id = span_from_cstr(id), .body = SPAN("{}")};
    err_t error = store->ops->begin(store);
    ASSERT(error == ERR_OK);
    error = store->ops->insert(store, wsim_customer_type.kind, &row);
    ASSERT(error == ERR_OK);
    error = store->ops->commit(store);
    ASSERT(error == ERR_OK);
}

void
wsim_clients_prepare(struct wsim *sim)
{
    sim_merchant_create(&sim->world, &sim->merchant);
    for (uint32_t i = 0; i < WSIM_WALLETS; i++) {
        char form[SIM_FORM_SIZE];
        char id[ID_TEXT_SIZE];
        (void)id_format("cus_", (u128)i + 1, id);
        customer_create(sim, id);
        (void)snprintf(
            form, sizeof(form), "customer=%s&currency=usd&email=User%u@Example.com", id, i);
        const json_t *wallet = wsim_ask(sim, "POST", "/v1/wallets", "", form);
        (void)snprintf(sim->wallet_ids[i], ID_TEXT_SIZE, "%s", sim_json_text(wallet, "id"));
        ASSERT(sim->wallet_ids[i][0] != '\0');
        if (i == WSIM_WALLETS - 1) {
            continue; /* empty, so that it can be closed */
        }
        (void)snprintf(form, sizeof(form), "amount=%u&currency=usd", WSIM_FUNDS);
        const json_t *fund = wsim_ask(sim, "POST", patterns[WSIM_FUND], sim->wallet_ids[i], form);
        ASSERT(strcmp(sim_json_text(fund, "status"), "succeeded") == 0);
    }
}
