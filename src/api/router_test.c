#include "router.h"

#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct resource_route charges[] = {
    {.method = "GET", .pattern = "/v1/charges"},
    {.method = "POST", .pattern = "/v1/charges"},
    {.method = "GET", .pattern = "/v1/charges/:id"},
    {.method = "GET", .pattern = "/v1/charges/search"},
    {.method = "POST", .pattern = "/v1/charges/:id/capture"},
};
static const struct resource_route customers[] = {
    {.method = "GET", .pattern = "/v1/customers/:customer/methods/:method"},
    {.method = "DELETE", .pattern = "/v1/customers/:customer"},
    {.method = "GET", .pattern = "/v1/customers/:customer/methods"},
};
static const struct api_routes tables[] = {{charges, 5}, {customers, 3}};

struct world {
    struct api_router router;
    struct arena arena;
    struct api_match match;
};

static int
setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    arena_init(&world->arena, 4096);
    assert_int_equal(api_router_init(&world->router, tables, 2), ERR_OK);
    *state = world;
    return 0;
}

static int
teardown(void **state)
{
    struct world *world = *state;
    arena_release(&world->arena);
    free(world);
    return 0;
}

static enum api_match_outcome
t_find(struct world *world, const char *method, const char *path)
{
    world->match = (struct api_match){.route = NULL};
    return api_router_find(
        &world->router, span_from_cstr(method), span_from_cstr(path), &world->arena, &world->match);
}

static void
t_is_route(struct world *world, const char *method, const char *path, const char *pattern)
{
    assert_int_equal(t_find(world, method, path), API_MATCHED);
    if (world->match.route == NULL) {
        fail_msg("no route");
        return;
    }
    assert_string_equal(world->match.route->pattern, pattern);
    assert_string_equal(world->match.route->method, method);
    assert_ptr_equal(world->router.patterns[world->match.index].route, world->match.route);
}

static void
test_words(void **state)
{
    struct world *world = *state;
    t_is_route(world, "GET", "/v1/charges", "/v1/charges");
    t_is_route(world, "POST", "/v1/charges", "/v1/charges");
    t_is_route(world, "GET", "/v1/charges/", "/v1/charges"); /* one slash at the end is allowed */
}

static void
test_captures(void **state)
{
    struct world *world = *state;
    t_is_route(world, "GET", "/v1/charges/ch_1", "/v1/charges/:id");
    assert_true(span_equal_cstr(world->match.captures[0], "ch_1"));
    assert_int_equal(world->match.captures[1].size, 0);
    t_is_route(
        world,
        "GET",
        "/v1/customers/cus_1/methods/pm_2",
        "/v1/customers/:customer/methods/:method");
    assert_true(span_equal_cstr(world->match.captures[0], "cus_1"));
    assert_true(span_equal_cstr(world->match.captures[1], "pm_2"));
    t_is_route(world, "POST", "/v1/charges/ch_1/capture", "/v1/charges/:id/capture");
}

static void
test_word_wins_over_capture(void **state)
{
    struct world *world = *state;
    t_is_route(world, "GET", "/v1/charges/search", "/v1/charges/search");
    /* ... whose method is another one: the capture's route is not taken for it. */
    t_is_route(world, "DELETE", "/v1/customers/search", "/v1/customers/:customer");
}

static void
test_captures_are_decoded(void **state)
{
    struct world *world = *state;
    t_is_route(world, "GET", "/v1/charges/c%68_%31", "/v1/charges/:id");
    assert_true(span_equal_cstr(world->match.captures[0], "ch_1"));
}

static void
test_words_are_not_decoded(void **state)
{
    struct world *world = *state;
    assert_int_equal(t_find(world, "GET", "/v1/%63harges"), API_NO_PATH);
}

static void
test_no_path(void **state)
{
    struct world *world = *state;
    assert_int_equal(t_find(world, "GET", "/"), API_NO_PATH);
    assert_int_equal(t_find(world, "GET", "/v1"), API_NO_PATH);
    assert_int_equal(t_find(world, "GET", "/v2/charges"), API_NO_PATH);
    assert_int_equal(t_find(world, "GET", "/v1/chargesx"), API_NO_PATH);
    assert_int_equal(t_find(world, "GET", "/v1/charge"), API_NO_PATH);
    assert_int_equal(t_find(world, "GET", "/V1/charges"), API_NO_PATH);
    assert_int_equal(t_find(world, "POST", "/v1/charges/ch_1/capture/x"), API_NO_PATH);
    assert_int_equal(t_find(world, "GET", "/a/b/c/d/e/f/g/h"), API_NO_PATH);
    assert_int_equal(t_find(world, "GET", "/a/b/c/d/e/f/g/h/i/j/k"), API_NO_PATH);
}

static void
test_no_method(void **state)
{
    struct world *world = *state;
    assert_int_equal(t_find(world, "PUT", "/v1/charges"), API_NO_METHOD);
    assert_int_equal(t_find(world, "get", "/v1/charges"), API_NO_METHOD);
    assert_int_equal(t_find(world, "HEAD", "/v1/charges"), API_NO_METHOD);
    assert_int_equal(t_find(world, "GET", "/v1/charges/ch_1/capture"), API_NO_METHOD);
}

static void
test_bad_path(void **state)
{
    struct world *world = *state;
    assert_int_equal(t_find(world, "GET", "/v1//charges"), API_BAD_PATH);
    assert_int_equal(t_find(world, "GET", "/v1/charges/../customers"), API_BAD_PATH);
    assert_int_equal(t_find(world, "GET", "/v1/charges/%2e%2e"), API_BAD_PATH);
    assert_int_equal(t_find(world, "GET", "/v1/charges/a%2Fcapture"), API_BAD_PATH);
    assert_int_equal(t_find(world, "GET", "/v1/charges/a%00"), API_BAD_PATH);
    assert_int_equal(t_find(world, "GET", "v1/charges"), API_BAD_PATH);
}

static void
test_full_arena_names_nothing(void **state)
{
    struct world *world = *state;
    while (arena_alloc(&world->arena, 64) != NULL) {
    }
    t_is_route(world, "GET", "/v1/charges/%63h_1", "/v1/charges/:id");
    assert_int_equal(world->match.captures[0].size, 0);
}

static void
test_too_many_routes(void **state)
{
    (void)state;
    struct resource_route *routes = calloc(API_ROUTES_MAX + 1, sizeof(*routes));
    char(*names)[32] = calloc(API_ROUTES_MAX + 1, sizeof(*names));
    struct api_router *router = calloc(1, sizeof(*router));
    assert_true(routes != NULL && names != NULL && router != NULL);
    for (unsigned i = 0; i <= API_ROUTES_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "/v1/r%u", i);
        routes[i] = (struct resource_route){.method = "GET", .pattern = names[i]};
    }
    const struct api_routes fits = {routes, API_ROUTES_MAX};
    const struct api_routes too_many = {routes, API_ROUTES_MAX + 1};
    assert_int_equal(api_router_init(router, &fits, 1), ERR_OK);
    assert_int_equal(api_router_init(router, &too_many, 1), ERR_FULL);
    free(router);
    free(names);
    free(routes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_captures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_word_wins_over_capture, setup, teardown),
        cmocka_unit_test_setup_teardown(test_captures_are_decoded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_words_are_not_decoded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_path, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_method, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_path, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_arena_names_nothing, setup, teardown),
        cmocka_unit_test(test_too_many_routes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
