/*
 * The journal as a store. What belongs to whom:
 *
 *   the engine's thread  everything in `struct journal` but the writer; frames that are free, open
 *                        or sealed
 *   the digests' thread  its digester; large frames in flight, until they are posted on, and to
 * read until they are given back; of the cache what was reserved for them the I/O thread       the
 * writer; frames that are in flight, until they are posted back the index's thread   what
 * journal_runs.h says the orders' thread   what journal_orders.h says the readers          their
 * files; to read, what the engine's thread has, while that waits
 *
 * A frame's life, with the function on each arrow:
 *
 *   FREE --journal_frame_open--> OPEN --journal_frame_close--> SEALED
 *   OPEN or SEALED --journal_frames_submit--> IN FLIGHT --frame_done--> FREE
 *
 * A large frame in flight goes by way of the digests' thread, which digests its body while the I/O
 * thread writes the one before it, and copies it to the cache while that writes it. A small one
 * behind it goes the same way, so that their order stays.
 *
 * JOURNAL-4  There are at most JOURNAL_HANDED_MAX frames in flight, and the I/O thread writes one
 *            after the other: the next one only when the sync of the one before it succeeded.
 *            Deltas go into the open one meanwhile.
 * JOURNAL-5  A frame's place is fixed when it is opened, so that positions can be handed out
 *            before it is written. Only sealing decides its size, and the next one begins there.
 * JOURNAL-6  A ticket is posted after the sync of its frame, in the order of commits.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "journal_adopted.h"
#include "journal_cache.h"
#include "journal_directory.h"
#include "journal_index.h"
#include "journal_orders.h"
#include "journal_pendings.h"
#include "journal_writer.h"
#include "snapshot_copy.h"

#include "base/list.h"

#define JOURNAL_FRAMES_MIN 3u
#define JOURNAL_FRAMES_MAX 16u
/* One is written, one waits behind it so that the disk does not wait for the engine. */
#define JOURNAL_HANDED_MAX 2u

enum journal_frame_state {
    JOURNAL_FRAME_FREE,
    JOURNAL_FRAME_OPEN,
    JOURNAL_FRAME_SEALED,
    JOURNAL_FRAME_IN_FLIGHT,
};

struct journal_frame {
    struct os_task task; /* to the I/O thread and back */
    struct journal *journal;
    enum journal_frame_state state;
    bool digested_beside;       /* in flight by way of the digests' thread */
    bool cached_beside;         /* that thread copies it to the cache, too */
    atomic_uint parts;          /* threads that are not done with it, in flight */
    struct journal_frame *next; /* the younger one, while not free */
    struct journal_image image;
    struct os_task *first_ticket; /* linked by task.next */
    struct os_task *last_ticket;
    struct os_executor *executor; /* of the tickets */
    struct store_error error;     /* written by the I/O thread */
};

/* Threads that read for the engine's while that waits for them. */
#define JOURNAL_READERS_MAX 3u

struct journal_readers {
    struct os_crew *crew; /* NULL: the engine's thread reads alone */
    struct journal_cache_files files[JOURNAL_READERS_MAX];
};

struct journal {
    struct store store;
    struct os_disk *disk;
    struct store_settings settings;
    char folder[JOURNAL_PATH_SIZE];
    struct os_file *lock;
    struct os_loop *loop;        /* the I/O thread, or NULL: written within commit */
    struct os_loop *digest_loop; /* where large frames are digested, or NULL: as above */
    struct store_digest *digester;
    struct os_loop *index_loop; /* where the index's runs are made, or NULL: as above */
    struct os_loop
        *orders_loop; /* where parts of orders are made, or NULL: as above, or none are */
    void *owned_disk; /* of memory: journals; released by free_disk at close */
    void (*free_disk)(void *disk);

    struct journal_index index;
    struct journal_heads heads;
    struct journal_pendings pendings;
    struct journal_directory directory;
    struct journal_adopted adopted;
    struct journal_cache cache;
    struct journal_readers readers;
    struct journal_orders orders;
    const struct ledger *ledger; /* the caller's of load, for snapshots */
    uint64_t clock;              /* the ledger's after the newest section */
    uint64_t transfer_timestamp; /* of the newest transfer in it */
    struct snapshot_copy snapshot;

    struct journal_frame frames[JOURNAL_FRAMES_MAX];
    uint32_t frame_count;
    uint32_t handed_count;        /* in flight */
    struct journal_frame *oldest; /* in flight, sealed, open: in this order */
    struct journal_frame *newest;
    uint64_t frame_capacity; /* bytes */
    uint64_t sequence;       /* of the newest frame that was opened */
    /* Where the next frame begins, if it fits behind the one before it. */
    uint64_t segment;
    uint64_t segment_size;
    uint64_t offset;

    bool loaded;
    bool failed; /* STORE-3 */
    struct store_error failure;
    struct os_task prepare_task;
    atomic_bool prepare_posted;

    struct store_head head; /* of what is durable */

    struct journal_writer writer;
    /* Of the I/O thread. The index lags: this frame waits for it, and the one behind for this one.
     */
    struct os_task *held;
    struct os_task *behind_held;
};

static inline struct journal *
journal_of(struct store *store)
{
    return CONTAINER_OF(store, struct journal, store);
}

/* A frame's body, wherever it is. */
struct journal_extent {
    journal_position_t position;
    uint64_t header_size;
    uint64_t size; /* with header and padding */
    uint32_t section_count;
};

