/*
 * `tael local-cluster`: a whole split deployment on one machine with one command, for people and
 * for tests. Each role has a process and a folder of its own below --data.
 */
#include "cluster.h"

#include "command.h"
#include "node.h"

#include "os/entropy.h"
#include "os/file.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define STOP_S   60
#define KEY_SIZE 32 /* bytes, before they are written as digits */

enum {
    LEDGER,
    VAULT,
    CARDS,
    API,
    PROCESS_COUNT
};

/* In the order of starting; ended in the reverse order. */
static const struct {
    const char *name;
    const char *roles;
} plan[PROCESS_COUNT] = {
    [LEDGER] = {"ledger", "ledger"},
    [VAULT] = {"vault", "vault"},
    [CARDS] = {"cards", "cards"},
    [API] = {"api", "payments,wallets,mobile,events,api"},
};

struct cluster {
    const struct command *command;
    struct node_settings settings;
    char *const *given; /* the options that were given, for every process */
    int given_count;
    struct cluster_process processes[PROCESS_COUNT];
};

/* ------------------------------------------------------------------------------------- words ---
 */

/* The words of one process: a name, unless one is given; what was given; and then what is its own,
 * which counts. */
struct words {
    char *argv[CLUSTER_WORDS_MAX + 1];
    int count;
    struct arena arena;
};

