/*
 * Streams: a socket, two buffers that never grow, and nothing else.
 *
 *   connect -> RESOLVING --on_resolved--> CONNECTING --connected--> HANDSHAKE --opened--> OPEN
 *   accept  ------------------------------------------------------> HANDSHAKE
 *   any state --finish, net_stream_close--> DEAD; its memory goes when libuv has let go of it
 */
#include "net/stream.h"

#include "base/assert.h"
#include "base/list.h"

#include "address.h"
#include "lookup.h"
#include "loop_private.h"
#include "socket.h"
#include "transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READS_PER_EVENT   16
#define ACCEPTS_PER_EVENT 64
#define NS_PER_MS         UINT64_C(1000000)
#define ACCEPT_PAUSE_NS   (100 * NS_PER_MS)

enum state {
    RESOLVING,
    CONNECTING,
    HANDSHAKE,
    OPEN,
    DEAD,
};

/* A buffer of fixed size. */
struct store {
    char *bytes;
    uint32_t size, capacity;
};

struct net_stream {
    struct net_loop *loop;
    uv_poll_t poll;
    bool has_handle;
    enum state state;
    int events;
    uint16_t port;
    struct net_transport transport;
    struct net_tls *tls;
    const struct net_stream_hooks *hooks;
    void *context;
    struct net_query query;
    struct net_timer deadline;
    struct store in, out;
    bool write_failed;
    char host[NET_HOST_MAX + 1];
};

struct net_stream_listener {
    struct net_loop *loop;
    uv_poll_t poll;
    int fd;
    struct net_timer again;
    struct net_stream_listen settings;
};

/* --------------------------------------------------------------------------------- memory --- */

static err_t
store_init(struct store *store, uint32_t capacity)
{
    ASSERT(capacity > 0);
    store->bytes = malloc(capacity);
    store->capacity = capacity;
    return store->bytes == NULL ? ERR_MEMORY : ERR_OK;
}

static void
store_release(struct store *store)
{
    if (store->bytes != NULL) {
        explicit_bzero(store->bytes, store->capacity);
        free(store->bytes);
    }
}

/* NET-7: what moves away leaves nothing behind. */
static void
store_consume(struct store *store, size_t used)
{
    ASSERT(used <= store->size);
    size_t left = store->size - used;
    memmove(store->bytes, store->bytes + used, left);
    explicit_bzero(store->bytes + left, used);
    store->size = (uint32_t)left;
}

static void
stream_free(struct net_stream *stream)
{
    store_release(&stream->in);
    store_release(&stream->out);
    free(stream);
}

static void
on_handle_closed(uv_handle_t *handle)
{
    stream_free(CONTAINER_OF(handle, struct net_stream, poll));
}

static void
kill_stream(struct net_stream *stream)
{
    ASSERT(stream->state != DEAD);
    stream->state = DEAD;
    net_query_forget(net_loop_lookups(stream->loop), &stream->query);
    net_timer_cancel(stream->loop, &stream->deadline);
    if (!stream->has_handle) {
        net_transport_close(&stream->transport, false);
        stream_free(stream);
        return;
    }
    uv_close((uv_handle_t *)&stream->poll, on_handle_closed);
    net_transport_close(&stream->transport, false);
}

void
net_stream_close(struct net_stream **stream)
{
    if (*stream != NULL) {
        kill_stream(*stream);
        *stream = NULL;
    }
}

static void
finish(struct net_stream *stream, err_t cause)
{
    const struct net_stream_hooks *hooks = stream->hooks;
    void *context = stream->context;
    kill_stream(stream);
    hooks->on_closed(context, cause);
}

static err_t
stream_create(
    struct net_loop *loop, const struct net_stream_limits *limits, struct net_stream **ret_stream)
{
    struct net_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return ERR_MEMORY;
    }
    stream->loop = loop;
    stream->transport.fd = -1;
    if (store_init(&stream->in, limits->input_max) != ERR_OK ||
        store_init(&stream->out, limits->output_max) != ERR_OK) {
        stream_free(stream);
        return ERR_MEMORY;
    }
    *ret_stream = stream;
    return ERR_OK;
}

/* --------------------------------------------------------------------------------- events --- */

static void on_event(uv_poll_t *handle, int status, int events);

static void
watch(struct net_stream *stream, int events)
{
    if (stream->events != events) {
        stream->events = events;
        int result = uv_poll_start(&stream->poll, events, on_event);
        ASSERT(result == 0);
    }
}

