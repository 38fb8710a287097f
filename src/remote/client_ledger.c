/* The ledger's port: one batch is one request, its records packed as they are in memory. */
#include "client_private.h"

#include "ledger_wire.h"

#include "base/assert.h"

#include <string.h>

static void
run_done(struct os_task *task)
{
    struct port_ledger_request *request = CONTAINER_OF(task, struct port_ledger_request, task);
    request->done(request);
}

static void
answer(struct port_ledger_request *request, err_t error)
{
    request->error = error;
    request->task.run = run_done;
    os_post(request->reply_to, &request->task);
}

/* A complete answer that is not one that could have been asked for leaves it open what happened. */
static void
finish(struct remote_job *job, err_t error, struct span body)
{
    struct port_ledger_request *request = job->request;
    if (error == ERR_OK && remote_ledger_answer_read(body, request) != ERR_OK) {
        error = ERR_OUTCOME_UNKNOWN;
    }
    if (error == ERR_MOVED) {
        request->epoch = job->moved_epoch;
    }
    answer(request, error);
}

static bool
is_create(enum port_ledger_operation operation)
{
    return operation == PORT_LEDGER_CREATE_ACCOUNTS || operation == PORT_LEDGER_CREATE_TRANSFERS;
}

static void
run_submit(struct os_task *task)
{
    struct port_ledger_request *request = CONTAINER_OF(task, struct port_ledger_request, task);
    struct remote_client *client = CONTAINER_OF(request->port, struct remote_client, ledger);
    struct remote_job *job = remote_job_take(client, request, finish);
    if (job == NULL) {
        answer(request, ERR_BUSY);
        return;
    }
    const struct remote_request sent = {
        .operation = remote_ledger_path(request),
        .content_type = remote_ledger_content_type(request),
        .body = remote_ledger_request_write(request, &job->body),
        /* Doing it twice changes nothing (M3), but answers `exists` where it had been `created`,
         * and not why an id failed: so whoever asked decides, and knows that it was twice. */
        .repeatable = !is_create(request->operation),
        .epoch = request->epoch,
        .trace = &request->trace,
    };
    remote_job_send(job, &sent);
}

static void
submit(struct port_ledger *port, struct port_ledger_request *request)
{
    struct remote_client *client = CONTAINER_OF(port, struct remote_client, ledger);
    ASSERT(request->done != NULL);
    ASSERT(request->count <= LEDGER_BATCH_MAX);
    request->port = port;
    request->out_count = 0;
    request->task.run = run_submit;
    os_post(net_loop_executor(client->parts.net), &request->task);
}

void
remote_client_init_ledger(struct remote_client *client)
{
    client->ledger.submit = submit;
}

struct port_ledger *
remote_client_ledger(struct remote_client *client)
{
    ASSERT(client->parts.service == REMOTE_LEDGER);
    return &client->ledger;
}
