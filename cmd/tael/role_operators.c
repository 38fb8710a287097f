/*
 * What operators ask for, on a listener of their own, from the first moment on: is it alive, has it
 * started, is it ready, what does it count. A process that waits for another one is alive.
 */
#include "roles.h"

#include "os/process.h"

#include <inttypes.h>

#define METRICS_SIZE_MAX (4U << 20)
#define WHY_SIZE_MAX     256

/* ----------------------------------------------------------------------------- what is told --- */

bool
node_is_ready(const struct node *node, struct buf *why)
{
    const char *waits_for = atomic_load(&node->waits_for);
    switch ((enum node_state)atomic_load(&node->state)) {
    case NODE_STARTING:
        if (waits_for != NULL) {
            buf_append_format(why, "waits for the %s", waits_for);
        } else {
            buf_append_cstr(why, "starting");
        }
        return false;
    case NODE_DRAINING:
        buf_append_cstr(why, "draining");
        return false;
    case NODE_RUNNING:
        break;
    }
    for (size_t i = 0; i < node_role_count; i++) {
        const struct role *role = node_roles[i];
        if (node_has(node, role) && role->healthy != NULL && !role->healthy(node, why)) {
            return false;
        }
    }
    return true;
}

void
node_metrics(const struct node *node, struct buf *out)
{
    for (size_t i = 0; i < node_role_count; i++) {
        const struct role *role = node_roles[i];
        if (atomic_load(&node->state) != NODE_STARTING && node_has(node, role) &&
            role->metrics != NULL) {
            role->metrics(node, out);
        }
    }
    struct os_usage usage = os_process_usage();
    buf_append_format(
        out,
        "# HELP process_cpu_seconds_total CPU time.\n# TYPE process_cpu_seconds_total counter\n"
        "process_cpu_seconds_total{mode=\"user\"} %" PRIu64 ".%09" PRIu64 "\n"
        "process_cpu_seconds_total{mode=\"system\"} %" PRIu64 ".%09" PRIu64 "\n",
        usage.cpu_user_ns / OS_NS_PER_S,
        usage.cpu_user_ns % OS_NS_PER_S,
        usage.cpu_system_ns / OS_NS_PER_S,
        usage.cpu_system_ns % OS_NS_PER_S);
    node_metric(out, "process_resident_memory_bytes", "gauge", "Resident memory.", usage.rss_bytes);
    node_metric(
        out,
        "tael_log_lines_dropped_total",
        "counter",
        "Log lines that could not be written.",
        trace_log_dropped(&node->log));
}

/* ----------------------------------------------------------------------------- the listener --- */

static void
answer_state(const struct node *node, struct net_answer *answer, bool good, const char *word)
{
    char memory[WHY_SIZE_MAX];
    struct buf why;
    buf_init_fixed(&why, memory, sizeof(memory));
    answer->status = good ? 200 : 503;
    if (!good && node_is_ready(node, &why)) {
        answer->status = 200; /* it came true meanwhile */
        good = true;
    }
    buf_append_format(&answer->body, "%s%s", good ? "" : "not ", word);
    if (!good) {
        buf_append_cstr(&answer->body, ": ");
        buf_append_span(&answer->body, buf_span(&why));
    }
    buf_append_byte(&answer->body, '\n');
}

static void
answer_metrics(const struct node *node, struct net_answer *answer)
{
    answer->status = 200;
    answer->content_type = SPAN("text/plain; version=0.0.4; charset=utf-8");
    if (atomic_load(&node->state) != NODE_STARTING && node->api != NULL) {
        api_metrics_append(node->api, &answer->body);
    }
    node_metrics(node, &answer->body);
    if (buf_failed(&answer->body)) {
        buf_clear(&answer->body);
        answer->status = 500;
    }
}

static void
answer(const struct node *node, struct net_exchange *exchange)
{
    struct net_answer *answer = &exchange->answer;
    bool get = exchange->method == HTTP_METHOD_GET || exchange->method == HTTP_METHOD_HEAD;
    answer->content_type = SPAN("text/plain; charset=utf-8");
    buf_init(&answer->body, METRICS_SIZE_MAX);
    if (get && span_equal(exchange->path, SPAN("/metrics"))) {
        answer_metrics(node, answer);
    } else if (get && span_equal(exchange->path, SPAN("/livez"))) {
        answer->status = 200;
        buf_append_cstr(&answer->body, "alive\n");
    } else if (get && span_equal(exchange->path, SPAN("/startupz"))) {
        answer_state(node, answer, atomic_load(&node->state) != NODE_STARTING, "started");
    } else if (get && span_equal(exchange->path, SPAN("/readyz"))) {
        answer_state(node, answer, false, "ready");
    } else {
        answer->status = 404;
        buf_append_cstr(&answer->body, "only /livez, /startupz, /readyz and /metrics are here\n");
    }
}

static void
on_requests(void *context, struct net_exchange *first)
{
    for (struct net_exchange *exchange = first; exchange != NULL; exchange = exchange->next) {
        answer(context, exchange);
    }
    net_answer(first);
}

static err_t
operators_role_open(struct node *node)
{
    if (node->settings.admin_listen[0] == '\0') {
        return ERR_OK;
    }
    const struct net_server_hooks hooks = {.context = node, .on_requests = on_requests};
    struct net_server_settings settings = net_server_settings_default;
    settings.connections_max = 256;
    TRY(net_server_create(node->peers_loop, &settings, &hooks, &node->admin_server));
    TRY(node_listen(
        node, node->admin_server, node->settings.admin_listen, -1, NULL, &node->admin_port));
    TRY(net_loop_start(node->peers_loop));
    node->peers_loop_runs = true;
    net_server_start(node->admin_server);
    return ERR_OK;
}

/* Last of all: it tells until the end that the process drains. */
void
role_operators_stop(struct node *node)
{
    if (node->admin_server != NULL) {
        net_server_stop(node->admin_server, 0);
    }
}

static void
operators_role_close(struct node *node)
{
    net_server_destroy(&node->admin_server);
}

const struct role role_operators = {
    .name = "operators",
    .open = operators_role_open,
    .close = operators_role_close,
};
