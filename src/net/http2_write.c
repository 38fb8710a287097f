/* Answers become frames of HTTP/2. Invariants: http2.c. */
#include "base/assert.h"
#include "http/writer.h"

#include "http2_private.h"

#include <stdio.h>
#include <string.h>

/* Frames are gathered up to here and leave in one write. */
#define OUT_GATHERED 16384
#define FIELDS_MAX   160

static ssize_t
/* nghttp2's callback: NOLINTNEXTLINE(readability-function-size) */
on_body_wanted(
    nghttp2_session *session,
    int32_t stream,
    uint8_t *out,
    size_t size,
    uint32_t *flags,
    nghttp2_data_source *source,
    void *user)
{
    struct net_work *work = source->ptr;
    (void)session;
    (void)stream;
    (void)user;
    size_t left = net_work_body_size(work) - work->sent;
    size_t part = left < size ? left : size;
    memcpy(out, net_work_body(work).data + work->sent, part);
    work->sent += part;
    if (part == left) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)part;
}

struct fields {
    nghttp2_nv values[FIELDS_MAX];
    size_t count;
    struct arena *arena; /* of names in small letters, as RFC 9113 section 8.2.1 wants them */
};

static bool
field_put(struct fields *fields, struct span name, struct span value)
{
    char *small = fields->count == FIELDS_MAX ? NULL : arena_alloc(fields->arena, name.size);
    if (small == NULL || !http_value_is_valid(value)) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        char byte = name.data[i];
        bool capital = byte >= 'A' && byte <= 'Z';
        small[i] = capital ? (char)(byte - 'A' + 'a') : byte;
    }
    fields->values[fields->count++] = (nghttp2_nv){
        .name = (uint8_t *)small,
        .namelen = name.size,
        .value = (uint8_t *)(uintptr_t)value.data,
        .valuelen = value.size,
    };
    return true;
}

static bool
fields_make(struct net_work *work, struct fields *fields, char status[4], char length[24])
{
    const struct net_answer *answer = &work->exchange.answer;
    (void)snprintf(status, 4, "%u", answer->status % 1000);
    uint64_t size = net_work_content_length(work);
    int digits = snprintf(length, 24, "%llu", (unsigned long long)size);
    bool has_length = answer->status != 204 && answer->status != 304 && size != HTTP_LENGTH_UNKNOWN;
    bool good =
        field_put(fields, SPAN(":status"), span_of(status, 3)) &&
        field_put(fields, SPAN("date"), net_server_date(work->server)) &&
        (answer->content_type.size == 0 ||
         field_put(fields, SPAN("content-type"), answer->content_type)) &&
        (!has_length || field_put(fields, SPAN("content-length"), span_of(length, (size_t)digits)));
    for (size_t i = 0; i < answer->header_count && good; i++) {
        good = http_name_is_valid(answer->headers[i].name) &&
               field_put(fields, answer->headers[i].name, answer->headers[i].value);
    }
    return good;
}

static void
answer_submit(struct net_http2 *http2, struct net_work *work)
{
    char status[4];
    char length[24];
    struct fields fields = {.arena = work->exchange.arena};
    bool good =
        !buf_failed(&work->exchange.answer.body) && fields_make(work, &fields, status, length);
    nghttp2_data_provider provider = {.source.ptr = work, .read_callback = on_body_wanted};
    bool has_body = net_work_body_size(work) > 0;
    work->is_prepared = true;
    int result = good ? nghttp2_submit_response(
                            http2->session,
                            work->stream,
                            fields.values,
                            fields.count,
                            has_body ? &provider : NULL)
                      : NGHTTP2_ERR_INVALID_ARGUMENT;
    if (result != 0) {
        /* The handler's mistake, or no memory. */
        (void)nghttp2_submit_rst_stream(
            http2->session, NGHTTP2_FLAG_NONE, work->stream, NGHTTP2_INTERNAL_ERROR);
    }
}

static void
shut_down(struct net_http2 *http2)
{
    if (http2->shutting_down) {
        return;
    }
    http2->shutting_down = true;
    (void)nghttp2_submit_goaway(
        http2->session,
        NGHTTP2_FLAG_NONE,
        nghttp2_session_get_last_proc_stream_id(http2->session),
        NGHTTP2_NO_ERROR,
        NULL,
        0);
}

static void
answers_submit(struct net_connection *connection)
{
    struct net_http2 *http2 = connection->http2;
    bool close = false;
    for (struct net_work *work = connection->oldest; work != NULL; work = work->next) {
        if (work->state == NET_WORK_ANSWERED && !work->is_prepared) {
            close = close || (work->exchange.answer.close && work->exchange.answer.status < 400);
            answer_submit(http2, work);
        }
    }
    /* An answer that refuses one stream says nothing about the others; a drain does. */
    if (close ||
        (connection->server->state == NET_SERVER_DRAINING && !connection->server->keeps_idle)) {
        shut_down(http2);
    }
}

/* Frames to `out`; false if the session is of no use any more. */
static bool
gather(struct net_http2 *http2)
{
    while (http2->out.size < OUT_GATHERED) {
        const uint8_t *data = NULL;
        ssize_t size = nghttp2_session_mem_send(http2->session, &data);
        if (size < 0) {
            return false;
        }
        if (size == 0) {
            break;
        }
        buf_append(&http2->out, data, (size_t)size);
    }
    return !buf_failed(&http2->out);
}

static bool
write_out(struct net_connection *connection)
{
    struct net_http2 *http2 = connection->http2;
    char *scratch = net_loop_scratch(connection->server->loop);
    while (!connection->blocked) {
        if (http2->sent == http2->out.size) {
            buf_wipe(&http2->out); /* NET-7 */
            http2->sent = 0;
            if (!gather(http2)) {
                return false;
            }
            if (http2->out.size == 0) {
                return true;
            }
        }
        struct iovec piece = {
            .iov_base = http2->out.data + http2->sent, .iov_len = http2->out.size - http2->sent};
        ssize_t written = net_transport_write(&connection->transport, &piece, 1, scratch);
        if (written == NET_IO_WAIT_WRITE) {
            connection->blocked = true;
        } else if (written <= 0) {
            return false;
        } else {
            NET_COUNT(connection->server, bytes_out, written);
            http2->sent += (size_t)written;
        }
    }
    return true;
}

bool
net_http2_flush(struct net_connection *connection)
{
    struct net_http2 *http2 = connection->http2;
    answers_submit(connection);
    if (!write_out(connection)) {
        net_connection_destroy(connection, true);
        return false;
    }
    net_http2_buffers_settle(http2);
    bool over = nghttp2_session_want_read(http2->session) == 0 &&
                nghttp2_session_want_write(http2->session) == 0;
    bool empty = http2->shutting_down && connection->oldest == NULL;
    if (!connection->blocked && (over || empty)) {
        net_connection_drop_queue(connection);
        net_connection_finish(connection);
        return false;
    }
    if (connection->state == NET_CONNECTION_OPEN) {
        net_connection_resume(connection);
        if (connection->state == NET_CONNECTION_DEAD) {
            return false;
        }
    }
    net_http2_streams_arm(http2);
    net_connection_arm(connection);
    return true;
}
