/* checkpoint.c: the log of a SQLite store is moved into its tables by a thread of its own. */
#ifndef DOCUMENT_CHECKPOINT_H
#define DOCUMENT_CHECKPOINT_H

#include "sqlite.h"

/* Opens the connection and starts the thread. The owner's connection has been opened, and no one's
 * but this process's. On failure document_checkpoint_close is still to be called. */
MUST_USE err_t document_checkpoint_open(struct document_checkpoint *checkpoint, const char *path);
/* Waits for what is under way. Also of what never opened. The owner's connection closes behind it.
 */
void document_checkpoint_close(struct document_checkpoint *checkpoint, sqlite3 *owner);
/* On the owner's thread, between transactions. `is_due`: the log is long. *ret_moved: it was moved,
 * and begins anew with the next transaction if that succeeded. ERR_IO: log or tables could not be
 * synced, so nobody knows what of the tables is on the disk. The log has all of it, and is not
 * moved any more, not even by closing: the next start moves it again. */
MUST_USE err_t document_checkpoint_maintain(
    struct document_checkpoint *checkpoint, sqlite3 *owner, bool is_due, bool *ret_moved);

#endif
