/*
 * Bytes become requests. A read goes into the loop's scratch memory and is parsed there: an idle
 * connection has no buffer, and a request that arrives whole is copied once, into its work.
 */
#include "base/assert.h"

#include "server_private.h"

#include <string.h>

/* After so many reads of one connection in a turn the others come first. */
#define READS_PER_EVENT 4
/* Room made at once for a body whose length is known, which costs its client nothing yet; more
 * grows with what arrives. */
#define BODY_FIRST_MAX 4096
/* Of a client that sends on after an answer that closes. */
#define LINGER_BYTES_MAX (16U << 20)

/* NET-3: no byte is read while output waits or while the pipeline is full. */
bool
net_connection_may_read(const struct net_connection *connection)
{
    if (connection->state == NET_CONNECTION_LINGER) {
        return true;
    }
    /* HTTP/2 bounds its streams by itself, and has to hear of windows while they are all in use. */
    bool has_room =
        connection->http2 != NULL || connection->queued < connection->server->settings.pipeline_max;
    return connection->state == NET_CONNECTION_OPEN && !connection->ended && !connection->blocked &&
           connection->held.size == 0 && has_room;
}

static bool
may_parse(const struct net_connection *connection)
{
    return connection->state == NET_CONNECTION_OPEN && !connection->blocked &&
           connection->queued < connection->server->settings.pipeline_max;
}

void
net_connection_refuse(struct net_connection *connection, unsigned status, const char *reason)
{
    struct net_work *work = connection->reading;
    if (work == NULL) {
        work = net_work_create(connection);
        if (work == NULL) {
            net_connection_destroy(connection, false);
            return;
        }
    }
    connection->reading = NULL;
    connection->state = NET_CONNECTION_CLOSING;
    connection->wants_continue = false;
    buf_wipe(&connection->held);
    work->exchange.answer.close = true;
    net_work_refuse(work, status, reason);
    net_connection_enqueue(connection, work);
    net_connection_touch(connection);
}

static void
refuse_by_codec(struct net_connection *connection, enum http_refusal refusal)
{
    net_server_counter_add(connection->server, NET_COUNTER(refused) + (size_t)refusal, 1);
    net_connection_refuse(connection, http_refusal_status(refusal), http_refusal_text(refusal));
}

static void
refuse_for_memory(struct net_connection *connection)
{
    NET_COUNT(connection->server, shed_memory, 1);
    net_connection_refuse(connection, 503, "the server has no memory for this request now");
}

static void
request_complete(struct net_connection *connection)
{
    struct net_server *server = connection->server;
    struct net_work *work = connection->reading;
    connection->reading = NULL;
    connection->wants_continue = false;
    connection->restart = true;
    net_work_received(work);
    work->exchange.body = buf_span(&work->body);
    NET_COUNT(server, requests, 1);
    net_connection_enqueue(connection, work);
    if (!work->parser.head.keep_alive) {
        connection->state = NET_CONNECTION_CLOSING; /* nothing behind it counts */
    }
    if (server->in_flight >= server->settings.requests_max) {
        NET_COUNT(server, shed_requests, 1);
        net_work_refuse(work, 503, "the server has too many requests under way");
        net_connection_touch(connection);
        return;
    }
    work->state = NET_WORK_HANDED;
    net_server_ready(server, work);
}

/* The head is complete in work->input. */
static void
head_complete(struct net_connection *connection)
{
    struct net_work *work = connection->reading;
    const struct http_head *head = &work->parser.head;
    net_work_open(work);
    http_body_begin(&work->reader, head, &connection->server->settings.limits);
    work->state = NET_WORK_BODY;
    if (head->framing == HTTP_FRAMING_NONE ||
        (head->has_content_length && head->content_length == 0)) {
        request_complete(connection);
        return;
    }
    if (head->framing == HTTP_FRAMING_LENGTH) {
        uint64_t first =
            head->content_length < BODY_FIRST_MAX ? head->content_length : BODY_FIRST_MAX;
        if (buf_reserve(&work->body, (size_t)first) == NULL) {
            refuse_for_memory(connection);
            return;
        }
    }
    net_work_charge(work);
    if (!net_server_has_room(connection, work)) {
        refuse_for_memory(connection);
        return;
    }
    connection->wants_continue = head->expect_continue;
}

