/* Slow, greedy and many clients: deadlines, back-pressure, maxima, drain. */
#include "testing.h"

#include "base/sanitized.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST      "POST /echo HTTP/1.1\r\nHost: a\r\n"

static struct t_server t;

static struct net_server_settings
quick_settings(void)
{
    struct net_server_settings settings = net_server_settings_default;
    settings.handshake_timeout_ms = 300;
    settings.head_timeout_ms = 300;
    settings.body_timeout_ms = 300;
    settings.idle_timeout_ms = 600;
    settings.write_timeout_ms = 400;
    settings.linger_timeout_ms = 200;
    return settings;
}

/* ---------------------------------------------------------------------------------- deadlines */

/* One byte every 20 ms: each resets a timer per read, none moves an absolute deadline. How long it
 * took until the server had answered. */
static uint64_t
drip(int fd, const char *head, char byte, char *text, size_t size)
{
    bool closed = false;
    uint64_t begin_ms = t_now_ms();
    t_send_text(fd, head);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    while (poll(&poll_fd, 1, 20) == 0) {
        assert_true(t_now_ms() - begin_ms < T_WAIT_MS);
        t_send(fd, &byte, 1);
    }
    uint64_t passed_ms = t_now_ms() - begin_ms;
    (void)t_read(fd, text, size, T_WAIT_MS, &closed);
    assert_true(closed);
    return passed_ms;
}

static void
test_slow_head_and_body(void **state)
{
    (void)state;
    struct net_server_settings settings = quick_settings();
    settings.idle_timeout_ms = T_WAIT_MS; /* the third is idle between its requests */
    t_server_start(&t, &settings, NULL);
    char text[4096];
    int fd = t_connect(t.port);
    uint64_t passed_ms = drip(fd, "GET /echo HTTP/1.1\r\nX-Slow: ", 'a', text, sizeof(text));
    assert_in_range(passed_ms, 290, T_WAIT_MS);
    assert_int_equal(t_status(text), 408);
    (void)close(fd);
    fd = t_connect(t.port);
    passed_ms = drip(fd, POST "Content-Length: 100000\r\n\r\n", 'a', text, sizeof(text));
    assert_in_range(passed_ms, 290, T_WAIT_MS);
    assert_int_equal(t_status(text), 408);
    (void)close(fd);
    /* A request before does not lengthen the next one's time. */
    fd = t_connect(t.port);
    t_send_text(fd, GET("/echo"));
    t_sleep_ms(200);
    (void)t_read_count(fd, text, sizeof(text), "\r\n\r\n", 1);
    passed_ms = drip(fd, "GET /echo", 'a', text, sizeof(text));
    assert_in_range(passed_ms, 290, T_WAIT_MS);
    (void)close(fd);
    assert_int_equal(t_count(&t).timeout_head, 2);
    assert_int_equal(t_count(&t).timeout_body, 1);
    t_server_stop(&t, 100);
}

static void
test_idle(void **state)
{
    (void)state;
    struct net_server_settings settings = quick_settings();
    t_server_start(&t, &settings, NULL);
    uint64_t begin_ms = t_now_ms();
    int fresh = t_connect(t.port);
    int used = t_connect(t.port);
    int busy = t_connect(t.port);
    char text[4096];
    t_send_text(busy, GET("/hold"));
    t_wait_held(&t, 1);
    t_wait_closed(fresh);
    assert_true(t_now_ms() - begin_ms >= 590);
    t_send_text(used, GET("/echo")); /* closed just now, or soon: either is right */
    t_sleep_ms(400);
    /* Whoever waits for an answer is not idle. */
    begin_ms = t_now_ms();
    t_release(&t, true);
    (void)t_read_count(busy, text, sizeof(text), "/hold", 1);
    t_wait_closed(busy);
    assert_true(t_now_ms() - begin_ms >= 590);
    assert_true(t_count(&t).timeout_idle >= 2);
    (void)close(fresh);
    (void)close(used);
    (void)close(busy);
    t_server_stop(&t, 100);
}

