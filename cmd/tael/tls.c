/*
 * The certificate of the public listener, and its renewal while the process works.
 *
 *   SIGHUP   net loop        posts `load`, unless one is under way
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
run_take(struct os_task *task)
{
    struct node *node = CONTAINER_OF(task, struct node, tls_renewal);
    if (node->tls_renewed != NULL) {
        net_tls_replace(node->tls, &node->tls_renewed);
        TRACE_LOG(
            &node->log, TRACE_INFO, "server", SPAN_EMPTY, "TLS: the certificate was read again");
    }
    node->tls_is_renewing = false;
}

static void
run_load(struct os_task *task)
{
    struct node *node = CONTAINER_OF(task, struct node, tls_renewal);
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
    task->run = run_take;
    os_post(net_loop_executor(node->net_loop), task);
}

static void
run_hangup(struct os_task *task)
{
    struct node *node = CONTAINER_OF(task, struct node, tls_hangup);
    if (node->tls_is_renewing) {
        return; /* whoever changed the files meanwhile asks again */
    }
    node->tls_is_renewing = true;
    node->tls_renewal.run = run_load;
    os_post(os_loop_executor(node->resource_loop), &node->tls_renewal);
}

err_t
node_tls_open(struct node *node)
{
    const struct node_settings *settings = &node->settings;
    if (settings->tls_cert[0] == '\0' && settings->tls_key[0] == '\0') {
        return ERR_OK;
    }
    if (settings->tls_cert[0] == '\0' || settings->tls_key[0] == '\0') {
        node_explain(node, "tls-cert and tls-key go together");
        return ERR_INVALID;
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
