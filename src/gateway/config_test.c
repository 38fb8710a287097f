#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LISTENERS "\"listeners\":[{\"address\":\"127.0.0.1:8080\"}]"
#define UPSTREAMS "\"upstreams\":{\"api\":{\"endpoints\":[\"10.0.0.1:80\"]}}"
#define ROUTES    "\"routes\":[{\"name\":\"all\",\"upstream\":\"api\"}]"

static void
t_refused(const char *text, const char *expected)
{
    struct gateway_config *config = NULL;
    char message[GATEWAY_MESSAGE_SIZE];
    assert_int_not_equal(gateway_config_read(span_from_cstr(text), &config, message), ERR_OK);
    assert_null(config);
    if (strstr(message, expected) == NULL) {
        fail_msg("'%s' does not tell '%s'", message, expected);
    }
}

static struct gateway_config *
t_read(const char *text)
{
    struct gateway_config *config = NULL;
    char message[GATEWAY_MESSAGE_SIZE];
    err_t result = gateway_config_read(span_from_cstr(text), &config, message);
    assert_string_equal(message, "");
    assert_int_equal(result, ERR_OK);
    return config;
}

static void
t_smallest(void **state)
{
    (void)state;
    struct gateway_config *config = t_read("{" LISTENERS "," UPSTREAMS "," ROUTES "}");
    assert_int_equal(config->listener_count, 1);
    assert_int_equal(config->listeners[0].body_max, 1 << 20);
    assert_int_equal(config->upstreams[0].timeout, 30000);
    assert_string_equal(config->routes[0].path_span.data, "/");
    assert_int_equal(config->routes[0].class, GATEWAY_CLASS_NORMAL);
    assert_int_equal(config->drain_delay, 5000);
    assert_string_equal(config->redis.address, "");
    gateway_config_destroy(&config);
}

static void
t_everything(void **state)
{
    (void)state;
    struct gateway_config *config = t_read(
        "{" LISTENERS ",\"admin\":{\"address\":\"127.0.0.1:9\"},"
        "\"upstreams\":{\"api\":{\"endpoints\":[\"10.0.0.1:80\",{\"address\":\"[::1]:81\","
        "\"weight\":3,\"priority\":1}],\"policy\":\"hash\",\"health_path\":\"/readyz\","
        "\"shed_latency\":\"250ms\",\"tls\":true},\"b\":{\"dns\":\"b.internal:80\"},"
        "\"c\":{\"file\":\"endpoints\"}},"
        "\"routes\":[{\"name\":\"r\",\"path_prefix\":\"/v1\",\"upstream\":\"api\",\"class\":"
        "\"critical\",\"methods\":[\"POST\"],\"keys\":[\"secret\"],\"set_headers\":{\"X-A\":\"b\"},"
        "\"remove_headers\":[\"X-C\"],\"response_set_headers\":{\"X-D\":\"e\"},\"allow\":"
        "[\"10.0.0.0/8\"],\"deny\":[\"10.1.0.0/16\"],\"cors\":{\"origins\":[\"https://"
        "shop.test\"]},"
        "\"limits\":{\"rate\":100,\"key_rate\":10,\"key_concurrent\":5}}],"
        "\"keys\":[{\"match\":\"sk_live_...Ab3d\",\"rate\":5,\"allow\":[\"192.0.2.0/24\"]}],"
        "\"limits\":{\"key_rate\":100},\"trusted_proxies\":[\"10.0.0.0/8\",\"::1\"],"
        "\"redis\":{\"address\":\"127.0.0.1:6379\",\"timeout\":\"5ms\"},\"access_log\":\"off\"}");
    const struct gateway_route *route = &config->routes[0];
    assert_int_equal(config->upstream_count, 3);
    assert_int_equal(config->upstreams[0].endpoints[1].weight, 3);
    assert_int_equal(config->upstreams[0].shed_latency, 250);
    assert_int_equal(route->limits.all.interval_ns, 10000000);
    assert_int_equal(route->limits.key.concurrent, 5);
    assert_int_equal(route->networks.deny_count, 1);
    assert_int_equal(route->cors->origin_count, 1);
    assert_int_equal(route->kinds, 1U << GATEWAY_KEY_SECRET);
    assert_int_equal(config->keys[0].rule.interval_ns, 200000000);
    assert_int_equal(config->trusted_count, 2);
    assert_int_equal(config->redis.timeout, 5);
    gateway_config_destroy(&config);
}

