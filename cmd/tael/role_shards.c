/*
 * A ledger of several shards: for those who ask, a router over the shards of a map; for the process
 * of one shard, the port that takes what the map gives it (docs/internals/shards.md).
 */
#include "roles.h"

#include "base/list.h"
#include "os/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* While waiting: between looks, and between lines of the log. */
#define LOOK_MS 50
#define SAY_MS  10000
/* Of parts of requests under way, in the router. */
#define ROUTER_MEMORY_MAX (UINT64_C(256) << 20)
/* Accounts that are looked at in one go, when a shard starts. */
#define PAGE 8190

static bool
routes(const struct node *node)
{
    return node->settings.ledger_shards[0] != '\0' && (node->parts & NODE_LEDGER) == 0;
}

/* ----------------------------------------------------------------------------------- the map ---
 */

static err_t
map_read(struct node *node, struct shard_map *map, struct shard_problem *problem)
{
    char *text = NULL;
    size_t size = 0;
    *problem = (struct shard_problem){.reason = NULL};
    TRY(os_file_load(node->disk, node->settings.ledger_shards, SHARD_TEXT_MAX, &text, &size));
    err_t result = shard_map_read(span_of(text, size), map, problem);
    free(text);
    return result;
}

static err_t
map_open(struct node *node)
{
    struct shard_problem problem;
    node->shard_map = calloc(1, sizeof(*node->shard_map));
    node->shard_map_next = calloc(1, sizeof(*node->shard_map_next));
    if (node->shard_map == NULL || node->shard_map_next == NULL) {
        node_explain(node, "shards: out of memory");
        return ERR_MEMORY;
    }
    err_t result = map_read(node, node->shard_map, &problem);
    if (result != ERR_OK && problem.reason != NULL) {
        node_explain(
            node,
            "ledger-shards %s, line %" PRIu32 ": %s",
            node->settings.ledger_shards,
            problem.line,
            problem.reason);
    } else if (result != ERR_OK) {
        node_explain(node, "ledger-shards %s: %s", node->settings.ledger_shards, err_text(result));
    }
    return result;
}

/* On the loop of files. */
static void
run_reload(struct os_task *task)
{
    struct node *node = CONTAINER_OF(task, struct node, shards_reload);
    struct shard_problem problem;
    err_t result = map_read(node, node->shard_map_next, &problem);
    TRACE_LOG(
        &node->log,
        result == ERR_OK ? TRACE_INFO : TRACE_ERROR,
        "shards",
        SPAN_EMPTY,
        "a shard tells of a newer map; it was read again",
        trace_cstr("file", node->settings.ledger_shards),
        trace_u64("epoch", result == ERR_OK ? node->shard_map_next->epoch : 0),
        trace_cstr("error", result == ERR_OK ? "none" : err_text(result)));
    shards_router_reloaded(node->router, result == ERR_OK ? node->shard_map_next : NULL);
}

static void
reload(void *context)
{
    struct node *node = context;
    node->shards_reload.run = run_reload;
    os_post(os_loop_executor(node->sync_loop), &node->shards_reload);
}

/* -------------------------------------------------------------------------------- the router ---
 */

static err_t
shard_open(struct node *node, uint32_t shard)
{
    char message[REMOTE_MESSAGE_SIZE];
    struct remote_client_parts parts = {
        .net = node->peers_loop,
        .files = node->sync_loop,
        .service = REMOTE_LEDGER,
        .endpoints = node->shard_map->shards[shard].at,
        .auth = node->auth,
        .settings = remote_client_settings_default,
    };
    parts.settings.timeout_ms = (uint32_t)node->settings.internal_timeout;
    parts.settings.connections_max = (uint32_t)node->settings.internal_connections_max;
    parts.settings.requests_max = (uint32_t)node->settings.operations_max * 2 + 1024;
    err_t result = remote_client_create(&parts, &node->shard_peers[shard], message);
    if (result != ERR_OK) {
        node_explain(
            node,
            "shard %s: %s",
            node->shard_map->shards[shard].name,
            message[0] == '\0' ? err_text(result) : message);
    }
    return result;
}

