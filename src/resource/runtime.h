/* What the files of the runtime share. resource.h says what it is for. */
#ifndef RESOURCE_RUNTIME_H
#define RESOURCE_RUNTIME_H

#include "resource/merchants.h"
#include "resource/object.h"

#include "base/hash.h"
#include "base/list.h"
#include "base/map.h"
#include "cache/cache.h"
#include "trace/span.h"
#include "json/json.h"

#define RESOURCE_ARENA_LIMIT       (16U << 20) /* of one operation */
#define RESOURCE_BODY_LIMIT        (16U << 20)
#define RESOURCE_BODY_FIRST        4096
#define RESOURCE_KEYS_CACHED_MAX   4096
#define RESOURCE_EVENT_TYPES_MAX   1024
#define RESOURCE_ANSWERS_MAX       (UINT64_C(64) << 20) /* of the answers that wait for one commit */
#define RESOURCE_SHARES            4096
#define RESOURCE_IDEMPOTENCY_MAX   255 /* characters of a key */
#define RESOURCE_EXPAND_DEPTH_MAX  4
#define RESOURCE_HASH_SIZE         32
#define RESOURCE_FIELDS_MAX        128 /* of one document */
#define RESOURCE_TURN_ROWS         512 /* read for searches in one group, of RESOURCE_ROW_SIZE each */
#define RESOURCE_TURN_ROWS_BUSY    128 /* the same, of a group that wrote */
#define RESOURCE_ROW_SIZE          1024
#define RESOURCE_TURN_ARENA_LIMIT  (16U << 20)

#define RESOURCE_PURGE_INTERVAL_NS (30 * OS_NS_PER_S)

/* Merchants and keys belong to nobody: their rows are in this scope. */
#define RESOURCE_SCOPE_NONE 0

/* What is stored of a document, for writing only what changed and for taking writes back. */
struct resource_stored {
    struct span body;
    struct document_value columns[DOCUMENT_COLUMNS_MAX];
    bool hot_only; /* its cold members were not read, and stay as they are */
};

/* A write of an operation that no commit has made durable yet. */
struct resource_write {
    struct resource_write *older;
    const struct document_kind *kind;
    struct document_row before; /* version 0: the row was not there */
    struct span id;
    uint64_t scope;
    uint32_t version; /* of the row now; 0: it was removed */
};

struct resource_lock {
    struct map_link link;
    uint64_t scope;
    struct span object_id; /* in the holder's arena: replaced when the holder changes */
    struct resource_op *holder;
    struct list waiters; /* in the order of asking */
    uint32_t waiter_count;
    bool granted; /* by the database too, which other processes share */
};

enum resource_op_phase {
    RESOURCE_OP_RUNNING, /* a step runs, or a port will call back */
    RESOURCE_OP_WAITS_LOCK,
    RESOURCE_OP_WAITS_GRANT,  /* it has the lock in this process, and asks the database for it */
    RESOURCE_OP_READY,        /* its step runs before the group ends */
    RESOURCE_OP_WAITS_TURN,   /* its step runs when long reads before it have had their turn */
    RESOURCE_OP_WAITS_COPY,   /* its first step runs when it is known whether there is a copy */
    RESOURCE_OP_WAITS_COMMIT, /* its step runs when its writes are durable */
    RESOURCE_OP_ENDED,        /* its answer leaves when its writes are durable */
};

enum resource_idempotency_state {
    RESOURCE_IDEMPOTENCY_NONE,    /* no key */
    RESOURCE_IDEMPOTENCY_NEW,     /* a key, known in memory only */
    RESOURCE_IDEMPOTENCY_RUNNING, /* its row says running */
};

/* The row of an idempotency key. */
struct resource_idempotency_row {
    struct resource_header header;
    struct span key;
    int64_t key_number; /* what the key is found by; the text decides */
    struct span hash;   /* of the request, hex */
    struct span request_id;
    bool running;
    int64_t status;
    struct span response;     /* JSON; empty: what the event shows */
    struct span answer_event; /* its id */
    int64_t expires;          /* unix seconds */
};

struct resource_idempotency {
    enum resource_idempotency_state state;
    struct map_link link; /* in runtime->running while state is not NONE */
    struct span key;
    int64_t number; /* of the key, once it was looked for */
    char hash[2 * RESOURCE_HASH_SIZE + 1];
    struct resource_idempotency_row *row; /* RUNNING */
    bool row_durable;                     /* a commit has made it so */
};

struct resource_expand; /* expand.h */

/* In an operation's arena. */
struct resource_done {
    void (*run)(void *context);
    void *context;
    struct resource_done *next;
};