/* CONFIG-1: by line, path and reason. */
static void
t_mistakes(void **state)
{
    (void)state;
    t_refused("", "line 1: The JSON text ends too early.");
    t_refused("{\n\"listeners\": [\n{,", "line 3: ");
    t_refused("{\"listeners\":1}", "line 1: listeners: must be a list");
    t_refused("{}", "listeners: there must be at least one");
    t_refused("{" LISTENERS "}", "upstreams: there must be at least one");
    t_refused("{" LISTENERS "," UPSTREAMS "}", "routes: there must be at least one");
    t_refused("{" LISTENERS "," UPSTREAMS "," ROUTES ",\n\"colour\":1}", "line 2: colour: ");
    t_refused(
        "{" LISTENERS ",\n" UPSTREAMS ",\n\"routes\":[{\"name\":\"a\",\"upstream\":\"api\"},\n"
        "{\"name\":\"b\",\"upstream\":\"api\",\n\"timeout\":\"soon\"}]}",
        "line 5: routes[1].timeout: setting 'timeout' must be a duration");
    t_refused(
        "{" LISTENERS "," UPSTREAMS ",\"routes\":[{\"name\":\"a\",\"upstream\":\"nobody\"}]}",
        "routes[0]: there is no upstream 'nobody'");
    t_refused(
        "{" LISTENERS "," UPSTREAMS ",\"routes\":[{\"name\":\"a\"}]}",
        "must have upstream or split");
    t_refused(
        "{" LISTENERS "," UPSTREAMS ",\"routes\":[{\"name\":\"a\",\"upstream\":\"api\",\"limits\":"
        "{\"rate\":-1}}]}",
        "routes[0].limits.rate: setting 'rate' must be at least 0");
    t_refused(
        "{" LISTENERS "," UPSTREAMS "," ROUTES ",\"trusted_proxies\":[\"10.0.0.1/8\"]}",
        "trusted_proxies[0]: must be an address or a network");
    t_refused(
        "{\"listeners\":[{\"address\":\"127.0.0.1:1\",\"certificate\":\"a\"}]}",
        "listeners[0]: certificate and key go together");
    t_refused(
        "{\"listeners\":[{\"address\":\"localhost:1\"}]}", "listeners[0]: address must be IP:PORT");
    t_refused(
        "{" LISTENERS ",\"upstreams\":{\"api\":{\"endpoints\":[\"a:1\",\"a:1\"]}}}",
        "upstreams.api.endpoints[1]: is there twice");
    t_refused(
        "{" LISTENERS ",\"upstreams\":{\"api\":{\"endpoints\":[\"a:1\"],\"dns\":\"b:1\"}}}",
        "upstreams.api: must have endpoints, dns or file, and only one of them");
    t_refused(
        "{" LISTENERS ",\"upstreams\":{\"api\":{\"endpoints\":[\"a:1\"],\"policy\":\"best\"}}}",
        "policy is none of those");
    t_refused(
        "{" LISTENERS "," UPSTREAMS "," ROUTES ",\"redis\":{\"address\":\"redis.internal:6379\"}}",
        "redis: address must be IP:PORT");
    t_refused(
        "{" LISTENERS "," UPSTREAMS "," ROUTES ",\"keys\":[{\"match\":\"sk_live_...b\"}]}",
        "keys[0]");
}

