/* The HTTP front: its routes and the public listener. */
#include "roles.h"
#include "tls.h"

#include "base/assert.h"
#include "books/books.h"
#include "console/console.h"

#include <stdio.h>
#include <string.h>

static void
api_role_metrics(const struct node *node, struct buf *out)
{
    struct net_server_counters net;
    uint64_t refused = 0;
    net_server_count(node->server, &net);
    for (size_t i = 0; i < sizeof(net.refused) / sizeof(net.refused[0]); i++) {
        refused += net.refused[i];
    }

    const struct node_metric all[] = {
        {"tael_net_connections", "gauge", "Open connections.", net.connections},
        {"tael_net_accepted_total", "counter", "Connections accepted.", net.accepted},
        {"tael_net_over_limit_total", "counter", "Connections closed at once.", net.over_limit},
        {"tael_net_handshakes_failed_total", "counter", "TLS.", net.handshake_failed},
        {"tael_net_requests_total", "counter", "Complete requests.", net.requests},
        {"tael_net_in_flight", "gauge", "Requests handed out, not answered.", net.in_flight},
        {"tael_net_answers_total", "counter", "Answers written.", net.answers},
        {"tael_net_orphaned_total", "counter", "Answers without a client.", net.orphaned},
        {"tael_net_shed_requests_total", "counter", "503: requests-max.", net.shed_requests},
        {"tael_net_shed_memory_total", "counter", "503: memory-max.", net.shed_memory},
        {"tael_net_gave_way_total", "counter", "Slow ones, ended for others.", net.gave_way},
        {"tael_net_timeout_handshake_total", "counter", "Deadlines.", net.timeout_handshake},
        {"tael_net_timeout_head_total", "counter", "Deadlines passed.", net.timeout_head},
        {"tael_net_timeout_body_total", "counter", "Deadlines passed.", net.timeout_body},
        {"tael_net_timeout_idle_total", "counter", "Deadlines passed.", net.timeout_idle},
        {"tael_net_timeout_write_total", "counter", "Deadlines passed.", net.timeout_write},
        {"tael_net_bytes_in_total", "counter", "Bytes received.", net.bytes_in},
        {"tael_net_bytes_out_total", "counter", "Bytes sent.", net.bytes_out},
        {"tael_net_memory_bytes", "gauge", "In buffers of connections.", net.memory},
        {"tael_net_memory_peak_bytes", "gauge", "The most it was.", net.memory_peak},
        {"tael_net_refused_total", "counter", "Requests that are no valid HTTP.", refused},
    };

    node_metrics(out, all, sizeof(all) / sizeof(all[0]));
    console_metrics_append(out);
}

/* --------------------------------------------------------------------------------- listener */

static struct net_server_settings
server_settings(const struct node_settings *settings)
{
    struct net_server_settings net = net_server_settings_default;
    net.connections_max = (uint32_t)settings->connections_max;
    net.requests_max = (uint32_t)settings->requests_max;
    net.pipeline_max = (uint32_t)settings->pipeline_max;
    net.memory_max = (uint64_t)settings->memory_max;
    net.limits.body = (uint64_t)settings->body_max;
    net.handshake_timeout_ms = (uint32_t)settings->handshake_timeout;
    net.head_timeout_ms = (uint32_t)settings->head_timeout;
    net.body_timeout_ms = (uint32_t)settings->body_timeout;
    net.idle_timeout_ms = (uint32_t)settings->idle_timeout;
    net.write_timeout_ms = (uint32_t)settings->write_timeout;
    return net;
}

static err_t
server_open(struct node *node)
{
    struct net_server_settings net = server_settings(&node->settings);
    struct net_server_hooks hooks = api_hooks(node->api);
    TRY(net_server_create(node->net_loop, &net, &hooks, &node->server));
    return node_listen(
        node, node->server, node->settings.listen, node->settings.port, node->tls, &node->port);
}

/* The links that are handed out begin with it. */
static err_t
public_url_make(struct node *node)
{
    const char *given = node->settings.public_url;
    const char *colon = strrchr(node->settings.listen, ':');
    size_t size = strlen(given);
    struct buf url;
    buf_init_fixed(&url, node->public_url, sizeof(node->public_url));
    if (size != 0) {
        struct span text = span_from_cstr(given);
        bool web =
            span_starts_with(text, SPAN("https://")) || span_starts_with(text, SPAN("http://"));
        for (size_t i = 0; i < size; i++) {
            web = web && given[i] > ' ' && given[i] < 0x7f && given[i] != '"' && given[i] != '?' &&
                  given[i] != '#';
        }
        if (!web) {
            return node_misuse(node, "public-url is an address like https://pay.example.com");
        }
        buf_append_span(&url, span_slice(text, 0, given[size - 1] == '/' ? size - 1 : size));
    } else {
        buf_append_format(
            &url,
            "%s://%.*s:%u",
            node->tls != NULL ? "https" : "http",
            (int)(colon - node->settings.listen),
            node->settings.listen,
            (unsigned)node->port);
    }
    buf_append_byte(&url, '\0');
    return buf_failed(&url) ? ERR_RANGE : ERR_OK;
}

