#include "callback/signature.h"

#include "base/assert.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdatomic.h>
#include <string.h>

#define PREFIX   "whsec_"
#define MAC_SIZE 32
/* The largest multiple of 62 in a byte: no digit is likelier. */
#define FAIR_MAX 248

void
callback_secret_make(struct os_entropy *entropy, char out[CALLBACK_SECRET_SIZE])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    size_t size = sizeof(PREFIX) - 1;
    memcpy(out, PREFIX, size);
    while (size < CALLBACK_SECRET_SIZE) {
        uint8_t byte;
        entropy->fill(entropy, &byte, 1);
        if (byte < FAIR_MAX) {
            out[size++] = digits[byte % 62];
        }
    }
}

/* Failures here are out of memory or a broken library: nothing that going on would mend. */

/* Looked up once: searching for the algorithm takes longer than using it. */
static EVP_MAC *
hmac(void)
{
    static _Atomic(EVP_MAC *) fetched;
    EVP_MAC *algorithm = atomic_load(&fetched);
    if (algorithm == NULL) {
        EVP_MAC *mine = EVP_MAC_fetch(NULL, "HMAC", NULL);
        ASSERT(mine != NULL);
        if (atomic_compare_exchange_strong(&fetched, &algorithm, mine)) {
            algorithm = mine;
        } else {
            EVP_MAC_free(mine);
        }
    }
    return algorithm;
}

static void
append_mac(struct buf *out, struct span secret, struct span stamp, struct span body)
{
    unsigned char mac[MAC_SIZE];
    size_t size = 0;
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(hmac());
    bool done =
        context != NULL &&
        EVP_MAC_init(context, (const unsigned char *)secret.data, secret.size, params) == 1 &&
        EVP_MAC_update(context, (const unsigned char *)stamp.data, stamp.size) == 1 &&
        EVP_MAC_update(context, (const unsigned char *)body.data, body.size) == 1 &&
        EVP_MAC_final(context, mac, &size, sizeof(mac)) == 1;
    EVP_MAC_CTX_free(context);
    ASSERT(done);
    ASSERT(size == MAC_SIZE);
    buf_append_cstr(out, ",v1=");
    buf_append_hex(out, mac, MAC_SIZE);
}

void
callback_sign(
    struct buf *out,
    const struct span *secrets,
    size_t secret_count,
    int64_t unix_seconds,
    struct span body)
{
    char text[32];
    struct buf stamp;
    buf_init_fixed(&stamp, text, sizeof(text));
    buf_append_i64(&stamp, unix_seconds);
    buf_append_cstr(out, "t=");
    buf_append_span(out, buf_span(&stamp));
    buf_append_byte(&stamp, '.');
    ASSERT(!buf_failed(&stamp));
    for (size_t i = 0; i < secret_count; i++) {
        if (secrets[i].size > 0) {
            append_mac(out, secrets[i], buf_span(&stamp), body);
        }
    }
}
