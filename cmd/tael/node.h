/*
 * One process of Tael: its settings, its loops, and what runs on them. roles.c builds it up and
 * takes it down; server.c is the command around it.
 */
#ifndef TAEL_NODE_H
#define TAEL_NODE_H

#include "measured_disk.h"
#include "pulse.h"
#include "tracing.h"

#include "api/api.h"
#include "bank/bank.h"
#include "base/settings.h"
#include "broker/broker.h"
#include "cards/cards.h"
#include "coordinator/coordinator.h"
#include "engine/ledger_engine.h"
#include "events/events.h"
#include "issuer/issuer.h"
#include "mobile/mobile.h"
#include "net/server.h"
#include "network/client.h"
#include "os/door.h"
#include "outbound/outbound.h"
#include "payments/payments.h"
#include "redis/redis.h"
#include "relay/relay.h"
#include "remote/client.h"
#include "remote/server.h"
#include "requests/requests.h"
#include "resource/resource.h"
#include "shards/cross.h"
#include "trace/log.h"
#include "vault/vault.h"
#include "wallets/wallets.h"

#include <semaphore.h>
#include <stdatomic.h>

#define NODE_PATH_SIZE     768
#define NODE_DATABASE_SIZE 1024
#define NODE_ADDRESS_SIZE  64
#define NODE_MESSAGE_SIZE  1024
#define NODE_URL_SIZE      256
#define NODE_LIMITS_SIZE   2048
#define NODE_CACHE_SIZE    512
#define NODE_BROKER_SIZE   1025
#define NODE_ROLES_SIZE    128
#define NODE_AT_SIZE       1024

/* What --roles names: roles.h says what each consists of. */
enum node_part {
    NODE_LEDGER = 1 << 0,
    NODE_VAULT = 1 << 1,
    NODE_CARDS = 1 << 2,
    NODE_PAYMENTS = 1 << 3,
    NODE_WALLETS = 1 << 4,
    NODE_MOBILE = 1 << 5,
    NODE_EVENTS = 1 << 6,
    NODE_API = 1 << 7,
    NODE_BANK = 1 << 8,
};

/* They share their documents. */
#define NODE_DOCUMENTS (NODE_PAYMENTS | NODE_WALLETS | NODE_MOBILE | NODE_EVENTS | NODE_API)
#define NODE_ALL       (NODE_LEDGER | NODE_VAULT | NODE_CARDS | NODE_BANK | NODE_DOCUMENTS)

/* Filled from the table in node_settings.c, where each is explained. */
struct node_settings {
    char config[NODE_PATH_SIZE];
    char data[NODE_PATH_SIZE];
    char documents[NODE_DATABASE_SIZE];
    char cache[NODE_CACHE_SIZE];
    int64_t cache_max;
    int64_t cache_memory;
    int64_t cache_lifetime;
    char listen[NODE_ADDRESS_SIZE];
    char admin_listen[NODE_ADDRESS_SIZE];
    int64_t port;
    char public_url[NODE_URL_SIZE];
    char tls_cert[NODE_PATH_SIZE];
    char tls_key[NODE_PATH_SIZE];
    int64_t drain_delay;
    int64_t drain_timeout;
    char log_level[16];
    bool allow_dumps;
    bool new_test_key;
    bool console;
    bool request_log;
    int64_t request_log_keep;
    int64_t request_log_max;

    char roles[NODE_ROLES_SIZE];
    char ledger[NODE_DATABASE_SIZE];
    char ledger_at[NODE_AT_SIZE];
    char ledger_shards[NODE_PATH_SIZE];
    char shard[SHARD_NAME_SIZE];
    char ledger_commit[8];
    char wallet_placement[16];
    char cards_at[NODE_AT_SIZE];
    char vault_at[NODE_AT_SIZE];
    char bank_at[NODE_AT_SIZE];
    char internal_listen[NODE_ADDRESS_SIZE];
    char internal_key_file[NODE_PATH_SIZE];
    char internal_tls_ca[NODE_PATH_SIZE];
    char internal_tls_cert[NODE_PATH_SIZE];
    char internal_tls_key[NODE_PATH_SIZE];
    char internal_domain[REMOTE_DOMAIN_SIZE];
    bool internal_plain;
    int64_t internal_timeout;
    int64_t internal_connections_max;

    int64_t rate_limit;
    int64_t idempotency_keep;
    int64_t documents_sweep;
    int64_t lock_timeout;
    int64_t lock_waiters_max;
    int64_t operations_max;
    int64_t search_max;

    int64_t connections_max;
    int64_t requests_max;
    int64_t pipeline_max;
    int64_t memory_max;
    int64_t body_max;
    int64_t form_max;
    int64_t handshake_timeout;
    int64_t head_timeout;
    int64_t body_timeout;
    int64_t idle_timeout;
    int64_t write_timeout;