static void
flush(struct net_stream *stream)
{
    bool blocked = false;
    while (stream->out.size > 0 && !blocked && !stream->write_failed) {
        struct iovec piece = {.iov_base = stream->out.bytes, .iov_len = stream->out.size};
        ssize_t written =
            net_transport_write(&stream->transport, &piece, 1, net_loop_scratch(stream->loop));
        if (written == NET_IO_WAIT_WRITE) {
            blocked = true;
        } else if (written <= 0) {
            /* The end is told by the loop, not from within a call. */
            stream->write_failed = true;
            (void)shutdown(stream->transport.fd, SHUT_RDWR);
        } else {
            store_consume(&stream->out, (size_t)written);
        }
    }
    watch(stream, blocked ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

/* False: the stream has ended, or nothing more is to be read now. */
static bool
read_once(struct net_stream *stream)
{
    struct store *in = &stream->in;
    if (in->size == in->capacity) {
        finish(stream, ERR_RANGE);
        return false;
    }
    ssize_t count =
        net_transport_read(&stream->transport, in->bytes + in->size, in->capacity - in->size);
    if (count == NET_IO_WAIT_READ || count == NET_IO_WAIT_WRITE) {
        return false;
    }
    if (count <= 0) {
        finish(stream, ERR_CLOSED);
        return false;
    }
    in->size += (uint32_t)count;
    size_t used = 1;
    while (used > 0 && in->size > 0) {
        used = stream->hooks->on_data(stream->context, span_of(in->bytes, in->size));
        if (stream->state == DEAD) {
            return false;
        }
        store_consume(in, used);
    }
    return true;
}

static void
read_all(struct net_stream *stream)
{
    for (int i = 0; i < READS_PER_EVENT || net_transport_has_pending(&stream->transport); i++) {
        if (!read_once(stream)) {
            return;
        }
    }
}

static void
handshake(struct net_stream *stream)
{
    ssize_t result = net_transport_handshake(&stream->transport);
    if (result == NET_IO_FAILED) {
        finish(stream, ERR_CRYPTO);
        return;
    }
    if (result != 1) {
        watch(stream, result == NET_IO_WAIT_WRITE ? UV_WRITABLE : UV_READABLE);
        return;
    }
    net_timer_cancel(stream->loop, &stream->deadline);
    stream->state = OPEN;
    watch(stream, UV_READABLE);
    if (stream->hooks->on_open != NULL) {
        stream->hooks->on_open(stream->context);
    }
    if (stream->state == OPEN && net_transport_has_pending(&stream->transport)) {
        read_all(stream);
    }
}

static void
secure(struct net_stream *stream)
{
    stream->state = HANDSHAKE;
    if (stream->tls != NULL) {
        const char *host = stream->host[0] == '\0' ? NULL : stream->host;
        err_t result = net_transport_secure(&stream->transport, stream->tls, host);
        if (result != ERR_OK) {
            finish(stream, result);
            return;
        }
    }
    handshake(stream);
}

static void
on_event(uv_poll_t *handle, int status, int events)
{
    struct net_stream *stream = CONTAINER_OF(handle, struct net_stream, poll);
    if (status < 0) {
        finish(stream, ERR_CLOSED);
        return;
    }
    switch (stream->state) {
    case CONNECTING:
        if (net_socket_connected(stream->transport.fd) != ERR_OK) {
            finish(stream, ERR_CLOSED);
        } else {
            secure(stream);
        }
        return;
    case HANDSHAKE:
        handshake(stream);
        return;
    case OPEN:
        if ((events & UV_WRITABLE) != 0) {
            flush(stream);
        }
        if ((events & UV_READABLE) != 0) {
            read_all(stream);
        }
        return;
    case RESOLVING:
    case DEAD:
        return;
    }
}

static err_t
poll_init(struct net_stream *stream, int fd)
{
    stream->transport.fd = fd;
    if (uv_poll_init(net_loop_uv(stream->loop), &stream->poll, fd) != 0) {
        return ERR_IO;
    }
    stream->has_handle = true;
    return ERR_OK;
}

/* ----------------------------------------------------------------------------- connecting --- */

static int
connect_to(const struct net_stream *stream, const struct addrinfo *found)
{
    for (; found != NULL; found = found->ai_next) {
        struct sockaddr_storage address;
        if (found->ai_addrlen > sizeof(address)) {
            continue;
        }
        memcpy(&address, found->ai_addr, found->ai_addrlen);
        if (address.ss_family == AF_INET6) {
            ((struct sockaddr_in6 *)(void *)&address)->sin6_port = htons(stream->port);
        } else {
            ((struct sockaddr_in *)(void *)&address)->sin_port = htons(stream->port);
        }
        int fd = net_socket_connect(&address, found->ai_addrlen);
        if (fd >= 0) {
            return fd;
        }
    }
    return -1;
}

static void
on_resolved(struct net_query *query, err_t result, const struct addrinfo *found)
{
    struct net_stream *stream = CONTAINER_OF(query, struct net_stream, query);
    if (result != ERR_OK) {
        finish(stream, result == ERR_BUSY ? ERR_TIMEOUT : ERR_NOT_FOUND);
        return;
    }
    int fd = connect_to(stream, found);
    if (fd < 0 || poll_init(stream, fd) != ERR_OK) {
        finish(stream, ERR_CLOSED);
        return;
    }
    stream->state = CONNECTING;
    watch(stream, UV_WRITABLE);
}

static void
on_deadline(struct net_timer *timer)
{
    finish(CONTAINER_OF(timer, struct net_stream, deadline), ERR_TIMEOUT);
}

static err_t
deadline_arm(struct net_stream *stream, const struct net_stream_limits *limits)
{
    stream->deadline.fire = on_deadline;
    return net_timer_arm(
        stream->loop, &stream->deadline, net_now_ns() + limits->connect_timeout_ms * NS_PER_MS);
}

err_t
net_stream_connect(
    struct net_loop *loop,
    const struct net_stream_target *target,
    const struct net_stream_hooks *hooks,
    void *context,
    struct net_stream **ret_stream)
{
    struct net_stream *stream;
    size_t size = strlen(target->host);
    if (size == 0 || size > NET_HOST_MAX) {
        return ERR_INVALID;
    }
    TRY(stream_create(loop, &target->limits, &stream));
    memcpy(stream->host, target->host, size + 1);
    stream->port = target->port;
    stream->tls = target->tls;
    stream->hooks = hooks;
    stream->context = context;
    stream->query.done = on_resolved;
    err_t result = deadline_arm(stream, &target->limits);
    if (result == ERR_OK) {
        result = net_query_start(net_loop_lookups(loop), stream->host, &stream->query);
    }
    if (result != ERR_OK) {
        kill_stream(stream);
        return result;
    }
    *ret_stream = stream;
    return ERR_OK;
}

err_t
net_stream_send(struct net_stream *stream, struct span bytes)
{
    struct store *out = &stream->out;
    if (stream->state != OPEN || stream->write_failed) {
        return ERR_CLOSED;
    }
    if (bytes.size > out->capacity - out->size) {
        return ERR_FULL;
    }
    if (bytes.size > 0) {
        memcpy(out->bytes + out->size, bytes.data, bytes.size);
    }
    out->size += (uint32_t)bytes.size;
    if ((stream->events & UV_WRITABLE) == 0) {
        flush(stream);
    }
    return ERR_OK;
}

/* ------------------------------------------------------------------------------ accepting --- */

static void
adopt(struct net_stream_listener *listener, int fd)
{
    const struct net_stream_listen *settings = &listener->settings;
    struct net_stream *stream;
    if (stream_create(listener->loop, &settings->limits, &stream) != ERR_OK) {
        (void)close(fd);
        return;
    }
    stream->tls = settings->tls;
    stream->hooks = settings->hooks;
    if (poll_init(stream, fd) != ERR_OK || deadline_arm(stream, &settings->limits) != ERR_OK ||
        !settings->on_accept(settings->context, stream, &stream->context)) {
        kill_stream(stream);
        return;
    }
    secure(stream);
}

static void on_acceptable(uv_poll_t *handle, int status, int events);

static void
on_accept_again(struct net_timer *timer)
{
    struct net_stream_listener *listener = CONTAINER_OF(timer, struct net_stream_listener, again);
    int result = uv_poll_start(&listener->poll, UV_READABLE, on_acceptable);
    ASSERT(result == 0);
}

static void
on_acceptable(uv_poll_t *handle, int status, int events)
{
    struct net_stream_listener *listener = CONTAINER_OF(handle, struct net_stream_listener, poll);
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            adopt(listener, fd);
            continue;
        }
        if (errno == EAGAIN) {
            return;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            (void)uv_poll_stop(&listener->poll);
            if (net_timer_arm(listener->loop, &listener->again, net_now_ns() + ACCEPT_PAUSE_NS) !=
                ERR_OK) {
                on_accept_again(&listener->again);
            }
            return;
        }
    }
}

