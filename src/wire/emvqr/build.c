#include "emvqr/build.h"

#include "emvqr_private.h"

#include "base/assert.h"

#define TEMPLATE_SIZE    (EMVQR_VALUE_MAX * EMVQR_UTF8_CHARACTER)
#define PERCENTAGE_SIZE  8
#define GENERATED_AMOUNT 24 /* any int64_t with its point */

struct building {
    const struct emvqr_draft *draft;
    struct emvqr_refusal *refusal;
    struct emvqr_leaf leaves[EMVQR_NODES_MAX]; /* of the draft and of its members, sorted */
    uint32_t leaf_count;
    char number[4]; /* of the currency, with a zero as the others */
    char amount[GENERATED_AMOUNT];
    char tip_amount[GENERATED_AMOUNT];
    char percentage[PERCENTAGE_SIZE];
};

/* `depth` is how much of the leaf's path the refusal names. */
static err_t
refuse_leaf(
    const struct building *building,
    enum emvqr_problem problem,
    const struct emvqr_leaf *leaf,
    uint8_t depth)
{
    struct emvqr_code nodes = {.node_count = depth};
    for (uint8_t i = 0; i < depth; i++) {
        nodes.nodes[i] = (struct emvqr_node){
            .id = leaf->path[i], .parent = i == 0 ? EMVQR_NO_NODE : (uint8_t)(i - 1)};
    }
    const struct emvqr_node *node = depth == 0 ? NULL : &nodes.nodes[depth - 1];
    return emvqr_refuse(building->refusal, problem, 0, &nodes, node);
}

/* ------------------------------------------------------------------------ collecting leaves */

/* Before, at or after: by path; an object before what is in it. */
static int
path_compare(const struct emvqr_leaf *a, const struct emvqr_leaf *b)
{
    for (uint8_t i = 0; i < a->depth && i < b->depth; i++) {
        if (a->path[i] != b->path[i]) {
            return (int)a->path[i] - (int)b->path[i];
        }
    }
    return (int)a->depth - (int)b->depth;
}

static err_t
add_leaf(struct building *building, const struct emvqr_leaf *leaf)
{
    if (leaf->depth == 0 || leaf->depth > EMVQR_DEPTH_MAX) {
        return refuse_leaf(building, EMVQR_DEPTH, leaf, 0);
    }
    for (uint8_t i = 0; i < leaf->depth; i++) {
        if (leaf->path[i] > ID_LAST) {
            return refuse_leaf(building, EMVQR_ID_INVALID, leaf, i);
        }
    }
    if (building->leaf_count == EMVQR_NODES_MAX) {
        return refuse_leaf(building, EMVQR_TOO_MANY, leaf, leaf->depth);
    }
    uint32_t at = building->leaf_count++;
    for (; at > 0 && path_compare(&building->leaves[at - 1], leaf) > 0; at--) {
        building->leaves[at] = building->leaves[at - 1];
    }
    building->leaves[at] = *leaf;
    return ERR_OK;
}

static err_t
add_value(struct building *building, uint8_t id, struct span value)
{
    const struct emvqr_leaf leaf = {.path = {id}, .depth = 1, .value = value};
    return value.size == 0 ? ERR_OK : add_leaf(building, &leaf);
}

static err_t
add_inner(struct building *building, uint8_t template_id, uint8_t id, struct span value)
{
    const struct emvqr_leaf leaf = {.path = {template_id, id}, .depth = 2, .value = value};
    return value.size == 0 ? ERR_OK : add_leaf(building, &leaf);
}

static err_t
add_amount(struct building *building, uint8_t id, int64_t amount, char memory[GENERATED_AMOUNT])
{
    const struct emvqr_leaf leaf = {.path = {id}, .depth = 1};
    struct buf text;
    if (amount <= 0) {
        return refuse_leaf(building, EMVQR_AMOUNT_RANGE, &leaf, 1);
    }
    buf_init_fixed(&text, memory, GENERATED_AMOUNT);
    emvqr_amount_append(&text, amount, building->draft->currency);
    ASSERT(!buf_failed(&text));
    if (text.size > EMVQR_AMOUNT_MAX) {
        return refuse_leaf(building, EMVQR_AMOUNT_RANGE, &leaf, 1);
    }
    return add_value(building, id, buf_span(&text));
}

