/* A small object, and operations that emit events about it. */
#include "testing.h"

#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>

struct t_thing {
    struct resource_header header;
};

static void thing_render(struct resource_render *render, const void *document);

const struct document_kind t_thing_kind = {.name = "thing"};
static const struct resource_type thing_type = {
    .object = "thing",
    .prefix = "th_",
    .kind = &t_thing_kind,
    .struct_size = sizeof(struct t_thing),
    .render = thing_render,
};

static void
thing_render(struct resource_render *render, const void *document)
{
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &thing_type, document);
    json_object_end(json);
}

struct emission {
    char type[64];
    uint32_t count;
    bool refused;
};

static void
emit_run(struct resource_op *op)
{
    struct emission *emission = resource_op_state(op);
    struct emission what = *emission;
    struct span type = arena_copy(resource_op_arena(op), span_from_cstr(what.type));
    const char *name = arena_cstr(resource_op_arena(op), type);
    free(emission);
    for (uint32_t i = 0; i < what.count; i++) {
        struct t_thing *thing = resource_new(op, &thing_type);
        assert_non_null(thing);
        err_t result = resource_save(op, &thing_type, thing);
        if (result == ERR_OK) {
            result = resource_emit(op, name, &thing_type, thing, SPAN_EMPTY);
        }
        if (result != ERR_OK) {
            resource_internal(op, result, "emitting");
            return;
        }
    }
    if (what.refused) {
        resource_invalid(op, NULL, "thing", "No good.");
        return;
    }
    resource_finish(op);
}

void
t_emit(struct t_world *world, bool live, const char *type, uint32_t count, bool refused)
{
    struct emission *emission = calloc(1, sizeof(*emission));
    assert_non_null(emission);
    (void)snprintf(emission->type, sizeof(emission->type), "%s", type);
    emission->count = count;
    emission->refused = refused;
    /* The first merchant's number is 1. */
    assert_int_equal(
        resource_start_internal(world->runtime, live ? 3 : 2, NULL, emit_run, emission), ERR_OK);
}
