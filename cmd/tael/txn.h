/* `tael txn`: what its two sides share. Between the ledger's shards an operators' listener is asked
 * (txn.c), of participants over HTTP the API, with a merchant's key (txn_participants.c). */
#ifndef TAEL_TXN_H
#define TAEL_TXN_H

#include "client.h"

#define TXN_NOTE_SIZE 512

struct txn_options {
    struct client_options client;
    bool participants; /* `list` is of those */
    bool concludes;    /* `resolve`: --conclude */
    char note[TXN_NOTE_SIZE];
};

/* Whether it is the id of one with participants: "dtx_...". */
bool txn_has_participants(const char *id);

enum txn_verb {
    TXN_LIST,
    TXN_SHOW,
    TXN_RESOLVE,
};

/* The command's exit status. `id` is NULL of TXN_LIST. */
int txn_participants(
    const struct command *command,
    const struct txn_options *options,
    enum txn_verb verb,
    const char *id);

#endif
