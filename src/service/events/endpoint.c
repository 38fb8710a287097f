/* /v1/webhook_endpoints: create, retrieve, update, delete, list, and replacing the secret. */
#include "service.h"

#include "events/filter.h"

#include "base/assert.h"
#include "resource/pages.h"

#define PATTERN_SHOWN 64
#define VERSION_DATE  10 /* 2026-08-26 */
#define VERSION_MAX   64

/* ----------------------------------------------------------------------------------- parameters */

static bool
read_patterns(struct resource_op *op, struct events_endpoint *endpoint)
{
    struct events *events = resource_op_service(op);
    const struct form_node *list = resource_node(op, "enabled_events");
    if (list == NULL) {
        return true;
    }
    uint32_t index = 0;
    for (const struct form_node *item = list->first_child; item != NULL; item = item->next) {
        char param[32];
        struct buf name;
        if (events_filter_is_known(item->text) ||
            resource_event_type_is_known(events->parts.runtime, item->text)) {
            index++;
            continue;
        }
        buf_init_fixed(&name, param, sizeof(param) - 1);
        buf_append_format(&name, "enabled_events[%u]", index);
        param[name.size] = '\0';
        resource_invalid(
            op,
            NULL,
            param,
            "Invalid %s: '%.*s' is no event type. Give names such as charge.succeeded, a group "
            "such as charge.*, or * for all.",
            param,
            (int)(item->text.size < PATTERN_SHOWN ? item->text.size : PATTERN_SHOWN),
            item->text.size == 0 ? "" : item->text.data);
        return false;
    }
    if (index == 0) {
        resource_invalid(
            op,
            "parameter_invalid_empty",
            "enabled_events",
            "enabled_events needs at least one event type, or *.");
        return false;
    }
    endpoint->enabled_events = resource_json(op, "enabled_events");
    return endpoint->enabled_events.size > 0;
}

/* "2026-08-26", "2026-08-26.dahlia". */
static bool
is_version(struct span text)
{
    static const char layout[] = "dddd-dd-dd";
    static_assert(sizeof(layout) == VERSION_DATE + 1, "one letter for each character");
    if (text.size < VERSION_DATE || text.size > VERSION_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        bool digit = byte >= '0' && byte <= '9';
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        bool right = digit || letter || byte == '_';
        if (i < VERSION_DATE) {
            right = layout[i] == 'd' ? digit : byte == '-';
        } else if (i == VERSION_DATE) {
            right = byte == '.';
        }
        if (!right) {
            return false;
        }
    }
    return text.size == VERSION_DATE || text.size > VERSION_DATE + 1;
}

/* SDKs refuse events of another release than their own, so an endpoint keeps the version that its
 * maker speaks. */
static bool
read_version(struct resource_op *op, struct events_endpoint *endpoint)
{
    struct span text = SPAN_EMPTY;
    if (resource_text(op, "api_version", &text) && text.size > 0 && !is_version(text)) {
        resource_invalid(
            op,
            NULL,
            "api_version",
            "Invalid api_version: a version is a date, or a date and a release's name, as "
            "in " RESOURCE_API_VERSION ".");
        return false;
    }
    endpoint->api_version = text;
    if (text.size == 0) {
        struct span spoken = resource_op_request(op)->api_version;
        endpoint->api_version = is_version(spoken) ? spoken : SPAN(RESOURCE_API_VERSION);
    }
    return true;
}

static bool
read_members(struct resource_op *op, struct events_endpoint *endpoint)
{
    (void)resource_text(op, "description", &endpoint->description);
    return recipient_read_url(op, &endpoint->recipient, endpoint->header.livemode, "endpoints") &&
           read_patterns(op, endpoint) &&
           resource_metadata(op, endpoint->metadata, &endpoint->metadata) == ERR_OK;
}

/* -------------------------------------------------------------------------------------- secrets */

