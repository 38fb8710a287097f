/* What a request asks for, as a hash: whoever repeats a key has to ask for the same. */
#include "runtime.h"

#include "base/assert.h"

#include <stdlib.h>

static int
compare_names(const void *a, const void *b)
{
    const struct form_node *const *left = a;
    const struct form_node *const *right = b;
    return span_compare((*left)->name, (*right)->name);
}

static void
append_text(struct buf *out, struct span text)
{
    buf_append_u64(out, text.size);
    buf_append_byte(out, ':');
    buf_append_span(out, text);
}

/* The node so that equal trees give equal text: hashes sorted by name, every text with its length.
 * As deep as the form codec lets it be (FORM_DEPTH_MAX). */
static bool
append_node(struct buf *out, const struct form_node *node, struct arena *arena)
{
    if (node->kind == FORM_TEXT) {
        append_text(out, node->text);
        return true;
    }
    const struct form_node **children =
        ARENA_ARRAY(arena, const struct form_node *, node->child_count);
    if (children == NULL) {
        return false;
    }
    size_t count = 0;
    for (const struct form_node *child = node->first_child; child != NULL; child = child->next) {
        children[count++] = child;
    }
    ASSERT(count == node->child_count);
    if (node->kind == FORM_HASH) {
        qsort((void *)children, count, sizeof(children[0]), compare_names);
    }
    buf_append_byte(out, node->kind == FORM_HASH ? '{' : '[');
    for (size_t i = 0; i < count; i++) {
        append_text(out, children[i]->name);
        if (!append_node(out, children[i], arena)) {
            return false;
        }
    }
    buf_append_byte(out, '}');
    return true;
}

/* The clear card number is not in the parameters any more: its keyed fingerprint stands for it. */
static void
append_card(struct buf *out, const struct resource_op *op)
{
    if (op->has_card) {
        buf_append_u64(out, (uint64_t)op->tokenize.outcome);
        append_text(out, span_from_cstr(op->tokenize.card.fingerprint));
    }
}

err_t
resource_idempotency_hash(struct resource_op *op)
{
    const struct resource_request *request = op->request;
    struct buf *text = &op->runtime->scratch;
    buf_clear(text);
    append_text(text, span_from_cstr(op->route->method));
    append_text(text, span_from_cstr(op->route->pattern));
    append_text(text, request->captures[0]);
    append_text(text, request->captures[1]);
    append_card(text, op);
    if (!append_node(text, request->params, &op->arena) || buf_failed(text)) {
        return ERR_FULL;
    }
    uint8_t hash[RESOURCE_HASH_SIZE];
    resource_hmac(op->runtime->secret, buf_span(text), hash);
    resource_hex(hash, op->idempotency.hash);
    return ERR_OK;
}
