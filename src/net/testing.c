#include "testing.h"

#include "base/assert.h"
#include "base/list.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint64_t
t_now_ms(void)
{
    return net_now_ns() / 1000000;
}

void
t_sleep_ms(unsigned ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

/* --------------------------------------------------------------------------------- the handler */

const char t_lent_body[T_LENT_SIZE] = {[0] = 'a', [T_LENT_SIZE - 1] = 'z'};

static void
answer_echo(struct net_exchange *exchange)
{
    struct http_header *headers = ARENA_ARRAY(exchange->arena, struct http_header, 2);
    ASSERT(headers != NULL);
    headers[0] =
        (struct http_header){.name = SPAN("X-Method"), .value = http_method_text(exchange->method)};
    headers[1] = (struct http_header){.name = SPAN("X-Path"), .value = exchange->path};
    exchange->answer.headers = headers;
    exchange->answer.header_count = 2;
    buf_append_span(&exchange->answer.body, exchange->body);
}

/* False: the exchange is kept. */
static bool
answer_one(struct t_server *t, struct net_exchange *exchange)
{
    static const struct http_header broken = {
        .name = {.data = "X-Bad", .size = 5}, .value = {.data = "a\r\nb: c", .size = 7}};
    struct net_answer *answer = &exchange->answer;
    answer->status = 200;
    answer->content_type = SPAN("text/plain");
    buf_init(&answer->body, SIZE_MAX / 2);
    if (span_starts_with(exchange->path, SPAN("/hold"))) {
        buf_append_span(&answer->body, exchange->path);
        (void)pthread_mutex_lock(&t->mutex);
        ASSERT(t->held_count < T_HELD_MAX);
        t->held[t->held_count++] = exchange;
        (void)pthread_mutex_unlock(&t->mutex);
        return false;
    }
    if (span_equal(exchange->path, SPAN("/size"))) {
        uint64_t size = 0;
        bool fits = span_parse_u64(exchange->query, &size);
        ASSERT(fits);
        char *room = buf_reserve(&answer->body, size);
        ASSERT(room != NULL);
        memset(room, 'z', size);
        buf_added(&answer->body, size);
    } else if (span_equal(exchange->path, SPAN("/lent"))) {
        answer->lent = span_of(t_lent_body, sizeof(t_lent_body));
    } else if (span_equal(exchange->path, SPAN("/none"))) {
        answer->status = 204;
        buf_append_cstr(&answer->body, "not to be sent");
    } else if (span_equal(exchange->path, SPAN("/broken"))) {
        answer->headers = &broken;
        answer->header_count = 1;
    } else if (span_equal(exchange->path, SPAN("/peer"))) {
        char name[64] = "";
        ASSERT(exchange->query.size < sizeof(name));
        memcpy(name, exchange->query.data, exchange->query.size);
        answer->status = net_exchange_peer_is(exchange, name) ? 200 : 403;
    } else if (span_equal(exchange->path, SPAN("/close"))) {
        answer->close = true;
    } else {
        answer_echo(exchange);
    }
    return true;
}

static void
on_requests(void *context, struct net_exchange *first)
{
    struct t_server *t = context;
    uint32_t length = 0;
    struct net_exchange *answered = NULL;
    while (first != NULL) {
        struct net_exchange *next = first->next;
        first->next = NULL;
        length++;
        if (answer_one(t, first)) {
            first->next = answered; /* the last first: order is the server's business */
            answered = first;
        }
        first = next;
    }
    if (answered != NULL) {
        net_answer(answered);
    }
    (void)pthread_mutex_lock(&t->mutex);
    t->chains++;
    t->chain_longest = length > t->chain_longest ? length : t->chain_longest;
    (void)pthread_mutex_unlock(&t->mutex);
}

static void
on_gone(void *context, struct net_exchange *exchange)
{
    struct t_server *t = context;
    ASSERT(exchange->gone);
    (void)pthread_mutex_lock(&t->mutex);
    t->gone++;
    (void)pthread_mutex_unlock(&t->mutex);
}

void
t_server_start(struct t_server *t, const struct net_server_settings *settings, struct net_tls *tls)
{
    *t = (struct t_server){0};
    assert_int_equal(pthread_mutex_init(&t->mutex, NULL), 0);
    assert_int_equal(net_loop_create("t-net", &t->loop), ERR_OK);
    struct net_server_hooks hooks = {.context = t, .on_requests = on_requests, .on_gone = on_gone};
    assert_int_equal(
        net_server_create(
            t->loop,
            settings == NULL ? &net_server_settings_default : settings,
            &hooks,
            &t->server),
        ERR_OK);
    struct net_listen listen = {.address = "127.0.0.1", .tls = tls};
    assert_int_equal(net_server_listen(t->server, &listen, &t->port), ERR_OK);
    assert_int_not_equal(t->port, 0);
    assert_int_equal(net_loop_start(t->loop), ERR_OK);
    net_server_start(t->server);
}

void
t_server_stop(struct t_server *t, uint32_t drain_ms)
{
    net_server_stop(t->server, drain_ms);
    assert_int_equal(t_count(t).memory, 0);
    assert_int_equal(t_count(t).connections, 0);
    assert_int_equal(t_count(t).in_flight, 0);
    net_loop_stop(t->loop);
    net_server_destroy(&t->server);
    net_loop_destroy(&t->loop);
    (void)pthread_mutex_destroy(&t->mutex);
}

struct net_server_counters
t_count(struct t_server *t)
{
    struct net_server_counters counters;
    net_server_count(t->server, &counters);
    return counters;
}

void
t_wait_gone(struct t_server *t, uint32_t count)
{
    uint64_t end_ms = t_now_ms() + T_WAIT_MS;
    for (;;) {
        (void)pthread_mutex_lock(&t->mutex);
        uint32_t gone = t->gone;
        (void)pthread_mutex_unlock(&t->mutex);
        if (gone >= count) {
            return;
        }
        assert_true(t_now_ms() < end_ms);
        t_sleep_ms(1);
    }
}

void
t_wait_held(struct t_server *t, uint32_t count)
{
    uint64_t end_ms = t_now_ms() + T_WAIT_MS;
    for (;;) {
        (void)pthread_mutex_lock(&t->mutex);
        uint32_t held = t->held_count;
        (void)pthread_mutex_unlock(&t->mutex);
        if (held == count) {
            return;
        }
        assert_true(t_now_ms() < end_ms);
        t_sleep_ms(1);
    }
}

void
t_wait_bytes_in(struct t_server *t, uint64_t count)
{
    uint64_t end_ms = t_now_ms() + T_WAIT_MS;
    while (t_count(t).bytes_in < count) {
        assert_true(t_now_ms() < end_ms);
        t_sleep_ms(1);
    }
}

void
t_release(struct t_server *t, bool as_chain)
{
    (void)pthread_mutex_lock(&t->mutex);
    struct net_exchange *chain = NULL;
    for (uint32_t i = 0; i < t->held_count; i++) {
        t->held[i]->next = chain;
        chain = t->held[i];
    }
    t->held_count = 0;
    (void)pthread_mutex_unlock(&t->mutex);
    while (chain != NULL) {
        struct net_exchange *next = as_chain ? NULL : chain->next;
        if (!as_chain) {
            chain->next = NULL;
        }
        net_answer(chain);
        chain = next;
    }
}

/* -------------------------------------------------------------------------------- raw sockets */

int
t_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    int on = 1;
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    return fd;
}