/* The first bytes of a request: parsed where they are, copied once if the head is complete. */
static size_t
head_feed_first(struct net_connection *connection, struct span input)
{
    struct net_work *work = connection->reading;
    size_t taken = input.size;
    switch (http_parser_feed(&work->parser, input)) {
    case HTTP_REFUSED:
        refuse_by_codec(connection, work->parser.refusal);
        return taken;
    case HTTP_DONE:
        taken = work->parser.head.size;
        buf_append(&work->input, input.data, taken);
        break;
    case HTTP_MORE:
        ASSERT(taken <= connection->server->settings.limits.head);
        buf_append(&work->input, input.data, taken);
        if (!buf_failed(&work->input)) {
            net_work_charge(work);
            return taken;
        }
        break;
    }
    if (buf_failed(&work->input)) {
        refuse_for_memory(connection);
        return taken;
    }
    head_complete(connection);
    return taken;
}

static size_t
head_feed_more(struct net_connection *connection, struct span input)
{
    struct net_work *work = connection->reading;
    size_t before = work->input.size;
    size_t room = connection->server->settings.limits.head + 1 - before;
    size_t taken = input.size < room ? input.size : room;
    buf_append(&work->input, input.data, taken);
    if (buf_failed(&work->input)) {
        refuse_for_memory(connection);
        return taken;
    }
    switch (http_parser_feed(&work->parser, buf_span(&work->input))) {
    case HTTP_REFUSED:
        refuse_by_codec(connection, work->parser.refusal);
        return taken;
    case HTTP_MORE:
        net_work_charge(work);
        return taken;
    case HTTP_DONE:
        break;
    }
    ASSERT(work->parser.head.size > before);
    ASSERT(work->parser.head.size <= work->input.size);
    taken = work->parser.head.size - before;
    /* What is behind the head belongs to the body or to the next request: it is parsed from
     * `input`, and no copy of it stays here. */
    explicit_bzero(
        work->input.data + work->parser.head.size, work->input.size - work->parser.head.size);
    work->input.size = work->parser.head.size;
    head_complete(connection);
    return taken;
}

static size_t
body_feed(struct net_connection *connection, struct span input)
{
    struct net_work *work = connection->reading;
    size_t taken = 0;
    struct span piece;
    enum http_result result = http_body_feed(&work->reader, input, &taken, &piece);
    if (result == HTTP_REFUSED) {
        refuse_by_codec(connection, work->reader.refusal);
        return input.size;
    }
    size_t capacity = work->body.capacity;
    buf_append_span(&work->body, piece);
    if (work->body.capacity != capacity) {
        net_work_charge(work);
    }
    bool grew_too_far = work->body.capacity != capacity && !net_server_has_room(connection, work);
    if (buf_failed(&work->body) || grew_too_far) {
        refuse_for_memory(connection);
        return input.size;
    }
    if (result == HTTP_DONE) {
        request_complete(connection);
    }
    return taken;
}

/* Begins a request, unless there is no memory for one. */
static bool
request_begin(struct net_connection *connection)
{
    if (!net_server_has_room(connection, NULL)) {
        refuse_for_memory(connection);
        return false;
    }
    connection->reading = net_work_create(connection);
    if (connection->reading == NULL) {
        net_connection_destroy(connection, false);
        return false;
    }
    http_parser_begin_request(&connection->reading->parser, &connection->server->settings.limits);
    return true;
}

/* Parses until the input is used up or the connection takes no more; returns what was taken. */
static size_t
parse(struct net_connection *connection, struct span input)
{
    size_t at = 0;
    while (at < input.size && may_parse(connection)) {
        struct span rest = span_slice(input, at, input.size);
        if (connection->reading == NULL && !request_begin(connection)) {
            return input.size;
        }
        if (connection->reading->state == NET_WORK_BODY) {
            at += body_feed(connection, rest);
        } else if (connection->reading->input.size == 0) {
            at += head_feed_first(connection, rest);
        } else {
            at += head_feed_more(connection, rest);
        }
    }
    return connection->state == NET_CONNECTION_OPEN ? at : input.size;
}

static void
hold(struct net_connection *connection, struct span rest)
{
    size_t charged = connection->held.capacity;
    buf_append_span(&connection->held, rest);
    net_server_charge(connection->server, &charged, connection->held.capacity);
    if (buf_failed(&connection->held)) {
        net_connection_destroy(connection, true);
    }
}

