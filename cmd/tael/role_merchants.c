/*
 * Operators: merchants are made, looked at, closed and opened, and get a key if theirs are lost.
 * Only on the operators' listener, never on the public one.
 *
 *     peers loop      role_merchants_ask --> ask
 *     resource loop   answer: the documents --> net_answer
 *
 * A request may come until the very end, when the resource loop stops before the listener does:
 * from role_merchants_drain on nothing is posted to it any more, and what was posted has its
 * answer.
 *
 * The operators' listener has no keys, and monitors reach it too, who are not to have a merchant's
 * key. So only this machine may ask: whoever logs in to it, or has a tunnel to it.
 *
 * Browsers are refused: a page from elsewhere could send such a form to an operator's machine, and
 * browsers name the page (Origin) with every POST.
 */
#include "roles.h"

#include "text.h"

#include "base/list.h"
#include "form/form.h"
#include "resource/merchants.h"
#include "json/json.h"

#include <string.h>

#define LIST_LIMIT_MAX           1000
#define IDEMPOTENCY_KEY_SIZE_MAX 255
#define VALUE_SHOWN_MAX          40

static const struct span merchants_path = {.data = "/merchants", .size = 10};

/* One request, in its exchange's arena. */
struct ask {
    struct os_task task;
    struct node *node;
    struct net_exchange *exchange;
    struct span id;     /* /merchants/ID; empty: all of them */
    struct span action; /* /merchants/ID/ACTION */
};

/* ---------------------------------------------------------------------------------- answers */

static void
refuse_error(const struct ask *ask, err_t error)
{
    struct net_exchange *exchange = ask->exchange;
    switch (err_category(error)) {
    case ERR_CATEGORY_UNKNOWN:
        role_operators_refuse(
            exchange,
            500,
            NULL,
            "Whether it was done is not known. The same request again tells, and does it if not.");
        return;
    case ERR_CATEGORY_RETRYABLE:
        role_operators_refuse(exchange, 503, NULL, "Not done (%s). Try again.", err_text(error));
        return;
    case ERR_CATEGORY_DENIED:
        role_operators_refuse(exchange, 409, NULL, "The merchant is closed. Open it first.");
        return;
    case ERR_CATEGORY_NONE:
    case ERR_CATEGORY_INVALID:
    case ERR_CATEGORY_CORRUPT:
    case ERR_CATEGORY_EXHAUSTED:
    case ERR_CATEGORY_INTERNAL:
        break;
    }
    if (error == ERR_NOT_FOUND) {
        struct span id = ask->id;
        role_operators_refuse(
            exchange,
            404,
            "id",
            "There is no merchant '%.*s'.",
            SPAN_PRINTF(span_slice(id, 0, id.size < VALUE_SHOWN_MAX ? id.size : VALUE_SHOWN_MAX)));
        return;
    }
    role_operators_refuse(exchange, 500, NULL, "The documents failed: %s.", err_text(error));
}

static void
write_members(struct json_writer *json, const struct resource_merchant_info *merchant)
{
    json_member_cstr(json, "id", merchant->id);
    json_member_cstr(json, "object", "tael.merchant");
    json_member_cstr(json, "name", merchant->name);
    json_member_i64(json, "number", merchant->number);
    json_member_i64(json, "created", merchant->created);
    json_member_i64(json, "keys", merchant->keys);
    json_member_bool(json, "closed", merchant->closed);
}

/* `key`: NULL if there is none to tell of, empty if there is no new one. */
static void
answer_merchant(
    const struct ask *ask,
    unsigned status,
    const struct resource_merchant_info *merchant,
    const char *key)
{
    struct json_writer json;
    role_operators_begin(ask->exchange, &json, status);
    write_members(&json, merchant);
    if (key != NULL && key[0] != '\0') {
        json_member_cstr(&json, "key", key);
    } else if (key != NULL) {
        json_member_null(&json, "key");
    }
    json_object_end(&json);
}

