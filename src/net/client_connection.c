/*
 * One connection of a client: connect, handshake, then one request and one answer at a time.
 * Invariants: README.md.
 */
#include "base/assert.h"
#include "http/writer.h"

#include "client_private.h"
#include "socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NS_PER_MS       UINT64_C(1000000)
#define READS_PER_EVENT 16

static void on_event(uv_poll_t *handle, int status, int events);

static bool
is_opening(const struct net_client_connection *connection)
{
    return connection->state == NET_CLIENT_RESOLVING ||
           connection->state == NET_CLIENT_CONNECTING || connection->state == NET_CLIENT_HANDSHAKE;
}

static void
connections_counted(struct net_client *client)
{
    net_client_counter_set(client, NET_CLIENT_COUNTER(connections), client->connection_count);
}

static void
watch(struct net_client_connection *connection, int events)
{
    if (connection->events == events) {
        return;
    }
    connection->events = (uint8_t)events;
    int result = uv_poll_start(&connection->poll, events, on_event);
    ASSERT(result == 0);
}

static void
watch_open(struct net_client_connection *connection)
{
    watch(connection, connection->blocked ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

/* ----------------------------------------------------------------------------------- closing */

static void
connection_free(struct net_client_connection *connection)
{
    buf_wipe(&connection->out);
    buf_release(&connection->out);
    free(connection);
}

static void
on_closed(uv_handle_t *handle)
{
    struct net_client_connection *connection =
        CONTAINER_OF(handle, struct net_client_connection, poll);
    connection->client->handles_open--;
    connection_free(connection);
}

void
net_client_connection_destroy(struct net_client_connection *connection)
{
    struct net_client *client = connection->client;
    ASSERT(connection->call == NULL);
    ASSERT(connection->state != NET_CLIENT_DEAD);
    if (is_opening(connection)) {
        client->opening_count--;
    }
    if (connection->state == NET_CLIENT_IDLE) {
        list_remove(&connection->idle_link);
    }
    net_timer_cancel(client->loop, &connection->connect_timer);
    list_remove(&connection->link);
    client->connection_count--;
    connections_counted(client);
    connection->state = NET_CLIENT_DEAD;
    if (!connection->has_handle) {
        net_transport_close(&connection->transport, false);
        connection_free(connection);
        return;
    }
    uv_close((uv_handle_t *)&connection->poll, on_closed);
    net_transport_close(&connection->transport, false);
}

/* The connection is of no use any more; its call is repeated or ended. */
static void
lost(struct net_client_connection *connection, err_t cause)
{
    struct net_client *client = connection->client;
    struct net_call *call = connection->call;
    bool repeatable = connection->served > 0 && !connection->answer_begun;
    connection->call = NULL;
    net_client_connection_destroy(connection);
    if (call != NULL) {
        net_pool_lost(call, repeatable, cause);
    } else {
        net_pool_serve(client);
    }
}

/* -------------------------------------------------------------------------------- connecting */

/* An attempt that failed later than at once. */
static void
give_up(struct net_client_connection *connection, err_t cause)
{
    struct net_client *client = connection->client;
    uint32_t next_address = connection->address_index + 1;
    uint64_t deadline_ns = connection->connect_deadline_ns;
    bool next = connection->state == NET_CLIENT_CONNECTING && cause != ERR_TIMEOUT &&
                next_address < client->address_count;
    net_client_connection_destroy(connection);
    if (next && net_client_connection_open(client, next_address, deadline_ns) == ERR_OK) {
        return;
    }
    if (net_pool_connect_failed(client, cause)) {
        net_pool_serve(client);
    }
}

static void
on_connect_timeout(struct net_timer *timer)
{
    give_up(CONTAINER_OF(timer, struct net_client_connection, connect_timer), ERR_TIMEOUT);
}

static void
handshake(struct net_client_connection *connection)
{
    ssize_t result = net_transport_handshake(&connection->transport);
    if (result == NET_IO_FAILED) {
        give_up(connection, ERR_CRYPTO);
        return;
    }
    if (result != 1) {
        watch(connection, result == NET_IO_WAIT_WRITE ? UV_WRITABLE : UV_READABLE);
        return;
    }
    struct net_client *client = connection->client;
    net_timer_cancel(client->loop, &connection->connect_timer);
    client->opening_count--;
    NET_CLIENT_COUNT(client, connected, 1);
    watch(connection, UV_READABLE);
    net_pool_idle(connection);
}

static void
connected(struct net_client_connection *connection)
{
    if (net_socket_connected(connection->transport.fd) != ERR_OK) {
        give_up(connection, ERR_CLOSED);
        return;
    }
    struct net_client *client = connection->client;
    if (client->tls != NULL) {
        err_t secured = net_transport_secure(&connection->transport, client->tls, client->name);
        if (secured != ERR_OK) {
            give_up(connection, secured);
            return;
        }
    }
    connection->state = NET_CLIENT_HANDSHAKE;
    handshake(connection);
}

/* The first address from address_index on that is not refused at once. */
err_t
net_client_connection_connect(struct net_client_connection *connection)
{
    struct net_client *client = connection->client;
    ASSERT(connection->state == NET_CLIENT_RESOLVING);
    int fd = -1;
    while (fd < 0 && connection->address_index < client->address_count) {
        uint32_t index = connection->address_index;
        fd = net_socket_connect(&client->addresses[index], client->address_sizes[index]);
        if (fd < 0) {
            connection->address_index++;
        }
    }
    if (fd < 0) {
        return client->address_count == 0 && client->denied ? ERR_DENIED : ERR_CLOSED;
    }
    connection->transport.fd = fd;
    if (uv_poll_init(net_loop_uv(client->loop), &connection->poll, fd) != 0) {
        return ERR_IO;
    }
    connection->has_handle = true;
    client->handles_open++;
    connection->state = NET_CLIENT_CONNECTING;
    watch(connection, UV_WRITABLE);
    return ERR_OK;
}

void
net_client_connection_give_up(struct net_client_connection *connection, err_t cause)
{
    ASSERT(connection->state == NET_CLIENT_RESOLVING);
    give_up(connection, cause);
}

err_t
net_client_connection_open(struct net_client *client, uint32_t address_index, uint64_t deadline_ns)
{
    struct net_client_connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL) {
        return ERR_MEMORY;
    }
    connection->client = client;
    connection->transport.fd = -1;
    connection->address_index = address_index;
    connection->state = NET_CLIENT_RESOLVING;
    connection->connect_timer.fire = on_connect_timeout;
    connection->connect_deadline_ns =
        deadline_ns != 0 ? deadline_ns
                         : net_now_ns() + client->settings.connect_timeout_ms * NS_PER_MS;
    buf_init(&connection->out, NET_CLIENT_HEAD_MAX + NET_CLIENT_INLINE_MAX);
    list_push_back(&client->connections, &connection->link);
    client->connection_count++;
    client->opening_count++;
    connections_counted(client);
    err_t result =
        net_timer_arm(client->loop, &connection->connect_timer, connection->connect_deadline_ns);
    bool known = false;
    if (result == ERR_OK) {
        result = net_client_resolve(client, &known);
    }
    if (result == ERR_OK && known) {
        result = net_client_connection_connect(connection);
    }
    if (result != ERR_OK) {
        net_client_connection_destroy(connection);
    }
    return result;
}

/* ----------------------------------------------------------------------------------- sending */

static void answer_failed(struct net_client_connection *connection, err_t cause);

/* Sends what is left of the request. A failure is not the end: the server may have answered
 * before it closed. */
static void
write_out(struct net_client_connection *connection)
{
    struct net_client *client = connection->client;
    struct net_call *call = connection->call;
    connection->blocked = false;
    while (connection->sent < connection->out_total && !connection->write_failed) {
        struct iovec pieces[2];
        int count = 0;
        size_t head = connection->out.size;
        if (connection->sent < head) {
            pieces[count++] = (struct iovec){
                .iov_base = connection->out.data + connection->sent,
                .iov_len = head - connection->sent};
        }
        size_t skip = connection->sent > head ? connection->sent - head : 0;
        size_t body = connection->out_total - head;
        if (skip < body) {
            pieces[count++] = (struct iovec){
                .iov_base = (void *)((uintptr_t)call->body.data + skip), .iov_len = body - skip};
        }
        ssize_t written = net_transport_write(
            &connection->transport, pieces, count, net_loop_scratch(client->loop));
        if (written == NET_IO_WAIT_WRITE) {
            /* Part of a TLS record may be on its way. */
            call->sent = call->sent || connection->transport.ssl != NULL;
            connection->blocked = true;
            break;
        }
        if (written <= 0) {
            connection->write_failed = true;
            break;
        }
        call->sent = true; /* NET-9: set before anything can be lost */
        connection->sent += (size_t)written;
        NET_CLIENT_COUNT(client, bytes_out, written);
    }
    if (connection->sent == connection->out_total) {
        buf_wipe(&connection->out); /* NET-7 */
        connection->sent = 0;
        connection->out_total = 0;
    }
}

static err_t
request_write(struct net_client_connection *connection, const struct net_call *call)
{
    struct net_client *client = connection->client;
    struct http_request request = {
        .method = http_method_text(call->method),
        .target = call->target,
        .host = call->host.size > 0 ? call->host : span_from_cstr(client->host_header),
        .content_type = call->content_type,
        .content_length = call->body.size,
        .headers = call->headers,
        .header_count = call->header_count,
    };
    ASSERT(connection->out.size == 0);
    TRY(http_request_write_head(&connection->out, &request));
    size_t head = connection->out.size;
    connection->out_total = head + call->body.size;
    if (call->body.size <= NET_CLIENT_INLINE_MAX) {
        buf_append_span(&connection->out, call->body);
    }
    return buf_failed(&connection->out) ? ERR_MEMORY : ERR_OK;
}

bool
net_client_connection_is_quiet(struct net_client_connection *connection)
{
    ASSERT(connection->state == NET_CLIENT_IDLE);
    char byte;
    return net_transport_read(&connection->transport, &byte, 1) == NET_IO_WAIT_READ;
}

err_t
net_client_connection_send(struct net_client_connection *connection, struct net_call *call)
{
    ASSERT(connection->state == NET_CLIENT_IDLE);
    ASSERT(connection->call == NULL);
    err_t result = request_write(connection, call);
    if (result != ERR_OK) {
        buf_wipe(&connection->out);
        connection->out_total = 0;
        return result;
    }
    list_remove(&connection->idle_link);
    connection->state = NET_CLIENT_BUSY;
    connection->call = call;
    connection->sent = 0;
    connection->answer_begun = false;
    connection->body_begun = false;
    connection->interim_count = 0;
    connection->write_failed = false;
    call->state = NET_CALL_BOUND;
    call->connection = connection;
    buf_clear(&call->answer);
    buf_clear(&call->head_text);
    http_parser_begin_response(&call->parser, &connection->client->settings.limits, call->method);
    write_out(connection);
    watch_open(connection);
    return ERR_OK;
}

/* --------------------------------------------------------------------------------- receiving */

/* The answer cannot be used, and neither can the connection. */
static void
answer_failed(struct net_client_connection *connection, err_t cause)
{
    struct net_client *client = connection->client;
    struct net_call *call = connection->call;
    connection->call = NULL;
    net_client_connection_destroy(connection);
    call->state = NET_CALL_NEW;
    net_call_fail(call, cause);
    net_pool_serve(client);
}

/* The answer is complete; `clean`: nothing came behind it. */
static void
answer_complete(struct net_client_connection *connection, bool clean)
{
    struct net_client *client = connection->client;
    struct net_call *call = connection->call;
    struct http_head *head = &call->parser.head;
    head->base = call->head_text.data;
    call->status = head->status;
    connection->call = NULL;
    connection->served++;
    call->state = NET_CALL_NEW;
    bool reusable = clean && head->keep_alive && head->framing != HTTP_FRAMING_UNTIL_CLOSE &&
                    connection->out_total == 0 && !client->stopping;
    net_call_end(call, ERR_OK);
    if (reusable) {
        net_pool_idle(connection);
    } else {
        net_client_connection_destroy(connection);
        net_pool_serve(client);
    }
}

static err_t
refusal_cause(enum http_refusal refusal)
{
    switch ((unsigned)refusal) {
    case HTTP_REFUSAL_HEAD_LARGE:
    case HTTP_REFUSAL_FIELD_COUNT:
    case HTTP_REFUSAL_BODY_LARGE:
    case HTTP_REFUSAL_TRAILER_LARGE:
        return ERR_FULL;
    case HTTP_REFUSAL_TRUNCATED:
        return ERR_CLOSED;
    default:
        return ERR_INVALID;
    }
}

/* Takes bytes of the head; 0 if the call was ended. */
static size_t
head_feed(struct net_client_connection *connection, struct span input)
{
    struct net_call *call = connection->call;
    const struct http_limits *limits = &connection->client->settings.limits;
    size_t before = call->head_text.size;
    size_t room = (size_t)limits->head + 1 - before;
    size_t taken = input.size < room ? input.size : room;
    buf_append(&call->head_text, input.data, taken);
    if (buf_failed(&call->head_text)) {
        answer_failed(connection, ERR_MEMORY);
        return 0;
    }
    switch (http_parser_feed(&call->parser, buf_span(&call->head_text))) {
    case HTTP_REFUSED:
        answer_failed(connection, refusal_cause(call->parser.refusal));
        return 0;
    case HTTP_MORE:
        return taken;
    case HTTP_DONE:
        break;
    }
    ASSERT(call->parser.head.size > before);
    ASSERT(call->parser.head.size <= call->head_text.size);
    taken = call->parser.head.size - before;
    call->head_text.size = call->parser.head.size;
    if (call->parser.head.status == 101) {
        answer_failed(connection, ERR_INVALID); /* nobody asked to upgrade */
        return 0;
    }
    if (call->parser.head.status < 200) {
        /* An interim answer: the real one follows. */
        if (connection->interim_count++ == NET_CLIENT_INTERIM_MAX) {
            answer_failed(connection, ERR_FULL);
            return 0;
        }
        buf_clear(&call->head_text);
        http_parser_begin_response(&call->parser, limits, call->method);
        return taken;
    }
    http_body_begin(&connection->reader, &call->parser.head, limits);
    connection->body_begun = true;
    return taken;
}

/* Takes bytes of the body; false if the call was ended, by its end or a failure. */
static bool
body_feed(struct net_client_connection *connection, struct span input, size_t *at)
{
    struct net_call *call = connection->call;
    size_t taken = 0;
    struct span piece;
    enum http_result result =
        http_body_feed(&connection->reader, span_slice(input, *at, input.size), &taken, &piece);
    if (result == HTTP_REFUSED) {
        answer_failed(connection, refusal_cause(connection->reader.refusal));
        return false;
    }
    *at += taken;
    size_t cut = connection->client->settings.answer_cut_bytes;
    if (cut > 0 && call->answer.size + piece.size > cut) {
        piece.size = cut - call->answer.size;
        call->cut = true;
    }
    buf_append_span(&call->answer, piece);
    if (buf_failed(&call->answer)) {
        answer_failed(connection, ERR_MEMORY);
        return false;
    }
    if (result == HTTP_DONE || call->cut) {
        answer_complete(connection, !call->cut && *at == input.size);
        return false;
    }
    return true;
}

/* False if the call was ended. */
static bool
feed(struct net_client_connection *connection, struct span input)
{
    connection->answer_begun = true;
    size_t at = 0;
    while (at < input.size || connection->body_begun) {
        if (connection->body_begun) {
            if (!body_feed(connection, input, &at)) {
                return false;
            }
            if (at == input.size) {
                return true;
            }
            continue;
        }
        size_t taken = head_feed(connection, span_slice(input, at, input.size));
        if (taken == 0) {
            return false;
        }
        at += taken;
    }
    return true;
}

static void
input_ended(struct net_client_connection *connection)
{
    if (connection->call != NULL && connection->body_begun &&
        http_body_close(&connection->reader) == HTTP_DONE) {
        answer_complete(connection, true);
        return;
    }
    lost(connection, ERR_CLOSED);
}

static void
read_in(struct net_client_connection *connection)
{
    struct net_client *client = connection->client;
    char *scratch = net_loop_scratch(client->loop);
    for (int i = 0; i < READS_PER_EVENT; i++) {
        ssize_t count = net_transport_read(&connection->transport, scratch, NET_LOOP_SCRATCH_SIZE);
        if (count == NET_IO_WAIT_READ || count == NET_IO_WAIT_WRITE) {
            return;
        }
        if (count == NET_IO_FAILED) {
            lost(connection, ERR_CLOSED);
            return;
        }
        if (count == 0) {
            input_ended(connection);
            return;
        }
        NET_CLIENT_COUNT(client, bytes_in, count);
        if (connection->call == NULL) {
            lost(connection, ERR_INVALID); /* an answer that nobody asked for */
            return;
        }
        if (!feed(connection, span_of(scratch, (size_t)count))) {
            return;
        }
        if ((size_t)count < NET_LOOP_SCRATCH_SIZE &&
            !net_transport_has_pending(&connection->transport)) {
            return;
        }
    }
}

static void
on_event(uv_poll_t *handle, int status, int events)
{
    struct net_client_connection *connection =
        CONTAINER_OF(handle, struct net_client_connection, poll);
    switch (connection->state) {
    case NET_CLIENT_DEAD:
    case NET_CLIENT_RESOLVING:
        return;
    case NET_CLIENT_CONNECTING:
        connected(connection);
        return;
    case NET_CLIENT_HANDSHAKE:
        handshake(connection);
        return;
    case NET_CLIENT_IDLE:
    case NET_CLIENT_BUSY:
        break;
    }
    if (status < 0) {
        /* The socket has an error pending, but an answer may stand before it. libuv has stopped
         * watching. */
        connection->events = 0;
        connection->write_failed = true;
        watch(connection, UV_READABLE);
        read_in(connection);
        return;
    }
    if ((events & UV_WRITABLE) != 0 && connection->state == NET_CLIENT_BUSY) {
        write_out(connection);
        watch_open(connection);
    }
    if ((events & UV_READABLE) != 0) {
        read_in(connection);
    }
}
