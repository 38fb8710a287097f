/*
 * Security codes on their way to the first authorization: memory only, for an hour at most, and a
 * bounded number of them (the oldest goes first). PCI DSS 4.0.1 requirement 3.3.1 forbids more.
 */
#ifndef VAULT_CVC_H
#define VAULT_CVC_H

#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "port/vault.h"

#define VAULT_CVC_MAX    65536
#define VAULT_CVC_AGE_NS (UINT64_C(3600) * 1000000000)
#define VAULT_CVC_SIZE   5

struct vault_cvc_entry;

struct vault_cvcs {
    struct map map;
    struct list oldest_first;
    struct list free;
    struct vault_cvc_entry *entries; /* secret memory */
};

MUST_USE err_t vault_cvcs_init(struct vault_cvcs *cvcs);
void vault_cvcs_release(struct vault_cvcs *cvcs);
/* Replaces what was kept for the token. */
void vault_cvcs_put(struct vault_cvcs *cvcs, const char *token, struct span cvc, uint64_t now_ns);
/* Moves it out and forgets it; `out` is empty if there was none. */
void vault_cvcs_take(
    struct vault_cvcs *cvcs, const char *token, uint64_t now_ns, char out[VAULT_CVC_SIZE]);

#endif