/* A client that sends requests for ever and never reads. */
static void
test_never_reading(void **state)
{
    (void)state;
    struct net_server_settings settings = quick_settings();
    t_server_start(&t, &settings, NULL);
    int fd = t_connect(t.port);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    const char *request = GET("/size?50000");
    uint64_t begin_ms = t_now_ms();
    bool reset = false;
    while (!reset) {
        assert_true(t_now_ms() - begin_ms < T_WAIT_MS);
        for (int i = 0; i < 100 && !reset; i++) {
            ssize_t sent = send(fd, request, strlen(request), MSG_NOSIGNAL);
            reset = sent < 0 && errno != EAGAIN;
            if (sent < 0) {
                break;
            }
        }
        t_sleep_ms(1);
    }
    (void)close(fd);
    struct net_server_counters counters = t_count(&t);
    assert_int_equal(counters.timeout_write, 1);
    /* One full pipeline of answers (64 KiB buffers) with their requests, and one read that is held
     * back. */
    assert_true(counters.memory_peak < 32 * (65536 + 8192) + 200000);
    assert_true(counters.memory_peak > 50000); /* the measure measures */
    assert_true(counters.bytes_in < 10000000);
    t_server_stop(&t, 100);
}

/* What everybody gets costs no memory for those who ask for it and do not read. */
static void
test_lent_and_not_read(void **state)
{
    enum {
        CONNECTIONS = 20,
        PIPELINED = 32
    };

    (void)state;
    int fds[CONNECTIONS];
    t_server_start(&t, NULL, NULL);
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = t_connect(t.port);
        for (int k = 0; k < PIPELINED; k++) {
            t_send_text(fds[i], GET("/lent"));
        }
    }
    uint64_t begin_ms = t_now_ms();
    while (t_count(&t).requests < CONNECTIONS * 2 || t_count(&t).bytes_out < T_LENT_SIZE) {
        assert_true(t_now_ms() - begin_ms < T_WAIT_MS);
        t_sleep_ms(10);
    }
    t_sleep_ms(200);
    assert_true(t_count(&t).memory_peak < UINT64_C(16) * CONNECTIONS * PIPELINED * 1024);
    for (int i = 0; i < CONNECTIONS; i++) {
        (void)close(fds[i]);
    }
    t_server_stop(&t, 100);
}

static void
test_lent_arrives(void **state)
{
    static char text[2 * T_LENT_SIZE + 4096];
    bool closed = false;
    (void)state;
    t_server_start(&t, NULL, NULL);
    int fd = t_connect(t.port);
    t_send_text(fd, "HEAD /lent HTTP/1.1\r\nHost: a\r\n\r\n" GET("/lent"));
    t_send_text(fd, "GET /lent HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    size_t size = t_read(fd, text, sizeof(text), T_WAIT_MS, &closed);
    assert_true(closed);
    assert_int_equal(t_occurrences(text, "Content-Length: 300000\r\n"), 2); /* up to the 'a' */
    assert_true(size > 2 * T_LENT_SIZE);
    assert_memory_equal(text + size - T_LENT_SIZE, t_lent_body, T_LENT_SIZE);
    (void)close(fd);
    t_server_stop(&t, 100);
}

/* What cannot be understood is answered and ends the connection. A client that does not take that
 * answer must not leave it to the kernel, which offers it for minutes after a close. */
static void
test_closing_answer_not_read(void **state)
{
    (void)state;
    struct net_server_settings settings = quick_settings();
    t_server_start(&t, &settings, NULL);
    int fd = t_connect(t.port);
    int little = 1;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)), 0);
    for (int i = 0; i < 20; i++) {
        t_send_text(fd, GET("/size?8000"));
    }
    t_send_text(fd, "no request\r\n\r\n");
    /* Not read: POLLHUP alone tells that both directions are closed, as a reset does. */
    struct pollfd ended = {.fd = fd};
    assert_int_equal(poll(&ended, 1, T_WAIT_MS), 1);
    assert_true((ended.revents & POLLHUP) != 0);
    assert_int_equal(t_count(&t).timeout_write, 0);
    (void)close(fd);
    t_server_stop(&t, 100);
}

/* It reads slowly but reads: each answer has its own time, so this client is served. It keeps to a
 * pace, and makes up for it when the machine stood still. */