/* Who did what is in the log, at a level that is seldom turned off; no key is. */
static void
audit(const struct ask *ask, const char *merchant_id, const char *what)
{
    char peer[NET_ADDRESS_TEXT_SIZE];
    net_address_format(&ask->exchange->peer, peer);
    TRACE_LOG(
        &ask->node->log,
        TRACE_WARNING,
        "operators",
        SPAN_EMPTY,
        "an operator changes merchants",
        trace_cstr("what", what),
        trace_cstr("merchant", merchant_id),
        trace_cstr("from", peer));
}

/* --------------------------------------------------------------------------------- requests */

/* The parameters, which are to be of `names` (ended by NULL). False: it was refused. */
static bool
read_params(
    const struct ask *ask, struct span text, const char *const *names, struct form_node **ret_root)
{
    struct span param = SPAN_EMPTY;
    struct span message = SPAN_EMPTY;
    struct net_exchange *exchange = ask->exchange;
    if (form_parse(text, exchange->arena, ret_root, &param, &message) != ERR_OK) {
        role_operators_refuse(exchange, 400, NULL, "The parameters: %.*s", SPAN_PRINTF(message));
        return false;
    }
    for (const struct form_node *node = (*ret_root)->first_child; node != NULL; node = node->next) {
        bool known = false;
        for (size_t i = 0; names[i] != NULL; i++) {
            known = known || (node->kind == FORM_TEXT && span_equal_cstr(node->name, names[i]));
        }
        if (!known) {
            size_t size = node->name.size < VALUE_SHOWN_MAX ? node->name.size : VALUE_SHOWN_MAX;
            role_operators_refuse(
                exchange,
                400,
                NULL,
                "There is no parameter '%.*s' here.",
                SPAN_PRINTF(span_slice(node->name, 0, size)));
            return false;
        }
    }
    return true;
}

static struct span
param_text(const struct form_node *root, const char *name)
{
    const struct form_node *node = form_child(root, span_from_cstr(name));
    return node == NULL ? SPAN_EMPTY : node->text;
}

static void
create(const struct ask *ask)
{
    static const char *const names[] = {"name", NULL};
    struct net_exchange *exchange = ask->exchange;
    struct form_node *root = NULL;
    if (!read_params(ask, exchange->body, names, &root)) {
        return;
    }
    struct span idempotency_key = http_head_value(exchange->head, HTTP_FIELD_IDEMPOTENCY_KEY);
    if (idempotency_key.size == 0 || idempotency_key.size > IDEMPOTENCY_KEY_SIZE_MAX) {
        role_operators_refuse(
            exchange,
            400,
            "Idempotency-Key",
            "A header Idempotency-Key of 1 to %d characters is needed, so that a repeated request "
            "makes no second merchant.",
            IDEMPOTENCY_KEY_SIZE_MAX);
        return;
    }
    char key[RESOURCE_KEY_TEXT_SIZE] = "";
    struct resource_merchant_info merchant;
    const char *name = arena_cstr(exchange->arena, param_text(root, "name"));
    err_t result =
        name == NULL
            ? ERR_MEMORY
            : resource_merchant_ensure(ask->node->runtime, name, idempotency_key, &merchant, key);
    if (result == ERR_INVALID) {
        role_operators_refuse(
            exchange,
            400,
            "name",
            "name: it is 1 to %d bytes of UTF-8 text.",
            RESOURCE_MERCHANT_NAME_MAX);
    } else if (result == ERR_EXISTS) {
        role_operators_refuse(
            exchange,
            409,
            "Idempotency-Key",
            "This Idempotency-Key made a merchant of another name. Use another key for another "
            "merchant.");
    } else if (result != ERR_OK) {
        refuse_error(ask, result);
    } else {
        bool made = key[0] != '\0';
        if (made) {
            audit(ask, merchant.id, "made");
        }
        answer_merchant(ask, made ? 201 : 200, &merchant, key);
    }
    explicit_bzero(key, sizeof(key));
}

struct listing {
    struct json_writer json;
    uint32_t left;
    char last[ID_TEXT_SIZE];
};

static void
list_one(void *context, const struct resource_merchant_info *merchant)
{
    struct listing *listing = context;
    listing->left--;
    memcpy(listing->last, merchant->id, sizeof(listing->last));
    json_object_begin(&listing->json);
    write_members(&listing->json, merchant);
    json_object_end(&listing->json);
}