    int64_t fee_basis_points;
    int64_t fee_fixed;
    int64_t dispute_fee;
    int64_t settlement_delay;
    int64_t authorization_hold;
    int64_t authentication_timeout;
    int64_t attempt_lease;
    int64_t rail_timeout;
    int64_t sweep_interval;
    int64_t reconcile_interval;

    char wallet_limits[NODE_LIMITS_SIZE];
    int64_t withdrawal_watch;
    int64_t payout_delay;
    int64_t payout_watch;
    int64_t payout_day;
    int64_t bank_settle;
    int64_t bank_return;
    char merchant_name[104]; /* 25 characters of UTF-8 */
    char merchant_city[64];
    char merchant_country[3];
    char merchant_category[5];
    int64_t qr_lifetime;
    int64_t payer_confirm_above;
    int64_t payer_wait;
    int64_t payer_code_lifetime;
    int64_t payer_code_wrong_max;
    int64_t webhook_timeout;
    int64_t webhook_retry_first;
    int64_t webhook_retry_max;
    int64_t webhook_retry_for;
    int64_t webhook_test_retry_first;
    int64_t webhook_test_retry_max;
    int64_t webhook_test_retry_for;
    int64_t webhook_disable_after;
    int64_t webhook_in_flight_max;
    int64_t webhook_endpoint_in_flight_max;
    int64_t webhook_memory_max;
    char webhook_key_file[NODE_PATH_SIZE];
    int64_t participant_timeout;
    int64_t participant_prepare_for;
    int64_t participant_retry_first;
    int64_t participant_retry_max;
    int64_t participant_retry_for;
    int64_t webhook_log_keep;
    int64_t event_keep;
    char webhook_private[8];
    char webhook_ca[NODE_PATH_SIZE];
    char broker[NODE_BROKER_SIZE];
    char broker_ca[NODE_PATH_SIZE];
    char broker_config[NODE_PATH_SIZE];
    int64_t broker_timeout;

    char card_network[NODE_URL_SIZE];
    char card_network_dialect[16];
    char card_network_ca[NODE_PATH_SIZE];
    char card_network_terminal[9];
    char card_network_acquirer[12];
    int64_t card_network_connections;
    int64_t card_network_echo;

    int64_t issuer_latency;
    int64_t issuer_jitter;
    int64_t issuer_lost_per_mille;
    int64_t issuer_dropped_per_mille;
    int64_t issuer_late_per_mille;
    int64_t issuer_twice_per_mille;
    int64_t issuer_refund_settle;
    int64_t issuer_dispute_delay;
    int64_t issuer_dispute_due;

    int64_t ledger_accounts_max;
    int64_t ledger_pendings_max;
    int64_t ledger_transfers_max;
    int64_t ledger_segment_size;
    int64_t ledger_snapshot_interval;
    int64_t ledger_recent;
    char ledger_orders[STORE_ORDERS_TEXT_SIZE];

    struct tracing_settings tracing;
    bool trace_trust;
    char client_address[16];
};

/* Webhooks under way, as many requests to participants, and as many that rest. */
#define NODE_OUTBOUND_CONNECTIONS(settings) (3 * (uint32_t)(settings)->webhook_in_flight_max)

#define NODE_OPERATORS_CONNECTIONS          256

extern const struct setting node_setting_table[];
extern const size_t node_setting_count;

enum node_state {
    NODE_STARTING,
    NODE_RUNNING,
    NODE_DRAINING,
};

/* The loops whose delay is watched. */
enum {
    NODE_PULSE_NET = 4, /* of public sockets; before it those that it hands requests to */
    NODE_PULSES,
};

/* Services of other processes that a process may call. */
enum node_peer {
    NODE_PEER_LEDGER,
    NODE_PEER_CARDS,
    NODE_PEER_VAULT,
    NODE_PEER_NETWORK,
    NODE_PEER_BANK,
    NODE_PEER_COUNT,
};

struct node {
    struct node_settings settings;
    uint32_t parts;         /* enum node_part: what this process is */
    _Atomic uint32_t state; /* enum node_state */
    /* Waited on while there is nothing to do but to wait; posted when the process is to end. */
    sem_t *wake;
    char message[NODE_MESSAGE_SIZE]; /* why a role could not open */
    bool is_misused;                 /* because of the settings alone: see node_misuse */
    struct trace_log log;
    uint64_t files_wanted; /* descriptors, if all connections that may be are there */
    uint64_t files_allowed;

    struct os_clock *clock;
    struct os_disk *disk;
    struct os_entropy *entropy;
    struct os_file *lock_file;
    struct measured_disk journal_disk;

