#include "console/console.h"

#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct world {
    struct http_parser parser;
    struct arena arena;
    struct net_exchange exchange;
    char text[1024];
};

/* What becomes of a request with this method, path and lines of a head. */
static bool
t_ask(struct world *world, enum http_method method, const char *path, const char *lines)
{
    static const struct http_limits limits = {
        .target = 1024, .head = 16384, .fields = 64, .body = 100};
    memset(world, 0, sizeof(*world));
    (void)snprintf(
        world->text,
        sizeof(world->text),
        "%s %s HTTP/1.1\r\nHost: tael.example\r\n%s\r\n",
        method == HTTP_METHOD_POST   ? "POST"
        : method == HTTP_METHOD_HEAD ? "HEAD"
                                     : "GET",
        path,
        lines);
    http_parser_begin_request(&world->parser, &limits);
    assert_int_equal(http_parser_feed(&world->parser, span_from_cstr(world->text)), HTTP_DONE);
    arena_init(&world->arena, 65536);
    world->exchange.method = method;
    world->exchange.path = span_from_cstr(path);
    world->exchange.head = &world->parser.head;
    world->exchange.arena = &world->arena;
    return console_answer(&world->exchange);
}

static unsigned
t_status(enum http_method method, const char *path, const char *lines)
{
    struct world world;
    assert_true(t_ask(&world, method, path, lines));
    arena_release(&world.arena);
    return world.exchange.answer.status;
}

static struct span
t_header(const struct world *world, const char *name)
{
    const struct net_answer *answer = &world->exchange.answer;
    for (size_t i = 0; i < answer->header_count; i++) {
        if (span_equal_cstr(answer->headers[i].name, name)) {
            return answer->headers[i].value;
        }
    }
    return SPAN_EMPTY;
}

static void
other_paths_are_not_the_consoles(void **state)
{
    (void)state;
    static const char *const paths[] = {"/", "/v1/balance", "/consoles", "/consol", "/v1/console/"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct world world;
        assert_false(t_ask(&world, HTTP_METHOD_GET, paths[i], ""));
        assert_int_equal(world.exchange.answer.status, 0);
        arena_release(&world.arena);
    }
}

static void
pages_have_their_types(void **state)
{
    (void)state;

    static const struct {
        const char *path, *type;
    } files[] = {
        {"/console/", "text/html; charset=utf-8"},
        {"/console/index.html", "text/html; charset=utf-8"},
        {"/console/main.js", "text/javascript; charset=utf-8"},
        {"/console/console.css", "text/css; charset=utf-8"},
        {"/console/icon.svg", "image/svg+xml"},
    };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct world world;
        assert_true(t_ask(&world, HTTP_METHOD_GET, files[i].path, ""));
        assert_int_equal(world.exchange.answer.status, 200);
        assert_true(span_equal_cstr(world.exchange.answer.content_type, files[i].type));
        assert_true(world.exchange.answer.lent.size > 100);
        assert_true(span_equal_cstr(t_header(&world, "Cache-Control"), "no-cache"));
        arena_release(&world.arena);
    }
}

/* CONSOLE-2 */
static void
every_answer_has_the_policy(void **state)
{
    (void)state;

    static const struct {
        enum http_method method;
        const char *path;
        unsigned status;
    } asked[] = {
        {HTTP_METHOD_GET, "/console/", 200},
        {HTTP_METHOD_HEAD, "/console/main.js", 200},
        {HTTP_METHOD_GET, "/console", 308},
        {HTTP_METHOD_GET, "/console/../console/", 404},
        {HTTP_METHOD_GET, "/console/nothing", 404},
        {HTTP_METHOD_GET, "/console/main.js/", 404},
        {HTTP_METHOD_POST, "/console/", 405},
        {HTTP_METHOD_POST, "/console", 405},
    };

    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        struct world world;
        assert_true(t_ask(&world, asked[i].method, asked[i].path, ""));
        assert_int_equal(world.exchange.answer.status, asked[i].status);
        struct span policy = t_header(&world, "Content-Security-Policy");
        assert_true(span_starts_with(policy, SPAN("default-src 'none'; script-src 'self'; ")));
        assert_true(span_equal_cstr(t_header(&world, "X-Content-Type-Options"), "nosniff"));
        assert_true(span_equal_cstr(t_header(&world, "Referrer-Policy"), "no-referrer"));
        arena_release(&world.arena);
    }
}

