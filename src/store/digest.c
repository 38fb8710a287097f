#include "store/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct store_digest {
    EVP_MD *algorithm;
    EVP_MD_CTX *once;    /* of one piece, reset each time */
    EVP_MD_CTX *running; /* of all that was added */
    EVP_MD_CTX *copy;    /* of `running`, to be finished */
};

err_t
store_digest_create(struct store_digest **ret_digest)
{
    struct store_digest *digest = calloc(1, sizeof(*digest));
    if (digest == NULL) {
        return ERR_MEMORY;
    }
    digest->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    digest->once = EVP_MD_CTX_new();
    digest->running = EVP_MD_CTX_new();
    digest->copy = EVP_MD_CTX_new();
    if (digest->algorithm == NULL || digest->once == NULL || digest->running == NULL ||
        digest->copy == NULL || EVP_MD_get_size(digest->algorithm) != (int)STORE_DIGEST_SIZE ||
        EVP_DigestInit_ex2(digest->running, digest->algorithm, NULL) != 1) {
        store_digest_destroy(&digest);
        return ERR_CRYPTO;
    }
    *ret_digest = digest;
    return ERR_OK;
}

void
store_digest_destroy(struct store_digest **digest)
{
    if (*digest == NULL) {
        return;
    }
    EVP_MD_CTX_free((*digest)->copy);
    EVP_MD_CTX_free((*digest)->running);
    EVP_MD_CTX_free((*digest)->once);
    EVP_MD_free((*digest)->algorithm);
    free(*digest);
    *digest = NULL;
}

err_t
store_digest_of(
    struct store_digest *digest,
    const void *data,
    uint64_t size,
    uint8_t ret_digest[STORE_DIGEST_SIZE])
{
    bool done = EVP_DigestInit_ex2(digest->once, digest->algorithm, NULL) == 1 &&
                EVP_DigestUpdate(digest->once, data, size) == 1 &&
                EVP_DigestFinal_ex(digest->once, ret_digest, NULL) == 1;
    return done ? ERR_OK : ERR_CRYPTO;
}

err_t
store_digest_add(struct store_digest *digest, const void *data, uint64_t size)
{
    return EVP_DigestUpdate(digest->running, data, size) == 1 ? ERR_OK : ERR_CRYPTO;
}

err_t
store_digest_so_far(struct store_digest *digest, uint8_t ret_digest[STORE_DIGEST_SIZE])
{
    bool done = EVP_MD_CTX_copy_ex(digest->copy, digest->running) == 1 &&
                EVP_DigestFinal_ex(digest->copy, ret_digest, NULL) == 1;
    return done ? ERR_OK : ERR_CRYPTO;
}
