/* A server that takes over another's socket, idle connections of one that stops, sockets watched
 * for other libraries. */
#include "testing.h"

#include "net/watch.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char request[] = "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n";

static void
answer_status(void *context, struct net_exchange *first)
{
    unsigned status = *(unsigned *)context;
    for (struct net_exchange *one = first; one != NULL; one = one->next) {
        one->answer.status = status;
    }
    net_answer(first);
}

static unsigned
t_ask(uint16_t port)
{
    char text[4096];
    int fd = t_connect(port);
    t_send_text(fd, request);
    (void)t_read_count(fd, text, sizeof(text), "\r\n\r\n", 1);
    (void)close(fd);
    return t_status(text);
}

static void
t_beside(void **state)
{
    (void)state;
    struct net_loop *loop;
    struct net_server *servers[2];
    unsigned statuses[2] = {201, 202};
    uint16_t port;
    assert_int_equal(net_loop_create("test", &loop), ERR_OK);
    for (int i = 0; i < 2; i++) {
        struct net_server_hooks hooks = {.context = &statuses[i], .on_requests = answer_status};
        assert_int_equal(
            net_server_create(loop, &net_server_settings_default, &hooks, &servers[i]), ERR_OK);
    }
    assert_int_equal(
        net_server_listen(servers[0], &(struct net_listen){.address = "127.0.0.1"}, &port), ERR_OK);
    assert_int_equal(net_loop_start(loop), ERR_OK);
    net_server_start(servers[0]);
    assert_int_equal(t_ask(port), 201);
    assert_int_equal(net_server_listen_beside(servers[1], servers[0], 0, NULL), ERR_OK);
    net_server_start(servers[1]);
    net_server_stop(servers[0], 1000);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(t_ask(port), 202);
    }
    net_server_stop(servers[1], 1000);
    net_loop_stop(loop);
    net_server_destroy(&servers[0]);
    net_server_destroy(&servers[1]);
    net_loop_destroy(&loop);
}

static void *
stop_in_thread(void *context)
{
    t_server_stop(context, 10000);
    return NULL;
}

/* A connection without a request may still send one while the server stops, and is answered. */
static void
t_idle_connections(void **state)
{
    (void)state;
    static struct t_server t;
    char text[4096];
    bool closed;
    struct net_server_settings settings = net_server_settings_default;
    settings.drain_idle_ms = 5000;
    t_server_start(&t, &settings, NULL);
    int fd = t_connect(t.port);
    t_send_text(fd, request);
    (void)t_read_count(fd, text, sizeof(text), "\r\n\r\n", 1);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_in_thread, &t), 0);
    /* It stops when it takes no connection any more. */
    struct timespec pause = {.tv_nsec = 20000000};
    (void)nanosleep(&pause, NULL);
    t_send_text(fd, request);
    size_t size = t_read(fd, text, sizeof(text), T_WAIT_MS, &closed);
    assert_true(size > 0);
    assert_true(closed);
    assert_int_equal(t_status(text), 200);
    (void)close(fd);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

struct watched {
    struct os_task task;
    struct net_loop *loop;
    struct net_watch *watch;
    int fd;
    char got[8];
    uv_sem_t done;
};

static void
on_ready(void *context, unsigned events)
{
    struct watched *watched = context;
    if ((events & NET_WATCH_READ) == 0) {
        net_watch_set(watched->watch, NET_WATCH_READ);
        return;
    }
    ssize_t size = read(watched->fd, watched->got, sizeof(watched->got) - 1);
    if (size <= 0) {
        net_watch_destroy(&watched->watch);
        uv_sem_post(&watched->done);
    }
}

static void
on_watch(struct os_task *task)
{
    struct watched *watched = (struct watched *)task;
    err_t result = net_watch_create(watched->loop, watched->fd, on_ready, watched, &watched->watch);
    assert_int_equal(result, ERR_OK);
    net_watch_set(watched->watch, NET_WATCH_WRITE);
}

static void
t_watch(void **state)
{
    (void)state;
    static struct watched watched;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(uv_sem_init(&watched.done, 0), 0);
    assert_int_equal(net_loop_create("test", &watched.loop), ERR_OK);
    assert_int_equal(net_loop_start(watched.loop), ERR_OK);
    watched.fd = pair[0];
    watched.task.run = on_watch;
    os_post(net_loop_executor(watched.loop), &watched.task);
    assert_int_equal(write(pair[1], "hello", 5), 5);
    assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
    uv_sem_wait(&watched.done);
    assert_string_equal(watched.got, "hello");
    assert_null(watched.watch);
    net_loop_stop(watched.loop);
    net_loop_destroy(&watched.loop);
    (void)close(pair[0]);
    (void)close(pair[1]);
    uv_sem_destroy(&watched.done);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_beside),
        cmocka_unit_test(t_idle_connections),
        cmocka_unit_test(t_watch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
