/*
 * The ledger's requests and answers as bytes: records as they are in memory (ledger/records.h), one
 * behind the other, little-endian; only the filter of a query is JSON. Used by both sides.
 */
#ifndef REMOTE_LEDGER_WIRE_H
#define REMOTE_LEDGER_WIRE_H

#include "base/arena.h"
#include "base/buf.h"
#include "port/ledger.h"

/* ---- the caller's side */

/* "create_transfers", or "create_transfers?pairs" if both accounts of each are wanted too. Static.
 */
const char *remote_ledger_path(const struct port_ledger_request *request);
struct span remote_ledger_content_type(const struct port_ledger_request *request);
/* The body: the requester's own array, or what was written into `room`. */
struct span remote_ledger_request_write(
    const struct port_ledger_request *request, struct buf *room);
/* Fills in the request. ERR_INVALID: this is no answer to it. */
MUST_USE err_t remote_ledger_answer_read(struct span body, struct port_ledger_request *request);

/* ---- the callee's side */

/* A request without room for its answer. What it points to is in the body or the arena. ERR_INVALID
 * or ERR_MEMORY, with *ret_problem a static text; ERR_UNSUPPORTED: there is no such operation. */
MUST_USE err_t remote_ledger_request_read(
    struct span operation,
    struct span query,
    struct span body,
    struct arena *arena,
    struct port_ledger_request *request,
    const char **ret_problem);
/* Room for the answer at the end of `out`. ERR_MEMORY. */
MUST_USE err_t remote_ledger_room(struct port_ledger_request *request, struct buf *out);
/* The answer is where the room was made: only its size is still to be said. */
void remote_ledger_answer_write(struct port_ledger_request *request, struct buf *out);

#endif
