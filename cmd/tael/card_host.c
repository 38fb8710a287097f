/* `tael card-host`: the issuer simulator behind ISO 8583 over TCP, until SIGTERM or SIGINT. */
#include "command.h"
#include "main_thread.h"
#include "node.h"
#include "option.h"

#include "issuer/issuer.h"
#include "network/host.h"
#include "os/loop_real.h"
#include "os/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND        INT64_C(1000)
#define HOUR          (3600 * SECOND)
#define DAY           (24 * HOUR)
#define FILES_BESIDES 64
#define PATH_SIZE     1024
#define PER_MILLE(member, name, help)                                                              \
    OPTION_NUMBER(struct card_host_options, member, name, "0", 0, 1000, NULL, help)

struct card_host_options {
    char data[PATH_SIZE];
    char listen[NODE_ADDRESS_SIZE];
    char dialect[16];
    char tls_cert[PATH_SIZE];
    char tls_key[PATH_SIZE];
    char log_level[16];
    bool allow_dumps;
    int64_t connections_max, requests_max, idle_timeout;
    int64_t latency, jitter, refund_settle, dispute_delay, dispute_due;
    int64_t lost, dropped, late, twice, late_by;
};

static const struct setting table[] = {
    OPTION_TEXT(
        struct card_host_options,
        data,
        "data",
        "",
        "A folder for what the issuers remember; made if it is not there. Empty: nothing is kept."),
    OPTION_TEXT(
        struct card_host_options,
        listen,
        "listen",
        "127.0.0.1:8583",
        "ADDRESS:PORT; port 0: a free one."),
    OPTION_TEXT(
        struct card_host_options, dialect, "dialect", "ascii", "ascii or binary, as the client."),
    OPTION_TEXT(
        struct card_host_options,
        tls_cert,
        "tls-cert",
        "",
        "PEM file: the certificate and its chain; turns TLS on."),
    OPTION_TEXT(struct card_host_options, tls_key, "tls-key", "", "PEM file: its private key."),
    OPTION_TEXT(
        struct card_host_options, log_level, "log-level", "info", "debug, info, warning or error."),
    OPTION_SWITCH(
        struct card_host_options,
        allow_dumps,
        "allow-dumps",
        "Core files and debuggers, which see card numbers: for tests only."),
    OPTION_NUMBER(
        struct card_host_options,
        connections_max,
        "connections-max",
        "64",
        1,
        4096,
        "connections",
        "More are closed at once."),
    OPTION_NUMBER(
        struct card_host_options,
        requests_max,
        "requests-max",
        "16384",
        1,
        1000000,
        "requests",
        "Without an answer yet; more are answered with 91."),
    OPTION_DURATION(
        struct card_host_options,
        idle_timeout,
        "idle-timeout",
        "5m",
        SECOND,
        DAY,
        "A connection without a whole message is closed."),
    OPTION_DURATION(
        struct card_host_options, latency, "issuer-latency", "0ms", 0, HOUR, "Of an answer."),
    OPTION_DURATION(
        struct card_host_options, jitter, "issuer-jitter", "0ms", 0, HOUR, "On top of that."),
    OPTION_DURATION(
        struct card_host_options,
        refund_settle,
        "issuer-refund-settle",
        "1s",
        0,
        DAY,
        "Until a pending refund is decided."),
    OPTION_DURATION(
        struct card_host_options,
        dispute_delay,
        "issuer-dispute-delay",
        "1s",
        0,
        DAY,
        "Until a dispute comes, and until it is decided."),
    OPTION_DURATION(
        struct card_host_options,
        dispute_due,
        "issuer-dispute-due",
        "7d",
        1,
        365 * DAY,
        "How long a dispute waits for evidence."),
    PER_MILLE(lost, "issuer-lost-per-mille", "Done, but the answer is lost."),
    PER_MILLE(dropped, "issuer-dropped-per-mille", "The request never arrives."),
    PER_MILLE(late, "issuer-late-per-mille", "Done, and answered, late-by after its arrival."),
    PER_MILLE(twice, "issuer-twice-per-mille", "Arrives twice, and is answered twice."),
    OPTION_DURATION(
        struct card_host_options,
        late_by,
        "late-by",
        "15s",
        0,
        HOUR,
        "What is late is late by this."),
};

struct program {
    const struct card_host_options *options;
    struct main_thread main_thread;
    struct trace_log log;
    struct net_loop *loop;
    struct os_loop *issuer_loop;
    struct net_tls *tls;
    struct issuer *issuer;
    struct network_host *host;
    bool net_runs;
    char listen[NODE_ADDRESS_SIZE];
    uint16_t port;
};

static err_t
open_issuer(struct program *program)
{
    const struct card_host_options *options = program->options;
    struct os_disk *disk = os_disk_real();
    TRY(os_loop_create("issuer", os_clock_real(), &program->issuer_loop));
    if (options->data[0] != '\0') {
        TRY(disk->ops->make_folder(disk, options->data));
    }
    const struct issuer_parts parts = {
        .loop = program->issuer_loop,
        .clock = os_clock_real(),
        .entropy = os_entropy_real(),
        .disk = disk,
        .folder = options->data[0] == '\0' ? NULL : options->data,
        /* Answers are lost and late on the wire, which is the host's. */
        .settings =
            {
                .latency_ms = options->latency,
                .jitter_ms = options->jitter,
                .refund_settle_ms = options->refund_settle,
                .dispute_delay_ms = options->dispute_delay,
                .dispute_due_ms = options->dispute_due,
            },
    };
    return issuer_create(&parts, &program->issuer);
}