/* Written down once: what is not here is neither routed nor described. */
uint32_t
role_api_tables(const struct node *node, struct api_routes tables[API_ROUTE_TABLES_MAX])
{
    uint32_t count = 0;
    tables[count++] =
        (struct api_routes){.routes = resource_event_routes, .count = resource_event_route_count};
    for (uint32_t i = 0; i < PAYMENTS_ROUTE_TABLES; i++) {
        tables[count].routes = payments_routes(node->payments, i, &tables[count].count);
        count++;
    }
    tables[count].routes = coordinator_routes(node->coordinator, &tables[count].count);
    count++;
    tables[count].routes = wallets_routes(node->wallets, &tables[count].count);
    count++;
    tables[count].routes = mobile_routes(node->mobile, &tables[count].count);
    count++;
    tables[count].routes = events_routes(node->events, &tables[count].count);
    count++;
    tables[count].routes = requests_routes(node->requests, &tables[count].count);
    count++;
    ASSERT(count <= API_ROUTE_TABLES_MAX);
    return count;
}

/* What the API's listener answers besides routes. */
static enum api_operated
ask_besides_routes(void *context, struct net_exchange *exchange)
{
    struct node *node = context;
    enum api_operated operated = role_operators_ask(node, exchange);
    if (operated == API_NOT_OPERATED && node->settings.console && console_answer(exchange)) {
        return API_SHOWN;
    }
    return operated;
}

static err_t
client_addresses(struct node *node, enum api_addresses *ret_addresses)
{
    static const struct {
        const char *name;
        enum api_addresses addresses;
    } names[] = {
        {"none", API_ADDRESS_NONE},
        {"connection", API_ADDRESS_PEER},
        {"forwarded", API_ADDRESS_FORWARDED},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(node->settings.client_address, names[i].name) == 0) {
            *ret_addresses = names[i].addresses;
            return ERR_OK;
        }
    }
    return node_misuse(node, "client-address is connection, forwarded or none");
}

static err_t
front_open(struct node *node)
{
    struct api_routes tables[API_ROUTE_TABLES_MAX];
    enum api_addresses addresses;
    TRY(client_addresses(node, &addresses));
    uint32_t table_count = role_api_tables(node, tables);
    const struct api_parts parts = {
        .runtime = node->runtime,
        .net = node->net_loop,
        .ledger_loop = node->ledger_api_loop,
        .ledger = node->ledger_port,
        .clock = node->clock,
        .entropy = node->entropy,
        .log = &node->log,
        .recorder = traces_recorder(node->traces),
        .trace_trust = node->settings.trace_trust,
        .addresses = addresses,
        .tables = tables,
        .table_count = table_count,
        .operators = {.context = node, .ask = ask_besides_routes},
        .form_bytes_max = (uint64_t)node->settings.form_max,
        .ledger_is_reserved = books_ledger_is_ours,
        .ledger_id_is_reserved = node->cross != NULL ? commit_id_is_reserved : NULL,
        .ledger_live = !node->card_rail->simulated,
    };
    return api_create(&parts, &node->api);
}

static err_t
api_role_open(struct node *node)
{
    node->message[0] = '\0';
    err_t result = node_tls_open(node);
    if (result == ERR_OK) {
        result = front_open(node);
    }
    if (result == ERR_OK) {
        result = server_open(node);
    }
    if (result == ERR_OK) {
        result = public_url_make(node); /* the port is known now */
    }
    if (result != ERR_OK && node->message[0] == '\0') {
        node_explain(node, "api: %s", err_text(result));
    }
    return result;
}

static void
api_role_start(struct node *node)
{
    net_server_start(node->server);
}

static void
api_role_drain(struct node *node)
{
    net_server_stop(node->server, (uint32_t)node->settings.drain_timeout);
}

static void
api_role_close(struct node *node)
{
    net_server_destroy(&node->server);
    api_destroy(&node->api);
    node_tls_close(node);
}

const struct role role_api = {
    .name = "api",
    .parts = NODE_API,
    .open = api_role_open,
    .start = api_role_start,
    .drain = api_role_drain,
    .close = api_role_close,
    .metrics = api_role_metrics,
};
