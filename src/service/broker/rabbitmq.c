/*
 * RabbitMQ by librabbitmq: a topic exchange that events are routed from by their type, and a
 * quorum queue of the same name that gets all of them, so that nothing is dropped before the first
 * consumer came. One channel with publisher confirms: RabbitMQ answers with the number of each
 * message, counted from 1, when all its queues have it.
 *
 * A quorum queue can lose what runs it (a RabbitMQ that is killed while the queue is young) and
 * still be there: declaring it works, and nothing is ever confirmed. Whoever got no confirmation
 * looks into the queue before publishing again, so as to say so. The queue is never deleted here:
 * of a cluster whose majority is away one hears the same, and there its messages come back.
 *
 * A bounded queue may refuse messages (overflow: reject-publish), whoever bound it, and takes those
 * behind them once there is room again. Whoever was refused one sends the next ones one at a time,
 * until a request gets through: what is behind a refusal would come out of order, and would be sent
 * to the other queues once more each time.
 *
 * The library blocks. What bounds it: time-outs of connecting and of calls, the kernel's limit for
 * what a peer does not take (TCP_USER_TIMEOUT), and the deadline of the wait for confirms.
 */
#include "driver.h"

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define CHANNEL     1
#define FRAME_MAX   131072
#define HEARTBEAT_S 30 /* or less, if RabbitMQ says so */

enum answer {
    ANSWER_NONE,
    ANSWER_CONFIRMED,
    ANSWER_REFUSED,
};

struct rabbitmq {
    struct broker_url url;
    char ca_file[1024];
    uint32_t timeout_ms;
    struct os_clock *clock;
    amqp_connection_state_t connection; /* NULL: none */
    uint64_t published;                 /* on this channel: the number of the last message */
    bool doubtful;                      /* nothing was answered the last time */
    bool careful;                       /* a queue refused a message in the last request */
    /* Of the group under way: those after number `before`. */
    uint64_t before;
    uint32_t missing; /* neither confirmed nor refused yet */
    enum answer answers[PORT_BROKER_MESSAGES_MAX];
};

static uint64_t
now_ms(const struct rabbitmq *rabbitmq)
{
    return os_monotonic_ns(rabbitmq->clock) / 1000000;
}

static struct timeval
timeval_of(uint64_t ms)
{
    return (struct timeval){.tv_sec = (time_t)(ms / 1000), .tv_usec = (long)(ms % 1000) * 1000};
}

static amqp_bytes_t
bytes_of(struct span text)
{
    /* Not written to: the library's interface knows no const. */
    return (amqp_bytes_t){.len = text.size, .bytes = (void *)(uintptr_t)text.data};
}

static amqp_bytes_t
bytes_of_cstr(const char *text)
{
    return bytes_of(span_from_cstr(text));
}

/* ------------------------------------------------------------------------------------ connection
 */

static void
disconnect(struct rabbitmq *rabbitmq)
{
    if (rabbitmq->connection != NULL) {
        (void)amqp_destroy_connection(rabbitmq->connection);
        rabbitmq->connection = NULL;
    }
}

static err_t
reply_check(amqp_rpc_reply_t reply, const char *what, char why[BROKER_WHY_SIZE])
{
    switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
        return ERR_OK;
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
        broker_why(why, "%s: %s", what, amqp_error_string2(reply.library_error));
        return ERR_CLOSED;
    case AMQP_RESPONSE_SERVER_EXCEPTION:
        if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
            const amqp_channel_close_t *close = reply.reply.decoded;
            broker_why(
                why,
                "%s: %u %.*s",
                what,
                (unsigned)close->reply_code,
                (int)close->reply_text.len,
                (const char *)close->reply_text.bytes);
        } else if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
            const amqp_connection_close_t *close = reply.reply.decoded;
            broker_why(
                why,
                "%s: %u %.*s",
                what,
                (unsigned)close->reply_code,
                (int)close->reply_text.len,
                (const char *)close->reply_text.bytes);
        } else {
            broker_why(why, "%s: refused", what);
        }
        return ERR_DENIED;
    case AMQP_RESPONSE_NONE:
    default:
        broker_why(why, "%s: no answer", what);
        return ERR_CLOSED;
    }
}

