/* /v1/participants: create, retrieve, update, list, and replacing the secret. */
#include "private.h"

#include "base/assert.h"
#include "callback/url.h"

#include <string.h>

#define ROLL_DEFAULT_S INT64_C(86400)

static bool
refuse_url(struct resource_op *op, const char *why)
{
    resource_invalid(op, "url_invalid", "url", "Invalid URL: %s", why);
    return false;
}

static bool
read_url(struct resource_op *op, struct coordinator_participant *participant)
{
    struct callback_url url;
    struct span text;
    if (!resource_text(op, "url", &text)) {
        return true;
    }
    if (text.size == 0) {
        return refuse_url(op, "it cannot be unset.");
    }
    const char *wrong = callback_url_parse(text, &url);
    if (wrong != NULL) {
        return refuse_url(op, wrong);
    }
    if (participant->header.livemode && !url.tls) {
        return refuse_url(op, "Live mode participants must be https.");
    }
    participant->url = text;
    return true;
}

static bool
read_members(struct resource_op *op, struct coordinator_participant *participant)
{
    struct span name;
    if (resource_text(op, "name", &name)) {
        if (name.size == 0) {
            resource_invalid(
                op,
                "parameter_invalid_empty",
                "name",
                "A participant has a name: it cannot be "
                "unset.");
            return false;
        }
        participant->name = name;
    }
    (void)resource_boolean(op, "disabled", &participant->disabled);
    return read_url(op, participant) &&
           resource_metadata(op, participant->metadata, &participant->metadata) == ERR_OK;
}

/* A new secret, sealed and shown. */
static err_t
make_secret(struct resource_op *op, struct coordinator_participant *participant)
{
    struct coordinator *coordinator = resource_op_service(op);
    struct os_entropy *entropy = coordinator->parts.entropy;
    struct arena *arena = resource_op_arena(op);
    char *secret = arena_alloc(arena, CALLBACK_SECRET_SIZE);
    char *sealed = arena_alloc(arena, CALLBACK_SEALED_SIZE);
    if (secret == NULL || sealed == NULL) {
        return ERR_FULL;
    }
    callback_secret_make(entropy, secret);
    TRY(callback_secret_seal(coordinator->key, entropy, participant->header.id, secret, sealed));
    participant->secret = span_of(sealed, CALLBACK_SEALED_SIZE);
    participant->shown_secret = span_of(secret, CALLBACK_SECRET_SIZE);
    return ERR_OK;
}

/* Saves, answers with the participant, and overwrites the secret that was shown. */
static void
save_and_answer(struct resource_op *op, struct coordinator_participant *participant)
{
    err_t result = resource_save(op, &coordinator_participant_type, participant);
    if (result != ERR_OK) {
        resource_internal(op, result, "participant");
    } else {
        resource_answer_object(op, &coordinator_participant_type, participant);
    }
    struct span shown = participant->shown_secret;
    if (shown.size > 0) {
        explicit_bzero((void *)(uintptr_t)shown.data, shown.size);
    }
}

void
coordinator_participant_create(struct resource_op *op)
{
    struct coordinator_participant *participant = resource_new(op, &coordinator_participant_type);
    if (participant == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    if (!read_members(op, participant)) {
        return;
    }
    err_t result = make_secret(op, participant);
    if (result != ERR_OK) {
        resource_internal(op, result, "participant's secret");
        return;
    }
    save_and_answer(op, participant);
}

static void
update_locked(struct resource_op *op)
{
    struct coordinator_participant *participant =
        resource_require(op, &coordinator_participant_type, "id", resource_op_capture(op, 0));
    if (participant != NULL && read_members(op, participant)) {
        save_and_answer(op, participant);
    }
}

void
coordinator_participant_update(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), update_locked);
}

static void
roll_locked(struct resource_op *op)
{
    struct coordinator_participant *participant =
        resource_require(op, &coordinator_participant_type, "id", resource_op_capture(op, 0));
    int64_t expires_in = ROLL_DEFAULT_S;
    if (participant == NULL) {
        return;
    }
    (void)resource_integer(op, "expires_in", &expires_in);
    int64_t now = (int64_t)resource_now_s(op);
    if (expires_in > 0 && participant->old_secret_until > now) {
        resource_invalid(
            op,
            NULL,
            "expires_in",
            "A secret that was replaced is still in use, until %lld. Wait until then, or send "
            "expires_in=0, which ends both.",
            (long long)participant->old_secret_until);
        return;
    }
    participant->old_secret = expires_in > 0 ? participant->secret : SPAN_EMPTY;
    participant->old_secret_until = expires_in > 0 ? now + expires_in : 0;
    err_t result = make_secret(op, participant);
    if (result != ERR_OK) {
        resource_internal(op, result, "participant's secret");
        return;
    }
    save_and_answer(op, participant);
}

void
coordinator_participant_roll(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), roll_locked);
}

void
coordinator_participant_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &coordinator_participant_type, resource_op_capture(op, 0));
}

void
coordinator_participant_list(struct resource_op *op)
{
    resource_answer_list(op, &coordinator_participant_type, "/v1/participants", NULL, 0);
}
