/*
 * Operators: keys that are rotated while the process works, which are the vault's, and those of the
 * webhooks' secrets; damaged cards, which are what a rotation leaves. Only on their listener.
 *
 *     peers loop     role_keys_ask --> GET: answered there; POST: the service is asked
 *     its own loop   rotated, discarded --> net_answer
 *
 * A request may come until the very end, when the service's loop stops before the listener does:
 * from role_keys_drain on nothing is asked of it any more, and what was asked has its answer.
 */
#include "roles.h"

#include "text.h"

#include "base/list.h"
#include "form/form.h"
#include "json/json.h"

#include <string.h>

struct kind;

/* One request, in its exchange's arena. */
struct ask {
    struct vault_rotate vault;
    struct vault_discard discard;
    struct events_rotate events;
    struct os_executor executor;
    struct node *node;
    struct net_exchange *exchange;
    const struct kind *kind;
};

struct kind {
    const char *path;
    const char *whose;
    const char *elsewhere; /* of a process without them */
    const char *methods;   /* of other methods than those that are there */
    struct http_header allow;
    bool (*are_here)(const struct node *node);
    void (*show)(const struct node *node, struct json_writer *json); /* NULL: there is no GET */
    /* Of a request with parameters. False: it was refused. */
    bool (*read)(struct ask *ask);
    /* Who asked for it is in the log whatever comes of it. */
    void (*audit)(const struct ask *ask, const char *peer);
    /* Asks the service, which answers. */
    void (*change)(struct ask *ask);
};

static void
answer_state(const struct ask *ask, unsigned status)
{
    struct json_writer json;
    role_operators_begin(ask->exchange, &json, status);
    ask->kind->show(ask->node, &json);
    json_object_end(&json);
}

static void
answered(struct ask *ask)
{
    struct node *node = ask->node;
    struct net_exchange *exchange = ask->exchange;
    exchange->next = NULL;
    net_answer(exchange); /* and with it goes the arena that `ask` is in */
    os_door_leave(&node->keys_door);
}

/* `refused`: what is said of an error that stands for a rule. */
static void
rotated(struct ask *ask, err_t error, const char *refused)
{
    struct net_exchange *exchange = ask->exchange;
    if (error == ERR_OK) {
        answer_state(ask, 201);
    } else if (refused != NULL) {
        role_operators_refuse(exchange, 409, NULL, "%s", refused);
    } else if (err_category(error) == ERR_CATEGORY_UNKNOWN) {
        role_operators_refuse(
            exchange,
            500,
            NULL,
            "Whether it was done is not known: GET tells it, at the latest "
            "when the process has started again.");
    } else {
        role_operators_refuse(exchange, 500, NULL, "Nothing has changed: %s.", err_text(error));
    }
    answered(ask);
}

static void
rotate_audit(const struct ask *ask, const char *peer)
{
    TRACE_LOG(
        &ask->node->log,
        TRACE_WARNING,
        "operators",
        SPAN_EMPTY,
        "an operator rotates keys",
        trace_cstr("whose", ask->kind->whose),
        trace_cstr("from", peer));
}

/* ----------------------------------------------------------------------------------- the vault's
 */

static bool
vault_is_here(const struct node *node)
{
    return node->vault != NULL;
}

static void
vault_show(const struct node *node, struct json_writer *json)
{
    struct vault_rotation rotation;
    role_vault_look(node, &rotation);
    json_member_cstr(json, "object", "tael.vault_keys");
    json_member_i64(json, "generation", rotation.generation);
    json_member_bool(json, "rotating", rotation.under_way);
    json_member_i64(json, "cards", (int64_t)rotation.cards);
    json_member_bool(json, "failing", rotation.failing);
    json_member_i64(json, "unreadable", rotation.aside.count);
    json_key(json, "unreadable_cards");
    json_array_begin(json);
    for (uint32_t i = 0; i < rotation.aside.shown; i++) {
        json_text(json, span_from_cstr(rotation.aside.tokens[i]));
    }
    json_array_end(json);
}

static void
vault_rotated(struct vault_rotate *request)
{
    rotated(
        CONTAINER_OF(request, struct ask, vault),
        request->error,
        request->error == ERR_BUSY
            ? "A rotation is under way: cards lie under the older key yet. Wait for its end."
            : NULL);
}

static void
vault_ask(struct ask *ask)
{
    ask->vault.reply_to = &ask->executor;
    ask->vault.done = vault_rotated;
    role_vault_rotate(ask->node, &ask->vault);
}

