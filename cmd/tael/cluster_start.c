/*
 * The parts of a cluster: which there are, in which order they start and end. A process that needs
 * others is started with their addresses; what does not need one another starts at the same time.
 * The gateways come before the api processes, whose links name the first gateway's address.
 */
#include "cluster.h"

#include "base/assert.h"
#include "console/console.h"

#include <string.h>

#define STOP_S  60
#define AWAIT_S 30
/* Until every gateway has read the list, and sent what it had under way in its hands. */
#define LEAVE_MS (10 * CLUSTER_LIST_MS)

void
cluster_path(const struct cluster *cluster, const char *name, char out[CLUSTER_WORD_SIZE])
{
    (void)snprintf(out, CLUSTER_WORD_SIZE, "%s/%s", cluster->settings.node.data, name);
}

struct cluster_process *
cluster_find(struct cluster *cluster, const char *name)
{
    for (size_t i = 0; i < CLUSTER_PROCESSES_MAX; i++) {
        struct cluster_process *process = &cluster->processes[i];
        if (process->pid != 0 && strcmp(process->name, name) == 0) {
            return process;
        }
    }
    return NULL;
}

size_t
cluster_count(const struct cluster *cluster, enum cluster_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < CLUSTER_PROCESSES_MAX; i++) {
        count += cluster->processes[i].pid != 0 && cluster->processes[i].kind == kind ? 1 : 0;
    }
    return count;
}

/* A free place, under the first name of its kind that nobody has: "api", "api-2". */
static struct cluster_process *
place_take(struct cluster *cluster, enum cluster_kind kind)
{
    static const char *const names[] = {
        [CLUSTER_POSTGRES] = "postgres",
        [CLUSTER_LEDGER] = "ledger",
        [CLUSTER_VAULT] = "vault",
        [CLUSTER_BANK] = "bank",
        [CLUSTER_CARDS] = "cards",
        [CLUSTER_API] = "api",
        [CLUSTER_GATEWAY] = "gateway",
    };

    char name[CLUSTER_NAME_SIZE];
    struct cluster_process *process = NULL;
    for (size_t i = 0; i < CLUSTER_PROCESSES_MAX && process == NULL; i++) {
        process = cluster->processes[i].pid == 0 ? &cluster->processes[i] : NULL;
    }
    ASSERT(process != NULL); /* whoever asks has counted */
    (void)snprintf(name, sizeof(name), "%s", names[kind]);
    for (unsigned i = 2; cluster_find(cluster, name) != NULL; i++) {
        (void)snprintf(name, sizeof(name), "%s-%u", names[kind], i);
    }
    *process = (struct cluster_process){.kind = kind};
    memcpy(process->name, name, sizeof(name));
    return process;
}

/* ----------------------------------------------------------------------------------- starting ---
 */

/* Does not wait. */
static struct cluster_process *
launch(struct cluster *cluster, enum cluster_kind kind)
{
    struct cluster_process *process = place_take(cluster, kind);
    struct cluster_words words;
    cluster_words_init(&words);
    cluster_words_make(cluster, process, &words);
    bool fits = cluster_words_fit(&words);
    const struct cluster_spawn spawn = {.argv = words.argv};
    err_t result = fits ? cluster_process_start(process, &spawn) : ERR_FULL;
    cluster_words_release(&words);
    if (result != ERR_OK) {
        (void)command_fail(
            cluster->command,
            "%s: %s",
            process->name,
            fits ? "cannot be started" : "too many options, or one that is too long");
        return NULL;
    }
    return process;
}

static void
introduce(const struct cluster *cluster, const struct cluster_process *process, bool lists)
{
    const char *data = cluster->settings.node.data;
    (void)printf("%s: pid %d", process->name, (int)process->pid);
    if (process->kind == CLUSTER_GATEWAY) {
        (void)printf(", configuration %s/%s.json", data, process->name);
    } else {
        (void)printf(", data %s/%s", data, process->name);
    }
    if (process->internal[0] != '\0') {
        (void)printf(", internal %s", process->internal);
    }
    if (process->operators[0] != '\0') {
        (void)printf(", operators %s", process->operators);
    }
    if (lists && process->listening[0] != '\0') {
        (void)printf(", listens %s", process->listening);
    }
    (void)putchar('\n');
    (void)fflush(stdout);
}

