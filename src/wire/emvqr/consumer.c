#include "emvqr/consumer.h"

#include "emvqr_private.h"

#include "base/assert.h"
#include "base/base64.h"

#define TAG_BYTES_MAX     3
#define AID_SIZE_MIN      5 /* ISO/IEC 7816-5 */
#define AID_SIZE_MAX      16
#define FIRST_TAG_BYTE(b) ((unsigned char)(b))

struct reading {
    struct span bytes;
    struct emvqr_consumer *code;
    struct emvqr_refusal *refusal;
};

static err_t
refuse_at(const struct reading *reading, enum emvqr_problem problem, const char *at)
{
    size_t position = at == NULL ? 0 : (size_t)(at - reading->bytes.data);
    return emvqr_refuse(reading->refusal, problem, position, NULL, NULL);
}

/* -------------------------------------------------------------------------------------- TLV */

static err_t
take_tag(const struct reading *reading, struct span *rest, uint32_t *ret_tag)
{
    const char *start = rest->data;
    uint32_t tag = FIRST_TAG_BYTE(rest->data[0]);
    size_t size = 1;
    if (tag == 0 || tag == 0xff) { /* filler between objects in ISO/IEC 7816-4, not in a code */
        return refuse_at(reading, EMVQR_TAG_INVALID, start);
    }
    bool more = (tag & 0x1fU) == 0x1fU;
    while (more) {
        if (size == rest->size || size == TAG_BYTES_MAX) {
            return refuse_at(reading, EMVQR_TAG_INVALID, start);
        }
        uint8_t byte = (unsigned char)rest->data[size++];
        tag = (tag << 8) | byte;
        more = (byte & 0x80U) != 0;
    }
    *rest = span_slice(*rest, size, rest->size);
    *ret_tag = tag;
    return ERR_OK;
}

/* One byte, or 81 and one, or 82 and two. */
static err_t
take_length(const struct reading *reading, struct span *rest, size_t *ret_length)
{
    if (rest->size == 0) {
        return refuse_at(reading, EMVQR_LENGTH_INVALID, rest->data);
    }
    uint8_t first = (unsigned char)rest->data[0];
    size_t more = first < 0x80 ? 0 : (size_t)first - 0x80;
    if (first == 0x80 || more > 2 || rest->size < 1 + more) {
        return refuse_at(reading, EMVQR_LENGTH_INVALID, rest->data);
    }
    size_t length = first < 0x80 ? first : 0;
    for (size_t i = 1; i <= more; i++) {
        length = (length << 8) | (unsigned char)rest->data[i];
    }
    *rest = span_slice(*rest, 1 + more, rest->size);
    if (length > rest->size) {
        return refuse_at(reading, EMVQR_LENGTH_OVERRUN, rest->data);
    }
    *ret_length = length;
    return ERR_OK;
}

static bool
is_constructed(uint32_t tag)
{
    while (tag > 0xff) {
        tag >>= 8;
    }
    return (tag & 0x20U) != 0;
}

static err_t
read_object(struct reading *reading, uint8_t parent, uint32_t first, struct span *rest)
{
    struct emvqr_consumer *code = reading->code;
    const char *start = rest->data;
    uint32_t tag = 0;
    size_t length = 0;
    TRY(take_tag(reading, rest, &tag));
    TRY(take_length(reading, rest, &length));
    for (uint32_t i = first; i < code->node_count; i++) {
        if (code->nodes[i].tag == tag && tag != EMVQR_TAG_APPLICATION) {
            return refuse_at(reading, EMVQR_ID_DUPLICATE, start);
        }
    }
    if (code->node_count == EMVQR_CONSUMER_NODES_MAX) {
        return refuse_at(reading, EMVQR_TOO_MANY, start);
    }
    uint8_t depth = parent == EMVQR_NO_NODE ? 0 : (uint8_t)(code->nodes[parent].depth + 1);
    if (depth >= EMVQR_CONSUMER_DEPTH_MAX) {
        return refuse_at(reading, EMVQR_DEPTH, start);
    }
    code->nodes[code->node_count++] = (struct emvqr_consumer_node){
        .value = span_slice(*rest, 0, length), .tag = tag, .parent = parent, .depth = depth};
    *rest = span_slice(*rest, length, rest->size);
    return ERR_OK;
}

static err_t
read_objects(struct reading *reading, uint8_t parent, struct span content)
{
    struct emvqr_consumer *code = reading->code;
    uint32_t first = code->node_count;
    while (content.size > 0) {
        TRY(read_object(reading, parent, first, &content));
    }
    if (parent != EMVQR_NO_NODE) {
        code->nodes[parent].first_child = (uint8_t)first;
        code->nodes[parent].child_count = (uint8_t)(code->node_count - first);
    }
    return ERR_OK;
}

