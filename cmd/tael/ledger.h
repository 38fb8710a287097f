/* What the files of `tael ledger` share. */
#ifndef TAEL_LEDGER_H
#define TAEL_LEDGER_H

#include "command.h"
#include "show.h"

#include "base/err.h"
#include "base/u128.h"
#include "store/head.h"

/* Of journal:FOLDER. */
#define LEDGER_URL_SIZE 1100

extern const struct command ledger_accounts;
extern const struct command ledger_transfers;
extern const struct command ledger_archive;
extern const struct command ledger_head;
extern const struct command ledger_prove;

/* journal:FOLDER, whether it was given as that, as a server's data folder, or as a folder.
 * ERR_NOT_FOUND: there is no ledger; ERR_RANGE: the path is too long; else of the disk. */
MUST_USE err_t ledger_find_journal(const char *path, char out[LEDGER_URL_SIZE]);

/* What --head says without one: an empty text is a mistake, and not to be taken for it. */
#define LEDGER_NO_HEAD "none"

/* *ret_head is set to *room, or to NULL if the text is LEDGER_NO_HEAD. COMMAND_GO_ON, or the
 * command's end: it is no head. */
int ledger_read_head(
    const struct command *command,
    const char *text,
    struct store_head *room,
    const struct store_head **ret_head);

/* "USD test", or the number. */
void ledger_cell_name(struct show_table *table, uint32_t ledger);
/* In the currency's units. */
void ledger_cell_amount(struct show_table *table, u128 amount, bool negative, uint32_t ledger);

#endif