static void
list(const struct ask *ask)
{
    static const char *const names[] = {"limit", "starting_after", NULL};
    struct net_exchange *exchange = ask->exchange;
    struct form_node *root = NULL;
    if (!read_params(ask, exchange->query, names, &root)) {
        return;
    }
    struct span limit_text = param_text(root, "limit");
    struct span after = param_text(root, "starting_after");
    uint64_t limit = LIST_LIMIT_MAX;
    if (limit_text.size > 0 &&
        (!span_parse_u64(limit_text, &limit) || limit == 0 || limit > LIST_LIMIT_MAX)) {
        role_operators_refuse(exchange, 400, "limit", "limit: it is 1 to %d.", LIST_LIMIT_MAX);
        return;
    }
    struct listing listing = {.left = (uint32_t)limit};
    if (after.size > 0 && (after.size >= sizeof(listing.last) || !text_is_id(after))) {
        role_operators_refuse(
            exchange, 400, "starting_after", "starting_after: it is no id of a merchant.");
        return;
    }
    if (after.size > 0) {
        memcpy(listing.last, after.data, after.size);
    }
    bool more = true;
    err_t result = ERR_OK;
    role_operators_begin(exchange, &listing.json, 200);
    json_key(&listing.json, "merchants");
    json_array_begin(&listing.json);
    while (result == ERR_OK && more && listing.left > 0) {
        result = resource_merchant_list(
            ask->node->runtime,
            span_from_cstr(listing.last),
            listing.left,
            list_one,
            &listing,
            &more);
    }
    json_array_end(&listing.json);
    json_member_bool(&listing.json, "has_more", more);
    json_object_end(&listing.json);
    if (result != ERR_OK || buf_failed(&exchange->answer.body)) {
        buf_release(&exchange->answer.body);
        refuse_error(ask, result == ERR_OK ? ERR_MEMORY : result);
    }
}

static void
show(const struct ask *ask)
{
    struct resource_merchant_info merchant;
    err_t result = resource_merchant_find(ask->node->runtime, ask->id, &merchant);
    if (result == ERR_OK) {
        answer_merchant(ask, 200, &merchant, NULL);
    } else {
        refuse_error(ask, result);
    }
}

static void
close_or_open(const struct ask *ask, bool closes)
{
    struct resource_merchant_info merchant;
    err_t result = resource_merchant_close(ask->node->runtime, ask->id, closes, &merchant);
    if (result == ERR_OK) {
        audit(ask, merchant.id, closes ? "closed" : "opened");
        answer_merchant(ask, 200, &merchant, NULL);
    } else {
        refuse_error(ask, result);
    }
}

static void
new_key(const struct ask *ask)
{
    char key[RESOURCE_KEY_TEXT_SIZE] = "";
    struct resource_merchant_info merchant;
    struct resource_runtime *runtime = ask->node->runtime;
    err_t result = resource_merchant_find(runtime, ask->id, &merchant);
    if (result == ERR_OK) {
        result = resource_key_create(
            runtime, merchant.id, RESOURCE_KEY_SECRET, false, "made by an operator", "", key);
    }
    if (result == ERR_OK) {
        merchant.keys++;
        audit(ask, merchant.id, "a new key");
        answer_merchant(ask, 201, &merchant, key);
    } else {
        refuse_error(ask, result);
    }
    explicit_bzero(key, sizeof(key));
}

static void
dispatch(const struct ask *ask)
{
    enum http_method method = ask->exchange->method;
    bool reads = method == HTTP_METHOD_GET || method == HTTP_METHOD_HEAD;
    bool posts = method == HTTP_METHOD_POST;
    bool all = ask->id.size == 0 && ask->action.size == 0;
    if (!all && !text_is_id(ask->id)) {
        refuse_error(ask, ERR_NOT_FOUND);
    } else if (reads && ask->action.size == 0) {
        (all ? list : show)(ask);
    } else if (posts && all) {
        create(ask);
    } else if (posts && span_equal_cstr(ask->action, "keys")) {
        new_key(ask);
    } else if (posts && span_equal_cstr(ask->action, "close")) {
        close_or_open(ask, true);
    } else if (posts && span_equal_cstr(ask->action, "open")) {
        close_or_open(ask, false);
    } else {
        role_operators_refuse(
            ask->exchange,
            404,
            NULL,
            "There are GET and POST /merchants, GET /merchants/ID, and POST /merchants/ID/keys, "
            "/close and /open.");
    }
}

