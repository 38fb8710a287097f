/*
 * What `tael shards` and its commands share: the map's file, held against another such command, and
 * a connection to each of its shards.
 *
 *   shards.c         the commands that move slots
 *   shards_look.c    those that look: list, verify
 *   shards_link.c    files and connections
 */
#ifndef TAEL_SHARDS_H
#define TAEL_SHARDS_H

#include "command.h"
#include "option.h"
#include "show.h"

#include "net/loop.h"
#include "remote/client.h"
#include "shards/move.h"

#include <semaphore.h>

#define SHARDS_PATH_SIZE 768
#define SHARDS_TEXT_SIZE 1024

struct shards_options {
    char map[SHARDS_PATH_SIZE];
    char data[SHARDS_PATH_SIZE];
    char key_file[SHARDS_PATH_SIZE];
    char tls_ca[SHARDS_PATH_SIZE];
    char tls_cert[SHARDS_PATH_SIZE];
    char tls_key[SHARDS_PATH_SIZE];
    char domain[REMOTE_DOMAIN_SIZE];
    bool plain;
    bool json;
    /* Of some commands. */
    bool dry_run;
    bool cancel;
    bool even;
    char slots[SHARDS_TEXT_SIZE];
    char from[SHARD_NAME_SIZE];
    char to[SHARD_NAME_SIZE];
    char at[SHARD_AT_SIZE];
    char without[SHARDS_TEXT_SIZE];
    char stop_before[16];
};

#define SHARDS_OPTIONS                                                                             \
    OPTION_TEXT(                                                                                   \
        struct shards_options,                                                                     \
        map,                                                                                       \
        "ledger-shards",                                                                           \
        "",                                                                                        \
        "The file with the map, which every process of the cluster reads."),                       \
        OPTION_TEXT(                                                                               \
            struct shards_options,                                                                 \
            data,                                                                                  \
            "data",                                                                                \
            "",                                                                                    \
            "The folder of a 'tael local-cluster': its map and its key, instead of the others."),  \
        OPTION_TEXT(                                                                               \
            struct shards_options,                                                                 \
            key_file,                                                                              \
            "internal-key-file",                                                                   \
            "",                                                                                    \
            "The key that services share."),                                                       \
        OPTION_TEXT(                                                                               \
            struct shards_options,                                                                 \
            tls_ca,                                                                                \
            "internal-tls-ca",                                                                     \
            "",                                                                                    \
            "Or: who signed the services' certificates (PEM)."),                                   \
        OPTION_TEXT(                                                                               \
            struct shards_options,                                                                 \
            tls_cert,                                                                              \
            "internal-tls-cert",                                                                   \
            "",                                                                                    \
            "A certificate of a role that may ask the ledger, such as api (PEM)."),                \
        OPTION_TEXT(struct shards_options, tls_key, "internal-tls-key", "", "Its key (PEM)."),     \
        OPTION_TEXT(                                                                               \
            struct shards_options,                                                                 \
            domain,                                                                                \
            "internal-domain",                                                                     \
            "tael.internal",                                                                       \
            "What the names in the certificates end with."),                                       \
        OPTION_SWITCH(                                                                             \
            struct shards_options,                                                                 \
            plain,                                                                                 \
            "internal-plain",                                                                      \
            "Shards on other machines without TLS: the network hides the traffic."),               \
        OPTION_SWITCH(struct shards_options, json, "json", "Prints JSON.")

struct shards_link {
    const struct command *command;
    const struct shards_options *options;
    char path[SHARDS_PATH_SIZE + 16]; /* of the map */
    struct os_file *lock;
    struct shard_map *map;
    struct remote_auth *auth;
    struct net_loop *net;
    bool net_runs;
    struct remote_client *clients[SHARD_SHARDS_MAX];
    sem_t answered;
    struct os_executor executor;
};

/* Reads the map; with `connect` also connects to its shards. `changes`: keeps other commands that
 * change the map away until the close. COMMAND_GO_ON, or the exit status after saying what is
 * wrong.
 */
int shards_link_open(
    const struct command *command,
    const struct shards_options *options,
    bool changes,
    bool connect,
    struct shards_link *link);
void shards_link_close(struct shards_link *link);

/* What a command needs before it begins. */
struct shards_needs {
    const struct setting *table; /* of struct shards_options */
    size_t count;
    int words; /* beside the options, exactly */
    bool changes;
    bool connects;
};

/* Reads the command line into `options`, which the link then refers to, and opens the link; the
 * words are at argv[1]. As shards_link_open. */
int shards_begin(
    const struct command *command,
    const struct shards_needs *needs,
    char **argv,
    struct shards_options *options,
    struct shards_link *link);
/* Whether the shard can work: seven seconds at most. ERR_BUSY: not now, or it does not answer;
 * ERR_DENIED: it will not take us. */
MUST_USE err_t shards_link_await(const struct shards_link *link, uint32_t shard);
/* ask of shards/move.h; the context is the link. ERR_DENIED instead of ERR_BUSY: the shard will not
 * take us however often it is asked. */
err_t shards_link_ask(void *context, uint32_t shard, struct port_ledger_request *request);
/* What an error of shards_link_ask is about, in a few words: what is known of the shard, or the
 * error's own text. */
void shards_link_why(
    const struct shards_link *link, uint32_t shard, err_t error, char message[SHARDS_MESSAGE_SIZE]);
/* The same in one line, with the shard and its place. */
void shards_link_tell(
    const struct shards_link *link, uint32_t shard, err_t error, char message[SHARDS_MESSAGE_SIZE]);
/* What ERR_DENIED of shards_link_ask was about, in one line: the first shard that answers and does
 * not take us. False, and nothing written, if there is none: then the shard's ledger said it. */
bool shards_link_refusal(const struct shards_link *link, char message[SHARDS_MESSAGE_SIZE]);
/* replace of shards/move.h: the file, if its epoch is still `expected`, and the link's own copy. */
err_t shards_link_replace(void *context, uint64_t expected, const struct shard_map *next);
/* The shard of that name, or false after saying that there is none. */
bool shards_link_find(const struct shards_link *link, const char *name, uint32_t *ret_shard);

extern const struct command shards_list;
extern const struct command shards_verify;

#endif
