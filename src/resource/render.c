/* Objects as the API shows them, with references expanded. */
#include "expand.h"
#include "shown.h"

#include "base/assert.h"

#include <string.h>

struct resource_render {
    struct resource_op *op;
    struct json_writer *json;
    struct resource_expand *expand; /* of the object being written; NULL: nothing */
    bool trial;                     /* nothing is loaded: only the names count */
    err_t *error;                   /* of the first load that failed */
};

struct json_writer *
resource_render_json(struct resource_render *render)
{
    return render->json;
}

struct resource_op *
resource_render_op(struct resource_render *render)
{
    return render->op;
}

void
resource_body_init(struct buf *body)
{
    buf_init(body, RESOURCE_BODY_LIMIT);
    (void)buf_reserve(body, RESOURCE_BODY_FIRST); /* a failure shows at the end */
}

void
resource_render_header(
    struct resource_render *render, const struct resource_type *type, const void *document)
{
    const struct resource_header *header = document;
    json_member_text(render->json, "id", header->id);
    json_member_cstr(render->json, "object", type->object);
    json_member_i64(render->json, "created", header->created);
    json_member_bool(render->json, "livemode", header->livemode);
}

void
resource_render_deleted(
    struct resource_render *render, const struct resource_type *type, const void *document)
{
    const struct resource_header *header = document;
    json_object_begin(render->json);
    json_member_text(render->json, "id", header->id);
    json_member_cstr(render->json, "object", type->object);
    json_member_bool(render->json, "deleted", true);
    json_object_end(render->json);
}

void
resource_render_note(struct resource_render *render, err_t error)
{
    if (*render->error == ERR_OK) {
        *render->error = error;
    }
}

/* What stands for the reference: the loaded document, or NULL if it stays an id. `type` becomes
 * that of the remains of one that was removed. */
static void *
referenced(struct resource_render *render, const struct resource_type **type, struct span id)
{
    if (render->trial) {
        return resource_row_new(&render->op->arena, *type, render->op->caller.scope, SPAN("trial"));
    }
    if (id.size == 0) {
        return NULL;
    }
    void *document = NULL;
    err_t error = resource_load(render->op, *type, id, &document);
    if (error == ERR_NOT_FOUND && (*type)->remains != NULL) {
        *type = (*type)->remains;
        error = resource_load(render->op, *type, id, &document);
    }
    if (error == ERR_CORRUPT) {
        resource_note_damaged(render->op, *type, id);
    }
    bool stays = error == ERR_NOT_FOUND || error == ERR_CORRUPT;
    resource_render_note(render, stays ? ERR_OK : error);
    return error == ERR_OK ? document : NULL;
}

void
resource_render_reference(
    struct resource_render *render,
    const char *name,
    const struct resource_type *type,
    struct span id)
{
    struct resource_expand *child = resource_expand_child(render->expand, span_from_cstr(name));
    void *document = NULL;
    if (child != NULL && !resource_shown_expanded(render->op, type)) {
        child->forbidden = type;
    } else if (child != NULL) {
        child->used = true;
        document = referenced(render, &type, id);
    }
    if (document == NULL) {
        json_member_text_or_null(render->json, name, id);
        return;
    }
    if (resource_shown_in_part(render->op)) { /* so nothing in it is expanded */
        json_member_raw(render->json, name, resource_render_shown(render->op, type, document));
        return;
    }
    struct resource_render inner = *render;
    inner.expand = child;
    json_key(render->json, name);
    type->render(&inner, document);
}

bool
resource_render_asks(struct resource_render *render, const char *name)
{
    struct resource_expand *child = resource_expand_child(render->expand, span_from_cstr(name));
    if (child != NULL) {
        child->used = true;
    }
    return child != NULL;
}

struct resource_expand *
resource_render_enter(struct resource_render *render, const char *name)
{
    struct resource_expand *outer = render->expand;
    struct resource_expand *child = resource_expand_child(outer, span_from_cstr(name));
    if (child != NULL && child->children != NULL) {
        child->used = true; /* the hash itself is no reference */
    }
    json_key(render->json, name);
    json_object_begin(render->json);
    render->expand = child;
    return outer;
}

void
resource_render_leave(struct resource_render *render, struct resource_expand *outer)
{
    json_object_end(render->json);
    render->expand = outer;
}

err_t
resource_render_object(
    struct resource_op *op,
    const struct resource_type *type,
    const void *document,
    struct resource_expand *expand,
    struct json_writer *json)
{
    err_t error = ERR_OK;
    struct resource_render render = {.op = op, .json = json, .expand = expand, .error = &error};
    type->render(&render, document);
    return error;
}

/* The paths of a list begin with "data", which names its objects. A search's may also be
 * total_count. */
static bool
expand_list(struct resource_op *op, struct resource_expand **ret_objects)
{
    *ret_objects = NULL;
    struct resource_expand *child = op->expand->children;
    for (; child != NULL; child = child->next) {
        bool counts = op->route->answers_search && child->children == NULL &&
                      span_equal_cstr(child->name, "total_count");
        if (span_equal_cstr(child->name, "data")) {
            *ret_objects = child;
        } else if (!counts) {
            resource_expand_refuse(op, child);
            return false;
        }
        child->used = true;
    }
    return true;
}

