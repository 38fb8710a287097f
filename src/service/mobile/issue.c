/*
 * Codes are made for the wallet's app, which shows the digits; afterwards it can ask what became
 * of one. The digits themselves are in the first answer only.
 */
#include "mobile_internal.h"

#include "base/assert.h"
#include "base/list.h"
#include "json/json.h"

#include <string.h>

#define BODY_MAX 4096

struct issue {
    struct mobile *mobile;
    struct resource_op *op;
    struct port_wallet_request wallet;
    struct mobile_code *alive[DOCUMENT_LIST_MAX];
    uint32_t alive_count;
};

/* ---------------------------------------------------------------------------------- rendering */

static const char *
status(const struct mobile_code *code, int64_t now)
{
    if (code->payment.size != 0) {
        return "used";
    }
    return now < code->expires ? "active" : "expired";
}

static void
render_members(struct json_writer *json, const struct mobile_code *code, int64_t now)
{
    json_member_i64(json, "expires_at", code->expires);
    json_member_text_or_null(json, "payment_intent", code->payment);
    json_member_cstr(json, "status", status(code, now));
    json_member_text(json, "wallet", code->wallet);
}

void
mobile_code_render(struct resource_render *render, const void *document)
{
    const struct mobile_code *code = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &mobile_code_type, code);
    render_members(json, code, (int64_t)resource_now_s(resource_render_op(render)));
    json_object_end(json);
}

/* ------------------------------------------------------------------------------------- issuing */

static bool
gather_alive(void *context, void *document)
{
    struct issue *issue = context;
    const struct mobile_code *code = document;
    if (code->payment.size == 0 && (int64_t)resource_now_s(issue->op) < code->expires) {
        issue->alive[issue->alive_count++] = document;
    }
    return issue->alive_count < DOCUMENT_LIST_MAX;
}

/* Newest first: those beyond the limit, less the one to come, end now. */
static err_t
end_oldest(struct issue *issue, struct span wallet)
{
    struct document_query query = {
        .range_column = UINT32_MAX,
        .filters = {{.column = MOBILE_CODE_WALLET, .value.text = wallet}},
        .filter_count = 1,
        .limit = DOCUMENT_LIST_MAX,
    };
    TRY(resource_find(issue->op, &mobile_code_type, &query, gather_alive, issue));
    int64_t now = (int64_t)resource_now_s(issue->op);
    for (int64_t i = issue->mobile->parts.settings.codes_alive_max - 1; i < issue->alive_count;
         i++) {
        issue->alive[i]->expires = now;
        TRY(resource_save(issue->op, &mobile_code_type, issue->alive[i]));
    }
    return ERR_OK;
}

static err_t
store(struct issue *issue, struct span wallet, const char *digits, struct mobile_code **ret_code)
{
    const struct mobile_settings *settings = &issue->mobile->parts.settings;
    struct mobile_code *code = resource_new(issue->op, &mobile_code_type);
    if (code == NULL) {
        return ERR_FULL;
    }
    code->wallet = wallet;
    code->hash = mobile_code_hash(issue->op, span_from_cstr(digits));
    code->expires = code->header.created + settings->code_lifetime_s;
    code->purge = code->expires + settings->code_keep_s;
    *ret_code = code;
    return code->hash.size == 0 ? ERR_FULL : resource_save(issue->op, &mobile_code_type, code);
}

static void
answer_issued(struct issue *issue, const struct mobile_code *code, const char *digits)
{
    struct buf body;
    struct json_writer json;
    buf_init(&body, BODY_MAX);
    json_begin(&json, &body);
    json_object_begin(&json);
    json_member_text(&json, "id", code->header.id);
    json_member_cstr(&json, "object", mobile_code_type.object);
    json_member_i64(&json, "created", code->header.created);
    json_member_bool(&json, "livemode", code->header.livemode);
    json_member_cstr(&json, "code", digits);
    render_members(&json, code, code->header.created);
    json_object_end(&json);
    resource_answer(issue->op, 200, &body);
}

static void
wallet_found(struct port_wallet_request *request)
{
    struct issue *issue = CONTAINER_OF(request, struct issue, wallet);
    struct resource_op *op = issue->op;
    struct span wallet = resource_op_capture(op, 0);
    if (request->error != ERR_OK) {
        resource_internal(op, request->error, "wallets");
        return;
    }
    if (request->outcome != PORT_WALLET_OK) {
        resource_missing(op, "wallet", "wallet", wallet);
        return;
    }
    char digits[PORT_MOBILE_CODE_DIGITS + 1];
    struct mobile_code *code;
    mobile_code_format(os_random_u128(issue->mobile->parts.entropy), digits);
    err_t error = end_oldest(issue, wallet);
    if (error == ERR_OK) {
        error = store(issue, wallet, digits, &code);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "payer code");
        return;
    }
    answer_issued(issue, code, digits);
}

static void
issue_code(struct resource_op *op)
{
    struct mobile *mobile = resource_op_service(op);
    struct span wallet = resource_op_capture(op, 0);
    if (wallet.size >= ID_TEXT_SIZE) {
        resource_missing(op, "wallet", "wallet", wallet);
        return;
    }
    struct issue *issue = ARENA_NEW(resource_op_arena(op), struct issue);
    if (issue == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    issue->mobile = mobile;
    issue->op = op;
    issue->wallet = (struct port_wallet_request){
        .reply_to = resource_op_executor(op),
        .done = wallet_found,
        .trace = resource_op_trace(op),
        .operation = PORT_WALLET_LOOKUP,
        .movement = {.scope = resource_op_caller(op)->scope},
    };
    memcpy(issue->wallet.movement.wallet, wallet.data, wallet.size);
    mobile->parts.wallets->submit(mobile->parts.wallets, &issue->wallet);
}

static void
retrieve_code(struct resource_op *op)
{
    resource_answer_retrieve(op, &mobile_code_type, resource_op_capture(op, 0));
}

/* -------------------------------------------------------------------------------------- routes */

static const struct resource_param retrieve_params[] = {RESOURCE_EXPAND_PARAM};

const struct resource_route mobile_route_table[] = {
    {
        .method = "POST",
        .pattern = "/v1/wallets/:id/payer_codes",
        .handler = issue_code,
        .permission = "wallets",
        .flags = RESOURCE_NOT_KEPT,
    },
    {
        .method = "GET",
        .pattern = "/v1/payer_codes/:id",
        .handler = retrieve_code,
        .params = retrieve_params,
        .param_count = sizeof(retrieve_params) / sizeof(retrieve_params[0]),
        .permission = "wallets",
        .answers = &mobile_code_type,
    },
};
const uint32_t mobile_route_count = sizeof(mobile_route_table) / sizeof(mobile_route_table[0]);
