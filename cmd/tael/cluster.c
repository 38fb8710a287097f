/*
 * `tael local-cluster`: a whole split deployment on one machine with one command, for people and
 * for tests. Each process has a folder of its own below --data.
 */
#include "cluster.h"

#include "option.h"

#include "os/key_file.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEY_SIZE 32 /* bytes, before they are written as digits */

/* With PostgreSQL. */
#define API_DEFAULT      3
#define GATEWAYS_DEFAULT 2

static const struct setting own_table[] = {
    OPTION_NUMBER(
        struct cluster_settings,
        api,
        "api",
        "-1",
        -1,
        CLUSTER_API_MAX,
        "processes",
        "Of the API; -1: 3 with documents on PostgreSQL, else 1, which is all that can be."),
    OPTION_NUMBER(
        struct cluster_settings,
        gateways,
        "gateways",
        "-1",
        -1,
        CLUSTER_GATEWAYS_MAX,
        "processes",
        "Before the API: --listen is the first one's, the next ports those of the others; -1: 2 "
        "with documents on PostgreSQL, else none."),
    OPTION_NUMBER(
        struct cluster_settings,
        shards,
        "shards",
        "0",
        0,
        CLUSTER_SHARDS_MAX,
        "processes",
        "Of the ledger, each with its part of the merchants; 0: it is one. A folder keeps its "
        "number."),
    OPTION_NUMBER(
        struct cluster_settings,
        document_shards,
        "document-shards",
        "0",
        0,
        CLUSTER_SHARDS_MAX,
        "schemas",
        "Of the documents in PostgreSQL, each with its part of the merchants; 0: they are in one. "
        "A folder keeps its number."),
    OPTION_TEXT(
        struct cluster_settings,
        engine,
        "engine",
        "journal",
        "What keeps the ledger: journal, a folder; or postgres, a schema for each shard where "
        "--ledger says, or else where the documents are. A folder keeps its engine."),
    OPTION_TEXT(
        struct cluster_settings,
        postgres,
        "postgres",
        "auto",
        "Without --documents: auto starts a PostgreSQL in DIR/postgres if Debian's package is "
        "here and DIR has no documents yet, no does not; or the folder of its programs."),
};

#define OWN_COUNT (sizeof(own_table) / sizeof(own_table[0]))

/* The key that the processes share; made once. */
static err_t
key_make(const struct cluster *cluster)
{
    char path[CLUSTER_WORD_SIZE];
    char *text = NULL;
    size_t size = 0;
    const char *data = cluster->settings.node.data;
    struct os_disk *disk = os_disk_real();
    (void)snprintf(path, sizeof(path), "%s/internal.key", data);
    err_t result = os_file_load(disk, path, REMOTE_KEY_MAX + 2, &text, &size);
    if (result == ERR_OK) {
        explicit_bzero(text, size);
        free(text);
    }
    if (result != ERR_NOT_FOUND) {
        return result;
    }
    return os_key_file_make(disk, os_entropy_real(), data, "internal.key", KEY_SIZE);
}

/* ----------------------------------------------------------------------------------- running ---
 */

/* The first of ours that ended, or NULL. It is not waited for again. */
static struct cluster_process *
ended_one(struct cluster *cluster, int *ret_status)
{
    for (size_t i = 0; i < CLUSTER_PROCESSES_MAX; i++) {
        struct cluster_process *process = &cluster->processes[i];
        if (process->pid != 0 && waitpid(process->pid, ret_status, WNOHANG) == process->pid) {
            process->pid = 0;
            return process;
        }
    }
    return NULL;
}

/* Until we are told to end, or one of the processes ends by itself: nothing is started again, so
 * that nobody mistakes a deployment that crashes for one that runs. */
static int
run(struct cluster *cluster, const sigset_t *signals)
{
    const struct timespec look = {.tv_nsec = CLUSTER_REQUEST_MS * 1000000L};
    for (;;) {
        int status = 0;
        const struct cluster_process *ended = ended_one(cluster, &status);
        if (ended != NULL) {
            char how[CLUSTER_END_SIZE];
            cluster_end_describe(status, how);
            return command_fail(
                cluster->command,
                "%s ended by itself (%s); the others are stopped",
                ended->name,
                how);
        }
        int number = sigtimedwait(signals, NULL, &look);
        if (number == SIGTERM || number == SIGINT) {
            return COMMAND_OK;
        }
        cluster_control_serve(cluster);
    }
}

