/*
 * Who is called at an address of their own: what a webhook endpoint and a participant of
 * transactions have in common as resources. A URL, a secret that signs what is sent there, and the
 * secret before it while both count.
 *
 *     struct thing {
 *         struct resource_header header;
 *         struct recipient recipient;
 *     };
 *     static const struct resource_field fields[] = {RECIPIENT_FIELDS(thing, recipient), ...};
 *
 * All of it runs where operations do; only recipient_sign may be called on any thread.
 */
#ifndef RECIPIENT_H
#define RECIPIENT_H

#include "base/buf.h"
#include "callback/secret.h"
#include "resource/fields.h"
#include "resource/resource.h"

/* The spans live as long as the document that it is a part of. */
struct recipient {
    struct span url;          /* one that callback_url_parse takes */
    struct span secret;       /* sealed, hex (callback/secret.h) */
    struct span old_secret;   /* sealed; signs too until old_secret_until */
    int64_t old_secret_until; /* unix seconds; 0: there is none */
    /* Not stored: in clear, in the operation's memory, for the one answer that tells it. */
    struct span shown_secret;
};

/* Its rows in the table of fields of `type`, whose member it is. */
#define RECIPIENT_FIELDS(type, member)                                                             \
    RESOURCE_NAMED(type, "url", TEXT, member.url),                                                 \
        RESOURCE_NAMED(type, "secret", TEXT, member.secret),                                       \
        RESOURCE_NAMED(type, "old_secret", TEXT, member.old_secret),                               \
        RESOURCE_NAMED(type, "old_secret_until", INTEGER, member.old_secret_until)

/* What a secret is sealed with, and for whom: the document's id. Borrowed for the call. */
struct recipient_seal {
    const struct callback_keys *keys;
    struct os_entropy *entropy;
    struct span id;
};

/* Reads the parameter "url", if it is there. `name` says in the plural what is called, for the
 * error. False: the operation was answered (url_invalid; of live objects also for http). */
MUST_USE bool recipient_read_url(
    struct resource_op *op, struct recipient *recipient, bool livemode, const char *name);

/* Gives it a new secret, sealed and shown. Of an operation that fails the secret is wiped with its
 * memory. ERR_FULL: no memory; ERR_DENIED: the key that seals is not among the keys;
 * ERR_CRYPTO. */
MUST_USE err_t recipient_make_secret(
    struct resource_op *op, const struct recipient_seal *seal, struct recipient *recipient);

/* Reads "expires_in" (seconds; a day without it), and gives it a new secret; the present one signs
 * too for so long, unless that is 0. False: the operation was answered (one that was replaced
 * before is still in use; or what recipient_make_secret answers). */
MUST_USE bool recipient_roll_secret(
    struct resource_op *op, const struct recipient_seal *seal, struct recipient *recipient);

/* What is under which key: secrets by the key's index, those that none opens, and those that were
 * sealed anew. */
struct recipient_seals {
    uint32_t under[CALLBACK_KEYS_MAX];
    uint32_t unreadable;
    uint32_t anew;
};

/* Counts its secrets; with `anew` those that are under another key than the one that seals are put
 * under that first. One that no key opens stays as it is. Errors as recipient_make_secret's; the
 * recipient may then be changed. */
MUST_USE err_t recipient_seal_anew(
    struct arena *arena,
    const struct recipient_seal *seal,
    bool anew,
    struct recipient *recipient,
    struct recipient_seals *seals);

/* When the answer has been written: overwrites the secret that was shown, if one was. */
void recipient_wipe_shown(struct recipient *recipient);

/* Appends the Stripe-Signature of a body sent at that time, by the secret and by the one before
 * while it counts. `id` is the document's. ERR_CORRUPT: a secret was not sealed with any of these
 * keys for this id; ERR_CRYPTO. */
MUST_USE err_t recipient_sign(
    const struct callback_keys *keys,
    struct span id,
    const struct recipient *recipient,
    int64_t unix_seconds,
    struct span body,
    struct buf *out);

#endif