static void
test_slow_reader_is_served(void **state)
{
    enum {
        ANSWERS = 12,
        ANSWER = 6000000,
        PER_MS = 12000 /* all of it in half as long again as one may take */
    };

    (void)state;
    struct net_server_settings settings = quick_settings();
    settings.write_timeout_ms = 4000;
    settings.idle_timeout_ms = T_WAIT_MS; /* the last answer's end waits in the kernel */
    t_server_start(&t, &settings, NULL);
    int fd = t_connect(t.port);
    for (int i = 0; i < ANSWERS; i++) {
        t_send_text(fd, GET("/size?6000000"));
    }
    static char text[100000];
    uint64_t total = 0;
    uint64_t begin_ms = t_now_ms();
    while (total < (uint64_t)ANSWERS * ANSWER) {
        if (total > (t_now_ms() - begin_ms) * PER_MS) {
            t_sleep_ms(8);
            continue;
        }
        ssize_t count = recv(fd, text, sizeof(text), 0);
        assert_true(count > 0);
        total += (size_t)count;
    }
    assert_true(t_now_ms() - begin_ms > settings.write_timeout_ms);
    assert_int_equal(t_count(&t).timeout_write, 0);
    (void)close(fd);
    t_server_stop(&t, 100);
}

/* ------------------------------------------------------------------------------------- maxima */

static void
test_connection_flood(void **state)
{
    (void)state;
    struct net_server_settings settings = net_server_settings_default;
    settings.connections_max = 8;
    settings.shortage_grace_ms = T_WAIT_MS;
    t_server_start(&t, &settings, NULL);
    int kept[8];
    char text[4096];
    for (int i = 0; i < 8; i++) {
        kept[i] = t_connect(t.port);
        t_send_text(kept[i], GET("/echo"));
        (void)t_read_count(kept[i], text, sizeof(text), "\r\n\r\n", 1);
    }
    for (int i = 0; i < 200; i++) {
        int fd = t_connect(t.port);
        t_wait_closed(fd);
        (void)close(fd);
    }
    struct net_server_counters counters = t_count(&t);
    assert_int_equal(counters.accepted, 208);
    assert_int_equal(counters.over_limit, 200);
    assert_int_equal(counters.connections, 8);
    for (int i = 0; i < 8; i++) {
        t_send_text(kept[i], GET("/echo")); /* those inside are served on */
        (void)t_read_count(kept[i], text, sizeof(text), "\r\n\r\n", 1);
        (void)close(kept[i]);
    }
    t_server_stop(&t, 100);
}

static void
test_requests_shed(void **state)
{
    (void)state;
    struct net_server_settings settings = net_server_settings_default;
    settings.requests_max = 4;
    t_server_start(&t, &settings, NULL);
    char text[8192];
    int fd = t_connect(t.port);
    for (int i = 0; i < 4; i++) {
        t_send_text(fd, GET("/hold"));
    }
    t_wait_held(&t, 4);
    int other = t_connect(t.port);
    for (int i = 0; i < 3; i++) {
        t_send_text(other, GET("/echo"));
        (void)t_read_count(other, text, sizeof(text), "}}\n", 1);
        assert_int_equal(t_status(text), 503);
        assert_null(strstr(text, "Connection: close"));
    }
    assert_int_equal(t_count(&t).shed_requests, 3);
    t_release(&t, true);
    (void)t_read_count(fd, text, sizeof(text), "HTTP/1.1 200 OK", 4);
    t_send_text(other, GET("/echo"));
    (void)t_read_count(other, text, sizeof(text), "\r\n\r\n", 1);
    assert_int_equal(t_status(text), 200);
    (void)close(fd);
    (void)close(other);
    t_server_stop(&t, 100);
}