static amqp_socket_t *
socket_make(const struct rabbitmq *rabbitmq, char why[BROKER_WHY_SIZE])
{
    if (!rabbitmq->url.tls) {
        return amqp_tcp_socket_new(rabbitmq->connection);
    }
    amqp_socket_t *made = amqp_ssl_socket_new(rabbitmq->connection);
    if (made == NULL) {
        return NULL;
    }
    amqp_ssl_socket_set_verify_peer(made, 1);
    amqp_ssl_socket_set_verify_hostname(made, 1);
    if (rabbitmq->ca_file[0] != '\0' &&
        amqp_ssl_socket_set_cacert(made, rabbitmq->ca_file) != AMQP_STATUS_OK) {
        broker_why(why, "the file of authorities cannot be read");
        return NULL;
    }
    (void)amqp_ssl_socket_set_ssl_versions(made, AMQP_TLSv1_2, AMQP_TLSvLATEST);
    return made;
}

/* A peer that takes nothing for so long is gone: writes fail then. */
static void
bound_writes(struct rabbitmq *rabbitmq)
{
    unsigned limit_ms = rabbitmq->timeout_ms;
    int fd = amqp_get_sockfd(rabbitmq->connection);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit_ms, sizeof(limit_ms));
}

static err_t
log_in(struct rabbitmq *rabbitmq, char why[BROKER_WHY_SIZE])
{
    const struct broker_url *url = &rabbitmq->url;
    struct timeval limit = timeval_of(rabbitmq->timeout_ms);
    rabbitmq->connection = amqp_new_connection();
    if (rabbitmq->connection == NULL) {
        broker_why(why, "out of memory");
        return ERR_MEMORY;
    }
    if (amqp_set_handshake_timeout(rabbitmq->connection, &limit) != AMQP_STATUS_OK ||
        amqp_set_rpc_timeout(rabbitmq->connection, &limit) != AMQP_STATUS_OK) {
        broker_why(why, "no time limits can be set");
        return ERR_MEMORY;
    }
    amqp_socket_t *made = socket_make(rabbitmq, why);
    if (made == NULL) {
        return ERR_CRYPTO;
    }
    int status = amqp_socket_open_noblock(made, url->hosts, url->port, &limit);
    if (status != AMQP_STATUS_OK) {
        broker_why(why, "connecting: %s", amqp_error_string2(status));
        return ERR_CLOSED;
    }
    bound_writes(rabbitmq);
    return reply_check(
        amqp_login(
            rabbitmq->connection,
            url->vhost,
            1,
            FRAME_MAX,
            HEARTBEAT_S,
            AMQP_SASL_METHOD_PLAIN,
            url->user,
            url->password),
        "logging in",
        why);
}

static bool
is_internal_error(amqp_rpc_reply_t reply)
{
    if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION ||
        reply.reply.id != AMQP_CONNECTION_CLOSE_METHOD) {
        return false;
    }
    const amqp_connection_close_t *close = reply.reply.decoded;
    return close->reply_code == AMQP_INTERNAL_ERROR;
}

/* Only into a queue that says that it is empty: what is taken is given back when the connection
 * ends, but has been delivered once then. */
static err_t
look_into_queue(struct rabbitmq *rabbitmq, char why[BROKER_WHY_SIZE])
{
    char said[BROKER_WHY_SIZE] = "";
    amqp_rpc_reply_t reply =
        amqp_basic_get(rabbitmq->connection, CHANNEL, bytes_of_cstr(rabbitmq->url.name), 0);
    err_t result = reply_check(reply, "looking into the queue", said);
    if (is_internal_error(reply)) {
        broker_why(
            why,
            "the queue is there, but nothing of it runs in RabbitMQ; if it does not come back, "
            "delete it, and it is made anew (%.96s)",
            said);
        return ERR_CLOSED;
    }
    rabbitmq->doubtful = false; /* also if we may not look: the next try goes on without */
    if (result != ERR_OK) {
        broker_why(why, "%s", said);
        return result;
    }
    if (reply.reply.id == AMQP_BASIC_GET_OK_METHOD) {
        broker_why(why, "the queue was looked into");
        return ERR_CLOSED; /* the message goes back with the connection */
    }
    return ERR_OK;
}

