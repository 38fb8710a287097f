/* `tael trace`: what happened to a payment, and how long each step took. */
#include "client.h"
#include "show.h"
#include "trace_view.h"

#include <stdio.h>
#include <string.h>

#define TARGET_SIZE 256
#define VIEW_MAX    (4U << 20)

struct trace_options {
    struct client_options client;
    int64_t limit;
};

static const struct setting settings[] = {
    OPTION_TEXT(
        struct trace_options,
        client.url,
        "url",
        TEXT_DEFAULT_URL,
        "Where to ask: --listen or --admin-listen of the server, or a Zipkin server."),
    OPTION_TEXT(
        struct trace_options,
        client.ca,
        "ca",
        "",
        "https: a PEM file with the certificates to trust."),
    OPTION_DURATION(
        struct trace_options, client.timeout_ms, "timeout", "30s", 1, 3600000, "For an answer."),
    OPTION_SWITCH(
        struct trace_options, client.json, "json", "Prints the spans as JSON, as Zipkin has them."),
    OPTION_NUMBER(struct trace_options, limit, "limit", "10", 1, 100, "traces", "At most."),
};

/* By which attribute the traces of an object are found. */
static const struct {
    struct span prefix;
    const char *key;
} objects[] = {
    {SPAN("pi_"), "tael.payment_intent"},
    {SPAN("re_"), "tael.refund"},
    {SPAN("wtr_"), "tael.wallet_transfer"},
    {SPAN("evt_"), "tael.event"},
    {SPAN("we_"), "tael.webhook_endpoint"},
    {SPAN("req_"), "tael.request.id"},
};

static bool
is_trace_id(struct span id)
{
    bool valid = id.size == 32;
    for (size_t i = 0; i < id.size; i++) {
        char byte = id.data[i];
        valid = valid && ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f'));
    }
    return valid;
}

/* Where to ask about this id. False: it is none that is known. */
static bool
target_of(struct span id, int64_t limit, struct buf *target)
{
    if (is_trace_id(id)) {
        buf_append_cstr(target, "/api/v2/trace/");
        buf_append_span(target, id);
        return true;
    }
    for (size_t i = 0; text_is_id(id) && i < sizeof(objects) / sizeof(objects[0]); i++) {
        if (span_starts_with(id, objects[i].prefix)) {
            buf_append_format(
                target,
                "/api/v2/traces?annotationQuery=%s%%3D%.*s&limit=%d",
                objects[i].key,
                SPAN_PRINTF(id),
                (int)limit);
            return true;
        }
    }
    return false;
}

static int
print_trace(const struct command *command, const struct json_value *spans)
{
    struct buf out;
    struct span trace_id = client_text(spans->first_child, "traceId");
    buf_init(&out, VIEW_MAX);
    buf_append_cstr(&out, "trace ");
    show_text(&out, trace_id, SHOW_BOLD, show_colored(stdout));
    buf_append_cstr(&out, "\n");
    err_t result = trace_view_append(spans, &out, show_colored(stdout));
    if (result == ERR_OK && !buf_failed(&out)) {
        (void)fwrite(out.data, 1, out.size, stdout);
    }
    int status = COMMAND_OK;
    if (result != ERR_OK || buf_failed(&out)) {
        status = command_fail(command, "the answer cannot be shown: %s", err_text(result));
    }
    buf_release(&out);
    return status;
}

/* The spans of one trace, or an array of such, the newest first: shown in the order of time. */
static int
print_answer(const struct command *command, const struct json_value *root)
{
    if (root->kind != JSON_KIND_ARRAY || root->child_count == 0) {
        return command_fail(
            command, "no such trace was kept, or it is not kept any more (--trace-recent)");
    }
    if (root->first_child->kind != JSON_KIND_ARRAY) {
        return print_trace(command, root);
    }
    int status = COMMAND_OK;
    for (uint32_t i = root->child_count; i > 0 && status == COMMAND_OK; i--) {
        const struct json_value *trace = root->first_child;
        for (uint32_t j = 1; j < i; j++) {
            trace = trace->next;
        }
        status = print_trace(command, trace);
        if (i > 1) {
            (void)putchar('\n');
        }
    }
    return status;
}

static int
ask(const struct command *command, const struct trace_options *options, struct span target)
{
    struct client *client = NULL;
    struct client_answer answer;
    int status = client_open_without_key(command, &options->client, &client);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    const struct client_request request = {.method = HTTP_METHOD_GET, .target = target};
    status = client_call(client, &request, &answer);
    if (status == COMMAND_GO_ON && options->client.json) {
        client_answer_print(&answer);
        status = COMMAND_OK;
    } else if (status == COMMAND_GO_ON) {
        status = print_answer(command, answer.root);
    }
    client_answer_release(&answer);
    client_close(&client);
    return status;
}

static int
run_trace(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct trace_options options;
    struct command_options how = {
        COMMAND_TABLE(settings),
        .values = &options,
        .positional_min = 1,
        .positional_max = 1,
    };
    int positional = 0;
    memset(&options, 0, sizeof(options));
    int status = command_options(command, &how, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    char memory[TARGET_SIZE];
    struct buf target;
    buf_init_fixed(&target, memory, sizeof(memory));
    if (!target_of(span_from_cstr(argv[1]), options.limit, &target) || buf_failed(&target)) {
        return command_misuse(
            command,
            "'%.80s' is no trace id (32 hex digits), and no id whose traces can be found",
            argv[1]);
    }
    return ask(command, &options, buf_span(&target));
}

const struct command command_trace = {
    .name = "trace",
    .usage = "[OPTIONS] ID",
    .summary = "Shows what happened to a payment, step by step",
    .manual = "ID is a payment (pi_...), a refund (re_...), a wallet transfer (wtr_...), an event "
              "(evt_...), a\nwebhook endpoint (we_...), a request (req_..., header Request-Id) or "
              "a trace (header\nTrace-Id).\n\n"
              "The server shows the traces that it kept last; a Zipkin server those that were sent "
              "to it.",
    .run = run_trace,
};