static void
test_memory_shed(void **state)
{
    (void)state;
    struct net_server_settings settings = net_server_settings_default;
    settings.memory_max = 2000000;
    t_server_start(&t, &settings, NULL);
    char *body = calloc(1, 900000);
    assert_non_null(body);
    char text[8192];

    enum {
        CLIENTS = 24
    };

    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = t_connect(t.port);
        t_send_text(fds[i], POST "Content-Length: 900001\r\n\r\n");
        t_send(fds[i], body, 900000);
    }
    uint64_t end_ms = t_now_ms() + T_WAIT_MS;
    while (t_count(&t).shed_memory < CLIENTS - 3) {
        assert_true(t_now_ms() < end_ms);
        t_sleep_ms(5);
    }
    uint64_t shed = t_count(&t).shed_memory;
    assert_in_range(shed, CLIENTS - 3, CLIENTS);
    struct pollfd waiting[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        waiting[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    }
    for (uint64_t refused = 0; refused < shed;) {
        assert_true(poll(waiting, CLIENTS, T_WAIT_MS) > 0);
        for (int i = 0; i < CLIENTS; i++) {
            bool closed = false;
            if (waiting[i].fd < 0 || waiting[i].revents == 0) {
                continue;
            }
            assert_true(t_read(fds[i], text, sizeof(text), T_WAIT_MS, &closed) > 0);
            assert_int_equal(t_status(text), 503);
            assert_true(closed);
            waiting[i].fd = -1; /* poll passes it over */
            refused++;
        }
    }
    for (int i = 0; i < CLIENTS; i++) {
        (void)close(fds[i]);
    }
    /* What one connection may still add when the limit has been met is one buffer's doubling. */
    assert_true(t_count(&t).memory_peak < 2000000 + 2200000);
    while (t_count(&t).memory > 0) {
        assert_true(t_now_ms() < end_ms);
        t_sleep_ms(5);
    }
    int fd = t_connect(t.port);
    t_send_text(fd, GET("/echo"));
    (void)t_read_count(fd, text, sizeof(text), "\r\n\r\n", 1);
    assert_int_equal(t_status(text), 200);
    (void)close(fd);
    free(body);
    t_server_stop(&t, 100);
}

/* Requests that are few bytes, of which each has a large answer, and nobody who reads it. */
static void
test_memory_of_answers(void **state)
{
    enum {
        CLIENTS = 8,
        PIPELINED = 32,
        ANSWER = 1000000
    };

    (void)state;
    struct net_server_settings settings = net_server_settings_default;
    settings.memory_max = 4000000;
    t_server_start(&t, &settings, NULL);
    int fds[CLIENTS];
    static const char one[] = GET("/size?1000000");
    const size_t size = sizeof(one) - 1;
    char request[PIPELINED * sizeof(one)];
    for (size_t i = 0; i < PIPELINED; i++) {
        memcpy(request + i * size, one, size);
    }
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = t_connect(t.port);
        t_send(fds[i], request, PIPELINED * size);
    }
    uint64_t end_ms = t_now_ms() + T_WAIT_MS;
    while (t_count(&t).shed_memory < CLIENTS) {
        assert_true(t_now_ms() < end_ms);
        t_sleep_ms(5);
    }
    /* What is taken back was there first, in a buffer that had doubled. */
    assert_true(t_count(&t).memory_peak < settings.memory_max + 3 * ANSWER);
    for (int i = 0; i < CLIENTS; i++) {
        (void)close(fds[i]);
    }
    while (t_count(&t).memory > 0) {
        assert_true(t_now_ms() < end_ms);
        t_sleep_ms(5);
    }
    t_server_stop(&t, 100);
}

/* ------------------------------------------------------------------------ many idle connections */

#define T_IDLE           10000
#define T_IDLE_BYTES_MAX 2048

/* In a process of its own, with its own file descriptors: connects, uses each connection once,
 * tells, and waits for the pipe's end. */
static void
idle_clients(uint16_t port, int told, int wait)
{
    static int fds[T_IDLE];
    char text[2048];
    for (int i = 0; i < T_IDLE; i++) {
        fds[i] = t_connect(port);
        t_send_text(fds[i], GET("/echo"));
        (void)t_read_count(fds[i], text, sizeof(text), "\r\n\r\n", 1);
    }
    (void)!write(told, "1", 1);
    (void)!read(wait, text, 1);
    for (int i = 0; i < T_IDLE; i += 500) {
        t_send_text(fds[i], GET("/echo"));
        (void)t_read_count(fds[i], text, sizeof(text), "\r\n\r\n", 1);
    }
    (void)!write(told, "2", 1);
    (void)!read(wait, text, 1);
    _exit(0);
}

