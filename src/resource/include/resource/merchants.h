/* Merchants and their keys, for whoever runs Tael: resource.h has what a request meets of them. */
#ifndef RESOURCE_MERCHANTS_H
#define RESOURCE_MERCHANTS_H

#include "resource/resource.h"

#define RESOURCE_KEY_TEXT_SIZE 64

struct resource_key_info {
    char id[ID_TEXT_SIZE];
    char merchant_id[ID_TEXT_SIZE];
    enum resource_key_kind kind;
    bool live;
    bool revoked;
    int64_t created;
    char name[64];
    char hint[16]; /* "sk_test_...aB3x": what may be shown */
};

#define RESOURCE_MERCHANT_NAME_MAX 200 /* bytes of UTF-8 */

/* The number of the first merchant: who runs Tael. Its keys may use what is everybody's. */
#define RESOURCE_MERCHANT_PLATFORM 1

struct resource_merchant_info {
    char id[ID_TEXT_SIZE];
    /* 1 for the first, which is the platform's own; scopes are made from it. Never given again. */
    int64_t number;
    int64_t created; /* unix seconds */
    int64_t keys;    /* made so far, revoked ones too; 0 also of those before this was counted */
    bool closed;
    char name[RESOURCE_MERCHANT_NAME_MAX + 1];
};

/* All of these: on the runtime's loop or before it starts; durable when they return. Of a shared
 * store ERR_STALE: too many processes do the same at once. */

/* A new one each time, without a key. ERR_INVALID: the name is empty, longer, or not UTF-8. */
MUST_USE err_t resource_merchant_create(
    struct resource_runtime *runtime, const char *name, char ret_id[ID_TEXT_SIZE]);
/* The merchant of this idempotency key (not empty), made with a first secret key of the test mode
 * in one transaction. If it is there already `ret_key` is empty: a key's text is shown once.
 * ERR_EXISTS: the idempotency key made a merchant of another name. ERR_INVALID as above. */
MUST_USE err_t resource_merchant_ensure(
    struct resource_runtime *runtime,
    const char *name,
    struct span idempotency_key,
    struct resource_merchant_info *ret_info,
    char ret_key[RESOURCE_KEY_TEXT_SIZE]);
/* ERR_NOT_FOUND. */
MUST_USE err_t resource_merchant_find(
    struct resource_runtime *runtime, struct span id, struct resource_merchant_info *ret_info);
/* In the order of their ids, those behind `after` (empty: from the first on), at most `limit` (and
 * DOCUMENT_LIST_MAX - 1). `ret_more`: there are others behind them. */
MUST_USE err_t resource_merchant_list(
    struct resource_runtime *runtime,
    struct span after,
    uint32_t limit,
    void (*each)(void *context, const struct resource_merchant_info *merchant),
    void *context,
    bool *ret_more);
/* Closed: its keys are refused (403 merchant_closed; by other processes within a second), and gets
 * no new ones. What its payments have begun goes on. May be repeated, and is if it failed: keys
 * that were not reached work until then. ERR_NOT_FOUND. */
MUST_USE err_t resource_merchant_close(
    struct resource_runtime *runtime,
    struct span id,
    bool closed,
    struct resource_merchant_info *ret_info);

/* `permissions` of a restricted key: "payment_intents:write,charges:read". The key text is shown
 * once. ERR_NOT_FOUND: no such merchant; ERR_DENIED: it is closed. */
MUST_USE err_t resource_key_create(
    struct resource_runtime *runtime,
    const char *merchant_id,
    enum resource_key_kind kind,
    bool live,
    const char *name,
    const char *permissions,
    char ret_key[RESOURCE_KEY_TEXT_SIZE]);
/* From now on it is refused, by other processes within a second. ERR_NOT_FOUND. */
MUST_USE err_t resource_key_revoke(struct resource_runtime *runtime, const char *key_id);
/* Visits every key of every merchant, revoked ones too; what `each` gets lives for the call. */
MUST_USE err_t resource_key_each(
    struct resource_runtime *runtime,
    void (*each)(void *context, const struct resource_key_info *key),
    void *context);
/* The same for the keys of the merchant with this number, the oldest first. What others have costs
 * it nothing. */
MUST_USE err_t resource_key_each_of(
    struct resource_runtime *runtime,
    int64_t number,
    void (*each)(void *context, const struct resource_key_info *key),
    void *context);
/* ERR_NOT_FOUND. */
MUST_USE err_t resource_key_find(
    struct resource_runtime *runtime, struct span key_id, struct resource_key_info *ret_info);
/* Forgets a revoked key: it is refused as one that never was. ERR_INVALID: it is not revoked.
 * ERR_NOT_FOUND. */
MUST_USE err_t resource_key_remove(struct resource_runtime *runtime, const char *key_id);

#endif
