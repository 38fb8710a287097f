/*
 * Any bytes as a code that a merchant shows, as they are and with the right checksum behind them.
 * What is accepted lies within the text, is known to the scheme reader, and built again from what
 * was read is the same code.
 */
#include "emvqr/scheme.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_inside(struct span part, struct span whole)
{
    return part.size > 0 && part.data >= whole.data &&
           part.data + part.size <= whole.data + whole.size;
}

static void
check_nodes(const struct emvqr_code *code, struct span text)
{
    ASSERT(code->node_count <= EMVQR_NODES_MAX);
    for (uint32_t i = 0; i < code->node_count; i++) {
        const struct emvqr_node *node = &code->nodes[i];
        ASSERT(is_inside(node->value, text));
        ASSERT(span_is_utf8(node->value));
        const struct emvqr_node *parent =
            node->parent == EMVQR_NO_NODE ? NULL : &code->nodes[node->parent];
        ASSERT(parent == NULL || is_inside(node->value, parent->value));
        ASSERT(parent == NULL || i >= parent->first_child);
        ASSERT(parent == NULL || i < (uint32_t)parent->first_child + parent->child_count);
        ASSERT(emvqr_find(code, parent, node->id) == node);
        struct emvqr_account account;
        if (emvqr_account_read(code, node, &account)) {
            ASSERT(account.identifier.size > 0);
            for (uint32_t f = 0; f < account.field_count; f++) {
                ASSERT(is_inside(account.fields[f].value, text));
            }
        }
    }
}

/* The path of a node, outermost first. */
static struct emvqr_leaf
leaf_of(const struct emvqr_code *code, const struct emvqr_node *node)
{
    struct emvqr_leaf leaf = {.value = node->value};
    uint8_t reversed[EMVQR_DEPTH_MAX];
    for (const struct emvqr_node *at = node;; at = &code->nodes[at->parent]) {
        reversed[leaf.depth++] = at->id;
        if (at->parent == EMVQR_NO_NODE) {
            break;
        }
    }
    for (uint8_t i = 0; i < leaf.depth; i++) {
        leaf.path[i] = reversed[leaf.depth - 1 - i];
    }
    return leaf;
}

/* Objects that a draft has no member for. */
static bool
is_leaf(const struct emvqr_leaf *leaf, const struct emvqr_node *node)
{
    uint8_t id = leaf->path[0];
    if (node->child_count > 0) {
        return false;
    }
    if (id == 62 && leaf->depth > 1) {
        return leaf->path[1] == 0 || leaf->path[1] >= EMVQR_ADDITIONAL_COUNT;
    }
    if (id == 64 && leaf->depth > 1) {
        return leaf->path[1] > 2;
    }
    return (id >= 2 && id <= 51) || id > 64;
}

static void
check_again(const struct emvqr_code *code)
{
    struct emvqr_leaf leaves[EMVQR_NODES_MAX];
    struct emvqr_draft draft = {
        .length_unit = code->length_unit,
        .initiation = code->initiation,
        .currency = code->currency,
        .has_amount = code->has_amount,
        .amount = code->amount,
        .tip = code->tip,
        .tip_amount = code->tip_amount,
        .tip_basis_points = code->tip_basis_points,
        .category = code->category,
        .country = code->country,
        .name = code->name,
        .city = code->city,
        .postal_code = code->postal_code,
        .language = code->language,
        .language_name = code->language_name,
        .language_city = code->language_city,
        .leaves = leaves,
    };
    memcpy(draft.additional, code->additional, sizeof(draft.additional));
    for (uint32_t i = 0; i < code->node_count; i++) {
        struct emvqr_leaf leaf = leaf_of(code, &code->nodes[i]);
        if (is_leaf(&leaf, &code->nodes[i])) {
            leaves[draft.leaf_count++] = leaf;
        }
    }
    char memory[EMVQR_BYTES_MAX];
    struct buf out;
    struct emvqr_refusal refusal;
    struct emvqr_code again;
    buf_init_fixed(&out, memory, sizeof(memory));
    err_t result = emvqr_build(&draft, &out, &refusal);
    /* Written in full, an amount may be longer than it was, and with it the code; and a code whose
     * lengths are bytes may, in another order, also read as characters. */
    if (result != ERR_OK) {
        ASSERT(
            refusal.problem == EMVQR_AMOUNT_RANGE || refusal.problem == EMVQR_TOO_LONG ||
            code->length_unit == EMVQR_BYTES);
        return;
    }
    ASSERT(emvqr_parse(buf_span(&out), &again, &refusal) == ERR_OK);
    ASSERT(again.node_count == code->node_count);
    ASSERT(again.amount == code->amount);
    ASSERT(again.tip_amount == code->tip_amount);
    ASSERT(again.tip_basis_points == code->tip_basis_points);
    ASSERT(emvqr_code_scheme(&again) == emvqr_code_scheme(code));
    for (uint32_t i = 0; i < draft.leaf_count; i++) {
        const struct emvqr_node *node = NULL;
        for (uint8_t d = 0; d < leaves[i].depth; d++) {
            node = emvqr_find(&again, node, leaves[i].path[d]);
            ASSERT(node != NULL);
        }
        ASSERT(span_equal(node->value, leaves[i].value));
    }
}

static void
check(struct span text)
{
    struct emvqr_code code;
    struct emvqr_refusal refusal;
    if (emvqr_parse(text, &code, &refusal) != ERR_OK) {
        ASSERT(refusal.problem != EMVQR_FINE);
        ASSERT(refusal.position <= text.size);
        ASSERT(memchr(refusal.path, 0, sizeof(refusal.path)) != NULL);
        return;
    }
    check_nodes(&code, text);
    check_again(&code);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char memory[EMVQR_BYTES_MAX + 8];
    struct buf sealed;
    check(span_of(data, size));
    buf_init_fixed(&sealed, memory, sizeof(memory));
    buf_append(&sealed, data, size);
    buf_append_cstr(&sealed, "6304");
    if (!buf_failed(&sealed)) {
        buf_append_format(&sealed, "%04X", (unsigned)emvqr_crc(buf_span(&sealed)));
    }
    if (!buf_failed(&sealed)) {
        check(buf_span(&sealed));
    }
    return 0;
}
