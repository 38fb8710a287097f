#include "emvqr_private.h"

#include "base/assert.h"

const char *
emvqr_problem_name(enum emvqr_problem problem)
{
    static const char *const names[] = {
#define PROBLEM_NAME(name, code, text) code,
        EMVQR_PROBLEM_TABLE(PROBLEM_NAME)
#undef PROBLEM_NAME
    };
    ASSERT((size_t)problem < sizeof(names) / sizeof(names[0]));
    return names[problem];
}

const char *
emvqr_problem_text(enum emvqr_problem problem)
{
    static const char *const texts[] = {
#define PROBLEM_TEXT(name, code, text) text,
        EMVQR_PROBLEM_TABLE(PROBLEM_TEXT)
#undef PROBLEM_TEXT
    };
    ASSERT((size_t)problem < sizeof(texts) / sizeof(texts[0]));
    return texts[problem];
}

const char *
emvqr_additional_name(enum emvqr_additional field)
{
    static const char *const names[EMVQR_ADDITIONAL_COUNT] = {
        [EMVQR_BILL_NUMBER] = "bill_number",
        [EMVQR_MOBILE_NUMBER] = "mobile_number",
        [EMVQR_STORE_LABEL] = "store_label",
        [EMVQR_LOYALTY_NUMBER] = "loyalty_number",
        [EMVQR_REFERENCE_LABEL] = "reference_label",
        [EMVQR_CUSTOMER_LABEL] = "customer_label",
        [EMVQR_TERMINAL_LABEL] = "terminal_label",
        [EMVQR_PURPOSE] = "purpose",
        [EMVQR_CONSUMER_DATA_REQUEST] = "consumer_data_request",
        [EMVQR_MERCHANT_TAX_ID] = "merchant_tax_id",
        [EMVQR_MERCHANT_CHANNEL] = "merchant_channel",
    };
    ASSERT((size_t)field < EMVQR_ADDITIONAL_COUNT);
    return names[field];
}

static void
append_id(char **at, uint8_t id)
{
    ASSERT(id <= ID_LAST);
    *(*at)++ = (char)('0' + id / 10);
    *(*at)++ = (char)('0' + id % 10);
}

void
emvqr_node_path(
    const struct emvqr_code *code, const struct emvqr_node *node, char out[EMVQR_PATH_SIZE])
{
    uint8_t ids[EMVQR_DEPTH_MAX];
    size_t depth = 0;
    for (;;) {
        ASSERT(depth < EMVQR_DEPTH_MAX);
        ids[depth++] = node->id;
        if (node->parent == EMVQR_NO_NODE) {
            break;
        }
        node = &code->nodes[node->parent];
    }
    char *at = out;
    append_id(&at, ids[--depth]);
    while (depth > 0) {
        *at++ = '-';
        append_id(&at, ids[--depth]);
    }
    *at = '\0';
}

err_t
emvqr_refuse(
    struct emvqr_refusal *refusal,
    enum emvqr_problem problem,
    size_t position,
    const struct emvqr_code *code,
    const struct emvqr_node *node)
{
    ASSERT(problem != EMVQR_FINE);
    *refusal = (struct emvqr_refusal){.problem = problem, .position = position};
    if (node != NULL) {
        emvqr_node_path(code, node, refusal->path);
    }
    return ERR_INVALID;
}
