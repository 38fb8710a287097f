#include "match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BEGIN                                                                                      \
    "{\"listeners\":[{\"address\":\"127.0.0.1:0\"}],\"upstreams\":{\"a\":{\"endpoints\":"          \
    "[\"127.0.0.1:1\"]},\"b\":{\"endpoints\":[\"127.0.0.1:2\"]}},\"routes\":["
#define END "]}"

static struct gateway_config *
t_config(const char *routes)
{
    char text[8192];
    char message[GATEWAY_MESSAGE_SIZE];
    struct gateway_config *config = NULL;
    (void)snprintf(text, sizeof(text), BEGIN "%s" END, routes);
    err_t result = gateway_config_read(span_from_cstr(text), &config, message);
    assert_string_equal(message, "");
    assert_int_equal(result, ERR_OK);
    return config;
}

/* The name of the route that a request takes; "" if none. */
static const char *
t_route(
    const struct gateway_config *config,
    const char *host,
    const char *method,
    const char *path,
    const char *lines,
    const char *key)
{
    static const struct http_limits limits = {
        .target = 1024, .head = 16384, .fields = 32, .body = 1};
    static char text[4096];
    static struct http_parser parser;
    (void)snprintf(
        text, sizeof(text), "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", method, path, host, lines);
    http_parser_begin_request(&parser, &limits);
    assert_int_equal(http_parser_feed(&parser, span_from_cstr(text)), HTTP_DONE);
    struct gateway_match_request request = {
        .host = span_from_cstr(host),
        .path = span_from_cstr(path),
        .method = parser.head.method,
        .kind = key == NULL ? GATEWAY_KEY_NONE : GATEWAY_KEY_SECRET,
        .live = key != NULL && strstr(key, "live") != NULL,
        .head = &parser.head,
    };
    bool other_method;
    const struct gateway_route *route = gateway_match(config, &request, &other_method);
    return route == NULL ? (other_method ? "METHOD" : "") : route->name;
}

static void
t_paths(void **state)
{
    (void)state;
    struct gateway_config *config =
        t_config("{\"name\":\"v1\",\"path_prefix\":\"/v1\",\"upstream\":\"a\"},"
                 "{\"name\":\"charges\",\"path_prefix\":\"/v1/charges\",\"upstream\":\"a\"},"
                 "{\"name\":\"search\",\"path\":\"/v1/charges/search\",\"upstream\":\"b\"},"
                 "{\"name\":\"below\",\"path_prefix\":\"/pages/\",\"upstream\":\"b\"}");
    assert_string_equal(t_route(config, "h", "GET", "/v1/charges/search", "", NULL), "search");
    assert_string_equal(t_route(config, "h", "GET", "/v1/charges/searching", "", NULL), "charges");
    assert_string_equal(t_route(config, "h", "GET", "/v1/charges", "", NULL), "charges");
    assert_string_equal(t_route(config, "h", "GET", "/v1/chargesx", "", NULL), "v1");
    assert_string_equal(t_route(config, "h", "GET", "/v1", "", NULL), "v1");
    assert_string_equal(t_route(config, "h", "GET", "/v1x", "", NULL), "");
    assert_string_equal(t_route(config, "h", "GET", "/pages", "", NULL), "");
    assert_string_equal(t_route(config, "h", "GET", "/pages/x", "", NULL), "below");
    assert_string_equal(t_route(config, "h", "GET", "/", "", NULL), "");
    gateway_config_destroy(&config);
}

static void
t_hosts(void **state)
{
    (void)state;
    struct gateway_config *config =
        t_config("{\"name\":\"any\",\"path\":\"/exact/path\",\"upstream\":\"a\"},"
                 "{\"name\":\"wild\",\"host\":\"*.example.com\",\"upstream\":\"a\"},"
                 "{\"name\":\"wilder\",\"host\":\"*.eu.example.com\",\"upstream\":\"a\"},"
                 "{\"name\":\"api\",\"host\":\"api.example.com\",\"upstream\":\"b\"}");
    assert_string_equal(t_route(config, "api.example.com", "GET", "/exact/path", "", NULL), "api");
    assert_string_equal(t_route(config, "API.Example.COM", "GET", "/x", "", NULL), "api");
    assert_string_equal(t_route(config, "a.example.com", "GET", "/x", "", NULL), "wild");
    assert_string_equal(t_route(config, "a.eu.example.com", "GET", "/x", "", NULL), "wilder");
    assert_string_equal(t_route(config, "example.com", "GET", "/x", "", NULL), "");
    assert_string_equal(t_route(config, ".example.com", "GET", "/x", "", NULL), "");
    assert_string_equal(t_route(config, "evilexample.com", "GET", "/x", "", NULL), "");
    assert_string_equal(t_route(config, "other.org", "GET", "/exact/path", "", NULL), "any");
    gateway_config_destroy(&config);
}

