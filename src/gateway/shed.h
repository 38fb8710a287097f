/*
 * Shedding: when upstreams are slow or queue, what matters least is refused first, so that
 * payments go on while lists and searches do not. Pure and without randomness: of a stream of
 * requests exactly the wanted share is refused, evenly spread.
 *
 * The load is a number in per mille: 1,000 is where the queue or the latency has reached its
 * target. Each class has a load at which refusing begins and one at which all are refused.
 */
#ifndef GATEWAY_SHED_H
#define GATEWAY_SHED_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum gateway_class {
    GATEWAY_CLASS_CRITICAL, /* moves money: refused last */
    GATEWAY_CLASS_NORMAL,
    GATEWAY_CLASS_LIST,
    GATEWAY_CLASS_SEARCH, /* refused first */
};

#define GATEWAY_CLASS_COUNT 4

extern const char *const gateway_class_names[GATEWAY_CLASS_COUNT];

struct gateway_shed {
    uint64_t latency_ns;                   /* moving average; its writer is gateway_shed_answered */
    uint32_t load;                         /* per mille */
    uint32_t carried[GATEWAY_CLASS_COUNT]; /* of a refusal, per mille */
};

struct gateway_shed_target {
    uint64_t latency_ns; /* 0: latency does not count */
    uint32_t queue;      /* requests under way and waiting; 0: they do not count */
};

/* An answer came, or did not come, after so long. */
void gateway_shed_answered(struct gateway_shed *shed, uint64_t latency_ns);
/* Looks at the queue again; call it often (each request). Without requests under way the average
 * forgets, so that a gateway that refused everything tries again. */
void gateway_shed_update(
    struct gateway_shed *shed, const struct gateway_shed_target *target, uint64_t queue);
/* Whether this request is refused. */
bool gateway_shed_decide(struct gateway_shed *shed, enum gateway_class class);

#endif
