#include "bench_server.h"

#include "base/assert.h"
#include "os/file.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LISTENING "listening on http://127.0.0.1:"
#define LINES_MAX 32
#define FLAG_SIZE 128

static int
read_key(const struct command *command, const char *data, struct bench_server *server)
{
    char path[BENCH_PATH_SIZE + 64];
    char *text = NULL;
    size_t size = 0;
    (void)snprintf(path, sizeof(path), "%s/%stest_secret_key", data, server->split ? "api/" : "");
    err_t result = os_file_load(os_disk_real(), path, BENCH_LOAD_KEY_SIZE - 1, &text, &size);
    if (result != ERR_OK) {
        return command_fail(command, "%s: %s", path, err_text(result));
    }
    struct span key = span_trim(span_of(text, strcspn(text, "\n")));
    memcpy(server->key, key.data, key.size);
    server->key[key.size] = '\0';
    explicit_bzero(text, size);
    free(text);
    return COMMAND_GO_ON;
}

/* "ledger: pid 4711, ..." */
static void
take_member(struct bench_server *server, struct span line)
{
    (void)span_cut(&line, ' ');
    struct span word = span_cut(&line, ' ');
    struct span number = span_cut(&line, ',');
    uint64_t pid = 0;
    if (span_equal(word, SPAN("pid")) && span_parse_u64(number, &pid) && pid <= INT32_MAX &&
        server->member_count < BENCH_SERVER_PROCESSES_MAX) {
        server->members[server->member_count++].pid = (pid_t)pid;
    }
}

/* Its first lines tell the port, and the processes if there are several. */
static bool
read_start(struct bench_server *server)
{
    char line[BENCH_PATH_SIZE];
    for (int i = 0; i < LINES_MAX && fgets(line, sizeof(line), server->child.out) != NULL; i++) {
        struct span rest = span_trim(span_of(line, strcspn(line, "\n")));
        uint64_t port = 0;
        if (server->split) {
            take_member(server, rest);
        }
        if (span_starts_with(rest, SPAN(LISTENING)) &&
            span_parse_u64(span_slice(rest, strlen(LISTENING), rest.size), &port) &&
            port <= UINT16_MAX) {
            server->port = (uint16_t)port;
            (void)snprintf(server->host, sizeof(server->host), "127.0.0.1");
        }
        if (server->port != 0 && (!server->split || span_equal(rest, SPAN("all run")))) {
            return true;
        }
    }
    return false;
}

int
bench_server_start(
    const struct command *command,
    const char *folder,
    const char *flag,
    const char *config,
    const char *documents,
    struct bench_server *server)
{
    char documents_option[BENCH_PATH_SIZE + 64];
    char program[BENCH_PATH_SIZE];
    char data[BENCH_PATH_SIZE + 32];
    char data_option[BENCH_PATH_SIZE + 64];
    char last[FLAG_SIZE] = "";
    char config_option[BENCH_PATH_SIZE + 16];
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (size <= 0) {
        return command_fail(command, "this program's file is not known");
    }
    program[size] = '\0';
    (void)snprintf(data, sizeof(data), "%s/server", folder);
    (void)snprintf(data_option, sizeof(data_option), "--data=%s", data);
    /* allow-dumps: or the system would not tell how much it writes; its cards are test cards. */
    char words[][40] = {
        "",
        "--listen=127.0.0.1:0",
        "--rate-limit=1000000000",
        "--log-level=warning",
        "--allow-dumps",
    };
    (void)snprintf(words[0], sizeof(words[0]), server->split ? "local-cluster" : "server");
    (void)snprintf(documents_option, sizeof(documents_option), "--documents=%s", documents);
    if (flag != NULL) {
        (void)snprintf(last, sizeof(last), "%s", flag);
    }
    (void)snprintf(config_option, sizeof(config_option), "--config=%s", config);
    char single[] = "--api=1";
    char bare[] = "--gateways=0";
    size_t count = 0;
    char *argv[13] = {program, words[0], data_option, words[1], words[2], words[3], words[4]};
    while (argv[count] != NULL) {
        count++;
    }
    if (server->split) { /* the cost of roles, without what several of them need */
        argv[count++] = single;
        argv[count++] = bare;
    }
    if (config[0] != '\0') {
        argv[count++] = config_option;
    }
    if (documents[0] != '\0') {
        argv[count++] = documents_option;
    }
    if (flag != NULL) {
        argv[count++] = last;
    }
    if (bench_child_start(argv, &server->child) != ERR_OK || !read_start(server)) {
        return command_fail(command, "the server does not start");
    }
    return read_key(command, data, server);
}

int
bench_server_use(
    const struct command *command, const char *url, const char *key, struct bench_server *server)
{
    struct span rest = span_from_cstr(url);
    uint64_t port = 0;
    if (!span_starts_with(rest, SPAN("http://"))) {
        return command_misuse(command, "--url is http://HOST:PORT");
    }
    rest = span_slice(rest, strlen("http://"), rest.size);
    struct span host = span_cut(&rest, ':');
    if (span_ends_with(rest, SPAN("/"))) {
        rest = span_slice(rest, 0, rest.size - 1);
    }
    if (!span_parse_u64(rest, &port) || port > UINT16_MAX || host.size == 0 ||
        host.size >= sizeof(server->host)) {
        return command_misuse(command, "--url is http://HOST:PORT");
    }
    if (key[0] == '\0') {
        return command_misuse(command, "--url needs --key");
    }
    memcpy(server->host, host.data, host.size);
    server->host[host.size] = '\0';
    server->port = (uint16_t)port;
    (void)snprintf(server->key, sizeof(server->key), "%s", key);
    return COMMAND_GO_ON;
}

int
bench_server_end(const struct command *command, struct bench_server *server, int status)
{
    if (server->child.pid != 0 && !bench_child_end(&server->child, SIGTERM) &&
        status == COMMAND_OK) {
        return command_fail(command, "the server did not end well");
    }
    return status;
}

err_t
bench_server_usage(const struct bench_server *server, struct bench_child_usage *ret_usage)
{
    struct bench_child_usage sum = {.has_written = true};
    uint32_t count = server->split ? server->member_count : 1;
    for (uint32_t i = 0; i < count; i++) {
        struct bench_child_usage one;
        TRY(bench_child_usage(server->split ? &server->members[i] : &server->child, &one));
        sum.cpu_ns += one.cpu_ns;
        sum.written_bytes += one.written_bytes;
        sum.resident_bytes += one.resident_bytes;
        sum.has_written = sum.has_written && one.has_written;
    }
    *ret_usage = sum;
    return ERR_OK;
}

void
bench_server_load(const struct bench_server *server, struct bench_load_settings *load)
{
    static_assert(sizeof(load->host) == sizeof(server->host), "one size");
    static_assert(sizeof(load->key) == sizeof(server->key), "one size");
    memcpy(load->host, server->host, sizeof(load->host));
    memcpy(load->key, server->key, sizeof(load->key));
    load->port = server->port;
}