err_t
net_stream_listener_create(
    struct net_loop *loop,
    const struct net_stream_listen *listen,
    struct net_stream_listener **ret_listener,
    uint16_t *ret_port)
{
    struct sockaddr_storage system;
    socklen_t size;
    const char *address = listen->address == NULL ? "0.0.0.0" : listen->address;
    if (!net_address_to_system(address, listen->port, &system, &size)) {
        return ERR_INVALID;
    }
    struct net_stream_listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL) {
        return ERR_MEMORY;
    }
    listener->loop = loop;
    listener->settings = *listen;
    listener->again.fire = on_accept_again;
    err_t result = net_socket_listen(&system, size, &listener->fd, ret_port);
    if (result != ERR_OK) {
        free(listener);
        return result;
    }
    if (uv_poll_init(net_loop_uv(loop), &listener->poll, listener->fd) != 0) {
        (void)close(listener->fd);
        free(listener);
        return ERR_IO;
    }
    on_accept_again(&listener->again);
    *ret_listener = listener;
    return ERR_OK;
}

static void
on_listener_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF(handle, struct net_stream_listener, poll));
}

void
net_stream_listener_destroy(struct net_stream_listener **listener)
{
    if (*listener != NULL) {
        net_timer_cancel((*listener)->loop, &(*listener)->again);
        uv_close((uv_handle_t *)&(*listener)->poll, on_listener_closed);
        (void)close((*listener)->fd);
        *listener = NULL;
    }
}