void
t_send(int fd, const char *data, size_t size)
{
    size_t sent = 0;
    while (sent < size) {
        ssize_t count = send(fd, data + sent, size - sent, MSG_NOSIGNAL);
        if (count < 0 && (errno == EPIPE || errno == ECONNRESET)) {
            return; /* the server may answer and close before it has read everything */
        }
        assert_true(count > 0);
        sent += (size_t)count;
    }
}

void
t_send_text(int fd, const char *text)
{
    t_send(fd, text, strlen(text));
}

/* Bytes, 0 at the end, -1 when nothing came in time. */
static ssize_t
read_some(int fd, char *out, size_t size, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    if (poll(&poll_fd, 1, timeout_ms) <= 0) {
        return -1;
    }
    ssize_t count = recv(fd, out, size, 0);
    return count < 0 ? 0 : count;
}

size_t
t_read(int fd, char *out, size_t size, int timeout_ms, bool *ret_closed)
{
    size_t total = 0;
    ssize_t count = 1;
    while (total < size - 1 && count > 0) {
        count = read_some(fd, out + total, size - 1 - total, timeout_ms);
        total += count > 0 ? (size_t)count : 0;
    }
    out[total] = '\0';
    *ret_closed = count == 0;
    return total;
}

uint32_t
t_occurrences(const char *in, const char *text)
{
    uint32_t count = 0;
    for (const char *at = strstr(in, text); at != NULL; at = strstr(at + 1, text)) {
        count++;
    }
    return count;
}

