/* The ports whose requests are one JSON object: rail, network, vault, wallet, mobile. */
#include "client_private.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

static struct span
write_object(const struct remote_table *table, const void *object, struct buf *out)
{
    struct json_writer json;
    json_begin(&json, out);
    remote_fields_write(table, object, &json);
    return buf_span(out);
}

/* False, and the caller refuses: a request that is larger than any can be was not sent. */
static bool
send_object(
    struct remote_job *job,
    const struct remote_table *table,
    const void *object,
    struct remote_request request)
{
    request.content_type = SPAN("application/json");
    request.body = write_object(table, object, &job->body);
    if (buf_failed(&job->body)) {
        return false;
    }
    remote_job_send(job, &request);
    return true;
}

static err_t
read_object(
    struct remote_job *job, const struct remote_table *table, struct span answer, void *object)
{
    const char *problem;
    return remote_fields_read(table, answer, &job->client->arena, object, &problem);
}

/* ------------------------------------------------------------------------ rail and network --- */

/* The outcome is unknown, which a rail has a word for (PORT-3). */
static err_t
rail_answer_read(
    struct remote_job *job, err_t error, struct span answer, struct port_rail_answer *ret_answer)
{
    memset(ret_answer, 0, sizeof(*ret_answer));
    if (error == ERR_OK) {
        if (read_object(job, &remote_rail_answer, answer, ret_answer) == ERR_OK) {
            return ERR_OK;
        }
        error = ERR_OUTCOME_UNKNOWN;
    }
    *ret_answer = (struct port_rail_answer){.outcome = PORT_RAIL_UNKNOWN};
    return error == ERR_OUTCOME_UNKNOWN ? ERR_OK : error;
}

static void
run_rail_done(struct os_task *task)
{
    struct port_rail_request *request = CONTAINER_OF(task, struct port_rail_request, task);
    request->done(request);
}

static void
rail_end(struct port_rail_request *request, err_t error)
{
    request->error = error;
    request->task.run = run_rail_done;
    os_post(request->reply_to, &request->task);
}

static void
rail_finish(struct remote_job *job, err_t error, struct span answer)
{
    struct port_rail_request *request = job->request;
    rail_end(request, rail_answer_read(job, error, answer, &request->answer));
}

static void
run_rail(struct os_task *task)
{
    struct port_rail_request *request = CONTAINER_OF(task, struct port_rail_request, task);
    struct remote_job *job = remote_job_take(request->rail, request, rail_finish);
    const struct remote_request sent = {
        .operation = "submit",
        .deadline_ns = request->deadline_ns,
        .repeatable = true, /* the id is the caller's */
        .trace = &request->trace,
    };
    if (job == NULL) {
        rail_end(request, ERR_BUSY);
    } else if (!send_object(job, &remote_rail_request, request, sent)) {
        remote_job_drop(job);
        rail_end(request, ERR_FULL);
    }
}

static void
rail_submit(struct port_rail *rail, struct port_rail_request *request)
{
    struct remote_client *client = CONTAINER_OF(rail, struct remote_client, rail);
    ASSERT(request->done != NULL);
    request->rail = client;
    request->task.run = run_rail;
    os_post(net_loop_executor(client->parts.net), &request->task);
}

static void
run_network_done(struct os_task *task)
{
    struct port_network_request *request = CONTAINER_OF(task, struct port_network_request, task);
    request->done(request);
}

static void
network_end(struct port_network_request *request, err_t error)
{
    request->error = error;
    request->task.run = run_network_done;
    os_post(request->reply_to, &request->task);
}

static void
network_finish(struct remote_job *job, err_t error, struct span answer)
{
    struct port_network_request *request = job->request;
    network_end(request, rail_answer_read(job, error, answer, &request->answer));
}

static void
run_network(struct os_task *task)
{
    struct port_network_request *request = CONTAINER_OF(task, struct port_network_request, task);
    struct remote_job *job = remote_job_take(request->network, request, network_finish);
    const struct remote_request sent = {
        .operation = "submit",
        .deadline_ns = request->rail->deadline_ns,
        .repeatable = true,
        .trace = &request->trace,
    };
    if (job == NULL) {
        network_end(request, ERR_BUSY);
    } else if (!send_object(job, &remote_rail_request, request->rail, sent)) {
        remote_job_drop(job);
        network_end(request, ERR_FULL);
    }
}

static void
network_submit(struct port_network *network, struct port_network_request *request)
{
    struct remote_client *client = CONTAINER_OF(network, struct remote_client, network);
    ASSERT(request->done != NULL);
    request->network = client;
    request->task.run = run_network;
    os_post(net_loop_executor(client->parts.net), &request->task);
}

