/*
 * What every API resource shares: running operations in groups over the document store,
 * idempotency, parameters, errors, lists, expansion and events. payments, wallets and the others
 * are tables and handlers on top of this.
 *
 * One `struct resource_runtime` lives on one loop, with one document store. A request arrives as a
 * task; its operation runs as a chain of steps on that loop:
 *
 *     resource_submit            any thread
 *       check key and rights ---> 401, 403, 429
 *       card data to the vault    (asynchronous; the clear number is wiped right after)
 *       idempotency key      ---> replayed answer, 400, 409
 *       check parameters     ---> 400, nothing was done
 *       handler                   reads, decides, writes; then one of
 *         resource_answer           the answer leaves when the group's commit is durable
 *         resource_after_commit     a step that runs when it is: rail and ledger calls go here
 *         resource_lock             a step that runs when the object is free
 *
 * RESOURCE-1  No answer and no outside effect leaves before the transaction it rests on is durable.
 * RESOURCE-2  If a group's commit fails, every operation that wrote in it is answered with an
 *             error, and nothing of it is there.
 * RESOURCE-3  An idempotency key is finished in the same transaction as the change it stands for.
 * RESOURCE-4  An object's lock is held by one operation; the others wait in order, for a bounded
 *             time, then are told lock_timeout.
 * RESOURCE-5  Every change of an object writes its event row in the same transaction.
 */
#ifndef RESOURCE_RESOURCE_H
#define RESOURCE_RESOURCE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/id.h"
#include "document/document.h"
#include "form/form.h"
#include "os/clock.h"
#include "os/entropy.h"
#include "os/loop.h"
#include "port/vault.h"
#include "tracecontext/tracecontext.h"

struct resource_runtime;
struct resource_op;
struct currency;
struct trace_recorder;
struct port_cache;

/* ------------------------------------------------------------------ who asks, and what for --- */

enum resource_key_kind {
    RESOURCE_KEY_SECRET,
    RESOURCE_KEY_RESTRICTED,
    RESOURCE_KEY_PUBLISHABLE,
    RESOURCE_KEY_INTERNAL, /* a sweeper: no HTTP request behind it */
    RESOURCE_KEY_NONE,     /* a public route: what the path carries is the only proof */
};

struct resource_type;

struct resource_caller {
    uint64_t scope; /* merchant number * 2 + (live ? 1 : 0) */
    bool live;
    enum resource_key_kind key_kind;
    char merchant_id[ID_TEXT_SIZE]; /* acct_... */
    char key_id[ID_TEXT_SIZE];
};

enum resource_route_flag {
    /* A publishable key may call it, when it knows the object's client_secret. */
    RESOURCE_PUBLISHABLE = 1,
    /* It has effects outside the documents: a "running" idempotency key is written before them. */
    RESOURCE_OUTSIDE_EFFECTS = 2,
    /* The body may carry a card in clear at `card_parameter`. Of a RESOURCE_PUBLIC route it goes to
     * the vault when the handler says so (resource_card_keep): nobody has shown a right before. */
    RESOURCE_CARD_DATA = 4,
    /* The front does not read the body as a form: the handler finds it through request->user.
     * Implies RESOURCE_NOT_KEPT: such routes are idempotent by ids in the body. */
    RESOURCE_RAW_BODY = 8,
    /* The answer must not be stored (it shows a secret once): an Idempotency-Key is ignored. */
    RESOURCE_NOT_KEPT = 16,
    /* No API key is asked for: a person's browser follows a link. The first capture is the scope's
     * number, which fills in the caller; the handler proves the right by a secret in the second,
     * and answers a wrong one like an object that is not there. Implies RESOURCE_NOT_KEPT. */
    RESOURCE_PUBLIC = 32,
};