/* The exchange, the queue that gets all, and the way from one to the other. They stay. */
static err_t
declare(struct rabbitmq *rabbitmq, char why[BROKER_WHY_SIZE])
{
    amqp_connection_state_t connection = rabbitmq->connection;
    amqp_bytes_t name = bytes_of_cstr(rabbitmq->url.name);
    (void)amqp_channel_open(connection, CHANNEL);
    TRY(reply_check(amqp_get_rpc_reply(connection), "opening a channel", why));
    (void)amqp_exchange_declare(
        connection, CHANNEL, name, bytes_of_cstr("topic"), 0, 1, 0, 0, amqp_empty_table);
    TRY(reply_check(amqp_get_rpc_reply(connection), "declaring the exchange", why));
    amqp_table_entry_t entry = {
        .key = bytes_of_cstr("x-queue-type"),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = bytes_of_cstr("quorum")},
    };
    const amqp_table_t arguments = {.num_entries = 1, .entries = &entry};
    const amqp_queue_declare_ok_t *declared =
        amqp_queue_declare(connection, CHANNEL, name, 0, 1, 0, 0, arguments);
    TRY(reply_check(amqp_get_rpc_reply(connection), "declaring the queue", why));
    bool looks = rabbitmq->doubtful && declared != NULL && declared->message_count == 0;
    (void)amqp_queue_bind(connection, CHANNEL, name, name, bytes_of_cstr("#"), amqp_empty_table);
    TRY(reply_check(amqp_get_rpc_reply(connection), "binding the queue", why));
    if (looks) {
        TRY(look_into_queue(rabbitmq, why));
    }
    (void)amqp_confirm_select(connection, CHANNEL);
    return reply_check(amqp_get_rpc_reply(connection), "asking for confirms", why);
}

static err_t
connect_if_needed(struct rabbitmq *rabbitmq, char why[BROKER_WHY_SIZE])
{
    if (rabbitmq->connection != NULL) {
        return ERR_OK;
    }
    rabbitmq->published = 0;
    TRY(log_in(rabbitmq, why));
    return declare(rabbitmq, why);
}

/* --------------------------------------------------------------------------------------- publish
 */

static err_t
publish_one(
    struct rabbitmq *rabbitmq, const struct port_broker_message *message, char why[BROKER_WHY_SIZE])
{
    amqp_table_entry_t entries[] = {
        {
            .key = bytes_of_cstr("object"),
            .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = bytes_of(message->key)},
        },
        {
            .key = bytes_of_cstr("account"),
            .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = bytes_of(message->account)},
        },
        {
            .key = bytes_of_cstr("livemode"),
            .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = message->livemode},
        },
    };
    const amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                  AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_HEADERS_FLAG,
        .content_type = bytes_of_cstr("application/json"),
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
        .message_id = bytes_of(message->id),
        .type = bytes_of(message->type),
        .headers = {.num_entries = sizeof(entries) / sizeof(entries[0]), .entries = entries},
    };
    const int mandatory = 1;
    int status = amqp_basic_publish(
        rabbitmq->connection,
        CHANNEL,
        bytes_of_cstr(rabbitmq->url.name),
        bytes_of(message->type),
        mandatory,
        0,
        &properties,
        bytes_of(message->body));
    if (status != AMQP_STATUS_OK) {
        broker_why(why, "publishing: %s", amqp_error_string2(status));
        return ERR_OUTCOME_UNKNOWN;
    }
    rabbitmq->published++;
    return ERR_OK;
}