    struct os_loop *resource_loop; /* requests, documents, payments */
    struct os_loop *sync_loop;     /* waits for the disk, for resource_loop */
    struct os_loop *cards_loop;    /* vault, card rail, issuer simulator */
    struct os_loop *ledger_api_loop;
    struct net_loop *net_loop;
    struct net_loop *outbound_loop; /* sockets to webhook endpoints */
    struct net_loop *traces_loop;   /* kept traces, sockets to collectors */
    struct net_loop *peers_loop;    /* sockets to other services, and the operators' */
    bool loops_run;
    struct pulse pulses[NODE_PULSES]; /* of the loops that hold up every request */
    bool peers_loop_runs;             /* before the others do */

    /* The ports that the services get: of this process, or of another. */
    struct port_ledger *ledger_port;
    struct port_rail *card_rail;
    struct port_network *network_port; /* the card network as the card rail sees it */
    struct port_vault *vault_port;
    struct port_rail *bank_rail;

    struct remote_auth_settings auth_settings;
    struct remote_auth *auth;
    struct remote_client *peers[NODE_PEER_COUNT]; /* NULL: in this process, or not needed */
    /* Of a ledger of several shards. */
    struct shard_map *shard_map; /* its shards: others are added, none changes; NULL: no shards */
    atomic_uint shard_count;     /* of shard_map and shard_peers, for other threads */
    struct shard_map *shard_map_next;
    struct remote_client *shard_peers[SHARD_SHARDS_MAX];
    struct shards_router *router; /* over them */
    struct shards_cross *cross;   /* over it: transfers between them */
    struct net_timer cross_tick;
    struct os_task cross_begin;
    struct shards_owner *owner; /* of the shard that this process is */
    struct os_task shards_reload;
    struct os_timer shards_again;    /* looks at the map's file again */
    uint64_t shards_wanted;          /* the epoch that it is to have */
    uint64_t shards_until;           /* monotonic: no longer */
    uint64_t shards_disagreed_ns;    /* the last time that it was told; the loop of peers' */
    _Atomic(const char *) waits_for; /* a peer's name, while starting */
    _Atomic bool stands_by;          /* it waits for a ledger that another server holds */
    struct remote_server *internal;
    struct net_server *internal_server;
    uint16_t internal_port; /* 0: none */

    struct traces *traces;
    struct ledger_engine *engine;
    char ledger_url[NODE_PATH_SIZE + NODE_DATABASE_SIZE + 80]; /* which the engine borrows */
    struct issuer *issuer;          /* NULL: the card network is elsewhere */
    struct network_client *network; /* NULL: it is simulated here */
    struct net_tls *network_tls;
    struct vault *vault;
    struct cards *cards;
    struct redis *redis; /* NULL: no copies, or none that others share */
    struct document_store *documents;
    struct os_loop *sweep_loop; /* NULL: nothing is swept */
    struct os_timer sweep_timer;
    bool sweep_runs;
    _Atomic bool sweep_ends;
    struct os_timer documents_timer; /* in shards: a turn of the loop now and then */
    /* Of the documents' services: the database's time, if several processes share it. */
    struct os_clock service_clock;
    struct resource_runtime *runtime;
    struct payments *payments;
    struct bank *bank;
    struct wallets *wallets;
    struct mobile *mobile;
    struct requests *requests;
    struct outbound *outbound;
    struct events *events;
    struct coordinator *coordinator;
    struct os_loop *broker_loop; /* waits for the broker; NULL without one */
    struct broker *broker;
    struct relay *relay;
    struct api *api;
    struct net_tls *tls;         /* of the public listener: tls.c */
    struct net_tls *tls_renewed; /* on its way from the resource loop to the net loop */
    struct os_task tls_hangup, tls_load, tls_take;
    bool tls_is_renewing;    /* the net loop's */
    bool tls_is_asked_again; /* meanwhile; the net loop's */
    struct net_server *server;
    struct net_server *admin_server;
    struct os_door merchants_door; /* what operators ask of the resource loop (role_merchants.c) */
    struct os_door keys_door;      /* and of the cards loop (role_keys.c) */
    uint16_t port;                 /* that was bound */
    /* Where browsers find this process, without a slash at the end; filled in before it listens. */
    char public_url[NODE_URL_SIZE];
    uint16_t admin_port; /* 0: none */

    /* The last time that documents could not be written, and why; monotonic, 0: never. Any thread.
     */
    _Atomic uint64_t documents_failed_ns;
    _Atomic err_t documents_failure;
};

/*
 * What one process can be. The roles of the array are opened in its order, on the main thread, and
 * taken down in the reverse order. A hook may be NULL.
 */
