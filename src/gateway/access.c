/*
 * The access log: one JSON object a line, gathered on the loop and written by a thread of its own,
 * so that a slow disk holds up nobody. Of a key only what gateway_key_show shows is written; no
 * query, no body, and no path of a public route, because links of hosted pages carry secrets.
 */
#include "gateway_private.h"

#include "base/assert.h"
#include "os/append.h"
#include "os/loop_real.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_MAX      (256U << 10)
#define CHUNK_FULL     (32U << 10)
#define FLUSH_AFTER_NS (UINT64_C(200) * OS_NS_PER_MS)
#define WAITING_MAX                                                                                \
    (8U << 20) /* bytes handed over and not written; beyond it lines are dropped                   \
                */
#define FIELDS_MAX 24
#define TEXT_MAX   256

struct gateway_access {
    struct os_loop *writer;
    struct net_loop *loop;

    struct os_task stop_task;
    sem_t stopped;

    /* The net loop's. */
    struct buf chunk;
    struct net_timer timer;
    _Atomic uint64_t waiting;
    _Atomic uint64_t dropped;
    _Atomic bool off;

    /* The writer's. */
    int fd;
};

struct chunk {
    struct os_task task;
    struct gateway_access *access;
    struct buf text;
    uint32_t lines;
};

struct change {
    struct os_task task;
    struct gateway_access *access;
    int fd;
};

static void
on_chunk(struct os_task *task)
{
    struct chunk *chunk = CONTAINER_OF(task, struct chunk, task);
    struct gateway_access *access = chunk->access;
    if (access->fd >= 0 && os_append_write(access->fd, buf_span(&chunk->text)) != ERR_OK) {
        access->dropped += chunk->lines;
    }
    access->waiting -= chunk->text.size;
    buf_release(&chunk->text);
    free(chunk);
}

static uint32_t
lines_of(struct span text)
{
    uint32_t lines = 0;
    for (size_t at = span_find(text, '\n', 0); at < text.size; at = span_find(text, '\n', at + 1)) {
        lines++;
    }
    return lines;
}

static void
hand_over(struct gateway_access *access)
{
    if (access->chunk.size == 0) {
        return;
    }
    struct chunk *chunk = calloc(1, sizeof(*chunk));
    if (chunk == NULL) {
        access->dropped += lines_of(buf_span(&access->chunk));
        buf_clear(&access->chunk);
        return;
    }
    chunk->task.run = on_chunk;
    chunk->access = access;
    chunk->lines = lines_of(buf_span(&access->chunk));
    chunk->text = access->chunk;
    access->waiting += chunk->text.size;
    buf_init(&access->chunk, CHUNK_MAX);
    os_post(os_loop_executor(access->writer), &chunk->task);
}

static void
on_timer(struct net_timer *timer)
{
    hand_over(CONTAINER_OF(timer, struct gateway_access, timer));
}

err_t
gateway_access_create(struct gateway *gateway, struct gateway_access **ret_access)
{
    struct gateway_access *access = calloc(1, sizeof(*access));
    if (access == NULL) {
        return ERR_MEMORY;
    }
    access->fd = -1;
    access->loop = gateway->parts.loop;
    access->timer.fire = on_timer;
    buf_init(&access->chunk, CHUNK_MAX);
    if (sem_init(&access->stopped, 0, 0) != 0) {
        free(access);
        return ERR_IO;
    }
    err_t result = os_loop_create("gateway-log", gateway->parts.clock, &access->writer);
    if (result == ERR_OK) {
        result = os_loop_start(access->writer);
    }
    if (result != ERR_OK) {
        gateway_access_destroy(&access);
        return result;
    }
    *ret_access = access;
    return ERR_OK;
}

static void
on_change(struct os_task *task)
{
    struct change *change = CONTAINER_OF(task, struct change, task);
    os_append_close(change->access->fd);
    change->access->fd = change->fd;
    free(change);
}

err_t
gateway_access_open(struct gateway *gateway, const char *file)
{
    struct gateway_access *access = gateway->access;
    struct change *change = calloc(1, sizeof(*change));
    if (change == NULL) {
        return ERR_MEMORY;
    }
    bool off = strcmp(file, "off") == 0;
    *change = (struct change){.task.run = on_change, .access = access, .fd = -1};
    err_t result = off ? ERR_OK : os_append_open(file, &change->fd);
    if (result != ERR_OK) {
        free(change);
        return result;
    }
    access->off = off;
    os_post(os_loop_executor(access->writer), &change->task);
    return ERR_OK;
}

static void
on_stop(struct os_task *task)
{
    struct gateway_access *access = CONTAINER_OF(task, struct gateway_access, stop_task);
    net_timer_cancel(access->loop, &access->timer);
    hand_over(access);
    (void)sem_post(&access->stopped);
}

void
gateway_access_stop(struct gateway_access *access)
{
    access->stop_task.run = on_stop;
    os_post(net_loop_executor(access->loop), &access->stop_task);
    while (sem_wait(&access->stopped) != 0) {
    }
    os_loop_stop(access->writer);
}

