/*
 * Operators: the generations of the vault's keys. Only on their listener.
 *
 *     peers loop   role_vault_keys --> GET: answered there; POST: role_vault_rotate
 *     cards loop   rotated --> net_answer
 *
 * A request may come until the very end, when the vault's loop stops before the listener does: from
 * role_vault_keys_drain on nothing is asked of it any more, and what was asked has its answer.
 */
#include "roles.h"

#include "base/list.h"
#include "json/json.h"

#define ANSWER_SIZE_MAX 4096
#define MESSAGE_SIZE    256

/* One rotation that was asked for, in its exchange's arena. */
struct ask {
    struct vault_rotate rotate;
    struct os_executor executor;
    struct node *node;
    struct net_exchange *exchange;
};

static const struct http_header allow[] = {
    {.name = {.data = "Allow", .size = 5}, .value = {.data = "GET, HEAD, POST", .size = 15}}};

static void
body_begin(struct net_answer *answer, struct json_writer *json, unsigned status)
{
    answer->status = status;
    answer->content_type = SPAN("application/json");
    buf_init(&answer->body, ANSWER_SIZE_MAX);
    json_begin(json, &answer->body);
    json_object_begin(json);
}

static void
refuse(struct net_exchange *exchange, unsigned status, const char *message)
{
    struct json_writer json;
    body_begin(&exchange->answer, &json, status);
    json_key(&json, "error");
    json_object_begin(&json);
    json_member_cstr(&json, "type", status >= 500 ? "api_error" : "invalid_request_error");
    json_member_cstr(&json, "message", message);
    json_object_end(&json);
    json_object_end(&json);
}

static void
answer_state(const struct node *node, struct net_exchange *exchange, unsigned status)
{
    struct vault_rotation rotation;
    struct json_writer json;
    role_vault_look(node, &rotation);
    body_begin(&exchange->answer, &json, status);
    json_member_cstr(&json, "object", "tael.vault_keys");
    json_member_i64(&json, "generation", rotation.generation);
    json_member_bool(&json, "rotating", rotation.under_way);
    json_member_i64(&json, "cards", (int64_t)rotation.cards);
    json_member_i64(&json, "unreadable", rotation.unreadable);
    json_member_bool(&json, "failing", rotation.failing);
    json_object_end(&json);
}

/* Who asked for it is in the log whatever comes of it. */
static void
audit(struct node *node, const struct net_exchange *exchange)
{
    char peer[NET_ADDRESS_TEXT_SIZE];
    net_address_format(&exchange->peer, peer);
    TRACE_LOG(
        &node->log,
        TRACE_WARNING,
        "operators",
        SPAN_EMPTY,
        "an operator rotates the vault's keys",
        trace_cstr("from", peer));
}

static void
rotated(struct vault_rotate *request)
{
    struct ask *ask = CONTAINER_OF(request, struct ask, rotate);
    struct node *node = ask->node;
    struct net_exchange *exchange = ask->exchange;
    if (request->error == ERR_OK) {
        answer_state(node, exchange, 201);
    } else if (request->error == ERR_BUSY) {
        refuse(
            exchange,
            409,
            "A rotation is under way: cards lie under the older key yet. Wait for its end.");
    } else if (err_category(request->error) == ERR_CATEGORY_UNKNOWN) {
        refuse(exchange, 500, "Whether it was done is known when the process has started again.");
    } else {
        char text[MESSAGE_SIZE];
        struct buf message;
        buf_init_fixed(&message, text, sizeof(text) - 1);
        buf_append_format(&message, "Nothing has changed: %s.", err_text(request->error));
        text[message.size] = '\0';
        refuse(exchange, 500, text);
    }
    exchange->next = NULL;
    net_answer(exchange); /* and with it goes the arena that `ask` is in */
    door_leave(&node->vault_door);
}

static enum api_operated
rotate(struct node *node, struct net_exchange *exchange)
{
    struct ask *ask = ARENA_NEW(exchange->arena, struct ask);
    if (ask == NULL) {
        refuse(exchange, 503, "Out of memory. Try again.");
        return API_OPERATED;
    }
    ask->node = node;
    ask->exchange = exchange;
    ask->executor.post = os_post_now;
    ask->rotate.reply_to = &ask->executor;
    ask->rotate.done = rotated;
    if (!door_enter(&node->vault_door)) {
        refuse(exchange, 503, "The process is ending. Ask it when it has started again.");
        return API_OPERATED;
    }
    audit(node, exchange);
    role_vault_rotate(node, &ask->rotate);
    return API_OPERATES;
}

enum api_operated
role_vault_keys(struct node *node, struct net_exchange *exchange)
{
    bool reads = exchange->method == HTTP_METHOD_GET || exchange->method == HTTP_METHOD_HEAD;
    if (!span_equal_cstr(exchange->path, "/vault/keys")) {
        return API_NOT_OPERATED;
    }
    if (!reads && http_head_has(exchange->head, HTTP_FIELD_ORIGIN)) {
        refuse(exchange, 403, "This is not for pages in browsers.");
    } else if (!node_has_started(node)) {
        refuse(exchange, 503, "The process has not started yet. Try again.");
    } else if (node->vault == NULL) {
        refuse(exchange, 404, "This process has no vault: ask the one with the role vault.");
    } else if (reads) {
        answer_state(node, exchange, 200);
    } else if (exchange->method == HTTP_METHOD_POST) {
        return rotate(node, exchange);
    } else {
        refuse(exchange, 405, "GET shows the keys' state, POST rotates them.");
        exchange->answer.headers = allow;
        exchange->answer.header_count = 1;
    }
    return API_OPERATED;
}

void
role_vault_keys_drain(struct node *node)
{
    door_close(&node->vault_door);
}