enum resource_param_kind {
    /* An empty value unsets texts, lists and hashes; the others refuse it. */
    RESOURCE_PARAM_TEXT,      /* at most `maximum` bytes */
    RESOURCE_PARAM_INTEGER,   /* within [minimum, maximum] */
    RESOURCE_PARAM_BOOLEAN,   /* true or false */
    RESOURCE_PARAM_ENUM,      /* one of `values`; "" first among them: it can be unset */
    RESOURCE_PARAM_TIMESTAMP, /* unix seconds */
    RESOURCE_PARAM_CURRENCY,  /* three letters of ISO 4217 */
    RESOURCE_PARAM_TEXT_LIST, /* an array of texts, at most `maximum` long */
    RESOURCE_PARAM_METADATA,  /* payments' metadata rules: 50 keys, 40 and 500 characters */
    RESOURCE_PARAM_HASH,      /* has children, which the table lists by their own full names */
    RESOURCE_PARAM_ANY_HASH,  /* a hash that is kept as given (shipping, mandate_data) */
    RESOURCE_PARAM_HASH_LIST, /* an array of hashes, at most `maximum` long, whose children the
                               * table lists as "name[][child]" */
    RESOURCE_PARAM_RANGE,     /* N, or a hash of gt, gte, lt, lte: `created` of lists */
};

/* One parameter of a route. Names are full: "payment_method_data[billing_details][email]".
 * A parameter that the table does not name is refused: parameter_unknown. */
struct resource_param {
    const char *name;
    enum resource_param_kind kind;
    bool required;
    int64_t minimum, maximum;
    const char *const *values; /* ENUM: NULL-terminated */
};

/* A row of a service's route table; constant. */
struct resource_route {
    const char *method;  /* GET POST DELETE */
    const char *pattern; /* "/v1/payment_intents/:id/confirm"; at most 2 captures */
    void (*handler)(struct resource_op *op);
    const struct resource_param *params;
    uint32_t param_count;
    uint32_t flags;             /* enum resource_route_flag */
    const char *card_parameter; /* "payment_method_data[card]" */
    const char *permission;     /* restricted keys: "payment_intents"; write unless GET */
    void *service_context;      /* handed to the handler by resource_op_service */
    /* RESOURCE_PUBLIC: appends the page that a browser is shown instead of an error's JSON. Pure;
     * on the front's thread. */
    void (*refusal_page)(int status, struct buf *out);
    /* The type that it answers, or a list of it: `expand` is then checked before anything happens.
     * Its render function must stand a document of zeros. NULL: wrong paths are refused by GET
     * only, and ignored by what has changed something. */
    const struct resource_type *answers;
    bool answers_list;
    bool answers_search; /* the result of a search of them */
};

#define RESOURCE_REQUEST_ID_SIZE ID_TEXT_SIZE /* req_... */

/*
 * A request and its answer. The api front fills the first part (and owns everything it points to
 * until `done` runs), the runtime the second.
 */
struct resource_request {
    struct os_task task;
    struct os_executor *reply_to;
    void (*done)(struct resource_request *request);
    struct resource_runtime *runtime; /* set by resource_submit */

    const struct resource_route *route;
    struct span api_key;         /* as presented, without scheme; empty: none */
    struct span captures[2];     /* of the pattern */
    struct form_node *params;    /* body of a POST, query of a GET; never NULL */
    struct span idempotency_key; /* data == NULL: none; a header that was empty is refused */
    struct span api_version;     /* Stripe-Version as sent; may be empty */
    char request_id[RESOURCE_REQUEST_ID_SIZE];
    struct trace_context trace; /* of the span that the front keeps open until `done` */
    uint64_t submitted_ns;      /* the runtime's, for its spans */
    uint64_t arrived_ns;        /* monotonic, when its first byte was read; 0: not known */
    struct span agent;          /* User-Agent as sent; may be empty */
    struct span address;        /* of whoever asked, as text; empty: it is not to be known */
    struct arena *arena;        /* lives until done ran; params live in it */
    void *user;                 /* the requester's */