static void
answer(struct os_task *task)
{
    const struct ask *ask = CONTAINER_OF(task, struct ask, task);
    struct node *node = ask->node;
    struct net_exchange *exchange = ask->exchange;
    dispatch(ask);
    exchange->next = NULL;
    net_answer(exchange); /* and with it goes the arena that `ask` is in */
    os_door_leave(&node->merchants_door);
}

/* -------------------------------------------------------------------------------- the doors */

/* An address, or a name that no public server of names has. Any other name may be a stranger's
 * whose address became this machine's after a browser had loaded the stranger's page: to the
 * browser they are one origin then, and the page reads what it asks for. */
static bool
names_this_machine(struct span host)
{
    struct span name = span_slice(host, 0, span_find(host, ':', 0));
    bool numeric = true;
    for (size_t i = 0; i < name.size && numeric; i++) {
        numeric = name.data[i] == '.' || (name.data[i] >= '0' && name.data[i] <= '9');
    }
    return numeric || span_starts_with(host, SPAN("[")) || span_find(name, '.', 0) == name.size;
}

/* False: it was refused. */
static bool
may_ask(const struct node *node, struct net_exchange *exchange)
{
    if (!role_operators_is_here(&exchange->peer)) {
        role_operators_refuse(
            exchange,
            403,
            NULL,
            "Merchants are managed from the process's own machine only, or through a tunnel to "
            "it.");
        return false;
    }
    if (http_head_has(exchange->head, HTTP_FIELD_ORIGIN)) {
        role_operators_refuse(exchange, 403, NULL, "This is not for pages in browsers.");
        return false;
    }
    if (!names_this_machine(http_head_value(exchange->head, HTTP_FIELD_HOST))) {
        role_operators_refuse(
            exchange,
            403,
            NULL,
            "Ask for an address or localhost, not for a host's name: it may be a page's in a "
            "browser.");
        return false;
    }
    if (!node_has_started(node)) {
        role_operators_refuse(exchange, 503, NULL, "The process has not started yet. Try again.");
        return false;
    }
    if (node->runtime == NULL) {
        role_operators_refuse(
            exchange, 404, NULL, "This process has no documents: ask one with the role api.");
        return false;
    }
    return true;
}

enum api_operated
role_merchants_ask(struct node *node, struct net_exchange *exchange)
{
    struct span rest = exchange->path;
    if (!span_starts_with(rest, merchants_path)) {
        return API_NOT_OPERATED;
    }
    rest = span_slice(rest, merchants_path.size, rest.size);
    if (rest.size > 0 && rest.data[0] != '/') {
        return API_NOT_OPERATED;
    }
    if (!may_ask(node, exchange)) {
        return API_OPERATED;
    }
    struct ask *ask = ARENA_NEW(exchange->arena, struct ask);
    if (ask == NULL) {
        role_operators_refuse(exchange, 503, NULL, "Out of memory. Try again.");
        return API_OPERATED;
    }
    if (rest.size > 0) {
        rest = span_slice(rest, 1, rest.size);
    }
    ask->id = span_cut(&rest, '/');
    ask->action = rest;
    ask->node = node;
    ask->exchange = exchange;
    ask->task.run = answer;
    if (!os_door_enter(&node->merchants_door)) {
        role_operators_refuse(exchange, 503, NULL, "The process is ending. Ask another one.");
        return API_OPERATED;
    }
    os_post(os_loop_executor(node->resource_loop), &ask->task);
    return API_OPERATES;
}

void
role_merchants_drain(struct node *node)
{
    os_door_close(&node->merchants_door);
}
