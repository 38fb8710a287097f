/*
 * What the payments of `tael bench payments` are made from: wallets with money in them, and a code
 * at the till.
 */
#ifndef TAEL_BENCH_WALLETS_H
#define TAEL_BENCH_WALLETS_H

#include "bench_load.h"

#define BENCH_WALLETS_COUNT 64
#define BENCH_WALLETS_FORM  2048
#define BENCH_PAYMENT_DONE  "\"status\":\"succeeded\""

struct bench_wallets {
    struct bench_load_request payments[BENCH_WALLETS_COUNT];
    struct bench_load_request qr_payments[BENCH_WALLETS_COUNT];
    char forms[2][BENCH_WALLETS_COUNT][BENCH_WALLETS_FORM];
};

/* Makes them at the server that `load` names, through its API. COMMAND_GO_ON, or an exit status. */
int bench_wallets_open(
    const struct command *command,
    const struct bench_load_settings *load,
    struct bench_wallets *wallets);

#endif