    int status;      /* HTTP */
    struct buf body; /* JSON; moved to the requester */
    bool replayed;
    char original_request_id[RESOURCE_REQUEST_ID_SIZE];
    const char *rate_limited_reason; /* for 429; may be NULL */
    const char *content_type;        /* of body; NULL: application/json */
    struct span location;            /* of a redirect, in `arena`; empty: none */
};

/* The answer of an idempotency key may be kept as the id of the event that shows it, if events are
 * kept for longer than keys, and keys not longer than this less a day. With other settings than now
 * that may have been so: who removes events sooner leaves those of earlier processes for so long.
 */
#define RESOURCE_ANSWER_EVENT_S (8 * INT64_C(86400))

/* A merchant's keys of one mode together have the rate of so many; publishable ones, which anybody
 * has who opens a shop's page, by themselves. */
#define RESOURCE_RATE_KEYS 4

struct resource_settings {
    uint64_t rate_per_key;        /* requests a second, per key */
    uint64_t lock_wait_ns;        /* then lock_timeout */
    uint32_t lock_waiters_max;    /* per object */
    uint32_t operations_max;      /* under way; more are answered 503 */
    uint64_t idempotency_keep_ns; /* at least 24 hours */
    uint64_t event_keep_ns;       /* events are there for as long; 0: that is not known */
    /* Copies of rows, if the documents are shared (document_kind.copied); 0 entries: none. */
    uint32_t cache_entries_max;
    uint64_t cache_bytes_max;
    uint64_t cache_life_ns;     /* none is shown for longer */
    uint32_t search_looked_max; /* objects of one search; 0: RESOURCE_SEARCH_LOOKED_MAX */
};

struct resource_parts {
    struct os_loop *loop;
    /* Where commits are synced, so that the next group runs while the disk works. It does nothing
     * else, and stops after `loop`. NULL: on `loop`. */
    struct os_loop *sync_loop;
    struct os_clock *clock;
    struct os_entropy *entropy;
    struct document_store *documents;
    struct port_vault *vault;
    /* Copies that processes share; NULL: each has its own, and does not hear of others' changes. */
    struct port_cache *cache;
    struct resource_settings settings;
    bool refuse_live; /* a rail is simulated: live keys are refused */
    /* Where the parts of internal operations begin (resource_trace_begin). NULL: nowhere. */
    struct trace_recorder *recorder;
    const char *documents_system; /* db.system.name of spans; NULL: sqlite */
    /* Told what went wrong on our side; NULL: standard error. `request_id` may be empty, and the
     * context unset. */
    void (*log)(
        void *context,
        const char *request_id,
        const struct trace_context *trace,
        err_t code,
        const char *what);
    void *log_context;
};

/* The parts are copied; what they point to is borrowed until the runtime is destroyed. */
MUST_USE err_t
resource_runtime_create(const struct resource_parts *parts, struct resource_runtime **ret_runtime);
/* When its loop does not run any more: what is not committed is undone, and operations that wait
 * for a port end without an answer. Accepts NULL inside; sets NULL. */
void resource_runtime_destroy(struct resource_runtime **runtime);

/* What an installation chooses once: `value` is stored under `name` (a constant text of the
 * program's own) if nothing is yet, and what is stored then, also if another process was first, is
 * copied to ret_value. Before the loop runs; waits for the database. ERR_CORRUPT: it is longer than
 * `size`. */
MUST_USE err_t resource_setting_choose(
    struct resource_runtime *runtime,
    const char *name,
    const char *value,
    char *ret_value,
    size_t size);

/*
 * Whether other processes work on the same documents. Then a lock of an object holds among all of
 * them; the claim of a worker on an attempt is only over when its time is (nobody here can know
 * that it is dead); and what one process does for all asks resource_leads before each turn of it:
 * false means that another one does it.
 */
