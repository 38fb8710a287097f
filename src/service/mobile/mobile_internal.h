/* What the files of the service share. */
#ifndef MOBILE_INTERNAL_H
#define MOBILE_INTERNAL_H

#include "code.h"
#include "mobile/mobile.h"
#include "resource/object.h"

#define MOBILE_LIMIT_SLOTS 256

/*
 * Wrong codes of a merchant and mode. Scopes share slots by their number: who shares one is limited
 * together, which is the safe side. Generic cell rate algorithm, as for API keys.
 */
struct mobile_limit {
    uint64_t arrival_ns[MOBILE_LIMIT_SLOTS];
};

struct mobile_code {
    struct resource_header header;
    struct span wallet;
    struct span hash;    /* of the digits, which nobody keeps */
    struct span payment; /* that used it; empty: none did */
    struct span key;     /* the idempotency key that it was used with; empty: none */
    int64_t expires;     /* unix seconds */
    int64_t purge;       /* when it may be forgotten */
};

enum {
    MOBILE_CODE_WALLET,
    MOBILE_CODE_HASH,
    MOBILE_CODE_PURGE
};

struct mobile {
    struct mobile_parts parts;
    struct port_mobile port;
    struct resource_route *routes; /* the constant table, bound to this instance */
    struct os_timer sweep_timer;
    struct mobile_limit limit;
};

extern const struct resource_type mobile_code_type;

void mobile_code_render(struct resource_render *render, const void *document);
/* A hash of the digits in their scope, in the arena; empty: no memory. Fifteen random digits take
 * longer to find from it than a code lives. */
struct span mobile_code_hash(struct resource_op *op, struct span code);

/* --- limit.c --- */

/* Whether another wrong code may be looked at. */
bool mobile_limit_allows(const struct mobile_limit *limit, uint64_t scope, uint64_t now_ns);
/* One was wrong. */
void mobile_limit_count(
    struct mobile_limit *limit, uint64_t scope, uint64_t now_ns, int64_t per_minute);

/* --- issue.c: routes --- */

extern const struct resource_route mobile_route_table[];
extern const uint32_t mobile_route_count;

/* --- use.c: the port --- */

void mobile_use_code(struct port_mobile *port, struct port_mobile_request *request);

/* --- sweep.c --- */

void mobile_sweeper_start(struct mobile *mobile);

#endif