__attribute__((format(printf, 2, 3))) static void
word_add(struct words *words, const char *format, ...)
{
    char text[CLUSTER_WORD_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    char *copy = size < 0 || (size_t)size >= sizeof(text)
                     ? NULL
                     : arena_cstr(&words->arena, span_of(text, (size_t)size));
    if (copy == NULL || words->count == CLUSTER_WORDS_MAX) {
        words->count = CLUSTER_WORDS_MAX + 1; /* too many, or too long */
        return;
    }
    words->argv[words->count++] = copy;
    words->argv[words->count] = NULL;
}

static void
words_make(const struct cluster *cluster, size_t which, struct words *words)
{
    const char *data = cluster->settings.data;
    const struct cluster_process *processes = cluster->processes;
    word_add(words, "tael");
    word_add(words, "server");
    word_add(words, "--trace-service=tael-%s", plan[which].name);
    for (int i = 0; i < cluster->given_count; i++) {
        word_add(words, "%s", cluster->given[i]);
    }
    word_add(words, "--data=%s/%s", data, plan[which].name);
    word_add(words, "--roles=%s", plan[which].roles);
    word_add(words, "--internal-listen=127.0.0.1:0");
    word_add(words, "--internal-key-file=%s/internal.key", data);
    if (which == API) {
        word_add(words, "--ledger-at=%s", processes[LEDGER].internal);
        word_add(words, "--cards-at=%s", processes[CARDS].internal);
    } else {
        word_add(words, "--admin-listen=127.0.0.1:0");
        word_add(words, "--port=-1");
    }
    if (which == API || which == CARDS) {
        word_add(words, "--vault-at=%s", processes[VAULT].internal);
    }
}

/* ---------------------------------------------------------------------------------- starting ---
 */

static bool
start_one(struct cluster *cluster, size_t which)
{
    enum {
        WORDS_ARENA = 1 << 20
    };

    struct cluster_process *process = &cluster->processes[which];
    struct words words = {.count = 0};
    arena_init(&words.arena, WORDS_ARENA);
    process->name = plan[which].name;
    words_make(cluster, which, &words);
    bool fits = words.count <= CLUSTER_WORDS_MAX;
    err_t result = fits ? cluster_process_start(process, words.argv) : ERR_FULL;
    arena_release(&words.arena);
    if (result != ERR_OK) {
        (void)command_fail(
            cluster->command,
            "%s: %s",
            plan[which].name,
            fits ? "cannot be started" : "too many options");
        return false;
    }
    /* What the API prints are the keys and its address. */
    if (!cluster_process_read(process, which == API)) {
        (void)command_fail(cluster->command, "%s did not start", plan[which].name);
        return false;
    }
    (void)printf(
        "%s: pid %d, data %s/%s, internal %s%s%s\n",
        plan[which].name,
        (int)process->pid,
        cluster->settings.data,
        plan[which].name,
        process->internal,
        process->operators[0] == '\0' ? "" : ", operators ",
        process->operators);
    (void)fflush(stdout);
    return true;
}

/* The key that the processes share; made once. */
static err_t
key_make(const struct cluster *cluster)
{
    char path[CLUSTER_WORD_SIZE];
    char *text = NULL;
    size_t size = 0;
    const char *data = cluster->settings.data;
    struct os_disk *disk = os_disk_real();
    TRY(disk->ops->make_folder(disk, data));
    (void)snprintf(path, sizeof(path), "%s/internal.key", data);
    err_t result = os_file_load(disk, path, REMOTE_KEY_MAX + 2, &text, &size);
    if (result == ERR_OK) {
        explicit_bzero(text, size);
        free(text);
    }
    if (result != ERR_NOT_FOUND) {
        return result;
    }
    uint8_t random[KEY_SIZE];
    char memory[KEY_SIZE * 2 + 1];
    struct os_entropy *entropy = os_entropy_real();
    struct buf key;
    entropy->fill(entropy, random, sizeof(random));
    buf_init_fixed(&key, memory, sizeof(memory));
    buf_append_hex(&key, random, sizeof(random));
    buf_append_byte(&key, '\n');
    result = os_file_save(disk, data, "internal.key", buf_span(&key));
    explicit_bzero(random, sizeof(random));
    explicit_bzero(memory, sizeof(memory));
    return result;
}

/* ----------------------------------------------------------------------------------- running ---
 */

/* The first of ours that ended, or PROCESS_COUNT. It is not waited for again. */
static size_t
ended_one(struct cluster *cluster, int *ret_status)
{
    for (size_t i = 0; i < PROCESS_COUNT; i++) {
        struct cluster_process *process = &cluster->processes[i];
        if (process->pid != 0 && waitpid(process->pid, ret_status, WNOHANG) == process->pid) {
            process->pid = 0;
            return i;
        }
    }
    return PROCESS_COUNT;
}

/* Until we are told to end, or one of the processes ends by itself: nothing is started again, so
 * that nobody mistakes a deployment that crashes for one that runs. */
static int
run(struct cluster *cluster, const sigset_t *signals)
{
    for (;;) {
        int status = 0;
        size_t which = ended_one(cluster, &status);
        if (which < PROCESS_COUNT) {
            char how[CLUSTER_END_SIZE];
            cluster_end_describe(status, how);
            return command_fail(
                cluster->command,
                "%s ended by itself (%s); the others are stopped",
                plan[which].name,
                how);
        }
        int number = sigwaitinfo(signals, NULL);
        if (number == SIGTERM || number == SIGINT) {
            return COMMAND_OK;
        }
    }
}

static int
stop_all(struct cluster *cluster, int status)
{
    for (size_t i = PROCESS_COUNT; i > 0; i--) {
        struct cluster_process *process = &cluster->processes[i - 1];
        if (!cluster_process_stop(process, STOP_S) && status == COMMAND_OK) {
            status = command_fail(cluster->command, "%s did not end well", process->name);
        }
        if (process->out != NULL) {
            (void)fclose(process->out);
        }
    }
    return status;
}

static int
serve(struct cluster *cluster)
{
    sigset_t signals;
    int status = COMMAND_OK;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    for (size_t i = 0; i < PROCESS_COUNT && status == COMMAND_OK; i++) {
        status = start_one(cluster, i) ? COMMAND_OK : COMMAND_FAILED;
    }
    if (status == COMMAND_OK) {
        (void)printf("all run\n");
        (void)fflush(stdout);
        status = run(cluster, &signals);
    }
    return stop_all(cluster, status);
}

/* What this command says for each process; NULL: nothing of it was given. */
static const char *
is_ours(const struct node_settings *settings)
{
    static const struct {
        const char *name;
        size_t offset;
    } ours[] = {
        {"ledger-at", offsetof(struct node_settings, ledger_at)},
        {"cards-at", offsetof(struct node_settings, cards_at)},
        {"vault-at", offsetof(struct node_settings, vault_at)},
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
    memcpy(given, argv + 1, (size_t)(argc - 1) * sizeof(*given));
    cluster->command = command;
    cluster->given = given;
    cluster->given_count = argc - 1;
    const struct command_options options = {
        .table = node_setting_table,
        .count = node_setting_count,
        .values = &cluster->settings,
        .strict_environment = true,
        .config = "config",
    };
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    const char *ours = status == COMMAND_GO_ON ? is_ours(&cluster->settings) : NULL;
    if (ours != NULL) {
        status = command_misuse(command, "--%s is what this command says for each process", ours);
    } else if (status == COMMAND_GO_ON && cluster->settings.data[0] == '\0') {
        status = command_misuse(command, "--data=DIR is needed");
    } else if (status == COMMAND_GO_ON) {
        err_t result = key_make(cluster);
        status = result != ERR_OK
                     ? command_fail(command, "%s: %s", cluster->settings.data, err_text(result))
                     : serve(cluster);
    }
    free(given);
    free(cluster);
    return status;
}

const struct command command_local_cluster = {
    .name = "local-cluster",
    .usage = "--data=DIR [OPTIONS OF tael server]",
    .summary = "Runs the services as processes of their own, on this machine",
    .manual =
        "Starts the ledger, the vault, cards, and the API with all that shares its documents, "
        "each\n"
        "with its folder below DIR, and prints their addresses, pids and keys. Options go to all\n"
        "of them. Nothing is started again: if one ends by itself, the others are stopped and the\n"
        "exit status is 1. SIGTERM or SIGINT ends all of them gracefully, the API first.",
    .run = run_cluster,
};
