/*
 * `tael server`: opens the data folder, serves until SIGTERM or SIGINT, and ends without leaving
 * a request unanswered.
 */
#include "command.h"
#include "main_thread.h"
#include "node.h"

#include "console/console.h"
#include "os/process.h"
#include "resource/merchants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------ first start */

struct keys_seen {
    uint32_t count;
    char merchant_id[ID_TEXT_SIZE];
};

static void
see_key(void *context, const struct resource_key_info *key)
{
    struct keys_seen *seen = context;
    if (seen->count == 0) {
        memcpy(seen->merchant_id, key->merchant_id, sizeof(seen->merchant_id));
    }
    seen->count++;
}

static err_t
make_keys(struct node *node, const char *merchant_id, bool publishable_too)
{
    char secret[RESOURCE_KEY_TEXT_SIZE];
    char line[RESOURCE_KEY_TEXT_SIZE + 1];
    char publishable[RESOURCE_KEY_TEXT_SIZE] = "";
    TRY(resource_key_create(
        node->runtime, merchant_id, RESOURCE_KEY_SECRET, false, "first key", "", secret));
    if (publishable_too) {
        TRY(resource_key_create(
            node->runtime,
            merchant_id,
            RESOURCE_KEY_PUBLISHABLE,
            false,
            "first publishable key",
            "",
            publishable));
    }
    int size = snprintf(line, sizeof(line), "%s\n", secret);
    TRY(os_file_save(
        node->disk, node->settings.data, "test_secret_key", span_of(line, (size_t)size)));
    (void)printf("test secret key:      %s\n", secret);
    if (publishable_too) {
        (void)printf("test publishable key: %s\n", publishable);
    }
    (void)printf("The secret key is also in %s/test_secret_key.\n", node->settings.data);
    explicit_bzero(secret, sizeof(secret));
    explicit_bzero(line, sizeof(line));
    return ERR_OK;
}

static err_t
new_test_key(struct node *node, const char *merchant_id)
{
    struct resource_merchant_info merchant;
    TRY(resource_merchant_find(node->runtime, span_from_cstr(merchant_id), &merchant));
    if (merchant.closed) {
        node_explain(
            node,
            "new-test-key: the merchant %s is closed and gets no key; open it first "
            "('tael merchants open')",
            merchant_id);
        return ERR_DENIED;
    }
    return make_keys(node, merchant_id, false);
}

/* A folder without keys gets a merchant and its first ones; one without documents has none. */
static err_t
first_start(struct node *node)
{
    struct keys_seen seen = {.count = 0};
    if (node->runtime == NULL) {
        return ERR_OK;
    }
    TRY(resource_key_each(node->runtime, see_key, &seen));
    if (seen.count > 0) {
        return node->settings.new_test_key ? new_test_key(node, seen.merchant_id) : ERR_OK;
    }
    char merchant_id[ID_TEXT_SIZE];
    TRY(resource_merchant_create(node->runtime, "Test merchant", merchant_id));
    return make_keys(node, merchant_id, true);
}

/* One at a time of the processes that share a database: the first of them makes the keys. */
static err_t
first_start_alone(struct node *node)
{
    enum {
        TRIES_MAX = 3000,
        PAUSE_US = 10000
    };

    struct document_store *documents = node->documents;
    const struct document_shared_ops *shared = documents == NULL ? NULL : documents->shared;
    struct document_lock lock = {.scope = 0, .id = SPAN("first start")};
    if (shared == NULL) {
        return first_start(node);
    }
    for (uint32_t i = 0; i < TRIES_MAX && !lock.granted; i++) {
        TRY(shared->lock(documents, &lock, 1));
        if (!lock.granted) {
            (void)usleep(PAUSE_US);
        }
    }
    err_t result = lock.granted ? first_start(node) : ERR_TIMEOUT;
    shared->unlock(documents, lock.scope, lock.id);
    documents->ops->maintain(documents);
    return result;
}

/* --------------------------------------------------------------------------------- the run */

/* "operators: http://127.0.0.1:9090"; nothing without a port. */
static void
announce_one(const char *what, bool tls, const char *listen, uint16_t port)
{
    const char *colon = strrchr(listen, ':');
    if (port != 0) {
        (void)printf(
            "%s %s://%.*s:%u\n",
            what,
            tls ? "https" : "http",
            (int)(colon - listen),
            listen,
            (unsigned)port);
    }
}

/* The API's address comes first: whoever waits for it need not wait longer. */
static void
announce(const struct node *node)
{
    const struct node_settings *settings = &node->settings;
    announce_one("listening on", node->tls != NULL, settings->listen, node->port);
    announce_one("operators:", false, settings->admin_listen, node->admin_port);
    bool mutual = node->auth != NULL && remote_auth_is_mutual(node->auth);
    announce_one("internal:", mutual, settings->internal_listen, node->internal_port);
    if (node->port != 0 && settings->console) {
        (void)printf("console: %s%s\n", node->public_url, CONSOLE_PATH);
    }
    (void)fflush(stdout);
}

