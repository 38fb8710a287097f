/*
 * One deployment on one machine, for `tael local-cluster`: which processes it has, how each is
 * started, watched and ended. Everything runs on the main thread.
 *
 *   cluster.c          the command: options, running until something ends
 *   cluster_start.c    the parts, in order; and their words (cluster_words.c)
 *   cluster_gateway.c  configurations of gateways, and the list of api processes that they read
 *   cluster_postgres.c a PostgreSQL of its own
 *   cluster_map.c      a map of shards: making it, and seeing that it is the one wanted
 *   cluster_shards.c   the ledger's
 *   cluster_ledger.c   journals, or schemas of PostgreSQL
 *   cluster_control.c  `add` and `drain`, from another process
 *   cluster_process.c  fork, exec, signals
 */
#ifndef TAEL_CLUSTER_H
#define TAEL_CLUSTER_H

#include "command.h"
#include "node.h"

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define CLUSTER_WORDS_MAX    256
#define CLUSTER_WORD_SIZE    1024
#define CLUSTER_URL_SIZE     96
#define CLUSTER_NAME_SIZE    24
#define CLUSTER_API_MAX      16
#define CLUSTER_GATEWAYS_MAX 8
#define CLUSTER_SHARDS_MAX   16
#define CLUSTER_PROCESSES_MAX                                                                      \
    (CLUSTER_API_MAX + CLUSTER_GATEWAYS_MAX + CLUSTER_SHARDS_MAX + CLUSTER_GATEWAY)

/* What a process is. They are stopped from the last kind to the first: nobody is left without the
 * one that it asks. */
enum cluster_kind {
    CLUSTER_POSTGRES,
    CLUSTER_LEDGER,
    CLUSTER_VAULT,
    CLUSTER_BANK,
    CLUSTER_CARDS,
    CLUSTER_API,
    CLUSTER_GATEWAY,
};

struct cluster_process {
    enum cluster_kind kind;
    char name[CLUSTER_NAME_SIZE];     /* "api-2"; also its folder below --data */
    pid_t pid;                        /* 0: does not run */
    FILE *out;                        /* what it prints */
    int stop_signal;                  /* 0: SIGTERM */
    char internal[CLUSTER_URL_SIZE];  /* ADDRESS:PORT; empty until it said so */
    char operators[CLUSTER_URL_SIZE]; /* the same */
    char listening[CLUSTER_URL_SIZE]; /* "http://ADDRESS:PORT" */
};

struct cluster_settings {
    struct node_settings node; /* of every process; first, its table says where */
    int64_t api;               /* processes; -1: as they fit */
    int64_t gateways;          /* the same */
    int64_t shards;            /* of the ledger; 0: it is one */
    int64_t document_shards;   /* of the documents; 0: they are in one database */
    char engine[16];           /* "journal" or "postgres" */
    char postgres[NODE_PATH_SIZE];
};

struct cluster {
    const struct command *command;
    struct cluster_settings settings;
    char *const *given; /* the options that were given, for every process */
    int given_count;
    /* One that does not run has pid 0, and its place is taken by the next. */
    struct cluster_process processes[CLUSTER_PROCESSES_MAX];
    char programs[NODE_PATH_SIZE];      /* of a PostgreSQL of our own; empty: none */
    char documents[NODE_DATABASE_SIZE]; /* its URL */
    bool shared;                        /* documents are on PostgreSQL, ours or not */
    bool on_postgres;                   /* the ledger */
    struct os_file *lock;               /* nobody else has the folder */
};

/* --- cluster_process.c --- */

struct cluster_spawn {
    const char *program; /* a path; NULL: this program */
    char *const *argv;   /* ends with NULL */
    bool as_user;        /* as this one, and in this folder */
    uid_t user;
    gid_t group;
    const char *folder; /* NULL: ours */
};

/* It is told to end when we die. Signals that are blocked here are not blocked there. ERR_IO. */
MUST_USE err_t
cluster_process_start(struct cluster_process *process, const struct cluster_spawn *spawn);

/* Reads what it prints until a line begins with `last`, and prints it if `show`, but addresses only
 * if `show_addresses`. False: it ended before. */
bool cluster_process_read(
    struct cluster_process *process, const char *last, bool show, bool show_addresses);

/* Asks it to end, and waits; after `seconds` it is killed. Whether it ended well. Nothing if it
 * does not run. */
bool cluster_process_stop(struct cluster_process *process, unsigned seconds);
/* Waits for one that ends by itself. Whether it ended well. */
bool cluster_process_wait(struct cluster_process *process);

/* How it ended, for people. */
#define CLUSTER_END_SIZE 64
void cluster_end_describe(int status, char out[CLUSTER_END_SIZE]);

/* --- cluster_words.c --- */

/* The words of one process: its name; what was given; and then what is its own, which counts. */
struct cluster_words {
    char *argv[CLUSTER_WORDS_MAX + 1];
    int count;
    struct arena arena;
};

