/*
 * Evidence that a transfer is part of a ledger's history: the bytes of the frame that holds it, and
 * the headers of the frames behind it up to a head. Each header has the digest of its body and that
 * of the header before it, so SHA-256 alone checks all of it against a head that was noted
 * (docs/ledger.md, "Proof of history").
 */
#ifndef STORE_PROOF_H
#define STORE_PROOF_H

#include "store/head.h"

/* A frame as it is on the disk. */
struct store_proof_frame {
    uint64_t sequence;
    uint64_t segment;
    uint64_t offset;
    uint64_t timestamp; /* the ledger's clock after it */
    const char *bytes;  /* borrowed until the call returns */
    uint64_t size;
    uint64_t header_size; /* the first of the bytes */
};

struct store_proof_visitor {
    /* Once: the frame with the transfer, whose 128 bytes are at `transfer_at` in it. */
    err_t (*found)(
        void *context,
        const struct store_proof_frame *frame,
        uint64_t transfer_at,
        const struct ledger_transfer *transfer);
    /* Each frame behind it, in order, up to the head. */
    err_t (*later)(void *context, const struct store_proof_frame *frame);
    /* NULL: nobody wants to know. */
    void (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_total);
    void *context;
};

struct store_proof_question {
    u128 transfer_id;
    const struct store_head *noted; /* where the evidence ends; NULL: at the newest frame */
};

/*
 * Looks for the transfer in the whole history, which is verified on the way as store_verify does,
 * and tells the evidence up to `noted`, or up to the newest frame if that is NULL; *ret_head is
 * where it ends. On the caller's thread.
 *
 * ERR_NOT_FOUND: no such transfer, or not before the noted head. ERR_UNSUPPORTED: it is in a
 * segment of version 1, which has no digests in its headers, or `url` is no journal. ERR_CORRUPT:
 * damage, or a history that is not the noted one; with file and offset. ERR_LOCKED, as for
 * store_verify.
 */
MUST_USE err_t store_prove(
    const char *url,
    struct os_disk *disk,
    const struct store_proof_question *question,
    const struct store_proof_visitor *visitor,
    struct store_head *ret_head,
    struct store_error *error);

#endif
