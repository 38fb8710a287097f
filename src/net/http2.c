/*
 * HTTP/2 (RFC 9113) on a connection that agreed on it: nghttp2 does frames and HPACK, this file
 * turns streams into requests and answers into streams.
 *
 * HTTP2-1  A request's head is written as one of HTTP/1.1 and read by the same strict codec: what
 *          is refused there is refused here, and services see one kind of request.
 * HTTP2-2  Streams of a connection are at most pipeline_max, their heads and bodies bounded as
 *          ever.
 * HTTP2-3  Frames that cost us and carry nothing (resets, settings, pings, empty data, priorities,
 *          invalid ones) are counted by the second; beyond the maximum the connection is ended
 *          (CVE-2023-44487, CVE-2019-9512 to 9518). CONTINUATION floods (CVE-2024-28182) end in
 *          nghttp2's own limit.
 * HTTP2-4  No stream waits for ever, whatever the others do: one whose request does not arrive is
 *          answered 408, a connection whose client opens no window for an answer is ended.
 *
 * nghttp2's callbacks never end the connection; the flush behind them does.
 */
#include "base/assert.h"
#include "http/writer.h"

#include "http2_private.h"

#include <stdlib.h>
#include <string.h>

/* Frames a second. */
#define RESETS_MAX   100
#define SETTINGS_MAX 16
#define PINGS_MAX    32
#define EMPTY_MAX    100
#define OTHERS_MAX   10000
#define NS_PER_S     UINT64_C(1000000000)
#define NS_PER_MS    UINT64_C(1000000)
#define METHOD_MAX   32
/* Of the largest head, as RFC 9113 section 6.5.2 counts it: what is longer than that is answered
 * 431, what is longer than so many of it is not read to its end. */
#define HEADS_MAX   2
#define FIELD_EXTRA 32
#define WINDOW_SIZE (256 << 10)

/* -------------------------------------------------------------------------------------- streams */

static void
work_remove(struct net_connection *connection, struct net_work *work)
{
    struct net_work **place = &connection->oldest;
    struct net_work *before = NULL;
    while (*place != work) {
        ASSERT(*place != NULL);
        before = *place;
        place = &(*place)->next;
    }
    *place = work->next;
    if (connection->newest == work) {
        connection->newest = before;
    }
    work->next = NULL;
    work->connection = NULL;
    ASSERT(connection->queued > 0);
    connection->queued--;
}

static void
refuse(struct net_work *work, unsigned status, const char *reason)
{
    net_work_refuse(work, status, reason);
    net_connection_touch(work->connection);
}

static void
complete(struct net_work *work)
{
    struct net_server *server = work->server;
    net_work_received(work);
    work->exchange.body = buf_span(&work->body);
    NET_COUNT(server, requests, 1);
    if (server->in_flight >= server->settings.requests_max) {
        NET_COUNT(server, shed_requests, 1);
        refuse(work, 503, "the server has too many requests under way");
        return;
    }
    work->state = NET_WORK_HANDED;
    net_server_ready(server, work);
}

/* --------------------------------------------------------------------------------------- floods */

static void
second_begin(struct net_http2 *http2)
{
    uint64_t second = http2->connection->server->now_ns / NS_PER_S;
    if (second != http2->second) {
        http2->second = second;
        http2->resets = 0;
        http2->settings = 0;
        http2->pings = 0;
        http2->empties = 0;
        http2->others = 0;
    }
}

/* HTTP2-3. False: too many. */
static bool
count_frame(struct net_http2 *http2, const nghttp2_frame *frame)
{
    second_begin(http2);
    switch (frame->hd.type) {
    case NGHTTP2_RST_STREAM:
        return ++http2->resets <= RESETS_MAX;
    case NGHTTP2_SETTINGS:
        return ++http2->settings <= SETTINGS_MAX;
    case NGHTTP2_PING:
        return ++http2->pings <= PINGS_MAX;
    case NGHTTP2_DATA:
        return (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 ||
               frame->hd.length > frame->data.padlen || ++http2->empties <= EMPTY_MAX;
    default:
        return ++http2->others <= OTHERS_MAX;
    }
}

static void
end_for_flood(struct net_http2 *http2)
{
    if (!http2->shutting_down) {
        http2->shutting_down = true;
        NET_COUNT(http2->connection->server, http2_floods, 1);
        (void)nghttp2_session_terminate_session(http2->session, NGHTTP2_ENHANCE_YOUR_CALM);
        net_connection_touch(http2->connection);
    }
}

/* What the client did makes us reset a stream. */
static void
count_reset(struct net_http2 *http2)
{
    second_begin(http2);
    if (++http2->resets > RESETS_MAX) {
        end_for_flood(http2);
    }
}

static int
on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error_code, void *user)
{
    (void)session;
    (void)frame;
    (void)error_code;
    count_reset(user);
    return 0;
}

