#include "node.h"

#include "base/assert.h"
#include "os/loop_real.h"

#include <stdarg.h>
#include <stdio.h>

void
node_explain(struct node *node, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(node->message, sizeof(node->message), format, arguments);
    va_end(arguments);
}

void
node_path(const struct node *node, const char *name, char out[NODE_PATH_SIZE + 64])
{
    struct buf text;
    buf_init_fixed(&text, out, NODE_PATH_SIZE + 63);
    buf_append_format(&text, "%s/%s", node->settings.data, name);
    ASSERT(!buf_failed(&text));
    out[text.size] = '\0';
}

/* One process has the folder: the lock ends with it. */
static err_t
folder_open(struct node *node)
{
    char path[NODE_PATH_SIZE + 64];
    const char *folder = node->settings.data;
    err_t result = node->disk->ops->make_folder(node->disk, folder);
    if (result == ERR_OK) {
        node_path(node, "lock", path);
        result =
            node->disk->ops->open(node->disk, path, OS_OPEN_CREATE, false, &node->lock_file, NULL);
        if (result == ERR_EXISTS) {
            result = node->disk->ops->open(
                node->disk, path, OS_OPEN_WRITE, false, &node->lock_file, NULL);
        }
    }
    if (result == ERR_OK) {
        result = node->disk->ops->lock(node->disk, node->lock_file);
    }
    if (result != ERR_OK) {
        node_explain(node, "data folder %s: %s", folder, err_text(result));
    }
    return result;
}

static err_t
loops_open(struct node *node)
{
    TRY(os_loop_create("resource", node->clock, &node->resource_loop));
    TRY(os_loop_create("sync", node->clock, &node->sync_loop));
    TRY(os_loop_create("cards", node->clock, &node->cards_loop));
    TRY(os_loop_create("ledger-api", node->clock, &node->ledger_api_loop));
    struct os_loop *const watched[NODE_PULSES] = {
        node->resource_loop, node->sync_loop, node->cards_loop, node->ledger_api_loop};
    for (size_t i = 0; i < NODE_PULSES; i++) {
        pulse_init(&node->pulses[i], watched[i], node->clock);
    }
    TRY(net_loop_create("traces", &node->traces_loop));
    TRY(net_loop_create("outbound", &node->outbound_loop));
    return net_loop_create("net", &node->net_loop);
}

err_t
node_open(struct node *node)
{
    TRY(folder_open(node));
    err_t result = loops_open(node);
    if (result != ERR_OK) {
        node_explain(node, "threads: %s", err_text(result));
        return result;
    }
    for (size_t i = 0; i < node_role_count; i++) {
        result = node_roles[i]->open(node);
        if (result != ERR_OK) {
            return result;
        }
    }
    return ERR_OK;
}

err_t
node_start(struct node *node)
{
    TRY(net_loop_start(node->traces_loop));
    TRY(os_loop_start(node->cards_loop));
    TRY(os_loop_start(node->sync_loop));
    TRY(os_loop_start(node->resource_loop));
    TRY(os_loop_start(node->ledger_api_loop));
    if (node->broker_loop != NULL) {
        TRY(os_loop_start(node->broker_loop));
    }
    TRY(net_loop_start(node->outbound_loop));
    TRY(net_loop_start(node->net_loop));
    node->loops_run = true;
    for (size_t i = 0; i < node_role_count; i++) {
        if (node_roles[i]->start != NULL) {
            node_roles[i]->start(node);
        }
    }
    atomic_store(&node->started, true);
    return ERR_OK;
}

void
node_stop(struct node *node)
{
    for (size_t i = node_role_count; node->loops_run && i > 0; i--) {
        if (node_roles[i - 1]->drain != NULL) {
            node_roles[i - 1]->drain(node);
        }
    }
    /* What sweepers still had under way is taken up by the next start. */
    net_loop_stop(node->net_loop);
    net_loop_stop(node->outbound_loop);
    if (node->broker_loop != NULL) {
        os_loop_stop(node->broker_loop);
    }
    os_loop_stop(node->ledger_api_loop);
    os_loop_stop(node->resource_loop);
    os_loop_stop(node->sync_loop);
    os_loop_stop(node->cards_loop);
    net_loop_stop(node->traces_loop);
    node->loops_run = false;
}

void
node_close(struct node *node)
{
    ASSERT(!node->loops_run);
    for (size_t i = node_role_count; i > 0; i--) {
        if (node_roles[i - 1]->close != NULL) {
            node_roles[i - 1]->close(node);
        }
    }
    net_loop_destroy(&node->net_loop);
    net_loop_destroy(&node->outbound_loop);
    net_loop_destroy(&node->traces_loop);
    os_loop_destroy(node->ledger_api_loop);
    os_loop_destroy(node->resource_loop);
    os_loop_destroy(node->sync_loop);
    os_loop_destroy(node->cards_loop);
    if (node->lock_file != NULL) {
        node->disk->ops->close(node->disk, node->lock_file);
    }
}