static bool
raise_descriptors(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur >= T_IDLE + 100) {
        return true;
    }
    limit.rlim_cur = T_IDLE + 100;
    limit.rlim_max = limit.rlim_max < limit.rlim_cur ? limit.rlim_cur : limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static void
test_idle_connections(void **state)
{
    (void)state;
    if (!raise_descriptors()) {
        print_message("cannot raise the limit of open files to %d\n", T_IDLE + 100);
        skip();
    }
    int told[2];
    int wait[2];
    int port_pipe[2];
    assert_int_equal(pipe(told), 0);
    assert_int_equal(pipe(wait), 0);
    assert_int_equal(pipe(port_pipe), 0);
    pid_t child = fork(); /* before there are threads */
    assert_true(child >= 0);
    if (child == 0) {
        uint16_t port = 0;
        (void)close(wait[1]);
        (void)!read(port_pipe[0], &port, sizeof(port));
        idle_clients(port, told[1], wait[0]);
    }
    t_server_start(&t, NULL, NULL);
    size_t before = mallinfo2().uordblks;
    assert_int_equal(write(port_pipe[1], &t.port, sizeof(t.port)), sizeof(t.port));
    char byte;
    assert_int_equal(read(told[0], &byte, 1), 1);
    assert_int_equal(t_count(&t).connections, T_IDLE);
    /* No buffers while idle; the last answer is on its way before its buffer is given back. */
    uint64_t end_ms = t_now_ms() + T_WAIT_MS;
    while (t_count(&t).memory > 0) {
        assert_true(t_now_ms() < end_ms);
        t_sleep_ms(1);
    }
    /* uordblks wraps nowhere here: all of this is far below 4 GiB. Works kept for reuse included.
     */
    size_t each = (mallinfo2().uordblks - before) / T_IDLE;
    print_message("%d idle connections: %zu bytes of heap each\n", T_IDLE, each);
    if (!SANITIZED) {
        assert_true(each > 0);
        assert_true(each < T_IDLE_BYTES_MAX);
    }
    assert_int_equal(write(wait[1], "1", 1), 1);
    assert_int_equal(read(told[0], &byte, 1), 1);
    assert_int_equal(t_count(&t).requests, T_IDLE + T_IDLE / 500);
    t_server_stop(&t, 1000); /* closes ten thousand idle connections */
    (void)close(wait[1]);
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)close(told[0]);
    (void)close(told[1]);
    (void)close(wait[0]);
    (void)close(port_pipe[0]);
    (void)close(port_pipe[1]);
}

/* No file descriptor left: accepting pauses and goes on when there is one again. */
static void
test_no_descriptors(void **state)
{
    (void)state;

    enum {
        CLIENTS = 30,
    };

    t_server_start(&t, NULL, NULL);
    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fds[i] >= 0);
    }
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit tight = {.rlim_cur = (rlim_t)fds[CLIENTS - 1] + 6, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(t.port),
        .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    uint64_t begin_ms = t_now_ms();
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(connect(fds[i], (struct sockaddr *)&address, sizeof(address)), 0);
        t_send_text(fds[i], GET("/echo"));
    }
    struct net_server_counters counters;
    do {
        t_sleep_ms(300);
        counters = t_count(&t);
    } while (counters.over_limit == 0);
    uint64_t passed_ms = t_now_ms() - begin_ms;
    assert_in_range(counters.connections, 1, 6);
    /* It tries ten times a second instead of spinning. */
    assert_in_range(counters.over_limit, 1, 5 + passed_ms / 100);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    char text[4096];
    for (int i = 0; i < CLIENTS; i++) {
        (void)t_read_count(fds[i], text, sizeof(text), "\r\n\r\n", 1);
        assert_int_equal(t_status(text), 200);
        (void)close(fds[i]);
    }
    t_server_stop(&t, 100);
}

/* -------------------------------------------------------------------------------------- drain */

struct stopper {
    pthread_t thread;
    uint32_t drain_ms;
};

static void *
stop_main(void *context)
{
    const struct stopper *stopper = context;
    net_server_stop(t.server, stopper->drain_ms);
    return NULL;
}

