/*
 * The wallet port: what a service that moves wallet money asks before, and tells after. The money
 * itself moves in the ledger: a wallet's account there (books.h: BOOKS_WALLET) cannot go below
 * zero, holds counted, whoever posts. What the ledger does not know is whether a wallet exists, is
 * frozen, and how much its tier lets through in a day; that is the wallet service's to say.
 *
 * Order of a movement: RESERVE; then the caller's own attempt, durable; then the ledger; and if the
 * ledger refused, first the attempt's end and then `release`. A crash in between leaves an amount
 * counted that did not move, until its day or month is over: the safe side.
 *
 * A reservation by `submit` is durable when it is answered. One by `reserve` is durable together
 * with the attempt, so it costs no commit, and none is left behind without one. Money that comes
 * back (a refund, a hold that is let go, a withdrawal that the bank returned) is not reserved: no
 * limit and no freeze stands in its way. A wallet that is closed is closed in the ledger too, which
 * refuses whatever comes late (debit_account_already_closed, credit_account_already_closed).
 *
 * Answers of `submit` are posted to the requester's executor, always later.
 */
#ifndef PORT_WALLET_H
#define PORT_WALLET_H

#include "base/err.h"
#include "base/id.h"
#include "base/money.h"
#include "os/loop.h"
#include "tracecontext/tracecontext.h"

struct resource_op; /* an operation of resource/resource.h */

#define PORT_WALLET_CODE_SIZE    40
#define PORT_WALLET_MESSAGE_SIZE 200

enum port_wallet_operation {
    PORT_WALLET_LOOKUP,  /* is it there? Amount and direction are ignored */
    PORT_WALLET_RESERVE, /* may the amount move now? If so it counts against the limits */
};

enum port_wallet_direction {
    PORT_WALLET_OUT,
    PORT_WALLET_IN,
};

enum port_wallet_outcome {
    PORT_WALLET_OK,
    PORT_WALLET_NOT_FOUND,
    PORT_WALLET_REFUSED, /* code and message say why */
};

/* An amount that moves, or that did not after all. */
struct port_wallet_movement {
    uint64_t scope;
    char wallet[ID_TEXT_SIZE]; /* wal_... */
    enum port_wallet_direction direction;
    struct money amount; /* more than zero */
    int64_t reserved_at; /* unix seconds, as RESERVE answered: release */
};

struct port_wallet_request {
    struct os_task task;
    struct os_executor *reply_to;
    void (*done)(struct port_wallet_request *request);
    struct trace_context trace; /* whose work it is; zero: nobody follows it */
    uint64_t trace_began_ns;    /* the callee's, for its spans */
    void *wallet;               /* the wallet service's, while the request is under way */

    enum port_wallet_operation operation;
    struct port_wallet_movement movement; /* RESERVE fills in reserved_at */

    /* Not ERR_OK: nothing is known. Nothing was reserved, but with ERR_OUTCOME_UNKNOWN perhaps. */
    err_t error;
    enum port_wallet_outcome outcome;
    /* REFUSED: wallet_frozen, wallet_closed, wallet_currency_mismatch, or a limit by name:
     * wallet_limit_transaction, wallet_limit_day, wallet_limit_month. */
    char code[PORT_WALLET_CODE_SIZE];
    char message[PORT_WALLET_MESSAGE_SIZE]; /* for people */
    /* What may be shown of it. */
    char customer[ID_TEXT_SIZE];
    const struct currency *currency;
};

struct port_wallet {
    /* From any thread. Takes the request until its `done` was posted. */
    void (*submit)(struct port_wallet *wallet, struct port_wallet_request *request);
    /* RESERVE as a part of the caller's operation, of the movement's scope and on its loop:
     * answered in the request when it returns, without `done`. It counts if the operation's writes
     * up to the next commit do, and must be followed by the attempt in the same step. NULL where
     * whoever asks and the wallets do not share a database that is theirs alone: then `submit` is
     * the way. */
    void (*reserve)(
        struct port_wallet *wallet, struct resource_op *op, struct port_wallet_request *request);
    /* From any thread; copies what it needs and answers nothing. At most once for a reservation. Of
     * a part of it (a partial capture): with that part as the amount. */
    void (*release)(struct port_wallet *wallet, const struct port_wallet_movement *movement);
};

#endif