bool resource_is_shared(const struct resource_runtime *runtime);
/* On the runtime's loop. `work` is a constant text. True if the documents are not shared. */
bool resource_leads(struct resource_runtime *runtime, const char *work);

/* On the runtime's loop: an operation that was just started will load this object. Only a hint, for
 * documents that are a round trip away; `id` lives until the group ends. */
void resource_expect(struct resource_runtime *runtime, uint64_t scope, struct span id);

/* From any thread. `request` is the runtime's until its `done` is posted to its reply_to, once. */
void resource_submit(struct resource_runtime *runtime, struct resource_request *request);

/* Who wants to know which requests were made, and how they were answered. */
struct resource_request_watch {
    void *context;
    /* On the runtime's loop, before the answer leaves: the answer is in the request. Of requests
     * that an API key was good for only, also where the key may not do what was asked. Both are
     * gone when it returns. It may start internal operations; it writes and answers nothing. */
    void (*answered)(
        void *context,
        const struct resource_caller *caller,
        const struct resource_request *request);
};

/* Before the loop runs; the watch lives until the runtime is destroyed. */
void resource_watch_requests(
    struct resource_runtime *runtime, const struct resource_request_watch *watch);

/* Appends what runtimes of this process have measured as Prometheus text. Any thread. */
void resource_metrics_render(struct buf *out);

/* The document kinds of the runtime itself (idempotency keys, events, merchants, api keys), for
 * document_store_open. */
extern const struct document_kind *const resource_kinds[];
extern const uint32_t resource_kind_count;

/* ------------------------------------------------------------------------ inside an operation */

/* A part of an operation, on the runtime's loop. Before it returns, it answers, or begins something
 * (a lock, a port) that goes on with another step. */
typedef void (*resource_step)(struct resource_op *op);

/* What the operation has; all of it lives as long as the operation. */
struct resource_runtime *resource_op_runtime(struct resource_op *op);
void *resource_op_service(struct resource_op *op); /* route->service_context */
const struct resource_caller *resource_op_caller(const struct resource_op *op);
const struct resource_request *resource_op_request(
    const struct resource_op *op); /* NULL: internal */
/* What operators have called the caller's merchant, in the arena. Empty: nothing, as they do not
 * name the platform's own. */
MUST_USE err_t resource_op_merchant_name(struct resource_op *op, struct span *ret_name);
/* For public routes, which no key leads to: whether the merchant is closed at this moment. */
MUST_USE err_t resource_op_merchant_closed(struct resource_op *op, bool *ret_closed);
struct arena *resource_op_arena(struct resource_op *op);
/* What the path has in the place of the pattern's first (0) or second (1) capture; empty if there
 * is none. */
struct span resource_op_capture(const struct resource_op *op, uint32_t index);
/* The handler's own state across steps. */
void resource_op_set_state(struct resource_op *op, void *state);
void *resource_op_state(struct resource_op *op);
/* Runs when the operation has ended, however that came; its memory is still there. */
void resource_op_on_end(struct resource_op *op, void (*ended)(void *context), void *context);
/* The answer leaves so long after what it tells is durable: for what other processes must have
 * noticed by then. Not one that tells of a failure. */
void resource_op_hold_answer(struct resource_op *op, uint64_t duration_ns);
/* Runs when the operation has ended and what it wrote is durable, and not at all if it failed;
 * before the hook above, and its memory is still there. For what need not be in the same
 * transaction. ERR_FULL. */
MUST_USE err_t
resource_op_when_done(struct resource_op *op, void (*run)(void *context), void *context);
struct os_executor *resource_op_executor(struct resource_op *op); /* reply_to for ports */

/* The context of the operation's span, for requests to ports. */
struct trace_context resource_op_trace(const struct resource_op *op);
/* Its traceparent in the arena, to be stored for work that others will do because of it; empty if
 * there is none. */