struct role {
    const char *name;
    uint32_t parts; /* enum node_part: it is there if one of them is; 0: always */
    /* Makes it, before any loop runs; node->message says what is wrong. */
    err_t (*open)(struct node *node);
    /* All loops run: begins its work. */
    void (*start)(struct node *node);
    /* Takes no new work and ends what is under way, while the loops still run. */
    void (*drain)(struct node *node);
    /* Frees it, after all loops have stopped. Also of what never opened. */
    void (*close)(struct node *node);
    /* False: it cannot work now; a few words are appended to `why`. Any thread. */
    bool (*healthy)(const struct node *node, struct buf *why);
    /* What is missing while it works for everybody else: ", without ..." for each. Any thread. */
    void (*lacks)(const struct node *node, struct buf *out);
    /* Appends Prometheus text. Any thread. */
    void (*metrics)(const struct node *node, struct buf *out);
};

extern const struct role *const node_roles[];
extern const size_t node_role_count;

/* Which roles --roles asks for, into node->parts. False: node->message says why that cannot be. */
bool node_parts_choose(struct node *node);
/* Whether the role is of this process. */
bool node_has(const struct node *node, const struct role *role);
/* If it does not run yet: roles that other processes are asked through while this one opens. */
MUST_USE err_t node_start_peers_loop(struct node *node);
/* Sleeps; false if the process is to end. On the main thread. */
bool node_pause(struct node *node, uint32_t ms);
/* "127.0.0.1:8080" or "[::1]:8080" into an address and a port. */
bool node_address_split(const char *text, char address[NODE_ADDRESS_SIZE], uint16_t *ret_port);
/* Listens on ADDRESS:PORT; node->message says why not. `port` replaces it unless negative. */
MUST_USE err_t node_listen(
    struct node *node,
    struct net_server *server,
    const char *text,
    int64_t port,
    struct net_tls *tls,
    uint16_t *ret_port);

/* Opens every role; on failure what was opened stays, for node_stop and node_close. */
MUST_USE err_t node_open(struct node *node);
/* Starts the loops and the roles. */
MUST_USE err_t node_start(struct node *node);
/* Drains the roles and stops the loops; also after a node_open or node_start that failed, wherever
 * it ended. One that has started is NODE_DRAINING before. */
void node_stop(struct node *node);
void node_close(struct node *node);

/* Sets node->message; what does not fit is cut. */
__attribute__((format(printf, 2, 3))) void node_explain(struct node *node, const char *format, ...);
/* The same when the settings cannot be, each by itself or together, so that no other start with
 * them would do better: then the process ends as for a setting that is none. Returns ERR_INVALID.
 */
__attribute__((format(printf, 2, 3))) MUST_USE err_t
node_misuse(struct node *node, const char *format, ...);
/* What a part that was opened says, or else the code's text. If the code is one of those that the
 * text of a setting brings about, and nothing on a disk or a network, it is a misuse as above.
 * Returns the code. */
MUST_USE err_t node_refuse(struct node *node, err_t code, const char *what, const char *why);
/* Counts descriptors that may be needed, and raises the limit as far as it may be. On the main
 * thread until the node runs, then on the loop of files. */
void node_want_files(struct node *node, uint64_t more);
/* Logs it if the limit is too low for them. */
void node_tell_files(struct node *node);
/* "data/name" in the node's data folder. */
void node_path(const struct node *node, const char *name, char out[NODE_PATH_SIZE + 64]);

/* --- health.c --- */

/* False while it opens, and if it never got further. Any thread. */
bool node_has_started(const struct node *node);
/* False: only a restart helps. `why` gets a few words. Any thread. */
bool node_is_alive(struct node *node, struct buf *why);
/* The same of a start that goes on. */
bool node_is_started(struct node *node, struct buf *why);
/* Whether requests can be served now. */
bool node_is_ready(struct node *node, struct buf *why);
/* Of one that is ready: ", without ..." for all that it goes on without. Any thread. */
void node_lacks(struct node *node, struct buf *out);
/* Everything that the process measures, as Prometheus text. Any thread. */
void node_metrics_render(struct node *node, struct buf *out);

/* Why a folder could not be made or used, for people. Static. */
const char *node_folder_text(err_t error);

/* --documents=shards:FILE */
bool node_documents_in_shards(const struct node *node);

#define NODE_KINDS_MAX 64
/* Of all services that share the documents; answers how many. */
uint32_t node_document_kinds(const struct document_kind *ret_kinds[NODE_KINDS_MAX]);

/* A metric without labels. `kind` is Prometheus' word: counter, gauge. */
struct node_metric {
    const char *name, *kind, *help;
    uint64_t value;
};

/* Appends them as Prometheus text. */
void node_metrics(struct buf *out, const struct node_metric *metrics, size_t count);
/* A gauge in seconds. */
void node_metric_seconds(struct buf *out, const char *name, const char *help, uint64_t ns);
/* The process's own, by the names that Prometheus' client libraries give them. */
void node_metrics_process(struct buf *out);

#endif
