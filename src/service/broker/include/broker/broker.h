/*
 * port/broker.h over Kafka (librdkafka) and RabbitMQ (librabbitmq), chosen by a URL. README.md says
 * what each makes of a message.
 *
 * BROKER-1  A request ends with ERR_OK only when the broker confirmed each of its messages: Kafka
 *           with acks=all, RabbitMQ with a publisher confirm from every queue that it was routed
 *           to.
 * BROKER-2  A request ends within `timeout_ms`, or a little more, whatever the broker does; then
 *           nothing of it is under way any more.
 * BROKER-3  For each key, what consumers see first of every message is in the order of the requests
 *           and within each request; repetitions may come later. A queue of RabbitMQ that refuses
 *           messages while it is full makes an exception of those that are under way when it
 *           begins to.
 * BROKER-4  Credentials are in no log and in no message.
 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include "port/broker.h"

#include "os/clock.h"

struct broker;
struct trace_log;

struct broker_settings {
    const char *url;         /* broker_url.h says how it looks */
    const char *ca_file;     /* PEM, for TLS; empty: the system's authorities */
    const char *config_file; /* Kafka: librdkafka's settings, NAME=VALUE a line; empty: none */
    uint32_t timeout_ms;     /* of a request, connecting included; 1,000 to 120,000 */
};

struct broker_parts {
    /* Blocks on the broker: it does nothing else, and is stopped before broker_destroy. */
    struct os_loop *loop;
    struct os_clock *clock;
    struct trace_log *log;
    struct broker_settings settings;
};

#define BROKER_MESSAGE_SIZE 256

/* Before the loop runs. Connects to nothing yet. The message says what is wrong: ERR_INVALID (url,
 * config_file), ERR_NOT_FOUND (a file), ERR_MEMORY. */
MUST_USE err_t broker_create(
    const struct broker_parts *parts,
    struct broker **ret_broker,
    char message[BROKER_MESSAGE_SIZE]);
/* After the loop has stopped. Accepts NULL; sets NULL. */
void broker_destroy(struct broker **broker);

struct port_broker *broker_port(struct broker *broker);

struct broker_health {
    bool connected;     /* the last request that ended was confirmed */
    uint64_t published; /* messages confirmed, since the start */
    uint64_t failed;    /* requests that were not, since the start */
};

/* Any thread. */
struct broker_health broker_health(const struct broker *broker);

#endif