static struct recipient_seal
seal_of(struct resource_op *op, const struct events_endpoint *endpoint)
{
    const struct events *events = resource_op_service(op);
    return (struct recipient_seal){
        .keys = events->keys.all,
        .entropy = events->parts.entropy,
        .id = endpoint->header.id,
    };
}

/* Answers with the endpoint, and overwrites the secret that was shown. */
static void
answer(struct resource_op *op, struct events_endpoint *endpoint)
{
    resource_answer_object(op, &events_endpoint_type, endpoint);
    recipient_wipe_shown(&endpoint->recipient);
}

/* --------------------------------------------------------------------------------------- create */

struct seen {
    uint32_t count;
    uint32_t enabled;
};

static bool
see(void *context, void *document)
{
    struct seen *seen = context;
    seen->count++;
    seen->enabled += ((const struct events_endpoint *)document)->disabled ? 0 : 1;
    return true;
}

/* It takes a place as any other one, and gets nothing. */
static void
see_damaged(void *context, struct span id)
{
    struct seen *seen = context;
    seen->count++;
    (void)id;
}

static err_t
look_at_all(struct resource_op *op, struct seen *seen)
{
    struct document_query query = {.range_column = UINT32_MAX, .limit = EVENTS_ENDPOINTS_MAX};
    *seen = (struct seen){.count = 0};
    const struct resource_visitor visitor = {.each = see, .damaged = see_damaged, .context = seen};
    return resource_look(op, &events_endpoint_type, &query, &visitor);
}

/* Before one becomes enabled: deliveries begin with what happens from now on. While another one is
 * enabled the cursor moves by itself. */
static err_t
begin_deliveries(struct resource_op *op)
{
    struct seen seen;
    TRY(look_at_all(op, &seen));
    return seen.enabled == 0 ? events_cursor_to_now(op) : ERR_OK;
}

/* Stores the endpoint and has it take effect. */
static err_t
put(struct resource_op *op, struct events_endpoint *endpoint)
{
    struct events *events = resource_op_service(op);
    struct events_scope *scope;
    TRY(events_scope_get(events, resource_op_caller(op)->scope, &scope));
    TRY(resource_save(op, &events_endpoint_type, endpoint));
    TRY(events_endpoint_noted(op));
    if (events->shared) { /* whoever is told has the word of all processes */
        resource_op_hold_answer(op, 2 * EVENTS_SWEEP_NS);
    }
    events_scope_changed(scope);
    return ERR_OK;
}

static bool
check_count(struct resource_op *op)
{
    struct events *events = resource_op_service(op);
    struct seen seen;
    err_t result = look_at_all(op, &seen);
    if (result == ERR_OK) {
        result = events_number_refresh(op);
    }
    if (result == ERR_OK &&
        (events->target_count >= EVENTS_TARGETS_MAX || events->last_number >= EVENTS_NUMBER_MAX)) {
        result = ERR_FULL;
    }
    if (result != ERR_OK) {
        resource_internal(op, result, "webhook endpoints");
        return false;
    }
    if (seen.count >= EVENTS_ENDPOINTS_MAX) {
        resource_invalid(
            op,
            NULL,
            NULL,
            "You have reached the maximum of %d %s webhook endpoints. Delete one first.",
            EVENTS_ENDPOINTS_MAX,
            resource_op_caller(op)->live ? "live" : "test");
        return false;
    }
    return true;
}

static bool
check_connect(struct resource_op *op)
{
    bool connect;
    if (resource_boolean(op, "connect", &connect) && connect) {
        resource_invalid(
            op, NULL, "connect", "There are no connected accounts whose events could be sent.");
        return false;
    }
    return true;
}

