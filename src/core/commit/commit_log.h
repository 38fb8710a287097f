#ifndef COMMIT_LOG_H
#define COMMIT_LOG_H

#include "commit_internal.h"

/* A ballot above all that were seen; the logs are to be read again, from where they were known. */
void commit_log_bid(struct commit_run *run);
/* In PRECOMMITTING, PROMISING and ACCEPTING: READ or APPEND. */
void commit_log_next(const struct commit_run *run, struct commit_ask *ask);
void commit_log_take_append(struct commit_run *run, const struct commit_ask *ask, uint32_t status);
void commit_log_take_read(
    struct commit_run *run, uint8_t member, const struct ledger_transfer *found, uint32_t count);

#endif
