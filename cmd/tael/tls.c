/*
 * The certificate of the public listener, and its renewal while the process works.
 *
 *   SIGHUP   net loop        posts `load`; while one is under way, that one is followed by another
 *   load     resource loop   reads the files; what cannot be used is told to the log
 *   take     net loop        new connections have what was read; those that are open keep theirs
 */
#include "tls.h"

#include "base/list.h"

#include <signal.h>

static err_t
read_files(const struct node *node, struct net_tls **ret_tls)
{
    return net_tls_create_server(node->settings.tls_cert, node->settings.tls_key, ret_tls);
}

static void
load(struct node *node)
{
    node->tls_is_renewing = true;
    os_post(os_loop_executor(node->resource_loop), &node->tls_load);
}

static void
run_take(struct os_task *task)
{
    struct node *node = CONTAINER_OF(task, struct node, tls_take);
    if (node->tls_renewed != NULL) {
        net_tls_replace(node->tls, &node->tls_renewed);
        TRACE_LOG(
            &node->log, TRACE_INFO, "server", SPAN_EMPTY, "TLS: the certificate was read again");
    }
    node->tls_is_renewing = false;
    if (node->tls_is_asked_again) {
        node->tls_is_asked_again = false;
        load(node);
    }
}

static void
run_load(struct os_task *task)
{
    struct node *node = CONTAINER_OF(task, struct node, tls_load);
    err_t result = read_files(node, &node->tls_renewed);
    if (result != ERR_OK) {
        TRACE_LOG(
            &node->log,
            TRACE_ERROR,
            "server",
            SPAN_EMPTY,
            "TLS: what is there cannot be used; the certificate stays as it was",
            trace_cstr("tls_cert", node->settings.tls_cert),
            trace_cstr("tls_key", node->settings.tls_key),
            trace_cstr("error", err_text(result)));
    }
    os_post(net_loop_executor(node->net_loop), &node->tls_take);
}

static void
run_hangup(struct os_task *task)
{
    struct node *node = CONTAINER_OF(task, struct node, tls_hangup);
    if (node->tls_is_renewing) {
        /* The files may have changed behind their reading. */
        node->tls_is_asked_again = true;
        return;
    }
    load(node);
}

err_t
node_tls_open(struct node *node)
{
    const struct node_settings *settings = &node->settings;
    if (settings->tls_cert[0] == '\0' && settings->tls_key[0] == '\0') {
        return ERR_OK;
    }
    if (settings->tls_cert[0] == '\0' || settings->tls_key[0] == '\0') {
        return node_misuse(node, "tls-cert and tls-key go together");
    }
    err_t result = read_files(node, &node->tls);
    if (result != ERR_OK) {
        node_explain(
            node,
            "TLS: %s or %s cannot be used: %s",
            settings->tls_cert,
            settings->tls_key,
            err_text(result));
        return result;
    }
    node->tls_hangup.run = run_hangup;
    node->tls_load.run = run_load;
    node->tls_take.run = run_take;
    result = net_loop_on_signal(node->net_loop, SIGHUP, &node->tls_hangup);
    if (result != ERR_OK) {
        node_explain(node, "TLS: SIGHUP: %s", err_text(result));
    }
    return result;
}

void
node_tls_close(struct node *node)
{
    net_tls_destroy(&node->tls);
    net_tls_destroy(&node->tls_renewed); /* read, and not taken any more */
}