static err_t
shard_await(struct node *node, uint32_t shard)
{
    struct remote_client_state state;
    const char *name = node->shard_map->shards[shard].name;
    uint32_t waited_ms = 0;
    remote_client_look(node->shard_peers[shard], &state);
    while (!state.reached) {
        atomic_store(&node->waits_for, name);
        if (waited_ms % SAY_MS == 10 * LOOK_MS) {
            TRACE_LOG(
                &node->log,
                TRACE_WARNING,
                "shards",
                SPAN_EMPTY,
                "waits for a shard",
                trace_cstr("shard", name),
                trace_cstr("why", state.why));
        }
        if (!node_pause(node, LOOK_MS)) {
            node_explain(node, "ended while it waited for the shard %s", name);
            return ERR_CLOSED;
        }
        waited_ms += LOOK_MS;
        remote_client_look(node->shard_peers[shard], &state);
    }
    atomic_store(&node->waits_for, NULL);
    return ERR_OK;
}

static err_t
router_open(struct node *node)
{
    struct port_ledger *ports[SHARD_SHARDS_MAX];
    for (uint32_t i = 0; i < node->shard_map->shard_count; i++) {
        ports[i] = remote_client_ledger(node->shard_peers[i]);
    }
    const struct shards_router_parts parts = {
        .executor = net_loop_executor(node->peers_loop),
        .map = node->shard_map,
        .ports = ports,
        .requests_max = (uint32_t)node->settings.operations_max * 2 + 1024,
        .memory_max = ROUTER_MEMORY_MAX,
        .reload = reload,
        .context = node,
    };
    TRY(shards_router_create(&parts, &node->router));
    node->ledger_port = shards_router_port(node->router);
    return ERR_OK;
}

static err_t
shards_role_open(struct node *node)
{
    if (!routes(node)) {
        return ERR_OK;
    }
    TRY(map_open(node));
    for (uint32_t i = 0; i < node->shard_map->shard_count; i++) {
        TRY(shard_open(node, i));
    }
    TRY(node_start_peers_loop(node));
    for (uint32_t i = 0; i < node->shard_map->shard_count; i++) {
        remote_client_start(node->shard_peers[i]);
    }
    for (uint32_t i = 0; i < node->shard_map->shard_count; i++) {
        TRY(shard_await(node, i));
    }
    return router_open(node);
}

void
role_shards_stop(struct node *node)
{
    for (uint32_t i = 0; i < SHARD_SHARDS_MAX; i++) {
        if (node->shard_peers[i] != NULL) {
            remote_client_stop(node->shard_peers[i]);
        }
    }
}

static void
shards_role_close(struct node *node)
{
    for (uint32_t i = 0; i < SHARD_SHARDS_MAX; i++) {
        remote_client_destroy(&node->shard_peers[i]);
    }
    shards_router_destroy(&node->router);
    shards_owner_destroy(&node->owner);
    free(node->shard_map);
    free(node->shard_map_next);
}

/* While one shard works there are merchants who can be served. */
static bool
shards_role_healthy(const struct node *node, struct buf *why)
{
    struct remote_client_state state = {.ready = true};
    bool ready = node->router == NULL;
    for (uint32_t i = 0; node->router != NULL && i < node->shard_map->shard_count; i++) {
        remote_client_look(node->shard_peers[i], &state);
        ready = ready || state.ready;
    }
    if (!ready) {
        buf_append_format(why, "no shard of the ledger can be used: %s", state.why);
    }
    return ready;
}

static void
shards_role_metrics(const struct node *node, struct buf *out)
{
    if (node->owner != NULL) {
        const struct node_metric own[] = {
            {"tael_shard_epoch", "gauge", "Of the map.", shards_owner_epoch(node->owner)},
            {"tael_shard_moved_total",
             "counter",
             "Requests by another epoch, or for another shard.",
             shards_owner_moved(node->owner)},
        };
        node_metrics(out, own, sizeof(own) / sizeof(own[0]));
    }
    if (node->router == NULL) {
        return;
    }
    struct shards_router_counters counters;
    shards_router_count(node->router, &counters);
    const struct node_metric all[] = {
        {"tael_shards_requests_total", "counter", "Routed.", counters.requests},
        {"tael_shards_split_total", "counter", "Batches for several.", counters.split},
        {"tael_shards_all_total", "counter", "Asked of every shard.", counters.all},
        {"tael_shards_crossed_total", "counter", "Refused: on two shards.", counters.crossed},
        {"tael_shards_moved_total", "counter", "Told that it moved.", counters.moved},
        {"tael_shards_busy_total", "counter", "Refused for want of room.", counters.busy},
        {"tael_shards_epoch", "gauge", "Of the map in use.", counters.epoch},
        {"tael_shards_under_way", "gauge", "Not answered yet.", counters.under_way},
    };
    node_metrics(out, all, sizeof(all) / sizeof(all[0]));
    buf_append_cstr(
        out,
        "# HELP tael_shards_ready 1 if the shard answers and can work.\n"
        "# TYPE tael_shards_ready gauge\n");
    for (uint32_t i = 0; i < node->shard_map->shard_count; i++) {
        struct remote_client_state state;
        remote_client_look(node->shard_peers[i], &state);
        buf_append_format(
            out,
            "tael_shards_ready{shard=\"%s\"} %d\n",
            node->shard_map->shards[i].name,
            state.ready ? 1 : 0);
    }
}

