/*
 * Gateways of a cluster: each reads DATA/NAME.json, which is written at the start, and all of them
 * DATA/api.endpoints again and again, which has a line for each api process.
 */
#include "cluster.h"

#include "net/client.h"
#include "text.h"
#include "json/json.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define CONFIG_MAX (64U << 10)
#define LIST_NAME  "api.endpoints"

static void
member_ms(struct json_writer *json, const char *name, int64_t ms)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%" PRId64 "ms", ms);
    json_member_cstr(json, name, text);
}

/* Deadlines and maxima of connections are the edge's. */
static void
write_listener(const struct cluster *cluster, int64_t number, struct json_writer *json)
{
    const struct node_settings *node = &cluster->settings.node;
    char host[NODE_ADDRESS_SIZE];
    char address[NODE_ADDRESS_SIZE + 16];
    uint16_t port = 0;
    (void)node_address_split(node->listen, host, &port);
    port = node->port >= 0 ? (uint16_t)node->port : port;
    (void)snprintf(
        address,
        sizeof(address),
        strchr(host, ':') == NULL ? "%s:%" PRId64 : "[%s]:%" PRId64,
        host,
        port == 0 ? 0 : port + number);
    json_object_begin(json);
    json_member_cstr(json, "address", address);
    if (node->tls_cert[0] != '\0') {
        json_member_cstr(json, "certificate", node->tls_cert);
        json_member_cstr(json, "key", node->tls_key);
    }
    json_member_i64(json, "connections_max", node->connections_max);
    json_member_i64(json, "requests_max", node->requests_max);
    json_member_i64(json, "pipeline_max", node->pipeline_max);
    json_member_i64(json, "memory_max", node->memory_max);
    json_member_i64(json, "body_max", node->body_max);
    member_ms(json, "handshake_timeout", node->handshake_timeout);
    member_ms(json, "head_timeout", node->head_timeout);
    member_ms(json, "body_timeout", node->body_timeout);
    member_ms(json, "idle_timeout", node->idle_timeout);
    member_ms(json, "write_timeout", node->write_timeout);
    json_object_end(json);
}

static void
write_upstream(const struct cluster *cluster, struct json_writer *json)
{
    char path[CLUSTER_WORD_SIZE];
    cluster_path(cluster, LIST_NAME, path);
    json_key(json, "upstreams");
    json_object_begin(json);
    json_key(json, "api");
    json_object_begin(json);
    json_member_cstr(json, "file", path);
    member_ms(json, "source_interval", CLUSTER_LIST_MS);
    /* Quick to notice who came and who went: all of them are on this machine. */
    json_member_cstr(json, "slow_start", "1s");
    json_member_cstr(json, "health_path", "/readyz");
    json_member_cstr(json, "health_interval", "500ms");
    json_member_i64(json, "health_down", 2);
    json_member_i64(json, "health_up", 1);
    json_member_cstr(json, "outlier_base", "2s");
    json_member_i64(json, "retry_percent", 50);
    json_member_i64(json, "connections_max", 256);
    json_member_cstr(json, "timeout", "60s");
    json_object_end(json);
    json_object_end(json);
}

/* Health, the API's description and the pages for browsers need no key. */
static void
write_routes(struct json_writer *json)
{
    static const struct {
        const char *name, *member, *path;
        bool public;
    } routes[] = {
        {"livez", "path", "/livez", true},
        {"readyz", "path", "/readyz", true},
        {"openapi", "path", "/v1/openapi.json", true},
        {"authenticate", "path_prefix", "/authenticate/", true},
        {"qr", "path_prefix", "/qr/", true},
        {"console", "path_prefix", "/console", true},
        {"checkout", "path_prefix", "/checkout/", true},
        {"all", "path_prefix", "/", false},
    };

    json_key(json, "routes");
    json_array_begin(json);
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        json_object_begin(json);
        json_member_cstr(json, "name", routes[i].name);
        json_member_cstr(json, routes[i].member, routes[i].path);
        json_member_bool(json, "public", routes[i].public);
        json_member_cstr(json, "upstream", "api");
        json_object_end(json);
    }
    json_array_end(json);
}

