#include "runtime.h"

#include "base/assert.h"

#include <openssl/evp.h>
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

static void
hash_two(struct span first, struct span second, uint8_t out[RESOURCE_HASH_SIZE])
{
    static_assert(SHA256_DIGEST_LENGTH == RESOURCE_HASH_SIZE, "the size in runtime.h");
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL && EVP_DigestInit_ex(context, sha256(), NULL) == 1 &&
                EVP_DigestUpdate(context, first.data, first.size) == 1 &&
                EVP_DigestUpdate(context, second.data, second.size) == 1 &&
                EVP_DigestFinal_ex(context, out, NULL) == 1;
    EVP_MD_CTX_free(context);
    ASSERT(done);
}

void
resource_sha256(struct span text, uint8_t out[RESOURCE_HASH_SIZE])
{
    hash_two(text, SPAN_EMPTY, out);
}

void
resource_hmac(
    const uint8_t key[RESOURCE_HASH_SIZE], struct span text, uint8_t out[RESOURCE_HASH_SIZE])
{
    /* RFC 2104, with a key that is shorter than a block. The library's own form searches for its
     * algorithms at each call, which takes longer than the hashes. */
    uint8_t inner[SHA256_CBLOCK] = {0};
    uint8_t outer[SHA256_CBLOCK + RESOURCE_HASH_SIZE] = {0};
    static_assert(RESOURCE_HASH_SIZE < SHA256_CBLOCK, "no key is hashed first");
    memcpy(inner, key, RESOURCE_HASH_SIZE);
    memcpy(outer, key, RESOURCE_HASH_SIZE);
    for (size_t i = 0; i < SHA256_CBLOCK; i++) {
        inner[i] ^= 0x36;
        outer[i] ^= 0x5c;
    }
    hash_two(span_of((const char *)inner, sizeof(inner)), text, outer + SHA256_CBLOCK);
    resource_sha256(span_of((const char *)outer, sizeof(outer)), out);
    explicit_bzero(inner, sizeof(inner));
    explicit_bzero(outer, sizeof(outer));
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