/* ------------------------------------------------------------------------------------- vault ---
 */

static void
run_tokenize_done(struct os_task *task)
{
    struct port_vault_tokenize *request = CONTAINER_OF(task, struct port_vault_tokenize, task);
    request->done(request);
}

static void
tokenize_end(struct port_vault_tokenize *request, err_t error)
{
    request->error = error;
    request->task.run = run_tokenize_done;
    os_post(request->reply_to, &request->task);
}

static void
tokenize_finish(struct remote_job *job, err_t error, struct span answer)
{
    struct port_vault_tokenize *request = job->request;
    if (error == ERR_OK && read_object(job, &remote_tokenize_answer, answer, request) != ERR_OK) {
        error = ERR_OUTCOME_UNKNOWN;
    }
    tokenize_end(request, error);
}

/* The body, which has the card in clear, is wiped with the job, and net wipes what it wrote (M6).
 */
static void
run_tokenize(struct os_task *task)
{
    struct port_vault_tokenize *request = CONTAINER_OF(task, struct port_vault_tokenize, task);
    struct remote_job *job = remote_job_take(request->vault, request, tokenize_finish);
    const struct remote_request sent = {
        .operation = "tokenize",
        .repeatable = true, /* the same card has the same token */
        .trace = &request->trace,
    };
    if (job == NULL) {
        tokenize_end(request, ERR_BUSY);
    } else if (!send_object(job, &remote_tokenize_request, request, sent)) {
        remote_job_drop(job);
        tokenize_end(request, ERR_FULL);
    }
}

static void
tokenize(struct port_vault *vault, struct port_vault_tokenize *request)
{
    struct remote_client *client = CONTAINER_OF(vault, struct remote_client, vault);
    ASSERT(request->done != NULL);
    request->vault = client;
    memset(&request->card, 0, sizeof(request->card));
    request->task.run = run_tokenize;
    os_post(net_loop_executor(client->parts.net), &request->task);
}

/* ------------------------------------------------------------------------------------ wallet ---
 */

static void
run_wallet_done(struct os_task *task)
{
    struct port_wallet_request *request = CONTAINER_OF(task, struct port_wallet_request, task);
    request->done(request);
}

static void
wallet_end(struct port_wallet_request *request, err_t error)
{
    request->error = error;
    request->task.run = run_wallet_done;
    os_post(request->reply_to, &request->task);
}

static void
wallet_finish(struct remote_job *job, err_t error, struct span answer)
{
    struct port_wallet_request *request = job->request;
    if (error == ERR_OK && read_object(job, &remote_wallet_answer, answer, request) != ERR_OK) {
        error = ERR_OUTCOME_UNKNOWN;
    }
    wallet_end(request, error);
}

static void
run_wallet(struct os_task *task)
{
    struct port_wallet_request *request = CONTAINER_OF(task, struct port_wallet_request, task);
    struct remote_job *job = remote_job_take(request->wallet, request, wallet_finish);
    const struct remote_request sent = {
        .operation = "submit",
        /* A reservation has no id: a second one would count a second time. */
        .repeatable = request->operation == PORT_WALLET_LOOKUP,
        .trace = &request->trace,
    };
    if (job == NULL) {
        wallet_end(request, ERR_BUSY);
    } else if (!send_object(job, &remote_wallet_request, request, sent)) {
        remote_job_drop(job);
        wallet_end(request, ERR_FULL);
    }
}

static void
wallet_submit(struct port_wallet *wallet, struct port_wallet_request *request)
{
    struct remote_client *client = CONTAINER_OF(wallet, struct remote_client, wallet);
    ASSERT(request->done != NULL);
    request->wallet = client;
    request->task.run = run_wallet;
    os_post(net_loop_executor(client->parts.net), &request->task);
}

/* A movement that is given back, on its way. */
struct release {
    struct os_task task;
    struct remote_client *client;
    struct port_wallet_movement movement;
};

static void
release_end(struct remote_client *client, struct release *release, bool told)
{
    REMOTE_COUNT(client, dropped, told ? 0 : 1);
    free(release);
}

static void
release_finish(struct remote_job *job, err_t error, struct span answer)
{
    (void)answer;
    release_end(job->client, job->request, error == ERR_OK);
}

/* One that does not arrive leaves an amount counted that did not move: the safe side, which the
 * port allows. One that arrived twice would let too much through: so it is not repeated. */
