/*
 * `tael health URL`: asks a server how it is and answers by exit status. For health checks of
 * containers whose image has no shell and no curl.
 */
#include "command.h"
#include "option.h"
#include "show.h"
#include "text.h"

#include "net/client.h"

#include <stdio.h>
#include <string.h>

#define HEALTH_URL_DEFAULT "http://127.0.0.1:8080/readyz"
#define HEALTH_ANSWER_MAX  4096
#define HEALTH_SHOWN_MAX   512

struct health_options {
    int64_t timeout_ms;
    char ca[768];
};

static const struct setting health_table[] = {
    OPTION_DURATION(struct health_options, timeout_ms, "timeout", "2s", 1, 60000, "For an answer."),
    OPTION_TEXT(
        struct health_options, ca, "ca", "", "https: a PEM file with the certificates to trust."),
};

/* "http://host:port/path" as an origin and "/path"; without a path it is "/readyz". */
static bool
split_url(const char *text, struct text_url *url, struct span *ret_target)
{
    struct span whole = span_from_cstr(text);
    size_t scheme_end = span_starts_with(whole, SPAN("https://")) ? 8 : 7;
    size_t path = span_find(whole, '/', scheme_end);
    *ret_target = path < whole.size ? span_slice(whole, path, whole.size) : SPAN("/readyz");
    return text_url_parse(span_slice(whole, 0, path), url) == ERR_OK;
}

static int
judge(const struct command *command, const char *url, const struct net_call *call)
{
    char memory[HEALTH_SHOWN_MAX * 4];
    struct buf shown;
    buf_init_fixed(&shown, memory, sizeof(memory) - 1);
    struct span body = span_slice(buf_span(&call->answer), 0, HEALTH_SHOWN_MAX);
    if (body.size > 0 && body.data[body.size - 1] == '\n') {
        body = span_slice(body, 0, body.size - 1);
    }
    show_text(&shown, body, SHOW_PLAIN, false);
    memory[shown.size] = '\0';
    if (call->status != 200) {
        return command_fail(command, "%s: status %u: %s", url, call->status, memory);
    }
    (void)printf("%s\n", memory);
    return COMMAND_OK;
}

static int
ask(const struct command *command,
    const char *text,
    const struct health_options *options,
    struct net_loop *loop,
    struct net_tls **tls)
{
    struct text_url url;
    struct span target;
    if (!split_url(text, &url, &target)) {
        return command_misuse(command, "URL is http://HOST:PORT/PATH or https://HOST:PORT/PATH");
    }
    if (url.tls) {
        err_t opened =
            net_tls_create_client(options->ca[0] == '\0' ? NULL : options->ca, true, tls);
        if (opened != ERR_OK) {
            return command_fail(command, "%s: %s", text, err_text(opened));
        }
    }
    struct net_origin origin = {.host = url.host, .port = url.port, .tls = *tls};
    struct net_client_settings settings = net_client_settings_default;
    settings.answer_cut_bytes = HEALTH_ANSWER_MAX;
    struct net_client *client = NULL;
    err_t result = net_client_create(loop, &origin, &settings, &client);
    if (result != ERR_OK) {
        return command_fail(command, "%s: %s", text, err_text(result));
    }
    struct net_call call = {
        .method = HTTP_METHOD_GET, .target = target, .timeout_ms = (uint32_t)options->timeout_ms};
    result = net_client_call_blocking(client, &call);
    int status = result == ERR_OK ? judge(command, text, &call)
                                  : command_fail(command, "%s: %s", text, err_text(result));
    net_call_release(&call);
    net_client_stop(client);
    net_client_destroy(&client);
    return status;
}

static int
run_health(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct health_options options = {.timeout_ms = 0};
    const struct command_options table = {
        COMMAND_TABLE(health_table),
        .values = &options,
        .positional_max = 1,
    };
    int positional = 0;
    int status = command_options(command, &table, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    struct net_loop *loop = NULL;
    struct net_tls *tls = NULL;
    err_t result = net_loop_create("health", &loop);
    if (result == ERR_OK) {
        result = net_loop_start(loop);
    }
    if (result != ERR_OK) {
        status = command_fail(command, "%s", err_text(result));
    } else {
        status = ask(command, positional > 0 ? argv[1] : HEALTH_URL_DEFAULT, &options, loop, &tls);
        net_loop_stop(loop);
    }
    net_loop_destroy(&loop);
    net_tls_destroy(&tls);
    return status;
}

const struct command command_health = {
    .name = "health",
    .usage = "[OPTIONS] [URL]",
    .summary = "Asks a server whether it is ready, for health checks of containers",
    .manual =
        "URL is " HEALTH_URL_DEFAULT " if it is not given. Exit status 0: the answer was 200.",
    .run = run_health,
};
