/*
 * `tael listen`: shows events as they happen, and sends each to a program under development as a
 * webhook would be, signed. It asks the API for what is new, so it works through any firewall, and
 * needs no webhook endpoint.
 */
#include "client.h"
#include "listen_told.h"
#include "listen_view.h"

#include "base/assert.h"
#include "base/id.h"
#include "callback/signature.h"
#include "events/filter.h"
#include "os/clock.h"
#include "os/entropy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define URL_SIZE         1024
#define TARGET_SIZE      256
#define PATTERNS_MAX     64
#define PAGE             100
#define SIGNATURE_SIZE   192
#define FORWARD_BODY_MAX (1U << 20)
#define TROUBLE_FIRST_MS 1000
#define TROUBLE_MAX_MS   30000
/* Statuses that asking again does not mend. */
#define UNAUTHORIZED 401
#define FORBIDDEN    403

struct listen_options {
    struct client_options client;
    char forward_to[URL_SIZE];
    char events[URL_SIZE];
    char secret[CALLBACK_SECRET_SIZE + 1];
    int64_t poll_ms;
    int64_t forward_timeout_ms;
};

static const struct setting listen_settings[] = {
    OPTION_TEXT(
        struct listen_options,
        forward_to,
        "forward-to",
        "",
        "http://localhost:3000/hook: where to send them. Default: nowhere, they are shown."),
    OPTION_TEXT(
        struct listen_options,
        events,
        "events",
        "*",
        "Which: charge.succeeded,refund.* and so on, separated by commas."),
    OPTION_SECRET(
        struct listen_options,
        secret,
        "secret",
        "",
        "whsec_...: what to sign with. Default: a new one, which is printed."),
    OPTION_DURATION(struct listen_options, poll_ms, "poll", "500ms", 10, 60000, "Between looks."),
    OPTION_DURATION(
        struct listen_options,
        forward_timeout_ms,
        "forward-timeout",
        "30s",
        1,
        600000,
        "For its answer."),
    CLIENT_OPTIONS(struct listen_options),
};

struct listen {
    const struct command *command;
    struct listen_options options;
    struct client *client;
    struct span patterns[PATTERNS_MAX];
    size_t pattern_count;
    char secret[CALLBACK_SECRET_SIZE];
    struct listen_told told;
    char cursor[ID_TEXT_SIZE]; /* how far this look is; empty: there was no event */
    char older[ID_TEXT_SIZE];  /* without a cursor: on the way back to the first event */

    /* Where they go. */
    struct net_loop *loop;
    struct net_client *forward;
    struct net_tls *tls;
    struct span forward_target;
    char forward_url[URL_SIZE + 8];
    bool runs;
};

