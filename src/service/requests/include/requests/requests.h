/*
 * The log of requests: which requests a merchant's keys have made, and how each was answered, so
 * that whoever wrote the program at the other end finds by a Request-Id what was sent.
 *
 * The service watches a resource runtime. An entry is made when an answer is about to leave, waits
 * in memory with others of its merchant and mode, and is written with them as one row (a page): in
 * less than a second, or when a page is full. Nobody waits for it. README.md numbers the
 * invariants, and says what is kept of a request and what never is.
 */
#ifndef REQUESTS_REQUESTS_H
#define REQUESTS_REQUESTS_H

#include "resource/resource.h"

struct requests;

struct requests_settings {
    bool on;        /* false: nothing is added; what is there can be read, until its time is over */
    int64_t keep_s; /* how long an entry is kept */
    int64_t keep_max;          /* of one merchant and mode; the oldest go first */
    int64_t write_ms;          /* an entry is written within it */
    int64_t purge_interval_ms; /* between looks for what is too old, in one scope at a time */
};

struct requests_settings requests_settings_default(void);

struct requests_parts {
    struct resource_runtime *runtime;
    struct os_loop *loop; /* the runtime's */
    struct os_clock *clock;
    struct requests_settings settings;
};

/* Before the loop runs. ERR_MEMORY. */
MUST_USE err_t requests_create(const struct requests_parts *parts, struct requests **ret_requests);
/* After the loop has stopped and the runtime was destroyed. Accepts NULL; sets NULL. */
void requests_destroy(struct requests **requests);
/* Begins to tidy up. On the loop, or before it runs. */
void requests_start(struct requests *requests);
/* What waits is written now. Any thread; the loop runs. */
void requests_drain(struct requests *requests);
/* The drain was heard, and nothing waits any more. Any thread. */
bool requests_is_drained(const struct requests *requests);

/* Valid as long as the instance; of NULL bound to nothing, for their description. */
const struct resource_route *requests_routes(const struct requests *requests, uint32_t *ret_count);

struct requests_health {
    uint64_t noted;   /* entries, since the start, as are the following */
    uint64_t dropped; /* of them: there was no room for them */
    uint64_t lost;    /* of them: their page could not be written */
    uint64_t pages;   /* written */
    uint64_t waiting; /* bytes in memory */
};

/* Any thread. */
struct requests_health requests_health(const struct requests *requests);

/* The document kinds, for document_store_open. */
extern const struct document_kind *const requests_kinds[];
extern const uint32_t requests_kind_count;

#endif
