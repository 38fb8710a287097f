/*
 * API keys over HTTP: Tael's own routes, for secret keys only. A key makes and sees keys of its own
 * merchant and mode. The text of a key is in the answer that creates it and nowhere else, so that
 * answer is not kept under an idempotency key.
 */
#include "front.h"

#include "base/list.h"
#include "resource/merchants.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES        63
#define PERMISSIONS_MAX_BYTES 1000
#define KEYS_SHOWN_MAX        1000
#define BODY_SIZE_MAX         (1U << 20)

static const char *const kind_names[] = {"secret", "restricted", "publishable", NULL};

static const struct resource_param create_params[] = {
    {.name = "type", .kind = RESOURCE_PARAM_ENUM, .values = kind_names},
    {.name = "name", .kind = RESOURCE_PARAM_TEXT, .maximum = NAME_MAX_BYTES},
    {.name = "permissions", .kind = RESOURCE_PARAM_TEXT, .maximum = PERMISSIONS_MAX_BYTES},
};

struct listing {
    struct resource_op *op;
    struct resource_key_info *keys;
    uint32_t count;
};

static bool
is_callers(const struct resource_caller *caller, const struct resource_key_info *key)
{
    return strcmp(key->merchant_id, caller->merchant_id) == 0 && key->live == caller->live;
}

static void
collect(void *context, const struct resource_key_info *key)
{
    struct listing *listing = context;
    if (!is_callers(resource_op_caller(listing->op), key)) {
        return;
    }
    if (listing->count == KEYS_SHOWN_MAX) { /* operators make more: the oldest is left out */
        listing->count--;
        memmove(listing->keys, listing->keys + 1, listing->count * sizeof(*key));
    }
    listing->keys[listing->count++] = *key;
}

/* The latest keys; their ids ascend with time. False: the operation was answered. */
static bool
load(struct resource_op *op, struct listing *listing)
{
    listing->op = op;
    listing->keys = ARENA_ARRAY(resource_op_arena(op), struct resource_key_info, KEYS_SHOWN_MAX);
    err_t result = listing->keys == NULL ? ERR_FULL : ERR_OK;
    if (result == ERR_OK) {
        int64_t number = (int64_t)(resource_op_caller(op)->scope / 2);
        result = resource_key_each_of(resource_op_runtime(op), number, collect, listing);
    }
    if (result != ERR_OK) {
        resource_internal(op, result, "list of keys");
        return false;
    }
    return true;
}

static void
write_key(struct json_writer *json, const struct resource_key_info *key, const char *text)
{
    json_object_begin(json);
    json_member_cstr(json, "id", key->id);
    json_member_cstr(json, "object", "tael.api_key");
    json_member_i64(json, "created", key->created);
    json_member_bool(json, "livemode", key->live);
    json_member_cstr(json, "type", kind_names[key->kind]);
    json_member_cstr(json, "name", key->name);
    json_member_cstr(json, "hint", key->hint);
    json_member_bool(json, "revoked", key->revoked);
    if (text != NULL) {
        json_member_cstr(json, "key", text);
    }
    json_object_end(json);
}

static void
answer_key(struct resource_op *op, const struct resource_key_info *key, const char *text)
{
    struct buf body;
    struct json_writer json;
    buf_init(&body, BODY_SIZE_MAX);
    json_begin(&json, &body);
    write_key(&json, key, text);
    resource_answer(op, 200, &body);
}

static void
list_keys(struct resource_op *op)
{
    struct listing listing = {.count = 0};
    if (!load(op, &listing)) {
        return;
    }
    struct buf body;
    struct json_writer json;
    buf_init(&body, BODY_SIZE_MAX);
    json_begin(&json, &body);
    json_object_begin(&json);
    json_member_cstr(&json, "object", "list");
    json_member_cstr(&json, "url", "/v1/tael/api_keys");
    json_member_bool(&json, "has_more", false);
    json_key(&json, "data");
    json_array_begin(&json);
    for (uint32_t i = listing.count; i > 0; i--) { /* newest first, as every list */
        write_key(&json, &listing.keys[i - 1], NULL);
    }
    json_array_end(&json);
    json_object_end(&json);
    resource_answer(op, 200, &body);
}

static enum resource_key_kind
wanted_kind(struct resource_op *op)
{
    struct span type;
    if (resource_text(op, "type", &type)) {
        for (size_t i = 0; kind_names[i] != NULL; i++) {
            if (span_equal_cstr(type, kind_names[i])) {
                return (enum resource_key_kind)i;
            }
        }
    }
    return RESOURCE_KEY_SECRET;
}

static const char *
text_or_empty(struct resource_op *op, const char *name)
{
    struct span text;
    if (!resource_text(op, name, &text)) {
        return "";
    }
    const char *copy = arena_cstr(resource_op_arena(op), text);
    return copy == NULL ? "" : copy;
}

