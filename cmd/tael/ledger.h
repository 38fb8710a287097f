/* What the files of `tael ledger` share. */
#ifndef TAEL_LEDGER_H
#define TAEL_LEDGER_H

#include "command.h"
#include "show.h"

#include "base/u128.h"

extern const struct command ledger_accounts;
extern const struct command ledger_transfers;

/* "USD test", or the number. */
void ledger_cell_name(struct show_table *table, uint32_t ledger);
/* In the currency's units. */
void ledger_cell_amount(struct show_table *table, u128 amount, bool negative, uint32_t ledger);

#endif
