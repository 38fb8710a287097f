/*
 * A ledger of several shards, for those who ask: a router over the shards of a map
 * (docs/internals/shards.md). The process of one shard is role_shard.c.
 */
#include "roles.h"

#include "base/list.h"
#include "os/file.h"
#include "trace/exposition.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* While waiting: between looks, and between lines of the log. */
#define LOOK_MS 50
#define SAY_MS  10000
/* While a fence is up: between looks at the map's file, and until requests are given up. */
#define MAP_LOOK_MS UINT64_C(5)
#define MAP_WAIT_MS UINT64_C(3000)
/* Maps that do not fit are told of once in so long. */
#define DISAGREE_MS UINT64_C(10000)
/* Of parts of requests under way, in the router. */
#define ROUTER_MEMORY_MAX (UINT64_C(256) << 20)

static bool
routes(const struct node *node)
{
    return node->settings.ledger_shards[0] != '\0' && (node->parts & NODE_LEDGER) == 0;
}

/* ----------------------------------------------------------------------------------- the map ---
 */

err_t
role_shards_map_read(struct node *node, struct shard_map *map, struct shard_problem *problem)
{
    char *text = NULL;
    size_t size = 0;
    *problem = (struct shard_problem){.reason = NULL};
    TRY(os_file_load(node->disk, node->settings.ledger_shards, SHARD_TEXT_MAX, &text, &size));
    err_t result = shard_map_read(span_of(text, size), map, problem);
    free(text);
    return result;
}

err_t
role_shards_map_open(struct node *node)
{
    struct shard_problem problem;
    node->shard_map = calloc(1, sizeof(*node->shard_map));
    node->shard_map_next = calloc(1, sizeof(*node->shard_map_next));
    if (node->shard_map == NULL || node->shard_map_next == NULL) {
        node_explain(node, "shards: out of memory");
        return ERR_MEMORY;
    }
    err_t result = role_shards_map_read(node, node->shard_map, &problem);
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
    role_peers_want_files(node, parts.endpoints);
    return result;
}

/* ---- a newer map: on the loop of files ---- */

/* Shards that were added: their peers are there before the router knows of them. */
static err_t
shards_grow(struct node *node)
{
    struct shard_map *map = node->shard_map;
    for (uint32_t i = map->shard_count; i < node->shard_map_next->shard_count; i++) {
        map->shards[i] = node->shard_map_next->shards[i];
        if (node->shard_peers[i] == NULL) {
            TRY(shard_open(node, i));
            remote_client_start(node->shard_peers[i]);
        }
        map->shard_count = i + 1;
        atomic_store(&node->shard_count, i + 1);
    }
    return ERR_OK;
}

static void
reload_end(struct node *node, err_t result)
{
    struct port_ledger *ports[SHARD_SHARDS_MAX];
    uint64_t epoch = result == ERR_OK ? node->shard_map_next->epoch : 0;
    bool old = result == ERR_OK && epoch < node->shards_wanted;
    if (result == ERR_OK) {
        result = shards_grow(node);
    }
    const char *file = node->settings.ledger_shards;
    const char *error = result == ERR_OK ? "none" : err_text(result);
    if (old) {
        TRACE_LOG(
            &node->log,
            TRACE_ERROR,
            "shards",
            SPAN_EMPTY,
            "a shard tells of a newer map, and the file has an older one: requests are refused",
            trace_cstr("file", file),
            trace_u64("epoch", epoch),
            trace_u64("shard_epoch", node->shards_wanted));
    } else {
        TRACE_LOG(
            &node->log,
            result == ERR_OK ? TRACE_INFO : TRACE_ERROR,
            "shards",
            SPAN_EMPTY,
            "a shard tells of a newer map; it was read again",
            trace_cstr("file", file),
            trace_u64("epoch", epoch),
            trace_cstr("error", error));
    }
    for (uint32_t i = 0; i < node->shard_map->shard_count; i++) {
        ports[i] = remote_client_ledger(node->shard_peers[i]);
    }
    shards_router_reloaded(node->router, result == ERR_OK ? node->shard_map_next : NULL, ports);
}

/* A fence tells of the map that will end it: that comes within moments, or a move was cut off. */
static void
look_again(struct os_timer *timer)
{
    struct node *node = CONTAINER_OF(timer, struct node, shards_again);
    struct shard_problem problem;
    uint64_t now = os_monotonic_ns(node->clock);
    err_t result = role_shards_map_read(node, node->shard_map_next, &problem);
    if (result == ERR_OK && node->shard_map_next->epoch < node->shards_wanted &&
        now < node->shards_until) {
        os_timer_arm(node->sync_loop, timer, now + MAP_LOOK_MS * OS_NS_PER_MS);
        return;
    }
    reload_end(node, result);
}

