/*
 * Who asks. A key's text is hashed and the hash looked up: in memory, then in the documents. What
 * is in memory is bounded; the one not used for longest gives way, and its rate starts anew.
 * Nothing that a merchant can do makes that happen sooner.
 */
#include "cache.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define PERMISSIONS_SIZE 1001
#define KEY_TEXT_MAX     255
/* How long a process may go on with a key that another one has revoked. */
#define KEY_FRESH_NS OS_NS_PER_S

/* Generic cell rate algorithm: when the bucket of one second's requests is empty again. */
struct rate {
    uint64_t arrival_ns;
};

/* Of a merchant's keys of one mode, as long as one of them is in memory. */
struct resource_keys_rate {
    struct map_link link;
    uint64_t scope;
    bool publishable;
    uint32_t key_count;
    struct rate rate;
};

struct resource_key {
    struct map_link link;
    struct list_link use;
    uint8_t hash[RESOURCE_HASH_SIZE];
    struct cache_key name; /* by which other processes speak of it */
    struct resource_caller caller;
    bool revoked;
    bool merchant_closed;
    bool stale;       /* to be read again, whenever that was */
    uint64_t read_ns; /* when it was read from the documents */
    char permissions[PERMISSIONS_SIZE];
    struct rate rate;
    struct resource_keys_rate *together;
};

static void
refuse(struct resource_op *op, int status, const char *code, struct span message)
{
    struct resource_error error = {
        .status = status,
        .type = "invalid_request_error",
        .code = code,
        .message = message,
    };
    resource_fail(op, &error);
}

/* ------------------------------------------------------------------------------------ cache */

static uint64_t
key_hash(const uint8_t hash[RESOURCE_HASH_SIZE])
{
    uint64_t value;
    memcpy(&value, hash, sizeof(value)); /* of SHA-256: even enough */
    return value;
}

static struct resource_key *
key_cached(struct resource_runtime *runtime, const uint8_t hash[RESOURCE_HASH_SIZE])
{
    for (struct map_link *link = map_find(&runtime->keys, key_hash(hash)); link != NULL;
         link = map_next(link)) {
        struct resource_key *key = CONTAINER_OF(link, struct resource_key, link);
        if (memcmp(key->hash, hash, RESOURCE_HASH_SIZE) == 0) {
            list_remove(&key->use);
            list_push_back(&runtime->keys_by_use, &key->use);
            return key;
        }
    }
    return NULL;
}

static err_t
together_take(struct resource_runtime *runtime, struct resource_key *key)
{
    bool publishable = key->caller.key_kind == RESOURCE_KEY_PUBLISHABLE;
    uint64_t hash = hash_u64(key->caller.scope * 2 + (publishable ? 1 : 0));
    for (struct map_link *link = map_find(&runtime->key_rates, hash); link != NULL;
         link = map_next(link)) {
        struct resource_keys_rate *rate = CONTAINER_OF(link, struct resource_keys_rate, link);
        if (rate->scope == key->caller.scope && rate->publishable == publishable) {
            rate->key_count++;
            key->together = rate;
            return ERR_OK;
        }
    }
    struct resource_keys_rate *rate = calloc(1, sizeof(*rate));
    if (rate == NULL || map_insert(&runtime->key_rates, hash, &rate->link) != ERR_OK) {
        free(rate);
        return ERR_MEMORY;
    }
    rate->scope = key->caller.scope;
    rate->publishable = publishable;
    rate->key_count = 1;
    key->together = rate;
    return ERR_OK;
}

static void
together_give_back(struct resource_runtime *runtime, struct resource_keys_rate *rate)
{
    ASSERT(rate->key_count > 0);
    rate->key_count--;
    if (rate->key_count == 0) {
        map_remove(&runtime->key_rates, &rate->link);
        free(rate);
    }
}

static void
key_drop(struct resource_runtime *runtime, struct resource_key *key)
{
    list_remove(&key->use);
    map_remove(&runtime->keys, &key->link);
    together_give_back(runtime, key->together);
    free(key);
}

void
resource_auth_close(struct resource_runtime *runtime)
{
    LIST_FOREACH_SAFE (&runtime->keys_by_use, link) {
        key_drop(runtime, CONTAINER_OF(link, struct resource_key, use));
    }
}

void
resource_auth_forget(struct resource_runtime *runtime)
{
    LIST_FOREACH_SAFE (&runtime->keys_by_use, link) {
        CONTAINER_OF(link, struct resource_key, use)->stale = true;
    }
}