/* Where people come to it: by the name that browsers know, if there is one. */
static void
introduce_console(const struct cluster *cluster, const struct cluster_process *process)
{
    const struct node_settings *node = &cluster->settings.node;
    const char *url = node->public_url[0] != '\0' ? node->public_url : process->listening;
    size_t size = strlen(url);
    size -= size > 0 && url[size - 1] == '/' ? 1 : 0;
    if (node->console) {
        (void)printf("console: %.*s%s\n", (int)size, url, CONSOLE_PATH);
        (void)fflush(stdout);
    }
}

/* Waits until one that was launched has told its addresses. What the api prints are the keys, and
 * its own address, unless clients come to a gateway. */
static bool
settle(struct cluster *cluster, struct cluster_process *process)
{
    bool before = cluster_count(cluster, CLUSTER_GATEWAY) > 0;
    bool is_api = process != NULL && process->kind == CLUSTER_API;
    const char *last =
        process != NULL && process->kind == CLUSTER_GATEWAY ? "operators: " : "internal: ";
    if (process == NULL) {
        return false;
    }
    bool is_first = strcmp(process->name, "api") == 0;
    if (!cluster_process_read(process, last, is_api, !before && is_first)) {
        (void)command_fail(cluster->command, "%s did not start", process->name);
        return false;
    }
    introduce(cluster, process, before || !is_first);
    if (is_api && is_first && !before) {
        introduce_console(cluster, process);
    }
    return true;
}

/* The ledger is one process, or one for each shard; they start at the same time. */
static size_t
launch_ledgers(struct cluster *cluster, struct cluster_process *ledgers[CLUSTER_SHARDS_MAX])
{
    size_t count = cluster->settings.shards == 0 ? 1 : (size_t)cluster->settings.shards;
    for (size_t i = 0; i < count; i++) {
        ledgers[i] = launch(cluster, CLUSTER_LEDGER);
    }
    return count;
}

static bool
settle_ledgers(struct cluster *cluster, struct cluster_process *const *ledgers, size_t ledger_count)
{
    for (size_t i = 0; i < ledger_count; i++) {
        if (!settle(cluster, ledgers[i]) ||
            (cluster->settings.shards > 0 && !cluster_shard_publish(cluster, ledgers[i]))) {
            return false;
        }
    }
    return true;
}

/* What asks nobody. */
static bool
start_bottom(struct cluster *cluster)
{
    struct cluster_process *bank = NULL;
    struct cluster_process *ledgers[CLUSTER_SHARDS_MAX];
    if (!cluster_ledger_prepare(cluster) || !cluster_shards_prepare(cluster)) {
        return false;
    }
    if (cluster->programs[0] != '\0') {
        struct cluster_process *postgres = place_take(cluster, CLUSTER_POSTGRES);
        if (!cluster_postgres_start(cluster, postgres)) {
            return false;
        }
        introduce(cluster, postgres, false);
    }
    if (!cluster_documents_prepare(cluster)) {
        return false;
    }
    size_t ledger_count = launch_ledgers(cluster, ledgers);
    struct cluster_process *vault = launch(cluster, CLUSTER_VAULT);
    if (cluster->shared) { /* else it is with the wallets, where it always was */
        bank = launch(cluster, CLUSTER_BANK);
    }
    return settle_ledgers(cluster, ledgers, ledger_count) && settle(cluster, vault) &&
           (!cluster->shared || settle(cluster, bank));
}