static void
run_reload(struct os_task *task)
{
    struct node *node = CONTAINER_OF(task, struct node, shards_reload);
    node->shards_until = os_monotonic_ns(node->clock) + MAP_WAIT_MS * OS_NS_PER_MS;
    node->shards_again.fire = look_again;
    look_again(&node->shards_again);
}

static void
reload(void *context, uint64_t epoch)
{
    struct node *node = context;
    node->shards_wanted = epoch;
    node->shards_reload.run = run_reload;
    os_post(os_loop_executor(node->sync_loop), &node->shards_reload);
}

/* On the loop of peers. */
static void
disagree(void *context, uint64_t epoch)
{
    struct node *node = context;
    uint64_t now = os_monotonic_ns(node->clock);
    uint64_t ours = shards_router_map(node->router)->epoch;
    if (node->shards_disagreed_ns != 0 &&
        now - node->shards_disagreed_ns < DISAGREE_MS * OS_NS_PER_MS) {
        return;
    }
    node->shards_disagreed_ns = now;
    const struct trace_field fields[] = {
        trace_cstr("file", node->settings.ledger_shards),
        trace_u64("epoch", ours),
        trace_u64("shard_epoch", epoch),
    };
    const struct trace_entry entry = {
        .level = TRACE_ERROR,
        .component = "shards",
        .message = epoch == ours
                       ? SPAN("the maps differ: a shard does not have what this one's gives it, by "
                              "the same epoch; requests are refused")
                       : SPAN("a shard has an older map, and its file has no newer one: requests "
                              "are refused"),
        .fields = fields,
        .field_count = sizeof(fields) / sizeof(fields[0]),
    };
    trace_log_write(&node->log, &entry);
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
        .disagree = disagree,
        .context = node,
    };
    return shards_router_create(&parts, &node->router);
}

/* -------------------------------------------------------------------------------- the cross --- */

static void
cross_log(
    void *context,
    bool is_warning,
    const char *what,
    u128 name,
    const char *state,
    const struct trace_context *trace)
{
    struct node *node = context;
    char id[U128_DECIMAL_SIZE];
    char trace_id[33];
    (void)u128_format(name, id);
    (void)snprintf(
        trace_id,
        sizeof(trace_id),
        "%016" PRIx64 "%016" PRIx64,
        (uint64_t)(trace->trace_id >> 64),
        (uint64_t)trace->trace_id);
    TRACE_LOG(
        &node->log,
        is_warning ? TRACE_WARNING : TRACE_INFO,
        "shards",
        trace_context_is_set(trace) ? span_from_cstr(trace_id) : SPAN_EMPTY,
        "a transaction between shards",
        trace_cstr("what", what),
        trace_cstr("transaction", id),
        trace_cstr("state", state));
}

static void
cross_turn(struct net_timer *timer)
{
    struct node *node = CONTAINER_OF(timer, struct node, cross_tick);
    shards_cross_tick(node->cross);
    uint64_t next = net_now_ns() + SHARDS_CROSS_TICK_MS * OS_NS_PER_MS;
    err_t result = net_timer_arm(node->peers_loop, timer, next);
    ASSERT(result == ERR_OK); /* it was armed before, so there is room */
}

static void
run_cross_begin(struct os_task *task)
{
    struct node *node = CONTAINER_OF(task, struct node, cross_begin);
    node->cross_tick.fire = cross_turn;
    cross_turn(&node->cross_tick);
}

/* Whether wallets are apart from their merchants. */
static err_t
wallet_placement(struct node *node, bool *ret_apart)
{
    bool apart = strcmp(node->settings.wallet_placement, "wallet") == 0;
    if (!apart && strcmp(node->settings.wallet_placement, "merchant") != 0) {
        return node_misuse(node, "wallet-placement: it is merchant or wallet");
    }
    if (apart && !routes(node) && (node->parts & NODE_WALLETS) != 0) {
        return node_misuse(
            node, "wallet-placement: only a ledger of several shards (ledger-shards) has slots");
    }
    *ret_apart = apart;
    return ERR_OK;
}