void
resource_auth_forget_named(struct resource_runtime *runtime, const struct cache_key *name)
{
    LIST_FOREACH_SAFE (&runtime->keys_by_use, link) {
        struct resource_key *key = CONTAINER_OF(link, struct resource_key, use);
        if (memcmp(&key->name, name, sizeof(*name)) == 0) {
            key->stale = true;
        }
    }
}

void
resource_auth_forget_key(struct resource_runtime *runtime, struct span hash_hex)
{
    uint8_t hash[RESOURCE_HASH_SIZE];
    struct resource_key *key =
        span_parse_hex(hash_hex, hash, sizeof(hash)) ? key_cached(runtime, hash) : NULL;
    if (key != NULL) {
        key->stale = true;
    }
}

static void
key_fill(
    struct resource_runtime *runtime,
    struct resource_key *key,
    const uint8_t hash[RESOURCE_HASH_SIZE],
    const struct resource_key_row *row)
{
    memcpy(key->hash, hash, RESOURCE_HASH_SIZE);
    resource_cache_key_name(runtime, row->hash, &key->name);
    key->caller.scope = (uint64_t)row->number * 2 + (row->live ? 1 : 0);
    key->caller.live = row->live;
    key->caller.key_kind = (enum resource_key_kind)(row->kind - 1);
    memcpy(key->caller.key_id, row->header.id.data, row->header.id.size);
    memcpy(key->caller.merchant_id, row->merchant.data, row->merchant.size);
    if (row->permissions.size > 0) {
        memcpy(key->permissions, row->permissions.data, row->permissions.size);
    }
    key->revoked = row->revoked;
    key->merchant_closed = row->merchant_closed;
    key->read_ns = os_monotonic_ns(runtime->parts.clock);
}

static err_t
key_keep(
    struct resource_runtime *runtime,
    const uint8_t hash[RESOURCE_HASH_SIZE],
    const struct resource_key_row *row,
    struct resource_key **ret_key)
{
    if (row->permissions.size >= PERMISSIONS_SIZE || row->header.id.size >= ID_TEXT_SIZE ||
        row->merchant.size >= ID_TEXT_SIZE || row->kind < 1 ||
        row->kind > RESOURCE_KEY_PUBLISHABLE + 1) {
        return ERR_CORRUPT;
    }
    if (runtime->keys.size == RESOURCE_KEYS_CACHED_MAX) {
        struct list_link *oldest = list_first(&runtime->keys_by_use);
        key_drop(runtime, CONTAINER_OF(oldest, struct resource_key, use));
    }
    struct resource_key *key = calloc(1, sizeof(*key));
    if (key == NULL || map_insert(&runtime->keys, key_hash(hash), &key->link) != ERR_OK) {
        free(key);
        return ERR_MEMORY;
    }
    key_fill(runtime, key, hash, row);
    if (together_take(runtime, key) != ERR_OK) {
        map_remove(&runtime->keys, &key->link);
        free(key);
        return ERR_MEMORY;
    }
    list_push_back(&runtime->keys_by_use, &key->use);
    *ret_key = key;
    return ERR_OK;
}

/* Another process may have revoked it, a while ago. */
static bool
key_is_fresh(struct resource_runtime *runtime, const struct resource_key *key)
{
    return !key->stale && (runtime->shared == NULL ||
                           os_monotonic_ns(runtime->parts.clock) - key->read_ns < KEY_FRESH_NS);
}

static void
key_query(
    const uint8_t hash[RESOURCE_HASH_SIZE],
    char text[2 * RESOURCE_HASH_SIZE + 1],
    struct document_query *ret_query)
{
    resource_hex(hash, text);
    *ret_query = (struct document_query){
        .scope = RESOURCE_SCOPE_NONE,
        .range_column = UINT32_MAX,
        .filter_count = 1,
        .filters = {{.column = RESOURCE_KEY_HASH_COLUMN, .value.text = span_from_cstr(text)}},
        .limit = 1,
    };
}

/* ERR_NOT_FOUND. */
static err_t
key_find(struct resource_op *op, struct span text, struct resource_key **ret_key)
{
    struct resource_runtime *runtime = op->runtime;
    uint8_t hash[RESOURCE_HASH_SIZE];
    resource_sha256(text, hash);
    struct resource_key *cached = key_cached(runtime, hash);
    if (cached != NULL && key_is_fresh(runtime, cached)) {
        *ret_key = cached;
        return ERR_OK;
    }
    char hash_text[2 * RESOURCE_HASH_SIZE + 1];
    struct document_query query;
    key_query(hash, hash_text, &query);
    struct cache_key name;
    resource_cache_key_name(runtime, span_from_cstr(hash_text), &name);
    if (cached == NULL && resource_cache_key_is_unknown(runtime, &name)) {
        return ERR_NOT_FOUND;
    }
    void *found = NULL;
    resource_transaction_read(runtime, op);
    TRY(resource_row_find_first(runtime, &op->arena, &resource_key_type, &query, &found));
    const struct resource_key_row *row = found;
    if (row == NULL) {
        resource_cache_key_note_unknown(runtime, &name);
        return ERR_NOT_FOUND;
    }
    if (cached != NULL) { /* of what is in a key, only these change */
        cached->revoked = row->revoked;
        cached->merchant_closed = row->merchant_closed;
        cached->read_ns = os_monotonic_ns(runtime->parts.clock);
        cached->stale = false;
        *ret_key = cached;
        return ERR_OK;
    }
    return key_keep(runtime, hash, row, ret_key);
}

