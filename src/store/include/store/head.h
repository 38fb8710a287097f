/*
 * The head of a ledger's history: where its newest frame is, and the digest that fixes everything
 * up to it (JOURNAL-3). Whoever noted a head finds out later whether anything before it was
 * changed, whatever checksums were made right again.
 *
 *     12:1/69632:1764396000000000000:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
 *     |  | |     |                   the digest, 64 hexadecimal digits
 *     |  | |     the ledger's clock after the frame, nanoseconds
 *     |  | offset of the frame in its segment
 *     |  number of the segment
 *     sequence of the frame, from 1; 0 of an empty history, whose other parts are 0
 */
#ifndef STORE_HEAD_H
#define STORE_HEAD_H

#include "store/store.h"

/* Bytes of a head as text, the zero behind it included. */
#define STORE_HEAD_TEXT_SIZE 192

void store_head_format(const struct store_head *head, char out[STORE_HEAD_TEXT_SIZE]);
/* ERR_INVALID, with what is wrong in words (static). Nothing may stand before or behind it. */
MUST_USE err_t
store_head_parse(struct span text, struct store_head *ret_head, const char **ret_reason);

/*
 * Reads the head of a journal that nobody has open. Only its newest segments are read: this does
 * not prove that what is before them is sound (store/verify.h does).
 *
 * `url` as for store_open. ERR_UNSUPPORTED if it is no journal, ERR_LOCKED if a server has it open,
 * ERR_NOT_FOUND if there is none, ERR_VERSION if it has not been opened by this version yet;
 * ERR_CORRUPT with file and offset. The error says it in words.
 */
MUST_USE err_t store_head_read(
    const char *url, struct os_disk *disk, struct store_head *ret_head, struct store_error *error);

#endif
