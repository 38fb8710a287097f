/* Is the process ready, and what does it measure: the sum of its roles, and what is nobody's. */
#include "node.h"

#include "os/process.h"
#include "trace/exposition.h"

#include <inttypes.h>

/* A loop that has not turned for so long holds up every request: longer than the worst sync that
 * is still called working. */
#define STUCK_NS (10 * OS_NS_PER_S)

bool
node_has_started(const struct node *node)
{
    return atomic_load(&node->state) != NODE_STARTING;
}

bool
node_is_started(struct node *node, struct buf *why)
{
    const char *waits_for = atomic_load(&node->waits_for);
    if (node_has_started(node)) {
        return true;
    }
    if (waits_for != NULL) {
        buf_append_format(why, "waits for the %s", waits_for);
    } else {
        buf_append_cstr(why, "still loading");
    }
    return false;
}

static bool
loop_turns(struct pulse *pulse, struct buf *why)
{
    uint64_t delay_ns = pulse_delay_ns(pulse);
    if (delay_ns > STUCK_NS) {
        buf_append_format(
            why,
            "the %s loop has not turned for %" PRIu64 " s",
            pulse->name,
            delay_ns / OS_NS_PER_S);
        return false;
    }
    return true;
}

/* Other loops may wait for a disk or a database that comes back; this one waits for nothing. */
bool
node_is_alive(struct node *node, struct buf *why)
{
    return atomic_load(&node->state) != NODE_RUNNING ||
           loop_turns(&node->pulses[NODE_PULSE_NET], why);
}

bool
node_is_ready(struct node *node, struct buf *why)
{
    if (!node_is_started(node, why)) {
        return false;
    }
    if (atomic_load(&node->state) == NODE_DRAINING) {
        buf_append_cstr(why, "draining");
        return false;
    }
    for (size_t i = 0; i < node_role_count; i++) {
        const struct role *role = node_roles[i];
        if (node_has(node, role) && role->healthy != NULL && !role->healthy(node, why)) {
            return false;
        }
    }
    for (size_t i = 0; i < NODE_PULSES; i++) {
        if (!loop_turns(&node->pulses[i], why)) {
            return false;
        }
    }
    return true;
}

void
node_lacks(struct node *node, struct buf *out)
{
    for (size_t i = 0; i < node_role_count; i++) {
        const struct role *role = node_roles[i];
        if (node_has(node, role) && role->lacks != NULL) {
            role->lacks(node, out);
        }
    }
}

void
node_metrics(struct buf *out, const struct node_metric *metrics, size_t count)
{
    for (const struct node_metric *metric = metrics; metric < metrics + count; metric++) {
        trace_exposition_single(out, metric->name, metric->kind, metric->help, metric->value);
    }
}

void
node_metric_seconds(struct buf *out, const char *name, const char *help, uint64_t ns)
{
    trace_exposition_head(out, name, "gauge", help);
    trace_exposition_seconds(out, name, TRACE_NO_LABELS, ns);
}

void
node_metrics_process(struct buf *out)
{
    struct os_usage usage = os_process_usage();
    static const char cpu[] = "process_cpu_seconds_total";
    trace_exposition_head(out, cpu, "counter", "CPU time, user and system.");
    trace_exposition_seconds(out, cpu, TRACE_NO_LABELS, usage.cpu_user_ns + usage.cpu_system_ns);

    const struct node_metric all[] = {
        {"process_resident_memory_bytes", "gauge", "Resident memory.", usage.rss_bytes},
        {"process_virtual_memory_bytes", "gauge", "Virtual memory.", usage.virtual_bytes},
        {"process_open_fds", "gauge", "Open file descriptors.", usage.open_files},
        {"process_max_fds", "gauge", "The limit of open file descriptors.", usage.open_files_max},
        {"process_threads", "gauge", "Threads.", usage.threads},
        {"process_start_time_seconds", "gauge", "When it began, unix time.", usage.started_unix_s},
    };

    node_metrics(out, all, sizeof(all) / sizeof(all[0]));
}

static void
loop_metrics(struct node *node, struct buf *out)
{
    static const char name[] = "tael_loop_delay_seconds";
    trace_exposition_head(out, name, "gauge", "How long a task waits until its loop runs it.");
    for (size_t i = 0; i < NODE_PULSES; i++) {
        struct pulse *pulse = &node->pulses[i];
        trace_exposition_seconds(
            out, name, TRACE_LABELS("loop", pulse->name), pulse_delay_ns(pulse));
    }
}

/* What listens without TLS has none. */
static void
certificate_metrics(const struct node *node, struct buf *out)
{
    bool mutual = node->auth != NULL && remote_auth_is_mutual(node->auth);

    const struct {
        const char *use;
        const struct net_tls *tls;
    } all[] = {
        {"api", node->tls},
        {"internal", mutual ? remote_auth_server_tls(node->auth) : NULL},
    };

    static const char name[] = "tael_certificate_expires_timestamp_seconds";
    bool any = false;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].tls == NULL) {
            continue;
        }
        if (!any) {
            trace_exposition_head(out, name, "gauge", "When it ends, unix time.");
            any = true;
        }
        trace_exposition_value(
            out, name, TRACE_LABELS("use", all[i].use), (uint64_t)net_tls_expires_s(all[i].tls));
    }
}

/* Its start waits for that, or it has started as one. */
static bool
stands_by(struct node *node)
{
    struct ledger_engine_status status = {.health = LEDGER_ENGINE_RUNNING};
    if (node_has_started(node) && node->engine != NULL) {
        ledger_engine_status(node->engine, &status);
    }
    return atomic_load(&node->stands_by) || status.health == LEDGER_ENGINE_STANDBY;
}

void
node_metrics_render(struct node *node, struct buf *out)
{
    for (size_t i = 0; i < node_role_count; i++) {
        const struct role *role = node_roles[i];
        if (node_has_started(node) && node_has(node, role) && role->metrics != NULL) {
            role->metrics(node, out);
        }
    }
    if (node_has_started(node)) {
        loop_metrics(node, out);
        certificate_metrics(node, out);
    }
    node_metrics_process(out);
    char memory[256];
    struct buf why;
    buf_init_fixed(&why, memory, sizeof(memory));

    const struct node_metric all[] = {
        {"tael_ready", "gauge", "1 if /readyz says ready.", node_is_ready(node, &why) ? 1 : 0},
        {"tael_standby",
         "gauge",
         "1 if it is not ready because another server holds the ledger.",
         stands_by(node)},
        {"tael_log_lines_dropped_total",
         "counter",
         "Log lines that could not be written.",
         trace_log_dropped(&node->log)},
    };

    node_metrics(out, all, sizeof(all) / sizeof(all[0]));
    trace_exposition_head(out, "tael_build_info", "gauge", "The version that runs.");
    trace_exposition_value(out, "tael_build_info", TRACE_LABELS("version", TAEL_VERSION), 1);
}