struct resource_op {
    struct resource_runtime *runtime;
    struct list_link all;
    struct list_link pending;  /* in runtime->pending: WAITS_COMMIT or ENDED */
    struct list_link touched;  /* in runtime->touched */
    struct list_link waiting;  /* in a lock's waiters, runtime->ready or runtime->turns */
    struct list_link deadline; /* in runtime->lock_deadlines */
    uint64_t deadline_ns;

    struct resource_request *request; /* NULL: internal */
    const struct resource_route *route;
    size_t answer_size; /* what it has in runtime->answers_size */
    uint32_t *share;    /* in runtime->shares, which it is counted in; NULL: in none */
    void *service_context;
    void *state;
    void (*ended)(void *context);
    void *ended_context;
    struct resource_done *done; /* newest first */
    struct resource_caller caller;
    struct arena arena;

    enum resource_op_phase phase;
    resource_step step;
    err_t doom;         /* the transaction that it rests on was not committed */
    bool reached;       /* one before was: it may have had effects */
    uint32_t ran_again; /* times, because another process had changed something first */
    /* Of an internal operation that may: where it begins anew. NULL: it may not. */
    resource_step first_step;
    void *first_state;
    bool prefetched;  /* what the request names */
    bool undone;      /* it ended without what it wrote last */
    uint64_t hold_ns; /* its answer leaves so long after its commit */
    struct os_timer hold_timer;
    struct resource_write *writes; /* newest first; not durable */
    /* What the newest event shows, and of which document; NULL: there is none. */
    const void *emitted_document;
    struct span emitted_text;
    struct span emitted_id;

    /* The name among copies that was made last, and of what: it is asked for some times. */
    const struct document_kind *named_kind;
    size_t named_size;
    char named_id[ID_TEXT_SIZE];
    struct cache_key name;
    bool asked_copy; /* of what its path names (cache.h) */
    bool has_lease;  /* it may store a copy, of this row */
    uint64_t lease;
    struct cache_key lease_key;

    struct resource_lock *lock; /* held */
    struct resource_lock *lock_awaited;
    struct span lock_name; /* in the arena */
    struct resource_idempotency idempotency;
    struct resource_expand *expand; /* NULL: nothing */
    const char *permissions;        /* of a restricted key, in the arena */

    struct trace_span span; /* from its arrival on the loop to its answer */
    uint64_t waits_ns;      /* since when it waits, if it does and the span is recorded; else 0 */

    struct port_vault_tokenize tokenize;
    bool has_card;
    resource_step card_step; /* of resource_card_keep; NULL: the request's checks go on */

    int status;
    struct buf body;
    const char *content_type; /* of body, if it is not JSON */
    struct span location;     /* of a redirect */
};

struct resource_key; /* auth.h */
struct resource_event_watch;

#define RESOURCE_KNOWN_MERCHANTS 256

/* Which kind an id belongs to, by its prefix: for asking ahead (prefetch.c). */
struct resource_seen_type {
    const struct resource_type *type;
    struct span prefix;
};

#define RESOURCE_SEEN_TYPES_MAX 64

struct resource_known_merchant {
    uint64_t number; /* 0: none */
    char id[ID_TEXT_SIZE];
    char name[RESOURCE_MERCHANT_NAME_MAX + 1]; /* never changes */
};

struct resource_runtime {
    struct resource_parts parts;
    struct document_store *documents;
    const struct document_shared_ops *shared; /* NULL: nobody else uses the documents */
    struct os_executor *executor;
    struct os_group_hook hook;
    struct os_task wake_task;
    bool wake_posted;
    struct id_generator ids;
    struct hash_key hash_key;

    bool in_transaction;
    uint64_t transaction; /* counts them */
    /* A sync is under way: what is in `syncing` waits for it, and the open transaction for its end.
     */
    bool is_syncing;
    struct list syncing;
    struct os_task sync_task; /* to the sync loop, and back */
    uint64_t sync_began_ns;
    err_t sync_outcome;
    struct list ops;
    uint32_t op_count;
    /* Of them, RESOURCE_SHARES counts by scope; scopes that meet in one have it together. */
    uint32_t *shares;
    uint64_t answers_size; /* bytes of their answers that have not left */
    struct list free_ops;
    struct list pending;
    struct list touched;
    uint32_t touched_count;
    uint32_t joined_count; /* of them, when the transaction last waited for others */
    uint32_t join_turns;   /* that it has waited */
    struct list ready;

    struct list turns;       /* operations with long reads, the next one first */
    uint32_t turn_left;      /* rows that this group may still read for them */
    struct arena turn_arena; /* for one row at a time */

