/* Where a collector is: http://host[:port][/path] or https://, strictly. */
#ifndef TRACES_URL_H
#define TRACES_URL_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define TRACES_HOST_MAX 253

struct traces_url {
    bool tls;
    struct span host; /* without brackets */
    uint16_t port;
    struct span path; /* empty, or begins with '/' and ends otherwise */
};

/* NULL, or what is wrong with it: a phrase. Spans point into the text. */
const char *traces_url_parse(struct span text, struct traces_url *ret_url);

#endif
