/* A back end on a thread of its own, that fails in chosen ways. */
#include "testing.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void
connection_close(struct t_backend *backend, struct t_connection *connection, bool reset)
{
    if (reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    (void)close(connection->fd);
    connection->fd = -1;
    connection->due_ms = 0;
    atomic_fetch_sub(&backend->connections, 1);
}

static void
send_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, text, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        text += sent;
        size -= (size_t)sent;
    }
}

static void
send_answer(int fd, unsigned status, unsigned retry_after, const char *body)
{
    char text[256];
    char header[64] = "";
    if (retry_after > 0) {
        (void)snprintf(header, sizeof(header), "Retry-After: %u\r\n", retry_after);
    }
    int size = snprintf(
        text,
        sizeof(text),
        "HTTP/1.1 %u Status\r\n%sX-Test: yes\r\nContent-Length: %zu\r\n\r\n%s",
        status,
        header,
        strlen(body),
        body);
    ASSERT(size > 0);
    send_all(fd, text, (size_t)size);
}

static void
send_status(struct t_backend *backend, const struct t_connection *connection, const char *body)
{
    send_answer(
        connection->fd, atomic_load(&backend->status), atomic_load(&backend->retry_after), body);
}

static void
send_large(int fd)
{
    const size_t size = 2 << 20;
    char *body = calloc(1, size);
    ASSERT(body != NULL);
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n";
    send_all(fd, head, sizeof(head) - 1);
    send_all(fd, body, size);
    free(body);
}

static void
answer(struct t_backend *backend, struct t_connection *connection)
{
    char body[16];
    (void)snprintf(body, sizeof(body), "%u", backend->number);
    connection->due_ms = 0;
    connection->size = 0;
    switch ((enum t_mode)atomic_load(&backend->mode)) {
    case T_LEAVES:
        if (connection->served > 0) {
            connection_close(backend, connection, false);
            return;
        }
        break;
    case T_OK:
        break;
    case T_ONCE:
        atomic_store(&backend->mode, T_OK);
        send_status(backend, connection, body);
        return;
    case T_STATUS:
        send_status(backend, connection, body);
        return;
    case T_RESET:
        connection_close(backend, connection, true);
        return;
    case T_CUT:
        send_all(connection->fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", 44);
        connection_close(backend, connection, false);
        return;
    case T_GARBAGE:
        send_all(connection->fd, "\x16\x03\x01 what?\r\n\r\n", 12);
        return;
    case T_NEVER:
        return;
    case T_LARGE:
        send_large(connection->fd);
        return;
    }
    connection->served++;
    send_answer(connection->fd, 200, 0, body);
}

/* The size of the first request in the text; 0: not complete. */
static size_t
request_size(const struct t_connection *connection)
{
    const char *end = memmem(connection->text, connection->size, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }
    size_t head = (size_t)(end - connection->text) + 4;
    const char *length = memmem(connection->text, head, "Content-Length: ", 16);
    size_t body = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
    return connection->size < head + body ? 0 : head + body;
}

static void
on_readable(struct t_backend *backend, struct t_connection *connection)
{
    ssize_t got = recv(
        connection->fd,
        connection->text + connection->size,
        sizeof(connection->text) - connection->size,
        0);
    if (got <= 0) {
        connection_close(backend, connection, false);
        return;
    }
    connection->size += (size_t)got;
    if (request_size(connection) == 0) {
        return;
    }
    if (memcmp(connection->text, "GET /health ", 12) == 0) {
        atomic_fetch_add(&backend->checks, 1);
        connection->size = 0;
        send_answer(connection->fd, atomic_load(&backend->health), 0, "health");
        return;
    }
    atomic_fetch_add(&backend->requests, 1);
    unsigned delay_ms = atomic_load(&backend->delay_ms);
    if (delay_ms == 0) {
        answer(backend, connection);
    } else {
        connection->due_ms = t_now_ms() + delay_ms;
    }
}

static void
on_connection(struct t_backend *backend)
{
    int fd = accept(backend->listener, NULL, NULL);
    if (fd < 0) {
        return;
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    for (size_t i = 0; i < T_CONNECTIONS_MAX; i++) {
        struct t_connection *connection = &backend->open[i];
        if (connection->fd < 0) {
            connection->fd = fd;
            connection->size = 0;
            connection->due_ms = 0;
            connection->served = 0;
            atomic_fetch_add(&backend->connections, 1);
            return;
        }
    }
    (void)close(fd);
}

static void
listener_open(struct t_backend *backend)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(fd >= 0);
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(backend->port)};
    int known = inet_pton(AF_INET, backend->host, &address.sin_addr);
    ASSERT(known == 1);
    socklen_t size = sizeof(address);
    int result = bind(fd, (struct sockaddr *)&address, size);
    ASSERT(result == 0);
    result = listen(fd, 256);
    ASSERT(result == 0);
    result = getsockname(fd, (struct sockaddr *)&address, &size);
    ASSERT(result == 0);
    backend->port = ntohs(address.sin_port);
    backend->listener = fd;
}

