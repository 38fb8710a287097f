#include "console/console.h"

#include "console_files.h"

#include "base/arena.h"
#include "base/assert.h"
#include "trace/exposition.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define INDEX_NAME     "index.html"
#define NOT_FOUND_NAME "not_found.html"

/*
 * CONSOLE-2. Nothing runs, styles or is asked but what this server serves, nothing frames the
 * pages, no form of theirs leads anywhere, and no text becomes markup or script.
 */
#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "                \
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "          \
    "require-trusted-types-for 'script'; trusted-types 'none'"

#define TEXT(literal)                                                                              \
    {                                                                                              \
        .data = (literal), .size = sizeof(literal) - 1                                             \
    }
#define SAFETY                                                                                     \
    {.name = TEXT("Content-Security-Policy"), .value = TEXT(POLICY)},                              \
        {.name = TEXT("X-Content-Type-Options"), .value = TEXT("nosniff")},                        \
        {.name = TEXT("Referrer-Policy"), .value = TEXT("no-referrer")},                           \
        {.name = TEXT("Cross-Origin-Opener-Policy"), .value = TEXT("same-origin")},                \
    {                                                                                              \
        .name = TEXT("Cross-Origin-Resource-Policy"), .value = TEXT("same-origin")                 \
    }

/* The last place is the file's entity tag. A copy is asked about each time (no-cache), so that the
 * pages of a new version never run with scripts of an old one. */
static const struct http_header file_headers[] = {
    SAFETY,
    {.name = TEXT("Cache-Control"), .value = TEXT("no-cache")},
    {.name = TEXT("ETag")},
};
static const struct http_header not_found_headers[] = {
    SAFETY,
    {.name = TEXT("Cache-Control"), .value = TEXT("no-store")},
};
static const struct http_header folder_headers[] = {
    SAFETY,
    {.name = TEXT("Location"), .value = TEXT("console/")},
};
static const struct http_header method_headers[] = {
    SAFETY,
    {.name = TEXT("Allow"), .value = TEXT("GET, HEAD")},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct console_file *
find_file(struct span name)
{
    if (name.size == 0) {
        name = SPAN(INDEX_NAME);
    }
    for (size_t i = 0; i < console_file_count; i++) {
        if (span_equal_cstr(name, console_files[i].name)) {
            return &console_files[i];
        }
    }
    return NULL;
}

static struct span
trim(struct span text)
{
    size_t begin = 0;
    size_t end = text.size;
    while (begin < end && (text.data[begin] == ' ' || text.data[begin] == '\t')) {
        begin++;
    }
    while (end > begin && (text.data[end - 1] == ' ' || text.data[end - 1] == '\t')) {
        end--;
    }
    return span_slice(text, begin, end);
}

/* RFC 9110, 13.1.2: weakly compared, so a W/ before a tag says nothing. Our tags have no comma. */
static bool
is_known(const struct net_exchange *exchange, const char *etag)
{
    struct span list;
    if (!http_head_find(exchange->head, SPAN("If-None-Match"), &list)) {
        return false;
    }
    while (list.size > 0) {
        const char *comma = memchr(list.data, ',', list.size);
        size_t end = comma == NULL ? list.size : (size_t)(comma - list.data);
        struct span tag = trim(span_slice(list, 0, end));
        if (span_starts_with(tag, SPAN("W/"))) {
            tag = span_slice(tag, 2, tag.size);
        }
        if (span_equal_cstr(tag, etag) || span_equal(tag, SPAN("*"))) {
            return true;
        }
        list = span_slice(list, comma == NULL ? end : end + 1, list.size);
    }
    return false;
}

static const unsigned statuses[] = {200, 304, 308, 404, 405, 503};
static _Atomic uint64_t answered[COUNT(statuses)];

static void
count_answer(unsigned status)
{
    for (size_t i = 0; i < COUNT(statuses); i++) {
        if (statuses[i] == status) {
            atomic_fetch_add_explicit(&answered[i], 1, memory_order_relaxed);
        }
    }
}

void
console_metrics_append(struct buf *out)
{
    static const char name[] = "tael_console_answers_total";
    trace_exposition_head(out, name, "counter", "Answers of the console: its files, by status.");
    for (size_t i = 0; i < COUNT(statuses); i++) {
        char status[12];
        (void)snprintf(status, sizeof(status), "%u", statuses[i]);
        trace_exposition_value(
            out,
            name,
            TRACE_LABELS("status", status),
            atomic_load_explicit(&answered[i], memory_order_relaxed));
    }
}

static void
answer_with(
    struct net_exchange *exchange, unsigned status, const struct http_header *headers, size_t count)
{
    count_answer(status);
    exchange->answer.status = status;
    exchange->answer.headers = headers;
    exchange->answer.header_count = count;
}

static void
answer_body(struct net_answer *answer, const struct console_file *file)
{
    answer->content_type = span_from_cstr(file->content_type);
    answer->lent = (struct span){.data = file->data, .size = file->size};
}

static void
answer_file(struct net_exchange *exchange, const struct console_file *file)
{
    struct http_header *headers = arena_alloc(exchange->arena, sizeof(file_headers));
    if (headers == NULL) {
        answer_with(exchange, 503, NULL, 0);
        return;
    }
    memcpy(headers, file_headers, sizeof(file_headers));
    headers[COUNT(file_headers) - 1].value = span_from_cstr(file->etag);
    bool known = is_known(exchange, file->etag);
    answer_with(exchange, known ? 304 : 200, headers, COUNT(file_headers));
    if (!known) {
        answer_body(&exchange->answer, file);
    }
}

bool
console_answer(struct net_exchange *exchange)
{
    /* A relative address, so that it is right behind a gateway that puts a path before ours. */
    bool is_folder = span_equal(exchange->path, SPAN("/console"));
    if (!is_folder && !span_starts_with(exchange->path, SPAN(CONSOLE_PATH))) {
        return false;
    }
    if (exchange->method != HTTP_METHOD_GET && exchange->method != HTTP_METHOD_HEAD) {
        answer_with(exchange, 405, method_headers, COUNT(method_headers));
        return true;
    }
    if (is_folder) {
        answer_with(exchange, 308, folder_headers, COUNT(folder_headers));
        return true;
    }
    struct span name = span_slice(exchange->path, sizeof(CONSOLE_PATH) - 1, exchange->path.size);
    const struct console_file *file = find_file(name);
    if (file != NULL) {
        answer_file(exchange, file);
        return true;
    }
    file = find_file(SPAN(NOT_FOUND_NAME));
    ASSERT(file != NULL);
    answer_with(exchange, 404, not_found_headers, COUNT(not_found_headers));
    answer_body(&exchange->answer, file);
    return true;
}