const struct role role_shards = {
    .name = "shards",
    .open = shards_role_open,
    .close = shards_role_close,
    .healthy = shards_role_healthy,
    .metrics = shards_role_metrics,
};

/* --------------------------------------------------------------------------------- one shard ---
 */

struct page {
    struct port_ledger_request request;
    sem_t answered;
    struct ledger_account accounts[PAGE];
};

static void
page_done(struct port_ledger_request *request)
{
    struct page *page = CONTAINER_OF(request, struct page, request);
    (void)sem_post(&page->answered);
}

/* A ledger that another server holds is asked again until it is this one's: so long this process
 * stands by, and serves nobody. */
static err_t
page_ask(struct node *node, struct page *page, const struct port_ledger_filter *filter)
{
    struct os_executor executor = {.post = os_post_now};
    struct ledger_engine_status status;
    do {
        page->request = (struct port_ledger_request){
            .reply_to = &executor,
            .done = page_done,
            .operation = PORT_LEDGER_QUERY_ACCOUNTS,
            .in.filter = filter,
            .out.accounts = page->accounts,
        };
        node->ledger_port->submit(node->ledger_port, &page->request);
        while (sem_wait(&page->answered) != 0) {
        }
        ledger_engine_status(node->engine, &status);
        if (page->request.error != ERR_BUSY || status.health == LEDGER_ENGINE_FAILED) {
            atomic_store(&node->waits_for, NULL);
            return page->request.error;
        }
        atomic_store(&node->waits_for, "ledger, which another server holds");
    } while (node_pause(node, LOOK_MS));
    node_explain(node, "ended while it waited for the ledger, which another server holds");
    return ERR_CLOSED;
}

/* What is here and not ours would be lost to those who ask by the map: so it does not start. */
static err_t
accounts_check(struct node *node, uint32_t shard, struct page *page)
{
    struct port_ledger_filter filter = {.limit = PAGE};
    do {
        TRY(page_ask(node, page, &filter));
        for (uint32_t i = 0; i < page->request.out_count; i++) {
            const struct ledger_account *account = &page->accounts[i];
            char id[U128_DECIMAL_SIZE];
            filter.timestamp_min = account->timestamp + 1;
            if (shard_map_of_id(node->shard_map, account->id) != shard) {
                (void)u128_format(account->id, id);
                node_explain(
                    node,
                    "shard %s: account %s is here, but its slot %u is not by %s",
                    node->settings.shard,
                    id,
                    (unsigned)shard_slot_of_id(account->id),
                    node->settings.ledger_shards);
                return ERR_INVALID;
            }
        }
    } while (page->request.out_count > 0);
    return ERR_OK;
}

err_t
role_shards_own(struct node *node)
{
    uint32_t shard = 0;
    if (node->settings.shard[0] == '\0') {
        return ERR_OK;
    }
    TRY(map_open(node));
    if (shard_map_find(node->shard_map, span_from_cstr(node->settings.shard), &shard) != ERR_OK) {
        node_explain(
            node,
            "shard %s: %s names no such one",
            node->settings.shard,
            node->settings.ledger_shards);
        return ERR_NOT_FOUND;
    }
    struct page *page = calloc(1, sizeof(*page));
    if (page == NULL || sem_init(&page->answered, 0, 0) != 0) {
        free(page);
        node_explain(node, "shards: out of memory");
        return ERR_MEMORY;
    }
    err_t result = accounts_check(node, shard, page);
    (void)sem_destroy(&page->answered);
    free(page);
    TRY(result);
    return shards_owner_create(node->ledger_port, node->shard_map, shard, &node->owner);
}
