/*
 * Kafka by librdkafka: an idempotent producer that waits for every replica in sync. A message's key
 * is the object's id, so that one partition has all events of an object, in order.
 *
 * Messages have no time-out of their own: one that expired while a later one went out would leave a
 * gap. Instead the whole request has a deadline, after which the producer is thrown away with
 * whatever it still holds (BROKER-2, BROKER-3).
 */
#include "driver.h"

#include "base/assert.h"

#include <librdkafka/rdkafka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS         100
#define CONFIG_LINE_MAX 1024
#define CONFIG_MAX      64

struct kafka {
    rd_kafka_conf_t *conf; /* what each producer begins with */
    rd_kafka_t *producer;  /* NULL: none yet, or the last one was thrown away */
    char topic[BROKER_NAME_MAX + 1];
    uint32_t timeout_ms;
    struct os_clock *clock;
    /* Of the request under way. */
    uint32_t waiting;
    uint32_t refused;
    rd_kafka_resp_err_t first_error;
    char transport[BROKER_WHY_SIZE]; /* what librdkafka said last of its connections */
};

static uint64_t
now_ms(const struct kafka *kafka)
{
    return os_monotonic_ns(kafka->clock) / 1000000;
}

/* ------------------------------------------------------------------------------------- callbacks
 */

static void
delivered(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    (void)producer;
    struct kafka *kafka = opaque;
    ASSERT(kafka->waiting > 0);
    kafka->waiting--;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka->refused++;
        if (kafka->first_error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            kafka->first_error = message->err;
        }
    }
}

static void
failed(rd_kafka_t *producer, int code, const char *reason, void *opaque)
{
    (void)producer;
    (void)code;
    struct kafka *kafka = opaque;
    broker_why(kafka->transport, "%s", reason);
}

static void
logged(const rd_kafka_t *producer, int level, const char *facility, const char *text)
{
    (void)producer; /* what matters comes through `failed`, and is said once (broker.c) */
    (void)level;
    (void)facility;
    (void)text;
}

/* -------------------------------------------------------------------------------------- settings
 */

static err_t
set(rd_kafka_conf_t *conf, const char *name, const char *value, char why[BROKER_WHY_SIZE])
{
    char message[BROKER_WHY_SIZE] = "";
    if (rd_kafka_conf_set(conf, name, value, message, sizeof(message)) != RD_KAFKA_CONF_OK) {
        /* librdkafka's own message may repeat the value, which may be a password. */
        broker_why(why, "librdkafka does not take %.100s, or this value for it", name);
        return ERR_INVALID;
    }
    return ERR_OK;
}

/* NAME=VALUE, without the spaces around either; lines that are empty or begin with # are skipped.
 */
static err_t
set_line(rd_kafka_conf_t *conf, char *line, unsigned number, char why[BROKER_WHY_SIZE])
{
    struct span rest = span_trim(span_of(line, strcspn(line, "\r\n")));
    if (rest.size == 0 || rest.data[0] == '#') {
        return ERR_OK;
    }
    char name[CONFIG_LINE_MAX];
    char value[CONFIG_LINE_MAX];
    if (span_find(rest, '=', 0) == rest.size) {
        broker_why(why, "line %u of the broker's config file is not NAME=VALUE", number);
        return ERR_INVALID;
    }
    struct span left = span_trim(span_cut(&rest, '='));
    struct span right = span_trim(rest);
    memcpy(name, left.data, left.size);
    name[left.size] = '\0';
    memcpy(value, right.data, right.size);
    value[right.size] = '\0';
    err_t result = set(conf, name, value, why);
    explicit_bzero(value, sizeof(value));
    return result;
}

static err_t
set_file(rd_kafka_conf_t *conf, const char *path, char why[BROKER_WHY_SIZE])
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        broker_why(why, "the broker's config file cannot be read");
        return ERR_NOT_FOUND;
    }
    char line[CONFIG_LINE_MAX];
    err_t result = ERR_OK;
    unsigned number = 0;
    while (result == ERR_OK && fgets(line, sizeof(line), file) != NULL) {
        number++;
        if (strchr(line, '\n') == NULL && strlen(line) == sizeof(line) - 1) {
            broker_why(why, "line %u of the broker's config file is too long", number);
            result = ERR_INVALID;
        } else if (number > CONFIG_MAX) {
            broker_why(why, "the broker's config file has more than %d lines", CONFIG_MAX);
            result = ERR_INVALID;
        } else {
            result = set_line(conf, line, number, why);
        }
    }
    explicit_bzero(line, sizeof(line));
    (void)fclose(file);
    return result;
}

static err_t
set_all(
    rd_kafka_conf_t *conf,
    const struct broker_url *url,
    const struct broker_settings *settings,
    char why[BROKER_WHY_SIZE])
{
    TRY(set(conf, "client.id", "tael", why));
    TRY(set(conf, "linger.ms", "2", why));
    TRY(set(conf, "log.connection.close", "false", why));
    TRY(set(conf, "reconnect.backoff.max.ms", "2000", why));
    if (url->tls) {
        TRY(set(conf, "security.protocol", "ssl", why));
    }
    if (settings->ca_file[0] != '\0') {
        TRY(set(conf, "ssl.ca.location", settings->ca_file, why));
    }
    if (settings->config_file[0] != '\0') {
        TRY(set_file(conf, settings->config_file, why));
    }
    /* What the invariants rest on is nobody else's to set. */
    TRY(set(conf, "bootstrap.servers", url->hosts, why));
    TRY(set(conf, "enable.idempotence", "true", why));
    TRY(set(conf, "acks", "all", why));
    return set(conf, "message.timeout.ms", "0", why);
}