static void
note_answer(struct rabbitmq *rabbitmq, uint64_t number, enum answer answer)
{
    uint64_t index = number - rabbitmq->before - 1;
    if (number > rabbitmq->before && number <= rabbitmq->published &&
        rabbitmq->answers[index] == ANSWER_NONE) {
        rabbitmq->answers[index] = answer;
        rabbitmq->missing--;
        rabbitmq->doubtful = false;
        rabbitmq->careful = rabbitmq->careful || answer == ANSWER_REFUSED;
    }
}

/* Of one message, in any order, or of all up to one. */
static void
note_answers(struct rabbitmq *rabbitmq, uint64_t number, bool multiple, enum answer answer)
{
    for (uint64_t i = multiple ? rabbitmq->before + 1 : number;
         i <= rabbitmq->published && i <= number;
         i++) {
        note_answer(rabbitmq, i, answer);
    }
}

static err_t
note_method(struct rabbitmq *rabbitmq, const amqp_method_t *method, char why[BROKER_WHY_SIZE])
{
    const amqp_basic_ack_t *ack = method->decoded;
    const amqp_basic_nack_t *nack = method->decoded;
    switch (method->id) {
    case AMQP_BASIC_ACK_METHOD:
        note_answers(rabbitmq, ack->delivery_tag, ack->multiple != 0, ANSWER_CONFIRMED);
        return ERR_OK;
    case AMQP_BASIC_NACK_METHOD:
        note_answers(rabbitmq, nack->delivery_tag, nack->multiple != 0, ANSWER_REFUSED);
        return ERR_OK;
    case AMQP_BASIC_RETURN_METHOD:
        broker_why(why, "no queue takes a message");
        return ERR_OUTCOME_UNKNOWN;
    case AMQP_CHANNEL_CLOSE_METHOD:
    case AMQP_CONNECTION_CLOSE_METHOD:
        broker_why(why, "the broker closed the connection");
        return ERR_OUTCOME_UNKNOWN;
    default:
        return ERR_OK;
    }
}

static err_t
await_answers(struct rabbitmq *rabbitmq, uint64_t end_ms, char why[BROKER_WHY_SIZE])
{
    while (rabbitmq->missing > 0) {
        uint64_t now = now_ms(rabbitmq);
        if (now >= end_ms) {
            broker_why(why, "no confirmation in time");
            return ERR_OUTCOME_UNKNOWN;
        }
        amqp_frame_t frame;
        struct timeval limit = timeval_of(end_ms - now);
        amqp_maybe_release_buffers(rabbitmq->connection);
        int status = amqp_simple_wait_frame_noblock(rabbitmq->connection, &frame, &limit);
        if (status != AMQP_STATUS_OK && status != AMQP_STATUS_TIMEOUT) {
            broker_why(why, "waiting for confirms: %s", amqp_error_string2(status));
            return ERR_OUTCOME_UNKNOWN;
        }
        if (status == AMQP_STATUS_OK && frame.frame_type == AMQP_FRAME_METHOD) {
            TRY(note_method(rabbitmq, &frame.payload.method, why));
        }
    }
    return ERR_OK;
}

/* How many of a group of so many are confirmed, from the first on. */
static uint32_t
confirmed_of(const struct rabbitmq *rabbitmq, uint32_t count)
{
    uint32_t confirmed = 0;
    while (confirmed < count && rabbitmq->answers[confirmed] == ANSWER_CONFIRMED) {
        confirmed++;
    }
    return confirmed;
}

/* Publishes them all, and waits until each is answered for. None is when it begins. */
static err_t
publish_group(
    struct rabbitmq *rabbitmq,
    const struct port_broker_message *messages,
    uint32_t count,
    uint64_t end_ms,
    char why[BROKER_WHY_SIZE])
{
    rabbitmq->before = rabbitmq->published;
    rabbitmq->missing = count;
    for (uint32_t i = 0; i < count; i++) {
        TRY(publish_one(rabbitmq, &messages[i], why));
    }
    rabbitmq->doubtful = true;
    TRY(await_answers(rabbitmq, end_ms, why));
    if (confirmed_of(rabbitmq, count) < count) {
        broker_why(why, "the broker refused a message: a queue that it goes to may be full");
        return ERR_OUTCOME_UNKNOWN;
    }
    return ERR_OK;
}

