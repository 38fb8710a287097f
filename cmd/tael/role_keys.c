/*
 * Operators: keys that are rotated while the process works, which are the vault's, and those of the
 * webhooks' secrets. Only on their listener.
 *
 *     peers loop     role_keys_ask --> GET: answered there; POST: the service is asked
 *     its own loop   rotated --> net_answer
 *
 * A request may come until the very end, when the service's loop stops before the listener does:
 * from role_keys_drain on nothing is asked of it any more, and what was asked has its answer.
 */
#include "roles.h"

#include "base/list.h"
#include "json/json.h"

struct kind;

/* One rotation that was asked for, in its exchange's arena. */
struct ask {
    struct vault_rotate vault;
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
    bool (*are_here)(const struct node *node);
    void (*show)(const struct node *node, struct json_writer *json);
    /* Asks the service; `rotated` comes of it. */
    void (*rotate)(struct ask *ask);
};

static const struct http_header allow[] = {
    {.name = {.data = "Allow", .size = 5}, .value = {.data = "GET, HEAD, POST", .size = 15}}};

static void
answer_state(const struct ask *ask, unsigned status)
{
    struct json_writer json;
    role_operators_begin(ask->exchange, &json, status);
    ask->kind->show(ask->node, &json);
    json_object_end(&json);
}

/* `refused`: what is said of an error that stands for a rule. */
static void
rotated(struct ask *ask, err_t error, const char *refused)
{
    struct node *node = ask->node;
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
    exchange->next = NULL;
    net_answer(exchange); /* and with it goes the arena that `ask` is in */
    door_leave(&node->keys_door);
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
    json_member_i64(json, "unreadable", rotation.unreadable);
    json_key(json, "unreadable_cards");
    json_array_begin(json);
    for (uint32_t i = 0; i < rotation.shown; i++) {
        json_text(json, span_from_cstr(rotation.tokens[i]));
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

static const struct kind kinds[] = {
    {"/vault/keys",
     "the vault's",
     "This process has no vault: ask the one with the role vault.",
     vault_is_here,
     vault_show,
     vault_ask},
    {"/webhooks/keys",
     "of the webhooks' secrets",
     "This process has no webhooks: ask one with the role events.",
     webhooks_are_here,
     webhooks_show,
     webhooks_ask},
};

/* Who asked for it is in the log whatever comes of it. */
static void
audit(const struct ask *ask)
{
    char peer[NET_ADDRESS_TEXT_SIZE];
    net_address_format(&ask->exchange->peer, peer);
    TRACE_LOG(
        &ask->node->log,
        TRACE_WARNING,
        "operators",
        SPAN_EMPTY,
        "an operator rotates keys",
        trace_cstr("whose", ask->kind->whose),
        trace_cstr("from", peer));
}

static enum api_operated
rotate(const struct ask *wanted)
{
    struct net_exchange *exchange = wanted->exchange;
    struct ask *ask = ARENA_NEW(exchange->arena, struct ask);
    if (ask == NULL) {
        role_operators_refuse(exchange, 503, NULL, "Out of memory. Try again.");
        return API_OPERATED;
    }
    *ask = *wanted;
    ask->executor.post = os_post_now;
    if (!door_enter(&ask->node->keys_door)) {
        role_operators_refuse(
            exchange, 503, NULL, "The process is ending. Ask it when it has started again.");
        return API_OPERATED;
    }
    audit(ask);
    ask->kind->rotate(ask);
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
    } else if (reads) {
        answer_state(&ask, 200);
    } else if (exchange->method == HTTP_METHOD_POST) {
        return rotate(&ask);
    } else {
        role_operators_refuse(exchange, 405, NULL, "GET shows the keys' state, POST rotates them.");
        exchange->answer.headers = allow;
        exchange->answer.header_count = 1;
    }
    return API_OPERATED;
}

void
role_keys_drain(struct node *node)
{
    door_close(&node->keys_door);
}
