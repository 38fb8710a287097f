/*
 * What the tests of the chain of digests share: a journal with one transfer in each frame, made
 * without the core; rewriting its bytes; and reading it.
 */
#ifndef STORE_JOURNAL_CHAIN_TESTING_H
#define STORE_JOURNAL_CHAIN_TESTING_H

#include "journal_scan.h"

#include "store/proof.h"
#include "store/verify.h"

#include "os/sim_disk.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#define FOLDER       "chain"
#define SEGMENT_SIZE JOURNAL_SEGMENT_MIN
#define FRAMES       40 /* of one event each: three segments */

struct t_chain {
    struct os_sim_disk *sim;
    struct os_disk *disk;
    struct store *store;
    struct os_executor executor;
    uint64_t transfers;
    struct store_error error;
};

/* A new disk with FRAMES frames, and the store closed; `faults`: the disk loses power when it is
 * told. */
void t_make(struct t_chain *t, bool faults);
void t_release(struct t_chain *t);
/* Opens and loads what is there. */
err_t t_open(struct t_chain *t);
void t_close(struct t_chain *t);
/* One more, in a frame of its own, durable. */
err_t t_transfer(struct t_chain *t);

/* A segment's bytes, to be freed, and its open file; NULL: there is none of that number. */
char *t_segment(struct t_chain *t, uint64_t number, struct os_file **ret_file);
/* Writes them back; closes the file and frees them. */
void t_segment_put(struct t_chain *t, struct os_file *file, char *data);
/* Puts the header in its place with its checksum made right. */
void t_segment_seal(char *data, struct journal_segment_header *header);

/* What is rewritten and how: each segment and each frame is shown, and sealed again. */
struct t_rewrite {
    uint32_t version;  /* which all get; 0: each keeps its own */
    uint64_t tampered; /* of this frame the first event changes in what no balance tells of */
    bool checksums;    /* only those are made right, and the digests stay as they were */
    u128 chain;
    uint8_t digest[JOURNAL_DIGEST_SIZE];
};

void t_rewrite(struct t_chain *t, struct t_rewrite *rewrite);
/* Makes a journal of version 1, and tells the SHA-256 of the bytes of all its frames. */
void t_make_first_version(struct t_chain *t, bool faults, uint8_t ret_digest[JOURNAL_DIGEST_SIZE]);

/* store_verify, with a head that was noted or without; and how many events it saw. */
err_t t_verify_noted(
    struct t_chain *t,
    const struct store_head *noted,
    struct store_verify_report *ret_report,
    uint64_t *ret_events);
err_t t_verify(struct t_chain *t, struct store_verify_report *ret_report, uint64_t *ret_events);
void t_expect_sound(struct t_chain *t, uint64_t events);

#endif
