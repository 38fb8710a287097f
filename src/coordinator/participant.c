/* /v1/participants: create, retrieve, update, list, and replacing the secret. */
#include "private.h"

#include "base/assert.h"
#include "resource/pages.h"

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
    return recipient_read_url(
               op, &participant->recipient, participant->header.livemode, "participants") &&
           resource_metadata(op, participant->metadata, &participant->metadata) == ERR_OK;
}

static struct recipient_seal
seal_of(struct resource_op *op, const struct coordinator_participant *participant)
{
    const struct coordinator *coordinator = resource_op_service(op);
    return (struct recipient_seal){
        .keys = coordinator->parts.keys,
        .entropy = coordinator->parts.entropy,
        .id = participant->header.id,
    };
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
    recipient_wipe_shown(&participant->recipient);
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
    const struct recipient_seal seal = seal_of(op, participant);
    err_t result = recipient_make_secret(op, &seal, &participant->recipient);
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
    if (participant == NULL) {
        return;
    }
    const struct recipient_seal seal = seal_of(op, participant);
    if (recipient_roll_secret(op, &seal, &participant->recipient)) {
        save_and_answer(op, participant);
    }
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
