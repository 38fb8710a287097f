/*
 * The world that the service's tests run in: the simulated machine, documents in a folder, one
 * merchant in both modes, and a way out whose receivers do as they are told.
 */
#ifndef EVENTS_TESTING_H
#define EVENTS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "events/events.h"
#include "resource/event.h"
#include "resource/merchants.h"

#include "base/list.h"
#include "os/sim.h"

/* jansson.h and json/json.h do not stand each other: a file includes one of them. */
struct json_t;
struct t_thing;

#define T_SENT_MAX  8192
#define T_HOSTS_MAX 40
#define T_TEXT_SIZE 96
#define T_STEPS_MAX 4000000

/* What a host answers. */
struct t_host {
    char name[32];
    err_t error, cause;
    unsigned status;
    uint64_t delay_ms;
    uint32_t under_way, most; /* requests */
};

/* A request as it was sent. */
struct t_sent {
    char host[32];
    char event[ID_TEXT_SIZE]; /* Idempotency-Key */
    char type[64];
    char signature[256];
    char *body;
    enum port_http_reach reach;
    int64_t at_ms; /* of the wall clock */
    bool answered;
};

struct t_world {
    struct os_sim *sim;
    struct os_loop *loop, *sync_loop;
    char folder[64];
    char database[96];
    struct document_store *documents;
    struct document_store failing; /* first in line before `documents` */
    struct resource_runtime *runtime;
    struct events *events;
    struct events_settings settings;
    char merchant[ID_TEXT_SIZE];
    char keys[2][RESOURCE_KEY_TEXT_SIZE]; /* test, live */
    struct port_http http;
    struct t_host hosts[T_HOSTS_MAX];
    uint32_t host_count;
    struct t_sent sent[T_SENT_MAX];
    uint32_t sent_count;
    uint32_t under_way, most; /* requests to all hosts */
    struct os_executor replies;
    struct trace_log *log;
    err_t commit_fails; /* the next commit */
    bool dead;          /* nothing becomes durable, and nothing is sent, any more */
    struct list flights;
    struct json_t *answer; /* of the last request */
    int status;
};

/* testing_thing.c: a small object to tell of. */
extern const struct document_kind t_thing_kind;

int t_setup(void **state);
int t_teardown(void **state);
/* The process dies as it stands; whatever was not committed is gone. */
void t_crash(struct t_world *world);
void t_open(struct t_world *world);

/* Does as much as there is to do now; or for so long. */
void t_run(struct t_world *world);
void t_run_for(struct t_world *world, uint64_t milliseconds);

/* The host, made on first use: 200 at once. */
struct t_host *t_host(struct t_world *world, const char *name);

/* A request; its answer is world->answer, and world->status. `path` as the pattern says, with
 * captures filled in by `first` and `second`. */
void t_request(
    struct t_world *world,
    bool live,
    const char *method,
    const char *pattern,
    const char *first,
    const char *form);
/* The same, and then stops as soon as it is answered. */
void t_request_only(
    struct t_world *world,
    bool live,
    const char *method,
    const char *pattern,
    const char *first,
    const char *form);
/* A member of the answer by its path: "data.0.id"; "" if it is no text. */
const char *t_text(const struct t_world *world, const char *path);
int64_t t_integer(const struct t_world *world, const char *path);

/* One in live mode, at https://HOST/hook, for events of every type. */
void t_live_endpoint(struct t_world *world, const char *host);
/* An endpoint in test mode at http://HOST/hook; the id lives until the next 8 calls. */
const char *t_endpoint(struct t_world *world, const char *host, const char *type);
/* Emits so many events in one operation, which then ends well, or is refused. Does not run. */
void t_emit(struct t_world *world, bool live, const char *type, uint32_t count, bool refused);
/* Requests that were sent to the host (NULL: to all). */
uint32_t t_sent_to(const struct t_world *world, const char *host);
/* How many events there are, and how many of them the host has answered with success. */
uint32_t t_event_count(struct t_world *world);
uint32_t t_delivered_to(const struct t_world *world, const char *host);

#define T_DAMAGED_MAX 256
/* The bodies of the oldest rows of the kind in test mode become what nobody can read. */
void t_damage(struct t_world *world, const struct document_kind *kind, uint32_t count);

#endif
