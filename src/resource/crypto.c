#include "runtime.h"

#include "base/assert.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/sha.h>
#include <stdatomic.h>
#include <string.h>

/* Failures here are out of memory or a broken library: nothing that going on would mend. */

/* Looked up once: the library's own short forms search for the algorithm at each call, which takes
 * longer than hashing an id. */
static const EVP_MD *
sha256(void)
{
    static _Atomic(EVP_MD *) fetched;
    EVP_MD *algorithm = atomic_load(&fetched);
    if (algorithm == NULL) {
        EVP_MD *mine = EVP_MD_fetch(NULL, "SHA256", NULL);
        ASSERT(mine != NULL);
        if (atomic_compare_exchange_strong(&fetched, &algorithm, mine)) {
            algorithm = mine;
        } else {
            EVP_MD_free(mine);
        }
    }
    return algorithm;
}

/*
 * One context of each kind is kept between calls: making one takes longer than hashing an id.
 * Whoever needs it takes it away, so that no two threads have it at once, and puts it back; a
 * second thread makes its own, and of two only one is kept. The key of the last HMAC stays in
 * there, as in the runtime that gave it.
 */
static _Atomic(EVP_MD_CTX *) spare_digest;
static _Atomic(EVP_MAC_CTX *) spare_mac;

void
resource_sha256(struct span text, uint8_t out[RESOURCE_HASH_SIZE])
{
    static_assert(SHA256_DIGEST_LENGTH == RESOURCE_HASH_SIZE, "the size in runtime.h");
    EVP_MD_CTX *context = atomic_exchange(&spare_digest, NULL);
    if (context == NULL) {
        context = EVP_MD_CTX_new();
    }
    bool done = context != NULL && EVP_DigestInit_ex2(context, sha256(), NULL) == 1 &&
                EVP_DigestUpdate(context, text.data, text.size) == 1 &&
                EVP_DigestFinal_ex(context, out, NULL) == 1;
    ASSERT(done);
    EVP_MD_CTX_free(atomic_exchange(&spare_digest, context));
}

/* Likewise: HMAC-SHA256 without a key, to be copied. */
static const EVP_MAC_CTX *
hmac_sha256(void)
{
    static _Atomic(EVP_MAC_CTX *) fetched;
    EVP_MAC_CTX *context = atomic_load(&fetched);
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
    bool done = mine != NULL && EVP_MAC_CTX_set_params(mine, params) == 1;
    ASSERT(done);
    if (atomic_compare_exchange_strong(&fetched, &context, mine)) {
        return mine;
    }
    EVP_MAC_CTX_free(mine);
    return context;
}

void
resource_hmac(
    const uint8_t key[RESOURCE_HASH_SIZE], struct span text, uint8_t out[RESOURCE_HASH_SIZE])
{
    size_t size = 0;
    EVP_MAC_CTX *context = atomic_exchange(&spare_mac, NULL);
    if (context == NULL) {
        context = EVP_MAC_CTX_dup(hmac_sha256());
    }
    bool done = context != NULL && EVP_MAC_init(context, key, RESOURCE_HASH_SIZE, NULL) == 1 &&
                EVP_MAC_update(context, (const unsigned char *)text.data, text.size) == 1 &&
                EVP_MAC_final(context, out, &size, RESOURCE_HASH_SIZE) == 1;
    EVP_MAC_CTX_free(atomic_exchange(&spare_mac, context));
    ASSERT(done);
    ASSERT(size == RESOURCE_HASH_SIZE);
}

void
resource_hex(const uint8_t bytes[RESOURCE_HASH_SIZE], char out[2 * RESOURCE_HASH_SIZE + 1])
{
    struct buf text;
    buf_init_fixed(&text, out, 2 * RESOURCE_HASH_SIZE);
    buf_append_hex(&text, bytes, RESOURCE_HASH_SIZE);
    ASSERT(!buf_failed(&text));
    out[2 * RESOURCE_HASH_SIZE] = '\0';
}

u128
resource_derived_id(u128 id, const char *step)
{
    enum {
        STEP_MAX = 64
    };

    char text[sizeof(u128) + STEP_MAX];
    size_t size = strlen(step);
    ASSERT(size <= STEP_MAX);
    for (size_t i = 0; i < sizeof(u128); i++) {
        text[i] = (char)(uint8_t)(id >> (8 * (sizeof(u128) - 1 - i)));
    }
    memcpy(text + sizeof(u128), step, size);
    uint8_t hash[RESOURCE_HASH_SIZE];
    resource_sha256(span_of(text, sizeof(u128) + size), hash);
    u128 low = 0;
    for (size_t i = 0; i < 10; i++) {
        low = low << 8 | hash[i];
    }
    /* The time of the parent stays in front: derived ids sort, and cluster, as others do. */
    return id >> 80 << 80 | low;
}