static void
wait_ms(int64_t milliseconds)
{
    struct timespec pause = {
        .tv_sec = (time_t)(milliseconds / 1000), .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    (void)nanosleep(&pause, NULL);
}

/* -------------------------------------------------------------------------------------- options */

static int
read_patterns(struct listen *listen)
{
    struct span rest = span_from_cstr(listen->options.events);
    while (rest.size > 0) {
        struct span pattern = span_trim(span_cut(&rest, ','));
        if (pattern.size == 0) {
            continue;
        }
        if (listen->pattern_count == PATTERNS_MAX) {
            return command_misuse(listen->command, "--events: at most %d types", PATTERNS_MAX);
        }
        if (!events_filter_is_known(pattern)) {
            (void)fprintf(
                stderr,
                "tael listen: '%.*s' is no event type that this program knows\n",
                SPAN_PRINTF(pattern));
        }
        listen->patterns[listen->pattern_count++] = pattern;
    }
    return listen->pattern_count > 0
               ? COMMAND_GO_ON
               : command_misuse(listen->command, "--events names no event type");
}

static int
read_secret(struct listen *listen)
{
    struct span given = span_from_cstr(listen->options.secret);
    if (given.size == 0) {
        callback_secret_make(os_entropy_real(), listen->secret);
        return COMMAND_GO_ON;
    }
    if (given.size != CALLBACK_SECRET_SIZE || !span_starts_with(given, SPAN("whsec_"))) {
        return command_misuse(
            listen->command, "--secret is whsec_ and %d characters", CALLBACK_SECRET_SIZE - 6);
    }
    memcpy(listen->secret, given.data, given.size);
    return COMMAND_GO_ON;
}

/* "localhost:3000/hook" is taken too. */
static int
open_forward(struct listen *listen)
{
    const char *given = listen->options.forward_to;
    if (given[0] == '\0') {
        return COMMAND_GO_ON;
    }
    (void)snprintf(
        listen->forward_url,
        sizeof(listen->forward_url),
        "%s%s",
        strstr(given, "://") == NULL ? "http://" : "",
        given);
    struct span text = span_from_cstr(listen->forward_url);
    size_t authority = span_find(text, '/', 0) + 2;
    size_t path = span_find(text, '/', authority);
    struct text_url url;
    if (text_url_parse(span_slice(text, 0, path), &url) != ERR_OK) {
        return command_misuse(listen->command, "--forward-to is http://HOST:PORT/PATH");
    }
    listen->forward_target = path < text.size ? span_slice(text, path, text.size) : SPAN("/");
    err_t result = ERR_OK;
    if (url.tls) {
        result = net_tls_create_client(NULL, false, &listen->tls); /* a program on a desk */
    }
    struct net_client_settings settings = net_client_settings_default;
    settings.answer_cut_bytes = FORWARD_BODY_MAX;
    const struct net_origin origin = {.host = url.host, .port = url.port, .tls = listen->tls};
    if (result == ERR_OK) {
        result = net_loop_create("forward", &listen->loop);
    }
    if (result == ERR_OK) {
        result = net_client_create(listen->loop, &origin, &settings, &listen->forward);
    }
    if (result == ERR_OK) {
        result = net_loop_start(listen->loop);
        listen->runs = result == ERR_OK;
    }
    return result == ERR_OK ? COMMAND_GO_ON
                            : command_fail(listen->command, "%s: %s", given, err_text(result));
}

static void
close_all(struct listen *listen)
{
    if (listen->runs) {
        net_client_stop(listen->forward);
        net_loop_stop(listen->loop);
    }
    net_client_destroy(&listen->forward);
    net_loop_destroy(&listen->loop);
    net_tls_destroy(&listen->tls);
    client_close(&listen->client);
}

/* ------------------------------------------------------------------------------------ one event */

/* The event's own text, which is what is signed. */
static int
fetch(struct listen *listen, struct span id, struct client_answer *answer)
{
    char text[TARGET_SIZE];
    struct buf target;
    buf_init_fixed(&target, text, sizeof(text));
    buf_append_format(&target, "/v1/events/%.*s", SPAN_PRINTF(id));
    ASSERT(!buf_failed(&target)); /* text_is_id */
    const struct client_request request = {.method = HTTP_METHOD_GET, .target = buf_span(&target)};
    return client_call(listen->client, &request, answer);
}

static void
forward(struct listen *listen, struct span body, struct span id, struct net_call *call)
{
    char text[SIGNATURE_SIZE];
    struct buf signature;
    const struct span secret = span_of(listen->secret, sizeof(listen->secret));
    buf_init_fixed(&signature, text, sizeof(text));
    callback_sign(
        &signature, &secret, 1, (int64_t)(os_wall_ns(os_clock_real()) / OS_NS_PER_S), body);
    ASSERT(!buf_failed(&signature));
    const struct http_header headers[] = {
        {.name = SPAN(CALLBACK_SIGNATURE_HEADER), .value = buf_span(&signature)},
        {.name = SPAN("User-Agent"), .value = SPAN("Tael/1.0 (listen)")},
        {.name = SPAN("Accept"), .value = SPAN("*/*")},
        {.name = SPAN("Idempotency-Key"), .value = id},
    };
    *call = (struct net_call){
        .method = HTTP_METHOD_POST,
        .target = listen->forward_target,
        .content_type = SPAN("application/json; charset=utf-8"),
        .headers = headers,
        .header_count = sizeof(headers) / sizeof(headers[0]),
        .body = body,
        .timeout_ms = (uint32_t)listen->options.forward_timeout_ms,
    };
    err_t result = net_client_call_blocking(listen->forward, call);
    ASSERT(result == call->result); /* which is shown */
}

static bool
is_wanted(const struct listen *listen, struct span type)
{
    for (size_t i = 0; i < listen->pattern_count; i++) {
        if (events_filter_matches(listen->patterns[i], type)) {
            return true;
        }
    }
    return false;
}

/* COMMAND_GO_ON, or a status: the event could not be had. */
static int
tell(struct listen *listen, struct span type, struct span id)
{
    bool json = listen->options.client.json;
    if (!is_wanted(listen, type)) {
        return COMMAND_GO_ON;
    }
    if (listen->forward == NULL) {
        if (json) {
            listen_view_json(listen->forward_url, NULL, type, id);
        } else {
            listen_view_event(type, id);
        }
        return COMMAND_GO_ON;
    }
    struct client_answer answer;
    int status = fetch(listen, id, &answer);
    if (status == COMMAND_GO_ON) {
        struct net_call call;
        if (!json) {
            listen_view_event(type, id);
        }
        forward(listen, answer.body, id, &call);
        if (json) {
            listen_view_json(listen->forward_url, &call, type, id);
        } else {
            listen_view_answer(listen->forward_url, &call, id);
        }
        net_call_release(&call);
    }
    client_answer_release(&answer);
    return status;
}

/* -------------------------------------------------------------------------------------- looking */

static bool
keep_id(char out[ID_TEXT_SIZE], struct span id)
{
    if (!text_is_id(id) || id.size >= ID_TEXT_SIZE) {
        return false;
    }
    memcpy(out, id.data, id.size);
    out[id.size] = '\0';
    return true;
}

/* The next look begins where everything before is known. */
static void
begin_again(struct listen *listen)
{
    listen_told_settle(&listen->told, os_monotonic_ns(os_clock_real()));
    memcpy(listen->cursor, listen->told.settled, sizeof(listen->cursor));
    listen->older[0] = '\0';
}

/* COMMAND_GO_ON, or a status: it could not be had, and is still to be told. */
static int
tell_once(struct listen *listen, struct span type, struct span id)
{
    if (listen_told_has(&listen->told, id)) {
        return COMMAND_GO_ON;
    }
    int status = tell(listen, type, id);
    if (status == COMMAND_GO_ON) {
        listen_told_add(&listen->told, id, os_monotonic_ns(os_clock_real()));
    }
    return status;
}

/* The events of a page, the oldest first; the cursor moves with each. */
static int
tell_page(struct listen *listen, const struct json_value *data)
{
    const struct json_value *events[PAGE];
    size_t count = 0;
    const struct json_value *event = data == NULL ? NULL : data->first_child;
    for (; event != NULL && count < PAGE; event = event->next) {
        events[count++] = event;
    }
    while (count > 0) {
        event = events[--count];
        struct span id = client_text(event, "id");
        if (!keep_id(listen->cursor, id)) {
            return command_fail(listen->command, "the server's answer has an event without an id");
        }
        int status = tell_once(listen, client_text(event, "type"), id);
        if (status != COMMAND_GO_ON) {
            return status;
        }
    }
    return COMMAND_GO_ON;
}

/* A list is the newest first. Behind a cursor it holds what comes next; without one, when the first
 * events of all came in more than a page, it must be walked back to the first. */
static int
take_page(struct listen *listen, const struct json_value *data, bool *more)
{
    bool walks_back = listen->cursor[0] == '\0' && *more;
    if (walks_back && data != NULL && data->last_child != NULL) {
        return keep_id(listen->older, client_text(data->last_child, "id"))
                   ? COMMAND_GO_ON
                   : command_fail(
                         listen->command, "the server's answer has an event without an id");
    }
    *more = *more || listen->older[0] != '\0';
    listen->older[0] = '\0';
    return tell_page(listen, data);
}

/* Asks for what is behind the cursor (or just for the newest); *ret_http is the answer's status. */
static int
look(struct listen *listen, bool newest_only, bool *ret_more, unsigned *ret_http)
{
    char text[TARGET_SIZE];
    struct buf target;
    buf_init_fixed(&target, text, sizeof(text));
    buf_append_format(&target, "/v1/events?limit=%d", newest_only ? 1 : PAGE);
    if (!newest_only && listen->cursor[0] != '\0') {
        buf_append_format(&target, "&ending_before=%s", listen->cursor);
    } else if (!newest_only && listen->older[0] != '\0') {
        buf_append_format(&target, "&starting_after=%s", listen->older);
    }
    ASSERT(!buf_failed(&target));
    const struct client_request request = {.method = HTTP_METHOD_GET, .target = buf_span(&target)};
    struct client_answer answer;
    int status = client_call(listen->client, &request, &answer);
    *ret_http = answer.call.status;
    *ret_more = false;
    if (status == COMMAND_GO_ON) {
        const struct json_value *data = client_member(answer.root, "data");
        if (newest_only) {
            listen->told.settled[0] = '\0';
            if (data != NULL && data->first_child != NULL) {
                (void)keep_id(listen->told.settled, client_text(data->first_child, "id"));
            }
            begin_again(listen);
        } else {
            *ret_more = client_bool(answer.root, "has_more");
            status = take_page(listen, data, ret_more);
        }
    }
    client_answer_release(&answer);
    return status;
}

/* Until it is interrupted, or until what it may not do. */
static int
listen_on(struct listen *listen)
{
    int64_t trouble_ms = 0;
    bool anchored = false;
    for (;;) {
        bool more = false;
        unsigned http = 0;
        int status = look(listen, !anchored, &more, &http);
        if (fflush(stdout) != 0) {
            return COMMAND_FAILED; /* nobody reads any more */
        }
        if (status == COMMAND_GO_ON) {
            if (!anchored) {
                listen_view_ready(
                    listen->options.client.json, span_of(listen->secret, sizeof(listen->secret)));
            }
            anchored = true;
            trouble_ms = 0;
            if (!more) {
                begin_again(listen);
                wait_ms(listen->options.poll_ms);
            }
            continue;
        }
        if (http == UNAUTHORIZED || http == FORBIDDEN || !anchored) {
            return status;
        }
        if (http >= 400 && http < 500) {
            /* The cursor's event is older than events are kept: whatever is newer was seen. */
            bool unused;
            (void)look(listen, true, &unused, &http);
        }
        begin_again(listen);
        trouble_ms = trouble_ms == 0 ? TROUBLE_FIRST_MS : 2 * trouble_ms;
        trouble_ms = trouble_ms < TROUBLE_MAX_MS ? trouble_ms : TROUBLE_MAX_MS;
        wait_ms(trouble_ms);
    }
}

static int
run_listen(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct listen *listen = calloc(1, sizeof(*listen));
    if (listen == NULL) {
        return command_fail(command, "out of memory");
    }
    listen->command = command;
    const struct command_options options = {
        COMMAND_TABLE(listen_settings),
        .values = &listen->options,
    };
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    if (status == COMMAND_GO_ON) {
        status = read_patterns(listen);
    }
    if (status == COMMAND_GO_ON) {
        status = read_secret(listen);
    }
    if (status == COMMAND_GO_ON) {
        status = open_forward(listen);
    }
    if (status == COMMAND_GO_ON) {
        status = client_open(command, &listen->options.client, &listen->client);
    }
    if (status == COMMAND_GO_ON) {
        status = listen_on(listen);
    }
    close_all(listen);
    explicit_bzero(listen, sizeof(*listen)); /* key and secret */
    free(listen);
    return status;
}

const struct command command_listen = {
    .name = "listen",
    .usage = "[--forward-to=URL] [OPTIONS]",
    .summary = "Shows events as they happen, and forwards them as signed webhooks",
    .manual =
        "Events from now on are sent to the URL one after the other, each with a Stripe-Signature\n"
        "made with the secret that is printed at the start. With --json each line is a JSON\n"
        "object: first {\"signing_secret\"}, then one with event, type, url, status (or error)\n"
        "and duration_ms for each event. An event that the URL refuses is not sent again.",
    .run = run_listen,
};