static void
a_copy_that_is_the_same_is_not_sent_again(void **state)
{
    (void)state;
    struct world world;
    char lines[512];
    assert_true(t_ask(&world, HTTP_METHOD_GET, "/console/main.js", ""));
    struct span etag = t_header(&world, "ETag");
    char tag[35];
    assert_int_equal(etag.size, sizeof(tag) - 1);
    memcpy(tag, etag.data, etag.size);
    tag[etag.size] = '\0';

    static const struct {
        const char *before, *behind;
        unsigned status;
    } known[] = {
        {"If-None-Match: ", "", 304},
        {"If-None-Match: W/", "", 304},
        {"If-None-Match: \"other\", \t", "", 304},
        {"If-None-Match: ", " , \"other\"", 304},
        {"If-None-Match: \"x", "\"", 200},
        {"If-None-Match: ,,\r\nX-Tag: ", "", 200},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        (void)snprintf(lines, sizeof(lines), "%s%s%s\r\n", known[i].before, tag, known[i].behind);
        assert_int_equal(t_status(HTTP_METHOD_GET, "/console/main.js", lines), known[i].status);
        assert_int_equal(t_status(HTTP_METHOD_GET, "/console/console.css", lines), 200);
    }
    assert_int_equal(t_status(HTTP_METHOD_HEAD, "/console/", "If-None-Match: *\r\n"), 304);
    arena_release(&world.arena);

    assert_true(t_ask(&world, HTTP_METHOD_GET, "/console/main.js", "If-None-Match: *\r\n"));
    assert_int_equal(world.exchange.answer.lent.size, 0);
    assert_int_equal(t_header(&world, "ETag").size, 34);
    arena_release(&world.arena);
}

static void
the_folder_leads_to_its_page(void **state)
{
    (void)state;
    struct world world;
    assert_true(t_ask(&world, HTTP_METHOD_GET, "/console", ""));
    assert_true(span_equal_cstr(t_header(&world, "Location"), "console/"));
    arena_release(&world.arena);
    assert_true(t_ask(&world, HTTP_METHOD_POST, "/console/", ""));
    assert_true(span_equal_cstr(t_header(&world, "Allow"), "GET, HEAD"));
    arena_release(&world.arena);
}

static void
without_memory_nothing_is_answered_wrong(void **state)
{
    (void)state;
    struct world world;
    assert_true(t_ask(&world, HTTP_METHOD_GET, "/console/", ""));
    arena_release(&world.arena);
    arena_init(&world.arena, 1);
    world.exchange.answer = (struct net_answer){.status = 0};
    assert_true(console_answer(&world.exchange));
    assert_int_equal(world.exchange.answer.status, 503);
    assert_int_equal(world.exchange.answer.lent.size, 0);
    arena_release(&world.arena);
}

static uint64_t
t_counted(unsigned status)
{
    char mark[64];
    uint64_t count = 0;
    struct buf text;
    buf_init(&text, 4096);
    console_metrics_append(&text);
    assert_false(buf_failed(&text));
    (void)snprintf(mark, sizeof(mark), "tael_console_answers_total{status=\"%u\"} ", status);
    const char *found = memmem(text.data, text.size, mark, strlen(mark));
    assert_non_null(found);
    size_t at = (size_t)(found - text.data) + strlen(mark);
    struct span rest = span_slice(buf_span(&text), at, text.size);
    assert_true(span_parse_u64(span_cut(&rest, '\n'), &count));
    buf_release(&text);
    return count;
}

static void
answers_are_counted_by_status(void **state)
{
    (void)state;
    uint64_t missing = t_counted(404);
    uint64_t shown = t_counted(200);
    assert_int_equal(t_status(HTTP_METHOD_GET, "/console/nothing", ""), 404);
    assert_int_equal(t_status(HTTP_METHOD_GET, "/console/nothing.js", ""), 404);
    assert_int_equal(t_status(HTTP_METHOD_GET, "/console/", ""), 200);
    assert_int_equal(t_counted(404) - missing, 2);
    assert_int_equal(t_counted(200) - shown, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_paths_are_not_the_consoles),
        cmocka_unit_test(pages_have_their_types),
        cmocka_unit_test(every_answer_has_the_policy),
        cmocka_unit_test(a_copy_that_is_the_same_is_not_sent_again),
        cmocka_unit_test(the_folder_leads_to_its_page),
        cmocka_unit_test(without_memory_nothing_is_answered_wrong),
        cmocka_unit_test(answers_are_counted_by_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
