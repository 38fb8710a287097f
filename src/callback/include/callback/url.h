/* Addresses of endpoints: http:// and https:// URLs (RFC 3986), strictly. */
#ifndef CALLBACK_URL_H
#define CALLBACK_URL_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define CALLBACK_URL_MAX 2048

struct callback_url {
    bool tls;
    struct span host; /* without brackets */
    uint16_t port;
    struct span target; /* path and query; "/" if there is none */
};

/* NULL, or what is wrong with it: a sentence. The spans point into the text, or are static. A path
 * that begins with '?' is refused rather than mended. */
const char *callback_url_parse(struct span text, struct callback_url *ret_url);

#endif
