/*
 * Text to tree, one parameter after the other; the first that is wrong ends it. Messages name
 * parameters and never quote values: a value may be a card number.
 */
#include "form/form.h"

#include "base/assert.h"

#include "form_private.h"

struct form_parser {
    struct arena *arena;
    struct form_node *root;
    uint32_t params;
    struct span param;   /* of the failure */
    struct span message; /* of the failure */
};

static err_t
fail(struct form_parser *parser, err_t error, const char *message)
{
    parser->message = span_from_cstr(message);
    return error;
}

static err_t
fail_full(struct form_parser *parser)
{
    return fail(parser, ERR_FULL, "The parameters do not fit into memory.");
}

/* "Parameter <name> <problem>." */
static err_t
fail_param(struct form_parser *parser, err_t error, struct span name, const char *problem)
{
    ASSERT(name.size > 0);
    parser->message = arena_format(parser->arena, "Parameter %.*s %s.", SPAN_PRINTF(name), problem);
    if (parser->message.size == 0) {
        return fail_full(parser);
    }
    parser->param = name;
    return error;
}

static bool
hex_read(char byte, unsigned *value)
{
    unsigned digit;
    if (byte >= '0' && byte <= '9') {
        digit = (unsigned)(byte - '0');
    } else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f') {
        digit = (unsigned)((byte | 0x20) - 'a' + 10);
    } else {
        return false;
    }
    *value = *value << 4 | digit;
    return true;
}

/* Why a text could not be decoded. */
enum decoding {
    DECODING_OK,
    DECODING_PERCENT,
    DECODING_BYTES, /* not UTF-8, or a zero byte */
    DECODING_FULL,
};

/* '+' and %XX to bytes, into the arena. */
static enum decoding
decode(struct arena *arena, struct span text, struct span *ret_text)
{
    *ret_text = SPAN_EMPTY;
    if (text.size == 0) {
        return DECODING_OK;
    }
    char *out = arena_alloc(arena, text.size);
    if (out == NULL) {
        return DECODING_FULL;
    }
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '+') {
            byte = ' ';
        } else if (byte == '%') {
            unsigned value = 0;
            if (text.size - i < 3 || !hex_read(text.data[i + 1], &value) ||
                !hex_read(text.data[i + 2], &value)) {
                return DECODING_PERCENT;
            }
            byte = (char)value;
            i += 2;
        }
        if (byte == 0) {
            return DECODING_BYTES;
        }
        out[size++] = byte;
    }
    *ret_text = span_of(out, size);
    return span_is_utf8(*ret_text) ? DECODING_OK : DECODING_BYTES;
}

static err_t
name_decode(struct form_parser *parser, struct span raw, struct span *ret_name)
{
    if (raw.size > 3 * FORM_NAME_MAX) {
        return fail(parser, ERR_INVALID, "A parameter's name is too long.");
    }
    switch (decode(parser->arena, raw, ret_name)) {
    case DECODING_OK:
        break;
    case DECODING_PERCENT:
    case DECODING_BYTES:
        return fail(
            parser,
            ERR_INVALID,
            "A parameter's name is not percent-encoded UTF-8 without zero bytes.");
    case DECODING_FULL:
        return fail_full(parser);
    }
    if (ret_name->size == 0) {
        return fail(parser, ERR_INVALID, "A parameter has no name.");
    }
    if (ret_name->size > FORM_NAME_MAX) {
        return fail(parser, ERR_INVALID, "A parameter's name is too long.");
    }
    return ERR_OK;
}

static err_t
value_decode(struct form_parser *parser, struct span name, struct span raw, struct span *ret_value)
{
    switch (decode(parser->arena, raw, ret_value)) {
    case DECODING_OK:
        return ERR_OK;
    case DECODING_PERCENT:
        return fail_param(
            parser,
            ERR_INVALID,
            name,
            "has a percent sign without two hexadecimal digits behind it in its value");
    case DECODING_BYTES:
        return fail_param(
            parser, ERR_INVALID, name, "has a value that is not UTF-8, or has a zero byte");
    case DECODING_FULL:
        break;
    }
    return fail_full(parser);
}

/* Keeps arrays in the order of their indexes; SDKs send them in order, so the end is the first
 * place to look. */
static void
child_link(struct form_node *parent, struct form_node *child)
{
    struct form_node **place = &parent->first_child;
    struct form_node *last = parent->last_child;
    bool sorted = parent->kind == FORM_ARRAY;
    if (last != NULL && (!sorted || last->index < child->index)) {
        place = &last->next;
    } else {
        while (*place != NULL && (*place)->index < child->index) {
            place = &(*place)->next;
        }
    }
    child->next = *place;
    *place = child;
    if (child->next == NULL) {
        parent->last_child = child;
    }
    child->parent = parent;
    parent->child_count++;
}

/* How a container's keys look so far. */
enum shape {
    SHAPE_EMPTY,    /* no key yet */
    SHAPE_APPENDED, /* all are [] */
    SHAPE_INDEXED,
    SHAPE_NAMED,
};