static err_t
add_tip(struct building *building)
{
    const struct emvqr_draft *draft = building->draft;
    static const struct emvqr_leaf percentage = {.path = {ID_TIP_PERCENTAGE}, .depth = 1};
    struct buf text;
    switch (draft->tip) {
    case EMVQR_TIP_NONE:
        return ERR_OK;
    case EMVQR_TIP_PROMPT:
        return add_value(building, ID_TIP, SPAN("01"));
    case EMVQR_TIP_FIXED:
        TRY(add_value(building, ID_TIP, SPAN("02")));
        return add_amount(building, ID_TIP_FIXED, draft->tip_amount, building->tip_amount);
    case EMVQR_TIP_PERCENTAGE:
        if (draft->tip_basis_points == 0 || draft->tip_basis_points > EMVQR_BASIS_POINT_MAX) {
            return refuse_leaf(building, EMVQR_PERCENTAGE, &percentage, 1);
        }
        TRY(add_value(building, ID_TIP, SPAN("03")));
        buf_init_fixed(&text, building->percentage, sizeof(building->percentage));
        buf_append_format(
            &text, "%02u.%02u", draft->tip_basis_points / 100U, draft->tip_basis_points % 100U);
        return add_value(building, ID_TIP_PERCENTAGE, buf_span(&text));
    }
    UNREACHABLE();
}

static err_t
add_money(struct building *building)
{
    const struct emvqr_draft *draft = building->draft;
    if (draft->currency == NULL) {
        static const struct emvqr_leaf currency = {.path = {ID_CURRENCY}, .depth = 1};
        return refuse_leaf(building, EMVQR_FIELD_MISSING, &currency, 1);
    }
    struct buf number;
    buf_init_fixed(&number, building->number, sizeof(building->number));
    buf_append_format(&number, "%03u", (unsigned)draft->currency->number);
    TRY(add_value(building, ID_CURRENCY, buf_span(&number)));
    if (draft->has_amount) {
        TRY(add_amount(building, ID_AMOUNT, draft->amount, building->amount));
    }
    return add_tip(building);
}

/* Whether the leaf says what the draft has a member for, or what the codec itself writes. */
static bool
has_member(const struct emvqr_leaf *leaf)
{
    uint8_t id = leaf->path[0];
    if (id < ID_ACCOUNT_FIRST || (id > ID_ACCOUNT_LAST && id < ID_ADDITIONAL) || id == ID_CRC) {
        return true;
    }
    if (id != ID_ADDITIONAL && id != ID_LANGUAGE) {
        return false;
    }
    if (leaf->depth == 1) {
        return true;
    }
    uint8_t inner = leaf->path[1];
    return id == ID_ADDITIONAL ? inner > 0 && inner < EMVQR_ADDITIONAL_COUNT
                               : inner <= ID_LANGUAGE_CITY;
}

static err_t
add_members(struct building *building)
{
    const struct emvqr_draft *draft = building->draft;
    TRY(add_value(building, ID_FORMAT, SPAN("01")));
    if (draft->initiation != EMVQR_INITIATION_UNSAID) {
        struct span initiation = draft->initiation == EMVQR_STATIC ? SPAN("11") : SPAN("12");
        TRY(add_value(building, ID_INITIATION, initiation));
    }
    TRY(add_money(building));
    TRY(add_value(building, ID_CATEGORY, draft->category));
    TRY(add_value(building, ID_COUNTRY, draft->country));
    TRY(add_value(building, ID_NAME, draft->name));
    TRY(add_value(building, ID_CITY, draft->city));
    TRY(add_value(building, ID_POSTAL_CODE, draft->postal_code));
    TRY(add_inner(building, ID_LANGUAGE, ID_LANGUAGE_CODE, draft->language));
    TRY(add_inner(building, ID_LANGUAGE, ID_LANGUAGE_NAME, draft->language_name));
    TRY(add_inner(building, ID_LANGUAGE, ID_LANGUAGE_CITY, draft->language_city));
    for (int id = 1; id < EMVQR_ADDITIONAL_COUNT; id++) {
        TRY(add_inner(building, ID_ADDITIONAL, (uint8_t)id, draft->additional[id]));
    }
    for (size_t i = 0; i < draft->leaf_count; i++) {
        TRY(add_leaf(building, &draft->leaves[i]));
        if (has_member(&draft->leaves[i])) {
            const struct emvqr_leaf *leaf = &draft->leaves[i];
            return refuse_leaf(building, EMVQR_FIELD_UNEXPECTED, leaf, leaf->depth);
        }
    }
    return ERR_OK;
}

/* ---------------------------------------------------------------------------------- writing */

/* One object; `depth` and `leaf` name it in a refusal. */
static err_t
write_object(
    const struct building *building,
    const struct emvqr_leaf *leaf,
    uint8_t depth,
    struct span value,
    struct buf *out)
{
    size_t length = building->draft->length_unit == EMVQR_CHARACTERS ? emvqr_character_count(value)
                                                                     : value.size;
    if (length == 0) {
        return refuse_leaf(building, EMVQR_LENGTH_INVALID, leaf, depth);
    }
    if (length > EMVQR_VALUE_MAX || value.size > TEMPLATE_SIZE) {
        return refuse_leaf(building, EMVQR_VALUE_LENGTH, leaf, depth);
    }
    buf_append_format(out, "%02u%02zu", (unsigned)leaf->path[depth - 1], length);
    buf_append_span(out, value);
    return ERR_OK;
}