/* ---------------------------------------------------------------------------------------- heads */

/* NET-7 */
static void
head_forget(struct net_http2 *http2)
{
    buf_wipe(&http2->method);
    buf_wipe(&http2->path);
    buf_wipe(&http2->authority);
    buf_wipe(&http2->fields);
    http2->bad_field = false;
}

static int
on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct net_http2 *http2 = user;
    http2->head_size = 0;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0;
    }
    head_forget(http2);
    struct net_work *work = net_work_create(http2->connection);
    if (work == NULL) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    work->stream = frame->hd.stream_id;
    net_connection_enqueue(http2->connection, work);
    int result = nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, work);
    ASSERT(result == 0);
    return 0;
}

static void
field_add(struct net_http2 *http2, struct span name, struct span value)
{
    /* The length is the stream's own (nghttp2 holds it against the data); an expectation of 100 is
     * met by the window. */
    if (span_equal(name, SPAN("content-length")) || span_equal(name, SPAN("expect")) ||
        (span_equal(name, SPAN("host")) && span_equal(value, buf_span(&http2->authority)))) {
        return;
    }
    if (http_header_write(&http2->fields, name, span_trim(value)) != ERR_OK) {
        http2->bad_field = true;
    }
}

static int
on_header(
    nghttp2_session *session,
    const nghttp2_frame *frame,
    nghttp2_rcbuf *name_memory,
    nghttp2_rcbuf *value_memory,
    uint8_t flags,
    void *user)
{
    struct net_http2 *http2 = user;
    (void)session;
    (void)flags;
    nghttp2_vec name_bytes = nghttp2_rcbuf_get_buf(name_memory);
    nghttp2_vec value_bytes = nghttp2_rcbuf_get_buf(value_memory);
    http2->head_size += name_bytes.len + value_bytes.len + FIELD_EXTRA;
    if (http2->head_size > HEADS_MAX * (size_t)http2->connection->server->settings.limits.head) {
        /* A byte can mean a field of 4 KiB. What follows is not unfolded, the stream reset. */
        count_reset(http2);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0; /* trailers are dropped, as those of chunked bodies are */
    }
    struct span name = span_of(name_bytes.base, name_bytes.len);
    struct span value = span_of(value_bytes.base, value_bytes.len);
    if (span_equal(name, SPAN(":method"))) {
        buf_append_span(&http2->method, value);
    } else if (span_equal(name, SPAN(":path"))) {
        buf_append_span(&http2->path, value);
    } else if (span_equal(name, SPAN(":authority"))) {
        buf_append_span(&http2->authority, value);
    } else if (name.size > 0 && name.data[0] != ':') {
        field_add(http2, name, value);
    }
    return 0;
}

static bool
is_visible(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] == 127) {
            return false;
        }
    }
    return text.size > 0;
}

/* HTTP2-1. Parts that could be more than they seem are no part of the text. */
static bool
head_write(struct net_http2 *http2, struct net_work *work)
{
    struct buf *text = &work->input;
    struct span authority = buf_span(&http2->authority);
    if (http2->bad_field || !http_name_is_valid(buf_span(&http2->method)) ||
        !is_visible(buf_span(&http2->path)) || (authority.size > 0 && !is_visible(authority))) {
        return false;
    }
    buf_append_span(text, buf_span(&http2->method));
    buf_append_byte(text, ' ');
    buf_append_span(text, buf_span(&http2->path));
    buf_append_cstr(text, " HTTP/1.1\r\n");
    if (authority.size > 0) {
        buf_append_cstr(text, "host: ");
        buf_append_span(text, authority);
        buf_append_cstr(text, "\r\n");
    }
    buf_append_span(text, buf_span(&http2->fields));
    buf_append_cstr(text, "\r\n");
    return true;
}

static void
refuse_by_codec(struct net_work *work, enum http_refusal refusal)
{
    net_server_counter_add(work->server, NET_COUNTER(refused) + (size_t)refusal, 1);
    refuse(work, http_refusal_status(refusal), http_refusal_text(refusal));
}