/* What would have no effect was meant to have one: less protection than there seems to be. */
static void
t_settings_without_effect(void **state)
{
    (void)state;
    t_refused(
        "{" LISTENERS "," UPSTREAMS "," ROUTES ",\n\"limits\":{\"key_burst\":5}}",
        "line 2: limits: key_burst without key_rate limits nothing");
    t_refused(
        "{" LISTENERS "," UPSTREAMS ",\"routes\":[{\"name\":\"a\",\"upstream\":\"api\",\"limits\":"
        "{\"rate\":1,\"address_burst\":5}}]}",
        "routes[0].limits: address_burst without address_rate");
    t_refused(
        "{" LISTENERS "," UPSTREAMS "," ROUTES
        ",\"keys\":[{\"match\":\"sk_live_...Ab3d\",\"burst\":5}]}",
        "keys[0]: burst without rate");
    t_refused(
        "{" LISTENERS ",\"upstreams\":{\"api\":{\"endpoints\":[\"a:1\"],\"tls_ca\":\"ca.pem\"}}}",
        "upstreams.api: tls_ca without tls: the endpoints would be spoken to in the clear");
    t_refused(
        "{" LISTENERS "," UPSTREAMS ",\n\"routes\":[{\"name\":\"a\",\"upstream\":\"api\",\n"
        "\"sticky\":\"key\"}]}",
        "line 3: routes[0].sticky: without split there is nothing to choose");
    t_refused(
        "{" LISTENERS "," UPSTREAMS ",\n\"routes\":[{\"name\":\"a\",\"upstream\":\"api\",\n"
        "\"cors\":{\"max_age\":\"1h\"}}]}",
        "line 3: routes[0].cors: has no origins: no browser may read anything");
}

/* The operators' address has neither TLS nor keys: two sockets there cannot be told apart. */
static void
t_addresses_that_meet(void **state)
{
    (void)state;
#define TWO(listener, admin)                                                                       \
    "{\"listeners\":[{\"address\":\"127.0.0.1:1\"},\n{\"address\":\"" listener                     \
    "\"}],\"admin\":{\"address\":\"" admin "\"}," UPSTREAMS "," ROUTES "}"
    static const char *const meet[] = {
        TWO("127.0.0.1:9900", "127.0.0.1:9900"),
        TWO("0.0.0.0:9900", "127.0.0.1:9900"),
        TWO("10.0.0.1:9900", "0.0.0.0:9900"),
        TWO("[::]:9900", "[::]:9900"),
        TWO("[::]:9900", "[::1]:9900"),
    };
    static const char *const apart[] = {
        TWO("127.0.0.1:0", "127.0.0.1:0"),
        TWO("127.0.0.2:9900", "127.0.0.1:9900"),
        TWO("0.0.0.0:9901", "127.0.0.1:9900"),
        TWO("0.0.0.0:9900", "[::1]:9900"),
    };
#undef TWO
    for (size_t i = 0; i < sizeof(meet) / sizeof(meet[0]); i++) {
        t_refused(meet[i], "line 2: listeners[1].address: is the operators' too (admin.address)");
    }
    for (size_t i = 0; i < sizeof(apart) / sizeof(apart[0]); i++) {
        struct gateway_config *config = t_read(apart[i]);
        gateway_config_destroy(&config);
    }
}

/* A route that no request reaches, and pairs that look so and are not. */
static void
t_routes_that_never_match(void **state)
{
    (void)state;
#define PAIR(a, b)                                                                                 \
    "{" LISTENERS "," UPSTREAMS ",\"routes\":[{\"name\":\"a\",\"upstream\":\"api\"" a              \
    "},\n{\"name\":\"b\",\"upstream\":\"api\"" b "}]}"
    static const char *const never[] = {
        PAIR("", ""),
        PAIR(",\"path_prefix\":\"/v1\"", ",\"path_prefix\":\"/v1\""),
        PAIR(",\"path\":\"/a\"", ",\"path\":\"/a\",\"public\":true"),
        PAIR(",\"methods\":[\"GET\",\"POST\"]", ",\"methods\":[\"GET\"]"),
        PAIR(",\"host\":\"a.example.com\"", ",\"host\":\"A.example.com\""),
        PAIR(",\"mode\":\"test\"", ",\"mode\":\"test\""),
        PAIR(",\"headers\":{\"X-A\":\"*\"}", ",\"headers\":{\"x-a\":\"1\"}"),
    };
    static const char *const both[] = {
        PAIR(",\"path_prefix\":\"/v1\"", ",\"path_prefix\":\"/v1/\""),
        PAIR(",\"path_prefix\":\"/v1\"", ""),
        PAIR("", ",\"path_prefix\":\"/v1\""),
        PAIR("", ",\"methods\":[\"GET\"]"),
        PAIR(",\"methods\":[\"GET\"]", ",\"methods\":[\"GET\",\"POST\"]"),
        PAIR(",\"methods\":[\"GET\"]", ""),
        PAIR(",\"mode\":\"test\"", ",\"mode\":\"live\""),
        PAIR(",\"mode\":\"test\"", ""),
        PAIR(",\"host\":\"*.example.com\"", ",\"host\":\"*.com\""),
        PAIR(",\"headers\":{\"X-A\":\"1\"}", ",\"headers\":{\"X-A\":\"*\"}"),
        PAIR(",\"headers\":{\"X-A\":\"1\"}", ",\"headers\":{\"X-B\":\"1\"}"),
    };
#undef PAIR
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        t_refused(never[i], "line 2: routes[1]: can never match: 'a' takes all its requests");
    }
    for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
        struct gateway_config *config = t_read(both[i]);
        assert_int_equal(config->route_count, 2);
        gateway_config_destroy(&config);
    }
}