static bool
same_template(const struct emvqr_leaf *a, const struct emvqr_leaf *b, uint8_t depth)
{
    if (a->depth <= depth || b->depth <= depth) {
        return false;
    }
    for (uint8_t i = 0; i < depth; i++) {
        if (a->path[i] != b->path[i]) {
            return false;
        }
    }
    return true;
}

/* The leaves [from, ...) that share the first `depth` ids. */
static uint32_t
template_end(const struct building *building, uint32_t from, uint8_t depth)
{
    uint32_t end = from + 1;
    while (end < building->leaf_count &&
           same_template(&building->leaves[from], &building->leaves[end], depth)) {
        end++;
    }
    return end;
}

static err_t
write_nested(const struct building *building, uint32_t from, uint32_t to, struct buf *out)
{
    char memory[TEMPLATE_SIZE];
    struct buf content;
    buf_init_fixed(&content, memory, sizeof(memory));
    for (uint32_t i = from; i < to; i++) {
        const struct emvqr_leaf *leaf = &building->leaves[i];
        TRY(write_object(building, leaf, 3, leaf->value, &content));
    }
    if (buf_failed(&content)) {
        return refuse_leaf(building, EMVQR_VALUE_LENGTH, &building->leaves[from], 2);
    }
    return write_object(building, &building->leaves[from], 2, buf_span(&content), out);
}

static err_t
write_template(const struct building *building, uint32_t from, uint32_t to, struct buf *out)
{
    char memory[TEMPLATE_SIZE];
    struct buf content;
    buf_init_fixed(&content, memory, sizeof(memory));
    for (uint32_t i = from; i < to;) {
        const struct emvqr_leaf *leaf = &building->leaves[i];
        uint32_t next = i + 1;
        if (leaf->depth == 2) {
            TRY(write_object(building, leaf, 2, leaf->value, &content));
        } else {
            next = template_end(building, i, 2);
            TRY(write_nested(building, i, next, &content));
        }
        i = next;
    }
    if (buf_failed(&content)) {
        return refuse_leaf(building, EMVQR_VALUE_LENGTH, &building->leaves[from], 1);
    }
    return write_object(building, &building->leaves[from], 1, buf_span(&content), out);
}

static err_t
write_code(const struct building *building, struct buf *out)
{
    for (uint32_t i = 0; i < building->leaf_count;) {
        const struct emvqr_leaf *leaf = &building->leaves[i];
        uint32_t next = i + 1;
        if (leaf->depth == 1) {
            TRY(write_object(building, leaf, 1, leaf->value, out));
        } else {
            next = template_end(building, i, 1);
            TRY(write_template(building, i, next, out));
        }
        i = next;
    }
    buf_append_cstr(out, "6304");
    if (!buf_failed(out)) {
        buf_append_format(out, "%04X", (unsigned)emvqr_crc(buf_span(out)));
    }
    if (buf_failed(out)) {
        return emvqr_refuse(building->refusal, EMVQR_TOO_LONG, 0, NULL, NULL);
    }
    return ERR_OK;
}

/* EMVQR-5: what was written reads as what was meant. */
static err_t
verify(const struct building *building, struct span text)
{
    struct emvqr_code code;
    TRY(emvqr_parse(text, &code, building->refusal));
    bool is_ascii = emvqr_character_count(text) == text.size;
    if (!is_ascii && code.length_unit != building->draft->length_unit) {
        return emvqr_refuse(building->refusal, EMVQR_LENGTH_INVALID, 0, NULL, NULL);
    }
    ASSERT(code.currency == building->draft->currency);
    ASSERT(code.has_amount == building->draft->has_amount);
    ASSERT(!code.has_amount || code.amount == building->draft->amount);
    ASSERT(code.tip == building->draft->tip);
    return ERR_OK;
}

err_t
emvqr_build(const struct emvqr_draft *draft, struct buf *out, struct emvqr_refusal *ret_refusal)
{
    struct building building = {.draft = draft, .refusal = ret_refusal};
    char memory[EMVQR_BYTES_MAX];
    struct buf text;
    *ret_refusal = (struct emvqr_refusal){0};
    buf_init_fixed(&text, memory, sizeof(memory));
    err_t result = add_members(&building);
    if (result == ERR_OK) {
        result = write_code(&building, &text);
    }
    if (result == ERR_OK) {
        result = verify(&building, buf_span(&text));
    }
    if (result != ERR_OK) {
        ret_refusal->position = 0; /* of a text that nobody has seen */
        return result;
    }
    buf_append_span(out, buf_span(&text));
    return buf_failed(out) ? ERR_FULL : ERR_OK;
}
