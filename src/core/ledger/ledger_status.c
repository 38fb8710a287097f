/* The statuses as text. */
#include "ledger/records.h"

const char *
ledger_account_status_name(uint32_t status)
{
    switch (status) {
#define STATUS_NAME(name, number, transient)                                                       \
    case number:                                                                                   \
        return #name;
        LEDGER_ACCOUNT_STATUSES(STATUS_NAME)
#undef STATUS_NAME
    default:
        return NULL;
    }
}

const char *
ledger_transfer_status_name(uint32_t status)
{
    switch (status) {
#define STATUS_NAME(name, number, transient)                                                       \
    case number:                                                                                   \
        return #name;
        LEDGER_TRANSFER_STATUSES(STATUS_NAME)
#undef STATUS_NAME
    default:
        return NULL;
    }
}
