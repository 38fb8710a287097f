/*
 * API keys as the edge sees them: their form, kind and mode. Whether a key exists is for the
 * service to say; what cannot be one goes no further (docs/gateway.md).
 */
#ifndef GATEWAY_KEY_H
#define GATEWAY_KEY_H

#include "base/err.h"
#include "base/span.h"

enum gateway_key_kind {
    GATEWAY_KEY_NONE,
    GATEWAY_KEY_SECRET,      /* sk_ */
    GATEWAY_KEY_RESTRICTED,  /* rk_ */
    GATEWAY_KEY_PUBLISHABLE, /* pk_ */
};

#define GATEWAY_KEY_SIZE_MAX 255

struct gateway_key {
    enum gateway_key_kind kind;
    bool live;
    struct span text; /* the whole key: a secret */
};

/* Reads the value of an Authorization header: Bearer, or Basic with an empty password (RFC 7617).
 * `memory` holds what Basic decodes to. An empty value gives GATEWAY_KEY_NONE. ERR_INVALID: another
 * scheme, malformed, or what cannot be a key of ours. */
MUST_USE err_t gateway_key_read(
    struct span authorization, char memory[GATEWAY_KEY_SIZE_MAX + 1], struct gateway_key *ret_key);

/* "sk_test_...Ab3d": all of a key that may be written anywhere. Empty for no key. */
#define GATEWAY_KEY_SHOWN_SIZE 20
struct span gateway_key_show(const struct gateway_key *key, char out[GATEWAY_KEY_SHOWN_SIZE]);

const char *gateway_key_kind_name(enum gateway_key_kind kind);

#endif