/* The newest key that is hinted at as this text is ("sk_test_...aB3x"): another process may have
 * made one behind it meanwhile. NULL: there is none. */
static const struct resource_key_info *
key_of_text(const struct listing *listing, const char *text)
{
    enum {
        HEAD = 8,
        TAIL = 4
    };

    size_t size = strlen(text);
    for (uint32_t i = listing->count; i > 0; i--) {
        const struct resource_key_info *key = &listing->keys[i - 1];
        size_t hint_size = strlen(key->hint);
        if (hint_size >= HEAD + TAIL && size >= HEAD + TAIL && !key->revoked &&
            memcmp(key->hint, text, HEAD) == 0 &&
            memcmp(key->hint + hint_size - TAIL, text + size - TAIL, TAIL) == 0) {
            return key;
        }
    }
    return NULL;
}

/* Among so many keys as there may be, the one that is revoked and oldest goes. False: the operation
 * was answered. */
static bool
make_room(struct resource_op *op, const struct listing *listing)
{
    uint32_t at = 0;
    if (listing->count < KEYS_SHOWN_MAX) {
        return true;
    }
    while (at < listing->count && !listing->keys[at].revoked) {
        at++;
    }
    if (at == listing->count) {
        resource_invalid(op, NULL, NULL, "There are too many keys already: revoke one first.");
        return false;
    }
    err_t result = resource_key_remove(resource_op_runtime(op), listing->keys[at].id);
    if (result != ERR_OK && result != ERR_NOT_FOUND) {
        resource_internal(op, result, "revoked key");
        return false;
    }
    return true;
}

static void
create_key(struct resource_op *op)
{
    const struct resource_caller *caller = resource_op_caller(op);
    enum resource_key_kind kind = wanted_kind(op);
    const char *permissions = text_or_empty(op, "permissions");
    if ((kind == RESOURCE_KEY_RESTRICTED) != (permissions[0] != '\0')) {
        resource_invalid(
            op,
            "parameter_missing",
            "permissions",
            "Restricted keys, and only they, have permissions, such as "
            "payment_intents:write,charges:read.");
        return;
    }
    struct listing listing = {.count = 0};
    if (!load(op, &listing) || !make_room(op, &listing)) {
        return;
    }
    char text[RESOURCE_KEY_TEXT_SIZE];
    err_t result = resource_key_create(
        resource_op_runtime(op),
        caller->merchant_id,
        kind,
        caller->live,
        text_or_empty(op, "name"),
        permissions,
        text);
    if (err_category(result) == ERR_CATEGORY_INVALID) {
        resource_invalid(
            op, NULL, "permissions", "The permissions are not a list such as charges:read.");
        return;
    }
    if (result != ERR_OK) {
        resource_internal(op, result, "new key");
        return;
    }
    listing.count = 0;
    if (load(op, &listing)) {
        const struct resource_key_info *made = key_of_text(&listing, text);
        if (made != NULL) {
            answer_key(op, made, text);
        } else { /* revoked, or pushed out of the list, in this moment */
            resource_internal(op, ERR_NOT_FOUND, "new key");
        }
    }
    explicit_bzero(text, sizeof(text));
}

static void
revoke_key(struct resource_op *op)
{
    const struct resource_caller *caller = resource_op_caller(op);
    struct span id = resource_op_capture(op, 0);
    struct resource_key_info key;
    err_t result = resource_key_find(resource_op_runtime(op), id, &key);
    if (result == ERR_NOT_FOUND || (result == ERR_OK && !is_callers(caller, &key))) {
        resource_missing(op, "api_key", "id", id);
        return;
    }
    if (result == ERR_OK && strcmp(key.id, caller->key_id) == 0) {
        resource_invalid(op, NULL, "id", "A key cannot revoke itself. Use another key.");
        return;
    }
    if (result == ERR_OK) {
        result = resource_key_revoke(resource_op_runtime(op), key.id);
    }
    if (result != ERR_OK) {
        resource_internal(op, result, "revocation");
        return;
    }
    key.revoked = true;
    answer_key(op, &key, NULL);
}

static const struct resource_route routes[] = {
    {.method = "GET", .pattern = "/v1/tael/api_keys", .handler = list_keys},
    {
        .method = "POST",
        .pattern = "/v1/tael/api_keys",
        .handler = create_key,
        .params = create_params,
        .param_count = sizeof(create_params) / sizeof(create_params[0]),
        .flags = RESOURCE_NOT_KEPT,
    },
    {
        .method = "DELETE",
        .pattern = "/v1/tael/api_keys/:id",
        .handler = revoke_key,
        .flags = RESOURCE_NOT_KEPT,
    },
};

const struct resource_route *
api_key_routes(uint32_t *ret_count)
{
    *ret_count = sizeof(routes) / sizeof(routes[0]);
    return routes;
}