static err_t
open_host(struct program *program)
{
    const struct card_host_options *options = program->options;
    struct network_host_parts parts = {
        .loop = program->loop,
        .entropy = os_entropy_real(),
        .log = &program->log,
        .tls = program->tls,
        .network = issuer_network(program->issuer),
        .settings = network_host_settings_default(),
    };
    parts.settings.dialect = iso8583_dialect_find(span_from_cstr(options->dialect));
    parts.settings.connections_max = (uint32_t)options->connections_max;
    parts.settings.in_flight_max = (uint32_t)options->requests_max;
    parts.settings.idle_ms = (uint32_t)options->idle_timeout;
    parts.settings.lost_per_mille = (uint32_t)options->lost;
    parts.settings.dropped_per_mille = (uint32_t)options->dropped;
    parts.settings.late_per_mille = (uint32_t)options->late;
    parts.settings.twice_per_mille = (uint32_t)options->twice;
    parts.settings.late_ms = (uint32_t)options->late_by;
    return network_host_create(
        &parts, program->listen, program->port, &program->host, &program->port);
}

static int
open_all(const struct command *command, struct program *program)
{
    const struct card_host_options *options = program->options;
    err_t result = net_loop_create("host", &program->loop);
    if (result == ERR_OK && options->tls_cert[0] != '\0') {
        result = net_tls_create_server(options->tls_cert, options->tls_key, &program->tls);
        if (result != ERR_OK) {
            return command_fail(command, "tls-cert, tls-key: %s", err_text(result));
        }
    }
    if (result == ERR_OK) {
        result = open_issuer(program);
        if (result != ERR_OK) {
            return command_fail(command, "%s: %s", options->data, err_text(result));
        }
        result = open_host(program);
    }
    if (result != ERR_OK) {
        return command_fail(command, "listen %s: %s", options->listen, err_text(result));
    }
    if (os_loop_start(program->issuer_loop) != ERR_OK || net_loop_start(program->loop) != ERR_OK) {
        return command_fail(command, "the system has no threads for us");
    }
    program->net_runs = true;
    return COMMAND_OK;
}

static void
close_all(struct program *program)
{
    if (program->net_runs) {
        network_host_stop(program->host);
    }
    net_loop_stop(program->loop);
    os_loop_stop(program->issuer_loop);
    network_host_destroy(&program->host);
    issuer_destroy(&program->issuer);
    net_loop_destroy(&program->loop);
    os_loop_destroy(program->issuer_loop);
    net_tls_destroy(&program->tls);
}

static int
serve(const struct command *command, struct program *program)
{
    if (main_thread_open(&program->main_thread) != ERR_OK) {
        return command_fail(command, "the system has no signals for us");
    }
    int status = open_all(command, program);
    if (status == COMMAND_OK) {
        (void)printf(
            "listening on iso8583%s://%s:%u (%s), issuers simulated\n",
            program->tls == NULL ? "" : "s",
            program->listen,
            (unsigned)program->port,
            program->options->dialect);
        (void)fflush(stdout);
        main_thread_wait(&program->main_thread);
    }
    close_all(program);
    main_thread_close(&program->main_thread);
    return status;
}

static int
run_card_host(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct card_host_options options;
    struct program program = {.options = &options};
    const struct command_options all = {COMMAND_TABLE(table), .values = &options};
    int positional = 0;
    enum trace_level level;
    int status = command_options(command, &all, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    if (!node_address_split(options.listen, program.listen, &program.port)) {
        return command_misuse(command, "--listen=%s: not an ADDRESS:PORT", options.listen);
    }
    if (iso8583_dialect_find(span_from_cstr(options.dialect)) == NULL) {
        return command_misuse(command, "--dialect is ascii or binary");
    }
    if ((options.tls_cert[0] == '\0') != (options.tls_key[0] == '\0')) {
        return command_misuse(command, "--tls-cert and --tls-key go together");
    }
    if (!trace_level_parse(span_from_cstr(options.log_level), &level)) {
        return command_misuse(command, "log-level is debug, info, warning or error");
    }
    if (!options.allow_dumps && os_process_disable_dumps() != ERR_OK) {
        return command_fail(command, "core files cannot be turned off");
    }
    (void)os_process_raise_file_limit((uint64_t)options.connections_max + FILES_BESIDES);
    trace_log_init(&program.log, 2, os_clock_real());
    trace_log_set_level(&program.log, level);
    status = serve(command, &program);
    trace_log_release(&program.log);
    return status;
}

const struct command command_card_host = {
    .name = "card-host",
    .usage = "[--listen=ADDRESS:PORT] [--data=DIR] [OPTIONS]",
    .summary = "Runs a card network with simulated issuers, over ISO 8583",
    .manual = "What --card-network=iso8583://HOST:PORT of `tael server` talks to where there is no "
              "real one. It decides by the number of the test card, as the server does by itself. "
              "docs/card-network.md tells of the messages.",
    .run = run_card_host,
};
