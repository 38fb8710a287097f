/*
 * A wallet's statement: what moved its posted balance, with the balance after each. The lines are
 * the ledger's own record of the account; documents only add what they were for.
 */
#ifndef WALLETS_STATEMENT_H
#define WALLETS_STATEMENT_H

#include "flow.h"

/* A statement in CSV is whole or refused: a file that ends too early looks like a whole one. */
#define WALLETS_STATEMENT_LINES_MAX 5000
#define WALLETS_STATEMENT_PAGE      128

struct wallets_line {
    uint64_t timestamp; /* the ledger's, ns: unique, so the line's id derives from it */
    int64_t amount;     /* minor units; out of the wallet: below zero */
    int64_t balance;    /* posted, right after it */
    const char *kind;
    struct span source; /* public id of the document it was for; may be empty */
    struct span description;
};

struct wallets_statement {
    struct wallets_flow flow;
    const struct currency *currency;
    bool csv;
    uint32_t wanted;    /* lines, one more than are shown */
    bool reverse_lines; /* ending_before: they come in the other order */
    struct wallets_line *lines;
    uint32_t count;
    u128 account;
    struct port_ledger_filter filter;
    struct ledger_transfer transfers[WALLETS_STATEMENT_PAGE];
    struct port_ledger_balance balances[WALLETS_STATEMENT_PAGE];
    uint32_t transfer_count;
};

/* "wln_...": the ledger's timestamp as an id. */
struct span wallets_line_id(struct resource_op *op, uint64_t timestamp);

/* statement_csv.c: ends the operation. */
void wallets_statement_answer_csv(struct wallets_statement *statement);

#endif