static err_t
cross_open(struct node *node, bool wallets_apart)
{
    bool three = strcmp(node->settings.ledger_commit, "3pc") == 0;
    if (!three && strcmp(node->settings.ledger_commit, "2pc") != 0) {
        return node_misuse(node, "ledger-commit: it is 2pc or 3pc");
    }
    struct shards_cross_parts parts = shards_cross_parts_default();
    parts.executor = net_loop_executor(node->peers_loop);
    parts.router = node->router;
    parts.clock = node->clock;
    parts.sha256 = resource_sha256;
    parts.protocol = three ? COMMIT_3PC : COMMIT_2PC;
    parts.jobs_max = (uint32_t)node->settings.operations_max * 2 + 1024;
    parts.seed = os_monotonic_ns(node->clock);
    parts.log = cross_log;
    parts.context = node;
    TRY(shards_cross_create(&parts, &node->cross));
    node->ledger_port = shards_cross_port(node->cross);
    node->ledger_port->wallets_apart = wallets_apart;
    node->cross_begin.run = run_cross_begin;
    os_post(net_loop_executor(node->peers_loop), &node->cross_begin);
    return ERR_OK;
}

static err_t
shards_role_open(struct node *node)
{
    bool wallets_apart = false;
    TRY(wallet_placement(node, &wallets_apart));
    if (!routes(node)) {
        return ERR_OK;
    }
    TRY(role_shards_map_open(node));
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
    atomic_store(&node->shard_count, node->shard_map->shard_count);
    TRY(router_open(node));
    return cross_open(node, wallets_apart);
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
    shards_cross_destroy(&node->cross);
    shards_router_destroy(&node->router);
    shards_owner_destroy(&node->owner);
    free(node->shard_map);
    free(node->shard_map_next);
}

/* While one shard works there are merchants who can be served, and who takes this server out
 * because of the others', which all servers miss at once, stops everybody. */
static bool
shards_role_healthy(const struct node *node, struct buf *why)
{
    struct remote_client_state state = {.ready = true};
    bool ready = node->router == NULL;
    for (uint32_t i = 0; node->router != NULL && i < atomic_load(&node->shard_count); i++) {
        remote_client_look(node->shard_peers[i], &state);
        ready = ready || state.ready;
    }
    if (!ready) {
        buf_append_format(why, "no shard of the ledger can be used: %s", state.why);
    }
    return ready;
}

static void
shards_role_lacks(const struct node *node, struct buf *out)
{
    for (uint32_t i = 0; node->router != NULL && i < atomic_load(&node->shard_count); i++) {
        struct remote_client_state state;
        remote_client_look(node->shard_peers[i], &state);
        if (!state.ready) {
            buf_append_format(
                out,
                ", without shard %s of the ledger (%s)",
                node->shard_map->shards[i].name,
                state.why);
        }
    }
}

static void
cross_metrics(const struct node *node, struct buf *out)
{
    struct shards_cross_counters counters;
    shards_cross_count(node->cross, &counters);
    const struct node_metric all[] = {
        {"tael_txn_committed_total",
         "counter",
         "Transfers between shards that were decided here.",
         counters.committed},
        {"tael_txn_aborted_total", "counter", "Refused, or too late.", counters.aborted},
        {"tael_txn_left_total", "counter", "Left to the resolvers.", counters.left},
        {"tael_txn_resolved_committed_total",
         "counter",
         "Finished by the resolver: committed.",
         counters.resolved_committed},
        {"tael_txn_resolved_aborted_total",
         "counter",
         "Finished by the resolver: aborted.",
         counters.resolved_aborted},
        {"tael_txn_busy_total", "counter", "Refused for want of room or time.", counters.busy},
        {"tael_txn_reads_repeated_total",
         "counter",
         "Consistent reads that began again.",
         counters.reads_repeated},
        {"tael_txn_sweeps_failed_total",
         "counter",
         "Shards that did not say what they have in doubt.",
         counters.sweeps_failed},
        {"tael_txn_in_doubt",
         "gauge",
         "Parts of transactions that wait for a decision longer than they should.",
         counters.in_doubt},
        {"tael_txn_oldest_seconds",
         "gauge",
         "How long the oldest of them has waited.",
         counters.oldest_doubt_ms / 1000},
    };
    node_metrics(out, all, sizeof(all) / sizeof(all[0]));
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
    cross_metrics(node, out);
    static const char ready[] = "tael_shards_ready";
    trace_exposition_head(out, ready, "gauge", "1 if the shard answers and can work.");
    for (uint32_t i = 0; i < atomic_load(&node->shard_count); i++) {
        struct remote_client_state state;
        remote_client_look(node->shard_peers[i], &state);
        trace_exposition_value(
            out, ready, TRACE_LABELS("shard", node->shard_map->shards[i].name), state.ready);
    }
}

const struct role role_shards = {
    .name = "shards",
    .open = shards_role_open,
    .close = shards_role_close,
    .healthy = shards_role_healthy,
    .lacks = shards_role_lacks,
    .metrics = shards_role_metrics,
};