size_t
t_read_count(int fd, char *out, size_t size, const char *text, uint32_t count)
{
    size_t total = 0;
    out[0] = '\0';
    while (t_occurrences(out, text) < count) {
        assert_true(total < size - 1);
        ssize_t got = read_some(fd, out + total, size - 1 - total, T_WAIT_MS);
        assert_true(got > 0);
        total += (size_t)got;
        out[total] = '\0';
    }
    return total;
}

unsigned
t_status(const char *text)
{
    struct span rest = span_from_cstr(text);
    uint64_t status = 0;
    if (!span_starts_with(rest, SPAN("HTTP/1.1 ")) || rest.size < 12) {
        return 0;
    }
    return span_parse_u64(span_slice(rest, 9, 12), &status) ? (unsigned)status : 0;
}

void
t_wait_closed(int fd)
{
    uint64_t begin_ms = t_now_ms();
    uint64_t passed_ms = 0;
    char rest[4096];
    while (read_some(fd, rest, sizeof(rest), (int)(T_WAIT_MS - passed_ms)) != 0) {
        passed_ms = t_now_ms() - begin_ms;
        assert_true(passed_ms < T_WAIT_MS);
    }
}

int
t_listen(uint16_t *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

int
t_accept(int listener)
{
    struct pollfd poll_fd = {.fd = listener, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, T_WAIT_MS), 1);
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    return fd;
}

/* -------------------------------------------------------------------------------------- calls */

static void
calls_post(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    struct t_calls *calls = CONTAINER_OF(executor, struct t_calls, executor);
    (void)last;
    while (first != NULL) {
        struct os_task *next = first->next;
        first->run(first);
        uv_sem_post(&calls->ended);
        first = next;
    }
}

static void
call_done(struct net_call *call)
{
    ASSERT(call->ended_ns >= call->started_ns);
}

void
t_calls_init(struct t_calls *calls)
{
    calls->executor.post = calls_post;
    assert_int_equal(uv_sem_init(&calls->ended, 0), 0);
}

void
t_calls_release(struct t_calls *calls)
{
    assert_int_not_equal(uv_sem_trywait(&calls->ended), 0); /* none ended twice */
    uv_sem_destroy(&calls->ended);
}

void
t_calls_wait(struct t_calls *calls, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t end_ms = t_now_ms() + T_WAIT_MS;
        while (uv_sem_trywait(&calls->ended) != 0) {
            assert_true(t_now_ms() < end_ms);
            t_sleep_ms(1);
        }
    }
}

void
t_call_init(struct t_calls *calls, struct net_call *call, const char *target, const char *body)
{
    *call = (struct net_call){
        .method = body == NULL ? HTTP_METHOD_GET : HTTP_METHOD_POST,
        .target = span_from_cstr(target),
        .body = span_from_cstr(body),
        .reply_to = &calls->executor,
        .done = call_done,
        .timeout_ms = T_WAIT_MS,
    };
}
