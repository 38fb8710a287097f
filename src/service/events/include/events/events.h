/*
 * Webhooks: endpoints, the delivery of every event to those that want it, its log, and how long
 * both are kept. README.md draws the flow and numbers the invariants.
 *
 * The service is a set of routes on a resource runtime, plus workers on the same loop: the
 * dispatcher, which turns events into deliveries, and one worker for each endpoint, which makes the
 * attempts.
 */
#ifndef EVENTS_EVENTS_H
#define EVENTS_EVENTS_H

#include "callback/secret.h"
#include "os/file.h"
#include "port/http.h"
#include "resource/object.h"

struct events;
struct recipient;
struct trace_recorder;
struct trace_log;

#define EVENTS_ENDPOINTS_MAX 16 /* of one merchant in one mode */

/* When a delivery that failed is tried again. */
struct events_schedule {
    int64_t first_ms; /* the first retry comes within it; each following one within twice as much */
    int64_t max_ms;   /* but never more than this */
    int64_t for_ms;   /* after so long it is given up */
};

struct events_settings {
    struct events_schedule test, live;
    int64_t timeout_ms;       /* for the endpoint to answer */
    int64_t disable_after_ms; /* an endpoint that failed at everything for so long is disabled */
    int64_t event_keep_s;     /* events are removed after it */
    int64_t delivery_keep_s;  /* the log too; not longer than events */
    int64_t purge_interval_ms;
    uint32_t in_flight_max;          /* attempts under way */
    uint32_t endpoint_in_flight_max; /* to one endpoint */
    uint64_t memory_max;             /* bytes of bodies under way */
    enum port_http_reach test_reach, live_reach;
};

struct events_settings events_settings_default(void);

/* Documents that have secrets of the same keys, beside endpoints: their type, and the recipient of
 * one of its structs. Constant. */
struct events_recipients {
    const struct resource_type *type;
    struct recipient *(*of)(void *document);
};

struct events_parts {
    struct resource_runtime *runtime;
    struct os_loop *loop; /* the runtime's */
    struct os_clock *clock;
    struct os_entropy *entropy;
    struct document_store *documents; /* the runtime's; used by events_create only */
    struct os_disk *disk;
    const char *folder; /* where the file of the secrets' keys is; made if it is not there */
    /* Where it is instead, for processes that share documents; never made. NULL: in `folder`. */
    const char *key_file;
    const struct events_recipients *recipients;
    uint32_t recipients_count;
    struct port_http *http;
    struct trace_log *log;
    struct trace_recorder *recorder; /* of the deliveries' spans; NULL: nowhere */
    struct events_settings settings;
};

#define EVENTS_MESSAGE_SIZE 256

/* Before the loop runs. The message says what is wrong. */
MUST_USE err_t events_create(
    const struct events_parts *parts,
    struct events **ret_events,
    char message[EVENTS_MESSAGE_SIZE]);
/* After the loop has stopped and the runtime was destroyed. Accepts NULL; sets NULL. */
void events_destroy(struct events **events);

/* Begins to dispatch, to deliver and to tidy up. On the loop, or before it runs. */
void events_start(struct events *events);
/* No new attempt begins; what is under way goes on. Any thread; the loop runs. */
void events_drain(struct events *events);
/* The drain was heard, and nothing is under way. Any thread. */
bool events_is_drained(const struct events *events);

/* What secrets are sealed with, for other recipients; lives as long as `events`. */
const struct callback_keys *events_secret_keys(const struct events *events);

/* The keys, in the order of the file, and how many secrets are under each. */
struct events_keys_state {
    uint32_t count;
    uint32_t in_use;     /* an index; `count`: it is not among them */
    bool rotating;       /* secrets are under other keys than the one in use, or may be */
    bool failing;        /* the last step failed; it is tried again after 10 seconds */
    uint32_t unreadable; /* secrets that none of them opens; they stay as they are */
    uint64_t anew;       /* sealed anew by this process */

    struct {
        char name[CALLBACK_KEY_NAME_SIZE];
        uint32_t secrets; /* by the last look at all, at most a minute ago if there are several */
    } keys[CALLBACK_KEYS_MAX];
};

/* Any thread. */
void events_keys_look(const struct events *events, struct events_keys_state *ret_state);

struct events_rotate {
    /* The caller's. */
    struct os_executor *reply_to;
    void (*done)(struct events_rotate *request);
    /* The answer. ERR_OK: the first key of the file is in use, durably; what is under others
     * follows. ERR_EXISTS: it was already. ERR_NOT_FOUND: the key in use is not in the file, so
     * that another one cannot take over. ERR_OUTCOME_UNKNOWN: the keys' state knows. Others:
     * nothing has changed. */
    err_t error;
    /* The service's, until then. */
    struct os_task task;
    struct events *events;
    uint32_t check_version;
};

/* Any thread; answers once, when the loop runs. */
void events_rotate(struct events *events, struct events_rotate *request);

/* The routes, bound to this instance; valid as long as it. */
const struct resource_route *events_routes(const struct events *events, uint32_t *ret_count);

/* The document kinds, for document_store_open. */
extern const struct document_kind *const events_kinds[];
extern const uint32_t events_kind_count;

/* How an attempt ended. */
enum events_outcome {
    EVENTS_SUCCEEDED,       /* a status from 200 to 299 */
    EVENTS_STATUS,          /* another one */
    EVENTS_REDIRECT,        /* 300 to 399: redirects are not followed */
    EVENTS_TIMEOUT,         /* no answer in time */
    EVENTS_HOST_NOT_FOUND,  /* the name does not resolve */
    EVENTS_ADDRESS_REFUSED, /* it resolves to where we do not go */
    EVENTS_NOT_CONNECTED,   /* nobody listens */
    EVENTS_TLS_FAILED,      /* the certificate, mostly */
    EVENTS_BROKEN,          /* the connection ended, or what came was no HTTP */
    EVENTS_NOT_SENT,        /* our own limits; does not count as an attempt */
    EVENTS_OUTCOME_COUNT,
};

/* "timed_out"; of EVENTS_SUCCEEDED "succeeded". */
const char *events_outcome_name(enum events_outcome outcome);

struct events_health {
    uint64_t queued;     /* deliveries without an end */
    uint64_t in_flight;  /* attempts under way */
    uint64_t overdue_ms; /* the longest that a delivery which is due waits for room; not while its
                            endpoint rests */
    uint64_t due_endpoints; /* for which a delivery is due and waits */
    uint64_t lag_ms;        /* since when an event waits to become deliveries; 0: none waits */
    uint64_t endpoints;     /* enabled */
    uint64_t created;       /* deliveries, since the start, as are the following */
    uint64_t given_up;
    uint64_t disabled; /* endpoints, by us */
    /* Rows of endpoints, deliveries and events that could not be read, each time one was met. */
    uint64_t damaged;
    uint64_t outcomes[EVENTS_OUTCOME_COUNT];
};

/* Any thread. */
struct events_health events_health(const struct events *events);

#endif
