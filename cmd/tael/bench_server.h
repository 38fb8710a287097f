/* The server that a benchmark over HTTP measures: one of its own, or one that runs already. */
#ifndef TAEL_BENCH_SERVER_H
#define TAEL_BENCH_SERVER_H

#include "bench.h"
#include "bench_load.h"

#define BENCH_SERVER_PROCESSES_MAX 8

struct bench_server {
    struct bench_child child; /* no pid: somebody else's */
    bool split;               /* it starts the processes below: set before the start */
    struct bench_child members[BENCH_SERVER_PROCESSES_MAX];
    uint32_t member_count;
    char host[BENCH_LOAD_HOST_SIZE];
    uint16_t port;
    char key[BENCH_LOAD_KEY_SIZE];
};

/* Starts one with a new data folder in `folder`. `flag` is one more option, or NULL; `config` a
 * file of settings for it, `documents` the URL of an empty database; or both empty. COMMAND_GO_ON,
 * or the status after a message; then too it must be ended. */
int bench_server_start(
    const struct command *command,
    const char *folder,
    const char *flag,
    const char *config,
    const char *documents,
    struct bench_server *server);
/* One that runs at http://HOST:PORT. COMMAND_GO_ON, or the status after a message. */
int bench_server_use(
    const struct command *command, const char *url, const char *key, struct bench_server *server);
/* Ends one of our own; the status to go on with: `status`, or a failure. */
int bench_server_end(const struct command *command, struct bench_server *server, int status);
/* Of one of our own, all processes together. */
MUST_USE err_t
bench_server_usage(const struct bench_server *server, struct bench_child_usage *ret_usage);
/* Has the load go there. */
void bench_server_load(const struct bench_server *server, struct bench_load_settings *load);

#endif