static err_t
open_and_start(struct node *node)
{
    TRY(node_open(node));
    node->message[0] = '\0';
    err_t result = first_start_alone(node);
    if (result == ERR_OK) {
        result = node_start(node);
    }
    if (result != ERR_OK && node->message[0] == '\0') {
        node_explain(node, "start: %s", err_text(result));
    }
    return result;
}

/* A second signal ends the process, and with it the wait. */
static void
delay(int64_t duration_ms)
{
    struct timespec left = {
        .tv_sec = duration_ms / 1000, .tv_nsec = (long)(duration_ms % 1000) * 1000000L};
    while (nanosleep(&left, &left) != 0) {
    }
}

/* Roles want more for their connections to other services. */
static void
files_want(struct node *node)
{
    enum {
        FILES_BESIDES_CONNECTIONS = 256
    };

    const struct node_settings *settings = &node->settings;
    node_want_files(node, FILES_BESIDES_CONNECTIONS);
    node_want_files(node, (uint64_t)settings->connections_max);
    node_want_files(node, NODE_OUTBOUND_CONNECTIONS(settings));
    if (settings->admin_listen[0] != '\0') {
        node_want_files(node, NODE_OPERATORS_CONNECTIONS);
    }
    if (settings->internal_listen[0] != '\0') {
        node_want_files(node, remote_server_net_settings().connections_max);
    }
}

static int
serve(const struct command *command, struct node *node)
{
    struct main_thread main_thread;
    if (main_thread_open(&main_thread) != ERR_OK) {
        return command_fail(command, "the system has no signals for us");
    }
    int status = COMMAND_OK;
    node->wake = &main_thread.wake;
    os_process_ignore_hangup(); /* until tls.c listens to it, if there is something to read again */
    files_want(node);
    if (open_and_start(node) == ERR_OK) {
        announce(node);
        node_tell_files(node);
        TRACE_LOG(&node->log, TRACE_INFO, "server", SPAN_EMPTY, "started");
        main_thread_wait(&main_thread);
        TRACE_LOG(&node->log, TRACE_INFO, "server", SPAN_EMPTY, "draining");
        atomic_store(&node->state, NODE_DRAINING);
        delay(node->settings.drain_delay);
    } else if (sem_trywait(&main_thread.wake) == 0) {
        TRACE_LOG(&node->log, TRACE_INFO, "server", SPAN_EMPTY, "ended before it had started");
    } else {
        status = node->is_misused ? command_misuse(command, "%s", node->message)
                                  : command_fail(command, "%s", node->message);
    }
    node_stop(node);
    node_close(node);
    main_thread_close(&main_thread);
    if (status == COMMAND_OK) {
        TRACE_LOG(&node->log, TRACE_INFO, "server", SPAN_EMPTY, "stopped");
    }
    return status;
}

static int
prepare(const struct command *command, struct node *node)
{
    enum trace_level level;
    if (node->settings.data[0] == '\0') {
        return command_misuse(command, "--data=DIR is needed");
    }
    if (!node_parts_choose(node)) {
        return command_misuse(command, "%s", node->message);
    }
    if (!trace_level_parse(span_from_cstr(node->settings.log_level), &level)) {
        return command_misuse(command, "log-level is debug, info, warning or error");
    }
    node->clock = os_clock_real();
    node->disk = os_disk_real();
    node->entropy = os_entropy_real();
    trace_log_init(&node->log, 2, node->clock);
    trace_log_set_level(&node->log, level);
    if (!node->settings.allow_dumps && os_process_disable_dumps() != ERR_OK) {
        return command_fail(command, "core files cannot be turned off");
    }
    return COMMAND_GO_ON;
}

static int
run_server(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct node *node = calloc(1, sizeof(*node));
    if (node == NULL) {
        return command_fail(command, "out of memory");
    }
    const struct command_options options = {
        .table = node_setting_table,
        .count = node_setting_count,
        .values = &node->settings,
        .strict_environment = true,
        .config = "config",
    };
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    if (status == COMMAND_GO_ON) {
        status = prepare(command, node);
        if (status == COMMAND_GO_ON) {
            status = serve(command, node);
        }
        trace_log_release(&node->log);
    }
    free(node);
    return status;
}

const struct command command_server = {
    .name = "server",
    .usage = "--data=DIR [OPTIONS]",
    .summary = "Serves the API, with everything that it needs, from one data folder",
    .manual = "The first start in an empty folder makes a test-mode secret key, prints it, and\n"
              "leaves it in DIR/test_secret_key. SIGTERM or SIGINT ends the server gracefully; a\n"
              "second one at once.",
    .run = run_server,
};
