/*
 * The API gateway: what stands between the internet and Tael's services. It ends TLS, admits only
 * requests with an API key, limits and sheds, chooses a route, and forwards a request that it has
 * made anew. docs/gateway.md is the manual.
 *
 *     gateway_create(&(struct gateway_parts){.loop = loop, .config_file = "gateway.json", ...},
 *                    &gateway, message);
 *     net_loop_start(loop);
 *     gateway_start(gateway);
 *     ...
 *     gateway_reload(gateway);         ... SIGHUP; the log says what came of it ...
 *     ...
 *     gateway_drain(gateway);          ... SIGTERM; returns when the last request was answered ...
 *     net_loop_stop(loop);
 *     gateway_destroy(&gateway);
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "base/buf.h"
#include "base/err.h"
#include "net/loop.h"
#include "os/clock.h"
#include "os/entropy.h"
#include "os/file.h"
#include "trace/log.h"

struct gateway;
struct net_exchange;
struct trace_recorder;

/* Borrowed until destroy. */
struct gateway_parts {
    struct net_loop *loop;
    struct os_clock *clock;
    struct os_disk *disk;
    struct os_entropy *entropy;
    struct trace_log *log;
    const char *config_file;
    /* An operator asks for the end, by the admin listener: whoever made the gateway drains it. On
     * the loop's thread; must not block. NULL: that is refused. */
    void (*on_drain)(void *context);
    void *context;
    struct trace_recorder *recorder; /* of spans; NULL: none are recorded */
    /* The admin listener's too, on the loop's thread. `operate` answers the exchange, perhaps
     * later and from another thread, or says that it is none of its own. NULL: nobody. */
    bool (*operate)(void *context, struct net_exchange *exchange);
    void (*metrics)(void *context, struct buf *out);
};

/* "gateway.json: line 12: routes[3].rate: ..." and a zero. */
#define GATEWAY_REASON_SIZE 1536

/* Reads the configuration and binds its listeners. Any error: `reason` says which. */
MUST_USE err_t gateway_create(
    const struct gateway_parts *parts,
    struct gateway **ret_gateway,
    char reason[GATEWAY_REASON_SIZE]);
/* Accepts from now on. The loop runs. */
void gateway_start(struct gateway *gateway);

/* Reads the configuration, certificates and all, again: whole, or nothing of it. Any thread; comes
 * back at once, the log tells the outcome. */
void gateway_reload(struct gateway *gateway);
/* Is not ready from now on, accepts for drain_delay more, lets requests under way end for
 * drain_timeout, stops. Not from the loop's thread. */
void gateway_drain(struct gateway *gateway);
/* After gateway_drain, or if it never started. Accepts NULL. */
void gateway_destroy(struct gateway **gateway);

/* Where it listens when it begins: "https://0.0.0.0:8443" and the like, one a line; then "admin
 * http://...". */
void gateway_describe(const struct gateway *gateway, struct buf *out);

/* Checks a configuration without anything being opened for it. */
MUST_USE err_t
gateway_check(struct os_disk *disk, const char *config_file, char reason[GATEWAY_REASON_SIZE]);
/* Every key of the configuration, for people. */
void gateway_help(struct buf *out);

#endif