static int
serve(struct cluster *cluster)
{
    sigset_t signals;
    int status = COMMAND_FAILED;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    if (cluster_start(cluster)) {
        (void)printf("all run\n");
        (void)fflush(stdout);
        status = run(cluster, &signals);
    }
    return cluster_stop(cluster, status);
}

/* ----------------------------------------------------------------------------------- settings ---
 */

/* What this command says for each process; NULL: nothing of it was given. */
static const char *
is_ours(const struct node_settings *settings)
{
    static const struct {
        const char *name;
        size_t offset;
    } ours[] = {
        {"ledger-at", offsetof(struct node_settings, ledger_at)},
        {"ledger-shards", offsetof(struct node_settings, ledger_shards)},
        {"shard", offsetof(struct node_settings, shard)},
        {"cards-at", offsetof(struct node_settings, cards_at)},
        {"vault-at", offsetof(struct node_settings, vault_at)},
        {"bank-at", offsetof(struct node_settings, bank_at)},
        {"webhook-key-file", offsetof(struct node_settings, webhook_key_file)},
        {"internal-listen", offsetof(struct node_settings, internal_listen)},
        {"internal-key-file", offsetof(struct node_settings, internal_key_file)},
        {"internal-tls-ca", offsetof(struct node_settings, internal_tls_ca)},
        {"internal-tls-cert", offsetof(struct node_settings, internal_tls_cert)},
        {"internal-tls-key", offsetof(struct node_settings, internal_tls_key)},
    };

    if (strcmp(settings->roles, "all") != 0) {
        return "roles";
    }
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (*((const char *)settings + ours[i].offset) != '\0') {
            return ours[i].name;
        }
    }
    return NULL;
}

/* Documents that an earlier cluster left in SQLite are not left behind. */
static bool
has_sqlite(const struct cluster *cluster)
{
    char path[CLUSTER_WORD_SIZE];
    cluster_path(cluster, "api/tael.db", path);
    return access(path, F_OK) == 0;
}

/* Where documents are, and how many processes that makes. An exit status, or COMMAND_GO_ON. */
static int
settle_settings(struct cluster *cluster)
{
    struct cluster_settings *settings = &cluster->settings;
    bool given = settings->node.documents[0] != '\0';
    bool is_auto = strcmp(settings->postgres, "auto") == 0;
    if (!given && is_auto && settings->api != 1 && !has_sqlite(cluster)) {
        cluster_postgres_find(cluster->programs);
    } else if (!given && !is_auto && strcmp(settings->postgres, "no") != 0) {
        memcpy(cluster->programs, settings->postgres, sizeof(cluster->programs));
    }
    cluster->shared = given || cluster->programs[0] != '\0';
    if (settings->api > 1 && !cluster->shared) {
        return command_misuse(
            cluster->command,
            "--api=%d: several api processes need documents on PostgreSQL (--documents, or "
            "Debian's package postgresql)",
            (int)settings->api);
    }
    if (settings->api == 0) {
        return command_misuse(cluster->command, "--api=0: there is nothing without one");
    }
    if (settings->api < 0) {
        settings->api = cluster->shared ? API_DEFAULT : 1;
    }
    if (settings->gateways < 0) {
        settings->gateways = cluster->shared ? GATEWAYS_DEFAULT : 0;
    }
    int status = cluster_ledger_settle(cluster);
    return status == COMMAND_GO_ON ? cluster_documents_settle(cluster) : status;
}

/* Without what only this command knows: "--api=3", or "--api" "3". */
static int
given_take(char **given, char *const *words)
{
    int count = 0;
    for (size_t i = 0; words[i] != NULL; i++) {
        bool own = false;
        for (size_t j = 0; j < OWN_COUNT; j++) {
            size_t size = strlen(own_table[j].name);
            if (strncmp(words[i], "--", 2) == 0 &&
                strncmp(words[i] + 2, own_table[j].name, size) == 0 &&
                (words[i][2 + size] == '=' || words[i][2 + size] == '\0')) {
                own = true;
                i += words[i][2 + size] == '\0' && words[i + 1] != NULL ? 1 : 0;
                break;
            }
        }
        if (!own) {
            given[count++] = words[i];
        }
    }
    return count;
}

/* The environment's are ours, too: the processes would not know them. */
static void
forget_variables(void)
{
    (void)unsetenv("TAEL_API");
    (void)unsetenv("TAEL_GATEWAYS");
    (void)unsetenv("TAEL_SHARDS");
    (void)unsetenv("TAEL_DOCUMENT_SHARDS");
    (void)unsetenv("TAEL_ENGINE");
    (void)unsetenv("TAEL_POSTGRES");
}