err_t
cluster_gateway_configure(const struct cluster *cluster, const char *name, int64_t number)
{
    char path[CLUSTER_WORD_SIZE];
    char file[CLUSTER_NAME_SIZE + 16];
    struct buf text;
    struct json_writer json;
    buf_init(&text, CONFIG_MAX);
    json_begin(&json, &text);
    json_object_begin(&json);
    json_key(&json, "listeners");
    json_array_begin(&json);
    write_listener(cluster, number, &json);
    json_array_end(&json);
    json_key(&json, "admin");
    json_object_begin(&json);
    json_member_cstr(&json, "address", "127.0.0.1:0");
    json_object_end(&json);
    (void)snprintf(file, sizeof(file), "%s.access.log", name);
    cluster_path(cluster, file, path);
    json_member_cstr(&json, "access_log", path);
    member_ms(&json, "drain_delay", cluster->settings.node.drain_delay);
    member_ms(&json, "drain_timeout", cluster->settings.node.drain_timeout);
    write_upstream(cluster, &json);
    write_routes(&json);
    json_object_end(&json);
    buf_append_byte(&text, '\n');
    (void)snprintf(file, sizeof(file), "%s.json", name);
    err_t result =
        buf_failed(&text)
            ? ERR_FULL
            : os_file_save(os_disk_real(), cluster->settings.node.data, file, buf_span(&text));
    buf_release(&text);
    return result;
}

err_t
cluster_gateway_publish(const struct cluster *cluster, const struct cluster_process *leaves)
{
    char memory[CLUSTER_API_MAX * CLUSTER_URL_SIZE];
    struct buf text;
    buf_init_fixed(&text, memory, sizeof(memory));
    for (size_t i = 0; i < CLUSTER_PROCESSES_MAX; i++) {
        const struct cluster_process *process = &cluster->processes[i];
        if (process->pid != 0 && process->kind == CLUSTER_API && process != leaves &&
            process->listening[0] != '\0') {
            buf_append_format(&text, "%s\n", process->listening + strlen("http://"));
        }
    }
    return os_file_save(os_disk_real(), cluster->settings.node.data, LIST_NAME, buf_span(&text));
}

/* --------------------------------------------------------------------------------- is it there */

static bool
is_ready(struct net_client *client)
{
    struct net_call call = {
        .method = HTTP_METHOD_GET, .target = SPAN("/readyz"), .timeout_ms = 2000};
    bool ready = net_client_call_blocking(client, &call) == ERR_OK && call.status == 200;
    net_call_release(&call);
    return ready;
}

static bool
await(struct net_loop *loop, struct net_tls *tls, const struct text_url *url, unsigned seconds)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    const struct net_origin origin = {.host = url->host, .port = url->port, .tls = tls};
    struct net_client *client = NULL;
    bool ready = false;
    if (net_client_create(loop, &origin, &net_client_settings_default, &client) != ERR_OK) {
        return false;
    }
    for (unsigned i = 0; i < seconds * 50 && !ready; i++) {
        ready = is_ready(client);
        if (!ready) {
            (void)nanosleep(&pause, NULL);
        }
    }
    net_client_stop(client);
    net_client_destroy(&client);
    return ready;
}

bool
cluster_gateway_await(const struct cluster_process *gateway, unsigned seconds)
{
    struct text_url url;
    struct net_loop *loop = NULL;
    struct net_tls *tls = NULL;
    bool ready = false;
    if (text_url_parse(span_from_cstr(gateway->listening), &url) != ERR_OK ||
        net_loop_create("await", &loop) != ERR_OK) {
        return false;
    }
    /* Our own process, whose certificate may be for another name. */
    if ((!url.tls || net_tls_create_client(NULL, false, &tls) == ERR_OK) &&
        net_loop_start(loop) == ERR_OK) {
        ready = await(loop, tls, &url, seconds);
        net_loop_stop(loop);
    }
    net_loop_destroy(&loop);
    net_tls_destroy(&tls);
    return ready;
}