static void
t_headers_methods_modes(void **state)
{
    (void)state;
    struct gateway_config *config = t_config(
        "{\"name\":\"plain\",\"path_prefix\":\"/v1\",\"upstream\":\"a\"},"
        "{\"name\":\"canary\",\"path_prefix\":\"/v1\",\"headers\":{\"X-Canary\":\"yes\"},"
        "\"upstream\":\"b\"},"
        "{\"name\":\"both\",\"path_prefix\":\"/v1\",\"headers\":{\"X-Canary\":\"yes\",\"X-B\":"
        "\"*\"},\"upstream\":\"b\"},"
        "{\"name\":\"live\",\"path_prefix\":\"/v1\",\"mode\":\"live\",\"upstream\":\"b\"},"
        "{\"name\":\"write\",\"path_prefix\":\"/w\",\"methods\":[\"POST\",\"DELETE\"],"
        "\"upstream\":\"b\"}");
    assert_string_equal(t_route(config, "h", "GET", "/v1/a", "", "test"), "plain");
    assert_string_equal(
        t_route(config, "h", "GET", "/v1/a", "x-canary: yes\r\n", "test"), "canary");
    assert_string_equal(t_route(config, "h", "GET", "/v1/a", "x-canary: no\r\n", "test"), "plain");
    assert_string_equal(
        t_route(config, "h", "GET", "/v1/a", "x-canary: yes\r\nx-b: 1\r\n", "test"), "both");
    assert_string_equal(t_route(config, "h", "GET", "/v1/a", "", "live"), "live");
    assert_string_equal(t_route(config, "h", "GET", "/v1/a", "", NULL), "plain");
    assert_string_equal(t_route(config, "h", "POST", "/w/a", "", NULL), "write");
    assert_string_equal(t_route(config, "h", "GET", "/w/a", "", NULL), "METHOD");
    gateway_config_destroy(&config);
}

static void
t_split(void **state)
{
    (void)state;
    struct gateway_config *config = t_config(
        "{\"name\":\"s\",\"split\":[{\"upstream\":\"a\",\"weight\":95},{\"upstream\":\"b\","
        "\"weight\":5}]},"
        "{\"name\":\"k\",\"path\":\"/"
        "k\",\"sticky\":\"key\",\"split\":[{\"upstream\":\"a\",\"weight\":"
        "3},{\"upstream\":\"b\",\"weight\":1}]}");
    const struct gateway_route *plain = &config->routes[1];
    const struct gateway_route *sticky = &config->routes[0];
    assert_string_equal(plain->name, "s");
    uint32_t got = 0;
    uint32_t longest = 0;
    uint32_t run = 0;
    for (uint64_t turn = 0; turn < 100; turn++) {
        uint32_t upstream = gateway_split_choose(plain, 0, turn);
        got += upstream;
        run = upstream == 1 ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    assert_int_equal(got, 5); /* exact in each period */
    assert_int_equal(longest, 1);
    uint32_t second = 0;
    for (uint64_t hash = 0; hash < 10000; hash++) {
        uint32_t first = gateway_split_choose(sticky, hash, hash);
        assert_int_equal(first, gateway_split_choose(sticky, hash, hash + 77));
        second += first;
    }
    assert_in_range(second, 2300, 2700);
    gateway_config_destroy(&config);
}

static void
t_rewritten(const struct gateway_route *route, const char *path, const char *expected)
{
    struct buf out;
    buf_init(&out, 256);
    gateway_rewrite_path(route, span_from_cstr(path), &out);
    assert_true(span_equal_cstr(buf_span(&out), expected));
    buf_release(&out);
}

static void
t_rewrites(void **state)
{
    (void)state;
    struct gateway_config *config = t_config(
        "{\"name\":\"one\",\"path_prefix\":\"/pay\",\"rewrite_prefix\":\"/v1\",\"upstream\":\"a\"},"
        "{\"name\":\"two\",\"path_prefix\":\"/root/\",\"rewrite_prefix\":\"/\",\"upstream\":\"a\"},"
        "{\"name\":\"four\",\"path_prefix\":\"/c/\",\"rewrite_prefix\":\"/d\",\"upstream\":\"a\"},"
        "{\"name\":\"five\",\"path_prefix\":\"/e\",\"rewrite_prefix\":\"/f/\",\"upstream\":\"a\"},"
        "{\"name\":\"three\",\"path_prefix\":\"/same\",\"upstream\":\"a\"}");
    for (size_t i = 0; i < config->route_count; i++) {
        const struct gateway_route *route = &config->routes[i];
        if (strcmp(route->name, "one") == 0) {
            t_rewritten(route, "/pay", "/v1");
            t_rewritten(route, "/pay/charges/x", "/v1/charges/x");
        } else if (strcmp(route->name, "two") == 0) {
            t_rewritten(route, "/root/a/b", "/a/b");
        } else if (strcmp(route->name, "four") == 0) {
            t_rewritten(route, "/c/a", "/d/a");
            t_rewritten(route, "/c/", "/d");
        } else if (strcmp(route->name, "five") == 0) {
            t_rewritten(route, "/e/a", "/f/a");
        } else {
            t_rewritten(route, "/same/a", "/same/a");
        }
    }
    gateway_config_destroy(&config);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_paths),
        cmocka_unit_test(t_hosts),
        cmocka_unit_test(t_headers_methods_modes),
        cmocka_unit_test(t_split),
        cmocka_unit_test(t_rewrites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
