/*
 * Where a ledger's history lives. A store makes deltas durable in order, and answers questions
 * about the past, what is still on its way to the disk included.
 *
 * load is ERR_LOCKED if another process has the ledger, and ERR_CLOSED if the database cannot be
 * reached: both may be better later.
 *
 * Threads: every call is made on the engine's loop (the one writer). A store may use threads of
 * its own for I/O; it tells of completed commits by posting to the engine's executor.
 *
 * STORE-1  A commit is all or nothing, and commits become durable in the order of submission.
 * STORE-2  `durable` is reported only after the sync that covers the commit returned success.
 * STORE-3  After a failed or unknown commit the store accepts nothing more: the engine discards
 *          its core and loads again under a new term.
 * STORE-4  Damage below the last position known to be synced is refused loudly, with file and
 *          offset. Above it, it is a torn tail and is cut.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "ledger/ledger.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/loops.h"

struct store;

#define STORE_MESSAGE_SIZE 512
/* Bytes of a note that is kept with the ledger. */
#define STORE_NOTE_MAX (UINT32_C(1) << 20)

/* Where it failed, in words: "journal/000003.log: frame at offset 40960: checksum mismatch". */
struct store_error {
    err_t code;
    uint64_t segment; /* the number of the one that is not there; 0: that is not what is wrong */
    char message[STORE_MESSAGE_SIZE];
};

/* Told once, by post, when everything up to `sequence` is durable, or when `error` says it is not
 * known to be. Intrusive: the engine owns the ticket and reuses it after it ran. */
struct store_ticket {
    struct os_task task;
    uint64_t sequence; /* filled by commit */
    struct store_error error;
};

#define STORE_DIGEST_SIZE 32u

/* The newest durable frame of a history (store/head.h). */
struct store_head {
    uint64_t sequence;
    uint64_t segment;
    uint64_t offset;
    uint64_t timestamp;
    uint8_t digest[STORE_DIGEST_SIZE];
};

enum store_side {
    STORE_SIDE_DEBITS = 1,
    STORE_SIDE_CREDITS = 2,
};

/* What a journal can keep its transfers in order of, besides time: a query by it then reads what it
 * finds and little else. Made behind the writing, segment by segment. */
enum store_order {
    STORE_ORDER_ACCOUNT, /* so that an account's history can be entered at any time */
    STORE_ORDER_USER_DATA_128,
    STORE_ORDER_USER_DATA_64,
    STORE_ORDER_USER_DATA_32,
    STORE_ORDER_CODE,
    STORE_ORDER_LEDGER,
    STORE_ORDER_COUNT,
};

/* "account", "user-data-128", "user-data-64", "user-data-32", "code", "ledger"; static. */
const char *store_order_name(enum store_order order);
#define STORE_ORDERS_TEXT_SIZE 96
/* Their names with commas between, or "all"; empty: none. ERR_INVALID for any other. */
MUST_USE err_t store_orders_parse(const char *text, uint32_t *ret_orders);

/* A question about transfers, balances or change events. Zero fields do not filter. Timestamps are
 * inclusive. The engine has checked it: side and limit are valid, min <= max. */
struct store_query {
    uint32_t account_slot; /* for account queries */
    uint32_t sides;        /* store_side bits; for account queries */
    u128 user_data_128;
    uint64_t user_data_64;
    uint32_t user_data_32;
    uint32_t ledger;
    uint16_t code;
    bool reversed;          /* newest first */
    uint64_t timestamp_min; /* 0: open */
    uint64_t timestamp_max; /* 0: open */
    uint32_t limit;
    /* Further condition, or NULL. */
    bool (*wanted)(void *context, const struct ledger_event *event);
    void *wanted_context;
};

/* A failed id and where to go on behind it; borrowed as an event is. */
typedef bool (*store_each_failed)(void *context, u128 id, uint64_t next);

/* One found event; borrowed until `each` returns. Return false to stop. */
typedef bool (*store_each_event)(void *context, const struct ledger_event *event);

/* Of a journal: how it was loaded, and its snapshots since then. */
struct store_status {
    uint64_t load_ns;         /* 0 without a clock */
    uint64_t load_bytes;      /* of frames whose events were redone */
    uint64_t loaded_snapshot; /* its number; 0: all events were redone */
    uint64_t snapshots;       /* written */
    uint64_t snapshot_failures;
    uint64_t snapshot_created_ns; /* wall clock of the newest one, a loaded one too; 0: none */
    uint64_t snapshot_duration_ns;
    uint64_t snapshot_bytes;         /* of its file */
    uint64_t order_segments_waiting; /* closed segments without their parts of orders, yet */
    uint64_t order_failures;         /* so often none could be made */
};

/* Something that an operator should read. `text` is borrowed. On the engine's thread, or the one
 * that loads. */
typedef void (*store_notice)(void *context, const char *text);

struct store_ops {
    /* Rebuilds `ledger` (freshly created) from what is durable. Called once, first. */
    err_t (*load)(struct store *store, struct ledger *ledger, struct store_error *error);

    /* Fills in the past of `count` ids. */
    err_t (*look_up)(
        struct store *store,
        const u128 *ids,
        uint32_t count,
        struct ledger_past *past,
        struct store_error *error);