static bool
start_gateways(struct cluster *cluster)
{
    for (int64_t i = 0; i < cluster->settings.gateways; i++) {
        char name[CLUSTER_NAME_SIZE] = "gateway";
        if (i > 0) {
            (void)snprintf(name, sizeof(name), "gateway-%d", (int)i + 1);
        }
        err_t result = cluster_gateway_configure(cluster, name, i);
        if (result != ERR_OK) {
            (void)command_fail(cluster->command, "%s: %s", name, err_text(result));
            return false;
        }
        struct cluster_process *process = launch(cluster, CLUSTER_GATEWAY);
        if (!settle(cluster, process)) {
            return false;
        }
    }
    return true;
}

static bool
publish(const struct cluster *cluster, const struct cluster_process *leaves)
{
    if (cluster_count(cluster, CLUSTER_GATEWAY) == 0) {
        return true;
    }
    err_t result = cluster_gateway_publish(cluster, leaves);
    if (result != ERR_OK) {
        (void)command_fail(cluster->command, "the list for gateways: %s", err_text(result));
    }
    return result == ERR_OK;
}

/* The first one makes the keys of all; the others come at the same time. */
static bool
start_apis(struct cluster *cluster)
{
    struct cluster_process *others[CLUSTER_API_MAX];
    size_t count = 0;
    if (!settle(cluster, launch(cluster, CLUSTER_API))) {
        return false;
    }
    for (int64_t i = 1; i < cluster->settings.api; i++) {
        others[count++] = launch(cluster, CLUSTER_API);
    }
    for (size_t i = 0; i < count; i++) {
        if (!settle(cluster, others[i])) {
            return false;
        }
    }
    return publish(cluster, NULL);
}

static bool
await_gateways(const struct cluster *cluster)
{
    for (size_t i = 0; i < CLUSTER_PROCESSES_MAX; i++) {
        const struct cluster_process *process = &cluster->processes[i];
        if (process->pid == 0 || process->kind != CLUSTER_GATEWAY) {
            continue;
        }
        if (!cluster_gateway_await(process, AWAIT_S)) {
            (void)command_fail(
                cluster->command, "%s does not reach the api processes", process->name);
            return false;
        }
        (void)printf("listening on %s\n", process->listening);
        introduce_console(cluster, process);
    }
    return true;
}

bool
cluster_start(struct cluster *cluster)
{
    if (!start_bottom(cluster) || !settle(cluster, launch(cluster, CLUSTER_CARDS))) {
        return false;
    }
    return start_gateways(cluster) && start_apis(cluster) && await_gateways(cluster);
}

/* ------------------------------------------------------------------------------------- ending ---
 */

int
cluster_stop(struct cluster *cluster, int status)
{
    for (int kind = CLUSTER_GATEWAY; kind >= CLUSTER_POSTGRES; kind--) {
        for (size_t i = CLUSTER_PROCESSES_MAX; i > 0; i--) {
            struct cluster_process *process = &cluster->processes[i - 1];
            if ((int)process->kind != kind || process->pid == 0) {
                continue;
            }
            if (!cluster_process_stop(process, STOP_S) && status == COMMAND_OK) {
                status = command_fail(cluster->command, "%s did not end well", process->name);
            }
        }
    }
    return status;
}

/* ------------------------------------------------------------------------------ one more, less ---
 */

struct cluster_process *
cluster_api_add(struct cluster *cluster)
{
    struct cluster_process *process = launch(cluster, CLUSTER_API);
    if (!settle(cluster, process) || !publish(cluster, NULL)) {
        if (process != NULL) {
            (void)cluster_process_stop(process, STOP_S);
        }
        return NULL;
    }
    return process;
}

bool
cluster_api_drain(struct cluster *cluster, struct cluster_process *process)
{
    const struct timespec leave = {
        .tv_sec = LEAVE_MS / 1000, .tv_nsec = LEAVE_MS % 1000 * 1000000L};
    if (!publish(cluster, process)) {
        return false;
    }
    (void)nanosleep(&leave, NULL);
    return cluster_process_stop(process, STOP_S);
}
