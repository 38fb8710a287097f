/* Participants and transactions, as documents. */
#ifndef COORDINATOR_DOCUMENTS_H
#define COORDINATOR_DOCUMENTS_H

#include "coordinator/coordinator.h"

#include "recipient/recipient.h"
#include "resource/object.h"

/* A service that can take part in transactions. */
struct coordinator_participant {
    struct resource_header header;
    struct span name;
    struct recipient recipient;
    struct span metadata; /* JSON object */
    bool disabled;        /* no new transaction may name it */
};

/* What is known of a member. */
#define COORDINATOR_MEMBER_PREPARED  "prepared"  /* said yes */
#define COORDINATOR_MEMBER_REFUSED   "refused"   /* said no: it holds nothing, and never will */
#define COORDINATOR_MEMBER_SILENT    "silent"    /* no vote came in time: it may hold something */
#define COORDINATOR_MEMBER_DOUBTED   "doubted"   /* is asked for its state: it contradicted */
#define COORDINATOR_MEMBER_COMMITTED "committed" /* confirmed */
#define COORDINATOR_MEMBER_ABORTED   "aborted"   /* confirmed */
#define COORDINATOR_MEMBER_STUCK     "stuck"     /* did not confirm: a person must look */

struct coordinator_member {
    struct span participant; /* empty: there are no more members */
    struct span name;        /* the participant's, when the transaction began */
    struct span data;        /* what it is given */
    struct span state;       /* empty: not heard of */
    struct span reason;      /* its own words, or what went wrong with the last request */
    int64_t requests;        /* sent for the vote, then for the decision */
};

struct coordinator_transaction {
    struct resource_header header;
    struct span owner;
    struct span status; /* machine.h */
    int64_t amount;     /* what it is about; of a commit what was committed */
    struct span currency;
    int64_t decided_at; /* unix seconds; 0: undecided */
    int64_t told_since; /* unix seconds: retry_for_ms is counted from here */
    int64_t tries;      /* rounds of telling */
    struct span note;   /* of who resolved it */
    struct span open;   /* "true" until it is over */
    int64_t due;        /* unix seconds: when it is told next; 0: not now */
    int64_t open_since; /* unix seconds; 0 when it is over */
    int64_t stuck_since;
    struct span trace; /* traceparent of the request that it began in; not shown */
    struct coordinator_member members[COORDINATOR_MEMBERS_MAX];
};

enum {
    COORDINATOR_TRANSACTION_OWNER,
    COORDINATOR_TRANSACTION_STATUS,
    COORDINATOR_TRANSACTION_OPEN,
    COORDINATOR_TRANSACTION_DUE,
    COORDINATOR_TRANSACTION_OPEN_SINCE,
    COORDINATOR_TRANSACTION_STUCK_SINCE,
};

extern const struct resource_type coordinator_transaction_type;

/* How many of its members there are. */
uint32_t coordinator_member_count(const struct coordinator_transaction *transaction);

#endif