struct span resource_trace_parent(struct resource_op *op);
/* The operation works on this object, by which its trace can then be found: "tael.refund". */
void resource_trace_about(struct resource_op *op, const char *key, struct span id);
/* An internal operation begins a part of its own, linked to a traceparent that was stored (may be
 * empty); or it works for a request, since began_ns. The span ends with the operation, or before
 * its answer leaves by a port. */
void resource_trace_begin(struct resource_op *op, const char *name, struct span linked);
void resource_trace_join(
    struct resource_op *op, const char *name, const struct trace_context *of, uint64_t began_ns);
void resource_trace_leave(struct resource_op *op);
uint64_t resource_now_s(struct resource_op *op); /* unix seconds, for `created` */
uint64_t resource_monotonic_ns(struct resource_op *op);
/* A new public id with this prefix; text lives in the arena. */
struct span resource_new_id(struct resource_op *op, const char *prefix, u128 *ret_id);
/* `length` characters of base 62 from the system's entropy, for client secrets. */
struct span resource_new_secret(struct resource_op *op, uint32_t length);
/* An id that depends only on the given id and step: same arguments, same id (SHA-256, cut). */
u128 resource_derived_id(u128 id, const char *step);
/* SHA-256. Any thread. */
void resource_sha256(struct span text, uint8_t out[32]);

/* So often does an operation begin anew that lost against another process (DOCUMENT-2). Of as many
 * processes as there are, one wins each time; with three of them that fight for one row all of the
 * time, one in a thousand is then told 409. */
#define RESOURCE_RUNS_AGAIN_MAX 16

/*
 * Starts an operation with no request behind it (sweepers), in the given scope, which also fills
 * in the caller's mode and merchant. It ends with resource_finish, or with any of the answering
 * calls: the answer goes nowhere, except into the idempotency key that it adopted. ERR_FULL if too
 * many are under way.
 */
MUST_USE err_t resource_start_internal(
    struct resource_runtime *runtime,
    uint64_t scope,
    void *service_context,
    resource_step step,
    void *state);
/* An internal operation: if another process was first to change what it wrote, and it has reached
 * nobody outside, it begins anew with this step and state, up to RESOURCE_RUNS_AGAIN_MAX times. Its
 * hook of resource_op_on_end is forgotten then, and not run. */
void resource_op_repeatable(struct resource_op *op, resource_step step, void *state);
/* Every scope that has a merchant, both modes. */
MUST_USE err_t resource_scope_each(
    struct resource_runtime *runtime, void (*each)(void *context, uint64_t scope), void *context);
/* From here on the answer of this operation also finishes the idempotency key that a dead process
 * left running (its name is on the attempt). */
void resource_adopt_key(struct resource_op *op, struct span idempotency_key);
/* The name for resource_adopt_key: the request's, or the one that was adopted; empty without one.
 */
struct span resource_op_idempotency_key(const struct resource_op *op);

/* Runs `step` when this operation holds the lock of `object_id`; held until the operation ends.
 * An operation holds one lock at a time; asking for the one it has runs the step at once. */
void resource_lock(struct resource_op *op, struct span object_id, resource_step step);

/* Runs `step` after the commit that makes this operation's writes so far durable. If it fails the
 * operation is ended with an error answer and the step does not run. */
void resource_after_commit(struct resource_op *op, resource_step step);

/* Ends the operation with a JSON body, which is moved from `body`. */
void resource_answer(struct resource_op *op, int status, struct buf *body);
/* The same with another kind of body; `content_type` is constant. Not for routes whose answers are
 * kept under an idempotency key, which keeps JSON only. */
void resource_answer_typed(
    struct resource_op *op, int status, const char *content_type, struct buf *body);
/* Ends the operation with 303 See Other, for forms that a person submitted. `location` is an
 * absolute URI of printable ASCII: whoever took it from a request has checked it. */
void resource_answer_redirect(struct resource_op *op, struct span location);
/* Ends an internal operation. */
void resource_finish(struct resource_op *op);