static err_t
read_nodes(struct reading *reading)
{
    struct emvqr_consumer *code = reading->code;
    TRY(read_objects(reading, EMVQR_NO_NODE, reading->bytes));
    /* A queue, as in parse.c. */
    for (uint32_t i = 0; i < code->node_count; i++) {
        if (is_constructed(code->nodes[i].tag)) {
            TRY(read_objects(reading, (uint8_t)i, code->nodes[i].value));
        }
    }
    return ERR_OK;
}

/* ------------------------------------------------------------------------------------ rules */

static err_t
check_format(const struct reading *reading)
{
    const struct emvqr_consumer_node *first = &reading->code->nodes[0];
    if (first->tag != EMVQR_TAG_FORMAT || !span_starts_with(first->value, SPAN("CPV"))) {
        return refuse_at(reading, EMVQR_NOT_A_CODE, reading->bytes.data);
    }
    return span_equal_cstr(first->value, "CPV01")
               ? ERR_OK
               : refuse_at(reading, EMVQR_FORMAT_UNKNOWN, first->value.data);
}

static err_t
check_applications(const struct reading *reading)
{
    struct emvqr_consumer *code = reading->code;
    for (uint32_t i = 0; i < code->node_count; i++) {
        const struct emvqr_consumer_node *node = &code->nodes[i];
        if (node->tag != EMVQR_TAG_APPLICATION) {
            continue;
        }
        if (node->depth != 0) {
            return refuse_at(reading, EMVQR_TAG_INVALID, node->value.data);
        }
        const struct emvqr_consumer_node *aid = emvqr_consumer_find(code, node, EMVQR_TAG_AID);
        if (aid == NULL) {
            return refuse_at(reading, EMVQR_FIELD_MISSING, node->value.data);
        }
        if (aid->value.size < AID_SIZE_MIN || aid->value.size > AID_SIZE_MAX) {
            return refuse_at(reading, EMVQR_VALUE_LENGTH, aid->value.data);
        }
        code->application_count++;
    }
    return code->application_count > 0 ? ERR_OK : refuse_at(reading, EMVQR_ACCOUNT_MISSING, NULL);
}

err_t
emvqr_consumer_parse(
    struct span text,
    uint8_t memory[EMVQR_CONSUMER_BYTES_MAX],
    struct emvqr_consumer *ret_code,
    struct emvqr_refusal *ret_refusal)
{
    static_assert(
        BASE64_BYTES_MAX(EMVQR_CONSUMER_TEXT_MAX) == EMVQR_CONSUMER_BYTES_MAX, "memory suffices");
    struct reading reading = {.code = ret_code, .refusal = ret_refusal};
    size_t size = 0;
    size_t position = 0;
    *ret_code = (struct emvqr_consumer){0};
    *ret_refusal = (struct emvqr_refusal){0};
    if (text.size == 0) {
        return emvqr_refuse(ret_refusal, EMVQR_EMPTY, 0, NULL, NULL);
    }
    if (text.size > EMVQR_CONSUMER_TEXT_MAX) {
        return emvqr_refuse(ret_refusal, EMVQR_TOO_LONG, EMVQR_CONSUMER_TEXT_MAX, NULL, NULL);
    }
    if (!base64_decode(text, memory, &size, &position)) {
        return emvqr_refuse(ret_refusal, EMVQR_BASE64_INVALID, position, NULL, NULL);
    }
    reading.bytes = span_of(memory, size);
    ret_code->decoded = reading.bytes;
    TRY(read_nodes(&reading));
    TRY(check_format(&reading));
    return check_applications(&reading);
}

const struct emvqr_consumer_node *
emvqr_consumer_find(
    const struct emvqr_consumer *code, const struct emvqr_consumer_node *parent, uint32_t tag)
{
    uint8_t wanted = parent == NULL ? EMVQR_NO_NODE : (uint8_t)(parent - code->nodes);
    ASSERT(parent == NULL || wanted < code->node_count);
    for (uint32_t i = 0; i < code->node_count; i++) {
        if (code->nodes[i].parent == wanted && code->nodes[i].tag == tag) {
            return &code->nodes[i];
        }
    }
    return NULL;
}

bool
emvqr_tag_is_sensitive(uint32_t tag)
{
    return tag == EMVQR_TAG_PAN || tag == EMVQR_TAG_TRACK_2;
}