static void
run_release(struct os_task *task)
{
    struct release *release = CONTAINER_OF(task, struct release, task);
    struct remote_client *client = release->client;
    struct remote_job *job = remote_job_take(client, release, release_finish);
    const struct trace_context nobody = {.trace_id = 0};
    const struct remote_request sent = {.operation = "release", .trace = &nobody};
    if (job == NULL) {
        release_end(client, release, false);
    } else if (!send_object(job, &remote_wallet_release, &release->movement, sent)) {
        remote_job_drop(job);
        release_end(client, release, false);
    }
}

static void
wallet_release(struct port_wallet *wallet, const struct port_wallet_movement *movement)
{
    struct remote_client *client = CONTAINER_OF(wallet, struct remote_client, wallet);
    struct release *release = malloc(sizeof(*release));
    REMOTE_COUNT(client, released, 1);
    if (release == NULL) {
        REMOTE_COUNT(client, dropped, 1);
        return;
    }
    release->client = client;
    release->movement = *movement;
    release->task.run = run_release;
    os_post(net_loop_executor(client->parts.net), &release->task);
}

/* ------------------------------------------------------------------------------------ mobile ---
 */

static void
run_mobile_done(struct os_task *task)
{
    struct port_mobile_request *request = CONTAINER_OF(task, struct port_mobile_request, task);
    request->done(request);
}

static void
mobile_end(struct port_mobile_request *request, err_t error)
{
    request->error = error;
    request->task.run = run_mobile_done;
    os_post(request->reply_to, &request->task);
}

static void
mobile_finish(struct remote_job *job, err_t error, struct span answer)
{
    struct port_mobile_request *request = job->request;
    if (error == ERR_OK && read_object(job, &remote_mobile_answer, answer, request) != ERR_OK) {
        error = ERR_OUTCOME_UNKNOWN;
    }
    mobile_end(request, error);
}

static void
run_mobile(struct os_task *task)
{
    struct port_mobile_request *request = CONTAINER_OF(task, struct port_mobile_request, task);
    struct remote_job *job = remote_job_take(request->mobile, request, mobile_finish);
    const struct remote_request sent = {
        .operation = "use_code",
        .repeatable = true, /* for the same payment it answers the same */
        .trace = &request->trace,
    };
    if (job == NULL) {
        mobile_end(request, ERR_BUSY);
    } else if (!send_object(job, &remote_mobile_request, request, sent)) {
        remote_job_drop(job);
        mobile_end(request, ERR_FULL);
    }
}

static void
use_code(struct port_mobile *mobile, struct port_mobile_request *request)
{
    struct remote_client *client = CONTAINER_OF(mobile, struct remote_client, mobile);
    ASSERT(request->done != NULL);
    request->mobile = client;
    request->task.run = run_mobile;
    os_post(net_loop_executor(client->parts.net), &request->task);
}

/* ----------------------------------------------------------------------------------- the ports -
 */

void
remote_client_init_ports(struct remote_client *client)
{
    client->rail.submit = rail_submit;
    client->rail.name = client->parts.service == REMOTE_BANK ? "bank" : "card";
    client->rail.simulated = true;
    client->network.submit = network_submit;
    client->network.simulated = true;
    client->vault.tokenize = tokenize;
    client->wallet.submit = wallet_submit;
    client->wallet.release = wallet_release;
    client->mobile.use_code = use_code;
}

/* What is told later does not change a port that somebody has. */
struct port_rail *
remote_client_rail(struct remote_client *client)
{
    ASSERT(client->parts.service == REMOTE_RAIL);
    client->rail.simulated = atomic_load(&client->told_simulated);
    return &client->rail;
}

struct port_rail *
remote_client_bank(struct remote_client *client)
{
    ASSERT(client->parts.service == REMOTE_BANK);
    client->rail.simulated = atomic_load(&client->told_simulated);
    return &client->rail;
}

struct port_network *
remote_client_network(struct remote_client *client)
{
    ASSERT(client->parts.service == REMOTE_NETWORK);
    client->network.simulated = atomic_load(&client->told_simulated);
    return &client->network;
}

struct port_vault *
remote_client_vault(struct remote_client *client)
{
    ASSERT(client->parts.service == REMOTE_VAULT);
    return &client->vault;
}

struct port_wallet *
remote_client_wallet(struct remote_client *client)
{
    ASSERT(client->parts.service == REMOTE_WALLET);
    return &client->wallet;
}

struct port_mobile *
remote_client_mobile(struct remote_client *client)
{
    ASSERT(client->parts.service == REMOTE_MOBILE);
    return &client->mobile;
}