/* ------------------------------------------------------------------------------------- errors */

/* The error object of the public API; NULL or empty members are left out. */
struct resource_error {
    int status;
    const char *type; /* api_error card_error idempotency_error invalid_request_error */
    const char *code;
    const char *decline_code;
    const char *advice_code;
    const char *network_code;
    struct span param;
    struct span message;
    struct span charge;
    /* Rendered objects to put into the error; empty: left out. */
    struct span payment_intent_json;
    struct span setup_intent_json;
    struct span payment_method_json;
    /* Execution had begun, so the answer is stored under the idempotency key. */
    bool executed;
};

/* Ends the operation with an error. doc_url comes from the code. */
void resource_fail(struct resource_op *op, const struct resource_error *error);
/* invalid_request_error, 400. The format makes the message. */
__attribute__((format(printf, 4, 5))) void resource_invalid(
    struct resource_op *op, const char *code, const char *param, const char *format, ...);
/* resource_missing: "No such payment_intent: 'pi_x'". 404 if the id is of the path, 400 if a
 * parameter named it. */
void resource_missing(
    struct resource_op *op, const char *object, const char *param, struct span id);
/* 500 api_error for what is our fault; logs the code, tells the client nothing of it. */
void resource_internal(struct resource_op *op, err_t code, const char *what);

/* The same error object without an operation, for the front (404 of a path, 413 of a body). */
void resource_error_render(
    struct buf *out, const struct resource_error *error, const char *request_id);

/* --------------------------------------------------------------------------------- parameters */
/* The table has been checked when the handler runs, so these only read. Absent gives false; a
 * parameter sent empty gives true and the empty span: "unset it". */

bool resource_text(struct resource_op *op, const char *name, struct span *ret_text);
bool resource_integer(struct resource_op *op, const char *name, int64_t *ret_value);
/* Whether an amount in the API's unit is whole coins of the currency. False: the operation was
 * answered, with the name of the parameter. */
bool resource_coins_check(
    struct resource_op *op, const char *name, int64_t amount, const struct currency *currency);
bool resource_boolean(struct resource_op *op, const char *name, bool *ret_value);
bool resource_present(struct resource_op *op, const char *name);
/* A hash or a list; NULL if it is absent. */
const struct form_node *resource_node(struct resource_op *op, const char *name);
/* The node as JSON text in the arena (hashes as objects, arrays as arrays, leaves as strings). An
 * empty member of a hash is unset, and left out. */
struct span resource_json(struct resource_op *op, const char *name);
/* `current` (a JSON object, may be empty) with the request's metadata merged in: keys set to empty
 * are removed, metadata= clears all. ERR_FULL past 50 keys: the operation was answered. */
MUST_USE err_t
resource_metadata(struct resource_op *op, struct span current, struct span *ret_metadata);
/* The same of metadata under another name. */
MUST_USE err_t resource_metadata_of(
    struct resource_op *op, const char *name, struct span current, struct span *ret_metadata);
/* The card that the vault saw for route->card_parameter, or NULL if there was none. */
const struct port_vault_card *resource_card(struct resource_op *op);
/* Of a RESOURCE_PUBLIC route: whether a number and a security code were sent. */
void resource_card_given(const struct resource_op *op, bool *ret_number, bool *ret_cvc);
/* Gives that card to the vault, once, and runs `step`, which finds what the vault said in
 * resource_card_outcome and, if that is PORT_VAULT_OK, the card in resource_card. */
void resource_card_keep(
    struct resource_op *op, int64_t exp_month, int64_t exp_year, resource_step step);
enum port_vault_outcome resource_card_outcome(const struct resource_op *op);
/* What the vault found of a card; false: it is not good, and the operation was answered. Not for
 * PORT_VAULT_UNKNOWN_TOKEN. */
bool resource_card_accept(struct resource_op *op, enum port_vault_outcome outcome);

#endif
