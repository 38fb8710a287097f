/* Who gives way under a shortage of memory or connections (NET-13, room.c). */
#include "testing.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST      "POST /echo HTTP/1.1\r\nHost: a\r\n"

static struct t_server t;

static struct net_server_settings
short_settings(void)
{
    struct net_server_settings settings = net_server_settings_default;
    settings.memory_max = 4000000;
    settings.shortage_grace_ms = 100;
    return settings;
}

/* A small request of somebody else is answered, as soon as the others have had their time. */
static void
assert_served(void)
{
    char text[4096];
    t_sleep_ms(150);
    int fd = t_connect(t.port);
    t_send_text(fd, GET("/echo"));
    (void)t_read_count(fd, text, sizeof(text), "\r\n\r\n", 1);
    assert_int_equal(t_status(text), 200);
    (void)close(fd);
}

/* A head that announces a body has not sent it. */
static void
test_announced_bodies(void **state)
{
    enum {
        CLIENTS = 100
    };

    (void)state;
    struct net_server_settings settings = short_settings();
    settings.shortage_grace_ms = T_WAIT_MS; /* nobody has to go */
    t_server_start(&t, &settings, NULL);
    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = t_connect(t.port);
        t_send_text(fds[i], POST "Content-Length: 900001\r\n\r\n");
    }
    assert_served();
    assert_int_equal(t_count(&t).shed_memory, 0);
    for (int i = 0; i < CLIENTS; i++) {
        (void)close(fds[i]);
    }
    t_server_stop(&t, 100);
}

/* Half bodies, then half heads, until not a byte is left. */
static void
test_half_requests_give_way(void **state)
{
    enum {
        BODIES = 8,
        CLIENTS = 700
    };

    (void)state;
    struct net_server_settings settings = short_settings();
    t_server_start(&t, &settings, NULL);
    char *body = calloc(1, 600000);
    assert_non_null(body);
    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = t_connect(t.port);
        t_send_text(fds[i], i < BODIES ? POST "Content-Length: 900001\r\n\r\n" : POST);
        if (i < BODIES) {
            t_send(fds[i], body, 600000);
        }
    }
    uint64_t end_ms = t_now_ms() + T_WAIT_MS;
    while (t_count(&t).memory <= settings.memory_max && t_count(&t).gave_way == 0) {
        assert_true(t_now_ms() < end_ms);
        t_sleep_ms(1);
    }
    assert_served();
    assert_true(t_count(&t).gave_way > 0);
    for (int i = 0; i < CLIENTS; i++) {
        (void)close(fds[i]);
    }
    free(body);
    t_server_stop(&t, 100);
}

static void
test_answers_not_taken_give_way(void **state)
{
    enum {
        CLIENTS = 12
    };

    (void)state;
    struct net_server_settings settings = short_settings();
    t_server_start(&t, &settings, NULL);
    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = t_connect(t.port);
        t_send_text(fds[i], "POST /size?8000000 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    }
    uint64_t end_ms = t_now_ms() + T_WAIT_MS;
    while (t_count(&t).memory <= settings.memory_max && t_count(&t).gave_way == 0) {
        assert_true(t_now_ms() < end_ms);
        t_sleep_ms(1);
    }
    assert_served();
    assert_true(t_count(&t).gave_way > 0);
    for (int i = 0; i < CLIENTS; i++) {
        (void)close(fds[i]);
    }
    t_server_stop(&t, 100);
}

static void
test_idle_connections_give_way(void **state)
{
    (void)state;
    struct net_server_settings settings = short_settings();
    settings.connections_max = 4;
    t_server_start(&t, &settings, NULL);
    int kept[4];
    char text[4096];
    for (int i = 0; i < 4; i++) {
        kept[i] = t_connect(t.port);
        t_send_text(kept[i], i == 0 ? "GET /ec" : GET("/echo"));
        if (i > 0) {
            (void)t_read_count(kept[i], text, sizeof(text), "\r\n\r\n", 1);
        }
    }
    assert_served();
    assert_int_equal(t_count(&t).gave_way, 1);
    t_wait_closed(kept[0]);
    (void)close(kept[0]);
    for (int i = 1; i < 4; i++) { /* the others stay */
        t_send_text(kept[i], GET("/echo"));
        (void)t_read_count(kept[i], text, sizeof(text), "\r\n\r\n", 1);
        assert_int_equal(t_status(text), 200);
        (void)close(kept[i]);
    }
    t_server_stop(&t, 100);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_announced_bodies),
        cmocka_unit_test(test_half_requests_give_way),
        cmocka_unit_test(test_answers_not_taken_give_way),
        cmocka_unit_test(test_idle_connections_give_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