static enum shape
shape_of(const struct form_node *node)
{
    if (node->first_child == NULL) {
        return node->parent == NULL ? SHAPE_NAMED : SHAPE_EMPTY;
    }
    if (node->kind == FORM_HASH) {
        return SHAPE_NAMED;
    }
    return node->first_child->name.size == 0 ? SHAPE_APPENDED : SHAPE_INDEXED;
}

/* FORM-3: decides what `parent` is now that `key` is one of its keys; false if [] is mixed with
 * keys that are written out. */
static bool
shape_join(struct form_node *parent, struct span key, uint32_t *ret_index)
{
    enum shape shape = shape_of(parent);
    *ret_index = 0;
    if (key.size == 0) {
        if (shape == SHAPE_INDEXED || shape == SHAPE_NAMED) {
            return false;
        }
        parent->kind = FORM_ARRAY;
        *ret_index = parent->child_count;
        return true;
    }
    if (shape == SHAPE_APPENDED) {
        return false;
    }
    bool is_index = form_index_parse(key, ret_index);
    if (shape == SHAPE_NAMED || !is_index) {
        parent->kind = FORM_HASH;
        return true;
    }
    parent->kind = FORM_ARRAY;
    return true;
}

/* The child of `parent` for one key of the full name `name`, made if it is new. A new one has the
 * kind FORM_TEXT until it gets a child. */
static err_t
child_enter(
    struct form_parser *parser,
    struct form_node *parent,
    struct span name,
    struct span key,
    struct form_node **ret_child)
{
    uint32_t index;
    if (!shape_join(parent, key, &index)) {
        return fail_param(parser, ERR_INVALID, name, "mixes [] with keys that are written out");
    }
    *ret_child = form_child(parent, key);
    if (*ret_child != NULL) {
        return ERR_OK;
    }
    if (parent->child_count == FORM_CHILDREN_MAX) {
        return fail_param(parser, ERR_FULL, name, "is one of too many in its list");
    }
    struct form_node *child = ARENA_NEW(parser->arena, struct form_node);
    if (child == NULL) {
        return fail_full(parser);
    }
    child->name = key;
    child->index = index;
    child_link(parent, child);
    *ret_child = child;
    return ERR_OK;
}

/* Whether a node was given a value: an entered node without one gets a child or a value at once,
 * so a text is told from a new node by its data. */
static bool
is_new(const struct form_node *node)
{
    return node->kind == FORM_TEXT && node->text.data == NULL;
}

static err_t
param_place(struct form_parser *parser, struct span name, struct span value)
{
    struct form_node *node = parser->root;
    struct span rest = name;
    for (unsigned depth = 0; depth == 0 || rest.size > 0; depth++) {
        struct span key;
        if (!form_name_next(&rest, depth == 0, &key)) {
            return fail_param(parser, ERR_INVALID, name, "has brackets that do not pair");
        }
        if (depth == FORM_DEPTH_MAX) {
            return fail_param(parser, ERR_INVALID, name, "is nested too deeply");
        }
        if (key.size == 0 && rest.size > 0) {
            return fail_param(
                parser, ERR_INVALID, name, "needs an index: [] can only be the last key");
        }
        if (node->kind == FORM_TEXT && !is_new(node)) {
            return fail_param(
                parser, ERR_INVALID, name, "lies inside a parameter that has a value");
        }
        TRY(child_enter(parser, node, name, key, &node));
    }
    if (node->kind != FORM_TEXT) {
        return fail_param(parser, ERR_INVALID, name, "has a value and also parameters inside it");
    }
    if (!is_new(node)) {
        return fail_param(parser, ERR_INVALID, name, "was given more than once");
    }
    node->text = value.size > 0 ? value : SPAN("");
    return ERR_OK;
}

static err_t
param_add(struct form_parser *parser, struct span param)
{
    if (parser->params == FORM_PARAMS_MAX) {
        return fail(parser, ERR_FULL, "There are too many parameters.");
    }
    parser->params++;
    struct span raw_value = param;
    struct span raw_name = span_cut(&raw_value, '=');
    struct span name;
    struct span value;
    TRY(name_decode(parser, raw_name, &name));
    TRY(value_decode(parser, name, raw_value, &value));
    return param_place(parser, name, value);
}

err_t
form_parse(
    struct span text,
    struct arena *arena,
    struct form_node **ret_root,
    struct span *ret_param,
    struct span *ret_message)
{
    struct form_parser parser = {.arena = arena, .root = form_empty(arena)};
    *ret_param = SPAN_EMPTY;
    *ret_message = SPAN_EMPTY;
    err_t error = parser.root == NULL ? fail_full(&parser) : ERR_OK;
    while (text.size > 0 && error == ERR_OK) {
        struct span param = span_cut(&text, '&');
        if (param.size > 0) {
            error = param_add(&parser, param);
        }
    }
    if (error != ERR_OK) {
        *ret_param = parser.param;
        *ret_message = parser.message;
        return error;
    }
    *ret_root = parser.root;
    return ERR_OK;
}
