/* AES-256-GCM (NIST SP 800-38D) and HMAC-SHA256 (RFC 2104), thin over OpenSSL. */
#ifndef VAULT_CRYPTO_H
#define VAULT_CRYPTO_H

#include "base/err.h"
#include "base/span.h"

#define VAULT_KEY_SIZE   32
#define VAULT_NONCE_SIZE 12
#define VAULT_TAG_SIZE   16
#define VAULT_MAC_SIZE   32

/* `out` has room for the text and VAULT_TAG_SIZE more. The nonce is never used twice with a key. */
MUST_USE err_t vault_seal(
    const uint8_t key[VAULT_KEY_SIZE],
    const uint8_t nonce[VAULT_NONCE_SIZE],
    struct span additional,
    struct span text,
    uint8_t *out);
/* ERR_CORRUPT if it was not sealed with this key, nonce and additional data. `out` has room for
 * the sealed size less VAULT_TAG_SIZE. */
MUST_USE err_t vault_open(
    const uint8_t key[VAULT_KEY_SIZE],
    const uint8_t nonce[VAULT_NONCE_SIZE],
    struct span additional,
    struct span sealed,
    uint8_t *out);
MUST_USE err_t
vault_mac(const uint8_t key[VAULT_KEY_SIZE], struct span text, uint8_t out[VAULT_MAC_SIZE]);

#endif