static void
backend_settle(struct t_backend *backend)
{
    bool wanted = atomic_load(&backend->listening);
    if (wanted && backend->listener < 0) {
        listener_open(backend);
    } else if (!wanted && backend->listener >= 0) {
        (void)close(backend->listener);
        backend->listener = -1;
        for (size_t i = 0; i < T_CONNECTIONS_MAX; i++) {
            if (backend->open[i].fd >= 0) {
                connection_close(backend, &backend->open[i], true);
            }
        }
    }
    atomic_store(&backend->settled, true);
}

/* Answers what is due; returns how long the next one has to wait, at most 50 ms. */
static int
answers_due(struct t_backend *backend)
{
    uint64_t now_ms = t_now_ms();
    uint64_t wait_ms = 50;
    for (size_t i = 0; i < T_CONNECTIONS_MAX; i++) {
        struct t_connection *connection = &backend->open[i];
        if (connection->fd < 0 || connection->due_ms == 0) {
            continue;
        }
        if (connection->due_ms <= now_ms) {
            answer(backend, connection);
        } else if (connection->due_ms - now_ms < wait_ms) {
            wait_ms = connection->due_ms - now_ms;
        }
    }
    return (int)wait_ms;
}

static void *
backend_main(void *context)
{
    struct t_backend *backend = context;
    while (!atomic_load(&backend->stop)) {
        backend_settle(backend);
        int wait_ms = answers_due(backend);
        struct pollfd polls[T_CONNECTIONS_MAX + 2] = {
            {.fd = backend->wake[0], .events = POLLIN},
            {.fd = backend->listener, .events = POLLIN}};
        for (size_t i = 0; i < T_CONNECTIONS_MAX; i++) {
            polls[i + 2] = (struct pollfd){.fd = backend->open[i].fd, .events = POLLIN};
        }
        (void)poll(polls, T_CONNECTIONS_MAX + 2, wait_ms);
        char byte;
        if ((polls[0].revents & POLLIN) != 0) {
            (void)!read(backend->wake[0], &byte, 1);
        }
        for (size_t i = 0; i < T_CONNECTIONS_MAX; i++) {
            if (backend->open[i].fd >= 0 && polls[i + 2].revents != 0) {
                on_readable(backend, &backend->open[i]);
            }
        }
        if ((polls[1].revents & POLLIN) != 0) {
            on_connection(backend);
        }
    }
    atomic_store(&backend->listening, false);
    backend_settle(backend);
    return NULL;
}

static void
backend_wake(struct t_backend *backend)
{
    ssize_t written = write(backend->wake[1], "w", 1);
    ASSERT(written == 1);
}

void
t_backend_start(struct t_backend *backend, uint32_t number, uint16_t port)
{
    memset(backend, 0, sizeof(*backend));
    backend->number = number;
    backend->port = port;
    (void)snprintf(backend->host, sizeof(backend->host), "127.0.0.%u", number + 1);
    backend->listener = -1;
    for (size_t i = 0; i < T_CONNECTIONS_MAX; i++) {
        backend->open[i].fd = -1;
    }
    atomic_store(&backend->status, 500);
    atomic_store(&backend->health, 200);
    atomic_store(&backend->listening, true);
    int result = pipe(backend->wake);
    ASSERT(result == 0);
    listener_open(backend);
    result = pthread_create(&backend->thread, NULL, backend_main, backend);
    ASSERT(result == 0);
}

void
t_backend_stop(struct t_backend *backend)
{
    atomic_store(&backend->stop, true);
    backend_wake(backend);
    (void)pthread_join(backend->thread, NULL);
    (void)close(backend->wake[0]);
    (void)close(backend->wake[1]);
}

void
t_backend_listen(struct t_backend *backend, bool listening)
{
    atomic_store(&backend->listening, listening);
    atomic_store(&backend->settled, false);
    backend_wake(backend);
    T_WAIT_FOR(atomic_load(&backend->settled));
}
