/* What a code that a payer shows says, and what a UPI address says. */
#include "qr.h"

#include "show.h"
#include "text.h"

#include "base/assert.h"
#include "json/json.h"

#include <stdio.h>

#define VALUE_SIZE (2 * EMVQR_CONSUMER_BYTES_MAX)
#define PATH_SIZE  32
/* Digits of a card number that may be shown (PCI DSS 3.4.1). */
#define SHOWN_FIRST 6
#define SHOWN_LAST  4

static void
print_buf(struct buf *out)
{
    buf_append_byte(out, '\n');
    if (!buf_failed(out)) {
        (void)fwrite(out->data, 1, out->size, stdout);
    }
}

/* ---------------------------------------------------------------------------------- payers */

/* "62-64-9F26"; applications are counted: "61.2-4F". */
static void
append_path(struct buf *out, const struct emvqr_consumer *code, uint32_t index)
{
    uint32_t chain[EMVQR_CONSUMER_DEPTH_MAX];
    uint32_t depth = 0;
    for (uint32_t at = index; at != EMVQR_NO_NODE; at = code->nodes[at].parent) {
        ASSERT(depth < EMVQR_CONSUMER_DEPTH_MAX);
        chain[depth++] = at;
    }
    while (depth > 0) {
        uint32_t at = chain[--depth];
        buf_append_format(out, "%02X", code->nodes[at].tag);
        if (code->nodes[at].tag == EMVQR_TAG_APPLICATION) {
            unsigned number = 0;
            for (uint32_t i = 0; i <= at; i++) {
                number += code->nodes[i].tag == EMVQR_TAG_APPLICATION ? 1 : 0;
            }
            buf_append_format(out, ".%u", number);
        }
        buf_append_cstr(out, depth > 0 ? "-" : "");
    }
}

/* Hex digits; of a card number only the first and last. */
static void
append_value(struct buf *out, const struct emvqr_consumer_node *node)
{
    size_t start = out->size;
    buf_append_hex(out, node->value.data, node->value.size);
    if (!emvqr_tag_is_sensitive(node->tag) || buf_failed(out)) {
        return;
    }
    /* A track has more than the number behind it: its end is no digits of the number. */
    size_t last = node->tag == EMVQR_TAG_PAN ? SHOWN_LAST : 0;
    size_t first = out->size - start > SHOWN_FIRST + SHOWN_LAST + 2 ? SHOWN_FIRST : 0;
    for (size_t i = start + first; i + (first > 0 ? last : 0) < out->size; i++) {
        out->data[i] = '*';
    }
}

static bool
is_text(struct span value)
{
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < 0x20 || value.data[i] > 0x7e) {
            return false;
        }
    }
    return value.size > 0;
}

static bool
has_text(const struct emvqr_consumer_node *node)
{
    return (node->tag == EMVQR_TAG_LABEL || node->tag == EMVQR_TAG_FORMAT ||
            node->tag == EMVQR_TAG_CARDHOLDER || node->tag == EMVQR_TAG_LANGUAGES) &&
           is_text(node->value);
}

/* An object that holds no others, as it is shown. */
struct leaf {
    char path_text[PATH_SIZE];
    char value_text[VALUE_SIZE];
    struct buf path;
    struct buf value;
    struct span text; /* empty if it has none */
};

/* False: it holds others. */
static bool
leaf_read(struct leaf *leaf, const struct emvqr_consumer *code, uint32_t index)
{
    const struct emvqr_consumer_node *node = &code->nodes[index];
    if (node->child_count > 0) {
        return false;
    }
    buf_init_fixed(&leaf->path, leaf->path_text, sizeof(leaf->path_text));
    buf_init_fixed(&leaf->value, leaf->value_text, sizeof(leaf->value_text));
    append_path(&leaf->path, code, index);
    append_value(&leaf->value, node);
    leaf->text = has_text(node) ? node->value : SPAN_EMPTY;
    return true;
}