static int
prepare(struct cluster *cluster)
{
    const struct node_settings *node = &cluster->settings.node;
    char host[NODE_ADDRESS_SIZE];
    uint16_t port;
    const char *ours = is_ours(node);
    if (ours != NULL) {
        return command_misuse(
            cluster->command, "--%s is what this command says for each process", ours);
    }
    if (!node_address_split(node->listen, host, &port)) {
        return command_misuse(cluster->command, "--listen=%s: not an ADDRESS:PORT", node->listen);
    }
    int status = settle_settings(cluster);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    err_t result = os_disk_real()->ops->make_folder(os_disk_real(), node->data);
    if (result != ERR_OK) {
        return command_fail(
            cluster->command, "data folder %s: %s", node->data, node_folder_text(result));
    }
    result = cluster_lock(cluster);
    if (result == ERR_OK) {
        result = key_make(cluster);
    }
    return result == ERR_OK
               ? COMMAND_GO_ON
               : command_fail(cluster->command, "%s: %s", node->data, err_text(result));
}

/* ------------------------------------------------------------------------------------ command ---
 */

static int
command_settings(struct cluster *cluster, char **argv, int *ret_positional)
{
    struct setting *table = calloc(OWN_COUNT + node_setting_count, sizeof(*table));
    if (table == NULL) {
        return command_fail(cluster->command, "out of memory");
    }
    static_assert(offsetof(struct cluster_settings, node) == 0, "the node's table says where");
    memcpy(table, own_table, sizeof(own_table));
    memcpy(table + OWN_COUNT, node_setting_table, node_setting_count * sizeof(*table));
    const struct command_options options = {
        .table = table,
        .count = OWN_COUNT + node_setting_count,
        .values = &cluster->settings,
        .strict_environment = true,
        .config = "config",
        .positional_max = 2,
    };
    int status = command_options(cluster->command, &options, argv, ret_positional);
    free(table);
    if (status == COMMAND_GO_ON && cluster->settings.node.data[0] == '\0') {
        status = command_misuse(cluster->command, "--data=DIR is needed");
    }
    return status;
}

static int
act(struct cluster *cluster, char *const *words, int count)
{
    if (count == 0) {
        int status = prepare(cluster);
        return status == COMMAND_GO_ON ? serve(cluster) : status;
    }
    bool add = strcmp(words[0], "add") == 0 && count == 1;
    bool drain = strcmp(words[0], "drain") == 0 && count == 2;
    if (!add && !drain) {
        return command_misuse(cluster->command, "besides options there are add, and drain NAME");
    }
    return cluster_control_ask(cluster, words[0], drain ? words[1] : "");
}

static int
run_cluster(const struct command *command, int argc, char **argv)
{
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    char **given = calloc((size_t)argc + 1, sizeof(*given));
    if (cluster == NULL || given == NULL) {
        free(given);
        free(cluster);
        return command_fail(command, "out of memory");
    }
    cluster->command = command;
    cluster->given = given;
    cluster->given_count = given_take(given, argv + 1);
    int positional = 0;
    int status = command_settings(cluster, argv, &positional);
    if (status == COMMAND_GO_ON) {
        forget_variables();
        status = act(cluster, argv + 1, positional);
    }
    if (cluster->lock != NULL) {
        os_disk_real()->ops->close(os_disk_real(), cluster->lock);
    }
    free(given);
    free(cluster);
    return status;
}

const struct command command_local_cluster = {
    .name = "local-cluster",
    .usage = "[add | drain NAME] --data=DIR [OPTIONS]",
    .summary = "Runs the services as processes of their own, on this machine",
    .manual =
        "Starts the ledger, the vault, cards, and the API with all that shares its documents, "
        "each\n"
        "with its folder below DIR, and prints their addresses, pids and keys. With documents on\n"
        "PostgreSQL there are several api processes, a bank that they share, and gateways before\n"
        "them. Options of tael server go to all processes; those of the listener to the gateways.\n"
        "Nothing is started again: if one ends by itself, the others are stopped and the exit\n"
        "status is 1. SIGTERM or SIGINT ends all of them gracefully, the gateways first.\n"
        "\n"
        "add starts one more api process in the cluster that runs on DIR; drain NAME (api-2) has\n"
        "the gateways use one no more, and ends it.",
    .run = run_cluster,
};
