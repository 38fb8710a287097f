/* What the files of the ledger's routes share. ledger.c says how a request goes. */
#ifndef API_LEDGER_H
#define API_LEDGER_H

#include "front.h"
#include "record/record.h"
#include "json/json_in.h"

/* Bytes that requests under way may hold in records and answers; then 503. */
#define API_LEDGER_MEMORY_MAX (UINT64_C(256) << 20)
/* Of reading one body, while it is read. */
#define API_LEDGER_SCRATCH_MAX (UINT64_C(96) << 20)
/* Values in one body: 8,190 events with every field and every flag. */
#define API_LEDGER_VALUES_MAX 300000
/* Of one answer: 8,190 change events. */
#define API_LEDGER_BODY_MAX  (UINT64_C(32) << 20)

#define API_LEDGER_TEXT_SIZE 256

enum api_ledger_route {
    API_LEDGER_ACCOUNTS,
    API_LEDGER_TRANSFERS,
    API_LEDGER_LOOKUP,
    API_LEDGER_QUERY,
};

struct api_ledger {
    struct api *api;
    struct resource_route *routes;
    _Atomic uint64_t memory; /* held by jobs */
};

/* One request to the ledger's routes. It belongs to one thread at a time: the resource loop, the
 * ledger loop, the ledger's engine while it is submitted, and back. */
struct api_ledger_job {
    struct os_task task;
    struct api_ledger *ledger;
    struct resource_op *op;
    struct os_executor *op_executor;
    struct api_request *request;
    enum api_ledger_route route;

    bool packed;   /* records in, results out */
    bool balances; /* transfers: with both accounts */
    struct port_ledger_request port;
    struct port_ledger_filter filter;
    enum port_ledger_operation operation; /* that the client asked for */
    uint32_t count;
    const char *answer_name; /* of the array in the answer */

    void *in; /* accounts, transfers or ids */
    void *out;
    struct port_ledger_pair *pairs;
    u128 *pending_ids; /* whose ledger must be looked at first */
    uint32_t *pending_events;
    uint32_t pending_count;
    uint64_t charged;

    int status; /* 0: no error */
    char param[API_LEDGER_TEXT_SIZE];
    char message[API_LEDGER_TEXT_SIZE];
    struct buf body;
};

/* --- ledger_read.c --- */

/* Fills the job from the body. False: job->status and its texts say why. */
bool api_ledger_read(struct api_ledger_job *job);
/* The job is refused with this; returns false. */
__attribute__((format(printf, 4, 5))) bool api_ledger_refuse(
    struct api_ledger_job *job, int status, const char *param, const char *format, ...);

/* --- ledger_write.c --- */

/* Writes job->body from what the ledger answered. */
void api_ledger_write(struct api_ledger_job *job);

#endif
