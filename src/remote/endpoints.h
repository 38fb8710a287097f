/* Where a service is: "HOST:PORT,HOST:PORT", or "file:PATH" of a file with one HOST:PORT a line. */
#ifndef REMOTE_ENDPOINTS_H
#define REMOTE_ENDPOINTS_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>

#define REMOTE_ENDPOINTS_MAX 16
#define REMOTE_HOST_SIZE     254

struct remote_endpoint {
    char host[REMOTE_HOST_SIZE]; /* a name or a numeric address, without brackets */
    uint16_t port;
};

struct remote_endpoints {
    struct remote_endpoint at[REMOTE_ENDPOINTS_MAX];
    uint32_t count;
};

/* Entries are separated by commas or line ends; empty ones, and the rest of a line behind '#', do
 * not count. ERR_INVALID, ERR_FULL, ERR_NOT_FOUND (there is none), with *ret_problem the entry. */
MUST_USE err_t remote_endpoints_parse(
    struct span text, struct remote_endpoints *ret_endpoints, struct span *ret_problem);

bool remote_endpoint_equal(const struct remote_endpoint *a, const struct remote_endpoint *b);

#endif