/* --------------------------------------------------------------------------- damaged cards
 */

static bool
discard_read(struct ask *ask)
{
    struct net_exchange *exchange = ask->exchange;
    struct form_node *root = NULL;
    struct span param = SPAN_EMPTY;
    struct span message = SPAN_EMPTY;
    if (form_parse(exchange->body, exchange->arena, &root, &param, &message) != ERR_OK) {
        role_operators_refuse(exchange, 400, NULL, "The parameters: %.*s", SPAN_PRINTF(message));
        return false;
    }
    const struct form_node *only = root->first_child;
    bool alone = only != NULL && only->next == NULL && only->kind == FORM_TEXT;
    bool all = alone && span_equal_cstr(only->name, "all_damaged");
    bool one = alone && span_equal_cstr(only->name, "card");
    if (all && span_equal_cstr(only->text, "true")) {
        return true;
    }
    if (one && text_is_id(only->text) && only->text.size < sizeof(ask->discard.token)) {
        memcpy(ask->discard.token, only->text.data, only->text.size);
        return true;
    }
    role_operators_refuse(
        exchange,
        400,
        one ? "card" : NULL,
        one ? "card: it is no id of a card."
            : "One parameter is needed: card=ID, or all_damaged=true.");
    return false;
}

static void
discard_audit(const struct ask *ask, const char *peer)
{
    const char *token = ask->discard.token;
    TRACE_LOG(
        &ask->node->log,
        TRACE_WARNING,
        "operators",
        SPAN_EMPTY,
        "an operator discards damaged cards",
        trace_cstr("card", token[0] == '\0' ? "all" : token),
        trace_cstr("from", peer));
}

static void
discard_refuse(const struct ask *ask)
{
    struct net_exchange *exchange = ask->exchange;
    const struct vault_discard *request = &ask->discard;
    if (request->error == ERR_NOT_FOUND) {
        role_operators_refuse(
            exchange, 404, "card", "No rotation has set a card '%s' aside.", request->token);
    } else if (request->error == ERR_DENIED) {
        role_operators_refuse(
            exchange, 409, "card", "A key of the vault opens '%s': it stays.", request->token);
    } else {
        bool unknown = err_category(request->error) == ERR_CATEGORY_UNKNOWN;
        role_operators_refuse(
            exchange,
            500,
            NULL,
            "%u cards were discarded%s: %s.",
            (unsigned)request->discarded,
            unknown ? ", or more, which GET /vault/keys tells when the process has started again"
                    : ", and no more",
            err_text(request->error));
    }
}

static void
discarded(struct vault_discard *request)
{
    struct ask *ask = CONTAINER_OF(request, struct ask, discard);
    if (request->error == ERR_OK) {
        struct json_writer json;
        role_operators_begin(ask->exchange, &json, 200);
        vault_show(ask->node, &json);
        json_member_i64(&json, "discarded", request->discarded);
        json_object_end(&json);
    } else {
        discard_refuse(ask);
    }
    answered(ask);
}

static void
discard_ask(struct ask *ask)
{
    ask->discard.reply_to = &ask->executor;
    ask->discard.done = discarded;
    role_vault_discard(ask->node, &ask->discard);
}

/* ------------------------------------------------------------------------ of the webhooks' secrets
 */

static bool
webhooks_are_here(const struct node *node)
{
    return node->events != NULL;
}

static void
webhooks_show(const struct node *node, struct json_writer *json)
{
    struct events_keys_state state;
    events_keys_look(node->events, &state);
    json_member_cstr(json, "object", "tael.webhook_keys");
    json_member_bool(json, "rotating", state.rotating);
    json_member_bool(json, "missing", state.in_use == state.count);
    json_member_bool(json, "failing", state.failing);
    json_member_i64(json, "sealed_anew", (int64_t)state.anew);
    json_member_i64(json, "unreadable", state.unreadable);
    json_key(json, "keys");
    json_array_begin(json);
    for (uint32_t i = 0; i < state.count; i++) {
        json_object_begin(json);
        json_member_cstr(json, "name", state.keys[i].name);
        json_member_bool(json, "in_use", i == state.in_use);
        json_member_i64(json, "secrets", state.keys[i].secrets);
        json_object_end(json);
    }
    json_array_end(json);
}