static void
t_route_mistakes(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"path\":\"/a//b\"", "path is not as paths are compared"},
        {"\"path\":\"/%61\"", "path is not as paths are compared"},
        {"\"path\":\"/a\",\"path_prefix\":\"/b\"", "not both"},
        {"\"host\":\"a/b\"", "host is not a host"},
        {"\"mode\":\"prod\"", "'prod' is none of the words"},
        {"\"class\":\"low\"", "'low' is none of the words"},
        {"\"sticky\":\"cookie\"", "sticky must be"},
        {"\"methods\":[\"get\"]", "routes[0].methods: has none of GET"},
        {"\"keys\":[\"any\"]", "has none of secret"},
        {"\"set_headers\":{\"Host\":\"x\"}", "the gateway decides about itself"},
        {"\"set_headers\":{\"X-A\":\"a\\r\\nb\"}", "routes[0].set_headers.X-A"},
        {"\"set_headers\":{\"X A\":\"a\"}", "is not the name of a header"},
        {"\"allow\":[\"here\"]", "routes[0].allow[0]"},
        {"\"public\":true,\"mode\":\"live\"", "a public route has no mode"},
        {"\"colour\":\"red\"", "unknown setting 'colour'"},
        {"\"timeout\":1.5", "must be a text, a whole number"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[1024];
        (void)snprintf(
            text,
            sizeof(text),
            "{" LISTENERS "," UPSTREAMS ",\"routes\":[{\"name\":\"a\",\"upstream\":\"api\",%s}]}",
            cases[i][0]);
        t_refused(text, cases[i][1]);
    }
}

/* What a reload compares: the endpoints may change without a new upstream. */
static void
t_fingerprints(void **state)
{
    (void)state;
    struct gateway_config *a = t_read("{" LISTENERS "," UPSTREAMS "," ROUTES "}");
    struct gateway_config *b =
        t_read("{" LISTENERS
               ",\n \"upstreams\": {\"api\": {\"endpoints\": [\"10.0.0.2:80\"]}}," ROUTES "}");
    struct gateway_config *c = t_read(
        "{" LISTENERS
        ",\"upstreams\":{\"api\":{\"endpoints\":[\"10.0.0.1:80\"],\"timeout\":\"9s\"}}," ROUTES
        "}");
    assert_int_equal(a->upstreams[0].fingerprint, b->upstreams[0].fingerprint);
    assert_int_not_equal(a->upstreams[0].fingerprint, c->upstreams[0].fingerprint);
    gateway_config_destroy(&a);
    gateway_config_destroy(&b);
    gateway_config_destroy(&c);
}

/* The manual names every key. */
static void
t_help(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1U << 20);
    gateway_config_help(&out);
    assert_false(buf_failed(&out));
    buf_append_byte(&out, '\0');
    assert_non_null(strstr(out.data, "routes[].limits"));
    assert_non_null(strstr(out.data, "address_concurrent"));
    buf_release(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_smallest),
        cmocka_unit_test(t_everything),
        cmocka_unit_test(t_mistakes),
        cmocka_unit_test(t_settings_without_effect),
        cmocka_unit_test(t_addresses_that_meet),
        cmocka_unit_test(t_routes_that_never_match),
        cmocka_unit_test(t_route_mistakes),
        cmocka_unit_test(t_fingerprints),
        cmocka_unit_test(t_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