static void
test_drain(void **state)
{
    (void)state;
    static const char begun[] = POST "Content-Length: 4\r\n\r\nab";
    t_server_start(&t, NULL, NULL);
    char text[8192];
    int idle = t_connect(t.port);
    int busy = t_connect(t.port);
    int partial = t_connect(t.port);
    t_send_text(idle, GET("/echo"));
    (void)t_read_count(idle, text, sizeof(text), "\r\n\r\n", 1);
    t_send_text(busy, GET("/hold-1") GET("/hold-2"));
    t_wait_held(&t, 2);
    uint64_t bytes = t_count(&t).bytes_in;
    t_send_text(partial, begun);
    t_wait_bytes_in(&t, bytes + strlen(begun)); /* or it would be idle */
    struct stopper stopper = {.drain_ms = 2 * T_WAIT_MS};
    assert_int_equal(pthread_create(&stopper.thread, NULL, stop_main, &stopper), 0);
    t_wait_closed(idle);
    /* Nobody new. */
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    assert_int_equal(getpeername(busy, (struct sockaddr *)&address, &size), 0);
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(late, (struct sockaddr *)&address, size), -1);
    (void)close(late);
    /* What was begun is finished, and told to be the last. */
    bool closed = false;
    t_send_text(partial, "cd");
    (void)t_read(partial, text, sizeof(text), T_WAIT_MS, &closed);
    assert_int_equal(t_status(text), 200);
    assert_non_null(strstr(text, "Connection: close\r\n"));
    assert_non_null(strstr(text, "abcd"));
    assert_true(closed);
    (void)close(partial);
    t_release(&t, true);
    (void)t_read(busy, text, sizeof(text), T_WAIT_MS, &closed);
    assert_true(closed);
    assert_int_equal(t_occurrences(text, "HTTP/1.1 200 OK"), 1); /* the first closed it */
    assert_non_null(strstr(text, "Connection: close\r\n"));
    (void)close(busy);
    (void)close(idle);
    uint64_t begin_ms = t_now_ms();
    assert_int_equal(pthread_join(stopper.thread, NULL), 0);
    assert_true(t_now_ms() - begin_ms < T_WAIT_MS); /* long before the deadline */
    t_server_stop(&t, 0);
}

static void
test_drain_deadline(void **state)
{
    (void)state;
    static const char begun[] = "GET /ec";
    t_server_start(&t, NULL, NULL);
    int busy = t_connect(t.port);
    int stuck = t_connect(t.port);
    t_send_text(busy, GET("/hold"));
    t_wait_held(&t, 1);
    uint64_t bytes = t_count(&t).bytes_in;
    t_send_text(stuck, begun);
    t_wait_bytes_in(&t, bytes + strlen(begun)); /* or it would be idle */
    struct stopper stopper = {.drain_ms = 200};
    uint64_t begin_ms = t_now_ms();
    assert_int_equal(pthread_create(&stopper.thread, NULL, stop_main, &stopper), 0);
    t_wait_closed(stuck);
    assert_true(t_now_ms() - begin_ms >= 190);
    t_wait_closed(busy);
    t_sleep_ms(100);
    assert_int_equal(t_count(&t).in_flight, 1); /* the exchange is still the handler's */
    t_release(&t, true);
    assert_int_equal(pthread_join(stopper.thread, NULL), 0);
    assert_true(t_now_ms() - begin_ms >= 300);
    assert_int_equal(t_count(&t).orphaned, 1);
    (void)close(busy);
    (void)close(stuck);
    t_server_stop(&t, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_connections), /* first: it forks */
        cmocka_unit_test(test_slow_head_and_body),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_never_reading),
        cmocka_unit_test(test_lent_and_not_read),
        cmocka_unit_test(test_lent_arrives),
        cmocka_unit_test(test_closing_answer_not_read),
        cmocka_unit_test(test_slow_reader_is_served),
        cmocka_unit_test(test_connection_flood),
        cmocka_unit_test(test_requests_shed),
        cmocka_unit_test(test_memory_shed),
        cmocka_unit_test(test_memory_of_answers),
        cmocka_unit_test(test_no_descriptors),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