static void
webhooks_rotated(struct events_rotate *request)
{
    const char *refused = NULL;
    if (request->error == ERR_EXISTS) {
        refused = "The first key that this process has read is in use already. Put a new one in "
                  "front of it in the file, for every server of the documents, and restart them.";
    } else if (request->error == ERR_NOT_FOUND) {
        refused = "The key in use is not in this process's file: another server brought it into "
                  "use. Put it into the file, and restart.";
    }
    rotated(CONTAINER_OF(request, struct ask, events), request->error, refused);
}

static void
webhooks_ask(struct ask *ask)
{
    ask->events.reply_to = &ask->executor;
    ask->events.done = webhooks_rotated;
    events_rotate(ask->node->events, &ask->events);
}

/* ---------------------------------------------------------------------------------------- asking
 */

#define NO_VAULT     "This process has no vault: ask the one with the role vault."
#define KEYS_METHODS "GET shows the keys' state, POST rotates them."

#define ALLOW(methods)                                                                             \
    {                                                                                              \
        .name = {.data = "Allow", .size = sizeof("Allow") - 1},                                    \
        .value = {.data = (methods), .size = sizeof(methods) - 1},                                 \
    }

static const struct kind kinds[] = {
    {
        .path = "/vault/keys",
        .whose = "the vault's",
        .elsewhere = NO_VAULT,
        .methods = KEYS_METHODS,
        .allow = ALLOW("GET, HEAD, POST"),
        .are_here = vault_is_here,
        .show = vault_show,
        .audit = rotate_audit,
        .change = vault_ask,
    },
    {
        .path = "/vault/discard",
        .elsewhere = NO_VAULT,
        .methods = "POST discards damaged cards; GET /vault/keys tells of them.",
        .allow = ALLOW("POST"),
        .are_here = vault_is_here,
        .read = discard_read,
        .audit = discard_audit,
        .change = discard_ask,
    },
    {
        .path = "/webhooks/keys",
        .whose = "of the webhooks' secrets",
        .elsewhere = "This process has no webhooks: ask one with the role events.",
        .methods = KEYS_METHODS,
        .allow = ALLOW("GET, HEAD, POST"),
        .are_here = webhooks_are_here,
        .show = webhooks_show,
        .audit = rotate_audit,
        .change = webhooks_ask,
    },
};

static enum api_operated
change(const struct ask *wanted)
{
    struct net_exchange *exchange = wanted->exchange;
    struct ask *ask = ARENA_NEW(exchange->arena, struct ask);
    if (ask == NULL) {
        role_operators_refuse(exchange, 503, NULL, "Out of memory. Try again.");
        return API_OPERATED;
    }
    *ask = *wanted;
    ask->executor.post = os_post_now;
    if (ask->kind->read != NULL && !ask->kind->read(ask)) {
        return API_OPERATED;
    }
    if (!os_door_enter(&ask->node->keys_door)) {
        role_operators_refuse(
            exchange, 503, NULL, "The process is ending. Ask it when it has started again.");
        return API_OPERATED;
    }
    char peer[NET_ADDRESS_TEXT_SIZE];
    net_address_format(&exchange->peer, peer);
    ask->kind->audit(ask, peer);
    ask->kind->change(ask);
    return API_OPERATES;
}

enum api_operated
role_keys_ask(struct node *node, struct net_exchange *exchange)
{
    struct ask ask = {.node = node, .exchange = exchange};
    bool reads = exchange->method == HTTP_METHOD_GET || exchange->method == HTTP_METHOD_HEAD;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        ask.kind = span_equal_cstr(exchange->path, kinds[i].path) ? &kinds[i] : ask.kind;
    }
    if (ask.kind == NULL) {
        return API_NOT_OPERATED;
    }
    if (!reads && http_head_has(exchange->head, HTTP_FIELD_ORIGIN)) {
        role_operators_refuse(exchange, 403, NULL, "This is not for pages in browsers.");
    } else if (!node_has_started(node)) {
        role_operators_refuse(exchange, 503, NULL, "The process has not started yet. Try again.");
    } else if (!ask.kind->are_here(node)) {
        role_operators_refuse(exchange, 404, NULL, "%s", ask.kind->elsewhere);
    } else if (reads && ask.kind->show != NULL) {
        answer_state(&ask, 200);
    } else if (exchange->method == HTTP_METHOD_POST) {
        return change(&ask);
    } else {
        role_operators_refuse(exchange, 405, NULL, "%s", ask.kind->methods);
        exchange->answer.headers = &ask.kind->allow;
        exchange->answer.header_count = 1;
    }
    return API_OPERATED;
}

void
role_keys_drain(struct node *node)
{
    os_door_close(&node->keys_door);
}