static err_t
kafka_open(
    const struct broker_url *url,
    const struct broker_parts *parts,
    void **ret_state,
    char why[BROKER_WHY_SIZE])
{
    struct kafka *kafka = calloc(1, sizeof(*kafka));
    if (kafka == NULL) {
        return ERR_MEMORY;
    }
    memcpy(kafka->topic, url->name, sizeof(kafka->topic));
    kafka->timeout_ms = parts->settings.timeout_ms;
    kafka->clock = parts->clock;
    kafka->conf = rd_kafka_conf_new();
    err_t result = set_all(kafka->conf, url, &parts->settings, why);
    if (result != ERR_OK) {
        rd_kafka_conf_destroy(kafka->conf);
        free(kafka);
        return result;
    }
    rd_kafka_conf_set_opaque(kafka->conf, kafka);
    rd_kafka_conf_set_dr_msg_cb(kafka->conf, delivered);
    rd_kafka_conf_set_error_cb(kafka->conf, failed);
    rd_kafka_conf_set_log_cb(kafka->conf, logged);
    *ret_state = kafka;
    return ERR_OK;
}

/* -------------------------------------------------------------------------------------- producer
 */

static err_t
producer_get(struct kafka *kafka, char why[BROKER_WHY_SIZE])
{
    if (kafka->producer != NULL) {
        return ERR_OK;
    }
    char message[BROKER_WHY_SIZE] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(kafka->conf);
    kafka->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, message, sizeof(message));
    if (kafka->producer == NULL) {
        rd_kafka_conf_destroy(conf);
        broker_why(why, "librdkafka makes no producer of these settings");
        return ERR_INVALID;
    }
    return ERR_OK;
}

/* With everything that waits in it; none of its callbacks runs any more. */
static void
producer_drop(struct kafka *kafka)
{
    if (kafka->producer != NULL) {
        (void)rd_kafka_purge(kafka->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(kafka->producer);
        kafka->producer = NULL;
    }
}

static void
kafka_close(void *state)
{
    struct kafka *kafka = state;
    producer_drop(kafka);
    rd_kafka_conf_destroy(kafka->conf);
    free(kafka);
}

/* --------------------------------------------------------------------------------------- publish
 */

static void
header(rd_kafka_headers_t *headers, const char *name, struct span value)
{
    (void)rd_kafka_header_add(headers, name, -1, value.data, (ssize_t)value.size);
}

/* Not written to: librdkafka's interface knows no const. */
static void *
data_of(struct span text)
{
    return (void *)(uintptr_t)text.data;
}

/* The body stays the caller's: it is there until the request ends, and by then the producer has
 * either told of the message or is gone. */
static rd_kafka_resp_err_t
produce(struct kafka *kafka, const struct port_broker_message *message)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    header(headers, "event-id", message->id);
    header(headers, "event-type", message->type);
    header(headers, "account", message->account);
    header(headers, "livemode", message->livemode ? SPAN("true") : SPAN("false"));
    rd_kafka_resp_err_t error = rd_kafka_producev(
        kafka->producer,
        RD_KAFKA_V_TOPIC(kafka->topic),
        RD_KAFKA_V_KEY(data_of(message->key), message->key.size),
        RD_KAFKA_V_VALUE(data_of(message->body), message->body.size),
        RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_END);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_headers_destroy(headers);
    }
    return error;
}

static err_t
give_up(struct kafka *kafka, rd_kafka_resp_err_t error, char why[BROKER_WHY_SIZE])
{
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        broker_why(
            why,
            "no confirmation in time%s%.180s",
            kafka->transport[0] == '\0' ? "" : ": ",
            kafka->transport);
    } else {
        broker_why(why, "%s", rd_kafka_err2str(error));
    }
    producer_drop(kafka);
    return ERR_OUTCOME_UNKNOWN;
}

static err_t
kafka_publish(
    void *state,
    const struct port_broker_message *messages,
    uint32_t count,
    uint32_t *ret_confirmed,
    char why[BROKER_WHY_SIZE])
{
    struct kafka *kafka = state;
    *ret_confirmed = 0;
    TRY(producer_get(kafka, why));
    uint64_t end_ms = now_ms(kafka) + kafka->timeout_ms;
    kafka->waiting = 0;
    kafka->refused = 0;
    kafka->first_error = RD_KAFKA_RESP_ERR_NO_ERROR;
    kafka->transport[0] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t error = produce(kafka, &messages[i]);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return give_up(kafka, error, why);
        }
        kafka->waiting++;
    }
    while (kafka->waiting > 0 && kafka->refused == 0 && now_ms(kafka) < end_ms) {
        (void)rd_kafka_poll(kafka->producer, POLL_MS);
    }
    if (kafka->waiting > 0 || kafka->refused > 0) {
        return give_up(kafka, kafka->first_error, why);
    }
    *ret_confirmed = count;
    return ERR_OK;
}

const struct broker_driver broker_kafka = {
    .name = "kafka",
    .open = kafka_open,
    .publish = kafka_publish,
    .close = kafka_close,
};
