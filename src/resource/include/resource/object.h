/*
 * Objects: how a type's documents are stored, shown, answered and told of in events. Every function
 * is for inside an operation (resource.h), on the runtime's loop.
 */
#ifndef RESOURCE_OBJECT_H
#define RESOURCE_OBJECT_H

#include "resource/resource.h"

/* ---------------------------------------------------------------------------------- documents */

/* Describes one member of a document's struct; encode and decode follow the table. Members with
 * their zero value are left out of the text, and are zero after decoding; a column copied from a
 * member with its zero value is NULL. */
enum resource_field_kind {
    RESOURCE_FIELD_TEXT,    /* struct span */
    RESOURCE_FIELD_JSON,    /* struct span of JSON text, written raw */
    RESOURCE_FIELD_INTEGER, /* int64_t */
    RESOURCE_FIELD_BOOLEAN, /* bool */
};

struct resource_field {
    const char *name;
    enum resource_field_kind kind;
    size_t offset;
    int32_t column; /* index into the kind's columns, or -1 */
    /* The column has it, and the body does not: programs of the version before, which may work on
     * the same database, cannot read a body with a member that they do not know. */
    bool in_column_only;
};

/*
 * A type of object: how it is stored and how it is shown. The struct of every type begins with
 * `struct resource_header`.
 */
struct resource_header {
    struct span id;
    uint32_t version; /* 0: not stored yet */
    int64_t created;  /* unix seconds */
    bool livemode;
    uint64_t scope;
    struct resource_stored *stored; /* the runtime's: the row as it is in the database */
};

struct resource_render;

/* A member of an object that not everybody sees whole. */
struct resource_shown {
    const char *name;
    /* What is shown of its value where that is an object, as in resource_type.public_members. NULL:
     * all of it. */
    const struct resource_shown *members;
};

struct resource_type {
    const char *object; /* "payment_intent" */
    const char *prefix; /* "pi_" */
    const struct document_kind *kind;
    const struct resource_field *fields;
    uint32_t field_count;
    size_t struct_size;
    /* Writes the public JSON object. */
    void (*render)(struct resource_render *render, const void *document);
    /* A restricted key with the right "PERMISSION:read" may see it expanded. NULL: none may. */
    const char *permission;
    /* The members that an answer shows to a publishable key, which is in every payer's browser; one
     * without a name behind the last. NULL: no route for such keys answers it, and none may expand
     * it. */
    const struct resource_shown *public_members;
    /* What is left under the id of one that was removed, and is expanded in its place. NULL: then
     * the id stays. */
    const struct resource_type *remains;
};

/* A document from its row's body, for those who read rows without an operation. `document` is a
 * zeroed struct of the type; of its header only `created` is filled in. Its spans point into the
 * body or the arena. ERR_CORRUPT, ERR_FULL. */
MUST_USE err_t resource_fields_decode(
    struct arena *arena, const struct resource_type *type, struct span body, void *document);

/* Zeroed, with header filled in (id, created, livemode, scope); NULL if the arena is full. */
void *resource_new(struct resource_op *op, const struct resource_type *type);
/* In the caller's scope. ERR_NOT_FOUND, ERR_DATABASE, ERR_CORRUPT. */
MUST_USE err_t resource_load(
    struct resource_op *op, const struct resource_type *type, struct span id, void **ret_document);
/* The row whatever its body is, as a document with nothing in it but its header (without
 * `created`): for who removes what cannot be read, or writes it anew. ERR_NOT_FOUND, ERR_DATABASE.
 */
MUST_USE err_t resource_load_blank(
    struct resource_op *op, const struct resource_type *type, struct span id, void **ret_document);
/* As resource_load, of what has to be there. NULL: the operation was answered, with 404 that names
 * `param` if it is not. */
void *resource_require(
    struct resource_op *op, const struct resource_type *type, const char *param, struct span id);
/* The number inside an id of the type. Whoever stored the id has checked it. */
u128 resource_number(const struct resource_type *type, struct span id);
/* When an object of that id was made, in unix seconds: lists find `created` through the id, so the
 * two must agree. */
