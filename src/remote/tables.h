/* What each port's requests and answers are on the wire: README.md shows an example of each. */
#ifndef REMOTE_TABLES_H
#define REMOTE_TABLES_H

#include "fields.h"
#include "remote/remote.h"

#include "port/ledger.h"
#include "port/mobile.h"
#include "port/network.h"
#include "port/rail.h"
#include "port/vault.h"
#include "port/wallet.h"

/* Fields of struct port_rail_request, and of struct port_rail_answer. */
extern const struct remote_table remote_rail_request;
extern const struct remote_table remote_rail_answer;
/* Of struct port_vault_tokenize, both. */
extern const struct remote_table remote_tokenize_request;
extern const struct remote_table remote_tokenize_answer;
/* Of struct port_wallet_request, both; and of struct port_wallet_movement. */
extern const struct remote_table remote_wallet_request;
extern const struct remote_table remote_wallet_answer;
extern const struct remote_table remote_wallet_release;
/* Of struct port_mobile_request, both. */
extern const struct remote_table remote_mobile_request;
extern const struct remote_table remote_mobile_answer;
/* Of struct port_ledger_filter. */
extern const struct remote_table remote_ledger_filter;

/* An answer that is an error. */
struct remote_refusal {
    char error[32]; /* ERR_... */
    /* The listener refused it: no port was asked, so nothing was done, whatever the error. */
    bool by_listener;
    char message[96];
    uint64_t epoch; /* ERR_MOVED: of the shard's map */
};

extern const struct remote_table remote_refusal_fields;

/* What a listener tells about itself. */
struct remote_hello {
    uint64_t version;
    bool ready;
    char why[160];
    bool ledger, rail, network, vault, wallet, mobile, bank; /* that it serves */
    bool simulated;                                          /* the rail, the network or the bank */
};

extern const struct remote_table remote_hello_fields;

/* The code of a name, false for one that is none. */
bool remote_error_from_name(const char *name, err_t *ret_error);

#endif