/* Renders an empty object of the route's type, to see whether it has the references asked for:
 * before anything happens, not when the money has moved. */
bool
resource_expand_try(struct resource_op *op)
{
    const struct resource_type *type = op->route->answers;
    struct resource_expand *expand = op->expand;
    bool several = op->route->answers_list || op->route->answers_search;
    if (several && !expand_list(op, &expand)) {
        return false;
    }
    struct json_writer json;
    struct buf text;
    err_t error = ERR_OK;
    void *document = resource_row_new(&op->arena, type, op->caller.scope, SPAN("trial"));
    if (document == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return false;
    }
    resource_body_init(&text);
    json_begin(&json, &text);
    struct resource_render render = {
        .op = op, .json = &json, .expand = expand, .trial = true, .error = &error};
    type->render(&render, document);
    buf_release(&text);
    const struct resource_expand *unused = resource_expand_unused(op->expand);
    if (unused != NULL) {
        resource_expand_refuse(op, unused);
        return false;
    }
    return true;
}

/* The runtime's, which stays as large as it has grown, up to this. */
#define SPARE_MAX 65536

/* A render hook may render another object: that one gets a buffer of its own. */
static void
spare_take(struct resource_runtime *runtime, struct buf *ret_text)
{
    *ret_text = runtime->spare;
    runtime->spare = (struct buf){.data = NULL};
    if (ret_text->data == NULL) {
        resource_body_init(ret_text);
    }
}

static void
spare_give_back(struct resource_runtime *runtime, struct buf *text)
{
    if (runtime->spare.data != NULL || text->capacity > SPARE_MAX) {
        buf_release(text);
        return;
    }
    buf_clear(text);
    runtime->spare = *text;
}

struct span
resource_render_text(struct resource_op *op, const struct resource_type *type, const void *document)
{
    struct buf text;
    struct json_writer json;
    spare_take(op->runtime, &text);
    json_begin(&json, &text);
    err_t error = resource_render_object(op, type, document, NULL, &json);
    ASSERT(error == ERR_OK); /* nothing was expanded, so nothing was loaded */
    struct span result = buf_failed(&text) ? SPAN_EMPTY : arena_copy(&op->arena, buf_span(&text));
    spare_give_back(op->runtime, &text);
    return result;
}

/* The members of a whole object that a publishable key is shown. */
static void
shown_in_part(const struct resource_type *type, struct span whole, struct buf *out)
{
    ASSERT(type->public_members != NULL); /* of every type that a route for such keys answers */
    resource_shown_members(whole, type->public_members, out);
}

struct span
resource_render_shown(
    struct resource_op *op, const struct resource_type *type, const void *document)
{
    struct span whole = resource_render_text(op, type, document);
    if (!resource_shown_in_part(op) || whole.size == 0) {
        return whole;
    }
    struct buf text;
    spare_take(op->runtime, &text);
    shown_in_part(type, whole, &text);
    struct span result = buf_failed(&text) ? SPAN_EMPTY : arena_copy(&op->arena, buf_span(&text));
    spare_give_back(op->runtime, &text);
    return result;
}

void
resource_answer_object(
    struct resource_op *op, const struct resource_type *type, const void *document)
{
    struct buf body;
    struct json_writer json;
    resource_body_init(&body);
    json_begin(&json, &body);
    err_t error = resource_render_object(op, type, document, op->expand, &json);
    /* Where the route did not say what it answers, a change is not undone for a wrong name. */
    bool reads = op->request != NULL && strcmp(op->route->method, "GET") == 0;
    const struct resource_expand *unused = reads ? resource_expand_unused(op->expand) : NULL;
    if (error != ERR_OK || unused != NULL) {
        buf_release(&body);
        if (error != ERR_OK) {
            resource_internal(op, error, "expanding");
        } else {
            resource_expand_refuse(op, unused);
        }
        return;
    }
    if (resource_shown_in_part(op) && !buf_failed(&body)) {
        struct buf part;
        resource_body_init(&part);
        shown_in_part(type, buf_span(&body), &part);
        buf_release(&body);
        body = part;
    }
    resource_answer(op, 200, &body);
}

void
resource_answer_emitted(
    struct resource_op *op, const struct resource_type *type, const void *document)
{
    bool whole = op->expand == NULL && !resource_shown_in_part(op); /* as an event shows it */
    if (op->emitted_document != document || !whole) {
        resource_answer_object(op, type, document);
        return;
    }
    struct buf body;
    buf_init(&body, RESOURCE_BODY_LIMIT);
    buf_append_span(&body, op->emitted_text);
    resource_answer(op, 200, &body);
}

void
resource_answer_retrieve(struct resource_op *op, const struct resource_type *type, struct span id)
{
    const void *document = resource_require(op, type, "id", id);
    if (document != NULL) {
        resource_answer_object(op, type, document);
    }
}
