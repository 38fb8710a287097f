/* Servers for the listeners of a configuration. */
#include "gateway_private.h"

#include "base/assert.h"
#include "base/ip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_MAX     (UINT64_C(4) << 20)
#define DRAIN_IDLE_MS 1000
#define LINGER_MS     2000
#define EXTENSIONS    1024
#define TRAILERS      4096
#define TARGET_MAX    8192

err_t
gateway_address_split(const char *text, char ret_host[GATEWAY_HOST_SIZE + 8], uint16_t *ret_port)
{
    struct span host;
    uint16_t port;
    if (!ip_port_split(span_from_cstr(text), &host, &port) || host.size >= GATEWAY_HOST_SIZE) {
        return ERR_INVALID;
    }
    memcpy(ret_host, host.data, host.size);
    ret_host[host.size] = '\0';
    *ret_port = port;
    return ERR_OK;
}

static void
settings_of(const struct gateway_listener_config *config, struct net_server_settings *ret_settings)
{
    struct net_server_settings *settings = ret_settings;
    *settings = net_server_settings_default;
    settings->connections_max = (uint32_t)config->connections_max;
    settings->requests_max = (uint32_t)config->requests_max;
    settings->pipeline_max = (uint32_t)config->pipeline_max;
    settings->memory_max = (uint64_t)config->memory_max;
    settings->arena_max = ARENA_MAX;
    settings->limits = (struct http_limits){
        .target = config->head_max < TARGET_MAX ? (uint32_t)config->head_max : TARGET_MAX,
        .head = (uint32_t)config->head_max,
        .fields = (uint32_t)config->headers_max,
        .extensions = EXTENSIONS,
        .trailers = TRAILERS,
        .body = (uint64_t)config->body_max,
    };
    settings->handshake_timeout_ms = (uint32_t)config->handshake_timeout;
    settings->head_timeout_ms = (uint32_t)config->head_timeout;
    settings->body_timeout_ms = (uint32_t)config->body_timeout;
    settings->idle_timeout_ms = (uint32_t)config->idle_timeout;
    settings->write_timeout_ms = (uint32_t)config->write_timeout;
    settings->linger_timeout_ms = LINGER_MS;
    settings->drain_idle_ms = DRAIN_IDLE_MS;
}

static err_t
fail(char reason[GATEWAY_REASON_SIZE], const char *address, const char *what, err_t error)
{
    (void)snprintf(
        reason, GATEWAY_REASON_SIZE, "listener %s: %.1024s: %s", address, what, err_text(error));
    return error;
}

static err_t
tls_load(
    const struct gateway_listener_config *config,
    struct net_tls **ret_tls,
    char reason[GATEWAY_REASON_SIZE])
{
    *ret_tls = NULL;
    if (config->certificate[0] == '\0') {
        return ERR_OK;
    }
    err_t result = net_tls_create_server(config->certificate, config->key, ret_tls);
    if (result != ERR_OK) {
        return fail(reason, config->address, config->certificate, result);
    }
    if (config->http2) {
        net_tls_offer_http2(*ret_tls);
    }
    return ERR_OK;
}

err_t
gateway_listener_check(
    const struct gateway_listener_config *config, char reason[GATEWAY_REASON_SIZE])
{
    struct net_tls *tls;
    TRY(tls_load(config, &tls, reason));
    net_tls_destroy(&tls);
    return ERR_OK;
}

void
gateway_listener_destroy(struct gateway_listener **listener)
{
    if (*listener == NULL) {
        return;
    }
    net_server_destroy(&(*listener)->server);
    net_tls_destroy(&(*listener)->tls);
    free(*listener);
    *listener = NULL;
}

/* The one whose socket a changed listener takes over. */
static const struct gateway_listener *
same_address(const struct gateway *gateway, const char *address)
{
    for (size_t i = 0; i < gateway->listener_count; i++) {
        if (strcmp(gateway->listeners[i]->config.address, address) == 0) {
            return gateway->listeners[i];
        }
    }
    return NULL;
}

static err_t
bind_listener(struct gateway *gateway, struct gateway_listener *listener)
{
    const struct gateway_listener *old = same_address(gateway, listener->config.address);
    if (old != NULL) {
        listener->port = old->port;
        return net_server_listen_beside(listener->server, old->server, 0, listener->tls);
    }
    char host[GATEWAY_HOST_SIZE + 8];
    struct net_listen listen = {.address = host, .tls = listener->tls};
    TRY(gateway_address_split(listener->config.address, host, &listen.port));
    return net_server_listen(listener->server, &listen, &listener->port);
}

