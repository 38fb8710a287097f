/* An option that is an amount of money. */
#ifndef TAEL_AMOUNT_H
#define TAEL_AMOUNT_H

#include "command.h"

#include "base/money.h"

#define AMOUNT_HELP                                                                                \
    "20.00, \"20.00 USD\" or \"20 USD\"; a number alone counts the smallest unit: 2000 is 20.00."

/* The text of --NAME in the API's smallest unit. COMMAND_GO_ON, or the status after a message. On a
 * terminal whoever wrote "20" is told that this is 0.20. */
int amount_read(
    const struct command *command,
    const char *name,
    const char *text,
    const struct currency *currency,
    int64_t *ret_api_amount);

#endif