    /* May another group be applied? Asked before the core is touched, so that a refusal changes
     * nothing. `events` and `accounts` are the most that the group can carry. ERR_BUSY if too much
     * is under way (wait for a ticket), ERR_DISK_FULL and ERR_FULL if there is no room (reads go
     * on), ERR_CLOSED after a failure; ERR_IO if what looking up needs cannot be written. */
    err_t (*admit)(struct store *store, uint32_t events, uint32_t accounts);

    /* Does the store still hold the ledger? Asked before anything is told of the core alone, and
     * from time to time. ERR_CLOSED if not, with the reason: as after a failure. NULL for a store
     * that cannot lose what it holds. */
    err_t (*check)(struct store *store, struct store_error *error);

    /* Hands over the changes of a batch, which was admitted. The delta is copied before it returns;
     * what it changed can be looked up at once. Batches form a group until one comes with a ticket
     * (its delta may be empty); only then writing begins. The ticket is posted to `executor` when
     * everything up to here is durable. Any error but ERR_BUSY (nothing was done) is a failure of
     * the store: STORE-3. */
    err_t (*commit)(
        struct store *store,
        const struct ledger_delta *delta,
        struct os_executor *executor,
        struct store_ticket *ticket); /* NULL: more of the group follows */

    /* Transfers of one account, in timestamp order (reversed: newest first); expiries are not
     * among them. Balances of account history come from the same events. */
    err_t (*account_events)(
        struct store *store,
        const struct store_query *query,
        store_each_event each,
        void *context,
        struct store_error *error);

    /* All transfers (expiries: only if `with_expiries`), by timestamp, filtered by every field. */
    err_t (*events)(
        struct store *store,
        const struct store_query *query,
        bool with_expiries,
        store_each_event each,
        void *context,
        struct store_error *error);

    /* The head of what is durable. NULL for a store without a chain of digests. */
    void (*head)(struct store *store, struct store_head *ret_head);
    /* Ids that transient failures used up, in the order of commits, from `from` on: 0, or a `next`
     * that was told. NULL: this store can neither tell them nor take adopted events. */
    err_t (*failed_ids)(
        struct store *store,
        uint64_t from,
        store_each_failed each,
        void *context,
        struct store_error *error);

    /* A text that is kept with the ledger, one, for whoever has it next: handed over as a batch is
     * (admit, then a commit, which may be empty), and durable with it. At most STORE_NOTE_MAX
     * bytes; copied. Errors as of commit. NULL: this store keeps none; then note_get is, too. */
    err_t (*note_put)(struct store *store, struct span text);
    /* As it was when the store was loaded; empty: there is none. Lives as long as the store. */
    struct span (*note_get)(struct store *store);
    /* The timestamp of an account's newest transfer, 0: it has none. NULL: account_events tells it
     * as cheaply. */
    uint64_t (*newest_transfer)(struct store *store, uint32_t account_slot);

    /* When every ticket was told, or their executor has stopped for good. Stops threads; what was
     * not durable stays undefined. */
    void (*close)(struct store *store);

    /* What the store can say of itself. NULL for one that has nothing to say. */
    void (*status)(struct store *store, struct store_status *ret_status);
};

struct store {
    const struct store_ops *ops;
};

struct store_settings {
    uint64_t segment_size;         /* bytes of a journal segment */
    uint64_t in_flight_max;        /* bytes of frames not yet durable */
    uint64_t transfer_count_max;   /* PostgreSQL: ids that the filter in memory is made for */
    uint32_t index_table_entries;  /* journal: ids that become one run of the index; 0: the default;
                                    * others are for tests */
    struct os_loops *loops;        /* where the I/O thread comes from; NULL: commit itself writes,
                                    * syncs and posts the ticket (tools, memory:) */
    uint64_t snapshot_interval;    /* bytes of journal between two snapshots; 0: none is made */
    struct os_disk *snapshot_disk; /* the same files by another way; NULL: the journal's disk */
    uint64_t stretch_count_max;    /* of the journal's directory: 48 bytes of memory each */
    uint64_t recent_size;          /* journal: bytes of the newest history that stay in memory */
    uint32_t orders;               /* journal: a bit for each enum store_order that is kept */
    struct os_clock *clock;        /* for the status; NULL: no times in it */
    store_notice notice;           /* NULL: nobody reads it */
    void *notice_context;
};

/*
 * Opens what `url` names:
 *   journal:FOLDER   the append-only journal; created if the folder is empty or missing
 *   memory:          the same journal on a simulated disk that forgets; for tools and tests
 *   postgres://...   tables in PostgreSQL: a libpq URL with options of our own
 *                    (docs/operations/postgresql.md)
 * The error says what is wrong with the URL or with the files.
 */
MUST_USE err_t store_open(
    const char *url,
    struct os_disk *disk,
    const struct store_settings *settings,
    struct store **ret_store,
    struct store_error *error);

/* Does the URL name a store that several processes can reach, of which one has it? */
bool store_is_shared(const char *url);

/* Defaults for a server. */
struct store_settings store_settings_default(void);

#endif
