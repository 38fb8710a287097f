/*
 * What clients of a simulation do: each wish is one idempotency key and the request that is sent
 * under it until it has an answer, sometimes several times at once; a call is a wish on its way.
 * What the wishes are is each simulation's own.
 */
#ifndef SIM_CALLS_H
#define SIM_CALLS_H

#include "sim_world.h"

#define SIM_FORM_SIZE 512
#define SIM_PAGE_SIZE 128

struct sim_wish {
    uint32_t verb; /* the simulation's own */
    uint32_t merchant;
    bool replay_checked;
    bool wants_location; /* what counts of the answer is where it redirects to */
    char key[32];
    char capture[ID_TEXT_SIZE];
    char page[SIM_PAGE_SIZE]; /* of a customer: the end of the page's address */
    char form[SIM_FORM_SIZE];
    uint32_t under_way;
    uint64_t next_try_ns;
    bool settled; /* there is an answer that is a promise */
    int status;
    char *body;
};

struct sim_call {
    struct resource_request request; /* first */
    struct sim_world *world;
    struct sim_wish *wish; /* NULL: the test's own question */
    struct sim_call *next;
    struct arena arena;
};

void sim_calls_init(struct sim_world *world);
void sim_calls_release(struct sim_world *world);
/* Calls that the runtime never answers are forgotten with the process. */
void sim_calls_forget(struct sim_world *world);

/* A merchant with a key for test mode. */
void sim_merchant_create(struct sim_world *world, struct sim_merchant *ret_merchant);

/* NULL if there is none in this table. */
const struct resource_route *sim_route_find(
    const struct resource_route *routes, uint32_t count, const char *method, const char *pattern);
/* A call that may still be changed before it is submitted. */
struct sim_call *sim_call_create(
    struct sim_world *world,
    const struct resource_route *route,
    const char *api_key,
    const char *capture,
    const char *form);
/* Sends it; its answer is the wish's. */
void sim_call_submit(struct sim_call *call, struct sim_wish *wish);
/* Sends it and waits; the answer, with its `status_code`, is borrowed until the next question. */
struct json_t *sim_call_ask(struct sim_call *call);

/* A new one, empty but for its key; it counts once `wish_count` does. */
struct sim_wish *sim_wish_next(struct sim_world *world);
__attribute__((format(printf, 2, 3))) void sim_wish_form(
    struct sim_wish *wish, const char *format, ...);
/* The first that has no answer, or NULL. */
const struct sim_wish *sim_wish_open(const struct sim_world *world);
/* All that have no answer and are not under way. */
void sim_wishes_ask_again(struct sim_world *world);

/* "" if it is not there. */
const char *sim_json_text(const struct json_t *json, const char *name);

#endif