int64_t resource_created_of(const struct resource_type *type, struct span id);
/*
 * For a rule that looks whether something is there before it writes, and that no lock covers: among
 * processes that share the documents, of two operations that guard the same name at once one loses
 * (ERR_STALE at its commit), runs again and looks again. Call it before looking. The name is at
 * most 255 bytes of UTF-8 without zeros. Does nothing in a process that is alone.
 */
MUST_USE err_t resource_guard(struct resource_op *op, struct span name);
/* Insert (version 0) or update. ERR_STALE: somebody else changed it since it was loaded. */
MUST_USE err_t
resource_save(struct resource_op *op, const struct resource_type *type, void *document);
/* A row that is stored. ERR_STALE as for resource_save. */
MUST_USE err_t
resource_remove(struct resource_op *op, const struct resource_type *type, void *document);

/* Visits documents that match, in the query's order, until `each` answers false; `document` lives
 * in the arena. */
typedef bool (*resource_each)(void *context, void *document);
MUST_USE err_t resource_find(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_query *query, /* the scope is filled in unless all_scopes */
    resource_each each,
    void *context);

/* The first whose text column has this value; *ret_document is NULL if there is none. */
MUST_USE err_t resource_find_first(
    struct resource_op *op,
    const struct resource_type *type,
    uint32_t column,
    struct span value,
    void **ret_document);

/* As resource_find, for who has to get past a row that is none of the type (its body is damaged):
 * `damaged` is told its id, in its place of the order. NULL: it ends the visit with ERR_CORRUPT. */
struct resource_visitor {
    resource_each each;
    void (*damaged)(void *context, struct span id);
    void *context;
    /* Set when the operation was laden (resource_op_is_laden): the last ones of the query are not
     * visited, the first one is. NULL: documents that do not fit end the visit with ERR_FULL. */
    bool *cut;
};

/* A row that cannot be read was left out of what somebody asked for: it is counted, and the log has
 * its id. */
void resource_note_damaged(
    struct resource_op *op, const struct resource_type *type, struct span id);
/* `damaged` of those who need not tell of it. */
void resource_pass_damaged(void *context, struct span id);

/* As resource_find, past what is damaged: for who does something for all, and must not stop for one
 * of them. Who compares (resource_visit) tells of it. */
MUST_USE err_t resource_find_sound(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_query *query,
    resource_each each,
    void *context);

/* The same for what is shown to somebody, who gets it without what is damaged: that is noted. */
MUST_USE err_t resource_find_shown(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_query *query,
    resource_each each,
    void *context);

MUST_USE err_t resource_visit(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_query *query,
    const struct resource_visitor *visitor);

/* A quarter of the operation's memory is used: who reads as many documents as there are stops here,
 * since they are still to be written as JSON, and what they name to be loaded. */
bool resource_op_is_laden(const struct resource_op *op);

/* For who only looks, at whatever there is: a document is gone when `each` has returned, which
 * neither reads nor writes. So this takes the memory of the largest one, not of all. */
MUST_USE err_t resource_look(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_query *query,
    const struct resource_visitor *visitor);

/* Of a kind whose rows have an order, in shared documents: those of all scopes behind a place, as
 * document_shared_ops.list_final has them. What is written in this transaction is not among them.
 */
struct resource_final_visitor {
    bool (*each)(void *context, void *document, int64_t number, bool is_final);
    /* A final one that cannot be read, in its place of the order. */
    void (*damaged)(void *context, struct span id, int64_t number);
    void *context;
};

MUST_USE err_t resource_find_final(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_place *behind,
    uint32_t limit,
    const struct resource_final_visitor *visitor);
/* Whose scope it is. ERR_NOT_FOUND: nobody's. */
MUST_USE err_t
resource_scope_merchant(struct resource_op *op, uint64_t scope, char ret_id[ID_TEXT_SIZE]);

/* ---------------------------------------------------------------------------------- rendering */

