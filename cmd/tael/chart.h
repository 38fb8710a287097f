/* The chart of accounts by name: docs/accounting.md. Pure. */
#ifndef TAEL_CHART_H
#define TAEL_CHART_H

#include "books/books.h"

/* "card clearing"; NULL for a code or a ledger number that is not the payments'. */
const char *chart_account_name(uint32_t ledger, uint16_t code);
/* Whether the account grows by debits. */
bool chart_account_is_debit(uint32_t ledger, uint16_t code);
/* "payment", "fee", ...; NULL as above. */
const char *chart_transfer_name(uint32_t ledger, uint16_t code);
/* The role of an account by its name, with dashes or spaces ("card-clearing"), or its code. */
bool chart_account_find(struct span name, enum books_account *ret_account);
/* Whether a merchant's id goes into the account's id. */
bool chart_account_is_merchants(enum books_account account);

#endif