static err_t
rabbitmq_publish(
    void *state,
    const struct port_broker_message *messages,
    uint32_t count,
    uint32_t *ret_confirmed,
    char why[BROKER_WHY_SIZE])
{
    struct rabbitmq *rabbitmq = state;
    uint64_t end_ms = now_ms(rabbitmq) + rabbitmq->timeout_ms;
    uint32_t done = 0;
    err_t result = connect_if_needed(rabbitmq, why);
    while (result == ERR_OK && done < count) {
        uint32_t group = rabbitmq->careful ? 1 : count;
        memset(rabbitmq->answers, 0, sizeof(rabbitmq->answers));
        result = publish_group(rabbitmq, &messages[done], group, end_ms, why);
        done += confirmed_of(rabbitmq, group);
    }
    *ret_confirmed = done;
    if (result == ERR_OK) {
        rabbitmq->careful = false;
    } else {
        disconnect(rabbitmq);
    }
    return result;
}

/* ------------------------------------------------------------------------------------------ life
 */

static err_t
rabbitmq_open(
    const struct broker_url *url,
    const struct broker_parts *parts,
    void **ret_state,
    char why[BROKER_WHY_SIZE])
{
    const struct broker_settings *settings = &parts->settings;
    if (settings->config_file[0] != '\0') {
        broker_why(why, "a config file is for Kafka only");
        return ERR_INVALID;
    }
    struct rabbitmq *rabbitmq = calloc(1, sizeof(*rabbitmq));
    if (rabbitmq == NULL) {
        return ERR_MEMORY;
    }
    rabbitmq->url = *url;
    rabbitmq->timeout_ms = settings->timeout_ms;
    rabbitmq->clock = parts->clock;
    size_t size = strlen(settings->ca_file);
    if (size >= sizeof(rabbitmq->ca_file)) {
        broker_why(why, "the name of the file of authorities is too long");
        free(rabbitmq);
        return ERR_INVALID;
    }
    memcpy(rabbitmq->ca_file, settings->ca_file, size + 1);
    *ret_state = rabbitmq;
    return ERR_OK;
}

/* The library sends heartbeats only while it waits for something. Without them RabbitMQ ends the
 * connection, and the next request would fail for no reason. */
static void
rabbitmq_tend(void *state)
{
    struct rabbitmq *rabbitmq = state;
    const struct timeval none = {.tv_sec = 0};
    int status = AMQP_STATUS_OK;
    while (rabbitmq->connection != NULL && status != AMQP_STATUS_TIMEOUT) {
        amqp_frame_t frame;
        char unused[BROKER_WHY_SIZE];
        amqp_maybe_release_buffers(rabbitmq->connection);
        status = amqp_simple_wait_frame_noblock(rabbitmq->connection, &frame, &none);
        bool is_method = status == AMQP_STATUS_OK && frame.frame_type == AMQP_FRAME_METHOD;
        bool ended = status != AMQP_STATUS_OK && status != AMQP_STATUS_TIMEOUT;
        if (ended ||
            (is_method && note_method(rabbitmq, &frame.payload.method, unused) != ERR_OK)) {
            disconnect(rabbitmq);
        }
    }
}

static void
rabbitmq_close(void *state)
{
    struct rabbitmq *rabbitmq = state;
    disconnect(rabbitmq);
    explicit_bzero(rabbitmq, sizeof(*rabbitmq));
    free(rabbitmq);
}

const struct broker_driver broker_rabbitmq = {
    .name = "rabbitmq",
    .open = rabbitmq_open,
    .publish = rabbitmq_publish,
    .tend = rabbitmq_tend,
    .close = rabbitmq_close,
};
