/*
 * Reading the rows of a SQLite database that nobody has open, without knowing its kinds: for checks
 * of a copy. Nothing is written, not even a log. One thread.
 */
#ifndef DOCUMENT_READER_H
#define DOCUMENT_READER_H

#include "document/document.h"

struct document_reader;

/* The error is explained in `message`. */
MUST_USE err_t document_reader_open(
    const char *path, struct document_reader **ret_reader, char message[DOCUMENT_MESSAGE_SIZE]);
/* Accepts NULL; sets NULL. */
void document_reader_close(struct document_reader **reader);

/* Every page, index and row, as SQLite's own integrity check. ERR_CORRUPT. */
MUST_USE err_t
document_reader_check(struct document_reader *reader, char message[DOCUMENT_MESSAGE_SIZE]);

/* The spans live until it returns; an error ends the reading and is answered. */
typedef err_t (*document_reader_row)(
    void *context, uint64_t scope, struct span id, struct span body);

/* All rows of a kind; none if there is no such table. `kind` is a constant of the program. */
MUST_USE err_t document_reader_each(
    struct document_reader *reader,
    const char *kind,
    document_reader_row each,
    void *context,
    char message[DOCUMENT_MESSAGE_SIZE]);

/* Which row; `kind` as above. */
struct document_reader_key {
    const char *kind;
    uint64_t scope;
    struct span id;
};

/* One row, told to `each`. ERR_NOT_FOUND, also if there is no such table. */
MUST_USE err_t document_reader_get(
    struct document_reader *reader,
    const struct document_reader_key *key,
    document_reader_row each,
    void *context,
    char message[DOCUMENT_MESSAGE_SIZE]);

#endif
