#include "recipient/recipient.h"

#include "base/assert.h"
#include "callback/url.h"

#include <string.h>

#define ROLL_DEFAULT_S INT64_C(86400)

/* ----------------------------------------------------------------------------------- parameters */

static bool
refuse_url(struct resource_op *op, const char *why)
{
    resource_invalid(op, "url_invalid", "url", "Invalid URL: %s", why);
    return false;
}

bool
recipient_read_url(
    struct resource_op *op, struct recipient *recipient, bool livemode, const char *name)
{
    struct callback_url url;
    struct span text;
    if (!resource_text(op, "url", &text)) {
        return true;
    }
    if (text.size == 0) {
        return refuse_url(op, "it cannot be unset.");
    }
    const char *wrong = callback_url_parse(text, &url);
    if (wrong != NULL) {
        return refuse_url(op, wrong);
    }
    if (livemode && !url.tls) {
        resource_invalid(
            op, "url_invalid", "url", "Invalid URL: Live mode %s must be https.", name);
        return false;
    }
    recipient->url = text;
    return true;
}

/* -------------------------------------------------------------------------------------- secrets */

/* `secret` under the key that seals, in the arena. */
static err_t
seal_secret(
    struct arena *arena,
    const struct recipient_seal *seal,
    const char secret[CALLBACK_SECRET_SIZE],
    struct span *ret_sealed)
{
    const struct callback_key *key = callback_keys_sealing(seal->keys);
    char *sealed = arena_alloc(arena, CALLBACK_SEALED_SIZE);
    if (key == NULL) {
        return ERR_DENIED;
    }
    if (sealed == NULL) {
        return ERR_FULL;
    }
    TRY(callback_secret_seal(key, seal->entropy, seal->id, secret, sealed));
    *ret_sealed = span_of(sealed, CALLBACK_SEALED_SIZE);
    return ERR_OK;
}

err_t
recipient_make_secret(
    struct resource_op *op, const struct recipient_seal *seal, struct recipient *recipient)
{
    struct arena *arena = resource_op_arena(op);
    char *secret = arena_alloc(arena, CALLBACK_SECRET_SIZE);
    if (secret == NULL) {
        return ERR_FULL;
    }
    callback_secret_make(seal->entropy, secret);
    TRY(seal_secret(arena, seal, secret, &recipient->secret));
    recipient->shown_secret = span_of(secret, CALLBACK_SECRET_SIZE);
    return ERR_OK;
}

static err_t
seal_one_anew(
    struct arena *arena,
    const struct recipient_seal *seal,
    bool anew,
    struct span *sealed,
    struct recipient_seals *seals)
{
    char secret[CALLBACK_SECRET_SIZE];
    uint32_t key = 0;
    if (sealed->size == 0) {
        return ERR_OK;
    }
    err_t result = callback_keys_unseal(seal->keys, seal->id, *sealed, secret, &key);
    if (result == ERR_CORRUPT) {
        seals->unreadable++;
        return ERR_OK;
    }
    if (result == ERR_OK && anew && key != seal->keys->sealing) {
        result = seal_secret(arena, seal, secret, sealed);
        key = seal->keys->sealing;
        seals->anew += result == ERR_OK ? 1 : 0;
    }
    explicit_bzero(secret, sizeof(secret));
    TRY(result);
    seals->under[key]++;
    return ERR_OK;
}

err_t
recipient_seal_anew(
    struct arena *arena,
    const struct recipient_seal *seal,
    bool anew,
    struct recipient *recipient,
    struct recipient_seals *seals)
{
    TRY(seal_one_anew(arena, seal, anew, &recipient->secret, seals));
    return seal_one_anew(arena, seal, anew, &recipient->old_secret, seals);
}

bool
recipient_roll_secret(
    struct resource_op *op, const struct recipient_seal *seal, struct recipient *recipient)
{
    int64_t expires_in = ROLL_DEFAULT_S;
    int64_t now = (int64_t)resource_now_s(op);
    (void)resource_integer(op, "expires_in", &expires_in);
    if (expires_in > 0 && recipient->old_secret_until > now) {
        resource_invalid(
            op,
            NULL,
            "expires_in",
            "A secret that was replaced is still in use, until %lld. Wait until then, or send "
            "expires_in=0, which ends both.",
            (long long)recipient->old_secret_until);
        return false;
    }
    recipient->old_secret = expires_in > 0 ? recipient->secret : SPAN_EMPTY;
    recipient->old_secret_until = expires_in > 0 ? now + expires_in : 0;
    err_t result = recipient_make_secret(op, seal, recipient);
    if (result != ERR_OK) {
        resource_internal(op, result, "new secret");
        return false;
    }
    return true;
}

void
recipient_wipe_shown(struct recipient *recipient)
{
    if (recipient->shown_secret.size > 0) {
        explicit_bzero(
            (void *)(uintptr_t)recipient->shown_secret.data, recipient->shown_secret.size);
    }
    recipient->shown_secret = SPAN_EMPTY;
}

err_t
recipient_sign(
    const struct callback_keys *keys,
    struct span id,
    const struct recipient *recipient,
    int64_t unix_seconds,
    struct span body,
    struct buf *out)
{
    char clear[2][CALLBACK_SECRET_SIZE];
    struct span secrets[2] = {SPAN_EMPTY, SPAN_EMPTY};
    err_t result = callback_keys_unseal(keys, id, recipient->secret, clear[0], NULL);
    if (result == ERR_OK) {
        secrets[0] = span_of(clear[0], CALLBACK_SECRET_SIZE);
    }
    if (result == ERR_OK && recipient->old_secret_until > unix_seconds) {
        result = callback_keys_unseal(keys, id, recipient->old_secret, clear[1], NULL);
        secrets[1] = result == ERR_OK ? span_of(clear[1], CALLBACK_SECRET_SIZE) : SPAN_EMPTY;
    }
    if (result == ERR_OK) {
        callback_sign(out, secrets, 2, unix_seconds, body);
        ASSERT(!buf_failed(out));
    }
    explicit_bzero(clear, sizeof(clear));
    return result;
}