    struct map locks;
    struct list lock_deadlines;
    struct os_timer lock_timer;
    struct list grants; /* operations that ask the database for their lock */
    struct os_timer grant_timer;

    struct resource_seen_type seen_types[RESOURCE_SEEN_TYPES_MAX];
    uint32_t seen_type_count;
    struct resource_wishes *wishes; /* prefetch.c; NULL: not shared */
    struct resource_cache *cache;   /* cache.h; NULL: nothing is copied */
    uint64_t round_trips;           /* of the store, that were counted */

    /* Merchants that internal operations asked for: a number never changes its owner. */
    struct resource_known_merchant *known_merchants; /* RESOURCE_KNOWN_MERCHANTS of them */
    struct map keys;                                 /* API keys by hash */
    struct list keys_by_use;                         /* most recent last */
    struct map key_rates;                            /* of a merchant's keys together */

    struct map running; /* operations by scope and idempotency key */
    struct os_timer purge_timer;
    uint8_t secret[RESOURCE_HASH_SIZE]; /* keys the idempotency hashes */

    struct list event_listeners;
    const struct resource_event_watch *event_watch;     /* NULL: nobody's */
    const struct resource_request_watch *request_watch; /* likewise */
    struct map event_types;                             /* every type that was ever emitted */
    bool event_types_unsettled;                         /* some are in the open transaction only */
    struct buf scratch;                                 /* encoding a row */
    struct buf spare; /* for rendering, while nobody has taken it: data may be NULL */
};

/* --- runtime.c --- */

/* Opens the group's transaction if need be, and ties the operation's fate to it. */
MUST_USE err_t resource_transaction_write(struct resource_runtime *runtime, struct resource_op *op);
MUST_USE err_t resource_transaction_open(struct resource_runtime *runtime);
/* A read: ties the operation to the transaction if one is open (it may see its writes). */
void resource_transaction_read(struct resource_runtime *runtime, struct resource_op *op);
/* Commits the group so far. On failure every operation in it is doomed. */
err_t resource_transaction_commit(struct resource_runtime *runtime);
/* Nothing of this group can stay. */
void resource_transaction_abort(struct resource_runtime *runtime, err_t reason);
/* Another group comes, even if nobody posts. Within a task, a timer or a step there is no need: the
 * end of their group finds what they left. */
void resource_wake(struct resource_runtime *runtime);
void resource_log(
    struct resource_runtime *runtime, const struct resource_op *op, err_t code, const char *what);

/* --- op.c --- */

void resource_op_free(struct resource_op *op);
void resource_op_destroy(struct resource_op *op);
/* Ends it with this answer, whatever state it is in; idempotency was seen to. */
void resource_op_end(struct resource_op *op, int status, struct buf *body);
void resource_op_end_doomed(struct resource_op *op);
/* Another process was first: the operation begins anew, once, if it had no effects yet. */
MUST_USE bool resource_op_may_run_again(const struct resource_op *op);
void resource_op_run_again(struct resource_op *op);
/* Its first step: checks the key, and so on. */
void resource_op_begin(struct resource_op *op);
/* Behind the card, idempotency and parameter checks. */
void resource_op_checked(struct resource_op *op);
/* `length` characters of base 62, no zero behind them. */
void resource_random_text(struct os_entropy *entropy, char *out, uint32_t length);

/* --- trace.c --- */
void resource_trace_arrived(struct resource_op *op);
/* It waits from now on, for its turn at a lock or for a commit. */
void resource_trace_waits(struct resource_op *op);
/* It waits no more. */
void resource_trace_waited(struct resource_op *op, const char *name);
/* It waited for a commit of `count` operations that began then, and has ended now. 0: nothing was
 * written, it waited for the end of its group only. */
void resource_trace_committed(struct resource_op *op, uint64_t began_ns, uint32_t count);
void resource_trace_ended(struct resource_op *op);

/* --- error.c --- */
#define RESOURCE_CONFLICT_MESSAGE "Another request changed this object at the same time. Try again."
void resource_error_write(struct buf *out, const struct resource_error *error);

/* --- lock.c --- */
void resource_lock_release(struct resource_op *op);
/* Without telling anybody: the runtime goes away. */
void resource_lock_drop(struct resource_op *op);
void resource_lock_timer_fire(struct os_timer *timer);
/* Asks the database for the locks that operations wait for; true: some are ready. */
MUST_USE bool resource_locks_grant(struct resource_runtime *runtime);
void resource_lock_grant_fire(struct os_timer *timer);

