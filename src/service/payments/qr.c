/*
 * Codes that a merchant shows (EMVCo, Merchant-Presented Mode), with Tael's own account in them.
 *
 *   payments_qr_show     an intent is confirmed: it waits in requires_action, with its code
 *   payments_qr_pay      a wallet has scanned it (qr_pay.c): the intent is authorized as ever
 *   nobody came          payments_challenge_expire
 *
 * A code's checksum is no signature. What it says about money counts only as far as the intent or
 * the static code behind its reference says the same.
 */
#include "qr.h"

#include "base/assert.h"
#include "emvqr/scheme.h"
#include "json/json.h"

/* The code in `memory`, of EMVQR_BYTES_MAX; empty if it cannot be made with that name. */
static struct span
write_code(
    const struct payments_presentation *shown,
    const struct payments_qr_content *content,
    struct span name,
    char *memory)
{
    struct emvqr_leaf leaves[2];
    struct emvqr_draft draft;
    struct emvqr_refusal refusal;
    struct buf out;
    emvqr_tael_draft(content->reference, leaves, &draft);
    draft.initiation = content->has_amount ? EMVQR_DYNAMIC : EMVQR_STATIC;
    draft.currency = content->currency;
    draft.has_amount = content->has_amount;
    draft.amount = content->amount;
    draft.category = span_from_cstr(shown->category);
    draft.country = span_from_cstr(shown->country);
    draft.name = name;
    draft.city = span_from_cstr(shown->city);
    buf_init_fixed(&out, memory, EMVQR_BYTES_MAX);
    err_t error = emvqr_build(&draft, &out, &refusal);
    return error == ERR_OK ? buf_span(&out) : SPAN_EMPTY;
}

err_t
payments_qr_write(
    struct payments_flow *flow, const struct payments_qr_content *content, struct span *ret_code)
{
    enum {
        NAME_MAX_CHARACTERS = 25
    };

    const struct payments_presentation *shown = &flow->payments->parts.presentation;
    struct span name = SPAN_EMPTY;
    char *memory = arena_alloc(resource_op_arena(flow->op), EMVQR_BYTES_MAX);
    *ret_code = SPAN_EMPTY;
    if (memory == NULL) {
        return ERR_FULL;
    }
    TRY(resource_op_merchant_name(flow->op, &name));
    if (name.size > 0) {
        *ret_code = write_code(shown, content, emvqr_fit(name, NAME_MAX_CHARACTERS), memory);
    }
    if (ret_code->size == 0) { /* the server's own, or a name that no code can have */
        *ret_code = write_code(shown, content, span_from_cstr(shown->name), memory);
    }
    ASSERT(ret_code->size != 0); /* payments_presentation_is_sound */
    return ERR_OK;
}

bool
payments_presentation_is_sound(const struct payments_presentation *shown)
{
    struct emvqr_leaf leaves[2];
    struct emvqr_draft draft;
    struct emvqr_refusal refusal;
    char memory[EMVQR_BYTES_MAX];
    struct buf out;
    emvqr_tael_draft(SPAN("pi_0000000000000000000000"), leaves, &draft);
    draft.currency = currency_find(SPAN("usd"));
    draft.category = span_from_cstr(shown->category);
    draft.country = span_from_cstr(shown->country);
    draft.name = span_from_cstr(shown->name);
    draft.city = span_from_cstr(shown->city);
    buf_init_fixed(&out, memory, sizeof(memory));
    return emvqr_build(&draft, &out, &refusal) == ERR_OK;
}

static bool
refuse_scheme(struct resource_op *op, const struct emvqr_code *code)
{
    resource_invalid(
        op,
        "qr_code_not_payable",
        "data",
        "This code is of another scheme (%s): wallets here pay Tael's codes.",
        emvqr_scheme_name(emvqr_code_scheme(code)));
    return false;
}

bool
payments_qr_read(struct resource_op *op, struct payments_qr_content *ret_content)
{
    struct span data = SPAN_EMPTY;
    struct emvqr_refusal refusal;
    struct emvqr_code *code = ARENA_NEW(resource_op_arena(op), struct emvqr_code);
    (void)resource_text(op, "data", &data);
    if (code == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return false;
    }
    if (emvqr_parse(data, code, &refusal) != ERR_OK) {
        resource_invalid(
            op,
            "qr_code_invalid",
            "data",
            "This is no payment code, or it was damaged or changed: %s%s%s.",
            emvqr_problem_text(refusal.problem),
            refusal.path[0] == '\0' ? "" : ", at ",
            refusal.path);
        return false;
    }
    if (!emvqr_tael_reference(code, &ret_content->reference)) {
        return refuse_scheme(op, code);
    }
    ret_content->currency = code->currency;
    ret_content->has_amount = code->has_amount;
    ret_content->amount = code->amount;
    return true;
}

struct span
payments_qr_url(struct payments_flow *flow, struct span id, struct span secret)
{
    return arena_format(
        resource_op_arena(flow->op),
        "%s/qr/%llu/%.*s_%.*s",
        flow->payments->parts.public_url,
        (unsigned long long)resource_op_caller(flow->op)->scope,
        SPAN_PRINTF(id),
        SPAN_PRINTF(secret));
}

static void
member_url(struct json_writer *json, const char *name, struct span url, const char *suffix)
{
    char text[PAYMENTS_URL_MAX];
    struct buf out;
    buf_init_fixed(&out, text, sizeof(text));
    buf_append_span(&out, url);
    buf_append_cstr(&out, suffix);
    json_member_text(json, name, buf_span(&out));
}

void
payments_qr_render(struct json_writer *json, struct span data, struct span url)
{
    json_member_text(json, "data", data);
    json_member_text(json, "hosted_instructions_url", url);
    member_url(json, "image_url_png", url, ".png");
    member_url(json, "image_url_svg", url, ".svg");
}

void
payments_qr_show(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    struct payments_qr_content content = {
        .reference = intent->header.id,
        .currency = payments_flow_currency(flow),
        .has_amount = true,
    };
    struct money amount;
    err_t error = money_from_api(intent->amount, content.currency, &amount);
    ASSERT(error == ERR_OK);
    content.amount = amount.amount;
    struct payments_challenge *challenge = &intent->challenge;
    challenge->secret = resource_new_secret(flow->op, PAYMENTS_CHALLENGE_SECRET);
    challenge->url = payments_qr_url(flow, intent->header.id, challenge->secret);
    error =
        challenge->url.size == 0 ? ERR_FULL : payments_qr_write(flow, &content, &challenge->data);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "QR code");
        return;
    }
    payments_wait_begin(flow, PAYMENTS_WAITS_FOR_QR, flow->payments->parts.settings.qr_lifetime_s);
}
