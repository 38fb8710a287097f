/*
 * Cold parts of documents in shards that no row names any more: deleted by one server for all, now
 * and then. On a loop of its own, which it blocks, with connections of its own.
 */
#include "roles.h"

#include "base/list.h"
#include "document/shards.h"
#include "os/loop_real.h"

#include <string.h>

/* All servers look so often whether it is time, and a while after their start. */
#define LOOKS_PER_PERIOD 24

static bool
goes_on(void *context)
{
    const struct node *node = context;
    return !atomic_load(&node->sweep_ends);
}

static void
sweep(struct node *node)
{
    const struct document_kind *kinds[NODE_KINDS_MAX];
    char message[DOCUMENT_MESSAGE_SIZE] = "";
    struct document_shards_sweep one = {
        .path = node->settings.documents + strlen("shards:"),
        .kinds = kinds,
        .kind_count = node_document_kinds(kinds),
        .age_s = DOCUMENT_SHARDS_AGE_S,
        .wait_s = DOCUMENT_SHARDS_WAIT_S,
        .pause_s = node->settings.documents_sweep / 1000,
        .goes_on = goes_on,
        .context = node,
    };
    err_t result = document_shards_sweep(&one, message);
    if (result != ERR_OK) {
        TRACE_LOG(
            &node->log,
            TRACE_WARNING,
            "documents",
            SPAN_EMPTY,
            "cold parts were not swept; it is tried again",
            trace_cstr("why", message[0] == '\0' ? err_text(result) : message));
    } else if (one.ret_parts > 0) {
        TRACE_LOG(
            &node->log,
            TRACE_INFO,
            "documents",
            SPAN_EMPTY,
            "cold parts that no row names were deleted",
            trace_u64("parts", one.ret_parts));
    }
}

static void
look_later(struct node *node)
{
    uint64_t period_ns = (uint64_t)node->settings.documents_sweep * OS_NS_PER_MS;
    os_timer_arm(
        node->sweep_loop,
        &node->sweep_timer,
        os_monotonic_ns(node->clock) + period_ns / LOOKS_PER_PERIOD);
}

static void
on_look(struct os_timer *timer)
{
    struct node *node = CONTAINER_OF(timer, struct node, sweep_timer);
    sweep(node);
    look_later(node);
}

static err_t
sweep_open(struct node *node)
{
    if (!node_documents_in_shards(node) || node->settings.documents_sweep == 0) {
        return ERR_OK;
    }
    err_t result = os_loop_create("sweep", node->clock, &node->sweep_loop);
    if (result != ERR_OK) {
        node_explain(node, "threads: %s", err_text(result));
        return result;
    }
    node->sweep_timer.fire = on_look;
    look_later(node);
    return ERR_OK;
}

/* Without its thread nothing is swept: that is for whoever reads the log. */
static void
sweep_start(struct node *node)
{
    if (node->sweep_loop == NULL) {
        return;
    }
    err_t result = os_loop_start(node->sweep_loop);
    node->sweep_runs = result == ERR_OK;
    if (result != ERR_OK) {
        TRACE_LOG(
            &node->log,
            TRACE_ERROR,
            "documents",
            SPAN_EMPTY,
            "nothing is swept",
            trace_cstr("error", err_name(result)));
    }
}

static void
sweep_drain(struct node *node)
{
    atomic_store(&node->sweep_ends, true);
    if (node->sweep_runs) {
        os_loop_stop(node->sweep_loop);
        node->sweep_runs = false;
    }
}

static void
sweep_close(struct node *node)
{
    os_loop_destroy(node->sweep_loop);
    node->sweep_loop = NULL;
}

const struct role role_sweep = {
    .name = "sweep",
    .parts = NODE_DOCUMENTS,
    .open = sweep_open,
    .start = sweep_start,
    .drain = sweep_drain,
    .close = sweep_close,
};
