/* From text to nodes, and the checksum. The rules about the nodes are rules.c. */
#include "emvqr_private.h"

#include "base/assert.h"

struct reading {
    struct span text;
    struct emvqr_code *code;
    struct emvqr_refusal *refusal;
};

static size_t
position_in(struct span text, const char *at)
{
    return (size_t)(at - text.data);
}

static bool
is_account_template(const struct emvqr_node *node)
{
    return node->parent == EMVQR_NO_NODE && node->id >= ID_ACCOUNT_TEMPLATE_FIRST &&
           node->id <= ID_ACCOUNT_LAST;
}

bool
emvqr_is_own_template(const struct emvqr_code *code, const struct emvqr_node *node)
{
    if (node->parent == EMVQR_NO_NODE) {
        return node->id >= ID_UNRESERVED_FIRST;
    }
    const struct emvqr_node *parent = &code->nodes[node->parent];
    return parent->parent == EMVQR_NO_NODE && parent->id == ID_ADDITIONAL &&
           node->id >= ID_ADDITIONAL_OWN_FIRST;
}

bool
emvqr_has_identifier(const struct emvqr_code *code, const struct emvqr_node *node)
{
    return is_account_template(node) || emvqr_is_own_template(code, node);
}

/* Whether the node is one that holds objects, by its place. */
static bool
is_template(const struct emvqr_code *code, const struct emvqr_node *node)
{
    return emvqr_has_identifier(code, node) ||
           (node->parent == EMVQR_NO_NODE &&
            (node->id == ID_ADDITIONAL || node->id == ID_LANGUAGE));
}

/* Takes the next object off `rest`; its siblings are the nodes from `first` on. */
static err_t
read_object(struct reading *reading, uint8_t parent, uint32_t first, struct span *rest)
{
    struct emvqr_code *code = reading->code;
    size_t position = position_in(reading->text, rest->data);
    /* A node costs four characters that belong to no other node's id and length, and there are
     * EMVQR_CHARACTERS_MAX of them. */
    ASSERT(code->node_count < EMVQR_NODES_MAX);
    struct emvqr_node *node = &code->nodes[code->node_count];
    *node = (struct emvqr_node){.id = 0xff, .parent = parent};
    enum emvqr_problem problem = EMVQR_FINE;
    err_t result = emvqr_object_take(rest, code->length_unit, &node->id, &node->value, &problem);
    if (result != ERR_OK) {
        const struct emvqr_node *container = parent == EMVQR_NO_NODE ? NULL : &code->nodes[parent];
        const struct emvqr_node *where = node->id <= ID_LAST ? node : container;
        return emvqr_refuse(reading->refusal, problem, position, code, where);
    }
    for (uint32_t i = first; i < code->node_count; i++) {
        if (code->nodes[i].id == node->id) {
            return emvqr_refuse(reading->refusal, EMVQR_ID_DUPLICATE, position, code, node);
        }
    }
    code->node_count++;
    return ERR_OK;
}

static err_t
read_objects(struct reading *reading, uint8_t parent, struct span content)
{
    uint32_t first = reading->code->node_count;
    while (content.size > 0) {
        TRY(read_object(reading, parent, first, &content));
    }
    if (parent != EMVQR_NO_NODE) {
        struct emvqr_node *node = &reading->code->nodes[parent];
        node->first_child = (uint8_t)first;
        node->child_count = (uint8_t)(reading->code->node_count - first);
        ASSERT(node->child_count > 0);
    }
    return ERR_OK;
}

static void
crc_write(uint16_t crc, char out[EMVQR_CRC_SIZE])
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < EMVQR_CRC_SIZE; i++) {
        out[i] = digits[((unsigned)crc >> (12 - 4 * i)) & 0xfU];
    }
}

/* `value` is the last thing in the text. */
static bool
crc_holds(struct span text, struct span value)
{
    char wanted[EMVQR_CRC_SIZE];
    crc_write(emvqr_crc(span_slice(text, 0, position_in(text, value.data))), wanted);
    return span_equal(value, span_of(wanted, sizeof(wanted)));
}

/* The checksum is there and is the last object. */
static err_t
check_crc_object(struct reading *reading)
{
    const struct emvqr_code *code = reading->code;
    const struct emvqr_node *node = emvqr_find(code, NULL, ID_CRC);
    if (node == NULL) {
        return emvqr_refuse(reading->refusal, EMVQR_CRC_MISSING, reading->text.size, code, NULL);
    }
    size_t position = position_in(reading->text, node->value.data);
    if (node != &code->nodes[code->node_count - 1]) {
        return emvqr_refuse(reading->refusal, EMVQR_CRC_NOT_LAST, position, code, node);
    }
    if (node->value.size != EMVQR_CRC_SIZE) {
        return emvqr_refuse(reading->refusal, EMVQR_VALUE_LENGTH, position, code, node);
    }
    if (!crc_holds(reading->text, node->value)) {
        return emvqr_refuse(reading->refusal, EMVQR_CRC_WRONG, position, code, node);
    }
    return ERR_OK;
}

/* A template that is nobody's business but its owner's (80 to 99, and 62-50 to 62-99): what is not
 * made as the specification says stays one value. TrueMoney, for one, writes plain text into 81. */
