/*
 * Reading a journal from its beginning: every segment, every frame, every byte in between. Used
 * at start (journal.c) and by the offline check (verify.c), so that both have one notion of what
 * a sound journal is.
 *
 * What an unreadable frame means:
 *   - a later segment exists, or a later valid frame: it was synced before those were begun, so it
 *     is damage, and refused with file and offset;
 *   - neither: it is the torn tail of a write that nobody was told of, and is cut. Damage to the
 *     very last frame cannot be told apart from that.
 */
#ifndef STORE_JOURNAL_SCAN_H
#define STORE_JOURNAL_SCAN_H

#include "journal_format.h"
#include "store/digest.h"
#include "store/store.h"

#define JOURNAL_PATH_SIZE    512
#define JOURNAL_SEGMENTS_MAX 1000000u

/* Writes FOLDER/00000001.log; false if the path would be too long. */
bool journal_segment_path(const char *folder, uint64_t number, char out[JOURNAL_PATH_SIZE]);

struct journal_segment_file {
    struct os_file *file;
    bool is_archived;             /* it was found in the archive */
    char path[JOURNAL_PATH_SIZE]; /* of the file, or of the place that was looked at last */
};

/* Opens a segment for reading: the folder's, or if that has gone the archive's (NULL or "": there
 * is none). ERR_NOT_FOUND: it is in neither; ERR_RANGE: a path would be too long, and `path` is the
 * folder of it, as much as fits; what the disk says. With an error `file` is NULL. */
MUST_USE err_t journal_segment_open(
    struct os_disk *disk,
    const char *folder,
    const char *archive,
    uint64_t number,
    struct journal_segment_file *ret_segment);
/* The highest number of a segment in the folder; 0 if there is none. */
MUST_USE err_t journal_segment_newest(
    struct os_disk *disk, const char *folder, uint64_t *ret_newest, struct store_error *error);

__attribute__((format(printf, 3, 4))) err_t store_error_set(
    struct store_error *error, err_t code, const char *format, ...);

/* The newest event position of each account, by slot: the heads of the chains. */
struct journal_heads {
    uint64_t *positions;
    uint32_t count;
    uint32_t capacity;
};

void journal_heads_release(struct journal_heads *heads);
/* One more account, with no events. */
MUST_USE err_t journal_heads_add(struct journal_heads *heads);

/* What the walk does with the links of events: the visitor changes it between frames. */
enum journal_scan_links {
    JOURNAL_LINKS_CHECKED, /* they must be the heads, which the event becomes */
    JOURNAL_LINKS_SET, /* the event becomes the head: what the heads were is not known exactly */
    JOURNAL_LINKS_SKIPPED, /* heads and accounts are not those of this place */
};

/* What a walk through a frame finds, in order; NULL: nobody wants to know. A failure ends the walk;
 * `reason` may be set to say what was wrong. */
struct journal_visitor {
    err_t (*frame_begin)(
        void *context, const struct journal_frame_header *header, journal_position_t position);
    err_t (*account)(void *context, const struct ledger_account *account);
    err_t (*event)(void *context, const struct ledger_event *event, journal_position_t position);
    err_t (*failed)(void *context, u128 id, journal_position_t position);
    err_t (*section_end)(void *context, uint64_t clock);
    /* After each frame. */
    err_t (*frame_end)(void *context, const struct journal_frame_header *header);
    /* After each mebibyte or so. */
    void (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_total);
    void *context;
    const char *reason;
};

struct journal_scan {
    struct os_disk *disk;
    const char *folder;
    const char *archive; /* where a segment is that is not in the folder; NULL: nowhere */
    struct journal_visitor *visitor;
    struct store_error *error;
    /* Are bodies compared with the digests in their headers? Without it only the headers' chain is:
     * for damage there are the checksums, which cost a tenth. */
    bool proves;
    struct journal_heads heads;
    enum journal_scan_links links;
    /* Where a frame begins that is the first to be read; 0: at the beginning of all. Segments
     * before its own need not be there. What the frame says of those before it is believed: the
     * visitor knows better, or the frames behind it will show. */
    journal_position_t from;

    /* What was found, after journal_scan_open. */
    bool opened;
    bool empty; /* no segment at all */
    u128 identity;
    uint64_t newest; /* segment */

    /* After journal_scan_run. */
    uint64_t segment; /* the newest */
    uint64_t segment_size;
    uint64_t end; /* offset behind its last frame */
    uint64_t
        torn_end; /* offset behind its last byte that is not zero; at most `end` if none is torn */
    const char *frame;   /* the bytes of the frame in hand; during the walk */
    uint64_t clock;      /* the ledger's, after the last frame */
    uint64_t last_frame; /* offset of its last frame, or 0 if it has none */
    uint64_t last_frame_size;
    uint64_t sequence;                   /* of the last frame; 0 if there is none */
    u128 chain;                          /* its checksum */
    uint8_t digest[JOURNAL_DIGEST_SIZE]; /* its digest: what the next frame has to carry. Behind a
                                          * frame of version 1 only at the end, or if `proves` */
    uint32_t version;                    /* of the newest segment */
    uint64_t term;
    uint64_t synced; /* position behind the last frame, which may be in the segment before */
    uint64_t bytes_done;
    uint64_t bytes_total;

    /* Its own. */
    struct store_digest *digester;
    struct os_file *file;
    char path[JOURNAL_PATH_SIZE];
    char *window; /* holds the file's bytes [window_offset, window_offset + window_size) */
    uint64_t window_offset;
    uint64_t window_size;
    uint64_t previous_end;
    bool adopting;   /* the next frame is the one at `from` */
    bool undigested; /* `from` is in a segment of version 1: the next newer one says the digest */
};

/* Lists the folder, and reads the newest segment's header. */
MUST_USE err_t journal_scan_open(struct journal_scan *scan);
/* Makes a scan that failed ready to run again, from elsewhere. */
void journal_scan_restart(struct journal_scan *scan);
/* Reads everything, opened or not. ERR_OK, ERR_CORRUPT or ERR_VERSION (the error names file and
 * offset), or what the disk answered. Release afterwards in any case. */
MUST_USE err_t journal_scan_run(struct journal_scan *scan);
void journal_scan_release(struct journal_scan *scan);

/* For the scan: tells its visitor what is in a frame whose checksum is right (journal_walk.c). */
MUST_USE err_t journal_walk_frame(
    struct journal_scan *scan,
    const struct journal_frame_header *header,
    const char *frame,
    journal_position_t position);

#endif
