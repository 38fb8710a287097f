/* What the two kinds of broker have in common for broker.c. All on the broker's own thread, which
 * they block; none outlives the deadline by much (BROKER-2). */
#ifndef BROKER_DRIVER_H
#define BROKER_DRIVER_H

#include "broker/broker.h"
#include "url.h"

#define BROKER_WHY_SIZE 256

struct broker_driver {
    const char *name;
    /* ERR_INVALID: the settings are wrong, `why` says how. Connects to nothing. */
    err_t (*open)(
        const struct broker_url *url,
        const struct broker_parts *parts,
        void **ret_state,
        char why[BROKER_WHY_SIZE]);
    /* Connects if it has to. ERR_OK: all are confirmed. Anything else: nothing is under way any
     * more, and the next call begins anew; `why` says what happened, without credentials, and
     * *ret_confirmed how many are confirmed from the first on: at least so many. */
    err_t (*publish)(
        void *state,
        const struct port_broker_message *messages,
        uint32_t count,
        uint32_t *ret_confirmed,
        char why[BROKER_WHY_SIZE]);
    /* Now and then while nothing is published: what is connected stays so, or is given up quietly.
     * NULL: needs none. */
    void (*tend)(void *state);
    void (*close)(void *state);
};

extern const struct broker_driver broker_kafka;
extern const struct broker_driver broker_rabbitmq;

/* printf into `why`, cut to its size. */
__attribute__((format(printf, 2, 3))) void broker_why(
    char why[BROKER_WHY_SIZE], const char *format, ...);

#endif