static void
head_received(struct net_http2 *http2, struct net_work *work, bool is_last)
{
    if (buf_failed(&http2->method) || buf_failed(&http2->path) || buf_failed(&http2->authority) ||
        buf_failed(&http2->fields)) {
        refuse_by_codec(
            work, buf_failed(&http2->path) ? HTTP_REFUSAL_TARGET_LONG : HTTP_REFUSAL_HEAD_LARGE);
        return;
    }
    if (!head_write(http2, work)) {
        refuse_by_codec(work, HTTP_REFUSAL_TARGET);
        return;
    }
    if (buf_failed(&work->input)) {
        refuse_by_codec(work, HTTP_REFUSAL_HEAD_LARGE);
        return;
    }
    http_parser_begin_request(&work->parser, &work->server->settings.limits);
    enum http_result result = http_parser_feed(&work->parser, buf_span(&work->input));
    if (result != HTTP_DONE || work->parser.head.size != work->input.size) {
        refuse_by_codec(
            work, result == HTTP_REFUSED ? work->parser.refusal : HTTP_REFUSAL_HEAD_LARGE);
        return;
    }
    net_work_open(work);
    work->state = NET_WORK_BODY;
    net_work_charge(work);
    if (!net_server_has_room(work->connection, work)) {
        NET_COUNT(work->server, shed_memory, 1);
        refuse(work, 503, "the server has no memory for this request now");
    } else if (is_last) {
        complete(work);
    }
}

static int
on_data(
    nghttp2_session *session,
    uint8_t flags,
    int32_t stream,
    const uint8_t *data,
    size_t size,
    void *user)
{
    struct net_work *work = nghttp2_session_get_stream_user_data(session, stream);
    (void)flags;
    (void)user;
    if (work == NULL || work->state != NET_WORK_BODY) {
        bool answered = work != NULL && work->state == NET_WORK_ANSWERED && work->is_prepared &&
                        work->sent == net_work_body_size(work);
        if (answered) { /* refused: it need not send the rest (RFC 9113 section 8.1) */
            (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_NO_ERROR);
        }
        return 0;
    }
    size_t capacity = work->body.capacity;
    buf_append(&work->body, data, size);
    if (buf_failed(&work->body)) {
        bool large = work->body.size + size > work->server->settings.limits.body;
        if (large) {
            refuse_by_codec(work, HTTP_REFUSAL_BODY_LARGE);
        } else {
            refuse(work, 503, "the server has no memory for this request now");
        }
    } else if (work->body.capacity != capacity) {
        net_work_charge(work);
        if (!net_server_has_room(work->connection, work)) {
            NET_COUNT(work->server, shed_memory, 1);
            refuse(work, 503, "the server has no memory for this request now");
        }
    }
    return 0;
}

/* --------------------------------------------------------------------------------------- frames */

static int
on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct net_http2 *http2 = user;
    if (!count_frame(http2, frame)) {
        end_for_flood(http2);
        return 0;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        return 0;
    }
    struct net_work *work = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    bool is_last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (work == NULL) {
        return 0;
    }
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        head_received(http2, work, is_last);
        head_forget(http2);
    } else if (is_last && work->state == NET_WORK_BODY) {
        complete(work);
    }
    return 0;
}

static int
on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error_code, void *user)
{
    struct net_http2 *http2 = user;
    struct net_work *work = nghttp2_session_get_stream_user_data(session, stream);
    if (work == NULL) {
        return 0;
    }
    struct net_server *server = work->server;
    work_remove(http2->connection, work);
    if (work->state == NET_WORK_HANDED) {
        net_work_left(work); /* the handler's; its answer is dropped */
        return 0;
    }
    if (work->state == NET_WORK_ANSWERED && error_code == NGHTTP2_NO_ERROR) {
        NET_COUNT(server, answers, 1);
    } else if (work->state == NET_WORK_ANSWERED) {
        NET_COUNT(server, orphaned, 1);
    }
    net_work_destroy(work);
    http2->connection->restart = true;
    return 0;
}

/* ---------------------------------------------------------------------------------------- input */

void
net_http2_feed(struct net_connection *connection, struct span input)
{
    struct net_http2 *http2 = connection->http2;
    ssize_t taken =
        nghttp2_session_mem_recv(http2->session, (const uint8_t *)input.data, input.size);
    if (taken < 0) {
        /* Not HTTP/2 at all, or a limit of nghttp2: it has said goodbye where it could. */
        (void)nghttp2_session_terminate_session(http2->session, NGHTTP2_PROTOCOL_ERROR);
        http2->shutting_down = true;
        connection->state = NET_CONNECTION_CLOSING;
        net_connection_drop_queue(connection);
    }
    net_connection_touch(connection);
}

/* ------------------------------------------------------------------------------- deadlines */

/* HTTP2-4. When a stream has to have gone on; UINT64_MAX while the handler works on it. */
static uint64_t
due_ns(const struct net_work *work)
{
    const struct net_server_settings *settings = &work->server->settings;
    switch (work->state) {
    case NET_WORK_HEAD:
    case NET_WORK_BODY:
        return work->exchange.arrived_ns + settings->body_timeout_ms * NS_PER_MS;
    case NET_WORK_ANSWERED:
        return work->answered_ns + settings->write_timeout_ms * NS_PER_MS;
    case NET_WORK_HANDED:
        break;
    }
    return UINT64_MAX;
}

