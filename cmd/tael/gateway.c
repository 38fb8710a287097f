/* `tael gateway`: the API gateway, until SIGTERM or SIGINT; SIGHUP reads its configuration again.
 */
#include "command.h"
#include "main_thread.h"
#include "node.h"
#include "tracing.h"

#include "base/list.h"
#include "gateway/gateway.h"
#include "os/process.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_WANTED    65536
#define HELP_MAX        (64U << 10)
#define TRACES_DRAIN_MS 2000

struct settings {
    char config[1024];
    char log_level[16];
    bool check;
    bool keys;
    bool allow_dumps;
    struct tracing_settings tracing;
};

#define AT(member) offsetof(struct settings, member)
static const struct setting table[] = {
    {.name = "config",
     .kind = SETTING_TEXT,
     .offset = AT(config),
     .fallback = "",
     .maximum = sizeof(((struct settings *)0)->config),
     .help = "The configuration, a JSON file; docs/gateway.md tells all of it."},
    {.name = "check",
     .kind = SETTING_BOOLEAN,
     .offset = AT(check),
     .fallback = "false",
     .help = "Only reads the configuration, and says what is wrong with it."},
    {.name = "keys",
     .kind = SETTING_BOOLEAN,
     .offset = AT(keys),
     .fallback = "false",
     .help = "Only prints what may stand in a configuration."},
    {.name = "log-level",
     .kind = SETTING_TEXT,
     .offset = AT(log_level),
     .fallback = "info",
     .maximum = sizeof(((struct settings *)0)->log_level),
     .help = "debug, info, warning or error."},
    {.name = "allow-dumps",
     .kind = SETTING_BOOLEAN,
     .offset = AT(allow_dumps),
     .fallback = "false",
     .help = "Core files and debuggers, which see keys: for tests only."},
    TRACING_SETTINGS(struct settings, tracing, "tael-gateway"),
};

struct program {
    struct main_thread main_thread;
    struct trace_log log;
    struct net_loop *loop;
    struct net_loop *traces_loop; /* kept traces, sockets to collectors */
    struct traces *traces;
    struct gateway *gateway;
    struct os_task hangup;
};

static void
on_drain(void *context)
{
    struct program *program = context;
    (void)sem_post(&program->main_thread.wake);
}

static void
on_hangup(struct os_task *task)
{
    struct program *program = CONTAINER_OF(task, struct program, hangup);
    if (program->gateway != NULL) {
        gateway_reload(program->gateway);
    }
}

static int
print_keys(void)
{
    struct buf text;
    buf_init(&text, HELP_MAX);
    gateway_help(&text);
    (void)fwrite(text.data, 1, text.size, stdout);
    buf_release(&text);
    return COMMAND_OK;
}

static void
announce(const struct program *program)
{
    struct buf text;
    buf_init(&text, HELP_MAX);
    gateway_describe(program->gateway, &text);
    (void)fwrite(text.data, 1, text.size, stdout);
    (void)fflush(stdout);
    buf_release(&text);
}

static bool
on_operate(void *context, struct net_exchange *exchange)
{
    struct program *program = context;
    return traces_operate(program->traces, exchange);
}

static void
on_metrics(void *context, struct buf *out)
{
    struct program *program = context;
    tracing_metrics(program->traces, out);
    node_metrics_process(out);
}

static err_t
open_traces(struct program *program, const struct settings *settings, char *reason)
{
    const struct tracing_parts parts = {
        .loop = program->traces_loop,
        .clock = os_clock_real(),
        .entropy = os_entropy_real(),
        .log = &program->log,
    };
    char message[TRACES_MESSAGE_SIZE];
    err_t result = tracing_open(&settings->tracing, &parts, &program->traces, message);
    if (result != ERR_OK) {
        (void)snprintf(reason, GATEWAY_REASON_SIZE, "%s", message);
    }
    return result;
}

