/*
 * Any bytes as what comes from Redis: they do not open. The same bytes as a body, sealed, do; with
 * any one bit changed (the input says which), or for another row or version, they do not.
 */
#include "cache.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t secret[RESOURCE_HASH_SIZE] = {1, 2, 3};

static void
opens_not(const uint8_t *text, size_t size, const struct cache_key *key, uint64_t version)
{
    uint8_t *out = malloc(size + 1);
    ASSERT(out != NULL);
    struct resource_cache_sealed sealed = {.key = key, .version = version};
    ASSERT(!resource_cache_open_sealed(secret, span_of(text, size), &sealed, out));
    free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cache_key key = {{7}};
    struct cache_key other = {{8}};
    uint8_t nonce[RESOURCE_CACHE_NONCE_SIZE] = {0};
    if (size < 4 || size > RESOURCE_CACHE_BODY_MAX) {
        return 0;
    }
    opens_not(data, size, &key, 1);
    const struct resource_cache_sealed sealed = {
        .key = &key, .version = 5, .expires_ms = data[0], .body = span_of(data, size)};
    size_t sealed_size = size + RESOURCE_CACHE_SEAL_SIZE;
    uint8_t *text = malloc(sealed_size);
    uint8_t *out = malloc(sealed_size);
    ASSERT(text != NULL);
    ASSERT(out != NULL);
    memcpy(nonce, data, 4);
    resource_cache_seal(secret, nonce, &sealed, text);
    struct resource_cache_sealed opened = {.key = &key, .version = 5};
    ASSERT(resource_cache_open_sealed(secret, span_of(text, sealed_size), &opened, out));
    ASSERT(span_equal(opened.body, sealed.body));
    ASSERT(opened.expires_ms == data[0]);
    opens_not(text, sealed_size, &other, 5);
    opens_not(text, sealed_size, &key, 6);
    opens_not(text, sealed_size - 1, &key, 5);
    text[((size_t)data[1] | (size_t)data[2] << 8) % sealed_size] ^= (uint8_t)(1U << (data[3] & 7));
    opens_not(text, sealed_size, &key, 5);
    free(text);
    free(out);
    return 0;
}
