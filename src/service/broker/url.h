/*
 * Where the broker is:
 *
 *   kafka://HOST:PORT[,HOST:PORT...]/TOPIC                     kafkas:// with TLS
 *   amqp://[USER:PASSWORD@]HOST[:PORT][/VHOST]/EXCHANGE        amqps:// with TLS
 *
 * USER, PASSWORD and VHOST may hold %XX (RFC 3986 section 2.1). Without a user RabbitMQ's default
 * is meant, guest:guest; without a vhost "/". Ports are 9092 (Kafka, and has to be given for a
 * list), 5672 and 5671.
 */
#ifndef BROKER_URL_H
#define BROKER_URL_H

#include "base/err.h"
#include "base/span.h"

#define BROKER_URL_MAX   1024 /* bytes of the whole */
#define BROKER_NAME_MAX  200  /* of a topic or an exchange: letters, digits, . _ - */
#define BROKER_HOSTS_MAX 512

enum broker_kind {
    BROKER_KAFKA,
    BROKER_RABBITMQ,
};

struct broker_url {
    enum broker_kind kind;
    bool tls;
    char hosts[BROKER_HOSTS_MAX + 1]; /* Kafka: HOST:PORT,...; RabbitMQ: one host */
    uint16_t port;                    /* RabbitMQ */
    char user[128];
    char password[256];
    char vhost[128];
    char name[BROKER_NAME_MAX + 1]; /* the topic, the exchange */
};

/* NULL, or what is wrong, as the end of a sentence that begins with the URL's name. */
const char *broker_url_parse(struct span text, struct broker_url *ret_url);

#endif