bool
resource_auth_wish(
    struct resource_op *op, char text[2 * RESOURCE_HASH_SIZE + 1], struct document_query *ret_query)
{
    struct span given = op->request->api_key;
    if (given.size == 0 || given.size > KEY_TEXT_MAX || (op->route->flags & RESOURCE_PUBLIC) != 0) {
        return false;
    }
    uint8_t hash[RESOURCE_HASH_SIZE];
    resource_sha256(given, hash);
    const struct resource_key *key = key_cached(op->runtime, hash);
    if (key != NULL) {
        op->caller.scope = key->caller.scope;
        op->caller.key_kind = key->caller.key_kind; /* which idempotency keys are its own */
    }
    if (key != NULL && key_is_fresh(op->runtime, key)) {
        return false;
    }
    key_query(hash, text, ret_query);
    if (key == NULL && op->runtime->cache != NULL) {
        struct cache_key name;
        resource_cache_key_name(op->runtime, span_from_cstr(text), &name);
        return !resource_cache_key_is_unknown(op->runtime, &name);
    }
    return true;
}

/* ----------------------------------------------------------------------------------- checks */

static void
refuse_unknown(struct resource_op *op, struct span text)
{
    /* What is shown of a wrong key must not help to guess a right one. */
    static const char *const prefixes[] = {
        "sk_test_", "sk_live_", "pk_test_", "pk_live_", "rk_test_", "rk_live_"};
    struct span shown = SPAN("");
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (span_starts_with(text, span_from_cstr(prefixes[i]))) {
            shown = span_from_cstr(prefixes[i]);
        }
    }
    bool long_enough = shown.size > 0 && text.size >= shown.size + 16;
    struct span end = long_enough ? span_slice(text, text.size - 4, text.size) : SPAN_EMPTY;
    if (!span_is_utf8(end)) {
        end = SPAN_EMPTY;
    }
    struct span message = arena_format(
        &op->arena,
        "Invalid API Key provided: %.*s****%.*s",
        SPAN_PRINTF(shown),
        (int)end.size,
        end.size == 0 ? "" : end.data);
    refuse(op, 401, NULL, message);
}

/* "payment_intents:write,charges:read" allows what the route asks for. */
bool
resource_auth_permits(const struct resource_op *op, const char *permission, bool write)
{
    struct span rest = span_from_cstr(op->permissions);
    while (permission != NULL && rest.size > 0) {
        struct span level = span_trim(span_cut(&rest, ','));
        struct span name = span_cut(&level, ':');
        if (span_equal_cstr(name, permission)) {
            return span_equal_cstr(level, "write") || (!write && span_equal_cstr(level, "read"));
        }
    }
    return false;
}

static void
refuse_closed(struct resource_op *op, const struct resource_key *key)
{
    struct span message = arena_format(
        &op->arena,
        "The merchant '%s' is closed, and its API keys are refused. Whoever runs this server can "
        "open it again.",
        key->caller.merchant_id);
    refuse(op, 403, "merchant_closed", message);
}

static bool
check_rights(struct resource_op *op, const struct resource_key *key)
{
    const struct resource_route *route = op->route;
    if (key->caller.live && op->runtime->parts.refuse_live) {
        refuse(
            op,
            403,
            "testmode_charges_only",
            SPAN("Live mode is not available: this server moves money through a simulated rail. "
                 "Use your test mode key."));
        return false;
    }
    if (key->caller.key_kind == RESOURCE_KEY_PUBLISHABLE &&
        (route->flags & RESOURCE_PUBLISHABLE) == 0) {
        refuse(
            op,
            403,
            "secret_key_required",
            SPAN("This API call cannot be made with a publishable API key. Please use a secret "
                 "API key."));
        return false;
    }
    bool write = strcmp(route->method, "GET") != 0;
    if (key->caller.key_kind == RESOURCE_KEY_RESTRICTED &&
        !resource_auth_permits(op, route->permission, write)) {
        struct span message =
            route->permission == NULL
                ? SPAN("Restricted keys may not call this endpoint. Please use a secret API key.")
                : arena_format(
                      &op->arena,
                      "The provided key does not have the required permissions for this endpoint "
                      "on account '%s'. Having the '%s:%s' permission would allow this request to "
                      "continue.",
                      key->caller.merchant_id,
                      route->permission,
                      write ? "write" : "read");
        refuse(op, 403, NULL, message);
        return false;
    }
    return true;
}

