/* What response codes (DE 39) mean to the public API. */
#ifndef NETWORK_CODES_H
#define NETWORK_CODES_H

#include "base/span.h"

struct network_code {
    const char *code;         /* DE 39 */
    const char *error_code;   /* NULL: an approval */
    const char *decline_code; /* NULL: of an approval */
    const char *advice_code;
};

#define NETWORK_CODES_MAX 96

/* What the table has; a code that it does not have is a generic decline. Never NULL. */
const struct network_code *network_code_find(struct span code);
/* By position, for counters; NULL behind the last. */
const struct network_code *network_code_at(size_t index);
size_t network_code_index(const struct network_code *code);

#endif