/* The client has closed its side, perhaps only that one: what it asked for is still answered. */
static void
input_ended(struct net_connection *connection)
{
    connection->ended = true;
    if (connection->http2 != NULL) {
        net_connection_destroy(connection, false);
        return;
    }
    if (connection->reading != NULL) {
        refuse_by_codec(connection, HTTP_REFUSAL_TRUNCATED);
        return;
    }
    if (connection->oldest == NULL) {
        net_connection_destroy(connection, false);
        return;
    }
    for (struct net_work *work = connection->oldest; work != NULL; work = work->next) {
        if (work->state == NET_WORK_HANDED) {
            net_work_left(work);
        }
    }
    net_connection_touch(connection);
}

/* After our FIN: bytes are thrown away until the client's, past TLS. The deadline bounds it, and
 * LINGER_BYTES_MAX for who sends as fast as it can. */
static void
linger(struct net_connection *connection)
{
    char *scratch = net_loop_scratch(connection->server->loop);
    struct net_transport raw = {.fd = connection->transport.fd};
    for (int i = 0; i < READS_PER_EVENT; i++) {
        ssize_t count = net_transport_read(&raw, scratch, NET_LOOP_SCRATCH_SIZE);
        if (count == NET_IO_WAIT_READ) {
            return;
        }
        if (count <= 0) {
            net_connection_destroy(connection, false);
            return;
        }
        explicit_bzero(scratch, (size_t)count);
        connection->thrown_away += (uint32_t)count;
        if (connection->thrown_away > LINGER_BYTES_MAX) {
            net_connection_give_up(connection);
            return;
        }
    }
}

/* One read; false when there is nothing more to do now. */
static bool
read_once(struct net_connection *connection)
{
    struct net_server *server = connection->server;
    char *scratch = net_loop_scratch(server->loop);
    ssize_t count = net_transport_read(&connection->transport, scratch, NET_LOOP_SCRATCH_SIZE);
    if (count == NET_IO_WAIT_READ || count == NET_IO_WAIT_WRITE) {
        return false;
    }
    if (count == NET_IO_FAILED) {
        net_connection_destroy(connection, true);
        return false;
    }
    if (count == 0) {
        input_ended(connection);
        return false;
    }
    size_t size = (size_t)count;
    NET_COUNT(server, bytes_in, size);
    size_t taken = size;
    if (connection->http2 != NULL) {
        net_http2_feed(connection, span_of(scratch, size));
    } else {
        taken = parse(connection, span_of(scratch, size));
    }
    bool alive = connection->state != NET_CONNECTION_DEAD;
    if (alive && taken < size) {
        hold(connection, span_of(scratch + taken, size - taken));
        alive = connection->state != NET_CONNECTION_DEAD;
    }
    explicit_bzero(scratch, size); /* NET-7 */
    return alive && net_connection_may_read(connection) &&
           (size == NET_LOOP_SCRATCH_SIZE || net_transport_has_pending(&connection->transport));
}

void
net_connection_read(struct net_connection *connection)
{
    if (connection->state == NET_CONNECTION_LINGER) {
        linger(connection);
        return;
    }
    bool more = true;
    for (int i = 0; i < READS_PER_EVENT && more; i++) {
        more = read_once(connection);
    }
    if (connection->state == NET_CONNECTION_DEAD) {
        return;
    }
    if (more || connection->wants_continue) {
        net_connection_touch(connection);
    }
    if (!connection->dirty) {
        net_connection_arm(connection);
    }
}

void
net_connection_resume(struct net_connection *connection)
{
    ASSERT(connection->state == NET_CONNECTION_OPEN);
    struct net_server *server = connection->server;
    if (connection->held.size > 0 && may_parse(connection)) {
        struct buf held = connection->held;
        size_t charged = held.capacity;
        buf_init(&connection->held, NET_LOOP_SCRATCH_SIZE);
        size_t taken = parse(connection, buf_span(&held));
        if (connection->state == NET_CONNECTION_OPEN && taken < held.size) {
            buf_consume(&held, taken);
            connection->held = held;
            return;
        }
        net_server_charge(server, &charged, 0);
        buf_wipe(&held);
        buf_release(&held);
    }
    /* OpenSSL may hold bytes that the socket will not announce again. */
    if (connection->state == NET_CONNECTION_OPEN && net_connection_may_read(connection) &&
        net_transport_has_pending(&connection->transport)) {
        net_connection_read(connection);
    }
}