static void
on_streams_due(struct net_timer *timer)
{
    struct net_http2 *http2 = CONTAINER_OF(timer, struct net_http2, streams_timer);
    struct net_connection *connection = http2->connection;
    struct net_server *server = connection->server;
    server->now_ns = net_now_ns();
    for (struct net_work *work = connection->oldest; work != NULL; work = work->next) {
        if (due_ns(work) > server->now_ns) {
            continue;
        }
        if (work->state == NET_WORK_ANSWERED) {
            NET_COUNT(server, timeout_write, 1);
            net_connection_destroy(connection, true);
            return;
        }
        NET_COUNT(server, timeout_body, 1);
        refuse(work, 408, "the request did not arrive in time");
    }
    net_connection_touch(connection);
}

/* At the earliest of the streams: what the others do moves it for none of them. */
void
net_http2_streams_arm(struct net_http2 *http2)
{
    struct net_connection *connection = http2->connection;
    uint64_t earliest_ns = UINT64_MAX;
    for (const struct net_work *work = connection->oldest; work != NULL; work = work->next) {
        uint64_t one_ns = due_ns(work);
        earliest_ns = one_ns < earliest_ns ? one_ns : earliest_ns;
    }
    struct net_timer *timer = &http2->streams_timer;
    if (earliest_ns == UINT64_MAX) {
        net_timer_cancel(connection->server->loop, timer);
    } else if (timer->position == 0 || timer->deadline_ns != earliest_ns) {
        /* Without memory for it the next flush tries again. */
        err_t result = net_timer_arm(connection->server->loop, timer, earliest_ns);
        (void)result;
    }
}

/* ----------------------------------------------------------------------------------------- life */

static err_t
session_create(struct net_http2 *http2)
{
    nghttp2_session_callbacks *callbacks = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return ERR_MEMORY;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    int result = nghttp2_session_server_new(&http2->session, callbacks, http2);
    nghttp2_session_callbacks_del(callbacks);
    return result == 0 ? ERR_OK : ERR_MEMORY;
}

static err_t
settings_send(struct net_http2 *http2)
{
    const struct net_server_settings *settings = &http2->connection->server->settings;
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings->pipeline_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_SIZE},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, settings->limits.head},
    };
    int result = nghttp2_submit_settings(
        http2->session, NGHTTP2_FLAG_NONE, entries, sizeof(entries) / sizeof(entries[0]));
    return result == 0 ? ERR_OK : ERR_MEMORY;
}

err_t
net_http2_create(struct net_connection *connection)
{
    struct net_http2 *http2 = calloc(1, sizeof(*http2));
    if (http2 == NULL) {
        return ERR_MEMORY;
    }
    const struct http_limits *limits = &connection->server->settings.limits;
    http2->connection = connection;
    http2->streams_timer.fire = on_streams_due;
    connection->http2 = http2;
    buf_init(&http2->out, NET_HTTP2_OUT_MAX);
    buf_init(&http2->method, METHOD_MAX);
    buf_init(&http2->path, limits->target);
    buf_init(&http2->authority, limits->target);
    buf_init(&http2->fields, limits->head);
    TRY(session_create(http2));
    TRY(settings_send(http2));
    NET_COUNT(connection->server, http2_connections, 1);
    net_connection_touch(connection);
    return ERR_OK;
}

static void
buffers_release(struct net_http2 *http2)
{
    struct buf *buffers[] = {
        &http2->out, &http2->method, &http2->path, &http2->authority, &http2->fields};
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++) {
        buf_wipe(buffers[i]);
        buf_release(buffers[i]);
    }
}

void
net_http2_buffers_settle(struct net_http2 *http2)
{
    struct net_connection *connection = http2->connection;
    if (connection->oldest == NULL && http2->sent == http2->out.size) {
        buffers_release(http2);
        http2->sent = 0;
    }
    size_t now = http2->out.capacity + http2->method.capacity + http2->path.capacity +
                 http2->authority.capacity + http2->fields.capacity;
    net_server_charge(connection->server, &http2->charged, now);
}

void
net_http2_destroy(struct net_connection *connection)
{
    struct net_http2 *http2 = connection->http2;
    if (http2 == NULL) {
        return;
    }
    connection->http2 = NULL;
    net_timer_cancel(connection->server->loop, &http2->streams_timer);
    nghttp2_session_del(http2->session);
    buffers_release(http2);
    net_server_charge(connection->server, &http2->charged, 0);
    free(http2);
}