static err_t
open_all(struct program *program, const struct settings *settings, char *reason)
{
    TRY(open_traces(program, settings, reason));
    const struct gateway_parts parts = {
        .loop = program->loop,
        .clock = os_clock_real(),
        .disk = os_disk_real(),
        .entropy = os_entropy_real(),
        .log = &program->log,
        .config_file = settings->config,
        .on_drain = on_drain,
        .context = program,
        .recorder = traces_recorder(program->traces),
        .operate = on_operate,
        .metrics = on_metrics,
    };
    TRY(gateway_create(&parts, &program->gateway, reason));
    err_t result = net_loop_start(program->traces_loop);
    if (result == ERR_OK) {
        result = net_loop_start(program->loop);
    }
    if (result != ERR_OK) {
        (void)snprintf(reason, GATEWAY_REASON_SIZE, "the loop: %s", err_text(result));
        gateway_destroy(&program->gateway);
    }
    return result;
}

/* The C library counts what is large by the largest that was ever given back, and keeps what is
 * not: a few answers of 16 MiB at once would leave the process at their size. */
static void
return_large_memory(void)
{
    const int large = 1 << 20;
    (void)mallopt(M_MMAP_THRESHOLD, large);
}

static int
serve(const struct command *command, struct program *program, const struct settings *settings)
{
    return_large_memory();
    program->hangup.run = on_hangup;
    if (main_thread_open(&program->main_thread) != ERR_OK ||
        net_loop_create("gateway", &program->loop) != ERR_OK ||
        net_loop_create("traces", &program->traces_loop) != ERR_OK ||
        net_loop_on_signal(program->loop, SIGHUP, &program->hangup) != ERR_OK) {
        return command_fail(command, "the system has no signals or loops for us");
    }
    char reason[GATEWAY_REASON_SIZE];
    int status = COMMAND_OK;
    if (open_all(program, settings, reason) == ERR_OK) {
        gateway_start(program->gateway);
        announce(program);
        main_thread_wait(&program->main_thread);
        gateway_drain(program->gateway);
        net_loop_stop(program->loop);
        traces_drain(program->traces, TRACES_DRAIN_MS);
    } else {
        status = command_fail(command, "%s", reason);
    }
    gateway_destroy(&program->gateway);
    net_loop_destroy(&program->loop);
    net_loop_stop(program->traces_loop);
    traces_destroy(&program->traces);
    net_loop_destroy(&program->traces_loop);
    main_thread_close(&program->main_thread);
    return status;
}

static int
run_gateway(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct settings settings;
    const struct command_options options = {COMMAND_TABLE(table), .values = &settings};
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    enum trace_level level;
    char reason[GATEWAY_REASON_SIZE];
    if (settings.keys) {
        return print_keys();
    }
    if (settings.config[0] == '\0') {
        return command_misuse(command, "--config=FILE is needed");
    }
    if (!trace_level_parse(span_from_cstr(settings.log_level), &level)) {
        return command_misuse(command, "log-level is debug, info, warning or error");
    }
    if (settings.check) {
        if (gateway_check(os_disk_real(), settings.config, reason) != ERR_OK) {
            return command_fail(command, "%s", reason);
        }
        (void)printf("%s: good\n", settings.config);
        return COMMAND_OK;
    }
    if (!settings.allow_dumps && os_process_disable_dumps() != ERR_OK) {
        return command_fail(command, "core files cannot be turned off");
    }
    (void)os_process_raise_file_limit(FILES_WANTED);
    struct program *program = calloc(1, sizeof(*program));
    if (program == NULL) {
        return command_fail(command, "out of memory");
    }
    trace_log_init(&program->log, 2, os_clock_real());
    trace_log_set_level(&program->log, level);
    status = serve(command, program, &settings);
    trace_log_release(&program->log);
    free(program);
    return status;
}

const struct command command_gateway = {
    .name = "gateway",
    .usage = "--config=FILE",
    .summary = "Runs the API gateway: TLS, keys, limits, routing, load balancing",
    .manual = "Serves until SIGTERM or SIGINT, then drains. SIGHUP reads the configuration and the "
              "certificates again; a file with a mistake changes nothing, and the log says why.",
    .run = run_gateway,
};