void
gateway_access_destroy(struct gateway_access **access)
{
    if (*access == NULL) {
        return;
    }
    if ((*access)->writer != NULL) {
        os_loop_stop((*access)->writer);
        os_loop_destroy((*access)->writer);
    }
    os_append_close((*access)->fd);
    (void)sem_destroy(&(*access)->stopped);
    buf_release(&(*access)->chunk);
    free(*access);
    *access = NULL;
}

uint64_t
gateway_access_dropped(const struct gateway_access *access)
{
    return access->dropped;
}

/* --------------------------------------------------------------------------------------- lines */

static struct trace_field
text_or_none(const char *key, struct span text)
{
    struct span cut = span_slice(text, 0, TEXT_MAX);
    return text.size == 0 ? (struct trace_field){.key = NULL} : trace_text(key, cut);
}

static size_t
fields_of_forward(const struct gateway_request *request, struct trace_field *fields)
{
    const struct upstream_call *call = &request->call;
    if (request->target == NULL) {
        return 0;
    }
    struct span theirs = SPAN_EMPTY;
    struct span their_trace = SPAN_EMPTY;
    if (call->outcome == UPSTREAM_ANSWERED) {
        /* The head of the call has moved; the answer's own copy is what is sent. */
        for (size_t i = 0; i < request->exchange->answer.header_count; i++) {
            const struct http_header *header = &request->exchange->answer.headers[i];
            if (span_equal_nocase(header->name, SPAN("request-id"))) {
                theirs = header->value;
            } else if (
                span_equal_nocase(header->name, SPAN("trace-id")) &&
                !span_equal_cstr(header->value, request->trace.id)) {
                their_trace = header->value;
            }
        }
    }
    size_t count = 0;
    fields[count++] = trace_cstr("upstream", request->target->name);
    fields[count++] = text_or_none("endpoint", span_from_cstr(call->endpoint));
    fields[count++] = trace_cstr("outcome", upstream_outcome_name(call->outcome));
    fields[count++] = trace_u64("attempts", call->attempts);
    fields[count++] = trace_u64("upstream_us", (call->ended_ns - call->started_ns) / OS_NS_PER_US);
    fields[count++] = text_or_none("service_request_id", theirs);
    fields[count++] = text_or_none("service_trace_id", their_trace);
    return count;
}

static size_t
fields_of(
    const struct gateway_request *request,
    struct trace_field fields[FIELDS_MAX],
    char client[GATEWAY_IP_TEXT_SIZE],
    char caller[GATEWAY_KEY_SHOWN_SIZE])
{
    const struct net_exchange *exchange = request->exchange;
    const struct gateway_route *route = request->route;
    bool shown = route == NULL || !route->public;
    uint64_t duration_ns = net_now_ns() - exchange->arrived_ns;
    size_t count = 0;
    fields[count++] = trace_cstr("request_id", request->id);
    fields[count++] =
        trace_text("method", http_head_text(exchange->head, exchange->head->method_text));
    fields[count++] =
        shown ? text_or_none("path", exchange->path) : text_or_none("path", SPAN_EMPTY);
    fields[count++] = trace_u64("status", exchange->answer.status);
    fields[count++] = trace_cstr("verdict", gateway_verdict_names[request->verdict]);
    fields[count++] = trace_cstr("route", route == NULL ? "none" : route->name);
    fields[count++] = trace_text(
        "client", span_of(client, gateway_ip_format(request->forwarded.hops[0], client)));
    fields[count++] = text_or_none("host", request->forwarded.host);
    fields[count++] = text_or_none("caller", gateway_key_show(&request->key, caller));
    fields[count++] = trace_u64("duration_us", duration_ns / OS_NS_PER_US);
    fields[count++] = trace_u64("bytes_in", exchange->body.size);
    fields[count++] = trace_u64("bytes_out", exchange->answer.body.size);
    fields[count++] = trace_boolean("tls", exchange->tls);
    fields[count++] =
        text_or_none("user_agent", http_head_value(exchange->head, HTTP_FIELD_USER_AGENT));
    count += fields_of_forward(request, fields + count);
    ASSERT(count <= FIELDS_MAX);
    return count;
}

void
gateway_access_write(const struct gateway_request *request)
{
    struct gateway_access *access = request->gateway->access;
    if (access->off) {
        return;
    }
    if (access->waiting > WAITING_MAX || access->chunk.size > CHUNK_MAX - TRACE_LINE_MAX) {
        access->dropped++;
        return;
    }
    struct trace_field fields[FIELDS_MAX];
    char client[GATEWAY_IP_TEXT_SIZE];
    char caller[GATEWAY_KEY_SHOWN_SIZE];
    const struct trace_entry entry = {
        .level = TRACE_INFO,
        .component = "access",
        .trace_id = span_from_cstr(request->trace.id),
        .message = SPAN("request"),
        .fields = fields,
        .field_count = fields_of(request, fields, client, caller),
    };
    char line[TRACE_LINE_MAX];
    size_t size = trace_line_format(&entry, os_wall_ns(request->gateway->parts.clock), line);
    buf_append(&access->chunk, line, size);
    if (access->chunk.size >= CHUNK_FULL) {
        hand_over(access);
    } else if (access->timer.position == 0) {
        if (net_timer_arm(access->loop, &access->timer, net_now_ns() + FLUSH_AFTER_NS) != ERR_OK) {
            hand_over(access);
        }
    }
}
