/*
 * Any bytes as a form: the tree keeps its invariants, every node is found again by its full name,
 * and what was accepted can be written and reads the same.
 */
#include "form/form.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
node_check(const struct form_node *root, const struct form_node *node, struct arena *arena)
{
    if (node->parent != NULL) {
        struct span name = form_full_name(node, arena);
        const char *text = arena_cstr(arena, name);
        ASSERT(text != NULL);
        ASSERT(form_find(root, text) == node);
    }
    if (node->kind == FORM_TEXT) {
        ASSERT(node->first_child == NULL);
        ASSERT(span_is_utf8(node->text));
        ASSERT(node->text.size == 0 || memchr(node->text.data, 0, node->text.size) == NULL);
        return;
    }
    uint32_t count = 0;
    const struct form_node *last = NULL;
    for (const struct form_node *child = node->first_child; child != NULL; child = child->next) {
        ASSERT(child->parent == node);
        ASSERT(node->kind == FORM_HASH || last == NULL || last->index < child->index);
        ASSERT(node->kind == FORM_ARRAY || child->name.size > 0);
        last = child;
        count++;
        node_check(root, child, arena);
    }
    ASSERT(node->last_child == last);
    ASSERT(node->child_count == count);
    ASSERT(count <= FORM_CHILDREN_MAX);
}

static void
node_write(const struct form_node *node, struct arena *arena, struct buf *out)
{
    if (node->kind == FORM_TEXT) {
        const char *name = arena_cstr(arena, form_full_name(node, arena));
        ASSERT(name != NULL);
        form_append(out, name, node->text);
        return;
    }
    for (const struct form_node *child = node->first_child; child != NULL; child = child->next) {
        node_write(child, arena, out);
    }
}

static void
nodes_equal(const struct form_node *a, const struct form_node *b)
{
    ASSERT(a->kind == b->kind);
    ASSERT(a->child_count == b->child_count);
    ASSERT(a->kind != FORM_TEXT || span_equal(a->text, b->text));
    const struct form_node *left = a->first_child;
    const struct form_node *right = b->first_child;
    for (; left != NULL; left = left->next, right = right->next) {
        ASSERT(left->name.size == 0 || span_equal(left->name, right->name));
        nodes_equal(left, right);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, 64 << 20);
    struct form_node *root = NULL;
    struct span param;
    struct span message;
    err_t error = form_parse(span_of(data, size), &arena, &root, &param, &message);
    if (error != ERR_OK) {
        ASSERT(message.size > 0);
        ASSERT(message.size < FORM_MESSAGE_SIZE);
        ASSERT(param.size <= FORM_NAME_MAX);
        arena_release(&arena);
        return 0;
    }
    node_check(root, root, &arena);
    struct buf out;
    buf_init(&out, 64 << 20);
    node_write(root, &arena, &out);
    struct form_node *again = NULL;
    /* Written, a[] is a[0]: the name may grow past its limit. */
    error = form_parse(buf_span(&out), &arena, &again, &param, &message);
    ASSERT(
        error == ERR_OK ||
        (param.size == 0 && span_equal_cstr(message, "A parameter's name is too long.")));
    if (error == ERR_OK) {
        nodes_equal(root, again);
    }
    buf_release(&out);
    arena_release(&arena);
    return 0;
}