/* --- journal_read.c, journal_history.c, journal_events.c: the queries --- */

/* The journal of a store that was loaded. */
struct journal *journal_of_loaded(struct store *store);
/* The bytes at a position, from frames on their way or from the cache. */
MUST_USE err_t journal_read(
    struct journal *journal,
    journal_position_t position,
    char *out,
    uint64_t size,
    struct store_error *error);
/* An event's bytes, where they are or copied into `copy`. Valid until the next read. */
MUST_USE err_t journal_event_bytes(
    struct journal *journal,
    journal_position_t position,
    char copy[JOURNAL_EVENT_WIDE],
    struct span *ret_bytes,
    struct store_error *error);
/* Fetches an event that is going to be read, if it is in memory. */
void journal_event_prefetch(struct journal *journal, journal_position_t position);
/* ERR_CORRUPT, with the place. */
err_t journal_event_damaged(
    struct journal *journal, journal_position_t position, struct store_error *error);
MUST_USE err_t journal_read_event(
    struct journal *journal,
    journal_position_t position,
    struct ledger_event *ret_event,
    struct journal_event *ret_raw,
    struct store_error *error);
err_t journal_look_up(
    struct store *store,
    const u128 *ids,
    uint32_t count,
    struct ledger_past *past,
    struct store_error *error);
err_t journal_account_events(
    struct store *store,
    const struct store_query *query,
    store_each_event each,
    void *context,
    struct store_error *error);
err_t journal_events(
    struct store *store,
    const struct store_query *query,
    bool with_expiries,
    store_each_event each,
    void *context,
    struct store_error *error);

/* Entries of a part: from `from` to before `to`. */
struct journal_order_range {
    uint64_t from;
    uint64_t to;
};

/* The first entry of the range, which is one key's, whose transfer is at `timestamp` or later; its
 * `to` if there is none. */
MUST_USE err_t journal_order_search(
    struct journal *journal,
    const struct journal_order_part *part,
    struct journal_order_range range,
    uint64_t timestamp,
    uint64_t *ret_number,
    struct store_error *error);
/* Is there a transfer with the id? */
MUST_USE err_t journal_has_transfer(struct journal *journal, u128 id, bool *ret_has);
/* --- journal_failed.c --- */

err_t journal_failed_ids(
    struct store *store,
    uint64_t from,
    store_each_failed each,
    void *context,
    struct store_error *error);
/* How long the frame at `position` is, and what it holds. */
MUST_USE err_t journal_extent_at(
    struct journal *journal,
    journal_position_t position,
    struct journal_extent *ret_extent,
    struct store_error *error);
/* Sets what became of a pending transfer, which is looked for in the index. */
MUST_USE err_t journal_set_fate(struct journal *journal, u128 id, enum journal_fate fate);

/* --- journal_load.c --- */

err_t journal_load(struct store *store, struct ledger *ledger, struct store_error *error);

/* Index and directory; the heads are the caller's, who needs the old ones as links. */
MUST_USE err_t journal_note_event(
    struct journal *journal,
    const struct ledger_event *event,
    uint64_t hash,
    journal_position_t position);
MUST_USE err_t journal_note_failed(struct journal *journal, u128 id, journal_position_t position);

/* --- journal_commit.c --- */

err_t journal_admit(struct store *store, uint32_t events, uint32_t accounts);
err_t journal_commit(
    struct store *store,
    const struct ledger_delta *delta,
    struct os_executor *executor,
    struct store_ticket *ticket);

/* --- journal_frames.c --- */

/* A frame that is free, NULL if there is none. */
struct journal_frame *journal_frame_free(struct journal *journal);
/* The frame that takes sections, NULL if there is none. */
struct journal_frame *journal_frame_of_open(struct journal *journal);
/* Would a section fit behind what the open frame holds? */
bool journal_frame_fits(
    const struct journal *journal, const struct journal_frame *frame, uint64_t section_size);
/* Does a frame with one such section need a segment that is not begun yet? */
bool journal_needs_segment(const struct journal *journal, uint64_t section_size);
/* Opens a frame behind the newest one, for a section of this size at least. ERR_BUSY: none is free;
 * ERR_MEMORY, and the errors of the index. */
MUST_USE err_t journal_frame_open(
    struct journal *journal, uint64_t section_size, struct journal_frame **ret_frame);
/* The frame takes no more; the next one begins behind it. */
void journal_frame_close(struct journal *journal, struct journal_frame *frame);
/* Gives frames to the I/O thread (JOURNAL-4); without such a thread, writes them all. */
void journal_frames_submit(struct journal *journal);
/* STORE-3: nothing more is accepted or written. The frames keep their content, so that reads go
 * on. While the I/O thread has a frame the tickets wait for it: when all of them were told, nothing
 * of this store is under way any more. */
void journal_fail(struct journal *journal, const struct store_error *error);
/* A run of the index is damaged: the store fails, and its next start makes the index again from the
 * journal. Returns ERR_CLOSED, with the reason in `error` (NULL: nobody asks). */
err_t journal_condemn_index(struct journal *journal, err_t code, struct store_error *error);

/* --- journal.c --- */

__attribute__((format(printf, 2, 3))) void journal_notice(
    const struct journal *journal, const char *format, ...);
/* `folder` must exist. */
MUST_USE err_t journal_open(
    const char *folder,
    struct os_disk *disk,
    const struct store_settings *settings,
    struct journal **ret_journal,
    struct store_error *error);

#endif
