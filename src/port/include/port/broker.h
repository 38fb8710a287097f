/*
 * The broker port: events on their way into a message queue (Kafka, RabbitMQ), for whoever
 * subscribes there. The queue is never the source of truth: what it loses or repeats can be sent
 * again from the events that are stored.
 *
 * At least once: what is not confirmed of a request may have been taken all the same, and is sent
 * again. Messages with the same key keep their order as long as one request is under way at
 * a time.
 */
#ifndef PORT_BROKER_H
#define PORT_BROKER_H

#include "base/err.h"
#include "base/span.h"
#include "os/loop.h"

#include <stdbool.h>

#define PORT_BROKER_MESSAGES_MAX 1000
#define PORT_BROKER_BYTES_MAX    (4U << 20) /* of all bodies of one request */

struct port_broker_message {
    struct span id;      /* the event's, evt_...: consumers recognize repetitions by it */
    struct span type;    /* "payment_intent.succeeded" */
    struct span key;     /* the object's id: what has the same one stays in order */
    struct span account; /* the merchant's id */
    bool livemode;
    struct span body; /* JSON, the event as GET /v1/events/:id shows it */
};

/* What it points to stays as it is until `done` runs. */
struct port_broker_request {
    struct os_task task;
    struct os_executor *reply_to;
    void (*done)(struct port_broker_request *request);
    void *broker; /* the implementation's, while the request is under way */

    const struct port_broker_message *messages; /* in the order that they are to have */
    uint32_t count;                             /* 1 to PORT_BROKER_MESSAGES_MAX */

    /* ERR_OK: the broker has confirmed every one, as durable as it was told to keep them. Anything
     * else: so many, from the first on, are known to be there; send those behind them again. */
    err_t error;
    uint32_t confirmed;
};

struct port_broker {
    /* From any thread. Takes the request until its `done` was posted, within the time that the
     * implementation states. */
    void (*publish)(struct port_broker *broker, struct port_broker_request *request);
    const char *name; /* "kafka", "rabbitmq" */
};

#endif
