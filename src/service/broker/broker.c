#include "driver.h"

#include "base/assert.h"
#include "base/list.h"
#include "trace/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Less than half of the shortest heartbeat. */
#define TEND_MS 400

struct broker {
    struct port_broker port;
    struct broker_parts parts;
    const struct broker_driver *driver;
    void *state; /* the driver's */
    struct os_timer tend;
    _Atomic bool connected;
    _Atomic uint64_t published;
    _Atomic uint64_t failed;
    char said[BROKER_WHY_SIZE]; /* why it fails: once, until that changes or it works again */
};

void
broker_why(char why[BROKER_WHY_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, BROKER_WHY_SIZE, format, arguments);
    va_end(arguments);
}

/* --------------------------------------------------------------------------------------- publish
 */

static void
note_failure(struct broker *broker, const char *why)
{
    atomic_fetch_add(&broker->failed, 1);
    atomic_store(&broker->connected, false);
    if (strcmp(broker->said, why) != 0) {
        TRACE_LOG(
            broker->parts.log,
            TRACE_WARNING,
            "broker",
            SPAN_EMPTY,
            "events wait: the broker does not take them",
            trace_cstr("broker", broker->driver->name),
            trace_cstr("reason", why));
    }
    (void)snprintf(broker->said, sizeof(broker->said), "%s", why);
}

static void
note_success(struct broker *broker)
{
    atomic_store(&broker->connected, true);
    if (broker->said[0] != '\0') {
        TRACE_LOG(
            broker->parts.log,
            TRACE_INFO,
            "broker",
            SPAN_EMPTY,
            "the broker takes events again",
            trace_cstr("broker", broker->driver->name));
    }
    broker->said[0] = '\0';
}

static void
request_done(struct os_task *task)
{
    struct port_broker_request *request = CONTAINER_OF(task, struct port_broker_request, task);
    request->done(request);
}

static void
publish_run(struct os_task *task)
{
    struct port_broker_request *request = CONTAINER_OF(task, struct port_broker_request, task);
    struct broker *broker = request->broker;
    char why[BROKER_WHY_SIZE] = "";
    request->confirmed = 0;
    request->error = broker->driver->publish(
        broker->state, request->messages, request->count, &request->confirmed, why);
    ASSERT(request->confirmed <= request->count);
    atomic_fetch_add(&broker->published, request->confirmed);
    if (request->error == ERR_OK) {
        note_success(broker);
    } else {
        note_failure(broker, why[0] == '\0' ? err_text(request->error) : why);
    }
    request->task.run = request_done;
    os_post(request->reply_to, &request->task);
}

static void
publish(struct port_broker *port, struct port_broker_request *request)
{
    struct broker *broker = CONTAINER_OF(port, struct broker, port);
    ASSERT(request->count > 0 && request->count <= PORT_BROKER_MESSAGES_MAX);
    request->broker = broker;
    request->task.run = publish_run;
    os_post(os_loop_executor(broker->parts.loop), &request->task);
}

/* --------------------------------------------------------------------------------------- tending
 */

static void
tend_later(struct broker *broker)
{
    uint64_t now = os_monotonic_ns(broker->parts.clock);
    os_timer_arm(broker->parts.loop, &broker->tend, now + TEND_MS * OS_NS_PER_MS);
}

static void
tend(struct os_timer *timer)
{
    struct broker *broker = CONTAINER_OF(timer, struct broker, tend);
    broker->driver->tend(broker->state);
    tend_later(broker);
}

/* ------------------------------------------------------------------------------------------ life
 */

err_t
broker_create(
    const struct broker_parts *parts, struct broker **ret_broker, char message[BROKER_MESSAGE_SIZE])
{
    ASSERT(parts->settings.timeout_ms >= 1000 && parts->settings.timeout_ms <= 120000);
    struct broker_url url;
    char why[BROKER_WHY_SIZE] = "";
    const char *wrong = broker_url_parse(span_from_cstr(parts->settings.url), &url);
    if (wrong != NULL) {
        (void)snprintf(message, BROKER_MESSAGE_SIZE, "the URL %s", wrong);
        return ERR_INVALID;
    }
    struct broker *broker = calloc(1, sizeof(*broker));
    if (broker == NULL) {
        return ERR_MEMORY;
    }
    broker->parts = *parts;
    broker->driver = url.kind == BROKER_KAFKA ? &broker_kafka : &broker_rabbitmq;
    broker->port.publish = publish;
    broker->port.name = broker->driver->name;
    err_t result = broker->driver->open(&url, parts, &broker->state, why);
    explicit_bzero(&url, sizeof(url));
    if (result != ERR_OK) {
        (void)snprintf(message, BROKER_MESSAGE_SIZE, "%s", why);
        free(broker);
        return result;
    }
    broker->tend.fire = tend;
    if (broker->driver->tend != NULL) {
        tend_later(broker);
    }
    *ret_broker = broker;
    return ERR_OK;
}

void
broker_destroy(struct broker **broker)
{
    struct broker *gone = *broker;
    if (gone != NULL) {
        gone->driver->close(gone->state);
        free(gone);
    }
    *broker = NULL;
}

struct port_broker *
broker_port(struct broker *broker)
{
    return &broker->port;
}

struct broker_health
broker_health(const struct broker *broker)
{
    return (struct broker_health){
        .connected = atomic_load(&broker->connected),
        .published = atomic_load(&broker->published),
        .failed = atomic_load(&broker->failed),
    };
}
