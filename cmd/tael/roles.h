/* The roles' descriptors, each in its own file. */
#ifndef TAEL_ROLES_H
#define TAEL_ROLES_H

#include "node.h"

/* The services between documents and api close in two steps: first the runtime, if another has not
 * done so, because its unfinished operations know their routes; then themselves. */
extern const struct role role_operators; /* /livez, /readyz, /startupz, /metrics */
extern const struct role role_peers;     /* services of other processes */
extern const struct role role_shards;    /* of a ledger that is several */
extern const struct role role_traces;    /* spans, their exporters; what records comes behind it */
extern const struct role role_ledger;    /* the ledger's engine on its journal */
extern const struct role role_vault;     /* the vault, with the card network behind it */
extern const struct role role_cards;     /* the card rail */
extern const struct role role_bank;      /* the simulated bank that pays out */
extern const struct role role_cache;     /* copies of documents that several processes share */
extern const struct role role_documents; /* documents, resource runtime */
extern const struct role role_sweep;     /* of documents in shards, now and then */
extern const struct role role_wallets;
extern const struct role role_mobile;
extern const struct role role_events;      /* webhooks, and their way out */
extern const struct role role_coordinator; /* transactions with participants over HTTP */
extern const struct role role_payments;
extern const struct role role_broker;   /* events to a message broker, if there is one */
extern const struct role role_requests; /* the log of merchants' requests */
extern const struct role role_api;      /* the HTTP front and its listener */
extern const struct role role_internal; /* the listener for other services */

/* Counts the descriptors of connections to another service: "HOST:PORT,HOST:PORT". */
void role_peers_want_files(struct node *node, const char *endpoints);
/* What runs before the other loops do ends after them. With peers_loop running. */
void role_peers_stop(struct node *node);
void role_shards_stop(struct node *node);
void role_operators_stop(struct node *node);

/* The map of --ledger-shards as the file has it now; `problem` says what is wrong with it. */
MUST_USE err_t
role_shards_map_read(struct node *node, struct shard_map *map, struct shard_problem *problem);
/* The same into node->shard_map, at the start; explains an error. */
MUST_USE err_t role_shards_map_open(struct node *node);

/* role_shard.c. With --shard: what the ledger has must be the shard's, which gets a port of its
 * own. */
MUST_USE err_t role_shards_guard(struct node *node, const struct port_ledger_guard **ret_guard);
MUST_USE err_t role_shards_own(struct node *node);

/* Operators: GET shows what is in doubt between the ledger's shards, POST with a transaction's
 * number concludes it. On peers_loop. */
void role_shards_transactions(struct node *node, struct net_exchange *exchange);

/* Whether it is this machine: 127.0.0.0/8, as ::ffff:127.x.x.x, or ::1. */
bool role_operators_is_here(const struct net_address *peer);

/* Operators: /merchants and what is below. On peers_loop; API_OPERATES: the resource loop answers.
 */
enum api_operated role_merchants_ask(struct node *node, struct net_exchange *exchange);
/* The role operators' drain: on the main thread, while the loops run. Later ones are refused. */
void role_merchants_drain(struct node *node);

/* Of a node with a vault, which only this role's file talks to (M6). Any thread. */
void role_vault_look(const struct node *node, struct vault_rotation *ret_rotation);
void role_vault_rotate(struct node *node, struct vault_rotate *request);
void role_vault_discard(struct node *node, struct vault_discard *request);
/* Operators: /vault/keys, /vault/discard and /webhooks/keys. On peers_loop; API_OPERATES: the loop
 * of the vault or of the documents answers. */
enum api_operated role_keys_ask(struct node *node, struct net_exchange *exchange);
/* The drain of the roles that have such keys, as role_merchants_drain. May be repeated. */
void role_keys_drain(struct node *node);

/* Begins an answer in JSON, for whoever operators ask: an object, which the caller ends. */
struct json_writer;
void role_operators_begin(struct net_exchange *exchange, struct json_writer *json, unsigned status);
/* The whole answer: an error object. `param` may be NULL. */
__attribute__((format(printf, 4, 5))) void role_operators_refuse(
    struct net_exchange *exchange, unsigned status, const char *param, const char *format, ...);

/* What operators may ask on the public listener: hook of api.h, with the node as its context. */
enum api_operated role_operators_ask(void *context, struct net_exchange *exchange);

/* The services' route tables. Of a node whose parts are NULL: bound to nothing, for `tael openapi`.
 */
uint32_t role_api_tables(const struct node *node, struct api_routes tables[API_ROUTE_TABLES_MAX]);

#endif