void cluster_words_init(struct cluster_words *words);
void cluster_words_release(struct cluster_words *words);
__attribute__((format(printf, 2, 3))) void cluster_word_add(
    struct cluster_words *words, const char *format, ...);
/* False: too many, or too long. */
bool cluster_words_fit(const struct cluster_words *words);
/* Those of `tael server`, or `tael gateway`. */
void cluster_words_make(
    const struct cluster *cluster,
    const struct cluster_process *process,
    struct cluster_words *words);

/* --- cluster_start.c --- */

/* Starts everything, in order; false after saying what did not start. */
bool cluster_start(struct cluster *cluster);
/* Ends everything, in order. `status` unless something did not end well. */
int cluster_stop(struct cluster *cluster, int status);
/* One that runs, or NULL. */
struct cluster_process *cluster_find(struct cluster *cluster, const char *name);
size_t cluster_count(const struct cluster *cluster, enum cluster_kind kind);
/* One more api process, which the gateways then use; NULL after saying why not. */
struct cluster_process *cluster_api_add(struct cluster *cluster);
/* The gateways use it no more, then it ends. Whether it ended well. */
bool cluster_api_drain(struct cluster *cluster, struct cluster_process *process);
/* "DATA/name" */
void cluster_path(const struct cluster *cluster, const char *name, char out[CLUSTER_WORD_SIZE]);

/* --- cluster_gateway.c --- */

/* How often gateways read the list of api processes. */
#define CLUSTER_LIST_MS 100

/* Writes DATA/NAME.json of the gateway with this number, 0 being the first. */
MUST_USE err_t
cluster_gateway_configure(const struct cluster *cluster, const char *name, int64_t number);
/* Writes the list of the api processes, less one that leaves (or NULL). */
MUST_USE err_t
cluster_gateway_publish(const struct cluster *cluster, const struct cluster_process *leaves);
/* Until requests through it arrive; false: they do not. */
bool cluster_gateway_await(const struct cluster_process *gateway, unsigned seconds);

/* --- cluster_postgres.c --- */

/* The newest PostgreSQL of Debian's packages, or the empty text. */
void cluster_postgres_find(char out[NODE_PATH_SIZE]);
/* Starts cluster->programs' on DATA/postgres, which is made if it is not there, and fills in
 * cluster->documents. False after saying why not. */
bool cluster_postgres_start(struct cluster *cluster, struct cluster_process *process);

/* --- cluster_map.c --- */

/* A map in the cluster's folder, of so many shards. The texts are static. */
struct cluster_map {
    const char *name;  /* of the file */
    const char *title; /* what messages begin with */
    int64_t count;     /* 0: none is wanted */
    bool (*add)(const struct cluster *cluster, struct shard_map *map); /* the next shard */
    const char *table;       /* that is in it by hash; or NULL */
    const char *too_long;    /* why `add` fails */
    const char *other_count; /* what is wrong with a map of another number of shards */
};

/* Makes the map, or sees that it has as many shards as are wanted. False after saying why not. */
bool cluster_map_prepare(const struct cluster *cluster, const struct cluster_map *map);

/* --- cluster_documents.c --- */

/* Whether --document-shards fits the rest. An exit status, or COMMAND_GO_ON. */
int cluster_documents_settle(const struct cluster *cluster);
/* Makes DATA/document-shards, once there is a PostgreSQL, or sees that it has as many shards as are
 * wanted. False after saying why not. */
bool cluster_documents_prepare(const struct cluster *cluster);

/* --- cluster_shards.c --- */

/* Makes DATA/shards, or sees that it has as many shards as are wanted. False after saying why not.
 */
bool cluster_shards_prepare(const struct cluster *cluster);
/* Writes where the shard is this time. The same. */
bool cluster_shard_publish(const struct cluster *cluster, const struct cluster_process *process);

/* --- cluster_ledger.c --- */

/* Whether the settings say where the ledger is, once `shared` is known: COMMAND_GO_ON, or an exit
 * status after saying why not. Sets `on_postgres`. */
int cluster_ledger_settle(struct cluster *cluster);
/* Notes in DATA what keeps the ledger, or sees that it is the same. False after saying why not. */
bool cluster_ledger_prepare(const struct cluster *cluster);
/* --ledger=postgres://... of this process of the ledger; only with `on_postgres`. */
void cluster_ledger_word(
    const struct cluster *cluster,
    const struct cluster_process *process,
    struct cluster_words *words);

/* --- cluster_control.c --- */

/* Between looks for a request. */
#define CLUSTER_REQUEST_MS 200

/* Has the folder for itself. ERR_LOCKED. */
MUST_USE err_t cluster_lock(struct cluster *cluster);
/* Does what another process asked for, if it did. */
void cluster_control_serve(struct cluster *cluster);
/* `tael local-cluster add`, `drain NAME`: asks the one that runs on the folder. An exit status. */
int cluster_control_ask(const struct cluster *cluster, const char *verb, const char *name);

#endif