void
events_endpoint_create(struct resource_op *op)
{
    struct events *events = resource_op_service(op);
    struct events_endpoint *endpoint = resource_new(op, &events_endpoint_type);
    if (endpoint == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    if (!check_connect(op) || !read_members(op, endpoint) || !read_version(op, endpoint) ||
        !check_count(op)) {
        return;
    }
    endpoint->number = ++events->last_number;
    const struct recipient_seal seal = seal_of(op, endpoint);
    err_t result = recipient_make_secret(op, &seal, &endpoint->recipient);
    if (result == ERR_OK) {
        result = begin_deliveries(op);
    }
    if (result == ERR_OK) {
        result = put(op, endpoint);
    }
    if (result != ERR_OK) {
        resource_internal(op, result, "webhook endpoint");
        return;
    }
    answer(op, endpoint);
}

/* --------------------------------------------------------------------- retrieve, update, delete */

void
events_endpoint_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &events_endpoint_type, resource_op_capture(op, 0));
}

static err_t
set_disabled(struct resource_op *op, struct events_endpoint *endpoint)
{
    bool disabled;
    if (!resource_boolean(op, "disabled", &disabled) || disabled == endpoint->disabled) {
        return ERR_OK;
    }
    if (!disabled) {
        TRY(begin_deliveries(op));
        endpoint->failing_since = 0;
    }
    endpoint->disabled = disabled;
    endpoint->disabled_by_us = false;
    return ERR_OK;
}

static void
update_locked(struct resource_op *op)
{
    struct events_endpoint *endpoint =
        resource_require(op, &events_endpoint_type, "id", resource_op_capture(op, 0));
    if (endpoint == NULL || !read_members(op, endpoint)) {
        return;
    }
    err_t result = set_disabled(op, endpoint);
    if (result == ERR_OK) {
        result = put(op, endpoint);
    }
    if (result != ERR_OK) {
        resource_internal(op, result, "webhook endpoint");
        return;
    }
    answer(op, endpoint);
}

void
events_endpoint_update(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), update_locked);
}

static err_t
remove_endpoint(
    struct resource_op *op,
    struct events_endpoint *endpoint,
    const struct events_deleted_endpoint *deleted)
{
    struct events_scope *scope;
    TRY(events_scope_get(resource_op_service(op), resource_op_caller(op)->scope, &scope));
    TRY(resource_remove(op, &events_endpoint_type, endpoint));
    TRY(resource_save(op, &events_deleted_endpoint_type, (void *)(uintptr_t)deleted));
    TRY(events_endpoint_noted(op));
    events_scope_changed(scope);
    return ERR_OK;
}

static void
delete_locked(struct resource_op *op)
{
    struct events_endpoint *endpoint =
        resource_require(op, &events_endpoint_type, "id", resource_op_capture(op, 0));
    if (endpoint == NULL) {
        return;
    }
    struct events_deleted_endpoint *deleted = resource_new(op, &events_deleted_endpoint_type);
    if (deleted == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    deleted->header.id = endpoint->header.id;
    deleted->number = endpoint->number;
    err_t result = remove_endpoint(op, endpoint, deleted);
    if (result != ERR_OK) {
        resource_internal(op, result, "webhook endpoint");
        return;
    }
    resource_answer_object(op, &events_deleted_endpoint_type, deleted);
}

void
events_endpoint_delete(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), delete_locked);
}

void
events_endpoint_list(struct resource_op *op)
{
    resource_answer_list(op, &events_endpoint_type, "/v1/webhook_endpoints", NULL, 0);
}

/* ----------------------------------------------------------------------------------------- roll */

static void
roll_locked(struct resource_op *op)
{
    struct events_endpoint *endpoint =
        resource_require(op, &events_endpoint_type, "id", resource_op_capture(op, 0));
    if (endpoint == NULL) {
        return;
    }
    const struct recipient_seal seal = seal_of(op, endpoint);
    if (!recipient_roll_secret(op, &seal, &endpoint->recipient)) {
        return;
    }
    err_t result = resource_save(op, &events_endpoint_type, endpoint);
    if (result != ERR_OK) {
        resource_internal(op, result, "webhook endpoint");
        return;
    }
    answer(op, endpoint);
}

void
events_endpoint_roll(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), roll_locked);
}