/* --- prefetch.c: what a group is about to read, in one round trip --- */
MUST_USE err_t resource_prefetch_open(struct resource_runtime *runtime);
void resource_prefetch_note(struct resource_runtime *runtime, const struct resource_type *type);
/* For the ready operations that have just arrived. */
void resource_prefetch_arrived(struct resource_runtime *runtime);
/* The objects of these locks. */
void resource_prefetch_locked(
    struct resource_runtime *runtime, const struct document_lock *locks, uint32_t count);

/* --- turn.c; pages.h has the rest --- */
/* When a group has ended; it `wrote` if somebody waits for its commit. */
void resource_turns_run(struct resource_runtime *runtime, bool wrote);

/* --- auth.c --- */
MUST_USE bool resource_auth_check(struct resource_op *op); /* false: answered */
/* Whether a restricted key has "permission:write", or "permission:read" if that is enough. False
 * for NULL. */
bool resource_auth_permits(const struct resource_op *op, const char *permission, bool write);
/* What it will look up; false: nothing. `text` must live as long as the query. */
MUST_USE bool resource_auth_wish(
    struct resource_op *op,
    char text[2 * RESOURCE_HASH_SIZE + 1],
    struct document_query *ret_query);
/* Every key is read again, when it is used next. */
void resource_auth_forget(struct resource_runtime *runtime);
/* The key of this name (resource_cache_key_name): it is read again. */
void resource_auth_forget_named(struct resource_runtime *runtime, const struct cache_key *name);
/* The key whose hash this is. */
void resource_auth_forget_key(struct resource_runtime *runtime, struct span hash_hex);
void resource_auth_close(struct resource_runtime *runtime);

/* --- card.c --- */
/* True: the vault was asked, resource_op_checked follows; or the operation was answered. */
MUST_USE bool resource_card_begin(struct resource_op *op);
void resource_card_wipe(struct resource_op *op);
MUST_USE bool resource_card_check(struct resource_op *op); /* false: answered */

/* --- idempotency_hash.c --- */
/* Into op->idempotency.hash: route, path, parameters, and the fingerprint of a card. ERR_FULL. */
MUST_USE err_t resource_idempotency_hash(struct resource_op *op);

/* --- idempotency.c --- */
MUST_USE err_t resource_idempotency_open(struct resource_runtime *runtime); /* reads the secret */
MUST_USE bool resource_idempotency_begin(struct resource_op *op);           /* false: answered */
MUST_USE bool resource_idempotency_wish(struct resource_op *op, struct document_query *ret_query);
/* True: another process has the key by now, and that was answered instead of a refusal. */
MUST_USE bool resource_idempotency_overtaken(struct resource_op *op);
/* Before effects outside: writes the row that says running. */
MUST_USE err_t resource_idempotency_announce(struct resource_op *op);
MUST_USE err_t
resource_idempotency_finish(struct resource_op *op, int status, struct span response);
/* The answer is not kept: the key is new again. */
MUST_USE err_t resource_idempotency_forget(struct resource_op *op);
/* The operation's key as its caller gave it; empty without one. */
struct span resource_idempotency_shown(const struct resource_op *op);
/* It was given with a publishable key, by this request or by the one that is ended. */
MUST_USE bool resource_idempotency_is_publishable(const struct resource_op *op);
/* Only the memory of it goes; a row that says running stays for whoever finishes the attempt. */
void resource_idempotency_release(struct resource_op *op);
void resource_idempotency_purge(struct os_timer *timer);
extern const struct resource_type resource_idempotency_type;

/* --- setting.c --- */

/* Processes that start at once on an empty database. */
#define RESOURCE_OPEN_TRIES_MAX 10

/* Within an open transaction: the value that is stored, or `value`, which then is. */
MUST_USE err_t resource_setting_load(
    struct resource_runtime *runtime,
    const char *name,
    const char *value,
    char *ret_value,
    size_t size);
extern const struct resource_type resource_setting_type;

/* --- crypto.c --- */
void resource_hmac(
    const uint8_t key[RESOURCE_HASH_SIZE], struct span text, uint8_t out[RESOURCE_HASH_SIZE]);
void resource_hex(const uint8_t bytes[RESOURCE_HASH_SIZE], char out[2 * RESOURCE_HASH_SIZE + 1]);

/* --- params.c, expand.c --- */
MUST_USE bool resource_params_check(struct resource_op *op); /* false: answered */
MUST_USE bool resource_expand_check(struct resource_op *op); /* false: answered */

/* --- fields.c --- */
/* Appends the body; fills the columns. */
void resource_fields_encode(
    struct buf *out,
    const struct resource_type *type,
    const void *document,
    struct document_value columns[DOCUMENT_COLUMNS_MAX]);