/* The JSON writer of this rendering (wire/json); render functions write members through it. */
struct json_writer;
/* Where a type's `render` writes to, and for which operation. */
struct json_writer *resource_render_json(struct resource_render *render);
struct resource_op *resource_render_op(struct resource_render *render);
/* `"name": "cus_..."`, or the object itself if `expand` asks for it; null if id is empty. */
void resource_render_reference(
    struct resource_render *render,
    const char *name,
    const struct resource_type *type,
    struct span id);
/* Whether `expand` asks for this member, which is left out of the object otherwise. */
bool resource_render_asks(struct resource_render *render, const char *name);
/* Begins a hash inside the object, whose references `expand` names as "name.reference"; what is
 * returned goes to resource_render_leave. */
struct resource_expand;
struct resource_expand *resource_render_enter(struct resource_render *render, const char *name);
void resource_render_leave(struct resource_render *render, struct resource_expand *outer);
/* Writes the head that every object has: id, object, created, livemode. */
void resource_render_header(
    struct resource_render *render, const struct resource_type *type, const void *document);
/* The whole of what is left of one that was deleted: id, object, deleted. */
void resource_render_deleted(
    struct resource_render *render, const struct resource_type *type, const void *document);
/* Something that the object shows could not be read: the rendering fails, if this is an error. */
void resource_render_note(struct resource_render *render, err_t error);
/* The whole object, unexpanded, as text in the arena: for events. */
struct span resource_render_text(
    struct resource_op *op, const struct resource_type *type, const void *document);
/* The same as the caller may see it: for errors. */
struct span resource_render_shown(
    struct resource_op *op, const struct resource_type *type, const void *document);

/* ------------------------------------------------------------------------------------- answers */

/* Loads the object and answers with it: the body of a handler. */
void resource_answer_retrieve(
    struct resource_op *op, const struct resource_type *type, struct span id);
/* Renders with the request's `expand` and answers 200. */
void resource_answer_object(
    struct resource_op *op, const struct resource_type *type, const void *document);
/* The same of an object that this operation has emitted an event about and not changed since: the
 * answer is what the event shows, and is not rendered again unless something is expanded or the
 * caller is shown a part of it only. */
void resource_answer_emitted(
    struct resource_op *op, const struct resource_type *type, const void *document);
/* The parameter of routes that answer an object: put into the table. */
#define RESOURCE_EXPAND_PARAM                                                                      \
    {                                                                                              \
        .name = "expand", .kind = RESOURCE_PARAM_TEXT_LIST, .maximum = 64                          \
    }

/* ---------------------------------------------------------------------------- saved, and then */
/* If it cannot be saved, resource_internal answers, and logs `what`. */

/* Saves, writes an event row about the object (NULL: none), and answers with the object. */
void resource_answer_saved(
    struct resource_op *op,
    const struct resource_type *type,
    void *document,
    const char *what,
    const char *event);
/* Saves, and runs `step` after the commit. */
void resource_save_then(
    struct resource_op *op,
    const struct resource_type *type,
    void *document,
    const char *what,
    resource_step step);

/* ------------------------------------------------------------------------------------- events */

/* Writes an event row about the object as it is now. `previous` is a JSON object of the changed
 * members' former values, or empty: then those of a "....updated" are what this operation has
 * changed of the document since the last commit. */
MUST_USE err_t resource_emit(
    struct resource_op *op,
    const char *event_type,
    const struct resource_type *type,
    const void *document,
    struct span previous);

/* The `previous` of what is no document of its own, and so of nothing that was saved: which members
 * of `before` the object does not have any more, or not so, as resource_render_text wrote both. In
 * the arena. ERR_FULL, ERR_CORRUPT. */
MUST_USE err_t resource_changed_since(
    struct resource_op *op, struct span before, struct span after, struct span *ret_previous);

/* GET /v1/events and /v1/events/:id. */
extern const struct resource_route resource_event_routes[];
extern const uint32_t resource_event_route_count;

#endif
