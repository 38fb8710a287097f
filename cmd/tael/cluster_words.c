/* What each process of a cluster is started with. */
#include "cluster.h"

#include <stdarg.h>
#include <string.h>

#define WORDS_ARENA (UINT64_C(1) << 20)

void
cluster_words_init(struct cluster_words *words)
{
    words->count = 0;
    words->argv[0] = NULL;
    arena_init(&words->arena, WORDS_ARENA);
}

void
cluster_words_release(struct cluster_words *words)
{
    arena_release(&words->arena);
}

bool
cluster_words_fit(const struct cluster_words *words)
{
    return words->count <= CLUSTER_WORDS_MAX;
}

void
cluster_word_add(struct cluster_words *words, const char *format, ...)
{
    char text[CLUSTER_WORD_SIZE + NODE_DATABASE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    char *copy = size < 0 || (size_t)size >= sizeof(text)
                     ? NULL
                     : arena_cstr(&words->arena, span_of(text, (size_t)size));
    if (copy == NULL || words->count >= CLUSTER_WORDS_MAX) {
        words->count = CLUSTER_WORDS_MAX + 1; /* too many, or too long */
        return;
    }
    words->argv[words->count++] = copy;
    words->argv[words->count] = NULL;
}

/* Where the first process of a kind answers the others. */
static const char *
internal_of(const struct cluster *cluster, enum cluster_kind kind)
{
    for (size_t i = 0; i < CLUSTER_PROCESSES_MAX; i++) {
        if (cluster->processes[i].pid != 0 && cluster->processes[i].kind == kind) {
            return cluster->processes[i].internal;
        }
    }
    return "";
}

static const char *
first_gateway(const struct cluster *cluster)
{
    for (size_t i = 0; i < CLUSTER_PROCESSES_MAX; i++) {
        if (cluster->processes[i].pid != 0 && cluster->processes[i].kind == CLUSTER_GATEWAY) {
            return cluster->processes[i].listening;
        }
    }
    return "";
}

/* The first api process makes the keys, which the others get. */
static void
add_api(
    const struct cluster *cluster,
    const struct cluster_process *process,
    struct cluster_words *words)
{
    const struct node_settings *node = &cluster->settings.node;
    bool is_first = strcmp(process->name, "api") == 0;
    cluster_word_add(words, "--roles=payments,wallets,mobile,events,api");
    if (cluster->settings.shards > 0) {
        cluster_word_add(words, "--ledger-shards=%s/shards", node->data);
    } else {
        cluster_word_add(words, "--ledger-at=%s", internal_of(cluster, CLUSTER_LEDGER));
    }
    cluster_word_add(words, "--cards-at=%s", internal_of(cluster, CLUSTER_CARDS));
    cluster_word_add(words, "--vault-at=%s", internal_of(cluster, CLUSTER_VAULT));
    if (cluster->shared) {
        cluster_word_add(words, "--bank-at=%s", internal_of(cluster, CLUSTER_BANK));
    }
    if (cluster->settings.document_shards > 0) {
        cluster_word_add(words, "--documents=shards:%s/document-shards", node->data);
    } else if (cluster->documents[0] != '\0') {
        cluster_word_add(words, "--documents=%s", cluster->documents);
    }
    if (!is_first) {
        cluster_word_add(words, "--webhook-key-file=%s/api/webhooks/master.key", node->data);
    }
    bool before = cluster_count(cluster, CLUSTER_GATEWAY) > 0;
    if (before || !is_first) {
        cluster_word_add(words, "--listen=127.0.0.1:0");
        cluster_word_add(words, "--port=-1");
        cluster_word_add(words, "--admin-listen=127.0.0.1:0");
    }
    if (before) { /* it ends TLS, and browsers come to it */
        cluster_word_add(words, "--tls-cert=");
        cluster_word_add(words, "--tls-key=");
        if (strcmp(node->client_address, "connection") == 0) {
            cluster_word_add(words, "--client-address=forwarded");
        }
        if (node->public_url[0] == '\0') {
            cluster_word_add(words, "--public-url=%s", first_gateway(cluster));
        }
    }
}

static void
add_server(
    const struct cluster *cluster,
    const struct cluster_process *process,
    struct cluster_words *words)
{
    static const char *const roles[] = {
        [CLUSTER_LEDGER] = "ledger",
        [CLUSTER_VAULT] = "vault",
        [CLUSTER_BANK] = "bank",
        [CLUSTER_CARDS] = "cards",
    };

    const char *data = cluster->settings.node.data;
    cluster_word_add(words, "server");
    cluster_word_add(
        words,
        "--trace-service=tael-%s",
        process->kind == CLUSTER_API ? "api" : roles[process->kind]);
    for (int i = 0; i < cluster->given_count; i++) {
        cluster_word_add(words, "%s", cluster->given[i]);
    }
    cluster_word_add(words, "--data=%s/%s", data, process->name);
    cluster_word_add(words, "--internal-listen=127.0.0.1:0");
    cluster_word_add(words, "--internal-key-file=%s/internal.key", data);
    if (process->kind == CLUSTER_API) {
        add_api(cluster, process, words);
        return;
    }
    cluster_word_add(words, "--roles=%s", roles[process->kind]);
    cluster_word_add(words, "--admin-listen=127.0.0.1:0");
    cluster_word_add(words, "--port=-1");
    if (process->kind == CLUSTER_LEDGER && cluster->settings.shards > 0) {
        cluster_word_add(words, "--ledger-shards=%s/shards", data);
        cluster_word_add(words, "--shard=%s", process->name);
    }
    if (process->kind == CLUSTER_LEDGER && cluster->on_postgres) {
        cluster_ledger_word(cluster, process, words);
    }
    if (process->kind == CLUSTER_CARDS) {
        cluster_word_add(words, "--vault-at=%s", internal_of(cluster, CLUSTER_VAULT));
    }
}

void
cluster_words_make(
    const struct cluster *cluster,
    const struct cluster_process *process,
    struct cluster_words *words)
{
    cluster_word_add(words, "tael");
    if (process->kind != CLUSTER_GATEWAY) {
        add_server(cluster, process, words);
        return;
    }
    cluster_word_add(words, "gateway");
    cluster_word_add(words, "--config=%s/%s.json", cluster->settings.node.data, process->name);
    cluster_word_add(words, "--log-level=%s", cluster->settings.node.log_level);
    if (cluster->settings.node.allow_dumps) {
        cluster_word_add(words, "--allow-dumps");
    }
}