static void
read_own_template(struct reading *reading, uint8_t index)
{
    struct emvqr_code *code = reading->code;
    struct emvqr_node *node = &code->nodes[index];
    struct emvqr_refusal kept = *reading->refusal;
    uint32_t count = code->node_count;
    if (read_objects(reading, index, node->value) != ERR_OK ||
        emvqr_find(code, node, ID_IDENTIFIER) == NULL) {
        *reading->refusal = kept;
        code->node_count = count;
        node->child_count = 0;
    }
}

/* The nodes are a queue: a template's children are appended while those before it are done, so
 * every level is read without recursion. */
static err_t
read_as(struct reading *reading, enum emvqr_length_unit unit)
{
    struct emvqr_code *code = reading->code;
    code->length_unit = unit;
    code->node_count = 0;
    TRY(read_objects(reading, EMVQR_NO_NODE, reading->text));
    TRY(check_crc_object(reading));
    for (uint32_t i = 0; i < code->node_count; i++) {
        const struct emvqr_node *node = &code->nodes[i];
        if (emvqr_is_own_template(code, node)) {
            read_own_template(reading, (uint8_t)i);
        } else if (is_template(code, node)) {
            TRY(read_objects(reading, (uint8_t)i, node->value));
        }
    }
    return ERR_OK;
}

static err_t
read_nodes(struct reading *reading)
{
    err_t result = read_as(reading, EMVQR_CHARACTERS);
    bool is_ascii = emvqr_character_count(reading->text) == reading->text.size;
    if (result == ERR_OK || is_ascii) {
        return result;
    }
    struct emvqr_refusal by_characters = *reading->refusal;
    if (read_as(reading, EMVQR_BYTES) == ERR_OK) {
        return ERR_OK;
    }
    *reading->refusal = by_characters;
    return result;
}

/* C0, DEL and, in UTF-8, C1. */
static bool
is_control(struct span text, size_t at)
{
    unsigned char byte = (unsigned char)text.data[at];
    if (byte < 0x20 || byte == 0x7f) {
        return true;
    }
    return byte == 0xc2 && at + 1 < text.size && (unsigned char)text.data[at + 1] < 0xa0;
}

static err_t
check_text(struct span text, struct emvqr_refusal *refusal)
{
    if (text.size == 0) {
        return emvqr_refuse(refusal, EMVQR_EMPTY, 0, NULL, NULL);
    }
    if (text.size > EMVQR_BYTES_MAX) {
        return emvqr_refuse(refusal, EMVQR_TOO_LONG, EMVQR_BYTES_MAX, NULL, NULL);
    }
    if (!span_is_utf8(text)) {
        return emvqr_refuse(refusal, EMVQR_UTF8_INVALID, 0, NULL, NULL);
    }
    if (emvqr_character_count(text) > EMVQR_CHARACTERS_MAX) {
        struct span fits = emvqr_fit(text, EMVQR_CHARACTERS_MAX);
        return emvqr_refuse(refusal, EMVQR_TOO_LONG, fits.size, NULL, NULL);
    }
    for (size_t i = 0; i < text.size; i++) {
        if (is_control(text, i)) {
            return emvqr_refuse(refusal, EMVQR_CONTROL_CHARACTER, i, NULL, NULL);
        }
    }
    if (!span_starts_with(text, SPAN("0002"))) {
        return emvqr_refuse(refusal, EMVQR_NOT_A_CODE, 0, NULL, NULL);
    }
    return ERR_OK;
}

/* A text that ends as a code does is told first whether it is whole: a damaged length would
 * otherwise be called many things. */
static err_t
check_crc_of_text(struct span text, struct emvqr_refusal *refusal)
{
    struct span tail = span_slice(text, text.size - EMVQR_HEADER_SIZE - EMVQR_CRC_SIZE, text.size);
    if (text.size <= EMVQR_HEADER_SIZE + EMVQR_CRC_SIZE || !span_starts_with(tail, SPAN("6304")) ||
        crc_holds(text, span_slice(tail, EMVQR_HEADER_SIZE, tail.size))) {
        return ERR_OK;
    }
    *refusal = (struct emvqr_refusal){
        .problem = EMVQR_CRC_WRONG, .position = text.size - EMVQR_CRC_SIZE, .path = "63"};
    return ERR_INVALID;
}

err_t
emvqr_parse(struct span text, struct emvqr_code *ret_code, struct emvqr_refusal *ret_refusal)
{
    struct reading reading = {.text = text, .code = ret_code, .refusal = ret_refusal};
    *ret_code = (struct emvqr_code){0};
    *ret_refusal = (struct emvqr_refusal){0};
    TRY(check_text(text, ret_refusal));
    TRY(check_crc_of_text(text, ret_refusal));
    TRY(read_nodes(&reading));
    ret_code->crc = emvqr_crc(span_slice(text, 0, text.size - EMVQR_CRC_SIZE));
    return emvqr_apply_rules(text, ret_code, ret_refusal);
}

const struct emvqr_node *
emvqr_find(const struct emvqr_code *code, const struct emvqr_node *parent, uint8_t id)
{
    uint8_t wanted = parent == NULL ? EMVQR_NO_NODE : (uint8_t)(parent - code->nodes);
    ASSERT(parent == NULL || wanted < code->node_count);
    for (uint32_t i = 0; i < code->node_count; i++) {
        if (code->nodes[i].parent == wanted && code->nodes[i].id == id) {
            return &code->nodes[i];
        }
    }
    return NULL;
}
