/*
 * Signatures of webhooks in Stripe's scheme, which Stripe's SDKs verify (docs.stripe.com/webhooks,
 * "Verify manually"):
 *
 *     Stripe-Signature:
 * t=1767225600,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd
 *
 * v1 is the HMAC-SHA256 of "t.body", keyed with the whole text of the secret, "whsec_" included.
 * While a secret is being replaced there is one v1 for each.
 */
#ifndef CALLBACK_SIGNATURE_H
#define CALLBACK_SIGNATURE_H

#include "base/buf.h"
#include "os/entropy.h"

/* Operators' listeners refuse whatever has it (SECURITY.md); the gateway, which does not use this
 * folder, by the same name. */
#define CALLBACK_SIGNATURE_HEADER "Stripe-Signature"

#define CALLBACK_SECRET_SIZE      38 /* "whsec_" and 32 characters; no zero */

/* A new secret; the caller wipes it. */
void callback_secret_make(struct os_entropy *entropy, char out[CALLBACK_SECRET_SIZE]);

/* Appends the header's value. Secrets that are empty give no v1. */
void callback_sign(
    struct buf *out,
    const struct span *secrets,
    size_t secret_count,
    int64_t unix_seconds,
    struct span body);

#endif