/* --- rows.c: documents without an operation around them --- */
void *resource_row_new(
    struct arena *arena, const struct resource_type *type, uint64_t scope, struct span id);
MUST_USE err_t resource_row_decode(
    struct arena *arena,
    const struct resource_type *type,
    const struct document_row *row, /* its spans live in the arena */
    void **ret_document);
MUST_USE err_t resource_row_load(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_type *type,
    uint64_t scope,
    struct span id,
    void **ret_document);
/* `ret_write` tells how to take it back; NULL if nobody wants to know. Nothing was written if
 * ret_write->kind stays NULL (the text did not change). */
MUST_USE err_t resource_row_save(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_type *type,
    void *document,
    struct resource_write *ret_write);
/* resource_note_damaged for who may have no operation (NULL). */
void resource_row_note_damaged(
    struct resource_runtime *runtime,
    const struct resource_op *op,
    const struct resource_type *type,
    struct span id);
MUST_USE err_t resource_row_visit(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_type *type,
    const struct document_query *query,
    const struct resource_visitor *visitor);
bool resource_arena_is_laden(const struct arena *arena);
MUST_USE err_t resource_row_look(
    struct resource_runtime *runtime,
    const struct resource_type *type,
    const struct document_query *query,
    const struct resource_visitor *visitor);
MUST_USE err_t resource_row_find(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_type *type,
    const struct document_query *query,
    resource_each each,
    void *context);
/* The first that it finds, or NULL. */
MUST_USE err_t resource_row_find_first(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_type *type,
    const struct document_query *query,
    void **ret_document);
/* The same of a row whose spans are borrowed. */
MUST_USE err_t resource_row_copy(
    struct arena *arena,
    const struct resource_type *type,
    const struct document_row *borrowed,
    void **ret_document);
u128 resource_id_next(struct resource_runtime *runtime);

/* --- document.c --- */
/* Takes back what the operation wrote since the last commit. */
void resource_writes_undo(struct resource_op *op);

/* --- render.c --- */
/* One object, expanded as `expand` says. An error means that a reference could not be loaded. */
MUST_USE err_t resource_render_object(
    struct resource_op *op,
    const struct resource_type *type,
    const void *document,
    struct resource_expand *expand,
    struct json_writer *json);
MUST_USE bool resource_expand_try(struct resource_op *op); /* false: answered */
/* A body that one or more objects fit in without growing often. */
void resource_body_init(struct buf *body);

/* --- event.c --- */
MUST_USE err_t resource_event_types_open(struct resource_runtime *runtime);
/* Types that other processes have emitted. */
MUST_USE err_t resource_event_types_refresh(struct resource_runtime *runtime);
void resource_event_types_settle(struct resource_runtime *runtime, bool committed);
void resource_event_types_close(struct resource_runtime *runtime);

/* --- merchant.c --- */
extern const struct resource_type resource_merchant_type;
extern const struct resource_type resource_key_type;
MUST_USE err_t resource_merchant_of(
    struct resource_runtime *runtime,
    struct arena *arena,
    uint64_t number,
    char ret_id[ID_TEXT_SIZE]);

/* --- the kinds, for resource_kinds in runtime.c --- */
extern const struct document_kind resource_merchant_kind;
extern const struct document_kind resource_api_key_kind;
extern const struct document_kind resource_idempotency_kind;
extern const struct document_kind resource_setting_kind;
extern const struct document_kind resource_event_kind;
extern const struct document_kind resource_event_type_kind;
extern const struct document_kind resource_guard_kind;
/* One row per type of event. */
extern const struct resource_type resource_event_type_type;

enum {
    RESOURCE_KEY_HASH_COLUMN,
    RESOURCE_KEY_NUMBER_COLUMN
};

enum {
    RESOURCE_MERCHANT_NUMBER_COLUMN
};

/* What resource_key_create was asked for. */
struct resource_key_new {
    const char *merchant_id;
    enum resource_key_kind kind;
    bool live;
    const char *name;
    const char *permissions; /* NULL: none */
};

struct resource_merchant {
    struct resource_header header;
    struct span name;
    int64_t number;
    /* That were made so far. Whoever makes one writes the merchant too, so that it and a closing
     * at the same time, by another process, cannot both miss the other. */
    int64_t keys;
    bool closed;
};

struct resource_key_row {
    struct resource_header header;
    struct span hash; /* SHA-256 of the key, hex */
    struct span merchant;
    int64_t number; /* the merchant's */
    int64_t kind;   /* enum resource_key_kind + 1 */
    bool live;
    bool revoked;
    bool merchant_closed; /* as its merchant's row says: a key is checked by one read */
    struct span name;
    struct span hint;
    struct span permissions;
};

#endif
