/*
 * Codes that payers show. A wallet's app asks for one, shows it as digits or as a picture, and a
 * merchant charges it: the code leads to the wallet, once, for a minute.
 *
 * The service is routes on a resource runtime, and the mobile port. README.md numbers the
 * invariants.
 */
#ifndef MOBILE_MOBILE_H
#define MOBILE_MOBILE_H

#include "port/mobile.h"
#include "port/wallet.h"
#include "resource/resource.h"

struct mobile;

struct mobile_settings {
    int64_t code_lifetime_s;  /* 60 */
    int64_t code_keep_s;      /* how long a dead code is told from one that never was */
    int64_t wrong_per_minute; /* codes that never were, per merchant and mode */
    int64_t codes_alive_max;  /* per wallet: the oldest dies first */
    int64_t sweep_interval_ms;
};

struct mobile_settings mobile_settings_default(void);

struct mobile_parts {
    struct resource_runtime *runtime;
    struct os_loop *loop; /* the runtime's */
    struct os_clock *clock;
    struct os_entropy *entropy;
    struct port_wallet *wallets;
    struct mobile_settings settings;
};

MUST_USE err_t mobile_create(const struct mobile_parts *parts, struct mobile **ret_mobile);
/* After the loop has stopped and the runtime was destroyed. Accepts NULL; sets it to NULL. */
void mobile_destroy(struct mobile **mobile);
/* Begins sweeping old codes away. On the loop, or before it runs. */
void mobile_start(struct mobile *mobile);

/* Valid as long as the instance, as are the routes. */
struct port_mobile *mobile_port(struct mobile *mobile);
const struct resource_route *mobile_routes(const struct mobile *mobile, uint32_t *ret_count);

/* For document_store_open. */
extern const struct document_kind *const mobile_kinds[];
extern const uint32_t mobile_kind_count;

#endif
