#include "crypto.h"

#include "base/assert.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdatomic.h>
#include <stdbool.h>

static const unsigned char *
bytes(struct span text)
{
    return (const unsigned char *)text.data;
}

err_t
vault_seal(
    const uint8_t key[VAULT_KEY_SIZE],
    const uint8_t nonce[VAULT_NONCE_SIZE],
    struct span additional,
    struct span text,
    uint8_t *out)
{
    ASSERT(text.size <= INT_MAX);
    ASSERT(additional.size <= INT_MAX);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int size = 0;
    int rest = 0;
    bool done =
        context != NULL && EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
        EVP_EncryptUpdate(context, NULL, &size, bytes(additional), (int)additional.size) == 1 &&
        EVP_EncryptUpdate(context, out, &size, bytes(text), (int)text.size) == 1 &&
        EVP_EncryptFinal_ex(context, out + size, &rest) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, VAULT_TAG_SIZE, out + text.size) == 1;
    EVP_CIPHER_CTX_free(context);
    return done ? ERR_OK : ERR_CRYPTO;
}

err_t
vault_open(
    const uint8_t key[VAULT_KEY_SIZE],
    const uint8_t nonce[VAULT_NONCE_SIZE],
    struct span additional,
    struct span sealed,
    uint8_t *out)
{
    ASSERT(sealed.size <= INT_MAX);
    ASSERT(additional.size <= INT_MAX);
    if (sealed.size < VAULT_TAG_SIZE) {
        return ERR_CORRUPT;
    }
    size_t text_size = sealed.size - VAULT_TAG_SIZE;
    uint8_t tag[VAULT_TAG_SIZE];
    for (size_t i = 0; i < VAULT_TAG_SIZE; i++) {
        tag[i] = bytes(sealed)[text_size + i];
    }
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int size = 0;
    int rest = 0;
    bool ready =
        context != NULL && EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
        EVP_DecryptUpdate(context, NULL, &size, bytes(additional), (int)additional.size) == 1 &&
        EVP_DecryptUpdate(context, out, &size, bytes(sealed), (int)text_size) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, VAULT_TAG_SIZE, tag) == 1;
    bool authentic = ready && EVP_DecryptFinal_ex(context, out + size, &rest) == 1;
    EVP_CIPHER_CTX_free(context);
    if (!ready) {
        return ERR_CRYPTO;
    }
    return authentic ? ERR_OK : ERR_CORRUPT;
}

/* Made once, without a key, to be copied: to look the algorithms up and to set them takes longer
 * than to use them. Who copies it wipes the key with the copy. */
static const EVP_MAC_CTX *
hmac_sha256(void)
{
    static _Atomic(EVP_MAC_CTX *) made;
    EVP_MAC_CTX *context = atomic_load(&made);
    if (context != NULL) {
        return context;
    }
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mine = EVP_MAC_CTX_new(algorithm);
    EVP_MAC_free(algorithm); /* the context holds it */
    if (mine != NULL && EVP_MAC_CTX_set_params(mine, params) == 1 &&
        atomic_compare_exchange_strong(&made, &context, mine)) {
        return mine;
    }
    EVP_MAC_CTX_free(mine);
    return context; /* another thread's, or none */
}

err_t
vault_mac(const uint8_t key[VAULT_KEY_SIZE], struct span text, uint8_t out[VAULT_MAC_SIZE])
{
    size_t size = 0;
    const EVP_MAC_CTX *prepared = hmac_sha256();
    EVP_MAC_CTX *context = prepared == NULL ? NULL : EVP_MAC_CTX_dup(prepared);
    bool done = context != NULL && EVP_MAC_init(context, key, VAULT_KEY_SIZE, NULL) == 1 &&
                EVP_MAC_update(context, bytes(text), text.size) == 1 &&
                EVP_MAC_final(context, out, &size, VAULT_MAC_SIZE) == 1;
    EVP_MAC_CTX_free(context);
    return done && size == VAULT_MAC_SIZE ? ERR_OK : ERR_CRYPTO;
}