bool
qr_print_consumer(const struct emvqr_consumer *code)
{
    struct show_table table;
    show_table_begin(&table, show_pair_columns, SHOW_PAIR_COLUMNS);
    for (uint32_t i = 0; i < code->node_count; i++) {
        struct leaf leaf;
        if (!leaf_read(&leaf, code, i)) {
            continue;
        }
        struct span shown = leaf.text.size > 0 ? leaf.text : buf_span(&leaf.value);
        show_cell_span(&table, SHOW_DIM, buf_span(&leaf.path));
        show_cell_span(&table, SHOW_PLAIN, shown);
    }
    return show_table_finish(&table);
}

bool
qr_print_consumer_json(const struct emvqr_consumer *code)
{
    struct buf out;
    struct json_writer json;
    buf_init(&out, QR_REPORT_SIZE);
    json_begin(&json, &out);
    json_object_begin(&json);
    json_member_cstr(&json, "kind", "consumer");
    json_member_i64(&json, "applications", code->application_count);
    json_key(&json, "objects");
    json_array_begin(&json);
    for (uint32_t i = 0; i < code->node_count; i++) {
        struct leaf leaf;
        if (!leaf_read(&leaf, code, i)) {
            continue;
        }
        json_object_begin(&json);
        json_member_text(&json, "path", buf_span(&leaf.path));
        json_member_text(&json, "value", buf_span(&leaf.value));
        json_member_text_or_null(&json, "text", leaf.text);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_object_end(&json);
    print_buf(&out);
    bool good = !buf_failed(&out);
    buf_release(&out);
    return good;
}

/* ------------------------------------------------------------------------------------- UPI */

struct upi_text {
    const char *name;
    struct span value;
};

#define UPI_TEXTS(upi)                                                                             \
    {                                                                                              \
        {"payee", (upi)->payee}, {"payee_name", (upi)->payee_name}, {"category", (upi)->category}, \
            {"terminal_transaction", (upi)->terminal_transaction},                                 \
            {"reference", (upi)->reference}, {"note", (upi)->note}, {"url", (upi)->url},           \
            {"mode", (upi)->mode}, {"purpose", (upi)->purpose},                                    \
            {"organisation", (upi)->organisation}, {"sign", (upi)->sign},                          \
    }

static void
pair_rupees(struct show_table *table, const char *name, bool has, int64_t amount)
{
    char text[64];
    struct buf out;
    if (has) {
        buf_init_fixed(&out, text, sizeof(text));
        text_amount_append(&out, amount, SPAN("INR"));
        show_cell(table, SHOW_DIM, "%s", name);
        show_cell_span(table, SHOW_PLAIN, buf_span(&out));
    }
}

bool
qr_print_upi(const struct emvqr_upi *upi)
{
    const struct upi_text texts[] = UPI_TEXTS(upi);
    struct show_table table;
    show_table_begin(&table, show_pair_columns, SHOW_PAIR_COLUMNS);
    pair_rupees(&table, "amount", upi->has_amount, upi->amount);
    pair_rupees(&table, "minimum", upi->has_minimum, upi->minimum);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        show_pair(&table, texts[i].name, SHOW_PLAIN, texts[i].value);
    }
    return show_table_finish(&table);
}

static void
member_amount(struct json_writer *json, const char *name, bool has, int64_t amount)
{
    if (has) {
        json_member_i64(json, name, amount);
    } else {
        json_member_null(json, name);
    }
}

bool
qr_print_upi_json(const struct emvqr_upi *upi)
{
    const struct upi_text texts[] = UPI_TEXTS(upi);
    struct buf out;
    struct json_writer json;
    buf_init(&out, QR_REPORT_SIZE);
    json_begin(&json, &out);
    json_object_begin(&json);
    json_member_cstr(&json, "kind", "upi");
    json_member_cstr(&json, "currency", "inr");
    member_amount(&json, "amount", upi->has_amount, upi->amount);
    member_amount(&json, "minimum", upi->has_minimum, upi->minimum);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_member_text_or_null(&json, texts[i].name, texts[i].value);
    }
    json_object_end(&json);
    print_buf(&out);
    bool good = !buf_failed(&out);
    buf_release(&out);
    return good;
}
