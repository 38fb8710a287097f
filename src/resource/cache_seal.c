/*
 * What leaves the process: nonce, tag, then AES-256-GCM (NIST SP 800-38D) over the time at which it
 * is over and the body. The key of the cipher is made of the secret, the row's name and its
 * version, so that random nonces never come near the number at which they repeat under one key;
 * name and version are authenticated with it.
 */
#include "cache.h"

#include "base/assert.h"

#include <openssl/evp.h>
#include <string.h>

#define NAMED_SIZE (CACHE_KEY_SIZE + 8)
#define TIME_SIZE  8

static void
put_u64(uint8_t *out, uint64_t value)
{
    for (uint32_t i = 0; i < 8; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t
take_u64(const uint8_t *in)
{
    uint64_t value = 0;
    for (uint32_t i = 8; i > 0; i--) {
        value = value << 8 | in[i - 1];
    }
    return value;
}

static void
name_and_key(
    const uint8_t secret[RESOURCE_HASH_SIZE],
    const struct resource_cache_sealed *sealed,
    uint8_t named[NAMED_SIZE],
    uint8_t key[RESOURCE_HASH_SIZE])
{
    memcpy(named, sealed->key->bytes, CACHE_KEY_SIZE);
    put_u64(named + CACHE_KEY_SIZE, sealed->version);
    resource_hmac(secret, span_of(named, NAMED_SIZE), key);
}

void
resource_cache_seal(
    const uint8_t secret[RESOURCE_HASH_SIZE],
    const uint8_t nonce[RESOURCE_CACHE_NONCE_SIZE],
    const struct resource_cache_sealed *sealed,
    uint8_t *out)
{
    ASSERT(sealed->body.size <= RESOURCE_CACHE_BODY_MAX);
    uint8_t named[NAMED_SIZE];
    uint8_t key[RESOURCE_HASH_SIZE];
    uint8_t until[TIME_SIZE];
    uint8_t *tag = out + RESOURCE_CACHE_NONCE_SIZE;
    uint8_t *text = tag + RESOURCE_CACHE_TAG_SIZE;
    int size = 0;
    name_and_key(secret, sealed, named, key);
    put_u64(until, sealed->expires_ms);
    memcpy(out, nonce, RESOURCE_CACHE_NONCE_SIZE);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    bool done =
        cipher != NULL && EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
        EVP_EncryptUpdate(cipher, NULL, &size, named, NAMED_SIZE) == 1 &&
        EVP_EncryptUpdate(cipher, text, &size, until, TIME_SIZE) == 1 &&
        EVP_EncryptUpdate(
            cipher,
            text + TIME_SIZE,
            &size,
            (const uint8_t *)sealed->body.data,
            (int)sealed->body.size) == 1 &&
        EVP_EncryptFinal_ex(cipher, text + TIME_SIZE + sealed->body.size, &size) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, RESOURCE_CACHE_TAG_SIZE, tag) == 1;
    EVP_CIPHER_CTX_free(cipher);
    explicit_bzero(key, sizeof(key));
    ASSERT(done); /* memory, or a broken library: nothing that going on would mend */
}

static bool
decrypt(
    const uint8_t key[RESOURCE_HASH_SIZE],
    const uint8_t named[NAMED_SIZE],
    struct span text,
    uint8_t *out)
{
    uint8_t tag[RESOURCE_CACHE_TAG_SIZE];
    const uint8_t *nonce = (const uint8_t *)text.data;
    const uint8_t *body = nonce + RESOURCE_CACHE_NONCE_SIZE + RESOURCE_CACHE_TAG_SIZE;
    int body_size = (int)(text.size - RESOURCE_CACHE_NONCE_SIZE - RESOURCE_CACHE_TAG_SIZE);
    int size = 0;
    memcpy(tag, nonce + RESOURCE_CACHE_NONCE_SIZE, sizeof(tag));
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    bool good =
        cipher != NULL && EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
        EVP_DecryptUpdate(cipher, NULL, &size, named, NAMED_SIZE) == 1 &&
        EVP_DecryptUpdate(cipher, out, &size, body, body_size) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, RESOURCE_CACHE_TAG_SIZE, tag) == 1 &&
        EVP_DecryptFinal_ex(cipher, out + body_size, &size) == 1;
    EVP_CIPHER_CTX_free(cipher);
    return good;
}

bool
resource_cache_open_sealed(
    const uint8_t secret[RESOURCE_HASH_SIZE],
    struct span text,
    struct resource_cache_sealed *sealed,
    uint8_t *out)
{
    uint8_t named[NAMED_SIZE];
    uint8_t key[RESOURCE_HASH_SIZE];
    if (text.size < RESOURCE_CACHE_SEAL_SIZE || text.size > PORT_CACHE_VALUE_MAX) {
        return false;
    }
    name_and_key(secret, sealed, named, key);
    bool good = decrypt(key, named, text, out);
    explicit_bzero(key, sizeof(key));
    if (!good) {
        return false;
    }
    sealed->expires_ms = take_u64(out);
    sealed->body = span_of(out + TIME_SIZE, text.size - RESOURCE_CACHE_SEAL_SIZE);
    return true;
}