static err_t
listener_create(
    struct gateway *gateway,
    const struct gateway_listener_config *config,
    struct gateway_listener **ret_listener,
    char reason[GATEWAY_REASON_SIZE])
{
    struct gateway_listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL) {
        return fail(reason, config->address, "", ERR_MEMORY);
    }
    listener->config = *config;
    listener->gateway = gateway;
    const struct net_server_hooks hooks = {
        .context = gateway,
        .on_requests = gateway_on_requests,
        .on_refused = gateway_on_refused,
        .on_gone = gateway_on_gone};
    struct net_server_settings settings;
    settings_of(config, &settings);
    err_t result = tls_load(config, &listener->tls, reason);
    if (result != ERR_OK) {
        gateway_listener_destroy(&listener);
        return result;
    }
    result = net_server_create(gateway->parts.loop, &settings, &hooks, &listener->server);
    if (result == ERR_OK) {
        result = bind_listener(gateway, listener);
    }
    if (result != ERR_OK) {
        (void)snprintf(
            reason,
            GATEWAY_REASON_SIZE,
            "listener %s: cannot listen: %s",
            config->address,
            net_listen_text(result));
        gateway_listener_destroy(&listener);
        return result;
    }
    *ret_listener = listener;
    return ERR_OK;
}

/* Certificates apart, which may be renewed in place. */
static bool
is_unchanged(const struct gateway_listener *listener, const struct gateway_listener_config *config)
{
    static const char *const certificates[] = {"certificate", "key", NULL};
    bool both = (listener->config.certificate[0] == '\0') == (config->certificate[0] == '\0');
    return both &&
           gateway_table_equal(&gateway_table_listener, &listener->config, config, certificates);
}

err_t
gateway_listeners_prepare(
    struct gateway *gateway,
    const struct gateway_config *config,
    struct gateway_listeners *ret_listeners,
    char reason[GATEWAY_REASON_SIZE])
{
    struct gateway_listeners *listeners = ret_listeners;
    *listeners = (struct gateway_listeners){.count = 0};
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct gateway_listener_config *wanted = &config->listeners[i];
        for (size_t j = 0; j < gateway->listener_count; j++) {
            if (is_unchanged(gateway->listeners[j], wanted)) {
                listeners->listeners[i] = gateway->listeners[j];
            }
        }
        err_t result = listeners->listeners[i] != NULL
                           ? tls_load(wanted, &listeners->renewed[i], reason)
                           : listener_create(gateway, wanted, &listeners->listeners[i], reason);
        if (result != ERR_OK) {
            gateway_listeners_abandon(gateway, listeners);
            return result;
        }
        listeners->count++;
    }
    return ERR_OK;
}

static bool
is_among(const struct gateway_listener *listener, struct gateway_listener *const *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (all[i] == listener) {
            return true;
        }
    }
    return false;
}

void
gateway_listeners_abandon(struct gateway *gateway, struct gateway_listeners *listeners)
{
    for (size_t i = 0; i < GATEWAY_LISTENERS_MAX; i++) {
        net_tls_destroy(&listeners->renewed[i]);
        if (listeners->listeners[i] != NULL &&
            !is_among(listeners->listeners[i], gateway->listeners, gateway->listener_count)) {
            gateway_listener_destroy(&listeners->listeners[i]);
        }
    }
}

void
gateway_listeners_adopt(
    struct gateway *gateway, struct gateway_listeners *listeners, bool started, uint32_t drain_ms)
{
    struct gateway_listener *old[GATEWAY_LISTENERS_MAX];
    size_t old_count = gateway->listener_count;
    memcpy(old, gateway->listeners, sizeof(old));
    memcpy(gateway->listeners, listeners->listeners, sizeof(gateway->listeners));
    gateway->listener_count = listeners->count;
    for (size_t i = 0; i < gateway->listener_count && started; i++) {
        if (!is_among(gateway->listeners[i], old, old_count)) {
            net_server_start(gateway->listeners[i]->server);
        }
    }
    for (size_t i = 0; i < old_count; i++) {
        if (!is_among(old[i], gateway->listeners, gateway->listener_count)) {
            net_server_stop(old[i]->server, drain_ms);
            gateway_listener_destroy(&old[i]);
        }
    }
}
