/*
 * The world that the runtime's tests run in: the simulated machine, a document store that can be
 * told to fail, a vault that knows its outcomes beforehand, one merchant, and a small service
 * ("things") with a route for each thing that handlers do.
 */
#ifndef RESOURCE_TESTING_H
#define RESOURCE_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "resource/merchants.h"
#include "resource/pages.h"

#include "os/sim.h"

/* jansson.h and json/json.h do not stand each other: a test includes one of them. */
struct json_t;

struct t_thing {
    struct resource_header header;
    struct span name;
    struct span colour;
    struct span parent; /* another thing */
    int64_t count;
    struct span metadata;
};

/* Of the test merchant, in test mode. */
#define T_SCOPE 2

enum {
    T_COLOUR,
    T_NAME,
};

extern const struct resource_type t_thing_type;
extern const struct document_kind t_thing_kind;
extern const struct resource_search t_thing_search;

enum t_route {
    T_CREATE, /* name, colour, parent, metadata; fail=invalid|executed|internal after it wrote */
    T_RETRIEVE,
    T_UPDATE, /* under the thing's lock: count += 1 */
    T_LIST,
    T_CHARGE,    /* OUTSIDE_EFFECTS: writes, waits for the commit, asks outside, finishes */
    T_CARD,      /* CARD_DATA at "method[card]" */
    T_PUBLIC,    /* PUBLISHABLE */
    T_CHECK,     /* one parameter of each kind */
    T_PAGE,      /* a page for a browser; with metadata, a redirect */
    T_PAGE_CARD, /* PUBLIC, CARD_DATA at "card": goes to the vault if name=good */
    T_EVENTS,
    T_EVENT,
    T_SEARCH,
    T_ROUTE_COUNT,
};

extern const struct resource_route t_routes[];

struct t_store {
    struct document_store store; /* first */
    struct document_store *real;
    err_t commit_fails;        /* the next commit */
    err_t write_fails;         /* the next insert or update */
    uint32_t write_fails_more; /* and so many behind it */
    err_t sync_fails;
    uint64_t applied;
    uint64_t commits;     /* those of them that are durable */
    uint64_t rows_listed; /* by all lists of things */
    uint64_t gets;        /* of rows of things */
    uint64_t key_lists;   /* looks for an API key */
    bool owners_lose;     /* against other processes; of a store with t_shared_ops */
    bool overtaken; /* the next look for an idempotency key is before another process wrote it */
    bool open;
};

struct t_vault {
    struct port_vault vault; /* first */
    enum port_vault_outcome outcome;
    err_t error;
    uint32_t asked;
    char seen_number[32];
};

struct t_call;

struct t_world {
    struct os_sim *sim;
    struct os_loop *loop;
    struct os_loop *sync_loop; /* NULL without t_with_sync_loop */
    char folder[64];
    char url[96];
    struct t_store store;
    struct t_vault vault;
    struct resource_settings settings;
    bool refuse_live;
    struct port_cache *cache; /* NULL: none */
    struct resource_runtime *runtime;
    struct resource_route routes[T_ROUTE_COUNT];
    char merchant[ID_TEXT_SIZE];
    char key[RESOURCE_KEY_TEXT_SIZE]; /* secret, test mode */
    struct os_executor replies;
    uint32_t reply_posts; /* how often a chain of answers came */
    uint32_t outside_calls;
    void (*charged)(struct resource_op *op); /* NULL; by T_CHARGE, before anything is written */
    bool outside_hangs;                      /* the outside never answers */
    struct t_call *calls;
    char logged[256]; /* the last thing that the runtime logged */
};

/* A request and what came of it. */
struct t_call {
    struct resource_request request; /* first */
    struct t_world *world;
    struct arena arena;
    bool done;
    uint64_t commits_seen; /* at the time of the answer */
    struct json_t *json;
    struct t_call *older;
};

/* Whether worlds that are set up from now on sync on a loop of its own. */
extern bool t_with_sync_loop;

/* Runs the tests in both kinds of world. */
#define T_RUN(name, tests)                                                                         \
    (cmocka_run_group_tests_name(name, tests, NULL, NULL) +                                        \
     ((t_with_sync_loop = true),                                                                   \
      cmocka_run_group_tests_name(name " with a sync loop", tests, NULL, NULL)))

/* For `shared` of the store, before t_open. */
extern const struct document_shared_ops t_shared_ops;

int t_setup(void **state);
int t_teardown(void **state);
/* The process ends and another one starts on the same documents. */
void t_restart(struct t_world *world);
/* The runtime goes and comes back with other settings; the documents stay. */
void t_close(struct t_world *world);
void t_open(struct t_world *world);

/* Sends without running anything. `form` is parsed; NULL: none. */
struct t_call *t_send(
    struct t_world *world, enum t_route route, const char *capture, const char *form);
/* Until nothing has work any more. */
void t_run(struct t_world *world);
/* t_send and t_run. */
struct t_call *t_do(
    struct t_world *world, enum t_route route, const char *capture, const char *form);
struct t_call *t_do_with_key(
    struct t_world *world,
    enum t_route route,
    const char *capture,
    const char *form,
    const char *idempotency_key);
void t_use_key(struct t_call *call, const char *idempotency_key);
/* Another API key of the merchant, who may do everything that its kind may. */
void t_key_create(
    struct t_world *world,
    enum resource_key_kind kind,
    bool live,
    char ret_key[RESOURCE_KEY_TEXT_SIZE]);

/* A text in the answer by path: "error.code", "data.0.id"; "" if it is not there. */
const char *t_text(const struct t_call *call, const char *path);
long long t_integer(const struct t_call *call, const char *path);
const struct json_t *t_json(const struct t_call *call, const char *path);
/* Status and code of an error; `param` may be NULL. */
void t_expect_error(const struct t_call *call, int status, const char *code, const char *param);
/* Things in the documents, of the test merchant. */
size_t t_count(struct t_world *world, const char *table);
/* From now on nobody can read the row: a thing's, an event's, or one of the platform's. */
void t_damage(struct t_world *world, const char *table, const char *id);

#endif
