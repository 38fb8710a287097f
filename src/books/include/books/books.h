/*
 * The chart of accounts (docs/accounting.md): which ledgers, accounts and kinds of movement there
 * are, and their numbers. Services that move money share it, so that one page of the books explains
 * them all.
 *
 * Pure functions, any thread; a memo is one thread's.
 */
#ifndef BOOKS_BOOKS_H
#define BOOKS_BOOKS_H

#include "base/id.h"
#include "base/money.h"
#include "base/u128.h"

#include <stdbool.h>
#include <stdint.h>

/* The ledger number of a currency in a mode: ISO 4217 numeric, plus 1,000 for test money, so that
 * test and live money can never meet in one transfer. */
uint32_t books_ledger_number(const struct currency *currency, bool live);
/* Whether a ledger number is one of those: whoever keeps books of their own takes another. */
bool books_ledger_is_ours(uint32_t ledger);

/* Roles; also the codes of the ledger's accounts. Below 200: the platform's own. */
enum books_account {
    BOOKS_CARD_CLEARING = 101,      /* what the card network owes us */
    BOOKS_FEE_REVENUE = 102,        /* what we earned */
    BOOKS_SUSPENSE = 103,           /* money that a person must look at */
    BOOKS_BANK_CLEARING = 104,      /* what banks owe us; less than nothing: what we sent there */
    BOOKS_MERCHANT_PENDING = 201,   /* the merchant's, not settled yet */
    BOOKS_MERCHANT_AVAILABLE = 202, /* the merchant's to pay out */
    BOOKS_WALLET = 301,             /* the money in a wallet: ours to pay, never below zero */
};

/* Codes of transfers: what a movement was for. */
enum books_transfer {
    BOOKS_OF_PENDING = 0, /* a posting or voiding takes over the code of what was pending */
    BOOKS_PAYMENT = 1,
    BOOKS_FEE = 2,
    BOOKS_HOLD = 3,
    BOOKS_REFUND = 4,
    BOOKS_REFUND_FAILURE = 5,
    BOOKS_SETTLEMENT = 6,
    BOOKS_TOP_UP = 7,             /* merchant pending -> wallet, behind a card payment */
    BOOKS_TOP_UP_REVERSAL = 8,    /* wallet -> merchant pending, before a refund */
    BOOKS_WALLET_TRANSFER = 9,    /* wallet -> wallet */
    BOOKS_WALLET_HOLD = 10,       /* wallet => wallet, pending */
    BOOKS_WITHDRAWAL = 11,        /* wallet => bank clearing, pending until the bank has paid */
    BOOKS_WITHDRAWAL_RETURN = 12, /* bank clearing -> wallet: the bank sent it back later */
    BOOKS_WALLET_CLOSING = 13,    /* wallet => suspense, pending, of nothing: closes the account */
    BOOKS_DEPOSIT = 14,           /* bank clearing -> wallet: somebody paid in at a bank */
    BOOKS_PAYOUT = 15,            /* merchant available => bank clearing, until the bank has paid */
    BOOKS_PAYOUT_RETURN = 16,     /* bank clearing -> merchant available: it was sent back later */
    BOOKS_DISPUTE = 17,           /* merchant -> card clearing: the network took it back */
    BOOKS_DISPUTE_REVERSAL = 18,  /* card clearing -> merchant: it gave it again */
    BOOKS_DISPUTE_FEE = 19,       /* merchant -> fee revenue */
};

/* Account ids are derived, so nobody has to look them up. `owner` is the merchant's id (acct_...)
 * or the wallet's (wal_...), and is ignored for the platform's own accounts. */
u128 books_account_id(
    enum books_account account, const char *owner, const struct currency *currency, bool live);

/*
 * Ids that were derived lately, by one thread: a payment names five accounts, and four of them are
 * its merchant's or the platform's, as in the payment before. Deriving again is always right, so an
 * entry gives way to whichever falls on its place.
 */
#define BOOKS_MEMO_COUNT 512 /* a power of two */

struct books_memo_entry {
    u128 id;
    const struct currency *currency; /* NULL: nothing is remembered here */
    enum books_account account;
    bool live;
    char owner[ID_TEXT_SIZE];
};

struct books_memo {
    struct books_memo_entry entries[BOOKS_MEMO_COUNT]; /* all zero: empty */
};

/* books_account_id, remembered. */
u128 books_account_id_by(
    struct books_memo *memo,
    enum books_account account,
    const char *owner,
    const struct currency *currency,
    bool live);

/* What a document says of a transfer in the books. */
struct books_expected {
    u128 transfer;
    int64_t amount; /* minor units; below zero: it must not be there */
};

struct port_ledger;

/* The id under which the account is in that ledger. In one that is sharded (port/ledger.h) all
 * accounts that a merchant's money moves between, the platform's too, are in the slot of the
 * merchant's id, so that its payments never cross shards: the platform has an account for each
 * slot. In one that is not it is the id itself. `owner` is the merchant's id, or for a wallet and
 * the platform's accounts beside it what books_wallet_slot_owner says. */
u128 books_account_place(u128 id, const struct port_ledger *ledger, const char *owner);
/* Whose slot a wallet is in: its merchant's, or if the ledger has wallets apart its own. */
const char *books_wallet_slot_owner(
    const struct port_ledger *ledger, const char *merchant_id, const char *wallet_id);

#endif
