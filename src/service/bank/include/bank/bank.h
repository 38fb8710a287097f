/*
 * A simulated bank, for demonstrations and tests: a rail that pays money out to bank accounts. It
 * decides by the account number, as the table in README.md says, and remembers what it did in a
 * file, so that it keeps its word over a restart of the process, as a real bank would.
 *
 * PORT_RAIL_PAY takes the account number as its token. Doing it again with the same id pays
 * nothing twice and answers how that payment stands by now; so does PORT_RAIL_REPORT.
 */
#ifndef BANK_BANK_H
#define BANK_BANK_H

#include "os/clock.h"
#include "os/file.h"
#include "os/loop.h"
#include "port/rail.h"

struct bank;

struct bank_settings {
    int64_t settle_ms; /* until an accepted payment is paid, or has failed */
    int64_t return_ms; /* after that, until a doomed one comes back */
};

struct bank_settings bank_settings_default(void);

struct bank_parts {
    struct os_loop *loop; /* where it lives; it blocks on its file */
    struct os_clock *clock;
    struct os_disk *disk;
    const char *folder; /* NULL: remembers nothing over a restart */
    struct bank_settings settings;
};

MUST_USE err_t bank_create(const struct bank_parts *parts, struct bank **ret_bank);
/* After the loop has stopped. Accepts NULL; sets the pointer to NULL. */
void bank_destroy(struct bank **bank);

/* Its name is "bank"; valid as long as the bank. */
struct port_rail *bank_rail(struct bank *bank);

#endif