/* Whether there is room for one more request, of which so many come in a second, and as many at
 * once. */
static bool
rate_has_room(const struct rate *rate, uint64_t now_ns, uint64_t interval_ns)
{
    return rate->arrival_ns + interval_ns <= now_ns + OS_NS_PER_S;
}

static void
rate_take(struct rate *rate, uint64_t now_ns, uint64_t interval_ns)
{
    uint64_t from_ns = rate->arrival_ns > now_ns ? rate->arrival_ns : now_ns;
    rate->arrival_ns = from_ns + interval_ns;
}

/* Of the key, and of the merchant's keys together: who makes more keys may not ask more often. */
static bool
check_rate(struct resource_op *op, struct resource_key *key)
{
    struct resource_runtime *runtime = op->runtime;
    uint64_t now_ns = os_monotonic_ns(runtime->parts.clock);
    uint64_t interval_ns = OS_NS_PER_S / runtime->parts.settings.rate_per_key;
    uint64_t together_ns = interval_ns / RESOURCE_RATE_KEYS;
    if (!rate_has_room(&key->rate, now_ns, interval_ns) ||
        !rate_has_room(&key->together->rate, now_ns, together_ns)) {
        op->request->rate_limited_reason = "global-rate";
        refuse(
            op,
            429,
            "rate_limit",
            SPAN("Request rate limit exceeded. Slow down, and try again with exponential "
                 "backoff."));
        return false;
    }
    rate_take(&key->rate, now_ns, interval_ns);
    rate_take(&key->together->rate, now_ns, together_ns);
    return true;
}

/* Live mode as for keys: nobody has live objects while a rail is simulated. */
static bool
public_check(struct resource_op *op)
{
    struct span number = resource_op_capture(op, 0);
    struct resource_caller *caller = &op->caller;
    bool parsed = span_parse_u64(number, &caller->scope);
    err_t result = ERR_NOT_FOUND;
    if (parsed && !((caller->scope & 1) != 0 && op->runtime->parts.refuse_live)) {
        resource_transaction_read(op->runtime, op);
        result =
            resource_merchant_of(op->runtime, &op->arena, caller->scope / 2, caller->merchant_id);
    }
    if (result == ERR_NOT_FOUND) {
        resource_missing(op, "page", "id", number);
        return false;
    }
    if (result != ERR_OK) {
        resource_internal(op, result, "merchant");
        return false;
    }
    caller->live = (caller->scope & 1) != 0;
    caller->key_kind = RESOURCE_KEY_NONE;
    return true;
}

bool
resource_auth_check(struct resource_op *op)
{
    if ((op->route->flags & RESOURCE_PUBLIC) != 0) {
        return public_check(op);
    }
    struct span text = op->request->api_key;
    if (text.size == 0) {
        refuse(
            op,
            401,
            NULL,
            SPAN("You did not provide an API key. You need to provide your API key in the "
                 "Authorization header, using Bearer auth (e.g. 'Authorization: Bearer "
                 "YOUR_SECRET_KEY')."));
        return false;
    }
    struct resource_key *key = NULL;
    err_t result = text.size > KEY_TEXT_MAX ? ERR_NOT_FOUND : key_find(op, text, &key);
    if (result == ERR_NOT_FOUND) {
        refuse_unknown(op, text);
        return false;
    }
    if (result != ERR_OK) {
        resource_internal(op, result, "API key");
        return false;
    }
    if (key->revoked) {
        refuse(op, 401, "api_key_expired", SPAN("The API key provided has been revoked."));
        return false;
    }
    if (key->merchant_closed) {
        refuse_closed(op, key);
        return false;
    }
    op->caller = key->caller;
    if (key->caller.key_kind == RESOURCE_KEY_RESTRICTED) { /* which may be forgotten meanwhile */
        op->permissions = arena_cstr(&op->arena, span_from_cstr(key->permissions));
        if (op->permissions == NULL) {
            resource_internal(op, ERR_FULL, "request memory");
            return false;
        }
    }
    return check_rate(op, key) && check_rights(op, key);
}
